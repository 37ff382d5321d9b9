//! An issuer's promise: its metadata about an offered credential, against which the wallet checks the copies.

use carnet_core::{
    Code, Problem,
    epoch::Epoch,
    format::CredentialFormat,
    verify::{Held, IssuerPolicy},
};
use carnet_proto::issuer::v1::{CredentialConfiguration, ReadMetadataResponse, ValidityEpoch};
use carnet_spec::Catalogue;

use crate::{
    client::issuance::format_from_wire,
    failure::{Failure, Sentence},
    ui::{messages::Messages, sanitise::clean},
};

/// Credential that an issuer announces.
#[derive(Debug, Clone)]
pub(crate) struct Promise {
    /// The issuer's DID.
    pub(crate) issuer: String,
    /// Name that the issuer gives itself.
    pub(crate) issuer_name: String,
    /// Id of the credential configuration.
    pub(crate) configuration_id: String,
    /// Name of the credential type.
    pub(crate) type_name: String,
    pub(crate) format: CredentialFormat,
    /// Epoch to whose start the copies' dates are rounded down; `None` for an issuer without epochs.
    pub(crate) epoch: Option<Epoch>,
    /// Number of days before its end from which it is renewable; 0: it is not.
    pub(crate) renewal_window_days: u32,
}

impl Promise {
    /// Resolves a configuration id in an issuer's metadata, if this wallet supports the configuration.
    pub(crate) fn read(
        metadata: &ReadMetadataResponse,
        id: &str,
        catalogue: &Catalogue,
        messages: &Messages,
    ) -> Result<Self, Failure> {
        let unknown =
            |message| Failure::new("configuration_unknown", Sentence::id(message), Sentence::id("hint-another-offer"));
        let found = metadata.configurations.iter().find(|configuration| configuration.id == id);
        let found = found.ok_or_else(|| unknown("error-offered-unknown"))?;
        let format = format_from_wire(found.format).ok_or_else(|| unknown("error-offered-format"))?;
        if !can_verify(format) {
            let message = Sentence::id("error-format-unsupported").with("format", format.as_str());
            return Err(Failure::new("format_unsupported", message, Sentence::id("hint-format")));
        }
        if catalogue.credential_type(&found.credential_type).is_none() {
            let message = Sentence::id("error-type-unknown").with("type", clean(&found.credential_type));
            return Err(Failure::new("type_unknown", message, Sentence::id("hint-type-folder")));
        }
        let issuer_name = messages
            .pick(|language| metadata.display_name.get(language).map(String::as_str))
            .unwrap_or_else(|| clean(&metadata.issuer));
        Ok(Self {
            issuer: metadata.issuer.clone(),
            issuer_name,
            configuration_id: found.id.clone(),
            type_name: found.credential_type.clone(),
            format,
            epoch: epoch_of(found),
            renewal_window_days: found.renewal_window_days,
        })
    }
}

/// Returns the epoch in a configuration.
pub(crate) fn epoch_of(configuration: &CredentialConfiguration) -> Option<Epoch> {
    match ValidityEpoch::try_from(configuration.validity_epoch) {
        Ok(ValidityEpoch::Day) => Some(Epoch::Day),
        Ok(ValidityEpoch::Week) => Some(Epoch::Week),
        Ok(ValidityEpoch::Month) => Some(Epoch::Month),
        Ok(ValidityEpoch::Quarter) => Some(Epoch::Quarter),
        Ok(ValidityEpoch::Unspecified) | Err(_) => None,
    }
}

/// Accepts only the issuer that made the offer, and only the offered type.
impl IssuerPolicy for Promise {
    fn accepts(&self, held: &Held) -> Result<(), Problem> {
        if held.credential.issuer() != self.issuer {
            return Err(Problem::new(Code::IssuerMismatch, "the credential is by another issuer than the offer"));
        }
        if held.type_name != self.type_name {
            return Err(Problem::new(
                Code::TypeUnknown,
                "the credential is of another type than the one that was offered",
            ));
        }
        Ok(())
    }
}

/// Tests if this program can verify a format.
fn can_verify(format: CredentialFormat) -> bool {
    format != CredentialFormat::LdpVc || cfg!(feature = "jsonld")
}
