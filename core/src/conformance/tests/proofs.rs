//! Proofs: issuance and verification of whole documents.

use super::*;

const ASSERTION: VerificationRelationship = VerificationRelationship::AssertionMethod;
const FIRST_PROOF: &str = "urn:uuid:26329423-bec9-4b2e-88cb-a7c7d9dc4544";
const AUTHENTICATION: VerificationRelationship = VerificationRelationship::Authentication;

fn verify(document: &Map<String, Value>, options: &VerificationOptions<'_>) -> Result<(), Problem> {
    in_env(&Lists::default(), |env| verify_credential(document, env, options))
}

fn usual() -> VerificationOptions<'static> {
    VerificationOptions::default()
}

fn issue_with(
    document: Value,
    by: &Party,
    change: impl FnOnce(&mut IssueOptions<'_>),
) -> Result<Map<String, Value>, Problem> {
    in_env(&Lists::default(), |env| {
        let suite = env.suites.for_signing(crate::format::CredentialFormat::DiVcJcs, by.key.algorithm()).unwrap();
        let mut options = issue_options(&by.method, ASSERTION);
        change(&mut options);
        issue(&object(document), suite, &options, env, &by.key)
    })
}

#[test]
fn every_jcs_suite_issues_and_verifies() {
    for algorithm in [SignatureAlgorithm::EdDsa, SignatureAlgorithm::Es256, SignatureAlgorithm::Es384] {
        let by = party(algorithm, 5);
        let mut document = credential();
        document["issuer"] = json!(by.did);
        let issued = issue_with(document, &by, |_| {}).unwrap();
        assert_eq!(issued["proof"]["@context"], issued["@context"]);
        verify(&issued, &usual()).unwrap();
        let mut changed = issued.clone();
        changed["credentialSubject"]["name"] = json!("Mallory");
        assert_eq!(code(verify(&changed, &usual())), Code::SignatureInvalid);
        let mut cut = issued;
        let value = cut["proof"]["proofValue"].as_str().unwrap().to_owned();
        cut["proof"]["proofValue"] = json!(value[..value.len() - 1]);
        assert!(verify(&cut, &usual()).is_err());
    }
}

#[test]
fn a_document_is_checked_before_it_is_signed() {
    let by = issuer();
    issue_with(credential(), &by, |_| {}).unwrap();
    let mut undefined = credential();
    undefined["undefinedTerm"] = json!(1);
    assert_eq!(code(issue_with(undefined, &by, |_| {})), Code::TermUndefined);
    let mut entry = credential();
    entry["credentialStatus"] = json!({
        "type": "BitstringStatusListEntry", "statusPurpose": "revocation", "statusListIndex": true,
        "statusListCredential": "https://a.example/1"
    });
    assert_eq!(code(issue_with(entry, &by, |_| {})), Code::StatusIndex);
    let mut related = credential();
    related["relatedResource"] = json!([{"id": CONTEXT_V2, "digestSRI": "sha384-AAAA"}]);
    assert_eq!(code(issue_with(related, &by, |_| {})), Code::MalformedValue);
    let mut nobody = credential();
    nobody.as_object_mut().unwrap().remove("issuer");
    assert_eq!(code(issue_with(nobody.clone(), &by, |_| {})), Code::MalformedValue);
    let named = issue_with(nobody, &by, |options| options.default_issuer = Some("https://a.example/issuer")).unwrap();
    assert_eq!(named["issuer"], json!("https://a.example/issuer"));
}

#[test]
fn a_document_of_version_1_1_is_given_the_context_of_its_proof() {
    let by = issuer();
    let document = json!({
        "@context": [CONTEXT_V1], "type": ["VerifiableCredential"], "issuer": by.did,
        "issuanceDate": "2022-03-31T19:21:25Z", "credentialSubject": {"id": "did:example:b"}
    });
    let issued = issue_with(document, &by, |_| {}).unwrap();
    assert_eq!(issued["@context"], json!([CONTEXT_V1, CONTEXT_DATA_INTEGRITY_V2]));
    verify(&issued, &usual()).unwrap();
}

#[test]
fn members_of_a_proof_are_required_and_checked() {
    let issued = issued();
    verify(&issued, &usual()).unwrap();
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut document = issued.clone();
        change(&mut document["proof"]);
        code(verify(&document, &usual()))
    };
    for name in ["type", "verificationMethod", "proofPurpose", "proofValue", "cryptosuite"] {
        let without = refused(&|proof| {
            proof.as_object_mut().unwrap().remove(name);
        });
        assert_eq!(without, Code::ProofMalformed, "{name}");
        assert_eq!(refused(&|proof| proof[name] = json!(null)), Code::ProofMalformed, "{name}");
    }
    let removed = refused(&|proof| {
        proof.as_object_mut().unwrap().remove("created");
    });
    assert_eq!(removed, Code::SignatureInvalid);
    assert_eq!(refused(&|proof| proof["type"] = json!("UnknownProofType")), Code::ProofMalformed);
    // The name of a cryptosuite is no type beside `cryptosuite`.
    assert_eq!(refused(&|proof| proof["type"] = json!("eddsa-jcs-2022")), Code::ProofMalformed);
    assert_eq!(refused(&|proof| proof["cryptosuite"] = json!("UnknownCryptosuite")), Code::CryptosuiteUnknown);
    assert_eq!(refused(&|proof| proof["verificationMethod"] = json!("did:key:invalidVm")), Code::DidMalformed);
    assert_eq!(refused(&|proof| proof["proofPurpose"] = json!("invalidPurpose")), Code::ProofPurpose);
    assert_eq!(refused(&|proof| proof["created"] = json!("invalidDate")), Code::DateMalformed);
    assert_eq!(refused(&|proof| proof["created"] = json!("2026-11-30T12:00:00")), Code::DateMalformed);
    assert_eq!(refused(&|proof| proof["expires"] = json!("2026-11-30T12:00:00")), Code::DateMalformed);
    assert_eq!(refused(&|proof| proof["expires"] = json!("2026-11-29T12:00:00Z")), Code::ProofExpired);
    assert_eq!(refused(&|proof| *proof = json!([])), Code::ProofMissing);
}

