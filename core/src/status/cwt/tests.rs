//! Tokens in CBOR, each fault with its code, and the draft's own examples.

// Tests are a caller of core's, and a caller has randomness.
#![allow(clippy::disallowed_types)]

use flate2::{Compression, write::ZlibEncoder};
use proptest::prelude::*;
use rand_core::OsRng;
use serde_json::json;
use std::io::Write as _;

use super::*;
use crate::{
    did::{Did, DidUrl, SelfContainedResolver},
    keys::SecretKey,
    secure::data_integrity::Cryptosuites,
    status::{BitOrder, MAX_LIST_BYTES, MIN_ENTRIES, VerifiedStatusList, token::TokenStatusReference},
};

const URI: &str = "https://university.example/status/token/7";

fn now() -> Timestamp {
    Timestamp::parse("2026-11-22T12:00:00Z").unwrap()
}

fn key() -> SecretKey {
    SecretKey::from_bytes(SignatureAlgorithm::EdDsa, &[7; 32]).unwrap()
}

fn kid(key: &SecretKey) -> String {
    format!("{}#0", Did::did_jwk(&key.public_key()))
}

fn published(key: &SecretKey) -> TokenListParameters {
    let freshness = ListValidity { issued_at: now(), expires_at: Some(now().plus(86_400)), ttl: Some(300) };
    TokenListParameters { kid: kid(key), uri: URI.to_owned(), validity: freshness }
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Problem>, code: Code) {
    assert_eq!(result.unwrap_err().code, code);
}

/// The parts of a token, each to be changed.
#[derive(Clone)]
struct Parts {
    protected: Map,
    unprotected: Map,
    claims: Map,
}

fn parts() -> Parts {
    let list = StatusList::new(MIN_ENTRIES, 2, BitOrder::LeastSignificantFirst).unwrap();
    let lst = list.compress(CompressionFormat::Zlib).unwrap();
    Parts {
        protected: vec![
            (ALG.into(), (-8).into()),
            (KID.into(), Value::Bytes(kid(&key()).into_bytes())),
            (TYP.into(), MEDIA_TYPE.into()),
        ],
        unprotected: vec![],
        claims: vec![
            (SUB.into(), URI.into()),
            (EXP.into(), now().plus(86_400).unix().into()),
            (IAT.into(), now().unix().into()),
            (STATUS_LIST.into(), Value::Map(vec![("bits".into(), 2.into()), ("lst".into(), Value::Bytes(lst))])),
            (TTL.into(), 300.into()),
        ],
    }
}

/// Changed in one place: `None` removes.
fn with(map: &Map, label: i64, value: Option<Value>) -> Map {
    let mut map: Map = map.iter().filter(|(key, _)| *key != label.into()).cloned().collect();
    map.extend(value.map(|value| (label.into(), value)));
    map
}

impl Parts {
    fn header(label: i64, value: impl Into<Option<Value>>) -> Vec<u8> {
        let mut parts = parts();
        parts.protected = with(&parts.protected, label, value.into());
        parts.signed()
    }

    fn claim(label: i64, value: impl Into<Option<Value>>) -> Vec<u8> {
        let mut parts = parts();
        parts.claims = with(&parts.claims, label, value.into());
        parts.signed()
    }

    /// Signed in earnest.
    fn signed(self) -> Vec<u8> {
        let payload = Value::Map(self.claims.clone()).to_vec().unwrap();
        self.signed_over(payload)
    }

    fn signed_over(self, payload: Vec<u8>) -> Vec<u8> {
        let protected = Value::Map(self.protected).to_vec().unwrap();
        let header = ProtectedHeader { original_data: Some(protected.clone()), ..ProtectedHeader::default() };
        let signed = sig_structure_data(SignatureContext::CoseSign1, header, None, &[], &payload);
        let signature = Value::Bytes(key().sign(&signed).unwrap());
        let all = vec![Value::Bytes(protected), Value::Map(self.unprotected), Value::Bytes(payload), signature];
        Value::Array(all).to_vec().unwrap()
    }
}

