//! Freshness statements through the pipeline: stapled ones beside lists, and those that vouch for copies by leaked
//! keys.

use super::{
    sd_jwt::*,
    status::{Result_, *},
    *,
};
use crate::{
    did::DidDocument,
    secure::sd_jwt::KeyBindingMembers,
    status::{StatusState, freshness},
};

pub(super) fn present_stapled(world: &World, copy: &str, statement: &str) -> Result_ {
    let selected = SdJwt::parse(copy).unwrap().select_claims(&[path(RIGHT_TO_WORK)]).unwrap();
    let stapled = KeyBindingMembers { freshness_statement: Some(statement), ..KeyBindingMembers::default() };
    world.verify(&selected.bind_key_with_members(&stapled, NONCE, AUDIENCE, world.now, &world.holder).unwrap())
}

pub(super) fn statement(world: &World, copy: &str, at: Timestamp) -> String {
    let digest = freshness::copy_digest(&SdJwt::parse(copy).unwrap());
    freshness::issue_statement(&digest, &format!("{}#0", world.did()), at, 2 * DAY, &world.issuer).unwrap()
}

#[test]
fn a_stapled_statement_takes_the_place_of_a_list() {
    let mut world = World::new();
    let made = world.now;
    let (copy, other) = (copy_with(&world, entries()), copy_with(&world, entries()));
    refused(present(&world, &copy), Code::StatusListUnavailable);
    let mine = statement(&world, &copy, made);
    accepted(present_stapled(&world, &copy, &mine));
    let at = |world: &mut World, at: Timestamp| {
        world.now = at;
        present_stapled(world, &copy, &mine).0.first_failure().map(|problem| problem.code)
    };
    ends(made.plus(2 * DAY + 60), Code::StatusListStale, |now| at(&mut world, now));
    begins(made.plus(-60), Code::StatusListStale, |now| at(&mut world, now));
    world.now = made;
    // An invalid statement is a failure, whatever the list says.
    publish(&mut world, StatusState::Valid);
    accepted(present(&world, &copy));
    refused(present_stapled(&world, &copy, &statement(&world, &other, made)), Code::StatusListMismatch);
    let stranger = statement(&World::new(), &copy, made);
    refused(present_stapled(&world, &copy, &stranger), Code::StatusListIssuer);
    assert!(present_stapled(&world, &copy, "nonsense").1.is_none());
}

#[test]
fn a_list_that_is_there_must_agree_with_a_stapled_statement() {
    let mut world = World::new();
    let made = world.now;
    let copy = copy_with(&world, entries());
    let mine = statement(&world, &copy, made);
    let stale = made.plus(DAY + 61);
    // Before the statement, at its time, and after it; the list counts, and a day later it no longer does.
    for (state, at, counts, outdated) in [
        (StatusState::Valid, -1, None, None),
        (StatusState::Valid, 1, None, None),
        (StatusState::Revoked, -1, Some(Code::Revoked), Some(Code::Revoked)),
        (StatusState::Revoked, 1, Some(Code::Revoked), Some(Code::Revoked)),
        (StatusState::Suspended, -1, Some(Code::Suspended), None),
        (StatusState::Suspended, 0, Some(Code::Suspended), Some(Code::Suspended)),
        (StatusState::Suspended, 1, Some(Code::Suspended), Some(Code::Suspended)),
    ] {
        publish_for(&mut world, state, (made.plus(at), DAY, DAY));
        for (now, expected) in [(made, counts), (stale, outdated)] {
            world.now = now;
            let said = present_stapled(&world, &copy, &mine).0.first_failure().map(|problem| problem.code);
            assert_eq!(said, expected, "{state:?} {at} {now}");
        }
        world.now = made;
    }
}

/// A statement that the verifier does not accept counts as none: lists decide, and a missing list refuses.
#[test]
fn a_statement_that_is_too_old_for_the_asker_is_passed_over() {
    let mut world = World::new();
    world.statement_age = DAY;
    let made = world.now;
    let copy = copy_with(&world, entries());
    let mine = statement(&world, &copy, made);
    let said = |world: &World| present_stapled(world, &copy, &mine).0.first_failure().map(|problem| problem.code);
    for (seconds, refused) in [(0, None), (DAY, None), (DAY + 1, Some(Code::StatusListUnavailable))] {
        world.now = made.plus(seconds);
        assert_eq!(said(&world), refused, "{seconds}");
    }
    let (report, _) = present_stapled(&world, &copy, &mine);
    assert!(report.first_failure().unwrap().detail.contains("older than the accepted 86400 seconds"), "{report:?}");
    for (state, refused) in [
        (StatusState::Valid, None),
        (StatusState::Suspended, Some(Code::Suspended)),
        (StatusState::Revoked, Some(Code::Revoked)),
    ] {
        publish(&mut world, state);
        assert_eq!(said(&world), refused, "{state:?}");
    }
    // A counting statement would have lifted a suspension from before it.
    publish_for(&mut world, StatusState::Suspended, (made.plus(-1), DAY, DAY));
    world.now = made.plus(DAY + 120);
    assert_eq!(said(&world), Some(Code::StatusListStale));
    world.statement_age = 2 * DAY;
    assert_eq!(said(&world), None);
}

