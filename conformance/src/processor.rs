//! Issuance and verification of any document, by the conformance rules of core.

use carnet_core::{
    Code, Problem,
    conformance::{
        self, Enveloping, Environment, IssueOptions, KnownResource, SigningKey, VerificationOptions, verify_credential,
        verify_presentation,
    },
    did::{SelfContainedResolver, VerificationRelationship},
    secure::data_integrity::{Cryptosuites, ProofOptions},
    time::CLOCK_SKEW,
};
use carnet_jsonld::conformance::OpenJsonLd;
use carnet_service::time::now;
use rand_core::OsRng;
use serde_json::{Map, Value};

use crate::{
    profiles::{PROFILES, Profile, ProfileIssuer, Securing},
    status_lists::{StatusLists, StatusUpdate},
};

/// JSON object.
pub(crate) type Document = Map<String, Value>;

/// Options of a verification, as VC-API has them. Unknown ones are ignored.
#[derive(Debug, Default)]
pub(crate) struct RequestedChecks {
    pub(crate) expected_purpose: Option<String>,
    pub(crate) challenge: Option<String>,
    pub(crate) domain: Option<String>,
}

/// Kind of a document to verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DocumentKind {
    Credential,
    Presentation,
}

/// Processor with its keys and status lists, all of which end with the process.
pub(crate) struct Processor {
    issuers: Vec<(&'static Profile, ProfileIssuer)>,
    suites: Cryptosuites,
    json_ld: OpenJsonLd,
    resources: Vec<KnownResource>,
    lists: StatusLists,
}

impl Processor {
    /// Creates the processor with new keys. `base_url`: URL of this server, without a trailing slash.
    ///
    /// # Errors
    /// The bundled contexts are invalid, or a status list cannot be created.
    pub(crate) fn new(base_url: &str) -> Result<Self, Problem> {
        let json_ld = OpenJsonLd::new()?;
        Ok(Self {
            issuers: PROFILES.iter().map(|profile| (profile, ProfileIssuer::generate(profile.algorithm))).collect(),
            suites: json_ld.register(Cryptosuites::jcs()),
            json_ld,
            resources: KnownResource::published(),
            lists: StatusLists::new(base_url)?,
        })
    }

    /// Returns the profiles with their issuers.
    pub(crate) fn issuers(&self) -> impl Iterator<Item = (&'static Profile, &ProfileIssuer)> {
        self.issuers.iter().map(|(profile, issuer)| (*profile, issuer))
    }

    /// Returns the profile of a path; the first one for a path without a profile.
    fn profile(&self, name: Option<&str>) -> Option<(&'static Profile, &ProfileIssuer)> {
        match name {
            None => self.issuers().next(),
            Some(name) => self.issuers().find(|(profile, _)| profile.name == name),
        }
    }

    /// Returns whether there is a profile of this name; always true without a name.
    pub(crate) fn has_profile(&self, name: Option<&str>) -> bool {
        self.profile(name).is_some()
    }

    /// Issues a document with the key of a profile, and with a status entry if the profile has one.
    ///
    /// # Errors
    /// Those of [`conformance::issue`].
    pub(crate) fn issue(&self, profile: Option<&str>, mut document: Document) -> Result<Document, Problem> {
        let (profile, issuer) = self.profile(profile).ok_or(Code::UnknownFormat)?;
        if profile.with_status {
            self.lists.add_entries(profile.name, &mut document)?;
        }
        self.sign(profile, issuer, &document)
    }

    fn sign(&self, profile: &Profile, issuer: &ProfileIssuer, document: &Document) -> Result<Document, Problem> {
        let suite = match profile.securing {
            Securing::Suite(suite) => suite,
            Securing::Envelope(enveloping) => return self.envelop(enveloping, issuer, document),
        };
        let options = IssueOptions {
            proof: ProofOptions {
                verification_method: &issuer.method,
                purpose: VerificationRelationship::AssertionMethod,
                created: Some(now()),
                expires: None,
                challenge: None,
                domain: None,
            },
            default_issuer: Some(&issuer.did),
            proof_id: None,
            previous_proofs: &[],
        };
        self.with_environment(|env| {
            conformance::issue(document, self.suites.by_name(suite)?, &options, env, &issuer.key)
        })
    }

    /// Secures a credential in an envelope. One that names no issuer gets that of the profile.
    fn envelop(
        &self,
        enveloping: Enveloping,
        issuer: &ProfileIssuer,
        document: &Document,
    ) -> Result<Document, Problem> {
        let mut document = document.clone();
        if !document.contains_key("issuer") && !document.contains_key("verifiableCredential") {
            document.insert("issuer".to_owned(), issuer.did.as_str().into());
        }
        let key = SigningKey::Core(&issuer.key);
        let (form, kid) = ((enveloping, [].as_slice()), Some(issuer.method.as_str()));
        let token =
            self.with_environment(|env| conformance::issue_enveloped(&document, form, kid, env, &key, &mut OsRng))?;
        conformance::to_enveloped(&token)
    }

    /// Verifies a document.
    ///
    /// # Errors
    /// The first check that failed.
    pub(crate) fn verify(
        &self,
        kind: DocumentKind,
        document: &Document,
        requested: &RequestedChecks,
    ) -> Result<(), Problem> {
        let options = VerificationOptions {
            expected_purpose: requested.expected_purpose.as_deref(),
            challenge: requested.challenge.as_deref(),
            domain: requested.domain.as_deref(),
            check_validity: false,
            check_status: self.lists.are_named_in(document),
        };
        self.with_environment(|env| match kind {
            DocumentKind::Credential => verify_credential(document, env, &options),
            DocumentKind::Presentation => verify_presentation(document, env, &options),
        })
    }

    /// Changes a status of an issued credential.
    ///
    /// # Errors
    /// `status_index`: the credential, or this purpose of it, is unknown.
    pub(crate) fn change_status(&self, update: &StatusUpdate) -> Result<(), Problem> {
        self.lists.apply(update)
    }

    /// Returns the signed status list credential at a path below the base URL; `None` if there is none.
    ///
    /// # Errors
    /// Those of [`Self::issue`].
    pub(crate) fn status_list(&self, profile: &str, purpose: &str) -> Option<Result<Document, Problem>> {
        let (profile, issuer) = self.profile(Some(profile))?;
        let unsecured = self.lists.unsecured_list(profile.name, purpose, &issuer.did)?;
        Some(unsecured.and_then(|document| self.sign(profile, issuer, &document)))
    }

    fn with_environment<T>(&self, run: impl FnOnce(&Environment<'_>) -> T) -> T {
        run(&Environment {
            suites: &self.suites,
            resolver: &SelfContainedResolver,
            terms: &self.json_ld,
            status_lists: self,
            resources: &self.resources,
            now: now(),
            skew: CLOCK_SKEW,
        })
    }
}

/// Own lists alone: nothing is fetched.
impl conformance::StatusListSource for Processor {
    fn status_list(&self, url: &str) -> Option<Document> {
        let (profile, purpose) = self.lists.path_of(url)?;
        Self::status_list(self, profile, purpose)?.ok()
    }
}
