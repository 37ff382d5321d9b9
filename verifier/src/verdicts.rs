//! Verdicts, which are kept, and what was disclosed, which is not.
//!
//! The two are different types on purpose: a [`Verdict`] has no place for a value, and a [`Disclosed`] has no way
//! to be stored. It does not serialise, does not print, and wipes itself when it is dropped.

use std::{collections::BTreeMap, fmt};

use carnet_core::{
    query::path_to_text,
    time::Timestamp,
    verify::{Held, Outcome as CoreOutcome, Report, Verified},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use zeroize::Zeroize as _;

/// What came of verifying: named checks, codes, and the paths that were shown. Never a claim's value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Verdict {
    accepted: bool,
    reason: String,
    checks: Vec<Check>,
    verified_at: Timestamp,
    credentials: Vec<Summary>,
}

/// One named check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Check {
    pub(crate) name: String,
    pub(crate) about: String,
    pub(crate) outcome: Outcome,
    /// The stable code of a failure; else empty.
    pub(crate) code: String,
    /// For a person: what failed, or why it does not apply.
    pub(crate) detail: String,
    /// The problem type's URL of a failure; else empty.
    pub(crate) problem_type: String,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Passed,
    Failed,
    NotApplicable,
}

/// Which credential answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Summary {
    pub(crate) query_id: String,
    pub(crate) credential_type: String,
    pub(crate) issuer: String,
    pub(crate) format: String,
    pub(crate) disclosed_paths: Vec<String>,
}

impl Verdict {
    /// The verdict on an answer to a request, and what it disclosed.
    pub(crate) fn on_presentation(
        report: &Report,
        verified: Option<Verified<BTreeMap<String, Vec<Held>>>>,
        now: Timestamp,
    ) -> (Self, Option<Disclosed>) {
        let Some(verified) = verified else { return (Self::refusing(report, now), None) };
        let mut credentials = Vec::new();
        let mut shown = Map::new();
        for (query_id, held) in verified.into_inner() {
            credentials.extend(held.iter().map(|held| summary(&query_id, held)));
            shown.insert(query_id, Value::Array(held.iter().map(|held| Value::Object(document(held))).collect()));
        }
        (Self::accepting(report, credentials, now), Some(Disclosed(shown)))
    }

    /// The verdict on a credential that was handed over directly, and what it disclosed.
    pub(crate) fn on_credential(
        report: &Report,
        verified: Option<Verified<Held>>,
        now: Timestamp,
    ) -> (Self, Option<Disclosed>) {
        let Some(verified) = verified else { return (Self::refusing(report, now), None) };
        let held = verified.get();
        (Self::accepting(report, vec![summary("", held)], now), Some(Disclosed(document(held))))
    }

    fn accepting(report: &Report, credentials: Vec<Summary>, now: Timestamp) -> Self {
        Self { accepted: true, reason: String::new(), checks: checks(report), verified_at: now, credentials }
    }

    fn refusing(report: &Report, now: Timestamp) -> Self {
        // A report without a failure and without a verified value would be a fault of core's: unknown is never valid.
        let reason = report.failure().map_or("unknown_format", |problem| problem.code.as_str()).to_owned();
        Self { accepted: false, reason, checks: checks(report), verified_at: now, credentials: Vec::new() }
    }

    /// Whether everything held.
    pub(crate) fn accepted(&self) -> bool {
        self.accepted
    }

    /// The first failure's code; empty if there is none.
    pub(crate) fn reason(&self) -> &str {
        &self.reason
    }

    /// Every check, in order.
    pub(crate) fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// When it was reached.
    pub(crate) fn verified_at(&self) -> Timestamp {
        self.verified_at
    }

    /// The credentials that answered; none if it was refused.
    pub(crate) fn credentials(&self) -> &[Summary] {
        &self.credentials
    }

    /// The form in which it is kept.
    pub(crate) fn to_stored(&self) -> Option<String> {
        serde_json::to_string(self).ok()
    }

    /// From the form in which it is kept.
    pub(crate) fn from_stored(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

fn checks(report: &Report) -> Vec<Check> {
    let check = |check: &carnet_core::verify::Check| {
        let (outcome, code, detail, problem_type) = match &check.outcome {
            CoreOutcome::Passed => (Outcome::Passed, "", "", ""),
            CoreOutcome::Failed(problem) => {
                (Outcome::Failed, problem.code.as_str(), problem.detail.as_str(), problem.code.problem_type())
            }
            CoreOutcome::NotApplicable(why) => (Outcome::NotApplicable, "", *why, ""),
        };
        Check {
            name: check.name.as_str().to_owned(),
            about: check.about.clone(),
            outcome,
            code: code.to_owned(),
            detail: detail.to_owned(),
            problem_type: problem_type.to_owned(),
        }
    };
    report.checks().iter().map(check).collect()
}

fn summary(query_id: &str, held: &Held) -> Summary {
    Summary {
        query_id: query_id.to_owned(),
        credential_type: held.type_name.clone(),
        issuer: held.credential.issuer().to_owned(),
        format: held.format.clone(),
        disclosed_paths: held.disclosed.iter().map(|path| path_to_text(path)).collect(),
    }
}

/// The credential as it was shown, without what is unique to this copy and says nothing: two answers of one
/// person could be joined by the subject's id (EU ARF, OIA_16).
fn document(held: &Held) -> Map<String, Value> {
    let mut document = held.credential.document().clone();
    document.remove("proof");
    match document.get_mut("credentialSubject") {
        Some(Value::Object(subject)) => {
            subject.remove("id");
        }
        Some(Value::Array(subjects)) => {
            for subject in subjects.iter_mut().filter_map(Value::as_object_mut) {
                subject.remove("id");
            }
        }
        _ => {}
    }
    document
}

/// What a holder showed: for the eyes of those who watch, and gone after them.
pub(crate) struct Disclosed(Map<String, Value>);

impl Disclosed {
    /// For the wire, and for nothing else.
    pub(crate) fn to_struct(&self) -> prost_types::Struct {
        carnet_service::wire::to_struct(&self.0)
    }

    #[cfg(test)]
    pub(crate) fn of(members: Map<String, Value>) -> Self {
        Self(members)
    }
}

impl fmt::Debug for Disclosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Disclosed(redacted)")
    }
}

impl Drop for Disclosed {
    fn drop(&mut self) {
        self.0.values_mut().for_each(wipe);
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => *value = Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_disclosed_does_not_print() {
        let members = serde_json::json!({"a": [{"familyName": "Okonkwo"}]}).as_object().unwrap().clone();
        assert_eq!(format!("{:?}", Disclosed::of(members)), "Disclosed(redacted)");
    }

    #[test]
    fn wiping_leaves_no_value() {
        let mut value = serde_json::json!({"a": ["secret", 7, true, {"b": "x"}]});
        wipe(&mut value);
        assert_eq!(value, serde_json::json!({"a": ["", null, null, {"b": ""}]}));
    }

    #[test]
    fn a_verdict_comes_back_from_the_store_as_it_was() {
        let (verdict, disclosed) = Verdict::on_presentation(&Report::default(), None, Timestamp::from_unix(7));
        assert!(disclosed.is_none() && !verdict.accepted());
        assert_eq!(Verdict::from_stored(&verdict.to_stored().unwrap()), Some(verdict));
        assert_eq!(Verdict::from_stored(r#"{"accepted":true}"#), None);
    }
}
