use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{eddsa_jcs::EddsaJcs2022, *};
use crate::{
    did::{Did, DidDocument},
    keys::{SecretKey, SignatureAlgorithm},
};

const ISSUER: &str = "did:web:university.example";
const METHOD: &str = "did:web:university.example#key-1";
const NONCE: &str = "n-0S6_WzA2Mj";
const AUDIENCE: &str = "decentralized_identifier:did:web:agency.example";

/// The issuer's document, as its domain would serve it.
struct Issuer(Value);

impl Resolve for Issuer {
    fn resolve(&self, did: &Did) -> Result<Arc<DidDocument>, Problem> {
        match did.as_str() {
            ISSUER => DidDocument::parse(did, &self.0).map(Arc::new),
            _ => crate::did::SelfContainedResolver.resolve(did),
        }
    }
}

fn secret(seed: u8) -> SecretKey {
    SecretKey::from_bytes(SignatureAlgorithm::EdDsa, &[seed; 32]).unwrap()
}

fn issuer() -> Value {
    let keys = [1, 2].map(|seed| (format!("key-{seed}"), secret(seed).public_key()));
    DidDocument::json_for_keys(&Did::parse(ISSUER).unwrap(), &keys)
}

fn now() -> Timestamp {
    Timestamp::parse("2026-11-22T12:00:00Z").unwrap()
}

fn document() -> Map<String, Value> {
    let document = json!({
        "@context": ["https://www.w3.org/ns/credentials/v2", "https://carnet.example/ns/qualification/v1"],
        "type": ["VerifiableCredential", "QualificationCredential"],
        "issuer": ISSUER,
        "credentialSubject": {"title": "Master of Science", "credits": 120, "grade": 1.5},
    });
    document.as_object().unwrap().clone()
}

fn options() -> ProofOptions<'static> {
    ProofOptions {
        verification_method: METHOD,
        purpose: VerificationRelationship::AssertionMethod,
        created: Some(now()),
        expires: None,
        challenge: None,
        domain: None,
    }
}

fn secured(options: &ProofOptions<'_>) -> Map<String, Value> {
    add_proof(&document(), &EddsaJcs2022, options, &secret(1)).unwrap()
}

fn expected() -> ProofRequirements<'static> {
    ProofRequirements {
        purpose: VerificationRelationship::AssertionMethod,
        controller: ISSUER,
        binding: None,
        now: now(),
        skew: 60,
    }
}

fn check(document: &Map<String, Value>, expected: &ProofRequirements<'_>) -> Result<Map<String, Value>, Problem> {
    verify(document, &Cryptosuites::jcs(), &Issuer(issuer()), expected)
}

#[track_caller]
fn holds(secured: &Map<String, Value>) {
    assert_eq!(check(secured, &expected()).unwrap(), document());
}

#[track_caller]
fn refused(secured: &Map<String, Value>, code: Code) {
    assert_eq!(check(secured, &expected()).unwrap_err().code, code);
}

/// The document with something changed after signing; unchanged, it holds.
#[track_caller]
fn changed(change: impl FnOnce(&mut Map<String, Value>)) -> Map<String, Value> {
    let mut document = secured(&options());
    holds(&document);
    change(&mut document);
    document
}

/// A proof whose options were changed before signing, so that nothing but the option is wrong.
fn signed_with(change: impl FnOnce(&mut Map<String, Value>)) -> Map<String, Value> {
    let mut secured = secured(&options());
    let mut config = secured["proof"].as_object().unwrap().clone();
    config.remove("proofValue");
    change(&mut config);
    // The suite signs under its own name only, so that one is put back for signing.
    let (kind, suite) = (config["type"].clone(), config["cryptosuite"].clone());
    config.insert("type".to_owned(), PROOF_TYPE.into());
    config.insert("cryptosuite".to_owned(), "eddsa-jcs-2022".into());
    let mut proof = EddsaJcs2022.create_proof(&document(), config, &secret(1)).unwrap();
    proof.insert("type".to_owned(), kind);
    proof.insert("cryptosuite".to_owned(), suite);
    secured.insert("proof".to_owned(), Value::Object(proof));
    secured
}

