//! Use case of a presentation: verifies the request, asks the holder, sends the approved presentation, and stores the
//! verifier's decision and receipt.

use std::collections::BTreeMap;

use carnet_core::{
    Code,
    did::Did,
    keys::Signer as _,
    query::path_to_text,
    receipt::{DisclosedThreshold, presentation_digest, request_digest},
    time::Timestamp,
    trust::registration::{ReceiptKeyState, RegistrationExcess},
};
use carnet_spec::Catalogue;

use crate::{
    answer::{PlannedPresentation, requested_bounds, requested_type, threshold_text},
    automatic_refill::refill_if_low,
    failure::{DataSafety, Failure, FailureKind, FailureReason, FaultParty, Sentence},
    ports::{DidParty, DocumentSource as _, Ports, SubmissionResponse, VerifierClient},
    receipt,
    request::{AuthorizationRequestLink, PresentationRequest},
    sanitise::sanitise,
    store::{
        LogEntryKind, LoggedCredential, Wallet, WalletLogEntry, WalletStore,
        log::{VerifierContacts, WalletLog},
    },
    trust::ValidTrustLists,
    verifier_identity::{VerifierIdentity, known_registrar},
};

mod decision;

pub use decision::{Consent, ConsentDecision, ConsentRequest, DecidedAnswer, DecisionContext};

/// Outcome for the verifier's receipt after a presentation.
#[derive(Debug, Clone)]
pub enum ReceiptOutcome {
    /// Valid receipt, which was stored in the log.
    Valid {
        /// Number of its log entry.
        number: u64,
        /// Digest of the receipt.
        digest: String,
        /// Time by which the verifier promises to erase the result of the presentation.
        erase_at: String,
        /// Relation of the signing key to the verifier's registration; `None` for an unregistered verifier.
        key: Option<ReceiptKeyState>,
    },
    /// The verifier sent no receipt.
    Missing,
    /// Invalid receipt, with the code of the reason.
    Invalid(String),
}

/// Request that is being answered: its link, its content, and its verifier.
#[derive(Clone, Copy)]
struct AnsweredRequest<'a> {
    /// Link of the request.
    link: &'a AuthorizationRequestLink,
    /// Verified request.
    request: &'a PresentationRequest,
    /// Registration of the verifier, or the reason why it counts as unregistered.
    verifier: &'a VerifierIdentity,
}

/// Presentation that was sent, with the verifier's response: an acceptance or a refusal.
#[derive(Debug, Clone)]
pub struct SentPresentation {
    /// Log entry of the presentation, written before sending.
    pub log_entry: WalletLogEntry,
    /// Verifier's response.
    pub response: SubmissionResponse,
    /// Outcome for the receipt.
    pub receipt: ReceiptOutcome,
}

/// Choices of the holder made before the request is fetched.
#[derive(Debug, Clone, Copy, Default)]
pub struct PresentationOptions<'a> {
    /// Ids of the credentials that may be used, or unambiguous prefixes of them; empty: all.
    pub allowed_ids: &'a [String],
    /// Names of the items to withhold, such as `residence:credentialSubject.rightToWork`.
    pub withheld_names: &'a [String],
    /// Names of the items that exceed the registration and are approved in advance.
    pub approved_names: &'a [String],
}

