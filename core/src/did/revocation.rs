//! Revocation times in a DID document: every `revoked` of every verification method (Controlled Identifiers 1.0 section
//! 2.2), also of unused methods.
//!
//! Revocation is read before a method is validated, so that a stolen key stays revoked if the method that revokes it is
//! of another type, is for encryption, or is in an unused relationship.

use std::collections::BTreeMap;

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde_json::{Map, Value};

use super::{Did, document::invalid};
use crate::{Problem, keys::PublicKey, time::Timestamp};

/// The members that hold verification methods: those of DID Core 1.0, and `publicKey` of its drafts.
const HOLDERS: [&str; 7] = [
    "verificationMethod",
    "assertionMethod",
    "authentication",
    "keyAgreement",
    "capabilityInvocation",
    "capabilityDelegation",
    "publicKey",
];
/// Longer text holds no key of Ed25519 or P-256: one in PEM has 180 characters.
const MAX_TEXT: usize = 400;
/// Accepts every padding: an encoding that a strict reader refuses can still name a key.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// An Ed25519 key, or the x coordinate of a P-256 key: the points of one x share their secret but for its sign.
type Material = [u8; 32];

/// Marked ids and keys, each with the earliest time that a mark gives.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct RevocationMarks {
    ids: BTreeMap<String, Timestamp>,
    keys: BTreeMap<Material, Timestamp>,
}

impl RevocationMarks {
    /// Reads the marks of a document of `did`.
    ///
    /// # Errors
    /// `did_document_invalid`: a `revoked` in any method that is no dateTimeStamp.
    pub(super) fn read(did: &Did, document: &Map<String, Value>) -> Result<Self, Problem> {
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

    /// Takes over the marks of another version of the document. An id of the DID's own counts by its fragment, so that
    /// it counts also where the DID has moved.
    pub(super) fn merge(&mut self, other: &Self) {
        for (id, at) in &other.ids {
            note(&mut self.ids, id.clone(), *at);
        }
        for (material, at) in &other.keys {
            note(&mut self.keys, *material, *at);
        }
    }

    /// The earliest time from which a method of `did` is marked, by its id or by its key.
    pub(super) fn of(&self, did: &Did, id: &str, key: Option<&PublicKey>) -> Option<Timestamp> {
        let by_id = self.ids.get(relative(did, id)).copied();
        by_id.into_iter().chain(key.and_then(|key| self.of_key(key))).min()
    }

    /// Returns the earliest time from which a key is marked, under any id.
    pub(super) fn of_key(&self, key: &PublicKey) -> Option<Timestamp> {
        if self.keys.is_empty() {
            return None;
        }
        key.to_bytes().last_chunk::<32>().and_then(|material| self.keys.get(material)).copied()
    }
}

fn note<K: Ord>(marks: &mut BTreeMap<K, Timestamp>, key: K, at: Timestamp) {
    marks.entry(key).and_modify(|known| *known = at.min(*known)).or_insert(at);
}

/// An id of the document's own DID as the relative URL that it is to it; any other as it is.
fn relative<'a>(did: &Did, id: &'a str) -> &'a str {
    id.strip_prefix(did.as_str()).filter(|rest| rest.starts_with('#')).unwrap_or(id)
}

/// Returns the keys that a method may hold, in any of the encodings that verification methods have had.
fn materials(method: &Map<String, Value>) -> Vec<Material> {
    let named = method.iter().filter(|(name, _)| name.starts_with("publicKey"));
    let texts = named.filter_map(|(_, value)| value.get("x").unwrap_or(value).as_str());
    texts.filter(|text| text.len() <= MAX_TEXT).flat_map(decoded).filter_map(|bytes| material(&bytes)).collect()
}

/// Decodes the text as base58, base64, base64url and hexadecimal, with or without a multibase letter. Only one of
/// these is meant; the others are 32 bytes that are nobody's key.
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

/// The key in its bytes, by their number: raw, with the prefix of SEC 1, of a multicodec, or of a SubjectPublicKeyInfo.
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
