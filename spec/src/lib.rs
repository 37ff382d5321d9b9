//! The Carnet profile as data: credential types, request templates and procedures, embedded, and parsed into the types
//! of `carnet_core`.
//!
//! A type is a directory (`type.toml`, `schema.json`, `context.jsonld`, `display/<lang>.ftl`, `example.json`), and a
//! request template or a procedure is a file. None of them needs code: [`Catalogue::embedded`] returns the built-in
//! ones, [`Catalogue::load`] adds those of a directory on disk. Inconsistent data is refused on loading, so that a
//! catalogue is always consistent.

mod bounds;
mod catalogue;
mod claim_error;
mod claims;
mod computed;
mod credential_type;
mod display;
mod error;
mod foreign;
mod ordered;
mod procedure;
mod redemption;
mod retention;
mod sensitivity;
mod serials;
mod template;
mod type_files;
pub mod type_metadata;
mod type_urls;
mod unknown;
mod weights;

pub use catalogue::Catalogue;
pub use claim_error::ClaimError;
pub use credential_type::{CredentialType, FormerVersion, UnsecuredCopy};
pub use display::{ClaimDisplay, DisplayTexts};
pub use error::SpecError;
pub use foreign::{ForeignContext, ForeignType, ForeignTypeName};
pub use procedure::{Procedure, RequiredDocument};
pub use redemption::{CountedClaims, RedemptionClaims};
pub use retention::RetentionRule;
pub use serials::SerialClaims;
pub use template::RequestTemplate;
pub use type_files::read_catalogue_text;
pub use unknown::{UnknownKind, UnknownName};

mod embedded {
    include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
}
