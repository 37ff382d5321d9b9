//! Signers of a list, and their number.

use super::*;

/// One of `pinned`, of which `quorum` are needed.
fn verify_by(document: &Map<String, Value>, pinned: &[String], quorum: usize) -> Result<TrustList, Problem> {
    let operators = PinnedOperators::pin(LIST_DID, pinned.iter().map(String::as_str), quorum)?;
    let pinned = TrustListAnchors {
        operators: &operators,
        newest_accepted: None,
        accepted_digest: None,
        now: now(),
        skew: SKEW,
    };
    TrustList::verify(document, &pinned, &SelfContainedResolver)
}

/// A signature that [`TrustList::sign`] would not make.
fn proof_by(
    document: &Map<String, Value>,
    kid: &DidUrl,
    key: &SecretKey,
    purpose: VerificationRelationship,
) -> Map<String, Value> {
    let method = kid.to_string();
    let options = ProofOptions {
        verification_method: &method,
        purpose,
        created: Some(now()),
        expires: None,
        challenge: None,
        domain: None,
    };
    data_integrity::add_proof(document, &EddsaJcs2022, &options, key).unwrap()
}

/// The operators of a list with proofs that fail, and how.
fn failed(list: &TrustList) -> Vec<(String, Code)> {
    list.failed_proofs().map(|(operator, problem)| (operator.to_owned(), problem.code)).collect()
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
    let twice = proof_by(&once, &kid(&secret(1)), &secret(1), VerificationRelationship::AssertionMethod);
    refused(verify(&twice), Code::TrustListQuorum);
    let enough = verify(&signed_by(twice, &[2])).unwrap();
    assert_eq!((enough.signed_by().count(), enough.failed_proofs().count()), (2, 0));
}

#[test]
fn one_key_counts_once_whatever_it_is_called() {
    let key = secret(1);
    let same = Did::did_jwk(&key.public_key());
    let both = [did_of(1), same.to_string(), did_of(2)];
    let first = signed_by(draft(&contents()), &[1]);
    verify_by(&signed_by(first.clone(), &[2]), &both, 2).unwrap();
    let twice = TrustList::sign(&first, &same.with_fragment("0").unwrap(), &key, now()).unwrap();
    refused(verify_by(&twice, &both, 2), Code::TrustListQuorum);
    let enough = verify_by(&signed_by(twice, &[2]), &both, 2).unwrap();
    assert_eq!(failed(&enough), [(same.to_string(), Code::TrustListOperator)]);
}

#[test]
fn somebody_else_counts_for_nothing_and_is_not_even_resolved() {
    let enough = signed_by(draft(&contents()), &[1, 2]);
    let document = signed_by(enough, &[9]);
    let (operators, resolver) = (operators(), Resolver::default());
    let pinned = TrustListAnchors {
        operators: &operators,
        newest_accepted: None,
        accepted_digest: None,
        now: now(),
        skew: SKEW,
    };
    let held = TrustList::verify(&document, &pinned, &resolver).unwrap();
    assert_eq!((held.signed_by().count(), held.failed_proofs().count()), (2, 0));
    assert!(!resolver.0.lock().unwrap().contains(&did_of(9)));
    // And does not make up for a pinned operator.
    refused(verify(&signed_by(draft(&contents()), &[1, 9])), Code::TrustListQuorum);
}

#[test]
fn row_16_a_trust_list_by_the_key_of_another_did() {
    let first = signed_by(draft(&contents()), &[1]);
    let by = |key: u8| proof_by(&first, &kid(&secret(2)), &secret(key), VerificationRelationship::AssertionMethod);
    verify(&by(2)).unwrap();
    refused_for(verify(&by(9)), 2, Code::SignatureInvalid);
    // The operator's name with the key of another.
    let foreign = DidUrl::parse(&format!("{}#{}", did_of(2), kid(&secret(9)).fragment())).unwrap();
    refused_for(
        verify(&proof_by(&first, &foreign, &secret(9), VerificationRelationship::AssertionMethod)),
        2,
        Code::MethodUnknown,
    );
}

#[test]
fn row_19_a_trust_list_with_another_proof_purpose() {
    let first = signed_by(draft(&contents()), &[1]);
    let by = |purpose| proof_by(&first, &kid(&secret(2)), &secret(2), purpose);
    verify(&by(VerificationRelationship::AssertionMethod)).unwrap();
    refused_for(verify(&by(VerificationRelationship::Authentication)), 2, Code::ProofPurpose);
}

/// Too few have signed, and the refusal names the operator with a proof that fails, and why.
#[track_caller]
fn refused_for(result: Result<TrustList, Problem>, operator: u8, why: Code) {
    let problem = result.unwrap_err();
    assert_eq!(problem.code, Code::TrustListQuorum);
    assert!(problem.detail.contains(&did_of(operator)) && problem.detail.contains(why.as_str()), "{problem}");
}

