//! gRPC layer: converts between wire and domain types.

pub(crate) mod issuance;
pub(crate) mod offers;
pub(crate) mod renewals;
pub(crate) mod status;
