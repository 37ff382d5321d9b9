//! Status lists: the status of an issuer's credentials after issuance, for all of them at once, so that nobody needs
//! to ask about one.
//!
//! One [`StatusList`] holds the bits; [`bitstring`] and [`token`] (with [`cwt`], the same in CBOR) are the two forms
//! in which they are published (W3C Bitstring Status List 1.0; IETF Token Status List). The two number the bits of a
//! byte from opposite ends, so a list knows its [`Order`], and an entry cannot be read in the wrong one.

pub mod bitstring;
pub mod cwt;
pub mod freshness;
mod list;
pub mod listed;
pub mod message;
mod packed;
pub mod publication;
mod state;
pub mod token;

pub use list::{Order, StatusList};
pub use listed::Listed;
pub use state::{CopyState, StatusState};

use crate::{Code, Problem, time::Timestamp};

/// The fewest entries of a published list, by the default profile.
pub const MIN_ENTRIES: u64 = ListProfile::DEFAULT.min_entries;

/// Carnet's own demands on lists where a standard has none or a weaker one. Data of an issuer or a type can name
/// another profile; nothing else says these numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListProfile {
    /// The fewest entries, in any form and size: fewer would reveal too well whose entry is read. Bitstring Status
    /// List 1.0 (section 3.2) has this number; Token Status List has none.
    pub min_entries: u64,
}

impl ListProfile {
    /// The profile of issuers and types that name no other.
    pub const DEFAULT: Self = Self { min_entries: 131_072 };

    /// Refuses a list with too few entries.
    ///
    /// # Errors
    /// `status_list_length`
    pub fn require_length(&self, entries: u64) -> Result<(), Problem> {
        if entries >= self.min_entries { Ok(()) } else { Err(Code::StatusListLength.into()) }
    }
}

/// An index as it is written: base-10 digits and nothing else, so without sign, leading zero, fraction, exponent or blank.
/// `statusListIndex` is a string of them: one index has one text. (`idx` is a JSON number, which [`crate::json::whole`]
/// reads.)
pub(crate) fn parse_index(text: &str) -> Result<u64, Problem> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    let index = if plain { text.parse().ok() } else { None };
    index.ok_or_else(|| Problem::new(Code::StatusIndex, "the index is not in base-10 digits"))
}

/// The most bytes of a list once it is unpacked: ten million entries of eight bits, and some room.
pub const MAX_BYTES: usize = 16 * 1024 * 1024;

/// Purpose of an entry (Bitstring Status List 1.0 section 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Purpose {
    /// Set: revoked permanently.
    Revocation,
    /// Set: suspended temporarily.
    Suspension,
    /// The value is a message, which the credential explains.
    Message,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 3] = [Self::Revocation, Self::Suspension, Self::Message];

    /// Its name in `statusPurpose`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Revocation => "revocation",
            Self::Suspension => "suspension",
            Self::Message => "message",
        }
    }

    /// The purpose of that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.as_str() == text)
    }
}

/// For how long a list that was fetched may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    /// Time of issue of the list.
    pub issued: Timestamp,
    /// After this instant it is stale.
    pub until: Option<Timestamp>,
    /// It is to be fetched again so many seconds after it was fetched.
    pub ttl: Option<i64>,
}

impl Freshness {
    /// Checks that a list fetched at `fetched` may be used at `now`; the whole second in which it ends still counts.
    ///
    /// # Errors
    /// `status_list_stale`: past its end or its time to live, or issued more than `skew` seconds in the future.
    pub fn check(&self, fetched: Timestamp, now: Timestamp, skew: i64) -> Result<(), Problem> {
        if self.issued > now.plus(skew) {
            return Err(Problem::new(Code::StatusListStale, "the list is from the future"));
        }
        if self.until.is_some_and(|until| now > until.plus(skew)) {
            return Err(Problem::new(Code::StatusListStale, "the list has expired"));
        }
        if self.ttl.is_some_and(|ttl| now > fetched.plus(ttl)) {
            return Err(Problem::new(Code::StatusListStale, "the list has outlived its ttl"));
        }
        Ok(())
    }

    /// For how many seconds at `now` it has been past its end or its time to live; 0: it is not.
    #[must_use]
    pub fn late_by(&self, fetched: Timestamp, now: Timestamp, skew: i64) -> i64 {
        let ends = [self.until.map(|until| until.plus(skew)), self.ttl.map(|ttl| fetched.plus(ttl))];
        let late = ends.into_iter().flatten().map(|end| now.unix().saturating_sub(end.unix()));
        late.max().unwrap_or_default().max(0)
    }
}

#[cfg(test)]
mod tests;
