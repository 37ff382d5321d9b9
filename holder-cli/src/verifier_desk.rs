//! Verifier that makes faulty receipts on command, and what the wallet does about each.

use std::{
    cell::Cell,
    collections::BTreeMap,
    rc::Rc,
    sync::{Arc, Mutex},
};

use carnet_core::{
    did::{Did, DidUrl, SelfContainedResolver},
    format::CredentialFormat,
    json::{Limits, parse_object},
    keys::{SecretKey, SignatureAlgorithm, Signer},
    receipt::{
        DisclosedCredential, ErasureConfirmation, ErasureRequest, Receipt, ReceiptContent, presentation_digest,
        request_digest,
    },
    secure::sd_jwt::SdJwt,
    time::Timestamp,
};
use carnet_proto::verifier::v1::{
    ReadRequestRequest, ReadRequestResponse, RequestErasureRequest, RequestErasureResponse, SubmitPresentationRequest,
    SubmitPresentationResponse,
    presentation_service_server::{PresentationService, PresentationServiceServer},
};
use rand_core::OsRng;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};
use tonic::{Request, Response, Status, transport::server::TcpIncoming};

use crate::{
    answer::tests::Issuer,
    arguments::{GlobalOptions, Present},
    clock::CommandClock,
    commands::present,
    context::CommandContext,
    failure::Failure,
    receipt::{StatementCount, verify_log},
    request::{
        AuthorizationRequestLink,
        tests::{Asker, NOW},
    },
    wallet::{LogEntryKind, WalletContents, WalletFile, WalletLogEntry, file::MIN_WORK_FACTOR, log::WalletLog},
};

/// Fault of a receipt, or of the response that contains it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    Missing,
    Garbage,
    OtherVerifier,
    OtherRequest,
    OtherPresentation,
    NoPresentation,
    MorePaths,
    FewerPaths,
    OtherQuery,
    OtherKey,
    NoKey,
    OtherVerdict,
    Altered,
    Refused,
    RefusedInPart,
    RefusedAndMore,
    ErasureOfAnother,
    ErasureByAnother,
    ErasureRefused,
}

/// Fake verifier on loopback. Its receipts and confirmations of erasure have the current [`Fault`].
pub(crate) struct VerifierDesk {
    asker: Asker,
    object: String,
    pub(crate) fault: Mutex<Fault>,
    pub(crate) erased: Mutex<Vec<String>>,
}

impl Fault {
    fn refuses(self) -> bool {
        matches!(self, Self::Refused | Self::RefusedInPart | Self::RefusedAndMore)
    }
}

fn kid(key: &SecretKey) -> DidUrl {
    DidUrl::parse(&format!("{}#0", Did::did_jwk(&key.public_key()))).unwrap()
}

fn stranger() -> SecretKey {
    SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng)
}

impl VerifierDesk {
    fn receipt(&self, sent: &str, presented: &SdJwt, fault: Fault) -> String {
        let presented_digest = match fault {
            Fault::NoPresentation => None,
            Fault::OtherPresentation => Some(presentation_digest(&BTreeMap::new()).unwrap()),
            _ => Some(presentation_digest(&[("q".to_owned(), vec![sent.to_owned()])].into()).unwrap()),
        };
        let paths = presented.resolve_disclosures().unwrap().disclosure_paths;
        let mut shown = DisclosedCredential {
            query_id: "q".to_owned(),
            credential_type: "QualificationCredential".to_owned(),
            issuer: None,
            paths: paths.iter().map(|path| carnet_core::query::path_to_text(path)).collect(),
            thresholds: Vec::new(),
        };
        let mut holder_keys = vec![presented.holder_key().unwrap().unwrap().thumbprint()];
        let mut digest = request_digest(&self.object);
        let mut accepted = !fault.refuses();
        let mut key = &self.asker.key;
        let other = stranger();
        match fault {
            Fault::OtherVerifier => key = &other,
            Fault::OtherRequest => digest = request_digest("another"),
            Fault::MorePaths | Fault::RefusedAndMore => shown.paths.push("credentialSubject.dateOfBirth".to_owned()),
            Fault::FewerPaths | Fault::RefusedInPart => drop(shown.paths.pop()),
            Fault::OtherQuery => shown.query_id = "p".to_owned(),
            Fault::OtherKey => holder_keys.push(other.public_key().thumbprint()),
            Fault::NoKey => holder_keys.clear(),
            Fault::OtherVerdict => accepted = false,
            _ => {}
        }
        let content = ReceiptContent {
            request_id: "r1".to_owned(),
            request_digest: digest,
            presentation_digest: presented_digest,
            intended_use: String::new(),
            purpose: [("en".to_owned(), "To find you work.".to_owned())].into(),
            accepted,
            reason: (!accepted).then(|| "expired".to_owned()),
            // A verifier that refused before evaluating it states nothing.
            disclosed: if fault == Fault::Refused { Vec::new() } else { vec![shown] },
            holder_keys: if fault == Fault::Refused { Vec::new() } else { holder_keys },
            redeemed: None,
            verified_at: NOW,
            erase_at: NOW.plus(30 * 86_400),
            retained: Vec::new(),
        };
        let receipt = Receipt::issue(content, &kid(key), key, NOW).unwrap();
        let mut document = receipt.document().clone();
        if fault == Fault::Altered {
            document["credentialSubject"]["erase_at"] = json!(NOW.plus(86_400).to_string());
        }
        Value::Object(document).to_string()
    }
}

