//! Metadata of the issuer, of its authorization server, and of its keys.

use std::collections::BTreeMap;

use axum::{extract::State, response::Response};
use carnet_core::{
    credential::CONTEXT_V2,
    did::{DidUrl, Purpose},
    epoch::Epoch,
    format::CredentialFormat,
    keys::Algorithm,
    secure::sd_jwt::{ClaimPath, Step},
};
use carnet_openid::vci::metadata::{
    Batch, ClaimDescription, CredentialConfiguration, CredentialDefinition, CredentialMetadata, IssuerMetadata, Name,
    ProofType, jwt_vc_issuer, server_metadata,
};
use carnet_spec::CredentialType;
use serde_json::{Value, json};

use super::{CREDENTIAL, DEFERRED, Door, NONCE, NOTIFICATION, TOKEN, public};
use crate::{
    issuer::{Configuration, Issuer},
    store::Store,
};

pub(super) async fn issuer<S: Store>(State(door): State<Door<S>>) -> Response {
    public(issuer_metadata(&door.issuer).to_json().to_string())
}

pub(super) async fn server<S: Store>(State(door): State<Door<S>>) -> Response {
    let endpoint = &door.issuer.endpoint;
    public(server_metadata(endpoint, &format!("{endpoint}{TOKEN}")).to_string())
}

/// Returns the keys that sign credentials now, by the DID URLs that credentials name them with.
pub(super) async fn keys<S: Store>(State(door): State<Door<S>>) -> Response {
    let issuer = &door.issuer;
    let key = |method: &str| {
        let key = issuer.own.key_for(&DidUrl::parse(method).ok()?, Purpose::AssertionMethod).ok()?;
        Some((method.to_owned(), key))
    };
    let keys: Vec<_> = issuer.own.assertion_methods(issuer.now()).filter_map(key).collect();
    public(jwt_vc_issuer(&issuer.endpoint, &keys).to_string())
}

fn issuer_metadata<S>(issuer: &Issuer<S>) -> IssuerMetadata {
    let url = |path: &str| Some(format!("{}{path}", issuer.endpoint));
    let algorithm = issuer.signer.algorithm();
    let algorithm_of =
        |format| issuer.suites.signing(format, algorithm).map_or(algorithm.as_str(), |suite| suite.name());
    let configuration = |known: Configuration<'_>| {
        let epoch = issuer.epoch(&known.credential_type.name);
        (known.id.clone(), configuration(&known, algorithm_of(known.format), epoch))
    };
    let display = issuer.settings.display_name.iter();
    let batch_size = u64::try_from(issuer.settings.max_batch_size).unwrap_or(u64::MAX);
    IssuerMetadata {
        credential_issuer: issuer.endpoint.clone(),
        // The issuer is its own authorization server.
        authorization_servers: Vec::new(),
        credential_endpoint: format!("{}{CREDENTIAL}", issuer.endpoint),
        nonce_endpoint: url(NONCE),
        deferred_credential_endpoint: url(DEFERRED),
        notification_endpoint: url(NOTIFICATION),
        batch_credential_issuance: (batch_size >= 2).then_some(Batch { batch_size }),
        display: display.map(|(language, name)| named(language, name, None)).collect(),
        credential_configurations_supported: issuer.configurations().map(configuration).collect(),
    }
}

fn named(locale: &str, name: &str, description: Option<&str>) -> Name {
    Name { name: Some(name.to_owned()), locale: Some(locale.to_owned()), description: description.map(str::to_owned) }
}

/// Describes a configuration whose signatures are by this algorithm, or this cryptosuite, and whose dates are rounded to
/// an epoch.
fn configuration(known: &Configuration<'_>, algorithm: &str, epoch: Epoch) -> CredentialConfiguration {
    let credential_type = known.credential_type;
    let is_sd_jwt_vc = known.format == CredentialFormat::DcSdJwt;
    let definition = || CredentialDefinition {
        context: vec![CONTEXT_V2.to_owned(), credential_type.context_url.clone()],
        types: vec!["VerifiableCredential".to_owned(), credential_type.name.clone()],
    };
    let proof_algorithms = [Algorithm::EdDsa, Algorithm::Es256].map(|algorithm| algorithm.as_str().to_owned());
    let proof = ProofType { proof_signing_alg_values_supported: proof_algorithms.to_vec() };
    CredentialConfiguration {
        format: known.format.as_str().to_owned(),
        scope: None,
        vct: is_sd_jwt_vc.then(|| credential_type.vct.clone()),
        credential_definition: (!is_sd_jwt_vc).then(definition),
        credential_signing_alg_values_supported: vec![json!(algorithm)],
        cryptographic_binding_methods_supported: vec!["jwk".to_owned()],
        proof_types_supported: BTreeMap::from([("jwt".to_owned(), proof)]),
        credential_metadata: Some(credential_metadata(credential_type, is_sd_jwt_vc)),
        carnet_validity_epoch: Some(epoch.as_str().to_owned()),
    }
}

fn credential_metadata(known: &CredentialType, is_sd_jwt_vc: bool) -> CredentialMetadata {
    let display = known.languages().map(|language| {
        let words = known.display(language);
        named(language, &words.name, Some(&words.description))
    });
    let paths = if is_sd_jwt_vc { known.disclosable_in_sd_jwt_vc() } else { known.disclosable.clone() };
    let claim = |path: &ClaimPath| {
        let name = claim_name(path)?;
        let labels =
            known.languages().filter_map(|language| Some(named(language, known.display(language).label(&name)?, None)));
        Some(ClaimDescription {
            path: pointer(path),
            mandatory: known.required_at_issuance.contains(&name),
            display: labels.collect(),
        })
    };
    CredentialMetadata { display: display.collect(), claims: paths.iter().filter_map(claim).collect() }
}

/// Returns the dotted name of a claim below the subject; `None` for the elements of an array, which have none.
pub(super) fn claim_name(path: &ClaimPath) -> Option<String> {
    if !matches!(path.last(), Some(Step::Name(_))) {
        return None;
    }
    let names: Vec<&str> = path
        .iter()
        .filter_map(|step| match step {
            Step::Name(name) => Some(name.as_str()),
            Step::Index(_) | Step::All => None,
        })
        .collect();
    let text = names.join(".");
    Some(text.strip_prefix("credentialSubject.").map(str::to_owned).unwrap_or(text))
}

/// Returns a claims path pointer (OpenID4VCI 1.0 appendix C).
pub(super) fn pointer(path: &ClaimPath) -> Vec<Value> {
    let step = |step: &Step| match step {
        Step::Name(name) => json!(name),
        Step::Index(index) => json!(index),
        Step::All => Value::Null,
    };
    path.iter().map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_names_and_pointers() {
        let name = |text: &str| Step::Name(text.to_owned());
        let path = vec![name("credentialSubject"), name("outcomes"), Step::All, name("title")];
        assert_eq!(claim_name(&path).as_deref(), Some("outcomes.title"));
        assert_eq!(pointer(&path), [json!("credentialSubject"), json!("outcomes"), Value::Null, json!("title")]);
        assert_eq!(claim_name(&vec![name("outcomes"), Step::All]), None);
        assert_eq!(claim_name(&Vec::new()), None);
    }
}
