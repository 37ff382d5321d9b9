//! An issuer's promise: its metadata about an offered credential, against which the wallet checks the copies.

use std::collections::BTreeMap;

use carnet_core::{
    Code, Problem,
    epoch::Epoch,
    format::CredentialFormat,
    keys::Algorithm,
    verify::{Held, IssuerPolicy},
};
use carnet_spec::Catalogue;

use crate::{
    failure::{Failure, Fault, Sentence},
    languages::Languages,
    offer::Offer,
    sanitise::clean,
    store::contents::HolderAlgorithm,
    wire::Wire,
};

/// Metadata of an issuer's service.
#[derive(Debug, Clone, Default)]
pub struct IssuerMetadata {
    /// The issuer's DID.
    pub issuer: String,
    /// Audience of proofs of possession: the issuer's DID, or over OpenID its credential issuer identifier.
    pub audience: String,
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
    /// JOSE names of the algorithms of holder keys; empty: the issuer names none.
    pub proof_algorithms: Vec<String>,
}

/// Credential that an issuer announces.
#[derive(Debug, Clone)]
pub struct Promise {
    /// The issuer's DID.
    pub issuer: String,
    /// Audience of proofs of possession.
    pub audience: String,
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
    /// Algorithm of holder keys.
    pub key_algorithm: HolderAlgorithm,
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
            audience: metadata.audience.clone(),
            issuer_name,
            configuration_id: found.id.clone(),
            type_name: found.credential_type.clone(),
            format,
            epoch: found.epoch,
            renewal_window_days: found.renewal_window_days,
            key_algorithm: key_algorithm(&found.proof_algorithms)?,
        })
    }

    /// Resolves the configurations of an offer: all of them on Carnet's own wire.
    ///
    /// # Errors
    /// Those of [`Promise::read`].
    pub fn offered(
        metadata: &IssuerMetadata,
        offer: &Offer,
        catalogue: &Catalogue,
        languages: &Languages,
    ) -> Result<Vec<Self>, Failure> {
        match offer.wire {
            Wire::Grpc => {
                let ids = offer.configuration_ids.iter();
                ids.map(|id| Self::read(metadata, id, catalogue, languages)).collect()
            }
            Wire::OpenId => Self::choose(metadata, &offer.configuration_ids, catalogue, languages),
        }
    }

    /// Resolves the configurations of an offer over OpenID, where several may be formats of one credential: of each type
    /// the format that discloses best is taken, and configurations that this wallet does not support are left out.
    ///
    /// # Errors
    /// The first refusal, if the wallet supports none.
    pub fn choose(
        metadata: &IssuerMetadata,
        ids: &[String],
        catalogue: &Catalogue,
        languages: &Languages,
    ) -> Result<Vec<Self>, Failure> {
        let mut chosen: Vec<Self> = Vec::new();
        let mut refused = None;
        for id in ids {
            match Self::read(metadata, id, catalogue, languages) {
                Ok(promise) => match chosen.iter_mut().find(|known| known.type_name == promise.type_name) {
                    Some(known) if rank(promise.format) < rank(known.format) => *known = promise,
                    Some(_) => {}
                    None => chosen.push(promise),
                },
                Err(failure) => {
                    refused.get_or_insert(failure);
                }
            }
        }
        match refused {
            Some(failure) if chosen.is_empty() => Err(failure),
            _ => Ok(chosen),
        }
    }
}

/// Returns the place of a format among those of one credential: the format of Carnet's profile is the first.
const fn rank(format: CredentialFormat) -> u8 {
    match format {
        CredentialFormat::VcSdJwt => 0,
        CredentialFormat::DcSdJwt => 1,
        CredentialFormat::DiVcJcs => 2,
        CredentialFormat::LdpVc => 3,
    }
}

/// Returns the algorithm of holder keys for an issuer that takes these: Ed25519 unless it takes P-256 only.
fn key_algorithm(names: &[String]) -> Result<HolderAlgorithm, Failure> {
    let takes = |algorithm: Algorithm| names.iter().any(|name| name == algorithm.as_str());
    if names.is_empty() || takes(Algorithm::EdDsa) {
        return Ok(HolderAlgorithm::EdDsa);
    }
    if takes(Algorithm::Es256) {
        return Ok(HolderAlgorithm::Es256);
    }
    let message = Sentence::id("error-proof-algorithm").with("names", clean(&names.join(", ")));
    Err(Failure::new("proof_algorithm_unsupported", message, Sentence::id("hint-another-offer")))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(configurations: &[(&str, &str, CredentialFormat, &[&str])]) -> IssuerMetadata {
        let configurations =
            configurations.iter().map(|(id, credential_type, format, algorithms)| CredentialConfiguration {
                id: (*id).to_owned(),
                format: Some(*format),
                credential_type: (*credential_type).to_owned(),
                epoch: None,
                renewal_window_days: 0,
                proof_algorithms: algorithms.iter().map(|name| (*name).to_owned()).collect(),
            });
        IssuerMetadata {
            issuer: "did:web:a.example".to_owned(),
            configurations: configurations.collect(),
            ..Default::default()
        }
    }

    fn chosen(metadata: &IssuerMetadata) -> Result<Vec<(String, HolderAlgorithm)>, String> {
        let ids: Vec<String> = metadata.configurations.iter().map(|known| known.id.clone()).collect();
        let catalogue = Catalogue::embedded().unwrap();
        let promises = Promise::choose(metadata, &ids, &catalogue, &Languages::preferring("en"));
        let names = |promises: Vec<Promise>| {
            promises.into_iter().map(|promise| (promise.configuration_id, promise.key_algorithm)).collect()
        };
        promises.map(names).map_err(|failure| failure.reason)
    }

    #[test]
    fn one_format_of_each_credential_is_taken() {
        use CredentialFormat::{DcSdJwt, VcSdJwt};
        let (permit, degree) = ("ResidencePermitCredential", "QualificationCredential");
        let both = metadata(&[
            ("dc", permit, DcSdJwt, &[]),
            ("vc", permit, VcSdJwt, &[]),
            ("other", "NobodysCredential", VcSdJwt, &[]),
            ("degree", degree, DcSdJwt, &["ES256"]),
        ]);
        let expected = [("vc", HolderAlgorithm::EdDsa), ("degree", HolderAlgorithm::Es256)];
        assert_eq!(chosen(&both), Ok(expected.map(|(id, algorithm)| (id.to_owned(), algorithm)).to_vec()));
        let foreign = metadata(&[("other", "NobodysCredential", VcSdJwt, &[])]);
        assert_eq!(chosen(&foreign), Err("type_unknown".to_owned()));
        let keys = metadata(&[("vc", permit, VcSdJwt, &["ES384"])]);
        assert_eq!(chosen(&keys), Err("proof_algorithm_unsupported".to_owned()));
    }
}
