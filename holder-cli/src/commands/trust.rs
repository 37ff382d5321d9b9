//! Command `carnet trust`: manages the trust lists by which the wallet accepts registrars and issuers.

use std::fmt::Write;

use carnet_core::{
    Code, Problem, day,
    did::{Did, DidDocument, DidMethod, web},
    json::{self, Limits},
    trust::list::{AcceptedList, ListTimestamp, TrustList, TrustListContents},
};
use carnet_wallet::ports::DocumentSource as _;
use serde_json::{Map, Value, json};

use crate::{
    arguments::{AddTrust, RemoveTrust, TrustCommand, UpdateTrust},
    failure::{Failure, FailureKind, Sentence},
    session::{Session, file_without_mark},
    ui::{Ui, parties, sanitise::sanitise},
    wallet::{EntryKind, PinnedList, WalletLogEntry, WalletTrust},
};

/// Maximum number of intermediate lists that are read when the operators of a list have changed.
const MAX_PASSED: usize = 16;

/// Runs a subcommand of `carnet trust`.
pub(crate) async fn run(session: &Session, command: &TrustCommand) -> Result<(), Failure> {
    match command {
        TrustCommand::Add(arguments) => add(session, arguments).await,
        TrustCommand::List => list(session),
        TrustCommand::Update(arguments) => update(session, arguments).await,
        TrustCommand::Remove(arguments) => remove(session, arguments),
    }
}

async fn add(session: &Session, arguments: &AddTrust) -> Result<(), Failure> {
    let mut wallet = session.open()?;
    let mut pinned = PinnedList {
        issuer: arguments.issuer.clone(),
        operators: arguments.operators.clone(),
        quorum: arguments.quorum,
        least: arguments.least,
        source: source(&arguments.list)?,
        document: Map::new(),
        timestamp: None,
        operator_documents: Vec::new(),
    };
    let trust = &mut wallet.contents.trust;
    let (pinned, held) =
        fetched(session, &mut pinned, trust.seen.get(&arguments.issuer), arguments.accept.as_deref()).await?;
    replace(trust, pinned, &held);
    note(session, &mut wallet.contents.log, EntryKind::TrustListAdded, held.list());
    // Saved before any decision relies on it.
    wallet.save()?;
    let text = session.ui.messages.with("trust-added", &[("list", &title(&session.ui, &held))]);
    let text = format!("{text}{}", failed_lines(session, &held));
    session.ui.result(&format!("{text}\n"), &json!({"added": described(&held)}));
    Ok(())
}

fn list(session: &Session) -> Result<(), Failure> {
    let contents = session.read_without_texts()?;
    let (mut text, mut all) = (String::new(), Vec::new());
    for pinned in &contents.trust.lists {
        let seen = contents.trust.seen.get(&pinned.issuer);
        let now = session.now();
        let held = pinned.verify(&pinned.document, seen, None, now);
        let held = held.and_then(|held| held.check_fresh(now).map(|()| held));
        // Writing to a string does not fail.
        let _ = match &held {
            Ok(held) => writeln!(text, "{}{}", title(&session.ui, held), failed_lines(session, held)),
            Err(problem) => {
                let list = parties::known_name(&session.ui, "", &pinned.issuer);
                writeln!(text, "{list}  [{}] {}", problem.code, sanitise(&problem.detail))
            }
        };
        let mut one = json!({
            "issuer": pinned.issuer, "source": pinned.source, "operators": pinned.operators, "quorum": pinned.quorum,
            "sequence": seen.map(|seen| seen.sequence), "holds": held.is_ok(),
            "reason": held.as_ref().err().map(|problem| problem.code.as_str()),
        });
        if let (Ok(held), Some(members)) = (&held, one.as_object_mut()) {
            members.insert("valid_until".to_owned(), held.valid_until().to_string().into());
            members.insert("failed_proofs".to_owned(), failed_proofs(held));
            members.insert("timestamp_until".to_owned(), json!(held.fresh_until().map(|until| until.to_string())));
        }
        all.push(one);
    }
    if all.is_empty() {
        let _ = writeln!(text, "{}", session.ui.messages.text("trust-none"));
    }
    session.ui.result(&text, &json!({"trust_lists": all}));
    Ok(())
}

/// Result of updating the trust lists.
pub(super) struct Updated {
    /// Text for the screen, one line per updated list.
    pub(super) text: String,
    /// Updated lists as objects, for `--json`.
    pub(super) lists: Vec<Value>,
    /// First failure; other lists may have been updated nevertheless.
    pub(super) failure: Option<Failure>,
}

