//! Shared parts of the services' HTTP interfaces: error headers, and media types. [`crate::wire`] is the counterpart
//! for gRPC.

use std::time::Duration;

use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER},
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

/// Returns the bearer token in the header `Authorization` (RFC 6750 section 2.1); `None` if there is not exactly one
/// such header, or it has another scheme or form.
#[must_use]
pub fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let is_token = scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && !token.contains(' ');
    is_token.then_some(token)
}

/// Returns whether the client prefers a media type to the default one (RFC 9110 section 12.5.1): it accepts it with a
/// greater weight, or with the same weight and by a more specific range. Without `Accept` it does not.
#[must_use]
pub fn prefers_media_type(headers: &HeaderMap, media_type: &str, default: &str) -> bool {
    let (weight, range) = accepted_weight(headers, media_type);
    weight > 0.0 && (weight, range) > accepted_weight(headers, default)
}

/// Returns the weight of a media type, from 0 to 1, and the kind of the most specific range in `Accept` that matches it:
/// 3 for the type itself, 2 for `type/*`, 1 for `*/*`, 0 if none matches.
fn accepted_weight(headers: &HeaderMap, media_type: &str) -> (f32, u8) {
    let group = media_type.split('/').next().unwrap_or_default();
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let matching = accepted.flat_map(|value| value.split(',')).filter_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let kind = match parts.next()? {
            name if name.eq_ignore_ascii_case(media_type) => 3,
            "*/*" => 1,
            name if name.strip_suffix("/*").is_some_and(|name| name.eq_ignore_ascii_case(group)) => 2,
            _ => return None,
        };
        let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        let weight = weight.map_or(Some(1.0), |weight| weight.parse().ok());
        Some((weight.filter(|weight| (0.0..=1.0).contains(weight)).unwrap_or(0.0), kind))
    });
    matching.max_by_key(|(_, kind)| *kind).unwrap_or((0.0, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bearer_token_is_read() {
        let read = |values: &[&str]| {
            let headers = values.iter().map(|value| (AUTHORIZATION, HeaderValue::from_str(value).unwrap())).collect();
            bearer_token(&headers).map(str::to_owned)
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
    fn a_media_type_is_for_those_who_prefer_it() {
        let prefers = |accepted: &[&str], media_type, default| {
            let headers = accepted.iter().map(|value| (ACCEPT, HeaderValue::from_str(value).unwrap())).collect();
            prefers_media_type(&headers, media_type, default)
        };
        for (accepted, expected) in [
            (&["application/x+cwt"][..], true),
            (&["Application/X+CWT; q=0.5"], true),
            (&["application/x+cwt, */*;q=0.1"], true),
            (&["application/x+jwt;q=0.5,application/x+cwt;q=0.6"], true),
            (&["application/x+jwt;q=0", "application/*"], true),
            (&["text/html, application/x+cwt;v=1;Q=0.001"], true),
            (&["*/*", "application/x+cwt"], true),
            (&[], false),
            (&["*/*"], false),
            (&["text/*"], false),
            (&["text/html"], false),
            (&["application/x+jwt"], false),
            (&["application/x+cwt, application/x+jwt"], false),
            (&["application/x+cwt;q=0.5, */*"], false),
            (&["application/x+cwt;q=0"], false),
            (&["application/x+cwt;q=NaN"], false),
            (&["application/x+cwt;q=2"], false),
            (&["application/x+cwt;q=x"], false),
            (&["application/x+cwtx"], false),
        ] {
            assert_eq!(prefers(accepted, "application/x+cwt", "application/x+jwt"), expected, "{accepted:?}");
        }
    }

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
