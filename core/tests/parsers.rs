//! Every door of core over arbitrary bytes and over valid inputs that were changed a little: none may panic.
//! The fuzz targets in fuzz/ run the same functions for longer.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use carnet_core::{
    did::{
        Did, DidDocument, SelfContainedResolver, VerificationRelationship,
        webvh::{self, LogUpdate as Update, NewWebVhDid, UnwitnessedLog},
    },
    keys::{SecretKey, SignatureAlgorithm, Signer as _},
    presentation::create_data_integrity_presentation,
    secure::{
        data_integrity::Cryptosuites,
        data_integrity::{ProofOptions, add_proof, eddsa_jcs::EddsaJcs2022},
        jose,
        sd_jwt::{self, IssueOptions, SdJwt, Step},
    },
    status::{BitOrder, ListValidity, StatusList, VerifiedStatusList, cwt, token},
};
use proptest::{prelude::*, sample::Index};
use rand_core::{CryptoRng, RngCore, impls};
use serde_json::{Map, Value, json};

#[path = "../../fuzz/doors.rs"]
mod doors;

/// Numbers that are the same in each run: a failure can be seen again.
struct Fixed(u64);

impl RngCore for Fixed {
    fn next_u32(&mut self) -> u32 {
        self.next_u64() as u32
    }
    fn next_u64(&mut self) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn fill_bytes(&mut self, dest: &mut [u8]) {
        impls::fill_bytes_via_next(self, dest);
    }
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(dest);
        Ok(())
    }
}

impl CryptoRng for Fixed {}

fn issuer() -> SecretKey {
    SecretKey::from_bytes(SignatureAlgorithm::EdDsa, &[7; 32]).unwrap()
}

fn holder() -> SecretKey {
    SecretKey::from_bytes(SignatureAlgorithm::EdDsa, &[9; 32]).unwrap()
}

fn method(did: &Did) -> String {
    format!("{did}#0")
}

fn document() -> Map<String, Value> {
    let document = json!({
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "type": ["VerifiableCredential", "Anything"],
        "issuer": Did::did_jwk(&issuer().public_key()).as_str(),
        "validFrom": "2026-11-01T00:00:00Z",
        "validUntil": "2027-11-01T00:00:00Z",
        "credentialSubject": {
            "id": Did::did_jwk(&holder().public_key()).as_str(),
            "name": "Ada",
            "level": 7,
            "skills": [{"code": "a"}, {"code": "b"}],
        },
    });
    document.as_object().unwrap().clone()
}

/// Returns an SD-JWT with disclosable claims, in one of the two formats.
fn issued(typ: &str) -> String {
    let kid = method(&Did::did_jwk(&issuer().public_key()));
    let name = |text: &str| Step::Name(text.to_owned());
    let (payload, top) = if typ == "vc+sd-jwt" {
        let mut payload = document();
        payload.insert("exp".to_owned(), json!(1_825_027_200));
        (payload, vec![name("credentialSubject")])
    } else {
        let payload = json!({
            "iss": Did::did_jwk(&issuer().public_key()).as_str(),
            "vct": "urn:carnet:type:anything:1",
            "exp": 1_825_027_200,
            "name": "Ada",
            "level": 7,
            "skills": [{"code": "a"}, {"code": "b"}],
        });
        (payload.as_object().unwrap().clone(), vec![])
    };
    let path = |tail: &[Step]| top.iter().chain(tail).cloned().collect::<Vec<_>>();
    let disclosable = vec![
        path(&[name("name")]),
        path(&[name("level")]),
        path(&[name("skills"), Step::All]),
        path(&[name("skills"), Step::All, name("code")]),
    ];
    let key = holder().public_key();
    let options = IssueOptions {
        typ,
        kid: &kid,
        disclosable: &disclosable,
        ordered_claims: &[],
        holder_key: Some(&key),
        decoys_to_multiple_of: 4,
        padded_arrays: &[],
    };
    sd_jwt::issue(&payload, &options, &issuer(), &mut Fixed(1)).unwrap()
}

fn bound(compact: &str) -> String {
    SdJwt::parse(compact).unwrap().bind_key(doors::NONCE, doors::AUDIENCE, doors::NOW, &holder()).unwrap()
}

