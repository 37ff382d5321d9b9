//! Formats of secured credentials.

use carnet_core::keys::Algorithm;
use carnet_proto::issuer::v1 as proto;

use crate::error::Error;

/// Format of a secured credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Format {
    /// VCDM 2.0 as SD-JWT.
    VcSdJwt,
    /// SD-JWT VC.
    DcSdJwt,
    /// VCDM 2.0 with eddsa-rdfc-2022.
    LdpVc,
    /// VCDM 2.0 with eddsa-jcs-2022, private to Carnet.
    DiVcJcs,
}

impl Format {
    pub(crate) const ALL: [Self; 4] = [Self::VcSdJwt, Self::DcSdJwt, Self::LdpVc, Self::DiVcJcs];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::VcSdJwt => "vc+sd-jwt",
            Self::DcSdJwt => "dc+sd-jwt",
            Self::LdpVc => "ldp_vc",
            Self::DiVcJcs => "di_vc+jcs",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == text)
    }

    pub(crate) fn from_wire(format: i32) -> Option<Self> {
        match proto::CredentialFormat::try_from(format).ok()? {
            proto::CredentialFormat::Unspecified => None,
            proto::CredentialFormat::VcSdJwt => Some(Self::VcSdJwt),
            proto::CredentialFormat::DcSdJwt => Some(Self::DcSdJwt),
            proto::CredentialFormat::LdpVc => Some(Self::LdpVc),
            proto::CredentialFormat::DiVcJcs => Some(Self::DiVcJcs),
        }
    }

    pub(crate) const fn to_wire(self) -> proto::CredentialFormat {
        match self {
            Self::VcSdJwt => proto::CredentialFormat::VcSdJwt,
            Self::DcSdJwt => proto::CredentialFormat::DcSdJwt,
            Self::LdpVc => proto::CredentialFormat::LdpVc,
            Self::DiVcJcs => proto::CredentialFormat::DiVcJcs,
        }
    }

    /// Refuses a format that this program cannot issue with this key.
    pub(crate) fn require_available(self, algorithm: Algorithm) -> Result<(), Error> {
        let why = match (self, algorithm) {
            (Self::VcSdJwt | Self::DcSdJwt, _) => return Ok(()),
            (Self::LdpVc | Self::DiVcJcs, Algorithm::Es256) => "its key is ES256, and this format needs Ed25519",
            (Self::DiVcJcs, Algorithm::EdDsa) => return Ok(()),
            #[cfg(feature = "jsonld")]
            (Self::LdpVc, Algorithm::EdDsa) => return Ok(()),
            #[cfg(not(feature = "jsonld"))]
            (Self::LdpVc, Algorithm::EdDsa) => "it was built without the feature `jsonld`",
        };
        Err(Error::FormatUnavailable { format: self.as_str(), why })
    }
}

/// Returns `<type>_<format>`, the credential_configuration_id.
pub(crate) fn configuration_id(credential_type: &str, format: Format) -> String {
    format!("{credential_type}_{}", format.as_str())
}
