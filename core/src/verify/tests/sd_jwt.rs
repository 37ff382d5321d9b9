use super::*;
use crate::{day, secure::jose};

/// Issues a payload as the world's issuer does.
pub(super) fn issued(world: &World, typ: &str, payload: &Map<String, Value>) -> String {
    let kid = format!("{}#0", world.did());
    let prefix: &[&str] = if typ == "vc+sd-jwt" { &["credentialSubject"] } else { &[] };
    let disclosable = ["rightToWork", "permitType"].map(|name| path(&[prefix, &[name]].concat()));
    let holder = world.holder.public_key();
    let options = IssueOptions {
        typ,
        kid: &kid,
        disclosable: &disclosable,
        ordered_claims: &[],
        holder_key: Some(&holder),
        decoys_to_multiple_of: 4,
        padded_arrays: &[],
    };
    issue(payload, &options, &world.issuer, &mut OsRng).unwrap()
}

pub(super) fn show(world: &World, credential: &str, paths: &[&[&str]]) -> String {
    let paths: Vec<ClaimPath> = paths.iter().map(|names| path(names)).collect();
    let selected = SdJwt::parse(credential).unwrap().select_claims(&paths).unwrap();
    selected.bind_key(NONCE, AUDIENCE, world.now, &world.holder).unwrap()
}

pub(super) const RIGHT_TO_WORK: &[&str] = &["credentialSubject", "rightToWork"];

fn honest(world: &World) -> String {
    show(world, &issued(world, "vc+sd-jwt", &world.document()), &[RIGHT_TO_WORK])
}

/// The honest presentation passes, and the one of the changed document is refused.
#[track_caller]
fn document_refused(code: Code, change: impl FnOnce(&World, &mut Map<String, Value>)) {
    let world = World::new();
    let mut document = world.document();
    accepted(world.verify(&show(&world, &issued(&world, "vc+sd-jwt", &document), &[RIGHT_TO_WORK])));
    change(&world, &mut document);
    refused(world.verify(&show(&world, &issued(&world, "vc+sd-jwt", &document), &[RIGHT_TO_WORK])), code);
}

#[test]
fn an_honest_presentation_shows_what_was_asked_and_no_more() {
    let world = World::new();
    let held = accepted(world.verify(&honest(&world)));
    let permit = &held["permit"][0];
    let subject = &permit.credential.document()["credentialSubject"];
    assert_eq!(subject, &json!({"id": world.holder_did(), "rightToWork": true}));
    assert_eq!(permit.disclosed_paths, [path(RIGHT_TO_WORK)]);
    assert_eq!(permit.type_name, "Permit");
}

#[test]
fn row_04_a_credential_with_another_typ() {
    let world = World::new();
    accepted(world.verify(&honest(&world)));
    refused(
        world.verify(&show(&world, &issued(&world, "vc+jwt", &world.document()), &[RIGHT_TO_WORK])),
        Code::TokenType,
    );
}

#[test]
fn row_05_an_issuance_proof_or_key_binding_used_as_a_credential() {
    let world = World::new();
    accepted(world.verify_alone(issued(&world, "vc+sd-jwt", &world.document()).as_bytes()));
    for typ in ["kb+jwt", "openid4vci-proof+jwt"] {
        refused(world.verify_alone(issued(&world, typ, &world.document()).as_bytes()), Code::TokenType);
    }
}

#[test]
fn row_06_a_header_key_that_is_not_anchored_to_the_issuer() {
    let world = World::new();
    accepted(world.verify_alone(issued(&world, "vc+sd-jwt", &world.document()).as_bytes()));
    let by_value = |header: Value| {
        let token = jose::sign(object(header), &world.document(), &world.issuer).unwrap();
        world.verify_alone(format!("{token}~").as_bytes())
    };
    let jwk = world.issuer.public_key().to_jwk();
    refused(by_value(json!({"typ": "vc+sd-jwt", "jwk": jwk})), Code::HeaderKeyUnanchored);
    refused(by_value(json!({"typ": "vc+sd-jwt"})), Code::HeaderKeyUnanchored);
    // A kid that leads to another party's key, who really did sign.
    let thief = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng);
    let kid = format!("{}#0", Did::did_jwk(&thief.public_key()));
    let token = jose::sign(object(json!({"typ": "vc+sd-jwt", "kid": kid})), &world.document(), &thief).unwrap();
    refused(world.verify_alone(format!("{token}~").as_bytes()), Code::MethodOfOther);
}

