//! Verdicts, which are kept, and what was disclosed, which is not.
//!
//! The two are different types on purpose: a [`Verdict`] has no place for a value, and a [`Disclosed`] has no way
//! to be stored. It does not serialise, does not print, and wipes itself when it is dropped.

use std::fmt;

use carnet_core::{
    at_least::{Commitment, Direction},
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

/// What came of verifying: named checks, codes, and the paths that were shown. Never a claim's value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Verdict {
    accepted: bool,
    reason: String,
    checks: Vec<Check>,
    verified_at: Timestamp,
    credentials: Vec<Summary>,
    /// Why each issuer was accepted or refused. Verdicts of before it was kept have none.
    #[serde(default)]
    grounds: Vec<Ground>,
    /// Which use of an entitlement it marked.
    #[serde(default)]
    redeemed: Option<Use>,
    /// What issuers have to say on the credentials. Verdicts of before they were heard have none.
    #[serde(default)]
    messages: Vec<Message>,
    /// Holder rule, where there could be several credentials. Older verdicts have none.
    #[serde(default)]
    holder: Option<AppliedRule>,
}

/// The holder rule by which credentials were held together (spec/protocol.md 4.10).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AppliedRule {
    /// `claims`, `key` or `any`.
    pub(crate) rule: String,
    /// The claims that have to be equal, below the subject.
    pub(crate) claims: Vec<String>,
}

/// An issuer's message on a credential, for staff.
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
    /// The stable code of a failure, also of a tolerated one; else empty.
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
    /// It failed, and the template's policy lets that pass.
    Tolerated,
    NotApplicable,
}

/// Which credential answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Summary {
    pub(crate) query_id: String,
    pub(crate) credential_type: String,
    pub(crate) issuer: String,
    pub(crate) format: String,
    pub(crate) disclosed_paths: Vec<String>,
    /// The thresholds that were proved of claims whose values stayed hidden.
    #[serde(default)]
    pub(crate) thresholds: Vec<ShownThreshold>,
}

impl Verdict {
    /// The verdict on an answer to a request, what it disclosed, and what was taken of it either way.
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

    /// The verdict on a credential that was handed over directly, and what it disclosed.
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
            format: held.format.clone(),
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
        // A report without a failure and without a verified value would be a fault of core's: unknown is never valid.
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

    /// The same with why each issuer was accepted or refused.
    pub(crate) fn on_grounds(mut self, report: &Report, grounds: Grounds) -> Self {
        self.grounds = grounds.of(report);
        self
    }

    /// The same with the use of an entitlement that was marked with it.
    pub(crate) fn using(mut self, used: Use) -> Self {
        let detail = match used.counted() {
            Some((number, of)) => format!("use {number} of {of}"),
            None => "one use, by its serial".to_owned(),
        };
        self.checks.push(redemption(Outcome::Passed, "", detail));
        self.redeemed = Some(used);
        self
    }

    /// The same, refused because no use could be marked.
    pub(crate) fn refusing_use(mut self, refusal: Refusal) -> Self {
        self.accepted = false;
        self.reason = refusal.code().to_owned();
        self.credentials = Vec::new();
        self.checks.push(redemption(Outcome::Failed, refusal.code(), refusal.detail().to_owned()));
        self
    }

    /// Which use of an entitlement it marked.
    pub(crate) fn redeemed(&self) -> Option<Use> {
        self.redeemed
    }

    /// The holder rule, where there could be several credentials.
    pub(crate) fn holder(&self) -> Option<&AppliedRule> {
        self.holder.as_ref()
    }

