//! Credential type: its names, schema, context, and disclosable claims.

use std::{collections::BTreeMap, sync::Arc};

use carnet_core::{
    Code, Problem,
    credential::CONTEXT_V2,
    format::CredentialFormat,
    query::Threshold,
    secure::{
        copy::{CopyContent, CopyProfile},
        sd_jwt::{ClaimPath, OrderedClaim, PaddedArray, Step},
    },
    trust::list::LimitingClaims,
};
use jsonschema::{ValidationError, error::ValidationErrorKind};
use serde_json::{Map, Value, json};

use schema::SchemaValidator;

use crate::{
    DisplayTexts,
    claim_error::{ClaimError, DescribedType},
    claims,
    computed::ComputedClaim,
    display::FALLBACK_LANGUAGE,
    ordered::ThresholdClaim,
    serials::SerialClaims,
};

mod read;
mod schema;

/// Permitted top-level members of a credential in the W3C formats: those of the data model that Carnet reads, and those
/// that JOSE adds. Any other member would be disclosed without a request.
const TOP_LEVEL_MEMBERS: [&str; 14] = [
    "@context",
    "type",
    "issuer",
    "validFrom",
    "validUntil",
    "credentialSubject",
    "credentialStatus",
    "status",
    "proof",
    "cnf",
    "iss",
    "iat",
    "nbf",
    "exp",
];

const SUBJECT: &str = "credentialSubject";

/// Credential type of the catalogue.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CredentialType {
    /// Name in `type`, such as `QualificationCredential`.
    pub name: String,
    /// `vct` in SD-JWT VC: a URN, or the URL in `vct.toml`.
    pub vct: String,
    /// Value of `vct#integrity` in its credentials, the digest of the type metadata; `None`: the credentials have none.
    pub vct_integrity: Option<String>,
    /// Built-in `vct` that the URL in `vct.toml` replaced; `None` if it was not replaced.
    pub(crate) builtin_vct: Option<String>,
    /// URL of the JSON-LD context, second in `@context`.
    pub context_url: String,
    /// Parsed JSON-LD context.
    pub context: Value,
    /// Bytes of the context, from which the digest is computed.
    pub context_bytes: Vec<u8>,
    /// Pinned SHA-256 of those bytes, in lower-case hex.
    pub context_sha256: String,
    /// JSON Schema (2020-12), which also accepts credentials with any claims undisclosed: that of `schema.json`,
    /// extended by the arrays of commitments of the ordered claims.
    pub schema: Value,
    /// Selectively disclosable claims in `vc+sd-jwt`, by their paths from the root of the credential.
    pub disclosable_claims: Vec<ClaimPath>,
    /// Claims whose thresholds can be proved (spec/at-least.md section 3), with directions, by their paths in
    /// `vc+sd-jwt` from the root of the credential.
    pub ordered_claims: Vec<OrderedClaim>,
    /// Claims and members that are never selectively disclosable, since the security depends on them, as text paths
    /// from the root of the credential.
    pub always_disclosed: Vec<String>,
    /// Default validity period of a credential, in days.
    pub validity_days: u32,
    /// Example credential before it is secured.
    pub example: Value,
    /// Names of the computed claims, which are derived from other claims or stated by the issuer so that a verifier can
    /// request less.
    pub computed_claims: Vec<String>,
    /// Claims that no request may require, as text paths below credentialSubject.
    pub never_mandatory: Vec<String>,
    /// Claims that the issuer generates, unless the offer contains them: 256 random bits in base64url, or
    /// [`Self::serials`].
    pub generated_claims: Vec<String>,
    /// Serials by which uses are counted; `None` if the type has none.
    pub serials: Option<SerialClaims>,
    /// Earlier versions of the type. They are no longer issued; their credentials are valid until they expire.
    pub former_versions: Vec<FormerVersion>,
    /// Claims required for issuance, as text paths below credentialSubject.
    pub required_at_issuance: Vec<String>,
    /// Claims whose values many people share, as text paths below credentialSubject.
    pub widely_shared: Vec<String>,
    /// Claims whose values identify a person or are sensitive, as text paths below credentialSubject.
    pub identifying: Vec<String>,
    /// Claims to which an issuer's accreditation can be limited: country and level.
    pub limiting_claims: LimitingClaims,
    /// Requirements on copies of credentials that are stricter than the standards.
    pub copy_profile: CopyProfile,
    /// `true` if the type is built in. A wallet can then reproduce the bytes of a copy.
    pub is_builtin: bool,
    /// Claims among `always`, by their paths from the root of the credential.
    always_claims: Vec<ClaimPath>,
    paths: Vec<String>,
    computed_rules: Vec<ComputedClaim>,
    threshold_claims: Vec<ThresholdClaim>,
    computed_booleans: Vec<String>,
    english: DisplayTexts,
    displays: BTreeMap<String, DisplayTexts>,
    validator: Arc<SchemaValidator>,
}

