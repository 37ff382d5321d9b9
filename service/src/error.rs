//! Errors of use cases and stores, which know no wire and no database. Each adapter maps [`ErrorKind`] once: gRPC's is
//! in [`crate::wire`].

use std::{borrow::Cow, time::Duration};

/// Kind of a refusal or failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request is malformed, or a check of its content failed.
    Invalid,
    /// The caller's credentials are missing, unknown or expired.
    Unauthenticated,
    /// The caller is known, or needs not be, and may not do this.
    Forbidden,
    /// The named thing does not exist, or is no longer kept.
    NotFound,
    /// The thing exists already, with other content.
    Conflict,
    /// The state of the named thing does not permit the action.
    WrongState,
    /// A limit on number or rate is reached.
    LimitReached,
    /// Temporary failure: the same request may work later.
    Unavailable,
    /// This service is not configured for the action.
    Unsupported,
    /// Fault of the service.
    Internal,
}

/// Fault of one field of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldFault {
    /// Path of the field, as on the wire.
    pub field: String,
    /// Description of the fault, without the value.
    pub description: String,
}

/// Refusal or failure of a use case, ready for any wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallError {
    /// Kind of the error.
    pub kind: ErrorKind,
    /// Stable code, in upper case.
    pub reason: Cow<'static, str>,
    /// Text for a person.
    pub message: String,
    /// Faults of the request's fields.
    pub fields: Vec<FieldFault>,
    /// Delay after which the same request may work.
    pub retry_after: Option<Duration>,
}

impl CallError {
    /// Creates an error without fields and without a retry delay.
    #[must_use]
    pub fn new(kind: ErrorKind, reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { kind, reason: reason.into(), message: message.into(), fields: Vec::new(), retry_after: None }
    }

    /// Creates an error of kind [`ErrorKind::Invalid`] about one field; field and description are its message.
    #[must_use]
    pub fn invalid(
        reason: impl Into<Cow<'static, str>>,
        field: impl Into<String>,
        description: impl Into<String>,
    ) -> Self {
        let (field, description) = (field.into(), description.into());
        Self::new(ErrorKind::Invalid, reason, format!("{field}: {description}")).with_field(field, description)
    }

    /// Adds a fault of a field.
    #[must_use]
    pub fn with_field(mut self, field: impl Into<String>, description: impl Into<String>) -> Self {
        self.fields.push(FieldFault { field: field.into(), description: description.into() });
        self
    }

    /// Sets the delay after which the same request may work.
    #[must_use]
    pub fn with_retry(self, after: Duration) -> Self {
        Self { retry_after: Some(after), ..self }
    }
}

/// Cause of a store failure, for the log: no more is known of it outside of the store's adapter.
pub type StoreCause = Box<dyn std::error::Error + Send + Sync>;

/// Failure of a store, whatever database it is. The transaction changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store is in use, by another process or too many writers.
    #[error("the store is busy")]
    Busy,
    /// The database failed.
    #[error("the store failed: {0}")]
    Failed(#[source] StoreCause),
    /// A stored value cannot be read.
    #[error("the stored value {0} cannot be read")]
    Corrupt(&'static str),
}
