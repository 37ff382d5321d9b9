//! Use case of a presentation: verifies the request, asks the holder, sends the approved presentation, and stores the
//! verifier's decision and receipt.

use std::collections::BTreeMap;

use carnet_core::{
    Code,
    did::Did,
    keys::Signer as _,
    query::path_to_text,
    receipt::{ShownThreshold, presentation_digest, request_digest},
    time::Timestamp,
    trust::registration::{KeyStanding, RegistrationExcess},
};
use carnet_spec::Catalogue;

use crate::{
    answer::{PlannedPresentation, asked_bounds, threshold_text, type_asked},
    failure::{DataSafety, Failure, FailureKind, FailureReason, Fault, Sentence},
    introduction::{VerifierIdentity, registrar},
    ports::{DidParty, DocumentSource as _, Ports, SubmittedPresentation, VerifierClient},
    receipt,
    request::{AuthorizationRequestLink, PresentationRequest},
    sanitise::sanitise,
    store::{
        EntryKind, ShownPart, Wallet, WalletLogEntry, WalletStore,
        log::{VerifierContacts, WalletLog},
    },
    trust::ValidTrustLists,
    upkeep::refill_if_low,
};

mod decision;

pub use decision::{Consent, ConsentDecision, ConsentRequest, DecidedAnswer, DecisionContext};

/// Outcome for the verifier's receipt after a presentation.
#[derive(Debug, Clone)]
pub enum ReceiptOutcome {
    /// Valid receipt, which was stored in the log.
    Kept {
        /// Number of its log entry.
        number: u64,
        /// Digest of the receipt.
        digest: String,
        /// Time by which the verifier promises to erase the result of the presentation.
        erase_at: String,
        /// Relation of the signing key to the verifier's registration; `None` for an unregistered verifier.
        key: Option<KeyStanding>,
    },
    /// The verifier sent no receipt.
    Missing,
    /// Invalid receipt, with the code of the reason.
    False(String),
}

/// Request that is being answered: its link, its content, and its verifier.
#[derive(Clone, Copy)]
struct AnsweredRequest<'a> {
    /// Link of the request.
    pointer: &'a AuthorizationRequestLink,
    /// Verified request.
    request: &'a PresentationRequest,
    /// Registration of the verifier, or the reason why it counts as unregistered.
    introduction: &'a VerifierIdentity,
}

/// Presentation that was sent, with the verifier's response: an acceptance or a refusal.
#[derive(Debug, Clone)]
pub struct Presented {
    /// Log entry of the presentation, written before sending.
    pub sent: WalletLogEntry,
    /// Verifier's response.
    pub verdict: SubmittedPresentation,
    /// Outcome for the receipt.
    pub receipt: ReceiptOutcome,
}

