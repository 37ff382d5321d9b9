//! The fetcher against a real HTTPS server on loopback, whose certificate a CA of the test's own signed.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may fail by panicking"
)]

use std::{sync::Arc, time::Duration};

use carnet_core::{
    Code, Problem,
    did::{
        Did, DidDocument, Resolve as _, VerificationRelationship, web,
        webvh::{self, LogUpdate, NewWebVhDid, UnwitnessedLog, WebVhLog},
    },
    keys::{PublicKey, SecretKey, SignatureAlgorithm, Signer as _},
    time::Timestamp,
};
use carnet_fetch::{DidCache, FetchOptions, HttpsFetcher, MAX_DOCUMENT_AGE};

mod methods;
mod site;

use site::{Answer, Files, Site, document, ok, options, serve, serve_with};

async fn fetch(site: &Site, options: FetchOptions) -> Result<Arc<DidDocument>, Problem> {
    HttpsFetcher::new(options)?.resolve_did(&site.did, START).await?.document
}

async fn refused(site: &Site, options: FetchOptions) -> Code {
    fetch(site, options).await.unwrap_err().code
}

#[tokio::test]
async fn a_document_is_fetched_and_only_from_a_server_that_is_trusted() {
    let site = serve(|did| Answer::Send(ok(&document(did)))).await;
    fetch(&site, options(&site)).await.unwrap();
    let other = serve(|did| Answer::Send(ok(&document(did)))).await;
    assert_eq!(refused(&site, options(&other)).await, Code::DidUnresolved);
    let system_only = FetchOptions { extra_ca_pem: None, ..options(&site) };
    assert_eq!(refused(&site, system_only).await, Code::DidUnresolved);
}

#[tokio::test]
async fn a_local_site_is_known_by_its_pin_and_by_nothing_else() {
    let site = serve_with(|did| Answer::Send(ok(&document(did))), true).await;
    let other = serve_with(|did| Answer::Send(ok(&document(did))), true).await;
    let certified = serve(|did| Answer::Send(ok(&document(did)))).await;
    let pinned = |pins: &[&Site]| FetchOptions {
        local_pins: pins.iter().map(|site| site.pin.clone()).collect(),
        ..FetchOptions::default()
    };
    // No authority, and no private host: the pin is all that it needs.
    fetch(&site, pinned(&[&site])).await.unwrap();
    fetch(&other, pinned(&[&site, &other])).await.unwrap();
    assert_eq!(refused(&other, pinned(&[&site])).await, Code::DidUnresolved);
    assert_eq!(refused(&site, FetchOptions::default()).await, Code::AddressForbidden);
    // An authority that is trusted does not make up for the pin.
    fetch(&certified, options(&certified)).await.unwrap();
    let with_authority = FetchOptions { local_pins: pinned(&[&site]).local_pins, ..options(&certified) };
    assert_eq!(refused(&certified, with_authority).await, Code::DidUnresolved);
}

#[tokio::test]
async fn private_addresses_are_refused() {
    let site = serve(|did| Answer::Send(ok(&document(did)))).await;
    fetch(&site, options(&site)).await.unwrap();
    for hosts in [vec![], vec!["other.example".to_owned()], vec!["127.0.0.1".to_owned()]] {
        let options = FetchOptions { private_hosts: hosts.into_iter().collect(), ..options(&site) };
        assert_eq!(refused(&site, options).await, Code::AddressForbidden);
    }
}

#[tokio::test]
async fn redirects_and_other_statuses_are_refused() {
    for head in
        ["301 Moved\r\nlocation: https://localhost/did.json", "302 Found\r\nlocation: /did.json", "404 No", "204 No"]
    {
        let site = serve(|_| Answer::Send(format!("HTTP/1.1 {head}\r\ncontent-length: 0\r\n\r\n"))).await;
        assert_eq!(refused(&site, options(&site)).await, Code::DidUnresolved, "{head}");
    }
}

#[tokio::test]
async fn a_refusal_names_the_url_that_was_asked() {
    let site = serve(|_| Answer::Send("HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n".into())).await;
    let fetcher = HttpsFetcher::new(options(&site)).unwrap();
    let url = carnet_core::did::web::document_url(&site.did).unwrap();
    let problem = fetcher.fetch(&url, "*/*", 100).await.unwrap_err();
    assert!(problem.detail.starts_with(&format!("{url} answered 404")), "{problem}");
    let asked = "https://localhost:1/status/lists";
    let problem = fetcher.fetch(asked, "*/*", 100).await.unwrap_err();
    assert!(problem.detail.starts_with(&format!("{asked} could not be reached: ")), "{problem}");
    assert_eq!(problem.detail.matches(asked).count(), 1, "{problem}");
}

