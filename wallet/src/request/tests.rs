use std::sync::Arc;

use carnet_core::{
    did::{DidDocument, SelfContained},
    keys::{Algorithm, SecretKey, Signer},
    secure::jose,
};
use rand_core::OsRng;
use serde_json::json;

use super::*;

pub const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

/// Verifier with a did:jwk, the link to its request, and the request's payload.
pub struct Asker {
    pub key: SecretKey,
    pub pointer: Pointer,
    pub payload: Value,
}

impl Asker {
    pub fn new() -> Self {
        let key = SecretKey::generate(Algorithm::EdDsa, &mut OsRng);
        let did = Did::jwk(&key.public_key());
        let client_id = format!("{CLIENT_ID_PREFIX}{did}");
        let mut url = Url::parse("openid4vp://").unwrap();
        url.query_pairs_mut()
            .append_pair("client_id", &client_id)
            .append_pair("request_uri", "http://127.0.0.1:5000/requests/r1");
        let payload = json!({
            "client_id": client_id, "aud": AUDIENCE, "response_type": "vp_token", "response_mode": "direct_post",
            "response_uri": "http://127.0.0.1:5000/requests/r1/answer", "nonce": "n-0123456789",
            "iat": NOW.unix(), "exp": NOW.plus(300).unix(),
            "dcql_query": {"credentials": [{
                "id": "q", "format": "vc+sd-jwt", "meta": {"type_values": [["QualificationCredential"]]},
                "claims": [{"path": ["credentialSubject", "title"]}, {"path": ["credentialSubject", "eqfLevel"]}]
            }]},
            "carnet": {
                "verifier_name": "Job Agency\u{202e}\u{1b}[2J",
                "purpose": {"en": "To find you work.", "de": "Um Arbeit für Sie zu finden."},
                "legal_basis": {"en": "Article 6(1)(b) GDPR."}, "retention": {"en": "30 days."}
            }
        });
        Self { key, pointer: Pointer::parse(url.as_str()).unwrap(), payload }
    }

    pub fn sign(&self, header: Value) -> String {
        jose::sign(header.as_object().unwrap().clone(), self.payload.as_object().unwrap(), &self.key).unwrap()
    }

    pub fn header(&self) -> Value {
        json!({"typ": REQUEST_TYP, "kid": format!("{}#0", self.pointer.did)})
    }

    pub fn request(&self) -> Result<Request, Problem> {
        Request::verify(&self.sign(self.header()), &self.pointer, &SelfContained, NOW)
    }
}

/// Asserts that the change is refused, and the unchanged request accepted.
#[track_caller]
fn refused(code: Code, change: impl FnOnce(&mut Asker)) {
    let mut asker = Asker::new();
    assert!(asker.request().is_ok());
    change(&mut asker);
    assert_eq!(asker.request().unwrap_err().code, code);
}

fn without(name: &'static str) -> impl FnOnce(&mut Asker) {
    move |asker| {
        asker.payload.as_object_mut().unwrap().remove(name);
    }
}

#[test]
fn a_request_is_read_and_its_words_are_cleaned() {
    let request = Asker::new().request().unwrap();
    let german = Languages::preferring("de");
    assert_eq!(request.words("verifier_name", &german).unwrap(), "Job Agency[U+202E][U+001B][2J");
    assert_eq!(request.words("purpose", &german).unwrap(), "Um Arbeit für Sie zu finden.");
    assert_eq!(request.words("retention", &german).unwrap(), "30 days.");
    assert_eq!(request.words("template", &german), None);
}

#[test]
fn row_04_a_request_of_another_typ() {
    let asker = Asker::new();
    let verify = |header: Value| Request::verify(&asker.sign(header), &asker.pointer, &SelfContained, NOW);
    assert!(verify(asker.header()).is_ok());
    for typ in ["JWT", "kb+jwt", "vc+sd-jwt"] {
        let mut header = asker.header();
        header["typ"] = json!(typ);
        assert_eq!(verify(header).unwrap_err().code, Code::TokenType);
    }
}

#[test]
fn row_74_outer_client_id_differs_from_inner() {
    refused(Code::ClientIdMismatch, |asker| asker.pointer.client_id.push('x'));
    refused(Code::ClientIdMismatch, |asker| {
        let other = Asker::new().pointer;
        asker.pointer.client_id = other.client_id;
        asker.pointer.did = other.did;
    });
    // Without its prefix it is a different client id.
    refused(Code::ClientIdMismatch, |asker| asker.payload["client_id"] = json!(asker.pointer.did.as_str()));
}

#[test]
fn row_75_redirect_uri_with_direct_post() {
    refused(Code::RequestMalformed, |asker| asker.payload["redirect_uri"] = json!("https://asker.example/back"));
    refused(Code::ClaimMissing, without("response_uri"));
}

#[test]
fn row_76_unknown_transaction_data() {
    refused(Code::TransactionDataUnsupported, |asker| asker.payload["transaction_data"] = json!(["eyJ0eXBlIjoieCJ9"]));
    refused(Code::TransactionDataUnsupported, |asker| asker.payload["transaction_data"] = json!([]));
}

#[test]
fn a_request_signed_by_another() {
    let asker = Asker::new();
    let mut thief = Asker::new();
    thief.payload = asker.payload.clone();
    let verify = |token: String| Request::verify(&token, &asker.pointer, &SelfContained, NOW);
    assert!(verify(asker.sign(asker.header())).is_ok());
    // With the thief's own key id, and with that of the verifier.
    assert_eq!(verify(thief.sign(thief.header())).unwrap_err().code, Code::MethodOfOther);
    assert_eq!(verify(thief.sign(asker.header())).unwrap_err().code, Code::SignatureInvalid);
    assert_eq!(verify(asker.sign(json!({"typ": REQUEST_TYP}))).unwrap_err().code, Code::HeaderKeyAmbiguous);
}

