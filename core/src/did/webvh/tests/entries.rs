//! Entries: their signers, hashes, order and times.

use super::*;

#[test]
fn row_83_a_log_entry_that_nobody_signed() {
    let (did, log) = three();
    assert!(verify(&did, &log).is_ok());
    for at in 0..3 {
        for proof in [None, Some(json!([])), Some(json!(null)), Some(json!({}))] {
            let mut entries = lines(&log);
            let members = entries[at].as_object_mut().unwrap();
            members.remove("proof");
            let expected = match &proof {
                None => Code::ProofMissing,
                Some(Value::Array(_)) => Code::ProofMissing,
                Some(_) => Code::ProofMalformed,
            };
            if let Some(proof) = proof {
                members.insert("proof".into(), proof);
            }
            assert_eq!(code(verify(&did, &text(&entries))), expected, "entry {at}");
        }
    }
}

#[test]
fn entries_by_keys_that_may_not_update_are_refused() {
    let (did, log) = three();
    let by = |at: usize, key: &SecretKey| {
        let mut entries = lines(&log);
        entries[at].as_object_mut().unwrap().remove("proof");
        entries[at] = signed(&entries[at], key, after(10));
        verify(&did, &text(&entries))
    };
    assert!(by(1, &secret(100)).is_ok());
    assert!(by(2, &secret(101)).is_ok());
    // A stranger; the key that signs credentials; the earlier update key; the one that this entry itself brings.
    for (at, seed) in [(0, 55), (0, 1), (0, 101), (1, 55), (1, 1), (1, 101), (2, 100), (2, 55)] {
        assert_eq!(code(by(at, &secret(seed))), Code::MethodOfOther, "entry {at} by {seed}");
    }
    // A second proof must hold as well.
    let mut entries = lines(&log);
    let own = entries[1]["proof"][0].clone();
    let mut unsigned = entries[1].clone();
    unsigned.as_object_mut().unwrap().remove("proof");
    let foreign = signed(&unsigned, &secret(55), after(10))["proof"].clone();
    entries[1]["proof"] = json!([own, foreign]);
    assert_eq!(code(verify(&did, &text(&entries))), Code::MethodOfOther);
    // As many as there may be update keys.
    entries[1]["proof"] = json!(vec![own.clone(); 65]);
    assert_eq!(code(verify(&did, &text(&entries))), Code::ProofMalformed);
    entries[1]["proof"] = json!(vec![own.clone(); 64]);
    assert!(verify(&did, &text(&entries)).is_ok());
    entries[1]["proof"] = own;
    assert!(verify(&did, &text(&entries)).is_ok());
}

#[test]
fn proofs_of_another_kind_are_refused() {
    let (did, log) = three();
    let with = |name: &str, value: Value| {
        let mut entries = lines(&log);
        entries[1]["proof"][0][name] = value;
        code(verify(&did, &text(&entries)))
    };
    let key = Did::did_key(&public(100));
    let other = public(55).to_multikey();
    assert_eq!(with("cryptosuite", json!("eddsa-rdfc-2022")), Code::CryptosuiteUnknown);
    assert_eq!(with("proofPurpose", json!("authentication")), Code::ProofPurpose);
    assert_eq!(with("type", json!("Ed25519Signature2020")), Code::ProofMalformed);
    assert_eq!(with("created", json!("2026-11-18T00:00:00Z")), Code::SignatureInvalid);
    assert_eq!(with("verificationMethod", json!(format!("{key}#{other}"))), Code::MethodUnknown);
    assert_eq!(with("verificationMethod", json!(format!("{did}#key-1"))), Code::DidUnsupported);
    assert_eq!(with("verificationMethod", json!(other)), Code::DidMalformed);
    assert_eq!(with("proofValue", lines(&log)[2]["proof"][0]["proofValue"].clone()), Code::SignatureInvalid);
}

