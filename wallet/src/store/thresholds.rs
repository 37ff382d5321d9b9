//! Data of a copy for threshold proofs: the positions of its commitments, and the thresholds that were proved with it
//! (spec/at-least.md 3.5 and 4.5).

use carnet_core::{
    at_least::{COMMITMENT_ARRAY_LENGTH, Direction},
    query::VerifiedThreshold,
    secure::sd_jwt::{ClaimPath, CommitmentIndices, OrderedClaim},
};
use serde::{Deserialize, Serialize};

/// Positions of the commitments to one ordered claim in a copy. They are stored so that presenting needs no search for
/// the element to disclose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommitmentPositions {
    /// Path of the claim whose value is committed to.
    #[serde(with = "path")]
    pub path: ClaimPath,
    /// Direction of the thresholds that can be proved: at least or at most.
    #[serde(with = "direction")]
    pub direction: Direction,
    /// Index of each entry in the array of commitments; `None` for an entry that the value does not have.
    #[serde(rename = "at")]
    pub indices: [Option<usize>; COMMITMENT_ARRAY_LENGTH],
}

/// Ordered claim and direction, without the copy-specific positions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderedPath {
    #[serde(with = "path")]
    path: ClaimPath,
    #[serde(with = "direction")]
    direction: Direction,
}

impl From<&CommitmentPositions> for OrderedPath {
    fn from(commitments: &CommitmentPositions) -> Self {
        Self { path: commitments.path.clone(), direction: commitments.direction }
    }
}

impl OrderedPath {
    /// Returns the commitments of a copy to this claim, at the given positions.
    pub fn with_positions(&self, at: [Option<usize>; COMMITMENT_ARRAY_LENGTH]) -> CommitmentPositions {
        CommitmentPositions { path: self.path.clone(), direction: self.direction, indices: at }
    }
}

impl From<CommitmentIndices> for CommitmentPositions {
    fn from(positions: CommitmentIndices) -> Self {
        let OrderedClaim { path, direction } = positions.claim;
        Self { path, direction, indices: positions.indices }
    }
}

impl From<&CommitmentPositions> for CommitmentIndices {
    fn from(commitments: &CommitmentPositions) -> Self {
        let claim = OrderedClaim { path: commitments.path.clone(), direction: commitments.direction };
        Self { claim, indices: commitments.indices }
    }
}

/// Threshold that was proved with a copy. The copy must not be used for another threshold of the same claim and
/// direction, except for the same verifier and within the same block (spec/at-least.md 4.5 and 4.6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProvedThreshold {
    /// Path of the hidden value.
    #[serde(with = "path")]
    pub path: ClaimPath,
    /// Direction of the threshold: at least or at most.
    #[serde(with = "direction")]
    pub direction: Direction,
    /// Threshold as a number (spec/at-least.md 1.1).
    pub bound: u16,
    /// `true` if the entry of the threshold's block was used (spec/at-least.md 4.6); older versions used any suitable
    /// entry.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_block: bool,
}

impl From<&VerifiedThreshold> for ProvedThreshold {
    fn from(proved: &VerifiedThreshold) -> Self {
        Self { path: proved.path.clone(), direction: proved.direction, bound: proved.bound.number(), in_block: true }
    }
}

impl From<&ProvedThreshold> for VerifiedThreshold {
    fn from(opened: &ProvedThreshold) -> Self {
        Self { path: opened.path.clone(), direction: opened.direction, bound: opened.bound.into() }
    }
}

/// Serialisation of a claim path as in DCQL.
mod path {
    use carnet_core::{
        query::{parse_path, path_to_json},
        secure::sd_jwt::ClaimPath,
    };
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
    use serde_json::Value;

    pub(super) fn serialize<S: Serializer>(path: &ClaimPath, serializer: S) -> Result<S::Ok, S::Error> {
        path_to_json(path).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ClaimPath, D::Error> {
        parse_path(&Value::deserialize(deserializer)?).map_err(|problem| D::Error::custom(problem.code))
    }
}

/// Serialisation of a direction by its name.
pub(super) mod direction {
    use carnet_core::at_least::Direction;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(in crate::store) fn serialize<S: Serializer>(direction: &Direction, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(direction.as_str())
    }

    pub(in crate::store) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Direction, D::Error> {
        let text = String::deserialize(deserializer)?;
        Direction::parse(&text).ok_or_else(|| D::Error::custom("no such direction"))
    }
}

#[cfg(test)]
mod tests {
    use carnet_core::secure::sd_jwt::Step;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_stored_is_what_is_read() {
        let path = vec![Step::Name("credentialSubject".to_owned()), Step::Name("validUntil".to_owned())];
        let claim = OrderedClaim { path: path.clone(), direction: Direction::AtLeast };
        let positions = CommitmentIndices { claim, indices: [Some(3), None, Some(0), None] };
        let stored = serde_json::to_value(CommitmentPositions::from(positions.clone())).unwrap();
        let expected = json!({
            "path": ["credentialSubject", "validUntil"], "direction": "at_least", "at": [3, null, 0, null]
        });
        assert_eq!(stored, expected);
        let read: CommitmentPositions = serde_json::from_value(stored).unwrap();
        assert_eq!(CommitmentIndices::from(&read), positions);

        let proved = VerifiedThreshold { path, direction: Direction::AtMost, bound: 39_773.into() };
        let stored = serde_json::to_value(ProvedThreshold::from(&proved)).unwrap();
        assert_eq!(stored["bound"], 39_773);
        assert_eq!(
            VerifiedThreshold::from(&serde_json::from_value::<ProvedThreshold>(stored.clone()).unwrap()),
            proved
        );
        // A record of an earlier version is read, with `in_block` false.
        let before = json!({"path": stored["path"], "direction": "at_most", "bound": 39_773});
        assert!(!serde_json::from_value::<ProvedThreshold>(before).unwrap().in_block);
        let mut sideways = stored;
        sideways["direction"] = json!("sideways");
        assert!(serde_json::from_value::<ProvedThreshold>(sideways).is_err());
    }
}
