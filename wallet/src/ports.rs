//! Ports: what the use cases need from the program that embeds them.
//!
//! They know no wire. An adapter maps the errors of its wire to a [`Failure`] with the stable reason that the service
//! gave, in lower case, names the party at fault, and marks as temporary what a retry may fix. Futures need not be `Send`: a wallet serves
//! one person.

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
    promise::{IssuerMetadata, Promise},
    request::{Pointer, Request},
    store::{Redemption, contents::Secret, standing::State},
    wire::Wire,
};

/// Source of the current time.
pub trait Clock {
    /// Returns the current time. Use cases read it where they need it: the owner may look at a screen for long.
    fn now(&self) -> Timestamp;

    /// Runs work until a time limit; `None` if the limit ended it.
    fn within<T>(&self, limit: Duration, work: impl Future<Output = T>) -> impl Future<Output = Option<T>>;
}

/// Party whose DID is resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Party {
    /// Issuer of a credential.
    Issuer,
    /// Verifier that asks.
    Asker,
}

/// Source of public documents.
pub trait Documents {
    /// Returns the documents fetched so far.
    fn resolver(&self) -> &dyn Resolve;

    /// Ensures that the resolver has the document of a DID.
    fn resolve(&self, did: &Did, whose: Party) -> impl Future<Output = Result<(), Failure>>;

    /// Fetches the document of a DID even if it is cached: data that just arrived may be signed with a newer key. On
    /// failure the cached document remains.
    fn look_up(&self, did: &Did) -> impl Future<Output = ()>;

    /// Fetches a public document over HTTPS.
    fn download(&self, url: &str, accept: &str, max_bytes: usize) -> impl Future<Output = Result<Vec<u8>, Failure>>;
}

/// Everything that use cases need from outside, apart from the wallet's store and the owner.
pub trait Ports: Clock + Documents {
    /// Connection to an issuer.
    type Issuer: IssuerClient;
    /// Connection to a verifier.
    type Verifier: VerifierClient;

    /// Connects to the service of an issuer.
    fn issuer(&self, endpoint: &str, wire: Wire) -> impl Future<Output = Result<Self::Issuer, Failure>>;

    /// Connects to the service of a verifier.
    fn verifier(&self, endpoint: &str, wire: Wire) -> impl Future<Output = Result<Self::Verifier, Failure>>;

    /// Returns the credential types.
    ///
    /// # Errors
    /// If the program's catalogue is unreadable.
    fn catalogue(&self) -> Result<Catalogue, Failure>;

    /// Returns the languages that the owner reads.
    fn languages(&self) -> Languages;

    /// Tells the owner of an event besides the result of the use case.
    fn tell(&self, notice: Notice<'_>);
}

/// Event besides the result of a use case.
#[derive(Debug)]
pub enum Notice<'a> {
    /// A credential got fresh copies.
    Refilled {
        /// Catalogue of the credential's type.
        catalogue: &'a Catalogue,
        /// Name of the type.
        type_name: &'a str,
        /// Number of new copies.
        count: usize,
    },
    /// A credential that runs low got no copies.
    NotRefilled {
        /// Catalogue of the credential's type.
        catalogue: &'a Catalogue,
        /// Name of the type.
        type_name: &'a str,
        /// Reason; `None`: the time limit.
        failure: Option<&'a Failure>,
    },
    /// New copies have no freshness statement.
    Unconfirmed(&'a Failure),
    /// The issuer was not notified that copies are stored.
    IssuerNotNotified,
}

/// Resolves the DID document of an issuer.
///
/// # Errors
/// If it is malformed or unresolvable.
pub async fn resolve_issuer(ports: &impl Ports, issuer: &str) -> Result<(), Failure> {
    let did = Did::parse(issuer).map_err(|problem| {
        Failure::from_problem(&problem, Sentence::id("error-issuer-identifier"), Sentence::id("hint-tell-issuer"))
            .by(Fault::Issuer)
    })?;
    ports.resolve(&did, Party::Issuer).await
}

/// Response of an issuer to a credential request.
#[derive(Debug)]
pub enum Collected {
    /// Copies in the order of the proofs, and the notification id.
    Ready(Vec<String>, String),
    /// Deferred: the transaction id (if it is new), and the interval in seconds.
    NotReady(Option<Secret>, u32),
}

/// Redeemed offer.
#[derive(Debug)]
pub struct RedeemedOffer {
    /// Access token.
    pub access_token: Secret,
    /// End of the token, if the issuer states it.
    pub expires_at: Option<Timestamp>,
    /// True if the issuer returns the same token again.
    pub repeatable: bool,
}

/// Freshness of one copy according to its issuer.
#[derive(Debug, Clone)]
pub struct CopyFreshness {
    /// State of the copy; `None`: one that this wallet does not know.
    pub state: Option<State>,
    /// Newest statement.
    pub statement: String,
    /// Statements of earlier epochs.
    pub earlier_statements: Vec<String>,
    /// True if the copy should be replaced.
    pub replace: bool,
    /// Message of the issuer to the holder; may be empty.
    pub message: String,
}

/// Wallet's report on received copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notification {
    /// The copies are stored.
    Accepted,
    /// The copies are refused.
    Failure,
}

