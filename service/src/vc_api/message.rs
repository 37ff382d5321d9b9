//! Request and response messages.

use axum::{
    body::{Body, to_bytes},
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
};
use carnet_core::{
    json::{self, Limits},
    wipe,
};
use serde_json::{Map, Value};

use super::problem::VcApiError;
use crate::http_wire::has_media_type;

const JSON: &str = "application/json";
/// Maximum JSON depth of a message: a document, in a presentation, in a message.
const MAX_DEPTH: usize = 40;

/// JSON object of a request, erased from memory on drop.
pub struct RequestMessage(Map<String, Value>);

impl Drop for RequestMessage {
    fn drop(&mut self) {
        self.0.values_mut().for_each(wipe);
    }
}

impl std::fmt::Debug for RequestMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RequestMessage(redacted)")
    }
}

impl RequestMessage {
    /// Creates a message from its members.
    #[must_use]
    pub fn new(members: Map<String, Value>) -> Self {
        Self(members)
    }

    /// Removes a required member that is an object, and returns it.
    ///
    /// # Errors
    /// The member is absent, or is no object (400).
    pub fn take_object(&mut self, name: &'static str) -> Result<Map<String, Value>, VcApiError> {
        match self.0.remove(name) {
            Some(Value::Object(members)) => Ok(members),
            Some(mut other) => {
                wipe(&mut other);
                Err(VcApiError::malformed("INVALID_ARGUMENT", name, "must be an object"))
            }
            None => Err(VcApiError::malformed("INVALID_ARGUMENT", name, "missing")),
        }
    }

    /// Removes an optional member that is an object, and returns it; an absent one counts as empty.
    ///
    /// # Errors
    /// The member is no object (400).
    pub fn take_optional_object(&mut self, name: &'static str) -> Result<Map<String, Value>, VcApiError> {
        if self.0.contains_key(name) { self.take_object(name) } else { Ok(Map::new()) }
    }

    /// Removes an optional string.
    ///
    /// # Errors
    /// The member is no string (400).
    pub fn take_optional_text(&mut self, name: &'static str) -> Result<Option<String>, VcApiError> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(VcApiError::malformed("INVALID_ARGUMENT", name, "must be a string")),
        }
    }

    /// Removes an optional boolean.
    ///
    /// # Errors
    /// The member is no boolean (400).
    pub fn take_optional_bool(&mut self, name: &'static str) -> Result<Option<bool>, VcApiError> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(value)),
            Some(_) => Err(VcApiError::malformed("INVALID_ARGUMENT", name, "must be a boolean")),
        }
    }

    /// Removes a member.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name)
    }

    /// Refuses members that were not taken: an option that is not understood could have changed the meaning of the
    /// request. `place`: name of this object, for the error.
    ///
    /// # Errors
    /// 400, `OPTION_UNKNOWN`, with the name of the first one.
    pub fn require_nothing_else(&self, place: &str) -> Result<(), VcApiError> {
        let Some(name) = self.0.keys().next() else { return Ok(()) };
        let name: String = name.chars().take(40).collect();
        let why = format!("{} is not supported here. Nothing was done", carnet_core::text::quoted(&name));
        Err(VcApiError::malformed("OPTION_UNKNOWN", place, why))
    }
}

/// Reads a request body: a JSON object of at most `max_bytes`.
///
/// # Errors
/// Another media type (415), a larger body (413), or no JSON object by the rules of core (400).
pub async fn read_message(headers: &HeaderMap, body: Body, max_bytes: usize) -> Result<RequestMessage, VcApiError> {
    if !has_media_type(headers, JSON) {
        let message = format!("The body must be {JSON}. Nothing was done.");
        return Err(VcApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "MEDIA_TYPE_UNSUPPORTED", message));
    }
    let body = to_bytes(body, max_bytes).await.map_err(|_| {
        let message = format!("The body could not be read, or is over {max_bytes} bytes. Nothing was done.");
        VcApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "MESSAGE_TOO_LARGE", message)
    })?;
    let limits = Limits { max_bytes, max_depth: MAX_DEPTH };
    let members = json::parse_object(&body, limits).map_err(|problem| VcApiError::from_problem(&problem))?;
    Ok(RequestMessage(members))
}

/// Returns a JSON response.
#[must_use]
pub fn json_response(status: StatusCode, body: &Value) -> Response {
    (status, [(CONTENT_TYPE, JSON)], body.to_string()).into_response()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn message(value: Value) -> RequestMessage {
        match value {
            Value::Object(members) => RequestMessage::new(members),
            _ => panic!("no object"),
        }
    }

    fn status<T>(result: Result<T, VcApiError>) -> u16 {
        result.err().map_or(200, |error| axum::response::IntoResponse::into_response(error).status().as_u16())
    }

    #[test]
    fn members_are_taken_by_type_and_the_rest_is_refused() {
        let mut whole = message(json!({"credential": {"a": 1}, "options": {}, "challenge": "c", "status": true}));
        assert_eq!(whole.take_object("credential").unwrap().len(), 1);
        assert!(whole.take_optional_object("options").unwrap().is_empty());
        assert_eq!(whole.take_optional_text("challenge").unwrap().as_deref(), Some("c"));
        assert_eq!(whole.take_optional_bool("status").unwrap(), Some(true));
        assert!(whole.take_optional_object("options").unwrap().is_empty() && whole.take("x").is_none());
        assert_eq!(status(whole.require_nothing_else("options")), 200);
        assert_eq!(status(message(json!({"x": 1})).require_nothing_else("options")), 400);
        assert_eq!(status(message(json!({})).take_object("credential")), 400);
        for wrong in [json!("a"), json!([]), json!(null)] {
            assert_eq!(status(message(json!({"credential": wrong})).take_object("credential")), 400);
        }
        assert_eq!(status(message(json!({"options": []})).take_optional_object("options")), 400);
        assert_eq!(status(message(json!({"challenge": 1})).take_optional_text("challenge")), 400);
        assert_eq!(status(message(json!({"status": "true"})).take_optional_bool("status")), 400);
    }

    #[tokio::test]
    async fn a_body_has_the_media_type_the_size_and_the_form() {
        let read = async |media_type: &'static str, body: &'static str| {
            let headers = [(CONTENT_TYPE, axum::http::HeaderValue::from_static(media_type))].into_iter().collect();
            status(read_message(&headers, Body::from(body), 20).await)
        };
        assert_eq!(read("application/json; charset=utf-8", r#"{"a": 1}"#).await, 200);
        assert_eq!(read("text/plain", r#"{"a": 1}"#).await, 415);
        assert_eq!(read(JSON, r#"{"a": "0123456789abcdef"}"#).await, 413);
        for malformed in ["", "[]", "{", r#"{"a": 1, "a": 2}"#] {
            assert_eq!(read(JSON, malformed).await, 400, "{malformed}");
        }
    }
}
