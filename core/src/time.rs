//! Instants: seconds since the Unix epoch, and the one text form that VCDM 2.0 allows.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use crate::{Code, Problem};

/// An instant, in whole seconds since 1970-01-01T00:00:00Z. It always comes from outside: core has no clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The instant that is `seconds` after the Unix epoch.
    #[must_use]
    pub const fn from_unix(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Seconds since the Unix epoch.
    #[must_use]
    pub const fn unix(self) -> i64 {
        self.0
    }

    /// Parses an XSD `dateTimeStamp`: a date, a time and an offset (VCDM 2.0 section 4.9).
    ///
    /// # Errors
    /// [`Code::DateMalformed`] if it is anything else; in particular if it has no offset, since a
    /// date without one would have to be read as somebody's local time.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let malformed = || Problem::new(Code::DateMalformed, "not a dateTimeStamp with an offset");
        // RFC 3339 allows a space or a lower-case t between date and time, XSD does not.
        if text.as_bytes().get(10) != Some(&b'T') || text.contains('z') {
            return Err(malformed());
        }
        DateTime::parse_from_rfc3339(text).map(|at| Self(at.timestamp())).map_err(|_| malformed())
    }

    /// This instant, moved by `seconds`; it stops at the ends of what can be said.
    #[must_use]
    pub const fn plus(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// The first second of this instant's day in UTC: what issuers round to, so that a time is
    /// the same for all who were issued that day.
    #[must_use]
    pub const fn start_of_day(self) -> Self {
        Self(self.0.saturating_sub(self.0.rem_euclid(86_400)))
    }
}

impl std::fmt::Display for Timestamp {
    /// The `dateTimeStamp` form in UTC, such as `2026-11-22T00:00:00Z`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match DateTime::<Utc>::from_timestamp(self.0, 0) {
            Some(at) => f.write_str(&at.to_rfc3339_opts(SecondsFormat::Secs, true)),
            None => write!(f, "{}s", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_15_a_date_without_an_offset_is_refused() {
        for text in ["2026-11-22T10:00:00", "2026-11-22", "2026-11-22 10:00:00Z", "2026-11-22T10:00:00z", ""] {
            assert_eq!(Timestamp::parse(text).unwrap_err().code, Code::DateMalformed, "{text}");
        }
        assert_eq!(
            Timestamp::parse("2026-11-22T10:00:00Z").unwrap(),
            Timestamp::parse("2026-11-22T11:00:00+01:00").unwrap()
        );
    }

    #[test]
    fn a_day_starts_at_midnight_also_before_the_epoch() {
        assert_eq!(Timestamp::from_unix(-1).start_of_day().unix(), -86_400);
        assert_eq!(
            Timestamp::parse("2026-11-22T23:59:59Z").unwrap().start_of_day().to_string(),
            "2026-11-22T00:00:00Z"
        );
    }
}
