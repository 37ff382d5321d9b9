//! Pending collections: requested, repeated after a lost response, or deferred by the issuer. Each is stored in the
//! wallet's file before its offer is redeemed, and remains there until it is received, refused, or expired.

use carnet_spec::Catalogue;
use carnet_wallet::{
    address::is_of,
    ports::{Collected, IssuerClient as _, Notification},
};
use serde_json::{Value, json};

use crate::{
    client::issuance::Issuer,
    collect::{Days, Expected, proofs, unchecked, verified},
    directory::fetch_directory,
    failure::{Failure, FailureKind, Safety, Sentence},
    freshness::confirm_new,
    promise::Promise,
    refill::draw_low_water,
    renewal,
    session::Session,
    trust,
    ui::{labels::Labels, sanitise::clean},
    wallet::{Entry, EntryKind, HeldCredential, HolderKey, Pending, ShownPart, Stage, WalletFile},
};

/// Issuance errors that a retry cannot fix.
const REFUSED: [&str; 11] = [
    "batch_size",
    "configuration_not_offered",
    "credential_request_denied",
    "invalid_proof",
    "invalid_token",
    "invalid_transaction_id",
    "not_found",
    "offer_already_collected",
    "offer_cancelled",
    "offer_expired",
    "revoked",
];

/// Errors for proofs with an unknown or expired nonce. The issuer checks neither in a call that it recognises as a
/// repetition, so it issued nothing for these proofs.
const PROOFS_REFUSED: [&str; 2] = ["invalid_nonce", "invalid_proof"];
/// Error for an expired token.
const TOKEN_REFUSED: &str = "invalid_token";

/// Current result of a collection.
enum Step {
    /// Stored, with the object for `--json`.
    Received(Value),
    /// Deferred, with the interval in seconds.
    Wait(u32),
}

/// Context of a collection.
pub(crate) struct Collecting<'a> {
    pub(crate) session: &'a Session,
    /// Types that this wallet knows.
    pub(crate) catalogue: &'a Catalogue,
    /// Wallet that stores the collection.
    pub(crate) wallet: &'a mut WalletFile,
}

/// Signs proofs of possession over a fresh nonce.
pub(crate) async fn fresh_proofs(
    issuer: &mut Issuer,
    audience: &str,
    keys: &[HolderKey],
    session: &Session,
) -> Result<Vec<String>, Failure> {
    let nonce = issuer.nonce().await?;
    proofs(keys, audience, &nonce, session.now())
        .map_err(|problem| Failure::from_problem(&problem, Sentence::id("error-keys"), Sentence::id("hint-again")))
}

/// Resumes all pending collections, or those of one offer.
pub(crate) async fn resume(session: &Session, mut wallet: WalletFile, offer: Option<&str>) -> Result<(), Failure> {
    let catalogue = session.catalogue()?;
    let of_offer = |pending: &&Pending| offer.is_none_or(|offer| pending.offer == offer);
    let wanted: Vec<Pending> = wallet.contents.pending.iter().filter(of_offer).cloned().collect();
    if wanted.is_empty() {
        let message = Sentence::id("error-nothing-pending");
        return Err(Failure::new("nothing_pending", message, Sentence::id("hint-receive")));
    }
    let mut collecting = Collecting { session, catalogue: &catalogue, wallet: &mut wallet };
    let mut progress = Progress::default();
    for begun in wanted {
        // It is gone if another collection of the same offer was refused.
        let Some(pending) = collecting.stored(&begun) else { continue };
        let step = collecting.resume_one(pending).await;
        progress.add(step);
    }
    confirm_new(session, &mut wallet).await;
    progress.finish(session)
}

mod redemption;

