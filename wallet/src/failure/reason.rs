//! Reasons of failures: stable codes, each with the party at fault.

use std::fmt;

use carnet_core::Code;
use serde::{Serialize, Serializer};

use super::FaultParty;

macro_rules! failure_reasons {
    ($($variant:ident, $code:literal, $fault:ident, $doc:literal;)*) => {
        /// Reason of a failure, with a stable code.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum FailureReason {
            $(#[doc = $doc] $variant,)*
            /// Check of core that failed, by its code.
            Check(Code),
            /// Reason of the embedding program, in `snake_case`.
            Program(&'static str),
            /// Code stated by a service and unknown to this wallet.
            Service(String),
        }

        impl FailureReason {
            /// Reasons that this wallet knows by name: its own, and those of services that it handles.
            pub const KNOWN: &'static [Self] = &[$(Self::$variant,)*];

            /// Returns the stable code in `snake_case`.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $code,)*
                    Self::Check(code) => code.as_str(),
                    Self::Program(code) => code,
                    Self::Service(code) => code,
                }
            }

            /// Returns the party at fault. An adapter replaces it if another party runs the service
            /// ([`Failure::with_fault`](super::Failure::with_fault)).
            #[must_use]
            pub const fn fault(&self) -> FaultParty {
                match self {
                    $(Self::$variant => FaultParty::$fault,)*
                    Self::Check(Code::DidUnresolved) => FaultParty::Network,
                    Self::Check(_) | Self::Program(_) | Self::Service(_) => FaultParty::Ours,
                }
            }
        }
    };
}

