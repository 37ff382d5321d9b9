//! Issuer metadata as the wallet uses it, and the credential that the wallet expects according to them.

use std::collections::BTreeMap;

use carnet_core::{
    Code, Problem,
    epoch::Epoch,
    format::CredentialFormat,
    keys::SignatureAlgorithm,
    verify::{IssuerPolicy, VerifiedCredential},
};
use carnet_spec::Catalogue;

use crate::{
    failure::{Failure, FailureReason, FaultParty, Sentence},
    foreign_display::ForeignDisplay,
    languages::Languages,
    offer::ReceivedOffer,
    protocol::ServiceProtocol,
    sanitise::sanitise,
    store::holder_key::HolderAlgorithm,
};

/// Metadata of an issuer's service, reduced to what the wallet uses; the same for both protocols.
#[derive(Debug, Clone, Default)]
pub struct WalletIssuerMetadata {
    /// DID of the issuer.
    pub issuer: String,
    /// Audience of proofs of possession: the issuer's DID, or for OpenID4VCI its credential issuer identifier.
    pub audience: String,
    /// Display name that the issuer gives itself, by language tag.
    pub display_name: BTreeMap<String, String>,
    /// Credential configurations that it issues.
    pub configurations: Vec<OfferedConfiguration>,
    /// Maximum number of copies in one credential request.
    pub max_batch_size: u32,
    /// Lifetime of its freshness statements, in seconds; 0: it does not issue them.
    pub freshness_lifetime_seconds: u32,
    /// Token endpoint, to which the code and the PIN of an offer are sent; `None`: the service of the offer itself, for
    /// Carnet's gRPC protocol.
    pub token_endpoint: Option<String>,
}

impl WalletIssuerMetadata {
    /// Returns whether the DID of the issuer is known. An OpenID4VCI issuer may name none: `issuer` is then its
    /// credential issuer identifier, and the copies name the DID.
    pub fn has_did(&self) -> bool {
        self.token_endpoint.is_none() || self.issuer != self.audience
    }

    /// Returns the name of a foreign type's issuer: the host of its service, which is verified, and its own name.
    fn name_with_host(&self, own: &str) -> String {
        let host = sanitise(self.audience.split_once("://").map_or(&self.audience, |(_, host)| host));
        if own.is_empty() { host } else { format!("{host} ({own})") }
    }
}

/// Credential configuration in an issuer's metadata.
#[derive(Debug, Clone)]
pub struct OfferedConfiguration {
    /// Id that offers refer to.
    pub id: String,
    /// Format of the copies; `None`: unknown to this wallet.
    pub format: Option<CredentialFormat>,
    /// Name of the credential type.
    pub credential_type: String,
    /// Epoch to whose start the dates of copies are rounded down; `None`: the issuer does not state one.
    pub epoch: Option<Epoch>,
    /// Time before its end from which a credential is renewable, in days; 0: not renewable.
    pub renewal_window_days: u32,
    /// JOSE names of the accepted algorithms of holder keys; empty: not stated.
    pub proof_algorithms: Vec<String>,
    /// Issuer's names for the type and its claims.
    pub display: ForeignDisplay,
}

/// Credential as its issuer announces it in its metadata. The wallet checks received copies against it.
#[derive(Debug, Clone)]
pub struct ExpectedCredential {
    /// DID of the issuer.
    pub issuer: String,
    /// Audience of proofs of possession.
    pub audience: String,
    /// Issuer's own display name.
    pub issuer_name: String,
    /// Id of the credential configuration.
    pub configuration_id: String,
    /// Name of the credential type.
    pub type_name: String,
    /// Format of the copies.
    pub format: CredentialFormat,
    /// Epoch to whose start the dates of copies are rounded down; `None`: the issuer does not state one.
    pub epoch: Option<Epoch>,
    /// Time before its end from which the credential is renewable, in days; 0: not renewable.
    pub renewal_window_days: u32,
    /// Algorithm of holder keys.
    pub key_algorithm: HolderAlgorithm,
    /// `true` if the catalogue does not have the type; `type_name` is then its `vct` (spec/foreign-types.md section 5).
    pub is_foreign: bool,
    /// Issuer's names for a foreign type and its claims; empty for a type of the catalogue.
    pub display: ForeignDisplay,
}

