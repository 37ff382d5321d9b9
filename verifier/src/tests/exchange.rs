//! The exchange: request, answer, verdict and record; and the refusals of the service.

use carnet_core::secure::sd_jwt::SdJwt;
use carnet_proto::verifier::v1::{
    CheckOutcome, CreateRequestRequest, RequestState, VerifyCredentialRequest, VerifyPresentationRequest,
    WatchResultRequest, create_request_request::What,
};
use carnet_service::{time::now, wire};
use serde_json::{Value, json};

use super::world::{Asked, SECRETS, World, custom, did, hours_ago, key, query, reason, token};
use crate::store::Store as _;

#[tokio::test]
async fn an_honest_answer_is_accepted_and_its_verdict_kept() {
    let world = World::new().await;
    let asked = world.request().await;
    assert_eq!(asked.payload["aud"], "https://self-issued.me/v2");
    assert_eq!(asked.payload["carnet"]["verifier_name"], "City Job Centre");
    assert!(asked.payload["carnet"]["purpose"]["de"].is_string());
    assert_eq!(world.result(&asked.id).await.state, i32::from(RequestState::Open));
    World::accepted(world.submit(&asked, world.answer(&asked)).await);
    let result = world.result(&asked.id).await;
    assert_eq!((result.state, result.template.as_str()), (RequestState::Accepted.into(), "job-right-to-work"));
    let verdict = result.verdict.unwrap();
    assert!(verdict.accepted && verdict.reason.is_empty());
    let credential = &verdict.credentials[0];
    assert_eq!(credential.issuer, did(&world.issuer));
    let mut paths = credential.disclosed_paths.clone();
    paths.sort();
    assert_eq!(paths, ["credentialSubject.legalResidence", "credentialSubject.rightToWork"]);
    assert!(verdict.checks.iter().all(|check| check.outcome != i32::from(CheckOutcome::Failed)));
    assert!(verdict.checks.iter().any(|check| check.name == "holder_binding"));
}

#[tokio::test]
async fn row_42_a_presentation_is_accepted_once() {
    let world = World::new().await;
    let asked = world.request().await;
    let answer = world.answer(&asked);
    World::accepted(world.submit(&asked, answer.clone()).await);
    assert_eq!(reason(world.submit(&asked, answer).await), "NONCE_REPLAYED");
    assert_eq!(reason(world.read(&asked.id).await), "NONCE_REPLAYED");
    assert_eq!(world.result(&asked.id).await.state, i32::from(RequestState::Accepted));
}

#[tokio::test]
async fn row_42_of_two_answers_at_once_one_counts() {
    let world = World::new().await;
    let asked = world.request().await;
    let answers = [world.answer(&asked), world.answer(&asked), world.answer(&asked), world.answer(&asked)];
    let [a, b, c, d] = answers.map(|answer| world.submit(&asked, answer));
    let (a, b, c, d) = tokio::join!(a, b, c, d);
    let (good, bad): (Vec<_>, Vec<_>) = [a, b, c, d].into_iter().partition(Result::is_ok);
    assert_eq!((good.len(), bad.len()), (1, 3));
    assert!(good.into_iter().all(|answer| answer.unwrap().accepted));
    for answer in bad {
        assert_eq!(reason(answer), "NONCE_REPLAYED");
    }
}

#[tokio::test]
async fn row_43_a_nonce_of_another_session() {
    let world = World::new().await;
    let (asked, other) = (world.request().await, world.request().await);
    World::refused(world.submit(&asked, world.answer(&other)).await, "challenge_mismatch");
    World::accepted(world.submit(&asked, world.answer(&asked)).await);
}

#[tokio::test]
async fn row_44_an_audience_without_its_prefix() {
    let world = World::new().await;
    let asked = world.request().await;
    let bare = asked.audience.strip_prefix("decentralized_identifier:").unwrap().to_owned();
    let bare = Asked { audience: bare, ..world.read(&asked.id).await.unwrap() };
    World::refused(world.submit(&asked, world.answer(&bare)).await, "domain_mismatch");
    World::accepted(world.submit(&asked, world.answer(&asked)).await);
}

