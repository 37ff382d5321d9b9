//! Verification results, as stored. A [`Verdict`] cannot contain claim values; [`DisclosedClaims`] contains them and is
//! not stored.

use carnet_core::{
    format::CredentialFormat,
    query::{Query, path_to_text},
    receipt::DisclosedThreshold,
    time::Timestamp,
    verify::{
        PresentedCredential, VerificationOutcome as CoreOutcome, VerificationReport, Verified, VerifiedCredential,
        VerifiedCredentials,
    },
};
use serde::{Deserialize, Serialize};

use crate::{
    decisions::{TrustDecision, TrustDecisions},
    disclosed::DisclosedClaims,
    status_messages::StatusMessage,
    thresholds,
    untrusted_text::sanitise_detail,
};

/// Result of a verification: named checks, codes, and the disclosed paths, without claim values.
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
    /// Use of a voucher that the presentation redeemed.
    #[serde(default)]
    redeemed: Option<RecordedUse>,
    /// Issuers' messages about the credentials; empty in early verdicts.
    #[serde(default)]
    messages: Vec<StatusMessage>,
    /// Holder rule, if several credentials were possible; `None` in early verdicts.
    #[serde(default)]
    holder: Option<AppliedHolderRule>,
}

/// Holder rule that was applied (spec/protocol.md 4.10).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AppliedHolderRule {
    /// `claims`, `key` or `any`.
    pub(crate) rule: String,
    /// Claims whose values must be equal, by their paths below the subject.
    pub(crate) claims: Vec<String>,
}

/// Named check and its outcome, as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckRecord {
    /// Name of the check.
    pub(crate) name: String,
    /// Subject of the check, such as a credential query id; empty: none.
    pub(crate) about: String,
    pub(crate) outcome: CheckOutcome,
    /// Stable code of a failure, including a tolerated one; otherwise empty.
    pub(crate) code: String,
    /// Description for people: of the failure, or why the check is not applicable.
    pub(crate) detail: String,
    /// Problem type URL of a failure; otherwise empty.
    pub(crate) problem_type: String,
}

/// Outcome of a check, as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CheckOutcome {
    Passed,
    Failed,
    /// Failed, but tolerated by the policy of the template.
    Tolerated,
    NotApplicable,
}

impl CheckRecord {
    /// Creates a passed check of the verifier itself, in addition to those of the core library.
    pub(crate) fn passed(name: &str, detail: String) -> Self {
        let (about, code, problem_type) = (String::new(), String::new(), String::new());
        Self { name: name.to_owned(), about, outcome: CheckOutcome::Passed, code, detail, problem_type }
    }

    /// Creates a failed check of the verifier itself, in addition to those of the core library.
    pub(crate) fn failed(name: &str, code: &str, detail: &str) -> Self {
        Self {
            outcome: CheckOutcome::Failed,
            code: code.to_owned(),
            problem_type: "about:blank".to_owned(),
            ..Self::passed(name, detail.to_owned())
        }
    }
}

/// Use of a voucher that an accepted presentation redeemed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub(crate) enum RecordedUse {
    /// Use identified by its number, with the total.
    Counted { number: u32, of: u32 },
    /// Use identified by a serial. The verifier does not know the number or the total.
    Serial { serial: bool },
}

impl RecordedUse {
    /// Use identified by a serial.
    pub(crate) const BY_SERIAL: Self = Self::Serial { serial: true };

    /// Returns the number of the use and the total, if known.
    pub(crate) const fn number_and_total(self) -> Option<(u32, u32)> {
        match self {
            Self::Counted { number, of } => Some((number, of)),
            Self::Serial { .. } => None,
        }
    }
}

/// Credential in a presentation: type, issuer, format, disclosed paths and proved thresholds, without values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CredentialSummary {
    pub(crate) query_id: String,
    pub(crate) credential_type: String,
    pub(crate) issuer: String,
    pub(crate) format: CredentialFormat,
    /// Paths of the disclosed claims, without commitments to values that are not disclosed.
    pub(crate) disclosed_paths: Vec<String>,
    /// Thresholds of the query that the credential proved.
    #[serde(default)]
    pub(crate) thresholds: Vec<DisclosedThreshold>,
}

impl Verdict {
    /// Creates the result for a presentation, with its disclosed claims, and the data for the receipt. It is an
    /// acceptance if `verified` is given. The decisions about the issuers are added later.
    pub(crate) fn for_presentation(
        report: &VerificationReport,
        verified: Option<Verified<VerifiedCredentials>>,
        query: &Query,
        now: Timestamp,
    ) -> VerificationResult {
        let record = DisclosureRecord {
            credentials: report.presented_credentials().iter().map(|seen| summary(seen, query)).collect(),
            holder_keys: report.presented_credentials().iter().map(|seen| seen.holder_key.thumbprint()).collect(),
        };
        let holder = query.holder_rule.as_ref().filter(|_| query.allows_several_credentials());
        let holder = holder.map(|rule| AppliedHolderRule { rule: rule.name().to_owned(), claims: rule.claim_texts() });
        let Some(verified) = verified else {
            let verdict = Self { holder, ..Self::refusing(report, now) };
            return VerificationResult { verdict, disclosed: None, record };
        };
        let mut disclosed = DisclosedClaims::default();
        for (query_id, held) in verified.into_inner() {
            disclosed.insert(query_id, &held);
        }
        let verdict = Self { holder, ..Self::accepting(report, record.credentials.clone(), now) };
        VerificationResult { verdict, disclosed: Some(disclosed), record }
    }

