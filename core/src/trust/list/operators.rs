//! Operators of a trust list: the pinned ones, and those named by lists in their place (spec/trust.md section 11).

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{Code, Problem, did::Did, trust::statement::StatementKind};

/// Maximum number of operators of one list.
const MAX_OPERATORS: usize = 16;
/// Maximum number of lists that changed the operators.
const MAX_CHANGES: usize = 64;

/// Operators named in a list. They sign later lists, in place of the pinned or earlier ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedOperators {
    /// DIDs of the operators, in ascending order.
    pub ids: Vec<String>,
    /// Number of operators who must sign.
    pub quorum: usize,
    /// Sequence numbers of all lists that changed the operators, in ascending order, the last of which named these.
    /// They form a chain from the pinned operators to these.
    pub named_in: Vec<u64>,
}

/// Current operators of a list, for a program that has pinned earlier ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CurrentOperators {
    /// [Fingerprint](PinnedOperators::fingerprint) of the pinned operators from which the chain starts. With other pins, the
    /// handover is void.
    #[serde(rename = "pinned")]
    pub pins_fingerprint: String,
    /// DIDs of the current operators.
    pub ids: Vec<String>,
    /// Number of operators who must sign.
    pub quorum: usize,
}

impl NamedOperators {
    /// Returns the operators that list number `sequence` names in place of those `before`.
    pub(super) fn after(
        before: Option<Self>,
        ids: impl IntoIterator<Item = String>,
        quorum: usize,
        sequence: u64,
    ) -> Self {
        let mut ids: Vec<String> = ids.into_iter().collect();
        ids.sort();
        let mut named_in = before.map(|before| before.named_in).unwrap_or_default();
        named_in.push(sequence);
        let oldest = named_in.len().saturating_sub(MAX_CHANGES);
        named_in.drain(..oldest);
        Self { ids, quorum, named_in }
    }

    /// Checks the limits and the order of the members, in a list with this sequence number.
    pub(super) fn check_limits(&self, kind: &StatementKind, sequence: u64) -> Result<(), Problem> {
        kind.check_count(self.ids.len(), 1..=MAX_OPERATORS, "operators")?;
        self.ids.iter().try_for_each(|id| kind.check_did(id, "operators"))?;
        kind.require(
            self.ids.is_sorted_by(|one, next| one < next),
            "operators",
            "are not in ascending order without duplicates",
        )?;
        kind.require((1..=self.ids.len()).contains(&self.quorum), "quorum", "is not 1 to the number of operators")?;
        kind.check_count(self.named_in.len(), 1..=MAX_CHANGES, "named_in")?;
        let rising = self.named_in.is_sorted_by(|one, next| one < next);
        let there = self.named_in.iter().all(|number| (1..=sequence).contains(number));
        kind.require(rising && there, "named_in", "are not ascending numbers up to the list's own")
    }
}

/// Pinned operators of a trust list, with the quorum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinnedOperators {
    pub(super) list_id: String,
    pub(super) operators: BTreeSet<String>,
    pub(super) quorum: usize,
    pub(super) min_sequence: Option<u64>,
}

impl PinnedOperators {
    /// Pins operators (distinct DIDs, at most 16) and a quorum for the list whose `issuer` is the DID `list`. A quorum
    /// of more than half prevents two groups of operators from signing different lists with one number.
    ///
    /// # Errors
    /// `did_malformed`; `malformed_value` for no, too many or repeated operators, or a quorum that is not between 1 and
    /// their number.
    pub fn pin<'a>(list: &str, operators: impl IntoIterator<Item = &'a str>, quorum: usize) -> Result<Self, Problem> {
        let list = Did::parse(list)?.to_string();
        let mut pinned = BTreeSet::new();
        for operator in operators {
            if !pinned.insert(Did::parse(operator)?.to_string()) {
                return Err(Problem::new(Code::MalformedValue, "an operator of a trust list is pinned twice"));
            }
        }
        if pinned.len() > MAX_OPERATORS {
            return Err(Problem::new(Code::MalformedValue, format!("there are more than {MAX_OPERATORS} operators")));
        }
        if !(1..=pinned.len()).contains(&quorum) {
            return Err(Problem::new(Code::MalformedValue, "the quorum is not 1 to the number of operators"));
        }
        Ok(Self { list_id: list, operators: pinned, quorum, min_sequence: None })
    }

    /// Sets the minimum sequence number, for a program that has not accepted a list yet, so that it does not accept an
    /// older one. `None`: no minimum.
    #[must_use]
    pub fn with_min_sequence(self, least: Option<u64>) -> Self {
        Self { min_sequence: least, ..self }
    }

    /// Returns the operators that a list names.
    pub(super) fn from_named(list: &str, named: &NamedOperators) -> Result<Self, Problem> {
        Self::pin(list, named.ids.iter().map(String::as_str), named.quorum)
    }

    /// Returns whether the operators and the quorum are those that a list names.
    pub(super) fn match_named(&self, named: &NamedOperators) -> bool {
        self.quorum == named.quorum && self.operators.iter().eq(&named.ids)
    }

    /// Returns the base64url SHA-256 of the list's DID, the quorum and the operators, which identifies the pins.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let ids: Vec<&str> = self.operators.iter().map(String::as_str).collect();
        let text = format!("{}\n{}\n{}", self.list_id, self.quorum, ids.join("\n"));
        URL_SAFE_NO_PAD.encode(Sha256::digest(text))
    }

    /// Returns the operators whose quorum decides: those that a list has named in place of these pinned ones, or else
    /// these. A handover from other pins is ignored.
    pub(super) fn deciding(&self, seen: Option<&CurrentOperators>) -> Self {
        match seen.filter(|now| now.pins_fingerprint == self.fingerprint()) {
            None => self.clone(),
            Some(now) => Self { operators: now.ids.iter().cloned().collect(), quorum: now.quorum, ..self.clone() },
        }
    }

    /// Returns the operators who sign after an accepted list, if they are not the pinned ones: those that it names, or
    /// those of an earlier handover from these pins.
    pub(super) fn handover(
        &self,
        named: Option<&NamedOperators>,
        seen: Option<&CurrentOperators>,
    ) -> Option<CurrentOperators> {
        let pinned = self.fingerprint();
        let Some(NamedOperators { ids, quorum, .. }) = named else {
            return seen.filter(|now| now.pins_fingerprint == pinned).cloned();
        };
        Some(CurrentOperators { pins_fingerprint: pinned, ids: ids.clone(), quorum: *quorum })
    }
}
