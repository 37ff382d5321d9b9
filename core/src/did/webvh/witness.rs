//! The witness file: proofs by witnesses that they saw an entry, and with it all before.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{MAX_ENTRIES, MAX_WITNESS_BYTES, entry, log::Log};
use crate::{
    Code, Problem,
    did::Did,
    json::{self, Limits},
    time::Timestamp,
};

fn refused(what: &str) -> Problem {
    Problem::new(Code::DidLogWitness, what)
}

/// Verifies all proofs for entries of this log, and that each entry which needs it has enough: its own witnesses' proofs
/// for itself or a later one.
pub(super) fn verify(log: &Log, file: &[u8], now: Timestamp, skew: i64) -> Result<(), Problem> {
    let file = json::parse(file, Limits { max_bytes: MAX_WITNESS_BYTES, ..Limits::DOCUMENT })?;
    let records = file.as_array().filter(|records| records.len() <= MAX_ENTRIES.saturating_mul(2));
    let records = records.ok_or_else(|| refused("the witness file is not an array, or too long"))?;
    // The last entry that each one vouches for.
    let mut seen: BTreeMap<Did, usize> = BTreeMap::new();
    for record in records {
        let record = record.as_object().ok_or_else(|| refused("a record of the witness file is not an object"))?;
        let id = record.get("versionId").and_then(Value::as_str);
        let id = id.ok_or_else(|| refused("a record of the witness file has no versionId"))?;
        // Of an entry that is not published, nothing can be said: it is passed over, and vouches for nothing.
        let Some(place) = log.versions.iter().position(|version| version.id() == id) else { continue };
        let mut document = Map::new();
        document.insert("versionId".to_owned(), id.into());
        match record.get("proof") {
            None => continue,
            Some(Value::Array(proofs)) if proofs.is_empty() => continue,
            Some(proofs) => document.insert("proof".to_owned(), proofs.clone()),
        };
        entry::verify_proofs(&document, now, skew, &mut |did| {
            let latest = seen.entry(did.clone()).or_insert(place);
            *latest = place.max(*latest);
            Ok(())
        })?;
    }
    for (place, version) in log.versions.iter().enumerate() {
        let Some(witnesses) = &version.witnesses else { continue };
        let vouching = witnesses.dids.iter().filter(|did| seen.get(did).is_some_and(|latest| *latest >= place)).count();
        if vouching < witnesses.threshold {
            return Err(refused(&format!("too few witnesses vouch for entry {}", place.saturating_add(1))));
        }
    }
    Ok(())
}
