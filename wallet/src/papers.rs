//! Papers of the holder: pictures and scans are added, given to somebody, and deleted, and the log records it.

use carnet_core::{day, time::Timestamp};
use zeroize::Zeroizing;

use crate::{
    failure::{Failure, FailureReason, Sentence},
    sanitise::sanitise,
    store::{
        LogEntryKind, Wallet, WalletContents, WalletLogEntry, WalletStore,
        contents::random_id,
        papers::{MAX_ALL_PAPERS_BYTES, MAX_PAPER_BYTES, Paper, PaperContent, PaperForm},
    },
};

/// Maximum length of a kind, in characters.
const MAX_KIND: usize = 100;
/// Maximum length of a note, in characters.
const MAX_NOTE: usize = 400;

/// Facts about a paper, in the holder's words.
#[derive(Debug, Clone, Default)]
pub struct PaperFacts {
    /// Kind of the document, such as "birth certificate"; must not be empty.
    pub kind: String,
    /// Day of the document, as `2026-11-30`, or empty.
    pub date: String,
    /// Notes, or empty.
    pub note: String,
}

/// Adds a picture or scan, logs it, and returns its id.
///
/// # Errors
/// `paper_unsupported` for a file of another form; `paper_too_large`; `paper_facts` if the kind is missing or too long,
/// or the date is no day; the wallet cannot be saved.
pub fn add_paper(
    wallet: &mut Wallet<impl WalletStore>,
    bytes: Zeroizing<Vec<u8>>,
    facts: PaperFacts,
    now: Timestamp,
) -> Result<String, Failure> {
    let refused = |reason, message, hint| Failure::new(reason, Sentence::new(message), Sentence::new(hint));
    let Some(form) = PaperForm::of(&bytes) else {
        return Err(refused(FailureReason::PaperUnsupported, "error-paper-unsupported", "hint-paper-unsupported"));
    };
    let all = wallet.contents.papers.iter().fold(bytes.len(), |sum, paper| sum.saturating_add(paper.size));
    if bytes.len() > MAX_PAPER_BYTES || all > MAX_ALL_PAPERS_BYTES {
        return Err(refused(FailureReason::PaperTooLarge, "error-paper-too-large", "hint-paper-too-large"));
    }
    let PaperFacts { kind, date, note } = facts;
    // Longer texts would be cut off by the next line.
    let is_short = kind.trim().chars().count() <= MAX_KIND && note.trim().chars().count() <= MAX_NOTE;
    let [kind, date, note] = [kind, date, note].map(|text| sanitise(text.trim()));
    let is_day = date.is_empty() || (date.len() == 10 && day::parse_start(&date).is_ok());
    if kind.is_empty() || !is_short || !is_day {
        return Err(refused(FailureReason::PaperFacts, "error-paper-facts", "hint-paper-facts"));
    }
    let id = random_id();
    let size = bytes.len();
    let content = PaperContent(bytes);
    wallet.contents.papers.push(Paper {
        id: id.clone(),
        kind: kind.clone(),
        date,
        note,
        form,
        size,
        added_at: now,
        content,
    });
    record(&mut wallet.contents, LogEntryKind::PaperAdded, "", &kind, now);
    wallet.save()?;
    Ok(id)
}

/// Logs that a copy of a paper is given to somebody, before it is written.
///
/// # Errors
/// The wallet cannot be saved.
pub fn record_share(
    wallet: &mut Wallet<impl WalletStore>,
    index: usize,
    recipient: &str,
    now: Timestamp,
) -> Result<(), Failure> {
    let kind = wallet.contents.papers.get(index).map(|paper| paper.kind.clone()).unwrap_or_default();
    record(&mut wallet.contents, LogEntryKind::PaperShared, &sanitise(recipient), &kind, now);
    wallet.save()
}

/// Deletes a paper permanently, and logs it.
///
/// # Errors
/// `not_found` if there is none at the index; the wallet cannot be saved.
pub fn delete_paper(wallet: &mut Wallet<impl WalletStore>, index: usize, now: Timestamp) -> Result<String, Failure> {
    if index >= wallet.contents.papers.len() {
        return Err(not_found());
    }
    let paper = wallet.contents.papers.remove(index);
    record(&mut wallet.contents, LogEntryKind::PaperDeleted, "", &paper.kind, now);
    wallet.save()?;
    Ok(paper.id)
}

/// Returns the index of the paper whose id begins with `id`.
///
/// # Errors
/// `not_found`; `ambiguous_id` if several do.
pub fn find_paper(contents: &WalletContents, id: &str) -> Result<usize, Failure> {
    let is_meant = |paper: &Paper| paper.id == id || (id.len() >= 4 && paper.id.starts_with(id));
    let mut found = contents.papers.iter().enumerate().filter(|(_, paper)| is_meant(paper)).map(|(index, _)| index);
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err(not_found()),
        (Some(_), Some(_)) => {
            let message = Sentence::new("error-ambiguous-id");
            Err(Failure::usage(FailureReason::AmbiguousId, message, Sentence::new("hint-more-of-id")))
        }
    }
}

fn not_found() -> Failure {
    Failure::new(FailureReason::NotFound, Sentence::new("error-no-paper"), Sentence::new("hint-paper-list"))
}

/// Logs an event of a paper: `party` is who got a copy, `kind` stands in the place of a purpose.
fn record(contents: &mut WalletContents, kind_of_event: LogEntryKind, party: &str, kind: &str, now: Timestamp) {
    contents.log.push(WalletLogEntry {
        party_name: party.to_owned(),
        purpose: kind.to_owned(),
        ..WalletLogEntry::new(now, kind_of_event, "")
    });
}
