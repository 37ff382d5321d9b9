//! Readers of columns that several kinds of rows share. A value out of range is [`StoreError::Corrupt`] with the
//! column's name.

use carnet_core::{format::CredentialFormat, time::Timestamp};
use carnet_service::error::StoreError;
use sqlx::{Row as _, sqlite::SqliteRow};
use zeroize::Zeroizing;

use crate::{
    secrets::SecretHash,
    store::{
        Stored, StoredClaims,
        status::{StatusIndex, StatusState, parse_state},
    },
};

/// Reads a time in Unix seconds.
pub(super) fn time(row: &SqliteRow, column: &str) -> Stored<Timestamp> {
    Ok(Timestamp::from_unix(row.try_get(column)?))
}

/// Reads a time in Unix seconds; `None` for NULL.
pub(super) fn time_if_any(row: &SqliteRow, column: &str) -> Stored<Option<Timestamp>> {
    Ok(row.try_get::<Option<i64>, _>(column)?.map(Timestamp::from_unix))
}

/// Reads a text; NULL yields an empty one.
pub(super) fn text(row: &SqliteRow, column: &str) -> Stored<String> {
    Ok(row.try_get::<Option<String>, _>(column)?.unwrap_or_default())
}

/// Reads a hash of 32 bytes.
pub(super) fn hash(row: &SqliteRow, column: &'static str) -> Stored<SecretHash> {
    row.try_get::<Vec<u8>, _>(column)?.try_into().map_err(|_| StoreError::Corrupt(column))
}

/// Reads a hash of 32 bytes; `None` for NULL.
pub(super) fn hash_if_any(row: &SqliteRow, column: &'static str) -> Stored<Option<SecretHash>> {
    let bytes = row.try_get::<Option<Vec<u8>>, _>(column)?;
    bytes.map(|bytes| bytes.try_into().map_err(|_| StoreError::Corrupt(column))).transpose()
}

/// Reads a non-negative integer.
pub(super) fn number(row: &SqliteRow, column: &'static str) -> Stored<u64> {
    u64::try_from(row.try_get::<i64, _>(column)?).map_err(|_| StoreError::Corrupt(column))
}

/// Reads the number of a message, from 0 to 255.
pub(super) fn message(row: &SqliteRow, column: &'static str) -> Stored<u8> {
    u8::try_from(row.try_get::<i64, _>(column)?).map_err(|_| StoreError::Corrupt(column))
}

/// Reads the credential format in the column `format`.
pub(super) fn format(row: &SqliteRow) -> Stored<CredentialFormat> {
    CredentialFormat::parse(row.try_get("format")?).ok_or(StoreError::Corrupt("format"))
}

/// Reads the status of a copy in the column `state`.
pub(super) fn state(row: &SqliteRow) -> Stored<StatusState> {
    parse_state(row.try_get("state")?)
}

/// Reads a status index from the columns `list` and `position`.
pub(super) fn place(row: &SqliteRow) -> Stored<StatusIndex> {
    Ok(StatusIndex { list: row.try_get("list")?, position: number(row, "position")? })
}

/// Reads the claims in the column `claims`; `None` if they are erased.
pub(super) fn claims(row: &SqliteRow) -> Stored<Option<StoredClaims>> {
    Ok(row.try_get::<Option<String>, _>("claims")?.map(|text| StoredClaims(Zeroizing::new(text))))
}

/// Converts a count to SQLite's signed integer; a larger one becomes the maximum.
pub(super) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
