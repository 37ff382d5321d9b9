//! Operators of a trust list: the pinned ones, and those whom lists name in their place (spec/trust.md section 11).

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Contents, Seen};
use crate::{Code, Problem, did::Did, trust::statement::Kind};

/// The most operators of one list.
const MAX_OPERATORS: usize = 16;
/// The most lists that have named other operators than those before them.
const MAX_CHANGES: usize = 64;

/// The operators whom a list names: they sign from this list on, in place of the pinned ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedOperators {
    /// Their DIDs, in ascending order.
    pub ids: Vec<String>,
    /// Number of them that must sign.
    pub quorum: usize,
    /// The numbers of the lists that have changed the operators, in ascending order; the last one named these. Those
    /// lists lead from the operators that somebody has pinned to these.
    pub named_in: Vec<u64>,
}

/// The operators who sign now, for programs that have pinned the ones before them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Handover {
    /// The [fingerprint](Operators::fingerprint) of the pins that it starts from. With other pins it no longer
    /// counts.
    pub pinned: String,
    /// Their DIDs.
    pub ids: Vec<String>,
    /// Number of them that must sign.
    pub quorum: usize,
}

impl NamedOperators {
    /// Holds them to their bounds.
    pub(super) fn check(&self, kind: &Kind, sequence: u64) -> Result<(), Problem> {
        kind.count(self.ids.len(), 1..=MAX_OPERATORS, "operators")?;
        self.ids.iter().try_for_each(|id| kind.did(id, "operators"))?;
        kind.require(
            self.ids.is_sorted_by(|one, next| one < next),
            "operators",
            "are not in ascending order without duplicates",
        )?;
        kind.require((1..=self.ids.len()).contains(&self.quorum), "quorum", "is not 1 to the number of operators")?;
        kind.count(self.named_in.len(), 1..=MAX_CHANGES, "named_in")?;
        let rising = self.named_in.is_sorted_by(|one, next| one < next);
        let there = self.named_in.iter().all(|number| (1..=sequence).contains(number));
        kind.require(rising && there, "named_in", "are not ascending numbers up to the list's own")
    }
}

/// The operators of one list, as pinned, and the number of them that must have signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operators {
    pub(super) list: String,
    pub(super) operators: BTreeSet<String>,
    pub(super) quorum: usize,
    pub(super) least: Option<u64>,
}

impl Operators {
    /// Pins `quorum` of `operators` (DIDs, at most 16, each once) for the list that has the DID `list` as its issuer.
    /// A quorum of more than half keeps two halves of the operators from signing two lists of one number.
    ///
    /// # Errors
    /// `did_malformed`; `malformed_value` for no, too many or repeated operators, or a quorum that is not 1 to their
    /// number.
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
        Ok(Self { list, operators: pinned, quorum, least: None })
    }

    /// Pins the least number that a list may have, for a program that has seen none yet: nobody can show it an older
    /// one.
    #[must_use]
    pub fn at_least(self, least: Option<u64>) -> Self {
        Self { least, ..self }
    }

    /// The operators whom a list names.
    pub(super) fn named(list: &str, named: &NamedOperators) -> Result<Self, Problem> {
        Self::pin(list, named.ids.iter().map(String::as_str), named.quorum)
    }

    /// Returns whether they are those whom a list names.
    pub(super) fn are(&self, named: &NamedOperators) -> bool {
        self.quorum == named.quorum && self.operators.iter().eq(&named.ids)
    }

    /// base64url of SHA-256 over the pins, to know them again.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let ids: Vec<&str> = self.operators.iter().map(String::as_str).collect();
        let text = format!("{}\n{}\n{}", self.list, self.quorum, ids.join("\n"));
        URL_SAFE_NO_PAD.encode(Sha256::digest(text))
    }

    /// Returns the operators whose quorum decides: the pinned ones, or those whom a list has named in their place.
    /// New pins replace the named ones.
    pub(super) fn deciding(&self, seen: Option<&Seen>) -> Self {
        match seen.and_then(|seen| seen.operators.as_ref()).filter(|now| now.pinned == self.fingerprint()) {
            None => self.clone(),
            Some(now) => Self { operators: now.ids.iter().cloned().collect(), quorum: now.quorum, ..self.clone() },
        }
    }

    /// Returns the operators who sign after a list that was accepted.
    pub(super) fn handover(&self, contents: &Contents, seen: Option<&Seen>) -> Option<Handover> {
        let pinned = self.fingerprint();
        let Some(NamedOperators { ids, quorum, .. }) = &contents.operators else {
            return seen.and_then(|seen| seen.operators.clone()).filter(|now| now.pinned == pinned);
        };
        Some(Handover { pinned, ids: ids.clone(), quorum: *quorum })
    }
}

impl Contents {
    /// Names other operators, from this list on.
    pub fn hand_over(&mut self, ids: impl IntoIterator<Item = String>, quorum: usize) {
        let mut ids: Vec<String> = ids.into_iter().collect();
        ids.sort();
        let mut named_in = self.operators.take().map(|before| before.named_in).unwrap_or_default();
        named_in.push(self.sequence);
        let oldest = named_in.len().saturating_sub(MAX_CHANGES);
        named_in.drain(..oldest);
        self.operators = Some(NamedOperators { ids, quorum, named_in });
    }

    /// Returns the URL of a list of the history, from that of the newest list: `history/NNN.json` beside it.
    #[must_use]
    pub fn beside(list: &str, number: u64) -> String {
        let query = list.find('?').filter(|_| list.contains("://")).unwrap_or(list.len());
        let (place, query) = list.split_at(query);
        let folder = place.rfind('/').map_or("", |at| place.get(..=at).unwrap_or_default());
        format!("{folder}history/{number:03}.json{query}")
    }
}
