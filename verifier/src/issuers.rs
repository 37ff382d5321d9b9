//! Accepted issuers: those in the configuration, with their types, and those accredited by the trust list, if
//! configured.
//!
//! Their DID documents are fetched at the start of the service and then in the background, never during a verification.
//! Other DIDs are never resolved, so that holders cannot cause requests.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use carnet_core::{
    Code, Problem,
    did::{Did, DidDocument, Resolve},
    time::Timestamp,
    trust::list::{AccreditationQuestion, LimitingClaims, TrustList},
    verify::{IssuerPolicy, VerifiedCredential},
};
use carnet_fetch::{DidCache, HttpsFetcher, is_fetch_failure};
use carnet_service::time::now;
use tokio::task::JoinSet;

use crate::{
    decisions::{NOT_CONFIGURED, TrustDecision, TrustDecisions},
    store::Store,
    trust::ConfiguredTrustList,
};

/// Interval between checks for documents to be fetched, and retry delay after a failure.
pub(crate) const CHECK_INTERVAL: Duration = Duration::from_secs(30);

/// Maximum number of concurrent fetches of documents: a trust list can have thousands of issuers, of which some are
/// unreachable.
const MAX_CONCURRENT_FETCHES: usize = 16;

/// Age at which a document is fetched again.
pub(crate) const REFRESH_AGE: Duration = Duration::from_secs(600);

/// Accepted issuers and their DID documents.
pub(crate) struct AcceptedIssuers {
    /// Issuers in the configuration, with the types accepted from them.
    configured: BTreeMap<Did, BTreeSet<String>>,
    trust: Option<ConfiguredTrustList>,
    /// Claims that may limit an accreditation, for all types of the catalogue, by type name.
    limiting_claims: BTreeMap<String, LimitingClaims>,
    cache: DidCache,
    fetcher: HttpsFetcher,
}

impl AcceptedIssuers {
    pub(crate) fn new(
        configured: BTreeMap<Did, BTreeSet<String>>,
        trust: Option<ConfiguredTrustList>,
        limiting_claims: BTreeMap<String, LimitingClaims>,
        fetcher: HttpsFetcher,
    ) -> Self {
        let cache = DidCache::new(fetcher.methods().clone());
        Self { configured, trust, limiting_claims, cache, fetcher }
    }

    /// Stores the last accepted entry of each did:webvh log in a file ([`DidCache::persist_in`]).
    ///
    /// # Errors
    /// The file is unreadable or malformed.
    pub(crate) fn persist_in(&self, file: PathBuf) -> std::io::Result<()> {
        self.cache.persist_in(file)
    }

    /// Reads the trust list from its source, if one is configured. A URL is not read again within `max_age` while a
    /// list is in force. Failures are logged as warnings.
    pub(crate) async fn refresh_trust<S: Store>(&self, store: &S, max_age: Duration, now: Timestamp) {
        if let Some(trust) = &self.trust {
            // It logs its own warnings.
            let _ = trust.refresh(store, (&self.fetcher, &self.cache), max_age, now).await;
        }
    }

    /// Returns the issuers whose documents and status lists are prefetched: those in the configuration, and those of
    /// the trust list with an accreditation, current or expired, for a type of the catalogue.
    pub(crate) fn issuer_dids(&self) -> BTreeSet<Did> {
        let list = self.trust.as_ref().and_then(ConfiguredTrustList::current_list);
        let listed = list.iter().flat_map(|list| &list.contents().issuers);
        let known = |name: &String| self.limiting_claims.contains_key(name);
        let listed = listed.filter(|entry| entry.accreditations.iter().any(|held| held.types.iter().any(known)));
        let supported = |did: &Did| self.cache.methods().supports(did);
        let listed = listed.filter_map(|entry| Did::parse(&entry.id).ok()).filter(supported);
        self.configured.keys().cloned().chain(listed).collect()
    }

    /// Fetches every document that is missing or older than `max_age`: those of the issuers, and then those of the
    /// status list signers that they name. Failures are logged as warnings and retried later; the old document remains
    /// in use for one day. Returns whether any document changed.
    pub(crate) async fn refresh(&self, max_age: Duration) -> bool {
        let issuers = self.issuer_dids();
        let changed = self.fetch_documents(&issuers, max_age).await;
        let now = now();
        let documents = issuers.iter().filter_map(|did| self.cache.resolve_at(did, now).ok());
        let named: BTreeSet<Did> = documents.filter_map(|document| document.status_list_issuer().cloned()).collect();
        self.fetch_documents(&named.difference(&issuers).cloned().collect(), max_age).await || changed
    }

