//! Revocation times in a DID document: every `revoked` of every verification method (Controlled Identifiers 1.0 section
//! 2.2), also of methods that cannot be used.
//!
//! Revocations are read before methods are validated, so that a stolen key stays revoked even if the method that
//! revokes it is of another type, is for encryption, or is in a relationship that Carnet does not use.

use std::collections::BTreeMap;

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde_json::{Map, Value};

use super::{Did, invalid};
use crate::{Problem, keys::PublicKey, time::Timestamp};

/// Members that contain verification methods: those of DID Core 1.0, and `publicKey` of its drafts.
const HOLDERS: [&str; 7] = [
    "verificationMethod",
    "assertionMethod",
    "authentication",
    "keyAgreement",
    "capabilityInvocation",
    "capabilityDelegation",
    "publicKey",
];
/// Maximum length of an encoded key, in bytes. A P-256 key in PEM has 180.
const MAX_TEXT: usize = 400;
/// Base64 decoder that ignores padding: a key is revoked even in an encoding that a strict parser refuses.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Bytes that identify a key: an Ed25519 key, or the x coordinate of an ECDSA key. P-256 keys with the same x have the
/// same secret, except for its sign.
type Material = [u8; 32];

/// Revoked ids and keys, each with its earliest revocation time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct RevocationTimes {
    ids: BTreeMap<String, Timestamp>,
    keys: BTreeMap<Material, Timestamp>,
}

impl RevocationTimes {
    /// Reads the revocations of a document of `did`.
    ///
    /// # Errors
    /// `did_document_invalid`: the `revoked` of a method is not a dateTimeStamp.
    pub(super) fn parse(did: &Did, document: &Map<String, Value>) -> Result<Self, Problem> {
        let mut marks = Self::default();
        for holder in HOLDERS.iter().filter_map(|name| document.get(*name)) {
            let entries = holder.as_array().map_or(std::slice::from_ref(holder), Vec::as_slice);
            for entry in entries.iter().filter_map(Value::as_object) {
                let Some(mark) = entry.get("revoked") else { continue };
                let at = mark.as_str().and_then(|text| Timestamp::parse(text).ok());
                let at = at.ok_or_else(|| invalid("a verification method's revoked is not a dateTimeStamp"))?;
                if let Some(id) = entry.get("id").and_then(Value::as_str) {
                    note(&mut marks.ids, relative(did, id).to_owned(), at);
                }
                for material in materials(entry) {
                    note(&mut marks.keys, material, at);
                }
            }
        }
        Ok(marks)
    }

    /// Adds the revocations of another version of the document. An id of the DID itself is stored as its fragment, so
    /// that it still applies after the DID has moved.
    pub(super) fn merge(&mut self, other: &Self) {
        for (id, at) in &other.ids {
            note(&mut self.ids, id.clone(), *at);
        }
        for (material, at) in &other.keys {
            note(&mut self.keys, *material, *at);
        }
    }

    /// Returns the earliest revocation time of a method of `did`, by its id or its key.
    pub(super) fn for_method(&self, did: &Did, id: &str, key: Option<&PublicKey>) -> Option<Timestamp> {
        let by_id = self.ids.get(relative(did, id)).copied();
        by_id.into_iter().chain(key.and_then(|key| self.for_key(key))).min()
    }

    /// Returns the earliest revocation time of a key, under any id.
    pub(super) fn for_key(&self, key: &PublicKey) -> Option<Timestamp> {
        if self.keys.is_empty() {
            return None;
        }
        key.to_bytes().last_chunk::<32>().and_then(|material| self.keys.get(material)).copied()
    }
}

fn note<K: Ord>(marks: &mut BTreeMap<K, Timestamp>, key: K, at: Timestamp) {
    marks.entry(key).and_modify(|known| *known = at.min(*known)).or_insert(at);
}

/// Returns an id of the document's own DID as a relative DID URL, `#fragment`; any other id unchanged.
fn relative<'a>(did: &Did, id: &'a str) -> &'a str {
    id.strip_prefix(did.as_str()).filter(|rest| rest.starts_with('#')).unwrap_or(id)
}

/// Returns the possible keys of a method, in any of the encodings that verification methods have had.
fn materials(method: &Map<String, Value>) -> Vec<Material> {
    let named = method.iter().filter(|(name, _)| name.starts_with("publicKey"));
    let texts = named.filter_map(|(_, value)| value.get("x").unwrap_or(value).as_str());
    texts.filter(|text| text.len() <= MAX_TEXT).flat_map(decoded).filter_map(|bytes| material(&bytes)).collect()
}

/// Decodes a text as base58, base64, base64url and hexadecimal, each with and without a multibase prefix. At most one
/// of the results is the key; the others match no key.
fn decoded(text: &str) -> Vec<Vec<u8>> {
    let lines = text.lines().filter(|line| !line.starts_with("-----"));
    let text: String = lines.flat_map(|line| line.chars().filter(|c| !c.is_whitespace())).collect();
    let mut rest = text.chars();
    rest.next();
    let mut all = Vec::new();
    for text in [text.as_str(), rest.as_str()] {
        all.extend(bs58::decode(text).into_vec().ok());
        all.extend(LENIENT.decode(text.replace('-', "+").replace('_', "/")).ok());
        all.extend(base16ct::mixed::decode_vec(text.strip_prefix("0x").unwrap_or(text)).ok());
    }
    all
}

/// Extracts the key from decoded bytes, by their length: raw, a SEC 1 point, a multicodec, or a SubjectPublicKeyInfo.
/// `None` for any other length.
fn material(bytes: &[u8]) -> Option<Material> {
    let at = match bytes.len() {
        32 | 64 => 0,
        33 | 65 => 1,
        34 => 2,
        35 | 67 => 3,
        44 => 12,
        59 | 91 => 27,
        _ => return None,
    };
    bytes.get(at..).and_then(|key| key.first_chunk()).copied()
}
