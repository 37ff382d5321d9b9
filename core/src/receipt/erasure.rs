//! Erasure requests by receipt, and signed confirmations of erasure (spec/receipts.md sections 4 and 5).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Receipt, require_verifier};
use crate::{
    Code, Problem,
    did::{DidUrl, Resolve},
    keys::Signer,
    secure::jose::{self, Jws, KeyRef, numeric_date},
    time::Timestamp,
    trust::statement::{StatementKind, VerificationTime, instant},
};

/// The `typ` of an erasure request.
pub const ERASURE_TYP: &str = "carnet-erasure+jwt";
/// Members of an erasure request: those of its header, and those of its payload.
const PERMITTED_MEMBERS: ([&str; 3], [&str; 3]) = (["alg", "jwk", "typ"], ["aud", "iat", "receipt_digest"]);

pub(super) const CONFIRMATION: StatementKind =
    StatementKind { type_name: "ErasureConfirmation", invalid_code: Code::ReceiptInvalid };

fn unproven(what: &str) -> Problem {
    Problem::new(Code::ErasureUnproven, what)
}

/// Verified erasure request: it is signed with a key that signed the presentation. It has no nonce, since a replay has
/// no effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErasureRequest {
    receipt_digest: String,
    issued_at: Timestamp,
}

impl ErasureRequest {
    /// Creates an erasure request to the verifier of a receipt, as a compact JWS. `signer` is the key of a presented
    /// copy.
    ///
    /// # Errors
    /// `erasure_unproven` if the receipt does not name the key; `algorithm_forbidden` for a P-384 key;
    /// `proof_generation`.
    pub fn sign(receipt: &Receipt, signer: &dyn Signer, now: Timestamp) -> Result<String, Problem> {
        let key = signer.public_key();
        if !receipt.content().holder_keys.contains(&key.thumbprint()) {
            return Err(unproven("the receipt does not name this key"));
        }
        let header =
            Map::from_iter([("typ".to_owned(), ERASURE_TYP.into()), ("jwk".to_owned(), Value::Object(key.to_jwk()))]);
        let payload = Map::from_iter([
            ("aud".to_owned(), receipt.verifier().into()),
            ("iat".to_owned(), now.unix().into()),
            ("receipt_digest".to_owned(), receipt.digest().into()),
        ]);
        jose::sign(header, &payload, signer)
    }

    /// Verifies a request together with its receipt, which the verifier has [recognised](Receipt::verify_own) as its
    /// own. `max_age` (since `iat`) and `skew` are in seconds.
    ///
    /// # Errors
    /// `token_type`, `erasure_unproven` (the key is not in the receipt, or the request is for another receipt),
    /// `domain_mismatch` (to another verifier), `domain_missing`, `claim_missing` (no `iat`), `malformed_value` (an
    /// unknown member), `expired`, `not_yet_valid`, and those of [`Jws::parse`] and [`Jws::verify`].
    pub fn verify(token: &str, receipt: &Receipt, now: Timestamp, max_age: i64, skew: i64) -> Result<Self, Problem> {
        let jws = Jws::parse(token)?;
        jws.require_typ(ERASURE_TYP)?;
        let KeyRef::Jwk(key) = jws.key_ref() else {
            return Err(unproven("the header does not have the key that signed it"));
        };
        if !receipt.content().holder_keys.contains(&key.thumbprint()) {
            return Err(unproven("it is signed with a key that did not sign the presentation"));
        }
        jws.verify(key)?;
        jws.require_known_members(&PERMITTED_MEMBERS.0, &PERMITTED_MEMBERS.1)?;
        let claim = |name: &str| jws.payload().get(name);
        if claim("aud").ok_or(Code::DomainMissing)? != &json!(receipt.verifier()) {
            return Err(Problem::new(Code::DomainMismatch, "the erasure request is for another verifier"));
        }
        if claim("receipt_digest") != Some(&json!(receipt.digest())) {
            return Err(unproven("it is for another receipt"));
        }
        let made = numeric_date(jws.payload(), "iat")?
            .ok_or_else(|| Problem::new(Code::ClaimMissing, "the erasure request has no iat"))?;
        let clock = VerificationTime { now, skew };
        clock.require_past(made, "its iat")?;
        clock.require_not_expired(made.plus(max_age), "the time to bring it")?;
        Ok(Self { receipt_digest: receipt.digest().to_owned(), issued_at: made })
    }

