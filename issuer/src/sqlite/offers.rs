//! SQLite rows of offers and unique claims.

use carnet_core::{format::CredentialFormat, time::Timestamp};
use sqlx::{Row as _, sqlite::SqliteRow};

use super::{
    SqliteTx,
    page::{PageReader, ROWS_PER_CHUNK},
    rows::{read_claims, read_format, read_optional_hash, read_optional_time, read_text, read_time},
};
use crate::{
    secrets::Sha256Hash,
    store::{
        PageSlice, RowPage, StoreError, StoreResult, StoredClaims,
        filter::CommonFilter,
        offers::{
            NewAccessToken, NewOffer, OfferFilter, OfferRecord, OfferRows, OfferSecretHashes, OfferState,
            OfferWithClaims, UniqueClaim,
        },
        renewal::StaffDecision,
    },
};

impl OfferRows for SqliteTx {
    async fn offer(&mut self, offer_id: &str) -> StoreResult<Option<OfferWithClaims>> {
        let offer = sqlx::query("SELECT * FROM offers WHERE offer_id = ?").bind(offer_id);
        offer.fetch_optional(&mut *self.0).await?.as_ref().map(content_from_row).transpose()
    }

    async fn offer_by_request(&mut self, request_id: &str) -> StoreResult<Option<OfferWithClaims>> {
        let offer = sqlx::query("SELECT * FROM offers WHERE request_id = ?").bind(request_id);
        offer.fetch_optional(&mut *self.0).await?.as_ref().map(content_from_row).transpose()
    }

    async fn offer_by_token(
        &mut self,
        token_hash: &Sha256Hash,
        now: Timestamp,
    ) -> StoreResult<Option<OfferWithClaims>> {
        let offer = sqlx::query("SELECT * FROM offers WHERE token_hash = ? AND token_until > ?")
            .bind(token_hash.as_slice())
            .bind(now.unix());
        offer.fetch_optional(&mut *self.0).await?.as_ref().map(content_from_row).transpose()
    }

    async fn offer_by_code(&mut self, code_hash: &Sha256Hash) -> StoreResult<Option<OfferSecretHashes>> {
        let offer = sqlx::query("SELECT * FROM offers WHERE code_hash = ?").bind(code_hash.as_slice());
        offer.fetch_optional(&mut *self.0).await?.as_ref().map(access_from_row).transpose()
    }

