//! Receipts and confirmations of erasure from verifiers: verification on arrival and later, and comparison with the
//! presentation that was sent (spec/log.md section 3).

use std::collections::BTreeMap;

use carnet_core::{
    Code, Problem,
    did::{DidUrl, PinnedKeyResolver, Resolve, VerificationRelationship},
    json::{Limits, parse_object},
    keys::PublicKey,
    receipt::{
        DisclosedCredential, ErasureConfirmation, ExpectedReceipt, ExportedReceipt, Receipt, ReceiptContent,
        RedeemedUse,
    },
    time::{CLOCK_SKEW, Timestamp},
    trust::registration::RelyingParty,
};
use serde::Deserialize as _;
use serde_json::{Map, Value};

use crate::{
    failure::{Failure, FailureReason, Sentence},
    store::{
        LogEntryKind, LoggedCredential, WalletContents, WalletLogEntry,
        log::{LogError, StoredStatement, WalletLog},
        presentations::{PresentationRecord, presentations_to},
    },
};

/// Verifies the receipt for a presentation in the log, whose entry is `sent`. `accepted` is the verifier's decision;
/// `registered` is the registered relying party, `None` for an unregistered verifier. Returns the receipt, and the
/// statement to store with the key that verified it.
///
/// # Errors
/// Those of [`Receipt::verify`]; `receipt_mismatch` if the receipt has another decision, or differs from the
/// presentation that was sent; the key cannot be resolved.
pub fn verify_receipt(
    text: &str,
    sent: &WalletLogEntry,
    accepted: bool,
    now: Timestamp,
    resolver: &dyn Resolve,
    registered: Option<&RelyingParty>,
) -> Result<(Receipt, StoredStatement), Problem> {
    let document = parse_object(text.as_bytes(), Limits::DOCUMENT)?;
    let receipt = verify_against_entry(&document, sent, now, resolver)?;
    if receipt.content().accepted != accepted {
        return Err(mismatch("its verdict differs from the answer's"));
    }
    compare_with_presentation(receipt.content(), &sent.credentials)?;
    let (method, key) = key_of(&document, resolver)?;
    // A key absent from the registration is recorded but does not refuse the receipt: it may be newer than the
    // registration.
    let registered = registered.map(|party| party.receipt_key_state(&method, &key));
    Ok((receipt, StoredStatement { document, key: key.to_multikey(), key_standing: registered }))
}

/// Verifies the confirmation of erasure for a receipt. Returns the confirmation, and the statement to store with the
/// key that verified it.
///
/// # Errors
/// Those of [`ErasureConfirmation::verify`]; the key cannot be resolved.
pub fn verify_confirmation(
    text: &str,
    receipt: &Receipt,
    now: Timestamp,
    resolver: &dyn Resolve,
) -> Result<(ErasureConfirmation, StoredStatement), Problem> {
    let document = parse_object(text.as_bytes(), Limits::DOCUMENT)?;
    let confirmation = ErasureConfirmation::verify(&document, receipt, now, CLOCK_SKEW, resolver)?;
    let (_, key) = key_of(&document, resolver)?;
    Ok((confirmation, StoredStatement { document, key: key.to_multikey(), key_standing: None }))
}

/// Returns the receipt in a log entry, verified with the key stored next to it, at the time of its arrival. It is not
/// compared with the presentation.
///
/// # Errors
/// Those of [`Receipt::verify`]; `receipt_invalid` if the entry has no statement.
pub fn verify_stored_receipt(entry: &WalletLogEntry) -> Result<Receipt, Problem> {
    let statement = entry.statement.as_ref().ok_or_else(|| receipt_invalid("the entry has no receipt"))?;
    verify_against_entry(&statement.document, entry, entry.at, &pinned(statement)?)
}

/// Numbers of the verifiers' signed statements in a log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StatementCount {
    /// Valid receipts.
    pub receipts: usize,
    /// Valid confirmations of erasure.
    pub confirmations: usize,
    /// Statements that were not verified because the presentation entry or receipt entry to which they refer was
    /// deleted.
    pub not_verified: usize,
}

