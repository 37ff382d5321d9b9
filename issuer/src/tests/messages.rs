//! Messages, for holders only, by the handles of their copies: no list marks a holder for one.

use carnet_core::{
    keys::{SecretKey, SignatureAlgorithm},
    secure::sd_jwt::SdJwt,
    status::{freshness, message::StatusMessages},
};
use carnet_proto::issuer::v1 as proto;
use serde_json::Value;

use super::{
    harness::{CLERK, Running, reason, start, start_saying},
    status::{REVOKE, SUSPEND, change},
};
use crate::{error::Error, status::record_messages, store::status::StatusState};

const LOST: &str = "the card was lost";
const NEWER: &str = "a newer one exists";

async fn saying(texts: &[&str]) -> Running {
    start_saying(Box::new(SecretKey::generate(SignatureAlgorithm::EdDsa, &mut rand_core::OsRng)), texts).await
}

fn messages(texts: &[&str]) -> StatusMessages {
    StatusMessages::new(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()).unwrap()
}

fn say(number: u32, ids: &[&str]) -> proto::ChangeStatusRequest {
    proto::ChangeStatusRequest { message: number, ..change(proto::StatusVerb::Message, ids) }
}

/// Returns the message for each copy, and whether the copy is to be replaced.
async fn told(issuer: &Running, copies: &[String]) -> Vec<(String, bool)> {
    let handles = copies.iter().map(|copy| freshness::copy_handle(copy).to_vec()).collect();
    let said = issuer.freshness(handles).await.unwrap();
    said.into_iter().map(|copy| (copy.message, copy.replace)).collect()
}

async fn tags(issuer: &Running) -> Vec<String> {
    let mut tags = Vec::new();
    for form in ["revocation", "suspension", "token"] {
        let answer = issuer.get(&format!("/status/{form}/0"), "").await;
        tags.push(answer.header("etag").unwrap().to_owned());
    }
    tags
}

#[tokio::test]
async fn what_is_said_is_for_the_holder_and_in_no_list() {
    let issuer = saying(&[LOST, NEWER]).await;
    for format in [proto::CredentialFormat::VcSdJwt, proto::CredentialFormat::DcSdJwt] {
        let (offer, copies) = issuer.issue(format, 2).await;
        let (_, others) = issuer.issue(format, 1).await;
        let payload = SdJwt::parse(&copies[0]).unwrap().jws().payload().clone();
        assert!(!Value::Object(payload).to_string().contains("message"), "no copy says what a number means");
        let (before, nothing) = (tags(&issuer).await, (String::new(), false));
        assert_eq!(told(&issuer, &copies).await, [nothing.clone(), nothing.clone()]);
        let done = issuer.change(say(2, &[&offer])).await.unwrap();
        assert_eq!((done.copies, done.changed, done.published, done.published_at), (2, 2, false, None));
        issuer.issuer.publish().await.unwrap();
        assert_eq!(tags(&issuer).await, before, "a list says something else");
        assert_eq!(issuer.get("/status/message/0", "").await.code, 404);
        let newer = (NEWER.to_owned(), true);
        assert_eq!(told(&issuer, &copies).await, [newer.clone(), newer.clone()]);
        assert_eq!(told(&issuer, &others).await, std::slice::from_ref(&nothing));
        // Repeating it is no error, and changes nothing.
        assert_eq!(issuer.change(say(2, &[&offer])).await.unwrap().changed, 0);
        // A revoked copy keeps its message, and can get another; it is not replaced.
        issuer.change(change(REVOKE, &[&offer])).await.unwrap();
        issuer.change(say(1, &[&offer])).await.unwrap();
        assert_eq!(told(&issuer, &copies).await[0], (LOST.to_owned(), false));
        assert_eq!(issuer.published(&copies[0]).await, StatusState::Revoked);
        issuer.change(say(0, &[&offer])).await.unwrap();
        assert_eq!(told(&issuer, &copies).await[0], nothing);
    }
}

/// Copies by refill are issued after the message: they get it, and are not replaced because of it.
#[tokio::test]
async fn copies_that_came_later_are_told_what_was_said_and_are_not_replaced() {
    let issuer = saying(&[LOST]).await;
    let offer = issuer.create(super::harness::offer_request("a")).await;
    let keys = super::harness::holder_keys(1);
    let old = issuer.receive(&offer, &keys).await.unwrap().credentials.remove(0).credential;
    issuer.change(say(1, &[&offer.id])).await.unwrap();
    let fresh = super::refilling::refilled(&issuer, &old, &keys[0], 2).await.unwrap();
    let said = LOST.to_owned();
    assert_eq!(told(&issuer, &fresh).await, [(said.clone(), false), (said.clone(), false)]);
    assert_eq!(told(&issuer, &[old]).await, [(said, true)]);
    // The message is removed from the copies on which it was set.
    issuer.change(say(0, &[&offer.id])).await.unwrap();
    assert_eq!(told(&issuer, &fresh).await[0], (String::new(), false));
}