    async fn fetch_documents(&self, dids: &BTreeSet<Did>, max_age: Duration) -> bool {
        let mut waiting = dids.iter().cloned();
        let mut running = JoinSet::new();
        let mut changed = false;
        loop {
            while running.len() < MAX_CONCURRENT_FETCHES
                && let Some(did) = waiting.next()
            {
                let (cache, fetcher) = (self.cache.clone(), self.fetcher.clone());
                running.spawn(async move { (cache.refresh_and_compare(&fetcher, &did, max_age).await, did) });
            }
            let Some(done) = running.join_next().await else { return changed };
            match done {
                Ok((Err(problem), did)) => log_document_problem(&did, &problem),
                Ok((Ok(differs), _)) => changed |= differs,
                Err(_) => {}
            }
        }
    }

    /// Returns the HTTPS fetcher for documents and status lists.
    pub(crate) fn fetcher(&self) -> HttpsFetcher {
        self.fetcher.clone()
    }

    /// Returns a fetcher of the DID documents of status list signers, for lists signed with an unknown key.
    pub(crate) fn signer_document_fetcher(&self) -> SignerDocumentFetcher {
        SignerDocumentFetcher { cache: self.cache.clone(), fetcher: self.fetcher.clone() }
    }

    /// Returns the documents with which an issuer's status lists are verified: its own, and that of the status list
    /// signer that it names, if any. If the second is not available, the reason is returned in its place.
    ///
    /// # Errors
    /// The issuer's document cannot be resolved, or the issuer is not accepted.
    pub(crate) fn status_list_documents(&self, did: &Did, now: Timestamp) -> Result<StatusListDocuments, Problem> {
        let issuer = self.documents_at(now).resolve(did)?;
        // The cache is used directly: a status list signer is not thereby an accepted issuer.
        let named = issuer.status_list_issuer().map(|named| self.cache.resolve_at(named, now)).transpose();
        let (named, missing) = named.map_or_else(|problem| (None, Some(problem)), |named| (named, None));
        Ok(StatusListDocuments { issuer, list_signer: named, list_signer_problem: missing })
    }

    /// Returns whether any accepted issuer has a revoked key. Of the copies signed with such a key, only those with a
    /// freshness statement are accepted (spec/status.md 5.13).
    pub(crate) fn any_issuer_key_revoked(&self, now: Timestamp) -> bool {
        let at = self.documents_at(now);
        self.issuer_dids().iter().any(|did| at.resolve(did).is_ok_and(|document| document.has_revoked_key()))
    }

    /// Returns whether a DID is an issuer in the configuration or in the current trust list, for any type.
    fn lists_issuer(&self, did: &Did) -> bool {
        let listed = |list: Arc<TrustList>| list.contents().issuer(did.as_str()).is_some();
        self.configured.contains_key(did)
            || self.trust.as_ref().and_then(ConfiguredTrustList::current_list).is_some_and(listed)
    }

    /// Returns whether the configuration lists an issuer with a type.
    fn is_configured_for(&self, issuer: &str, credential_type: &str) -> bool {
        let did = Did::parse(issuer).ok();
        did.and_then(|did| self.configured.get(&did)).is_some_and(|types| types.contains(credential_type))
    }

    /// Creates the issuer policy for one verification at `now`, with the current trust list.
    pub(crate) fn issuer_policy(&self, now: Timestamp) -> ConfiguredIssuerPolicy<'_> {
        let list = self.trust.as_ref().map(ConfiguredTrustList::require_list);
        ConfiguredIssuerPolicy { issuers: self, list, now, decisions: Mutex::default() }
    }

    /// Returns a resolver of the cached documents at `now`, which never waits for a fetch.
    pub(crate) fn documents_at(&self, now: Timestamp) -> IssuerDocumentResolver<'_> {
        IssuerDocumentResolver { issuers: self, now }
    }

    #[cfg(test)]
    pub(crate) fn put(&self, did: &Did, document: Arc<DidDocument>, at: Timestamp) {
        self.cache.insert_document(did, document, at);
    }
}

/// Resolver of the cached documents of accepted issuers, at the time of one verification. It also resolves did:key and
/// did:jwk, and refuses every other DID.
pub(crate) struct IssuerDocumentResolver<'a> {
    issuers: &'a AcceptedIssuers,
    now: Timestamp,
}

/// Documents with which the status lists of an issuer are verified.
#[derive(Debug, Clone)]
pub(crate) struct StatusListDocuments {
    /// Document of the issuer of the credentials.
    pub(crate) issuer: Arc<DidDocument>,
    /// Document of the status list signer that the issuer's document names; `None` if it names none, or if the document
    /// is not available.
    pub(crate) list_signer: Option<Arc<DidDocument>>,
    /// Reason why the document of the status list signer is not available.
    pub(crate) list_signer_problem: Option<Problem>,
}