impl Collecting<'_> {
    /// Returns the current record of a collection.
    fn stored(&self, begun: &Pending) -> Option<Pending> {
        self.wallet.contents.pending.iter().find(|stored| stored.is(begun)).cloned()
    }

    async fn resume_one(&mut self, pending: Pending) -> Result<Step, Failure> {
        if pending.is_over(self.session.now()) {
            let message = Sentence::id("error-collection-expired");
            let failure = Failure::new("collection_expired", message, Sentence::id("hint-new-offer"));
            return Err(self.given_up(&pending, "", failure));
        }
        let mut issuer = Issuer::connect(self.session, &pending.endpoint).await?;
        let metadata = issuer.metadata().await?;
        if metadata.issuer != pending.issuer {
            let message = Sentence::id("error-other-issuer-offer");
            return Err(Failure::new("issuer_mismatch", message, Sentence::id("hint-ask-issuer")));
        }
        let languages = self.session.ui.messages.languages();
        let promise = Promise::read(&metadata, &pending.configuration_id, self.catalogue, &languages)?;
        self.session.resolve_issuer(&promise.issuer).await?;
        let pending = match &pending.redemption {
            Some(redemption) if pending.needs_token(self.session.now()) => {
                self.redeem(&mut issuer, &pending, redemption, true).await?
            }
            _ => pending,
        };
        self.advance(&mut issuer, &promise, pending).await
    }

    /// Stores the collections of one offer with their proofs, and then redeems the offer.
    pub(crate) async fn begin(
        &mut self,
        issuer: &mut Issuer,
        begun: Vec<(Promise, Pending)>,
    ) -> Result<Progress, Failure> {
        self.wallet.contents.pending.extend(begun.iter().map(|(_, pending)| pending.clone()));
        self.wallet.save().map_err(|failure| Failure { hint: Sentence::id("hint-room"), ..failure })?;
        if let Some((_, first)) = begun.first()
            && let Some(redemption) = &first.redemption
        {
            self.redeem(issuer, first, redemption, false).await?;
        }
        let mut progress = Progress::default();
        for (promise, pending) in begun {
            let Some(pending) = self.stored(&pending) else { continue };
            let step = self.advance(issuer, &promise, pending).await;
            progress.add(step);
        }
        Ok(progress)
    }

    /// Advances a stored collection as far as currently possible.
    async fn advance(&mut self, issuer: &mut Issuer, promise: &Promise, mut pending: Pending) -> Result<Step, Failure> {
        let mut answered = self.ask(issuer, promise, &mut pending).await;
        if let (Err(failure), Some(redemption)) = (&answered, pending.redemption.clone())
            && failure.reason == TOKEN_REFUSED
        {
            pending = self.redeem(issuer, &pending, &redemption, true).await?;
            answered = self.ask(issuer, promise, &mut pending).await;
        }
        match answered {
            Ok(Collected::Ready(copies, notification)) => {
                self.store(issuer, promise, &pending, &copies, &notification).await
            }
            Ok(Collected::NotReady(transaction_id, interval)) => {
                if let (Stage::Asked { .. }, Some(transaction_id)) = (&pending.stage, transaction_id) {
                    pending.stage = Stage::Deferred { transaction_id };
                    self.keep(&pending).map_err(still_pending)?;
                }
                Ok(Step::Wait(interval))
            }
            Err(failure) if REFUSED.contains(&failure.reason.as_str()) => {
                Err(self.given_up(&pending, &promise.issuer_name, failure))
            }
            Err(failure) => Err(still_pending(failure)),
        }
    }

    /// Sends one credential request: the same call as before, if there was one.
    async fn ask(
        &mut self,
        issuer: &mut Issuer,
        promise: &Promise,
        pending: &mut Pending,
    ) -> Result<Collected, Failure> {
        let token = pending.access_token.clone();
        let (sent, until) = match &pending.stage {
            Stage::Deferred { transaction_id } => {
                return issuer.collect_deferred(&token, transaction_id).await;
            }
            Stage::Asked { proofs, until } => (proofs.clone(), *until),
            Stage::Redeeming { .. } => {
                let message = Sentence::id("error-not-redeemed");
                return Err(Failure::later("not_redeemed", message, Sentence::id("hint-again")));
            }
        };
        match issuer.collect(&token, &pending.configuration_id, sent).await {
            Err(failure) if PROOFS_REFUSED.contains(&failure.reason.as_str()) => {}
            answered => return answered,
        }
        let proofs = fresh_proofs(issuer, &promise.issuer, &pending.keys, self.session).await?;
        pending.stage = Stage::Asked { proofs: proofs.clone(), until };
        self.keep(pending)?;
        issuer.collect(&token, &pending.configuration_id, proofs).await
    }

    /// Stores the stage of a collection.
    fn keep(&mut self, pending: &Pending) -> Result<(), Failure> {
        if let Some(stored) = self.wallet.contents.pending.iter_mut().find(|stored| stored.is(pending)) {
            stored.clone_from(pending);
        }
        self.wallet.save()
    }

    /// Deletes a collection that failed for good, and logs the reason.
    fn given_up(&mut self, pending: &Pending, issuer_name: &str, failure: Failure) -> Failure {
        let contents = &mut self.wallet.contents;
        contents.pending.retain(|stored| !stored.is(pending));
        contents.log.push(Entry {
            party_name: issuer_name.to_owned(),
            reason: failure.reason.clone(),
            ..Entry::new(self.session.now(), EntryKind::ReceiveFailed, &pending.issuer)
        });
        match self.wallet.save() {
            Ok(()) => failure.with_safety(Safety::Stored),
            Err(unsaved) => unsaved,
        }
    }

    /// Verifies the copies, stores all of them at once, and notifies the issuer.
    async fn store(
        &mut self,
        issuer: &mut Issuer,
        promise: &Promise,
        pending: &Pending,
        copies: &[String],
        notification: &str,
    ) -> Result<Step, Failure> {
        let (session, token) = (self.session, &pending.access_token);
        let renewed = pending.renews.as_deref().and_then(|id| self.wallet.contents.find(id).ok());
        let before = renewed.and_then(|index| self.wallet.contents.credentials.get(index)).cloned();
        let now = session.now();
        let known = self.catalogue.credential_type(&promise.type_name);
        // Fetched after the copies: an issuer's first list is created with its first copy.
        let directory = match known {
            Some(known) if known.bundled => fetch_directory(session, &promise.issuer).await.map_err(still_pending)?,
            _ => None,
        };
        let days = days(promise, pending, before.as_ref());
        let expected = Expected {
            promise,
            keys: &pending.keys,
            held: &self.wallet.contents.credentials,
            days,
            directory: directory.as_ref(),
            resolver: &session.dids,
            catalogue: self.catalogue,
            now,
        };
        let checked = verified(copies, &expected)
            .map_err(|problem| {
                let message = Sentence::id("error-copies-refused");
                Failure::from_problem(&problem, message, Sentence::id("hint-tell-new-offer"))
            })
            .and_then(|held| match &before {
                Some(before) => renewal::longer(before, &held).map(|_| held),
                None => Ok(held),
            });
        let mut held = match checked {
            Ok(held) => HeldCredential {
                endpoint: Some(pending.endpoint.clone()).filter(|endpoint| is_of(endpoint, &pending.issuer)),
                low_water: draw_low_water(held.copies.len()),
                ..held
            },
            Err(failure) => {
                let _ = issuer.notify(Some(token), notification, Notification::Failure).await;
                return Err(self.given_up(pending, &promise.issuer_name, failure));
            }
        };
        if let Some(before) = &before {
            held.id.clone_from(&before.id);
        }
        let summary = json!({
            "id": held.id, "type": held.type_name, "format": held.format, "issuer": held.issuer,
            "issuer_name": held.issuer_name, "copies": held.copies.len(), "renewed": before.is_some(),
            "label": Labels::new(self.catalogue, &held.type_name, &session.ui.messages).document(),
            "valid_until": held.valid_until.map(|until| until.to_string()),
            "unchecked": known.map(|known| unchecked(known, days)),
            "trust": trust::of_received(&self.wallet.contents.trust, &held, self.catalogue, session.now()),
        });
        let before = self.wallet.contents.clone();
        self.wallet.contents.pending.retain(|stored| !stored.is(pending));
        if let Some(index) = renewed {
            renewal::replace(self.wallet, index, held, now);
        } else {
            let contents = &mut self.wallet.contents;
            contents.log.push(Entry {
                party_name: promise.issuer_name.clone(),
                parts: vec![ShownPart::named(&held.id, &held.type_name)],
                ..Entry::new(now, EntryKind::Received, &promise.issuer)
            });
            contents.credentials.push(held);
        }
        if let Err(failure) = self.wallet.save() {
            // The file still contains the collection, and the issuer, which gets no notification, keeps its response.
            self.wallet.contents = before;
            return Err(still_pending(failure));
        }
        // The copies are stored; a lost notification makes no difference for the owner.
        if issuer.notify(Some(token), notification, Notification::Accepted).await.is_err() {
            session.ui.note(&session.ui.messages.text("note-issuer-not-told"));
        }
        Ok(Step::Received(summary))
    }
}

