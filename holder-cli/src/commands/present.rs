//! `carnet present`: show what the owner approves to who asks, and nothing else.

use carnet_core::did::Did;
use carnet_proto::verifier::v1::{Check, CheckOutcome, SubmitPresentationResponse};
use serde_json::{Value, json};

use crate::{
    answer::Part,
    arguments::Present,
    client::presentation::Verifier,
    failure::{Failure, Safety},
    introduction::{Introduction, registrar},
    refill,
    request::{Pointer, Request},
    session::Session,
    ui::sanitise::clean,
    wallet::{Entry, EntryKind, ShownPart, WalletFile},
};

mod decide;

use decide::{Decided, Decision, Word};

/// Answers a request.
pub(crate) async fn run(session: &Session, arguments: &Present) -> Result<(), Failure> {
    let pointer = Pointer::parse(&arguments.request)?;
    let mut wallet = session.open()?;
    let only = arguments.only.iter().map(|id| wallet.contents.find(id)).collect::<Result<Vec<_>, _>>()?;
    let mut verifier = Verifier::connect(&pointer.endpoint, session.ca()?.as_deref()).await?;
    let token = verifier.read(&pointer.id).await?;
    session.resolve(&pointer.did, "the asker").await?;
    let mut entry = Entry::new(session.now, EntryKind::RequestFailed, &pointer.client_id);
    let request = match Request::verify(&token, &pointer, &session.dids, session.now) {
        Ok(request) => request,
        Err(problem) => {
            note(&mut wallet, Entry { reason: problem.code.to_string(), ..entry })?;
            let hint = "do not trust it; ask for a new request where you got this one";
            return Err(Failure::from_problem(&problem, "The request is not in order", hint));
        }
    };
    if let Some(registrar) = registrar(&request, &wallet.contents)
        && let Ok(did) = Did::parse(&registrar.did)
    {
        // One that cannot be looked up is no registrar for now: the registration is refused, and the owner told why.
        let _ = session.resolve(&did, "the registrar").await;
    }
    let introduction = Introduction::read(&request, &wallet.contents, session.now, &session.dids);
    let own = |name: &str| request.words(name, &session.ui.messages).unwrap_or_default();
    entry.party_name =
        introduction.relying_party().map_or_else(|| own("verifier_name"), |registered| clean(&registered.name));
    entry.purpose = introduction
        .intended_use()
        .and_then(|known| session.ui.messages.pick(|language| known.purpose.get(language).map(String::as_str)))
        .unwrap_or_else(|| own("purpose"));
    let catalogue = session.catalogue()?;
    let decision = Decision {
        session,
        arguments,
        contents: &wallet.contents,
        catalogue: &catalogue,
        pointer: &pointer,
        request: &request,
        introduction: &introduction,
        only: &only,
    };
    let Decided { digest, outcome } = decision.decide()?;
    entry.request = digest;
    let (parts, word) = match outcome {
        Ok(decided) => decided,
        Err(failure) => {
            note(&mut wallet, Entry { reason: failure.reason.clone(), ..entry })?;
            return Err(failure);
        }
    };
    entry.parts = parts.iter().filter_map(|part| shown_part(&wallet, part)).collect();
    match word {
        Word::Yes => {}
        Word::No => {
            note(&mut wallet, Entry { kind: EntryKind::RefusedByOwner, ..entry })?;
            return Err(Failure::new("declined", "You said no; nothing was sent", "nothing more to do"));
        }
        Word::Missing(failure) => return Err(failure),
    }
    let sent = send(session, &mut wallet, &mut verifier, &pointer, &request, &parts, entry).await;
    // Whatever the asker says of it, copies were spent.
    refill::when_low(session, &mut wallet).await;
    sent
}