#[test]
fn row_09_exp_as_a_string() {
    document_refused(Code::MalformedValue, |_, d| drop(d.insert("exp".into(), "1999999999".into())));
}

#[test]
fn row_10_an_end_is_missing_where_the_profile_requires_it() {
    document_refused(Code::ClaimMissing, |_, d| drop(d.remove("validUntil")));
    let mut world = World::new();
    world.query = json!({"credentials": [{"id": "permit", "format": "dc+sd-jwt", "meta": {"vct_values": ["urn:permit"]},
        "claims": [{"path": ["rightToWork"]}]}]});
    let mut payload = object(
        json!({"iss": world.did(), "vct": "urn:permit", "exp": 1_800_000_000, "rightToWork": true, "permitType": "s"}),
    );
    accepted(world.verify(&show(&world, &issued(&world, "dc+sd-jwt", &payload), &[&["rightToWork"]])));
    payload.remove("exp");
    refused(
        world.verify(&show(&world, &issued(&world, "dc+sd-jwt", &payload), &[&["rightToWork"]])),
        Code::ClaimMissing,
    );
}

#[test]
fn the_times_of_a_token_may_have_fractions() {
    let mut world = World::new();
    world.query = json!({"credentials": [{"id": "permit", "format": "dc+sd-jwt", "meta": {"vct_values": ["urn:permit"]},
        "claims": [{"path": ["rightToWork"]}]}]});
    let now = world.now.unix() as f64;
    let show_with = |nbf: f64, exp: f64| {
        let payload = object(json!({
            "iss": world.did(), "vct": "urn:permit", "nbf": nbf, "exp": exp, "rightToWork": true, "permitType": "s",
        }));
        world.verify(&show(&world, &issued(&world, "dc+sd-jwt", &payload), &[&["rightToWork"]]))
    };
    accepted(show_with(now - 0.5, now + 1_000.25));
    accepted(show_with(now + 60.5, now + 1_000.0));
    accepted(show_with(now - 100.0, now - 59.5));
    refused(show_with(now + 61.5, now + 1_000.0), Code::NotYetValid);
    refused(show_with(now - 100.0, now - 61.5), Code::Expired);
}

#[test]
fn row_11_expired() {
    document_refused(Code::Expired, |_, d| drop(d.insert("validUntil".into(), "2026-11-22T11:58:59Z".into())));
    document_refused(Code::Expired, |_, d| drop(d.insert("exp".into(), 1_700_000_000.into())));
}

#[test]
fn row_12_not_yet_valid() {
    document_refused(Code::NotYetValid, |_, d| drop(d.insert("validFrom".into(), "2026-11-22T12:01:01Z".into())));
    document_refused(Code::NotYetValid, |_, d| drop(d.insert("nbf".into(), 1_900_000_000.into())));
    let iat = |text: &str| Timestamp::parse(text).unwrap().unix();
    document_refused(Code::NotYetValid, |_, d| drop(d.insert("iat".into(), iat("2026-11-22T12:01:01Z").into())));
    let world = World::new();
    let mut document = world.document();
    document.insert("iat".into(), iat("2026-11-22T12:01:00Z").into());
    let (report, _) = world.verify_alone(issued(&world, "vc+sd-jwt", &document).as_bytes());
    assert!(report.first_failure().is_none(), "{report:?}");
}

#[test]
fn a_credential_until_a_day_holds_on_that_day_and_not_on_the_next() {
    for (now, holds) in [
        ("2026-11-29T23:59:59Z", true),
        ("2026-11-30T23:59:59Z", true),
        // 60 seconds for clocks that differ.
        ("2026-12-01T00:01:00Z", true),
        ("2026-12-01T00:01:01Z", false),
    ] {
        let world = World { now: Timestamp::parse(now).unwrap(), ..World::new() };
        let mut document = world.document();
        document.insert("validUntil".into(), day::parse_end("2026-11-30").unwrap().to_string().into());
        let (report, _) = world.verify_alone(issued(&world, "vc+sd-jwt", &document).as_bytes());
        assert_eq!(report.first_failure().is_none(), holds, "{now}: {report:?}");
    }
}

