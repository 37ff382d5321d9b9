//! Command `carnet erase`: requests erasure from a verifier, with its receipt and the key of the presentation, and
//! stores the signed confirmation (spec/log.md section 5).

use carnet_core::{
    Problem,
    did::Did,
    json::canonicalize,
    keys::SecretKey,
    receipt::{ErasureRequest, Receipt},
};
use carnet_wallet::{
    address::{scheme_host_port, service_address},
    ports::{DidParty, DocumentSource as _, Ports as _, VerifierClient as _},
    wire::Wire,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    arguments::Erase,
    commands::log::party_name,
    failure::{DataSafety, Failure, FailureKind, Fault, Sentence},
    receipt,
    session::Session,
    ui::{Ui, sanitise::sanitise},
    wallet::{
        EntryKind, WalletContents, WalletFile, WalletLogEntry,
        presentations::{PresentationRecord, shown_to},
    },
};

/// Presentation for which erasure can be requested.
struct OpenErasure {
    sent: WalletLogEntry,
    entry: WalletLogEntry,
    receipt: Receipt,
    key: SecretKey,
}

/// Requests erasure of everything that was disclosed to a verifier and not confirmed as erased.
pub(crate) async fn run(session: &Session, arguments: &Erase) -> Result<(), Failure> {
    let mut wallet = session.open()?;
    let known = shown_to(&wallet.contents.log, &arguments.who)?;
    let mut skipped = Vec::new();
    let mut open = Vec::new();
    for presentation in &known {
        match opened(&wallet.contents, presentation) {
            Ok(found) => open.push(found),
            Err(reason) => skipped.push(json!({"entry": presentation.sent.number, "reason": reason})),
        }
    }
    if open.is_empty() {
        return Err(nothing(&known, &skipped));
    }
    agree(session, arguments, &open)?;
    let (mut erased, mut failed) = (Vec::new(), Vec::new());
    let mut failure: Option<Failure> = None;
    for one in &open {
        match ask(session, &mut wallet, one).await {
            Ok(confirmed) => erased.push(confirmed),
            Err(found) => {
                failed.push(json!({"entry": one.sent.number, "reason": found.reason}));
                failure.get_or_insert(found);
            }
        }
    }
    retire(&mut wallet)?;
    let object = json!({"erased": erased, "failed": failed, "skipped": skipped});
    if let Some(failure) = failure {
        return Err(failure.beside(object));
    }
    let mut text = format!("{}\n", session.ui.messages.text("erase-done"));
    for one in &open {
        text.push_str(&line(&session.ui, &one.sent));
    }
    session.ui.result(&text, &object);
    Ok(())
}

