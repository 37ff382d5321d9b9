//! Shared parts of the services' HTTP interfaces: error headers, and media types. [`crate::wire`] is the counterpart
//! for gRPC.

use std::time::Duration;

use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER},
};

/// Response header with the stable reason of an error, in upper case as in gRPC (spec/openid.md 1.1).
const REASON_HEADER: HeaderName = HeaderName::from_static("carnet-reason");

/// Adds the headers `Carnet-Reason` and, if a retry may succeed, `Retry-After` (at least one second). A reason that is
/// no valid header value is omitted.
pub fn add_error_headers(headers: &mut HeaderMap, reason: &str, retry_after: Option<Duration>) {
    if let Ok(reason) = HeaderValue::from_str(reason) {
        headers.insert(REASON_HEADER, reason);
    }
    if let Some(after) = retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
    }
}

/// Adds `Cache-Control: no-store`, and a `Carnet-Reason` derived from the status, to an error response that lacks them.
/// Other responses are not changed.
pub(crate) fn complete_error_headers(status: StatusCode, headers: &mut HeaderMap) {
    if !status.is_client_error() && !status.is_server_error() {
        return;
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if headers.contains_key(REASON_HEADER) {
        return;
    }
    let reason = match status {
        StatusCode::NOT_FOUND => "NOT_FOUND",
        StatusCode::METHOD_NOT_ALLOWED => "METHOD_NOT_ALLOWED",
        StatusCode::PAYLOAD_TOO_LARGE => "MESSAGE_TOO_LARGE",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "MEDIA_TYPE_UNSUPPORTED",
        StatusCode::NOT_ACCEPTABLE => "NOT_ACCEPTABLE",
        status if status.is_client_error() => "INVALID_ARGUMENT",
        _ => "INTERNAL",
    };
    headers.insert(REASON_HEADER, HeaderValue::from_static(reason));
}

/// Returns whether the `Content-Type` has this media type; its parameters and letter case are ignored.
#[must_use]
pub fn has_media_type(headers: &HeaderMap, media_type: &str) -> bool {
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    given.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(media_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_are_compared_without_parameters() {
        let headers = |value: &'static str| [(CONTENT_TYPE, HeaderValue::from_static(value))].into_iter().collect();
        assert!(has_media_type(&headers("Application/JSON; charset=utf-8"), "application/json"));
        assert!(!has_media_type(&headers("text/plain"), "application/json"));
        assert!(!has_media_type(&HeaderMap::new(), "application/json"));
    }

    #[test]
    fn refusals_have_a_reason_and_are_not_stored() {
        let completed = |status, given: &[(HeaderName, &'static str)]| {
            let mut headers: HeaderMap =
                given.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect();
            complete_error_headers(status, &mut headers);
            let text = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap().to_owned());
            (text(REASON_HEADER), text(CACHE_CONTROL))
        };
        let expected = |reason: &str, cache: &str| (Some(reason.to_owned()), Some(cache.to_owned()));
        assert_eq!(completed(StatusCode::METHOD_NOT_ALLOWED, &[]), expected("METHOD_NOT_ALLOWED", "no-store"));
        assert_eq!(completed(StatusCode::IM_A_TEAPOT, &[]), expected("INVALID_ARGUMENT", "no-store"));
        assert_eq!(completed(StatusCode::BAD_GATEWAY, &[]), expected("INTERNAL", "no-store"));
        let given = [(REASON_HEADER, "OFFER_UNKNOWN"), (CACHE_CONTROL, "no-cache")];
        assert_eq!(completed(StatusCode::NOT_FOUND, &given), expected("OFFER_UNKNOWN", "no-cache"));
        assert_eq!(completed(StatusCode::OK, &[]), (None, None));
        assert_eq!(completed(StatusCode::NOT_MODIFIED, &[]), (None, None));
    }

    #[test]
    fn a_retry_is_at_least_a_second_away() {
        let explained = |after| {
            let mut headers = HeaderMap::new();
            add_error_headers(&mut headers, "STORE_BUSY", after);
            let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
            (text("carnet-reason"), text("retry-after"))
        };
        let reason = || Some("STORE_BUSY".to_owned());
        assert_eq!(explained(None), (reason(), None));
        assert_eq!(explained(Some(Duration::from_millis(1))), (reason(), Some("1".to_owned())));
        assert_eq!(explained(Some(Duration::from_secs(60))), (reason(), Some("60".to_owned())));
    }
}