/// Earlier version of a credential type.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FormerVersion {
    /// `vct` of that version.
    pub vct: String,
    /// URL of the JSON-LD context.
    pub context_url: String,
    /// Bytes of the context, from which the digest is computed.
    pub context_bytes: Vec<u8>,
    /// Pinned SHA-256 of those bytes, in lower-case hex.
    pub context_sha256: String,
    /// Names of the claims that only this version has, below credentialSubject.
    pub claims: Vec<String>,
}

/// Payload of a copy, and the options for securing it as an SD-JWT.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct UnsecuredCopy {
    /// Payload or VCDM document, before it is secured.
    pub payload: Map<String, Value>,
    /// Paths of the selectively disclosable claims in the payload.
    pub disclosable: Vec<ClaimPath>,
    /// Ordered claims, for which thresholds can be proved, by their paths in the payload.
    pub ordered: Vec<OrderedClaim>,
    /// Arrays with a fixed number of digests, by their paths in the payload.
    pub padded: Vec<PaddedArray>,
}

impl CredentialType {
    /// Creates the unsecured payload of a copy in a format, with the paths of its disclosable and ordered claims
    /// (spec/protocol.md 2.1).
    #[must_use]
    pub fn unsecured_copy(&self, format: CredentialFormat, content: &CopyContent<'_>) -> UnsecuredCopy {
        let padded = self.serials.iter().map(|serials| serials.padded_array(format)).collect();
        if format == CredentialFormat::DcSdJwt {
            UnsecuredCopy {
                payload: content.to_sd_jwt_vc_payload(),
                disclosable: self.disclosable_in_sd_jwt_vc(),
                ordered: self.ordered_in_sd_jwt_vc(),
                padded,
            }
        } else {
            let (disclosable, ordered) = (self.disclosable_claims.clone(), self.ordered_claims.clone());
            UnsecuredCopy { payload: content.to_document(), disclosable, ordered, padded }
        }
    }

    /// Returns whether credentials of the type can be issued in a format. A type with serials needs a format that can
    /// hide them.
    #[must_use]
    pub fn can_be_issued_as(&self, format: CredentialFormat) -> bool {
        self.serials.is_none() || format.is_sd_jwt()
    }

    /// Returns whether a `vct` belongs to the type or to one of its earlier versions.
    #[must_use]
    pub fn has_vct(&self, vct: &str) -> bool {
        self.vcts().any(|own| own == vct) || self.former_versions.iter().any(|former| former.vct == vct)
    }

