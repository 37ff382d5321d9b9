//! JSON-LD contexts: bundled, pinned by digest, never fetched.

use std::collections::HashMap;

use base16ct::lower::encode_string as hex;
use carnet_core::{Code, Problem};
use sha2::{Digest, Sha256};
use ssi_json_ld::{
    Iri, IriBuf, LoadError, Loader, RemoteDocument,
    syntax::{Parse, Value},
};

/// URL of the VCDM 2.0 base context.
pub const VCDM_V2: &str = "https://www.w3.org/ns/credentials/v2";

/// SHA-256 of the bundled base context.
///
/// The W3C publishes the digest of its own file, `59955ced6697d61e03f2b2556febe5308ab16842846f5b586d7f1f7adec92734`.
/// The bundled copy is the same JSON with different white space, and so has another digest; a test compares the two.
pub const VCDM_V2_SHA256: &str = "8a9f494a89ecc51db093e90e84713e07e84d6d9204364a9b3c7868b21751236f";

/// Parsed JSON-LD contexts by URL, with verified digests.
#[derive(Clone)]
pub(crate) struct Contexts(HashMap<IriBuf, Value>);

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
        let mut contexts = Self(HashMap::new());
        contexts.insert_verified(VCDM_V2, ssi_contexts::CREDENTIALS_V2, VCDM_V2_SHA256)?;
        for (url, text, sha256) in others {
            contexts.insert_verified(url, text, sha256)?;
        }
        Ok(contexts)
    }

    fn insert_verified(&mut self, url: &str, text: &str, sha256: &str) -> Result<(), Problem> {
        let tampered = |what: &str| Problem::new(Code::ContextTampered, format!("the bundled context {url} {what}"));
        if !hex(&Sha256::digest(text.as_bytes())).eq_ignore_ascii_case(sha256) {
            return Err(tampered("does not have its pinned digest"));
        }
        let (value, _) = Value::parse_str(text).map_err(|_| tampered("is not JSON"))?;
        if value.as_object().is_none_or(|object| object.get_unique("@context").ok().flatten().is_none()) {
            return Err(tampered("has no @context"));
        }
        let iri = IriBuf::new(url.to_owned())
            .map_err(|_| Problem::new(Code::ContextUnknown, format!("{url} is not an absolute URL")))?;
        // A second definition would replace the first, possibly that of the base context.
        if self.0.insert(iri, value).is_some() {
            return Err(tampered("is there twice"));
        }
        Ok(())
    }

    pub(crate) fn contains(&self, url: &str) -> bool {
        Iri::new(url).is_ok_and(|iri| self.0.contains_key(iri))
    }
}

impl Loader for Contexts {
    async fn load(&self, url: &Iri) -> Result<RemoteDocument<IriBuf>, LoadError> {
        match self.0.get(url) {
            Some(value) => Ok(RemoteDocument::new(Some(url.to_owned()), None, value.clone())),
            None => Err(LoadError::new(url.to_owned(), NotBundled)),
        }
    }
}
