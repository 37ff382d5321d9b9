//! Tests of the services in one process, over loopback, with a real store, real keys and real credentials.

mod batches;
mod clock;
mod exchange;
mod fetched;
mod foreign;
mod issuers;
mod limits;
mod receipts;
mod redemption;
mod serials;
mod several;
mod status;
mod trust;
mod vc_api;
mod world;

mod newer_keys;
mod site;
