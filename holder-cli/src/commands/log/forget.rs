//! Commands `carnet log forget` and `carnet log keep`: deletion of log entries, and their retention period.

use carnet_core::{Code, day, time::Timestamp};
use carnet_wallet::deletion::{LogDeletionPlan, set_retention};
use serde_json::json;

use super::party_name;
use crate::{
    arguments::{Forget, KeepLog},
    context::CommandContext,
    failure::{Failure, FailureReason, Sentence},
    ui::notices::forgotten_text,
};

/// Deletes the log before a day, after the holder has seen which erasure requests become impossible.
pub(super) fn run_forget(context: &CommandContext, arguments: &Forget) -> Result<(), Failure> {
    let before = first_kept(&arguments.before)?;
    let mut wallet = context.wallet.open()?;
    let plan = LogDeletionPlan::before_instant(&wallet.contents, before)?;
    let (text, lines) = warning(context, &plan);
    if !arguments.yes {
        context.ui.print_text(&text);
        if !context.ui.can_ask() {
            let (message, hint) = (Sentence::new("error-forget-nobody"), Sentence::new("hint-forget-yes"));
            let object = json!({"would_forget": plan.count, "before": before.to_string(), "erasure_lost": lines});
            return Err(Failure::new(FailureReason::ApprovalNeeded, message, hint).with_members(object));
        }
        context.ui.require_yes(&context.ui.messages.text("forget-question"), Sentence::new("undone-forgotten"))?;
    }
    let forgotten = plan.execute(&mut wallet, context.now())?;
    let log = &wallet.contents.log;
    let messages = &context.ui.messages;
    let said = forgotten_text(messages, forgotten, before);
    let mut text = format!("{said}\n{}: {}\n", messages.text("log-head"), log.head());
    // The question has told it already.
    if arguments.yes {
        text.push_str(&format!("{}\n", messages.text("forget-copies")));
    }
    let object = json!({
        "forgotten": forgotten, "before": before.to_string(), "erasure_lost": lines, "head": log.head(),
        "count": log.entries().len(), "checkpoint": log.checkpoint(),
    });
    context.ui.print_result(&text, &object);
    Ok(())
}

/// Sets the retention period of the log and deletes older entries; without options, displays the period.
pub(super) fn run_keep(context: &CommandContext, arguments: &KeepLog) -> Result<(), Failure> {
    if arguments.days.is_none() && !arguments.forever {
        let days = context.wallet.read_without_texts()?.log_retention_days;
        context.ui.print_result(&format!("{}\n", retention_text(context, days)), &json!({"log_days": days}));
        return Ok(());
    }
    let mut wallet = context.wallet.open()?;
    let change = set_retention(&mut wallet, arguments.days, context.now())?;
    let mut text = format!("{}\n", retention_text(context, arguments.days));
    if let Some(start) = change.start.filter(|_| change.deleted > 0) {
        text.push_str(&format!("{}\n", forgotten_text(&context.ui.messages, change.deleted, start)));
    }
    let lost: Vec<u64> = change.erasure_lost.iter().map(|sent| sent.number).collect();
    let object = json!({"log_days": arguments.days, "forgotten": change.deleted, "erasure_lost": lost});
    context.ui.print_result(&text, &object);
    Ok(())
}

/// Describes the retention period and its consequence.
pub(crate) fn retention_text(context: &CommandContext, days: Option<u32>) -> String {
    let messages = &context.ui.messages;
    match days {
        Some(days) => messages.format("log-kept-days", &[("days", &days.to_string())]),
        None => messages.text("log-kept-forever"),
    }
}

/// Parses the first day to keep, and returns its start (UTC).
fn first_kept(text: &str) -> Result<Timestamp, Failure> {
    day::parse_start(text).map_err(|problem| {
        let message = Sentence::new("error-before").with_details(&problem.detail);
        Failure::usage(Code::DateMalformed, message, Sentence::new("hint-first-day"))
    })
}

/// Returns the warning about a deletion as text (losses and remnants, spec/log.md 7.5 and 7.6), and as objects the
/// presentations whose erasure can no longer be requested.
fn warning(context: &CommandContext, plan: &LogDeletionPlan) -> (String, Vec<serde_json::Value>) {
    let (messages, lost) = (&context.ui.messages, &plan.erasure_lost);
    let (count, day) = (plan.count.to_string(), day::format_start(plan.before));
    let mut text = messages.format("forget-asked", &[("count", &count), ("day", &day)]) + "\n";
    if !lost.is_empty() {
        text.push_str(&format!("! {}\n", messages.text("forget-erasure")));
        for sent in lost {
            text.push_str(&format!("{:>4}  {}  {}\n", sent.number, sent.at, party_name(&context.ui, sent)));
        }
    }
    text.push_str(&format!("{}\n", messages.text("forget-copies")));
    let lines = lost.iter().map(|sent| json!({"entry": sent.number, "party": sent.party, "at": sent.at.to_string()}));
    (text, lines.collect())
}

#[cfg(test)]
mod tests;
