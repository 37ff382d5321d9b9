//! Trust list: the accredited issuers and their types, signed by the pinned operators (spec/trust.md).
//!
//! It is read at the start of the service and then in the background, from a file or over HTTPS. The newest accepted
//! list is stored before any decision uses it, and remains in force after a restart, even if the source is unreachable;
//! an older list is refused. Every decision checks the validity period. When the DID document of an operator changes,
//! the list is verified again, and is not used while it is invalid.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use carnet_core::{
    Code, Problem,
    did::Did,
    json::{self, Limits},
    time::{CLOCK_SKEW, Timestamp},
    trust::list::{AcceptedList, PinnedOperators, TrustList, TrustListAnchors},
};
use carnet_fetch::{DidCache, HttpsFetcher};
use carnet_service::config::{StartError, invalid_field};
use serde::Deserialize;

use self::{
    documents::{OperatorDocuments, log_operator_problem, unknown_signers},
    source::TrustListSource,
    stored::{record_drop_reason, store_list, stored_list},
    timestamp::verify_timestamp,
};
use crate::{
    key_fetch_limits::{KeyFetchLimits, ListDigest, list_digest},
    store::{Store, StoreError, TrustListRow, TrustListState},
};

mod documents;
mod handover;
mod source;
pub(crate) mod stored;
mod timestamp;

/// Remaining validity of a list below which the operator of this verifier is warned, in seconds: three days.
const WARN_BEFORE: i64 = 3 * carnet_core::day::SECONDS;

/// Configuration of the trust list and its operators.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrustConfig {
    /// Source of the list: a file, or an https URL.
    pub(crate) list: String,
    /// DID that identifies the list.
    pub(crate) issuer: String,
    /// DIDs of the operators.
    pub(crate) operators: Vec<String>,
    /// Number of operators who must have signed.
    pub(crate) quorum: usize,
    /// Minimum sequence number of the list, so that a new installation does not accept an old one.
    #[serde(default)]
    pub(crate) least: Option<u64>,
}

/// Configured trust list: its source, its operators, and the list that is in force.
pub(crate) struct ConfiguredTrustList {
    /// Location of the list, as configured.
    location: String,
    /// Source of the list.
    source: TrustListSource,
    /// Source of the list's timestamp, next to the list.
    timestamp_source: TrustListSource,
    /// DID that identifies the list.
    list_did: String,
    operators: Arc<PinnedOperators>,
    /// DIDs of the operators.
    operator_dids: Vec<Did>,
    current: RwLock<TrustListStatus>,
    /// Limits on fetches of operators' documents for lists with an unknown key.
    fetch_limits: Mutex<KeyFetchLimits>,
}

/// Trust list in force, and the results of the last reads.
#[derive(Default)]
struct TrustListStatus {
    /// List in force; `None`: none was accepted, or the newest is invalid.
    list: Option<Arc<TrustList>>,
    /// DID documents with which the newest list was last verified, and the time.
    verified: Option<(OperatorDocuments, Timestamp)>,
    /// Reason why the newest accepted list is no longer used.
    dropped: Option<Problem>,
    /// Operators whose proofs of the current list are invalid.
    failed_proofs: BTreeMap<String, Problem>,
    /// Reason why the source's list was refused the last time.
    source_problem: Option<Problem>,
    /// SHA-256 of the last accepted text of the source.
    accepted_digest: Option<[u8; 32]>,
    /// Time of the last read of the source.
    read_at: Option<Timestamp>,
    /// Time of the last read of the timestamp.
    timestamp_read_at: Option<Timestamp>,
    /// Reason why no newer timestamp was available the last time.
    timestamp_problem: Option<Problem>,
    /// Time of the last warning that the list ends soon.
    warned_at: Option<Timestamp>,
}

impl TrustListStatus {
    /// Logs a warning, once, about each invalid proof of an accepted list; the valid ones reach the quorum.
    fn log_failed_proofs(&mut self, list: &TrustList) {
        let failed: BTreeMap<String, Problem> =
            list.failed_proofs().map(|(operator, problem)| (operator.to_owned(), problem.clone())).collect();
        let sequence = list.contents().sequence;
        for (operator, Problem { code, detail }) in &failed {
            if self.failed_proofs.get(operator).is_none_or(|known| known.code != *code) {
                tracing::warn!(
                    sequence, operator, %code, detail,
                    "an operator's proof of the trust list is invalid; the others reach the quorum"
                );
            }
        }
        self.failed_proofs = failed;
    }
}

