use std::sync::Arc;

use carnet_core::{
    did::{DidDocument, SelfContainedResolver},
    format::CredentialFormat,
    query::parse_path,
    secure::sd_jwt::{self, IssueOptions, Step},
};
use rand_core::OsRng;

use super::*;
use crate::{
    answer::tests::{Issuer, NOW},
    store::stored_texts::StoredTexts,
};

mod foreign;
mod marks;

const FORMATS: &[CredentialFormat] = &[
    CredentialFormat::VcSdJwt,
    CredentialFormat::DcSdJwt,
    CredentialFormat::DiVcJcs,
    #[cfg(feature = "jsonld")]
    CredentialFormat::LdpVc,
];

/// In-memory DID documents of issuers.
#[derive(Default)]
struct Documents(Vec<Arc<DidDocument>>);

impl Resolve for Documents {
    fn resolve(&self, did: &Did) -> Result<Arc<DidDocument>, Problem> {
        let found = self.0.iter().find(|document| document.did() == did);
        found.map_or_else(|| SelfContainedResolver.resolve(did), |document| Ok(Arc::clone(document)))
    }
}

struct Delivery {
    issuer: Issuer,
    format: CredentialFormat,
    keys: Vec<HolderKey>,
    copies: Vec<String>,
    earlier: Vec<CredentialCopy>,
    promised_issuer: String,
    promised_type: &'static str,
    promised_format: CredentialFormat,
    days: DateRequirement,
    directory: Option<StatusListDirectory>,
    documents: Documents,
    now: Timestamp,
}

impl Delivery {
    fn new(format: CredentialFormat) -> Self {
        Self::by(Issuer::new(), format)
    }

    fn by(issuer: Issuer, format: CredentialFormat) -> Self {
        let keys = generate_keys(3);
        let copies = keys.iter().map(|key| issuer.copy(format, &key.decode().unwrap().public_key())).collect();
        let promised_issuer = issuer.did.to_string();
        Self {
            promised_type: issuer.type_name,
            issuer,
            format,
            keys,
            copies,
            earlier: Vec::new(),
            promised_issuer,
            promised_format: format,
            days: DateRequirement::Issued { since: NOW, until: Some(NOW.plus(365 * 86_400).start_of_day()) },
            directory: None,
            documents: Documents::default(),
            now: NOW,
        }
    }

    /// Signs all copies again; `change` edits each before signing. Copies are numbered from 0.
    fn reissue(&mut self, change: impl Fn(usize, &mut Map<String, Value>)) {
        let keys = self.keys.iter().map(|key| key.decode().unwrap().public_key()).enumerate();
        let copy = |(at, key)| self.issuer.copy_with(self.format, &key, |payload| change(at, payload));
        self.copies = keys.map(copy).collect();
    }

    fn receive(&self) -> Result<HeldCredential, Problem> {
        let promise = ExpectedCredential {
            audience: String::new(),
            key_algorithm: HolderAlgorithm::EdDsa,
            issuer: self.promised_issuer.clone(),
            issuer_name: "University".to_owned(),
            configuration_id: String::new(),
            type_name: self.promised_type.to_owned(),
            format: self.promised_format,
            epoch: None,
            renewal_window_days: 0,
            is_foreign: false,
            display: Default::default(),
        };
        let held = HeldCredential { copies: self.earlier.clone(), ..self.issuer.held("aaaa", self.format, 0) };
        let expected = IssuanceRequirements {
            expected: &promise,
            keys: &self.keys,
            held: &[held],
            dates: self.days,
            directory: self.directory.as_ref(),
            resolver: &self.documents,
            catalogue: &self.issuer.catalogue,
            now: self.now,
        };
        verify_copies(&self.copies, &expected)
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
        assert_eq!(held.unused_copies(), 3);
        assert!(held.valid_until.unwrap() > NOW, "{format}");
    }
}