impl ExpectedCredential {
    /// Looks up the credential configuration `id` in an issuer's metadata, and checks that this wallet supports it.
    ///
    /// # Errors
    /// `configuration_unknown` if the metadata do not have it or its format is unknown; `format_unsupported` if this
    /// program cannot verify the format; `type_unknown` if the catalogue lacks the type; `proof_algorithm_unsupported`.
    pub fn from_metadata(
        metadata: &WalletIssuerMetadata,
        id: &str,
        catalogue: &Catalogue,
        languages: &Languages,
    ) -> Result<Self, Failure> {
        let unknown = |message| {
            Failure::new(
                FailureReason::ConfigurationUnknown,
                Sentence::new(message),
                Sentence::new("hint-another-offer"),
            )
            .with_fault(FaultParty::Issuer)
        };
        let found = metadata.configurations.iter().find(|configuration| configuration.id == id);
        let found = found.ok_or_else(|| unknown("error-offered-unknown"))?;
        let format = found.format.ok_or_else(|| unknown("error-offered-format"))?;
        Self::require_supported(format)?;
        let is_foreign = catalogue.credential_type(&found.credential_type).is_none();
        // A type of the catalogue comes from an issuer that says which DID it issues under.
        if !is_foreign && !metadata.has_did() {
            let message = Sentence::new("error-service-metadata");
            return Err(Failure::new(FailureReason::NotFound, message, Sentence::new("hint-tell-issuer"))
                .with_fault(FaultParty::Issuer));
        }
        if is_foreign && !can_be_foreign(metadata, found) {
            let message = Sentence::new("error-type-unknown").with("type", sanitise(&found.credential_type));
            return Err(Failure::new(Code::TypeUnknown, message, Sentence::new("hint-type-folder")));
        }
        let own_name = languages.best_text(|language| metadata.display_name.get(language).map(String::as_str));
        let issuer_name = match own_name {
            own if is_foreign => metadata.name_with_host(own.as_deref().unwrap_or_default()),
            Some(own) => own,
            None => sanitise(&metadata.issuer),
        };
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
            is_foreign,
            display: if is_foreign { found.display.clone() } else { ForeignDisplay::default() },
        })
    }

    /// Checks that this program can verify a format.
    ///
    /// # Errors
    /// `format_unsupported`
    pub(crate) fn require_supported(format: CredentialFormat) -> Result<(), Failure> {
        if can_verify(format) {
            return Ok(());
        }
        let message = Sentence::new("error-format-unsupported").with("format", format.as_str());
        Err(Failure::new(FailureReason::FormatUnsupported, message, Sentence::new("hint-format")))
    }

    /// Returns whether a `vct` can be shown as the name of a foreign type: 1 to 512 visible ASCII characters.
    pub(crate) fn is_displayable_vct(vct: &str) -> bool {
        (1..=MAX_VCT).contains(&vct.len()) && vct.bytes().all(|byte| byte.is_ascii_graphic())
    }

    /// Looks up the credential configurations of an offer. For Carnet's gRPC protocol all of them must be supported;
    /// for OpenID4VCI, one supported format of each type is chosen.
    ///
    /// # Errors
    /// Those of the look-up of a single configuration.
    pub fn from_offer(
        metadata: &WalletIssuerMetadata,
        offer: &ReceivedOffer,
        catalogue: &Catalogue,
        languages: &Languages,
    ) -> Result<Vec<Self>, Failure> {
        match offer.protocol {
            ServiceProtocol::Grpc => {
                let ids = offer.configuration_ids.iter();
                ids.map(|id| Self::from_metadata(metadata, id, catalogue, languages)).collect()
            }
            ServiceProtocol::OpenId => {
                Self::choose_configurations(metadata, &offer.configuration_ids, catalogue, languages)
            }
        }
    }

    /// Looks up the credential configurations of an OpenID4VCI offer, several of which may be formats of one
    /// credential. Of each type, the preferred format is chosen: `vc+sd-jwt`, then `dc+sd-jwt`, then Data Integrity.
    /// Unsupported configurations are ignored.
    ///
    /// # Errors
    /// The first error, if no configuration is supported.
    pub fn choose_configurations(
        metadata: &WalletIssuerMetadata,
        ids: &[String],
        catalogue: &Catalogue,
        languages: &Languages,
    ) -> Result<Vec<Self>, Failure> {
        let mut chosen: Vec<Self> = Vec::new();
        let mut refused = None;
        for id in ids {
            match Self::from_metadata(metadata, id, catalogue, languages) {
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

/// Maximum length of the `vct` of a foreign type, in bytes.
const MAX_VCT: usize = 512;

/// Returns whether the wallet can receive a configuration whose type the catalogue does not have: as `dc+sd-jwt` over
/// OpenID4VCI, with a `vct` that can be shown.
fn can_be_foreign(metadata: &WalletIssuerMetadata, found: &OfferedConfiguration) -> bool {
    metadata.token_endpoint.is_some()
        && found.format == Some(CredentialFormat::DcSdJwt)
        && ExpectedCredential::is_displayable_vct(&found.credential_type)
}

/// Returns the preference of a format; the lowest number is preferred.
const fn rank(format: CredentialFormat) -> u8 {
    match format {
        CredentialFormat::VcSdJwt => 0,
        CredentialFormat::DcSdJwt => 1,
        CredentialFormat::DiVcJcs => 2,
        CredentialFormat::LdpVc => 3,
    }
}

/// Returns the algorithm of holder keys for an issuer that accepts the algorithms `names`: Ed25519 if it is among them
/// or none is named, otherwise P-256.
///
/// # Errors
/// `proof_algorithm_unsupported` if it accepts neither.
fn key_algorithm(names: &[String]) -> Result<HolderAlgorithm, Failure> {
    let takes = |algorithm: SignatureAlgorithm| names.iter().any(|name| name == algorithm.as_str());
    if names.is_empty() || takes(SignatureAlgorithm::EdDsa) {
        return Ok(HolderAlgorithm::EdDsa);
    }
    if takes(SignatureAlgorithm::Es256) {
        return Ok(HolderAlgorithm::Es256);
    }
    let message = Sentence::new("error-proof-algorithm").with("names", sanitise(&names.join(", ")));
    Err(Failure::new(FailureReason::ProofAlgorithmUnsupported, message, Sentence::new("hint-another-offer")))
}

/// Policy that accepts only the expected issuer and the expected credential type.
impl IssuerPolicy for ExpectedCredential {
    fn check_issuer(&self, held: &VerifiedCredential) -> Result<(), Problem> {
        if held.credential.issuer() != self.issuer {
            return Err(Problem::new(Code::IssuerMismatch, "the credential's issuer is not the offer's"));
        }
        if held.type_name != self.type_name {
            return Err(Problem::new(Code::TypeUnknown, "the credential's type is not the offered one"));
        }
        Ok(())
    }
}

/// Returns whether this build can verify a format: `ldp_vc` requires the feature `jsonld`.
fn can_verify(format: CredentialFormat) -> bool {
    format != CredentialFormat::LdpVc || cfg!(feature = "jsonld")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(configurations: &[(&str, &str, CredentialFormat, &[&str])]) -> WalletIssuerMetadata {
        let configurations =
            configurations.iter().map(|(id, credential_type, format, algorithms)| OfferedConfiguration {
                id: (*id).to_owned(),
                format: Some(*format),
                credential_type: (*credential_type).to_owned(),
                epoch: None,
                renewal_window_days: 0,
                proof_algorithms: algorithms.iter().map(|name| (*name).to_owned()).collect(),
                display: ForeignDisplay::default(),
            });
        WalletIssuerMetadata {
            issuer: "did:web:a.example".to_owned(),
            configurations: configurations.collect(),
            ..Default::default()
        }
    }

    fn chosen(metadata: &WalletIssuerMetadata) -> Result<Vec<(String, HolderAlgorithm)>, FailureReason> {
        let ids: Vec<String> = metadata.configurations.iter().map(|known| known.id.clone()).collect();
        let catalogue = Catalogue::embedded().unwrap();
        let promises =
            ExpectedCredential::choose_configurations(metadata, &ids, &catalogue, &Languages::preferring("en"));
        let names = |promises: Vec<ExpectedCredential>| {
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
        assert_eq!(chosen(&foreign), Err(FailureReason::Check(Code::TypeUnknown)));
        let foreign = metadata(&[("other", "urn:nobody:1", DcSdJwt, &[])]);
        assert_eq!(
            chosen(&foreign),
            Err(FailureReason::Check(Code::TypeUnknown)),
            "Carnet's own wire has types of the catalogue alone"
        );
        let keys = metadata(&[("vc", permit, VcSdJwt, &["ES384"])]);
        assert_eq!(chosen(&keys), Err(FailureReason::ProofAlgorithmUnsupported));
    }

    #[test]
    fn a_foreign_type_comes_over_openid_in_one_format_and_is_named_after_its_host() {
        use CredentialFormat::{DcSdJwt, VcSdJwt};
        let url = "https://pid.example/issuer".to_owned();
        let over_openid = |vct: &str, format| {
            let mut metadata = metadata(&[("one", vct, format, &[])]);
            metadata.audience.clone_from(&url);
            metadata.token_endpoint = Some(format!("{url}/token"));
            metadata.display_name.insert("en".to_owned(), "University\u{202e} of Example".to_owned());
            metadata
        };
        let read = |metadata: &WalletIssuerMetadata| {
            let catalogue = Catalogue::embedded().unwrap();
            ExpectedCredential::from_metadata(metadata, "one", &catalogue, &Languages::preferring("en"))
        };
        let mut unnamed = over_openid("urn:eudi:pid:1", DcSdJwt);
        unnamed.issuer.clone_from(&url);
        let expected = read(&unnamed).unwrap();
        assert!(expected.is_foreign && !unnamed.has_did());
        assert_eq!(expected.type_name, "urn:eudi:pid:1");
        assert_eq!(expected.issuer_name, "pid.example/issuer (University[U+202E] of Example)");
        // A type of the catalogue needs an issuer with a DID, and has its own name.
        let permit = "ResidencePermitCredential";
        let expected = read(&over_openid(permit, DcSdJwt)).unwrap();
        assert!(!expected.is_foreign && expected.issuer_name.starts_with("University"));
        unnamed.configurations[0].credential_type = permit.to_owned();
        assert_eq!(read(&unnamed).unwrap_err().reason, FailureReason::NotFound);
        for (vct, format) in [
            ("urn:eudi:pid:1", VcSdJwt),
            ("", DcSdJwt),
            ("urn:\u{202e}", DcSdJwt),
            ("urn: a", DcSdJwt),
            (&*"x".repeat(513), DcSdJwt),
        ] {
            assert_eq!(
                read(&over_openid(vct, format)).unwrap_err().reason,
                FailureReason::Check(Code::TypeUnknown),
                "{vct}"
            );
        }
    }
}
