//! Receipts as evidence: a receipt with its request, which a third party can verify offline and without trusting the
//! wallet (spec/receipts.md section 6).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{ErasureConfirmation, ExpectedReceipt, RECEIPT, Receipt, request_digest, require_verifier};
use crate::{
    Code, Problem,
    did::{Did, DidUrl, Resolve, SelfContainedResolver, VerificationRelationship},
    json::{self, Limits},
    secure::jose::{Jws, KeyRef},
    time::Timestamp,
    trust::registration::{ExpectedRegistration, ReceiptKeyState, Registration, registrations_in_request},
};

/// The `typ` of a request object.
pub const REQUEST_TYP: &str = "oauth-authz-req+jwt";
/// Client identifier prefix of a verifier that is identified by its DID (OpenID4VP 1.0 section 5.9.3).
pub const DID_CLIENT_ID_PREFIX: &str = "decentralized_identifier:";
/// The `type` of an exported receipt.
const FORMAT: &str = "carnet-receipt/1";

/// Receipt as exported by a wallet. Its content is unverified; [`ReceiptEvidence::verify`] verifies it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportedReceipt {
    #[serde(rename = "type")]
    pub(super) format: String,
    /// Signed receipt.
    pub receipt: Map<String, Value>,
    /// Signed request object; `None` if exported by an older wallet, which did not store it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// Signed confirmation of the erasure; `None` if the wallet has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmation: Option<Map<String, Value>>,
}

impl ExportedReceipt {
    /// Creates an export of unverified documents.
    #[must_use]
    pub fn new(receipt: Map<String, Value>, request: Option<String>, confirmation: Option<Map<String, Value>>) -> Self {
        Self { format: FORMAT.to_owned(), receipt, request, confirmation }
    }

    /// Parses an export; nothing in it is verified.
    ///
    /// # Errors
    /// Those of [`json::parse_object`]; `receipt_invalid` for another structure.
    pub fn parse(bytes: &[u8]) -> Result<Self, Problem> {
        // The file contains up to three documents: request, receipt and confirmation.
        let limits = Limits { max_bytes: Limits::DOCUMENT.max_bytes.saturating_mul(4), ..Limits::DOCUMENT };
        let file: Self = json::deserialize_typed(Value::Object(json::parse_object(bytes, limits)?))
            .map_err(|_| RECEIPT.problem("the file is not an exported receipt"))?;
        RECEIPT.require(file.format == FORMAT, "type", "is not that of an exported receipt")?;
        Ok(file)
    }
}

/// Trust anchors and time for the verification of an export by a third party.
#[derive(Clone, Copy)]
pub struct EvidenceAnchors<'a> {
    /// Predicate that is `true` for the DIDs of the registrars that the third party trusts. DIDs of other registrars
    /// are never resolved.
    pub is_pinned_registrar: &'a dyn Fn(&str) -> bool,
    /// Resolver for the DIDs of the registrars.
    pub resolver: &'a dyn Resolve,
    /// Current time.
    pub now: Timestamp,
    /// Tolerated clock skew, in seconds.
    pub skew: i64,
}

/// Evidence that the key that signed the receipt belongs to the verifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignerProof {
    /// The registration lists the key, and a pinned registrar signed the registration.
    Registration,
    /// The verifier's DID is derived from the key (did:key, did:jwk).
    Did,
}

/// Erasure that the confirmation in an export states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErasureEvidence {
    /// Confirmed by the verifier, with a key that is proved in the same way as the receipt's.
    Confirmed(Timestamp),
    /// Confirmed with a key without proof that it is the verifier's, such as one that is newer than the registration.
    Unproven,
}

/// Result of the verification of an exported receipt.
#[derive(Debug, Clone)]
pub struct ReceiptEvidence {
    receipt: Receipt,
    registration: Option<Registration>,
    signer_proof: SignerProof,
    request_signature_verified: bool,
    erasure: Option<ErasureEvidence>,
}

