//! Description of the endpoints in the form of w3c/vc-test-suite-implementations.

use serde_json::{Value, json};

use crate::processor::Processor;

/// Returns the entry of this implementation for a suite's `localConfig.cjs`.
pub(crate) fn implementation(processor: &Processor, base_url: &str) -> Value {
    let mut issuers = Vec::new();
    let mut verifiers = Vec::new();
    let mut presentation_verifiers = Vec::new();
    for (profile, issuer) in processor.issuers() {
        let endpoint = |path: &str| {
            let mut endpoint = json!({"id": issuer.did, "endpoint": format!("{base_url}/{}/{path}", profile.name), "tags": profile.tags});
            if let (Some(key_type), Some(members)) = (profile.key_type, endpoint.as_object_mut()) {
                members.insert("supportedEcdsaKeyTypes".to_owned(), json!([key_type]));
            }
            endpoint
        };
        issuers.push(endpoint("credentials/issue"));
        verifiers.push(endpoint("credentials/verify"));
        presentation_verifiers.push(endpoint("presentations/verify"));
    }
    json!({
        "name": "Carnet conformance build",
        "implementation": "carnet-conformance",
        "issuers": issuers,
        "verifiers": verifiers,
        "vpVerifiers": presentation_verifiers,
        "didResolver": format!("{base_url}/identifiers"),
        "didResolvers": [{"id": base_url, "endpoint": format!("{base_url}/identifiers"), "tags": ["Did-Key"]}],
    })
}
