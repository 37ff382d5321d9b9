//! Row 93: unrequested claims that the issuer left in the clear.

use super::{
    sd_jwt::{RIGHT_TO_WORK, issued, show},
    *,
};
use crate::query::path_to_text;

/// Verifies a permit whose payload was changed before it was signed, with the right to work disclosed.
fn verified(
    change: impl FnOnce(&mut Map<String, Value>),
) -> (VerificationReport, Option<Verified<VerifiedCredentials>>) {
    let world = World::new();
    let mut document = world.document();
    change(&mut document);
    world.verify(&show(&world, &issued(&world, "vc+sd-jwt", &document), &[RIGHT_TO_WORK]))
}

fn with(place: &str, value: Value) -> (VerificationReport, Option<Verified<VerifiedCredentials>>) {
    verified(|document| drop(document["credentialSubject"].as_object_mut().unwrap().insert(place.to_owned(), value)))
}

/// Claims that a report names as readable.
fn readable(report: &VerificationReport) -> Vec<String> {
    let mut readable: Vec<String> =
        report.presented_credentials()[0].disclosed_paths.iter().map(|path| path_to_text(path)).collect();
    readable.sort_unstable();
    readable
}

#[track_caller]
fn unrequested(answer: (VerificationReport, Option<Verified<VerifiedCredentials>>), clear: &[&str]) {
    let mut all: Vec<&str> = clear.iter().copied().chain(["credentialSubject.rightToWork"]).collect();
    all.sort_unstable();
    assert_eq!(readable(&answer.0), all);
    refused(answer, Code::ClaimUnrequested);
}

#[test]
fn row_93_claims_in_the_clear_that_nobody_asked_for() {
    accepted(verified(|_| {}));
    unrequested(with("room", json!("B 12")), &["credentialSubject.room"]);
    unrequested(verified(|document| drop(document.insert("name".to_owned(), json!("A")))), &["name"]);
    // Nested ones, elements of arrays, and empty ones, whose name can be read.
    unrequested(with("room", json!({"floor": {"number": 3}})), &["credentialSubject.room.floor.number"]);
    unrequested(with("room", json!(["A", {"b": 1}])), &["credentialSubject.room[0]", "credentialSubject.room[1].b"]);
    for empty in [json!({}), json!([]), json!(null), json!("")] {
        unrequested(with("room", empty), &["credentialSubject.room"]);
    }
    // Inside metadata only its standard members are metadata.
    let issuer = |name: Option<&str>| {
        verified(|document| {
            let id = document["issuer"].clone();
            document["issuer"] = name.map_or_else(|| json!({"id": id}), |name| json!({"id": id, "name": name}));
        })
    };
    accepted(issuer(None));
    unrequested(issuer(Some("urn:uuid:6c3b")), &["issuer.name"]);
}

#[test]
fn row_93_what_was_asked_for_may_stand_in_the_clear() {
    let mut world = World::new();
    let claims = world.query["credentials"][0]["claims"].as_array_mut().unwrap();
    claims.push(json!({"path": ["credentialSubject", "room"]}));
    let verified = |room: Value| {
        let mut document = world.document();
        document["credentialSubject"]["room"] = room;
        world.verify(&show(&world, &issued(&world, "vc+sd-jwt", &document), &[RIGHT_TO_WORK]))
    };
    for room in [json!("B 12"), json!({"floor": 3}), json!([1, 2])] {
        accepted(verified(room));
    }
}

#[test]
fn row_93_what_the_type_names_as_always_disclosed_may_stand_in_the_clear() {
    let held = accepted(with("country", json!("PT")));
    let disclosed = &held["permit"][0].disclosed_paths;
    assert!(disclosed.contains(&path(&["credentialSubject", "country"])), "it counts as shown: {disclosed:?}");
    unrequested(with("county", json!("PT")), &["credentialSubject.county"]);
}

