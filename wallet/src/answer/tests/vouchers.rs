//! One use of a voucher at a time: one serial, from a fresh copy, for the redeemer only.

use std::collections::BTreeSet;

use carnet_core::{format::CredentialFormat, secure::sd_jwt::Step};
use serde_json::json;

use super::*;
use crate::store::vouchers::serial_digest;

const MUSEUM: &str = "decentralized_identifier:did:web:museum.example";

fn wallet(copies: usize) -> WalletContents {
    let issuer = Issuer { type_name: "EntitlementCredential", ..Issuer::new() };
    let mut contents = WalletContents::new(12);
    contents.credentials.push(issuer.held("aaaa", CredentialFormat::VcSdJwt, copies));
    contents
}

fn asking(path: Value) -> Query {
    Query::parse(&json!({"credentials": [{
        "id": "voucher", "format": "vc+sd-jwt", "meta": {"type_values": [["EntitlementCredential"]]},
        "claims": [{"path": path}],
    }]}))
    .unwrap()
}

fn element() -> Query {
    asking(json!(["credentialSubject", "serials", null]))
}

/// Returns the copy and the serials that a verifier would get.
fn shown(contents: &WalletContents, query: &Query, asker: &str) -> Option<(PlannedPresentation, Vec<String>)> {
    let part = parts_of(contents, query, asker, &[]).ok()?.remove(0);
    let PresentedContent::Selected(token, _) = &part.shown else { panic!("shown as a whole") };
    let payload = token.resolve_disclosures().unwrap().payload;
    let serials = payload["credentialSubject"]["serials"].as_array().unwrap();
    let serials = serials.iter().map(|serial| serial.as_str().unwrap().to_owned()).collect();
    // The array has the same length in each copy, and the answer contains the serials of the screen.
    Some((part, serials))
}

#[test]
fn each_use_shows_one_serial_from_a_copy_of_its_own() {
    let mut contents = wallet(4);
    let (mut copies, mut serials) = (BTreeSet::new(), BTreeSet::new());
    for left in [2, 1, 0] {
        let (part, shown) = shown(&contents, &element(), MUSEUM).unwrap();
        assert_eq!((shown.len(), part.earlier_verifiers.clone()), (1, EarlierVerifiers::Unused));
        assert_eq!(part.serial_digest, Some(serial_digest(&shown[0])));
        let held = &mut contents.credentials[0];
        part.record_disclosure(held, MUSEUM);
        held.serials.as_mut().unwrap().record_used(&serial_digest(&shown[0]));
        assert_eq!(held.serials.as_ref().unwrap().remaining_uses(), left);
        assert!(copies.insert(part.copy) && serials.insert(shown[0].clone()));
    }
    // One copy is left, but no use.
    assert_eq!(contents.credentials[0].unused_copies(), 1);
    assert!(shown(&contents, &element(), MUSEUM).is_none());
}

/// Two uses of one voucher share only what all vouchers of that service share.
#[test]
fn two_uses_have_nothing_in_common_but_what_all_vouchers_of_a_service_have() {
    let mut contents = wallet(2);
    let mut sent = Vec::new();
    for _ in 0..2 {
        let (part, serials) = shown(&contents, &visit(), MUSEUM).unwrap();
        let held = &mut contents.credentials[0];
        let text = part.bind(&held.copies[part.copy], None, "nonce", MUSEUM, NOW).unwrap();
        part.record_disclosure(held, MUSEUM);
        held.serials.as_mut().unwrap().record_used(&serial_digest(&serials[0]));
        sent.push(SdJwt::parse(&text).unwrap());
    }
    let [one, other] = sent.as_slice() else { panic!("two were sent") };
    let disjoint = |one: Vec<&str>, other: Vec<&str>| one.iter().all(|text| !other.contains(text));
    assert!(disjoint(one.digests().unwrap(), other.digests().unwrap()));
    assert!(disjoint(one.salts().collect(), other.salts().collect()));
    assert_ne!(one.holder_key().unwrap(), other.holder_key().unwrap());
    assert_eq!(one.digests().unwrap().len(), other.digests().unwrap().len());
    let (one, other) = (one.resolve_disclosures().unwrap().payload, other.resolve_disclosures().unwrap().payload);
    let own = |name: &str| ["cnf", "credentialSubject"].contains(&name);
    for (name, value) in &one {
        assert_eq!(other.get(name) == Some(value), !own(name), "{name}");
    }
    let (one, other) = (&one["credentialSubject"], &other["credentialSubject"]);
    let same = ["serials", "service", "redeemer", "id"].map(|name| one[name] == other[name]);
    assert_eq!(same, [false, true, true, false]);
}

/// The museum's own request.
fn visit() -> Query {
    Catalogue::embedded().unwrap().template("museum-visit").unwrap().query_at(NOW).unwrap().0
}

