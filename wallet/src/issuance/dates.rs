//! Permitted validity dates of issued copies: individual dates would mark the holder (spec/credential-types.md 3.6,
//! 4.10).

use carnet_core::{
    Problem, day,
    epoch::Epoch,
    time::{CLOCK_SKEW, Timestamp},
};

use super::recognisable_copy_problem;

/// Requirement on the validity dates of issued copies.
#[derive(Debug, Clone, Copy)]
pub enum DateRequirement {
    /// Copies of an offer: valid from the epoch of their issuance, until the end stated in the offer, if any, rounded
    /// down.
    Issued {
        /// Time of the first request for the copies.
        since: Timestamp,
        /// End stated in the offer.
        until: Option<Timestamp>,
    },
    /// Copies of a renewal: dates that all credentials with the same earlier end get.
    Renewed {
        /// Time of the request for the renewal.
        since: Timestamp,
        /// End of the validity of the earlier copies; `None`: no end.
        ended: Option<Timestamp>,
        /// Time before that end from which the issuer renews, in days.
        window_days: u32,
    },
    /// Copies of a refill: the dates of the earlier copies, or those rounded down. They are checked elsewhere.
    Unchanged,
    /// Copy from a file: any dates.
    Imported,
}

impl DateRequirement {
    /// Checks that a copy has the dates that all copies of the same epoch have. An issuer without `epoch` is treated as
    /// one that rounds to the day. If it states no epoch or the earlier copies had no end, of a renewal only the start
    /// is checked.
    ///
    /// # Errors
    /// `copy_marked`
    pub(super) fn check(
        self,
        epoch: Option<Epoch>,
        (from, until): (Timestamp, Timestamp),
        now: Timestamp,
    ) -> Result<(), Problem> {
        let rounding = epoch.unwrap_or(Epoch::Day);
        match self {
            Self::Unchanged | Self::Imported => Ok(()),
            Self::Issued { since, until: offered } => {
                check_issued(rounding, since, from, now)?;
                // If rounding leaves no validity at all, the end is that of an offer from before epochs existed.
                let ends = |end| rounding.round_validity(from, end, now).map_or(end, |(_, end)| end);
                if until == offered.map_or_else(|| rounding.start(until), ends) {
                    Ok(())
                } else {
                    Err(recognisable_copy_problem("the copy's last day differs from its offer"))
                }
            }
            Self::Renewed { since, ended, window_days } => match (epoch, ended) {
                (Some(epoch), Some(ended)) => {
                    let window = i64::from(window_days).saturating_mul(day::SECONDS);
                    if from == epoch.renewed_validity(ended, window, 0).0 && epoch.is_start(until) {
                        Ok(())
                    } else {
                        Err(recognisable_copy_problem("the renewed copy's dates differ from those of its cohort"))
                    }
                }
                _ => check_issued(Epoch::Day, since, from, now),
            },
        }
    }
}

/// Checks that a copy is valid from the start of an epoch between the first request and now, both with clock skew.
fn check_issued(epoch: Epoch, since: Timestamp, from: Timestamp, now: Timestamp) -> Result<(), Problem> {
    // The response may have been signed before it was requested again, and clocks may differ.
    let (first, last) = (epoch.start(since.plus(CLOCK_SKEW.saturating_neg())), epoch.start(now.plus(CLOCK_SKEW)));
    if epoch.is_start(from) && (first..=last).contains(&from) {
        return Ok(());
    }
    Err(recognisable_copy_problem("the copy's first day is not the day of its issue"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: &str) -> Timestamp {
        day::parse_start(day).unwrap()
    }

    fn holds(days: DateRequirement, epoch: Option<Epoch>, from: &str, until: &str) -> bool {
        days.check(epoch, (at(from), at(until)), at("2026-11-22T12:00:00Z")).is_ok()
    }

    #[test]
    fn a_first_copy_has_the_days_of_its_epoch_and_of_its_offer() {
        let (month, week) = (Some(Epoch::Month), Some(Epoch::Week));
        let offered =
            |until: &str| DateRequirement::Issued { since: at("2026-11-22T11:00:00Z"), until: Some(at(until)) };
        assert!(holds(offered("2028-02-01"), month, "2026-11-01", "2028-02-01"));
        assert!(holds(offered("2028-02-07"), week, "2026-11-16", "2028-02-07"));
        assert!(holds(offered("2028-02-16"), None, "2026-11-22", "2028-02-16"));
        // The same cases with an individual day each.
        assert!(!holds(offered("2028-02-01"), month, "2026-11-22", "2028-02-01"));
        assert!(!holds(offered("2028-02-01"), month, "2026-10-01", "2028-02-01"));
        assert!(!holds(offered("2028-02-01"), month, "2026-11-01", "2028-01-01"));
        assert!(!holds(offered("2028-02-16"), None, "2026-11-21", "2028-02-16"));
        // Offers without epochs name their own day; the copies have its epoch's unless no validity would be left.
        assert!(holds(offered("2028-02-16"), month, "2026-11-01", "2028-02-01"));
        assert!(!holds(offered("2028-02-16"), month, "2026-11-01", "2028-02-16"));
        assert!(holds(offered("2026-11-28"), month, "2026-11-01", "2026-11-28"));
        let unsaid = DateRequirement::Issued { since: at("2026-11-22"), until: None };
        assert!(holds(unsaid, month, "2026-11-01", "2028-02-01"));
        assert!(!holds(unsaid, month, "2026-11-01", "2028-02-16"));
        // Requested in one epoch and issued in it or the next.
        let asked = DateRequirement::Issued { since: at("2026-10-31"), until: None };
        assert!(holds(asked, month, "2026-10-01", "2028-02-01") && holds(asked, month, "2026-11-01", "2028-02-01"));
    }

    #[test]
    fn a_renewed_copy_has_the_days_of_all_that_ended_with_it() {
        let renewed =
            |ended: &str| DateRequirement::Renewed { since: at("2026-11-22"), ended: Some(at(ended)), window_days: 30 };
        let month = Some(Epoch::Month);
        for ended in ["2026-12-01", "2026-12-13"] {
            assert!(holds(renewed(ended), month, "2026-11-01", "2027-12-01"), "{ended}");
            assert!(!holds(renewed(ended), month, "2026-11-22", "2027-12-01"), "{ended}");
            assert!(!holds(renewed(ended), month, "2026-11-01", "2027-12-02"), "{ended}");
        }
        assert!(!holds(renewed("2026-12-01"), month, "2026-10-01", "2027-12-01"));
        // An issuer without epochs: valid from the day of renewal.
        assert!(holds(renewed("2026-12-13"), None, "2026-11-22", "2027-12-13"));
        assert!(!holds(renewed("2026-12-13"), None, "2026-11-01", "2027-12-13"));
    }
}
