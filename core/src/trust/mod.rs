//! Relying-party registrations (spec/registration.md), and trust lists of issuers and registrars (spec/trust.md).

pub mod list;
pub mod registration;
pub(crate) mod statement;
