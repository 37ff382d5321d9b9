//! Statuses through the pipeline: lists in both forms, and every boundary in time.

use super::{
    sd_jwt::*,
    statements::{present_stapled, statement},
    *,
};
use crate::{
    did::{DidDocument, DidUrl, VerificationRelationship},
    secure::{
        data_integrity::Cryptosuites,
        data_integrity::{ProofOptions, add_proof},
    },
    status::{
        MIN_ENTRIES, StatusState,
        publication::{ListFormat, PublicationParameters, UnsignedStatusList},
    },
};

pub(super) const MINE: u64 = 94_567;
pub(super) const DAY: i64 = 86_400;

pub(super) fn url(form: ListFormat) -> String {
    format!("https://issuer.example/status/{}/0", form.as_str())
}

/// A list of so many entries as `world`'s issuer signs it, at `at`.
pub(super) fn signed(
    world: &World,
    form: ListFormat,
    entries: u64,
    state: StatusState,
    (at, validity, ttl): (Timestamp, i64, i64),
) -> String {
    let mut publication = UnsignedStatusList::new(entries).unwrap();
    publication.set_state(MINE.rem_euclid(entries), state).unwrap();
    let kid = DidUrl::parse(&format!("{}#0", world.did())).unwrap();
    let terms = PublicationParameters { kid: &kid, url: &url(form), now: at, lifetime_seconds: validity, ttl };
    publication.sign(form, &terms, &Cryptosuites::jcs(), &world.issuer).unwrap()
}

pub(super) fn read(text: &str, url: &str, issuer: &str, at: Timestamp) -> Result<VerifiedStatusList, Problem> {
    let issuer = Did::parse(issuer).unwrap();
    VerifiedStatusList::verify(text.as_bytes(), url, &issuer, (at, 60), (&SelfContainedResolver, &Cryptosuites::jcs()))
}

/// Puts the three forms of a list in memory that says this of the credential.
pub(super) fn publish(world: &mut World, state: StatusState) {
    publish_for(world, state, (world.now, 20 * DAY, 10 * DAY));
}

pub(super) fn publish_for(world: &mut World, state: StatusState, terms: (Timestamp, i64, i64)) {
    for form in ListFormat::ALL {
        let text = signed(world, form, MIN_ENTRIES, state, terms);
        let listed = read(&text, &url(form), &world.did(), terms.0).unwrap();
        world.lists.insert(url(form), Arc::new(listed));
    }
}

pub(super) fn entry(form: ListFormat, index: &str) -> Value {
    json!({"type": "BitstringStatusListEntry", "statusPurpose": form.as_str(), "statusListIndex": index,
        "statusListCredential": url(form)})
}

pub(super) fn entries() -> Value {
    json!([entry(ListFormat::Revocation, &MINE.to_string()), entry(ListFormat::Suspension, &MINE.to_string())])
}

/// A copy whose `credentialStatus` is this.
pub(super) fn copy_with(world: &World, status: Value) -> String {
    let mut document = world.document();
    document.insert("credentialStatus".into(), status);
    issued(world, "vc+sd-jwt", &document)
}

/// It as an SD-JWT VC whose `status` is this.
pub(super) fn token_copy(world: &World, index: Value) -> String {
    let payload = object(json!({
        "iss": world.did(), "vct": "urn:permit", "exp": 1_798_761_600, "rightToWork": true, "permitType": "student",
        "status": {"status_list": {"idx": index, "uri": url(ListFormat::Token)}},
    }));
    issued(world, "dc+sd-jwt", &payload)
}

pub(super) type Result_ = (VerificationReport, Option<Verified<VerifiedCredentials>>);

pub(super) fn present(world: &World, copy: &str) -> Result_ {
    world.verify(&show(world, copy, &[RIGHT_TO_WORK]))
}

pub(super) fn present_token(world: &mut World, copy: &str) -> Result_ {
    let query = world.query.clone();
    world.query = json!({"credentials": [{"id": "permit", "format": "dc+sd-jwt", "meta": {"vct_values": ["urn:permit"]},
        "claims": [{"path": ["rightToWork"]}]}]});
    let result = world.verify(&show(world, copy, &[&["rightToWork"]]));
    world.query = query;
    result
}