fn verify(bytes: &[u8]) -> Result<(StatusList, ListValidity), Problem> {
    CwtStatusList::parse(bytes)?.verify(&key().public_key(), URI, now(), 60)
}

#[test]
fn a_list_of_each_size_is_written_and_read() {
    for algorithm in [SignatureAlgorithm::EdDsa, SignatureAlgorithm::Es256] {
        let key = SecretKey::generate(algorithm, &mut OsRng);
        for bits in [1, 2, 4, 8] {
            let mut list = StatusList::new(MIN_ENTRIES, bits, BitOrder::LeastSignificantFirst).unwrap();
            list.set_value(94_567, 1).unwrap();
            let bytes = issue_cwt(&list, &published(&key), &key).unwrap();
            let issuer = DidUrl::parse(&kid(&key)).unwrap().did().clone();
            let listed = VerifiedStatusList::verify(
                &bytes,
                URI,
                &issuer,
                (now(), 60),
                (&SelfContainedResolver, &Cryptosuites::empty()),
            )
            .unwrap();
            assert_eq!((listed.entries(), listed.validity()), (&list, published(&key).validity));
            let value = |index| listed.token_value(&TokenStatusReference { uri: URI.to_owned(), index }).unwrap();
            assert_eq!((value(94_567), value(94_566)), (1, 0));
            let other = Did::did_jwk(&SecretKey::generate(algorithm, &mut OsRng).public_key());
            let by_other = VerifiedStatusList::verify(
                &bytes,
                URI,
                &other,
                (now(), 60),
                (&SelfContainedResolver, &Cryptosuites::empty()),
            );
            refused(by_other, Code::StatusListIssuer);
        }
    }
}

#[test]
fn what_is_written_is_what_is_signed_by_hand() {
    let list = StatusList::new(MIN_ENTRIES, 2, BitOrder::LeastSignificantFirst).unwrap();
    let written = issue_cwt(&list, &published(&key()), &key()).unwrap();
    assert_eq!(written, [vec![COSE_SIGN1_TAG_BYTE], parts().signed()].concat());
    assert_eq!(verify(&written).unwrap(), verify(&parts().signed()).unwrap());
    let mut untimed = published(&key());
    untimed.validity = ListValidity { expires_at: None, ..untimed.validity };
    assert_eq!(
        issue_cwt(&list, &untimed, &key()).unwrap(),
        [vec![COSE_SIGN1_TAG_BYTE], Parts::claim(EXP, None)].concat()
    );
}

#[test]
fn row_58_bad_signature_on_a_list_in_cbor() {
    let good = parts().signed();
    assert!(verify(&good).is_ok());
    let other = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng).public_key();
    refused(CwtStatusList::parse(&good).unwrap().verify(&other, URI, now(), 60), Code::SignatureInvalid);
    let p256 = SecretKey::generate(SignatureAlgorithm::Es256, &mut OsRng).public_key();
    refused(CwtStatusList::parse(&good).unwrap().verify(&p256, URI, now(), 60), Code::AlgorithmMismatch);
    let mut changed = good.clone();
    *changed.last_mut().unwrap() ^= 1;
    refused(verify(&changed), Code::SignatureInvalid);
    // The header is signed as it is, with all its members.
    assert!(verify(&Parts::header(77, Value::from("x"))).is_ok());
}

#[test]
fn the_header_is_held_to_its_rules() {
    assert!(verify(&parts().signed()).is_ok());
    for alg in [Some(Value::from(-7)), Some(Value::from(5)), Some(Value::from("EdDSA")), Some(Value::from(-257)), None]
    {
        let code = if alg == Some(Value::from(-7)) { Code::AlgorithmMismatch } else { Code::AlgorithmForbidden };
        refused(verify(&Parts::header(ALG, alg)), code);
    }
    for typ in [Some(Value::from("statuslist+cwt")), Some(Value::from("application/cwt")), Some(Value::from(61)), None]
    {
        refused(verify(&Parts::header(TYP, typ)), Code::TokenType);
    }
    for crit in [Value::Array(vec![KID.into()]), Value::Array(vec![]), Value::Null] {
        refused(verify(&Parts::header(CRIT, crit)), Code::HeaderCritical);
    }
    refused(verify(&Parts::header(KID, None)), Code::HeaderKeyUnanchored);
    refused(verify(&Parts::header(KID, Value::from("did:jwk:x#0"))), Code::TokenMalformed);
    refused(verify(&Parts::header(KID, Value::Bytes(vec![0xff]))), Code::TokenMalformed);
    for label in UNANCHORED {
        refused(verify(&Parts::header(label, Value::Bytes(vec![1]))), Code::HeaderKeyAmbiguous);
    }
}