/// Fetches and verifies the request of a link, asks the holder, and sends the approved presentation. A valid request,
/// the holder's decision and the response are logged. Afterwards, credentials with few unused copies are refilled.
///
/// # Errors
/// The request is invalid or cannot be answered, the holder does not approve, or no response of the verifier arrives. A
/// refusal by the verifier is no error but a result.
pub async fn present(
    ports: &impl Ports,
    wallet: &mut Wallet<impl WalletStore>,
    pointer: &AuthorizationRequestLink,
    options: PresentationOptions<'_>,
    owner: &impl Consent,
) -> Result<SentPresentation, Failure> {
    let only =
        options.allowed_ids.iter().map(|id| wallet.contents.find_credential(id)).collect::<Result<Vec<_>, _>>()?;
    let mut verifier = ports.connect_verifier(&pointer.endpoint, pointer.protocol()).await?;
    let mut token = verifier.fetch_request(pointer).await;
    // Anyone who has the link can use up the objects with a nonce. The one without has an end, and is for one origin.
    let by_get = match &token {
        Err(failure) if failure.reason == FailureReason::RequestObjectsExhausted => pointer.by_get(),
        _ => None,
    };
    if let Some(by_get) = &by_get {
        token = verifier.fetch_request(by_get).await;
    }
    let pointer = by_get.as_ref().unwrap_or(pointer);
    let token =
        token.map_err(|failure| closed_request_failure(&wallet.contents.log, u64::MAX, &pointer.client_id, failure))?;
    let (request, introduction, mut entry) = verify_request(ports, wallet, pointer, &token).await?;
    let catalogue = ports.catalogue()?;
    describe_verifier(&mut entry, pointer, &request, &introduction, &catalogue);
    let mut entry = log_request(wallet, entry)?;
    let decision = DecisionContext {
        now: &|| ports.now(),
        options,
        contents: &wallet.contents,
        catalogue: &catalogue,
        link: pointer,
        request: &request,
        verifier: &introduction,
        allowed_credentials: &only,
    };
    let DecidedAnswer { digest, outcome } = decision.decide(owner)?;
    entry.approval_digest = digest;
    let (parts, consent) = match outcome {
        Ok(decided) => decided,
        Err(failure) => {
            log_and_save(wallet, WalletLogEntry { reason: failure.reason.to_string(), ..entry })?;
            return Err(failure);
        }
    };
    match consent {
        ConsentDecision::Yes => {}
        ConsentDecision::No => {
            log_and_save(wallet, WalletLogEntry { kind: LogEntryKind::DeclinedByHolder, ..entry })?;
            return Err(Failure::declined(Sentence::new("undone-sent")));
        }
        ConsentDecision::Unclear => {
            let failure = Failure::not_answered(Sentence::new("undone-sent"));
            log_and_save(wallet, WalletLogEntry { reason: failure.reason.to_string(), ..entry })?;
            return Err(failure);
        }
        ConsentDecision::NotObtained(failure) => return Err(failure),
    }
    let exchange = AnsweredRequest { link: pointer, request: &request, verifier: &introduction };
    let sent = send(ports, wallet, verifier.as_mut(), exchange, &parts, entry).await;
    if let Ok(presented) = &sent {
        owner.show_response(presented);
    }
    // Copies were used, whatever the verifier answers.
    refill_if_low(ports, wallet).await;
    sent
}

/// Verifies a request and the registration of its verifier, and creates the log entry about it.
///
/// # Errors
/// The request is invalid, which is logged, or the verifier's DID document is unavailable.
async fn verify_request(
    ports: &impl Ports,
    wallet: &mut Wallet<impl WalletStore>,
    pointer: &AuthorizationRequestLink,
    token: &str,
) -> Result<(PresentationRequest, VerifierIdentity, WalletLogEntry), Failure> {
    ports.documents().resolve(&pointer.did, DidParty::Verifier).await?;
    let mut entry = WalletLogEntry::new(ports.now(), LogEntryKind::RequestFailed, &pointer.client_id);
    let request = match PresentationRequest::verify(token, pointer, ports.documents().resolver(), ports.now()) {
        Ok(request) => request,
        Err(problem) => {
            log_and_save(wallet, WalletLogEntry { reason: problem.code.to_string(), ..entry })?;
            let message = Sentence::new("error-request-refused");
            return Err(Failure::from_problem(&problem, message, Sentence::new("hint-distrust"))
                .with_fault(FaultParty::Verifier));
        }
    };
    if let Some(registrar) =
        known_registrar(&request, &wallet.contents, &ValidTrustLists::from_wallet(&wallet.contents.trust, ports.now()))
        && let Ok(did) = Did::parse(&registrar.did)
    {
        // One lookup after the registration arrived (spec/registration.md 4.5). If it fails, the registrar does not
        // count as trusted for now: the registration is refused, and the screen says why.
        ports.documents().refetch(&did).await;
    }
    let introduction =
        VerifierIdentity::from_request(&request, &wallet.contents, ports.now(), ports.documents().resolver());
    let languages = ports.languages();
    let own = |name: &str| request.localized_text(name, &languages).unwrap_or_default();
    entry.party_name =
        introduction.relying_party().map_or_else(|| own("verifier_name"), |registered| sanitise(&registered.name));
    entry.purpose = introduction
        .intended_use()
        .and_then(|known| languages.best_text(|language| known.purpose.get(language).map(String::as_str)))
        .unwrap_or_else(|| own("purpose"));
    Ok((request, introduction, entry))
}

