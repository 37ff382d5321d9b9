//! Issuers' messages about credentials (spec/status.md), for staff.

use carnet_core::verify;
use serde::{Deserialize, Serialize};

use crate::printable::sanitise_detail;

/// Message of an issuer about a credential, for staff.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StatusMessage {
    pub(crate) query_id: String,
    pub(crate) number: u8,
    pub(crate) text: String,
}

impl From<&verify::IssuerMessage> for StatusMessage {
    fn from(message: &verify::IssuerMessage) -> Self {
        Self { query_id: message.about.clone(), number: message.number, text: sanitise_detail(&message.text) }
    }
}
