//! Numbers of threshold proofs: conversion of claims and thresholds, and their hexadecimal digits.

use std::fmt;

use serde_json::Value;

use super::{Direction, chain::DIGITS};
use crate::{Code, Problem, day, json, time::Timestamp};

/// Greatest number that a claim or a threshold can have; as a day, it is 2079-06-06.
pub const MAX_VALUE: u32 = 65_535;

/// Number of days from 1900-01-01 to 1970-01-01.
const EPOCH: i64 = 25_567;
/// Levels of the Common European Framework of Reference for Languages, lowest first. The first counts as 1.
const CEFR: [&str; 6] = ["A1", "A2", "B1", "B2", "C1", "C2"];

/// Claim or threshold as a number from 0 to 65,535: days since 1900-01-01, a CEFR level, or a plain number such as
/// credits (spec/at-least.md 1).
///
/// It may be a claim's value, so `Debug` does not print it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OrderedValue(u16);

impl OrderedValue {
    /// Returns the number.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }

    /// Converts a claim's value: a date, an instant (the last day in UTC that begins before it, so that 00:00:00
    /// belongs to the day before), a CEFR level, or a number. A fraction is rounded down for at-least and up for
    /// at-most. A number above the range becomes 65,535 for at-least, and one below it 0 for at-most; every proof then
    /// stays true (spec/at-least.md 1.1, 1.3).
    ///
    /// # Errors
    /// `threshold_invalid` for a number above the range for at-most or below it for at-least, and for a value that is
    /// neither a text nor a number; `date_malformed` for a text that is neither a date, an instant nor a level.
    pub fn from_claim(direction: Direction, value: &Value) -> Result<Self, Problem> {
        match value {
            Value::String(text) if text.len() > 10 => clamped(direction, days(last_day(text)?)),
            Value::String(text) => match level(text) {
                Some(level) => Ok(level),
                None => clamped(direction, days(midnight(text)?)),
            },
            Value::Number(number) => {
                let number = json::as_integer(value).or_else(|| {
                    let number = number.as_f64()?;
                    let rounded = match direction {
                        Direction::AtLeast => number.floor(),
                        Direction::AtMost => number.ceil(),
                    };
                    // The cast saturates at the ends of i64.
                    Some(rounded as i64)
                });
                clamped(direction, number.ok_or_else(out_of_range)?)
            }
            other => Self::from_threshold(other),
        }
    }

    /// Returns the number that older credentials commit to for an instant, the day that contains it, if that differs
    /// from the one of [`Self::from_claim`]; `None` if it does not, and for other values.
    pub(crate) fn from_legacy_claim(direction: Direction, value: &Value) -> Option<Self> {
        let text = value.as_str().filter(|text| text.len() > 10)?;
        let number = of_day(Timestamp::parse(text).ok()?).ok()?;
        (Self::from_claim(direction, value).ok()? != number).then_some(number)
    }

    /// Converts the threshold of a query: a date, a CEFR level, or an integer.
    ///
    /// # Errors
    /// `threshold_invalid` if it is negative, above 65,535, a fraction, a date before 1900-01-01 or after 2079-06-06,
    /// or neither a text nor a number; `date_malformed` for a text that is neither a date nor a level.
    pub fn from_threshold(value: &Value) -> Result<Self, Problem> {
        match value {
            Value::String(text) => level(text).map_or_else(|| days_since_1900(text), Ok),
            Value::Number(_) => json::as_integer(value).ok_or_else(out_of_range)?.try_into(),
            _ => Err(Problem::new(Code::ThresholdInvalid, "neither a date, a level nor a number")),
        }
    }
}

impl From<u16> for OrderedValue {
    fn from(number: u16) -> Self {
        Self(number)
    }
}

impl TryFrom<i64> for OrderedValue {
    type Error = Problem;

    /// Converts an integer.
    ///
    /// # Errors
    /// `threshold_invalid` if it is negative or above 65,535.
    fn try_from(number: i64) -> Result<Self, Problem> {
        u16::try_from(number).map(Self).map_err(|_| out_of_range())
    }
}

impl fmt::Debug for OrderedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ordered(..)")
    }
}

fn level(text: &str) -> Option<OrderedValue> {
    (1..).zip(CEFR).find(|(_, level)| *level == text).map(|(level, _)| OrderedValue(level))
}

/// Converts a number. One above the range becomes 65,535 for at-least, and one below it 0 for at-most: every threshold
/// in the range that can then be proved is true.
///
/// # Errors
/// `threshold_invalid` for a number outside the range on the other side.
fn clamped(direction: Direction, number: i64) -> Result<OrderedValue, Problem> {
    match (u16::try_from(number), direction) {
        (Ok(number), _) => Ok(OrderedValue(number)),
        (Err(_), Direction::AtLeast) if number > 0 => Ok(OrderedValue(u16::MAX)),
        (Err(_), Direction::AtMost) if number < 0 => Ok(OrderedValue(0)),
        (Err(_), _) => Err(out_of_range()),
    }
}