#[tokio::test]
async fn a_number_is_one_that_is_configured_and_for_holders_whose_wallets_ask() {
    let issuer = start().await;
    let (offer, _) = issuer.issue(proto::CredentialFormat::VcSdJwt, 1).await;
    for number in [0, 1] {
        assert_eq!(reason(issuer.change(say(number, &[&offer])).await), "NO_MESSAGES");
    }
    let issuer = saying(&[LOST]).await;
    let (offer, copies) = issuer.issue(proto::CredentialFormat::VcSdJwt, 2).await;
    let (whole, _) = issuer.issue(proto::CredentialFormat::DiVcJcs, 1).await;
    for unknown in [2, 15, 16, 255] {
        assert_eq!(reason(issuer.change(say(unknown, &[&offer])).await), "MESSAGE_UNKNOWN", "{unknown}");
    }
    assert!(issuer.change(say(256, &[&offer])).await.is_err());
    assert!(issuer.change(proto::ChangeStatusRequest { message: 1, ..change(SUSPEND, &[&offer]) }).await.is_err());
    assert_eq!(reason(issuer.change(say(1, &[&whole])).await), "MESSAGE_NOT_CARRIED");
    let both = proto::ChangeStatusRequest { expected_count: Some(2), ..say(1, &[&offer, &whole]) };
    assert_eq!(reason(issuer.change(both).await), "MESSAGE_NOT_CARRIED");
    assert_eq!(told(&issuer, &copies).await[0].0, "");
    let filter =
        Some(proto::StatusFilter { credential_type: "QualificationCredential".to_owned(), ..Default::default() });
    let all = proto::ChangeStatusRequest { filter, expected_count: Some(2), ..say(1, &[]) };
    let counted = issuer.change(proto::ChangeStatusRequest { dry_run: true, ..all.clone() }).await.unwrap();
    assert_eq!((counted.credentials, counted.copies, counted.changed), (2, 3, 2));
    assert_eq!(issuer.change(all).await.unwrap().changed, 2);
    assert_eq!(told(&issuer, &copies).await[0].0, LOST);
}

#[tokio::test]
async fn what_holders_were_told_goes_on_meaning_the_same() {
    let issuer = saying(&["the card was lots"]).await;
    let store = &issuer.issuer.store;
    // A typing error can be corrected while no copy was issued with it.
    record_messages(store, Some(&messages(&[LOST]))).await.unwrap();
    let (offer, _) = issuer.issue(proto::CredentialFormat::VcSdJwt, 1).await;
    for other in [Some(messages(&[NEWER])), Some(messages(&["undefined", LOST])), Some(messages(&[NEWER, LOST])), None]
    {
        let refused = record_messages(store, other.as_ref()).await.unwrap_err();
        assert!(matches!(refused, Error::MessageChanged { number: 1, .. }), "{refused}");
    }
    // Later texts can still change until an act uses them.
    for more in [&[LOST, NEWER][..], &[LOST], &[LOST, "undefined", NEWER], &[LOST, NEWER]] {
        record_messages(store, Some(&messages(more))).await.unwrap();
    }
    let issuer = issuer.restarted_saying(&[LOST, NEWER]).await;
    issuer.change(say(2, &[&offer])).await.unwrap();
    for other in [&[LOST][..], &[LOST, LOST]] {
        let refused = record_messages(&issuer.issuer.store, Some(&messages(other))).await.unwrap_err();
        assert!(matches!(refused, Error::MessageChanged { number: 2, .. }), "{refused}");
    }
}

#[tokio::test]
async fn what_was_said_is_written_down_in_one_sequence_with_what_was_done() {
    let issuer = saying(&[LOST]).await;
    let (offer, copies) = issuer.issue(proto::CredentialFormat::VcSdJwt, 2).await;
    let request = say(1, &[&offer]);
    let numbers = [
        issuer.change(change(SUSPEND, &[&offer])).await.unwrap().act,
        issuer.change(request.clone()).await.unwrap().act,
        issuer.change(change(REVOKE, &[&offer])).await.unwrap().act,
    ];
    assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
    // A repeated request is applied once; with another number or another action, it is a different request.
    assert_eq!(issuer.change(request.clone()).await.unwrap().act, numbers[1]);
    for other in [
        proto::ChangeStatusRequest { message: 0, ..request.clone() },
        proto::ChangeStatusRequest { request_id: request.request_id.clone(), ..change(SUSPEND, &[&offer]) },
    ] {
        assert_eq!(reason(issuer.change(other).await), "REQUEST_ID_REUSED");
    }
    for id in ["", &offer] {
        let request = proto::ListStatusActsRequest { id: id.to_owned(), ..Default::default() };
        let acts = issuer.statuses().list_status_acts(request).await.unwrap().into_inner().acts;
        let said: Vec<_> = acts.iter().map(|act| (act.act, act.verb(), act.message, act.changed)).collect();
        let message = proto::StatusVerb::Message;
        assert_eq!(said, [(numbers[2], REVOKE, 0, 2), (numbers[1], message, 1, 2), (numbers[0], SUSPEND, 0, 2)]);
        assert_eq!((acts[1].who.as_str(), acts[1].reason.as_str()), (CLERK, "the record was wrong"));
    }
    // A restarted service returns the same message.
    assert_eq!(told(&issuer.restarted().await, &copies).await[0].0, LOST);
    issuer.probe().await.require_final_messages().await;
}
