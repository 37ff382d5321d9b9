//! Digest by which an answer can be approved without a screen.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use carnet_core::{Code, Problem, json::canonicalize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::PlannedPresentation;
use crate::store::WalletContents;

/// Returns the digest by which the holder approves an answer with `--yes`: base64url SHA-256 over the text of the
/// request object and the canonical JSON (RFC 8785) of the disclosures: for each presentation the query id, the
/// wallet's credential id, the format, and the sorted paths and thresholds (spec/protocol.md 5.2). It approves only
/// this answer to this request, also if the wallet receives other credentials later.
///
/// # Errors
/// `query_unmet` if a presentation refers to a credential that is not in the wallet; the disclosures cannot be
/// serialised as JSON.
pub fn approval_digest(
    object: &str,
    parts: &[PlannedPresentation],
    contents: &WalletContents,
) -> Result<String, Problem> {
    let goes: Vec<Value> = parts
        .iter()
        .map(|part| {
            let held = contents.credentials.get(part.credential).ok_or_else(|| Problem::from(Code::QueryUnmet))?;
            let mut paths = part.disclosed_paths.clone();
            paths.sort_unstable();
            Ok(json!([part.query_id, held.id, held.format, paths]))
        })
        .collect::<Result<_, Problem>>()?;
    // The text of a request object contains no bracket, so the boundary between both parts is unambiguous.
    let digest = Sha256::new_with_prefix(object).chain_update(canonicalize(&Value::Array(goes))?);
    Ok(URL_SAFE_NO_PAD.encode(digest.finalize()))
}