impl ReceiptEvidence {
    /// Verifies an export: the receipt is for the included request, if there is one, and is signed with a key of the
    /// verifier. The key is proved by the verifier's DID (did:key, did:jwk), or by a registration in the request that a
    /// pinned registrar signed and that was valid when the presentation was verified. The signatures of the request and
    /// of the confirmation are verified if their keys are proved in the same way; [`Self::request_signature_verified`] and
    /// [`Self::erasure`] tell the result.
    ///
    /// # Errors
    /// `receipt_key_unproven` if nothing proves that the key is the verifier's; `receipt_mismatch` if the request is
    /// another one or another verifier's; `receipt_invalid`; those of [`Receipt::verify`], [`Registration::verify`],
    /// [`ErasureConfirmation::verify`], [`Jws::parse`] and [`Jws::verify`].
    pub fn verify(file: &ExportedReceipt, pinned: &EvidenceAnchors<'_>) -> Result<Self, Problem> {
        let issuer = file.receipt.get("issuer").and_then(Value::as_str);
        let verifier = Did::parse(issuer.ok_or_else(|| RECEIPT.problem("its issuer is not a DID"))?)?;
        let request = file.request.as_deref().map(|text| NamedRequest::read(text, &verifier)).transpose()?;
        let registration = match &request {
            Some(request) => request.registration(&verifier, verified_at(&file.receipt)?, pinned)?,
            None => None,
        };
        let (resolver, signer) = resolver(&verifier, &file.receipt, registration.as_ref(), request.is_some())?;
        let digest = request.as_ref().map(|request| request_digest(request.jws.as_str()));
        let named = file.receipt.get("credentialSubject").and_then(|subject| subject.get("request_digest"));
        let expected = ExpectedReceipt {
            verifier: verifier.as_str(),
            request_digest: digest.as_deref().or(named.and_then(Value::as_str)).unwrap_or_default(),
            presentation_digest: None,
            now: pinned.now,
            skew: pinned.skew,
        };
        let receipt = Receipt::verify(&file.receipt, &expected, &*resolver)?;
        let request_signed = request.map(|request| request.verify_signature(&*resolver)).transpose()?.unwrap_or(false);
        let confirmation = file.confirmation.as_ref();
        let erasure = confirmation.map(|document| erasure(document, &receipt, pinned, &*resolver)).transpose()?;
        Ok(Self { receipt, registration, signer_proof: signer, request_signature_verified: request_signed, erasure })
    }

    /// Returns the verified receipt.
    #[must_use]
    pub fn receipt(&self) -> &Receipt {
        &self.receipt
    }

    /// Returns the registration by a pinned registrar; `None` if the request contains none, or there is no request.
    #[must_use]
    pub fn registration(&self) -> Option<&Registration> {
        self.registration.as_ref()
    }

    /// Returns the evidence that the signing key belongs to the verifier.
    #[must_use]
    pub fn signer_proof(&self) -> SignerProof {
        self.signer_proof
    }

    /// Returns whether the request's signature was verified; `false` without a request, or if its key is not proved to
    /// be the verifier's. (An invalid signature is an error of [`Self::verify`].) The receipt contains the digest of
    /// the request in either case.
    #[must_use]
    pub fn request_signature_verified(&self) -> bool {
        self.request_signature_verified
    }

    /// Returns the erasure that the confirmation states; `None` if the export has no confirmation.
    #[must_use]
    pub fn erasure(&self) -> Option<ErasureEvidence> {
        self.erasure
    }
}

/// Request object of which only the named verifier was checked; its signature is not verified yet.
struct NamedRequest {
    jws: Jws,
    method: DidUrl,
}

impl NamedRequest {
    fn read(text: &str, verifier: &Did) -> Result<Self, Problem> {
        let jws = Jws::parse(text)?;
        jws.require_typ(REQUEST_TYP)?;
        let client_id = jws.payload().get("client_id").and_then(Value::as_str).unwrap_or_default();
        require_verifier(client_id.strip_prefix(DID_CLIENT_ID_PREFIX).unwrap_or_default(), verifier.as_str())?;
        let KeyRef::Kid(kid) = jws.key_ref() else {
            return Err(Problem::new(Code::HeaderKeyAmbiguous, "the request does not name its key by kid"));
        };
        let method = DidUrl::parse(kid)?;
        require_verifier(method.did().as_str(), verifier.as_str())?;
        Ok(Self { jws, method })
    }

