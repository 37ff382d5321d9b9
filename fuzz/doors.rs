//! Entry points for bytes from outside, each as a function of bytes that must not panic.
//!
//! The fuzz targets and the property tests of core (`core/tests/parsers.rs`) share this file. Parsed input must also
//! be consistent with itself.

use std::collections::BTreeMap;

use carnet_core::{
    Code, Problem,
    credential::Credential,
    did::{Did, DidDocument, DidUrl, SelfContainedResolver, VerificationRelationship, webvh},
    json::{self, Limits},
    keys::PublicKey,
    presentation::Presentation,
    query::Query,
    secure::{
        data_integrity::Cryptosuites,
        data_integrity::{self, ProofRequirements},
        jose::Jws,
        sd_jwt::{SdJwt, Step},
    },
    status::{VerifiedStatusList, cwt},
    time::Timestamp,
    verify::{
        self, IssuerPolicy, PresentationContext, StatusPolicy, TypeCatalogue, VerificationEnvironment,
        VerifiedCredential,
    },
};
use serde_json::{Map, Value, json};

/// 2026-11-22T00:00:00Z.
pub(crate) const NOW: Timestamp = Timestamp::from_unix(1_795_305_600);
/// The nonce and the audience that presentations must have.
pub(crate) const NONCE: &str = "n-0S6_WzA2Mj";
/// See [`NONCE`].
pub(crate) const AUDIENCE: &str = "decentralized_identifier:did:web:agency.example";

/// A parser of core's, fed with any bytes.
pub(crate) type Door = fn(&[u8]);

/// Every door with its name.
pub(crate) const ALL: &[(&str, Door)] = &[
    ("json", json_text),
    ("jws", jws),
    ("sd_jwt", sd_jwt),
    ("did_url", did_url),
    ("did_document", did_document),
    ("did_log", did_log),
    ("dcql", dcql),
    ("data_integrity", data_integrity),
    ("credential", credential),
    ("status_list_cwt", status_list_cwt),
];

/// Strict JSON; parsed JSON has one canonical form, which parses to itself.
///
/// With one exception: 90071992547409930.5 is written without its fraction in the canonical form, and is
/// an integer outside the I-JSON range there, which is refused.
pub(crate) fn json_text(bytes: &[u8]) {
    let Ok(value) = json::parse(bytes, Limits::DOCUMENT) else { return };
    let Ok(canonical) = json::canonicalize(&value) else { return };
    let again = json::parse(&canonical, Limits { max_bytes: usize::MAX, ..Limits::DOCUMENT });
    let again = match again {
        Ok(again) => again,
        Err(problem) if problem.code == Code::NumberRange => return,
        Err(problem) => panic!("the canonical form does not parse: {problem}"),
    };
    assert_eq!(json::canonicalize(&again).expect("it has a canonical form"), canonical);
}

/// A JWS; a parsed one keeps its text.
pub(crate) fn jws(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(jws) = Jws::parse(text) {
        assert_eq!(jws.as_str(), text);
        let _ = (jws.typ(), jws.algorithm(), jws.key_ref());
    }
}

/// An SD-JWT with or without key binding, its disclosures put in their places, and everything selected again.
pub(crate) fn sd_jwt(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(token) = SdJwt::parse(text) else { return };
    let _ = (token.holder_key(), token.require_no_key_binding());
    if let Ok(disclosed) = token.resolve_disclosures() {
        assert_eq!(disclosed.disclosure_paths.len(), token.disclosure_count(), "each disclosure stands in one place");
        let everything: Vec<_> = disclosed.payload.keys().map(|name| vec![Step::Name(name.clone())]).collect();
        let selected = token.select_claims(&everything).expect("what is disclosed can be selected");
        assert_eq!(selected.disclosure_count(), token.disclosure_count());
        let none = token.select_claims(&[]).expect("nothing can be selected");
        assert_eq!(none.disclosure_count(), 0);
    }
}

/// DIDs, DID URLs, the places of did:web documents and did:webvh logs, and did:key and did:jwk resolved; a parsed one
/// keeps its text.
pub(crate) fn did_url(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(url) = DidUrl::parse(text) {
        assert_eq!(url.to_string(), text);
        let _ = carnet_core::did::resolve_key(&SelfContainedResolver, text, VerificationRelationship::Authentication);
    }
    if let Ok(did) = Did::parse(text) {
        assert_eq!(did.as_str(), text);
        if let Ok(url) = carnet_core::did::web::document_url(&did) {
            assert!(url.starts_with("https://") && url.ends_with("/did.json"), "{url}");
            assert!(!url.contains("/../") && !url.contains('@') && !url.contains('?') && !url.contains('#'), "{url}");
        }
        if let Ok(url) = webvh::log_url(&did) {
            assert!(url.starts_with("https://") && url.ends_with("/did.jsonl"), "{url}");
            assert!(!url.contains("/../") && !url.contains('@') && !url.contains('?') && !url.contains('#'), "{url}");
        }
        let _ = carnet_core::did::Resolve::resolve(&SelfContainedResolver, &did);
    }
    if let Ok(key) = PublicKey::from_multikey(text) {
        assert_eq!(key.to_multikey(), text);
    }
}

