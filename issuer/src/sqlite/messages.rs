//! Messages on copies, for their holders: the meanings of their numbers, and the copies that can have one.

use carnet_core::{format::CredentialFormat, status::message::Messages};
use sqlx::Row as _;

use super::Tx;
use crate::error::Error;

/// Stores the meanings of the numbers. Meanings that no act has used, and no copy was issued with, are deleted first.
pub(super) async fn settle(tx: &mut Tx, messages: Option<&Messages>) -> Result<(), Error> {
    let newest: i64 = sqlx::query_scalar("SELECT coalesce(max(seq), 0) FROM issued").fetch_one(&mut **tx).await?;
    sqlx::query("DELETE FROM status_messages WHERE after >= ? AND number NOT IN (SELECT number FROM used_messages)")
        .bind(newest)
        .execute(&mut **tx)
        .await?;
    let known = sqlx::query("SELECT number, text FROM status_messages ORDER BY number").fetch_all(&mut **tx).await?;
    let text = |number| messages.and_then(|messages| messages.text(number));
    for row in known {
        let (number, meant) = (number(row.try_get("number")?)?, row.try_get::<String, _>("text")?);
        if text(number) != Some(meant.as_str()) {
            return Err(Error::MessageChanged { number, meant });
        }
    }
    for (number, text) in (0..=u8::MAX).filter_map(|number| text(number).map(|text| (number, text))) {
        sqlx::query(
            "INSERT INTO status_messages (number, text, after) VALUES (?, ?, ?) ON CONFLICT (number) DO NOTHING",
        )
        .bind(i64::from(number))
        .bind(text)
        .bind(newest)
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

/// Returns the message of a copy that can have one: wallets ask about SD-JWT copies only.
pub(super) async fn replaceable(tx: &mut Tx, status_index: i64) -> Result<Option<u8>, Error> {
    let found = sqlx::query_scalar::<_, i64>(
        "SELECT coalesce(m.number, 0) FROM issued i JOIN offers o USING (offer_id) LEFT JOIN messages m USING (status_index) \
         WHERE i.status_index = ? AND o.format IN (?, ?)",
    )
    .bind(status_index)
    .bind(CredentialFormat::VcSdJwt.as_str())
    .bind(CredentialFormat::DcSdJwt.as_str())
    .fetch_optional(&mut **tx)
    .await?;
    found.map(number).transpose()
}

/// Writes the message of a copy, and the act that changed it.
pub(super) async fn set(tx: &mut Tx, act: i64, (status_index, before, after): (i64, u8, u8)) -> Result<(), Error> {
    sqlx::query("INSERT INTO message_changes (act, status_index, before, after) VALUES (?, ?, ?, ?)")
        .bind(act)
        .bind(status_index)
        .bind(i64::from(before))
        .bind(i64::from(after))
        .execute(&mut **tx)
        .await?;
    sqlx::query(
        "INSERT INTO messages (status_index, number, act) VALUES (?, ?, ?) \
         ON CONFLICT (status_index) DO UPDATE SET number = excluded.number, act = excluded.act",
    )
    .bind(status_index)
    .bind(i64::from(after))
    .bind(act)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Converts a stored number.
pub(super) fn number(stored: i64) -> Result<u8, Error> {
    u8::try_from(stored).map_err(|_| Error::Corrupt("messages.number"))
}
