//! Verdicts, which are stored. A [`Verdict`] has no field for a value; [`Disclosed`] has the values and is not stored.

use carnet_core::{
    format::CredentialFormat,
    query::{Query, path_to_text},
    receipt::ShownThreshold,
    time::Timestamp,
    verify::{Answer, Held, Outcome as CoreOutcome, Report, Seen, Verified},
};
use serde::{Deserialize, Serialize};

use crate::{
    decisions::{TrustDecision, TrustDecisions},
    disclosed::Disclosed,
    printable::printable,
    status_messages::StatusMessage,
    thresholds,
};

/// Result of a verification: named checks, codes, and the disclosed paths. Never a claim's value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Verdict {
    accepted: bool,
    reason: String,
    checks: Vec<CheckRecord>,
    verified_at: Timestamp,
    credentials: Vec<CredentialSummary>,
    /// Decisions about the issuers; empty in early verdicts.
    #[serde(default, rename = "grounds")]
    decisions: Vec<TrustDecision>,
    /// Use of a voucher that it marked.
    #[serde(default)]
    redeemed: Option<RecordedUse>,
    /// Issuers' messages on the credentials; empty in early verdicts.
    #[serde(default)]
    messages: Vec<StatusMessage>,
    /// Holder rule, if several credentials were possible; `None` in early verdicts.
    #[serde(default)]
    holder: Option<AppliedRule>,
}

/// Holder rule by which credentials were compared (spec/protocol.md 4.10).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AppliedRule {
    /// `claims`, `key` or `any`.
    pub(crate) rule: String,
    /// Claims that must be equal, by their paths below the subject.
    pub(crate) claims: Vec<String>,
}

/// One named check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckRecord {
    pub(crate) name: String,
    pub(crate) about: String,
    pub(crate) outcome: CheckOutcome,
    /// Stable code of a failure, also of a tolerated one; else empty.
    pub(crate) code: String,
    /// Explanation for a person: the failure, or why the check does not apply.
    pub(crate) detail: String,
    /// Problem type URL of a failure; else empty.
    pub(crate) problem_type: String,
}

/// CheckOutcome of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CheckOutcome {
    Passed,
    Failed,
    /// Failed, but tolerated by the template's policy.
    Tolerated,
    NotApplicable,
}

impl CheckRecord {
    /// Creates a check that the verifier makes besides the pipeline, and that passed.
    pub(crate) fn passed(name: &str, detail: String) -> Self {
        let (about, code, problem_type) = (String::new(), String::new(), String::new());
        Self { name: name.to_owned(), about, outcome: CheckOutcome::Passed, code, detail, problem_type }
    }

    /// Creates a check that the verifier makes besides the pipeline, and that failed.
    pub(crate) fn failed(name: &str, code: &str, detail: &str) -> Self {
        Self {
            outcome: CheckOutcome::Failed,
            code: code.to_owned(),
            problem_type: "about:blank".to_owned(),
            ..Self::passed(name, detail.to_owned())
        }
    }
}

/// Use of a voucher by an accepted answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub(crate) enum RecordedUse {
    /// Use of a voucher with a number: the use and the total.
    Counted { number: u32, of: u32 },
    /// Use of a serial. This verifier does not know the total.
    Serial { serial: bool },
}

impl RecordedUse {
    /// Use by serial.
    pub(crate) const SERIAL: Self = Self::Serial { serial: true };

    /// Returns the use and the total, if known.
    pub(crate) const fn counted(self) -> Option<(u32, u32)> {
        match self {
            Self::Counted { number, of } => Some((number, of)),
            Self::Serial { .. } => None,
        }
    }
}

/// Credential in an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CredentialSummary {
    pub(crate) query_id: String,
    pub(crate) credential_type: String,
    pub(crate) issuer: String,
    pub(crate) format: CredentialFormat,
    pub(crate) disclosed_paths: Vec<String>,
    /// Thresholds that were proven without disclosing the values.
    #[serde(default)]
    pub(crate) thresholds: Vec<ShownThreshold>,
}

