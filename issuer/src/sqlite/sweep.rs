//! Sweep: erases expired data in steps, each of which is a short transaction.
//!
//! Each statement uses an index of expiry times, reads only rows that it erases, and at most [`STEP`] of them. Other
//! writers run between the steps, and a sweep without expired data reads nothing.

use carnet_core::time::{CLOCK_SKEW, Timestamp};

use super::{SqliteStore, Tx, close};
use crate::{error::Error, store::OfferState};

/// Maximum number of rows of one kind in one step.
const STEP: i64 = 100;

// Indexes by name: without statistics, SQLite chooses those by state, and reads all open or waiting rows.
const ENDED_OPEN: &str = "SELECT offer_id FROM offers INDEXED BY offers_to_expire \
     WHERE state = 'open' AND expires_at <= ? ORDER BY expires_at LIMIT ?";
const ENDED_REDEEMED: &str = "SELECT offer_id FROM offers INDEXED BY offers_to_erase \
     WHERE state = 'redeemed' AND collect_until <= ? ORDER BY collect_until LIMIT ?";
const RENEWALS: &str = "UPDATE renewals SET state = 'lapsed', claims = NULL, holder_keys = NULL, thumbprints = NULL \
     WHERE seq IN (SELECT seq FROM renewals INDEXED BY renewals_to_lapse \
     WHERE state IN ('pending', 'approved') AND wait_until <= ? ORDER BY wait_until LIMIT ?)";
const USED_NONCES: &str = "DELETE FROM used_nonces WHERE hash IN \
     (SELECT hash FROM used_nonces WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)";
const ANSWERS: &str = "UPDATE collections SET sealed = NULL, sealed_until = NULL WHERE seq IN \
     (SELECT seq FROM collections WHERE sealed_until <= ? ORDER BY sealed_until LIMIT ?)";
const COPIES: &str = "UPDATE issued SET holder_thumbprint = NULL, copy_digest = NULL, handle_hash = NULL WHERE collection IN \
     (SELECT seq FROM collections WHERE known_until < ? ORDER BY known_until, seq LIMIT ?)";
const KNOWN: &str = "UPDATE collections SET known_until = NULL WHERE seq IN \
     (SELECT seq FROM collections WHERE known_until < ? ORDER BY known_until, seq LIMIT ?)";
// The table is small and needs no index. Its rows have a composite key.
const COHORTS: &str = "DELETE FROM cohorts WHERE (credential_type, format, valid_from, valid_until, kid, list) IN \
     (SELECT credential_type, format, valid_from, valid_until, kid, list FROM cohorts WHERE valid_until < ? LIMIT ?)";

const ENDED_RECORDS: &str = "SELECT offer_id FROM offers INDEXED BY offers_to_forget \
     WHERE record_from <= ? ORDER BY record_from LIMIT ?";
// Open offers and pending renewals have no end yet; a drawn index may belong to an issued copy.
const LAST_END: &str = "SELECT max(CASE o.state WHEN 'collected' THEN o.valid_until WHEN 'open' THEN ?2 WHEN 'redeemed' THEN ?2 \
     ELSE max(o.expires_at, coalesce(o.collect_until, 0)) END, \
     coalesce((SELECT max(coalesce(c.valid_until, o.valid_until)) FROM collections c WHERE c.offer_id = o.offer_id), 0), \
     CASE WHEN EXISTS (SELECT 1 FROM renewals r WHERE r.offer_id = o.offer_id AND r.state IN ('pending', 'approved')) \
     THEN ?2 ELSE 0 END) FROM offers o WHERE o.offer_id = ?1";
// The remaining row records that an index was used, for which type, when, and the result. A valid request_id has no
// control characters, so that none equals the replacement.
const FORGET: &str = "UPDATE offers SET record_from = NULL, request_id = char(10) || offer_id, terms = '', reference = NULL, \
     created_by = NULL, decided_by = NULL, reason = NULL, pin_hash = NULL, challenge_hash = NULL, token_salt = NULL \
     WHERE offer_id = ?";

/// Kinds of expiring rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// Offers that nobody redeemed or collected, with their claims.
    Offers,
    /// Nonces too old to be used again.
    Nonces,
    /// Sealed responses that were not acknowledged.
    Answers,
    /// Renewals that waited too long for staff or for their wallet.
    Renewals,
    /// Expired copies: nothing looks them up by key, digest or handle any more.
    Copies,
    /// Cohorts whose credentials have expired.
    Cohorts,
    /// Records of offers past their retention period.
    Records,
}

