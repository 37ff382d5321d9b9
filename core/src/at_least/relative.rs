//! Thresholds relative to the day of the request: `today`, `today-18y`, `today+30d`.

use super::Direction;
use crate::{Code, Problem, day, time::Timestamp};

/// Prefix of every relative day.
const TODAY: &str = "today";

/// Maximum number of digits of a count of days or years. It keeps the date arithmetic in range.
const MAX_DIGITS: usize = 5;

/// Day relative to the current one, such as `today-18y` (spec/credential-types.md section 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelativeDay(Distance);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Distance {
    Days(i64),
    Years(i64),
}

impl RelativeDay {
    /// Parses `today`, or `today` with a sign, a count of up to five digits without leading zeros, and `d` (days) or
    /// `y` (years). `None` for a text that does not begin with `today`.
    ///
    /// # Errors
    /// `query_malformed`: it begins with `today` and is otherwise malformed.
    pub fn parse(text: &str) -> Result<Option<Self>, Problem> {
        if !text.starts_with(TODAY) {
            return Ok(None);
        }
        Self::of(text).map(Some).ok_or_else(|| {
            Problem::new(Code::QueryMalformed, format!("\"{text}\" is not today, today-<n>y, today+<n>d or the like"))
        })
    }

    fn of(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(TODAY)?;
        if rest.is_empty() {
            return Some(Self(Distance::Days(0)));
        }
        let (sign, rest) = match rest.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, rest.strip_prefix('+')?),
        };
        let (digits, unit): (&str, fn(i64) -> Distance) = match rest.strip_suffix('y') {
            Some(digits) => (digits, Distance::Years),
            None => (rest.strip_suffix('d')?, Distance::Days),
        };
        let plain = (1..=MAX_DIGITS).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        let count: i64 = digits.parse().ok().filter(|_| plain && !digits.starts_with('0'))?;
        Some(Self(unit(count.saturating_mul(sign))))
    }

    /// Returns the date, `YYYY-MM-DD`, for the day in UTC that `now` falls on. Years keep month and day. If the
    /// resulting year has no 29 February, the stricter neighbour is used: 1 March for at-least, 28 February for
    /// at-most.
    ///
    /// # Errors
    /// `threshold_invalid`: the result is outside the years 0000 to 9999.
    pub fn date(self, direction: Direction, now: Timestamp) -> Result<String, Problem> {
        let outside = || Problem::new(Code::ThresholdInvalid, "the bound is outside the years 0000 to 9999");
        let day_of = |at: Timestamp| {
            let text = at.to_string();
            text.split_once('T').map(|(day, _)| day.to_owned()).filter(|day| day.len() == "YYYY-MM-DD".len())
        };
        match self.0 {
            Distance::Days(days) => day_of(now.plus(days.saturating_mul(day::SECONDS))).ok_or_else(outside),
            Distance::Years(years) => {
                let today = day_of(now).ok_or_else(outside)?;
                let (year, day) = today.split_once('-').ok_or_else(outside)?;
                let year = year.parse::<i64>().map_err(|_| outside())?.saturating_add(years);
                if !(0..=9999).contains(&year) {
                    return Err(outside());
                }
                let exists = Timestamp::parse(&format!("{year:04}-{day}T00:00:00Z")).is_ok();
                let day = match direction {
                    _ if exists => day,
                    Direction::AtLeast => "03-01",
                    Direction::AtMost => "02-28",
                };
                Ok(format!("{year:04}-{day}"))
            }
        }
    }
}
