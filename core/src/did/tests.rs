use serde_json::{Value, json};

use super::*;
use crate::{
    json as strict,
    keys::{SecretKey, SignatureAlgorithm, Signer as _},
    time::Timestamp,
};

fn key(seed: u8) -> PublicKey {
    SecretKey::from_bytes(SignatureAlgorithm::EdDsa, &[seed; 32]).unwrap().public_key()
}

fn web() -> Did {
    Did::parse("did:web:university.example").unwrap()
}

fn code<T: std::fmt::Debug>(result: Result<T, Problem>) -> Code {
    result.unwrap_err().code
}

fn rendered() -> Value {
    DidDocument::json_for_keys(&web(), &[("key-1".to_owned(), key(1)), ("key-2".to_owned(), key(2))])
}

fn ask(document: &Value, method: &str, purpose: VerificationRelationship) -> Result<PublicKey, Problem> {
    DidDocument::parse(&web(), document)?.key_for(&DidUrl::parse(method).unwrap(), purpose)
}

mod revocation;

const KEY_2: &str = "did:web:university.example#key-2";
const KEY_1: &str = "did:web:university.example#key-1";

#[test]
fn dids_and_did_urls_are_parsed() {
    for text in ["did:web:a.example", "did:web:localhost%3A8443:issuers:a", "did:a1:x:y::z", "did:example:a_b-c.d"] {
        let did = Did::parse(text).unwrap();
        assert_eq!(did.to_string(), text);
        assert_eq!(DidUrl::parse(&format!("{text}#k?/1")).unwrap().to_string(), format!("{text}#k?/1"));
    }
    assert_eq!((web().method(), web().method_name()), (DidMethod::Web, "web"));
    assert_eq!(Did::parse("did:example:a").unwrap().method(), DidMethod::Other);
    assert_eq!(web().method_specific_id(), "university.example");
    let long = format!("did:web:{}", "a".repeat(3_000));
    for text in [
        "",
        "did",
        "did:",
        "did:web",
        "did:web:",
        "did::a",
        "did:Web:a",
        "DID:web:a",
        "did:web:a:",
        "did:web:a/b",
        "did:web:a?b",
        "did:web:a#b",
        "did:web:a b",
        "did:web:é",
        "did:web:a%",
        "did:web:a%2",
        "did:web:a%zz",
        " did:web:a",
        "did:web:a\n",
        long.as_str(),
    ] {
        assert_eq!(code(Did::parse(text)), Code::DidMalformed, "{text}");
    }
    for text in [
        "did:web:a",
        "did:web:a#",
        "did:web:a/p#k",
        "did:web:a?q#k",
        "did:web:a#k#l",
        "did:web:a#k l",
        "#k",
        "did:web:a#%4",
    ] {
        assert_eq!(code(DidUrl::parse(text)), Code::DidMalformed, "{text}");
    }
}

#[test]
fn did_key_and_did_jwk_carry_their_document() {
    let p256 = SecretKey::from_bytes(SignatureAlgorithm::Es256, &[5; 32]).unwrap().public_key();
    for key in [key(1), p256] {
        let (did_key, did_jwk) = (Did::did_key(&key), Did::did_jwk(&key));
        let methods = [did_key.with_fragment(&key.to_multikey()).unwrap(), did_jwk.with_fragment("0").unwrap()];
        for (did, method) in [did_key, did_jwk].iter().zip(methods) {
            assert_eq!(&Did::parse(did.as_str()).unwrap(), did);
            for purpose in [VerificationRelationship::AssertionMethod, VerificationRelationship::Authentication] {
                let (url, found) = resolve_key(&SelfContainedResolver, &method.to_string(), purpose).unwrap();
                assert_eq!((url, found), (method.clone(), key.clone()));
                let other = did.with_fragment("1").unwrap().to_string();
                assert_eq!(code(resolve_key(&SelfContainedResolver, &other, purpose)), Code::MethodUnknown);
            }
        }
    }
    // did:jwk specification, example of P-256.
    let example = "did:jwk:eyJjcnYiOiJQLTI1NiIsImt0eSI6IkVDIiwieCI6ImFjYklRaXVNczNpOF91c3pFakoydHBUdFJNNEVVM3l6OTFQSDZDZEgyVjAiLCJ5IjoiX0tjeUxqOXZXTXB0bm1LdG00NkdxRHo4d2Y3NEk1TEtncmwyR3pIM25TRSJ9";
    let document = SelfContainedResolver.resolve(&Did::parse(example).unwrap()).unwrap();
    let key = document
        .key_for(&DidUrl::parse(&format!("{example}#0")).unwrap(), VerificationRelationship::AssertionMethod)
        .unwrap();
    assert_eq!(Did::did_jwk(&key).as_str(), example);
}