/// Returns whether to log the daily warning that a list ends soon or has ended.
fn is_warning_due(until: Timestamp, warned_at: Option<Timestamp>, now: Timestamp) -> bool {
    until < now.plus(WARN_BEFORE)
        && warned_at.is_none_or(|at| now.unix().saturating_sub(at.unix()).saturating_abs() >= carnet_core::day::SECONDS)
}

impl ConfiguredTrustList {
    /// Creates the trust list from its configuration; no list is loaded yet.
    ///
    /// # Errors
    /// A DID, the quorum or the URL is invalid.
    pub(crate) fn new(config: &TrustConfig) -> Result<Self, StartError> {
        let wrong = |problem: Problem| invalid_field("trust", format!("trust: {problem}"));
        let operators = config.operators.iter().map(String::as_str);
        let operators = PinnedOperators::pin(&config.issuer, operators, config.quorum).map_err(wrong)?;
        let operators = operators.with_min_sequence(config.least);
        let dids: Vec<Did> =
            config.operators.iter().map(|did| Did::parse(did)).collect::<Result<_, _>>().map_err(wrong)?;
        let (source, timestamp) = TrustListSource::parse(&config.list)?;
        if config.quorum.saturating_mul(2) <= dids.len().saturating_add(1) {
            tracing::warn!(
                operators = dids.len(),
                quorum = config.quorum,
                "with this quorum one operator could get two lists with one number signed; three of four is recommended"
            );
        }
        Ok(Self {
            location: config.list.clone(),
            source,
            timestamp_source: timestamp,
            list_did: config.issuer.clone(),
            operators: Arc::new(operators),
            operator_dids: dids,
            current: RwLock::new(TrustListStatus::default()),
            fetch_limits: Mutex::default(),
        })
    }

    /// Returns the list in force, if any. Its validity period is not checked.
    pub(crate) fn current_list(&self) -> Option<Arc<TrustList>> {
        self.read_status().list.clone()
    }

    fn read_status(&self) -> std::sync::RwLockReadGuard<'_, TrustListStatus> {
        self.current.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_status(&self) -> std::sync::RwLockWriteGuard<'_, TrustListStatus> {
        self.current.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the list in force, or an error. Its validity period is not checked.
    ///
    /// # Errors
    /// The reason why the newest accepted list is not in use, or why the list of the source was refused.
    pub(crate) fn require_list(&self) -> Result<Arc<TrustList>, Problem> {
        let current = self.read_status();
        let why = || current.dropped.clone().or_else(|| current.source_problem.clone());
        let none = || why().unwrap_or_else(|| no_list_problem("it was not read yet"));
        current.list.clone().ok_or_else(none)
    }

    /// Refreshes the operators' documents, the list and its timestamp. URLs are not read again within `max_age` while a
    /// list is in force. If the new list is refused, the current one remains in force while it is valid.
    ///
    /// # Errors
    /// The reason why the list of the source could not be read or was refused, also logged; store errors.
    pub(crate) async fn refresh<S: Store>(
        &self,
        store: &S,
        (fetcher, documents): (&HttpsFetcher, &DidCache),
        max_age: Duration,
        now: Timestamp,
    ) -> Result<(), Problem> {
        for did in &self.operator_dids {
            if let Err(problem) = documents.refresh(fetcher, did, max_age).await {
                log_operator_problem(did, &problem);
            }
        }
        let looked = self.update_list(store, fetcher, documents, max_age, now).await;
        let trouble = looked.as_ref().err();
        let mut current = self.write_status();
        if let Some(problem) = trouble.filter(|problem| current.source_problem.as_ref() != Some(problem)) {
            let decides = current.list.as_ref().map(|list| list.contents().sequence);
            tracing::warn!(
                code = %problem.code, detail = problem.detail, decides,
                "the trust list was refused; the previous one, if there is one, is used until its end"
            );
        }
        current.source_problem = trouble.cloned();
        let ends = current.list.as_ref().map(|list| (list.contents().sequence, list.valid_until()));
        if let Some((sequence, until)) = ends.filter(|(_, until)| is_warning_due(*until, current.warned_at, now)) {
            tracing::warn!(
                sequence, %until,
                "the trust list expires soon, and accepts nobody after that; a newer one is needed"
            );
            current.warned_at = Some(now);
        }
        looked
    }

