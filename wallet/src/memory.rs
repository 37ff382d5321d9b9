//! In-memory issuer and verifier behind the ports, for examples and for tests of programs that embed the wallet.

use std::{collections::BTreeMap, future::Future, rc::Rc, time::Duration};

use async_trait::async_trait;
use carnet_core::{
    did::{Did, Resolve, SelfContainedResolver},
    format::CredentialFormat,
    keys::PublicKey,
    secure::jose::{Jws, KeyRef},
    time::Timestamp,
};
use carnet_spec::Catalogue;
use serde_json::json;

use crate::{
    answer::tests::Issuer,
    failure::{Failure, FailureReason, Sentence},
    issuer_metadata::{OfferedConfiguration, WalletIssuerMetadata},
    languages::Languages,
    ports::{
        Clock, CopyFreshness, DidParty, DocumentSource, IssuanceNotification, IssuanceResponse, IssuerClient, Notice,
        Ports, RedeemedOffer, SubmissionResponse, VerifierClient,
    },
    protocol::ServiceProtocol,
    request::{
        AuthorizationRequestLink, PresentationRequest,
        tests::{Asker, NOW},
    },
    store::{OfferRedemption, holder_key::WalletSecret},
};

const CONFIGURATION: &str = "QualificationCredential_vc+sd-jwt";

/// In-memory issuer and verifier, and an implementation of all [`Ports`] with a fixed time.
pub struct InMemoryPorts {
    issuer: Rc<Issuer>,
    /// Verifier that sent the request.
    pub verifier: Rc<Asker>,
}

impl InMemoryPorts {
    /// Creates an issuer and a verifier with new keys.
    #[must_use]
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self { issuer: Rc::new(Issuer::new()), verifier: Rc::new(Asker::new()) }
    }

    /// Returns a credential of the issuer with new copies.
    #[cfg(test)]
    pub(crate) fn held(&self, id: &str, format: CredentialFormat, copies: usize) -> crate::store::HeldCredential {
        self.issuer.held(id, format, copies)
    }

    /// Issues a copy whose payload `change` edits before signing.
    #[cfg(test)]
    pub(crate) fn issue_changed(
        &self,
        format: CredentialFormat,
        holder: &PublicKey,
        change: impl FnOnce(&mut serde_json::Map<String, serde_json::Value>),
    ) -> String {
        self.issuer.copy_with(format, holder, change)
    }

    /// Returns the link of an offer of a qualification credential. Every offer has the same code.
    #[must_use]
    pub fn offer_link(&self) -> String {
        let offer = json!({
            "credential_issuer": "http://127.0.0.1:4000", "credential_configuration_ids": [CONFIGURATION],
            "carnet_valid_until": NOW.plus(365 * 86_400).start_of_day().to_string(),
            "grants": {"urn:ietf:params:oauth:grant-type:pre-authorized_code": {"pre-authorized_code": "c0de"}}
        });
        let offer: String = url::form_urlencoded::byte_serialize(offer.to_string().as_bytes()).collect();
        format!("openid-credential-offer://?credential_offer={offer}")
    }
}

impl Clock for InMemoryPorts {
    fn now(&self) -> Timestamp {
        NOW
    }

    async fn with_timeout<T>(&self, _: Duration, work: impl Future<Output = T>) -> Option<T> {
        Some(work.await)
    }
}

impl DocumentSource for InMemoryPorts {
    fn resolver(&self) -> &dyn Resolve {
        &SelfContainedResolver
    }

    async fn resolve(&self, _: &Did, _: DidParty) -> Result<(), Failure> {
        Ok(())
    }

    async fn refetch(&self, _: &Did) {}

    async fn download(&self, _: &str, _: &str, _: usize) -> Result<Vec<u8>, Failure> {
        Err(absent())
    }
}

impl Ports for InMemoryPorts {
    fn clock(&self) -> &impl Clock {
        self
    }

    fn documents(&self) -> &impl DocumentSource {
        self
    }

    async fn connect_issuer(&self, _: &str, _: ServiceProtocol) -> Result<Box<dyn IssuerClient>, Failure> {
        Ok(Box::new(IssuerConnection(Rc::clone(&self.issuer))))
    }

    async fn connect_verifier(&self, _: &str, _: ServiceProtocol) -> Result<Box<dyn VerifierClient>, Failure> {
        Ok(Box::new(VerifierConnection(Rc::clone(&self.verifier))))
    }