/// Choices of the holder made before the request is fetched.
#[derive(Debug, Clone, Copy, Default)]
pub struct PresentOptions<'a> {
    /// Ids of the credentials that may be used, or unambiguous prefixes of them; empty: all.
    pub only: &'a [String],
    /// Names of the items to withhold, such as `residence:credentialSubject.rightToWork`.
    pub withhold: &'a [String],
    /// Names of the items that exceed the registration and are approved in advance.
    pub approve: &'a [String],
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
    options: PresentOptions<'_>,
    owner: &impl Consent,
) -> Result<Presented, Failure> {
    let only = options.only.iter().map(|id| wallet.contents.find(id)).collect::<Result<Vec<_>, _>>()?;
    let mut verifier = ports.verifier(&pointer.endpoint, pointer.wire()).await?;
    let token = verifier.read(pointer).await;
    let token =
        token.map_err(|failure| closed_request_failure(&wallet.contents.log, u64::MAX, &pointer.client_id, failure))?;
    let (request, introduction, mut entry) = identify(ports, wallet, pointer, &token).await?;
    let catalogue = ports.catalogue()?;
    describe_verifier(&mut entry, pointer, &request, &introduction, &catalogue);
    let mut entry = log_request(wallet, entry)?;
    let decision = DecisionContext {
        now: &|| ports.now(),
        options,
        contents: &wallet.contents,
        catalogue: &catalogue,
        pointer,
        request: &request,
        introduction: &introduction,
        only: &only,
    };
    let DecidedAnswer { digest, outcome } = decision.decide(owner)?;
    entry.approval = digest;
    let (parts, consent) = match outcome {
        Ok(decided) => decided,
        Err(failure) => {
            note(wallet, WalletLogEntry { reason: failure.reason.to_string(), ..entry })?;
            return Err(failure);
        }
    };
    match consent {
        ConsentDecision::Yes => {}
        ConsentDecision::No => {
            note(wallet, WalletLogEntry { kind: EntryKind::RefusedByOwner, ..entry })?;
            return Err(Failure::declined(Sentence::id("undone-sent")));
        }
        ConsentDecision::Unclear => {
            let failure = Failure::not_answered(Sentence::id("undone-sent"));
            note(wallet, WalletLogEntry { reason: failure.reason.to_string(), ..entry })?;
            return Err(failure);
        }
        ConsentDecision::Missing(failure) => return Err(failure),
    }
    let exchange = AnsweredRequest { pointer, request: &request, introduction: &introduction };
    let sent = send(ports, wallet, verifier.as_mut(), exchange, &parts, entry).await;
    if let Ok(presented) = &sent {
        owner.presented(presented);
    }
    // Copies were used, whatever the verifier answers.
    refill_if_low(ports, wallet).await;
    sent
}

/// Verifies a request and the registration of its verifier, and creates the log entry about it.
///
/// # Errors
/// The request is invalid, which is logged, or the verifier's DID document is unavailable.
async fn identify(
    ports: &impl Ports,
    wallet: &mut Wallet<impl WalletStore>,
    pointer: &AuthorizationRequestLink,
    token: &str,
) -> Result<(PresentationRequest, VerifierIdentity, WalletLogEntry), Failure> {
    ports.documents().resolve(&pointer.did, DidParty::Asker).await?;
    let mut entry = WalletLogEntry::new(ports.now(), EntryKind::RequestFailed, &pointer.client_id);
    let request = match PresentationRequest::verify(token, pointer, ports.documents().resolver(), ports.now()) {
        Ok(request) => request,
        Err(problem) => {
            note(wallet, WalletLogEntry { reason: problem.code.to_string(), ..entry })?;
            let message = Sentence::id("error-request-refused");
            return Err(Failure::from_problem(&problem, message, Sentence::id("hint-distrust")).by(Fault::Asker));
        }
    };
    if let Some(registrar) =
        registrar(&request, &wallet.contents, &ValidTrustLists::of(&wallet.contents.trust, ports.now()))
        && let Ok(did) = Did::parse(&registrar.did)
    {
        // One lookup after the registration arrived (spec/registration.md 4.5). If it fails, the registrar does not
        // count as trusted for now: the registration is refused, and the screen says why.
        ports.documents().look_up(&did).await;
    }
    let introduction = VerifierIdentity::read(&request, &wallet.contents, ports.now(), ports.documents().resolver());
    let languages = ports.languages();
    let own = |name: &str| request.words(name, &languages).unwrap_or_default();
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
    entry.request = request_digest(&request.object);
    entry.intended_use.clone_from(&request.intended_use);
    entry.bounds = asked_bounds(&request.query, catalogue);
    entry.asker = Some(VerifierContacts {
        endpoint: pointer.endpoint.clone(),
        registrar: introduction.registration().map(|registration| registration.registrar().to_owned()),
        support: registered.map(|registered| registered.support_uri.clone()),
        authority: registered.map(|registered| registered.supervisory_authority.clone()),
    });
    let excess = introduction.excess(&request.query);
    let path =
        |excess: &RegistrationExcess| excess.path.as_ref().map_or_else(|| "*".to_owned(), |path| path_to_text(path));
    entry.beyond = excess.iter().map(|excess| format!("{}: {}", excess.query_id, path(excess))).collect();
    entry.beyond.dedup();
    let queries = excess.iter().filter_map(|excess| request.query.credential(&excess.query_id));
    entry.beyond_types = queries.map(|query| (query.id.clone(), type_asked(catalogue, query))).collect();
}

