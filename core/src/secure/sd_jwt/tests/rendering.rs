//! A copy is rendered again from its content, which reveals every mark in its form.

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
    IssueOptions {
        typ: "vc+sd-jwt",
        kid,
        disclosable,
        ordered_claims: ordered,
        holder_key: Some(holder),
        decoys_to_multiple_of,
        padded_arrays: &[],
    }
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
        let compact = issue(&payload, &options, &issuer(), &mut SeededRng(0)).unwrap();
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
        let bound = SdJwt::parse(&compact).unwrap().bind_key("n", AUDIENCE, NOW, &super::holder()).unwrap();
        assert_eq!(check(&bound).unwrap_err().code, Code::CopyMarked);
    }
}

#[test]
fn row_92_a_disclosure_that_is_written_in_another_way_is_refused() {
    let payload = map(json!({"a": "b", "iss": "did:web:uni.example"}));
    let disclosable = [path(json!(["a"]))];
    let holder = holder().public_key();
    let options = IssueOptions { typ: "dc+sd-jwt", ..options(&disclosable, &[], &holder, 1) };
    let whole = Parts::of(&issue(&payload, &options, &issuer(), &mut SeededRng(0)).unwrap());
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
        let token = SdJwt::parse(&issue(payload, &options, &issuer(), &mut SeededRng(0)).unwrap()).unwrap();
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
    let issued =
        |decoys| issue(&payload, &options(&disclosable, &ordered, &holder, decoys), &issuer(), &mut SeededRng(0));
    let expected = options(&disclosable, &ordered, &holder, 4);
    let check = |decoys| SdJwt::parse(&issued(decoys).unwrap()).unwrap().check_rendering(&payload, &expected);
    assert_eq!(check(4), Ok(()));
    for other in [0, 1, 3, 12] {
        assert_eq!(check(other).unwrap_err().code, Code::CopyMarked, "{other}");
    }
}

/// A payload with so many serials, the array padded to eight.
fn padded(serials: usize) -> (Map<String, Value>, [ClaimPath; 2], [PaddedArray; 1]) {
    let array = path(json!(["credentialSubject", "serials"]));
    let element = path(json!(["credentialSubject", "serials", null]));
    let serials: Vec<String> = (0..serials).map(|number| format!("serial-{number}")).collect();
    let payload =
        map(json!({"issuer": "did:web:uni.example", "credentialSubject": {"id": "did:jwk:abc", "serials": serials}}));
    (payload, [array.clone(), element], [PaddedArray { path: array, digest_count: 8 }])
}

/// The payload as it was before the holder's key was put there.
fn without_cnf(payload: &Map<String, Value>) -> Map<String, Value> {
    let mut payload = payload.clone();
    payload.remove("cnf");
    payload
}

#[test]
fn a_padded_array_has_one_length_no_order_and_one_rendering() {
    let holder = holder().public_key();
    for count in [1, 3, 8] {
        let (payload, disclosable, padded) = padded(count);
        let options = IssueOptions { padded_arrays: &padded, ..options(&disclosable, &[], &holder, 4) };
        let compact = issue(&payload, &options, &issuer(), &mut SeededRng(0)).unwrap();
        let token = SdJwt::parse(&compact).unwrap();
        let shown = token.resolve_disclosures().unwrap();
        let serials = shown.payload["credentialSubject"]["serials"].as_array().unwrap();
        assert_eq!(serials.len(), count);
        // A wallet renders the claims in the copy's own order.
        assert_eq!(token.check_rendering(&without_cnf(&shown.payload), &options), Ok(()));
        let array = token.select_claims(&disclosable[..1]).unwrap();
        assert_eq!(array.digests().unwrap().len(), 4 + 8);
        for (keep, serial) in serials.iter().enumerate() {
            let one = token.select_element(&padded[0].path, Some(keep)).unwrap();
            let left = one.resolve_disclosures().unwrap();
            assert_eq!(left.payload["credentialSubject"]["serials"], json!([serial]));
            // Its place among all digests is unchanged.
            let place = |paths: &[ClaimPath]| paths.iter().filter(|path| path.len() == 3).cloned().collect::<Vec<_>>();
            assert_eq!(place(&left.disclosure_paths), [place(&shown.disclosure_paths)[keep].clone()]);
        }
        let none = token.select_element(&padded[0].path, None).unwrap();
        assert_eq!(none.resolve_disclosures().unwrap().payload["credentialSubject"]["serials"], json!([]));
        // Another number of digests, or elements in the order of the offer, would be a mark.
        let other = [PaddedArray { digest_count: 9, ..padded[0].clone() }];
        let other = IssueOptions { padded_arrays: &other, ..options };
        let code = |checked: Result<(), Problem>| checked.unwrap_err().code;
        assert_eq!(code(token.check_rendering(&without_cnf(&shown.payload), &other)), Code::CopyMarked);
    }
}

#[test]
fn a_padded_array_that_shows_its_length_is_not_issued() {
    let holder = holder().public_key();
    let refused = |payload: &Map<String, Value>, disclosable: &[ClaimPath], padded: &[PaddedArray]| {
        let options = IssueOptions { padded_arrays: padded, ..options(disclosable, &[], &holder, 4) };
        issue(payload, &options, &issuer(), &mut SeededRng(0)).err().map(|problem| problem.code)
    };
    let (payload, disclosable, array) = padded(3);
    assert_eq!(refused(&payload, &disclosable, &array), None);
    // Elements in the clear, more of them than digests, elements with something hidden in them, and too many digests.
    assert_eq!(refused(&payload, &disclosable[..1], &array), Some(Code::MalformedValue));
    assert_eq!(refused(&padded(9).0, &disclosable, &array), Some(Code::MalformedValue));
    let mut objects = payload.clone();
    objects["credentialSubject"]["serials"] = json!([{"a": 1}]);
    assert_eq!(refused(&objects, &disclosable, &array), Some(Code::MalformedValue));
    let many = [PaddedArray { digest_count: 257, ..array[0].clone() }];
    assert_eq!(refused(&payload, &disclosable, &many), Some(Code::MalformedValue));
}
