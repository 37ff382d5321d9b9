//! Conditions shared by the filters for offers and for issued copies.

use carnet_core::time::Timestamp;

/// Conditions that must all match; an empty text or an absent time matches everything.
#[derive(Debug, Clone, Default)]
pub(crate) struct CommonFilter {
    pub(crate) credential_type: String,
    pub(crate) reference: String,
    /// Name of the staff member who created the offer.
    pub(crate) created_by: String,
    /// First time, inclusive.
    pub(crate) from: Option<Timestamp>,
    /// Last time, inclusive.
    pub(crate) until: Option<Timestamp>,
}

impl CommonFilter {
    /// Returns whether a record with these three texts and this time matches.
    pub(super) fn matches(&self, (credential_type, reference, created_by): (&str, &str, &str), at: Timestamp) -> bool {
        let same = |wanted: &str, is: &str| wanted.is_empty() || wanted == is;
        same(&self.credential_type, credential_type)
            && same(&self.reference, reference)
            && same(&self.created_by, created_by)
            && self.from.is_none_or(|from| from <= at)
            && self.until.is_none_or(|until| at <= until)
    }
}
