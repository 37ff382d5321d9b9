//! Exchange with the issuer: presentation of one copy in full, and proofs of possession for the keys of the new copies.

use carnet_core::{
    Code, Problem,
    epoch::Epoch,
    keys::Signer as _,
    secure::sd_jwt::{KeyBindingMembers, SdJwt},
};

use super::{Reissue, damaged, format_of, gone, to_show, unrefillable};
use crate::{
    address::service_address,
    collect::{generate_keys, sign_proofs},
    failure::{Failure, FailureReason, Fault, Sentence},
    ports::{CollectionResponse, IssuerClient, Ports, resolve_issuer},
    promise::{ExpectedCredential, OfferedConfiguration},
    store::{HeldCredential, HolderKey, Wallet, WalletStore, contents::HolderAlgorithm},
    wire::Wire,
};

/// Exchange with an issuer for a refill or a renewal: the copy to be presented to it, and its metadata.
pub(super) struct ReissueSession<'a, P> {
    ports: &'a P,
    /// Credential of the copy.
    held: HeldCredential,
    key: HolderKey,
    pub(super) token: SdJwt,
    /// Maximum number of copies in one request.
    most: u32,
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
        let held = wallet.contents.credentials.get(index).cloned().ok_or_else(gone)?;
        if let Some(failure) = unrefillable(&held, ports.now()) {
            return Err(failure);
        }
        let (Some(endpoint), Some(shown)) = (&held.endpoint, to_show(&held)) else { return Err(gone()) };
        service_address(endpoint)?;
        let mut issuer = ports.issuer(endpoint, Wire::Grpc).await?;
        let metadata = issuer.metadata(None).await?;
        // Checked before a whole copy is presented there.
        if metadata.issuer != held.issuer {
            let message = Sentence::id("error-other-issuer-document");
            return Err(Failure::new(Code::IssuerMismatch, message, Sentence::id("hint-new-offer")).by(Fault::Issuer));
        }
        let same = |configuration: &&OfferedConfiguration| {
            configuration.credential_type == held.type_name && configuration.format == format_of(&held)
        };
        let rules = metadata.configurations.iter().find(same);
        let rules = rules.map_or((None, 0), |found| (found.epoch, found.renewal_window_days));
        resolve_issuer(ports, &held.issuer).await?;
        let copy = held.copies.get(shown).ok_or_else(gone)?;
        let token = SdJwt::parse(&copy.credential.text()).map_err(|problem| damaged(&problem))?;
        let key = copy.key.clone();
        if copy.is_unused() {
            // Stored before sending, so that retries use up only one fresh copy.
            if let Some(copy) = wallet.contents.credentials.get_mut(index).and_then(|held| held.copies.get_mut(shown)) {
                copy.shown_to.push(held.issuer.clone());
            }
            wallet.save()?;
        }
        Ok((issuer, Self { ports, key, token, most: metadata.max_batch_size, rules, held }))
    }

    /// Returns the credential that the new copies are checked against.
    pub(super) fn promise(&self) -> ExpectedCredential {
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
        }
    }

    /// Presents the copy, and requests copies for new keys. Retries once if the nonce has expired. Returns the keys and
    /// the response.
    pub(super) async fn exchange(
        &self,
        issuer: &mut dyn IssuerClient,
        kind: Reissue,
    ) -> Result<(Vec<HolderKey>, CollectionResponse), Failure> {
        match self.exchange_once(issuer, kind).await {
            Err(failure) if failure.reason == FailureReason::InvalidNonce => self.exchange_once(issuer, kind).await,
            answered => answered,
        }
    }

    async fn exchange_once(
        &self,
        issuer: &mut dyn IssuerClient,
        kind: Reissue,
    ) -> Result<(Vec<HolderKey>, CollectionResponse), Failure> {
        let (keys, shown, sign_proofs) = self.prepare(issuer).await?;
        let answer = match kind {
            Reissue::Refill => {
                let (copies, notification) = issuer.refill(shown, sign_proofs).await?;
                CollectionResponse::Ready(copies, notification)
            }
            Reissue::Renewal => issuer.renew(shown, sign_proofs).await?,
        };
        Ok((keys, answer))
    }

    /// Generates new keys, and signs the presentation of the copy and a proof for each key, all with one new nonce.
    async fn prepare(&self, issuer: &mut dyn IssuerClient) -> Result<PreparedExchange, Failure> {
        let did = self.held.issuer.as_str();
        let nonce = issuer.nonce().await?;
        let now = self.ports.now();
        let keys = generate_keys(self.most);
        let signed = || -> Result<(String, Vec<String>), Problem> {
            let bound: Result<Vec<String>, Problem> =
                keys.iter().map(|key| Ok(key.open()?.public_key().thumbprint())).collect();
            let bound = bound?;
            let stapled = KeyBindingMembers { keys: &bound, ..KeyBindingMembers::default() };
            let shown = self.token.bind_with(&stapled, &nonce, did, now, &self.key.open()?)?;
            Ok((shown, sign_proofs(&keys, did, &nonce, now)?))
        };
        let (shown, sign_proofs) = signed().map_err(|problem| damaged(&problem))?;
        Ok((keys, shown, sign_proofs))
    }
}
