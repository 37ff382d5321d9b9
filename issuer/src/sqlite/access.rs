//! Access to offers by codes, PINs and tokens.

use carnet_core::{format::CredentialFormat, time::Timestamp};
use sqlx::{Row as _, sqlite::SqliteRow};

use super::{SqliteStore, Tx, close, offer_of};
use crate::{
    error::Error,
    format::chosen_format,
    secrets::{self, Hash},
    store::{AccessStore, OfferRecord, OfferState, PIN_TRIES, Redeeming, Redemption},
};

impl AccessStore for SqliteStore {
    async fn redeem(&self, redeeming: Redeeming) -> Result<Redemption, Error> {
        let code_hash = redeeming.code_hash.as_slice();
        // Anonymous callers can get here, so only somebody with a valid code may delay other writers.
        let known: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM offers WHERE code_hash = ?)")
            .bind(code_hash)
            .fetch_one(self.database.readers())
            .await?;
        if !known {
            return Ok(Redemption::Refused(Error::OfferUnknown));
        }
        let mut tx = self.database.begin("redeem_offer").await?;
        let row = sqlx::query("SELECT * FROM offers WHERE code_hash = ?").bind(code_hash).fetch_one(&mut *tx).await?;
        let offer = offer_of(&row)?;
        let challenge_hash: Option<Vec<u8>> = row.try_get("challenge_hash")?;
        if let (OfferState::Redeemed | OfferState::Collected, Some(kept)) = (offer.state, challenge_hash) {
            return repeat(tx, &row, offer, &kept, &redeeming).await;
        }
        let now = redeeming.now;
        if let Some(refusal) = refusal(&mut tx, &row, &offer, now).await? {
            return Ok(Redemption::Refused(refusal));
        }
        if offer.expires_at <= now {
            close(&mut tx, &offer.offer_id, OfferState::Expired).await?;
            tx.commit().await?;
            self.truncate_log().await;
            return Ok(Redemption::Refused(Error::OfferExpired));
        }
        match check_pin(&row, redeeming.pin_hash)? {
            PinCheck::Right => {}
            PinCheck::Refused(refusal) => return Ok(Redemption::Refused(refusal)),
            PinCheck::Wrong => return self.wrong_pin(tx, &row, &offer).await,
        }
        // A wallet that can repeat the redemption has until the offer's end; any other until the token's end.
        let repeatable = redeeming.challenge_hash.is_some();
        let collect_until = if repeatable { offer.expires_at } else { redeeming.token_until };
        sqlx::query(
            "UPDATE offers SET state = 'redeemed', token_hash = ?, token_until = ?, challenge_hash = ?, token_salt = ?, \
             collect_until = max(coalesce(collect_until, 0), ?, ?) WHERE offer_id = ?",
        )
        .bind(redeeming.token_hash.as_slice())
        .bind(redeeming.token_until.unix())
        .bind(redeeming.challenge_hash.as_ref().map(<[u8; 32]>::as_slice))
        .bind(repeatable.then_some(redeeming.token_salt.as_slice()))
        .bind(redeeming.token_until.unix())
        .bind(collect_until.unix())
        .bind(&offer.offer_id)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(Redemption::Granted(OfferRecord { state: OfferState::Redeemed, ..offer }))
    }

    async fn check_access(
        &self,
        token_hash: Hash,
        configuration: &str,
        request_digest: &Hash,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let row = sqlx::query(
            "SELECT credential_type, format, EXISTS (SELECT 1 FROM collections c \
             WHERE c.offer_id = offers.offer_id AND c.request_digest = ?) AS known \
             FROM offers WHERE token_hash = ? AND token_until > ?",
        )
        .bind(request_digest.as_slice())
        .bind(token_hash.as_slice())
        .bind(now.unix())
        .fetch_optional(self.database.readers())
        .await?
        .ok_or(Error::TokenInvalid)?;
        let format = CredentialFormat::parse(row.try_get("format")?).ok_or(Error::Corrupt("offers.format"))?;
        chosen_format(row.try_get("credential_type")?, format, configuration)?;
        Ok(row.try_get("known")?)
    }

    async fn open_offer(&self, code_hash: &Hash, now: Timestamp) -> Result<(OfferRecord, bool), Error> {
        let row = sqlx::query("SELECT * FROM offers WHERE code_hash = ?")
            .bind(code_hash.as_slice())
            .fetch_optional(self.database.readers())
            .await?
            .ok_or(Error::OfferUnknown)?;
        let offer = offer_of(&row)?;
        if offer.state != OfferState::Open || offer.expires_at <= now {
            return Err(Error::OfferUnknown);
        }
        Ok((offer, row.try_get::<Option<Vec<u8>>, _>("pin_hash")?.is_some()))
    }
}

