//! Signing keys of a service (spec/keys.md): the register in the data directory, the active key, and the commands for
//! keys.

mod arguments;
pub mod commands;
mod comparison;
mod document;
mod keyring;
mod log;
mod merging;
mod register;
mod seal;
mod single_key_file;
mod source;
#[cfg(test)]
mod tests;
#[cfg(feature = "pkcs11")]
mod token;
mod updater;
mod watch;

use std::path::PathBuf;

use serde::Deserialize;

pub use arguments::{CreatedKek, KeyStorageArgs};
pub use document::{compare_published, own_document, require_listed};
pub use keyring::Keyring;
pub use log::create_webvh;
pub use register::{FIRST_KEY_NAME, KeyEntry, KeyEvent, KeyRegister, KeyState};
pub use source::{Kek, SecretSource};
#[cfg(feature = "pkcs11")]
pub use token::TokenError;
pub(crate) use watch::parse_published;
pub use watch::{PublicationProblems, PublishedKeysWatch, fetch_published_document};

/// Configuration of the keys: `[keys]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeysConfig {
    /// Source of the passphrase that encrypts the keys, if any: `file:PATH`, `env:NAME` or `fd:NUMBER`.
    pub passphrase: Option<SecretSource>,
    /// Key-encryption key that encrypts the keys, if any: the source of its 32 bytes in hex, or `pkcs11:LABEL`.
    pub kek: Option<Kek>,
    /// PKCS#11 module, if the keys or the key-encryption key are in a token.
    pub module: Option<PathBuf>,
    /// Label of the token.
    pub token: Option<String>,
    /// Source of the token's PIN.
    pub pin: Option<SecretSource>,
    /// Time between the publication of a new key and its first use, in hours.
    pub overlap_hours: u32,
}

impl Default for KeysConfig {
    fn default() -> Self {
        // Carnet's verifiers use a document that they cannot fetch again for this time.
        Self { passphrase: None, kek: None, module: None, token: None, pin: None, overlap_hours: 24 }
    }
}
