//! OpenID4VP endpoints `GET` and `POST /openid/request/{id}`, and `POST /openid/response/{id}` (OpenID4VP 1.0 sections
//! 5.10 and 8.2).

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Path, State, rejection::PathRejection},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    middleware::map_response,
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use carnet_core::json::Limits;
use carnet_openid::{
    form::FormParameters,
    vp::{
        REQUEST_MEDIA_TYPE,
        error::VerifierErrorResponse,
        response::{AcceptedResponse, FORM_MEDIA_TYPE, ResponseForm},
    },
};
use carnet_service::{http_wire::has_media_type, time::now};

use super::error::{HttpError, json_error_response};
use crate::{
    error::Error, holder_details::detail_for_holder, openid::OpenIdOutcome, presentations::SubmissionResponse,
    store::Store, verifier::Verifier,
};

/// Maximum size of the form with which a wallet fetches a request object, in bytes; it contains a nonce, and metadata
/// that is ignored.
const MAX_REQUEST_BYTES: usize = 65_536;
/// Maximum JSON depth of a response: a document, in a list of presentations by query id.
const MAX_DEPTH: usize = 36;

struct EndpointState<S> {
    verifier: Arc<Verifier<S>>,
    max_message_bytes: usize,
}

pub(super) fn router<S: Store>(verifier: Arc<Verifier<S>>, max_message_bytes: usize) -> Router {
    Router::new()
        .route("/openid/request/{id}", get(read_request::<S>).post(post_request::<S>))
        .route("/openid/response/{id}", post(submit_response::<S>))
        .layer(map_response(forbid_caching))
        .with_state(Arc::new(EndpointState { verifier, max_message_bytes }))
}

/// Adds `Cache-Control: no-store` to every response.
async fn forbid_caching(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Request id in the path of a URL.
type PathId = Result<Path<String>, PathRejection>;

/// Returns the request id; an undecodable one counts as unknown.
fn parse_path_id(id: PathId) -> Result<String, Error> {
    id.map(|Path(id)| id).map_err(|_| Error::RequestUnknown)
}

async fn read_request<S: Store>(State(door): State<Arc<EndpointState<S>>>, path: PathId) -> Response {
    let read = async { Ok(door.verifier.openid_request_object(&parse_path_id(path)?, None, now()).await?) };
    request_object(read.await)
}

async fn post_request<S: Store>(
    State(door): State<Arc<EndpointState<S>>>,
    path: PathId,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let read = async {
        let body = read_form_body(&headers, body, MAX_REQUEST_BYTES).await?;
        let form = FormParameters::parse(&body)?;
        let wallet_nonce = form.get("wallet_nonce").map(|nonce| nonce.expose());
        Ok(door.verifier.openid_request_object(&parse_path_id(path)?, wallet_nonce, now()).await?)
    };
    request_object(read.await)
}

fn request_object(object: Result<String, HttpError>) -> Response {
    match object {
        Ok(object) => ([(CONTENT_TYPE, REQUEST_MEDIA_TYPE)], object).into_response(),
        Err(error) => error.into_response(),
    }
}

async fn submit_response<S: Store>(
    State(door): State<Arc<EndpointState<S>>>,
    path: PathId,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let answered = async {
        let body = read_form_body(&headers, body, door.max_message_bytes).await?;
        let form = ResponseForm::parse(&body)?;
        let limits = Limits { max_bytes: door.max_message_bytes, max_depth: MAX_DEPTH };
        Ok::<_, HttpError>(door.verifier.submit_openid_response(&parse_path_id(path)?, form, limits, now()).await?)
    };
    match answered.await {
        Ok(OpenIdOutcome::Declined) => json(AcceptedResponse::default().to_json()),
        Ok(OpenIdOutcome::Answered(SubmissionResponse { verdict, receipt }, redirect_uri)) => {
            if verdict.accepted() {
                return json(AcceptedResponse { redirect_uri, receipt }.to_json());
            }
            let failed = verdict.checks().iter().find(|check| check.code == verdict.reason());
            let refusal = VerifierErrorResponse {
                error: "invalid_request",
                description: failed.map(detail_for_holder).unwrap_or_default(),
                receipt,
            };
            json_error_response(StatusCode::BAD_REQUEST, &verdict.reason().to_uppercase(), refusal.to_json())
        }
        Err(error) => error.into_response(),
    }
}

fn json(body: String) -> Response {
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}

/// Reads a form body of at most `most` bytes.
async fn read_form_body(headers: &HeaderMap, body: Body, most: usize) -> Result<Bytes, HttpError> {
    if !has_media_type(headers, FORM_MEDIA_TYPE) {
        let message = format!("The body must be {FORM_MEDIA_TYPE}. Nothing was stored.");
        return Err(HttpError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "MEDIA_TYPE_UNSUPPORTED", message));
    }
    to_bytes(body, most).await.map_err(|_| {
        let message = format!("The body could not be read, or is over {most} bytes. Nothing was stored.");
        HttpError::new(StatusCode::PAYLOAD_TOO_LARGE, "MESSAGE_TOO_LARGE", message)
    })
}
