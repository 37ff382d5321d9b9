//! Issuers' messages on credentials (spec/status.md), for staff.

use carnet_core::verify;
use serde::{Deserialize, Serialize};

use crate::printable::printable;

/// Message of an issuer on a credential, for staff.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StatusMessage {
    pub(crate) query_id: String,
    pub(crate) number: u8,
    pub(crate) text: String,
}

impl From<&verify::Message> for StatusMessage {
    fn from(message: &verify::Message) -> Self {
        Self { query_id: message.about.clone(), number: message.number, text: printable(&message.text) }
    }
}
