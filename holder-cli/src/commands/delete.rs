//! Command `carnet delete`: deletes a credential and its keys permanently. The log is kept, and so are the keys that
//! are needed for erasure requests.

use carnet_wallet::deletion::delete_credential;
use serde_json::json;

use crate::{
    arguments::Delete,
    context::CommandContext,
    failure::{Failure, FailureReason, Sentence},
    ui::labels::TypeLabels,
};

pub(crate) fn run(context: &CommandContext, arguments: &Delete) -> Result<(), Failure> {
    let mut wallet = context.wallet.open()?;
    let index = wallet.contents.find_credential(&arguments.id)?;
    if !arguments.yes {
        let name = wallet.contents.credentials.get(index).map(|held| held.type_name.clone()).unwrap_or_default();
        let catalogue = context.catalogue()?;
        context.ui.print_note(&TypeLabels::new(&catalogue, &name, &context.ui.messages).type_label());
        if !context.ui.can_ask() {
            let message = Sentence::new("error-delete-nobody");
            return Err(Failure::new(FailureReason::ApprovalNeeded, message, Sentence::new("hint-yes")));
        }
        context.ui.require_yes(&context.ui.messages.text("delete-question"), Sentence::new("undone-deleted"))?;
    }
    let id = delete_credential(&mut wallet, index, context.now())?;
    context.ui.print_result(&format!("{}\n", context.ui.messages.text("delete-done")), &json!({"deleted": id}));
    Ok(())
}
