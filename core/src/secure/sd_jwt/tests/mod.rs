//! Refused SD-JWTs, each beside its accepted twin.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::*;
use crate::{
    keys::{SecretKey, SignatureAlgorithm, Signer},
    seeded::SeededRng,
    time::Timestamp,
};

mod binding;
mod properties;
mod rendering;
mod rows;
mod vectors;

const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);
const AUDIENCE: &str = "decentralized_identifier:did:web:agency.example";

fn key(byte: u8) -> SecretKey {
    SecretKey::from_bytes(SignatureAlgorithm::EdDsa, &[byte; 32]).unwrap()
}

fn issuer() -> SecretKey {
    key(1)
}

fn holder() -> SecretKey {
    key(2)
}

fn map(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn path(value: Value) -> ClaimPath {
    crate::query::parse_path(&value).unwrap()
}

/// A disclosure as the text that travels.
fn written(disclosure: &Value) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(disclosure).unwrap())
}

/// The digest of a disclosure, computed apart from the code under test.
fn digest(disclosure: &Value) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(written(disclosure)))
}

/// An SD-JWT of exactly this payload and these disclosures, signed in earnest by the issuer.
fn made(payload: &Value, disclosures: &[Value]) -> String {
    made_as("vc+sd-jwt", payload, disclosures)
}

fn made_as(typ: &str, payload: &Value, disclosures: &[Value]) -> String {
    let header = map(json!({"typ": typ, "kid": "did:web:uni.example#1"}));
    let mut compact = crate::secure::jose::sign(header, &map(payload.clone()), &issuer()).unwrap();
    compact.push('~');
    for disclosure in disclosures {
        compact.push_str(&written(disclosure));
        compact.push('~');
    }
    compact
}

/// Verifies the SD-JWT and returns its claims, as a verifier does.
fn shown(compact: &str) -> Result<Map<String, Value>, Problem> {
    let token = SdJwt::parse(compact)?;
    token.verify_signature(&issuer().public_key())?;
    Ok(token.resolve_disclosures()?.payload)
}

fn refusal(compact: &str) -> Code {
    shown(compact).unwrap_err().code
}

/// A credential as Carnet issues it, and the paths that may be withheld.
fn credential() -> (Map<String, Value>, Vec<ClaimPath>) {
    let payload = json!({
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "type": ["VerifiableCredential", "QualificationCredential"],
        "issuer": "did:web:uni.example",
        "validFrom": "2026-11-22T00:00:00Z",
        "validUntil": "2031-11-22T00:00:00Z",
        "credentialSubject": {
            "id": "did:jwk:abc",
            "givenName": "Amira",
            "address": {"city": "Graz", "country": "AT"},
            "outcomes": [{"title": "A", "level": 1}, {"title": "B", "level": 2}],
        },
    });
    let disclosable = [
        json!(["credentialSubject", "givenName"]),
        json!(["credentialSubject", "address"]),
        json!(["credentialSubject", "address", "city"]),
        json!(["credentialSubject", "address", "country"]),
        json!(["credentialSubject", "outcomes"]),
        json!(["credentialSubject", "outcomes", null]),
        json!(["credentialSubject", "outcomes", null, "level"]),
        json!(["credentialSubject", "notThere"]),
    ];
    (map(payload), disclosable.map(path).to_vec())
}

fn issued(decoys_to_multiple_of: usize) -> SdJwt {
    let (payload, disclosable) = credential();
    let holder = holder().public_key();
    let options = IssueOptions {
        typ: "vc+sd-jwt",
        kid: "did:web:uni.example#1",
        disclosable: &disclosable,
        ordered_claims: &[],
        holder_key: Some(&holder),
        decoys_to_multiple_of,
        padded_arrays: &[],
    };
    SdJwt::parse(&issue(&payload, &options, &issuer(), &mut SeededRng(0)).unwrap()).unwrap()
}

fn issue_refusal(payload: Value, disclosable: &[Value], typ: &str) -> Option<Code> {
    let disclosable: Vec<_> = disclosable.iter().cloned().map(path).collect();
    let holder = holder().public_key();
    let options = IssueOptions {
        typ,
        kid: "did:a:b#c",
        disclosable: &disclosable,
        ordered_claims: &[],
        holder_key: Some(&holder),
        decoys_to_multiple_of: 0,
        padded_arrays: &[],
    };
    issue(&map(payload), &options, &issuer(), &mut SeededRng(0)).err().map(|problem| problem.code)
}

#[test]
fn issuing_hides_and_disclosing_restores() {
    for (decoys, digests) in [(0, 3), (4, 4), (8, 8)] {
        let token = issued(decoys);
        token.verify_signature(&issuer().public_key()).unwrap();
        assert_eq!(token.disclosure_count(), 9);
        let subject = &token.jws().payload()["credentialSubject"];
        assert_eq!(subject["_sd"].as_array().unwrap().len(), digests);
        assert_eq!(map(subject.clone()).keys().collect::<Vec<_>>(), ["_sd", "id"]);

        let (mut payload, _) = credential();
        payload.insert("cnf".to_owned(), json!({"jwk": holder().public_key().to_jwk()}));
        let disclosed = token.resolve_disclosures().unwrap();
        assert_eq!(disclosed.payload, payload);
        assert_eq!(disclosed.disclosure_paths.len(), 9);
        assert!(disclosed.disclosure_paths.contains(&path(json!(["credentialSubject", "outcomes", 1, "level"]))));
        assert_eq!(SdJwt::parse(&token.to_string()).unwrap().resolve_disclosures().unwrap().payload, payload);
    }
}

