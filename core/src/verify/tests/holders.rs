//! Rows 97 and 98: several credentials in one answer are whose they have to be, and none counts twice.

use super::{
    status::{MINE, entry, publish},
    *,
};
use crate::status::{StatusState, publication::ListFormat};

const CLAIMS: [&str; 3] = ["name", "born", "number"];

/// A copy of a credential with its holder's key.
struct Copy {
    key: Arc<SecretKey>,
    credential: String,
}

fn key() -> Arc<SecretKey> {
    Arc::new(SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng))
}

fn copy(
    world: &World,
    format: &str,
    key: &Arc<SecretKey>,
    claims: Value,
    change: impl FnOnce(&mut Map<String, Value>),
) -> Copy {
    let subject = object(claims);
    let (mut payload, prefix): (_, &[&str]) = if format == "dc+sd-jwt" {
        let mut payload = object(json!({"iss": world.did(), "vct": "urn:permit", "exp": 1_800_000_000}));
        payload.extend(subject);
        (payload, &[])
    } else {
        let mut document = world.document();
        let mut subject = subject;
        subject.insert("id".into(), Did::did_jwk(&key.public_key()).as_str().into());
        document.insert("credentialSubject".into(), subject.into());
        (document, &["credentialSubject"])
    };
    change(&mut payload);
    let disclosable = CLAIMS.map(|name| path(&[prefix, &[name]].concat()));
    let options = IssueOptions {
        typ: format,
        kid: &format!("{}#0", world.did()),
        disclosable: &disclosable,
        ordered_claims: &[],
        holder_key: Some(&key.public_key()),
        decoys_to_multiple_of: 4,
        padded_arrays: &[],
    };
    Copy { key: Arc::clone(key), credential: issue(&payload, &options, &world.issuer, &mut OsRng).unwrap() }
}

/// A copy of the person's credential of this number.
fn of(world: &World, key: &Arc<SecretKey>, person: (&str, &str), number: &str) -> Copy {
    let claims = json!({"name": person.0, "born": person.1, "number": number});
    copy(world, "vc+sd-jwt", key, claims, |_| {})
}

/// The copy bound to the request, with everything shown.
fn bound(world: &World, copy: &Copy) -> String {
    let token = SdJwt::parse(&copy.credential).unwrap();
    token.bind_key(NONCE, AUDIENCE, world.now, copy.key.as_ref()).unwrap()
}

fn asked(id: &str, format: &str) -> Value {
    let (meta, prefix): (_, &[&str]) = if format == "dc+sd-jwt" {
        (json!({"vct_values": ["urn:permit"]}), &[])
    } else {
        (json!({"type_values": [["Permit"]]}), &["credentialSubject"])
    };
    let claims: Vec<Value> =
        CLAIMS.iter().map(|name| [prefix, &[*name]].concat()).map(|path| json!({"path": path})).collect();
    json!({"id": id, "format": format, "meta": meta, "claims": claims})
}

/// A world that asks for two credentials under a holder rule.
fn two(rule: Value) -> World {
    let mut world = World::new();
    world.query = json!({"credentials": [asked("a", "vc+sd-jwt"), asked("b", "vc+sd-jwt")]});
    if !rule.is_null() {
        world.query["carnet_holder"] = rule;
    }
    world
}

/// A world that asks for several credentials with different numbers.
fn several(rule: &str) -> World {
    let mut world = World::new();
    let mut credential = asked("m", "vc+sd-jwt");
    credential["multiple"] = json!(true);
    credential["carnet_distinct"] = json!([["credentialSubject", "number"]]);
    world.query = json!({"credentials": [credential], "carnet_holder": rule});
    world
}

fn answer(world: &World, presented: &[(&str, &Copy)]) -> (VerificationReport, Option<Verified<VerifiedCredentials>>) {
    let mut answer: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (id, copy) in presented {
        answer.entry((*id).to_owned()).or_default().push(bound(world, copy));
    }
    world.verify_answer(&answer)
}

