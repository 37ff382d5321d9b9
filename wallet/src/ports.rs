//! Ports: interfaces that the embedding program implements for the use cases.
//!
//! They are independent of protocols. An adapter maps the errors of its protocol to a [`Failure`] with the service's
//! stable reason in lower case and the party that caused it, marked as temporary if a retry may succeed. Futures need
//! not be `Send`: a wallet serves one person.

use std::{collections::BTreeMap, future::Future, time::Duration};

use async_trait::async_trait;
use carnet_core::{
    did::{Did, Resolve},
    time::Timestamp,
};
use carnet_spec::Catalogue;

use crate::{
    failure::{Failure, FaultParty, Sentence},
    issuer_metadata::{ExpectedCredential, WalletIssuerMetadata},
    languages::Languages,
    offer::PinFormat,
    protocol::ServiceProtocol,
    request::{AuthorizationRequestLink, PresentationRequest},
    store::{OfferRedemption, cached_status::CopyState, holder_key::WalletSecret},
};

/// Source of the current time.
pub trait Clock {
    /// Returns the current time. Callers request it when they need it, and do not store it: the holder may look at a
    /// screen for long.
    fn now(&self) -> Timestamp;

    /// Runs work with a time limit; `None` if the limit was reached, in which case the work is dropped.
    fn with_timeout<T>(&self, limit: Duration, work: impl Future<Output = T>) -> impl Future<Output = Option<T>>;
}

/// Role of the party whose DID is resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DidParty {
    /// Issuer of a credential.
    Issuer,
    /// Verifier that sent a request.
    Verifier,
}

/// Source of public documents: DID documents, and directories of status lists.
pub trait DocumentSource {
    /// Returns a resolver for the DID documents that were fetched so far.
    fn resolver(&self) -> &dyn Resolve;

    /// Fetches the document of a DID, unless the resolver has it already. `whose` is the role of the party.
    ///
    /// # Errors
    /// The document is unavailable or invalid.
    fn resolve(&self, did: &Did, whose: DidParty) -> impl Future<Output = Result<(), Failure>>;

    /// Fetches the document of a DID even if it is cached: new data may be signed with a newer key. If that fails, the
    /// cached document is kept and no error is returned.
    fn refetch(&self, did: &Did) -> impl Future<Output = ()>;

    /// Fetches a public document over HTTPS. `accept` is the expected media type; larger documents than `max_bytes` are
    /// refused.
    fn download(&self, url: &str, accept: &str, max_bytes: usize) -> impl Future<Output = Result<Vec<u8>, Failure>>;
}

/// All ports of the use cases, except the wallet's store and the holder's consent.
pub trait Ports {
    /// Returns the clock.
    fn clock(&self) -> &impl Clock;

    /// Returns the source of public documents.
    fn documents(&self) -> &impl DocumentSource;

    /// Returns the current time.
    fn now(&self) -> Timestamp {
        self.clock().now()
    }

    /// Connects to the service of an issuer at the URL `endpoint`.
    fn connect_issuer(
        &self,
        endpoint: &str,
        wire: ServiceProtocol,
    ) -> impl Future<Output = Result<Box<dyn IssuerClient>, Failure>>;

    /// Connects to the service of a verifier at the URL `endpoint`.
    fn connect_verifier(
        &self,
        endpoint: &str,
        wire: ServiceProtocol,
    ) -> impl Future<Output = Result<Box<dyn VerifierClient>, Failure>>;

    /// Returns the catalogue of credential types.
    ///
    /// # Errors
    /// The program's catalogue is unreadable.
    fn catalogue(&self) -> Result<Catalogue, Failure>;

    /// Returns the languages that the holder reads.
    fn languages(&self) -> Languages;

