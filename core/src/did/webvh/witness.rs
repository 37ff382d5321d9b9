//! Witness file: proofs by witnesses for log entries. A proof for an entry also covers all entries before it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{MAX_LOG_ENTRIES, MAX_WITNESS_BYTES, entry, parameters::Witnesses};
use crate::{
    Code, Problem,
    did::Did,
    json::{self, Limits},
    time::Timestamp,
};

fn refused(what: &str) -> Problem {
    Problem::new(Code::DidLogWitness, what)
}

/// Verifies that each entry that requires witnesses has enough valid proofs by its own witnesses, for that entry or a
/// later one.
///
/// An invalid proof, and a proof by a party that is no witness of the log, are ignored: the server of the file could
/// also omit them.
///
/// # Errors
/// `did_log_witness`, and those of parsing JSON.
pub(super) fn verify(
    versions: &[(&str, Option<&Witnesses>)],
    file: &[u8],
    now: Timestamp,
    skew: i64,
) -> Result<(), Problem> {
    let file = json::parse(file, Limits { max_bytes: MAX_WITNESS_BYTES, ..Limits::DOCUMENT })?;
    let records = file.as_array().filter(|records| records.len() <= MAX_LOG_ENTRIES.saturating_mul(2));
    let records = records.ok_or_else(|| refused("the witness file is not an array, or too long"))?;
    let named: BTreeSet<&Did> = versions.iter().filter_map(|(_, witnesses)| *witnesses).flat_map(|w| &w.dids).collect();
    let mut seen = WitnessedEntries { named, latest: BTreeMap::new(), failed: None };
    for record in records {
        let Some(id) = record.get("versionId").and_then(Value::as_str) else { continue };
        // Of an entry that is not published, nothing can be said: it is passed over, and vouches for nothing.
        let Some(place) = versions.iter().position(|(version, _)| *version == id) else { continue };
        let mut document = Map::from_iter([("versionId".to_owned(), Value::from(id))]);
        for proof in record.get("proof").map(entry::proof_list).unwrap_or_default() {
            seen.note(&mut document, proof, place, now, skew);
        }
    }
    for (place, (_, witnesses)) in versions.iter().enumerate() {
        let Some(witnesses) = witnesses else { continue };
        let vouching = witnesses.dids.iter().filter(|did| seen.latest.get(did).is_some_and(|at| *at >= place)).count();
        if vouching < witnesses.threshold {
            let number = place.saturating_add(1);
            let needed = witnesses.threshold;
            let failed = seen.failed.map(|failed| format!("; an invalid proof: {failed}")).unwrap_or_default();
            return Err(refused(&format!("entry {number} has {vouching} of {needed} witnesses{failed}")));
        }
    }
    Ok(())
}

/// Last entry that each witness has a valid proof for.
struct WitnessedEntries<'a> {
    named: BTreeSet<&'a Did>,
    latest: BTreeMap<Did, usize>,
    /// Failure of the first invalid proof by a witness, for the error message.
    failed: Option<Problem>,
}

impl WitnessedEntries<'_> {
    /// Verifies a proof for the entry at index `place`, and records it if it is valid and by a witness of the log.
    fn note(&mut self, document: &mut Map<String, Value>, proof: &Value, place: usize, now: Timestamp, skew: i64) {
        let Ok(method) = entry::proof_method(proof) else { return };
        let known = self.latest.get(method.did()).is_some_and(|latest| *latest >= place);
        if known || !self.named.contains(method.did()) {
            return;
        }
        match entry::verify_proof(document, proof, &method, now, skew) {
            Ok(()) => drop(self.latest.insert(method.did().clone(), place)),
            Err(problem) => drop(self.failed.get_or_insert(problem)),
        }
    }
}