    fn catalogue(&self) -> Result<Catalogue, Failure> {
        Catalogue::embedded().map_err(|_| absent())
    }

    fn languages(&self) -> Languages {
        Languages::preferring("en")
    }

    fn notify(&self, _: Notice<'_>) {}
}

/// Connection to the in-memory issuer.
pub struct IssuerConnection(Rc<Issuer>);

#[async_trait(?Send)]
impl IssuerClient for IssuerConnection {
    async fn metadata(&mut self, _: Option<&str>) -> Result<WalletIssuerMetadata, Failure> {
        let configuration = OfferedConfiguration {
            id: CONFIGURATION.to_owned(),
            format: Some(CredentialFormat::VcSdJwt),
            credential_type: "QualificationCredential".to_owned(),
            epoch: None,
            renewal_window_days: 0,
            proof_algorithms: Vec::new(),
            display: Default::default(),
        };
        Ok(WalletIssuerMetadata {
            issuer: self.0.did.to_string(),
            audience: self.0.did.to_string(),
            display_name: BTreeMap::from([("en".to_owned(), "University".to_owned())]),
            configurations: vec![configuration],
            max_batch_size: 3,
            freshness_lifetime_seconds: 0,
            token_endpoint: None,
        })
    }

    async fn redeem(&mut self, _: &OfferRedemption, _: bool) -> Result<RedeemedOffer, Failure> {
        Ok(RedeemedOffer { access_token: WalletSecret::new("token".to_owned()), expires_at: None, repeatable: false })
    }

    async fn request_nonce(&mut self) -> Result<String, Failure> {
        Ok("nonce".to_owned())
    }

    async fn request_credential(
        &mut self,
        _: &WalletSecret,
        _: &str,
        proofs: Vec<String>,
    ) -> Result<IssuanceResponse, Failure> {
        let keys = proofs.iter().map(|proof| holder_key(proof)).collect::<Option<Vec<_>>>().ok_or_else(absent)?;
        let copies = keys.iter().map(|key| self.0.copy(CredentialFormat::VcSdJwt, key)).collect();
        Ok(IssuanceResponse::Issued(copies, "notification".to_owned()))
    }

    async fn request_deferred(&mut self, _: &WalletSecret, _: &WalletSecret) -> Result<IssuanceResponse, Failure> {
        Err(absent())
    }

    async fn refill(&mut self, _: String, _: Vec<String>) -> Result<(Vec<String>, String), Failure> {
        Err(absent())
    }

    async fn renew(&mut self, _: String, _: Vec<String>) -> Result<IssuanceResponse, Failure> {
        Err(absent())
    }

    async fn request_freshness(&mut self, _: Vec<Vec<u8>>) -> Result<Vec<CopyFreshness>, Failure> {
        Err(absent())
    }

    async fn notify(&mut self, _: Option<&WalletSecret>, _: &str, _: IssuanceNotification) -> Result<(), Failure> {
        Ok(())
    }
}

/// Connection to the in-memory verifier, which accepts every presentation and issues no receipts.
pub struct VerifierConnection(Rc<Asker>);

#[async_trait(?Send)]
impl VerifierClient for VerifierConnection {
    async fn fetch_request(&mut self, _: &AuthorizationRequestLink) -> Result<String, Failure> {
        Ok(self.0.sign(self.0.header()))
    }

    async fn submit(
        &mut self,
        _: &AuthorizationRequestLink,
        _: &PresentationRequest,
        _: BTreeMap<String, Vec<String>>,
    ) -> Result<SubmissionResponse, Failure> {
        Ok(SubmissionResponse { accepted: true, ..SubmissionResponse::default() })
    }

    async fn request_erasure(&mut self, _: String, _: String) -> Result<String, Failure> {
        Err(absent())
    }
}

fn holder_key(proof: &str) -> Option<PublicKey> {
    match Jws::parse(proof).ok()?.key_ref() {
        KeyRef::Jwk(key) => Some(key.clone()),
        _ => None,
    }
}

/// Failure of a service that this issuer or verifier does not have.
fn absent() -> Failure {
    Failure::new(FailureReason::NotFound, Sentence::new("error-record-gone"), Sentence::new("hint-again"))
}
