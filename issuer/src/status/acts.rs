//! Changes of status by staff: revoke, suspend, reinstate; and messages to holders. Checks a request, applies it and
//! publishes it.

use std::sync::Arc;

use carnet_core::time::Timestamp;

use super::changes::{StatusChange, StatusChangeResult, StatusTarget, apply_change};
use crate::{
    checks::{check_id, check_reason},
    error::Error,
    issuer::Issuer,
    secrets::{self, HashPurpose},
    store::{Store, status::StatusAction},
};

/// Maximum number of ids in one request.
const MAX_IDS: usize = 10_000;

/// Staff's request to change the status of credentials, or to send a message about them.
pub(crate) struct StatusChangeRequest {
    pub(crate) request_id: String,
    /// Name of the staff member; it is not compared in a repeated request.
    pub(crate) staff_name: String,
    pub(crate) action: StatusAction,
    pub(crate) reason: String,
    pub(crate) target: StatusTarget,
    /// Expected number of credentials, required unless there is one id or it is a dry run; with another number nothing
    /// is changed.
    pub(crate) expected_count: Option<u64>,
    /// `true` only counts the credentials, and changes nothing.
    pub(crate) dry_run: bool,
    /// `true` publishes the change at once, `false` at the next publication time; `None`: the default of the action
    /// ([`StatusAction::is_urgent`]).
    pub(crate) urgent: Option<bool>,
}

/// Time at which the status lists show a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PublicationTime {
    /// The published lists show it already.
    Published,
    /// Not yet, and at no set time: the publication failed and is retried. Also for changes that no list will show:
    /// messages, dry runs, and an issuer without published lists.
    Unscheduled,
    /// At this publication time, together with all pending changes.
    At(Timestamp),
}

impl<S: Store> Issuer<S> {
    /// Applies a change, and publishes it at once if it is urgent or there are no publication times. Returns the result
    /// and the time of publication. A repeated request_id with the same content changes nothing.
    ///
    /// # Errors
    /// The request is refused, and nothing is changed; store errors.
    pub(crate) async fn change_status(
        self: &Arc<Self>,
        request: StatusChangeRequest,
    ) -> Result<(StatusChangeResult, PublicationTime), Error> {
        check_id("request_id", &request.request_id)?;
        let reason = check_reason(&request.reason)?;
        let several = check_target(&request.target)?;
        if let StatusAction::Message(number) = request.action {
            let messages = self.messages().ok_or(Error::NoMessages)?;
            if number > 0 && messages.text(number).is_none() {
                return Err(Error::MessageUnknown { number });
            }
        }
        if several && request.expected_count.is_none() && !request.dry_run {
            return Err(Error::invalid(
                "expected_count",
                "this may match more than one credential: give the expected number, which a dry run returns",
            ));
        }
        let dry_run = request.dry_run;
        let waits = self.next_publication_time().filter(|_| !request.urgent.unwrap_or(request.action.is_urgent()));
        let act = StatusChange {
            request_digest: request_digest(&request, &reason),
            request_id: request.request_id,
            action: request.action,
            reason,
            staff_name: request.staff_name,
            target: request.target,
            expected_count: request.expected_count,
            dry_run,
            urgent: waits.is_none(),
            now: self.now(),
        };
        let (verb, is_message) = (act.action.as_str(), matches!(act.action, StatusAction::Message(_)));
        let acted = apply_change(&self.store, &act).await?;
        if dry_run {
            return Ok((acted, PublicationTime::Unscheduled));
        }
        let waits = if let Some(act) = acted.act_number {
            tracing::info!(
                act,
                verb,
                credentials = acted.credential_count,
                changed = acted.changed_count,
                "status changed"
            );
            waits
        } else {
            acted.pending_since.and_then(|since| self.publication_time_after(since))
        };
        if let (Some(at), false) = (waits, is_message) {
            return Ok((acted, PublicationTime::At(at)));
        }
        // In a task of its own: a caller who disconnects does not prevent the publication.
        let issuer = self.clone();
        let published = match tokio::spawn(async move { issuer.publish().await }).await {
            Ok(Ok(())) => self.status_publisher.published_lists().version >= acted.act_number.unwrap_or_default(),
            Ok(Err(error)) => {
                tracing::error!(%error, "a changed status could not be published yet; retrying soon");
                false
            }
            Err(_) => false,
        };
        // Messages are in no list: holders get them when they ask.
        let published = published && self.status_publisher.base_url().is_some() && !is_message;
        Ok((acted, if published { PublicationTime::Published } else { PublicationTime::Unscheduled }))
    }
}

/// Refuses no or too many ids, malformed ids, and an empty filter. Returns `true` if more than one credential can
/// match.
fn check_target(whom: &StatusTarget) -> Result<bool, Error> {
    match whom {
        StatusTarget::Ids(ids) => {
            if ids.is_empty() || ids.len() > MAX_IDS {
                return Err(Error::invalid("ids", format!("must be 1 to {MAX_IDS} ids, or there must be a filter")));
            }
            ids.iter().try_for_each(|id| check_id("ids", id))?;
            Ok(ids.len() > 1)
        }
        StatusTarget::Matching { credential_type, from, until } => {
            if credential_type.is_none() && from.is_none() && until.is_none() {
                return Err(Error::invalid("filter", "is empty and would match every credential"));
            }
            Ok(true)
        }
    }
}

/// Returns the digest of a request, by which a repetition is recognised: of everything that determines the change.
fn request_digest(request: &StatusChangeRequest, reason: &str) -> secrets::Sha256Hash {
    let time = |at: &Option<Timestamp>| at.map(|at| at.unix().to_string()).unwrap_or_default();
    let verb = match request.action {
        StatusAction::Message(number) => format!("message {number}"),
        verb => verb.as_str().to_owned(),
    };
    let mut parts = vec![verb, reason.to_owned()];
    // Earlier requests have no such part.
    parts.extend(request.urgent.map(|urgent| format!("urgent {urgent}")));
    match &request.target {
        StatusTarget::Ids(ids) => parts.extend(ids.iter().cloned()),
        StatusTarget::Matching { credential_type, from, until } => {
            parts.extend(["filter".to_owned(), credential_type.clone().unwrap_or_default(), time(from), time(until)]);
        }
    }
    let parts: Vec<&[u8]> = parts.iter().map(String::as_bytes).collect();
    secrets::purpose_hash(HashPurpose::StatusAct, &parts)
}
