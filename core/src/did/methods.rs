//! Registry of DID methods, and the names of those of this crate.

use std::{fmt, sync::Arc};

use super::{
    Did, DidDocument, DidDriver, PublishedDidFile, Resolve, jwk::DidJwk, key::DidKey, web::DidWeb, webvh::DidWebVh,
};
use crate::{Code, Problem};

/// DID methods that a program supports, by name. A program builds the registry once and passes it to everything that
/// resolves DIDs.
#[derive(Clone, Default)]
pub struct DidMethods(Vec<Arc<dyn DidDriver>>);

impl DidMethods {
    /// Returns a registry without methods: every DID is refused.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Returns the methods of this crate: did:key, did:jwk, did:web and did:webvh.
    #[must_use]
    pub fn standard() -> Self {
        Self::none().with(DidKey).with(DidJwk).with(DidWeb).with(DidWebVh)
    }

    /// Adds a method, or replaces the one of the same name.
    #[must_use]
    pub fn with(mut self, driver: impl DidDriver + 'static) -> Self {
        self.0.retain(|other| other.name() != driver.name());
        self.0.push(Arc::new(driver));
        self
    }

    /// Returns the driver for a DID.
    ///
    /// # Errors
    /// `did_unsupported`
    pub fn driver(&self, did: &Did) -> Result<&dyn DidDriver, Problem> {
        let name = did.method_name();
        let driver = self.0.iter().map(AsRef::as_ref).find(|driver| driver.name() == name);
        driver.ok_or_else(|| unsupported(did))
    }

    /// Returns whether the method of a DID is supported.
    #[must_use]
    pub fn supports(&self, did: &Did) -> bool {
        self.driver(did).is_ok()
    }

    /// Returns the published file of a DID from which resolution starts.
    ///
    /// # Errors
    /// `did_unsupported`, also for methods whose DIDs contain their document; `did_malformed`.
    pub fn location(&self, did: &Did) -> Result<PublishedDidFile, Problem> {
        self.driver(did)?.location(did)
    }

    /// Returns the names of the methods, such as `did:web`.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|driver| format!("did:{}", driver.name()))
    }
}

impl fmt::Debug for DidMethods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

fn unsupported(did: &Did) -> Problem {
    Problem::new(Code::DidUnsupported, format!("did:{} is not supported here", did.method_name()))
}

/// Resolves the DIDs that contain their document.
impl Resolve for DidMethods {
    fn resolve(&self, did: &Did) -> Result<Arc<DidDocument>, Problem> {
        self.driver(did)?.derive(did).unwrap_or_else(|| Err(Code::DidUnresolved.into())).map(Arc::new)
    }
}

/// DID method that a rule names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DidMethod {
    /// did:key: the DID contains the key.
    Key,
    /// did:jwk: the DID contains the key as a JWK.
    Jwk,
    /// did:web: the document is on a web site.
    Web,
    /// did:webvh: a web site has a log that proves the history of the document.
    WebVh,
    /// Another method, which no rule names.
    Other,
}

impl Did {
    /// Returns the DID method.
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

    /// Returns whether the document is derived from the DID itself (did:key, did:jwk), without a fetch.
    #[must_use]
    pub fn is_self_contained(&self) -> bool {
        matches!(self.method(), DidMethod::Key | DidMethod::Jwk)
    }

    /// Returns whether the document is published and fetched (did:web, did:webvh). A cached copy of such a document may
    /// lack a newer key of its controller.
    #[must_use]
    pub fn has_published_document(&self) -> bool {
        matches!(self.method(), DidMethod::Web | DidMethod::WebVh)
    }
}

/// Resolver for did:key and did:jwk, whose documents are derived from the DID.
#[derive(Debug, Clone, Copy, Default)]
pub struct SelfContainedResolver;

impl Resolve for SelfContainedResolver {
    fn resolve(&self, did: &Did) -> Result<Arc<DidDocument>, Problem> {
        let drivers: [&dyn DidDriver; 2] = [&DidKey, &DidJwk];
        let driver = drivers.into_iter().find(|driver| driver.name() == did.method_name());
        driver.and_then(|driver| driver.derive(did)).unwrap_or_else(|| Err(unsupported(did))).map(Arc::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{SecretKey, SignatureAlgorithm, Signer as _};

    /// Method of one key, which is not in the DID.
    struct Fixed;

    impl DidDriver for Fixed {
        fn name(&self) -> &'static str {
            "fixed"
        }

        fn derive(&self, did: &Did) -> Option<Result<DidDocument, Problem>> {
            let key = SecretKey::from_bytes(SignatureAlgorithm::EdDsa, &[7; 32]).unwrap().public_key();
            Some(Ok(DidDocument::from_single_key(did, "0", key)))
        }
    }

    #[test]
    fn a_registered_method_resolves_and_another_is_refused() {
        let did = Did::parse("did:fixed:a").unwrap();
        let refused = |methods: &DidMethods| methods.resolve(&did).unwrap_err().code;
        assert_eq!(refused(&DidMethods::standard()), Code::DidUnsupported);
        assert_eq!(SelfContainedResolver.resolve(&did).unwrap_err().code, Code::DidUnsupported);
        let methods = DidMethods::standard().with(Fixed);
        assert_eq!(methods.resolve(&did).unwrap().did(), &did);
        assert!(methods.supports(&did) && !DidMethods::standard().supports(&did));
        assert_eq!(format!("{methods:?}"), r#"["did:key", "did:jwk", "did:web", "did:webvh", "did:fixed"]"#);
        assert_eq!(refused(&DidMethods::none()), Code::DidUnsupported);
        assert_eq!(methods.location(&did).unwrap_err().code, Code::DidUnsupported, "nothing is published of it");
    }

    #[test]
    fn a_method_that_publishes_names_its_file_and_is_not_resolved_without_it() {
        let methods = DidMethods::standard();
        for (text, url, name) in [
            ("did:web:uni.example", "https://uni.example/.well-known/did.json", "did.json"),
            (
                "did:webvh:QmaQmViZ6varjf5HtkXpK8P5oMzhE61XH2siBdbyvN3ubX:uni.example:a",
                "https://uni.example/a/did.jsonl",
                "did.jsonl",
            ),
        ] {
            let did = Did::parse(text).unwrap();
            let file = methods.location(&did).unwrap();
            assert_eq!((file.url.as_str(), file.name), (url, name));
            assert_eq!(methods.resolve(&did).unwrap_err().code, Code::DidUnresolved, "{text}");
        }
        let key = SecretKey::from_bytes(SignatureAlgorithm::EdDsa, &[7; 32]).unwrap().public_key();
        for did in [Did::did_key(&key), Did::did_jwk(&key)] {
            assert_eq!(methods.resolve(&did), SelfContainedResolver.resolve(&did));
            assert_eq!(methods.location(&did).unwrap_err().code, Code::DidUnsupported);
        }
    }
}
