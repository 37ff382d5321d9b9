//! Command `carnet log`: displays to whom the holder presented which claims, when, why and until when, including
//! refusals and failures.

use std::fmt::Write as _;

use carnet_core::{day, query::Threshold, receipt::DisclosedThreshold, trust::registration::ReceiptKeyState};
use carnet_spec::Catalogue;
use carnet_wallet::log_check::{LogVerification, check_log};
use serde_json::{Value, json};

use crate::{
    arguments::{LogArguments, LogCommand},
    context::CommandContext,
    failure::Failure,
    ui::{Ui, labels::TypeLabels, messages::LocalizedMessages, parties, sanitise::sanitise},
    wallet::{
        LogEntryKind, WalletContents, WalletLogEntry,
        log::{RequestedBound, WalletLog},
        presentations::{PresentationRecord, presentations},
    },
};

pub(crate) mod export;
pub(crate) mod forget;

/// Displays the log, oldest entry first; or verifies it, exports it, deletes a part of it, or sets its retention
/// period.
pub(crate) fn run(context: &CommandContext, arguments: &LogArguments) -> Result<(), Failure> {
    match &arguments.verb {
        Some(LogCommand::Forget(arguments)) => return forget::run_forget(context, arguments),
        Some(LogCommand::Keep(arguments)) => return forget::run_keep(context, arguments),
        None => {}
    }
    if let Some(folder) = &arguments.export {
        return export::run(context, &context.wallet.read()?, folder);
    }
    let contents = context.wallet.read_without_texts()?;
    if arguments.verify {
        return verify(context, &contents, arguments.noted.as_deref());
    }
    let log = contents.log;
    let mut text = String::new();
    let catalogue = context.catalogue()?;
    if let Some(said) = checkpoint_text(&log, &context.ui.messages) {
        text.push_str(&context.ui.format_wrapped(0, &said));
    }
    for view in entry_views(&log) {
        write(&view, context, &catalogue, &mut text);
    }
    if text.is_empty() {
        let _ = writeln!(text, "{}", context.ui.messages.text("log-nothing"));
    }
    context.ui.print_result(&text, &log_json(context, &log));
    Ok(())
}

/// Returns the whole log as JSON. Log entries contain no claim values.
fn log_json(context: &CommandContext, log: &WalletLog) -> Value {
    let shown: Vec<Value> = presentations(log).iter().map(|known| known.to_json(context.now())).collect();
    json!({
        "entries": log.entries(), "presentations": shown, "head": log.head(), "count": log.entries().len(),
        "checkpoint": log.checkpoint(),
    })
}

/// Returns a line about deleted entries; `None` if none were deleted.
fn checkpoint_text(log: &WalletLog, messages: &LocalizedMessages) -> Option<String> {
    let checkpoint = log.checkpoint()?;
    let (count, day, at) =
        (checkpoint.last_deleted.to_string(), day::format_start(checkpoint.before), checkpoint.at.to_string());
    Some(messages.format("log-checkpoint", &[("count", &count), ("day", &day), ("time", &at)]))
}

fn verify(context: &CommandContext, contents: &WalletContents, noted: Option<&str>) -> Result<(), Failure> {
    let LogVerification { count, key } = check_log(contents, noted)?;
    let log = &contents.log;
    let messages = &context.ui.messages;
    let head = log.head();
    let text = format!(
        "{}\n{}: {}\n{}: {head}\n{}\n",
        messages.text("log-whole"),
        messages.text("log-count"),
        log.entries().len(),
        messages.text("log-head"),
        messages.text("log-head-note")
    );
    let said = [checkpoint_text(log, messages), key.as_ref().map(|key| format!("{}: {key}", messages.text("log-key")))];
    let text = said.into_iter().flatten().fold(text, |text, line| text + &line + "\n");
    let object = json!({
        "whole": true, "head": head, "count": log.entries().len(), "receipts": count.receipts,
        "confirmations": count.confirmations, "alone": count.not_verified, "checkpoint": log.checkpoint(), "key": key,
    });
    context.ui.print_result(&text, &object);
    Ok(())
}

/// Log entry for display. Later entries about a presentation are shown with it.
struct EntryView<'a> {
    entry: &'a WalletLogEntry,
    /// Entry with the data of the party: this one, or an earlier one to which it refers.
    described: &'a WalletLogEntry,
    /// Kind for display: for a presentation, that of its outcome.
    kind: LogEntryKind,
    presentation: Option<PresentationRecord<'a>>,
}