#[test]
fn a_statement_that_holds_for_another_time_than_all_others_is_passed_over() {
    let mut world = World::new();
    let copy = copy_with(&world, entries());
    let mine = statement(&world, &copy, world.now);
    for (stated, refused) in [
        (None, None),
        (Some(172_800), None),
        (Some(86_400), Some(Code::StatusListUnavailable)),
        (Some(0), Some(Code::StatusListUnavailable)),
    ] {
        world.lists.1 = stated;
        let said = present_stapled(&world, &copy, &mine).0.first_failure().map(|problem| problem.code);
        assert_eq!(said, refused, "{stated:?}");
    }
    publish(&mut world, StatusState::Valid);
    accepted(present_stapled(&world, &copy, &mine));
}

#[test]
fn what_a_leaked_key_signed_counts_for_vouched_copies_alone() {
    let mut world = World::new();
    let did = Did::parse("did:web:university.example").unwrap();
    let next = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng);
    let document = |revoked: bool, twice: bool| {
        let mut keys = vec![("1".to_owned(), world.issuer.public_key()), ("2".to_owned(), next.public_key())];
        if twice {
            keys.push(("3".to_owned(), world.issuer.public_key()));
        }
        let mut rendered = DidDocument::json_for_keys(&did, &keys);
        if revoked {
            rendered["verificationMethod"][0]["revoked"] = json!("2026-11-01T00:00:00Z");
        }
        Arc::new(DidDocument::parse(&did, &rendered).unwrap())
    };
    let (before, after, twice) = (document(false, false), document(true, false), document(true, true));
    let mut payload = world.document();
    payload.insert("issuer".into(), did.as_str().into());
    let (kid, holder) = (format!("{did}#1"), world.holder.public_key());
    let options = IssueOptions {
        typ: "vc+sd-jwt",
        kid: &kid,
        disclosable: &[path(RIGHT_TO_WORK)],
        ordered_claims: &[],
        holder_key: Some(&holder),
        decoys_to_multiple_of: 0,
        padded_arrays: &[],
    };
    payload["credentialSubject"].as_object_mut().unwrap().remove("permitType");
    let copy = issue(&payload, &options, &world.issuer, &mut OsRng).unwrap();
    let other = issue(&payload, &options, &world.issuer, &mut OsRng).unwrap();
    let by = |copy: &str, fragment: &str, key: &SecretKey, at: Timestamp| {
        let digest = freshness::copy_digest(&SdJwt::parse(copy).unwrap());
        freshness::issue_statement(&digest, &format!("{did}#{fragment}"), at, DAY, key).unwrap()
    };
    let now = world.now;
    let good = by(&copy, "2", &next, now);
    let (by_itself, of_other) = (by(&copy, "1", &world.issuer, now), by(&other, "2", &next, now));
    let (by_its_double, old) = (by(&copy, "3", &world.issuer, now), by(&copy, "2", &next, now.plus(-2 * DAY)));
    world.trusted = did.to_string();
    world.issuers_document = Some(before);
    accepted(present(&world, &copy));
    world.issuers_document = Some(after);
    refused(present(&world, &copy), Code::KeyInvalid);
    accepted(present_stapled(&world, &copy, &good));
    for wrong in [&by_itself, &of_other, &old, "nonsense"] {
        refused(present_stapled(&world, &copy, wrong), Code::KeyInvalid);
    }
    // A newer document may have that key.
    let newer = by(&copy, "4", &next, now);
    refused(present_stapled(&world, &copy, &newer), Code::IssuerKeyUnknown);
    refused(world.verify_alone(copy.as_bytes()), Code::KeyInvalid);
    world.issuers_document = Some(twice);
    accepted(present_stapled(&world, &copy, &good));
    refused(present_stapled(&world, &copy, &by_its_double), Code::KeyInvalid);
}
