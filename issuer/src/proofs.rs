//! Proofs of possession: the wallet that requests a copy holds the copy's key (OpenID4VCI 1.0 appendix F.1).

use std::collections::HashSet;

use carnet_core::{
    Code, Problem,
    keys::PublicKey,
    secure::jose::{Jws, KeyRef, numeric_date},
    time::{CLOCK_SKEW, Timestamp},
};

use serde_json::{Map, Value};

use crate::error::Error;

const TYP: &str = "openid4vci-proof+jwt";
/// Maximum age of a proof or a key binding, in seconds, by its `iat`.
pub(crate) const MAX_AGE_SECONDS: i64 = 300;
/// Maximum size of a proof, in bytes.
const MAX_PROOF_BYTES: usize = 8_192;

/// Result of proof verification: a key for each copy, in the order of the proofs, and their common nonce, which is not
/// verified yet.
#[derive(Debug)]
pub(crate) struct VerifiedProofs {
    pub(crate) keys: Vec<PublicKey>,
    pub(crate) nonce: String,
}

/// Verifies the proofs of one request: signature, `typ`, `aud`, distinct keys, and one common nonce, which the caller
/// verifies. `most` is the maximum number of proofs. `now` is `None` for a request that was accepted before: then the
/// proofs' times are not checked.
///
/// # Errors
/// [`Error::ProofInvalid`] with the index of the first invalid proof; [`Error::Invalid`] for no proofs, or too many.
pub(crate) fn verify_proofs(
    proofs: &[String],
    audience: &str,
    most: usize,
    now: Option<Timestamp>,
) -> Result<VerifiedProofs, Error> {
    if proofs.is_empty() || proofs.len() > most {
        return Err(Error::Invalid {
            reason: "BATCH_SIZE",
            field: "proofs".to_owned(),
            description: format!("1 to {most} proofs in one call"),
        });
    }
    let mut keys = Vec::with_capacity(proofs.len());
    let mut thumbprints = HashSet::new();
    let mut shared: Option<String> = None;
    for (index, proof) in proofs.iter().enumerate() {
        let refuse = |problem| Error::ProofInvalid { index, problem };
        let (key, nonce) = verify_proof(proof, audience, now).map_err(refuse)?;
        if !thumbprints.insert(key.thumbprint()) {
            return Err(refuse(Problem::new(Code::KeyInvalid, "two copies may not have the same key")));
        }
        if shared.get_or_insert_with(|| nonce.clone()) != &nonce {
            return Err(refuse(Problem::new(Code::ChallengeMismatch, "all proofs of a request have the same nonce")));
        }
        keys.push(key);
    }
    Ok(VerifiedProofs { keys, nonce: shared.unwrap_or_default() })
}

/// Verifies one proof, and returns its key and its nonce.
fn verify_proof(proof: &str, audience: &str, now: Option<Timestamp>) -> Result<(PublicKey, String), Problem> {
    if proof.len() > MAX_PROOF_BYTES {
        return Err(Problem::new(Code::TooLarge, format!("a proof is at most {MAX_PROOF_BYTES} bytes")));
    }
    let jws = Jws::parse(proof)?;
    jws.require_typ(TYP)?;
    // The header contains the key by value: a kid would have to be resolved, and nobody knows the copies' keys yet.
    let KeyRef::Jwk(key) = jws.key_ref() else {
        return Err(Problem::new(Code::HeaderKeyAmbiguous, "the header must have exactly the copy's key, as jwk"));
    };
    jws.verify(key)?;
    let payload = jws.payload();
    match payload.get("aud").map(|aud| aud.as_str()) {
        Some(Some(aud)) if aud == audience => {}
        Some(_) => {
            return Err(Problem::new(
                Code::DomainMismatch,
                "aud must be this issuer's name on this wire: its DID over gRPC, its URL over HTTP",
            ));
        }
        None => return Err(Problem::from(Code::DomainMissing)),
    }
    if let Some(now) = now {
        check_times(payload, now)?;
    }
    let nonce = payload.get("nonce").ok_or_else(|| Problem::from(Code::ChallengeMissing))?;
    let nonce = nonce.as_str().ok_or_else(|| Problem::new(Code::MalformedValue, "nonce must be a string"))?;
    Ok((key.clone(), nonce.to_owned()))
}

/// Checks `iat`, which is required and at most five minutes old, and `exp` and `nbf` if they are present.
fn check_times(payload: &Map<String, Value>, now: Timestamp) -> Result<(), Problem> {
    let issued = numeric_date(payload, "iat")?.ok_or_else(|| Problem::new(Code::ClaimMissing, "iat is missing"))?;
    if issued > now.plus(CLOCK_SKEW) || issued < now.plus(-MAX_AGE_SECONDS) {
        return Err(Problem::new(Code::KeyBindingStale, "iat must be within the last five minutes"));
    }
    let end = numeric_date(payload, "exp")?;
    if end.is_some_and(|end| end <= now.plus(-CLOCK_SKEW)) {
        return Err(Problem::from(Code::Expired));
    }
    let begin = numeric_date(payload, "nbf")?;
    if begin.is_some_and(|begin| begin > now.plus(CLOCK_SKEW)) {
        return Err(Problem::from(Code::NotYetValid));
    }
    Ok(())
}
