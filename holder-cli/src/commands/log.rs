//! `carnet log`: who saw what, and when; refusals and failures too.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::{
    failure::Failure,
    session::Session,
    ui::sanitise::clean,
    wallet::{Entry, EntryKind},
};

/// Shows the log, oldest first.
pub(crate) fn run(session: &Session) -> Result<(), Failure> {
    let contents = session.read()?;
    let mut text = String::new();
    for entry in &contents.log {
        line(entry, &mut text);
    }
    if text.is_empty() {
        text.push_str("Nothing has happened yet.\n");
    }
    // Entries have no values in them, by their type.
    let entries = serde_json::to_value(&contents.log).unwrap_or(Value::Null);
    session.ui.result(&text, &json!({"entries": timed(entries)}));
    Ok(())
}

fn line(entry: &Entry, text: &mut String) {
    let what = match entry.kind {
        EntryKind::Received => "received from",
        EntryKind::ReceiveFailed => "not received from",
        EntryKind::Sending => "sent, outcome unknown, to",
        EntryKind::Accepted => "shown to",
        EntryKind::RefusedByAsker => "shown to, and refused by",
        EntryKind::RefusedByOwner => "you refused",
        EntryKind::RequestFailed => "nothing was shown to",
        EntryKind::Deleted => "you deleted what came from",
    };
    let _ = write!(text, "{}  {what} {}", entry.at, clean(&entry.party_name));
    let _ = write!(text, " <{}>", clean(&entry.party));
    if !entry.reason.is_empty() {
        let _ = write!(text, "  [{}]", clean(&entry.reason));
    }
    text.push('\n');
    if !entry.purpose.is_empty() {
        let _ = writeln!(text, "    why: {}", clean(&entry.purpose));
    }
    for part in &entry.parts {
        let paths: Vec<String> = part.paths.iter().map(|path| clean(path)).collect();
        let shown = if paths.is_empty() { String::new() } else { format!(": {}", paths.join(", ")) };
        let _ = writeln!(text, "    {} {}{shown}", part.id, clean(&part.type_name));
    }
}

/// The same entries with their times as text.
fn timed(entries: Value) -> Value {
    let Value::Array(entries) = entries else { return entries };
    entries
        .into_iter()
        .map(|mut entry| {
            let at = entry.get("at").and_then(Value::as_i64).map(carnet_core::time::Timestamp::from_unix);
            if let (Some(at), Some(members)) = (at, entry.as_object_mut()) {
                members.insert("at".to_owned(), at.to_string().into());
            }
            entry
        })
        .collect()
}