#[tokio::test]
async fn a_proxy_that_cannot_reach_its_server_is_told_from_other_answers() {
    for (head, unreached) in [("502 Bad Gateway", true), ("503 Away", true), ("504 Late", true), ("500 Oops", false)] {
        let site = serve(move |_| Answer::Send(format!("HTTP/1.1 {head}\r\ncontent-length: 0\r\n\r\n"))).await;
        let fetcher = HttpsFetcher::new(options(&site)).unwrap();
        let url = carnet_core::did::web::document_url(&site.did).unwrap();
        let found = fetcher.fetch_through_proxy(&url, "*/*", 100).await;
        assert_eq!(found == Ok(None), unreached, "{head}");
        assert!(fetcher.fetch(&url, "*/*", 100).await.is_err(), "{head}");
    }
}

#[tokio::test]
async fn a_document_over_its_limit_is_refused_announced_or_not() {
    let padded = |did: &Did, bytes: usize| {
        let document = document(did);
        format!("{document}{}", " ".repeat(bytes - document.len()))
    };
    let site = serve(|did| Answer::Send(ok(&padded(did, web::MAX_BYTES + 1)))).await;
    assert_eq!(refused(&site, options(&site)).await, Code::TooLarge);
    let site = serve(|did| Answer::Send(ok(&padded(did, web::MAX_BYTES)))).await;
    fetch(&site, options(&site)).await.unwrap();
    let endless = serve(|_| Answer::Endless(1_000_000)).await;
    assert_eq!(refused(&endless, options(&endless)).await, Code::TooLarge);
}

