//! Public documents over HTTPS: DID documents, status list directories and trust lists.

use std::time::Duration;

use carnet_core::{
    Problem,
    did::{Did, Resolve},
};
use carnet_fetch::{DidCache, is_fetch_failure, local::is_localhost_did};
use carnet_wallet::{
    ports::{DidParty, DocumentSource},
    sanitise::sanitise,
};
use url::Url;

use crate::{
    client::ContactAnnouncer,
    failure::{Failure, FaultParty, Sentence},
    network::NetworkSettings,
    ui::wait_notice::ServiceNotices,
};

/// Maximum age of a DID document that is used without fetching it again.
const DID_AGE: Duration = Duration::from_secs(300);

/// Source of public documents over HTTPS, for one command.
pub(crate) struct HttpsDocuments {
    /// Cache of DID documents.
    pub(crate) dids: DidCache,
    pub(crate) network: NetworkSettings,
    pub(crate) waits: ServiceNotices,
    /// Hosts of strangers are announced before a document is fetched from them.
    pub(crate) contacts: ContactAnnouncer,
}

impl DocumentSource for HttpsDocuments {
    fn resolver(&self) -> &dyn Resolve {
        &self.dids
    }

    /// Fetches a document from an https URL that comes from the holder or an issuer.
    async fn download(&self, url: &str, accept: &str, max_bytes: usize) -> Result<Vec<u8>, Failure> {
        let host = Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
        self.contacts.announce_stranger(url);
        let _waiting = self.waits.notice(host.as_deref().unwrap_or(url)).begin();
        let bytes = self.network.fetcher()?.fetch(url, accept, max_bytes).await;
        bytes.map_err(|problem| not_downloaded(&problem, url))
    }

    async fn resolve(&self, did: &Did, whose: DidParty) -> Result<(), Failure> {
        let fetcher = self.network.fetcher()?;
        if let Ok(file) = fetcher.methods().location(did) {
            self.contacts.announce_stranger(&file.url);
        }
        let _waiting = self.waits.notice(did.as_str()).begin();
        self.dids.refresh(&fetcher, did, DID_AGE).await.map_err(|problem| not_resolved(&problem, did, whose))
    }

    async fn refetch(&self, did: &Did) {
        if let Ok(fetcher) = self.network.fetcher() {
            let _ = self.dids.refresh(&fetcher, did, Duration::ZERO).await;
        }
    }
}

fn not_downloaded(problem: &Problem, url: &str) -> Failure {
    let (message, hint, fault) = if is_fetch_failure(problem.code) {
        ("error-not-fetched", "hint-address-connection", FaultParty::Network)
    } else {
        ("error-fetched-refused", "hint-address-owner", FaultParty::Ours)
    };
    Failure::from_problem(problem, Sentence::new(message).with("url", sanitise(url)), Sentence::new(hint))
        .with_fault(fault)
}

fn not_resolved(problem: &Problem, did: &Did, whose: DidParty) -> Failure {
    let (message, hint) = match (whose, is_fetch_failure(problem.code)) {
        (DidParty::Issuer, true) => ("error-issuer-not-found", "hint-connection-test"),
        (DidParty::Verifier, true) => ("error-asker-not-found", "hint-connection-test"),
        (DidParty::Issuer, false) => ("error-issuer-document", "hint-tell-issuer-first"),
        (DidParty::Verifier, false) => ("error-asker-document", "hint-tell-asker-first"),
    };
    let is_unknown_here = is_fetch_failure(problem.code) && is_localhost_did(did.as_str());
    let hint = if is_unknown_here { "hint-local-unresolved" } else { hint };
    // The party has no name yet.
    let detail = format!("{did}: {}", sanitise(&problem.detail));
    let fault = match whose {
        _ if is_fetch_failure(problem.code) => FaultParty::Network,
        DidParty::Issuer => FaultParty::Issuer,
        DidParty::Verifier => FaultParty::Verifier,
    };
    let failure = Failure::from_problem(problem, Sentence::new(message), Sentence::new(hint)).with_fault(fault);
    Failure { message: failure.message.with_details(detail), ..failure }
}
