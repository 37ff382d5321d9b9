//! Receipts: statements that a verifier signs after a presentation, so that the holder can prove which claims were
//! disclosed and request their erasure (spec/receipts.md).
//!
//! The verifier [issues](Receipt::issue) a [`Receipt`], and the wallet [verifies](Receipt::verify) it against the
//! answered request. The wallet can later use it to create an [`ErasureRequest`]; the verifier
//! [recognises](Receipt::verify_own) its own receipt, verifies the request, and responds with an
//! [`ErasureConfirmation`].

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::{
    Code, Problem,
    at_least::Direction,
    did::{DidUrl, Resolve},
    json::canonicalize_object,
    keys::Signer,
    query::{Threshold, path_to_text},
    secure::{jose, sd_jwt::Step},
    time::Timestamp,
    trust::statement::{StatementKind, VerificationTime, VerifiedStatement, instant},
};

mod erasure;
mod evidence;
#[cfg(test)]
mod tests;

pub use erasure::{ERASURE_TYP, ErasureConfirmation, ErasureRequest};
pub use evidence::{
    DID_CLIENT_ID_PREFIX, ErasureEvidence, EvidenceAnchors, ExportedReceipt, REQUEST_TYP, ReceiptEvidence, SignerProof,
};

const RECEIPT: StatementKind = StatementKind { type_name: "PresentationReceipt", invalid_code: Code::ReceiptInvalid };

/// Maximum number of disclosed credentials, and of holder keys.
const MAX_SHOWN: usize = crate::verify::MAX_PRESENTATIONS;
/// Maximum number of paths and of thresholds of a credential, and of retained claims.
const MAX_PATHS: usize = 256;
/// Maximum number of uses of an entitlement.
pub const MAX_USES: u32 = 1_000;
/// Maximum length of a path or credential type, in characters.
const MAX_NAME: usize = 1_000;

/// Content of a receipt. It contains no claim values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptContent {
    /// Verifier's id of the presentation request.
    #[serde(rename = "request")]
    pub request_id: String,
    /// [Digest](request_digest) of the answered request object.
    pub request_digest: String,
    /// [Digest](presentation_digest) of the presentation as received; `None` in older receipts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presentation_digest: Option<String>,
    /// Intended use: the id of the request template. Empty for a query without a template.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub intended_use: String,
    /// Purpose, by language tag; English is required.
    pub purpose: BTreeMap<String, String>,
    /// `true` if the verifier accepted the presentation.
    pub accepted: bool,
    /// Stable code of the first failed check; `None` if accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Disclosed credentials, as the verifier read them.
    #[serde(rename = "shown")]
    pub disclosed: Vec<DisclosedCredential>,
    /// Thumbprints (RFC 7638, SHA-256) of the holder keys that signed the presentation. The holder of any of them may
    /// request erasure.
    pub holder_keys: Vec<String>,
    /// Use of an entitlement that the presentation redeemed; `None` if it redeemed none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redeemed: Option<RedeemedUse>,
    /// Time at which the verifier verified the presentation.
    #[serde(with = "instant")]
    pub verified_at: Timestamp,
    /// Time at which the verification result will be erased.
    #[serde(with = "instant")]
    pub erase_at: Timestamp,
    /// Claims whose values the verifier retains; usually none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[serde(rename = "keeps")]
    pub retained: Vec<RetainedClaim>,
}

/// Disclosures of one presented credential.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DisclosedCredential {
    /// Id of the credential query that it answers.
    pub query_id: String,
    /// Name of its type in the catalogue.
    #[serde(rename = "type")]
    pub credential_type: String,
    /// DID of its issuer; `None` if it could not be determined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Claims whose values were disclosed, as text by [`path_to_text`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// Proved thresholds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<DisclosedThreshold>,
}

/// Use of an entitlement that the verifier counted for an accepted presentation (spec/entitlement.md).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedeemedUse {
    /// Id of the credential query that the entitlement answered.
    pub query_id: String,
    /// Number of the use, from 1; `None` if the use is identified by a serial, which does not reveal the number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u32>,
    /// Total number of uses, up to [`MAX_USES`]; `None` if uses are identified by serials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(rename = "of")]
    pub total: Option<u32>,
}

/// Proved threshold: the claim, and the bound as requested.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DisclosedThreshold {
    path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at_least: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at_most: Option<Value>,
}

/// Claim whose value the verifier retains, by its policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetainedClaim {
    /// Claim, as text by [`path_to_text`].
    pub path: String,
    /// Time at which the value will be erased.
    #[serde(with = "instant")]
    pub erase_at: Timestamp,
}

/// Values that a wallet expects in a receipt, and the time and tolerance of the verification.
#[derive(Debug, Clone, Copy)]
pub struct ExpectedReceipt<'a> {
    /// DID of the verifier.
    pub verifier: &'a str,
    /// [Digest](request_digest) of the answered request object.
    pub request_digest: &'a str,
    /// [Digest](presentation_digest) of the presentation; `None` if unknown. It is compared if the receipt has one too.
    pub presentation_digest: Option<&'a str>,
    /// Current time.
    pub now: Timestamp,
    /// Tolerated clock skew, in seconds.
    pub skew: i64,
}