#[test]
fn a_scid_that_is_not_the_first_entrys() {
    let (did, log) = three();
    let other = entry::hash(b"other");
    let swapped = did.as_str().replace(did.method_specific_id().split(':').next().unwrap(), &other);
    let swapped = Did::parse(&swapped).unwrap();
    assert_eq!(code(verify(&swapped, &log)), Code::DidLogInvalid);
    // Everywhere, and signed by the right key: still not the hash of the first entry.
    let entry = entry::replace_text(&lines(&log)[0], did.method_specific_id().split(':').next().unwrap(), &other);
    let entry = remade(entry, 1, &other, &secret(100), START);
    assert_eq!(code(verify(&swapped, &text(&[entry]))), Code::DidLogInvalid);
    // A placeholder that was left would hash like the SCID in its place.
    assert!(with_first(|entry| entry["state"]["alsoKnownAs"] = json!(["did:web:x.example"])).is_ok());
    let left = entry::replace_text(&lines(&log)[0], did.method_specific_id().split(':').next().unwrap(), PLACEHOLDER);
    let mut left = left;
    left["parameters"]["scid"] = json!(did.method_specific_id().split(':').next().unwrap());
    left["state"]["id"] = json!(did.as_str());
    let left = remade(left, 1, did.method_specific_id().split(':').next().unwrap(), &secret(100), START);
    assert_eq!(code(verify(&did, &text(&[left]))), Code::DidLogInvalid);
}

#[test]
fn entries_taken_out_exchanged_or_put_in() {
    let (did, log) = three();
    let entries = lines(&log);
    for order in [&[0, 2][..], &[1, 2], &[0, 2, 1], &[0, 1, 1], &[1], &[0, 0, 1, 2]] {
        let picked: Vec<Value> = order.iter().map(|at| entries[*at].clone()).collect();
        assert!(verify(&did, &text(&picked)).is_err(), "{order:?}");
    }
    // The end can be cut off; programs that saw it before detect that.
    let shorter = verify(&did, &text(&entries[..2])).unwrap();
    let whole = verify(&did, &log).unwrap();
    whole.require_version(shorter.last_version_id().unwrap()).unwrap();
    whole.require_version(whole.last_version_id().unwrap()).unwrap();
    assert_eq!(code(shorter.require_version(whole.last_version_id().unwrap())), Code::DidLogForked);
    // Another third entry, by the holder of the key.
    let other = append(&shorter, &text(&entries[..2]), &change(30, &document(&did, &[7])), &secret(101)).unwrap();
    let other = verify(&did, &other).unwrap();
    assert_eq!(code(other.require_version(whole.last_version_id().unwrap())), Code::DidLogForked);
    other.require_version(shorter.last_version_id().unwrap()).unwrap();
}

#[test]
fn hashes_numbers_and_contents_that_were_changed() {
    let (did, log) = three();
    type Edit = fn(&mut Value);
    let edits: [Edit; 7] = [
        |entry| {
            let id = entry["versionId"].as_str().unwrap().replace("2-", "3-");
            entry["versionId"] = json!(id);
        },
        |entry| {
            let id = entry["versionId"].as_str().unwrap().replace("2-", "02-");
            entry["versionId"] = json!(id);
        },
        |entry| entry["versionId"] = json!(format!("2-{}", entry::hash(b"x"))),
        |entry| entry["versionId"] = json!("2"),
        |entry| entry["state"]["service"] = json!([]),
        |entry| entry["parameters"]["ttl"] = json!(5),
        |entry| entry["versionTime"] = json!(after(11).to_string()),
    ];
    for (at, edit) in edits.iter().enumerate() {
        let mut entries = lines(&log);
        edit(&mut entries[1]);
        assert_eq!(code(verify(&did, &text(&entries))), Code::DidLogInvalid, "edit {at}");
        // Signed again by the right key: the hash is still wrong.
        entries[1].as_object_mut().unwrap().remove("proof");
        entries[1] = signed(&entries[1], &secret(100), after(10));
        assert_eq!(code(verify(&did, &text(&entries))), Code::DidLogInvalid, "edit {at}, signed");
    }
    assert!(with_second(|entry| entry["parameters"]["ttl"] = json!(5)).is_ok());
}

