//! The conformance processor: official vectors over open JSON-LD, and the rules on terms of VCDM 2.0.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking"
)]

mod common;

use carnet_core::{
    Code, Problem,
    conformance::{
        CheckTerms, Environment, IssueOptions, KnownResource, NoStatusLists, VerificationOptions, issue,
        verify_credential, verify_presentation,
    },
    did::{Did, SelfContainedResolver, VerificationRelationship},
    keys::{SecretKey, SignatureAlgorithm, Signer},
    secure::data_integrity::{self, Cryptosuites, ProofOptions, ProofRequirements},
    time::Timestamp,
};
use carnet_jsonld::conformance::OpenJsonLd;
use common::{code, object, vector};
use serde_json::{Map, Value, json};

const V2: &str = "https://www.w3.org/ns/credentials/v2";
const EXAMPLES: &str = "https://www.w3.org/ns/credentials/examples/v2";

fn in_env<T>(with: impl FnOnce(&Environment<'_>) -> T) -> T {
    let json_ld = OpenJsonLd::new().unwrap();
    let suites = json_ld.register(Cryptosuites::jcs());
    with(&Environment {
        suites: &suites,
        resolver: &SelfContainedResolver,
        terms: &json_ld,
        status_lists: &NoStatusLists,
        resources: &KnownResource::published(),
        now: Timestamp::parse("2026-11-30T12:00:00Z").unwrap(),
        skew: 60,
    })
}

fn verify(document: &Map<String, Value>) -> Result<(), Problem> {
    in_env(|env| verify_credential(document, env, &VerificationOptions::default()))
}

fn terms(document: Value) -> Result<(), Problem> {
    OpenJsonLd::new().unwrap().check_terms(document.as_object().unwrap())
}

fn with_contexts(contexts: Value, types: Value) -> Value {
    json!({"@context": contexts, "type": types, "issuer": "did:example:a", "credentialSubject": {"id": "did:example:s"}})
}

/// Signs and verifies with the key of a cryptosuite.
fn issued(document: Value, suite: &str, algorithm: SignatureAlgorithm) -> Result<Map<String, Value>, Problem> {
    let length = if algorithm == SignatureAlgorithm::Es384 { 48 } else { 32 };
    let key = SecretKey::from_bytes(algorithm, &vec![7; length]).unwrap();
    let did = Did::did_key(&key.public_key());
    let method = format!("{did}#{}", did.method_specific_id());
    let mut document = document;
    if document.get("verifiableCredential").is_none() {
        document["issuer"] = json!(did.as_str());
    }
    in_env(|env| {
        let options = IssueOptions {
            proof: ProofOptions {
                verification_method: &method,
                purpose: VerificationRelationship::AssertionMethod,
                created: Some(env.now),
                expires: None,
                challenge: None,
                domain: None,
            },
            default_issuer: None,
            proof_id: None,
            previous_proofs: &[],
        };
        issue(document.as_object().unwrap(), env.suites.by_name(suite)?, &options, env, &key)
    })
}

#[test]
#[cfg_attr(not(carnet_vectors), ignore = "CARNET_VECTORS is not set")]
fn official_documents_of_every_suite_verify() {
    let mut verified = 0;
    for path in [
        "vc-di-eddsa/TestVectors/eddsa-rdfc-2022/signedDataInt.json",
        "vc-di-eddsa/TestVectors/eddsa-jcs-2022/signedJCS.json",
        "vc-di-eddsa/TestVectors/Ed25519Signature2020/signedEdSig.json",
        "vc-di-eddsa/TestVectors/proof-set-chain/signedProofSet1.json",
        "vc-di-eddsa/TestVectors/proof-set-chain/signedProofSet2.json",
        "vc-di-eddsa/TestVectors/proof-set-chain/signedProofChain1.json",
        "vc-di-eddsa/TestVectors/proof-set-chain/signedProofChain2.json",
        "vc-di-ecdsa/TestVectors/ecdsa-rdfc-2019-p256/signedECDSAP256.json",
        "vc-di-ecdsa/TestVectors/ecdsa-rdfc-2019-p384/signedECDSAP384.json",
        "vc-di-ecdsa/TestVectors/ecdsa-jcs-2019-p256/signedJCSECDSAP256.json",
        "vc-di-ecdsa/TestVectors/ecdsa-jcs-2019-p384/signedJCSECDSAP384.json",
    ] {
        let mut signed = object(&vector(path));
        verify(&signed).unwrap_or_else(|problem| panic!("{path}: {problem}"));
        signed.insert("description".to_owned(), "Something else.".into());
        assert_eq!(code(verify(&signed)), Code::SignatureInvalid, "{path}");
        verified += 1;
    }
    assert_eq!(verified, 11);
}

/// The signed bytes, with the hash of the key's curve in both the canonicalisation and the digests.
#[test]
#[cfg_attr(not(carnet_vectors), ignore = "CARNET_VECTORS is not set")]
fn ecdsa_rdfc_2019_with_a_context_that_is_not_bundled() {
    for curve in ["256", "384"] {
        let path = format!("vc-di-ecdsa/TestVectors/ecdsa-rdfc-2019-p{curve}/employ/signedECDSAP{curve}.json");
        let signed = object(&vector(&path));
        // Its context is not one of the bundled ones.
        assert_eq!(code(verify(&signed)), Code::ContextUnknown, "{path}");
    }
}

/// The contexts of VCDM 1.1 and of proofs are those that the W3C publishes, in another layout.
#[test]
#[cfg_attr(not(carnet_vectors), ignore = "CARNET_VECTORS is not set")]
fn bundled_contexts_are_the_published_ones() {
    for (bundled, published) in [
        (ssi_contexts::CREDENTIALS_V1, "www.w3.org_2018_credentials_v1.jsonld"),
        (ssi_contexts::W3ID_DATA_INTEGRITY_V1, "w3id.org_security_data-integrity_v1.jsonld"),
        (ssi_contexts::W3ID_DATA_INTEGRITY_V2, "w3id.org_security_data-integrity_v2.jsonld"),
    ] {
        assert_eq!(object(bundled), object(&vector(&format!("contexts-npm/{published}"))), "{published}");
    }
}

/// Documents that the conformance processor accepts, and the product does not.
fn documents() -> [Value; 4] {
    [
        // Two objects that are the same, and an empty list.
        json!({"@context": [V2, {"E": "https://example.org/#E"}], "type": ["VerifiableCredential"],
               "credentialSubject": {"id": "did:example:s"}, "evidence": [{"type": "E"}, {"type": "E"}]}),
        // A base direction, several subjects, a type that is a URL.
        json!({"@context": [V2], "type": ["https://example.org/#A", "VerifiableCredential"],
               "name": {"@value": "HTML", "@language": "en", "@direction": "ltr"},
               "credentialSubject": [{"id": "did:example:s"}, {"id": "did:example:t", "name": "T"}]}),
        // Terms of the example context.
        json!({"@context": [V2, EXAMPLES], "type": ["VerifiableCredential", "ExampleDegreeCredential"],
               "credentialSubject": {"degree": {"type": "ExampleBachelorDegree", "level": 6.5}}}),
        // A property by its IRI, which a reader of the JSON does not find.
        json!({"@context": [V2], "type": ["VerifiableCredential"],
               "credentialSubject": {"id": "did:example:s", "https://schema.org/name": "S"}}),
    ]
}

/// One table of documents through both processors.
#[test]
fn the_product_refuses_what_the_conformance_processor_accepts() {
    let product = carnet_jsonld::register_suites(Cryptosuites::jcs(), Vec::new()).unwrap();
    let refusals = [Code::ContextUnknown, Code::Transformation, Code::ContextUnknown, Code::Transformation];
    for (document, refusal) in documents().into_iter().zip(refusals) {
        let signed = issued(document, "eddsa-rdfc-2022", SignatureAlgorithm::EdDsa).unwrap();
        verify(&signed).unwrap();
        let issuer = signed["issuer"].as_str().unwrap();
        let expected = ProofRequirements {
            purpose: VerificationRelationship::AssertionMethod,
            controller: issuer,
            binding: None,
            now: Timestamp::parse("2026-11-30T12:00:00Z").unwrap(),
            skew: 60,
        };
        let result = data_integrity::verify(&signed, &product, &SelfContainedResolver, &expected);
        assert_eq!(code(result), refusal, "{signed:?}");
    }
    for unknown in ["ecdsa-rdfc-2019", "Ed25519Signature2020"] {
        assert!(product.by_name(unknown).is_err(), "{unknown}");
    }
}

#[test]
fn every_suite_signs_what_the_product_does_not() {
    let documents = documents();
    for (suite, algorithm) in [
        ("eddsa-rdfc-2022", SignatureAlgorithm::EdDsa),
        ("eddsa-jcs-2022", SignatureAlgorithm::EdDsa),
        ("ecdsa-rdfc-2019", SignatureAlgorithm::Es256),
        ("ecdsa-rdfc-2019", SignatureAlgorithm::Es384),
        ("ecdsa-jcs-2019", SignatureAlgorithm::Es256),
        ("ecdsa-jcs-2019", SignatureAlgorithm::Es384),
    ] {
        for document in &documents {
            let signed = issued(document.clone(), suite, algorithm).unwrap();
            verify(&signed).unwrap();
            let mut changed = signed.clone();
            changed.insert("description".to_owned(), "Something else.".into());
            assert_eq!(code(verify(&changed)), Code::SignatureInvalid);
        }
    }
    // A direction is signed.
    let mut signed = issued(documents[1].clone(), "eddsa-rdfc-2022", SignatureAlgorithm::EdDsa).unwrap();
    signed["name"]["@direction"] = json!("rtl");
    assert_eq!(code(verify(&signed)), Code::SignatureInvalid);
}

#[test]
fn section_4_5_types_map_to_urls() {
    terms(with_contexts(json!([V2]), json!(["VerifiableCredential"]))).unwrap();
    terms(with_contexts(json!([V2]), json!(["VerifiableCredential", "https://example.org/#A"]))).unwrap();
    terms(with_contexts(json!([V2, {"A": "https://example.org/#A"}]), json!(["VerifiableCredential", "A"]))).unwrap();
    terms(with_contexts(json!([V2, EXAMPLES]), json!(["VerifiableCredential", "A"]))).unwrap();
    let wrong = [
        with_contexts(json!([V2]), json!(["VerifiableCredential", "A"])),
        with_contexts(json!([V2, {"@vocab": null}]), json!(["VerifiableCredential", "A"])),
        with_contexts(json!([V2, {"A": "https ://not-a-url#A"}]), json!(["VerifiableCredential", "A"])),
        with_contexts(json!([V2, "https://example.org/not-bundled"]), json!(["VerifiableCredential"])),
        with_contexts(json!([V2, 7]), json!(["VerifiableCredential"])),
    ];
    for wrong in wrong {
        assert!(terms(wrong.clone()).is_err(), "{wrong}");
    }
}

#[test]
fn section_5_2_1_terms_are_defined_and_not_redefined() {
    let base = || with_contexts(json!([V2]), json!(["VerifiableCredential"]));
    let mut undefined = base();
    undefined["statusEntry"] = json!({"type": "BitstringStatusListEntry"});
    assert_eq!(code(terms(undefined)), Code::TermUndefined);
    let mut undefined = base();
    undefined["credentialSubject"]["undefinedTerm"] = json!(1);
    assert_eq!(code(terms(undefined.clone())), Code::TermUndefined);
    undefined["@context"] = json!([V2, "https://www.w3.org/ns/credentials/undefined-terms/v2"]);
    terms(undefined).unwrap();
    let redefined = [
        json!([V2, {"VerifiableCredential": "https://example.org/#Bad"}]),
        json!([V2, {"type": "https://example.org/#Bad"}]),
        json!([V2, {"name": "https://example.org/#Bad"}]),
        json!([V2, {"@protected": true, "A": "https://example.org/#A"}, {"A": "https://example.org/#B"}]),
    ];
    for contexts in redefined {
        assert!(terms(with_contexts(contexts.clone(), json!(["VerifiableCredential"]))).is_err(), "{contexts}");
    }
    // The same definition again is not another one.
    let twice = json!([V2, {"A": "https://example.org/#A"}, {"A": "https://example.org/#A"}]);
    terms(with_contexts(twice, json!(["VerifiableCredential", "A"]))).unwrap();
    // A context may be wrapped in a document.
    let wrapped = json!([V2, {"@context": {"A": "https://example.org/#A"}}]);
    terms(with_contexts(wrapped, json!(["VerifiableCredential", "A"]))).unwrap();
}

#[test]
fn a_presentation_over_rdf_with_any_credentials() {
    let credential = issued(
        with_contexts(json!([V2]), json!(["VerifiableCredential"])),
        "ecdsa-jcs-2019",
        SignatureAlgorithm::Es256,
    );
    for credentials in [json!([]), json!([credential.unwrap()])] {
        let document =
            json!({"@context": [V2], "type": ["VerifiablePresentation"], "verifiableCredential": credentials});
        let signed = issued(document, "eddsa-rdfc-2022", SignatureAlgorithm::EdDsa).unwrap();
        let run = |document: &Map<String, Value>| {
            in_env(|env| verify_presentation(document, env, &VerificationOptions::default()))
        };
        run(&signed).unwrap();
        for context in [json!("https ://not-a-url/contexts/example/v1"), json!(123_192_875)] {
            let mut changed = signed.clone();
            changed["@context"] = json!([V2, context]);
            assert_eq!(code(run(&changed)), Code::ContextUnknown);
        }
    }
}
