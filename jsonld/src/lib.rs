//! JSON-LD for Carnet: the cryptosuites that sign RDF, in one crate, since it is slow to build.
//!
//! All of it is behind the feature `ssi`, which is off by default; without it the crate is empty but for
//! [`AVAILABLE`]. A program that speaks JSON-LD has a feature of its own:
//!
//! ```toml
//! [features]
//! jsonld = ["dep:carnet-jsonld", "carnet-jsonld/ssi"]
//!
//! [dependencies]
//! carnet-jsonld = { workspace = true, optional = true }
//! ```
//!
//! and adds the suite to the registry of core's own:
//!
//! ```ignore
//! let suites = carnet_jsonld::register(Suites::jcs(), catalogue.contexts()?)?;
//! data_integrity::verify(document, &suites, resolver, &expected)?;
//! ```
//!
//! # Division of checks
//! Core checks the purpose, the owner of the key, challenge, domain and expiry, in the same way for every suite. The
//! suite guarantees one thing: it returns exactly the document that was signed. RDF alone does not guarantee that,
//! because many JSON texts have the same RDF: a property can hide under its full IRI or behind an empty list, and the
//! signature still holds while a reader of the JSON sees another credential. Therefore a document is accepted only in
//! the one plain shape that the crate's `document` module describes, and anything that JSON-LD would drop silently is
//! refused.
//!
//! # Contexts
//! They are bundled and pinned by SHA-256. None is ever fetched: this crate has no network code.
//!
//! # Bounds
//! A document has at most the size and depth of [`carnet_core::json::Limits::DOCUMENT`]; canonicalisation has a
//! budget of work, so that a poison graph is refused and not computed.

#[cfg(feature = "ssi")]
pub mod canonical;
#[cfg(feature = "ssi")]
mod contexts;
#[cfg(feature = "ssi")]
mod document;
#[cfg(feature = "ssi")]
mod rdf;
#[cfg(feature = "ssi")]
mod suite;

#[cfg(feature = "ssi")]
pub use contexts::{VCDM_V2, VCDM_V2_SHA256};
#[cfg(feature = "ssi")]
pub use suite::{EddsaRdfc2022, register};

/// `true` if this build has the JSON-LD suites (the feature `ssi`).
pub const AVAILABLE: bool = cfg!(feature = "ssi");