#[tonic::async_trait]
impl PresentationService for VerifierDesk {
    async fn read_request(&self, _: Request<ReadRequestRequest>) -> Result<Response<ReadRequestResponse>, Status> {
        Ok(Response::new(ReadRequestResponse { request_object: self.object.clone() }))
    }

    async fn submit_presentation(
        &self,
        request: Request<SubmitPresentationRequest>,
    ) -> Result<Response<SubmitPresentationResponse>, Status> {
        let sent = request.into_inner().vp_token["q"].presentations[0].clone();
        let presented = SdJwt::parse(&sent).unwrap();
        let fault = *self.fault.lock().unwrap();
        let receipt = match fault {
            Fault::Missing => String::new(),
            Fault::Garbage => "{\"a\":1,\"a\":2}".to_owned(),
            _ => self.receipt(&sent, &presented, fault),
        };
        let reason = if fault.refuses() { "expired".to_owned() } else { String::new() };
        let accepted = !fault.refuses();
        Ok(Response::new(SubmitPresentationResponse { accepted, reason, checks: Vec::new(), receipt }))
    }

    async fn request_erasure(
        &self,
        request: Request<RequestErasureRequest>,
    ) -> Result<Response<RequestErasureResponse>, Status> {
        let RequestErasureRequest { receipt, proof } = request.into_inner();
        let document = parse_object(receipt.as_bytes(), Limits::DOCUMENT).unwrap();
        let verifier = self.asker.pointer.did.as_str();
        let receipt = Receipt::verify_own(&document, verifier, NOW, 60, &SelfContainedResolver).unwrap();
        ErasureRequest::verify(&proof, &receipt, NOW, 300, 60).unwrap();
        self.erased.lock().unwrap().push(receipt.digest().to_owned());
        let fault = *self.fault.lock().unwrap();
        let key = &self.asker.key;
        let confirmation = match fault {
            Fault::ErasureRefused => return Err(Status::failed_precondition("no")),
            Fault::ErasureOfAnother => {
                let content = ReceiptContent { request_id: "r2".to_owned(), ..receipt.content().clone() };
                let other = Receipt::issue(content, &kid(key), key, NOW).unwrap();
                ErasureConfirmation::issue(&other, NOW, &kid(key), key, NOW).unwrap()
            }
            Fault::ErasureByAnother => {
                let other = stranger();
                let forged = Receipt::issue(receipt.content().clone(), &kid(&other), &other, NOW).unwrap();
                ErasureConfirmation::issue(&forged, NOW, &kid(&other), &other, NOW).unwrap()
            }
            _ => ErasureConfirmation::issue(&receipt, NOW, &kid(key), key, NOW).unwrap(),
        };
        let confirmation = Value::Object(confirmation.document().clone()).to_string();
        Ok(Response::new(RequestErasureResponse { confirmation }))
    }
}

/// Wallet with a qualification, and an unregistered verifier.
pub(crate) struct VerifierScene {
    pub(crate) folder: TempDir,
    pub(crate) desk: Arc<VerifierDesk>,
    pub(crate) context: CommandContext,
    /// Time of the wallet.
    pub(crate) time: Rc<Cell<Timestamp>>,
    pub(crate) client_id: String,
    link: String,
    server: JoinHandle<()>,
}

