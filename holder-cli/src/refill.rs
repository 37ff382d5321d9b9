//! Refill: exchanges one copy, presented in full to its issuer, for fresh ones of the same credential (spec/protocol.md
//! section 3).
//!
//! Nothing is stored before the response arrives. After a lost response, the wallet asks again with a new nonce and new
//! keys, since the issuer signs each key once.

use std::time::Duration;

use carnet_core::{
    Problem,
    epoch::Epoch,
    format::CredentialFormat,
    keys::Signer as _,
    secure::sd_jwt::{SdJwt, Stapled},
    time::Timestamp,
};
use carnet_spec::{Catalogue, CredentialType};
use carnet_wallet::{
    address::{is_of, service_address},
    ports::{IssuerClient as _, Notification},
    promise::CredentialConfiguration,
};
use rand_core::{OsRng, RngCore};

use crate::{
    client::issuance::Issuer,
    collect::{Days, Expected, Said, draw_keys, proofs, verified},
    directory::fetch_directory,
    failure::{Failure, FailureKind, Safety, Sentence, Spoken as _},
    freshness::confirm_new,
    promise::Promise,
    session::Session,
    ui::{labels::Labels, sanitise::clean},
    wallet::{Copy, Entry, EntryKind, HeldCredential, HolderKey, ShownPart, WalletFile},
};

/// Number of shown copies that keep their text, to be shown again to the same verifier. Older ones keep their key only.
const SHOWN_KEPT: usize = 50;
/// Maximum delay of another command by an automatic refill.
const PATIENCE: Duration = Duration::from_secs(10);
pub(crate) const NONCE_REFUSED: &str = "invalid_nonce";

/// Draws the low-water mark of fresh copies at which a credential is refilled next: 2 to 4, or half of a small batch.
/// It is drawn for each refill, so that the issuer cannot infer a count of presentations.
pub(crate) fn draw_low_water(fresh: usize) -> u8 {
    let drawn = u8::try_from(OsRng.next_u32() % 3).unwrap_or_default().saturating_add(2);
    u8::try_from(fresh / 2).map_or(drawn, |half| half.min(drawn))
}

/// Returns the reason why a credential cannot be refilled, if there is one.
pub(crate) fn unrefillable(held: &HeldCredential, now: Timestamp) -> Option<Failure> {
    let failure = |reason: &str, message, hint| Some(Failure::new(reason, Sentence::id(message), Sentence::id(hint)));
    if format_of(held).is_none() {
        return failure("refill_unsupported", "error-refill-format", "hint-nothing-missing");
    }
    if held.valid_until.is_some_and(|until| now > until) {
        return failure("expired", "error-document-ended", "hint-its-issuer");
    }
    // Credentials stored by earlier versions are held to the same rule.
    if !held.endpoint.as_deref().is_some_and(|endpoint| is_of(endpoint, &held.issuer)) {
        return failure("endpoint_unknown", "error-endpoint-unknown", "hint-holds-offer");
    }
    if to_show(held).is_none() {
        return failure("copy_missing", "error-no-copy-left", "hint-holds-offer");
    }
    None
}

/// Error for a document that is not in the wallet.
fn gone() -> Failure {
    Failure::new("not_found", Sentence::id("error-no-document"), Sentence::id("hint-list"))
}

/// Refills every credential that runs low. It never fails: a failure becomes a note.
pub(crate) async fn when_low(session: &Session, wallet: &mut WalletFile) {
    let low = low(wallet, session.now());
    if low.is_empty() {
        return;
    }
    let Ok(catalogue) = session.catalogue() else { return };
    for index in low {
        let name = wallet.contents.credentials.get(index).map(|held| held.type_name.clone()).unwrap_or_default();
        let held = wallet.contents.credentials.get(index).zip(catalogue.credential_type(&name));
        if held.is_some_and(|(held, known)| is_former_voucher(held, known)) {
            continue;
        }
        let label = Labels::new(&catalogue, &name, &session.ui.messages).document();
        // A timeout leaves the wallet unchanged: nothing is stored before the copies are.
        match tokio::time::timeout(PATIENCE, refill(session, &catalogue, wallet, index)).await {
            Ok(Ok(added)) => {
                let arguments = [("count", added.to_string()), ("document", label)];
                session.ui.note(&session.ui.messages.with("note-refilled", &borrowed(&arguments)));
            }
            Ok(Err(failure)) => {
                let hint = failure.hint.said(&session.ui.messages);
                let arguments = [("document", label), ("reason", failure.reason), ("hint", hint)];
                session.ui.note(&session.ui.messages.with("note-not-refilled", &borrowed(&arguments)));
            }
            Err(_) => session.ui.note(&session.ui.messages.with("note-refill-late", &[("document", &label)])),
        }
    }
    confirm_new(session, wallet).await;
}

