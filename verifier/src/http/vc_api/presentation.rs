//! Presentations in requests, with the query that they answer.

use carnet_core::{credential::CONTEXT_V2, format::CredentialFormat};
use carnet_service::vc_api::{EnvelopedContent, VcApiError};
use serde_json::{Map, Value, json};

use super::messages::sd_jwt_text;
use crate::verification::{VerificationService, VpToken};

const CREDENTIALS: &str = "verifiableCredential";
/// Credential query id of a derived query.
const DERIVED_ID: &str = "presented";

/// Presentation as the use case takes it.
pub(super) struct ReadPresentation {
    pub(super) vp_token: VpToken,
    pub(super) query: Map<String, Value>,
}

/// Reads a presentation. One with an embedded proof contains one credential; its query may be omitted, since such a
/// credential is disclosed as a whole, and is then derived from the type of the credential. One without contains
/// SD-JWTs in envelopes, each with the key binding of its holder; its query is required, since it states which claims
/// were requested.
///
/// With several credential queries, the SD-JWTs answer them in order.
///
/// # Errors
/// 400: another form; a query that is absent or no object; more SD-JWTs than credential queries.
pub(super) fn read(
    presentation: Map<String, Value>,
    query: Option<Value>,
    verification: &VerificationService,
) -> Result<ReadPresentation, VcApiError> {
    let query = match query {
        None => None,
        Some(Value::Object(query)) => Some(query),
        Some(_) => return Err(VcApiError::malformed("QUERY_MALFORMED", "options.dcql_query", "must be an object")),
    };
    if EnvelopedContent::Presentation.is_type_of(&presentation) {
        let why = "enveloped presentations are not supported; present SD-JWTs with key bindings, or an embedded proof";
        return Err(VcApiError::malformed("UNKNOWN_FORMAT", "verifiablePresentation", why));
    }
    if presentation.contains_key("proof") {
        let query = query.unwrap_or_else(|| derived_query(&presentation, verification));
        let ids = query_ids(&query);
        let id = ids.into_iter().next().unwrap_or_else(|| DERIVED_ID.to_owned());
        let text = Value::Object(presentation).to_string();
        return Ok(ReadPresentation { vp_token: [(id, vec![text])].into(), query });
    }
    let query = query.ok_or_else(|| {
        let why = "without the query, it is unknown which claims were requested; give the DCQL query of the request";
        VcApiError::malformed("QUERY_MISSING", "options.dcql_query", why)
    })?;
    let vp_token = enveloped_presentations(presentation, &query_ids(&query))?;
    Ok(ReadPresentation { vp_token, query })
}

fn query_ids(query: &Map<String, Value>) -> Vec<String> {
    let queries = query.get("credentials").and_then(Value::as_array);
    let ids = queries.into_iter().flatten().filter_map(|query| query.get("id").and_then(Value::as_str));
    ids.map(str::to_owned).collect()
}

/// Returns the query for a credential of the presented type, with all of its claims.
fn derived_query(presentation: &Map<String, Value>, verification: &VerificationService) -> Map<String, Value> {
    let credential = match presentation.get(CREDENTIALS) {
        Some(Value::Array(many)) => many.first(),
        one => one,
    };
    let types = credential.and_then(|credential| credential.get("type")).and_then(Value::as_array);
    let types: Vec<&str> = types.into_iter().flatten().filter_map(Value::as_str).collect();
    let types: Vec<&str> = types.into_iter().filter(|name| *name != "VerifiableCredential").collect();
    let suite = credential.and_then(|credential| credential.pointer("/proof/cryptosuite")).and_then(Value::as_str);
    // With an unknown cryptosuite the presentation is refused whatever the query says.
    let format = verification.format_of_cryptosuite(suite.unwrap_or_default()).unwrap_or(CredentialFormat::DiVcJcs);
    let types = if types.is_empty() { vec!["VerifiableCredential"] } else { types };
    let query = json!({
        "credentials": [{"id": DERIVED_ID, "format": format, "meta": {"type_values": [types]}}],
    });
    match query {
        Value::Object(query) => query,
        _ => Map::new(),
    }
}

fn enveloped_presentations(mut presentation: Map<String, Value>, ids: &[String]) -> Result<VpToken, VcApiError> {
    let refused = |why: &str| VcApiError::malformed("MALFORMED_VALUE", "verifiablePresentation", why);
    let first = presentation.get("@context").and_then(Value::as_array).and_then(|contexts| contexts.first());
    if first.and_then(Value::as_str) != Some(CONTEXT_V2) {
        return Err(refused("its first context is not that of VCDM 2.0"));
    }
    let is_presentation = match presentation.get("type") {
        Some(Value::String(name)) => name == "VerifiablePresentation",
        Some(Value::Array(names)) => names.iter().any(|name| name == "VerifiablePresentation"),
        _ => false,
    };
    if !is_presentation {
        return Err(refused("its type is not VerifiablePresentation"));
    }
    let envelopes = match presentation.remove(CREDENTIALS) {
        Some(Value::Array(many)) => many,
        Some(one) => vec![one],
        None => Vec::new(),
    };
    let mut vp_token = VpToken::new();
    for (at, envelope) in envelopes.iter().enumerate() {
        let envelope = envelope.as_object().filter(|envelope| EnvelopedContent::Credential.is_type_of(envelope));
        let envelope = envelope.ok_or_else(|| {
            refused("it has no proof, and not every credential in it is an EnvelopedVerifiableCredential")
        })?;
        let id = match ids {
            // The use case refuses a query without credential queries.
            [] => DERIVED_ID,
            [only] => only,
            several => several.get(at).ok_or_else(|| refused("it has more credentials than the query"))?,
        };
        vp_token.entry(id.to_owned()).or_default().push(sd_jwt_text(envelope)?);
    }
    Ok(vp_token)
}
