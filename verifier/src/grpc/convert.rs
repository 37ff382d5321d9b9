//! Conversions between protobuf and domain types.

use std::collections::HashMap;

use carnet_core::{Code, at_least::Direction, receipt::DisclosedThreshold, time::Timestamp};
use carnet_proto::verifier::v1 as proto;
use carnet_service::wire;

use crate::{
    decisions::{DecidedBy, TrustDecision},
    disclosed::{DisclosedClaims, KeptClaim},
    error::Error,
    holder_details::detail_for_holder,
    request::{RequestState, StoredRequest},
    requests::{CreateRequest, CreatedRequest, QuerySource},
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

/// Parses the parameters of a request to be created.
pub(super) fn create_request(call: proto::CreateRequestRequest) -> Result<CreateRequest, Error> {
    let proto::CreateRequestRequest { request_id, what, ttl_seconds } = call;
    let source = match what {
        Some(proto::create_request_request::What::Template(id)) => QuerySource::Template(id),
        Some(proto::create_request_request::What::Query(query)) => QuerySource::Query {
            dcql: parse_query_struct(query.dcql_query.as_ref(), "query.dcql_query")?,
            purpose: query.purpose.into_iter().collect(),
            legal_basis: query.legal_basis.into_iter().collect(),
            retention: query.retention.into_iter().collect(),
            intended_use: query.intended_use,
            allow_unknown: query.allow_unknown,
            freshness_seconds_max: Some(query.freshness_seconds_max).filter(|seconds| *seconds > 0),
        },
        None => return Err(Error::invalid("QUERY_MISSING", "what", "must be a template or a query")),
    };
    Ok(CreateRequest { request_id, source, ttl_seconds })
}

/// Converts a created request.
pub(super) fn created_request(created: CreatedRequest) -> proto::CreateRequestResponse {
    proto::CreateRequestResponse {
        id: created.id.as_str().to_owned(),
        request_uri: created.link,
        openid_request_uri: created.openid_link,
        expires_at: Some(wire::to_timestamp(created.expires_at)),
    }
}

/// Parses a DCQL query; `field` is its name in the call.
pub(super) fn parse_query_struct(
    wire: Option<&prost_types::Struct>,
    field: &'static str,
) -> Result<serde_json::Map<String, serde_json::Value>, Error> {
    let wire = wire.ok_or_else(|| Error::invalid("QUERY_MISSING", field, "must be a DCQL query"))?;
    wire::from_struct(wire).map_err(|problem| {
        let reason = if problem.code == Code::TooDeep { "TOO_DEEP" } else { "QUERY_MALFORMED" };
        Error::invalid(reason, field, problem.detail)
    })
}
