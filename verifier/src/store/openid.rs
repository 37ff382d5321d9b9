//! Rows of OpenID4VP exchanges: additional data of a request.

use carnet_openid::vp::ResponseMode;
use zeroize::Zeroizing;

use super::StoreFuture;

/// OpenID4VP data of a request. It has no `Debug`, since its key is secret.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) struct OpenIdExchange {
    /// Secret key that responses are encrypted to; empty if they are not encrypted. The database erases it, with
    /// `ephemeral_keys` and `request_object`, when the content of the request is erased.
    pub(crate) encryption_key: Zeroizing<Vec<u8>>,
    /// Earlier responses: the thumbprint of the ephemeral key, a dot, and the digest of the response.
    pub(crate) ephemeral_keys: Vec<String>,
    /// SHA-256 of the response code; `None`: none was issued.
    pub(crate) response_code: Option<Vec<u8>>,
    /// Signed request object that has no nonce of a wallet, once a wallet has fetched it.
    pub(crate) request_object: Option<String>,
    /// Client id of requests that nobody signs; `None`: the verifier's own.
    pub(crate) client_id: Option<String>,
    /// Number of objects that were signed for nonces of wallets.
    pub(crate) nonce_objects: u32,
}

impl OpenIdExchange {
    /// Returns the response mode of the request objects.
    pub(crate) fn mode(&self) -> ResponseMode {
        if self.encryption_key.is_empty() { ResponseMode::DirectPost } else { ResponseMode::DirectPostJwt }
    }
}

/// Read operations on OpenID4VP exchanges. `number` is the sequence number of the request.
pub(crate) trait ReadOpenIdExchanges: Send {
    /// Returns the exchange of a request, if it has one.
    fn openid_exchange(&mut self, number: i64) -> impl StoreFuture<Option<OpenIdExchange>>;
}

/// Write operations on OpenID4VP exchanges.
pub(crate) trait WriteOpenIdExchanges: Send {
    /// Inserts or replaces the exchange of a request.
    fn put_openid_exchange(&mut self, number: i64, exchange: &OpenIdExchange) -> impl StoreFuture<()>;
}
