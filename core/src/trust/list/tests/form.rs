//! Bounds on the contents of a list. Each faulty list has valid signatures, so that nothing else is wrong with it.

use super::*;

/// A document that [`TrustList::draft`] would not make, signed by two operators.
fn signed(mut document: Map<String, Value>, change: impl FnOnce(&mut Map<String, Value>)) -> Map<String, Value> {
    change(&mut document);
    for number in [1, 2] {
        let method = kid(&secret(number)).to_string();
        let options = ProofOptions {
            verification_method: &method,
            purpose: VerificationRelationship::AssertionMethod,
            created: Some(now()),
            expires: None,
            challenge: None,
            domain: None,
        };
        document = data_integrity::add_proof(&document, &EddsaJcs2022, &options, &secret(number)).unwrap();
    }
    document
}

fn rich() -> TrustListContents {
    let issuer = Accreditation {
        jurisdictions: Some(vec!["DE".to_owned()]),
        max_level: Some(6),
        until: Some(day(100)),
        withdrawal: Some(Withdrawal {
            withdrawn_from: day(-10),
            earlier_credentials: EarlierCredentials::StayValid,
            reason: Some("It closed.".to_owned()),
        }),
        ..accreditation()
    };
    with_issuer(vec![issuer])
}

type Fault = fn(&mut Value);

#[test]
fn content_out_of_bounds_is_refused() {
    let faults: &[Fault] = &[
        |s| s["sequence"] = json!(0),
        |s| s["sequence"] = json!(-1),
        |s| s["sequence"] = json!(1.5),
        |s| s["sequence"] = json!("1"),
        |s| s["sequence"] = json!(2),
        |s| s["previous"] = json!("a".repeat(43)),
        |s| s["previous"] = Value::Null,
        |s| s["note"] = json!("n"),
        |s| s["issuers"] = json!({}),
        |s| s["issuers"] = json!([s["issuers"][0], s["issuers"][0]]),
        |s| s["issuers"][0]["id"] = json!("https://uni.example"),
        |s| s["issuers"][0]["name"] = json!(""),
        |s| s["issuers"][0]["name"] = json!("Uni\u{1b}[2J"),
        |s| s["issuers"][0]["name"] = json!("Uni\u{200b}versity"),
        |s| s["issuers"][0]["except"] = json!([]),
        |s| s["issuers"][0]["accreditations"] = json!([]),
        |s| s["issuers"][0]["accreditations"][0]["types"] = json!([]),
        |s| s["issuers"][0]["accreditations"][0]["types"] = json!([""]),
        |s| s["issuers"][0]["accreditations"][0]["jurisdictions"] = json!([]),
        |s| s["issuers"][0]["accreditations"][0]["epoch"] = json!("year"),
        |s| s["issuers"][0]["accreditations"][0]["epoch"] = Value::Null,
        |s| s["registrars"][0]["accreditations"][0]["epoch"] = json!("month"),
        |s| s["issuers"][0]["accreditations"][0]["jurisdictions"] = Value::Null,
        |s| s["issuers"][0]["accreditations"][0]["jurisdictions"] = json!(["de"]),
        |s| s["issuers"][0]["accreditations"][0]["jurisdictions"] = json!(["DEU"]),
        |s| s["issuers"][0]["accreditations"][0]["max_level"] = json!(0),
        |s| s["issuers"][0]["accreditations"][0]["max_level"] = json!(9),
        |s| s["issuers"][0]["accreditations"][0]["max_level"] = Value::Null,
        |s| s["issuers"][0]["accreditations"][0]["except_types"] = json!([]),
        |s| s["issuers"][0]["accreditations"][0]["from"] = json!("2020-01-01"),
        |s| s["issuers"][0]["accreditations"][0]["from"] = Value::Null,
        |s| s["issuers"][0]["accreditations"][0]["until"] = json!("2019-12-31T23:59:59Z"),
        |s| s["issuers"][0]["accreditations"][0]["until"] = Value::Null,
        |s| s["issuers"][0]["accreditations"][0]["withdrawal"] = Value::Null,
        |s| s["issuers"][0]["accreditations"][0]["withdrawal"] = json!({}),
        |s| {
            s["issuers"][0]["accreditations"][0]["withdrawal"]["withdrawn_from"] = json!("2019-12-31T23:59:59Z");
        },
        |s| s["issuers"][0]["accreditations"][0]["withdrawal"]["earlier_credentials"] = json!("Stand"),
        |s| s["issuers"][0]["accreditations"][0]["withdrawal"]["earlier_credentials"] = json!("perhaps"),
        |s| s["issuers"][0]["accreditations"][0]["withdrawal"]["reason"] = json!(""),
        |s| s["registrars"][0]["accreditations"][0]["types"] = json!([QUALIFICATION]),
        |s| s["registrars"][0]["accreditations"][0]["max_level"] = json!(6),
    ];
    for (at, fault) in faults.iter().enumerate() {
        verify(&signed(draft(&rich()), |_| {})).unwrap();
        let document = signed(draft(&rich()), |d| fault(&mut d["credentialSubject"]));
        assert_eq!(verify(&document).map_err(|p| p.code), Err(Code::TrustListInvalid), "fault {at}");
        // Nor does an operator sign it.
        refused(TrustList::sign(&document, &kid(&secret(3)), &secret(3), now()), Code::TrustListInvalid);
    }
    for name in ["sequence", "issuers", "registrars"] {
        let without = signed(draft(&rich()), |d| drop(d["credentialSubject"].as_object_mut().unwrap().remove(name)));
        refused(verify(&without), Code::TrustListInvalid);
    }
}

