//! The gRPC wire: wire to domain and back, and nothing else.

pub(crate) mod issuance;
pub(crate) mod offers;
pub(crate) mod renewals;
pub(crate) mod status;