    async fn insert_offer(&mut self, offer: &NewOffer) -> StoreResult<()> {
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

    async fn insert_unique_claims(&mut self, offer_id: &str, unique: &[UniqueClaim]) -> StoreResult<Option<String>> {
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

    async fn offers_with_unrecorded_claims(
        &mut self,
        credential_type: &str,
    ) -> StoreResult<Vec<(String, StoredClaims)>> {
        sqlx::query(
            "SELECT offer_id, claims FROM offers INDEXED BY offers_uncollected \
             WHERE state IN ('open', 'redeemed') AND created_at >= 0 AND credential_type = ? \
             AND claims IS NOT NULL AND NOT EXISTS (SELECT 1 FROM unique_claims u WHERE u.offer_id = offers.offer_id)",
        )
        .bind(credential_type)
        .fetch_all(&mut *self.0)
        .await?
        .iter()
        .map(|row| Ok((row.try_get("offer_id")?, read_claims(row)?.ok_or(StoreError::Corrupt("offers.claims"))?)))
        .collect()
    }

    async fn set_pin_failures(&mut self, offer_id: &str, failures: i64) -> StoreResult<()> {
        let set = sqlx::query("UPDATE offers SET pin_failures = ? WHERE offer_id = ?").bind(failures).bind(offer_id);
        set.execute(&mut *self.0).await?;
        Ok(())
    }

    async fn set_repeat_failures(&mut self, offer_id: &str, failures: i64) -> StoreResult<()> {
        let set = sqlx::query("UPDATE offers SET repeat_failures = ? WHERE offer_id = ?").bind(failures).bind(offer_id);
        set.execute(&mut *self.0).await?;
        Ok(())
    }

    async fn mark_offer_redeemed(&mut self, offer_id: &str, token: &NewAccessToken) -> StoreResult<()> {
        let (challenge, salt) = token.challenge_and_salt.as_ref().map(|(challenge, salt)| (challenge, salt)).unzip();
        sqlx::query(
            "UPDATE offers SET state = 'redeemed', token_hash = ?, token_until = ?, challenge_hash = ?, token_salt = ?, \
             collect_until = max(coalesce(collect_until, 0), ?) WHERE offer_id = ?",
        )
        .bind(token.token_hash.as_slice())
        .bind(token.token_until.unix())
        .bind(challenge.map(<[u8; 32]>::as_slice))
        .bind(salt.map(<[u8; 32]>::as_slice))
        .bind(token.keep_claims_until.unix())
        .bind(offer_id)
        .execute(&mut *self.0)
        .await?;
        Ok(())
    }

    async fn extend_token(&mut self, offer_id: &str, until: Timestamp) -> StoreResult<()> {
        sqlx::query(
            "UPDATE offers SET token_until = ?1, collect_until = max(coalesce(collect_until, 0), ?1) WHERE offer_id = ?2",
        )
        .bind(until.unix())
        .bind(offer_id)
        .execute(&mut *self.0)
        .await?;
        Ok(())
    }

    async fn retain_claims_until(&mut self, offer_id: &str, until: Timestamp) -> StoreResult<()> {
        sqlx::query("UPDATE offers SET collect_until = max(coalesce(collect_until, 0), ?) WHERE offer_id = ?")
            .bind(until.unix())
            .bind(offer_id)
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }

    async fn choose_format(&mut self, offer_id: &str, format: CredentialFormat) -> StoreResult<bool> {
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

    async fn close_offer(&mut self, offer_id: &str, state: OfferState) -> StoreResult<()> {
        sqlx::query("UPDATE offers SET state = ?, claims = NULL WHERE offer_id = ?")
            .bind(stored_state(state).as_str())
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
        crate::store::issuances::IssuanceRows::erase_unsigned_keys(self, offer_id).await
    }

    async fn mark_offer_collected(&mut self, offer_id: &str) -> StoreResult<bool> {
        let closed = sqlx::query(
            "UPDATE offers SET state = 'collected', claims = NULL WHERE offer_id = ? AND state = 'redeemed'",
        )
        .bind(offer_id)
        .execute(&mut *self.0)
        .await?;
        Ok(closed.rows_affected() == 1)
    }

    async fn store_offer_decision(&mut self, offer_id: &str, decision: &StaffDecision) -> StoreResult<()> {
        sqlx::query(
            "UPDATE offers SET released = ?, rejected = ?, decided_at = ?, decided_by = ?, reason = ? WHERE offer_id = ?",
        )
        .bind(decision.approve)
        .bind(!decision.approve)
        .bind(decision.now.unix())
        .bind(&decision.staff_name)
        .bind(&decision.reason)
        .bind(offer_id)
        .execute(&mut *self.0)
        .await?;
        Ok(())
    }

    async fn offers(&mut self, filter: &OfferFilter, slice: PageSlice) -> StoreResult<RowPage<OfferRecord>> {
        let mut page = PageReader::new(slice);
        while let Some(before) = page.next_before() {
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
                        .bind(stored_state(state).as_str())
                }
            };
            let rows = query.bind(before).bind(ROWS_PER_CHUNK).fetch_all(&mut *self.0).await?;
            let chunk = rows.iter().map(offer_from_row).collect::<Result<_, _>>()?;
            page.add_chunk(chunk, |offer| offer.seq, |offer| !offer.is_erased && filter.matches(offer));
        }
        Ok(page.page)
    }
}

/// Returns the state under which an offer is stored: a locked offer is stored as expired.
fn stored_state(state: OfferState) -> OfferState {
    if state == OfferState::Locked { OfferState::Expired } else { state }
}

fn offer_from_row(row: &SqliteRow) -> StoreResult<OfferRecord> {
    Ok(OfferRecord {
        seq: row.try_get("seq")?,
        offer_id: row.try_get("offer_id")?,
        credential_type: row.try_get("credential_type")?,
        format: read_format(row)?,
        state: OfferState::from_stored(row.try_get("state")?, row.try_get("pin_failures")?)?,
        deferred: row.try_get("deferred")?,
        created_at: read_time(row, "created_at")?,
        expires_at: read_time(row, "expires_at")?,
        decision: decision_from_row(row)?,
        valid_from: read_time(row, "valid_from")?,
        valid_until: read_time(row, "valid_until")?,
        reference: read_text(row, "reference")?,
        created_by: read_text(row, "created_by")?,
        is_erased: read_optional_time(row, "record_from")?.is_none(),
    })
}

fn decision_from_row(row: &SqliteRow) -> StoreResult<Option<StaffDecision>> {
    let Some(now) = read_optional_time(row, "decided_at")? else { return Ok(None) };
    Ok(Some(StaffDecision {
        approve: row.try_get("released")?,
        reason: read_text(row, "reason")?,
        staff_name: read_text(row, "decided_by")?,
        now,
    }))
}

fn content_from_row(row: &SqliteRow) -> StoreResult<OfferWithClaims> {
    Ok(OfferWithClaims {
        offer: offer_from_row(row)?,
        terms: row.try_get("terms")?,
        claims: read_claims(row)?,
        released: row.try_get("released")?,
        rejected: row.try_get("rejected")?,
        reason: row.try_get("reason")?,
        keep_claims_until: read_optional_time(row, "collect_until")?,
        is_repeatable: read_optional_hash(row, "challenge_hash")?.is_some(),
    })
}

fn access_from_row(row: &SqliteRow) -> StoreResult<OfferSecretHashes> {
    Ok(OfferSecretHashes {
        offer: offer_from_row(row)?,
        pin_hash: read_optional_hash(row, "pin_hash")?,
        pin_failures: row.try_get("pin_failures")?,
        challenge_hash: read_optional_hash(row, "challenge_hash")?,
        repeat_failures: row.try_get("repeat_failures")?,
        token_until: read_optional_time(row, "token_until")?,
        token_salt: read_optional_hash(row, "token_salt")?,
    })
}
