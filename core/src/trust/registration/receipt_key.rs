//! Keys that sign a verifier's receipts, as listed in a registration: they let a third party verify old receipts
//! without trusting the verifier's current DID document (spec/registration.md 2.8).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    Code, Problem,
    did::{DidUrl, Resolve, VerificationRelationship},
    keys::{PublicKey, SignatureAlgorithm},
    trust::statement::StatementKind,
};

/// Maximum number of receipt keys.
const MAX_KEYS: usize = 16;

/// Key that signs a verifier's receipts and confirmations of erasure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptKey {
    /// DID URL of the key, as in `verificationMethod` of a proof.
    pub id: String,
    /// Public key as Multikey.
    #[serde(rename = "publicKeyMultibase")]
    pub multikey: String,
}

/// State of a receipt's signing key in the registration of the verifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptKeyState {
    /// The registration lists the key.
    Registered,
    /// The registration lists other keys, and not this one.
    NotRegistered,
    /// The registration lists no receipt keys, like older registrations.
    #[serde(rename = "none_named")]
    NoKeysRegistered,
}

impl ReceiptKeyState {
    /// Returns the stable name, in `snake_case`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::NotRegistered => "not_registered",
            Self::NoKeysRegistered => "none_named",
        }
    }
}

impl ReceiptKey {
    /// Creates an entry for a key.
    #[must_use]
    pub fn new(id: &DidUrl, key: &PublicKey) -> Self {
        Self { id: id.to_string(), multikey: key.to_multikey() }
    }

    /// Parses the DID URL and the key.
    ///
    /// # Errors
    /// Those of [`DidUrl::parse`] and [`PublicKey::from_multikey`].
    pub(super) fn open(&self) -> Result<(DidUrl, PublicKey), Problem> {
        Ok((DidUrl::parse(&self.id)?, PublicKey::from_multikey(&self.multikey)?))
    }

    /// Checks that the verifier's own DID document lists the key for assertion.
    pub(super) fn require_published(&self, resolver: &dyn Resolve) -> Result<(), Problem> {
        let (id, key) = self.open()?;
        if resolver.resolve(id.did())?.key_for(&id, VerificationRelationship::AssertionMethod)? == key {
            return Ok(());
        }
        Err(Problem::new(Code::RegistrationMismatch, "a receipt key differs from the one in the verifier's document"))
    }
}

/// Checks the receipt keys of the verifier with the DID `id`: Ed25519, with DID URLs of that DID, each listed once.
pub(super) fn check_receipt_keys(keys: &[ReceiptKey], id: &str, kind: &StatementKind) -> Result<(), Problem> {
    kind.check_count(keys.len(), 0..=MAX_KEYS, "receipt_keys")?;
    let mut ids = BTreeSet::new();
    keys.iter().try_for_each(|key| {
        let holds = key
            .open()
            .is_ok_and(|(method, key)| method.did().as_str() == id && key.algorithm() == SignatureAlgorithm::EdDsa);
        kind.require(holds, "receipt_keys", "has an entry that is not an Ed25519 key of the verifier")?;
        kind.require(ids.insert(key.id.as_str()), "receipt_keys", "has an id twice")
    })
}