#[test]
fn whatever_is_asked_of_the_array_one_serial_goes_and_to_others_none() {
    let contents = wallet(2);
    let index = asking(json!(["credentialSubject", "serials", 0]));
    for query in [element(), index, asking(json!(["credentialSubject", "serials"]))] {
        assert_eq!(shown(&contents, &query, MUSEUM).unwrap().1.len(), 1);
    }
    for other in ["decentralized_identifier:did:web:cinema.example", "did:web:museum.example", "me"] {
        assert!(shown(&contents, &element(), other).is_none(), "{other}");
        let array = asking(json!(["credentialSubject", "serials"]));
        assert!(shown(&contents, &array, other).is_none_or(|(_, serials)| serials.is_empty()), "{other}");
    }
    // Claims other than serials go to any verifier.
    let service = asking(json!(["credentialSubject", "service"]));
    assert_eq!(parts_of(&contents, &service, "me", &[]).unwrap()[0].serial_digest, None);
}

#[test]
fn a_use_that_was_not_counted_is_shown_again_by_the_same_copy() {
    let mut contents = wallet(3);
    let (first, serials) = shown(&contents, &element(), MUSEUM).unwrap();
    first.record_disclosure(&mut contents.credentials[0], MUSEUM);
    let (again, same) = shown(&contents, &element(), MUSEUM).unwrap();
    assert_eq!((again.copy, again.earlier_verifiers, &same), (first.copy, EarlierVerifiers::SameVerifier, &serials));
    // After the first use, the next use has its own copy.
    contents.credentials[0].serials.as_mut().unwrap().record_used(&serial_digest(&serials[0]));
    let (next, other) = shown(&contents, &element(), MUSEUM).unwrap();
    assert_ne!((next.copy, &other), (first.copy, &serials));
    assert_eq!(next.earlier_verifiers, EarlierVerifiers::Unused);
}

#[test]
fn with_no_copy_left_the_owner_sees_that_two_uses_could_be_linked() {
    let mut contents = wallet(1);
    let (first, serials) = shown(&contents, &element(), MUSEUM).unwrap();
    first.record_disclosure(&mut contents.credentials[0], MUSEUM);
    contents.credentials[0].serials.as_mut().unwrap().record_used(&serial_digest(&serials[0]));
    let (next, other) = shown(&contents, &element(), MUSEUM).unwrap();
    assert_eq!((next.earlier_verifiers, other.len()), (EarlierVerifiers::SameVerifier, 1));
    assert_ne!(other, serials);
}

#[test]
fn the_array_is_as_long_whatever_the_number_of_uses_and_has_no_order() {
    let contents = wallet(16);
    let mut orders = BTreeSet::new();
    for copy in &contents.credentials[0].copies {
        let token = SdJwt::parse(&copy.credential.text()).unwrap();
        assert_eq!(
            token.resolve_disclosures().unwrap().payload["credentialSubject"]["serials"].as_array().unwrap().len(),
            3
        );
        let one =
            token.select_claims(&[vec![Step::Name("credentialSubject".to_owned()), Step::Name("serials".to_owned())]]);
        let text = one.unwrap().to_string();
        let disclosed = text.split('~').filter_map(|part| URL_SAFE_NO_PAD.decode(part).ok());
        let array = disclosed.filter_map(|text| serde_json::from_slice::<Value>(&text).ok()).find_map(|disclosure| {
            disclosure
                .get(1)
                .filter(|name| *name == "serials")
                .and(disclosure.get(2))
                .and_then(Value::as_array)
                .cloned()
        });
        let digests: Vec<String> = array.unwrap().iter().map(|element| element["..."].to_string()).collect();
        assert_eq!(digests.len(), 32);
        assert!(digests.is_sorted());
        orders.insert(token.resolve_disclosures().unwrap().payload["credentialSubject"]["serials"].to_string());
    }
    // Serials are sorted by the digests of fresh salts: all sixteen copies in one order has a chance below 1 in 6^15.
    assert!(orders.len() > 1);
}

#[test]
fn the_owner_is_told_that_a_voucher_is_used_up_or_somebody_elses() {
    let mut contents = wallet(3);
    let catalogue = Catalogue::embedded().unwrap();
    let lack = |contents: &WalletContents, asker: &str| {
        let bounds = AnswerConstraints {
            client_id: asker,
            now: NOW,
            allowed_credentials: &[],
            withheld: &[],
            proof_only_claims: &[],
        };
        unanswered_queries(contents, &catalogue, &visit(), &bounds)
            .unwrap()
            .into_iter()
            .map(|missing| missing.reason)
            .next()
    };
    assert_eq!((lack(&contents, MUSEUM), lack(&contents, "me")), (None, Some(MissingReason::OtherRedeemer)));
    let serials = contents.credentials[0].serials.as_mut().unwrap();
    for serial in ["q3Jm0dJ8Qn0Vb1xkT5yUOw", "2sGf7LrWcZe9hPiNaXtMuA", "b7Yt0Kq1Zr5LwVx9cTgJpQ"] {
        serials.record_shown(&serial_digest(serial), MUSEUM);
        serials.record_used(&serial_digest(serial));
    }
    assert_eq!(lack(&contents, MUSEUM), Some(MissingReason::UsedUp));
}
