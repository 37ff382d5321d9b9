//! Rows of the table of refused inputs (spec/refusals.md) through both doors, each beside its twin.

use std::collections::HashMap;

use carnet_core::{
    did::Did,
    keys::{SecretKey, SignatureAlgorithm, Signer as _},
    presentation,
    secure::sd_jwt::SdJwt,
};
use carnet_proto::verifier::v1::{
    CreateRequestRequest, CreateRequestResponse, CustomQuery, create_request_request::What,
};
use carnet_tests::{
    Result,
    visitor::{self, Asked, Copy, now, with_bearer},
};
use rand_core::OsRng;
use serde_json::{Value, json};

use super::{PERMIT, Scene, VpToken, collect, modules::structure, one, table::by_grpc, wallet::Request};

#[tokio::test(flavor = "multi_thread")]
async fn row_42_43_a_nonce_that_was_used_or_is_another_requests() -> Result<()> {
    let scene = Scene::set().await?;
    for grpc in [true, false] {
        let (first, second) = (scene.create(0).await?, scene.create(0).await?);
        let answered = Request::fetch(&first.openid_request_uri).await?;
        let open = Request::fetch(&second.openid_request_uri).await?;
        let own = answered.asked("residence")?;
        let honest = one("residence", visitor::present(&scene.vc, &own, now())?);
        let submit = async |id: &str, request: &Request, vp_token: &VpToken| -> Result<Option<String>> {
            if grpc { by_grpc(&scene, id, vp_token).await } else { Ok(request.submit(vp_token).await?.refusal()) }
        };
        // Row 43: bound to the nonce of another session, before that is answered and after.
        assert_eq!(submit(&second.id, &open, &honest).await?.as_deref(), Some("challenge_mismatch"));
        assert_eq!(submit(&first.id, &answered, &honest).await?, None, "the twin");
        assert_eq!(submit(&second.id, &open, &honest).await?.as_deref(), Some("challenge_mismatch"));
        // Row 42: the same once more.
        assert_eq!(submit(&first.id, &answered, &honest).await?.as_deref(), Some("nonce_replayed"));
        let twin = one("residence", visitor::present(&scene.vc, &open.asked("residence")?, now())?);
        assert_eq!(submit(&second.id, &open, &twin).await?, None, "the twin");
    }
    Ok(())
}

/// A request for a permit with a Data Integrity proof.
async fn request_document(scene: &Scene) -> Result<CreateRequestResponse> {
    let dcql = json!({"credentials": [{
        "id": "residence", "format": "di_vc+jcs", "meta": {"type_values": [[PERMIT]]},
        "claims": [{"path": ["credentialSubject", "rightToWork"]}]
    }]});
    let english = |text: &str| HashMap::from([("en".to_owned(), text.to_owned())]);
    let query = CustomQuery {
        dcql_query: Some(structure(&dcql)),
        purpose: english("To employ you."),
        legal_basis: english("Article 6(1)(b) GDPR."),
        retention: english("30 days."),
        ..CustomQuery::default()
    };
    let create = CreateRequestRequest { request_id: String::new(), what: Some(What::Query(query)), ttl_seconds: 0 };
    Ok(scene.staff.clone().create_request(with_bearer(create, &scene.token)?).await?.into_inner())
}

/// Makes a presentation of a document by a holder's key.
fn present_document(credential: &Value, key: &SecretKey, asked: &Asked) -> Result<String> {
    let holder = Did::did_jwk(&key.public_key());
    let method = format!("{}#0", holder.as_str());
    let credentials = std::slice::from_ref(credential);
    let audience = &asked.audience;
    Ok(presentation::create_data_integrity_presentation(
        credentials,
        holder.as_str(),
        &method,
        &asked.nonce,
        audience,
        now(),
        key,
    )?)
}

#[tokio::test(flavor = "multi_thread")]
async fn row_40_41_a_holder_who_is_not_the_subject_and_a_string_for_a_credential() -> Result<()> {
    let scene = Scene::set().await?;
    let Copy { credential, key } = collect(&scene.stage, "di_vc+jcs").await?;
    let document: Value = serde_json::from_str(&credential)?;
    let thief = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng);
    for grpc in [true, false] {
        let made = request_document(&scene).await?;
        let request = Request::fetch(&made.openid_request_uri).await?;
        let asked = request.asked("residence")?;
        for (name, credential, key, reason) in [
            ("row 40: another holder", &document, &thief, Some("holder_mismatch")),
            ("row 41: a string", &Value::String(credential.clone()), &key, Some("malformed_value")),
            ("the twin", &document, &key, None),
        ] {
            let vp_token = one("residence", present_document(credential, key, &asked)?);
            let refusal = if grpc {
                by_grpc(&scene, &made.id, &vp_token).await?
            } else {
                request.submit(&vp_token).await?.refusal()
            };
            assert_eq!(refusal.as_deref(), reason, "{name}, by gRPC: {grpc}");
        }
    }
    Ok(())
}

/// Row 73: a URL in a request leads nowhere. The listener is where they point to.
#[tokio::test(flavor = "multi_thread")]
async fn row_73_no_url_of_a_wallet_is_fetched() -> Result<()> {
    let scene = Scene::set().await?;
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let inside = format!("http://{}", listener.local_addr()?);
    let did = format!("did:web:127.0.0.1%3A{}", listener.local_addr()?.port());
    let made = scene.create(0).await?;
    let metadata = json!({"jwks_uri": inside, "logo_uri": inside}).to_string();
    let body = super::wallet::form(&[("wallet_nonce", "a-nonce"), ("wallet_metadata", &metadata)]);
    let url = super::wallet::parameter(&made.openid_request_uri, "request_uri")?;
    assert_eq!(super::wallet::send("POST", &url, super::wallet::FORM, &body).await?.status, 200);
    let request = Request::fetch(&made.openid_request_uri).await?;
    let asked = request.asked("residence-dc")?;
    let honest = visitor::present(&scene.dc, &asked, now())?;
    for (name, member, value, reason) in [
        ("an issuer inside", "iss", json!(did), "method_of_other"),
        ("a type inside", "vct", json!(inside), "signature_invalid"),
        ("a status list inside", "status", json!({"status_list": {"idx": 1, "uri": inside}}), "signature_invalid"),
    ] {
        let shown = SdJwt::parse(&scene.dc.credential)?.select_claims(&asked.paths)?.to_string();
        let bent = visitor::bind_with(&with_member(&shown, member, value)?, &asked, now(), &scene.dc.key)?;
        let refusal = request.submit(&one("residence-dc", bent)).await?.refusal();
        assert_eq!(refusal.as_deref(), Some(reason), "{name}");
    }
    assert_eq!(request.submit(&one("residence-dc", honest)).await?.refusal(), None, "the twin");
    let reached = listener.accept().map(|_| ()).map_err(|error| error.kind());
    assert_eq!(reached, Err(std::io::ErrorKind::WouldBlock), "a URL of a wallet was fetched");
    Ok(())
}

/// Replaces a member of the issuer's payload; the signature stays as it is.
fn with_member(shown: &str, name: &str, value: Value) -> Result<String> {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let (jwt, rest) = shown.split_once('~').ok_or("no SD-JWT")?;
    let parts: Vec<&str> = jwt.split('.').collect();
    let [header, payload, signature] = parts.as_slice() else { return Err("no JWS".into()) };
    let mut payload: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload)?)?;
    payload.as_object_mut().ok_or("no object")?.insert(name.to_owned(), value);
    Ok(format!("{header}.{}.{signature}~{rest}", URL_SAFE_NO_PAD.encode(payload.to_string())))
}