#[test]
fn did_key_and_did_jwk_are_refused_if_malformed() {
    let jwk = |text: &str| format!("did:jwk:{}", URL_SAFE_NO_PAD.encode(text));
    let good = Did::did_jwk(&key(1));
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(good.method_specific_id()).unwrap()).unwrap();
    for (did, expected) in [
        ("did:web:a.example".to_owned(), Code::DidUnsupported),
        ("did:peer:2abc".to_owned(), Code::DidUnsupported),
        ("did:key:6Mk".to_owned(), Code::DidMalformed),
        (format!("did:key:1.1:{}", key(1).to_multikey()), Code::DidMalformed),
        ("did:key:z6Mk".to_owned(), Code::KeyInvalid),
        ("did:jwk:a.b".to_owned(), Code::DidMalformed),
        (jwk("{"), Code::InvalidJson),
        (jwk("[]"), Code::KeyInvalid),
        (jwk(&text.replace('}', r#","d":"AA"}"#)), Code::PrivateKeyExposed),
        (jwk(&text.replace('}', r#","use":"enc"}"#)), Code::KeyInvalid),
        (jwk(&text.replace('}', r#","kty":"OKP"}"#)), Code::DuplicateKey),
    ] {
        assert_eq!(code(SelfContainedResolver.resolve(&Did::parse(&did).unwrap())), expected, "{did}");
    }
    assert!(SelfContainedResolver.resolve(&Did::parse(&jwk(&text.replace('}', r#","use":"sig"}"#))).unwrap()).is_ok());
}

#[test]
fn a_rendered_document_gives_its_keys() {
    let document = rendered();
    for purpose in [VerificationRelationship::AssertionMethod, VerificationRelationship::Authentication] {
        assert_eq!(ask(&document, KEY_1, purpose).unwrap(), key(1));
        assert_eq!(ask(&document, "did:web:university.example#key-2", purpose).unwrap(), key(2));
        assert_eq!(code(ask(&document, "did:web:university.example#key-3", purpose)), Code::MethodUnknown);
        assert_eq!(code(ask(&document, "did:web:other.example#key-1", purpose)), Code::MethodUnknown);
    }
}

#[test]
fn method_types_and_relative_ids() {
    let jwk = Value::Object(key(1).to_jwk());
    for (kind, name, value) in [
        ("JsonWebKey", "publicKeyJwk", jwk.clone()),
        ("JsonWebKey2020", "publicKeyJwk", jwk),
        ("Multikey", "publicKeyMultibase", json!(key(1).to_multikey())),
        ("Ed25519VerificationKey2020", "publicKeyMultibase", json!(key(1).to_multikey())),
    ] {
        for id in [KEY_1, "#key-1"] {
            let method = json!({"id": id, "type": kind, "controller": web().as_str(), name: value});
            let referenced =
                json!({"id": web().as_str(), "verificationMethod": [method], "assertionMethod": ["#key-1"]});
            let embedded = json!({"id": web().as_str(), "assertionMethod": [method]});
            for document in [referenced, embedded] {
                assert_eq!(ask(&document, KEY_1, VerificationRelationship::AssertionMethod).unwrap(), key(1));
                assert_eq!(
                    code(ask(&document, KEY_1, VerificationRelationship::Authentication)),
                    Code::MethodRelationship
                );
            }
        }
    }
}

#[test]
fn row_16_a_method_in_a_document_of_another_did() {
    assert!(ask(&rendered(), KEY_1, VerificationRelationship::AssertionMethod).is_ok());
    let mut document = rendered();
    document["verificationMethod"][0]["id"] = json!("did:web:other.example#key-1");
    document["assertionMethod"][0] = json!("did:web:other.example#key-1");
    assert_eq!(
        code(ask(&document, "did:web:other.example#key-1", VerificationRelationship::AssertionMethod)),
        Code::MethodUnknown
    );
}

#[test]
fn row_17_a_method_with_another_controller() {
    let mut document = rendered();
    assert!(ask(&document, KEY_1, VerificationRelationship::AssertionMethod).is_ok());
    document["verificationMethod"][0]["controller"] = json!("did:web:other.example");
    assert_eq!(code(ask(&document, KEY_1, VerificationRelationship::AssertionMethod)), Code::MethodController);
}

#[test]
fn row_18_a_key_listed_for_authentication_only() {
    let mut document = rendered();
    assert!(ask(&document, KEY_1, VerificationRelationship::AssertionMethod).is_ok());
    document["assertionMethod"] = json!(["did:web:university.example#key-2"]);
    assert_eq!(code(ask(&document, KEY_1, VerificationRelationship::AssertionMethod)), Code::MethodRelationship);
    assert!(ask(&document, KEY_1, VerificationRelationship::Authentication).is_ok());
    document.as_object_mut().unwrap().remove("assertionMethod");
    assert_eq!(code(ask(&document, KEY_1, VerificationRelationship::AssertionMethod)), Code::MethodRelationship);
}

#[test]
fn documents_that_break_a_rule_are_refused() {
    type Change = fn(&mut Value);
    let changes: [Change; 14] = [
        |d| *d = json!([]),
        |d| d["id"] = json!("did:web:university.example/"),
        |d| d["id"] = json!(null),
        |d| d["verificationMethod"][0]["revoked"] = json!("2030-01-01"),
        |d| d["verificationMethod"][0]["revoked"] = json!(true),
        |d| d["service"] = json!({"id": "#s", "type": "X", "serviceEndpoint": "https://a.example"}),
        |d| d["service"] = json!(["#s"]),
        |d| {
            d["service"] =
                json!([{"id": "#s", "type": "StatusListAggregation", "serviceEndpoint": "http://a.example/l"}])
        },
        |d| d["service"] = json!([{"id": "#s", "type": ["StatusListAggregation"]}]),
        |d| {
            let service =
                json!({"id": "#s", "type": "StatusListAggregation", "serviceEndpoint": "https://a.example/l"});
            d["service"] = json!([service, service]);
        },
        |d| d["service"] = signed_by(json!("lists.example")),
        |d| d["service"] = signed_by(json!(["did:web:lists.example"])),
        |d| d["service"] = signed_by(json!("did:web:lists.example#key-1")),
        |d| d["service"] = signed_by(json!(null)),
    ];
    for (at, change) in changes.iter().enumerate() {
        let mut document = rendered();
        change(&mut document);
        assert_eq!(code(DidDocument::parse(&web(), &document)), Code::DidDocumentInvalid, "change {at}");
    }
    let mut document = rendered();
    document["verificationMethod"] =
        (0..101).map(|n| json!({"id": format!("#{n}"), "type": "X", "controller": web().as_str()})).collect();
    assert_eq!(code(DidDocument::parse(&web(), &document)), Code::DidDocumentInvalid);
    // Those that are skipped count too.
    document["verificationMethod"] = (0..101).map(|n| json!(n)).collect();
    assert_eq!(code(DidDocument::parse(&web(), &document)), Code::DidDocumentInvalid);
    document["verificationMethod"] = (0..100).map(|n| json!(n)).collect();
    assert!(DidDocument::parse(&web(), &document).is_ok());
}

#[test]
fn bad_methods_hinder_only_themselves() {
    type Change = fn(&mut Value);
    let cases: [(Change, Code); 9] = [
        (|d| d["verificationMethod"][0] = json!("#key-1"), Code::MethodUnknown),
        (|d| d["verificationMethod"][0] = json!(null), Code::MethodUnknown),
        (|d| d["verificationMethod"][0]["id"] = json!(1), Code::MethodUnknown),
        (|d| d["verificationMethod"][0]["type"] = json!(["Multikey"]), Code::KeyInvalid),
        (|d| d["verificationMethod"][0]["type"] = json!(null), Code::KeyInvalid),
        (|d| d["verificationMethod"][0]["controller"] = json!(null), Code::MethodController),
        (|d| drop(d["verificationMethod"][0].as_object_mut().unwrap().remove("controller")), Code::MethodController),
        (|d| d["verificationMethod"][0]["expires"] = json!("tomorrow"), Code::KeyInvalid),
        (|d| d["assertionMethod"] = json!([1, null, {}, KEY_2]), Code::MethodRelationship),
    ];
    for (at, (change, refused)) in cases.into_iter().enumerate() {
        let mut document = rendered();
        change(&mut document);
        assert_eq!(code(ask(&document, KEY_1, VerificationRelationship::AssertionMethod)), refused, "change {at}");
        assert_eq!(ask(&document, KEY_2, VerificationRelationship::AssertionMethod).unwrap(), key(2), "change {at}");
        let parsed = DidDocument::parse(&web(), &document).unwrap();
        assert_eq!(parsed.assertion_methods(Timestamp::from_unix(0)).collect::<Vec<_>>(), [KEY_2], "change {at}");
    }
}

#[test]
fn an_id_that_two_methods_have_names_neither() {
    let mut twins = rendered();
    twins["verificationMethod"].as_array_mut().unwrap().push(rendered()["verificationMethod"][0].clone());
    twins["verificationMethod"][2]["publicKeyMultibase"] = json!(key(3).to_multikey());
    // One that is embedded beside the one it repeats, and one that is embedded under two relationships.
    let mut embedded = rendered();
    embedded["assertionMethod"] = json!([rendered()["verificationMethod"][0], KEY_2]);
    let method = rendered()["verificationMethod"][0].clone();
    let mut twice = rendered();
    twice["verificationMethod"] = json!([rendered()["verificationMethod"][1]]);
    twice["authentication"] = json!([method, KEY_2]);
    twice["assertionMethod"] = json!([method, KEY_2]);
    for document in [&twins, &embedded, &twice] {
        for purpose in [VerificationRelationship::AssertionMethod, VerificationRelationship::Authentication] {
            assert_eq!(code(ask(document, KEY_1, purpose)), Code::KeyInvalid, "{document}");
            assert_eq!(ask(document, KEY_2, purpose).unwrap(), key(2), "{document}");
        }
    }
    // Embedded once, it is one.
    twice["authentication"] = json!([KEY_2]);
    assert_eq!(ask(&twice, KEY_1, VerificationRelationship::AssertionMethod).unwrap(), key(1));
    // A mark in one of the twins is one of the key, also under another id.
    twins["verificationMethod"][1]["publicKeyMultibase"] = json!(key(3).to_multikey());
    assert_eq!(ask(&twins, KEY_2, VerificationRelationship::AssertionMethod).unwrap(), key(3));
    twins["verificationMethod"][2]["revoked"] = json!("2026-11-20T00:00:00Z");
    assert_eq!(code(ask(&twins, KEY_2, VerificationRelationship::AssertionMethod)), Code::KeyInvalid);
}

#[test]
fn a_relationship_that_is_no_array_lists_nothing() {
    for other in [json!(KEY_1), json!({}), json!(null), json!(1), rendered()["verificationMethod"][0].clone()] {
        let mut document = rendered();
        document["assertionMethod"] = other;
        assert_eq!(
            code(ask(&document, KEY_1, VerificationRelationship::AssertionMethod)),
            Code::MethodRelationship,
            "{document}"
        );
        assert_eq!(ask(&document, KEY_1, VerificationRelationship::Authentication).unwrap(), key(1), "{document}");
        document["verificationMethod"] = document["assertionMethod"].clone();
        assert_eq!(
            code(ask(&document, KEY_1, VerificationRelationship::Authentication)),
            Code::MethodUnknown,
            "{document}"
        );
    }
}

#[test]
fn a_secret_in_a_document_spoils_it() {
    let secret = |name: &str, value: Value| {
        let mut document = rendered();
        document["verificationMethod"][1][name] = value;
        code(DidDocument::parse(&web(), &document))
    };
    assert_eq!(secret("secretKeyMultibase", json!("z3u2")), Code::PrivateKeyExposed);
    assert_eq!(secret("privateKeyJwk", json!({})), Code::PrivateKeyExposed);
    assert_eq!(secret("publicKeyJwk", json!({"kty": "OKP", "d": "AA"})), Code::PrivateKeyExposed);
    // Also in skipped parts.
    for holder in ["verificationMethod", "assertionMethod", "authentication"] {
        let method = json!({"secretKeyMultibase": "z3u2"});
        for skipped in [json!([method]), method] {
            let mut document = rendered();
            document[holder] = skipped;
            assert_eq!(code(DidDocument::parse(&web(), &document)), Code::PrivateKeyExposed, "{document}");
        }
    }
}

#[test]
fn unusable_methods_hinder_only_themselves() {
    type Change = fn(&mut Value);
    let changes: [Change; 6] = [
        |m| m["type"] = json!("EcdsaSecp256k1VerificationKey2019"),
        |m| m["publicKeyMultibase"] = json!("z6Mk"),
        |m| m["revoked"] = json!("2030-01-01T00:00:00Z"),
        |m| m["publicKeyJwk"] = json!({}),
        |m| m["type"] = json!("JsonWebKey"),
        |m| drop(m.as_object_mut().unwrap().remove("publicKeyMultibase")),
    ];
    for change in changes {
        let mut document = rendered();
        change(&mut document["verificationMethod"][0]);
        assert_eq!(code(ask(&document, KEY_1, VerificationRelationship::AssertionMethod)), Code::KeyInvalid);
        assert!(ask(&document, "did:web:university.example#key-2", VerificationRelationship::AssertionMethod).is_ok());
    }
    let p256 = SecretKey::from_bytes(SignatureAlgorithm::Es256, &[5; 32]).unwrap().public_key();
    let mut document = rendered();
    document["verificationMethod"][0]["publicKeyMultibase"] = json!(p256.to_multikey());
    assert_eq!(ask(&document, KEY_1, VerificationRelationship::AssertionMethod).unwrap(), p256);
    document["verificationMethod"][0]["type"] = json!("Ed25519VerificationKey2020");
    assert_eq!(code(ask(&document, KEY_1, VerificationRelationship::AssertionMethod)), Code::KeyInvalid);
}

#[test]
fn a_key_ends_at_the_stated_second_and_not_after_it() {
    let mut document = rendered();
    document["verificationMethod"][0]["expires"] = json!("2030-01-01T00:00:00Z");
    let parsed = DidDocument::parse(&web(), &document).unwrap();
    let end = Timestamp::parse("2030-01-01T00:00:00Z").unwrap();
    let at = |key: &str, now: Timestamp, skew: i64| {
        let method = DidUrl::parse(key).unwrap();
        parsed.current_key_for(&method, VerificationRelationship::AssertionMethod, now, skew).map_err(|p| p.code)
    };
    for skew in [0, 60] {
        assert!(at(KEY_1, end.plus(skew - 1), skew).is_ok());
        assert_eq!(at(KEY_1, end.plus(skew), skew), Err(Code::KeyInvalid));
        assert!(parsed.assertion_methods(end.plus(-1)).any(|id| id == KEY_1));
        assert!(!parsed.assertion_methods(end).any(|id| id == KEY_1));
    }
    assert!(parsed.key_for(&DidUrl::parse(KEY_1).unwrap(), VerificationRelationship::AssertionMethod).is_ok());
    let endless = web().with_fragment("key-2").unwrap().to_string();
    assert!(at(&endless, end.plus(1_000_000), 0).is_ok());
}

#[test]
fn a_revoked_key_is_only_for_vouched_copies() {
    let mut document = rendered();
    document["verificationMethod"][0]["revoked"] = json!("2030-01-01T00:00:00Z");
    let parsed = DidDocument::parse(&web(), &document).unwrap();
    let (first, second) = (DidUrl::parse(KEY_1).unwrap(), web().with_fragment("key-2").unwrap());
    assert_eq!(parsed.revoked_at(&first).unwrap().to_string(), "2030-01-01T00:00:00Z");
    for purpose in [VerificationRelationship::AssertionMethod, VerificationRelationship::Authentication] {
        assert_eq!(code(parsed.key_for(&first, purpose)), Code::KeyInvalid);
        assert_eq!(parsed.key_for(&second, purpose).unwrap(), key(2));
    }
    assert_eq!(parsed.revoked_assertion_key(&first).unwrap(), key(1));
    assert!(parsed.revoked_at(&second).is_none());
    assert_eq!(code(parsed.revoked_assertion_key(&second)), Code::KeyInvalid);
    // Under another id it is the same key.
    let mut twice = DidDocument::json_for_keys(&web(), &[("key-1".to_owned(), key(1)), ("again".to_owned(), key(1))]);
    twice["verificationMethod"][0]["revoked"] = json!("2030-01-01T00:00:00Z");
    let again = "did:web:university.example#again";
    assert_eq!(code(ask(&twice, again, VerificationRelationship::AssertionMethod)), Code::KeyInvalid);
    twice["verificationMethod"][0].as_object_mut().unwrap().remove("revoked");
    assert_eq!(ask(&twice, again, VerificationRelationship::AssertionMethod).unwrap(), key(1));
    // Not listed for assertion, it never made a copy.
    document["assertionMethod"] = json!([]);
    let parsed = DidDocument::parse(&web(), &document).unwrap();
    assert_eq!(code(parsed.revoked_assertion_key(&first)), Code::MethodRelationship);
}

/// The service of status lists with a second signer.
fn signed_by(issuer: Value) -> Value {
    json!([{"id": "#s", "type": "StatusListAggregation", "serviceEndpoint": "https://a.example/l", "statusListIssuer": issuer}])
}

#[test]
fn a_document_names_who_signs_its_status_lists() {
    let mut document = rendered();
    document["service"] = signed_by(json!("did:web:lists.example"));
    let parsed = DidDocument::parse(&web(), &document).unwrap();
    assert_eq!(parsed.status_list_issuer().map(Did::as_str), Some("did:web:lists.example"));
    assert_eq!(parsed.status_lists_url(), Some("https://a.example/l"));
    let nobody = DidDocument::with_status_lists(&web(), rendered(), "https://a.example/l");
    assert!(DidDocument::parse(&web(), &nobody).unwrap().status_list_issuer().is_none());
}

#[test]
fn a_document_names_its_status_lists() {
    let lists = "https://university.example/status/lists";
    let parsed = DidDocument::parse(&web(), &DidDocument::with_status_lists(&web(), rendered(), lists)).unwrap();
    assert_eq!(parsed.status_lists_url(), Some(lists));
    assert_eq!(
        parsed.key_for(&DidUrl::parse(KEY_1).unwrap(), VerificationRelationship::AssertionMethod).unwrap(),
        key(1)
    );
    assert!(DidDocument::parse(&web(), &rendered()).unwrap().status_lists_url().is_none());
    let mut other = rendered();
    other["service"] = json!([{"id": "#x", "type": "LinkedDomains", "serviceEndpoint": {"origins": []}}]);
    assert!(DidDocument::parse(&web(), &other).unwrap().status_lists_url().is_none());
    // Setting the service again replaces it, and keeps the others.
    let once = DidDocument::with_status_lists(&web(), other, "https://old.example/lists");
    let twice = DidDocument::with_status_lists(&web(), once, lists);
    assert_eq!(DidDocument::parse(&web(), &twice).unwrap().status_lists_url(), Some(lists));
    assert_eq!((twice["service"].as_array().unwrap().len(), &twice["service"][0]["id"]), (2, &json!("#x")));
}

#[test]
fn did_web_has_an_https_address() {
    for (did, expected) in [
        ("did:web:university.example", "https://university.example/.well-known/did.json"),
        ("did:web:localhost%3A8443", "https://localhost:8443/.well-known/did.json"),
        ("did:web:localhost%3a8443:issuers:a", "https://localhost:8443/issuers/a/did.json"),
        ("did:web:xn--bcher-kva.example:a-b_c.d:%C3%A9", "https://xn--bcher-kva.example/a-b_c.d/%C3%A9/did.json"),
        ("did:web:3com.example", "https://3com.example/.well-known/did.json"),
    ] {
        assert_eq!(web::document_url(&Did::parse(did).unwrap()).unwrap(), expected);
    }
    assert_eq!(code(web::document_url(&Did::did_key(&key(1)))), Code::DidUnsupported);
}

#[test]
fn row_73_a_did_web_that_is_an_address_or_climbs() {
    assert!(web::document_url(&Did::parse("did:web:a.example:b").unwrap()).is_ok());
    for id in [
        "127.0.0.1",
        "127.0.0.1%3A8443",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0x7f000001",
        "0177.0.0.1",
        "a.0x7f",
        "%5B%3A%3A1%5D",
        "169.254.169.254",
        "A.example",
        "a..example",
        ".example",
        "a.example.",
        "-a.example",
        "a-.example",
        "a_b.example",
        "a.example%3A",
        "a.example%3A0",
        "a.example%3A080",
        "a.example%3A65536",
        "a.example%3A+80",
        "a.example%3A80%3A81",
        "a.example%2F",
        "a%40b.example",
        "user%3Apw%40a.example",
        "a.example::b",
        "a.example:..:b",
        "a.example:.",
        "a.example:%2e%2e:b",
        "a.example:b%2Fc",
        "a.example:b%5cc",
        "a.example:b%3Fc",
        "a.example:b%23c",
        "a.example:b%00",
        "a.example:%252e",
    ] {
        let did = Did::parse(&format!("did:web:{id}"));
        assert_eq!(code(did.and_then(|did| web::document_url(&did))), Code::DidMalformed, "{id}");
    }
    let long = format!("did:web:{}.example", "a".repeat(64));
    assert_eq!(code(web::document_url(&Did::parse(&long).unwrap())), Code::DidMalformed);
}

/// Peer output: the documents that another implementation makes of a did:key.
#[test]
#[cfg_attr(not(carnet_vectors), ignore = "CARNET_VECTORS is not set")]
fn did_key_documents_of_a_peer() {
    let path = std::path::Path::new(&std::env::var_os("CARNET_VECTORS").unwrap())
        .join("generated-npm/did-key-multikey-documents.json");
    let file = strict::parse(&std::fs::read(path).unwrap(), strict::Limits::DOCUMENT).unwrap();
    let mut usable = 0;
    for (did, document) in file["documents"].as_object().unwrap() {
        let did = Did::parse(did).unwrap();
        let theirs = DidDocument::parse(&did, document).unwrap();
        let method = DidUrl::parse(document["verificationMethod"][0]["id"].as_str().unwrap()).unwrap();
        let ours = SelfContainedResolver.resolve(&did).unwrap();
        for purpose in [VerificationRelationship::AssertionMethod, VerificationRelationship::Authentication] {
            let key = ours.key_for(&method, purpose).unwrap();
            assert_eq!(key, theirs.key_for(&method, purpose).unwrap());
            assert_eq!(Did::did_key(&key), did);
        }
        usable += 1;
    }
    assert_eq!(usable, 5);
}

#[test]
fn the_keys_that_may_sign_now_are_known() {
    let at = Timestamp::from_unix(1_800_000_000);

    let keys: Vec<_> = (1..=5).map(|seed| (format!("key-{seed}"), key(seed))).collect();
    let mut document = DidDocument::json_for_keys(&web(), &keys);
    let named = |document: &Value| {
        let parsed = DidDocument::parse(&web(), document).unwrap();
        parsed.assertion_methods(at).map(|id| id.rsplit('#').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(named(&document), ["key-1", "key-2", "key-3", "key-4", "key-5"]);
    document["verificationMethod"][0]["revoked"] = json!("2026-01-01T00:00:00Z");
    document["verificationMethod"][1]["expires"] = json!("2026-01-01T00:00:00Z");
    document["verificationMethod"][2]["type"] = json!("Unknown");
    document["assertionMethod"].as_array_mut().unwrap().remove(3);
    assert_eq!(named(&document), ["key-5"]);
}
