//! Formatting of the service's responses, as JSON for programs and as text for people.

use std::fmt::Write as _;

use carnet_core::text::displayable;
use carnet_proto::verifier::v1::{
    Check, CheckOutcome, CredentialSummary, HolderRule, IssuerAuthority, IssuerDecision, KeptClaim, ProvedThreshold,
    Redemption, RequestResult, RequestState, StatusMessage, Verdict, proved_threshold::Bound,
};
use carnet_service::wire;
use serde_json::{Value, json};

/// Formats a protobuf timestamp; empty if it is absent or out of range.
pub(super) fn time(at: Option<&prost_types::Timestamp>) -> String {
    at.and_then(|at| wire::from_timestamp(at).ok()).map(|at| at.to_string()).unwrap_or_default()
}

pub(super) fn state(state: i32) -> &'static str {
    match RequestState::try_from(state) {
        Ok(RequestState::Open) => "open",
        Ok(RequestState::Accepted) => "accepted",
        Ok(RequestState::Refused) => "refused",
        Ok(RequestState::Expired) => "expired",
        Ok(RequestState::Erased) => "erased",
        Ok(RequestState::Unspecified) | Err(_) => "unknown",
    }
}

fn outcome(outcome: i32) -> &'static str {
    match CheckOutcome::try_from(outcome) {
        Ok(CheckOutcome::Passed) => "passed",
        Ok(CheckOutcome::Failed) => "failed",
        Ok(CheckOutcome::Tolerated) => "tolerated",
        Ok(CheckOutcome::NotApplicable) => "not_applicable",
        Ok(CheckOutcome::Unspecified) | Err(_) => "unknown",
    }
}

/// Converts a protobuf Struct to JSON; null if it exceeds the limits of [`wire::from_struct`].
pub(super) fn struct_to_json(wire: &prost_types::Struct) -> Value {
    wire::from_struct(wire).map_or(Value::Null, Value::Object)
}

pub(super) fn result(result: &RequestResult) -> Value {
    json!({
        "id": result.id,
        "state": state(result.state),
        "template": result.template,
        "created_at": time(result.created_at.as_ref()),
        "expires_at": time(result.expires_at.as_ref()),
        "verdict": result.verdict.as_ref().map(verdict),
        "kept": result.kept.iter().map(kept).collect::<Vec<_>>(),
        "erased_at": result.erased_at.as_ref().map(|at| time(Some(at))),
    })
}

pub(super) fn verdict(verdict: &Verdict) -> Value {
    json!({
        "accepted": verdict.accepted,
        "reason": verdict.reason,
        "checks": verdict.checks.iter().map(check).collect::<Vec<_>>(),
        "verified_at": time(verdict.verified_at.as_ref()),
        "credentials": verdict.credentials.iter().map(summary).collect::<Vec<_>>(),
        "issuers": verdict.issuers.iter().map(decision).collect::<Vec<_>>(),
        "status_messages": verdict.status_messages.iter().map(message).collect::<Vec<_>>(),
        "holder": verdict.holder.as_ref().map(|rule| json!({"rule": rule.rule, "claims": rule.claims})),
        "redemption": verdict.redemption.as_ref().map(redemption),
    })
}

/// Formats the redeemed use of a voucher: its number and the total, or that a serial identifies it.
fn redemption(used: &Redemption) -> Value {
    if used.of == 0 {
        return json!({"by": "serial", "use": null, "of": null});
    }
    json!({"by": "number", "use": used.number, "of": used.of})
}

/// Formats a decision about an issuer, with the trust list's entry and rule, as JSON.
pub(super) fn decision(decision: &IssuerDecision) -> Value {
    json!({
        "query_id": decision.query_id,
        "accepted": decision.accepted,
        "decided_by": authority(decision.decided_by),
        "credential_type": decision.credential_type,
        "issuer": decision.issuer,
        "rule": decision.rule,
        "meaning": decision.meaning,
        "trust_list": decision.sequence,
        "entry": decision.entry,
        "accreditation": decision.accreditation,
    })
}

fn authority(authority: i32) -> &'static str {
    match IssuerAuthority::try_from(authority) {
        Ok(IssuerAuthority::Configuration) => "configuration",
        Ok(IssuerAuthority::TrustList) => "trust_list",
        Ok(IssuerAuthority::Nobody) => "nobody",
        Ok(IssuerAuthority::Unspecified) | Err(_) => "unknown",
    }
}

