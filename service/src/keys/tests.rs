//! The register through its life, on a disk.

use std::path::Path;

use carnet_core::{
    did::{
        Did, DidDocument, VerificationRelationship,
        webvh::{self, NewWebVhDid, UnwitnessedLog, WebVhLog},
    },
    json::{self, Limits},
    keys::{PublicKey, SecretKey, SignatureAlgorithm, Signer as _},
    time::Timestamp,
};
use serde_json::{Value, json};

use super::{
    FIRST_KEY_NAME, KeyRegister, KeyState, Keyring, KeysConfig, comparison, create_webvh, document,
    register::{self, KeyChangeError},
    require_listed,
    seal::{SecretForm, StoredSecret},
    single_key_file,
};
use crate::time;

const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

fn plain() -> KeysConfig {
    KeysConfig::default()
}

fn did() -> Did {
    Did::parse("did:web:uni.example").unwrap()
}

fn draw() -> SecretKey {
    SecretKey::generate(SignatureAlgorithm::EdDsa, &mut rand_core::OsRng)
}

fn add(register: &mut KeyRegister) -> Result<String, KeyChangeError> {
    let key = draw();
    register.add_next_key(key.public_key(), StoredSecret::seal(&key, SecretForm::Plain, &plain()).unwrap(), NOW)
}

fn states(register: &KeyRegister) -> Vec<(&str, KeyState)> {
    register.keys().iter().map(|key| (key.fragment(), key.state())).collect()
}

fn published(data: &Path) -> DidDocument {
    let text = std::fs::read(data.join("did.json")).unwrap();
    DidDocument::parse(&did(), &json::parse(&text, Limits::DOCUMENT).unwrap()).unwrap()
}

#[test]
fn a_key_is_next_then_active_then_retired_and_signs_only_in_between() {
    let dir = tempfile::tempdir().unwrap();
    let first = Keyring::create_register(dir.path(), SignatureAlgorithm::EdDsa, &plain()).unwrap();
    let mut register = KeyRegister::load(dir.path()).unwrap();
    assert_eq!(register.activate_next_key(NOW), Err(KeyChangeError::NoNext));
    assert_eq!(register.retire_key("key-1", None, NOW), Err(KeyChangeError::KeyIsActive("key-1".to_owned())));
    assert_eq!(register.mark_compromised("key-1", None, NOW), Err(KeyChangeError::KeyIsActive("key-1".to_owned())));
    assert_eq!(add(&mut register).unwrap(), "key-2");
    assert_eq!(add(&mut register), Err(KeyChangeError::NextExists("key-2".to_owned())));
    register.save(dir.path()).unwrap();
    // Not yet.
    let ring = Keyring::open(dir.path(), &plain()).unwrap();
    assert_eq!((ring.active_fragment(), ring.public_key()), ("key-1", first.clone()));
    drop(ring);
    register.activate_next_key(NOW).unwrap();
    register.save(dir.path()).unwrap();
    let ring = Keyring::open(dir.path(), &plain()).unwrap();
    assert_eq!(ring.active_fragment(), "key-2");
    assert_ne!(ring.public_key(), first);
    ring.public_key().verify(b"x", &ring.sign(b"x").unwrap()).unwrap();
    // The secret of the earlier key is erased from the disk.
    let text = std::fs::read_to_string(dir.path().join("keys.json")).unwrap();
    assert_eq!(text.matches("\"plain\"").count(), 1);
    assert_eq!(states(ring.register()), [("key-1", KeyState::Retired), ("key-2", KeyState::Active)]);
    // By its own document the service recognises the signatures of both.
    let own = ring.own_document(&did()).unwrap();
    let method = did().with_fragment("key-1").unwrap();
    assert_eq!(own.key_for(&method, VerificationRelationship::AssertionMethod).unwrap(), first);
    let acts: Vec<String> = register.history().iter().map(super::KeyEvent::to_line).collect();
    assert_eq!(acts.len(), 3, "{acts:?}");
}

