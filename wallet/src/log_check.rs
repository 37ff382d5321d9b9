//! Verification of the wallet's log: its hash chain, its receipts, its checkpoint, and a head that the holder noted.

use carnet_core::day;
use serde_json::json;

use crate::{
    failure::{Failure, FailureReason, Sentence},
    receipt::{self, StatementCount},
    sanitise::sanitise,
    store::{
        WalletContents,
        deletion::log_public_key,
        log::{Checkpoint, LogError, WalletLog},
    },
};

/// Result of verifying a valid log.
pub struct LogVerification {
    /// Numbers of verified receipts and confirmations.
    pub count: StatementCount,
    /// Public key that signs checkpoints of the log, as a Multikey; `None` if the wallet has none.
    pub key: Option<String>,
}

/// Verifies the log. `noted` is a head that the holder noted earlier; the log must have an entry with this digest, or
/// begin after it.
///
/// # Errors
/// `log_broken`; `head_unknown` if the noted head is not in a log whose first entries were deleted.
pub fn check_log(contents: &WalletContents, noted: Option<&str>) -> Result<LogVerification, Failure> {
    let log = &contents.log;
    let count = receipt::verify_log(log).map_err(|broken| broken_log(log, &broken))?;
    let key = log_public_key(contents);
    if log.checkpoint().is_some_and(|checkpoint| key.as_ref() != Some(&checkpoint.key)) {
        let what = "its checkpoint is signed with a key other than this wallet's".to_owned();
        return Err(broken_log(log, &LogError { number: log.deleted_count(), description: what }));
    }
    let beginning = log.checkpoint().map_or_else(|| WalletLog::default().head().to_owned(), |first| first.head.clone());
    let is_noted = |noted: &str| noted == beginning || log.entries().iter().any(|it| it.digest() == noted);
    if noted.is_some_and(|noted| !is_noted(noted)) {
        if let Some(checkpoint) = log.checkpoint() {
            return Err(unknown_head(log, checkpoint));
        }
        let what = "the head that you noted is not in it: its end was cut off, or the whole log was rewritten";
        let number = u64::try_from(log.entries().len()).unwrap_or(u64::MAX).saturating_add(1);
        return Err(broken_log(log, &LogError { number, description: what.to_owned() }));
    }
    Ok(LogVerification { count, key })
}

/// Returns the failure for a noted head that is not in a log whose first entries were deleted.
fn unknown_head(log: &WalletLog, checkpoint: &Checkpoint) -> Failure {
    let message = Sentence::new("error-head-unknown")
        .with("day", day::format_start(checkpoint.before))
        .with("time", checkpoint.at);
    let count = log.entries().len();
    let object = json!({"whole": false, "head": log.head(), "count": count, "checkpoint": checkpoint});
    Failure::new(FailureReason::HeadUnknown, message, Sentence::new("hint-head")).with_members(object)
}

fn broken_log(log: &WalletLog, broken: &LogError) -> Failure {
    let message = Sentence::new("error-log-broken").with_details(sanitise(&broken.to_string()));
    Failure::new(FailureReason::LogBroken, message, Sentence::new("hint-log-changed")).with_members(json!({
        "whole": false, "first_bad": broken.number, "head": log.head(), "count": log.entries().len(),
    }))
}
