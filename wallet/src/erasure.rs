//! Use case of erasure requests to a verifier, with its receipts and the keys of the presentations (spec/log.md section
//! 5).

use carnet_core::{
    Problem,
    did::Did,
    endpoint::parse_endpoint,
    json::canonicalize,
    keys::SecretKey,
    receipt::{ErasureRequest, Receipt},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    address::origin,
    failure::{DataSafety, Failure, FailureKind, FailureReason, FaultParty, Sentence},
    ports::{DidParty, DocumentSource as _, Ports},
    protocol::ServiceProtocol,
    receipt,
    sanitise::sanitise,
    store::{
        LogEntryKind, Wallet, WalletContents, WalletLogEntry, WalletStore,
        log::StoredStatement,
        presentations::{PresentationRecord, presentations_to},
    },
};

/// Presentation for which erasure can be requested.
pub struct ErasableDisclosure {
    /// Log entry of the presentation.
    pub sent: WalletLogEntry,
    /// Log entry of its receipt.
    entry: WalletLogEntry,
    receipt: Receipt,
    key: SecretKey,
}

impl ErasableDisclosure {
    /// Returns the URL of the verifier's service to which the presentation was sent, and to which the request is sent;
    /// empty if the log does not have it.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        self.sent.verifier.as_ref().map(|asker| asker.endpoint.as_str()).unwrap_or_default()
    }
}

/// Erasure requests to one verifier that the holder is asked to approve.
pub struct ErasurePlan {
    /// Presentations, one for each request.
    pub presentations: Vec<ErasableDisclosure>,
    /// Digest by which the requests can be approved without a screen: SHA-256 over the canonical JSON of receipts and
    /// recipients, in hexadecimal (spec/log.md 5.5).
    pub digest: String,
}

/// Presentation for which erasure failed or cannot be requested, with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotErased {
    /// Number of the presentation's log entry.
    pub entry: u64,
    /// Reason why it was not erased.
    pub reason: FailureReason,
}

/// Erasure of a presentation that the verifier confirmed.
pub struct ConfirmedErasure {
    /// Log entry of the presentation.
    pub sent: WalletLogEntry,
    /// Number of the receipt's log entry.
    pub receipt_entry: u64,
    /// Number of the confirmation's log entry.
    pub confirmation_entry: u64,
    /// Time of the erasure, as stated by the verifier.
    pub erased_at: String,
}

/// Results of the erasure requests to one verifier.
#[derive(Default)]
pub struct ErasureResults {
    /// Confirmed erasures.
    pub erased: Vec<ConfirmedErasure>,
    /// Presentations whose erasure was requested and not confirmed.
    pub failed: Vec<NotErased>,
    /// Presentations for which erasure cannot be requested.
    pub skipped: Vec<NotErased>,
    /// First failure; also set if there was nothing to request.
    pub failure: Option<Failure>,
}

/// Port for the holder's consent to erasure requests: a user interface.
pub trait ErasureConsent {
    /// Asks the holder to approve the requests.
    ///
    /// # Errors
    /// The holder does not approve.
    fn approve(&self, plan: &ErasurePlan) -> Result<(), Failure>;
}

/// Requests erasure of every presentation to a verifier whose erasure was not confirmed yet, after the holder approved.
/// `who` is a client id, a DID, an unambiguous name, or the number of a log entry. One failure does not stop the other
/// requests.
///
/// # Errors
/// `not_found`, `ambiguous_name`; the holder does not approve; the wallet cannot be saved. Failures of single requests
/// are in the results.
pub async fn request_erasure(
    ports: &impl Ports,
    wallet: &mut Wallet<impl WalletStore>,
    who: &str,
    consent: &impl ErasureConsent,
) -> Result<ErasureResults, Failure> {
    let mut results = ErasureResults::default();
    let mut open = Vec::new();
    let known = presentations_to(&wallet.contents.log, who)?;
    for presentation in &known {
        match erasable(&wallet.contents, presentation) {
            Ok(found) => open.push(found),
            Err(reason) => results.skipped.push(NotErased { entry: presentation.sent.number, reason }),
        }
    }
    if open.is_empty() {
        results.failure = Some(nothing_to_erase(known.last().map(|last| last.sent), &results.skipped));
        return Ok(results);
    }
    let digest = digest(&open).map_err(|problem| {
        Failure::from_problem(&problem, Sentence::new("error-erase-unasked"), Sentence::new("hint-log-verify"))
    })?;
    let plan = ErasurePlan { presentations: open, digest };
    consent.approve(&plan)?;
    for one in &plan.presentations {
        match request(ports, wallet, one).await {
            Ok(confirmed) => results.erased.push(confirmed),
            Err(failure) => {
                results.failed.push(NotErased { entry: one.sent.number, reason: failure.reason.clone() });
                results.failure.get_or_insert(failure);
            }
        }
    }
    // Retired keys that no request needs any more.
    if wallet.contents.delete_unneeded_keys() {
        wallet.save()?;
    }
    Ok(results)
}

