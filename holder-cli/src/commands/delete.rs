//! Command `carnet delete`: deletes a credential and its keys permanently. The log is kept, and so are the keys that
//! are needed for erasure requests.

use serde_json::json;

use crate::{
    arguments::Delete,
    failure::{Failure, Sentence},
    session::Session,
    ui::labels::Labels,
    wallet::{
        EntryKind, HeldCredential, ShownPart, WalletContents, WalletLogEntry,
        presentations::{keys_for_erasure, thumbprint},
    },
};

pub(crate) fn run(session: &Session, arguments: &Delete) -> Result<(), Failure> {
    let mut wallet = session.open()?;
    let index = wallet.contents.find(&arguments.id)?;
    if !arguments.yes {
        let name = wallet.contents.credentials.get(index).map(|held| held.type_name.clone()).unwrap_or_default();
        let catalogue = session.catalogue()?;
        session.ui.note(&Labels::new(&catalogue, &name, &session.ui.messages).document());
        if !session.ui.can_ask() {
            let message = Sentence::id("error-delete-nobody");
            return Err(Failure::new("approval_needed", message, Sentence::id("hint-yes")));
        }
        session.ui.require_yes(&session.ui.messages.text("delete-question"), Sentence::id("undone-deleted"))?;
    }
    let held = wallet.contents.credentials.remove(index);
    retire_keys(&mut wallet.contents, &held);
    wallet.contents.log.push(WalletLogEntry {
        party_name: held.issuer_name,
        parts: vec![ShownPart::named(&held.id, &held.type_name)],
        ..WalletLogEntry::new(session.now(), EntryKind::Deleted, &held.issuer)
    });
    wallet.save()?;
    session.ui.result("Deleted.\n", &json!({"deleted": held.id}));
    Ok(())
}

/// Keeps the keys of the deleted copies with which erasure can still be requested: there is a receipt and no
/// confirmation of erasure.
fn retire_keys(contents: &mut WalletContents, deleted: &HeldCredential) {
    let open = keys_for_erasure(&contents.log);
    let keys = deleted.copies.iter().map(|copy| &copy.key);
    contents.retired.extend(keys.filter(|key| thumbprint(key).is_some_and(|key| open.contains(&key))).cloned());
}
