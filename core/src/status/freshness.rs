//! Freshness statements: what an issuer says of one copy, shortly before it is shown, for the holder to staple to a
//! presentation.
//!
//! A statement names its copy by the digest of the issuer-signed JWT and says of whom nothing. A verifier that has one
//! needs no status list, and no network.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::Freshness;
use crate::{
    Code, Problem,
    did::{Did, DidUrl, Purpose, Resolve},
    keys::Signer,
    secure::{
        jose::{self, Jws, KeyRef, numeric_date},
        sd_jwt::SdJwt,
    },
    time::Timestamp,
};

/// The `typ` of a freshness statement.
pub const TYP: &str = "carnet-freshness+jwt";

/// The member of the key-binding JWT that a statement is stapled in.
pub const MEMBER: &str = "carnet_freshness";

/// How long a statement holds unless a service says otherwise, in seconds: a day.
pub const DEFAULT_SECONDS: i64 = 86_400;

/// The name of a copy in a statement: base64url of SHA-256 over its issuer-signed JWT, without disclosures.
#[must_use]
pub fn digest(copy: &SdJwt) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(copy.jws().as_str().as_bytes()))
}

/// States that a copy was valid at `now`.
///
/// # Errors
/// `proof_generation`; `malformed_value` for a `digest` that is none.
pub fn issue(digest: &str, kid: &str, now: Timestamp, seconds: i64, signer: &dyn Signer) -> Result<String, Problem> {
    if digest.len() != 43 || jose::decode(digest, "digest")?.len() != 32 {
        return Err(Problem::new(Code::MalformedValue, "the copy's digest is not one of SHA-256 in base64url"));
    }
    let header = Map::from_iter([("typ".to_owned(), Value::from(TYP)), ("kid".to_owned(), Value::from(kid))]);
    let payload = Map::from_iter([
        ("copy".to_owned(), Value::from(digest)),
        ("iat".to_owned(), now.unix().into()),
        ("exp".to_owned(), now.plus(seconds.max(0)).unix().into()),
    ]);
    jose::sign(header, &payload, signer)
}

/// Verifies a statement as one of `issuer` on this copy, which holds at `now`. What the copy itself is worth is not
/// looked at here.
///
/// # Errors
/// `token_type`, `header_key_unanchored`; `status_list_issuer` (another issuer than the copy's);
/// `status_list_mismatch` (another copy); `status_list_stale` (past its end, or from the future); `claim_missing`;
/// those of [`Jws::parse`], [`Jws::verify`] and of resolving the issuer's key.
pub fn verify(
    statement: &str,
    copy: &SdJwt,
    issuer: &str,
    now: Timestamp,
    skew: i64,
    resolver: &dyn Resolve,
) -> Result<Freshness, Problem> {
    let jws = Jws::parse(statement)?;
    jws.require_typ(TYP)?;
    let KeyRef::Kid(kid) = jws.key_ref() else {
        return Err(Problem::new(Code::HeaderKeyUnanchored, "the freshness statement has no kid"));
    };
    let url = DidUrl::parse(kid)?;
    if url.did().as_str() != issuer {
        return Err(Problem::new(Code::StatusListIssuer, "the freshness statement is not by the credential's issuer"));
    }
    let document = resolver.resolve(&Did::parse(issuer)?)?;
    if document.expires(&url).is_some_and(|end| now > end) {
        return Err(Problem::new(Code::KeyInvalid, "the issuer's key is past its own end"));
    }
    jws.verify(&document.key_for(&url, Purpose::AssertionMethod)?)?;
    let payload = jws.payload();
    if payload.get("copy").and_then(Value::as_str) != Some(digest(copy).as_str()) {
        return Err(Problem::new(Code::StatusListMismatch, "the freshness statement is on another copy"));
    }
    let missing = |claim: &str| Problem::new(Code::ClaimMissing, format!("the freshness statement has no {claim}"));
    let issued = numeric_date(payload, "iat")?.ok_or_else(|| missing("iat"))?;
    let until = numeric_date(payload, "exp")?.ok_or_else(|| missing("exp"))?;
    let freshness = Freshness { issued, until: Some(until), ttl: None };
    freshness.check(now, now, skew)?;
    Ok(freshness)
}

