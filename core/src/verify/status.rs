//! Status of credentials: by prefetched status lists, or by the issuer's freshness statement stapled to the
//! presentation (spec/status.md, spec/freshness.md).

use std::{collections::HashMap, hash::BuildHasher, sync::Arc};

use serde_json::Value;

use super::{CheckName, IssuerMessage, VerificationEnvironment, VerificationReport};
use crate::{
    Code, Problem,
    credential::Credential,
    status::{ListValidity, StatusPurpose, VerifiedStatusList, bitstring, message, token},
};

/// `type` of the `credentialStatus` entry for the `status` claim of a converted SD-JWT VC.
pub(super) const TOKEN_ENTRY: &str = "TokenStatusList";
/// Reason why no message was read if a freshness statement replaces the status lists.
const NOT_LOOKED_AT: &str = "no status list was read: the freshness statement carries no messages";

/// Cache of verified status lists.
pub trait StatusLists: Send + Sync {
    /// Returns the list at a URL for an issuer's credentials, from memory, without waiting; `None` if there is none.
    /// The caller checks whether it is too old.
    fn list(&self, issuer: &str, url: &str) -> Option<&VerifiedStatusList>;

    /// Returns the reason why there is no list at that URL, or no newer one: [`Code::StatusListUnavailable`] if nothing
    /// was fetched, another code if the fetched list is invalid. `None` if unknown, which is the default.
    fn unavailable_reason(&self, _issuer: &str, _url: &str) -> Option<Problem> {
        None
    }

    /// Returns the lifetime of an issuer's freshness statements, in seconds, as published by the issuer; `None` if
    /// unknown, which is the default.
    fn freshness_seconds(&self, _issuer: &str) -> Option<u32> {
        None
    }
}

/// Status lists by the DID of the issuer of the listed credentials, then by URL: two issuers may have lists at the same
/// URL, signed by the same service.
impl<S: BuildHasher + Send + Sync> StatusLists for HashMap<String, HashMap<String, Arc<VerifiedStatusList>, S>, S> {
    fn list(&self, issuer: &str, url: &str) -> Option<&VerifiedStatusList> {
        self.get(issuer)?.get(url).map(AsRef::as_ref)
    }
}

/// Source of credential statuses.
#[derive(Clone, Copy)]
pub enum StatusPolicy<'a> {
    /// Status lists, or a freshness statement in their place. An unknown, unavailable or stale status fails the check.
    Lists {
        /// Cache of status lists.
        lists: &'a dyn StatusLists,
        /// Grace period, in seconds, during which a stale list is still used and the check is reported as tolerated. 0:
        /// none.
        max_staleness: i64,
        /// Maximum age of a freshness statement, from its `iat`, in seconds. Older statements are ignored in favour of
        /// the lists.
        max_statement_age: i64,
    },
    /// Not checked, with the reason: for an issuer that knows the status itself, or a holder that has just received the
    /// credential.
    NotChecked(&'static str),
}

/// Checks every entry of `credentialStatus` and of a token's `status`, and the stapled freshness statement, if there is
/// one.
pub(super) fn check_status(
    report: &mut VerificationReport,
    about: &str,
    credential: &Credential,
    stapled: Option<Result<ListValidity, Problem>>,
    env: &VerificationEnvironment<'_>,
) -> Option<()> {
    let StatusPolicy::Lists { lists, max_staleness: stale_by, .. } = env.status_policy else {
        if let StatusPolicy::NotChecked(why) = env.status_policy {
            report.record_not_applicable(CheckName::Status, about, why);
        }
        return Some(());
    };
    let (stapled, passed_over) = match stapled {
        Some(Ok(stapled)) => match require_usable(&stapled, credential.issuer(), env) {
            Ok(()) => (Some(Ok(stapled)), None),
            Err(problem) => (None, Some(problem)),
        },
        other => (other, None),
    };
    if !credential.has_status() && stapled.is_none() {
        report.record_not_applicable(CheckName::Status, about, "the credential has no status");
        return Some(());
    }
    let vouched = stapled.is_some();
    let judged = stapled.transpose().and_then(|stapled| {
        let mut tolerated = None;
        for entry in entries(credential)? {
            let issuer = credential.issuer();
            tolerated = match &stapled {
                Some(stapled) => entry.check_vouched(issuer, lists, stapled, env).map(|()| None)?,
                None => tolerated.or(entry.check_list(issuer, lists, stale_by.max(0), env)?),
            };
        }
        Ok(tolerated)
    });
    let holds = match judged {
        Ok(Some(problem)) => {
            report.record_tolerated(CheckName::Status, about, problem);
            Some(())
        }
        Ok(None) => report.record(CheckName::Status, about, Ok(())),
        Err(problem) => report.record(CheckName::Status, about, Err(with_ignored_statement(problem, passed_over))),
    };
    for entry in entries_of(credential).iter().filter(|entry| is_message(entry)) {
        match message(entry, credential.issuer(), lists, env) {
            Ok((number, text)) => {
                report.record(CheckName::StatusMessage, about, Ok(()));
                if number > 0 {
                    report.add_message(IssuerMessage { query_id: about.to_owned(), number, text });
                }
            }
            Err(_) if vouched => report.record_not_applicable(CheckName::StatusMessage, about, NOT_LOOKED_AT),
            Err(problem) => report.record_tolerated(CheckName::StatusMessage, about, problem),
        }
    }
    holds
}