impl Verdict {
    /// Returns the verdict on an answer to a request, its disclosed claims, and the data for the receipt.
    pub(crate) fn on_presentation(
        report: &Report,
        verified: Option<Verified<Answer>>,
        query: &Query,
        now: Timestamp,
    ) -> VerificationResult {
        let record = DisclosureRecord {
            shown: report.seen().iter().map(|seen| summary(seen, query)).collect(),
            holder_keys: report.seen().iter().map(|seen| seen.holder.thumbprint()).collect(),
        };
        let holder = query.holder.as_ref().filter(|_| query.asks_for_several());
        let holder = holder.map(|rule| AppliedRule { rule: rule.name().to_owned(), claims: rule.claims() });
        let Some(verified) = verified else {
            let verdict = Self { holder, ..Self::refusing(report, now) };
            return VerificationResult { verdict, disclosed: None, record };
        };
        let mut disclosed = Disclosed::default();
        for (query_id, held) in verified.into_inner() {
            disclosed.insert(query_id, &held);
        }
        let verdict = Self { holder, ..Self::accepting(report, record.shown.clone(), now) };
        VerificationResult { verdict, disclosed: Some(disclosed), record }
    }

    /// Returns the verdict on a credential given directly, and its disclosed claims.
    pub(crate) fn on_credential(
        report: &Report,
        verified: Option<Verified<Held>>,
        now: Timestamp,
    ) -> (Self, Option<Disclosed>) {
        let Some(verified) = verified else { return (Self::refusing(report, now), None) };
        let held = verified.get();
        let summary = CredentialSummary {
            query_id: String::new(),
            credential_type: held.type_name.clone(),
            issuer: held.credential.issuer().to_owned(),
            format: held.format,
            disclosed_paths: held.disclosed.iter().map(|path| path_to_text(path)).collect(),
            thresholds: Vec::new(),
        };
        (Self::accepting(report, vec![summary], now), Some(Disclosed::of_credential(held)))
    }

    fn accepting(report: &Report, credentials: Vec<CredentialSummary>, now: Timestamp) -> Self {
        Self {
            accepted: true,
            reason: String::new(),
            checks: checks(report),
            verified_at: now,
            credentials,
            decisions: Vec::new(),
            redeemed: None,
            messages: report.messages().iter().map(StatusMessage::from).collect(),
            holder: None,
        }
    }

    fn refusing(report: &Report, now: Timestamp) -> Self {
        // A report without a failure and without a verified value would be a fault of core: an unknown result is never
        // valid.
        let reason = report.failure().map_or("unknown_format", |problem| problem.code.as_str()).to_owned();
        Self {
            accepted: false,
            reason,
            checks: checks(report),
            verified_at: now,
            credentials: Vec::new(),
            decisions: Vec::new(),
            redeemed: None,
            messages: report.messages().iter().map(StatusMessage::from).collect(),
            holder: None,
        }
    }

    /// Adds the decisions about the issuers.
    pub(crate) fn with_decisions(mut self, report: &Report, decisions: TrustDecisions) -> Self {
        self.decisions = decisions.of(report);
        self
    }

    /// Adds the use of a voucher that is marked with the verdict.
    pub(crate) fn with_use(mut self, used: RecordedUse, check: CheckRecord) -> Self {
        self.checks.push(check);
        self.redeemed = Some(used);
        self
    }

    /// Refuses a valid answer for a reason outside of the presentation.
    pub(crate) fn refused_by(mut self, check: CheckRecord) -> Self {
        self.accepted = false;
        self.reason.clone_from(&check.code);
        self.credentials = Vec::new();
        self.checks.push(check);
        self
    }

    /// Returns the use of a voucher that it marked.
    pub(crate) fn redeemed(&self) -> Option<RecordedUse> {
        self.redeemed
    }

    /// Returns the holder rule, if several credentials were possible.
    pub(crate) fn holder(&self) -> Option<&AppliedRule> {
        self.holder.as_ref()
    }

    /// Returns the issuers' messages on the credentials.
    pub(crate) fn messages(&self) -> &[StatusMessage] {
        &self.messages
    }

    /// Returns the decisions about the issuers.
    pub(crate) fn decisions(&self) -> &[TrustDecision] {
        &self.decisions
    }

    /// Returns true if every check passed or was tolerated.
    pub(crate) fn accepted(&self) -> bool {
        self.accepted
    }