/// Adds the verifier's endpoint, the requested bounds and the excess over the registration to a log entry.
fn describe_verifier(
    entry: &mut WalletLogEntry,
    pointer: &AuthorizationRequestLink,
    request: &PresentationRequest,
    introduction: &VerifierIdentity,
    catalogue: &Catalogue,
) {
    let registered = introduction.relying_party();
    entry.request_digest = request_digest(&request.request_object);
    entry.intended_use.clone_from(&request.intended_use);
    entry.requested_bounds = requested_bounds(&request.query, catalogue);
    entry.verifier = Some(VerifierContacts {
        endpoint: pointer.endpoint.clone(),
        registrar: introduction.registration().map(|registration| registration.registrar().to_owned()),
        support: registered.map(|registered| registered.support_uri.clone()),
        authority: registered.map(|registered| registered.supervisory_authority.clone()),
    });
    let excess = introduction.excess(&request.query);
    let path =
        |excess: &RegistrationExcess| excess.path.as_ref().map_or_else(|| "*".to_owned(), |path| path_to_text(path));
    entry.excess = excess.iter().map(|excess| format!("{}: {}", excess.query_id, path(excess))).collect();
    entry.excess.dedup();
    let queries = excess.iter().filter_map(|excess| request.query.credential(&excess.query_id));
    entry.beyond_types = queries.map(|query| (query.id.clone(), requested_type(catalogue, query))).collect();
}

/// Logs a valid request, unless the log has an entry about it already. Returns `entry` with a reference to that log
/// entry.
fn log_request(wallet: &mut Wallet<impl WalletStore>, entry: WalletLogEntry) -> Result<WalletLogEntry, Failure> {
    let requested = WalletLogEntry { kind: LogEntryKind::Requested, reason: String::new(), ..entry.clone() };
    let earlier = wallet.contents.log.entries().iter().rev().find(|earlier| {
        (earlier.kind, &earlier.party, &earlier.request_digest)
            == (LogEntryKind::Requested, &entry.party, &entry.request_digest)
    });
    let number = match earlier {
        Some(earlier) => earlier.number,
        None => {
            let number = wallet.contents.log.push(requested);
            wallet.save()?;
            number
        }
    };
    Ok(WalletLogEntry { refers_to: Some(number), ..entry })
}

/// Errors of a verifier for a request that accepts no more responses.
pub const CLOSED: [FailureReason; 4] = [
    FailureReason::Check(Code::NonceReplayed),
    FailureReason::RequestAttemptsExhausted,
    FailureReason::RequestExpired,
    FailureReason::RequestUnknown,
];

/// Explains the failure of a closed request: if the last presentation to that verifier (before entry number `before`)
/// got no response, that presentation may have closed the request. Other failures are returned unchanged.
pub fn closed_request_failure(log: &WalletLog, before: u64, client_id: &str, failure: Failure) -> Failure {
    if !CLOSED.contains(&failure.reason) {
        return failure;
    }
    let verdicts = [LogEntryKind::Accepted, LogEntryKind::RefusedByVerifier];
    let heard =
        |sent: &WalletLogEntry| verdicts.iter().any(|kind| log.entries_about(sent.number, *kind).next().is_some());
    let earlier = log.entries().iter().rev().filter(|entry| entry.number < before);
    let last = earlier.filter(|entry| entry.party == client_id).find(|entry| entry.kind == LogEntryKind::Sending);
    let Some(sent) = last.filter(|sent| !heard(sent)) else { return failure };
    let message = Sentence::new("error-closed").with("time", sent.at);
    Failure { message, hint: Sentence::new("hint-closed"), ..failure }.with_safety(DataSafety::Sent)
}

/// Adds to a temporary failure the advice to present the same link again. Other failures are returned unchanged.
fn with_retry_hint(failure: Failure) -> Failure {
    if failure.kind != FailureKind::Temporary {
        return failure;
    }
    Failure { hint: failure.hint.followed_by(Sentence::new("hint-present-again")), ..failure }
}

