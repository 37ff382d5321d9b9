//! Versions of a log: all of them, and the keys of those before the last.

use super::*;

#[test]
fn the_log_is_beside_where_a_document_would_be() {
    let (did, _) = created();
    let scid = did.method_specific_id().split(':').next().unwrap();
    assert_eq!(log_url(&did).unwrap(), "https://university.example/.well-known/did.jsonl");
    assert_eq!(witness_url(&did).unwrap(), "https://university.example/.well-known/did-witness.json");
    let deep = Did::parse(&format!("did:webvh:{scid}:localhost%3A8443:issuers:a")).unwrap();
    assert_eq!(log_url(&deep).unwrap(), "https://localhost:8443/issuers/a/did.jsonl");
    for bad in [
        "did:webvh:university.example".to_owned(),
        format!("did:webvh:{scid}"),
        format!("did:webvh:{}:university.example", &scid[1..]),
        format!("did:webvh:{scid}:127.0.0.1"),
        format!("did:webvh:{scid}:127%2E0%2E0%2E1"),
        format!("did:webvh:{scid}:a.example:..:b"),
        format!("did:webvh:{scid}:a.example:%2e%2e"),
        format!("did:webvh:{scid}:a.example%2Fb"),
        format!("did:webvh:0{}:a.example", &scid[1..]),
    ] {
        assert_eq!(code(Did::parse(&bad).and_then(|did| log_url(&did))), Code::DidMalformed, "{bad}");
    }
    assert_eq!(code(log_url(&Did::parse("did:web:a.example").unwrap())), Code::DidUnsupported);
}

#[test]
fn a_log_gives_every_version() {
    let (did, text) = three();
    let log = verify(&did, &text).unwrap();
    assert_eq!(log.versions().len(), 3);
    assert_eq!(log.ttl(), 3_600);
    for (at, version) in log.versions().iter().enumerate() {
        assert!(version.version_id().starts_with(&format!("{}-Qm", at + 1)));
        assert_eq!(log.version_by_id(version.version_id()).unwrap().version_time(), version.version_time());
        assert_eq!(log.version_at(version.version_time()).unwrap().version_id(), version.version_id());
        assert_eq!(log.version_at(version.version_time().plus(9)).unwrap().version_id(), version.version_id());
    }
    assert!(log.version_at(START.plus(-1)).is_none());
    assert!(log.version_by_id("3-x").is_none());
    assert_eq!(log.versions()[1].state(), &document(&did, &[1, 2]));
}

#[test]
fn a_key_of_an_earlier_version_is_for_what_was_signed_then() {
    let (did, text) = three();
    let document = verify(&did, &text).unwrap().document().unwrap();
    let (old, new) = (did.with_fragment("key-1").unwrap(), did.with_fragment("key-2").unwrap());
    assert_eq!(document.key_for(&new, VerificationRelationship::AssertionMethod).unwrap(), public(2));
    assert_eq!(code(document.key_for(&old, VerificationRelationship::AssertionMethod)), Code::MethodUnknown);
    let resolver = One(document);
    let historic = KeyHistoryResolver(&resolver).resolve(&did).unwrap();
    for (url, seed) in [(&old, 1), (&new, 2)] {
        assert_eq!(historic.key_for(url, VerificationRelationship::AssertionMethod).unwrap(), public(seed));
    }
    assert_eq!(historic.retired_at(&old), Some(after(20)));
    assert_eq!(historic.retired_at(&new), None);
    assert_eq!(code(historic.key_for(&old, VerificationRelationship::Authentication)), Code::MethodRelationship);
    assert_eq!(
        code(historic.key_for(&did.with_fragment("key-3").unwrap(), VerificationRelationship::AssertionMethod)),
        Code::MethodUnknown
    );
}

/// The log of documents in their order, a second apart.
fn history(states: &[fn(&Did) -> Value]) -> (Did, DidDocument) {
    let inception = NewWebVhDid {
        location: PLACE,
        version_time: START,
        update_key: &secret(100),
        next_update_keys: &[],
        ttl: None,
    };
    let (did, mut text) = create_did(&inception, &|did| states[0](did)).unwrap();
    for (at, state) in states.iter().enumerate().skip(1) {
        let state = state(&did);
        text = append(&verify(&did, &text).unwrap(), &text, &change(at as i64, &state), &secret(100)).unwrap();
    }
    let document = verify(&did, &text).unwrap().document().unwrap().with_history();
    (did, document)
}