    /// Returns the code of the first failure; empty if there is none.
    pub(crate) fn reason(&self) -> &str {
        &self.reason
    }

    /// Returns all checks, in order.
    pub(crate) fn checks(&self) -> &[CheckRecord] {
        &self.checks
    }

    /// Returns the time of the verification.
    pub(crate) fn verified_at(&self) -> Timestamp {
        self.verified_at
    }

    /// Returns the credentials of the answer; empty if it was refused.
    pub(crate) fn credentials(&self) -> &[CredentialSummary] {
        &self.credentials
    }

    /// Serialises it for the store.
    pub(crate) fn to_stored(&self) -> Option<String> {
        serde_json::to_string(self).ok()
    }

    /// Deserialises it from the store.
    pub(crate) fn from_stored(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

fn checks(report: &Report) -> Vec<CheckRecord> {
    let check = |check: &carnet_core::verify::Check| {
        let (outcome, code, detail, problem_type) = match &check.outcome {
            CoreOutcome::Passed => (CheckOutcome::Passed, "", "", ""),
            CoreOutcome::Failed(problem) => {
                (CheckOutcome::Failed, problem.code.as_str(), problem.detail.as_str(), problem.code.problem_type())
            }
            CoreOutcome::Tolerated(problem) => {
                (CheckOutcome::Tolerated, problem.code.as_str(), problem.detail.as_str(), problem.code.problem_type())
            }
            CoreOutcome::NotApplicable(why) => (CheckOutcome::NotApplicable, "", *why, ""),
        };
        CheckRecord {
            name: check.name.as_str().to_owned(),
            about: check.about.clone(),
            outcome,
            code: code.to_owned(),
            detail: printable(detail),
            problem_type: problem_type.to_owned(),
        }
    };
    report.checks().iter().map(check).collect()
}

fn summary(seen: &Seen, query: &Query) -> CredentialSummary {
    let mut summary = CredentialSummary {
        query_id: seen.query_id.clone(),
        credential_type: seen.type_name.clone(),
        issuer: seen.issuer.clone(),
        format: seen.format,
        disclosed_paths: seen.disclosed.iter().map(|path| path_to_text(path)).collect(),
        thresholds: Vec::new(),
    };
    if !seen.proved.is_empty() {
        summary.disclosed_paths = thresholds::disclosed_besides(seen);
        summary.thresholds = thresholds::proven(seen, query);
    }
    summary
}

/// Result of an answer.
pub(crate) struct VerificationResult {
    pub(crate) verdict: Verdict,
    /// `None` if it was refused.
    pub(crate) disclosed: Option<Disclosed>,
    pub(crate) record: DisclosureRecord,
}

/// Data of an answer, accepted or not, for the holder's receipt. It is not stored.
#[derive(Debug, Default)]
pub(crate) struct DisclosureRecord {
    pub(crate) shown: Vec<CredentialSummary>,
    /// Thumbprints (RFC 7638) of the holder keys.
    pub(crate) holder_keys: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query() -> Query {
        let asked =
            serde_json::json!({"credentials": [{"id": "a", "format": "vc+sd-jwt", "meta": {"type_values": [["A"]]}}]});
        Query::parse(&asked).unwrap()
    }

    #[test]
    fn a_verdict_comes_back_from_the_store_as_it_was() {
        let judged = Verdict::on_presentation(&Report::default(), None, &query(), Timestamp::from_unix(7));
        let verdict = judged.verdict;
        assert!(judged.disclosed.is_none() && !verdict.accepted());
        assert_eq!(Verdict::from_stored(&verdict.to_stored().unwrap()), Some(verdict));
        assert_eq!(Verdict::from_stored(r#"{"accepted":true}"#), None);
    }

    #[test]
    fn a_stored_use_is_read_as_it_was_written() {
        for (used, text) in [
            (RecordedUse::Counted { number: 1, of: 2 }, r#"{"number":1,"of":2}"#),
            (RecordedUse::SERIAL, r#"{"serial":true}"#),
        ] {
            assert_eq!(serde_json::to_string(&used).unwrap(), text);
            assert_eq!(serde_json::from_str::<RecordedUse>(text).unwrap(), used);
        }
    }
}