#[tokio::test]
async fn the_time_limit_holds_for_the_whole_fetch() {
    let site = serve(|_| Answer::Slow).await;
    let start = std::time::Instant::now();
    let options = FetchOptions { timeout: Duration::from_millis(400), ..options(&site) };
    assert_eq!(refused(&site, options).await, Code::DidUnresolved);
    assert!(start.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn wrong_content_is_refused() {
    for body in ["", "<html></html>", "[]", "{\"id\":\"a\",\"id\":\"b\"}"] {
        let site = serve(|_| Answer::Send(ok(body))).await;
        assert_eq!(refused(&site, options(&site)).await, Code::DidDocumentInvalid, "{body}");
    }
    let other = Did::parse("did:web:other.example").unwrap();
    let site = serve(|_| Answer::Send(ok(&document(&other)))).await;
    assert_eq!(refused(&site, options(&site)).await, Code::DidDocumentInvalid);
    let cut = serve(|did| Answer::Send(ok(&document(did)).trim_end_matches('}').to_owned())).await;
    assert!(matches!(refused(&cut, options(&cut)).await, Code::DidUnresolved | Code::DidDocumentInvalid));
}

#[test]
fn a_ca_that_is_none_is_refused() {
    for pem in ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let options = FetchOptions { extra_ca_pem: Some(pem.as_bytes().to_vec()), ..FetchOptions::default() };
        assert_eq!(HttpsFetcher::new(options).unwrap_err().code, Code::KeyInvalid, "{pem}");
    }
}

/// As many as a trust list may name: or the first ones would be fetched for ever, and be there never.
#[test]
fn every_issuer_of_a_trust_list_has_its_place() {
    let cache = DidCache::default();
    let did = |number: usize| Did::parse(&format!("did:web:n{number}.example")).unwrap();
    let first = Arc::new(DidDocument::parse(&did(0), &serde_json::from_str(&document(&did(0))).unwrap()).unwrap());
    let now = Timestamp::from_unix(1_800_000_000);
    for number in 0..20_000 {
        cache.insert_document(&did(number), Arc::clone(&first), now);
    }
    for number in [0, 1, 10_000, 19_999] {
        assert!(cache.resolve_at(&did(number), now).is_ok(), "{number}");
    }
    assert!(cache.resolve_at(&did(20_000), now).is_err());
}

#[tokio::test]
async fn a_document_that_is_fetched_again_and_is_equal_stays_the_same() {
    let files = Files::default();
    let serves = Arc::clone(&files);
    let site = serve(|_| Answer::Files(Arc::clone(&serves))).await;
    let publish = |text: String| files.lock().unwrap().insert("/.well-known/did.json", text);
    let text = document(&site.did);
    publish(text.clone());
    let (fetcher, cache) = (HttpsFetcher::new(options(&site)).unwrap(), DidCache::default());
    let refresh = || cache.refresh_and_compare(&fetcher, &site.did, Duration::ZERO);
    assert!(refresh().await.unwrap());
    let first = cache.resolve(&site.did).unwrap();
    // Other white space is no other document.
    publish(text.replace(",", ", "));
    assert!(!refresh().await.unwrap());
    assert!(Arc::ptr_eq(&first, &cache.resolve(&site.did).unwrap()));
    publish(document(&site.did));
    assert!(refresh().await.unwrap());
    assert_ne!(first, cache.resolve(&site.did).unwrap());
}

#[tokio::test]
async fn a_document_that_cannot_be_had_anew_is_believed_for_a_day_and_no_longer() {
    let site = serve(|did| Answer::Send(ok(&document(did)))).await;
    let fetcher = HttpsFetcher::new(options(&site)).unwrap();
    let cache = DidCache::default();
    assert_eq!(cache.resolve(&site.did).unwrap_err().code, Code::DidUnresolved);
    let hour = Duration::from_secs(3600);
    cache.refresh(&fetcher, &site.did, hour).await.unwrap();
    cache.clone().resolve(&site.did).unwrap();

    let did = site.did.clone();
    drop(site);
    let gone =
        HttpsFetcher::new(FetchOptions { timeout: Duration::from_millis(300), ..FetchOptions::default() }).unwrap();
    cache.refresh(&gone, &did, hour).await.unwrap();
    cache.refresh(&gone, &did, Duration::ZERO).await.unwrap_err();
    cache.resolve(&did).unwrap();
    // By a clock that is passed in; the document is inserted again so that its time is known.
    let (document, at) = (cache.resolve(&did).unwrap(), Timestamp::from_unix(1_795_305_600));
    cache.insert_document(&did, document, at);
    let day = i64::try_from(MAX_DOCUMENT_AGE.as_secs()).unwrap();
    for fine in [at, at.plus(day), at.plus(-day)] {
        cache.resolve_at(&did, fine).unwrap();
    }
    for stale in [at.plus(day + 1), at.plus(-day - 1), Timestamp::from_unix(i64::MAX), Timestamp::from_unix(i64::MIN)] {
        let problem = cache.resolve_at(&did, stale).unwrap_err();
        assert_eq!(problem.code, Code::DidUnresolved);
        assert!(problem.detail.contains("for a day"), "{}", problem.detail);
    }
}

#[tokio::test]
async fn a_document_that_is_bad_is_told_from_one_that_did_not_come() {
    let bad = serve(|_| Answer::Send(ok("{}"))).await;
    let away = serve(|_| Answer::Send("HTTP/1.1 503 Away\r\ncontent-length: 0\r\n\r\n".into())).await;
    for (site, code, words) in [
        (bad, Code::DidDocumentInvalid, "was fetched and is refused"),
        (away, Code::DidUnresolved, "could not be fetched: "),
    ] {
        let (fetcher, cache) = (HttpsFetcher::new(options(&site)).unwrap(), DidCache::default());
        let refused = cache.refresh(&fetcher, &site.did, Duration::ZERO).await.unwrap_err();
        assert_eq!(cache.last_fetch_error(&site.did), Some(refused));
        let problem = cache.resolve(&site.did).unwrap_err();
        assert_eq!(problem.code, code);
        assert!(problem.detail.contains(words), "{}", problem.detail);
    }
}

#[tokio::test]
async fn did_key_and_did_jwk_need_no_network_and_other_methods_are_refused() {
    let cache = DidCache::default();
    let fetcher = HttpsFetcher::new(FetchOptions::default()).unwrap();
    let key = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut rand_core::OsRng).public_key();
    for did in [Did::did_key(&key), Did::did_jwk(&key)] {
        cache.refresh(&fetcher, &did, Duration::ZERO).await.unwrap();
        cache.resolve(&did).unwrap();
    }
    let other = Did::parse("did:example:abc").unwrap();
    assert_eq!(cache.resolve(&other).unwrap_err().code, Code::DidUnsupported);
    assert_eq!(cache.refresh(&fetcher, &other, Duration::ZERO).await.unwrap_err().code, Code::DidUnsupported);
}