/// A log of two entries.
fn logged() -> (Did, String) {
    let (at, update) = (doors::NOW.plus(-100), issuer());
    let inception = NewWebVhDid {
        location: "issuer.example:a",
        version_time: at,
        update_key: &update,
        next_update_keys: &[],
        ttl: None,
    };
    let render = |did: &Did, name: &str| DidDocument::json_for_keys(did, &[(name.to_owned(), issuer().public_key())]);
    let (did, text) = webvh::create_did(&inception, &|did| render(did, "key-1")).unwrap();
    let log = UnwitnessedLog::verify_entries(&did, text.as_bytes(), doors::NOW, 0)
        .unwrap()
        .verify_witnesses(None, doors::NOW, 0)
        .unwrap();
    let state = render(&did, "key-2");
    let update_of = Update {
        version_time: at.plus(1),
        state: &state,
        update_keys: None,
        next_update_keys: None,
        deactivate: false,
    };
    let text = webvh::append(&log, &text, &update_of, &update).unwrap();
    (did, text)
}

fn seeds() -> Vec<Vec<u8>> {
    let (logged_did, log) = logged();
    let method_of_issuer = method(&Did::did_jwk(&issuer().public_key()));
    let options = ProofOptions {
        verification_method: &method_of_issuer,
        purpose: VerificationRelationship::AssertionMethod,
        created: Some(doors::NOW),
        expires: None,
        challenge: None,
        domain: None,
    };
    let signed = Value::Object(add_proof(&document(), &EddsaJcs2022, &options, &issuer()).unwrap());
    let holder_did = Did::did_jwk(&holder().public_key());
    let holder_method = method(&holder_did);
    let presented = create_data_integrity_presentation(
        std::slice::from_ref(&signed),
        holder_did.as_str(),
        &holder_method,
        doors::NONCE,
        doors::AUDIENCE,
        doors::NOW,
        &holder(),
    )
    .unwrap();
    let (vc, dc) = (issued("vc+sd-jwt"), issued("dc+sd-jwt"));
    let web = Did::parse("did:web:issuer.example").unwrap();
    let query = json!({
        "credentials": [
            {"id": "a", "format": "dc+sd-jwt", "meta": {"vct_values": ["urn:x"]},
             "claims": [{"id": "n", "path": ["name"]}, {"id": "s", "path": ["skills", null, "code"], "values": ["a"]}],
             "claim_sets": [["n"], ["s"]]},
            {"id": "b", "format": "vc+sd-jwt", "meta": {"type_values": [["Anything"]]}, "multiple": true}],
        "credential_sets": [{"options": [["a"], ["b"]], "required": false}],
    });
    let text = [
        vc.split('~').next().unwrap().to_owned(),
        bound(&vc),
        bound(&dc),
        vc,
        dc,
        signed.to_string(),
        presented,
        DidDocument::json_for_keys(&web, &[("key-1".to_owned(), issuer().public_key())]).to_string(),
        Value::Object(issuer().public_key().to_jwk()).to_string(),
        query.to_string(),
        log,
        logged_did.to_string(),
        method_of_issuer.clone(),
        method(&Did::did_key(&issuer().public_key())),
        "did:web:issuer.example%3A8443:a:b#key-1".to_owned(),
        issuer().public_key().to_multikey(),
        r#"{"a":[1,-0.5,1e21,9007199254740991,"\u20ac\ud83d\ude00"],"b":{"c":null,"d":[true,false,[]]}}"#.to_owned(),
    ];
    text.into_iter().map(String::into_bytes).chain([list()]).collect()
}

/// A status list token in CBOR.
fn list() -> Vec<u8> {
    let freshness = ListValidity { issued_at: doors::NOW, expires_at: Some(doors::NOW.plus(86_400)), ttl: Some(300) };
    let kid = method(&Did::did_jwk(&issuer().public_key()));
    let published = token::TokenListParameters { kid, uri: doors::LIST.to_owned(), validity: freshness };
    cwt::issue_cwt(&StatusList::new(131_072, 2, BitOrder::LeastSignificantFirst).unwrap(), &published, &issuer())
        .unwrap()
}

