//! Publication times of status changes that are not urgent (spec/status.md 4.7).

use carnet_core::{day, time::Timestamp};

/// Times of day, in seconds since midnight (UTC), in ascending order; empty: all changes are published at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PublicationTimes(Vec<i64>);

impl PublicationTimes {
    /// Creates the times from seconds of the day, in any order.
    pub(crate) fn new(mut seconds: Vec<i64>) -> Self {
        seconds.sort_unstable();
        seconds.dedup();
        Self(seconds)
    }

    /// Parses `HH:MM`, and returns the second of the day; `None` for any other text.
    pub(crate) fn parse_time_of_day(text: &str) -> Option<i64> {
        let (hours, minutes) = text.split_once(':')?;
        let number = |digits: &str, below: i64| {
            let plain = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse::<i64>().ok().filter(|number| plain && *number < below)
        };
        Some(number(hours, 24)?.saturating_mul(3_600).saturating_add(number(minutes, 60)?.saturating_mul(60)))
    }

    /// Returns the last publication time at or before `now`: changes that are pending since before it are due. Without
    /// publication times, a time in the far future: all changes are due.
    pub(crate) fn last_at_or_before(&self, now: Timestamp) -> Timestamp {
        let today = now.start_of_day();
        let times =
            [today.plus(-day::SECONDS), today].into_iter().flat_map(|day| self.0.iter().map(move |at| day.plus(*at)));
        times.filter(|at| *at <= now).max().unwrap_or(Timestamp::from_unix(i64::MAX))
    }

    /// Returns the first publication time after `now`; `None` without publication times.
    pub(crate) fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        let today = now.start_of_day();
        let times =
            [today, today.plus(day::SECONDS)].into_iter().flat_map(|day| self.0.iter().map(move |at| day.plus(*at)));
        times.filter(|at| *at > now).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn the_last_and_the_next_set_time_of_any_instant() {
        let times = PublicationTimes::new([64_800, 21_600, 21_600].to_vec());
        for (now, last, next) in [
            ("2026-11-22T05:59:59Z", "2026-11-21T18:00:00Z", "2026-11-22T06:00:00Z"),
            ("2026-11-22T06:00:00Z", "2026-11-22T06:00:00Z", "2026-11-22T18:00:00Z"),
            ("2026-11-22T18:00:01Z", "2026-11-22T18:00:00Z", "2026-11-23T06:00:00Z"),
        ] {
            assert_eq!(
                (times.last_at_or_before(at(now)), times.next_after(at(now))),
                (at(last), Some(at(next))),
                "{now}"
            );
        }
        let none = PublicationTimes::default();
        assert_eq!(none.next_after(at("2026-11-22T06:00:00Z")), None);
        assert!(none.last_at_or_before(at("2026-11-22T06:00:00Z")) > at("9999-01-01T00:00:00Z"));
    }

    #[test]
    fn a_time_of_day_is_written_in_one_way() {
        assert_eq!(PublicationTimes::parse_time_of_day("23:59"), Some(86_340));
        for wrong in ["24:00", "6:00", "06:60", "+6:00", "06:0", "0600", "06:00:00", ""] {
            assert_eq!(PublicationTimes::parse_time_of_day(wrong), None, "{wrong}");
        }
    }
}
