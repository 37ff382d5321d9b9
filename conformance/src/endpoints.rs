//! VC-API endpoints, for each profile below its name, and for the first profile also at the root.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{Path, RawQuery, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    middleware::{Next, from_fn},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use carnet_core::{Problem, conformance::did_key};
use carnet_service::vc_api::{ProblemDetails, RequestMessage, VcApiError, json_response, read_message};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::{
    NOTICE,
    implementation::implementation,
    processor::{DocumentKind, Processor, RequestedChecks},
    status_lists::StatusUpdate,
};

/// Maximum size of a request body, in bytes.
const MAX_BYTES: usize = 1_048_576;
/// Header of each response, which says that it is not the product's.
const HEADER: HeaderName = HeaderName::from_static("carnet-conformance");

type Shared = State<Arc<Processor>>;

/// Returns the routes.
pub(crate) fn router(processor: Arc<Processor>) -> Router {
    Router::new()
        .route("/credentials/issue", post(issue_at_root))
        .route("/credentials/verify", post(verify_credential_at_root))
        .route("/credentials/status", post(change_status))
        .route("/presentations/verify", post(verify_presentation_at_root))
        .route("/identifiers/{did}", get(resolve))
        .route("/implementation", get(describe))
        .route("/{profile}/credentials/issue", post(issue))
        .route("/{profile}/credentials/verify", post(verify_credential))
        .route("/{profile}/credentials/status", post(change_status))
        .route("/{profile}/presentations/verify", post(verify_presentation))
        .route("/{profile}/status-lists/{purpose}", get(status_list))
        .layer(from_fn(mark))
        .with_state(processor)
}

/// Adds the notice to the header of a response.
async fn mark(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().insert(HEADER, HeaderValue::from_static(NOTICE));
    response
}

/// Runs CPU-bound work outside of the threads that serve connections.
async fn compute<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, VcApiError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| {
        VcApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", "A bug stopped this call; please report it.")
    })
}

async fn issue_at_root(state: Shared, headers: HeaderMap, body: Body) -> Response {
    issue_with(state, None, &headers, body).await
}

async fn issue(state: Shared, Path(profile): Path<String>, headers: HeaderMap, body: Body) -> Response {
    issue_with(state, Some(profile), &headers, body).await
}

async fn issue_with(State(processor): Shared, profile: Option<String>, headers: &HeaderMap, body: Body) -> Response {
    if !processor.has_profile(profile.as_deref()) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let issued = async {
        let mut message = read_message(headers, body, MAX_BYTES).await?;
        let credential = message.take_object("credential")?;
        compute(move || processor.issue(profile.as_deref(), credential)).await
    };
    match issued.await {
        Ok(Ok(issued)) => {
            json_response(StatusCode::CREATED, &json!({"verifiableCredential": issued, "notice": NOTICE}))
        }
        Ok(Err(problem)) => refused(&problem),
        Err(error) => error.into_response(),
    }
}

async fn verify_credential_at_root(state: Shared, headers: HeaderMap, body: Body) -> Response {
    verify_with(state, DocumentKind::Credential, &headers, body).await
}

async fn verify_credential(state: Shared, Path(profile): Path<String>, headers: HeaderMap, body: Body) -> Response {
    if !state.has_profile(Some(&profile)) {
        return StatusCode::NOT_FOUND.into_response();
    }
    verify_with(state, DocumentKind::Credential, &headers, body).await
}

async fn verify_presentation_at_root(state: Shared, headers: HeaderMap, body: Body) -> Response {
    verify_with(state, DocumentKind::Presentation, &headers, body).await
}

async fn verify_presentation(state: Shared, Path(profile): Path<String>, headers: HeaderMap, body: Body) -> Response {
    if !state.has_profile(Some(&profile)) {
        return StatusCode::NOT_FOUND.into_response();
    }
    verify_with(state, DocumentKind::Presentation, &headers, body).await
}

