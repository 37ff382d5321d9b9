//! Formats of secured credentials (spec/protocol.md 2.1).

use std::fmt;

use serde::{Deserialize, Serialize};

/// Format of a secured credential, identified as in OpenID4VCI and OpenID4VP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum CredentialFormat {
    /// VCDM 2.0 as SD-JWT (VC-JOSE-COSE section 3.2).
    #[serde(rename = "vc+sd-jwt")]
    VcSdJwt,
    /// SD-JWT VC.
    #[serde(rename = "dc+sd-jwt")]
    DcSdJwt,
    /// VCDM 2.0 with an embedded proof over RDF (Data Integrity 1.0).
    #[serde(rename = "ldp_vc")]
    LdpVc,
    /// VCDM 2.0 with an embedded proof over JCS; the identifier is private to Carnet.
    #[serde(rename = "di_vc+jcs")]
    DiVcJcs,
}

impl CredentialFormat {
    /// All formats, most preferred first.
    pub const ALL: [Self; 4] = [Self::VcSdJwt, Self::DcSdJwt, Self::LdpVc, Self::DiVcJcs];

    /// Returns the format identifier, which for an SD-JWT is also the `typ` header.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::VcSdJwt => "vc+sd-jwt",
            Self::DcSdJwt => "dc+sd-jwt",
            Self::LdpVc => "ldp_vc",
            Self::DiVcJcs => "di_vc+jcs",
        }
    }

    /// Parses a format identifier; `None` for an unknown one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == text)
    }

    /// Returns the media type of a credential in this format.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::VcSdJwt => "application/vc+sd-jwt",
            Self::DcSdJwt => "application/dc+sd-jwt",
            Self::LdpVc | Self::DiVcJcs => "application/vc",
        }
    }

    /// Returns `true` for the SD-JWT formats, which disclose claims one by one. The other formats disclose a credential
    /// as a whole.
    #[must_use]
    pub const fn is_sd_jwt(self) -> bool {
        matches!(self, Self::VcSdJwt | Self::DcSdJwt)
    }

    /// Returns the top-level member that contains the subject's claims; `None` if they are themselves at the top level.
    #[must_use]
    pub const fn subject_member(self) -> Option<&'static str> {
        match self {
            Self::DcSdJwt => None,
            Self::VcSdJwt | Self::LdpVc | Self::DiVcJcs => Some("credentialSubject"),
        }
    }
}

impl fmt::Display for CredentialFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Format in a query or a registration; it may be one that this library does not support.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum RequestedFormat {
    /// A supported format.
    Known(CredentialFormat),
    /// Identifier of an unsupported format.
    Unknown(String),
}

impl RequestedFormat {
    /// Returns the format if it is supported; otherwise `None`.
    #[must_use]
    pub const fn known(&self) -> Option<CredentialFormat> {
        match self {
            Self::Known(format) => Some(*format),
            Self::Unknown(_) => None,
        }
    }

    /// Returns the format identifier, supported or not.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(format) => format.as_str(),
            Self::Unknown(text) => text,
        }
    }
}

impl From<CredentialFormat> for RequestedFormat {
    fn from(format: CredentialFormat) -> Self {
        Self::Known(format)
    }
}

impl From<String> for RequestedFormat {
    fn from(text: String) -> Self {
        CredentialFormat::parse(&text).map_or(Self::Unknown(text), Self::Known)
    }
}

impl From<RequestedFormat> for String {
    fn from(format: RequestedFormat) -> Self {
        match format {
            RequestedFormat::Known(format) => format.as_str().to_owned(),
            RequestedFormat::Unknown(text) => text,
        }
    }
}

impl PartialEq<CredentialFormat> for RequestedFormat {
    fn eq(&self, format: &CredentialFormat) -> bool {
        self.known() == Some(*format)
    }
}

impl fmt::Display for RequestedFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_format_has_one_identifier_in_text_and_json() {
        for format in CredentialFormat::ALL {
            assert_eq!(CredentialFormat::parse(format.as_str()), Some(format));
            assert_eq!(json!(format), json!(format.as_str()));
            assert_eq!(serde_json::from_value::<CredentialFormat>(json!(format.as_str())).unwrap(), format);
            assert_eq!(RequestedFormat::from(format.as_str().to_owned()), format);
            assert_eq!(format.subject_member().is_none(), format == CredentialFormat::DcSdJwt);
            let suffix = format.as_str().ends_with("+sd-jwt");
            assert_eq!((format.is_sd_jwt(), format.media_type().ends_with("+sd-jwt")), (suffix, suffix));
        }
        for other in ["", "vc+sd-jwt ", "VC+SD-JWT", "sd-jwt", "mso_mdoc"] {
            assert_eq!(CredentialFormat::parse(other), None, "{other}");
            assert!(serde_json::from_value::<CredentialFormat>(json!(other)).is_err(), "{other}");
        }
    }

    #[test]
    fn an_unknown_format_of_a_query_is_kept_as_it_was_written() {
        let foreign: RequestedFormat = serde_json::from_value(json!("mso_mdoc")).unwrap();
        assert_eq!((foreign.known(), foreign.as_str()), (None, "mso_mdoc"));
        assert_eq!(json!(foreign), json!("mso_mdoc"));
        assert!(CredentialFormat::ALL.iter().all(|format| foreign != *format));
    }
}