#[test]
fn the_times_of_a_request_may_have_fractions() {
    let at = |iat: f64, exp: f64| {
        let mut asker = Asker::new();
        asker.payload["iat"] = json!(NOW.unix() as f64 + iat);
        asker.payload["exp"] = json!(NOW.unix() as f64 + exp);
        Request::verify(&asker.sign(asker.header()), &asker.pointer, &SelfContained, NOW)
            .map_err(|problem| problem.code)
    };
    let skew = CLOCK_SKEW as f64;
    assert!(at(-0.5, 300.25).is_ok() && at(skew + 0.5, 0.5 - skew).is_ok());
    assert_eq!(at(skew + 1.5, 300.0).err(), Some(Code::NotYetValid));
    assert_eq!(at(0.0, -0.5 - skew).err(), Some(Code::Expired));
}

#[test]
fn a_request_that_breaks_a_rule() {
    refused(Code::DomainMismatch, |asker| asker.payload["aud"] = json!("https://wallet.example"));
    refused(Code::Expired, |asker| asker.payload["exp"] = json!(NOW.unix() - CLOCK_SKEW - 1));
    refused(Code::MalformedValue, |asker| asker.payload["exp"] = json!("1900000000"));
    refused(Code::NotYetValid, |asker| asker.payload["iat"] = json!(NOW.unix() + CLOCK_SKEW + 1));
    refused(Code::RequestMalformed, |asker| asker.payload["response_mode"] = json!("fragment"));
    refused(Code::RequestMalformed, |asker| asker.payload["response_uri"] = json!("https://elsewhere.example/x"));
    refused(Code::RequestMalformed, |asker| asker.payload["response_uri"] = json!("http://elsewhere.example/x"));
    refused(Code::RequestMalformed, |asker| asker.payload["nonce"] = json!(""));
    refused(Code::QueryMalformed, |asker| asker.payload["dcql_query"] = json!({}));
    let bounds = |bounds: [i64; 2]| {
        let path = json!(["credentialSubject", "eqfLevel"]);
        let claims = ["a", "b"].into_iter().zip(bounds);
        let claims = claims.map(|(id, bound)| json!({"id": id, "path": path, "carnet_at_least": bound}));
        let claims: Vec<_> = claims.collect();
        move |asker: &mut Asker| {
            let credential = &mut asker.payload["dcql_query"]["credentials"][0];
            credential["claims"] = json!(claims);
            credential["claim_sets"] = json!([["a"], ["b"]]);
        }
    };
    refused(Code::QueryMalformed, bounds([7, 6]));
    let mut twin = Asker::new();
    bounds([6, 6])(&mut twin);
    assert!(twin.request().is_ok());
    for name in ["client_id", "aud", "exp", "response_type", "response_mode", "nonce", "dcql_query"] {
        refused(Code::ClaimMissing, without(name));
    }
}

#[test]
fn a_request_by_a_key_that_is_past_its_own_end() {
    /// The verifier's own DID document, with an end to its key.
    struct Until(DidDocument);
    impl Resolve for Until {
        fn resolve(&self, _: &Did) -> Result<Arc<DidDocument>, Problem> {
            Ok(Arc::new(self.0.clone()))
        }
    }
    let asker = Asker::new();
    let did = &asker.pointer.did;
    let verify = |end: Timestamp| {
        let mut document = DidDocument::render(did, &[("0".to_owned(), asker.key.public_key())]);
        document["verificationMethod"][0]["expires"] = json!(end.to_string());
        let resolver = Until(DidDocument::parse(did, &document).unwrap());
        Request::verify(&asker.sign(asker.header()), &asker.pointer, &resolver, NOW)
    };
    assert!(verify(NOW).is_ok());
    assert_eq!(verify(NOW.plus(-1)).unwrap_err().code, Code::KeyInvalid);
}

#[test]
fn links_that_are_no_requests() {
    let good = "openid4vp://?client_id=decentralized_identifier%3Adid%3Aweb%3Aa.example&request_uri=https%3A%2F%2Fa.example%2Frequests%2F1";
    let pointer = Pointer::parse(good).unwrap();
    assert_eq!((pointer.endpoint.as_str(), pointer.id.as_str()), ("https://a.example", "1"));
    for (from, to) in [
        ("openid4vp:", "https:"),
        ("decentralized_identifier%3A", ""),
        ("client_id", "client"),
        ("%2Frequests%2F1", "%2Fother%2F1"),
        ("%2Frequests%2F1", "%2Frequests%2F"),
        ("&request_uri", "&client_id=x&request_uri"),
    ] {
        assert_eq!(Pointer::parse(&good.replace(from, to)).unwrap_err().reason, "request_malformed", "{from}");
    }
    assert_eq!(Pointer::parse(&good.replace("https%", "http%")).unwrap_err().reason, "address_forbidden");
}

#[test]
fn an_age_of_statements_that_no_request_may_have() {
    for (age, wanted) in [(json!(43_200), 43_200), (json!(604_800), 604_800), (json!(86_400.0), 86_400)] {
        let mut asker = Asker::new();
        assert_eq!(asker.request().unwrap().freshness_seconds_max, None);
        asker.payload["carnet"]["freshness_seconds_max"] = age;
        assert_eq!(asker.request().unwrap().freshness_seconds_max, Some(wanted));
    }
    for age in [json!(43_199), json!(604_801), json!(0), json!(-1), json!("86400"), json!(86_400.5), json!(null)] {
        refused(Code::RequestMalformed, |asker| asker.payload["carnet"]["freshness_seconds_max"] = age);
    }
}