fn borrowed<'a, const N: usize>(arguments: &'a [(&'static str, String); N]) -> [(&'static str, &'a str); N] {
    arguments.each_ref().map(|(name, value)| (*name, value.as_str()))
}

/// Tests if a voucher is from before serials existed.
pub(crate) fn is_former_voucher(held: &HeldCredential, known: &CredentialType) -> bool {
    known.serials.is_some() && held.serials.is_none()
}

/// Returns the refillable credentials that run low.
fn low(wallet: &WalletFile, now: Timestamp) -> Vec<usize> {
    let all = wallet.contents.credentials.iter().enumerate();
    let low = |held: &HeldCredential| held.is_low() || held.has_outdated_copies();
    all.filter(|(_, held)| low(held) && unrefillable(held, now).is_none()).map(|(index, _)| index).collect()
}

/// Requests fresh copies of one credential, stores them, and returns their number.
pub(crate) async fn refill(
    session: &Session,
    catalogue: &Catalogue,
    wallet: &mut WalletFile,
    index: usize,
) -> Result<usize, Failure> {
    let held = wallet.contents.credentials.get(index).cloned().ok_or_else(gone)?;
    let known = catalogue.credential_type(&held.type_name).ok_or_else(|| {
        let message = Sentence::id("error-type-unknown").with("type", clean(&held.type_name));
        Failure::new("type_unknown", message, Sentence::id("hint-type-came"))
    })?;
    if is_former_voucher(&held, known) {
        let message = Sentence::id("error-former-voucher");
        return Err(Failure::new("refill_unsupported", message, Sentence::id("hint-holds-end")));
    }
    let (mut issuer, showing) = Showing::begin(session, wallet, index).await?;
    // Fetched before the copies: without the directory they could not be checked.
    let directory = if known.bundled { fetch_directory(session, &held.issuer).await? } else { None };
    let answered = showing.refill(&mut issuer).await;
    let (keys, copies, notification) = answered.map_err(explained)?;
    let (token, promise) = (&showing.token, showing.promise());
    let expected = Expected {
        promise: &promise,
        keys: &keys,
        held: &wallet.contents.credentials,
        days: Days::Kept,
        directory: directory.as_ref(),
        resolver: &session.dids,
        catalogue,
        now: session.now(),
    };
    let checked = verified(&copies, &expected)
        .map_err(|problem| {
            let message = Sentence::id("error-copies-refused");
            Failure::from_problem(&problem, message, Sentence::id("hint-holds-tell-name"))
        })
        .and_then(|fresh| unchanged(&held, token, fresh, (known, session.now())));
    let fresh = match checked {
        Ok(fresh) => fresh,
        Err(failure) => {
            let _ = issuer.notify(None, &notification, Notification::Failure).await;
            return Err(failure.with_safety(Safety::Issuer));
        }
    };
    let added = fresh.copies.len();
    add(wallet, index, fresh, session.now()).map_err(|failure| failure.with_safety(Safety::Issuer))?;
    // The copies are stored; a lost notification makes no difference for the owner.
    let _ = issuer.notify(None, &notification, Notification::Accepted).await;
    Ok(added)
}

/// Result of an exchange: the drawn keys, their copies, and the notification id.
type Exchanged = (Vec<HolderKey>, Vec<String>, String);

/// Copy to present to its issuer.
pub(crate) struct Showing<'a> {
    session: &'a Session,
    pub(crate) held: HeldCredential,
    key: HolderKey,
    pub(crate) token: SdJwt,
    /// Maximum batch size.
    most: u32,
    /// Epoch and renewal window that the issuer states for the configuration.
    rules: (Option<Epoch>, u32),
}

