//! Renewals: eligibility, pending requests, and the intent.

use carnet_core::{Code, Problem, day, format::CredentialFormat, time::Timestamp};
use sqlx::{Row as _, SqliteExecutor, sqlite::SqliteRow};

use super::{
    OFFER, SqliteStore, Tx, close, indices,
    issuance::{hash_of, mark_issued, sealed_of, use_up},
    offer_of,
    refill::{require_rest, require_room, shown_copy, validity},
};
use crate::{
    error::Error,
    secrets::{self, Hash},
    store::{
        Finished, OfferRecord, OfferState, Refill, SignedCopies, Slice,
        renewal::{Approved, Decision, RenewalIntent, RenewalRecord, RenewalState, RenewalStore, Terms, Waited},
        status::State,
    },
};

const HOUR: i64 = 3_600;
/// Maximum number of renewals of one offer that are put before staff per day.
const MOST_ASKED: i64 = 5;
const RENEWAL: &str = "SELECT r.*, o.credential_type, o.format FROM renewals r JOIN offers o USING (offer_id) \
     WHERE r.renewal_id = ?";

/// Number and validity of a renewed credential.
struct Renewed {
    generation: i64,
    valid_from: Timestamp,
    valid_until: Timestamp,
}

impl RenewalStore for SqliteStore {
    async fn intend_renewal(&self, intent: RenewalIntent) -> Result<Option<Refill>, Error> {
        let mut tx = self.database.begin("intend_renewal").await?;
        let copy = shown_copy(&mut *tx, &intent.copy).await?;
        let offer_id: String = copy.try_get("offer_id")?;
        require_standing(&mut tx, &offer_id).await?;
        let renewed = renewed(&copy, &intent.terms, intent.now)?;
        use_up(&mut tx, intent.nonce).await?;
        let copies = intent.thumbprints.len();
        require_room(&mut tx, &offer_id, copies, intent.per_day, intent.now).await?;
        require_rest(&mut tx, &offer_id, renewed.generation, copies, self.refill_copies).await?;
        if intent.waiting.is_some() {
            require_turn(&mut tx, &offer_id, intent.now).await?;
        }
        // A wallet that asks again has lost the pending renewal.
        sqlx::query(
            "UPDATE renewals SET state = 'lapsed', claims = NULL, holder_keys = NULL, thumbprints = NULL \
             WHERE offer_id = ? AND state IN ('pending', 'approved')",
        )
        .bind(&offer_id)
        .execute(&mut *tx)
        .await?;
        let waiting = intent.waiting.as_ref();
        let renewal_id = secrets::draw_id();
        sqlx::query(
            "INSERT INTO renewals (renewal_id, offer_id, state, generation, valid_from, valid_until, asked_at, claims, \
             holder_keys, thumbprints, wait_until, transaction_hash, notification_hash, request_digest) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&renewal_id)
        .bind(&offer_id)
        .bind(if waiting.is_some() { "pending" } else { "issued" })
        .bind(renewed.generation)
        .bind(renewed.valid_from.unix())
        .bind(renewed.valid_until.unix())
        .bind(intent.now.unix())
        .bind(waiting.map(|waiting| waiting.claims.as_slice()))
        .bind(waiting.map(|waiting| waiting.holder_keys.as_str()))
        .bind(waiting.map(|_| intent.thumbprints.join(" ")))
        .bind(waiting.map(|waiting| waiting.until.unix()))
        .bind(waiting.map(|waiting| waiting.transaction_hash.as_slice()))
        .bind(waiting.map(|_| intent.notification_hash.as_slice()))
        .bind(intent.request_digest.as_slice())
        .execute(&mut *tx)
        .await?;
        let refill = if waiting.is_none() {
            let new = NewCollection {
                renewal_id: &renewal_id,
                offer_id: &offer_id,
                request_digest: &intent.request_digest,
                transaction_hash: None,
                notification_hash: &intent.notification_hash,
                thumbprints: &intent.thumbprints,
                renewed: &renewed,
            };
            Some(new.write(&mut tx, self.list_entries, intent.now).await?)
        } else {
            None
        };
        tx.commit().await?;
        Ok(refill)
    }

    async fn intend_waited(&self, transaction_hash: Hash, now: Timestamp) -> Result<Option<Waited>, Error> {
        // Anonymous callers can get here, so only somebody with a pending renewal may delay other writers.
        match waited(self.database.readers(), &transaction_hash, now).await? {
            None => return Ok(None),
            Some((_, record)) if record.state == RenewalState::Pending => return Ok(Some(Waited::Pending)),
            Some(_) => {}
        }
        let mut tx = self.database.begin("intend_waited_renewal").await?;
        // An approved renewal does not become pending again.
        let Some((row, record)) = waited(&mut *tx, &transaction_hash, now).await? else { return Ok(None) };
        require_standing(&mut tx, &record.offer_id).await?;
        let request_digest = hash_of(&row, "request_digest")?;
        let thumbprints: Option<String> = row.try_get("thumbprints")?;
        let thumbprints: Vec<String> = thumbprints.unwrap_or_default().split_whitespace().map(str::to_owned).collect();
        let renewed = Renewed {
            generation: row.try_get("generation")?,
            valid_from: Timestamp::from_unix(row.try_get("valid_from")?),
            valid_until: record.valid_until,
        };
        let refill = match row.try_get::<Option<i64>, _>("collection")? {
            // After a power cut before the signature: the same indices.
            Some(collection) => Refill {
                collection,
                offer_id: record.offer_id.clone(),
                places: indices::places(&mut tx, collection).await?,
                valid_from: renewed.valid_from,
                valid_until: renewed.valid_until,
            },
            None => {
                let new = NewCollection {
                    renewal_id: &record.renewal_id,
                    offer_id: &record.offer_id,
                    request_digest: &request_digest,
                    transaction_hash: Some(&transaction_hash),
                    notification_hash: &hash_of(&row, "notification_hash")?,
                    thumbprints: &thumbprints,
                    renewed: &renewed,
                };
                new.write(&mut tx, self.list_entries, now).await?
            }
        };
        tx.commit().await?;
        Ok(Some(Waited::Sign(Box::new(Approved {
            renewal_id: record.renewal_id,
            refill,
            credential_type: record.credential_type,
            format: CredentialFormat::parse(row.try_get("format")?).ok_or(Error::Corrupt("offers.format"))?,
            request_digest,
            claims: row.try_get::<Option<Vec<u8>>, _>("claims")?.ok_or(Error::Corrupt("renewals.claims"))?,
            holder_keys: row.try_get::<Option<String>, _>("holder_keys")?.unwrap_or_default(),
        }))))
    }

    async fn finish_waited(
        &self,
        renewal_id: &str,
        copies: SignedCopies<'_>,
        sealed: Vec<u8>,
        sealed_until: Timestamp,
        now: Timestamp,
    ) -> Result<Finished, Error> {
        let mut tx = self.database.begin("finish_waited_renewal").await?;
        let done = sqlx::query(
            "UPDATE renewals SET state = 'issued', claims = NULL, holder_keys = NULL, thumbprints = NULL \
             WHERE renewal_id = ? AND state = 'approved'",
        )
        .bind(renewal_id)
        .execute(&mut *tx)
        .await?;
        let collection =
            sqlx::query("SELECT c.* FROM collections c JOIN renewals r ON r.collection = c.seq WHERE r.renewal_id = ?")
                .bind(renewal_id)
                .fetch_optional(&mut *tx)
                .await?
                .ok_or(Error::TransactionUnknown)?;
        if done.rows_affected() != 1 {
            // Another call answered in the meantime, or it lapsed.
            let sealed = sealed_of(&collection, now)?.ok_or(Error::TransactionUnknown)?;
            return Ok(Finished::Answered(sealed));
        }
        let collection: i64 = collection.try_get("seq")?;
        sqlx::query("UPDATE collections SET state = 'signed', sealed = ?, sealed_until = ?, kid = ? WHERE seq = ?")
            .bind(sealed)
            .bind(sealed_until.unix())
            .bind(copies.kid)
            .bind(collection)
            .execute(&mut *tx)
            .await?;
        mark_issued(&mut tx, collection, copies.names, now).await?;
        tx.commit().await?;
        self.truncate_log().await;
        Ok(Finished::Stored)
    }

    async fn decide(&self, renewal_id: &str, decision: Decision) -> Result<RenewalRecord, Error> {
        let mut tx = self.database.begin("decide_renewal").await?;
        let record = renewal(&mut tx, renewal_id).await?;
        let wanted = if decision.approve { RenewalState::Approved } else { RenewalState::Rejected };
        if record.state == wanted {
            return Ok(record);
        }
        if record.state != RenewalState::Pending {
            let verb = if decision.approve { "approved" } else { "rejected" };
            return Err(Error::RenewalDecided { state: record.state.as_str(), verb });
        }
        let query = if decision.approve {
            sqlx::query(
                "UPDATE renewals SET state = ?, decided_at = ?, decided_by = ?, reason = ? WHERE renewal_id = ?",
            )
        } else {
            sqlx::query(
                "UPDATE renewals SET state = ?, decided_at = ?, decided_by = ?, reason = ?, claims = NULL, \
                 holder_keys = NULL, thumbprints = NULL WHERE renewal_id = ?",
            )
        };
        query
            .bind(wanted.as_str())
            .bind(decision.now.unix())
            .bind(&decision.who)
            .bind(&decision.reason)
            .bind(renewal_id)
            .execute(&mut *tx)
            .await?;
        let record = renewal(&mut tx, renewal_id).await?;
        tx.commit().await?;
        self.truncate_log().await;
        Ok(record)
    }

    async fn decide_offer(&self, offer_id: &str, decision: Decision) -> Result<OfferRecord, Error> {
        let mut tx = self.database.begin("decide_offer").await?;
        let row = sqlx::query(OFFER)
            .bind(offer_id)
            .fetch_optional(&mut *tx)
            .await?
            .ok_or(Error::NotFound { what: "offer" })?;
        let offer = offer_of(&row)?;
        if !offer.deferred {
            return Err(Error::NotDeferred);
        }
        let (released, rejected): (bool, bool) = (row.try_get("released")?, row.try_get("rejected")?);
        if (decision.approve && released) || (!decision.approve && rejected) {
            return Ok(offer);
        }
        let verb = if decision.approve { "released" } else { "rejected" };
        if released {
            return Err(Error::WrongState { state: "released", verb });
        }
        if !matches!(offer.state, OfferState::Open | OfferState::Redeemed) {
            return Err(Error::WrongState { state: offer.state.as_str(), verb });
        }
        sqlx::query(
            "UPDATE offers SET released = ?, rejected = ?, decided_at = ?, decided_by = ?, reason = ? WHERE offer_id = ?",
        )
        .bind(decision.approve)
        .bind(!decision.approve)
        .bind(decision.now.unix())
        .bind(&decision.who)
        .bind(&decision.reason)
        .bind(offer_id)
        .execute(&mut *tx)
        .await?;
        let approve = decision.approve;
        let offer = OfferRecord { decision: Some(decision), ..offer };
        if approve {
            tx.commit().await?;
            return Ok(offer);
        }
        close(&mut tx, offer_id, OfferState::Cancelled).await?;
        tx.commit().await?;
        self.truncate_log().await;
        Ok(OfferRecord { state: OfferState::Cancelled, ..offer })
    }

    async fn renewals(&self, state: Option<RenewalState>, slice: Slice) -> Result<Vec<RenewalRecord>, Error> {
        let query = match state {
            None => sqlx::query(
                "SELECT r.*, o.credential_type, o.format FROM renewals r JOIN offers o USING (offer_id) \
                 WHERE o.record_from IS NOT NULL AND r.seq < ? ORDER BY r.seq DESC LIMIT ?",
            ),
            Some(state) => sqlx::query(
                "SELECT r.*, o.credential_type, o.format FROM renewals r JOIN offers o USING (offer_id) \
                 WHERE o.record_from IS NOT NULL AND r.state = ? AND r.seq < ? ORDER BY r.seq DESC LIMIT ?",
            )
            .bind(state.as_str()),
        };
        query
            .bind(slice.before)
            .bind(slice.limit)
            .fetch_all(self.database.readers())
            .await?
            .iter()
            .map(record_of)
            .collect()
    }
}

/// Returns the renewal with a transaction id that waits for staff or, once approved, for its wallet; `None` if there is
/// none, or its response is stored with its collection.
async fn waited(
    executor: impl SqliteExecutor<'_>,
    transaction_hash: &Hash,
    now: Timestamp,
) -> Result<Option<(SqliteRow, RenewalRecord)>, Error> {
    let row = sqlx::query(
        "SELECT r.*, o.credential_type, o.format FROM renewals r JOIN offers o USING (offer_id) \
         WHERE r.transaction_hash = ?",
    )
    .bind(transaction_hash.as_slice())
    .fetch_optional(executor)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let record = record_of(&row)?;
    let over = row.try_get::<Option<i64>, _>("wait_until")?.is_none_or(|until| until <= now.unix());
    match record.state {
        RenewalState::Issued => Ok(None),
        RenewalState::Rejected => Err(Error::Rejected { reason: record.reason.unwrap_or_default() }),
        RenewalState::Lapsed => Err(Error::TransactionUnknown),
        RenewalState::Pending | RenewalState::Approved if over => Err(Error::TransactionUnknown),
        RenewalState::Pending | RenewalState::Approved => Ok(Some((row, record))),
    }
}

/// Refuses a credential of which any copy is revoked or suspended: a renewal must not undo the decision of staff.
async fn require_standing(tx: &mut Tx, offer_id: &str) -> Result<(), Error> {
    let worst: Option<String> = sqlx::query_scalar(
        "SELECT s.state FROM issued i JOIN statuses s USING (status_index) WHERE i.offer_id = ? AND s.state <> 'valid' \
         ORDER BY s.state LIMIT 1",
    )
    .bind(offer_id)
    .fetch_optional(&mut **tx)
    .await?;
    let problem = match worst.as_deref().map(State::parse).transpose()? {
        None | Some(State::Valid) => return Ok(()),
        Some(State::Revoked) => Problem::new(Code::Revoked, "the issuer revoked this credential; ask it why"),
        Some(State::Suspended) => Problem::new(Code::Suspended, "the credential is suspended; ask the issuer why"),
    };
    Err(Error::PresentationInvalid(problem))
}

/// Refuses a renewal for approval while another one was requested or approved shortly before, so that an approved one
/// is not lost; and above the daily maximum, to limit the work of staff.
async fn require_turn(tx: &mut Tx, offer_id: &str, now: Timestamp) -> Result<(), Error> {
    let waits: Option<i64> = sqlx::query_scalar(
        "SELECT max(min(wait_until, CASE state WHEN 'pending' THEN asked_at + ? ELSE decided_at + ? END)) \
         FROM renewals WHERE offer_id = ? AND state IN ('pending', 'approved')",
    )
    .bind(HOUR)
    .bind(day::SECONDS)
    .bind(offer_id)
    .fetch_one(&mut **tx)
    .await?;
    let fills: Option<i64> = sqlx::query_scalar(
        "SELECT asked_at + ? FROM renewals WHERE offer_id = ? AND wait_until IS NOT NULL ORDER BY asked_at DESC LIMIT 1 OFFSET ?",
    )
    .bind(day::SECONDS)
    .bind(offer_id)
    .bind(MOST_ASKED - 1)
    .fetch_optional(&mut **tx)
    .await?;
    let left = waits.max(fills).unwrap_or_default().saturating_sub(now.unix());
    match u32::try_from(left) {
        Ok(0) | Err(_) => Ok(()),
        Ok(seconds) => Err(Error::RenewalAsked { seconds }),
    }
}

/// Returns the result of a renewal of this copy, if it is renewable now.
fn renewed(copy: &SqliteRow, terms: &Terms, now: Timestamp) -> Result<Renewed, Error> {
    let (_, until) = validity(copy)?;
    let from = until.plus(terms.window.saturating_neg());
    if now < from {
        return Err(Error::RenewalEarly { from });
    }
    let generation: i64 = copy.try_get("generation")?;
    if generation >= i64::from(terms.most) {
        return Err(Error::RenewalLimit { most: terms.most });
    }
    // Derived from the presented copy: a repeated request gets the same validity, and so does everybody whose copies
    // end together.
    let (valid_from, valid_until) = terms.epoch.renewed(until, terms.window, terms.longer);
    Ok(Renewed { generation: generation.saturating_add(1), valid_from, valid_until })
}

/// Collection to be signed.
struct NewCollection<'a> {
    renewal_id: &'a str,
    offer_id: &'a str,
    request_digest: &'a Hash,
    transaction_hash: Option<&'a Hash>,
    notification_hash: &'a Hash,
    thumbprints: &'a [String],
    renewed: &'a Renewed,
}

