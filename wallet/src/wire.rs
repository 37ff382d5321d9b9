//! Wires on which services are reached.

use serde::{Deserialize, Serialize};

/// Wire of an issuer's or a verifier's service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wire {
    /// Carnet's own (spec/protocol.md).
    #[default]
    Grpc,
    /// OpenID4VCI 1.0 or OpenID4VP 1.0 over HTTP.
    #[serde(rename = "openid")]
    OpenId,
}

impl Wire {
    /// Tests for Carnet's own wire.
    pub fn is_grpc(&self) -> bool {
        *self == Self::Grpc
    }
}
