//! Lists in both forms, and each fault with its code.

// Tests are a caller of core's, and a caller has randomness.
#![allow(clippy::disallowed_types)]

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use proptest::prelude::*;
use rand_core::OsRng;
use serde_json::{Map, Value, json};

use super::*;
use crate::{
    credential::Credential,
    keys::{SecretKey, SignatureAlgorithm, Signer as _},
};

const URI: &str = "https://university.example/status/7";

fn now() -> Timestamp {
    Timestamp::parse("2026-11-22T12:00:00Z").unwrap()
}

fn fresh() -> ListValidity {
    ListValidity { issued_at: now(), expires_at: Some(now().plus(86_400)), ttl: Some(3_600) }
}

fn list(bits: u8, order: BitOrder) -> StatusList {
    StatusList::new(MIN_ENTRIES, bits, order).unwrap()
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Problem>, code: Code) {
    assert_eq!(result.unwrap_err().code, code);
}

fn published() -> bitstring::BitstringListParameters {
    bitstring::BitstringListParameters {
        issuer: "did:web:university.example".into(),
        url: URI.into(),
        purpose: StatusPurpose::Revocation,
        validity: fresh(),
    }
}

fn reference() -> bitstring::BitstringStatusListEntry {
    bitstring::BitstringStatusListEntry {
        purpose: StatusPurpose::Revocation,
        url: URI.into(),
        index: 94_567,
        size_in_bits: 1,
    }
}

fn read(document: Map<String, Value>) -> Result<(bitstring::BitstringListParameters, StatusList), Problem> {
    bitstring::BitstringListParameters::from_credential(&Credential::parse(document).unwrap(), &reference())
}

/// The list's credential with a member of its subject changed; `None` removes it.
fn changed(member: &str, value: Option<Value>) -> Map<String, Value> {
    let mut document = published().to_document(&list(1, BitOrder::MostSignificantFirst)).unwrap();
    let subject = document["credentialSubject"].as_object_mut().unwrap();
    match value {
        Some(value) => subject.insert(member.into(), value),
        None => subject.remove(member),
    };
    document
}

#[test]
fn a_bitstring_list_is_written_and_read() {
    let mut list = list(1, BitOrder::MostSignificantFirst);
    list.set_value(94_567, 1).unwrap();
    let (seen, read) = read(published().to_document(&list).unwrap()).unwrap();
    assert_eq!((seen, &read), (published(), &list));
    assert_eq!((read.value(94_567).unwrap(), read.value(94_566).unwrap()), (1, 0));
    let entry = reference().to_json();
    assert_eq!(bitstring::BitstringStatusListEntry::parse(&entry).unwrap(), reference());
    assert!(entry.get("id").is_none());
}

#[test]
fn row_60_purpose_mismatch() {
    assert!(read(changed("statusPurpose", Some("revocation".into()))).is_ok());
    assert!(read(changed("statusPurpose", Some(json!(["refresh", "revocation"])))).is_ok());
    for other in [Some(json!("suspension")), Some(json!(["suspension"])), Some(json!("message")), None] {
        refused(read(changed("statusPurpose", other)), Code::StatusPurpose);
    }
}

#[test]
fn row_61_index_out_of_range_or_negative() {
    let bits = list(1, BitOrder::MostSignificantFirst);
    assert!(bits.value(MIN_ENTRIES - 1).is_ok());
    refused(bits.value(MIN_ENTRIES), Code::StatusIndex);
    refused(bits.value(u64::MAX), Code::StatusIndex);
    let entry = |index: Value| {
        let mut entry = reference().to_json();
        entry["statusListIndex"] = index;
        bitstring::BitstringStatusListEntry::parse(&entry)
    };
    assert!(entry("7".into()).is_ok());
    for bad in [
        json!("-1"),
        json!("+1"),
        json!("1.0"),
        json!("0x1"),
        json!(""),
        json!(7),
        json!("99999999999999999999"),
        json!("01"),
    ] {
        refused(entry(bad), Code::StatusIndex);
    }
    let messages = list(4, BitOrder::MostSignificantFirst);
    assert!(messages.value(MIN_ENTRIES - 1).is_ok());
    refused(messages.value(MIN_ENTRIES), Code::StatusIndex);
    let token = |index: Value| token::TokenStatusReference::parse(&json!({"status_list": {"idx": index, "uri": URI}}));
    assert!(token(json!(7)).is_ok());
    assert_eq!(token(json!(7.0)).unwrap(), token(json!(7)).unwrap());
    for bad in [json!(-1), json!(-1.0), json!(1.5), json!(1e300), json!("7"), Value::Null] {
        refused(token(bad), Code::StatusIndex);
    }
}