/// Describes the issuer's status on the owner's trust lists; empty without a list.
fn trust_text(session: &Session, trust: &Value) -> String {
    let word = |name: &str| clean(trust.get(name).and_then(Value::as_str).unwrap_or_default());
    let messages = &session.ui.messages;
    let rule = messages.text(&format!("trust-rule-{}", word("rule")));
    match trust.get("accepted").and_then(Value::as_bool) {
        None => String::new(),
        Some(true) => format!("  {} {}. {}\n", messages.text("receive-listed"), word("entry"), rule),
        Some(false) => format!("  {} {}\n", messages.text("receive-unlisted"), rule),
    }
}

/// Returns the validity dates that copies may have: a renewal's, or the offer's.
fn days(promise: &Promise, pending: &Pending, before: Option<&HeldCredential>) -> Days {
    match before {
        Some(before) => {
            Days::Renewed { since: pending.since, ended: before.valid_until, window_days: promise.renewal_window_days }
        }
        None => Days::Issued { since: pending.since, until: pending.valid_until },
    }
}

/// Marks a failure as one after which the collection is still pending.
fn still_pending(failure: Failure) -> Failure {
    Failure { hint: Sentence::id("hint-resume"), kind: FailureKind::Temporary, safety: Safety::Stored, ..failure }
}

