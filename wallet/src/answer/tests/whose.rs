//! Answers with several credentials: the holder rule, and never two copies of one credential.

use carnet_core::format::CredentialFormat;
use serde_json::json;

use super::*;

/// Creates a wallet with a qualification and a language certificate for each of these people.
fn wallet(people: &[(&str, &str)]) -> WalletContents {
    let mut contents = WalletContents::new(12);
    for (name, born) in people {
        for type_name in [TYPE, "LanguageCertificateCredential"] {
            let issuer = Issuer { type_name, ..Issuer::new() };
            let mut held = issuer.held(&format!("{name} {type_name}"), CredentialFormat::VcSdJwt, 2);
            for copy in &mut held.copies {
                let holder = copy.key.decode().unwrap().public_key();
                copy.credential = issuer
                    .copy_with(CredentialFormat::VcSdJwt, &holder, |payload| {
                        payload["credentialSubject"]["familyName"] = json!(name);
                        payload["credentialSubject"]["dateOfBirth"] = json!(born);
                    })
                    .into();
            }
            contents.credentials.push(held);
        }
    }
    contents
}

/// Builds a query for both credentials under a holder rule.
fn both(rule: &Value) -> Query {
    let asked = |id: &str, type_name: &str| {
        json!({"id": id, "format": "vc+sd-jwt", "meta": {"type_values": [[type_name]]},
            "claims": subject(&["familyName", "dateOfBirth"])})
    };
    let mut query = json!({"credentials": [asked("q", TYPE), asked("l", "LanguageCertificateCredential")]});
    if !rule.is_null() {
        query["carnet_holder"] = rule.clone();
    }
    Query::parse(&query).unwrap()
}

fn same_person() -> Value {
    json!({"claims": [["familyName"], ["dateOfBirth"]]})
}

/// Returns the wallet ids of the disclosed credentials.
fn sent(contents: &WalletContents, query: &Query) -> Result<Vec<String>, Code> {
    let parts = parts_of(contents, query, "asker", &[]).map_err(|problem| problem.code)?;
    Ok(parts.iter().map(|part| contents.credentials[part.credential].id.clone()).collect())
}

#[test]
fn row_97_documents_of_one_person_go_together() {
    let (anna, bela) = (("Müller", "1990-02-03"), ("Kovács", "2015-06-07"));
    let mut contents = wallet(&[anna, bela]);
    let (first, second) = ("Müller QualificationCredential", "Müller LanguageCertificateCredential");
    assert_eq!(sent(&contents, &both(&same_person())).unwrap(), [first, second]);
    // Without the holder rule, the child's newer certificate would rank first.
    contents.credentials[3].received_at = NOW.plus(10);
    assert_eq!(sent(&contents, &both(&json!("any"))).unwrap()[1], "Kovács LanguageCertificateCredential");
    assert_eq!(sent(&contents, &both(&Value::Null)).unwrap()[1], "Kovács LanguageCertificateCredential");
    let theirs = ["Kovács QualificationCredential", "Kovács LanguageCertificateCredential"];
    assert_eq!(sent(&contents, &both(&same_person())).unwrap(), theirs);
    // The plan's lines name the same credentials.
    let bounds = AnswerConstraints {
        client_id: "asker",
        now: NOW,
        allowed_credentials: &[],
        withheld: &[],
        proof_only_claims: &[],
    };
    let answer = answer_query(&contents, &Catalogue::embedded().unwrap(), &both(&same_person()), &bounds).unwrap();
    for line in &answer.explanation {
        if let carnet_core::query::plan::PlanItem::Document { copy_index: holding, .. } = line.item {
            assert!(contents.credentials[answer.candidates[holding]].id.starts_with("Kovács"));
        }
    }
    // One credential of each person does not answer the query.
    contents.credentials.remove(2);
    assert_eq!(sent(&contents, &both(&same_person())).unwrap(), [first, second]);
    contents.credentials.remove(1);
    assert_eq!(sent(&contents, &both(&same_person())), Err(Code::HolderDiffers));
}

#[test]
fn row_97_names_that_offices_write_differently_are_one_persons() {
    let mut contents = wallet(&[("Müller", "1990-02-03"), ("MU\u{308}LLER", "1990-02-03")]);
    contents.credentials.remove(1);
    contents.credentials.remove(1);
    assert!(sent(&contents, &both(&same_person())).is_ok());
    let mut contents = wallet(&[("Müller", "1990-02-03"), ("Mueller", "1990-02-03")]);
    contents.credentials.remove(1);
    contents.credentials.remove(1);
    assert_eq!(sent(&contents, &both(&same_person())), Err(Code::HolderDiffers));
}

#[test]
fn row_97_copies_with_keys_of_their_own_answer_no_request_for_one_key() {
    let mut contents = wallet(&[("Müller", "1990-02-03")]);
    assert_eq!(sent(&contents, &both(&json!("key"))), Err(Code::HolderDiffers));
    assert!(sent(&contents, &both(&json!("any"))).is_ok());
    // If one credential is enough, it is disclosed.
    contents.credentials.remove(1);
    let mut one = both(&json!("key"));
    one.credential_sets = vec![carnet_core::query::CredentialSet {
        options: vec![vec!["q".to_owned()], vec!["l".to_owned()]],
        required: true,
    }];
    assert_eq!(sent(&contents, &one).unwrap(), ["Müller QualificationCredential"]);
}

#[test]
fn row_98_two_copies_of_one_credential_never_go_together() {
    let issuer = Issuer::new();
    let mut contents = WalletContents::new(12);
    contents.credentials.push(issuer.held("aaaa", CredentialFormat::VcSdJwt, 3));
    let level = |id: &str, bound: i64| {
        json!({"id": id, "format": "vc+sd-jwt", "meta": {"type_values": [[TYPE]]},
            "claims": [{"path": ["credentialSubject", "eqfLevel"], "carnet_at_least": bound}]})
    };
    let two =
        |other: i64| Query::parse(&json!({"credentials": [level("q", 5), level("r", other)], "carnet_holder": "any"}));
    contents.credentials[0].copies[0].presented_to = vec!["asker".to_owned()];
    // One copy answers both queries; a second bound that would need another copy is not accepted.
    let parts = parts_of(&contents, &two(5).unwrap(), "asker", &[]).unwrap();
    assert_eq!((parts.len(), parts[0].copy), (2, parts[1].copy));
    assert_eq!(two(4).unwrap_err().code, Code::QueryMalformed);
    // Two copies are refused, too, if the copy that proves one claim is already opened for the other.
    let kept = contents.credentials[0].copies[0].commitments.clone();
    contents.credentials[0].copies.iter_mut().for_each(|copy| copy.commitments.clear());
    contents.credentials[0].copies[1].commitments = kept;
    let parts = parts_of(&contents, &two(5).unwrap(), "asker", &[]).unwrap();
    assert_eq!((parts.len(), parts[0].copy), (2, parts[1].copy));
}
