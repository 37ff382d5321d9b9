//! The OpenID Foundation's conformance modules for verifiers of SD-JWT, by their conditions: one function a module, under
//! its name. A negative module passes only with a 4xx at `response_uri`; its twin is the same answer without the fault.

use std::collections::HashSet;

use carnet_core::{
    keys::{SecretKey, SignatureAlgorithm, Signer as _},
    secure::sd_jwt::SdJwt,
    time::Timestamp,
};
use carnet_proto::verifier::v1::{CreateRequestRequest, CustomQuery, create_request_request::What};
use carnet_tests::{
    Result,
    visitor::{self, Asked, now, with_bearer},
};
use rand_core::OsRng;
use serde_json::{Value, json};

use super::{Scene, one, wallet::Request};

const YEAR: i64 = 365 * 86_400;

#[tokio::test(flavor = "multi_thread")]
async fn verifier_modules_for_sd_jwt() -> Result<()> {
    let scene = Scene::set().await?;
    happy_flow(&scene).await?;
    minimal_cnf_jwk(&scene).await?;
    request_uri_method_post(&scene).await?;
    request_uri_fetched_twice(&scene).await?;
    invalid_credential_signature(&scene).await?;
    invalid_kb_jwt_signature(&scene).await?;
    invalid_kb_jwt_aud(&scene).await?;
    invalid_kb_jwt_nonce(&scene).await?;
    invalid_sd_hash(&scene).await?;
    kb_jwt_iat_in_past(&scene).await?;
    kb_jwt_iat_in_future(&scene).await
}

/// Presents in both formats with and without a fault.
async fn refused(scene: &Scene, fault: impl Fn(&str, &Asked, &SecretKey) -> Result<String>) -> Result<()> {
    for (query_id, copy) in [("residence", &scene.vc), ("residence-dc", &scene.dc)] {
        let request = scene.request().await?;
        let asked = request.asked(query_id)?;
        let shown = SdJwt::parse(&copy.credential)?.select_claims(&asked.paths)?.to_string();
        let answer = request.submit(&one(query_id, fault(&shown, &asked, &copy.key)?)).await?;
        assert!((400..500).contains(&answer.status), "{answer:?}");
        let honest = visitor::bind_with(&shown, &asked, now(), &copy.key)?;
        assert_eq!(request.submit(&one(query_id, honest)).await?.status, 200, "the twin");
    }
    Ok(())
}

/// Replaces the signature of the issuer by another text of its length.
pub(crate) fn with_broken_signature(shown: &str) -> Result<String> {
    let (jwt, disclosures) = shown.split_once('~').ok_or("no SD-JWT")?;
    let (signed, signature) = jwt.rsplit_once('.').ok_or("no JWS")?;
    let first = if signature.starts_with('A') { "B" } else { "A" };
    Ok(format!("{signed}.{first}{}~{disclosures}", signature.get(1..).unwrap_or_default()))
}

