//! Command `carnet delete`: moves a credential to the bin, or deletes it with its keys permanently. The log is kept, and
//! so are the keys that are needed for erasure requests.

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
        let catalogue = context.catalogue()?;
        if let Some(held) = wallet.contents.credentials.get(index) {
            context.ui.print_note(&TypeLabels::of_held(&catalogue, held, &context.ui.messages).type_label());
        }
        if !context.ui.can_ask() {
            let message = Sentence::new("error-delete-nobody");
            return Err(Failure::new(FailureReason::ApprovalNeeded, message, Sentence::new("hint-yes")));
        }
        let question = if arguments.permanently { "delete-question-permanently" } else { "delete-question" };
        context.ui.require_yes(&context.ui.messages.text(question), Sentence::new("undone-deleted"))?;
    }
    let id = delete_credential(&mut wallet, index, arguments.permanently, context.now())?;
    let done = context.ui.messages.text(if arguments.permanently { "delete-done-permanently" } else { "delete-done" });
    context.ui.print_result(&format!("{done}\n"), &json!({"deleted": id, "permanently": arguments.permanently}));
    Ok(())
}