#[test]
fn a_key_that_was_revoked_once_stays_revoked() {
    let revoked = |states: &[fn(&Did) -> Value]| {
        let (did, document) = history(states);
        let key = did.with_fragment("key-1").unwrap();
        let refused = document.key_for(&key, VerificationRelationship::AssertionMethod).is_err();
        assert_eq!(refused, document.revoked_at(&key).is_some());
        assert_eq!(refused, document.revoked_assertion_key(&key).is_ok());
        refused
    };
    assert!(!revoked(&[|did| document(did, &[1]), |did| document(did, &[2])]));
    assert!(revoked(&[|did| document(did, &[1]), |did| marked(did, &[1, 2])]));
    assert!(revoked(&[|did| document(did, &[1]), |did| marked(did, &[1, 2]), |did| document(did, &[2])]));
    assert!(revoked(&[|did| document(did, &[1]), |did| marked(did, &[1, 2]), |did| document(did, &[1, 2])]));
    // The same key under another name.
    assert!(revoked(&[
        |did| document(did, &[1]),
        |did| {
            let mut state = marked(did, &[1]);
            let id = json!(format!("{did}#other"));
            state["verificationMethod"][0]["id"] = id.clone();
            state["assertionMethod"] = json!([id]);
            state
        },
    ]));
}

/// The document of key 1 with a method that nobody uses, and that is marked or not.
fn beside(did: &Did, method: Value, mark: bool) -> Value {
    let mut state = document(did, &[1]);
    state["keyAgreement"] = json!([method]);
    if mark {
        state["keyAgreement"][0]["revoked"] = json!("2026-11-20T00:00:00Z");
    }
    state
}

#[test]
fn row_88_a_mark_of_an_earlier_version_in_a_method_that_is_unusable() {
    fn same_key(did: &Did, mark: bool) -> Value {
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": public(1).to_jwk()["x"], "use": "enc"});
        let method = json!({"id": "#other", "type": "JsonWebKey", "controller": did.as_str(), "publicKeyJwk": jwk});
        beside(did, method, mark)
    }
    fn same_id(did: &Did, mark: bool) -> Value {
        beside(did, json!({"id": format!("{did}#key-1"), "type": "Lost"}), mark)
    }
    let refused = |states: &[fn(&Did) -> Value]| {
        let (did, document) = history(states);
        let key = document.key_for(&did.with_fragment("key-1").unwrap(), VerificationRelationship::AssertionMethod);
        match key {
            Ok(key) => (key != public(1)).then_some(Code::MethodUnknown),
            Err(problem) => Some(problem.code),
        }
    };
    // The key stays in the document, or left it.
    for last in [(|did| document(did, &[1])) as fn(&Did) -> Value, |did| document(did, &[2])] {
        for (plain, marked) in [
            ((|did| same_key(did, false)) as fn(&Did) -> Value, (|did| same_key(did, true)) as fn(&Did) -> Value),
            (|did| same_id(did, false), |did| same_id(did, true)),
        ] {
            assert_eq!(refused(&[plain, last]), None);
            assert_eq!(refused(&[marked, last]), Some(Code::KeyInvalid));
        }
    }
}

#[test]
fn row_88_an_id_that_was_revoked_before_the_did_moved() {
    let key = |first: fn(&Did) -> Value| {
        let [new, _] = moved(true, first, also_known);
        let current = new.unwrap().document().unwrap();
        current.key_for(&current.did().with_fragment("key-1").unwrap(), VerificationRelationship::AssertionMethod)
    };
    fn same_id(did: &Did, mark: bool) -> Value {
        beside(did, json!({"id": format!("{did}#key-1"), "type": "Lost"}), mark)
    }
    assert_eq!(key(|did| same_id(did, false)).unwrap(), public(1));
    assert_eq!(code(key(|did| same_id(did, true))), Code::KeyInvalid);
}

