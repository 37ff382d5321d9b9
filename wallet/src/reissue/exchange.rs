//! Exchange with the issuer: presentation of one copy in full, and proofs of possession for the keys of the new copies.

use carnet_core::{
    Code, Problem,
    endpoint::parse_endpoint,
    epoch::Epoch,
    keys::Signer as _,
    secure::sd_jwt::{KeyBindingMembers, SdJwt},
};

use super::{Reissue, copy_to_present, damaged, format_of, no_such_credential, unrefillable_reason};
use crate::{
    failure::{Failure, FailureReason, FaultParty, Sentence},
    issuance::{generate_keys, sign_proofs},
    issuer_metadata::{ExpectedCredential, OfferedConfiguration},
    ports::{IssuanceResponse, IssuerClient, Ports, resolve_issuer},
    protocol::ServiceProtocol,
    store::{HeldCredential, HolderKey, Wallet, WalletStore, holder_key::HolderAlgorithm},
};

/// Exchange with an issuer for a refill or a renewal: the copy to be presented to it, and its metadata.
pub(super) struct ReissueSession<'a, P> {
    ports: &'a P,
    /// Credential of the copy.
    held: HeldCredential,
    key: HolderKey,
    pub(super) token: SdJwt,
    /// Maximum number of copies in one request.
    max_batch_size: u32,
    /// Epoch and renewal window (in days) in the issuer's metadata for this credential configuration; no epoch and 0 if
    /// the metadata lack it.
    rules: (Option<Epoch>, u32),
}

/// Parts of a refill or renewal request: the keys of the new copies, the presented copy, and one proof per key.
type PreparedExchange = (Vec<HolderKey>, String, Vec<String>);

impl<'a, P: Ports> ReissueSession<'a, P> {
    /// Connects to the issuer of a credential, checks that the service is the same issuer's, and chooses the copy to
    /// present. An unused copy is recorded as presented before it is sent.
    ///
    /// # Errors
    /// The credential cannot be refilled, or the service is another issuer's (`issuer_mismatch`).
    pub(super) async fn begin(
        ports: &'a P,
        wallet: &mut Wallet<impl WalletStore>,
        index: usize,
    ) -> Result<(Box<dyn IssuerClient>, Self), Failure> {
        let held = wallet.contents.credentials.get(index).cloned().ok_or_else(no_such_credential)?;
        if let Some(failure) = unrefillable_reason(&held, ports.now()) {
            return Err(failure);
        }
        let (Some(endpoint), Some(shown)) = (&held.endpoint, copy_to_present(&held)) else {
            return Err(no_such_credential());
        };
        parse_endpoint(endpoint)?;
        let mut issuer = ports.connect_issuer(endpoint, ServiceProtocol::Grpc).await?;
        let metadata = issuer.metadata(None).await?;
        // Checked before a whole copy is presented there.
        if metadata.issuer != held.issuer {
            let message = Sentence::new("error-other-issuer-document");
            return Err(Failure::new(Code::IssuerMismatch, message, Sentence::new("hint-new-offer"))
                .with_fault(FaultParty::Issuer));
        }
        let same = |configuration: &&OfferedConfiguration| {
            configuration.credential_type == held.type_name && configuration.format == format_of(&held)
        };
        let rules = metadata.configurations.iter().find(same);
        let rules = rules.map_or((None, 0), |found| (found.epoch, found.renewal_window_days));
        resolve_issuer(ports, &held.issuer).await?;
        let copy = held.copies.get(shown).ok_or_else(no_such_credential)?;
        let token = SdJwt::parse(&copy.credential.text()).map_err(|problem| damaged(&problem))?;
        let key = copy.key.clone();
        if copy.is_unused() {
            // Stored before sending, so that retries use up only one fresh copy.
            if let Some(copy) = wallet.contents.credentials.get_mut(index).and_then(|held| held.copies.get_mut(shown)) {
                copy.presented_to.push(held.issuer.clone());
            }
            wallet.save()?;
        }
        Ok((issuer, Self { ports, key, token, max_batch_size: metadata.max_batch_size, rules, held }))
    }

    /// Returns the credential that the new copies are checked against.
    pub(super) fn expected_credential(&self) -> ExpectedCredential {
        ExpectedCredential {
            audience: self.held.issuer.clone(),
            key_algorithm: HolderAlgorithm::EdDsa,
            issuer: self.held.issuer.clone(),
            issuer_name: self.held.issuer_name.clone(),
            configuration_id: String::new(),
            type_name: self.held.type_name.clone(),
            format: self.held.format,
            epoch: self.rules.0,
            renewal_window_days: self.rules.1,
            is_foreign: false,
            display: Default::default(),
        }
    }

    /// Presents the copy, and requests copies for new keys. Retries once if the nonce has expired. Returns the keys and
    /// the response.
    pub(super) async fn exchange(
        &self,
        issuer: &mut dyn IssuerClient,
        kind: Reissue,
    ) -> Result<(Vec<HolderKey>, IssuanceResponse), Failure> {
        match self.exchange_once(issuer, kind).await {
            Err(failure) if failure.reason == FailureReason::InvalidNonce => self.exchange_once(issuer, kind).await,
            answered => answered,
        }
    }

    async fn exchange_once(
        &self,
        issuer: &mut dyn IssuerClient,
        kind: Reissue,
    ) -> Result<(Vec<HolderKey>, IssuanceResponse), Failure> {
        let (keys, shown, sign_proofs) = self.prepare(issuer).await?;
        let answer = match kind {
            Reissue::Refill => {
                let (copies, notification) = issuer.refill(shown, sign_proofs).await?;
                IssuanceResponse::Issued(copies, notification)
            }
            Reissue::Renewal => issuer.renew(shown, sign_proofs).await?,
        };
        Ok((keys, answer))
    }

    /// Generates new keys, and signs the presentation of the copy and a proof for each key, all with one new nonce.
    async fn prepare(&self, issuer: &mut dyn IssuerClient) -> Result<PreparedExchange, Failure> {
        let did = self.held.issuer.as_str();
        let nonce = issuer.request_nonce().await?;
        let now = self.ports.now();
        let keys = generate_keys(self.max_batch_size);
        let signed = || -> Result<(String, Vec<String>), Problem> {
            let bound: Result<Vec<String>, Problem> =
                keys.iter().map(|key| Ok(key.decode()?.public_key().thumbprint())).collect();
            let bound = bound?;
            let stapled = KeyBindingMembers { new_key_thumbprints: &bound, ..KeyBindingMembers::default() };
            let shown = self.token.bind_key_with_members(&stapled, &nonce, did, now, &self.key.decode()?)?;
            Ok((shown, sign_proofs(&keys, did, &nonce, now)?))
        };
        let (shown, sign_proofs) = signed().map_err(|problem| damaged(&problem))?;
        Ok((keys, shown, sign_proofs))
    }
}
