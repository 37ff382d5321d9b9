//! Errors and values in gRPC messages.
//!
//! An error is a google.rpc.Status with ErrorInfo {reason, domain: `carnet`}. The reason is a stable code in upper
//! case; the message is for people and may change.

use std::{collections::HashMap, time::Duration};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use carnet_core::{Code, Problem, json::Limits, time::Timestamp};
use prost_types::{ListValue, Struct, value::Kind};
use serde_json::{Map, Value};
use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::error::{CallError, ErrorKind};

const ERROR_DOMAIN: &str = "carnet";
/// Largest integer that a number holds exactly in I-JSON (RFC 7493 section 2.2): 2^53 - 1.
const MAX_INTEGER: f64 = 9_007_199_254_740_991.0;
/// Range of google.protobuf.Timestamp: seconds of 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z.
const TIMESTAMP_RANGE: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

fn details(reason: &str) -> ErrorDetails {
    ErrorDetails::with_error_info(reason, ERROR_DOMAIN, HashMap::new())
}

/// Creates a Status with ErrorInfo {reason, domain: `carnet`}.
#[must_use]
pub fn error_status(code: tonic::Code, reason: &str, message: &str) -> Status {
    Status::with_error_details(code, message, details(reason))
}

/// Creates an INVALID_ARGUMENT Status with ErrorInfo and one BadRequest field violation.
#[must_use]
pub fn bad_request(reason: &str, field: &str, description: &str) -> Status {
    let mut details = details(reason);
    details.add_bad_request_violation(field, description);
    Status::with_error_details(tonic::Code::InvalidArgument, format!("{field}: {description}"), details)
}

/// Creates an INVALID_ARGUMENT Status with ErrorInfo and a BadRequest field violation for each (field, description).
#[must_use]
pub fn bad_request_fields(reason: &str, message: &str, violations: &[(String, String)]) -> Status {
    let mut details = details(reason);
    for (field, description) in violations {
        details.add_bad_request_violation(field, description);
    }
    Status::with_error_details(tonic::Code::InvalidArgument, message, details)
}

/// Creates a Status with ErrorInfo and RetryInfo, which states the time after which a retry may succeed.
#[must_use]
pub fn retryable_status(code: tonic::Code, reason: &str, message: &str, after: Duration) -> Status {
    let mut details = details(reason);
    details.set_retry_info(Some(after));
    Status::with_error_details(code, message, details)
}

/// Returns the gRPC status code of a kind of error; the only such mapping.
const fn grpc_code(kind: ErrorKind) -> tonic::Code {
    match kind {
        ErrorKind::Invalid => tonic::Code::InvalidArgument,
        ErrorKind::Unauthenticated => tonic::Code::Unauthenticated,
        ErrorKind::Forbidden => tonic::Code::PermissionDenied,
        ErrorKind::NotFound => tonic::Code::NotFound,
        ErrorKind::Conflict => tonic::Code::AlreadyExists,
        ErrorKind::WrongState => tonic::Code::FailedPrecondition,
        ErrorKind::LimitReached => tonic::Code::ResourceExhausted,
        ErrorKind::Unavailable => tonic::Code::Unavailable,
        ErrorKind::Unsupported => tonic::Code::Unimplemented,
        ErrorKind::Internal => tonic::Code::Internal,
    }
}

/// Returns the number of a gRPC status code (google.rpc.Code).
#[must_use]
pub fn code_number(code: tonic::Code) -> u32 {
    u32::try_from(i32::from(code)).unwrap_or_default()
}

impl From<CallError> for Status {
    fn from(error: CallError) -> Self {
        let mut details = details(&error.reason);
        for fault in error.fields {
            details.add_bad_request_violation(fault.field, fault.description);
        }
        if let Some(after) = error.retry_after {
            details.set_retry_info(Some(after));
        }
        Self::with_error_details(grpc_code(error.kind), error.message, details)
    }
}

/// Converts a problem of the core library to an INVALID_ARGUMENT Status; the reason is its code in upper case.
#[must_use]
pub fn problem_status(problem: &Problem) -> Status {
    error_status(tonic::Code::InvalidArgument, &problem.code.as_str().to_ascii_uppercase(), &problem.detail)
}

/// Returns the ErrorInfo reason of a Status; `None` if it has no ErrorInfo of the domain `carnet`.
#[must_use]
pub fn status_reason(status: &Status) -> Option<String> {
    status.get_details_error_info().filter(|info| info.domain == ERROR_DOMAIN).map(|info| info.reason)
}

/// Returns whether a Status is that of the connection, and not a response of the service, which has a reason.
#[must_use]
pub fn is_connection_failure(status: &Status) -> bool {
    use tonic::Code::{Cancelled, Internal, Unavailable, Unknown};
    matches!(status.code(), Unknown | Internal | Cancelled | Unavailable) && status_reason(status).is_none()
}

