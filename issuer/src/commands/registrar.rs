//! Commands `registrar init`, `registrar show` and `registrar sign`.

use std::path::PathBuf;

use carnet_console::{Answer, Question};
use carnet_core::{
    at_least::Direction,
    day,
    query::path_to_text,
    text::{displayable_lines, quoted},
    trust::registration::{IntendedUse, RegisteredClaim, RegisteredCredential, RelyingParty},
};
use carnet_service::{keys::KeyStorageArgs, one_time_output, time};
use clap::Subcommand;
use serde_json::{Value, json};

use super::{StaffFailure, print_result};
use crate::registrar::{self, Registrar, RegistrarError, RegistrationApplication};

#[derive(Debug, Subcommand)]
pub(crate) enum RegistrarVerb {
    /// Create a registrar's directory with a key; wallets pin its DID.
    Init {
        /// The directory to create.
        #[arg(long)]
        data: PathBuf,
        /// The registrar's name.
        #[arg(long)]
        name: String,
        #[command(flatten)]
        place: KeyStorageArgs,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show the registrar's name and DID.
    Show {
        /// The directory that `registrar init` created.
        #[arg(long, value_parser = carnet_service::directory::DataDirectoryParser)]
        data: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show what a verifier's registration request would allow, and sign it.
    Sign(RegistrarSignArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct RegistrarSignArgs {
    /// The directory that `registrar init` created.
    #[arg(long, value_parser = carnet_service::directory::DataDirectoryParser)]
    data: PathBuf,
    /// The file with the verifier's signed request.
    file: PathBuf,
    /// The number of days for which the registration is valid, from today.
    #[arg(long, default_value_t = 365)]
    days: u32,
    /// The verifier's DID document, for a did:web.
    #[arg(long)]
    did_document: Option<PathBuf>,
    /// The file for the registration; by default standard output.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Approve without a question; DIGEST is that of the request, as shown before.
    #[arg(long, value_name = "DIGEST", allow_hyphen_values = true)]
    yes: Option<String>,
    /// Print JSON, and ask nothing.
    #[arg(long)]
    json: bool,
}

impl From<RegistrarError> for StaffFailure {
    fn from(refusal: RegistrarError) -> Self {
        let reason = refusal.reason();
        Self::WithReason {
            reason,
            text: format!("{refusal}; no registration was issued ({reason})\nhint: {}", refusal.hint()),
        }
    }
}

pub(super) fn run(verb: RegistrarVerb) -> Result<(), StaffFailure> {
    match verb {
        RegistrarVerb::Init { data, name, place, json } => {
            let (place, kek) = place.prepare_storage(&data)?;
            let registrar = match Registrar::init(&data, &name, &place) {
                Ok(registrar) => registrar,
                Err(error) => {
                    if let Some(kek) = kek {
                        kek.delete();
                    }
                    return Err(error.into());
                }
            };
            print_result(json, &registrar_json(&registrar), || {
                format!(
                    "The registrar {name} is set up in {data}.\nIts DID, for wallets to pin:\n{did}\n\n{kek}\
                     Next: carnet-issuer registrar sign --data {data} REQUEST",
                    name = quoted(&name),
                    data = data.display(),
                    did = registrar.did,
                    kek = kek.as_ref().map(|kek| format!("{}\n\n", kek.backup_notice(&data))).unwrap_or_default(),
                )
            });
            Ok(())
        }
        RegistrarVerb::Show { data, json } => {
            let registrar = Registrar::open(&data)?;
            print_result(json, &registrar_json(&registrar), || {
                format!("{}\n{}", quoted(&registrar.name), registrar.did)
            });
            Ok(())
        }
        RegistrarVerb::Sign(args) => sign(&args),
    }
}

fn registrar_json(registrar: &Registrar) -> Value {
    json!({ "name": registrar.name, "did": registrar.did.as_str() })
}

fn sign(args: &RegistrarSignArgs) -> Result<(), StaffFailure> {
    let registrar = Registrar::open(&args.data)?;
    let request = registrar::read_file(&args.file)?;
    let document = args.did_document.as_deref().map(registrar::read_file).transpose()?;
    let application = Registrar::verify_request_file(&request, document.as_deref(), args.days, time::now())?;
    let shown = registration_summary(&registrar, &application);
    if !args.json {
        // Printed separately from the registration, which may be redirected to a file.
        carnet_console::print_error_line(displayable_lines(&shown));
    }
    if let Err(refusal) = require_approval(args, &application) {
        if args.json {
            carnet_console::set_error_members(sign_output(&registrar, &application, &Value::Null));
        }
        return Err(refusal.into());
    }
    if args.json || args.out.is_none() {
        one_time_output::require_writable_output(args.json)?;
    }
    let registration = Value::Object(registrar.sign(&application)?);
    let text = format!("{registration:#}\n");
    if let Some(path) = &args.out {
        registrar::write_registration(path, &text)?;
    }
    if let (false, Some(path)) = (args.json, &args.out) {
        carnet_console::print_line(format_args!("Signed; the registration is in {}.", path.display()));
        return Ok(());
    }
    let value = sign_output(&registrar, &application, &registration);
    let made = "The registration was signed, but could not be written.";
    Ok(one_time_output::show_once(
        args.json,
        &value,
        || text.trim_end().to_owned(),
        made,
        "Sign the request again, with --out FILE.",
    )?)
}

fn require_approval(args: &RegistrarSignArgs, application: &RegistrationApplication) -> Result<(), RegistrarError> {
    if application.check_approval(args.yes.as_deref())? {
        return Ok(());
    }
    // The question refers to text on standard error. If that or the answer is not a terminal, nobody has consented.
    let question = Question::english("Sign this? (yes = 1, no = 2)");
    match if args.json { None } else { carnet_console::ask(&question) } {
        None => Err(RegistrarError::ApprovalNeeded { digest: application.digest.clone() }),
        Some(Answer::Yes) => Ok(()),
        Some(Answer::No) => Err(RegistrarError::Declined),
        Some(Answer::Unclear) => Err(RegistrarError::NotAnswered),
    }
}

/// Returns the JSON output of `registrar sign`. `registration` is null if it was not signed.
fn sign_output(registrar: &Registrar, application: &RegistrationApplication, registration: &Value) -> Value {
    json!({
        "registrar": registrar_json(registrar),
        "digest": application.digest,
        "made": application.request.requested_at().to_string(),
        "valid_from": application.valid_from.to_string(),
        "valid_until": application.valid_until.to_string(),
        "relying_party": application.request.relying_party(),
        "signed": !registration.is_null(),
        "registration": registration,
    })
}

/// Returns the text that describes what a registration would permit. Texts of the verifier are quoted, with invisible
/// characters escaped, so that they cannot imitate other output.
pub(crate) fn registration_summary(registrar: &Registrar, application: &RegistrationApplication) -> String {
    let asker: &RelyingParty = application.request.relying_party();
    let authority = &asker.supervisory_authority;
    let reached = [&authority.email, &authority.uri].into_iter().flatten().map(String::as_str).collect::<Vec<_>>();
    let mut lines = vec![
        format!("{} asks to be registered (request of {}):", asker.id, application.request.requested_at()),
        format!("  name            {}", quoted(&asker.name)),
        format!("  legal id        {}", asker.legal_identifier.as_ref().map_or("none".to_owned(), |id| quoted(id))),
        format!("  country         {}", asker.country),
        format!("  register        {}", asker.registry_uri.as_deref().unwrap_or("none")),
        format!("  privacy policy  {}", asker.privacy_policy),
        format!("  erasure         {}", asker.support_uri),
        format!("  supervision     {}, {}", quoted(&authority.name), reached.join(", ")),
        "It could then ask, without a warning:".to_owned(),
    ];
    lines.extend(asker.intended_uses.iter().flat_map(intended_use_lines));
    lines.push("It signs receipts with:".to_owned());
    lines.extend(asker.receipt_keys.iter().map(|key| format!("- {} ({})", key.id, key.multikey)));
    if asker.receipt_keys.is_empty() {
        lines.push("- no registered key: nobody could prove later that a receipt is its own".to_owned());
    }
    lines.push(format!(
        "From {} until {},",
        day::format_start(application.valid_from),
        day::format_end(application.valid_until)
    ));
    lines.push(format!("on the word of {}, {}.", quoted(&registrar.name), registrar.did));
    lines.push(format!("Digest of the request: {}", application.digest));
    lines.join("\n")
}

fn intended_use_lines(intended: &IntendedUse) -> Vec<String> {
    let mut lines = vec![format!("- {}, the outcome kept for {} days", intended.id, intended.retention_days)];
    for (what, texts) in [("why", &intended.purpose), ("by what law", &intended.legal_basis)] {
        lines.extend(texts.iter().map(|(language, text)| format!("    {what} ({language})  {}", quoted(text))));
    }
    lines.extend(intended.credentials.iter().flat_map(credential_lines));
    lines
}

fn credential_lines(registered: &RegisteredCredential) -> Vec<String> {
    let sets = registered
        .meta
        .type_values
        .iter()
        .map(|set| set.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(" and "));
    let types: Vec<String> = sets.chain(registered.meta.vct_values.iter().map(|vct| quoted(vct))).collect();
    let format = registered.format.as_ref().map_or("any selective format".to_owned(), |format| quoted(format.as_str()));
    let mut lines = vec![format!("    of {} ({format}):", types.join(" or "))];
    if registered.claims.is_empty() {
        lines.push("      no claim, only that the person has one".to_owned());
    }
    lines.extend(
        registered
            .claims
            .iter()
            .map(|claim| format!("      {}{}", quoted(&path_to_text(&claim.path)), threshold_note(claim))),
    );
    lines
}

/// Describes the threshold proofs for which a claim is registered, if it is registered without its value; otherwise
/// empty.
fn threshold_note(claim: &RegisteredClaim) -> String {
    let side = |direction: Direction| {
        let words = match direction {
            Direction::AtLeast => "at least",
            Direction::AtMost => "at most",
        };
        let bounds: Vec<String> = claim.bounds(direction).iter().map(bound_text).collect();
        let bounds = if bounds.is_empty() { "any value that it chooses".to_owned() } else { bounds.join(" or ") };
        claim.permits_threshold(direction).then(|| format!("{words} {bounds}"))
    };
    let sides: Vec<String> = Direction::ALL.into_iter().filter_map(side).collect();
    if sides.is_empty() { String::new() } else { format!(" (only whether it is {})", sides.join(", or ")) }
}

fn bound_text(bound: &Value) -> String {
    bound.as_str().map_or_else(|| bound.to_string(), quoted)
}