/// Formats a decision about an issuer, with the trust list's entry and rule, as text.
pub(super) fn decision_text(decision: &IssuerDecision) -> String {
    let IssuerDecision { credential_type, issuer, rule, meaning, sequence, entry, accreditation, .. } = decision;
    let verdict = if decision.accepted { "accepted" } else { "refused" };
    let credential_type = if credential_type.is_empty() { "A credential" } else { credential_type };
    let issuer = if issuer.is_empty() { "an unlisted issuer" } else { issuer };
    let (credential_type, issuer) = (displayable(credential_type), displayable(issuer));
    let mut text = format!("{credential_type} from {issuer}: {verdict}. {meaning}\n  rule           {rule}\n");
    let by = match (authority(decision.decided_by), sequence) {
        ("trust_list", number) => format!("trust list {number}"),
        ("configuration", _) => "the configuration of this verifier".to_owned(),
        _ => "nobody: neither the configuration nor a valid trust list".to_owned(),
    };
    // Writing to a String does not fail.
    writeln!(text, "  decided by     {by}").ok();
    for (what, value) in [("entry", entry), ("accreditation", accreditation)] {
        if !value.is_empty() {
            writeln!(text, "  {what:<14} {}", displayable(value)).ok();
        }
    }
    text
}

fn check(check: &Check) -> Value {
    json!({
        "name": check.name,
        "outcome": outcome(check.outcome),
        "code": check.code,
        "detail": check.detail,
        "about": check.about,
        "problem_type": check.problem_type,
    })
}

fn summary(summary: &CredentialSummary) -> Value {
    json!({
        "query_id": summary.query_id,
        "credential_type": summary.credential_type,
        "issuer": summary.issuer,
        "format": summary.format,
        "disclosed_paths": summary.disclosed_paths,
        "proved_thresholds": summary.proved_thresholds.iter().map(|proved| Value::from(threshold(proved))).collect::<Vec<_>>(),
    })
}

fn message(message: &StatusMessage) -> Value {
    json!({"query_id": message.query_id, "number": message.number, "text": message.text})
}

/// Formats a threshold, such as `credentialSubject.validUntil >= 2026-11-22`.
fn threshold(proved: &ProvedThreshold) -> String {
    match &proved.bound {
        Some(Bound::AtLeast(bound)) => format!("{} >= {bound}", proved.path),
        Some(Bound::AtMost(bound)) => format!("{} <= {bound}", proved.path),
        None => proved.path.clone(),
    }
}

fn kept(claim: &KeptClaim) -> Value {
    let value = claim.value.clone().map(|value| prost_types::Struct { fields: [("value".to_owned(), value)].into() });
    let value = value.as_ref().map(struct_to_json).and_then(|mut members| members.get_mut("value").map(Value::take));
    json!({
        "query_id": claim.query_id,
        "path": claim.path,
        "value": value,
        "erase_at": time(claim.erase_at.as_ref()),
    })
}

/// Formats a verdict as text, one check per line.
pub(super) fn verdict_text(verdict: &Verdict) -> String {
    let mut text = String::new();
    // Writing to a String does not fail.
    if verdict.accepted {
        writeln!(text, "ACCEPTED at {}", time(verdict.verified_at.as_ref())).ok();
    } else {
        writeln!(text, "REFUSED ({}) at {}", verdict.reason, time(verdict.verified_at.as_ref())).ok();
    }
    for check in &verdict.checks {
        let about = if check.about.is_empty() { String::new() } else { format!(" [{}]", displayable(&check.about)) };
        let why = match (check.code.as_str(), displayable(&check.detail).as_str()) {
            ("", "") => String::new(),
            ("", detail) => format!(": {detail}"),
            (code, detail) => format!(": {code}: {detail}"),
        };
        writeln!(text, "  {:<14} {}{about}{why}", outcome(check.outcome), check.name).ok();
    }
    if let Some(HolderRule { rule, claims }) = &verdict.holder {
        let said = match rule.as_str() {
            "claims" => format!("one person, who shows the same {} in each", displayable(&claims.join(", "))),
            "key" => "one holder key in all".to_owned(),
            "any" => "anybody; not compared".to_owned(),
            other => displayable(other),
        };
        writeln!(text, "  whose credentials: {said}").ok();
    }
    for StatusMessage { query_id, number, text: said } in &verdict.status_messages {
        let about = if query_id.is_empty() { String::new() } else { format!(" [{query_id}]") };
        writeln!(text, "  the issuer's message{about}: {number}: {} (not verified)", displayable(said)).ok();
    }
    for credential in &verdict.credentials {
        let CredentialSummary { credential_type, issuer, format, disclosed_paths, .. } = credential;
        let proved = credential.proved_thresholds.iter().map(threshold);
        let paths: Vec<String> = disclosed_paths.iter().cloned().chain(proved).collect();
        let line = format!("{credential_type} ({format}) from {issuer}; shown: {}", paths.join(", "));
        writeln!(text, "  {}", displayable(&line)).ok();
    }
    text
}