fn by_claims() -> Value {
    json!({"claims": [["name"], ["born"]]})
}

const ANNA: (&str, &str) = ("Anna Müller", "1990-02-03");

#[test]
fn row_97_two_holders_where_one_was_asked_for() {
    let world = two(by_claims());
    let first = of(&world, &key(), ANNA, "1");
    let with = |person: (&str, &str)| answer(&world, &[("a", &first), ("b", &of(&world, &key(), person, "2"))]);
    accepted(with(ANNA));
    // As two offices write one name.
    accepted(with(("ANNA  MÜLLER", "1990-02-03T00:00:00Z")));
    accepted(with(("Anna Mu\u{308}ller", "1990-02-03")));
    for other in [("Anna Mueller", "1990-02-03"), ("Anna Müller", "1990-03-02"), ("Bela Müller", "1990-02-03")] {
        let (report, verified) = with(other);
        assert_eq!(report.first_failure().map(|problem| problem.code), Some(Code::HolderDiffers), "{other:?}");
        assert!(verified.is_none());
        // The detail names the claim and no value.
        assert!(!report.first_failure().unwrap().detail.contains("ller"));
    }
    // A value that cannot be compared does not agree.
    let listed =
        copy(&world, "vc+sd-jwt", &key(), json!({"name": ["Anna"], "born": "1990-02-03", "number": "2"}), |_| {});
    refused(answer(&world, &[("a", &first), ("b", &listed)]), Code::HolderDiffers);
}

#[test]
fn row_97_the_rule_holds_across_formats() {
    let mut world = two(by_claims());
    world.query["credentials"][1] = asked("b", "dc+sd-jwt");
    let first = of(&world, &key(), ANNA, "1");
    let second = |name: &str| {
        copy(&world, "dc+sd-jwt", &key(), json!({"name": name, "born": "1990-02-03", "number": "2"}), |_| {})
    };
    accepted(answer(&world, &[("a", &first), ("b", &second("anna müller"))]));
    refused(answer(&world, &[("a", &first), ("b", &second("Bela Müller"))]), Code::HolderDiffers);
}

#[test]
fn row_97_one_key_or_anybodys_where_that_was_asked_for() {
    let (one, other) = (key(), key());
    let world = two(json!("key"));
    let first = of(&world, &one, ANNA, "1");
    accepted(answer(&world, &[("a", &first), ("b", &of(&world, &one, ("Bela", "2000-01-01"), "2"))]));
    refused(answer(&world, &[("a", &first), ("b", &of(&world, &other, ANNA, "2"))]), Code::HolderDiffers);
    let world = two(json!("any"));
    let first = of(&world, &one, ANNA, "1");
    let second = of(&world, &other, ("Bela", "2000-01-01"), "2");
    accepted(answer(&world, &[("a", &first), ("b", &second)]));
    // A verifier without a holder rule gets no answer by two documents.
    let world = two(Value::Null);
    let (first, second) = (of(&world, &one, ANNA, "1"), of(&world, &other, ANNA, "2"));
    refused(answer(&world, &[("a", &first), ("b", &second)]), Code::HolderMissing);
}

#[test]
fn row_97_of_one_credential_alone_nothing_has_to_agree() {
    let mut world = two(Value::Null);
    world.query["credential_sets"] = json!([{"options": [["a"], ["b"]]}]);
    accepted(answer(&world, &[("a", &of(&world, &key(), ANNA, "1"))]));
    let mut world = World::new();
    world.query["credentials"][0]["id"] = json!("a");
    let copy = copy(&world, "vc+sd-jwt", &key(), json!({"rightToWork": true}), |_| {});
    let (report, verified) = answer(&world, &[("a", &copy)]);
    assert!(verified.is_some());
    assert!(!report.checks().iter().any(|check| matches!(check.name, CheckName::HolderRule | CheckName::Distinct)));
}

