//! OpenID4VCI 1.0 over HTTP: a second interface to the use cases of [`crate::grpc`], on the same listener, with the
//! same limits (spec/openid.md).

mod error;
mod issuance;
mod metadata;
mod type_metadata;

use std::sync::Arc;

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    http::{
        HeaderMap, HeaderValue, StatusCode, Uri,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    middleware::{Next, from_fn},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use carnet_core::{secure::jwe::DecryptionKey, time::Timestamp};
use carnet_openid::{
    error::{ErrorCode, ErrorResponse},
    form, vci,
};
use carnet_service::http_wire;
use rand_core::OsRng;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use self::error::OpenIdError;
use crate::{issuer::Issuer, offers::OFFERS_PATH, store::Store};

/// Path of the token endpoint, below the credential issuer identifier.
const TOKEN_PATH: &str = "/openid/token";
/// Path of the nonce endpoint.
const NONCE_PATH: &str = "/openid/nonce";
/// Path of the credential endpoint.
const CREDENTIAL_PATH: &str = "/openid/credential";
/// Path of the deferred credential endpoint.
const DEFERRED_PATH: &str = "/openid/deferred";
/// Path of the notification endpoint.
const NOTIFICATION_PATH: &str = "/openid/notification";
/// Path below which the SD-JWT VC type metadata is published by type name.
const TYPES_PATH: &str = "/openid/types";

const JSON: &str = "application/json";

/// State that the handlers share.
struct EndpointState<S> {
    issuer: Arc<Issuer<S>>,
    /// Maximum size of a request body, in bytes.
    max_body_bytes: usize,
    /// Key to which wallets may encrypt requests, for the lifetime of the process. Its public key is in the metadata.
    request_decryption_key: Arc<DecryptionKey>,
    /// Credential issuer metadata as JSON.
    metadata: Arc<str>,
    /// Signed metadata, and the start of the day on which it was signed.
    signed_metadata: Arc<Mutex<Option<(Timestamp, String)>>>,
}

impl<S> Clone for EndpointState<S> {
    fn clone(&self) -> Self {
        let (key, signed) = (self.request_decryption_key.clone(), self.signed_metadata.clone());
        Self {
            issuer: self.issuer.clone(),
            max_body_bytes: self.max_body_bytes,
            request_decryption_key: key,
            metadata: self.metadata.clone(),
            signed_metadata: signed,
        }
    }
}

/// Returns the routes of OpenID4VCI. `most_bytes` is the maximum size of a request body.
pub(crate) fn router<S: Store>(issuer: Arc<Issuer<S>>, most_bytes: usize) -> Router {
    let well_known = |name: &str| format!("/.well-known/{name}");
    let types = type_metadata::router(&issuer);
    let key = Arc::new(DecryptionKey::generate(&mut OsRng));
    let metadata = metadata::issuer_metadata(&issuer, &key.public_key()).into();
    Router::new()
        .route(&well_known(vci::ISSUER_METADATA), get(metadata::issuer_metadata_endpoint))
        .route(&well_known(vci::AUTHORIZATION_SERVER_METADATA), get(metadata::server_metadata_endpoint))
        .route(&well_known(vci::JWT_VC_ISSUER), get(metadata::issuer_keys_endpoint))
        .route(&format!("{OFFERS_PATH}/{{code}}"), get(issuance::offer_endpoint))
        .route(TOKEN_PATH, post(issuance::token_endpoint))
        .route(NONCE_PATH, post(issuance::nonce_endpoint))
        .route(CREDENTIAL_PATH, post(issuance::credential_endpoint))
        .route(DEFERRED_PATH, post(issuance::deferred_credential_endpoint))
        .route(NOTIFICATION_PATH, post(issuance::notification_endpoint))
        .layer(DefaultBodyLimit::max(most_bytes))
        .layer(from_fn(refuse_query_token))
        .with_state(EndpointState {
            issuer,
            max_body_bytes: most_bytes,
            request_decryption_key: key,
            metadata,
            signed_metadata: Arc::default(),
        })
        .merge(types)
}

/// Refuses a request with an access token in its query, even if another one is in its header (RFC 6750 section 2). Adds
/// `Cache-Control: no-store` to responses that have no `Cache-Control` header.
async fn refuse_query_token(request: Request, next: Next) -> Response {
    let mut response = if has_token_in_query(request.uri()) {
        let why = "an access token belongs into the header Authorization, never into the URL";
        OpenIdError::malformed(ErrorResponse::new(ErrorCode::InvalidRequest, why)).into_response()
    } else {
        next.run(request).await
    };
    response.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Returns a JSON response for one wallet; it must not be stored.
fn uncached_json(status: u16, body: String) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(CONTENT_TYPE, JSON)], body).into_response()
}

/// Returns a JSON response that is the same for everybody; caches must revalidate it.
fn public_json(body: String) -> Response {
    let headers =
        [(CONTENT_TYPE, HeaderValue::from_static(JSON)), (CACHE_CONTROL, HeaderValue::from_static("no-cache"))];
    (headers, body).into_response()
}

/// Returns the bearer token of a request, erased from memory on drop.
fn bearer_token(headers: &HeaderMap) -> Option<Zeroizing<String>> {
    http_wire::bearer_token(headers).map(|token| Zeroizing::new(token.to_owned()))
}

/// Returns whether the query has a parameter `access_token`, which logs would keep.
fn has_token_in_query(uri: &Uri) -> bool {
    form::query_has_parameter(uri.query().unwrap_or_default(), "access_token")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_in_the_query_are_seen_in_any_spelling() {
        let many = "?".to_owned() + &"a=1&".repeat(100) + "access%5ftoken=a";
        for bad in [
            "?access_token=a",
            "?x=1&access_token=a",
            "?access%5Ftoken=a",
            "?access_token",
            "?access_token=%",
            "?a=1&a=2&access%5Ftoken=a",
            "?%FF=1&access%5Ftoken=a",
            &many,
        ] {
            assert!(has_token_in_query(&format!("/c{bad}").parse().unwrap()), "{bad}");
        }
        for good in ["", "?", "?a=access_token", "?access_tokens=1"] {
            assert!(!has_token_in_query(&format!("/c{good}").parse().unwrap()), "{good}");
        }
    }
}
