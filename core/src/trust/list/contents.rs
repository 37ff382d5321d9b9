//! Contents of a trust list (spec/trust.md section 2).

use serde::{Deserialize, Deserializer, Serialize};

use super::{NamedOperators, timestamp::check_timestamp_signers};
use crate::{
    Problem,
    epoch::Epoch,
    time::Timestamp,
    trust::statement::{StatementKind, instant},
};

/// Maximum sequence number of a list: the greatest integer of I-JSON.
const MAX_SEQUENCE: u64 = 9_007_199_254_740_991;
/// Maximum number of issuers, and of registrars.
const MAX_ENTRIES: usize = 20_000;
/// Maximum number of accreditations of one party.
const MAX_ACCREDITATIONS: usize = 256;
/// Maximum number of types of one accreditation, and of jurisdictions.
const MAX_TYPES: usize = 256;
/// Maximum length of the name of a party or a type, in characters.
const MAX_NAME: usize = 200;
/// Maximum length of a reason, in characters.
const MAX_REASON: usize = 1_000;
/// Length of a SHA-256 digest in base64url, in characters.
const DIGEST_LENGTH: usize = 43;

/// Content of a trust list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustListContents {
    /// Sequence number, from 1; greater than that of every earlier list.
    pub sequence: u64,
    /// [Digest](super::TrustList::digest) of the previous list; `None` only in the first list.
    #[serde(default, deserialize_with = "deserialize_non_null", skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// Earlier lists, newest first, at most 64; empty in lists of older versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<EarlierList>,
    /// DIDs of the signers of this list's timestamps, in ascending order; empty: the list has no timestamps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timestamp_signers: Vec<String>,
    /// Operators who sign later lists in place of the pinned ones, and this one too; `None`: the pinned ones.
    #[serde(default, deserialize_with = "deserialize_non_null", skip_serializing_if = "Option::is_none")]
    pub operators: Option<NamedOperators>,
    /// Current and former issuers, by DID in ascending byte order.
    pub issuers: Vec<TrustListEntry>,
    /// Current and former registrars of relying parties, by DID in ascending byte order.
    pub registrars: Vec<TrustListEntry>,
}

/// Reference to an earlier list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarlierList {
    /// Sequence number.
    pub sequence: u64,
    /// Its [digest](super::TrustList::digest).
    pub digest: String,
}

/// Party of a trust list, with all its current and former accreditations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustListEntry {
    /// DID of the party.
    pub id: String,
    /// Name of the party.
    pub name: String,
    /// Current and former accreditations.
    pub accreditations: Vec<Accreditation>,
}

/// Permission of a party for a period. It is never removed from the list: it ends or is withdrawn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accreditation {
    /// Credential types that an issuer may issue, by name in the catalogue; empty for a registrar.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
    /// Countries (ISO 3166-1 alpha-2) under whose law the party may issue, or whose relying parties it may register;
    /// `None`: all.
    #[serde(default, deserialize_with = "deserialize_non_null", skip_serializing_if = "Option::is_none")]
    pub jurisdictions: Option<Vec<String>>,
    /// Highest level of the European Qualifications Framework that an issuer may certify, 1 to 8; `None`: no limit.
    #[serde(default, deserialize_with = "deserialize_non_null", skip_serializing_if = "Option::is_none")]
    pub max_level: Option<u8>,
    /// Start of the accreditation.
    #[serde(with = "instant")]
    pub from: Timestamp,
    /// Epoch (such as a month) to whose start the issuer rounds down the validity dates of its copies; `None`: a month.
    /// Copies from the epoch that contains `from` count as issued under the accreditation.
    #[serde(default, deserialize_with = "deserialize_non_null", skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
    /// End of the accreditation, inclusive; credentials issued by then stay valid. `None`: no end.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_instant")]
    pub until: Option<Timestamp>,
    /// Withdrawal of the accreditation; `None` if it was not withdrawn.
    #[serde(default, deserialize_with = "deserialize_non_null", skip_serializing_if = "Option::is_none")]
    pub withdrawal: Option<Withdrawal>,
}

/// Withdrawal of an accreditation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Withdrawal {
    /// First instant at which the accreditation is no longer in force.
    #[serde(with = "instant")]
    pub withdrawn_from: Timestamp,
    /// Treatment of credentials issued before the withdrawal.
    pub earlier_credentials: EarlierCredentials,
    /// Reason, in English; `None` if not stated.
    #[serde(default, deserialize_with = "deserialize_non_null", skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Treatment of credentials or registrations issued before a withdrawal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EarlierCredentials {
    /// They stay valid. Suitable only for a party whose dates can be trusted, since it could backdate new credentials.
    #[serde(rename = "stand")]
    StayValid,
    /// They are invalid from the withdrawal on.
    #[serde(rename = "fall")]
    BecomeInvalid,
}

impl TrustListContents {
    /// Returns the content of a first list.
    #[must_use]
    pub fn first_list(issuers: Vec<TrustListEntry>, registrars: Vec<TrustListEntry>) -> Self {
        Self {
            sequence: 1,
            previous: None,
            history: Vec::new(),
            timestamp_signers: Vec::new(),
            operators: None,
            issuers,
            registrars,
        }
    }

    /// Sorts issuers, registrars and timestamp signers by DID.
    pub(super) fn sort(&mut self) {
        self.issuers.sort_by(|one, other| one.id.cmp(&other.id));
        self.registrars.sort_by(|one, other| one.id.cmp(&other.id));
        self.timestamp_signers.sort();
    }

    /// Returns the entry of an issuer, by its DID; `None` if it is not listed.
    #[must_use]
    pub fn issuer(&self, id: &str) -> Option<&TrustListEntry> {
        find_entry(&self.issuers, id)
    }