/// Checks that a valid freshness statement may replace status lists: it is not older than the verifier accepts, and its
/// lifetime is the one that the issuer publishes, since another lifetime could distinguish a copy.
pub(super) fn require_usable(
    stapled: &ListValidity,
    issuer: &str,
    env: &VerificationEnvironment<'_>,
) -> Result<(), Problem> {
    let StatusPolicy::Lists { lists, max_statement_age: statement_age, .. } = env.status_policy else { return Ok(()) };
    if env.now > stapled.issued_at.plus(statement_age) {
        let what = format!(
            "the freshness statement is from {}, older than the accepted {statement_age} seconds",
            stapled.issued_at
        );
        return Err(Problem::new(Code::StatusListStale, what));
    }
    let holds = stapled.expires_at.map(|until| until.unix().saturating_sub(stapled.issued_at.unix()));
    let stated = lists.freshness_seconds(issuer);
    if stated.is_some_and(|stated| holds != Some(stated.into())) {
        let what = "the freshness statement's validity period differs from the one that its issuer publishes";
        return Err(Problem::new(Code::MalformedValue, what));
    }
    Ok(())
}

/// Adds the reason why a freshness statement was ignored to the detail of an error.
fn with_ignored_statement(problem: Problem, passed_over: Option<Problem>) -> Problem {
    match passed_over {
        Some(over) => Problem::new(problem.code, format!("{}; {}", problem.detail, over.detail)),
        None => problem,
    }
}

/// Status reference of a credential, in either format.
enum StatusEntry {
    Bitstring(bitstring::BitstringStatusListEntry),
    Token(token::TokenStatusReference),
}

/// Returns the entries of `credentialStatus`; empty if it is absent.
fn entries_of(credential: &Credential) -> &[Value] {
    match credential.document().get("credentialStatus") {
        Some(Value::Array(several)) => several.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    }
}

fn is_message(entry: &Value) -> bool {
    let text = |name: &str| entry.get(name).and_then(Value::as_str);
    text("type") == Some(bitstring::ENTRY_TYPE) && text("statusPurpose") == Some(StatusPurpose::Message.as_str())
}

/// Returns all entries that decide the status; messages do not. An unknown entry is an error, not ignored.
fn entries(credential: &Credential) -> Result<Vec<StatusEntry>, Problem> {
    let document = credential.document();
    let listed = entries_of(credential);
    let mut found = Vec::new();
    for entry in listed.iter().filter(|entry| !is_message(entry)) {
        found.push(if entry.get("type").and_then(Value::as_str) == Some(TOKEN_ENTRY) {
            let status = entry.get("status").ok_or(Code::StatusUnsupported)?;
            StatusEntry::Token(token::TokenStatusReference::parse(status)?)
        } else {
            StatusEntry::Bitstring(bitstring::BitstringStatusListEntry::parse(entry)?)
        });
    }
    if let Some(status) = document.get("status") {
        found.push(StatusEntry::Token(token::TokenStatusReference::parse(status)?));
    }
    // The status is empty, or contains only messages, so that no list would be checked.
    let silent = listed.is_empty() && document.contains_key("credentialStatus");
    if silent || (found.is_empty() && !listed.is_empty()) {
        return Err(Problem::new(Code::StatusUnsupported, "its status names no list for revocation or suspension"));
    }
    Ok(found)
}