/// Returns the name of the other party of an entry: that of a registered verifier, otherwise the address or DID with
/// the party's own display name.
pub(crate) fn party_name(ui: &Ui, entry: &WalletLogEntry) -> String {
    let (name, did) = (entry.party_name.as_str(), entry.did());
    match &entry.verifier {
        Some(asker) if asker.registrar.is_some() => parties::known_name(ui, name, did),
        Some(asker) => parties::unregistered_name(ui, &entry.party, Some(&asker.endpoint), name),
        // The log has no more about a verifier whose request was refused.
        None if entry.party != did => parties::unregistered_name(ui, &entry.party, None, name),
        None => parties::issuer_name(ui, name, did),
    }
}

fn entry_views(log: &WalletLog) -> Vec<EntryView<'_>> {
    let answered = |entry: &WalletLogEntry| log.entries().iter().any(|later| later.refers_to == Some(entry.number));
    let told_elsewhere = |entry: &WalletLogEntry| match entry.kind {
        LogEntryKind::Accepted | LogEntryKind::RefusedByVerifier | LogEntryKind::Unanswered | LogEntryKind::Receipt => {
            true
        }
        LogEntryKind::Requested => answered(entry),
        _ => false,
    };
    let mut known = presentations(log).into_iter();
    let entries = log.entries().iter().filter(|entry| !told_elsewhere(entry));
    entries
        .map(|entry| {
            let presentation = if entry.kind == LogEntryKind::Sending { known.next() } else { None };
            let outcome = presentation.as_ref().and_then(|known| known.outcome);
            let described = entry_with_contacts(log, entry);
            EntryView { entry, described, kind: outcome.map_or(entry.kind, |outcome| outcome.kind), presentation }
        })
        .collect()
}

/// Returns the entry with the contact data of the verifier: this one, or an earlier one to which it refers.
fn entry_with_contacts<'a>(log: &'a WalletLog, entry: &'a WalletLogEntry) -> &'a WalletLogEntry {
    let earlier = |later: &WalletLogEntry| later.refers_to.filter(|of| *of < later.number).and_then(|of| log.entry(of));
    std::iter::successors(Some(entry), |later| earlier(later)).find(|entry| entry.verifier.is_some()).unwrap_or(entry)
}

impl EntryView<'_> {
    fn what(&self, messages: &LocalizedMessages) -> String {
        messages.text(&format!("log-kind-{}", self.kind.as_str().replace('_', "-")))
    }

    /// Returns the stable reason of a failure or refusal; empty if there is none.
    fn reason(&self) -> String {
        let outcome = self.presentation.as_ref().and_then(|known| known.outcome);
        sanitise(&outcome.unwrap_or(self.entry).reason)
    }

    /// Returns the requested bounds that were not proved, as texts.
    fn unproved_bounds(&self, catalogue: &Catalogue, messages: &LocalizedMessages) -> Vec<String> {
        let is_proved = |asked: &RequestedBound, threshold: &Threshold| {
            self.entry.credentials.iter().filter(|part| asked.types.contains(&part.type_name)).any(|part| {
                let of_claim = part.thresholds.iter().filter(|shown| below_subject(shown.path()) == asked.claim);
                of_claim.filter_map(|shown| shown.threshold().ok()).any(|shown| shown == *threshold)
            })
        };
        let said = |asked: &RequestedBound| {
            let threshold = Threshold::new(asked.direction, asked.bound.clone()).ok()?;
            let type_name = asked.types.first().map_or("", String::as_str);
            let labels = TypeLabels::new(catalogue, type_name, messages);
            let line = || {
                format!(
                    "{}, {}: {}",
                    labels.type_label(),
                    labels.claim_label(&asked.claim),
                    labels.bound_label(&threshold)
                )
            };
            (!is_proved(asked, &threshold)).then(line)
        };
        self.entry.requested_bounds.iter().filter_map(said).collect()
    }

    /// Returns the detail lines, each as label and text.
    fn details(&self, context: &CommandContext, catalogue: &Catalogue) -> Vec<(String, String)> {
        let messages = &context.ui.messages;
        let mut details = Vec::new();
        let mut add = |label: &str, text: String| details.push((messages.text(label), text));
        if !self.entry.purpose.is_empty() {
            let is_paper = matches!(
                self.entry.kind,
                LogEntryKind::PaperAdded | LogEntryKind::PaperShared | LogEntryKind::PaperDeleted
            );
            add(if is_paper { "paper-kind" } else { "log-why" }, sanitise(&self.entry.purpose));
        }
        for part in &self.entry.credentials {
            let labels = TypeLabels::new(catalogue, &part.type_name, messages);
            let document = format!("{} ({})", labels.type_label(), sanitise(&part.id));
            let paths: Vec<String> = part.paths.iter().map(|path| labels.claim_label(below_subject(path))).collect();
            if !paths.is_empty() || part.thresholds.is_empty() {
                add("log-claims", format!("{document}: {}", paths.join(", ")).trim_end_matches([':', ' ']).to_owned());
            }
            let proved: Vec<String> = part.thresholds.iter().map(|shown| threshold(shown, &labels, messages)).collect();
            if !proved.is_empty() {
                add("log-proved", format!("{document}: {}", proved.join(", ")));
            }
        }
        let bounds = self.unproved_bounds(catalogue, messages);
        if !bounds.is_empty() {
            add("log-bounds", bounds.join("; "));
        }
        if !self.entry.excess.is_empty() {
            let beyond: Vec<String> =
                self.entry.excess.iter().map(|beyond| excess_text(self.entry, beyond, catalogue, messages)).collect();
            add("log-beyond", beyond.join("; "));
        }
        let Some(known) = &self.presentation else { return details };
        let standing = known.valid_receipt().and_then(|entry| entry.statement.as_ref()?.key_standing);
        if standing == Some(ReceiptKeyState::NotRegistered) {
            add("log-receipt-key", messages.text("receipt-key-not-registered"));
        }
        match (known.erasure, known.erasure_due()) {
            (Some(erased), _) => add("log-gone", messages.time(erased.at)),
            (None, Some(due)) if due <= context.now() => add("log-due-past", messages.time(due)),
            (None, Some(due)) => add("log-due", messages.time(due)),
            (None, None) => add("log-due", messages.text("log-no-receipt")),
        }
        details
    }
}

