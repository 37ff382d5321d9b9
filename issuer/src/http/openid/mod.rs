//! OpenID4VCI 1.0 over HTTP: a second interface to the use cases of [`crate::grpc`], on the same listener, with the
//! same limits (spec/openid.md).

mod issuance;
mod metadata;
mod refusal;
mod types;

use std::sync::Arc;

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    http::{
        HeaderMap, HeaderValue, StatusCode, Uri,
        header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE},
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
use rand_core::OsRng;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use self::refusal::OpenIdError;
use crate::{issuer::Issuer, offers::OFFERS, store::Store};

/// Path of the token endpoint, below the credential issuer identifier.
const TOKEN: &str = "/openid/token";
/// Path of the nonce endpoint.
const NONCE: &str = "/openid/nonce";
/// Path of the credential endpoint.
const CREDENTIAL: &str = "/openid/credential";
/// Path of the deferred credential endpoint.
const DEFERRED: &str = "/openid/deferred";
/// Path of the notification endpoint.
const NOTIFICATION: &str = "/openid/notification";
/// Path below which the SD-JWT VC type metadata is published by type name.
const TYPES: &str = "/openid/types";

const JSON: &str = "application/json";

/// State that the handlers share.
struct IssuanceEndpoints<S> {
    issuer: Arc<Issuer<S>>,
    /// Maximum size of a request body, in bytes.
    most_bytes: usize,
    /// Key to which wallets may encrypt requests, for the lifetime of the process. Its public key is in the metadata.
    key: Arc<DecryptionKey>,
    /// Signed metadata, and the start of the day on which it was signed.
    signed: Arc<Mutex<Option<(Timestamp, String)>>>,
}

impl<S> Clone for IssuanceEndpoints<S> {
    fn clone(&self) -> Self {
        let (key, signed) = (self.key.clone(), self.signed.clone());
        Self { issuer: self.issuer.clone(), most_bytes: self.most_bytes, key, signed }
    }
}

/// Returns the routes of OpenID4VCI. `most_bytes` is the maximum size of a request body.
pub(crate) fn router<S: Store>(issuer: Arc<Issuer<S>>, most_bytes: usize) -> Router {
    let well_known = |name: &str| format!("/.well-known/{name}");
    let types = types::router(&issuer);
    let key = Arc::new(DecryptionKey::generate(&mut OsRng));
    Router::new()
        .route(&well_known(vci::ISSUER_METADATA), get(metadata::issuer))
        .route(&well_known(vci::SERVER_METADATA), get(metadata::server))
        .route(&well_known(vci::JWT_VC_ISSUER), get(metadata::keys))
        .route(&format!("{OFFERS}/{{code}}"), get(issuance::offer))
        .route(TOKEN, post(issuance::token))
        .route(NONCE, post(issuance::nonce))
        .route(CREDENTIAL, post(issuance::credential))
        .route(DEFERRED, post(issuance::deferred))
        .route(NOTIFICATION, post(issuance::notification))
        .layer(DefaultBodyLimit::max(most_bytes))
        .layer(from_fn(guarded))
        .with_state(IssuanceEndpoints { issuer, most_bytes, key, signed: Arc::default() })
        .merge(types)
}

/// Refuses a request with an access token in its query, even if another one is in its header (RFC 6750 section 2). Adds
/// `Cache-Control: no-store` to responses that have no `Cache-Control` header.
async fn guarded(request: Request, next: Next) -> Response {
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
fn private(status: u16, body: String) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(CONTENT_TYPE, JSON)], body).into_response()
}

/// Returns a JSON response that is the same for everybody; caches must revalidate it.
fn public(body: String) -> Response {
    let headers =
        [(CONTENT_TYPE, HeaderValue::from_static(JSON)), (CACHE_CONTROL, HeaderValue::from_static("no-cache"))];
    (headers, body).into_response()
}

/// Returns the bearer token in the header `Authorization` (RFC 6750 section 2.1); `None` if there is not exactly one
/// such header, or it has another scheme or form.
fn bearer(headers: &HeaderMap) -> Option<Zeroizing<String>> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let is_token = scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && !token.contains(' ');
    is_token.then(|| Zeroizing::new(token.to_owned()))
}

/// Returns whether the query has a parameter `access_token`, which logs would keep.
fn has_token_in_query(uri: &Uri) -> bool {
    form::names_parameter(uri.query().unwrap_or_default(), "access_token")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bearer_token_is_read() {
        let read = |values: &[&str]| {
            let headers = values.iter().map(|value| (AUTHORIZATION, HeaderValue::from_str(value).unwrap())).collect();
            bearer(&headers).map(|token| token.to_string())
        };
        assert_eq!(read(&["Bearer abc"]).as_deref(), Some("abc"));
        assert_eq!(read(&["bearer abc"]).as_deref(), Some("abc"));
        for bad in [
            &[][..],
            &["Bearer"],
            &["Bearer "],
            &["Bearer a b"],
            &["Basic abc"],
            &["Bearer a", "Bearer a"],
            &["DPoP abc"],
        ] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }

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