failure_reasons! {
    AlreadyErased, "already_erased", Ours, "The verifier has confirmed the erasure already.";
    AlreadyHeld, "already_held", Ours, "The wallet has the imported copy already.";
    AmbiguousId, "ambiguous_id", Ours, "Several credentials have an id that begins like this.";
    AmbiguousName, "ambiguous_name", Ours, "Several verifiers have this name.";
    AmbiguousReceipt, "ambiguous_receipt", Ours, "Several presentations to the verifier have a receipt.";
    ApprovalMismatch, "approval_mismatch", Ours, "The approved digest is not that of the screen.";
    ApprovalNeeded, "approval_needed", Ours, "The holder was not asked, and has not approved by digest.";
    BatchSize, "batch_size", Issuer, "The issuer refuses the number of copies.";
    ClaimAmbiguous, "claim_ambiguous", Ours, "Several requested claims have this name.";
    ClaimUnknown, "claim_unknown", Ours, "No requested claim has this name.";
    ClaimsChanged, "claims_changed", Issuer, "Refilled copies have other claims.";
    CollectionExpired, "collection_expired", Ours, "The offer of a pending issuance has expired.";
    ConfigurationNotOffered, "configuration_not_offered", Issuer, "The offer does not include the configuration.";
    ConfigurationUnknown, "configuration_unknown", Issuer, "The issuer's metadata lacks an offered configuration.";
    CopyMissing, "copy_missing", Ours, "No copy is left to present.";
    CopyUnknown, "copy_unknown", Issuer, "The issuer does not know the copy.";
    CredentialRequestDenied, "credential_request_denied", Issuer, "The issuer denied the credential request.";
    DeadlineExceeded, "deadline_exceeded", Network, "A call took too long.";
    Declined, "declined", Ours, "The holder declined.";
    EndpointUnknown, "endpoint_unknown", Ours, "The address of the issuer's service is unknown.";
    FileUnwritable, "file_unwritable", Ours, "A file cannot be written.";
    FormatUnsupported, "format_unsupported", Ours, "This wallet does not support the credential format.";
    FreshnessUnsupported, "freshness_unsupported", Issuer, "The issuer does not issue freshness statements.";
    GrantUnsupported, "grant_unsupported", Ours, "The offer has no pre-authorized code.";
    HeadUnknown, "head_unknown", Ours, "The noted head is not in the log, whose beginning was forgotten.";
    InvalidArgument, "invalid_argument", Issuer, "The service refuses the message.";
    InvalidGrant, "invalid_grant", Issuer, "The issuer refuses the code or the PIN.";
    InvalidNonce, "invalid_nonce", Issuer, "The issuer does not accept the nonce any more.";
    InvalidProof, "invalid_proof", Issuer, "The issuer refuses the proofs of possession.";
    InvalidRequest, "invalid_request", Issuer, "The issuer refuses the request.";
    InvalidToken, "invalid_token", Issuer, "The access token has expired.";
    InvalidTransactionId, "invalid_transaction_id", Issuer, "The issuer does not know the deferred transaction.";
    KeyGone, "key_gone", Ours, "The key of a presentation is not in the wallet any more.";
    LogBroken, "log_broken", Ours, "The log was changed outside of the wallet.";
    MessageTooLarge, "message_too_large", Ours, "The message is larger than the service accepts.";
    NotAnswered, "not_answered", Ours, "The holder's answer was neither yes nor no.";
    NotFound, "not_found", Ours, "The wallet or the service does not have the requested item.";
    NotRedeemed, "not_redeemed", Ours, "The offer of a pending issuance is not redeemed yet.";
    NoReceipt, "no_receipt", Ours, "The log has no receipt of the presentation.";
    NothingPending, "nothing_pending", Ours, "No issuance is pending.";
    NothingToErase, "nothing_to_erase", Ours, "No presentation can be erased.";
    NothingToForget, "nothing_to_forget", Ours, "The log has no entry before the day.";
    NothingToUndo, "nothing_to_undo", Ours, "The bin of the wallet has no such credential.";
    OfferAlreadyCollected, "offer_already_collected", Issuer, "The copies of the offer were issued for other proofs.";
    OfferAlreadyUsed, "offer_already_used", Issuer, "The offer was redeemed by another wallet.";
    OfferCancelled, "offer_cancelled", Issuer, "The issuer cancelled the offer.";
    OfferExpired, "offer_expired", Issuer, "The offer has expired.";
    OfferLocked, "offer_locked", Issuer, "The offer is locked after wrong PINs.";
    OfferMalformed, "offer_malformed", Ours, "The text is not an offer.";
    OverAsked, "over_asked", Verifier, "The request exceeds the registration, without the approval of the holder.";
    PaperFacts, "paper_facts", Ours, "The facts about a paper are missing or malformed.";
    PaperTooLarge, "paper_too_large", Ours, "A picture, or all of them, are larger than the wallet takes.";
    PaperUnsupported, "paper_unsupported", Ours, "The file is neither a picture nor a PDF.";
    PinMalformed, "pin_malformed", Ours, "The PIN does not have the form that the offer states.";
    ProofAlgorithmUnsupported, "proof_algorithm_unsupported", Ours, "The issuer accepts no algorithm of this wallet.";
    Protocol, "protocol", Issuer, "The service violates the protocol.";
    ReceiptFalse, "receipt_false", Verifier, "The receipt in the log is not valid.";
    ReceiptWithoutKey, "receipt_without_key", Verifier, "The receipt names no key of the holder.";
    RecordDamaged, "record_damaged", Ours, "The record of a pending issuance is damaged.";
    RefillUnsupported, "refill_unsupported", Ours, "The credential cannot be refilled.";
    Refused, "refused", Verifier, "The verifier refused the presentation without a reason.";
    RenewalNotLonger, "renewal_not_longer", Issuer, "The renewed copies do not expire later.";
    RenewalUnsupported, "renewal_unsupported", Ours, "The credential cannot be renewed.";
    RenewalWaiting, "renewal_waiting", Ours, "A renewal of the credential is pending.";
    RequestAttemptsExhausted, "request_attempts_exhausted", Verifier, "The request is closed after invalid responses.";
    RequestExpired, "request_expired", Verifier, "The request has expired.";
    RequestObjectsExhausted, "request_objects_exhausted", Verifier, "The verifier signs no object with a nonce for now.";
    RequestUnknown, "request_unknown", Verifier, "The verifier does not know the request.";
    System, "system", Ours, "A call of the operating system failed.";
    TransferMalformed, "transfer_malformed", Ours, "The file has no credential with its key.";
    TrustListUnreadable, "trust_list_unreadable", Ours, "The file of a trust list cannot be read.";
    Unavailable, "unavailable", Network, "The service cannot be reached.";
    WalletBusy, "wallet_busy", Ours, "Another command has locked the wallet.";
    WalletCorrupted, "wallet_corrupted", Ours, "The wallet file is damaged.";
    WalletExists, "wallet_exists", Ours, "There is a file at the path of the new wallet.";
    WalletMissing, "wallet_missing", Ours, "There is no wallet at the path.";
    WalletUnreadable, "wallet_unreadable", Ours, "The wallet file cannot be read.";
    WalletUnwritable, "wallet_unwritable", Ours, "The wallet file cannot be written.";
    WalletVersion, "wallet_version", Ours, "The wallet file has a version that this program does not support.";
    WireUnsupported, "wire_unsupported", Ours, "The protocol of the service has no such call.";
    WorkFactor, "work_factor", Ours, "Opening the file costs more than this program allows.";
    WrongPassphrase, "wrong_passphrase", Ours, "The passphrase does not open the wallet.";
}