#[test]
fn after_a_compromise_nothing_signs_until_another_key_is_active() {
    let dir = tempfile::tempdir().unwrap();
    Keyring::create_register(dir.path(), SignatureAlgorithm::Es256, &plain()).unwrap();
    let mut register = KeyRegister::load(dir.path()).unwrap();
    add(&mut register).unwrap();
    register.mark_compromised("key-1", Some("laptop stolen"), NOW).unwrap();
    register.save(dir.path()).unwrap();
    let Err(refused) = Keyring::open(dir.path(), &plain()) else { panic!("it signs") };
    assert!(refused.hint.contains("keys activate"), "{refused}");
    assert!(matches!(register.mark_compromised("key-1", None, NOW), Err(KeyChangeError::AlreadyInState(..))));
    register.activate_next_key(NOW).unwrap();
    register.save(dir.path()).unwrap();
    let ring = Keyring::open(dir.path(), &plain()).unwrap();
    assert_eq!(states(ring.register()), [("key-1", KeyState::Compromised), ("key-2", KeyState::Active)]);
    // It is no longer the service's own.
    let method = did().with_fragment("key-1").unwrap();
    assert!(ring.own_document(&did()).unwrap().key_for(&method, VerificationRelationship::AssertionMethod).is_err());
    assert!(register.history().iter().any(|act| act.to_line().contains("laptop stolen")));
}

#[test]
fn a_directory_with_one_key_goes_on_as_key_1() {
    let dir = tempfile::tempdir().unwrap();
    let key = single_key_file::create(dir.path(), SignatureAlgorithm::EdDsa);
    let ring = Keyring::open(dir.path(), &plain()).unwrap();
    assert_eq!((ring.active_fragment(), ring.public_key()), ("key-1", key.public_key()));
    drop(ring);
    assert!(
        Keyring::create_register(dir.path(), SignatureAlgorithm::EdDsa, &plain()).is_err(),
        "a key was overwritten"
    );
    let old = std::fs::read(dir.path().join("key.json")).unwrap();
    let mut register = KeyRegister::load(dir.path()).unwrap();
    add(&mut register).unwrap();
    register.save(dir.path()).unwrap();
    assert!(!dir.path().join("key.json").exists());
    assert_eq!(Keyring::open(dir.path(), &plain()).unwrap().public_key(), key.public_key());
    // A power cut before the old file was removed: the register counts, and the plain-text key is removed.
    let mode = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
    for (left, stays) in [(old.as_slice(), false), (b"{}", true)] {
        std::fs::write(dir.path().join("key.json"), left).unwrap();
        std::fs::set_permissions(dir.path().join("key.json"), mode(0o600)).unwrap();
        assert_eq!(Keyring::open(dir.path(), &plain()).unwrap().public_key(), key.public_key());
        assert_eq!(dir.path().join("key.json").exists(), stays);
    }
}

#[test]
fn keys_do_not_change_under_a_service_that_signs() {
    let dir = tempfile::tempdir().unwrap();
    Keyring::create_register(dir.path(), SignatureAlgorithm::EdDsa, &plain()).unwrap();
    let ring = Keyring::open(dir.path(), &plain()).unwrap();
    let refused = register::lock_exclusive(dir.path()).unwrap_err();
    assert!(refused.is_retryable && refused.hint.contains("Stop the service"), "{refused}");
    drop(ring);
    let lock = register::lock_exclusive(dir.path()).unwrap();
    assert!(Keyring::open(dir.path(), &plain()).is_err_and(|refused| refused.is_retryable));
    drop(lock);
    Keyring::open(dir.path(), &plain()).unwrap();
}

