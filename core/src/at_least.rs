//! At-least and at-most proofs: a proof that a hidden number is on one side of a threshold, which reveals nothing else
//! and needs only a hash function (spec/at-least.md).
//!
//! The issuer derives [`commitments`] from the salt of the claim's own disclosure. The wallet locates them with
//! [`locate_commitments`] and proves a threshold with [`prove_threshold`]. A verifier runs [`verify_threshold`] on the one commitment that was
//! disclosed. For any value and threshold, proving takes at most 64 SHA-256 blocks, and verifying at most 63.

mod chain;
mod proof;
mod relative;
#[cfg(test)]
mod tests;
mod value;

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use self::{
    chain::{DIGITS, Hash},
    value::{digits, dominates},
};
pub use self::{
    proof::{MAX_PROOFS, ThresholdProof, WITNESSES_MEMBER},
    relative::RelativeDay,
    value::{MAX_VALUE, OrderedValue, date_of, days_since_1900},
};
use crate::{Code, Problem, secure::jose};

/// Length of the array of commitments of a claim, decoys included (spec/at-least.md 3.3).
pub const COMMITMENT_ARRAY_LENGTH: usize = 4;

/// Side of a threshold that a value is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// The value is the threshold or more.
    AtLeast,
    /// The value is the threshold or less.
    AtMost,
}

impl Direction {
    /// Both directions.
    pub const ALL: [Self; 2] = [Self::AtLeast, Self::AtMost];

    /// Returns `at_least` or `at_most`: the name of the proof's member that contains the threshold (spec/at-least.md
    /// 6.2).
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AtLeast => "at_least",
            Self::AtMost => "at_most",
        }
    }

    /// Parses the text that [`as_str`](Self::as_str) returns; `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|direction| direction.as_str() == text)
    }

    /// Returns the member of a DCQL claims query that requests such a proof: `carnet_at_least` or `carnet_at_most`
    /// (spec/at-least.md 5.1).
    #[must_use]
    pub const fn query_member(self) -> &'static str {
        match self {
            Self::AtLeast => "carnet_at_least",
            Self::AtMost => "carnet_at_most",
        }
    }

    /// Returns the name of the claim with the commitments to another claim, such as `validUntilAtLeast` for
    /// `validUntil` (spec/at-least.md 3.1).
    #[must_use]
    pub fn commitments_claim(self, claim: &str) -> String {
        match self {
            Self::AtLeast => format!("{claim}AtLeast"),
            Self::AtMost => format!("{claim}AtMost"),
        }
    }
}

/// Issuer's commitment to one [`DominatingValue`]: the hash over the ends of its four hash chains (spec/at-least.md
/// 2.4).
///
/// Its text form, an element of the array of commitments, is base64url without padding, 43 characters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Commitment(Hash);

/// Holder's proof of one threshold: a point of each of the four hash chains behind a [`Commitment`] (spec/at-least.md
/// 4.2).
///
/// Its text form is base64url without padding, 171 characters, most significant digit first. Only the verifier may see
/// it, and `Debug` does not print it.
#[derive(Clone, PartialEq, Eq)]
pub struct Witness([Hash; DIGITS]);

/// One of the one to four numbers to which an issuer commits for a hidden value, and the commitment. For each threshold
/// that the value satisfies, one of them has no hexadecimal digit below that of the threshold (spec/at-least.md 2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DominatingValue {
    /// Index of the dominating value, 0 to 3.
    pub entry_index: u8,
    /// Committed number. For at-most proofs it derives from 65,535 minus the claim's value (spec/at-least.md 1.4).
    pub value: OrderedValue,
    /// Commitment to the number: an element of the array of commitments.
    pub commitment: Commitment,
}

/// Proof of one threshold: the index of the dominating value whose commitment is to be disclosed, and the witness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThresholdWitness {
    /// Index of the dominating value, 0 to 3; [`locate_commitments`] maps it to an element of the array.
    pub entry_index: u8,
    /// Witness for the `carnet_witnesses` member of the key-binding JWT.
    pub witness: Witness,
}

