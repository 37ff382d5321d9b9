//! Conditions of the OpenID Foundation's wallet modules for requests by `request_uri` and `direct_post.jwt`, under the
//! names of docs/conformance.md. A negative one has its twin: the same request without the fault, which is answered.

use carnet_core::secure::jwe::DecryptionKey;
use carnet_tests::{
    Result,
    stage::{Stage, residence_permit},
    stranger::Stranger,
};
use rand_core::OsRng;
use serde_json::{Value, json};

use crate::{PERMIT, carnet, present_to_stranger, reason};

/// Answer of a verifier that says nothing besides.
const OK: (u16, &str) = (200, "{}");

/// Query for the permit with these claims, and further members.
fn asks(claims: Value, more: Value) -> Value {
    let mut one = json!({
        "id": "residence", "format": "vc+sd-jwt", "meta": {"type_values": [[PERMIT]]}, "claims": claims,
    });
    for (name, value) in more.as_object().unwrap() {
        one[name] = value.clone();
    }
    json!({"credentials": [one]})
}

fn right_to_work() -> Value {
    asks(json!([{"path": ["credentialSubject", "rightToWork"]}]), json!({}))
}

/// A wallet with one permit.
async fn scene() -> Result<Stage> {
    let stage = Stage::set(false).await?;
    stage.make_wallet()?;
    let offered = stage.offer(&stage.authority, PERMIT, &residence_permit(), &[])?;
    stage.carnet(&["receive", &offered.uri, "--yes"])?.ok()?;
    Ok(stage)
}

