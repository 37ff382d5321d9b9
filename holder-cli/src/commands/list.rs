//! `carnet list`: what is in the wallet. Nothing is verified here: that was done before it was stored.

use std::fmt::Write;

use carnet_core::{day, time::Timestamp};
use carnet_spec::Catalogue;
use serde_json::{Value, json};

use crate::{
    failure::Failure,
    receipt::used,
    session::Session,
    ui::{Ui, labels::Labels, sanitise::clean},
    wallet::{Contents, HeldCredential, standing::State},
};

/// Lists the credentials.
pub(crate) fn run(session: &Session) -> Result<(), Failure> {
    let contents = session.read_without_texts()?;
    let (text, object) = listing(&contents, &session.catalogue()?, &session.ui, session.now());
    session.ui.result(&text, &object);
    Ok(())
}

/// The list as text and as an object.
fn listing(contents: &Contents, catalogue: &Catalogue, ui: &Ui, now: Timestamp) -> (String, Value) {
    let mut text = String::new();
    let mut listed: Vec<Value> = Vec::with_capacity(contents.credentials.len());
    let used = used(&contents.log);
    for held in &contents.credentials {
        let label = Labels::new(catalogue, &held.type_name, &ui.messages).document();
        let expired = held.valid_until.is_some_and(|until| now > until);
        let until = held.valid_until.map(|until| until.to_string());
        let day = held.valid_until.map_or_else(|| "no end".to_owned(), day::last);
        let (fresh, low) = (held.fresh_copies(), held.is_low());
        let soon = held.ends_soon(now);
        let renew = if soon && held.is_refillable() { "  ENDS SOON: carnet renew" } else { "" };
        let refill = if low && !expired && held.is_refillable() { "  LOW: carnet refill" } else { "" };
        let (vouched, vouched_until) = held.vouched_for(now);
        let standing = standing(ui, held, vouched_until);
        let used = used.get(&held.id);
        let uses = used.map_or_else(String::new, |used| {
            format!("  {} of {} uses left, as {} said on {}", used.left, used.of, clean(&used.by), day_of(used.at))
        });
        let _ = writeln!(
            text,
            "{}  {}  from {}  {} {day}  {fresh} of {} copies unused{uses}{refill}{renew}{standing}",
            held.id,
            ui.heading(&label),
            clean(&held.issuer_name),
            if expired { "EXPIRED" } else { "until" },
            held.copies.len(),
        );
        listed.push(json!({
            "id": held.id, "type": held.type_name, "label": label, "format": held.format,
            "issuer": held.issuer, "issuer_name": held.issuer_name,
            "received_at": held.received_at.to_string(),
            "valid_from": held.valid_from.map(|from| from.to_string()), "valid_until": until, "expired": expired,
            "copies": held.copies.len(), "copies_unused": fresh,
            "low": low, "refillable": held.is_refillable(), "copies_confirmed": vouched, "ends_soon": soon,
            "confirmed_until": vouched_until.map(|until| until.to_string()),
            "withdrawn": held.withdrawn().map(|standing| standing.state.as_str()),
            "uses_left": used.map(|used| used.left), "uses": used.map(|used| used.of),
            "withdrawn_seen": held.withdrawn().map(|standing| standing.asked_at.to_string()),
        }));
    }
    let pending: Vec<Value> = contents
        .pending
        .iter()
        .map(|pending| {
            let what = clean(&pending.configuration_id);
            let _ = writeln!(text, "(on its way)  {what}  from {}  since {}", clean(&pending.issuer), pending.since);
            json!({"configuration": what, "issuer": pending.issuer, "since": pending.since.to_string()})
        })
        .collect();
    if text.is_empty() {
        text.push_str("Your wallet is empty. Receive something with: carnet receive OFFER\n");
    }
    (text, json!({"credentials": listed, "pending": pending}))
}

fn day_of(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

/// What the issuer last said of it, on a line of its own; nothing where it was not asked, or that was long ago.
pub(crate) fn standing(ui: &Ui, held: &HeldCredential, vouched_until: Option<Timestamp>) -> String {
    let say = |id: &str, time: Timestamp| format!("\n    {}", ui.messages.with(id, &[("time", &time.to_string())]));
    match (held.withdrawn(), vouched_until) {
        (Some(standing), _) if standing.state == State::Revoked => say("standing-revoked", standing.asked_at),
        (Some(standing), _) => say("standing-suspended", standing.asked_at),
        (None, Some(until)) => say("standing-confirmed", until),
        (None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        answer::tests::{Issuer, NOW},
        ui::messages::Language,
    };

    /// Copies are counted and not opened: what a list takes is measured by a benchmark (`cargo bench -p carnet-tests`).
    #[test]
    fn copies_are_listed_without_being_read() {
        let mut contents = Contents::new(12);
        let mut held = Issuer::new().held("aaaa", "vc+sd-jwt", 10);
        for copy in &mut held.copies {
            copy.credential = "unreadable".to_owned().into();
        }
        contents.credentials = vec![held];
        let ui = Ui::new(true, true, Language::En);
        let listed = listing(&contents, &Catalogue::embedded().unwrap(), &ui, NOW).1;
        assert_eq!(listed.pointer("/credentials/0/copies_unused"), Some(&json!(10)));
    }
}