#[test]
fn row_62_a_list_that_is_too_short() {
    let short = StatusList::new(MIN_ENTRIES - 8, 1, BitOrder::MostSignificantFirst).unwrap();
    refused(bitstring::decode_list(&bitstring::encode_list(&short).unwrap(), 1), Code::StatusListLength);
    let long_enough = list(1, BitOrder::MostSignificantFirst);
    assert_eq!(bitstring::decode_list(&bitstring::encode_list(&long_enough).unwrap(), 1).unwrap(), long_enough);
    // Of messages it is so many entries as well, each of four bits.
    assert!(
        bitstring::decode_list(&bitstring::encode_list(&list(4, BitOrder::MostSignificantFirst)).unwrap(), 4).is_ok()
    );
    refused(bitstring::decode_list(&bitstring::encode_list(&long_enough).unwrap(), 4), Code::StatusListLength);
}

#[test]
fn row_63_bit_order_swapped() {
    let mut left = list(1, BitOrder::MostSignificantFirst);
    left.set_value(0, 1).unwrap();
    assert_eq!(left.as_bytes().first(), Some(&0b1000_0000));
    let mut right = list(1, BitOrder::LeastSignificantFirst);
    right.set_value(0, 1).unwrap();
    assert_eq!(right.as_bytes().first(), Some(&0b0000_0001));
    // Each form is read in its own order, so that the other one's bit is another entry's.
    let read = bitstring::decode_list(&bitstring::encode_list(&right).unwrap(), 1).unwrap();
    assert_eq!((read.value(0).unwrap(), read.value(7).unwrap()), (0, 1));
    let read = token::parse_list(&token::list_to_json(&left).unwrap()).unwrap();
    assert_eq!((read.value(0).unwrap(), read.value(7).unwrap()), (0, 1));
}

#[test]
fn row_64_a_stale_list() {
    let freshness = fresh();
    assert!(freshness.require_usable(now(), now().plus(3_600), 60).is_ok());
    refused(freshness.require_usable(now(), now().plus(3_601), 60), Code::StatusListStale);
    // Fetched again since then, until the list's own end, with the clocks' difference.
    assert!(freshness.require_usable(now().plus(86_000), now().plus(86_460), 60).is_ok());
    refused(freshness.require_usable(now().plus(86_000), now().plus(86_461), 60), Code::StatusListStale);
    assert!(freshness.require_usable(now(), now().plus(-60), 60).is_ok());
    refused(freshness.require_usable(now(), now().plus(-61), 60), Code::StatusListStale);
}

#[test]
fn row_65_a_gzip_bomb() {
    use flate2::{
        Compression,
        write::{GzEncoder, ZlibEncoder},
    };
    use std::io::Write as _;
    let pack = |bytes: &[u8]| {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(bytes).unwrap();
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
        zlib.write_all(bytes).unwrap();
        [gzip.finish().unwrap(), zlib.finish().unwrap()].map(|packed| URL_SAFE_NO_PAD.encode(packed))
    };
    let most = vec![0; MAX_LIST_BYTES];
    let [gzip, zlib] = pack(&most);
    assert!(bitstring::decode_list(&format!("u{gzip}"), 1).is_ok());
    assert!(token::parse_list(&json!({"bits": 1, "lst": zlib})).is_ok());
    // One byte more is an error and no truncation; a gigabyte is one too, and is never unpacked.
    for size in [MAX_LIST_BYTES + 1, MAX_LIST_BYTES * 8] {
        let [gzip, zlib] = pack(&vec![0; size]);
        refused(bitstring::decode_list(&format!("u{gzip}"), 1), Code::StatusListInvalid);
        refused(token::parse_list(&json!({"bits": 1, "lst": zlib})), Code::StatusListInvalid);
    }
    // A second member behind the first one counts.
    let [head, _] = pack(&most);
    let [tail, _] = pack(&[0]);
    let both = [head, tail].map(|part| URL_SAFE_NO_PAD.decode(part).unwrap()).concat();
    refused(bitstring::decode_list(&format!("u{}", URL_SAFE_NO_PAD.encode(both)), 1), Code::StatusListInvalid);
}