impl Ended {
    const ALL: [Self; 7] =
        [Self::Offers, Self::Nonces, Self::Answers, Self::Renewals, Self::Copies, Self::Cohorts, Self::Records];

    /// Returns the name of the transaction.
    const fn name(self) -> &'static str {
        match self {
            Self::Offers => "close_ended_offers",
            Self::Nonces => "erase_used_nonces",
            Self::Answers => "erase_sealed_answers",
            Self::Renewals => "lapse_renewals",
            Self::Copies => "forget_ended_copies",
            Self::Cohorts => "forget_ended_cohorts",
            Self::Records => "forget_ended_records",
        }
    }

    /// Runs one step, and returns the number of rows it erased data of. Fewer than [`STEP`]: nothing is left.
    async fn erase(self, tx: &mut Tx, now: Timestamp, records: i64) -> Result<u64, Error> {
        // A copy is known for as long as another clock may still consider it valid.
        let known = now.plus(-CLOCK_SKEW);
        let (query, until) = match self {
            Self::Offers => return close_ended(tx, now).await,
            Self::Records => return forget_ended(tx, now, now.plus(records.saturating_neg())).await,
            Self::Nonces => (sqlx::query(USED_NONCES), now),
            Self::Answers => (sqlx::query(ANSWERS), now),
            Self::Renewals => (sqlx::query(RENEWALS), now),
            Self::Cohorts => (sqlx::query(COHORTS), known),
            Self::Copies => {
                sqlx::query(COPIES).bind(known.unix()).bind(STEP).execute(&mut **tx).await?;
                (sqlx::query(KNOWN), known)
            }
        };
        Ok(query.bind(until.unix()).bind(STEP).execute(&mut **tx).await?.rows_affected())
    }
}

/// Closes expired offers, and returns their number.
async fn close_ended(tx: &mut Tx, now: Timestamp) -> Result<u64, Error> {
    let (now, mut ended) = (now.unix(), Vec::<String>::new());
    ended.extend(sqlx::query_scalar(ENDED_OPEN).bind(now).bind(STEP).fetch_all(&mut **tx).await?);
    ended.extend(sqlx::query_scalar(ENDED_REDEEMED).bind(now).bind(STEP).fetch_all(&mut **tx).await?);
    for offer_id in &ended {
        close(tx, offer_id, OfferState::Expired).await?;
    }
    Ok(u64::try_from(ended.len()).unwrap_or(u64::MAX))
}

/// Deletes the records of offers that ended before `before`, and returns the number of records it checked.
async fn forget_ended(tx: &mut Tx, now: Timestamp, before: Timestamp) -> Result<u64, Error> {
    let ended: Vec<String> =
        sqlx::query_scalar(ENDED_RECORDS).bind(before.unix()).bind(STEP).fetch_all(&mut **tx).await?;
    for offer_id in &ended {
        let last: i64 = sqlx::query_scalar(LAST_END).bind(offer_id).bind(now.unix()).fetch_one(&mut **tx).await?;
        if last > before.unix() {
            // Its copies end later than was known, or it is not closed: it is checked again the same number of days
            // later.
            sqlx::query("UPDATE offers SET record_from = ? WHERE offer_id = ?")
                .bind(last)
                .bind(offer_id)
                .execute(&mut **tx)
                .await?;
            continue;
        }
        sqlx::query(FORGET).bind(offer_id).execute(&mut **tx).await?;
        sqlx::query("UPDATE renewals SET decided_by = '', reason = NULL WHERE offer_id = ? AND decided_at IS NOT NULL")
            .bind(offer_id)
            .execute(&mut **tx)
            .await?;
    }
    Ok(u64::try_from(ended.len()).unwrap_or(u64::MAX))
}

impl SqliteStore {
    /// Erases expired data, and returns the number of closed offers.
    pub(super) async fn sweep(&self, now: Timestamp) -> Result<u64, Error> {
        let mut closed = 0_u64;
        for ended in Ended::ALL {
            loop {
                // Each step queues again, behind writers that came in the meantime.
                let mut tx = self.database.begin(ended.name()).await?;
                let rows = ended.erase(&mut tx, now, self.records).await?;
                tx.commit().await?;
                if ended == Ended::Offers {
                    closed = closed.saturating_add(rows);
                }
                if rows < STEP.unsigned_abs() {
                    break;
                }
            }
        }
        self.truncate_log().await;
        Ok(closed)
    }
}
