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
        error::VerifierError,
        response::{AcceptedResponse, FORM, ResponseForm},
    },
};
use carnet_service::{http_wire::has_media_type, time::now};

use super::error::{HttpError, refused};
use crate::{
    error::Error, holders_view::detail_for_holder, openid::OpenIdAnswer, presentations::SubmissionResponse,
    store::Store, verifier::Verifier,
};

/// Maximum size of the form with which a wallet fetches a request object, in bytes; it contains a nonce, and metadata
/// that is ignored.
const MOST_REQUEST_BYTES: usize = 65_536;
/// Maximum JSON depth of a response: a document, in a list of presentations by query id.
const DEPTH: usize = 36;

struct PresentationEndpoints<S> {
    verifier: Arc<Verifier<S>>,
    max_message_bytes: usize,
}

pub(super) fn router<S: Store>(verifier: Arc<Verifier<S>>, max_message_bytes: usize) -> Router {
    Router::new()
        .route("/openid/request/{id}", get(read_request::<S>).post(post_request::<S>))
        .route("/openid/response/{id}", post(submit::<S>))
        .layer(map_response(unstored))
        .with_state(Arc::new(PresentationEndpoints { verifier, max_message_bytes }))
}

/// Adds `Cache-Control: no-store` to every response.
async fn unstored(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Request id in the path of a URL.
type Id = Result<Path<String>, PathRejection>;

/// Returns the request id; an undecodable one counts as unknown.
fn id(id: Id) -> Result<String, Error> {
    id.map(|Path(id)| id).map_err(|_| Error::RequestUnknown)
}

async fn read_request<S: Store>(State(door): State<Arc<PresentationEndpoints<S>>>, path: Id) -> Response {
    let read = async { Ok(door.verifier.read_openid_request(&id(path)?, None, now()).await?) };
    request_object(read.await)
}

async fn post_request<S: Store>(
    State(door): State<Arc<PresentationEndpoints<S>>>,
    path: Id,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let read = async {
        let body = form_body(&headers, body, MOST_REQUEST_BYTES).await?;
        let form = FormParameters::parse(&body)?;
        let wallet_nonce = form.get("wallet_nonce").map(|nonce| nonce.expose());
        Ok(door.verifier.read_openid_request(&id(path)?, wallet_nonce, now()).await?)
    };
    request_object(read.await)
}

fn request_object(object: Result<String, HttpError>) -> Response {
    match object {
        Ok(object) => ([(CONTENT_TYPE, REQUEST_MEDIA_TYPE)], object).into_response(),
        Err(error) => error.into_response(),
    }
}

async fn submit<S: Store>(
    State(door): State<Arc<PresentationEndpoints<S>>>,
    path: Id,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let answered = async {
        let body = form_body(&headers, body, door.max_message_bytes).await?;
        let form = ResponseForm::parse(&body)?;
        let limits = Limits { max_bytes: door.max_message_bytes, max_depth: DEPTH };
        Ok::<_, HttpError>(door.verifier.submit_openid(&id(path)?, form, limits, now()).await?)
    };
    match answered.await {
        Ok(OpenIdAnswer::Declined) => json(AcceptedResponse::default().to_json()),
        Ok(OpenIdAnswer::Answered(SubmissionResponse { verdict, receipt }, redirect_uri)) => {
            if verdict.accepted() {
                return json(AcceptedResponse { redirect_uri, receipt }.to_json());
            }
            let failed = verdict.checks().iter().find(|check| check.code == verdict.reason());
            let refusal = VerifierError {
                error: "invalid_request",
                description: failed.map(detail_for_holder).unwrap_or_default(),
                receipt,
            };
            refused(StatusCode::BAD_REQUEST, &verdict.reason().to_uppercase(), refusal.to_json())
        }
        Err(error) => error.into_response(),
    }
}

fn json(body: String) -> Response {
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}

/// Reads a form body of at most `most` bytes.
async fn form_body(headers: &HeaderMap, body: Body, most: usize) -> Result<Bytes, HttpError> {
    if !has_media_type(headers, FORM) {
        let message = format!("The body must be {FORM}. Nothing was stored.");
        return Err(HttpError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "MEDIA_TYPE_UNSUPPORTED", message));
    }
    to_bytes(body, most).await.map_err(|_| {
        let message = format!("The body could not be read, or is over {most} bytes. Nothing was stored.");
        HttpError::new(StatusCode::PAYLOAD_TOO_LARGE, "MESSAGE_TOO_LARGE", message)
    })
}
