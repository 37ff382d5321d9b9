//! Threshold proofs with the disclosures of an SD-JWT (spec/at-least.md sections 3, 4 and 6).

use serde_json::{Map, Value};

use super::{ClaimPath, ELEMENT_DIGEST, SdJwt, Step, resolution::PathStep};
use crate::{
    Code, Problem,
    at_least::{self, COMMITMENT_ARRAY_LENGTH, Commitment, Direction, OrderedValue, ThresholdProof, WITNESSES_MEMBER},
    query::{self, Threshold, VerifiedThreshold, commitments_path},
};

/// Claim whose values have an order, and the direction in which thresholds of it can be proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderedClaim {
    /// Path of the claim, which is selectively disclosable.
    pub path: ClaimPath,
    /// Direction of the thresholds: at least, or at most.
    pub direction: Direction,
}

/// Minimum length of a salt with the 128 bits of randomness from which threshold proofs are derived, in characters of
/// base64url.
const SHORTEST_SALT: usize = 22;

/// Positions of the commitments to a claim in their array, in one copy. Wallets store them to find the element to
/// disclose without a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitmentIndices {
    /// Claim that the commitments belong to.
    pub claim: OrderedClaim,
    /// Index in the array of each commitment; `None` for a commitment that the value does not have.
    pub indices: [Option<usize>; COMMITMENT_ARRAY_LENGTH],
}

impl SdJwt {
    /// Locates the commitments to each ordered claim of the credential, and checks that they match its value: an issuer
    /// could mark a copy with other or additional commitments, with an array that is missing, too long or partly in the
    /// clear, or with a salt that can be guessed (spec/at-least.md 2.2, 3.2 and 3.3). A claim without a value in range
    /// is omitted from the result.
    ///
    /// # Errors
    /// `threshold_unproven` if they do not match; those of [`SdJwt::resolve_disclosures`].
    pub fn verify_commitments(&self, ordered: &[OrderedClaim]) -> Result<Vec<CommitmentIndices>, Problem> {
        let (payload, places) = self.resolve()?;
        let mut found = Vec::new();
        for claim in ordered {
            let beside = commitments_path(&claim.path, claim.direction);
            let array = beside.as_deref().and_then(|path| first_value(&payload, path)).and_then(Value::as_array);
            let committed = first_value(&payload, &claim.path).and_then(|value| {
                Some((OrderedValue::from_claim(claim.direction, value).ok()?, self.salt(&places, &claim.path)?))
            });
            let foreign = || {
                let path = query::path_to_text(&claim.path);
                Problem::new(Code::ThresholdUnproven, format!("the commitments of {path} do not match its value"))
            };
            if !self.hides_commitments(&payload, claim) {
                let path = query::path_to_text(&claim.path);
                let detail = format!("{path} does not have {COMMITMENT_ARRAY_LENGTH} hidden commitments");
                return Err(Problem::new(Code::ThresholdUnproven, detail));
            }
            match (array, committed) {
                // There is no object that could contain the claim.
                (None, _) => {}
                // Decoys replace commitments to an absent value.
                (Some(array), None) if array.is_empty() => {}
                (Some(_), None) => return Err(foreign()),
                (Some(array), Some((value, salt))) => {
                    if salt.len() < SHORTEST_SALT {
                        let path = query::path_to_text(&claim.path);
                        let detail = format!("the salt of {path} is shorter than 128 bits");
                        return Err(Problem::new(Code::ThresholdUnproven, detail));
                    }
                    let elements: Vec<&str> = array.iter().filter_map(Value::as_str).collect();
                    if elements.len() != array.len() {
                        return Err(foreign());
                    }
                    let at =
                        at_least::locate_commitments(claim.direction, salt, value, &elements).map_err(|_| foreign())?;
                    found.push(CommitmentIndices { claim: claim.clone(), indices: at });
                }
            }
        }
        Ok(found)
    }

