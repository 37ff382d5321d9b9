//! Verdicts, which are stored, and disclosed claims, which are not.
//!
//! The two have different types on purpose: a [`Verdict`] has no field for a value, and a [`Disclosed`] cannot be
//! stored: it is neither serialisable nor printable, and is wiped from memory when dropped.

use std::fmt;

use carnet_core::{
    at_least::{Commitment, Direction},
    format::CredentialFormat,
    json,
    query::{Query, commitments_path, path_to_text, values_at},
    receipt::ShownThreshold,
    secure::sd_jwt::{ClaimPath, Step},
    time::Timestamp,
    verify::{Answer, Held, Outcome as CoreOutcome, Report, Seen, Verified},
    wipe,
};
use carnet_spec::Keep;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    grounds::{Ground, Grounds},
    redemption::{Refusal, Use},
};

/// Result of a verification: named checks, codes, and the disclosed paths. Never a claim's value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Verdict {
    accepted: bool,
    reason: String,
    checks: Vec<Check>,
    verified_at: Timestamp,
    credentials: Vec<Summary>,
    /// Decisions about the issuers; empty in early verdicts.
    #[serde(default)]
    grounds: Vec<Ground>,
    /// Use of a voucher that it marked.
    #[serde(default)]
    redeemed: Option<Use>,
    /// Issuers' messages on the credentials; empty in early verdicts.
    #[serde(default)]
    messages: Vec<Message>,
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

/// Message of an issuer on a credential, for staff.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Message {
    pub(crate) query_id: String,
    pub(crate) number: u8,
    pub(crate) text: String,
}

/// One named check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Check {
    pub(crate) name: String,
    pub(crate) about: String,
    pub(crate) outcome: Outcome,
    /// Stable code of a failure, also of a tolerated one; else empty.
    pub(crate) code: String,
    /// Explanation for a person: the failure, or why the check does not apply.
    pub(crate) detail: String,
    /// Problem type URL of a failure; else empty.
    pub(crate) problem_type: String,
}

/// Outcome of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Passed,
    Failed,
    /// Failed, but tolerated by the template's policy.
    Tolerated,
    NotApplicable,
}

