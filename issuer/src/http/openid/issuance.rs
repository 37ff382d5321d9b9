//! OpenID4VCI endpoints: offers by reference, tokens, nonces, credentials, deferred credentials and notifications.

use axum::{
    body::Bytes,
    extract::{
        Path, State,
        rejection::{BytesRejection, PathRejection},
    },
    http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
};
use carnet_core::{
    format::CredentialFormat,
    json::{self, Limits},
};
use carnet_openid::{
    SecretText,
    error::{ErrorCode, ErrorResponse, IssuerEndpoint},
    vci::{
        credential::{
            CredentialRequest, CredentialResponse, DeferredCredentialRequest, NotificationEvent, NotificationRequest,
            RequestedCredential, write_nonce_response,
        },
        encryption::{CredentialResponseEncryption, ENCRYPTED_MEDIA_TYPE, decrypt_request},
        token::{TokenRequest, TokenResponse},
    },
};
use carnet_service::http_wire::has_media_type;
use rand_core::OsRng;
use serde_json::Value;
use zeroize::Zeroizing;

use super::{EndpointState, JSON, bearer_token, error::OpenIdError, uncached_json};
use crate::{
    checks::check_id,
    error::Error,
    issuance::{self, IssuanceOutcome},
    issuer::TOKEN_SECONDS,
    redemption::RedemptionRequest,
    store::Store,
};

const FORM_MEDIA_TYPE: &str = "application/x-www-form-urlencoded";

type BodyResult = Result<Bytes, BytesRejection>;

/// Handles a request for an offer by reference: anyone who knows the code receives the open offer.
pub(super) async fn offer_endpoint<S: Store>(
    State(door): State<EndpointState<S>>,
    code: Result<Path<String>, PathRejection>,
) -> Response {
    let Ok(Path(code)) = code else { return OpenIdError::not_found(Error::OfferUnknown).into_response() };
    let code = Zeroizing::new(code);
    match door.issuer.offer_by_code(&code).await {
        Ok(offer) => uncached_json(200, offer.to_json().to_string()),
        Err(error @ Error::OfferUnknown) => OpenIdError::not_found(error).into_response(),
        Err(error) => OpenIdError::Refused { endpoint: IssuerEndpoint::Token, error }.into_response(),
    }
}

/// Handles a token request with a pre-authorized code.
pub(super) async fn token_endpoint<S: Store>(
    State(door): State<EndpointState<S>>,
    headers: HeaderMap,
    body: BodyResult,
) -> Response {
    let body = match body_of_type(&headers, FORM_MEDIA_TYPE, body, ErrorCode::InvalidRequest) {
        Ok(body) => body,
        Err(refusal) => return refusal.into_response(),
    };
    let request = match TokenRequest::parse(&body) {
        Ok(request) => request,
        Err(error) => return OpenIdError::malformed(error).into_response(),
    };
    // A wallet of the texts has no verifier: its redemption cannot be repeated, and its token's end is its end.
    let redemption = RedemptionRequest {
        code: request.code.into_inner(),
        pin: request.tx_code.map(SecretText::into_inner),
        ..RedemptionRequest::default()
    };
    match door.issuer.redeem_offer(&redemption).await {
        Ok(grant) => {
            let response = TokenResponse {
                access_token: grant.access_token.into(),
                expires_in: u64::try_from(TOKEN_SECONDS).ok(),
            };
            uncached_json(200, response.to_json().to_string())
        }
        Err(error) => OpenIdError::Refused { endpoint: IssuerEndpoint::Token, error }.into_response(),
    }
}

/// Handles a nonce request.
pub(super) async fn nonce_endpoint<S: Store>(State(door): State<EndpointState<S>>) -> Response {
    let (nonce, _) = door.issuer.issue_nonce();
    uncached_json(200, write_nonce_response(&nonce))
}

/// Handles a credential request, possibly encrypted.
pub(super) async fn credential_endpoint<S: Store>(
    State(door): State<EndpointState<S>>,
    headers: HeaderMap,
    body: BodyResult,
) -> Response {
    issuance_response(handle_credential_request(&door, &headers, body).await)
}

