//! What an approval without a screen names.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use carnet_core::{Code, Problem, json::canonicalize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Part;
use crate::wallet::Contents;

/// What an approval without a screen (`--yes`) names: base64url of SHA-256 over the request object's text and the canonical
/// JSON (RFC 8785) of what goes, which is for each presentation its query's id, the wallet's id of the credential, its
/// format, and the paths and thresholds, sorted (protocol 5.2). So it approves this request and this answer, and no other,
/// whatever has come into the wallet since.
///
/// # Errors
/// If the answer cannot be written as JSON.
pub(crate) fn digest(object: &str, parts: &[Part], contents: &Contents) -> Result<String, Problem> {
    let goes: Vec<Value> = parts
        .iter()
        .map(|part| {
            let held = contents.credentials.get(part.credential).ok_or_else(|| Problem::from(Code::QueryUnmet))?;
            let mut paths = part.paths.clone();
            paths.sort_unstable();
            Ok(json!([part.query_id, held.id, held.format, paths]))
        })
        .collect::<Result<_, Problem>>()?;
    // A bracket is no letter of the request object's text: where the one ends and the other begins is certain.
    let digest = Sha256::new_with_prefix(object).chain_update(canonicalize(&Value::Array(goes))?);
    Ok(URL_SAFE_NO_PAD.encode(digest.finalize()))
}
