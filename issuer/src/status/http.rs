//! Status lists over HTTP, on the listener that gRPC has: at the paths of their own URLs, so that a proxy in front passes
//! them on as they are.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{
        HeaderMap, StatusCode, Uri,
        header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH},
    },
    response::{IntoResponse as _, Response},
    routing::get,
};
use serde_json::json;

use super::shelf;
use crate::{issuer::Issuer, store::Store};

/// The routes of the lists and of their directory; none where nothing is published.
pub(crate) fn router<S: Store>(issuer: Arc<Issuer<S>>) -> Router {
    let Some(path) = issuer.status.base().and_then(|base| base.parse::<Uri>().ok()).map(|base| base.path().to_owned())
    else {
        return Router::new();
    };
    let path = path.trim_end_matches('/');
    Router::new()
        .route(&format!("{path}/lists"), get(directory))
        // All that is below: gRPC's own answer to what it does not know would be a 200 with its status in a header.
        .route(&format!("{path}/{{*list}}"), get(list))
        .with_state(issuer)
}

/// Where all lists are (Token Status List section 9).
async fn directory<S: Store>(State(issuer): State<Arc<Issuer<S>>>, headers: HeaderMap) -> Response {
    let shelf = issuer.status.shelf();
    let urls: Vec<&str> = shelf.urls().collect();
    let text = json!({ "status_lists": urls }).to_string();
    answer(&headers, "application/json", &shelf::etag(text.as_bytes()), text.into(), issuer.status.ttl())
}

async fn list<S: Store>(State(issuer): State<Arc<Issuer<S>>>, uri: Uri, headers: HeaderMap) -> Response {
    let shelf = issuer.status.shelf();
    let path = uri.path();
    let origin = issuer.status.base().and_then(|base| base.parse::<Uri>().ok());
    let origin = origin.as_ref().and_then(Uri::authority).map(|authority| format!("https://{authority}"));
    match origin.as_deref().and_then(|origin| shelf.at(&format!("{origin}{path}"))) {
        Some(form) => answer(&headers, form.media_type, &form.etag, form.bytes.clone(), issuer.status.ttl()),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn answer(headers: &HeaderMap, media_type: &'static str, etag: &str, bytes: axum::body::Bytes, ttl: u32) -> Response {
    let shared = [
        (ETAG, etag.to_owned()),
        (CACHE_CONTROL, format!("public, max-age={ttl}")),
        // Whoever verifies in a browser reads them too; there is nothing in them that is not for everybody.
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*".to_owned()),
    ];
    if has(headers, etag) {
        return (StatusCode::NOT_MODIFIED, shared).into_response();
    }
    (shared, [(CONTENT_TYPE, media_type)], bytes).into_response()
}

/// Whether the caller has these bytes (RFC 9110 section 13.1.2: compared weakly).
fn has(headers: &HeaderMap, etag: &str) -> bool {
    let tags = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    tags.flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}
