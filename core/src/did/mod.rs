//! Decentralised identifiers (DID Core 1.0): did:key, did:jwk, did:web and did:webvh, from document to key for a
//! purpose (spec/dids.md).

use std::{fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{Code, Problem, keys::PublicKey};

mod document;
mod jwk;
mod key;
mod method;
mod revocation;
#[cfg(test)]
mod tests;
pub mod web;
pub mod webvh;

pub use document::DidDocument;

/// Longer text is no DID here: a did:jwk of a P-256 key has about 200 characters.
const MAX_TEXT: usize = 2_048;

fn malformed(what: &str) -> Problem {
    Problem::new(Code::DidMalformed, what)
}

/// DID methods that are resolved, and any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DidMethod {
    /// did:key: the DID is a key.
    Key,
    /// did:jwk: the DID is a JWK.
    Jwk,
    /// did:web: a document on a web site.
    Web,
    /// did:webvh: a log on a web site that proves its own history.
    WebVh,
    /// A method that nothing here resolves.
    Other,
}

/// A DID, without path, query or fragment. Two are the same if their text is (DID Core 1.0 section 3.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Did(String);

impl Did {
    /// Parses `did:method:method-specific-id` (DID Core 1.0 section 3.1), of any method.
    ///
    /// # Errors
    /// `did_malformed`.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        if text.len() > MAX_TEXT {
            return Err(malformed("a DID is too long"));
        }
        let (method, id) =
            text.strip_prefix("did:").and_then(|rest| rest.split_once(':')).ok_or_else(|| malformed("not a DID"))?;
        if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) {
            return Err(malformed("a DID's method is malformed"));
        }
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':');
        if id.is_empty() || id.ends_with(':') || !percent_encoded(id, allowed) {
            return Err(malformed("a DID's identifier is malformed"));
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn parts(&self) -> (&str, &str) {
        self.0.strip_prefix("did:").and_then(|rest| rest.split_once(':')).unwrap_or(("", ""))
    }

    /// Name of the method in the text: `key`, `jwk`, `web`...
    #[must_use]
    pub fn method_name(&self) -> &str {
        self.parts().0
    }

    /// DID method, of those that are supported.
    #[must_use]
    pub fn method(&self) -> DidMethod {
        match self.method_name() {
            "key" => DidMethod::Key,
            "jwk" => DidMethod::Jwk,
            "web" => DidMethod::Web,
            "webvh" => DidMethod::WebVh,
            _ => DidMethod::Other,
        }
    }

    /// Returns whether its document is made of the DID itself (did:key, did:jwk), so that nothing is fetched.
    #[must_use]
    pub fn is_self_contained(&self) -> bool {
        matches!(self.method(), DidMethod::Key | DidMethod::Jwk)
    }

    /// Returns whether its document is published and fetched (did:web, did:webvh), and not made of the DID itself. A
    /// copy of such a document can be older than a key of its controller.
    #[must_use]
    pub fn is_published(&self) -> bool {
        matches!(self.method(), DidMethod::Web | DidMethod::WebVh)
    }

    /// Method-specific identifier: the part after the method.
    #[must_use]
    pub fn id(&self) -> &str {
        self.parts().1
    }

    /// The did:jwk of a key. The JWK inside is canonical (RFC 8785), so each key has exactly one such DID.
    #[must_use]
    pub fn jwk(key: &PublicKey) -> Self {
        Self(format!("did:jwk:{}", URL_SAFE_NO_PAD.encode(key.to_jwk_text())))
    }

    /// The did:key of a key.
    #[must_use]
    pub fn key(key: &PublicKey) -> Self {
        Self(format!("did:key:{}", key.to_multikey()))
    }

    /// The DID URL of one of this DID's verification methods.
    ///
    /// # Errors
    /// `did_malformed` if the fragment is empty or has a character that may not be there.
    pub fn with_fragment(&self, fragment: &str) -> Result<DidUrl, Problem> {
        DidUrl::new(self.clone(), fragment)
    }
}

impl fmt::Display for Did {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for Did {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        Self::parse(text)
    }
}

/// Returns whether all bytes are allowed or part of a well-formed percent-encoding.
fn percent_encoded(text: &str, allowed: impl Fn(u8) -> bool) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let holds = if byte == b'%' {
            bytes.next().is_some_and(|b| b.is_ascii_hexdigit()) && bytes.next().is_some_and(|b| b.is_ascii_hexdigit())
        } else {
            allowed(byte)
        };
        if !holds {
            return false;
        }
    }
    true
}

/// A DID URL with a fragment: the name of a verification method.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DidUrl {
    did: Did,
    fragment: String,
}

impl DidUrl {
    fn new(did: Did, fragment: &str) -> Result<Self, Problem> {
        // RFC 3986 section 3.5.
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?".contains(&byte);
        if fragment.is_empty() || fragment.len() > MAX_TEXT || !percent_encoded(fragment, allowed) {
            return Err(malformed("a DID URL's fragment is malformed"));
        }
        Ok(Self { did, fragment: fragment.to_owned() })
    }

