//! Command `carnet list`: lists the contents of the wallet. Nothing is verified again, since only verified credentials
//! are stored.

use carnet_core::{day, time::Timestamp};
use carnet_spec::Catalogue;
use serde_json::{Value, json};

use crate::{
    context::CommandContext,
    failure::Failure,
    receipt::{VoucherUses, voucher_uses},
    ui::{Ui, labels::TypeLabels, parties, sanitise::sanitise},
    wallet::{HeldCredential, WalletContents, cached_status::CopyState, refusals::WithdrawalRefusal},
};

pub(crate) fn run(context: &CommandContext) -> Result<(), Failure> {
    let contents = context.wallet.read_without_texts()?;
    let (text, object) = listing(&contents, &context.catalogue()?, &context.ui, context.now());
    context.ui.print_result(&text, &object);
    Ok(())
}

/// Returns the credentials and pending issuances as text and as an object.
fn listing(contents: &WalletContents, catalogue: &Catalogue, ui: &Ui, now: Timestamp) -> (String, Value) {
    let mut text = String::new();
    let mut listed: Vec<Value> = Vec::with_capacity(contents.credentials.len());
    let used = voucher_uses(&contents.log);
    let refusals = contents.withdrawal_refusals();
    for held in &contents.credentials {
        let label = TypeLabels::of_held(catalogue, held, &ui.messages).type_label();
        let expired = held.valid_until.is_some_and(|until| now > until);
        let until = held.valid_until.map(|until| until.to_string());
        let (fresh, low) = (held.unused_copies(), held.needs_refill());
        let soon = held.is_due_for_renewal(now);
        let (vouched, vouched_until) = held.count_confirmed_copies(now);
        let used = used.get(&held.id);
        // The wallet counts the uses of a voucher with serials itself; for others it shows what the redeemer said last.
        let said = |used: &VoucherUses| (u64::from(used.remaining), u64::from(used.total));
        let uses = own_uses(held).or(used.map(said));
        let refusal = refusals.get(held.id.as_str()).copied();
        write_credential(ui, catalogue, held, (used, refusal), now, &mut text);
        listed.push(json!({
            "id": held.id, "type": held.type_name, "label": label, "format": held.format,
            "issuer": held.issuer, "issuer_name": held.issuer_name,
            "received_at": held.received_at.to_string(),
            "valid_from": held.valid_from.map(|from| from.to_string()), "valid_until": until, "expired": expired,
            "copies": held.copies.len(), "copies_unused": fresh,
            "low": low, "refillable": held.is_refillable(), "copies_confirmed": vouched, "ends_soon": soon,
            "confirmed_until": vouched_until.map(|until| until.to_string()),
            "refused": refusal.map(|refusal| refusal_json(&refusal)),
            "withdrawn": held.withdrawn_status().map(|standing| standing.state.as_str()),
            "uses_left": uses.map(|(left, _)| left), "uses": uses.map(|(_, of)| of),
            "message": held.issuer_message().map(|standing| sanitise(&standing.message)),
            "withdrawn_seen": held.withdrawn_status().map(|standing| standing.requested_at.to_string()),
        }));
    }
    let pending: Vec<Value> = contents
        .pending_issuances
        .iter()
        .map(|pending| {
            let what = sanitise(&pending.configuration_id);
            text.push_str(&ui.format_wrapped(0, &what));
            text.push_str(&ui.format_wrapped(2, &parties::issuer_name(ui, "", &pending.issuer)));
            let since = pending.started_at.to_string();
            text.push_str(&ui.format_wrapped(2, &ui.messages.format("list-pending", &[("time", &since)])));
            json!({"configuration": what, "issuer": pending.issuer, "since": pending.started_at.to_string()})
        })
        .collect();
    if text.is_empty() {
        text.push_str(&ui.format_wrapped(0, &ui.messages.text("list-empty")));
    }
    let deleted: Vec<Value> = contents
        .bin
        .iter()
        .map(|binned| {
            let type_name = &binned.credential.type_name;
            let label = TypeLabels::new(catalogue, type_name, &ui.messages).type_label();
            let kept_until = binned.kept_until();
            let day = day::format_last_day(kept_until);
            let line = ui.messages.format("list-deleted", &[("document", &label), ("day", &day)]);
            text.push_str(&ui.format_wrapped(0, &line));
            json!({"id": binned.credential.id, "type": type_name, "kept_until": kept_until.to_string()})
        })
        .collect();
    let (papers_text, papers) = super::paper::papers_text(ui, contents);
    text.push_str(&papers_text);
    (text, json!({"credentials": listed, "pending": pending, "deleted": deleted, "papers": papers}))
}

