//! Threshold proofs in the key-binding JWT (spec/at-least.md 6).

use serde_json::{Map, Value};

use super::{Direction, OrderedValue, Witness};
use crate::{
    Code, Problem, json,
    query::{self, parse_path, path_to_json},
    secure::sd_jwt::{ClaimPath, Step},
};

/// Member of the key-binding JWT that contains the threshold proofs (spec/at-least.md 6.1).
pub const WITNESSES_MEMBER: &str = "carnet_witnesses";

/// Maximum number of threshold proofs in one key-binding JWT: one for each claim that a credential query may request.
pub const MAX_PROOFS: usize = query::MAX_ENTRIES;

/// Proof that the claim at a path is at least, or at most, a threshold: an element of `carnet_witnesses`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThresholdProof {
    /// Path of the claim itself, not of its commitments; it consists of member names only.
    pub path: ClaimPath,
    /// Side of the threshold that the claim is on.
    pub direction: Direction,
    /// Proved threshold.
    pub threshold: OrderedValue,
    /// Witness for the threshold.
    pub witness: Witness,
}

impl ThresholdProof {
    /// Returns the JSON form, such as `{"path": [...], "at_least": 46021, "witness": "..."}`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        Value::Object(Map::from_iter([
            ("path".to_owned(), path_to_json(&self.path)),
            (self.direction.as_str().to_owned(), self.threshold.number().into()),
            ("witness".to_owned(), self.witness.to_string().into()),
        ]))
    }

    /// Parses the value of `carnet_witnesses`: one to 64 proofs, no two for the same claim and direction.
    ///
    /// # Errors
    /// `token_malformed` if the structure is wrong, a claim and direction are repeated, or a proof does not have
    /// exactly one of `at_least` and `at_most`; `threshold_invalid` if a threshold is not an integer from 0 to 65,535;
    /// `threshold_unproven` or `invalid_encoding` for a malformed witness.
    pub fn parse_all(value: &Value) -> Result<Vec<Self>, Problem> {
        let items = value.as_array().filter(|items| (1..=MAX_PROOFS).contains(&items.len()));
        let items = items.ok_or_else(|| malformed("is not an array of one to 64 proofs"))?;
        let mut proofs: Vec<Self> = Vec::with_capacity(items.len());
        for item in items {
            let proof = Self::parse(item)?;
            if proofs.iter().any(|other| other.path == proof.path && other.direction == proof.direction) {
                return Err(malformed("has two proofs of one direction for one claim"));
            }
            proofs.push(proof);
        }
        Ok(proofs)
    }

    fn parse(value: &Value) -> Result<Self, Problem> {
        let members = value.as_object().ok_or_else(|| malformed("has an element that is not an object"))?;
        let shape = || malformed("has a proof whose members are not path, witness and one of at_least and at_most");
        let threshold = |direction: Direction| members.get(direction.as_str()).map(|threshold| (direction, threshold));
        let (direction, threshold) = match (threshold(Direction::AtLeast), threshold(Direction::AtMost)) {
            (Some(only), None) | (None, Some(only)) => only,
            _ => return Err(shape()),
        };
        let (Some(path), Some(Value::String(witness)), 3) =
            (members.get("path"), members.get("witness"), members.len())
        else {
            return Err(shape());
        };
        let path = parse_path(path).map_err(|problem| Problem::new(Code::TokenMalformed, problem.detail))?;
        // As in the query: an index would count other elements than the verifier sees.
        if !path.iter().all(|step| matches!(step, Step::Name(_))) {
            return Err(malformed("has a path that leads through an array"));
        }
        Ok(Self {
            path,
            direction,
            threshold: OrderedValue::try_from(json::as_integer(threshold).unwrap_or(-1))?,
            witness: witness.parse()?,
        })
    }
}

fn malformed(detail: &str) -> Problem {
    Problem::new(Code::TokenMalformed, format!("{WITNESSES_MEMBER} {detail}"))
}
