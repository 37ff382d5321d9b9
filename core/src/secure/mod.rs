//! Signed and encrypted formats: JOSE, SD-JWT and Data Integrity.
pub mod copy;
pub mod data_integrity;
pub mod jose;
pub mod jwe;
pub mod sd_jwt;