#[test]
fn a_header_that_is_not_signed_decides_nothing() {
    let both = |protected: Map, unprotected: Map| Parts { protected, unprotected, ..parts() }.signed();
    let header = parts().protected;
    let named = |label: i64| header.iter().filter(|(key, _)| *key == label.into()).cloned().collect::<Map>();
    // As the draft's examples have it: it only says which key of the issuer's is tried.
    assert!(verify(&both(with(&header, KID, None), named(KID))).is_ok());
    refused(verify(&both(header.clone(), named(KID))), Code::HeaderKeyAmbiguous);
    for label in [ALG, TYP] {
        refused(verify(&both(with(&header, label, None), named(label))), Code::TokenMalformed);
        refused(verify(&both(header.clone(), named(label))), Code::TokenMalformed);
    }
    refused(verify(&both(header.clone(), vec![(CRIT.into(), Value::Array(vec![]))])), Code::HeaderCritical);
    refused(verify(&both(header.clone(), vec![("x".into(), 1.into())])), Code::TokenMalformed);
    for label in UNANCHORED {
        refused(verify(&both(header.clone(), vec![(label.into(), Value::Bytes(vec![1]))])), Code::HeaderKeyAmbiguous);
    }
}

#[test]
fn row_66_the_sub_of_a_list_in_cbor_is_not_the_uri() {
    assert!(verify(&parts().signed()).is_ok());
    for sub in [Some(Value::from("https://university.example/status/token/8")), Some(Value::from(1)), None] {
        refused(verify(&Parts::claim(SUB, sub)), Code::StatusListMismatch);
    }
}

#[test]
fn the_claims_are_held_to_their_rules() {
    let ends = |exp: i64| verify(&Parts::claim(EXP, Value::from(now().plus(exp).unix())));
    let begins = |nbf: i64| verify(&Parts::claim(NBF, Value::from(now().plus(nbf).unix())));
    assert!(begins(-1).is_ok() && begins(60).is_ok());
    refused(begins(61), Code::StatusListStale);
    assert!(ends(-60).is_ok());
    refused(ends(-61), Code::StatusListStale);
    let made = |iat: i64| verify(&Parts::claim(IAT, Value::from(now().plus(iat).unix())));
    assert!(made(60).is_ok());
    refused(made(61), Code::StatusListStale);
    refused(verify(&Parts::claim(IAT, None)), Code::ClaimMissing);
    refused(verify(&Parts::claim(IAT, Value::from("now"))), Code::MalformedValue);
    // A NumericDate may be a float (RFC 8392 section 2).
    let float = |label: i64, seconds: i64, part: f64| {
        verify(&Parts::claim(label, Value::Float(now().plus(seconds).unix() as f64 + part)))
    };
    for (label, good, bad) in [(IAT, 60, 61), (EXP, -60, -61), (NBF, 60, 61)] {
        assert!(float(label, good, 0.5).is_ok() && float(label, good, 0.0).is_ok());
        refused(float(label, bad, 0.5), Code::StatusListStale);
        for absurd in [f64::NAN, f64::INFINITY, 1e300] {
            refused(verify(&Parts::claim(label, Value::Float(absurd))), Code::MalformedValue);
        }
    }
    refused(verify(&Parts::claim(EXP, Value::from(u64::MAX))), Code::MalformedValue);
    assert_eq!(verify(&Parts::claim(TTL, Value::from(1))).unwrap().1.ttl, Some(1));
    for ttl in [Value::from(0), Value::from(-1), Value::from("300"), Value::from(u64::MAX)] {
        refused(verify(&Parts::claim(TTL, ttl)), Code::ClaimMissing);
    }
    refused(verify(&Parts::claim(STATUS_LIST, None)), Code::ClaimMissing);
    let list = |bits: Value, lst: Value| {
        verify(&Parts::claim(STATUS_LIST, Value::Map(vec![("bits".into(), bits), ("lst".into(), lst)])))
    };
    let zlib = |bytes: &[u8]| {
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
        zlib.write_all(bytes).unwrap();
        Value::Bytes(zlib.finish().unwrap())
    };
    assert!(list(8.into(), zlib(&[0])).is_ok());
    for bits in [Value::from(3), Value::from(0), Value::from(-1), Value::from("8"), Value::from(256)] {
        refused(list(bits, zlib(&[0])), Code::StatusListInvalid);
    }
    for lst in [Value::Bytes(vec![1, 2, 3]), Value::from("eNrbuRgAAhcBXQ"), Value::Null] {
        refused(list(8.into(), lst), Code::StatusListInvalid);
    }
    refused(verify(&Parts::claim(STATUS_LIST, Value::Null)), Code::StatusListInvalid);
    // Row 65: no more than the limit is unpacked.
    assert!(list(8.into(), zlib(&vec![0; MAX_LIST_BYTES])).is_ok());
    refused(list(8.into(), zlib(&vec![0; MAX_LIST_BYTES + 1])), Code::StatusListInvalid);
}

