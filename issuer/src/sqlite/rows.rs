//! Readers of columns that several kinds of rows share. A value out of range is [`StoreError::Corrupt`] with the
//! column's name.

use carnet_core::{format::CredentialFormat, time::Timestamp};
use carnet_service::error::StoreError;
use sqlx::{Row as _, sqlite::SqliteRow};
use zeroize::Zeroizing;

use crate::{
    secrets::Sha256Hash,
    store::{
        StoreResult, StoredClaims,
        status::{StatusIndex, StatusState, parse_state},
    },
};

/// Reads a time in Unix seconds.
pub(super) fn read_time(row: &SqliteRow, column: &str) -> StoreResult<Timestamp> {
    Ok(Timestamp::from_unix(row.try_get(column)?))
}

/// Reads a time in Unix seconds; `None` for NULL.
pub(super) fn read_optional_time(row: &SqliteRow, column: &str) -> StoreResult<Option<Timestamp>> {
    Ok(row.try_get::<Option<i64>, _>(column)?.map(Timestamp::from_unix))
}

/// Reads a text; NULL yields an empty one.
pub(super) fn read_text(row: &SqliteRow, column: &str) -> StoreResult<String> {
    Ok(row.try_get::<Option<String>, _>(column)?.unwrap_or_default())
}

/// Reads a hash of 32 bytes.
pub(super) fn read_hash(row: &SqliteRow, column: &'static str) -> StoreResult<Sha256Hash> {
    row.try_get::<Vec<u8>, _>(column)?.try_into().map_err(|_| StoreError::Corrupt(column))
}

/// Reads a hash of 32 bytes; `None` for NULL.
pub(super) fn read_optional_hash(row: &SqliteRow, column: &'static str) -> StoreResult<Option<Sha256Hash>> {
    let bytes = row.try_get::<Option<Vec<u8>>, _>(column)?;
    bytes.map(|bytes| bytes.try_into().map_err(|_| StoreError::Corrupt(column))).transpose()
}

/// Reads a non-negative integer.
pub(super) fn read_number(row: &SqliteRow, column: &'static str) -> StoreResult<u64> {
    u64::try_from(row.try_get::<i64, _>(column)?).map_err(|_| StoreError::Corrupt(column))
}

/// Reads the number of a message, from 0 to 255.
pub(super) fn read_message_number(row: &SqliteRow, column: &'static str) -> StoreResult<u8> {
    u8::try_from(row.try_get::<i64, _>(column)?).map_err(|_| StoreError::Corrupt(column))
}

/// Reads the credential format in the column `format`.
pub(super) fn read_format(row: &SqliteRow) -> StoreResult<CredentialFormat> {
    CredentialFormat::parse(row.try_get("format")?).ok_or(StoreError::Corrupt("format"))
}

/// Reads the status of a copy in the column `state`.
pub(super) fn read_state(row: &SqliteRow) -> StoreResult<StatusState> {
    parse_state(row.try_get("state")?)
}

/// Reads a status index from the columns `list` and `position`.
pub(super) fn read_status_index(row: &SqliteRow) -> StoreResult<StatusIndex> {
    Ok(StatusIndex { list: row.try_get("list")?, position: read_number(row, "position")? })
}

/// Reads the claims in the column `claims`; `None` if they are erased.
pub(super) fn read_claims(row: &SqliteRow) -> StoreResult<Option<StoredClaims>> {
    Ok(row.try_get::<Option<String>, _>("claims")?.map(|text| StoredClaims(Zeroizing::new(text))))
}

/// Converts a count to SQLite's signed integer; a larger one becomes the maximum.
pub(super) fn to_sqlite_integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