    /// Shows the holder an event that is not part of the use case's result.
    fn notify(&self, notice: Notice<'_>);
}

/// Event that is shown to the holder and is not part of a use case's result.
#[derive(Debug)]
pub enum Notice<'a> {
    /// A credential was refilled with new copies.
    Refilled {
        /// Catalogue of the credential's type.
        catalogue: &'a Catalogue,
        /// Name of the type.
        type_name: &'a str,
        /// Number of new copies.
        count: usize,
    },
    /// A credential with few unused copies could not be refilled automatically.
    NotRefilled {
        /// Catalogue of the credential's type.
        catalogue: &'a Catalogue,
        /// Name of the type.
        type_name: &'a str,
        /// Cause; `None`: the time limit was reached.
        failure: Option<&'a Failure>,
    },
    /// New copies have no freshness statement yet, because of this failure.
    NoFreshness(&'a Failure),
    /// The copies were stored, but the issuer could not be notified of it.
    IssuerNotNotified,
}

/// Fetches the DID document of an issuer, unless it is cached.
///
/// # Errors
/// The DID is malformed or cannot be resolved.
pub async fn resolve_issuer(ports: &impl Ports, issuer: &str) -> Result<(), Failure> {
    let did = Did::parse(issuer).map_err(|problem| {
        Failure::from_problem(&problem, Sentence::new("error-issuer-identifier"), Sentence::new("hint-tell-issuer"))
            .with_fault(FaultParty::Issuer)
    })?;
    ports.documents().resolve(&did, DidParty::Issuer).await
}

/// Response of an issuer to a credential request (OpenID4VCI 1.0 section 8.3).
#[derive(Debug)]
pub enum IssuanceResponse {
    /// Issued copies, in the order of the proofs, and the notification id.
    Issued(Vec<String>, String),
    /// Deferred issuance: the transaction id, `None` in a response about a known transaction; and the interval before
    /// the next request, in seconds.
    Deferred(Option<WalletSecret>, u32),
}

/// Result of redeeming the pre-authorized code of an offer.
#[derive(Debug)]
pub struct RedeemedOffer {
    /// Access token.
    pub access_token: WalletSecret,
    /// Expiry of the token; `None` if the issuer does not state it.
    pub expires_at: Option<Timestamp>,
    /// `true` if the redemption can be repeated and then returns the same token.
    pub repeatable: bool,
}

/// Issuer's response about one copy: its state, and freshness statements.
#[derive(Debug, Clone)]
pub struct CopyFreshness {
    /// State of the copy; `None`: a state unknown to this wallet.
    pub state: Option<CopyState>,
    /// Newest freshness statement; empty: none.
    pub statement: String,
    /// Freshness statements of earlier epochs.
    pub earlier_statements: Vec<String>,
    /// `true` if the issuer wants the copy replaced, because the public status lists link it to other copies.
    pub replace: bool,
    /// Message of the issuer to the holder; may be empty.
    pub message: String,
}

/// Event of which the issuer is notified (OpenID4VCI 1.0 section 11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssuanceNotification {
    /// The copies were stored.
    Accepted,
    /// The copies were refused, or could not be stored.
    Failure,
}

/// Connection to an issuer's service, over either protocol.
#[async_trait(?Send)]
pub trait IssuerClient {
    /// Returns the issuer's metadata. `authorization_server` is the one that the offer names, which the
    /// metadata must contain.
    async fn metadata(&mut self, authorization_server: Option<&str>) -> Result<WalletIssuerMetadata, Failure>;

    /// Exchanges the pre-authorized code for an access token. `repeats` is `true` if an earlier call may have arrived:
    /// then the code verifier is sent too, with which the issuer accepts a repetition.
    async fn redeem(&mut self, redemption: &OfferRedemption, repeats: bool) -> Result<RedeemedOffer, Failure>;

    /// Requests a nonce for proofs of possession; empty if the issuer does not use nonces.
    async fn request_nonce(&mut self) -> Result<String, Failure>;

    /// Requests copies of a credential configuration, one for each proof of possession.
    async fn request_credential(
        &mut self,
        token: &WalletSecret,
        configuration_id: &str,
        proofs: Vec<String>,
    ) -> Result<IssuanceResponse, Failure>;