#[test]
fn a_changed_document_is_refused() {
    refused(&changed(|d| d["credentialSubject"]["credits"] = json!(121)), Code::SignatureInvalid);
    refused(&changed(|d| drop(d.insert("id".to_owned(), json!("urn:a")))), Code::SignatureInvalid);
    refused(&changed(|d| drop(d.remove("issuer"))), Code::SignatureInvalid);
    refused(&changed(|d| d["proof"]["created"] = json!("2026-11-22T11:59:59Z")), Code::SignatureInvalid);
    refused(&changed(|d| d["proof"]["nonce"] = json!("added")), Code::SignatureInvalid);
    refused(&changed(|d| d["proof"]["verificationMethod"] = json!(format!("{ISSUER}#key-2"))), Code::SignatureInvalid);
    // Another order or spelling is the same document.
    let text =
        serde_json::to_string(&Value::Object(changed(|_| {}))).unwrap().replace("1.5", "15e-1").replace("120", "1.2e2");
    let again = crate::json::parse_object(text.as_bytes(), crate::json::Limits::DOCUMENT).unwrap();
    assert!(check(&again, &expected()).is_ok());
}

#[test]
fn a_key_of_another_algorithm_does_neither_sign_nor_verify() {
    let p256 = SecretKey::from_bytes(SignatureAlgorithm::Es256, &[1; 32]).unwrap();
    assert_eq!(add_proof(&document(), &EddsaJcs2022, &options(), &p256).unwrap_err().code, Code::AlgorithmMismatch);
    let mut document = issuer();
    document["verificationMethod"][0]["publicKeyMultibase"] = json!(p256.public_key().to_multikey());
    let resolver = Issuer(document);
    let refusal = verify(&secured(&options()), &Cryptosuites::jcs(), &resolver, &expected()).unwrap_err();
    assert_eq!(refusal.code, Code::AlgorithmMismatch);
}

#[test]
fn a_malformed_proof_is_refused() {
    for proof in [json!(null), json!("z"), json!([null]), json!([[]])] {
        refused(&changed(|d| d["proof"] = proof), Code::ProofMalformed);
    }
    for name in ["type", "cryptosuite", "proofPurpose", "verificationMethod", "proofValue"] {
        refused(&changed(|d| drop(d["proof"].as_object_mut().unwrap().remove(name))), Code::ProofMalformed);
        refused(&changed(|d| d["proof"][name] = json!(1)), Code::ProofMalformed);
    }
    refused(&signed_with(|p| p["type"] = json!("Ed25519Signature2020")), Code::ProofMalformed);
    refused(&signed_with(|p| p["verificationMethod"] = json!(ISSUER)), Code::DidMalformed);
    refused(&signed_with(|p| p["created"] = json!("2026-11-22T12:00:00")), Code::DateMalformed);
    refused(&signed_with(|p| p["created"] = json!(1)), Code::ProofMalformed);
    refused(&changed(|d| d["proof"] = json!(vec![d["proof"].clone(); 17])), Code::ProofMalformed);
}

#[test]
fn row_14_the_proofs_own_end_is_past() {
    let until = |end: &str| secured(&ProofOptions { expires: Some(Timestamp::parse(end).unwrap()), ..options() });
    holds(&until("2026-11-22T12:00:01Z"));
    holds(&until("2026-11-22T11:59:01Z"));
    refused(&until("2026-11-22T11:59:00Z"), Code::ProofExpired);
    refused(&until("2020-01-01T00:00:00Z"), Code::ProofExpired);
    refused(&signed_with(|p| drop(p.insert("expires".to_owned(), json!("2030-01-01T00:00:00")))), Code::DateMalformed);
    // Nor may it come from the future.
    let from = |at: &str| secured(&ProofOptions { created: Some(Timestamp::parse(at).unwrap()), ..options() });
    holds(&from("2026-11-22T12:01:00Z"));
    refused(&from("2026-11-22T12:01:01Z"), Code::NotYetValid);
}

