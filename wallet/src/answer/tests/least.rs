//! Minimal disclosure, and proofs of thresholds instead of values.

use carnet_core::{
    at_least::{self, Commitment, Direction},
    format::CredentialFormat,
    query::{QueryCandidate, VerifiedThreshold, commitments_path, path_to_text},
    secure::sd_jwt::Step,
};
use serde_json::{Map, Value, json};

use super::*;

const FEW: [&str; 4] =
    ["QualificationCredential", "ResidencePermitCredential", "LanguageCertificateCredential", "EntitlementCredential"];

/// The other types of the catalogue.
const MORE: [&str; 8] = [
    "MicroCredential",
    "LanguageProficiencyCredential",
    "QualificationRecognitionCredential",
    "QualificationAssessmentCredential",
    "TemporaryProtectionCredential",
    "InternationalProtectionApplicantCredential",
    "VolunteeringCredential",
    "VoucherCredential",
];

/// Creates a wallet with these types in every format and spare copies.
fn full(types: &[&'static str]) -> WalletContents {
    let mut contents = WalletContents::new(12);
    for &type_name in types {
        let issuer = Issuer { type_name, ..Issuer::new() };
        for format in [CredentialFormat::VcSdJwt, CredentialFormat::DcSdJwt, CredentialFormat::DiVcJcs] {
            contents.credentials.push(issuer.held(&format!("{type_name} {format}"), format, 2));
        }
    }
    contents
}

fn at_least(name: &str, bound: Value) -> Value {
    json!({"path": ["credentialSubject", name], "carnet_at_least": bound})
}

/// Returns the claims and proofs that a verifier receives, checked as the verifier checks them.
fn received(
    part: &PlannedPresentation,
    contents: &WalletContents,
) -> (Map<String, Value>, Vec<ClaimPath>, Vec<VerifiedThreshold>) {
    let copy = &contents.credentials[part.credential].copies[part.copy];
    let sent = SdJwt::parse(&part.bind(copy, None, "nonce", "asker", NOW).unwrap()).unwrap();
    let disclosed = sent.resolve_disclosures().unwrap();
    let PresentedContent::Selected(_, proofs) = &part.shown else { panic!("shown as a whole") };
    let proved = proofs.iter().map(|proof| {
        let array = commitments_path(&proof.path, proof.direction).unwrap();
        let elements = values_at(&disclosed.payload, &array)[0].1.as_array().unwrap().clone();
        assert_eq!(elements.len(), 1);
        let commitment: Commitment = elements[0].as_str().unwrap().parse().unwrap();
        at_least::verify_threshold(proof.direction, proof.threshold, &commitment, &proof.witness).unwrap();
        VerifiedThreshold { path: proof.path.clone(), direction: proof.direction, bound: proof.threshold }
    });
    let proved = proved.collect();
    let named = sent.key_binding().unwrap().payload().get("carnet_witnesses").and_then(Value::as_array).map(Vec::len);
    assert_eq!(named.unwrap_or_default(), proofs.len());
    (disclosed.payload, disclosed.disclosure_paths, proved)
}

/// Returns the payload without the value at a path.
fn removed(payload: &Map<String, Value>, path: &ClaimPath) -> Map<String, Value> {
    let (last, around) = path.split_last().unwrap();
    let mut whole = Value::Object(payload.clone());
    let mut inner = &mut whole;
    for step in around {
        inner = match step {
            Step::Name(name) => inner.get_mut(name.as_str()).unwrap(),
            Step::Index(index) => inner.get_mut(*index).unwrap(),
            Step::All => panic!("a concrete path"),
        };
    }
    match last {
        Step::Name(name) => drop(inner.as_object_mut().unwrap().remove(name)),
        Step::Index(index) => {
            // An array index refers to the issued array; of a voucher's serials only one is shown.
            let items = inner.as_array_mut().unwrap();
            let at = if items.len() == 1 { 0 } else { *index };
            items.remove(at);
        }
        Step::All => panic!("a concrete path"),
    }
    whole.as_object().unwrap().clone()
}

/// Redeemer of the example voucher.
const MUSEUM: &str = "decentralized_identifier:did:web:museum.example";

/// Asserts that no disclosure of an answer can be removed.
fn is_least(query: &Query, contents: &WalletContents) {
    let parts = parts_of(contents, query, MUSEUM, &[]).unwrap();
    // Of alternatives, only the chosen ones are shown.
    let all = query.credential_sets.is_empty();
    assert!(!parts.is_empty() && (!all || parts.len() == query.credentials.len()), "{}", parts.len());
    for part in &parts {
        let credential = query.credential(&part.query_id).unwrap();
        let (payload, paths, proved) = received(part, contents);
        let met = |payload: &Map<String, Value>, proved: &[VerifiedThreshold]| {
            credential
                .matching_paths(QueryCandidate {
                    format: credential.format.known().unwrap(),
                    payload,
                    thresholds: proved,
                })
                .is_some()
        };
        assert!(met(&payload, &proved), "{}", part.query_id);
        let is_commitment = |path: &ClaimPath| {
            proved.iter().any(|proved| path.starts_with(&commitments_path(&proved.path, proved.direction).unwrap()))
        };
        // One commitment for each proof; every other disclosure is needed.
        assert_eq!(paths.iter().filter(|path| is_commitment(path)).count(), proved.len());
        // A claim inside a requested claim is part of that claim, and so is each of several elements that it asks for.
        let is_element = |path: &ClaimPath, claim: &ClaimPath| {
            let array = claim.iter().position(|step| *step == Step::All);
            let is_below = |at: usize| path.len() > at && path[..at] == claim[..at];
            array.is_some_and(is_below) && values_at(&payload, claim).len() > 1
        };
        let is_within = |path: &ClaimPath| {
            let asked = credential.claims.iter().map(|claim| &claim.path);
            let is_part = |claim: &ClaimPath| path.len() > claim.len() && path.starts_with(claim);
            asked.into_iter().any(|claim| is_part(claim) || is_element(path, claim))
        };
        for path in paths.iter().filter(|path| !is_commitment(path) && !is_within(path)) {
            assert!(!met(&removed(&payload, path), &proved), "{} is not needed", path_to_text(path));
        }
        for at in 0..proved.len() {
            let mut fewer = proved.clone();
            let left_out = fewer.remove(at);
            assert!(!met(&payload, &fewer), "the value of {} is there too", path_to_text(&left_out.path));
        }
    }
}

#[test]
fn no_claim_goes_that_a_template_does_not_need() {
    let (contents, catalogue) = (full(&[&FEW[..], &MORE].concat()), Catalogue::embedded().unwrap());
    let mut count = 0_usize;
    for template in catalogue.templates() {
        is_least(&template.query_at(NOW).unwrap().0, &contents);
        count = count.saturating_add(1);
    }
    assert!(count >= 14);
}

/// Tries every single claim of a type and every pair, as values and, where possible, as thresholds.
#[test]
fn no_claim_goes_that_a_query_does_not_need() {
    let contents = full(&FEW);
    let copy = SdJwt::parse(&contents.credentials[0].copies[0].credential.text())
        .unwrap()
        .resolve_disclosures()
        .unwrap()
        .payload;
    let names: Vec<String> = payload_claims(&copy, CredentialFormat::VcSdJwt)
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| !is_commitments_name(name))
        .collect();
    assert!(names.len() > 8);
    let asked: Vec<Value> = names
        .iter()
        .map(|name| json!({"path": ["credentialSubject", name]}))
        .chain([at_least("eqfLevel", json!(5)), at_least("eqfLevel", json!(6))])
        .collect();
    for (at, one) in asked.iter().enumerate() {
        is_least(&query(CredentialFormat::VcSdJwt, json!([one])), &contents);
        for other in &asked[..at] {
            // A query that asks for one claim both as a value and as a proof gets both.
            if one["path"] != other["path"] {
                is_least(&query(CredentialFormat::VcSdJwt, json!([one, other])), &contents);
            }
        }
    }
}

