use std::{
    collections::{BTreeSet, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
};

use carnet_core::secure::{
    jose::{Jws, KeyRef},
    sd_jwt::{KeyBinding, SdJwt},
};
use carnet_core::{keys::PublicKey, time::Timestamp};
use carnet_proto::issuer::v1::{
    CollectCredentialsRequest, CollectCredentialsResponse, CollectDeferredRequest, CollectDeferredResponse,
    CollectFreshnessRequest, CollectFreshnessResponse, CopyFreshness, CopyState, CredentialConfiguration,
    CredentialFormat, IssueNonceRequest, IssueNonceResponse, NotifyRequest, NotifyResponse, ReadMetadataRequest,
    ReadMetadataResponse, RedeemOfferRequest, RedeemOfferResponse, RefillCredentialsRequest, RefillCredentialsResponse,
    RenewCredentialsRequest, RenewCredentialsResponse,
    issuance_service_server::{IssuanceService, IssuanceServiceServer},
};
use serde_json::{Map, Value};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tonic::{Request, Response, Status, transport::server::TcpIncoming};
use tonic_types::{ErrorDetails, StatusExt};

use super::*;
use crate::{
    answer::tests::{self as issuing, NOW},
    arguments::{Global, Receive},
    commands::receive,
    failure::PROBLEM,
    ui::messages::Language,
    wallet::{Contents, file::LEAST_WORK_FACTOR},
};

const CONFIGURATION: &str = "QualificationCredential_vc+sd-jwt";

/// What comes of a call for copies, other than the copies.
pub(crate) enum Fate {
    /// They are made, and the answer does not arrive.
    Lost,
    /// Refused for this reason, and nothing is made.
    Refused(&'static str),
    /// They are not ready.
    Deferred,
    /// They are made for keys that nobody proved.
    Spoiled,
    /// They say something else than before.
    Changed,
    /// They end at another time than before.
    Prolonged,
}

/// What comes of a call for freshness, other than a statement for each copy.
#[derive(Clone, Copy)]
pub(crate) enum Word {
    /// This of every copy.
    All(CopyState),
    /// This of the first one.
    First(CopyState),
    /// Their times are no full hours.
    Fine,
    /// Their ends are no full hours.
    FineEnd,
    /// The times of the first differ.
    Unlike,
    /// Each is on the next copy.
    Moved,
    /// Another's key signed them.
    Foreign,
    /// One more member.
    Marked,
    /// One more member in the header.
    Headed,
    /// The last is missing.
    Short,
    /// No answer.
    Lost,
}

#[derive(Default)]
pub(crate) struct Record {
    /// The digests of every call for freshness.
    pub(crate) asked: Vec<Vec<Vec<u8>>>,
    pub(crate) words: VecDeque<Word>,
    /// The challenge and the verifier of every redemption.
    redemptions: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// Outcomes of redemptions other than a token.
    redeeming: VecDeque<Fate>,
    /// It keeps challenges, and gives the same token again.
    repeatable: bool,
    pub(crate) nonces: usize,
    pub(crate) fates: VecDeque<Fate>,
    /// What was shown for a refill.
    pub(crate) shown: Vec<String>,
    /// The proofs of a renewal that is not ready.
    renewing: Vec<String>,
    /// The keys that have a copy by refill.
    refilled: BTreeSet<String>,
    /// What the metadata say; the issuer's own DID if empty.
    pub(crate) claimed_issuer: String,
    /// The proofs of every call.
    calls: Vec<Vec<String>>,
    /// The proofs of the call that was taken.
    taken: Vec<String>,
    pub(crate) events: Vec<i32>,
    /// For how many seconds the owner looks at what it says of itself.
    pub(crate) pause: i64,
}

/// An issuer that keeps the rules of protocol 3.17: the same call gets the same answer, another one none.
pub(crate) struct Desk {
    pub(crate) issuer: issuing::Issuer,
    pub(crate) record: Mutex<Record>,
    /// The time, for it and the wallet.
    clock: Arc<AtomicI64>,
}

impl Desk {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix(self.clock.load(Ordering::SeqCst))
    }

    /// What an issuer asks of a copy that is shown to it: every disclosure, its own nonce and name, and the same nonce in each
    /// proof, whose keys have no copy.
    fn shown(&self, presentation: String, proofs: &[String]) -> Result<Option<Fate>, Status> {
        let mut record = self.record.lock().unwrap();
        let token = SdJwt::parse(&presentation).unwrap();
        let nonce = format!("nonce-{}", record.nonces);
        let audience = self.issuer.did.as_str();
        let expected = KeyBinding { nonce: &nonce, audience, now: self.now(), max_age: 60, skew: 60 };
        token.verify_key_binding(&expected).unwrap();
        let whole = SdJwt::parse(&self.issuer.copy("vc+sd-jwt", &token.holder_key().unwrap().unwrap())).unwrap();
        assert_eq!(token.disclosure_count(), whole.disclosure_count());
        let keys: Vec<String> = proofs.iter().map(|proof| proven_key(proof).thumbprint()).collect();
        assert_eq!(token.exchanged_for().unwrap(), keys);
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
            let credential = self.issuer.copy("vc+sd-jwt", &proven_key(proof));
            IssuedCopy { format: CredentialFormat::VcSdJwt.into(), credential }
        };
        proofs.iter().map(copy).collect()
    }

    /// The same with something done to each.
    fn other_copies(&self, proofs: &[String], change: fn(&mut Map<String, Value>)) -> Vec<IssuedCopy> {
        let copy = |proof: &String| {
            let key = proven_key(proof);
            let credential = self.issuer.copy_with("vc+sd-jwt", &key, |payload| {
                payload["validFrom"] = json!(self.now().start_of_day().to_string());
                change(payload);
            });
            IssuedCopy { format: CredentialFormat::VcSdJwt.into(), credential }
        };
        proofs.iter().map(copy).collect()
    }
}