#[test]
fn a_copy_for_another_key() {
    refused(Code::HolderMismatch, |delivery| delivery.keys.swap(0, 1));
    refused(Code::HolderMismatch, |delivery| delivery.keys[2] = HolderKey::generate());
}

#[test]
fn a_copy_by_another_issuer_or_of_another_type_or_format() {
    refused(Code::IssuerMismatch, |delivery| delivery.promised_issuer = Issuer::new().did.to_string());
    refused(Code::TypeUnknown, |delivery| delivery.promised_type = "ResidencePermitCredential");
    refused(Code::UnknownFormat, |delivery| {
        let other = FORMATS.iter().find(|format| **format != delivery.format);
        delivery.promised_format = *other.unwrap();
    });
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
    let begin = NOW.start_of_day();
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
    let did = Did::did_jwk(&HolderKey::generate().decode().unwrap().public_key());
    let checked = |format: CredentialFormat, name: &str, value: &str| {
        let members = json!({"iss": "did:web:a.example", name: value});
        check_identifiers(members.as_object().unwrap(), format, &did).map_err(|problem| problem.code)
    };
    for &format in FORMATS {
        assert_eq!(checked(format, "sub", did.as_str()), Ok(()), "{format}: its own key");
        assert_eq!(checked(format, "sub", "urn:citizen:4711"), Err(Code::HolderMismatch), "{format}");
        assert_eq!(checked(format, "id", "urn:uuid:6c3b0d0e"), Err(Code::ClaimForbidden), "{format}");
        let proof = if format.is_sd_jwt() { Err(Code::ClaimForbidden) } else { Ok(()) };
        assert_eq!(checked(format, "proof", "x"), proof, "{format}");
    }
    // On receipt: the wallet stores nothing, whichever rule fails first.
    for &format in FORMATS {
        for name in ["sub", "id", "proof"].into_iter().filter(|name| *name != "proof" || format.is_sd_jwt()) {
            let mut delivery = Delivery::new(format);
            assert!(delivery.receive().is_ok());
            let change = |payload: &mut Map<String, Value>| {
                payload.insert(name.to_owned(), json!("urn:uuid:6c3b0d0e"));
            };
            let keys = delivery.keys.iter().map(|key| key.decode().unwrap().public_key());
            delivery.copies = keys.map(|key| delivery.issuer.copy_with(format, &key, change)).collect();
            assert!(delivery.receive().is_err(), "{format} {name}");
        }
    }
    // The only place that the schemas do not cover.
    let mut delivery = Delivery::new(CredentialFormat::DcSdJwt);
    let keys = delivery.keys.iter().map(|key| key.decode().unwrap().public_key());
    let change = |payload: &mut Map<String, Value>| {
        payload.insert("sub".to_owned(), json!("urn:citizen:4711"));
    };
    delivery.copies = keys.map(|key| delivery.issuer.copy_with(CredentialFormat::DcSdJwt, &key, change)).collect();
    assert_eq!(delivery.receive().unwrap_err().code, Code::HolderMismatch);
}

#[test]
fn a_copy_whose_signature_does_not_hold() {
    for format in [CredentialFormat::VcSdJwt, CredentialFormat::DcSdJwt] {
        let mut delivery = Delivery::new(format);
        assert!(delivery.receive().is_ok());
        let (jwt, rest) = delivery.copies[1].split_once('~').unwrap();
        let (signed, signature) = jwt.rsplit_once('.').unwrap();
        let other = if signature.starts_with('A') { "B" } else { "A" };
        delivery.copies[1] = format!("{signed}.{other}{}~{rest}", &signature[1..]);
        assert_eq!(delivery.receive().unwrap_err().code, Code::SignatureInvalid);
    }
    let mut delivery = Delivery::new(CredentialFormat::DiVcJcs);
    delivery.copies[1] = delivery.copies[1].replace("Nursing", "Surgery");
    assert_eq!(delivery.receive().unwrap_err().code, Code::SignatureInvalid);
}

