//! vc-bitstring-status-list: entries in issued credentials, lists that anybody can fetch, and their changes.

use serde_json::{Value, json};

use crate::client::{Server, at, minimal, with};

fn identified() -> Value {
    with(&minimal(), "id", Some(json!("urn:uuid:86294362-4254-4f36-854f-3952fe42555d")))
}

/// Returns the entry of a purpose.
fn entry<'a>(issued: &'a Value, purpose: &str) -> &'a Value {
    let entries = issued["credentialStatus"].as_array().unwrap();
    entries.iter().find(|entry| entry["statusPurpose"] == purpose).unwrap()
}

#[test]
fn an_issued_credential_refers_to_lists_that_can_be_fetched() {
    let server = Server::start();
    for profile in ["bitstring", "bitstring-jcs"] {
        let issued = server.issue(profile, &identified());
        server.verifies(profile, &issued);
        for purpose in ["revocation", "suspension"] {
            let entry = entry(&issued, purpose);
            assert_eq!(entry["type"], "BitstringStatusListEntry");
            let index: u64 = entry["statusListIndex"].as_str().unwrap().parse().unwrap();
            assert!(index < 131_072);
            let url = entry["statusListCredential"].as_str().unwrap();
            assert_ne!(entry["id"], url);
            let list = server.get(url.strip_prefix(&server.base_url).unwrap());
            assert_eq!(list.status, 200);
            let types = list.body["type"].as_array().unwrap();
            assert!(types.contains(&json!("BitstringStatusListCredential")));
            let subject = &list.body["credentialSubject"];
            assert_eq!((&subject["type"], &subject["statusPurpose"]), (&json!("BitstringStatusList"), &json!(purpose)));
            let encoded = subject["encodedList"].as_str().unwrap();
            assert!(encoded.starts_with('u') && !encoded.contains(['=', '+', '/']));
            // A list is a credential itself.
            server.verifies(profile, &list.body);
            server.refuses(profile, &at(&list.body, "/credentialSubject/statusPurpose", json!("refresh")));
        }
        let other = server.issue(profile, &identified());
        assert_ne!(entry(&issued, "revocation"), entry(&other, "revocation"));
    }
}

#[test]
fn a_changed_status_is_in_the_list_and_in_the_verification() {
    let server = Server::start();
    for profile in ["bitstring", "bitstring-jcs"] {
        let id = format!("urn:example:{profile}");
        let issued = server.issue(profile, &with(&identified(), "id", Some(json!(id))));
        let change = |purpose: &str, status: Option<bool>| {
            let mut body = json!({
                "credentialId": id,
                "credentialStatus": {"type": "BitstringStatusListEntry", "statusPurpose": purpose},
            });
            if let Some(status) = status {
                body["status"] = json!(status);
            }
            server.post(&format!("/{profile}/credentials/status"), &body).status
        };
        assert_eq!(change("suspension", Some(true)), 200);
        server.refuses(profile, &issued);
        assert_eq!(change("suspension", Some(false)), 200);
        server.verifies(profile, &issued);
        assert_eq!(change("revocation", None), 200);
        server.refuses(profile, &issued);
        assert_eq!(change("message", Some(true)), 400);
    }
    let unknown = json!({"credentialId": "urn:x", "credentialStatus": {"type": "BitstringStatusListEntry", "statusPurpose": "revocation"}});
    assert_eq!(server.post("/bitstring/credentials/status", &unknown).status, 400);
    assert_eq!(server.get("/bitstring/status-lists/message").status, 404);
    assert_eq!(server.get("/eddsa-jcs-2022/status-lists/revocation").status, 404);
}

#[test]
fn a_malformed_entry_is_not_issued() {
    let server = Server::start();
    let good = json!({
        "type": "BitstringStatusListEntry", "statusPurpose": "revocation", "statusListIndex": "94567",
        "statusListCredential": "https://example.com/status/3",
    });
    for profile in ["bitstring", "eddsa-rdfc-2022", "eddsa-jcs-2022"] {
        server.issue(profile, &with(&identified(), "credentialStatus", Some(good.clone())));
        for (member, value) in [
            ("type", None),
            ("statusPurpose", None),
            ("statusListIndex", None),
            ("statusListCredential", None),
            ("statusListIndex", Some(json!(true))),
            ("statusListIndex", Some(json!("-1"))),
            ("statusListIndex", Some(json!("one"))),
            ("statusListCredential", Some(json!("not a url"))),
        ] {
            let bad = with(&good, member, value);
            let response = server.try_issue(profile, &with(&identified(), "credentialStatus", Some(bad.clone())));
            assert_eq!(response.status, 400, "{profile}: {bad}");
        }
    }
}
