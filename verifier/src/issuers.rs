//! The issuers that this verifier accepts: those that its configuration names, for the types it names, and no others.
//!
//! Their documents are fetched when the service starts and again in the background, so that verifying one person's
//! credential asks nobody anything. The DID of anyone else is never looked up: whoever presents cannot make this
//! service send a request.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use carnet_core::{
    Code, Problem,
    did::{Did, DidDocument, Resolve},
    time::Timestamp,
    verify::{Held, IssuerPolicy},
};
use carnet_fetch::{DidCache, HttpsFetcher};

/// How often it is looked in the background whether a document is due, and how soon a missing one is tried again.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(30);

/// From which age on a document is fetched again.
pub(crate) const OLD_AFTER: Duration = Duration::from_secs(600);

/// The accepted issuers and their documents.
pub(crate) struct Issuers {
    types: BTreeMap<Did, BTreeSet<String>>,
    cache: DidCache,
    fetcher: HttpsFetcher,
}

impl Issuers {
    pub(crate) fn new(types: BTreeMap<Did, BTreeSet<String>>, fetcher: HttpsFetcher) -> Self {
        Self { types, cache: DidCache::default(), fetcher }
    }

    /// Fetches every document that is missing or older than `max_age`. What cannot be had is warned of and tried again
    /// later; an older copy of it stays in use for a day.
    pub(crate) async fn refresh(&self, max_age: Duration) {
        for did in self.types.keys() {
            if let Err(problem) = self.cache.refresh(&self.fetcher, did, max_age).await {
                tracing::warn!(issuer = %did, code = %problem.code, detail = problem.detail, "an issuer's document could not be had; it is tried again, and a copy older than a day is not believed");
            }
        }
    }

    /// Whether the configuration names an issuer for a type.
    fn names(&self, issuer: &str, credential_type: &str) -> bool {
        let did = Did::parse(issuer).ok();
        did.and_then(|did| self.types.get(&did)).is_some_and(|types| types.contains(credential_type))
    }

    /// What their documents say at `now`, from memory: no verdict waits for a fetch or causes one.
    pub(crate) fn at(&self, now: Timestamp) -> IssuersAt<'_> {
        IssuersAt { issuers: self, now }
    }

    #[cfg(test)]
    pub(crate) fn put(&self, did: &Did, document: Arc<DidDocument>, at: Timestamp) {
        self.cache.insert(did, document, at);
    }
}

/// The accepted issuers at the time of one verdict.
pub(crate) struct IssuersAt<'a> {
    issuers: &'a Issuers,
    now: Timestamp,
}

impl IssuerPolicy for Issuers {
    fn accepts(&self, held: &Held) -> Result<(), Problem> {
        if self.names(held.credential.issuer(), &held.type_name) {
            return Ok(());
        }
        let type_name = &held.type_name;
        Err(Problem::new(Code::IssuerUntrusted, format!("this verifier does not accept {type_name} from that issuer")))
    }
}

impl Resolve for IssuersAt<'_> {
    fn resolve(&self, did: &Did) -> Result<Arc<DidDocument>, Problem> {
        let self_contained = matches!(did.method(), "jwk" | "key");
        if !self_contained && !self.issuers.types.contains_key(did) {
            return Err(Problem::new(
                Code::IssuerUntrusted,
                "that DID is not one of the accepted issuers, so its document is not looked up",
            ));
        }
        self.issuers.cache.resolve_at(did, self.now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUALIFICATION: &str = "QualificationCredential";

    fn issuers(did: &str) -> Issuers {
        let types = BTreeMap::from([(Did::parse(did).unwrap(), BTreeSet::from([QUALIFICATION.to_owned()]))]);
        Issuers::new(types, HttpsFetcher::new(carnet_fetch::FetchOptions::default()).unwrap())
    }

    #[test]
    fn row_68_only_named_issuers_for_named_types() {
        let issuers = issuers("did:web:uni.example");
        assert!(issuers.names("did:web:uni.example", QUALIFICATION));
        for (did, name) in [
            ("did:web:uni.example", "ResidencePermitCredential"),
            ("did:web:uni.example.org", QUALIFICATION),
            ("did:web:UNI.example", QUALIFICATION),
            ("https://uni.example", QUALIFICATION),
            ("", QUALIFICATION),
        ] {
            assert!(!issuers.names(did, name), "{did} {name}");
        }
    }

    #[test]
    fn row_73_a_did_that_is_not_configured_is_never_looked_up() {
        let issuers = issuers("did:web:uni.example");
        let outsider = Did::parse("did:web:internal.example").unwrap();
        let now = Timestamp::from_unix(1_795_305_600);
        assert_eq!(issuers.at(now).resolve(&outsider).unwrap_err().code, Code::IssuerUntrusted);
        let known = Did::parse("did:web:uni.example").unwrap();
        let key = carnet_core::keys::SecretKey::generate(carnet_core::keys::Algorithm::EdDsa, &mut rand_core::OsRng);
        let keys = [("key-1".to_owned(), carnet_core::keys::Signer::public_key(&key))];
        let document = DidDocument::parse(&known, &DidDocument::render(&known, &keys)).unwrap();
        issuers.put(&known, Arc::new(document), now);
        assert!(issuers.at(now).resolve(&known).is_ok());
    }
}
