//! The issuer: its key, its catalogue, its rules and its memory.

use std::{collections::BTreeMap, sync::Arc};

use carnet_core::{
    did::{Did, DidDocument},
    epoch::Epoch,
    keys::Signer,
    time::Timestamp,
};
use carnet_service::{keys::PublicationFaults, store::OpenStore};
use carnet_spec::{Catalogue, CredentialType};

use crate::{
    cohorts::CohortPolicy,
    error::Error,
    format::{Format, configuration_id},
    freshness::Statements,
    nonces::Nonces,
    renewal::RenewalPolicy,
    status::StatusLists,
};

/// Where the time comes from: the system's clock, or a test's.
pub(crate) type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// How long an access token lives, in seconds (OpenID4VCI 1.0: one that is not bound to its sender lives 5 minutes at most).
pub(crate) const TOKEN_SECONDS: i64 = 300;
/// Time for which a sealed answer that waited for staff is kept for its wallet, in seconds: a day. The transaction's id is all that
/// the wallet can ask with.
pub(crate) const ANSWER_SECONDS: i64 = carnet_core::day::SECONDS;
/// How long a nonce lives, in seconds.
pub(crate) const NONCE_SECONDS: i64 = 300;

/// What the operator decides.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Display name by language tag.
    pub(crate) display_name: BTreeMap<String, String>,
    /// The most copies in one batch.
    pub(crate) max_batch_size: usize,
    /// How long an offer may be redeemed, in seconds.
    pub(crate) offer_ttl: u32,
    /// How long a deferred offer waits for its release and its holder, in seconds.
    pub(crate) deferred_ttl: u32,
    /// How long a wallet is told to wait before it asks again for what was deferred, in seconds.
    pub(crate) deferred_interval: u32,
    /// The most copies by refill in a day, for one offer.
    pub(crate) refill_copies_per_day: u32,
    /// How long a freshness statement holds, in seconds.
    pub(crate) freshness_seconds: u32,
    /// How far the days of copies are rounded down.
    pub(crate) cohorts: CohortPolicy,
    /// What is renewed, by type.
    pub(crate) renewal: BTreeMap<String, RenewalPolicy>,
    /// The types that are issued; empty: all of the catalogue.
    pub(crate) types: Vec<String>,
}

/// One issuer.
pub(crate) struct Issuer<S> {
    pub(crate) store: S,
    /// The ground of the store, which keeps the mark beside the keys.
    pub(crate) ground: OpenStore,
    pub(crate) signer: Box<dyn Signer>,
    pub(crate) nonces: Nonces,
    pub(crate) status: StatusLists,
    pub(crate) statements: Arc<tokio::sync::Mutex<Statements>>,
    pub(crate) did: Did,
    /// The DID URL of the signing key.
    pub(crate) kid: String,
    /// This issuer's own document, as far as its keys go.
    pub(crate) own: Arc<DidDocument>,
    pub(crate) catalogue: Catalogue,
    pub(crate) settings: Settings,
    /// The URL that offers name.
    pub(crate) endpoint: String,
    /// Faults in the published document and lists.
    pub(crate) faults: PublicationFaults,
    pub(crate) clock: Clock,
    #[cfg(feature = "jsonld")]
    pub(crate) rdfc: carnet_jsonld::EddsaRdfc2022,
}

/// A credential type in one format.
#[derive(Debug)]
pub(crate) struct Configuration<'a> {
    pub(crate) id: String,
    pub(crate) credential_type: &'a CredentialType,
    pub(crate) format: Format,
}

impl<S> Issuer<S> {
    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Every type that is issued, in every format that this key and this build can make.
    pub(crate) fn configurations(&self) -> impl Iterator<Item = Configuration<'_>> {
        let algorithm = self.signer.algorithm();
        let formats = move || Format::ALL.into_iter().filter(move |format| format.require_available(algorithm).is_ok());
        self.catalogue.types().filter(|known| self.issues(&known.name)).flat_map(move |credential_type| {
            formats().filter(|format| credential_type.is_issued_as(format.as_str())).map(move |format| Configuration {
                id: configuration_id(&credential_type.name, format),
                credential_type,
                format,
            })
        })
    }

    /// The type, if this issuer issues it.
    pub(crate) fn credential_type(&self, name: &str) -> Result<&CredentialType, Error> {
        self.catalogue.credential_type(name).filter(|known| self.issues(&known.name)).ok_or_else(|| Error::Invalid {
            reason: "TYPE_UNKNOWN",
            field: "credential_type".to_owned(),
            description: "this issuer issues no such type; ReadMetadata lists those that it does".to_owned(),
        })
    }

    /// Returns the epoch to whose beginning the days of a type's copies are rounded down.
    pub(crate) fn epoch(&self, credential_type: &str) -> Epoch {
        self.settings.cohorts.epoch_of(credential_type)
    }

    fn issues(&self, name: &str) -> bool {
        self.settings.types.is_empty() || self.settings.types.iter().any(|listed| listed == name)
    }
}