#[tokio::test]
async fn what_has_not_changed_is_not_sent_again() {
    let site = serve(|_| Answer::Tagged("list".to_owned())).await;
    let fetcher = HttpsFetcher::new(options(&site)).unwrap();
    let url = carnet_core::did::web::document_url(&site.did).unwrap();
    let fetched = fetcher.fetch_if_changed(&url, "*/*", 100, None).await.unwrap().unwrap();
    assert_eq!((fetched.bytes.as_slice(), fetched.etag.as_deref()), (&b"list"[..], Some("\"v1\"")));
    assert!(fetcher.fetch_if_changed(&url, "*/*", 100, Some("\"v1\"")).await.unwrap().is_none());
    let other = fetcher.fetch_if_changed(&url, "*/*", 100, Some("\"v0\"")).await.unwrap().unwrap();
    assert_eq!(other.bytes, b"list");
    assert_eq!(fetcher.fetch_if_changed(&url, "*/*", 3, None).await.unwrap_err().code, Code::TooLarge);
    // A client that sent no tag has nothing that could be unchanged.
    let wrong = serve(|_| Answer::Send("HTTP/1.1 304 Not Modified\r\n\r\n".to_owned())).await;
    let fetcher = HttpsFetcher::new(options(&wrong)).unwrap();
    let url = carnet_core::did::web::document_url(&wrong.did).unwrap();
    assert_eq!(fetcher.fetch_if_changed(&url, "*/*", 100, None).await.unwrap_err().code, Code::DidUnresolved);
}

const LOG: &str = "/.well-known/did.jsonl";
/// Long ago, so that every log made from it is of the past.
const START: Timestamp = Timestamp::from_unix(1_760_000_000);

/// A did:webvh issuer whose site serves its log.
struct Historian {
    site: Site,
    files: Files,
    update: SecretKey,
    did: Did,
    text: String,
}

impl Historian {
    async fn new() -> Self {
        let files = Files::default();
        let site = serve(|_| Answer::Files(Arc::clone(&files))).await;
        let update = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut rand_core::OsRng);
        let place = site.did.method_specific_id().to_owned();
        let inception = NewWebVhDid {
            location: &place,
            version_time: START,
            update_key: &update,
            next_update_keys: &[],
            ttl: None,
        };
        let (did, text) = webvh::create_did(&inception, &|did| rendered(did, "key-1")).unwrap();
        let historian = Self { site, files, update, did, text };
        historian.publish(&historian.text);
        historian
    }

    fn publish(&self, text: &str) {
        self.files.lock().unwrap().insert(LOG, text.to_owned());
    }

    fn log(&self, text: &str) -> WebVhLog {
        UnwitnessedLog::verify_entries(&self.did, text.as_bytes(), START.plus(1_000), 0)
            .unwrap()
            .verify_witnesses(None, START, 0)
            .unwrap()
    }

    /// The log with a document that has one new key of that name.
    fn with(&self, name: &str, seconds: i64, deactivate: bool) -> String {
        let state = rendered(&self.did, name);
        let change = LogUpdate {
            version_time: START.plus(seconds),
            state: &state,
            update_keys: None,
            next_update_keys: None,
            deactivate,
        };
        webvh::append(&self.log(&self.text), &self.text, &change, &self.update).unwrap()
    }

    fn key(&self, cache: &DidCache, name: &str) -> Result<PublicKey, Problem> {
        cache.resolve(&self.did)?.key_for(&self.did.with_fragment(name)?, VerificationRelationship::AssertionMethod)
    }
}

fn rendered(did: &Did, name: &str) -> serde_json::Value {
    let key = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut rand_core::OsRng);
    DidDocument::json_for_keys(did, &[(name.to_owned(), key.public_key())])
}

