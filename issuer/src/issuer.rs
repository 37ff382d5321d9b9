//! Issuer: its key, catalogue, settings and store, shared by all use cases.

use std::{collections::BTreeMap, sync::Arc};

use carnet_core::{
    did::{Did, DidDocument},
    epoch::Epoch,
    format::CredentialFormat,
    keys::Signer,
    secure::data_integrity::Cryptosuites,
    spelling::nearest_name,
    text::quoted,
    time::Timestamp,
};
use carnet_service::keys::PublicationProblems;
use carnet_spec::{Catalogue, CredentialType};

use crate::{
    error::Error,
    format::{configuration_id, require_supported_format},
    nonces::NonceIssuer,
    policy::{cohorts::CohortPolicy, renewal::RenewalPolicy},
    statements::StatementCache,
    status::StatusPublisher,
};

/// Source of the current time: the system clock, or that of a test.
pub(crate) type IssuerClock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Lifetime of an access token, in seconds (OpenID4VCI 1.0: at most 5 minutes for one that is not sender-constrained).
pub(crate) const TOKEN_SECONDS: i64 = 300;
/// Retention of the encrypted response to a deferred request, in seconds: one day. The wallet needs only the
/// transaction id to fetch it.
pub(crate) const RESPONSE_SECONDS: i64 = carnet_core::day::SECONDS;
/// Lifetime of a nonce, in seconds.
pub(crate) const NONCE_SECONDS: i64 = 300;
/// Maximum number of characters of an unknown type name that an error repeats.
const MAX_SHOWN_CHARS: usize = 100;

/// Settings from the configuration that the use cases need.
#[derive(Debug, Clone)]
pub(crate) struct IssuerSettings {
    /// Display name by language tag.
    pub(crate) display_name: BTreeMap<String, String>,
    /// Maximum number of copies in one batch.
    pub(crate) max_batch_size: usize,
    /// Time during which an offer can be redeemed, in seconds.
    pub(crate) offer_ttl_seconds: u32,
    /// Time during which a deferred offer can be released and collected, in seconds.
    pub(crate) deferred_ttl_seconds: u32,
    /// Minimum time between a wallet's requests for a deferred credential, in seconds.
    pub(crate) deferred_interval_seconds: u32,
    /// Maximum number of copies that refills and renewals of one offer may issue within 24 hours.
    pub(crate) refill_copies_per_day: u32,
    /// Maximum number of copies that refills of one offer may issue in all; it restarts with each renewal.
    pub(crate) refill_copies_in_all: u32,
    /// Number of entries of new status lists.
    pub(crate) list_entries: u64,
    /// Retention period of an offer's record, in days, from the end of its last copy.
    pub(crate) record_days: u32,
    /// Lifetime of a freshness statement, in seconds, from the start of its epoch of six hours.
    pub(crate) freshness_seconds: u32,
    /// Epochs to which the copies' dates are rounded.
    pub(crate) cohort_policy: CohortPolicy,
    /// Renewal rules by credential type; a type without rules is not renewable.
    pub(crate) renewal_policies: BTreeMap<String, RenewalPolicy>,
    /// Credential types to issue; empty: all types of the catalogue.
    pub(crate) issued_types: Vec<String>,
}

/// Issuer with everything that its use cases need. They are methods, generic over the store.
pub(crate) struct Issuer<S> {
    pub(crate) store: S,
    pub(crate) signer: Box<dyn Signer>,
    pub(crate) nonces: NonceIssuer,
    /// Published status lists.
    pub(crate) status_publisher: StatusPublisher,
    /// Cached freshness statements.
    pub(crate) statement_cache: Arc<tokio::sync::Mutex<StatementCache>>,
    pub(crate) did: Did,
    /// DID URL of the signing key.
    pub(crate) kid: String,
    /// DID document with this issuer's keys, to verify its own signatures.
    pub(crate) own_document: Arc<DidDocument>,
    pub(crate) catalogue: Catalogue,
    pub(crate) settings: IssuerSettings,
    /// Public URL of this issuer: its credential issuer identifier in OpenID4VCI.
    pub(crate) issuer_url: String,
    /// Current problems with the published DID document and status lists, shared with the tasks that check them.
    pub(crate) publication_faults: PublicationProblems,
    pub(crate) clock: IssuerClock,
    pub(crate) suites: Cryptosuites,
}

/// Credential configuration (OpenID4VCI): a credential type in one format, with its id.
#[derive(Debug)]
pub(crate) struct SupportedConfiguration<'a> {
    pub(crate) id: String,
    pub(crate) credential_type: &'a CredentialType,
    pub(crate) format: CredentialFormat,
}

impl<S> Issuer<S> {
    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Returns a credential configuration for each issued type and each format that this issuer's key and build
    /// support.
    pub(crate) fn supported_configurations(&self) -> impl Iterator<Item = SupportedConfiguration<'_>> {
        let algorithm = self.signer.algorithm();
        let suites = &self.suites;
        let formats = move || {
            CredentialFormat::ALL
                .into_iter()
                .filter(move |format| require_supported_format(*format, algorithm, suites).is_ok())
        };
        self.catalogue.types().filter(|known| self.issues_type(&known.name)).flat_map(move |credential_type| {
            formats().filter(|format| credential_type.can_be_issued_as(*format)).map(move |format| {
                SupportedConfiguration { id: configuration_id(&credential_type.name, format), credential_type, format }
            })
        })
    }

    /// Returns the credential type of this name.
    ///
    /// # Errors
    /// [`Error::Invalid`] if this issuer does not issue it; the message suggests a similar name.
    pub(crate) fn credential_type(&self, name: &str) -> Result<&CredentialType, Error> {
        let known = self.catalogue.credential_type(name).filter(|known| self.issues_type(&known.name));
        known.ok_or_else(|| self.unknown_type_error(name))
    }

    /// Creates the error for a type that this issuer does not issue, with the most similar type name, or all of them if
    /// none is similar.
    fn unknown_type_error(&self, name: &str) -> Error {
        let issued = || self.catalogue.types().map(|known| known.name.as_str()).filter(|known| self.issues_type(known));
        let meant = match nearest_name(name, issued()) {
            Some(meant) => format!("the nearest is {meant}"),
            None => format!("it issues {}", issued().collect::<Vec<_>>().join(", ")),
        };
        let name: String = name.chars().take(MAX_SHOWN_CHARS).collect();
        Error::Invalid {
            reason: "TYPE_UNKNOWN",
            field: "credential_type".to_owned(),
            description: format!("this issuer issues no type {}; {meant}", quoted(&name)),
        }
    }

    /// Returns the epoch to whose start the dates of copies of a type are rounded down.
    pub(crate) fn validity_epoch(&self, credential_type: &str) -> Epoch {
        self.settings.cohort_policy.epoch_of(credential_type)
    }

    fn issues_type(&self, name: &str) -> bool {
        self.settings.issued_types.is_empty() || self.settings.issued_types.iter().any(|listed| listed == name)
    }
}