/// Parts of a request: the keys of the new copies, the presented copy, and one proof per key.
pub(crate) type Prepared = (Vec<HolderKey>, String, Vec<String>);

impl<'a> Showing<'a> {
    /// Connects to the issuer of a credential, checks its identity, and chooses the copy to present. A fresh copy is
    /// marked as shown before it is sent.
    pub(crate) async fn begin(
        session: &'a Session,
        wallet: &mut WalletFile,
        index: usize,
    ) -> Result<(Issuer, Self), Failure> {
        let held = wallet.contents.credentials.get(index).cloned().ok_or_else(gone)?;
        if let Some(failure) = unrefillable(&held, session.now()) {
            return Err(failure);
        }
        let (Some(endpoint), Some(shown)) = (&held.endpoint, to_show(&held)) else { return Err(gone()) };
        service_address(endpoint)?;
        let mut issuer = Issuer::connect(session, endpoint).await?;
        let metadata = issuer.metadata().await?;
        // Checked before a whole copy is presented there.
        if metadata.issuer != held.issuer {
            let message = Sentence::id("error-other-issuer-document");
            return Err(Failure::new("issuer_mismatch", message, Sentence::id("hint-new-offer")));
        }
        let same = |configuration: &&CredentialConfiguration| {
            configuration.credential_type == held.type_name && configuration.format == format_of(&held)
        };
        let rules = metadata.configurations.iter().find(same);
        let rules = rules.map_or((None, 0), |found| (found.epoch, found.renewal_window_days));
        session.resolve_issuer(&held.issuer).await?;
        let copy = held.copies.get(shown).ok_or_else(gone)?;
        let token = SdJwt::parse(&copy.credential.text()).map_err(|problem| damaged(&problem))?;
        let key = copy.key.clone();
        if copy.is_fresh() {
            // Stored before sending, so that retries use up only one fresh copy.
            if let Some(copy) = wallet.contents.credentials.get_mut(index).and_then(|held| held.copies.get_mut(shown)) {
                copy.shown_to.push(held.issuer.clone());
            }
            wallet.save()?;
        }
        Ok((issuer, Self { session, key, token, most: metadata.max_batch_size, rules, held }))
    }

    /// Returns the promise against which the new copies are checked.
    pub(crate) fn promise(&self) -> Promise {
        Promise {
            issuer: self.held.issuer.clone(),
            issuer_name: self.held.issuer_name.clone(),
            configuration_id: String::new(),
            type_name: self.held.type_name.clone(),
            format: self.held.format,
            epoch: self.rules.0,
            renewal_window_days: self.rules.1,
        }
    }

    /// Requests more copies, and retries once if the nonce has expired.
    async fn refill(&self, issuer: &mut Issuer) -> Result<Exchanged, Failure> {
        match self.refill_once(issuer).await {
            Err(failure) if failure.reason == NONCE_REFUSED => self.refill_once(issuer).await,
            answered => answered,
        }
    }

    async fn refill_once(&self, issuer: &mut Issuer) -> Result<Exchanged, Failure> {
        let (keys, shown, proofs) = self.prepare(issuer).await?;
        let (copies, notification) = issuer.refill(shown, proofs).await?;
        Ok((keys, copies, notification))
    }

    /// Presents the copy with a fresh nonce, and signs proofs of the new keys with the same nonce.
    pub(crate) async fn prepare(&self, issuer: &mut Issuer) -> Result<Prepared, Failure> {
        let did = self.held.issuer.as_str();
        let nonce = issuer.nonce().await?;
        let now = self.session.now();
        let keys = draw_keys(self.most);
        let signed = || -> Result<(String, Vec<String>), Problem> {
            let bound: Result<Vec<String>, Problem> =
                keys.iter().map(|key| Ok(key.open()?.public_key().thumbprint())).collect();
            let bound = bound?;
            let stapled = Stapled { keys: &bound, ..Stapled::default() };
            let shown = self.token.bind_with(&stapled, &nonce, did, now, &self.key.open()?)?;
            Ok((shown, proofs(&keys, did, &nonce, now)?))
        };
        let (shown, proofs) = signed().map_err(|problem| damaged(&problem))?;
        Ok((keys, shown, proofs))
    }
}

