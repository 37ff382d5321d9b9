//! Status messages through the pipeline: every verifier gets them, and they decide nothing.

use super::{status::*, *};
use crate::status::{
    MIN_ENTRIES,
    message::StatusMessages,
    publication::{ListFormat, PublicationParameters, UnsignedStatusList},
};
use crate::{did::DidUrl, status::StatusState};

/// The texts of the messages, as an issuer writes them.
fn message_entry(index: u64) -> Value {
    StatusMessages::new(&["the card was lost".to_owned()]).unwrap().status_entry(url(ListFormat::Message), index)
}

/// Puts a list of messages in memory, in which the credential's entry has this number.
fn publish_message(world: &mut World, number: u8) {
    let mut publication = UnsignedStatusList::with_messages(MIN_ENTRIES).unwrap();
    publication.set_message(MINE, number).unwrap();
    let kid = DidUrl::parse(&format!("{}#0", world.did())).unwrap();
    let at = url(ListFormat::Message);
    let terms = PublicationParameters { kid: &kid, url: &at, now: world.now, lifetime_seconds: DAY, ttl: 300 };
    let text = publication.sign(ListFormat::Message, &terms, &Cryptosuites::jcs(), &world.issuer).unwrap();
    let listed = read(&text, &at, &world.did(), world.now).unwrap();
    world.lists.insert(at, Arc::new(listed));
}

/// Returns the check and the messages of a copy with the two usual entries and this one; it must be accepted in any
/// case.
#[track_caller]
fn heard(world: &World, message: Value) -> (VerificationOutcome, Vec<(u8, String)>) {
    let mut status = entries();
    status.as_array_mut().unwrap().push(message);
    let (report, verified) = present(world, &copy_with(world, status));
    assert!(verified.is_some(), "{report:?}");
    let outcomes: Vec<_> = report.checks().iter().filter(|check| check.name == CheckName::StatusMessage).collect();
    assert_eq!(outcomes.len(), 1);
    let messages = report.messages().iter().map(|message| (message.number, message.text.clone())).collect();
    (outcomes[0].outcome.clone(), messages)
}

#[test]
fn a_message_is_heard_and_refuses_nothing() {
    let mut world = World::new();
    publish(&mut world, StatusState::Valid);
    publish_message(&mut world, 1);
    assert_eq!(
        heard(&world, message_entry(MINE)),
        (VerificationOutcome::Passed, vec![(1, "the card was lost".to_owned())])
    );
    assert_eq!(heard(&world, message_entry(MINE + 1)), (VerificationOutcome::Passed, vec![]));
    publish_message(&mut world, 0);
    assert_eq!(heard(&world, message_entry(MINE)), (VerificationOutcome::Passed, vec![]));
    // A number that the credential does not explain.
    publish_message(&mut world, 9);
    assert_eq!(heard(&world, message_entry(MINE)), (VerificationOutcome::Passed, vec![(9, "undefined".to_owned())]));
    // A revoked copy is refused, and its message is still read.
    publish(&mut world, StatusState::Revoked);
    let mut status = entries();
    status.as_array_mut().unwrap().push(message_entry(MINE));
    let (report, verified) = present(&world, &copy_with(&world, status));
    assert_eq!((report.first_failure().unwrap().code, report.messages().len()), (Code::Revoked, 1));
    assert!(verified.is_none());
}

/// Rows 57, 60, 61, 62 and 64 of a list of messages: there is no message, the reason is given, and the credential
/// holds.
#[test]
fn a_message_that_cannot_be_read_is_not_heard_and_refuses_nothing() {
    let mut world = World::new();
    publish(&mut world, StatusState::Valid);
    publish_message(&mut world, 1);
    let code = |world: &World, entry: Value| match heard(world, entry) {
        (VerificationOutcome::Tolerated(problem), messages) if messages.is_empty() => Some(problem.code),
        _ => None,
    };
    let with = |member: &str, value: Value| {
        let mut entry = message_entry(MINE);
        entry[member] = value;
        entry
    };
    assert_eq!(code(&world, message_entry(MINE)), None);
    assert_eq!(code(&world, message_entry(MIN_ENTRIES - 1)), None);
    for (entry, expected) in [
        (with("statusListCredential", "https://issuer.example/status/message/1".into()), Code::StatusListUnavailable),
        (with("statusListCredential", url(ListFormat::Revocation).into()), Code::StatusPurpose),
        (with("statusListCredential", url(ListFormat::Token).into()), Code::StatusPurpose),
        (message_entry(MIN_ENTRIES), Code::StatusIndex),
        (with("statusListIndex", "-1".into()), Code::StatusIndex),
        (with("statusSize", 8.into()), Code::StatusListLength),
        (with("statusSize", 3.into()), Code::StatusListInvalid),
        (with("statusSize", 2.into()), Code::MalformedValue),
        (with("statusSize", "4".into()), Code::MalformedValue),
        (with("statusMessage", json!([])), Code::MalformedValue),
    ] {
        assert_eq!(code(&world, entry.clone()), Some(expected), "{entry}");
    }
    world.now = world.now.plus(301);
    assert_eq!(code(&world, message_entry(MINE)), Some(Code::StatusListStale));
    // A list of messages never proves that a credential holds.
    publish_message(&mut world, 0);
    let mut crossed = entry(ListFormat::Revocation, &MINE.to_string());
    crossed["statusListCredential"] = url(ListFormat::Message).into();
    refused(present(&world, &copy_with(&world, crossed)), Code::StatusPurpose);
}

#[test]
fn a_status_of_messages_alone_is_none_that_could_hold() {
    let mut world = World::new();
    publish(&mut world, StatusState::Valid);
    publish_message(&mut world, 0);
    for alone in [message_entry(MINE), json!([message_entry(MINE)]), json!([])] {
        refused(present(&world, &copy_with(&world, alone)), Code::StatusUnsupported);
    }
    accepted(present(&world, &copy_with(&world, json!([message_entry(MINE), entry(ListFormat::Revocation, "7")]))));
}
