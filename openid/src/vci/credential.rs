//! Nonce, credential, deferred credential and notification endpoints (sections 7 to 11).

use carnet_core::{
    Code, Problem,
    json::{self, Limits},
};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::{
    SecretText,
    error::{ErrorCode, ErrorResponse},
};

/// Maximum depth of the JSON in requests; a `jwk` for encryption is the deepest member.
const MAX_DEPTH: usize = 16;

/// Parses the JSON object of a request of at most `max_bytes` bytes. Errors have the given code.
fn parse_request_object(body: &[u8], max_bytes: usize, code: ErrorCode) -> Result<Map<String, Value>, ErrorResponse> {
    let limits = Limits { max_bytes, max_depth: MAX_DEPTH };
    json::parse_object(body, limits).map_err(|problem| ErrorResponse::new(code, problem.to_string()))
}

/// Returns a required member that is non-empty text. Errors have the given code.
fn required_text<'a>(members: &'a Map<String, Value>, name: &str, code: ErrorCode) -> Result<&'a str, ErrorResponse> {
    let found = members.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    found.ok_or_else(|| ErrorResponse::new(code, format!("{name} is missing or not text")))
}

/// Serialises a nonce response (OpenID4VCI section 7.2).
#[must_use]
pub fn write_nonce_response(c_nonce: &str) -> String {
    json!({ "c_nonce": c_nonce }).to_string()
}

/// Parses a nonce response, and returns the nonce.
///
/// # Errors
/// The errors of [`json::parse_object`]; `malformed_value` if `c_nonce` is missing, empty or not text.
pub fn parse_nonce_response(body: &[u8]) -> Result<String, Problem> {
    let members = json::parse_object(body, Limits::SMALL)?;
    let nonce = members.get("c_nonce").and_then(Value::as_str).filter(|nonce| !nonce.is_empty());
    nonce.map(str::to_owned).ok_or_else(|| Problem::new(Code::MalformedValue, "c_nonce is missing"))
}

/// Identifier of the requested credential, in one of two forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestedCredential {
    /// `credential_configuration_id`
    Configuration(String),
    /// `credential_identifier`
    Identifier(String),
}

/// Credential request (OpenID4VCI section 8.2).
#[derive(Debug, PartialEq, Eq)]
pub struct CredentialRequest {
    /// Credential configuration or credential identifier.
    pub requested: RequestedCredential,
    /// JWT proofs of possession, at least one. A copy of the credential is issued for each, in this order.
    pub proofs: Vec<String>,
    /// `credential_response_encryption`, not yet parsed; `None`: the response is not encrypted.
    pub encryption: Option<Value>,
}

impl CredentialRequest {
    /// Parses the body, of at most `max_bytes` bytes. Unknown members are ignored.
    ///
    /// # Errors
    /// `invalid_credential_request`; `invalid_proof` for proofs that are missing, empty or of a type other than `jwt`.
    pub fn parse(body: &[u8], max_bytes: usize) -> Result<Self, ErrorResponse> {
        let malformed = ErrorCode::InvalidCredentialRequest;
        let members = parse_request_object(body, max_bytes, malformed)?;
        let (configuration, identifier) = ("credential_configuration_id", "credential_identifier");
        let requested = match (members.contains_key(configuration), members.contains_key(identifier)) {
            (true, false) => {
                RequestedCredential::Configuration(required_text(&members, configuration, malformed)?.to_owned())
            }
            (false, true) => {
                RequestedCredential::Identifier(required_text(&members, identifier, malformed)?.to_owned())
            }
            _ => {
                let why = "exactly one of credential_configuration_id and credential_identifier is needed";
                return Err(ErrorResponse::new(malformed, why));
            }
        };
        let proofs = parse_proofs(members.get("proofs"))?;
        Ok(Self { requested, proofs, encryption: members.get("credential_response_encryption").cloned() })
    }

