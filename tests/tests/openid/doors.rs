//! One table of inputs through both doors: gRPC and HTTP give the same verdict and the same reason.

use carnet_core::keys::Signer as _;
use carnet_proto::issuer::v1::{
    CollectCredentialsRequest, IssueNonceRequest, RedeemOfferRequest, issuance_service_client::IssuanceServiceClient,
};
use carnet_tests::{
    Result,
    stage::{Office, Stage},
    visitor::{self, with_bearer},
};
use serde_json::json;
use tonic::{Request, Status, transport::Channel};
use tonic_types::StatusExt as _;

use crate::client::{Endpoints, GRANT, Offer, access_token, bent_proof, keys, post_form, post_json, proofs};

/// Outcome of a step: none for success; else the reason, and over HTTP the text's code.
type Verdict = Option<(String, Option<String>)>;

enum Door<'a> {
    Grpc { client: IssuanceServiceClient<Channel>, did: &'a str },
    Http { office: &'a Office, endpoints: Endpoints },
}

fn refused(status: &Status) -> Verdict {
    let reason = status.get_details_error_info().map(|info| info.reason);
    Some((reason.unwrap_or_default(), None))
}

impl Door<'_> {
    fn audience(&self) -> String {
        match self {
            Self::Grpc { did, .. } => (*did).to_owned(),
            Self::Http { office, .. } => office.service.url.clone(),
        }
    }

    async fn redeem(&mut self, code: &str, pin: Option<&str>) -> Result<(String, Verdict)> {
        match self {
            Self::Grpc { client, .. } => {
                let request = RedeemOfferRequest {
                    pre_authorized_code: code.to_owned(),
                    tx_code: pin.map(str::to_owned),
                    ..Default::default()
                };
                Ok(match client.redeem_offer(request).await {
                    Ok(answer) => (answer.into_inner().access_token, None),
                    Err(status) => (String::new(), refused(&status)),
                })
            }
            Self::Http { office, endpoints } => {
                let mut parameters = vec![("grant_type", GRANT), ("pre-authorized_code", code)];
                parameters.extend(pin.map(|pin| ("tx_code", pin)));
                let response = post_form(office, &endpoints.token, &parameters).await?;
                if response.status == 200 {
                    return Ok((access_token(&response), None));
                }
                assert_eq!((response.status, response.header("cache-control")), (400, Some("no-store")));
                Ok((String::new(), Some((response.reason().unwrap_or_default().to_owned(), Some(response.error())))))
            }
        }
    }

    async fn nonce(&mut self) -> Result<String> {
        match self {
            Self::Grpc { client, .. } => Ok(client.issue_nonce(IssueNonceRequest {}).await?.into_inner().c_nonce),
            Self::Http { office, endpoints } => endpoints.nonce(office).await,
        }
    }

    async fn collect(&mut self, token: Option<&str>, configuration: &str, proofs: Vec<String>) -> Result<Verdict> {
        match self {
            Self::Grpc { client, .. } => {
                let message =
                    CollectCredentialsRequest { credential_configuration_id: configuration.to_owned(), proofs };
                let request = match token {
                    Some(token) => with_bearer(message, token)?,
                    None => Request::new(message),
                };
                Ok(client.collect_credentials(request).await.err().and_then(|status| refused(&status)))
            }
            Self::Http { office, endpoints } => {
                let body = json!({"credential_configuration_id": configuration, "proofs": {"jwt": proofs}});
                let response = post_json(office, endpoints.of("credential_endpoint"), token, &body).await?;
                assert_eq!(response.header("cache-control"), Some("no-store"));
                if response.status == 200 {
                    return Ok(None);
                }
                let challenge = response.header("www-authenticate");
                assert_eq!(challenge.is_some(), response.status == 401, "{response:?}");
                Ok(Some((response.reason().unwrap_or_default().to_owned(), Some(response.error()))))
            }
        }
    }
}

