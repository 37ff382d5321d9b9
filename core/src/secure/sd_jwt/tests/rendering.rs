//! A copy is rendered again from what it says, and every mark in its form shows.

use super::*;
use crate::{at_least::Direction, secure::jose};

fn ordered() -> Vec<OrderedClaim> {
    vec![OrderedClaim { path: path(json!(["credentialSubject", "level"])), direction: Direction::AtLeast }]
}

fn options<'a>(
    disclosable: &'a [ClaimPath],
    ordered: &'a [OrderedClaim],
    holder: &'a PublicKey,
    decoys_to_multiple_of: usize,
) -> IssueOptions<'a> {
    let kid = "did:web:uni.example#1";
    IssueOptions { typ: "vc+sd-jwt", kid, disclosable, ordered, holder: Some(holder), decoys_to_multiple_of }
}

/// The credential with an ordered claim, and all that may be hidden.
fn content() -> (Map<String, Value>, Vec<ClaimPath>) {
    let (mut payload, mut disclosable) = credential();
    payload["credentialSubject"]["level"] = json!(6);
    disclosable.push(path(json!(["credentialSubject", "level"])));
    (payload, disclosable)
}

/// The parts of a copy, decoded, so that they can be written in another way.
struct Parts {
    header: Vec<u8>,
    payload: Vec<u8>,
    disclosures: Vec<Vec<u8>>,
}

impl Parts {
    fn of(compact: &str) -> Self {
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
        let mut parts = compact.trim_end_matches('~').split('~');
        let jws: Vec<&str> = parts.next().unwrap().split('.').collect();
        Self { header: decode(jws[0]), payload: decode(jws[1]), disclosures: parts.map(decode).collect() }
    }

    fn sign(&self) -> String {
        let encode = |bytes: &Vec<u8>| URL_SAFE_NO_PAD.encode(bytes);
        let input = format!("{}.{}", encode(&self.header), encode(&self.payload));
        let mut compact = jose::append_signature(input, &issuer()).unwrap();
        for disclosure in &self.disclosures {
            compact.push_str(&format!("~{}", encode(disclosure)));
        }
        compact.push('~');
        compact
    }

    fn replace(bytes: &mut Vec<u8>, from: &str, to: &str) {
        let text = String::from_utf8(bytes.clone()).unwrap();
        assert!(text.contains(from), "{text}");
        *bytes = text.replacen(from, to, 1).into_bytes();
    }
}

#[test]
fn row_92_what_is_issued_is_rendered_again_and_anything_else_is_refused() {
    let (payload, disclosable) = content();
    let (ordered, holder) = (ordered(), holder().public_key());
    for decoys in [0, 4] {
        let options = options(&disclosable, &ordered, &holder, decoys);
        let compact = issue(&payload, &options, &issuer(), &mut Seeded(0)).unwrap();
        let check = |compact: &str| SdJwt::parse(compact).unwrap().check_rendering(&payload, &options);
        assert_eq!(check(&compact), Ok(()));
        assert_eq!(check(&Parts::of(&compact).sign()), Ok(()), "signed again as it was");
        type Change = fn(&mut Parts);
        let changes: [(&str, Change); 8] = [
            ("white space in the header", |parts| Parts::replace(&mut parts.header, ",", ", ")),
            ("a member more in the header", |parts| Parts::replace(&mut parts.header, "{", "{\"a\":1,")),
            ("the order of the header", |parts| {
                Parts::replace(&mut parts.header, "\"typ\":\"vc+sd-jwt\"", "\"alg\":\"EdDSA\"");
                Parts::replace(&mut parts.header, "\"alg\":\"EdDSA\"", "\"typ\":\"vc+sd-jwt\"");
            }),
            ("white space in the payload", |parts| Parts::replace(&mut parts.payload, "{", "{ ")),
            ("an escape in the payload", |parts| Parts::replace(&mut parts.payload, "sha-256", "sh\\u0061-256")),
            ("a member more in the payload", |parts| Parts::replace(&mut parts.payload, "{", "{\"A\":1,")),
            ("a member more in cnf", |parts| Parts::replace(&mut parts.payload, "\"cnf\":{", "\"cnf\":{\"a\":1,")),
            ("the order of disclosures", |parts| parts.disclosures.swap(0, 1)),
        ];
        for (what, change) in changes {
            let mut parts = Parts::of(&compact);
            change(&mut parts);
            assert_eq!(check(&parts.sign()).unwrap_err().code, Code::CopyMarked, "{what}");
        }
        // A disclosure that is left out is a digest too many.
        let mut parts = Parts::of(&compact);
        parts.disclosures.pop();
        assert_eq!(check(&parts.sign()).unwrap_err().code, Code::CopyMarked);
        let bound = SdJwt::parse(&compact).unwrap().bind("n", AUDIENCE, NOW, &super::holder()).unwrap();
        assert_eq!(check(&bound).unwrap_err().code, Code::CopyMarked);
    }
}