#[test]
fn the_clock_may_differ_by_the_skew_and_no_more() {
    for (until, holds) in [("2026-11-22T11:59:00Z", true), ("2026-11-22T11:58:59Z", false)] {
        let world = World::new();
        let mut document = world.document();
        document.insert("validUntil".into(), until.into());
        let (report, _) = world.verify(&show(&world, &issued(&world, "vc+sd-jwt", &document), &[RIGHT_TO_WORK]));
        assert_eq!(report.first_failure().is_none(), holds, "{until}");
    }
}

#[test]
fn row_13_valid_from_after_valid_until() {
    document_refused(Code::ValidityReversed, |_, d| drop(d.insert("validFrom".into(), "2028-01-01T00:00:00Z".into())));
}

#[test]
fn an_iss_that_differs_from_the_issuer() {
    document_refused(Code::IssuerMismatch, |_, d| drop(d.insert("iss".into(), "did:web:other.example".into())));
}

#[test]
fn vc_and_vp_claims_may_not_appear() {
    document_refused(Code::ClaimForbidden, |_, d| drop(d.insert("vc".into(), json!({}))));
    document_refused(Code::ClaimForbidden, |_, d| drop(d.insert("vp".into(), json!({}))));
}

#[test]
fn a_presentation_of_nothing_answers_not_even_what_is_optional() {
    let mut world = World::new();
    world.query["credential_sets"] = json!([{"options": [["permit"]], "required": false}]);
    refused(world.verify_answer(&BTreeMap::new()), Code::QueryUnmet);
    accepted(world.verify(&honest(&world)));
}

#[test]
fn row_40_a_subject_that_is_nobody_or_somebody_else() {
    document_refused(Code::HolderMismatch, |_, document| {
        document["credentialSubject"].as_object_mut().unwrap().remove("id");
    });
    document_refused(Code::HolderMismatch, |_, document| {
        document["credentialSubject"]["id"] = "did:example:other".into();
    });
    let mut world = World::new();
    world.query = json!({"credentials": [{"id": "permit", "format": "dc+sd-jwt", "meta": {"vct_values": ["urn:permit"]},
        "claims": [{"path": ["rightToWork"]}]}]});
    let show_with = |sub: Option<Value>| {
        let mut payload = object(
            json!({"iss": world.did(), "vct": "urn:permit", "exp": 1_800_000_000, "rightToWork": true, "permitType": "s"}),
        );
        payload.extend(sub.map(|sub| ("sub".to_owned(), sub)));
        world.verify(&show(&world, &issued(&world, "dc+sd-jwt", &payload), &[&["rightToWork"]]))
    };
    accepted(show_with(None));
    accepted(show_with(Some(world.holder_did().into())));
    accepted(show_with(Some(Did::did_key(&world.holder.public_key()).as_str().into())));
    for other in [json!("somebody"), json!(""), json!(5), json!(null)] {
        refused(show_with(Some(other)), Code::HolderMismatch);
    }
}

#[test]
fn row_40_a_sub_beside_the_subject_is_the_same() {
    document_refused(Code::HolderMismatch, |_, document| drop(document.insert("sub".into(), "somebody".into())));
    document_refused(Code::HolderMismatch, |world, document| {
        document["credentialSubject"].as_object_mut().unwrap().remove("id");
        document.insert("sub".into(), world.holder_did().into());
    });
}

