use carnet_core::secure::jwe::encrypt;
use proptest::prelude::*;
use rand_core::OsRng;
use serde_json::json;

use super::*;

const LIMITS: Limits = Limits { max_bytes: 100_000, max_depth: 34 };

fn form(parameters: &[(&str, &str)]) -> Result<ResponseForm, Code> {
    let encode =
        |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
    let pairs: Vec<String> =
        parameters.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    ResponseForm::parse(pairs.join("&").as_bytes()).map_err(|problem| problem.code)
}

fn plain(vp_token: &Value) -> Result<Presentations, Code> {
    let response = AuthorizationResponse::from_plain(&vp_token.to_string(), None, LIMITS);
    response.map(|response| response.presentations).map_err(|problem| problem.code)
}

fn encrypted(content: &Value, key: &DecryptionKey) -> Result<AuthorizationResponse, Code> {
    let to = key.public();
    let token = encrypt(content.to_string().as_bytes(), &to, ContentEncryption::A128Gcm, &[], &mut OsRng).unwrap();
    AuthorizationResponse::from_encrypted(&token, key, LIMITS).map_err(|problem| problem.code)
}

#[test]
fn a_body_has_one_of_three_forms() {
    assert!(matches!(form(&[("vp_token", "{}"), ("state", "s"), ("unknown", "x")]),
        Ok(ResponseForm::Plain(token, Some(state))) if token.expose() == "{}" && state == "s"));
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
    let twice = AuthorizationResponse::from_plain(r#"{"a":["x"],"a":["y"]}"#, None, LIMITS);
    assert_eq!(twice.unwrap_err().code, Code::DuplicateKey);
}

#[test]
fn an_encrypted_response_comes_back() {
    let key = DecryptionKey::generate(&mut OsRng);
    let content = json!({"vp_token": {"a": ["x~y"]}, "state": "s", "unknown": 1});
    let read = encrypted(&content, &key).unwrap();
    assert_eq!((read.presentations["a"][0].as_str(), read.state.as_deref()), ("x~y", Some("s")));
    assert!(read.ephemeral.is_some() && !format!("{read:?}").contains("x~y"));
    assert_eq!(read.to_json().as_str(), r#"{"state":"s","vp_token":{"a":["x~y"]}}"#);
    for refused in [json!({}), json!({"vp_token": "x"}), json!({"vp_token": {}, "state": 7})] {
        assert_eq!(encrypted(&refused, &key).unwrap_err(), Code::TokenMalformed, "{refused}");
    }
    let other = DecryptionKey::generate(&mut OsRng);
    let token =
        encrypt(content.to_string().as_bytes(), &other.public(), ContentEncryption::A256Gcm, &[], &mut OsRng).unwrap();
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
        ephemeral: None,
    };
    assert!(with(Some("s")).require_state(Some("s")).is_ok());
    assert!(with(None).require_state(None).is_ok());
    for (stated, expected) in [(Some("t"), Some("s")), (None, Some("s")), (Some("s"), None), (Some(""), None)] {
        assert_eq!(with(stated).require_state(expected).unwrap_err().code, Code::NonceReplayed);
    }
}

#[test]
fn an_accepted_response_may_lead_back() {
    assert_eq!(Accepted::default().to_json(), "{}");
    let url = with_response_code("https://agency.example/done?a=1", "c-1").unwrap();
    assert_eq!(url, "https://agency.example/done?a=1#response_code=c-1");
    let accepted = Accepted { redirect_uri: Some(url.clone()), receipt: None };
    assert_eq!(accepted.to_json(), format!(r#"{{"redirect_uri":"{url}"}}"#));
    for refused in ["http://agency.example/", "https://agency.example/#f", "javascript:alert(1)", ""] {
        assert_eq!(with_response_code(refused, "c").unwrap_err().code, Code::RequestMalformed);
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
        let response = AuthorizationResponse { presentations: presentations.clone(), state: None, ephemeral: None };
        let read = AuthorizationResponse::from_plain(&response.vp_token().to_string(), None, LIMITS).unwrap();
        prop_assert_eq!(read.presentations, presentations);
    }
}
