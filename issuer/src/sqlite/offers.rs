//! SQLite rows of offers and unique claims.

use carnet_core::{format::CredentialFormat, time::Timestamp};
use sqlx::{Row as _, sqlite::SqliteRow};

use super::{
    SqliteTx,
    page::{CHUNK, SqlitePage},
    rows::{claims, format, hash_if_any, text, time, time_if_any},
};
use crate::{
    secrets::SecretHash,
    store::{
        PageSlice, RowPage, StoreError, Stored, StoredClaims,
        filter::CommonFilter,
        offers::{
            NewAccessToken, NewOffer, OfferAccess, OfferContent, OfferFilter, OfferRecord, OfferRows, OfferState,
            UniqueClaim,
        },
        renewal::StaffDecision,
    },
};

impl OfferRows for SqliteTx {
    async fn offer(&mut self, offer_id: &str) -> Stored<Option<OfferContent>> {
        let offer = sqlx::query("SELECT * FROM offers WHERE offer_id = ?").bind(offer_id);
        offer.fetch_optional(&mut *self.0).await?.as_ref().map(content_of).transpose()
    }

    async fn offer_by_request(&mut self, request_id: &str) -> Stored<Option<OfferContent>> {
        let offer = sqlx::query("SELECT * FROM offers WHERE request_id = ?").bind(request_id);
        offer.fetch_optional(&mut *self.0).await?.as_ref().map(content_of).transpose()
    }

    async fn offer_by_token(&mut self, token_hash: &SecretHash, now: Timestamp) -> Stored<Option<OfferContent>> {
        let offer = sqlx::query("SELECT * FROM offers WHERE token_hash = ? AND token_until > ?")
            .bind(token_hash.as_slice())
            .bind(now.unix());
        offer.fetch_optional(&mut *self.0).await?.as_ref().map(content_of).transpose()
    }

    async fn offer_by_code(&mut self, code_hash: &SecretHash) -> Stored<Option<OfferAccess>> {
        let offer = sqlx::query("SELECT * FROM offers WHERE code_hash = ?").bind(code_hash.as_slice());
        offer.fetch_optional(&mut *self.0).await?.as_ref().map(access_of).transpose()
    }

    async fn insert_offer(&mut self, offer: &NewOffer) -> Stored<()> {
        sqlx::query(
            "INSERT INTO offers (offer_id, request_id, terms, credential_type, format, claims, valid_from, valid_until, \
             code_hash, pin_hash, state, deferred, created_at, expires_at, reference, created_by) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'open', ?, ?, ?, ?, ?)",
        )
        .bind(&offer.offer_id)
        .bind(&offer.request_id)
        .bind(&offer.terms)
        .bind(&offer.credential_type)
        .bind(offer.format.as_str())
        .bind(offer.claims.0.as_str())
        .bind(offer.valid_from.unix())
        .bind(offer.valid_until.unix())
        .bind(offer.code_hash.as_slice())
        .bind(offer.pin_hash.as_ref().map(<[u8; 32]>::as_slice))
        .bind(offer.deferred)
        .bind(offer.created_at.unix())
        .bind(offer.expires_at.unix())
        .bind(Some(&offer.reference).filter(|reference| !reference.is_empty()))
        .bind(&offer.created_by)
        .execute(&mut *self.0)
        .await?;
        Ok(())
    }

    async fn insert_unique_claims(&mut self, offer_id: &str, unique: &[UniqueClaim]) -> Stored<Option<String>> {
        for claim in unique {
            let kept = sqlx::query("INSERT INTO unique_claims (digest, offer_id) VALUES (?, ?) ON CONFLICT DO NOTHING")
                .bind(claim.digest.as_slice())
                .bind(offer_id)
                .execute(&mut *self.0)
                .await?;
            if kept.rows_affected() == 0 {
                return Ok(Some(claim.name.clone()));
            }
        }
        Ok(None)
    }

    async fn offers_without_unique_claims(&mut self, credential_type: &str) -> Stored<Vec<(String, StoredClaims)>> {
        sqlx::query(
            "SELECT offer_id, claims FROM offers INDEXED BY offers_uncollected \
             WHERE state IN ('open', 'redeemed') AND created_at >= 0 AND credential_type = ? \
             AND claims IS NOT NULL AND NOT EXISTS (SELECT 1 FROM unique_claims u WHERE u.offer_id = offers.offer_id)",
        )
        .bind(credential_type)
        .fetch_all(&mut *self.0)
        .await?
        .iter()
        .map(|row| Ok((row.try_get("offer_id")?, claims(row)?.ok_or(StoreError::Corrupt("offers.claims"))?)))
        .collect()
    }