#[test]
fn row_16_a_verification_method_of_another_did() {
    let other = secret(3);
    let did = Did::did_key(&other.public_key());
    let method = did.with_fragment(&other.public_key().to_multikey()).unwrap().to_string();
    let by_other = ProofOptions { verification_method: &method, ..options() };
    let forged = add_proof(&document(), &EddsaJcs2022, &by_other, &other).unwrap();
    holds(&secured(&options()));
    refused(&forged, Code::MethodOfOther);
    // The same proof is good where that DID is the one that is expected.
    assert!(check(&forged, &ProofRequirements { controller: did.as_str(), ..expected() }).is_ok());
}

#[test]
fn row_17_the_methods_controller_differs() {
    let secured = secured(&options());
    holds(&secured);
    let mut document = issuer();
    document["verificationMethod"][0]["controller"] = json!("did:web:other.example");
    let refusal = verify(&secured, &Cryptosuites::jcs(), &Issuer(document), &expected()).unwrap_err();
    assert_eq!(refusal.code, Code::MethodController);
}

#[test]
fn row_18_a_key_listed_for_authentication_only() {
    let secured = secured(&options());
    holds(&secured);
    let mut document = issuer();
    document["assertionMethod"] = json!([format!("{ISSUER}#key-2")]);
    let refusal = verify(&secured, &Cryptosuites::jcs(), &Issuer(document), &expected()).unwrap_err();
    assert_eq!(refusal.code, Code::MethodRelationship);
    // And one that its own document says is over.
    let mut document = issuer();
    document["verificationMethod"][0]["expires"] = json!("2026-11-22T11:00:00Z");
    assert_eq!(
        verify(&secured, &Cryptosuites::jcs(), &Issuer(document), &expected()).unwrap_err().code,
        Code::KeyInvalid
    );
}

#[test]
fn row_19_the_purpose_swapped() {
    let swapped = secured(&ProofOptions { purpose: VerificationRelationship::Authentication, ..options() });
    refused(&swapped, Code::ProofPurpose);
    assert!(
        check(&swapped, &ProofRequirements { purpose: VerificationRelationship::Authentication, ..expected() }).is_ok()
    );
    // Renamed after signing, the signature says so.
    let mut renamed = swapped;
    renamed["proof"]["proofPurpose"] = json!("assertionMethod");
    refused(&renamed, Code::SignatureInvalid);
    holds(&secured(&options()));
}

#[test]
fn row_20_an_unknown_cryptosuite() {
    for suite in ["eddsa-rdfc-2022", "eddsa-jcs-2023", "EDDSA-JCS-2022", ""] {
        refused(&changed(|d| d["proof"]["cryptosuite"] = json!(suite)), Code::CryptosuiteUnknown);
    }
    let good = secured(&options());
    assert_eq!(
        verify(&good, &Cryptosuites::empty(), &Issuer(issuer()), &expected()).unwrap_err().code,
        Code::CryptosuiteUnknown
    );
}

#[test]
fn row_21_no_proof_at_all() {
    refused(&changed(|d| d["proof"] = json!([])), Code::ProofMissing);
    refused(&changed(|d| drop(d.remove("proof"))), Code::ProofMissing);
    holds(&changed(|d| d["proof"] = json!([d["proof"]])));
}

#[test]
fn row_94_a_member_that_proofs_do_not_have() {
    for name in ["name", "exp", "proof", "Created"] {
        refused(&signed_with(|proof| drop(proof.insert(name.to_owned(), json!("B 12")))), Code::ProofMalformed);
    }
    holds(&signed_with(|proof| drop(proof.insert("nonce".to_owned(), json!("B 12")))));
}

