//! Cohorts: rounding of the copies' dates, and the number of holders whose copies look the same to every verifier
//! (spec/credential-types.md 3.6 to 3.9).

use std::collections::BTreeMap;

use carnet_core::{
    cohort::CohortSummary, epoch::Epoch, format::CredentialFormat, status::publication, time::Timestamp,
};

use crate::{
    error::Error,
    issuer::Issuer,
    store::{
        Store,
        records::{CohortCount, RecordRows as _},
    },
};

/// Members of a copy that every verifier sees. Verifiers that compare copies cannot distinguish holders whose copies
/// have the same visible members.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct VisibleMembers {
    pub(crate) valid_from: Timestamp,
    pub(crate) valid_until: Timestamp,
    pub(crate) format: CredentialFormat,
    /// DID URL of the signing key; empty for copies of older versions.
    pub(crate) kid: String,
    /// URL of the status list, in the form that the format uses; `None` if lists are not published.
    pub(crate) status_list: Option<String>,
}

/// Cohort: the visible members, and the number of holders with usable copies that have them.
#[derive(Debug, Clone)]
pub(crate) struct VisibleCohort {
    pub(crate) visible_members: VisibleMembers,
    pub(crate) holders: u64,
}

/// Cohorts of one credential type.
#[derive(Debug)]
pub(crate) struct TypeCohorts {
    pub(crate) credential_type: String,
    /// Epoch to whose start the dates of new copies are rounded down.
    pub(crate) epoch: Epoch,
    pub(crate) summary: CohortSummary,
    /// Number of holders in cohorts smaller than the configured minimum (`cohorts.least`).
    pub(crate) holders_below_minimum: u64,
    /// Cohorts, smallest first.
    pub(crate) cohorts: Vec<VisibleCohort>,
}

impl<S: Store> Issuer<S> {
    /// Returns the cohorts of each type that has holders with usable copies: not expired, and not revoked or suspended.
    /// They are computed from the store's counters, without any claims.
    ///
    /// # Errors
    /// Store errors.
    pub(crate) async fn cohorts(&self) -> Result<Vec<TypeCohorts>, Error> {
        let mut by_type: BTreeMap<String, BTreeMap<VisibleMembers, u64>> = BTreeMap::new();
        let counts = self.store.read().await?.cohorts(self.now()).await?;
        for count in counts {
            let CohortCount { credential_type, format, valid_from, valid_until, kid, list, holders } = count;
            let form = match format {
                CredentialFormat::VcSdJwt | CredentialFormat::DcSdJwt => publication::ListFormat::Token,
                CredentialFormat::LdpVc | CredentialFormat::DiVcJcs => publication::ListFormat::Revocation,
            };
            let status_list = self.status_publisher.list_url(form, list);
            let visible = VisibleMembers { valid_from, valid_until, format, kid, status_list };
            let alike = by_type.entry(credential_type).or_default().entry(visible).or_default();
            *alike = alike.saturating_add(holders);
        }
        let least = self.settings.cohort_policy.least;
        let of_type = |(credential_type, counts): (String, BTreeMap<VisibleMembers, u64>)| {
            let mut cohorts: Vec<VisibleCohort> = counts
                .into_iter()
                .map(|(visible, holders)| VisibleCohort { visible_members: visible, holders })
                .collect();
            cohorts.sort_by_key(|cohort| cohort.holders);
            let sizes = || cohorts.iter().map(|cohort| cohort.holders);
            let summary = CohortSummary::from_sizes(sizes())?;
            let below = sizes().filter(|size| *size < least).sum();
            let epoch = self.settings.cohort_policy.epoch_of(&credential_type);
            Some(TypeCohorts { credential_type, epoch, summary, holders_below_minimum: below, cohorts })
        };
        Ok(by_type.into_iter().filter_map(of_type).collect())
    }
}
