use super::*;
use crate::{
    did::VerificationRelationship,
    format::CredentialFormat,
    presentation::create_data_integrity_presentation,
    secure::data_integrity::{Cryptosuite as _, ProofOptions, add_proof},
};

fn method(did: &str) -> String {
    format!("{did}#0")
}

pub(super) fn issued(world: &World, document: &Map<String, Value>) -> Value {
    let method = method(&world.did());
    let options = ProofOptions {
        verification_method: &method,
        purpose: VerificationRelationship::AssertionMethod,
        created: Some(world.now),
        expires: None,
        challenge: None,
        domain: None,
    };
    add_proof(document, &EddsaJcs2022, &options, &world.issuer).unwrap().into()
}

fn world() -> World {
    let mut world = World::new();
    world.query =
        json!({"credentials": [{"id": "permit", "format": "di_vc+jcs", "meta": {"type_values": [["Permit"]]}}]});
    world
}

fn show(world: &World, credential: &Value, nonce: &str, audience: &str) -> String {
    let holder = world.holder_did();
    create_data_integrity_presentation(
        std::slice::from_ref(credential),
        &holder,
        &method(&holder),
        nonce,
        audience,
        world.now,
        &world.holder,
    )
    .unwrap()
}

fn honest(world: &World) -> String {
    show(world, &issued(world, &world.document()), NONCE, AUDIENCE)
}

/// Changes the presentation's JSON, and signs it again if `sign` is set.
fn changed(
    world: &World,
    sign: Option<(Option<&str>, Option<Value>)>,
    change: impl FnOnce(&mut Map<String, Value>),
) -> String {
    let mut document: Map<String, Value> = serde_json::from_str(&honest(world)).unwrap();
    if let Some((challenge, domain)) = sign {
        document.remove("proof");
        change(&mut document);
        let holder = method(&world.holder_did());
        let mut options = object(json!({"type": "DataIntegrityProof", "cryptosuite": "eddsa-jcs-2022",
            "verificationMethod": holder, "proofPurpose": "authentication", "created": world.now.to_string()}));
        options.extend(challenge.map(|challenge| ("challenge".to_owned(), challenge.into())));
        options.extend(domain.map(|domain| ("domain".to_owned(), domain)));
        let proof = EddsaJcs2022.create_proof(&document, options, &world.holder).unwrap();
        document.insert("proof".into(), proof.into());
    } else {
        change(&mut document);
    }
    serde_json::to_string(&document).unwrap()
}

#[test]
fn an_honest_presentation_passes() {
    let world = world();
    let held = accepted(world.verify(&honest(&world)));
    assert_eq!(held["permit"][0].format, CredentialFormat::DiVcJcs);
    accepted(world.verify_alone(issued(&world, &world.document()).to_string().as_bytes()));
}

#[test]
fn row_36_a_bad_presentation_with_good_credentials() {
    let world = world();
    accepted(world.verify(&honest(&world)));
    let tampered = changed(&world, None, |document| drop(document.insert("id".into(), "urn:uuid:1".into())));
    refused(world.verify(&tampered), Code::SignatureInvalid);
    let unsigned = changed(&world, None, |document| drop(document.remove("proof")));
    refused(world.verify(&unsigned), Code::ProofMissing);
}

#[test]
fn row_37_the_challenge_is_absent() {
    let world = world();
    accepted(world.verify(&changed(&world, Some((Some(NONCE), Some(AUDIENCE.into()))), |_| {})));
    refused(world.verify(&changed(&world, Some((None, Some(AUDIENCE.into()))), |_| {})), Code::ChallengeMissing);
    refused(world.verify(&changed(&world, Some((Some(NONCE), None)), |_| {})), Code::DomainMissing);
}

#[test]
fn row_38_a_wrong_challenge() {
    let world = world();
    let credential = issued(&world, &world.document());
    accepted(world.verify(&show(&world, &credential, NONCE, AUDIENCE)));
    refused(world.verify(&show(&world, &credential, "another", AUDIENCE)), Code::ChallengeMismatch);
}

#[test]
fn row_39_a_superset_of_the_domain() {
    let world = world();
    let sign = |domain: Value| changed(&world, Some((Some(NONCE), Some(domain))), |_| {});
    accepted(world.verify(&sign(json!([AUDIENCE]))));
    refused(
        world.verify(&sign(json!([AUDIENCE, "decentralized_identifier:did:web:other.example"]))),
        Code::DomainMismatch,
    );
}