#[test]
fn a_document_of_another_form_is_refused() {
    let with = |change: fn(&mut Map<String, Value>)| verify(&signed(draft(&contents()), change));
    with(|_| {}).unwrap();
    // Above all a status, since nothing here would check it.
    let members = [
        ("credentialStatus", json!({"type": "BitstringStatusListEntry"})),
        ("id", json!("urn:a")),
        ("name", json!("A")),
        ("termsOfUse", json!({"type": "Terms"})),
    ];
    for (name, value) in members {
        let document = signed(draft(&contents()), |d| drop(d.insert(name.to_owned(), value)));
        refused(verify(&document), Code::TrustListInvalid);
    }
    refused(with(|d| d["type"] = json!(["VerifiableCredential"])), Code::TrustListInvalid);
    refused(with(|d| d["type"] = json!(["VerifiableCredential", "TrustList", "X"])), Code::TrustListInvalid);
    refused(with(|d| d["@context"] = json!([CONTEXT_V2])), Code::TrustListInvalid);
    refused(with(|d| d["issuer"] = json!({"id": LIST_DID})), Code::TrustListInvalid);
    refused(with(|d| d["issuer"] = json!("https://trust.example")), Code::TrustListInvalid);
    refused(with(|d| d["credentialSubject"] = json!([d["credentialSubject"]])), Code::TrustListInvalid);
    refused(with(|d| drop(d.remove("validFrom"))), Code::TrustListInvalid);
    refused(with(|d| drop(d.remove("validUntil"))), Code::TrustListInvalid);
}

#[test]
fn a_list_holds_for_at_most_a_year_and_its_entries_are_put_in_order() {
    let did = Did::parse(LIST_DID).unwrap();
    let until = |until| TrustList::draft(&did, &contents(), now(), until);
    until(day(366)).unwrap();
    refused(until(day(366).plus(1)), Code::TrustListInvalid);
    refused(until(day(-1)), Code::ValidityReversed);
    let entries = |ids: [&str; 3]| ids.map(|id| entry(id, vec![accreditation()])).to_vec();
    let with = |ids| TrustListContents { issuers: entries(ids), ..contents() };
    let ordered = with(["did:web:a.example", "did:web:b", "did:web:b.example"]);
    assert_eq!(list(&with(["did:web:b.example", "did:web:a.example", "did:web:b"])).contents(), &ordered);
    // A signer of an unordered list is not believed: entries would not be found.
    let document = signed(draft(&ordered), |d| d["credentialSubject"]["issuers"].as_array_mut().unwrap().reverse());
    refused(verify(&document), Code::TrustListInvalid);
}

#[test]
fn row_11_12_the_list_s_own_time_to_the_second() {
    let document = signed_by(draft(&contents()), &[1, 2]);
    let held = verify(&document).unwrap();
    const EARLY: Result<(), Code> = Err(Code::NotYetValid);
    const LATE: Result<(), Code> = Err(Code::Expired);
    // A clock that is a minute off is tolerated, and not a second more.
    let (from, until) = (now(), day(30));
    let table = [
        (from, -86_400, EARLY),
        (from, -300, EARLY),
        (from, -61, EARLY),
        (from, -60, Ok(())),
        (from, -1, Ok(())),
        (from, 0, Ok(())),
        (from, 1, Ok(())),
        (from, 300, Ok(())),
        (from, 86_400, Ok(())),
        (until, -86_400, Ok(())),
        (until, -300, Ok(())),
        (until, -1, Ok(())),
        (until, 0, Ok(())),
        (until, 1, Ok(())),
        (until, 60, Ok(())),
        (until, 61, LATE),
        (until, 300, LATE),
        (until, 86_400, LATE),
    ];
    for (boundary, offset, expected) in table {
        let at = boundary.plus(offset);
        assert_eq!(verify_at(&document, None, at).map(drop).map_err(|p| p.code), expected, "{offset} s at {boundary}");
        // One that was verified in time is not believed any longer, either.
        let rule = held.decide(&AccreditationQuestion::for_issuance(UNI, QUALIFICATION), at).rule;
        let expected = match expected {
            Ok(()) => AccreditationRule::Accredited,
            EARLY => AccreditationRule::ListNotYetValid,
            Err(_) => AccreditationRule::ListExpired,
        };
        assert_eq!(rule, expected, "{offset} s at {boundary}");
    }
}

#[test]
fn a_list_whose_proofs_were_made_before_it_begins_is_early_all_the_same() {
    let did = Did::parse(LIST_DID).unwrap();
    let from = |from: Timestamp| signed_by(TrustList::draft(&did, &contents(), from, day(30)).unwrap(), &[1, 2]);
    for (offset, holds) in [(-86_400, true), (-300, true), (-1, true), (1, true), (60, true), (61, false), (300, false)]
    {
        let result = verify(&from(now().plus(offset)));
        assert_eq!(
            result.map(drop).map_err(|p| p.code),
            if holds { Ok(()) } else { Err(Code::NotYetValid) },
            "{offset}"
        );
    }
}
