//! Rows of OpenID4VP exchanges: the data of a request for wallets that use the OpenID4VP interface.

use carnet_openid::vp::ResponseMode;
use zeroize::Zeroizing;

use super::StoreFuture;

/// OpenID4VP data of a request. It has no `Debug`, since its key is secret.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) struct OpenIdExchange {
    /// Secret key with which responses are decrypted; empty if they are not encrypted. The database erases it, with
    /// `ephemeral_keys` and `request_object`, when the content of the request is erased.
    pub(crate) encryption_key: Zeroizing<Vec<u8>>,
    /// Received encrypted responses: for each, the thumbprint of the wallet's ephemeral key, a dot, and the digest of
    /// the response.
    pub(crate) ephemeral_keys: Vec<String>,
    /// SHA-256 of the response code; `None`: none was issued.
    pub(crate) response_code: Option<Vec<u8>>,
    /// Signed request object without a `wallet_nonce`; `None` until a wallet has fetched it.
    pub(crate) request_object: Option<String>,
    /// Client identifier of an unsigned request; `None`: the request is signed, with the verifier's own.
    pub(crate) client_id: Option<String>,
    /// Number of request objects that were signed with a `wallet_nonce`.
    pub(crate) nonce_objects: u32,
}

impl OpenIdExchange {
    /// Returns the response mode of the request objects, by the presence of the encryption key.
    pub(crate) fn response_mode(&self) -> ResponseMode {
        if self.encryption_key.is_empty() { ResponseMode::DirectPost } else { ResponseMode::DirectPostJwt }
    }
}

/// Read operations on OpenID4VP exchanges. `number` is the sequence number of the request.
pub(crate) trait ReadOpenIdExchanges: Send {
    /// Returns the exchange of a request; `None` if it has none yet.
    fn openid_exchange(&mut self, number: i64) -> impl StoreFuture<Option<OpenIdExchange>>;
}

/// Write operations on OpenID4VP exchanges.
pub(crate) trait WriteOpenIdExchanges: Send {
    /// Inserts or replaces the exchange of a request.
    fn put_openid_exchange(&mut self, number: i64, exchange: &OpenIdExchange) -> impl StoreFuture<()>;
}
