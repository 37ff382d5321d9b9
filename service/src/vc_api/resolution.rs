//! Resolution of DIDs (W3C DID Resolution 0.3, section 4; HTTP binding).

use std::sync::Arc;

use axum::{http::StatusCode, response::Response};
use carnet_core::{
    Code, Problem,
    did::{Did, DidDocument},
};
use serde_json::{Value, json};

use super::message::json_response;
use crate::http_wire;

/// Returns the response to a request for the document of a DID: a resolution result with the document (200), or with
/// the error: a malformed DID (400), an unknown one (404), an unsupported method (501).
#[must_use]
pub fn resolution_response(text: &str, resolve: impl FnOnce(&Did) -> Result<Arc<DidDocument>, Problem>) -> Response {
    match Did::parse(text).and_then(|did| resolve(&did)) {
        Ok(document) => json_response(StatusCode::OK, &resolution_result(&document.to_json())),
        Err(problem) => error_response(&problem),
    }
}

/// Returns a successful resolution result.
fn resolution_result(document: &Value) -> Value {
    json!({
        "didDocument": document,
        "didResolutionMetadata": {"contentType": "application/did"},
        "didDocumentMetadata": {},
    })
}

fn error_response(problem: &Problem) -> Response {
    let (status, error) = match problem.code {
        Code::DidUnsupported => (StatusCode::NOT_IMPLEMENTED, "METHOD_NOT_SUPPORTED"),
        Code::DidUnresolved | Code::IssuerUntrusted => (StatusCode::NOT_FOUND, "NOT_FOUND"),
        _ => (StatusCode::BAD_REQUEST, "INVALID_DID"),
    };
    let body = json!({
        "didDocument": null,
        "didResolutionMetadata": {
            "error": {"type": format!("https://www.w3.org/ns/did#{error}"), "title": problem.code.as_str(), "detail": problem.detail},
        },
        "didDocumentMetadata": {},
    });
    let mut response = json_response(status, &body);
    http_wire::add_error_headers(response.headers_mut(), &problem.code.as_str().to_ascii_uppercase(), None);
    response
}
