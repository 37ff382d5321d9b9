//! Claims in the clear count as disclosed: in the plan, the presentation, the digest and the log.

use carnet_core::format::CredentialFormat;
use serde_json::json;

use super::*;

/// Creates a wallet with one credential; `change` edits it before signing.
fn wallet(format: CredentialFormat, change: impl FnOnce(&mut Map<String, Value>)) -> (Issuer, WalletContents) {
    let issuer = Issuer::new();
    let mut contents = WalletContents::new(12);
    contents.credentials.push(issuer.held("aaaa", format, 1));
    let copy = &mut contents.credentials[0].copies[0];
    let holder = copy.key.decode().unwrap().public_key();
    copy.credential = issuer.copy_with(format, &holder, change).into();
    (issuer, contents)
}

fn title(format: CredentialFormat) -> Query {
    query(format, if format == CredentialFormat::DcSdJwt { json!([{"path": ["title"]}]) } else { subject(&["title"]) })
}

fn texts(paths: &[ClaimPath]) -> Vec<String> {
    paths.iter().map(|path| carnet_core::query::path_to_text(path)).collect()
}

/// Returns the disclosed claims, and those among them that were not requested.
fn shown(contents: &WalletContents, query: &Query) -> (Vec<String>, Vec<String>) {
    let part = parts_of(contents, query, "asker", &[]).unwrap().remove(0);
    (part.disclosed_paths.clone(), texts(&part.unrequested))
}

#[test]
fn row_93_claims_in_the_clear_are_among_what_goes() {
    for (format, prefix) in [(CredentialFormat::VcSdJwt, "credentialSubject."), (CredentialFormat::DcSdJwt, "")] {
        let path = |name: &str| format!("{prefix}{name}");
        let (_, honest) = wallet(format, |_| {});
        assert_eq!(shown(&honest, &title(format)), (vec![path("title")], Vec::new()), "{format}");
        let (_, marked) = wallet(format, |payload| {
            let subject =
                if prefix.is_empty() { payload } else { payload["credentialSubject"].as_object_mut().unwrap() };
            subject.insert("room".to_owned(), json!({"floor": 3, "doors": [{"number": "B 12"}], "note": []}));
        });
        let clear = [path("room.doors[0].number"), path("room.floor"), path("room.note")];
        let (mut paths, mut unasked) = shown(&marked, &title(format));
        paths.sort_unstable();
        unasked.sort_unstable();
        assert_eq!(unasked, clear, "{format}");
        let mut all = [clear.to_vec(), vec![path("title")]].concat();
        all.sort_unstable();
        assert_eq!(paths, all, "{format}");
    }
}

#[test]
fn row_93_what_is_asked_for_may_stand_in_the_clear() {
    let (_, contents) =
        wallet(CredentialFormat::VcSdJwt, |payload| payload["credentialSubject"]["room"] = json!("B 12"));
    let (paths, unasked) = shown(&contents, &query(CredentialFormat::VcSdJwt, subject(&["room"])));
    assert_eq!((paths, unasked), (vec!["credentialSubject.room".to_owned()], Vec::new()));
}

#[test]
fn row_93_what_goes_with_a_claim_around_it_is_counted_and_only_then() {
    // An object that the issuer hides as a whole discloses all of its members.
    let (_, contents) = wallet(CredentialFormat::VcSdJwt, |payload| {
        payload["credentialSubject"]["grade"] = json!({"scale": "1 to 5", "value": 2});
    });
    assert_eq!(shown(&contents, &title(CredentialFormat::VcSdJwt)).1, Vec::<String>::new());
    let scale = query(CredentialFormat::VcSdJwt, json!([{"path": ["credentialSubject", "grade", "scale"]}]));
    assert_eq!(shown(&contents, &scale).1, ["credentialSubject.grade.value"]);
}

#[test]
fn row_93_the_plan_prefers_the_credential_without_claims_in_the_clear() {
    let (issuer, mut contents) =
        wallet(CredentialFormat::VcSdJwt, |payload| payload["credentialSubject"]["room"] = json!("B 12"));
    let cost = |contents: &WalletContents| {
        let bounds = AnswerConstraints {
            client_id: "me",
            now: NOW,
            allowed_credentials: &[],
            withheld: &[],
            proof_only_claims: &[],
        };
        let answer = answer_query(contents, &issuer.catalogue, &title(CredentialFormat::VcSdJwt), &bounds).unwrap();
        assert_eq!(answer.explanation.iter().filter(|line| line.weight > 0).count(), answer.explanation.len());
        (answer.presentations[0].credential, answer.cost)
    };
    let (_, marked) = cost(&contents);
    // An older credential, which ranks second if both disclose as little.
    contents.credentials.push(issuer.held("bbbb", CredentialFormat::VcSdJwt, 1));
    contents.credentials[1].received_at = NOW.plus(-10);
    let bounds = AnswerConstraints {
        client_id: "me",
        now: NOW,
        allowed_credentials: &[],
        withheld: &[],
        proof_only_claims: &[],
    };
    let better = answer_query(&contents, &issuer.catalogue, &title(CredentialFormat::VcSdJwt), &bounds).unwrap();
    assert_eq!(better.presentations[0].credential, 1);
    assert!(better.cost < marked);
}

#[test]
fn row_93_an_approval_is_of_what_goes_in_the_clear_too() {
    let (_, mut contents) = wallet(CredentialFormat::VcSdJwt, |_| {});
    let of = |contents: &WalletContents| {
        approval_digest("a.b.c", &parts_of(contents, &title(CredentialFormat::VcSdJwt), "me", &[]).unwrap(), contents)
            .unwrap()
    };
    let before = of(&contents);
    let (_, marked) = wallet(CredentialFormat::VcSdJwt, |payload| payload["credentialSubject"]["room"] = json!("B 12"));
    contents.credentials = marked.credentials;
    assert_ne!(of(&contents), before);
}

#[test]
fn a_credential_that_goes_as_a_whole_is_counted_as_a_whole() {
    let (_, contents) = wallet(CredentialFormat::DiVcJcs, |payload| {
        payload.insert("evidence".to_owned(), json!({"note": "urn:uuid:6c3b"}));
        payload["credentialSubject"]["room"] = json!("B 12");
    });
    let part = parts_of(&contents, &title(CredentialFormat::DiVcJcs), "asker", &[]).unwrap().remove(0);
    for path in ["evidence.note", "credentialSubject.room", "credentialSubject.grade", "credentialSubject.title"] {
        assert!(part.disclosed_paths.iter().any(|known| known == path), "{path}: {:?}", part.disclosed_paths);
    }
    assert!(names(&part).contains(&"evidence") && part.hidden.is_empty() && part.is_whole);
}
