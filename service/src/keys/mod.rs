//! A service's signing keys (spec/keys.md): their register in its data directory, the key that signs, and the verbs
//! that change them.

mod arguments;
mod document;
mod log;
mod register;
mod ring;
mod seal;
mod single;
mod source;
#[cfg(test)]
mod tests;
#[cfg(feature = "pkcs11")]
mod token;
pub mod verbs;
mod watch;

use std::path::PathBuf;

use serde::Deserialize;

pub use arguments::{KeyPlace, NewKek};
pub use document::{compare_published, own_document, require_listed};
pub use log::begin;
pub use register::{Act, Entry, FIRST, Register, State};
pub use ring::Keyring;
pub use source::{Kek, Source};
#[cfg(feature = "pkcs11")]
pub use token::TokenError;
pub use watch::{PublicationFaults, Watch, published};

/// The part of the configuration that is about keys: `[keys]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeysConfig {
    /// The source of the passphrase, for keys that are sealed with one: `file:PATH`, `env:NAME` or `fd:NUMBER`.
    pub passphrase: Option<Source>,
    /// The key-encryption key, for keys that are sealed with one: where its 32 bytes in hex are, or `pkcs11:LABEL`.
    pub kek: Option<Kek>,
    /// The PKCS#11 module, for keys in a token, or for one there that seals them.
    pub module: Option<PathBuf>,
    /// The token's label.
    pub token: Option<String>,
    /// The source of the token's PIN.
    pub pin: Option<Source>,
    /// Hours that a new key is in the published document before it signs.
    pub overlap_hours: u32,
}

impl Default for KeysConfig {
    fn default() -> Self {
        // The time for which Carnet's verifiers use a document that they cannot fetch again.
        Self { passphrase: None, kek: None, module: None, token: None, pin: None, overlap_hours: 24 }
    }
}
