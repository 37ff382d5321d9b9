//! Renewal: exchange of one copy near its end, presented in full, for copies of the same credential with a later end
//! (spec/freshness.md section 3).
//!
//! As in a refill, the claims come from the copy. If staff must approve the renewal, the claims wait sealed under the
//! transaction id, which the wallet has and the issuer does not: until the wallet asks again, nobody can read them
//! here.

use std::{collections::BTreeMap, sync::Arc};

use carnet_core::{
    day,
    epoch::Epoch,
    json::{self, Limits},
    time::Timestamp,
};
use carnet_service::config::{StartError, refused_field};
use carnet_spec::{Catalogue, CredentialType};
use serde::Deserialize;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::{
    cohorts::CohortPolicy,
    credential::Content,
    error::Error,
    issuance::{
        Collected, copy_names, keys_from_text, keys_to_text, notification_hash, notification_id, on_cpu, open_answer,
    },
    issuer::{ANSWER_SECONDS, Issuer},
    offers::check_id,
    secrets::{self, Use},
    status::check_reason,
    store::{
        Finished, OfferRecord, Store,
        renewal::{Approved, Decision, NewWaiting, RenewalIntent, RenewalRecord, Terms, Waited},
    },
};

/// Renewal rules of a type: `[renewal.TYPE]` in the configuration. A type without them is not renewable.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RenewalPolicy {
    /// Number of days before its end from which a credential is renewable.
    #[serde(default = "default_window")]
    pub(crate) window_days: u32,
    /// Number of days by which a renewed credential ends later.
    pub(crate) days: u32,
    /// Maximum number of renewals of a credential, until a new offer is needed.
    #[serde(default = "default_most")]
    pub(crate) most: u32,
    /// True if staff must approve each renewal.
    #[serde(default)]
    pub(crate) approval: bool,
    /// Date claims that move along with the end, such as the end of a permit.
    #[serde(default)]
    pub(crate) moves: Vec<String>,
}

const fn default_window() -> u32 {
    30
}
const fn default_most() -> u32 {
    1
}

impl RenewalPolicy {
    /// Returns the first fault of the rules, if there is one.
    fn fault(&self, known: Option<&CredentialType>, cohorts: &CohortPolicy) -> Option<String> {
        let Some(known) = known else { return Some("is not a type of the catalogue".to_owned()) };
        if let Some(drawn) = known.drawn.first() {
            // A redeemer that counts uses by it forgets them after the first end (spec/entitlement.md 1.4).
            return Some(format!("renews a type whose {drawn} must not be issued again with a later end"));
        }
        for (field, value, most) in
            [("window_days", self.window_days, 366), ("days", self.days, 3_660), ("most", self.most, 100)]
        {
            if value == 0 || value > most {
                return Some(format!("has {field} = {value}, and it must be from 1 to {most}"));
            }
        }
        let epoch = cohorts.epoch_of(&known.name);
        if i64::from(self.days) < epoch.longest_days() {
            let (days, least) = (self.days, epoch.longest_days());
            return Some(format!(
                "has days = {days}, and ends are rounded down to the {epoch}: fewer than {least} days might not \
                 extend a credential"
            ));
        }
        let example = known.example_claims();
        let is_date =
            |name: &String| example.get(name).and_then(Value::as_str).is_some_and(|text| later(text, 1).is_some());
        self.moves
            .iter()
            .find(|name| !is_date(name))
            .map(|name| format!("moves {name}, which is not a date of this type"))
    }

    fn terms(&self, epoch: Epoch) -> Terms {
        Terms {
            window: i64::from(self.window_days).saturating_mul(day::SECONDS),
            longer: i64::from(self.days).saturating_mul(day::SECONDS),
            most: self.most,
            epoch,
        }
    }

    /// Returns the claims of the renewed credential.
    fn moved(&self, mut claims: Map<String, Value>) -> Result<Map<String, Value>, Error> {
        for name in &self.moves {
            let Some(claim) = claims.get_mut(name) else { continue };
            let moved = claim.as_str().and_then(|text| later(text, self.days));
            *claim = moved.map(Value::String).ok_or(Error::Corrupt("claims"))?;
        }
        Ok(claims)
    }
}

/// Returns the first fault of all rules, if there is one.
pub(crate) fn fault(
    policies: &BTreeMap<String, RenewalPolicy>,
    cohorts: &CohortPolicy,
    catalogue: &Catalogue,
) -> Option<StartError> {
    let fault = |(name, policy): (&String, &RenewalPolicy)| {
        let fault = policy.fault(catalogue.credential_type(name), cohorts)?;
        Some(refused_field(format!("renewal.{name}"), format!("renewal.{name} {fault}")))
    };
    policies.iter().find_map(fault)
}

/// Moves a date, or a time with its offset, by this number of days.
fn later(text: &str, days: u32) -> Option<String> {
    let (date, rest) = text.split_at_checked(10)?;
    let at = Timestamp::parse(&format!("{date}T00:00:00Z")).ok()?;
    let moved = at.plus(i64::from(days).saturating_mul(day::SECONDS)).to_string();
    // A year of five digits would no longer have the same format.
    let date = moved.strip_suffix("T00:00:00Z").filter(|date| date.len() == 10)?;
    Some(format!("{date}{rest}"))
}

