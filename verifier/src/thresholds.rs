//! Thresholds of values that are not disclosed (spec/at-least.md): their entries in results, and their commitments.

use carnet_core::{
    at_least::{Commitment, Direction},
    query::{Query, commitments_path, path_to_text},
    receipt::DisclosedThreshold,
    secure::sd_jwt::ClaimPath,
    verify::PresentedCredential,
};
use serde_json::Value;

/// Returns the thresholds of the query that a credential proved; other proved thresholds are omitted.
pub(crate) fn proved_thresholds(seen: &PresentedCredential, query: &Query) -> Vec<DisclosedThreshold> {
    let claims = query.credential(&seen.query_id).map(|asked| asked.claims.as_slice()).unwrap_or_default();
    let proven = seen.proved_thresholds.iter().filter_map(|proved| {
        let mut asked = claims.iter().filter(|claim| claim.path == proved.path);
        let threshold = asked.find_map(|claim| {
            let threshold = claim.threshold.as_ref()?;
            (threshold.direction() == proved.direction && threshold.comparable_bound() == proved.bound)
                .then_some(threshold)
        })?;
        Some(DisclosedThreshold::new(&proved.path, threshold))
    });
    proven.collect()
}

/// Returns the disclosed paths of a credential, as text, without those of its commitments.
pub(crate) fn disclosed_without_commitments(seen: &PresentedCredential) -> Vec<String> {
    let commitments: Vec<ClaimPath> =
        seen.proved_thresholds.iter().filter_map(|proved| commitments_path(&proved.path, proved.direction)).collect();
    let is_claim = |path: &&ClaimPath| !commitments.iter().any(|beside| path.starts_with(beside));
    seen.disclosed_paths.iter().filter(is_claim).map(|path| path_to_text(path)).collect()
}

/// Returns whether a member is an array of commitments, by its name and the form of its items (spec/at-least.md 3.1).
pub(crate) fn is_commitment_array(name: &str, value: &Value) -> bool {
    let named = Direction::ALL.iter().any(|direction| name.ends_with(&direction.commitments_claim("")));
    let commitment = |item: &Value| item.as_str().is_some_and(|text| text.parse::<Commitment>().is_ok());
    named && value.as_array().is_some_and(|items| items.iter().all(commitment))
}
