//! Conversion of formats, epochs, days, claims and offers from and to protobuf.

use carnet_core::{Code, epoch::Epoch, format::CredentialFormat, time::Timestamp};
use carnet_proto::issuer::v1 as proto;
use carnet_service::wire;
use serde_json::{Map, Value};

use crate::{
    error::Error,
    store::offers::{OfferRecord, OfferState},
};

/// Converts a format from its protobuf number; `None` for an unspecified or unknown one.
pub(crate) fn format_from_wire(format: i32) -> Option<CredentialFormat> {
    match proto::CredentialFormat::try_from(format).ok()? {
        proto::CredentialFormat::Unspecified => None,
        proto::CredentialFormat::VcSdJwt => Some(CredentialFormat::VcSdJwt),
        proto::CredentialFormat::DcSdJwt => Some(CredentialFormat::DcSdJwt),
        proto::CredentialFormat::LdpVc => Some(CredentialFormat::LdpVc),
        proto::CredentialFormat::DiVcJcs => Some(CredentialFormat::DiVcJcs),
    }
}

/// Converts a format to its protobuf value.
pub(crate) const fn format_to_wire(format: CredentialFormat) -> proto::CredentialFormat {
    match format {
        CredentialFormat::VcSdJwt => proto::CredentialFormat::VcSdJwt,
        CredentialFormat::DcSdJwt => proto::CredentialFormat::DcSdJwt,
        CredentialFormat::LdpVc => proto::CredentialFormat::LdpVc,
        CredentialFormat::DiVcJcs => proto::CredentialFormat::DiVcJcs,
    }
}

/// Converts an epoch to its protobuf value.
pub(crate) const fn epoch_to_wire(epoch: Epoch) -> proto::ValidityEpoch {
    match epoch {
        Epoch::Day => proto::ValidityEpoch::Day,
        Epoch::Week => proto::ValidityEpoch::Week,
        Epoch::Month => proto::ValidityEpoch::Month,
        Epoch::Quarter => proto::ValidityEpoch::Quarter,
    }
}

/// Converts an optional protobuf timestamp.
///
/// # Errors
/// [`Error::Invalid`] with the name of the field, for a timestamp out of range.
pub(super) fn timestamp_from_wire(
    field: &'static str,
    at: Option<&prost_types::Timestamp>,
) -> Result<Option<Timestamp>, Error> {
    at.map(wire::from_timestamp).transpose().map_err(|problem| Error::invalid(field, problem.to_string()))
}

/// Converts an optional protobuf timestamp that must be the start of a day (UTC).
///
/// # Errors
/// [`Error::Invalid`] with the name of the field.
pub(super) fn day_start_from_wire(
    field: &'static str,
    at: Option<&prost_types::Timestamp>,
) -> Result<Option<Timestamp>, Error> {
    let whole = |at: &Timestamp, nanos: i32| *at == at.start_of_day() && nanos == 0;
    match (timestamp_from_wire(field, at)?, at.map_or(0, |at| at.nanos)) {
        (Some(at), nanos) if !whole(&at, nanos) => Err(Error::invalid(
            field,
            format!(
                "{at} is within a day, and credentials are valid for whole days (UTC). Nothing was stored; give the \
                 start of the first day as valid_from, and the start of the day after the last one as valid_until"
            ),
        )),
        (at, _) => Ok(at),
    }
}

/// Converts the claims of a request.
///
/// # Errors
/// [`Error::Invalid`] if they are missing, too deep, or have a number out of range.
pub(super) fn claims_from_wire(claims: Option<&prost_types::Struct>) -> Result<Map<String, Value>, Error> {
    let claims = claims.ok_or_else(|| Error::invalid("claims", "missing"))?;
    wire::from_struct(claims).map_err(|problem| Error::Invalid {
        reason: if problem.code == Code::TooDeep { "TOO_DEEP" } else { "INVALID_ARGUMENT" },
        field: "claims".to_owned(),
        description: problem.to_string(),
    })
}

/// Converts the record of an offer.
pub(super) fn offer_to_wire(record: &OfferRecord) -> proto::Offer {
    let state = match record.state {
        OfferState::Open => proto::OfferState::Open,
        OfferState::Redeemed => proto::OfferState::Redeemed,
        OfferState::Collected => proto::OfferState::Collected,
        OfferState::Cancelled => proto::OfferState::Cancelled,
        OfferState::Expired => proto::OfferState::Expired,
        OfferState::Locked => proto::OfferState::Locked,
    };
    proto::Offer {
        offer_id: record.offer_id.clone(),
        credential_type: record.credential_type.clone(),
        format: format_to_wire(record.format).into(),
        state: state.into(),
        created_at: Some(wire::to_timestamp(record.created_at)),
        expires_at: Some(wire::to_timestamp(record.expires_at)),
        deferred: record.deferred,
        decision: record.decision.as_ref().map(|decision| proto::OfferDecision {
            released: decision.approve,
            decided_at: Some(wire::to_timestamp(decision.now)),
            decided_by: decision.staff_name.clone(),
            reason: decision.reason.clone(),
        }),
        valid_from: Some(wire::to_timestamp(record.valid_from)),
        valid_until: Some(wire::to_timestamp(record.valid_until)),
        reference: record.reference.clone(),
        created_by: record.created_by.clone(),
    }
}