fn out_of_range() -> Problem {
    Problem::new(Code::ThresholdInvalid, "not a whole number from 0 to 65,535")
}

/// Returns the number of days from 1900-01-01 to a date `YYYY-MM-DD`.
///
/// # Errors
/// `date_malformed` if there is no such date; `threshold_invalid` if it is before 1900-01-01 or after 2079-06-06.
pub fn days_since_1900(date: &str) -> Result<OrderedValue, Problem> {
    of_day(midnight(date)?)
}

/// Returns the first second of a date `YYYY-MM-DD` in UTC.
///
/// # Errors
/// `date_malformed`
fn midnight(date: &str) -> Result<Timestamp, Problem> {
    let malformed = || match day::nonexistent_day(date) {
        Some(day) => Problem::new(Code::DateMalformed, format!("{day} is a day that does not exist")),
        None => Problem::new(Code::DateMalformed, "not a date of the form YYYY-MM-DD"),
    };
    if date.len() != "YYYY-MM-DD".len() {
        return Err(malformed());
    }
    Timestamp::parse(&format!("{date}T00:00:00Z")).map_err(|_| malformed())
}

/// Returns an instant in the last day in UTC that begins before the given instant: a credential that ends at 00:00:00
/// ends with the day before.
///
/// # Errors
/// `date_malformed`
fn last_day(text: &str) -> Result<Timestamp, Problem> {
    let at = Timestamp::parse(text)?;
    // Seconds are whole here; an end within the first second of a day belongs to that day.
    let fraction = text.split_once('.').map_or("", |(_, rest)| rest);
    let begun = fraction.bytes().take_while(u8::is_ascii_digit).any(|digit| digit != b'0');
    Ok(if begun { at } else { at.plus(-1) })
}

/// Returns the date, `YYYY-MM-DD`, that is this number of days after 1900-01-01.
#[must_use]
pub fn date_of(days: OrderedValue) -> String {
    let days = i64::from(days.0).saturating_sub(EPOCH);
    let mut text = Timestamp::from_unix(days.saturating_mul(day::SECONDS)).to_string();
    text.truncate("YYYY-MM-DD".len());
    text
}

fn days(at: Timestamp) -> i64 {
    at.unix().div_euclid(day::SECONDS).saturating_add(EPOCH)
}

fn of_day(at: Timestamp) -> Result<OrderedValue, Problem> {
    OrderedValue::try_from(days(at))
        .map_err(|_| Problem::new(Code::ThresholdInvalid, "the date is before 1900-01-01 or after 2079-06-06"))
}

/// Returns the number that the hash chains encode: for at-least the value itself, for at-most 65,535 minus the value,
/// so that one construction serves both (spec/at-least.md 1.4).
pub(super) const fn chain_number(direction: Direction, value: OrderedValue) -> OrderedValue {
    match direction {
        Direction::AtLeast => value,
        Direction::AtMost => OrderedValue(!value.0),
    }
}

/// Returns the hexadecimal digits, each preceded by its place (3 to 0), most significant first.
pub(super) fn digits(value: OrderedValue) -> [(u8, u8); DIGITS] {
    let [high, low] = value.0.to_be_bytes();
    [(3, high >> 4), (2, high & 15), (1, low >> 4), (0, low & 15)]
}

/// Returns whether no hexadecimal digit of `value` is below the same digit of `threshold`.
pub(super) fn dominates(value: OrderedValue, threshold: OrderedValue) -> bool {
    digits(value).iter().zip(digits(threshold)).all(|((_, digit), (_, least))| *digit >= least)
}

/// Returns the lesser of the value and the greatest number that differs from the threshold only in the last hexadecimal
/// digit.
pub(super) fn reached_in_block(value: OrderedValue, threshold: OrderedValue) -> OrderedValue {
    value.min(OrderedValue(threshold.0 | 0x000f))
}

/// Returns the dominating values with their indexes: the value itself (0), and for each place from 1 to 3 with a digit
/// above zero the value with that digit lowered by one and all lower digits fifteen. A place whose lower digits are all
/// fifteen already is left out. Each number up to the value is dominated by at least one of them, and no greater number
/// by any.
pub(super) fn dominating_values(value: OrderedValue) -> impl Iterator<Item = (u8, OrderedValue)> {
    let lowered = (1..).zip([0x000f, 0x00ff, 0x0fff]).filter_map(move |(entry, lower)| {
        let [kept, rest] = [value.0 & !lower, value.0 & lower];
        let digit = digits(value).iter().any(|(place, digit)| *place == entry && *digit > 0);
        // With all lower digits at fifteen the value itself dominates that much.
        (digit && rest != lower).then(|| (entry, OrderedValue(kept.wrapping_sub(1))))
    });
    std::iter::once((0, value)).chain(lowered)
}