    /// Serialises the body.
    #[must_use]
    pub fn to_json(&self) -> String {
        let (name, value) = match &self.requested {
            RequestedCredential::Configuration(id) => ("credential_configuration_id", id),
            RequestedCredential::Identifier(id) => ("credential_identifier", id),
        };
        let mut members = Map::from_iter([(name.to_owned(), json!(value))]);
        members.insert("proofs".to_owned(), json!({ "jwt": self.proofs }));
        if let Some(encryption) = &self.encryption {
            members.insert("credential_response_encryption".to_owned(), encryption.clone());
        }
        Value::Object(members).to_string()
    }
}

fn parse_proofs(proofs: Option<&Value>) -> Result<Vec<String>, ErrorResponse> {
    let invalid = |why: &str| ErrorResponse::new(ErrorCode::InvalidProof, why);
    let proofs = proofs.ok_or_else(|| invalid("proofs is missing"))?;
    let types = proofs.as_object().ok_or_else(|| invalid("proofs is not an object"))?;
    if types.len() != 1 {
        return Err(invalid("proofs has exactly one type"));
    }
    let jwts = types.get("jwt").ok_or_else(|| invalid("only proofs of the type jwt are supported"))?;
    let jwts = jwts.as_array().filter(|jwts| !jwts.is_empty());
    let jwts = jwts.and_then(|jwts| jwts.iter().map(|jwt| jwt.as_str().map(str::to_owned)).collect());
    jwts.ok_or_else(|| invalid("proofs.jwt is not a list of at least one JWT"))
}

/// Credential response (OpenID4VCI section 8.3) or deferred credential response (section 9.2).
#[derive(Debug, Clone, PartialEq)]
pub enum CredentialResponse {
    /// Issued credentials.
    Issued {
        /// Copies of one credential: strings, or objects for JSON formats.
        credentials: Vec<Value>,
        /// Id for the notification endpoint, if the issuer accepts notifications.
        notification_id: Option<SecretText>,
    },
    /// Announcement that the credentials will be issued later.
    Deferred {
        /// Id for the deferred credential endpoint.
        transaction_id: SecretText,
        /// Minimum time before the next deferred credential request, in seconds.
        interval: u64,
    },
}

impl CredentialResponse {
    /// Returns the HTTP status code of the response: 200 or 202.
    #[must_use]
    pub const fn http_status(&self) -> u16 {
        match self {
            Self::Issued { .. } => 200,
            Self::Deferred { .. } => 202,
        }
    }

    /// Serialises the body.
    #[must_use]
    pub fn to_json(&self) -> Zeroizing<String> {
        let body = match self {
            Self::Issued { credentials, notification_id } => {
                let credentials: Vec<Value> = credentials.iter().map(|one| json!({ "credential": one })).collect();
                let mut body = json!({ "credentials": credentials });
                if let (Some(id), Some(members)) = (notification_id, body.as_object_mut()) {
                    members.insert("notification_id".to_owned(), json!(id.expose()));
                }
                body
            }
            Self::Deferred { transaction_id, interval } => {
                json!({ "transaction_id": transaction_id.expose(), "interval": interval })
            }
        };
        Zeroizing::new(body.to_string())
    }