/// Reason for which the wallet refuses a request before anything is shown; it sends nothing.
async fn refusal(
    stage: &Stage,
    query: Value,
    change: impl Fn(&mut Value, &mut Value) + Send + Sync + 'static,
) -> Result<String> {
    let stranger = Stranger::open(query, OK, change).await?;
    let said = carnet(stage, &["present", &stranger.link()])?;
    assert_eq!(stranger.vp_token(), None);
    reason(&said)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_request_is_refused_and_its_twin_is_answered() -> Result<()> {
    let stage = scene().await?;
    let set =
        |name: &'static str, value: Value| move |_: &mut Value, payload: &mut Value| payload[name] = value.clone();
    for (module, name, value, code) in [
        ("RequestObjectExpired", "exp", json!(1_700_000_000), "expired"),
        ("RequestObjectWrongAud", "aud", json!("https://wallet.example"), "domain_mismatch"),
        ("UnknownTransactionDataType", "transaction_data", json!(["eyJ0eXBlIjoieCJ9"]), "transaction_data_unsupported"),
        ("WrongWalletNonce", "wallet_nonce", json!("another"), "nonce_replayed"),
        ("ResponseUriElsewhere", "response_uri", json!("https://elsewhere.example/response"), "request_malformed"),
        ("InnerClientId", "client_id", json!("decentralized_identifier:did:web:a.example"), "client_id_mismatch"),
        ("OtherResponseMode", "response_mode", json!("query"), "request_malformed"),
    ] {
        assert_eq!(refusal(&stage, right_to_work(), set(name, value)).await?, code, "{module}");
    }
    let typ = |header: &mut Value, _: &mut Value| header["typ"] = "JWT".into();
    assert_eq!(refusal(&stage, right_to_work(), typ).await?, "token_type", "RequestObjectWrongTyp");
    let forged = |header: &mut Value, _: &mut Value| header["by_another"] = true.into();
    assert_eq!(refusal(&stage, right_to_work(), forged).await?, "signature_invalid", "RequestObjectInvalidSignature");

    // The twin: nothing is wrong. A verifier of another house gives no receipt, and the log says so.
    let stranger =
        Stranger::open(right_to_work(), (200, r#"{"redirect_uri":"https://asker.example/done"}"#), |_, _| ()).await?;
    // WrongOuterClientId
    let other = stranger.link_of("decentralized_identifier:did:jwk:eyJrdHkiOiJPS1AiLCJjcnYiOiJFZDI1NTE5IiwieCI6IjExcVlBWUt4Q3JmVlNfN1R5V1FIT2c3aGN2UGFwaU1scndJYWFQY0hVUm8ifQ");
    assert_eq!(reason(&carnet(&stage, &["present", &other])?)?, "client_id_mismatch");
    let answer = present_to_stranger(&stage, &stranger.link())?.ok()?.json()?;
    assert_eq!((&answer["accepted"], &answer["receipt"]["state"]), (&true.into(), &"missing".into()), "{answer}");
    assert_eq!(answer["return_url"], "https://asker.example/done");
    let token = stranger.vp_token().unwrap();
    assert_eq!(token["residence"].as_array().map(Vec::len), Some(1), "{token}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_by_a_stranger_has_its_code() -> Result<()> {
    let stage = scene().await?;
    let refused = (400, r#"{"error":"invalid_request","error_description":"not of interest"}"#);
    let stranger = Stranger::open(right_to_work(), refused, |_, _| ()).await?;
    let said = present_to_stranger(&stage, &stranger.link())?;
    assert_ne!(said.code, 0);
    assert_eq!(reason(&said)?, "invalid_request");
    // A failure of the service is none of the answer's, and another try may help.
    let stranger = Stranger::open(right_to_work(), (503, ""), |_, _| ()).await?;
    assert_eq!(reason(&present_to_stranger(&stage, &stranger.link())?)?, "unavailable");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unusable_encryption_key_is_ignored_and_another_taken() -> Result<()> {
    let stage = scene().await?;
    let zero = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let unusable =
        json!({"kty": "EC", "crv": "P-256", "x": zero, "y": zero, "kid": "z", "alg": "ECDH-ES", "use": "enc"});
    let first = unusable.clone();
    let add = move |_: &mut Value, payload: &mut Value| {
        let good = payload["client_metadata"]["jwks"]["keys"][0].clone();
        payload["client_metadata"]["jwks"]["keys"] = json!([first, good]);
    };
    let stranger = Stranger::open(right_to_work(), OK, add).await?;
    present_to_stranger(&stage, &stranger.link())?.ok()?;
    assert!(stranger.vp_token().is_some());
    let only = move |_: &mut Value, payload: &mut Value| {
        payload["client_metadata"]["jwks"]["keys"] = json!([unusable]);
    };
    assert_eq!(refusal(&stage, right_to_work(), only).await?, "key_invalid");
    // A private key in the metadata is nobody's to use.
    let private = DecryptionKey::generate(&mut OsRng);
    let mut jwk = Value::Object(private.public_key().to_jwk());
    jwk["d"] = zero.into();
    let leak = move |_: &mut Value, payload: &mut Value| payload["client_metadata"]["jwks"]["keys"] = json!([jwk]);
    assert_eq!(refusal(&stage, right_to_work(), leak).await?, "private_key_exposed");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_are_answered_as_dcql_says() -> Result<()> {
    let stage = scene().await?;
    let claim = |id: &str, name: &str| json!({"id": id, "path": ["credentialSubject", name]});
    let answered = async |query: Value| -> Result<(Value, Value)> {
        let stranger = Stranger::open(query, OK, |_, _| ()).await?;
        let answer = present_to_stranger(&stage, &stranger.link())?.ok()?.json()?;
        Ok((answer, stranger.vp_token().unwrap()))
    };
    // ClaimSetsInOrderOfPreference: the first set that the credential can answer.
    let sets = asks(
        json!([claim("a", "nobodysClaim"), claim("b", "rightToWork"), claim("c", "validUntil")]),
        json!({"claim_sets": [["a"], ["b"], ["c"]]}),
    );
    let (answer, _) = answered(sets).await?;
    assert_eq!(answer["shown"][0]["paths"], json!(["credentialSubject.rightToWork"]), "{answer}");
    // CredentialSetsRequired and CredentialSetsOptional
    let mut both = right_to_work();
    let mut foreign = both["credentials"][0].clone();
    (foreign["id"], foreign["meta"]) = (json!("foreign"), json!({"type_values": [["NobodysCredential"]]}));
    both["credentials"].as_array_mut().unwrap().push(foreign);
    both["credential_sets"] =
        json!([{"options": [["foreign"], ["residence"]]}, {"options": [["foreign"]], "required": false}]);
    let (_, token) = answered(both.clone()).await?;
    assert_eq!(token.as_object().unwrap().keys().collect::<Vec<_>>(), ["residence"]);
    both["credential_sets"] = json!([{"options": [["foreign"]]}]);
    assert_eq!(refusal(&stage, both, |_, _| ()).await?, "query_unmet");
    // ValuesThatDoNotMatch, and the twin that does.
    let value =
        |value: bool| asks(json!([{"path": ["credentialSubject", "rightToWork"], "values": [value]}]), json!({}));
    assert_eq!(refusal(&stage, value(false), |_, _| ()).await?, "query_unmet");
    answered(value(true)).await?;
    // TrustedAuthoritiesUnmet
    let authorities = json!({"trusted_authorities": [{"type": "aki", "values": ["s9tIpPmhxdiuNkHMEWNpYim8S8Y"]}]});
    let claims = json!([{"path": ["credentialSubject", "rightToWork"]}]);
    assert_eq!(refusal(&stage, asks(claims.clone(), authorities), |_, _| ()).await?, "query_unmet");
    // Multiple
    let (_, token) = answered(asks(claims, json!({"multiple": true}))).await?;
    assert!(token["residence"].as_array().is_some_and(|all| !all.is_empty()), "{token}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_nobody_signed_is_refused() -> Result<()> {
    let stage = scene().await?;
    let stranger = Stranger::open(right_to_work(), OK, |_, _| ()).await?;
    for link in [
        stranger.link_of("redirect_uri:https://asker.example/response"),
        stranger.link_of("x509_san_dns:asker.example"),
        "openid4vp://?client_id=redirect_uri%3Ahttps%3A%2F%2Fasker.example%2Fr&response_uri=https%3A%2F%2Fasker.example%2Fr&nonce=n&response_mode=direct_post&response_type=vp_token".to_owned(),
    ] {
        assert_eq!(reason(&carnet(&stage, &["present", &link])?)?, "request_malformed", "{link}");
    }
    assert_eq!(stranger.vp_token(), None);
    // A private address has to be allowed.
    assert_eq!(reason(&stage.carnet(&["present", &stranger.link()])?)?, "address_forbidden");
    present_to_stranger(&stage, &stranger.link())?.ok()?;
    Ok(())
}