    /// Proves a threshold of a hidden claim. Returns the path of the commitment to disclose, and the proof for the
    /// key-binding JWT.
    ///
    /// # Errors
    /// `threshold_unmet` if the value does not reach it; `query_unmet` if the claim is absent, not hidden or ordered in
    /// the other direction; those of [`OrderedValue::from_claim`] and [`SdJwt::resolve_disclosures`].
    pub fn prove_threshold(
        &self,
        positions: &CommitmentIndices,
        threshold: &Threshold,
    ) -> Result<(ClaimPath, ThresholdProof), Problem> {
        let OrderedClaim { path, direction } = &positions.claim;
        let (payload, places) = self.resolve()?;
        let missing = || Problem::new(Code::QueryUnmet, format!("{} proves no threshold", query::path_to_text(path)));
        if *direction != threshold.direction() {
            return Err(missing());
        }
        let value = first_value(&payload, path).ok_or_else(missing)?;
        let salt = self.salt(&places, path).ok_or_else(missing)?;
        let number = OrderedValue::from_claim(*direction, value)?;
        let number = match OrderedValue::from_legacy_claim(*direction, value) {
            Some(before) if self.has_commitments_to(&payload, positions, salt, before) => before,
            _ => number,
        };
        let opening = at_least::prove_threshold_in_block(*direction, salt, number, threshold.comparable_bound())?;
        let at = positions.indices.get(usize::from(opening.entry_index)).copied().flatten().ok_or_else(missing)?;
        let mut element = commitments_path(path, *direction).ok_or_else(missing)?;
        element.push(Step::Index(at));
        let proof = ThresholdProof {
            path: path.clone(),
            direction: *direction,
            threshold: threshold.comparable_bound(),
            witness: opening.witness,
        };
        Ok((element, proof))
    }

    /// Returns whether the copy has commitments to this number, which older copies computed differently from the value.
    fn has_commitments_to(
        &self,
        payload: &Map<String, Value>,
        positions: &CommitmentIndices,
        salt: &str,
        number: OrderedValue,
    ) -> bool {
        let OrderedClaim { path, direction } = &positions.claim;
        let array = commitments_path(path, *direction);
        let elements = array.as_deref().and_then(|path| first_value(payload, path)).and_then(Value::as_array);
        let of = |entry: u8| elements?.get(positions.indices.get(usize::from(entry)).copied().flatten()?)?.as_str();
        let entries = at_least::commitments(*direction, salt, number);
        entries.iter().all(|entry| of(entry.entry_index) == Some(entry.commitment.to_string().as_str()))
    }

    /// Returns whether the signed payload has the array of commitments to a claim, with all its elements hidden. `true`
    /// also if the object that could contain the claim is absent.
    fn hides_commitments(&self, payload: &Map<String, Value>, claim: &OrderedClaim) -> bool {
        let around = claim.path.split_last().map(|(_, around)| around).unwrap_or_default();
        if !around.is_empty() && first_value(payload, around).is_none() {
            return true;
        }
        let beside = commitments_path(&claim.path, claim.direction);
        let signed =
            beside.as_deref().and_then(|path| first_value(self.jws().payload(), path)).and_then(Value::as_array);
        signed.is_some_and(|elements| {
            elements.len() == COMMITMENT_ARRAY_LENGTH
                && elements.iter().all(|element| element.get(ELEMENT_DIGEST).is_some())
        })
    }

    /// Returns the salt of the disclosure at a path; `None` if nothing is disclosed there.
    fn salt(&self, places: &[Vec<PathStep<'_>>], path: &[Step]) -> Option<&str> {
        let at = places.iter().position(|place| {
            place.len() == path.len() && place.iter().zip(path).all(|(place, step)| place.matches_step(step))
        })?;
        self.disclosures.get(at).map(|disclosure| disclosure.salt.as_str())
    }
}

/// Verifies the threshold proofs in the payload of a verified key-binding JWT against the commitments disclosed in
/// `payload`, that of a verified SD-JWT. Returns the proved thresholds; empty if there are no proofs.
///
/// # Errors
/// `threshold_unproven` if a proof does not match the disclosed commitment, or not exactly one commitment to its claim
/// is disclosed; those of [`ThresholdProof::parse_all`].
pub(crate) fn verify_threshold_proofs(
    binding: &Map<String, Value>,
    payload: &Map<String, Value>,
) -> Result<Vec<VerifiedThreshold>, Problem> {
    let Some(proofs) = binding.get(WITNESSES_MEMBER) else { return Ok(Vec::new()) };
    let proofs = ThresholdProof::parse_all(proofs)?;
    proofs
        .into_iter()
        .map(|proof| {
            let beside = commitments_path(&proof.path, proof.direction);
            let elements = beside.as_deref().and_then(|path| first_value(payload, path)).and_then(Value::as_array);
            let [element] = elements.map(Vec::as_slice).unwrap_or_default() else {
                let path = query::path_to_text(&proof.path);
                let detail = format!("a witness for {path} lacks the commitment that it opens");
                return Err(Problem::new(Code::ThresholdUnproven, detail));
            };
            let commitment: Commitment = element.as_str().unwrap_or_default().parse()?;
            at_least::verify_threshold(proof.direction, proof.threshold, &commitment, &proof.witness)?;
            Ok(VerifiedThreshold { path: proof.path, direction: proof.direction, bound: proof.threshold })
        })
        .collect()
}

fn first_value<'a>(payload: &'a Map<String, Value>, path: &[Step]) -> Option<&'a Value> {
    query::values_at(payload, path).into_iter().map(|(_, value)| value).next()
}