#[test]
fn a_register_that_cannot_be_is_refused_and_not_quoted() {
    let dir = tempfile::tempdir().unwrap();
    Keyring::create_register(dir.path(), SignatureAlgorithm::EdDsa, &plain()).unwrap();
    let path = dir.path().join("keys.json");
    let good: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut value = good.clone();
        change(&mut value);
        value.to_string()
    };
    let secret = good["keys"][0]["secret"]["plain"].as_str().unwrap().to_owned();
    let wrong: Vec<String> = vec![
        String::new(),
        "{}".to_owned(),
        changed(&|value| value["version"] = json!(2)),
        changed(&|value| value["keys"] = json!([])),
        changed(&|value| value["keys"][0]["name"] = json!("key-7")),
        changed(&|value| value["keys"][0]["state"] = json!("retired")),
        changed(&|value| value["keys"][0]["more"] = json!(1)),
        changed(&|value| value["keys"][0]["public"]["d"] = json!(secret)),
        changed(&|value| {
            let mut twin = value["keys"][0].clone();
            twin["name"] = json!("key-2");
            value["keys"].as_array_mut().unwrap().push(twin);
        }),
    ];
    for text in wrong {
        std::fs::write(&path, &text).unwrap();
        let Err(refused) = Keyring::open(dir.path(), &plain()) else { panic!("taken: {text}") };
        assert!(refused.message.contains("damaged") && !refused.to_string().contains(&secret), "{refused}");
    }
    std::fs::write(&path, good.to_string()).unwrap();
    Keyring::open(dir.path(), &plain()).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
    assert!(Keyring::open(dir.path(), &plain()).is_err_and(|refused| refused.hint.contains("chmod 600")));
}

#[test]
fn the_document_follows_the_register_and_keeps_what_is_not_about_keys() {
    let dir = tempfile::tempdir().unwrap();
    Keyring::create_register(dir.path(), SignatureAlgorithm::EdDsa, &plain()).unwrap();
    let mut register = KeyRegister::load(dir.path()).unwrap();
    assert!(document::update_document(dir.path(), &did(), &mut register, &plain(), true).unwrap());
    assert!(
        !document::update_document(dir.path(), &did(), &mut register, &plain(), true).unwrap(),
        "written though nothing changed"
    );
    // The operator's own additions.
    let path = dir.path().join("did.json");
    let mut by_hand: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let foreign = draw().public_key().to_multikey();
    let method =
        json!({"id": "#mail", "type": "Multikey", "controller": "did:web:uni.example", "publicKeyMultibase": foreign});
    by_hand["service"] = json!([{"id": "#status", "type": "StatusListAggregation", "serviceEndpoint": "https://uni.example/status/lists"}]);
    by_hand["verificationMethod"].as_array_mut().unwrap().push(method.clone());
    std::fs::write(&path, by_hand.to_string()).unwrap();
    add(&mut register).unwrap();
    document::update_document(dir.path(), &did(), &mut register, &plain(), true).unwrap();
    let now: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(now["service"], by_hand["service"]);
    assert_eq!(now["verificationMethod"].as_array().unwrap().len(), 3);
    assert!(now["verificationMethod"].as_array().unwrap().contains(&method));
    assert!(comparison::document_differences(&did(), &published(dir.path()), &register).is_empty());

    // A compromised key stays, marked, and is good for nothing by itself.
    register.mark_compromised("key-1", None, NOW).unwrap();
    assert_eq!(
        comparison::document_differences(&did(), &published(dir.path()), &register),
        ["key-1 is not marked as revoked"]
    );
    document::update_document(dir.path(), &did(), &mut register, &plain(), true).unwrap();
    assert!(comparison::document_differences(&did(), &published(dir.path()), &register).is_empty());
    let now: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(now["verificationMethod"][0]["revoked"], json!(NOW.to_string()));
    assert!(!now["authentication"].to_string().contains("key-1"));
    // Another DID's document is not written over.
    let other = Did::parse("did:web:other.example").unwrap();
    assert!(document::update_document(dir.path(), &other, &mut register, &plain(), true).is_err());
    assert_eq!(serde_json::from_slice::<Value>(&std::fs::read(&path).unwrap()).unwrap(), now);
}

