//! Cohorts: rounding of the copies' dates, and the number of holders who share all that verifiers see of them
//! (spec/credential-types.md 3.6 to 3.9).

use std::collections::BTreeMap;

use carnet_core::{
    cohort::CohortSummary, epoch::Epoch, format::CredentialFormat, status::publication, time::Timestamp,
};
use carnet_proto::issuer::v1::ValidityEpoch;
use carnet_service::config::{StartError, refused_field};
use carnet_spec::Catalogue;
use serde::Deserialize;

use crate::{error::Error, issuer::Issuer, store::Store};

/// Section `[cohorts]` of the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CohortPolicy {
    /// Epoch to whose start the dates of copies are rounded down. In a longer epoch, more holders share the same dates.
    pub(crate) epoch: Epoch,
    /// Epochs of individual types, by type.
    pub(crate) epochs: BTreeMap<String, Epoch>,
    /// Minimum number of holders of a cohort below which `carnet-issuer cohorts` warns; 0: never.
    pub(crate) least: u64,
}

impl Default for CohortPolicy {
    fn default() -> Self {
        Self { epoch: Epoch::Month, epochs: BTreeMap::new(), least: 10 }
    }
}

impl CohortPolicy {
    /// Returns the epoch of a type.
    pub(crate) fn epoch_of(&self, credential_type: &str) -> Epoch {
        self.epochs.get(credential_type).copied().unwrap_or(self.epoch)
    }

    /// Returns the first fault of the configuration, if there is one.
    pub(crate) fn fault(&self, catalogue: &Catalogue) -> Option<StartError> {
        let unknown = self.epochs.keys().find(|name| catalogue.credential_type(name).is_none())?;
        let field = format!("cohorts.epochs.{unknown}");
        let what = format!("{field} is for a type that the catalogue does not have");
        Some(refused_field(field, what))
    }
}

/// Converts an epoch to its enum value on the wire.
pub(crate) const fn epoch_to_wire(epoch: Epoch) -> ValidityEpoch {
    match epoch {
        Epoch::Day => ValidityEpoch::Day,
        Epoch::Week => ValidityEpoch::Week,
        Epoch::Month => ValidityEpoch::Month,
        Epoch::Quarter => ValidityEpoch::Quarter,
    }
}

/// Number of holders, as the store counts them.
#[derive(Debug, Clone)]
pub(crate) struct CohortCount {
    pub(crate) credential_type: String,
    pub(crate) format: CredentialFormat,
    pub(crate) valid_from: Timestamp,
    pub(crate) valid_until: Timestamp,
    /// The verification method of the key that signed; empty for copies that were issued before it was recorded.
    pub(crate) kid: String,
    /// The number of the status list.
    pub(crate) list: i64,
    pub(crate) holders: u64,
}

/// Visible members of a copy that many holders share: two verifiers who compare them cannot tell the holders of one
/// cohort apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct VisibleMembers {
    pub(crate) valid_from: Timestamp,
    pub(crate) valid_until: Timestamp,
    pub(crate) format: CredentialFormat,
    pub(crate) kid: String,
    /// The URL of the status list, in the form that the format names; `None` where none is published.
    pub(crate) status_list: Option<String>,
}

/// Number of holders whose usable copies look alike.
#[derive(Debug, Clone)]
pub(crate) struct Cohort {
    pub(crate) visible: VisibleMembers,
    pub(crate) holders: u64,
}

/// Cohorts of one type.
#[derive(Debug)]
pub(crate) struct TypeCohorts {
    pub(crate) credential_type: String,
    pub(crate) epoch: Epoch,
    pub(crate) summary: CohortSummary,
    /// Number of holders in cohorts below the configured minimum.
    pub(crate) below: u64,
    /// Cohorts, smallest first.
    pub(crate) cohorts: Vec<Cohort>,
}

impl<S: Store> Issuer<S> {
    /// Returns the cohorts of each type with usable copies. They are computed from the store's counters, without any
    /// claims.
    ///
    /// # Errors
    /// Store errors.
    pub(crate) async fn cohorts(&self) -> Result<Vec<TypeCohorts>, Error> {
        let mut by_type: BTreeMap<String, BTreeMap<VisibleMembers, u64>> = BTreeMap::new();
        for count in self.store.cohorts(self.now()).await? {
            let CohortCount { credential_type, format, valid_from, valid_until, kid, list, holders } = count;
            let form = match format {
                CredentialFormat::VcSdJwt | CredentialFormat::DcSdJwt => publication::Form::Token,
                CredentialFormat::LdpVc | CredentialFormat::DiVcJcs => publication::Form::Revocation,
            };
            let status_list = self.status.url(form, list);
            let visible = VisibleMembers { valid_from, valid_until, format, kid, status_list };
            let alike = by_type.entry(credential_type).or_default().entry(visible).or_default();
            *alike = alike.saturating_add(holders);
        }
        let least = self.settings.cohorts.least;
        let of_type = |(credential_type, counts): (String, BTreeMap<VisibleMembers, u64>)| {
            let mut cohorts: Vec<Cohort> =
                counts.into_iter().map(|(visible, holders)| Cohort { visible, holders }).collect();
            cohorts.sort_by_key(|cohort| cohort.holders);
            let sizes = || cohorts.iter().map(|cohort| cohort.holders);
            let summary = CohortSummary::of(sizes())?;
            let below = sizes().filter(|size| *size < least).sum();
            let epoch = self.settings.cohorts.epoch_of(&credential_type);
            Some(TypeCohorts { credential_type, epoch, summary, below, cohorts })
        };
        Ok(by_type.into_iter().filter_map(of_type).collect())
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
