//! Status lists over HTTP, on the same listener as gRPC. Their paths are those of the lists' public URLs, so that a
//! reverse proxy can forward requests unchanged.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{
        HeaderMap, HeaderValue, StatusCode, Uri,
        header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY},
    },
    response::{IntoResponse as _, Response},
    routing::get,
};
use carnet_service::http_wire::prefers_media_type;
use serde_json::json;

use crate::{issuer::Issuer, status::HttpContent, store::Store};

/// Returns the routes of the lists and of their directory, `lists`; none if lists are not published.
pub(crate) fn router<S: Store>(issuer: Arc<Issuer<S>>) -> Router {
    let Some(path) =
        issuer.status_publisher.base_url().and_then(|base| base.parse::<Uri>().ok()).map(|base| base.path().to_owned())
    else {
        return Router::new();
    };
    let path = path.trim_end_matches('/');
    Router::new()
        .route(&format!("{path}/lists"), get(serve_directory))
        // Covers all paths below: gRPC's own response to unknown paths would be a 200 with its status in a header.
        .route(&format!("{path}/{{*list}}"), get(serve_list))
        .with_state(issuer)
}

/// Handles a request for the directory: the URLs of all lists (Token Status List section 9), the current signing key,
/// the lifetime of freshness statements, and the signed statement about the store.
///
/// Caches must revalidate it: a wallet checks new copies against the lists and the key, and would refuse valid ones
/// with an outdated directory.
async fn serve_directory<S: Store>(State(issuer): State<Arc<Issuer<S>>>, headers: HeaderMap) -> Response {
    let shelf = issuer.status_publisher.published_lists();
    let urls: Vec<&str> = shelf.urls().collect();
    let mut members = json!({
        "signing_key": issuer.kid, "status_lists": urls, "freshness_seconds": issuer.settings.freshness_seconds,
    });
    if let (Some(statement), Some(members)) = (shelf.statement(), members.as_object_mut()) {
        members.insert("publication".to_owned(), statement.into());
    }
    content_response(&headers, &HttpContent::new("application/json", members.to_string().into()), "public, no-cache")
}

/// Handles a request for a list: 404 if none is published at this URL. A status list token is sent as CBOR if the
/// client prefers that, otherwise as JWT.
async fn serve_list<S: Store>(State(issuer): State<Arc<Issuer<S>>>, uri: Uri, headers: HeaderMap) -> Response {
    let shelf = issuer.status_publisher.published_lists();
    let path = uri.path();
    let origin = issuer.status_publisher.base_url().and_then(|base| base.parse::<Uri>().ok());
    let origin = origin.as_ref().and_then(Uri::authority).map(|authority| format!("https://{authority}"));
    let Some(form) = origin.as_deref().and_then(|origin| shelf.by_url(&format!("{origin}{path}"))) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let caching = format!("public, max-age={}", issuer.status_publisher.ttl_seconds());
    let Some(cwt) = &form.cwt else { return content_response(&headers, &form.content, &caching) };
    let in_cbor = prefers_media_type(&headers, cwt.media_type, form.content.media_type);
    let mut response = content_response(&headers, if in_cbor { cwt } else { &form.content }, &caching);
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
    response
}

/// Returns a response with caching headers, and without body (304) if the client has the content already.
fn content_response(headers: &HeaderMap, content: &HttpContent, caching: &str) -> Response {
    let shared = [
        (ETAG, content.etag.clone()),
        (CACHE_CONTROL, caching.to_owned()),
        // Verifiers in a browser read them too; the content is public.
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*".to_owned()),
    ];
    if has_etag(headers, &content.etag) {
        return (StatusCode::NOT_MODIFIED, shared).into_response();
    }
    (shared, [(CONTENT_TYPE, content.media_type)], content.bytes.clone()).into_response()
}

/// Returns whether `If-None-Match` contains this entity tag or `*` (RFC 9110 section 13.1.2, weak comparison).
fn has_etag(headers: &HeaderMap, etag: &str) -> bool {
    let tags = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    tags.flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}
