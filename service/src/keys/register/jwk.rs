//! Serde format of public keys: JWK.

use carnet_core::keys::PublicKey;
use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de::Error as _};
use serde_json::Value;

pub(in crate::keys) fn serialize<S: Serializer>(key: &PublicKey, serializer: S) -> Result<S::Ok, S::Error> {
    key.to_jwk().serialize(serializer)
}

pub(in crate::keys) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PublicKey, D::Error> {
    PublicKey::from_jwk(&Value::deserialize(deserializer)?).map_err(|_| D::Error::custom("not a public key"))
}