#[test]
fn row_88_a_register_that_does_not_know_of_a_mark_in_another_method_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    Keyring::create_register(dir.path(), SignatureAlgorithm::EdDsa, &plain()).unwrap();
    let mut register = KeyRegister::load(dir.path()).unwrap();
    document::update_document(dir.path(), &did(), &mut register, &plain(), true).unwrap();
    let path = dir.path().join("did.json");
    let mut by_hand: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let mut jwk = register.keys()[0].public.to_jwk();
    jwk.insert("use".to_owned(), json!("enc"));
    by_hand["keyAgreement"] =
        json!([{"id": "#other", "type": "JsonWebKey", "controller": "did:web:uni.example", "publicKeyJwk": jwk}]);
    std::fs::write(&path, by_hand.to_string()).unwrap();
    document::update_document(dir.path(), &did(), &mut register, &plain(), true).unwrap();
    // Marked, it is newer than the register: the register's next act would sign with a key that is revoked.
    by_hand["keyAgreement"][0]["revoked"] = json!(NOW.to_string());
    let marked = by_hand.to_string();
    std::fs::write(&path, &marked).unwrap();
    let refused = document::update_document(dir.path(), &did(), &mut register, &plain(), true).unwrap_err();
    assert!(refused.message.contains("key-1 is revoked there"), "{}", refused.message);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), marked);
    // Also if the document no longer has another method of the key.
    by_hand["verificationMethod"] = json!([]);
    (by_hand["assertionMethod"], by_hand["authentication"]) = (json!([]), json!([]));
    std::fs::write(&path, by_hand.to_string()).unwrap();
    let refused = document::update_document(dir.path(), &did(), &mut register, &plain(), true).unwrap_err();
    assert!(refused.message.contains("key-1 is revoked there"), "{}", refused.message);
}