/// It with an embedded proof.
fn embedded(world: &World) -> Vec<u8> {
    let mut document = world.document();
    document.insert("credentialStatus".into(), entries());
    let kid = format!("{}#0", world.did());
    let options = ProofOptions {
        verification_method: &kid,
        purpose: VerificationRelationship::AssertionMethod,
        created: None,
        expires: None,
        challenge: None,
        domain: None,
    };
    serde_json::to_vec(&add_proof(&document, &EddsaJcs2022, &options, &world.issuer).unwrap()).unwrap()
}

/// Verifies the credential in all formats and returns the outcomes.
pub(super) fn all(world: &mut World) -> Vec<Option<Code>> {
    let code = |report: &VerificationReport| report.first_failure().map(|problem| problem.code);
    let (report, _) = present(world, &copy_with(world, entries()));
    let first = code(&report);
    let second = code(&world.verify_alone(&embedded(world)).0);
    let copy = token_copy(world, MINE.into());
    let third = code(&present_token(world, &copy).0);
    vec![first, second, third]
}

#[test]
fn row_57_a_list_that_could_not_be_had() {
    let mut world = World::new();
    publish(&mut world, StatusState::Valid);
    assert_eq!(all(&mut world), [None; 3]);
    world.lists.clear();
    assert_eq!(all(&mut world), [Some(Code::StatusListUnavailable); 3]);
    // Not under any policy on old ones.
    world.stale_by = 30 * DAY;
    assert_eq!(all(&mut world), [Some(Code::StatusListUnavailable); 3]);
    // One of two is not enough.
    publish(&mut world, StatusState::Valid);
    world.lists.remove(&url(ListFormat::Suspension));
    refused(present(&world, &copy_with(&world, entries())), Code::StatusListUnavailable);
}

#[test]
fn row_58_a_list_with_a_bad_signature_is_none() {
    let world = World::new();
    for form in ListFormat::ALL {
        let text = signed(&world, form, MIN_ENTRIES, StatusState::Revoked, (world.now, DAY, 300));
        read(&text, &url(form), &world.did(), world.now).unwrap();
        let before = if form == ListFormat::Token { "." } else { "\"proofValue\":\"z" };
        let at = text.rfind(before).unwrap() + before.len() + 10;
        let mut forged = text.into_bytes();
        forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(forged).unwrap();
        let code = read(&forged, &url(form), &world.did(), world.now).unwrap_err().code;
        assert_eq!(code, Code::SignatureInvalid, "{form:?}");
    }
}

#[test]
fn row_59_a_list_by_somebody_else() {
    let (mut world, other) = (World::new(), World::new());
    publish(&mut world, StatusState::Valid);
    assert_eq!(all(&mut world), [None; 3]);
    for form in ListFormat::ALL {
        let text = signed(&other, form, MIN_ENTRIES, StatusState::Valid, (world.now, DAY, 300));
        assert_eq!(read(&text, &url(form), &world.did(), world.now).unwrap_err().code, Code::StatusListIssuer);
        // A list of another issuer's own does not count for this one, at any URL.
        let listed = read(&text, &url(form), &other.did(), world.now).unwrap();
        world.lists.insert(url(form), Arc::new(listed));
    }
    assert_eq!(all(&mut world), [Some(Code::StatusListIssuer); 3]);
}

#[test]
fn row_60_a_list_of_another_purpose_or_kind() {
    let mut world = World::new();
    publish(&mut world, StatusState::Valid);
    assert_eq!(all(&mut world), [None; 3]);
    let mut crossed = entry(ListFormat::Revocation, "0");
    crossed["statusListCredential"] = url(ListFormat::Suspension).into();
    refused(present(&world, &copy_with(&world, crossed.clone())), Code::StatusPurpose);
    crossed["statusListCredential"] = url(ListFormat::Token).into();
    refused(present(&world, &copy_with(&world, crossed)), Code::StatusPurpose);
    let bits = world.lists[&url(ListFormat::Revocation)].clone();
    world.lists.insert(url(ListFormat::Token), bits);
    let copy = token_copy(&world, MINE.into());
    refused(present_token(&mut world, &copy), Code::StatusPurpose);
}

