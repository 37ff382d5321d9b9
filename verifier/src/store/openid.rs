//! Rows of exchanges on the OpenID4VP wire: what a request needs there besides.

use zeroize::Zeroizing;

use super::StoreFuture;

/// Exchange of a request. It has no `Debug`: its key is secret.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) struct OpenIdExchange {
    /// Secret key that responses are encrypted to. The database erases it, with `ephemeral_keys`, when the content of the
    /// request is erased.
    pub(crate) encryption_key: Zeroizing<Vec<u8>>,
    /// Earlier responses: the thumbprint of the ephemeral key, a dot, and the digest of the response.
    pub(crate) ephemeral_keys: Vec<String>,
    /// SHA-256 of the response code, if one was given out.
    pub(crate) response_code: Option<Vec<u8>>,
}

/// Reads of exchanges. Requests are named by their sequence number.
pub(crate) trait ReadOpenIdExchanges: Send {
    /// Returns the exchange of a request, if it has one.
    fn openid_exchange(&mut self, number: i64) -> impl StoreFuture<Option<OpenIdExchange>>;
}

/// Changes of exchanges.
pub(crate) trait WriteOpenIdExchanges: Send {
    /// Inserts or replaces the exchange of a request.
    fn put_openid_exchange(&mut self, number: i64, exchange: &OpenIdExchange) -> impl StoreFuture<()>;
}