    /// Verifies the stored list again if necessary, refreshes its timestamp, and reads, verifies and stores a changed
    /// list of the source.
    async fn update_list<S: Store>(
        &self,
        store: &S,
        fetcher: &HttpsFetcher,
        documents: &DidCache,
        max_age: Duration,
        now: Timestamp,
    ) -> Result<(), Problem> {
        if let Some(known) = stored_list(store, &self.list_did).await.map_err(store_problem)? {
            self.reverify_stored(store, known, documents, max_age, now).await?;
        }
        self.refresh_timestamp(store, fetcher, max_age, now).await?;
        let Some(text) = self.read_source(fetcher, max_age, now).await? else { return Ok(()) };
        let digest = list_digest(&text);
        if self.read_status().accepted_digest == Some(digest) && self.current_list().is_some() {
            return Ok(());
        }
        // Including the timestamp that may just have been accepted.
        let known = stored_list(store, &self.list_did).await.map_err(store_problem)?;
        let state = known.map(|row| row.state);
        let seen = state.as_ref().map(|state| (state.accepted.clone(), state.accept_once.clone()));
        let known = state.and_then(|state| state.timestamp);
        let mut by = self.operator_documents(documents, None, now);
        let mut verified = self.verify_list(text.clone(), seen.clone(), &by, now).await;
        if verified.is_err() && self.fetch_signer_documents((fetcher, documents), (&text, digest), &by, now).await {
            // The current list may be invalid, too, under its operators' new documents.
            if let Some(known) = stored_list(store, &self.list_did).await.map_err(store_problem)? {
                self.reverify_stored(store, known, documents, max_age, now).await?;
            }
            by = self.operator_documents(documents, None, now);
            verified = self.verify_list(text.clone(), seen.clone(), &by, now).await;
        }
        if verified.is_err()
            && let Some(passed) = self.verify_handovers(fetcher, &text, seen.clone(), &by, now).await
        {
            verified = self.verify_list(text.clone(), Some(passed), &by, now).await;
        }
        let mut list = verified?;
        let timestamp = self.attach_timestamp(&mut list, known, fetcher, now).await?;
        let document = String::from_utf8(text).map_err(|_| Problem::from(Code::InvalidUnicode))?;
        let kept =
            store_list(store, &self.list_did, list.identity(), document, timestamp).await.map_err(store_problem)?;
        if kept != list.identity() {
            return Err(Problem::new(
                Code::TrustListRollback,
                format!("number {} was accepted in the meantime", kept.sequence),
            ));
        }
        tracing::info!(sequence = kept.sequence, digest = kept.digest, "the trust list was accepted");
        let mut current = self.write_status();
        current.log_failed_proofs(&list);
        current.list = Some(Arc::new(list));
        current.verified = Some((by, now));
        current.dropped = None;
        current.accepted_digest = Some(digest);
        Ok(())
    }

    /// Fetches the DID documents of operators that signed a list with a key missing from their cached document, which
    /// may be older than the key. At most once per list, and within the rate limit (spec/trust.md 7.10). Returns `true`
    /// if a document changed.
    async fn fetch_signer_documents(
        &self,
        (fetcher, cache): (&HttpsFetcher, &DidCache),
        (text, list): (&[u8], ListDigest),
        documents: &OperatorDocuments,
        now: Timestamp,
    ) -> bool {
        let lookups = || self.fetch_limits.lock().unwrap_or_else(PoisonError::into_inner);
        let unknown = unknown_signers(text, documents);
        if unknown.is_empty() || !lookups().admit_fetch(&self.list_did, list, now) {
            return false;
        }
        let mut changed = false;
        for did in unknown {
            match cache.refresh_and_compare(fetcher, &did, Duration::ZERO).await {
                Ok(differs) => changed |= differs,
                Err(problem) => {
                    log_operator_problem(&did, &problem);
                    lookups().permit_retry(&self.list_did, &list);
                }
            }
        }
        if changed {
            lookups().reset_delay(&self.list_did);
        }
        changed
    }

