//! Key that signs the next entry of a did:webvh log.

use carnet_core::keys::PublicKey;
use serde::{Deserialize, Serialize};

use super::{register::jwk, seal::StoredSecret};

/// Key that signs the next entry of the log (update key of did:webvh), and nothing else.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UpdateKey {
    #[serde(with = "jwk")]
    pub(super) public: PublicKey,
    pub(super) secret: StoredSecret,
    /// Update key for the entry after the next. It is created and stored before its hash is published in the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) following: Option<Box<UpdateKey>>,
}
