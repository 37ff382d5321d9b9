//! Credential formats on the wire, and those that this program can issue.

use carnet_core::{format::CredentialFormat, keys::Algorithm};
use carnet_proto::issuer::v1 as proto;

use crate::error::Error;

/// Reads a format of a message; `None` for an unspecified or unknown one.
pub(crate) fn from_wire(format: i32) -> Option<CredentialFormat> {
    match proto::CredentialFormat::try_from(format).ok()? {
        proto::CredentialFormat::Unspecified => None,
        proto::CredentialFormat::VcSdJwt => Some(CredentialFormat::VcSdJwt),
        proto::CredentialFormat::DcSdJwt => Some(CredentialFormat::DcSdJwt),
        proto::CredentialFormat::LdpVc => Some(CredentialFormat::LdpVc),
        proto::CredentialFormat::DiVcJcs => Some(CredentialFormat::DiVcJcs),
    }
}

/// Converts a format for a message.
pub(crate) const fn to_wire(format: CredentialFormat) -> proto::CredentialFormat {
    match format {
        CredentialFormat::VcSdJwt => proto::CredentialFormat::VcSdJwt,
        CredentialFormat::DcSdJwt => proto::CredentialFormat::DcSdJwt,
        CredentialFormat::LdpVc => proto::CredentialFormat::LdpVc,
        CredentialFormat::DiVcJcs => proto::CredentialFormat::DiVcJcs,
    }
}

/// Refuses a format that this program cannot issue with a key of this algorithm.
pub(crate) fn require_available(format: CredentialFormat, algorithm: Algorithm) -> Result<(), Error> {
    use CredentialFormat::{DcSdJwt, DiVcJcs, LdpVc, VcSdJwt};
    let why = match (format, algorithm) {
        (VcSdJwt | DcSdJwt, _) => return Ok(()),
        (LdpVc | DiVcJcs, Algorithm::Es256) => "its key is ES256, and this format needs Ed25519",
        (DiVcJcs, Algorithm::EdDsa) => return Ok(()),
        #[cfg(feature = "jsonld")]
        (LdpVc, Algorithm::EdDsa) => return Ok(()),
        #[cfg(not(feature = "jsonld"))]
        (LdpVc, Algorithm::EdDsa) => "it was built without the feature `jsonld`",
    };
    Err(Error::FormatUnavailable { format: format.as_str(), why })
}

/// Returns `<type>_<format>`, the credential_configuration_id.
pub(crate) fn configuration_id(credential_type: &str, format: CredentialFormat) -> String {
    format!("{credential_type}_{format}")
}
