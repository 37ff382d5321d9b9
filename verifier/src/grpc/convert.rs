//! Conversions between protobuf and domain types.

use std::collections::HashMap;

use carnet_core::{at_least::Direction, receipt::DisclosedThreshold, time::Timestamp};
use carnet_proto::verifier::v1 as proto;
use carnet_service::wire;

use crate::{
    decisions::{DecidedBy, TrustDecision},
    disclosed::{DisclosedClaims, KeptClaim},
    holder_details::detail_for_holder,
    request::{RequestState, StoredRequest},
    results::WatchedResult,
    status_messages::StatusMessage,
    verdicts::{AppliedHolderRule, CheckOutcome, CheckRecord, CredentialSummary, Verdict},
    verification::VpToken,
};

pub(super) fn vp_token(wire: HashMap<String, proto::PresentationList>) -> VpToken {
    wire.into_iter().map(|(id, list)| (id, list.presentations)).collect()
}

pub(super) fn check(check: &CheckRecord) -> proto::Check {
    let outcome = match check.outcome {
        CheckOutcome::Passed => proto::CheckOutcome::Passed,
        CheckOutcome::Failed => proto::CheckOutcome::Failed,
        CheckOutcome::Tolerated => proto::CheckOutcome::Tolerated,
        CheckOutcome::NotApplicable => proto::CheckOutcome::NotApplicable,
    };
    proto::Check {
        name: check.name.clone(),
        outcome: outcome.into(),
        code: check.code.clone(),
        detail: check.detail.clone(),
        about: check.about.clone(),
        problem_type: check.problem_type.clone(),
    }
}

/// Converts a check for the holder, without details about fetches.
pub(super) fn check_for_holder(shown: &CheckRecord) -> proto::Check {
    proto::Check { detail: detail_for_holder(shown), ..check(shown) }
}

fn summary(summary: &CredentialSummary) -> proto::CredentialSummary {
    proto::CredentialSummary {
        query_id: summary.query_id.clone(),
        credential_type: summary.credential_type.clone(),
        issuer: summary.issuer.clone(),
        format: summary.format.to_string(),
        disclosed_paths: summary.disclosed_paths.clone(),
        proved_thresholds: summary.thresholds.iter().filter_map(threshold).collect(),
    }
}

/// Converts a threshold; `None` if it is invalid.
fn threshold(shown: &DisclosedThreshold) -> Option<proto::ProvedThreshold> {
    let threshold = shown.threshold().ok()?;
    let bound = threshold.bound().as_str().map_or_else(|| threshold.bound().to_string(), str::to_owned);
    let bound = match threshold.direction() {
        Direction::AtLeast => proto::proved_threshold::Bound::AtLeast(bound),
        Direction::AtMost => proto::proved_threshold::Bound::AtMost(bound),
    };
    Some(proto::ProvedThreshold { path: shown.path().to_owned(), bound: Some(bound) })
}

fn kept(claim: &KeptClaim) -> proto::KeptClaim {
    proto::KeptClaim {
        query_id: claim.query_id().to_owned(),
        path: claim.path().to_owned(),
        value: Some(wire::to_value(claim.value())),
        erase_at: Some(wire::to_timestamp(claim.erase_at())),
    }
}

pub(super) fn verdict(verdict: &Verdict) -> proto::Verdict {
    proto::Verdict {
        accepted: verdict.accepted(),
        reason: verdict.reason().to_owned(),
        checks: verdict.checks().iter().map(check).collect(),
        verified_at: Some(wire::to_timestamp(verdict.verified_at())),
        credentials: verdict.credentials().iter().map(summary).collect(),
        issuers: verdict.decisions().iter().map(decision).collect(),
        redemption: verdict.redeemed_use().map(|used| {
            let (number, of) = used.number_and_total().unwrap_or_default();
            proto::Redemption { number, of }
        }),
        status_messages: verdict.messages().iter().map(message).collect(),
        holder: verdict
            .holder_rule()
            .map(|AppliedHolderRule { rule, claims }| proto::HolderRule { rule: rule.clone(), claims: claims.clone() }),
    }
}

fn message(message: &StatusMessage) -> proto::StatusMessage {
    proto::StatusMessage {
        query_id: message.query_id.clone(),
        number: message.number.into(),
        text: message.text.clone(),
    }
}

fn decision(decision: &TrustDecision) -> proto::IssuerDecision {
    let decided_by = match decision.decided_by {
        DecidedBy::Configuration => proto::IssuerAuthority::Configuration,
        DecidedBy::TrustList => proto::IssuerAuthority::TrustList,
        DecidedBy::Nobody => proto::IssuerAuthority::Nobody,
    };
    proto::IssuerDecision {
        query_id: decision.query_id.clone(),
        accepted: decision.accepted,
        decided_by: decided_by.into(),
        credential_type: decision.credential_type.clone(),
        issuer: decision.issuer.clone(),
        rule: decision.rule.clone(),
        meaning: decision.meaning.clone(),
        sequence: decision.sequence,
        entry: decision.entry.clone(),
        accreditation: decision.accreditation.clone(),
    }
}

pub(super) fn request_result(
    request: &StoredRequest,
    kept_claims: &[KeptClaim],
    now: Timestamp,
) -> proto::RequestResult {
    let state = match request.state(now) {
        RequestState::Open => proto::RequestState::Open,
        RequestState::Accepted => proto::RequestState::Accepted,
        RequestState::Refused => proto::RequestState::Refused,
        RequestState::Expired => proto::RequestState::Expired,
        RequestState::Erased => proto::RequestState::Erased,
    };
    proto::RequestResult {
        id: request.id.as_str().to_owned(),
        state: state.into(),
        template: request.template.clone(),
        created_at: Some(wire::to_timestamp(request.created_at)),
        expires_at: Some(wire::to_timestamp(request.expires_at)),
        verdict: request.verdict.as_ref().map(verdict),
        kept: kept_claims.iter().map(kept).collect(),
        erased_at: request.erased_at.map(wire::to_timestamp),
    }
}

pub(super) fn disclosed(disclosed: &DisclosedClaims) -> prost_types::Struct {
    wire::to_struct(disclosed.as_map())
}

pub(super) fn watch_response(watched: &WatchedResult) -> proto::WatchResultResponse {
    proto::WatchResultResponse {
        result: Some(request_result(&watched.request, &[], watched.read_at)),
        disclosed: watched.disclosed.as_deref().map(disclosed),
    }
}
