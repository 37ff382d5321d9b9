use std::sync::Arc;

use carnet_core::{
    did::{DidDocument, SelfContainedResolver},
    format::CredentialFormat,
    keys::{SecretKey, SignatureAlgorithm, Signer},
    secure::{jose, jwe::DecryptionKey},
};
use carnet_openid::vp::{ResponseMode, client_metadata::ClientMetadata};
use rand_core::OsRng;
use serde_json::json;

use super::*;

pub const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

/// Verifier with a did:jwk, the link to its request, and the request's payload.
pub struct Asker {
    pub key: SecretKey,
    pub pointer: AuthorizationRequestLink,
    pub payload: Value,
}

impl Asker {
    pub fn new() -> Self {
        let key = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng);
        let did = Did::did_jwk(&key.public_key());
        let client_id = format!("{DID_CLIENT_ID_PREFIX}{did}");
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
        Self { key, pointer: AuthorizationRequestLink::parse(url.as_str()).unwrap(), payload }
    }

    pub fn sign(&self, header: Value) -> String {
        jose::sign(header.as_object().unwrap().clone(), self.payload.as_object().unwrap(), &self.key).unwrap()
    }

    pub fn header(&self) -> Value {
        json!({"typ": REQUEST_TYP, "kid": format!("{}#0", self.pointer.did)})
    }

    pub fn request(&self) -> Result<PresentationRequest, Problem> {
        PresentationRequest::verify(&self.sign(self.header()), &self.pointer, &SelfContainedResolver, NOW)
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
    assert_eq!(request.localized_text("verifier_name", &german).unwrap(), "Job Agency[U+202E][U+001B][2J");
    assert_eq!(request.localized_text("purpose", &german).unwrap(), "Um Arbeit für Sie zu finden.");
    assert_eq!(request.localized_text("retention", &german).unwrap(), "30 days.");
    assert_eq!(request.localized_text("template", &german), None);
}

#[test]
fn a_request_longer_than_the_limit() {
    let mut asker = Asker::new();
    // Three bytes are four characters.
    let padding = (MAX_REQUEST_BYTES - asker.sign(asker.header()).len()) / 4 * 3;
    for (padding, refused) in [(padding - 30, None), (padding + 30, Some(Code::TooLarge))] {
        asker.payload["padding"] = json!("x".repeat(padding));
        assert_eq!(asker.sign(asker.header()).len() > MAX_REQUEST_BYTES, refused.is_some());
        assert_eq!(asker.request().err().map(|problem| problem.code), refused);
    }
}

#[test]
fn row_04_a_request_of_another_typ() {
    let asker = Asker::new();
    let verify =
        |header: Value| PresentationRequest::verify(&asker.sign(header), &asker.pointer, &SelfContainedResolver, NOW);
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
    let verify = |token: String| PresentationRequest::verify(&token, &asker.pointer, &SelfContainedResolver, NOW);
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
        PresentationRequest::verify(&asker.sign(asker.header()), &asker.pointer, &SelfContainedResolver, NOW)
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
        let mut document = DidDocument::json_for_keys(did, &[("0".to_owned(), asker.key.public_key())]);
        document["verificationMethod"][0]["expires"] = json!(end.to_string());
        let resolver = Until(DidDocument::parse(did, &document).unwrap());
        PresentationRequest::verify(&asker.sign(asker.header()), &asker.pointer, &resolver, NOW)
    };
    assert!(verify(NOW.plus(1 - CLOCK_SKEW)).is_ok());
    assert_eq!(verify(NOW.plus(-CLOCK_SKEW)).unwrap_err().code, Code::KeyInvalid);
}

