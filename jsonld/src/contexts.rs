//! JSON-LD contexts: bundled, pinned by digest, never fetched.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use base16ct::lower::encode_string as hex;
use carnet_core::{Code, Problem};
use sha2::{Digest, Sha256};
use ssi_json_ld::{
    Iri, IriBuf, LoadError, Loader, RemoteDocument,
    syntax::{Parse, Value},
};

use crate::compiled::{CompiledContext, ProcessedContext};

/// URL of the VCDM 2.0 base context.
pub const VCDM_V2: &str = "https://www.w3.org/ns/credentials/v2";

/// SHA-256 of the bundled base context.
///
/// The W3C publishes the digest of its own file, `59955ced6697d61e03f2b2556febe5308ab16842846f5b586d7f1f7adec92734`.
/// The bundled copy is the same JSON with different white space, and so has another digest; a test compares the two.
pub const VCDM_V2_SHA256: &str = "8a9f494a89ecc51db093e90e84713e07e84d6d9204364a9b3c7868b21751236f";

/// JSON-LD syntax in which documents are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Syntax {
    /// Restricted, as the module `document` defines it.
    Restricted,
    /// All of JSON-LD whose terms are defined, for the conformance processor.
    #[cfg_attr(not(feature = "conformance"), allow(dead_code, reason = "no product accepts it"))]
    Open,
}

/// Parsed JSON-LD contexts by URL, with verified digests, and the syntax of the documents that use them.
#[derive(Clone)]
pub(crate) struct Contexts {
    by_url: HashMap<IriBuf, Value>,
    syntax: Syntax,
    /// Compiled contexts, by the JSON text of `@context`.
    compiled: Arc<Mutex<HashMap<String, Arc<CompiledContext>>>>,
}

/// Maximum number of compiled contexts in memory. Documents of a catalogue have a few; whoever sends documents with
/// others, or in other orders, finds no room, and theirs are processed each time.
const MAX_COMPILED: usize = 64;

/// Contexts of the open syntax: those of the data model, of proofs and keys, and of examples. `ssi-contexts` bundles
/// them, except for that of undefined terms, which is one line.
#[cfg(feature = "conformance")]
const OPEN_CONTEXTS: [(&str, &str); 14] = [
    (VCDM_V2, ssi_contexts::CREDENTIALS_V2),
    ("https://www.w3.org/ns/credentials/examples/v2", EXAMPLES_V2),
    ("https://www.w3.org/ns/credentials/undefined-terms/v2", UNDEFINED_TERMS_V2),
    ("https://www.w3.org/2018/credentials/v1", ssi_contexts::CREDENTIALS_V1),
    ("https://www.w3.org/2018/credentials/examples/v1", ssi_contexts::CREDENTIALS_EXAMPLES_V1),
    ("https://w3id.org/security/data-integrity/v1", ssi_contexts::W3ID_DATA_INTEGRITY_V1),
    ("https://w3id.org/security/data-integrity/v2", ssi_contexts::W3ID_DATA_INTEGRITY_V2),
    ("https://w3id.org/security/multikey/v1", ssi_contexts::W3ID_MULTIKEY_V1),
    ("https://w3id.org/security/v1", ssi_contexts::SECURITY_V1),
    ("https://w3id.org/security/v2", ssi_contexts::SECURITY_V2),
    ("https://w3id.org/security/suites/ed25519-2020/v1", ssi_contexts::W3ID_ED2020_V1),
    ("https://w3id.org/vc/status-list/2021/v1", ssi_contexts::STATUS_LIST_2021_V1),
    ("https://w3id.org/citizenship/v1", ssi_contexts::CITIZENSHIP_V1),
    ("https://www.w3.org/ns/did/v1", ssi_contexts::DID_V1),
];
#[cfg(feature = "conformance")]
const EXAMPLES_V2: &str = r#"{"@context":{"@vocab":"https://www.w3.org/ns/credentials/examples#"}}"#;
#[cfg(feature = "conformance")]
const UNDEFINED_TERMS_V2: &str = r#"{"@context":{"@vocab":"https://www.w3.org/ns/credentials/undefined-terms#"}}"#;

#[derive(Debug)]
struct NotBundled;

impl std::fmt::Display for NotBundled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the context is not bundled, and contexts are never fetched")
    }
}

impl std::error::Error for NotBundled {}

impl Contexts {
    /// Creates the map from the VCDM 2.0 base context and others, given as (URL, text, SHA-256 in hex).
    ///
    /// # Errors
    /// `context_tampered`: a text does not have its digest, is no context, or has a URL that occurs twice.
    /// `context_unknown`: a URL is malformed.
    pub(crate) fn new(others: &[(String, String, String)]) -> Result<Self, Problem> {
        let mut contexts = Self::empty(Syntax::Restricted);
        contexts.insert_verified(VCDM_V2, ssi_contexts::CREDENTIALS_V2, VCDM_V2_SHA256)?;
        for (url, text, sha256) in others {
            contexts.insert_verified(url, text, sha256)?;
        }
        Ok(contexts)
    }