    /// Returns the entry of a registrar, by its DID; `None` if it is not listed.
    #[must_use]
    pub fn registrar(&self, id: &str) -> Option<&TrustListEntry> {
        find_entry(&self.registrars, id)
    }

    /// Checks all limits of the content, and the order of the entries.
    pub(super) fn check_limits(&self, kind: &StatementKind) -> Result<(), Problem> {
        kind.require((1..=MAX_SEQUENCE).contains(&self.sequence), "sequence", "is not 1 to 2^53 - 1")?;
        let first = self.sequence == 1;
        kind.require(first == self.previous.is_none(), "previous", "is required in every list except the first")?;
        if let Some(previous) = &self.previous {
            check_digest(kind, previous, "previous")?;
        }
        self.check_history(kind)?;
        check_timestamp_signers(kind, &self.timestamp_signers)?;
        self.operators.as_ref().map_or(Ok(()), |named| named.check_limits(kind, self.sequence))?;
        for (entries, what) in [(&self.issuers, "issuers"), (&self.registrars, "registrars")] {
            kind.check_count(entries.len(), 0..=MAX_ENTRIES, what)?;
            let ordered = entries.is_sorted_by(|one, next| one.id < next.id);
            kind.require(ordered, what, "are not in ascending order of their DIDs without duplicates")?;
        }
        self.issuers.iter().try_for_each(|entry| entry.check_limits(kind, true))?;
        self.registrars.iter().try_for_each(|entry| entry.check_limits(kind, false))
    }

    /// Names new operators, who sign later lists and must also sign this one.
    pub fn set_operators(&mut self, ids: impl IntoIterator<Item = String>, quorum: usize) {
        self.operators = Some(NamedOperators::after(self.operators.take(), ids, quorum, self.sequence));
    }

    /// Returns the URL or path of the list with this number: `history/NNN.json` relative to `list`, that of the newest
    /// list.
    #[must_use]
    pub fn history_url(list: &str, number: u64) -> String {
        let query = list.find('?').filter(|_| list.contains("://")).unwrap_or(list.len());
        let (place, query) = list.split_at(query);
        let folder = place.rfind('/').map_or("", |at| place.get(..=at).unwrap_or_default());
        format!("{folder}history/{number:03}.json{query}")
    }
}

/// Checks that a text has the form of a SHA-256 digest in base64url.
pub(super) fn check_digest(kind: &StatementKind, digest: &str, what: &str) -> Result<(), Problem> {
    let holds = digest.len() == DIGEST_LENGTH
        && digest.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    kind.require(holds, what, "is not a SHA-256 digest in base64url")
}

fn find_entry<'a>(entries: &'a [TrustListEntry], id: &str) -> Option<&'a TrustListEntry> {
    entries.binary_search_by(|entry| entry.id.as_str().cmp(id)).ok().and_then(|at| entries.get(at))
}

impl TrustListEntry {
    /// Checks the entry. Errors name the entry: there may be thousands.
    fn check_limits(&self, kind: &StatementKind, issuer: bool) -> Result<(), Problem> {
        let id: String = self.id.chars().take(MAX_NAME).collect();
        self.check_members(kind, issuer)
            .map_err(|problem| kind.problem(format!("the entry {id:?}: {}", problem.detail)))
    }

    fn check_members(&self, kind: &StatementKind, issuer: bool) -> Result<(), Problem> {
        kind.check_did(&self.id, "id")?;
        kind.check_text(&self.name, "name", MAX_NAME)?;
        kind.check_count(self.accreditations.len(), 1..=MAX_ACCREDITATIONS, "accreditations")?;
        self.accreditations.iter().try_for_each(|accreditation| accreditation.check_limits(kind, issuer))
    }
}

impl Accreditation {
    fn check_limits(&self, kind: &StatementKind, issuer: bool) -> Result<(), Problem> {
        kind.check_count(self.types.len(), if issuer { 1..=MAX_TYPES } else { 0..=0 }, "types")?;
        self.types.iter().try_for_each(|name| kind.check_text(name, "types", MAX_NAME))?;
        if let Some(countries) = &self.jurisdictions {
            kind.check_count(countries.len(), 1..=MAX_TYPES, "jurisdictions")?;
            let country = |text: &String| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase());
            kind.require(
                countries.iter().all(country),
                "jurisdictions",
                "are not two capital letters each (ISO 3166-1)",
            )?;
        }
        let level = self.max_level.is_none_or(|level| issuer && (1..=8).contains(&level));
        kind.require(level, "max_level", "is not 1 to 8, or is on a registrar")?;
        kind.require(self.epoch.is_none() || issuer, "epoch", "is not allowed on a registrar")?;
        kind.require(self.until.is_none_or(|until| self.from <= until), "until", "is before from")?;
        let Some(withdrawal) = &self.withdrawal else { return Ok(()) };
        kind.require(self.from <= withdrawal.withdrawn_from, "withdrawn_from", "is before from")?;
        withdrawal.reason.as_ref().map_or(Ok(()), |reason| kind.check_text(reason, "reason", MAX_REASON))
    }
}

/// Deserialises a member that must not be `null`, which could be read as no limit or as nothing allowed.
fn deserialize_non_null<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Serde format of an optional [`Timestamp`]: `dateTimeStamp`, or absent.
mod optional_instant {
    use serde::{Deserializer, Serializer};

    use super::instant;
    use crate::time::Timestamp;

    pub(super) fn serialize<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => instant::serialize(at, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        instant::deserialize(deserializer).map(Some)
    }
}
