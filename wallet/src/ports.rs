//! Ports: interfaces that the embedding program implements for the use cases.
//!
//! They are independent of protocols. An adapter maps the errors of its protocol to a [`Failure`] with the service's
//! stable reason in lower case and the party that caused it, marked as temporary if a retry may succeed. Futures need
//! not be `Send`: a wallet serves one person.

use std::{collections::BTreeMap, future::Future, time::Duration};

use carnet_core::{
    did::{Did, Resolve},
    time::Timestamp,
};
use carnet_spec::Catalogue;

use crate::{
    failure::{Failure, Fault, Sentence},
    languages::Languages,
    offer::PinForm,
    promise::{ExpectedCredential, WalletIssuerMetadata},
    request::{AuthorizationRequestLink, PresentationRequest},
    store::{OfferRedemption, contents::WalletSecret, standing::CopyState},
    wire::Wire,
};

/// Source of the current time.
pub trait Clock {
    /// Returns the current time. Call it when the time is needed: the holder may look at a screen for long.
    fn now(&self) -> Timestamp;

    /// Runs work with a time limit; `None` if the limit was reached.
    fn within<T>(&self, limit: Duration, work: impl Future<Output = T>) -> impl Future<Output = Option<T>>;
}

/// Party whose DID is resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DidParty {
    /// Issuer of a credential.
    Issuer,
    /// Verifier that sent a request.
    Asker,
}

/// Source of public documents: DID documents and status list directories.
pub trait DocumentSource {
    /// Returns a resolver for the DID documents fetched so far.
    fn resolver(&self) -> &dyn Resolve;

    /// Ensures that the resolver has the document of a DID.
    fn resolve(&self, did: &Did, whose: DidParty) -> impl Future<Output = Result<(), Failure>>;

    /// Fetches the document of a DID even if it is cached: new data may be signed with a newer key. On failure, the
    /// cached document is kept.
    fn look_up(&self, did: &Did) -> impl Future<Output = ()>;

    /// Fetches a public document over HTTPS.
    fn download(&self, url: &str, accept: &str, max_bytes: usize) -> impl Future<Output = Result<Vec<u8>, Failure>>;
}

/// All ports of the use cases, except the wallet's store and the holder's consent.
pub trait Ports: Clock + DocumentSource {
    /// Connection to an issuer.
    type Issuer: IssuerClient;
    /// Connection to a verifier.
    type Verifier: VerifierClient;

    /// Connects to the service of an issuer.
    fn issuer(&self, endpoint: &str, wire: Wire) -> impl Future<Output = Result<Self::Issuer, Failure>>;

    /// Connects to the service of a verifier.
    fn verifier(&self, endpoint: &str, wire: Wire) -> impl Future<Output = Result<Self::Verifier, Failure>>;

    /// Returns the catalogue of credential types.
    ///
    /// # Errors
    /// The program's catalogue is unreadable.
    fn catalogue(&self) -> Result<Catalogue, Failure>;

    /// Returns the languages that the holder reads.
    fn languages(&self) -> Languages;

    /// Notifies the holder of an event besides the result of the use case.
    fn tell(&self, notice: Notice<'_>);
}

/// Event besides the result of a use case.
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
    /// A credential with few unused copies could not be refilled.
    NotRefilled {
        /// Catalogue of the credential's type.
        catalogue: &'a Catalogue,
        /// Name of the type.
        type_name: &'a str,
        /// Cause; `None`: the time limit was reached.
        failure: Option<&'a Failure>,
    },
    /// New copies have no freshness statement yet.
    Unconfirmed(&'a Failure),
    /// The issuer could not be notified that the copies were stored.
    IssuerNotNotified,
}

/// Resolves the DID document of an issuer.
///
/// # Errors
/// The DID is malformed or cannot be resolved.
pub async fn resolve_issuer(ports: &impl Ports, issuer: &str) -> Result<(), Failure> {
    let did = Did::parse(issuer).map_err(|problem| {
        Failure::from_problem(&problem, Sentence::id("error-issuer-identifier"), Sentence::id("hint-tell-issuer"))
            .by(Fault::Issuer)
    })?;
    ports.resolve(&did, DidParty::Issuer).await
}

/// Response of an issuer to a credential request.
#[derive(Debug)]
pub enum CollectionResponse {
    /// Copies, in the order of the proofs, and the notification id.
    Ready(Vec<String>, String),
    /// Deferred: the transaction id (if it is new), and the interval for further requests, in seconds.
    NotReady(Option<WalletSecret>, u32),
}

/// Result of redeeming an offer.
#[derive(Debug)]
pub struct RedeemedOffer {
    /// Access token.
    pub access_token: WalletSecret,
    /// Expiry of the token, if the issuer states it.
    pub expires_at: Option<Timestamp>,
    /// `true` if the redemption can be repeated, with the same token.
    pub repeatable: bool,
}

/// Issuer's response about one copy: its state and freshness statements.
#[derive(Debug, Clone)]
pub struct CopyFreshness {
    /// State of the copy; `None`: a state unknown to this wallet.
    pub state: Option<CopyState>,
    /// Newest freshness statement; empty: none.
    pub statement: String,
    /// Freshness statements of earlier epochs.
    pub earlier_statements: Vec<String>,
    /// `true` if the copy should be replaced by a new one.
    pub replace: bool,
    /// Message of the issuer to the holder; may be empty.
    pub message: String,
}

/// Notification to the issuer about received copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notification {
    /// The copies were stored.
    Accepted,
    /// The copies were refused, or could not be stored.
    Failure,
}

