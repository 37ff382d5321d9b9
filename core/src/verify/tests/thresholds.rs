//! Thresholds through the whole pipeline: issued, found again by the wallet, proved, verified.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

use super::{sd_jwt::RIGHT_TO_WORK, *};
use crate::{
    at_least::{self, Direction, OrderedValue, ThresholdProof},
    query::Threshold,
    secure::{jose, sd_jwt::OrderedClaim},
};

const UNTIL: &[&str] = &["credentialSubject", "validUntil"];
const BORN: &[&str] = &["credentialSubject", "dateOfBirth"];

fn ordered() -> [OrderedClaim; 2] {
    [
        OrderedClaim { path: path(UNTIL), direction: Direction::AtLeast },
        OrderedClaim { path: path(BORN), direction: Direction::AtMost },
    ]
}

/// A world whose verifier asks for `validUntil` to be at least a day, and a permit that ends on 2027-03-14.
fn world(bound: &str) -> World {
    let mut world = World::new();
    world.query = json!({"credentials": [{"id": "permit", "format": "vc+sd-jwt", "meta": {"type_values": [["Permit"]]},
        "claims": [{"path": UNTIL, "carnet_at_least": bound}]}]});
    world
}

fn issued(world: &World) -> SdJwt {
    let mut document = world.document();
    let subject = document.get_mut("credentialSubject").unwrap().as_object_mut().unwrap();
    subject.insert("validUntil".into(), "2027-03-14".into());
    subject.insert("dateOfBirth".into(), "1998-05-06".into());
    let options = IssueOptions {
        typ: "vc+sd-jwt",
        kid: &format!("{}#0", world.did()),
        disclosable: &[path(UNTIL), path(BORN), path(RIGHT_TO_WORK), path(&["credentialSubject", "permitType"])],
        ordered_claims: &ordered(),
        holder_key: Some(&world.holder.public_key()),
        decoys_to_multiple_of: 4,
        padded_arrays: &[],
    };
    SdJwt::parse(&issue(&document, &options, &world.issuer, &mut OsRng).unwrap()).unwrap()
}

/// The element to show and the proof, for one claim of a copy.
fn proof(copy: &SdJwt, claim: &[&str], threshold: &Threshold) -> Result<(ClaimPath, ThresholdProof), Problem> {
    let positions = copy.verify_commitments(&ordered()).unwrap();
    copy.prove_threshold(positions.iter().find(|positions| positions.claim.path == path(claim)).unwrap(), threshold)
}

fn shown(world: &World, copy: &SdJwt, element: ClaimPath, proofs: &[ThresholdProof]) -> String {
    copy.select_claims(&[element])
        .unwrap()
        .bind_key_with_proofs(proofs, NONCE, AUDIENCE, world.now, &world.holder)
        .unwrap()
}

fn no_less(bound: &str) -> Threshold {
    Threshold::new(Direction::AtLeast, bound.into()).unwrap()
}

#[test]
fn a_threshold_is_proved_and_the_value_stays_hidden() {
    let world = world("2026-11-22");
    let copy = issued(&world);
    let (element, proof) = proof(&copy, UNTIL, &no_less("2026-11-22")).unwrap();
    let presentation = shown(&world, &copy, element, &[proof]);
    let held = &accepted(world.verify(&presentation))["permit"][0];
    let subject = held.credential.document()["credentialSubject"].as_object().unwrap();
    let mut names: Vec<&str> = subject.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["dateOfBirthAtMost", "id", "validUntilAtLeast"]);
    assert_eq!(subject["dateOfBirthAtMost"], json!([]));
    assert_eq!(subject["validUntilAtLeast"].as_array().unwrap().len(), 1);
    assert_eq!(held.proved_thresholds.len(), 1);
    // The one disclosure is the element, and nothing in it says when the permit ends.
    assert_eq!(SdJwt::parse(&presentation).unwrap().disclosure_count(), 1);
    assert!(!held.credential.document().values().any(|value| value.to_string().contains("2027-03")));
}