/// Name of a step, its outcome, and what the texts call it over HTTP.
type Step = (&'static str, Verdict, Option<&'static str>, Option<&'static str>);

const QUALIFICATION: &str = "QualificationCredential";

/// Steps of redemption. Each refusal stands beside an input that is accepted.
async fn redeem(door: &mut Door<'_>, office: &Office) -> Result<Vec<Step>> {
    let mut steps: Vec<Step> = Vec::new();
    let mut step = |name, verdict: (String, Verdict), reason, error| steps.push((name, verdict.1, reason, error));
    let plain = Offer::make(office, QUALIFICATION, &[]).await?;
    let with_pin = Offer::make(office, QUALIFICATION, &["--pin"]).await?;
    let pin = with_pin.pin.clone().ok_or("no PIN")?;
    let wrong = if pin == "000000" { "000001" } else { "000000" };
    step("unknown code", door.redeem("unknown", None).await?, Some("INVALID_GRANT"), Some("invalid_grant"));
    let long = "x".repeat(200);
    step("long code", door.redeem(&long, None).await?, Some("INVALID_GRANT"), Some("invalid_grant"));
    let unexpected = door.redeem(&plain.code, Some(&pin)).await?;
    step("unexpected PIN", unexpected, Some("INVALID_REQUEST"), Some("invalid_request"));
    step("no PIN where none is needed", door.redeem(&plain.code, None).await?, None, None);
    let again = door.redeem(&plain.code, None).await?;
    step("row 79: used code", again, Some("OFFER_ALREADY_USED"), Some("invalid_grant"));
    let missing = door.redeem(&with_pin.code, None).await?;
    step("missing PIN", missing, Some("INVALID_REQUEST"), Some("invalid_request"));
    let malformed = door.redeem(&with_pin.code, Some("12345x")).await?;
    step("malformed PIN", malformed, Some("INVALID_ARGUMENT"), Some("invalid_grant"));
    let guessed = door.redeem(&with_pin.code, Some(wrong)).await?;
    step("wrong PIN", guessed, Some("INVALID_GRANT"), Some("invalid_grant"));
    step("right PIN", door.redeem(&with_pin.code, Some(&pin)).await?, None, None);

    let guarded = Offer::make(office, QUALIFICATION, &["--pin"]).await?;
    let pin = guarded.pin.clone().ok_or("no PIN")?;
    let wrong = if pin == "000000" { "000001" } else { "000000" };
    for _ in 0..4 {
        step("guess", door.redeem(&guarded.code, Some(wrong)).await?, Some("INVALID_GRANT"), Some("invalid_grant"));
    }
    let fifth = door.redeem(&guarded.code, Some(wrong)).await?;
    step("row 80: fifth guess", fifth, Some("OFFER_LOCKED"), Some("invalid_grant"));
    let locked = door.redeem(&guarded.code, Some(&pin)).await?;
    step("right PIN of a locked offer", locked, Some("OFFER_LOCKED"), Some("invalid_grant"));

    let cancelled = Offer::make(office, QUALIFICATION, &[]).await?;
    office.staff(&["offer", "cancel", &cancelled.id])?.ok()?;
    let refused = door.redeem(&cancelled.code, None).await?;
    step("cancelled offer", refused, Some("OFFER_CANCELLED"), Some("invalid_grant"));
    Ok(steps)
}

/// Steps of collection, all with one good token, which the last of them uses.
async fn collect(door: &mut Door<'_>, stage: &Stage) -> Result<Vec<Step>> {
    let office = &stage.university;
    let mut steps: Vec<Step> = Vec::new();
    let offer = Offer::make(office, QUALIFICATION, &[]).await?;
    let configuration = offer.configuration("vc+sd-jwt").to_owned();
    let (token, _) = door.redeem(&offer.code, None).await?;
    let (audience, nonce) = (door.audience(), door.nonce().await?);
    let pair = keys(2);
    let good = proofs(&pair, &audience, &nonce);

    for (name, configuration, error) in [
        ("unknown configuration", "Nothing_vc+sd-jwt", "unknown_credential_configuration"),
        ("another type", "LanguageCertificateCredential_vc+sd-jwt", "credential_request_denied"),
    ] {
        let verdict = door.collect(Some(&token), configuration, good.clone()).await?;
        steps.push((name, verdict, Some("CONFIGURATION_NOT_OFFERED"), Some(error)));
    }
    for (name, token, reason) in [
        ("no token", None, "TOKEN_MISSING"),
        ("unknown token", Some("unknown"), "INVALID_TOKEN"),
        ("two words as a token", Some("a b"), "TOKEN_MISSING"),
    ] {
        let verdict = door.collect(token, &configuration, good.clone()).await?;
        steps.push((name, verdict, Some(reason), Some("invalid_token")));
    }
    let (key, other) = (&pair[0], &pair[1]);
    let claims = || json!({"aud": audience, "nonce": nonce});
    let now = visitor::now().unix();
    let with = |header, payload| vec![bent_proof(key, header, payload)];
    let other_jwk = json!({"jwk": other.public_key().to_jwk()});
    let late = json!({"aud": audience, "nonce": nonce, "iat": now - 400});
    let early = json!({"aud": audience, "nonce": nonce, "iat": now + 400});
    let tampered = good[0].rsplit_once('.').map(|(signed, _)| format!("{signed}.{}", "A".repeat(86)));
    for (name, proofs) in [
        ("proof for another issuer", proofs(&pair[..1], "https://other.example", &nonce)),
        ("proof for two audiences", with(json!({}), json!({"aud": [audience], "nonce": nonce}))),
        ("proof without an audience", with(json!({}), json!({"nonce": nonce}))),
        ("proof by another key", with(other_jwk, claims())),
        ("proof without a key", with(json!({"jwk": null}), claims())),
        ("row 73: proof with a key at a URL", with(json!({"jwk": null, "jku": "https://127.0.0.1/keys"}), claims())),
        ("row 73: proof with a key inside", with(json!({"jwk": null, "kid": "did:web:127.0.0.1#a"}), claims())),
        ("proof with two names of a key", with(json!({"kid": "a"}), claims())),
        ("row 4: another typ", with(json!({"typ": "JWT"}), claims())),
        ("proof without a nonce", with(json!({}), json!({"aud": audience}))),
        ("proof that is too old", with(json!({}), late)),
        ("proof from the future", with(json!({}), early)),
        ("proof with another signature", tampered.into_iter().collect()),
        ("no JWT", vec!["no JWT".to_owned()]),
        ("one key twice", vec![good[0].clone(), good[0].clone()]),
        ("a good proof and a bad one", vec![good[0].clone(), "no JWT".to_owned()]),
    ] {
        let verdict = door.collect(Some(&token), &configuration, proofs).await?;
        steps.push((name, verdict, Some("INVALID_PROOF"), Some("invalid_proof")));
    }
    let eleven = proofs(&keys(11), &audience, &nonce);
    let verdict = door.collect(Some(&token), &configuration, eleven).await?;
    steps.push(("more proofs than a batch", verdict, Some("BATCH_SIZE"), Some("invalid_proof")));
    let other = if &nonce[20..21] == "A" { "B" } else { "A" };
    let bent = format!("{}{other}{}", &nonce[..20], &nonce[21..]);
    for (name, nonce) in [("a nonce of nobody", "x".to_owned()), ("a nonce that was bent", bent)] {
        let verdict = door.collect(Some(&token), &configuration, proofs(&pair, &audience, &nonce)).await?;
        steps.push((name, verdict, Some("INVALID_NONCE"), Some("invalid_nonce")));
    }
    let large = vec!["x".repeat(2_000_000)];
    let verdict = door.collect(Some(&token), &configuration, large).await?;
    steps.push(("a request that is too large", verdict, Some("MESSAGE_TOO_LARGE"), Some("invalid_credential_request")));
    steps.push(("good proofs", door.collect(Some(&token), &configuration, good.clone()).await?, None, None));
    steps.push(("the same call again", door.collect(Some(&token), &configuration, good).await?, None, None));
    let others = proofs(&keys(1), &audience, &door.nonce().await?);
    let verdict = door.collect(Some(&token), &configuration, others).await?;
    steps.push(("other proofs", verdict, Some("OFFER_ALREADY_COLLECTED"), Some("credential_request_denied")));

    let next = Offer::make(office, QUALIFICATION, &[]).await?;
    let (token, _) = door.redeem(&next.code, None).await?;
    let verdict = door.collect(Some(&token), &configuration, proofs(&keys(1), &audience, &nonce)).await?;
    steps.push(("row 81: a used nonce", verdict, Some("INVALID_NONCE"), Some("invalid_nonce")));
    let fresh = door.nonce().await?;
    let verdict = door.collect(Some(&token), &configuration, proofs(&pair[..1], &audience, &fresh)).await?;
    steps.push(("a key that has a copy", verdict, Some("INVALID_PROOF"), Some("invalid_proof")));
    let verdict = door.collect(Some(&token), &configuration, proofs(&keys(1), &audience, &fresh)).await?;
    steps.push(("a fresh nonce and a fresh key", verdict, None, None));
    Ok(steps)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_input_has_the_same_verdict_through_both_doors() -> Result<()> {
    let stage = Stage::set(false).await?;
    let office = &stage.university;
    let client = IssuanceServiceClient::connect(office.service.url.clone()).await?;
    let mut grpc = Door::Grpc { client, did: &office.did };
    let mut http = Door::Http { office, endpoints: Endpoints::discover(office).await? };
    let over_grpc = [redeem(&mut grpc, office).await?, collect(&mut grpc, &stage).await?].concat();
    let over_http = [redeem(&mut http, office).await?, collect(&mut http, &stage).await?].concat();
    assert_eq!(over_grpc.len(), over_http.len());
    for ((name, grpc, expected, _), (_, http, _, error)) in over_grpc.iter().zip(&over_http) {
        let reason = |verdict: &Verdict| verdict.as_ref().map(|(reason, _)| reason.clone());
        assert_eq!(reason(grpc).as_deref(), *expected, "{name} over gRPC");
        assert_eq!(reason(http).as_deref(), *expected, "{name} over HTTP");
        let text = http.as_ref().and_then(|(_, error)| error.as_deref());
        assert_eq!(text, *error, "{name}");
    }
    // Neither door lets a claim, a code or a token into the log.
    let log = office.service.log();
    let claims = carnet_tests::stage::qualification();
    let names = ["familyName", "givenName"].map(|name| claims[name].as_str().unwrap().to_owned());
    assert!(names.iter().all(|name| !log.contains(name.as_str())), "{log}");
    assert!(!log.contains("/openid/offers/") && !log.contains("Bearer"), "{log}");
    Ok(())
}
