//! Command `import`: offers for the rows of a file.

mod folder;
mod letter_files;
mod pass;
mod progress;
mod reprint;
mod source;
mod unwritten;

use std::path::PathBuf;

use carnet_core::{
    format::CredentialFormat,
    text::{displayable_lines, quoted},
};
use carnet_proto::issuer::v1::{self as proto, offer_service_client::OfferServiceClient};
use carnet_service::{
    client::{self, StaffArgs},
    disk,
};
use clap::Args;
use serde_json::{Value, json};

use super::{StaffFailure, offer::parse_format, print_result};
use crate::import::{
    claims::{RowConverter, RowError},
    encoding::Encoding,
    mapping::Mapping,
};
use folder::{ImportFolder, ImportState};
use letter_files::LetterFiles;
use pass::{Findings, Pass, Preview};
use source::{Source, SourceKind, SourceOptions};

/// Number of errors and of warnings that are printed; the file `problems.csv` has all of them.
const SHOWN_PROBLEMS: usize = 20;

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The file: CSV with any delimiter (.csv, .tsv, .txt), JSON Lines (.jsonl, .ndjson) or XLSX. Its first row has the
    /// names of the columns.
    file: PathBuf,
    /// The credential type, such as QualificationCredential.
    #[arg(long = "type")]
    credential_type: String,
    /// A TOML file that maps columns to claims (docs/import.md).
    #[arg(long, value_name = "FILE")]
    map: PathBuf,
    /// The folder for links, PINs and letters: a new one, or that of an interrupted import, which continues.
    #[arg(long, value_name = "DIR", required_unless_present_any = ["dry_run", "preview"])]
    out: Option<PathBuf>,
    /// Check all rows, and create nothing.
    #[arg(long)]
    dry_run: bool,
    /// Show the first ten rows as they would be issued, and create nothing.
    #[arg(long, conflicts_with = "dry_run")]
    preview: bool,
    /// Create the offers of the valid rows although others are refused.
    #[arg(long)]
    skip_invalid: bool,
    /// vc+sd-jwt, dc+sd-jwt, ldp_vc or di_vc+jcs.
    #[arg(long, default_value_t = CredentialFormat::VcSdJwt, value_parser = parse_format)]
    format: CredentialFormat,
    /// Require a PIN, which you send to the holder separately from the link.
    #[arg(long)]
    pin: bool,
    /// Defer the offers until `offer release`.
    #[arg(long)]
    deferred: bool,
    /// The number of seconds for which the offers can be redeemed; by default that of the configuration.
    #[arg(long)]
    ttl: Option<u32>,
    /// An id of your choice for this import. By default it follows from the file, the mapping and the type, so that the
    /// same file is not imported twice.
    #[arg(long)]
    import_id: Option<String>,
    /// Also write letters to print (HTML), with QR codes, in the language of each row; PINs are on sheets of their own.
    /// The mapping has the sender and the address in [letters].
    #[arg(long)]
    letters: bool,
    /// The kind of the file, if its name does not say it: csv, jsonl or xlsx.
    #[arg(long, value_parser = SourceKind::parse)]
    input: Option<SourceKind>,
    /// The delimiter of a CSV file: one character, or `tab`. By default it is found in the first row.
    #[arg(long, value_parser = source::parse_delimiter)]
    delimiter: Option<u8>,
    /// The encoding of a CSV file: utf-8 or latin-1. By default it is found in the file.
    #[arg(long, value_parser = Encoding::parse)]
    encoding: Option<Encoding>,
    /// The sheet of an XLSX file, if it has several.
    #[arg(long)]
    sheet: Option<String>,
    #[command(flatten)]
    staff: StaffArgs,
}

impl ImportArgs {
    /// Returns the options that all runs of one import share, as text.
    fn shared_options(&self) -> String {
        let of = (&self.credential_type, self.format.as_str(), self.pin, self.deferred, self.ttl);
        format!("type {}, format {}, pin {}, deferred {}, ttl {:?}", of.0, of.1, of.2, of.3, of.4.unwrap_or_default())
    }

    fn terms(&self, import_id: &str, secret: &[u8], preview: bool, dry_run: bool) -> proto::ImportTerms {
        proto::ImportTerms {
            import_id: import_id.to_owned(),
            secret: secret.to_vec(),
            credential_type: self.credential_type.clone(),
            format: crate::grpc::values::format_to_wire(self.format).into(),
            with_pin: self.pin,
            offer_ttl_seconds: self.ttl.unwrap_or_default(),
            deferred: self.deferred,
            dry_run,
            return_claims: preview,
        }
    }
}

