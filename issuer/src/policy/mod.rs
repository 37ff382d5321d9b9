//! Rules of the operator from the configuration: rounding of dates, and renewals.

pub(crate) mod cohorts;
pub(crate) mod renewal;
