//! An issuer's promise: its metadata about an offered credential, against which the wallet checks the copies.

use std::collections::BTreeMap;

use carnet_core::{
    Code, Problem,
    epoch::Epoch,
    format::CredentialFormat,
    verify::{Held, IssuerPolicy},
};
use carnet_spec::Catalogue;

use crate::{
    failure::{Failure, Fault, Sentence},
    languages::Languages,
    sanitise::clean,
};

/// Metadata of an issuer's service.
#[derive(Debug, Clone, Default)]
pub struct IssuerMetadata {
    /// The issuer's DID.
    pub issuer: String,
    /// Name that the issuer gives itself, by language tag.
    pub display_name: BTreeMap<String, String>,
    /// Credentials that it issues.
    pub configurations: Vec<CredentialConfiguration>,
    /// Maximum number of copies in one call.
    pub max_batch_size: u32,
    /// Lifetime of its freshness statements, in seconds; 0: it makes none.
    pub freshness_seconds: u32,
}

/// Kind of credential that an issuer issues.
#[derive(Debug, Clone)]
pub struct CredentialConfiguration {
    /// Id that offers refer to.
    pub id: String,
    /// Format; `None`: unknown to this wallet.
    pub format: Option<CredentialFormat>,
    /// Name of the credential type.
    pub credential_type: String,
    /// Epoch to whose start the copies' dates are rounded down; `None` for an issuer without epochs.
    pub epoch: Option<Epoch>,
    /// Number of days before its end from which a credential is renewable; 0: it is not.
    pub renewal_window_days: u32,
}

/// Credential that an issuer announces.
#[derive(Debug, Clone)]
pub struct Promise {
    /// The issuer's DID.
    pub issuer: String,
    /// Name that the issuer gives itself.
    pub issuer_name: String,
    /// Id of the credential configuration.
    pub configuration_id: String,
    /// Name of the credential type.
    pub type_name: String,
    /// Format of the copies.
    pub format: CredentialFormat,
    /// Epoch to whose start the copies' dates are rounded down; `None` for an issuer without epochs.
    pub epoch: Option<Epoch>,
    /// Number of days before its end from which it is renewable; 0: it is not.
    pub renewal_window_days: u32,
}

impl Promise {
    /// Resolves a configuration id in an issuer's metadata, if this wallet supports the configuration.
    pub fn read(
        metadata: &IssuerMetadata,
        id: &str,
        catalogue: &Catalogue,
        languages: &Languages,
    ) -> Result<Self, Failure> {
        let unknown = |message| {
            Failure::new("configuration_unknown", Sentence::id(message), Sentence::id("hint-another-offer"))
                .by(Fault::Issuer)
        };
        let found = metadata.configurations.iter().find(|configuration| configuration.id == id);
        let found = found.ok_or_else(|| unknown("error-offered-unknown"))?;
        let format = found.format.ok_or_else(|| unknown("error-offered-format"))?;
        if !can_verify(format) {
            let message = Sentence::id("error-format-unsupported").with("format", format.as_str());
            return Err(Failure::new("format_unsupported", message, Sentence::id("hint-format")));
        }
        if catalogue.credential_type(&found.credential_type).is_none() {
            let message = Sentence::id("error-type-unknown").with("type", clean(&found.credential_type));
            return Err(Failure::new("type_unknown", message, Sentence::id("hint-type-folder")));
        }
        let issuer_name = languages
            .pick(|language| metadata.display_name.get(language).map(String::as_str))
            .unwrap_or_else(|| clean(&metadata.issuer));
        Ok(Self {
            issuer: metadata.issuer.clone(),
            issuer_name,
            configuration_id: found.id.clone(),
            type_name: found.credential_type.clone(),
            format,
            epoch: found.epoch,
            renewal_window_days: found.renewal_window_days,
        })
    }
}

/// Accepts only the issuer that made the offer, and only the offered type.
impl IssuerPolicy for Promise {
    fn accepts(&self, held: &Held) -> Result<(), Problem> {
        if held.credential.issuer() != self.issuer {
            return Err(Problem::new(Code::IssuerMismatch, "the credential's issuer is not the offer's"));
        }
        if held.type_name != self.type_name {
            return Err(Problem::new(Code::TypeUnknown, "the credential's type is not the offered one"));
        }
        Ok(())
    }
}

/// Tests if this program can verify a format.
fn can_verify(format: CredentialFormat) -> bool {
    format != CredentialFormat::LdpVc || cfg!(feature = "jsonld")
}