    /// Parses the body. Unknown members are ignored.
    ///
    /// # Errors
    /// The errors of [`json::parse_object`]; `malformed_value` for a malformed member, no credentials, or both of
    /// `credentials` and `transaction_id`.
    pub fn parse(body: &[u8], limits: Limits) -> Result<Self, Problem> {
        let members = json::parse_object(body, limits)?;
        let malformed = |what: &str| Problem::new(Code::MalformedValue, what.to_owned());
        let handle = |name: &str| match members.get(name) {
            None => Ok(None),
            Some(Value::String(handle)) if !handle.is_empty() => Ok(Some(SecretText::from(handle.as_str()))),
            Some(_) => Err(malformed(&format!("{name} is not text"))),
        };
        match (members.get("credentials"), handle("transaction_id")?) {
            (Some(Value::Array(issued)), None) if !issued.is_empty() => {
                let credential =
                    |one: &Value| one.get("credential").filter(|one| one.is_string() || one.is_object()).cloned();
                let credentials = issued.iter().map(credential).collect::<Option<Vec<_>>>();
                let credentials = credentials.ok_or_else(|| malformed("credentials has an element without one"))?;
                Ok(Self::Issued { credentials, notification_id: handle("notification_id")? })
            }
            (None, Some(transaction_id)) => {
                let interval =
                    members.get("interval").and_then(json::as_unsigned_integer).filter(|seconds| *seconds > 0);
                let interval = interval.ok_or_else(|| malformed("interval is not a number of seconds"))?;
                Ok(Self::Deferred { transaction_id, interval })
            }
            _ => Err(malformed("exactly one of credentials and transaction_id is needed")),
        }
    }
}

/// Deferred credential request (OpenID4VCI section 9.1).
#[derive(Debug, PartialEq, Eq)]
pub struct DeferredCredentialRequest {
    /// Id from the credential response.
    pub transaction_id: SecretText,
    /// `credential_response_encryption`, not yet parsed; `None`: the response is not encrypted.
    pub encryption: Option<Value>,
}

impl DeferredCredentialRequest {
    /// Parses the body, of at most `max_bytes` bytes. Unknown members are ignored.
    ///
    /// # Errors
    /// `invalid_credential_request`; `invalid_transaction_id` if the transaction id is missing, empty or not text.
    pub fn parse(body: &[u8], max_bytes: usize) -> Result<Self, ErrorResponse> {
        let members = parse_request_object(body, max_bytes, ErrorCode::InvalidCredentialRequest)?;
        let transaction_id =
            required_text(&members, "transaction_id", ErrorCode::InvalidTransactionId).map(SecretText::from)?;
        Ok(Self { transaction_id, encryption: members.get("credential_response_encryption").cloned() })
    }
}

/// Serialises a deferred credential request, without encryption of its response.
#[must_use]
pub fn write_deferred_request(transaction_id: &SecretText) -> Zeroizing<String> {
    Zeroizing::new(json!({ "transaction_id": transaction_id.expose() }).to_string())
}

/// Event of a notification (OpenID4VCI section 11.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotificationEvent {
    /// `credential_accepted`: the wallet stored all credentials.
    Accepted,
    /// `credential_failure`: the credentials could not be stored, or were refused.
    Failure,
    /// `credential_deleted`: the holder deleted or declined the credentials.
    Deleted,
}

impl NotificationEvent {
    /// All events.
    pub const ALL: [Self; 3] = [Self::Accepted, Self::Failure, Self::Deleted];

    /// Returns the value of `event`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "credential_accepted",
            Self::Failure => "credential_failure",
            Self::Deleted => "credential_deleted",
        }
    }
}

/// Notification request (OpenID4VCI section 11.1). `event_description` is ignored: it may reveal something about the
/// holder.
#[derive(Debug, PartialEq, Eq)]
pub struct NotificationRequest {
    /// Notification id of the credential response.
    pub notification_id: SecretText,
    /// Event that the wallet reports.
    pub event: NotificationEvent,
}

impl NotificationRequest {
    /// Parses the body, of at most `max_bytes` bytes. Unknown members are ignored.
    ///
    /// # Errors
    /// `invalid_notification_request`
    pub fn parse(body: &[u8], max_bytes: usize) -> Result<Self, ErrorResponse> {
        let malformed = ErrorCode::InvalidNotificationRequest;
        let members = parse_request_object(body, max_bytes, malformed)?;
        let event = required_text(&members, "event", malformed)?;
        let event = NotificationEvent::ALL.into_iter().find(|known| known.as_str() == event);
        Ok(Self {
            notification_id: required_text(&members, "notification_id", malformed)?.into(),
            event: event.ok_or_else(|| ErrorResponse::new(malformed, "event is unknown"))?,
        })
    }

