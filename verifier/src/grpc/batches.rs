//! Calls for many presentations and many requests of `carnet.verifier.v1.VerificationService`.

use std::{sync::Arc, time::Duration};

use carnet_proto::verifier::v1 as proto;
use carnet_service::{error::CallError, time::now, wire};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::convert;
use crate::{
    error::Error,
    store::Store,
    verification::{HandedOver, HandedOverResult},
    verifier::Verifier,
};

/// Maximum duration of a stream of presentations: its staff token is checked when it begins.
const MAX_STREAM_DURATION: Duration = Duration::from_secs(600);

type Answers = ReceiverStream<Result<proto::VerifyPresentationsResponse, Status>>;

/// Answers the messages of a stream in their order, until its end, its maximum duration, or the stop of the service.
pub(super) fn verify_stream<S: Store>(
    verifier: Arc<Verifier<S>>,
    mut incoming: Streaming<proto::VerifyPresentationsRequest>,
) -> Answers {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut stopping = verifier.watch_hub.stopping();
        let mut end = std::pin::pin!(tokio::time::sleep(MAX_STREAM_DURATION));
        loop {
            let message = tokio::select! {
                () = sender.closed() => break,
                () = stopping.wait() => Err(Error::Stopping.into()),
                () = &mut end => Err(Error::StreamEnded.into()),
                next = incoming.message() => match next {
                    Ok(Some(message)) => answer_message(&verifier, message).await,
                    Ok(None) => break,
                    Err(status) => Err(status),
                },
            };
            let is_last = message.is_err();
            if sender.send(message).await.is_err() || is_last {
                break;
            }
        }
    });
    ReceiverStream::new(receiver)
}

async fn answer_message<S: Store>(
    verifier: &Arc<Verifier<S>>,
    message: proto::VerifyPresentationsRequest,
) -> Result<proto::VerifyPresentationsResponse, Status> {
    let proto::VerifyPresentationsRequest { dcql_query, audience, items } = message;
    let dcql = convert::parse_query_struct(dcql_query.as_ref(), "dcql_query")?;
    let items =
        items.into_iter().map(|item| HandedOver { vp_token: convert::vp_token(item.vp_token), nonce: item.nonce });
    let results = verifier.verify_presentations(items.collect(), dcql, audience, now()).await?;
    Ok(proto::VerifyPresentationsResponse { outcomes: results.into_iter().map(outcome).collect() })
}

fn outcome(result: HandedOverResult) -> proto::PresentationOutcome {
    use proto::presentation_outcome::Outcome;
    let outcome = match result {
        Ok((verdict, disclosed)) => Outcome::Answer(proto::VerifyPresentationResponse {
            verdict: Some(convert::verdict(&verdict)),
            disclosed: disclosed.as_ref().map(convert::disclosed),
        }),
        Err(error) => Outcome::Error(item_error(error)),
    };
    proto::PresentationOutcome { outcome: Some(outcome) }
}

/// Creates several requests, and returns their outcomes in order.
pub(super) async fn create_requests<S: Store>(
    verifier: &Arc<Verifier<S>>,
    calls: Vec<proto::CreateRequestRequest>,
) -> Result<proto::CreateRequestsResponse, Status> {
    use proto::request_outcome::Outcome;
    let calls = calls.into_iter().map(convert::create_request).collect();
    let results = verifier.create_requests(calls, now()).await?;
    let outcomes = results.into_iter().map(|result| proto::RequestOutcome {
        outcome: Some(match result {
            Ok(created) => Outcome::Created(convert::created_request(created)),
            Err(error) => Outcome::Error(item_error(error)),
        }),
    });
    Ok(proto::CreateRequestsResponse { outcomes: outcomes.collect() })
}

/// Converts the error of one item: code, reason and text are those of the call for one.
fn item_error(error: Error) -> proto::ItemError {
    let error = CallError::from(error);
    let retry_after_seconds = error.retry_after.map_or(0, |after| u32::try_from(after.as_secs()).unwrap_or(u32::MAX));
    let reason = error.reason.clone().into_owned();
    let status = Status::from(error);
    proto::ItemError {
        code: wire::code_number(status.code()),
        reason,
        message: status.message().to_owned(),
        retry_after_seconds,
    }
}