#[test]
fn another_form_of_the_same_token_is_refused() {
    let good = parts().signed();
    assert!(verify(&good).is_ok());
    assert!(verify(&[&[COSE_SIGN1_TAG_BYTE], &good[..]].concat()).is_ok());
    for prefix in
        [&[COSE_SIGN1_TAG_BYTE, COSE_SIGN1_TAG_BYTE][..], &[0xd8, 0x3d], &[0xd8, 0x3d, COSE_SIGN1_TAG_BYTE], &[0xd1]]
    {
        refused(verify(&[prefix, &good].concat()), Code::TokenMalformed);
    }
    refused(verify(&[&good[..], &[0]].concat()), Code::TokenMalformed);
    refused(verify(&[&[0x9f], &good[1..], &[0xff]].concat()), Code::TokenMalformed);
    let twice = |map: Map| [map.clone(), map].concat();
    refused(verify(&Parts { protected: twice(parts().protected), ..parts() }.signed()), Code::DuplicateKey);
    refused(verify(&Parts { claims: twice(parts().claims), ..parts() }.signed()), Code::DuplicateKey);
    let kid = vec![(KID.into(), Value::Bytes(vec![b'a']))];
    refused(verify(&Parts { unprotected: twice(kid), ..parts() }.signed()), Code::DuplicateKey);
    let deep = [vec![0x81; 60_000], vec![0]].concat();
    refused(verify(&parts().signed_over(deep.clone())), Code::TooDeep);
    refused(verify(&[&[COSE_SIGN1_TAG_BYTE, 0x84], &deep[..]].concat()), Code::TooDeep);
    refused(verify(&parts().signed_over(vec![0x80])), Code::TokenMalformed);
    refused(verify(&vec![0; Limits::STATUS_LIST.max_bytes + 2]), Code::TooLarge);
    let long = Parts::header(77, Value::Bytes(vec![0; Limits::SMALL.max_bytes]));
    refused(verify(&long), Code::TooLarge);
}

