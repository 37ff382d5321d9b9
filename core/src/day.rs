//! Days as people write and read them. A day is a day in UTC, from 00:00:00Z until the next 00:00:00Z: "until
//! 2026-11-30" includes 30 November.
//!
//! An instant in whole seconds is accepted in place of a day. A fraction of a second is refused, not rounded.

use chrono::{DateTime, Datelike as _, Utc};

use crate::{
    Code, Problem,
    time::{DATE_LENGTH, SECONDS_PER_DAY, Timestamp},
};

pub use crate::time::nonexistent_day;

/// Length of a day, in seconds.
pub const SECONDS: i64 = SECONDS_PER_DAY;

/// Parses the start of a period, given as a day or an instant: the first second of the day, or the instant itself.
/// White space around it is ignored.
///
/// # Errors
/// [`Code::DateMalformed`] for any other text, a day that does not exist, and a fraction of a second.
pub fn parse_start(text: &str) -> Result<Timestamp, Problem> {
    parse(text).map(|(at, _)| at)
}

/// Parses the exclusive end of a period, given as a day or an instant: the first second after the day, or the instant
/// itself.
///
/// # Errors
/// As [`parse_start`].
///
/// # Examples
/// ```
/// use carnet_core::day;
///
/// let end = day::parse_end("2026-11-30")?;
/// assert_eq!(end.to_string(), "2026-12-01T00:00:00Z");
/// assert_eq!(day::format_end(end), "2026-11-30");
/// # Ok::<(), carnet_core::Problem>(())
/// ```
pub fn parse_end(text: &str) -> Result<Timestamp, Problem> {
    parse(text).map(|(at, is_day)| if is_day { at.plus(SECONDS) } else { at })
}

/// Parses the inclusive end of a period, given as a day or an instant: the last second of the day, or the
/// instant itself.
///
/// # Errors
/// As [`parse_start`].
pub fn parse_inclusive_end(text: &str) -> Result<Timestamp, Problem> {
    parse(text).map(|(at, is_day)| if is_day { at.plus(SECONDS.saturating_sub(1)) } else { at })
}

/// Returns the instant of a claim that is a date (its first second in UTC) or a `dateTimeStamp` (without its fraction
/// of a second); `None` for any other text.
#[must_use]
pub fn instant_of_claim(text: &str) -> Option<Timestamp> {
    if text.len() == DATE_LENGTH { parse_start(text) } else { Timestamp::parse(text) }.ok()
}

/// Parses a day or an instant. The result is `true` for a day, with its first second.
fn parse(text: &str) -> Result<(Timestamp, bool), Problem> {
    let text = text.trim();
    let is_day = text.len() == DATE_LENGTH;
    let at = if is_day { Timestamp::parse(&format!("{text}T00:00:00Z")) } else { Timestamp::parse(text) };
    match at {
        // Seconds are all that a timestamp has.
        Ok(at) if !text.contains('.') => Ok((at, is_day)),
        _ => Err(Problem::new(Code::DateMalformed, fault(text))),
    }
}

/// Returns the reason why a text is neither a day nor an instant. It names a day that does not exist.
fn fault(text: &str) -> String {
    match nonexistent_day(text) {
        Some(day) => format!("{day} is a day that does not exist"),
        None => {
            "not a day, such as 2026-11-30, nor an instant in whole seconds, such as 2026-11-30T18:00:00Z".to_owned()
        }
    }
}

/// Formats an exclusive end of a period as its last day, such as `2026-11-30` for `2026-12-01T00:00:00Z`; as the
/// instant itself if it is not at midnight.
#[must_use]
pub fn format_end(end: Timestamp) -> String {
    if end == end.start_of_day() { format_last_day(end) } else { end.to_string() }
}

/// Formats an exclusive end of a period as the last day that is at least partly within the period.
#[must_use]
pub fn format_last_day(end: Timestamp) -> String {
    date(end.plus(-1))
}

/// Formats an inclusive end of a period as its last day, such as `2026-11-30` for `2026-11-30T23:59:59Z`; as the
/// instant itself if it is not the last second of a day.
#[must_use]
pub fn format_inclusive_end(last_instant: Timestamp) -> String {
    let end = last_instant.plus(1);
    if end == end.start_of_day() { format_last_day(end) } else { last_instant.to_string() }
}

/// Formats the start of a period as its first day; as the instant itself if it is not at midnight.
#[must_use]
pub fn format_start(start: Timestamp) -> String {
    if start == start.start_of_day() { date(start) } else { start.to_string() }
}