pub(super) async fn run(args: ImportArgs) -> Result<(), StaffFailure> {
    let mapping_text = disk::read_user_text(&args.map).map_err(|error| {
        StaffFailure::Unreadable(format!(
            "the mapping {} cannot be read: {error}\nhint: check the path, and that the file is text in UTF-8",
            args.map.display()
        ))
    })?;
    let mapping = Mapping::parse(&mapping_text).map_err(|what| mapping_failure(&args, &what))?;
    let options = SourceOptions {
        kind: args.input,
        encoding: args.encoding,
        delimiter: args.delimiter,
        sheet: args.sheet.clone(),
    };
    let source = Source::open(&args.file, options)?;
    source.notes().iter().for_each(|note| carnet_console::print_error_line(format_args!("{note}")));
    let columns = mapping.columns();
    let converter =
        RowConverter::new(mapping, source.reader(&columns)?.columns()).map_err(|what| mapping_failure(&args, &what))?;
    if args.letters && converter.sender().is_none() {
        return Err(mapping_failure(&args, "it has no [letters] with `sender` and `addressee`"));
    }
    let import_id = match &args.import_id {
        Some(id) => id.clone(),
        None => source.import_id(&mapping_text, &args.shared_options()),
    };
    let folder = match &args.out {
        Some(path) if !args.preview => Some(ImportFolder::open(path)?),
        _ => None,
    };
    let state = folder.as_ref().map(ImportFolder::state).transpose()?.flatten();
    let plan = ImportState {
        import_id: state.as_ref().map_or(import_id, |state| state.import_id.clone()),
        file: source.digest(),
        options: args.shared_options(),
        ..state.clone().unwrap_or_else(ImportState::new)
    };
    if let Some(state) = &state {
        check_continuation(&args, state, &plan, converter.has_references())?;
        if let (true, Some(folder)) = (state.is_complete && state.file == plan.file, &folder) {
            let letters = if args.letters && !args.dry_run {
                let letters = begin_letters(&args, &converter, folder)?;
                reprint::write_letters(folder.path(), letters, &source, &columns, &converter, args.pin)?
            } else {
                0
            };
            return say_complete(&args, state, letters);
        }
    }
    let (channel, token) = client::connect(&args.staff).await?;
    let client = OfferServiceClient::with_interceptor(channel, token);
    let mut pass =
        Pass { client, source: &source, columns: &columns, converter: &converter, is_stored: false, limit: None };
    let secret = plan.secret()?;
    if args.preview {
        return preview(&args, pass, &plan.import_id, &secret).await;
    }
    let is_checked = state.as_ref().is_some_and(|state| state.is_checked && state.file == plan.file);
    if args.dry_run || !is_checked {
        let terms = args.terms(&plan.import_id, &secret, false, true);
        let found = pass.run(terms, "checked", None).await?;
        if let Some(folder) = &folder {
            folder.write_problems(&found)?;
        }
        if args.dry_run || (found.refused > 0 && !args.skip_invalid) {
            return report(&args, &plan, &found, false);
        }
    }
    // `required_unless_present_any` gives a folder here.
    let Some(folder) = folder else { return Err(StaffFailure::Input("give --out DIR for the links".to_owned())) };
    let plan = ImportState { is_checked: true, is_complete: false, ..plan.with_secret(&secret) };
    // Before anything is sent: from now on, the links can be derived again.
    folder.write_state(&plan)?;
    let letters = if args.letters { Some(begin_letters(&args, &converter, &folder)?) } else { None };
    let mut outputs = folder.begin_outputs(args.pin, letters)?;
    pass.is_stored = true;
    let found = pass.run(args.terms(&plan.import_id, &secret, false, false), "imported", Some(&mut outputs)).await?;
    outputs.finish()?;
    folder.write_problems(&found)?;
    if found.refused == 0 {
        folder.write_state(&ImportState { is_complete: true, rows: found.rows, ..plan.clone() }.without_secret())?;
    }
    report(&args, &plan, &found, true)
}

fn mapping_failure(args: &ImportArgs, what: &str) -> StaffFailure {
    StaffFailure::Input(format!(
        "the mapping {} is refused: {what}\nNothing was sent.\nhint: docs/import.md describes mappings",
        args.map.display()
    ))
}

fn begin_letters(
    args: &ImportArgs,
    converter: &RowConverter,
    folder: &ImportFolder,
) -> Result<LetterFiles, StaffFailure> {
    let sender = converter.sender().unwrap_or_default();
    LetterFiles::begin(folder.path(), sender, &args.credential_type, args.pin)
}

/// Checks that a run continues the import of its folder.
fn check_continuation(
    args: &ImportArgs,
    state: &ImportState,
    plan: &ImportState,
    has_references: bool,
) -> Result<(), StaffFailure> {
    let refused = |what: &str| {
        Err(StaffFailure::WithReason {
            reason: "other_import",
            text: format!("{what}; nothing was changed\nhint: give another folder with --out for another import"),
        })
    };
    if args.import_id.as_ref().is_some_and(|id| *id != state.import_id) {
        return refused(&format!("the folder belongs to the import {}", quoted(&state.import_id)));
    }
    if state.options != plan.options {
        return refused(&format!("the import of this folder began with other options: {}", state.options));
    }
    if state.file != plan.file && (state.is_complete || !has_references) {
        return refused(if state.is_complete {
            "the import of this folder is complete, and this is another file"
        } else {
            "the file has changed since the import of this folder began, and its rows have no references that would \
             tell which of them exist"
        });
    }
    Ok(())
}

