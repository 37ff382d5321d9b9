//! Parameters of a log: those stated in an entry, and those in force after an entry.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{MAX_LIST, METHOD, entry, invalid};
use crate::{
    Problem,
    did::{Did, DidMethod, Resolve as _, SelfContainedResolver},
    json,
};

const MAX_TEXT: usize = 2_048;
/// Time for which a document may be cached if the log states no `ttl`, in seconds.
const DEFAULT_TTL: u64 = 3_600;

/// Parameters in force after an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LogParameters {
    /// Update keys, as Multikeys. Without pre-rotation they may sign the next entry.
    pub(super) update_keys: Vec<String>,
    pub(super) next_key_hashes: Vec<String>,
    pub(super) witness: Option<Witnesses>,
    pub(super) portable: bool,
    pub(super) deactivated: bool,
    /// Time for which the document may be cached, in seconds.
    pub(super) ttl: u64,
}

/// Witnesses, and the number of them whose proofs are required.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Witnesses {
    pub(super) threshold: usize,
    pub(super) dids: BTreeSet<Did>,
}

impl LogParameters {
    /// Reads the parameters of the first entry of a log. Returns them and the SCID that the entry states, which is not
    /// verified.
    pub(super) fn from_first_entry(said: &Map<String, Value>) -> Result<(Self, String), Problem> {
        let change = StatedParameters::parse(said)?;
        if !change.method {
            return Err(invalid("the first entry does not say the method's version"));
        }
        let scid = change.scid.ok_or_else(|| invalid("the first entry has no scid"))?;
        let update_keys = change.update_keys.ok_or_else(|| invalid("the first entry has no updateKeys"))?;
        let parameters = Self {
            update_keys,
            next_key_hashes: change.next_key_hashes.unwrap_or_default(),
            witness: change.witness.unwrap_or_default(),
            portable: change.portable.unwrap_or(false),
            deactivated: change.deactivated.unwrap_or(false),
            ttl: change.ttl.unwrap_or(DEFAULT_TTL),
        };
        Ok((parameters, scid))
    }

    /// Applies the parameters of the next entry. Returns those in force after it, and the keys that may have signed it.
    pub(super) fn apply_next_entry(&self, said: &Map<String, Value>) -> Result<(Self, Vec<String>), Problem> {
        if self.deactivated {
            return Err(invalid("an entry follows the one that deactivated the DID"));
        }
        let change = StatedParameters::parse(said)?;
        if change.scid.is_some() {
            return Err(invalid("a later entry has a scid"));
        }
        if change.portable == Some(true) && !self.portable {
            return Err(invalid("a DID cannot become portable"));
        }
        let signers = if self.next_key_hashes.is_empty() {
            self.update_keys.clone()
        } else {
            let (Some(keys), Some(_)) = (&change.update_keys, &change.next_key_hashes) else {
                return Err(invalid("with pre-rotation every entry has updateKeys and nextKeyHashes"));
            };
            if !keys.iter().all(|key| self.next_key_hashes.contains(&entry::hash(key.as_bytes()))) {
                return Err(invalid("the previous entry does not commit to an update key"));
            }
            keys.clone()
        };
        let next = Self {
            update_keys: change.update_keys.unwrap_or_else(|| self.update_keys.clone()),
            next_key_hashes: change.next_key_hashes.unwrap_or_else(|| self.next_key_hashes.clone()),
            witness: change.witness.unwrap_or_else(|| self.witness.clone()),
            portable: change.portable.unwrap_or(self.portable),
            deactivated: change.deactivated.unwrap_or(false),
            ttl: change.ttl.unwrap_or(self.ttl),
        };
        Ok((next, signers))
    }
}

/// Parameters that one entry states; `None` for those that it omits.
#[derive(Default)]
struct StatedParameters {
    method: bool,
    scid: Option<String>,
    update_keys: Option<Vec<String>>,
    next_key_hashes: Option<Vec<String>>,
    witness: Option<Option<Witnesses>>,
    portable: Option<bool>,
    deactivated: Option<bool>,
    ttl: Option<u64>,
}