/// Outcome of a request for credentials, and the requested encryption of the response, if any.
type IssuanceResult = Result<(IssuanceOutcome, Option<CredentialResponseEncryption>), OpenIdError>;

async fn handle_credential_request<S: Store>(
    door: &EndpointState<S>,
    headers: &HeaderMap,
    body: BodyResult,
) -> IssuanceResult {
    let token = bearer_token(headers).ok_or_else(OpenIdError::without_token)?;
    let (body, is_encrypted) = decrypted_body(door, headers, body)?;
    let request = CredentialRequest::parse(&body, door.max_body_bytes).map_err(OpenIdError::malformed)?;
    let encryption = response_encryption(request.encryption.as_ref(), is_encrypted)?;
    let issuer = &door.issuer;
    let refused = |error| OpenIdError::Refused { endpoint: IssuerEndpoint::Credential, error };
    let configuration = match request.requested {
        RequestedCredential::Configuration(id) => id,
        // No token response names any.
        RequestedCredential::Identifier(_) => {
            let why = "this issuer has no credential identifiers";
            return Err(OpenIdError::malformed(ErrorResponse::new(ErrorCode::UnknownCredentialIdentifier, why)));
        }
    };
    check_id("credential_configuration_id", &configuration).map_err(refused)?;
    let collected = issuer.handle_credential_request(&token, &configuration, request.proofs, &issuer.issuer_url).await;
    let collected = collected.map_err(|error| {
        if matches!(error, Error::ConfigurationNotOffered)
            && !issuer.supported_configurations().any(|known| known.id == configuration)
        {
            return OpenIdError::UnknownConfiguration(error);
        }
        refused(error)
    })?;
    Ok((collected, encryption))
}

/// Handles a deferred credential request, possibly encrypted.
pub(super) async fn deferred_credential_endpoint<S: Store>(
    State(door): State<EndpointState<S>>,
    headers: HeaderMap,
    body: BodyResult,
) -> Response {
    issuance_response(handle_deferred_request(&door, &headers, body).await)
}

async fn handle_deferred_request<S: Store>(
    door: &EndpointState<S>,
    headers: &HeaderMap,
    body: BodyResult,
) -> IssuanceResult {
    let token = bearer_token(headers).ok_or_else(OpenIdError::without_token)?;
    let (body, is_encrypted) = decrypted_body(door, headers, body)?;
    let DeferredCredentialRequest { transaction_id, encryption } =
        DeferredCredentialRequest::parse(&body, door.max_body_bytes).map_err(OpenIdError::malformed)?;
    let encryption = response_encryption(encryption.as_ref(), is_encrypted)?;
    let refused = |error| OpenIdError::Refused { endpoint: IssuerEndpoint::Deferred, error };
    check_id("transaction_id", transaction_id.expose()).map_err(refused)?;
    door.issuer.require_token_of_transaction(transaction_id.expose(), &token).await.map_err(refused)?;
    Ok((door.issuer.handle_deferred_request(transaction_id.expose()).await.map_err(refused)?, encryption))
}

