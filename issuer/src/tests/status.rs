//! Acts of staff: the publication shows exactly their effect.

use carnet_core::{
    secure::sd_jwt::SdJwt,
    status::{StatusList, bitstring, cwt, freshness, token},
    time::Timestamp,
};
use carnet_proto::issuer::v1::{
    self as proto, status_list_service_client::StatusListServiceClient, status_service_client::StatusServiceClient,
};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tonic::{Code, Request, Status, transport::Channel};

use super::harness::{CLERK, Running, exchanged, holder_keys, offer_request, reason, start};
use crate::{
    issuance::{copy_digest, handle_hash},
    refill::RefillIntent,
    secrets,
    store::{
        Store as _,
        issuances::CopyIdentifiers,
        status::{StatusRows as _, StatusState},
    },
};

pub(super) const REVOKE: proto::StatusVerb = proto::StatusVerb::Revoke;
pub(super) const SUSPEND: proto::StatusVerb = proto::StatusVerb::Suspend;
pub(super) const REINSTATE: proto::StatusVerb = proto::StatusVerb::Reinstate;
pub(super) const BASE: &str = "https://university.example/status";

/// HTTP response.
pub(super) struct Answer {
    pub(super) code: u16,
    head: String,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

pub(super) fn change(verb: proto::StatusVerb, ids: &[&str]) -> proto::ChangeStatusRequest {
    proto::ChangeStatusRequest {
        request_id: secrets::random_id(),
        verb: verb.into(),
        reason: "the record was wrong".to_owned(),
        ids: ids.iter().map(|id| (*id).to_owned()).collect(),
        // At once: publication times have tests of their own.
        urgency: proto::StatusUrgency::Urgent.into(),
        ..Default::default()
    }
}

fn filter(verb: proto::StatusVerb, filter: proto::StatusFilter) -> proto::ChangeStatusRequest {
    proto::ChangeStatusRequest { filter: Some(filter), ..change(verb, &[]) }
}

impl Running {
    pub(super) fn statuses(
        &self,
    ) -> StatusServiceClient<tonic::service::interceptor::InterceptedService<Channel, impl tonic::service::Interceptor>>
    {
        let header = self.staff_header();
        StatusServiceClient::with_interceptor(self.channel.clone(), move |mut request: Request<()>| {
            request.metadata_mut().insert("authorization", header.clone());
            Ok(request)
        })
    }

    pub(super) async fn change(
        &self,
        request: proto::ChangeStatusRequest,
    ) -> Result<proto::ChangeStatusResponse, Status> {
        Ok(self.statuses().change_status(request).await?.into_inner())
    }

    pub(super) async fn states(&self, id: &str) -> Vec<proto::CredentialStatus> {
        let request = proto::ReadStatusRequest { id: id.to_owned() };
        let copies = self.statuses().read_status(request).await.unwrap().into_inner().copies;
        copies.iter().map(proto::CopyStatus::status).collect()
    }

    /// Creates an offer and collects its copies.
    pub(super) async fn issue(&self, format: proto::CredentialFormat, copies: usize) -> (String, Vec<String>) {
        let request = proto::CreateOfferRequest { format: format.into(), ..offer_request(&secrets::random_id()) };
        let offer = self.create(request).await;
        let answer = self.receive(&offer, &holder_keys(copies)).await.unwrap();
        (offer.id, answer.credentials.into_iter().map(|copy| copy.credential).collect())
    }

    pub(super) async fn get(&self, path: &str, more: &str) -> Answer {
        let address = self.issuer.issuer_url.trim_start_matches("http://").to_owned();
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

    /// Fetches a list in each format as a verifier does; both transports agree, and so does the CBOR token.
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
            bitstring::decode_list(document["credentialSubject"]["encodedList"].as_str().unwrap(), 1).unwrap()
        };
        let now = Timestamp::from_unix(self.now());
        let token = token::StatusListToken::parse(&texts[2]).unwrap();
        let url = format!("{BASE}/token/{number}");
        let (both, freshness) = token.verify(&self.issuer_key(), &url, now, 0).unwrap();
        let in_cbor = self.get(&format!("/status/token/{number}"), "accept: application/statuslist+cwt\r\n").await;
        assert_eq!(in_cbor.header("content-type"), Some(cwt::MEDIA_TYPE));
        let in_cbor =
            cwt::CwtStatusList::parse(&in_cbor.body).unwrap().verify(&self.issuer_key(), &url, now, 0).unwrap();
        assert_eq!(in_cbor, (both.clone(), freshness));
        (bits(&texts[0]), bits(&texts[1]), both)
    }

