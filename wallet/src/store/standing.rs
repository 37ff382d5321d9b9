//! Latest status of a copy from its issuer, and its freshness statements, to be attached to presentations
//! (spec/freshness.md).

pub use carnet_core::status::CopyState as State;
use carnet_core::{status::freshness, time::Timestamp};
use serde::{Deserialize, Serialize};

use super::{Copy, HeldCredential, packing::PackedText};

/// Separator of the statements on one copy.
const BETWEEN: char = '~';

/// Latest status of a copy.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// State of the copy.
    pub state: State,
    /// Time of the request.
    pub asked_at: Timestamp,
    /// Statements that the copy is valid; erased when they expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<Statement>,
    /// True if public lists have marked the copy, so that it is to be replaced.
    #[serde(default, skip_serializing_if = "is_false")]
    pub replace: bool,
    /// Message of the issuer to the owner; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde passes references
fn is_false(value: &bool) -> bool {
    !value
}

impl Standing {
    /// Creates a status without a statement.
    pub const fn of(state: State, asked_at: Timestamp) -> Self {
        Self { state, asked_at, statement: None, replace: false, message: String::new() }
    }
}

/// Verified freshness statements on one copy: of the epoch of the request, and of some earlier epochs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// JWTs, newest first and one per epoch, separated by tildes. Early versions stored the newest only.
    pub text: PackedText,
    /// Start of the newest.
    pub since: Timestamp,
    /// End of the newest.
    pub until: Timestamp,
}

/// Freshness statement to attach to a presentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StapledStatement {
    /// JWT.
    pub text: String,
    /// Start of its validity.
    pub since: Timestamp,
}

impl Statement {
    /// Creates statements from their texts, newest first.
    pub fn of(texts: &[String], since: Timestamp, until: Timestamp) -> Self {
        Self { text: texts.join(&BETWEEN.to_string()).into(), since, until }
    }

    /// Returns start and end of each, newest first.
    fn times(&self, count: usize) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        let back = (0..count).map(|before| i64::try_from(before).unwrap_or(i64::MAX));
        let back = back.map(|before| before.saturating_mul(freshness::EPOCH_SECONDS.into()).saturating_neg());
        back.map(|seconds| (self.since.plus(seconds), self.until.plus(seconds)))
    }

    /// Returns the oldest statement that is at most `max_age` seconds old.
    fn chosen(&self, max_age: u32, now: Timestamp) -> Option<StapledStatement> {
        let all = self.text.text();
        let texts: Vec<&str> = all.split(BETWEEN).collect();
        let index = freshness::choose(self.times(texts.len()), max_age, now)?;
        let (since, _) = self.times(texts.len()).nth(index)?;
        Some(StapledStatement { text: (*texts.get(index)?).to_owned(), since })
    }

    /// Deletes expired statements, which are the oldest.
    fn forget_stale(&mut self, now: Timestamp) {
        let all = self.text.text();
        let texts: Vec<&str> = all.split(BETWEEN).collect();
        let kept =
            self.times(texts.len()).take_while(|(_, until)| now.plus(freshness::MARGIN_SECONDS) < *until).count();
        if let Some(rest) = texts.get(..kept).filter(|rest| (1..texts.len()).contains(&rest.len())) {
            self.text = rest.join(&BETWEEN.to_string()).into();
        }
    }
}

impl Copy {
    /// Returns the statements, if the newest one is valid for some time yet.
    pub fn fresh(&self, now: Timestamp) -> Option<&Statement> {
        let statement = self.standing.as_ref()?.statement.as_ref()?;
        (statement.since <= now && now.plus(freshness::MARGIN_SECONDS) < statement.until).then_some(statement)
    }

    /// Returns the statement for a verifier that accepts at most this age in seconds. A verifier that asked for none
    /// gets one only if it has seen this copy before.
    pub fn stapled(&self, max_age: Option<u32>, asker: &str, now: Timestamp) -> Option<StapledStatement> {
        let has_seen = || self.shown_to.iter().any(|seen| seen == asker);
        let unasked = u32::try_from(freshness::DEFAULT_SECONDS).ok().filter(|_| has_seen());
        self.fresh(now)?.chosen(max_age.or(unasked)?, now)
    }

    /// Erases expired statements.
    pub fn forget_stale(&mut self, now: Timestamp) {
        let is_over = self.fresh(now).is_none();
        let Some(standing) = &mut self.standing else { return };
        if is_over {
            standing.statement = None;
        } else if let Some(statement) = &mut standing.statement {
            statement.forget_stale(now);
        }
    }
}

impl Copy {
    /// Tests if public lists have marked it together with other copies of its credential, according to its issuer.
    pub fn is_marked(&self) -> bool {
        self.is_kept() && self.standing.as_ref().is_some_and(|standing| standing.replace)
    }

    /// Tests if it should be discarded once replaced: public lists have marked it, or it predates handles
    /// (spec/status.md 4.11, spec/freshness.md 1.7).
    pub fn is_outdated(&self) -> bool {
        let outdated = |standing: &Standing| standing.replace || standing.state == State::Unknown;
        self.is_kept() && self.standing.as_ref().is_some_and(outdated)
    }
}

impl HeldCredential {
    /// Tests if some of its copies should be replaced.
    pub fn has_outdated_copies(&self) -> bool {
        self.copies.iter().any(Copy::is_outdated)
    }

    /// Discards the outdated copies. The keys of shown ones remain, because receipts need them.
    pub fn discard_outdated(&mut self) {
        self.copies.retain(|copy| !(copy.is_outdated() && copy.shown_to.is_empty()));
        self.copies.iter_mut().filter(|copy| copy.is_outdated()).for_each(Copy::forget_text);
    }

    /// Returns the issuer's latest message to the owner, with its time.
    pub fn message(&self) -> Option<&Standing> {
        let said = self.copies.iter().filter_map(|copy| copy.standing.as_ref());
        said.max_by_key(|standing| standing.asked_at).filter(|standing| !standing.message.is_empty())
    }

    /// Returns the status if the issuer has revoked or suspended it. The latest statement counts.
    pub fn withdrawn(&self) -> Option<&Standing> {
        let said = self.copies.iter().filter_map(|copy| copy.standing.as_ref());
        let last = said.max_by_key(|standing| (standing.asked_at, standing.state))?;
        last.state.is_withdrawn().then_some(last)
    }

    /// Returns the number of fresh copies with a statement, and the earliest end of these statements.
    pub fn vouched_for(&self, now: Timestamp) -> (usize, Option<Timestamp>) {
        let unused = self.copies.iter().filter(|copy| copy.is_fresh());
        let ends: Vec<Timestamp> = unused.filter_map(|copy| copy.fresh(now).map(|statement| statement.until)).collect();
        (ends.len(), ends.into_iter().min())
    }
}
