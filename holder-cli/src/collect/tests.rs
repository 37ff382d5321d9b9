use carnet_core::{
    did::SelfContained,
    query::parse_path,
    secure::sd_jwt::{self, IssueOptions, Step},
};
use rand_core::OsRng;

use super::*;
use crate::answer::tests::{Issuer, NOW};

const FORMATS: &[&str] = &[
    "vc+sd-jwt",
    "dc+sd-jwt",
    "di_vc+jcs",
    #[cfg(feature = "jsonld")]
    "ldp_vc",
];

struct Delivery {
    issuer: Issuer,
    format: &'static str,
    keys: Vec<HolderKey>,
    copies: Vec<String>,
    earlier: Vec<Copy>,
    promised_issuer: String,
    promised_type: &'static str,
    promised_format: &'static str,
    now: Timestamp,
}

impl Delivery {
    fn new(format: &'static str) -> Self {
        let issuer = Issuer::new();
        let keys = draw_keys(3);
        let copies = keys.iter().map(|key| issuer.copy(format, &key.open().unwrap().public_key())).collect();
        let promised_issuer = issuer.did.to_string();
        Self {
            issuer,
            format,
            keys,
            copies,
            earlier: Vec::new(),
            promised_issuer,
            promised_type: "QualificationCredential",
            promised_format: format,
            now: NOW,
        }
    }

    fn receive(&self) -> Result<HeldCredential, Problem> {
        let promise = Promise {
            issuer: self.promised_issuer.clone(),
            issuer_name: "University".to_owned(),
            configuration_id: String::new(),
            type_name: self.promised_type.to_owned(),
            format: self.promised_format,
        };
        verified(&self.copies, &self.earlier, &self.keys, &promise, &SelfContained, &self.issuer.catalogue, self.now)
    }
}

#[track_caller]
fn refused(code: Code, change: impl Fn(&mut Delivery)) {
    for &format in FORMATS {
        let mut delivery = Delivery::new(format);
        assert!(delivery.receive().is_ok(), "{format}: {:?}", delivery.receive().err());
        change(&mut delivery);
        assert_eq!(delivery.receive().unwrap_err().code, code, "{}", delivery.format);
    }
}

#[test]
fn what_holds_is_kept() {
    for &format in FORMATS {
        let held = Delivery::new(format).receive().unwrap();
        assert_eq!(held.copies.len(), 3);
        assert_eq!(held.fresh_copies(), 3);
        assert!(held.valid_until.unwrap() > NOW, "{format}");
    }
}

#[test]
fn a_copy_for_another_key() {
    refused(Code::HolderMismatch, |delivery| delivery.keys.swap(0, 1));
    refused(Code::HolderMismatch, |delivery| delivery.keys[2] = HolderKey::draw());
}

#[test]
fn a_copy_by_another_issuer_or_of_another_type_or_format() {
    refused(Code::IssuerMismatch, |delivery| delivery.promised_issuer = Issuer::new().did.to_string());
    refused(Code::TypeUnknown, |delivery| delivery.promised_type = "ResidencePermitCredential");
    refused(Code::UnknownFormat, |delivery| delivery.promised_format = "jwt_vc_json");
}

#[test]
fn another_number_of_copies() {
    refused(Code::MalformedValue, |delivery| {
        delivery.copies.pop();
    });
    refused(Code::MalformedValue, |delivery| delivery.copies.clear());
}

#[test]
fn row_11_an_expired_copy() {
    refused(Code::Expired, |delivery| delivery.now = NOW.plus(366 * 86_400));
}

#[test]
fn row_12_a_copy_whose_time_has_not_come() {
    refused(Code::NotYetValid, |delivery| delivery.now = NOW.plus(-3 * 86_400));
    let begin = NOW.plus(-86_400).start_of_day();
    for &format in FORMATS {
        let mut delivery = Delivery::new(format);
        delivery.now = begin.plus(-60);
        assert!(delivery.receive().is_ok(), "{format}: clocks may differ by a minute");
        delivery.now = begin.plus(-61);
        assert_eq!(delivery.receive().unwrap_err().code, Code::NotYetValid, "{format}");
    }
}

