//! Credential types of other ecosystems, known from configuration instead of a directory (spec/foreign-types.md).

use std::collections::BTreeSet;

use carnet_core::{
    Code, Problem,
    credential::CONTEXT_V2,
    did::Did,
    format::CredentialFormat,
    query::{CredentialQuery, contains, path_to_text, values_at},
    readable::paths_without_selective_disclosure,
    secure::sd_jwt::{ClaimPath, Step},
    text::quoted,
    verify::VerificationProfile,
};
use serde_json::{Map, Value};

use crate::{
    CredentialType, SpecError,
    claims::{self, BASE_TYPE},
};

/// Maximum length of a name, in bytes.
const MAX_NAME: usize = 512;
/// Member with the claims of a credential of the W3C data model.
const SUBJECT: &str = "credentialSubject";

/// Credential type of another ecosystem, by some of its issuers.
///
/// Several may have the same name, with different issuers: what one relaxes holds for its own issuers alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignType {
    /// Name of the type, also in results.
    pub name: ForeignTypeName,
    /// Issuers to which the entry applies.
    pub issuers: BTreeSet<Did>,
    /// Claims that each presentation must disclose, by their paths in the secured payload.
    pub required: Vec<ClaimPath>,
    /// Requirements of the default profile that are relaxed.
    pub profile: VerificationProfile,
    /// Further types that a credential may have, for the W3C data model.
    pub other_types: BTreeSet<String>,
    /// JSON-LD contexts that a credential may have besides that of VCDM 2.0.
    pub contexts: Vec<ForeignContext>,
}

/// Name of a foreign type, which also determines its formats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForeignTypeName {
    /// `vct`, for `dc+sd-jwt`.
    Vct(String),
    /// Type besides `VerifiableCredential`, for the formats of the W3C data model.
    Type(String),
}

/// JSON-LD context of a foreign type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignContext {
    /// URL.
    pub url: String,
    /// Text, and SHA-256 of its bytes in lower-case hex, for cryptosuites that process contexts; `None`: only other
    /// cryptosuites can verify the credentials.
    pub document: Option<(String, String)>,
}

impl ForeignTypeName {
    /// Returns the `vct` or the type.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let (Self::Vct(name) | Self::Type(name)) = self;
        name
    }
}

impl ForeignType {
    /// Creates a foreign type with this `vct`, on the default profile.
    #[must_use]
    pub fn sd_jwt_vc(vct: String, issuers: BTreeSet<Did>) -> Self {
        Self {
            name: ForeignTypeName::Vct(vct),
            issuers,
            required: Vec::new(),
            profile: VerificationProfile::default(),
            other_types: BTreeSet::new(),
            contexts: Vec::new(),
        }
    }

    /// Parses the path of a claim in the payload, such as `address.country` or `nationalities[]`; `None` if it is
    /// malformed.
    #[must_use]
    pub fn parse_claim_path(text: &str) -> Option<ClaimPath> {
        claims::parse_path(text, &[])
    }

    /// Checks the disclosed payload of a credential.
    ///
    /// # Errors
    /// `context_unknown`: another context; `type_unknown`: another type; `schema_violation`: a required claim is not
    /// disclosed, or a member outside of the subject is neither metadata nor visible.
    fn check_disclosed(&self, disclosed: &Map<String, Value>) -> Result<(), Problem> {
        if let ForeignTypeName::Type(_) = self.name {
            self.check_document(disclosed)?;
        }
        match self.required.iter().find(|path| values_at(disclosed, path).is_empty()) {
            None => Ok(()),
            Some(path) => Err(Problem::new(
                Code::SchemaViolation,
                format!("{} is not disclosed, and this verifier requires it", path_to_text(path)),
            )),
        }
    }

    fn check_document(&self, document: &Map<String, Value>) -> Result<(), Problem> {
        let has = |url: &str| url == CONTEXT_V2 || self.contexts.iter().any(|context| context.url == url);
        let contexts = document.get("@context").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if !contexts.iter().all(|context| context.as_str().is_some_and(has)) {
            return Err(Problem::new(
                Code::ContextUnknown,
                "the configuration does not name a context of the credential",
            ));
        }
        let types = match document.get("type") {
            Some(Value::Array(several)) => several.as_slice(),
            Some(one) => std::slice::from_ref(one),
            None => &[],
        };
        let types: Vec<&str> = types.iter().filter_map(Value::as_str).filter(|name| *name != BASE_TYPE).collect();
        if !self.has_types(&types) {
            return Err(Problem::new(Code::TypeUnknown, "the configuration does not name a type of the credential"));
        }
        // A credential that is disclosed as a whole has no other bound on what stands outside of the claims.
        let members = paths_without_selective_disclosure(CredentialFormat::VcSdJwt, document);
        let mut outside = members.into_iter().filter(|path| path.first() != Some(&Step::Name(SUBJECT.to_owned())));
        match outside.find(|path| !self.profile.is_visible(path)) {
            None => Ok(()),
            Some(path) => Err(Problem::new(
                Code::SchemaViolation,
                format!("{} is neither metadata nor among the visible claims", path_to_text(&path)),
            )),
        }
    }

    /// Returns whether a credential may have these types besides `VerifiableCredential`.
    fn has_types(&self, types: &[&str]) -> bool {
        let ForeignTypeName::Type(own) = &self.name else { return false };
        types.contains(&own.as_str()) && types.iter().all(|name| *name == own || self.other_types.contains(*name))
    }