#[test]
fn row_40_another_holder_than_the_subject() {
    let world = world();
    let mut document = world.document();
    accepted(world.verify(&show(&world, &issued(&world, &document), NONCE, AUDIENCE)));
    document["credentialSubject"]["id"] = "did:web:somebody.example".into();
    refused(world.verify(&show(&world, &issued(&world, &document), NONCE, AUDIENCE)), Code::HolderMismatch);
}

#[test]
fn row_41_a_string_in_verifiable_credential() {
    let world = world();
    let sign = |credential: Value| {
        changed(&world, Some((Some(NONCE), Some(AUDIENCE.into()))), |document| {
            document.insert("verifiableCredential".into(), credential);
        })
    };
    let credential = issued(&world, &world.document());
    accepted(world.verify(&sign(json!([credential]))));
    refused(world.verify(&sign(json!([credential.to_string()]))), Code::MalformedValue);
    refused(world.verify(&sign(json!(credential.to_string()))), Code::MalformedValue);
}

/// An honest presentation whose `@context` is this, of a credential that has another one beside VCDM 2.0's.
fn with_contexts(world: &World, contexts: Value) -> (VerificationReport, Option<Verified<VerifiedCredentials>>) {
    let mut document = world.document();
    document["@context"] = json!([CONTEXT_V2, "https://university.example/ns/v1"]);
    let credential = issued(world, &document);
    world.verify(&changed(world, Some((Some(NONCE), Some(AUDIENCE.into()))), |presentation| {
        presentation.insert("verifiableCredential".into(), json!([credential]));
        presentation.insert("@context".into(), contexts);
    }))
}

#[test]
fn row_95_a_presentation_with_a_foreign_context() {
    let world = world();
    for known in ["https://university.example/ns/v1", "https://w3id.org/security/data-integrity/v2"] {
        accepted(with_contexts(&world, json!([CONTEXT_V2])));
        accepted(with_contexts(&world, json!([CONTEXT_V2, known])));
    }
    for foreign in ["https://attacker.example/v1", "https://www.w3.org/2018/credentials/v1", "", "urn:x"] {
        refused(with_contexts(&world, json!([CONTEXT_V2, foreign])), Code::ContextUnknown);
        refused(with_contexts(&world, json!([CONTEXT_V2, CONTEXT_V2, foreign])), Code::ContextUnknown);
    }
    refused(with_contexts(&world, json!(["https://university.example/ns/v1", CONTEXT_V2])), Code::ContextMissing);
}

#[test]
fn row_95_a_presentation_that_redefines_terms() {
    let world = world();
    accepted(with_contexts(&world, json!([CONTEXT_V2])));
    for inline in [
        json!({"holder": "https://attacker.example/somebody-else"}),
        json!({"@vocab": "https://attacker.example/"}),
        json!({}),
        json!(null),
        json!(["https://university.example/ns/v1"]),
        json!(1),
    ] {
        refused(with_contexts(&world, json!([CONTEXT_V2, inline])), Code::ContextUnknown);
    }
    // Not even one that the credential has as well: its type's schema knows no such context.
    let mut document = world.document();
    let inline = json!({"holder": "https://attacker.example/somebody-else"});
    document["@context"] = json!([CONTEXT_V2, inline]);
    let credential = issued(&world, &document);
    let shown = changed(&world, Some((Some(NONCE), Some(AUDIENCE.into()))), |presentation| {
        presentation.insert("verifiableCredential".into(), json!([credential]));
        presentation.insert("@context".into(), json!([CONTEXT_V2, inline]));
    });
    refused(world.verify(&shown), Code::ContextUnknown);
}

#[test]
fn a_presentation_holds_one_credential() {
    let world = world();
    let credential = issued(&world, &world.document());
    for credentials in [json!([]), json!([credential, credential])] {
        let shown = changed(&world, Some((Some(NONCE), Some(AUDIENCE.into()))), |document| {
            document.insert("verifiableCredential".into(), credentials);
        });
        refused(world.verify(&shown), Code::QueryUnmet);
    }
}

#[test]
fn row_48_a_stale_presentation() {
    let mut world = world();
    let shown = honest(&world);
    accepted(world.verify(&shown));
    world.now = world.now.plus(361);
    refused(world.verify(&shown), Code::KeyBindingStale);
}

#[test]
fn a_credential_in_a_presentation_is_verified_too() {
    let world = world();
    let mut credential = issued(&world, &world.document());
    accepted(world.verify(&show(&world, &credential, NONCE, AUDIENCE)));
    credential["credentialSubject"]["rightToWork"] = json!(false);
    refused(world.verify(&show(&world, &credential, NONCE, AUDIENCE)), Code::SignatureInvalid);
}
