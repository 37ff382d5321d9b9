//! Parameters: their form, pre-rotation, witnesses.

use super::*;

#[test]
fn parameters_are_those_of_the_specification() {
    type Edit = fn(&mut Value);
    let bad: [Edit; 19] = [
        |p| p["surprise"] = json!(1),
        |p| p["method"] = json!("did:webvh:2.0"),
        |p| p["method"] = json!("did:webvh:0.5"),
        |p| p["method"] = json!(null),
        |p| p["updateKeys"] = json!("z6Mk"),
        |p| p["updateKeys"] = json!([1]),
        |p| p["updateKeys"] = json!(["a", "a"]),
        |p| p["nextKeyHashes"] = json!(["a", "a"]),
        |p| p["watchers"] = json!({}),
        |p| p["portable"] = json!("true"),
        |p| p["deactivated"] = json!(0),
        |p| p["ttl"] = json!(-1),
        |p| p["ttl"] = json!(1.5),
        |p| p["witness"] = json!([]),
        |p| p["witness"] = json!({"threshold": 0, "witnesses": [{"id": Did::did_key(&public(9)).as_str()}]}),
        |p| p["witness"] = json!({"threshold": 2, "witnesses": [{"id": Did::did_key(&public(9)).as_str()}]}),
        |p| {
            let one = json!({"id": Did::did_key(&public(9)).as_str()});
            p["witness"] = json!({"threshold": 1, "witnesses": [one, one]});
        },
        |p| p["witness"] = json!({"threshold": 1, "witnesses": [{"id": "did:web:a.example"}]}),
        |p| p["witness"] = json!({"threshold": 1}),
    ];
    for (at, edit) in bad.iter().enumerate() {
        assert_eq!(code(with_second(|entry| edit(&mut entry["parameters"]))), Code::DidLogInvalid, "change {at}");
        assert_eq!(code(with_first(|entry| edit(&mut entry["parameters"]))), Code::DidLogInvalid, "change {at}, first");
    }
    for name in ["method", "scid", "updateKeys"] {
        let without = with_first(|entry| drop(entry["parameters"].as_object_mut().unwrap().remove(name)));
        assert_eq!(code(without), Code::DidLogInvalid, "{name}");
    }
    let scid = entry::hash(b"x");
    assert_eq!(code(with_second(|entry| entry["parameters"]["scid"] = json!(scid))), Code::DidLogInvalid);
    assert_eq!(code(with_second(|entry| entry["parameters"]["portable"] = json!(true))), Code::DidLogInvalid);
    let fine: [Edit; 5] = [
        |p| p["portable"] = json!(false),
        |p| p["witness"] = json!({}),
        |p| p["watchers"] = json!(["https://watcher.example"]),
        |p| p["ttl"] = json!(0),
        |p| p["method"] = json!("did:webvh:1.0"),
    ];
    for edit in fine {
        with_second(|entry| edit(&mut entry["parameters"])).unwrap();
        with_first(|entry| edit(&mut entry["parameters"])).unwrap();
    }
}

#[test]
fn null_is_the_default_of_a_parameter() {
    for name in ["nextKeyHashes", "watchers", "witness", "portable", "deactivated", "ttl"] {
        with_first(|entry| entry["parameters"][name] = json!(null)).unwrap();
        with_second(|entry| entry["parameters"][name] = json!(null)).unwrap();
    }
    let log = with_second(|entry| entry["parameters"]["ttl"] = json!(null)).unwrap();
    assert_eq!(log.ttl(), 3_600);
    // Nobody may sign the first entry then, or the third.
    let no_keys = |entry: &mut Value| entry["parameters"]["updateKeys"] = json!(null);
    assert_eq!(code(with_first(no_keys)), Code::MethodOfOther);
    assert_eq!(code(with_second(no_keys)), Code::MethodOfOther);
    for name in ["method", "scid", "surprise"] {
        let null = |entry: &mut Value| entry["parameters"][name] = json!(null);
        assert_eq!(code(with_first(null)), Code::DidLogInvalid, "{name}");
        assert_eq!(code(with_second(null)), Code::DidLogInvalid, "{name}");
    }
}

#[test]
fn null_ends_neither_pre_rotation_nor_witnesses_without_those_who_must_agree() {
    let (did, log) = inception(&[public(101)]);
    let mut entries = lines(&log);
    let first = entries[0]["versionId"].as_str().unwrap().to_owned();
    let second = |parameters: Value, key: u8| {
        let entry =
            json!({"versionTime": after(10).to_string(), "state": document(&did, &[2]), "parameters": parameters});
        remade(entry, 2, &first, &secret(key), after(10))
    };
    let ended = json!({"updateKeys": [public(101).to_multikey()], "nextKeyHashes": null});
    for (parameters, key, refused) in [
        (ended.clone(), 101, None),
        (ended, 100, Some(Code::MethodOfOther)),
        (json!({"updateKeys": null, "nextKeyHashes": null}), 100, Some(Code::MethodOfOther)),
        (json!({"nextKeyHashes": null}), 100, Some(Code::DidLogInvalid)),
    ] {
        entries.truncate(1);
        entries.push(second(parameters, key));
        assert_eq!(verify(&did, &text(&entries)).err().map(|problem| problem.code), refused, "{key}");
    }
    // The entry that ends witnessing needs the earlier witnesses.
    let ending = |file: &dyn Fn(&[String]) -> Value| witnessed_with(&json!(null), file);
    assert!(ending(&|ids| json!([vouched(&ids[2], &[201, 202])])).is_ok());
    assert_eq!(code(ending(&|ids| json!([vouched(&ids[1], &[201, 202])]))), Code::DidLogWitness);
}

