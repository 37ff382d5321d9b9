use carnet_core::{format::CredentialFormat, secure::jwe::encrypt, time::Timestamp};
use proptest::prelude::*;
use rand_core::OsRng;
use serde_json::json;

use super::{
    super::{
        client_metadata::ClientMetadata,
        request::{RequestParameters, RequestPolicy},
    },
    *,
};

const LIMITS: Limits = Limits { max_bytes: 100_000, max_depth: 34 };

fn form(parameters: &[(&str, &str)]) -> Result<ResponseForm, Code> {
    let encode =
        |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
    let pairs: Vec<String> =
        parameters.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    ResponseForm::parse(pairs.join("&").as_bytes()).map_err(|problem| problem.code)
}

fn plain(vp_token: &Value) -> Result<Presentations, Code> {
    let response = AuthorizationResponse::from_vp_token(&vp_token.to_string(), None, LIMITS);
    response.map(|response| response.presentations).map_err(|problem| problem.code)
}

fn encrypted(content: &Value, key: &DecryptionKey) -> Result<AuthorizationResponse, Code> {
    let to = key.public_key();
    let token = encrypt(content.to_string().as_bytes(), &to, ContentEncryption::A128Gcm, &[], &mut OsRng).unwrap();
    AuthorizationResponse::from_encrypted(&token, key, LIMITS).map_err(|problem| problem.code)
}

#[test]
fn a_body_has_one_of_three_forms() {
    assert!(matches!(form(&[("vp_token", "{}"), ("state", "s"), ("unknown", "x")]),
        Ok(ResponseForm::Plain(token, Some(state), answered))
            if token.expose() == "{}" && state == "s" && answered == AnsweredObject::default()));
    assert!(matches!(form(&[("response", "a.b.c.d.e")]), Ok(ResponseForm::Encrypted(_))));
    assert!(matches!(
        form(&[("error", "access_denied"), ("error_description", "no")]),
        Ok(ResponseForm::Declined(WalletErrorCode::AccessDenied))
    ));
    for refused in [
        &[][..],
        &[("state", "s")],
        &[("vp_token", "")],
        &[("vp_token", "{}"), ("response", "a")],
        &[("vp_token", "{}"), ("error", "access_denied")],
        &[("error", "server_error")],
    ] {
        assert_eq!(form(refused).map(|_| ()), Err(Code::TokenMalformed), "{refused:?}");
    }
    assert_eq!(form(&[("vp_token", "{}"), ("vp_token", "{}")]).map(|_| ()), Err(Code::DuplicateKey));
}