#[test]
fn a_threshold_is_proved_and_the_value_stays() {
    let issuer = Issuer::new();
    for format in [CredentialFormat::VcSdJwt, CredentialFormat::DcSdJwt] {
        let mut contents = WalletContents::new(12);
        contents.credentials.push(issuer.held("aaaa", format, 1));
        let path = if format == CredentialFormat::DcSdJwt {
            json!(["eqfLevel"])
        } else {
            json!(["credentialSubject", "eqfLevel"])
        };
        let query = query(format, json!([{"path": path, "carnet_at_least": 6}]));
        let part = parts_of(&contents, &query, "me", &[]).unwrap().remove(0);
        let text =
            if format == CredentialFormat::DcSdJwt { "eqfLevel >= 6" } else { "credentialSubject.eqfLevel >= 6" };
        assert_eq!(part.disclosed_paths, [text], "{format}");
        assert!(part.disclosed.is_empty() && part.hidden.contains(&"eqfLevel".to_owned()), "{format}: {part:?}");
        assert_eq!(received(&part, &contents).2.len(), 1);
        // The digest is independent of the copy, and differs for another bound.
        assert!(approval_digest("a.b.c", &[part], &contents).is_ok());
        let unmet = json!([{"path": path, "carnet_at_least": 7}]);
        assert_eq!(parts_of(&contents, &super::query(format, unmet), "me", &[]).unwrap_err().code, Code::QueryUnmet);
    }
}

