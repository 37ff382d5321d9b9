//! Columns that several row types share.

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

/// Reads a time.
pub(super) fn time(row: &SqliteRow, column: &str) -> Stored<Timestamp> {
    Ok(Timestamp::from_unix(row.try_get(column)?))
}

/// Reads a time that may be absent.
pub(super) fn time_if_any(row: &SqliteRow, column: &str) -> Stored<Option<Timestamp>> {
    Ok(row.try_get::<Option<i64>, _>(column)?.map(Timestamp::from_unix))
}

/// Reads a text; an absent one is empty.
pub(super) fn text(row: &SqliteRow, column: &str) -> Stored<String> {
    Ok(row.try_get::<Option<String>, _>(column)?.unwrap_or_default())
}

pub(super) fn hash(row: &SqliteRow, column: &'static str) -> Stored<SecretHash> {
    row.try_get::<Vec<u8>, _>(column)?.try_into().map_err(|_| StoreError::Corrupt(column))
}

pub(super) fn hash_if_any(row: &SqliteRow, column: &'static str) -> Stored<Option<SecretHash>> {
    let bytes = row.try_get::<Option<Vec<u8>>, _>(column)?;
    bytes.map(|bytes| bytes.try_into().map_err(|_| StoreError::Corrupt(column))).transpose()
}

/// Reads a number that is not negative.
pub(super) fn number(row: &SqliteRow, column: &'static str) -> Stored<u64> {
    u64::try_from(row.try_get::<i64, _>(column)?).map_err(|_| StoreError::Corrupt(column))
}

/// Reads the number of a message.
pub(super) fn message(row: &SqliteRow, column: &'static str) -> Stored<u8> {
    u8::try_from(row.try_get::<i64, _>(column)?).map_err(|_| StoreError::Corrupt(column))
}

pub(super) fn format(row: &SqliteRow) -> Stored<CredentialFormat> {
    CredentialFormat::parse(row.try_get("format")?).ok_or(StoreError::Corrupt("format"))
}

pub(super) fn state(row: &SqliteRow) -> Stored<StatusState> {
    parse_state(row.try_get("state")?)
}

/// Reads the columns `list` and `position`.
pub(super) fn place(row: &SqliteRow) -> Stored<StatusIndex> {
    Ok(StatusIndex { list: row.try_get("list")?, position: number(row, "position")? })
}

pub(super) fn claims(row: &SqliteRow) -> Stored<Option<StoredClaims>> {
    Ok(row.try_get::<Option<String>, _>("claims")?.map(|text| StoredClaims(Zeroizing::new(text))))
}

/// Converts a count for SQLite.
pub(super) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
