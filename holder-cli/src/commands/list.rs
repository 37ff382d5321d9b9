//! `carnet list`: what is in the wallet. Nothing is verified here: that was done before it was stored.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::{
    failure::Failure,
    session::Session,
    ui::{labels::Labels, sanitise::clean},
};

/// Lists the credentials.
pub(crate) fn run(session: &Session) -> Result<(), Failure> {
    let contents = session.read()?;
    let catalogue = session.catalogue()?;
    let mut text = String::new();
    let mut listed: Vec<Value> = Vec::with_capacity(contents.credentials.len());
    for held in &contents.credentials {
        let label = Labels::new(&catalogue, &held.type_name, &session.ui.messages).document();
        let expired = held.valid_until.is_some_and(|until| session.now > until);
        let until = held.valid_until.map(|until| until.to_string());
        let day = until.as_deref().and_then(|until| until.get(..10)).unwrap_or("no end");
        let fresh = held.fresh_copies();
        let _ = writeln!(
            text,
            "{}  {}  from {}  {} {day}  {fresh} of {} copies unused",
            held.id,
            session.ui.heading(&label),
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
    session.ui.result(&text, &json!({"credentials": listed, "pending": pending}));
    Ok(())
}
