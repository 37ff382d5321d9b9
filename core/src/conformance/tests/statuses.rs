//! Bitstring Status List 1.0: entries and lookup.

use super::*;
use crate::status::{BitOrder, StatusList, bitstring};

const URL: &str = "https://a.example/status/1";

fn entry() -> Value {
    json!({
        "type": "BitstringStatusListEntry", "statusPurpose": "revocation", "statusListIndex": "5",
        "statusListCredential": URL
    })
}

fn messages(count: u8) -> Value {
    (0..count).map(|value| json!({"status": format!("0x{value:x}"), "message": format!("message {value}")})).collect()
}

#[test]
fn section_2_1_members_of_an_entry() {
    let check = |change: &dyn Fn(&mut Value)| {
        let mut entry = entry();
        change(&mut entry);
        check_status_entry(&object(entry))
    };
    check(&|_| {}).unwrap();
    check(&|e| e["id"] = json!("https://a.example/status/1#5")).unwrap();
    check(&|e| e["statusReference"] = json!(["https://a.example/why"])).unwrap();
    check(&|e| {
        e["statusPurpose"] = json!("message");
        e["statusSize"] = json!(2);
        e["statusMessage"] = messages(4);
    })
    .unwrap();
    check(&|e| e["statusMessage"] = messages(2)).unwrap();
    // An entry of another type is not ours to judge.
    check(&|e| e["type"] = json!("Other")).unwrap();
    let sized = |size: Value, messages: Value| {
        move |e: &mut Value| {
            e["statusSize"] = size.clone();
            e["statusMessage"] = messages.clone();
        }
    };
    assert_eq!(code(check(&|e| e["statusListIndex"] = json!(true))), Code::StatusIndex);
    for index in ["-1", "05", "1.0", "", "x"] {
        assert_eq!(code(check(&|e| e["statusListIndex"] = json!(index))), Code::StatusIndex);
    }
    let wrong: [&dyn Fn(&mut Value); 10] = [
        &|e| e["statusPurpose"] = json!(7),
        &|e| e["statusListCredential"] = json!("no url"),
        &|e| e["id"] = json!(URL),
        &|e| e["statusSize"] = json!(0),
        &|e| e["statusSize"] = json!("1"),
        &|e| e["statusSize"] = json!(2),
        &sized(json!(2), messages(2)),
        &sized(json!(1), json!([{"status": "0x0", "message": "a"}, {"status": "0x0", "message": "b"}])),
        &sized(json!(1), json!([{"status": "0x0", "message": "a"}, {"status": "1", "message": "b"}])),
        &|e| e["statusReference"] = json!("no url"),
    ];
    for (at, wrong) in wrong.iter().enumerate() {
        assert_eq!(code(check(wrong)), Code::MalformedValue, "{at}");
    }
}

/// Status list credential in which these bits are set, with a change before it is signed.
fn list(bits: &[u64], change: impl FnOnce(&mut Value)) -> Lists {
    let mut entries = StatusList::new(262_144, 1, BitOrder::MostSignificantFirst).unwrap();
    bits.iter().for_each(|bit| entries.set_value(*bit, 1).unwrap());
    let mut document = json!({
        "@context": [CONTEXT_V2], "id": URL, "type": ["VerifiableCredential", "BitstringStatusListCredential"],
        "issuer": issuer().did,
        "credentialSubject": {
            "id": format!("{URL}#list"), "type": "BitstringStatusList", "statusPurpose": ["revocation", "message"],
            "encodedList": bitstring::encode_list(&entries).unwrap()
        }
    });
    change(&mut document);
    let signed = secured(document, &issuer(), VerificationRelationship::AssertionMethod);
    Lists(HashMap::from([(URL.to_owned(), signed)]))
}

fn look_up(lists: &Lists, change: impl FnOnce(&mut Value)) -> Result<Vec<StatusResult>, Problem> {
    let mut entry = entry();
    change(&mut entry);
    let document = object(json!({"credentialStatus": entry}));
    in_env(lists, |env| check_status(&document, env))
}

#[test]
fn section_3_2_an_entry_is_looked_up_in_its_list() {
    let clear = list(&[4, 6], |_| {});
    assert_eq!(look_up(&clear, |_| {}).unwrap()[0].value, 0);
    assert_eq!(code(look_up(&list(&[5], |_| {}), |_| {})), Code::Revoked);
    assert_eq!(code(look_up(&clear, |e| e["statusPurpose"] = json!("suspension"))), Code::StatusPurpose);
    assert_eq!(code(look_up(&clear, |e| e["statusListIndex"] = json!("262144"))), Code::StatusIndex);
    assert_eq!(code(look_up(&clear, |e| e["type"] = json!("Other"))), Code::StatusUnsupported);
    assert_eq!(code(look_up(&Lists::default(), |_| {})), Code::StatusListUnavailable);
    let refused = |change: &dyn Fn(&mut Value)| code(look_up(&list(&[], change), |_| {}));
    assert_eq!(refused(&|l| l["id"] = json!("https://a.example/status/2")), Code::StatusListMismatch);
    assert_eq!(refused(&|l| l["type"] = json!(["VerifiableCredential"])), Code::StatusListInvalid);
    assert_eq!(refused(&|l| l["credentialSubject"]["type"] = json!("List")), Code::StatusListInvalid);
    assert_eq!(refused(&|l| l["credentialSubject"]["ttl"] = json!("x")), Code::StatusListInvalid);
    assert_eq!(refused(&|l| l["validUntil"] = json!("2026-11-29T12:00:00Z")), Code::StatusListInvalid);
    look_up(&list(&[], |l| l["credentialSubject"]["ttl"] = json!(300_000)), |_| {}).unwrap();
    let mut forged = list(&[5], |_| {});
    let other = list(&[], |_| {});
    let value = other.0[URL]["proof"]["proofValue"].clone();
    forged.0.get_mut(URL).unwrap()["proof"]["proofValue"] = value;
    assert_eq!(code(look_up(&forged, |_| {})), Code::StatusListInvalid);
}

#[test]
fn a_status_of_several_bits_has_a_message() {
    // Entry 5 of two bits: bits 10 and 11, the most significant first.
    let lists = list(&[10], |_| {});
    let sized = |e: &mut Value| {
        e["statusPurpose"] = json!("message");
        e["statusSize"] = json!(2);
        e["statusMessage"] = messages(4);
    };
    let result = look_up(&lists, sized).unwrap();
    assert_eq!((result[0].value, result[0].message.as_deref()), (2, Some("message 2")));
    // The list has as many bits as it must, and half as many entries.
    let three = |e: &mut Value| {
        e["statusPurpose"] = json!("message");
        e["statusSize"] = json!(3);
        e["statusMessage"] = messages(8);
    };
    assert_eq!(code(look_up(&lists, three)), Code::StatusListLength);
}

#[test]
fn a_credential_is_verified_with_its_status() {
    let mut document = credential();
    document["credentialStatus"] = entry();
    let document = secured(document, &issuer(), VerificationRelationship::AssertionMethod);
    let run = |lists: &Lists, check_status| {
        let options = VerificationOptions { check_status, ..VerificationOptions::default() };
        in_env(lists, |env| verify_credential(&document, env, &options))
    };
    run(&list(&[], |_| {}), true).unwrap();
    assert_eq!(code(run(&list(&[5], |_| {}), true)), Code::Revoked);
    run(&list(&[5], |_| {}), false).unwrap();
}
