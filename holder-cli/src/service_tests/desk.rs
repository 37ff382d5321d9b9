//! A wallet, and an issuer that loses, refuses and corrupts responses on command.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use carnet_core::secure::{
    jose::{Jws, KeyRef},
    sd_jwt::{KeyBindingRequirements, SdJwt},
};
use carnet_core::{epoch::Epoch, format::CredentialFormat, keys::PublicKey, status::freshness, time::Timestamp};
use carnet_proto::issuer::v1::{
    self as proto, CollectCredentialsRequest, CollectCredentialsResponse, CollectDeferredRequest,
    CollectDeferredResponse, CollectFreshnessRequest, CollectFreshnessResponse, CopyFreshness, CopyState,
    CredentialConfiguration, IssueNonceRequest, IssueNonceResponse, IssuedCopy, NotificationEvent, NotifyRequest,
    NotifyResponse, ReadMetadataRequest, ReadMetadataResponse, RedeemOfferRequest, RedeemOfferResponse,
    RefillCredentialsRequest, RefillCredentialsResponse, RenewCredentialsRequest, RenewCredentialsResponse,
    ValidityEpoch,
    issuance_service_server::{IssuanceService, IssuanceServiceServer},
};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tonic::{Request, Response, Status, transport::server::TcpIncoming};
use tonic_types::{ErrorDetails, StatusExt};

use crate::{
    answer::tests::{self as issuing, NOW},
    arguments::{GlobalOptions, Receive},
    clock::CommandClock,
    commands::receive,
    context::CommandContext,
    failure::Failure,
    wallet::{LogEntryKind, WalletContents, WalletFile, file::MIN_WORK_FACTOR},
};

pub(super) const CONFIGURATION: &str = "QualificationCredential_vc+sd-jwt";

/// Outcome of a credential request other than the copies.
pub(crate) enum Fate {
    /// The copies are issued, and the response is lost.
    Lost,
    /// Refused for this reason; nothing is issued.
    Refused(&'static str),
    /// Deferred.
    Deferred,
    /// Issued for keys without a proof.
    Spoiled,
    /// Issued with other claims than before.
    Changed,
    /// Issued with another end than before.
    Prolonged,
    /// Issued with dates rounded to the month.
    Rounded,
}

/// Outcome of a freshness call other than a statement for each copy.
#[derive(Clone, Copy)]
pub(crate) enum Word {
    /// This state for every copy.
    All(CopyState),
    /// This state for the first copy.
    First(CopyState),
    /// The times are not those of epochs.
    Fine,
    /// The ends are not those of epochs.
    FineEnd,
    /// The times of the first copy differ.
    Unlike,
    /// All but one statement of earlier epochs are missing.
    Few,
    /// There is a statement of one extra epoch.
    Many,
    /// The statements of earlier epochs are in reverse order.
    Turned,
    /// Each statement is about the next copy.
    Moved,
    /// Signed by another key.
    Foreign,
    /// Each copy is to be replaced, with a message.
    Outdated,
    /// The message is too long.
    Talkative,
    /// One extra member.
    Marked,
    /// One extra header parameter.
    Headed,
    /// The last statement is missing.
    Short,
    /// No response.
    Lost,
}

#[derive(Default)]
pub(crate) struct Record {
    /// Handles of every freshness call.
    pub(crate) asked: Vec<Vec<Vec<u8>>>,
    /// Lifetime of statements in the metadata; `None`: the true one.
    pub(crate) freshness_seconds: Option<u32>,
    pub(crate) words: VecDeque<Word>,
    /// Challenge and verifier of every redemption.
    pub(super) redemptions: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// Outcomes of redemptions other than a token.
    pub(super) redeeming: VecDeque<Fate>,
    /// True if it stores challenges and returns the same token again.
    pub(super) repeatable: bool,
    pub(crate) nonces: usize,
    pub(crate) fates: VecDeque<Fate>,
    /// Copies presented for refills.
    pub(crate) shown: Vec<String>,
    /// Proofs of a deferred renewal.
    renewing: Vec<String>,
    /// Keys that have a copy by refill.
    refilled: BTreeSet<String>,
    /// Issuer in the metadata; the issuer's own DID if empty.
    pub(crate) claimed_issuer: String,
    /// Proofs of every call.
    pub(super) calls: Vec<Vec<String>>,
    /// Proofs of the accepted call.
    pub(super) taken: Vec<String>,
    pub(crate) events: Vec<i32>,
    /// Epoch in the metadata.
    pub(crate) epoch: ValidityEpoch,
    /// Seconds for which the owner looks at the offer.
    pub(crate) pause: i64,
}

/// Issuer that follows protocol 3.17: a repeated call gets the same response, a different one is refused.
pub(crate) struct IssuerDesk {
    pub(crate) issuer: issuing::Issuer,
    pub(crate) record: Mutex<Record>,
    /// Clock of the issuer and the wallet.
    clock: Arc<AtomicI64>,
    /// Digests of the issued copies, by handle.
    made: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl IssuerDesk {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix(self.clock.load(Ordering::SeqCst))
    }

