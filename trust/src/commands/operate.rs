//! Commands of operators: `init`, `show`, `sign`, `publish`.

use std::path::{Path, PathBuf};

use carnet_console::{Answer, Question};
use carnet_core::{
    text::{displayable_lines, quoted},
    trust::list::UnverifiedTrustList,
};
use carnet_service::{keys::KeyStorageArgs, time};
use clap::Args;
use serde_json::{Value, json};

use super::print_result;
use crate::{
    error::CommandError,
    files::{read_list, read_object, to_json_text, write_new},
    history,
    operator::Operator,
    pins::PinArgs,
    rendering,
};

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The directory to create.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The operator's name.
    #[arg(long)]
    name: String,
    #[command(flatten)]
    place: KeyStorageArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The directory that `init` created.
    #[arg(long, value_name = "DIR", value_parser = carnet_service::directory::DataDirectoryParser)]
    data: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SignArgs {
    /// The directory that `init` created.
    #[arg(long, value_name = "DIR", value_parser = carnet_service::directory::DataDirectoryParser)]
    data: PathBuf,
    /// The list, with the signatures of other operators.
    list: PathBuf,
    /// Your own copy of the previous list; the first list has none.
    #[arg(long, value_name = "LIST")]
    previous: Option<PathBuf>,
    /// Approve without a question; DIGEST is that of the list, as displayed before.
    #[arg(long, value_name = "DIGEST", allow_hyphen_values = true, alias = "yes-digest")]
    yes: Option<String>,
    /// The digest of a list that was signed here before and is to be ignored, since it was never published or is more
    /// than 64 lists back.
    #[arg(long, value_name = "DIGEST", allow_hyphen_values = true)]
    leave_out: Option<String>,
    /// The file for the list with the signature; it must not exist. By default standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print JSON, and ask nothing.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PublishArgs {
    /// The list.
    file: PathBuf,
    #[command(flatten)]
    pins: PinArgs,
    /// The folder: trust-list.json is the newest list, history/NNN.json each list.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn init(args: &InitArgs) -> Result<u8, CommandError> {
    let (place, kek) = args.place.prepare_storage(&args.data)?;
    let operator = match Operator::init(&args.data, &args.name, &place) {
        Ok(operator) => operator,
        Err(refusal) => {
            if let Some(kek) = kek {
                kek.delete();
            }
            return Err(refusal);
        }
    };
    print_result(args.json, &operator_json(&operator), || {
        format!(
            "The operator {} is set up in {}.\nIts DID, to be pinned by verifiers and wallets:\n{}{}",
            quoted(&operator.name),
            args.data.display(),
            operator.did,
            kek.as_ref().map(|kek| format!("\n{}", kek.backup_notice(&args.data))).unwrap_or_default()
        )
    });
    Ok(0)
}

pub(super) fn show(args: &ShowArgs) -> Result<u8, CommandError> {
    let operator = Operator::open(&args.data)?;
    let signed = operator.last_signed()?;
    let mut shown = operator_json(&operator);
    if let (Some(signed), Some(members)) = (&signed, shown.as_object_mut()) {
        members.insert("signed".to_owned(), json!(signed));
    }
    print_result(args.json, &shown, || {
        let signed = signed.map_or("no list".to_owned(), |list| format!("list {} ({})", list.sequence, list.digest));
        format!("{}\n{}\nsigned last: {signed}", quoted(&operator.name), operator.did)
    });
    Ok(0)
}

fn operator_json(operator: &Operator) -> Value {
    json!({ "name": operator.name, "did": operator.did.as_str() })
}