    /// Requests the copies of a deferred issuance by its transaction id.
    async fn request_deferred(
        &mut self,
        token: &WalletSecret,
        transaction: &WalletSecret,
    ) -> Result<IssuanceResponse, Failure>;

    /// Presents one copy to its issuer, and requests one new copy of the same credential for each proof. Returns the
    /// copies and the notification id.
    async fn refill(&mut self, presentation: String, proofs: Vec<String>) -> Result<(Vec<String>, String), Failure>;

    /// Presents one copy to its issuer, and requests copies with a later expiry, one for each proof.
    async fn renew(&mut self, presentation: String, proofs: Vec<String>) -> Result<IssuanceResponse, Failure>;

    /// Requests freshness statements for the copies with these handles. The responses are in the same order.
    async fn request_freshness(&mut self, handles: Vec<Vec<u8>>) -> Result<Vec<CopyFreshness>, Failure>;

    /// Notifies the issuer that the copies with a notification id were stored or refused. `token` is the access token
    /// with which they were requested; `None` after a refill or renewal by gRPC.
    async fn notify(
        &mut self,
        token: Option<&WalletSecret>,
        notification: &str,
        event: IssuanceNotification,
    ) -> Result<(), Failure>;
}

/// Verifier's response to a presentation.
#[derive(Debug, Clone, Default)]
pub struct SubmissionResponse {
    /// `true` if the presentation was accepted.
    pub accepted: bool,
    /// Stable reason of a refusal; empty if accepted.
    pub reason: String,
    /// Checks made by the verifier.
    pub checks: Vec<VerdictCheck>,
    /// Signed receipt, as JSON text; empty: none.
    pub receipt: String,
    /// URL at which the holder continues on the verifier's web site; `None` if the verifier names none.
    pub return_url: Option<String>,
}

/// Check in a verifier's response.
#[derive(Debug, Clone)]
pub struct VerdictCheck {
    /// Name of the check, as in the verifier's response.
    pub name: String,
    /// Id of the credential query that the check is about; empty for the whole response.
    pub query_id: String,
    /// Outcome of the check.
    pub outcome: ReportedOutcome,
    /// Stable code of the failure; empty: none.
    pub code: String,
    /// Description of the failure; empty: none.
    pub detail: String,
}

/// Outcome of a check, as reported by a verifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportedOutcome {
    /// Passed.
    Passed,
    /// Failed.
    Failed,
    /// Failed, but tolerated by the verifier's policy.
    Tolerated,
    /// Not applicable.
    NotApplicable,
    /// Outcome unknown to this wallet.
    Unknown,
}

/// Connection to a verifier's service, over either protocol.
#[async_trait(?Send)]
pub trait VerifierClient {
    /// Fetches the signed request object of a link.
    async fn fetch_request(&mut self, pointer: &AuthorizationRequestLink) -> Result<String, Failure>;

    /// Sends the presentations of a verified request, by credential query id, and returns the verifier's response.
    async fn submit(
        &mut self,
        pointer: &AuthorizationRequestLink,
        request: &PresentationRequest,
        vp_token: BTreeMap<String, Vec<String>>,
    ) -> Result<SubmissionResponse, Failure>;

    /// Requests erasure of a presentation's data. `receipt` is the verifier's receipt, `proof` a proof of possession of
    /// a presented key. Returns the signed confirmation, unverified.
    async fn request_erasure(&mut self, receipt: String, proof: String) -> Result<String, Failure>;
}

/// Port for the holder's consent to an offer: a user interface.
pub trait OfferConsent {
    /// Asks the holder whether to receive the offered credentials from the service at `endpoint`.
    ///
    /// # Errors
    /// The holder does not consent.
    fn accept_offer(
        &self,
        catalogue: &Catalogue,
        endpoint: &str,
        offered: &[ExpectedCredential],
    ) -> Result<(), Failure>;

    /// Asks the holder for the PIN of an offer, which is sent to the service at `endpoint`.
    ///
    /// # Errors
    /// The holder enters no well-formed PIN.
    fn ask_pin(&self, form: PinFormat, endpoint: &str) -> Result<WalletSecret, Failure>;
}