#[test]
fn the_digest_does_not_tell_copies_apart_and_tells_bounds_apart() {
    let issuer = Issuer::new();
    let mut contents = WalletContents::new(12);
    contents.credentials.push(issuer.held("aaaa", CredentialFormat::VcSdJwt, 4));
    let digest_of = |contents: &WalletContents, bound: i64| {
        let query = query(CredentialFormat::VcSdJwt, json!([at_least("eqfLevel", json!(bound))]));
        approval_digest("a.b.c", &parts_of(contents, &query, "me", &[]).unwrap(), contents).unwrap()
    };
    let first = digest_of(&contents, 5);
    for at in 0..3 {
        contents.credentials[0].copies[at].presented_to.push("x".to_owned());
        assert_eq!(digest_of(&contents, 5), first);
    }
    assert_ne!(digest_of(&contents, 4), first);
}

#[test]
fn a_copy_is_opened_for_one_threshold() {
    let issuer = Issuer::new();
    let mut contents = WalletContents::new(12);
    contents.credentials.push(issuer.held("aaaa", CredentialFormat::VcSdJwt, 2));
    let ask = |contents: &WalletContents, bound: i64| {
        parts_of(contents, &query(CredentialFormat::VcSdJwt, json!([at_least("eqfLevel", json!(bound))])), "me", &[])
            .unwrap()
            .remove(0)
    };
    let first = ask(&contents, 5);
    first.record_disclosure(&mut contents.credentials[0], "me");
    assert_eq!(contents.credentials[0].copies[first.copy].proved_thresholds[0].bound, 5);
    assert_eq!(contents.credentials[0].copies[first.copy].proved_thresholds[0].direction, Direction::AtLeast);
    // A repeated request uses the copy that this verifier knows.
    let again = ask(&contents, 5);
    assert_eq!((again.copy, again.earlier_verifiers.clone()), (first.copy, EarlierVerifiers::SameVerifier));
    again.record_disclosure(&mut contents.credentials[0], "me");
    assert_eq!(contents.credentials[0].copies[first.copy].proved_thresholds.len(), 1);
    // A copy opened by an earlier wallet version may have opened another entry, so it is not opened again.
    contents.credentials[0].copies[first.copy].proved_thresholds[0].in_block = false;
    let other = ask(&contents, 4);
    assert_eq!(other.earlier_verifiers, EarlierVerifiers::Unused);
    other.record_disclosure(&mut contents.credentials[0], "me");
    contents.credentials[0].copies[other.copy].proved_thresholds[0].in_block = false;
    // If no copy is left that can prove it, the value is disclosed where that is allowed (and the owner sees it);
    // otherwise nothing.
    let last = ask(&contents, 3);
    assert!(last.proved.is_empty() && names(&last) == ["eqfLevel"]);
    let only = [RequestedClaimPath {
        query_id: "q".to_owned(),
        path: vec![Step::Name("credentialSubject".to_owned()), Step::Name("eqfLevel".to_owned())],
    }];
    let bounds = AnswerConstraints {
        client_id: "me",
        now: NOW,
        allowed_credentials: &[],
        withheld: &[],
        proof_only_claims: &only,
    };
    let query = query(CredentialFormat::VcSdJwt, json!([at_least("eqfLevel", json!(3))]));
    let refused = super::super::answer_query(&contents, &issuer.catalogue, &query, &bounds);
    assert_eq!(refused.unwrap_err().code, Code::QueryUnmet);
}