/// Any value that CBOR has, and some that this reader refuses.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        Just(Value::from(URI)),
        prop::collection::vec(any::<u8>(), 0..24).prop_map(Value::Bytes),
        Just(Value::Null),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((inner.clone(), inner.clone()), 0..4).prop_map(Value::Map),
            (any::<u64>(), inner).prop_map(|(tag, inner)| Value::Tag(tag, Box::new(inner))),
        ]
    })
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        let _ = verify(&bytes);
        let _ = verify(&[&[0x84][..], &bytes].concat());
        let _ = verify(&parts().signed_over(bytes));
    }

    #[test]
    fn no_claims_and_no_header_panic(
        label in prop::sample::select(vec![SUB, EXP, IAT, STATUS_LIST, TTL, ALG, CRIT, KID, TYP, 7, 33]), value in any_value()
    ) {
        let _ = verify(&Parts::claim(label, value.clone()));
        let _ = verify(&Parts::header(label, value.clone()));
        let _ = verify(&Parts { unprotected: vec![(label.into(), value)], ..parts() }.signed());
    }

    #[test]
    fn a_changed_token_is_refused(at in any::<prop::sample::Index>(), change in 1_u8..) {
        let mut bytes = parts().signed();
        let at = at.index(bytes.len());
        bytes[at] ^= change;
        prop_assert!(verify(&bytes).is_err());
    }
}

/// The hexadecimal text of one of the draft's examples.
fn example(name: &str) -> Vec<u8> {
    let folder = std::env::var("CARNET_VECTORS").unwrap();
    let text = std::fs::read_to_string(format!("{folder}/token-status-list/examples/{name}.md")).unwrap();
    let text = text.rsplit_once("encoded:").map_or(text.as_str(), |(_, text)| text);
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    base16ct::mixed::decode_vec(digits).unwrap()
}

#[test]
#[cfg_attr(not(carnet_vectors), ignore = "CARNET_VECTORS is not set")]
fn official_lists_in_cbor() {
    let list = |name: &str| parse_list(&cbor::parse(&example(name), Limits::STATUS_LIST).unwrap()).unwrap();
    let values = |list: StatusList| (0..list.entry_count()).map(|index| list.value(index).unwrap()).collect::<Vec<_>>();
    assert_eq!(values(list("status_list_encoding_cbor")), [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1]);
    assert_eq!(values(list("status_list_encoding2_cbor")), [1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3]);
    // The long ones say the same in CBOR as in JSON.
    for (name, bits) in [("1_long", 1), ("2_long", 2), ("4", 4), ("8", 8)] {
        let in_json = crate::status::tests::example(&format!("status_list_encoding{name}_json"));
        let in_cbor = list(&format!("status_list_encoding{name}_cbor"));
        assert_eq!(in_cbor.entry_bits(), bits);
        assert_eq!(in_cbor, token::parse_list(&in_json).unwrap());
    }
}

#[test]
#[cfg_attr(not(carnet_vectors), ignore = "CARNET_VECTORS is not set")]
fn official_token_in_cbor() {
    let bytes = example("status_list_cwt");
    let token = CwtStatusList::parse(&bytes).unwrap();
    assert_eq!(token.kid(), "12");
    // The public key with which the draft's examples are signed.
    let key = PublicKey::from_jwk(&json!({
        "kty": "EC", "crv": "P-256",
        "x": "I3HWm_0Ds1dPMI-IWmf4mBmH-YaeAVbPVu7vB27CxXo", "y": "6N_d5Elj9bs1htgV3okJKIdbHEpkgTmAluYKJemzn1M",
    }))
    .unwrap();
    let (uri, at) = ("https://example.com/statuslists/1", Timestamp::from_unix(1_686_920_170));
    let (list, freshness) = token.verify(&key, uri, at, 0).unwrap();
    assert_eq!(list.as_bytes(), [0xb9, 0xa3]);
    let expected =
        ListValidity { issued_at: at, expires_at: Some(Timestamp::from_unix(2_291_720_170)), ttl: Some(43_200) };
    assert_eq!(freshness, expected);
    // Without its tag it is the same.
    assert_eq!(CwtStatusList::parse(&bytes[1..]).unwrap().verify(&key, uri, at, 0).unwrap(), (list, freshness));
    refused(CwtStatusList::parse(&bytes).unwrap().verify(&key, URI, at, 0), Code::StatusListMismatch);
    refused(CwtStatusList::parse(&example("referenced_token_cwt")), Code::TokenType);
}