async fn happy_flow(scene: &Scene) -> Result<()> {
    // The type of the EU's person identification data can be asked for, exactly one credential.
    let dcql = json!({"credentials": [{
        "id": "pid", "format": "dc+sd-jwt", "meta": {"vct_values": ["urn:eudi:pid:1"]}, "claims": [{"path": ["family_name"]}]
    }]});
    let english = |text: &str| std::collections::HashMap::from([("en".to_owned(), text.to_owned())]);
    let query = CustomQuery {
        dcql_query: Some(structure(&dcql)),
        purpose: english("To open an account."),
        legal_basis: english("Article 6(1)(b) GDPR."),
        retention: english("30 days."),
        allow_unknown: true,
        ..CustomQuery::default()
    };
    let create = CreateRequestRequest { request_id: String::new(), what: Some(What::Query(query)), ttl_seconds: 0 };
    let made = scene.staff.clone().create_request(with_bearer(create, &scene.token)?).await?.into_inner();
    let pid = Request::fetch(&made.openid_request_uri).await?;
    assert_eq!(pid.payload["dcql_query"]["credentials"].as_array().map(Vec::len), Some(1));
    assert_eq!(pid.payload["dcql_query"]["credentials"][0]["meta"]["vct_values"], json!(["urn:eudi:pid:1"]));

    let (mut nonces, mut keys) = (HashSet::new(), HashSet::new());
    for query_id in ["residence", "residence-dc"] {
        let request = scene.request().await?;
        assert_eq!(request.header["typ"], "oauth-authz-req+jwt");
        assert_eq!(request.text("aud"), "https://self-issued.me/v2");
        assert_eq!((request.text("response_type"), request.text("response_mode")), ("vp_token", "direct_post.jwt"));
        let now = now();
        assert!(request.payload["exp"].as_i64().is_some_and(|exp| exp > now.unix()));
        for absent in ["scope", "presentation_definition", "redirect_uri", "transaction_data"] {
            assert!(request.payload.get(absent).is_none(), "{absent}");
        }
        // 43 characters of base64url are 256 bits.
        assert!(request.text("nonce").len() >= 43);
        assert!(nonces.insert(request.text("nonce").to_owned()));
        let jwks = request.payload.pointer("/client_metadata/jwks/keys").and_then(Value::as_array).ok_or("no keys")?;
        assert_eq!(jwks.len(), 1);
        assert_eq!(
            (&jwks[0]["use"], &jwks[0]["alg"], &jwks[0]["crv"]),
            (&json!("enc"), &json!("ECDH-ES"), &json!("P-256"))
        );
        assert!(jwks[0].get("d").is_none() && jwks[0]["kid"].is_string());
        assert!(keys.insert(jwks[0]["x"].to_string()), "a fresh key for each request");
        assert!(!request.text("client_id").contains(jwks[0]["x"].as_str().unwrap_or("-")), "no key for two purposes");
        let supported = &request.payload["client_metadata"]["vp_formats_supported"]["dc+sd-jwt"];
        assert!(supported["sd-jwt_alg_values"].is_array() && supported["kb-jwt_alg_values"].is_array());
        let copy = if query_id == "residence" { &scene.vc } else { &scene.dc };
        let answer = request.submit(&one(query_id, visitor::present(copy, &request.asked(query_id)?, now)?)).await?;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.head.contains("content-type: application/json"), "{}", answer.head);
    }
    Ok(())
}

async fn minimal_cnf_jwk(scene: &Scene) -> Result<()> {
    let payload = SdJwt::parse(&scene.dc.credential)?.resolve_disclosures()?.payload;
    let jwk = payload.get("cnf").and_then(|cnf| cnf.get("jwk")?.as_object()).ok_or("no cnf.jwk")?;
    assert_eq!(*jwk, scene.dc.key.public_key().to_jwk(), "only the members that make up the key");
    let request = scene.request().await?;
    let honest = visitor::present(&scene.dc, &request.asked("residence-dc")?, now())?;
    assert_eq!(request.submit(&one("residence-dc", honest)).await?.status, 200);
    Ok(())
}

async fn request_uri_method_post(scene: &Scene) -> Result<()> {
    let made = scene.create(0).await?;
    assert!(made.openid_request_uri.contains("request_uri_method=post"));
    let request = Request::post(&made.openid_request_uri, "wallet-nonce-0123456789").await?;
    assert_eq!(request.text("wallet_nonce"), "wallet-nonce-0123456789");
    let other = Request::post(&made.openid_request_uri, "another-nonce").await?;
    assert_eq!(other.text("wallet_nonce"), "another-nonce");
    assert_eq!(Request::fetch(&made.openid_request_uri).await?.payload.get("wallet_nonce"), None);
    let url = super::wallet::parameter(&made.openid_request_uri, "request_uri")?;
    for malformed in ["wallet_nonce=a%20b", "wallet_nonce=a&wallet_nonce=b"] {
        assert_eq!(super::wallet::send("POST", &url, super::wallet::FORM, malformed).await?.status, 400);
    }
    let honest = visitor::present(&scene.dc, &request.asked("residence-dc")?, now())?;
    assert_eq!(request.submit(&one("residence-dc", honest)).await?.status, 200);
    Ok(())
}

