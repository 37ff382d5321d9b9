//! `carnet refresh`: fetches freshness statements and newer trust lists, for use without a network.

use std::collections::BTreeMap;

use carnet_wallet::{
    freshness::{CopyPosition, FreshnessSummary, Handle, IssuerService, copies, draw_next, is_due, refresh},
    upkeep::{Replaced, note_withdrawn, replace_outdated},
};
use serde_json::{Value, json};

use super::trust::look;
use crate::{
    arguments::Refresh,
    failure::{Failure, Spoken as _},
    session::Session,
    ui::sanitise::clean,
    wallet::WalletFile,
};

/// Refreshes all copies of all credentials, with one call per issuer.
pub(crate) async fn run(session: &Session, arguments: &Refresh) -> Result<(), Failure> {
    let mut wallet = session.open()?;
    let now = session.now();
    let (mut text, mut refreshed, mut failed) = (String::new(), Vec::new(), Vec::new());
    let mut failure: Option<Failure> = None;
    let due = !arguments.when_due || is_due(&wallet.contents, now);
    let offices = if due { copies(&wallet.contents, now) } else { Default::default() };
    for (office, asked) in &offices {
        let held = wallet.contents.credentials.iter().find(|held| held.issuer == office.0);
        let name = held.map(|held| clean(&held.issuer_name)).unwrap_or_default();
        // One failure does not stop the others.
        match confirmed(session, &mut wallet, office, asked).await {
            Ok((said, replaced)) => {
                text.push_str(&words(session, &name, &said, replaced.copies));
                refreshed.push(json!({
                    "issuer": office.0, "issuer_name": name, "copies_confirmed": said.valid,
                    "copies_withdrawn": said.withdrawn, "copies_not_known": said.others,
                    "copies_replaced": replaced.copies, "confirmed_until": said.until.map(|until| until.to_string()),
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
        let looked = look(session, &mut wallet.contents.trust, None).await;
        text.push_str(&looked.text);
        trust_lists = looked.lists;
        if offices.is_empty() {
            draw_next(&mut wallet.contents, now);
        }
        failure = failure.or(looked.failure);
    }
    // Erased data must be written out even if no issuer answered.
    wallet.save()?;
    let mut withdrawn: Vec<Value> = Vec::new();
    let mut messages: Vec<Value> = Vec::new();
    for held in &wallet.contents.credentials {
        if let Some(said) = super::list::message(&session.ui, held) {
            text.push_str(&format!("{} {}\n    {said}\n", held.id, clean(&held.type_name)));
            let said = held.message().map(|standing| clean(&standing.message));
            messages.push(json!({"id": held.id, "type": held.type_name, "message": said}));
        }
        let Some(standing) = held.withdrawn() else { continue };
        let said = super::list::standing(&session.ui, held, None).unwrap_or_default();
        text.push_str(&format!("{} {}\n    {said}\n", held.id, clean(&held.type_name)));
        withdrawn.push(json!({"id": held.id, "type": held.type_name, "state": standing.state.as_str()}));
    }
    let object = json!({"refreshed": refreshed, "failed": failed, "withdrawn": withdrawn, "messages": messages, "trust_lists": trust_lists});
    if let Some(failure) = failure {
        session.ui.say(&text);
        return Err(failure.beside(object));
    }
    if text.is_empty() {
        text = format!("{}\n", session.ui.messages.text("refresh-nothing"));
    }
    session.ui.result(&text, &object);
    Ok(())
}

/// Requests statements for all copies of one issuer, and repeats the request if the issuer replaced some copies.
async fn confirmed(
    session: &Session,
    wallet: &mut WalletFile,
    office: &IssuerService,
    asked: &BTreeMap<Handle, CopyPosition>,
) -> Result<(FreshnessSummary, Replaced), Failure> {
    let said = refresh(session, wallet, office, asked).await?;
    let replaced = replace_outdated(session, wallet, office).await?;
    if replaced.copies == 0 {
        return Ok((said, replaced));
    }
    let now = copies(&wallet.contents, session.now()).remove(office).unwrap_or_default();
    let said = refresh(session, wallet, office, &now).await?;
    note_withdrawn(session, wallet, &replaced)?;
    Ok((said, replaced))
}

fn words(session: &Session, issuer: &str, said: &FreshnessSummary, replaced: usize) -> String {
    let messages = &session.ui.messages;
    let mut text = match said.until {
        Some(until) => {
            let (count, time) = (said.valid.to_string(), until.to_string());
            messages.with("refresh-done", &[("issuer", issuer), ("count", &count), ("time", &time)])
        }
        None => messages.with("refresh-none", &[("issuer", issuer)]),
    };
    text.push('\n');
    if replaced > 0 {
        let count = replaced.to_string();
        text.push_str(&messages.with("refresh-replaced", &[("issuer", issuer), ("count", &count)]));
        text.push('\n');
    }
    if said.others > 0 {
        let count = said.others.to_string();
        text.push_str(&messages.with("refresh-unknown", &[("issuer", issuer), ("count", &count)]));
        text.push('\n');
    }
    text
}
