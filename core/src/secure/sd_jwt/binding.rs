//! Key binding (RFC 9901 sections 4.3 and 7.3): proof of possession of the holder's key, for one verifier and one
//! request.

use serde_json::{Map, Value};

use super::{SdJwt, parse::digest_text};
use crate::{
    Code, Problem,
    at_least::{ThresholdProof, WITNESSES_MEMBER},
    keys::Signer,
    secure::jose::{self, numeric_date},
    status::freshness,
    time::Timestamp,
};

/// The `typ` of a key-binding JWT.
const TYP: &str = "kb+jwt";
/// Member with the thumbprints of the keys for which a copy is exchanged (spec/protocol.md section 3).
const KEYS: &str = "carnet_keys";

/// Requirements on a key-binding JWT; all are mandatory.
#[derive(Debug, Clone, Copy)]
pub struct KeyBindingRequirements<'a> {
    /// Nonce of the request.
    pub nonce: &'a str,
    /// Verifier's client identifier, including its prefix.
    pub audience: &'a str,
    /// Time of verification.
    pub now: Timestamp,
    /// Maximum age of `iat`, in seconds.
    pub max_age: i64,
    /// Tolerated clock skew, in seconds.
    pub skew: i64,
}

/// Optional members of a key-binding JWT.
#[derive(Debug, Clone, Copy, Default)]
pub struct KeyBindingMembers<'a> {
    /// Threshold proofs (spec/at-least.md section 6).
    pub proofs: &'a [ThresholdProof],
    /// Issuer's freshness statement for this copy ([`freshness`]).
    pub freshness_statement: Option<&'a str>,
    /// Thumbprints (RFC 7638) of the new keys for which the holder exchanges this copy, in order; empty: no exchange.
    pub new_key_thumbprints: &'a [String],
}

impl SdJwt {
    /// Verifies the key-binding JWT (RFC 9901 section 7.3): `typ`, `alg`, signature by the key in `cnf`, nonce,
    /// audience, `iat` no older than `max_age` and no further in the future than `skew`, `sd_hash`, and `exp` and `nbf`
    /// if present. Returns its payload.
    ///
    /// Only the key in `cnf` is used, even if the header of the key-binding JWT contains another. The result is
    /// meaningful only together with [`SdJwt::verify_signature`].
    ///
    /// # Errors
    /// `key_binding_missing`; `token_type`; `key_binding_key` (no `cnf`, or signed with another key);
    /// `challenge_missing`, `challenge_mismatch` (the nonce); `domain_missing`, `domain_mismatch` (the audience, which
    /// must be a single string); `claim_missing` (`iat` or `sd_hash`); `key_binding_stale`; `key_binding_hash`;
    /// `expired`, `not_yet_valid`, `malformed_value`; `digest_algorithm`.
    pub fn verify_key_binding(&self, expected: &KeyBindingRequirements<'_>) -> Result<Map<String, Value>, Problem> {
        let binding = self.key_binding.as_ref().ok_or(Code::KeyBindingMissing)?;
        binding.require_typ(TYP)?;
        self.check_digest_algorithm()?;
        let key = self.holder_key()?.ok_or_else(no_holder)?;
        binding.verify(&key).map_err(|_| Problem::from(Code::KeyBindingKey))?;

        let payload = binding.payload();
        require_claim_equal(payload, "nonce", expected.nonce, Code::ChallengeMissing, Code::ChallengeMismatch)?;
        require_claim_equal(payload, "aud", expected.audience, Code::DomainMissing, Code::DomainMismatch)?;
        check_times(payload, expected)?;
        let hash = digest_text(&self.text);
        match payload.get("sd_hash").map(Value::as_str) {
            None => Err(Problem::new(Code::ClaimMissing, "the key binding has no sd_hash")),
            Some(Some(given)) if given.as_bytes() == hash => Ok(payload.clone()),
            Some(_) => Err(Code::KeyBindingHash.into()),
        }
    }

    /// Returns the freshness statement in the key-binding JWT; `None` if there is none. Neither is verified: call
    /// [`SdJwt::verify_key_binding`] and [`freshness::verify_statement`].
    ///
    /// # Errors
    /// `malformed_value`: the member is not a string.
    pub fn freshness_statement(&self) -> Result<Option<&str>, Problem> {
        let member = self.key_binding.as_ref().and_then(|binding| binding.payload().get(freshness::KEY_BINDING_MEMBER));
        let malformed = || Problem::new(Code::MalformedValue, "the key binding's freshness statement is not a string");
        member.map(|member| member.as_str().ok_or_else(malformed)).transpose()
    }

    /// Returns the thumbprints of the new keys for which the holder exchanges this copy ([`KeyBindingMembers::new_key_thumbprints`]),
    /// in order. Unverified: call [`SdJwt::verify_key_binding`] as well.
    ///
    /// # Errors
    /// `claim_missing` if there is no key-binding JWT or no such member; `malformed_value` if the member is not an
    /// array of strings.
    pub fn exchange_thumbprints(&self) -> Result<Vec<&str>, Problem> {
        let missing = || Problem::new(Code::ClaimMissing, format!("the key binding has no {KEYS}"));
        let malformed = || Problem::new(Code::MalformedValue, format!("{KEYS} is not an array of thumbprints"));
        let member = self.key_binding.as_ref().and_then(|binding| binding.payload().get(KEYS)).ok_or_else(missing)?;
        let keys = member.as_array().ok_or_else(malformed)?;
        keys.iter().map(|key| key.as_str().ok_or_else(malformed)).collect()
    }

