//! Shared parts of the services' HTTP interfaces: error headers, and media types. [`crate::wire`] is the counterpart
//! for gRPC.

use std::time::Duration;

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONTENT_TYPE, RETRY_AFTER},
};

/// Header with the stable reason of a refusal, in upper case: that of gRPC (spec/openid.md 1.1).
const REASON: HeaderName = HeaderName::from_static("carnet-reason");

/// Adds the stable reason of an error to the response headers, and `Retry-After` if a retry may succeed.
pub fn explain(headers: &mut HeaderMap, reason: &str, retry_after: Option<Duration>) {
    if let Ok(reason) = HeaderValue::from_str(reason) {
        headers.insert(REASON, reason);
    }
    if let Some(after) = retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
    }
}

/// Returns whether the `Content-Type` is this media type, with any parameters.
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
    fn a_retry_is_at_least_a_second_away() {
        let explained = |after| {
            let mut headers = HeaderMap::new();
            explain(&mut headers, "STORE_BUSY", after);
            let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
            (text("carnet-reason"), text("retry-after"))
        };
        let reason = || Some("STORE_BUSY".to_owned());
        assert_eq!(explained(None), (reason(), None));
        assert_eq!(explained(Some(Duration::from_millis(1))), (reason(), Some("1".to_owned())));
        assert_eq!(explained(Some(Duration::from_secs(60))), (reason(), Some("60".to_owned())));
    }
}
