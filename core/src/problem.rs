//! Problems: errors with a stable code and a problem type of the W3C specifications.

use std::fmt;

macro_rules! codes {
    ($($variant:ident, $code:literal, $problem_type:expr, $doc:literal;)*) => {
        /// Stable error code. The string form never changes once released.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Code { $(#[doc = $doc] $variant,)* }

        impl Code {
            /// All codes, for documentation and tests.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// Returns the stable name in `snake_case`; in upper case, it is the `reason` in protocol errors.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $code,)* }
            }

            /// Returns the URL of the problem type of VCDM 2.0 section 7.1, Data Integrity 1.0 section 4.7 or Bitstring
            /// Status List 1.0; `about:blank` if they define none.
            #[must_use]
            pub const fn problem_type(self) -> &'static str {
                match self { $(Code::$variant => $problem_type,)* }
            }

            /// Returns the meaning of the code, in one sentence.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Code::$variant => $doc,)* }
            }
        }
    };
}

const PARSING: &str = "https://www.w3.org/TR/vc-data-model#PARSING_ERROR";
const CRYPTO: &str = "https://www.w3.org/TR/vc-data-model#CRYPTOGRAPHIC_SECURITY_ERROR";
const MALFORMED: &str = "https://www.w3.org/TR/vc-data-model#MALFORMED_VALUE_ERROR";
const RANGE: &str = "https://www.w3.org/TR/vc-data-model#RANGE_ERROR";
const PROOF: &str = "https://w3id.org/security#PROOF_VERIFICATION_ERROR";
const TRANSFORM: &str = "https://w3id.org/security#PROOF_TRANSFORMATION_ERROR";
const GENERATION: &str = "https://w3id.org/security#PROOF_GENERATION_ERROR";
const DOMAIN: &str = "https://w3id.org/security#INVALID_DOMAIN_ERROR";
const CHALLENGE: &str = "https://w3id.org/security#INVALID_CHALLENGE_ERROR";
const METHOD: &str = "https://w3id.org/security#INVALID_VERIFICATION_METHOD";
const RELATIONSHIP: &str = "https://w3id.org/security#INVALID_RELATIONSHIP_FOR_VERIFICATION_METHOD";
const RETRIEVAL: &str = "https://www.w3.org/ns/credentials/status-list#STATUS_RETRIEVAL_ERROR";
const LIST: &str = "https://www.w3.org/ns/credentials/status-list#STATUS_VERIFICATION_ERROR";
const LENGTH: &str = "https://www.w3.org/ns/credentials/status-list#STATUS_LIST_LENGTH_ERROR";
const OURS: &str = "about:blank";

