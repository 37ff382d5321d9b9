//! Renewal rules of a credential type.

use std::collections::BTreeMap;

use carnet_core::{day, epoch::Epoch, time::Timestamp};
use carnet_service::config::{StartError, invalid_field};
use carnet_spec::{Catalogue, CredentialType};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::cohorts::CohortPolicy;
use crate::error::Error;

/// Renewal rules of a credential type, with times in seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RenewalTerms {
    /// Time before its expiry from which a credential is renewable, in seconds.
    pub(crate) window_seconds: i64,
    /// Time by which a renewal extends the validity, in seconds.
    pub(crate) extension_seconds: i64,
    /// Maximum number of renewals of a credential.
    pub(crate) most: u32,
    /// Epoch to whose start the dates of copies of the type are rounded down.
    pub(crate) epoch: Epoch,
}

/// Renewal rules of a credential type as configured in `[renewal.TYPE]`. A type without rules is not renewable.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RenewalPolicy {
    /// Time before its expiry from which a credential is renewable, in days.
    #[serde(default = "default_window")]
    pub(crate) window_days: u32,
    /// Time by which a renewal extends the validity, in days.
    pub(crate) days: u32,
    /// Maximum number of renewals of a credential; then a new offer is needed.
    #[serde(default = "default_most")]
    pub(crate) most: u32,
    /// `true` if staff must approve each renewal.
    #[serde(default)]
    pub(crate) approval: bool,
    /// Claims with dates that a renewal extends by the same time, such as the end of a permit.
    #[serde(default)]
    pub(crate) moves: Vec<String>,
}

const fn default_window() -> u32 {
    30
}
const fn default_most() -> u32 {
    1
}

impl RenewalPolicy {
    /// Returns the first fault of the rules, as a phrase that follows their name; `None` if they are valid. `known`:
    /// the credential type, `None` if the catalogue does not have it.
    fn fault(&self, known: Option<&CredentialType>, cohorts: &CohortPolicy) -> Option<String> {
        let Some(known) = known else { return Some("is not a type of the catalogue".to_owned()) };
        if let Some(drawn) = known.generated_claims.first() {
            // A redeemer that counts uses by it forgets them after the first end (spec/entitlement.md 1.4).
            return Some(format!("renews a type whose {drawn} must not be issued again with a later end"));
        }
        for (field, value, most) in
            [("window_days", self.window_days, 366), ("days", self.days, 3_660), ("most", self.most, 100)]
        {
            if value == 0 || value > most {
                return Some(format!("has {field} = {value}, and it must be from 1 to {most}"));
            }
        }
        let epoch = cohorts.epoch_of(&known.name);
        if i64::from(self.days) < epoch.max_days() {
            let (days, least) = (self.days, epoch.max_days());
            return Some(format!(
                "has days = {days}, and ends are rounded down to the {epoch}: fewer than {least} days might not \
                 extend a credential"
            ));
        }
        let example = known.example_claims();
        let is_date =
            |name: &String| example.get(name).and_then(Value::as_str).is_some_and(|text| moved_date(text, 1).is_some());
        self.moves
            .iter()
            .find(|name| !is_date(name))
            .map(|name| format!("moves {name}, which is not a date of this type"))
    }

    /// Returns the rules with times in seconds, and the epoch of the credential type.
    pub(crate) fn terms(&self, epoch: Epoch) -> RenewalTerms {
        RenewalTerms {
            window_seconds: i64::from(self.window_days).saturating_mul(day::SECONDS),
            extension_seconds: i64::from(self.days).saturating_mul(day::SECONDS),
            most: self.most,
            epoch,
        }
    }

    /// Returns the claims of the renewed credential: configured dates are moved by the time of the renewal, absent ones
    /// are skipped.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if such a claim is not a date.
    pub(crate) fn extend_dates(&self, mut claims: Map<String, Value>) -> Result<Map<String, Value>, Error> {
        for name in &self.moves {
            let Some(claim) = claims.get_mut(name) else { continue };
            let moved = claim.as_str().and_then(|text| moved_date(text, self.days));
            *claim = moved.map(Value::String).ok_or(Error::Corrupt("claims"))?;
        }
        Ok(claims)
    }
}

/// Returns the error for the first renewal policy with a fault; `None` if all are valid.
pub(crate) fn first_fault(
    policies: &BTreeMap<String, RenewalPolicy>,
    cohorts: &CohortPolicy,
    catalogue: &Catalogue,
) -> Option<StartError> {
    let fault = |(name, policy): (&String, &RenewalPolicy)| {
        let fault = policy.fault(catalogue.credential_type(name), cohorts)?;
        Some(invalid_field(format!("renewal.{name}"), format!("renewal.{name} {fault}")))
    };
    policies.iter().find_map(fault)
}

/// Moves a date, or a time that starts with a date, by this number of days; `None` for other texts, or a year of more
/// than four digits.
fn moved_date(text: &str, days: u32) -> Option<String> {
    let (date, rest) = text.split_at_checked(10)?;
    let at = Timestamp::parse(&format!("{date}T00:00:00Z")).ok()?;
    let moved = at.plus(i64::from(days).saturating_mul(day::SECONDS)).to_string();
    // A year of five digits would no longer have the same format.
    let date = moved.strip_suffix("T00:00:00Z").filter(|date| date.len() == 10)?;
    Some(format!("{date}{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_moves_and_keeps_its_form() {
        for (before, days, after) in [
            ("2028-02-29", 365, "2029-02-28"),
            ("2028-02-29T23:59:59+01:00", 366, "2029-03-01T23:59:59+01:00"),
            ("2026-12-31T00:00:00Z", 1, "2027-01-01T00:00:00Z"),
        ] {
            assert_eq!(moved_date(before, days).as_deref(), Some(after));
        }
        for none in ["", "soon", "2026-13-01", "2026-1-1", "unrestricted", "9999-12-31T"] {
            assert_eq!(moved_date(none, 1), None, "{none}");
        }
    }

    #[test]
    fn a_policy_that_cannot_be_kept_is_refused() {
        let catalogue = Catalogue::embedded().unwrap();
        let fault = |kind: &str, text: &str| {
            let policy: RenewalPolicy = toml::from_str(text).unwrap();
            first_fault(&[(kind.to_owned(), policy)].into(), &CohortPolicy::default(), &catalogue)
        };
        let permit = "ResidencePermitCredential";
        assert_eq!(fault(permit, "days = 365\nmoves = [\"validUntil\"]"), None);
        assert_eq!(fault(permit, "days = 31"), None);
        for (kind, text) in [
            ("NoSuchCredential", "days = 365"),
            (permit, "days = 0"),
            (permit, "days = 3661"),
            (permit, "days = 30"),
            (permit, "days = 31\nwindow_days = 0"),
            (permit, "days = 31\nmost = 101"),
            (permit, "days = 31\nmoves = [\"nationality\"]"),
            (permit, "days = 31\nmoves = [\"surprise\"]"),
        ] {
            assert!(fault(kind, text).is_some_and(|fault| fault.message.contains(kind)), "{text}");
        }
        assert!(toml::from_str::<RenewalPolicy>("days = 1\nallowed = true").is_err());
    }
}
