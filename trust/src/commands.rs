//! Command line of `carnet-trust`: one file for each group of commands.

mod draft;
mod inspect;
mod operate;
mod timestamp;

use carnet_core::text::displayable_lines;
use clap::{Parser, Subcommand};
use serde_json::Value;

use crate::error::CommandError;

/// Creates, signs, publishes and explains trust lists: lists of parties that may issue credentials, or register relying
/// parties.
#[derive(Debug, Parser)]
#[command(
    name = "carnet-trust",
    version,
    after_help = "Exit codes: 0 done, 1 failed or refused, 2 wrong usage, 3 try again later."
)]
pub(crate) struct TrustArguments {
    #[command(subcommand)]
    verb: TrustCommand,
}

#[derive(Debug, Subcommand)]
enum TrustCommand {
    /// Create an operator's directory with a key, whose DID verifiers and wallets pin.
    Init(operate::InitArgs),
    /// Show the operator's name and DID, and the list that it signed last.
    Show(operate::ShowArgs),
    /// Create an unsigned list from a readable source.
    Create(draft::CreateArgs),
    /// Create the next list from the previous one: unchanged but for its period, or with the accreditations of a party
    /// withdrawn.
    Edit(draft::EditArgs),
    /// Write the readable source of a list, to change it and create the next list from it.
    Source(draft::SourceArgs),
    /// Create a source from a list of trusted entities (ETSI TS 119 602, JSON), for an operator to review.
    Import(draft::ImportArgs),
    /// Show the changes of a list, and sign it.
    Sign(operate::SignArgs),
    /// Verify a list as a verifier or wallet that has pinned its operators.
    Verify(inspect::VerifyArgs),
    /// Write a verified list into a folder with the newest list and the history, for a web server.
    Publish(operate::PublishArgs),
    /// Sign a timestamp that declares a list the newest, for at most seven days, with a key that the list names. Never
    /// asks, so a timer can run it each day.
    Timestamp(timestamp::TimestampArgs),
    /// Show the differences between two lists.
    Diff(inspect::DiffArgs),
    /// Describe the contents of a list.
    Explain(inspect::ExplainArgs),
    /// Decide about one party as a verifier would, and name the entry and the rule. Exit code 1: refused.
    Why(inspect::WhyArgs),
}

/// Runs a command and returns the exit code.
pub(crate) fn run(arguments: TrustArguments) -> Result<u8, CommandError> {
    match arguments.verb {
        TrustCommand::Init(args) => operate::init(&args),
        TrustCommand::Show(args) => operate::show(&args),
        TrustCommand::Create(args) => draft::create(&args),
        TrustCommand::Edit(args) => draft::edit(&args),
        TrustCommand::Source(args) => draft::source(&args),
        TrustCommand::Import(args) => draft::import(&args),
        TrustCommand::Sign(args) => operate::sign(&args),
        TrustCommand::Verify(args) => inspect::verify(&args),
        TrustCommand::Publish(args) => operate::publish(&args),
        TrustCommand::Timestamp(args) => timestamp::timestamp(&args),
        TrustCommand::Diff(args) => inspect::diff(&args),
        TrustCommand::Explain(args) => inspect::explain(&args),
        TrustCommand::Why(args) => inspect::why(&args),
    }
}

/// Prints the result of a command: the value as JSON, or the text. Invisible characters in the text are escaped.
fn print_result(json: bool, value: &Value, text: impl FnOnce() -> String) {
    // The text may contain names from third parties.
    carnet_console::print_line(if json { value.to_string() } else { displayable_lines(&text()) });
}

/// Parses an instant on the command line; a date is its first second in UTC.
fn parse_instant(text: &str) -> Result<carnet_core::time::Timestamp, String> {
    carnet_core::day::parse_start(text).map_err(|problem| problem.detail)
}

/// Parses a country on the command line: two capital letters (ISO 3166-1 alpha-2).
pub(crate) fn parse_country(text: &str) -> Result<String, String> {
    let holds = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase());
    if holds { Ok(text.to_owned()) } else { Err("it is not two capital letters (ISO 3166-1)".to_owned()) }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        super::TrustArguments::command().debug_assert();
    }

    #[test]
    fn a_day_is_its_first_second() {
        assert_eq!(super::parse_instant("2026-11-23"), super::parse_instant("2026-11-23T00:00:00Z"));
        assert!(super::parse_instant("2026-11-23").is_ok() && super::parse_instant("23.11.2026").is_err());
    }
}