fn issued(key: &SecretKey, uri: &str, freshness: ListValidity) -> String {
    let published = token::TokenListParameters {
        kid: "did:web:university.example#k1".into(),
        uri: uri.into(),
        validity: freshness,
    };
    token::issue_token(&list(2, BitOrder::LeastSignificantFirst), &published, key).unwrap()
}

fn verify(compact: &str, key: &SecretKey) -> Result<(StatusList, ListValidity), Problem> {
    token::StatusListToken::parse(compact)?.verify(&key.public_key(), URI, now(), 60)
}

#[test]
fn row_58_bad_signature_on_the_list() {
    let (key, other) = (
        SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng),
        SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng),
    );
    let token = issued(&key, URI, fresh());
    let (read, freshness) = verify(&token, &key).unwrap();
    assert_eq!((read, freshness), (list(2, BitOrder::LeastSignificantFirst), fresh()));
    refused(verify(&token, &other), Code::SignatureInvalid);
}

#[test]
fn row_66_the_tokens_sub_is_not_the_uri() {
    let key = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng);
    assert!(verify(&issued(&key, URI, fresh()), &key).is_ok());
    refused(verify(&issued(&key, "https://university.example/status/8", fresh()), &key), Code::StatusListMismatch);
}

#[test]
fn a_token_of_another_type_or_past_its_end_is_no_list() {
    let key = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng);
    let stale = ListValidity { expires_at: Some(now().plus(-61)), ..fresh() };
    refused(verify(&issued(&key, URI, stale), &key), Code::StatusListStale);
    let header = json!({"typ": "JWT", "kid": "did:web:university.example#k1"});
    let other_typ = crate::secure::jose::sign(header.as_object().unwrap().clone(), &Map::new(), &key).unwrap();
    refused(verify(&other_typ, &key), Code::TokenType);
}

#[test]
fn a_token_whose_time_has_not_come_is_no_list() {
    let key = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng);
    let issued = crate::secure::jose::Jws::parse(&issued(&key, URI, fresh())).unwrap();
    let begins = |nbf: Value| {
        let mut payload = issued.payload().clone();
        payload.insert("nbf".into(), nbf);
        let mut header = issued.header().clone();
        header.remove("alg");
        verify(&crate::secure::jose::sign(header, &payload, &key).unwrap(), &key)
    };
    assert!(begins(json!(now().plus(60).unix())).is_ok());
    refused(begins(json!(now().plus(61).unix())), Code::StatusListStale);
    refused(begins(json!("2026-11-22")), Code::MalformedValue);
}

#[test]
fn a_token_that_says_no_end_of_any_kind_does_not_count_for_ever() {
    let key = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng);
    let ttl = |freshness: ListValidity| verify(&issued(&key, URI, freshness), &key).unwrap().1.ttl;
    assert_eq!(ttl(ListValidity { expires_at: None, ttl: None, ..fresh() }), Some(300));
    assert_eq!(ttl(ListValidity { ttl: None, ..fresh() }), None);
    assert_eq!(ttl(ListValidity { expires_at: None, ttl: Some(7_200), ..fresh() }), Some(7_200));
}

#[test]
fn another_url_or_size_is_another_list() {
    let mut document = changed("ttl", Some(json!(300_000)));
    assert!(read(document.clone()).is_ok());
    document.insert("id".into(), "https://university.example/status/8".into());
    refused(read(document), Code::StatusListMismatch);
    for (member, bad) in [
        ("type", Some(json!("Other"))),
        ("statusSize", Some(json!(2))),
        ("ttl", Some(json!(-1))),
        ("encodedList", None),
        ("encodedList", Some(json!("zAAAA"))),
        ("encodedList", Some(json!("uAAAA"))),
    ] {
        refused(read(changed(member, bad.clone())), Code::StatusListInvalid);
    }
}