impl SqliteStore {
    /// Counts a wrong PIN of an open offer; the last one locks it.
    async fn wrong_pin(&self, mut tx: Tx, row: &SqliteRow, offer: &OfferRecord) -> Result<Redemption, Error> {
        let failures = row.try_get::<i64, _>("pin_failures")?.saturating_add(1);
        sqlx::query("UPDATE offers SET pin_failures = ? WHERE offer_id = ?")
            .bind(failures)
            .bind(&offer.offer_id)
            .execute(&mut *tx)
            .await?;
        let locked = failures >= PIN_TRIES;
        if locked {
            close(&mut tx, &offer.offer_id, OfferState::Expired).await?;
        }
        // The count is committed although the call is refused: this limits guessing.
        tx.commit().await?;
        if locked {
            self.truncate_log().await;
            return Ok(Redemption::Refused(Error::OfferLocked));
        }
        Ok(Redemption::Refused(Error::PinWrong { left: PIN_TRIES.saturating_sub(failures) }))
    }
}

/// Repeats a redemption with a challenge. Without the right verifier, the error is that of a used offer, whatever else
/// is right or wrong. Wrong verifiers are counted; after the last one the redemption cannot be repeated, and the
/// earlier token remains valid.
async fn repeat(
    mut tx: Tx,
    row: &SqliteRow,
    offer: OfferRecord,
    kept: &[u8],
    redeeming: &Redeeming,
) -> Result<Redemption, Error> {
    let used = || Ok(Redemption::Refused(Error::OfferUsed));
    let failures: i64 = row.try_get("repeat_failures")?;
    let Some(shown) = redeeming.challenge_hash.filter(|_| redeeming.is_verified) else { return used() };
    if failures >= PIN_TRIES {
        return used();
    }
    let failures = failures.saturating_add(1);
    if !secrets::same(kept, &shown) {
        count_failure(tx, &offer.offer_id, failures).await?;
        return used();
    }
    if offer.expires_at <= redeeming.now {
        return Ok(Redemption::Refused(Error::OfferExpired));
    }
    match check_pin(row, redeeming.pin_hash)? {
        PinCheck::Right => {}
        PinCheck::Refused(refusal) => return Ok(Redemption::Refused(refusal)),
        PinCheck::Wrong => {
            count_failure(tx, &offer.offer_id, failures).await?;
            return Ok(Redemption::Refused(Error::PinWrong { left: PIN_TRIES.saturating_sub(failures) }));
        }
    }
    let salt: Option<Vec<u8>> = row.try_get("token_salt")?;
    let token_salt = salt.and_then(|salt| salt.try_into().ok()).ok_or(Error::Corrupt("offers.token_salt"))?;
    sqlx::query(
        "UPDATE offers SET token_until = ?, collect_until = max(coalesce(collect_until, 0), ?) WHERE offer_id = ?",
    )
    .bind(redeeming.token_until.unix())
    .bind(redeeming.token_until.unix())
    .bind(&offer.offer_id)
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(Redemption::Repeated { offer, token_salt })
}

async fn count_failure(mut tx: Tx, offer_id: &str, failures: i64) -> Result<(), Error> {
    sqlx::query("UPDATE offers SET repeat_failures = ? WHERE offer_id = ?")
        .bind(failures)
        .bind(offer_id)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(())
}

/// Result of comparing a PIN with an offer's.
enum PinCheck {
    Right,
    Wrong,
    /// Missing or unexpected PIN: not counted as a guess.
    Refused(Error),
}

fn check_pin(row: &SqliteRow, given: Option<Hash>) -> Result<PinCheck, Error> {
    let expected: Option<Vec<u8>> = row.try_get("pin_hash")?;
    Ok(match (expected, given) {
        (None, None) => PinCheck::Right,
        (Some(_), None) => PinCheck::Refused(Error::PinMissing),
        (None, Some(_)) => PinCheck::Refused(Error::PinUnexpected),
        (Some(expected), Some(given)) if secrets::same(&expected, &given) => PinCheck::Right,
        (Some(_), Some(_)) => PinCheck::Wrong,
    })
}

/// Returns the reason why a code does not work in the offer's current state.
async fn refusal(tx: &mut Tx, row: &SqliteRow, offer: &OfferRecord, now: Timestamp) -> Result<Option<Error>, Error> {
    Ok(match offer.state {
        OfferState::Open => None,
        OfferState::Redeemed if left_unsigned(tx, &offer.offer_id).await? => {
            let until: Option<i64> = row.try_get("token_until")?;
            let left = until.unwrap_or_default().saturating_sub(now.unix());
            // The token's owner has precedence; after its end, a wallet that lost it may start again.
            u32::try_from(left).ok().filter(|left| *left > 0).map(|seconds| Error::OfferHeld { seconds })
        }
        OfferState::Redeemed | OfferState::Collected => Some(Error::OfferUsed),
        OfferState::Cancelled => Some(Error::OfferCancelled),
        OfferState::Locked => Some(Error::OfferLocked),
        OfferState::Expired => Some(Error::OfferExpired),
    })
}

/// Tests if an intent to sign for a redeemed offer was not completed: by a power cut, or a signing error.
async fn left_unsigned(tx: &mut Tx, offer_id: &str) -> Result<bool, Error> {
    Ok(sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM collections WHERE offer_id = ? AND state = 'intended')")
        .bind(offer_id)
        .fetch_one(&mut **tx)
        .await?)
}