/// Logs a valid request, unless the log has an entry about it already. Returns `entry` with a reference to that log
/// entry.
fn log_request(wallet: &mut Wallet<impl WalletStore>, entry: WalletLogEntry) -> Result<WalletLogEntry, Failure> {
    let requested = WalletLogEntry { kind: EntryKind::Requested, reason: String::new(), ..entry.clone() };
    let earlier = wallet.contents.log.entries().iter().rev().find(|earlier| {
        (earlier.kind, &earlier.party, &earlier.request) == (EntryKind::Requested, &entry.party, &entry.request)
    });
    let number = match earlier {
        Some(earlier) => earlier.number,
        None => {
            let number = wallet.contents.log.push(requested);
            wallet.save()?;
            number
        }
    };
    Ok(WalletLogEntry { of: Some(number), ..entry })
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
    let verdicts = [EntryKind::Accepted, EntryKind::RefusedByAsker];
    let heard = |sent: &WalletLogEntry| verdicts.iter().any(|kind| log.about(sent.number, *kind).next().is_some());
    let earlier = log.entries().iter().rev().filter(|entry| entry.number < before);
    let last = earlier.filter(|entry| entry.party == client_id).find(|entry| entry.kind == EntryKind::Sending);
    let Some(sent) = last.filter(|sent| !heard(sent)) else { return failure };
    let message = Sentence::id("error-closed").with("time", sent.at);
    Failure { message, hint: Sentence::id("hint-closed"), ..failure }.with_safety(DataSafety::Sent)
}

/// Adds to a temporary failure the advice to present the same link again. Other failures are returned unchanged.
fn unanswered(failure: Failure) -> Failure {
    if failure.kind != FailureKind::Temporary {
        return failure;
    }
    Failure { hint: failure.hint.then(Sentence::id("hint-present-again")), ..failure }
}