impl NewCollection<'_> {
    async fn write(&self, tx: &mut Tx, list_entries: u64, now: Timestamp) -> Result<Refill, Error> {
        let Renewed { generation, valid_from, valid_until } = *self.renewed;
        // It counts towards the daily limit like a refill.
        let collection: i64 = sqlx::query_scalar(
            "INSERT INTO collections (offer_id, request_digest, state, transaction_hash, notification_hash, refill, \
             valid_from, valid_until, generation) VALUES (?, ?, 'intended', ?, ?, 1, ?, ?, ?) RETURNING seq",
        )
        .bind(self.offer_id)
        .bind(self.request_digest.as_slice())
        .bind(self.transaction_hash.map(<[u8; 32]>::as_slice))
        .bind(self.notification_hash.as_slice())
        .bind(valid_from.unix())
        .bind(valid_until.unix())
        .bind(generation)
        .fetch_one(&mut **tx)
        .await?;
        let places = indices::write_intents(tx, list_entries, collection, self.offer_id, self.thumbprints, now).await?;
        sqlx::query("UPDATE renewals SET collection = ? WHERE renewal_id = ?")
            .bind(collection)
            .bind(self.renewal_id)
            .execute(&mut **tx)
            .await?;
        Ok(Refill { collection, offer_id: self.offer_id.to_owned(), places, valid_from, valid_until })
    }
}

async fn renewal(tx: &mut Tx, renewal_id: &str) -> Result<RenewalRecord, Error> {
    let row = sqlx::query(RENEWAL).bind(renewal_id).fetch_optional(&mut **tx).await?;
    record_of(&row.ok_or(Error::NotFound { what: "renewal" })?)
}

fn record_of(row: &SqliteRow) -> Result<RenewalRecord, Error> {
    Ok(RenewalRecord {
        seq: row.try_get("seq")?,
        renewal_id: row.try_get("renewal_id")?,
        offer_id: row.try_get("offer_id")?,
        credential_type: row.try_get("credential_type")?,
        state: RenewalState::parse(row.try_get("state")?)?,
        generation: u32::try_from(row.try_get::<i64, _>("generation")?)
            .map_err(|_| Error::Corrupt("renewals.generation"))?,
        valid_until: Timestamp::from_unix(row.try_get("valid_until")?),
        asked_at: Timestamp::from_unix(row.try_get("asked_at")?),
        decided_at: row.try_get::<Option<i64>, _>("decided_at")?.map(Timestamp::from_unix),
        decided_by: row.try_get("decided_by")?,
        reason: row.try_get("reason")?,
    })
}
