//! Status lists and acts of staff: what is published says what was done, and nothing else changes.

use std::collections::HashSet;

use carnet_core::{
    keys::{Algorithm, SecretKey},
    secure::{jose::Jws, sd_jwt::SdJwt},
    status::{StatusList, bitstring, token},
    time::Timestamp,
};
use carnet_proto::issuer::v1::{
    self as proto, status_list_service_client::StatusListServiceClient, status_service_client::StatusServiceClient,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tonic::{Code, Request, Status, transport::Channel};

use super::harness::{Running, holder_keys, offer_request, reason, start, start_with};
use crate::{
    format::Format,
    secrets,
    store::{
        RefillIntent, RefillStore as _, SqliteStore,
        sqlite::MIGRATIONS,
        status::{State, StatusStore as _},
    },
};

const REVOKE: proto::StatusVerb = proto::StatusVerb::Revoke;
const SUSPEND: proto::StatusVerb = proto::StatusVerb::Suspend;
const REINSTATE: proto::StatusVerb = proto::StatusVerb::Reinstate;
const BASE: &str = "https://university.example/status";

/// An answer over HTTP.
struct Answer {
    code: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

fn change(verb: proto::StatusVerb, ids: &[&str]) -> proto::ChangeStatusRequest {
    proto::ChangeStatusRequest {
        request_id: secrets::draw_id(),
        verb: verb.into(),
        reason: "the record was wrong".to_owned(),
        ids: ids.iter().map(|id| (*id).to_owned()).collect(),
        ..Default::default()
    }
}

fn filter(verb: proto::StatusVerb, filter: proto::StatusFilter) -> proto::ChangeStatusRequest {
    proto::ChangeStatusRequest { filter: Some(filter), ..change(verb, &[]) }
}

impl Running {
    fn statuses(
        &self,
    ) -> StatusServiceClient<tonic::service::interceptor::InterceptedService<Channel, impl tonic::service::Interceptor>>
    {
        let header = self.staff_header();
        StatusServiceClient::with_interceptor(self.channel.clone(), move |mut request: Request<()>| {
            request.metadata_mut().insert("authorization", header.clone());
            Ok(request)
        })
    }

    async fn change(&self, request: proto::ChangeStatusRequest) -> Result<proto::ChangeStatusResponse, Status> {
        Ok(self.statuses().change_status(request).await?.into_inner())
    }

    async fn states(&self, id: &str) -> Vec<proto::CredentialStatus> {
        let request = proto::ReadStatusRequest { id: id.to_owned() };
        let copies = self.statuses().read_status(request).await.unwrap().into_inner().copies;
        copies.iter().map(proto::CopyStatus::status).collect()
    }

    /// An offer that was collected, with its copies.
    async fn issue(&self, format: proto::CredentialFormat, copies: usize) -> (String, Vec<String>) {
        let request = proto::CreateOfferRequest { format: format.into(), ..offer_request(&secrets::draw_id()) };
        let offer = self.create(request).await;
        let answer = self.receive(&offer, &holder_keys(copies)).await.unwrap();
        (offer.id, answer.credentials.into_iter().map(|copy| copy.credential).collect())
    }

    async fn get(&self, path: &str, more: &str) -> Answer {
        let address = self.issuer.endpoint.trim_start_matches("http://").to_owned();
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: university.example\r\nconnection: close\r\n{more}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let body = bytes.split_off(end).split_off(4);
        let head = String::from_utf8(bytes).unwrap();
        let code = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { code, head, body }
    }

    /// A list in each form, as a verifier fetches it; both ways to fetch it give the same.
    async fn lists(&self, number: i64) -> (StatusList, StatusList, StatusList) {
        let mut texts = Vec::new();
        for form in ["revocation", "suspension", "token"] {
            let url = format!("{BASE}/{form}/{number}");
            let request = proto::ReadStatusListRequest { url: url.clone(), ..Default::default() };
            let mut lists = StatusListServiceClient::new(self.channel.clone());
            let grpc = lists.read_status_list(request).await.unwrap().into_inner();
            let http = self.get(url.strip_prefix("https://university.example").unwrap(), "").await;
            assert_eq!((http.code, &http.body), (200, &grpc.list));
            assert_eq!(http.header("etag"), Some(grpc.etag.as_str()));
            assert_eq!(http.header("content-type"), Some(grpc.media_type.as_str()));
            assert_eq!(http.header("cache-control"), Some("public, max-age=300"));
            texts.push(String::from_utf8(http.body).unwrap());
        }
        let bits = |text: &str| {
            let document: Value = serde_json::from_str(text).unwrap();
            assert_eq!(document["issuer"], json!(self.issuer.did.as_str()));
            bitstring::decode(document["credentialSubject"]["encodedList"].as_str().unwrap(), 1).unwrap()
        };
        let now = Timestamp::from_unix(self.now());
        let token = token::Token::parse(&texts[2]).unwrap();
        let (both, _) = token.verify(&self.issuer_key(), &format!("{BASE}/token/{number}"), now, 0).unwrap();
        (bits(&texts[0]), bits(&texts[1]), both)
    }

    /// What the published lists say of a copy, by what the copy itself names; the three forms agree.
    async fn published(&self, copy: &str) -> State {
        let (url, index) = place(copy);
        let number = url.rsplit('/').next().unwrap().parse().unwrap();
        let (revocation, suspension, both) = self.lists(number).await;
        let seen = (revocation.value(index).unwrap(), suspension.value(index).unwrap(), both.value(index).unwrap());
        match seen {
            (0, 0, token::VALID) => State::Valid,
            (0, 1, token::SUSPENDED) => State::Suspended,
            (1, 0, token::INVALID) => State::Revoked,
            other => panic!("the forms differ: {other:?}"),
        }
    }
}

/// Where a copy says that its status stands.
fn place(copy: &str) -> (String, u64) {
    let payload = if copy.starts_with('{') {
        serde_json::from_str::<Value>(copy).unwrap()
    } else {
        Value::Object(SdJwt::parse(copy).unwrap().jws().payload().clone())
    };
    if let Some(status) = payload.get("status") {
        let reference = token::Reference::parse(status).unwrap();
        return (reference.uri, reference.index);
    }
    let entries = payload["credentialStatus"].as_array().unwrap();
    let references: Vec<_> = entries.iter().map(|entry| bitstring::Reference::parse(entry).unwrap()).collect();
    assert_eq!(references[0].index, references[1].index);
    (references[0].url.clone(), references[0].index)
}

#[tokio::test]
async fn what_is_done_to_an_offer_is_published_of_each_of_its_copies_in_every_form() {
    use proto::CredentialFormat as F;
    let issuer = start().await;
    for format in [F::VcSdJwt, F::DcSdJwt, F::DiVcJcs] {
        let (offer, copies) = issuer.issue(format, 3).await;
        let (_, others) = issuer.issue(format, 2).await;
        for (verb, state) in [(SUSPEND, State::Suspended), (REINSTATE, State::Valid), (REVOKE, State::Revoked)] {
            let done = issuer.change(change(verb, &[&offer])).await.unwrap();
            assert_eq!((done.credentials, done.copies, done.changed, done.published), (1, 3, 3, true));
            for copy in &copies {
                assert_eq!(issuer.published(copy).await, state);
            }
            for other in &others {
                assert_eq!(issuer.published(other).await, State::Valid);
            }
        }
    }
}

#[tokio::test]
async fn a_revocation_cannot_be_undone_and_a_suspension_can() {
    let issuer = start().await;
    let (offer, _) = issuer.issue(proto::CredentialFormat::VcSdJwt, 2).await;
    let (twin, _) = issuer.issue(proto::CredentialFormat::VcSdJwt, 2).await;
    issuer.change(change(REVOKE, &[&offer])).await.unwrap();
    issuer.change(change(SUSPEND, &[&twin])).await.unwrap();
    for verb in [REINSTATE, SUSPEND] {
        assert_eq!(reason(issuer.change(change(verb, &[&offer])).await), "STATUS_REVOKED");
    }
    // Of two, one that cannot be is none that are.
    let both = proto::ChangeStatusRequest { expected_count: Some(2), ..change(REINSTATE, &[&twin, &offer]) };
    assert_eq!(reason(issuer.change(both).await), "STATUS_REVOKED");
    assert_eq!(issuer.states(&twin).await, [proto::CredentialStatus::Suspended; 2]);
    issuer.change(change(REINSTATE, &[&twin])).await.unwrap();
    assert_eq!(issuer.states(&twin).await, [proto::CredentialStatus::Valid; 2]);
    assert_eq!(issuer.states(&offer).await, [proto::CredentialStatus::Revoked; 2]);
    // Again is no error, and changes nothing.
    assert_eq!(issuer.change(change(REVOKE, &[&offer])).await.unwrap().changed, 0);
}

#[tokio::test]
async fn one_copy_alone_can_be_meant() {
    let issuer = start().await;
    let (offer, copies) = issuer.issue(proto::CredentialFormat::VcSdJwt, 2).await;
    let record = issuer.issued().await.remove(0);
    let done = issuer.change(change(REVOKE, &[&record.issued_id])).await.unwrap();
    assert_eq!((done.credentials, done.copies, done.changed), (1, 1, 1));
    let states = [issuer.published(&copies[0]).await, issuer.published(&copies[1]).await];
    assert_eq!(states.iter().filter(|state| **state == State::Revoked).count(), 1);
    // What is left of it can still be suspended.
    assert_eq!(issuer.change(change(SUSPEND, &[&offer])).await.unwrap().changed, 1);
    assert_eq!(reason(issuer.change(change(SUSPEND, &["unknown"])).await), "NOT_FOUND");
}

#[tokio::test]
async fn what_was_not_collected_is_cancelled_and_not_revoked() {
    let issuer = start().await;
    let offer = issuer.create(offer_request("a")).await;
    assert_eq!(reason(issuer.change(change(REVOKE, &[&offer.id])).await), "OFFER_STATE");
    issuer.receive(&offer, &holder_keys(1)).await.unwrap();
    assert_eq!(issuer.change(change(REVOKE, &[&offer.id])).await.unwrap().changed, 1);
}

#[tokio::test]
async fn a_request_works_once_whoever_repeats_it() {
    let issuer = start().await;
    let (offer, _) = issuer.issue(proto::CredentialFormat::VcSdJwt, 2).await;
    let request = change(SUSPEND, &[&offer]);
    let first = issuer.change(request.clone()).await.unwrap();
    issuer.change(change(REINSTATE, &[&offer])).await.unwrap();
    let (again, other) = tokio::join!(issuer.change(request.clone()), issuer.change(request.clone()));
    assert_eq!((again.unwrap().act, other.unwrap().act), (first.act, first.act));
    assert_eq!(issuer.states(&offer).await, [proto::CredentialStatus::Valid; 2]);
    for changed in [
        proto::ChangeStatusRequest { verb: REVOKE.into(), ..request.clone() },
        proto::ChangeStatusRequest { reason: "another".to_owned(), ..request.clone() },
        proto::ChangeStatusRequest { ids: vec!["another".to_owned()], ..request },
    ] {
        assert_eq!(reason(issuer.change(changed).await), "REQUEST_ID_REUSED");
    }
}

#[tokio::test]
async fn many_at_once_need_their_number() {
    let issuer = start().await;
    let (first, _) = issuer.issue(proto::CredentialFormat::VcSdJwt, 2).await;
    issuer.pass(100);
    let (second, _) = issuer.issue(proto::CredentialFormat::VcSdJwt, 1).await;
    let now = issuer.now();
    let at = |seconds: i64| Some(carnet_service::wire::timestamp(Timestamp::from_unix(now + seconds)));
    let qualification = "QualificationCredential".to_owned();
    let cases = [
        (change(SUSPEND, &[&first, &second]), 2, 3),
        (filter(SUSPEND, proto::StatusFilter { credential_type: qualification, ..Default::default() }), 2, 3),
        (filter(SUSPEND, proto::StatusFilter { from: at(-100), until: at(0), ..Default::default() }), 2, 3),
        (filter(SUSPEND, proto::StatusFilter { from: at(0), ..Default::default() }), 1, 1),
        (filter(SUSPEND, proto::StatusFilter { from: at(1), ..Default::default() }), 0, 0),
        (filter(SUSPEND, proto::StatusFilter { until: at(-100), ..Default::default() }), 1, 2),
        (filter(SUSPEND, proto::StatusFilter { until: at(-101), ..Default::default() }), 0, 0),
        (filter(SUSPEND, proto::StatusFilter { credential_type: "Other".to_owned(), ..Default::default() }), 0, 0),
    ];
    for (request, credentials, copies) in cases {
        let dry = proto::ChangeStatusRequest { dry_run: true, ..request.clone() };
        let counted = issuer.change(dry).await.unwrap();
        assert_eq!((counted.act, counted.credentials, counted.copies), (0, credentials, copies), "{request:?}");
        let refused = issuer.change(request.clone()).await;
        assert_eq!(reason(refused), "INVALID_ARGUMENT");
        let wrong = proto::ChangeStatusRequest { expected_count: Some(credentials + 1), ..request.clone() };
        assert_eq!(reason(issuer.change(wrong).await), "COUNT_DIFFERS");
        for id in [&first, &second] {
            assert!(issuer.states(id).await.iter().all(|state| *state == proto::CredentialStatus::Valid));
        }
        let right = proto::ChangeStatusRequest { expected_count: Some(credentials), ..request };
        assert_eq!(issuer.change(right).await.unwrap().changed, copies);
        let back = proto::ChangeStatusRequest { expected_count: Some(2), ..change(REINSTATE, &[&first, &second]) };
        assert_eq!(issuer.change(back).await.unwrap().changed, copies);
    }
    let everything = filter(REVOKE, proto::StatusFilter::default());
    assert_eq!(reason(issuer.change(everything).await), "INVALID_ARGUMENT");
}

#[tokio::test]
async fn requests_without_a_reason_a_token_or_a_sense_are_refused() {
    let issuer = start().await;
    let (offer, _) = issuer.issue(proto::CredentialFormat::VcSdJwt, 1).await;
    let request = change(SUSPEND, &[&offer]);
    for wrong in [
        proto::ChangeStatusRequest { reason: " ".to_owned(), ..request.clone() },
        proto::ChangeStatusRequest { reason: "x".repeat(501), ..request.clone() },
        proto::ChangeStatusRequest { reason: "a\nb".to_owned(), ..request.clone() },
        proto::ChangeStatusRequest { verb: 0, ..request.clone() },
        proto::ChangeStatusRequest { verb: 9, ..request.clone() },
        proto::ChangeStatusRequest { ids: Vec::new(), ..request.clone() },
        proto::ChangeStatusRequest { request_id: String::new(), ..request.clone() },
        proto::ChangeStatusRequest { filter: Some(proto::StatusFilter::default()), ..request.clone() },
    ] {
        assert_eq!(reason(issuer.change(wrong).await), "INVALID_ARGUMENT");
    }
    let stranger = StatusServiceClient::new(issuer.channel.clone()).change_status(request.clone()).await;
    assert_eq!(stranger.as_ref().unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(reason(stranger), "TOKEN_MISSING");
    assert_eq!(issuer.change(request).await.unwrap().changed, 1);
}

#[tokio::test]
async fn what_was_done_is_written_down_and_stays() {
    let issuer = start().await;
    let (offer, _) = issuer.issue(proto::CredentialFormat::VcSdJwt, 2).await;
    let (other, _) = issuer.issue(proto::CredentialFormat::VcSdJwt, 1).await;
    issuer.change(change(SUSPEND, &[&offer])).await.unwrap();
    issuer.pass(60);
    issuer.change(change(REVOKE, &[&other])).await.unwrap();
    issuer.change(change(REINSTATE, &[&offer])).await.unwrap();
    let acts = |id: &str| {
        let request = proto::ListStatusActsRequest { id: id.to_owned(), page_size: 2, ..Default::default() };
        let mut statuses = issuer.statuses();
        async move { statuses.list_status_acts(request).await.unwrap().into_inner() }
    };
    let page = acts("").await;
    assert_eq!((page.acts.len(), page.next_page_token.is_empty()), (2, false));
    let acts = acts(&offer).await.acts;
    assert_eq!(acts.iter().map(proto::StatusAct::verb).collect::<Vec<_>>(), [REINSTATE, SUSPEND]);
    assert_eq!((acts[1].who.as_str(), acts[1].reason.as_str()), ("staff", "the record was wrong"));
    assert_eq!((acts[1].credentials, acts[1].copies, acts[1].changed), (1, 2, 2));
    assert_eq!(acts[0].at.unwrap().seconds, issuer.now());
    // Not even the program's own store can take it back.
    let pool =
        sqlx::SqlitePool::connect(&format!("sqlite://{}/store.sqlite", issuer.data.path().display())).await.unwrap();
    for undo in [
        "UPDATE statuses SET state = 'valid' WHERE state = 'revoked'",
        "DELETE FROM statuses",
        "UPDATE status_acts SET reason = 'x'",
        "DELETE FROM status_changes",
        "UPDATE status_lists SET drawn = 0",
    ] {
        assert!(sqlx::query(undo).execute(&pool).await.is_err(), "{undo}");
    }
    sqlx::query("UPDATE statuses SET state = 'suspended' WHERE state = 'valid'").execute(&pool).await.unwrap();
}

#[tokio::test]
async fn the_directory_names_every_list_and_what_is_unchanged_is_not_sent_again() {
    let issuer = start().await;
    let answer = issuer.get("/status/lists", "").await;
    let document: Value = serde_json::from_slice(&answer.body).unwrap();
    let urls: Vec<&str> =
        document["status_lists"].as_array().unwrap().iter().map(|url| url.as_str().unwrap()).collect();
    let expected: Vec<String> = ["revocation", "suspension", "token"].map(|form| format!("{BASE}/{form}/0")).into();
    assert_eq!(
        urls.iter().collect::<HashSet<_>>(),
        expected.iter().map(String::as_str).collect::<Vec<_>>().iter().collect()
    );
    let mut lists = StatusListServiceClient::new(issuer.channel.clone());
    let listed = lists.list_status_lists(proto::ListStatusListsRequest {}).await.unwrap().into_inner().urls;
    assert_eq!(listed, urls);
    for path in ["/status/lists", "/status/revocation/0", "/status/token/0"] {
        let first = issuer.get(path, "").await;
        let etag = first.header("etag").unwrap().to_owned();
        for known in [etag.clone(), format!("W/{etag}"), format!("\"x\", {etag}"), "*".to_owned()] {
            let again = issuer.get(path, &format!("if-none-match: {known}\r\n")).await;
            assert_eq!((again.code, again.body.len(), again.header("etag")), (304, 0, Some(etag.as_str())), "{known}");
        }
        assert_eq!(issuer.get(path, "if-none-match: \"x\"\r\n").await.code, 200);
    }
    for unknown in
        ["/status/revocation/1", "/status/revocation/-1", "/status/message/0", "/status/revocation/0/", "/status/x"]
    {
        assert_eq!(issuer.get(unknown, "").await.code, 404, "{unknown}");
    }
    let request = proto::ReadStatusListRequest { url: format!("{BASE}/revocation/1"), ..Default::default() };
    assert_eq!(reason(lists.read_status_list(request).await), "STATUS_LIST_UNKNOWN");
    // A revocation changes two of the forms, and the third is still what it was.
    let before = issuer.get("/status/suspension/0", "").await.header("etag").unwrap().to_owned();
    let (offer, _) = issuer.issue(proto::CredentialFormat::VcSdJwt, 1).await;
    issuer.change(change(REVOKE, &[&offer])).await.unwrap();
    assert_eq!(issuer.get("/status/suspension/0", &format!("if-none-match: {before}\r\n")).await.code, 304);
}

#[tokio::test]
async fn lists_are_signed_again_when_half_of_their_time_is_over_and_not_before() {
    let issuer = start().await;
    let etag = async || issuer.get("/status/revocation/0", "").await.header("etag").unwrap().to_owned();
    let first = etag().await;
    issuer.pass(43_199);
    issuer.issuer.publish().await.unwrap();
    assert_eq!(etag().await, first);
    issuer.pass(1);
    issuer.issuer.publish().await.unwrap();
    let second = etag().await;
    assert_ne!(second, first);
    let document: Value = serde_json::from_slice(&issuer.get("/status/revocation/0", "").await.body).unwrap();
    assert_eq!(document["validFrom"], json!(Timestamp::from_unix(issuer.now()).to_string()));
    assert_eq!(document["validUntil"], json!(Timestamp::from_unix(issuer.now() + 86_400).to_string()));
    // A clock that was set back: a list from the future is believed by nobody.
    issuer.pass(-3_600);
    issuer.issuer.publish().await.unwrap();
    assert_ne!(etag().await, second);
}

#[tokio::test]
async fn after_a_restart_the_lists_say_the_same() {
    let issuer = start().await;
    let (offer, copies) = issuer.issue(proto::CredentialFormat::VcSdJwt, 2).await;
    let (_, others) = issuer.issue(proto::CredentialFormat::VcSdJwt, 1).await;
    issuer.change(change(REVOKE, &[&offer])).await.unwrap();
    let again = issuer.restarted().await;
    assert_eq!(again.published(&copies[0]).await, State::Revoked);
    assert_eq!(again.published(&copies[1]).await, State::Revoked);
    assert_eq!(again.published(&others[0]).await, State::Valid);
}

#[tokio::test]
async fn the_next_list_is_published_before_anything_is_issued_on_it() {
    let issuer = start().await;
    let pool =
        sqlx::SqlitePool::connect(&format!("sqlite://{}/store.sqlite", issuer.data.path().display())).await.unwrap();
    issuer.issue(proto::CredentialFormat::VcSdJwt, 1).await;
    // As if so many copies had been issued.
    sqlx::query("UPDATE status_lists SET drawn = entries - 2").execute(&pool).await.unwrap();
    let (offer, copies) = issuer.issue(proto::CredentialFormat::VcSdJwt, 4).await;
    let urls: Vec<String> = copies.iter().map(|copy| place(copy).0).collect();
    let revocation = |number: i64| format!("{BASE}/revocation/{number}");
    assert_eq!(urls, [revocation(0), revocation(0), revocation(1), revocation(1)]);
    assert_eq!(copies.iter().map(|copy| place(copy)).collect::<HashSet<_>>().len(), 4);
    // One act over two lists is published of both.
    issuer.change(change(REVOKE, &[&offer])).await.unwrap();
    for copy in &copies {
        assert_eq!(issuer.published(copy).await, State::Revoked);
    }
}

/// An issuer whose key is one of P-256 signs tokens only, and so only SD-JWT VCs say where their status is.
#[tokio::test]
async fn with_a_key_for_es256_the_token_is_the_only_form() {
    let issuer = start_with(Algorithm::Es256).await;
    let mut lists = StatusListServiceClient::new(issuer.channel.clone());
    let urls = lists.list_status_lists(proto::ListStatusListsRequest {}).await.unwrap().into_inner().urls;
    assert_eq!(urls, [format!("{BASE}/token/0")]);
    let (_, copies) = issuer.issue(proto::CredentialFormat::DcSdJwt, 1).await;
    assert_eq!(place(&copies[0]).0, urls[0]);
    let (_, copies) = issuer.issue(proto::CredentialFormat::VcSdJwt, 1).await;
    assert!(!SdJwt::parse(&copies[0]).unwrap().jws().payload().contains_key("credentialStatus"));
}

/// What is told to holders by their copies' digests is what the lists say.
#[tokio::test]
async fn a_copy_is_known_by_the_digest_of_what_was_signed() {
    let issuer = start().await;
    let (offer, copies) = issuer.issue(proto::CredentialFormat::VcSdJwt, 2).await;
    issuer.change(change(SUSPEND, &[&offer])).await.unwrap();
    let (_, others) = issuer.issue(proto::CredentialFormat::DcSdJwt, 1).await;
    let digest = |copy: &String| -> secrets::Hash {
        use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
        let name = carnet_core::status::freshness::digest(&SdJwt::parse(copy).unwrap());
        URL_SAFE_NO_PAD.decode(name).unwrap().try_into().unwrap()
    };
    let digests = [digest(&copies[1]), digest(&others[0]), [7; 32]];
    let states = issuer.issuer.store.status_by_digest(&digests).await.unwrap();
    let states: Vec<_> = states.into_iter().map(|known| known.map(|(state, _)| state)).collect();
    assert_eq!(states, [Some(State::Suspended), Some(State::Valid), None]);
}

/// A key that is not the issuer's signs no list that holds.
#[tokio::test]
async fn row_58_the_lists_signature_is_the_issuers() {
    let issuer = start().await;
    let text = String::from_utf8(issuer.get("/status/token/0", "").await.body).unwrap();
    let token = token::Token::parse(&text).unwrap();
    let (url, now) = (format!("{BASE}/token/0"), Timestamp::from_unix(issuer.now()));
    let other = SecretKey::generate(Algorithm::EdDsa, &mut rand_core::OsRng);
    let refused = token.verify(&carnet_core::keys::Signer::public_key(&other), &url, now, 0).unwrap_err();
    assert_eq!(refused.code, carnet_core::Code::SignatureInvalid);
    token.verify(&issuer.issuer_key(), &url, now, 0).unwrap();
    assert_eq!(Jws::parse(&text).unwrap().payload()["sub"], json!(url));
}

/// Whoever has a copy that does not hold gets no others for it.
#[tokio::test]
async fn a_copy_that_is_revoked_or_suspended_is_not_refilled() {
    let issuer = start().await;
    let offer = issuer.create(offer_request("a")).await;
    let keys = holder_keys(1);
    let copy = issuer.receive(&offer, &keys).await.unwrap().credentials.remove(0).credential;
    let refill = async || {
        let nonce = issuer.nonce().await;
        let now = Timestamp::from_unix(issuer.now());
        let presentation =
            SdJwt::parse(&copy).unwrap().bind(&nonce, issuer.issuer.did.as_str(), now, &keys[0]).unwrap();
        let proofs = issuer.proofs(&holder_keys(1), &nonce);
        let request = proto::RefillCredentialsRequest { presentation, proofs };
        issuer.issuance.clone().refill_credentials(request).await.map(tonic::Response::into_inner)
    };
    assert_eq!(refill().await.unwrap().credentials.len(), 1);
    issuer.change(change(SUSPEND, &[&offer.id])).await.unwrap();
    assert_eq!(reason(refill().await), "SUSPENDED");
    issuer.change(change(REINSTATE, &[&offer.id])).await.unwrap();
    let new = refill().await.unwrap().credentials.remove(0).credential;
    // What was refilled is revoked with the rest of its credential.
    assert_eq!(issuer.change(change(REVOKE, &[&offer.id])).await.unwrap().changed, 3);
    assert_eq!(issuer.published(&new).await, State::Revoked);
    assert_eq!(reason(refill().await), "REVOKED");
}

/// Copies that are about to be signed when their credential is revoked: they go out, and are revoked.
#[tokio::test]
async fn a_copy_that_is_under_way_does_not_escape() {
    let issuer = start().await;
    let (offer, copies) = issuer.issue(proto::CredentialFormat::VcSdJwt, 1).await;
    let key = SdJwt::parse(&copies[0]).unwrap().holder_key().unwrap().unwrap();
    let now = Timestamp::from_unix(issuer.now());
    let nonce = issuer.nonce().await;
    let intent = RefillIntent {
        thumbprint: key.thumbprint(),
        credential_type: "QualificationCredential".to_owned(),
        format: Format::VcSdJwt,
        nonce: issuer.issuer.nonces.recognize(&nonce, now).unwrap(),
        request_digest: [1; 32],
        notification_hash: [2; 32],
        thumbprints: vec!["new".to_owned()],
        per_day: 10,
        now,
    };
    let refill = issuer.issuer.store.intend_refill(intent).await.unwrap();
    assert_eq!(issuer.change(change(REVOKE, &[&offer])).await.unwrap().changed, 2);
    issuer.issuer.store.finish_refill(refill.collection, &[Some([3; 32])], now).await.unwrap();
    assert_eq!(issuer.issuer.store.status_by_digest(&[[3; 32]]).await.unwrap()[0].unwrap().0, State::Revoked);
    assert_eq!(issuer.states(&offer).await, [proto::CredentialStatus::Revoked; 2]);
}

/// A store of before there were lists: what was issued has its place, and nothing of it is given out again.
#[tokio::test]
async fn copies_of_before_there_were_lists_keep_their_indices() {
    let data = tempfile::tempdir().unwrap();
    let old = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name < "0004" {
            std::fs::copy(&path, old.path().join(name)).unwrap();
        }
    }
    let migrator = sqlx::migrate::Migrator::new(old.path()).await.unwrap();
    let pool = carnet_service::store::open(data.path(), &migrator).await.unwrap();
    for sql in [
        "INSERT INTO offers (offer_id, request_id, terms, credential_type, format, valid_from, valid_until, code_hash, \
         state, deferred, created_at, expires_at) VALUES ('old', 'r', '', 'T', 'vc+sd-jwt', 0, 9, x'00', 'collected', 0, 0, 0)",
        "INSERT INTO collections (offer_id, request_digest, state, notification_hash) VALUES ('old', x'00', 'signed', x'00')",
        "INSERT INTO issued (issued_id, offer_id, collection, position, status_index, intended_at, issued_at) \
         VALUES ('first', 'old', 1, 0, 7, 0, 5), ('second', 'old', 1, 1, 131079, 0, 5)",
    ] {
        sqlx::query(sql).execute(&pool).await.unwrap();
    }
    pool.close().await;
    let pool = carnet_service::store::open(data.path(), &MIGRATIONS).await.unwrap();
    let store = SqliteStore::new(pool, 131_072);
    store.open_lists(Timestamp::from_unix(9)).await.unwrap();
    let lists = store.changes_since(0).await.unwrap().lists;
    assert_eq!(lists.iter().map(|list| (list.list, list.entries)).collect::<Vec<_>>(), [0, 1, 2].map(|n| (n, 131_072)));
    let copies = store.status("old").await.unwrap();
    let places: Vec<_> = copies.iter().map(|copy| (copy.place.list, copy.place.position, copy.state)).collect();
    assert_eq!(places, [(0, 7, State::Valid), (1, 7, State::Valid)]);
}