    /// Returns the registration by a pinned registrar, verified at an instant; `None` if no pinned registrar signed
    /// one.
    fn registration(
        &self,
        verifier: &Did,
        at: Timestamp,
        pinned: &EvidenceAnchors<'_>,
    ) -> Result<Option<Registration>, Problem> {
        let documents = registrations_in_request(self.jws.payload());
        let issuer =
            |document: &&Value| document.get("issuer").and_then(Value::as_str).is_some_and(pinned.is_pinned_registrar);
        let Some(document) = documents.iter().find(issuer).and_then(Value::as_object) else { return Ok(None) };
        let EvidenceAnchors { is_pinned_registrar: registrars, skew, .. } = *pinned;
        let expected =
            ExpectedRegistration { verifier: verifier.as_str(), is_trusted_registrar: registrars, now: at, skew };
        Registration::verify(document, &expected, pinned.resolver).map(Some)
    }

    /// Verifies the signature with the key from `resolver`; `false` if the resolver's document lacks the key.
    fn verify_signature(&self, resolver: &dyn Resolve) -> Result<bool, Problem> {
        let document = resolver.resolve(self.method.did())?;
        let Ok(key) = document.key_for(&self.method, VerificationRelationship::Authentication) else {
            return Ok(false);
        };
        self.jws.verify(&key).map(|()| true)
    }
}

/// Returns the time at which the presentation was verified, read from the receipt before its proof is verified.
fn verified_at(receipt: &Map<String, Value>) -> Result<Timestamp, Problem> {
    let subject = receipt.get("credentialSubject");
    let at = subject.and_then(|subject| subject.get("verified_at")).and_then(Value::as_str);
    Timestamp::parse(at.ok_or_else(|| RECEIPT.problem("verified_at is missing"))?)
}

/// Returns a resolver for the proved keys of the verifier, and the kind of proof.
fn resolver(
    verifier: &Did,
    receipt: &Map<String, Value>,
    registration: Option<&Registration>,
    has_request: bool,
) -> Result<(Box<dyn Resolve>, SignerProof), Problem> {
    if verifier.is_self_contained() {
        return Ok((Box::new(SelfContainedResolver), SignerProof::Did));
    }
    let unproven = |what: &str| Err(Problem::new(Code::ReceiptKeyUnproven, what));
    let Some(registration) = registration else {
        return unproven(if has_request {
            "the request contains no registration by a trusted registrar"
        } else {
            "the file has no request, and so no registration"
        });
    };
    let known = registration.relying_party().receipt_resolver()?;
    match key_standing(receipt, registration, &known)? {
        ReceiptKeyState::Registered => Ok((Box::new(known), SignerProof::Registration)),
        ReceiptKeyState::NotRegistered => unproven("the registration does not name the key that signed the receipt"),
        ReceiptKeyState::NoKeysRegistered => unproven("the registration names no receipt key"),
    }
}

/// Returns the state in the registration of the key that a receipt's proof names.
fn key_standing(
    receipt: &Map<String, Value>,
    registration: &Registration,
    known: &dyn Resolve,
) -> Result<ReceiptKeyState, Problem> {
    let named = receipt.get("proof").and_then(|proof| proof.get("verificationMethod")).and_then(Value::as_str);
    let method = DidUrl::parse(named.ok_or(Code::ProofMissing)?)?;
    let party = registration.relying_party();
    if party.receipt_keys.is_empty() {
        return Ok(ReceiptKeyState::NoKeysRegistered);
    }
    let key = known
        .resolve(method.did())
        .and_then(|document| document.key_for(&method, VerificationRelationship::AssertionMethod));
    Ok(key.map_or(ReceiptKeyState::NotRegistered, |key| party.receipt_key_state(&method, &key)))
}

fn erasure(
    document: &Map<String, Value>,
    receipt: &Receipt,
    pinned: &EvidenceAnchors<'_>,
    resolver: &dyn Resolve,
) -> Result<ErasureEvidence, Problem> {
    match ErasureConfirmation::verify(document, receipt, pinned.now, pinned.skew, resolver) {
        Ok(confirmation) => Ok(ErasureEvidence::Confirmed(confirmation.erased_at())),
        Err(problem) if problem.code == Code::MethodUnknown => Ok(ErasureEvidence::Unproven),
        Err(problem) => Err(problem),
    }
}
