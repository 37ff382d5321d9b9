//! One table of inputs through both wires: the same verdict, and the same reason.

use std::collections::HashMap;

use carnet_core::{
    keys::{SecretKey, SignatureAlgorithm},
    secure::sd_jwt::SdJwt,
};
use carnet_proto::verifier::v1::{
    PresentationList, SubmitPresentationRequest, presentation_service_client::PresentationServiceClient,
};
use carnet_tests::{
    Result,
    visitor::{self, Asked, Copy, now},
};
use rand_core::OsRng;
use tonic::transport::Channel;

use super::{Scene, VpToken, one, wallet::Request};

/// Makes an answer from a copy and a request.
type Make = fn(&Copy, &Asked) -> Result<VpToken>;

/// Inputs with their reasons; the first is the honest twin.
const CASES: &[(&str, Make, Option<&str>)] = &[
    ("honest", |copy, asked| Ok(one("residence", visitor::present(copy, asked, now())?)), None),
    (
        "another nonce",
        |copy, asked| {
            let asked = Asked { nonce: "another-nonce-0123456789".to_owned(), ..asked.clone() };
            Ok(one("residence", visitor::present(copy, &asked, now())?))
        },
        Some("challenge_mismatch"),
    ),
    (
        "another audience",
        |copy, asked| {
            let asked = Asked { audience: "decentralized_identifier:did:web:x.example".to_owned(), ..asked.clone() };
            Ok(one("residence", visitor::present(copy, &asked, now())?))
        },
        Some("domain_mismatch"),
    ),
    (
        "row 44: the audience without its prefix",
        |copy, asked| {
            let audience = asked.audience.trim_start_matches("decentralized_identifier:").to_owned();
            Ok(one("residence", visitor::present(copy, &Asked { audience, ..asked.clone() }, now())?))
        },
        Some("domain_mismatch"),
    ),
    (
        "bound an hour ago",
        |copy, asked| Ok(one("residence", visitor::present(copy, asked, now().plus(-3_600))?)),
        Some("key_binding_stale"),
    ),
    (
        "bound by another key",
        |copy, asked| {
            let shown = SdJwt::parse(&copy.credential)?.select_claims(&asked.paths)?.to_string();
            let thief = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng);
            Ok(one("residence", visitor::bind_with(&shown, asked, now(), &thief)?))
        },
        Some("key_binding_key"),
    ),
    (
        "not bound",
        |copy, asked| Ok(one("residence", SdJwt::parse(&copy.credential)?.select_claims(&asked.paths)?.to_string())),
        Some("key_binding_missing"),
    ),
    (
        "a disclosure taken away after binding",
        |copy, asked| {
            let honest = visitor::present(copy, asked, now())?;
            let first = honest.split('~').nth(1).ok_or("nothing is disclosed")?;
            Ok(one("residence", honest.replacen(&format!("{first}~"), "", 1)))
        },
        Some("key_binding_hash"),
    ),
    (
        "a disclosure that was changed, and bound",
        |copy, asked| {
            let shown = SdJwt::parse(&copy.credential)?.select_claims(&asked.paths)?.to_string();
            let first = shown.split('~').nth(1).ok_or("nothing is disclosed")?;
            // ["AAAA","rightToWork",true]
            let shown = shown.replacen(first, "WyJBQUFBIiwicmlnaHRUb1dvcmsiLHRydWVd", 1);
            Ok(one("residence", visitor::bind_with(&shown, asked, now(), &copy.key)?))
        },
        Some("disclosure_unreferenced"),
    ),
    (
        "row 77: a claim is missing",
        |copy, asked| {
            let fewer = asked.paths.get(..1).ok_or("no path")?.to_vec();
            Ok(one("residence", visitor::present(copy, &Asked { paths: fewer, ..asked.clone() }, now())?))
        },
        Some("query_unmet"),
    ),
    (
        "row 78: claims that nobody asked for",
        |copy, asked| {
            let all = SdJwt::parse(&copy.credential)?;
            Ok(one("residence", all.bind_key(&asked.nonce, &asked.audience, now(), &copy.key)?))
        },
        Some("claim_unrequested"),
    ),
    (
        "a credential that nobody asked for",
        |copy, asked| {
            let honest = visitor::present(copy, asked, now())?;
            Ok(VpToken::from([("residence".to_owned(), vec![honest.clone()]), ("diploma".to_owned(), vec![honest])]))
        },
        Some("claim_unrequested"),
    ),
    (
        "one credential in both formats' places",
        |copy, asked| {
            let honest = visitor::present(copy, asked, now())?;
            Ok(VpToken::from([
                ("residence".to_owned(), vec![honest.clone()]),
                ("residence-dc".to_owned(), vec![honest]),
            ]))
        },
        Some("claim_unrequested"),
    ),
    (
        "one credential twice",
        |copy, asked| {
            let honest = visitor::present(copy, asked, now())?;
            Ok(VpToken::from([("residence".to_owned(), vec![honest.clone(), honest])]))
        },
        Some("claim_unrequested"),
    ),
    ("nothing", |_, _| Ok(VpToken::new()), Some("query_unmet")),
    ("no SD-JWT", |_, _| Ok(one("residence", "x".to_owned())), Some("token_malformed")),
    (
        "a changed signature of the issuer",
        |copy, asked| {
            let shown = SdJwt::parse(&copy.credential)?.select_claims(&asked.paths)?.to_string();
            let shown = super::modules::with_broken_signature(&shown)?;
            Ok(one("residence", visitor::bind_with(&shown, asked, now(), &copy.key)?))
        },
        Some("signature_invalid"),
    ),
];