/// It ends later.
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
impl IssuanceService for Desk {
    async fn read_metadata(&self, _: Request<ReadMetadataRequest>) -> Result<Response<ReadMetadataResponse>, Status> {
        self.clock.fetch_add(self.record.lock().unwrap().pause, Ordering::SeqCst);
        let configuration = CredentialConfiguration {
            id: CONFIGURATION.to_owned(),
            format: CredentialFormat::VcSdJwt.into(),
            credential_type: "QualificationCredential".to_owned(),
            ..CredentialConfiguration::default()
        };
        Ok(Response::new(ReadMetadataResponse {
            issuer: match self.record.lock().unwrap().claimed_issuer.as_str() {
                "" => self.issuer.did.to_string(),
                other => other.to_owned(),
            },
            configurations: vec![configuration],
            max_batch_size: 3,
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
            // It ends when it did before.
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
        let asked = request.into_inner().copies;
        let mut record = self.record.lock().unwrap();
        let word = record.words.pop_front();
        record.asked.push(asked.clone());
        if matches!(word, Some(Word::Lost)) {
            return Err(Status::unavailable("the connection broke"));
        }
        let now = self.now().unix();
        let hour = now.saturating_sub(now.rem_euclid(3_600));
        let mut copies: Vec<CopyFreshness> = asked
            .iter()
            .enumerate()
            .map(|(index, digest)| {
                let since = match word {
                    Some(Word::Fine) => hour.saturating_add(1),
                    Some(Word::Unlike) if index == 0 => hour.saturating_sub(3_600),
                    _ => hour,
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
                    _ => {}
                };
                let statement = if matches!(word, Some(Word::Foreign)) {
                    issuing::Issuer { did: self.issuer.did.clone(), ..issuing::Issuer::new() }
                        .vouch(digest, since, mark)
                } else {
                    self.issuer.vouch(digest, since, mark)
                };
                CopyFreshness { state: CopyState::Valid.into(), statement }
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

/// A wallet, and an issuer on loopback that offers it something.
pub(crate) struct Scene {
    _folder: TempDir,
    pub(crate) desk: Arc<Desk>,
    pub(crate) session: Session,
    offer: String,
}

impl Scene {
    pub(crate) async fn set(fates: impl IntoIterator<Item = Fate>) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let (wallet, passphrase) = (folder.path().join("wallet.age"), folder.path().join("passphrase"));
        std::fs::write(&passphrase, "correct horse\n").unwrap();
        let record = Record { fates: fates.into_iter().collect(), ..Record::default() };
        let clock = Arc::new(AtomicI64::new(NOW.unix()));
        let desk = Arc::new(Desk { issuer: issuing::Issuer::new(), record: Mutex::new(record), clock });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let service = IssuanceServiceServer::from_arc(desk.clone());
        let server = tonic::transport::Server::builder().add_service(service);
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        let offer = json!({
            "credential_issuer": endpoint, "credential_configuration_ids": [CONFIGURATION],
            "grants": {"urn:ietf:params:oauth:grant-type:pre-authorized_code": {"pre-authorized_code": "c0de"}}
        });
        let mut link = url::Url::parse("openid-credential-offer://").unwrap();
        link.query_pairs_mut().append_pair("credential_offer", &offer.to_string());
        let mut session = Session::new(Global {
            wallet: Some(wallet.clone()),
            passphrase_file: Some(passphrase),
            passphrase_fd: None,
            json: false,
            no_input: true,
            lang: Some(Language::En),
            ca: None,
            private_host: Vec::new(),
            catalogue: None,
        });
        let clock = desk.clock.clone();
        session.clock = Box::new(move || Timestamp::from_unix(clock.load(Ordering::SeqCst)));
        WalletFile::create(&wallet, session.passphrase(true).unwrap(), LEAST_WORK_FACTOR).unwrap();
        Self { _folder: folder, desk, session, offer: link.to_string() }
    }

    async fn run(&self, offer: Option<&str>) -> Result<(), Failure> {
        let resume = offer.is_none();
        let offer = offer.into_iter().map(str::to_owned).collect();
        receive::run(&self.session, &Receive { offer, resume, pin: None, pin_file: None, yes: true }).await
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

    pub(crate) fn contents(&self) -> Contents {
        self.session.read().unwrap()
    }

    pub(crate) fn record<T>(&self, read: impl FnOnce(&Record) -> T) -> T {
        read(&self.desk.record.lock().unwrap())
    }

    /// Everything is there, once, and nothing is on its way.
    #[track_caller]
    fn has_received(&self) {
        let contents = self.contents();
        assert_eq!(contents.credentials.iter().map(|held| held.copies.len()).collect::<Vec<_>>(), [3]);
        assert!(contents.pending.is_empty());
        assert_eq!(self.record(|record| record.events.clone()), [NotificationEvent::CredentialAccepted as i32]);
    }

    /// Nothing is there, and nothing is on its way; the log says why.
    #[track_caller]
    fn has_given_up(&self, reason: &str) {
        let contents = self.contents();
        assert!(contents.credentials.is_empty() && contents.pending.is_empty());
        let last = contents.log.last().unwrap();
        assert_eq!((last.kind, last.reason.as_str()), (EntryKind::ReceiveFailed, reason));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_asked_for_again_by_the_same_call() {
    for by_offer in [true, false] {
        let scene = Scene::set([Fate::Lost, Fate::Lost]).await;
        let again = if by_offer { Some(scene.offer.as_str()) } else { None };
        for attempt in 1..=2 {
            let lost = if attempt == 1 { scene.receive().await } else { scene.run(again).await }.unwrap_err();
            assert_eq!((lost.exit, lost.safety), (TRY_AGAIN, Safety::Stored), "{lost:?}");
            assert!(lost.hint.contains("--resume"));
            assert_eq!(scene.contents().pending.len(), 1);
        }
        scene.run(again).await.unwrap();
        scene.has_received();
        let (redeemed, calls) = scene.record(|record| (record.redemptions.len(), record.calls.clone()));
        assert_eq!((redeemed, calls.len()), (1, 3));
        assert!(calls[0].len() == 3 && calls.iter().all(|call| *call == calls[0]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn proofs_are_of_when_they_are_made_however_long_the_owner_thinks() {
    for pause in [0, 360] {
        let scene = Scene::set([Fate::Refused("INVALID_NONCE")]).await;
        scene.desk.record.lock().unwrap().pause = pause;
        scene.receive().await.unwrap();
        let calls = scene.record(|record| record.calls.clone());
        assert_eq!(calls.len(), 2, "made, and made anew");
        for proof in calls.iter().flatten() {
            assert_eq!(Jws::parse(proof).unwrap().payload()["iat"], json!(NOW.plus(pause).unix()));
        }
        scene.has_received();
        assert_eq!(scene.contents().credentials[0].received_at, NOW.plus(pause));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_could_not_be_stored_can_be_had_again() {
    let scene = Scene::set([]).await;
    let mut wallet = scene.session.open().unwrap();
    let keys = crate::collect::draw_keys(3);
    let proofs = proofs(&keys, scene.desk.issuer.did.as_str(), "nonce", NOW).unwrap();
    let endpoint = crate::offer::Offer::parse(&scene.offer).unwrap().endpoint;
    let pending = Pending {
        offer: "o".to_owned(),
        endpoint: endpoint.clone(),
        issuer: scene.desk.issuer.did.to_string(),
        configuration_id: CONFIGURATION.to_owned(),
        access_token: crate::wallet::contents::Secret::new("token".to_owned()),
        keys,
        since: NOW,
        stage: Stage::Asked { proofs, until: NOW.plus(300) },
        renews: None,
        redemption: None,
        valid_until: None,
    };
    wallet.contents.pending.push(pending.clone());
    wallet.save().unwrap();
    let folder = scene._folder.path().to_owned();
    // The folder goes away under the open wallet, so that it cannot be written.
    let elsewhere = folder.with_extension("elsewhere");
    std::fs::rename(&folder, &elsewhere).unwrap();
    let catalogue = scene.session.catalogue().unwrap();
    let mut collecting = Collecting { session: &scene.session, catalogue: &catalogue, wallet: &mut wallet };
    let unstored = collecting.resume_one(pending).await.err().unwrap();
    assert_eq!((unstored.reason.as_str(), unstored.exit), ("wallet_unwritable", TRY_AGAIN));
    assert!(wallet.contents.credentials.is_empty() && wallet.contents.pending.len() == 1);
    assert!(scene.record(|record| record.events.is_empty()), "the issuer keeps its answer until it is told");
    drop(wallet);
    std::fs::rename(&elsewhere, &folder).unwrap();
    scene.run(None).await.unwrap();
    scene.has_received();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_for_good_is_forgotten() {
    let scene = Scene::set([Fate::Refused("INVALID_TOKEN"), Fate::Refused("INVALID_TOKEN")]).await;
    assert_eq!(scene.receive().await.unwrap_err().reason, "invalid_token");
    scene.has_given_up("invalid_token");
    let scene = Scene::set([Fate::Lost, Fate::Refused("OFFER_ALREADY_COLLECTED")]).await;
    scene.receive().await.unwrap_err();
    assert_eq!(scene.receive().await.unwrap_err().reason, "offer_already_collected");
    scene.has_given_up("offer_already_collected");
    // What may be otherwise next time is kept.
    let scene = Scene::set([Fate::Refused("STORE_FAILED")]).await;
    assert_eq!(scene.receive().await.unwrap_err().exit, TRY_AGAIN);
    scene.receive().await.unwrap();
    scene.has_received();
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_that_do_not_hold_are_refused_and_not_asked_for_again() {
    let scene = Scene::set([Fate::Spoiled]).await;
    let refused = scene.receive().await.unwrap_err();
    assert_eq!((refused.reason.as_str(), refused.exit), ("holder_mismatch", PROBLEM));
    scene.has_given_up("holder_mismatch");
    assert_eq!(scene.record(|record| record.events.clone()), [NotificationEvent::CredentialFailure as i32]);
}

#[tokio::test(flavor = "multi_thread")]
async fn proofs_over_a_nonce_that_was_forgotten_are_made_anew_with_the_same_keys() {
    let scene = Scene::set([Fate::Refused("INVALID_NONCE")]).await;
    scene.receive().await.unwrap();
    scene.has_received();
    let (redeemed, calls) = scene.record(|record| (record.redemptions.len(), record.calls.clone()));
    assert_eq!((redeemed, calls.len()), (1, 2));
    assert_ne!(calls[0], calls[1]);
    let keys = |call: &[String]| {
        let key = |proof: &String| match Jws::parse(proof).unwrap().key_ref() {
            KeyRef::Jwk(key) => key.thumbprint(),
            _ => panic!("a proof without its key"),
        };
        call.iter().map(key).collect::<Vec<_>>()
    };
    assert_eq!(keys(&calls[0]), keys(&calls[1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deferred_outlives_its_token() {
    let scene = Scene::set([Fate::Lost, Fate::Deferred]).await;
    scene.receive().await.unwrap_err();
    assert_eq!(scene.receive().await.unwrap_err().reason, "not_ready");
    assert!(matches!(scene.contents().pending[0].stage, Stage::Deferred { .. }));
    scene.set_clock(NOW.plus(29 * 86_400));
    scene.receive().await.unwrap();
    scene.has_received();
    assert_eq!(scene.record(|record| record.calls.len()), 2);
}

/// Takes what the offer is redeemed with out of the file, as it is in records of before.
fn forget_redemption(scene: &Scene) {
    let mut wallet = scene.session.open().unwrap();
    for pending in &mut wallet.contents.pending {
        pending.redemption = None;
    }
    wallet.save().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_record_of_before_lost_for_too_long_is_over() {
    let lost = async || {
        let scene = Scene::set([Fate::Lost]).await;
        scene.receive().await.unwrap_err();
        forget_redemption(&scene);
        scene.set_clock(NOW.plus(300 + crate::session::CLOCK_SKEW));
        scene
    };
    // Just before the end it is asked for, after it no more.
    lost().await.run(None).await.unwrap();
    let scene = lost().await;
    scene.set_clock(scene.session.now().plus(1));
    assert_eq!(scene.run(None).await.unwrap_err().reason, "collection_expired");
    scene.has_given_up("collection_expired");
    // With the offer at hand it is tried anew: an issuer that signed nothing takes the code again.
    let scene = lost().await;
    scene.set_clock(scene.session.now().plus(1));
    scene.desk.record.lock().unwrap().taken.clear();
    scene.receive().await.unwrap();
    scene.has_received();
    assert_eq!(scene.record(|record| record.redemptions.len()), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redemption_whose_answer_was_lost_is_repeated_with_the_verifier_that_was_stored_before_it() {
    for by_offer in [true, false] {
        let scene = Scene::set([]).await;
        scene.desk.record.lock().unwrap().redeeming = [Fate::Lost, Fate::Lost].into();
        let lost = scene.receive().await.unwrap_err();
        assert_eq!((lost.exit, lost.safety), (TRY_AGAIN, Safety::Stored), "{lost:?}");
        assert!(lost.hint.contains("--resume"));
        assert!(matches!(scene.contents().pending[0].stage, Stage::Redeeming { .. }));
        let again = by_offer.then_some(scene.offer.as_str());
        scene.run(again).await.unwrap_err();
        // However long it takes: the offer's end is for the issuer to say.
        scene.set_clock(NOW.plus(86_400));
        scene.run(again).await.unwrap();
        scene.has_received();
        let redemptions = scene.record(|record| record.redemptions.clone());
        let [(challenge, None), rest @ ..] = redemptions.as_slice() else { panic!("the first shows no verifier") };
        assert_eq!(rest.len(), 2);
        for (again, verifier) in rest {
            assert_eq!(again, challenge);
            let digest = <sha2::Sha256 as sha2::Digest>::digest(verifier.as_deref().unwrap());
            assert_eq!(digest.as_slice(), challenge);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_that_were_lost_are_asked_for_with_the_same_proofs_under_the_token_of_a_repeat() {
    let scene = Scene::set([Fate::Lost]).await;
    scene.desk.record.lock().unwrap().repeatable = true;
    scene.receive().await.unwrap_err();
    // Nothing was written between the redemption and the copies: the record of before it is enough.
    assert!(matches!(scene.contents().pending[0].stage, Stage::Redeeming { .. }));
    scene.set_clock(NOW.plus(3 * 86_400));
    scene.resume().await.unwrap();
    scene.has_received();
    let (redemptions, calls) = scene.record(|record| (record.redemptions.len(), record.calls.clone()));
    assert_eq!((redemptions, calls.len()), (2, 2));
    assert_eq!(calls[0], calls[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_ended_unnoticed_is_had_again() {
    let scene = Scene::set([Fate::Refused("INVALID_TOKEN")]).await;
    scene.receive().await.unwrap();
    scene.has_received();
    assert_eq!(scene.record(|record| record.redemptions.len()), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn proofs_that_grew_too_old_are_made_anew() {
    let scene = Scene::set([Fate::Refused("INVALID_PROOF")]).await;
    scene.receive().await.unwrap();
    scene.has_received();
    let scene = Scene::set([Fate::Refused("INVALID_PROOF"), Fate::Refused("INVALID_PROOF")]).await;
    assert_eq!(scene.receive().await.unwrap_err().reason, "invalid_proof");
    scene.has_given_up("invalid_proof");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_that_is_refused_leaves_no_record() {
    let scene = Scene::set([]).await;
    scene.desk.record.lock().unwrap().redeeming = [Fate::Refused("INVALID_GRANT")].into();
    let refused = scene.receive().await.unwrap_err();
    assert_eq!((refused.reason.as_str(), refused.safety), ("invalid_grant", Safety::Untouched));
    assert!(scene.contents().pending.is_empty() && scene.contents().log.last().is_none());
    // A PIN may have been wrong: the same offer can be tried at once.
    scene.receive().await.unwrap();
    scene.has_received();
    // Where it was begun before, the log says what became of it.
    let scene = Scene::set([]).await;
    scene.desk.record.lock().unwrap().redeeming = [Fate::Lost, Fate::Refused("OFFER_CANCELLED")].into();
    scene.receive().await.unwrap_err();
    assert_eq!(scene.resume().await.unwrap_err().reason, "offer_cancelled");
    scene.has_given_up("offer_cancelled");
    // What may be otherwise later is kept.
    let scene = Scene::set([]).await;
    scene.desk.record.lock().unwrap().redeeming = [Fate::Refused("STORE_BUSY"), Fate::Refused("STORE_FAILED")].into();
    for _ in 0..2 {
        assert_eq!(scene.receive().await.unwrap_err().exit, TRY_AGAIN);
    }
    scene.receive().await.unwrap();
    scene.has_received();
}
