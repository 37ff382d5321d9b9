//! Sending of an approved presentation, and storage of the verdict and the receipt.

use std::collections::BTreeMap;

use carnet_core::{
    Code,
    keys::Signer as _,
    query::path_to_text,
    receipt::{ShownThreshold, presentation_digest, request_digest},
    trust::registration::{Excess, KeyStanding},
};
use carnet_spec::Catalogue;
use carnet_wallet::ports::{CheckOutcome, SubmittedPresentation, VerdictCheck, VerifierClient as _};
use serde_json::{Value, json};

use crate::{
    answer::{Part, asked_bounds, threshold_text},
    client::presentation::Verifier,
    failure::{Failure, FailureKind, Safety, Sentence},
    introduction::Introduction,
    receipt,
    request::{Pointer, Request},
    session::Session,
    ui::sanitise::clean,
    wallet::{
        Entry, EntryKind, ShownPart, WalletFile,
        log::{Asker, Log},
    },
};

/// Validity of the verifier's receipt.
enum Receipted {
    /// Valid; `erase_at` is the promised time of erasure.
    Kept { number: u64, digest: String, erase_at: String, key: Option<KeyStanding> },
    /// No receipt.
    Missing,
    /// Invalid, for this reason.
    False(String),
}

/// Answered request: its origin, its content, and its verifier.
#[derive(Clone, Copy)]
pub(crate) struct Exchange<'a> {
    /// Location of the verifier's service.
    pub(crate) pointer: &'a Pointer,
    /// Verified request.
    pub(crate) request: &'a Request,
    /// Verified facts about the verifier.
    pub(crate) introduction: &'a Introduction,
}

/// Adds the verifier's endpoint, the requested bounds and the excess over the registration to an entry.
pub(crate) fn describe(
    entry: &mut Entry,
    pointer: &Pointer,
    request: &Request,
    introduction: &Introduction,
    catalogue: &Catalogue,
) {
    let registered = introduction.relying_party();
    entry.request = request_digest(&request.object);
    entry.intended_use.clone_from(&request.intended_use);
    entry.bounds = asked_bounds(&request.query, catalogue);
    entry.asker = Some(Asker {
        endpoint: pointer.endpoint.clone(),
        registrar: introduction.registration().map(|registration| registration.registrar().to_owned()),
        support: registered.map(|registered| registered.support_uri.clone()),
        authority: registered.map(|registered| registered.supervisory_authority.clone()),
    });
    let excess = introduction.excess(&request.query);
    let path = |excess: &Excess| excess.path.as_ref().map_or_else(|| "*".to_owned(), |path| path_to_text(path));
    entry.beyond = excess.iter().map(|excess| format!("{}: {}", excess.query_id, path(excess))).collect();
    entry.beyond.dedup();
}

/// Logs the arrival of a valid request, unless it is in the log already, and returns that entry. Later entries about
/// the request refer to it.
pub(crate) fn received(wallet: &mut WalletFile, entry: Entry) -> Result<Entry, Failure> {
    let requested = Entry { kind: EntryKind::Requested, reason: String::new(), ..entry.clone() };
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
    Ok(Entry { of: Some(number), ..entry })
}

/// Errors of a verifier for a request that accepts no more responses.
const CLOSED: [&str; 4] = ["nonce_replayed", "request_attempts_exhausted", "request_expired", "request_unknown"];

/// Explains the failure of a closed request to an owner whose last response to that verifier (among entries before a
/// number) got no verdict: that response may be the cause.
pub(crate) fn closed(log: &Log, before: u64, client_id: &str, failure: Failure) -> Failure {
    if !CLOSED.contains(&failure.reason.as_str()) {
        return failure;
    }
    let verdicts = [EntryKind::Accepted, EntryKind::RefusedByAsker];
    let heard = |sent: &Entry| verdicts.iter().any(|kind| log.about(sent.number, *kind).next().is_some());
    let earlier = log.entries().iter().rev().filter(|entry| entry.number < before);
    let last = earlier.filter(|entry| entry.party == client_id).find(|entry| entry.kind == EntryKind::Sending);
    let Some(sent) = last.filter(|sent| !heard(sent)) else { return failure };
    let message = Sentence::id("error-closed").with("time", sent.at);
    Failure { message, hint: Sentence::id("hint-closed"), ..failure }.with_safety(Safety::Sent)
}