fn say_complete(args: &ImportArgs, state: &ImportState, letters: u64) -> Result<(), StaffFailure> {
    let value = json!({
        "import_id": state.import_id, "complete": true, "rows": state.rows, "created": 0, "refused": 0,
        "letters": letters,
    });
    print_result(args.staff.json, &value, || {
        let written = if letters > 0 { format!(" {letters} letters were written.") } else { String::new() };
        format!("This import is complete: all {} rows have offers, and none was changed.{written}", state.rows)
    });
    Ok(())
}

async fn preview(args: &ImportArgs, pass: Pass<'_>, import_id: &str, secret: &[u8]) -> Result<(), StaffFailure> {
    let mut shown = Preview::default();
    let mut pass = Pass { limit: Some(10), ..pass };
    let found = pass.run(args.terms(import_id, secret, true, true), "checked", Some(&mut shown)).await?;
    let errors: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
    let value = json!({"rows": shown.rows, "errors": errors, "warnings": found.warnings, "created": 0});
    print_result(args.staff.json, &value, || {
        let mut lines: Vec<String> = shown.rows.iter().map(|row| format!("{row:#}")).collect();
        lines.extend(errors.iter().map(|error| format!("Refused: {error}")));
        lines.extend(found.warnings.iter().map(|warning| format!("Warning: {warning}")));
        lines.push("Nothing was created.".to_owned());
        lines.join("\n")
    });
    Ok(())
}

/// Prints the result of a pass over all rows; an error if rows were refused. `stored`: the pass created offers.
fn report(args: &ImportArgs, plan: &ImportState, found: &Findings, stored: bool) -> Result<(), StaffFailure> {
    let errors: Vec<String> = found.errors.iter().map(RowError::to_string).collect();
    let value = json!({
        "import_id": plan.import_id, "dry_run": !stored, "rows": found.rows, "created": found.created,
        "existed": found.existed, "refused": found.refused, "empty_rows": found.empty_rows,
        "closed": found.closed, "complete": stored && found.refused == 0,
        "errors": errors, "warnings": found.warnings, "out": args.out,
    });
    if !args.staff.json {
        let shown = found.warnings.iter().take(SHOWN_PROBLEMS);
        shown.for_each(|text| print_problem(&format!("Warning: {text}")));
        say_more(found.warning_count, "warnings");
    }
    if found.refused == 0 {
        print_result(args.staff.json, &value, || summary(args, found, stored));
        return Ok(());
    }
    carnet_console::set_error_members(value);
    if !args.staff.json {
        errors.iter().take(SHOWN_PROBLEMS).for_each(|text| print_problem(text));
        say_more(found.error_count, "errors");
    }
    let refused = found.refused;
    let (what, hint) = if stored {
        (
            format!("{refused} of {} rows were refused. {}", found.rows, summary(args, found, true)),
            "correct the rows and run the same command again with the same --out: no offer is created twice if the rows \
             have references",
        )
    } else {
        (
            format!("{refused} of {} rows are refused; nothing was created", found.rows),
            "correct the rows, or create the offers of the others with --skip-invalid",
        )
    };
    Err(StaffFailure::WithReason { reason: "rows_refused", text: format!("{what}\nhint: {hint}") })
}

fn print_problem(text: &str) {
    carnet_console::print_error_line(format_args!("{}", displayable_lines(text)));
}

fn say_more(count: usize, what: &str) {
    if let Some(more) = count.checked_sub(SHOWN_PROBLEMS).filter(|more| *more > 0) {
        carnet_console::print_error_line(format_args!("{more} more {what}; with --out, problems.csv has all of them."));
    }
}

fn summary(args: &ImportArgs, found: &Findings, stored: bool) -> String {
    if !stored {
        return format!("All {} rows are valid. Nothing was created.", found.rows);
    }
    let mut text = format!("{} offers were created, and {} existed already.", found.created, found.existed);
    if found.closed > 0 {
        text.push_str(&format!(
            " {} of them can no longer be collected (collected, cancelled or expired) and have no link.",
            found.closed
        ));
    }
    if let Some(folder) = &args.out {
        let pins = if args.pin { ", the PINs in pins.csv" } else { "" };
        if args.letters {
            text.push_str(&format!(" The letters are in {}/letters.", folder.display()));
        }
        text.push_str(&format!(" The links are in {}/links.csv{pins}; only you can read them.", folder.display()));
    }
    text
}

/// Returns the members of a row that is shown in a preview.
fn preview_row(row: u64, reference: &str, language: &str, offer: &proto::ImportedOffer) -> Value {
    let claims = offer.claims.as_ref().and_then(|claims| carnet_service::wire::from_struct(claims).ok());
    let terms = offer.offer.clone().unwrap_or_default();
    json!({
        "row": row, "reference": reference, "language": language, "claims": claims,
        "valid_from": super::format_timestamp(terms.valid_from.as_ref()),
        "valid_until": super::format_timestamp(terms.valid_until.as_ref()),
    })
}
