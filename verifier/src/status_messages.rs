//! Messages of issuers about credentials (Bitstring Status List `statusMessage`, spec/status.md), for staff.

use carnet_core::verify;
use serde::{Deserialize, Serialize};

use crate::untrusted_text::sanitise_detail;

/// Message of an issuer about the status of a credential, for staff.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StatusMessage {
    /// Id of the credential query; empty for a credential without a presentation.
    pub(crate) query_id: String,
    /// Status value that the message describes.
    pub(crate) number: u8,
    /// Text of the issuer, sanitised.
    pub(crate) text: String,
}

impl From<&verify::IssuerMessage> for StatusMessage {
    fn from(message: &verify::IssuerMessage) -> Self {
        Self { query_id: message.query_id.clone(), number: message.number, text: sanitise_detail(&message.text) }
    }
}
