//! Credential types of other ecosystems in the configuration (spec/foreign-types.md).

use std::{collections::BTreeSet, path::PathBuf};

use carnet_core::{did::Did, secure::sd_jwt::ClaimPath, text::quoted, verify::VerificationProfile};
use carnet_spec::{ForeignContext, ForeignType, ForeignTypeName, read_catalogue_text};
use serde::Deserialize;

/// Credential type of another ecosystem, with its accepted issuers.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ForeignTypeEntry {
    /// `vct` of the credentials, whose format is `dc+sd-jwt`. Either this or `credential_type` is needed; a type of the
    /// catalogue is refused.
    pub(crate) vct: Option<String>,
    /// Type of the credentials besides `VerifiableCredential`, in the formats of the W3C data model.
    pub(crate) credential_type: Option<String>,
    /// DIDs of the accepted issuers. The other fields apply to their credentials alone.
    pub(crate) issuers: Vec<String>,
    /// Claims that each presentation must disclose, such as `family_name`, `address.country` or
    /// `credentialSubject.achievement.name`.
    #[serde(default)]
    pub(crate) required_claims: Vec<String>,
    /// Claims in the clear, and members of metadata such as `cnf.jwk.kid` or `issuer.name`, that are accepted although
    /// they were not requested.
    #[serde(default)]
    pub(crate) visible_claims: Vec<String>,
    /// Accept credentials without an end of validity (`exp`, `validUntil`).
    #[serde(default)]
    pub(crate) allow_no_end: bool,
    /// Accept a `kid` that is only a fragment, such as `#0`; it is resolved against the DID of the issuer.
    #[serde(default)]
    pub(crate) allow_relative_kid: bool,
    /// Further types that a credential with `credential_type` may have.
    #[serde(default)]
    pub(crate) other_types: Vec<String>,
    /// JSON-LD contexts that a credential with `credential_type` may have besides that of VCDM 2.0.
    #[serde(default)]
    pub(crate) contexts: Vec<ForeignContextEntry>,
}

/// JSON-LD context of a credential type of another ecosystem.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ForeignContextEntry {
    /// URL. It is never fetched.
    pub(crate) url: String,
    /// File with the context, which eddsa-rdfc-2022 needs.
    pub(crate) file: Option<PathBuf>,
    /// SHA-256 of the file in hexadecimal; needed with `file`.
    pub(crate) sha256: Option<String>,
}

impl ForeignTypeEntry {
    /// Parses the DIDs and paths, and reads the contexts. An error is a sentence about one of them.
    pub(crate) fn parse(&self) -> Result<ForeignType, String> {
        let name = match (&self.vct, &self.credential_type) {
            (Some(vct), None) if self.other_types.is_empty() && self.contexts.is_empty() => {
                ForeignTypeName::Vct(vct.clone())
            }
            (None, Some(name)) => ForeignTypeName::Type(name.clone()),
            (Some(vct), None) => {
                return Err(format!("{}: other_types and contexts are for a credential_type", quoted(vct)));
            }
            _ => return Err("each type needs either a vct or a credential_type".to_owned()),
        };
        let issuers = self.issuers.iter().map(|did| parse_issuer(did)).collect::<Result<BTreeSet<_>, _>>()?;
        Ok(ForeignType {
            name,
            issuers,
            required: claims("required_claims", &self.required_claims)?,
            profile: VerificationProfile {
                requires_absolute_kid: !self.allow_relative_kid,
                requires_end: !self.allow_no_end,
                visible: claims("visible_claims", &self.visible_claims)?,
            },
            other_types: self.other_types.iter().cloned().collect(),
            contexts: self.contexts.iter().map(ForeignContextEntry::read).collect::<Result<_, _>>()?,
        })
    }
}

/// Parses the DID of an accepted issuer. An error is a sentence about it.
pub(crate) fn parse_issuer(text: &str) -> Result<Did, String> {
    Did::parse(text).map_err(|problem| format!("issuers: {text}: {problem}"))
}

impl ForeignContextEntry {
    fn read(&self) -> Result<ForeignContext, String> {
        let url = self.url.clone();
        let (file, sha256) = match (&self.file, &self.sha256) {
            (None, None) => return Ok(ForeignContext { url, document: None }),
            (Some(file), Some(sha256)) => (file, sha256.clone()),
            _ => return Err(format!("the context {} needs both file and sha256, or neither", quoted(&url))),
        };
        let text = read_catalogue_text(file).map_err(|error| format!("the context {}: {error}", quoted(&url)))?;
        Ok(ForeignContext { url, document: Some((text, sha256)) })
    }
}

fn claims(field: &str, texts: &[String]) -> Result<Vec<ClaimPath>, String> {
    let parse = |text: &String| {
        ForeignType::parse_claim_path(text)
            .ok_or_else(|| format!("{field}: {} is not the path of a claim", quoted(text)))
    };
    texts.iter().map(parse).collect()
}
