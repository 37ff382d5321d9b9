//! Latest state of a copy as reported by its issuer, with the freshness statements that are stapled to presentations
//! (spec/freshness.md).

pub use carnet_core::status::CopyState;
use carnet_core::{status::freshness, time::Timestamp};
use serde::{Deserialize, Serialize};

use super::packing::PackedText;

/// Separator of the statements on one copy in the stored text.
const BETWEEN: char = '~';

/// Latest state of a copy, as reported by its issuer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CachedStatus {
    /// State that the issuer reported for the copy.
    pub state: CopyState,
    /// Time of the request to the issuer.
    #[serde(rename = "asked_at")]
    pub requested_at: Timestamp,
    /// Freshness statements; `None` if the issuer sent none, or all have expired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<FreshnessStatements>,
    /// `true` if the issuer wants the copy replaced, because its entries in the public status lists link it to other
    /// copies.
    #[serde(default, skip_serializing_if = "is_false")]
    #[serde(rename = "replace")]
    pub should_replace: bool,
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
    pub const fn new(state: CopyState, asked_at: Timestamp) -> Self {
        Self { state, requested_at: asked_at, statement: None, should_replace: false, message: String::new() }
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
    /// End of the newest statement's validity.
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
    /// Creates the statements from their JWTs, newest first. `since` and `until` are start and end of the newest one.
    pub fn from_jwts(texts: &[String], since: Timestamp, until: Timestamp) -> Self {
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
    pub(super) fn chosen(&self, max_age: u32, now: Timestamp) -> Option<StapledStatement> {
        let all = self.text.text();
        let texts: Vec<&str> = all.split(BETWEEN).collect();
        let index = freshness::choose_statement(self.times(texts.len()), max_age, now)?;
        let (since, _) = self.times(texts.len()).nth(index)?;
        Some(StapledStatement { text: (*texts.get(index)?).to_owned(), since })
    }

    /// Deletes expired statements, which are the oldest. The newest is kept.
    pub(super) fn forget_stale(&mut self, now: Timestamp) {
        let all = self.text.text();
        let texts: Vec<&str> = all.split(BETWEEN).collect();
        let kept = self
            .times(texts.len())
            .take_while(|(_, until)| now.plus(freshness::MIN_REMAINING_SECONDS) < *until)
            .count();
        if let Some(rest) = texts.get(..kept).filter(|rest| (1..texts.len()).contains(&rest.len())) {
            self.text = rest.join(&BETWEEN.to_string()).into();
        }
    }
}
