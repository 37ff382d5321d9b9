//! Earlier lists that changed the operators, and that this verifier has not read (spec/trust.md section 11).

use std::sync::Arc;

use carnet_core::{
    json::{self, Limits},
    time::{CLOCK_SKEW, Timestamp},
    trust::list::{AcceptedList, TrustList, TrustListAnchors},
};
use carnet_fetch::HttpsFetcher;

use super::{ConfiguredTrustList, documents::OperatorDocuments, source::TrustListSource};

/// Maximum number of earlier lists that are read to get from the known operators to the current ones.
const MAX_HANDOVERS: usize = 16;

impl ConfiguredTrustList {
    /// Fetches the earlier lists that changed the operators since the newest accepted list, and verifies each with the
    /// operators before it. Returns the resulting state, with which the list in `text` is then verified; `None` if
    /// there is no such list, or one is missing or refused.
    pub(super) async fn verify_handovers(
        &self,
        fetcher: &HttpsFetcher,
        text: &[u8],
        seen: Option<(AcceptedList, Option<String>)>,
        documents: &OperatorDocuments,
        now: Timestamp,
    ) -> Option<(AcceptedList, Option<String>)> {
        let document = json::parse_object(text, Limits::STATUS_LIST).ok()?;
        let preview = TrustList::preview(&document).ok().filter(|preview| preview.list_id == self.list_did)?;
        let (mut seen, accept) = seen.map_or((None, None), |(seen, accept)| (Some(seen), accept));
        let newest = seen.as_ref().map_or(0, |seen| seen.sequence);
        let named_in = preview.contents.operators?.named_in;
        let missed = named_in.into_iter().filter(|number| (newest..preview.contents.sequence).contains(number));
        for number in missed.filter(|number| *number > newest).take(MAX_HANDOVERS) {
            let source = TrustListSource::historical(&self.location, number)?;
            let text = source.read(fetcher, Limits::STATUS_LIST.max_bytes).await.ok()?;
            let (operators, documents, before) = (Arc::clone(&self.operators), documents.clone(), seen.take());
            let work = move || {
                let document = json::parse_object(&text, Limits::STATUS_LIST)?;
                let pinned = TrustListAnchors {
                    operators: &operators,
                    newest_accepted: before.as_ref(),
                    accepted_digest: None,
                    now,
                    skew: CLOCK_SKEW,
                };
                TrustList::verify_handover(&document, &pinned, &documents)
            };
            match tokio::task::spawn_blocking(work).await.ok()? {
                Ok(passed) => seen = Some(passed),
                Err(problem) => {
                    tracing::warn!(
                        number, code = %problem.code, detail = problem.detail,
                        "a trust list of the history, which changed the operators, was refused"
                    );
                    return None;
                }
            }
        }
        seen.filter(|seen| seen.sequence > newest).map(|seen| (seen, accept))
    }
}
