//! Epochs: weeks, months or quarters, to the start of which the validity dates of a credential are rounded down.
//!
//! Every copy shows its validity dates. Verifiers that compare them can tell holders apart, unless many holders have
//! the same dates. Days are days in UTC, and an epoch begins at 00:00:00Z (spec/credential-types.md 3.6).

use std::fmt;

use chrono::{DateTime, Datelike as _, NaiveTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{day::SECONDS, time::Timestamp};

/// Period to whose start an issuer rounds validity dates down. Credentials of one period then have the same dates. An
/// issuer's default is the month.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Epoch {
    /// One day: dates are rounded to the day only. Wallets assume it for issuers that state no epoch.
    Day,
    /// Seven days that begin on a Monday.
    Week,
    /// A calendar month.
    #[default]
    Month,
    /// Three calendar months that begin with January, April, July or October.
    Quarter,
}

impl Epoch {
    /// All epochs, shortest first.
    pub const ALL: [Self; 4] = [Self::Day, Self::Week, Self::Month, Self::Quarter];

    /// Returns the name in files and metadata: `day`, `week`, `month` or `quarter`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Quarter => "quarter",
        }
    }

    /// Returns the first instant of the epoch that contains `at`. Outside chrono's range of years, months and quarters
    /// are rounded to the day only.
    ///
    /// # Examples
    /// ```
    /// use carnet_core::{epoch::Epoch, time::Timestamp};
    ///
    /// let at = Timestamp::parse("2026-11-18T09:30:00Z")?;
    /// assert_eq!(Epoch::Week.start(at).to_string(), "2026-11-16T00:00:00Z");
    /// assert_eq!(Epoch::Quarter.start(at).to_string(), "2026-10-01T00:00:00Z");
    /// # Ok::<(), carnet_core::Problem>(())
    /// ```
    #[must_use]
    pub fn start(self, at: Timestamp) -> Timestamp {
        let day = at.start_of_day();
        match self {
            Self::Day => day,
            Self::Week => {
                // 1970-01-01 was a Thursday, the fourth day of its week.
                let days = day.unix().div_euclid(SECONDS).saturating_add(3).rem_euclid(7);
                day.plus(days.saturating_mul(SECONDS).saturating_neg())
            }
            Self::Month => first_of_month(at, 1).unwrap_or(day),
            Self::Quarter => first_of_month(at, 3).unwrap_or(day),
        }
    }

    /// Returns the first instant of the epoch after the one that contains `at`.
    #[must_use]
    pub fn next_start(self, at: Timestamp) -> Timestamp {
        // One day more than the longest epoch reaches into the next one, in every case.
        let days = match self {
            Self::Day | Self::Week => self.max_days(),
            Self::Month | Self::Quarter => self.max_days().saturating_add(1),
        };
        self.start(self.start(at).plus(days.saturating_mul(SECONDS)))
    }

    /// Returns whether an epoch begins at `at`.
    #[must_use]
    pub fn is_start(self, at: Timestamp) -> bool {
        self.start(at) == at
    }

    /// Returns the length of the longest epoch of this kind, in days.
    #[must_use]
    pub const fn max_days(self) -> i64 {
        match self {
            Self::Day => 1,
            Self::Week => 7,
            Self::Month => 31,
            Self::Quarter => 92,
        }
    }

    /// Returns the start and the end of the validity period of a credential: `from` and `until`, each rounded down.
    /// `None` if the period would be empty, or would already have ended at `now` although `until` is later than `now`.
    #[must_use]
    pub fn round_validity(self, from: Timestamp, until: Timestamp, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let (start, end) = (self.start(from), self.start(until));
        let over = end <= now && until > now;
        (start < end && !over).then_some((start, end))
    }

    /// Returns the start and the end of the validity period of a renewed credential. With the old end `until` rounded
    /// down, it starts `window` seconds before that and ends `longer` seconds after it, both rounded down again.
    /// Credentials that ended in the same epoch get the same new period.
    #[must_use]
    pub fn renewed_validity(self, until: Timestamp, window: i64, longer: i64) -> (Timestamp, Timestamp) {
        let end = self.start(until);
        (self.start(end.plus(window.saturating_neg())), self.start(end.plus(longer)))
    }

    /// Returns whether a visible end reveals a hidden date: the two are at most the longest [`Self::hiding_epoch`]
    /// apart.
    #[must_use]
    pub fn reveals(self, end: Timestamp, hidden: Timestamp) -> bool {
        let days = self.hiding_epoch().max_days();
        end.unix().abs_diff(hidden.unix()) <= days.saturating_mul(SECONDS).unsigned_abs()
    }

    /// Returns whether a visible beginning reveals a hidden date: the date lies in the same [`Self::hiding_epoch`] as
    /// the beginning, or up to a day outside of it, since local days differ from those of UTC.
    #[must_use]
    pub fn reveals_by_start(self, start: Timestamp, hidden: Timestamp) -> bool {
        let epoch = self.hiding_epoch();
        let (first, next) = (epoch.start(start), epoch.next_start(start));
        first.plus(SECONDS.saturating_neg()) <= hidden && hidden < next.plus(SECONDS)
    }

    /// Returns the epoch whose length is the minimum distance between a visible end and a date for the date to count as
    /// hidden: this epoch, or a month for [`Self::Day`], since such credentials often end on the date itself.
    #[must_use]
    pub const fn hiding_epoch(self) -> Self {
        match self {
            Self::Day => Self::Month,
            other => other,
        }
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Returns the first day of the group of `months` calendar months that contains `at`: 1 for a month, 3 for a quarter.
/// `None` outside chrono's range of years.
fn first_of_month(at: Timestamp, months: u32) -> Option<Timestamp> {
    let date = DateTime::<Utc>::from_timestamp(at.unix(), 0)?.date_naive().with_day(1)?;
    let month = date.month0().checked_sub(date.month0().checked_rem(months)?)?;
    Some(Timestamp::from_unix(date.with_month0(month)?.and_time(NaiveTime::MIN).and_utc().timestamp()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(day: &str) -> Timestamp {
        let text = if day.contains('T') { day.to_owned() } else { format!("{day}T00:00:00Z") };
        Timestamp::parse(&text).unwrap()
    }

    #[test]
    fn an_epoch_begins_on_a_monday_or_on_a_first() {
        for (day, week, month, quarter) in [
            ("2026-11-30T23:59:59Z", "2026-11-30", "2026-11-01", "2026-10-01"),
            ("2026-11-29T23:59:59Z", "2026-11-23", "2026-11-01", "2026-10-01"),
            ("2027-01-01", "2026-12-28", "2027-01-01", "2027-01-01"),
            ("2028-02-29T12:00:00Z", "2028-02-28", "2028-02-01", "2028-01-01"),
            ("1969-12-31T23:59:59Z", "1969-12-29", "1969-12-01", "1969-10-01"),
            ("2026-06-30T23:59:59Z", "2026-06-29", "2026-06-01", "2026-04-01"),
        ] {
            assert_eq!(Epoch::Week.start(at(day)), at(week), "{day}");
            assert_eq!(Epoch::Month.start(at(day)), at(month), "{day}");
            assert_eq!(Epoch::Quarter.start(at(day)), at(quarter), "{day}");
            assert_eq!(Epoch::Day.start(at(day)), at(day).start_of_day(), "{day}");
        }
        assert_eq!(Epoch::Month.next_start(at("2027-01-31T23:59:59Z")), at("2027-02-01"));
        assert_eq!(Epoch::Quarter.next_start(at("2026-10-01")), at("2027-01-01"));
        assert_eq!(Epoch::Week.next_start(at("2026-11-30")), at("2026-12-07"));
    }

    #[test]
    fn a_copy_ends_no_later_than_was_said_and_not_before_it_begins() {
        let now = at("2026-11-22T12:00:00Z");
        let days = |epoch: Epoch, from: &str, until: &str| epoch.round_validity(at(from), at(until), now);
        let month = |from: &str, until: &str| days(Epoch::Month, from, until);
        assert_eq!(month("2026-11-22", "2028-02-16"), Some((at("2026-11-01"), at("2028-02-01"))));
        assert_eq!(month("2026-11-22", "2026-12-20"), Some((at("2026-11-01"), at("2026-12-01"))));
        // Within the running epoch; and past it, of a credential that is older.
        assert_eq!(month("2026-11-22", "2026-11-29"), None);
        assert_eq!(month("2025-03-10", "2026-11-29"), None);
        assert_eq!(days(Epoch::Week, "2025-03-12", "2026-11-29"), Some((at("2025-03-10"), at("2026-11-23"))));
        // A record of a credential that was over before.
        assert_eq!(month("2020-05-10", "2022-06-16"), Some((at("2020-05-01"), at("2022-06-01"))));
        assert_eq!(days(Epoch::Day, "2026-11-22", "2026-11-29"), Some((at("2026-11-22"), at("2026-11-29"))));
    }

    #[test]
    fn those_whose_credentials_ended_together_are_renewed_together() {
        let window = 30 * SECONDS;
        let expected = (at("2027-01-01"), at("2028-02-01"));
        for until in ["2027-02-01", "2027-02-16", "2027-02-28"] {
            assert_eq!(Epoch::Month.renewed_validity(at(until), window, 365 * SECONDS), expected, "{until}");
        }
    }

    #[test]
    fn an_end_gives_away_a_date_within_an_epoch_of_it() {
        let end = at("2028-02-01");
        for (hidden, week, month, quarter) in [
            ("2028-02-01", true, true, true),
            ("2028-02-29T23:59:59Z", false, true, true),
            ("2028-01-28", true, true, true),
            ("2028-04-15", false, false, true),
            ("2027-12-20", false, false, true),
            ("2030-01-01", false, false, false),
        ] {
            let given = |epoch: Epoch| epoch.reveals(end, at(hidden));
            assert_eq!((given(Epoch::Week), given(Epoch::Month), given(Epoch::Quarter)), (week, month, quarter));
            assert_eq!(given(Epoch::Day), month, "{hidden}");
        }
    }

    #[test]
    fn a_beginning_gives_away_a_date_of_its_epoch() {
        let start = at("2026-10-01");
        for (hidden, week, month, quarter) in [
            ("2026-10-01", true, true, true),
            // Midnight in Berlin.
            ("2026-09-30T22:00:00Z", true, true, true),
            ("2026-10-10", false, true, true),
            ("2026-11-10", false, false, true),
            ("2026-09-20", false, false, false),
            ("2025-10-10", false, false, false),
            ("2027-01-02", false, false, false),
        ] {
            let given = |epoch: Epoch| epoch.reveals_by_start(start, at(hidden));
            assert_eq!(
                (given(Epoch::Week), given(Epoch::Month), given(Epoch::Quarter)),
                (week, month, quarter),
                "{hidden}"
            );
            assert_eq!(given(Epoch::Day), month, "{hidden}");
        }
    }

    proptest! {
        #[test]
        fn rounding_goes_down_and_once(seconds in -60_000_000_000_i64..250_000_000_000) {
            let at = Timestamp::from_unix(seconds);
            for epoch in Epoch::ALL {
                let start = epoch.start(at);
                prop_assert!(start <= at && epoch.is_start(start));
                let next = epoch.next_start(at);
                prop_assert!(at < next && epoch.is_start(next));
                prop_assert_eq!(epoch.start(next.plus(-1)), start);
                let longest = epoch.max_days().saturating_mul(SECONDS);
                prop_assert!(next <= start.plus(longest));
                // A renewal by the longest epoch ends later.
                prop_assert!(epoch.renewed_validity(at, 0, longest).1 > at);
            }
        }
    }
}