/// Connection to an issuer's service.
pub trait IssuerClient {
    /// Returns the issuer's metadata.
    fn metadata(&mut self) -> impl Future<Output = Result<WalletIssuerMetadata, Failure>>;

    /// Exchanges the code for an access token; with the code verifier if an earlier request may have been received.
    fn redeem(
        &mut self,
        redemption: &OfferRedemption,
        repeats: bool,
    ) -> impl Future<Output = Result<RedeemedOffer, Failure>>;

    /// Requests a nonce for proofs of possession.
    fn nonce(&mut self) -> impl Future<Output = Result<String, Failure>>;

    /// Requests the copies of a credential configuration.
    fn collect(
        &mut self,
        token: &WalletSecret,
        configuration_id: &str,
        proofs: Vec<String>,
    ) -> impl Future<Output = Result<CollectionResponse, Failure>>;

    /// Requests the copies of a deferred transaction.
    fn collect_deferred(
        &mut self,
        token: &WalletSecret,
        transaction: &WalletSecret,
    ) -> impl Future<Output = Result<CollectionResponse, Failure>>;

    /// Exchanges a presented copy for one copy per proof, and the notification id.
    fn refill(
        &mut self,
        presentation: String,
        proofs: Vec<String>,
    ) -> impl Future<Output = Result<(Vec<String>, String), Failure>>;

    /// Exchanges a presented copy for copies with a later expiry.
    fn renew(
        &mut self,
        presentation: String,
        proofs: Vec<String>,
    ) -> impl Future<Output = Result<CollectionResponse, Failure>>;

    /// Requests freshness statements by the handles of copies; returns them in the same order.
    fn freshness(&mut self, handles: Vec<Vec<u8>>) -> impl Future<Output = Result<Vec<CopyFreshness>, Failure>>;

    /// Notifies the issuer of the result of a collection, with its access token, if there was one.
    fn notify(
        &mut self,
        token: Option<&WalletSecret>,
        notification: &str,
        event: Notification,
    ) -> impl Future<Output = Result<(), Failure>>;
}

/// Verifier's response to a presentation.
#[derive(Debug, Clone, Default)]
pub struct SubmittedPresentation {
    /// `true` if the presentation was accepted.
    pub accepted: bool,
    /// Stable reason of a refusal; empty if accepted.
    pub reason: String,
    /// Checks made by the verifier.
    pub checks: Vec<VerdictCheck>,
    /// Signed receipt, as JSON text; empty: none.
    pub receipt: String,
    /// URL at which the holder continues on the verifier's web site, if any.
    pub return_url: Option<String>,
}

/// Check in a verifier's response.
#[derive(Debug, Clone)]
pub struct VerdictCheck {
    /// Name.
    pub name: String,
    /// Id of the credential query concerned; empty for the whole response.
    pub about: String,
    /// Outcome.
    pub outcome: ReportedOutcome,
    /// Stable code of the failure; empty: none.
    pub code: String,
    /// Description of the failure; empty: none.
    pub detail: String,
}

/// Outcome of a check.
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

/// Connection to a verifier's service.
pub trait VerifierClient {
    /// Fetches the signed request object of a link.
    fn read(&mut self, pointer: &AuthorizationRequestLink) -> impl Future<Output = Result<String, Failure>>;

    /// Sends the presentations, by credential query id, to the response address of the verified request.
    fn submit(
        &mut self,
        pointer: &AuthorizationRequestLink,
        request: &PresentationRequest,
        vp_token: BTreeMap<String, Vec<String>>,
    ) -> impl Future<Output = Result<SubmittedPresentation, Failure>>;

    /// Requests erasure with a receipt, and returns the signed confirmation.
    fn erase(&mut self, receipt: String, proof: String) -> impl Future<Output = Result<String, Failure>>;
}

/// Holder's consent to an offer.
pub trait OfferConsent {
    /// Asks for the holder's consent to receive the credentials.
    ///
    /// # Errors
    /// The holder does not consent.
    fn accept(&self, catalogue: &Catalogue, endpoint: &str, offered: &[ExpectedCredential]) -> Result<(), Failure>;

    /// Asks for the PIN of an offer, which is sent to the service at `endpoint`.
    ///
    /// # Errors
    /// The holder enters no well-formed PIN.
    fn pin(&self, form: PinForm, endpoint: &str) -> Result<WalletSecret, Failure>;
}