/// Returns the number of an issuer's message, and its text in the credential. A stale list is an error.
fn message(
    entry: &Value,
    issuer: &str,
    lists: &dyn StatusLists,
    env: &VerificationEnvironment<'_>,
) -> Result<(u8, String), Problem> {
    let reference = bitstring::BitstringStatusListEntry::parse(entry)?;
    let listed = listed_status(&reference.url, issuer, lists)?;
    listed.validity().require_usable(listed.fetched_at(), env.now, env.skew)?;
    let number = listed.bitstring_value(&reference)?;
    Ok((number, message::message_text(entry, &reference, number)?))
}

/// Returns the list in memory; it must be about the issuer's credentials.
fn listed_status<'a>(url: &str, issuer: &str, lists: &'a dyn StatusLists) -> Result<&'a VerifiedStatusList, Problem> {
    let missing = || lists.unavailable_reason(issuer, url).unwrap_or_else(|| Code::StatusListUnavailable.into());
    let listed = lists.list(issuer, url).ok_or_else(missing)?;
    if listed.credential_issuer().as_str() == issuer { Ok(listed) } else { Err(Code::StatusListIssuer.into()) }
}

impl StatusEntry {
    fn url(&self) -> &str {
        match self {
            Self::Bitstring(reference) => &reference.url,
            Self::Token(reference) => &reference.uri,
        }
    }

    /// Checks the entry in a status list. `Ok(Some)`: the list is stale within the grace period.
    fn check_list(
        &self,
        issuer: &str,
        lists: &dyn StatusLists,
        stale_by: i64,
        env: &VerificationEnvironment<'_>,
    ) -> Result<Option<Problem>, Problem> {
        let listed = listed_status(self.url(), issuer, lists)?;
        let stale = match listed.validity().require_usable(listed.fetched_at(), env.now, env.skew) {
            Ok(()) => None,
            Err(problem) => {
                let late = listed.validity().seconds_stale(listed.fetched_at(), env.now, env.skew);
                // A list from the future is not stale, but is refused.
                let future = listed.validity().issued_at > env.now.plus(env.skew);
                let problem = match lists.unavailable_reason(issuer, self.url()) {
                    Some(newer) => Problem::new(problem.code, format!("{}; {}", problem.detail, newer.detail)),
                    None => problem,
                };
                if late == 0 || late > stale_by || future {
                    return Err(problem);
                }
                Some(problem)
            }
        };
        self.check_entry(listed).map(|()| stale)
    }

    /// Checks the list of a copy that has a freshness statement: it may be missing or stale. A revocation in a stale
    /// list still counts; a suspension in a stale list that is older than the statement does not.
    fn check_vouched(
        &self,
        issuer: &str,
        lists: &dyn StatusLists,
        stapled: &ListValidity,
        env: &VerificationEnvironment<'_>,
    ) -> Result<(), Problem> {
        if lists.list(issuer, self.url()).is_none() {
            return Ok(());
        }
        let listed = listed_status(self.url(), issuer, lists)?;
        let counts = listed.validity().require_usable(listed.fetched_at(), env.now, env.skew).is_ok();
        match self.check_entry(listed) {
            // The suspension may have ended before the statement; a revocation never ends.
            Err(problem)
                if problem.code == Code::Suspended && !counts && listed.validity().issued_at < stapled.issued_at =>
            {
                Ok(())
            }
            said => said,
        }
    }

    /// Checks the entry in a list, whatever its age.
    fn check_entry(&self, listed: &VerifiedStatusList) -> Result<(), Problem> {
        match self {
            Self::Bitstring(reference) => match (listed.is_set(reference)?, reference.purpose) {
                (false, _) => Ok(()),
                (true, StatusPurpose::Suspension) => Err(Code::Suspended.into()),
                (true, _) => Err(Code::Revoked.into()),
            },
            Self::Token(reference) => match listed.token_value(reference)? {
                token::VALID => Ok(()),
                token::INVALID => Err(Code::Revoked.into()),
                token::SUSPENDED => Err(Code::Suspended.into()),
                // Application-specific values of another application.
                _ => Err(Code::StatusUnsupported.into()),
            },
        }
    }
}