/// Signs a copy again with other elements in the array of commitments to its credits.
fn with_commitments(delivery: &Delivery, at: usize, change: impl FnOnce(&mut Vec<Value>)) -> String {
    let key = delivery.keys[at].decode().unwrap().public_key();
    let known = delivery.issuer.catalogue.credential_type("QualificationCredential").unwrap();
    let mut payload = SdJwt::parse(&delivery.copies[at]).unwrap().resolve_disclosures().unwrap().payload;
    payload.remove("cnf");
    let flat = delivery.format == CredentialFormat::DcSdJwt;
    let claims = if flat { &mut payload } else { payload["credentialSubject"].as_object_mut().unwrap() };
    change(claims["creditsAtLeast"].as_array_mut().unwrap());
    let mut disclosable = if flat { known.disclosable_in_sd_jwt_vc() } else { known.disclosable_claims.clone() };
    for array in ["creditsAtLeast", "eqfLevelAtLeast", "dateOfBirthAtMost"] {
        let path = if flat { json!([array, null]) } else { json!(["credentialSubject", array, null]) };
        disclosable.push(parse_path(&path).unwrap());
    }
    let options = IssueOptions {
        typ: delivery.format.as_str(),
        kid: &format!("{}#0", delivery.issuer.did),
        disclosable: &disclosable,
        ordered_claims: &[],
        holder_key: Some(&key),
        decoys_to_multiple_of: 0,
        padded_arrays: &[],
    };
    sd_jwt::issue(&payload, &options, &delivery.issuer.key, &mut OsRng).unwrap()
}

#[test]
fn where_the_commitments_stand_is_kept() {
    for &format in FORMATS {
        let held = Delivery::new(format).receive().unwrap();
        let claims = if format.is_sd_jwt() { 3 } else { 0 };
        assert!(held.copies.iter().all(|copy| copy.commitments.len() == claims), "{format}");
    }
    let held = Delivery::new(CredentialFormat::VcSdJwt).receive().unwrap();
    let credits =
        held.copies[0].commitments.iter().find(|kept| kept.path.last() == Some(&Step::Name("credits".into())));
    // 180 is 0x00b4; the elements below it are itself and 0x00af.
    let at = credits.unwrap().indices;
    assert_eq!(at.map(|place| place.is_some()), [true, true, false, false]);
    let stored = serde_json::to_string(&StoredTexts::from_credential(&held)).unwrap();
    let mut read: HeldCredential = serde_json::from_str(&serde_json::to_string(&held).unwrap()).unwrap();
    assert!(serde_json::from_str::<StoredTexts>(&stored).unwrap().restore(&mut read));
    assert_eq!(read.copies[0].commitments, held.copies[0].commitments);
}

