//! `carnet present`: shows a verifier what the owner approves, and nothing else.

use carnet_core::did::Did;
use carnet_wallet::ports::VerifierClient as _;

use crate::{
    arguments::Present,
    client::presentation::Verifier,
    failure::{Failure, Sentence},
    introduction::{Introduction, registrar},
    link::LinkKind,
    pasting, refill,
    request::{Pointer, Request},
    sending::{Exchange, closed, describe, note, received, send},
    session::{Party, Session},
    trust::Lists,
    ui::sanitise::clean,
    wallet::{Entry, EntryKind},
};

mod decide;

use decide::{Decided, Decision, Word};

/// Answers a request.
pub(crate) async fn run(session: &Session, arguments: &Present) -> Result<(), Failure> {
    let pointer = Pointer::parse(&pasting::given(&session.ui, LinkKind::Request, &arguments.request)?)?;
    let mut wallet = session.open()?;
    let only = arguments.only.iter().map(|id| wallet.contents.find(id)).collect::<Result<Vec<_>, _>>()?;
    let mut verifier = Verifier::connect(session, &pointer.endpoint).await?;
    let token = verifier.read(&pointer).await;
    let token = token.map_err(|failure| closed(&wallet.contents.log, u64::MAX, &pointer.client_id, failure))?;
    session.resolve(&pointer.did, Party::Asker).await?;
    let mut entry = Entry::new(session.now(), EntryKind::RequestFailed, &pointer.client_id);
    let request = match Request::verify(&token, &pointer, &session.dids, session.now()) {
        Ok(request) => request,
        Err(problem) => {
            note(&mut wallet, Entry { reason: problem.code.to_string(), ..entry })?;
            let message = Sentence::id("error-request-refused");
            return Err(Failure::from_problem(&problem, message, Sentence::id("hint-distrust")));
        }
    };
    if let Some(registrar) = registrar(&request, &wallet.contents, &Lists::of(&wallet.contents.trust, session.now()))
        && let Ok(did) = Did::parse(&registrar.did)
    {
        // One lookup after the registration arrived (spec/registration.md 4.5). If it fails, the registrar does not
        // count as trusted for now: the registration is refused, and the owner is told why.
        session.look_up(&did).await;
    }
    let introduction = Introduction::read(&request, &wallet.contents, session.now(), &session.dids);
    let own = |name: &str| request.words(name, &session.ui.messages.languages()).unwrap_or_default();
    entry.party_name =
        introduction.relying_party().map_or_else(|| own("verifier_name"), |registered| clean(&registered.name));
    entry.purpose = introduction
        .intended_use()
        .and_then(|known| {
            session.ui.messages.languages().pick(|language| known.purpose.get(language).map(String::as_str))
        })
        .unwrap_or_else(|| own("purpose"));
    let catalogue = session.catalogue()?;
    describe(&mut entry, &pointer, &request, &introduction, &catalogue);
    let mut entry = received(&mut wallet, entry)?;
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
    entry.approval = digest;
    let (parts, word) = match outcome {
        Ok(decided) => decided,
        Err(failure) => {
            note(&mut wallet, Entry { reason: failure.reason.clone(), ..entry })?;
            return Err(failure);
        }
    };
    match word {
        Word::Yes => {}
        Word::No => {
            note(&mut wallet, Entry { kind: EntryKind::RefusedByOwner, ..entry })?;
            return Err(Failure::declined(Sentence::id("undone-sent")));
        }
        Word::Unclear => {
            let failure = Failure::not_answered(Sentence::id("undone-sent"));
            note(&mut wallet, Entry { reason: failure.reason.clone(), ..entry })?;
            return Err(failure);
        }
        Word::Missing(failure) => return Err(failure),
    }
    let exchange = Exchange { pointer: &pointer, request: &request, introduction: &introduction };
    let sent = send(session, &mut wallet, &mut verifier, exchange, &parts, entry).await;
    // Copies were used, whatever the verifier answers.
    refill::when_low(session, &mut wallet).await;
    sent
}
