use carnet_core::{
    Code,
    did::DidDocument,
    keys::{SecretKey, SignatureAlgorithm, Signer as _},
    status::{
        MIN_ENTRIES,
        publication::{ListFormat, PublicationParameters, UnsignedStatusList},
    },
    verify::StatusLists as _,
};
use rand_core::OsRng;
use serde_json::json;

use super::{
    fetch::{MAX_ISSUER_BYTES, MAX_LISTS, MAX_TOTAL_BYTES, parse_directory, require_memory, shorten_at_random},
    *,
};

#[test]
fn row_73_a_directory_leads_to_its_own_origin_alone() {
    let own = |url: &str| parse_directory("https://uni.example/status/lists", &json!({ "status_lists": [url] }));
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
    assert!(parse_directory("https://uni.example/status/lists", &json!({ "status_lists": many[1..] })).is_ok());
    assert!(parse_directory("https://uni.example/status/lists", &json!({ "status_lists": many })).is_err());
}

#[test]
fn lists_by_a_key_that_signs_none_any_more_are_dropped_without_being_fetched_anew() {
    let statuses = StatusListCache::new(&StatusConfig::default());
    let key = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng);
    let document = |name: &str, revoked: bool| {
        let did = Did::parse(&format!("did:web:{name}.example")).unwrap();
        let mut rendered = DidDocument::json_for_keys(&did, &[("1".to_owned(), key.public_key())]);
        if revoked {
            rendered["verificationMethod"][0]["revoked"] = json!("2026-11-01T00:00:00Z");
        }
        Arc::new(DidDocument::parse(&did, &rendered).unwrap())
    };
    for name in ["a", "b"] {
        let (document, url) = (document(name, false), format!("https://{name}.example/token/0"));
        let kid = document.did().with_fragment("1").unwrap();
        let terms = PublicationParameters { kid: &kid, url: &url, now: now(), lifetime_seconds: 60, ttl: 30 };
        let text = UnsignedStatusList::new(MIN_ENTRIES)
            .unwrap()
            .sign(ListFormat::Token, &terms, &Cryptosuites::jcs(), &key)
            .unwrap();
        let did = document.did().clone();
        let by = StatusListDocuments { issuer: document, list_signer: None, list_signer_problem: None };
        statuses.put(
            &url,
            VerifiedStatusList::verify(text.as_bytes(), &url, &did, (now(), CLOCK_SKEW), (&by, &Cryptosuites::empty()))
                .unwrap(),
        );
    }
    let left = |revoked| {
        statuses.drop_unverifiable(
            &StatusListDocuments { issuer: document("a", revoked), list_signer: None, list_signer_problem: None },
            now(),
        );
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
    let key = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng);
    let did = |name: &str| Did::parse(&format!("did:web:{name}.example")).unwrap();
    let documents = |name: &str, names: bool| {
        let keys = [("1".to_owned(), key.public_key())];
        let issuer = DidDocument::json_for_keys(&did(name), &keys);
        let mut issuer = DidDocument::with_status_lists(&did(name), issuer, "https://lists.example/lists");
        if names {
            issuer["service"][0]["statusListIssuer"] = did("lists").as_str().into();
        }
        let named = DidDocument::parse(&did("lists"), &DidDocument::json_for_keys(&did("lists"), &keys)).unwrap();
        let issuer = Arc::new(DidDocument::parse(&did(name), &issuer).unwrap());
        StatusListDocuments { issuer, list_signer: names.then(|| Arc::new(named)), list_signer_problem: None }
    };
    // Two issuers that use the same list.
    let kid = did("lists").with_fragment("1").unwrap();
    let terms = PublicationParameters { kid: &kid, url, now: now(), lifetime_seconds: 60, ttl: 30 };
    let text = UnsignedStatusList::new(MIN_ENTRIES)
        .unwrap()
        .sign(ListFormat::Token, &terms, &Cryptosuites::jcs(), &key)
        .unwrap();
    for name in ["a", "b"] {
        let read = VerifiedStatusList::verify(
            text.as_bytes(),
            url,
            &did(name),
            (now(), CLOCK_SKEW),
            (&documents(name, true), &Cryptosuites::empty()),
        );
        statuses.put(url, read.unwrap());
    }
    let has = |name: &str| statuses.lists().list(did(name).as_str(), url).is_some();
    assert_eq!((has("a"), has("b"), has("lists")), (true, true, false));
    statuses.drop_unverifiable(&documents("a", true), now());
    assert_eq!((has("a"), has("b")), (true, true));
    statuses.drop_unverifiable(&documents("a", false), now());
    assert_eq!((has("a"), has("b")), (false, true));
    // The document of the named signer is no longer available.
    statuses.drop_unverifiable(&StatusListDocuments { list_signer: None, ..documents("b", true) }, now());
    assert_eq!((has("a"), has("b")), (false, false));
}

#[test]
fn lists_have_so_much_memory_and_no_more() {
    assert!(require_memory(MAX_ISSUER_BYTES, MAX_TOTAL_BYTES).is_ok());
    assert_eq!(require_memory(MAX_ISSUER_BYTES + 1, MAX_ISSUER_BYTES).unwrap_err().code, Code::TooLarge);
    assert_eq!(require_memory(1, MAX_TOTAL_BYTES + 1).unwrap_err().code, Code::TooLarge);
}

#[test]
fn what_is_fetched_again_is_fetched_before_its_end() {
    for seconds in [1, 2, 3, 4, 60, 300, 86_400] {
        for _ in 0..200 {
            let sooner = shorten_at_random(seconds);
            assert!(sooner >= 1 && sooner <= seconds && sooner >= seconds - seconds / 4, "{seconds} {sooner}");
        }
    }
}
