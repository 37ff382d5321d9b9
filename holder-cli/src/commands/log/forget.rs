//! Commands `carnet log forget` and `carnet log keep`: deletion of log entries, and their retention period.

use carnet_core::{day, time::Timestamp};
use serde_json::json;

use super::party_name;
use crate::{
    arguments::{Forget, KeepLog},
    failure::{Failure, Sentence},
    session::Session,
    ui::sanitise::sanitise,
    wallet::{
        WalletContents, WalletLogEntry,
        log::LogError,
        presentations::{PresentationRecord, presentations},
    },
};

/// Deletes the log before a day, after the holder has seen which erasure requests become impossible.
pub(super) fn forget(session: &Session, arguments: &Forget) -> Result<(), Failure> {
    let before = first_kept(&arguments.before)?;
    let mut wallet = session.open()?;
    let count = wallet.contents.log.before(before);
    if count == 0 {
        let message = Sentence::id("error-nothing-to-forget").with("day", day::format_start(before));
        return Err(Failure::new("nothing_to_forget", message, Sentence::id("hint-see-log")));
    }
    let lost = lost(&wallet.contents, before);
    let (text, lines) = warning(session, count, before, &lost);
    if !arguments.yes {
        session.ui.print_text(&text);
        if !session.ui.can_ask() {
            let (message, hint) = (Sentence::id("error-forget-nobody"), Sentence::id("hint-forget-yes"));
            let object = json!({"would_forget": count, "before": before.to_string(), "erasure_lost": lines});
            return Err(Failure::new("approval_needed", message, hint).beside(object));
        }
        session.ui.require_yes(&session.ui.messages.text("forget-question"), Sentence::id("undone-forgotten"))?;
    }
    let forgotten = wallet.contents.forget(before, session.now()).map_err(|broken| refused(&broken))?;
    wallet.save()?;
    let log = &wallet.contents.log;
    let messages = &session.ui.messages;
    let said = messages.with("log-forgot", &[("count", &forgotten.to_string()), ("day", &day::format_start(before))]);
    let text = format!("{said}\n{}: {}\n{}\n", messages.text("log-head"), log.head(), messages.text("forget-copies"));
    let object = json!({
        "forgotten": forgotten, "before": before.to_string(), "erasure_lost": lines, "head": log.head(),
        "count": log.entries().len(), "checkpoint": log.checkpoint(),
    });
    session.ui.result(&text, &object);
    Ok(())
}

/// Sets the retention period of the log and deletes older entries; without options, displays the period.
pub(super) fn keep(session: &Session, arguments: &KeepLog) -> Result<(), Failure> {
    if arguments.days.is_none() && !arguments.forever {
        let days = session.read_without_texts()?.log_days;
        session.ui.result(&format!("{}\n", retention_text(session, days)), &json!({"log_days": days}));
        return Ok(());
    }
    let mut wallet = session.open()?;
    wallet.contents.log_days = arguments.days;
    let from = wallet.contents.retention_start(session.now());
    let lost: Vec<WalletLogEntry> = from.map(|from| lost(&wallet.contents, from)).unwrap_or_default();
    let count = match from {
        Some(from) => wallet.contents.forget(from, session.now()).map_err(|broken| refused(&broken))?,
        None => 0,
    };
    wallet.save()?;
    let days = wallet.contents.log_days;
    let mut text = format!("{}\n", retention_text(session, days));
    if let Some(from) = from.filter(|_| count > 0) {
        let arguments = [("count", count.to_string()), ("day", day::format_start(from))];
        let arguments = arguments.each_ref().map(|(name, value)| (*name, value.as_str()));
        text.push_str(&format!("{}\n", session.ui.messages.with("log-forgot", &arguments)));
    }
    let lost: Vec<u64> = lost.iter().map(|sent| sent.number).collect();
    session.ui.result(&text, &json!({"log_days": days, "forgotten": count, "erasure_lost": lost}));
    Ok(())
}

/// Describes the retention period and its consequence.
pub(crate) fn retention_text(session: &Session, days: Option<u32>) -> String {
    let messages = &session.ui.messages;
    match days {
        Some(days) => messages.with("log-kept-days", &[("days", &days.to_string())]),
        None => messages.text("log-kept-forever"),
    }
}

/// Parses the first day to keep, and returns its start (UTC).
fn first_kept(text: &str) -> Result<Timestamp, Failure> {
    day::parse_from(text).map_err(|problem| {
        let message = Sentence::id("error-before").details(&problem.detail);
        Failure::usage("date_malformed", message, Sentence::id("hint-first-day"))
    })
}

/// Returns the presentations whose receipt is in the log before an instant, and whose erasure could still be requested.
fn lost(contents: &WalletContents, before: Timestamp) -> Vec<WalletLogEntry> {
    let count = contents.log.before(before);
    let last = contents.log.entries().get(..count).and_then(|gone| gone.last()).map_or(0, |entry| entry.number);
    let open = |known: &PresentationRecord<'_>| {
        known.receipt().is_some_and(|entry| entry.number <= last) && known.can_be_erased()
    };
    presentations(&contents.log).into_iter().filter(open).map(|known| known.sent.clone()).collect()
}

/// Returns the warning about a deletion as text, and as objects the presentations whose erasure can no longer be
/// requested.
fn warning(
    session: &Session,
    count: usize,
    before: Timestamp,
    lost: &[WalletLogEntry],
) -> (String, Vec<serde_json::Value>) {
    let messages = &session.ui.messages;
    let mut text =
        messages.with("forget-asked", &[("count", &count.to_string()), ("day", &day::format_start(before))]) + "\n";
    if !lost.is_empty() {
        text.push_str(&format!("! {}\n", messages.text("forget-erasure")));
        for sent in lost {
            text.push_str(&format!("{:>4}  {}  {}\n", sent.number, sent.at, party_name(&session.ui, sent)));
        }
    }
    let lines = lost.iter().map(|sent| json!({"entry": sent.number, "party": sent.party, "at": sent.at.to_string()}));
    (text, lines.collect())
}

fn refused(broken: &LogError) -> Failure {
    let message = Sentence::id("error-log-broken-kept").details(sanitise(&broken.to_string()));
    Failure::new("log_broken", message, Sentence::id("hint-log-verify"))
}

#[cfg(test)]
mod tests;