    /// Verifies the newest accepted list again: after a restart, when an operator's document has changed, and every
    /// `max_age`, because a key can expire. An invalid list is not used until it is valid again.
    ///
    /// # Errors
    /// The result could not be saved.
    async fn reverify_stored<S: Store>(
        &self,
        store: &S,
        known: TrustListRow,
        documents: &DidCache,
        max_age: Duration,
        now: Timestamp,
    ) -> Result<(), Problem> {
        let (decides, before) = {
            let current = self.read_status();
            (current.list.is_some(), current.verified.clone())
        };
        let documents = self.operator_documents(documents, before.as_ref().map(|(documents, _)| documents), now);
        let recent = |at: Timestamp| now.unix().abs_diff(at.unix()) < max_age.as_secs();
        if decides && before.is_some_and(|(before, at)| before == documents && recent(at)) {
            return Ok(());
        }
        let TrustListRow { state: TrustListState { accepted: seen, timestamp, drop_reason: dropped, .. }, document } =
            known;
        let sequence = seen.sequence;
        match self.verify_list(document.into_bytes(), Some((seen.clone(), None)), &documents, now).await {
            Ok(mut list) => {
                if let Some(Ok(timestamp)) = timestamp.map(|text| verify_timestamp(text.as_bytes(), &list, now)) {
                    list.add_timestamp(&timestamp);
                }
                if dropped.is_some() {
                    record_drop_reason(store, &self.list_did, &seen, None).await.map_err(store_problem)?;
                    tracing::info!(sequence, "the trust list is valid again");
                }
                let mut current = self.write_status();
                current.log_failed_proofs(&list);
                current.list = Some(Arc::new(list));
                current.verified = Some((documents, now));
                current.dropped = None;
            }
            // Its validity period is checked at each decision; an unresolvable document says nothing about its
            // signatures.
            Err(problem) if matches!(problem.code, Code::Expired | Code::NotYetValid | Code::DidUnresolved) => {}
            Err(problem) => {
                {
                    let mut current = self.write_status();
                    current.list = None;
                    current.accepted_digest = None;
                    current.verified = Some((documents, now));
                    current.dropped = Some(problem.clone());
                }
                let why = problem.to_string();
                if dropped.as_deref() != Some(why.as_str()) {
                    tracing::warn!(
                        sequence, code = %problem.code, detail = problem.detail,
                        "the trust list is no longer valid under its operators' documents, and accepts nobody"
                    );
                    record_drop_reason(store, &self.list_did, &seen, Some(why)).await.map_err(store_problem)?;
                }
            }
        }
        Ok(())
    }

    /// Returns the operators' documents at an instant. For a document that is no longer available, that in `before` is
    /// used.
    fn operator_documents(
        &self,
        cache: &DidCache,
        before: Option<&OperatorDocuments>,
        now: Timestamp,
    ) -> OperatorDocuments {
        let document = |did: &Did| match (cache.resolve_at(did, now), before.and_then(|before| before.0.get(did))) {
            (Err(problem), Some(before)) if problem.code == Code::DidUnresolved => before.clone(),
            (document, _) => document,
        };
        OperatorDocuments(self.operator_dids.iter().map(|did| (did.clone(), document(did))).collect())
    }

    /// Reads the text of the source; `None` if it is a URL that was read within `max_age`, and a list is in force.
    async fn read_source(
        &self,
        fetcher: &HttpsFetcher,
        max_age: Duration,
        now: Timestamp,
    ) -> Result<Option<Vec<u8>>, Problem> {
        let current = |at: Timestamp| now.unix().abs_diff(at.unix()) < max_age.as_secs();
        let recent = self.current_list().is_some() && self.read_status().read_at.is_some_and(current);
        if recent && !self.source.is_file() {
            return Ok(None);
        }
        let text = self.source.read(fetcher, Limits::STATUS_LIST.max_bytes).await?;
        self.write_status().read_at = Some(now);
        Ok(Some(text))
    }

    async fn verify_list(
        &self,
        text: Vec<u8>,
        seen: Option<(AcceptedList, Option<String>)>,
        documents: &OperatorDocuments,
        now: Timestamp,
    ) -> Result<TrustList, Problem> {
        let (operators, documents) = (Arc::clone(&self.operators), documents.clone());
        let work = move || {
            let document = json::parse_object(&text, Limits::STATUS_LIST)?;
            let (seen, accept) = seen.map_or((None, None), |(seen, accept)| (Some(seen), accept));
            let (seen, accept) = (seen.as_ref(), accept.as_deref());
            let pinned = TrustListAnchors {
                operators: &operators,
                newest_accepted: seen,
                accepted_digest: accept,
                now,
                skew: CLOCK_SKEW,
            };
            TrustList::verify(&document, &pinned, &documents)
        };
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(no_list_problem(&error.to_string())))
    }
}

/// Returns the error that there is no trust list, for this reason.
fn no_list_problem(what: &str) -> Problem {
    Problem::new(Code::TrustListInvalid, format!("there is no trust list: {what}"))
}

/// Converts a store error; takes it by value, for `map_err`.
#[allow(clippy::needless_pass_by_value)]
fn store_problem(error: StoreError) -> Problem {
    no_list_problem(&format!("the stored trust list could not be read or updated ({error})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operator_is_told_once_a_day_that_a_list_ends() {
        let now = Timestamp::from_unix(1_795_305_600);
        let ends_in = |seconds: i64, warned: Option<i64>| {
            is_warning_due(now.plus(seconds), warned.map(|ago| now.plus(ago.saturating_neg())), now)
        };
        assert!(!ends_in(WARN_BEFORE, None));
        assert!(ends_in(WARN_BEFORE - 1, None) && ends_in(-86_400, None));
        assert!(!ends_in(0, Some(86_399)));
        assert!(ends_in(0, Some(86_400)));
    }
}
