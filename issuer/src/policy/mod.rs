//! Configured policies of the operator.

pub(crate) mod cohorts;
pub(crate) mod renewal;
