//! Registered identity of a relying party, and its intended uses (spec/registration.md section 2).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Problem,
    at_least::{Direction, OrderedValue, RelativeDay},
    did::{Did, DidUrl, PinnedKeyResolver},
    format::{CredentialFormat, RequestedFormat},
    keys::PublicKey,
    query::{CredentialQuery, Query},
    secure::sd_jwt::ClaimPath,
    trust::statement::{StatementKind, path},
};

use super::receipt_key::{self, ReceiptKey, ReceiptKeyState};

/// Maximum number of intended uses.
const MAX_USES: usize = 32;
const MAX_ENTRIES: usize = 64;
/// Maximum number of bounds of one claim and direction.
const MAX_BOUNDS: usize = 16;
/// Maximum length of the name of an organisation, of a legal identifier and of a type, in characters.
const MAX_NAME: usize = 200;
/// Maximum retention period of a verification result, in days: a hundred years.
const MAX_RETENTION_DAYS: u32 = 36_525;

/// Relying party as registered. The members are those of a registration certificate (ETSI TS 119 475 section 5.2.4),
/// with the intended uses included in one document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelyingParty {
    /// DID of the relying party.
    pub id: String,
    /// Name of the relying party.
    pub name: String,
    /// Legal identifier (ETSI EN 319 412-1), such as `VATDE-123456789`.
    #[serde(rename = "sub", default, skip_serializing_if = "Option::is_none")]
    pub legal_identifier: Option<String>,
    /// Country of the relying party (ISO 3166-1 alpha-2).
    pub country: String,
    /// https URL of the register in which it is listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry_uri: Option<String>,
    /// https URL of its privacy policy.
    pub privacy_policy: String,
    /// Contact for erasure requests and questions: an https URL or `mailto:` with an address.
    pub support_uri: String,
    /// Authority that supervises its processing of personal data.
    pub supervisory_authority: SupervisoryAuthority,
    /// Intended uses, one for each purpose; their ids are unique.
    pub intended_uses: Vec<IntendedUse>,
    /// Keys that sign its receipts and confirmations of erasure; empty in older registrations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub receipt_keys: Vec<ReceiptKey>,
}

/// Data protection authority, with at least one contact address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SupervisoryAuthority {
    /// Name of the authority.
    pub name: String,
    /// Email address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// https URL of its page for complaints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
}

/// Purpose, with the credentials that may be requested for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IntendedUse {
    /// Id that requests state: that of a request template, such as `job-right-to-work`.
    pub id: String,
    /// Purpose, by language tag; English is required.
    pub purpose: BTreeMap<String, String>,
    /// Legal basis, by language tag; English is required.
    pub legal_basis: BTreeMap<String, String>,
    /// Retention period of the verification result, in days.
    pub retention_days: u32,
    /// Credentials that may be requested.
    pub credentials: Vec<RegisteredCredential>,
}

/// Credential that may be requested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegisteredCredential {
    /// Format; `None`: any format with selective disclosure. Other formats disclose a credential as a whole, and must
    /// be stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<RequestedFormat>,
    /// Credential types that may be requested.
    pub meta: CredentialTypeMeta,
    /// Claims that may be requested; empty: only possession of the credential.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<RegisteredClaim>,
}

/// Credential types as in DCQL `meta`: exactly one of the two lists is present.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CredentialTypeMeta {
    /// Sets of types; a credential must have all types of one set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub type_values: Vec<Vec<String>>,
    /// `vct` values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vct_values: Vec<String>,
}

/// Claim that may be requested: its value, unless only threshold proofs are registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegisteredClaim {
    /// Path of the claim from the root of the credential; all claims below it are included.
    #[serde(with = "path")]
    pub path: ClaimPath,
    /// `true` if any lower bound may be requested, but not the value.
    #[serde(rename = "carnet_at_least", default, skip_serializing_if = "std::ops::Not::not")]
    pub at_least: bool,
    /// `true` if any upper bound may be requested, but not the value.
    #[serde(rename = "carnet_at_most", default, skip_serializing_if = "std::ops::Not::not")]
    pub at_most: bool,
    /// Permitted lower bounds; if empty, [`Self::at_least`] decides.
    #[serde(rename = "at_least", default, skip_serializing_if = "Vec::is_empty")]
    pub at_least_bounds: Vec<Value>,
    /// Permitted upper bounds; if empty, [`Self::at_most`] decides.
    #[serde(rename = "at_most", default, skip_serializing_if = "Vec::is_empty")]
    pub at_most_bounds: Vec<Value>,
}

