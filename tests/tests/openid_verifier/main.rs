//! The verifier on the OpenID4VP wire: a wallet of another house answers, and both wires come to the same verdict.

// Where something does not hold, a test ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod modules;
mod page;
mod rows;
mod table;
mod wallet;

use std::collections::BTreeMap;

use carnet_core::secure::jwe::ContentEncryption;
use carnet_proto::verifier::v1::{
    CreateRequestRequest, CreateRequestResponse, ReadResultRequest, RequestState, create_request_request::What,
    verification_service_client::VerificationServiceClient,
};
use carnet_tests::{
    Result,
    stage::{Stage, residence_permit},
    visitor::{self, Copy, now, with_bearer},
};
use rand_core::{CryptoRng, RngCore};
use serde_json::{Value, json};
use tonic::transport::Channel;
use wallet::{FORM, Request, form, parameter, send};

const PERMIT: &str = "ResidencePermitCredential";
const TEMPLATE: &str = "job-right-to-work";

/// Presentations by credential query id.
type VpToken = BTreeMap<String, Vec<String>>;

/// Agency, and a holder's copies.
struct Scene {
    stage: Stage,
    staff: VerificationServiceClient<Channel>,
    token: String,
    /// `vc+sd-jwt`
    vc: Copy,
    /// `dc+sd-jwt`
    dc: Copy,
}

impl Scene {
    async fn set() -> Result<Self> {
        let stage = Stage::set(false).await?;
        let (vc, dc) = (collect(&stage, "vc+sd-jwt").await?, collect(&stage, "dc+sd-jwt").await?);
        let staff = VerificationServiceClient::connect(stage.agency.service.url.clone()).await?;
        let token = stage.agency.token()?;
        Ok(Self { stage, staff, token, vc, dc })
    }

    /// Changes the configuration of the agency: its section on OpenID has these lines.
    async fn reconfigure(&mut self, lines: &str) -> Result<()> {
        const SECTION: &str = "\n[openid]\n";
        let path = self.stage.agency.service.data.join("config.toml");
        let text = std::fs::read_to_string(&path)?;
        let before = text.split_once(SECTION).map_or(text.as_str(), |(before, _)| before);
        std::fs::write(&path, format!("{before}{SECTION}"))?;
        self.stage.agency.reconfigure(lines)?;
        self.staff = VerificationServiceClient::connect(self.stage.agency.service.url.clone()).await?;
        Ok(())
    }

    async fn create(&self, ttl_seconds: u32) -> Result<CreateRequestResponse> {
        let what = Some(What::Template(TEMPLATE.to_owned()));
        let create = CreateRequestRequest { request_id: String::new(), what, ttl_seconds };
        Ok(self.staff.clone().create_request(with_bearer(create, &self.token)?).await?.into_inner())
    }

    /// A new request as the wallet reads it.
    async fn request(&self) -> Result<Request> {
        Request::fetch(&self.create(0).await?.openid_request_uri).await
    }

    /// State of a request; with a response code, the reason why it is not told.
    async fn state(&self, id: &str, response_code: &str) -> std::result::Result<RequestState, String> {
        let message = ReadResultRequest { id: id.to_owned(), response_code: response_code.to_owned() };
        let message = with_bearer(message, &self.token).map_err(|error| error.to_string())?;
        match self.staff.clone().read_result(message).await {
            Ok(answer) => Ok(answer.into_inner().result.unwrap_or_default().state()),
            Err(status) => Err(visitor::reason(&status)),
        }
    }
}

async fn collect(stage: &Stage, format: &str) -> Result<Copy> {
    let offered = stage.offer(&stage.authority, PERMIT, &residence_permit(), &["--format", format])?;
    visitor::collect(&offered.uri, offered.pin.as_deref(), now()).await
}

