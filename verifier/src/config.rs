//! Configuration of the verifier: `config.toml` in the data directory, overridden by a file of the operator.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use carnet_core::did::{Did, DidMethods};
use carnet_service::{
    config::{self, ConfigFiles, FieldRange, ServeConfig, StartError, invalid_field},
    keys::KeysConfig,
};
use carnet_spec::Catalogue;
use serde::Deserialize;

use crate::{
    foreign::{ForeignTypeEntry, parse_issuer},
    openid::config::OpenIdConfig,
    redemption::desks::RedemptionConfig,
    status::StatusConfig,
    trust::TrustConfig,
};

/// Configuration of the operator. Unknown fields are refused.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VerifierConfig {
    /// DID of the verifier.
    pub(crate) did: String,
    /// Name displayed to holders.
    pub(crate) name: String,
    /// Time during which a request can be answered, in seconds.
    #[serde(default = "default_request_ttl")]
    pub(crate) request_ttl: u32,
    /// Maximum age of a holder's key binding, in seconds.
    #[serde(default = "default_key_binding_max_age")]
    pub(crate) key_binding_max_age: u32,
    /// Retention period of the verification result for a custom query, in days; templates define their own.
    #[serde(default = "default_verdict_days")]
    pub(crate) verdict_days: u32,
    /// Issuers that are accepted regardless of a trust list.
    #[serde(default)]
    pub(crate) issuers: Vec<IssuerEntry>,
    /// Accepted credential types that are not in the catalogue, with their issuers.
    #[serde(default)]
    pub(crate) foreign_types: Vec<ForeignTypeEntry>,
    /// Trust list for further issuers; `None`: none.
    pub(crate) trust: Option<TrustConfig>,
    /// Desks (verifier installations) that redeem vouchers under this DID; `None`: only this one.
    pub(crate) redemption: Option<RedemptionConfig>,
    /// OpenID4VP 1.0 interface over HTTP, for other wallets.
    #[serde(default)]
    pub(crate) openid: OpenIdConfig,
    /// Fetching of status lists.
    #[serde(default)]
    pub(crate) status: StatusConfig,
    /// Source of the secret that decrypts the keys.
    #[serde(default)]
    pub(crate) keys: KeysConfig,
    /// Address, TLS and limits.
    #[serde(default)]
    pub(crate) serve: ServeConfig,
    /// Files that the configuration was read from.
    #[serde(skip)]
    pub(crate) files: ConfigFiles,
}

/// Accepted issuer, with its credential types.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IssuerEntry {
    /// DID of the issuer.
    pub(crate) did: String,
    /// Names of the accepted types in the catalogue.
    pub(crate) types: Vec<String>,
}

const fn default_request_ttl() -> u32 {
    600
}
const fn default_key_binding_max_age() -> u32 {
    300
}
const fn default_verdict_days() -> u32 {
    365
}

impl VerifierConfig {
    /// Reads `DIR/config.toml`, and overrides it with the fields of `over`, if any.
    ///
    /// # Errors
    /// A file is missing, is not TOML or has an unknown field, or a value is invalid or out of range.
    pub(crate) fn load(data: &Path, over: Option<&Path>) -> Result<Self, StartError> {
        let (config, files): (Self, _) = config::read_layered_config("carnet-verifier", data, over)
            .map_err(|error| error.with_range(&Self::ranges()).with_range(&ServeConfig::ranges()))?;
        config.check().map_err(|error| files.add_location(error))?;
        Ok(Self { files, ..config })
    }

    /// Reads only `[keys]` of the configuration; the other sections may be invalid.
    ///
    /// # Errors
    /// A file is missing or not TOML, or `[keys]` is invalid.
    pub(crate) fn load_keys_config(data: &Path, over: Option<&Path>) -> Result<KeysConfig, StartError> {
        #[derive(Deserialize)]
        struct KeysAlone {
            #[serde(default)]
            keys: KeysConfig,
        }
        let (KeysAlone { keys }, _) = config::read_layered_config("carnet-verifier", data, over)?;
        Ok(keys)
    }

    fn ranges() -> [FieldRange<Self>; 4] {
        [
            ("request_ttl", |it| it.request_ttl.into(), 5..=86_400),
            ("key_binding_max_age", |it| it.key_binding_max_age.into(), 1..=3_600),
            ("verdict_days", |it| it.verdict_days.into(), 1..=3_650),
            ("status.refresh_seconds", |it| it.status.refresh_seconds.into(), 1..=86_400),
        ]
    }

