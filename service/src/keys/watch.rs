//! Regular comparison of a running service's keys with its published DID document, and the problems that a service
//! finds in its own publications.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use carnet_core::{
    Problem,
    did::{Did, DidDocument},
};
use carnet_fetch::HttpsFetcher;

use super::{Keyring, comparison, register::KeyRegister};
use crate::{config::StartError, time};

/// Interval between two checks.
const CHECK_INTERVAL: Duration = Duration::from_secs(3_600);
/// Interval between two checks while there is a problem.
const RETRY_INTERVAL: Duration = Duration::from_secs(60);

/// Subject of the problems with the DID document.
const DOCUMENT: &str = "the DID document";

/// Current problems with a service's publications, by subject. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct PublicationProblems(Arc<Mutex<BTreeMap<&'static str, String>>>);

impl PublicationProblems {
    /// Records the result of a check of a subject in place of the previous one, and logs it if it changed.
    pub fn record_check(&self, what: &'static str, found: Result<(), String>) {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match found {
            Ok(()) if faults.remove(what).is_some() => tracing::info!("published as expected: {what}"),
            Ok(()) => tracing::debug!("published as expected: {what}"),
            Err(fault) if faults.get(what) == Some(&fault) => {}
            Err(fault) => {
                tracing::warn!("{fault}");
                faults.insert(what, fault);
            }
        }
    }

    /// Returns the current problems as sentences; empty if there are none.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

/// Fetches the published document of a did:web or did:webvh DID, and verifies the log of a did:webvh.
///
/// # Errors
/// Those of [`HttpsFetcher::resolve_did`]; `did_deactivated`.
pub async fn fetch_published_document(did: &Did, fetcher: &HttpsFetcher) -> Result<Arc<DidDocument>, Problem> {
    fetcher.resolve_did(did, time::now()).await?.document
}

/// Parses the fetched document of a did:web DID, or verifies the fetched log of a did:webvh DID.
///
/// # Errors
/// Those of [`HttpsFetcher::read_did`].
pub(crate) async fn parse_published(
    did: &Did,
    bytes: &[u8],
    fetcher: &HttpsFetcher,
) -> Result<Arc<DidDocument>, Problem> {
    fetcher.read_did(did, bytes, time::now()).await?.document
}

/// Returns the name of the file that the operator publishes.
pub(super) fn published_name(did: &Did, fetcher: &HttpsFetcher) -> &'static str {
    fetcher.methods().location(did).map_or("did.json", |file| file.name)
}

/// Regular comparison of the keys with the published DID document, at the start of a service and every hour. After an
/// old backup of the whole data directory was restored, only the published document shows that a key was compromised
/// since.
pub struct PublishedKeysWatch {
    data: PathBuf,
    fetcher: HttpsFetcher,
    register: Arc<KeyRegister>,
    faults: PublicationProblems,
}

impl PublishedKeysWatch {
    /// Creates the comparison for these keys; problems are recorded in `faults`.
    #[must_use]
    pub fn new(data: &Path, fetcher: HttpsFetcher, keys: &Keyring, faults: PublicationProblems) -> Self {
        Self { data: data.to_owned(), fetcher, register: keys.shared_register(), faults }
    }

    /// Compares regularly, until the published document of `did`, the service's own, has newer information about a key
    /// than the register; returns that error. A document that cannot be fetched or lacks a key is only recorded. Never
    /// returns for a DID that is not published.
    pub async fn watch_until_register_outdated(self, did: Did) -> StartError {
        if !did.has_published_document() {
            return std::future::pending().await;
        }
        loop {
            let document = match fetch_published_document(&did, &self.fetcher).await {
                Ok(document) => document,
                Err(problem) => {
                    let what = format!(
                        "The DID document of {did} could not be fetched from its published address, and without it \
                         nobody can verify this service's signatures: {problem}."
                    );
                    self.faults.record_check(DOCUMENT, Err(what));
                    tokio::time::sleep(RETRY_INTERVAL).await;
                    continue;
                }
            };
            let newest =
                comparison::require_newest(&self.data, "the published document", &did, &document, &self.register);
            if let Err(older) = newest {
                return older.with_consequence("The service has stopped.");
            }
            let right = self.check_document(&did, &document);
            let pause = if right.is_ok() { CHECK_INTERVAL } else { RETRY_INTERVAL };
            self.faults.record_check(DOCUMENT, right);
            tokio::time::sleep(pause).await;
        }
    }

    /// Checks that the published document lists every key of this service in its current state; the error is a
    /// sentence.
    fn check_document(&self, did: &Did, document: &DidDocument) -> Result<(), String> {
        let differences = comparison::document_differences(did, document, &self.register);
        if differences.is_empty() {
            return Ok(());
        }
        let file = self.data.join(published_name(did, &self.fetcher));
        Err(format!(
            "The published DID document of {did} does not match this service's keys, so verifiers may refuse its \
             signatures: {}. Publish {}.",
            differences.join("; "),
            file.display()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_known_until_the_next_look_finds_it_gone() {
        let faults = PublicationProblems::default();
        let seen_by_another = faults.clone();
        faults.record_check("a", Err("A is wrong.".to_owned()));
        faults.record_check("b", Err("B is wrong.".to_owned()));
        faults.record_check("a", Err("A is wrong.".to_owned()));
        assert_eq!(seen_by_another.problems(), ["A is wrong.", "B is wrong."]);
        faults.record_check("a", Ok(()));
        assert_eq!(seen_by_another.problems(), ["B is wrong."]);
    }
}
