//! Tests of the services in one process, over loopback, on a real store.

mod entitlements;
mod epochs;
mod erasure;
mod freshness;
mod harness;
mod importing;
mod issuing;
mod messages;
mod offering;
mod proving;
mod publishing;
mod records;
mod redeeming;
mod refilling;
mod renewing;
mod set_times;
mod simulation;
mod status;
mod thresholds;
mod vc_api;
