//! Reissue: presents one copy in full to its issuer, and gets new copies of the same credential (refill,
//! spec/protocol.md section 3) or copies with a later expiry (renewal).
//!
//! Nothing new is stored before the response arrives. After a lost response, the wallet asks again with a new nonce and
//! new keys, since the issuer signs only one copy for each key.

use carnet_core::{Code, Problem, format::CredentialFormat, secure::sd_jwt::SdJwt, time::Timestamp};
use carnet_spec::{Catalogue, CredentialType};
use rand_core::{OsRng, RngCore};

use crate::{
    address::belongs_to_issuer,
    failure::{DataSafety, Failure, FailureKind, FailureReason, FaultParty, Sentence},
    issuance::{CredentialContent, DateRequirement, IssuanceRequirements, fetch_directory, verify_copies},
    ports::{DocumentSource as _, IssuanceNotification, IssuanceResponse, Ports},
    sanitise::sanitise,
    store::{
        CredentialCopy, HeldCredential, LogEntryKind, LoggedCredential, PendingIssuance, Wallet, WalletContents,
        WalletLogEntry, WalletStore,
    },
};

mod exchange;
pub mod renewal;

use exchange::ReissueSession;

/// Number of presented copies that keep their text, to be presented again to the same verifier. Of older ones only the
/// key is kept.
const SHOWN_KEPT: usize = 50;

/// Chooses the number of unused copies at which a credential is refilled next: 2 to 4 at random, at most half of the
/// `fresh` copies. The issuer can thus not infer the number of presentations.
pub(crate) fn choose_refill_threshold(fresh: usize) -> u8 {
    let drawn = u8::try_from(OsRng.next_u32() % 3).unwrap_or_default().saturating_add(2);
    u8::try_from(fresh / 2).map_or(drawn, |half| half.min(drawn))
}

/// Returns the reason why a credential cannot be refilled: its format has no selective disclosure, it has expired, its
/// issuer's service is unknown, or no copy can be presented. `None` if it can.
pub fn unrefillable_reason(held: &HeldCredential, now: Timestamp) -> Option<Failure> {
    let failure =
        |reason: FailureReason, message, hint| Some(Failure::new(reason, Sentence::new(message), Sentence::new(hint)));
    if format_of(held).is_none() {
        return failure(FailureReason::RefillUnsupported, "error-refill-format", "hint-nothing-missing");
    }
    if held.valid_until.is_some_and(|until| now > until) {
        return failure(Code::Expired.into(), "error-document-ended", "hint-its-issuer");
    }
    // Credentials stored by earlier versions are held to the same rule.
    if !held.endpoint.as_deref().is_some_and(|endpoint| belongs_to_issuer(endpoint, &held.issuer)) {
        return failure(FailureReason::EndpointUnknown, "error-endpoint-unknown", "hint-holds-offer");
    }
    if copy_to_present(held).is_none() {
        return failure(FailureReason::CopyMissing, "error-no-copy-left", "hint-holds-offer");
    }
    None
}

/// Returns the failure for a credential that is not in the wallet.
fn no_such_credential() -> Failure {
    Failure::new(FailureReason::NotFound, Sentence::new("error-no-document"), Sentence::new("hint-list"))
}

/// Returns whether a voucher was issued before vouchers had serials: its type has serials now, and the credential has
/// none.
pub fn predates_serials(held: &HeldCredential, known: &CredentialType) -> bool {
    known.serials.is_some() && held.serials.is_none()
}

/// Kind of reissue: the exchange of a copy that is presented to its issuer for new copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reissue {
    /// More copies with the same claims and validity.
    Refill,
    /// Copies with a later expiry.
    Renewal,
}

/// Result of a reissue.
#[derive(Debug)]
pub enum ReissueResult {
    /// Copies were stored: the number of new copies, and the names of the claims that a renewal changed.
    Stored(usize, Vec<String>),
    /// The issuer's staff must approve the renewal, which is pending now; with the interval before the next request, in
    /// seconds.
    Deferred(u32),
}

impl ReissueResult {
    /// Returns the number of new copies; 0 if none were stored yet.
    #[must_use]
    pub const fn new_copies(&self) -> usize {
        match self {
            Self::Stored(copies, _) => *copies,
            Self::Deferred(_) => 0,
        }
    }
}

