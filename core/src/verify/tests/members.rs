//! Members at the top that one format reads and another does not.

use super::{data_integrity::issued as secured, sd_jwt::*, *};
use crate::presentation::create_data_integrity_presentation;

/// The members that VCDM 2.0 defines and that the world's credential does not have.
fn more_of_vcdm(document: &mut Map<String, Value>) {
    let typed = || json!({"id": "https://issuer.example/1", "type": "Any"});
    for (name, value) in [
        ("id", json!("urn:uuid:3978344f-8596-4c3a-a978-8fcaba3903c5")),
        ("name", json!("A permit")),
        ("description", json!("It permits")),
        ("credentialSchema", typed()),
        ("refreshService", typed()),
        ("termsOfUse", typed()),
        ("evidence", json!([typed()])),
        ("relatedResource", json!({"id": "https://issuer.example/2", "digestSRI": "sha384-x"})),
        ("confidenceMethod", typed()),
        ("renderMethod", typed()),
    ] {
        document.insert(name.to_owned(), value);
    }
}

/// Members of the other formats, or of none.
const FOREIGN: [(&str, &str); 12] = [
    ("exp", "0"),
    ("nbf", "4102444800"),
    ("iat", "0"),
    ("iss", "\"did:web:other.example\""),
    ("sub", "\"did:web:other.example\""),
    ("aud", "\"did:web:other.example\""),
    ("jti", "\"1\""),
    ("cnf", "{\"jwk\": {}}"),
    ("vct", "\"urn:permit\""),
    ("vc", "{}"),
    ("_sd_alg", "\"sha-256\""),
    ("status", "{\"status_list\": {\"idx\": 0, \"uri\": \"https://issuer.example/1\"}}"),
];

fn foreign() -> impl Iterator<Item = (String, Value)> {
    FOREIGN.iter().map(|(name, text)| ((*name).to_owned(), serde_json::from_str(text).unwrap()))
}

#[test]
fn row_94_a_claim_of_a_token_in_a_data_integrity_credential() {
    let mut world = World::new();
    world.query =
        json!({"credentials": [{"id": "permit", "format": "di_vc+jcs", "meta": {"type_values": [["Permit"]]}}]});
    let holder = world.holder_did();
    let shown = |world: &World, document: &Map<String, Value>| {
        let (credential, method) = (secured(world, document), format!("{holder}#0"));
        let shown = create_data_integrity_presentation(
            std::slice::from_ref(&credential),
            &holder,
            &method,
            NONCE,
            AUDIENCE,
            world.now,
            &world.holder,
        )
        .unwrap();
        (world.verify(&shown), world.verify_alone(credential.to_string().as_bytes()))
    };
    let mut honest = world.document();
    let (presented, alone) = shown(&world, &honest);
    accepted(presented);
    accepted(alone);
    more_of_vcdm(&mut honest);
    let (presented, alone) = shown(&world, &honest);
    accepted(presented);
    accepted(alone);
    for (name, value) in
        foreign().chain([("holder".to_owned(), json!("did:web:a.example")), ("x".to_owned(), json!(1))])
    {
        let mut document = world.document();
        document.insert(name.clone(), value);
        let (presented, alone) = shown(&world, &document);
        refused(presented, Code::ClaimForbidden);
        refused(alone, Code::ClaimForbidden);
    }
}

#[test]
fn row_94_a_proof_in_an_sd_jwt() {
    let world = World::new();
    let alone = |document: &Map<String, Value>| world.verify_alone(issued(&world, "vc+sd-jwt", document).as_bytes());
    let honest = world.document();
    accepted(world.verify(&show(&world, &issued(&world, "vc+sd-jwt", &honest), &[RIGHT_TO_WORK])));
    accepted(alone(&honest));
    let mut whole = honest.clone();
    more_of_vcdm(&mut whole);
    for (name, value) in [
        ("iss", json!(world.did())),
        ("sub", json!(world.holder_did())),
        ("iat", json!(1_767_225_600)),
        ("nbf", json!(1_767_225_600)),
        ("exp", json!(1_798_761_600)),
    ] {
        whole.insert(name.into(), value);
    }
    accepted(alone(&whole));
    let proof = secured(&world, &honest)["proof"].clone();
    for (name, value) in [
        ("proof", proof),
        ("vct", json!("urn:permit")),
        ("vct#integrity", json!("sha256-WRRQ9PLFvTGwEKhXIZ6RCVRQXyNrAtbxGyZBLhGfKHo=")),
        ("aud", json!("did:web:other.example")),
        ("jti", json!("1")),
        ("holder", json!(world.holder_did())),
        ("verifiableCredential", json!([])),
        ("vp", json!({})),
        ("x", json!(1)),
    ] {
        let mut document = honest.clone();
        document.insert(name.into(), value);
        refused(alone(&document), Code::ClaimForbidden);
        refused(
            world.verify(&show(&world, &issued(&world, "vc+sd-jwt", &document), &[RIGHT_TO_WORK])),
            Code::ClaimForbidden,
        );
    }
}

