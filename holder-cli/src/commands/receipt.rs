//! Command `carnet receipt`: exports a receipt for third parties, and verifies one from someone else without a wallet
//! or a network.

use std::{fs::File, io::Read as _, path::Path, sync::Arc};

use carnet_core::{
    Code, Problem, day,
    did::{Did, DidDocument, Resolve, SelfContainedResolver},
    input::without_bom,
    json::{Limits, parse},
    receipt::{ErasureEvidence, EvidenceAnchors, ExportedReceipt, ReceiptEvidence, SignerProof},
    time::CLOCK_SKEW,
};
use carnet_wallet::receipt::{ReceiptExport, export_receipt};
use serde_json::{Value, json};

use super::{log::export::write_private, report::threshold_text};
use crate::{
    arguments::{ExportReceipt, ReceiptCommand, VerifyReceipt},
    context::CommandContext,
    failure::{Failure, FailureReason, Sentence},
    ui::{Ui, parties, sanitise::sanitise},
};

/// Maximum size of a receipt file or DID document that is read, in bytes; the rest is ignored.
const LARGEST: u64 = 2_097_152;

/// Exports or verifies a receipt.
pub(crate) fn run(context: &CommandContext, command: &ReceiptCommand) -> Result<(), Failure> {
    match command {
        ReceiptCommand::Export(arguments) => export(context, arguments),
        ReceiptCommand::Verify(arguments) => verify(context, arguments),
    }
}

fn export(context: &CommandContext, arguments: &ExportReceipt) -> Result<(), Failure> {
    let contents = context.wallet.read()?;
    let ReceiptExport { file, presentation_entry: entry, has_request } = export_receipt(&contents, &arguments.who)?;
    let text = serde_json::to_string_pretty(&file).unwrap_or_default();
    write_private(&arguments.out, &format!("{text}\n"), false)?;
    let messages = &context.ui.messages;
    let path = arguments.out.display().to_string();
    let mut said = format!("{}\n", messages.format("receipt-exported", &[("file", &path)]));
    if !has_request {
        said.push_str(&format!("{}\n", messages.text("receipt-without-request")));
    }
    let object = json!({"written": path, "entry": entry, "request": has_request});
    context.ui.print_result(&said, &object);
    Ok(())
}

fn verify(context: &CommandContext, arguments: &VerifyReceipt) -> Result<(), Failure> {
    let unread = |problem: &Problem| {
        Failure::from_problem(problem, Sentence::new("error-receipt-file"), Sentence::new("hint-receipt-file"))
    };
    let file = ExportedReceipt::parse(&read(&arguments.file)?).map_err(|problem| unread(&problem))?;
    for did in &arguments.registrars {
        Did::parse(did).map_err(|problem| {
            let message = Sentence::new("error-not-registrar").with("did", sanitise(did));
            let failure = Failure::from_problem(&problem, message, Sentence::new("hint-did-begins"));
            Failure { kind: crate::failure::FailureKind::Usage, ..failure }
        })?;
    }
    let registrars = |did: &str| arguments.registrars.iter().any(|pinned| pinned == did);
    let documents = arguments.documents.iter().map(|path| read_did_document(path)).collect::<Result<Vec<_>, _>>()?;
    let pinned = EvidenceAnchors {
        is_pinned_registrar: &registrars,
        resolver: &GivenDocuments(documents),
        now: context.now(),
        skew: CLOCK_SKEW,
    };
    let evidence = ReceiptEvidence::verify(&file, &pinned).map_err(|problem| refused(&problem))?;
    context.ui.print_result(&evidence_text(&context.ui, &evidence), &evidence_json(&evidence));
    Ok(())
}

/// Returns the failure for an invalid receipt, with advice by its code.
fn refused(problem: &Problem) -> Failure {
    let hint = match problem.code {
        Code::ReceiptKeyUnproven => "hint-registrar-option",
        Code::DidUnsupported | Code::DidUnresolved => "hint-registrar-document",
        _ => "hint-receipt-nothing",
    };
    let failure = Failure::from_problem(problem, Sentence::new("error-receipt-refused"), Sentence::new(hint));
    Failure { kind: crate::failure::FailureKind::Permanent, ..failure }
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LARGEST).read_to_end(&mut bytes));
    read.map_err(|error| {
        let message = Sentence::new("error-file-unreadable").with("path", path.display()).with_details(error);
        Failure::usage(FailureReason::Program("file_unreadable"), message, Sentence::new("hint-path"))
    })?;
    Ok(without_bom(&bytes).to_vec())
}

