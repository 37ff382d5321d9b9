//! Signed request objects for which there is a receipt, needed to show the receipt to third parties (spec/log.md 3.5).
//! Their common text is stored once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use carnet_core::receipt::request_digest;
use serde::{Deserialize, Serialize};

use super::{
    log::{LogEntryKind, WalletLog},
    packing::{self, PackedText, TextTemplate},
    stored_text::{StoredText, restore_text},
};

/// Stored request objects, by their digest.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StoredRequestObjects(BTreeMap<String, PackedText>);

impl StoredRequestObjects {
    /// Stores a verified request object, whose size [`crate::request::MAX_REQUEST_BYTES`] limits.
    pub fn insert(&mut self, object: &str) {
        self.0.entry(request_digest(object)).or_insert_with(|| object.to_owned().into());
    }

    /// Returns the request object with a digest; `None` if it is not stored, or the texts were not read from the file.
    pub fn text(&self, digest: &str) -> Option<String> {
        let text = self.0.get(digest)?.text().into_owned();
        (request_digest(&text) == digest).then_some(text)
    }

    /// Returns the request objects whose texts were read from the file, by digest.
    pub fn texts(&self) -> BTreeMap<&str, String> {
        self.0.keys().filter_map(|digest| Some((digest.as_str(), self.text(digest)?))).collect()
    }

    /// Deletes the request objects for which the log has no receipt.
    pub fn retain_with_receipt(&mut self, log: &WalletLog) {
        let receipts = log.entries().iter().filter(|entry| entry.kind == LogEntryKind::Receipt);
        let needed: BTreeSet<&str> = receipts.map(|entry| entry.request_digest.as_str()).collect();
        self.0.retain(|digest, _| needed.contains(digest.as_str()));
    }

    /// Packs the texts, before the contents are saved.
    pub fn pack(&mut self) {
        packing::pack_texts(self.0.values_mut().collect());
    }

    /// Returns the texts as they are stored in the second part of the file.
    pub fn to_stored(&self) -> StoredRequests {
        StoredRequests::of(self.0.values())
    }

    /// Restores the texts from the second part of the file. Returns `false` if they do not match these request objects.
    pub fn restore(&mut self, stored: StoredRequests) -> bool {
        stored.restore(self.0.values_mut())
    }
}

/// Texts of the request objects, as stored in the second part of the file.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredRequests {
    /// Templates that several texts share.
    layouts: Vec<TextTemplate>,
    /// Texts of the request objects, in the order of their digests.
    texts: Vec<StoredText>,
}

impl StoredRequests {
    /// Returns the texts of a credential's copies for the second part of the file.
    pub fn of<'a>(requests: impl Iterator<Item = &'a PackedText>) -> Self {
        let mut layouts: Vec<Arc<TextTemplate>> = Vec::new();
        let texts = requests.filter_map(|text| StoredText::from_packed(text, &mut layouts)).collect();
        Self { layouts: layouts.iter().map(|layout| TextTemplate::clone(layout)).collect(), texts }
    }

    /// Puts the texts into the request objects read from the first part. Returns `false` if they do not match.
    pub fn restore<'a>(self, requests: impl ExactSizeIterator<Item = &'a mut PackedText>) -> bool {
        let layouts: Vec<Arc<TextTemplate>> = self.layouts.into_iter().map(Arc::new).collect();
        requests.len() == self.texts.len()
            && requests.zip(self.texts).all(|(place, stored)| restore_text(Some(place), Some(stored), &layouts))
    }
}

#[cfg(test)]
mod tests {
    use carnet_core::{
        keys::{SecretKey, SignatureAlgorithm},
        secure::jose,
    };
    use rand_core::OsRng;
    use serde_json::{Map, Value, json};

    use super::*;

    fn object(key: &SecretKey, nonce: usize) -> String {
        let Value::Object(header) = json!({"typ": "oauth-authz-req+jwt", "kid": "did:web:jobs.example#key-1"}) else {
            return String::new();
        };
        let payload = json!({
            "client_id": "decentralized_identifier:did:web:jobs.example", "nonce": format!("{nonce:043}"), "iat": nonce,
            "verifier_info": [{"format": "di_vc+jcs", "data": {"name": "Job Centre", "purpose": "To place you. ".repeat(400)}}],
        });
        jose::sign(header, &Map::from_iter(payload.as_object().unwrap().clone()), key).unwrap()
    }

    #[test]
    fn what_requests_of_one_asker_share_is_stored_once_and_each_comes_back_byte_for_byte() {
        let key = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng);
        let objects: Vec<String> = (0..50).map(|nonce| object(&key, nonce)).collect();
        let mut kept = StoredRequestObjects::default();
        objects.iter().for_each(|object| kept.insert(object));
        kept.insert(&objects[0]);
        kept.pack();
        let stored = serde_json::to_string(&kept.to_stored()).unwrap();
        assert!(stored.len() < objects[0].len().saturating_add(50 * 400), "{} {}", stored.len(), objects[0].len());
        let mut read: StoredRequestObjects = serde_json::from_value(serde_json::to_value(&kept).unwrap()).unwrap();
        assert_eq!(read.text(&request_digest(&objects[7])), None);
        assert!(read.restore(serde_json::from_str(&stored).unwrap()));
        for object in &objects {
            assert_eq!(read.text(&request_digest(object)).as_ref(), Some(object));
        }
        assert_eq!(read.texts().len(), 50);
        read.retain_with_receipt(&WalletLog::default());
        assert!(read.texts().is_empty());
    }
}
