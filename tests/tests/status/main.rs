//! Status lists with the real programs: fetched over HTTPS through the web site before the issuer, and through power
//! cuts.

mod acts;
mod fixtures;
mod lists;
mod power;
mod sites;
