//! What an issuer last said of a copy, and its word for it, to be shown along with the copy (spec/freshness.md).

use carnet_core::{status::freshness, time::Timestamp};
use serde::{Deserialize, Serialize};

use super::{Copy, HeldCredential, packing::PackedText};

/// Separator of the statements on one copy.
const BETWEEN: char = '~';

/// What an issuer last said of a copy.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Standing {
    /// What it said.
    pub(crate) state: State,
    /// When it was asked.
    pub(crate) asked_at: Timestamp,
    /// Its statements that the copy is valid; erased when their time is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) statement: Option<Statement>,
    /// True if the copy was marked in public, so that it is to be discarded for a new one.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) replace: bool,
    /// What the issuer has to say to the owner, in its own words; empty: nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) message: String,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde passes references
fn is_false(value: &bool) -> bool {
    !value
}

impl Standing {
    /// A state without a statement.
    pub(crate) const fn of(state: State, asked_at: Timestamp) -> Self {
        Self { state, asked_at, statement: None, replace: false, message: String::new() }
    }
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

/// Freshness statements on one copy that were verified: of the epoch in which the issuer was asked, and of some before it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Statement {
    /// The JWTs, newest first, each of the epoch before, with a tilde between two. Wallets of before have the newest alone.
    pub(crate) text: PackedText,
    /// Beginning of the newest.
    pub(crate) since: Timestamp,
    /// End of the newest.
    pub(crate) until: Timestamp,
}

/// Freshness statement that goes along with a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StapledStatement {
    /// The JWT.
    pub(crate) text: String,
    /// Its beginning.
    pub(crate) since: Timestamp,
}

impl Statement {
    /// Statements with these texts, newest first.
    pub(crate) fn of(texts: &[String], since: Timestamp, until: Timestamp) -> Self {
        Self { text: texts.join(&BETWEEN.to_string()).into(), since, until }
    }

    /// Beginning and end of each, newest first.
    fn times(&self, count: usize) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        let back = (0..count).map(|before| i64::try_from(before).unwrap_or(i64::MAX));
        let back = back.map(|before| before.saturating_mul(freshness::EPOCH_SECONDS.into()).saturating_neg());
        back.map(|seconds| (self.since.plus(seconds), self.until.plus(seconds)))
    }

    /// The oldest that an asker takes who takes none older than so many seconds.
    fn chosen(&self, max_age: u32, now: Timestamp) -> Option<StapledStatement> {
        let all = self.text.text();
        let texts: Vec<&str> = all.split(BETWEEN).collect();
        let index = freshness::choose(self.times(texts.len()), max_age, now)?;
        let (since, _) = self.times(texts.len()).nth(index)?;
        Some(StapledStatement { text: (*texts.get(index)?).to_owned(), since })
    }

    /// Drops those whose time is over, which are the oldest.
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
    /// The statements to show along with it, if there is one that holds for a while yet.
    pub(crate) fn fresh(&self, now: Timestamp) -> Option<&Statement> {
        let statement = self.standing.as_ref()?.statement.as_ref()?;
        (statement.since <= now && now.plus(freshness::MARGIN_SECONDS) < statement.until).then_some(statement)
    }

    /// The statement that goes to an asker who wants none older than so many seconds; to one who wants none it goes only where
    /// that asker has seen this copy before: others have no use for it.
    pub(crate) fn stapled(&self, max_age: Option<u32>, asker: &str, now: Timestamp) -> Option<StapledStatement> {
        let has_seen = || self.shown_to.iter().any(|seen| seen == asker);
        let unasked = u32::try_from(freshness::DEFAULT_SECONDS).ok().filter(|_| has_seen());
        self.fresh(now)?.chosen(max_age.or(unasked)?, now)
    }

    /// Erases statements whose time is over.
    pub(crate) fn forget_stale(&mut self, now: Timestamp) {
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
    /// Tells if public lists have marked it with others of its document, as its issuer says.
    pub(crate) fn is_marked(&self) -> bool {
        self.is_kept() && self.standing.as_ref().is_some_and(|standing| standing.replace)
    }

    /// Whether it is to be discarded once there are new ones: it was marked in public lists, or is of before its issuer knew it by its
    /// handle (spec/status.md 4.11, spec/freshness.md 1.7).
    pub(crate) fn is_outdated(&self) -> bool {
        let outdated = |standing: &Standing| standing.replace || standing.state == State::Unknown;
        self.is_kept() && self.standing.as_ref().is_some_and(outdated)
    }
}

impl HeldCredential {
    /// Tells if some of its copies are to be discarded for new ones.
    pub(crate) fn has_outdated_copies(&self) -> bool {
        self.copies.iter().any(Copy::is_outdated)
    }

    /// Discards the copies that are outdated. Of those that were shown the keys stay: receipts need them.
    pub(crate) fn discard_outdated(&mut self) {
        self.copies.retain(|copy| !(copy.is_outdated() && copy.shown_to.is_empty()));
        self.copies.iter_mut().filter(|copy| copy.is_outdated()).for_each(Copy::forget_text);
    }

    /// What the issuer last had to say to the owner, and when it said so.
    pub(crate) fn message(&self) -> Option<&Standing> {
        let said = self.copies.iter().filter_map(|copy| copy.standing.as_ref());
        said.max_by_key(|standing| standing.asked_at).filter(|standing| !standing.message.is_empty())
    }

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
