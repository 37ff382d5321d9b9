//! Invalid documents and lists, told apart from failed fetches: staff see the reason, the holder does not.

use std::time::Duration;

use carnet_core::{
    Code,
    did::{Did, DidDocument, VerificationRelationship as KeyPurpose},
    keys::Signer as _,
    secure::data_integrity::{Cryptosuite, Cryptosuites, ProofOptions, add_proof, eddsa_jcs::EddsaJcs2022},
    status::{
        BitOrder, ListValidity, MIN_ENTRIES, StatusList, StatusPurpose,
        bitstring::{BitstringListParameters, BitstringStatusListEntry},
        publication::{ListFormat, PublicationParameters, UnsignedStatusList},
    },
};
use carnet_service::time::now;
use serde_json::{Value, json};

use super::{
    newer_keys::pass,
    site::Site,
    world::{TYPE, World, key, query},
};
use crate::config::IssuerEntry;

const LIST: &str = "/status/revocation/0";
const DIRECTORY: &str = "/status/lists";

/// Creates a verifier that accepts the issuer of a site without publications.
async fn open() -> (Site, World) {
    let site = Site::open().await;
    let world = World::with(|config| {
        site.allow(config);
        config.issuers = vec![IssuerEntry { did: site.did.to_string(), types: vec![TYPE.to_owned()] }];
    })
    .await;
    (site, world)
}

fn document(site: &Site, world: &World) -> Value {
    let keys = [("key-1".to_owned(), world.issuer.public_key())];
    let document = DidDocument::json_for_keys(&site.did, &keys);
    DidDocument::with_status_lists(&site.did, document, &site.url(DIRECTORY))
}

/// Builds the permit by the site's issuer, with a status on its list.
fn permit(site: &Site, world: &World) -> Value {
    let mut document = world.document();
    let reference = BitstringStatusListEntry {
        purpose: StatusPurpose::Revocation,
        url: site.url(LIST),
        index: 77,
        size_in_bits: 1,
    };
    document.insert("credentialStatus".into(), Value::Array(vec![reference.to_json()]));
    document.insert("issuer".into(), site.did.as_str().into());
    let options = ProofOptions {
        verification_method: &format!("{}#key-1", site.did),
        purpose: KeyPurpose::AssertionMethod,
        created: None,
        expires: None,
        challenge: None,
        domain: None,
    };
    add_proof(&document, &EddsaJcs2022, &options, &world.issuer).unwrap().into()
}

/// Fetches the publications for the n-th time, and asserts the texts for staff and the holder about the permit.
async fn refused(site: &Site, world: &World, look: i64, code: Code, words: &[&str]) {
    world.verifier.verification.issuers.refresh(Duration::ZERO).await;
    // The fetches are far enough apart for everything to be due.
    let at = now().plus(look.saturating_mul(120));
    pass(world, at).await;
    let bytes = permit(site, world).to_string().into_bytes();
    let (verdict, _) = world.verifier.verify_credential(bytes, at).await.unwrap();
    let check = verdict.checks().iter().find(|check| check.code == code.as_str());
    let check = check.unwrap_or_else(|| panic!("{code}: {:?}", verdict.checks()));
    assert!(words.iter().all(|words| check.detail.contains(words)), "{}", check.detail);
    assert!(!check.detail.contains(code.as_str()), "the code is repeated: {}", check.detail);
    assert_eq!(verdict.reason(), code.as_str());

    let asked = world.request_for(&query("di_vc+jcs", &["rightToWork"])).await;
    let answer = world.present_document(permit(site, world), &asked.nonce, &asked.audience);
    let answer = world.submit(&asked, answer).await.unwrap();
    let check = answer.checks.iter().find(|check| check.code == code.as_str()).unwrap();
    assert_eq!(check.detail, code.meaning());
}

#[tokio::test]
async fn a_document_that_is_bad_is_told_from_one_that_did_not_come() {
    let (site, world) = open().await;
    refused(&site, &world, 1, Code::DidUnresolved, &["could not be fetched", "404"]).await;
    site.put_document(&json!({"id": "did:web:another.example"}));
    refused(&site, &world, 2, Code::DidDocumentInvalid, &["was fetched and is refused: "]).await;
    // The valid case: a valid document leads to the next check, that of the lists.
    site.put_document(&document(&site, &world));
    refused(&site, &world, 3, Code::StatusListUnavailable, &["directory of status lists could not be fetched", "404"])
        .await;
}

#[tokio::test]
async fn a_list_that_is_bad_is_told_from_one_that_did_not_come() {
    let (site, world) = open().await;
    site.put_document(&document(&site, &world));
    site.put(DIRECTORY, "nonsense".to_owned());
    let bad = ["directory of status lists was fetched and is refused", "invalid_json"];
    refused(&site, &world, 1, Code::StatusListInvalid, &bad).await;
    site.put(DIRECTORY, json!({"status_lists": []}).to_string());
    refused(&site, &world, 2, Code::StatusListUnavailable, &["does not name the list"]).await;
    site.put(DIRECTORY, json!({"status_lists": [site.url(LIST)]}).to_string());
    refused(&site, &world, 3, Code::StatusListUnavailable, &["status list could not be fetched", "404"]).await;
    site.put(LIST, "nonsense".to_owned());
    refused(&site, &world, 4, Code::StatusListInvalid, &["status list was fetched and is refused"]).await;
}