#[tokio::test]
async fn a_log_is_fetched_and_must_go_on_from_the_one_before() {
    let mut issuer = Historian::new().await;
    let fetcher = HttpsFetcher::new(options(&issuer.site)).unwrap();
    let cache = DidCache::default();
    assert_eq!(cache.resolve(&issuer.did).unwrap_err().code, Code::DidUnresolved);
    let look = || cache.refresh(&fetcher, &issuer.did, Duration::ZERO);
    look().await.unwrap();
    issuer.key(&cache, "key-1").unwrap();

    let (first, second, fork) = (issuer.text.clone(), issuer.with("key-2", 10, false), issuer.with("key-9", 10, false));
    issuer.publish(&second);
    look().await.unwrap();
    issuer.key(&cache, "key-2").unwrap();
    assert_eq!(issuer.key(&cache, "key-1").unwrap_err().code, Code::MethodUnknown);
    let whole = cache.resolve(&issuer.did).unwrap().with_history();
    whole.key_for(&issuer.did.with_fragment("key-1").unwrap(), VerificationRelationship::AssertionMethod).unwrap();

    // Older, or continued differently by a holder of the update key: the stored one stays.
    for other in [&first, &fork] {
        issuer.publish(other);
        assert_eq!(look().await.unwrap_err().code, Code::DidLogForked);
        issuer.key(&cache, "key-2").unwrap();
    }
    // A client that has not seen the first one has nothing to compare the other with.
    let stranger = DidCache::default();
    stranger.refresh(&fetcher, &issuer.did, Duration::ZERO).await.unwrap();
    issuer.key(&stranger, "key-9").unwrap();

    // Also after a restart, if it is to be remembered.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("seen-logs.json");
    let started = || {
        let cache = DidCache::default();
        cache.persist_in(file.clone()).map(|()| cache)
    };
    for (log, follows) in [(&first, true), (&second, true), (&first, false), (&fork, false), (&second, true)] {
        let restarted = started().unwrap();
        issuer.publish(log);
        let looked = restarted.refresh(&fetcher, &issuer.did, Duration::ZERO).await;
        assert_eq!(looked.map_err(|problem| problem.code), if follows { Ok(()) } else { Err(Code::DidLogForked) });
        assert_eq!(restarted.resolve(&issuer.did).is_ok(), follows);
    }
    // Or where somebody else keeps it.
    issuer.publish(&second);
    let kept = DidCache::default();
    kept.set_accepted_entries([].into());
    kept.refresh(&fetcher, &issuer.did, Duration::ZERO).await.unwrap();
    let seen = kept.accepted_entries();
    assert_eq!(seen.keys().map(String::as_str).collect::<Vec<_>>(), [issuer.did.as_str()]);
    for (log, follows) in [(&first, false), (&fork, false), (&second, true)] {
        let again = DidCache::default();
        again.set_accepted_entries(seen.clone());
        issuer.publish(log);
        let looked = again.refresh(&fetcher, &issuer.did, Duration::ZERO).await;
        assert_eq!(looked.map_err(|problem| problem.code), if follows { Ok(()) } else { Err(Code::DidLogForked) });
    }
    for damaged in ["", "[]", "{\"did:webvh:a\": 1}"] {
        std::fs::write(&file, damaged).unwrap();
        assert!(started().is_err());
    }
    // An entry that cannot be stored is not relied on.
    let nowhere = DidCache::default();
    nowhere.persist_in(folder.path().join("missing").join("seen-logs.json")).unwrap();
    let looked = nowhere.refresh(&fetcher, &issuer.did, Duration::ZERO).await;
    assert_eq!(looked.unwrap_err().code, Code::DidUnresolved);
    assert!(nowhere.resolve(&issuer.did).is_err());

    // Damaged, or of another DID: as well.
    issuer.publish(&second.replace("key-2", "key-3"));
    assert_eq!(look().await.unwrap_err().code, Code::DidLogInvalid);
    issuer.publish(&Historian::new().await.text);
    assert_eq!(look().await.unwrap_err().code, Code::DidLogInvalid);
    issuer.key(&cache, "key-2").unwrap();

    // Given up, it has no document at once, and not after a day.
    issuer.publish(&second);
    look().await.unwrap();
    issuer.text = second;
    issuer.publish(&issuer.with("key-2", 20, true));
    cache.refresh(&fetcher, &issuer.did, Duration::ZERO).await.unwrap();
    assert_eq!(cache.resolve(&issuer.did).unwrap_err().code, Code::DidDeactivated);
}

#[tokio::test]
async fn a_log_has_its_own_limit_and_the_same_rules() {
    let issuer = Historian::new().await;
    let get = async |options: FetchOptions| {
        let fetcher = HttpsFetcher::new(options).unwrap();
        fetcher.resolve_did(&issuer.did, START).await
    };
    get(options(&issuer.site)).await.unwrap();
    let nowhere = FetchOptions { private_hosts: [].into(), ..options(&issuer.site) };
    assert_eq!(get(nowhere).await.unwrap_err().code, Code::AddressForbidden);
    issuer.publish(&" ".repeat(webvh::MAX_LOG_BYTES + 1));
    assert_eq!(get(options(&issuer.site)).await.unwrap_err().code, Code::TooLarge);
    issuer.files.lock().unwrap().clear();
    assert_eq!(get(options(&issuer.site)).await.unwrap_err().code, Code::DidUnresolved);
}
