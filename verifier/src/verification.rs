//! Verification of presentations and credentials, with this verifier's issuers, types and cryptosuites.

use std::{collections::BTreeMap, sync::Arc};

use carnet_core::{
    Problem,
    format::CredentialFormat,
    query::Query,
    secure::data_integrity::{Cryptosuite, Cryptosuites},
    status::freshness,
    time::{CLOCK_SKEW, Timestamp},
    verify::{self, PresentationContext, StatusPolicy, VerificationEnvironment, VerificationReport},
};
use carnet_spec::Catalogue;

use crate::{
    clock::ClockFloor,
    decisions::TrustDecisions,
    disclosed::DisclosedClaims,
    error::Error,
    issuers::AcceptedIssuers,
    status::StatusListCache,
    tasks::spawn_cpu,
    verdicts::{Verdict, VerificationResult},
};

/// Presentations by credential query id, each as SD-JWT+KB text or JSON text.
pub(crate) type VpToken = BTreeMap<String, Vec<String>>;

/// Presentation that was handed over directly, with the nonce that the caller gave out for it.
pub(crate) struct HandedOver {
    pub(crate) vp_token: VpToken,
    pub(crate) nonce: String,
}

/// Result of one of several verifications.
pub(crate) type HandedOverResult = Result<(Verdict, Option<DisclosedClaims>), Error>;

/// Verification with the accepted issuers, the catalogue, the status lists and the clock floor.
pub(crate) struct VerificationService {
    pub(crate) issuers: AcceptedIssuers,
    pub(crate) catalogue: Catalogue,
    /// Status lists of the accepted issuers.
    pub(crate) status_lists: StatusListCache,
    /// Clock floor: a lower bound for the current time.
    pub(crate) clock: ClockFloor,
    suites: Cryptosuites,
    /// Maximum age of a key binding, in seconds.
    key_binding_max_age: i64,
}

/// Query, nonce and audience to which a presentation must be bound, and its tolerances.
pub(crate) struct PresentationExpectations {
    pub(crate) query: Query,
    pub(crate) nonce: String,
    pub(crate) audience: String,
    /// Time for which an expired status list is still tolerated, in seconds.
    pub(crate) max_stale_seconds: i64,
    /// Maximum age of a freshness statement, in seconds.
    pub(crate) max_statement_age: i64,
}

impl VerificationService {
    /// Creates the service with an empty status list cache and clock floor.
    ///
    /// # Errors
    /// The catalogue's JSON-LD contexts are invalid.
    pub(crate) fn new(
        issuers: AcceptedIssuers,
        catalogue: Catalogue,
        statuses: StatusListCache,
        key_binding_max_age: i64,
    ) -> Result<Self, Problem> {
        let suites = supported_suites(&catalogue)?;
        Ok(Self {
            issuers,
            catalogue,
            status_lists: statuses,
            clock: ClockFloor::default(),
            suites,
            key_binding_max_age,
        })
    }

    /// Fetches the status lists that are due, as [`StatusListCache::refresh`].
    pub(crate) async fn refresh_status_lists(&self, at: Timestamp) {
        self.status_lists.refresh(&self.issuers, &self.suites, &self.clock, at).await;
    }