    /// Returns the published state of a copy, at the index that the copy names; the three formats agree.
    pub(super) async fn published(&self, copy: &str) -> StatusState {
        let (url, index) = place(copy);
        let number = url.rsplit('/').next().unwrap().parse().unwrap();
        let (revocation, suspension, both) = self.lists(number).await;
        let seen = (revocation.value(index).unwrap(), suspension.value(index).unwrap(), both.value(index).unwrap());
        match seen {
            (0, 0, token::VALID) => StatusState::Valid,
            (0, 1, token::SUSPENDED) => StatusState::Suspended,
            (1, 1, token::INVALID) => StatusState::Revoked,
            other => panic!("the forms differ: {other:?}"),
        }
    }
}

/// Returns the status list URL and index that a copy names.
pub(super) fn place(copy: &str) -> (String, u64) {
    let payload = if copy.starts_with('{') {
        serde_json::from_str::<Value>(copy).unwrap()
    } else {
        Value::Object(SdJwt::parse(copy).unwrap().jws().payload().clone())
    };
    place_of(payload.as_object().unwrap())
}

/// The same of a copy that was read.
pub(super) fn place_of(payload: &Map<String, Value>) -> (String, u64) {
    if let Some(status) = payload.get("status") {
        let reference = token::TokenStatusReference::parse(status).unwrap();
        return (reference.uri, reference.index);
    }
    let entries = payload["credentialStatus"].as_array().unwrap();
    let references: Vec<_> =
        entries.iter().map(|entry| bitstring::BitstringStatusListEntry::parse(entry).unwrap()).collect();
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
        for (verb, state) in
            [(SUSPEND, StatusState::Suspended), (REINSTATE, StatusState::Valid), (REVOKE, StatusState::Revoked)]
        {
            let done = issuer.change(change(verb, &[&offer])).await.unwrap();
            assert_eq!((done.credentials, done.copies, done.changed, done.published), (1, 3, 3, true));
            for copy in &copies {
                assert_eq!(issuer.published(copy).await, state);
            }
            for other in &others {
                assert_eq!(issuer.published(other).await, StatusState::Valid);
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
    // If one of two cannot be changed, neither is.
    let both = proto::ChangeStatusRequest { expected_count: Some(2), ..change(REINSTATE, &[&twin, &offer]) };
    assert_eq!(reason(issuer.change(both).await), "STATUS_REVOKED");
    assert_eq!(issuer.states(&twin).await, [proto::CredentialStatus::Suspended; 2]);
    issuer.change(change(REINSTATE, &[&twin])).await.unwrap();
    assert_eq!(issuer.states(&twin).await, [proto::CredentialStatus::Valid; 2]);
    assert_eq!(issuer.states(&offer).await, [proto::CredentialStatus::Revoked; 2]);
    // Repeating it is no error, and changes nothing.
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
    assert_eq!(states.iter().filter(|state| **state == StatusState::Revoked).count(), 1);
    // The remaining valid copies can still be suspended.
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
        let refused = issuer.change(changed).await;
        let message = refused.as_ref().unwrap_err().message().to_owned();
        assert!(message.contains("a change of status") && !message.contains("offer"), "{message}");
        assert_eq!(reason(refused), "REQUEST_ID_REUSED");
    }
}

#[tokio::test]
async fn many_at_once_need_their_number() {
    let issuer = start().await;
    let (first, _) = issuer.issue(proto::CredentialFormat::VcSdJwt, 2).await;
    issuer.pass(100);
    let (second, _) = issuer.issue(proto::CredentialFormat::VcSdJwt, 1).await;
    let now = issuer.now();
    let at = |seconds: i64| Some(carnet_service::wire::to_timestamp(Timestamp::from_unix(now + seconds)));
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
        if credentials == 0 {
            assert_eq!(reason(issuer.change(dry).await), "NOTHING_MATCHES");
            continue;
        }
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
async fn an_act_is_taken_back_exactly_and_what_it_missed_is_said() {
    use proto::StatusVerb::{Reinstate, Suspend};
    let issuer = start().await;
    let format = proto::CredentialFormat::VcSdJwt;
    let (before, _) = issuer.issue(format, 2).await;
    let (wrong, _) = issuer.issue(format, 2).await;
    let (part, _) = issuer.issue(format, 2).await;
    let open = issuer.create(offer_request("not collected")).await;
    issuer.change(change(Suspend, &[&before])).await.unwrap();
    let request = proto::ReadStatusRequest { id: part.clone() };
    let single = issuer.statuses().read_status(request).await.unwrap().into_inner().copies.swap_remove(0).issued_id;
    issuer.change(change(Suspend, &[&single])).await.unwrap();

    // A filter without a match is an error; it states the number of open offers.
    let nothing = |name: &str| {
        let nobody = proto::StatusFilter { credential_type: name.to_owned(), ..Default::default() };
        proto::ChangeStatusRequest { expected_count: Some(0), ..filter(Suspend, nobody) }
    };
    for dry_run in [true, false] {
        let refused = issuer.change(proto::ChangeStatusRequest { dry_run, ..nothing("NoSuch") }).await;
        assert_eq!(reason(refused), "NOTHING_MATCHES");
    }
    let all = proto::StatusFilter { credential_type: offer_request("").credential_type, ..Default::default() };
    let act = proto::ChangeStatusRequest { expected_count: Some(3), ..filter(Suspend, all.clone()) };
    let act = issuer.change(act).await.unwrap();
    assert_eq!((act.changed, act.open_offers), (3, 1));
    let cancel = proto::CancelOfferRequest { offer_id: open.id, request_id: String::new() };
    issuer.staff().cancel_offer(cancel).await.unwrap();
    let again = issuer.change(proto::ChangeStatusRequest { dry_run: true, ..filter(Suspend, all) }).await.unwrap();
    assert_eq!(again.open_offers, 0);

    // Only what it changed, and nothing that was so before.
    let changes = async |act: u64| -> Result<Vec<proto::StatusChange>, Status> {
        let mut all = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = proto::ListStatusChangesRequest { act, page_size: 2, page_token };
            let page = issuer.statuses().list_status_changes(request).await?.into_inner();
            all.extend(page.changes);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(all);
            }
        }
    };
    assert_eq!(reason(changes(99).await), "NOT_FOUND");
    let changed = changes(act.act).await.unwrap();
    let whole: Vec<_> = changed.iter().map(|change| (change.offer_id.as_str(), change.whole)).collect();
    assert_eq!(whole, [(part.as_str(), false), (wrong.as_str(), true), (wrong.as_str(), true)]);
    let ids = [changed[0].issued_id.as_str(), wrong.as_str()];
    let undo = proto::ChangeStatusRequest { expected_count: Some(2), ..change(Reinstate, &ids) };
    assert_eq!(issuer.change(undo).await.unwrap().changed, 3);
    use proto::CredentialStatus::{Suspended, Valid};
    assert_eq!(issuer.states(&before).await, [Suspended; 2]);
    assert_eq!(issuer.states(&wrong).await, [Valid; 2]);
    assert_eq!(issuer.states(&part).await, [Suspended, Valid]);
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
    assert_eq!((acts[1].who.as_str(), acts[1].reason.as_str()), (CLERK, "the record was wrong"));
    assert_eq!((acts[1].credentials, acts[1].copies, acts[1].changed), (1, 2, 2));
    assert_eq!(acts[0].at.unwrap().seconds, issuer.now());
    // Even the program's own store cannot undo it.
    issuer.probe().await.require_final_statuses().await;
}

