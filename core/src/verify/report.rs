//! Checks of a verification, their outcomes, and [`Verified`], the result of a verification without failures.

use crate::{
    Code, Problem, format::CredentialFormat, keys::PublicKey, query::VerifiedThreshold, secure::sd_jwt::ClaimPath,
    time::Timestamp,
};

/// Check of a verification, with a stable name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CheckName {
    /// The bytes are well-formed, in a supported format.
    Format,
    /// The issuer's key was resolved and is permitted for assertion; for SD-JWTs only.
    IssuerKey,
    /// The issuer's signature or proof is valid, and so are the disclosures of an SD-JWT.
    Proof,
    /// The credential conforms to the data model, and its type is in the catalogue or an accepted foreign type. It has
    /// an end of validity, unless the foreign type permits that it has none.
    Model,
    /// The presentation is bound to the request by the holder's key: nonce, audience, age and, in an SD-JWT, the
    /// disclosures.
    HolderBinding,
    /// The threshold proofs are valid, if there are any.
    Thresholds,
    /// The holder who presents is the subject of the credential.
    HolderSubject,
    /// The current time is within the validity period.
    Validity,
    /// The credential is neither revoked nor suspended, if it has a status.
    Status,
    /// The issuer's message about the credential was read, if there is one. It never causes a refusal.
    StatusMessage,
    /// The disclosed claims conform to the schema of the type.
    Schema,
    /// The issuer is accepted for this credential.
    IssuerTrust,
    /// The response answers the query and, for SD-JWTs, discloses nothing that was not requested.
    Query,
    /// Credentials for one credential query are distinct, and no copy is used twice.
    Distinct,
    /// The holders of the credentials satisfy the holder rule.
    HolderRule,
}

impl CheckName {
    /// Returns the stable name, in `snake_case`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::IssuerKey => "issuer_key",
            Self::Proof => "proof",
            Self::Model => "model",
            Self::HolderBinding => "holder_binding",
            Self::Thresholds => "thresholds",
            Self::HolderSubject => "holder_subject",
            Self::Validity => "validity",
            Self::Status => "status",
            Self::StatusMessage => "status_message",
            Self::Schema => "schema",
            Self::IssuerTrust => "issuer_trust",
            Self::Query => "query",
            Self::Distinct => "distinct",
            Self::HolderRule => "holder",
        }
    }
}

/// Outcome of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VerificationOutcome {
    /// The check passed.
    Passed,
    /// The check failed, and so the verification.
    Failed(Problem),
    /// The check failed, and the verifier's policy tolerates the failure; it must be displayed as such.
    Tolerated(Problem),
    /// The check does not apply, for this reason.
    NotApplicable(&'static str),
}

/// One check of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerificationCheck {
    /// Name of the check.
    pub name: CheckName,
    /// Id of the credential query concerned; empty for the whole response, and for a credential without a presentation.
    pub query_id: String,
    /// Outcome of the check.
    pub outcome: VerificationOutcome,
}

/// Checks and their outcomes, in the order in which they were made. A check that depends on a failed one is absent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VerificationReport {
    checks: Vec<VerificationCheck>,
    presented_credentials: Vec<PresentedCredential>,
    messages: Vec<IssuerMessage>,
    issuer_time: Option<Timestamp>,
}

/// Issuer's message about a credential, for the verifier and not for the holder. Its text is not verified and does not
/// affect the result (spec/status.md 5.15).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerMessage {
    /// Id of the credential query concerned.
    pub query_id: String,
    /// Message number in the list; never 0.
    pub number: u8,
    /// Text from the credential, of any length and with any characters.
    pub text: String,
}

/// Content of a credential whose proof, holder binding and data model are valid, even if other checks failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresentedCredential {
    /// Id of the credential query that it answers.
    pub query_id: String,
    /// Name of its type in the catalogue.
    pub type_name: String,
    /// DID of its issuer.
    pub issuer: String,
    /// Format in which the credential was secured.
    pub format: CredentialFormat,
    /// Paths of the readable claims, disclosed or in the clear; never their values.
    pub disclosed_paths: Vec<ClaimPath>,
    /// Thresholds that were proved in place of values.
    pub proved_thresholds: Vec<VerifiedThreshold>,
    /// Holder's key with which the credential was presented.
    pub holder_key: PublicKey,
}