#[tokio::test]
async fn a_signer_of_lists_whose_document_did_not_come_is_no_stranger() {
    let (site, world) = open().await;
    let (lists, signer) = (Did::parse(&format!("{}:lists", site.did)).unwrap(), key());
    let mut issuer = document(&site, &world);
    issuer["service"][0]["statusListIssuer"] = lists.as_str().into();
    site.put_document(&issuer);
    let (kid, url) = (lists.with_fragment("key-1").unwrap(), site.url(LIST));
    let terms = PublicationParameters { kid: &kid, url: &url, now: now(), lifetime_seconds: 3_600, ttl: 300 };
    site.put(
        LIST,
        UnsignedStatusList::new(MIN_ENTRIES)
            .unwrap()
            .sign(ListFormat::Revocation, &terms, &Cryptosuites::jcs(), &signer)
            .unwrap(),
    );
    site.put(DIRECTORY, json!({"status_lists": [url]}).to_string());
    let away = ["was fetched and cannot be verified", lists.as_str(), "could not be fetched", "404"];
    refused(&site, &world, 1, Code::StatusListUnavailable, &away).await;
    let file = "/lists/did.json";
    site.put(file, json!({"id": "did:web:another.example"}).to_string());
    refused(&site, &world, 2, Code::StatusListInvalid, &["was fetched and is refused", "did_document_invalid"]).await;
    // No document names this signer.
    site.put_document(&document(&site, &world));
    refused(&site, &world, 3, Code::StatusListIssuer, &["was fetched and is refused"]).await;
    // The valid case: named and available.
    site.put_document(&issuer);
    site.put(file, DidDocument::json_for_keys(&lists, &[("key-1".to_owned(), signer.public_key())]).to_string());
    world.verifier.verification.issuers.refresh(Duration::ZERO).await;
    let at = now().plus(480);
    pass(&world, at).await;
    let bytes = permit(&site, &world).to_string().into_bytes();
    let (verdict, _) = world.verifier.verify_credential(bytes, at).await.unwrap();
    assert!(verdict.checks().iter().all(|check| !check.code.starts_with("status_list")), "{:?}", verdict.checks());
}

/// Publishes a list whose proof is by this cryptosuite and has that name, and returns the reason for which the permit is
/// refused; empty: it is accepted.
async fn with_list_of(suite: &dyn Cryptosuite, name: &str) -> String {
    let (site, world) = open().await;
    site.put_document(&document(&site, &world));
    let list = StatusList::new(MIN_ENTRIES, 1, BitOrder::MostSignificantFirst).unwrap();
    let freshness = ListValidity { issued_at: now(), expires_at: Some(now().plus(3_600)), ttl: Some(300) };
    let parameters = BitstringListParameters {
        issuer: site.did.to_string(),
        url: site.url(LIST),
        purpose: StatusPurpose::Revocation,
        validity: freshness,
    };
    let method = format!("{}#key-1", site.did);
    let options = ProofOptions {
        verification_method: &method,
        purpose: KeyPurpose::AssertionMethod,
        created: None,
        expires: None,
        challenge: None,
        domain: None,
    };
    let mut signed = add_proof(&parameters.to_document(&list).unwrap(), suite, &options, &world.issuer).unwrap();
    signed["proof"]["cryptosuite"] = name.into();
    site.put(LIST, Value::Object(signed).to_string());
    site.put(DIRECTORY, json!({"status_lists": [site.url(LIST)]}).to_string());
    world.verifier.verification.issuers.refresh(Duration::ZERO).await;
    let at = now().plus(1);
    pass(&world, at).await;
    let bytes = permit(&site, &world).to_string().into_bytes();
    world.verifier.verify_credential(bytes, at).await.unwrap().0.reason().to_owned()
}

#[tokio::test]
async fn a_list_has_a_cryptosuite_of_the_verifier() {
    assert_eq!(with_list_of(&EddsaJcs2022, "eddsa-jcs-2022").await, "");
    assert_eq!(with_list_of(&EddsaJcs2022, "eddsa-jcs-2023").await, "status_list_invalid");
}

#[cfg(feature = "jsonld")]
#[tokio::test]
async fn a_list_may_be_signed_over_rdf() {
    let catalogue = carnet_spec::Catalogue::embedded().unwrap();
    let suites = crate::verification::supported_suites(&catalogue).unwrap();
    let suite = suites.by_name("eddsa-rdfc-2022").unwrap();
    assert_eq!(with_list_of(suite, suite.name()).await, "");
}
