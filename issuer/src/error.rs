//! Errors of the use cases, with a protocol-independent kind.

use std::{borrow::Cow, time::Duration};

use carnet_core::Problem;
use carnet_service::error::{CallError, ErrorKind, StoreCause, StoreError};
use carnet_spec::ClaimError;

/// Error of a use case. No variant contains a claim's value or a secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A field of the request is invalid. `reason` is the stable code on the wire.
    #[error("{field}: {description}")]
    Invalid { reason: &'static str, field: String, description: String },
    /// The claims violate the type's schema.
    #[error("{}", claim_errors_text(.0))]
    ClaimsInvalid(Vec<ClaimError>),
    #[error("This offer's code is unknown. Ask the issuer for a new offer.")]
    OfferUnknown,
    #[error("This offer has been used; an offer works only once. If it was not you, tell the issuer.")]
    OfferUsed,
    #[error("This offer is being collected. If that fails, it can be redeemed again in {seconds} seconds.")]
    RedemptionInProgress { seconds: u32 },
    #[error("This offer has expired, and its data is erased. Ask the issuer for a new one.")]
    OfferExpired,
    #[error("The issuer cancelled this offer, and its data is erased. Ask the issuer for a new one.")]
    OfferCancelled,
    #[error("Too many wrong PINs: the offer is locked, and its data is erased. Ask the issuer for a new one.")]
    OfferLocked,
    #[error("The PIN is wrong; {} left. Nothing is lost.", attempts(*.left))]
    PinWrong { left: i64 },
    #[error("This offer needs a PIN, which the issuer has sent separately.")]
    PinMissing,
    #[error("This offer has no PIN; send none.")]
    PinUnexpected,
    #[error("The access token is missing, unknown or expired. Redeem a new offer.")]
    TokenInvalid,
    #[error("This offer's credentials have already been requested with other proofs.")]
    CopiesAlreadyRequested,
    #[error(
        "These credentials were issued in answer to this request, and the answer is erased: the wallet has confirmed \
         it, or its time is over. Credentials that the wallet stored remain valid; if it has none, ask the issuer for \
         a new offer."
    )]
    ResponseErased,
    #[error("The offer is not for this credential configuration.")]
    ConfigurationNotOffered,
    #[error("proof {index} is refused: {problem}")]
    ProofInvalid { index: usize, problem: Problem },
    #[error("A key of the proofs already has a copy. Nothing was issued; draw a new key for each copy.")]
    KeyUsed,
    #[error("{0}")]
    PresentationInvalid(Problem),
    #[error(
        "This issuer cannot refill this credential. The copies that you have remain valid; ask the issuer for \
         a new offer."
    )]
    CopyUnknown,
    #[error("Only SD-JWT copies of the current version of a type are refilled: other formats disclose everything.")]
    RefillUnsupported,
    #[error("At most {per_day} copies of a credential are refilled per day. The copies that you have remain valid.")]
    RefillLimit { per_day: u32, seconds: u32 },
    #[error(
        "All {most} copies of this credential by refill have been issued. The copies that you have remain valid; ask \
         the issuer for a new offer."
    )]
    RefillTotalReached { most: u32 },
    #[error(
        "This issuer does not renew credentials of this type. Your copies are valid until their end; ask for a \
         new offer."
    )]
    RenewalUnavailable,
    #[error("Too early: this credential can be renewed from {from} on. Your copies remain valid beyond that.")]
    RenewalEarly { from: carnet_core::time::Timestamp },
    #[error("This credential has been renewed {most} times, which is the maximum. Ask the issuer for a new offer.")]
    RenewalLimit { most: u32 },
    #[error(
        "A renewal of this credential has already been requested. Nothing was changed; request it again in {seconds} \
         seconds."
    )]
    RenewalAlreadyRequested { seconds: u32 },
    #[error("The renewal is {state}, so it cannot be {verb}. Nothing was changed.")]
    RenewalNotPending { state: &'static str, verb: &'static str },
    #[error("The issuer refused: {reason}")]
    RejectedByStaff { reason: String },
    #[error("The nonce is used, expired or unknown. Request a new one and try again.")]
    NonceInvalid,
    #[error("This transaction id is unknown.")]
    TransactionUnknown,
    #[error("This notification id is unknown.")]
    NotificationUnknown,
    #[error("This request_id was used for {what} with other content. Nothing was changed; use a new request_id.")]
    RequestIdReused { what: &'static str },
    #[error(
        "Another offer has the same {claim}. Nothing was stored; leave it out to let the issuer draw one, or give an \
         unused one."
    )]
    ClaimNotUnique { claim: String },
    #[error(
        "An earlier run of this import created the offer of this row with another secret, so its link and PIN cannot be \
         derived. Nothing was changed; use the output folder of that run, or cancel the offer and import the row under \
         another import id."
    )]
    ImportSecretDiffers,
    #[error("The stream of rows lasted too long and was ended. All acknowledged rows are stored; repeat the others.")]
    StreamEnded,
    #[error("There is no {what} with this id.")]
    NotFound { what: &'static str },
    #[error("The offer is {state}, so it cannot be {verb}. Nothing was changed.")]
    WrongState { state: &'static str, verb: &'static str },
    #[error("The offer is not deferred: it needs no release.")]
    OfferNotDeferred,
    #[error("This issuer cannot secure credentials as {format}: {why}.")]
    FormatUnavailable { format: &'static str, why: &'static str },
    #[error("{id} was revoked, and a revocation cannot be undone. Nothing was changed; issue a new one instead.")]
    AlreadyRevoked { id: String },
    #[error("This issuer has no messages: none are configured, in status.messages. Nothing was changed.")]
    NoMessages,
    #[error(
        "No message has the number {number}. Nothing was changed; status.messages in the configuration lists the \
         messages."
    )]
    MessageUnknown { number: u8 },
    #[error(
        "Message {number} cannot reach the holder of {id}: wallets ask about SD-JWT copies only, and it was issued in \
         another format. Nothing was changed."
    )]
    MessageUndeliverable { id: String, number: u8 },
    #[error(
        "The message {number} means \"{meant}\" to holders who were told it, and must keep that meaning. Nothing was changed."
    )]
    MessageChanged { number: u8, meant: String },
    #[error("There is no offer and no issued copy with the id {id}. Nothing was changed.")]
    CredentialUnknown { id: String },
    #[error("Nothing was issued from the offer {id} yet. Nothing was changed; cancel it instead.")]
    NothingIssued { id: String },
    #[error("{found} credentials match, and {expected} were expected. Nothing was changed; check the selection.")]
    UnexpectedCount { expected: u64, found: u64 },
    #[error("No issued credential matches. Nothing was changed.{}", open_offers_sentence(*.open))]
    NoCredentialMatches { open: u64 },
    #[error("This issuer publishes no status lists.")]
    NoStatusLists,
    #[error("There is no status list at this URL.")]
    ListUnknown,
    #[error("The store is busy. Nothing was changed; try again.")]
    Busy,
    #[error("The service is stopping. Nothing was issued; try again.")]
    Stopping,
    #[error("The store failed. Everything acknowledged is safe; try again, and look at the service's log.")]
    Store(#[source] StoreCause),
    #[error("The credential could not be signed. Nothing was issued; look at the service's log.")]
    Signing(#[source] Problem),
    #[error("A stored record cannot be read. Nothing was issued; look at the service's log.")]
    Corrupt(&'static str),
}

/// Maximum number of claim errors in one error.
const MAX_CLAIM_ERRORS: usize = 10;

fn attempts(left: i64) -> String {
    if left == 1 { "1 more attempt is".to_owned() } else { format!("{left} more attempts are") }
}

fn claim_errors_text(faults: &[ClaimError]) -> String {
    let mut lines: Vec<String> = faults.iter().take(MAX_CLAIM_ERRORS).map(|fault| format!("claims.{fault}.")).collect();
    match faults.len().saturating_sub(MAX_CLAIM_ERRORS) {
        0 => {}
        more => lines.push(format!("{more} more claims are refused.")),
    }
    lines.push("Nothing was stored.".to_owned());
    lines.join("\n")
}

fn open_offers_sentence(open: u64) -> String {
    match open {
        0 => String::new(),
        1 => " One offer of this kind is not collected yet; it can be cancelled.".to_owned(),
        open => format!(" {open} offers of this kind are not collected yet; they can be cancelled."),
    }
}

impl Error {
    /// Creates an [`Error::Invalid`] with the reason `INVALID_ARGUMENT`.
    pub(crate) fn invalid(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self::Invalid { reason: "INVALID_ARGUMENT", field: field.into(), description: description.into() }
    }

    /// Returns the protocol-independent kind, and the stable reason for clients.
    fn kind_and_reason(&self) -> (ErrorKind, Cow<'static, str>) {
        let (kind, reason) = match self {
            // The reason is the code of the failed check (spec/protocol.md 7.2).
            Self::PresentationInvalid(problem) => {
                return (ErrorKind::Invalid, problem.code.as_str().to_ascii_uppercase().into());
            }
            Self::KeyUsed => (ErrorKind::Invalid, "INVALID_PROOF"),
            Self::CopyUnknown => (ErrorKind::NotFound, "COPY_UNKNOWN"),
            Self::RefillUnsupported => (ErrorKind::Invalid, "REFILL_UNSUPPORTED"),
            Self::RefillLimit { .. } => (ErrorKind::LimitReached, "REFILL_LIMIT"),
            Self::RefillTotalReached { .. } => (ErrorKind::WrongState, "REFILL_SPENT"),
            Self::RenewalUnavailable => (ErrorKind::WrongState, "RENEWAL_UNAVAILABLE"),
            Self::RenewalEarly { .. } => (ErrorKind::WrongState, "RENEWAL_EARLY"),
            Self::RenewalLimit { .. } => (ErrorKind::WrongState, "RENEWAL_LIMIT"),
            Self::RenewalAlreadyRequested { .. } => (ErrorKind::LimitReached, "RENEWAL_ASKED"),
            Self::RenewalNotPending { .. } => (ErrorKind::WrongState, "RENEWAL_STATE"),
            Self::RejectedByStaff { .. } => (ErrorKind::Forbidden, "CREDENTIAL_REQUEST_DENIED"),
            Self::Invalid { reason, .. } => (ErrorKind::Invalid, *reason),
            Self::ClaimsInvalid(_) => (ErrorKind::Invalid, "CLAIMS_INVALID"),
            Self::OfferUnknown | Self::PinWrong { .. } => (ErrorKind::Forbidden, "INVALID_GRANT"),
            Self::OfferUsed | Self::RedemptionInProgress { .. } => (ErrorKind::WrongState, "OFFER_ALREADY_USED"),
            Self::OfferExpired => (ErrorKind::WrongState, "INVALID_GRANT"),
            Self::OfferCancelled => (ErrorKind::WrongState, "OFFER_CANCELLED"),
            Self::OfferLocked => (ErrorKind::WrongState, "OFFER_LOCKED"),
            Self::PinMissing | Self::PinUnexpected => (ErrorKind::Invalid, "INVALID_REQUEST"),
            Self::TokenInvalid => (ErrorKind::Unauthenticated, "INVALID_TOKEN"),
            Self::CopiesAlreadyRequested | Self::ResponseErased => (ErrorKind::WrongState, "OFFER_ALREADY_COLLECTED"),
            Self::ConfigurationNotOffered => (ErrorKind::Forbidden, "CONFIGURATION_NOT_OFFERED"),
            Self::ProofInvalid { .. } => (ErrorKind::Invalid, "INVALID_PROOF"),
            Self::NonceInvalid => (ErrorKind::Invalid, "INVALID_NONCE"),
            Self::TransactionUnknown => (ErrorKind::NotFound, "INVALID_TRANSACTION_ID"),
            Self::NotificationUnknown => (ErrorKind::NotFound, "INVALID_NOTIFICATION_ID"),
            Self::RequestIdReused { .. } => (ErrorKind::Conflict, "REQUEST_ID_REUSED"),
            Self::ClaimNotUnique { .. } => (ErrorKind::Conflict, "CLAIM_NOT_UNIQUE"),
            Self::ImportSecretDiffers => (ErrorKind::Conflict, "IMPORT_SECRET_DIFFERS"),
            Self::StreamEnded => (ErrorKind::Unavailable, "STREAM_ENDED"),
            Self::NotFound { .. } => (ErrorKind::NotFound, "NOT_FOUND"),
            Self::WrongState { .. } => (ErrorKind::WrongState, "OFFER_STATE"),
            Self::OfferNotDeferred => (ErrorKind::WrongState, "OFFER_NOT_DEFERRED"),
            Self::FormatUnavailable { .. } => (ErrorKind::WrongState, "FORMAT_UNAVAILABLE"),
            Self::AlreadyRevoked { .. } => (ErrorKind::WrongState, "STATUS_REVOKED"),
            Self::NoMessages => (ErrorKind::WrongState, "NO_MESSAGES"),
            Self::MessageUnknown { .. } => (ErrorKind::WrongState, "MESSAGE_UNKNOWN"),
            Self::MessageUndeliverable { .. } => (ErrorKind::WrongState, "MESSAGE_NOT_CARRIED"),
            Self::MessageChanged { .. } => (ErrorKind::WrongState, "MESSAGE_CHANGED"),
            Self::CredentialUnknown { .. } => (ErrorKind::NotFound, "NOT_FOUND"),
            Self::NothingIssued { .. } => (ErrorKind::WrongState, "OFFER_STATE"),
            Self::UnexpectedCount { .. } => (ErrorKind::WrongState, "COUNT_DIFFERS"),
            Self::NoCredentialMatches { .. } => (ErrorKind::NotFound, "NOTHING_MATCHES"),
            Self::NoStatusLists => (ErrorKind::Unsupported, "NO_STATUS_LISTS"),
            Self::ListUnknown => (ErrorKind::NotFound, "STATUS_LIST_UNKNOWN"),
            Self::Busy => (ErrorKind::Unavailable, "STORE_BUSY"),
            Self::Stopping => (ErrorKind::Unavailable, "STOPPING"),
            Self::Store(_) => (ErrorKind::Internal, "STORE_FAILED"),
            Self::Signing(_) => (ErrorKind::Internal, "SIGNING_FAILED"),
            Self::Corrupt(_) => (ErrorKind::Internal, "STORE_CORRUPT"),
        };
        (kind, reason.into())
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy => Self::Busy,
            StoreError::Failed(cause) => Self::Store(cause),
            StoreError::Corrupt(what) => Self::Corrupt(what),
        }
    }
}

impl From<Error> for CallError {
    fn from(error: Error) -> Self {
        match &error {
            // SQLite's messages name tables and columns, not values: every value is bound.
            Error::Store(source) => tracing::error!(error = %source, "the store failed"),
            Error::Signing(source) => tracing::error!(error = %source, "signing failed"),
            Error::Corrupt(what) => tracing::error!(what, "a stored record cannot be read"),
            _ => {}
        }
        let (kind, reason) = error.kind_and_reason();
        let message = error.to_string();
        match &error {
            Error::Invalid { field, description, .. } => Self::invalid(reason, field, description),
            Error::ClaimsInvalid(faults) => {
                let first = faults.iter().take(MAX_CLAIM_ERRORS);
                first.fold(Self::new(kind, reason, message), |refused, fault| {
                    refused.with_field(format!("claims.{}", fault.path), fault.description())
                })
            }
            Error::ProofInvalid { index, problem } => {
                Self::invalid(reason, format!("proofs[{index}]"), problem.to_string())
            }
            Error::KeyUsed => Self::invalid(reason, "proofs", message),
            Error::PresentationInvalid(_) | Error::RefillUnsupported => Self::invalid(reason, "presentation", message),
            Error::PinMissing | Error::PinUnexpected => Self::invalid(reason, "tx_code", message),
            Error::Busy | Error::Stopping | Error::StreamEnded | Error::NonceInvalid => {
                Self::new(kind, reason, message).with_retry_after(Duration::from_secs(1))
            }
            Error::RedemptionInProgress { seconds }
            | Error::RefillLimit { seconds, .. }
            | Error::RenewalAlreadyRequested { seconds } => {
                Self::new(kind, reason, message).with_retry_after(Duration::from_secs((*seconds).into()))
            }
            _ => Self::new(kind, reason, message),
        }
    }
}
