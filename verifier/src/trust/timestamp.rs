//! Timestamps of the trust list (spec/trust.md section 10).

use std::{sync::Arc, time::Duration};

use carnet_core::{
    Code, Problem,
    json::{self, Limits},
    time::Timestamp,
    trust::list::{ListTimestamp, TrustList},
};
use carnet_fetch::HttpsFetcher;

use super::{ConfiguredTrustList, store_problem, stored::record_timestamp};
use crate::store::Store;

/// Parses and verifies a timestamp of a list.
///
/// # Errors
/// It is no JSON object, or not a valid timestamp of this list.
pub(super) fn verify_timestamp(text: &[u8], list: &TrustList, now: Timestamp) -> Result<ListTimestamp, Problem> {
    ListTimestamp::verify(&json::parse_object(text, Limits::DOCUMENT)?, list, now)
}

impl ConfiguredTrustList {
    /// Fetches and verifies the timestamp next to the list's source; returns its text and the timestamp.
    async fn fetch_timestamp(
        &self,
        list: &TrustList,
        fetcher: &HttpsFetcher,
        now: Timestamp,
    ) -> Result<(String, ListTimestamp), Problem> {
        let text = self.timestamp_source.read(fetcher, Limits::DOCUMENT.max_bytes).await?;
        let timestamp = verify_timestamp(&text, list, now)?;
        let text = String::from_utf8(text).map_err(|_| Problem::from(Code::InvalidUnicode))?;
        Ok((text, timestamp))
    }

    /// Attaches the timestamp next to the source, or else the stored one, to a list that was just read. Returns its
    /// text, to be stored; `None` if the list has no timestamps, or none is valid.
    ///
    /// # Errors
    /// The list needs a current timestamp, and there is none. The previous list then remains in force until its own
    /// end.
    pub(super) async fn attach_timestamp(
        &self,
        list: &mut TrustList,
        known: Option<String>,
        fetcher: &HttpsFetcher,
        now: Timestamp,
    ) -> Result<Option<String>, Problem> {
        if !list.names_timestamp_signers() {
            return Ok(None);
        }
        let mut kept = None;
        if let Some(text) = known
            && let Ok(timestamp) = verify_timestamp(text.as_bytes(), list, now)
        {
            list.add_timestamp(&timestamp);
            kept = Some(text);
        }
        match self.fetch_timestamp(list, fetcher, now).await {
            Ok((text, timestamp)) => {
                list.add_timestamp(&timestamp);
                kept = Some(text);
            }
            Err(problem) => list.require_timestamp(now).map_err(|stale| {
                let detail = format!("{}; the timestamp next to it: {problem}", stale.detail);
                Problem::new(stale.code, detail)
            })?,
        }
        Ok(kept)
    }

    /// Fetches the timestamp of the list in force, and stores it if it is newer. A failed fetch is logged as a warning,
    /// if the list had a timestamp before.
    ///
    /// # Errors
    /// The timestamp could not be saved.
    pub(super) async fn refresh_timestamp<S: Store>(
        &self,
        store: &S,
        fetcher: &HttpsFetcher,
        max_age: Duration,
        now: Timestamp,
    ) -> Result<(), Problem> {
        let Some(list) = self.current_list().filter(|list| list.names_timestamp_signers()) else { return Ok(()) };
        let current = |at: Timestamp| now.unix().abs_diff(at.unix()) < max_age.as_secs();
        if !self.timestamp_source.is_file() && self.read_status().timestamp_read_at.is_some_and(current) {
            return Ok(());
        }
        let looked = self.fetch_timestamp(&list, fetcher, now).await;
        let trouble = looked.as_ref().err().filter(|_| list.identity().timestamped).cloned();
        if let Ok((text, timestamp)) = looked
            && list.timestamp_valid_until() < Some(timestamp.valid_until())
        {
            let mut newer = TrustList::clone(&list);
            newer.add_timestamp(&timestamp);
            // Saved before any decision relies on it.
            record_timestamp(store, &self.list_did, &newer.identity(), &text).await.map_err(store_problem)?;
            self.write_status().list = Some(Arc::new(newer));
        }
        let mut current = self.write_status();
        current.timestamp_read_at = Some(now);
        if let Some(problem) = trouble.as_ref().filter(|problem| current.timestamp_problem.as_ref() != Some(problem)) {
            let until = list.timestamp_valid_until().map(|until| until.to_string());
            tracing::warn!(
                code = %problem.code, detail = problem.detail, until,
                "there is no newer timestamp of the trust list; it accepts nobody after the current one expires"
            );
        }
        current.timestamp_problem = trouble;
        Ok(())
    }
}