#[tokio::test]
async fn row_45_a_presentation_without_key_binding() {
    let world = World::new().await;
    let asked = world.request().await;
    let shown = world.show(&["rightToWork", "legalResidence"]);
    World::refused(world.submit(&asked, shown.to_string()).await, "key_binding_missing");
    World::accepted(world.submit(&asked, world.bind(&shown, &asked)).await);
    // A query that claims to need no key binding changes nothing.
    let mut lax = query("vc+sd-jwt", &["rightToWork"]);
    lax["credentials"][0]["require_cryptographic_holder_binding"] = json!(false);
    let asked = world.request_for(&lax).await;
    let shown = world.show(&["rightToWork"]);
    World::refused(world.submit(&asked, shown.to_string()).await, "key_binding_missing");
    World::accepted(world.submit(&asked, world.bind(&shown, &asked)).await);
}

#[tokio::test]
async fn row_46_another_persons_credential() {
    let world = World::new().await;
    let asked = world.request().await;
    let shown = world.show(&["rightToWork", "legalResidence"]).to_string();
    // Another person's key with the holder's credential: bound by hand, since a correct library refuses to.
    let thief = key();
    let honest = SdJwt::parse(&shown).unwrap().bind_key(&asked.nonce, &asked.audience, now(), &world.holder).unwrap();
    let binding = honest.rsplit_once('~').unwrap().1;
    let payload = carnet_core::secure::jose::Jws::parse(binding).unwrap().payload().clone();
    let header = json!({"typ": "kb+jwt"}).as_object().unwrap().clone();
    let forged = carnet_core::secure::jose::sign(header, &payload, &thief).unwrap();
    World::refused(world.submit(&asked, format!("{shown}{forged}")).await, "key_binding_key");
    World::accepted(world.submit(&asked, honest).await);
}

#[tokio::test]
async fn row_48_a_stale_key_binding() {
    let world = World::new().await;
    let asked = world.request().await;
    let shown = world.show(&["rightToWork", "legalResidence"]);
    let stale = shown.bind_key(&asked.nonce, &asked.audience, hours_ago(1), &world.holder).unwrap();
    World::refused(world.submit(&asked, stale).await, "key_binding_stale");
    World::accepted(world.submit(&asked, world.bind(&shown, &asked)).await);
}

#[tokio::test]
async fn row_11_an_expired_credential() {
    let world = World::new().await;
    let asked = world.request().await;
    let mut document = world.document();
    document.insert("validUntil".into(), hours_ago(2).to_string().into());
    let shown = world.issue(&document).select_claims(&[
        super::world::path(&["credentialSubject", "rightToWork"]),
        super::world::path(&["credentialSubject", "legalResidence"]),
    ]);
    World::refused(world.submit(&asked, world.bind(&shown.unwrap(), &asked)).await, "expired");
    World::accepted(world.submit(&asked, world.answer(&asked)).await);
}

#[tokio::test]
async fn row_68_an_issuer_that_is_not_configured_for_the_type() {
    let world = World::new().await;
    let other = World::with(|config| {
        config.issuers[0].types = vec!["QualificationCredential".to_owned()];
    })
    .await;
    let asked = other.request().await;
    World::refused(other.submit(&asked, other.answer(&asked)).await, "issuer_untrusted");
    let stranger = World { issuer: key(), ..world };
    let asked = stranger.request().await;
    World::refused(stranger.submit(&asked, stranger.answer(&asked)).await, "issuer_untrusted");
    let world = World::new().await;
    let asked = world.request().await;
    World::accepted(world.submit(&asked, world.answer(&asked)).await);
}

#[tokio::test]
async fn row_77_a_requested_claim_is_missing() {
    let world = World::new().await;
    let asked = world.request().await;
    let less = world.show(&["rightToWork"]);
    World::refused(world.submit(&asked, world.bind(&less, &asked)).await, "query_unmet");
    World::accepted(world.submit(&asked, world.answer(&asked)).await);
}