/// Receipt that was issued or verified by this library.
#[derive(Debug, Clone, PartialEq)]
pub struct Receipt {
    content: ReceiptContent,
    verifier: String,
    document: Map<String, Value>,
    digest: String,
}

/// Returns the base64url SHA-256 of a request object's text, which identifies the request in receipts, approvals and
/// logs.
#[must_use]
pub fn request_digest(request_object: &str) -> String {
    digest(request_object.as_bytes())
}

/// Returns the base64url SHA-256 of the RFC 8785 text of a `vp_token` (OpenID4VP 1.0 section 8.1): an object with an
/// array of presentations, as sent and in the order sent, for each credential query. It identifies the presentation for
/// a party that has it, and reveals nothing to a party that has only the digest, since each presentation contains a
/// signature over the request's nonce.
///
/// # Errors
/// `proof_generation` if the object cannot be serialised.
pub fn presentation_digest(vp_token: &BTreeMap<String, Vec<String>>) -> Result<String, Problem> {
    let text = serde_jcs::to_vec(vp_token).map_err(|_| Problem::from(Code::ProofGeneration))?;
    // The text contains claims, so it is zeroized.
    Ok(digest(&Zeroizing::new(text)))
}

impl Receipt {
    /// Signs a receipt. `kid` is an Ed25519 verification method of the verifier's DID.
    ///
    /// # Errors
    /// `receipt_invalid` for content that exceeds a limit; `algorithm_mismatch`, `proof_generation`.
    pub fn issue(content: ReceiptContent, kid: &DidUrl, signer: &dyn Signer, now: Timestamp) -> Result<Self, Problem> {
        content.check()?;
        let document = RECEIPT.sign(&content, (now, None), kid, signer)?;
        Self::from_parts(content, kid.did().as_str().to_owned(), document)
    }

    /// Verifies a receipt for the holder: its signature, its limits, and that it is from the expected verifier and for
    /// the expected request and presentation.
    ///
    /// # Errors
    /// `receipt_mismatch` (wrong verifier, request or presentation), `receipt_invalid`, `not_yet_valid`, and those of
    /// [`data_integrity::verify`](crate::secure::data_integrity::verify) and
    /// [`Credential::parse`](crate::credential::Credential::parse).
    pub fn verify(
        document: &Map<String, Value>,
        expected: &ExpectedReceipt<'_>,
        resolver: &dyn Resolve,
    ) -> Result<Self, Problem> {
        let clock = VerificationTime { now: expected.now, skew: expected.skew };
        let receipt = Self::verify_statement(document, expected.verifier, clock, resolver)?;
        if receipt.content.request_digest != expected.request_digest {
            return Err(Problem::new(Code::ReceiptMismatch, "the receipt is for another request"));
        }
        let named = receipt.content.presentation_digest.as_deref();
        match expected.presentation_digest.zip(named) {
            Some((sent, named)) if sent != named => {
                Err(Problem::new(Code::ReceiptMismatch, "the receipt is for another presentation"))
            }
            _ => Ok(receipt),
        }
    }

    /// Verifies a receipt that a holder returns to the verifier: the verifier itself must have signed it. The digests
    /// of the request and the presentation are not compared.
    ///
    /// # Errors
    /// As [`Self::verify`], except for a wrong request or presentation.
    pub fn verify_own(
        document: &Map<String, Value>,
        verifier: &str,
        now: Timestamp,
        skew: i64,
        resolver: &dyn Resolve,
    ) -> Result<Self, Problem> {
        Self::verify_statement(document, verifier, VerificationTime { now, skew }, resolver)
    }

    fn verify_statement(
        document: &Map<String, Value>,
        verifier: &str,
        clock: VerificationTime,
        resolver: &dyn Resolve,
    ) -> Result<Self, Problem> {
        let statement =
            RECEIPT.verify::<ReceiptContent>(document, |issuer| require_verifier(issuer, verifier), clock, resolver)?;
        let VerifiedStatement { issuer, subject: content, .. } = statement;
        content.check()?;
        clock.require_past(content.verified_at, "its verified_at")?;
        Self::from_parts(content, issuer, document.clone())
    }

    fn from_parts(content: ReceiptContent, verifier: String, document: Map<String, Value>) -> Result<Self, Problem> {
        let digest = digest(&canonicalize_object(&document)?);
        Ok(Self { content, verifier, document, digest })
    }

    /// Returns the content of the receipt.
    #[must_use]
    pub fn content(&self) -> &ReceiptContent {
        &self.content
    }

    /// Returns the verifier's DID.
    #[must_use]
    pub fn verifier(&self) -> &str {
        &self.verifier
    }

    /// Returns the signed document.
    #[must_use]
    pub fn document(&self) -> &Map<String, Value> {
        &self.document
    }