impl VerificationReport {
    /// Returns the checks, in order.
    #[must_use]
    pub fn checks(&self) -> &[VerificationCheck] {
        &self.checks
    }

    /// Returns the credentials whose proof, holder binding and data model are valid, even if the presentation was
    /// refused.
    #[must_use]
    pub fn presented_credentials(&self) -> &[PresentedCredential] {
        &self.presented_credentials
    }

    /// Returns the issuers' messages about the credentials.
    #[must_use]
    pub fn messages(&self) -> &[IssuerMessage] {
        &self.messages
    }

    /// Returns the latest time of issue of the verified credentials (`iat`) and freshness statements: a lower bound for
    /// the current time. `None` if there is none.
    #[must_use]
    pub fn latest_issue_time(&self) -> Option<Timestamp> {
        self.issuer_time
    }

    /// Records a time of issue that an issuer signed.
    pub(super) fn record_issuer_time(&mut self, at: Timestamp) {
        self.issuer_time = self.issuer_time.max(Some(at));
    }

    /// Records an issuer's message.
    pub(super) fn add_message(&mut self, message: IssuerMessage) {
        self.messages.push(message);
    }

    /// Records a credential that was read.
    pub(super) fn add_presented(&mut self, seen: PresentedCredential) {
        self.presented_credentials.push(seen);
    }

    /// Returns the first failure; `None` if no check failed.
    #[must_use]
    pub fn first_failure(&self) -> Option<&Problem> {
        self.checks.iter().find_map(|check| match &check.outcome {
            VerificationOutcome::Failed(problem) => Some(problem),
            _ => None,
        })
    }

    /// Returns whether there are failures, all due to an unknown key of an issuer: verification may succeed after the
    /// issuer's DID document is fetched again.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        let mut failures = self.checks.iter().filter_map(|check| match &check.outcome {
            VerificationOutcome::Failed(problem) => Some(problem.code),
            _ => None,
        });
        failures.next() == Some(Code::IssuerKeyUnknown) && failures.all(|code| code == Code::IssuerKeyUnknown)
    }

    /// Records the outcome of a check, and returns its value if it passed.
    pub(super) fn record<T>(&mut self, name: CheckName, about: &str, result: Result<T, Problem>) -> Option<T> {
        let (outcome, value) = match result {
            Ok(value) => (VerificationOutcome::Passed, Some(value)),
            Err(problem) => (VerificationOutcome::Failed(problem), None),
        };
        self.checks.push(VerificationCheck { name, query_id: about.to_owned(), outcome });
        value
    }

    /// Records that a check failed and that the failure is tolerated.
    pub(super) fn record_tolerated(&mut self, name: CheckName, about: &str, problem: Problem) {
        self.checks.push(VerificationCheck {
            name,
            query_id: about.to_owned(),
            outcome: VerificationOutcome::Tolerated(problem),
        });
    }

    /// Records that a check does not apply.
    pub(super) fn record_not_applicable(&mut self, name: CheckName, about: &str, why: &'static str) {
        self.checks.push(VerificationCheck {
            name,
            query_id: about.to_owned(),
            outcome: VerificationOutcome::NotApplicable(why),
        });
    }

    /// Returns the value as a verified one, if there was a check and none failed.
    pub(super) fn to_verified<T>(&self, value: Option<T>) -> Option<Verified<T>> {
        match (self.checks.is_empty(), self.first_failure()) {
            (false, None) => value.map(Verified),
            _ => None,
        }
    }
}

/// Value that passed every check. Only [`super::verify_credential`] and [`super::verify_presentation`] create it.
#[derive(Debug, Clone)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    /// Returns the value.
    #[must_use]
    pub fn get(&self) -> &T {
        &self.0
    }

    /// Returns the value by move.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.0
    }
}