fn one(id: &str, presentation: String) -> VpToken {
    VpToken::from([(id.to_owned(), vec![presentation])])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_of_another_house_answers_in_either_format_and_mode() -> Result<()> {
    let mut scene = Scene::set().await?;
    for mode in ["direct_post.jwt", "direct_post"] {
        for (query_id, copy) in [("residence", &scene.vc), ("residence-dc", &scene.dc)] {
            for encryption in ContentEncryption::ALL {
                let made = scene.create(0).await?;
                let request = Request::fetch(&made.openid_request_uri).await?;
                assert_eq!(request.text("response_mode"), mode);
                let honest = one(query_id, visitor::present(copy, &request.asked(query_id)?, now())?);
                let answer = request.submit_body(&request.body(&honest, encryption)?).await?;
                assert_eq!((answer.status, answer.refusal()), (200, None), "{answer:?}");
                // The receipt is signed, and the answer has nothing of the claims.
                let receipt = answer.json().get("carnet_receipt").and_then(Value::as_str).map(str::to_owned);
                assert!(receipt.is_some_and(|receipt| receipt.contains("PresentationReceipt")));
                assert!(answer.json().get("redirect_uri").is_none());
                assert_eq!(scene.state(&made.id, "").await, Ok(RequestState::Accepted));
                // A second answer finds the request closed.
                assert_eq!(request.submit(&honest).await?.refusal().as_deref(), Some("nonce_replayed"));
            }
        }
        if mode == "direct_post.jwt" {
            scene.reconfigure("encrypt_responses = false\n").await?;
        }
    }
    // Nothing of the claims is logged.
    let log = scene.stage.agency.service.log();
    assert!(!log.contains("Okonkwo") && !log.contains("rightToWork") && !log.contains("eyJ"), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_is_in_the_mode_of_the_object_and_not_of_the_configuration() -> Result<()> {
    let mut scene = Scene::set().await?;
    for (mode, next) in [("direct_post.jwt", "false"), ("direct_post", "true")] {
        let link = scene.create(0).await?.openid_request_uri;
        let request = Request::fetch(&link).await?;
        assert_eq!(request.text("response_mode"), mode);
        scene.reconfigure(&format!("encrypt_responses = {next}\n")).await?;
        assert_eq!(Request::fetch(&link).await?.payload, request.payload, "it is served as it was");
        assert_eq!(Request::post(&link, "a-nonce").await?.text("response_mode"), mode);
        let honest = one("residence", visitor::present(&scene.vc, &request.asked("residence")?, now())?);
        let wrong = match mode {
            "direct_post" => "response=a.b.c.d.e".to_owned(),
            _ => form(&[("vp_token", &json!(honest).to_string()), ("state", request.text("state"))]),
        };
        let refused = request.submit_body(&wrong).await?;
        assert_eq!(refused.refusal().as_deref(), Some("response_encryption"), "{mode}");
        assert_eq!(request.submit(&honest).await?.refusal(), None, "{mode}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_in_its_link_where_that_is_configured() -> Result<()> {
    let mut scene = Scene::set().await?;
    let url = scene.stage.agency.service.url.clone();
    for form in ["value", "unsigned"] {
        scene.reconfigure(&format!("requests = \"{form}\"\n")).await?;
        for (query_id, copy) in [("residence", &scene.vc), ("residence-dc", &scene.dc)] {
            let made = scene.create(0).await?;
            let link = &made.openid_request_uri;
            let request = Request::by_value(link)?;
            assert_eq!(request.text("response_mode"), "direct_post.jwt");
            let object = send("GET", &format!("{url}/openid/request/{}", made.id), "", "").await?;
            let asked = request.asked(query_id)?;
            if form == "value" {
                assert_eq!(object.body, parameter(link, "request")?, "signed once");
                assert!(request.text("client_id").starts_with("decentralized_identifier:"));
            } else {
                assert_eq!((object.status, object.refusal().as_deref()), (404, Some("request_unknown")));
                for absent in ["aud", "exp", "iat", "carnet", "verifier_info"] {
                    assert!(request.payload.get(absent).is_none(), "{absent}");
                }
                // Row 44: the audience is the whole client id, and no other of the verifier's.
                let audience = request.text("response_uri").to_owned();
                let own = scene.stage.agency.did.clone();
                for audience in [audience, format!("decentralized_identifier:{own}")] {
                    let bent = visitor::Asked { audience, ..asked.clone() };
                    let refused = request.submit(&one(query_id, visitor::present(copy, &bent, now())?)).await?;
                    assert_eq!(refused.refusal().as_deref(), Some("domain_mismatch"));
                }
            }
            let honest = one(query_id, visitor::present(copy, &asked, now())?);
            assert_eq!(request.submit(&honest).await?.refusal(), None, "{form}");
            assert_eq!(scene.state(&made.id, "").await, Ok(RequestState::Accepted));
        }
    }
    Ok(())
}

/// A type that has an https URL: its metadata is there, `vct#integrity` is its digest, and who has the same catalogue
/// accepts it.
#[tokio::test(flavor = "multi_thread")]
async fn row_118_a_type_at_an_https_url_has_the_integrity_of_its_metadata() -> Result<()> {
    let mut scene = Scene::set().await?;
    let dir = tempfile::tempdir()?;
    let url = "https://types.example/permits/residence-1";
    std::fs::write(dir.path().join("vct.toml"), format!("[{PERMIT}]\nvct = \"{url}\"\nintegrity = true\n"))?;
    scene.stage.authority.with_catalogue(dir.path())?;
    let new = collect(&scene.stage, "dc+sd-jwt").await?;
    let authority = &scene.stage.authority.service.url;
    let document = send("GET", &format!("{authority}/permits/residence-1"), "", "").await?;
    assert_eq!((document.status, &document.json()["vct"]), (200, &json!(url)));
    let integrity = carnet_spec::type_metadata::integrity_value(document.body.as_bytes());
    let parsed = carnet_core::secure::sd_jwt::SdJwt::parse(&new.credential)?;
    let member = |name: &str| parsed.jws().payload().get(name).cloned();
    assert_eq!((member("vct"), member("vct#integrity")), (Some(json!(url)), Some(json!(integrity))));
    let metadata = send("GET", &format!("{authority}/.well-known/openid-credential-issuer"), "", "").await?.json();
    let id = format!("{PERMIT}_dc+sd-jwt");
    assert_eq!(metadata["credential_configurations_supported"][&id]["vct"], json!(url));
    // An agency without the URL does not know the type. With it, it takes earlier and new copies.
    let shown = async |scene: &Scene, copy: &Copy| -> Result<Option<String>> {
        let request = scene.request().await?;
        let honest = one("residence-dc", visitor::present(copy, &request.asked("residence-dc")?, now())?);
        Ok(request.submit(&honest).await?.refusal())
    };
    assert_eq!(shown(&scene, &new).await?.as_deref(), Some("type_unknown"));
    scene.stage.agency.with_catalogue(dir.path())?;
    scene.reconfigure("").await?;
    for copy in [&new, &scene.dc] {
        assert_eq!(shown(&scene, copy).await?, None);
    }
    Ok(())
}

/// A generator without randomness: every ephemeral key is the same one.
struct Repeated;

impl RngCore for Repeated {
    fn next_u32(&mut self) -> u32 {
        rand_core::impls::next_u32_via_fill(self)
    }
    fn next_u64(&mut self) -> u64 {
        rand_core::impls::next_u64_via_fill(self)
    }
    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> std::result::Result<(), rand_core::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

impl CryptoRng for Repeated {}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_has_to_be_of_the_form_that_the_request_demands() -> Result<()> {
    let scene = Scene::set().await?;
    let made = scene.create(0).await?;
    let request = Request::fetch(&made.openid_request_uri).await?;
    let honest = one("residence", visitor::present(&scene.vc, &request.asked("residence")?, now())?);
    let good = request.body(&honest, ContentEncryption::A256Gcm)?;
    let url = request.text("response_uri").to_owned();
    let refused = |answer: wallet::Answer| (answer.status, answer.refusal().unwrap_or_default());
    let expected = |status: u16, reason: &str| (status, reason.to_owned());

    let plain = form(&[("vp_token", &json!(honest).to_string()), ("state", request.text("state"))]);
    assert_eq!(refused(request.submit_body(&plain).await?), expected(400, "response_encryption"));
    assert_eq!(refused(send("POST", &url, "application/json", "{}").await?), expected(415, "media_type_unsupported"));
    assert_eq!(refused(send("POST", &url, "", &good).await?), expected(415, "media_type_unsupported"));
    assert_eq!(refused(request.submit_body("").await?), expected(400, "token_malformed"));
    assert_eq!(refused(request.submit_body(&format!("{good}&{good}")).await?), expected(400, "duplicate_key"));
    assert_eq!(refused(request.submit_body("response=a.b.c").await?), expected(400, "token_malformed"));
    assert_eq!(refused(request.submit_body("error=server_error").await?), expected(400, "token_malformed"));
    // Encrypted to the key of another request.
    let other = scene.request().await?;
    let elsewhere = other.body(&honest, ContentEncryption::A256Gcm)?;
    assert_eq!(refused(request.submit_body(&elsewhere).await?), expected(400, "header_key_unanchored"));
    // The state of another request.
    let mut confused = request.clone();
    confused.payload["state"] = other.text("state").into();
    let confused = confused.body(&honest, ContentEncryption::A256Gcm)?;
    assert_eq!(refused(request.submit_body(&confused).await?), expected(400, "nonce_replayed"));
    // A body over the limit on messages.
    let large = format!("{good}&more={}", "x".repeat(9_000_000));
    assert_eq!(refused(send("POST", &url, FORM, &large).await?), expected(413, "message_too_large"));
    // Nobody's request.
    let nobodys = url.replace(&made.id, "AAAAAAAAAAAAAAAAAAAAAA");
    assert_eq!(refused(send("POST", &nobodys, FORM, &good).await?), expected(404, "request_unknown"));
    let nobodys = parameter(&made.openid_request_uri, "request_uri")?.replace(&made.id, "..");
    assert_eq!(send("GET", &nobodys, "", "").await?.status, 404);
    let unreadable = parameter(&made.openid_request_uri, "request_uri")?.replace(&made.id, "%FF");
    let unreadable = send("GET", &unreadable, "", "").await?;
    assert_eq!(refused(unreadable.clone()), expected(404, "request_unknown"));
    assert!(unreadable.head.contains("cache-control: no-store"), "{}", unreadable.head);
    for (method, url, expected) in [
        ("GET", url.clone(), (405, "method_not_allowed")),
        ("GET", url.replace("/openid/", "/nowhere/"), (404, "not_found")),
    ] {
        let answer = send(method, &url, "", "").await?;
        assert_eq!((answer.status, answer.refusal().as_deref()), (expected.0, Some(expected.1)));
        assert!(answer.head.contains("cache-control: no-store"), "{}", answer.head);
    }

    // None of these was an attempt, and a wallet that declines leaves the request open too.
    let declined = request.submit_body("error=access_denied&error_description=no").await?;
    assert_eq!((declined.status, declined.body.as_str()), (200, "{}"));
    assert_eq!(scene.state(&made.id, "").await, Ok(RequestState::Open));
    // Thirty responses that carry the state of another request fill nothing up.
    for _ in 0..30 {
        assert_eq!(refused(request.submit_body(&confused).await?), expected(400, "nonce_replayed"));
    }
    // The first answer is wrong in its content alone, and the same one again is refused for the same reason.
    let wrong = one("residence", visitor::present(&scene.vc, &request.asked("residence")?, now().plus(-3_600))?);
    let wrong = request.body_by(&wrong, ContentEncryption::A256Gcm, &mut Repeated)?;
    assert_eq!(refused(request.submit_body(&wrong).await?), expected(400, "key_binding_stale"));
    assert_eq!(refused(request.submit_body(&wrong).await?), expected(400, "key_binding_stale"));
    // Row 116: another response with the same ephemeral key.
    let repeated = request.body_by(&honest, ContentEncryption::A256Gcm, &mut Repeated)?;
    assert_eq!(refused(request.submit_body(&repeated).await?), expected(400, "response_encryption"));
    assert_eq!(request.submit_body(&good).await?.refusal(), None);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn row_117_a_response_code_is_good_for_its_own_session() -> Result<()> {
    let mut scene = Scene::set().await?;
    scene.reconfigure("return_url = \"https://agency.example/done?lang=en\"\n").await?;
    let mut codes = Vec::new();
    for _ in 0..2 {
        let made = scene.create(0).await?;
        let request = Request::fetch(&made.openid_request_uri).await?;
        let asked = request.asked("residence")?;
        let wrong = request.submit(&one("residence", visitor::present(&scene.vc, &asked, now().plus(-3_600))?)).await?;
        assert!(wrong.json().get("redirect_uri").is_none(), "{wrong:?}");
        let answer = request.submit(&one("residence", visitor::present(&scene.vc, &asked, now())?)).await?;
        let answer = answer.json();
        let back = answer.get("redirect_uri").and_then(Value::as_str).ok_or("no redirect_uri")?;
        let code = back.strip_prefix("https://agency.example/done?lang=en#response_code=").ok_or("another URL")?;
        assert!(code.len() >= 22, "{code}");
        codes.push((made.id, code.to_owned()));
    }
    let [(first, own), (_, other)] = codes.as_slice() else { return Err("two codes".into()) };
    assert_ne!(own, other);
    assert_eq!(scene.state(first, own).await, Ok(RequestState::Accepted));
    for code in [other.as_str(), "x"] {
        assert_eq!(scene.state(first, code).await, Err("response_code_mismatch".to_owned()));
    }
    let unanswered = scene.create(0).await?;
    assert_eq!(scene.state(&unanswered.id, own).await, Err("response_code_mismatch".to_owned()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_nonce_that_was_never_served_is_refused() -> Result<()> {
    let mut scene = Scene::set().await?;
    scene.reconfigure("encrypt_responses = false\n").await?;
    let made = scene.create(0).await?;
    let link = made.openid_request_uri.as_str();
    let request = Request::fetch(link).await?;
    let honest = one("residence", visitor::present(&scene.vc, &request.asked("residence")?, now())?);
    let token = json!(honest).to_string();
    let submit = async |nonce: &str, signature: Option<&str>| -> Result<Option<String>> {
        let mut parameters = vec![("vp_token", token.as_str()), ("state", request.text("state"))];
        parameters.push(("carnet_wallet_nonce", nonce));
        parameters.extend(signature.map(|signature| ("carnet_request_signature", signature)));
        Ok(request.submit_body(&form(&parameters)).await?.refusal())
    };
    let signature = |object: &str| object.rsplit('.').next().unwrap_or_default().to_owned();
    let posted = async |nonce: &str| -> Result<String> {
        let body = form(&[("wallet_nonce", nonce)]);
        Ok(signature(&send("POST", &parameter(link, "request_uri")?, FORM, &body).await?.body))
    };
    let fetched = signature(&send("GET", &parameter(link, "request_uri")?, "", "").await?.body);
    let (own, other) = (posted("nonce-of-the-wallet").await?, posted("nonce-of-another").await?);
    let refused = Some("nonce_replayed".to_owned());
    assert_eq!(submit("nonce-of-nobody", None).await?, refused);
    assert_eq!(submit("nonce-of-the-wallet", None).await?, refused, "only who was served has the signature");
    for wrong in [&other, &fetched, "", "x"] {
        assert_eq!(submit("nonce-of-the-wallet", Some(wrong)).await?, refused, "{wrong}");
    }
    // The twin: none of these was an attempt.
    assert_eq!(submit("nonce-of-the-wallet", Some(&own)).await?, None);
    assert_eq!(scene.state(&made.id, "").await, Ok(RequestState::Accepted));
    Ok(())
}