/// Describes an item in excess of the registration, in the words of the consent screen: the credential and its claim.
/// Entries of earlier versions name no credential type unless something was presented; such an item is described as in
/// the log.
pub(crate) fn excess_text(
    entry: &WalletLogEntry,
    beyond: &str,
    catalogue: &Catalogue,
    messages: &LocalizedMessages,
) -> String {
    let Some((query_id, path)) = beyond.split_once(": ") else { return sanitise(beyond) };
    let presented = || entry.credentials.iter().find(|part| part.query_id == query_id).map(|part| &part.type_name);
    let Some(type_name) = entry.beyond_types.get(query_id).or_else(presented) else { return sanitise(beyond) };
    let labels = TypeLabels::new(catalogue, type_name, messages);
    let what = if path == "*" { messages.text("excess-document") } else { labels.claim_label(below_subject(path)) };
    format!("{}, {what}", labels.type_label())
}

/// Returns the path of a claim below the subject, by which labels are looked up.
pub(crate) fn below_subject(path: &str) -> &str {
    path.strip_prefix("credentialSubject.").unwrap_or(path)
}

/// Formats a proved threshold for people. The log has neither the values nor the validity dates, so it does not say that
/// the value stayed hidden.
fn threshold(threshold: &DisclosedThreshold, labels: &TypeLabels<'_>, messages: &LocalizedMessages) -> String {
    let shown = serde_json::to_value(threshold).unwrap_or_default();
    let (direction, bound) = match (shown.get("at_least"), shown.get("at_most")) {
        (Some(bound), _) => ("at-least", bound.clone()),
        (None, bound) => ("at-most", bound.cloned().unwrap_or_default()),
    };
    let kind = if bound.as_str().is_some_and(|bound| bound.contains('-')) { "date" } else { "value" };
    let bound = bound.as_str().map_or_else(|| bound.to_string(), str::to_owned);
    let words = messages.format(&format!("bound-{kind}-{direction}"), &[("bound", &sanitise(&bound))]);
    format!("{}: {words}", labels.claim_label(below_subject(threshold.path())))
}

fn write(view: &EntryView<'_>, context: &CommandContext, catalogue: &Catalogue, text: &mut String) {
    let ui = &context.ui;
    let reason = view.reason();
    let reason = if reason.is_empty() { reason } else { format!(" [{reason}]") };
    let (number, at) = (view.entry.number, ui.messages.time(view.entry.at));
    text.push_str(&ui.format_wrapped(
        0,
        &format!("{number} {at} {} {}{reason}", view.what(&ui.messages), party_name(ui, view.described)),
    ));
    for (label, said) in view.details(context, catalogue) {
        text.push_str(&ui.format_wrapped(6, &format!("{label}: {said}")));
    }
}

#[cfg(test)]
mod tests;
