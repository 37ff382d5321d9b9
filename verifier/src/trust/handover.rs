//! Missed lists that changed the operators (spec/trust.md section 11).

use std::sync::Arc;

use carnet_core::{
    json::{self, Limits},
    time::{CLOCK_SKEW, Timestamp},
    trust::list::{Pinned, Seen, TrustList},
};
use carnet_fetch::HttpsFetcher;

use super::{Trust, documents::Documents, source::Source};

/// Maximum number of lists to read between the operators known before and the current signers.
const MAX_PASSED: usize = 16;

impl Trust {
    /// Reads the lists that changed the operators since the newest list seen, and verifies each by the operators before
    /// it. Returns the state to remember before the newest list is verified; `None` if no chain leads to it.
    pub(super) async fn pass_handovers(
        &self,
        fetcher: &HttpsFetcher,
        text: &[u8],
        seen: Option<(Seen, Option<String>)>,
        documents: &Documents,
        now: Timestamp,
    ) -> Option<(Seen, Option<String>)> {
        let document = json::parse_object(text, Limits::LIST).ok()?;
        let preview = TrustList::preview(&document).ok().filter(|preview| preview.list == self.name)?;
        let (mut seen, accept) = seen.map_or((None, None), |(seen, accept)| (Some(seen), accept));
        let newest = seen.as_ref().map_or(0, |seen| seen.sequence);
        let named_in = preview.contents.operators?.named_in;
        let missed = named_in.into_iter().filter(|number| (newest..preview.contents.sequence).contains(number));
        for number in missed.filter(|number| *number > newest).take(MAX_PASSED) {
            let source = Source::of_history(&self.place, number)?;
            let text = source.read(fetcher, Limits::LIST.max_bytes).await.ok()?;
            let (operators, documents, before) = (Arc::clone(&self.operators), documents.clone(), seen.take());
            let work = move || {
                let document = json::parse_object(&text, Limits::LIST)?;
                let pinned =
                    Pinned { operators: &operators, seen: before.as_ref(), accept: None, now, skew: CLOCK_SKEW };
                TrustList::pass(&document, &pinned, &documents)
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