impl RelyingParty {
    /// Returns the intended use with this id; `None` if there is none.
    #[must_use]
    pub fn intended_use(&self, id: &str) -> Option<&IntendedUse> {
        self.intended_uses.iter().find(|intended| intended.id == id)
    }

    /// Checks all limits, and that the ids of the intended uses are unique.
    pub(super) fn check_limits(&self, kind: &StatementKind) -> Result<(), Problem> {
        kind.check_did(&self.id, "id")?;
        kind.check_text(&self.name, "name", MAX_NAME)?;
        if let Some(identifier) = &self.legal_identifier {
            kind.check_text(identifier, "sub", MAX_NAME)?;
        }
        let country = self.country.len() == 2 && self.country.bytes().all(|byte| byte.is_ascii_uppercase());
        kind.require(country, "country", "is not two capital letters (ISO 3166-1)")?;
        if let Some(uri) = &self.registry_uri {
            kind.check_https_url(uri, "registry_uri")?;
        }
        kind.check_https_url(&self.privacy_policy, "privacy_policy")?;
        match self.support_uri.strip_prefix("mailto:") {
            Some(address) => kind.check_email(address, "support_uri")?,
            None => kind.check_https_url(&self.support_uri, "support_uri")?,
        }
        self.supervisory_authority.check_limits(kind)?;
        kind.check_count(self.intended_uses.len(), 1..=MAX_USES, "intended_uses")?;
        let mut ids = BTreeSet::new();
        let unique = self.intended_uses.iter().all(|intended| ids.insert(intended.id.as_str()));
        kind.require(unique, "intended_uses", "has an id twice")?;
        self.intended_uses.iter().try_for_each(|intended| intended.check_limits(kind))?;
        receipt_key::check_receipt_keys(&self.receipt_keys, &self.id, kind)
    }
}

impl RelyingParty {
    /// Returns the state of a receipt's signing key in this registration. `method` is its DID URL in the proof.
    #[must_use]
    pub fn receipt_key_state(&self, method: &DidUrl, key: &PublicKey) -> ReceiptKeyState {
        if self.receipt_keys.is_empty() {
            return ReceiptKeyState::NoKeysRegistered;
        }
        if self.receipt_keys.contains(&ReceiptKey::new(method, key)) {
            ReceiptKeyState::Registered
        } else {
            ReceiptKeyState::NotRegistered
        }
    }

    /// Returns a resolver for the verifier's DID that knows only the registered receipt keys.
    ///
    /// # Errors
    /// Those of [`Did::parse`] and [`PinnedKeyResolver::new`].
    pub fn receipt_resolver(&self) -> Result<PinnedKeyResolver, Problem> {
        let keys = self.receipt_keys.iter().map(|key| key.open().map(|(id, key)| (id.fragment().to_owned(), key)));
        PinnedKeyResolver::new(&Did::parse(&self.id)?, &keys.collect::<Result<Vec<_>, _>>()?)
    }
}

impl SupervisoryAuthority {
    fn check_limits(&self, kind: &StatementKind) -> Result<(), Problem> {
        kind.check_text(&self.name, "supervisory_authority.name", MAX_NAME)?;
        if let Some(email) = &self.email {
            kind.check_email(email, "supervisory_authority.email")?;
        }
        if let Some(uri) = &self.uri {
            kind.check_https_url(uri, "supervisory_authority.uri")?;
        }
        let reachable = self.email.is_some() || self.uri.is_some();
        kind.require(reachable, "supervisory_authority", "has neither email nor uri")
    }
}

