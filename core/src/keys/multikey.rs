//! Multikey: a multicodec prefix and the key, in base58btc multibase (Controlled Identifiers 1.0 section 2.2.2).

use super::{PublicKey, SignatureAlgorithm, invalid};
use crate::{Code, Problem};

const ED25519: [u8; 2] = [0xed, 0x01];
const P256: [u8; 2] = [0x80, 0x24];
const P384: [u8; 2] = [0x81, 0x24];
/// Multicodec prefixes of secret keys: Ed25519, P-256, P-384, secp256k1.
const SECRET: [[u8; 2]; 4] = [[0x80, 0x26], [0x86, 0x26], [0x87, 0x26], [0x81, 0x26]];
/// Maximum length of a Multikey, in characters: an Ed25519 key has 48, a P-256 key 49, a P-384 key 70. Decoding base58
/// takes time that grows with the square of the length.
const MAX_TEXT: usize = 80;

pub(super) fn encode(key: &PublicKey) -> String {
    let prefix = match key.algorithm() {
        SignatureAlgorithm::EdDsa => ED25519,
        SignatureAlgorithm::Es256 => P256,
        SignatureAlgorithm::Es384 => P384,
    };
    let mut bytes = prefix.to_vec();
    bytes.extend_from_slice(&key.to_bytes());
    format!("z{}", bs58::encode(bytes).into_string())
}

pub(super) fn decode(text: &str) -> Result<PublicKey, Problem> {
    let encoding = || Problem::new(Code::InvalidEncoding, "a Multikey is not base58btc multibase");
    let base58 = text.strip_prefix('z').ok_or_else(encoding)?;
    if text.len() > MAX_TEXT {
        return Err(invalid("a Multikey is too long"));
    }
    let bytes = bs58::decode(base58).into_vec().map_err(|_| encoding())?;
    let (prefix, key) = bytes.split_first_chunk::<2>().ok_or_else(|| invalid("a Multikey is too short"))?;
    match *prefix {
        ED25519 => PublicKey::from_bytes(SignatureAlgorithm::EdDsa, key),
        P256 if key.len() == 33 => PublicKey::from_bytes(SignatureAlgorithm::Es256, key),
        P384 if key.len() == 49 => PublicKey::from_bytes(SignatureAlgorithm::Es384, key),
        secret if SECRET.contains(&secret) => Err(Code::PrivateKeyExposed.into()),
        _ => Err(invalid("a Multikey is of a kind that is not accepted")),
    }
}