    /// Checks a presented copy as an issuer does: every disclosure is present, nonce and audience are its own, and the
    /// proofs have the same nonce and keys without copies.
    fn shown(&self, presentation: String, proofs: &[String]) -> Result<Option<Fate>, Status> {
        let mut record = self.record.lock().unwrap();
        let token = SdJwt::parse(&presentation).unwrap();
        let nonce = format!("nonce-{}", record.nonces);
        let audience = self.issuer.did.as_str();
        let expected = KeyBindingRequirements { nonce: &nonce, audience, now: self.now(), max_age: 60, skew: 60 };
        token.verify_key_binding(&expected).unwrap();
        let whole =
            SdJwt::parse(&self.issuer.copy(CredentialFormat::VcSdJwt, &token.holder_key().unwrap().unwrap())).unwrap();
        assert_eq!(token.disclosure_count(), whole.disclosure_count());
        let keys: Vec<String> = proofs.iter().map(|proof| proven_key(proof).thumbprint()).collect();
        assert_eq!(token.exchange_thumbprints().unwrap(), keys);
        assert!(proofs.iter().all(|proof| Jws::parse(proof).unwrap().payload()["nonce"] == json!(nonce)));
        record.shown.push(presentation);
        let fate = record.fates.pop_front();
        if let Some(Fate::Refused(reason)) = fate {
            return Err(refused(reason));
        }
        for proof in proofs {
            if !record.refilled.insert(proven_key(proof).thumbprint()) {
                return Err(refused("INVALID_PROOF"));
            }
        }
        Ok(fate)
    }

    fn copies(&self, proofs: &[String]) -> Vec<IssuedCopy> {
        let copy = |proof: &String| {
            let credential = self.made(self.issuer.copy(CredentialFormat::VcSdJwt, &proven_key(proof)));
            IssuedCopy { format: proto::CredentialFormat::VcSdJwt.into(), credential }
        };
        proofs.iter().map(copy).collect()
    }

    /// Issues copies that `change` edited.
    fn other_copies(&self, proofs: &[String], change: fn(&mut Map<String, Value>)) -> Vec<IssuedCopy> {
        let copy = |proof: &String| {
            let key = proven_key(proof);
            let credential = self.issuer.copy_with(CredentialFormat::VcSdJwt, &key, |payload| {
                payload["validFrom"] = json!(self.now().start_of_day().to_string());
                change(payload);
            });
            IssuedCopy { format: proto::CredentialFormat::VcSdJwt.into(), credential: self.made(credential) }
        };
        proofs.iter().map(copy).collect()
    }

    /// Records the handle of a copy.
    fn made(&self, copy: String) -> String {
        let digest = URL_SAFE_NO_PAD.decode(freshness::copy_digest(&SdJwt::parse(&copy).unwrap())).unwrap();
        self.made.lock().unwrap().insert(freshness::copy_handle(&copy).to_vec(), digest);
        copy
    }
}

/// Moves the end of a copy.
fn prolong(payload: &mut Map<String, Value>) {
    payload["validUntil"] = json!(NOW.plus(400 * 86_400).start_of_day().to_string());
}

fn proven_key(proof: &str) -> PublicKey {
    match Jws::parse(proof).unwrap().key_ref() {
        KeyRef::Jwk(key) => key.clone(),
        _ => panic!("a proof without its key"),
    }
}

fn refused(reason: &str) -> Status {
    let mut details = ErrorDetails::new();
    details.set_error_info(reason, "carnet", std::collections::HashMap::<String, String>::new());
    if ["REFILL_LIMIT", "STORE_BUSY"].contains(&reason) {
        details.set_retry_info(Some(std::time::Duration::from_secs(7)));
    }
    Status::with_error_details(tonic::Code::FailedPrecondition, "refused", details)
}

#[tonic::async_trait]
impl IssuanceService for IssuerDesk {
    async fn read_metadata(&self, _: Request<ReadMetadataRequest>) -> Result<Response<ReadMetadataResponse>, Status> {
        self.clock.fetch_add(self.record.lock().unwrap().pause, Ordering::SeqCst);
        let freshness_seconds = self.record.lock().unwrap().freshness_seconds.unwrap_or(86_400);
        let configuration = CredentialConfiguration {
            id: CONFIGURATION.to_owned(),
            format: proto::CredentialFormat::VcSdJwt.into(),
            credential_type: "QualificationCredential".to_owned(),
            validity_epoch: self.record.lock().unwrap().epoch.into(),
            ..CredentialConfiguration::default()
        };
        Ok(Response::new(ReadMetadataResponse {
            issuer: match self.record.lock().unwrap().claimed_issuer.as_str() {
                "" => self.issuer.did.to_string(),
                other => other.to_owned(),
            },
            configurations: vec![configuration],
            max_batch_size: 3,
            freshness_seconds,
            ..ReadMetadataResponse::default()
        }))
    }