impl StatedParameters {
    fn parse(members: &Map<String, Value>) -> Result<Self, Problem> {
        let mut said = Self::default();
        for (name, value) in members {
            let wrong = || invalid(format!("the parameter {name} is malformed"));
            // Early implementations say a default like this, which the specification asks resolvers to read
            // ("General Rules for Parameters"). `method` and `scid` have none.
            if value.is_null() && said.set_default(name) {
                continue;
            }
            match name.as_str() {
                "method" if value.as_str() == Some(METHOD) => said.method = true,
                "method" => return Err(invalid("the log is of another version of did:webvh than 1.0")),
                "scid" => {
                    said.scid = Some(value.as_str().filter(|text| entry::is_hash(text)).ok_or_else(wrong)?.into())
                }
                "updateKeys" => said.update_keys = Some(list(value).ok_or_else(wrong)?),
                "nextKeyHashes" => said.next_key_hashes = Some(list(value).ok_or_else(wrong)?),
                "watchers" => drop(list(value).ok_or_else(wrong)?),
                "witness" => said.witness = Some(witnesses(value).ok_or_else(wrong)?),
                "portable" => said.portable = Some(value.as_bool().ok_or_else(wrong)?),
                "deactivated" => said.deactivated = Some(value.as_bool().ok_or_else(wrong)?),
                "ttl" => said.ttl = Some(json::as_unsigned_integer(value).ok_or_else(wrong)?),
                _ => return Err(invalid("an entry has an unknown parameter")),
            }
        }
        Ok(said)
    }

    /// Sets a parameter to its default value. Returns `false` for a parameter that has none.
    fn set_default(&mut self, name: &str) -> bool {
        match name {
            "updateKeys" => self.update_keys = Some(Vec::new()),
            "nextKeyHashes" => self.next_key_hashes = Some(Vec::new()),
            "watchers" => {}
            "witness" => self.witness = Some(None),
            "portable" => self.portable = Some(false),
            "deactivated" => self.deactivated = Some(false),
            "ttl" => self.ttl = Some(DEFAULT_TTL),
            _ => return false,
        }
        true
    }
}

/// Parses a list of distinct strings; `None` if it is malformed or too long.
fn list(value: &Value) -> Option<Vec<String>> {
    let entries = value.as_array().filter(|entries| entries.len() <= MAX_LIST)?;
    let texts: Vec<String> = entries
        .iter()
        .map(|entry| entry.as_str().filter(|text| text.len() <= MAX_TEXT).map(str::to_owned))
        .collect::<Option<_>>()?;
    let different: BTreeSet<&String> = texts.iter().collect();
    (different.len() == texts.len()).then_some(texts)
}

/// Parses a `witness` parameter: `{}` for no witnesses, or did:key witnesses with a threshold that they can reach.
/// `None` if it is malformed.
fn witnesses(value: &Value) -> Option<Option<Witnesses>> {
    let members = value.as_object()?;
    if members.is_empty() {
        return Some(None);
    }
    let listed = members.get("witnesses")?.as_array().filter(|listed| listed.len() <= MAX_LIST)?;
    let threshold = usize::try_from(json::as_unsigned_integer(members.get("threshold")?)?).ok()?;
    let mut dids = BTreeSet::new();
    for witness in listed {
        let witness = witness.as_object().filter(|witness| witness.len() == 1)?;
        let did = Did::parse(witness.get("id")?.as_str()?).ok().filter(|did| did.method() == DidMethod::Key)?;
        SelfContainedResolver.resolve(&did).ok()?;
        if !dids.insert(did) {
            return None;
        }
    }
    (members.len() == 2 && threshold >= 1 && threshold <= dids.len()).then_some(Some(Witnesses { threshold, dids }))
}
