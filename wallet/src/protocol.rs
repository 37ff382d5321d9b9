//! Protocols of issuers' and verifiers' services.

use serde::{Deserialize, Serialize};

/// Protocol by which the wallet calls the service of an issuer or a verifier.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceProtocol {
    /// Carnet's gRPC protocol (spec/protocol.md).
    #[default]
    Grpc,
    /// OpenID4VCI 1.0 or OpenID4VP 1.0 over HTTP.
    #[serde(rename = "openid")]
    OpenId,
}

impl ServiceProtocol {
    /// Returns whether it is Carnet's gRPC protocol.
    pub fn is_grpc(&self) -> bool {
        *self == Self::Grpc
    }
}
