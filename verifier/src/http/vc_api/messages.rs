//! Messages of the endpoints: options, and results of verifications.

use axum::{
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use carnet_core::{format::CredentialFormat, wipe};
use carnet_service::vc_api::{
    EnvelopedContent, ProblemDetails, RequestMessage, VcApiError, enveloped_text, json_response,
};
use serde_json::{Map, Value, json};

use crate::{
    disclosed::DisclosedClaims,
    verdicts::{CheckOutcome, CheckRecord, CredentialSummary, Verdict},
};

/// Checks of validation, not of verification (VCDM 2.0 section 7.2). Their failure does not make the document malformed.
const VALIDATION_CHECKS: [&str; 5] = ["validity", "status", "schema", "issuer_trust", "redemption"];

/// Removes the options of a verification that have no effect: `checks`, since every check is always made.
///
/// # Errors
/// 400 if `checks` is no list of strings.
pub(super) fn require_verification_options(options: &mut RequestMessage) -> Result<(), VcApiError> {
    match options.take("checks") {
        None => Ok(()),
        Some(Value::Array(names)) if names.iter().all(Value::is_string) => Ok(()),
        Some(_) => Err(VcApiError::malformed("INVALID_ARGUMENT", "options.checks", "must be a list of strings")),
    }
}

/// Returns a credential as the use case takes it: the JSON text of a credential with embedded proofs, or an SD-JWT.
///
/// # Errors
/// 400 for a malformed envelope, or one with another media type.
pub(super) fn credential_bytes(credential: Map<String, Value>) -> Result<Vec<u8>, VcApiError> {
    if EnvelopedContent::Credential.is_type_of(&credential) {
        return Ok(sd_jwt_text(&credential)?.into_bytes());
    }
    let mut credential = Value::Object(credential);
    let text = credential.to_string().into_bytes();
    wipe(&mut credential);
    Ok(text)
}

/// Returns the SD-JWT in an `EnvelopedVerifiableCredential`.
///
/// # Errors
/// 400 for a malformed envelope, or one with another media type.
pub(super) fn sd_jwt_text(envelope: &Map<String, Value>) -> Result<String, VcApiError> {
    let (media_type, text) = enveloped_text(envelope, EnvelopedContent::Credential)?;
    let known = CredentialFormat::ALL.into_iter().any(|format| format.is_sd_jwt() && format.media_type() == media_type);
    if known {
        return Ok(text.to_owned());
    }
    let why = "its media type is neither application/vc+sd-jwt nor application/dc+sd-jwt";
    Err(VcApiError::malformed("UNKNOWN_FORMAT", "EnvelopedVerifiableCredential", why))
}

/// Returns the response with a verdict, or an error: 200 if accepted; 400 if the document could not be verified; 422 if it is
/// verified, and not valid for this verifier.
pub(super) fn verification_response(verified: Result<(Verdict, Option<DisclosedClaims>), VcApiError>) -> Response {
    let (verdict, disclosed) = match verified {
        Ok(verified) => verified,
        Err(error) => return error.into_response(),
    };
    let failed = || verdict.checks().iter().filter(|check| check.outcome == CheckOutcome::Failed);
    let status = if verdict.accepted() {
        StatusCode::OK
    } else if failed().all(|check| VALIDATION_CHECKS.contains(&check.name.as_str())) && failed().next().is_some() {
        StatusCode::UNPROCESSABLE_ENTITY
    } else {
        StatusCode::BAD_REQUEST
    };
    let problems: Vec<Value> = failed().map(|check| problem_details(check).to_json()).collect();
    let body = json!({
        "verified": verdict.accepted(),
        "reason": verdict.reason(),
        "problemDetails": problems,
        "checks": verdict.checks().iter().map(check).collect::<Vec<_>>(),
        "credentials": verdict.credentials().iter().map(summary).collect::<Vec<_>>(),
        "verifiedAt": verdict.verified_at().to_string(),
        "disclosed": disclosed.as_ref().map(DisclosedClaims::as_map),
    });
    let mut response = json_response(status, &body);
    if !verdict.accepted() {
        let reason = verdict.reason().to_ascii_uppercase();
        carnet_service::http_wire::add_error_headers(response.headers_mut(), &reason, None);
    }
    response
}

fn problem_details(check: &CheckRecord) -> ProblemDetails {
    ProblemDetails { problem_type: check.problem_type.clone(), title: check.code.clone(), detail: check.detail.clone() }
}

fn check(check: &CheckRecord) -> Value {
    json!({
        "name": check.name, "outcome": check.outcome, "code": check.code, "detail": check.detail, "about": check.about,
    })
}

fn summary(summary: &CredentialSummary) -> Value {
    json!({
        "queryId": summary.query_id,
        "type": summary.credential_type,
        "issuer": summary.issuer,
        "format": summary.format,
        "disclosedPaths": summary.disclosed_paths,
    })
}
