//! History of a trust list: each list contains the digests of earlier ones, so that a program that accepted one of them
//! can tell a successor from a fork (spec/trust.md sections 2 and 4).

use serde::{Deserialize, Serialize};

use super::{CurrentOperators, EarlierList, PinnedOperators, TrustListContents, contents::check_digest};
use crate::{Code, Problem, trust::statement::StatementKind};

/// Maximum number of earlier lists in the history of a list.
const MAX_HISTORY: usize = 64;
/// Maximum increase from one sequence number to the next. Without a limit, one list with the greatest possible number
/// would leave none for its successor.
const MAX_STEP: u64 = 1_000;

/// Identity of the newest accepted trust list. A list is refused if it is older, if it has the same number and another
/// digest, or if it does not descend from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptedList {
    /// Sequence number.
    pub sequence: u64,
    /// Its [digest](super::TrustList::digest).
    pub digest: String,
    /// `true` if the list has a history. If so, the history of each later list must include this list.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[serde(rename = "chained")]
    pub has_history: bool,
    /// `true` if a timestamp of this or an earlier list was accepted. If so, each later list with timestamp signers
    /// must have a timestamp.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub timestamped: bool,
    /// Operators that this or an earlier list has named in place of the pinned ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operators: Option<CurrentOperators>,
}

impl AcceptedList {
    /// Returns the identity of a list, without timestamp and operators.
    pub(super) fn from_contents(contents: &TrustListContents, digest: &str) -> Self {
        let chained = !contents.history.is_empty();
        Self {
            sequence: contents.sequence,
            digest: digest.to_owned(),
            has_history: chained,
            timestamped: false,
            operators: None,
        }
    }

    /// Checks that a list (with this digest) is this list or descends from it: its history includes this list, or it has
    /// the next number and names this list as its previous one.
    ///
    /// # Errors
    /// `trust_list_rollback` for an older list; `trust_list_conflict` for another list with the same number or one that
    /// does not descend from it; `trust_list_jump` for a number more than 1,000 greater.
    pub fn check_successor(&self, contents: &TrustListContents, digest: &str) -> Result<(), Problem> {
        let (number, newest) = (contents.sequence, self.sequence);
        if number < newest {
            let detail = format!("its number is {number}, and number {newest} was seen before");
            return Err(Problem::new(Code::TrustListRollback, detail));
        }
        let conflict = |what: String| Err(Problem::new(Code::TrustListConflict, what));
        if number == newest {
            let same = digest == self.digest;
            return if same { Ok(()) } else { conflict("another list of this number was seen before".to_owned()) };
        }
        check_step(newest, number)?;
        let Some(earlier) = contents.history.iter().find(|earlier| earlier.sequence <= newest) else {
            return self.check_unlinked_successor(contents);
        };
        if earlier.sequence == newest && earlier.digest == self.digest {
            return Ok(());
        }
        conflict(format!("it does not continue list {newest} ({}), which was seen before", self.digest))
    }

    /// Checks a newer list whose history does not reach back to this list. It is accepted only if neither has a history,
    /// and it has the next number and names this list as its previous one.
    fn check_unlinked_successor(&self, contents: &TrustListContents) -> Result<(), Problem> {
        let newest = self.sequence;
        let conflict = |what: String| Err(Problem::new(Code::TrustListConflict, what));
        if self.has_history {
            let named = contents.history.len();
            return conflict(format!(
                "list {newest}, which was seen before, is not among the {named} lists that it names"
            ));
        }
        if Some(contents.sequence) != newest.checked_add(1) {
            return conflict(format!("its history does not lead back to list {newest}, which was seen before"));
        }
        if contents.previous.as_ref() != Some(&self.digest) {
            return conflict("it does not continue the list seen before".to_owned());
        }
        Ok(())
    }
}

fn check_step(from: u64, to: u64) -> Result<(), Problem> {
    if to.saturating_sub(from) <= MAX_STEP {
        return Ok(());
    }
    let detail = format!("its number {to} is more than {MAX_STEP} above {from}");
    Err(Problem::new(Code::TrustListJump, detail))
}

impl PinnedOperators {
    /// Checks the first list that a program accepts: its number is not below the pinned minimum, nor too far above it.
    pub(super) fn check_first_sequence(&self, contents: &TrustListContents) -> Result<(), Problem> {
        self.check_min_sequence(contents)?;
        self.min_sequence.map_or(Ok(()), |least| check_step(least, contents.sequence))
    }

    /// Checks that the number of a list is not below the pinned minimum.
    pub(super) fn check_min_sequence(&self, contents: &TrustListContents) -> Result<(), Problem> {
        let Some(least) = self.min_sequence.filter(|least| contents.sequence < *least) else { return Ok(()) };
        let detail = format!("its number is {}, below the pinned minimum {least}", contents.sequence);
        Err(Problem::new(Code::TrustListRollback, detail))
    }
}

impl TrustListContents {
    /// Returns this content with the next number, as that of the list after the one with this digest. The list is added
    /// to the history.
    pub(super) fn next_after(&self, digest: &str) -> Self {
        let this = EarlierList { sequence: self.sequence, digest: digest.to_owned() };
        Self {
            sequence: self.sequence.saturating_add(1),
            previous: Some(digest.to_owned()),
            history: std::iter::once(this).chain(self.history.iter().cloned()).take(MAX_HISTORY).collect(),
            ..self.clone()
        }
    }

    /// Checks the limits and the order of the history.
    pub(super) fn check_history(&self, kind: &StatementKind) -> Result<(), Problem> {
        let Some(newest) = self.history.first() else { return Ok(()) };
        kind.check_count(self.history.len(), 1..=MAX_HISTORY, "history")?;
        let named = self.previous.as_ref() == Some(&newest.digest);
        kind.require(named, "history", "does not begin with the previous list")?;
        let falling = self.history.is_sorted_by(|one, next| one.sequence > next.sequence);
        let below = newest.sequence < self.sequence && self.history.iter().all(|earlier| earlier.sequence >= 1);
        kind.require(falling && below, "history", "is not in descending order")?;
        self.history.iter().try_for_each(|earlier| check_digest(kind, &earlier.digest, "history"))?;
        check_step(newest.sequence, self.sequence)
    }
}