/// Recomputes a log's hash chain, and verifies its receipts and confirmations with the keys stored next to them. Those
/// whose presentation or receipt entry was deleted are counted and not verified.
///
/// # Errors
/// The first invalid entry.
pub fn verify_log(log: &WalletLog) -> Result<StatementCount, LogError> {
    log.check_chain()?;
    let mut count = StatementCount::default();
    for entry in log.entries() {
        let broken = |problem: Problem| LogError { number: entry.number, description: problem.to_string() };
        if entry.statement.is_some() && entry.refers_to.is_some_and(|of| of <= log.deleted_count()) {
            count.not_verified = count.not_verified.saturating_add(1);
            continue;
        }
        match entry.kind {
            LogEntryKind::Receipt => {
                check_receipt(log, entry).map_err(broken)?;
                count.receipts = count.receipts.saturating_add(1);
            }
            LogEntryKind::ErasureConfirmed => {
                check_confirmation(log, entry).map_err(broken)?;
                count.confirmations = count.confirmations.saturating_add(1);
            }
            _ => {}
        }
    }
    Ok(count)
}

/// Remaining uses of a voucher, as stated by its redeemer in a receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoucherUses {
    /// Number of remaining uses.
    pub remaining: u32,
    /// Total number of uses.
    pub total: u32,
    /// Name of the redeemer, as in the log.
    pub redeemer_name: String,
    /// Time of the log entry with the receipt.
    pub stated_at: Timestamp,
}

/// Returns the newest statement of a redeemer about each voucher's uses, by credential id. Receipts are not verified
/// again. Receipts without such a statement, or for a presentation that is no longer in the log, are skipped.
pub fn voucher_uses(log: &WalletLog) -> BTreeMap<String, VoucherUses> {
    let mut used = BTreeMap::new();
    for entry in log.entries().iter().filter(|entry| entry.kind == LogEntryKind::Receipt) {
        let said = entry.statement.as_ref().and_then(|kept| kept.document.get("credentialSubject")?.get("redeemed"));
        let Some(said) = said.and_then(|said| RedeemedUse::deserialize(said).ok()) else { continue };
        let sent = entry.refers_to.and_then(|number| log.entry(number));
        let part = sent.and_then(|sent| sent.credentials.iter().find(|part| part.query_id == said.query_id));
        let Some(part) = part else { continue };
        let Some((number, of)) = said.number.zip(said.total) else { continue };
        let left = of.saturating_sub(number);
        used.insert(
            part.id.clone(),
            VoucherUses { remaining: left, total: of, redeemer_name: entry.party_name.clone(), stated_at: entry.at },
        );
    }
    used
}

fn check_receipt(log: &WalletLog, entry: &WalletLogEntry) -> Result<(), Problem> {
    let sent = entry.refers_to.and_then(|number| log.entry(number)).filter(|sent| sent.kind == LogEntryKind::Sending);
    let sent = sent.ok_or_else(|| receipt_invalid("its subject is not in the log"))?;
    let receipt = verify_stored_receipt(entry)?;
    if (sent.party.as_str(), sent.request_digest.as_str()) != (entry.party.as_str(), entry.request_digest.as_str()) {
        return Err(mismatch("it is for another request"));
    }
    let named = receipt.content().presentation_digest.as_deref();
    if named.is_some_and(|named| !sent.presentation_digest.is_empty() && named != sent.presentation_digest) {
        return Err(mismatch("it is for another presentation"));
    }
    compare_with_presentation(receipt.content(), &sent.credentials)
}

fn check_confirmation(log: &WalletLog, entry: &WalletLogEntry) -> Result<(), Problem> {
    let of = entry.refers_to.and_then(|number| log.entry(number)).filter(|of| of.kind == LogEntryKind::Receipt);
    let receipt = verify_stored_receipt(of.ok_or_else(|| receipt_invalid("its subject is not in the log"))?)?;
    let statement = entry.statement.as_ref().ok_or_else(|| receipt_invalid("the entry has no confirmation"))?;
    let pinned = pinned(statement)?;
    ErasureConfirmation::verify(&statement.document, &receipt, entry.at, CLOCK_SKEW, &pinned).map(|_| ())
}

fn verify_against_entry(
    document: &Map<String, Value>,
    sent: &WalletLogEntry,
    now: Timestamp,
    resolver: &dyn Resolve,
) -> Result<Receipt, Problem> {
    let presentation_digest = Some(sent.presentation_digest.as_str()).filter(|digest| !digest.is_empty());
    let expected = ExpectedReceipt {
        verifier: sent.did(),
        request_digest: &sent.request_digest,
        presentation_digest,
        now,
        skew: CLOCK_SKEW,
    };
    Receipt::verify(document, &expected, resolver)
}