    /// Creates the result for a credential without a presentation, with its disclosed claims if it is accepted.
    pub(crate) fn for_credential(
        report: &VerificationReport,
        verified: Option<Verified<VerifiedCredential>>,
        now: Timestamp,
    ) -> (Self, Option<DisclosedClaims>) {
        let Some(verified) = verified else { return (Self::refusing(report, now), None) };
        let held = verified.get();
        let summary = CredentialSummary {
            query_id: String::new(),
            credential_type: held.type_name.clone(),
            issuer: held.credential.issuer().to_owned(),
            format: held.format,
            disclosed_paths: held.disclosed_paths.iter().map(|path| path_to_text(path)).collect(),
            thresholds: Vec::new(),
        };
        (Self::accepting(report, vec![summary], now), Some(DisclosedClaims::from_credential(held)))
    }

    fn accepting(report: &VerificationReport, credentials: Vec<CredentialSummary>, now: Timestamp) -> Self {
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

    fn refusing(report: &VerificationReport, now: Timestamp) -> Self {
        // A report without a failure and without a verified value would be a bug in core: an unknown result is never
        // valid.
        let reason = report.first_failure().map_or("unknown_format", |problem| problem.code.as_str()).to_owned();
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
    pub(crate) fn with_decisions(mut self, report: &VerificationReport, decisions: TrustDecisions) -> Self {
        self.decisions = decisions.for_report(report);
        self
    }

    /// Sets the redeemed use of a voucher, and adds its check.
    pub(crate) fn with_use(mut self, used: RecordedUse, check: CheckRecord) -> Self {
        self.checks.push(check);
        self.redeemed = Some(used);
        self
    }

    /// Turns an accepted result into a refusal, for a reason outside of the presentation, and adds its check.
    pub(crate) fn refuse_with(mut self, check: CheckRecord) -> Self {
        self.accepted = false;
        self.reason.clone_from(&check.code);
        self.credentials = Vec::new();
        self.checks.push(check);
        self
    }

    /// Returns the redeemed use of a voucher.
    pub(crate) fn redeemed_use(&self) -> Option<RecordedUse> {
        self.redeemed
    }

    /// Returns the applied holder rule (spec/protocol.md 4.10); `None` unless the query asks for several credentials.
    pub(crate) fn holder_rule(&self) -> Option<&AppliedHolderRule> {
        self.holder.as_ref()
    }

    /// Returns the issuers' messages about the credentials.
    pub(crate) fn messages(&self) -> &[StatusMessage] {
        &self.messages
    }

    /// Returns the decisions about the issuers.
    pub(crate) fn decisions(&self) -> &[TrustDecision] {
        &self.decisions
    }

    /// Returns whether every check passed, was tolerated or was not applicable.
    pub(crate) fn accepted(&self) -> bool {
        self.accepted
    }

    /// Returns the code of the failure that caused the refusal; empty if accepted.
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

    /// Returns the credentials of the presentation; empty if it was refused.
    pub(crate) fn credentials(&self) -> &[CredentialSummary] {
        &self.credentials
    }

    /// Returns the result as JSON text, for the store.
    pub(crate) fn to_json(&self) -> Option<String> {
        serde_json::to_string(self).ok()
    }

    /// Parses a result from the store; `None` if it is malformed.
    pub(crate) fn from_json(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

fn checks(report: &VerificationReport) -> Vec<CheckRecord> {
    let check = |check: &carnet_core::verify::VerificationCheck| {
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
            about: check.query_id.clone(),
            outcome,
            code: code.to_owned(),
            detail: sanitise_detail(detail),
            problem_type: problem_type.to_owned(),
        }
    };
    report.checks().iter().map(check).collect()
}

fn summary(seen: &PresentedCredential, query: &Query) -> CredentialSummary {
    let mut summary = CredentialSummary {
        query_id: seen.query_id.clone(),
        credential_type: seen.type_name.clone(),
        issuer: seen.issuer.clone(),
        format: seen.format,
        disclosed_paths: seen.disclosed_paths.iter().map(|path| path_to_text(path)).collect(),
        thresholds: Vec::new(),
    };
    if !seen.proved_thresholds.is_empty() {
        summary.disclosed_paths = thresholds::disclosed_without_commitments(seen);
        summary.thresholds = thresholds::proved_thresholds(seen, query);
    }
    summary
}

/// Result of the verification of a presentation, with the data that is not stored.
pub(crate) struct VerificationResult {
    pub(crate) verdict: Verdict,
    /// Disclosed claims; `None` if refused.
    pub(crate) disclosed: Option<DisclosedClaims>,
    /// Data for the receipt.
    pub(crate) record: DisclosureRecord,
}

/// Disclosures of a presentation, accepted or not, for the receipt. Not stored.
#[derive(Debug, Default)]
pub(crate) struct DisclosureRecord {
    /// Credentials of the presentation.
    pub(crate) credentials: Vec<CredentialSummary>,
    /// Thumbprints (RFC 7638) of the keys that presented.
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
        let judged = Verdict::for_presentation(&VerificationReport::default(), None, &query(), Timestamp::from_unix(7));
        let verdict = judged.verdict;
        assert!(judged.disclosed.is_none() && !verdict.accepted());
        assert_eq!(Verdict::from_json(&verdict.to_json().unwrap()), Some(verdict));
        assert_eq!(Verdict::from_json(r#"{"accepted":true}"#), None);
    }

    #[test]
    fn a_stored_use_is_read_as_it_was_written() {
        for (used, text) in [
            (RecordedUse::Counted { number: 1, of: 2 }, r#"{"number":1,"of":2}"#),
            (RecordedUse::BY_SERIAL, r#"{"serial":true}"#),
        ] {
            assert_eq!(serde_json::to_string(&used).unwrap(), text);
            assert_eq!(serde_json::from_str::<RecordedUse>(text).unwrap(), used);
        }
    }
}
