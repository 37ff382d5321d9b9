//! `carnet show`: shows one credential to its owner.

use std::fmt::Write;

use carnet_core::{
    day,
    json::{Limits, parse},
    secure::sd_jwt::SdJwt,
    time::Timestamp,
};
use serde_json::{Map, Value, json};

use crate::{
    answer::{are_commitments, claims_of},
    arguments::Show,
    commands::list,
    failure::{Failure, Safety},
    session::Session,
    ui::{labels::Labels, sanitise::clean},
    wallet::{Copy, HeldCredential},
};

/// Shows a credential with its values, which is safe because the owner reads it.
pub(crate) fn run(session: &Session, arguments: &Show) -> Result<(), Failure> {
    let contents = session.read()?;
    let index = contents.find(&arguments.id)?;
    let Some(held) = contents.credentials.get(index) else { return Ok(()) };
    let catalogue = session.catalogue()?;
    let labels = Labels::new(&catalogue, &held.type_name, &session.ui.messages);
    let payload = payload(held).map_err(|problem| {
        Failure::from_problem(&problem, "This document cannot be read any more", "receive it again")
            .with_safety(Safety::Unreadable)
    })?;
    let mut text = format!("{}\n", session.ui.heading(&labels.document()));
    let until = held.valid_until.map(|until| until.to_string());
    let _ = writeln!(text, "  issuer    {} ({})", clean(&held.issuer_name), clean(&held.issuer));
    let _ = writeln!(text, "  format    {}", held.format);
    let _ = writeln!(text, "  until     {}", held.valid_until.map_or_else(|| "no end".to_owned(), day::until));
    let (vouched, vouched_until) = held.vouched_for(session.now());
    let standing = list::standing(&session.ui, held, vouched_until);
    let standing = standing.map(|standing| format!("\n    {standing}")).unwrap_or_default();
    let _ = writeln!(text, "  copies    {}, of which {} unused{standing}\n", held.copies.len(), held.fresh_copies());
    let mut claims = Vec::new();
    for (name, value) in claims_of(&payload, &held.format).into_iter().filter(|(name, _)| !are_commitments(name)) {
        let (label, words) = (labels.claim(&name), labels.value(&name, value));
        let _ = writeln!(text, "  {label}: {words}");
        claims.push(json!({"claim": name, "label": label, "value": value, "text": words}));
    }
    let copies: Vec<Value> = held.copies.iter().map(|copy| copy_json(copy, session.now())).collect();
    let object = json!({
        "id": held.id, "type": held.type_name, "label": labels.document(), "format": held.format,
        "issuer": held.issuer, "issuer_name": held.issuer_name, "received_at": held.received_at.to_string(),
        "valid_from": held.valid_from.map(|from| from.to_string()), "valid_until": until,
        "claims": claims, "copies": copies, "copies_confirmed": vouched,
    });
    session.ui.result(&text, &object);
    Ok(())
}

fn copy_json(copy: &Copy, now: Timestamp) -> Value {
    let standing = copy.standing.as_ref();
    json!({
        "shown_to": copy.shown_to,
        "state": standing.map(|standing| standing.state.as_str()),
        "asked_at": standing.map(|standing| standing.asked_at.to_string()),
        "confirmed_until": copy.fresh(now).map(|statement| statement.until.to_string()),
    })
}

/// Returns the claims, from the first copy that still has its text: all copies have the same.
fn payload(held: &HeldCredential) -> Result<Map<String, Value>, carnet_core::Problem> {
    let missing = || carnet_core::Problem::from(carnet_core::Code::InvalidJson);
    let copy = held.copies.iter().find(|copy| copy.is_kept()).ok_or_else(missing)?;
    if held.format.ends_with("sd-jwt") {
        return Ok(SdJwt::parse(&copy.credential.text())?.disclosed()?.payload);
    }
    parse(copy.credential.text().as_bytes(), Limits::DOCUMENT)?.as_object().cloned().ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::tests::Issuer;

    #[test]
    fn a_copy_of_which_only_the_key_is_left_is_passed_over() {
        let mut held = Issuer::new().held("aaaa", "vc+sd-jwt", 2);
        let whole = payload(&held).unwrap();
        held.copies[0].credential.clear();
        assert_eq!(payload(&held).unwrap()["credentialSubject"]["title"], whole["credentialSubject"]["title"]);
        held.copies[1].credential.clear();
        assert!(payload(&held).is_err());
    }
}
