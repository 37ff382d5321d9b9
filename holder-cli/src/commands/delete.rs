//! `carnet delete`: a credential and its keys, for good. Its log stays.

use serde_json::json;

use crate::{
    arguments::Delete,
    failure::Failure,
    session::Session,
    ui::labels::Labels,
    wallet::{Entry, EntryKind, ShownPart},
};

/// Deletes a credential.
pub(crate) fn run(session: &Session, arguments: &Delete) -> Result<(), Failure> {
    let mut wallet = session.open()?;
    let index = wallet.contents.find(&arguments.id)?;
    if !arguments.yes {
        let name = wallet.contents.credentials.get(index).map(|held| held.type_name.clone()).unwrap_or_default();
        let catalogue = session.catalogue()?;
        session.ui.note(&Labels::new(&catalogue, &name, &session.ui.messages).document());
        if !session.ui.can_ask() {
            return Err(Failure::usage(
                "approval_needed",
                "Deleting needs a yes, and nobody can be asked",
                "add --yes",
            ));
        }
        if !session.ui.confirm(&session.ui.messages.text("delete-question")) {
            return Err(Failure::new("declined", "You said no", "nothing more to do"));
        }
    }
    let held = wallet.contents.credentials.remove(index);
    wallet.contents.log.push(Entry {
        at: session.now,
        kind: EntryKind::Deleted,
        party: held.issuer,
        party_name: held.issuer_name,
        request: String::new(),
        purpose: String::new(),
        reason: String::new(),
        parts: vec![ShownPart { id: held.id.clone(), type_name: held.type_name, paths: Vec::new() }],
    });
    wallet.save()?;
    session.ui.result("Deleted.\n", &json!({"deleted": held.id}));
    Ok(())
}