#[test]
fn a_copy_with_a_name_of_its_own() {
    let did = Did::jwk(&HolderKey::draw().open().unwrap().public_key());
    let checked = |format: &str, name: &str, value: &str| {
        let members = json!({"iss": "did:web:a.example", name: value});
        nameless(members.as_object().unwrap(), format, &did).map_err(|problem| problem.code)
    };
    for &format in FORMATS {
        assert_eq!(checked(format, "sub", did.as_str()), Ok(()), "{format}: its own key");
        assert_eq!(checked(format, "sub", "urn:citizen:4711"), Err(Code::HolderMismatch), "{format}");
        assert_eq!(checked(format, "id", "urn:uuid:6c3b0d0e"), Err(Code::ClaimForbidden), "{format}");
        let proof = if format.ends_with("sd-jwt") { Err(Code::ClaimForbidden) } else { Ok(()) };
        assert_eq!(checked(format, "proof", "x"), proof, "{format}");
    }
    // On the way in: whichever rule is the first to see it, nothing is stored.
    for &format in FORMATS {
        for name in ["sub", "id", "proof"].into_iter().filter(|name| *name != "proof" || format.ends_with("sd-jwt")) {
            let mut delivery = Delivery::new(format);
            assert!(delivery.receive().is_ok());
            let change = |payload: &mut Map<String, Value>| {
                payload.insert(name.to_owned(), json!("urn:uuid:6c3b0d0e"));
            };
            let keys = delivery.keys.iter().map(|key| key.open().unwrap().public_key());
            delivery.copies = keys.map(|key| delivery.issuer.copy_with(format, &key, change)).collect();
            assert!(delivery.receive().is_err(), "{format} {name}");
        }
    }
    // The one place that the schemas leave to us.
    let mut delivery = Delivery::new("dc+sd-jwt");
    let keys = delivery.keys.iter().map(|key| key.open().unwrap().public_key());
    let change = |payload: &mut Map<String, Value>| {
        payload.insert("sub".to_owned(), json!("urn:citizen:4711"));
    };
    delivery.copies = keys.map(|key| delivery.issuer.copy_with("dc+sd-jwt", &key, change)).collect();
    assert_eq!(delivery.receive().unwrap_err().code, Code::HolderMismatch);
}

#[test]
fn a_copy_whose_signature_does_not_hold() {
    for format in ["vc+sd-jwt", "dc+sd-jwt"] {
        let mut delivery = Delivery::new(format);
        assert!(delivery.receive().is_ok());
        let (jwt, rest) = delivery.copies[1].split_once('~').unwrap();
        let (signed, signature) = jwt.rsplit_once('.').unwrap();
        let other = if signature.starts_with('A') { "B" } else { "A" };
        delivery.copies[1] = format!("{signed}.{other}{}~{rest}", &signature[1..]);
        assert_eq!(delivery.receive().unwrap_err().code, Code::SignatureInvalid);
    }
    let mut delivery = Delivery::new("di_vc+jcs");
    delivery.copies[1] = delivery.copies[1].replace("Nursing", "Surgery");
    assert_eq!(delivery.receive().unwrap_err().code, Code::SignatureInvalid);
}