/// Marks a failure after which the response may have arrived.
fn unanswered(failure: Failure) -> Failure {
    if failure.kind != FailureKind::Temporary {
        return failure;
    }
    Failure { hint: failure.hint.then(Sentence::id("hint-present-again")), ..failure }
}

/// Appends an entry to the log and saves the wallet.
pub(crate) fn note(wallet: &mut WalletFile, entry: Entry) -> Result<(), Failure> {
    wallet.contents.log.push(entry);
    wallet.save()
}

/// Binds and sends the presentation. The use of its copies is saved first: after a power cut they must not look unused.
pub(crate) async fn send(
    session: &Session,
    wallet: &mut WalletFile,
    verifier: &mut Verifier,
    exchange: Exchange<'_>,
    parts: &[Part],
    entry: Entry,
) -> Result<(), Failure> {
    let Exchange { pointer, request, .. } = exchange;
    let shown = parts.iter().map(|part| shown_part(wallet, part)).collect::<Result<Vec<_>, _>>()?;
    // The current time: the owner may have looked at the screen for long.
    let entry = Entry { at: session.now(), ..entry };
    let presentations = match bind(session, wallet, request, parts) {
        Ok(presentations) => presentations,
        Err(failure) => {
            note(wallet, Entry { reason: failure.reason.clone(), ..entry })?;
            return Err(failure);
        }
    };
    let mut vp_token: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (query, presentation) in presentations {
        vp_token.entry(query).or_default().push(presentation);
    }
    let presentation = presentation_digest(&vp_token).map_err(|problem| unmade(&problem))?;
    let sending = Entry { kind: EntryKind::Sending, parts: shown, presentation, ..entry };
    let number = wallet.contents.log.push(sending);
    let sent = wallet.contents.log.entry(number).cloned();
    let sent =
        sent.ok_or_else(|| Failure::new("system", Sentence::id("error-log-unwritten"), Sentence::id("hint-again")))?;
    wallet.save()?;
    let answer = match verifier.submit(pointer, request, vp_token).await {
        Ok(answer) => answer,
        Err(failure) => {
            let reason = failure.reason.clone();
            let unheard = Entry { reason, ..Entry::about(&sent, session.now(), EntryKind::Unanswered) };
            // This failure says more than one about the log would.
            let _ = note(wallet, unheard);
            return Err(unanswered(closed(&wallet.contents.log, sent.number, &sent.party, failure)));
        }
    };
    // The verifier may have rotated its key since its document was fetched, so the document is fetched once more.
    let receipt = receipt::receive(&answer.receipt, &sent, answer.accepted, session.now(), &session.dids, None);
    if receipt.is_err_and(|problem| problem.code == Code::MethodUnknown) {
        session.look_up(&pointer.did).await;
    }
    settle_serials(wallet, parts, &answer);
    let receipted = conclude(session, wallet, exchange, &sent, &answer);
    wallet.save().map_err(|failure| failure.with_safety(Safety::Sent))?;
    report(session, &sent, &answer, &receipted)
}

/// Binds each part to the request, and marks its copy as used. An expired request uses up no copy.
fn bind(
    session: &Session,
    wallet: &mut WalletFile,
    request: &Request,
    parts: &[Part],
) -> Result<Vec<(String, String)>, Failure> {
    let now = session.now();
    request.require_open(now).map_err(|problem| {
        Failure::from_problem(&problem, Sentence::id("error-request-ended"), Sentence::id("hint-new-request"))
    })?;
    let mut presentations = Vec::with_capacity(parts.len());
    for part in parts {
        let Some(held) = wallet.contents.credentials.get_mut(part.credential) else { continue };
        let Some(copy) = held.copies.get(part.copy) else { continue };
        let statement = copy.stapled(request.freshness_seconds_max, &request.client_id, now);
        let bound = part.bind(copy, statement.as_ref(), &request.nonce, &request.client_id, now);
        let bound = bound.map_err(|problem| unmade(&problem))?;
        presentations.push((part.query_id.clone(), bound));
        part.spend(held, &request.client_id);
    }
    Ok(presentations)
}

