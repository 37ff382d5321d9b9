//! Trust lists that the holder pins: adding, updating and removing them (spec/trust.md section 7).

use std::path::Path;

use carnet_core::{
    Code, Problem,
    did::{Did, DidDocument, DidMethod, web},
    json::{self, Limits},
    trust::list::{AcceptedList, ListTimestamp, TrustList, TrustListContents},
};
use serde_json::{Map, Value, json};

use crate::{
    failure::{Failure, FailureKind, FailureReason, Sentence},
    ports::{DocumentSource as _, Ports},
    sanitise::sanitise,
    store::{LogEntryKind, PinnedList, Wallet, WalletLogEntry, WalletStore, WalletTrust},
};

/// Maximum number of intermediate lists that are read when the operators of a list have changed.
const MAX_PASSED: usize = 16;

/// Fetches and verifies the newest version of a list, and pins the list. A version with the digest `accept` is accepted
/// regardless of versions accepted before. The log records it, and the wallet is saved.
///
/// # Errors
/// The list cannot be read or is invalid; the wallet cannot be saved.
pub async fn add_list(
    ports: &impl Ports,
    wallet: &mut Wallet<impl WalletStore>,
    mut pinned: PinnedList,
    accept: Option<&str>,
) -> Result<TrustList, Failure> {
    let trust = &mut wallet.contents.trust;
    let seen = trust.accepted.get(&pinned.issuer).cloned();
    let (newest, held) = fetch_list(ports, &mut pinned, seen.as_ref(), accept).await?;
    store_list(trust, newest, &held);
    wallet.contents.log.push(WalletLogEntry::new(ports.now(), LogEntryKind::TrustListAdded, held.list_id()));
    // Saved before any decision relies on it.
    wallet.save()?;
    Ok(held)
}

/// Fetches the newest version of each pinned list. A refused version does not replace the pinned one and does not stop
/// the other lists. A version with the digest `accept` is accepted regardless of versions accepted before. Returns the
/// updated lists and the first failure. The caller saves the wallet.
pub async fn update_lists(
    ports: &impl Ports,
    trust: &mut WalletTrust,
    accept: Option<&str>,
) -> (Vec<TrustList>, Option<Failure>) {
    let (mut updated, mut failure) = (Vec::new(), None);
    for mut pinned in trust.lists.clone() {
        let seen = trust.accepted.get(&pinned.issuer);
        let fetched = fetch_list(ports, &mut pinned, seen, accept).await;
        if let Some(known) = trust.lists.iter_mut().find(|known| known.issuer == pinned.issuer) {
            known.operator_documents = pinned.operator_documents;
        }
        match fetched {
            Ok((newest, held)) => {
                store_list(trust, newest, &held);
                updated.push(held);
            }
            Err(one) => {
                failure.get_or_insert(one);
            }
        }
    }
    (updated, failure)
}

/// Unpins the list with the DID `issuer`. The log records it, and the wallet is saved. Versions older than the newest
/// accepted one stay refused.
///
/// # Errors
/// `not_found`; the wallet cannot be saved.
pub fn remove_list(ports: &impl Ports, wallet: &mut Wallet<impl WalletStore>, issuer: &str) -> Result<(), Failure> {
    let lists = &mut wallet.contents.trust.lists;
    let at = lists.iter().position(|known| known.issuer == issuer).ok_or_else(|| {
        let message = Sentence::new("error-trust-unknown").with("list", sanitise(issuer));
        Failure::new(FailureReason::NotFound, message, Sentence::new("hint-trust-list"))
    })?;
    lists.remove(at);
    wallet.contents.log.push(WalletLogEntry::new(ports.now(), LogEntryKind::TrustListRemoved, issuer));
    wallet.save()
}

/// Returns the source of a list to be stored: a URL unchanged, a file as an absolute path, since the wallet is also
/// used from other directories.
///
/// # Errors
/// `trust_list_unreadable`: the path is empty, or the current directory is gone.
pub fn list_source(list: &str) -> Result<String, Failure> {
    if list.contains("://") {
        return Ok(list.to_owned());
    }
    let path = std::path::absolute(list).map_err(|error| {
        let message = Sentence::new("error-trust-path").with("list", sanitise(list)).with_details(error);
        Failure::usage(FailureReason::TrustListUnreadable, message, Sentence::new("hint-path"))
    })?;
    Ok(path.display().to_string())
}

/// Stores a verified version of a list: as a new pinned list, or in place of the one with the same DID.
fn store_list(trust: &mut WalletTrust, pinned: PinnedList, held: &TrustList) {
    trust.accepted.insert(pinned.issuer.clone(), held.identity());
    match trust.lists.iter_mut().find(|known| known.issuer == pinned.issuer) {
        Some(known) => *known = pinned,
        None => trust.lists.push(pinned),
    }
}

