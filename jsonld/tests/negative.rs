//! Documents that must be refused, each with its accepted twin.
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
    did::{Did, SelfContainedResolver, VerificationRelationship},
    keys::{PublicKey, SecretKey, SignatureAlgorithm, Signer},
    secure::{
        data_integrity::Cryptosuites,
        data_integrity::{self, Cryptosuite, ProofOptions, ProofRequirements},
    },
    time::Timestamp,
};
use carnet_jsonld::{
    RdfcCryptosuite,
    canonical::{HashAlgorithm, Quad, Term, canonicalize},
};
use common::{QUALIFICATION, code, credential, key, object, options, pinned, suite};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

type Object = Map<String, Value>;

fn signed() -> (RdfcCryptosuite, Object, Object, PublicKey) {
    let (suite, document, key) = (suite(), credential(), key());
    let proof = suite.create_proof(&document, options(), &key).unwrap();
    assert_eq!(suite.verify_proof(&document, &proof, &key.public_key()).unwrap(), document);
    (suite, document, proof, key.public_key())
}

fn with(document: &Object, change: impl FnOnce(&mut Value)) -> Object {
    let mut value = Value::Object(document.clone());
    change(&mut value);
    value.as_object().unwrap().clone()
}

/// Returns the error of both sides for a changed document: the issuer does not sign it, the verifier does not accept
/// it.
fn refused(change: impl FnOnce(&mut Value)) -> Code {
    let (suite, document, proof, public) = signed();
    let changed = with(&document, change);
    let at_issue = code(suite.create_proof(&changed, options(), &key()));
    assert_eq!(code(suite.verify_proof(&changed, &proof, &public)), at_issue);
    at_issue
}

#[test]
fn row_26_unknown_context() {
    signed();
    let unknown = refused(|document| document["@context"][1] = json!("https://carnet.example/ns/other/v1"));
    assert_eq!(unknown, Code::ContextUnknown);
    let by_value = refused(|document| document["@context"][1] = json!({"@vocab": "https://example.com/#"}));
    assert_eq!(by_value, Code::ContextUnknown);
}