#[derive(Debug, Clone)]
enum Change {
    Set(Index, u8),
    Insert(Index, u8),
    Remove(Index, u8),
    Repeat(Index, u8),
    Swap(Index, Index),
    Token(Index, &'static str),
}

/// Pieces that mean something to one parser or another.
const TOKENS: &[&str] = &[
    "~",
    ".",
    "#",
    "%",
    "%00",
    "%2F..%2F",
    "\"",
    "\\u0000",
    "\\ud800",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "null",
    "-0",
    "1e309",
    "9007199254740993",
    "\"_sd\"",
    "\"...\"",
    "\"_sd_alg\"",
    "\"proof\"",
    "\"@context\"",
    "z",
    "did:",
    "\u{0}",
    "\u{feff}",
];

fn change() -> impl Strategy<Value = Change> {
    // Mostly printable, so that text stays text and the change is seen deeper inside.
    let byte = prop_oneof![4 => 0x20_u8..0x7f, 1 => any::<u8>()];
    prop_oneof![
        (any::<Index>(), byte.clone()).prop_map(|(at, byte)| Change::Set(at, byte)),
        (any::<Index>(), byte.clone()).prop_map(|(at, byte)| Change::Insert(at, byte)),
        (any::<Index>(), byte.clone()).prop_map(|(at, n)| Change::Remove(at, n)),
        (any::<Index>(), byte).prop_map(|(at, n)| Change::Repeat(at, n)),
        (any::<Index>(), any::<Index>()).prop_map(|(a, b)| Change::Swap(a, b)),
        (any::<Index>(), prop::sample::select(TOKENS)).prop_map(|(at, token)| Change::Token(at, token)),
    ]
}

fn changed(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        if bytes.is_empty() {
            return bytes;
        }
        let len = bytes.len();
        match change {
            Change::Set(at, byte) => bytes[at.index(len)] = *byte,
            Change::Insert(at, byte) => bytes.insert(at.index(len), *byte),
            Change::Remove(at, n) => drop(bytes.drain(at.index(len)..(at.index(len) + usize::from(*n)).min(len))),
            Change::Repeat(at, n) => {
                let piece = bytes[at.index(len)..(at.index(len) + usize::from(*n)).min(len)].to_vec();
                bytes.splice(at.index(len)..at.index(len), piece);
            }
            Change::Swap(a, b) => bytes.swap(a.index(len), b.index(len)),
            Change::Token(at, token) => drop(bytes.splice(at.index(len)..at.index(len), token.bytes())),
        }
    }
    bytes
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    prop::collection::vec(change(), 0..4)
}

fn all_doors(bytes: &[u8]) {
    for (_, door) in doors::ALL {
        door(bytes);
    }
}

/// Decodes the base64url parts, changes one inside, and puts the token together again. A payload that still is an
/// object is signed again, so that the checks after the signature see it, too.
fn changed_inside(compact: &str, part: Index, changes: &[Change]) -> String {
    let mut parts: Vec<String> = compact.split('~').map(str::to_owned).collect();
    let at = part.index(parts.len());
    if at == 0 {
        let jws: Vec<&str> = parts[0].split('.').collect();
        let payload = changed(BASE64_URL_SAFE_NO_PAD.decode(jws[1]).unwrap(), changes);
        let header: Map<String, Value> =
            serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(jws[0]).unwrap()).unwrap();
        parts[0] = match serde_json::from_slice::<Map<String, Value>>(&payload) {
            Ok(payload) => match jose::sign(header, &payload, &issuer()) {
                Ok(signed) => signed,
                Err(_) => return compact.to_owned(),
            },
            Err(_) => format!("{}.{}.{}", jws[0], BASE64_URL_SAFE_NO_PAD.encode(payload), jws[2]),
        };
    } else if let Ok(bytes) = BASE64_URL_SAFE_NO_PAD.decode(&parts[at]) {
        parts[at] = BASE64_URL_SAFE_NO_PAD.encode(changed(bytes, changes));
    }
    parts.join("~")
}

#[test]
fn the_seeds_pass_their_doors() {
    for seed in seeds() {
        all_doors(&seed);
    }
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let seeds = seeds();
    assert!(SdJwt::parse(&text(&seeds[1])).unwrap().has_key_binding());
    assert_eq!(SdJwt::parse(&text(&seeds[3])).unwrap().resolve_disclosures().unwrap().disclosure_paths.len(), 6);
    let by = Did::did_jwk(&issuer().public_key());
    VerifiedStatusList::verify(
        &list(),
        doors::LIST,
        &by,
        (doors::NOW, 60),
        (&SelfContainedResolver, &Cryptosuites::empty()),
    )
    .unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        all_doors(&bytes);
    }

    #[test]
    fn arbitrary_tokens_are_refused_without_a_panic(parts in prop::collection::vec(prop::sample::select(TOKENS), 0..40)) {
        all_doors(parts.concat().as_bytes());
    }

    #[test]
    fn changed_inputs_make_no_door_panic(seed in any::<Index>(), changes in changes()) {
        let seeds = seeds();
        all_doors(&changed(seeds[seed.index(seeds.len())].clone(), &changes));
    }

    #[test]
    fn tokens_changed_inside_make_no_door_panic(seed in 1_usize..5, part in any::<Index>(), changes in changes()) {
        let compact = String::from_utf8(seeds()[seed].clone()).unwrap();
        let inside = changed_inside(&compact, part, &changes);
        doors::sd_jwt(inside.as_bytes());
        doors::jws(inside.split('~').next().unwrap().as_bytes());
        doors::credential(inside.as_bytes());
    }
}
