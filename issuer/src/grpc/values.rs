//! Conversion of formats and epochs from and to protobuf.

use carnet_core::{epoch::Epoch, format::CredentialFormat};
use carnet_proto::issuer::v1 as proto;

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
