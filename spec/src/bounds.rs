//! Bounds relative to the day of the request: `today`, `today-18y`, `today+30d` (credential-types.md section 7).

use carnet_core::{
    Problem,
    at_least::{Direction, RelativeDay},
    time::Timestamp,
};
use serde_json::Value;

/// First and last day for which a template's bounds are checked on loading: 2025-01-01 and 2069-12-31. A bound that is
/// in range on both is in range on every day in between.
pub(crate) const CHECKED_DAYS: [Timestamp; 2] =
    [Timestamp::from_unix(1_735_689_600), Timestamp::from_unix(3_155_673_600)];

/// Replaces the relative bounds of a DCQL query with dates, for the day in UTC of `now`.
///
/// # Errors
/// `query_malformed`: a bound begins with `today` and is otherwise malformed; `threshold_invalid`: its date is outside
/// the four-digit years.
pub(crate) fn resolve_bounds(dcql: &Value, now: Timestamp) -> Result<Value, Problem> {
    let mut resolved = dcql.clone();
    let credentials = resolved.get_mut("credentials").and_then(Value::as_array_mut);
    let claims = credentials
        .into_iter()
        .flatten()
        .filter_map(|credential| credential.get_mut("claims").and_then(Value::as_array_mut))
        .flatten();
    for claim in claims {
        for direction in Direction::ALL {
            let Some(bound) = claim.get_mut(direction.query_member()) else { continue };
            if let Some(relative) = bound.as_str().map(RelativeDay::parse).transpose()?.flatten() {
                *bound = relative.date(direction, now)?.into();
            }
        }
    }
    Ok(resolved)
}

#[cfg(test)]
mod tests {
    use carnet_core::Code;
    use serde_json::json;

    use super::*;

    fn resolved(direction: Direction, bound: &str, now: &str) -> Result<Value, Problem> {
        let query = json!({"credentials": [{"claims": [{"path": ["a"], direction.query_member(): bound}]}]});
        let resolved = resolve_bounds(&query, Timestamp::parse(now).unwrap())?;
        Ok(resolved["credentials"][0]["claims"][0][direction.query_member()].clone())
    }

    #[test]
    fn bounds_move_with_the_day_in_utc() {
        for (bound, now, date) in [
            ("today", "2026-11-23T00:00:00Z", "2026-11-23"),
            ("today", "2026-11-23T00:30:00+01:00", "2026-11-22"),
            ("today-18y", "2026-11-23T23:59:59Z", "2008-11-23"),
            ("today+1y", "2026-11-23T12:00:00Z", "2027-11-23"),
            ("today+30d", "2028-01-31T12:00:00Z", "2028-03-01"),
            ("today-1d", "2027-03-01T12:00:00Z", "2027-02-28"),
            ("today-365d", "2026-11-23T12:00:00Z", "2025-11-23"),
            ("2027-01-01", "2026-11-23T12:00:00Z", "2027-01-01"),
            ("B1", "2026-11-23T12:00:00Z", "B1"),
        ] {
            for direction in Direction::ALL {
                assert_eq!(resolved(direction, bound, now).unwrap(), date, "{bound} {now}");
            }
        }
    }

    #[test]
    fn a_day_that_a_year_lacks_lets_nobody_through_early() {
        let leap = "2028-02-29T12:00:00Z";
        // Somebody born on 1 March 2010 is not 18 on 29 February 2028.
        assert_eq!(resolved(Direction::AtMost, "today-18y", leap).unwrap(), "2010-02-28");
        // A credential that must hold for a year more holds on that year's last day.
        assert_eq!(resolved(Direction::AtLeast, "today+1y", leap).unwrap(), "2029-03-01");
        for direction in Direction::ALL {
            assert_eq!(resolved(direction, "today-4y", leap).unwrap(), "2024-02-29");
        }
        // Somebody born on 29 February 2008 is 18 on 1 March 2026, and not the day before.
        assert_eq!(resolved(Direction::AtMost, "today-18y", "2026-02-28T12:00:00Z").unwrap(), "2008-02-28");
        assert_eq!(resolved(Direction::AtMost, "today-18y", "2026-03-01T12:00:00Z").unwrap(), "2008-03-01");
    }

    #[test]
    fn another_form_is_refused() {
        let now = "2026-11-23T12:00:00Z";
        for bad in [
            "today ",
            "today-",
            "today18y",
            "today-18",
            "today-18m",
            "today--18y",
            "today-+18y",
            "today-0y",
            "today-018y",
            "today-123456d",
            "today-1.5y",
            "today-y",
            "todays",
        ] {
            assert_eq!(resolved(Direction::AtLeast, bad, now).unwrap_err().code, Code::QueryMalformed, "{bad}");
        }
        assert_eq!(resolved(Direction::AtLeast, "today+9999y", now).unwrap_err().code, Code::ThresholdInvalid);
        assert_eq!(resolved(Direction::AtLeast, "today-99999d", now).unwrap(), "1753-02-08", "the query refuses it");
    }
}