#[test]
fn pre_rotation_binds_the_next_keys() {
    let (did, log) = inception(&[public(101), public(102)]);
    let before = verify(&did, &log).unwrap();
    let state = document(&did, &[2]);
    let (committed, other, next) = ([public(101)], [public(103)], [public(104)]);
    let with = |keys: Option<&[PublicKey]>, next: Option<&[PublicKey]>, signer: u8| {
        let change = LogUpdate { update_keys: keys, next_update_keys: next, ..change(10, &state) };
        append(&before, &log, &change, &secret(signer))
    };
    let rotated = with(Some(&committed), Some(&next), 101).unwrap();
    assert!(
        before.may_sign_next(&public(101)) && before.may_sign_next(&public(102)) && !before.may_sign_next(&public(100))
    );
    let open = verify(&created().0, &created().1).unwrap();
    assert!(open.may_sign_next(&public(100)) && !open.may_sign_next(&public(101)));
    // Ending pre-rotation is a change that must keep to it.
    assert!(with(Some(&committed), None, 101).is_ok());
    // Not committed to; no update keys; by the earlier key, which a thief may have; by nobody.
    assert_eq!(code(with(Some(&other), Some(&next), 103)), Code::DidLogInvalid);
    assert_eq!(code(with(None, Some(&next), 100)), Code::DidLogInvalid);
    assert_eq!(code(with(Some(&committed), Some(&next), 100)), Code::MethodOfOther);
    assert_eq!(code(with(Some(&[]), Some(&next), 100)), Code::MethodOfOther);
    // Without nextKeyHashes it would be open whether pre-rotation continues.
    let silent = json!({"versionTime": after(10).to_string(), "state": state,
        "parameters": {"updateKeys": [public(101).to_multikey()]}});
    let mut entries = lines(&log);
    let first = entries[0]["versionId"].as_str().unwrap().to_owned();
    entries.push(remade(silent, 2, &first, &secret(101), after(10)));
    assert_eq!(code(verify(&did, &text(&entries))), Code::DidLogInvalid);
    // And so on with the next.
    let before = verify(&did, &rotated).unwrap();
    let keys = [public(104)];
    let change = LogUpdate { update_keys: Some(&keys), next_update_keys: Some(&[]), ..change(20, &state) };
    let ended = append(&before, &rotated, &change, &secret(104)).unwrap();
    let before = verify(&did, &ended).unwrap();
    append(&before, &ended, &self::change(30, &state), &secret(104)).unwrap();
}

/// The three entries, of which the second one names witnesses 201 and 202, both needed; and a witness file.
fn witnessed(file: impl Fn(&[String]) -> Value) -> Result<WebVhLog, Problem> {
    witnessed_with(&json!({}), &file)
}

/// The same, where the third one says this of its witnesses.
fn witnessed_with(third: &Value, file: &dyn Fn(&[String]) -> Value) -> Result<WebVhLog, Problem> {
    witnessed_by(&[201, 202], 2, third, file)
}

/// The three entries, of which the second one names these witnesses with a threshold, and the third one `third`.
fn witnessed_by(
    seeds: &[u8],
    threshold: usize,
    third: &Value,
    file: &dyn Fn(&[String]) -> Value,
) -> Result<WebVhLog, Problem> {
    let (did, log) = three();
    let mut entries = lines(&log);
    let ids: Vec<Value> = seeds.iter().map(|seed| json!({"id": Did::did_key(&public(*seed)).as_str()})).collect();
    entries[1]["parameters"]["witness"] = json!({"threshold": threshold, "witnesses": ids});
    entries[2]["parameters"]["witness"] = third.clone();
    let before = entries[0]["versionId"].as_str().unwrap().to_owned();
    entries[1] = remade(entries[1].clone(), 2, &before, &secret(100), after(10));
    let before = entries[1]["versionId"].as_str().unwrap().to_owned();
    entries[2] = remade(entries[2].clone(), 3, &before, &secret(101), after(20));
    let chain = UnwitnessedLog::verify_entries(&did, text(&entries).as_bytes(), NOW, SKEW).unwrap();
    assert!(chain.needs_witnesses());
    let ids: Vec<String> = entries.iter().map(|entry| entry["versionId"].as_str().unwrap().to_owned()).collect();
    let file = file(&ids);
    let file = (!file.is_null()).then(|| file.to_string());
    chain.verify_witnesses(file.as_deref().map(str::as_bytes), NOW, SKEW)
}