impl FailureReason {
    /// Returns the reason with a code: one that this wallet knows by name, otherwise a check of core, otherwise one of
    /// a service.
    #[must_use]
    pub fn from_code(code: &str) -> Self {
        let check = || Code::ALL.iter().find(|check| check.as_str() == code).map(|check| Self::Check(*check));
        let known = Self::KNOWN.iter().find(|reason| reason.as_str() == code).cloned();
        known.or_else(check).unwrap_or_else(|| Self::Service(code.to_owned()))
    }
}

impl fmt::Display for FailureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for FailureReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl From<Code> for FailureReason {
    fn from(code: Code) -> Self {
        Self::Check(code)
    }
}

#[cfg(any(test, feature = "fixtures"))]
impl PartialEq<&str> for FailureReason {
    fn eq(&self, code: &&str) -> bool {
        self.as_str() == *code
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn is_stable_form(code: &str) -> bool {
        !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    }

    /// Programs rely on the codes and on the faults: a change breaks them.
    #[test]
    fn every_reason_has_its_own_stable_code_and_a_fault() {
        let stated = |reason: &FailureReason| format!("{} {}", reason.as_str(), reason.fault().as_str());
        let listed: Vec<String> = FailureReason::KNOWN.iter().map(stated).collect();
        assert_eq!(listed, include_str!("reasons.txt").lines().collect::<Vec<_>>());
        let codes: BTreeSet<&str> = FailureReason::KNOWN.iter().map(FailureReason::as_str).collect();
        assert_eq!(codes.len(), FailureReason::KNOWN.len());
        let checks: BTreeSet<&str> = Code::ALL.iter().map(|check| check.as_str()).collect();
        assert!(codes.is_disjoint(&checks), "{:?}", codes.intersection(&checks));
        for code in codes.union(&checks) {
            assert!(is_stable_form(code), "{code}");
            let reason = FailureReason::from_code(code);
            assert_eq!(reason.as_str(), *code);
            assert!(!matches!(reason, FailureReason::Service(_)), "{code}");
            assert_eq!(serde_json::json!(reason), *code);
        }
    }

    #[test]
    fn a_reason_that_only_a_service_knows_is_kept() {
        let reason = FailureReason::from_code("store_busy");
        assert_eq!(reason, FailureReason::Service("store_busy".to_owned()));
        assert_eq!(FailureReason::from_code("revoked"), FailureReason::Check(Code::Revoked));
        assert_eq!(FailureReason::Check(Code::DidUnresolved).fault(), FaultParty::Network);
    }
}
