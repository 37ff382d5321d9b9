//! Use case of receiving credentials: from the redemption of an offer to stored copies.
//!
//! Each offered credential configuration is a pending issuance, which is requested, repeated after a lost response, or
//! deferred by the issuer. It is in the wallet file from before the offer is redeemed until it is received, refused, or
//! expired.

use carnet_core::{Code, Problem, format::CredentialFormat, time::Timestamp};
use carnet_spec::Catalogue;
use serde_json::Value;

use crate::{
    address::belongs_to_issuer,
    failure::{DataSafety, Failure, FailureKind, FailureReason, FaultParty, Sentence},
    foreign_display::ForeignDisplay,
    freshness::refresh_new_copies,
    issuance::{
        DateRequirement, IssuanceRequirements, UNCHECKED_OF_FOREIGN_TYPES, fetch_directory, generate_keys_for,
        issuer_of_copies, sign_proofs, skipped_checks, verify_copies,
    },
    issuer_metadata::ExpectedCredential,
    offer::ReceivedOffer,
    ports::{
        DidParty, DocumentSource as _, IssuanceNotification, IssuanceResponse, IssuerClient, Notice, OfferConsent,
        Ports, resolve_issuer,
    },
    reissue::{choose_refill_threshold, renewal, replace_copies},
    store::{
        HeldCredential, HolderKey, IssuanceStage, LogEntryKind, LoggedCredential, OfferRedemption, PendingIssuance,
        Wallet, WalletLogEntry, WalletStore, holder_key::WalletSecret,
    },
    trust,
};

/// Errors of credential requests after which a retry fails again; the pending issuance is deleted.
const REFUSED: [FailureReason; 11] = [
    FailureReason::BatchSize,
    FailureReason::ConfigurationNotOffered,
    FailureReason::CredentialRequestDenied,
    FailureReason::InvalidProof,
    FailureReason::InvalidToken,
    FailureReason::InvalidTransactionId,
    FailureReason::NotFound,
    FailureReason::OfferAlreadyCollected,
    FailureReason::OfferCancelled,
    FailureReason::OfferExpired,
    FailureReason::Check(Code::Revoked),
];

/// Errors for proofs with an unknown or expired nonce. The issuer does not check proofs in a repeated call that it
/// recognises, so after these errors it has issued nothing for the proofs.
const PROOFS_REFUSED: [FailureReason; 2] = [FailureReason::InvalidNonce, FailureReason::InvalidProof];

/// Current result of a pending issuance.
enum IssuanceStep {
    /// The credential was stored.
    Received(ReceivedCredential),
    /// Deferred by the issuer, with the interval before the next request in seconds.
    Wait(u32),
}

/// Summary of a credential that was received and stored.
#[derive(Debug, Clone)]
pub struct ReceivedCredential {
    /// Local identifier in the wallet.
    pub id: String,
    /// Name of the type.
    pub type_name: String,
    /// Format of the copies.
    pub format: CredentialFormat,
    /// Issuer's names for a foreign type and its claims; empty for a type of the catalogue.
    pub display: ForeignDisplay,
    /// DID of the issuer.
    pub issuer: String,
    /// Issuer's own display name.
    pub issuer_name: String,
    /// Number of copies.
    pub copies: usize,
    /// `true` if it replaces the copies of an earlier credential (renewal).
    pub renewed: bool,
    /// End of the validity period, inclusive.
    pub valid_until: Option<Timestamp>,
    /// Names of the checks that were skipped ([`skipped_checks`]); `None`: the type is unknown.
    pub skipped_checks: Option<Vec<&'static str>>,
    /// Decision of the wallet's trust lists about the issuer, as JSON; null if no list is pinned.
    pub trust_decision: Value,
}

/// Context of pending issuances: ports, catalogue and wallet.
struct IssuanceRun<'a, P, S> {
    ports: &'a P,
    /// Credential types that this wallet knows.
    catalogue: &'a Catalogue,
    /// Wallet in which the issuances are stored.
    wallet: &'a mut Wallet<S>,
}