#[test]
fn a_vp_token_is_an_object_of_lists() {
    let read = plain(&json!({"a": ["x~y", {"type": "T"}], "b": ["z"]})).unwrap();
    assert_eq!(read["a"], ["x~y", r#"{"type":"T"}"#]);
    assert_eq!(read["b"], ["z"]);
    assert_eq!(plain(&json!({})), Ok(Presentations::new()));
    for refused in
        [json!("x~y"), json!(["x"]), json!({"a": "x~y"}), json!({"a": []}), json!({"a": [7]}), json!({"a": [["x"]]})]
    {
        assert_eq!(plain(&refused), Err(Code::TokenMalformed), "{refused}");
    }
    let twice = AuthorizationResponse::from_vp_token(r#"{"a":["x"],"a":["y"]}"#, None, LIMITS);
    assert_eq!(twice.unwrap_err().code, Code::DuplicateKey);
}

#[test]
fn an_encrypted_response_comes_back() {
    let key = DecryptionKey::generate(&mut OsRng);
    let content = json!({"vp_token": {"a": ["x~y"]}, "state": "s", "unknown": 1});
    let read = encrypted(&content, &key).unwrap();
    assert_eq!((read.presentations["a"][0].as_str(), read.state.as_deref()), ("x~y", Some("s")));
    assert!(read.ephemeral_thumbprint.is_some() && !format!("{read:?}").contains("x~y"));
    assert_eq!(read.to_json().as_str(), r#"{"state":"s","vp_token":{"a":["x~y"]}}"#);
    for refused in [json!({}), json!({"vp_token": "x"}), json!({"vp_token": {}, "state": 7})] {
        assert_eq!(encrypted(&refused, &key).unwrap_err(), Code::TokenMalformed, "{refused}");
    }
    let other = DecryptionKey::generate(&mut OsRng);
    let token =
        encrypt(content.to_string().as_bytes(), &other.public_key(), ContentEncryption::A256Gcm, &[], &mut OsRng)
            .unwrap();
    assert_eq!(
        AuthorizationResponse::from_encrypted(&token, &key, LIMITS).unwrap_err().code,
        Code::HeaderKeyUnanchored
    );
}

#[test]
fn the_state_has_to_be_that_of_the_request() {
    let with = |state: Option<&str>| AuthorizationResponse {
        presentations: Presentations::new(),
        state: state.map(str::to_owned),
        ..AuthorizationResponse::default()
    };
    assert!(with(Some("s")).require_state(Some("s")).is_ok());
    assert!(with(None).require_state(None).is_ok());
    for (stated, expected) in [(Some("t"), Some("s")), (None, Some("s")), (Some("s"), None), (Some(""), None)] {
        assert_eq!(with(stated).require_state(expected).unwrap_err().code, Code::NonceReplayed);
    }
}

#[test]
fn a_response_is_written_as_its_request_demands() {
    let key = DecryptionKey::generate(&mut OsRng);
    let request = |mode: ResponseMode| {
        let metadata = ClientMetadata::new(&[CredentialFormat::DcSdJwt], Some(key.public_key()));
        let query = json!({"credentials": [{"id": "a", "format": "dc+sd-jwt", "meta": {"vct_values": ["v"]}}]});
        let now = Timestamp::from_unix(1_800_000_000);
        let parameters = RequestParameters {
            client_id: "redirect_uri:https://a.example/r",
            response_mode: mode,
            response_uri: "https://a.example/r",
            nonce: "n-1",
            state: Some("s"),
            query: &query,
            client_metadata: Some(&metadata),
            verifier_info: None,
            validity: (now, now.plus(60)),
            wallet_nonce: None,
        };
        let policy = RequestPolicy {
            client_id: parameters.client_id,
            request_uri: None,
            wallet_nonce: None,
            is_signed: false,
            allow_unsigned: true,
            transaction_types: &[],
        };
        AuthorizationRequest::parse(&parameters.to_payload(), &policy, now).unwrap()
    };
    let presentations = Presentations::from([("a".to_owned(), vec!["x~y".to_owned()])]);
    let answered = AnsweredObject { wallet_nonce: Some("w".to_owned()), signature: Some("g".to_owned()) };
    let state = Some("s".to_owned());
    let response = AuthorizationResponse { presentations, state, answered, ephemeral_thumbprint: None };
    let same =
        |read: &AuthorizationResponse| read.presentations == response.presentations && read.state == response.state;
    let form = response.to_form(&request(ResponseMode::DirectPost), &mut OsRng).unwrap();
    let ResponseForm::Plain(token, state, answered) = ResponseForm::parse(form.as_bytes()).unwrap() else { panic!() };
    assert!(same(&AuthorizationResponse::from_vp_token(token.expose(), state, LIMITS).unwrap()));
    assert_eq!(answered, response.answered);
    let form = response.to_form(&request(ResponseMode::DirectPostJwt), &mut OsRng).unwrap();
    let ResponseForm::Encrypted(token) = ResponseForm::parse(form.as_bytes()).unwrap() else { panic!() };
    let read = AuthorizationResponse::from_encrypted(token.expose(), &key, LIMITS).unwrap();
    assert!(same(&read) && read.answered == response.answered);
}

#[test]
fn an_accepted_response_may_lead_back() {
    assert_eq!(AcceptedResponse::default().to_json(), "{}");
    let url = append_response_code("https://agency.example/done?a=1", "c-1").unwrap();
    assert_eq!(url, "https://agency.example/done?a=1#response_code=c-1");
    let accepted = AcceptedResponse { redirect_uri: Some(url.clone()), receipt: None };
    assert_eq!(accepted.to_json(), format!(r#"{{"redirect_uri":"{url}"}}"#));
    assert_eq!(AcceptedResponse::parse(accepted.to_json().as_bytes()), Ok(accepted));
    assert_eq!(AcceptedResponse::parse(br#"{"unknown":1}"#), Ok(AcceptedResponse::default()));
    for odd in ["done", "javascript:alert(1)", "http://agency.example/", "https://agency.example/\\u001b[2J"] {
        let body = format!(r#"{{"redirect_uri":"{odd}","carnet_receipt":"r"}}"#);
        let kept = AcceptedResponse { redirect_uri: None, receipt: Some("r".to_owned()) };
        assert_eq!(AcceptedResponse::parse(body.as_bytes()), Ok(kept), "{odd}");
    }
    for bad in [r#"{"redirect_uri":1}"#, r#"{"carnet_receipt":{}}"#] {
        assert_eq!(AcceptedResponse::parse(bad.as_bytes()).unwrap_err().code, Code::TokenMalformed, "{bad}");
    }
    for refused in ["http://agency.example/", "https://agency.example/#f", "javascript:alert(1)", ""] {
        assert_eq!(append_response_code(refused, "c").unwrap_err().code, Code::RequestMalformed);
    }
}

proptest! {
    #[test]
    fn any_body_is_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = ResponseForm::parse(&body);
    }

    #[test]
    fn any_presentation_comes_back(id in "[A-Za-z0-9_-]{1,20}", text in "[A-Za-z0-9_.~-]{0,80}") {
        let presentations = Presentations::from([(id, vec![text])]);
        let response = AuthorizationResponse { presentations: presentations.clone(), ..AuthorizationResponse::default() };
        let read = AuthorizationResponse::from_vp_token(&response.vp_token().to_string(), None, LIMITS).unwrap();
        prop_assert_eq!(read.presentations, presentations);
    }
}
