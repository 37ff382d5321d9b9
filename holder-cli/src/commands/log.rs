//! `carnet log`: who saw what, and when; refusals and failures too.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::{failure::Failure, session::Session, ui::sanitise::clean, wallet::Entry};

/// Shows the log, oldest first.
pub(crate) fn run(session: &Session) -> Result<(), Failure> {
    let contents = session.read()?;
    let mut text = String::new();
    for entry in contents.log.entries() {
        line(entry, &mut text);
    }
    if text.is_empty() {
        text.push_str("Nothing has happened yet.\n");
    }
    // Entries have no values in them, by their type.
    let entries = serde_json::to_value(contents.log.entries()).unwrap_or(Value::Null);
    session.ui.result(&text, &json!({"entries": entries}));
    Ok(())
}

fn line(entry: &Entry, text: &mut String) {
    let _ =
        writeln!(text, "{}  {}  {} <{}>", entry.at, entry.kind.name(), clean(&entry.party_name), clean(&entry.party));
    for part in &entry.parts {
        let _ = writeln!(text, "    {} {}: {}", part.id, clean(&part.type_name), clean(&part.paths.join(", ")));
    }
}
