//! JSON-LD of the conformance processor: all of its syntax, with the contexts of the W3C's specifications and suites.

use std::sync::Arc;

use carnet_core::{Problem, conformance::CheckTerms, secure::data_integrity::Cryptosuites};
use serde_json::{Map, Value};

use crate::{
    contexts::Contexts,
    rdf::to_quads,
    suite::{Ed25519Signature2020, RdfcCryptosuite},
};

/// JSON-LD processor for any document whose terms are defined. No product uses it: its documents are not in the
/// restricted syntax, so that a signature does not show that a reader of the JSON sees what was signed.
#[derive(Clone)]
pub struct OpenJsonLd(Arc<Contexts>);

impl OpenJsonLd {
    /// Creates the processor, with the bundled contexts.
    ///
    /// # Errors
    /// `context_tampered`: a bundled context is malformed.
    pub fn new() -> Result<Self, Problem> {
        Contexts::open().map(|contexts| Self(Arc::new(contexts)))
    }

    /// Adds eddsa-rdfc-2022, ecdsa-rdfc-2019 and, for verification alone, Ed25519Signature2020 over this processor to a
    /// registry.
    #[must_use]
    pub fn register(&self, suites: Cryptosuites) -> Cryptosuites {
        suites
            .with(RdfcCryptosuite::eddsa_2022_over(Arc::clone(&self.0)))
            .with(RdfcCryptosuite::ecdsa_2019_over(Arc::clone(&self.0)))
            .with(Ed25519Signature2020::with_contexts(Arc::clone(&self.0)))
    }
}

impl std::fmt::Debug for OpenJsonLd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenJsonLd").finish_non_exhaustive()
    }
}

impl CheckTerms for OpenJsonLd {
    fn check_terms(&self, document: &Map<String, Value>) -> Result<(), Problem> {
        to_quads(document, &self.0).map(|_| ())
    }
}
