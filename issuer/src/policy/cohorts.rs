//! Configured rounding of the copies' dates (spec/credential-types.md 3.6 to 3.9).

use std::collections::BTreeMap;

use carnet_core::epoch::Epoch;
use carnet_service::config::{StartError, invalid_field};
use carnet_spec::Catalogue;
use serde::Deserialize;

/// Section `[cohorts]` of the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CohortPolicy {
    /// Epoch to whose start the dates of copies are rounded down. The longer the epoch, the more holders share the same
    /// dates.
    pub(crate) epoch: Epoch,
    /// Epochs of individual credential types.
    pub(crate) epochs: BTreeMap<String, Epoch>,
    /// Cohort size below which `carnet-issuer cohorts` warns, in holders; 0: never.
    pub(crate) least: u64,
}

impl Default for CohortPolicy {
    fn default() -> Self {
        Self { epoch: Epoch::Month, epochs: BTreeMap::new(), least: 10 }
    }
}

impl CohortPolicy {
    /// Returns the epoch of a credential type: its own, or that of all types.
    pub(crate) fn epoch_of(&self, credential_type: &str) -> Epoch {
        self.epochs.get(credential_type).copied().unwrap_or(self.epoch)
    }

    /// Returns the error for the first epoch of a type that the catalogue does not have; `None` if there is none.
    pub(crate) fn fault(&self, catalogue: &Catalogue) -> Option<StartError> {
        let unknown = self.epochs.keys().find(|name| catalogue.credential_type(name).is_none())?;
        let field = format!("cohorts.epochs.{unknown}");
        let what = format!("{field} is for a type that the catalogue does not have");
        Some(invalid_field(field, what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_has_its_own_epoch_or_that_of_all() {
        let text = "epoch = \"quarter\"\nleast = 3\n[epochs]\nEntitlementCredential = \"week\"";
        let policy: CohortPolicy = toml::from_str(text).unwrap();
        assert_eq!(policy.epoch_of("EntitlementCredential"), Epoch::Week);
        assert_eq!(policy.epoch_of("QualificationCredential"), Epoch::Quarter);
        assert_eq!(CohortPolicy::default().epoch_of("QualificationCredential"), Epoch::Month);
        let catalogue = Catalogue::embedded().unwrap();
        assert!(policy.fault(&catalogue).is_none());
        let unknown: CohortPolicy = toml::from_str("[epochs]\nNoSuchCredential = \"week\"").unwrap();
        assert!(unknown.fault(&catalogue).is_some_and(|fault| fault.message.contains("NoSuchCredential")));
        for wrong in ["epoch = \"year\"", "epochs = \"week\"", "size = 3"] {
            assert!(toml::from_str::<CohortPolicy>(wrong).is_err(), "{wrong}");
        }
    }
}