/// Exchanges a copy of the credential at `index` for new copies, verifies them, and stores them. A renewal that the
/// issuer's staff must approve is stored as a pending issuance.
///
/// # Errors
/// The credential cannot be reissued, the issuer refuses, or the copies are invalid; then no new copies are stored. An
/// unused copy that was presented to the issuer stays recorded as presented.
pub async fn reissue(
    ports: &impl Ports,
    catalogue: &Catalogue,
    wallet: &mut Wallet<impl WalletStore>,
    index: usize,
    kind: Reissue,
) -> Result<ReissueResult, Failure> {
    let held = wallet.contents.credentials.get(index).cloned().ok_or_else(no_such_credential)?;
    let known = catalogue.credential_type(&held.type_name);
    if let Some(failure) = unreissuable_reason(kind, &held, known, &wallet.contents.pending_issuances, ports.now()) {
        return Err(failure);
    }
    let (mut issuer, session) = ReissueSession::begin(ports, wallet, index).await?;
    let since = ports.now();
    // Fetched before the copies: without the directory they could not be checked.
    let directory = match known {
        Some(known) if known.is_builtin => fetch_directory(ports, &held.issuer).await?,
        _ => None,
    };
    let (keys, answer) = session.exchange(issuer.as_mut(), kind).await.map_err(explain_refusal)?;
    let (copies, notification) = match answer {
        IssuanceResponse::Issued(copies, notification) => (copies, notification),
        IssuanceResponse::Deferred(transaction, interval) => {
            renewal::store_deferred(wallet, &held, keys, transaction, ports.now())?;
            return Ok(ReissueResult::Deferred(interval.max(1)));
        }
    };
    let promise = session.expected_credential();
    let days = match kind {
        Reissue::Refill => DateRequirement::Unchanged,
        Reissue::Renewal => {
            DateRequirement::Renewed { since, ended: held.valid_until, window_days: promise.renewal_window_days }
        }
    };
    let expected = IssuanceRequirements {
        expected: &promise,
        keys: &keys,
        held: &wallet.contents.credentials,
        dates: days,
        directory: directory.as_ref(),
        resolver: ports.documents().resolver(),
        catalogue,
        now: ports.now(),
    };
    let checked = verify_copies(&copies, &expected).map_err(unheld).and_then(|fresh| match (kind, known) {
        (Reissue::Refill, Some(known)) => {
            Ok((Vec::new(), check_unchanged(&held, &session.token, fresh, (known, ports.now()))?))
        }
        _ => Ok((renewal::check_extension(&held, &fresh)?, fresh)),
    });
    let (changed, fresh) = match checked {
        Ok(checked) => checked,
        Err(failure) => {
            let _ = issuer.notify(None, &notification, IssuanceNotification::Failure).await;
            return Err(failure.with_safety(DataSafety::Issuer));
        }
    };
    let (added, before) = (fresh.copies.len(), wallet.contents.clone());
    match kind {
        Reissue::Refill => add_copies(&mut wallet.contents, index, fresh, ports.now()),
        Reissue::Renewal => replace_copies(&mut wallet.contents, index, fresh, ports.now()),
    }
    let saved = wallet.save().inspect_err(|_| wallet.contents = before);
    saved.map_err(|failure| failure.with_safety(DataSafety::Issuer))?;
    // The copies are stored; a lost notification makes no difference for the holder.
    let _ = issuer.notify(None, &notification, IssuanceNotification::Accepted).await;
    Ok(ReissueResult::Stored(added, changed))
}

/// Returns the reason why a credential cannot be reissued; `None` if it can. `known` is its type in the catalogue.
fn unreissuable_reason(
    kind: Reissue,
    held: &HeldCredential,
    known: Option<&CredentialType>,
    pending: &[PendingIssuance],
    now: Timestamp,
) -> Option<Failure> {
    if kind == Reissue::Renewal {
        return renewal::unrenewable_reason(held, pending, now);
    }
    let Some(known) = known else {
        let message = Sentence::new("error-type-unknown").with("type", sanitise(&held.type_name));
        return Some(Failure::new(Code::TypeUnknown, message, Sentence::new("hint-type-came")));
    };
    predates_serials(held, known).then(|| {
        let message = Sentence::new("error-former-voucher");
        Failure::new(FailureReason::RefillUnsupported, message, Sentence::new("hint-holds-end"))
    })
}

fn unheld(problem: Problem) -> Failure {
    Failure::from_problem(&problem, Sentence::new("error-copies-refused"), Sentence::new("hint-holds-tell-name"))
        .with_fault(FaultParty::Issuer)
}