/// Submits an answer on the first wire.
pub(crate) async fn by_grpc(scene: &Scene, id: &str, vp_token: &VpToken) -> Result<Option<String>> {
    let mut verifier: PresentationServiceClient<Channel> =
        PresentationServiceClient::connect(scene.stage.agency.service.url.clone()).await?;
    let vp_token: HashMap<String, PresentationList> = vp_token
        .iter()
        .map(|(id, presentations)| (id.clone(), PresentationList { presentations: presentations.clone() }))
        .collect();
    let message = SubmitPresentationRequest { id: id.to_owned(), vp_token };
    let answer = verifier.submit_presentation(message).await.map(tonic::Response::into_inner);
    Ok(visitor::refusal(&answer))
}

#[tokio::test(flavor = "multi_thread")]
async fn both_wires_come_to_the_same_verdict() -> Result<()> {
    let mut scene = Scene::set().await?;
    for mode in ["direct_post.jwt", "direct_post"] {
        for (name, make, expected) in CASES {
            // A wrong answer leaves a request open, so that both wires see the same bytes.
            let shared = scene.create(0).await?;
            for first in [true, false] {
                let made = if expected.is_some() { shared.clone() } else { scene.create(0).await? };
                let request = Request::fetch(&made.openid_request_uri).await?;
                let vp_token = make(&scene.vc, &request.asked("residence")?)?;
                let reason = if first {
                    by_grpc(&scene, &made.id, &vp_token).await?
                } else {
                    let answer = request.submit(&vp_token).await?;
                    assert!(answer.status == 200 || (400..500).contains(&answer.status), "{name}: {answer:?}");
                    answer.refusal()
                };
                assert_eq!(reason.as_deref(), *expected, "{name}, {mode}, by gRPC: {first}");
            }
        }
        if mode == "direct_post.jwt" {
            scene.reconfigure("encrypt_responses = false\n").await?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn both_wires_close_a_request_together() -> Result<()> {
    let scene = Scene::set().await?;
    let present = |request: &Request, at| -> Result<VpToken> {
        Ok(one("residence", visitor::present(&scene.vc, &request.asked("residence")?, at)?))
    };
    // An answer on one wire closes the request on the other.
    for grpc_first in [true, false] {
        let made = scene.create(0).await?;
        let request = Request::fetch(&made.openid_request_uri).await?;
        let honest = present(&request, now())?;
        let (first, second) = if grpc_first {
            (by_grpc(&scene, &made.id, &honest).await?, request.submit(&honest).await?.refusal())
        } else {
            (request.submit(&honest).await?.refusal(), by_grpc(&scene, &made.id, &honest).await?)
        };
        assert_eq!((first, second.as_deref()), (None, Some("nonce_replayed")));
        assert_eq!(super::wallet::send("GET", &request_uri(&made.openid_request_uri)?, "", "").await?.status, 400);
    }
    // Ten wrong answers, by turns.
    let made = scene.create(0).await?;
    let request = Request::fetch(&made.openid_request_uri).await?;
    for turn in 0..10 {
        let wrong = present(&request, now().plus(-3_600))?;
        let reason = if turn % 2 == 0 {
            by_grpc(&scene, &made.id, &wrong).await?
        } else {
            request.submit(&wrong).await?.refusal()
        };
        assert_eq!(reason.as_deref(), Some("key_binding_stale"));
    }
    let honest = present(&request, now())?;
    for reason in [by_grpc(&scene, &made.id, &honest).await?, request.submit(&honest).await?.refusal()] {
        assert_eq!(reason.as_deref(), Some("request_attempts_exhausted"));
    }
    // Past its end.
    let made = scene.create(5).await?;
    let request = Request::fetch(&made.openid_request_uri).await?;
    while scene.state(&made.id, "").await != Ok(carnet_proto::verifier::v1::RequestState::Expired) {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    let late = present(&request, now())?;
    for reason in [by_grpc(&scene, &made.id, &late).await?, request.submit(&late).await?.refusal()] {
        assert_eq!(reason.as_deref(), Some("request_expired"));
    }
    // Nobody's request.
    let nobodys = "AAAAAAAAAAAAAAAAAAAAAA";
    let url = request.text("response_uri").replace(&made.id, nobodys);
    let body = request.body(&late, carnet_core::secure::jwe::ContentEncryption::A128Gcm)?;
    let answer = super::wallet::send("POST", &url, super::wallet::FORM, &body).await?;
    for reason in [by_grpc(&scene, nobodys, &late).await?, answer.refusal()] {
        assert_eq!(reason.as_deref(), Some("request_unknown"));
    }
    Ok(())
}

fn request_uri(link: &str) -> Result<String> {
    super::wallet::parameter(link, "request_uri")
}
