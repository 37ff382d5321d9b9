//! Who may ask for what, and whose word that is: relying-party registrations (spec/registration.md). Who may issue what,
//! and who may register askers: trust lists (spec/trust.md).

pub mod list;
pub mod registration;
pub(crate) mod statement;
