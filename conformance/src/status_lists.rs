//! Status lists in memory: entries of issued credentials, and the lists that are served.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use carnet_core::{
    Code, Problem,
    status::{
        BitOrder, ListValidity, StatusList, StatusPurpose,
        bitstring::{BitstringListParameters, BitstringStatusListEntry},
    },
};
use carnet_service::time::now;
use rand_core::{OsRng, RngCore as _};
use serde_json::{Map, Value};

use crate::profiles::PROFILES;

/// JSON object.
type Document = Map<String, Value>;

/// Number of entries: the minimum of Bitstring Status List 1.0 section 2.2.
const ENTRIES: u64 = 131_072;
/// Time to live of a list, in seconds.
const TTL_SECONDS: i64 = 60;
/// Lifetime of a list's signature, in seconds.
const LIFETIME_SECONDS: i64 = 86_400;
const PURPOSES: [StatusPurpose; 2] = [StatusPurpose::Revocation, StatusPurpose::Suspension];

/// Requested change of a status.
#[derive(Debug)]
pub(crate) struct StatusUpdate {
    /// `id` of the credential.
    pub(crate) credential_id: String,
    pub(crate) purpose: String,
    pub(crate) value: bool,
}

/// Index of a credential in the list of a purpose.
struct AllocatedEntry {
    credential_id: Option<String>,
    purpose: StatusPurpose,
    index: u64,
}

/// Lists and entries of one profile.
struct ProfileLists {
    lists: BTreeMap<&'static str, StatusList>,
    entries: Vec<AllocatedEntry>,
}

/// Status lists of the profiles that have them.
pub(crate) struct StatusLists {
    base_url: String,
    profiles: Mutex<BTreeMap<&'static str, ProfileLists>>,
}

impl StatusLists {
    /// Creates empty lists. `base_url`: URL of this server, without a trailing slash.
    ///
    /// # Errors
    /// A list cannot be created.
    pub(crate) fn new(base_url: &str) -> Result<Self, Problem> {
        let mut profiles = BTreeMap::new();
        for profile in PROFILES.iter().filter(|profile| profile.with_status) {
            let mut lists = BTreeMap::new();
            for purpose in PURPOSES {
                lists.insert(purpose.as_str(), StatusList::new(ENTRIES, 1, BitOrder::MostSignificantFirst)?);
            }
            profiles.insert(profile.name, ProfileLists { lists, entries: Vec::new() });
        }
        Ok(Self { base_url: base_url.to_owned(), profiles: Mutex::new(profiles) })
    }

    fn url(&self, profile: &str, purpose: StatusPurpose) -> String {
        format!("{}/{profile}/status-lists/{}", self.base_url, purpose.as_str())
    }

    /// Returns the profile and the purpose of a list's URL; `None` for the URL of another server.
    pub(crate) fn path_of<'a>(&self, url: &'a str) -> Option<(&'a str, &'a str)> {
        url.strip_prefix(self.base_url.as_str())?.strip_prefix('/')?.split_once("/status-lists/")
    }

    /// Returns whether a credential, or one in a presentation, refers to a list of this server.
    pub(crate) fn are_named_in(&self, document: &Document) -> bool {
        fn values<'a>(document: &'a Document, name: &str) -> Vec<&'a Value> {
            match document.get(name) {
                None => Vec::new(),
                Some(Value::Array(many)) => many.iter().collect(),
                Some(one) => vec![one],
            }
        }
        let is_own = |entry: &&Value| {
            let url = entry.get("statusListCredential").and_then(Value::as_str).unwrap_or_default();
            self.path_of(url).is_some()
        };
        let inner = values(document, "verifiableCredential").into_iter().filter_map(Value::as_object);
        std::iter::once(document).chain(inner).any(|one| values(one, "credentialStatus").iter().any(is_own))
    }

    /// Adds a status entry for each purpose to a credential that has none, each with an index of its own.
    ///
    /// # Errors
    /// `status_index`: no index is free.
    pub(crate) fn add_entries(&self, profile: &str, document: &mut Document) -> Result<(), Problem> {
        if document.contains_key("credentialStatus") {
            return Ok(());
        }
        let mut profiles = self.profiles.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(lists) = profiles.get_mut(profile) else { return Ok(()) };
        let credential_id = document.get("id").and_then(Value::as_str).map(str::to_owned);
        let mut entries = Vec::new();
        for purpose in PURPOSES {
            let index = free_index(&lists.entries, purpose)?;
            let entry = BitstringStatusListEntry { purpose, url: self.url(profile, purpose), index, size_in_bits: 1 };
            entries.push(entry.to_json());
            lists.entries.push(AllocatedEntry { credential_id: credential_id.clone(), purpose, index });
        }
        document.insert("credentialStatus".to_owned(), Value::Array(entries));
        Ok(())
    }

    /// Sets the status of a purpose for the credential with this id.
    ///
    /// # Errors
    /// `status_index`: there is no such credential, or it has no entry of this purpose.
    pub(crate) fn apply(&self, update: &StatusUpdate) -> Result<(), Problem> {
        let mut profiles = self.profiles.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = false;
        for lists in profiles.values_mut() {
            let ProfileLists { lists, entries } = lists;
            let of_credential = entries.iter().filter(|entry| {
                entry.credential_id.as_deref() == Some(&update.credential_id)
                    && entry.purpose.as_str() == update.purpose
            });
            for entry in of_credential {
                if let Some(list) = lists.get_mut(entry.purpose.as_str()) {
                    list.set_value(entry.index, u8::from(update.value))?;
                    changed = true;
                }
            }
        }
        if changed {
            return Ok(());
        }
        Err(Problem::new(Code::StatusIndex, "no credential with this id and this purpose was issued here"))
    }

    /// Returns the unsecured status list credential of a purpose; `None` if there is none.
    pub(crate) fn unsecured_list(
        &self,
        profile: &str,
        purpose: &str,
        issuer: &str,
    ) -> Option<Result<Document, Problem>> {
        let profiles = self.profiles.lock().unwrap_or_else(PoisonError::into_inner);
        let list = profiles.get(profile)?.lists.get(purpose)?;
        let purpose = StatusPurpose::parse(purpose)?;
        let issued_at = now();
        let validity =
            ListValidity { issued_at, expires_at: Some(issued_at.plus(LIFETIME_SECONDS)), ttl: Some(TTL_SECONDS) };
        let parameters =
            BitstringListParameters { issuer: issuer.to_owned(), url: self.url(profile, purpose), purpose, validity };
        Some(parameters.to_document(list))
    }
}

/// Draws an index that no other credential has.
fn free_index(entries: &[AllocatedEntry], purpose: StatusPurpose) -> Result<u64, Problem> {
    let taken = |index: u64| entries.iter().any(|entry| entry.purpose == purpose && entry.index == index);
    let used = entries.iter().filter(|entry| entry.purpose == purpose).count();
    if u64::try_from(used).is_ok_and(|used| used >= ENTRIES / 2) {
        return Err(Problem::new(Code::StatusIndex, "half of the status list is used; start this program again"));
    }
    loop {
        let index = OsRng.next_u64() % ENTRIES;
        if !taken(index) {
            return Ok(index);
        }
    }
}