    fn check(&self) -> Result<(), StartError> {
        config::check_ranges(self, &Self::ranges())?;
        config::check_ranges(&self.serve, &ServeConfig::ranges())?;
        if self.name.trim().is_empty() || self.name.chars().count() > 200 || self.name.chars().any(char::is_control) {
            return Err(invalid_field("name", "name must be from 1 to 200 characters: holders read it"));
        }
        self.openid.validate().map_err(|what| invalid_field("openid", what))?;
        self.redemption.as_ref().map_or(Ok(()), RedemptionConfig::check)
    }

    /// Loads the catalogue, with the foreign types.
    ///
    /// # Errors
    /// The catalogue, or a foreign type, is refused.
    pub(crate) fn catalogue(&self) -> Result<Catalogue, StartError> {
        let foreign = self.foreign_types.iter().map(ForeignTypeEntry::parse).collect::<Result<Vec<_>, _>>();
        let foreign = foreign.map_err(|what| self.files.add_location(invalid_field("foreign_types", what)))?;
        Catalogue::load_with(self.serve.catalogue.as_deref(), foreign).map_err(|error| {
            StartError::new(format!("The catalogue is refused: {error}"), "Correct the configuration and start again.")
        })
    }

    /// Returns whether the configuration accepts no issuer, and names no trust list that could.
    pub(crate) fn accepts_nobody(&self) -> bool {
        self.issuers.is_empty() && self.foreign_types.is_empty() && self.trust.is_none()
    }

