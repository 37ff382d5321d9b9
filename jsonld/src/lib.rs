//! Cryptosuites that canonicalise RDF (JSON-LD), in a separate crate, since it is slow to build.
//!
//! Everything requires the feature `ssi`, which is off by default; without it, the crate contains only [`AVAILABLE`]. A
//! program with JSON-LD support has a feature of its own:
//!
//! ```toml
//! [features]
//! jsonld = ["dep:carnet-jsonld", "carnet-jsonld/ssi"]
//!
//! [dependencies]
//! carnet-jsonld = { workspace = true, optional = true }
//! ```
//!
//! and adds the suite to the registry of the JCS suites:
//!
//! ```ignore
//! let suites = carnet_jsonld::register_suites(Cryptosuites::jcs(), catalogue.contexts()?)?;
//! data_integrity::verify(document, &suites, resolver, &expected)?;
//! ```
//!
//! # Division of checks
//! `carnet_core` checks the purpose, the controller of the key, challenge, domain and expiry, in the same way for every
//! suite. The suite ensures that it returns exactly the document that was signed. RDF alone does not ensure that,
//! because many JSON texts have the same RDF: a property can be hidden under its full IRI or in an empty array, so that
//! the signature is valid while a reader of the JSON sees another credential. So a document is accepted only in the
//! restricted syntax of the `document` module, and anything that JSON-LD would silently drop is refused.
//!
//! # Contexts
//! JSON-LD contexts are bundled and pinned by SHA-256, and never fetched.
//!
//! With the feature `conformance`, the crate has a second processor (`conformance`) that accepts all of JSON-LD, and
//! ecdsa-rdfc-2019, for the conformance build. No product enables it.
//!
//! # Bounds
//! [`carnet_core::json::Limits::DOCUMENT`] limits the size and depth of a document. The work of canonicalisation is
//! limited, so that a poison graph is refused.

#[cfg(feature = "ssi")]
pub mod canonical;
#[cfg(feature = "ssi")]
mod compiled;
#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "ssi")]
mod contexts;
#[cfg(feature = "ssi")]
mod document;
#[cfg(feature = "ssi")]
mod expansion;
#[cfg(feature = "ssi")]
mod open;
#[cfg(feature = "ssi")]
mod rdf;
#[cfg(feature = "ssi")]
mod suite;
#[cfg(feature = "ssi")]
mod values;

#[cfg(feature = "ssi")]
pub use contexts::{VCDM_V2, VCDM_V2_SHA256};
#[cfg(feature = "ssi")]
pub use suite::{RdfcCryptosuite, register_suites};

/// `true` if this build has the JSON-LD suites (feature `ssi`).
pub const AVAILABLE: bool = cfg!(feature = "ssi");
