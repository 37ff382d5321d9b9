//! Many presentations in a stream, and many requests in a call: each item as if it came alone.

use carnet_proto::verifier::v1::{
    CreateRequestRequest, CreateRequestsRequest, HandedOverPresentation, VerifyPresentationsRequest,
    VerifyPresentationsResponse, create_request_request::What, presentation_outcome::Outcome as PresentationOutcome,
    request_outcome::Outcome as RequestOutcome,
};
use carnet_service::wire;
use tonic::{Code, Status, Streaming};

use super::world::{Asked, World, reason, token};
use crate::batches::{MAX_PRESENTATIONS, MAX_REQUESTS};

fn message(asked: &Asked, items: Vec<HandedOverPresentation>) -> VerifyPresentationsRequest {
    let dcql_query = Some(wire::to_struct(asked.payload["dcql_query"].as_object().unwrap()));
    VerifyPresentationsRequest { dcql_query, audience: asked.audience.clone(), items }
}

fn item(asked: &Asked, text: String, nonce: &str) -> HandedOverPresentation {
    HandedOverPresentation { vp_token: token(&asked.query, text), nonce: nonce.to_owned() }
}

/// Sends the messages and then the end of the stream.
async fn stream(world: &World, messages: Vec<VerifyPresentationsRequest>) -> Streaming<VerifyPresentationsResponse> {
    world.staff().verify_presentations(tokio_stream::iter(messages)).await.unwrap().into_inner()
}

/// Reasons of the outcomes of a message; empty for those that were accepted.
fn reasons(answer: VerifyPresentationsResponse) -> Vec<String> {
    let reason = |outcome| match outcome {
        Some(PresentationOutcome::Answer(answer)) => {
            let verdict = answer.verdict.unwrap();
            assert_eq!((verdict.accepted, verdict.accepted), (verdict.reason.is_empty(), answer.disclosed.is_some()));
            verdict.reason
        }
        Some(PresentationOutcome::Error(error)) => error.reason,
        None => panic!("no outcome"),
    };
    answer.outcomes.into_iter().map(|outcome| reason(outcome.outcome)).collect()
}

#[tokio::test]
async fn each_presentation_of_a_stream_is_judged_as_if_it_came_alone() {
    let world = World::new().await;
    let asked = world.request().await;
    let good = || item(&asked, world.answer(&asked), &asked.nonce);
    let unbound = world.show(&["rightToWork", "legalResidence"]).to_string();
    let items = vec![
        good(),
        item(&asked, unbound, &asked.nonce),
        good(),
        item(&asked, world.answer(&asked), ""),
        item(&asked, world.answer(&asked), "another-nonce"),
        good(),
    ];
    let mut answers = stream(&world, vec![message(&asked, items), message(&asked, vec![good()])]).await;
    let first = reasons(answers.message().await.unwrap().unwrap());
    assert_eq!(first, ["", "key_binding_missing", "", "CHALLENGE_MISSING", "challenge_mismatch", ""]);
    assert_eq!(reasons(answers.message().await.unwrap().unwrap()), [""]);
    assert!(answers.message().await.unwrap().is_none(), "the stream ends with that of the caller");
}

#[tokio::test]
async fn an_error_of_a_whole_message_ends_the_stream_after_what_was_answered() {
    let world = World::new().await;
    let asked = world.request().await;
    let good = || item(&asked, world.answer(&asked), &asked.nonce);
    let refused = async |bad: VerifyPresentationsRequest| {
        let mut answers = stream(&world, vec![message(&asked, vec![good()]), bad, message(&asked, vec![good()])]).await;
        assert_eq!(reasons(answers.message().await.unwrap().unwrap()), [""]);
        reason(answers.message().await)
    };
    let one = || message(&asked, vec![good()]);
    assert_eq!(refused(message(&asked, Vec::new())).await, "BATCH_SIZE_OUT_OF_RANGE");
    assert_eq!(refused(VerifyPresentationsRequest { audience: String::new(), ..one() }).await, "DOMAIN_MISSING");
    assert_eq!(refused(VerifyPresentationsRequest { dcql_query: None, ..one() }).await, "QUERY_MISSING");
    let small = || item(&asked, "x".to_owned(), "n");
    let many = |count: usize| message(&asked, (0..count).map(|_| small()).collect());
    assert_eq!(refused(many(MAX_PRESENTATIONS + 1)).await, "BATCH_SIZE_OUT_OF_RANGE");
    let mut most = stream(&world, vec![many(MAX_PRESENTATIONS)]).await;
    assert_eq!(reasons(most.message().await.unwrap().unwrap()).len(), MAX_PRESENTATIONS);
}

#[tokio::test]
async fn a_stream_needs_the_token_and_ends_when_the_service_stops() {
    let world = World::new().await;
    let mut anybody =
        carnet_proto::verifier::v1::verification_service_client::VerificationServiceClient::new(world.channel.clone());
    let refused = anybody.verify_presentations(tokio_stream::iter(Vec::new())).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let refused: Status = anybody.create_requests(CreateRequestsRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let mut answers = world.staff().verify_presentations(tokio_stream::pending()).await.unwrap().into_inner();
    world.verifier.watch_hub.end_watches();
    assert_eq!(reason(answers.message().await), "STOPPING");
}

#[tokio::test]
async fn requests_of_a_batch_are_created_as_if_each_came_alone() {
    let world = World::new().await;
    let call = |request_id: &str, template: &str| CreateRequestRequest {
        request_id: request_id.to_owned(),
        what: Some(What::Template(template.to_owned())),
        ttl_seconds: 0,
    };
    let create = async |requests: Vec<CreateRequestRequest>| {
        let answered = world.staff().create_requests(CreateRequestsRequest { requests }).await;
        answered
            .map(|answer| answer.into_inner().outcomes.into_iter().map(|one| one.outcome.unwrap()).collect::<Vec<_>>())
    };
    let batch = || {
        vec![
            call("a", "job-right-to-work"),
            call("b", "no-such-template"),
            call("c", "job-right-to-work"),
            CreateRequestRequest { ttl_seconds: 1, ..call("d", "job-right-to-work") },
            CreateRequestRequest { what: None, ..call("e", "") },
        ]
    };
    let mut ids = Vec::new();
    for _ in 0..2 {
        let mut reasons = Vec::new();
        for outcome in create(batch()).await.unwrap() {
            match outcome {
                RequestOutcome::Created(created) => {
                    assert!(world.read(&created.id).await.is_ok());
                    ids.push(created.id);
                }
                RequestOutcome::Error(error) => reasons.push((error.code, error.reason)),
            }
        }
        let invalid = u32::try_from(i32::from(Code::InvalidArgument)).unwrap();
        let expected = ["TEMPLATE_UNKNOWN", "TTL_OUT_OF_RANGE", "QUERY_MISSING"];
        assert_eq!(reasons, expected.map(|reason| (invalid, reason.to_owned())));
    }
    // The same request_ids give the same requests.
    assert_eq!((ids.len(), &ids[..2]), (4, &ids[2..]));
    assert_ne!(ids[0], ids[1]);
    assert_eq!(reason(create(Vec::new()).await), "BATCH_SIZE_OUT_OF_RANGE");
    let many = |count: usize| (0..count).map(|_| call("", "job-right-to-work")).collect::<Vec<_>>();
    assert_eq!(reason(create(many(MAX_REQUESTS + 1)).await), "BATCH_SIZE_OUT_OF_RANGE");
    let most = create(many(MAX_REQUESTS)).await.unwrap();
    assert!(most.iter().all(|outcome| matches!(outcome, RequestOutcome::Created(_))));
}