/// Checks that fresh copies have the same claims and dates as before, or these dates rounded down to the issuer's
/// epoch: a refill must not change the content of a credential.
fn unchanged(
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
        let mut members = Said::of(&token.disclosed()?.payload, known).members;
        members.retain(|name, _| !days.contains(&name.as_str()));
        Ok(members)
    };
    let first = fresh.copies.first().map(|copy| copy.credential.text()).unwrap_or_default();
    let rounded = fresh.epoch.zip(held.valid_from).zip(held.valid_until);
    let rounded = rounded.and_then(|((epoch, from), until)| epoch.validity(from, until, now));
    let same = || -> Result<bool, Problem> {
        let same = days_of(held) == days_of(&fresh) || rounded.is_some_and(|rounded| days_of(&fresh) == Some(rounded));
        Ok(same && said(before)? == said(&SdJwt::parse(&first)?)?)
    };
    if same().map_err(|problem| damaged(&problem))? {
        return Ok(fresh);
    }
    Err(Failure::new("claims_changed", Sentence::id("error-claims-changed"), Sentence::id("hint-claims-changed")))
}

/// Returns the validity dates of a credential.
fn days_of(held: &HeldCredential) -> Option<(Timestamp, Timestamp)> {
    held.valid_from.zip(held.valid_until)
}

/// Stores fresh copies with their credential. If their dates differ, which many holders then share, the earlier fresh
/// copies are discarded.
fn add(wallet: &mut WalletFile, index: usize, fresh: HeldCredential, now: Timestamp) -> Result<(), Failure> {
    let before = wallet.contents.clone();
    let contents = &mut wallet.contents;
    if let Some(held) = contents.credentials.get_mut(index) {
        if days_of(held) == days_of(&fresh) {
            held.epoch = fresh.epoch;
            held.discard_outdated();
            held.copies.extend(fresh.copies);
            held.low_water = draw_low_water(held.fresh_copies());
            forget_shown(&mut held.copies);
        } else {
            let low_water = draw_low_water(fresh.copies.len());
            held.replace(fresh, low_water);
        }
        contents.log.push(Entry {
            party_name: held.issuer_name.clone(),
            parts: vec![ShownPart::named(&held.id, &held.type_name)],
            ..Entry::new(now, EntryKind::Received, &held.issuer)
        });
    }
    wallet.save().inspect_err(|_| wallet.contents = before)
}

/// Deletes the text of shown copies, oldest first, to limit the size of the wallet. Their keys and verifiers remain,
/// because receipts need them.
fn forget_shown(copies: &mut [Copy]) {
    let shown = copies.iter_mut().filter(|copy| copy.is_kept() && !copy.shown_to.is_empty());
    let mut shown: Vec<&mut Copy> = shown.collect();
    let excess = shown.len().saturating_sub(SHOWN_KEPT);
    for copy in shown.iter_mut().take(excess) {
        copy.forget_text();
    }
}

/// Returns the copy to present: one that the issuer or a verifier has seen, so that no fresh copy is used up.
fn to_show(held: &HeldCredential) -> Option<usize> {
    let kept = held.copies.iter().enumerate().filter(|(_, copy)| copy.is_kept());
    kept.min_by_key(|(_, copy)| (copy.is_fresh(), !copy.shown_to.contains(&held.issuer))).map(|(index, _)| index)
}

/// Returns the format if it can be refilled.
pub(crate) fn format_of(held: &HeldCredential) -> Option<CredentialFormat> {
    Some(held.format).filter(|format| format.is_sd_jwt())
}

/// Explains an issuer's refusal to the owner.
pub(crate) fn explained(failure: Failure) -> Failure {
    let failure = failure.with_safety(Safety::Issuer);
    match failure.reason.as_str() {
        "copy_unknown" | "refill_unsupported" => Failure { hint: Sentence::id("hint-holds-offer"), ..failure },
        NONCE_REFUSED => Failure { hint: Sentence::id("hint-again"), kind: FailureKind::Temporary, ..failure },
        _ => failure,
    }
}

pub(crate) fn damaged(problem: &Problem) -> Failure {
    Failure::from_problem(problem, Sentence::id("error-copy-unshowable"), Sentence::id("hint-new-offer"))
}

#[cfg(test)]
mod tests;