/// Returns the one to four commitments to a value, ordered by index. The issuer must shuffle them and pad the array to
/// [`COMMITMENT_ARRAY_LENGTH`] with decoys.
///
/// `salt` is the text of the salt in the value's own disclosure. Hashes at most 264 SHA-256 blocks for a salt of 22
/// characters (128 bits).
#[must_use]
pub fn commitments(direction: Direction, salt: &str, value: OrderedValue) -> Vec<DominatingValue> {
    dominating_values(direction, value)
        .map(|(entry, value)| {
            let ends = digits(value).map(|(place, digit)| {
                let seed = chain::seed(direction, salt, entry, place);
                chain::advance(direction, &seed, digit)
            });
            let ends = ends.each_ref().map(|end| **end);
            DominatingValue { entry_index: entry, value, commitment: Commitment(chain::commit_ends(direction, &ends)) }
        })
        .collect()
}

/// Locates the commitments to a value among the disclosed `elements` of the array of commitments. Returns the position
/// of each in `elements`, by the index of the dominating value; `None` for an index that the value does not have.
///
/// A wallet calls it when it receives a copy of a credential, to check that the issuer committed to the disclosed value
/// and to nothing else. It stores the positions with the copy, or recomputes them when it loads the copy: they cost
/// more hashes than the proof.
///
/// # Errors
/// `threshold_unproven` if the elements are not exactly the value's commitments: one is missing or repeated, or commits
/// to another value.
pub fn locate_commitments(
    direction: Direction,
    salt: &str,
    value: OrderedValue,
    elements: &[&str],
) -> Result<[Option<usize>; COMMITMENT_ARRAY_LENGTH], Problem> {
    let foreign = || Problem::new(Code::ThresholdUnproven, "the commitments are not those of the value beside them");
    let entries = commitments(direction, salt, value);
    if entries.len() != elements.len() {
        return Err(foreign());
    }
    let mut positions = [None; COMMITMENT_ARRAY_LENGTH];
    for entry in entries {
        let text = entry.commitment.to_string();
        let position = elements.iter().position(|element| *element == text).ok_or_else(foreign)?;
        *positions.get_mut(usize::from(entry.entry_index)).ok_or_else(foreign)? = Some(position);
    }
    Ok(positions)
}

/// Proves that the value is at least, or at most, the threshold. Hashes at most 64 SHA-256 blocks for a salt of 22
/// characters (128 bits).
///
/// Two witnesses from one copy of a credential can be combined into a witness for a threshold that the holder never
/// approved. A wallet proves only one threshold of a claim with one copy (spec/at-least.md 4.5), or uses
/// [`prove_threshold_in_block`].
///
/// # Errors
/// `threshold_unmet` if the value does not satisfy the threshold: no proof exists.
///
/// # Examples
/// ```
/// use carnet_core::at_least::{Direction, OrderedValue, commitments, prove_threshold, verify_threshold};
/// use serde_json::json;
///
/// // A date of birth, known to issuer and holder; born on that day or before: at least eighteen.
/// let salt = "2GLC42sKQveCfGfryNRN9w";
/// let born = OrderedValue::from_claim(Direction::AtMost, &json!("2001-05-04"))?;
/// let threshold = OrderedValue::from_threshold(&json!("2008-11-18"))?;
///
/// let entries = commitments(Direction::AtMost, salt, born);
/// let opening = prove_threshold(Direction::AtMost, salt, born, threshold)?;
/// let disclosed = entries.iter().find(|entry| entry.entry_index == opening.entry_index).unwrap();
/// verify_threshold(Direction::AtMost, threshold, &disclosed.commitment, &opening.witness)?;
/// # Ok::<(), carnet_core::Problem>(())
/// ```
pub fn prove_threshold(
    direction: Direction,
    salt: &str,
    value: OrderedValue,
    threshold: OrderedValue,
) -> Result<ThresholdWitness, Problem> {
    prove_by_entry(direction, salt, value, threshold, value::chain_number(direction, threshold))
}

/// Proves a threshold like [`prove_threshold`], but with the commitment that is the same for every threshold of the same block
/// ([`are_in_same_block`]) that the value satisfies. Proving another threshold of the block to the same verifier then
/// reveals nothing but that threshold (spec/at-least.md 4.6).
///
/// # Errors
/// `threshold_unmet` if the value does not satisfy the threshold.
pub fn prove_threshold_in_block(
    direction: Direction,
    salt: &str,
    value: OrderedValue,
    threshold: OrderedValue,
) -> Result<ThresholdWitness, Problem> {
    let chained = value::chain_number(direction, threshold);
    let reached = value::reached_in_block(value::chain_number(direction, value), chained);
    if reached < chained {
        return Err(Code::ThresholdUnmet.into());
    }
    prove_by_entry(direction, salt, value, threshold, reached)
}

