//! Rules of the operator, as configured.

pub(crate) mod cohorts;
pub(crate) mod renewal;