#[test]
fn row_21_22_23_a_proof_that_fails_stops_nothing_where_enough_hold() {
    let three = signed_by(draft(&contents()), &[1, 2, 3]);
    let two = signed_by(draft(&contents()), &[1, 3]);
    type Change = fn(&mut Value);
    let faults: [(Change, Option<Code>); 7] = [
        (|proof| proof["proofValue"] = json!(format!("z{}", "1".repeat(64))), Some(Code::SignatureInvalid)),
        (|proof| proof["proofValue"] = json!("?"), Some(Code::ProofMalformed)),
        (|proof| proof["previousProof"] = json!("urn:a"), Some(Code::ProofChain)),
        (|proof| proof["cryptosuite"] = json!("eddsa-rdfc-2022"), Some(Code::CryptosuiteUnknown)),
        (|proof| proof["expires"] = json!("2026-11-22T11:00:00Z"), Some(Code::ProofExpired)),
        // Nobody's, so that nobody is named.
        (|proof| proof["verificationMethod"] = json!(7), None),
        (|proof| *proof = json!("proof"), None),
    ];
    for (at, (change, why)) in faults.iter().enumerate() {
        let with = |document: &Map<String, Value>| {
            let mut changed = document.clone();
            change(changed["proof"].as_array_mut().unwrap().last_mut().unwrap());
            verify(&changed)
        };
        let held = with(&three).unwrap();
        assert_eq!(held.signed_by().count(), 2, "fault {at}");
        let named: Vec<_> = why.iter().map(|code| (did_of(3), *code)).collect();
        assert_eq!(failed(&held), named, "fault {at}");
        verify(&two).unwrap();
        match why {
            Some(why) => refused_for(with(&two), 3, *why),
            None => refused(with(&two), Code::TrustListQuorum),
        }
    }
    let mut none = three;
    none["proof"] = json!([]);
    refused(verify(&none), Code::ProofMissing);
    refused(verify(&draft(&contents())), Code::ProofMissing);
}

#[test]
fn a_revoked_key_drops_only_its_own_proof() {
    struct Revoking(Did, Code);
    impl Resolve for Revoking {
        fn resolve(&self, did: &Did) -> Result<Arc<DidDocument>, Problem> {
            if *did == self.0 { Err(self.1.into()) } else { SelfContainedResolver.resolve(did) }
        }
    }
    let operators = operators();
    let pinned = TrustListAnchors {
        operators: &operators,
        newest_accepted: None,
        accepted_digest: None,
        now: now(),
        skew: SKEW,
    };
    let by = |signers: &[u8], code| {
        let without = Revoking(Did::parse(&did_of(1)).unwrap(), code);
        TrustList::verify(&signed_by(draft(&contents()), signers), &pinned, &without)
    };
    assert_eq!(failed(&by(&[1, 2, 3], Code::DidDeactivated).unwrap()), [(did_of(1), Code::DidDeactivated)]);
    refused_for(by(&[1, 2], Code::DidDeactivated), 1, Code::DidDeactivated);
    // A document that is unavailable now says nothing about the signature.
    by(&[1, 2, 3], Code::DidUnresolved).unwrap();
    refused(by(&[1, 2], Code::DidUnresolved), Code::DidUnresolved);
    refused(by(&[1], Code::DidUnresolved), Code::TrustListQuorum);
}

#[test]
fn a_proof_that_fails_keeps_its_operator_from_nothing() {
    let mut document = signed_by(draft(&contents()), &[1, 2]);
    let good = document["proof"][0]["proofValue"].clone();
    document["proof"][1]["proofValue"] = good;
    refused_for(verify(&document), 2, Code::SignatureInvalid);
    // The operator signs the same document again, and the proof that failed is gone.
    let again = signed_by(document.clone(), &[2]);
    assert_eq!(again["proof"].as_array().unwrap().len(), 2);
    assert_eq!(failed(&verify(&again).unwrap()), []);
    refused(TrustList::sign(&again, &kid(&secret(2)), &secret(2), now()), Code::TrustListOperator);
    // Two proofs of one operator count once, also where the first one fails.
    let first = document["proof"][1].clone();
    let mut both = again;
    both["proof"].as_array_mut().unwrap().insert(0, first);
    assert_eq!((verify(&both).unwrap().signed_by().count(), failed(&verify(&both).unwrap())), (2, Vec::new()));
    // More than anybody needs are not tried one after the other.
    let with = |count: usize| {
        let mut many = both.clone();
        let proofs = many["proof"].as_array_mut().unwrap();
        let one = proofs[0].clone();
        proofs.resize(count, one);
        verify(&many)
    };
    with(64).unwrap();
    refused(with(65), Code::ProofMalformed);
}

#[test]
fn only_keys_of_ed25519_sign_lists() {
    let p256 = SecretKey::from_bytes(SignatureAlgorithm::Es256, &[1; 32]).unwrap();
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
        PinnedOperators::pin(LIST_DID, dids.iter().map(String::as_str), quorum)
    };
    for (count, quorum) in [(1, 1), (3, 3), (16, 9)] {
        pin(count, quorum).unwrap();
    }
    for (count, quorum) in [(0, 0), (0, 1), (3, 0), (3, 4), (17, 9)] {
        refused(pin(count, quorum), Code::MalformedValue);
    }
    refused(PinnedOperators::pin(LIST_DID, ["did:web:a.example", "did:web:a.example"], 1), Code::MalformedValue);
    refused(PinnedOperators::pin(LIST_DID, ["a.example"], 1), Code::DidMalformed);
    refused(PinnedOperators::pin("trust.example", ["did:web:a.example"], 1), Code::DidMalformed);
}