#[test]
fn row_93_in_an_sd_jwt_vc_where_claims_stand_at_the_top() {
    let mut world = World::new();
    world.query = json!({"credentials": [{"id": "permit", "format": "dc+sd-jwt", "meta": {"vct_values": ["urn:permit"]},
        "claims": [{"path": ["rightToWork"]}]}]});
    let mut payload =
        object(json!({"iss": world.did(), "vct": "urn:permit", "nbf": 1_700_000_000, "iat": 1_700_000_000,
        "exp": 1_800_000_000, "rightToWork": true, "permitType": "student"}));
    let verified = |payload: &Map<String, Value>| {
        world.verify(&show(&world, &issued(&world, "dc+sd-jwt", payload), &[&["rightToWork"]]))
    };
    accepted(verified(&payload));
    for name in ["room", "validUntil", "name", "type", "description"] {
        payload.insert(name.to_owned(), json!("2027-01-01T00:00:00Z"));
        let answer = verified(&payload);
        assert!(readable(&answer.0).contains(&name.to_owned()), "{name}");
        refused(answer, Code::ClaimUnrequested);
        payload.remove(name);
    }
}

#[test]
fn row_93_what_lies_in_the_clear_within_a_disclosure() {
    let mut world = World::new();
    let verified = |world: &World, paths: &[&[&str]]| {
        let mut document = world.document();
        document["credentialSubject"]["rightToWork"] = json!({"anywhere": true, "note": "urn:uuid:6c3b"});
        world.verify(&show(world, &issued(world, "vc+sd-jwt", &document), paths))
    };
    // Asked for as a whole, all of it is.
    let (report, value) = verified(&world, &[RIGHT_TO_WORK]);
    assert_eq!(report.first_failure(), None);
    assert!(value.is_some());
    let anywhere: &[&str] = &["credentialSubject", "rightToWork", "anywhere"];
    world.query["credentials"][0]["claims"][0]["path"] = json!(anywhere);
    refused(verified(&world, &[anywhere]), Code::ClaimUnrequested);
}

#[test]
fn row_93_a_name_can_be_read_although_all_below_it_is_hidden() {
    let world = World::new();
    let mut document = world.document();
    document["credentialSubject"]["room"] = json!({"number": "B 12"});
    let disclosable = [RIGHT_TO_WORK, &["credentialSubject", "permitType"], &["credentialSubject", "room", "number"]];
    let with = |more: &[&[&str]]| {
        let disclosable: Vec<ClaimPath> = disclosable.iter().chain(more).map(|names| path(names)).collect();
        let options = IssueOptions {
            typ: "vc+sd-jwt",
            kid: &format!("{}#0", world.did()),
            disclosable: &disclosable,
            ordered_claims: &[],
            holder_key: Some(&world.holder.public_key()),
            decoys_to_multiple_of: 4,
            padded_arrays: &[],
        };
        let credential = issue(&document, &options, &world.issuer, &mut OsRng).unwrap();
        world.verify(&show(&world, &credential, &[RIGHT_TO_WORK]))
    };
    unrequested(with(&[]), &["credentialSubject.room"]);
    accepted(with(&[&["credentialSubject", "room"]]));
}

#[test]
fn claims_in_the_clear_are_bounded() {
    let world = World::new();
    let with = |count: usize| {
        let mut document = world.document();
        document["credentialSubject"]["room"] = json!(vec![1; count]);
        world.verify_alone(issued(&world, "vc+sd-jwt", &document).as_bytes())
    };
    assert_eq!(accepted(with(256)).disclosed_paths.len(), 256 + 2);
    refused(with(257), Code::TooLarge);
}

#[test]
fn a_credential_that_is_shown_whole_lists_whatever_is_in_it() {
    let world = World::new();
    let mut document = world.document();
    document.insert("evidence".to_owned(), json!({"type": "Note", "text": "x"}));
    document["credentialSubject"]["room"] = json!({"floor": 3});
    let options = crate::secure::data_integrity::ProofOptions {
        verification_method: &format!("{}#0", world.did()),
        purpose: crate::did::VerificationRelationship::AssertionMethod,
        created: None,
        expires: None,
        challenge: None,
        domain: None,
    };
    let secured = crate::secure::data_integrity::add_proof(&document, &EddsaJcs2022, &options, &world.issuer).unwrap();
    let held = accepted(world.verify_alone(Value::Object(secured).to_string().as_bytes()));
    let mut listed: Vec<String> = held.disclosed_paths.iter().map(|path| path_to_text(path)).collect();
    listed.sort_unstable();
    let subject = ["permitType", "rightToWork", "room"].map(|name| format!("credentialSubject.{name}"));
    assert_eq!(listed, [subject.to_vec(), ["evidence.text", "evidence.type"].map(str::to_owned).to_vec()].concat());
}