async fn verify_with(State(processor): Shared, kind: DocumentKind, headers: &HeaderMap, body: Body) -> Response {
    let verified = async {
        let mut message = read_message(headers, body, MAX_BYTES).await?;
        let requested = requested_checks(&mut message)?;
        let document = message.take_object(match kind {
            DocumentKind::Credential => "verifiableCredential",
            DocumentKind::Presentation => "verifiablePresentation",
        })?;
        compute(move || processor.verify(kind, &document, &requested)).await
    };
    match verified.await {
        Ok(Ok(())) => json_response(
            StatusCode::OK,
            &json!({"verified": true, "checks": ["proof"], "problemDetails": [], "notice": NOTICE}),
        ),
        Ok(Err(problem)) => refused(&problem),
        Err(error) => error.into_response(),
    }
}

/// Reads the options of a verification. Unknown ones, and options that are null, are ignored.
fn requested_checks(message: &mut RequestMessage) -> Result<RequestedChecks, VcApiError> {
    let mut options = match message.take("options") {
        Some(Value::Object(options)) => RequestMessage::new(options),
        None | Some(Value::Null) => return Ok(RequestedChecks::default()),
        Some(_) => return Err(VcApiError::malformed("INVALID_ARGUMENT", "options", "must be an object")),
    };
    Ok(RequestedChecks {
        expected_purpose: options.take_optional_text("expectedProofPurpose")?,
        challenge: options.take_optional_text("challenge")?,
        domain: options.take_optional_text("domain")?,
    })
}

async fn change_status(State(processor): Shared, headers: HeaderMap, body: Body) -> Response {
    let changed = async {
        let mut message = read_message(&headers, body, MAX_BYTES).await?;
        let credential_id = message.take_optional_text("credentialId")?.unwrap_or_default();
        let mut entry = RequestMessage::new(message.take_object("credentialStatus")?);
        let purpose = entry.take_optional_text("statusPurpose")?.unwrap_or_default();
        // Earlier versions of the interface had no value: the status was set.
        let value = message.take_optional_bool("status")?.unwrap_or(true);
        compute(move || processor.change_status(&StatusUpdate { credential_id, purpose, value })).await
    };
    match changed.await {
        Ok(Ok(())) => json_response(StatusCode::OK, &json!({"notice": NOTICE})),
        Ok(Err(problem)) => refused(&problem),
        Err(error) => error.into_response(),
    }
}

async fn status_list(State(processor): Shared, Path((profile, purpose)): Path<(String, String)>) -> Response {
    match compute(move || processor.status_list(&profile, &purpose)).await {
        Ok(Some(Ok(list))) => json_response(StatusCode::OK, &Value::Object(list)),
        Ok(Some(Err(problem))) => refused(&problem),
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => error.into_response(),
    }
}

/// Resolves a did:key, or dereferences a DID URL of one, with the options in the query.
async fn resolve(Path(identifier): Path<String>, RawQuery(query): RawQuery) -> Response {
    let resolved = did_key::resolve(&identifier, &query_parameters(query.as_deref().unwrap_or_default()));
    json_response(if resolved.is_error { StatusCode::BAD_REQUEST } else { StatusCode::OK }, &resolved.body)
}

/// Parses a query (application/x-www-form-urlencoded).
fn query_parameters(query: &str) -> Vec<(String, String)> {
    let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

async fn describe(State(processor): Shared, headers: HeaderMap) -> Response {
    let host = headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
    json_response(StatusCode::OK, &implementation(&processor, &format!("http://{host}")))
}

/// Returns the response for a document that was not issued or verified. The suites expect 400, whatever the reason.
fn refused(problem: &Problem) -> Response {
    let details = ProblemDetails::from(problem);
    let body = json!({
        "type": details.problem_type, "title": details.title, "detail": details.detail, "status": 400,
        "verified": false, "problemDetails": [details.to_json()], "errors": [problem.to_string()], "notice": NOTICE,
    });
    json_response(StatusCode::BAD_REQUEST, &body)
}
