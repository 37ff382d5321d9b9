//! Commands for unsigned lists: `create`, `edit`, `source`, `import`.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use carnet_core::{
    day,
    did::Did,
    time::Timestamp,
    trust::list::{EarlierCredentials, TrustList, TrustListContents, UnverifiedTrustList},
};
use carnet_service::time;
use carnet_spec::Catalogue;
use clap::{Args, ValueEnum};
use serde_json::json;

use super::{parse_instant, print_result};
use crate::{
    error::CommandError,
    files::{read_file, read_list, to_json_text, write_new},
    lote::{self, EntityMapping, SignerArgs},
    rendering,
    source::{AccreditationWithdrawal, TrustListSource, withdraw_accreditations},
};

/// Default validity period of a list, in days.
const DEFAULT_VALIDITY_DAYS: u32 = 30;

/// Options for a new list: validity period, number, signers and output file.
#[derive(Debug, Args)]
struct NewListArgs {
    /// The start of its validity period; by default now.
    #[arg(long, value_name = "DATE", value_parser = parse_instant)]
    from: Option<Timestamp>,
    /// The length of its validity period, in days.
    #[arg(long, default_value_t = DEFAULT_VALIDITY_DAYS, value_parser = clap::value_parser!(u32).range(1..=366))]
    days: u32,
    /// Its number, if it is not the next one: for example if a list with that number was signed and never published.
    #[arg(long, value_name = "N")]
    number: Option<u64>,
    /// The DID of a timestamp signer of the list (carnet-trust timestamp), in addition to those in the source; once for
    /// each.
    #[arg(long = "timestamp-signer", value_name = "DID")]
    timestamp_signers: Vec<String>,
    /// The DID of an operator who signs later lists in place of the current ones; once for each. Both quorums must sign
    /// this list.
    #[arg(long = "new-operator", value_name = "DID", requires = "new_quorum")]
    new_operators: Vec<String>,
    /// The number of new operators who must sign.
    #[arg(long, value_name = "N", requires = "new_operators")]
    new_quorum: Option<usize>,
    /// The file to write; it must not exist.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("named").required(true).multiple(true).args(["list", "after"]))]
pub(crate) struct CreateArgs {
    /// The entries: TOML or JSON (spec/trust.md section 2).
    #[arg(long, value_name = "FILE")]
    source: PathBuf,
    /// The previous list; without it, this is the first list.
    #[arg(long, value_name = "LIST")]
    after: Option<PathBuf>,
    /// The DID that identifies the list; by default that of the previous list.
    #[arg(long, value_name = "DID")]
    list: Option<String>,
    /// A folder with more types/, requests/ and services/, and vct.toml, as the verifiers have that use the list.
    #[arg(long, value_name = "FOLDER")]
    catalogue: Option<PathBuf>,
    /// Permit types that the catalogue does not have.
    #[arg(long)]
    allow_unknown: bool,
    #[command(flatten)]
    term: NewListArgs,
}

#[derive(Debug, Args)]
pub(crate) struct EditArgs {
    /// The previous list.
    previous: PathBuf,
    /// Withdraw the accreditations of this party; without it, the list is renewed unchanged.
    #[arg(long, value_name = "DID", requires_all = ["on", "earlier"])]
    strike: Option<String>,
    /// The first day on which its accreditations are withdrawn.
    #[arg(long, value_name = "DATE", value_parser = parse_instant, requires = "strike")]
    on: Option<Timestamp>,
    /// The treatment of its earlier credentials. Choose stand only for a party whose dates can be trusted: others could
    /// backdate new credentials.
    #[arg(long, requires = "strike")]
    earlier: Option<EarlierCredentialsArg>,
    /// Withdraw only its accreditations for this type.
    #[arg(long = "type", value_name = "TYPE", requires = "strike")]
    type_name: Option<String>,
    /// The reason, in English; the list publishes it.
    #[arg(long, value_name = "TEXT", requires = "strike")]
    reason: Option<String>,
    #[command(flatten)]
    term: NewListArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum EarlierCredentialsArg {
    /// They remain valid.
    Stand,
    /// They become invalid.
    Fall,
}

#[derive(Debug, Args)]
pub(crate) struct SourceArgs {
    /// The list.
    list: PathBuf,
    /// The file to write; it must not exist.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The list of trusted entities: signed (JAdES, a compact or a flattened JWS), or the JSON object with the member
    /// LoTE.
    #[arg(long, value_name = "FILE")]
    lote: PathBuf,
    #[command(flatten)]
    signer: SignerArgs,
    #[command(flatten)]
    mapping: EntityMapping,
    /// The source file to write; it must not exist.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn create(args: &CreateArgs) -> Result<u8, CommandError> {
    let previous = args.after.as_deref().map(read_list).transpose()?.map(|(_, preview)| preview);
    let list = match (&args.list, &previous) {
        (Some(list), Some(previous)) if *list != previous.list_id => {
            let what = format!("The previous list is of {}, not of {list}", previous.list_id);
            return Err(CommandError::new(
                "trust_list_invalid",
                what,
                "omit --list, or name the right list with --after",
            ));
        }
        (Some(list), _) => list.clone(),
        (None, previous) => previous.as_ref().map(|previous| previous.list_id.clone()).unwrap_or_default(),
    };
    let successor = previous.as_ref().map(UnverifiedTrustList::next_contents);
    let contents = TrustListSource::read(&args.source)?.into_contents(successor)?;
    if !args.allow_unknown {
        require_known_types(&contents, previous.as_ref(), args.catalogue.as_deref())?;
    }
    write_draft(&list, contents, previous.as_ref(), &args.term)
}

/// Refuses types that neither the catalogue nor the previous list has: most often they are mistyped, and no credential
/// would match them.
fn require_known_types(
    contents: &TrustListContents,
    previous: Option<&UnverifiedTrustList>,
    folder: Option<&Path>,
) -> Result<(), CommandError> {
    let catalogue = folder.map_or_else(Catalogue::embedded, Catalogue::load);
    let catalogue = catalogue
        .map_err(|error| CommandError::new("catalogue_invalid", error.to_string(), "correct the catalogue's folder"))?;
    let before: BTreeSet<&String> = previous.iter().flat_map(|previous| accredited_types(&previous.contents)).collect();
    let new = accredited_types(contents).filter(|name| !before.contains(name)).collect::<BTreeSet<_>>();
    let unknown: Vec<String> =
        new.into_iter().filter_map(|name| catalogue.unknown_type(name)).map(|unknown| unknown.to_string()).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let hint = "correct the source; or name the folder of your own types with --catalogue; or confirm it with \
                --allow-unknown";
    Err(CommandError::new("type_unknown", format!("The source names unknown items: {}", unknown.join("; ")), hint))
}

/// Returns the types in all accreditations of a list.
fn accredited_types(contents: &TrustListContents) -> impl Iterator<Item = &String> {
    let entries = contents.issuers.iter().chain(&contents.registrars);
    entries.flat_map(|entry| &entry.accreditations).flat_map(|held| &held.types)
}

pub(super) fn edit(args: &EditArgs) -> Result<u8, CommandError> {
    let (_, previous) = read_list(&args.previous)?;
    let mut contents = previous.next_contents();
    if let (Some(id), Some(from), Some(earlier)) = (&args.strike, args.on, args.earlier) {
        let earlier_credentials = match earlier {
            EarlierCredentialsArg::Stand => EarlierCredentials::StayValid,
            EarlierCredentialsArg::Fall => EarlierCredentials::BecomeInvalid,
        };
        let (reason, type_name) = (args.reason.as_deref(), args.type_name.as_deref());
        withdraw_accreditations(
            &mut contents,
            &AccreditationWithdrawal { party_id: id, from, earlier_credentials, reason, type_name },
        )?;
    }
    write_draft(&previous.list_id, contents, Some(&previous), &args.term)
}

/// Creates a draft, writes it to a file, and prints its changes.
fn write_draft(
    list: &str,
    mut contents: TrustListContents,
    previous: Option<&UnverifiedTrustList>,
    term: &NewListArgs,
) -> Result<u8, CommandError> {
    if let Some(number) = term.number {
        if previous.is_none() && number != 1 {
            let what = format!("The first list has number 1, not {number}");
            let hint = "name the newest signed list with --after, even if it was never published, or omit --number";
            return Err(CommandError::new("trust_list_invalid", what, hint));
        }
        if number < contents.sequence {
            let what = format!(
                "Number {number} is used: the previous list has number {}",
                contents.sequence.saturating_sub(1)
            );
            return Err(CommandError::new("trust_list_rollback", what, "leave out --number"));
        }
        contents.sequence = number;
    }
    for signer in &term.timestamp_signers {
        if !contents.timestamp_signers.contains(signer) {
            contents.timestamp_signers.push(signer.clone());
        }
    }
    if let Some(quorum) = term.new_quorum {
        contents.set_operators(term.new_operators.iter().cloned(), quorum);
    }
    let from = term.from.unwrap_or_else(time::now);
    let until = from.plus(i64::from(term.days).saturating_mul(day::SECONDS));
    let list = Did::parse(list).map_err(|problem| {
        CommandError::from_problem(&problem, &format!("{list:?} does not name a list"), "name it by a DID, with --list")
    })?;
    let draft = TrustList::draft(&list, &contents, from, until)
        .map_err(|problem| CommandError::from_problem(&problem, "The list is refused", "correct the source"))?;
    let preview = TrustList::preview(&draft)
        .map_err(|problem| CommandError::from_problem(&problem, "The list is refused", "correct it"))?;
    write_new(&term.out, &to_json_text(&draft))?;
    let mut shown = rendering::list_head_json(&preview);
    if let (Some(previous), Some(members)) = (previous, shown.as_object_mut()) {
        members.insert("changes".to_owned(), rendering::changes_json(&previous.contents, &preview.contents));
    }
    print_result(term.json, &shown, || {
        let mut lines = rendering::describe_header(&preview, time::now());
        if let Some(previous) = previous {
            lines.extend(rendering::describe_changes(&previous.contents, &preview.contents));
        }
        let against = if previous.is_some() { " --previous LIST" } else { "" };
        lines.push(format!(
            "It is in {0}. Next: carnet-trust sign --data DIR {0}{against} --out FILE",
            term.out.display()
        ));
        lines.join("\n")
    });
    Ok(0)
}

pub(super) fn source(args: &SourceArgs) -> Result<u8, CommandError> {
    let (_, preview) = read_list(&args.list)?;
    write_new(&args.out, &to_json_text(&TrustListSource::from(&preview.contents)))?;
    print_next_step(&args.out, &args.list);
    Ok(0)
}

fn print_next_step(out: &Path, list: &Path) {
    let (out, list) = (out.display(), list.display());
    carnet_console::print_error_line(format_args!(
        "The source is in {out}. Next: carnet-trust create --source {out} --after {list} --out FILE"
    ));
}

pub(super) fn import(args: &ImportArgs) -> Result<u8, CommandError> {
    let source = lote::import(&read_file(&args.lote)?, args.signer.required_signer()?, &args.mapping, time::now())?;
    write_new(&args.out, &to_json_text(&source))?;
    let (issuers, registrars) = (source.issuers.len(), source.registrars.len());
    print_result(
        args.json,
        &json!({"issuers": issuers, "registrars": registrars, "review": source.review_notes}),
        || {
            format!(
                "The source is in {} (issuers: {issuers}, registrars: {registrars}). Before you make a list from it, \
             review:\n- {}",
                args.out.display(),
                source.review_notes.join("\n- ")
            )
        },
    );
    Ok(0)
}