    /// Returns the base64url SHA-256 of the document's canonical text (RFC 8785), including the proof.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

impl ReceiptContent {
    fn check(&self) -> Result<(), Problem> {
        RECEIPT.check_identifier(&self.request_id, "request")?;
        check_digest(&self.request_digest, "request_digest")?;
        if let Some(presented) = &self.presentation_digest {
            check_digest(presented, "presentation_digest")?;
        }
        if !self.intended_use.is_empty() {
            RECEIPT.check_identifier(&self.intended_use, "intended_use")?;
        }
        RECEIPT.check_texts(&self.purpose, "purpose")?;
        match &self.reason {
            None => RECEIPT.require(self.accepted, "reason", "is required if the presentation was refused")?,
            Some(reason) => {
                RECEIPT.require(!self.accepted, "reason", "is not allowed if the presentation was accepted")?;
                RECEIPT.check_identifier(reason, "reason")?;
            }
        }
        RECEIPT.check_count(self.disclosed.len(), 0..=MAX_SHOWN, "shown")?;
        self.disclosed.iter().try_for_each(DisclosedCredential::check)?;
        RECEIPT.check_count(self.holder_keys.len(), 0..=MAX_SHOWN, "holder_keys")?;
        self.holder_keys.iter().try_for_each(|thumbprint| check_digest(thumbprint, "holder_keys"))?;
        if let Some(redeemed) = &self.redeemed {
            let RedeemedUse { query_id, number, total: of } = redeemed;
            RECEIPT.require(self.accepted, "redeemed", "is not allowed if the presentation was refused")?;
            let shown = self.disclosed.iter().any(|shown| shown.query_id == *query_id);
            RECEIPT.require(shown, "redeemed", "names a query without a presentation")?;
            let counted = match (number, of) {
                (Some(number), Some(of)) => (1..=*of).contains(number) && *of <= MAX_USES,
                (None, None) => true,
                _ => false,
            };
            RECEIPT.require(
                counted,
                "redeemed",
                "must state both a use and the number of uses, which is at least as high, or neither",
            )?;
        }
        let in_order = |end: Timestamp| end >= self.verified_at;
        RECEIPT.require(in_order(self.erase_at), "erase_at", "is before verified_at")?;
        RECEIPT.check_count(self.retained.len(), 0..=MAX_PATHS, "keeps")?;
        self.retained.iter().try_for_each(|kept| {
            RECEIPT.check_text(&kept.path, "keeps", MAX_NAME)?;
            RECEIPT.require(in_order(kept.erase_at), "keeps", "has an erase_at before verified_at")
        })
    }
}

impl DisclosedCredential {
    fn check(&self) -> Result<(), Problem> {
        RECEIPT.check_identifier(&self.query_id, "query_id")?;
        RECEIPT.check_text(&self.credential_type, "type", MAX_NAME)?;
        if let Some(issuer) = &self.issuer {
            RECEIPT.check_did(issuer, "issuer")?;
        }
        RECEIPT.check_count(self.paths.len(), 0..=MAX_PATHS, "paths")?;
        self.paths.iter().try_for_each(|path| RECEIPT.check_text(path, "paths", MAX_NAME))?;
        RECEIPT.check_count(self.thresholds.len(), 0..=MAX_PATHS, "thresholds")?;
        self.thresholds.iter().try_for_each(DisclosedThreshold::check)
    }
}

impl DisclosedThreshold {
    /// Creates the entry for a proved threshold of the claim at `path`.
    #[must_use]
    pub fn new(path: &[Step], threshold: &Threshold) -> Self {
        let bound = |direction| (threshold.direction() == direction).then(|| threshold.bound().clone());
        Self { path: path_to_text(path), at_least: bound(Direction::AtLeast), at_most: bound(Direction::AtMost) }
    }

    /// Returns the claim, as text by [`path_to_text`].
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the proved threshold. It cannot fail for a verified receipt.
    ///
    /// # Errors
    /// `receipt_invalid`: not exactly one bound, or a malformed one.
    pub fn threshold(&self) -> Result<Threshold, Problem> {
        let (direction, bound) = match (&self.at_least, &self.at_most) {
            (Some(bound), None) => (Direction::AtLeast, bound),
            (None, Some(bound)) => (Direction::AtMost, bound),
            _ => return Err(RECEIPT.problem("a threshold must have one of at_least and at_most")),
        };
        Threshold::new(direction, bound.clone()).map_err(|problem| RECEIPT.problem(problem.detail))
    }

    fn check(&self) -> Result<(), Problem> {
        RECEIPT.check_text(&self.path, "thresholds", MAX_NAME)?;
        self.threshold().map(|_| ())
    }
}

/// Checks that two DIDs of verifiers are equal.
fn require_verifier(issuer: &str, verifier: &str) -> Result<(), Problem> {
    if issuer == verifier {
        Ok(())
    } else {
        Err(Problem::new(Code::ReceiptMismatch, "it was signed by another verifier"))
    }
}

fn digest(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(bytes))
}

fn check_digest(text: &str, what: &str) -> Result<(), Problem> {
    let holds = text.len() == 43 && jose::decode_base64url(text, what).is_ok();
    RECEIPT.require(holds, what, "is not a SHA-256 in base64url")
}