    /// Returns the [digest](Receipt::digest) of the receipt.
    #[must_use]
    pub fn receipt_digest(&self) -> &str {
        &self.receipt_digest
    }

    /// Returns the time at which the request was signed (`iat`).
    #[must_use]
    pub fn issued_at(&self) -> Timestamp {
        self.issued_at
    }
}

/// Signed confirmation by a verifier that it has erased the data of a receipt.
#[derive(Debug, Clone, PartialEq)]
pub struct ErasureConfirmation {
    content: ConfirmationContent,
    document: Map<String, Value>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfirmationContent {
    receipt_digest: String,
    request: String,
    #[serde(with = "instant")]
    erased_at: Timestamp,
}

impl ErasureConfirmation {
    /// Creates a confirmation that the data of `receipt` were erased. `kid` is an Ed25519 verification method of the
    /// receipt's verifier.
    ///
    /// # Errors
    /// `receipt_mismatch` if `kid` belongs to another verifier; `receipt_invalid` if `erased_at` is before the
    /// verification of the presentation or after `now`; `algorithm_mismatch`, `proof_generation`.
    pub fn issue(
        receipt: &Receipt,
        erased_at: Timestamp,
        kid: &DidUrl,
        signer: &dyn Signer,
        now: Timestamp,
    ) -> Result<Self, Problem> {
        require_verifier(kid.did().as_str(), receipt.verifier())?;
        let content = ConfirmationContent {
            receipt_digest: receipt.digest().to_owned(),
            request: receipt.content().request_id.clone(),
            erased_at,
        };
        content.check(receipt)?;
        CONFIRMATION.require(erased_at <= now, "erased_at", "is in the future")?;
        let document = CONFIRMATION.sign(&content, (now, None), kid, signer)?;
        Ok(Self { content, document })
    }

    /// Verifies a confirmation for the holder of a receipt: the receipt's verifier signed it, it names this receipt and
    /// request, and the erasure is neither before the verification of the presentation nor in the future. `skew` is in
    /// seconds.
    ///
    /// # Errors
    /// `receipt_mismatch` (wrong verifier, receipt or request), `receipt_invalid`, `not_yet_valid`, and those of
    /// [`data_integrity::verify`](crate::secure::data_integrity::verify) and
    /// [`Credential::parse`](crate::credential::Credential::parse).
    pub fn verify(
        document: &Map<String, Value>,
        receipt: &Receipt,
        now: Timestamp,
        skew: i64,
        resolver: &dyn Resolve,
    ) -> Result<Self, Problem> {
        let clock = VerificationTime { now, skew };
        let accept = |issuer: &str| require_verifier(issuer, receipt.verifier());
        let content = CONFIRMATION.verify::<ConfirmationContent>(document, accept, clock, resolver)?.subject;
        content.check(receipt)?;
        clock.require_past(content.erased_at, "its erased_at")?;
        Ok(Self { content, document: document.clone() })
    }

    /// Returns the [digest](Receipt::digest) of the receipt.
    #[must_use]
    pub fn receipt_digest(&self) -> &str {
        &self.content.receipt_digest
    }

    /// Returns the verifier's id of the presentation request.
    #[must_use]
    pub fn request_id(&self) -> &str {
        &self.content.request
    }

    /// Returns the time of the erasure.
    #[must_use]
    pub fn erased_at(&self) -> Timestamp {
        self.content.erased_at
    }

    /// Returns the signed document.
    #[must_use]
    pub fn document(&self) -> &Map<String, Value> {
        &self.document
    }
}

impl ConfirmationContent {
    fn check(&self, receipt: &Receipt) -> Result<(), Problem> {
        if self.receipt_digest != receipt.digest() || self.request != receipt.content().request_id {
            return Err(Problem::new(Code::ReceiptMismatch, "the confirmation is for another receipt"));
        }
        let in_order = self.erased_at >= receipt.content().verified_at;
        CONFIRMATION.require(in_order, "erased_at", "is before the presentation was verified")
    }
}
