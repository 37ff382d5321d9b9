//! Filters for the lists that staff read.

use carnet_core::time::Timestamp;

use super::{IssuedRecord, OfferRecord, OfferState};

/// Conditions that must all match; an empty or absent one matches everything.
#[derive(Debug, Clone, Default)]
pub(crate) struct Common {
    pub(crate) credential_type: String,
    pub(crate) reference: String,
    pub(crate) created_by: String,
    pub(crate) from: Option<Timestamp>,
    /// Last instant, inclusive.
    pub(crate) until: Option<Timestamp>,
}

impl Common {
    fn matches(&self, (credential_type, reference, created_by): (&str, &str, &str), at: Timestamp) -> bool {
        let same = |wanted: &str, is: &str| wanted.is_empty() || wanted == is;
        same(&self.credential_type, credential_type)
            && same(&self.reference, reference)
            && same(&self.created_by, created_by)
            && self.from.is_none_or(|from| from <= at)
            && self.until.is_none_or(|until| at <= until)
    }
}

/// Filter for offers, by state and time of creation.
#[derive(Debug, Clone, Default)]
pub(crate) struct OfferFilter {
    pub(crate) state: Option<OfferState>,
    pub(crate) common: Common,
}

impl OfferFilter {
    pub(crate) fn matches(&self, offer: &OfferRecord) -> bool {
        let names = (offer.credential_type.as_str(), offer.reference.as_str(), offer.created_by.as_str());
        self.state.is_none_or(|state| state == offer.state) && self.common.matches(names, offer.created_at)
    }
}

/// Filter for issued copies, by offer and time of issuance.
#[derive(Debug, Clone, Default)]
pub(crate) struct IssuedFilter {
    /// Empty: all offers.
    pub(crate) offer_id: String,
    pub(crate) common: Common,
}

impl IssuedFilter {
    pub(crate) fn matches(&self, record: &IssuedRecord) -> bool {
        let names = (record.credential_type.as_str(), record.reference.as_str(), record.created_by.as_str());
        (self.offer_id.is_empty() || self.offer_id == record.offer_id) && self.common.matches(names, record.issued_at)
    }
}
