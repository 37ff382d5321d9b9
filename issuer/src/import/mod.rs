//! Rows of a registrar's file as claims: readers of CSV, JSON Lines and XLSX, and the mapping of columns to claims.
//!
//! Nothing here connects to a service. A file is read row by row and never as a whole; each reader has limits on the size
//! of a row, so that no file can exhaust the memory.

pub(crate) mod claims;
pub(crate) mod csv;
pub(crate) mod dates;
pub(crate) mod encoding;
pub(crate) mod json_lines;
pub(crate) mod letters;
pub(crate) mod mapping;
pub(crate) mod output;
pub(crate) mod table;
pub(crate) mod values;
pub(crate) mod xlsx;