#[test]
fn links_that_are_no_requests() {
    let good = "openid4vp://?client_id=decentralized_identifier%3Adid%3Aweb%3Aa.example&request_uri=https%3A%2F%2Fa.example%2Frequests%2F1";
    let pointer = AuthorizationRequestLink::parse(good).unwrap();
    assert_eq!((pointer.endpoint.as_str(), pointer.request_id.as_str()), ("https://a.example", "1"));
    for (from, to) in [
        ("openid4vp:", "http:"),
        ("decentralized_identifier%3A", ""),
        ("client_id", "client"),
        ("%2Frequests%2F1", "%2Frequests%2F"),
        ("&request_uri", "&client_id=x&request_uri"),
    ] {
        assert_eq!(
            AuthorizationRequestLink::parse(&good.replace(from, to)).unwrap_err().reason,
            "request_malformed",
            "{from}"
        );
    }
    assert_eq!(
        AuthorizationRequestLink::parse(&good.replace("https%", "http%")).unwrap_err().reason,
        "address_forbidden"
    );
}

/// Request over OpenID, fetched by POST.
struct OpenIdAsker(Asker);

impl OpenIdAsker {
    fn new() -> Self {
        let mut asker = Asker::new();
        let mut url = Url::parse("openid4vp://").unwrap();
        url.query_pairs_mut()
            .append_pair("client_id", &asker.pointer.client_id)
            .append_pair("request_uri", "https://agency.example/request/1")
            .append_pair("request_uri_method", "post");
        asker.pointer = AuthorizationRequestLink::parse(url.as_str()).unwrap();
        let key = DecryptionKey::generate(&mut OsRng).public_key();
        let metadata = ClientMetadata::new(&[CredentialFormat::VcSdJwt], Some(key));
        asker.payload["client_metadata"] = metadata.to_json();
        asker.payload["response_mode"] = "direct_post.jwt".into();
        asker.payload["response_uri"] = "https://agency.example/response/1".into();
        asker.payload["wallet_nonce"] = asker.pointer.openid.as_ref().unwrap().wallet_nonce.clone().unwrap().into();
        Self(asker)
    }
}

/// Conditions of the OpenID Foundation's wallet modules; each change of a good request has its code.
#[test]
fn a_request_over_openid_is_verified_before_it_is_shown() {
    let good = OpenIdAsker::new().0;
    let read = good.request().unwrap();
    assert_eq!(read.openid.as_ref().unwrap().response_mode, ResponseMode::DirectPostJwt);
    assert_eq!(read.response_url(&good.pointer), "https://agency.example/response/1");
    assert_eq!(
        (good.pointer.protocol(), good.pointer.endpoint.as_str()),
        (ServiceProtocol::OpenId, "https://agency.example")
    );
    let refused = |code: Code, change: &dyn Fn(&mut Asker)| {
        let mut asker = OpenIdAsker::new().0;
        change(&mut asker);
        assert_eq!(asker.request().unwrap_err().code, code);
    };
    let set = |code: Code, name: &'static str, value: Value| {
        refused(code, &|asker| asker.payload[name] = value.clone());
    };
    // Outer client_id, audience, expiry, nonces.
    set(Code::ClientIdMismatch, "client_id", "decentralized_identifier:did:web:other.example".into());
    set(Code::DomainMismatch, "aud", "https://other.example".into());
    set(Code::Expired, "exp", NOW.plus(-301).unix().into());
    set(Code::NotYetValid, "iat", NOW.plus(3_600).unix().into());
    set(Code::NonceReplayed, "wallet_nonce", "another".into());
    set(Code::RequestMalformed, "nonce", "with space".into());
    for missing in ["aud", "exp", "nonce", "response_uri", "dcql_query"] {
        refused(Code::ClaimMissing, &|asker| _ = asker.payload.as_object_mut().unwrap().remove(missing));
    }
    refused(Code::NonceReplayed, &|asker| _ = asker.payload.as_object_mut().unwrap().remove("wallet_nonce"));
    // Transaction data of an unknown type, another query, another place to answer.
    set(Code::TransactionDataUnsupported, "transaction_data", json!(["e30"]));
    set(Code::RequestMalformed, "scope", "openid".into());
    set(Code::RequestMalformed, "presentation_definition", json!({}));
    set(Code::RequestMalformed, "response_mode", "fragment".into());
    set(Code::RequestMalformed, "response_uri", "https://other.example/response/1".into());
    set(Code::RequestMalformed, "response_uri", "http://agency.example/response/1".into());
    // A response that cannot be encrypted.
    set(Code::RequestMalformed, "client_metadata", json!({"vp_formats_supported": {}}));
    // typ, and a signature by another.
    let object =
        |header: Value| PresentationRequest::verify(&good.sign(header), &good.pointer, &SelfContainedResolver, NOW);
    let mut header = good.header();
    assert!(object(header.clone()).is_ok());
    header["typ"] = "JWT".into();
    assert_eq!(object(header).unwrap_err().code, Code::TokenType);
    let mut other = OpenIdAsker::new().0;
    other.key = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng);
    assert_eq!(other.request().unwrap_err().code, Code::SignatureInvalid);
}