codes! {
    // Bytes and JSON
    TooLarge, "too_large", PARSING, "The input is larger than its limit.";
    TooDeep, "too_deep", PARSING, "The JSON nests deeper than its limit.";
    InvalidJson, "invalid_json", PARSING, "The input is not JSON.";
    DuplicateKey, "duplicate_key", PARSING, "A JSON object has the same name twice.";
    NumberRange, "number_range", PARSING, "A number is outside the I-JSON range (RFC 7493).";
    InvalidUnicode, "invalid_unicode", PARSING, "A string has a lone surrogate or is not UTF-8.";
    InvalidEncoding, "invalid_encoding", PARSING, "The text is not valid base64url, base58 or multibase.";
    UnknownFormat, "unknown_format", PARSING, "The input is in an unsupported format.";
    // The data model
    ContextMissing, "context_missing", MALFORMED, "The first @context is not that of VCDM 2.0.";
    ContextUnknown, "context_unknown", MALFORMED, "A context is not bundled, or not permitted in the document.";
    ContextNested, "context_nested", MALFORMED, "An @context is below the top level of the document.";
    ContextTampered, "context_tampered", MALFORMED, "A bundled context does not match its pinned digest.";
    TermUndefined, "term_undefined", MALFORMED, "A term is not defined by any context.";
    TypeMissing, "type_missing", MALFORMED, "A mandatory type is missing.";
    MalformedValue, "malformed_value", MALFORMED, "A property has a value that the data model does not allow.";
    SubjectEmpty, "subject_empty", MALFORMED, "A credential subject makes no claim.";
    DateMalformed, "date_malformed", MALFORMED, "A date or time is malformed, does not exist, or lacks its UTC offset.";
    ValidityReversed, "validity_reversed", MALFORMED, "validFrom is after validUntil.";
    // Keys and DIDs
    KeyInvalid, "key_invalid", CRYPTO, "A key is malformed, of an unsupported kind, revoked, expired or retired.";
    PrivateKeyExposed, "private_key_exposed", CRYPTO, "There is private key material in place of a public key.";
    DidMalformed, "did_malformed", MALFORMED, "A DID or DID URL is malformed.";
    DidUnsupported, "did_unsupported", METHOD, "The DID method is not supported.";
    DidUnresolved, "did_unresolved", METHOD, "The DID document could not be fetched.";
    DidDocumentInvalid, "did_document_invalid", METHOD, "The DID document is malformed, or is that of another DID.";
    DidLogInvalid, "did_log_invalid", METHOD, "The DID log does not prove its history.";
    DidLogForked, "did_log_forked", METHOD, "The DID log does not continue the one seen before.";
    DidLogWitness, "did_log_witness", METHOD, "Too few witnesses have signed the DID log.";
    DidDeactivated, "did_deactivated", METHOD, "The DID is deactivated.";
    MethodUnknown, "method_unknown", METHOD, "The verification method is not in the controller's document.";
    IssuerKeyUnknown, "issuer_key_unknown", METHOD, "The cached issuer document lacks the key; fetch a newer one.";
    MethodController, "method_controller", METHOD, "The verification method's controller is not the DID.";
    MethodRelationship, "method_relationship", RELATIONSHIP, "The key is not authorised for this purpose.";
    MethodOfOther, "method_of_other", METHOD, "The verification method belongs to a party other than the expected one.";
    AddressForbidden, "address_forbidden", METHOD, "The address is not allowed to be fetched.";
    // Signatures and tokens
    SignatureInvalid, "signature_invalid", CRYPTO, "The signature is invalid.";
    AlgorithmForbidden, "algorithm_forbidden", CRYPTO, "The algorithm is not accepted.";
    AlgorithmMismatch, "algorithm_mismatch", CRYPTO, "The algorithm does not match the key.";
    TokenMalformed, "token_malformed", PARSING, "The token is not a well-formed JWS, SD-JWT or CWT.";
    TokenType, "token_type", CRYPTO, "The token's typ is missing or wrong.";
    HeaderKeyUnanchored, "header_key_unanchored", CRYPTO, "The header does not identify a key of the expected party.";
    HeaderKeyAmbiguous, "header_key_ambiguous", CRYPTO, "The header must name its key in exactly one way.";
    HeaderCritical, "header_critical", CRYPTO, "The header has a critical extension that is not understood.";
    ClaimForbidden, "claim_forbidden", MALFORMED, "The token, credential or presentation has a forbidden member.";
    ClaimMissing, "claim_missing", MALFORMED, "The token lacks a required claim.";
    IssuerMismatch, "issuer_mismatch", CRYPTO, "The token's iss differs from the credential's issuer.";
    Expired, "expired", RANGE, "A credential, token, proof or statement has expired.";
    NotYetValid, "not_yet_valid", RANGE, "A credential, token, proof or statement is not valid yet.";
    // Data Integrity
    ProofMissing, "proof_missing", PROOF, "There is no proof.";
    ProofMalformed, "proof_malformed", PROOF, "The proof is malformed.";
    ProofPurpose, "proof_purpose", PROOF, "The proof was made for another purpose.";
    ProofExpired, "proof_expired", PROOF, "The proof has expired.";
    ProofChain, "proof_chain", PROOF, "previousProof does not name a valid proof.";
    ProofContext, "proof_context", PROOF, "The document's contexts differ from those that were signed.";
    CryptosuiteUnknown, "cryptosuite_unknown", PROOF, "The cryptosuite is not supported.";
    Transformation, "transformation", TRANSFORM, "The document could not be canonicalised.";
    ProofGeneration, "proof_generation", GENERATION, "The proof could not be made.";
    ChallengeMissing, "challenge_missing", CHALLENGE, "The presentation has no challenge or nonce.";
    ChallengeMismatch, "challenge_mismatch", CHALLENGE, "The challenge or nonce is not the requested one.";
    DomainMissing, "domain_missing", DOMAIN, "The presentation names no audience.";
    DomainMismatch, "domain_mismatch", DOMAIN, "The presentation is for a different audience.";
    // SD-JWT
    DisclosureMalformed, "disclosure_malformed", PARSING, "A disclosure is malformed.";
    DisclosureDuplicate, "disclosure_duplicate", CRYPTO, "A digest or a disclosure occurs twice.";
    DisclosureUnreferenced, "disclosure_unreferenced", CRYPTO, "A disclosure matches no digest in the credential.";
    DisclosureName, "disclosure_name", CRYPTO, "A disclosure has a reserved name.";
    DisclosureOverrides, "disclosure_overrides", CRYPTO, "A disclosure would overwrite an existing claim.";
    DisclosureForbidden, "disclosure_forbidden", CRYPTO, "A claim that must not be hidden is selectively disclosable.";
    DigestAlgorithm, "digest_algorithm", CRYPTO, "The digest algorithm is not accepted.";
    KeyBindingMissing, "key_binding_missing", CRYPTO, "The holder did not prove possession of the key.";
    KeyBindingUnexpected, "key_binding_unexpected", CRYPTO, "A key binding is not allowed here.";
    KeyBindingKey, "key_binding_key", CRYPTO, "The key binding is signed with a key other than the credential's.";
    KeyBindingHash, "key_binding_hash", CRYPTO, "The key binding covers other disclosures.";
    KeyBindingStale, "key_binding_stale", CRYPTO, "The key binding is too old, or from the future.";
    HolderMismatch, "holder_mismatch", CRYPTO, "The holder is not the subject of the credential.";
    CopyMarked, "copy_marked", OURS, "Verifiers could recognise the copy of the credential by a mark in it.";
    // At-least proofs
    ThresholdInvalid, "threshold_invalid", RANGE, "A value or threshold is out of range, or cannot be compared.";
    ThresholdUnmet, "threshold_unmet", OURS, "The value does not satisfy the threshold.";
    ThresholdUnproven, "threshold_unproven", CRYPTO, "The presentation does not prove the threshold.";
    // Trust, status, query, exchange
    IssuerUntrusted, "issuer_untrusted", OURS, "The issuer is not accepted for this type.";
    TypeUnknown, "type_unknown", OURS, "The credential's type is not in the catalogue.";
    SchemaViolation, "schema_violation", OURS, "The credential does not match its type's schema.";
    SchemaIndeterminate, "schema_indeterminate", OURS, "The schema could not be applied; that counts as a failure.";
    StatusListInvalid, "status_list_invalid", LIST, "A status list is malformed.";
    StatusListMismatch, "status_list_mismatch", LIST, "A status list is not the one that the credential names.";
    StatusListLength, "status_list_length", LENGTH, "A status list is too short to hide which entry is read.";
    StatusListStale, "status_list_stale", RETRIEVAL, "A status list is too old.";
    StatusListUnavailable, "status_list_unavailable", RETRIEVAL, "A status list could not be fetched; that counts as a failure.";
    StatusListIssuer, "status_list_issuer", LIST, "The signer of a status list is not authorised by the issuer.";
    StatusPurpose, "status_purpose", LIST, "A status list has a different purpose than the credential states.";
    StatusIndex, "status_index", RANGE, "A status index is malformed, or outside its list.";
    Revoked, "revoked", OURS, "The credential is revoked.";
    Suspended, "suspended", OURS, "The credential is suspended.";
    StatusUnsupported, "status_unsupported", OURS, "The credential has an unsupported kind of status.";
    QueryMalformed, "query_malformed", OURS, "The query is malformed.";
    QueryUnmet, "query_unmet", OURS, "The presentation does not answer the query.";
    ClaimUnrequested, "claim_unrequested", OURS, "The presentation contains unrequested data.";
    HolderMissing, "holder_missing", OURS, "The query accepts several credentials without a holder rule.";
    HolderDiffers, "holder_differs", OURS, "The credentials do not satisfy the query's holder rule.";
    DistinctMissing, "distinct_missing", OURS, "The query asks for several credentials without a distinguishing claim.";
    CredentialRepeated, "credential_repeated", OURS, "One credential is presented more than once.";
    RequestMalformed, "request_malformed", OURS, "The request is malformed.";
    ClientIdMismatch, "client_id_mismatch", OURS, "The signed request is from a different party than its link.";
    TransactionDataUnsupported, "transaction_data_unsupported", OURS, "Transaction data is not supported.";
    ResponseEncryption, "response_encryption", OURS, "The response is not encrypted as the request demands, or repeats an ephemeral key.";
    DecryptionFailed, "decryption_failed", CRYPTO, "The token cannot be decrypted.";
    NonceReplayed, "nonce_replayed", OURS, "The nonce is used or unknown.";
    // Trust lists
    TrustListInvalid, "trust_list_invalid", OURS, "The trust list is malformed, or differs from the pinned one.";
    TrustListOperator, "trust_list_operator", OURS, "An operator, or its key, has already signed the trust list.";
    TrustListQuorum, "trust_list_quorum", OURS, "Too few operators have signed the trust list.";
    TrustListRollback, "trust_list_rollback", OURS, "The trust list is older than one seen before.";
    TrustListJump, "trust_list_jump", OURS, "The trust list's number is too far above the previous one.";
    TrustListTimestamp, "trust_list_timestamp", OURS, "The trust list's timestamp is malformed, for another list, or \
                                                       by a signer that the list does not name.";
    TrustListStale, "trust_list_stale", OURS, "The trust list has no fresh timestamp, so there may be a newer list.";
    TrustListConflict, "trust_list_conflict", OURS, "The trust list contradicts, or does not continue, one seen \
                                                     before.";
    // Registrations, receipts and erasure
    RegistrationInvalid, "registration_invalid", OURS, "The registration is malformed.";
    RegistrarUntrusted, "registrar_untrusted", OURS, "The registration is not by a trusted registrar.";
    RegistrationMismatch, "registration_mismatch", OURS, "The registration belongs to another verifier.";
    ReceiptInvalid, "receipt_invalid", OURS, "The receipt or confirmation is malformed.";
    ReceiptMismatch, "receipt_mismatch", OURS, "The receipt or confirmation is by another verifier, or for another \
                                                request, presentation or receipt.";
    ReceiptKeyUnproven, "receipt_key_unproven", OURS, "No trusted registrar vouches for the key that signed the \
                                                       receipt.";
    ErasureUnproven, "erasure_unproven", OURS, "The erasure request is not proved by the receipt and a key of the \
                                                presentation.";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Error with a stable [`Code`] and an explanation for people.
///
/// The explanation never contains a claim's value or a secret: it names a path or a property.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {detail}")]
pub struct Problem {
    /// Stable error code.
    pub code: Code,
    /// Explanation for a person; names a path or a property, never its value.
    pub detail: String,
}

impl Problem {
    /// Creates a problem. `detail` must not contain a secret or the value of a claim.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }

    /// Returns the text of this problem for the detail of another one with the code `outer`: with its own code, unless
    /// that is the same.
    ///
    /// # Examples
    /// ```
    /// use carnet_core::{Code, Problem};
    ///
    /// let problem = Problem::new(Code::InvalidJson, "a string is missing");
    /// assert_eq!(problem.text_within(Code::InvalidJson), "a string is missing");
    /// assert_eq!(problem.text_within(Code::DidDocumentInvalid), "invalid_json: a string is missing");
    /// ```
    #[must_use]
    pub fn text_within(&self, outer: Code) -> String {
        if self.code == outer { self.detail.clone() } else { self.to_string() }
    }
}

impl From<Code> for Problem {
    fn from(code: Code) -> Self {
        Self::new(code, code.meaning())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_snake_case() {
        let mut seen = std::collections::HashSet::new();
        for code in Code::ALL {
            assert!(seen.insert(code.as_str()), "{code} twice");
            assert!(code.as_str().chars().all(|c| c.is_ascii_lowercase() || c == '_'));
        }
    }
}