    async fn redeem_offer(
        &self,
        request: Request<RedeemOfferRequest>,
    ) -> Result<Response<RedeemOfferResponse>, Status> {
        let request = request.into_inner();
        let mut record = self.record.lock().unwrap();
        record.redemptions.push((request.redemption_challenge.unwrap(), request.redemption_verifier));
        match record.redeeming.pop_front() {
            Some(Fate::Refused(reason)) => return Err(refused(reason)),
            Some(_) => return Err(Status::unavailable("the connection broke")),
            None => {}
        }
        let number = if record.repeatable { 1 } else { record.redemptions.len() };
        let mut answer = RedeemOfferResponse {
            access_token: format!("token-{number}"),
            repeatable: record.repeatable,
            ..Default::default()
        };
        answer.expires_at.get_or_insert_default().seconds = self.now().plus(300).unix();
        Ok(Response::new(answer))
    }

    async fn issue_nonce(&self, _: Request<IssueNonceRequest>) -> Result<Response<IssueNonceResponse>, Status> {
        let mut record = self.record.lock().unwrap();
        record.nonces = record.nonces.saturating_add(1);
        let c_nonce = format!("nonce-{}", record.nonces);
        Ok(Response::new(IssueNonceResponse { c_nonce, ..IssueNonceResponse::default() }))
    }

    async fn collect_credentials(
        &self,
        request: Request<CollectCredentialsRequest>,
    ) -> Result<Response<CollectCredentialsResponse>, Status> {
        let proofs = request.into_inner().proofs;
        let mut record = self.record.lock().unwrap();
        record.calls.push(proofs.clone());
        let fate = record.fates.pop_front();
        if let Some(Fate::Refused(reason)) = fate {
            return Err(refused(reason));
        }
        if !record.taken.is_empty() && record.taken != proofs {
            return Err(refused("OFFER_ALREADY_COLLECTED"));
        }
        record.taken.clone_from(&proofs);
        let mut answer = CollectCredentialsResponse { notification_id: "n".to_owned(), ..Default::default() };
        match fate {
            Some(Fate::Lost) => return Err(Status::unavailable("the connection broke")),
            Some(Fate::Deferred) => (answer.transaction_id, answer.interval_seconds) = ("t".to_owned(), 5),
            Some(Fate::Spoiled) => {
                answer.credentials = self.copies(&proofs);
                answer.credentials.swap(0, 1);
            }
            _ => answer.credentials = self.copies(&proofs),
        }
        Ok(Response::new(answer))
    }

    async fn collect_deferred(
        &self,
        request: Request<CollectDeferredRequest>,
    ) -> Result<Response<CollectDeferredResponse>, Status> {
        assert_eq!(request.into_inner().transaction_id, "t");
        let mut record = self.record.lock().unwrap();
        let renewing = !record.renewing.is_empty();
        match record.fates.pop_front() {
            Some(Fate::Refused(reason)) => return Err(refused(reason)),
            Some(Fate::Deferred) => {
                return Ok(Response::new(CollectDeferredResponse { interval_seconds: 5, ..Default::default() }));
            }
            _ => {}
        }
        let credentials =
            if renewing { self.other_copies(&record.renewing, prolong) } else { self.copies(&record.taken) };
        Ok(Response::new(CollectDeferredResponse { credentials, ..Default::default() }))
    }

