//! What a running service finds in its own published document.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use carnet_core::{
    Problem,
    did::{Did, DidDocument},
};
use carnet_fetch::HttpsFetcher;

use super::{Keyring, document, register::Register};
use crate::{config::StartError, time};

/// How often it is looked at.
const EVERY: Duration = Duration::from_secs(3_600);

/// The document of a DID as it is published.
pub(super) async fn published(did: &Did, fetcher: &HttpsFetcher) -> Result<Arc<DidDocument>, Problem> {
    match did.method() {
        "webvh" => fetcher.did_webvh(did, time::now()).await.and_then(|log| log.document()),
        _ => fetcher.did_web(did).await,
    }
}

/// Whoever restored a whole data directory from a backup of before a key leaked has keys and document that fit each other, and
/// only what is published knows better. So a service looks there at its start and every hour.
pub struct Watch {
    data: PathBuf,
    fetcher: HttpsFetcher,
    register: Arc<Register>,
}

impl Watch {
    /// For these keys.
    #[must_use]
    pub fn new(data: &Path, fetcher: HttpsFetcher, keys: &Keyring) -> Self {
        Self { data: data.to_owned(), fetcher, register: keys.shared() }
    }

    /// Ends when the published document of `did`, the service's own, knows more of the keys than this service, with what is
    /// wrong. A document that cannot be had says nothing.
    pub async fn older_than_published(self, did: Did) -> StartError {
        if !matches!(did.method(), "web" | "webvh") {
            return std::future::pending().await;
        }
        let mut ticks = tokio::time::interval(EVERY);
        loop {
            ticks.tick().await;
            let Ok(document) = published(&did, &self.fetcher).await else { continue };
            let newest =
                document::require_newest(&self.data, "the published document", &did, &document, &self.register);
            if let Err(older) = newest {
                return StartError::new(
                    older.message.replace("Nothing was started or changed.", "The service has stopped."),
                    older.hint,
                );
            }
        }
    }
}