    async fn set_pin_failures(&mut self, offer_id: &str, failures: i64) -> Stored<()> {
        let set = sqlx::query("UPDATE offers SET pin_failures = ? WHERE offer_id = ?").bind(failures).bind(offer_id);
        set.execute(&mut *self.0).await?;
        Ok(())
    }

    async fn set_repeat_failures(&mut self, offer_id: &str, failures: i64) -> Stored<()> {
        let set = sqlx::query("UPDATE offers SET repeat_failures = ? WHERE offer_id = ?").bind(failures).bind(offer_id);
        set.execute(&mut *self.0).await?;
        Ok(())
    }

    async fn redeem_offer(&mut self, offer_id: &str, token: &NewAccessToken) -> Stored<()> {
        let (challenge, salt) = token.repeatable.as_ref().map(|(challenge, salt)| (challenge, salt)).unzip();
        sqlx::query(
            "UPDATE offers SET state = 'redeemed', token_hash = ?, token_until = ?, challenge_hash = ?, token_salt = ?, \
             collect_until = max(coalesce(collect_until, 0), ?) WHERE offer_id = ?",
        )
        .bind(token.token_hash.as_slice())
        .bind(token.token_until.unix())
        .bind(challenge.map(<[u8; 32]>::as_slice))
        .bind(salt.map(<[u8; 32]>::as_slice))
        .bind(token.collect_until.unix())
        .bind(offer_id)
        .execute(&mut *self.0)
        .await?;
        Ok(())
    }

    async fn extend_token(&mut self, offer_id: &str, until: Timestamp) -> Stored<()> {
        sqlx::query(
            "UPDATE offers SET token_until = ?1, collect_until = max(coalesce(collect_until, 0), ?1) WHERE offer_id = ?2",
        )
        .bind(until.unix())
        .bind(offer_id)
        .execute(&mut *self.0)
        .await?;
        Ok(())
    }

    async fn retain_claims_until(&mut self, offer_id: &str, until: Timestamp) -> Stored<()> {
        sqlx::query("UPDATE offers SET collect_until = max(coalesce(collect_until, 0), ?) WHERE offer_id = ?")
            .bind(until.unix())
            .bind(offer_id)
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }

    async fn choose_format(&mut self, offer_id: &str, format: CredentialFormat) -> Stored<bool> {
        let chosen = sqlx::query(
            "UPDATE offers SET format = ? WHERE offer_id = ? AND NOT EXISTS \
             (SELECT 1 FROM collections c WHERE c.offer_id = offers.offer_id)",
        )
        .bind(format.as_str())
        .bind(offer_id)
        .execute(&mut *self.0)
        .await?;
        Ok(chosen.rows_affected() == 1)
    }

    async fn close_offer(&mut self, offer_id: &str, state: OfferState) -> Stored<()> {
        sqlx::query("UPDATE offers SET state = ?, claims = NULL WHERE offer_id = ?")
            .bind(stored(state).as_str())
            .bind(offer_id)
            .execute(&mut *self.0)
            .await?;
        sqlx::query(
            "UPDATE collections SET holder_keys = NULL, state = 'intended' WHERE offer_id = ? AND state = 'deferred'",
        )
        .bind(offer_id)
        .execute(&mut *self.0)
        .await?;
        // Values that were never issued may be used for another offer.
        sqlx::query(
            "DELETE FROM unique_claims WHERE offer_id = ?1 AND NOT EXISTS (SELECT 1 FROM issued WHERE offer_id = ?1)",
        )
        .bind(offer_id)
        .execute(&mut *self.0)
        .await?;
        crate::store::collections::CollectionRows::delete_unsigned(self, offer_id).await
    }

    async fn collect_offer(&mut self, offer_id: &str) -> Stored<bool> {
        let closed = sqlx::query(
            "UPDATE offers SET state = 'collected', claims = NULL WHERE offer_id = ? AND state = 'redeemed'",
        )
        .bind(offer_id)
        .execute(&mut *self.0)
        .await?;
        Ok(closed.rows_affected() == 1)
    }