/// Handles a notification of the wallet.
pub(super) async fn notification_endpoint<S: Store>(
    State(door): State<EndpointState<S>>,
    headers: HeaderMap,
    body: BodyResult,
) -> Response {
    match handle_notification(&door, &headers, body).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

async fn handle_notification<S: Store>(
    door: &EndpointState<S>,
    headers: &HeaderMap,
    body: BodyResult,
) -> Result<(), OpenIdError> {
    let token = bearer_token(headers).ok_or_else(OpenIdError::without_token)?;
    let body = body_of_type(headers, JSON, body, ErrorCode::InvalidNotificationRequest)?;
    let request = NotificationRequest::parse(&body, door.max_body_bytes).map_err(OpenIdError::malformed)?;
    let event = match request.event {
        NotificationEvent::Accepted => issuance::NotificationEvent::Accepted,
        NotificationEvent::Failure => issuance::NotificationEvent::Failure,
        NotificationEvent::Deleted => issuance::NotificationEvent::Deleted,
    };
    let refused = |error| OpenIdError::Refused { endpoint: IssuerEndpoint::Notification, error };
    check_id("notification_id", request.notification_id.expose()).map_err(refused)?;
    door.issuer.require_token_of_notification(request.notification_id.expose(), &token).await.map_err(refused)?;
    door.issuer.record_notification(request.notification_id.expose(), event).await.map_err(refused)
}

/// Returns the body of a request that has the media type of the endpoint.
///
/// # Errors
/// Another media type, or an unreadable or too large body, with the OpenID4VCI error code `code`.
fn body_of_type(
    headers: &HeaderMap,
    media_type: &str,
    body: BodyResult,
    code: ErrorCode,
) -> Result<Bytes, OpenIdError> {
    let body = body.map_err(|rejection| OpenIdError::unreadable_body(&rejection, code))?;
    if !has_media_type(headers, media_type) {
        let why = format!("the body has to be {media_type}");
        return Err(OpenIdError::malformed(ErrorResponse::new(code, why)));
    }
    Ok(body)
}

/// Returns the JSON text of a credential request, decrypted if necessary, and whether it was encrypted.
fn decrypted_body<S>(
    door: &EndpointState<S>,
    headers: &HeaderMap,
    body: BodyResult,
) -> Result<(Zeroizing<Vec<u8>>, bool), OpenIdError> {
    let malformed = ErrorCode::InvalidCredentialRequest;
    if has_media_type(headers, ENCRYPTED_MEDIA_TYPE) {
        let body = body_of_type(headers, ENCRYPTED_MEDIA_TYPE, body, malformed)?;
        let opened = decrypt_request(&body, &door.request_decryption_key, door.max_body_bytes)
            .map_err(OpenIdError::malformed)?;
        return Ok((opened, true));
    }
    Ok((Zeroizing::new(body_of_type(headers, JSON, body, malformed)?.to_vec()), false))
}

fn response_encryption(
    member: Option<&Value>,
    is_encrypted: bool,
) -> Result<Option<CredentialResponseEncryption>, OpenIdError> {
    member
        .map(|member| CredentialResponseEncryption::parse(member, is_encrypted))
        .transpose()
        .map_err(OpenIdError::malformed)
}

fn issuance_response(answered: IssuanceResult) -> Response {
    let (collected, encryption) = match answered {
        Ok(answered) => answered,
        Err(refusal) => return refusal.into_response(),
    };
    let (status, body) = status_and_body(&collected);
    let Some(encryption) = encryption else { return uncached_json(status, body.to_string()) };
    match encryption.encrypt(&body, &mut OsRng) {
        Ok(encrypted) => {
            let mut response = uncached_json(status, encrypted);
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(ENCRYPTED_MEDIA_TYPE));
            response
        }
        Err(problem) => OpenIdError::Refused { endpoint: IssuerEndpoint::Credential, error: Error::Signing(problem) }
            .into_response(),
    }
}

fn status_and_body(collected: &IssuanceOutcome) -> (u16, Zeroizing<String>) {
    let response = match collected {
        IssuanceOutcome::Issued { format, copies, notification_id } => CredentialResponse::Issued {
            credentials: copies.iter().map(|copy| credential_member(*format, copy)).collect(),
            notification_id: Some(notification_id.as_str().into()),
        },
        IssuanceOutcome::Deferred { transaction_id, interval } => CredentialResponse::Deferred {
            transaction_id: transaction_id.as_str().into(),
            interval: (*interval).into(),
        },
    };
    (response.http_status(), response.to_json())
}

/// Returns a copy as a member of the response: JSON formats as an object, SD-JWTs as text.
fn credential_member(format: CredentialFormat, copy: &str) -> Value {
    match format {
        CredentialFormat::VcSdJwt | CredentialFormat::DcSdJwt => Value::String(copy.to_owned()),
        CredentialFormat::LdpVc | CredentialFormat::DiVcJcs => {
            json::parse(copy.as_bytes(), Limits::DOCUMENT).unwrap_or_else(|_| Value::String(copy.to_owned()))
        }
    }
}