/// Records used serials: those of an accepted response, and one that the redeemer had counted before, although its
/// response was lost. A serial refused for another reason may be shown to the same verifier again.
fn settle_serials(wallet: &mut WalletFile, parts: &[Part], answer: &SubmittedPresentation) {
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

/// Adds the verdict and the receipt to the log.
fn conclude(
    session: &Session,
    wallet: &mut WalletFile,
    exchange: Exchange<'_>,
    sent: &Entry,
    answer: &SubmittedPresentation,
) -> Receipted {
    let (now, log) = (session.now(), &mut wallet.contents.log);
    let (kind, reason) = if answer.accepted {
        (EntryKind::Accepted, String::new())
    } else {
        (EntryKind::RefusedByAsker, clean(&answer.reason).to_lowercase())
    };
    log.push(Entry { reason, ..Entry::about(sent, now, kind) });
    let about = |kind| Entry { request: sent.request.clone(), ..Entry::about(sent, now, kind) };
    if answer.receipt.is_empty() {
        log.push(about(EntryKind::ReceiptMissing));
        return Receipted::Missing;
    }
    let registered = exchange.introduction.relying_party();
    match receipt::receive(&answer.receipt, sent, answer.accepted, now, &session.dids, registered) {
        Ok((receipt, kept)) => {
            let key = kept.registered;
            let number = log.push(Entry { statement: Some(kept), ..about(EntryKind::Receipt) });
            let erase_at = receipt.content().erase_at.to_string();
            wallet.contents.requests.keep(&exchange.request.object);
            Receipted::Kept { number, digest: receipt.digest().to_owned(), erase_at, key }
        }
        Err(problem) => {
            let reason = problem.code.to_string();
            log.push(Entry { reason: reason.clone(), ..about(EntryKind::ReceiptFalse) });
            Receipted::False(reason)
        }
    }
}

/// Reports the result to the owner. The verdict determines the exit code, not the receipt.
fn report(
    session: &Session,
    sent: &Entry,
    answer: &SubmittedPresentation,
    receipted: &Receipted,
) -> Result<(), Failure> {
    let messages = &session.ui.messages;
    let shown: Vec<Value> = sent
        .parts
        .iter()
        .map(|part| {
            json!({
                "query_id": part.query_id, "id": part.id, "type": part.type_name, "paths": part.paths,
                "thresholds": part.thresholds,
            })
        })
        .collect();
    let (said, receipt) = match receipted {
        Receipted::Kept { number, digest, erase_at, key } => {
            let mut said = messages.with("receipt-kept", &[("time", erase_at)]);
            if matches!(key, Some(KeyStanding::NotRegistered)) {
                said.push('\n');
                said.push_str(&messages.text("receipt-key-not-registered"));
            }
            let object = json!({
                "state": "kept", "entry": number, "digest": digest, "erase_at": erase_at, "key": key,
                "presentation_digest": sent.presentation,
            });
            (said, object)
        }
        Receipted::Missing => (messages.text("receipt-missing"), json!({"state": "missing"})),
        Receipted::False(reason) => {
            (messages.with("receipt-false", &[("reason", reason)]), json!({"state": "false", "reason": reason}))
        }
    };
    let checks: Vec<Value> = answer.checks.iter().map(check).collect();
    let reason = clean(&answer.reason).to_lowercase();
    let object = json!({
        "accepted": answer.accepted, "reason": if answer.accepted { Value::Null } else { json!(reason) },
        "digest": sent.approval, "shown": shown, "checks": checks, "receipt": receipt,
    });
    if answer.accepted {
        session.ui.result(&format!("{}\n{said}\n", messages.text("result-accepted")), &object);
        return Ok(());
    }
    session.ui.note(&said);
    let failed: Vec<String> = answer
        .checks
        .iter()
        .filter(|check| check.outcome == CheckOutcome::Failed)
        .map(|check| clean(&check.detail))
        .collect();
    let message = Sentence::id("error-refused").details(failed.join("; "));
    let reason = if reason.is_empty() { "refused" } else { reason.as_str() };
    // The issuer can explain and fix a defect of the credential itself.
    let hint = match reason {
        "revoked" | "suspended" => "hint-taken-back",
        "expired" => "hint-ended",
        "status_list_unavailable" | "status_list_stale" => "hint-unconfirmed",
        _ => "hint-refused",
    };
    Err(Failure::new(reason, message, Sentence::id(hint)).with_safety(Safety::Sent).beside(object))
}

fn check(check: &VerdictCheck) -> Value {
    let outcome = match check.outcome {
        CheckOutcome::Passed => "passed",
        CheckOutcome::Failed => "failed",
        CheckOutcome::Tolerated => "tolerated",
        CheckOutcome::NotApplicable => "not_applicable",
        CheckOutcome::Unknown => "unknown",
    };
    json!({
        "name": clean(&check.name), "about": clean(&check.about), "outcome": outcome,
        "code": clean(&check.code), "detail": clean(&check.detail),
    })
}

/// Returns the log record of a presentation.
fn shown_part(wallet: &WalletFile, part: &Part) -> Result<ShownPart, Failure> {
    let held = wallet.contents.credentials.get(part.credential);
    let Some((held, copy)) = held.and_then(|held| Some((held, held.copies.get(part.copy)?))) else {
        return Err(Failure::new("copy_missing", Sentence::id("error-copy-missing"), Sentence::id("hint-again")));
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
mod tests {
    use carnet_core::{secure::sd_jwt::SdJwt, status::freshness};

    use super::closed;
    use crate::{
        answer::{Bounds, answer},
        failure::{Failure, Safety, Sentence, Spoken as _},
        request::tests::{Asker, NOW},
        verifier_desk::{Fault, Scene},
        wallet::{
            Entry, EntryKind,
            log::Log,
            standing::{Standing, State, Statement},
        },
    };

    #[test]
    fn an_answer_without_a_verdict_is_named_where_its_request_is_closed() {
        let refusal =
            |reason: &str| Failure::new(reason, Sentence::id("error-service-submit"), Sentence::id("hint-ask-new"));
        let said = |log: &Log, reason: &str| closed(log, u64::MAX, "asker", refusal(reason));
        let mut log = Log::default();
        assert_eq!(said(&log, "nonce_replayed").safety, Safety::Untouched);
        let number = log.push(Entry::new(NOW, EntryKind::Sending, "asker"));
        let sent = log.entry(number).unwrap().clone();
        let named = said(&log, "nonce_replayed");
        assert_eq!((named.reason.as_str(), named.safety), ("nonce_replayed", Safety::Sent));
        assert!(
            named.message.english().contains(&NOW.to_string()) && named.hint.english().contains("ask them"),
            "{named:?}"
        );
        // Not for another verifier or another reason, nor after a verdict.
        let other = closed(&log, u64::MAX, "another", refusal("nonce_replayed"));
        assert_eq!(other.safety, Safety::Untouched);
        let first = closed(&log, number, "asker", refusal("nonce_replayed"));
        assert_eq!(first.safety, Safety::Untouched);
        assert_eq!(said(&log, "unavailable").safety, Safety::Untouched);
        log.push(Entry::about(&sent, NOW, EntryKind::Unanswered));
        assert_eq!(said(&log, "request_expired").safety, Safety::Sent);
        log.push(Entry::about(&sent, NOW, EntryKind::Accepted));
        assert_eq!(said(&log, "nonce_replayed").safety, Safety::Untouched);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_bound_is_of_when_it_goes_and_nothing_is_spent_after_the_end() {
        let mut scene = Scene::set(Fault::None).await;
        let (mut wallet, request) = (scene.session.open().unwrap(), Asker::new().request().unwrap());
        let bounds = Bounds { asker: &request.client_id, now: NOW, only: &[], withheld: &[], proofs_only: &[] };
        let catalogue = scene.session.catalogue().unwrap();
        let parts = answer(&wallet.contents, &catalogue, &request.query, &bounds).unwrap().parts;
        // The request was checked on arrival and expires 300 seconds later; clocks may differ by a minute.
        scene.session.clock = Box::new(|| NOW.plus(361));
        let over = super::bind(&scene.session, &mut wallet, &request, &parts).unwrap_err();
        assert_eq!(over.reason, "expired");
        assert_eq!(wallet.contents.credentials[0].fresh_copies(), 3);
        scene.session.clock = Box::new(|| NOW.plus(360));
        let bound = super::bind(&scene.session, &mut wallet, &request, &parts).unwrap();
        let binding = SdJwt::parse(&bound[0].1).unwrap().key_binding().unwrap().payload()["iat"].clone();
        assert_eq!(binding, NOW.plus(360).unix());
        assert_eq!(wallet.contents.credentials[0].fresh_copies(), 2);
    }

    /// Only verifiers that ask for it, or that know the copy anyway, get the statement.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_statement_goes_along_while_it_holds_to_those_who_want_it() {
        let epoch = NOW.plus(-7_200);
        for (since, until, asked, seen, goes) in [
            (epoch, NOW.plus(121), Some(43_200), false, true),
            (epoch, NOW.plus(120), Some(43_200), false, false),
            (epoch, NOW.plus(121), None, false, false),
            (epoch, NOW.plus(121), None, true, true),
            (epoch, NOW.plus(120), None, true, false),
            // 28,800, 50,400 and 93,600 seconds old.
            (epoch.plus(-21_600), NOW.plus(900), Some(43_200), true, true),
            (epoch.plus(-43_200), NOW.plus(900), Some(43_200), true, false),
            (epoch.plus(-43_200), NOW.plus(900), Some(86_400), false, true),
            (epoch.plus(-86_400), NOW.plus(900), Some(604_800), false, true),
            (epoch.plus(-86_400), NOW.plus(900), None, true, false),
            // A statement from before epochs existed.
            (epoch.plus(3_600), NOW.plus(900), Some(43_200), true, false),
        ] {
            let scene = Scene::set(Fault::None).await;
            let mut asker = Asker::new();
            if let Some(seconds) = asked {
                asker.payload["carnet"][freshness::MAX_AGE_MEMBER] = seconds.into();
            }
            let (mut wallet, request) = (scene.session.open().unwrap(), asker.request().unwrap());
            for copy in &mut wallet.contents.credentials[0].copies {
                let statement = Some(Statement { text: "a.b.c".to_owned().into(), since, until });
                copy.standing = Some(Standing { statement, ..Standing::of(State::Valid, NOW) });
                let other = "decentralized_identifier:did:web:other.example".to_owned();
                copy.shown_to = if seen { vec![other, request.client_id.clone()] } else { Vec::new() };
            }
            let bounds = Bounds { asker: &request.client_id, now: NOW, only: &[], withheld: &[], proofs_only: &[] };
            let catalogue = scene.session.catalogue().unwrap();
            let parts = answer(&wallet.contents, &catalogue, &request.query, &bounds).unwrap().parts;
            let bound = super::bind(&scene.session, &mut wallet, &request, &parts).unwrap();
            let token = SdJwt::parse(&bound[0].1).unwrap();
            let stapled = token.key_binding().unwrap().payload().get(freshness::MEMBER).cloned();
            assert_eq!(stapled, goes.then(|| "a.b.c".into()), "{since} {until} {asked:?} {seen}");
        }
    }
}
