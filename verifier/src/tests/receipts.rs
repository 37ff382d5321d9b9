//! Receipts, erasure at the holder's request, thresholds, and the registration in a request.

use carnet_core::{
    did::{DidUrl, SelfContainedResolver},
    json,
    keys::SecretKey,
    query::Threshold,
    receipt::{ErasureConfirmation, ErasureRequest, ExpectedReceipt, Receipt, presentation_digest, request_digest},
    secure::{jose, sd_jwt::OrderedClaim},
    trust::registration::{Registration, RegistrationRequest},
};
use carnet_proto::verifier::v1::{
    CreateRequestRequest, ReadRequestRequest, RequestErasureRequest, RequestState, SubmitPresentationRequest,
    create_request_request::What, proved_threshold::Bound,
};
use carnet_service::time::now;
use serde_json::{Map, Value, json};
use tonic::Status;

use super::world::{Asked, SECRETS, World, did, key, reason, token};

/// Answers a request and reads the receipt as a wallet does.
async fn receipted(world: &World, asked: &Asked, answer: String) -> Receipt {
    let object = world.wallet().read_request(ReadRequestRequest { id: asked.id.clone() }).await.unwrap();
    let digest = request_digest(&object.into_inner().request_object);
    let query_id = asked.query.credentials[0].id.clone();
    let sent = presentation_digest(&[(query_id, vec![answer.clone()])].into()).unwrap();
    let message = SubmitPresentationRequest { id: asked.id.clone(), vp_token: token(&asked.query, answer) };
    let said = world.wallet().submit_presentation(message).await.unwrap().into_inner();
    let document = json::parse_object(said.receipt.as_bytes(), json::Limits::DOCUMENT).unwrap();
    let verifier = world.verifier.identity.did.to_string();
    let presentation_digest = Some(sent.as_str());
    let expected =
        ExpectedReceipt { verifier: &verifier, request_digest: &digest, presentation_digest, now: now(), skew: 0 };
    let receipt = Receipt::verify(&document, &expected, &SelfContainedResolver).unwrap();
    assert_eq!(receipt.content().accepted, said.accepted);
    // A refused answer has a receipt, too.
    assert_eq!(receipt.content().presentation_digest, Some(sent));
    receipt
}

async fn erase(world: &World, receipt: &Receipt, by: &SecretKey) -> Result<ErasureConfirmation, Status> {
    let proof = ErasureRequest::sign(receipt, by, now()).unwrap();
    erase_with(world, receipt, proof).await
}

async fn erase_with(world: &World, receipt: &Receipt, proof: String) -> Result<ErasureConfirmation, Status> {
    let receipt_text = Value::Object(receipt.document().clone()).to_string();
    let message = RequestErasureRequest { receipt: receipt_text, proof };
    let said = world.wallet().request_erasure(message).await?.into_inner().confirmation;
    let document = json::parse_object(said.as_bytes(), json::Limits::DOCUMENT).unwrap();
    Ok(ErasureConfirmation::verify(&document, receipt, now(), 0, &SelfContainedResolver).unwrap())
}

#[tokio::test]
async fn a_receipt_says_what_was_shown_and_when_it_is_gone() {
    let world = World::new().await;
    let asked = world.request().await;
    let receipt = receipted(&world, &asked, world.answer(&asked)).await;
    let content = receipt.content();
    assert_eq!((content.accepted, content.intended_use.as_str()), (true, "job-right-to-work"));
    assert!(content.purpose.contains_key("en") && content.reason.is_none() && content.retained.is_empty());
    let mut paths = content.disclosed[0].paths.clone();
    paths.sort();
    assert_eq!(paths, ["credentialSubject.legalResidence", "credentialSubject.rightToWork"]);
    assert_eq!(content.holder_keys, [carnet_core::keys::Signer::public_key(&world.holder).thumbprint()]);
    // At most the days of the template, from the answer too: the time that a request is open is not added.
    let seconds = content.erase_at.unix() - content.verified_at.unix();
    assert!((365 * 86_400 - 3_600..=365 * 86_400).contains(&seconds), "{seconds}");
    let text = Value::Object(receipt.document().clone()).to_string();
    assert!(SECRETS.iter().all(|secret| !text.contains(secret)));
}

#[tokio::test]
async fn a_refused_answer_has_a_receipt_too() {
    let world = World::new().await;
    let asked = world.request().await;
    let receipt = receipted(&world, &asked, world.credential().to_string()).await;
    assert_eq!(receipt.content().reason.as_deref(), Some("key_binding_missing"));
    // The holder was not proven, so nobody could request erasure.
    assert!(receipt.content().disclosed.is_empty() && receipt.content().holder_keys.is_empty());
}