/// Holders who ask by handle get the same state as in the lists.
#[tokio::test]
async fn a_copy_is_known_by_the_handle_of_what_was_signed() {
    let issuer = start().await;
    let (offer, copies) = issuer.issue(proto::CredentialFormat::VcSdJwt, 2).await;
    issuer.change(change(SUSPEND, &[&offer])).await.unwrap();
    let (_, others) = issuer.issue(proto::CredentialFormat::DcSdJwt, 1).await;
    let handle = |copy: &String| handle_hash(&freshness::copy_handle(copy));
    let handles = [handle(&copies[1]), handle(&others[0]), [7; 32]];
    let mut tx = issuer.issuer.store.read().await.unwrap();
    let mut standings = Vec::new();
    for handle in &handles {
        standings.push(tx.holder_status_by_handle(handle).await.unwrap());
    }
    let said: Vec<_> = standings.into_iter().map(|known| known.map(|copy| (copy.state, copy.digest))).collect();
    let expected = [(StatusState::Suspended, copy_digest(&copies[1])), (StatusState::Valid, copy_digest(&others[0]))];
    assert_eq!(said, [Some(expected[0]), Some(expected[1]), None]);
}

/// The holder of a revoked or suspended copy gets no others for it.
#[tokio::test]
async fn a_copy_that_is_revoked_or_suspended_is_not_refilled() {
    let issuer = start().await;
    let offer = issuer.create(offer_request("a")).await;
    let keys = holder_keys(1);
    let copy = issuer.receive(&offer, &keys).await.unwrap().credentials.remove(0).credential;
    let refill = async || {
        let nonce = issuer.nonce().await;
        let new = holder_keys(1);
        let copy = SdJwt::parse(&copy).unwrap();
        let presentation = exchanged(&copy, &keys[0], &new, (issuer.issuer.did.as_str(), &nonce, issuer.now()));
        let proofs = issuer.proofs(&new, &nonce);
        let request = proto::RefillCredentialsRequest { presentation, proofs };
        issuer.issuance.clone().refill_credentials(request).await.map(tonic::Response::into_inner)
    };
    assert_eq!(refill().await.unwrap().credentials.len(), 1);
    issuer.change(change(SUSPEND, &[&offer.id])).await.unwrap();
    assert_eq!(reason(refill().await), "SUSPENDED");
    issuer.change(change(REINSTATE, &[&offer.id])).await.unwrap();
    let new = refill().await.unwrap().credentials.remove(0).credential;
    // Refilled copies are revoked with the rest of their credential.
    assert_eq!(issuer.change(change(REVOKE, &[&offer.id])).await.unwrap().changed, 3);
    assert_eq!(issuer.published(&new).await, StatusState::Revoked);
    assert_eq!(reason(refill().await), "REVOKED");
}

