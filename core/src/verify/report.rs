//! Checks of a verification, their outcomes, and the value that only a report without failures yields.

use crate::{
    Code, Problem, format::CredentialFormat, keys::PublicKey, query::Proved, secure::sd_jwt::ClaimPath, time::Timestamp,
};

/// A check, by its stable name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CheckName {
    /// The bytes are well-formed and in a format that is accepted.
    Format,
    /// The issuer's key was resolved, and may assert.
    IssuerKey,
    /// The issuer's signature or proof holds.
    Proof,
    /// The data model is obeyed.
    Model,
    /// The holder's key binding: nonce, audience, freshness, and exactly these disclosures.
    HolderBinding,
    /// The witnesses for thresholds, where there are any.
    Thresholds,
    /// The holder is the one the credential is about.
    HolderSubject,
    /// The validity period includes now.
    Validity,
    /// The status, where the credential has one.
    Status,
    /// The issuer's message on the credential, where the credential has any. It refuses nothing.
    StatusMessage,
    /// The type is in the catalogue, and the disclosed claims fit its schema.
    Schema,
    /// The issuer is accepted for the type.
    IssuerTrust,
    /// It answers the query, and no more.
    Query,
    /// The credentials for a query that asks for several differ, and no copy counts twice.
    Distinct,
    /// The credentials of an answer are whose the query says.
    Holder,
}

impl CheckName {
    /// The stable text, in `snake_case`.
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
            Self::Holder => "holder",
        }
    }
}

/// Outcome of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It holds.
    Passed,
    /// It does not.
    Failed(Problem),
    /// It fails, and the verifier's policy tolerates that: to be shown as such.
    Tolerated(Problem),
    /// It does not apply, and why.
    NotApplicable(&'static str),
}

/// One check of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Name of the check.
    pub name: CheckName,
    /// Id of the credential query that it is about; empty for the whole answer.
    pub about: String,
    /// Outcome of the check.
    pub outcome: Outcome,
}

/// Checks and their outcomes, in order. A check that depends on a failed one is absent: nothing is said of what was
/// not examined.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    checks: Vec<Check>,
    seen: Vec<Seen>,
    messages: Vec<Message>,
    issuer_time: Option<Timestamp>,
}

/// Issuer's message on a credential besides its validity: for the verifier, and not for the holder. Its truth is not
/// verified, and it decides nothing (spec/status.md 5.15).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Id of the credential query that it is about.
    pub about: String,
    /// The number in the list; never 0.
    pub number: u8,
    /// Meaning stated in the credential, of any length and with any characters.
    pub text: String,
}

/// Content of one credential whose proof and holder binding hold, even if other checks fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Id of the credential query that it answers.
    pub query_id: String,
    /// The name of its type in the catalogue.
    pub type_name: String,
    /// Its issuer.
    pub issuer: String,
    /// Its format.
    pub format: CredentialFormat,
    /// Paths of the readable claims, disclosed or in the clear; never their values.
    pub disclosed: Vec<ClaimPath>,
    /// The thresholds that were proved.
    pub proved: Vec<Proved>,
    /// The key that presented it.
    pub holder: PublicKey,
}

impl Report {
    /// The checks in order.
    #[must_use]
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// Credentials that were read, accepted or not: a verifier that refuses them has still read them.
    #[must_use]
    pub fn seen(&self) -> &[Seen] {
        &self.seen
    }

    /// The messages.
    #[must_use]
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// The latest time that an issuer signed as now: it was not before that when this report was made.
    #[must_use]
    pub fn issuer_time(&self) -> Option<Timestamp> {
        self.issuer_time
    }

    /// Notes a time that an issuer signed as now.
    pub(super) fn note_issuer_time(&mut self, at: Timestamp) {
        self.issuer_time = self.issuer_time.max(Some(at));
    }

    /// Notes a message.
    pub(super) fn hear(&mut self, message: Message) {
        self.messages.push(message);
    }

    /// Records a credential that was read.
    pub(super) fn see(&mut self, seen: Seen) {
        self.seen.push(seen);
    }

    /// The first failure.
    #[must_use]
    pub fn failure(&self) -> Option<&Problem> {
        self.checks.iter().find_map(|check| match &check.outcome {
            Outcome::Failed(problem) => Some(problem),
            _ => None,
        })
    }

    /// Returns whether every failure is that of an issuer's key which is not known yet: the same input may hold once
    /// the issuer's document was fetched again.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        let mut failures = self.checks.iter().filter_map(|check| match &check.outcome {
            Outcome::Failed(problem) => Some(problem.code),
            _ => None,
        });
        failures.next() == Some(Code::IssuerKeyUnknown) && failures.all(|code| code == Code::IssuerKeyUnknown)
    }

    /// Notes how a check ended, and hands on its value if it passed.
    pub(super) fn note<T>(&mut self, name: CheckName, about: &str, result: Result<T, Problem>) -> Option<T> {
        let (outcome, value) = match result {
            Ok(value) => (Outcome::Passed, Some(value)),
            Err(problem) => (Outcome::Failed(problem), None),
        };
        self.checks.push(Check { name, about: about.to_owned(), outcome });
        value
    }

    /// Notes that a check failed, and that this is let pass.
    pub(super) fn tolerate(&mut self, name: CheckName, about: &str, problem: Problem) {
        self.checks.push(Check { name, about: about.to_owned(), outcome: Outcome::Tolerated(problem) });
    }

    /// Notes that a check does not apply.
    pub(super) fn skip(&mut self, name: CheckName, about: &str, why: &'static str) {
        self.checks.push(Check { name, about: about.to_owned(), outcome: Outcome::NotApplicable(why) });
    }

    /// The value as a verified one, if something was checked and nothing failed.
    pub(super) fn seal<T>(&self, value: Option<T>) -> Option<Verified<T>> {
        match (self.checks.is_empty(), self.failure()) {
            (false, None) => value.map(Verified),
            _ => None,
        }
    }
}

/// A value that passed every check. Only [`super::credential`] and [`super::presentation`] make one.
#[derive(Debug, Clone)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    /// The value.
    #[must_use]
    pub fn get(&self) -> &T {
        &self.0
    }

    /// The value, taken out.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.0
    }
}