#[tokio::test]
async fn what_was_read_and_refused_is_in_the_receipt_and_can_be_erased() {
    let world = World::with(|config| config.issuers.clear()).await;
    let asked = world.request().await;
    let receipt = receipted(&world, &asked, world.answer(&asked)).await;
    assert_eq!(receipt.content().reason.as_deref(), Some("issuer_untrusted"));
    assert_eq!(receipt.content().disclosed[0].paths.len(), 2);
    assert_eq!(receipt.content().holder_keys.len(), 1);
    erase(&world, &receipt, &world.holder).await.unwrap();
    assert_eq!(world.result(&asked.id).await.state, i32::from(RequestState::Erased));
}

#[tokio::test]
async fn row_93_what_an_issuer_left_in_the_clear_is_in_the_receipt_and_in_the_verdict() {
    let world = World::new().await;
    let name = super::world::path(&["credentialSubject", "familyName"]);
    let hidden = world.permit().disclosable_claims.iter().filter(|path| **path != name).cloned().collect::<Vec<_>>();
    let copy = world.issue_hiding(&world.document(), &hidden);
    let work = super::world::path(&["credentialSubject", "rightToWork"]);
    let with = |claims: &[&str]| super::world::query("vc+sd-jwt", claims);
    for (claims, reason) in [(&["rightToWork"][..], Some("claim_unrequested")), (&["rightToWork", "familyName"], None)]
    {
        let asked = world.request_for(&with(claims)).await;
        let receipt =
            receipted(&world, &asked, world.bind(&copy.select_claims(std::slice::from_ref(&work)).unwrap(), &asked))
                .await;
        assert_eq!(receipt.content().reason.as_deref(), reason);
        let mut paths = receipt.content().disclosed[0].paths.clone();
        paths.sort();
        assert_eq!(paths, ["credentialSubject.familyName", "credentialSubject.rightToWork"]);
        let verdict = world.result(&asked.id).await.verdict.unwrap();
        let mut shown: Vec<String> = verdict.credentials.into_iter().flat_map(|shown| shown.disclosed_paths).collect();
        shown.sort();
        assert_eq!(shown, if reason.is_none() { paths } else { Vec::new() });
    }
    // The same without the claim in the clear.
    let asked = world.request_for(&with(&["rightToWork"])).await;
    let receipt = receipted(&world, &asked, world.bind(&world.show(&["rightToWork"]), &asked)).await;
    assert!(receipt.content().accepted);
    assert_eq!(receipt.content().disclosed[0].paths, ["credentialSubject.rightToWork"]);
}

#[tokio::test]
async fn a_strangers_refused_answer_does_not_erase_the_accepted_one() {
    let world = World::new().await;
    let asked = world.request().await;
    // The stranger saw the link, and presents a permit by their own issuer.
    let stranger = World::new().await;
    let foreign = stranger.bind(&stranger.show(&["rightToWork", "legalResidence"]), &asked);
    let theirs = receipted(&world, &asked, foreign).await;
    assert_eq!(theirs.content().reason.as_deref(), Some("issuer_untrusted"));
    let mine = receipted(&world, &asked, world.answer(&asked)).await;
    assert!(mine.content().accepted);
    erase(&world, &theirs, &stranger.holder).await.unwrap();
    assert_eq!(world.result(&asked.id).await.state, i32::from(RequestState::Accepted));
    erase(&world, &mine, &world.holder).await.unwrap();
    assert_eq!(world.result(&asked.id).await.state, i32::from(RequestState::Erased));
}

#[tokio::test]
async fn the_same_call_after_midnight_gives_the_same_request() {
    let world = World::new().await;
    let call = || crate::requests::CreateRequest {
        request_id: "r-1".to_owned(),
        source: crate::requests::QuerySource::Template("work-permit-today".to_owned()),
        ttl_seconds: 0,
    };
    let first = world.verifier.create_request(call(), now()).await.unwrap();
    let next_day = world.verifier.create_request(call(), now().plus(86_400)).await.unwrap();
    assert!(first.id == next_day.id);
}

