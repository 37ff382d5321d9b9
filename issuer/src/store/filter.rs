//! Conditions that the filters of staff lists share.

use carnet_core::time::Timestamp;

/// Conditions that must all match; an empty or absent condition matches everything.
#[derive(Debug, Clone, Default)]
pub(crate) struct CommonFilter {
    pub(crate) credential_type: String,
    pub(crate) reference: String,
    pub(crate) created_by: String,
    pub(crate) from: Option<Timestamp>,
    /// Last instant, inclusive.
    pub(crate) until: Option<Timestamp>,
}

impl CommonFilter {
    pub(super) fn matches(&self, (credential_type, reference, created_by): (&str, &str, &str), at: Timestamp) -> bool {
        let same = |wanted: &str, is: &str| wanted.is_empty() || wanted == is;
        same(&self.credential_type, credential_type)
            && same(&self.reference, reference)
            && same(&self.created_by, created_by)
            && self.from.is_none_or(|from| from <= at)
            && self.until.is_none_or(|until| at <= until)
    }
}
