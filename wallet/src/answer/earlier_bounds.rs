//! Bounds that a verifier requested earlier. Each further bound of one claim, answered or not, can halve the range of
//! its hidden value.

use carnet_core::{
    format::CredentialFormat,
    query::{CredentialQuery, Query, Threshold, path_to_text},
    secure::sd_jwt::Step,
    time::Timestamp,
};
use carnet_spec::Catalogue;

use super::missing::requested_types;
use crate::store::{
    LogEntryKind,
    log::{RequestedBound, WalletLog},
};

/// Bound that a verifier requested earlier of a claim of which it now requests another bound.
#[derive(Debug, Clone, PartialEq)]
pub struct EarlierBound {
    /// Name of the credential type.
    pub type_name: String,
    /// Path of the claim below the credential subject.
    pub claim_path: String,
    /// Threshold that was requested.
    pub threshold: Threshold,
    /// Time of the newest log entry with the bound.
    pub last_requested: Timestamp,
    /// `true` if it was proved to the verifier.
    pub proved: bool,
}

/// Returns the bounds that a query requests, without duplicates, in the form of log entries.
pub fn requested_bounds(query: &Query, catalogue: &Catalogue) -> Vec<RequestedBound> {
    let mut bounds: Vec<RequestedBound> = Vec::new();
    for credential in &query.credentials {
        for claim in &credential.claims {
            let Some(threshold) = &claim.threshold else { continue };
            let bound = RequestedBound {
                types: requested_types(catalogue, credential),
                claim: below_subject(credential, &claim.path),
                direction: threshold.direction(),
                bound: threshold.bound().clone(),
            };
            if !bounds.contains(&bound) {
                bounds.push(bound);
            }
        }
    }
    bounds
}

/// Returns, newest first, the bounds that the verifier with this DID requested earlier: of a claim in this query, in
/// the same direction, and different from the bound that the query requests now.
pub fn earlier_bounds(log: &WalletLog, did: &str, query: &Query, catalogue: &Catalogue) -> Vec<EarlierBound> {
    let now = requested_bounds(query, catalogue);
    let mut before: Vec<EarlierBound> = Vec::new();
    for entry in log.entries().iter().rev().filter(|entry| entry.did() == did) {
        // Earlier wallet versions logged proven bounds in the entry's parts only.
        let proved = entry.credentials.iter().flat_map(|part| {
            part.thresholds.iter().filter_map(|shown| {
                let threshold = shown.threshold().ok()?;
                let claim = shown.path().strip_prefix("credentialSubject.").unwrap_or(shown.path()).to_owned();
                let (direction, bound) = (threshold.direction(), threshold.bound().clone());
                Some(RequestedBound { types: vec![part.type_name.clone()], claim, direction, bound })
            })
        });
        let is_sent = entry.kind == LogEntryKind::Sending;
        let all = entry
            .requested_bounds
            .iter()
            .cloned()
            .map(|bound| (bound, false))
            .chain(proved.map(|bound| (bound, is_sent)));
        for (bound, proved) in all {
            let same_claim = |asked: &&RequestedBound| {
                asked.claim == bound.claim
                    && asked.direction == bound.direction
                    && asked.types.iter().any(|name| bound.types.contains(name))
            };
            let Some(asked) = now.iter().find(same_claim).filter(|asked| asked.bound != bound.bound) else { continue };
            let Some(type_name) = asked.types.iter().find(|name| bound.types.contains(name)) else { continue };
            note(&mut before, type_name, &bound, entry.at, proved);
        }
    }
    before
}

fn note(before: &mut Vec<EarlierBound>, type_name: &str, bound: &RequestedBound, at: Timestamp, proved: bool) {
    let Ok(threshold) = Threshold::new(bound.direction, bound.bound.clone()) else { return };
    let same = |known: &&mut EarlierBound| {
        known.claim_path == bound.claim && known.threshold == threshold && known.type_name == type_name
    };
    match before.iter_mut().find(same) {
        Some(known) => known.proved |= proved,
        None => before.push(EarlierBound {
            type_name: type_name.to_owned(),
            claim_path: bound.claim.clone(),
            threshold,
            last_requested: at,
            proved,
        }),
    }
}