/// Appends the lines about one credential to `text`.
fn write_credential(
    ui: &Ui,
    catalogue: &Catalogue,
    held: &HeldCredential,
    (used, refusal): (Option<&VoucherUses>, Option<WithdrawalRefusal<'_>>),
    now: Timestamp,
    text: &mut String,
) {
    let messages = &ui.messages;
    let label = TypeLabels::of_held(catalogue, held, messages).type_label();
    for line in ui.format_wrapped(0, &label).lines() {
        text.push_str(&ui.heading(line));
        text.push('\n');
    }
    let mut line = |said: &str| text.push_str(&ui.format_wrapped(2, said));
    line(&sanitise(&held.issuer_name));
    let expired = held.valid_until.is_some_and(|until| now > until);
    line(&match held.valid_until {
        None => messages.text("list-no-end"),
        Some(until) => {
            messages.format(if expired { "list-ended" } else { "list-until" }, &[("day", &day::format_last_day(until))])
        }
    });
    let (unused, all) = (held.unused_copies().to_string(), held.copies.len().to_string());
    line(&messages.format("list-copies", &[("unused", &unused), ("all", &all)]));
    if let Some((left, of)) = own_uses(held) {
        line(&messages.format("list-uses-own", &[("left", &left.to_string()), ("of", &of.to_string())]));
    } else if let Some(used) = used {
        let (left, of, by) = (used.remaining.to_string(), used.total.to_string(), sanitise(&used.redeemer_name));
        let said = [("left", left.as_str()), ("of", &of), ("by", &by), ("day", &day_of(used.stated_at))];
        line(&messages.format("list-uses", &said));
    }
    if held.needs_refill() && !expired && held.is_refillable() {
        line(&messages.text("list-refill"));
    }
    if held.is_due_for_renewal(now) && held.is_refillable() {
        line(&messages.text("list-renew"));
    }
    if let Some(standing) = status_text(ui, held, held.count_confirmed_copies(now).1) {
        line(&standing);
    }
    if let Some(refusal) = refusal {
        line(&refusal_text(ui, &refusal));
    }
    if let Some(said) = issuer_message_text(ui, held) {
        line(&said);
    }
    line(&messages.format("list-id", &[("id", &held.id)]));
}

/// Returns the remaining and the total number of uses of a voucher with serials; `None` for other credentials.
fn own_uses(held: &HeldCredential) -> Option<(u64, u64)> {
    let serials = held.serials.as_ref()?;
    Some((u64::try_from(serials.remaining_uses()).ok()?, u64::try_from(serials.total_uses).ok()?))
}

fn day_of(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

/// Describes the state that the issuer reported: suspended or revoked, otherwise confirmed until `vouched_until`.
/// `None` if neither applies.
pub(crate) fn status_text(ui: &Ui, held: &HeldCredential, vouched_until: Option<Timestamp>) -> Option<String> {
    let say = |id: &str, time: Timestamp| Some(ui.messages.format(id, &[("time", &time.to_string())]));
    match (held.withdrawn_status(), vouched_until) {
        (Some(standing), _) if standing.state == CopyState::Revoked => say("standing-revoked", standing.requested_at),
        (Some(standing), _) => say("standing-suspended", standing.requested_at),
        (None, Some(until)) => say("standing-confirmed", until),
        (None, None) => None,
    }
}

/// Describes the refusal of a credential by a verifier as suspended or revoked.
pub(crate) fn refusal_text(ui: &Ui, refusal: &WithdrawalRefusal<'_>) -> String {
    let id = if refusal.state == CopyState::Revoked { "refused-revoked" } else { "refused-suspended" };
    let asker = match parties::client_id_did(refusal.verifier_name) {
        Some(_) => parties::unregistered_name(ui, refusal.verifier_name, None, ""),
        None => sanitise(refusal.verifier_name),
    };
    let time = refusal.at.to_string();
    ui.messages.format(id, &[("asker", &asker), ("time", &time)])
}

/// Returns the refusal of a credential as JSON.
pub(crate) fn refusal_json(refusal: &WithdrawalRefusal<'_>) -> Value {
    json!({"reason": refusal.state.as_str(), "at": refusal.at.to_string(), "asker": sanitise(refusal.verifier_name)})
}

/// Returns the issuer's latest message to the holder, with the time of the request; `None` if there is none.
pub(crate) fn issuer_message_text(ui: &Ui, held: &HeldCredential) -> Option<String> {
    let standing = held.issuer_message()?;
    let said = [("statement", sanitise(&standing.message)), ("time", standing.requested_at.to_string())];
    let said: Vec<(&str, &str)> = said.iter().map(|(name, text)| (*name, text.as_str())).collect();
    Some(ui.messages.format("standing-message", &said))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        answer::tests::{Issuer, NOW},
        ui::messages::Language,
        wallet::{LogEntryKind, LoggedCredential, WalletLogEntry},
    };
    use carnet_core::format::CredentialFormat;

    /// The list counts copies without opening them; a benchmark measures it (`cargo bench -p carnet-tests`).
    #[test]
    fn copies_are_listed_without_being_read() {
        let mut contents = WalletContents::new(12);
        let mut held = Issuer::new().held("aaaa", CredentialFormat::VcSdJwt, 10);
        for copy in &mut held.copies {
            copy.credential = "unreadable".to_owned().into();
        }
        contents.credentials = vec![held];
        let ui = Ui::new(true, true, Language::En);
        let listed = listing(&contents, &Catalogue::embedded().unwrap(), &ui, NOW).1;
        assert_eq!(listed.pointer("/credentials/0/copies_unused"), Some(&json!(10)));
    }

    #[test]
    fn it_speaks_every_language_and_fits_the_terminal() {
        let mut contents = WalletContents::new(12);
        let mut held = Issuer::new().held("aaaa", CredentialFormat::VcSdJwt, 2);
        held.issuer_name = "東京都出入国在留管理局と外国人在留支援センターの合同窓口 Tokyo".to_owned();
        held.endpoint = Some("https://university.example".to_owned());
        contents.credentials = vec![held];
        let parts = vec![LoggedCredential::without_disclosures("aaaa", "QualificationCredential")];
        let party_name = "Housing Office of the City".to_owned();
        let number = contents.log.push(WalletLogEntry {
            credentials: parts,
            party_name,
            ..WalletLogEntry::new(NOW, LogEntryKind::Sending, "housing")
        });
        let sent = contents.log.entry(number).unwrap().clone();
        let reason = "suspended".to_owned();
        contents.log.push(WalletLogEntry {
            reason,
            ..WalletLogEntry::referring_to(&sent, NOW, LogEntryKind::RefusedByVerifier)
        });
        let catalogue = Catalogue::embedded().unwrap();
        for language in Language::ALL {
            for columns in [40, 80] {
                let mut ui = Ui::new(false, true, language);
                ui.columns = Some(columns);
                let text = listing(&contents, &catalogue, &ui, NOW).0;
                assert!(text.lines().all(|line| carnet_console::width(line) <= columns), "{columns}\n{text}");
                let label = TypeLabels::new(&catalogue, &contents.credentials[0].type_name, &ui.messages).type_label();
                assert!(text.starts_with(label.split(' ').next().unwrap()), "{text}");
                let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
                assert!(!flat.contains("list-") && flat.contains("carnet refill") && flat.contains("aaaa"), "{text}");
                assert!(flat.contains("Housing Office of the City") && flat.contains("carnet refresh"), "{text}");
            }
        }
        let empty = listing(&WalletContents::new(12), &catalogue, &Ui::new(false, true, Language::En), NOW).0;
        assert!(empty.contains("carnet receive"), "{empty}");
    }
}
