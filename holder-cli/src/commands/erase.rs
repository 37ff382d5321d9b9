//! Command `carnet erase`: requests erasure of presented data from a verifier, with the holder's approval.

use carnet_wallet::erasure::{ConfirmedErasure, ErasureConsent, ErasurePlan, NotErased, request_erasure};
use serde_json::{Value, json};

use crate::{
    arguments::Erase,
    commands::log::party_name,
    context::CommandContext,
    failure::{Failure, FailureReason, Sentence},
    ui::Ui,
    wallet::WalletLogEntry,
};

/// Requests erasure of every presentation to a verifier whose erasure was not confirmed yet.
pub(crate) async fn run(context: &CommandContext, arguments: &Erase) -> Result<(), Failure> {
    let mut wallet = context.wallet.open()?;
    let holder = TerminalErasureConsent { ui: &context.ui, arguments };
    let results = request_erasure(context, &mut wallet, &arguments.who, &holder).await?;
    let object = json!({
        "erased": results.erased.iter().map(erased_json).collect::<Vec<_>>(),
        "failed": results.failed.iter().map(not_erased_json).collect::<Vec<_>>(),
        "skipped": results.skipped.iter().map(not_erased_json).collect::<Vec<_>>(),
    });
    if let Some(failure) = results.failure {
        return Err(failure.with_members(object));
    }
    let mut text = format!("{}\n", context.ui.messages.text("erase-done"));
    for one in &results.erased {
        text.push_str(&line(&context.ui, &one.sent));
    }
    context.ui.print_result(&text, &object);
    Ok(())
}

/// Consent of the holder: at the terminal, or by a digest on the command line.
struct TerminalErasureConsent<'a> {
    ui: &'a Ui,
    arguments: &'a Erase,
}

impl ErasureConsent for TerminalErasureConsent<'_> {
    fn approve(&self, plan: &ErasurePlan) -> Result<(), Failure> {
        let (ui, digest) = (self.ui, &plan.digest);
        if self.arguments.yes.as_ref() == Some(digest) {
            return Ok(());
        }
        let lines: String = plan.presentations.iter().map(|one| line(ui, &one.sent)).collect();
        let heading = ui.heading(&ui.messages.text("erase-asked"));
        let code =
            if ui.details { format!("{}: {digest}\n", ui.messages.text("consent-digest")) } else { String::new() };
        ui.print_text(&format!("{heading}:\n{lines}{code}"));
        let refused = |reason: FailureReason, message| {
            let hint = Sentence::new("hint-erase-yes").with("digest", digest);
            let object = json!({"digest": digest, "would_ask": requests_json(plan)});
            Failure::new(reason, Sentence::new(message), hint).with_members(object)
        };
        match &self.arguments.yes {
            Some(approved) if !approved.is_empty() => {
                Err(refused(FailureReason::ApprovalMismatch, "error-erase-mismatch"))
            }
            Some(_) => Err(refused(FailureReason::ApprovalNeeded, "error-erase-digest")),
            None if !ui.can_ask() => Err(refused(FailureReason::ApprovalNeeded, "error-erase-nobody")),
            None => ui.require_yes(&ui.messages.text("erase-question"), Sentence::new("undone-erasure")),
        }
    }
}

fn requests_json(plan: &ErasurePlan) -> Vec<Value> {
    let one = plan.presentations.iter().map(|one| {
        json!({
            "entry": one.sent.number, "at": one.sent.at.to_string(), "party": one.sent.party,
            "party_name": one.sent.party_name, "endpoint": one.endpoint(),
        })
    });
    one.collect()
}

fn erased_json(erased: &ConfirmedErasure) -> Value {
    json!({
        "entry": erased.sent.number, "receipt_entry": erased.receipt_entry,
        "confirmation_entry": erased.confirmation_entry, "party": erased.sent.party,
        "party_name": erased.sent.party_name, "erased_at": erased.erased_at,
    })
}

fn not_erased_json(left: &NotErased) -> Value {
    json!({"entry": left.entry, "reason": left.reason})
}

fn line(ui: &Ui, sent: &WalletLogEntry) -> String {
    format!("{:>4}  {}  {}\n", sent.number, sent.at, party_name(ui, sent))
}

#[cfg(test)]
pub(crate) mod tests;
