//! Command `carnet renew`: gets copies with a later expiry for credentials near their end, if the issuer permits it.

use carnet_core::day;
use carnet_wallet::{
    automatic_refill::credentials_to_renew,
    freshness::refresh_new_copies,
    reissue::{Reissue, ReissueResult, reissue},
};
use serde_json::{Value, json};

use crate::{
    arguments::Renew,
    context::CommandContext,
    failure::{DataSafety, Failure, Translate as _},
    issuance::{DateRequirement, skipped_checks},
    ui::{labels::TypeLabels, sanitise::sanitise},
};

/// Renews the given credentials, otherwise all that end within 30 days. One failure does not stop the others.
pub(crate) async fn run(context: &CommandContext, arguments: &Renew) -> Result<(), Failure> {
    let mut wallet = context.wallet.open()?;
    let catalogue = context.catalogue()?;
    let mut chosen = wallet.contents.find_credentials(&arguments.ids)?;
    if arguments.ids.is_empty() {
        chosen = credentials_to_renew(&wallet.contents, context.now());
    }
    let messages = &context.ui.messages;
    let (mut text, mut renewed, mut waiting, mut failed) = (String::new(), Vec::new(), Vec::new(), Vec::<Value>::new());
    let mut failure: Option<Failure> = None;
    for index in chosen {
        // One failure does not stop the others.
        let answered = reissue(context, &catalogue, &mut wallet, index, Reissue::Renewal).await;
        let Some(held) = wallet.contents.credentials.get(index) else { continue };
        let labels = TypeLabels::of_held(&catalogue, held, messages);
        let (label, id) = (labels.type_label(), held.id.as_str());
        match answered {
            Ok(ReissueResult::Stored(_, changed)) => {
                let until = held.valid_until.map(|until| until.to_string()).unwrap_or_default();
                let last_day = held.valid_until.map(day::format_end).unwrap_or_default();
                let arguments = [("document", label.as_str()), ("id", id), ("time", last_day.as_str())];
                text.push_str(&format!("{}\n", messages.format("renew-done", &arguments)));
                if !changed.is_empty() {
                    let names: Vec<String> = changed.iter().map(|name| sanitise(&labels.claim_label(name))).collect();
                    text.push_str(&format!("{}\n", messages.format("renew-changed", &[("claims", &names.join(", "))])));
                }
                let known = catalogue.credential_type(&held.type_name);
                let days = DateRequirement::Renewed { since: held.received_at, ended: None, window_days: 0 };
                let unchecked = known.map(|known| skipped_checks(known, days));
                let unchecked = unchecked.unwrap_or_default();
                text.push_str(&messages.skipped_checks_text(unchecked.iter().copied()));
                renewed.push(json!({
                    "id": id, "type": held.type_name, "label": label, "issuer": held.issuer,
                    "issuer_name": held.issuer_name, "valid_until": until, "copies_unused": held.unused_copies(),
                    "changed": changed, "unchecked": unchecked,
                }));
            }
            Ok(ReissueResult::Deferred(seconds)) => {
                text.push_str(&format!("{}\n", messages.format("renew-waiting", &[("document", &label), ("id", id)])));
                waiting.push(json!({"id": id, "type": held.type_name, "label": label, "retry_after_seconds": seconds}));
            }
            Err(refused) => {
                failed.push(json!({"id": id, "reason": refused.reason, "message": refused.message.english()}));
                failure.get_or_insert(refused);
            }
        }
    }
    refresh_new_copies(context, &mut wallet).await;
    let stored = !renewed.is_empty() || !waiting.is_empty();
    let object = json!({"renewed": renewed, "waiting": waiting, "failed": failed});
    if let Some(failure) = failure {
        context.ui.print_text(&text);
        let failure = if stored && failure.safety == DataSafety::Untouched {
            failure.with_safety(DataSafety::Issuer)
        } else {
            failure
        };
        return Err(failure.with_members(object));
    }
    if text.is_empty() {
        text = format!("{}\n", messages.text("renew-nothing"));
    }
    context.ui.print_result(&text, &object);
    Ok(())
}