    /// What issuers have to say on the credentials.
    pub(crate) fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// Why each issuer was accepted or refused.
    pub(crate) fn grounds(&self) -> &[Ground] {
        &self.grounds
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

/// The check of whether a use could be marked.
fn redemption(outcome: Outcome, code: &str, detail: String) -> Check {
    let problem_type = if code.is_empty() { "" } else { "about:blank" }.to_owned();
    let name = "redemption".to_owned();
    Check { name, about: String::new(), outcome, code: code.to_owned(), detail, problem_type }
}

/// A detail can name what came from outside, which must not be able to redraw a terminal or fill a store.
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
        format: seen.format.clone(),
        disclosed_paths: seen.disclosed.iter().filter(is_claim).map(|path| path_to_text(path)).collect(),
        thresholds: thresholds.collect(),
    }
}

impl Judged {
    /// [`Verdict::on_grounds`]
    pub(crate) fn on_grounds(self, report: &Report, grounds: Grounds) -> Self {
        Self { verdict: self.verdict.on_grounds(report, grounds), ..self }
    }
}

/// What came of an answer.
pub(crate) struct Judged {
    pub(crate) verdict: Verdict,
    /// None if it was refused.
    pub(crate) disclosed: Option<Disclosed>,
    pub(crate) taken: Taken,
}

/// What this verifier has seen of an answer, accepted or not, for the holder's receipt. It is not stored.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(crate) shown: Vec<Summary>,
    /// The thumbprints (RFC 7638) of the keys that presented.
    pub(crate) holder_keys: Vec<String>,
}

/// The credential as it was shown, without what is unique to this copy and says nothing: two answers of one
/// person could be joined by the subject's id, or by a commitment (EU ARF, OIA_16).
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

/// An array of commitments by its name and its form (spec/at-least.md 3.1).
fn is_commitments(name: &str, value: &Value) -> bool {
    let named = Direction::ALL.iter().any(|direction| name.ends_with(&direction.commitments_claim("")));
    let commitment = |item: &Value| item.as_str().is_some_and(|text| text.parse::<Commitment>().is_ok());
    named && value.as_array().is_some_and(|items| items.iter().all(commitment))
}

/// A claim that a template says must be kept: the one form in which a value can be stored.
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

    /// The form in which the value is kept.
    pub(crate) fn to_stored(&self) -> String {
        self.value.to_string()
    }

    /// From the form in which it is kept.
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

/// The values at a path of a query. Those of an SD-JWT VC begin at the top, and here its claims stand in the subject.
fn find<'a>(document: &'a Map<String, Value>, path: &ClaimPath) -> Vec<(ClaimPath, &'a Value)> {
    let found = values_at(document, path);
    if !found.is_empty() {
        return found;
    }
    let below: ClaimPath =
        std::iter::once(Step::Name("credentialSubject".to_owned())).chain(path.iter().cloned()).collect();
    values_at(document, &below)
}

/// What a holder showed: for the eyes of those who watch, and gone after them.
#[derive(Default)]
pub(crate) struct Disclosed(Map<String, Value>);

impl Disclosed {
    /// For the wire, and for nothing else.
    pub(crate) fn to_struct(&self) -> prost_types::Struct {
        carnet_service::wire::to_struct(&self.0)
    }

    /// The value at a path of a credential query's answer, if there is exactly one.
    pub(crate) fn one(&self, query_id: &str, path: &ClaimPath) -> Option<&Value> {
        match find(self.only(query_id)?, path).as_slice() {
            [(_, value)] => Some(value),
            _ => None,
        }
    }

    /// Every value at a path of a credential query's answer.
    pub(crate) fn all(&self, query_id: &str, path: &ClaimPath) -> Vec<&Value> {
        let found = self.only(query_id).map(|document| find(document, path)).unwrap_or_default();
        found.into_iter().map(|(_, value)| value).collect()
    }

    /// When the credential ends that answered a query.
    pub(crate) fn valid_until(&self, query_id: &str) -> Option<&str> {
        self.only(query_id)?.get("validUntil")?.as_str()
    }

    fn only(&self, query_id: &str) -> Option<&Map<String, Value>> {
        match self.0.get(query_id)?.as_array()?.as_slice() {
            [Value::Object(document)] => Some(document),
            _ => None,
        }
    }

    /// What a template says must be kept of it, and nothing else.
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
