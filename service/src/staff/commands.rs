//! Commands `staff add`, `staff list`, `staff end`, shared by both services. They change the data directory; the
//! service may be running.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use rand_core::OsRng;
use serde_json::{Value, json};

use super::{check_staff_name, register::StaffRegister};
use crate::{config::StartError, one_time_output, time};

/// Data directory of the staff register.
#[derive(Debug, Clone, Args)]
pub struct StaffDirectoryArgs {
    /// The data directory that `init` created; the service may be running, as the same user.
    #[arg(long, value_parser = crate::directory::DataDirectoryParser)]
    data: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Commands for staff members. A running service applies changes at once.
#[derive(Debug, Subcommand)]
pub enum StaffCommand {
    /// Add a staff member, and print the token, once.
    Add {
        /// The name for records of the person's actions; names are never reused.
        #[arg(value_parser = check_staff_name)]
        name: String,
        /// Data directory.
        #[command(flatten)]
        place: StaffDirectoryArgs,
    },
    /// List current and former staff members, oldest first.
    List {
        /// Data directory.
        #[command(flatten)]
        place: StaffDirectoryArgs,
    },
    /// Revoke a staff member's token: it is refused from the next call on.
    End {
        /// The name, as `staff list` shows it.
        name: String,
        /// Data directory.
        #[command(flatten)]
        place: StaffDirectoryArgs,
    },
}

/// Runs a command and prints its result.
///
/// # Errors
/// The directory has no register, or the change is refused; then nothing was changed. For `staff add`, also if the
/// token could not be displayed; the person is then added.
pub fn run(verb: StaffCommand) -> Result<(), StartError> {
    match verb {
        StaffCommand::Add { name, place } => {
            one_time_output::require_writable_output(place.json)?;
            let token =
                StaffRegister::update(&place.data, |register| register.add_member(&name, time::now(), &mut OsRng))?;
            let value = json!({ "staff": name, "staff_token": token.as_str() });
            let text = || {
                format!("{name} is staff now.\n\nStaff token (shown this once, keep it secret):\n{}", token.as_str())
            };
            one_time_output::show_once(
                place.json,
                &value,
                text,
                format_args!("{name} is staff now, but the token could not be shown."),
                format!("Revoke it with `staff end {name}`, and add the person under another name."),
            )?;
        }
        StaffCommand::List { place } => {
            let staff: Vec<Value> = StaffRegister::load(&place.data)?
                .staff
                .iter()
                .map(|entry| {
                    let at = |at: Option<carnet_core::time::Timestamp>| at.map(|at| at.to_string());
                    json!({ "name": entry.name, "since": at(entry.since), "ended": at(entry.ended) })
                })
                .collect();
            print(&place, &json!({ "staff": staff }), || staff.iter().map(member_line).collect::<Vec<_>>().join("\n"));
        }
        StaffCommand::End { name, place } => {
            StaffRegister::update(&place.data, |register| register.end_membership(&name, time::now()))?;
            print(&place, &json!({ "staff": name }), || {
                format!("{name} is no longer staff. The record of their actions under that name is kept.")
            });
        }
    }
    Ok(())
}

fn member_line(entry: &Value) -> String {
    let text = |name: &str| entry.get(name).and_then(Value::as_str);
    let since = text("since").map(|at| format!("  since {at}")).unwrap_or_default();
    let ended = text("ended").map(|at| format!("  ended {at}")).unwrap_or_default();
    format!("{}{since}{ended}", text("name").unwrap_or_default())
}

fn print(place: &StaffDirectoryArgs, value: &Value, text: impl FnOnce() -> String) {
    carnet_console::print_line(if place.json { value.to_string() } else { text() });
}