/// Checks that refilled copies have the same claims as before, and the same dates or those dates rounded down to the
/// issuer's epoch: a refill must not change the content of a credential. Returns the copies.
///
/// # Errors
/// `claims_changed`
fn check_unchanged(
    held: &HeldCredential,
    before: &SdJwt,
    fresh: HeldCredential,
    (known, now): (&CredentialType, Timestamp),
) -> Result<HeldCredential, Failure> {
    // Dates are compared by day.
    let days: &[&str] = if held.format == CredentialFormat::DcSdJwt {
        &["nbf", "exp"]
    } else {
        &["validFrom", "validUntil", "nbf", "exp"]
    };
    let said = |token: &SdJwt| -> Result<_, Problem> {
        let mut members = CredentialContent::of(&token.resolve_disclosures()?.payload, Some(known)).members;
        members.retain(|name, _| !days.contains(&name.as_str()));
        Ok(members)
    };
    let first = fresh.copies.first().map(|copy| copy.credential.text()).unwrap_or_default();
    let rounded = fresh.epoch.zip(held.valid_from).zip(held.valid_until);
    let rounded = rounded.and_then(|((epoch, from), until)| epoch.round_validity(from, until, now));
    let same = || -> Result<bool, Problem> {
        let same = days_of(held) == days_of(&fresh) || rounded.is_some_and(|rounded| days_of(&fresh) == Some(rounded));
        Ok(same && said(before)? == said(&SdJwt::parse(&first)?)?)
    };
    if same().map_err(|problem| damaged(&problem))? {
        return Ok(fresh);
    }
    let message = Sentence::new("error-claims-changed");
    Err(Failure::new(FailureReason::ClaimsChanged, message, Sentence::new("hint-claims-changed"))
        .with_fault(FaultParty::Issuer))
}

/// Returns the validity dates of a credential.
fn days_of(held: &HeldCredential) -> Option<(Timestamp, Timestamp)> {
    held.valid_from.zip(held.valid_until)
}

/// Adds refilled copies to their credential, and logs them. If their dates differ from those before, they replace the
/// earlier copies.
fn add_copies(contents: &mut WalletContents, index: usize, fresh: HeldCredential, now: Timestamp) {
    match contents.credentials.get_mut(index) {
        Some(held) if days_of(held) == days_of(&fresh) => {
            held.epoch = fresh.epoch;
            held.discard_outdated();
            held.copies.extend(fresh.copies);
            held.refill_threshold = choose_refill_threshold(held.unused_copies());
            limit_presented_copies(&mut held.copies);
            log_received(contents, index, now);
        }
        _ => replace_copies(contents, index, fresh, now),
    }
}

/// Replaces the copies and validity dates of the credential at `index`, and logs the receipt of the copies.
pub(crate) fn replace_copies(contents: &mut WalletContents, index: usize, fresh: HeldCredential, now: Timestamp) {
    let Some(held) = contents.credentials.get_mut(index) else { return };
    let low_water = choose_refill_threshold(fresh.copies.len());
    held.replace_copies(fresh, low_water);
    log_received(contents, index, now);
}

fn log_received(contents: &mut WalletContents, index: usize, now: Timestamp) {
    let Some(held) = contents.credentials.get(index) else { return };
    contents.log.push(WalletLogEntry {
        party_name: held.issuer_name.clone(),
        credentials: vec![LoggedCredential::without_disclosures(&held.id, &held.type_name)],
        ..WalletLogEntry::new(now, LogEntryKind::Received, &held.issuer)
    });
}

/// Deletes the text of presented copies, oldest first, to limit the size of the wallet. Their keys and verifiers
/// remain, because erasure requests need them.
fn limit_presented_copies(copies: &mut [CredentialCopy]) {
    let shown = copies.iter_mut().filter(|copy| copy.is_presentable() && !copy.presented_to.is_empty());
    let mut shown: Vec<&mut CredentialCopy> = shown.collect();
    let excess = shown.len().saturating_sub(SHOWN_KEPT);
    for copy in shown.iter_mut().take(excess) {
        copy.delete_text();
    }
}

/// Returns the index of the copy to present to the issuer: preferably one that the issuer or a verifier has seen, so
/// that no unused copy is used up. `None` if no copy can be presented.
fn copy_to_present(held: &HeldCredential) -> Option<usize> {
    let kept = held.copies.iter().enumerate().filter(|(_, copy)| copy.is_presentable());
    kept.min_by_key(|(_, copy)| (copy.is_unused(), !copy.presented_to.contains(&held.issuer))).map(|(index, _)| index)
}

/// Returns the credential's format if such credentials can be refilled; otherwise `None`.
fn format_of(held: &HeldCredential) -> Option<CredentialFormat> {
    Some(held.format).filter(|format| format.is_sd_jwt())
}

/// Adds an explanation for the holder to an issuer's refusal.
fn explain_refusal(failure: Failure) -> Failure {
    let failure = failure.with_safety(DataSafety::Issuer);
    match failure.reason {
        FailureReason::CopyUnknown | FailureReason::RefillUnsupported => {
            Failure { hint: Sentence::new("hint-holds-offer"), ..failure }
        }
        FailureReason::InvalidNonce => {
            Failure { hint: Sentence::new("hint-again"), kind: FailureKind::Temporary, ..failure }
        }
        _ => failure,
    }
}

fn damaged(problem: &Problem) -> Failure {
    Failure::from_problem(problem, Sentence::new("error-copy-unshowable"), Sentence::new("hint-new-offer"))
}

#[cfg(test)]
mod tests;