#[test]
fn a_wallet_that_knows_no_thresholds_shows_the_value() {
    let world = world("2026-11-22");
    let value = |world: &World| {
        issued(world)
            .select_claims(&[path(UNTIL)])
            .unwrap()
            .bind_key(NONCE, AUDIENCE, world.now, &world.holder)
            .unwrap()
    };
    accepted(world.verify(&value(&world)));
    // A value that does not reach it is no answer.
    let stricter = self::world("2027-03-15");
    refused(stricter.verify(&value(&stricter)), Code::QueryUnmet);
}

#[test]
fn row_84_a_threshold_above_the_value() {
    let honest = world("2027-03-14");
    let copy = issued(&honest);
    let (element, truth) = proof(&copy, UNTIL, &no_less("2027-03-14")).unwrap();
    accepted(honest.verify_lent(&copy, &element, &truth));
    // The same copy cannot prove a day more, and a valid proof of less does not prove more.
    let day_more = no_less("2027-03-15");
    assert_eq!(proof(&copy, UNTIL, &day_more).unwrap_err().code, Code::ThresholdUnmet);
    let asks_more = World { query: world("2027-03-15").query, ..honest };
    let lie = ThresholdProof { threshold: day_more.comparable_bound(), ..truth };
    refused(asks_more.verify_lent(&copy, &element, &lie), Code::ThresholdUnproven);
}

impl World {
    fn verify_lent(
        &self,
        copy: &SdJwt,
        element: &ClaimPath,
        proof: &ThresholdProof,
    ) -> (VerificationReport, Option<Verified<VerifiedCredentials>>) {
        self.verify(&shown(self, copy, element.clone(), std::slice::from_ref(proof)))
    }
}

#[test]
fn row_85_a_witness_of_another_copy_claim_or_direction() {
    let world = world("2026-11-22");
    let (copy, other) = (issued(&world), issued(&world));
    let (element, honest) = proof(&copy, UNTIL, &no_less("2026-11-22")).unwrap();
    accepted(world.verify_lent(&copy, &element, &honest));
    let (_, of_other_copy) = proof(&other, UNTIL, &no_less("2026-11-22")).unwrap();
    refused(world.verify_lent(&copy, &element, &of_other_copy), Code::ThresholdUnproven);
    let at_most = Threshold::new(Direction::AtMost, "2008-11-22".into()).unwrap();
    let (_, of_other_claim) = proof(&copy, BORN, &at_most).unwrap();
    let swapped = ThresholdProof { witness: of_other_claim.witness, ..honest.clone() };
    refused(world.verify_lent(&copy, &element, &swapped), Code::ThresholdUnproven);
    let reversed = ThresholdProof { direction: Direction::AtMost, ..honest.clone() };
    refused(world.verify_lent(&copy, &element, &reversed), Code::ThresholdUnproven);
    let elsewhere = ThresholdProof { path: path(BORN), ..honest };
    refused(world.verify_lent(&copy, &element, &elsewhere), Code::ThresholdUnproven);
}

#[test]
fn a_threshold_that_nobody_asked_for_is_refused_even_if_it_says_more() {
    let world = world("2026-11-22");
    let copy = issued(&world);
    let (element, more) = proof(&copy, UNTIL, &no_less("2027-03-14")).unwrap();
    refused(world.verify_lent(&copy, &element, &more), Code::ClaimUnrequested);
    let (element, exact) = proof(&copy, UNTIL, &no_less("2026-11-22")).unwrap();
    accepted(world.verify_lent(&copy, &element, &exact));
}