/// Checks that a receipt states exactly the presented credentials, claims, thresholds and keys. A verifier that refused
/// may have stopped before evaluating everything, so its receipt may state less.
fn compare_with_presentation(content: &ReceiptContent, sent: &[LoggedCredential]) -> Result<(), Problem> {
    let mut left: Vec<&LoggedCredential> = sent.iter().collect();
    for said in &content.disclosed {
        let at =
            left.iter().position(|part| says_no_more(said, part) && (!content.accepted || says_no_less(said, part)));
        left.swap_remove(at.ok_or_else(|| mismatch("it names other data than was sent"))?);
    }
    let known = |thumbprint: &String| sent.iter().any(|part| part.key == *thumbprint);
    if !content.holder_keys.iter().all(known) {
        return Err(mismatch("it names a key that did not sign the presentation"));
    }
    if !content.accepted {
        return Ok(());
    }
    if !left.is_empty() {
        return Err(mismatch("it does not name all the data sent"));
    }
    if sent.iter().all(|part| content.holder_keys.contains(&part.key)) {
        return Ok(());
    }
    Err(mismatch("it does not name every key that signed the presentation"))
}

fn says_no_more(said: &DisclosedCredential, sent: &LoggedCredential) -> bool {
    said.query_id == sent.query_id
        && said.paths.iter().all(|path| sent.paths.contains(path))
        && said.thresholds.iter().all(|threshold| sent.thresholds.contains(threshold))
}

fn says_no_less(said: &DisclosedCredential, sent: &LoggedCredential) -> bool {
    sent.paths.iter().all(|path| said.paths.contains(path))
        && sent.thresholds.iter().all(|threshold| said.thresholds.contains(threshold))
}

/// Returns the resolver's current key for the signer of a statement.
fn key_of(document: &Map<String, Value>, resolver: &dyn Resolve) -> Result<(DidUrl, PublicKey), Problem> {
    let method = method_of(document)?;
    let key = resolver.resolve(method.did())?.key_for(&method, VerificationRelationship::AssertionMethod)?;
    Ok((method, key))
}

fn method_of(document: &Map<String, Value>) -> Result<DidUrl, Problem> {
    let method = document.get("proof").and_then(|proof| proof.get("verificationMethod")).and_then(Value::as_str);
    DidUrl::parse(method.ok_or(Code::ProofMissing)?)
}

fn mismatch(what: &str) -> Problem {
    Problem::new(Code::ReceiptMismatch, what)
}

fn receipt_invalid(what: &str) -> Problem {
    Problem::new(Code::ReceiptInvalid, what)
}

/// Returns the key stored with a statement as a resolver for its signer, so that nothing is fetched and later changes
/// of the DID document have no effect.
fn pinned(statement: &StoredStatement) -> Result<PinnedKeyResolver, Problem> {
    let method = method_of(&statement.document)?;
    let key = PublicKey::from_multikey(&statement.key)?;
    PinnedKeyResolver::new(method.did(), &[(method.fragment().to_owned(), key)])
}

/// Receipt exported for third parties.
pub struct ReceiptExport {
    /// Contents of the file.
    pub file: ExportedReceipt,
    /// Number of the presentation's log entry.
    pub presentation_entry: u64,
    /// `true` if the file has the request object of the presentation.
    pub has_request: bool,
}

/// Exports the receipt of the one presentation to a verifier that has a receipt, with its request and the confirmation
/// of erasure, if any. `who` is a client id, a DID, an unambiguous name, or the number of a log entry.
///
/// # Errors
/// `no_receipt`; `ambiguous_receipt` if several presentations have one; `not_found`, `ambiguous_name`.
pub fn export_receipt(contents: &WalletContents, who: &str) -> Result<ReceiptExport, Failure> {
    let missing =
        |message| Failure::new(FailureReason::NoReceipt, Sentence::new(message), Sentence::new("hint-who-saw"));
    let known = presentations_to(&contents.log, who)?;
    let with: Vec<&PresentationRecord<'_>> = known.iter().filter(|known| known.valid_receipt().is_some()).collect();
    let one = match with.as_slice() {
        [one] => *one,
        [] => return Err(missing("error-no-receipt")),
        several => {
            let numbers: Vec<String> = several.iter().map(|known| known.sent.number.to_string()).collect();
            let hint = Sentence::new("hint-entries").with("entries", numbers.join(", "));
            return Err(Failure::usage(FailureReason::AmbiguousReceipt, Sentence::new("error-receipts"), hint));
        }
    };
    let document = |entry: Option<&WalletLogEntry>| Some(entry?.statement.as_ref()?.document.clone());
    let receipt = document(one.valid_receipt()).ok_or_else(|| missing("error-receipt-gone"))?;
    let request = contents.requests.text(&one.sent.request_digest);
    let has_request = request.is_some();
    let file = ExportedReceipt::new(receipt, request, document(one.erasure));
    Ok(ReceiptExport { file, presentation_entry: one.sent.number, has_request })
}