#[test]
fn row_92_a_disclosure_that_is_written_in_another_way_is_refused() {
    let payload = map(json!({"a": "b", "iss": "did:web:uni.example"}));
    let disclosable = [path(json!(["a"]))];
    let holder = holder().public_key();
    let options = IssueOptions { typ: "dc+sd-jwt", ..options(&disclosable, &[], &holder, 1) };
    let whole = Parts::of(&issue(&payload, &options, &issuer(), &mut Seeded(0)).unwrap());
    let check = |disclosure: String| {
        let text = URL_SAFE_NO_PAD.encode(&disclosure);
        let digest = URL_SAFE_NO_PAD.encode(Sha256::digest(text.as_bytes()));
        let mut parts = Parts { header: whole.header.clone(), payload: Vec::new(), disclosures: Vec::new() };
        let mut changed: Value = serde_json::from_slice(&whole.payload).unwrap();
        changed["_sd"] = json!([digest]);
        parts.payload = serde_json::to_vec(&changed).unwrap();
        parts.disclosures = vec![disclosure.into_bytes()];
        SdJwt::parse(&parts.sign()).unwrap().check_rendering(&payload, &options).map_err(|problem| problem.code)
    };
    assert_eq!(check("[\"AAAAAAAAAAAAAAAAAAAAAA\",\"a\",\"b\"]".to_owned()), Ok(()));
    for marked in [
        "[\"AAAAAAAAAAAAAAAAAAAAAA\", \"a\",\"b\"]",
        "[\"AAAAAAAAAAAAAAAAAAAAAA\",\"\\u0061\",\"b\"]",
        "[\"\\u0041AAAAAAAAAAAAAAAAAAAAA\",\"a\",\"b\"]",
        "[\"AAAAAAAAAAAAAAAAAAAAAA\",\"a\",\"b\"] ",
    ] {
        assert_eq!(check(marked.to_owned()), Err(Code::CopyMarked), "{marked}");
    }
}

#[test]
fn the_number_of_digests_says_nothing_of_the_claims() {
    let (whole, disclosable) = content();
    let (ordered, holder) = (ordered(), holder().public_key());
    let digests = |payload: &Map<String, Value>, decoys: usize| {
        let options = options(&disclosable, &ordered, &holder, decoys);
        let token = SdJwt::parse(&issue(payload, &options, &issuer(), &mut Seeded(0)).unwrap()).unwrap();
        assert_eq!(token.check_rendering(payload, &options), Ok(()));
        token.jws().payload()["credentialSubject"]["_sd"].as_array().map_or(0, Vec::len)
    };
    let mut less = whole.clone();
    let mut none = whole.clone();
    less["credentialSubject"].as_object_mut().unwrap().remove("givenName");
    none.insert("credentialSubject".to_owned(), json!({"id": "did:jwk:abc"}));
    // Five names may be hidden there, of which one is in no payload.
    assert_eq!([&whole, &less, &none].map(|payload| digests(payload, 4)), [8, 8, 8]);
    assert_eq!([&whole, &less, &none].map(|payload| digests(payload, 1)), [5, 5, 5]);
    assert_eq!(digests(&whole, 0), 4);
}

#[test]
fn row_92_another_number_of_decoys_is_refused() {
    let (payload, disclosable) = content();
    let (ordered, holder) = (ordered(), holder().public_key());
    let issued = |decoys| issue(&payload, &options(&disclosable, &ordered, &holder, decoys), &issuer(), &mut Seeded(0));
    let expected = options(&disclosable, &ordered, &holder, 4);
    let check = |decoys| SdJwt::parse(&issued(decoys).unwrap()).unwrap().check_rendering(&payload, &expected);
    assert_eq!(check(4), Ok(()));
    for other in [0, 1, 3, 12] {
        assert_eq!(check(other).unwrap_err().code, Code::CopyMarked, "{other}");
    }
}