/// Fetches the newest version of each pinned list. A refused version does not replace the pinned one and does not stop
/// the other lists. A version with the digest `accept` is accepted regardless of versions accepted before. The caller
/// must save the wallet.
pub(super) async fn look(session: &Session, trust: &mut WalletTrust, accept: Option<&str>) -> Updated {
    let mut done = Updated { text: String::new(), lists: Vec::new(), failure: None };
    for mut pinned in trust.lists.clone() {
        let issuer = pinned.issuer.clone();
        let looked = fetched(session, &mut pinned, trust.seen.get(&issuer), accept).await;
        if let Some(known) = trust.lists.iter_mut().find(|known| known.issuer == pinned.issuer) {
            known.operator_documents = pinned.operator_documents;
        }
        match looked {
            Ok((newest, held)) => {
                replace(trust, newest, &held);
                let line = session.ui.messages.with("trust-updated", &[("list", &title(&session.ui, &held))]);
                done.text.push_str(&format!("{line}{}\n", failed_lines(session, &held)));
                done.lists.push(described(&held));
            }
            Err(one) => {
                done.failure.get_or_insert(one);
            }
        }
    }
    done
}

async fn update(session: &Session, arguments: &UpdateTrust) -> Result<(), Failure> {
    let mut wallet = session.open()?;
    let Updated { text, lists, failure } = look(session, &mut wallet.contents.trust, arguments.accept.as_deref()).await;
    wallet.save()?;
    let object = json!({"updated": lists});
    match failure {
        None => session.ui.result(&text, &object),
        Some(failure) => {
            session.ui.print_text(&text);
            return Err(failure.beside(object));
        }
    }
    Ok(())
}

fn remove(session: &Session, arguments: &RemoveTrust) -> Result<(), Failure> {
    let mut wallet = session.open()?;
    let lists = &mut wallet.contents.trust.lists;
    let missing = || {
        let message = Sentence::id("error-trust-unknown").with("list", sanitise(&arguments.issuer));
        Failure::new("not_found", message, Sentence::id("hint-trust-list"))
    };
    let at = lists.iter().position(|known| known.issuer == arguments.issuer).ok_or_else(missing)?;
    lists.remove(at);
    note(session, &mut wallet.contents.log, EntryKind::TrustListRemoved, &arguments.issuer);
    wallet.save()?;
    let text = session
        .ui
        .messages
        .with("trust-removed", &[("list", &parties::known_name(&session.ui, "", &arguments.issuer))]);
    session.ui.result(&format!("{text}\n"), &json!({"removed": {"issuer": arguments.issuer}}));
    Ok(())
}

fn note(session: &Session, log: &mut crate::wallet::log::WalletLog, kind: EntryKind, list: &str) {
    log.push(WalletLogEntry::new(session.now(), kind, list));
}

/// Stores a verified version of a list: as a new pinned list, or in place of the one with the same DID.
fn replace(trust: &mut WalletTrust, pinned: PinnedList, held: &TrustList) {
    trust.seen.insert(pinned.issuer.clone(), held.seen());
    match trust.lists.iter_mut().find(|known| known.issuer == pinned.issuer) {
        Some(known) => *known = pinned,
        None => trust.lists.push(pinned),
    }
}

/// Returns the source of a list: a URL unchanged, a file as an absolute path, since the wallet is also used from other
/// folders.
fn source(list: &str) -> Result<String, Failure> {
    if list.contains("://") {
        return Ok(list.to_owned());
    }
    let path = std::path::absolute(list).map_err(|error| {
        let message = Sentence::id("error-trust-path").with("list", sanitise(list)).details(error);
        Failure::usage("trust_list_unreadable", message, Sentence::id("hint-path"))
    })?;
    Ok(path.display().to_string())
}

/// Fetches the list from its source, and verifies it with the current DID documents of its operators. The pinned list
/// gets these documents too: it becomes invalid if an operator has revoked or removed its signing key, even if no new
/// list is accepted (spec/trust.md 7.8).
///
/// # Errors
/// The list is unavailable or invalid, or has no fresh timestamp although it needs one.
async fn fetched(
    session: &Session,
    pinned: &mut PinnedList,
    seen: Option<&AcceptedList>,
    accept: Option<&str>,
) -> Result<(PinnedList, TrustList), Failure> {
    let text = read(session, &pinned.source).await?;
    let document = json::parse_object(&text, Limits::LIST).map_err(|problem| refused(&problem))?;
    // Fetched after the list, so that the documents are no older than its keys.
    pinned.operator_documents = operator_documents(session, pinned).await;
    let mut newest = PinnedList { document, ..pinned.clone() };
    let held = match newest.verify(&newest.document, seen, accept, session.now()) {
        Ok(held) => Ok(held),
        Err(problem) => match passed(session, &newest, seen).await {
            Some(passed) => newest.verify(&newest.document, Some(&passed), accept, session.now()),
            None => Err(problem),
        },
    };
    let mut held = held.map_err(|problem| refused(&problem))?;
    if held.has_timestamps() {
        let looked = timestamp(session, &pinned.source, &mut held).await;
        // Without a fresh timestamp, the previous list remains valid until its own expires.
        held.check_fresh(session.now())
            .map_err(|stale| looked.as_ref().err().cloned().unwrap_or_else(|| refused(&stale)))?;
        newest.timestamp = looked.ok().or(newest.timestamp);
    }
    Ok((newest, held))
}