    /// Serialises the body.
    #[must_use]
    pub fn to_json(&self) -> Zeroizing<String> {
        let body = json!({ "notification_id": self.notification_id.expose(), "event": self.event.as_str() });
        Zeroizing::new(body.to_string())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MOST: usize = 65_536;

    fn request(body: &Value) -> Result<CredentialRequest, ErrorCode> {
        CredentialRequest::parse(body.to_string().as_bytes(), MOST).map_err(|error| error.code)
    }

    #[test]
    fn a_credential_request_names_one_credential_and_one_type_of_proof() {
        let good = json!({"credential_configuration_id": "a", "proofs": {"jwt": ["x", "y"]}, "unknown": {"a": 1}});
        let read = request(&good).unwrap();
        assert_eq!(CredentialRequest::parse(read.to_json().as_bytes(), MOST).unwrap(), read);
        assert_eq!((read.requested, read.proofs.len()), (RequestedCredential::Configuration("a".to_owned()), 2));
        let identified = json!({"credential_identifier": "a", "proofs": {"jwt": ["x"]}});
        let identified = request(&identified).unwrap();
        assert_eq!(CredentialRequest::parse(identified.to_json().as_bytes(), MOST).unwrap(), identified);
        assert_eq!(identified.requested, RequestedCredential::Identifier("a".to_owned()));
        let proofs = json!({"jwt": ["x"]});
        for (bad, code) in [
            (json!({"proofs": proofs}), ErrorCode::InvalidCredentialRequest),
            (
                json!({"credential_configuration_id": "a", "credential_identifier": "a", "proofs": proofs}),
                ErrorCode::InvalidCredentialRequest,
            ),
            (json!({"credential_configuration_id": "", "proofs": proofs}), ErrorCode::InvalidCredentialRequest),
            (json!({"credential_configuration_id": 1, "proofs": proofs}), ErrorCode::InvalidCredentialRequest),
            (json!([]), ErrorCode::InvalidCredentialRequest),
            (json!({"credential_configuration_id": "a"}), ErrorCode::InvalidProof),
            (json!({"credential_configuration_id": "a", "proofs": {}}), ErrorCode::InvalidProof),
            (json!({"credential_configuration_id": "a", "proofs": []}), ErrorCode::InvalidProof),
            (json!({"credential_configuration_id": "a", "proofs": {"jwt": []}}), ErrorCode::InvalidProof),
            (json!({"credential_configuration_id": "a", "proofs": {"jwt": "x"}}), ErrorCode::InvalidProof),
            (json!({"credential_configuration_id": "a", "proofs": {"jwt": ["x", 1]}}), ErrorCode::InvalidProof),
            (json!({"credential_configuration_id": "a", "proofs": {"di_vp": [{}]}}), ErrorCode::InvalidProof),
            (
                json!({"credential_configuration_id": "a", "proofs": {"jwt": ["x"], "attestation": ["y"]}}),
                ErrorCode::InvalidProof,
            ),
            (json!({"credential_configuration_id": "a", "proof": {"jwt": "x"}}), ErrorCode::InvalidProof),
        ] {
            assert_eq!(request(&bad), Err(code), "{bad}");
        }
        let twice = br#"{"credential_configuration_id":"a","credential_configuration_id":"b","proofs":{"jwt":["x"]}}"#;
        let refused = CredentialRequest::parse(twice, MOST).unwrap_err();
        assert_eq!(refused.code, ErrorCode::InvalidCredentialRequest);
        let small = CredentialRequest::parse(good.to_string().as_bytes(), 10).unwrap_err();
        assert!(small.description.starts_with("too_large"), "{}", small.description);
    }

    #[test]
    fn a_credential_response_has_credentials_or_a_transaction() {
        for response in [
            CredentialResponse::Issued { credentials: vec![json!("a~"), json!({"type": []})], notification_id: None },
            CredentialResponse::Issued { credentials: vec![json!("a~")], notification_id: Some("n".into()) },
            CredentialResponse::Deferred { transaction_id: "t".into(), interval: 5 },
        ] {
            let text = response.to_json();
            assert_eq!(CredentialResponse::parse(text.as_bytes(), Limits::DOCUMENT).unwrap(), response);
        }
        for bad in [
            json!({}),
            json!({"credentials": []}),
            json!({"credentials": ["a~"]}),
            json!({"credentials": [{"credential": 1}]}),
            json!({"credentials": [{"credential": "a~"}], "transaction_id": "t", "interval": 5}),
            json!({"credentials": [{"credential": "a~"}], "notification_id": 1}),
            json!({"transaction_id": "t"}),
            json!({"transaction_id": "t", "interval": 0}),
            json!({"transaction_id": "", "interval": 5}),
        ] {
            let refused = CredentialResponse::parse(bad.to_string().as_bytes(), Limits::DOCUMENT).unwrap_err();
            assert_eq!(refused.code, Code::MalformedValue, "{bad}");
        }
    }

    #[test]
    fn notifications_and_deferred_requests_are_read() {
        let notify = |body: Value| NotificationRequest::parse(body.to_string().as_bytes(), MOST).map_err(|e| e.code);
        for event in NotificationEvent::ALL {
            let read = notify(json!({"notification_id": "n", "event": event.as_str(), "event_description": "x"}));
            assert_eq!(read.unwrap(), NotificationRequest { notification_id: "n".into(), event });
        }
        for bad in [
            json!({"notification_id": "n", "event": "credential_eaten"}),
            json!({"notification_id": "n"}),
            json!({"event": "credential_accepted"}),
            json!({"notification_id": 1, "event": "credential_accepted"}),
            json!("n"),
        ] {
            assert_eq!(notify(bad.clone()), Err(ErrorCode::InvalidNotificationRequest), "{bad}");
        }
        let deferred = |body: &[u8]| {
            DeferredCredentialRequest::parse(body, MOST)
                .map(|request| request.transaction_id)
                .map_err(|error| error.code)
        };
        assert_eq!(deferred(br#"{"transaction_id":"t","x":1}"#).unwrap().expose(), "t");
        assert_eq!(deferred(b"{}"), Err(ErrorCode::InvalidTransactionId));
        assert_eq!(deferred(b"t"), Err(ErrorCode::InvalidCredentialRequest));
    }

    #[test]
    fn a_nonce_response_comes_back() {
        assert_eq!(parse_nonce_response(write_nonce_response("n").as_bytes()).unwrap(), "n");
        for bad in [&b"{}"[..], br#"{"c_nonce":""}"#, br#"{"c_nonce":"a","c_nonce":"b"}"#] {
            assert!(parse_nonce_response(bad).is_err());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = CredentialRequest::parse(&bytes, MOST);
            let _ = CredentialResponse::parse(&bytes, Limits::DOCUMENT);
            let _ = NotificationRequest::parse(&bytes, MOST);
        }

        #[test]
        fn unknown_members_change_nothing(name in "[a-z_]{1,20}", value in "[ -~]{0,20}", count in 1usize..5) {
            let known = ["credential_configuration_id", "credential_identifier", "proofs", "credential_response_encryption"];
            prop_assume!(!known.contains(&name.as_str()));
            let proofs: Vec<String> = (0..count).map(|n| n.to_string()).collect();
            let mut body = json!({"credential_configuration_id": "a", "proofs": {"jwt": proofs}});
            let before = request(&body).unwrap();
            body[name] = json!(value);
            prop_assert_eq!(request(&body).unwrap(), before);
        }
    }
}
