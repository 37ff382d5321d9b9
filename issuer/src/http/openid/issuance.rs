//! Offers by reference, and the endpoints that lead to credentials.

use axum::{
    body::Bytes,
    extract::{
        Path, State,
        rejection::{BytesRejection, PathRejection},
    },
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use carnet_core::{
    format::CredentialFormat,
    json::{self, Limits},
};
use carnet_openid::{
    Secret,
    error::{Endpoint, ErrorCode, ErrorResponse},
    vci::{
        credential::{
            CredentialRequest, CredentialResponse, NotificationEvent, NotificationRequest, Requested, nonce_response,
            parse_deferred_request,
        },
        token::{TokenRequest, TokenResponse},
    },
};
use carnet_service::http_wire::has_media_type;
use serde_json::Value;

use super::{Door, JSON, bearer, private, refusal::Refusal};
use crate::{
    checks::check_id,
    error::Error,
    issuance::{self, Collected},
    issuer::TOKEN_SECONDS,
    redemption::RedemptionRequest,
    store::Store,
};

const FORM: &str = "application/x-www-form-urlencoded";

type Body = Result<Bytes, BytesRejection>;

/// Returns an open offer to whoever knows its code.
pub(super) async fn offer<S: Store>(
    State(door): State<Door<S>>,
    code: Result<Path<String>, PathRejection>,
) -> Response {
    let Ok(Path(code)) = code else { return StatusCode::NOT_FOUND.into_response() };
    let code = zeroize::Zeroizing::new(code);
    match door.issuer.offer_by_code(&code).await {
        Ok(offer) => private(200, offer.to_json().to_string()),
        Err(Error::OfferUnknown) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => Refusal::Refused { endpoint: Endpoint::Token, error }.into_response(),
    }
}

pub(super) async fn token<S: Store>(State(door): State<Door<S>>, headers: HeaderMap, body: Body) -> Response {
    let body = match read(&headers, FORM, body, ErrorCode::InvalidRequest) {
        Ok(body) => body,
        Err(refusal) => return refusal.into_response(),
    };
    let request = match TokenRequest::parse(&body) {
        Ok(request) => request,
        Err(error) => return Refusal::malformed(error).into_response(),
    };
    // A wallet of the texts has no verifier: its redemption cannot be repeated, and its token's end is its end.
    let redemption = RedemptionRequest {
        code: request.code.into_inner(),
        pin: request.tx_code.map(Secret::into_inner),
        ..RedemptionRequest::default()
    };
    match door.issuer.redeem_offer(&redemption).await {
        Ok(grant) => {
            let response = TokenResponse {
                access_token: grant.access_token.into(),
                expires_in: u64::try_from(TOKEN_SECONDS).ok(),
            };
            private(200, response.to_json().to_string())
        }
        Err(error) => Refusal::Refused { endpoint: Endpoint::Token, error }.into_response(),
    }
}

pub(super) async fn nonce<S: Store>(State(door): State<Door<S>>) -> Response {
    let (nonce, _) = door.issuer.give_nonce();
    private(200, nonce_response(&nonce))
}

pub(super) async fn credential<S: Store>(State(door): State<Door<S>>, headers: HeaderMap, body: Body) -> Response {
    match request_credential(&door, &headers, body).await {
        Ok(collected) => answer(&collected),
        Err(refusal) => refusal.into_response(),
    }
}

async fn request_credential<S: Store>(door: &Door<S>, headers: &HeaderMap, body: Body) -> Result<Collected, Refusal> {
    let malformed = ErrorCode::InvalidCredentialRequest;
    let token = bearer(headers).ok_or_else(Refusal::without_token)?;
    let body = read(headers, JSON, body, malformed)?;
    let request = CredentialRequest::parse(&body, door.most_bytes).map_err(Refusal::malformed)?;
    if request.encryption.is_some() {
        let why = "responses are not encrypted here: the metadata has no credential_response_encryption";
        return Err(Refusal::malformed(ErrorResponse::new(ErrorCode::InvalidEncryptionParameters, why)));
    }
    let issuer = &door.issuer;
    let refused = |error| Refusal::Refused { endpoint: Endpoint::Credential, error };
    let configuration = match request.requested {
        Requested::Configuration(id) => id,
        // No token response names any.
        Requested::Identifier(_) => {
            let why = "this issuer has no credential identifiers";
            return Err(Refusal::malformed(ErrorResponse::new(ErrorCode::UnknownCredentialIdentifier, why)));
        }
    };
    check_id("credential_configuration_id", &configuration).map_err(refused)?;
    issuer.collect(&token, &configuration, request.proofs, &issuer.endpoint).await.map_err(|error| {
        if matches!(error, Error::NotOffered) && !issuer.configurations().any(|known| known.id == configuration) {
            return Refusal::UnknownConfiguration(error);
        }
        refused(error)
    })
}

pub(super) async fn deferred<S: Store>(State(door): State<Door<S>>, headers: HeaderMap, body: Body) -> Response {
    match request_deferred(&door, &headers, body).await {
        Ok(collected) => answer(&collected),
        Err(refusal) => refusal.into_response(),
    }
}

async fn request_deferred<S: Store>(door: &Door<S>, headers: &HeaderMap, body: Body) -> Result<Collected, Refusal> {
    let body = read(headers, JSON, body, ErrorCode::InvalidCredentialRequest)?;
    // The transaction id is a secret of 256 bits that outlives the access token (spec/openid.md 4.3).
    let transaction_id = parse_deferred_request(&body, door.most_bytes).map_err(Refusal::malformed)?;
    let refused = |error| Refusal::Refused { endpoint: Endpoint::Deferred, error };
    check_id("transaction_id", transaction_id.expose()).map_err(refused)?;
    door.issuer.collect_deferred(transaction_id.expose()).await.map_err(refused)
}

pub(super) async fn notification<S: Store>(State(door): State<Door<S>>, headers: HeaderMap, body: Body) -> Response {
    match notify(&door, &headers, body).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

async fn notify<S: Store>(door: &Door<S>, headers: &HeaderMap, body: Body) -> Result<(), Refusal> {
    let body = read(headers, JSON, body, ErrorCode::InvalidNotificationRequest)?;
    let request = NotificationRequest::parse(&body, door.most_bytes).map_err(Refusal::malformed)?;
    let event = match request.event {
        NotificationEvent::Accepted => issuance::NotificationEvent::Accepted,
        NotificationEvent::Failure => issuance::NotificationEvent::Failure,
        NotificationEvent::Deleted => issuance::NotificationEvent::Deleted,
    };
    let refused = |error| Refusal::Refused { endpoint: Endpoint::Notification, error };
    check_id("notification_id", request.notification_id.expose()).map_err(refused)?;
    door.issuer.notify(request.notification_id.expose(), event).await.map_err(refused)
}

/// Returns the body of a request, if it has the media type of the endpoint.
fn read(headers: &HeaderMap, media_type: &str, body: Body, code: ErrorCode) -> Result<Bytes, Refusal> {
    let body = body.map_err(|rejection| Refusal::body(&rejection, code))?;
    if !has_media_type(headers, media_type) {
        let why = format!("the body has to be {media_type}");
        return Err(Refusal::malformed(ErrorResponse::new(code, why)));
    }
    Ok(body)
}

fn answer(collected: &Collected) -> Response {
    let response = match collected {
        Collected::Issued { format, copies, notification_id } => CredentialResponse::Issued {
            credentials: copies.iter().map(|copy| rendered(*format, copy)).collect(),
            notification_id: Some(notification_id.as_str().into()),
        },
        Collected::Deferred { transaction_id, interval } => CredentialResponse::Deferred {
            transaction_id: transaction_id.as_str().into(),
            interval: (*interval).into(),
        },
    };
    private(response.http_status(), response.to_json().to_string())
}

/// Returns a credential as a member: formats of JSON are objects, and all others text.
fn rendered(format: CredentialFormat, copy: &str) -> Value {
    match format {
        CredentialFormat::VcSdJwt | CredentialFormat::DcSdJwt => Value::String(copy.to_owned()),
        CredentialFormat::LdpVc | CredentialFormat::DiVcJcs => {
            json::parse(copy.as_bytes(), Limits::DOCUMENT).unwrap_or_else(|_| Value::String(copy.to_owned()))
        }
    }
}