#[test]
fn a_copy_whose_commitments_are_not_those_of_its_values() {
    type Change = fn(&mut Vec<Value>);
    let changes: [(&str, Change); 3] = [
        ("it lacks one", |elements| drop(elements.pop())),
        ("one more", |elements| elements.push(json!("A".repeat(43)))),
        ("a foreign one", |elements| elements[1] = json!("A".repeat(43))),
    ];
    for format in [CredentialFormat::VcSdJwt, CredentialFormat::DcSdJwt] {
        for (what, change) in changes {
            let mut delivery = Delivery::new(format);
            // A copy signed again has a new salt for the value, so these commitments are foreign too.
            for at in 0..3 {
                assert!(delivery.receive().is_ok(), "{format}");
                let changed = with_commitments(&delivery, at, change);
                let whole = std::mem::replace(&mut delivery.copies[at], changed);
                assert_eq!(delivery.receive().unwrap_err().code, Code::ThresholdUnproven, "{format} {what}");
                delivery.copies[at] = whole;
            }
        }
        // Only the disclosure is missing: signature and digests are those of a valid copy.
        let mut delivery = Delivery::new(format);
        let whole = SdJwt::parse(&delivery.copies[1]).unwrap().resolve_disclosures().unwrap();
        let element = whole
            .disclosure_paths
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
        let key = delivery.keys[2].decode().unwrap().public_key();
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
    let begun = NOW.start_of_day();
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
    let cases = |format: CredentialFormat| match format {
        CredentialFormat::DcSdJwt => in_jwt.to_vec(),
        CredentialFormat::VcSdJwt => [&in_w3c[..], &in_jwt].concat(),
        _ => in_w3c.to_vec(),
    };
    for &format in FORMATS {
        let twin = Delivery::new(format);
        let members = |copy: &str| match format.is_sd_jwt() {
            true => SdJwt::parse(copy).unwrap().resolve_disclosures().unwrap().payload,
            false => serde_json::from_str(copy).unwrap(),
        };
        for (name, value) in cases(format) {
            let mut marked = members(&twin.copies[0]);
            assert_eq!(check_timestamps(&marked, format), Ok(()), "{format}");
            marked.insert(name.to_owned(), value.clone());
            assert_eq!(
                check_timestamps(&marked, format).unwrap_err().code,
                Code::MalformedValue,
                "{format} {name} {value}"
            );
        }
        // On receipt.
        let mut delivery = Delivery::new(format);
        assert!(delivery.receive().is_ok());
        let change = |payload: &mut Map<String, Value>| match format {
            CredentialFormat::DcSdJwt => drop(payload.insert("exp".to_owned(), json!(day.unix() + 1))),
            _ => drop(payload.insert("validUntil".to_owned(), text(day.plus(1)))),
        };
        let keys = delivery.keys.iter().map(|key| key.decode().unwrap().public_key());
        delivery.copies = keys.map(|key| delivery.issuer.copy_with(format, &key, change)).collect();
        assert_eq!(delivery.receive().unwrap_err().code, Code::MalformedValue, "{format}");
    }
}

#[test]
fn a_copy_whose_status_could_be_known_again() {
    let list = |purpose: &str, index: usize| {
        json!({"type": "BitstringStatusListEntry", "statusPurpose": purpose, "statusListIndex": index.to_string(),
            "statusListCredential": format!("https://uni.example/status/{purpose}/1")})
    };
    let marked = |index| {
        let mut marked = list("revocation", index);
        marked["id"] = json!("urn:uuid:4711");
        marked
    };
    let token = |index: usize| json!({"status_list": {"idx": index, "uri": "https://uni.example/status/token/1"}});
    let marked_token = |index| {
        let mut marked = token(index);
        marked["status_list"]["who"] = json!(4_711);
        marked
    };
    type Status<'a> = Box<dyn Fn(usize) -> Value + 'a>;
    for &format in FORMATS {
        let (name, right, wrong): (_, Status<'_>, Vec<Status<'_>>) = if format == CredentialFormat::DcSdJwt {
            let more = |index| json!({"status_list": token(index)["status_list"], "who": 1});
            ("status", Box::new(token), vec![Box::new(marked_token), Box::new(more)])
        } else {
            let wrong: Vec<Status<'_>> = vec![
                Box::new(|index| list("revocation", index)),
                Box::new(|_| json!([])),
                Box::new(|index| json!([marked(index)])),
                Box::new(|index| json!([list("suspension", index), list("revocation", index)])),
                Box::new(|index| json!([list("revocation", index), list("revocation", index)])),
                Box::new(|index| json!([list("refresh", index)])),
            ];
            let right = |index| json!([list("revocation", index), list("suspension", index)]);
            ("credentialStatus", Box::new(right), wrong)
        };
        let received = |status: &Status<'_>| {
            let mut delivery = Delivery::new(format);
            delivery.directory = Some(marks::directory(&["revocation/1", "suspension/1", "token/1"], None));
            delivery.reissue(|at, payload| drop(payload.insert(name.to_owned(), status(at + 7))));
            delivery.receive().map(|_| ())
        };
        assert_eq!(received(&right), Ok(()), "{format}");
        for status in wrong {
            assert_eq!(received(&status).unwrap_err().code, Code::MalformedValue, "{format} {}", status(7));
        }
    }
}