/// Reads a DID document from a file, for the DID that it names.
fn read_did_document(path: &Path) -> Result<Arc<DidDocument>, Failure> {
    let parsed = parse(&read(path)?, Limits::DOCUMENT).and_then(|document| {
        let id = document.get("id").and_then(Value::as_str).unwrap_or_default();
        DidDocument::parse(&Did::parse(id)?, &document)
    });
    parsed.map(Arc::new).map_err(|problem| {
        let message = Sentence::new("error-not-did-document").with("path", path.display());
        Failure::from_problem(&problem, message, Sentence::new("hint-name-document"))
    })
}

/// Resolver for the DID documents from the command line, and for DIDs that contain their own key.
struct GivenDocuments(Vec<Arc<DidDocument>>);

impl Resolve for GivenDocuments {
    fn resolve(&self, did: &Did) -> Result<Arc<DidDocument>, Problem> {
        let known = self.0.iter().find(|document| document.did() == did && did.has_published_document());
        known.map_or_else(|| SelfContainedResolver.resolve(did), |document| Ok(Arc::clone(document)))
    }
}

fn evidence_text(ui: &Ui, evidence: &ReceiptEvidence) -> String {
    let messages = &ui.messages;
    let receipt = evidence.receipt();
    let content = receipt.content();
    let mut lines = vec![messages.text("receipt-holds")];
    let mut line = |id: &str, said: &str| {
        if !said.is_empty() {
            lines.push(format!("  {}: {said}", messages.text(id)));
        }
    };
    let name = evidence.registration().map_or("", |known| known.relying_party().name.as_str());
    line("log-who", &parties::known_name(ui, name, receipt.verifier()));
    line("log-when", &messages.time(content.verified_at));
    let verdict = if content.accepted { "receipt-accepted" } else { "receipt-refused" };
    let reason = content.reason.as_deref().map(|reason| format!(" [{}]", sanitise(reason))).unwrap_or_default();
    line("log-what", &format!("{}{reason}", messages.text(verdict)));
    line(
        "log-why",
        &messages
            .languages()
            .best_text(|language| content.purpose.get(language).map(String::as_str))
            .unwrap_or_default(),
    );
    for shown in &content.disclosed {
        let name = sanitise(&shown.credential_type);
        let paths: Vec<String> = shown.paths.iter().map(|path| sanitise(path)).collect();
        if !paths.is_empty() || shown.thresholds.is_empty() {
            line("log-claims", format!("{name}: {}", paths.join(", ")).trim_end_matches([':', ' ']));
        }
        let proved: Vec<String> = shown.thresholds.iter().map(threshold_text).collect();
        if !proved.is_empty() {
            line("log-proved", &format!("{name}: {}", proved.join(", ")));
        }
    }
    if ui.details {
        line("receipt-presentation", content.presentation_digest.as_deref().unwrap_or_default());
        line("receipt-request", &content.request_digest);
    }
    match evidence.erasure() {
        Some(ErasureEvidence::Confirmed(at)) => line("log-gone", &messages.time(at)),
        Some(ErasureEvidence::Unproven) => line("log-due", &messages.text("receipt-erasure-unproven")),
        None => line("log-due", &messages.time(content.erase_at)),
    }
    line("receipt-key", &key_text(ui, evidence));
    if !evidence.request_signature_verified() {
        line("receipt-request", &messages.text("receipt-request-unsigned"));
    }
    lines.join("\n") + "\n"
}

/// Describes the evidence that the signing key belongs to the verifier: a registration, or the DID itself.
fn key_text(ui: &Ui, evidence: &ReceiptEvidence) -> String {
    let messages = &ui.messages;
    match (evidence.signer_proof(), evidence.registration()) {
        (SignerProof::Registration, Some(known)) => messages.format(
            "receipt-key-registered",
            &[
                ("registrar", &parties::known_name(ui, "", known.registrar())),
                ("from", &day::format_start(known.valid_from())),
                ("until", &day::format_end(known.valid_until())),
            ],
        ),
        _ => messages.text("receipt-key-did"),
    }
}

fn evidence_json(evidence: &ReceiptEvidence) -> Value {
    let receipt = evidence.receipt();
    let (erased_at, erasure) = match evidence.erasure() {
        Some(ErasureEvidence::Confirmed(at)) => (Some(at.to_string()), "confirmed"),
        Some(ErasureEvidence::Unproven) => (None, "unproven"),
        None => (None, "none"),
    };
    let key = match evidence.signer_proof() {
        SignerProof::Registration => "registration",
        SignerProof::Did => "did",
    };
    let registration = evidence.registration().map(|known| {
        json!({
            "registrar": known.registrar(), "valid_from": known.valid_from().to_string(),
            "valid_until": known.valid_until().to_string(), "name": known.relying_party().name,
        })
    });
    json!({
        "holds": true, "verifier": receipt.verifier(), "digest": receipt.digest(), "receipt": receipt.content(),
        "key": key, "registration": registration, "request_signed": evidence.request_signature_verified(),
        "erasure": erasure, "erased_at": erased_at,
    })
}

#[cfg(test)]
mod tests;