/// Connection to an issuer's service.
pub trait IssuerClient {
    /// Returns the issuer's metadata.
    fn metadata(&mut self) -> impl Future<Output = Result<IssuerMetadata, Failure>>;

    /// Exchanges the code for a token; with the code verifier if an earlier call may have arrived.
    fn redeem(
        &mut self,
        redemption: &Redemption,
        repeats: bool,
    ) -> impl Future<Output = Result<RedeemedOffer, Failure>>;

    /// Requests a nonce for proofs.
    fn nonce(&mut self) -> impl Future<Output = Result<String, Failure>>;

    /// Requests the copies of a configuration.
    fn collect(
        &mut self,
        token: &Secret,
        configuration_id: &str,
        proofs: Vec<String>,
    ) -> impl Future<Output = Result<Collected, Failure>>;

    /// Requests the copies of a deferred transaction.
    fn collect_deferred(
        &mut self,
        token: &Secret,
        transaction: &Secret,
    ) -> impl Future<Output = Result<Collected, Failure>>;

    /// Exchanges a presented copy for one copy per proof, and the notification id.
    fn refill(
        &mut self,
        presentation: String,
        proofs: Vec<String>,
    ) -> impl Future<Output = Result<(Vec<String>, String), Failure>>;

    /// Exchanges a presented copy for copies with a later end.
    fn renew(&mut self, presentation: String, proofs: Vec<String>) -> impl Future<Output = Result<Collected, Failure>>;

    /// Requests freshness statements on copies by handle, in the order of the handles.
    fn freshness(&mut self, handles: Vec<Vec<u8>>) -> impl Future<Output = Result<Vec<CopyFreshness>, Failure>>;

    /// Reports the outcome of a collection; with the token that authorised it, if there was one.
    fn notify(
        &mut self,
        token: Option<&Secret>,
        notification: &str,
        event: Notification,
    ) -> impl Future<Output = Result<(), Failure>>;
}

/// Verdict of a verifier.
#[derive(Debug, Clone, Default)]
pub struct SubmittedPresentation {
    /// True if the presentation was accepted.
    pub accepted: bool,
    /// Reason of a refusal.
    pub reason: String,
    /// Checks that the verifier made.
    pub checks: Vec<VerdictCheck>,
    /// Signed receipt; may be empty.
    pub receipt: String,
    /// URL with which the owner continues on the verifier's site, if it names one.
    pub return_url: Option<String>,
}

/// Check in a verdict.
#[derive(Debug, Clone)]
pub struct VerdictCheck {
    /// Name of the check.
    pub name: String,
    /// Subject of the check.
    pub about: String,
    /// Outcome.
    pub outcome: CheckOutcome,
    /// Code of the problem, if there is one.
    pub code: String,
    /// Description of the problem, if there is one.
    pub detail: String,
}

/// Outcome of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckOutcome {
    /// Passed.
    Passed,
    /// Failed.
    Failed,
    /// Failed, and tolerated by policy.
    Tolerated,
    /// Not applicable.
    NotApplicable,
    /// Unknown to this wallet.
    Unknown,
}

/// Connection to a verifier's service.
pub trait VerifierClient {
    /// Fetches the signed request object behind a link.
    fn read(&mut self, pointer: &Pointer) -> impl Future<Output = Result<String, Failure>>;

    /// Sends the presentations by credential query id, to the address that the verified request names.
    fn submit(
        &mut self,
        pointer: &Pointer,
        request: &Request,
        vp_token: BTreeMap<String, Vec<String>>,
    ) -> impl Future<Output = Result<SubmittedPresentation, Failure>>;

    /// Requests erasure with a receipt, and returns the signed confirmation.
    fn erase(&mut self, receipt: String, proof: String) -> impl Future<Output = Result<String, Failure>>;
}

/// Owner's decision about an offer.
pub trait OfferConsent {
    /// Asks for the owner's consent to receive the credentials.
    ///
    /// # Errors
    /// Unless the owner consents.
    fn accept(&self, catalogue: &Catalogue, endpoint: &str, offered: &[Promise]) -> Result<(), Failure>;

    /// Obtains the PIN of an offer, which goes to the service at `endpoint`.
    ///
    /// # Errors
    /// If the owner gives none that fits.
    fn pin(&self, form: PinForm, endpoint: &str) -> Result<Secret, Failure>;
}