/// Returns the claim's path below the subject, the same for every format.
fn below_subject(credential: &CredentialQuery, path: &[Step]) -> String {
    match path.split_first() {
        Some((Step::Name(first), rest))
            if credential.format != CredentialFormat::DcSdJwt && first == "credentialSubject" && !rest.is_empty() =>
        {
            path_to_text(rest)
        }
        _ => path_to_text(path),
    }
}

#[cfg(test)]
mod tests {
    use carnet_core::at_least::Direction;
    use serde_json::{Value, json};

    use super::*;
    use crate::store::WalletLogEntry;

    const ASKER: &str = "did:web:agency.example";

    fn asking(format: CredentialFormat, bound: Value) -> Query {
        let (meta, path) = match format {
            CredentialFormat::DcSdJwt => {
                (json!({"vct_values": ["urn:carnet:type:qualification:1"]}), json!(["eqfLevel"]))
            }
            _ => (json!({"type_values": [["QualificationCredential"]]}), json!(["credentialSubject", "eqfLevel"])),
        };
        let claims = json!([{"path": path, "carnet_at_least": bound}]);
        Query::parse(&json!({"credentials": [{"id": "q", "format": format, "meta": meta, "claims": claims}]})).unwrap()
    }

    fn noted(log: &mut WalletLog, catalogue: &Catalogue, day: i64, did: &str, query: &Query) {
        let at = Timestamp::from_unix(1_800_000_000_i64.saturating_add(day.saturating_mul(86_400)));
        let party = format!("decentralized_identifier:{did}");
        let bounds = requested_bounds(query, catalogue);
        log.push(WalletLogEntry {
            requested_bounds: bounds,
            ..WalletLogEntry::new(at, LogEntryKind::Requested, &party)
        });
    }

    #[test]
    fn other_bounds_of_the_same_asker_and_claim_are_remembered() {
        let catalogue = Catalogue::embedded().unwrap();
        let mut log = WalletLog::default();
        let before = |log: &WalletLog, did: &str, query: &Query| -> Vec<(Value, bool)> {
            let all = earlier_bounds(log, did, query, &catalogue);
            all.iter().map(|before| (before.threshold.bound().clone(), before.proved)).collect()
        };
        let now = asking(CredentialFormat::VcSdJwt, json!(6));
        noted(&mut log, &catalogue, 0, ASKER, &asking(CredentialFormat::VcSdJwt, json!(4)));
        // The same claim twice in another format; the current bound; and a bound of another verifier.
        noted(&mut log, &catalogue, 1, ASKER, &asking(CredentialFormat::DcSdJwt, json!(5)));
        noted(&mut log, &catalogue, 2, ASKER, &asking(CredentialFormat::DcSdJwt, json!(5)));
        noted(&mut log, &catalogue, 3, ASKER, &now);
        noted(&mut log, &catalogue, 4, "did:web:other.example", &asking(CredentialFormat::VcSdJwt, json!(7)));
        assert_eq!(before(&log, ASKER, &now), [(json!(5), false), (json!(4), false)]);
        assert_eq!(before(&log, "did:web:other.example", &now), [(json!(7), false)]);
        assert!(before(&log, "did:web:third.example", &now).is_empty());
        // The other direction is a different bound.
        let mut other = now.clone();
        other.credentials[0].claims[0].threshold = Some(Threshold::new(Direction::AtMost, json!(6)).unwrap());
        assert!(before(&log, ASKER, &other).is_empty());
        log.check_chain().unwrap();
    }

    #[test]
    fn what_was_proved_before_bounds_were_noted_counts() {
        let catalogue = Catalogue::embedded().unwrap();
        let part = json!({"id": "a", "type_name": "QualificationCredential",
            "thresholds": [{"path": "credentialSubject.eqfLevel", "at_least": 5}]});
        let party = format!("decentralized_identifier:{ASKER}");
        let entry = WalletLogEntry::new(Timestamp::from_unix(1_800_000_000), LogEntryKind::Sending, &party);
        let mut log = WalletLog::default();
        log.push(WalletLogEntry { credentials: vec![serde_json::from_value(part).unwrap()], ..entry });
        let before = earlier_bounds(&log, ASKER, &asking(CredentialFormat::DcSdJwt, json!(6)), &catalogue);
        assert_eq!((before.len(), before[0].proved), (1, true));
    }
}
