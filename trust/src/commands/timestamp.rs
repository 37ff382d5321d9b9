//! Command `timestamp`: signs a short-lived statement that a list is the newest one.

use std::path::PathBuf;

use carnet_core::{day, trust::list::ListTimestamp};
use carnet_service::time;
use clap::Args;
use serde_json::json;

use super::print_result;
use crate::{
    error::CommandError,
    files::{read_object, replace_file, to_json_text},
    operator::Operator,
    pins::PinArgs,
};

#[derive(Debug, Args)]
pub(crate) struct TimestampArgs {
    /// The published list.
    file: PathBuf,
    /// The directory, created by `init`, of a key that the list names for timestamps.
    #[arg(long, value_name = "DIR", value_parser = carnet_service::directory::DataDirectoryParser)]
    data: PathBuf,
    #[command(flatten)]
    pins: PinArgs,
    /// The length of its validity period, in days.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=7))]
    days: u32,
    /// The file to write; by default in the folder of the list (trust-list.timestamp.json), replacing the earlier
    /// timestamp.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn timestamp(args: &TimestampArgs) -> Result<u8, CommandError> {
    let now = time::now();
    let document = read_object(&args.file)?;
    let list = args.pins.verify_list(&document, now)?;
    let operator = Operator::open(&args.data)?;
    let until = now.plus(i64::from(args.days).saturating_mul(day::SECONDS));
    let signed = operator.sign_timestamp(&document, (now, until))?;
    let out = match &args.out {
        Some(out) => out.clone(),
        None => PathBuf::from(ListTimestamp::timestamp_url(&args.file.display().to_string())),
    };
    replace_file(&out, &to_json_text(&signed))?;
    let (sequence, place) = (list.contents().sequence, out.display().to_string());
    print_result(
        args.json,
        &json!({"sequence": sequence, "digest": list.digest(), "valid_until": until.to_string(), "timestamp": place}),
        || format!("A timestamp declares list {sequence} the newest until {until}: {place}."),
    );
    Ok(0)
}