/// Appends an entry to the log, and saves the wallet.
fn log_and_save(wallet: &mut Wallet<impl WalletStore>, entry: WalletLogEntry) -> Result<(), Failure> {
    wallet.contents.log.push(entry);
    wallet.save()
}

/// Signs and sends the presentations, and stores the response. The use of the copies is saved before sending, so that
/// after a power failure they do not count as unused.
async fn send(
    ports: &impl Ports,
    wallet: &mut Wallet<impl WalletStore>,
    verifier: &mut dyn VerifierClient,
    exchange: AnsweredRequest<'_>,
    parts: &[PlannedPresentation],
    entry: WalletLogEntry,
) -> Result<SentPresentation, Failure> {
    let AnsweredRequest { link: pointer, request, .. } = exchange;
    let shown = parts.iter().map(|part| shown_part(wallet, part)).collect::<Result<Vec<_>, _>>()?;
    // The current time: the holder may have looked at the screen for long.
    let entry = WalletLogEntry { at: ports.now(), ..entry };
    let presentations = match bind(ports.now(), wallet, request, parts) {
        Ok(presentations) => presentations,
        Err(failure) => {
            log_and_save(wallet, WalletLogEntry { reason: failure.reason.to_string(), ..entry })?;
            return Err(failure);
        }
    };
    let mut vp_token: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (query, presentation) in presentations {
        vp_token.entry(query).or_default().push(presentation);
    }
    let presentation = presentation_digest(&vp_token).map_err(|problem| unmade(&problem))?;
    let sending =
        WalletLogEntry { kind: LogEntryKind::Sending, credentials: shown, presentation_digest: presentation, ..entry };
    let number = wallet.contents.log.push(sending);
    let sent = wallet.contents.log.entry(number).cloned();
    let sent = sent.ok_or_else(|| {
        Failure::new(FailureReason::System, Sentence::new("error-log-unwritten"), Sentence::new("hint-again"))
    })?;
    wallet.save()?;
    let answer = match verifier.submit(pointer, request, vp_token).await {
        Ok(answer) => answer,
        Err(failure) => {
            let reason = failure.reason.to_string();
            let unheard =
                WalletLogEntry { reason, ..WalletLogEntry::referring_to(&sent, ports.now(), LogEntryKind::Unanswered) };
            // This failure is more useful than one of saving the log.
            let _ = log_and_save(wallet, unheard);
            return Err(with_retry_hint(closed_request_failure(
                &wallet.contents.log,
                sent.number,
                &sent.party,
                failure,
            )));
        }
    };
    // The verifier may have rotated its key since its document was fetched, so the document is fetched once more.
    let receipt = receipt::verify_receipt(
        &answer.receipt,
        &sent,
        answer.accepted,
        ports.now(),
        ports.documents().resolver(),
        None,
    );
    if receipt.is_err_and(|problem| problem.code == Code::MethodUnknown) {
        ports.documents().refetch(&pointer.did).await;
    }
    record_used_serials(wallet, parts, &answer);
    let receipt = log_response(ports, wallet, exchange, &sent, &answer);
    wallet.save().map_err(|failure| failure.with_safety(DataSafety::Sent))?;
    Ok(SentPresentation { log_entry: sent, response: answer, receipt })
}

/// Signs each presentation for the request, and records its copy as used. Returns pairs of query id and presentation.
/// Credentials and copies that the wallet no longer has are skipped.
///
/// # Errors
/// `expired` if the request has expired; no copy is used up then.
fn bind(
    now: Timestamp,
    wallet: &mut Wallet<impl WalletStore>,
    request: &PresentationRequest,
    parts: &[PlannedPresentation],
) -> Result<Vec<(String, String)>, Failure> {
    request.require_open(now).map_err(|problem| {
        Failure::from_problem(&problem, Sentence::new("error-request-ended"), Sentence::new("hint-new-request"))
    })?;
    let mut presentations = Vec::with_capacity(parts.len());
    for part in parts {
        let Some(held) = wallet.contents.credentials.get_mut(part.credential) else { continue };
        let Some(copy) = held.copies.get(part.copy) else { continue };
        let statement = copy.statement_to_staple(request.freshness_seconds_max, &request.client_id, now);
        let bound = part.bind(copy, statement.as_ref(), &request.nonce, &request.client_id, now);
        let bound = bound.map_err(|problem| unmade(&problem))?;
        presentations.push((part.query_id.clone(), bound));
        part.record_disclosure(held, &request.client_id);
    }
    Ok(presentations)
}