    /// Returns the first required claim that some answer to the query would lack.
    fn unrequested_claim<'a>(&'a self, query: &CredentialQuery) -> Option<&'a ClaimPath> {
        if !query.format.known().is_some_and(CredentialFormat::is_sd_jwt) {
            return None;
        }
        let asks = |path: &ClaimPath, set: Option<&Vec<String>>| {
            let in_set = |id: &Option<String>| set.is_none_or(|set| id.as_ref().is_some_and(|id| set.contains(id)));
            query.claims.iter().any(|claim| in_set(&claim.id) && contains(&claim.path, path))
        };
        let always = |path: &ClaimPath| {
            self.profile.is_visible(path)
                || if query.claim_sets.is_empty() {
                    asks(path, None)
                } else {
                    query.claim_sets.iter().all(|set| asks(path, Some(set)))
                }
        };
        self.required.iter().find(|path| !always(path))
    }
}

/// Foreign types of a catalogue. Each pair of name and issuer occurs once.
#[derive(Debug, Clone, Default)]
pub(crate) struct ForeignTypes(Vec<ForeignType>);

impl ForeignTypes {
    /// Checks foreign types against each other and against the types of the catalogue.
    pub(crate) fn new<'a>(
        foreign: Vec<ForeignType>,
        types: impl Iterator<Item = &'a CredentialType> + Clone,
    ) -> Result<Self, SpecError> {
        let wrong = |name: &str, what: &str, hint: &str| {
            Err(SpecError::file("foreign_types", format!("{}: {what}", quoted(name)), hint))
        };
        let is_own =
            |name: &str| name == BASE_TYPE || types.clone().any(|known| known.has_vct(name) || known.name == name);
        for (at, new) in foreign.iter().enumerate() {
            let name = new.name.as_str();
            if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
                let what = "the vct or type is not 1 to 512 visible ASCII characters";
                return wrong(name, what, "Copy it from a credential");
            }
            if is_own(name) || new.other_types.iter().any(|name| is_own(name)) {
                let what = "the catalogue has this type, and its own rules apply";
                return wrong(name, what, "Accept its issuers with [[issuers]]");
            }
            if new.issuers.is_empty() {
                return wrong(name, "it has no issuers", "Name the DID of each issuer that is accepted");
            }
            let earlier = foreign.iter().take(at).filter(|known| known.name.as_str() == name);
            if earlier.into_iter().any(|known| known.name != new.name || !known.issuers.is_disjoint(&new.issuers)) {
                return wrong(
                    name,
                    "an issuer is in two entries for it, or it is a vct and a type",
                    "Keep one of them",
                );
            }
        }
        Ok(Self(foreign))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &ForeignType> {
        self.0.iter()
    }

    /// Returns whether a foreign type has this name in results.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        self.0.iter().any(|known| known.name.as_str() == name)
    }

    pub(crate) fn has_vct(&self, vct: &str) -> bool {
        self.0.iter().any(|known| matches!(&known.name, ForeignTypeName::Vct(own) if own == vct))
    }

    pub(crate) fn has_type(&self, name: &str) -> bool {
        self.0.iter().any(|known| matches!(&known.name, ForeignTypeName::Type(own) if own == name))
    }

    /// Returns the name of the foreign type with these types besides `VerifiableCredential`.
    pub(crate) fn name_of(&self, types: &[&str]) -> Option<&str> {
        self.0.iter().find(|known| known.has_types(types)).map(|known| known.name.as_str())
    }

    /// Returns the entry that applies to the credentials of an issuer.
    pub(crate) fn entry(&self, name: &str, issuer: &str) -> Option<&ForeignType> {
        let is_issuer = |known: &ForeignType| known.issuers.iter().any(|did| did.as_str() == issuer);
        self.0.iter().find(|known| known.name.as_str() == name && is_issuer(known))
    }

    /// Checks the disclosed payload of a credential against the entry for its issuer. Without an entry there is no
    /// rule here: the issuer is not accepted for the type.
    pub(crate) fn check_disclosed(&self, name: &str, disclosed: &Map<String, Value>) -> Result<(), Problem> {
        let issuer = match disclosed.get("issuer").filter(|_| self.has_type(name)).or_else(|| disclosed.get("iss")) {
            Some(Value::Object(issuer)) => issuer.get("id"),
            issuer => issuer,
        };
        let issuer = issuer.and_then(Value::as_str).unwrap_or_default();
        self.entry(name, issuer).map_or(Ok(()), |entry| entry.check_disclosed(disclosed))
    }

    /// Returns a sentence about a required claim that some answer to the query would lack; `None` if there is none.
    pub(crate) fn missing_required_claim(&self, query: &CredentialQuery) -> Option<String> {
        let is_asked = |known: &&ForeignType| match &known.name {
            ForeignTypeName::Vct(vct) => query.vct_values.contains(vct),
            ForeignTypeName::Type(name) => query.type_values.iter().any(|types| types.contains(name)),
        };
        self.0.iter().filter(is_asked).find_map(|known| {
            let claim = path_to_text(known.unrequested_claim(query)?);
            let (id, name) = (&query.id, known.name.as_str());
            Some(format!("\"{id}\" can be answered without {claim}, which the configuration requires for {name}"))
        })
    }
}
