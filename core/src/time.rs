//! Instants: seconds since the Unix epoch, and the text form of VCDM 2.0.

use std::fmt;

use chrono::{DateTime, Datelike as _, NaiveDate, Timelike as _, Utc};
use serde::{Deserialize, Serialize};

use crate::{Code, Problem};

/// Tolerated clock difference between two parties, in seconds (spec/protocol.md 1.6).
pub const CLOCK_SKEW: i64 = 60;
/// Length of a day, in seconds.
pub(crate) const SECONDS_PER_DAY: i64 = 86_400;
/// Length of a date `YYYY-MM-DD`, in bytes.
pub(crate) const DATE_LENGTH: usize = 10;

/// Instant in whole seconds since 1970-01-01T00:00:00Z. Callers supply it: this crate reads no clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Creates the instant that is `seconds` after the Unix epoch.
    #[must_use]
    pub const fn from_unix(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Returns the seconds since the Unix epoch.
    #[must_use]
    pub const fn unix(self) -> i64 {
        self.0
    }

    /// Converts a NumericDate (RFC 7519 and RFC 8392, section 2), rounded down to a whole second. `None` for a
    /// magnitude above 2^53 - 1 seconds, and for a number that is not finite.
    #[must_use]
    pub fn from_numeric_date(seconds: f64) -> Option<Self> {
        let seconds = seconds.floor();
        (seconds.abs() <= MAX_NUMERIC_DATE).then_some(Self(seconds as i64))
    }

    /// Parses an XSD 1.1 `dateTimeStamp`: a date, a time and an offset (VCDM 2.0 section 4.9). A fraction of a second
    /// is dropped. A year has four to six digits, and may be negative.
    ///
    /// # Errors
    /// [`Code::DateMalformed`] for any other text, in particular for one without an offset, which would be ambiguous.
    ///
    /// # Examples
    /// ```
    /// use carnet_core::time::Timestamp;
    ///
    /// let offset = Timestamp::parse("2026-11-01T01:00:00+01:00")?;
    /// assert_eq!(offset.to_string(), "2026-11-01T00:00:00Z");
    /// assert!(Timestamp::parse("2026-11-01").is_err());
    /// # Ok::<(), carnet_core::Problem>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let malformed = || match nonexistent_day(text) {
            Some(day) => Problem::new(Code::DateMalformed, format!("{day} is a day that does not exist")),
            None => Problem::new(Code::DateMalformed, "not a dateTimeStamp with an offset"),
        };
        date_time_stamp(text).map(Self).ok_or_else(malformed)
    }

    /// Returns this instant moved by `seconds`, saturating at the ends of the range.
    #[must_use]
    pub const fn plus(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// Returns the first second of this instant's day in UTC. Times rounded to it do not distinguish the credentials of
    /// a day.
    #[must_use]
    pub const fn start_of_day(self) -> Self {
        Self(self.0.saturating_sub(self.0.rem_euclid(SECONDS_PER_DAY)))
    }
}

impl fmt::Display for Timestamp {
    /// The `dateTimeStamp` form in UTC, such as `2026-11-22T00:00:00Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(at) = DateTime::<Utc>::from_timestamp(self.0, 0) else { return write!(f, "{}s", self.0) };
        // chrono writes a year beyond 9999 with a plus sign, which XSD does not permit.
        let (sign, year) = (if at.year() < 0 { "-" } else { "" }, at.year().unsigned_abs());
        write!(f, "{sign}{year:04}-{:02}-{:02}T", at.month(), at.day())?;
        write!(f, "{:02}:{:02}:{:02}Z", at.hour(), at.minute(), at.second())
    }
}

/// 2^53 - 1: up to this magnitude, an `f64` represents every whole second exactly.
const MAX_NUMERIC_DATE: f64 = 9_007_199_254_740_991.0;

/// Parses a `dateTimeStamp` (XSD 1.1 part 2, sections 3.3.7 and 3.4.28) to seconds since the Unix epoch.
fn date_time_stamp(text: &str) -> Option<i64> {
    let (date, rest) = text.split_once('T')?;
    let (time, offset) = match rest.strip_suffix('Z') {
        Some(time) => (time, 0),
        None => {
            let (time, offset) = rest.split_at_checked(rest.len().checked_sub("+hh:mm".len())?)?;
            (time, seconds_east(offset)?)
        }
    };
    days_since_epoch(date)?.checked_mul(SECONDS_PER_DAY)?.checked_add(seconds_of_day(time)?)?.checked_sub(offset)
}

