//! Commands `carnet completions` and `carnet man`, which open no wallet.

use std::path::Path;

use clap::CommandFactory as _;
use serde_json::json;

use crate::{
    arguments::{Arguments, Completions, Man},
    context::CommandContext,
    failure::{Failure, FailureReason, Sentence},
};

/// Name of the program in its scripts and pages.
const PROGRAM: &str = "carnet";

/// Prints the completion script of a shell.
pub(crate) fn completions(context: &CommandContext, arguments: &Completions) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), PROGRAM, &mut script);
    print(context, "script", &script);
    Ok(())
}

/// Prints the manual page of the program, or writes all pages into a folder.
pub(crate) fn man(context: &CommandContext, arguments: &Man) -> Result<(), Failure> {
    let command = Arguments::command().name(PROGRAM);
    if let Some(folder) = &arguments.out {
        std::fs::create_dir_all(folder)
            .and_then(|()| clap_mangen::generate_to(command, folder))
            .map_err(|error| unwritable(folder, &error))?;
        let folder = folder.display().to_string();
        let text = context.ui.messages.format("man-written", &[("folder", &folder)]);
        context.ui.print_result(&format!("{text}\n"), &json!({"folder": folder}));
        return Ok(());
    }
    let mut page = Vec::new();
    // Writing to memory does not fail.
    let _ = clap_mangen::Man::new(command).render(&mut page);
    print(context, "page", &page);
    Ok(())
}

/// Prints text for another program, unwrapped.
fn print(context: &CommandContext, name: &str, text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    if context.ui.json { carnet_console::print_line(json!({name: text})) } else { carnet_console::print(text) }
}

fn unwritable(folder: &Path, error: &std::io::Error) -> Failure {
    let message = Sentence::new("error-file-unwritable").with("path", folder.display()).with_details(error);
    Failure::new(FailureReason::FileUnwritable, message, Sentence::new("hint-new-file"))
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn every_shell_gets_every_command() {
        for shell in clap_complete::Shell::value_variants() {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Arguments::command(), PROGRAM, &mut script);
            let script = String::from_utf8(script).unwrap();
            for command in Arguments::command().get_subcommands() {
                assert!(script.contains(command.get_name()), "{shell}: {}", command.get_name());
            }
        }
    }

    #[test]
    fn every_command_has_a_page() {
        let folder = tempfile::tempdir().unwrap();
        clap_mangen::generate_to(Arguments::command().name(PROGRAM), folder.path()).unwrap();
        for command in Arguments::command().get_subcommands() {
            let page = folder.path().join(format!("{PROGRAM}-{}.1", command.get_name()));
            assert!(page.exists(), "{}", page.display());
        }
    }
}