/// Returns the year and month of an instant; `None` outside the supported range of years.
#[must_use]
pub fn year_and_month(at: Timestamp) -> Option<(i32, u8)> {
    let day = DateTime::<Utc>::from_timestamp(at.unix(), 0)?;
    Some((day.year(), u8::try_from(day.month()).ok()?))
}

fn date(at: Timestamp) -> String {
    let text = at.to_string();
    text.split_once('T').map_or(text.clone(), |(date, _)| date.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn the_month_of_an_instant_is_that_in_utc() {
        assert_eq!(year_and_month(at("2026-11-30T23:59:59Z")), Some((2026, 11)));
        assert_eq!(year_and_month(at("2026-12-01T00:30:00+01:00")), Some((2026, 11)));
        assert_eq!(year_and_month(at("1969-12-31T23:59:59Z")), Some((1969, 12)));
        assert_eq!(year_and_month(Timestamp::from_unix(i64::MAX)), None);
    }

    #[test]
    fn a_day_is_included_from_its_first_second_to_its_last() {
        assert_eq!(parse_start("2026-11-30").unwrap(), at("2026-11-30T00:00:00Z"));
        assert_eq!(parse_end("2026-11-30").unwrap(), at("2026-12-01T00:00:00Z"));
        assert_eq!(parse_inclusive_end("2026-11-30").unwrap(), at("2026-11-30T23:59:59Z"));
        assert_eq!(parse_end("2028-02-29").unwrap(), at("2028-03-01T00:00:00Z"));
    }

    #[test]
    fn an_instant_is_kept_to_the_second_in_any_offset() {
        for parse in [parse_start, parse_end, parse_inclusive_end] {
            for text in ["2026-11-30T18:00:01Z", "2026-12-01T08:00:01+14:00", "2026-11-30T07:00:01-11:00"] {
                assert_eq!(parse(text).unwrap(), at("2026-11-30T18:00:01Z"), "{text}");
            }
            for text in ["", "30.11.2026", "2026-11-31", "2026-11-30T18:00:00", "2026-11-30T18:00:00.5Z", "30/11/2026"]
            {
                assert_eq!(parse(text).unwrap_err().code, Code::DateMalformed, "{text}");
            }
        }
    }

    #[test]
    fn a_day_that_does_not_exist_is_told_from_another_form() {
        for text in ["2027-02-30", "2027-02-29", "2026-13-01", "2026-11-31T18:00:00Z", "2026-00-10"] {
            let day = text.get(..10).unwrap();
            for parse in [parse_start, parse_end, parse_inclusive_end] {
                assert_eq!(parse(text).unwrap_err().detail, format!("{day} is a day that does not exist"));
            }
        }
        for text in ["30.02.2027", "2028-02-29T25:00:00Z", "2027-2-30", "2027-02-301", ""] {
            assert!(parse_start(text).unwrap_err().detail.starts_with("not a day"), "{text}");
        }
        assert_eq!((nonexistent_day("2028-02-29"), nonexistent_day("2028-02-29T00:00:00Z")), (None, None), "the twin");
    }

    #[test]
    fn a_claim_is_a_date_or_it_is_none() {
        for (claim, seconds) in [
            ("2028-02-29", Some("2028-02-29T00:00:00Z")),
            ("2028-02-29T23:59:59.5+01:00", Some("2028-02-29T22:59:59Z")),
            ("2028-02-30", None),
            ("PT-1234567", None),
            ("unrestricted", None),
            ("", None),
        ] {
            assert_eq!(instant_of_claim(claim), seconds.map(at), "{claim}");
        }
    }

    #[test]
    fn what_was_typed_is_what_is_shown() {
        for day in ["2026-11-30", "2026-12-31", "2028-02-29", "1970-01-01", "1969-12-31"] {
            assert_eq!(format_end(parse_end(day).unwrap()), day);
            assert_eq!(format_start(parse_start(day).unwrap()), day);
        }
        assert_eq!(format_end(at("2026-11-30T18:00:00Z")), "2026-11-30T18:00:00Z");
        assert_eq!(format_end(parse_inclusive_end("2026-11-30").unwrap()), "2026-11-30T23:59:59Z");
        assert_eq!(format_last_day(at("2026-11-30T18:00:00Z")), "2026-11-30");
        assert_eq!(format_start(at("2026-11-30T00:00:01Z")), "2026-11-30T00:00:01Z");
    }
}