    /// Returns the credential formats that this verifier supports.
    pub(crate) fn supported_formats() -> &'static [CredentialFormat] {
        use CredentialFormat::{DcSdJwt, DiVcJcs, LdpVc, VcSdJwt};
        if cfg!(feature = "jsonld") { &[VcSdJwt, DcSdJwt, DiVcJcs, LdpVc] } else { &[VcSdJwt, DcSdJwt, DiVcJcs] }
    }

    /// Returns the format of credentials whose proofs have this cryptosuite.
    ///
    /// # Errors
    /// `cryptosuite_unknown`
    pub(crate) fn format_of_cryptosuite(&self, name: &str) -> Result<CredentialFormat, Problem> {
        self.suites.by_name(name).map(Cryptosuite::format)
    }

    /// Verifies a presentation, on a separate thread unless it is short, and raises the clock floor if it is accepted.
    /// Nothing is stored. The presentation is erased from memory.
    ///
    /// # Errors
    /// [`Error::IssuerKeyUnknown`]; [`Error::Internal`]. A failed check is no error: the result says so.
    pub(crate) async fn verify_presentation(
        self: &Arc<Self>,
        vp_token: VpToken,
        binding: PresentationExpectations,
        now: Timestamp,
    ) -> Result<VerificationResult, Error> {
        let is_short = is_short(&vp_token);
        let this = Arc::clone(self);
        let verify = move || {
            let policy = (binding.max_stale_seconds, binding.max_statement_age);
            this.verify_one(vp_token, (&binding.query, &binding.nonce, &binding.audience), policy, now)
        };
        if is_short { verify() } else { spawn_cpu(verify).await? }
    }

    /// Verifies several presentations for the same query and audience on one separate thread, one after the other, and
    /// returns their results in order. Each has an environment of its own, as if it came alone. Items that were refused
    /// before are returned as they are.
    ///
    /// # Errors
    /// [`Error::Internal`]
    pub(crate) async fn verify_presentations(
        self: &Arc<Self>,
        items: Vec<Result<HandedOver, Error>>,
        query: Query,
        audience: String,
        now: Timestamp,
    ) -> Result<Vec<HandedOverResult>, Error> {
        let this = Arc::clone(self);
        let verify = move |item: Result<HandedOver, Error>| {
            let HandedOver { vp_token, nonce } = item?;
            let policy = (0, freshness::DEFAULT_LIFETIME);
            let result = this.verify_one(vp_token, (&query, &nonce, &audience), policy, now)?;
            Ok((result.verdict, result.disclosed))
        };
        spawn_cpu(move || items.into_iter().map(verify).collect()).await
    }

    fn verify_one(
        &self,
        mut vp_token: VpToken,
        (query, nonce, audience): (&Query, &str, &str),
        policy: (i64, i64),
        now: Timestamp,
    ) -> Result<VerificationResult, Error> {
        let asked = PresentationContext { query, nonce, audience, max_age: self.key_binding_max_age };
        let ((report, verified), decisions) =
            self.with_environment(now, policy, |env| verify::verify_presentation(&vp_token, &asked, env));
        self.raise_clock_floor(&report, verified.is_some());
        vp_token.values_mut().flatten().for_each(zeroize::Zeroize::zeroize);
        require_known_keys(&report)?;
        let result = Verdict::for_presentation(&report, verified, query, now);
        Ok(VerificationResult { verdict: result.verdict.with_decisions(&report, decisions), ..result })
    }

    /// Verifies a credential without a presentation on a separate thread, and raises the clock floor if it is accepted.
    /// Nothing is stored. The credential is erased from memory.
    ///
    /// # Errors
    /// [`Error::IssuerKeyUnknown`]; [`Error::Internal`]. A failed check is no error: the result says so.
    pub(crate) async fn verify_credential(
        self: &Arc<Self>,
        mut bytes: Vec<u8>,
        now: Timestamp,
    ) -> Result<(Verdict, Option<DisclosedClaims>), Error> {
        let this = Arc::clone(self);
        spawn_cpu(move || {
            let policy = (0, freshness::DEFAULT_LIFETIME);
            let ((report, verified), decisions) =
                this.with_environment(now, policy, |env| verify::verify_credential(&bytes, env));
            this.raise_clock_floor(&report, verified.is_some());
            zeroize::Zeroize::zeroize(&mut bytes);
            require_known_keys(&report)?;
            let (verdict, disclosed) = Verdict::for_credential(&report, verified, now);
            Ok((verdict.with_decisions(&report, decisions), disclosed))
        })
        .await?
    }

    /// Raises the clock floor to the signing times in accepted input; refused input changes nothing.
    fn raise_clock_floor(&self, report: &VerificationReport, accepted: bool) {
        if let Some(at) = report.latest_issue_time().filter(|_| accepted) {
            self.clock.raise(at);
        }
    }

    /// Runs a verification with an environment of the current state, and returns its result and the decisions about the
    /// issuers.
    fn with_environment<T>(
        &self,
        now: Timestamp,
        (stale_by, statement_age): (i64, i64),
        run: impl FnOnce(&VerificationEnvironment<'_>) -> T,
    ) -> (T, TrustDecisions) {
        let decider = self.issuers.issuer_policy(now);
        // One consistent state of all lists for the whole verdict.
        let lists = self.status_lists.snapshot();
        let ran = run(&VerificationEnvironment {
            now,
            skew: CLOCK_SKEW,
            resolver: &self.issuers.documents_at(now),
            suites: &self.suites,
            issuer_policy: &decider,
            types: &self.catalogue,
            status_policy: StatusPolicy::Lists {
                lists: &lists,
                max_staleness: stale_by,
                max_statement_age: statement_age,
            },
        });
        (ran, decider.into_decisions())
    }
}

/// Returns whether a presentation takes less time than would be noticed by other calls: at most two SD-JWTs of at most
/// 16 KiB.
fn is_short(vp_token: &VpToken) -> bool {
    const MAX_BYTES: usize = 16_384;
    let mut texts = vp_token.values().flatten();
    texts.clone().count() <= 2 && texts.all(|text| text.len() <= MAX_BYTES && !text.trim_start().starts_with('{'))
}

/// Refuses input that may be valid once an issuer's document is fetched again. The input itself must not cause the
/// fetch: an issuer could track one person by a key that it gave to nobody else.
fn require_known_keys(report: &VerificationReport) -> Result<(), Error> {
    if report.is_retryable() { Err(Error::IssuerKeyUnknown) } else { Ok(()) }
}

/// Returns the supported cryptosuites. With the feature `jsonld`, those with RDF canonicalization are included, with
/// the JSON-LD contexts of the catalogue.
#[cfg_attr(not(feature = "jsonld"), allow(clippy::unnecessary_wraps))]
pub(crate) fn supported_suites(_catalogue: &Catalogue) -> Result<Cryptosuites, Problem> {
    let suites = Cryptosuites::jcs();
    #[cfg(feature = "jsonld")]
    let suites = carnet_jsonld::register_suites(suites, _catalogue.contexts()?)?;
    Ok(suites)
}
