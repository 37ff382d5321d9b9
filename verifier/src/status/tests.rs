use carnet_core::{
    Code,
    did::DidDocument,
    keys::{Algorithm, SecretKey, Signer as _},
    status::{
        MIN_ENTRIES,
        publication::{ListFormat, Publication, PublicationTerms},
    },
    verify::StatusLists as _,
};
use rand_core::OsRng;
use serde_json::json;

use super::{
    fetch::{MAX_BYTES, MAX_BYTES_OF_ALL, MAX_LISTS, earlier, own_lists, require_room},
    *,
};

#[test]
fn row_73_a_directory_leads_to_its_own_origin_alone() {
    let own = |url: &str| own_lists("https://uni.example/status/lists", &json!({ "status_lists": [url] }));
    assert_eq!(own("https://uni.example/status/token/0").unwrap().len(), 1);
    for other in [
        "https://internal.example/status/token/0",
        "https://uni.example:8443/status/token/0",
        "http://uni.example/status/token/0",
        "https://uni.example.org/status/token/0",
        "file:///etc/passwd",
        "/status/token/0",
        "",
    ] {
        assert_eq!(own(other).unwrap_err().code, Code::StatusListInvalid, "{other}");
    }
    let many: Vec<String> = (0..=MAX_LISTS).map(|n| format!("https://uni.example/status/token/{n}")).collect();
    assert!(own_lists("https://uni.example/status/lists", &json!({ "status_lists": many[1..] })).is_ok());
    assert!(own_lists("https://uni.example/status/lists", &json!({ "status_lists": many })).is_err());
}

#[test]
fn lists_by_a_key_that_signs_none_any_more_are_dropped_without_being_fetched_anew() {
    let statuses = StatusListCache::new(&StatusConfig::default());
    let key = SecretKey::generate(Algorithm::EdDsa, &mut OsRng);
    let document = |name: &str, revoked: bool| {
        let did = Did::parse(&format!("did:web:{name}.example")).unwrap();
        let mut rendered = DidDocument::render(&did, &[("1".to_owned(), key.public_key())]);
        if revoked {
            rendered["verificationMethod"][0]["revoked"] = json!("2026-11-01T00:00:00Z");
        }
        Arc::new(DidDocument::parse(&did, &rendered).unwrap())
    };
    for name in ["a", "b"] {
        let (document, url) = (document(name, false), format!("https://{name}.example/token/0"));
        let kid = document.did().with_fragment("1").unwrap();
        let terms = PublicationTerms { kid: &kid, url: &url, now: now(), validity: 60, ttl: 30 };
        let text =
            Publication::new(MIN_ENTRIES).unwrap().sign(ListFormat::Token, &terms, &Suites::jcs(), &key).unwrap();
        let did = document.did().clone();
        let by = StatusListDocuments { issuer: document, named: None, missing: None };
        statuses.put(
            &url,
            VerifiedStatusList::verify(text.as_bytes(), &url, &did, (now(), CLOCK_SKEW), (&by, &Suites::none()))
                .unwrap(),
        );
    }
    let left = |revoked| {
        statuses
            .drop_unless_by(&StatusListDocuments { issuer: document("a", revoked), named: None, missing: None }, now());
        let mut left: Vec<String> = statuses.lists().values().flat_map(HashMap::keys).cloned().collect();
        left.sort();
        left
    };
    assert_eq!(left(false), ["https://a.example/token/0", "https://b.example/token/0"]);
    assert_eq!(left(true), ["https://b.example/token/0"]);
}

#[test]
fn lists_by_whom_an_issuer_names_are_its_own_and_end_when_it_names_nobody() {
    let statuses = StatusListCache::new(&StatusConfig::default());
    let url = "https://lists.example/token/0";
    let key = SecretKey::generate(Algorithm::EdDsa, &mut OsRng);
    let did = |name: &str| Did::parse(&format!("did:web:{name}.example")).unwrap();
    let documents = |name: &str, names: bool| {
        let keys = [("1".to_owned(), key.public_key())];
        let issuer = DidDocument::render(&did(name), &keys);
        let mut issuer = DidDocument::with_status_lists(&did(name), issuer, "https://lists.example/lists");
        if names {
            issuer["service"][0]["statusListIssuer"] = did("lists").as_str().into();
        }
        let named = DidDocument::parse(&did("lists"), &DidDocument::render(&did("lists"), &keys)).unwrap();
        let issuer = Arc::new(DidDocument::parse(&did(name), &issuer).unwrap());
        StatusListDocuments { issuer, named: names.then(|| Arc::new(named)), missing: None }
    };
    // Two issuers that use the same list.
    let kid = did("lists").with_fragment("1").unwrap();
    let terms = PublicationTerms { kid: &kid, url, now: now(), validity: 60, ttl: 30 };
    let text = Publication::new(MIN_ENTRIES).unwrap().sign(ListFormat::Token, &terms, &Suites::jcs(), &key).unwrap();
    for name in ["a", "b"] {
        let read = VerifiedStatusList::verify(
            text.as_bytes(),
            url,
            &did(name),
            (now(), CLOCK_SKEW),
            (&documents(name, true), &Suites::none()),
        );
        statuses.put(url, read.unwrap());
    }
    let has = |name: &str| statuses.lists().list(did(name).as_str(), url).is_some();
    assert_eq!((has("a"), has("b"), has("lists")), (true, true, false));
    statuses.drop_unless_by(&documents("a", true), now());
    assert_eq!((has("a"), has("b")), (true, true));
    statuses.drop_unless_by(&documents("a", false), now());
    assert_eq!((has("a"), has("b")), (false, true));
    // The document of the named signer is no longer available.
    statuses.drop_unless_by(&StatusListDocuments { named: None, ..documents("b", true) }, now());
    assert_eq!((has("a"), has("b")), (false, false));
}

#[test]
fn lists_have_so_much_memory_and_no_more() {
    assert!(require_room(MAX_BYTES, MAX_BYTES_OF_ALL).is_ok());
    assert_eq!(require_room(MAX_BYTES + 1, MAX_BYTES).unwrap_err().code, Code::TooLarge);
    assert_eq!(require_room(1, MAX_BYTES_OF_ALL + 1).unwrap_err().code, Code::TooLarge);
}

#[test]
fn what_is_fetched_again_is_fetched_before_its_end() {
    for seconds in [1, 2, 3, 4, 60, 300, 86_400] {
        for _ in 0..200 {
            let sooner = earlier(seconds);
            assert!(sooner >= 1 && sooner <= seconds && sooner >= seconds - seconds / 4, "{seconds} {sooner}");
        }
    }
}