impl IntendedUse {
    pub(super) fn check_limits(&self, kind: &StatementKind) -> Result<(), Problem> {
        kind.check_identifier(&self.id, "an intended use's id")?;
        kind.check_texts(&self.purpose, "purpose")?;
        kind.check_texts(&self.legal_basis, "legal_basis")?;
        kind.require(self.retention_days <= MAX_RETENTION_DAYS, "retention_days", "is more than a hundred years")?;
        kind.check_count(self.credentials.len(), 1..=MAX_ENTRIES, "credentials")?;
        self.credentials.iter().try_for_each(|credential| credential.check_limits(kind))
    }
}

impl RegisteredCredential {
    /// Returns the entries of a registration that permit the credentials and claims of this query. Accepted values are
    /// not included, and threshold proofs are permitted with any bound.
    #[must_use]
    pub fn from_query(query: &Query) -> Vec<Self> {
        query.credentials.iter().map(Self::from_credential_query).collect()
    }

    fn from_credential_query(query: &CredentialQuery) -> Self {
        let by_vct = query.format == CredentialFormat::DcSdJwt;
        let claims = query.claims.iter().map(|claim| {
            let direction = claim.threshold.as_ref().map(|threshold| threshold.direction());
            RegisteredClaim {
                path: claim.path.clone(),
                at_least: direction == Some(Direction::AtLeast),
                at_most: direction == Some(Direction::AtMost),
                at_least_bounds: Vec::new(),
                at_most_bounds: Vec::new(),
            }
        });
        Self {
            format: Some(query.format.clone()),
            meta: CredentialTypeMeta {
                type_values: if by_vct { Vec::new() } else { query.type_values.clone() },
                vct_values: if by_vct { query.vct_values.clone() } else { Vec::new() },
            },
            claims: claims.collect(),
        }
    }

    fn check_limits(&self, kind: &StatementKind) -> Result<(), Problem> {
        if let Some(format) = &self.format {
            kind.check_text(format.as_str(), "format", MAX_NAME)?;
        }
        let CredentialTypeMeta { type_values, vct_values } = &self.meta;
        kind.require(
            type_values.is_empty() != vct_values.is_empty(),
            "meta",
            "must have exactly one of type_values and vct_values",
        )?;
        kind.check_count(type_values.len().max(vct_values.len()), 1..=MAX_ENTRIES, "meta")?;
        for types in type_values {
            kind.check_count(types.len(), 1..=MAX_ENTRIES, "type_values")?;
            // Every credential has this type, so that it alone would register all of them.
            let names_one = types.iter().any(|name| name != "VerifiableCredential");
            kind.require(names_one, "type_values", "names only the type VerifiableCredential")?;
        }
        type_values.iter().flatten().chain(vct_values).try_for_each(|name| kind.check_text(name, "meta", MAX_NAME))?;
        kind.check_count(self.claims.len(), 0..=MAX_ENTRIES, "claims")?;
        self.claims.iter().try_for_each(|claim| claim.check_limits(kind))
    }
}

impl RegisteredClaim {
    /// Returns the registered bounds for a direction; empty if any bound or none is registered.
    #[must_use]
    pub fn bounds(&self, direction: Direction) -> &[Value] {
        match direction {
            Direction::AtLeast => &self.at_least_bounds,
            Direction::AtMost => &self.at_most_bounds,
        }
    }

    /// Returns whether threshold proofs in a direction are registered, with any bound or only with some.
    #[must_use]
    pub fn permits_threshold(&self, direction: Direction) -> bool {
        let any = match direction {
            Direction::AtLeast => self.at_least,
            Direction::AtMost => self.at_most,
        };
        any || !self.bounds(direction).is_empty()
    }

    fn check_limits(&self, kind: &StatementKind) -> Result<(), Problem> {
        for direction in Direction::ALL {
            let bounds = self.bounds(direction);
            kind.check_count(bounds.len(), 0..=MAX_BOUNDS, direction.as_str())?;
            let is_bound = |bound: &Value| match bound.as_str().map(RelativeDay::parse) {
                Some(Err(_)) => false,
                Some(Ok(Some(_))) => true,
                Some(Ok(None)) | None => OrderedValue::from_threshold(bound).is_ok(),
            };
            kind.require(bounds.iter().all(is_bound), direction.as_str(), "has an invalid bound")?;
        }
        Ok(())
    }
}
