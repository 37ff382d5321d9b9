//! Who has signed, and how many.

use super::*;

/// One of `pinned`, of which `quorum` are needed.
fn verify_by(document: &Map<String, Value>, pinned: &[String], quorum: usize) -> Result<TrustList, Problem> {
    let operators = Operators::pin(LIST_DID, pinned.iter().map(String::as_str), quorum)?;
    let pinned = Pinned { operators: &operators, seen: None, now: now(), skew: SKEW };
    TrustList::verify(document, &pinned, &SelfContained)
}

/// A signature that [`TrustList::sign`] would not make.
fn proof_by(document: &Map<String, Value>, kid: &DidUrl, key: &SecretKey, purpose: Purpose) -> Map<String, Value> {
    let method = kid.to_string();
    let options = ProofOptions {
        verification_method: &method,
        purpose,
        created: Some(now()),
        expires: None,
        challenge: None,
        domain: None,
    };
    data_integrity::secure(document, &EddsaJcs2022, &options, key).unwrap()
}

#[test]
fn every_quorum_of_three_operators() {
    let pinned = [did_of(1), did_of(2), did_of(3)];
    for quorum in 1..=3 {
        for bits in 1..8_u8 {
            let signers: Vec<u8> = (1..=3).filter(|number| bits & (1 << (number - 1)) != 0).collect();
            let result = verify_by(&signed_by(draft(&contents()), &signers), &pinned, quorum);
            if signers.len() >= quorum {
                assert_eq!(result.unwrap().signed_by().count(), signers.len());
            } else {
                refused(result, Code::TrustListQuorum);
            }
        }
    }
}

#[test]
fn one_operator_counts_once() {
    let once = signed_by(draft(&contents()), &[1]);
    verify(&signed_by(once.clone(), &[2])).unwrap();
    refused(TrustList::sign(&once, &kid(&secret(1)), &secret(1), now()), Code::TrustListOperator);
    // And if somebody does so nevertheless.
    let twice = proof_by(&once, &kid(&secret(1)), &secret(1), Purpose::AssertionMethod);
    refused(verify(&twice), Code::TrustListOperator);
    // Even where there are enough without it.
    refused(verify(&signed_by(twice, &[2])), Code::TrustListOperator);
}

#[test]
fn one_key_counts_once_whatever_it_is_called() {
    let key = secret(1);
    let same = Did::jwk(&key.public_key());
    let both = [did_of(1), same.to_string(), did_of(2)];
    let first = signed_by(draft(&contents()), &[1]);
    verify_by(&signed_by(first.clone(), &[2]), &both, 2).unwrap();
    let twice = TrustList::sign(&first, &same.with_fragment("0").unwrap(), &key, now()).unwrap();
    refused(verify_by(&twice, &both, 2), Code::TrustListOperator);
}

#[test]
fn somebody_else_is_refused_and_not_even_resolved() {
    let enough = signed_by(draft(&contents()), &[1, 2]);
    verify(&enough).unwrap();
    let document = signed_by(enough, &[9]);
    let (operators, resolver) = (operators(), Resolver::default());
    let pinned = Pinned { operators: &operators, seen: None, now: now(), skew: SKEW };
    refused(TrustList::verify(&document, &pinned, &resolver), Code::TrustListOperator);
    assert!(resolver.0.lock().unwrap().is_empty());
}

#[test]
fn row_16_a_trust_list_by_the_key_of_another_did() {
    let first = signed_by(draft(&contents()), &[1]);
    let by = |key: u8| proof_by(&first, &kid(&secret(2)), &secret(key), Purpose::AssertionMethod);
    verify(&by(2)).unwrap();
    refused(verify(&by(9)), Code::SignatureInvalid);
    // The operator's name with the key of another.
    let foreign = DidUrl::parse(&format!("{}#{}", did_of(2), kid(&secret(9)).fragment())).unwrap();
    refused(verify(&proof_by(&first, &foreign, &secret(9), Purpose::AssertionMethod)), Code::MethodUnknown);
}

#[test]
fn row_19_a_trust_list_with_another_proof_purpose() {
    let first = signed_by(draft(&contents()), &[1]);
    let by = |purpose| proof_by(&first, &kid(&secret(2)), &secret(2), purpose);
    verify(&by(Purpose::AssertionMethod)).unwrap();
    refused(verify(&by(Purpose::Authentication)), Code::ProofPurpose);
}

#[test]
fn row_21_22_23_a_trust_list_whose_proofs_do_not_hold() {
    let document = signed_by(draft(&contents()), &[1, 2, 3]);
    let with = |change: fn(&mut Value)| {
        let mut changed = document.clone();
        verify(&changed).unwrap();
        change(&mut changed["proof"]);
        verify(&changed)
    };
    refused(with(|proof| *proof = json!([])), Code::ProofMissing);
    refused(verify(&draft(&contents())), Code::ProofMissing);
    // Two of three hold, and that is enough; a bad one is refused nevertheless.
    refused(with(|proof| proof[2]["proofValue"] = proof[1]["proofValue"].clone()), Code::SignatureInvalid);
    refused(with(|proof| proof[2] = json!("proof")), Code::ProofMalformed);
    refused(with(|proof| proof[2]["verificationMethod"] = json!(7)), Code::ProofMalformed);
    refused(with(|proof| proof[2]["previousProof"] = json!("urn:a")), Code::ProofChain);
    refused(with(|proof| proof[2]["cryptosuite"] = json!("eddsa-rdfc-2022")), Code::CryptosuiteUnknown);
}

#[test]
fn only_keys_of_ed25519_sign_lists() {
    let p256 = SecretKey::from_bytes(Algorithm::Es256, &[1; 32]).unwrap();
    let sign = |key: &SecretKey| TrustList::sign(&draft(&contents()), &kid(key), key, now());
    sign(&secret(1)).unwrap();
    refused(sign(&p256), Code::AlgorithmMismatch);
}

#[test]
fn a_list_of_another_name_is_refused() {
    let by = |list: &str| {
        let document = TrustList::draft(&Did::parse(list).unwrap(), &contents(), now(), day(30)).unwrap();
        verify(&signed_by(document, &[1, 2]))
    };
    by(LIST_DID).unwrap();
    // Such as the one that the same operators sign for tests.
    refused(by("did:web:test.trust.example"), Code::TrustListInvalid);
}

#[test]
fn operators_are_pinned_sensibly_or_not_at_all() {
    let pin = |count: u8, quorum| {
        let dids: Vec<String> = (1..=count).map(did_of).collect();
        Operators::pin(LIST_DID, dids.iter().map(String::as_str), quorum)
    };
    for (count, quorum) in [(1, 1), (3, 3), (16, 9)] {
        pin(count, quorum).unwrap();
    }
    for (count, quorum) in [(0, 0), (0, 1), (3, 0), (3, 4), (17, 9)] {
        refused(pin(count, quorum), Code::MalformedValue);
    }
    refused(Operators::pin(LIST_DID, ["did:web:a.example", "did:web:a.example"], 1), Code::MalformedValue);
    refused(Operators::pin(LIST_DID, ["a.example"], 1), Code::DidMalformed);
    refused(Operators::pin("trust.example", ["did:web:a.example"], 1), Code::DidMalformed);
}