#[test]
fn the_log_of_a_did_webvh_has_every_version_and_catches_up() {
    let dir = tempfile::tempdir().unwrap();
    let render =
        |did: &Did, key: &PublicKey| DidDocument::json_for_keys(did, &[(FIRST_KEY_NAME.to_owned(), key.clone())]);
    let (did, state) =
        create_webvh(dir.path(), "uni.example:staff", SignatureAlgorithm::Es256, &plain(), &render).unwrap();
    let path = dir.path().join("did.jsonl");
    let read = || {
        let text = std::fs::read(&path).unwrap();
        UnwitnessedLog::verify_entries(&did, &text, time::now(), 60)
            .unwrap()
            .verify_witnesses(None, time::now(), 60)
            .unwrap()
    };
    assert_eq!(read().versions().len(), 1);
    let mut register = KeyRegister::load(dir.path()).unwrap();
    // The document beside it, and no entry for a change that is in the log already.
    document::update_document(dir.path(), &did, &mut register, &plain(), true).unwrap();
    let beside: Value = serde_json::from_slice(&std::fs::read(dir.path().join("did.json")).unwrap()).unwrap();
    assert_eq!((read().versions().len(), &beside), (1, &state));

    add(&mut register).unwrap();
    register.save(dir.path()).unwrap();
    assert!(document::update_document(dir.path(), &did, &mut register, &plain(), true).unwrap());
    assert!(!document::update_document(dir.path(), &did, &mut register, &plain(), true).unwrap());
    register.activate_next_key(NOW).unwrap();
    register.mark_compromised("key-1", None, NOW).unwrap();
    // A power cut after the document, and after the key for the entry that follows, and before the log.
    let keys = std::fs::read(dir.path().join("keys.json")).unwrap();
    let before = std::fs::read(&path).unwrap();
    register.save(dir.path()).unwrap();
    document::update_document(dir.path(), &did, &mut register, &plain(), true).unwrap();
    std::fs::write(&path, before).unwrap();
    assert_ne!(keys, std::fs::read(dir.path().join("keys.json")).unwrap());
    // A backup that is too new: its key may not sign, and the error says so. The one that belongs to the log
    // continues.
    let refused = document::update_document(dir.path(), &did, &mut register, &plain(), true).unwrap_err();
    assert!(refused.message.contains("may extend the DID log"), "{refused:?}");
    std::fs::write(dir.path().join("keys.json"), keys).unwrap();
    let mut register = KeyRegister::load(dir.path()).unwrap();
    register.activate_next_key(NOW).unwrap();
    register.mark_compromised("key-1", None, NOW).unwrap();
    // Nor without the lock, since the register changes as well.
    let refused = document::update_document(dir.path(), &did, &mut register, &plain(), false).unwrap_err();
    assert!(refused.message.contains("lacks the last change"), "{refused:?}");
    assert!(document::update_document(dir.path(), &did, &mut register, &plain(), true).unwrap());
    let log = read();
    assert_eq!(log.versions().len(), 3);
    assert!(comparison::document_differences(&did, &log.document().unwrap(), &register).is_empty());
    let revoked = log.document().unwrap().revoked_at(&did.with_fragment("key-1").unwrap());
    assert_eq!(revoked, Some(NOW));

    assert_pre_rotation(&did, &std::fs::read_to_string(&path).unwrap(), &KeyRegister::load(dir.path()).unwrap());

    // A tampered log is not touched.
    let text = std::fs::read_to_string(&path).unwrap().replace("key-2", "key-9");
    std::fs::write(&path, &text).unwrap();
    assert!(
        document::update_document(dir.path(), &did, &mut register, &plain(), true)
            .is_err_and(|error| error.message.contains("log"))
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

/// Each entry is signed by the one key that the entry before committed to, and the register has the secret of the key
/// that the last one commits to and of no other.
fn assert_pre_rotation(did: &Did, log: &str, register: &KeyRegister) {
    let mut before: Option<WebVhLog> = None;
    let mut text = String::new();
    for line in log.lines() {
        let entry: Value = serde_json::from_str(line).unwrap();
        let [key] = &entry["parameters"]["updateKeys"].as_array().unwrap()[..] else { panic!("not one key: {entry}") };
        let key = key.as_str().unwrap();
        assert_eq!(entry["proof"][0]["verificationMethod"], json!(format!("did:key:{key}#{key}")));
        assert_eq!(entry["parameters"]["nextKeyHashes"].as_array().unwrap().len(), 1);
        let key = PublicKey::from_multikey(key).unwrap();
        assert!(before.is_none_or(|before| before.may_sign_next(&key)), "{entry}");
        text.push_str(&format!("{line}\n"));
        let log = UnwitnessedLog::verify_entries(did, text.as_bytes(), time::now(), 60).unwrap();
        let log = log.verify_witnesses(None, time::now(), 60).unwrap();
        assert!(!log.may_sign_next(&key), "its own key may go on");
        before = Some(log);
    }
    let updater = register.log.as_ref().unwrap();
    assert!(before.unwrap().may_sign_next(&updater.public));
    assert!(updater.following.is_none());
}

#[test]
fn an_entry_that_a_power_cut_met_is_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    let render =
        |did: &Did, key: &PublicKey| DidDocument::json_for_keys(did, &[(FIRST_KEY_NAME.to_owned(), key.clone())]);
    let (did, _) = create_webvh(dir.path(), "uni.example", SignatureAlgorithm::EdDsa, &plain(), &render).unwrap();
    let settle = || {
        let mut register = KeyRegister::load(dir.path()).unwrap();
        document::update_document(dir.path(), &did, &mut register, &plain(), true).unwrap()
    };
    let mut register = KeyRegister::load(dir.path()).unwrap();
    add(&mut register).unwrap();
    // Cut after the following key was stored, and before its hash was: it is the one that the entry commits to.
    let following = draw();
    register.log.as_mut().unwrap().following = serde_json::from_value(json!({
        "public": following.public_key().to_jwk(),
        "secret": serde_json::to_value(StoredSecret::seal(&following, SecretForm::Plain, &plain()).unwrap()).unwrap(),
    }))
    .ok();
    register.save(dir.path()).unwrap();
    let cut = std::fs::read(dir.path().join("keys.json")).unwrap();
    assert!(settle());
    let log = || std::fs::read_to_string(dir.path().join("did.jsonl")).unwrap();
    assert_pre_rotation(&did, &log(), &KeyRegister::load(dir.path()).unwrap());
    assert_eq!(KeyRegister::load(dir.path()).unwrap().log.unwrap().public, following.public_key());
    // Cut after the entry was written, and before the used key was erased: that is done, and no entry is added.
    std::fs::write(dir.path().join("keys.json"), cut).unwrap();
    let entries = log();
    assert!(!settle());
    assert_eq!(log(), entries);
    assert_pre_rotation(&did, &entries, &KeyRegister::load(dir.path()).unwrap());
    let mut register = KeyRegister::load(dir.path()).unwrap();
    register.mark_compromised("key-2", None, NOW).unwrap();
    register.save(dir.path()).unwrap();
    assert!(settle());
    assert_eq!(log().lines().count(), 3);
    assert_pre_rotation(&did, &log(), &KeyRegister::load(dir.path()).unwrap());
}

#[test]
fn a_log_without_pre_rotation_gets_it_with_its_next_entry() {
    let dir = tempfile::tempdir().unwrap();
    let (update, key) = (draw(), draw());
    let keys = [(FIRST_KEY_NAME.to_owned(), key.public_key())];
    let inception = NewWebVhDid {
        location: "uni.example",
        version_time: time::now().plus(-9),
        update_key: &update,
        next_update_keys: &[],
        ttl: None,
    };
    let (did, text) = webvh::create_did(&inception, &|did| DidDocument::json_for_keys(did, &keys)).unwrap();
    std::fs::write(dir.path().join("did.jsonl"), text).unwrap();
    let secret = |key: &SecretKey| StoredSecret::seal(key, SecretForm::Plain, &plain()).unwrap();
    let mut register = KeyRegister::new(key.public_key(), secret(&key), NOW);
    // As it was written before there was pre-rotation.
    register.log = serde_json::from_value(json!({
        "public": update.public_key().to_jwk(), "secret": serde_json::to_value(secret(&update)).unwrap(),
    }))
    .ok();
    add(&mut register).unwrap();
    assert!(document::update_document(dir.path(), &did, &mut register, &plain(), true).unwrap());
    let log = std::fs::read_to_string(dir.path().join("did.jsonl")).unwrap();
    assert_eq!(log.lines().count(), 2);
    let second = log.lines().nth(1).unwrap();
    assert!(second.contains(&format!("#{}", update.public_key().to_multikey())) && second.contains("nextKeyHashes"));
    assert!(second.contains(&format!("\"updateKeys\":[\"{}\"]", update.public_key().to_multikey())));
    let read = || {
        let text = std::fs::read(dir.path().join("did.jsonl")).unwrap();
        UnwitnessedLog::verify_entries(&did, &text, time::now(), 60)
            .unwrap()
            .verify_witnesses(None, time::now(), 60)
            .unwrap()
    };
    assert!(!read().may_sign_next(&update.public_key()));
    // The old key is no longer on the disk, and the entry after that is by the committed key.
    let committed = KeyRegister::load(dir.path()).unwrap().log.unwrap().public;
    assert!(read().may_sign_next(&committed));
    register.mark_compromised("key-2", None, NOW).unwrap();
    assert!(document::update_document(dir.path(), &did, &mut register, &plain(), true).unwrap());
    let log = std::fs::read_to_string(dir.path().join("did.jsonl")).unwrap();
    assert!(log.lines().nth(2).unwrap().contains(&format!("#{}", committed.to_multikey())));
    assert_ne!(KeyRegister::load(dir.path()).unwrap().log.unwrap().public, committed);
}

#[test]
fn a_service_does_not_start_beside_a_document_that_does_not_fit() {
    let dir = tempfile::tempdir().unwrap();
    Keyring::create_register(dir.path(), SignatureAlgorithm::EdDsa, &plain()).unwrap();
    let ring = Keyring::open(dir.path(), &plain()).unwrap();
    assert!(require_listed(dir.path(), &did(), &ring).is_err_and(|refused| refused.message.contains("missing")));
    document::update_document(dir.path(), &did(), &mut KeyRegister::load(dir.path()).unwrap(), &plain(), true).unwrap();
    require_listed(dir.path(), &did(), &ring).unwrap();
    let other = draw().public_key();
    let text = DidDocument::json_for_keys(&did(), &[("key-1".to_owned(), other)]).to_string();
    std::fs::write(dir.path().join("did.json"), text).unwrap();
    assert!(require_listed(dir.path(), &did(), &ring).is_err_and(|refused| refused.message.contains("different key")));
}