/// Converts to a protobuf Timestamp, limited to its range (years 1 to 9999).
#[must_use]
pub fn to_timestamp(at: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: at.unix().clamp(*TIMESTAMP_RANGE.start(), *TIMESTAMP_RANGE.end()), nanos: 0 }
}

/// Converts from a protobuf Timestamp; fractions of a second are dropped.
///
/// # Errors
/// `date_malformed`: outside the years 1 to 9999, or nanoseconds outside their range.
pub fn from_timestamp(at: &prost_types::Timestamp) -> Result<Timestamp, Problem> {
    if TIMESTAMP_RANGE.contains(&at.seconds) && (0..1_000_000_000).contains(&at.nanos) {
        Ok(Timestamp::from_unix(at.seconds))
    } else {
        Err(Problem::new(Code::DateMalformed, "a timestamp is outside the years 0001 to 9999"))
    }
}

/// Converts a protobuf Struct to a JSON object, with the limits on depth and numbers of documents
/// ([`Limits::DOCUMENT`]). Integral numbers become integers. The size is limited by the message size.
///
/// # Errors
/// `too_deep`; `number_range` (not finite, or an integer beyond 2^53 - 1); `invalid_json` (a value without a kind)
pub fn from_struct(s: &Struct) -> Result<Map<String, Value>, Problem> {
    object(s, 1)
}

fn object(s: &Struct, depth: usize) -> Result<Map<String, Value>, Problem> {
    require_depth(depth)?;
    s.fields.iter().map(|(name, field)| Ok((name.clone(), value(field, depth)?))).collect()
}

fn value(v: &prost_types::Value, depth: usize) -> Result<Value, Problem> {
    let below = depth.saturating_add(1);
    Ok(match &v.kind {
        None => return Err(Problem::new(Code::InvalidJson, "a value has no kind")),
        Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(b)) => Value::Bool(*b),
        Some(Kind::StringValue(text)) => Value::String(text.clone()),
        Some(Kind::NumberValue(n)) => number(*n)?,
        Some(Kind::StructValue(s)) => Value::Object(object(s, below)?),
        Some(Kind::ListValue(list)) => {
            require_depth(below)?;
            Value::Array(list.values.iter().map(|v| value(v, below)).collect::<Result<_, _>>()?)
        }
    })
}

fn require_depth(depth: usize) -> Result<(), Problem> {
    if depth > Limits::DOCUMENT.max_depth { Err(Code::TooDeep.into()) } else { Ok(()) }
}

fn number(n: f64) -> Result<Value, Problem> {
    let out_of_range = || Problem::from(Code::NumberRange);
    if n.fract() == 0.0 {
        if n.abs() > MAX_INTEGER {
            return Err(out_of_range());
        }
        // Exact: an integral double within 2^53 fits.
        return Ok(Value::from(n as i64));
    }
    serde_json::Number::from_f64(n).map(Value::Number).ok_or_else(out_of_range)
}

/// Converts a JSON object to a protobuf Struct. Numbers become doubles, the only number type of a Struct.
#[must_use]
pub fn to_struct(m: &Map<String, Value>) -> Struct {
    Struct { fields: m.iter().map(|(name, v)| (name.clone(), to_value(v))).collect() }
}

/// Converts JSON to a protobuf Value. Numbers become doubles.
#[must_use]
pub fn to_value(v: &Value) -> prost_types::Value {
    let kind = match v {
        Value::Null => Kind::NullValue(0),
        Value::Bool(b) => Kind::BoolValue(*b),
        Value::Number(n) => Kind::NumberValue(n.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(items) => Kind::ListValue(ListValue { values: items.iter().map(to_value).collect() }),
        Value::Object(m) => Kind::StructValue(to_struct(m)),
    };
    prost_types::Value { kind: Some(kind) }
}

/// Requested page of a list that is sorted by descending row id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    /// Maximum number of rows.
    pub size: i64,
    /// Exclusive upper bound of the row ids; `i64::MAX` for the first page.
    pub before: i64,
}

/// Parses a page request. `size` 0 means 50, and more than 500 means 500. `token` is the result of [`page_token`], or
/// empty for the first page.
///
/// # Errors
/// INVALID_ARGUMENT with reason PAGE_TOKEN_INVALID: malformed page token.
pub fn parse_page(size: u32, token: &str) -> Result<PageRequest, Status> {
    let size = if size == 0 { 50 } else { i64::from(size.min(500)) };
    if token.is_empty() {
        return Ok(PageRequest { size, before: i64::MAX });
    }
    let before =
        BASE64_URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| bytes.try_into().ok()).map(i64::from_be_bytes);
    match before {
        Some(before) if before > 0 => Ok(PageRequest { size, before }),
        _ => Err(bad_request("PAGE_TOKEN_INVALID", "page_token", "not a page token of this list")),
    }
}