#[test]
fn row_22_one_bad_proof_in_a_set() {
    let second = ProofOptions { verification_method: "did:web:university.example#key-2", ..options() };
    let set = add_proof(&secured(&options()), &EddsaJcs2022, &second, &secret(2)).unwrap();
    assert_eq!(set["proof"].as_array().unwrap().len(), 2);
    holds(&set);
    let third = add_proof(&set, &EddsaJcs2022, &options(), &secret(1)).unwrap();
    assert_eq!(third["proof"].as_array().unwrap().len(), 3);
    holds(&third);
    // Signed by another key than it says.
    let bad = add_proof(&secured(&options()), &EddsaJcs2022, &second, &secret(1)).unwrap();
    refused(&bad, Code::SignatureInvalid);
    let mut first = bad.clone();
    first["proof"].as_array_mut().unwrap().reverse();
    refused(&first, Code::SignatureInvalid);
    let mut unknown = set.clone();
    unknown["proof"][1]["cryptosuite"] = json!("other-2026");
    refused(&unknown, Code::CryptosuiteUnknown);
}

/// A document with proofs `a` and `b`, and one over those that `previous` names.
fn chain(previous: &Value) -> Map<String, Value> {
    let config = |id: &str| {
        let mut config = secured(&options())["proof"].as_object().unwrap().clone();
        config.remove("proofValue");
        config.insert("id".to_owned(), json!(id));
        config
    };
    let mut chained = document();
    let first: Vec<Value> = ["urn:a", "urn:b"]
        .map(|id| Value::Object(EddsaJcs2022.create_proof(&document(), config(id), &secret(1)).unwrap()))
        .to_vec();
    let named = |id: &Value| previous == id || previous.as_array().is_some_and(|names| names.contains(id));
    let under: Vec<Value> = first.iter().filter(|proof| named(&proof["id"])).cloned().collect();
    chained.insert("proof".to_owned(), Value::Array(under));
    let mut last = config("urn:c");
    last.insert("previousProof".to_owned(), previous.clone());
    last.insert("verificationMethod".to_owned(), json!(format!("{ISSUER}#key-2")));
    let last = EddsaJcs2022.create_proof(&chained, last, &secret(2)).unwrap();
    let all = [first, vec![Value::Object(last)]].concat();
    chained.insert("proof".to_owned(), Value::Array(all));
    chained
}

#[test]
fn row_23_previous_proof_that_points_nowhere() {
    for previous in [json!("urn:a"), json!(["urn:a"]), json!(["urn:a", "urn:b"]), json!(["urn:b", "urn:a"])] {
        holds(&chain(&previous));
    }
    for previous in [json!("urn:x"), json!(["urn:a", "urn:x"]), json!("urn:c")] {
        refused(&chain(&previous), Code::ProofChain);
    }
    for previous in [json!([]), json!(1), json!(["urn:a", 1])] {
        refused(&chain(&previous), Code::ProofMalformed);
    }
    // The proof that was signed over is missing, another one, bad, or not the only one of its name.
    let mut gone = chain(&json!("urn:a"));
    gone["proof"].as_array_mut().unwrap().remove(0);
    refused(&gone, Code::ProofChain);
    let mut other = chain(&json!("urn:a"));
    other["proof"][0]["id"] = json!("urn:b");
    other["proof"][1]["id"] = json!("urn:a");
    assert!(check(&other, &expected()).is_err());
    let mut fewer = chain(&json!(["urn:a", "urn:b"]));
    fewer["proof"][2]["previousProof"] = json!("urn:a");
    refused(&fewer, Code::SignatureInvalid);
    let mut twice = chain(&json!("urn:a"));
    twice["proof"][1]["id"] = json!("urn:a");
    refused(&twice, Code::ProofMalformed);
}

