//! Output of errors: text on standard error and, with `--json`, one JSON object on standard output, in the same form
//! for all four programs.

use std::sync::OnceLock;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use serde_json::{Map, Value, json};

/// Returns whether `--json` is among the command-line arguments, before any `--`. The command line need not be valid.
#[must_use]
pub fn is_json_requested() -> bool {
    std::env::args_os().skip(1).take_while(|argument| argument != "--").any(|argument| argument == "--json")
}

/// Members to be added to the JSON object of the next error.
static ERROR_MEMBERS: OnceLock<Map<String, Value>> = OnceLock::new();

/// Stores members to be printed next to `error` in the JSON object of this process's errors. Only the first call has an
/// effect; a value other than an object is ignored.
pub fn set_error_members(object: Value) {
    if let Value::Object(members) = object {
        let _ = ERROR_MEMBERS.set(members);
    }
}

/// Prints the error of a command: `text` on standard error and, with `--json`, an object with `error` on standard
/// output. Failures to print are ignored.
pub fn print_failure(text: impl std::fmt::Display, error: &Value) {
    if is_json_requested() {
        // An output that takes nothing changes nothing: the words are on standard error.
        let mut whole = ERROR_MEMBERS.get().cloned().unwrap_or_default();
        whole.insert("error".to_owned(), error.clone());
        let _ = crate::try_print_line(Value::Object(whole));
    }
    // Also with `--json`: the log of a script then has the words.
    crate::print_error_line(format_args!("error: {text}"));
}

/// Returns the JSON object for a command-line usage error: reason `usage`, message, missing arguments, and a hint.
#[must_use]
pub fn usage_error_json(error: &clap::Error) -> Value {
    let text = error.to_string();
    // A tip, or the usage, follows the first empty line.
    let words: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
    let message = words.join(" ").trim_start_matches("error: ").to_owned();
    let missing = match (error.kind(), error.get(ContextKind::InvalidArg)) {
        (ErrorKind::MissingRequiredArgument, Some(ContextValue::Strings(arguments))) => arguments.clone(),
        (ErrorKind::MissingRequiredArgument, Some(ContextValue::String(argument))) => vec![argument.clone()],
        (ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand, _) => {
            vec!["<COMMAND>".to_owned()]
        }
        _ => Vec::new(),
    };
    let message = if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        "a command is missing".to_owned()
    } else {
        message
    };
    json!({"error": {
        "reason": "usage", "message": message, "missing": missing, "hint": "run the same command with --help",
    }})
}

#[cfg(test)]
mod tests {
    use clap::{Arg, ArgAction, Command};

    use super::*;

    fn refused(arguments: &[&str]) -> Value {
        let make = Command::new("make")
            .arg(Arg::new("did").long("did").value_name("DID").required(true))
            .arg(Arg::new("name").long("name").value_name("NAME").required(true))
            .arg(Arg::new("json").long("json").action(ArgAction::SetTrue));
        let program = Command::new("x").subcommand_required(true).arg_required_else_help(true).subcommand(make);
        let error = program.try_get_matches_from(["x"].iter().chain(arguments)).unwrap_err();
        usage_error_json(&error)["error"].clone()
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = refused(&["make", "--json"]);
        assert_eq!((&error["reason"], &error["missing"]), (&json!("usage"), &json!(["--did <DID>", "--name <NAME>"])));
        assert!(error["message"].as_str().unwrap().contains("--did <DID>"), "{error}");
        assert_eq!(refused(&["make", "--name", "n"])["missing"], json!(["--did <DID>"]));
        assert_eq!(refused(&[])["missing"], json!(["<COMMAND>"]));
    }

    #[test]
    fn what_is_wrong_is_named_and_nothing_is_missing() {
        let error = refused(&["make", "--dud", "x"]);
        assert_eq!(error["missing"], json!([]));
        assert!(error["message"].as_str().unwrap().contains("--dud"), "{error}");
        assert!(!error["message"].as_str().unwrap().contains('\n'));
    }
}