    /// Appends a key-binding JWT, and returns the compact SD-JWT+KB.
    ///
    /// # Errors
    /// `key_binding_unexpected` (there is one already), `key_binding_key` (the signer's key is not in `cnf`),
    /// `challenge_missing` (empty nonce), `domain_missing` (empty audience), `algorithm_forbidden` (a P-384 key),
    /// `proof_generation`; those of [`SdJwt::holder_key`].
    pub fn bind_key(
        &self,
        nonce: &str,
        audience: &str,
        now: Timestamp,
        holder: &dyn Signer,
    ) -> Result<String, Problem> {
        self.bind_key_with_proofs(&[], nonce, audience, now, holder)
    }

    /// Appends a key-binding JWT with threshold proofs (spec/at-least.md section 6), and returns the compact SD-JWT+KB.
    ///
    /// # Errors
    /// As [`SdJwt::bind_key`].
    pub fn bind_key_with_proofs(
        &self,
        proofs: &[ThresholdProof],
        nonce: &str,
        audience: &str,
        now: Timestamp,
        holder: &dyn Signer,
    ) -> Result<String, Problem> {
        self.bind_key_with_members(
            &KeyBindingMembers { proofs, ..KeyBindingMembers::default() },
            nonce,
            audience,
            now,
            holder,
        )
    }

    /// Appends a key-binding JWT with optional members, and returns the compact SD-JWT+KB.
    ///
    /// # Errors
    /// As [`SdJwt::bind_key`].
    pub fn bind_key_with_members(
        &self,
        stapled: &KeyBindingMembers<'_>,
        nonce: &str,
        audience: &str,
        now: Timestamp,
        holder: &dyn Signer,
    ) -> Result<String, Problem> {
        self.require_no_key_binding()?;
        if nonce.is_empty() {
            return Err(Code::ChallengeMissing.into());
        }
        if audience.is_empty() {
            return Err(Code::DomainMissing.into());
        }
        if self.holder_key()?.ok_or_else(no_holder)? != holder.public_key() {
            return Err(Code::KeyBindingKey.into());
        }
        let hash = digest_text(&self.text);
        let header = Map::from_iter([("typ".to_owned(), Value::from(TYP))]);
        let mut payload = Map::from_iter([
            ("iat".to_owned(), Value::from(now.unix())),
            ("aud".to_owned(), Value::from(audience)),
            ("nonce".to_owned(), Value::from(nonce)),
            ("sd_hash".to_owned(), Value::from(String::from_utf8_lossy(&hash))),
        ]);
        if !stapled.proofs.is_empty() {
            payload.insert(WITNESSES_MEMBER.to_owned(), stapled.proofs.iter().map(ThresholdProof::to_json).collect());
        }
        if let Some(statement) = stapled.freshness_statement {
            payload.insert(freshness::KEY_BINDING_MEMBER.to_owned(), statement.into());
        }
        if !stapled.new_key_thumbprints.is_empty() {
            payload.insert(KEYS.to_owned(), stapled.new_key_thumbprints.iter().map(String::as_str).collect());
        }
        let binding = jose::sign(header, &payload, holder)?;
        let mut compact = String::with_capacity(self.text.len().saturating_add(binding.len()));
        compact.push_str(&self.text);
        compact.push_str(&binding);
        Ok(compact)
    }
}

fn no_holder() -> Problem {
    Problem::new(Code::KeyBindingKey, "the credential names no holder key")
}

/// Checks that a claim is present and equal to the expected text. An empty expected text is refused, since it would
/// bind the token to nothing.
fn require_claim_equal(
    payload: &Map<String, Value>,
    name: &str,
    expected: &str,
    missing: Code,
    mismatch: Code,
) -> Result<(), Problem> {
    match payload.get(name) {
        None => Err(missing.into()),
        Some(_) if expected.is_empty() => Err(missing.into()),
        Some(Value::String(given)) if given == expected => Ok(()),
        Some(_) => Err(mismatch.into()),
    }
}

fn check_times(payload: &Map<String, Value>, expected: &KeyBindingRequirements<'_>) -> Result<(), Problem> {
    let (now, skew) = (expected.now, expected.skew.max(0));
    let issued =
        numeric_date(payload, "iat")?.ok_or_else(|| Problem::new(Code::ClaimMissing, "the key binding has no iat"))?;
    if issued > now.plus(skew) || issued.plus(expected.max_age.max(0)) < now {
        return Err(Code::KeyBindingStale.into());
    }
    if numeric_date(payload, "exp")?.is_some_and(|end| end.plus(skew) <= now) {
        return Err(Problem::new(Code::Expired, "the key binding has expired (exp)"));
    }
    if numeric_date(payload, "nbf")?.is_some_and(|start| start > now.plus(skew)) {
        return Err(Problem::new(Code::NotYetValid, "the key binding is not valid yet (nbf)"));
    }
    Ok(())
}