/// Signs a copy anew with other elements in the array of commitments to its credits.
fn with_commitments(delivery: &Delivery, at: usize, change: impl FnOnce(&mut Vec<Value>)) -> String {
    let key = delivery.keys[at].open().unwrap().public_key();
    let known = delivery.issuer.catalogue.credential_type("QualificationCredential").unwrap();
    let mut payload = SdJwt::parse(&delivery.copies[at]).unwrap().disclosed().unwrap().payload;
    payload.remove("cnf");
    let flat = delivery.format == "dc+sd-jwt";
    let claims = if flat { &mut payload } else { payload["credentialSubject"].as_object_mut().unwrap() };
    change(claims["creditsAtLeast"].as_array_mut().unwrap());
    let mut disclosable = if flat { known.disclosable_in_sd_jwt_vc() } else { known.disclosable.clone() };
    for array in ["creditsAtLeast", "eqfLevelAtLeast", "dateOfBirthAtMost"] {
        let path = if flat { json!([array, null]) } else { json!(["credentialSubject", array, null]) };
        disclosable.push(parse_path(&path).unwrap());
    }
    let options = IssueOptions {
        typ: delivery.format,
        kid: &format!("{}#0", delivery.issuer.did),
        disclosable: &disclosable,
        ordered: &[],
        holder: Some(&key),
        decoys_to_multiple_of: 0,
    };
    sd_jwt::issue(&payload, &options, &delivery.issuer.key, &mut OsRng).unwrap()
}

#[test]
fn where_the_commitments_stand_is_kept() {
    for &format in FORMATS {
        let held = Delivery::new(format).receive().unwrap();
        let claims = if format.ends_with("sd-jwt") { 3 } else { 0 };
        assert!(held.copies.iter().all(|copy| copy.commitments.len() == claims), "{format}");
    }
    let held = Delivery::new("vc+sd-jwt").receive().unwrap();
    let credits =
        held.copies[0].commitments.iter().find(|kept| kept.path.last() == Some(&Step::Name("credits".into())));
    // 180 is 0x00b4: itself, and 0x00af below it.
    let at = credits.unwrap().at;
    assert_eq!(at.map(|place| place.is_some()), [true, true, false, false]);
    let stored = serde_json::to_string(&held).unwrap();
    assert_eq!(
        serde_json::from_str::<HeldCredential>(&stored).unwrap().copies[0].commitments,
        held.copies[0].commitments
    );
}

#[test]
fn a_copy_whose_commitments_are_not_those_of_its_values() {
    type Change = fn(&mut Vec<Value>);
    let changes: [(&str, Change); 3] = [
        ("it lacks one", |elements| drop(elements.pop())),
        ("one more", |elements| elements.push(json!("A".repeat(43)))),
        ("a foreign one", |elements| elements[1] = json!("A".repeat(43))),
    ];
    for format in ["vc+sd-jwt", "dc+sd-jwt"] {
        for (what, change) in changes {
            let mut delivery = Delivery::new(format);
            // The salt of the value is another one in a copy that is signed anew, and so these are foreign, too.
            for at in 0..3 {
                assert!(delivery.receive().is_ok(), "{format}");
                let changed = with_commitments(&delivery, at, change);
                let whole = std::mem::replace(&mut delivery.copies[at], changed);
                assert_eq!(delivery.receive().unwrap_err().code, Code::ThresholdUnproven, "{format} {what}");
                delivery.copies[at] = whole;
            }
        }
        // Only the disclosure is missing: signature and digests are those of a copy that holds.
        let mut delivery = Delivery::new(format);
        let whole = SdJwt::parse(&delivery.copies[1]).unwrap().disclosed().unwrap();
        let element = whole
            .paths
            .iter()
            .position(|path| path.iter().any(|step| matches!(step, Step::Name(name) if name == "creditsAtLeast")));
        let mut parts: Vec<&str> = delivery.copies[1].split('~').collect();
        parts.remove(element.unwrap() + 1);
        let less = parts.join("~");
        assert!(delivery.receive().is_ok());
        delivery.copies[1] = less;
        assert_eq!(delivery.receive().unwrap_err().code, Code::ThresholdUnproven, "{format}");
    }
}

#[test]
fn copies_that_say_different_things() {
    refused(Code::MalformedValue, |delivery| {
        let key = delivery.keys[2].open().unwrap().public_key();
        let change = |payload: &mut Map<String, Value>| {
            let claims = match payload.get_mut("credentialSubject") {
                Some(subject) => subject.as_object_mut().unwrap(),
                None => payload,
            };
            claims.insert("title".to_owned(), json!("Nursing 4711"));
        };
        delivery.copies[2] = delivery.issuer.copy_with(delivery.format, &key, change);
    });
}

