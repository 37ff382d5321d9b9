//! Command `carnet registrar`: manages the registrars whose registrations of verifiers the wallet accepts.

use std::fmt::Write;

use carnet_core::did::Did;
use serde_json::{Value, json};

use crate::{
    arguments::{AddRegistrar, RegistrarCommand, RemoveRegistrar},
    failure::{Failure, Sentence},
    session::Session,
    ui::{Ui, parties, sanitise::sanitise},
    wallet::{EntryKind, PinnedRegistrar, WalletContents, WalletLogEntry},
};

/// Maximum length of a registrar's name, in characters; longer names are truncated.
const LONGEST_NAME: usize = 200;

/// Runs a subcommand of `carnet registrar`.
pub(crate) fn run(session: &Session, command: &RegistrarCommand) -> Result<(), Failure> {
    let messages = &session.ui.messages;
    match command {
        RegistrarCommand::Add(AddRegistrar { did, name }) => {
            let mut wallet = session.open()?;
            let registrar = add(&mut wallet.contents, did, name.as_deref().unwrap_or_default())?;
            wallet.contents.log.push(noted(session, EntryKind::RegistrarAdded, &registrar));
            wallet.save()?;
            let text = messages.with("registrar-added", &[("registrar", &title(&session.ui, &registrar))]);
            session.ui.result(&format!("{text}\n"), &json!({"added": registrar_json(&registrar)}));
        }
        RegistrarCommand::List => {
            let contents = session.read_without_texts()?;
            let mut text = String::new();
            for registrar in &contents.registrars {
                // Writing to a string does not fail.
                let _ = writeln!(text, "{}", title(&session.ui, registrar));
            }
            if contents.registrars.is_empty() {
                let _ = writeln!(text, "{}", messages.text("registrar-none"));
            }
            let all: Vec<Value> = contents.registrars.iter().map(registrar_json).collect();
            session.ui.result(&text, &json!({"registrars": all}));
        }
        RegistrarCommand::Remove(RemoveRegistrar { did }) => {
            let mut wallet = session.open()?;
            let registrar = remove(&mut wallet.contents, did)?;
            wallet.contents.log.push(noted(session, EntryKind::RegistrarRemoved, &registrar));
            wallet.save()?;
            let text = messages.with("registrar-removed", &[("registrar", &title(&session.ui, &registrar))]);
            session.ui.result(&format!("{text}\n"), &json!({"removed": registrar_json(&registrar)}));
        }
    }
    Ok(())
}

/// Returns the log entry about a registrar that was added or removed.
fn noted(session: &Session, kind: EntryKind, registrar: &PinnedRegistrar) -> WalletLogEntry {
    WalletLogEntry { party_name: registrar.name.clone(), ..WalletLogEntry::new(session.now(), kind, &registrar.did) }
}

/// Pins a registrar, or renames a pinned one.
fn add(contents: &mut WalletContents, did: &str, name: &str) -> Result<PinnedRegistrar, Failure> {
    let parsed = Did::parse(did).map_err(|problem| Failure {
        kind: crate::failure::FailureKind::Usage,
        ..Failure::from_problem(
            &problem,
            Sentence::id("error-registrar-malformed"),
            Sentence::id("hint-registrar-identifier"),
        )
    })?;
    let name: String = sanitise(name).chars().take(LONGEST_NAME).collect();
    let registrar = PinnedRegistrar { did: parsed.to_string(), name };
    match contents.registrars.iter_mut().find(|known| known.did == registrar.did) {
        Some(known) => known.clone_from(&registrar),
        None => contents.registrars.push(registrar.clone()),
    }
    Ok(registrar)
}

fn remove(contents: &mut WalletContents, did: &str) -> Result<PinnedRegistrar, Failure> {
    let missing = || {
        let message = Sentence::id("error-registrar-unknown").with("did", sanitise(did));
        Failure::new("not_found", message, Sentence::id("hint-registrar-list"))
    };
    let at = contents.registrars.iter().position(|known| known.did == did).ok_or_else(missing)?;
    Ok(contents.registrars.remove(at))
}

fn title(ui: &Ui, registrar: &PinnedRegistrar) -> String {
    parties::known_name(ui, &registrar.name, &registrar.did)
}

fn registrar_json(registrar: &PinnedRegistrar) -> Value {
    json!({"did": registrar.did, "name": registrar.name})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::messages::Language;

    #[test]
    fn registrars_are_pinned_renamed_and_removed() {
        let mut contents = WalletContents::new(12);
        add(&mut contents, "did:web:registrar.example", "").unwrap();
        add(&mut contents, "did:web:registrar.example", "The Registrar\u{1b}[2J").unwrap();
        assert_eq!(contents.registrars.len(), 1);
        let mut ui = Ui::new(false, true, Language::En);
        assert_eq!(title(&ui, &contents.registrars[0]), "The Registrar[U+001B][2J");
        ui.details = true;
        assert_eq!(title(&ui, &contents.registrars[0]), "The Registrar[U+001B][2J <did:web:registrar.example>");
        assert_eq!(remove(&mut contents, "did:web:other.example").unwrap_err().reason, "not_found");
        remove(&mut contents, "did:web:registrar.example").unwrap();
        assert!(contents.registrars.is_empty());
    }

    #[test]
    fn what_is_no_did_is_not_pinned() {
        let mut contents = WalletContents::new(12);
        assert_eq!(add(&mut contents, "registrar.example", "x").unwrap_err().kind, crate::failure::FailureKind::Usage);
        assert!(contents.registrars.is_empty());
    }
}