#[test]
fn what_the_current_document_says_of_a_key_counts() {
    let (did, document) = history(&[
        |did| document(did, &[1]),
        |did| {
            let mut state = document(did, &[1]);
            state["assertionMethod"] = json!([]);
            state
        },
    ]);
    let key = did.with_fragment("key-1").unwrap();
    assert_eq!(code(document.key_for(&key, VerificationRelationship::AssertionMethod)), Code::MethodRelationship);
}

#[test]
fn a_name_that_stood_for_two_keys_stands_for_none() {
    fn renamed(did: &Did, seed: u8) -> Value {
        DidDocument::json_for_keys(did, &[("key-1".to_owned(), public(seed))])
    }
    let (did, document) = history(&[|did| renamed(did, 1), |did| renamed(did, 2), |did| document(did, &[3])]);
    let key = did.with_fragment("key-1").unwrap();
    assert_eq!(code(document.key_for(&key, VerificationRelationship::AssertionMethod)), Code::KeyInvalid);
    let (did, document) = history(&[|did| renamed(did, 1), |did| renamed(did, 2)]);
    let key = did.with_fragment("key-1").unwrap();
    assert_eq!(document.key_for(&key, VerificationRelationship::AssertionMethod).unwrap(), public(2));
}

#[test]
fn a_deactivated_did_gives_no_document_and_ends() {
    let (did, log) = created();
    let state = document(&did, &[1]);
    let before = verify(&did, &log).unwrap();
    assert!(before.document().is_ok());
    let ended = LogUpdate { deactivate: true, ..change(10, &state) };
    let text = append(&before, &log, &ended, &secret(100)).unwrap();
    let after = verify(&did, &text).unwrap();
    assert_eq!(code(after.document()), Code::DidDeactivated);
    assert!(before.may_sign_next(&public(100)) && !after.may_sign_next(&public(100)));
    assert_eq!(after.versions().len(), 2);
    assert_eq!(code(append(&after, &text, &change(20, &state), &secret(100))), Code::DidLogInvalid);
}

#[test]
fn documents_are_held_to_the_rules_in_every_version() {
    assert_eq!(code(with_second(|entry| entry["state"]["service"] = json!(1))), Code::DidDocumentInvalid);
    let unreadable = |entry: &mut Value| entry["state"]["verificationMethod"][0]["revoked"] = json!("yesterday");
    assert_eq!(code(with_second(unreadable)), Code::DidDocumentInvalid);
    assert_eq!(
        code(with_second(|entry| entry["state"]["verificationMethod"][0]["secretKeyMultibase"] = json!("z"))),
        Code::PrivateKeyExposed
    );
    assert_eq!(
        code(with_second(|entry| entry["state"]["id"] = json!("did:web:university.example"))),
        Code::DidUnsupported
    );
    assert_eq!(
        code(with_second(|entry| drop(entry["state"].as_object_mut().unwrap().remove("id")))),
        Code::DidLogInvalid
    );
    let scid = entry::hash(b"other");
    assert_eq!(
        code(with_second(|entry| entry["state"]["id"] = json!(format!("did:webvh:{scid}:university.example")))),
        Code::DidLogInvalid
    );
}

#[test]
fn a_method_without_a_controller_hinders_only_itself() {
    fn other(did: &Did, controlled: bool) -> Value {
        let mut state = document(did, &[1, 2]);
        if !controlled {
            state["verificationMethod"][0].as_object_mut().unwrap().remove("controller");
        }
        state
    }
    // In the version that counts, and in an earlier one: a key that one version made unusable is not taken from
    // another one.
    let states: [fn(&Did) -> Value; 3] = [|did| other(did, true), |did| other(did, false), |did| document(did, &[2])];
    for (states, refused) in [
        (&states[..1], None),
        (&states[1..2], Some(Code::MethodController)),
        (&states[..2], Some(Code::MethodController)),
        (&states[..], Some(Code::MethodController)),
    ] {
        let (did, document) = history(states);
        let first = document.key_for(&did.with_fragment("key-1").unwrap(), VerificationRelationship::AssertionMethod);
        assert_eq!(first.err().map(|problem| problem.code), refused);
        let second = document.key_for(&did.with_fragment("key-2").unwrap(), VerificationRelationship::AssertionMethod);
        assert_eq!(second.unwrap(), public(2));
    }
}

