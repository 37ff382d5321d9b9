//! Commands that inspect a list and its decisions: `verify`, `diff`, `explain`, `why`.

use std::path::PathBuf;

use carnet_core::{
    Problem, day,
    did::Did,
    time::Timestamp,
    trust::list::{AccreditationQuestion, AccreditedAct},
};
use carnet_service::time;
use clap::Args;
use serde_json::json;

use super::{parse_country, parse_instant, print_result};
use crate::{
    error::CommandError,
    files::{read_list, read_object},
    pins::PinArgs,
    rendering,
};

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The list.
    file: PathBuf,
    #[command(flatten)]
    pins: PinArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// The earlier list.
    before: PathBuf,
    /// The later list.
    after: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The list; it need not be signed.
    list: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["type_name", "registrar"]))]
pub(crate) struct WhyArgs {
    /// The list.
    file: PathBuf,
    #[command(flatten)]
    pins: PinArgs,
    /// The DID of the issuer, or of the registrar with --registrar.
    #[arg(long, value_name = "DID", value_parser = parse_did)]
    issuer: String,
    /// The type of the credential, by its name in the catalogue.
    #[arg(long = "type", value_name = "TYPE")]
    type_name: Option<String>,
    /// Decide about a registrar of relying parties, not about an issuer.
    #[arg(long)]
    registrar: bool,
    /// The time of issue; without it, decide as if it were issued now.
    #[arg(long, value_name = "DATE", value_parser = parse_instant)]
    at: Option<Timestamp>,
    /// The time for which to decide; by default now.
    #[arg(long, value_name = "DATE", value_parser = parse_instant)]
    now: Option<Timestamp>,
    /// The country under whose law it was issued: two capital letters.
    #[arg(long, value_name = "CC", value_parser = parse_country)]
    country: Option<String>,
    /// The level of the European Qualifications Framework on which the verifier relies.
    #[arg(long, value_name = "1-8", value_parser = clap::value_parser!(u8).range(1..=8))]
    level: Option<u8>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

fn parse_did(text: &str) -> Result<String, String> {
    Did::parse(text).map(|did| did.to_string()).map_err(|_| "it is not a DID".to_owned())
}

pub(super) fn verify(args: &VerifyArgs) -> Result<u8, CommandError> {
    let document = read_object(&args.file)?;
    let list = args.pins.verify_list(&document, time::now())?;
    let signed_by: Vec<&str> = list.signed_by().collect();
    let failed = list
        .failed_proofs()
        .map(|(operator, why)| json!({"operator": operator, "reason": why.code.as_str(), "detail": why.detail}));
    let shown = json!({
        "failed_proofs": failed.collect::<Vec<_>>(),
        "holds": true, "list": list.list_id(), "sequence": list.contents().sequence, "digest": list.digest(),
        "valid_from": list.valid_from().to_string(), "valid_until": list.valid_until().to_string(), "signed_by": signed_by,
    });
    print_result(args.json, &shown, || {
        let failed = |(operator, why): (&str, &Problem)| format!("\nNot counted: {operator} ({why})");
        format!(
            "List {} of {} is valid until {}.\nDigest {}\nSigned by {}{}",
            list.contents().sequence,
            list.list_id(),
            day::format_end(list.valid_until()),
            list.digest(),
            signed_by.join(", "),
            list.failed_proofs().map(failed).collect::<String>()
        )
    });
    Ok(0)
}

pub(super) fn diff(args: &DiffArgs) -> Result<u8, CommandError> {
    let ((_, before), (_, after)) = (read_list(&args.before)?, read_list(&args.after)?);
    let shown = json!({
        "before": rendering::list_head_json(&before), "after": rendering::list_head_json(&after),
        "changes": rendering::changes_json(&before.contents, &after.contents),
    });
    print_result(args.json, &shown, || {
        let title = format!("From list {} to list {}:", before.contents.sequence, after.contents.sequence);
        [vec![title], rendering::describe_changes(&before.contents, &after.contents)].concat().join("\n")
    });
    Ok(0)
}

pub(super) fn explain(args: &ExplainArgs) -> Result<u8, CommandError> {
    let (_, preview) = read_list(&args.list)?;
    let mut shown = rendering::list_head_json(&preview);
    if let Some(members) = shown.as_object_mut() {
        members.insert("issuers".to_owned(), json!(preview.contents.issuers));
        members.insert("registrars".to_owned(), json!(preview.contents.registrars));
    }
    print_result(args.json, &shown, || rendering::describe_list(&preview, time::now()).join("\n"));
    Ok(0)
}

pub(super) fn why(args: &WhyArgs) -> Result<u8, CommandError> {
    let now = args.now.unwrap_or_else(time::now);
    let list = args.pins.verify_list(&read_object(&args.file)?, now)?;
    let question = AccreditationQuestion {
        party_id: args.issuer.clone(),
        act: args.type_name.clone().map_or(AccreditedAct::Register, AccreditedAct::Issue),
        issued_at: args.at,
        jurisdiction: args.country.clone(),
        level: args.level,
    };
    let why = list.decide(&question, now);
    let accreditation = why.accreditation.as_ref();
    let shown = json!({
        "accepted": why.is_accepted(), "rule": why.rule.as_str(), "meaning": why.rule.meaning(), "sequence": why.sequence,
        "entry": why.name, "accreditation": accreditation.map(|(at, held)| json!({"number": at.saturating_add(1), "held": held})),
    });
    print_result(args.json, &shown, || why.to_string());
    Ok(if why.is_accepted() { 0 } else { 1 })
}