/// Returns the date at the start of a date or instant if the calendar has no such day, such as `2027-02-30`; `None` if
/// it has, and for a text of any other form.
#[must_use]
pub fn nonexistent_day(text: &str) -> Option<&str> {
    let (day, rest) = text.split_at_checked(DATE_LENGTH)?;
    let has_form = day.bytes().enumerate().all(|(at, byte)| match at {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    (has_form && (rest.is_empty() || rest.starts_with(['T', 't', ' '])) && days_since_epoch(day).is_none())
        .then_some(day)
}

/// Parses a date `YYYY-MM-DD` to days since the Unix epoch. The year may have more digits and a minus sign.
fn days_since_epoch(date: &str) -> Option<i64> {
    let (sign, date) = date.strip_prefix('-').map_or((1, date), |date| (-1, date));
    let (date, day) = date.rsplit_once('-')?;
    let (year, month) = date.rsplit_once('-')?;
    // The year 0 is the one before the year 1.
    let holds = (4..=6).contains(&year.len()) && (year.len() == 4 || !year.starts_with('0'));
    let digits = holds && year.bytes().all(|byte| byte.is_ascii_digit());
    let year: i32 = if digits { year.parse().ok()? } else { return None };
    let date = NaiveDate::from_ymd_opt(year.checked_mul(sign)?, two_digits(month)?, two_digits(day)?)?;
    Some(date.signed_duration_since(NaiveDate::default()).num_days())
}

/// Parses a time `hh:mm:ss`, with or without a fraction, to seconds since midnight. The end of a day may be written as
/// 24:00:00.
fn seconds_of_day(time: &str) -> Option<i64> {
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut parts = clock.split(':');
    let (hour, minute, second) = (two_digits(parts.next()?)?, two_digits(parts.next()?)?, two_digits(parts.next()?)?);
    let is_midnight = hour == 24 && minute == 0 && second == 0 && fraction.bytes().all(|byte| byte == b'0');
    let is_time = hour <= 23 && minute <= 59 && second <= 59 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let whole = parts.next().is_none() && !fraction.is_empty() && (is_time || is_midnight);
    whole.then(|| seconds(hour, minute).saturating_add(second.into()))
}

/// Parses an offset `+hh:mm` or `-hh:mm` of at most 14 hours to seconds.
fn seconds_east(offset: &str) -> Option<i64> {
    let (sign, offset) =
        offset.strip_prefix('+').map(|rest| (1, rest)).or(offset.strip_prefix('-').map(|rest| (-1, rest)))?;
    let (hour, minute) = offset.split_once(':')?;
    let (hour, minute) = (two_digits(hour)?, two_digits(minute)?);
    let holds = hour <= 13 && minute <= 59 || hour == 14 && minute == 0;
    holds.then(|| seconds(hour, minute).saturating_mul(sign))
}

fn seconds(hours: u32, minutes: u32) -> i64 {
    i64::from(hours).saturating_mul(3_600).saturating_add(i64::from(minutes).saturating_mul(60))
}

/// Parses a number of exactly two digits.
fn two_digits(text: &str) -> Option<u32> {
    let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
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

    #[test]
    fn row_102_a_date_time_stamp_that_xsd_does_not_have() {
        let at = |text: &str| Timestamp::parse(text).map(Timestamp::unix).ok();
        let known = at("2026-11-01T00:00:00Z").unwrap();
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-10-31T24:00:00Z", known),
            ("2026-10-31T24:00:00.000Z", known),
            ("2026-11-01T14:00:00+14:00", known),
            ("2026-10-31T10:00:00-14:00", known),
            ("2026-11-01T00:00:00.999999999999999999999Z", known),
            ("2026-11-01T00:00:00-00:00", known),
            ("1969-12-31T23:59:59.5Z", -1),
            ("9999-12-31T24:00:00Z", 253_402_300_800),
            ("10000-01-01T00:00:00Z", 253_402_300_800),
            ("0000-01-01T00:00:00Z", -62_167_219_200),
            ("-0001-12-31T24:00:00Z", -62_167_219_200),
            ("2024-02-29T00:00:00Z", 1_709_164_800),
        ] {
            assert_eq!(at(text), Some(seconds), "{text}");
        }
        for text in [
            "2026-06-30T23:59:60Z",
            "2026-11-01T00:00:60Z",
            "2026-11-01T00:00:00+15:00",
            "2026-11-01T00:00:00+14:01",
            "2026-11-01T00:00:00+23:59",
            "2026-11-01T00:00:00\u{2212}01:00",
            "2026-11-01T00:00:00+0100",
            "2026-11-01T00:00:00+1:00",
            "2026-11-01T24:00:01Z",
            "2026-11-01T24:00:00.1Z",
            "2026-11-01T25:00:00Z",
            "2026-11-01T00:00Z",
            "2026-11-01T00:00:00.Z",
            "2026-11-01T00:00:00,5Z",
            "2026-11-01T00:00:00:00Z",
            "2026-11-01T+1:00:00Z",
            "2026-11-01t00:00:00Z",
            "2026-11-01T00:00:00Z ",
            " 2026-11-01T00:00:00Z",
            "+2026-11-01T00:00:00Z",
            "02026-11-01T00:00:00Z",
            "226-11-01T00:00:00Z",
            "9999999-01-01T00:00:00Z",
            "2026-1-01T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2025-02-29T00:00:00Z",
            "2026-11-31T00:00:00Z",
            "2026-11-00T00:00:00Z",
            "--11-01T00:00:00Z",
            "\u{0662}026-11-01T00:00:00Z",
            "TZ",
            "T",
        ] {
            assert_eq!(Timestamp::parse(text).unwrap_err().code, Code::DateMalformed, "{text}");
        }
    }

    #[test]
    fn what_is_written_can_be_read() {
        for seconds in [0, -1, 253_402_300_800, -62_167_219_201, 8_000_000_000_000, -8_000_000_000_000] {
            let at = Timestamp::from_unix(seconds);
            assert_eq!(Timestamp::parse(&at.to_string()).unwrap(), at, "{at}");
        }
        assert_eq!(Timestamp::from_unix(253_402_300_800).to_string(), "10000-01-01T00:00:00Z");
        assert_eq!(Timestamp::from_unix(-62_167_219_201).to_string(), "-0001-12-31T23:59:59Z");
    }

    #[test]
    fn a_numeric_date_with_a_point_is_the_second_that_it_lies_in() {
        let at = |seconds: f64| Timestamp::from_numeric_date(seconds).map(Timestamp::unix);
        assert_eq!((at(0.9), at(-0.1), at(1_795_971_660.0)), (Some(0), Some(-1), Some(1_795_971_660)));
        for none in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e16, -1e16] {
            assert_eq!(at(none), None);
        }
    }
}