#[test]
fn row_61_an_index_that_is_in_no_list() {
    let mut world = World::new();
    publish(&mut world, StatusState::Valid);
    let last = MIN_ENTRIES - 1;
    accepted(present(&world, &copy_with(&world, entry(ListFormat::Revocation, &last.to_string()))));
    for index in [MIN_ENTRIES.to_string().as_str(), "-1", "", "0x1", "1.0", "+1", "18446744073709551616"] {
        refused(present(&world, &copy_with(&world, entry(ListFormat::Revocation, index))), Code::StatusIndex);
    }
    let copy = token_copy(&world, last.into());
    accepted(present_token(&mut world, &copy));
    for index in [json!(MIN_ENTRIES), json!(-1), json!("0"), json!(0.5)] {
        let copy = token_copy(&world, index);
        refused(present_token(&mut world, &copy), Code::StatusIndex);
    }
}

#[test]
fn row_62_a_list_that_is_too_short_to_hide_in() {
    let world = World::new();
    for form in [ListFormat::Revocation, ListFormat::Suspension] {
        let list = |entries| {
            let text = signed(&world, form, entries, StatusState::Valid, (world.now, DAY, 300));
            read(&text, &url(form), &world.did(), world.now)
        };
        assert!(list(MIN_ENTRIES).is_ok());
        assert_eq!(list(MIN_ENTRIES - 8).unwrap_err().code, Code::StatusListLength);
    }
}

#[test]
fn row_63_bits_are_counted_from_the_end_that_each_form_says() {
    let mut world = World::new();
    publish(&mut world, StatusState::Revoked);
    // The entries that a reader who counts from the other end of the byte would read.
    let mirrored = (MINE - MINE % 8) + (7 - MINE % 8);
    let mirrored_token = (MINE - MINE % 4) + (3 - MINE % 4);
    assert_ne!((MINE, MINE), (mirrored, mirrored_token));
    refused(present(&world, &copy_with(&world, entry(ListFormat::Revocation, &MINE.to_string()))), Code::Revoked);
    accepted(present(&world, &copy_with(&world, entry(ListFormat::Revocation, &mirrored.to_string()))));
    for (index, holds) in [(MINE, false), (mirrored_token, true)] {
        let copy = token_copy(&world, index.into());
        assert_eq!(present_token(&mut world, &copy).1.is_some(), holds, "{index}");
    }
}

/// Offsets around a boundary, in seconds.
const AROUND: [i64; 7] = [-DAY, -300, -1, 0, 1, 300, DAY];

/// Proves that a value that ends at `last` holds in that second, and is refused after it.
#[track_caller]
pub(super) fn ends(last: Timestamp, code: Code, mut at: impl FnMut(Timestamp) -> Option<Code>) {
    for offset in AROUND {
        assert_eq!(at(last.plus(offset)), (offset > 0).then_some(code), "{offset}");
    }
}

/// Proves that a value that begins at `first` holds from that second.
#[track_caller]
pub(super) fn begins(first: Timestamp, code: Code, mut at: impl FnMut(Timestamp) -> Option<Code>) {
    for offset in AROUND {
        assert_eq!(at(first.plus(offset)), (offset < 0).then_some(code), "{offset}");
    }
}

/// The one outcome of all forms at an instant.
fn outcome(world: &mut World, at: Timestamp) -> Option<Code> {
    world.now = at;
    let all = all(world);
    assert!(all.iter().all(|one| *one == all[0]), "{all:?}");
    all[0]
}