#[tokio::test]
async fn a_holder_with_receipt_and_key_has_it_erased() {
    let world = World::new().await;
    let asked = world.request().await;
    let receipt = receipted(&world, &asked, world.answer(&asked)).await;
    // Somebody who saw the receipt lacks the key; a proof for another receipt is refused.
    let stranger = key();
    let jwk = carnet_core::keys::Signer::public_key(&stranger).to_jwk();
    let header = json!({"typ": "carnet-erasure+jwt", "jwk": jwk});
    let payload = json!({"aud": receipt.verifier(), "iat": now().unix(), "receipt_digest": receipt.digest()});
    let (Value::Object(header), Value::Object(payload)) = (header, payload) else { panic!() };
    let forged = jose::sign(header, &payload, &stranger).unwrap();
    assert_eq!(reason(erase_with(&world, &receipt, forged).await), "ERASURE_UNPROVEN");
    let another = world.request().await;
    let other = receipted(&world, &another, world.answer(&another)).await;
    let for_other = ErasureRequest::sign(&other, &world.holder, now()).unwrap();
    assert_eq!(reason(erase_with(&world, &receipt, for_other).await), "ERASURE_UNPROVEN");
    assert_eq!(world.result(&asked.id).await.state, i32::from(RequestState::Accepted));

    let confirmation = erase(&world, &receipt, &world.holder).await.unwrap();
    assert_eq!(confirmation.request_id(), asked.id);
    let result = world.result(&asked.id).await;
    assert_eq!(result.state, i32::from(RequestState::Erased));
    assert!(result.verdict.is_none() && result.template.is_empty() && result.erased_at.is_some());
    // A repeated request returns the same time; the other answer is unchanged.
    assert_eq!(erase(&world, &receipt, &world.holder).await.unwrap().erased_at(), confirmation.erased_at());
    assert_eq!(world.result(&another.id).await.state, i32::from(RequestState::Accepted));
}

#[tokio::test]
async fn a_receipt_that_was_changed_or_is_anothers_erases_nothing() {
    let (world, elsewhere) = (World::new().await, World::new().await);
    let asked = elsewhere.request().await;
    let foreign = receipted(&elsewhere, &asked, elsewhere.answer(&asked)).await;
    assert_eq!(reason(erase(&world, &foreign, &elsewhere.holder).await), "RECEIPT_MISMATCH");
    let asked = world.request().await;
    let receipt = receipted(&world, &asked, world.answer(&asked)).await;
    let mut document = receipt.document().clone();
    document["credentialSubject"]["erase_at"] = "2020-01-01T00:00:00Z".into();
    let proof = ErasureRequest::sign(&receipt, &world.holder, now()).unwrap();
    let message = RequestErasureRequest { receipt: Value::Object(document).to_string(), proof: proof.clone() };
    assert_eq!(reason(world.wallet().request_erasure(message).await), "SIGNATURE_INVALID");
    for nonsense in ["", "{", "[]", "{}"] {
        let message = RequestErasureRequest { receipt: nonsense.to_owned(), proof: proof.clone() };
        assert!(world.wallet().request_erasure(message).await.is_err(), "{nonsense}");
    }
    assert!(erase(&world, &receipt, &world.holder).await.is_ok());
}

#[tokio::test]
async fn a_threshold_is_proved_and_only_that_is_told() {
    let world = World::new().await;
    let what = What::Template("work-permit-today".to_owned());
    let asked = world.ask(CreateRequestRequest { what: Some(what), ..Default::default() }).await;
    let copy = world.credential();
    let ordered: &[OrderedClaim] = &world.permit().ordered_claims;
    let mut proofs = Vec::new();
    let mut paths = Vec::new();
    for claim in &asked.query.credentials[0].claims {
        let Some(threshold) = &claim.threshold else {
            paths.push(claim.path.clone());
            continue;
        };
        let positions = copy.verify_commitments(ordered).unwrap();
        let of_claim = positions.iter().find(|positions| positions.claim.path == claim.path).unwrap();
        let threshold: &Threshold = threshold;
        let (element, proof) = copy.prove_threshold(of_claim, threshold).unwrap();
        paths.push(element);
        proofs.push(proof);
    }
    assert_eq!(proofs.len(), 1);
    let answer = copy.select_claims(&paths).unwrap().bind_key_with_proofs(
        &proofs,
        &asked.nonce,
        &asked.audience,
        now(),
        &world.holder,
    );
    let receipt = receipted(&world, &asked, answer.unwrap()).await;
    assert!(receipt.content().accepted);
    let shown = &receipt.content().disclosed[0];
    assert_eq!(shown.paths, ["credentialSubject.rightToWork"]);
    assert_eq!(shown.thresholds[0].path(), "credentialSubject.validUntil");
    let verdict = world.result(&asked.id).await.verdict.unwrap();
    let proved = &verdict.credentials[0].proved_thresholds[0];
    let today = now().start_of_day().to_string();
    assert_eq!(proved.bound, Some(Bound::AtLeast(today.get(..10).unwrap().to_owned())));
}

fn register(world: &World, uses: &[&str]) -> Map<String, Value> {
    register_with(world, uses, false)
}

