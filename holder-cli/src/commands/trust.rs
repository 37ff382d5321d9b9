//! Command `carnet trust`: manages the trust lists by which the wallet accepts registrars and issuers.

use std::fmt::Write;

use carnet_core::{Problem, day, trust::list::TrustList};
use carnet_wallet::trust_lists::{add_list, list_source, remove_list, update_lists};
use serde_json::{Map, Value, json};

use crate::{
    arguments::{AddTrust, RemoveTrust, TrustCommand, UpdateTrust},
    context::CommandContext,
    failure::Failure,
    ui::{Ui, parties, sanitise::sanitise},
    wallet::PinnedList,
};

/// Runs a subcommand of `carnet trust`.
pub(crate) async fn run(context: &CommandContext, command: &TrustCommand) -> Result<(), Failure> {
    match command {
        TrustCommand::Add(arguments) => add(context, arguments).await,
        TrustCommand::List => list(context),
        TrustCommand::Update(arguments) => update(context, arguments).await,
        TrustCommand::Remove(arguments) => remove(context, arguments),
    }
}

async fn add(context: &CommandContext, arguments: &AddTrust) -> Result<(), Failure> {
    let mut wallet = context.wallet.open()?;
    let pinned = PinnedList {
        issuer: arguments.issuer.clone(),
        operators: arguments.operators.clone(),
        quorum: arguments.quorum,
        min_sequence: arguments.least,
        source: list_source(&arguments.list)?,
        document: Map::new(),
        timestamp: None,
        operator_documents: Vec::new(),
    };
    let held = add_list(context, &mut wallet, pinned, arguments.accept.as_deref()).await?;
    let text = context.ui.messages.format("trust-added", &[("list", &title(&context.ui, &held))]);
    let text = format!("{text}{}", remarks(context, &held));
    context.ui.print_result(&format!("{text}\n"), &json!({"added": list_json(&held)}));
    Ok(())
}

fn list(context: &CommandContext) -> Result<(), Failure> {
    let contents = context.wallet.read_without_texts()?;
    let (mut text, mut all) = (String::new(), Vec::new());
    for pinned in &contents.trust.lists {
        let seen = contents.trust.accepted.get(&pinned.issuer);
        let now = context.now();
        let held = pinned.verify(&pinned.document, seen, None, now);
        let held = held.and_then(|held| held.require_timestamp(now).map(|()| held));
        // Writing to a string does not fail.
        let _ = match &held {
            Ok(held) => writeln!(text, "{}{}", title(&context.ui, held), remarks(context, held)),
            Err(problem) => {
                let list = parties::known_name(&context.ui, "", &pinned.issuer);
                writeln!(text, "{list}  [{}] {}", problem.code, sanitise(&problem.detail))
            }
        };
        let mut one = json!({
            "issuer": pinned.issuer, "source": pinned.source, "operators": pinned.operators, "quorum": pinned.quorum,
            "sequence": seen.map(|seen| seen.sequence), "holds": held.is_ok(),
            "reason": held.as_ref().err().map(|problem| problem.code.as_str()),
        });
        if let (Ok(held), Some(members)) = (&held, one.as_object_mut()) {
            members.insert("valid_until".to_owned(), held.valid_until().to_string().into());
            members.insert("failed_proofs".to_owned(), failed_proofs(held));
            members.insert(
                "timestamp_until".to_owned(),
                json!(held.timestamp_valid_until().map(|until| until.to_string())),
            );
        }
        all.push(one);
    }
    if all.is_empty() {
        let _ = writeln!(text, "{}", context.ui.messages.text("trust-none"));
    }
    context.ui.print_result(&text, &json!({"trust_lists": all}));
    Ok(())
}

/// Returns one line for each updated list, and the lists as objects for `--json`.
pub(super) fn updated_lists(context: &CommandContext, updated: &[TrustList]) -> (String, Vec<Value>) {
    let line = |held: &TrustList| {
        let line = context.ui.messages.format("trust-updated", &[("list", &title(&context.ui, held))]);
        format!("{line}{}\n", remarks(context, held))
    };
    (updated.iter().map(line).collect(), updated.iter().map(list_json).collect())
}

async fn update(context: &CommandContext, arguments: &UpdateTrust) -> Result<(), Failure> {
    let mut wallet = context.wallet.open()?;
    let (updated, failure) = update_lists(context, &mut wallet.contents.trust, arguments.accept.as_deref()).await;
    wallet.save()?;
    let (text, lists) = updated_lists(context, &updated);
    let object = json!({"updated": lists});
    if let Some(failure) = failure {
        context.ui.print_text(&text);
        return Err(failure.with_members(object));
    }
    context.ui.print_result(&text, &object);
    Ok(())
}

fn remove(context: &CommandContext, arguments: &RemoveTrust) -> Result<(), Failure> {
    let mut wallet = context.wallet.open()?;
    remove_list(context, &mut wallet, &arguments.issuer)?;
    let list = parties::known_name(&context.ui, "", &arguments.issuer);
    let text = context.ui.messages.format("trust-removed", &[("list", &list)]);
    context.ui.print_result(&format!("{text}\n"), &json!({"removed": {"issuer": arguments.issuer}}));
    Ok(())
}

fn title(ui: &Ui, held: &TrustList) -> String {
    format!(
        "{}  {}, {}",
        parties::known_name(ui, "", held.list_id()),
        held.contents().sequence,
        ui.messages.time(day::format_end(held.valid_until()))
    )
}

/// Returns one line for each operator whose proof is invalid, if the other proofs reach the quorum; otherwise the list
/// itself is invalid.
fn failed_lines(context: &CommandContext, held: &TrustList) -> String {
    let line = |(operator, problem): (&str, &Problem)| {
        let (operator, why) = (parties::known_name(&context.ui, "", operator), sanitise(&problem.to_string()));
        format!("\n{}", context.ui.messages.format("trust-failed-proof", &[("operator", &operator), ("why", &why)]))
    };
    held.failed_proofs().map(line).collect()
}

/// Returns one line about the timestamp of a list that names timestamp signers; otherwise an empty string.
fn timestamp_line(context: &CommandContext, held: &TrustList) -> String {
    let messages = &context.ui.messages;
    match held.timestamp_valid_until() {
        _ if !held.names_timestamp_signers() => String::new(),
        Some(until) => format!("\n{}", messages.format("trust-timestamp", &[("day", &day::format_end(until))])),
        None => format!("\n{}", messages.text("trust-timestamp-none")),
    }
}

/// Returns the lines below the title of a list.
fn remarks(context: &CommandContext, held: &TrustList) -> String {
    timestamp_line(context, held) + &failed_lines(context, held)
}

fn failed_proofs(held: &TrustList) -> Value {
    let one = |(operator, problem): (&str, &Problem)| json!({"operator": operator, "reason": problem.code.as_str(), "detail": problem.detail});
    held.failed_proofs().map(one).collect()
}

fn list_json(held: &TrustList) -> Value {
    json!({
        "issuer": held.list_id(), "sequence": held.contents().sequence, "digest": held.digest(),
        "valid_until": held.valid_until().to_string(), "signed_by": held.signed_by().collect::<Vec<_>>(),
        "failed_proofs": failed_proofs(held),
        "timestamp_until": held.timestamp_valid_until().map(|until| until.to_string()),
        "issuers": held.contents().issuers.len(), "registrars": held.contents().registrars.len(),
    })
}
