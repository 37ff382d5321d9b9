//! Forged inputs that the real verifier and issuer must refuse, each with the twin that passes.

use carnet_core::{
    keys::{SecretKey, SignatureAlgorithm, Signer as _},
    secure::{jose, sd_jwt::SdJwt},
};
use carnet_proto::issuer::v1::{
    CollectCredentialsRequest, IssueNonceRequest, RedeemOfferRequest, issuance_service_client::IssuanceServiceClient,
};
use carnet_tests::{
    Result,
    stage::{Stage, residence_permit},
    visitor::{self, Asked, Copy, Offer, now, object},
};
use rand_core::OsRng;
use serde_json::json;

const PERMIT: &str = "ResidencePermitCredential";

async fn collect(stage: &Stage, extra: &[&str]) -> Result<Copy> {
    let offered = stage.offer(&stage.authority, PERMIT, &residence_permit(), extra)?;
    visitor::collect(&offered.uri, offered.pin.as_deref(), now()).await
}

async fn ask(stage: &Stage) -> Result<Asked> {
    visitor::read_request(&stage.request("job-right-to-work")?.1).await
}

async fn outcome(asked: &Asked, presentation: String) -> Option<String> {
    visitor::refusal(&visitor::submit(asked, presentation).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn presentations_that_must_not_pass() -> Result<()> {
    let stage = Stage::set(false).await?;
    let mine = collect(&stage, &[]).await?;
    let asked = ask(&stage).await?;
    let honest = visitor::present(&mine, &asked, now())?;
    let shown = SdJwt::parse(&mine.credential)?.select_claims(&asked.paths)?.to_string();

    let refused = |presentation: String| outcome(&asked, presentation);
    // Row 45: without key binding.
    assert_eq!(refused(shown.clone()).await.as_deref(), Some("key_binding_missing"));
    // Row 46: bound by another key.
    let thief = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng);
    assert_eq!(refused(visitor::bind_with(&shown, &asked, now(), &thief)?).await.as_deref(), Some("key_binding_key"));
    // Row 47: a disclosure taken away after binding.
    let first = shown.split('~').nth(1).ok_or("nothing is disclosed")?;
    assert_eq!(refused(honest.replacen(&format!("{first}~"), "", 1)).await.as_deref(), Some("key_binding_hash"));
    // Row 48: bound long ago.
    let stale = visitor::present(&mine, &asked, now().plus(-3600))?;
    assert_eq!(refused(stale).await.as_deref(), Some("key_binding_stale"));
    // Row 44: the audience without its prefix.
    let bare = asked.audience.trim_start_matches("decentralized_identifier:").to_owned();
    let elsewhere = visitor::present(&mine, &Asked { audience: bare, ..asked.clone() }, now())?;
    assert_eq!(refused(elsewhere).await.as_deref(), Some("domain_mismatch"));
    // Row 78: more than was asked for.
    let everything = SdJwt::parse(&mine.credential)?.bind_key(&asked.nonce, &asked.audience, now(), &mine.key)?;
    assert_eq!(refused(everything).await.as_deref(), Some("claim_unrequested"));
    // Row 77: less than was asked for.
    let less = SdJwt::parse(&mine.credential)?.select_claims(&[])?.bind_key(
        &asked.nonce,
        &asked.audience,
        now(),
        &mine.key,
    )?;
    assert_eq!(refused(less).await.as_deref(), Some("query_unmet"));
    // Row 11: expired.
    let past = collect(&stage, &["--valid-from", "2020-01-01", "--valid-until", "2024-01-01"]).await?;
    assert_eq!(refused(visitor::present(&past, &asked, now())?).await.as_deref(), Some("expired"));
    // The twin of all of these.
    assert_eq!(refused(honest.clone()).await, None);
    // Row 42: the same again.
    assert!(refused(honest.clone()).await.is_some());
    // Row 43: in another session.
    assert_eq!(outcome(&ask(&stage).await?, honest).await.as_deref(), Some("challenge_mismatch"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_no_credential_at_all() -> Result<()> {
    let stage = Stage::set(false).await?;
    let asked = ask(&stage).await?;
    for nonsense in ["", "~", "a.b.c", "{}", "\u{0}", "{\"@context\":"] {
        assert!(outcome(&asked, nonsense.to_owned()).await.is_some(), "{nonsense:?}");
    }
    // A stranger's nonsense did not use up the request.
    let mine = collect(&stage, &[]).await?;
    assert_eq!(outcome(&asked, visitor::present(&mine, &asked, now())?).await, None);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn row_68_a_permit_by_an_issuer_that_is_trusted_for_another_type_only() -> Result<()> {
    let stage = Stage::set(false).await?;
    let asked = ask(&stage).await?;
    let offered = stage.offer(&stage.university, PERMIT, &residence_permit(), &[])?;
    let foreign = visitor::collect(&offered.uri, None, now()).await?;
    assert_eq!(outcome(&asked, visitor::present(&foreign, &asked, now())?).await.as_deref(), Some("issuer_untrusted"));
    let own = collect(&stage, &[]).await?;
    assert_eq!(outcome(&asked, visitor::present(&own, &asked, now())?).await, None);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_answers_at_the_same_time_are_one_success() -> Result<()> {
    let stage = Stage::set(false).await?;
    let mine = collect(&stage, &[]).await?;
    let asked = ask(&stage).await?;
    let honest = visitor::present(&mine, &asked, now())?;
    let answers: Vec<_> = (0..8).map(|_| (asked.clone(), honest.clone())).collect();
    let tasks: Vec<_> =
        answers.into_iter().map(|(asked, shown)| tokio::spawn(async move { outcome(&asked, shown).await })).collect();
    let mut accepted = 0;
    for task in tasks {
        accepted += usize::from(task.await?.is_none());
    }
    assert_eq!(accepted, 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn row_79_an_offer_code_used_twice() -> Result<()> {
    let stage = Stage::set(false).await?;
    let offered = stage.offer(&stage.authority, PERMIT, &residence_permit(), &[])?;
    visitor::collect(&offered.uri, None, now()).await?;
    let again = visitor::collect(&offered.uri, None, now()).await;
    assert!(again.is_err());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn row_80_guessing_the_pin() -> Result<()> {
    let stage = Stage::set(false).await?;
    let offered = stage.offer(&stage.authority, PERMIT, &residence_permit(), &["--pin"])?;
    let pin = offered.pin.clone().ok_or("there is no PIN")?;
    let wrong = if pin == "000000" { "111111" } else { "000000" };
    // The twin: one slip is forgiven.
    assert!(visitor::collect(&offered.uri, Some(wrong), now()).await.is_err());
    assert!(visitor::collect(&offered.uri, Some(&pin), now()).await.is_ok());

    let guessed = stage.offer(&stage.authority, PERMIT, &residence_permit(), &["--pin"])?;
    let pin = guessed.pin.clone().ok_or("there is no PIN")?;
    let wrong = if pin == "000000" { "111111" } else { "000000" };
    for _ in 0..5 {
        assert!(visitor::collect(&guessed.uri, Some(wrong), now()).await.is_err());
    }
    assert!(visitor::collect(&guessed.uri, Some(&pin), now()).await.is_err(), "the right PIN comes too late");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn row_81_an_issuance_nonce_replayed_and_proofs_that_are_none() -> Result<()> {
    let stage = Stage::set(false).await?;
    let did = stage.authority.did.clone();
    let mut issuer = IssuanceServiceClient::connect(stage.authority.service.url.clone()).await?;
    let nonce = issuer.issue_nonce(IssueNonceRequest {}).await?.into_inner().c_nonce;
    let key = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng);
    let jwk = key.public_key().to_jwk();
    let signed = |header, payload| jose::sign(object(header), &object(payload), &key);
    let claims = json!({"aud": did, "iat": now().unix(), "nonce": nonce});
    let good = visitor::proof(&key, &did, &nonce, now())?;
    let bad = [
        signed(json!({"typ": "kb+jwt", "jwk": jwk}), claims.clone())?,
        signed(json!({"typ": "openid4vci-proof+jwt"}), claims.clone())?,
        signed(json!({"typ": "openid4vci-proof+jwt", "jwk": jwk, "kid": "did:jwk:abc#0"}), claims.clone())?,
        signed(
            json!({"typ": "openid4vci-proof+jwt", "jwk": jwk}),
            json!({"aud": "did:web:other.example", "iat": now().unix(), "nonce": nonce}),
        )?,
        signed(
            json!({"typ": "openid4vci-proof+jwt", "jwk": jwk}),
            json!({"aud": did, "iat": now().plus(-3600).unix(), "nonce": nonce}),
        )?,
        signed(
            json!({"typ": "openid4vci-proof+jwt", "jwk": jwk}),
            json!({"aud": did, "iat": now().unix(), "nonce": "made-up"}),
        )?,
        "not a page token".to_owned(),
    ];
    for proof in bad {
        assert!(try_proof(&stage, &mut issuer, &proof).await?.is_some(), "{proof}");
    }
    assert_eq!(try_proof(&stage, &mut issuer, &good).await?, None);
    assert_eq!(try_proof(&stage, &mut issuer, &good).await?.as_deref(), Some("invalid_nonce"));
    Ok(())
}

/// Tries a proof on a fresh offer: why it was refused, or `None`.
async fn try_proof(
    stage: &Stage,
    issuer: &mut IssuanceServiceClient<tonic::transport::Channel>,
    proof: &str,
) -> Result<Option<String>> {
    let offered = stage.offer(&stage.authority, PERMIT, &residence_permit(), &[])?;
    let offer = Offer::parse(&offered.uri)?;
    let redeem = RedeemOfferRequest { pre_authorized_code: offer.code, ..Default::default() };
    let token = issuer.redeem_offer(redeem).await?.into_inner().access_token;
    let collect =
        CollectCredentialsRequest { credential_configuration_id: offer.configuration, proofs: vec![proof.to_owned()] };
    let answer = issuer.collect_credentials(visitor::with_bearer(collect, &token)?).await;
    Ok(answer.err().map(|status| visitor::reason(&status)))
}