#[test]
fn an_approval_is_for_a_request_whatever_the_nonce_of_its_fetch() {
    let mut asker = OpenIdAsker::new().0;
    let first = asker.request().unwrap().approval_text().unwrap();
    let source = asker.pointer.openid.as_mut().unwrap();
    source.wallet_nonce = Some("another".to_owned());
    asker.payload["wallet_nonce"] = "another".into();
    asker.payload["exp"] = NOW.plus(301).unix().into();
    assert_eq!(asker.request().unwrap().approval_text().unwrap(), first);
    asker.payload["nonce"] = "n-9876543210".into();
    assert_ne!(asker.request().unwrap().approval_text().unwrap(), first);
    let own = Asker::new().request().unwrap();
    assert_eq!(own.approval_text().unwrap(), own.request_object);
}

#[test]
fn links_over_openid() {
    let client_id = "client_id=decentralized_identifier%3Adid%3Aweb%3Aa.example";
    let by_get = format!("openid4vp://?{client_id}&request_uri=https%3A%2F%2Fa.example%2Fr");
    let pointer = AuthorizationRequestLink::parse(&by_get).unwrap();
    assert_eq!((pointer.protocol(), pointer.openid.unwrap().wallet_nonce), (ServiceProtocol::OpenId, None));
    let by_post = format!("{by_get}&request_uri_method=post");
    let nonce = |link: &str| AuthorizationRequestLink::parse(link).unwrap().openid.unwrap().wallet_nonce.unwrap();
    assert_ne!(nonce(&by_post), nonce(&by_post), "a nonce is for one request");
    let universal = by_get.replace("openid4vp://", "https://wallet.example/");
    assert_eq!(AuthorizationRequestLink::parse(&universal).unwrap().protocol(), ServiceProtocol::OpenId);
    let object = OpenIdAsker::new().0;
    let by_value =
        format!("openid4vp://?client_id={}&request={}", object.pointer.client_id, object.sign(object.header()));
    assert_eq!(AuthorizationRequestLink::parse(&by_value).unwrap().endpoint, "https://agency.example");
    for (bad, reason) in [
        (by_get.replace("decentralized_identifier", "x509_san_dns"), "request_malformed"),
        (
            by_get
                .replace("decentralized_identifier%3Adid%3Aweb%3Aa.example", "redirect_uri%3Ahttps%3A%2F%2Fa.example"),
            "request_malformed",
        ),
        (format!("{by_get}&request=a.b.c"), "request_malformed"),
        (format!("openid4vp://?{client_id}&response_uri=https%3A%2F%2Fa.example&nonce=n"), "request_malformed"),
        (format!("{by_get}&request_uri_method=put"), "request_malformed"),
    ] {
        assert_eq!(AuthorizationRequestLink::parse(&bad).unwrap_err().reason, reason, "{bad}");
    }
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
