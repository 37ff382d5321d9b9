//! Errors of use cases and stores, independent of protocol and database. Each adapter maps [`ErrorKind`] once:
//! [`crate::wire`] for gRPC.

use std::{borrow::Cow, time::Duration};

/// Kind of error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request is malformed, or a check of its content failed.
    Invalid,
    /// The caller's credentials are missing, unknown or expired.
    Unauthenticated,
    /// The caller is not permitted to do this, authenticated or not.
    Forbidden,
    /// The object does not exist, or was deleted.
    NotFound,
    /// The object already exists with different content.
    Conflict,
    /// The state of the object does not permit the action.
    WrongState,
    /// A quantity or rate limit is reached.
    LimitReached,
    /// Temporary failure: a retry may succeed.
    Unavailable,
    /// The service is not configured for this action.
    Unsupported,
    /// Internal error of the service.
    Internal,
}

/// Error in one field of a request, as a field violation of google.rpc.BadRequest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldViolation {
    /// Path of the field in the request message, such as `offer.claims`.
    pub field: String,
    /// Description of the error, without the value.
    pub description: String,
}

/// Error of a use case, independent of the protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallError {
    /// Kind of the error.
    pub kind: ErrorKind,
    /// Stable error code, in upper case; the `reason` of google.rpc.ErrorInfo.
    pub reason: Cow<'static, str>,
    /// Message for people.
    pub message: String,
    /// Errors in individual fields.
    pub fields: Vec<FieldViolation>,
    /// Time after which a retry may succeed; `None`: a retry is not expected to succeed.
    pub retry_after: Option<Duration>,
}

impl CallError {
    /// Creates an error without fields and without a retry delay.
    #[must_use]
    pub fn new(kind: ErrorKind, reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { kind, reason: reason.into(), message: message.into(), fields: Vec::new(), retry_after: None }
    }

    /// Creates an error of kind [`ErrorKind::Invalid`] for one field; its message contains the field and the
    /// description.
    #[must_use]
    pub fn invalid(
        reason: impl Into<Cow<'static, str>>,
        field: impl Into<String>,
        description: impl Into<String>,
    ) -> Self {
        let (field, description) = (field.into(), description.into());
        Self::new(ErrorKind::Invalid, reason, format!("{field}: {description}")).with_field(field, description)
    }

    /// Adds an error in a field.
    #[must_use]
    pub fn with_field(mut self, field: impl Into<String>, description: impl Into<String>) -> Self {
        self.fields.push(FieldViolation { field: field.into(), description: description.into() });
        self
    }

    /// Sets the time after which a retry may succeed.
    #[must_use]
    pub fn with_retry_after(self, after: Duration) -> Self {
        Self { retry_after: Some(after), ..self }
    }
}

/// Underlying cause of a store error, for logs; it hides the database's error type.
pub type StoreCause = Box<dyn std::error::Error + Send + Sync>;

/// Error of a store, independent of the database. The transaction was rolled back.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store is locked by another process, or too many writers are waiting.
    #[error("the store is busy")]
    Busy,
    /// The database failed.
    #[error("the store failed: {0}")]
    Failed(#[source] StoreCause),
    /// A stored value is invalid; the text names it.
    #[error("the stored value {0} cannot be read")]
    Corrupt(&'static str),
}
