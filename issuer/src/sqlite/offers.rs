//! Offers, for staff.

use sqlx::Row as _;

use super::{CHUNK, OFFER, Page, SqliteStore, Tx, claims_of, close, offer_of};
use crate::{
    claims::UniqueClaim,
    error::Error,
    store::{
        Claims, Creation, NewOffer, OfferRecord, OfferState, OfferStore, Rows, Slice,
        filter::{Common, OfferFilter},
    },
};

impl OfferStore for SqliteStore {
    async fn create_offer(&self, offer: NewOffer) -> Result<Creation, Error> {
        let mut tx = self.database.begin("create_offer").await?;
        if let Some(row) = sqlx::query("SELECT * FROM offers WHERE request_id = ?")
            .bind(&offer.request_id)
            .fetch_optional(&mut *tx)
            .await?
        {
            return Ok(Creation::Known {
                offer: offer_of(&row)?,
                terms: row.try_get("terms")?,
                claims: claims_of(&row)?,
            });
        }
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
        .execute(&mut *tx)
        .await?;
        if let Some(claim) = keep(&mut tx, &offer.offer_id, &offer.unique).await? {
            return Ok(Creation::Taken { claim });
        }
        let row = sqlx::query(OFFER).bind(&offer.offer_id).fetch_one(&mut *tx).await?;
        let record = offer_of(&row)?;
        tx.commit().await?;
        Ok(Creation::Stored(record))
    }

    async fn offers_without_unique_claims(&self, credential_type: &str) -> Result<Vec<(String, Claims)>, Error> {
        sqlx::query(
            "SELECT offer_id, claims FROM offers INDEXED BY offers_uncollected \
             WHERE state IN ('open', 'redeemed') AND created_at >= 0 AND credential_type = ? \
             AND claims IS NOT NULL AND NOT EXISTS (SELECT 1 FROM unique_claims u WHERE u.offer_id = offers.offer_id)",
        )
        .bind(credential_type)
        .fetch_all(self.database.readers())
        .await?
        .iter()
        .map(|row| Ok((row.try_get("offer_id")?, claims_of(row)?.ok_or(Error::Corrupt("offers.claims"))?)))
        .collect()
    }

    async fn keep_unique_claims(&self, offer_id: &str, unique: &[UniqueClaim]) -> Result<bool, Error> {
        let mut tx = self.database.begin("keep_unique_claims").await?;
        let taken = keep(&mut tx, offer_id, unique).await?;
        if taken.is_none() {
            tx.commit().await?;
        }
        Ok(taken.is_none())
    }

    async fn cancel(&self, offer_id: &str) -> Result<OfferRecord, Error> {
        let mut tx = self.database.begin("cancel_offer").await?;
        let row = sqlx::query(OFFER)
            .bind(offer_id)
            .fetch_optional(&mut *tx)
            .await?
            .ok_or(Error::NotFound { what: "offer" })?;
        let offer = offer_of(&row)?;
        match offer.state {
            OfferState::Cancelled => return Ok(offer),
            OfferState::Open | OfferState::Redeemed => {}
            state @ (OfferState::Collected | OfferState::Expired | OfferState::Locked) => {
                return Err(Error::WrongState { state: state.as_str(), verb: "cancelled" });
            }
        }
        close(&mut tx, offer_id, OfferState::Cancelled).await?;
        tx.commit().await?;
        self.truncate_log().await;
        Ok(OfferRecord { state: OfferState::Cancelled, ..offer })
    }

    async fn offers(&self, filter: &OfferFilter, slice: Slice) -> Result<Rows<OfferRecord>, Error> {
        let mut page = Page::new(slice);
        while let Some(before) = page.before() {
            // Selects by the narrowest condition; the others are checked for each row.
            let Common { reference, created_by, credential_type, .. } = &filter.common;
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
                    let stored = if state == OfferState::Locked { OfferState::Expired } else { state };
                    sqlx::query("SELECT * FROM offers WHERE state = ? AND seq < ? ORDER BY seq DESC LIMIT ?")
                        .bind(stored.as_str())
                }
            };
            let rows = query.bind(before).bind(CHUNK).fetch_all(self.database.readers()).await?;
            let chunk = rows.iter().map(offer_of).collect::<Result<_, _>>()?;
            page.take(chunk, |offer| offer.seq, |offer| !offer.forgotten && filter.matches(offer));
        }
        Ok(page.found)
    }
}

/// Stores the digests of claims that no other offer may share; returns the name of the first one already taken.
async fn keep(tx: &mut Tx, offer_id: &str, unique: &[UniqueClaim]) -> Result<Option<String>, Error> {
    for claim in unique {
        let kept = sqlx::query("INSERT INTO unique_claims (digest, offer_id) VALUES (?, ?) ON CONFLICT DO NOTHING")
            .bind(claim.digest.as_slice())
            .bind(offer_id)
            .execute(&mut **tx)
            .await?;
        if kept.rows_affected() == 0 {
            return Ok(Some(claim.name.clone()));
        }
    }
    Ok(None)
}