#[test]
fn an_element_that_is_asked_for_by_index_is_not_taken_for_another() {
    let mut world = World::new();
    let mut document = world.document();
    document["credentialSubject"]["skills"] = json!(["reading", "welding"]);
    let skills = |step: Step| path(&["credentialSubject", "skills"]).into_iter().chain([step]).collect::<ClaimPath>();
    let (kid, holder) = (format!("{}#0", world.did()), world.holder.public_key());
    let options = IssueOptions {
        typ: "vc+sd-jwt",
        kid: &kid,
        disclosable: &[skills(Step::All), path(RIGHT_TO_WORK), path(&["credentialSubject", "permitType"])],
        ordered_claims: &[],
        holder_key: Some(&holder),
        decoys_to_multiple_of: 4,
        padded_arrays: &[],
    };
    let credential = SdJwt::parse(&issue(&document, &options, &world.issuer, &mut OsRng).unwrap()).unwrap();
    // Of the two only the second is disclosed; in the verifier's view, it is the first.
    let second = credential.select_claims(&[skills(Step::Index(1))]).unwrap();
    let shown = second.bind_key(NONCE, AUDIENCE, world.now, &world.holder).unwrap();
    let mut asked = |step: Value| {
        let path = json!(["credentialSubject", "skills", step]);
        world.query["credentials"][0]["claims"] = json!([
            {"id": "first", "path": path, "values": ["welding"]},
            {"id": "second", "path": ["credentialSubject", "skills", null]},
            {"id": "more", "path": ["credentialSubject", "rightToWork"], "values": [false]},
        ]);
        world.query["credentials"][0]["claim_sets"] = json!([["first"], ["second", "more"]]);
        world.verify(&shown)
    };
    accepted(asked(json!(null)));
    refused(asked(json!(0)), Code::QueryMalformed);
    refused(asked(json!(1)), Code::QueryMalformed);
}

#[test]
fn a_status_of_the_tokens_own_is_not_overlooked() {
    document_refused(Code::StatusListUnavailable, |_, document| {
        document.insert("status".into(), json!({"status_list": {"idx": 0, "uri": "https://issuer.example/1"}}));
    });
}

#[test]
fn a_status_that_cannot_be_checked_is_not_valid() {
    for (status, code) in [
        (json!({"type": "BitstringStatusListEntry"}), Code::MalformedValue),
        (json!({"type": "SomethingElse2029"}), Code::StatusUnsupported),
        (json!([]), Code::StatusUnsupported),
    ] {
        document_refused(code, |_, d| {
            d.insert("credentialStatus".into(), status);
        });
    }
}

#[test]
fn row_40_the_holder_is_not_the_subject() {
    document_refused(Code::HolderMismatch, |_, d| {
        let other = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng);
        d.insert(
            "credentialSubject".into(),
            json!({"id": Did::did_jwk(&other.public_key()).as_str(), "rightToWork": true}),
        );
    });
}

#[test]
fn row_42_43_a_nonce_of_another_session() {
    let world = World::new();
    accepted(world.verify(&honest(&world)));
    let selected = SdJwt::parse(&honest(&world)).unwrap().select_claims(&[path(RIGHT_TO_WORK)]).unwrap();
    let replayed = selected.bind_key("of-another-session", AUDIENCE, world.now, &world.holder).unwrap();
    refused(world.verify(&replayed), Code::ChallengeMismatch);
}

#[test]
fn row_44_an_audience_without_its_prefix() {
    let world = World::new();
    accepted(world.verify(&honest(&world)));
    let selected = SdJwt::parse(&honest(&world)).unwrap().select_claims(&[path(RIGHT_TO_WORK)]).unwrap();
    let bare = selected.bind_key(NONCE, "did:web:agency.example", world.now, &world.holder).unwrap();
    refused(world.verify(&bare), Code::DomainMismatch);
}

#[test]
fn row_45_a_presentation_without_key_binding_is_refused_whatever_the_query_says() {
    let mut world = World::new();
    world.query["credentials"][0]["require_cryptographic_holder_binding"] = json!(false);
    let bound = honest(&world);
    accepted(world.verify(&bound));
    let end = bound.rfind('~').unwrap();
    refused(world.verify(&bound[..=end]), Code::KeyBindingMissing);
}

#[test]
fn without_nonce_or_audience_nothing_passes() {
    let world = World::new();
    let query = Query::parse(&world.query).unwrap();
    let answer = BTreeMap::from([("permit".to_owned(), vec![honest(&world)])]);
    for (nonce, audience, code) in [("", AUDIENCE, Code::ChallengeMissing), (NONCE, "", Code::DomainMissing)] {
        let asked = PresentationContext { query: &query, nonce, audience, max_age: 300 };
        refused(world.with_environment(|env| verify_presentation(&answer, &asked, env)), code);
    }
}