#[test]
fn ten_million_entries_are_published_and_read() {
    let mut list = StatusList::new(10_000_000, 1, BitOrder::MostSignificantFirst).unwrap();
    for index in (0..10_000_000).step_by(1_009) {
        list.set_value(index, 1).unwrap();
    }
    assert_eq!(list.as_bytes().len(), 1_250_000);
    let document = Value::Object(published().to_document(&list).unwrap()).to_string();
    let parsed = crate::json::parse(document.as_bytes(), crate::json::Limits::STATUS_LIST).unwrap();
    let (_, read) = read(parsed.as_object().unwrap().clone()).unwrap();
    assert_eq!(read, list);
}

proptest! {
    #[test]
    fn what_is_set_is_read_and_nothing_else(
        bits in prop::sample::select(vec![1_u8, 2, 4, 8]), left in any::<bool>(),
        entries in prop::collection::btree_map(0_u64..4_096, any::<u8>(), 0..64)
    ) {
        let order = if left { BitOrder::MostSignificantFirst } else { BitOrder::LeastSignificantFirst };
        let mut list = StatusList::new(4_096, bits, order).unwrap();
        let most = (0..bits).fold(0_u8, |most, _| (most << 1) | 1);
        for (index, value) in &entries {
            list.set_value(*index, value & most).unwrap();
            if value & !most != 0 {
                prop_assert!(list.set_value(*index, *value).is_err());
            }
        }
        for index in 0..4_096 {
            prop_assert_eq!(list.value(index).unwrap(), entries.get(&index).map_or(0, |value| value & most));
        }
    }
}

/// The vectors' text between its first brace and its last one.
pub(super) fn example(name: &str) -> Value {
    let folder = std::env::var("CARNET_VECTORS").unwrap();
    let text = std::fs::read_to_string(format!("{folder}/token-status-list/examples/{name}.md")).unwrap();
    let json: String = text[text.find('{').unwrap()..=text.rfind('}').unwrap()].split_whitespace().collect();
    serde_json::from_str(&json).unwrap()
}

#[test]
#[cfg_attr(not(carnet_vectors), ignore = "CARNET_VECTORS is not set")]
fn official_token_status_list_encodings() {
    let values = |name: &str| {
        let list = token::parse_list(&example(name)).unwrap();
        let again = token::parse_list(&token::list_to_json(&list).unwrap()).unwrap();
        assert_eq!(list, again);
        (0..list.entry_count().min(16)).map(|index| list.value(index).unwrap()).collect::<Vec<_>>()
    };
    // Section 4.1: 0xb9a3 for one bit, 0xc944f9 for two.
    assert_eq!(values("status_list_encoding_json"), [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1]);
    assert_eq!(values("status_list_encoding2_json"), [1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3]);
    // Appendix C: a million entries, of which these are set.
    let set = [0, 1993, 25460, 159495, 495669, 554353, 645645, 723232, 854545, 934534, 1000345];
    let long = token::parse_list(&example("status_list_encoding1_long_json")).unwrap();
    assert_eq!(long.entry_count(), 1_048_576);
    let found: Vec<u64> = (0..long.entry_count()).filter(|index| long.value(*index).unwrap() == 1).collect();
    assert_eq!(found, set);
    for (name, bits) in [("2", 2), ("4", 4), ("8", 8)] {
        let long = example(&format!("status_list_encoding{name}{}_json", if bits == 2 { "_long" } else { "" }));
        assert_eq!(token::parse_list(&long).unwrap().entry_bits(), bits);
    }
}

#[test]
#[cfg_attr(not(carnet_vectors), ignore = "CARNET_VECTORS is not set")]
fn bitstring_lists_of_another_implementation() {
    let folder = std::env::var("CARNET_VECTORS").unwrap();
    let text = std::fs::read_to_string(format!("{folder}/generated-npm/bitstring-status-lists.json")).unwrap();
    let vectors: Value = serde_json::from_str(&text).unwrap();
    for vector in vectors["lists"].as_array().unwrap() {
        let list = bitstring::decode_list(vector["encodedList"].as_str().unwrap(), 1).unwrap();
        assert_eq!(list.entry_count(), vector["length"].as_u64().unwrap());
        let set: Vec<u64> = (0..list.entry_count()).filter(|index| list.value(*index).unwrap() == 1).collect();
        let expected: Vec<u64> = vector["setIndexes"].as_array().unwrap().iter().map(|i| i.as_u64().unwrap()).collect();
        assert_eq!(set, expected);
    }
}
