//! Trust lists that the holder has pinned (spec/trust.md).

use std::collections::BTreeMap;

use carnet_core::trust::list::AcceptedList;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Pinned trust lists, and the newest accepted versions.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WalletTrust {
    /// Pinned lists, each with its newest accepted version.
    pub lists: Vec<PinnedList>,
    /// Identity of the newest accepted version of every list, by the DID of the list. It is kept after the list has
    /// expired or was unpinned, so that older versions stay refused.
    #[serde(rename = "seen")]
    pub accepted: BTreeMap<String, AcceptedList>,
}

/// Trust list that the holder has pinned, with its operators.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinnedList {
    /// DID that identifies the list.
    pub issuer: String,
    /// DIDs of the operators, who sign the list.
    pub operators: Vec<String>,
    /// Number of operators that must have signed a version.
    pub quorum: usize,
    /// Minimum sequence number of accepted versions; `None`: no minimum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(rename = "least")]
    pub min_sequence: Option<u64>,
    /// Source of new versions: a file, or an https URL.
    pub source: String,
    /// Newest accepted version, as signed.
    pub document: Map<String, Value>,
    /// Newest signed timestamp of the list; `None`: none was received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Map<String, Value>>,
    /// DID documents of the operators with a did:web when the list was accepted: a presentation does not fetch them.
    pub operator_documents: Vec<Value>,
}