    async fn refill_credentials(
        &self,
        request: Request<RefillCredentialsRequest>,
    ) -> Result<Response<RefillCredentialsResponse>, Status> {
        let RefillCredentialsRequest { presentation, proofs } = request.into_inner();
        let fate = self.shown(presentation, &proofs)?;
        let mut credentials = match fate {
            Some(Fate::Lost) => return Err(Status::unavailable("the connection broke")),
            Some(Fate::Changed) => self.other_copies(&proofs, |payload| {
                payload["credentialSubject"]["title"] = json!("Surgery");
            }),
            Some(Fate::Prolonged) => self.other_copies(&proofs, prolong),
            Some(Fate::Rounded) => self.other_copies(&proofs, |payload| {
                for name in ["validFrom", "validUntil"] {
                    let at = Timestamp::parse(payload[name].as_str().unwrap()).unwrap();
                    payload[name] = json!(Epoch::Month.start(at).to_string());
                }
            }),
            _ => self.copies(&proofs),
        };
        if matches!(fate, Some(Fate::Spoiled)) {
            credentials.swap(0, 1);
        }
        Ok(Response::new(RefillCredentialsResponse { credentials, notification_id: "r".to_owned() }))
    }

    async fn renew_credentials(
        &self,
        request: Request<RenewCredentialsRequest>,
    ) -> Result<Response<RenewCredentialsResponse>, Status> {
        let RenewCredentialsRequest { presentation, proofs } = request.into_inner();
        let fate = self.shown(presentation, &proofs)?;
        let mut answer = RenewCredentialsResponse { notification_id: "r".to_owned(), ..Default::default() };
        match fate {
            Some(Fate::Lost) => return Err(Status::unavailable("the connection broke")),
            Some(Fate::Deferred) => {
                (answer.transaction_id, answer.interval_seconds) = ("t".to_owned(), 5);
                self.record.lock().unwrap().renewing = proofs;
            }
            // The end is unchanged.
            Some(Fate::Changed) => answer.credentials = self.other_copies(&proofs, |_| {}),
            _ => answer.credentials = self.other_copies(&proofs, prolong),
        }
        if matches!(fate, Some(Fate::Spoiled)) {
            answer.credentials.swap(0, 1);
        }
        Ok(Response::new(answer))
    }

    async fn collect_freshness(
        &self,
        request: Request<CollectFreshnessRequest>,
    ) -> Result<Response<CollectFreshnessResponse>, Status> {
        let asked = request.into_inner().handles;
        let mut record = self.record.lock().unwrap();
        let word = record.words.pop_front();
        record.asked.push(asked.clone());
        if matches!(word, Some(Word::Lost)) {
            return Err(Status::unavailable("the connection broke"));
        }
        let now = self.now().unix();
        let epoch = now.saturating_sub(now.rem_euclid(21_600));
        let mut copies: Vec<CopyFreshness> = asked
            .iter()
            .enumerate()
            .map(|(index, handle)| {
                let digest = &self.made.lock().unwrap()[handle];
                let since = match word {
                    Some(Word::Fine) => epoch.saturating_add(1),
                    Some(Word::Unlike) if index == 0 => epoch.saturating_sub(21_600),
                    _ => epoch,
                };
                match word {
                    Some(Word::All(state)) => return CopyFreshness { state: state.into(), ..Default::default() },
                    Some(Word::First(state)) if index == 0 => {
                        return CopyFreshness { state: state.into(), ..Default::default() };
                    }
                    _ => {}
                }
                let mark = |header: &mut Map<String, Value>, payload: &mut Map<String, Value>| match word {
                    Some(Word::Marked) => drop(payload.insert("who".to_owned(), json!(7))),
                    Some(Word::Headed) => drop(header.insert("who".to_owned(), json!(7))),
                    Some(Word::FineEnd) => drop(payload.insert("exp".to_owned(), json!(since.saturating_add(86_407)))),
                    // Statements with a lifetime of two days, so that those of an earlier epoch are still valid.
                    Some(Word::Unlike) => {
                        let end = payload["iat"].as_i64().unwrap().saturating_add(172_800);
                        drop(payload.insert("exp".to_owned(), json!(end)));
                    }
                    _ => {}
                };
                let foreign = issuing::Issuer { did: self.issuer.did.clone(), ..issuing::Issuer::new() };
                let signer = if matches!(word, Some(Word::Foreign)) { &foreign } else { &self.issuer };
                let statement = signer.vouch(digest, since, mark);
                let before = match word {
                    Some(Word::Few) => 1..=1,
                    Some(Word::Many) => 1..=4,
                    _ => 1..=3,
                };
                let vouch =
                    |before: i64| signer.vouch(digest, since.saturating_sub(before.saturating_mul(21_600)), mark);
                let mut earlier_statements: Vec<String> = before.map(vouch).collect();
                if matches!(word, Some(Word::Turned)) {
                    earlier_statements.reverse();
                }
                let message = match word {
                    Some(Word::Outdated) => "the card was lost".to_owned(),
                    Some(Word::Talkative) => "x".repeat(81),
                    _ => String::new(),
                };
                let replace = matches!(word, Some(Word::Outdated));
                CopyFreshness { state: CopyState::Valid.into(), statement, replace, message, earlier_statements }
            })
            .collect();
        match word {
            Some(Word::Moved) => copies.rotate_left(1),
            Some(Word::Short) => drop(copies.pop()),
            _ => {}
        }
        Ok(Response::new(CollectFreshnessResponse { copies }))
    }