/// Requests a nonce, and signs a proof of possession with it for each key.
async fn fresh_proofs(
    issuer: &mut dyn IssuerClient,
    audience: &str,
    keys: &[HolderKey],
    ports: &impl Ports,
) -> Result<Vec<String>, Failure> {
    let nonce = issuer.request_nonce().await?;
    sign_proofs(keys, audience, &nonce, ports.now())
        .map_err(|problem| Failure::from_problem(&problem, Sentence::new("error-keys"), Sentence::new("hint-again")))
}

/// Resumes all pending issuances, or those of one offer (by the digest of its code).
///
/// # Errors
/// `nothing_pending`. Failures of single issuances are in the results.
pub async fn resume_issuances(
    ports: &impl Ports,
    catalogue: &Catalogue,
    wallet: &mut Wallet<impl WalletStore>,
    offer: Option<&str>,
) -> Result<IssuanceResults, Failure> {
    let of_offer = |pending: &&PendingIssuance| offer.is_none_or(|offer| pending.offer_digest == offer);
    let wanted: Vec<PendingIssuance> = wallet.contents.pending_issuances.iter().filter(of_offer).cloned().collect();
    if wanted.is_empty() {
        let message = Sentence::new("error-nothing-pending");
        return Err(Failure::new(FailureReason::NothingPending, message, Sentence::new("hint-receive")));
    }
    let mut collecting = IssuanceRun { ports, catalogue, wallet };
    let mut results = IssuanceResults::default();
    for begun in wanted {
        // It was deleted if another issuance of the same offer was refused.
        let Some(pending) = collecting.stored(&begun) else { continue };
        let step = collecting.resume_one(pending).await;
        results.add(step);
    }
    refresh_new_copies(ports, wallet).await;
    Ok(results)
}

/// Receives the credentials of an offer; resumes its pending issuances if there are any.
///
/// # Errors
/// Before the offer is redeemed: the offer cannot be accepted, the holder declines it, or the wallet cannot be saved.
/// Afterwards: the redemption fails; the issuances stay pending unless the issuer refused the offer for good. Failures
/// of single issuances are in the results.
pub async fn receive_offer(
    ports: &impl Ports,
    catalogue: &Catalogue,
    wallet: &mut Wallet<impl WalletStore>,
    offer: &ReceivedOffer,
    owner: &impl OfferConsent,
) -> Result<IssuanceResults, Failure> {
    let digest = offer.code_digest();
    // A finished record does not prevent another attempt with the offer: an issuer that signed nothing accepts it
    // again. Only records of wallet versions that could not repeat a redemption get here.
    wallet
        .contents
        .pending_issuances
        .retain(|pending| pending.offer_digest != digest || !pending.is_unredeemable(ports.now()));
    if wallet.contents.pending_issuances.iter().any(|pending| pending.offer_digest == digest) {
        return resume_issuances(ports, catalogue, wallet, Some(&digest)).await;
    }
    let mut issuer = ports.connect_issuer(&offer.endpoint, offer.protocol).await?;
    let server = offer.authorization_server.clone();
    let metadata = issuer.metadata(server.as_deref()).await?;
    // Everything that can fail without the code happens before redeeming it.
    let promises = ExpectedCredential::from_offer(&metadata, offer, catalogue, &ports.languages())?;
    if metadata.has_did() {
        resolve_issuer(ports, &metadata.issuer).await?;
    }
    owner.accept_offer(catalogue, &offer.endpoint, &promises)?;
    let pin = match offer.pin {
        // A PIN is sent only if the offer asks for one.
        None => None,
        Some(form) => Some(owner.ask_pin(form, metadata.token_endpoint.as_deref().unwrap_or(&offer.endpoint))?),
    };
    let redemption = OfferRedemption {
        authorization_server: server,
        ..OfferRedemption::generate(offer.code.clone(), pin, metadata.token_endpoint.clone())
    };
    let mut begun = Vec::with_capacity(promises.len());
    for promise in promises {
        let keys = generate_keys_for(metadata.max_batch_size, promise.key_algorithm);
        let proofs = fresh_proofs(issuer.as_mut(), &promise.audience, &keys, ports).await?;
        let pending = PendingIssuance {
            offer_digest: digest.clone(),
            endpoint: offer.endpoint.clone(),
            issuer: promise.issuer.clone(),
            configuration_id: promise.configuration_id.clone(),
            access_token: WalletSecret::new(String::new()),
            keys,
            started_at: ports.now(),
            stage: IssuanceStage::Redeeming { proofs },
            renewed_id: None,
            redemption: Some(redemption.clone()),
            valid_until: offer.valid_until,
            protocol: offer.protocol,
        };
        begun.push((promise, pending));
    }
    let results = IssuanceRun { ports, catalogue, wallet: &mut *wallet }.begin(issuer.as_mut(), begun).await?;
    refresh_new_copies(ports, wallet).await;
    Ok(results)
}

