//! VC-API endpoints `POST /credentials/issue`, `POST /credentials/status` and `GET /identifiers/{did}` for staff (W3C
//! CCG, Verifiable Credentials API v0.3; docs/vc-api.md). The use cases are those of the gRPC services for staff.

mod credential;

use std::sync::Arc;

use axum::{
    Extension, Router,
    body::Body,
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use carnet_core::{
    Code,
    did::{Resolve as _, SelfContainedResolver},
    format::CredentialFormat,
    json::{self, Limits},
};
use carnet_service::{
    staff::{StaffAuthenticator, StaffCaller},
    vc_api::{
        self, RequestMessage, VcApiError, enveloped_credential, json_response, read_message, resolution_response,
    },
};
use serde_json::json;

use self::credential::UnsecuredCredential;
use crate::{
    direct::{DirectlyIssuedCopy, OFFER_SECONDS},
    error::Error,
    issuer::Issuer,
    offers::{OfferRequest, ReceivedClaims},
    secrets,
    status::{StatusChangeRequest, StatusTarget},
    store::{Store, status::StatusAction},
};

/// Reason that is recorded with a change of status; a VC-API message has none.
const STATUS_REASON: &str = "changed through the VC-API";

struct EndpointState<S> {
    issuer: Arc<Issuer<S>>,
    max_message_bytes: usize,
}

/// Returns the routes. `max_message_bytes`: maximum size of a request body.
pub(crate) fn router<S: Store>(issuer: Arc<Issuer<S>>, staff: StaffAuthenticator, max_message_bytes: usize) -> Router {
    let routes = Router::new()
        .route("/credentials/issue", post(issue::<S>))
        .route("/credentials/status", post(change_status::<S>))
        .route("/identifiers/{did}", get(resolve::<S>));
    vc_api::for_staff(routes, staff).with_state(Arc::new(EndpointState { issuer, max_message_bytes }))
}

async fn issue<S: Store>(
    State(door): State<Arc<EndpointState<S>>>,
    Extension(caller): Extension<StaffCaller>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let issued = async {
        let mut message = read_message(&headers, body, door.max_message_bytes).await?;
        let credential = UnsecuredCredential::read(message.take_object("credential")?, &door.issuer)?;
        let mut options = RequestMessage::new(message.take_optional_object("options")?);
        message.require_nothing_else("the request")?;
        let format = requested_format(options.take_optional_text("format")?)?;
        options.require_nothing_else("options")?;
        let UnsecuredCredential { credential_type, holder, claims, valid_from, valid_until } = credential;
        let request = OfferRequest {
            request_id: secrets::random_id(),
            credential_type,
            format,
            claims: ReceivedClaims(claims),
            with_pin: false,
            ttl_seconds: OFFER_SECONDS,
            valid_from,
            valid_until,
            deferred: false,
            reference: String::new(),
            created_by: caller.name().to_owned(),
        };
        Ok::<_, VcApiError>(door.issuer.issue_directly(request, holder).await?)
    };
    match issued.await {
        Ok(issued) => issued_response(&issued),
        Err(error) => error.into_response(),
    }
}

/// Returns the format that `options.format` names; `vc+sd-jwt`, which discloses least, without one.
fn requested_format(option: Option<String>) -> Result<CredentialFormat, VcApiError> {
    let Some(text) = option else { return Ok(CredentialFormat::VcSdJwt) };
    CredentialFormat::parse(&text)
        .ok_or_else(|| Error::invalid("options.format", "must be one of the credential formats").into())
}

fn issued_response(issued: &DirectlyIssuedCopy) -> Response {
    let credential = if issued.format.is_sd_jwt() {
        enveloped_credential(issued.format, &issued.copy)
    } else {
        match json::parse(issued.copy.as_bytes(), Limits::DOCUMENT) {
            Ok(document) => document,
            Err(problem) => return VcApiError::from(Error::Signing(problem)).into_response(),
        }
    };
    let body = json!({
        "verifiableCredential": credential, "credentialId": issued.offer_id, "warnings": issued.warnings,
    });
    json_response(StatusCode::CREATED, &body)
}

async fn change_status<S: Store>(
    State(door): State<Arc<EndpointState<S>>>,
    Extension(caller): Extension<StaffCaller>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let changed = async {
        let mut message = read_message(&headers, body, door.max_message_bytes).await?;
        let id = message.take_optional_text("credentialId")?;
        let id = id.ok_or_else(|| VcApiError::from(Error::invalid("credentialId", "missing")))?;
        let mut entry = RequestMessage::new(message.take_object("credentialStatus")?);
        let value = message.take_optional_bool("status")?;
        let value = value.ok_or_else(|| VcApiError::from(Error::invalid("status", "missing")))?;
        message.require_nothing_else("the request")?;
        let action = requested_action(&mut entry, value)?;
        let request = StatusChangeRequest {
            request_id: secrets::random_id(),
            staff_name: caller.name().to_owned(),
            action,
            reason: STATUS_REASON.to_owned(),
            target: StatusTarget::Ids(vec![id]),
            expected_count: None,
            dry_run: false,
            urgent: None,
        };
        Ok::<_, VcApiError>(door.issuer.change_status(request).await?)
    };
    match changed.await {
        Ok((changed, _)) => json_response(StatusCode::OK, &json!({"changed": changed.changed_count})),
        Err(error) => error.into_response(),
    }
}

/// Returns the action for a new value of a status. The entry's list and index are not read: the issuer knows those of
/// the credential.
fn requested_action(entry: &mut RequestMessage, value: bool) -> Result<StatusAction, VcApiError> {
    let kind = entry.take_optional_text("type")?.unwrap_or_default();
    if kind != "BitstringStatusListEntry" && kind != "BitstringStatusList" {
        let why = "must be BitstringStatusListEntry. Nothing was changed";
        return Err(Error::invalid("credentialStatus.type", why).into());
    }
    match (entry.take_optional_text("statusPurpose")?.unwrap_or_default().as_str(), value) {
        ("revocation", true) => Ok(StatusAction::Revoke),
        ("suspension", true) => Ok(StatusAction::Suspend),
        ("suspension", false) => Ok(StatusAction::Reinstate),
        ("revocation", false) => {
            let why = "a revocation cannot be undone. Nothing was changed; issue a new credential instead";
            Err(Error::invalid("status", why).into())
        }
        _ => {
            let why = "must be revocation or suspension. Nothing was changed";
            Err(Error::invalid("credentialStatus.statusPurpose", why).into())
        }
    }
}

/// Handles `GET /identifiers/{did}`: documents of DIDs that contain their key, and of this issuer. Nothing is fetched.
async fn resolve<S: Store>(
    State(door): State<Arc<EndpointState<S>>>,
    path: Result<Path<String>, PathRejection>,
) -> Response {
    let did = path.map(|Path(did)| did).unwrap_or_default();
    let issuer = &door.issuer;
    resolution_response(&did, |did| match did {
        did if *did == issuer.did => Ok(Arc::clone(&issuer.own_document)),
        did if did.has_published_document() => Err(Code::DidUnresolved.into()),
        did => SelfContainedResolver.resolve(did),
    })
}
