//! Core's pipeline with this verifier's issuers, types and cryptosuites.

use std::{collections::BTreeMap, sync::Arc};

use carnet_core::{
    Problem,
    query::Query,
    secure::data_integrity::{Cryptosuite, eddsa_jcs::EddsaJcs2022},
    status::freshness,
    time::{CLOCK_SKEW, Timestamp},
    verify::{self, Asked, Environment, Report, StatusPolicy},
};
use carnet_spec::Catalogue;

use crate::{
    clock::ClockFloor,
    error::Error,
    grounds::Grounds,
    issuers::Issuers,
    status::Statuses,
    verdicts::{Disclosed, Judged, Verdict},
};

/// By credential query id: SD-JWT+KB text, or a presentation's JSON text.
pub(crate) type VpToken = BTreeMap<String, Vec<String>>;

/// Everything that a verdict depends on but the input and the time.
pub(crate) struct Verification {
    pub(crate) issuers: Issuers,
    pub(crate) catalogue: Catalogue,
    pub(crate) statuses: Statuses,
    /// The time before which no clock can be right.
    pub(crate) clock: ClockFloor,
    suites: Vec<Box<dyn Cryptosuite>>,
    /// The greatest age of a key binding, in seconds.
    max_age: i64,
}

/// What an answer must be bound to.
pub(crate) struct Binding {
    pub(crate) query: Query,
    pub(crate) nonce: String,
    pub(crate) audience: String,
    /// For how many seconds past its time a status list still counts.
    pub(crate) stale_by: i64,
    /// How many seconds ago the epoch of a freshness statement may have begun.
    pub(crate) statement_age: i64,
}

impl Verification {
    pub(crate) fn new(
        issuers: Issuers,
        catalogue: Catalogue,
        statuses: Statuses,
        max_age: i64,
    ) -> Result<Self, Problem> {
        let suites = suites(&catalogue)?;
        Ok(Self { issuers, catalogue, statuses, clock: ClockFloor::default(), suites, max_age })
    }

    /// The credential formats that this verifier can verify.
    pub(crate) fn formats() -> &'static [&'static str] {
        if cfg!(feature = "jsonld") {
            &["vc+sd-jwt", "dc+sd-jwt", "di_vc+jcs", "ldp_vc"]
        } else {
            &["vc+sd-jwt", "dc+sd-jwt", "di_vc+jcs"]
        }
    }

    /// Verifies an answer, off the threads that serve calls.
    ///
    /// # Errors
    /// [`Error::IssuerKeyUnknown`]
    pub(crate) async fn presentation(
        self: &Arc<Self>,
        mut vp_token: VpToken,
        binding: Binding,
        now: Timestamp,
    ) -> Result<Judged, Error> {
        let this = Arc::clone(self);
        blocking(move || {
            let asked = Asked {
                query: &binding.query,
                nonce: &binding.nonce,
                audience: &binding.audience,
                max_age: this.max_age,
            };
            let policy = (binding.stale_by, binding.statement_age);
            let ((report, verified), grounds) =
                this.with_environment(now, policy, |env| verify::presentation(&vp_token, &asked, env));
            this.note_time(&report, verified.is_some());
            vp_token.values_mut().flatten().for_each(zeroize::Zeroize::zeroize);
            require_known_keys(&report)?;
            Ok(Verdict::on_presentation(&report, verified, &binding.query, now).on_grounds(&report, grounds))
        })
        .await?
    }

    /// Verifies a credential that was handed over directly, off the threads that serve calls.
    ///
    /// # Errors
    /// [`Error::IssuerKeyUnknown`]
    pub(crate) async fn credential(
        self: &Arc<Self>,
        mut bytes: Vec<u8>,
        now: Timestamp,
    ) -> Result<(Verdict, Option<Disclosed>), Error> {
        let this = Arc::clone(self);
        blocking(move || {
            let policy = (0, freshness::DEFAULT_SECONDS);
            let ((report, verified), grounds) =
                this.with_environment(now, policy, |env| verify::credential(&bytes, env));
            this.note_time(&report, verified.is_some());
            zeroize::Zeroize::zeroize(&mut bytes);
            require_known_keys(&report)?;
            let (verdict, disclosed) = Verdict::on_credential(&report, verified, now);
            Ok((verdict.on_grounds(&report, grounds), disclosed))
        })
        .await?
    }

    /// Raises the floor of the clock to what issuers signed as now in what was accepted.
    fn note_time(&self, report: &Report, accepted: bool) {
        if let Some(at) = report.issuer_time().filter(|_| accepted) {
            self.clock.raise(at);
        }
    }

    /// Runs the pipeline, and says why each issuer was accepted or refused.
    fn with_environment<T>(
        &self,
        now: Timestamp,
        (stale_by, statement_age): (i64, i64),
        run: impl FnOnce(&Environment<'_>) -> T,
    ) -> (T, Grounds) {
        let suites: Vec<&dyn Cryptosuite> = self.suites.iter().map(AsRef::as_ref).collect();
        let judging = self.issuers.judging(now);
        // One state of all lists for the whole verdict.
        let lists = self.statuses.snapshot();
        let ran = run(&Environment {
            now,
            skew: CLOCK_SKEW,
            resolver: &self.issuers.at(now),
            suites: &suites,
            issuers: &judging,
            types: &self.catalogue,
            status: StatusPolicy::Lists { lists: &lists, stale_by, statement_age },
        });
        (ran, judging.into_grounds())
    }
}

/// Refuses input that may hold once an issuer's document was fetched again. It is not fetched because of the input: an
/// issuer could watch one person by a key that it publishes to nobody.
fn require_known_keys(report: &Report) -> Result<(), Error> {
    if report.is_retryable() { Err(Error::IssuerKeyUnknown) } else { Ok(()) }
}

pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::Internal(error.to_string()))
}

#[cfg(not(feature = "jsonld"))]
fn suites(_catalogue: &Catalogue) -> Result<Vec<Box<dyn Cryptosuite>>, Problem> {
    Ok(vec![Box::new(EddsaJcs2022)])
}

#[cfg(feature = "jsonld")]
fn suites(catalogue: &Catalogue) -> Result<Vec<Box<dyn Cryptosuite>>, Problem> {
    Ok(vec![Box::new(EddsaJcs2022), Box::new(rdfc(catalogue)?)])
}

/// eddsa-rdfc-2022 over the catalogue's contexts, which are bundled and pinned.
#[cfg(feature = "jsonld")]
pub(crate) fn rdfc(catalogue: &Catalogue) -> Result<carnet_jsonld::EddsaRdfc2022, Problem> {
    let contexts = catalogue
        .types()
        .flat_map(carnet_spec::CredentialType::contexts)
        .map(|(url, bytes, sha256)| {
            let text =
                String::from_utf8(bytes.to_vec()).map_err(|_| Problem::from(carnet_core::Code::InvalidUnicode))?;
            Ok((url.to_owned(), text, sha256.to_owned()))
        })
        .collect::<Result<Vec<_>, Problem>>()?;
    carnet_jsonld::EddsaRdfc2022::new(contexts)
}