fn register_with(world: &World, uses: &[&str], any_bounds: bool) -> Map<String, Value> {
    let about = crate::registration::RegistrationArgs {
        country: "PT".to_owned(),
        privacy_policy: "https://jobs.example/privacy".to_owned(),
        support: "mailto:privacy@jobs.example".to_owned(),
        authority: "Data Protection Commission".to_owned(),
        authority_uri: Some("https://dpa.example/complaints".to_owned()),
        authority_email: None,
        legal_identifier: None,
        uses: uses.iter().map(|id| (*id).to_owned()).collect(),
        all_uses: uses.is_empty(),
        any_bounds,
    };
    let catalogue = &world.verifier.verification.catalogue;
    let request =
        crate::registration::create_registration_request(&world.verifier.identity, &about, catalogue).unwrap();
    let request = RegistrationRequest::verify(&request, now(), 0, &SelfContainedResolver).unwrap();
    let registrar = key();
    let kid = DidUrl::parse(&format!("{}#0", did(&registrar))).unwrap();
    Registration::issue(&request, &kid, &registrar, now(), now().plus(86_400)).unwrap()
}

#[tokio::test]
async fn a_registration_is_limited_to_the_bounds_of_its_templates_unless_any_is_asked_for() {
    let world = World::new().await;
    let asker = world.verifier.identity.did.to_string();
    let expected = carnet_core::trust::registration::ExpectedRegistration {
        verifier: &asker,
        is_trusted_registrar: &|_| true,
        now: now(),
        skew: 0,
    };
    let registration = |any_bounds: bool| {
        let document = register_with(&world, &["job-right-to-work", "work-permit-today"], any_bounds);
        Registration::verify(&document, &expected, &SelfContainedResolver).unwrap()
    };
    let template = world.verifier.verification.catalogue.template("work-permit-today").unwrap();
    let on = |registration: &Registration, days: i64| {
        let query = template.query_at(now().plus(days * 86_400)).unwrap().0;
        registration.excess("work-permit-today", &query).iter().map(|excess| excess.exceeded_limit).collect::<Vec<_>>()
    };
    let limited = registration(false);
    assert_eq!(on(&limited, 0), []);
    assert_eq!(on(&limited, 30), [carnet_core::trust::registration::ExceededLimit::Bound]);
    let open = registration(true);
    assert_eq!((on(&open, 0), on(&open, 30)), (Vec::new(), Vec::new()));
}

#[tokio::test]
async fn what_is_registered_for_a_template_is_what_it_asks() {
    let world = World::new().await;
    let document = register(&world, &["job-right-to-work", "work-permit-today"]);
    let asker = world.verifier.identity.did.to_string();
    let expected = carnet_core::trust::registration::ExpectedRegistration {
        verifier: &asker,
        is_trusted_registrar: &|_| true,
        now: now(),
        skew: 0,
    };
    let registration = Registration::verify(&document, &expected, &SelfContainedResolver).unwrap();
    let asked = world.request().await;
    let uses: Vec<&str> =
        registration.relying_party().intended_uses.iter().map(|intended| intended.id.as_str()).collect();
    assert_eq!(uses, ["job-right-to-work", "work-permit-today"]);
    assert!(registration.excess("job-right-to-work", &asked.query).is_empty());
    // The key that signs its receipts is registered.
    let receipt = receipted(&world, &asked, world.answer(&asked)).await;
    let method = receipt.document()["proof"]["verificationMethod"].as_str().unwrap();
    let keys = &registration.relying_party().receipt_keys;
    assert_eq!(keys.iter().map(|key| key.id.as_str()).collect::<Vec<_>>(), [method]);
    assert!(crate::registration::permits_receipt_key(&document, &world.verifier.identity));
    assert!(!crate::registration::permits_receipt_key(&document, &World::new().await.verifier.identity));
    assert!(!registration.excess("university-admission", &asked.query).is_empty());
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("signed.json");
    std::fs::write(&file, Value::Object(document.clone()).to_string()).unwrap();
    assert!(crate::registration::installed_registration(dir.path()).unwrap().is_none());
    crate::registration::install_registration(dir.path(), &asker, &file).unwrap();
    assert_eq!(crate::registration::installed_registration(dir.path()).unwrap().unwrap(), document);
    // Another verifier's is refused, and the installed one remains.
    let other = World::new().await;
    std::fs::write(&file, Value::Object(register(&other, &[])).to_string()).unwrap();
    assert!(crate::registration::install_registration(dir.path(), &asker, &file).is_err());
    assert_eq!(crate::registration::installed_registration(dir.path()).unwrap().unwrap(), document);
}