impl VerifierScene {
    pub(crate) async fn set(fault: Fault) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let (wallet, passphrase) = (folder.path().join("wallet.age"), folder.path().join("passphrase"));
        std::fs::write(&passphrase, "correct horse\n").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let mut asker = Asker::new();
        let client_id = asker.pointer.client_id.clone();
        let mut link = url::Url::parse("openid4vp://").unwrap();
        link.query_pairs_mut()
            .append_pair("client_id", &client_id)
            .append_pair("request_uri", &format!("{endpoint}/requests/r1"));
        asker.pointer = AuthorizationRequestLink::parse(link.as_str()).unwrap();
        asker.payload["response_uri"] = json!(format!("{endpoint}/requests/r1/answer"));
        asker.payload["carnet"]["verifier_name"] = json!("Job <b>Agency</b>");
        let object = asker.sign(asker.header());
        let desk = Arc::new(VerifierDesk { asker, object, fault: Mutex::new(fault), erased: Mutex::default() });
        let service = PresentationServiceServer::from_arc(desk.clone());
        let serving = tonic::transport::Server::builder().add_service(service);
        let serving = serving.serve_with_incoming(TcpIncoming::from(listener));
        let server = tokio::spawn(async move { drop(serving.await) });
        let time = Rc::new(Cell::new(NOW));
        let clock = Rc::clone(&time);
        let clock = CommandClock::from_fn(move || clock.get());
        let context = CommandContext::new(GlobalOptions::unattended(&wallet, passphrase), clock);
        WalletFile::create(&wallet, context.passphrases.read_initial().unwrap(), MIN_WORK_FACTOR).unwrap();
        let mut opened = context.wallet.open().unwrap();
        opened.contents.credentials.push(Issuer::new().held("aaaa", CredentialFormat::VcSdJwt, 3));
        opened.save().unwrap();
        Self { folder, desk, context, time, client_id, link: link.to_string(), server }
    }

    /// Creates a scene in which a presentation was made.
    pub(crate) async fn shown(fault: Fault) -> Self {
        let scene = Self::set(fault).await;
        let _ = scene.present().await;
        scene
    }

    /// Returns the failure with which a request ends that nobody approves.
    pub(crate) async fn refusal(&self) -> Failure {
        present::run(&self.context, &self.unapproved()).await.unwrap_err()
    }

    pub(crate) async fn present(&self) -> Result<(), Failure> {
        let mut present = self.unapproved();
        let seen = present::run(&self.context, &present).await.unwrap_err();
        assert_eq!(seen.reason, "approval_needed", "{seen:?}");
        present.yes = Some(seen.extra_members.unwrap()["digest"].as_str().unwrap().to_owned());
        present::run(&self.context, &present).await
    }

    fn unapproved(&self) -> Present {
        let claims = ["q:credentialSubject.title", "q:credentialSubject.eqfLevel"].map(str::to_owned);
        Present {
            picture: None,
            request: vec![self.link.clone()],
            yes: None,
            credential_ids: Vec::new(),
            approve: claims.to_vec(),
            withhold: Vec::new(),
            show_marked: false,
            explain: false,
        }
    }

    pub(crate) fn contents(&self) -> WalletContents {
        self.context.wallet.read().unwrap()
    }

    /// Changes the wallet's contents without a command.
    pub(crate) fn change(&self, change: impl FnOnce(&mut WalletContents)) {
        let mut wallet = self.context.wallet.open().unwrap();
        change(&mut wallet.contents);
        wallet.save().unwrap();
    }

    /// Stops the verifier.
    pub(crate) async fn close(&mut self) {
        self.server.abort();
        let _ = (&mut self.server).await;
    }

    pub(crate) fn kinds(&self) -> Vec<LogEntryKind> {
        self.contents().log.entries().iter().map(|entry| entry.kind).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_that_holds_is_kept_and_holds_ever_after() {
    let scene = VerifierScene::set(Fault::None).await;
    scene.present().await.unwrap();
    let kinds = [LogEntryKind::Requested, LogEntryKind::Sending, LogEntryKind::Accepted, LogEntryKind::Receipt];
    assert_eq!(scene.kinds(), kinds);
    let log = scene.contents().log;
    let sent = log.entry(2).unwrap();
    assert_eq!(
        (sent.refers_to, log.entry(3).unwrap().refers_to, log.entry(4).unwrap().refers_to),
        (Some(1), Some(2), Some(2))
    );
    assert_eq!(sent.request_digest, request_digest(&scene.desk.object));
    assert!(sent.verifier.as_ref().unwrap().endpoint.starts_with("http://127.0.0.1:"));
    assert!(!sent.excess.is_empty() && sent.approval_digest.len() == 43);
    assert_eq!(verify_log(&log).unwrap(), StatementCount { receipts: 1, ..StatementCount::default() });
    // The log contains no disclosed value.
    let text = serde_json::to_string(&log).unwrap();
    let example = Issuer::new().catalogue.credential_type("QualificationCredential").unwrap().example.clone();
    let title = example["credentialSubject"]["title"].as_str().unwrap();
    assert!(text.contains("credentialSubject.title") && !text.contains(title));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_that_says_something_else_is_noted_and_the_verdict_stands() {
    let cases = [
        (Fault::Missing, ""),
        (Fault::Garbage, "duplicate_key"),
        (Fault::OtherVerifier, "receipt_mismatch"),
        (Fault::OtherRequest, "receipt_mismatch"),
        (Fault::OtherPresentation, "receipt_mismatch"),
        (Fault::MorePaths, "receipt_mismatch"),
        (Fault::FewerPaths, "receipt_mismatch"),
        (Fault::OtherQuery, "receipt_mismatch"),
        (Fault::OtherKey, "receipt_mismatch"),
        (Fault::NoKey, "receipt_mismatch"),
        (Fault::OtherVerdict, "receipt_mismatch"),
        (Fault::Altered, "signature_invalid"),
    ];
    for (fault, reason) in cases {
        let scene = VerifierScene::set(fault).await;
        scene.present().await.unwrap();
        let log = scene.contents().log;
        let last = log.newest().unwrap();
        let kind = if fault == Fault::Missing { LogEntryKind::ReceiptMissing } else { LogEntryKind::ReceiptInvalid };
        assert_eq!((last.kind, last.reason.as_str(), last.refers_to), (kind, reason, Some(2)), "{fault:?}");
        assert!(last.statement.is_none());
        assert_eq!(verify_log(&log).unwrap(), StatementCount::default());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_of_a_verifier_of_before_names_no_presentation_and_is_kept() {
    let scene = VerifierScene::shown(Fault::NoPresentation).await;
    assert_eq!(scene.kinds().last(), Some(&LogEntryKind::Receipt));
    assert_eq!(verify_log(&scene.contents().log).unwrap().receipts, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_has_a_receipt_that_may_say_less() {
    for (fault, state, kind) in [
        (Fault::Refused, "kept", LogEntryKind::Receipt),
        (Fault::RefusedInPart, "kept", LogEntryKind::Receipt),
        (Fault::RefusedAndMore, "false", LogEntryKind::ReceiptInvalid),
    ] {
        let scene = VerifierScene::set(fault).await;
        let refused = scene.present().await.unwrap_err();
        assert_eq!(refused.reason, "expired");
        assert_eq!(refused.extra_members.unwrap()["receipt"]["state"], state, "{fault:?}");
        assert_eq!(scene.kinds()[2..], [LogEntryKind::RefusedByVerifier, kind]);
        verify_log(&scene.contents().log).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_receipt_that_was_changed_is_named_also_where_the_chain_was_written_anew() {
    let scene = VerifierScene::shown(Fault::None).await;
    let log = scene.contents().log;
    verify_log(&log).unwrap();
    let rewritten = |change: &dyn Fn(&mut WalletLogEntry)| {
        let mut other = WalletLog::default();
        for entry in log.entries() {
            let mut entry = entry.clone();
            change(&mut entry);
            other.push(entry);
        }
        other.check_chain().unwrap();
        verify_log(&other).map_err(|broken| broken.number)
    };
    rewritten(&|_| {}).unwrap();
    let erase_at = |entry: &mut WalletLogEntry| {
        if let Some(statement) = &mut entry.statement {
            statement.document["credentialSubject"]["erase_at"] = json!(NOW.plus(86_400).to_string());
        }
    };
    assert_eq!(rewritten(&erase_at), Err(4));
    let key = |entry: &mut WalletLogEntry| {
        if let Some(statement) = &mut entry.statement {
            statement.key = stranger().public_key().to_multikey();
        }
    };
    assert_eq!(rewritten(&key), Err(4));
    let less = |entry: &mut WalletLogEntry| entry.credentials.iter_mut().for_each(|part| part.paths.clear());
    assert_eq!(rewritten(&less), Err(4));
    let none = |entry: &mut WalletLogEntry| entry.statement = None;
    assert_eq!(rewritten(&none), Err(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_looked_at_twice_is_noted_once() {
    let scene = VerifierScene::shown(Fault::None).await;
    let requested = scene.kinds().into_iter().filter(|kind| *kind == LogEntryKind::Requested).count();
    assert_eq!(requested, 1);
}