/// Returns the token for the page after the row with this id: base64url of the id.
#[must_use]
pub fn page_token(last_rowid: i64) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(last_rowid.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_status_carries_its_details() {
        let status = bad_request("OFFER_INVALID", "offer.pin", "must have six digits");
        assert_eq!(status_reason(&status).as_deref(), Some("OFFER_INVALID"));
        assert_eq!(status.get_details_bad_request().unwrap().field_violations[0].field, "offer.pin");
        let status = retryable_status(tonic::Code::Unavailable, "NOT_READY", "Not yet.", Duration::from_secs(5));
        assert_eq!(status.get_details_retry_info().unwrap().retry_delay, Some(Duration::from_secs(5)));
        assert_eq!(status_reason(&status).as_deref(), Some("NOT_READY"));
        let status = problem_status(&Code::KeyBindingMissing.into());
        assert_eq!(
            (status.code(), status_reason(&status).as_deref()),
            (tonic::Code::InvalidArgument, Some("KEY_BINDING_MISSING"))
        );
        assert_eq!(status_reason(&Status::internal("x")), None);
    }

    #[test]
    fn an_error_becomes_a_status_with_its_details() {
        let error = CallError::invalid("OFFER_INVALID", "offer.pin", "must have six digits");
        let status = Status::from(error.with_field("offer.type", "is unknown"));
        assert_eq!(
            (status.code(), status.message()),
            (tonic::Code::InvalidArgument, "offer.pin: must have six digits")
        );
        let fields: Vec<String> =
            status.get_details_bad_request().unwrap().field_violations.into_iter().map(|fault| fault.field).collect();
        assert_eq!(fields, ["offer.pin", "offer.type"]);
        assert!(status.get_details_retry_info().is_none());
        let busy =
            CallError::new(ErrorKind::Unavailable, "STORE_BUSY", "Busy.").with_retry_after(Duration::from_secs(1));
        let status = Status::from(busy);
        assert_eq!((status.code(), status_reason(&status).as_deref()), (tonic::Code::Unavailable, Some("STORE_BUSY")));
        assert_eq!(status.get_details_retry_info().unwrap().retry_delay, Some(Duration::from_secs(1)));
        assert!(status.get_details_bad_request().is_none());
    }

    #[test]
    fn a_struct_comes_back_as_it_was() {
        let value = map(json!({"a": 1, "b": -2.5, "c": [null, true, "x", {"d": 9_007_199_254_740_991_i64}], "e": {}}));
        assert_eq!(from_struct(&to_struct(&value)).unwrap(), value);
    }

    #[test]
    fn numbers_outside_their_range_are_refused() {
        let with = |n: f64| Struct {
            fields: [("n".to_owned(), prost_types::Value { kind: Some(Kind::NumberValue(n)) })].into(),
        };
        assert_eq!(from_struct(&with(7.0)).unwrap(), map(json!({"n": 7})));
        assert_eq!(from_struct(&with(-0.0)).unwrap(), map(json!({"n": 0})));
        for n in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 9_007_199_254_740_992.0, -1e300] {
            assert_eq!(from_struct(&with(n)).unwrap_err().code, Code::NumberRange, "{n}");
        }
    }

    #[test]
    fn depth_counts_as_in_json_text() {
        let nested = |depth: usize| {
            let mut value = json!({});
            for _ in 1..depth {
                value = json!({"a": value});
            }
            map(value)
        };
        let most = Limits::DOCUMENT.max_depth;
        assert!(from_struct(&to_struct(&nested(most))).is_ok());
        assert_eq!(from_struct(&to_struct(&nested(most + 1))).unwrap_err().code, Code::TooDeep);
        let unset = Struct { fields: [("n".to_owned(), prost_types::Value { kind: None })].into() };
        assert_eq!(from_struct(&unset).unwrap_err().code, Code::InvalidJson);
    }

    #[test]
    fn times_go_both_ways_and_odd_ones_are_refused() {
        let at = Timestamp::from_unix(1_795_305_600);
        assert_eq!(from_timestamp(&to_timestamp(at)).unwrap(), at);
        assert_eq!(to_timestamp(Timestamp::from_unix(i64::MAX)).seconds, *TIMESTAMP_RANGE.end());
        for (seconds, nanos) in [(i64::MAX, 0), (i64::MIN, 0), (0, -1), (0, 1_000_000_000)] {
            assert!(from_timestamp(&prost_types::Timestamp { seconds, nanos }).is_err());
        }
    }

    #[test]
    fn pages_follow_their_tokens() {
        assert_eq!(parse_page(0, "").unwrap(), PageRequest { size: 50, before: i64::MAX });
        assert_eq!(parse_page(9999, &page_token(17)).unwrap(), PageRequest { size: 500, before: 17 });
        for token in ["x", "AAAA", "!!!", &page_token(-1), &page_token(0)] {
            assert_eq!(
                status_reason(&parse_page(1, token).unwrap_err()).as_deref(),
                Some("PAGE_TOKEN_INVALID"),
                "{token}"
            );
        }
    }
}