#[test]
fn a_copy_that_is_marked_by_a_time() {
    let day = NOW.start_of_day().plus(365 * 86_400);
    let text = |at: Timestamp| json!(at.to_string());
    let begun = NOW.plus(-86_400).start_of_day();
    let in_w3c = [
        ("validUntil", text(day.plus(1))),
        ("validUntil", text(day.plus(-1))),
        ("validUntil", json!(text(day).as_str().unwrap().replace('Z', "+00:00"))),
        ("validUntil", json!(text(day).as_str().unwrap().replace('Z', ".000000001Z"))),
        ("validFrom", text(begun.plus(1))),
        ("iat", json!(begun.unix())),
    ];
    let in_jwt =
        [("exp", json!(day.unix() + 1)), ("nbf", json!(begun.unix() + 1)), ("exp", json!(1.5)), ("iat", json!(0))];
    let cases = |format: &str| match format {
        "dc+sd-jwt" => in_jwt.to_vec(),
        "vc+sd-jwt" => [&in_w3c[..], &in_jwt].concat(),
        _ => in_w3c.to_vec(),
    };
    for &format in FORMATS {
        let twin = Delivery::new(format);
        let members = |copy: &str| match format.ends_with("sd-jwt") {
            true => SdJwt::parse(copy).unwrap().disclosed().unwrap().payload,
            false => serde_json::from_str(copy).unwrap(),
        };
        for (name, value) in cases(format) {
            let mut marked = members(&twin.copies[0]);
            assert_eq!(coarse(&marked, format), Ok(()), "{format}");
            marked.insert(name.to_owned(), value.clone());
            assert_eq!(coarse(&marked, format).unwrap_err().code, Code::MalformedValue, "{format} {name} {value}");
        }
        // On the way in.
        let mut delivery = Delivery::new(format);
        assert!(delivery.receive().is_ok());
        let change = |payload: &mut Map<String, Value>| match format {
            "dc+sd-jwt" => drop(payload.insert("exp".to_owned(), json!(day.unix() + 1))),
            _ => drop(payload.insert("validUntil".to_owned(), text(day.plus(1)))),
        };
        let keys = delivery.keys.iter().map(|key| key.open().unwrap().public_key());
        delivery.copies = keys.map(|key| delivery.issuer.copy_with(format, &key, change)).collect();
        assert_eq!(delivery.receive().unwrap_err().code, Code::MalformedValue, "{format}");
    }
}

#[test]
fn a_copy_whose_status_could_be_known_again() {
    let list = |purpose: &str| {
        json!({"type": "BitstringStatusListEntry", "statusPurpose": purpose, "statusListIndex": "7",
            "statusListCredential": format!("https://uni.example/status/{purpose}/1")})
    };
    let mut marked = list("revocation");
    marked["id"] = json!("urn:uuid:4711");
    let token = json!({"status_list": {"idx": 7, "uri": "https://uni.example/status/token/1"}});
    let mut marked_token = token.clone();
    marked_token["status_list"]["who"] = json!(4_711);
    for &format in FORMATS {
        let (name, right, wrong) = if format == "dc+sd-jwt" {
            (
                "status",
                vec![token.clone()],
                vec![marked_token.clone(), json!({"status_list": token["status_list"], "who": 1})],
            )
        } else {
            let right = vec![json!([list("revocation")]), json!([list("revocation"), list("suspension")])];
            let wrong = vec![
                list("revocation"),
                json!([]),
                json!([marked]),
                json!([list("suspension"), list("revocation")]),
                json!([list("revocation"), list("revocation")]),
                json!([list("refresh")]),
            ];
            ("credentialStatus", right, wrong)
        };
        let received = |status: &Value| {
            let mut delivery = Delivery::new(format);
            let keys = delivery.keys.iter().map(|key| key.open().unwrap().public_key());
            let change = |payload: &mut Map<String, Value>| drop(payload.insert(name.to_owned(), status.clone()));
            delivery.copies = keys.map(|key| delivery.issuer.copy_with(format, &key, change)).collect();
            delivery.receive().map(|_| ())
        };
        for status in right {
            assert_eq!(received(&status), Ok(()), "{format} {status}");
        }
        for status in wrong {
            assert_eq!(received(&status).unwrap_err().code, Code::MalformedValue, "{format} {status}");
        }
    }
}

