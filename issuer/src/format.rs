//! Formats that this program can issue.

use carnet_core::{format::CredentialFormat, keys::SignatureAlgorithm, secure::data_integrity::Cryptosuites};

use crate::error::Error;

/// Refuses a format that this build cannot sign with a key of this algorithm.
///
/// # Errors
/// [`Error::FormatUnavailable`]
pub(crate) fn require_supported_format(
    format: CredentialFormat,
    algorithm: SignatureAlgorithm,
    suites: &Cryptosuites,
) -> Result<(), Error> {
    if format.is_sd_jwt() || suites.for_signing(format, algorithm).is_some() {
        return Ok(());
    }
    let why = if suites.can_verify(format) {
        "no cryptosuite of this format signs with the issuer's key"
    } else {
        "it was built without the feature `jsonld`"
    };
    Err(Error::FormatUnavailable { format: format.as_str(), why })
}

/// Returns the `credential_configuration_id` of a type in a format: `<type>_<format>`.
pub(crate) fn configuration_id(credential_type: &str, format: CredentialFormat) -> String {
    format!("{credential_type}_{format}")
}

/// Returns the format in which the holder may choose to receive the same offer: `vc+sd-jwt` for `dc+sd-jwt` and the
/// reverse; `None` for formats without selective disclosure.
pub(crate) const fn alternative_format(format: CredentialFormat) -> Option<CredentialFormat> {
    match format {
        CredentialFormat::VcSdJwt => Some(CredentialFormat::DcSdJwt),
        CredentialFormat::DcSdJwt => Some(CredentialFormat::VcSdJwt),
        CredentialFormat::LdpVc | CredentialFormat::DiVcJcs => None,
    }
}

/// Returns the format of a requested credential configuration: the offered format, or its alternative.
///
/// # Errors
/// Any other configuration.
pub(crate) fn requested_format(
    credential_type: &str,
    offered: CredentialFormat,
    configuration: &str,
) -> Result<CredentialFormat, Error> {
    let mut formats = std::iter::once(offered).chain(alternative_format(offered));
    formats
        .find(|format| configuration_id(credential_type, *format) == configuration)
        .ok_or(Error::ConfigurationNotOffered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_of_an_sd_jwt_is_for_both_of_its_formats() {
        let chosen = |offered, configuration: &str| requested_format("A", offered, configuration).ok();
        assert_eq!(chosen(CredentialFormat::VcSdJwt, "A_vc+sd-jwt"), Some(CredentialFormat::VcSdJwt));
        assert_eq!(chosen(CredentialFormat::VcSdJwt, "A_dc+sd-jwt"), Some(CredentialFormat::DcSdJwt));
        assert_eq!(chosen(CredentialFormat::DcSdJwt, "A_vc+sd-jwt"), Some(CredentialFormat::VcSdJwt));
        assert_eq!(chosen(CredentialFormat::LdpVc, "A_ldp_vc"), Some(CredentialFormat::LdpVc));
        for (offered, other) in [
            (CredentialFormat::VcSdJwt, "A_ldp_vc"),
            (CredentialFormat::VcSdJwt, "B_vc+sd-jwt"),
            (CredentialFormat::LdpVc, "A_vc+sd-jwt"),
            (CredentialFormat::DiVcJcs, "A_ldp_vc"),
        ] {
            assert_eq!(chosen(offered, other), None, "{other}");
        }
    }
}
