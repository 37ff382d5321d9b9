//! Trust lists that the owner accepts (spec/trust.md).

use std::collections::BTreeMap;

use carnet_core::trust::list::Seen;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Trust lists of the wallet.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trust {
    /// Pinned lists.
    pub lists: Vec<PinnedList>,
    /// Newest accepted version of every list, by its DID. It remains after the list has expired or was removed: an
    /// older version is refused forever.
    pub seen: BTreeMap<String, Seen>,
}

/// Pinned list, with its operators.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinnedList {
    /// DID of the list.
    pub issuer: String,
    /// DIDs of its operators.
    pub operators: Vec<String>,
    /// Number of operators that must have signed.
    pub quorum: usize,
    /// Lowest accepted number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least: Option<u64>,
    /// Location of the list: a file, or an https URL.
    pub source: String,
    /// Newest accepted version.
    pub document: Map<String, Value>,
    /// Newest timestamp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Map<String, Value>>,
    /// DID documents of operators with a did:web at that time: a presentation does not fetch them.
    pub operator_documents: Vec<Value>,
}
