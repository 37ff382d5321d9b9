//! What an issuer last said of a copy, and its word for it, to be shown along with the copy (spec/freshness.md).

use carnet_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Copy, HeldCredential, packing::PackedText};

/// The least that a statement must still hold for when it is shown, in seconds: clocks differ, and it must arrive.
const MARGIN: i64 = 120;

/// What an issuer last said of a copy.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Standing {
    /// What it said.
    pub(crate) state: State,
    /// When it was asked.
    pub(crate) asked_at: Timestamp,
    /// Its word that the copy is valid; erased when its time is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) statement: Option<Statement>,
}

/// A copy in its issuer's books.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// It holds.
    Valid,
    /// The issuer does not know it.
    Unknown,
    /// Its time is over.
    Ended,
    /// It does not hold for now.
    Suspended,
    /// It was withdrawn for good.
    Revoked,
}

impl State {
    /// As it stands in JSON.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Unknown => "unknown",
            Self::Ended => "ended",
            Self::Suspended => "suspended",
            Self::Revoked => "revoked",
        }
    }

    /// Whether the issuer took it back, for now or for good.
    pub(crate) const fn is_withdrawn(self) -> bool {
        matches!(self, Self::Suspended | Self::Revoked)
    }
}

/// A freshness statement that was verified.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Statement {
    /// The JWT.
    pub(crate) text: PackedText,
    /// As of when it says so.
    pub(crate) since: Timestamp,
    /// Until when it holds.
    pub(crate) until: Timestamp,
}

impl Copy {
    /// The statement to show along with it, if there is one that holds for a while yet.
    pub(crate) fn fresh(&self, now: Timestamp) -> Option<&Statement> {
        let statement = self.standing.as_ref()?.statement.as_ref()?;
        (statement.since <= now && now.plus(MARGIN) < statement.until).then_some(statement)
    }

    /// Erases a statement whose time is over.
    pub(crate) fn forget_stale(&mut self, now: Timestamp) {
        if self.fresh(now).is_none()
            && let Some(standing) = &mut self.standing
        {
            standing.statement = None;
        }
    }
}

impl HeldCredential {
    /// That the issuer took it back, as it last said, and when it said so. What was said last counts.
    pub(crate) fn withdrawn(&self) -> Option<&Standing> {
        let said = self.copies.iter().filter_map(|copy| copy.standing.as_ref());
        let last = said.max_by_key(|standing| (standing.asked_at, standing.state))?;
        last.state.is_withdrawn().then_some(last)
    }

    /// How many unused copies can be shown with a statement, and until when the first of these statements holds.
    pub(crate) fn vouched_for(&self, now: Timestamp) -> (usize, Option<Timestamp>) {
        let unused = self.copies.iter().filter(|copy| copy.is_fresh());
        let ends: Vec<Timestamp> = unused.filter_map(|copy| copy.fresh(now).map(|statement| statement.until)).collect();
        (ends.len(), ends.into_iter().min())
    }
}