#[test]
fn times_rise_and_are_not_in_the_future() {
    let second_at = |at: Timestamp| with_second(|entry| entry["versionTime"] = json!(at.to_string()));
    for (seconds, holds) in [(-86_400, false), (-1, false), (0, false), (1, true), (19, true), (20, false), (21, false)]
    {
        let result = second_at(after(seconds));
        assert_eq!(result.is_ok(), holds, "{seconds}");
        assert!(holds || code(result) == Code::DidLogInvalid);
    }
    for text in ["2026-11-18T12:00:00", "2026-11-18T14:00:00+02:00", "18 November 2026", "", "1795000010"] {
        assert_eq!(code(with_second(|entry| entry["versionTime"] = json!(text))), Code::DidLogInvalid, "{text}");
    }
    let (did, log) = three();
    for (seconds, holds) in [(86_400, false), (301, false), (61, false), (60, true), (1, true), (0, true), (-1, true)] {
        // The last entry is this far ahead of the verifier's clock; its proof was made at that time as well.
        let now = after(20).plus(-seconds);
        let result = UnwitnessedLog::verify_entries(&did, log.as_bytes(), now, SKEW);
        assert_eq!(result.is_ok(), holds, "{seconds}");
        assert!(holds || code(result) == Code::NotYetValid);
    }
    // Also if the proof does not say when it was made.
    let mut entry = lines(&created().1).remove(0);
    entry["versionTime"] = json!(NOW.plus(61).to_string());
    assert_eq!(code(with_first(|first| first["versionTime"] = json!(NOW.plus(61).to_string()))), Code::NotYetValid);
}

#[test]
fn entries_have_the_members_of_one() {
    let (did, log) = three();
    assert_eq!(code(verify(&did, "")), Code::DidLogInvalid);
    assert_eq!(code(with_second(|entry| entry["extra"] = json!(1))), Code::DidLogInvalid);
    for (name, value) in [("parameters", json!([])), ("state", json!("x")), ("versionTime", json!(5))] {
        assert_eq!(code(with_second(|entry| entry[name] = value.clone())), Code::DidLogInvalid, "{name}");
    }
    // The same name twice, of which readers would take one each.
    let (first, rest) = log.split_once('\n').unwrap();
    let twice = first.replacen('{', "{\"versionId\":\"1-x\",", 1);
    assert_eq!(code(verify(&did, &format!("{twice}\n{rest}"))), Code::DidLogInvalid);
    for blank in [
        log.replace('\n', "\r\n"),
        log.replace('\n', " \n"),
        log.replace('\n', "\n\n"),
        format!("\n{log}"),
        format!(" {log}"),
    ] {
        assert_eq!(code(verify(&did, &blank)), Code::DidLogInvalid);
    }
    assert!(verify(&did, log.trim_end()).is_ok());
    // Blanks inside of an entry change nothing.
    assert!(verify(&did, &log.replace("\":", "\": ")).is_ok());
}

#[test]
fn a_log_is_bounded() {
    let (did, log) = created();
    let long = format!("{}{}", log, "x".repeat(MAX_LOG_BYTES));
    assert_eq!(code(verify(&did, &long)), Code::TooLarge);
    // Entries that hold, one after another.
    let mut entries = lines(&log);
    let mut before = entries[0]["versionId"].as_str().unwrap().to_owned();
    for number in 2..=MAX_LOG_ENTRIES + 1 {
        let at = after(number as i64);
        let entry = json!({"versionTime": at.to_string(), "parameters": {}, "state": {"id": did.as_str()}});
        entries.push(remade(entry, number, &before, &secret(100), at));
        before = entries[number - 1]["versionId"].as_str().unwrap().to_owned();
    }
    assert_eq!(code(verify(&did, &text(&entries))), Code::TooLarge);
    assert_eq!(verify(&did, &text(&entries[..MAX_LOG_ENTRIES])).unwrap().versions().len(), MAX_LOG_ENTRIES);
}
