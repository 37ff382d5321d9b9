//! Command `carnet registrar`: manages the registrars whose registrations of verifiers the wallet accepts.

use std::fmt::Write;

use carnet_wallet::pinning::{pin_registrar, unpin_registrar};
use serde_json::{Value, json};

use crate::{
    arguments::{AddRegistrar, RegistrarCommand, RemoveRegistrar},
    context::CommandContext,
    failure::Failure,
    ui::{Ui, parties},
    wallet::PinnedRegistrar,
};

/// Runs a subcommand of `carnet registrar`.
pub(crate) fn run(context: &CommandContext, command: &RegistrarCommand) -> Result<(), Failure> {
    let messages = &context.ui.messages;
    match command {
        RegistrarCommand::Add(AddRegistrar { did, name }) => {
            let mut wallet = context.wallet.open()?;
            let registrar = pin_registrar(&mut wallet, did, name.as_deref().unwrap_or_default(), context.now())?;
            let text = messages.format("registrar-added", &[("registrar", &title(&context.ui, &registrar))]);
            context.ui.print_result(&format!("{text}\n"), &json!({"added": registrar_json(&registrar)}));
        }
        RegistrarCommand::List => {
            let contents = context.wallet.read_without_texts()?;
            let mut text = String::new();
            for registrar in &contents.registrars {
                // Writing to a string does not fail.
                let _ = writeln!(text, "{}", title(&context.ui, registrar));
            }
            if contents.registrars.is_empty() {
                let _ = writeln!(text, "{}", messages.text("registrar-none"));
            }
            let all: Vec<Value> = contents.registrars.iter().map(registrar_json).collect();
            context.ui.print_result(&text, &json!({"registrars": all}));
        }
        RegistrarCommand::Remove(RemoveRegistrar { did }) => {
            let mut wallet = context.wallet.open()?;
            let registrar = unpin_registrar(&mut wallet, did, context.now())?;
            let text = messages.format("registrar-removed", &[("registrar", &title(&context.ui, &registrar))]);
            context.ui.print_result(&format!("{text}\n"), &json!({"removed": registrar_json(&registrar)}));
        }
    }
    Ok(())
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
    fn a_registrar_is_named_and_its_did_is_a_detail() {
        let (did, name) = ("did:web:registrar.example".to_owned(), "The Registrar".to_owned());
        let registrar = PinnedRegistrar { did, name };
        let mut ui = Ui::new(false, true, Language::En);
        assert_eq!(title(&ui, &registrar), "The Registrar");
        ui.details = true;
        assert_eq!(title(&ui, &registrar), "The Registrar <did:web:registrar.example>");
    }
}