impl StatusListDocuments {
    /// Returns whether both documents are equal, regardless of the reason why one is missing.
    pub(crate) fn same_documents(&self, others: &Self) -> bool {
        self.issuer == others.issuer && self.list_signer == others.list_signer
    }
}

/// Fetcher of the DID documents of status list signers. Clones share the document cache.
#[derive(Clone)]
pub(crate) struct SignerDocumentFetcher {
    cache: DidCache,
    fetcher: HttpsFetcher,
}

impl SignerDocumentFetcher {
    /// Fetches the document needed for a list signed by `signer`: that of the signer, if the issuer's document names it
    /// as status list signer; otherwise the issuer's document, which may name another signer by now. The document of a
    /// newly named signer is fetched too. Returns whether a document changed.
    ///
    /// # Errors
    /// Those of [`DidCache::refresh_and_compare`] and [`DidCache::resolve_at`].
    pub(crate) async fn fetch_for_list(&self, known: &StatusListDocuments, signer: &Did) -> Result<bool, Problem> {
        let issuer = known.issuer.did();
        let named = known.issuer.status_list_issuer();
        let signer = if named == Some(signer) { signer } else { issuer };
        let changed = self.cache.refresh_and_compare(&self.fetcher, signer, Duration::ZERO).await?;
        let document = self.cache.resolve_at(issuer, now())?;
        let Some(newly) = document.status_list_issuer().filter(|newly| named != Some(*newly)) else {
            return Ok(changed);
        };
        let fetched = self.cache.refresh_and_compare(&self.fetcher, newly, REFRESH_AGE).await;
        // A change of the issuer's document counts even if the other document is still missing.
        if changed { Ok(true) } else { fetched }
    }
}

impl Resolve for StatusListDocuments {
    fn resolve(&self, did: &Did) -> Result<Arc<DidDocument>, Problem> {
        let known = [Some(&self.issuer), self.list_signer.as_ref()].into_iter().flatten();
        known.into_iter().find(|document| document.did() == did).cloned().ok_or_else(|| {
            match &self.list_signer_problem {
                // The list may be valid: only the signer's document is missing.
                Some(problem) if is_fetch_failure(problem.code) => {
                    Problem::new(Code::StatusListUnavailable, problem.detail.clone())
                }
                Some(problem) => problem.clone(),
                None => {
                    Problem::new(Code::StatusListIssuer, "the issuer's document does not name that DID for its lists")
                }
            }
        })
    }
}

const NOT_ACCEPTED_MEANING: &str = "This verifier does not accept this type from that issuer.";

/// Issuer policy of one verification, by the configuration and the trust list; it records its decisions.
pub(crate) struct ConfiguredIssuerPolicy<'a> {
    issuers: &'a AcceptedIssuers,
    /// Current trust list, or the reason why there is none; `None` if no trust list is configured.
    list: Option<Result<Arc<TrustList>, Problem>>,
    now: Timestamp,
    decisions: Mutex<Vec<TrustDecision>>,
}

impl ConfiguredIssuerPolicy<'_> {
    /// Returns the decisions made, and the one for issuers that are not listed.
    pub(crate) fn into_decisions(self) -> TrustDecisions {
        let stranger = match &self.list {
            None => TrustDecision::for_unaccepted_issuer("", NOT_CONFIGURED, NOT_ACCEPTED_MEANING),
            Some(Err(problem)) => TrustDecision::for_unaccepted_issuer("", problem.code.as_str(), &problem.detail),
            Some(Ok(list)) => TrustDecision::for_unlisted_issuer(list.contents().sequence),
        };
        TrustDecisions { made: self.decisions.into_inner().unwrap_or_else(PoisonError::into_inner), unlisted: stranger }
    }

    fn decide(&self, held: &VerifiedCredential) -> TrustDecision {
        let (issuer, name) = (held.credential.issuer(), held.type_name.as_str());
        if self.issuers.is_configured_for(issuer, name) {
            return TrustDecision::for_configured_issuer(issuer, name);
        }
        // Trust lists name types of the catalogue: a foreign type is accepted from its configured issuers alone.
        let is_known = self.issuers.limiting_claims.contains_key(name);
        match self.list.as_ref().filter(|_| is_known) {
            None => TrustDecision::for_unaccepted_issuer(name, NOT_CONFIGURED, NOT_ACCEPTED_MEANING),
            Some(Err(problem)) => TrustDecision::for_unaccepted_issuer(name, problem.code.as_str(), &problem.detail),
            Some(Ok(list)) => {
                let limiting = self.issuers.limiting_claims.get(name).cloned().unwrap_or_default();
                TrustDecision::from_trust_list(
                    &list.decide(&AccreditationQuestion::for_credential(held, &limiting), self.now),
                    name,
                )
            }
        }
    }
}

