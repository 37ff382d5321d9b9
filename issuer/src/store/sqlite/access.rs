//! Who may collect: codes, PINs and tokens.

use carnet_core::time::Timestamp;
use sqlx::{Row as _, sqlite::SqliteRow};

use super::{SqliteStore, Tx, close, offer_of};
use crate::{
    error::Error,
    format::{Format, configuration_id},
    secrets::{self, Hash},
    store::{AccessStore, OfferRecord, OfferState, PIN_TRIES, Redemption},
};

impl AccessStore for SqliteStore {
    async fn redeem(
        &self,
        code_hash: Hash,
        pin_hash: Option<Hash>,
        token_hash: Hash,
        token_until: Timestamp,
        now: Timestamp,
    ) -> Result<Redemption, Error> {
        // Nobody has to be known to call, so that only who knows a code makes others wait to write.
        let known: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM offers WHERE code_hash = ?)")
            .bind(code_hash.as_slice())
            .fetch_one(self.database.readers())
            .await?;
        if !known {
            return Ok(Redemption::Refused(Error::OfferUnknown));
        }
        let mut tx = self.database.begin("redeem_offer").await?;
        let row = sqlx::query("SELECT * FROM offers WHERE code_hash = ?")
            .bind(code_hash.as_slice())
            .fetch_one(&mut *tx)
            .await?;
        let offer = offer_of(&row)?;
        let failures: i64 = row.try_get("pin_failures")?;
        if let Some(refusal) = refusal(&mut tx, &row, &offer, now).await? {
            return Ok(Redemption::Refused(refusal));
        }
        if offer.expires_at <= now {
            close(&mut tx, &offer.offer_id, OfferState::Expired).await?;
            tx.commit().await?;
            self.truncate_log().await;
            return Ok(Redemption::Refused(Error::OfferExpired));
        }
        let expected: Option<Vec<u8>> = row.try_get("pin_hash")?;
        match (expected, pin_hash) {
            (None, None) => {}
            (Some(_), None) => return Ok(Redemption::Refused(Error::PinMissing)),
            (None, Some(_)) => return Ok(Redemption::Refused(Error::PinUnexpected)),
            (Some(expected), Some(given)) if secrets::same(&expected, &given) => {}
            (Some(_), Some(_)) => {
                let failures = failures.saturating_add(1);
                sqlx::query("UPDATE offers SET pin_failures = ? WHERE offer_id = ?")
                    .bind(failures)
                    .bind(&offer.offer_id)
                    .execute(&mut *tx)
                    .await?;
                let locked = failures >= PIN_TRIES;
                if locked {
                    close(&mut tx, &offer.offer_id, OfferState::Expired).await?;
                }
                // The count is kept although the call is refused: that is what limits guessing.
                tx.commit().await?;
                if locked {
                    self.truncate_log().await;
                    return Ok(Redemption::Refused(Error::OfferLocked));
                }
                return Ok(Redemption::Refused(Error::PinWrong { left: PIN_TRIES.saturating_sub(failures) }));
            }
        }
        sqlx::query(
            "UPDATE offers SET state = 'redeemed', token_hash = ?, token_until = ?, \
             collect_until = max(coalesce(collect_until, 0), ?) WHERE offer_id = ?",
        )
        .bind(token_hash.as_slice())
        .bind(token_until.unix())
        .bind(token_until.unix())
        .bind(&offer.offer_id)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(Redemption::Granted(OfferRecord { state: OfferState::Redeemed, ..offer }))
    }
    async fn check_access(&self, token_hash: Hash, configuration: &str, now: Timestamp) -> Result<(), Error> {
        let row = sqlx::query("SELECT credential_type, format FROM offers WHERE token_hash = ? AND token_until > ?")
            .bind(token_hash.as_slice())
            .bind(now.unix())
            .fetch_optional(self.database.readers())
            .await?
            .ok_or(Error::TokenInvalid)?;
        let format = Format::parse(row.try_get("format")?).ok_or(Error::Corrupt("offers.format"))?;
        if configuration_id(row.try_get("credential_type")?, format) == configuration {
            Ok(())
        } else {
            Err(Error::NotOffered)
        }
    }
}

/// Why a code does not work, as the offer stands.
async fn refusal(tx: &mut Tx, row: &SqliteRow, offer: &OfferRecord, now: Timestamp) -> Result<Option<Error>, Error> {
    Ok(match offer.state {
        OfferState::Open => None,
        OfferState::Redeemed if left_unsigned(tx, &offer.offer_id).await? => {
            let until: Option<i64> = row.try_get("token_until")?;
            let left = until.unwrap_or_default().saturating_sub(now.unix());
            // Whoever has the token comes first; once it has ended, the wallet that lost it may begin again.
            u32::try_from(left).ok().filter(|left| *left > 0).map(|seconds| Error::OfferHeld { seconds })
        }
        OfferState::Redeemed | OfferState::Collected => Some(Error::OfferUsed),
        OfferState::Cancelled => Some(Error::OfferCancelled),
        OfferState::Expired if row.try_get::<i64, _>("pin_failures")? >= PIN_TRIES => Some(Error::OfferLocked),
        OfferState::Expired => Some(Error::OfferExpired),
    })
}

/// Whether copies of a redeemed offer were about to be signed, and were not: the power went, or signing failed.
async fn left_unsigned(tx: &mut Tx, offer_id: &str) -> Result<bool, Error> {
    Ok(sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM collections WHERE offer_id = ? AND state = 'intended')")
        .bind(offer_id)
        .fetch_one(&mut **tx)
        .await?)
}