/// Signs a copy of its own with one more decoy.
fn with_decoy(delivery: &Delivery, at: usize, decoy: &str) -> String {
    let (jwt, disclosures) = delivery.copies[at].split_once('~').unwrap();
    let mut payload = jose::Jws::parse(jwt).unwrap().payload().clone();
    let around = if delivery.format == "dc+sd-jwt" {
        &mut payload
    } else {
        payload["credentialSubject"].as_object_mut().unwrap()
    };
    around["_sd"].as_array_mut().unwrap().push(json!(decoy));
    let header = json!({"typ": delivery.format, "kid": format!("{}#0", delivery.issuer.did)});
    let jwt = jose::sign(header.as_object().unwrap().clone(), &payload, &delivery.issuer.key).unwrap();
    format!("{jwt}~{disclosures}")
}

#[test]
fn a_copy_whose_header_could_be_known_again() {
    for format in ["vc+sd-jwt", "dc+sd-jwt"] {
        let mut delivery = Delivery::new(format);
        let header = json!({"typ": format, "kid": format!("{}#0", delivery.issuer.did)});
        let signed = |delivery: &Delivery, header: Value| -> Vec<String> {
            let sign = |copy: &String| {
                let (jwt, disclosures) = copy.split_once('~').unwrap();
                let payload = Jws::parse(jwt).unwrap().payload().clone();
                let header = header.as_object().unwrap().clone();
                format!("{}~{disclosures}", jose::sign(header, &payload, &delivery.issuer.key).unwrap())
            };
            delivery.copies.iter().map(sign).collect()
        };
        delivery.copies = signed(&delivery, header.clone());
        assert!(delivery.receive().is_ok());
        let mut marked = header;
        marked["who"] = json!(4_711);
        delivery.copies = signed(&delivery, marked);
        assert_eq!(delivery.receive().unwrap_err().code, Code::MalformedValue, "{format}");
    }
}

#[test]
fn copies_with_a_digest_in_common() {
    for format in ["vc+sd-jwt", "dc+sd-jwt"] {
        let (first, second) = ("A".repeat(43), "B".repeat(43));
        let mut delivery = Delivery::new(format);
        delivery.copies[0] = with_decoy(&delivery, 0, &first);
        let one = delivery.copies[1].clone();
        delivery.copies[1] = with_decoy(&delivery, 1, &second);
        let held = delivery.receive().unwrap();
        delivery.copies[1] = one;
        delivery.copies[2] = with_decoy(&delivery, 2, &first);
        assert_eq!(delivery.receive().unwrap_err().code, Code::MalformedValue, "{format}");
        // And with those that were there before.
        let mut fresh = Delivery::new(format);
        fresh.earlier = held.copies;
        assert!(fresh.receive().is_ok());
        fresh.copies[2] = with_decoy(&fresh, 2, &second);
        assert_eq!(fresh.receive().unwrap_err().code, Code::MalformedValue, "{format}");
        // Of a copy that was forgotten nothing is left to compare with.
        fresh.earlier.iter_mut().for_each(|copy| copy.credential.clear());
        assert!(fresh.receive().is_ok());
    }
}

#[test]
fn proofs_are_one_for_each_key() {
    let keys = draw_keys(0);
    assert_eq!(keys.len(), 1);
    assert_eq!(draw_keys(500).len(), 10);
    let proofs = proofs(&keys, "did:web:a.example", "n", NOW).unwrap();
    let proof = jose::Jws::parse(&proofs[0]).unwrap();
    assert_eq!(proof.typ(), Some(PROOF_TYP));
    assert_eq!(proof.payload()["aud"], "did:web:a.example");
    proof.verify(&keys[0].open().unwrap().public_key()).unwrap();
}