/// A log whose first entry is portable or not, and whose second one has the document under another name; under both
/// names.
fn moved(portable: bool, first: fn(&Did) -> Value, second: fn(&Did, &Did) -> Value) -> [Result<WebVhLog, Problem>; 2] {
    let inception = NewWebVhDid {
        location: PLACE,
        version_time: START,
        update_key: &secret(100),
        next_update_keys: &[],
        ttl: None,
    };
    let (did, log) = create_did(&inception, &|did| first(did)).unwrap();
    let mut entry = lines(&log).remove(0);
    entry["parameters"]["portable"] = json!(portable);
    entry.as_object_mut().unwrap().remove("proof");
    entry["versionId"] = json!(PLACEHOLDER);
    let entry = entry::replace_text(&entry, did.method_specific_id().split(':').next().unwrap(), PLACEHOLDER);
    let scid = entry::hash(&crate::json::canonicalize(&entry).unwrap());
    let old = Did::parse(&format!("did:webvh:{scid}:{PLACE}")).unwrap();
    let new = Did::parse(&format!("did:webvh:{scid}:college.example")).unwrap();
    let first = remade(entry::replace_text(&entry, PLACEHOLDER, &scid), 1, &scid, &secret(100), START);
    let entry = json!({"versionTime": after(10).to_string(), "parameters": {}, "state": second(&old, &new)});
    let second = remade(entry, 2, first["versionId"].as_str().unwrap(), &secret(100), after(10));
    let log = text(&[first, second]);
    [verify(&new, &log), verify(&old, &log)]
}

/// The document with key 1 under the new name, which says the old one.
fn also_known(old: &Did, new: &Did) -> Value {
    let mut state = document(new, &[1]);
    state["alsoKnownAs"] = json!([old.as_str()]);
    state
}

#[test]
fn a_did_moves_only_if_it_may_and_is_then_known_by_its_new_name() {
    let [new, old] = moved(true, |did| document(did, &[1]), also_known);
    let current = new.unwrap().document().unwrap();
    assert_eq!(
        current
            .key_for(&current.did().with_fragment("key-1").unwrap(), VerificationRelationship::AssertionMethod)
            .unwrap(),
        public(1)
    );
    assert_eq!(code(old), Code::DidLogInvalid);
    let [barred, _] = moved(false, |did| document(did, &[1]), also_known);
    assert_eq!(code(barred), Code::DidLogInvalid);
    let [silent, _] = moved(true, |did| document(did, &[1]), |_, new| document(new, &[1]));
    assert_eq!(code(silent), Code::DidLogInvalid);
}

#[test]
fn a_key_that_was_revoked_before_the_did_moved_stays_revoked() {
    let key = |first: fn(&Did) -> Value| {
        let [new, _] = moved(true, first, also_known);
        let current = new.unwrap().document().unwrap();
        let url = current.did().with_fragment("key-1").unwrap();
        (current.key_for(&url, VerificationRelationship::AssertionMethod), current.revoked_at(&url).is_some())
    };
    assert_eq!(key(|did| document(did, &[1])), (Ok(public(1)), false));
    let (refused, revoked) = key(|did| marked(did, &[1, 2]));
    assert!(revoked);
    assert_eq!(code(refused), Code::KeyInvalid);
    // Under another name then.
    let (refused, _) = key(|did| {
        let mut state =
            DidDocument::json_for_keys(did, &[("other".to_owned(), public(1)), ("key-2".to_owned(), public(2))]);
        state["verificationMethod"][0]["revoked"] = json!("2026-11-20T00:00:00Z");
        state
    });
    assert_eq!(code(refused), Code::KeyInvalid);
    // Another key's mark says nothing of this one.
    assert_eq!(key(|did| marked(did, &[2, 1])), (Ok(public(1)), false));
}
