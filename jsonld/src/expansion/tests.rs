//! The conversion with compiled contexts against the general algorithm: where the first converts a document, the second
//! has to give the same dataset.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use base16ct::lower::encode_string as hex;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::*;
use crate::{
    canonical::{HashAlgorithm, canonicalize},
    document::check_and_serialize,
    rdf::{compile_context, to_quads_generally},
};

type Examples = Vec<(String, Map<String, Value>)>;

/// Returns the contexts of the catalogue in this repository, and its worked examples with their names.
fn catalogue() -> (Contexts, Examples) {
    let mut contexts = Vec::new();
    let mut examples = Vec::new();
    for folder in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../spec/types")).unwrap() {
        let folder = folder.unwrap().path();
        let text = std::fs::read_to_string(folder.join("context.jsonld")).unwrap();
        let example: Value =
            serde_json::from_str(&std::fs::read_to_string(folder.join("example.json")).unwrap()).unwrap();
        let example = example.as_object().unwrap().clone();
        let url = example.get("@context").and_then(|all| all.get(1)).and_then(Value::as_str).unwrap().to_owned();
        let digest = hex(&Sha256::digest(&text));
        contexts.push((url, text, digest));
        examples.push((folder.file_name().unwrap().to_string_lossy().into_owned(), example));
    }
    examples.sort_by(|one, other| one.0.cmp(&other.0));
    (Contexts::new(&contexts).unwrap(), examples)
}

/// Converts a document in both ways, and returns whether the conversion with compiled contexts was possible; fails if
/// the results differ.
fn converts_alike(document: &Map<String, Value>, contexts: &Contexts) -> bool {
    let Ok((plain, text)) = check_and_serialize(document, contexts) else { return false };
    if compile_context(&plain, contexts).is_err() {
        return false;
    }
    let Ok(compiled) = to_quads(&plain, contexts, true) else { return false };
    assert_eq!(to_quads(&plain, contexts, false).unwrap().len(), compiled.len(), "what is compiled stays in memory");
    let general = to_quads_generally(&text, contexts).unwrap_or_else(|problem| panic!("{problem}: {text}"));
    let canonical = |quads: &[Quad]| canonicalize(quads, HashAlgorithm::Sha256).unwrap();
    assert_eq!(canonical(&compiled), canonical(&general), "{text}");
    true
}

#[test]
fn every_example_and_its_proof_options_are_converted_with_compiled_contexts() {
    let (contexts, examples) = catalogue();
    assert!(examples.len() >= 12, "{}", examples.len());
    for (name, example) in &examples {
        assert!(converts_alike(example, &contexts), "{name}");
        let options = json!({"@context": example.get("@context"), "type": "DataIntegrityProof",
            "cryptosuite": "eddsa-rdfc-2022", "created": "2026-12-01T09:00:00Z", "proofPurpose": "assertionMethod",
            "verificationMethod": "did:web:university.example#key-1", "challenge": "c", "domain": "agency.example"});
        assert!(converts_alike(options.as_object().unwrap(), &contexts), "{name}");
    }
}

#[test]
fn credentials_in_presentations_and_status_lists_are_converted_with_compiled_contexts() {
    let (contexts, examples) = catalogue();
    let mut credential = examples.first().unwrap().1.clone();
    let proof = json!({"type": "DataIntegrityProof", "cryptosuite": "eddsa-rdfc-2022", "proofValue": "z1",
        "verificationMethod": "did:web:university.example#key-1", "proofPurpose": "assertionMethod"});
    credential.insert("proof".to_owned(), proof);
    let presentation = json!({"@context": ["https://www.w3.org/ns/credentials/v2"], "type": "VerifiablePresentation",
        "holder": "did:web:holder.example", "verifiableCredential": [credential]});
    assert!(converts_alike(presentation.as_object().unwrap(), &contexts));
    let list = json!({"@context": ["https://www.w3.org/ns/credentials/v2"], "id": "https://university.example/status/1",
        "type": ["VerifiableCredential", "BitstringStatusListCredential"], "issuer": "did:web:university.example",
        "credentialSubject": {"id": "https://university.example/status/1#list", "type": "BitstringStatusList",
            "statusPurpose": "revocation", "encodedList": "uH4sIAAAAAAAAA"}});
    assert!(converts_alike(list.as_object().unwrap(), &contexts));
}

/// Values that take the place of each member.
fn replacements() -> Vec<Value> {
    vec![
        json!("text"),
        json!("https://example.org/a"),
        json!("urn:a b"),
        json!("relative/path"),
        json!("QualificationCredential"),
        json!("schema:name"),
        json!("2026-12-01"),
        json!(7),
        json!(-7),
        json!(7.5),
        json!(9_007_199_254_740_993_i64),
        json!(u64::MAX),
        json!(true),
        json!({"id": "https://example.org/a"}),
        json!({"id": "https://example.org/a", "type": "VerifiableCredential"}),
        json!({"type": "QualificationCredential", "issuer": "did:web:a.example"}),
        json!({"name": "text"}),
        json!({"@value": "text", "@language": "en"}),
        json!({}),
        json!(["one", "two"]),
        json!([{"name": "one"}, {"name": "two"}]),
        json!([{"id": "https://example.org/a"}, 7]),
    ]
}

/// Calls `visit` with each document that has one member changed, at any depth.
fn each_change(value: &Value, visit: &mut dyn FnMut(Value), names: &[String]) {
    match value {
        Value::Object(members) => {
            for (name, member) in members.iter().filter(|(name, _)| *name != "@context") {
                let with = |changed: Option<(&str, Value)>| {
                    let mut copy = members.clone();
                    copy.remove(name);
                    if let Some((name, value)) = changed {
                        copy.insert(name.to_owned(), value);
                    }
                    Value::Object(copy)
                };
                visit(with(None));
                for replacement in replacements() {
                    visit(with(Some((name, replacement))));
                }
                for other in names {
                    visit(with(Some((other, member.clone()))));
                }
                each_change(member, &mut |changed| visit(with(Some((name, changed)))), names);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let visit_item = &mut |changed| {
                    let mut copy = items.clone();
                    if let Some(item) = copy.get_mut(index) {
                        *item = changed;
                    }
                    visit(Value::Array(copy));
                };
                each_change(item, visit_item, names);
            }
        }
        _ => {}
    }
}

#[test]
fn changed_documents_are_converted_alike_or_left_to_the_general_algorithm() {
    let (contexts, examples) = catalogue();
    let names: Vec<String> = [
        "id",
        "type",
        "proof",
        "evidence",
        "credentialStatus",
        "relatedResource",
        "issuer",
        "name",
        "termsOfUse",
        "refreshService",
        "validFrom",
        "verifiableCredential",
        "holder",
        "title",
        "digestSRI",
    ]
    .map(str::to_owned)
    .to_vec();
    let (mut tried, mut converted) = (0_usize, 0_usize);
    for (_, example) in &examples {
        each_change(
            &Value::Object(example.clone()),
            &mut |changed| {
                tried = tried.saturating_add(1);
                converted =
                    converted.saturating_add(usize::from(converts_alike(changed.as_object().unwrap(), &contexts)));
            },
            &names,
        );
    }
    println!("{tried} documents, {converted} of them converted with compiled contexts");
    assert!(tried > 500 && converted > tried / 3 && converted < tried, "{tried}, {converted}");
}
