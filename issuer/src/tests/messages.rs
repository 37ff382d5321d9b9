//! Messages: published beside the states, for the copies that say what they mean.

use carnet_core::{
    keys::{Algorithm, SecretKey},
    secure::sd_jwt::SdJwt,
    status::{
        Purpose, StatusList,
        bitstring::{self, Reference},
        message::{self, Messages},
    },
};
use carnet_proto::issuer::v1 as proto;
use serde_json::Value;

use super::{
    harness::{CLERK, Running, reason, start, start_saying, start_with},
    status::{BASE, REVOKE, SUSPEND, change},
};
use crate::{
    error::Error,
    store::status::{State, StatusStore as _},
};

const LOST: &str = "the card was lost";
const NEWER: &str = "a newer one exists";

async fn saying(texts: &[&str]) -> Running {
    start_saying(Box::new(SecretKey::generate(Algorithm::EdDsa, &mut rand_core::OsRng)), texts).await
}

fn messages(texts: &[&str]) -> Messages {
    Messages::new(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()).unwrap()
}

fn say(number: u32, ids: &[&str]) -> proto::ChangeStatusRequest {
    proto::ChangeStatusRequest { message: number, ..change(proto::StatusVerb::Message, ids) }
}

/// The entries of a copy's `credentialStatus`.
fn entries(copy: &str) -> Vec<Value> {
    let payload = if copy.starts_with('{') {
        serde_json::from_str::<Value>(copy).unwrap()
    } else {
        Value::Object(SdJwt::parse(copy).unwrap().jws().payload().clone())
    };
    payload["credentialStatus"].as_array().unwrap().clone()
}

/// What the published list says on a copy, as somebody reads it who has the copy.
async fn said(issuer: &Running, copy: &str) -> (u8, String) {
    let entry = entries(copy).pop().unwrap();
    let reference = Reference::parse(&entry).unwrap();
    assert_eq!(reference.purpose, Purpose::Message);
    let fetched = issuer.get(reference.url.strip_prefix("https://university.example").unwrap(), "").await;
    assert_eq!((fetched.code, fetched.header("content-type")), (200, Some("application/vc")));
    let document: Value = serde_json::from_slice(&fetched.body).unwrap();
    assert_eq!(document["credentialSubject"]["statusPurpose"], "message");
    let encoded = document["credentialSubject"]["encodedList"].as_str().unwrap();
    let list: StatusList = bitstring::decode(encoded, reference.bits).unwrap();
    let number = list.value(reference.index).unwrap();
    (number, message::text_of(&entry, &reference, number).unwrap())
}

async fn tags(issuer: &Running) -> Vec<String> {
    let mut tags = Vec::new();
    for form in ["revocation", "suspension", "token", "message"] {
        let answer = issuer.get(&format!("/status/{form}/0"), "").await;
        tags.push(answer.header("etag").unwrap().to_owned());
    }
    tags
}

#[tokio::test]
async fn what_is_said_is_published_of_each_copy_and_changes_no_state() {
    use proto::CredentialFormat as F;
    let issuer = saying(&[LOST, NEWER]).await;
    let mut formats = vec![F::VcSdJwt, F::DiVcJcs];
    if cfg!(feature = "jsonld") {
        formats.push(F::LdpVc);
    }
    for format in formats {
        let (offer, copies) = issuer.issue(format, 2).await;
        let (_, others) = issuer.issue(format, 1).await;
        let first = entries(&copies[0]);
        assert_eq!(Messages::parse(&first[2]["statusMessage"]).unwrap(), messages(&[LOST, NEWER]));
        assert_eq!((first.len(), &first[2]["statusListIndex"]), (3, &first[0]["statusListIndex"]));
        assert_eq!(first[2]["statusMessage"], entries(&others[0])[2]["statusMessage"]);
        let before = tags(&issuer).await;
        let done = issuer.change(say(2, &[&offer])).await.unwrap();
        assert_eq!((done.copies, done.changed, done.published), (2, 2, true));
        let after = tags(&issuer).await;
        assert!(before[..3] == after[..3] && before[3] != after[3]);
        for copy in &copies {
            assert_eq!(said(&issuer, copy).await, (2, NEWER.to_owned()));
            assert_eq!(issuer.published(copy).await, State::Valid);
        }
        assert_eq!(said(&issuer, &others[0]).await, (0, "nothing to say".to_owned()));
        // Again is no error, and changes nothing.
        assert_eq!(issuer.change(say(2, &[&offer])).await.unwrap().changed, 0);
        // What is revoked keeps it, and can have another.
        issuer.change(change(REVOKE, &[&offer])).await.unwrap();
        assert_eq!(said(&issuer, &copies[0]).await.0, 2);
        issuer.change(say(1, &[&offer])).await.unwrap();
        assert_eq!(said(&issuer, &copies[0]).await, (1, LOST.to_owned()));
        assert_eq!(issuer.published(&copies[0]).await, State::Revoked);
        // A single copy can be meant, and 0 takes it back.
        let status = proto::ReadStatusRequest { id: offer.clone() };
        let shown = issuer.statuses().read_status(status.clone()).await.unwrap().into_inner().copies;
        assert_eq!(shown.iter().map(|copy| (copy.message, copy.lists.len())).collect::<Vec<_>>(), [(1, 4), (1, 4)]);
        assert_eq!(issuer.change(say(0, &[&shown[0].issued_id])).await.unwrap().changed, 1);
        let shown = issuer.statuses().read_status(status).await.unwrap().into_inner().copies;
        assert_eq!(shown.iter().map(|copy| copy.message).collect::<Vec<_>>(), [0, 1]);
    }
}