#[test]
fn options_are_compared_with_the_proof() {
    let by = issuer();
    let bound = issue_with(credential(), &by, |options| {
        options.proof.challenge = Some("1235abcd6789");
        options.proof.domain = Some("domain.example");
    })
    .unwrap();
    let run = |purpose, challenge, domain| {
        verify(&bound, &VerificationOptions { expected_purpose: purpose, challenge, domain, ..usual() })
    };
    run(None, None, None).unwrap();
    run(Some("assertionMethod"), Some("1235abcd6789"), Some("domain.example")).unwrap();
    assert_eq!(code(run(Some("authentication"), None, None)), Code::ProofPurpose);
    assert_eq!(code(run(Some("keyAgreement"), None, None)), Code::ProofPurpose);
    assert_eq!(code(run(None, Some("other"), None)), Code::ChallengeMismatch);
    assert_eq!(code(run(None, None, Some("other.example"))), Code::DomainMismatch);
    let options = VerificationOptions { challenge: Some("x"), ..usual() };
    assert_eq!(code(verify(&issued(), &options)), Code::ChallengeMissing);
}

#[test]
fn validity_is_checked_on_request() {
    let mut document = credential();
    document["validUntil"] = json!("2026-11-29T12:00:00Z");
    let expired = issue_with(document, &issuer(), |_| {}).unwrap();
    verify(&expired, &usual()).unwrap();
    let checked = VerificationOptions { check_validity: true, ..usual() };
    assert_eq!(code(verify(&expired, &checked)), Code::Expired);
    verify(&issued(), &checked).unwrap();
    let mut document = credential();
    document["validFrom"] = json!("2026-12-01T12:00:00Z");
    let later = issue_with(document, &issuer(), |_| {}).unwrap();
    assert_eq!(code(verify(&later, &checked)), Code::NotYetValid);
}

#[test]
fn an_issuer_that_is_a_did_controls_a_key_of_a_proof() {
    let by = issuer();
    let run = |issuer: &str| {
        let mut document = credential();
        document["issuer"] = json!(issuer);
        verify(&secured(document, &by, ASSERTION), &usual())
    };
    run(&by.did).unwrap();
    run("https://vc.example/issuers/5678").unwrap();
    assert_eq!(code(run("did:example:issuer")), Code::MethodOfOther);
}

