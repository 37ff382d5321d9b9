//! Decentralised identifiers (DID Core 1.0): did:key, did:jwk, did:web and did:webvh, and lookup of a key by DID URL
//! and purpose (spec/dids.md).

use std::{fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{Code, Problem, keys::PublicKey};

mod document;
mod driver;
mod jwk;
mod key;
mod method;
mod methods;
mod revocation;
#[cfg(test)]
mod tests;
pub mod web;
pub mod webvh;

pub use document::DidDocument;
pub use driver::{DidDriver, FileReader, PublishedDidFile, ResolutionStep, ResolvedDid};
pub use jwk::DidJwk;
pub use key::DidKey;
pub use methods::{DidMethod, DidMethods, SelfContainedResolver};
pub use web::DidWeb;
pub use webvh::DidWebVh;

/// Maximum length of a DID and of a fragment, in bytes. A did:jwk of a P-256 key has about 200.
const MAX_TEXT: usize = 2_048;

fn malformed(what: &str) -> Problem {
    Problem::new(Code::DidMalformed, what)
}

fn invalid(what: impl Into<String>) -> Problem {
    Problem::new(Code::DidDocumentInvalid, what)
}

/// DID without path, query or fragment. DIDs are equal if their texts are (DID Core 1.0 section 3.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Did(String);

impl Did {
    /// Parses `did:method:method-specific-id` (DID Core 1.0 section 3.1), with any method.
    ///
    /// # Errors
    /// `did_malformed`, also for more than 2,048 bytes.
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

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn parts(&self) -> (&str, &str) {
        self.0.strip_prefix("did:").and_then(|rest| rest.split_once(':')).unwrap_or(("", ""))
    }

    /// Returns the name of the DID method as in the text, such as `web`; it may be one that is not supported.
    #[must_use]
    pub fn method_name(&self) -> &str {
        self.parts().0
    }

    /// Returns the method-specific identifier: the text after `did:method:`.
    #[must_use]
    pub fn method_specific_id(&self) -> &str {
        self.parts().1
    }

    /// Creates the did:jwk of a key. The JWK in it is canonical (RFC 8785), so that a key has exactly one such DID.
    #[must_use]
    pub fn did_jwk(key: &PublicKey) -> Self {
        Self(format!("did:jwk:{}", URL_SAFE_NO_PAD.encode(key.to_jwk_text())))
    }

    /// Creates the did:key of a key.
    #[must_use]
    pub fn did_key(key: &PublicKey) -> Self {
        Self(format!("did:key:{}", key.to_multikey()))
    }

    /// Returns the DID URL of a verification method of this DID.
    ///
    /// # Errors
    /// `did_malformed` if the fragment is empty or contains a forbidden character.
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

/// Returns whether every byte is allowed, or belongs to a well-formed percent-encoding.
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

/// DID URL with a fragment, which identifies a verification method.
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

    /// Returns the DID.
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

/// Verification relationship required for the use of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VerificationRelationship {
    /// Signing credentials and other statements, such as status lists.
    AssertionMethod,
    /// Signing presentations and presentation requests.
    Authentication,
}

impl VerificationRelationship {
    /// Returns `assertionMethod` or `authentication`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AssertionMethod => "assertionMethod",
            Self::Authentication => "authentication",
        }
    }
}

/// DID resolver. It does not fetch: an implementation answers from memory.
///
/// # Examples
/// ```
/// use carnet_core::{
///     did::{Did, DidUrl, VerificationRelationship, Resolve, SelfContainedResolver},
///     keys::{SignatureAlgorithm, SecretKey, Signer},
/// };
///
/// let secret = SecretKey::from_bytes(SignatureAlgorithm::EdDsa, &[7; 32])?;
/// let did = Did::did_key(&secret.public_key());
/// let method = DidUrl::parse(&format!("{did}#{}", did.method_specific_id()))?;
/// let key = SelfContainedResolver.resolve(&did)?.key_for(&method, VerificationRelationship::Authentication)?;
/// key.verify(b"nonce", &secret.sign(b"nonce")?)?;
/// # Ok::<(), carnet_core::Problem>(())
/// ```
pub trait Resolve: Send + Sync {
    /// Returns the document of `did`.
    ///
    /// # Errors
    /// `did_unsupported`, `did_unresolved`, `did_document_invalid`; for methods whose document is derived from the DID
    /// also `did_malformed`, `key_invalid` and `private_key_exposed`.
    fn resolve(&self, did: &Did) -> Result<Arc<DidDocument>, Problem>;
}

/// Resolver for a single DID, whose keys come from a trusted source instead of its published document. For every other
/// DID it returns `did_unresolved`.
#[derive(Debug, Clone)]
pub struct PinnedKeyResolver(Arc<DidDocument>);

impl PinnedKeyResolver {
    /// Pins keys for a DID, each with its fragment; they are usable for assertion and authentication.
    ///
    /// # Errors
    /// `did_document_invalid` for more than 100 keys.
    pub fn new(did: &Did, keys: &[(String, PublicKey)]) -> Result<Self, Problem> {
        DidDocument::parse(did, &DidDocument::json_for_keys(did, keys)).map(|document| Self(Arc::new(document)))
    }
}

impl Resolve for PinnedKeyResolver {
    fn resolve(&self, did: &Did) -> Result<Arc<DidDocument>, Problem> {
        if did == self.0.did() { Ok(Arc::clone(&self.0)) } else { Err(Code::DidUnresolved.into()) }
    }
}

/// Resolver that adds the keys of earlier versions to the documents of another resolver
/// ([`DidDocument::with_history`]). Use it to verify credentials, whose signing key may have been replaced since.
#[derive(Clone, Copy)]
pub struct KeyHistoryResolver<'a>(pub &'a dyn Resolve);

impl Resolve for KeyHistoryResolver<'_> {
    fn resolve(&self, did: &Did) -> Result<Arc<DidDocument>, Problem> {
        let document = self.0.resolve(did)?;
        Ok(if document.has_history() { Arc::new(document.with_history()) } else { document })
    }
}

/// Resolves the DID of a verification method, and returns the method's DID URL and its key, if the key may be used for
/// the purpose. Neither expiry nor retirement of the key is checked.
///
/// # Errors
/// Those of [`DidUrl::parse`], [`Resolve::resolve`] and [`DidDocument::key_for`].
pub fn resolve_key(
    resolver: &dyn Resolve,
    method: &str,
    purpose: VerificationRelationship,
) -> Result<(DidUrl, PublicKey), Problem> {
    let url = DidUrl::parse(method)?;
    let key = resolver.resolve(url.did())?.key_for(&url, purpose)?;
    Ok((url, key))
}
