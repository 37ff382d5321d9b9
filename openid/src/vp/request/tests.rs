use carnet_core::{format::CredentialFormat, secure::jwe::DecryptionKey};
use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);
const CLIENT_ID: &str = "decentralized_identifier:did:web:agency.example";
const RESPONSE: &str = "https://agency.example/openid/response/1";

fn query() -> Value {
    json!({"credentials": [{"id": "permit", "format": "dc+sd-jwt", "meta": {"vct_values": ["urn:example:permit"]}}]})
}

fn parameters(mode: ResponseMode) -> Map<String, Value> {
    let key = DecryptionKey::from_bytes(&[7; 32]).unwrap().public_key();
    let metadata =
        ClientMetadata::new(&[CredentialFormat::DcSdJwt], (mode == ResponseMode::DirectPostJwt).then_some(key));
    RequestParameters {
        client_id: CLIENT_ID,
        response_mode: mode,
        response_uri: RESPONSE,
        nonce: "n-0S6_WzA2Mj",
        state: Some("af0ifjsldkj"),
        query: &query(),
        client_metadata: Some(&metadata),
        verifier_info: Some(("di_vc+jcs", json!({"type": "x"}))),
        validity: (NOW, NOW.plus(300)),
        wallet_nonce: None,
    }
    .to_payload()
}