impl<S: Store> Issuer<S> {
    /// Signs a new copy for each proof, with the claims of the presented copy and a later end; or stores the request
    /// for staff.
    ///
    /// # Errors
    /// [`Error::RenewalUnavailable`], [`Error::RenewalEarly`], [`Error::RenewalLimit`]; the copy, its key binding, a
    /// proof or the nonce is refused; a copy of the credential is revoked or suspended; store errors; signing errors.
    pub(crate) async fn renew(
        self: &Arc<Self>,
        presentation: Zeroizing<String>,
        proofs: Vec<String>,
    ) -> Result<Collected, Error> {
        let now = self.now();
        let (shown, keys, request_digest) = self.shown_for(presentation, proofs, now).await?;
        let policy = self.settings.renewal.get(&shown.credential_type).ok_or(Error::RenewalUnavailable)?;
        let claims = policy.moved(shown.claims)?;
        self.credential_type(&shown.credential_type)?.validate_claims(&claims).map_err(Error::PresentationInvalid)?;
        // A pending renewal is acknowledged by a handle derived from the transaction id, which the wallet has by then.
        let transaction_id = policy.approval.then(secrets::draw);
        let notification_id = match &transaction_id {
            Some(id) => notification_id(id, &request_digest),
            None => secrets::draw(),
        };
        let waiting = match &transaction_id {
            Some(id) => Some(self.waiting(id, &request_digest, &claims, &keys, now)?),
            None => None,
        };
        let intended = self
            .store
            .intend_renewal(RenewalIntent {
                copy: shown.copy,
                nonce: shown.nonce.0,
                request_digest,
                notification_hash: notification_hash(&notification_id),
                thumbprints: keys.iter().map(carnet_core::keys::PublicKey::thumbprint).collect(),
                terms: policy.terms(self.epoch(&shown.credential_type)),
                per_day: self.settings.refill_copies_per_day,
                waiting,
                now,
            })
            .await?;
        let (refill, format) = match (intended, transaction_id) {
            (Some(refill), _) => (refill, shown.format),
            (None, Some(transaction_id)) => {
                tracing::info!(credential_type = shown.credential_type, "a renewal waits for staff");
                return Ok(Collected::Deferred { transaction_id, interval: self.settings.deferred_interval });
            }
            (None, None) => return Err(Error::Corrupt("renewals")),
        };
        self.require_published(&refill.places).await?;
        let issuer = self.clone();
        let offer_id = refill.offer_id.clone();
        let collection = refill.collection;
        let copies = on_cpu(move || {
            let content = Content {
                credential_type: issuer.credential_type(&shown.credential_type)?,
                claims: &claims,
                valid_from: refill.valid_from,
                valid_until: refill.valid_until,
            };
            issuer.make_copies(format, &content, &keys, &refill.places, now)
        })
        .await??;
        self.store.finish_refill(collection, self.signed(&copy_names(format, &copies)), now).await?;
        tracing::info!(offer_id, copies = copies.len(), "credentials renewed");
        Ok(Collected::Issued { format, copies, notification_id })
    }

    /// Builds the record that is kept until staff decide.
    fn waiting(
        &self,
        transaction_id: &str,
        request_digest: &secrets::Hash,
        claims: &Map<String, Value>,
        keys: &[carnet_core::keys::PublicKey],
        now: Timestamp,
    ) -> Result<NewWaiting, Error> {
        let text = Zeroizing::new(serde_json::to_vec(claims).map_err(|_| Error::Corrupt("claims"))?);
        Ok(NewWaiting {
            transaction_hash: secrets::digest(Use::TransactionHash, &[transaction_id.as_bytes()]),
            claims: secrets::seal(transaction_id, request_digest, &text).ok_or(Error::Corrupt("claims"))?,
            holder_keys: keys_to_text(keys),
            until: now.plus(i64::from(self.settings.deferred_ttl)),
        })
    }