#[test]
fn commitments_without_a_witness_answer_nothing() {
    let world = world("2026-11-22");
    let copy = issued(&world);
    let (element, honest) = proof(&copy, UNTIL, &no_less("2026-11-22")).unwrap();
    refused(world.verify(&shown(&world, &copy, element, &[])), Code::QueryUnmet);
    // Nor does a witness beside all of the commitments: only one of them is needed.
    let all = crate::query::commitments_path(&path(UNTIL), Direction::AtLeast).unwrap();
    refused(world.verify_lent(&copy, &all, &honest), Code::ThresholdUnproven);
}

#[test]
fn a_wallet_finds_out_when_the_commitments_are_not_those_of_the_value() {
    let world = world("2026-11-22");
    let copy = issued(&world);
    assert_eq!(copy.verify_commitments(&ordered()).unwrap().len(), 2);
    // Without one of the elements, as an issuer that keeps it to itself would hand the copy out. A value's
    // commitments are the only array elements here.
    let text = copy.to_string();
    let parts: Vec<&str> = text.split('~').collect();
    let elements = parts.iter().enumerate().skip(1).filter(|(_, part)| part.len() == 96);
    let mut dropped = 0;
    for (at, _) in elements {
        let kept: Vec<&str> = parts.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, p)| *p).collect();
        let lacking = SdJwt::parse(&kept.join("~")).unwrap();
        assert_eq!(lacking.verify_commitments(&ordered()).unwrap_err().code, Code::ThresholdUnproven);
        dropped += 1;
    }
    assert!(dropped >= 2, "each of the two values has one commitment at least");
}

/// A copy of the document without the claims that have an order: every element of their arrays is a decoy.
fn without_values(world: &World) -> SdJwt {
    let options = IssueOptions {
        typ: "vc+sd-jwt",
        kid: &format!("{}#0", world.did()),
        disclosable: &[path(UNTIL), path(BORN), path(RIGHT_TO_WORK), path(&["credentialSubject", "permitType"])],
        ordered_claims: &ordered(),
        holder_key: Some(&world.holder.public_key()),
        decoys_to_multiple_of: 4,
        padded_arrays: &[],
    };
    SdJwt::parse(&issue(&world.document(), &options, &world.issuer, &mut OsRng).unwrap()).unwrap()
}

/// Signs the subject of a copy again with a change, with these disclosures.
fn signed_anew(
    world: &World,
    copy: &SdJwt,
    disclosures: &[String],
    change: impl FnOnce(&mut Map<String, Value>),
) -> SdJwt {
    let mut payload = copy.jws().payload().clone();
    change(payload["credentialSubject"].as_object_mut().unwrap());
    let header = json!({"typ": "vc+sd-jwt", "kid": format!("{}#0", world.did())});
    let jwt = jose::sign(header.as_object().unwrap().clone(), &payload, &world.issuer).unwrap();
    let parts: Vec<&str> = std::iter::once(jwt.as_str()).chain(disclosures.iter().map(String::as_str)).collect();
    SdJwt::parse(&format!("{}~", parts.join("~"))).unwrap()
}

#[test]
fn an_array_that_is_missing_longer_shorter_or_in_the_clear_is_refused() {
    let world = world("2026-11-22");
    let copy = without_values(&world);
    type Change = fn(&mut Vec<Value>);
    let changes: [Change; 5] = [
        Vec::clear,
        |elements| drop(elements.pop()),
        |elements| elements.push(json!({"...": "A".repeat(43)})),
        |elements| elements[0] = json!("A".repeat(43)),
        |elements| elements[0] = json!({}),
    ];
    for name in ["validUntilAtLeast", "dateOfBirthAtMost"] {
        let twin = signed_anew(&world, &copy, &[], |_| {});
        assert_eq!(twin.verify_commitments(&ordered()).unwrap(), []);
        let missing = signed_anew(&world, &copy, &[], |subject| drop(subject.remove(name)));
        assert_eq!(missing.verify_commitments(&ordered()).unwrap_err().code, Code::ThresholdUnproven);
        for change in changes {
            let changed = signed_anew(&world, &copy, &[], |subject| change(subject[name].as_array_mut().unwrap()));
            assert_eq!(changed.verify_commitments(&ordered()).unwrap_err().code, Code::ThresholdUnproven);
        }
    }
}

