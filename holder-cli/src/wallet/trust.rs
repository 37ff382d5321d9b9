//! The trust lists that the owner takes people's word by (spec/trust.md).

use std::collections::BTreeMap;

use carnet_core::trust::list::Seen;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What the wallet keeps of trust lists.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Trust {
    /// The lists.
    pub(crate) lists: Vec<PinnedList>,
    /// Of every list the newest that was ever accepted, by the DID that names it. It stays when the list has expired, and when
    /// it is no longer accepted: an older one is refused for ever.
    pub(crate) seen: BTreeMap<String, Seen>,
}

/// One list, and whose signatures make it count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PinnedList {
    /// The DID that names it.
    pub(crate) issuer: String,
    /// The DIDs of its operators.
    pub(crate) operators: Vec<String>,
    /// How many of them must have signed.
    pub(crate) quorum: usize,
    /// The least number that it may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) least: Option<u64>,
    /// Where it is: a file, or an https URL.
    pub(crate) source: String,
    /// The newest that was accepted.
    pub(crate) document: Map<String, Value>,
    /// Its newest timestamp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) timestamp: Option<Map<String, Value>>,
    /// The DID documents of operators that have a did:web, as they were then: presenting asks nobody for them.
    pub(crate) operator_documents: Vec<Value>,
}
