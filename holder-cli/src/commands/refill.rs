//! Command `carnet refill`: requests new copies from the issuers, so that no two verifiers see the same copy.

use carnet_spec::Catalogue;
use carnet_wallet::{
    automatic_refill::credentials_to_refill,
    freshness::refresh_new_copies,
    reissue::{Reissue, reissue},
};
use serde_json::{Value, json};

use crate::{
    arguments::Refill,
    context::CommandContext,
    failure::{DataSafety, Failure, Translate as _},
    issuance::{DateRequirement, skipped_checks},
    ui::{labels::TypeLabels, sanitise::sanitise},
    wallet::WalletFile,
};

/// Refills the given credentials, otherwise those that have few unused copies or copies that need replacement; with
/// `--all`, every one that can be refilled.
pub(crate) async fn run(context: &CommandContext, arguments: &Refill) -> Result<(), Failure> {
    let mut wallet = context.wallet.open()?;
    let catalogue = context.catalogue()?;
    let mut outcome = RefillResults::default();
    let mut chosen = wallet.contents.find_credentials(&arguments.ids)?;
    if chosen.is_empty() {
        let choice = credentials_to_refill(&wallet.contents, arguments.all, context.now());
        chosen = choice.chosen;
        for (index, why) in choice.skipped {
            let id = wallet.contents.credentials.get(index).map_or("", |held| held.id.as_str());
            outcome.skip(context, id, &why);
        }
    }
    for index in chosen {
        let answered = reissue(context, &catalogue, &mut wallet, index, Reissue::Refill).await;
        outcome.add(context, &catalogue, &wallet, index, answered.map(|reissued| reissued.new_copies()));
    }
    refresh_new_copies(context, &mut wallet).await;
    outcome.finish(context)
}

/// Results of all refills of a command. One failure does not stop the others.
#[derive(Default)]
struct RefillResults {
    text: String,
    refilled: Vec<Value>,
    skipped: Vec<Value>,
    failed: Vec<Value>,
    failure: Option<Failure>,
}

impl RefillResults {
    fn skip(&mut self, context: &CommandContext, id: &str, why: &Failure) {
        let message = why.message.translate(&context.ui.messages);
        self.text.push_str(&format!("{id}: {message} [{}]\n", why.reason));
        self.skipped.push(json!({"id": id, "reason": why.reason}));
    }

    fn add(
        &mut self,
        context: &CommandContext,
        catalogue: &Catalogue,
        wallet: &WalletFile,
        index: usize,
        answered: Result<usize, Failure>,
    ) {
        let Some(held) = wallet.contents.credentials.get(index) else { return };
        match answered {
            Ok(added) => {
                let label = TypeLabels::of_held(catalogue, held, &context.ui.messages).type_label();
                let (id, fresh, name) = (&held.id, held.unused_copies(), sanitise(&held.issuer_name));
                let done = context.ui.messages.text("refill-done");
                self.text.push_str(&format!("{done} {label} ({id}), {name}: +{added}, {fresh}\n"));
                let unchecked = catalogue
                    .credential_type(&held.type_name)
                    .map(|known| skipped_checks(known, DateRequirement::Unchanged));
                let unchecked = unchecked.unwrap_or_default();
                self.text.push_str(&context.ui.messages.skipped_checks_text(unchecked.iter().copied()));
                self.refilled.push(json!({
                    "id": id, "type": held.type_name, "label": label, "issuer": held.issuer,
                    "issuer_name": held.issuer_name, "copies_added": added, "copies": held.copies.len(),
                    "copies_unused": fresh, "unchecked": unchecked,
                }));
            }
            Err(failure) => {
                self.failed
                    .push(json!({"id": held.id, "reason": failure.reason, "message": failure.message.english()}));
                // A temporary failure does not hide a permanent one, nor the reverse: the first one counts.
                self.failure.get_or_insert(failure);
            }
        }
    }

    fn finish(mut self, context: &CommandContext) -> Result<(), Failure> {
        let object = json!({"refilled": self.refilled, "skipped": self.skipped, "failed": self.failed});
        if let Some(failure) = self.failure {
            context.ui.print_text(&self.text);
            let stored = !self.refilled.is_empty() && failure.safety == DataSafety::Untouched;
            let failure = if stored { failure.with_safety(DataSafety::Issuer) } else { failure };
            return Err(failure.with_members(object));
        }
        if self.text.is_empty() {
            self.text = format!("{}\n", context.ui.messages.text("refill-nothing"));
        }
        context.ui.print_result(&self.text, &object);
        Ok(())
    }
}