/// Returns whether two thresholds are in the same block of sixteen: they differ at most in the last of their four
/// hexadecimal digits. One commitment can then prove both.
#[must_use]
pub fn are_in_same_block(one: OrderedValue, other: OrderedValue) -> bool {
    one.number() | 0x000f == other.number() | 0x000f
}

/// Proves a threshold with the first dominating value that dominates `reached`, a number that itself dominates the
/// threshold. `reached` is already converted by [`value::chain_number`]; the other numbers are not.
///
/// # Errors
/// `threshold_unmet` if there is none.
fn prove_by_entry(
    direction: Direction,
    salt: &str,
    value: OrderedValue,
    threshold: OrderedValue,
    reached: OrderedValue,
) -> Result<ThresholdWitness, Problem> {
    let (entry, value) = dominating_values(direction, value)
        .find(|(_, value)| dominates(*value, reached))
        .ok_or_else(|| Problem::from(Code::ThresholdUnmet))?;
    let wanted = digits(value::chain_number(direction, threshold));
    let points = digits(value).map(|(place, digit)| {
        let seed = chain::seed(direction, salt, entry, place);
        let least = wanted.iter().find(|(other, _)| *other == place).map_or(0, |(_, digit)| *digit);
        chain::advance(direction, &seed, digit.saturating_sub(least))
    });
    Ok(ThresholdWitness { entry_index: entry, witness: Witness(points.each_ref().map(|point| **point)) })
}

/// Verifies that the value behind a commitment satisfies the threshold. Hashes at most 63 SHA-256 blocks.
///
/// The result is only as trustworthy as the commitment. The caller must take the commitment from a disclosed element of
/// the claim's own array, covered by the issuer's signature, and the witness and the threshold from the verified
/// key-binding JWT.
///
/// # Errors
/// `threshold_unproven` if the witness does not lead to the commitment.
pub fn verify_threshold(
    direction: Direction,
    threshold: OrderedValue,
    commitment: &Commitment,
    witness: &Witness,
) -> Result<(), Problem> {
    let wanted = digits(value::chain_number(direction, threshold));
    let mut ends = witness.0;
    for (end, (_, digit)) in ends.iter_mut().zip(wanted) {
        *end = *chain::advance(direction, end, digit);
    }
    if chain::commit_ends(direction, &ends) == commitment.0 { Ok(()) } else { Err(Code::ThresholdUnproven.into()) }
}

/// Returns the dominating values of a value with their indexes (spec/at-least.md 2.1).
fn dominating_values(direction: Direction, value: OrderedValue) -> impl Iterator<Item = (u8, OrderedValue)> {
    value::dominating_values(value::chain_number(direction, value))
}

/// Decodes base64url text without padding to exactly `N` bytes; `what` names the text in errors.
///
/// # Errors
/// `threshold_unproven` for another length, `invalid_encoding` for other characters.
fn decode<const N: usize>(text: &str, what: &str) -> Result<[u8; N], Problem> {
    let wrong_length = || Problem::new(Code::ThresholdUnproven, format!("the {what} is not {N} bytes long"));
    // Checked before decoding: input can be long.
    if Some(text.len()) != base64::encoded_len(N, false) {
        return Err(wrong_length());
    }
    jose::decode_base64url(text, what)?.try_into().map_err(|_| wrong_length())
}

impl fmt::Display for Commitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Commitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Commitment({self})")
    }
}

impl FromStr for Commitment {
    type Err = Problem;

    /// Parses the text form.
    ///
    /// # Errors
    /// `threshold_unproven` if it is not 43 characters long, `invalid_encoding` if it is not base64url without padding.
    fn from_str(text: &str) -> Result<Self, Problem> {
        decode(text, "commitment").map(Self)
    }
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0.as_flattened()))
    }
}

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Witness(..)")
    }
}

impl FromStr for Witness {
    type Err = Problem;

    /// Parses the text form.
    ///
    /// # Errors
    /// `threshold_unproven` if it is not 171 characters long, `invalid_encoding` if it is not base64url without
    /// padding.
    fn from_str(text: &str) -> Result<Self, Problem> {
        const BYTES: usize = DIGITS * size_of::<Hash>();
        let bytes: [u8; BYTES] = decode(text, "witness")?;
        let mut points = [Hash::default(); DIGITS];
        points.as_flattened_mut().copy_from_slice(&bytes);
        Ok(Self(points))
    }
}