/// Credential in an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Summary {
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
    ) -> Judged {
        let taken = Taken {
            shown: report.seen().iter().map(|seen| summary(seen, query)).collect(),
            holder_keys: report.seen().iter().map(|seen| seen.holder.thumbprint()).collect(),
        };
        let holder = query.holder.as_ref().filter(|_| query.asks_for_several());
        let holder = holder.map(|rule| AppliedRule { rule: rule.name().to_owned(), claims: rule.claims() });
        let Some(verified) = verified else {
            let verdict = Self { holder, ..Self::refusing(report, now) };
            return Judged { verdict, disclosed: None, taken };
        };
        let mut disclosed = Disclosed::default();
        for (query_id, held) in verified.into_inner() {
            let documents = held.iter().map(|held| Value::Object(document(held))).collect();
            disclosed.0.insert(query_id, Value::Array(documents));
        }
        let verdict = Self { holder, ..Self::accepting(report, taken.shown.clone(), now) };
        Judged { verdict, disclosed: Some(disclosed), taken }
    }

    /// Returns the verdict on a credential given directly, and its disclosed claims.
    pub(crate) fn on_credential(
        report: &Report,
        verified: Option<Verified<Held>>,
        now: Timestamp,
    ) -> (Self, Option<Disclosed>) {
        let Some(verified) = verified else { return (Self::refusing(report, now), None) };
        let held = verified.get();
        let summary = Summary {
            query_id: String::new(),
            credential_type: held.type_name.clone(),
            issuer: held.credential.issuer().to_owned(),
            format: held.format,
            disclosed_paths: held.disclosed.iter().map(|path| path_to_text(path)).collect(),
            thresholds: Vec::new(),
        };
        (Self::accepting(report, vec![summary], now), Some(Disclosed(document(held))))
    }

    fn accepting(report: &Report, credentials: Vec<Summary>, now: Timestamp) -> Self {
        Self {
            accepted: true,
            reason: String::new(),
            checks: checks(report),
            verified_at: now,
            credentials,
            grounds: Vec::new(),
            redeemed: None,
            messages: messages(report),
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
            grounds: Vec::new(),
            redeemed: None,
            messages: messages(report),
            holder: None,
        }
    }

    /// Adds the decisions about the issuers.
    pub(crate) fn on_grounds(mut self, report: &Report, grounds: Grounds) -> Self {
        self.grounds = grounds.of(report);
        self
    }

    /// Adds the use of a voucher that was marked with it.
    pub(crate) fn using(mut self, used: Use) -> Self {
        let detail = match used.counted() {
            Some((number, of)) => format!("use {number} of {of}"),
            None => "one use, by its serial".to_owned(),
        };
        self.checks.push(redemption(Outcome::Passed, "", detail));
        self.redeemed = Some(used);
        self
    }

    /// Refuses the answer because no use could be marked.
    pub(crate) fn refusing_use(mut self, refusal: Refusal) -> Self {
        self.accepted = false;
        self.reason = refusal.code().to_owned();
        self.credentials = Vec::new();
        self.checks.push(redemption(Outcome::Failed, refusal.code(), refusal.detail().to_owned()));
        self
    }

    /// Returns the use of a voucher that it marked.
    pub(crate) fn redeemed(&self) -> Option<Use> {
        self.redeemed
    }

    /// Returns the holder rule, if several credentials were possible.
    pub(crate) fn holder(&self) -> Option<&AppliedRule> {
        self.holder.as_ref()
    }

    /// Returns the issuers' messages on the credentials.
    pub(crate) fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// Returns the decisions about the issuers.
    pub(crate) fn grounds(&self) -> &[Ground] {
        &self.grounds
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
    pub(crate) fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// Returns the time of the verification.
    pub(crate) fn verified_at(&self) -> Timestamp {
        self.verified_at
    }

    /// Returns the credentials of the answer; empty if it was refused.
    pub(crate) fn credentials(&self) -> &[Summary] {
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

fn checks(report: &Report) -> Vec<Check> {
    let check = |check: &carnet_core::verify::Check| {
        let (outcome, code, detail, problem_type) = match &check.outcome {
            CoreOutcome::Passed => (Outcome::Passed, "", "", ""),
            CoreOutcome::Failed(problem) => {
                (Outcome::Failed, problem.code.as_str(), problem.detail.as_str(), problem.code.problem_type())
            }
            CoreOutcome::Tolerated(problem) => {
                (Outcome::Tolerated, problem.code.as_str(), problem.detail.as_str(), problem.code.problem_type())
            }
            CoreOutcome::NotApplicable(why) => (Outcome::NotApplicable, "", *why, ""),
        };
        Check {
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

fn messages(report: &Report) -> Vec<Message> {
    let message = |message: &carnet_core::verify::Message| Message {
        query_id: message.about.clone(),
        number: message.number,
        text: printable(&message.text),
    };
    report.messages().iter().map(message).collect()
}

/// Builds the check for the marking of a use.
fn redemption(outcome: Outcome, code: &str, detail: String) -> Check {
    let problem_type = if code.is_empty() { "" } else { "about:blank" }.to_owned();
    let name = "redemption".to_owned();
    Check { name, about: String::new(), outcome, code: code.to_owned(), detail, problem_type }
}

/// Sanitises a detail: it may contain untrusted text, which must not be able to redraw a terminal or fill a store.
fn printable(detail: &str) -> String {
    const MOST: usize = 200;
    carnet_core::text::escaped(&detail.chars().take(MOST).collect::<String>())
}

fn summary(seen: &Seen, query: &Query) -> Summary {
    let commitments: Vec<ClaimPath> =
        seen.proved.iter().filter_map(|proved| commitments_path(&proved.path, proved.direction)).collect();
    let is_claim = |path: &&ClaimPath| !commitments.iter().any(|beside| path.starts_with(beside));
    let claims = query.credential(&seen.query_id).map(|asked| asked.claims.as_slice()).unwrap_or_default();
    let thresholds = seen.proved.iter().filter_map(|proved| {
        let mut asked = claims.iter().filter(|claim| claim.path == proved.path);
        let threshold = asked.find_map(|claim| {
            let threshold = claim.threshold.as_ref()?;
            (threshold.direction() == proved.direction && threshold.number() == proved.bound).then_some(threshold)
        })?;
        Some(ShownThreshold::new(&proved.path, threshold))
    });
    Summary {
        query_id: seen.query_id.clone(),
        credential_type: seen.type_name.clone(),
        issuer: seen.issuer.clone(),
        format: seen.format,
        disclosed_paths: seen.disclosed.iter().filter(is_claim).map(|path| path_to_text(path)).collect(),
        thresholds: thresholds.collect(),
    }
}

impl Judged {
    /// See [`Verdict::on_grounds`].
    pub(crate) fn on_grounds(self, report: &Report, grounds: Grounds) -> Self {
        Self { verdict: self.verdict.on_grounds(report, grounds), ..self }
    }
}

/// Result of an answer.
pub(crate) struct Judged {
    pub(crate) verdict: Verdict,
    /// `None` if it was refused.
    pub(crate) disclosed: Option<Disclosed>,
    pub(crate) taken: Taken,
}

/// Data of an answer, accepted or not, for the holder's receipt. It is not stored.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(crate) shown: Vec<Summary>,
    /// Thumbprints (RFC 7638) of the holder keys.
    pub(crate) holder_keys: Vec<String>,
}

/// Returns the presented credential without members that are unique to the copy and carry no information: by the
/// subject's id, or by a commitment, two answers of one person could be linked (EU ARF, OIA_16).
fn document(held: &Held) -> Map<String, Value> {
    let mut document = held.credential.document().clone();
    document.remove("proof");
    let subjects = match document.get_mut("credentialSubject") {
        Some(Value::Array(subjects)) => subjects.iter_mut().filter_map(Value::as_object_mut).collect(),
        Some(Value::Object(subject)) => vec![subject],
        _ => Vec::new(),
    };
    for subject in subjects {
        subject.retain(|name, value| name != "id" && !is_commitments(name, value));
    }
    document
}

/// Recognises an array of commitments by its name and its form (spec/at-least.md 3.1).
fn is_commitments(name: &str, value: &Value) -> bool {
    let named = Direction::ALL.iter().any(|direction| name.ends_with(&direction.commitments_claim("")));
    let commitment = |item: &Value| item.as_str().is_some_and(|text| text.parse::<Commitment>().is_ok());
    named && value.as_array().is_some_and(|items| items.iter().all(commitment))
}

/// Claim that a template says must be kept: the only form in which a value can be stored.
#[derive(PartialEq, Eq)]
pub(crate) struct KeptClaim {
    query_id: String,
    path: String,
    value: Value,
    erase_at: Timestamp,
}

impl KeptClaim {
    pub(crate) fn query_id(&self) -> &str {
        &self.query_id
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn value(&self) -> &Value {
        &self.value
    }

    pub(crate) fn erase_at(&self) -> Timestamp {
        self.erase_at
    }

    /// Serialises the value for the store.
    pub(crate) fn to_stored(&self) -> String {
        self.value.to_string()
    }

    /// Deserialises a claim from the store.
    pub(crate) fn from_stored(query_id: String, path: String, value: &str, erase_at: Timestamp) -> Option<Self> {
        let value = json::parse(value.as_bytes(), json::Limits::DOCUMENT).ok()?;
        Some(Self { query_id, path, value, erase_at })
    }
}

impl Drop for KeptClaim {
    fn drop(&mut self) {
        wipe(&mut self.value);
    }
}

impl fmt::Debug for KeptClaim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptClaim").field("path", &self.path).field("erase_at", &self.erase_at).finish_non_exhaustive()
    }
}

/// Returns the values at a path of a query. Paths of an SD-JWT VC start at the top level; here its claims are in the
/// subject.
fn find<'a>(document: &'a Map<String, Value>, path: &ClaimPath) -> Vec<(ClaimPath, &'a Value)> {
    let found = values_at(document, path);
    if !found.is_empty() {
        return found;
    }
    let below: ClaimPath =
        std::iter::once(Step::Name("credentialSubject".to_owned())).chain(path.iter().cloned()).collect();
    values_at(document, &below)
}

/// Disclosed claims, for clients that watch the request; dropped afterwards.
#[derive(Default)]
pub(crate) struct Disclosed(Map<String, Value>);

impl Disclosed {
    /// Converts the claims to their wire form.
    pub(crate) fn to_struct(&self) -> prost_types::Struct {
        carnet_service::wire::to_struct(&self.0)
    }

    /// Returns the value at a path in the answer to a credential query, if there is exactly one.
    pub(crate) fn one(&self, query_id: &str, path: &ClaimPath) -> Option<&Value> {
        match find(self.only(query_id)?, path).as_slice() {
            [(_, value)] => Some(value),
            _ => None,
        }
    }

    /// Returns all values at a path in the answer to a credential query.
    pub(crate) fn all(&self, query_id: &str, path: &ClaimPath) -> Vec<&Value> {
        let found = self.only(query_id).map(|document| find(document, path)).unwrap_or_default();
        found.into_iter().map(|(_, value)| value).collect()
    }

    /// Returns the end of the credential that answered a query.
    pub(crate) fn valid_until(&self, query_id: &str) -> Option<&str> {
        self.only(query_id)?.get("validUntil")?.as_str()
    }

    fn only(&self, query_id: &str) -> Option<&Map<String, Value>> {
        match self.0.get(query_id)?.as_array()?.as_slice() {
            [Value::Object(document)] => Some(document),
            _ => None,
        }
    }

    /// Returns the claims that a template says must be kept.
    pub(crate) fn keep(&self, keep: &[Keep], now: Timestamp) -> Vec<KeptClaim> {
        let mut kept = Vec::new();
        for wanted in keep {
            let shown = self.0.get(&wanted.credential).and_then(Value::as_array).into_iter().flatten();
            for (path, value) in shown.filter_map(Value::as_object).flat_map(|document| find(document, &wanted.path)) {
                kept.push(KeptClaim {
                    query_id: wanted.credential.clone(),
                    path: path_to_text(&path),
                    value: value.clone(),
                    erase_at: now.plus(i64::from(wanted.days).saturating_mul(carnet_core::day::SECONDS)),
                });
            }
        }
        kept
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

#[cfg(test)]
mod tests {
    use super::*;

    fn query() -> Query {
        let asked =
            serde_json::json!({"credentials": [{"id": "a", "format": "vc+sd-jwt", "meta": {"type_values": [["A"]]}}]});
        Query::parse(&asked).unwrap()
    }

    #[test]
    fn a_detail_cannot_redraw_a_terminal() {
        assert_eq!(printable("a \u{1b}[2J b\u{202e}c"), "a \\u{1b}[2J b\\u{202e}c");
        assert_eq!(printable(&"x".repeat(5_000)).len(), 200);
        assert_eq!(printable("\"name\" at the top: Größe"), "\"name\" at the top: Größe");
    }

    #[test]
    fn what_was_disclosed_does_not_print() {
        let members = serde_json::json!({"a": [{"familyName": "Okonkwo"}]}).as_object().unwrap().clone();
        assert_eq!(format!("{:?}", Disclosed::of(members)), "Disclosed(redacted)");
    }

    #[test]
    fn a_verdict_comes_back_from_the_store_as_it_was() {
        let judged = Verdict::on_presentation(&Report::default(), None, &query(), Timestamp::from_unix(7));
        let verdict = judged.verdict;
        assert!(judged.disclosed.is_none() && !verdict.accepted());
        assert_eq!(Verdict::from_stored(&verdict.to_stored().unwrap()), Some(verdict));
        assert_eq!(Verdict::from_stored(r#"{"accepted":true}"#), None);
    }
}