/// Results of all collections of a run; one failure does not stop the others.
#[derive(Default)]
pub(crate) struct Progress {
    received: Vec<Value>,
    waiting: Option<u32>,
    failure: Option<Failure>,
}

impl Progress {
    fn add(&mut self, step: Result<Step, Failure>) {
        match step {
            Ok(Step::Received(summary)) => self.received.push(summary),
            Ok(Step::Wait(interval)) => self.waiting = Some(interval.max(1)),
            Err(failure) => {
                self.failure.get_or_insert(failure);
            }
        }
    }

    /// Reports the result.
    pub(crate) fn finish(self, session: &Session) -> Result<(), Failure> {
        let mut text = String::new();
        for one in &self.received {
            let word = |name: &str| clean(one.get(name).and_then(Value::as_str).unwrap_or_default());
            let done = session.ui.messages.text("receive-done");
            text.push_str(&format!("{done} {} ({}), {}\n", word("label"), word("id"), word("issuer_name")));
            text.push_str(&trust_text(session, one.get("trust").unwrap_or(&Value::Null)));
            let unchecked = one.get("unchecked").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let names = unchecked.iter().filter_map(Value::as_str);
            text.push_str(&session.ui.messages.unchecked(names));
        }
        let object = json!({"received": self.received, "retry_after_seconds": self.waiting});
        let failure = match (self.failure, self.waiting) {
            (Some(failure), _) if self.received.is_empty() => failure,
            (Some(failure), _) => failure.with_safety(Safety::Stored),
            (None, Some(interval)) => {
                let hint = Sentence::id("hint-resume-later").with("seconds", interval);
                Failure::later("not_ready", Sentence::id("error-not-ready"), hint).with_safety(Safety::Stored)
            }
            (None, None) => {
                session.ui.result(&text, &object);
                return Ok(());
            }
        };
        session.ui.say(&text);
        Err(failure.beside(object))
    }
}

#[cfg(test)]
pub(crate) mod tests;