fn vouched(id: &str, seeds: &[u8]) -> Value {
    let proofs: Vec<Value> = seeds
        .iter()
        .map(|seed| signed(&json!({"versionId": id}), &secret(*seed), after(25))["proof"].clone())
        .collect();
    json!({"versionId": id, "proof": proofs})
}

#[test]
fn witnesses_vouch_for_each_entry_that_needs_them() {
    // For the last one, and so for all before.
    assert!(witnessed(|ids| json!([vouched(&ids[2], &[201, 202])])).is_ok());
    assert!(witnessed(|ids| json!([vouched(&ids[2], &[201]), vouched(&ids[2], &[202])])).is_ok());
    assert!(witnessed(|ids| json!([vouched("4-x", &[9]), vouched(&ids[2], &[201, 202, 203])])).is_ok());
    let refused = |file: &dyn Fn(&[String]) -> Value| code(witnessed(file));
    assert_eq!(refused(&|_| Value::Null), Code::DidLogWitness);
    assert_eq!(refused(&|_| json!([])), Code::DidLogWitness);
    assert_eq!(refused(&|_| json!({})), Code::DidLogWitness);
    // One of two; the same one twice; a stranger; only for an earlier entry; only for one that is not in the log.
    assert_eq!(refused(&|ids| json!([vouched(&ids[2], &[201])])), Code::DidLogWitness);
    assert_eq!(refused(&|ids| json!([vouched(&ids[2], &[201, 201])])), Code::DidLogWitness);
    assert_eq!(refused(&|ids| json!([vouched(&ids[2], &[201, 203])])), Code::DidLogWitness);
    assert_eq!(refused(&|ids| json!([vouched(&ids[1], &[201, 202])])), Code::DidLogWitness);
    assert_eq!(refused(&|ids| json!([vouched(&ids[1], &[201, 202]), vouched(&ids[2], &[201])])), Code::DidLogWitness);
    assert_eq!(refused(&|_| json!([vouched("4-x", &[201, 202])])), Code::DidLogWitness);
    let large = format!("[\"{}\"]", "x".repeat(MAX_WITNESS_BYTES));
    let (did, log) = three();
    let chain = UnwitnessedLog::verify_entries(&did, log.as_bytes(), NOW, SKEW).unwrap();
    assert!(!chain.needs_witnesses());
    assert!(chain.verify_witnesses(Some(large.as_bytes()), NOW, SKEW).is_ok());
    assert_eq!(refused(&|_| json!("x".repeat(MAX_WITNESS_BYTES))), Code::TooLarge);
}

#[test]
fn a_bad_proof_beside_enough_counts_for_nothing() {
    type Fault = fn(&mut Value);
    let faults: [Fault; 9] = [
        // By another DID's key than its fragment says; by a DID that is no did:key; by nobody; for another purpose.
        |p| p["verificationMethod"] = json!(format!("{}#{}", Did::did_key(&public(203)), public(9).to_multikey())),
        |p| p["verificationMethod"] = json!("did:web:witness.example#k1"),
        |p| drop(p.as_object_mut().unwrap().remove("verificationMethod")),
        |p| p["verificationMethod"] = json!("witness"),
        |p| p["proofPurpose"] = json!("authentication"),
        |p| p["cryptosuite"] = json!("eddsa-rdfc-2022"),
        |p| p["created"] = json!("2026-11-20T00:00:00Z"),
        |p| p["proofValue"] = json!("z1"),
        |p| *p = json!("proof"),
    ];
    for (at, fault) in faults.into_iter().enumerate() {
        let file = |ids: &[String], seeds: &[u8]| {
            let mut record = vouched(&ids[2], seeds);
            fault(&mut record["proof"][0]);
            json!([record, vouched(&ids[2], &[204])])
        };
        let threshold =
            |seeds: &[u8], needed: usize| witnessed_by(&[201, 202, 203], needed, &json!({}), &|ids| file(ids, seeds));
        // The first of those that prove is the one with the fault.
        assert!(threshold(&[203, 201, 202], 2).is_ok(), "fault {at}");
        assert_eq!(code(threshold(&[203, 201, 202], 3)), Code::DidLogWitness, "fault {at}");
        assert_eq!(code(threshold(&[201, 202], 2)), Code::DidLogWitness, "fault {at}");
    }
    // Records that say nothing.
    for record in [json!(1), json!({}), json!({"versionId": 1}), json!({"versionId": "x"})] {
        let with = |ids: &[String]| json!([record, {"versionId": ids[2], "proof": 1}, vouched(&ids[2], &[201, 202])]);
        assert!(witnessed(with).is_ok(), "{record}");
    }
}

#[test]
fn as_many_proofs_as_witnesses_may_be_brought() {
    let seeds: Vec<u8> = (110..174).collect();
    let file = |count: usize| {
        let seeds = seeds.clone();
        move |ids: &[String]| json!([vouched(&ids[2], &seeds[..count])])
    };
    assert!(witnessed_by(&seeds, 64, &json!({}), &file(64)).is_ok());
    assert_eq!(code(witnessed_by(&seeds, 64, &json!({}), &file(63))), Code::DidLogWitness);
}