#[test]
fn a_salt_that_can_be_guessed_is_refused() {
    let world = world("2026-11-22");
    let copy = without_values(&world);
    let written = |parts: Value| URL_SAFE_NO_PAD.encode(parts.to_string());
    let digest = |disclosure: &String| URL_SAFE_NO_PAD.encode(Sha256::digest(disclosure));
    let salted = |salt: &str| {
        let value = written(json!([salt, "validUntil", "2027-03-14"]));
        let number = OrderedValue::from_claim(Direction::AtLeast, &"2027-03-14".into()).unwrap();
        let entries = at_least::commitments(Direction::AtLeast, salt, number);
        let elements = entries.iter().zip('a'..);
        let elements = elements.map(|(entry, own)| written(json!([own, entry.commitment.to_string()])));
        let disclosures: Vec<String> = elements.chain([value.clone()]).collect();
        let changed = signed_anew(&world, &copy, &disclosures, |subject| {
            subject.insert("_sd".into(), json!([digest(&value)]));
            let array = subject["validUntilAtLeast"].as_array_mut().unwrap();
            for (element, disclosure) in array.iter_mut().zip(&disclosures[..disclosures.len() - 1]) {
                *element = json!({"...": digest(disclosure)});
            }
        });
        changed.verify_commitments(&self::ordered()).map(|found| found.len()).map_err(|problem| problem.code)
    };
    assert_eq!(salted(&"s".repeat(22)), Ok(1));
    assert_eq!(salted(&"s".repeat(21)), Err(Code::ThresholdUnproven));
    assert_eq!(salted(""), Err(Code::ThresholdUnproven));
}

#[test]
fn the_arrays_look_the_same_whether_or_not_there_is_a_value() {
    let world = world("2026-11-22");
    let with = issued(&world);
    let subject = |copy: &SdJwt| copy.jws().payload()["credentialSubject"].as_object().unwrap().clone();
    let without = without_values(&world);
    for copy in [&with, &without] {
        for name in ["validUntilAtLeast", "dateOfBirthAtMost"] {
            let subject = subject(copy);
            let elements = subject[name].as_array().unwrap();
            assert_eq!(elements.len(), 4);
            assert!(elements.iter().all(|element| element["..."].as_str().is_some_and(|digest| digest.len() == 43)));
        }
    }
    assert_eq!(without.verify_commitments(&ordered()).unwrap(), []);
}

#[test]
fn what_has_an_order_is_hidden_and_has_its_name_to_itself() {
    let world = world("2026-11-22");
    let attempt = |disclosable: &[ClaimPath], extra: &str| {
        let mut document = world.document();
        let subject = document.get_mut("credentialSubject").unwrap().as_object_mut().unwrap();
        subject.insert("validUntil".into(), "2027-03-14".into());
        subject.insert(extra.into(), json!([]));
        let kid = format!("{}#0", world.did());
        let ordered = [OrderedClaim { path: path(UNTIL), direction: Direction::AtLeast }];
        let options = IssueOptions {
            typ: "vc+sd-jwt",
            kid: &kid,
            disclosable,
            ordered_claims: &ordered,
            holder_key: None,
            decoys_to_multiple_of: 0,
            padded_arrays: &[],
        };
        issue(&document, &options, &world.issuer, &mut OsRng).map_err(|problem| problem.code)
    };
    assert!(attempt(&[path(UNTIL)], "remarks").is_ok());
    assert_eq!(attempt(&[], "remarks").unwrap_err(), Code::DisclosureForbidden);
    assert_eq!(attempt(&[path(UNTIL)], "validUntilAtLeast").unwrap_err(), Code::ClaimForbidden);
}