    /// Parses `did#fragment`.
    ///
    /// # Errors
    /// `did_malformed` (no fragment, or a path or query).
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let (did, fragment) = text.split_once('#').ok_or_else(|| malformed("a DID URL has no fragment"))?;
        Self::new(Did::parse(did)?, fragment)
    }

    /// The DID.
    #[must_use]
    pub fn did(&self) -> &Did {
        &self.did
    }

    /// Returns the fragment, without the `#`.
    #[must_use]
    pub fn fragment(&self) -> &str {
        &self.fragment
    }
}

impl fmt::Display for DidUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.did, self.fragment)
    }
}

/// Verification relationship that a key must be listed under to be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Issuing credentials.
    AssertionMethod,
    /// Presenting them.
    Authentication,
}

impl Purpose {
    /// `assertionMethod` or `authentication`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AssertionMethod => "assertionMethod",
            Self::Authentication => "authentication",
        }
    }
}

/// Resolver of DIDs to their documents. Fetching is the caller's job: an implementation answers from memory.
///
/// # Examples
/// ```
/// use carnet_core::{
///     did::{Did, DidUrl, Purpose, Resolve, SelfContained},
///     keys::{Algorithm, SecretKey, Signer},
/// };
///
/// let secret = SecretKey::from_bytes(Algorithm::EdDsa, &[7; 32])?;
/// let did = Did::key(&secret.public_key());
/// let method = DidUrl::parse(&format!("{did}#{}", did.id()))?;
/// let key = SelfContained.resolve(&did)?.key_for(&method, Purpose::Authentication)?;
/// key.verify(b"nonce", &secret.sign(b"nonce")?)?;
/// # Ok::<(), carnet_core::Problem>(())
/// ```
pub trait Resolve: Send + Sync {
    /// The document of `did`.
    ///
    /// # Errors
    /// `did_unsupported`, `did_unresolved`, `did_document_invalid`; for methods that carry their document in the DID
    /// also `did_malformed`, `key_invalid` and `private_key_exposed`.
    fn resolve(&self, did: &Did) -> Result<Arc<DidDocument>, Problem>;
}

/// Resolves did:key and did:jwk, which carry their own document, and nothing else.
#[derive(Debug, Clone, Copy, Default)]
pub struct SelfContained;

impl Resolve for SelfContained {
    fn resolve(&self, did: &Did) -> Result<Arc<DidDocument>, Problem> {
        match did.method() {
            DidMethod::Key => key::document(did).map(Arc::new),
            DidMethod::Jwk => jwk::document(did).map(Arc::new),
            DidMethod::Web | DidMethod::WebVh | DidMethod::Other => {
                Err(Problem::new(Code::DidUnsupported, format!("did:{} is not supported here", did.method_name())))
            }
        }
    }
}

/// Resolver of one DID to a document of vouched keys, independent of the DID's own current document. Nothing is
/// fetched.
#[derive(Debug, Clone)]
pub struct PinnedKeys(Arc<DidDocument>);

impl PinnedKeys {
    /// Pins keys of a DID, each with the fragment of its DID URL; they count for assertion and authentication.
    ///
    /// # Errors
    /// `did_document_invalid`
    pub fn new(did: &Did, keys: &[(String, PublicKey)]) -> Result<Self, Problem> {
        DidDocument::parse(did, &DidDocument::render(did, keys)).map(|document| Self(Arc::new(document)))
    }
}

impl Resolve for PinnedKeys {
    fn resolve(&self, did: &Did) -> Result<Arc<DidDocument>, Problem> {
        if did == self.0.did() { Ok(Arc::clone(&self.0)) } else { Err(Code::DidUnresolved.into()) }
    }
}

/// Resolves as another one does, to documents with the keys of earlier versions ([`DidDocument::with_history`]): for
/// verifying credentials, which outlive the key that signed them.
#[derive(Clone, Copy)]
pub struct WithHistory<'a>(pub &'a dyn Resolve);

impl Resolve for WithHistory<'_> {
    fn resolve(&self, did: &Did) -> Result<Arc<DidDocument>, Problem> {
        let document = self.0.resolve(did)?;
        Ok(if document.has_history() { Arc::new(document.with_history()) } else { document })
    }
}

/// The key that a verification method names, resolved and checked for a purpose.
///
/// # Errors
/// Those of [`DidUrl::parse`], [`Resolve::resolve`] and [`DidDocument::key_for`].
pub fn key_for(resolver: &dyn Resolve, method: &str, purpose: Purpose) -> Result<(DidUrl, PublicKey), Problem> {
    let url = DidUrl::parse(method)?;
    let key = resolver.resolve(url.did())?.key_for(&url, purpose)?;
    Ok((url, key))
}