/// Binds and sends. That the copies are used is stored first: a power cut must not make them look unused.
async fn send(
    session: &Session,
    wallet: &mut WalletFile,
    verifier: &mut Verifier,
    pointer: &Pointer,
    request: &Request,
    parts: &[Part],
    entry: Entry,
) -> Result<(), Failure> {
    let digest = entry.request.clone();
    let mut presentations = Vec::with_capacity(parts.len());
    for part in parts {
        let held = wallet.contents.credentials.get_mut(part.credential);
        let Some(copy) = held.and_then(|held| held.copies.get_mut(part.copy)) else { continue };
        let bound = part.bind(copy, &request.nonce, &request.client_id, session.now).map_err(|problem| {
            Failure::from_problem(
                &problem,
                "The presentation could not be made",
                "try again, or receive the document again",
            )
        })?;
        presentations.push((part.query_id.clone(), bound));
        part.spend(copy, &request.client_id);
    }
    wallet.contents.log.push(Entry { kind: EntryKind::Sending, ..entry });
    wallet.save()?;
    let outcome = verifier.submit(&pointer.id, presentations).await;
    if let Some(last) = wallet.contents.log.last_mut() {
        match &outcome {
            Ok(answer) if answer.accepted => last.kind = EntryKind::Accepted,
            Ok(answer) => {
                last.kind = EntryKind::RefusedByAsker;
                last.reason = clean(&answer.reason);
            }
            Err(failure) => last.reason.clone_from(&failure.reason),
        }
    }
    let saved = wallet.save();
    let answer = outcome?;
    saved.map_err(|failure| failure.with_safety(Safety::Sent))?;
    report(session, wallet, &digest, parts, &answer)
}

fn report(
    session: &Session,
    wallet: &WalletFile,
    digest: &str,
    parts: &[Part],
    answer: &SubmitPresentationResponse,
) -> Result<(), Failure> {
    let shown: Vec<Value> = parts
        .iter()
        .filter_map(|part| {
            let held = wallet.contents.credentials.get(part.credential)?;
            Some(json!({"query_id": part.query_id, "id": held.id, "type": held.type_name, "paths": part.paths}))
        })
        .collect();
    let checks: Vec<Value> = answer.checks.iter().map(check).collect();
    let reason = clean(&answer.reason).to_lowercase();
    let object = json!({
        "accepted": answer.accepted, "reason": if answer.accepted { Value::Null } else { json!(reason) },
        "digest": digest, "shown": shown, "checks": checks,
    });
    if answer.accepted {
        session.ui.result(&format!("{}\n", session.ui.messages.text("result-accepted")), &object);
        return Ok(());
    }
    let failed: Vec<String> = answer
        .checks
        .iter()
        .filter(|check| check.outcome == i32::from(CheckOutcome::Failed))
        .map(|check| clean(&check.detail))
        .collect();
    let message = format!("{} {}", session.ui.messages.text("result-refused"), failed.join("; "));
    let reason = if reason.is_empty() { "refused" } else { reason.as_str() };
    Err(Failure::new(reason, message.trim(), "ask them for a new request, and tell them the name in brackets")
        .with_safety(Safety::Sent)
        .beside(object))
}

fn check(check: &Check) -> Value {
    let outcome = match CheckOutcome::try_from(check.outcome) {
        Ok(CheckOutcome::Passed) => "passed",
        Ok(CheckOutcome::Failed) => "failed",
        Ok(CheckOutcome::NotApplicable) => "not_applicable",
        _ => "unknown",
    };
    json!({
        "name": clean(&check.name), "about": clean(&check.about), "outcome": outcome,
        "code": clean(&check.code), "detail": clean(&check.detail),
    })
}

fn shown_part(wallet: &WalletFile, part: &Part) -> Option<ShownPart> {
    let held = wallet.contents.credentials.get(part.credential)?;
    Some(ShownPart { id: held.id.clone(), type_name: held.type_name.clone(), paths: part.paths.clone() })
}

fn note(wallet: &mut WalletFile, entry: Entry) -> Result<(), Failure> {
    wallet.contents.log.push(entry);
    wallet.save()
}