    async fn notify(&self, request: Request<NotifyRequest>) -> Result<Response<NotifyResponse>, Status> {
        self.record.lock().unwrap().events.push(request.into_inner().event);
        Ok(Response::new(NotifyResponse {}))
    }
}

/// Wallet, and an issuer on loopback with an offer for it.
pub(crate) struct Scene {
    pub(super) folder: TempDir,
    pub(crate) desk: Arc<IssuerDesk>,
    pub(crate) context: CommandContext,
    pub(super) offer: String,
}

impl Scene {
    pub(crate) async fn set(fates: impl IntoIterator<Item = Fate>) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let (wallet, passphrase) = (folder.path().join("wallet.age"), folder.path().join("passphrase"));
        std::fs::write(&passphrase, "correct horse\n").unwrap();
        let record = Record { fates: fates.into_iter().collect(), ..Record::default() };
        let clock = Arc::new(AtomicI64::new(NOW.unix()));
        let desk = Arc::new(IssuerDesk {
            issuer: issuing::Issuer::new(),
            record: Mutex::new(record),
            clock,
            made: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let service = IssuanceServiceServer::from_arc(desk.clone());
        let server = tonic::transport::Server::builder().add_service(service);
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        let offer = json!({
            "credential_issuer": endpoint, "credential_configuration_ids": [CONFIGURATION],
            "carnet_valid_until": NOW.plus(365 * 86_400).start_of_day().to_string(),
            "grants": {"urn:ietf:params:oauth:grant-type:pre-authorized_code": {"pre-authorized_code": "c0de"}}
        });
        let mut link = url::Url::parse("openid-credential-offer://").unwrap();
        link.query_pairs_mut().append_pair("credential_offer", &offer.to_string());
        let clock = desk.clock.clone();
        let clock = CommandClock::from_fn(move || Timestamp::from_unix(clock.load(Ordering::SeqCst)));
        let context = CommandContext::new(GlobalOptions::unattended(&wallet, passphrase), clock);
        WalletFile::create(&wallet, context.passphrases.read_initial().unwrap(), MIN_WORK_FACTOR).unwrap();
        Self { folder, desk, context, offer: link.to_string() }
    }

    pub(super) async fn run(&self, offer: Option<&str>) -> Result<(), Failure> {
        let resume = offer.is_none();
        let offer = offer.into_iter().map(str::to_owned).collect();
        receive::run(&self.context, &Receive { offer, resume, picture: None, pin: None, pin_file: None, yes: true })
            .await
    }

    pub(crate) async fn resume(&self) -> Result<(), Failure> {
        self.run(None).await
    }

    pub(crate) async fn receive(&self) -> Result<(), Failure> {
        self.run(Some(&self.offer)).await
    }

    pub(crate) fn set_clock(&self, now: Timestamp) {
        self.desk.clock.store(now.unix(), Ordering::SeqCst);
    }

    pub(crate) fn contents(&self) -> WalletContents {
        self.context.wallet.read().unwrap()
    }

    pub(crate) fn record<T>(&self, read: impl FnOnce(&Record) -> T) -> T {
        read(&self.desk.record.lock().unwrap())
    }

    /// Asserts that everything was received once, and nothing is pending.
    #[track_caller]
    pub(super) fn has_received(&self) {
        let contents = self.contents();
        assert_eq!(contents.credentials.iter().map(|held| held.copies.len()).collect::<Vec<_>>(), [3]);
        assert!(contents.pending_issuances.is_empty());
        assert_eq!(self.record(|record| record.events.clone()), [NotificationEvent::CredentialAccepted as i32]);
    }

    /// Asserts that nothing was received and nothing is pending; the log contains the reason.
    #[track_caller]
    pub(super) fn has_given_up(&self, reason: &str) {
        let contents = self.contents();
        assert!(contents.credentials.is_empty() && contents.pending_issuances.is_empty());
        let last = contents.log.newest().unwrap();
        assert_eq!((last.kind, last.reason.as_str()), (LogEntryKind::ReceiveFailed, reason));
    }
}