/// Collects the inputs of an erasure request, or returns the reason why they are missing.
fn opened(contents: &WalletContents, presentation: &PresentationRecord<'_>) -> Result<OpenErasure, &'static str> {
    if presentation.erased.is_some() {
        return Err("already_erased");
    }
    let entry = presentation.receipt().ok_or("no_receipt")?;
    let receipt = receipt::stored_receipt(entry).map_err(|_| "receipt_false")?;
    if receipt.content().holder_keys.is_empty() {
        return Err("receipt_without_key");
    }
    let key = receipt.content().holder_keys.iter().find_map(|thumbprint| contents.key(thumbprint)).ok_or("key_gone")?;
    let key = key.open().map_err(|_| "key_gone")?;
    Ok(OpenErasure { sent: presentation.sent.clone(), entry: entry.clone(), receipt, key })
}

fn nothing(known: &[PresentationRecord<'_>], skipped: &[Value]) -> Failure {
    let all = |reason: &str| skipped.iter().all(|one| one.get("reason").and_then(Value::as_str) == Some(reason));
    let hint = contact(known.last().map(|presentation| presentation.sent));
    let (reason, message) = if all("already_erased") {
        ("already_erased", "error-already-erased")
    } else if all("no_receipt") {
        ("no_receipt", "error-erase-no-receipt")
    } else {
        ("nothing_to_erase", "error-nothing-to-erase")
    };
    let object = json!({"erased": [], "failed": [], "skipped": skipped});
    Failure::new(reason, Sentence::id(message), hint).beside(object)
}

/// Asks the owner, unless the command line names the digest of the request.
fn agree(session: &Session, arguments: &Erase, open: &[OpenErasure]) -> Result<(), Failure> {
    let digest = digest(open).map_err(|problem| {
        Failure::from_problem(&problem, Sentence::id("error-erase-unasked"), Sentence::id("hint-log-verify"))
    })?;
    if arguments.yes.as_deref() == Some(digest.as_str()) {
        return Ok(());
    }
    let ui = &session.ui;
    let lines: String = open.iter().map(|one| line(ui, &one.sent)).collect();
    let heading = ui.heading(&ui.messages.text("erase-asked"));
    let code = if ui.details { format!("{}: {digest}\n", ui.messages.text("consent-digest")) } else { String::new() };
    ui.print_text(&format!("{heading}:\n{lines}{code}"));
    let goes: Vec<Value> = open
        .iter()
        .map(|one| {
            json!({
                "entry": one.sent.number, "at": one.sent.at.to_string(), "party": one.sent.party,
                "party_name": one.sent.party_name, "endpoint": endpoint(one),
            })
        })
        .collect();
    let refused = |reason: &str, message| {
        let hint = Sentence::id("hint-erase-yes").with("digest", &digest);
        Failure::new(reason, Sentence::id(message), hint).beside(json!({"digest": digest, "would_ask": goes}))
    };
    match &arguments.yes {
        Some(approved) if !approved.is_empty() => Err(refused("approval_mismatch", "error-erase-mismatch")),
        Some(_) => Err(refused("approval_needed", "error-erase-digest")),
        None if !ui.can_ask() => Err(refused("approval_needed", "error-erase-nobody")),
        None => ui.require_yes(&ui.messages.text("erase-question"), Sentence::id("undone-erasure")),
    }
}

/// Computes the digest that approves without a screen: SHA-256 over the canonical JSON of the requests and their
/// recipients, in hexadecimal (log.md 5.5).
fn digest(open: &[OpenErasure]) -> Result<String, Problem> {
    let goes: Vec<Value> =
        open.iter().map(|one| json!([one.receipt.verifier(), endpoint(one), one.receipt.document()])).collect();
    Ok(base16ct::lower::encode_string(&Sha256::digest(canonicalize(&Value::Array(goes))?)))
}

/// Returns the endpoint that received the presentation and now receives the receipt.
fn endpoint(open: &OpenErasure) -> &str {
    open.sent.asker.as_ref().map(|asker| asker.endpoint.as_str()).unwrap_or_default()
}

/// Sends one request. The log records the request before it is sent, and the result afterwards.
async fn ask(session: &Session, wallet: &mut WalletFile, open: &OpenErasure) -> Result<Value, Failure> {
    let about = |kind| WalletLogEntry {
        asker: open.sent.asker.clone(),
        request: open.sent.request.clone(),
        ..WalletLogEntry::about(&open.entry, session.now(), kind)
    };
    wallet.contents.log.push(about(EntryKind::ErasureRequested));
    wallet.save()?;
    match answer(session, open).await {
        Ok((statement, erased_at)) => {
            let number =
                wallet.contents.log.push(WalletLogEntry { statement: Some(statement), ..about(EntryKind::Erased) });
            wallet.save()?;
            Ok(json!({
                "entry": open.sent.number, "receipt_entry": open.entry.number, "confirmation_entry": number,
                "party": open.sent.party, "party_name": open.sent.party_name, "erased_at": erased_at,
            }))
        }
        Err(failure) => {
            let reason = failure.reason.clone();
            wallet.contents.log.push(WalletLogEntry { reason, ..about(EntryKind::ErasureFailed) });
            wallet.save()?;
            let hint = contact(Some(&open.sent));
            let hint =
                if failure.kind == FailureKind::Temporary { Sentence::id("hint-later").then(hint) } else { hint };
            Err(Failure { hint, ..failure }.with_safety(DataSafety::Stored))
        }
    }
}

/// Returns the verified, signed answer.
async fn answer(
    session: &Session,
    open: &OpenErasure,
) -> Result<(crate::wallet::log::StoredStatement, String), Failure> {
    let hint = || contact(Some(&open.sent));
    let unsent = |problem: &_| Failure::from_problem(problem, Sentence::id("error-erase-unasked"), hint());
    let did = Did::parse(open.receipt.verifier()).map_err(|problem| unsent(&problem))?;
    let endpoint = scheme_host_port(&service_address(endpoint(open))?);
    session.resolve(&did, DidParty::Asker).await?;
    let mut verifier = session.verifier(&endpoint, Wire::Grpc).await?;
    let proof = ErasureRequest::make(&open.receipt, &open.key, session.now()).map_err(|problem| unsent(&problem))?;
    let document = Value::Object(open.receipt.document().clone()).to_string();
    let said = verifier.erase(document, proof).await?;
    let (confirmation, kept) = receipt::verify_confirmation(&said, &open.receipt, session.now(), &session.dids)
        .map_err(|problem| Failure {
            kind: FailureKind::Permanent,
            ..Failure::from_problem(&problem, Sentence::id("error-erase-unconfirmed"), hint()).by(Fault::Asker)
        })?;
    Ok((kept, confirmation.erased_at().to_string()))
}

/// Deletes retired keys that no request needs any more.
fn retire(wallet: &mut WalletFile) -> Result<(), Failure> {
    if wallet.contents.delete_unneeded_keys() { wallet.save() } else { Ok(()) }
}

/// Returns the contact to turn to instead.
fn contact(sent: Option<&WalletLogEntry>) -> Sentence {
    let asker = sent.and_then(|sent| sent.asker.as_ref());
    match asker.and_then(|asker| asker.support.as_deref()) {
        Some(support) => Sentence::id("hint-write-to").with("contact", sanitise(support)),
        None => Sentence::id("hint-write-unknown"),
    }
}

fn line(ui: &Ui, sent: &WalletLogEntry) -> String {
    format!("{:>4}  {}  {}\n", sent.number, sent.at, party_name(ui, sent))
}

#[cfg(test)]
pub(crate) mod tests;