    /// Returns the types accepted from each issuer in the configuration, foreign types included, after checking those of
    /// `issuers` against the catalogue.
    ///
    /// # Errors
    /// A DID is malformed or of an unsupported method; an issuer has no type, or one that is not in the catalogue.
    pub(crate) fn accepted(
        &self,
        catalogue: &Catalogue,
        methods: &DidMethods,
    ) -> Result<BTreeMap<Did, BTreeSet<String>>, StartError> {
        let refused = |what: String| self.files.add_location(invalid_field("issuers", what));
        let mut accepted: BTreeMap<Did, BTreeSet<String>> = BTreeMap::new();
        for entry in &self.issuers {
            let did = parse_issuer(&entry.did).map_err(refused)?;
            if entry.types.is_empty() {
                return Err(refused(format!("issuers: {did} is accepted for no type; name one")));
            }
            if let Some(unknown) = entry.types.iter().find_map(|name| catalogue.unknown_type(name)) {
                let known: Vec<&str> = catalogue.types().map(|known| known.name.as_str()).collect();
                return Err(refused(format!("issuers: {did}: {unknown}; it has {}", known.join(", "))));
            }
            accepted.entry(did).or_default().extend(entry.types.iter().cloned());
        }
        for foreign in catalogue.foreign_types() {
            for did in &foreign.issuers {
                accepted.entry(did.clone()).or_default().insert(foreign.name.as_str().to_owned());
            }
        }
        if let Some(did) = accepted.keys().find(|did| !methods.supports(did)) {
            let known = methods.names().collect::<Vec<_>>().join(", ");
            return Err(refused(format!("issuers: {did}: the supported DID methods are {known}")));
        }
        Ok(accepted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "did = \"did:web:a.example\"\nname = \"A\"\n";

    fn load(base: &str, over: &str) -> Result<VerifierConfig, StartError> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.toml"), base).unwrap();
        let file = dir.path().join("over.toml");
        std::fs::write(&file, over).unwrap();
        VerifierConfig::load(dir.path(), Some(&file))
    }

    #[test]
    fn an_operators_file_lies_over_the_one_of_init() {
        let config =
            load(BASE, "request_ttl = 60\n[serve]\nprivate_hosts = [\"localhost\"]\nlisten = \"127.0.0.1:7402\"\n")
                .unwrap();
        assert_eq!((config.request_ttl, config.key_binding_max_age, config.name.as_str()), (60, 300, "A"));
        assert_eq!((config.serve.listen.map(|at| at.port()), config.serve.private_hosts.len()), (Some(7402), 1));
    }

    #[test]
    fn unknown_fields_and_values_out_of_range_are_refused() {
        assert!(load(BASE, "").is_ok());
        for wrong in [
            "trust_everybody = true",
            "request_ttl = 0",
            "key_binding_max_age = 999999",
            "name = \"\"",
            "request_ttl = \"60\"",
            "[serve]\nport = 1",
            "[serve]\ntimeout_seconds = 0",
            "[serve]\nmax_connections = 0",
            "[[issuers]]\ndid = \"did:web:b.example\"\ntype = \"X\"",
            "did = 3",
            "=",
        ] {
            assert!(load(BASE, wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn foreign_types_have_issuers_and_are_not_in_the_catalogue() {
        let read = |entry: &str| {
            let config = load(BASE, &format!("[[foreign_types]]\n{entry}")).map_err(|error| error.to_string())?;
            let catalogue = config.catalogue().map_err(|error| error.to_string())?;
            config.accepted(&catalogue, &DidMethods::standard()).map_err(|error| error.to_string())
        };
        let good = "vct = \"urn:eudi:pid:1\"\nissuers = [\"did:web:pid.example\"]\n";
        let accepted = read(good).unwrap();
        let did = Did::parse("did:web:pid.example").unwrap();
        assert_eq!(accepted, BTreeMap::from([(did, BTreeSet::from(["urn:eudi:pid:1".to_owned()]))]));
        read(&format!("{good}required_claims = [\"family_name\", \"address.country\", \"nationalities[]\"]")).unwrap();
        let badge = good.replace("vct = \"urn:eudi:pid:1\"", "credential_type = \"OpenBadgeCredential\"");
        read(&format!(
            "{badge}other_types = [\"AchievementCredential\"]\ncontexts = [{{ url = \"https://a.example\" }}]"
        ))
        .unwrap();
        for (wrong, says) in [
            (good.replace("urn:eudi:pid:1", "urn:carnet:type:qualification:1"), "accept its issuers with [[issuers]]"),
            (good.replace("urn:eudi:pid:1", "QualificationCredential"), "the catalogue has this type"),
            (good.replace("urn:eudi:pid:1", "urn:eudi pid"), "visible ASCII"),
            (good.replace("\"did:web:pid.example\"", ""), "no issuers"),
            (good.replace("did:web:pid.example", "https://pid.example"), "not a DID"),
            (good.replace("did:web:pid.example", "did:ion:abc"), "the supported DID methods are did:key"),
            (format!("{good}required_claims = [\"a..b\"]"), "required_claims"),
            (format!("{good}visible_claims = [\"\"]"), "visible_claims"),
            (format!("{good}allow_everything = true"), "allow_everything"),
            (good.replace("vct = ", "credential_type = ") + "vct = \"urn:a\"", "either a vct or a credential_type"),
            (format!("{good}other_types = [\"A\"]"), "are for a credential_type"),
            (
                good.replace("vct = \"urn:eudi:pid:1\"", "credential_type = \"QualificationCredential\""),
                "the catalogue has",
            ),
            (
                good.replace("vct = \"urn:eudi:pid:1\"", "credential_type = \"VerifiableCredential\""),
                "the catalogue has",
            ),
            (format!("{badge}other_types = [\"ResidencePermitCredential\"]"), "the catalogue has"),
            (format!("{badge}contexts = [{{ url = \"https://a.example\", file = \"/no/file\" }}]"), "file and sha256"),
            (
                format!("{badge}contexts = [{{ url = \"https://a.example\", file = \"/no/file\", sha256 = \"00\" }}]"),
                "could not be read",
            ),
            (format!("{good}[[foreign_types]]\n{good}"), "an issuer is in two entries"),
        ] {
            let error = read(&wrong).unwrap_err();
            assert!(error.to_lowercase().contains(&says.to_lowercase()), "{wrong}: {error}");
        }
        read(&format!("{good}[[foreign_types]]\n{}", good.replace("pid.example", "other.example"))).unwrap();
    }

    #[test]
    fn issuers_are_held_to_the_catalogue() {
        let catalogue = Catalogue::embedded().unwrap();
        let accepted = |did: &str, kind: &str| {
            load(BASE, &format!("[[issuers]]\ndid = \"{did}\"\ntypes = [\"{kind}\"]"))
                .unwrap()
                .accepted(&catalogue, &DidMethods::standard())
        };
        assert_eq!(accepted("did:web:uni.example", "QualificationCredential").unwrap().len(), 1);
        for (did, kind) in [
            ("did:web:uni.example", "Qualification"),
            ("https://uni.example", "QualificationCredential"),
            ("did:ion:abc", "QualificationCredential"),
        ] {
            assert!(accepted(did, kind).is_err(), "{did} {kind}");
        }
    }
}
