//! Who may ask for what, and whose word that is: relying-party registrations (spec/registration.md).

pub mod registration;
pub(crate) mod statement;
