//! Drivers of DID methods: the rules by which a DID leads to its document.

use std::sync::Arc;

use super::{Did, DidDocument};
use crate::{Code, Problem, time::Timestamp};

/// Driver of a DID method. It fetches nothing: for a method whose documents are published, it names the files to be
/// fetched, and verifies them.
///
/// A method has either DIDs that contain their document ([`DidDriver::derive`]) or published files
/// ([`DidDriver::location`] and [`DidDriver::read`]).
pub trait DidDriver: Send + Sync {
    /// Returns the method name in DIDs, such as `web`.
    fn name(&self) -> &'static str;

    /// Derives the document from a DID that contains it; `None` if the method's documents are published.
    fn derive(&self, _did: &Did) -> Option<Result<DidDocument, Problem>> {
        None
    }

    /// Returns the published file from which resolution starts.
    ///
    /// # Errors
    /// `did_unsupported`: nothing is published; `did_malformed`.
    fn location(&self, did: &Did) -> Result<PublishedDidFile, Problem> {
        Err(unpublished(did))
    }

    /// Verifies the file of [`DidDriver::location`], fetched at `now`, and returns the document or the next file.
    ///
    /// # Errors
    /// `did_unsupported`: nothing is published; those of the method.
    fn read(&self, did: &Did, _file: &[u8], _now: Timestamp) -> Result<ResolutionStep, Problem> {
        Err(unpublished(did))
    }

    /// Returns the code for a published file that is invalid, in place of the codes of JSON and of proofs.
    fn invalid_code(&self) -> Code {
        Code::DidDocumentInvalid
    }
}

/// Published file of a DID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedDidFile {
    /// HTTPS URL.
    pub url: String,
    /// File name in the controller's data directory, such as `did.json`.
    pub name: &'static str,
    /// `Accept` header of its fetch.
    pub accept: &'static str,
    /// Maximum size, in bytes.
    pub max_bytes: usize,
}

/// DID resolved from its published files.
#[derive(Debug, Clone)]
pub struct ResolvedDid {
    /// Document; an error if the verified files state that there is none.
    pub document: Result<Arc<DidDocument>, Problem>,
    /// Time for which the document may be cached, in seconds, as stated by its controller; `None`: not stated.
    pub ttl: Option<u64>,
    /// Ids of all versions, oldest first; empty if the method has no history. An accepted id that a later resolution
    /// lacks shows that the history was rewritten.
    pub versions: Vec<String>,
}

impl ResolvedDid {
    /// Creates the result of a method without a history.
    #[must_use]
    pub fn without_history(document: DidDocument) -> Self {
        Self { document: Ok(Arc::new(document)), ttl: None, versions: Vec::new() }
    }
}

/// Step of a resolution.
pub enum ResolutionStep {
    /// Resolved.
    Resolved(ResolvedDid),
    /// Another file is needed, which the function verifies.
    Fetch(PublishedDidFile, FileReader),
}

/// Verification of a further file, fetched at the given time.
pub type FileReader = Box<dyn FnOnce(&[u8], Timestamp) -> Result<ResolutionStep, Problem> + Send>;

fn unpublished(did: &Did) -> Problem {
    Problem::new(Code::DidUnsupported, format!("a did:{} has no published document", did.method_name()))
}
