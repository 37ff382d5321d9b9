//! The numbers that are compared: what a claim or a threshold comes to, and the digits of it.

use std::fmt;

use serde_json::Value;

use super::{Direction, chain::DIGITS};
use crate::{Code, Problem, json, time::Timestamp};

/// The highest number that can be compared; as a day it is 2079-06-06.
pub const MAX: u32 = 65_535;

/// From 1900-01-01 to 1970-01-01, in days.
const EPOCH: i64 = 25_567;
const SECONDS_OF_DAY: i64 = 86_400;

/// The levels of the Common European Framework of Reference for languages, from the first, which is 1.
const CEFR: [&str; 6] = ["A1", "A2", "B1", "B2", "C1", "C2"];

/// A value or a threshold as a number from 0 to 65,535: days since 1900-01-01, a level, credits
/// (spec/at-least.md 1).
///
/// It may be a claim's value, so `Debug` does not print it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ordered(u16);

impl Ordered {
    /// The number itself.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }

    /// What a claim's value comes to: a date or the day in UTC of an instant, a CEFR level, or a number. A
    /// fraction is rounded to the side that keeps every proof true: down for at least, up for at most.
    ///
    /// # Errors
    /// `threshold_invalid` if it is outside the range, or nothing that has an order here;
    /// `date_malformed` for a text that is neither a date, an instant nor a level.
    pub fn of_claim(direction: Direction, value: &Value) -> Result<Self, Problem> {
        match value {
            Value::String(text) if text.len() > 10 => of_day(Timestamp::parse(text)?),
            Value::Number(number) if json::whole(value).is_none() => {
                let number = number.as_f64().ok_or_else(out_of_range)?;
                let number = match direction {
                    Direction::AtLeast => number.floor(),
                    Direction::AtMost => number.ceil(),
                };
                if !(0.0..=f64::from(u16::MAX)).contains(&number) {
                    return Err(out_of_range());
                }
                Self::try_from(number as i64)
            }
            other => Self::of_threshold(other),
        }
    }

    /// What a query's threshold comes to: a date, a CEFR level, or a whole number.
    ///
    /// # Errors
    /// `threshold_invalid` if it is negative, above 65,535, a fraction, or neither a text nor a number;
    /// `date_malformed` for a text that is neither a date nor a level.
    pub fn of_threshold(value: &Value) -> Result<Self, Problem> {
        match value {
            Value::String(text) => match (1..).zip(CEFR).find(|(_, level)| level == text) {
                Some((level, _)) => Ok(Self(level)),
                None => days_since_1900(text),
            },
            Value::Number(_) => json::whole(value).ok_or_else(out_of_range)?.try_into(),
            _ => Err(Problem::new(Code::ThresholdInvalid, "neither a date, a level nor a number")),
        }
    }
}

impl From<u16> for Ordered {
    fn from(number: u16) -> Self {
        Self(number)
    }
}

impl TryFrom<i64> for Ordered {
    type Error = Problem;

    /// `threshold_invalid` if it is negative or above 65,535.
    fn try_from(number: i64) -> Result<Self, Problem> {
        u16::try_from(number).map(Self).map_err(|_| out_of_range())
    }
}

impl fmt::Debug for Ordered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ordered(..)")
    }
}

fn out_of_range() -> Problem {
    Problem::new(Code::ThresholdInvalid, "not a whole number from 0 to 65,535")
}

/// Days since 1900-01-01, which is 0, for a date `YYYY-MM-DD`.
///
/// # Errors
/// `date_malformed` if there is no such date; `threshold_invalid` if it is before 1900-01-01 or after
/// 2079-06-06.
pub fn days_since_1900(date: &str) -> Result<Ordered, Problem> {
    let malformed = || Problem::new(Code::DateMalformed, "not a date of the form YYYY-MM-DD");
    if date.len() != "YYYY-MM-DD".len() {
        return Err(malformed());
    }
    of_day(Timestamp::parse(&format!("{date}T00:00:00Z")).map_err(|_| malformed())?)
}

/// The date `YYYY-MM-DD` that is so many days after 1900-01-01.
#[must_use]
pub fn date_of(days: Ordered) -> String {
    let days = i64::from(days.0).saturating_sub(EPOCH);
    let mut text = Timestamp::from_unix(days.saturating_mul(SECONDS_OF_DAY)).to_string();
    text.truncate("YYYY-MM-DD".len());
    text
}

fn of_day(at: Timestamp) -> Result<Ordered, Problem> {
    let days = at.unix().div_euclid(SECONDS_OF_DAY).saturating_add(EPOCH);
    Ordered::try_from(days)
        .map_err(|_| Problem::new(Code::ThresholdInvalid, "the date is before 1900-01-01 or after 2079-06-06"))
}

/// The number that the chains are made for: mirrored for at most, which turns it into at least.
pub(super) const fn chained(direction: Direction, value: Ordered) -> Ordered {
    match direction {
        Direction::AtLeast => value,
        Direction::AtMost => Ordered(!value.0),
    }
}

/// The digits in base 16 with their places, most significant first.
pub(super) fn digits(value: Ordered) -> [(u8, u8); DIGITS] {
    let [high, low] = value.0.to_be_bytes();
    [(3, high >> 4), (2, high & 15), (1, low >> 4), (0, low & 15)]
}

/// Whether every digit is at least the other's.
pub(super) fn dominates(value: Ordered, threshold: Ordered) -> bool {
    digits(value).iter().zip(digits(threshold)).all(|((_, digit), (_, least))| *digit >= least)
}

/// The value itself, and for each digit that can be lowered by one the highest number below that: whatever
/// does not exceed the value is dominated by one of these, and nothing else is.
pub(super) fn dominating(value: Ordered) -> impl Iterator<Item = (u8, Ordered)> {
    let lowered = (1..).zip([0x000f, 0x00ff, 0x0fff]).filter_map(move |(entry, lower)| {
        let [kept, rest] = [value.0 & !lower, value.0 & lower];
        let digit = digits(value).iter().any(|(place, digit)| *place == entry && *digit > 0);
        // With all lower digits at fifteen the value itself dominates that much.
        (digit && rest != lower).then(|| (entry, Ordered(kept.wrapping_sub(1))))
    });
    std::iter::once((0, value)).chain(lowered)
}