async fn request_uri_fetched_twice(scene: &Scene) -> Result<()> {
    let made = scene.create(0).await?;
    let url = super::wallet::parameter(&made.openid_request_uri, "request_uri")?;
    let first = super::wallet::send("GET", &url, "", "").await?;
    assert_eq!(first.body, super::wallet::send("GET", &url, "", "").await?.body, "signed once");
    let first = Request::fetch(&made.openid_request_uri).await?;
    // Objects for a wallet's nonce have an end.
    let by_post = async |nonce: &str| {
        let body = super::wallet::form(&[("wallet_nonce", nonce)]);
        super::wallet::send("POST", &url, super::wallet::FORM, &body).await
    };
    for number in 0..32 {
        assert_eq!(by_post(&format!("nonce-{number}")).await?.status, 200);
    }
    let refused = by_post("one-more").await?;
    assert_eq!((refused.status, refused.refusal().as_deref()), (400, Some("request_objects_exhausted")));
    let second = Request::fetch(&made.openid_request_uri).await?;
    assert_eq!(first.payload, second.payload);
    let honest = visitor::present(&scene.vc, &first.asked("residence")?, now())?;
    assert_eq!(second.submit(&one("residence", honest)).await?.status, 200);
    Ok(())
}

async fn invalid_credential_signature(scene: &Scene) -> Result<()> {
    refused(scene, |shown, asked, key| visitor::bind_with(&with_broken_signature(shown)?, asked, now(), key)).await
}

async fn invalid_kb_jwt_signature(scene: &Scene) -> Result<()> {
    refused(scene, |shown, asked, _| {
        visitor::bind_with(shown, asked, now(), &SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng))
    })
    .await
}

async fn invalid_kb_jwt_aud(scene: &Scene) -> Result<()> {
    refused(scene, |shown, asked, key| {
        let asked = Asked { audience: format!("{}x", asked.audience), ..asked.clone() };
        visitor::bind_with(shown, &asked, now(), key)
    })
    .await
}

async fn invalid_kb_jwt_nonce(scene: &Scene) -> Result<()> {
    refused(scene, |shown, asked, key| {
        let asked = Asked { nonce: format!("{}x", asked.nonce), ..asked.clone() };
        visitor::bind_with(shown, &asked, now(), key)
    })
    .await
}

async fn invalid_sd_hash(scene: &Scene) -> Result<()> {
    refused(scene, |shown, asked, key| {
        let bound = visitor::bind_with(&format!("{shown}x"), asked, now(), key)?;
        let (_, binding) = bound.rsplit_once('x').ok_or("no binding")?;
        // The binding may have an x itself: it starts after the text that was bound.
        let binding = bound.strip_prefix(&format!("{shown}x")).unwrap_or(binding);
        Ok(format!("{shown}{binding}"))
    })
    .await
}

async fn kb_jwt_iat_in_past(scene: &Scene) -> Result<()> {
    at(scene, -YEAR).await
}

async fn kb_jwt_iat_in_future(scene: &Scene) -> Result<()> {
    at(scene, YEAR).await
}

async fn at(scene: &Scene, away: i64) -> Result<()> {
    let then: Timestamp = now().plus(away);
    refused(scene, move |shown, asked, key| visitor::bind_with(shown, asked, then, key)).await
}

/// A JSON object as gRPC carries it.
pub(crate) fn structure(value: &Value) -> prost_types::Struct {
    let fields = value.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), wire(value)));
    prost_types::Struct { fields: fields.collect() }
}

fn wire(value: &Value) -> prost_types::Value {
    use prost_types::value::Kind;
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(flag) => Kind::BoolValue(*flag),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(items) => Kind::ListValue(prost_types::ListValue { values: items.iter().map(wire).collect() }),
        Value::Object(_) => Kind::StructValue(structure(value)),
    };
    prost_types::Value { kind: Some(kind) }
}