/// Copies about to be signed when their credential is revoked are issued, and are revoked.
#[tokio::test]
async fn a_copy_that_is_under_way_does_not_escape() {
    let issuer = start().await;
    let (offer, copies) = issuer.issue(proto::CredentialFormat::VcSdJwt, 1).await;
    let now = Timestamp::from_unix(issuer.now());
    let nonce = issuer.nonce().await;
    let intent = RefillIntent {
        epoch: carnet_core::epoch::Epoch::Month,
        copy: copy_digest(&copies[0]),
        nonce: issuer.issuer.nonces.verify_nonce(&nonce, now).unwrap(),
        request_digest: [1; 32],
        notification_hash: [2; 32],
        thumbprints: vec!["new".to_owned()],
        now,
    };
    let refill = issuer.issuer.store_refill_intent(intent).await.unwrap();
    assert_eq!(issuer.change(change(REVOKE, &[&offer])).await.unwrap().changed, 2);
    let names = CopyIdentifiers { digest: [3; 32], handle_hash: [4; 32] };
    issuer.issuer.complete_refill(refill.issuance, issuer.issuer.with_signing_key(&[Some(names)]), now).await.unwrap();
    let known =
        issuer.issuer.store.read().await.unwrap().holder_status_by_handle(&names.handle_hash).await.unwrap().unwrap();
    assert_eq!((known.state, known.digest), (StatusState::Revoked, names.digest));
    assert_eq!(issuer.states(&offer).await, [proto::CredentialStatus::Revoked; 2]);
}
