//! Status lists: the status of many credentials of an issuer in one document, so that verifiers need not ask the issuer
//! about a single credential.
//!
//! A [`StatusList`] contains the entries. They are published as [`bitstring`] (W3C Bitstring Status List 1.0) and
//! [`token`] (IETF Token Status List; [`cwt`] is its CBOR counterpart). The two use opposite bit orders within a byte,
//! so a list records its [`BitOrder`].

pub mod bitstring;
pub mod cwt;
pub mod freshness;
mod list;
mod list_url;
pub mod listed;
pub mod message;
mod packed;
pub mod publication;
mod state;
pub mod token;

pub use list::{BitOrder, StatusList};
pub use list_url::StatusListUrl;
pub use listed::VerifiedStatusList;
pub use state::{CopyState, StatusState};

use crate::{Code, Problem, time::Timestamp};

/// Minimum number of entries of a published list in the default profile.
pub const MIN_ENTRIES: u64 = ListProfile::DEFAULT.min_entries;

/// Requirements of Carnet on status lists where the standards have none or weaker ones. Issuers and types can override
/// them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListProfile {
    /// Minimum number of entries, in any form and entry size: a fetch of a shorter list would reveal too much about the
    /// credential. Bitstring Status List 1.0 section 3.2 has the same minimum; Token Status List has none.
    pub min_entries: u64,
}

impl ListProfile {
    /// Default profile: 131,072 entries.
    pub const DEFAULT: Self = Self { min_entries: 131_072 };

    /// Checks that a list has at least the minimum number of entries.
    ///
    /// # Errors
    /// `status_list_length` if it has fewer.
    pub fn require_length(&self, entries: u64) -> Result<(), Problem> {
        if entries >= self.min_entries { Ok(()) } else { Err(Code::StatusListLength.into()) }
    }
}

/// Parses an index from decimal digits without sign, leading zeros, fraction, exponent or space, the only permitted
/// form of `statusListIndex`; `status_index` otherwise. (`idx` is a JSON number, which [`crate::json::as_integer`]
/// parses.)
pub(crate) fn parse_index(text: &str) -> Result<u64, Problem> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    let index = if plain { text.parse().ok() } else { None };
    index.ok_or_else(|| Problem::new(Code::StatusIndex, "the index is not in base-10 digits"))
}

/// Maximum size of a decompressed list, in bytes: 16 MiB, more than ten million entries of eight bits.
pub const MAX_LIST_BYTES: usize = 16 * 1024 * 1024;

/// Status purpose of a list (Bitstring Status List 1.0 section 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StatusPurpose {
    /// An entry other than 0 means revoked permanently.
    Revocation,
    /// An entry other than 0 means suspended temporarily.
    Suspension,
    /// The entry is the number of a message, whose text is in the credential.
    Message,
}

impl StatusPurpose {
    /// All purposes.
    pub const ALL: [Self; 3] = [Self::Revocation, Self::Suspension, Self::Message];

    /// Returns the name in `statusPurpose`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Revocation => "revocation",
            Self::Suspension => "suspension",
            Self::Message => "message",
        }
    }

    /// Parses a `statusPurpose`; `None` for an unknown one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.as_str() == text)
    }
}

/// Times that determine how long a fetched list may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListValidity {
    /// Time of issue.
    pub issued_at: Timestamp,
    /// Expiry, inclusive: the list is stale after this instant. `None` if not stated.
    pub expires_at: Option<Timestamp>,
    /// Time to live after the fetch, in seconds; the list is stale afterwards. `None` if not stated.
    pub ttl: Option<i64>,
}

impl ListValidity {
    /// Checks that a list fetched at `fetched` may be used at `now`. The second of expiry is included, and `skew`
    /// seconds are tolerated, except for the time to live.
    ///
    /// # Errors
    /// `status_list_stale`: past its expiry or its time to live, or issued more than `skew` seconds in the future.
    pub fn require_usable(&self, fetched: Timestamp, now: Timestamp, skew: i64) -> Result<(), Problem> {
        if self.issued_at > now.plus(skew) {
            return Err(Problem::new(Code::StatusListStale, "the list is from the future"));
        }
        if self.expires_at.is_some_and(|until| now > until.plus(skew)) {
            return Err(Problem::new(Code::StatusListStale, "the list has expired"));
        }
        if self.ttl.is_some_and(|ttl| now > fetched.plus(ttl)) {
            return Err(Problem::new(Code::StatusListStale, "the list has outlived its ttl"));
        }
        Ok(())
    }

    /// Returns the number of seconds since the list passed its expiry or its time to live; 0 if it is still usable.
    /// `skew` is added to the expiry.
    #[must_use]
    pub fn seconds_stale(&self, fetched: Timestamp, now: Timestamp, skew: i64) -> i64 {
        let ends = [self.expires_at.map(|until| until.plus(skew)), self.ttl.map(|ttl| fetched.plus(ttl))];
        let late = ends.into_iter().flatten().map(|end| now.unix().saturating_sub(end.unix()));
        late.max().unwrap_or_default().max(0)
    }
}

#[cfg(test)]
mod tests;