/// Reads the intermediate lists that changed the operators since the newest accepted list, and verifies each with the
/// operators before it. Returns the identity of the last one; `None` if there is none, or one is unavailable or
/// invalid.
async fn passed(session: &Session, newest: &PinnedList, seen: Option<&AcceptedList>) -> Option<AcceptedList> {
    let preview = TrustList::preview(&newest.document).ok()?;
    let known = seen.map_or(0, |seen| seen.sequence);
    let missed = preview.contents.operators?.named_in;
    let mut passed = None;
    for number in missed.into_iter().filter(|number| *number > known).take(MAX_PASSED) {
        let text = read(session, &TrustListContents::beside(&newest.source, number)).await.ok()?;
        let document = json::parse_object(&text, Limits::LIST).ok()?;
        passed = Some(newest.pass(&document, passed.as_ref().or(seen), session.now()).ok()?);
    }
    passed
}

/// Reads the timestamp next to a list, verifies it, and attaches it to the list.
async fn timestamp(session: &Session, source: &str, held: &mut TrustList) -> Result<Map<String, Value>, Failure> {
    let text = read(session, &ListTimestamp::beside(source)).await?;
    let document = json::parse_object(&text, Limits::DOCUMENT).map_err(|problem| refused(&problem))?;
    let timestamp = ListTimestamp::verify(&document, held, session.now()).map_err(|problem| refused(&problem))?;
    held.stamp(&timestamp);
    Ok(document)
}

/// Fetches the DID documents of the operators with a did:web. If a document is unavailable or malformed, the previous
/// one is kept; this stops neither the other operators nor the list (spec/trust.md 7.8).
async fn operator_documents(session: &Session, pinned: &PinnedList) -> Vec<Value> {
    let mut documents = Vec::new();
    for operator in &pinned.operators {
        let Ok(did) = Did::parse(operator) else { continue };
        if did.method() == DidMethod::Web {
            let known = || pinned.operator_documents.iter().find(|known| known.get("id") == Some(&json!(operator)));
            documents.extend(operator_document(session, &did).await.ok().or_else(|| known().cloned()));
        }
    }
    documents
}

async fn operator_document(session: &Session, did: &Did) -> Result<Value, Failure> {
    let url = web::document_url(did).map_err(|problem| refused(&problem))?;
    let text = session.download(&url, "application/did+json, application/json", Limits::DOCUMENT.max_bytes).await?;
    let document = json::parse(&text, Limits::DOCUMENT).map_err(|problem| refused(&problem))?;
    // A response that is no DID document of that DID says nothing about the pinned list.
    DidDocument::parse(did, &document).map_err(|problem| refused(&problem))?;
    Ok(document)
}

fn refused(problem: &Problem) -> Failure {
    let hint = match problem.code {
        Code::TrustListRollback | Code::TrustListConflict | Code::TrustListJump => "hint-trust-accept",
        _ => "hint-trust-newest",
    };
    let failure = Failure::from_problem(problem, Sentence::id("error-trust-refused"), Sentence::id(hint));
    let usage = matches!(problem.code, Code::DidMalformed | Code::MalformedValue);
    if usage { Failure { kind: FailureKind::Usage, ..failure } } else { failure }
}

async fn read(session: &Session, source: &str) -> Result<Vec<u8>, Failure> {
    if source.contains("://") {
        return session.download(source, "application/vc, application/json", Limits::LIST.max_bytes).await;
    }
    let read = tokio::fs::read(source).await.and_then(|text| file_without_mark(&text).map(<[u8]>::to_vec));
    read.map_err(|error| {
        let message = Sentence::id("error-trust-unreadable").with("source", sanitise(source)).details(error);
        Failure::usage("trust_list_unreadable", message, Sentence::id("hint-path"))
    })
}

fn title(ui: &Ui, held: &TrustList) -> String {
    format!(
        "{}  {}, {}",
        parties::known_name(ui, "", held.list()),
        held.contents().sequence,
        day::format_end(held.valid_until())
    )
}

/// Returns one line for each operator whose proof is invalid, if the other proofs reach the quorum; otherwise the list
/// itself is invalid.
fn failed_lines(session: &Session, held: &TrustList) -> String {
    let line = |(operator, problem): (&str, &Problem)| {
        let (operator, why) = (parties::known_name(&session.ui, "", operator), sanitise(&problem.to_string()));
        format!("\n{}", session.ui.messages.with("trust-failed-proof", &[("operator", &operator), ("why", &why)]))
    };
    held.failed_proofs().map(line).collect()
}

fn failed_proofs(held: &TrustList) -> Value {
    let one = |(operator, problem): (&str, &Problem)| json!({"operator": operator, "reason": problem.code.as_str(), "detail": problem.detail});
    held.failed_proofs().map(one).collect()
}

fn described(held: &TrustList) -> Value {
    json!({
        "issuer": held.list(), "sequence": held.contents().sequence, "digest": held.digest(),
        "valid_until": held.valid_until().to_string(), "signed_by": held.signed_by().collect::<Vec<_>>(),
        "failed_proofs": failed_proofs(held),
        "timestamp_until": held.fresh_until().map(|until| until.to_string()),
        "issuers": held.contents().issuers.len(), "registrars": held.contents().registrars.len(),
    })
}