#[test]
fn row_24_a_context_appended_after_signing() {
    let append =
        |d: &mut Map<String, Value>| d["@context"].as_array_mut().unwrap().push(json!("https://other.example/v1"));
    refused(&changed(append), Code::ProofContext);
    // By itself the suite follows the Recommendation: it returns the document that was signed.
    let mut appended = changed(append);
    let proof = appended.remove("proof").unwrap();
    let verified = EddsaJcs2022.verify_proof(&appended, proof.as_object().unwrap(), &secret(1).public_key()).unwrap();
    assert_eq!(verified, document());
    // With no context in the proof, the document's own counts.
    let mut bare = document();
    let mut config = proof.as_object().unwrap().clone();
    config.remove("proofValue");
    config.remove("@context");
    let context = bare.remove("@context").unwrap();
    let proof = EddsaJcs2022.create_proof(&bare, config, &secret(1)).unwrap();
    assert!(!proof.contains_key("@context"));
    bare.insert("proof".to_owned(), Value::Object(proof));
    assert!(check(&bare, &expected()).is_ok());
    bare.insert("@context".to_owned(), context);
    refused(&bare, Code::SignatureInvalid);
}

#[test]
fn row_25_contexts_reordered() {
    refused(&changed(|d| d["@context"].as_array_mut().unwrap().reverse()), Code::ProofContext);
    refused(&changed(|d| drop(d["@context"].as_array_mut().unwrap().pop())), Code::ProofContext);
    refused(&changed(|d| drop(d["@context"].as_array_mut().unwrap().remove(0))), Code::ProofContext);
    refused(&changed(|d| drop(d.remove("@context"))), Code::ProofContext);
    refused(&changed(|d| d["@context"] = json!({})), Code::ProofContext);
    // In the proof as well, they differ from the signed ones.
    refused(
        &changed(|d| {
            d["@context"].as_array_mut().unwrap().reverse();
            d["proof"]["@context"] = d["@context"].clone();
        }),
        Code::SignatureInvalid,
    );
}

#[test]
fn row_30_hash_halves_reversed() {
    let reversed = changed(|d| {
        let mut config = d["proof"].as_object().unwrap().clone();
        config.remove("proofValue");
        let hash = |members: &Map<String, Value>| {
            use sha2::Digest as _;
            sha2::Sha256::digest(crate::json::canonicalize_object(members).unwrap()).to_vec()
        };
        // The right order gives the proof as it is; the other one does not hold.
        let sign = |halves: [Vec<u8>; 2]| {
            format!("z{}", bs58::encode(secret(1).sign(&halves.concat()).unwrap()).into_string())
        };
        assert_eq!(d["proof"]["proofValue"], json!(sign([hash(&config), hash(&document())])));
        d["proof"]["proofValue"] = json!(sign([hash(&document()), hash(&config)]));
    });
    refused(&reversed, Code::SignatureInvalid);
}

#[test]
fn row_31_a_proof_value_that_is_no_signature() {
    let with = |change: fn(&str) -> String| {
        changed(|d| {
            let value = d["proof"]["proofValue"].as_str().unwrap().to_owned();
            d["proof"]["proofValue"] = json!(change(&value));
        })
    };
    let changes: [fn(&str) -> String; 9] = [
        |_| String::new(),
        |_| "z".to_owned(),
        |v| v.replacen('z', "u", 1),
        |v| v.replacen('z', "Z", 1),
        |v| v.replacen('z', "", 1),
        |v| format!("{v}0"),
        |v| format!("{v}1"),
        |v| v.replacen('z', "z1", 1),
        |_| format!("z{}", bs58::encode([7; 63]).into_string()),
    ];
    for change in changes {
        refused(&with(change), Code::ProofMalformed);
    }
    refused(&with(|_| format!("z{}", bs58::encode([7; 65]).into_string())), Code::ProofMalformed);
    refused(&with(|_| format!("z{}", "2".repeat(1_000_000))), Code::ProofMalformed);
    refused(&with(|_| format!("z{}", bs58::encode([7; 64]).into_string())), Code::SignatureInvalid);
}

fn bound(challenge: Option<&str>, domain: Option<&str>) -> Map<String, Value> {
    secured(&ProofOptions { purpose: VerificationRelationship::Authentication, challenge, domain, ..options() })
}

fn binding() -> ProofRequirements<'static> {
    ProofRequirements {
        purpose: VerificationRelationship::Authentication,
        binding: Some((NONCE, AUDIENCE)),
        ..expected()
    }
}