mod redemption;

impl<P: Ports, S: WalletStore> IssuanceRun<'_, P, S> {
    /// Returns the current record of a pending issuance; `None` if it was deleted.
    fn stored(&self, begun: &PendingIssuance) -> Option<PendingIssuance> {
        self.wallet.contents.pending_issuances.iter().find(|stored| stored.is_same_issuance(begun)).cloned()
    }

    async fn resume_one(&mut self, pending: PendingIssuance) -> Result<IssuanceStep, Failure> {
        if pending.is_unredeemable(self.ports.now()) {
            let message = Sentence::new("error-collection-expired");
            let failure = Failure::new(FailureReason::CollectionExpired, message, Sentence::new("hint-new-offer"));
            return Err(self.delete_failed(&pending, "", failure));
        }
        let mut issuer = self.ports.connect_issuer(&pending.endpoint, pending.protocol).await?;
        let server = pending.redemption.as_ref().and_then(|redemption| redemption.authorization_server.as_deref());
        let metadata = issuer.metadata(server).await?;
        // Code and PIN go where the holder was told that they go, and nowhere else.
        let moved = |redemption: &OfferRedemption| redemption.token_endpoint != metadata.token_endpoint;
        if metadata.issuer != pending.issuer || pending.redemption.as_ref().is_some_and(moved) {
            let message = Sentence::new("error-other-issuer-offer");
            return Err(Failure::new(Code::IssuerMismatch, message, Sentence::new("hint-ask-issuer"))
                .with_fault(FaultParty::Issuer));
        }
        let languages = self.ports.languages();
        let promise =
            ExpectedCredential::from_metadata(&metadata, &pending.configuration_id, self.catalogue, &languages)?;
        if metadata.has_did() {
            resolve_issuer(self.ports, &promise.issuer).await?;
        }
        let pending = match &pending.redemption {
            Some(redemption) if pending.needs_token(self.ports.now()) => {
                self.redeem(issuer.as_mut(), &pending, redemption, true).await?
            }
            _ => pending,
        };
        self.advance(issuer.as_mut(), &promise, pending).await
    }

    /// Stores the issuances of one offer with their proofs, redeems the offer, and requests the copies.
    async fn begin(
        &mut self,
        issuer: &mut dyn IssuerClient,
        begun: Vec<(ExpectedCredential, PendingIssuance)>,
    ) -> Result<IssuanceResults, Failure> {
        self.wallet.contents.pending_issuances.extend(begun.iter().map(|(_, pending)| pending.clone()));
        self.wallet.save().map_err(|failure| Failure { hint: Sentence::new("hint-room"), ..failure })?;
        if let Some((_, first)) = begun.first()
            && let Some(redemption) = &first.redemption
        {
            self.redeem(issuer, first, redemption, false).await?;
        }
        let mut progress = IssuanceResults::default();
        for (promise, pending) in begun {
            let Some(pending) = self.stored(&pending) else { continue };
            let step = self.advance(issuer, &promise, pending).await;
            progress.add(step);
        }
        Ok(progress)
    }

    /// Requests the copies of a stored issuance, redeems the offer again if the token has expired, and stores the
    /// result.
    async fn advance(
        &mut self,
        issuer: &mut dyn IssuerClient,
        promise: &ExpectedCredential,
        mut pending: PendingIssuance,
    ) -> Result<IssuanceStep, Failure> {
        let mut answered = self.send_request(issuer, promise, &mut pending).await;
        if let (Err(failure), Some(redemption)) = (&answered, pending.redemption.clone())
            && failure.reason == FailureReason::InvalidToken
        {
            pending = self.redeem(issuer, &pending, &redemption, true).await?;
            answered = self.send_request(issuer, promise, &mut pending).await;
        }
        match answered {
            Ok(IssuanceResponse::Issued(copies, notification)) => {
                self.accept_copies(issuer, promise, &pending, (&copies, &notification)).await
            }
            Ok(IssuanceResponse::Deferred(transaction_id, interval)) => {
                if let (IssuanceStage::Requested { .. }, Some(transaction_id)) = (&pending.stage, transaction_id) {
                    pending.stage = IssuanceStage::Deferred { transaction_id };
                    self.save_stage(&pending).map_err(still_pending)?;
                }
                Ok(IssuanceStep::Wait(interval))
            }
            Err(failure) if REFUSED.contains(&failure.reason) => {
                Err(self.delete_failed(&pending, &promise.issuer_name, failure))
            }
            Err(failure) => Err(still_pending(failure)),
        }
    }

    /// Sends one credential request: the same call as before, if there was one. If the nonce has expired, it is sent
    /// again with new proofs.
    async fn send_request(
        &mut self,
        issuer: &mut dyn IssuerClient,
        promise: &ExpectedCredential,
        pending: &mut PendingIssuance,
    ) -> Result<IssuanceResponse, Failure> {
        let token = pending.access_token.clone();
        let (sent, until) = match &pending.stage {
            IssuanceStage::Deferred { transaction_id } => {
                return issuer.request_deferred(&token, transaction_id).await;
            }
            IssuanceStage::Requested { proofs, until } => (proofs.clone(), *until),
            IssuanceStage::Redeeming { .. } => {
                let message = Sentence::new("error-not-redeemed");
                return Err(Failure::temporary(FailureReason::NotRedeemed, message, Sentence::new("hint-again")));
            }
        };
        match issuer.request_credential(&token, &pending.configuration_id, sent).await {
            Err(failure) if PROOFS_REFUSED.contains(&failure.reason) => {}
            answered => return answered,
        }
        let proofs = fresh_proofs(issuer, &promise.audience, &pending.keys, self.ports).await?;
        pending.stage = IssuanceStage::Requested { proofs: proofs.clone(), until };
        self.save_stage(pending)?;
        issuer.request_credential(&token, &pending.configuration_id, proofs).await
    }

    /// Stores the stage of a pending issuance.
    fn save_stage(&mut self, pending: &PendingIssuance) -> Result<(), Failure> {
        if let Some(stored) =
            self.wallet.contents.pending_issuances.iter_mut().find(|stored| stored.is_same_issuance(pending))
        {
            stored.clone_from(pending);
        }
        self.wallet.save()
    }

    /// Deletes a pending issuance that failed for good, and logs the reason. Returns the failure.
    fn delete_failed(&mut self, pending: &PendingIssuance, issuer_name: &str, failure: Failure) -> Failure {
        let contents = &mut self.wallet.contents;
        contents.pending_issuances.retain(|stored| !stored.is_same_issuance(pending));
        // A service that only says that it is an issuer is not logged as that issuer.
        let (party, party_name) = if belongs_to_issuer(&pending.endpoint, &pending.issuer) {
            (&pending.issuer, issuer_name)
        } else {
            (&pending.endpoint, "")
        };
        contents.log.push(WalletLogEntry {
            party_name: party_name.to_owned(),
            reason: failure.reason.to_string(),
            ..WalletLogEntry::new(self.ports.now(), LogEntryKind::ReceiveFailed, party)
        });
        match self.wallet.save() {
            Ok(()) => failure.with_safety(DataSafety::Stored),
            Err(unsaved) => unsaved,
        }
    }

    /// Returns the expected credential with the DID of its issuer. For a foreign type whose issuer named none, that is
    /// the DID in the copies, whose signature is verified with it.
    async fn with_issuer_of(
        &self,
        promise: &ExpectedCredential,
        copies: &[String],
    ) -> Result<ExpectedCredential, Failure> {
        if promise.issuer != promise.audience || !promise.is_foreign {
            return Ok(promise.clone());
        }
        let did = issuer_of_copies(copies).map_err(|problem| refused_copies(&problem))?;
        self.ports.documents().resolve(&did, DidParty::Issuer).await.map_err(still_pending)?;
        Ok(ExpectedCredential { issuer: did.to_string(), ..promise.clone() })
    }

    /// Stores the copies that an issuer sent, after the DID of their issuer is known.
    async fn accept_copies(
        &mut self,
        issuer: &mut dyn IssuerClient,
        announced: &ExpectedCredential,
        pending: &PendingIssuance,
        (copies, notification): (&[String], &str),
    ) -> Result<IssuanceStep, Failure> {
        match self.with_issuer_of(announced, copies).await {
            Ok(promise) => self.store(issuer, &promise, pending, copies, notification).await,
            Err(failure) if failure.kind == FailureKind::Temporary => Err(failure),
            Err(failure) => {
                let _ = issuer.notify(Some(&pending.access_token), notification, IssuanceNotification::Failure).await;
                Err(self.delete_failed(pending, &announced.issuer_name, failure))
            }
        }
    }

    /// Verifies the copies, stores all of them at once, and notifies the issuer. If a copy is invalid, all are refused
    /// and the issuance is deleted.
    async fn store(
        &mut self,
        issuer: &mut dyn IssuerClient,
        promise: &ExpectedCredential,
        pending: &PendingIssuance,
        copies: &[String],
        notification: &str,
    ) -> Result<IssuanceStep, Failure> {
        let (ports, token) = (self.ports, &pending.access_token);
        let renewed = pending.renewed_id.as_deref().and_then(|id| self.wallet.contents.find_credential(id).ok());
        let before = renewed.and_then(|index| self.wallet.contents.credentials.get(index)).cloned();
        let now = ports.now();
        let known = self.catalogue.credential_type(&promise.type_name);
        // Fetched after the copies: an issuer's first list is created with its first copy.
        let directory = match known {
            Some(known) if known.is_builtin => fetch_directory(ports, &promise.issuer).await.map_err(still_pending)?,
            _ => None,
        };
        let days = date_requirement(promise, pending, before.as_ref());
        let expected = IssuanceRequirements {
            expected: promise,
            keys: &pending.keys,
            held: &self.wallet.contents.credentials,
            dates: days,
            directory: directory.as_ref(),
            resolver: ports.documents().resolver(),
            catalogue: self.catalogue,
            now,
        };
        let checked =
            verify_copies(copies, &expected).map_err(|problem| refused_copies(&problem)).and_then(
                |held| match &before {
                    Some(before) => renewal::check_extension(before, &held).map(|_| held),
                    None => Ok(held),
                },
            );
        let mut held = match checked {
            Ok(held) => HeldCredential {
                // Refills and freshness statements are available by Carnet's gRPC protocol only.
                endpoint: Some(pending.endpoint.clone())
                    .filter(|endpoint| pending.protocol.is_grpc() && belongs_to_issuer(endpoint, &pending.issuer)),
                refill_threshold: choose_refill_threshold(held.copies.len()),
                ..held
            },
            Err(failure) => {
                let _ = issuer.notify(Some(token), notification, IssuanceNotification::Failure).await;
                return Err(self.delete_failed(pending, &promise.issuer_name, failure));
            }
        };
        if let Some(before) = &before {
            held.id.clone_from(&before.id);
        }
        let skipped = known.map_or(UNCHECKED_OF_FOREIGN_TYPES.to_vec(), |known| skipped_checks(known, days));
        let summary = self.received(&held, before.is_some(), skipped);
        let before = self.wallet.contents.clone();
        self.wallet.contents.pending_issuances.retain(|stored| !stored.is_same_issuance(pending));
        if let Some(index) = renewed {
            replace_copies(&mut self.wallet.contents, index, held, now);
        } else {
            let contents = &mut self.wallet.contents;
            contents.log.push(WalletLogEntry {
                party_name: promise.issuer_name.clone(),
                credentials: vec![LoggedCredential::without_disclosures(&held.id, &held.type_name)],
                ..WalletLogEntry::new(now, LogEntryKind::Received, &promise.issuer)
            });
            contents.credentials.push(held);
        }
        if let Err(failure) = self.wallet.save() {
            // The file still has the pending issuance, and the issuer, which gets no notification, keeps its response.
            self.wallet.contents = before;
            return Err(still_pending(failure));
        }
        // The copies are stored; a lost notification makes no difference for the holder.
        if issuer.notify(Some(token), notification, IssuanceNotification::Accepted).await.is_err() {
            ports.notify(Notice::IssuerNotNotified);
        }
        Ok(IssuanceStep::Received(summary))
    }

    /// Describes a credential that was received or renewed.
    fn received(&self, held: &HeldCredential, renewed: bool, skipped_checks: Vec<&'static str>) -> ReceivedCredential {
        let decision = trust::issuer_decision_json(&self.wallet.contents.trust, held, self.catalogue, self.ports.now());
        ReceivedCredential::new(held, renewed, skipped_checks, decision)
    }
}

