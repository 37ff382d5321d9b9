//! Reasons why status lists, or newer versions of them, are missing.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use carnet_core::{Code, Problem, status::VerifiedStatusList, verify::StatusLists};
use carnet_fetch::is_fetch_failure;

use super::{IssuerSources, StatusListMap};

/// Directory of one issuer's lists, and the errors of the last fetches.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct IssuerListProblems {
    /// Error of the last fetch of the directory.
    directory: Option<Problem>,
    /// Problems by URL.
    lists: BTreeMap<String, Problem>,
    /// URLs in the directory; `None` before it was read.
    listed_urls: Option<BTreeSet<String>>,
    /// Lifetime of freshness statements according to the directory, in seconds.
    freshness_seconds: Option<u32>,
}

impl IssuerListProblems {
    /// Creates the record from the sources of an issuer.
    pub(super) fn from_sources(sources: &IssuerSources) -> Self {
        let lists = sources.lists.iter().filter_map(|(url, list)| Some((url.clone(), list.problem.clone()?)));
        Self {
            directory: sources.problem.clone(),
            lists: lists.collect(),
            listed_urls: sources.urls.clone(),
            freshness_seconds: sources.freshness_seconds,
        }
    }

    /// Returns the reason why a list, or a newer version of it, is missing; `None` if no problem is known.
    fn problem_of_list(&self, url: &str) -> Option<Problem> {
        if let Some(problem) = self.lists.get(url) {
            return Some(status_list_problem("the newest status list", problem));
        }
        if let Some(problem) = &self.directory {
            return Some(status_list_problem("the issuer's directory of status lists", problem));
        }
        if self.listed_urls.as_ref().is_some_and(|named| !named.contains(url)) {
            let what = "the issuer's directory of status lists does not name the list";
            return Some(Problem::new(Code::StatusListUnavailable, what));
        }
        // The other lists of an unreachable server were not tried.
        let away = self.lists.values().find(|problem| is_fetch_failure(problem.code))?;
        Some(status_list_problem("the newest status list", away))
    }
}

/// Converts the error of a fetch to one of a status list, which distinguishes a failed fetch from invalid content.
fn status_list_problem(what: &str, problem: &Problem) -> Problem {
    let code = match problem.code {
        code if is_fetch_failure(code) => {
            return Problem::new(
                Code::StatusListUnavailable,
                format!("{what} could not be fetched: {}", problem.detail),
            );
        }
        Code::StatusListUnavailable => {
            let detail = &problem.detail;
            return Problem::new(problem.code, format!("{what} was fetched and cannot be verified: {detail}"));
        }
        code @ (Code::StatusListMismatch
        | Code::StatusListLength
        | Code::StatusListStale
        | Code::StatusListIssuer
        | Code::StatusPurpose) => code,
        // Codes of signatures or JSON would be mistaken for errors of the credential.
        _ => Code::StatusListInvalid,
    };
    Problem::new(code, format!("{what} was fetched and is refused: {}", problem.text_within(code)))
}

/// Consistent state of all lists, with the reasons for missing ones.
#[derive(Clone)]
pub(crate) struct StatusListSnapshot {
    pub(super) lists: Arc<StatusListMap>,
    pub(super) list_problems: Arc<HashMap<String, IssuerListProblems>>,
}

impl StatusListSnapshot {
    /// Returns the number of lists in memory for an issuer.
    ///
    /// # Errors
    /// The directory could not be read the last time, or one of its lists was not fetched or was refused.
    pub(crate) fn list_count(&self, issuer: &str) -> Result<usize, Problem> {
        let refusals = self.list_problems.get(issuer);
        let directory = refusals.and_then(|refusals| refusals.directory.as_ref());
        if let Some(problem) = directory {
            return Err(status_list_problem("the issuer's directory of status lists", problem));
        }
        if let Some((url, problem)) = refusals.and_then(|refusals| refusals.lists.iter().next()) {
            return Err(status_list_problem(&format!("the newest status list {url}"), problem));
        }
        Ok(self.lists.get(issuer).map_or(0, HashMap::len))
    }
}

impl StatusLists for StatusListSnapshot {
    fn list(&self, issuer: &str, url: &str) -> Option<&VerifiedStatusList> {
        self.lists.list(issuer, url)
    }

    fn unavailable_reason(&self, issuer: &str, url: &str) -> Option<Problem> {
        self.list_problems.get(issuer)?.problem_of_list(url)
    }

    fn freshness_seconds(&self, issuer: &str) -> Option<u32> {
        self.list_problems.get(issuer)?.freshness_seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "https://issuer.example/status/1";

    #[test]
    fn what_is_bad_is_told_from_what_did_not_come() {
        let away = Problem::new(Code::DidUnresolved, "https://university.example/did.json answered 503");
        let bad = Problem::new(Code::SignatureInvalid, "the signature does not hold");
        let stale = Problem::new(Code::StatusListStale, "it is past its end");
        let unsigned = Problem::new(Code::StatusListUnavailable, "the document of its signer could not be fetched");
        let of = |list: Option<&Problem>, directory: Option<&Problem>, named: Option<&str>| {
            let lists = list.map(|problem| (LIST.to_owned(), problem.clone())).into_iter().collect();
            let named = named.map(|url| BTreeSet::from([url.to_owned()]));
            let problem = IssuerListProblems {
                directory: directory.cloned(),
                lists,
                listed_urls: named,
                freshness_seconds: None,
            }
            .problem_of_list(LIST);
            problem.map(|problem| (problem.code, problem.detail))
        };
        assert_eq!(of(None, None, None), None);
        assert_eq!(of(None, None, Some(LIST)), None);
        for (found, code, words) in [
            (
                of(Some(&away), None, Some(LIST)),
                Code::StatusListUnavailable,
                "could not be fetched: https://university.example/did.json",
            ),
            (
                of(Some(&bad), None, Some(LIST)),
                Code::StatusListInvalid,
                "was fetched and is refused: signature_invalid",
            ),
            (
                of(Some(&stale), None, Some(LIST)),
                Code::StatusListStale,
                "was fetched and is refused: it is past its end",
            ),
            (
                of(Some(&unsigned), None, Some(LIST)),
                Code::StatusListUnavailable,
                "was fetched and cannot be verified: the document",
            ),
            (of(None, Some(&bad), None), Code::StatusListInvalid, "directory of status lists was fetched"),
            (of(None, Some(&away), None), Code::StatusListUnavailable, "directory of status lists could not"),
            (of(None, None, Some("https://issuer.example/status/2")), Code::StatusListUnavailable, "does not name"),
        ] {
            let (found, detail) = found.unwrap();
            assert!(found == code && detail.contains(words), "{found}: {detail}");
        }
    }
}
