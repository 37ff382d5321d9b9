//! `carnet present`: show what the owner approves to who asks, and nothing else.

use carnet_core::Code;
use carnet_proto::verifier::v1::{Check, CheckOutcome, SubmitPresentationResponse};
use serde_json::{Value, json};

use crate::{
    answer::{Answer, Bounds, Part, answer, digest},
    arguments::Present,
    client::presentation::Verifier,
    failure::{Failure, Safety},
    refill,
    request::{Pointer, Request},
    session::Session,
    ui::{consent::Consent, sanitise::clean},
    wallet::{Entry, EntryKind, ShownPart, WalletFile},
};

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
    entry.party_name = request.words("verifier_name", &session.ui.messages).unwrap_or_default();
    entry.purpose = request.words("purpose", &session.ui.messages).unwrap_or_default();
    let catalogue = session.catalogue()?;
    let bounds = Bounds { asker: &request.client_id, now: session.now, only: &only, withheld: &[], proofs_only: &[] };
    let answered = answer(&wallet.contents, &catalogue, &request.query, &bounds)
        .map_err(|problem| unanswerable(&problem))
        .and_then(something_goes);
    let described = |parts: &[Part]| digest(&request.object, parts, &wallet.contents).map_err(|e| unanswerable(&e));
    let parts = match answered {
        Ok(answer) => answer.parts,
        Err(failure) => {
            entry.request = described(&[])?;
            note(&mut wallet, Entry { reason: failure.reason.clone(), ..entry })?;
            return Err(failure);
        }
    };
    entry.request = described(&parts)?;
    entry.parts = parts.iter().filter_map(|part| shown_part(&wallet, part)).collect();
    if !approved(session, arguments, &wallet, &pointer, &request, &parts, &entry.request)? {
        note(&mut wallet, Entry { kind: EntryKind::RefusedByOwner, ..entry })?;
        return Err(Failure::new("declined", "You said no; nothing was sent", "nothing more to do"));
    }
    let sent = send(session, &mut wallet, &mut verifier, &pointer, &request, &parts, entry).await;
    // Whatever the asker says of it, copies were spent.
    refill::when_low(session, &mut wallet).await;
    sent
}

/// Whether the owner said yes: on the screen, or by naming the digest of what was looked at before.
fn approved(
    session: &Session,
    arguments: &Present,
    wallet: &WalletFile,
    pointer: &Pointer,
    request: &Request,
    parts: &[Part],
    digest: &str,
) -> Result<bool, Failure> {
    let ui = &session.ui;
    let catalogue = session.catalogue()?;
    let (contents, endpoint) = (&wallet.contents, pointer.endpoint.as_str());
    let consent = Consent { request, digest, parts, endpoint, contents, catalogue: &catalogue };
    if arguments.yes.as_deref() == Some(digest) {
        return Ok(true);
    }
    let needed = |reason: &str, message: &str| {
        let hint = format!("read what is asked, and if you agree: --yes {digest}");
        Failure::new(reason, message, hint).beside(consent.json(ui))
    };
    if arguments.yes.is_some() {
        return Err(needed("approval_mismatch", "What you approved is not this request, or not what would go now"));
    }
    ui.say(&consent.text(ui));
    if !ui.can_ask() {
        return Err(needed("approval_needed", "Showing this needs your yes, and nobody can be asked"));
    }
    Ok(ui.confirm(&ui.messages.text("consent-question")))
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

/// Refuses an answer of nothing: there is no document to choose, nothing to approve, and still it would be answered.
fn something_goes(answer: Answer) -> Result<Answer, Failure> {
    if answer.parts.is_empty() {
        return Err(Failure::new(
            Code::QueryUnmet.as_str(),
            "Nothing is asked that must be answered; nothing was sent",
            "ask them for a request that says what they need",
        ));
    }
    Ok(answer)
}

fn unanswerable(problem: &carnet_core::Problem) -> Failure {
    let hint = "see what you have with: carnet list; what is missing, its issuer can offer you";
    if problem.code == Code::QueryUnmet {
        return Failure::new("query_unmet", "You have no valid document that answers this; nothing was sent", hint);
    }
    Failure::from_problem(problem, "This request cannot be answered; nothing was sent", hint)
}

#[cfg(test)]
mod tests {
    use carnet_core::query::Query;

    use super::*;
    use crate::{
        answer::tests::{Issuer, answer},
        wallet::Contents,
    };

    #[test]
    fn a_request_that_needs_nothing_gets_nothing() {
        let mut contents = Contents::new(12);
        contents.credentials.push(Issuer::new().held("aaaa", "vc+sd-jwt", 1));
        let asked = |required: bool| {
            let query = Query::parse(&json!({
                "credentials": [{
                    "id": "q", "format": "vc+sd-jwt", "meta": {"type_values": [["QualificationCredential"]]},
                    "claims": [{"path": ["credentialSubject", "title"]}]
                }],
                "credential_sets": [{"options": [["q"]], "required": required}]
            }));
            something_goes(answer(&contents, &query.unwrap(), "me").unwrap())
        };
        assert_eq!(asked(true).unwrap().parts.len(), 1);
        let refused = asked(false).unwrap_err();
        assert_eq!((refused.reason.as_str(), refused.exit), ("query_unmet", crate::failure::PROBLEM));
        assert!(refused.message.contains("Nothing is asked that must be answered"));
    }
}
