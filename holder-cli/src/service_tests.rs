//! Use cases of the wallet over the real wire, against services on loopback that fail on command.

mod decision;
pub(crate) mod desk;
mod freshness;
mod receive;
mod refill;
mod renewal;