#[test]
fn row_48_a_stale_key_binding() {
    let mut world = World::new();
    let bound = honest(&world);
    accepted(world.verify(&bound));
    world.now = world.now.plus(361);
    refused(world.verify(&bound), Code::KeyBindingStale);
}

#[test]
fn row_56_an_issuer_that_sends_a_bound_credential() {
    let world = World::new();
    accepted(world.verify_alone(issued(&world, "vc+sd-jwt", &world.document()).as_bytes()));
    refused(world.verify_alone(honest(&world).as_bytes()), Code::KeyBindingUnexpected);
}

#[test]
fn row_68_an_issuer_that_is_not_accepted_for_the_type() {
    let mut world = World::new();
    let bound = honest(&world);
    accepted(world.verify(&bound));
    world.trusted = "did:web:another.example".to_owned();
    refused(world.verify(&bound), Code::IssuerUntrusted);
}

#[test]
fn row_77_a_requested_claim_is_missing() {
    let world = World::new();
    let credential = issued(&world, "vc+sd-jwt", &world.document());
    accepted(world.verify(&show(&world, &credential, &[RIGHT_TO_WORK])));
    refused(world.verify(&show(&world, &credential, &[])), Code::QueryUnmet);
    refused(world.verify_answer(&BTreeMap::new()), Code::QueryUnmet);
    refused(world.verify_answer(&BTreeMap::from([("permit".to_owned(), vec![])])), Code::QueryUnmet);
}

#[test]
fn row_78_claims_that_nobody_asked_for() {
    let world = World::new();
    let credential = issued(&world, "vc+sd-jwt", &world.document());
    let asked_for = show(&world, &credential, &[RIGHT_TO_WORK]);
    accepted(world.verify(&asked_for));
    let more = show(&world, &credential, &[RIGHT_TO_WORK, &["credentialSubject", "permitType"]]);
    refused(world.verify(&more), Code::ClaimUnrequested);
    let unknown =
        BTreeMap::from([("permit".to_owned(), vec![asked_for.clone()]), ("z".to_owned(), vec![asked_for.clone()])]);
    refused(world.verify_answer(&unknown), Code::ClaimUnrequested);
    let twice = BTreeMap::from([("permit".to_owned(), vec![asked_for.clone(), asked_for])]);
    refused(world.verify_answer(&twice), Code::ClaimUnrequested);
}

#[test]
fn a_type_that_the_catalogue_does_not_know() {
    document_refused(Code::TypeUnknown, |_, d| {
        d.insert("type".into(), json!(["VerifiableCredential", "Permit", "Passport"]));
    });
}

#[test]
fn row_71_a_vct_gives_a_vcdm_credential_no_second_name() {
    document_refused(Code::TypeUnknown, |_, d| {
        d.insert("type".into(), json!(["VerifiableCredential", "Passport"]));
    });
    document_refused(Code::ClaimForbidden, |_, d| {
        d.insert("type".into(), json!(["VerifiableCredential", "Passport"]));
        d.insert("vct".into(), "urn:permit".into());
    });
}

#[test]
fn an_sd_jwt_vc_is_seen_as_a_credential() {
    let mut world = World::new();
    world.query = json!({"credentials": [{"id": "permit", "format": "dc+sd-jwt", "meta": {"vct_values": ["urn:permit"]},
        "claims": [{"path": ["rightToWork"]}]}]});
    let payload = object(json!({"iss": world.did(), "vct": "urn:permit", "nbf": 1_700_000_000, "exp": 1_800_000_000,
        "rightToWork": true, "permitType": "student"}));
    let shown = show(&world, &issued(&world, "dc+sd-jwt", &payload), &[&["rightToWork"]]);
    let held = accepted(world.verify(&shown));
    let credential = &held["permit"][0].credential;
    assert_eq!(credential.issuer(), world.did());
    assert_eq!(credential.document()["credentialSubject"]["rightToWork"], json!(true));
    // The same payload under the other typ is no VCDM credential.
    refused(world.verify_alone(issued(&world, "vc+sd-jwt", &payload).as_bytes()), Code::MalformedValue);
}