/// Collects what an erasure request needs, or returns the reason why erasure cannot be requested.
fn erasable(
    contents: &WalletContents,
    presentation: &PresentationRecord<'_>,
) -> Result<ErasableDisclosure, FailureReason> {
    if presentation.erasure.is_some() {
        return Err(FailureReason::AlreadyErased);
    }
    let entry = presentation.valid_receipt().ok_or(FailureReason::NoReceipt)?;
    let receipt = receipt::verify_stored_receipt(entry).map_err(|_| FailureReason::ReceiptFalse)?;
    let thumbprints = &receipt.content().holder_keys;
    if thumbprints.is_empty() {
        return Err(FailureReason::ReceiptWithoutKey);
    }
    let key = thumbprints
        .iter()
        .find_map(|thumbprint| contents.key_by_thumbprint(thumbprint))
        .ok_or(FailureReason::KeyGone)?;
    let key = key.decode().map_err(|_| FailureReason::KeyGone)?;
    Ok(ErasableDisclosure { sent: presentation.sent.clone(), entry: entry.clone(), receipt, key })
}

fn nothing_to_erase(last: Option<&WalletLogEntry>, skipped: &[NotErased]) -> Failure {
    let all = |reason: FailureReason| skipped.iter().all(|one| one.reason == reason);
    let (reason, message) = if all(FailureReason::AlreadyErased) {
        (FailureReason::AlreadyErased, "error-already-erased")
    } else if all(FailureReason::NoReceipt) {
        (FailureReason::NoReceipt, "error-erase-no-receipt")
    } else {
        (FailureReason::NothingToErase, "error-nothing-to-erase")
    };
    Failure::new(reason, Sentence::new(message), contact(last))
}

fn digest(open: &[ErasableDisclosure]) -> Result<String, Problem> {
    let goes: Vec<Value> =
        open.iter().map(|one| json!([one.receipt.verifier(), one.endpoint(), one.receipt.document()])).collect();
    Ok(base16ct::lower::encode_string(&Sha256::digest(canonicalize(&Value::Array(goes))?)))
}

/// Sends one erasure request. The log records the request before it is sent, and the result afterwards.
async fn request(
    ports: &impl Ports,
    wallet: &mut Wallet<impl WalletStore>,
    open: &ErasableDisclosure,
) -> Result<ConfirmedErasure, Failure> {
    let about = |kind| WalletLogEntry {
        verifier: open.sent.verifier.clone(),
        request_digest: open.sent.request_digest.clone(),
        ..WalletLogEntry::referring_to(&open.entry, ports.now(), kind)
    };
    wallet.contents.log.push(about(LogEntryKind::ErasureRequested));
    wallet.save()?;
    match confirmation(ports, open).await {
        Ok((statement, erased_at)) => {
            let number = wallet
                .contents
                .log
                .push(WalletLogEntry { statement: Some(statement), ..about(LogEntryKind::ErasureConfirmed) });
            wallet.save()?;
            Ok(ConfirmedErasure {
                sent: open.sent.clone(),
                receipt_entry: open.entry.number,
                confirmation_entry: number,
                erased_at,
            })
        }
        Err(failure) => {
            let reason = failure.reason.to_string();
            wallet.contents.log.push(WalletLogEntry { reason, ..about(LogEntryKind::ErasureFailed) });
            wallet.save()?;
            let hint = contact(Some(&open.sent));
            let hint = if failure.kind == FailureKind::Temporary {
                Sentence::new("hint-later").followed_by(hint)
            } else {
                hint
            };
            Err(Failure { hint, ..failure }.with_safety(DataSafety::Stored))
        }
    }
}

/// Sends the request, and returns the verified confirmation and the time of the erasure that it states.
async fn confirmation(ports: &impl Ports, open: &ErasableDisclosure) -> Result<(StoredStatement, String), Failure> {
    let hint = || contact(Some(&open.sent));
    let unsent = |problem: &_| Failure::from_problem(problem, Sentence::new("error-erase-unasked"), hint());
    let did = Did::parse(open.receipt.verifier()).map_err(|problem| unsent(&problem))?;
    let endpoint = origin(&parse_endpoint(open.endpoint())?);
    ports.documents().resolve(&did, DidParty::Verifier).await?;
    let mut verifier = ports.connect_verifier(&endpoint, ServiceProtocol::Grpc).await?;
    let proof = ErasureRequest::sign(&open.receipt, &open.key, ports.now()).map_err(|problem| unsent(&problem))?;
    let document = Value::Object(open.receipt.document().clone()).to_string();
    let said = verifier.request_erasure(document, proof).await?;
    let resolver = ports.documents().resolver();
    let (confirmation, kept) =
        receipt::verify_confirmation(&said, &open.receipt, ports.now(), resolver).map_err(|problem| Failure {
            kind: FailureKind::Permanent,
            ..Failure::from_problem(&problem, Sentence::new("error-erase-unconfirmed"), hint())
                .with_fault(FaultParty::Verifier)
        })?;
    Ok((kept, confirmation.erased_at().to_string()))
}

/// Returns the hint to write to the verifier's registered contact instead.
fn contact(sent: Option<&WalletLogEntry>) -> Sentence {
    let asker = sent.and_then(|sent| sent.verifier.as_ref());
    match asker.and_then(|asker| asker.support.as_deref()) {
        Some(support) => Sentence::new("hint-write-to").with("contact", sanitise(support)),
        None => Sentence::new("hint-write-unknown"),
    }
}