impl IssuerPolicy for ConfiguredIssuerPolicy<'_> {
    fn check_issuer(&self, held: &VerifiedCredential) -> Result<(), Problem> {
        let decision = self.decide(held);
        let result = decision.to_check_result();
        self.decisions.lock().unwrap_or_else(PoisonError::into_inner).push(decision);
        result
    }
}

impl Resolve for IssuerDocumentResolver<'_> {
    fn resolve(&self, did: &Did) -> Result<Arc<DidDocument>, Problem> {
        let self_contained = did.is_self_contained();
        if !self_contained && !self.issuers.lists_issuer(did) {
            return Err(Problem::new(
                Code::IssuerUntrusted,
                "that DID is not one of the accepted issuers, so its document is not looked up",
            ));
        }
        self.issuers.cache.resolve_at(did, self.now)
    }
}

/// Logs a warning about a missing or invalid document.
fn log_document_problem(did: &Did, problem: &Problem) {
    let Problem { code, detail } = problem;
    if is_fetch_failure(*code) {
        tracing::warn!(
            issuer = %did, %code, detail,
            "the document of an issuer, or of a status list signer, could not be fetched; retrying; a copy older than \
             a day is not used"
        );
    } else {
        tracing::warn!(
            issuer = %did, %code, detail,
            "the document of an issuer, or of a status list signer, was fetched and is refused; retrying; a copy older \
             than a day is not used"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUALIFICATION: &str = "QualificationCredential";

    fn issuers(did: &str) -> AcceptedIssuers {
        let types = BTreeMap::from([(Did::parse(did).unwrap(), BTreeSet::from([QUALIFICATION.to_owned()]))]);
        AcceptedIssuers::new(
            types,
            None,
            BTreeMap::new(),
            HttpsFetcher::new(carnet_fetch::FetchOptions::default()).unwrap(),
        )
    }

    #[test]
    fn row_68_only_named_issuers_for_named_types() {
        let issuers = issuers("did:web:uni.example");
        assert!(issuers.is_configured_for("did:web:uni.example", QUALIFICATION));
        for (did, name) in [
            ("did:web:uni.example", "ResidencePermitCredential"),
            ("did:web:uni.example.org", QUALIFICATION),
            ("did:web:UNI.example", QUALIFICATION),
            ("https://uni.example", QUALIFICATION),
            ("", QUALIFICATION),
        ] {
            assert!(!issuers.is_configured_for(did, name), "{did} {name}");
        }
    }

    #[test]
    fn row_73_a_did_that_is_not_configured_is_never_looked_up() {
        let issuers = issuers("did:web:uni.example");
        let outsider = Did::parse("did:web:internal.example").unwrap();
        let now = Timestamp::from_unix(1_795_305_600);
        assert_eq!(issuers.documents_at(now).resolve(&outsider).unwrap_err().code, Code::IssuerUntrusted);
        let known = Did::parse("did:web:uni.example").unwrap();
        let key =
            carnet_core::keys::SecretKey::generate(carnet_core::keys::SignatureAlgorithm::EdDsa, &mut rand_core::OsRng);
        let keys = [("key-1".to_owned(), carnet_core::keys::Signer::public_key(&key))];
        let document = DidDocument::parse(&known, &DidDocument::json_for_keys(&known, &keys)).unwrap();
        issuers.put(&known, Arc::new(document), now);
        assert!(issuers.documents_at(now).resolve(&known).is_ok());
        // A signer named by an issuer is resolved for its lists only.
        let lists = Did::parse("did:web:lists.example").unwrap();
        let named = DidDocument::parse(&lists, &DidDocument::json_for_keys(&lists, &keys)).unwrap();
        issuers.put(&lists, Arc::new(named), now);
        let documents = issuers.status_list_documents(&known, now).unwrap();
        assert_eq!(
            (documents.list_signer.is_none(), documents.resolve(&lists).unwrap_err().code),
            (true, Code::StatusListIssuer)
        );
        let document = DidDocument::json_for_keys(&known, &keys);
        let mut document = DidDocument::with_status_lists(&known, document, "https://uni.example/status/lists");
        document["service"][0]["statusListIssuer"] = lists.as_str().into();
        issuers.put(&known, Arc::new(DidDocument::parse(&known, &document).unwrap()), now);
        let documents = issuers.status_list_documents(&known, now).unwrap();
        assert_eq!(documents.list_signer.map(|document| document.did().clone()), Some(lists.clone()));
        assert_eq!(issuers.documents_at(now).resolve(&lists).unwrap_err().code, Code::IssuerUntrusted);
        assert_eq!(issuers.status_list_documents(&lists, now).unwrap_err().code, Code::IssuerUntrusted);
    }
}