/// Signs a copy with another digest in place of a decoy.
fn with_decoy(delivery: &Delivery, at: usize, decoy: &str) -> String {
    let (jwt, disclosures) = delivery.copies[at].split_once('~').unwrap();
    let mut payload = jose::Jws::parse(jwt).unwrap().payload().clone();
    let around = if delivery.format == CredentialFormat::DcSdJwt {
        &mut payload
    } else {
        payload["credentialSubject"].as_object_mut().unwrap()
    };
    let true_ones: Vec<String> = disclosures.split('~').map(marks::digest).collect();
    let digests = around["_sd"].as_array_mut().unwrap();
    let there =
        digests.iter_mut().find(|digest| !true_ones.iter().any(|known| digest.as_str() == Some(known))).unwrap();
    *there = json!(decoy);
    digests.sort_by(|one, next| one.as_str().cmp(&next.as_str()));
    let header = json!({"typ": delivery.format, "kid": delivery.issuer.method()});
    let jwt = jose::sign(header.as_object().unwrap().clone(), &payload, &delivery.issuer.key).unwrap();
    format!("{jwt}~{disclosures}")
}

/// Creates a delivery whose copies contain decoys because they lack an optional claim.
fn with_room(format: CredentialFormat) -> Delivery {
    let mut delivery = Delivery::new(format);
    delivery.reissue(|_, payload| {
        let claims = if format == CredentialFormat::DcSdJwt {
            payload
        } else {
            payload["credentialSubject"].as_object_mut().unwrap()
        };
        assert!(claims.remove("grade").is_some());
    });
    delivery
}

#[test]
fn a_copy_whose_header_could_be_known_again() {
    for format in [CredentialFormat::VcSdJwt, CredentialFormat::DcSdJwt] {
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
    for format in [CredentialFormat::VcSdJwt, CredentialFormat::DcSdJwt] {
        let (first, second) = ("A".repeat(43), "B".repeat(43));
        let mut delivery = with_room(format);
        delivery.copies[0] = with_decoy(&delivery, 0, &first);
        let one = delivery.copies[1].clone();
        delivery.copies[1] = with_decoy(&delivery, 1, &second);
        let held = delivery.receive().unwrap();
        delivery.copies[1] = one;
        delivery.copies[2] = with_decoy(&delivery, 2, &first);
        assert_eq!(delivery.receive().unwrap_err().code, Code::MalformedValue, "{format}");
        // And with the copies already in the wallet.
        let mut fresh = with_room(format);
        fresh.earlier = held.copies;
        assert!(fresh.receive().is_ok());
        fresh.copies[2] = with_decoy(&fresh, 2, &second);
        assert_eq!(fresh.receive().unwrap_err().code, Code::MalformedValue, "{format}");
        // A forgotten copy leaves nothing to compare with.
        fresh.earlier.iter_mut().for_each(|copy| copy.credential.clear());
        assert!(fresh.receive().is_ok());
    }
}

#[test]
fn proofs_are_one_for_each_key() {
    let keys = generate_keys(0);
    assert_eq!(keys.len(), 1);
    assert_eq!(generate_keys(500).len(), 10);
    let proofs = sign_proofs(&keys, "did:web:a.example", "n", NOW).unwrap();
    let proof = jose::Jws::parse(&proofs[0]).unwrap();
    assert_eq!(proof.typ(), Some(PROOF_TYP));
    assert_eq!(proof.payload()["aud"], "did:web:a.example");
    proof.verify(&keys[0].decode().unwrap().public_key()).unwrap();
}