#[test]
fn row_64_a_list_is_used_to_the_second() {
    let mut world = World::new();
    let made = world.now;
    // Its time to live counts from the fetch, by the fetcher's own clock: no skew.
    publish_for(&mut world, StatusState::Valid, (made, 20 * DAY, 3 * DAY));
    ends(made.plus(3 * DAY), Code::StatusListStale, |at| outcome(&mut world, at));
    // Its end is by the issuer's clock.
    publish_for(&mut world, StatusState::Valid, (made, 3 * DAY, 20 * DAY));
    ends(made.plus(3 * DAY + 60), Code::StatusListStale, |at| outcome(&mut world, at));
    // And so is its beginning.
    begins(made.plus(-60), Code::StatusListStale, |at| outcome(&mut world, at));
}

#[test]
fn a_list_that_was_confirmed_lives_on_to_its_end_and_no_further() {
    let mut world = World::new();
    let made = world.now;
    publish_for(&mut world, StatusState::Valid, (made, 5 * DAY, 2 * DAY));
    for listed in world.lists.values_mut() {
        *listed = Arc::new(listed.confirmed_at(made.plus(DAY)));
    }
    ends(made.plus(3 * DAY), Code::StatusListStale, |at| outcome(&mut world, at));
    for listed in world.lists.values_mut() {
        *listed = Arc::new(listed.confirmed_at(made.plus(4 * DAY)));
    }
    ends(made.plus(5 * DAY + 60), Code::StatusListStale, |at| outcome(&mut world, at));
}

#[test]
fn an_old_list_is_tolerated_to_the_second_and_said_to_be() {
    let mut world = World::new();
    let made = world.now;
    publish_for(&mut world, StatusState::Valid, (made, 20 * DAY, 2 * DAY));
    world.stale_by = DAY;
    ends(made.plus(3 * DAY), Code::StatusListStale, |at| outcome(&mut world, at));
    let tolerated = |world: &World| {
        let (report, verified) = present(world, &copy_with(world, entries()));
        let stale = |check: &VerificationCheck| matches!(&check.outcome, VerificationOutcome::Tolerated(problem) if problem.code == Code::StatusListStale);
        let found = report.checks().iter().any(|check| check.name == CheckName::Status && stale(check));
        (found, verified.is_some())
    };
    world.now = made.plus(2 * DAY);
    assert_eq!(tolerated(&world), (false, true));
    world.now = made.plus(2 * DAY + 1);
    assert_eq!(tolerated(&world), (true, true));
    // From the future is not old.
    world.now = made.plus(-61);
    assert_eq!(outcome(&mut world, made.plus(-61)), Some(Code::StatusListStale));
    // The content of an old list still counts against it.
    publish_for(&mut world, StatusState::Revoked, (made, 20 * DAY, 2 * DAY));
    assert_eq!(outcome(&mut world, made.plus(2 * DAY + 1)), Some(Code::Revoked));
}