    async fn decide_offer(&mut self, offer_id: &str, decision: &StaffDecision) -> Stored<()> {
        sqlx::query(
            "UPDATE offers SET released = ?, rejected = ?, decided_at = ?, decided_by = ?, reason = ? WHERE offer_id = ?",
        )
        .bind(decision.approve)
        .bind(!decision.approve)
        .bind(decision.now.unix())
        .bind(&decision.who)
        .bind(&decision.reason)
        .bind(offer_id)
        .execute(&mut *self.0)
        .await?;
        Ok(())
    }

    async fn offers(&mut self, filter: &OfferFilter, slice: PageSlice) -> Stored<RowPage<OfferRecord>> {
        let mut page = SqlitePage::new(slice);
        while let Some(before) = page.before() {
            // Selects by the narrowest condition; the others are checked for each row.
            let CommonFilter { reference, created_by, credential_type, .. } = &filter.common;
            let query = match filter.state {
                _ if !reference.is_empty() => {
                    sqlx::query("SELECT * FROM offers WHERE reference = ? AND seq < ? ORDER BY seq DESC LIMIT ?")
                        .bind(reference)
                }
                _ if !created_by.is_empty() => {
                    sqlx::query("SELECT * FROM offers WHERE created_by = ? AND seq < ? ORDER BY seq DESC LIMIT ?")
                        .bind(created_by)
                }
                None if !credential_type.is_empty() => {
                    sqlx::query("SELECT * FROM offers WHERE credential_type = ? AND seq < ? ORDER BY seq DESC LIMIT ?")
                        .bind(credential_type)
                }
                None => sqlx::query("SELECT * FROM offers WHERE seq < ? ORDER BY seq DESC LIMIT ?"),
                Some(state) => {
                    sqlx::query("SELECT * FROM offers WHERE state = ? AND seq < ? ORDER BY seq DESC LIMIT ?")
                        .bind(stored(state).as_str())
                }
            };
            let rows = query.bind(before).bind(CHUNK).fetch_all(&mut *self.0).await?;
            let chunk = rows.iter().map(offer_of).collect::<Result<_, _>>()?;
            page.take(chunk, |offer| offer.seq, |offer| !offer.forgotten && filter.matches(offer));
        }
        Ok(page.found)
    }
}

/// Returns the state under which an offer is stored: a locked offer is stored as expired.
fn stored(state: OfferState) -> OfferState {
    if state == OfferState::Locked { OfferState::Expired } else { state }
}

fn offer_of(row: &SqliteRow) -> Stored<OfferRecord> {
    Ok(OfferRecord {
        seq: row.try_get("seq")?,
        offer_id: row.try_get("offer_id")?,
        credential_type: row.try_get("credential_type")?,
        format: format(row)?,
        state: OfferState::of(row.try_get("state")?, row.try_get("pin_failures")?)?,
        deferred: row.try_get("deferred")?,
        created_at: time(row, "created_at")?,
        expires_at: time(row, "expires_at")?,
        decision: decision_of(row)?,
        valid_from: time(row, "valid_from")?,
        valid_until: time(row, "valid_until")?,
        reference: text(row, "reference")?,
        created_by: text(row, "created_by")?,
        forgotten: time_if_any(row, "record_from")?.is_none(),
    })
}

fn decision_of(row: &SqliteRow) -> Stored<Option<StaffDecision>> {
    let Some(now) = time_if_any(row, "decided_at")? else { return Ok(None) };
    Ok(Some(StaffDecision {
        approve: row.try_get("released")?,
        reason: text(row, "reason")?,
        who: text(row, "decided_by")?,
        now,
    }))
}

fn content_of(row: &SqliteRow) -> Stored<OfferContent> {
    Ok(OfferContent {
        offer: offer_of(row)?,
        terms: row.try_get("terms")?,
        claims: claims(row)?,
        released: row.try_get("released")?,
        rejected: row.try_get("rejected")?,
        reason: row.try_get("reason")?,
        collect_until: time_if_any(row, "collect_until")?,
        is_repeatable: hash_if_any(row, "challenge_hash")?.is_some(),
    })
}

fn access_of(row: &SqliteRow) -> Stored<OfferAccess> {
    Ok(OfferAccess {
        offer: offer_of(row)?,
        pin_hash: hash_if_any(row, "pin_hash")?,
        pin_failures: row.try_get("pin_failures")?,
        challenge_hash: hash_if_any(row, "challenge_hash")?,
        repeat_failures: row.try_get("repeat_failures")?,
        token_until: time_if_any(row, "token_until")?,
        token_salt: hash_if_any(row, "token_salt")?,
    })
}