/// Appends an entry to the log, and saves the wallet.
fn note(wallet: &mut Wallet<impl WalletStore>, entry: WalletLogEntry) -> Result<(), Failure> {
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
) -> Result<Presented, Failure> {
    let AnsweredRequest { pointer, request, .. } = exchange;
    let shown = parts.iter().map(|part| shown_part(wallet, part)).collect::<Result<Vec<_>, _>>()?;
    // The current time: the holder may have looked at the screen for long.
    let entry = WalletLogEntry { at: ports.now(), ..entry };
    let presentations = match bind(ports.now(), wallet, request, parts) {
        Ok(presentations) => presentations,
        Err(failure) => {
            note(wallet, WalletLogEntry { reason: failure.reason.to_string(), ..entry })?;
            return Err(failure);
        }
    };
    let mut vp_token: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (query, presentation) in presentations {
        vp_token.entry(query).or_default().push(presentation);
    }
    let presentation = presentation_digest(&vp_token).map_err(|problem| unmade(&problem))?;
    let sending = WalletLogEntry { kind: EntryKind::Sending, parts: shown, presentation, ..entry };
    let number = wallet.contents.log.push(sending);
    let sent = wallet.contents.log.entry(number).cloned();
    let sent = sent.ok_or_else(|| {
        Failure::new(FailureReason::System, Sentence::id("error-log-unwritten"), Sentence::id("hint-again"))
    })?;
    wallet.save()?;
    let answer = match verifier.submit(pointer, request, vp_token).await {
        Ok(answer) => answer,
        Err(failure) => {
            let reason = failure.reason.to_string();
            let unheard = WalletLogEntry { reason, ..WalletLogEntry::about(&sent, ports.now(), EntryKind::Unanswered) };
            // This failure is more useful than one of saving the log.
            let _ = note(wallet, unheard);
            return Err(unanswered(closed_request_failure(&wallet.contents.log, sent.number, &sent.party, failure)));
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
        ports.documents().look_up(&pointer.did).await;
    }
    settle_serials(wallet, parts, &answer);
    let receipt = conclude(ports, wallet, exchange, &sent, &answer);
    wallet.save().map_err(|failure| failure.with_safety(DataSafety::Sent))?;
    Ok(Presented { sent, verdict: answer, receipt })
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
        Failure::from_problem(&problem, Sentence::id("error-request-ended"), Sentence::id("hint-new-request"))
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
fn settle_serials(
    wallet: &mut Wallet<impl WalletStore>,
    parts: &[PlannedPresentation],
    answer: &SubmittedPresentation,
) {
    if !answer.accepted && !answer.reason.eq_ignore_ascii_case("entitlement_used") {
        return;
    }
    for part in parts {
        let serials = wallet.contents.credentials.get_mut(part.credential).and_then(|held| held.serials.as_mut());
        if let Some((serials, serial)) = serials.zip(part.serial.as_deref()) {
            serials.record_used(serial);
        }
    }
}

/// Adds the verifier's decision and the outcome for the receipt to the log. With a valid receipt, the request object is
/// stored too.
fn conclude(
    ports: &impl Ports,
    wallet: &mut Wallet<impl WalletStore>,
    exchange: AnsweredRequest<'_>,
    sent: &WalletLogEntry,
    answer: &SubmittedPresentation,
) -> ReceiptOutcome {
    let (now, log) = (ports.now(), &mut wallet.contents.log);
    let (kind, reason) = if answer.accepted {
        (EntryKind::Accepted, String::new())
    } else {
        (EntryKind::RefusedByAsker, sanitise(&answer.reason).to_lowercase())
    };
    log.push(WalletLogEntry { reason, ..WalletLogEntry::about(sent, now, kind) });
    let about = |kind| WalletLogEntry { request: sent.request.clone(), ..WalletLogEntry::about(sent, now, kind) };
    if answer.receipt.is_empty() {
        log.push(about(EntryKind::ReceiptMissing));
        return ReceiptOutcome::Missing;
    }
    let registered = exchange.introduction.relying_party();
    match receipt::verify_receipt(&answer.receipt, sent, answer.accepted, now, ports.documents().resolver(), registered)
    {
        Ok((receipt, kept)) => {
            let key = kept.registered;
            let number = log.push(WalletLogEntry { statement: Some(kept), ..about(EntryKind::Receipt) });
            let erase_at = receipt.content().erase_at.to_string();
            wallet.contents.requests.keep(&exchange.request.object);
            ReceiptOutcome::Kept { number, digest: receipt.digest().to_owned(), erase_at, key }
        }
        Err(problem) => {
            let reason = problem.code.to_string();
            log.push(WalletLogEntry { reason: reason.clone(), ..about(EntryKind::ReceiptFalse) });
            ReceiptOutcome::False(reason)
        }
    }
}

/// Returns the log record of a presentation.
fn shown_part(wallet: &Wallet<impl WalletStore>, part: &PlannedPresentation) -> Result<ShownPart, Failure> {
    let held = wallet.contents.credentials.get(part.credential);
    let Some((held, copy)) = held.and_then(|held| Some((held, held.copies.get(part.copy)?))) else {
        return Err(Failure::new(
            FailureReason::CopyMissing,
            Sentence::id("error-copy-missing"),
            Sentence::id("hint-again"),
        ));
    };
    // Proven thresholds are listed separately, as in receipts.
    let proved: Vec<String> = part.proves.iter().map(|proof| threshold_text(&proof.path, &proof.threshold)).collect();
    Ok(ShownPart {
        query_id: part.query_id.clone(),
        paths: part.paths.iter().filter(|path| !proved.contains(path)).cloned().collect(),
        thresholds: part.proves.iter().map(|proof| ShownThreshold::new(&proof.path, &proof.threshold)).collect(),
        key: copy.key.open().map_err(|problem| unmade(&problem))?.public_key().thumbprint(),
        ..ShownPart::named(&held.id, &held.type_name)
    })
}

fn unmade(problem: &carnet_core::Problem) -> Failure {
    Failure::from_problem(problem, Sentence::id("error-presentation"), Sentence::id("hint-again-or-receive"))
}

#[cfg(test)]
mod tests;