#[test]
fn salts_have_128_bits_and_digests_are_sorted() {
    let token = issued(8);
    let compact = token.to_string();
    let mut salts = std::collections::HashSet::new();
    for text in compact.split('~').skip(1).filter(|text| !text.is_empty()) {
        let disclosure: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap();
        let salt = URL_SAFE_NO_PAD.decode(disclosure[0].as_str().unwrap()).unwrap();
        assert_eq!(salt.len(), 16);
        assert!(salts.insert(salt));
    }
    let digests = token.jws().payload()["credentialSubject"]["_sd"].as_array().unwrap();
    assert!(digests.is_sorted_by_key(|digest| digest.as_str().unwrap()));
}

#[test]
fn selecting_keeps_what_is_needed_and_nothing_else() {
    let token = issued(4);
    let select = |paths: &[Value]| {
        let paths: Vec<_> = paths.iter().cloned().map(path).collect();
        let selected = token.select_claims(&paths).unwrap();
        // The selected SD-JWT parses, too.
        let again = SdJwt::parse(&selected.to_string()).unwrap();
        assert_eq!(again.resolve_disclosures().unwrap().payload, selected.resolve_disclosures().unwrap().payload);
        again.verify_signature(&issuer().public_key()).unwrap();
        selected.resolve_disclosures().unwrap().payload["credentialSubject"].clone()
    };
    assert_eq!(select(&[]), json!({"id": "did:jwk:abc"}));
    assert_eq!(select(&[json!(["issuer"])]), json!({"id": "did:jwk:abc"}));
    assert_eq!(
        select(&[json!(["credentialSubject", "address", "country"])]),
        json!({"id": "did:jwk:abc", "address": {"country": "AT"}}),
        "a parent comes along without its other members"
    );
    assert_eq!(
        select(&[json!(["credentialSubject", "address"])]),
        json!({"id": "did:jwk:abc", "address": {"city": "Graz", "country": "AT"}}),
        "an object comes whole"
    );
    assert_eq!(
        select(&[json!(["credentialSubject", "outcomes", 1, "title"])]),
        json!({"id": "did:jwk:abc", "outcomes": [{"title": "B"}]})
    );
    assert_eq!(
        select(&[json!(["credentialSubject", "outcomes", null, "level"])]),
        json!({"id": "did:jwk:abc", "outcomes": [{"title": "A", "level": 1}, {"title": "B", "level": 2}]})
    );
    for missing in [json!(["credentialSubject", "notThere"]), json!(["credentialSubject", "outcomes", 2])] {
        assert_eq!(token.select_claims(&[path(missing)]).unwrap_err().code, Code::QueryUnmet);
    }
    assert_eq!(token.select_claims(&[vec![]]).unwrap_err().code, Code::QueryUnmet);
}

#[test]
fn indices_are_those_of_the_original_array() {
    let second = json!(["salt-2", "b"]);
    let compact =
        made(&json!({"a": [{"...": digest(&json!(["salt-1", "a"]))}, {"...": digest(&second)}, "c"]}), &[second]);
    let token = SdJwt::parse(&compact).unwrap();
    let disclosed = token.resolve_disclosures().unwrap();
    assert_eq!(disclosed.payload, map(json!({"a": ["b", "c"]})));
    assert_eq!(disclosed.disclosure_paths, [path(json!(["a", 1]))]);
    // Selection points into the disclosed payload.
    assert_eq!(token.select_claims(&[path(json!(["a", 0]))]).unwrap().disclosure_count(), 1);
    assert_eq!(token.select_claims(&[path(json!(["a", 1]))]).unwrap().disclosure_count(), 0);
}

#[test]
fn debug_shows_no_claims() {
    let token = issued(0);
    let text = format!("{token:?} {:?}", token.resolve_disclosures().unwrap());
    assert!(!text.contains("Amira") && !text.contains("Graz"), "{text}");
}

#[test]
fn nesting_is_bounded_also_through_disclosures() {
    // Each disclosure holds the digest of the next, so that the depth is in none of them.
    let chain = |length: usize| {
        let mut disclosures = vec![json!(["salt", "x", "the end"])];
        for at in 1..length {
            let inner = digest(disclosures.last().unwrap());
            disclosures.push(json!([format!("salt {at}"), "x", {"_sd": [inner]}]));
        }
        made(&json!({"_sd": [digest(disclosures.last().unwrap())]}), &disclosures)
    };
    assert!(shown(&chain(32)).is_ok());
    assert_eq!(refusal(&chain(33)), Code::TooDeep);
    assert_eq!(refusal(&chain(2_000)), Code::TooDeep);
}

#[test]
fn what_cannot_be_issued_is_refused() {
    assert_eq!(issue_refusal(json!({"a": 1}), &[json!(["a"])], "vc+sd-jwt"), None);
    for payload in [json!({"_sd": []}), json!({"a": {"...": "x"}}), json!({"a": [{"_sd_alg": "sha-256"}]})] {
        assert_eq!(issue_refusal(payload, &[], "vc+sd-jwt"), Some(Code::DisclosureName));
    }
    assert_eq!(issue_refusal(json!({"cnf": {}}), &[], "vc+sd-jwt"), Some(Code::ClaimForbidden));
    let mut deep = json!(1);
    for _ in 0..32 {
        deep = json!([deep]);
    }
    assert_eq!(issue_refusal(json!({"a": deep}), &[], "vc+sd-jwt"), Some(Code::TooDeep));
    let options = IssueOptions {
        typ: "t",
        kid: "k",
        disclosable: &[],
        ordered_claims: &[],
        holder_key: None,
        decoys_to_multiple_of: 257,
        padded_arrays: &[],
    };
    assert_eq!(issue(&Map::new(), &options, &issuer(), &mut SeededRng(0)).unwrap_err().code, Code::MalformedValue);
}
