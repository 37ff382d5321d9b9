//! Command `carnet refresh`: fetches freshness statements and newer trust lists, for later use without a network.

use carnet_wallet::{
    automatic_refill::refresh_and_replace,
    freshness::{FreshnessSummary, copies_to_refresh, is_refresh_due, schedule_refresh},
    trust_lists::update_lists,
};
use serde_json::{Value, json};

use super::trust::updated_lists;
use crate::{
    arguments::Refresh,
    context::CommandContext,
    failure::{Failure, Translate as _},
    ui::sanitise::sanitise,
};

/// Refreshes the copies of all credentials, issuer by issuer, and the trust lists. With `--when-due`, only if a refresh
/// is due. One failure does not stop the others.
pub(crate) async fn run(context: &CommandContext, arguments: &Refresh) -> Result<(), Failure> {
    let mut wallet = context.wallet.open()?;
    let now = context.now();
    let (mut text, mut refreshed, mut failed) = (String::new(), Vec::new(), Vec::new());
    let mut failure: Option<Failure> = None;
    let due = !arguments.when_due || is_refresh_due(&wallet.contents, now);
    let offices = if due { copies_to_refresh(&wallet.contents, now) } else { Default::default() };
    for (office, asked) in &offices {
        let held = wallet.contents.credentials.iter().find(|held| held.issuer == office.0);
        let name = held.map(|held| sanitise(&held.issuer_name)).unwrap_or_default();
        // One failure does not stop the others.
        match refresh_and_replace(context, &mut wallet, office, asked).await {
            Ok((said, replaced)) => {
                text.push_str(&summary_text(context, &name, &said, replaced.new_copies));
                refreshed.push(json!({
                    "issuer": office.0, "issuer_name": name, "copies_confirmed": said.valid,
                    "copies_withdrawn": said.withdrawn, "copies_not_known": said.unknown_or_expired,
                    "copies_replaced": replaced.new_copies, "confirmed_until": said.valid_until.map(|until| until.to_string()),
                }));
                if let Some(refused) = replaced.failure {
                    failed.push(
                        json!({"issuer": office.0, "reason": refused.reason, "message": refused.message.english()}),
                    );
                    failure.get_or_insert(refused);
                }
            }
            Err(refused) => {
                failed
                    .push(json!({"issuer": office.0, "reason": refused.reason, "message": refused.message.english()}));
                failure.get_or_insert(refused);
            }
        }
    }
    let mut trust_lists = Vec::new();
    if due {
        let (updated, refused) = update_lists(context, &mut wallet.contents.trust, None).await;
        let (lines, lists) = updated_lists(context, &updated);
        text.push_str(&lines);
        trust_lists = lists;
        if offices.is_empty() {
            schedule_refresh(&mut wallet.contents, now);
        }
        failure = failure.or(refused);
    }
    // Erased data must be written out even if no issuer answered.
    wallet.save()?;
    let mut withdrawn: Vec<Value> = Vec::new();
    let mut messages: Vec<Value> = Vec::new();
    for held in &wallet.contents.credentials {
        if let Some(said) = super::list::issuer_message_text(&context.ui, held) {
            text.push_str(&format!("{} {}\n    {said}\n", held.id, sanitise(&held.type_name)));
            let said = held.issuer_message().map(|standing| sanitise(&standing.message));
            messages.push(json!({"id": held.id, "type": held.type_name, "message": said}));
        }
        let Some(standing) = held.withdrawn_status() else { continue };
        let said = super::list::status_text(&context.ui, held, None).unwrap_or_default();
        text.push_str(&format!("{} {}\n    {said}\n", held.id, sanitise(&held.type_name)));
        withdrawn.push(json!({"id": held.id, "type": held.type_name, "state": standing.state.as_str()}));
    }
    let object = json!({"refreshed": refreshed, "failed": failed, "withdrawn": withdrawn, "messages": messages, "trust_lists": trust_lists});
    if let Some(failure) = failure {
        context.ui.print_text(&text);
        return Err(failure.with_members(object));
    }
    if text.is_empty() {
        text = format!("{}\n", context.ui.messages.text("refresh-nothing"));
    }
    context.ui.print_result(&text, &object);
    Ok(())
}

fn summary_text(context: &CommandContext, issuer: &str, said: &FreshnessSummary, replaced: usize) -> String {
    let messages = &context.ui.messages;
    let mut text = match said.valid_until {
        Some(until) => {
            let (count, time) = (said.valid.to_string(), until.to_string());
            messages.format("refresh-done", &[("issuer", issuer), ("count", &count), ("time", &time)])
        }
        None => messages.format("refresh-none", &[("issuer", issuer)]),
    };
    text.push('\n');
    if replaced > 0 {
        let count = replaced.to_string();
        text.push_str(&messages.format("refresh-replaced", &[("issuer", issuer), ("count", &count)]));
        text.push('\n');
    }
    if said.unknown_or_expired > 0 {
        let count = said.unknown_or_expired.to_string();
        text.push_str(&messages.format("refresh-unknown", &[("issuer", issuer), ("count", &count)]));
        text.push('\n');
    }
    text
}