#[cfg(test)]
// Tests are a caller of core's, and a caller has randomness.
#[allow(clippy::disallowed_types)]
mod tests {
    use rand_core::OsRng;
    use serde_json::json;

    use super::*;
    use crate::{
        did::SelfContained,
        keys::{Algorithm, SecretKey},
        secure::sd_jwt::{self, IssueOptions},
    };

    fn now() -> Timestamp {
        Timestamp::parse("2026-11-22T12:00:00Z").unwrap()
    }

    fn copy(key: &SecretKey) -> SdJwt {
        let options = IssueOptions {
            typ: "vc+sd-jwt",
            kid: "k",
            disclosable: &[],
            ordered: &[],
            holder: None,
            decoys_to_multiple_of: 0,
        };
        // Each copy has something of its own; here it is enough that it says so.
        let mut id = [0; 8];
        rand_core::RngCore::fill_bytes(&mut OsRng, &mut id);
        let payload = json!({"own": URL_SAFE_NO_PAD.encode(id)}).as_object().unwrap().clone();
        SdJwt::parse(&sd_jwt::issue(&payload, &options, key, &mut OsRng).unwrap()).unwrap()
    }

    fn kid(key: &SecretKey) -> String {
        format!("{}#0", Did::jwk(&key.public_key()))
    }

    #[track_caller]
    fn refused(result: Result<Freshness, Problem>, code: Code) {
        assert_eq!(result.unwrap_err().code, code);
    }

    #[test]
    fn a_statement_holds_for_its_copy_its_issuer_and_its_time() {
        let key = SecretKey::generate(Algorithm::EdDsa, &mut OsRng);
        let (mine, other) = (copy(&key), copy(&key));
        let issuer = Did::jwk(&key.public_key()).to_string();
        let statement = issue(&digest(&mine), &kid(&key), now(), DEFAULT_SECONDS, &key).unwrap();
        let at = |copy: &SdJwt, issuer: &str, seconds: i64| {
            verify(&statement, copy, issuer, now().plus(seconds), 60, &SelfContained)
        };
        assert_eq!(at(&mine, &issuer, 0).unwrap().issued, now());
        refused(at(&other, &issuer, 0), Code::StatusListMismatch);
        refused(at(&mine, "did:web:other.example", 0), Code::StatusListIssuer);
        for (seconds, holds) in [(-61, false), (-60, true), (86_460, true), (86_461, false)] {
            assert_eq!(at(&mine, &issuer, seconds).is_ok(), holds, "{seconds}");
        }
    }

    #[test]
    fn a_statement_by_another_key_or_of_another_type_is_none() {
        let (key, thief) =
            (SecretKey::generate(Algorithm::EdDsa, &mut OsRng), SecretKey::generate(Algorithm::EdDsa, &mut OsRng));
        let mine = copy(&key);
        let issuer = Did::jwk(&key.public_key()).to_string();
        let check = |statement: &str| verify(statement, &mine, &issuer, now(), 60, &SelfContained);
        assert!(check(&issue(&digest(&mine), &kid(&key), now(), 60, &key).unwrap()).is_ok());
        refused(check(&issue(&digest(&mine), &kid(&key), now(), 60, &thief).unwrap()), Code::SignatureInvalid);
        refused(check(mine.jws().as_str()), Code::TokenType);
        assert_eq!(issue("x", &kid(&key), now(), 60, &key).unwrap_err().code, Code::MalformedValue);
    }

    #[test]
    fn a_statement_names_nobody() {
        let key = SecretKey::generate(Algorithm::EdDsa, &mut OsRng);
        let statement = issue(&digest(&copy(&key)), &kid(&key), now(), 60, &key).unwrap();
        let payload = Jws::parse(&statement).unwrap();
        let mut members: Vec<&str> = payload.payload().keys().map(String::as_str).collect();
        members.sort_unstable();
        assert_eq!(members, ["copy", "exp", "iat"]);
    }
}