/// A DID document for `did:web:issuer.example`, and a JWK.
pub(crate) fn did_document(bytes: &[u8]) {
    let Ok(value) = json::parse(bytes, Limits::DOCUMENT) else { return };
    let did = Did::parse("did:web:issuer.example").expect("a DID");
    if let Ok(document) = DidDocument::parse(&did, &value) {
        let method = DidUrl::parse("did:web:issuer.example#key-1").expect("a DID URL");
        let _ = document.key_for(&method, VerificationRelationship::AssertionMethod);
    }
    if let Ok(key) = PublicKey::from_jwk(&value) {
        assert_eq!(PublicKey::from_jwk(&Value::Object(key.to_jwk())).expect("its own form"), key);
    }
}

/// A did:webvh log, of the DID that it names, so that the checks after the SCID are reached as well.
pub(crate) fn did_log(bytes: &[u8]) {
    let own = || {
        let first = bytes.split(|byte| *byte == b'\n').next()?;
        let entry = json::parse_object(first, Limits::DOCUMENT).ok()?;
        Did::parse(entry.get("state")?.get("id")?.as_str()?).ok()
    };
    let Some(did) = own() else { return };
    let log = webvh::UnwitnessedLog::verify_entries(&did, bytes, NOW, 60)
        .and_then(|chain| chain.verify_witnesses(Some(b"[]"), NOW, 60));
    let Ok(log) = log else { return };
    assert_eq!(log.did(), &did);
    log.require_version(log.last_version_id().expect("an entry")).expect("it follows itself");
    if let Ok(document) = log.document() {
        assert_eq!(document.did(), &did);
        let _ = document.with_history();
    }
}

/// A DCQL query; a parsed one can be written and read again.
pub(crate) fn dcql(bytes: &[u8]) {
    let Ok(value) = json::parse(bytes, Limits::SMALL) else { return };
    if let Ok(query) = Query::parse(&value) {
        Query::parse(&query.to_json()).expect("what was written can be read");
        let _ = query.check_presented_ids(&[]);
    }
}

/// A document with Data Integrity proofs, as a credential and as a presentation; and the data model's rules.
pub(crate) fn data_integrity(bytes: &[u8]) {
    let Ok(document) = json::parse_object(bytes, Limits::DOCUMENT) else { return };
    for (purpose, party, binding) in [
        (VerificationRelationship::AssertionMethod, "issuer", None),
        (VerificationRelationship::Authentication, "holder", Some((NONCE, AUDIENCE))),
    ] {
        let controller = document.get(party).and_then(Value::as_str).unwrap_or_default();
        let expected = ProofRequirements { purpose, controller, binding, now: NOW, skew: 60 };
        if let Ok(verified) = data_integrity::verify(&document, &Cryptosuites::jcs(), &SelfContainedResolver, &expected)
        {
            assert!(!verified.contains_key("proof"));
        }
    }
    let _ = Presentation::parse(&document);
    let _ = Credential::parse(document);
}

/// Accepts every issuer and every type, so that all later refusals stay reachable.
struct Anything;

impl IssuerPolicy for Anything {
    fn check_issuer(&self, _: &VerifiedCredential) -> Result<(), Problem> {
        Ok(())
    }
}

impl TypeCatalogue for Anything {
    fn type_name(&self, _: &[&str], _: Option<&str>) -> Result<String, Problem> {
        Ok("Anything".to_owned())
    }
    fn check_schema(&self, _: &str, _: &Map<String, Value>) -> Result<(), Problem> {
        Ok(())
    }
}

/// The whole pipeline: the bytes as a credential that was handed over, and as the answer to a request.
pub(crate) fn credential(bytes: &[u8]) {
    let env = VerificationEnvironment {
        now: NOW,
        skew: 60,
        resolver: &SelfContainedResolver,
        suites: &Cryptosuites::jcs(),
        issuer_policy: &Anything,
        types: &Anything,
        status_policy: StatusPolicy::Lists {
            lists: &std::collections::HashMap::new(),
            max_staleness: 0,
            max_statement_age: 86_400,
        },
    };
    let (report, verified) = verify::verify_credential(bytes, &env);
    assert_eq!(report.first_failure().is_none(), verified.is_some(), "the report and the value agree");
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for format in ["vc+sd-jwt", "dc+sd-jwt", "di_vc+jcs"] {
        let meta = if format == "dc+sd-jwt" {
            json!({"vct_values": ["urn:carnet:type:anything:1"]})
        } else {
            json!({"type_values": [["Anything"]]})
        };
        let query = json!({"credentials": [{"id": "one", "format": format, "meta": meta}]});
        let query = Query::parse(&query).expect("a query");
        let asked = PresentationContext { query: &query, nonce: NONCE, audience: AUDIENCE, max_age: 600 };
        let answer = BTreeMap::from([("one".to_owned(), vec![text.to_owned()])]);
        let (report, verified) = verify::verify_presentation(&answer, &asked, &env);
        assert_eq!(report.first_failure().is_none(), verified.is_some(), "the report and the value agree");
    }
}

/// URL of the list of [`status_list_cwt`].
pub(crate) const LIST: &str = "https://issuer.example/status/token/0";

/// A status list token in CBOR, by the issuer that its `kid` names.
pub(crate) fn status_list_cwt(bytes: &[u8]) {
    let Ok(token) = cwt::CwtStatusList::parse(bytes) else { return };
    let Ok(kid) = DidUrl::parse(token.kid()) else { return };
    if let Ok(listed) =
        VerifiedStatusList::verify(bytes, LIST, kid.did(), (NOW, 60), (&SelfContainedResolver, &Cryptosuites::empty()))
    {
        assert_eq!(listed.signer(), kid.did());
    }
}