#[tokio::test]
async fn row_78_claims_that_nobody_asked_for() {
    let world = World::new().await;
    let asked = world.request().await;
    let more = world.show(&["rightToWork", "legalResidence", "familyName"]);
    World::refused(world.submit(&asked, world.bind(&more, &asked)).await, "claim_unrequested");
    World::accepted(world.submit(&asked, world.answer(&asked)).await);
}

#[tokio::test]
async fn row_37_an_embedded_proof_without_challenge_or_domain() {
    let world = World::new().await;
    let asked = world.request_for(&query("di_vc+jcs", &["rightToWork"])).await;
    let honest = world.present_embedded(&asked.nonce, &asked.audience);
    let without = |member: &str| {
        let mut presentation: Value = serde_json::from_str(&honest).unwrap();
        presentation["proof"].as_object_mut().unwrap().remove(member);
        presentation.to_string()
    };
    World::refused(world.submit(&asked, without("challenge")).await, "challenge_missing");
    World::refused(world.submit(&asked, without("domain")).await, "domain_missing");
    World::refused(world.submit(&asked, world.embedded().to_string()).await, "type_missing");
    World::accepted(world.submit(&asked, honest).await);
}

#[tokio::test]
async fn row_38_an_embedded_proof_with_another_challenge_or_domain() {
    let world = World::new().await;
    let asked = world.request_for(&query("di_vc+jcs", &["rightToWork"])).await;
    let present = |nonce: &str, audience: &str| world.present_embedded(nonce, audience);
    World::refused(world.submit(&asked, present("another", &asked.audience)).await, "challenge_mismatch");
    World::refused(world.submit(&asked, present(&asked.nonce, "did:web:b.example")).await, "domain_mismatch");
    World::accepted(world.submit(&asked, present(&asked.nonce, &asked.audience)).await);
}

#[tokio::test]
async fn a_refused_answer_leaves_the_request_open_to_a_right_one_but_not_for_ever() {
    let world = World::new().await;
    let asked = world.request().await;
    World::refused(world.submit(&asked, "rubbish".to_owned()).await, "token_malformed");
    let result = world.result(&asked.id).await;
    assert_eq!((result.state, result.verdict.unwrap().accepted), (RequestState::Refused.into(), false));
    for _ in 1..crate::request::MAX_ATTEMPTS {
        World::refused(world.submit(&asked, "rubbish".to_owned()).await, "token_malformed");
    }
    assert_eq!(reason(world.submit(&asked, world.answer(&asked)).await), "REQUEST_ATTEMPTS_EXHAUSTED");
}