    /// Creates the map of the contexts that the W3C's specifications and suites use, for documents in the open syntax.
    ///
    /// # Errors
    /// `context_tampered`: a bundled context is malformed.
    #[cfg(feature = "conformance")]
    pub(crate) fn open() -> Result<Self, Problem> {
        let mut contexts = Self::empty(Syntax::Open);
        for (url, text) in OPEN_CONTEXTS {
            contexts.insert(url, text)?;
        }
        Ok(contexts)
    }

    fn empty(syntax: Syntax) -> Self {
        Self { by_url: HashMap::new(), syntax, compiled: Arc::default() }
    }

    /// Returns the compiled form of an `@context`, given as JSON text, if it is in memory.
    pub(crate) fn compiled(&self, context: &str) -> Option<Arc<CompiledContext>> {
        self.compiled.lock().unwrap_or_else(PoisonError::into_inner).get(context).cloned()
    }

    /// Returns the compiled form of an `@context`, given as JSON text, from memory or by `process`.
    ///
    /// # Errors
    /// Those of `process`.
    pub(crate) fn compiled_by(
        &self,
        context: String,
        process: impl FnOnce() -> Result<ProcessedContext, Problem>,
    ) -> Result<Arc<CompiledContext>, Problem> {
        if let Some(known) = self.compiled(&context) {
            return Ok(known);
        }
        let compiled = Arc::new(CompiledContext::new(process()?));
        let mut all = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() < MAX_COMPILED {
            all.insert(context, Arc::clone(&compiled));
        }
        Ok(compiled)
    }

    fn insert_verified(&mut self, url: &str, text: &str, sha256: &str) -> Result<(), Problem> {
        let tampered = |what: &str| Problem::new(Code::ContextTampered, format!("the bundled context {url} {what}"));
        if !hex(&Sha256::digest(text.as_bytes())).eq_ignore_ascii_case(sha256) {
            return Err(tampered("does not have its pinned digest"));
        }
        self.insert(url, text)
    }

    fn insert(&mut self, url: &str, text: &str) -> Result<(), Problem> {
        let tampered = |what: &str| Problem::new(Code::ContextTampered, format!("the bundled context {url} {what}"));
        let (value, _) = Value::parse_str(text).map_err(|_| tampered("is not JSON"))?;
        if value.as_object().is_none_or(|object| object.get_unique("@context").ok().flatten().is_none()) {
            return Err(tampered("has no @context"));
        }
        let iri = IriBuf::new(url.to_owned())
            .map_err(|_| Problem::new(Code::ContextUnknown, format!("{url} is not an absolute URL")))?;
        // A second definition would replace the first, possibly that of the base context.
        if self.by_url.insert(iri, value).is_some() {
            return Err(tampered("is there twice"));
        }
        Ok(())
    }

    pub(crate) fn contains(&self, url: &str) -> bool {
        Iri::new(url).is_ok_and(|iri| self.by_url.contains_key(iri))
    }

    pub(crate) fn syntax(&self) -> Syntax {
        self.syntax
    }
}

impl Loader for Contexts {
    async fn load(&self, url: &Iri) -> Result<RemoteDocument<IriBuf>, LoadError> {
        match self.by_url.get(url) {
            Some(value) => Ok(RemoteDocument::new(Some(url.to_owned()), None, value.clone())),
            None => Err(LoadError::new(url.to_owned(), NotBundled)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_context_is_processed_once_and_a_bounded_number_is_kept() {
        let contexts = Contexts::new(&[]).unwrap();
        let calls = std::cell::Cell::new(0);
        let process = |context: String| {
            let count = || {
                calls.set(calls.get() + 1);
                Ok(ProcessedContext::default())
            };
            contexts.compiled_by(context, count).unwrap();
        };
        for _ in 0..3 {
            process("a".to_owned());
        }
        assert_eq!(calls.get(), 1);
        for other in 0..2 * MAX_COMPILED {
            process(other.to_string());
        }
        assert_eq!(contexts.compiled.lock().unwrap().len(), MAX_COMPILED);
        // Kept from before, while the last one found no room.
        process("a".to_owned());
        let before = calls.get();
        process((2 * MAX_COMPILED - 1).to_string());
        assert_eq!(calls.get(), before + 1);
        // A failure is not kept.
        let failed = contexts.compiled_by("b".to_owned(), || Err(Code::Transformation.into()));
        assert!(failed.is_err_and(|problem| problem.code == Code::Transformation));
    }
}