#[test]
fn a_credential_is_valid_to_the_second() {
    let mut world = World::new();
    let alone = |world: &mut World, at: Timestamp| {
        world.now = at;
        publish_for(world, StatusState::Valid, (at, DAY, DAY));
        world.verify_alone(&embedded(world)).0.first_failure().map(|problem| problem.code)
    };
    let (from, until) = ("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
    begins(Timestamp::parse(from).unwrap().plus(-60), Code::NotYetValid, |at| alone(&mut world, at));
    ends(Timestamp::parse(until).unwrap().plus(60), Code::Expired, |at| alone(&mut world, at));
}

#[test]
fn row_66_a_list_of_another_url() {
    let world = World::new();
    for form in ListFormat::ALL {
        let text = signed(&world, form, MIN_ENTRIES, StatusState::Valid, (world.now, DAY, 300));
        read(&text, &url(form), &world.did(), world.now).unwrap();
        let other = url(form).replace("/0", "/1");
        assert_eq!(read(&text, &other, &world.did(), world.now).unwrap_err().code, Code::StatusListMismatch);
    }
}

#[test]
fn row_67_suspended_reinstated_and_revoked() {
    let mut world = World::new();
    for (state, expected) in [
        (StatusState::Valid, None),
        (StatusState::Suspended, Some(Code::Suspended)),
        (StatusState::Valid, None),
        (StatusState::Revoked, Some(Code::Revoked)),
    ] {
        publish(&mut world, state);
        assert_eq!(all(&mut world), [expected; 3]);
    }
}

#[test]
fn what_is_unknown_fails() {
    let mut world = World::new();
    publish(&mut world, StatusState::Valid);
    let with = entries();
    accepted(present(&world, &copy_with(&world, with.clone())));
    for unknown in [json!({"type": "Other"}), json!("https://issuer.example"), {
        let mut refresh = entry(ListFormat::Revocation, "7");
        refresh["statusPurpose"] = "refresh".into();
        refresh
    }] {
        let mut entries = with.clone();
        entries.as_array_mut().unwrap().push(unknown);
        assert!(present(&world, &copy_with(&world, entries)).1.is_none());
    }
    let payload = object(json!({
        "iss": world.did(), "vct": "urn:permit", "exp": 1_798_761_600, "rightToWork": true,
        "permitType": "student", "status": {"other_mechanism": {}},
    }));
    let copy = issued(&world, "dc+sd-jwt", &payload);
    refused(present_token(&mut world, &copy), Code::StatusUnsupported);
}

#[test]
fn a_report_says_how_late_it_was_when_an_issuer_signed() {
    let mut world = World::new();
    let copy = copy_with(&world, entries());
    let mine = statement(&world, &copy, world.now.plus(-6 * 3_600));
    let (report, _) = present_stapled(&world, &copy, &mine);
    assert_eq!(report.latest_issue_time(), Some(world.now.plus(-6 * 3_600)));
    // A refused credential never sets the time.
    world.trusted = "did:web:other.example".to_owned();
    let (report, _) = present_stapled(&world, &copy, &mine);
    assert_eq!((report.first_failure().is_some(), report.latest_issue_time()), (true, None));
}

#[test]
fn a_list_stands_by_the_keys_that_sign_lists_now() {
    let world = World::new();
    let did = Did::parse("did:web:university.example").unwrap();
    let kid = DidUrl::parse(&format!("{did}#1")).unwrap();
    let other = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng);
    let document = |name: &str, key: &SecretKey, more: Option<(&str, &str)>| {
        let mut rendered = DidDocument::json_for_keys(&did, &[(name.to_owned(), key.public_key())]);
        if let Some((member, time)) = more {
            rendered["verificationMethod"][0][member] = json!(time);
        }
        DidDocument::parse(&did, &rendered).unwrap()
    };
    let same = document("1", &world.issuer, None);
    for form in ListFormat::ALL {
        let terms =
            PublicationParameters { kid: &kid, url: &url(form), now: world.now, lifetime_seconds: DAY, ttl: 300 };
        let text = UnsignedStatusList::new(MIN_ENTRIES)
            .unwrap()
            .sign(form, &terms, &Cryptosuites::jcs(), &world.issuer)
            .unwrap();
        let published = OneDocument(Arc::new(same.clone()));
        let at = (world.now, 60);
        let listed =
            VerifiedStatusList::verify(text.as_bytes(), &url(form), &did, at, (&published, &Cryptosuites::jcs()))
                .unwrap();
        let stands = |document: DidDocument| listed.check_signer(&OneDocument(Arc::new(document)), at);
        assert!(stands(same.clone()).is_ok());
        let code = |document: DidDocument| stands(document).unwrap_err().code;
        let (before, after) = ("2026-11-01T00:00:00Z", "2036-11-01T00:00:00Z");
        assert_eq!(code(document("1", &world.issuer, Some(("revoked", before)))), Code::KeyInvalid);
        assert_eq!(code(document("1", &world.issuer, Some(("expires", before)))), Code::KeyInvalid);
        assert!(stands(document("1", &world.issuer, Some(("expires", after)))).is_ok());
        assert_eq!(code(document("1", &other, None)), Code::KeyInvalid);
        assert_eq!(code(document("2", &world.issuer, None)), Code::MethodUnknown);
    }
}
