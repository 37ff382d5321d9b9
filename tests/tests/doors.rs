//! Bad input at every entry point: a typed error with a stable reason, no partial state, and no crash.

use carnet_proto::{
    issuer::v1::{ListOffersRequest, offer_service_client::OfferServiceClient},
    verifier::v1::{
        CreateRequestRequest, ListRequestsRequest, PresentationList, ReadRequestRequest, SubmitPresentationRequest,
        create_request_request::What, presentation_service_client::PresentationServiceClient,
        verification_service_client::VerificationServiceClient,
    },
};
use carnet_tests::{
    Result, programs,
    stage::{Stage, qualification},
    visitor::{reason, with_bearer},
};
use serde_json::{Value, json};
use tonic::{Code, Request};

#[tokio::test(flavor = "multi_thread")]
async fn staff_calls_need_the_token() -> Result<()> {
    let stage = Stage::set(false).await?;
    let mut offers = OfferServiceClient::connect(stage.university.service.url.clone()).await?;
    let mut requests = VerificationServiceClient::connect(stage.agency.service.url.clone()).await?;
    let token = stage.university.token()?;
    assert!(offers.list_offers(with_bearer(ListOffersRequest::default(), &token)?).await.is_ok());
    // Neither nothing, nor another service's token, nor a part of the right one.
    for wrong in [stage.agency.token()?, token.chars().take(20).collect(), String::new()] {
        let status = offers.list_offers(with_bearer(ListOffersRequest::default(), &wrong)?).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated);
    }
    let status = offers.list_offers(Request::new(ListOffersRequest::default())).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    let status = requests.list_requests(with_bearer(ListRequestsRequest::default(), &token)?).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_over_its_limit_is_refused_and_the_service_goes_on() -> Result<()> {
    let stage = Stage::set(false).await?;
    let mut wallet = PresentationServiceClient::connect(stage.agency.service.url.clone()).await?;
    let list = PresentationList { presentations: vec!["x".repeat(5 << 20)] };
    let message = SubmitPresentationRequest { id: "x".into(), vp_token: [("x".to_owned(), list)].into() };
    assert!(wallet.submit_presentation(message).await.is_err());
    let unknown = wallet.read_request(ReadRequestRequest { id: "nothing".into() }).await.unwrap_err();
    assert_eq!((unknown.code(), reason(&unknown).as_str()), (Code::NotFound, "request_unknown"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_created_once_for_a_request_id() -> Result<()> {
    let stage = Stage::set(false).await?;
    let mut requests = VerificationServiceClient::connect(stage.agency.service.url.clone()).await?;
    let token = stage.agency.token()?;
    let create = |template: &str| CreateRequestRequest {
        request_id: "the-same".to_owned(),
        what: Some(What::Template(template.to_owned())),
        ttl_seconds: 0,
    };
    let first = requests.create_request(with_bearer(create("job-right-to-work"), &token)?).await?.into_inner();
    let again = requests.create_request(with_bearer(create("job-right-to-work"), &token)?).await?.into_inner();
    assert_eq!(first.id, again.id);
    let other = requests.create_request(with_bearer(create("university-admission"), &token)?).await.unwrap_err();
    assert_eq!(reason(&other), "request_id_reused");
    let unknown = CreateRequestRequest { request_id: String::new(), ..create("no-such") };
    let unknown = requests.create_request(with_bearer(unknown, &token)?).await.unwrap_err();
    assert_eq!(reason(&unknown), "template_unknown");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_that_do_not_fit_the_type_are_refused_by_name_and_not_by_value() -> Result<()> {
    let stage = Stage::set(false).await?;
    let with = |name: &str, value: Value| {
        let mut claims = qualification();
        claims[name] = value;
        claims
    };
    for (bad, value) in [
        (with("eqfLevel", json!(987_654_321)), "987654321"),
        (with("shoeSize", json!("forty-two")), "forty-two"),
        (with("dateOfBirth", json!("yesterday-ish")), "yesterday-ish"),
    ] {
        let error = stage.offer(&stage.university, "QualificationCredential", &bad, &[]).unwrap_err().to_string();
        assert!(error.contains("CLAIMS_INVALID"), "{error}");
        assert!(!stage.university.service.log().contains(value), "a claim is in the log");
    }
    assert!(stage.offer(&stage.university, "NoSuchCredential", &qualification(), &[]).is_err());
    let offers = stage.university.staff(&["offer", "list"])?.ok()?.json()?;
    assert_eq!(offers.get("offers").and_then(Value::as_array).map(Vec::len), Some(0), "nothing is half-stored");
    assert!(stage.offer(&stage.university, "QualificationCredential", &qualification(), &[]).is_ok());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_say_what_is_wrong_and_end_with_the_right_code() -> Result<()> {
    let stage = Stage::set(false).await?;
    let data = stage.folder.join("university").display().to_string();
    let code = |program: &str, args: &[&str]| programs::run(program, args, &[]).map(|said| said.code);
    for program in ["carnet", "carnet-issuer", "carnet-verifier"] {
        assert_eq!(code(program, &["--no-such-flag"])?, 2, "{program}");
        assert_eq!(code(program, &["--help"])?, 0, "{program}");
    }
    // An initialised directory is not made again.
    assert_eq!(code("carnet-issuer", &["init", "--data", &data, "--did", "did:web:a.example"])?, 1);
    // Off loopback without TLS.
    let other = stage.folder.join("other").display().to_string();
    assert_eq!(code("carnet-issuer", &["init", "--data", &other, "--did", "did:web:a.example"])?, 0);
    let open = programs::run("carnet-issuer", ["serve", "--data", &other, "--listen", "0.0.0.0:0"], &[])?;
    assert_eq!(open.code, 1);
    assert!(open.stderr.contains("TLS") || open.stderr.contains("certificate"), "{}", open.stderr);
    // A configuration with an unknown field.
    let config = stage.folder.join("odd.toml");
    std::fs::write(&config, "colour = \"red\"\n")?;
    let odd =
        programs::run("carnet-issuer", ["serve", "--data", &other, "--config", &config.display().to_string()], &[])?;
    assert_eq!(odd.code, 1);
    assert!(odd.stderr.contains("colour"), "{}", odd.stderr);
    // No answer: a retry may succeed.
    let token = stage.university.token_file.display().to_string();
    let silent = ["offer", "list", "--server", "http://127.0.0.1:1", "--token-file", &token];
    assert_eq!(code("carnet-issuer", &silent)?, 3);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wallet_refuses_nonsense_and_stays_as_it_was() -> Result<()> {
    let stage = Stage::set(false).await?;
    stage.make_wallet()?;
    let wallet = stage.folder.join("wallet.age");
    let before = std::fs::read(&wallet)?;
    for nonsense in
        ["", "x", "openid-credential-offer://?credential_offer=%7B%7D", "openid4vp://?client_id=x", "\u{202e}"]
    {
        for verb in ["receive", "present"] {
            let said = stage.carnet(&[verb, nonsense])?;
            assert!(said.code == 1 || said.code == 2, "{verb} {nonsense:?}: {said:?}");
            assert!(said.json()?.pointer("/error/reason").is_some());
        }
    }
    assert!(stage.carnet(&["show", "nothing"])?.code == 1);
    assert_eq!(stage.carnet(&["init"])?.code, 1, "a wallet is never overwritten");
    assert_eq!(std::fs::read(&wallet)?, before);
    Ok(())
}