#[test]
fn row_98_one_copy_counted_twice() {
    let world = several("any");
    let (first, second) = (of(&world, &key(), ANNA, "1"), of(&world, &key(), ANNA, "2"));
    let held = accepted(answer(&world, &[("m", &first), ("m", &second)]));
    assert_eq!(held["m"].len(), 2);
    refused(answer(&world, &[("m", &first), ("m", &first)]), Code::CredentialRepeated);
    // Two copies of one credential: nothing but the claim tells.
    let again = of(&world, &key(), ANNA, "1");
    refused(answer(&world, &[("m", &first), ("m", &again)]), Code::CredentialRepeated);
    refused(answer(&world, &[("m", &first), ("m", &second), ("m", &again)]), Code::CredentialRepeated);
}

#[test]
fn row_98_two_credentials_with_one_key_count_once_unless_one_key_was_asked_for() {
    let own = key();
    for (rule, code) in [("any", Some(Code::CredentialRepeated)), ("key", None)] {
        let world = several(rule);
        let (first, second) = (of(&world, &own, ANNA, "1"), of(&world, &own, ANNA, "2"));
        let (report, _) = answer(&world, &[("m", &first), ("m", &second)]);
        assert_eq!(report.first_failure().map(|problem| problem.code), code, "{rule}");
        refused(answer(&world, &[("m", &first), ("m", &first)]), Code::CredentialRepeated);
    }
}

#[test]
fn row_98_two_copies_at_one_place_of_a_list() {
    let mut world = several("any");
    publish(&mut world, StatusState::Valid);
    let at = |number: &str, index: u64| {
        let claims = json!({"name": ANNA.0, "born": ANNA.1, "number": number});
        copy(&world, "vc+sd-jwt", &key(), claims, |document| {
            let status = json!([entry(ListFormat::Revocation, &index.to_string())]);
            document.insert("credentialStatus".into(), status);
        })
    };
    let first = at("1", MINE);
    accepted(answer(&world, &[("m", &first), ("m", &at("2", MINE.saturating_add(1)))]));
    refused(answer(&world, &[("m", &first), ("m", &at("2", MINE))]), Code::CredentialRepeated);
}

#[test]
fn row_98_embedded_proofs_count_once_too() {
    let mut world = World::new();
    world.query = json!({"carnet_holder": "key", "credentials": [{
        "id": "m", "format": "di_vc+jcs", "meta": {"type_values": [["Permit"]]}, "multiple": true,
        "claims": [{"path": ["credentialSubject", "permitType"]}],
        "carnet_distinct": [["credentialSubject", "permitType"]],
    }]});
    let present = |kind: &str| {
        let mut document = world.document();
        document["credentialSubject"]["permitType"] = json!(kind);
        let options = crate::secure::data_integrity::ProofOptions {
            verification_method: &format!("{}#0", world.did()),
            purpose: crate::did::VerificationRelationship::AssertionMethod,
            created: None,
            expires: None,
            challenge: None,
            domain: None,
        };
        let secured =
            crate::secure::data_integrity::add_proof(&document, &EddsaJcs2022, &options, &world.issuer).unwrap();
        let (holder, method) = (world.holder_did(), format!("{}#0", world.holder_did()));
        let all = [Value::Object(secured)];
        crate::presentation::create_data_integrity_presentation(
            &all,
            &holder,
            &method,
            NONCE,
            AUDIENCE,
            world.now,
            &world.holder,
        )
        .unwrap()
    };
    let both = |one: &str, other: &str| {
        world.verify_answer(&BTreeMap::from([("m".to_owned(), vec![present(one), present(other)])]))
    };
    accepted(both("student", "worker"));
    refused(both("student", "student"), Code::CredentialRepeated);
}

#[test]
fn one_credential_may_answer_two_questions() {
    let world = two(json!("any"));
    let copy = of(&world, &key(), ANNA, "1");
    let held = accepted(answer(&world, &[("a", &copy), ("b", &copy)]));
    assert_eq!(held.len(), 2);
}