/// Fetches the list from its source, and verifies it with the current DID documents of its operators. The pinned list
/// gets these documents too: it becomes invalid if an operator has revoked or removed its signing key, even if no new
/// list is accepted (spec/trust.md 7.8).
///
/// # Errors
/// The list is unavailable or invalid, or has no fresh timestamp although it needs one.
async fn fetch_list(
    ports: &impl Ports,
    pinned: &mut PinnedList,
    seen: Option<&AcceptedList>,
    accept: Option<&str>,
) -> Result<(PinnedList, TrustList), Failure> {
    let text = read(ports, &pinned.source).await?;
    let document = json::parse_object(&text, Limits::STATUS_LIST).map_err(|problem| refused(&problem))?;
    // Fetched after the list, so that the documents are no older than its keys.
    pinned.operator_documents = operator_documents(ports, pinned).await;
    let mut newest = PinnedList { document, ..pinned.clone() };
    let held = match newest.verify(&newest.document, seen, accept, ports.now()) {
        Ok(held) => Ok(held),
        Err(problem) => match verify_intermediates(ports, &newest, seen).await {
            Some(passed) => newest.verify(&newest.document, Some(&passed), accept, ports.now()),
            None => Err(problem),
        },
    };
    let mut held = held.map_err(|problem| refused(&problem))?;
    if held.names_timestamp_signers() {
        let stamped = fetch_timestamp(ports, &pinned.source, &mut held).await;
        // Without a fresh timestamp, the previous list remains valid until its own expires.
        held.require_timestamp(ports.now())
            .map_err(|stale| stamped.as_ref().err().cloned().unwrap_or_else(|| refused(&stale)))?;
        newest.timestamp = stamped.ok().or(newest.timestamp);
    }
    Ok((newest, held))
}

/// Reads the intermediate lists that changed the operators since the newest accepted list, and verifies each with the
/// operators before it. Returns the identity of the last one; `None` if there is none, or one is unavailable or
/// invalid.
async fn verify_intermediates(
    ports: &impl Ports,
    newest: &PinnedList,
    seen: Option<&AcceptedList>,
) -> Option<AcceptedList> {
    let preview = TrustList::preview(&newest.document).ok()?;
    let known = seen.map_or(0, |seen| seen.sequence);
    let missed = preview.contents.operators?.named_in;
    let mut passed = None;
    for number in missed.into_iter().filter(|number| *number > known).take(MAX_PASSED) {
        let text = read(ports, &TrustListContents::history_url(&newest.source, number)).await.ok()?;
        let document = json::parse_object(&text, Limits::STATUS_LIST).ok()?;
        passed = Some(newest.verify_handover(&document, passed.as_ref().or(seen), ports.now()).ok()?);
    }
    passed
}

/// Reads the timestamp next to a list, verifies it, and attaches it to the list.
async fn fetch_timestamp(
    ports: &impl Ports,
    source: &str,
    held: &mut TrustList,
) -> Result<Map<String, Value>, Failure> {
    let text = read(ports, &ListTimestamp::timestamp_url(source)).await?;
    let document = json::parse_object(&text, Limits::DOCUMENT).map_err(|problem| refused(&problem))?;
    let timestamp = ListTimestamp::verify(&document, held, ports.now()).map_err(|problem| refused(&problem))?;
    held.add_timestamp(&timestamp);
    Ok(document)
}

/// Fetches the DID documents of the operators with a did:web. If a document is unavailable or malformed, the previous
/// one is kept; this stops neither the other operators nor the list (spec/trust.md 7.8).
async fn operator_documents(ports: &impl Ports, pinned: &PinnedList) -> Vec<Value> {
    let mut documents = Vec::new();
    for operator in &pinned.operators {
        let Ok(did) = Did::parse(operator) else { continue };
        if did.method() == DidMethod::Web {
            let known = || pinned.operator_documents.iter().find(|known| known.get("id") == Some(&json!(operator)));
            documents.extend(operator_document(ports, &did).await.ok().or_else(|| known().cloned()));
        }
    }
    documents
}

async fn operator_document(ports: &impl Ports, did: &Did) -> Result<Value, Failure> {
    let url = web::document_url(did).map_err(|problem| refused(&problem))?;
    let accept = "application/did+json, application/json";
    let text = ports.documents().download(&url, accept, Limits::DOCUMENT.max_bytes).await?;
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
    let failure = Failure::from_problem(problem, Sentence::new("error-trust-refused"), Sentence::new(hint));
    let usage = matches!(problem.code, Code::DidMalformed | Code::MalformedValue);
    if usage { Failure { kind: FailureKind::Usage, ..failure } } else { failure }
}

async fn read(ports: &impl Ports, source: &str) -> Result<Vec<u8>, Failure> {
    if source.contains("://") {
        let accept = "application/vc, application/json";
        return ports.documents().download(source, accept, Limits::STATUS_LIST.max_bytes).await;
    }
    carnet_disk::read_user_file(Path::new(source)).map(|text| text.to_vec()).map_err(|error| {
        let message = Sentence::new("error-trust-unreadable").with("source", sanitise(source)).with_details(error);
        Failure::usage(FailureReason::TrustListUnreadable, message, Sentence::new("hint-path"))
    })
}
