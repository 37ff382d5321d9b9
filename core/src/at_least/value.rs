//! Ordered numbers of threshold proofs: conversion of claims and thresholds, and their base-16 digits.

use std::fmt;

use serde_json::Value;

use super::{Direction, chain::DIGITS};
use crate::{Code, Problem, day, json, time::Timestamp};

/// Greatest number that can be compared; as a day, it is 2079-06-06.
pub const MAX: u32 = 65_535;

/// From 1900-01-01 to 1970-01-01, in days.
const EPOCH: i64 = 25_567;
/// The levels of the Common European Framework of Reference for languages, from the first, which is 1.
const CEFR: [&str; 6] = ["A1", "A2", "B1", "B2", "C1", "C2"];

/// A value or a threshold as a number from 0 to 65,535: days since 1900-01-01, a CEFR level, or a plain number such as
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

    /// Converts a claim's value: a date, an instant (rounded up to the day in UTC at whose end it has passed), a CEFR
    /// level, or a number. A fraction, and a number outside the range, is rounded so that every proof stays true: down
    /// for at least, up for at most (spec/at-least.md 1.1).
    ///
    /// # Errors
    /// `threshold_invalid` if it is outside the range on the side where no proof could be true, or is of a kind without
    /// an order; `date_malformed` for a text that is neither a date, an instant nor a level.
    pub fn of_claim(direction: Direction, value: &Value) -> Result<Self, Problem> {
        match value {
            Value::String(text) if text.len() > 10 => clamped(direction, days(last_day(text)?)),
            Value::String(text) => match level(text) {
                Some(level) => Ok(level),
                None => clamped(direction, days(midnight(text)?)),
            },
            Value::Number(number) => {
                let number = json::integer(value).or_else(|| {
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
            other => Self::of_threshold(other),
        }
    }

    /// Returns the number that older credentials have for an instant, the day that contains it, if that differs from
    /// [`Self::of_claim`].
    pub(crate) fn of_claim_in_older_credentials(direction: Direction, value: &Value) -> Option<Self> {
        let text = value.as_str().filter(|text| text.len() > 10)?;
        let number = of_day(Timestamp::parse(text).ok()?).ok()?;
        (Self::of_claim(direction, value).ok()? != number).then_some(number)
    }

    /// Converts the threshold of a query: a date, a CEFR level, or an integer.
    ///
    /// # Errors
    /// `threshold_invalid` if it is negative, above 65,535, a fraction, or neither a text nor a number;
    /// `date_malformed` for a text that is neither a date nor a level.
    pub fn of_threshold(value: &Value) -> Result<Self, Problem> {
        match value {
            Value::String(text) => level(text).map_or_else(|| days_since_1900(text), Ok),
            Value::Number(_) => json::integer(value).ok_or_else(out_of_range)?.try_into(),
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

/// Clamps a number outside the range to the end at which every true threshold in range stays true; beyond the other
/// end there is no such number.
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

/// The beginning of a date `YYYY-MM-DD` in UTC.
fn midnight(date: &str) -> Result<Timestamp, Problem> {
    let malformed = || match day::missing_day(date) {
        Some(day) => Problem::new(Code::DateMalformed, format!("{day} is a day that does not exist")),
        None => Problem::new(Code::DateMalformed, "not a date of the form YYYY-MM-DD"),
    };
    if date.len() != "YYYY-MM-DD".len() {
        return Err(malformed());
    }
    Timestamp::parse(&format!("{date}T00:00:00Z")).map_err(|_| malformed())
}

/// Returns an instant of the last day in UTC that begins before a given one: a credential that ends at 00:00 ends
/// with the day before.
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

/// The number that the chains are made for: mirrored for at most, which turns it into at least.
pub(super) const fn chained(direction: Direction, value: OrderedValue) -> OrderedValue {
    match direction {
        Direction::AtLeast => value,
        Direction::AtMost => OrderedValue(!value.0),
    }
}

/// The digits in base 16 with their places, most significant first.
pub(super) fn digits(value: OrderedValue) -> [(u8, u8); DIGITS] {
    let [high, low] = value.0.to_be_bytes();
    [(3, high >> 4), (2, high & 15), (1, low >> 4), (0, low & 15)]
}

/// Returns whether every digit is at least the other's.
pub(super) fn dominates(value: OrderedValue, threshold: OrderedValue) -> bool {
    digits(value).iter().zip(digits(threshold)).all(|((_, digit), (_, least))| *digit >= least)
}

/// Returns the greatest number that the value dominates or is, among those that differ from a threshold in the last
/// digit alone.
pub(super) fn reached_in_block(value: OrderedValue, threshold: OrderedValue) -> OrderedValue {
    value.min(OrderedValue(threshold.0 | 0x000f))
}

/// Returns the value itself, and for each digit that can be lowered by one the highest number below that. One of
/// these dominates every number that does not exceed the value, and no other.
pub(super) fn dominating(value: OrderedValue) -> impl Iterator<Item = (u8, OrderedValue)> {
    let lowered = (1..).zip([0x000f, 0x00ff, 0x0fff]).filter_map(move |(entry, lower)| {
        let [kept, rest] = [value.0 & !lower, value.0 & lower];
        let digit = digits(value).iter().any(|(place, digit)| *place == entry && *digit > 0);
        // With all lower digits at fifteen the value itself dominates that much.
        (digit && rest != lower).then(|| (entry, OrderedValue(kept.wrapping_sub(1))))
    });
    std::iter::once((0, value)).chain(lowered)
}