/// Records the disclosed voucher serials as used if the verifier accepted the presentation or refused it because they
/// were used before: then it had counted them, although its response was lost. After another refusal, the same serial
/// may be disclosed to the same verifier again.
fn record_used_serials(
    wallet: &mut Wallet<impl WalletStore>,
    parts: &[PlannedPresentation],
    answer: &SubmissionResponse,
) {
    if !answer.accepted && !answer.reason.eq_ignore_ascii_case("entitlement_used") {
        return;
    }
    for part in parts {
        let serials = wallet.contents.credentials.get_mut(part.credential).and_then(|held| held.serials.as_mut());
        if let Some((serials, serial)) = serials.zip(part.serial_digest.as_deref()) {
            serials.record_used(serial);
        }
    }
}

/// Adds the verifier's decision and the outcome for the receipt to the log. With a valid receipt, the request object is
/// stored too.
fn log_response(
    ports: &impl Ports,
    wallet: &mut Wallet<impl WalletStore>,
    exchange: AnsweredRequest<'_>,
    sent: &WalletLogEntry,
    answer: &SubmissionResponse,
) -> ReceiptOutcome {
    let (now, log) = (ports.now(), &mut wallet.contents.log);
    let (kind, reason) = if answer.accepted {
        (LogEntryKind::Accepted, String::new())
    } else {
        (LogEntryKind::RefusedByVerifier, sanitise(&answer.reason).to_lowercase())
    };
    log.push(WalletLogEntry { reason, ..WalletLogEntry::referring_to(sent, now, kind) });
    let about = |kind| WalletLogEntry {
        request_digest: sent.request_digest.clone(),
        ..WalletLogEntry::referring_to(sent, now, kind)
    };
    if answer.receipt.is_empty() {
        log.push(about(LogEntryKind::ReceiptMissing));
        return ReceiptOutcome::Missing;
    }
    let registered = exchange.verifier.relying_party();
    match receipt::verify_receipt(&answer.receipt, sent, answer.accepted, now, ports.documents().resolver(), registered)
    {
        Ok((receipt, kept)) => {
            let key = kept.key_standing;
            let number = log.push(WalletLogEntry { statement: Some(kept), ..about(LogEntryKind::Receipt) });
            let erase_at = receipt.content().erase_at.to_string();
            wallet.contents.requests.insert(&exchange.request.request_object);
            ReceiptOutcome::Valid { number, digest: receipt.digest().to_owned(), erase_at, key }
        }
        Err(problem) => {
            let reason = problem.code.to_string();
            log.push(WalletLogEntry { reason: reason.clone(), ..about(LogEntryKind::ReceiptInvalid) });
            ReceiptOutcome::Invalid(reason)
        }
    }
}

/// Returns the log record of a presentation.
fn shown_part(wallet: &Wallet<impl WalletStore>, part: &PlannedPresentation) -> Result<LoggedCredential, Failure> {
    let held = wallet.contents.credentials.get(part.credential);
    let Some((held, copy)) = held.and_then(|held| Some((held, held.copies.get(part.copy)?))) else {
        return Err(Failure::new(
            FailureReason::CopyMissing,
            Sentence::new("error-copy-missing"),
            Sentence::new("hint-again"),
        ));
    };
    // Proven thresholds are listed separately, as in receipts.
    let proved: Vec<String> = part.proved.iter().map(|proof| threshold_text(&proof.path, &proof.threshold)).collect();
    Ok(LoggedCredential {
        query_id: part.query_id.clone(),
        paths: part.disclosed_paths.iter().filter(|path| !proved.contains(path)).cloned().collect(),
        thresholds: part.proved.iter().map(|proof| DisclosedThreshold::new(&proof.path, &proof.threshold)).collect(),
        key: copy.key.decode().map_err(|problem| unmade(&problem))?.public_key().thumbprint(),
        ..LoggedCredential::without_disclosures(&held.id, &held.type_name)
    })
}

fn unmade(problem: &carnet_core::Problem) -> Failure {
    Failure::from_problem(problem, Sentence::new("error-presentation"), Sentence::new("hint-again-or-receive"))
}

#[cfg(test)]
mod tests;