    /// Returns the copies of a renewal that waited for staff; `None` if there is none with this transaction id.
    ///
    /// # Errors
    /// [`Error::Rejected`] with the reason; [`Error::TransactionUnknown`]; the credential was revoked or suspended in
    /// the meantime; store errors; signing errors.
    pub(crate) async fn collect_renewal(
        self: &Arc<Self>,
        transaction_id: &str,
        now: Timestamp,
    ) -> Result<Option<Collected>, Error> {
        let hash = secrets::digest(Use::TransactionHash, &[transaction_id.as_bytes()]);
        let approved = match self.store.intend_waited(hash, now).await? {
            None => return Ok(None),
            Some(Waited::Pending) => {
                return Ok(Some(Collected::Deferred {
                    transaction_id: Zeroizing::new(transaction_id.to_owned()),
                    interval: self.settings.deferred_interval,
                }));
            }
            Some(Waited::Sign(approved)) => *approved,
        };
        self.require_published(&approved.refill.places).await?;
        let Approved { renewal_id, refill, credential_type, format, request_digest, claims, holder_keys } = approved;
        let issuer = self.clone();
        let handle = Zeroizing::new(transaction_id.to_owned());
        let offer_id = refill.offer_id.clone();
        let copies = on_cpu(move || {
            let corrupt = || Error::Corrupt("renewals.claims");
            let text = secrets::unseal(&handle, &request_digest, &claims).ok_or_else(corrupt)?;
            let Ok(Value::Object(claims)) = json::parse(&text, Limits::DOCUMENT) else { return Err(corrupt()) };
            let content = Content {
                credential_type: issuer.credential_type(&credential_type)?,
                claims: &claims,
                valid_from: refill.valid_from,
                valid_until: refill.valid_until,
            };
            issuer.make_copies(format, &content, &keys_from_text(&holder_keys)?, &refill.places, now)
        })
        .await??;
        let text = Zeroizing::new(serde_json::to_vec(&*copies).map_err(|_| Error::Corrupt("answer"))?);
        let sealed = secrets::seal(transaction_id, &request_digest, &text).ok_or(Error::Corrupt("answer"))?;
        // The wallet may have lost its connection, and has nothing else to ask with.
        let until = now.plus(ANSWER_SECONDS);
        let finished = self
            .store
            .finish_waited(&renewal_id, self.signed(&copy_names(format, &copies)), sealed, until, now)
            .await?;
        if let Finished::Answered(first) = finished {
            return open_answer(format, transaction_id, &request_digest, &first).map(Some);
        }
        tracing::info!(offer_id, renewal_id, copies = copies.len(), "credentials renewed");
        let notification_id = notification_id(transaction_id, &request_digest);
        Ok(Some(Collected::Issued { format, copies, notification_id }))
    }

    /// Records the decision of staff on a pending renewal. Idempotent.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a refusal without a reason; [`Error::NotFound`]; [`Error::RenewalDecided`]; store errors.
    pub(crate) async fn decide_renewal(
        &self,
        renewal_id: &str,
        approve: bool,
        reason: &str,
        who: String,
    ) -> Result<RenewalRecord, Error> {
        check_id("renewal_id", renewal_id)?;
        let record = self.store.decide(renewal_id, self.decision(approve, reason, who)?).await?;
        tracing::info!(renewal_id, approve, "staff decided on a renewal");
        Ok(record)
    }

    /// Records the decision of staff on a deferred offer. A refusal closes it and erases its claims; the wallet is told
    /// the reason.
    ///
    /// # Errors
    /// As [`Issuer::decide_renewal`]; the offer is not deferred, or its state does not allow it.
    pub(crate) async fn decide_offer(
        &self,
        offer_id: &str,
        approve: bool,
        reason: &str,
        who: String,
    ) -> Result<OfferRecord, Error> {
        check_id("offer_id", offer_id)?;
        let record = self.store.decide_offer(offer_id, self.decision(approve, reason, who)?).await?;
        tracing::info!(offer_id, approve, "staff decided on a deferred offer");
        Ok(record)
    }

    fn decision(&self, approve: bool, reason: &str, who: String) -> Result<Decision, Error> {
        // An approval needs no reason.
        let reason = if approve && reason.is_empty() { String::new() } else { check_reason(reason)? };
        Ok(Decision { approve, reason, who, now: self.now() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_moves_and_keeps_its_form() {
        for (before, days, after) in [
            ("2028-02-29", 365, "2029-02-28"),
            ("2028-02-29T23:59:59+01:00", 366, "2029-03-01T23:59:59+01:00"),
            ("2026-12-31T00:00:00Z", 1, "2027-01-01T00:00:00Z"),
        ] {
            assert_eq!(later(before, days).as_deref(), Some(after));
        }
        for none in ["", "soon", "2026-13-01", "2026-1-1", "unrestricted", "9999-12-31T"] {
            assert_eq!(later(none, 1), None, "{none}");
        }
    }

    #[test]
    fn a_policy_that_cannot_be_kept_is_refused() {
        let catalogue = Catalogue::embedded().unwrap();
        let fault = |kind: &str, text: &str| {
            let policy: RenewalPolicy = toml::from_str(text).unwrap();
            fault(&[(kind.to_owned(), policy)].into(), &CohortPolicy::default(), &catalogue)
        };
        let permit = "ResidencePermitCredential";
        assert_eq!(fault(permit, "days = 365\nmoves = [\"validUntil\"]"), None);
        assert_eq!(fault(permit, "days = 31"), None);
        for (kind, text) in [
            ("NoSuchCredential", "days = 365"),
            (permit, "days = 0"),
            (permit, "days = 3661"),
            (permit, "days = 30"),
            (permit, "days = 31\nwindow_days = 0"),
            (permit, "days = 31\nmost = 101"),
            (permit, "days = 31\nmoves = [\"nationality\"]"),
            (permit, "days = 31\nmoves = [\"surprise\"]"),
        ] {
            assert!(fault(kind, text).is_some_and(|fault| fault.message.contains(kind)), "{text}");
        }
        assert!(toml::from_str::<RenewalPolicy>("days = 1\nallowed = true").is_err());
    }
}