#[test]
fn proof_sets_and_chains() {
    let (first, second) = (issuer(), holder());
    let id = FIRST_PROOF;
    let one = issue_with(credential(), &first, |options| options.proof_id = Some(id)).unwrap();
    let set = issue_with(one.clone().into(), &second, |_| {}).unwrap();
    verify(&set, &usual()).unwrap();
    let chain = issue_with(one.clone().into(), &second, |options| options.previous_proofs = &[FIRST_PROOF]).unwrap();
    assert_eq!(chain["proof"][1]["previousProof"], json!(id));
    verify(&chain, &usual()).unwrap();

    let missing = issue_with(one.into(), &second, |options| options.previous_proofs = &["urn:uuid:other"]);
    assert_eq!(code(missing), Code::ProofGeneration);
    let refused = |document: &Map<String, Value>, change: &dyn Fn(&mut Value)| {
        let mut document = document.clone();
        change(&mut document["proof"]);
        code(verify(&document, &usual()))
    };
    assert_eq!(refused(&chain, &|proofs| proofs[0]["id"] = json!("urn:uuid:other")), Code::SignatureInvalid);
    assert_eq!(refused(&chain, &|proofs| proofs[1]["previousProof"] = json!("urn:uuid:other")), Code::ProofChain);
    assert_eq!(refused(&chain, &|proofs| proofs[1]["previousProof"] = json!([id, "urn:uuid:x"])), Code::ProofChain);
    assert_eq!(refused(&chain, &|proofs| proofs[1]["previousProof"] = json!(7)), Code::ProofMalformed);
    // A proof of a chain without the one that it depends on.
    assert_eq!(refused(&chain, &|proofs| *proofs = json!([proofs[1]])), Code::ProofChain);
    // Every proof of a set has to hold.
    let value = set["proof"][0]["proofValue"].clone();
    assert_eq!(refused(&set, &|proofs| proofs[1]["proofValue"] = value.clone()), Code::SignatureInvalid);
}

#[test]
fn section_4_13_4_self_asserted_credentials() {
    let holder = holder();
    let self_asserted = |issuer: &str| {
        let mut document = credential();
        document["issuer"] = json!(issuer);
        Value::Object(secured(document, &holder, ASSERTION))
    };
    let run = |credential: Value, named: Option<&str>| {
        let mut document = presentation(&[credential]);
        match named {
            Some(named) => document["holder"] = json!(named),
            None => {
                document.as_object_mut().unwrap().remove("holder");
            }
        }
        let document = secured(document, &holder, AUTHENTICATION);
        in_env(&Lists::default(), |env| verify_presentation(&document, env, &usual()))
    };
    run(self_asserted(&holder.did), Some(&holder.did)).unwrap();
    assert_eq!(code(run(self_asserted(&holder.did), None)), Code::HolderMissing);
    assert_eq!(code(run(self_asserted(&holder.did), Some("did:example:acme"))), Code::HolderMismatch);
    assert_eq!(code(run(self_asserted("did:example:acme"), Some(&holder.did))), Code::MethodOfOther);
    // A credential by another issuer needs no holder.
    run(issued().into(), None).unwrap();
}

#[test]
fn a_presentation_holds_with_all_its_credentials() {
    let run = |document: Value, purpose, options: &VerificationOptions<'_>| {
        let document = secured(document, &holder(), purpose);
        in_env(&Lists::default(), |env| verify_presentation(&document, env, options))
    };
    for purpose in [AUTHENTICATION, ASSERTION] {
        run(presentation(&[issued().into()]), purpose, &usual()).unwrap();
    }
    let expected = VerificationOptions { expected_purpose: Some("authentication"), ..usual() };
    run(presentation(&[issued().into()]), AUTHENTICATION, &expected).unwrap();
    assert_eq!(code(run(presentation(&[issued().into()]), ASSERTION, &expected)), Code::ProofPurpose);
    let mut changed = issued();
    changed["credentialSubject"]["name"] = json!("Mallory");
    assert_eq!(
        code(run(presentation(&[issued().into(), changed.into()]), AUTHENTICATION, &usual())),
        Code::SignatureInvalid
    );
}