#[test]
fn row_94_a_member_of_vcdm_in_an_sd_jwt_vc() {
    let mut world = World::new();
    world.query = json!({"credentials": [{"id": "permit", "format": "dc+sd-jwt", "meta": {"vct_values": ["urn:permit"]},
        "claims": [{"path": ["rightToWork"]}]}]});
    let honest = object(json!({
        "iss": world.did(), "vct": "urn:permit", "sub": world.holder_did(),
        "vct#integrity": "sha256-WRRQ9PLFvTGwEKhXIZ6RCVRQXyNrAtbxGyZBLhGfKHo=",
        "iat": 1_767_225_600, "nbf": 1_767_225_600, "exp": 1_798_761_600, "rightToWork": true, "permitType": "student",
    }));
    let alone = |payload: &Map<String, Value>| world.verify_alone(issued(&world, "dc+sd-jwt", payload).as_bytes());
    accepted(world.verify(&show(&world, &issued(&world, "dc+sd-jwt", &honest), &[&["rightToWork"]])));
    // Any other text there could be a mark.
    let mut marked = honest.clone();
    marked.insert("vct#integrity".into(), "sha256-x".into());
    refused(
        world.verify(&show(&world, &issued(&world, "dc+sd-jwt", &marked), &[&["rightToWork"]])),
        Code::ClaimUnrequested,
    );
    // Claims of types are at the top, and may have these names: a residence permit has the last two.
    let mut claims = honest.clone();
    for name in ["type", "name", "description", "validFrom", "validUntil"] {
        claims.insert(name.into(), "2030-01-01T00:00:00Z".into());
    }
    accepted(alone(&claims));
    for (name, value) in [
        ("proof", json!({"type": "DataIntegrityProof"})),
        ("@context", json!([CONTEXT_V2])),
        ("id", json!("did:web:other.example")),
        ("issuer", json!("did:web:other.example")),
        ("credentialSubject", json!({"id": "did:web:other.example"})),
        ("credentialStatus", entry_of_another()),
        ("credentialSchema", json!({"id": "https://issuer.example/1", "type": "Any"})),
        ("termsOfUse", json!({"type": "Any"})),
        ("vc", json!({})),
        ("aud", json!("did:web:other.example")),
        ("jti", json!("1")),
    ] {
        let mut payload = honest.clone();
        payload.insert(name.into(), value);
        refused(alone(&payload), Code::ClaimForbidden);
        refused(
            world.verify(&show(&world, &issued(&world, "dc+sd-jwt", &payload), &[&["rightToWork"]])),
            Code::ClaimForbidden,
        );
    }
}

fn entry_of_another() -> Value {
    json!({"type": "BitstringStatusListEntry", "statusPurpose": "revocation", "statusListIndex": "0",
        "statusListCredential": "https://issuer.example/status/revocation/0"})
}

#[test]
fn row_94_a_member_that_presentations_do_not_have() {
    let mut world = World::new();
    world.query =
        json!({"credentials": [{"id": "permit", "format": "di_vc+jcs", "meta": {"type_values": [["Permit"]]}}]});
    let shown = |name: &str, value: Value| {
        let mut document = object(json!({
            "@context": [CONTEXT_V2], "type": ["VerifiablePresentation"], "holder": world.holder_did(),
            "verifiableCredential": [secured(&world, &world.document())],
        }));
        document.insert(name.into(), value);
        let method = format!("{}#0", world.holder_did());
        let options = crate::secure::data_integrity::ProofOptions {
            verification_method: &method,
            purpose: crate::did::VerificationRelationship::Authentication,
            created: Some(world.now),
            expires: None,
            challenge: Some(NONCE),
            domain: Some(AUDIENCE),
        };
        let secured =
            crate::secure::data_integrity::add_proof(&document, &EddsaJcs2022, &options, &world.holder).unwrap();
        world.verify(&Value::Object(secured).to_string())
    };
    accepted(shown("id", json!("urn:uuid:3978344f-8596-4c3a-a978-8fcaba3903c5")));
    accepted(shown("termsOfUse", json!({"type": "Any"})));
    for (name, value) in foreign().chain([
        ("issuer".to_owned(), json!(world.did())),
        ("validUntil".to_owned(), json!("1970-01-01T00:00:00Z")),
        ("credentialSubject".to_owned(), json!({"id": "did:web:other.example"})),
        ("credentialStatus".to_owned(), entry_of_another()),
        ("vp".to_owned(), json!({})),
    ]) {
        refused(shown(&name, value), Code::ClaimForbidden);
    }
}
