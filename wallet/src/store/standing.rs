//! Latest state of a copy as reported by its issuer, with the freshness statements that are stapled to presentations
//! (spec/freshness.md).

pub use carnet_core::status::CopyState;
use carnet_core::{status::freshness, time::Timestamp};
use serde::{Deserialize, Serialize};

use super::{CredentialCopy, HeldCredential, packing::PackedText};

/// Separator of the statements on one copy in the stored text.
const BETWEEN: char = '~';

/// Latest state of a copy, as reported by its issuer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CachedStatus {
    /// State that the issuer reported for the copy.
    pub state: CopyState,
    /// Time of the request to the issuer.
    pub asked_at: Timestamp,
    /// Freshness statements; `None` if the issuer sent none, or all have expired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<FreshnessStatements>,
    /// `true` if the issuer wants the copy replaced, because its entries in the public status lists link it to other
    /// copies.
    #[serde(default, skip_serializing_if = "is_false")]
    pub replace: bool,
    /// Message of the issuer to the holder; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde passes references
fn is_false(value: &bool) -> bool {
    !value
}

impl CachedStatus {
    /// Creates a status without freshness statements and message.
    pub const fn of(state: CopyState, asked_at: Timestamp) -> Self {
        Self { state, asked_at, statement: None, replace: false, message: String::new() }
    }
}

/// Verified freshness statements about one copy: one of the epoch of the request, and one of each of some earlier
/// epochs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreshnessStatements {
    /// JWTs, newest first and one per epoch, separated by tildes. Older versions stored only the newest.
    pub text: PackedText,
    /// Start of the newest statement.
    pub since: Timestamp,
    /// End of the newest statement.
    pub until: Timestamp,
}

/// Freshness statement chosen for a presentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StapledStatement {
    /// JWT of the statement.
    pub text: String,
    /// Start of its validity.
    pub since: Timestamp,
}

impl FreshnessStatements {
    /// Creates the statements from their JWTs, newest first.
    pub fn of(texts: &[String], since: Timestamp, until: Timestamp) -> Self {
        Self { text: texts.join(&BETWEEN.to_string()).into(), since, until }
    }

    /// Returns start and end of each of `count` statements, newest first.
    fn times(&self, count: usize) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        let back = (0..count).map(|before| i64::try_from(before).unwrap_or(i64::MAX));
        let back = back.map(|before| before.saturating_mul(freshness::EPOCH_SECONDS.into()).saturating_neg());
        back.map(|seconds| (self.since.plus(seconds), self.until.plus(seconds)))
    }

    /// Returns the statement for a verifier with a maximum age in seconds, chosen by [`freshness::choose_statement`];
    /// `None` if no statement is new enough.
    fn chosen(&self, max_age: u32, now: Timestamp) -> Option<StapledStatement> {
        let all = self.text.text();
        let texts: Vec<&str> = all.split(BETWEEN).collect();
        let index = freshness::choose_statement(self.times(texts.len()), max_age, now)?;
        let (since, _) = self.times(texts.len()).nth(index)?;
        Some(StapledStatement { text: (*texts.get(index)?).to_owned(), since })
    }

    /// Deletes expired statements, which are the oldest. The newest is kept.
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

impl CredentialCopy {
    /// Returns the freshness statements; `None` if there are none, or the newest is not valid yet or expires very soon.
    pub fn fresh(&self, now: Timestamp) -> Option<&FreshnessStatements> {
        let statement = self.standing.as_ref()?.statement.as_ref()?;
        (statement.since <= now && now.plus(freshness::MARGIN_SECONDS) < statement.until).then_some(statement)
    }

    /// Returns the freshness statement for the verifier with the client id `asker` that accepts the age `max_age`, in
    /// seconds. A verifier that requested none (`None`) gets one only if this copy was already presented to it. `None`
    /// if no statement is new enough.
    pub fn statement_to_staple(&self, max_age: Option<u32>, asker: &str, now: Timestamp) -> Option<StapledStatement> {
        let has_seen = || self.shown_to.iter().any(|seen| seen == asker);
        let unasked = u32::try_from(freshness::DEFAULT_SECONDS).ok().filter(|_| has_seen());
        self.fresh(now)?.chosen(max_age.or(unasked)?, now)
    }

    /// Erases the freshness statements that have expired.
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

impl CredentialCopy {
    /// Returns whether it can be presented and its issuer reported that the public status lists link it to other copies
    /// of its credential.
    pub fn is_linkable(&self) -> bool {
        self.is_presentable() && self.standing.as_ref().is_some_and(|standing| standing.replace)
    }

    /// Returns whether it can be presented and should be replaced: it is linkable by the public status lists, or its
    /// issuer does not know its handle, as for copies older than handles (spec/status.md 4.11, spec/freshness.md 1.7).
    pub fn needs_replacement(&self) -> bool {
        let outdated = |standing: &CachedStatus| standing.replace || standing.state == CopyState::Unknown;
        self.is_presentable() && self.standing.as_ref().is_some_and(outdated)
    }
}

impl HeldCredential {
    /// Returns whether a copy needs replacement.
    pub fn has_outdated_copies(&self) -> bool {
        self.copies.iter().any(CredentialCopy::needs_replacement)
    }

    /// Discards the copies that need replacement. Of those that were presented, the key is kept for erasure requests.
    pub fn discard_outdated(&mut self) {
        self.copies.retain(|copy| !(copy.needs_replacement() && copy.shown_to.is_empty()));
        self.copies.iter_mut().filter(|copy| copy.needs_replacement()).for_each(CredentialCopy::delete_text);
    }

    /// Returns the latest status of any copy, if it has a message of the issuer to the holder.
    pub fn message(&self) -> Option<&CachedStatus> {
        let said = self.copies.iter().filter_map(|copy| copy.standing.as_ref());
        said.max_by_key(|standing| standing.asked_at).filter(|standing| !standing.message.is_empty())
    }

    /// Returns the latest status of any copy, if it is suspended or revoked.
    pub fn withdrawn_status(&self) -> Option<&CachedStatus> {
        let said = self.copies.iter().filter_map(|copy| copy.standing.as_ref());
        let last = said.max_by_key(|standing| (standing.asked_at, standing.state))?;
        last.state.is_withdrawn().then_some(last)
    }

    /// Returns the number of unused copies with a freshness statement that is valid at `now`, and the earliest end of
    /// these statements.
    pub fn confirmed_copies(&self, now: Timestamp) -> (usize, Option<Timestamp>) {
        let unused = self.copies.iter().filter(|copy| copy.is_unused());
        let ends: Vec<Timestamp> = unused.filter_map(|copy| copy.fresh(now).map(|statement| statement.until)).collect();
        (ends.len(), ends.into_iter().min())
    }
}