pub(super) fn sign(args: &SignArgs) -> Result<u8, CommandError> {
    if args.json || args.out.is_none() {
        carnet_console::check_output(args.json).map_err(output_error)?;
    }
    // Checked before the approval, and before the signature is recorded.
    if let Some(path) = args.out.as_deref().filter(|path| path.symlink_metadata().is_ok()) {
        return Err(CommandError::new(
            "file_unwritable",
            format!("{} already exists. Nothing was signed", path.display()),
            "name another file with --out",
        ));
    }
    let folder = args.out.as_deref().and_then(Path::parent).filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        return Err(CommandError::new(
            "file_unwritable",
            format!("{} is not a folder. Nothing was signed", folder.display()),
            "create it, or name another file with --out",
        ));
    }
    let operator = Operator::open(&args.data)?;
    let (document, preview) = read_list(&args.list)?;
    let previous = args.previous.as_deref().map(read_list).transpose()?.map(|(_, previous)| previous);
    check_previous(&preview, previous.as_ref())?;
    operator.check_against_last_signed(&preview, args.leave_out.as_deref())?;
    let object = |signed: Value| {
        let mut shown = rendering::list_head_json(&preview);
        if let Some(members) = shown.as_object_mut() {
            let changes =
                previous.as_ref().map(|previous| rendering::changes_json(&previous.contents, &preview.contents));
            members.insert("changes".to_owned(), changes.unwrap_or_default());
            members.insert("operator".to_owned(), operator_json(&operator));
            members.insert("signed".to_owned(), (!signed.is_null()).into());
            members.insert("document".to_owned(), signed);
        }
        shown
    };
    if !args.json {
        // On standard error, since standard output may be redirected to the file with the list.
        carnet_console::print_error_line(displayable_lines(&summary(&preview, previous.as_ref())));
    }
    if let Err(refusal) = require_approval(args, &preview) {
        if args.json {
            carnet_console::set_error_members(object(Value::Null));
        }
        return Err(refusal);
    }
    let signed = Value::Object(operator.sign(&document, &preview, args.leave_out.as_deref(), time::now())?);
    if let Some(path) = &args.out {
        write_new(path, &to_json_text(&signed))?;
    }
    if let (false, Some(path)) = (args.json, &args.out) {
        carnet_console::print_line(format_args!("Signed; the list is in {}.", path.display()));
        return Ok(0);
    }
    let text = to_json_text(&signed);
    let shown = if args.json { object(signed).to_string() } else { text.trim_end().to_owned() };
    carnet_console::print_once(shown).map_err(|error| {
        output_error(error).with_safety("The list was signed, but the signature could not be written.")
    })?;
    Ok(0)
}

fn output_error(error: carnet_console::Unwritable) -> CommandError {
    CommandError::new("output_unwritable", error.to_string(), "sign the same list again, with --out FILE")
}

/// Describes the list to be signed, and its changes.
fn summary(preview: &UnverifiedTrustList, previous: Option<&UnverifiedTrustList>) -> String {
    let Some(previous) = previous else { return rendering::describe_list(preview, time::now()).join("\n") };
    let mut lines = rendering::describe_header(preview, time::now());
    lines.push(format!("Against list {}:", previous.contents.sequence));
    lines.extend(rendering::describe_changes(&previous.contents, &preview.contents));
    lines.join("\n")
}

/// Checks that `previous` is the list that the new list names as its previous one: otherwise the displayed changes
/// would be wrong.
fn check_previous(preview: &UnverifiedTrustList, previous: Option<&UnverifiedTrustList>) -> Result<(), CommandError> {
    match (&preview.contents.previous, previous) {
        (None, None) => Ok(()),
        (Some(digest), Some(previous))
            if *digest == previous.digest
                && previous.list_id == preview.list_id
                && previous.contents.sequence < preview.contents.sequence
                && previous.next_contents().history == preview.contents.history =>
        {
            Ok(())
        }
        (Some(digest), None) => Err(CommandError::new(
            "previous_needed",
            format!("The changes can only be shown against the previous list (digest {digest})"),
            "name your own copy of that list with --previous",
        )),
        (_, Some(previous)) => Err(CommandError::new(
            "trust_list_conflict",
            format!("It does not continue list {} (digest {})", previous.contents.sequence, previous.digest),
            "ask for a list that continues the newest one you know",
        )),
    }
}

fn require_approval(args: &SignArgs, preview: &UnverifiedTrustList) -> Result<(), CommandError> {
    let digest = &preview.digest;
    let hint = format!("read the list, and if you agree: --yes {digest}");
    match &args.yes {
        Some(approved) if approved == digest => return Ok(()),
        Some(_) => return Err(CommandError::new("approval_mismatch", "The approval is for another list", hint)),
        None => {}
    }
    // The question is about the text on standard error. Without a terminal for the text and the answer there is no
    // approval.
    let question = Question::english("Sign this? (yes = 1, no = 2)");
    match if args.json { None } else { carnet_console::ask(&question) } {
        None => Err(CommandError::new(
            "approval_needed",
            "Signing needs an approval, and there is no terminal to ask on",
            hint,
        )),
        Some(Answer::Yes) => Ok(()),
        Some(Answer::No) => Err(CommandError::new("declined", "You said no", "nothing more to do")),
        Some(Answer::Unclear) => Err(CommandError::new(
            "not_answered",
            "The answer was neither yes nor no",
            "run it again; answer with yes or no, or with 1 for yes, 2 for no",
        )),
    }
}

pub(super) fn publish(args: &PublishArgs) -> Result<u8, CommandError> {
    let document = read_object(&args.file)?;
    let list = args.pins.verify_list(&document, time::now())?;
    let published = history::publish(&args.to, &document, &list)?;
    let (current, kept) = (published.current.display().to_string(), published.history.display().to_string());
    let number = list.contents().sequence;
    print_result(
        args.json,
        &json!({"sequence": number, "digest": list.digest(), "current": current, "history": kept}),
        || format!("List {number} is published as {current}, and kept as {kept}."),
    );
    Ok(0)
}