fn read_with(
    parameters: &Map<String, Value>,
    change: impl FnOnce(&mut RequestPolicy<'_>),
) -> Result<AuthorizationRequest, Code> {
    let request_uri = Url::parse("https://agency.example/openid/request/1").unwrap();
    let mut policy = RequestPolicy {
        client_id: CLIENT_ID,
        request_uri: Some(&request_uri),
        wallet_nonce: None,
        is_signed: true,
        allow_unsigned: false,
        transaction_types: &[],
    };
    change(&mut policy);
    AuthorizationRequest::parse(parameters, &policy, NOW).map_err(|problem| problem.code)
}

fn read(parameters: &Map<String, Value>) -> Result<AuthorizationRequest, Code> {
    read_with(parameters, |_| {})
}

/// Reads a request with one changed parameter; null removes it. The unchanged one is taken.
#[track_caller]
fn changed(name: &str, value: Value) -> Result<AuthorizationRequest, Code> {
    let mut parameters = parameters(ResponseMode::DirectPostJwt);
    assert!(read(&parameters).is_ok());
    if value.is_null() {
        _ = parameters.remove(name)
    } else {
        _ = parameters.insert(name.to_owned(), value)
    }
    read(&parameters)
}

#[test]
fn a_request_comes_back() {
    for mode in [ResponseMode::DirectPost, ResponseMode::DirectPostJwt] {
        let request = read(&parameters(mode)).unwrap();
        assert_eq!((request.response_mode, request.client_id.to_string().as_str()), (mode, CLIENT_ID));
        assert_eq!((request.nonce.as_str(), request.state.as_deref()), ("n-0S6_WzA2Mj", Some("af0ifjsldkj")));
        assert_eq!(request.response_uri.as_str(), RESPONSE);
        assert_eq!(request.expires_at, Some(NOW.plus(300)));
        assert_eq!(request.verifier_info.len(), 1);
        assert_eq!(request.client_metadata.unwrap().encryption.is_some(), mode == ResponseMode::DirectPostJwt);
    }
    assert!(changed("unknown", json!("ignored")).is_ok());
    assert!(changed("state", Value::Null).is_ok());
    assert!(changed("iat", Value::Null).is_ok());
}

#[test]
fn row_74_another_client_id_outside() {
    let parameters = parameters(ResponseMode::DirectPost);
    let outer = |client_id| read_with(&parameters, |policy| policy.client_id = client_id).map(|_| ());
    assert_eq!(outer(CLIENT_ID), Ok(()));
    assert_eq!(outer("decentralized_identifier:did:web:other.example"), Err(Code::ClientIdMismatch));
    assert_eq!(outer("did:web:agency.example"), Err(Code::ClientIdMismatch));
}

#[test]
fn row_75_redirect_uri_beside_direct_post() {
    assert_eq!(changed("redirect_uri", json!(RESPONSE)).unwrap_err(), Code::RequestMalformed);
}

#[test]
fn row_76_transaction_data_without_a_known_type() {
    // {"type":"t","credential_ids":["permit"]}
    let data = json!(["eyJ0eXBlIjoidCIsImNyZWRlbnRpYWxfaWRzIjpbInBlcm1pdCJdfQ"]);
    assert_eq!(changed("transaction_data", data.clone()).unwrap_err(), Code::TransactionDataUnsupported);
    let mut parameters = parameters(ResponseMode::DirectPost);
    parameters.insert("transaction_data".to_owned(), data);
    let known = read_with(&parameters, |policy| policy.transaction_types = &["t"]);
    assert_eq!(known.unwrap().transaction_data[0].data_type, "t");
}

#[test]
fn row_113_an_unsigned_request_with_a_prefix_that_is_signed() {
    let signed = parameters(ResponseMode::DirectPost);
    let unsigned = |policy: &mut RequestPolicy<'_>| (policy.is_signed, policy.allow_unsigned) = (false, true);
    assert_eq!(read_with(&signed, unsigned).unwrap_err(), Code::RequestMalformed);
    let own = format!("redirect_uri:{RESPONSE}");
    let mut plain = signed;
    plain.insert("client_id".to_owned(), own.as_str().into());
    let read = |allow_unsigned, is_signed| {
        let request = AuthorizationRequest::parse(
            &plain,
            &RequestPolicy {
                client_id: &own,
                request_uri: None,
                wallet_nonce: None,
                is_signed,
                allow_unsigned,
                transaction_types: &[],
            },
            NOW,
        );
        request.map(|_| ()).map_err(|problem| problem.code)
    };
    assert_eq!(read(true, false), Ok(()));
    assert_eq!(read(false, false), Err(Code::RequestMalformed), "not configured");
    assert_eq!(read(true, true), Err(Code::RequestMalformed), "never signed");
}

#[test]
fn row_115_a_response_uri_elsewhere() {
    for elsewhere in [
        "https://other.example/openid/response/1",
        "https://agency.example:8443/openid/response/1",
        "http://agency.example/openid/response/1",
        "https://agency.example@other.example/",
        "file:///tmp/response",
    ] {
        assert_eq!(changed("response_uri", json!(elsewhere)).unwrap_err(), Code::RequestMalformed, "{elsewhere}");
    }
    assert!(changed("response_uri", json!("https://agency.example/elsewhere")).is_ok());
    let own = format!("redirect_uri:{RESPONSE}");
    let mut plain = parameters(ResponseMode::DirectPost);
    plain.insert("client_id".to_owned(), own.as_str().into());
    plain.insert("response_uri".to_owned(), "https://agency.example/openid/response/2".into());
    let policy = RequestPolicy {
        client_id: &own,
        request_uri: None,
        wallet_nonce: None,
        is_signed: false,
        allow_unsigned: true,
        transaction_types: &[],
    };
    assert_eq!(AuthorizationRequest::parse(&plain, &policy, NOW).unwrap_err().code, Code::RequestMalformed);
}

#[test]
fn a_parameter_that_differs_is_refused() {
    for (name, value, code) in [
        ("aud", json!("https://wallet.example"), Code::DomainMismatch),
        ("aud", Value::Null, Code::ClaimMissing),
        ("exp", json!(NOW.unix() - 3_600), Code::Expired),
        ("exp", Value::Null, Code::ClaimMissing),
        ("exp", json!("tomorrow"), Code::MalformedValue),
        ("iat", json!(NOW.unix() + 3_600), Code::NotYetValid),
        ("response_type", json!("code"), Code::RequestMalformed),
        ("response_mode", json!("fragment"), Code::RequestMalformed),
        ("response_mode", json!("dc_api"), Code::RequestMalformed),
        ("nonce", json!(""), Code::RequestMalformed),
        ("nonce", json!("a b"), Code::RequestMalformed),
        ("nonce", json!("a".repeat(513)), Code::RequestMalformed),
        ("nonce", Value::Null, Code::ClaimMissing),
        ("state", json!("a b"), Code::RequestMalformed),
        ("state", json!(7), Code::RequestMalformed),
        ("scope", json!("diploma"), Code::RequestMalformed),
        ("presentation_definition", json!({}), Code::RequestMalformed),
        ("dcql_query", json!({}), Code::QueryMalformed),
        ("dcql_query", Value::Null, Code::ClaimMissing),
        ("client_metadata", json!({}), Code::RequestMalformed),
        ("client_metadata", Value::Null, Code::RequestMalformed),
        ("verifier_info", json!([]), Code::RequestMalformed),
        ("verifier_info", json!([{"format": "jwt"}]), Code::RequestMalformed),
        ("wallet_nonce", json!("w"), Code::NonceReplayed),
    ] {
        assert_eq!(changed(name, value.clone()).unwrap_err(), code, "{name} {value}");
    }
}

#[test]
fn a_posted_wallet_nonce_has_to_come_back() {
    let mut parameters = parameters(ResponseMode::DirectPost);
    let posted = |parameters: &_| read_with(parameters, |policy| policy.wallet_nonce = Some("w-1")).map(|_| ());
    assert_eq!(posted(&parameters), Err(Code::NonceReplayed));
    parameters.insert("wallet_nonce".to_owned(), "w-1".into());
    assert_eq!(posted(&parameters), Ok(()));
}

proptest! {
    #[test]
    fn any_nonce_is_taken_or_refused(nonce in ".{0,40}") {
        let mut parameters = parameters(ResponseMode::DirectPost);
        parameters.insert("nonce".to_owned(), nonce.as_str().into());
        let safe = !nonce.is_empty() && nonce.chars().all(|c| c.is_ascii_alphanumeric() || "-._~".contains(c));
        prop_assert_eq!(read(&parameters).is_ok(), safe);
    }

    #[test]
    fn a_changed_member_never_panics(index in 0_usize..13, value in prop_oneof![
        Just(json!(null)), Just(json!([])), Just(json!({})), Just(json!("")), Just(json!(-1)), Just(json!([{}]))
    ]) {
        let mut parameters = parameters(ResponseMode::DirectPostJwt);
        if let Some(name) = parameters.keys().nth(index).cloned() {
            parameters.insert(name, value);
        }
        let _ = read(&parameters);
    }
}