#[tokio::test]
async fn an_issuer_without_messages_issues_and_publishes_what_it_always_did() {
    let issuer = start().await;
    let (offer, copies) = issuer.issue(proto::CredentialFormat::VcSdJwt, 1).await;
    let purposes: Vec<Value> = entries(&copies[0]).iter().map(|entry| entry["statusPurpose"].clone()).collect();
    assert_eq!(purposes, ["revocation", "suspension"]);
    assert_eq!(issuer.issuer.status.shelf().urls().count(), 3);
    assert_eq!(issuer.get("/status/message/0", "").await.code, 404);
    for number in [0, 1] {
        assert_eq!(reason(issuer.change(say(number, &[&offer])).await), "NO_MESSAGES");
    }
    // One whose key cannot sign their lists has none either, whatever it has configured.
    let key = SecretKey::generate(Algorithm::Es256, &mut rand_core::OsRng);
    let other = start_saying(Box::new(key), &[LOST]).await;
    assert_eq!(
        other.issuer.status.shelf().urls().count(),
        start_with(Algorithm::Es256).await.issuer.status.shelf().urls().count()
    );
    let (offer, _) = other.issue(proto::CredentialFormat::DcSdJwt, 1).await;
    assert_eq!(reason(other.change(say(1, &[&offer])).await), "NO_MESSAGES");
    // The twin.
    let issuer = saying(&[LOST]).await;
    assert_eq!(issuer.issuer.status.shelf().urls().last(), Some(format!("{BASE}/message/0").as_str()));
    let (offer, _) = issuer.issue(proto::CredentialFormat::VcSdJwt, 1).await;
    assert_eq!(issuer.change(say(1, &[&offer])).await.unwrap().changed, 1);
}

#[tokio::test]
async fn a_number_is_for_copies_that_say_what_it_means() {
    let issuer = saying(&[LOST]).await;
    let (offer, copies) = issuer.issue(proto::CredentialFormat::VcSdJwt, 2).await;
    let (token, _) = issuer.issue(proto::CredentialFormat::DcSdJwt, 1).await;
    for unknown in [2, 15, 16, 255] {
        assert_eq!(reason(issuer.change(say(unknown, &[&offer])).await), "MESSAGE_UNKNOWN", "{unknown}");
    }
    assert!(issuer.change(say(256, &[&offer])).await.is_err());
    assert!(issuer.change(proto::ChangeStatusRequest { message: 1, ..change(SUSPEND, &[&offer]) }).await.is_err());
    assert_eq!(reason(issuer.change(say(1, &[&token])).await), "MESSAGE_NOT_CARRIED");
    let both = proto::ChangeStatusRequest { expected_count: Some(2), ..say(1, &[&offer, &token]) };
    assert_eq!(reason(issuer.change(both).await), "MESSAGE_NOT_CARRIED");
    assert_eq!(said(&issuer, &copies[0]).await.0, 0);
    assert_eq!(issuer.change(say(1, &[&offer])).await.unwrap().changed, 2);
    // A text that came later is for copies that were issued after it.
    let issuer = issuer.restarted_saying(&[LOST, NEWER]).await;
    let (later, fresh) = issuer.issue(proto::CredentialFormat::VcSdJwt, 1).await;
    assert_eq!(reason(issuer.change(say(2, &[&offer])).await), "MESSAGE_NOT_CARRIED");
    let filter =
        Some(proto::StatusFilter { credential_type: "QualificationCredential".to_owned(), ..Default::default() });
    let all = proto::ChangeStatusRequest { filter, expected_count: Some(3), ..say(2, &[]) };
    let counted = issuer.change(proto::ChangeStatusRequest { dry_run: true, ..all.clone() }).await.unwrap();
    assert_eq!((counted.credentials, counted.copies, counted.changed), (3, 4, 1));
    assert_eq!(issuer.change(all).await.unwrap().changed, 1);
    assert_eq!((said(&issuer, &fresh[0]).await.0, said(&issuer, &copies[0]).await.0), (2, 1));
    assert_eq!(
        issuer.change(say(1, &[&later, &offer])).await.map_err(|refused| refused.code()),
        Err(tonic::Code::InvalidArgument)
    );
}

#[tokio::test]
async fn what_copies_carry_goes_on_meaning_the_same() {
    let issuer = saying(&["the card was lots"]).await;
    let store = &issuer.issuer.store;
    // A slip, while nothing was issued with it.
    store.settle_messages(Some(&messages(&[LOST]))).await.unwrap();
    issuer.issue(proto::CredentialFormat::VcSdJwt, 1).await;
    for other in [Some(messages(&[NEWER])), Some(messages(&["undefined", LOST])), Some(messages(&[NEWER, LOST])), None]
    {
        let refused = store.settle_messages(other.as_ref()).await.unwrap_err();
        assert!(matches!(refused, Error::MessageChanged { number: 1, .. }), "{refused}");
    }
    // What comes after it can still be anything.
    for more in [&[LOST, NEWER][..], &[LOST], &[LOST, "undefined", NEWER]] {
        store.settle_messages(Some(&messages(more))).await.unwrap();
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
    // Repeated, it is done once; with another number, it is another request, and so it is with another verb.
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
    // Whoever starts anew says the same.
    assert_eq!(said(&issuer.restarted().await, &copies[0]).await.0, 1);
    let pool =
        sqlx::SqlitePool::connect(&format!("sqlite://{}/store.sqlite", issuer.data.path().display())).await.unwrap();
    for undo in [
        "DELETE FROM message_acts",
        "UPDATE message_acts SET reason = 'another'",
        "DELETE FROM message_changes",
        "UPDATE message_changes SET after = 0",
        "DELETE FROM messages",
        "UPDATE status_messages SET text = 'another'",
    ] {
        assert!(sqlx::query(undo).execute(&pool).await.is_err(), "{undo}");
    }
}