impl ReceivedCredential {
    /// Describes a credential in the wallet; `trust_decision` is that on its issuer.
    pub(crate) fn new(
        held: &HeldCredential,
        renewed: bool,
        skipped_checks: Vec<&'static str>,
        trust_decision: Value,
    ) -> Self {
        Self {
            id: held.id.clone(),
            type_name: held.type_name.clone(),
            display: held.display.clone(),
            format: held.format,
            issuer: held.issuer.clone(),
            issuer_name: held.issuer_name.clone(),
            copies: held.copies.len(),
            renewed,
            valid_until: held.valid_until,
            skipped_checks: Some(skipped_checks),
            trust_decision,
        }
    }
}

/// Returns the requirement on the copies' validity dates: that of a renewal, or that of an offer.
fn date_requirement(
    promise: &ExpectedCredential,
    pending: &PendingIssuance,
    before: Option<&HeldCredential>,
) -> DateRequirement {
    match before {
        Some(before) => DateRequirement::Renewed {
            since: pending.started_at,
            ended: before.valid_until,
            window_days: promise.renewal_window_days,
        },
        None => DateRequirement::Issued { since: pending.started_at, until: pending.valid_until },
    }
}

/// Converts the problem of copies that are not stored.
fn refused_copies(problem: &Problem) -> Failure {
    let message = Sentence::new("error-copies-refused");
    Failure::from_problem(problem, message, Sentence::new("hint-tell-new-offer")).with_fault(FaultParty::Issuer)
}

/// Marks a failure as temporary, after which the issuance is still pending and can be resumed.
fn still_pending(failure: Failure) -> Failure {
    Failure { hint: Sentence::new("hint-resume"), kind: FailureKind::Temporary, safety: DataSafety::Stored, ..failure }
}

/// Results of all issuances of a command. One failure does not stop the others.
#[derive(Debug, Default)]
pub struct IssuanceResults {
    /// Credentials that were stored.
    pub received: Vec<ReceivedCredential>,
    /// Interval before the next request for a deferred issuance, in seconds; `None`: none is deferred.
    pub retry_seconds: Option<u32>,
    /// First failure.
    pub failure: Option<Failure>,
}

impl IssuanceResults {
    fn add(&mut self, step: Result<IssuanceStep, Failure>) {
        match step {
            Ok(IssuanceStep::Received(summary)) => self.received.push(summary),
            Ok(IssuanceStep::Wait(interval)) => self.retry_seconds = Some(interval.max(1)),
            Err(failure) => {
                self.failure.get_or_insert(failure);
            }
        }
    }
}