#[tokio::test]
async fn who_fetches_a_request_again_and_again_locks_no_wallet_out() {
    let world = World::new().await;
    let asked = world.request().await;
    let created = now();
    let fetch = async |nonce: u32, at| {
        let nonce = format!("nonce-of-a-wallet-{nonce:04}");
        world.verifier.openid_request_object(&asked.id, Some(&nonce), at).await
    };
    let mut fetched = 0;
    let refused = loop {
        match fetch(fetched, created).await {
            Ok(_) => fetched += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(wire::status_reason(&refused.into()).as_deref(), Some("REQUEST_OBJECTS_EXHAUSTED"));
    assert!((32..=33).contains(&fetched), "{fetched}");
    // The object without a nonce is always served, and one with a nonce again after some seconds.
    world.verifier.openid_request_object(&asked.id, None, created).await.unwrap();
    fetch(fetched, created.plus(4)).await.unwrap();
}

#[tokio::test]
async fn an_expired_request_is_neither_shown_nor_answered() {
    let world = World::new().await;
    let call = CreateRequestRequest {
        what: Some(What::Template("job-right-to-work".to_owned())),
        ttl_seconds: 5,
        ..Default::default()
    };
    let asked = world.ask(call).await;
    let later = now().plus(6);
    assert!(world.verifier.read_request(&asked.id, later).await.is_err());
    let vp_token = std::collections::BTreeMap::from([("residence".to_owned(), vec![world.answer(&asked)])]);
    let late = world.verifier.submit_presentation(&asked.id, vp_token, later).await.unwrap_err();
    assert_eq!(wire::status_reason(&late.into()).as_deref(), Some("REQUEST_EXPIRED"));
    world.verifier.erase_expired_data(later).await.unwrap();
    assert_eq!(world.result(&asked.id).await.state, i32::from(RequestState::Expired));
}

#[tokio::test]
async fn the_same_call_gives_the_same_request_and_another_one_is_refused() {
    let world = World::new().await;
    let call = |template: &str| CreateRequestRequest {
        request_id: "form-7".to_owned(),
        what: Some(What::Template(template.to_owned())),
        ttl_seconds: 0,
    };
    let first = world.staff().create_request(call("job-right-to-work")).await.unwrap().into_inner();
    let again = world.staff().create_request(call("job-right-to-work")).await.unwrap().into_inner();
    assert_eq!(first, again);
    assert_eq!(reason(world.staff().create_request(call("university-admission")).await), "REQUEST_ID_REUSED");
}

#[tokio::test]
async fn those_who_watch_see_what_was_disclosed_and_nobody_later() {
    let world = World::new().await;
    let asked = world.request_for(&query("vc+sd-jwt", &["familyName", "rightToWork"])).await;
    let watch = WatchResultRequest { id: asked.id.clone() };
    let mut changes = world.staff().watch_result(watch.clone()).await.unwrap().into_inner();
    let first = changes.message().await.unwrap().unwrap();
    assert_eq!(first.result.unwrap().state, i32::from(RequestState::Open));
    World::refused(world.submit(&asked, "rubbish".to_owned()).await, "token_malformed");
    let second = changes.message().await.unwrap().unwrap();
    assert_eq!(second.result.unwrap().state, i32::from(RequestState::Refused));
    let shown = world.show(&["familyName", "rightToWork"]);
    World::accepted(world.submit(&asked, world.bind(&shown, &asked)).await);
    let last = changes.message().await.unwrap().unwrap();
    assert_eq!(last.result.unwrap().state, i32::from(RequestState::Accepted));
    let disclosed = Value::Object(wire::from_struct(&last.disclosed.unwrap()).unwrap());
    assert_eq!(disclosed["permit"][0]["credentialSubject"]["familyName"], "Haddad");
    assert!(disclosed["permit"][0]["credentialSubject"].get("id").is_none());
    assert!(disclosed["permit"][0]["credentialSubject"].get("givenName").is_none());
    assert!(changes.message().await.unwrap().is_none());
    let mut late = world.staff().watch_result(watch).await.unwrap().into_inner();
    assert!(late.message().await.unwrap().unwrap().disclosed.is_none());
    assert!(late.message().await.unwrap().is_none());
}

#[tokio::test]
async fn no_claim_is_found_in_the_database_afterwards() {
    let world = World::new().await;
    let asked = world.request_for(&query("vc+sd-jwt", &["givenName", "familyName", "documentNumber"])).await;
    let shown = world.show(&["givenName", "familyName", "documentNumber"]);
    World::refused(world.submit(&asked, world.bind(&world.credential(), &asked)).await, "claim_unrequested");
    World::accepted(world.submit(&asked, world.bind(&shown, &asked)).await);
    world.staff().verify_credential(VerifyCredentialRequest { credential: shown.to_string().into() }).await.unwrap();
    let read = |bytes: &mut Vec<u8>| {
        for entry in std::fs::read_dir(world.dir.path()).unwrap() {
            bytes.extend(std::fs::read(entry.unwrap().path()).unwrap());
        }
    };
    let mut bytes = Vec::new();
    read(&mut bytes);
    world.verifier.store.purge_log().await;
    read(&mut bytes);
    let found = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(found("credentialSubject.familyName"), "the paths are kept");
    for secret in SECRETS {
        assert!(!found(secret), "{secret}");
    }
    // Nor in the encoded form of disclosures.
    for disclosure in shown.to_string().split('~').skip(1).filter(|text| !text.is_empty()) {
        assert!(!found(disclosure));
    }
}

#[tokio::test]
async fn a_value_that_was_asked_for_is_in_no_file_once_the_request_is_closed() {
    let world = World::new().await;
    let on_disk = || {
        std::fs::read_dir(world.dir.path()).unwrap().any(|entry| {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            bytes.windows(6).any(|window| window == b"Haddad")
        })
    };
    let mut query = query("vc+sd-jwt", &["familyName"]);
    query["credentials"][0]["claims"][0]["values"] = json!(["Haddad"]);
    let asked = world.request_for(&query).await;
    assert!(on_disk(), "the open request has it");
    let shown = world.show(&["familyName"]);
    World::accepted(world.submit(&asked, world.bind(&shown, &asked)).await);
    let unanswered = world.request_for(&query).await;
    world.verifier.erase_expired_data(now()).await.unwrap();
    assert!(on_disk(), "the other request is open");
    world.verifier.erase_expired_data(now().plus(601)).await.unwrap();
    assert!(!on_disk());
    // The remaining answer is accepted.
    assert_eq!(reason(world.submit(&asked, world.bind(&shown, &asked)).await), "NONCE_REPLAYED");
    assert_eq!(world.result(&asked.id).await.state, i32::from(RequestState::Accepted));
    assert_eq!(world.result(&unanswered.id).await.state, i32::from(RequestState::Expired));
}

#[tokio::test]
async fn a_credential_that_is_handed_over_directly() {
    let world = World::new().await;
    let verify = async |text: String| {
        let message = VerifyCredentialRequest { credential: text.into_bytes() };
        world.staff().verify_credential(message).await.unwrap().into_inner()
    };
    let whole = verify(world.credential().to_string()).await;
    let verdict = whole.verdict.unwrap();
    assert!(verdict.accepted, "{verdict:#?}");
    let binding = verdict.checks.iter().find(|check| check.name == "holder_binding").unwrap();
    assert_eq!(binding.outcome, i32::from(CheckOutcome::NotApplicable));
    assert!(whole.disclosed.is_some());
    assert!(verify(world.embedded().to_string()).await.verdict.unwrap().accepted);
    // One character of a claim is changed.
    let tampered = world.embedded().to_string().replace("unrestricted", "unrestrictes");
    let refused = verify(tampered).await;
    assert_eq!(refused.verdict.unwrap().reason, "signature_invalid");
    assert!(refused.disclosed.is_none());
}

#[tokio::test]
async fn a_presentation_that_is_handed_over_directly_needs_nonce_and_audience() {
    let world = World::new().await;
    let asked = world.request().await;
    let call = |nonce: &str, audience: &str| VerifyPresentationRequest {
        vp_token: token(&asked.query, world.answer(&asked)),
        dcql_query: Some(wire::to_struct(asked.payload["dcql_query"].as_object().unwrap())),
        nonce: nonce.to_owned(),
        audience: audience.to_owned(),
    };
    assert_eq!(reason(world.staff().verify_presentation(call("", &asked.audience)).await), "CHALLENGE_MISSING");
    assert_eq!(reason(world.staff().verify_presentation(call(&asked.nonce, "")).await), "DOMAIN_MISSING");
    let unbound = VerifyPresentationRequest {
        vp_token: token(&asked.query, world.show(&["rightToWork", "legalResidence"]).to_string()),
        ..call(&asked.nonce, &asked.audience)
    };
    let refused = world.staff().verify_presentation(unbound).await.unwrap().into_inner();
    assert_eq!(refused.verdict.unwrap().reason, "key_binding_missing");
    let held = world.staff().verify_presentation(call(&asked.nonce, &asked.audience)).await.unwrap().into_inner();
    assert!(held.verdict.unwrap().accepted);
}

#[tokio::test]
async fn requests_of_ones_own_are_held_to_their_rules() {
    let world = World::new().await;
    let create = async |what: What| {
        world.staff().create_request(CreateRequestRequest { what: Some(what), ..Default::default() }).await
    };
    let good = query("vc+sd-jwt", &["rightToWork"]);
    assert!(create(custom(&good)).await.is_ok());
    assert_eq!(reason(create(custom(&query("mso_mdoc", &["rightToWork"]))).await), "FORMAT_UNSUPPORTED");
    assert_eq!(reason(create(custom(&json!({"credentials": []}))).await), "QUERY_MALFORMED");
    let mut optional = good.clone();
    optional["credential_sets"] = json!([{"options": [["permit"]], "required": false}]);
    assert_eq!(reason(create(custom(&optional)).await), "QUERY_UNSUPPORTED");
    // Too large as text, although not as a message.
    let mut large = good.clone();
    large["padding"] = "\u{1}".repeat(12_000).into();
    assert_eq!(reason(create(custom(&large)).await), "QUERY_MALFORMED");
    large["padding"] = "\u{1}".repeat(8_000).into();
    assert!(create(custom(&large)).await.is_ok());
    assert_eq!(reason(create(What::Template("nothing".to_owned())).await), "TEMPLATE_UNKNOWN");
    let What::Query(mut silent) = custom(&good) else { panic!() };
    silent.purpose.clear();
    assert_eq!(reason(create(What::Query(silent)).await), "TEXT_MISSING");
    assert_eq!(reason(world.staff().create_request(CreateRequestRequest::default()).await), "QUERY_MISSING");
}

#[cfg(feature = "jsonld")]
#[tokio::test]
async fn a_credential_that_is_signed_as_rdf() {
    let world = World::new().await;
    let suites = crate::verification::supported_suites(&world.verifier.verification.catalogue).unwrap();
    let suite = suites
        .for_signing(carnet_core::format::CredentialFormat::LdpVc, carnet_core::keys::SignatureAlgorithm::EdDsa)
        .unwrap();
    let asked = world.request_for(&query("ldp_vc", &["rightToWork"])).await;
    let mut tampered = world.embedded_by(suite);
    tampered["credentialSubject"]["permitType"] = json!("study");
    let tampered = world.present_document(tampered, &asked.nonce, &asked.audience);
    World::refused(world.submit(&asked, tampered).await, "signature_invalid");
    let honest = world.present_document(world.embedded_by(suite), &asked.nonce, &asked.audience);
    World::accepted(world.submit(&asked, honest).await);
}

#[tokio::test]
async fn a_query_for_what_the_catalogue_does_not_have_is_made_for_those_who_insist() {
    let world = World::new().await;
    let create = async |what: What| {
        let call = CreateRequestRequest { what: Some(what), ..Default::default() };
        world.staff().create_request(call).await
    };
    let of_type = |name: &str| {
        let mut asked = query("vc+sd-jwt", &["rightToWork"]);
        asked["credentials"][0]["meta"] = json!({"type_values": [[name]]});
        asked
    };
    for (asked, words) in [
        (
            query("vc+sd-jwt", &["rightToWrok"]),
            ["rightToWrok", r#"the nearest is ["credentialSubject","rightToWork"]"#],
        ),
        (of_type("ResidencePermit"), ["no type \"ResidencePermit\"", "the nearest is ResidencePermitCredential"]),
        (query("vc+sd-jwt", &["shoeSize"]), ["shoeSize", "allow_unknown"]),
    ] {
        let warned = create(custom(&asked)).await;
        let message = warned.as_ref().unwrap_err().message().to_owned();
        assert!(words.iter().all(|words| message.contains(words)), "{message}");
        assert_eq!(reason(warned), "QUERY_UNKNOWN");
        let What::Query(mut insisting) = custom(&asked) else { panic!() };
        insisting.allow_unknown = true;
        assert!(create(What::Query(insisting)).await.is_ok());
    }
    // The valid case: types and claims of the catalogue need no option.
    assert!(create(custom(&query("vc+sd-jwt", &["rightToWork"]))).await.is_ok());
}