    /// Returns each `vct` of the current version: its own, and the built-in one if a URL replaced it.
    pub fn vcts(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.vct.as_str()).chain(self.builtin_vct.as_deref())
    }

    /// Returns whether the claims include one that only an earlier version of the type has.
    #[must_use]
    pub fn is_former_version(&self, claims: &Map<String, Value>) -> bool {
        self.former_versions.iter().flat_map(|former| &former.claims).any(|name| claims.contains_key(name))
    }

    /// Returns all JSON-LD contexts of the type, including earlier versions: URL, bytes, and SHA-256 of the bytes.
    pub fn contexts(&self) -> impl Iterator<Item = (&str, &[u8], &str)> {
        let former = self.former_versions.iter();
        let former =
            former.map(|one| (one.context_url.as_str(), one.context_bytes.as_slice(), one.context_sha256.as_str()));
        let own = (self.context_url.as_str(), self.context_bytes.as_slice(), self.context_sha256.as_str());
        std::iter::once(own).chain(former)
    }

    /// Returns the errors in claims to be issued, as sentences for staff, at most one for each claim. The list may be
    /// empty for invalid claims: [`Self::validate_claims`] decides.
    #[must_use]
    pub fn claim_errors(&self, claims: &Map<String, Value>) -> Vec<ClaimError> {
        let is_made = |name: &str| self.is_commitments(name);
        let described = self.described(&is_made);
        let theirs = claims.iter().filter(|(name, _)| *name != "id" && !is_made(name));
        let theirs: Map<String, Value> = theirs.map(|(name, value)| (name.clone(), value.clone())).collect();
        let document = self.as_document(&theirs);
        let id = claims
            .contains_key("id")
            .then(|| DescribedType::created_by_issuance("id", "issuance sets it, from the holder's key"));
        let made = claims.keys().filter(|name| is_made(name));
        let made = made.map(|name| DescribedType::created_by_issuance(name, "issuance makes the commitments"));
        let validator = self.validator.compiled(&self.schema).ok();
        let errors: Vec<_> = validator.iter().flat_map(|validator| validator.iter_errors(&document)).collect();
        let broken = errors.iter().flat_map(|error| described.claim_errors(error));
        // Issuance generates these if they are missing.
        let drawn = |name: &&String| self.generated_claims.contains(name);
        let missing = self.required_at_issuance.iter().filter(|name| !claims.contains_key(*name) && !drawn(name));
        let missing = missing.map(|name| described.missing_claim(std::slice::from_ref(name)));
        let computed = self.computed_rules.iter().filter_map(|rule| rule.claim_error(claims));
        let mut faults: Vec<ClaimError> = Vec::new();
        for name in
            self.former_versions.iter().flat_map(|former| &former.claims).filter(|name| claims.contains_key(*name))
        {
            let wanted = "it belongs to an earlier version of the type, which is no longer issued".to_owned();
            faults.push(ClaimError { path: name.clone(), given_form: None, expected: wanted, nearest: None });
        }
        faults.extend(self.serials.iter().filter_map(|serials| serials.count_error(claims)));
        for fault in id.into_iter().chain(made).chain(broken).chain(missing).chain(computed) {
            // One claim may violate several rules.
            if faults.iter().all(|known| known.path != fault.path) {
                faults.push(fault);
            }
        }
        faults
    }

    /// Returns whether a claim of credentialSubject is a date, such as `dateOfBirth`.
    #[must_use]
    pub fn is_date(&self, name: &str) -> bool {
        self.described(&|_| false).is_date(name)
    }

    fn described<'a>(&'a self, is_made: &'a dyn Fn(&str) -> bool) -> DescribedType<'a> {
        DescribedType {
            name: &self.name,
            schema: &self.schema,
            example: &self.example,
            is_created_by_issuance: is_made,
        }
    }

    /// Validates the claims of a credential to be issued: credentialSubject without `id`.
    ///
    /// # Errors
    /// `schema_violation`: an unknown claim, a malformed value, a missing required claim, a computed claim that
    /// contradicts its rule, a claim of an earlier version, an `id`, or commitments, which only the issuer computes.
    /// `schema_indeterminate`: the schema could not be applied.
    pub fn validate_claims(&self, claims: &Map<String, Value>) -> Result<(), Problem> {
        if claims.contains_key("id") {
            return Err(Problem::new(
                Code::SchemaViolation,
                "the claims have an id; issuance sets it, from the holder's key",
            ));
        }
        if let Some(name) = claims.keys().find(|name| self.is_commitments(name)) {
            return Err(Problem::new(
                Code::SchemaViolation,
                format!("the claim {name} is for commitments, which issuance makes"),
            ));
        }
        if self.is_former_version(claims) {
            let detail = format!("the claims are those of an earlier version of {}", self.name);
            return Err(Problem::new(Code::SchemaViolation, detail));
        }
        if let Some(name) = self.required_at_issuance.iter().find(|name| !claims.contains_key(*name)) {
            return Err(Problem::new(
                Code::SchemaViolation,
                format!("the claim {name} is missing; {} needs it", self.name),
            ));
        }
        self.validate_document(&self.as_document(claims))?;
        self.serials.iter().try_for_each(|serials| serials.check_count(claims))?;
        self.computed_rules.iter().try_for_each(|rule| rule.check(claims))
    }

    /// Adds the computed claims that are absent.
    ///
    /// # Errors
    /// `schema_violation`: a computed claim contradicts its rule.
    pub fn add_computed_claims(&self, claims: &Map<String, Value>) -> Result<Map<String, Value>, Problem> {
        let mut complete = claims.clone();
        for rule in &self.computed_rules {
            rule.check(claims)?;
            if let (false, Some(value)) = (claims.contains_key(&rule.claim), rule.compute(claims)) {
                complete.insert(rule.claim.clone(), value);
            }
        }
        Ok(complete)
    }

    /// Validates the disclosed part of a credential in the W3C data model.
    ///
    /// # Errors
    /// `context_unknown`: a context that does not belong to this type. `schema_violation`, also for an unknown
    /// top-level member. `schema_indeterminate`: the schema could not be applied.
    pub fn check_disclosed(&self, document: &Map<String, Value>) -> Result<(), Problem> {
        let contexts = document.get("@context").and_then(Value::as_array);
        let own = |url: &str| self.contexts().any(|(known, ..)| known == url);
        let known = |context: &Value| context.as_str().is_some_and(|url| url == CONTEXT_V2 || own(url));
        if contexts.is_some_and(|contexts| !contexts.iter().all(known)) {
            return Err(Problem::new(Code::ContextUnknown, format!("{} has its own context and no other", self.name)));
        }
        if let Some(name) = document.keys().find(|name| !TOP_LEVEL_MEMBERS.contains(&name.as_str())) {
            return Err(Problem::new(
                Code::SchemaViolation,
                format!("\"{name}\" at the top belongs to no credential of {}", self.name),
            ));
        }
        self.validate_document(&Value::Object(document.clone()))
    }

    /// Validates the disclosed part of an SD-JWT VC payload, whose unregistered members are the claims of
    /// credentialSubject.
    ///
    /// # Errors
    /// `type_unknown`: another `vct`. `schema_violation`, also for a `vct#integrity` that is not the type's.
    /// `schema_indeterminate`: the schema could not be applied.
    pub fn check_disclosed_sd_jwt_vc(&self, payload: &Map<String, Value>) -> Result<(), Problem> {
        if !payload.get("vct").and_then(Value::as_str).is_some_and(|vct| self.has_vct(vct)) {
            return Err(Problem::new(Code::TypeUnknown, format!("the vct is not that of {}", self.name)));
        }
        let is_own = payload.get("vct").and_then(Value::as_str) == Some(self.vct.as_str());
        if let (Some(own), Some(stated), true) = (&self.vct_integrity, payload.get("vct#integrity"), is_own)
            && stated.as_str() != Some(own)
        {
            return Err(Problem::new(
                Code::SchemaViolation,
                format!("vct#integrity is not the digest of the metadata of {}", self.name),
            ));
        }
        self.validate_document(&self.as_document(&claims::claims_of_sd_jwt_vc(payload)))
    }

    /// Returns the selectively disclosable claims by their paths in `dc+sd-jwt`, which has the claims at the top level.
    #[must_use]
    pub fn disclosable_in_sd_jwt_vc(&self) -> Vec<ClaimPath> {
        self.disclosable_claims.iter().map(|path| path.iter().skip(1).cloned().collect()).collect()
    }

    /// Returns the ordered claims by their paths in `dc+sd-jwt`, which has the claims at the top level.
    #[must_use]
    pub fn ordered_in_sd_jwt_vc(&self) -> Vec<OrderedClaim> {
        let at_top = |claim: &OrderedClaim| OrderedClaim {
            path: claim.path.iter().skip(1).cloned().collect(),
            direction: claim.direction,
        };
        self.ordered_claims.iter().map(at_top).collect()
    }

    /// Returns whether a member of credentialSubject is an array of commitments to thresholds, which is not displayed.
    #[must_use]
    pub fn is_commitments(&self, name: &str) -> bool {
        self.threshold_claims.iter().any(|order| order.commitments_name() == name)
    }

    /// Returns whether a threshold can be proved for a claim: the type orders it in this direction, and the bound has
    /// its form. `path` is a text path below credentialSubject.
    #[must_use]
    pub fn can_prove_threshold(&self, path: &str, threshold: &Threshold) -> bool {
        self.threshold_claims.iter().any(|order| order.can_prove(path, threshold))
    }

    /// Returns the display texts in a language: for that tag, otherwise for its primary language, otherwise in English.
    #[must_use]
    pub fn display_texts(&self, language: &str) -> &DisplayTexts {
        let primary = language.split(['-', '_']).next().unwrap_or_default();
        [language, primary].iter().find_map(|tag| self.displays.get(*tag)).unwrap_or(&self.english)
    }

    /// Returns the language tags in which the type has display texts, English first.
    pub fn languages(&self) -> impl Iterator<Item = &str> {
        std::iter::once(FALLBACK_LANGUAGE).chain(self.displays.keys().map(String::as_str))
    }

    /// Returns the claims of the example: credentialSubject without `id`.
    #[must_use]
    pub fn example_claims(&self) -> Map<String, Value> {
        let mut claims = self.example.get("credentialSubject").and_then(Value::as_object).cloned().unwrap_or_default();
        claims.remove("id");
        claims
    }

    /// Returns whether the type has this claim. `path` is a text path below credentialSubject, such as
    /// `learningOutcomes[].title`.
    #[must_use]
    pub fn has_claim(&self, path: &str) -> bool {
        self.paths.iter().any(|known| known == path)
    }

    /// Returns the text paths of all claims, below credentialSubject.
    pub(crate) fn claim_paths(&self) -> impl Iterator<Item = &str> {
        self.paths.iter().map(String::as_str)
    }

    /// Returns whether the type lists this claim, or one that contains it, as one that no request may require. `path`
    /// is a text path below credentialSubject.
    #[must_use]
    pub fn is_never_mandatory(&self, path: &str) -> bool {
        claims::is_within(path, &self.never_mandatory)
    }

    /// Returns whether the type declares a claim, or one that contains it, as never selectively disclosable. The path
    /// is that in the secured payload of the format.
    pub(crate) fn is_always_disclosed(&self, format: CredentialFormat, path: &[Step]) -> bool {
        let is_claim_of_jwt_vc =
            format == CredentialFormat::DcSdJwt && path.first() != Some(&Step::Name("cnf".to_owned()));
        let subject = Step::Name(SUBJECT.to_owned());
        let from_root: Vec<&Step> = is_claim_of_jwt_vc.then_some(&subject).into_iter().chain(path).collect();
        self.always_claims.iter().any(|known| {
            let matches = |(known, step): (&Step, &&Step)| match (known, step) {
                (Step::All, Step::Index(_)) => true,
                (known, step) => known == *step,
            };
            known.len() <= from_root.len() && known.iter().zip(&from_root).all(matches)
        })
    }

    /// Returns whether a claim is a computed boolean. `path` is a text path below credentialSubject.
    pub(crate) fn is_computed_boolean(&self, path: &str) -> bool {
        self.computed_booleans.iter().any(|known| known == path)
    }

    /// Returns whether the type lists this claim, or one that contains it, as shared by many people.
    pub(crate) fn is_widely_shared(&self, path: &str) -> bool {
        claims::is_within(path, &self.widely_shared)
    }

    /// Returns whether the type lists this claim, or one that contains it, as identifying or sensitive.
    pub(crate) fn is_identifying(&self, path: &str) -> bool {
        claims::is_within(path, &self.identifying)
    }

    /// Returns a document of this type with these claims, to which the schema can be applied.
    fn as_document(&self, claims: &Map<String, Value>) -> Value {
        let mut subject = claims.clone();
        // An `id` given by the caller is refused like an unknown claim.
        if subject.contains_key("id") {
            subject.insert("unexpected id".to_owned(), Value::Null);
        }
        subject.insert("id".to_owned(), json!("did:example:holder"));
        json!({
            "@context": [CONTEXT_V2, self.context_url],
            "type": ["VerifiableCredential", self.name],
            "issuer": "did:example:issuer",
            "validFrom": "2000-01-01T00:00:00Z",
            "validUntil": "2000-01-02T00:00:00Z",
            "credentialSubject": subject,
        })
    }

    /// Validates a document with the schema: `schema_indeterminate` if an error means that the schema could not be
    /// applied, otherwise the first violation.
    fn validate_document(&self, document: &Value) -> Result<(), Problem> {
        let indeterminate =
            || Problem::new(Code::SchemaIndeterminate, format!("the schema of {} could not be applied", self.name));
        let validator = self.validator.compiled(&self.schema).map_err(|_| indeterminate())?;
        let mut violation = None;
        for error in validator.iter_errors(document) {
            if is_indeterminate(error.kind()) {
                return Err(indeterminate());
            }
            violation.get_or_insert_with(|| self.violation(&error));
        }
        violation.map_or(Ok(()), Err)
    }

    /// Converts a validation error to a `schema_violation` that names the place and the rule, never the value.
    fn violation(&self, error: &ValidationError<'_>) -> Problem {
        let place = error.instance_path().to_string();
        let place = if place.is_empty() { "the credential".to_owned() } else { place };
        Problem::new(
            Code::SchemaViolation,
            format!("{place} breaks the rule \"{}\" of {}", error.kind().keyword(), self.name),
        )
    }
}

/// Returns whether a validation error means that the schema could not be applied, not that the document violates it.
fn is_indeterminate(kind: &ValidationErrorKind) -> bool {
    use ValidationErrorKind as Kind;
    let any = |branches: &[Vec<ValidationError<'static>>]| {
        branches.iter().flatten().any(|error| is_indeterminate(error.kind()))
    };
    match kind {
        Kind::BacktrackLimitExceeded { .. }
        | Kind::RegexEngineFailure { .. }
        | Kind::Custom { .. }
        | Kind::FromUtf8 { .. }
        | Kind::Referencing(_) => true,
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } | Kind::OneOfMultipleValid { context } => {
            any(context)
        }
        Kind::PropertyNames { error } => is_indeterminate(error.kind()),
        _ => false,
    }
}