#[test]
fn a_copy_is_opened_again_for_a_bound_of_the_same_block() {
    let issuer = Issuer::new();
    let mut contents = WalletContents::new(12);
    contents.credentials.push(issuer.held("aaaa", CredentialFormat::VcSdJwt, 3));
    let ask = |contents: &WalletContents, bound: i64, asker: &str| {
        let asked = query(CredentialFormat::VcSdJwt, json!([at_least("eqfLevel", json!(bound))]));
        parts_of(contents, &asked, asker, &[]).unwrap().remove(0)
    };
    // One entry serves all of them, in any order.
    let elements: Vec<Vec<String>> = [3, 6, 5]
        .into_iter()
        .map(|bound| {
            let part = ask(&contents, bound, "me");
            assert_eq!(part.copy, 0);
            part.record_disclosure(&mut contents.credentials[0], "me");
            let (payload, ..) = received(&part, &contents);
            let array = payload["credentialSubject"]["eqfLevelAtLeast"].as_array().unwrap();
            array.iter().map(|element| element.as_str().unwrap().to_owned()).collect()
        })
        .collect();
    assert!(elements.iter().all(|shown| *shown == elements[0]));
    assert_eq!(contents.credentials[0].copies[0].proved_thresholds.len(), 3);
    // Another verifier gets another copy, and so does the first one after a second verifier has seen its copy.
    assert_eq!(ask(&contents, 4, "other").earlier_verifiers, EarlierVerifiers::Unused);
    contents.credentials[0].copies[0].presented_to.push("other".to_owned());
    assert_eq!(ask(&contents, 4, "me").earlier_verifiers, EarlierVerifiers::Unused);
}

#[test]
fn two_thresholds_of_one_direction_are_not_answered_from_one_copy() {
    let issuer = Issuer::new();
    let mut contents = WalletContents::new(12);
    contents.credentials.push(issuer.held("aaaa", CredentialFormat::VcSdJwt, 2));
    let ask = |claims: Value| parts_of(&contents, &query(CredentialFormat::VcSdJwt, claims), "me", &[]);
    assert!(ask(json!([at_least("eqfLevel", json!(5))])).is_ok());
    // The parser refuses such a query; if built by other means, it is not answered either.
    let mut both =
        query(CredentialFormat::VcSdJwt, json!([at_least("eqfLevel", json!(5)), at_least("eqfLevel", json!(5))]));
    assert_eq!(parts_of(&contents, &both, "me", &[]).unwrap().len(), 1);
    both.credentials[0].claims[1].threshold = Some(Threshold::new(Direction::AtLeast, json!(4)).unwrap());
    assert_eq!(carnet_core::query::Query::parse(&both.to_json()).unwrap_err().code, Code::QueryMalformed);
    assert_eq!(parts_of(&contents, &both, "me", &[]).unwrap_err().code, Code::QueryUnmet);
}

/// After a restore no copy proves a threshold: fresh ones can.
#[test]
fn copies_that_prove_nothing_any_more_are_told_from_claims_that_do_not_match() {
    let mut contents = full(&["QualificationCredential"]);
    let catalogue = Catalogue::embedded().unwrap();
    let lack = |contents: &WalletContents, bound: i64| {
        let asked = query(CredentialFormat::VcSdJwt, json!([at_least("eqfLevel", bound.into())]));
        let path = ["credentialSubject", "eqfLevel"].map(|name| Step::Name(name.to_owned())).to_vec();
        let proofs_only = [RequestedClaimPath { query_id: "q".to_owned(), path }];
        let bounds = AnswerConstraints {
            client_id: "asker",
            now: NOW,
            allowed_credentials: &[],
            withheld: &[],
            proof_only_claims: &proofs_only,
        };
        let lacks = unanswered_queries(contents, &catalogue, &asked, &bounds).unwrap();
        lacks.into_iter().map(|missing| missing.reason).next()
    };
    assert_eq!(lack(&contents, 6), None);
    assert!(matches!(lack(&contents, 8), Some(MissingReason::Claims(_))));
    contents.record_restore(NOW);
    assert_eq!(lack(&contents, 6), Some(MissingReason::FreshCopies));
    // They would not match with fresh copies either.
    assert!(matches!(lack(&contents, 8), Some(MissingReason::Claims(_))));
}