#[test]
fn row_37_challenge_or_domain_absent() {
    assert!(check(&bound(Some(NONCE), Some(AUDIENCE)), &binding()).is_ok());
    assert_eq!(check(&bound(None, Some(AUDIENCE)), &binding()).unwrap_err().code, Code::ChallengeMissing);
    assert_eq!(check(&bound(Some(NONCE), None), &binding()).unwrap_err().code, Code::DomainMissing);
    assert_eq!(check(&bound(None, None), &binding()).unwrap_err().code, Code::ChallengeMissing);
}

#[test]
fn row_38_a_wrong_challenge() {
    assert!(check(&bound(Some(NONCE), Some(AUDIENCE)), &binding()).is_ok());
    for challenge in ["", "other", "n-0S6_WzA2MjX", "N-0S6_WzA2Mj"] {
        let refusal = check(&bound(Some(challenge), Some(AUDIENCE)), &binding()).unwrap_err();
        assert_eq!(refusal.code, Code::ChallengeMismatch);
    }
}

#[test]
fn row_39_a_superset_of_domains() {
    let domains = |domains: Value| {
        let secured = signed_with(|p| {
            p.insert("proofPurpose".to_owned(), json!("authentication"));
            p.insert("challenge".to_owned(), json!(NONCE));
            p.insert("domain".to_owned(), domains);
        });
        check(&secured, &binding()).map_err(|problem| problem.code).map(|_| ())
    };
    assert_eq!(domains(json!(AUDIENCE)), Ok(()));
    assert_eq!(domains(json!([AUDIENCE])), Ok(()));
    assert_eq!(domains(json!([AUDIENCE, "https://other.example"])), Err(Code::DomainMismatch));
    assert_eq!(domains(json!("https://other.example")), Err(Code::DomainMismatch));
    assert_eq!(domains(json!("did:web:agency.example")), Err(Code::DomainMismatch));
    assert_eq!(domains(json!([])), Err(Code::DomainMissing));
    assert_eq!(domains(json!([AUDIENCE, 1])), Err(Code::ProofMalformed));
    assert_eq!(domains(json!(null)), Err(Code::ProofMalformed));
}

#[test]
fn row_92_a_document_is_rendered_again_and_anything_else_is_refused() {
    let at = now().start_of_day();
    let options = ProofOptions {
        verification_method: METHOD,
        purpose: VerificationRelationship::AssertionMethod,
        created: Some(at),
        expires: None,
        challenge: None,
        domain: None,
    };
    let unsecured = json!({"@context": ["https://www.w3.org/ns/credentials/v2"], "issuer": ISSUER, "type": ["A"]});
    let unsecured = unsecured.as_object().unwrap().clone();
    let made = |options: &ProofOptions<'_>| {
        to_canonical_text(&add_proof(&unsecured, &EddsaJcs2022, options, &secret(1)).unwrap()).unwrap()
    };
    let check =
        |text: &str| check_rendering(text, &unsecured, &Cryptosuites::jcs(), &options).map_err(|problem| problem.code);
    let text = made(&options);
    assert_eq!(check(&text), Ok(()));
    let by_the_second = made(&ProofOptions { created: Some(at.plus(1)), ..options.clone() });
    let undated = made(&ProofOptions { created: None, ..options.clone() });
    let ending = made(&ProofOptions { expires: Some(at.plus(86_400)), ..options.clone() });
    let other_key = made(&ProofOptions { verification_method: "did:web:university.example#key-2", ..options.clone() });
    for marked in [
        by_the_second,
        undated,
        ending,
        other_key,
        text.replacen(',', ", ", 1),
        text.replacen("\"type\":[\"A\"]", "\"type\":[\"\\u0041\"]", 1),
        text.replacen("\"proofPurpose\"", "\"id\":\"urn:x\",\"proofPurpose\"", 1),
        text.replacen("{\"@context\"", "{\"@base\":1,\"@context\"", 1),
    ] {
        assert_ne!(marked, text);
        assert_eq!(check(&marked), Err(Code::CopyMarked), "{marked}");
    }
}