#[test]
fn row_27_bundled_context_tampered() {
    const URL: &str = "https://carnet.example/ns/qualification/v1";
    let good = pinned(URL, QUALIFICATION);
    assert!(RdfcCryptosuite::eddsa_2022(vec![good.clone()]).is_ok());

    let mut tampered = good.clone();
    tampered.1 = tampered.1.replace("vocab#awardingBody", "vocab#grade");
    assert_ne!(tampered.1, good.1);
    assert_eq!(code(RdfcCryptosuite::eddsa_2022(vec![tampered])), Code::ContextTampered);
    // Nor can a second one, with a digest of its own, take the place of the first or of the base context.
    assert_eq!(code(RdfcCryptosuite::eddsa_2022(vec![good, pinned(URL, r#"{"@context":{}}"#)])), Code::ContextTampered);
    let base = pinned(carnet_jsonld::VCDM_V2, r#"{"@context":{"@vocab":"https://example.com/#"}}"#);
    assert_eq!(code(RdfcCryptosuite::eddsa_2022(vec![base])), Code::ContextTampered);
    assert_eq!(code(RdfcCryptosuite::eddsa_2022(vec![pinned(URL, "[]")])), Code::ContextTampered);
}

#[test]
fn row_28_undefined_term() {
    let (suite, document, proof, public) = signed();
    assert_eq!(refused(|d| d["credentialSubject"]["nickname"] = json!("A")), Code::TermUndefined);
    assert_eq!(refused(|d| d["nickname"] = json!("A")), Code::TermUndefined);
    assert_eq!(refused(|d| d["type"] = json!(["VerifiableCredential", "Invented"])), Code::TermUndefined);
    // References and languages that JSON-LD would leave out of the RDF.
    assert_eq!(refused(|d| d["credentialSubject"]["id"] = json!("amina")), Code::TermUndefined);
    assert_eq!(refused(|d| d["issuer"] = json!("university")), Code::TermUndefined);
    let language = refused(|d| d["name"] = json!({"@value": "Degree", "@language": "no such tag"}));
    assert_eq!(language, Code::TermUndefined);
    // In the proof too.
    let mut invented = proof.clone();
    invented.insert("invented".to_owned(), json!("x"));
    assert_eq!(code(suite.verify_proof(&document, &invented, &public)), Code::TermUndefined);
    let mut purpose = proof;
    purpose.insert("proofPurpose".to_owned(), json!("invented"));
    assert_eq!(code(suite.verify_proof(&document, &purpose, &public)), Code::TermUndefined);
}

#[test]
fn row_29_nested_context() {
    signed();
    let base = json!(carnet_jsonld::VCDM_V2);
    assert_eq!(refused(|d| d["credentialSubject"]["@context"] = base.clone()), Code::ContextNested);
    let by_value = refused(|d| d["credentialSubject"]["learningOutcomes"][0]["@context"] = json!({"title": "urn:x"}));
    assert_eq!(by_value, Code::ContextNested);
    let in_language = json!({"@value": "Degree", "@language": "en", "@context": {}});
    assert_eq!(refused(|d| d["name"] = in_language), Code::ContextNested);
    // A proof with a context of its own must have the document's.
    let (suite, document, mut proof, public) = signed();
    proof.insert("@context".to_owned(), document["@context"].clone());
    assert!(suite.verify_proof(&document, &proof, &public).is_ok());
    proof.insert("@context".to_owned(), base);
    assert_eq!(code(suite.verify_proof(&document, &proof, &public)), Code::ProofContext);
}

#[test]
fn row_30_hash_halves_reversed() {
    let (suite, document, proof, public) = signed();
    let mut config = options();
    config.insert("@context".to_owned(), document["@context"].clone());
    let of_options = Sha256::digest(suite.canonical_n_quads(&config).unwrap());
    let of_document = Sha256::digest(suite.canonical_n_quads(&document).unwrap());
    let verify = |first: &[u8], second: &[u8]| {
        let signature = key().sign(&[first, second].concat()).unwrap();
        let mut made = proof.clone();
        made.insert("proofValue".to_owned(), format!("z{}", bs58::encode(signature).into_string()).into());
        suite.verify_proof(&document, &made, &public)
    };
    assert!(verify(&of_options, &of_document).is_ok());
    assert_eq!(code(verify(&of_document, &of_options)), Code::SignatureInvalid);
}

#[test]
fn row_31_proof_value_form() {
    let (suite, document, proof, public) = signed();
    let good = proof["proofValue"].as_str().unwrap();
    let verify = |value: Value| {
        let mut made = proof.clone();
        made.insert("proofValue".to_owned(), value);
        suite.verify_proof(&document, &made, &public)
    };
    let z = |bytes: &[u8]| json!(format!("z{}", bs58::encode(bytes).into_string()));
    assert!(verify(json!(good)).is_ok());
    for bad in [
        json!(good.replacen('z', "u", 1)),
        json!(good.trim_start_matches('z')),
        json!(""),
        json!("z"),
        json!("z0OIl"),
        json!(format!("z{}", "1".repeat(100_000))),
        z(&[1; 63]),
        z(&[1; 65]),
        json!([good]),
        Value::Null,
    ] {
        assert_eq!(code(verify(bad)), Code::ProofMalformed);
    }
    assert_eq!(code(verify(z(&[1; 64]))), Code::SignatureInvalid);
    let mut without = proof.clone();
    without.remove("proofValue");
    assert_eq!(code(suite.verify_proof(&document, &without, &public)), Code::ProofMalformed);
}

/// `n` blank nodes, each of which points at each other one.
fn clique(n: usize) -> Vec<Quad> {
    let node = |i: usize| Term::Blank(format!("e{i}"));
    let pairs = (0..n).flat_map(|a| (0..n).filter(move |b| a != *b).map(move |b| (a, b)));
    pairs.map(|(a, b)| Quad { subject: node(a), predicate: "urn:p".to_owned(), object: node(b), graph: None }).collect()
}

#[test]
fn row_35_poison_graph() {
    assert!(canonicalize(&clique(4), HashAlgorithm::Sha256).is_ok());
    let began = std::time::Instant::now();
    assert_eq!(code(canonicalize(&clique(10), HashAlgorithm::Sha256)), Code::Transformation);
    assert_eq!(code(canonicalize(&clique(40), HashAlgorithm::Sha256)), Code::Transformation);
    // A ring needs no permutations, but as many nested calls as it has nodes.
    let ring: Vec<Quad> = (0..5000)
        .map(|i| Quad {
            subject: Term::Blank(format!("e{i}")),
            predicate: "urn:p".to_owned(),
            object: Term::Blank(format!("e{}", (i + 1) % 5000)),
            graph: None,
        })
        .collect();
    assert_eq!(code(canonicalize(&ring, HashAlgorithm::Sha256)), Code::Transformation);
    assert!(began.elapsed() < std::time::Duration::from_secs(10), "{:?}", began.elapsed());
    // In a document it does not come as far as that: no blank node can be named.
    let labelled = json!([{"title": "A", "relatedSkill": "_:b"}, {"title": "B", "relatedSkill": "_:a"}]);
    assert_eq!(refused(|d| d["credentialSubject"]["learningOutcomes"] = labelled), Code::Transformation);
}

/// Texts with the same RDF as the signed one, in which a reader of the JSON would miss or mistake something.
#[test]
fn same_rdf_in_another_shape_is_refused() {
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 12] = [
        ("a property under its IRI", |d| {
            let end = d.as_object_mut().unwrap().remove("validUntil").unwrap();
            d["https://www.w3.org/2018/credentials#validUntil"] =
                json!({"@value": end, "@type": "http://www.w3.org/2001/XMLSchema#dateTime"});
        }),
        ("type as @type", |d| {
            let types = d.as_object_mut().unwrap().remove("type").unwrap();
            d["@type"] = types;
        }),
        ("a type under its IRI", |d| d["type"][1] = json!("https://carnet.example/vocab#QualificationCredential")),
        ("null", |d| d["credentialStatus"] = Value::Null),
        ("an empty list", |d| d["credentialStatus"] = json!([])),
        ("a list in a list", |d| d["issuer"] = json!([[d["issuer"].clone()]])),
        ("a value twice", |d| d["issuer"] = json!([d["issuer"].clone(), d["issuer"].clone()])),
        ("a string as a value object", |d| d["issuer"] = json!({"@value": d["issuer"].clone()})),
        ("an unknown keyword", |d| d["@comment"] = json!("ignored by JSON-LD")),
        ("an included graph", |d| d["@included"] = json!([{"id": "did:example:x", "type": "VerifiableCredential"}])),
        ("a reverse property", |d| d["@reverse"] = json!({})),
        ("a node in two places", |d| {
            let id = d["credentialSubject"]["id"].clone();
            let title = d["credentialSubject"].as_object_mut().unwrap().remove("title").unwrap();
            d["credentialSubject"] = json!([d["credentialSubject"].clone(), {"id": id, "title": title}]);
        }),
    ];
    signed();
    for (what, change) in changes {
        assert_eq!(refused(change), Code::Transformation, "{what}");
    }
    let direction = json!({"@value": "Degree", "@language": "en", "@direction": "ltr"});
    assert_eq!(refused(|d| d["name"] = direction), Code::Transformation);
}

#[test]
fn languages_and_numbers_are_signed() {
    let (suite, key) = (suite(), key());
    let mut document = credential();
    document.insert(
        "name".to_owned(),
        json!([{"@value": "Degree", "@language": "en"}, {"@value": "شهادة", "@language": "ar"}]),
    );
    document["credentialSubject"]["credits"] = json!(7.5);
    let proof = suite.create_proof(&document, options(), &key).unwrap();
    let verify =
        |change: &dyn Fn(&mut Value)| suite.verify_proof(&with(&document, |d| change(d)), &proof, &key.public_key());
    assert!(verify(&|_| ()).is_ok());
    let text = serde_json::to_string(&document).unwrap();
    assert!(text.contains("7.5"));
    assert!(
        suite.verify_proof(&object(&text.replace("7.5", "75e-1")), &proof, &key.public_key()).is_ok(),
        "same number"
    );
    assert_eq!(code(verify(&|d| d["name"][0]["@language"] = json!("de"))), Code::SignatureInvalid);
    assert_eq!(code(verify(&|d| d["credentialSubject"]["credits"] = json!(7.4))), Code::SignatureInvalid);
    assert_eq!(code(verify(&|d| d["credentialSubject"]["credits"] = json!("7.5"))), Code::SignatureInvalid);
    let many_digits = code(verify(&|d| d["credentialSubject"]["credits"] = json!(1.0 / 3.0)));
    assert_eq!(many_digits, Code::Transformation);
    let whole = |text: &str| {
        let document = object(&serde_json::to_string(&credential()).unwrap().replace("180", text));
        suite.canonical_n_quads(&document)
    };
    assert_eq!(whole("180.0").unwrap(), whole("180").unwrap());
    assert_eq!(whole("1.8e2").unwrap(), whole("180").unwrap());
    assert_eq!(code(whole("9007199254740993")), Code::Transformation);
}

#[test]
fn any_changed_claim_is_refused() {
    let (suite, document, proof, public) = signed();
    for name in document["credentialSubject"].as_object().unwrap().keys() {
        let changed = with(&document, |d| {
            d["credentialSubject"].as_object_mut().unwrap().remove(name).unwrap();
        });
        assert_eq!(code(suite.verify_proof(&changed, &proof, &public)), Code::SignatureInvalid, "{name}");
    }
    for (name, value) in [
        ("created", json!("2026-11-23T00:00:00Z")),
        ("proofPurpose", json!("authentication")),
        ("verificationMethod", json!("did:web:other.example#key-1")),
        ("expires", json!("2030-01-01T00:00:00Z")),
        ("challenge", json!("c")),
        ("domain", json!("d")),
        ("id", json!("urn:x:1")),
    ] {
        let mut changed = proof.clone();
        changed.insert(name.to_owned(), value);
        assert_eq!(code(suite.verify_proof(&document, &changed, &public)), Code::SignatureInvalid, "{name}");
    }
}

#[test]
fn other_keys_and_suites_are_refused() {
    let (suite, document, proof, public) = signed();
    assert!(suite.verify_proof(&document, &proof, &public).is_ok());
    let other = SecretKey::from_bytes(SignatureAlgorithm::EdDsa, &[8; 32]).unwrap();
    assert_eq!(code(suite.verify_proof(&document, &proof, &other.public_key())), Code::SignatureInvalid);
    let p256 = SecretKey::from_bytes(SignatureAlgorithm::Es256, &[8; 32]).unwrap();
    assert_eq!(code(suite.verify_proof(&document, &proof, &p256.public_key())), Code::AlgorithmMismatch);
    assert_eq!(code(suite.create_proof(&document, options(), &p256)), Code::AlgorithmMismatch);
    let mut renamed = proof;
    renamed.insert("cryptosuite".to_owned(), json!("eddsa-jcs-2022"));
    assert_eq!(code(suite.verify_proof(&document, &renamed, &public)), Code::ProofMalformed);
}

#[test]
fn size_and_depth_are_bounded() {
    let deep = |levels: usize| (0..levels).fold(json!({"title": "x"}), |inner, _| json!({"learningOutcomes": inner}));
    let nest = |levels: usize| with(&credential(), |d| d["credentialSubject"]["learningOutcomes"] = deep(levels));
    assert!(suite().canonical_n_quads(&nest(28)).is_ok());
    assert_eq!(code(suite().canonical_n_quads(&nest(40))), Code::TooDeep);
    let long = |bytes: usize| with(&credential(), |d| d["credentialSubject"]["title"] = json!("x".repeat(bytes)));
    assert!(suite().canonical_n_quads(&long(200_000)).is_ok());
    assert_eq!(code(suite().canonical_n_quads(&long(300_000))), Code::TooLarge);
    // As many nodes as fit, alike to the eye of the first-degree hash: the work stays bounded.
    let alike: Vec<Value> = (0..2000).map(|i| json!({"learningOutcomes": {"title": i.to_string()}})).collect();
    let began = std::time::Instant::now();
    let wide = with(&credential(), |d| d["credentialSubject"]["learningOutcomes"] = json!(alike));
    let outcome: Result<String, Problem> = suite().canonical_n_quads(&wide);
    assert!(outcome.is_ok() || code(outcome) == Code::Transformation);
    assert!(began.elapsed() < std::time::Duration::from_secs(20), "{:?}", began.elapsed());
}

fn expected<'a>(
    purpose: VerificationRelationship,
    controller: &'a str,
    binding: Option<(&'a str, &'a str)>,
) -> ProofRequirements<'a> {
    ProofRequirements { purpose, controller, binding, now: Timestamp::from_unix(1_795_000_000), skew: 60 }
}

/// Through core: a credential by an issuer, in a presentation by its holder.
#[test]
fn credential_in_a_presentation() {
    let suite = suite();
    let (issuer_key, holder_key) = (key(), SecretKey::from_bytes(SignatureAlgorithm::EdDsa, &[9; 32]).unwrap());
    let (issuer, holder) = (Did::did_jwk(&issuer_key.public_key()), Did::did_jwk(&holder_key.public_key()));
    let mut document = credential();
    document.insert("issuer".to_owned(), issuer.as_str().into());
    document["credentialSubject"]["id"] = holder.as_str().into();
    let (issuer_method, holder_method) = (format!("{}#0", issuer.as_str()), format!("{}#0", holder.as_str()));
    let mut proof_options = ProofOptions {
        verification_method: &issuer_method,
        purpose: VerificationRelationship::AssertionMethod,
        created: Some(Timestamp::from_unix(1_794_999_000)),
        expires: None,
        challenge: None,
        domain: None,
    };
    let secured = data_integrity::add_proof(&document, &suite, &proof_options, &issuer_key).unwrap();
    let of_issuer = expected(VerificationRelationship::AssertionMethod, issuer.as_str(), None);
    let verified =
        data_integrity::verify(&secured, &Cryptosuites::only(suite.clone()), &SelfContainedResolver, &of_issuer)
            .unwrap();
    assert_eq!(verified, document);
    let of_other = expected(VerificationRelationship::AssertionMethod, holder.as_str(), None);
    assert!(
        data_integrity::verify(&secured, &Cryptosuites::only(suite.clone()), &SelfContainedResolver, &of_other)
            .is_err()
    );

    let presentation = json!({
        "@context": [carnet_jsonld::VCDM_V2],
        "type": "VerifiablePresentation",
        "holder": holder.as_str(),
        "verifiableCredential": [secured],
    });
    proof_options.verification_method = &holder_method;
    proof_options.purpose = VerificationRelationship::Authentication;
    proof_options.challenge = Some("n-1");
    proof_options.domain = Some("verifier");
    let presentation = presentation.as_object().unwrap();
    let presented = data_integrity::add_proof(presentation, &suite, &proof_options, &holder_key).unwrap();
    let of_holder = expected(VerificationRelationship::Authentication, holder.as_str(), Some(("n-1", "verifier")));
    let verify = |presented: &Object| {
        data_integrity::verify(presented, &Cryptosuites::only(suite.clone()), &SelfContainedResolver, &of_holder)
    };
    assert_eq!(&verify(&presented).unwrap(), presentation);
    let tampered = with(&presented, |p| p["verifiableCredential"][0]["credentialSubject"]["grade"] = json!("1.0"));
    assert_eq!(code(verify(&tampered)), Code::SignatureInvalid);
    let unknown = with(&presented, |p| p["verifiableCredential"][0]["@context"][1] = json!("https://example.com/x"));
    assert_eq!(code(verify(&unknown)), Code::ContextUnknown);
    let without = with(&presented, |p| {
        p["verifiableCredential"][0].as_object_mut().unwrap().remove("@context");
    });
    assert!(verify(&without).is_err());
}

/// Every type of the catalogue can be secured.
#[test]
fn catalogue_examples() {
    let residence = include_str!("../../spec/types/residence-permit/example.json");
    for document in [credential(), object(residence)] {
        let proof = suite().create_proof(&document, options(), &key()).unwrap();
        assert!(suite().verify_proof(&document, &proof, &key().public_key()).is_ok());
    }
}
