//! A credential type: its names, its schema, its context, and its disclosable claims.

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
use jsonschema::{ValidationError, Validator, error::ValidationErrorKind};
use serde_json::{Map, Value, json};

use crate::{
    Display,
    claim_fault::{ClaimFault, Described},
    claims,
    computed::Computed,
    display::FALLBACK,
    ordered::Order,
    serials::Serials,
};

mod read;

/// Members that a credential may have at its top, in any of the W3C formats: those of the data model that Carnet
/// reads, and those that JOSE adds. Nobody would be asked about any other member that an issuer put there.
const TOP: [&str; 14] = [
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

/// A type of the catalogue.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CredentialType {
    /// Its name in `type`, such as `QualificationCredential`.
    pub name: String,
    /// Its `vct` in SD-JWT VC.
    pub vct: String,
    /// The URL of its JSON-LD context, second in `@context`.
    pub context_url: String,
    /// The context, parsed.
    pub context: Value,
    /// The context's bytes, over which the digest is.
    pub context_bytes: Vec<u8>,
    /// The pinned SHA-256 of those bytes, in lower-case hex.
    pub context_sha256: String,
    /// Its JSON Schema (2020-12), which a credential obeys with any of its claims withheld. It is that of
    /// `schema.json`, with the arrays of commitments of the ordered claims.
    pub schema: Value,
    /// The paths that are selectively disclosable in `vc+sd-jwt`, from the credential's root.
    pub disclosable: Vec<ClaimPath>,
    /// The claims whose thresholds can be proved (spec/at-least.md section 3), each with its direction, by their
    /// paths in `vc+sd-jwt` from the credential's root.
    pub ordered: Vec<OrderedClaim>,
    /// Claims that are always visible, because security needs them. Paths as text.
    pub always: Vec<String>,
    /// Default validity of a credential, in days, unless its offer states another.
    pub validity_days: u32,
    /// A worked example: the credential before it is secured.
    pub example: Value,
    /// The claims that follow from others, below credentialSubject.
    pub computed: Vec<String>,
    /// The claims that no request may make a condition, below credentialSubject.
    pub never_mandatory: Vec<String>,
    /// The claims that the issuer draws, unless an offer brings them: 256 random bits in base64url, or
    /// [`Self::serials`].
    pub drawn: Vec<String>,
    /// The serials by which uses are counted, for a type that has them.
    pub serials: Option<Serials>,
    /// Earlier versions of the type. They are no longer issued, and their credentials hold until they end.
    pub former: Vec<FormerVersion>,
    /// The claims without which the issuer may not issue, below credentialSubject.
    pub required_at_issuance: Vec<String>,
    /// The claims that many people share, below credentialSubject.
    pub coarse: Vec<String>,
    /// Claims that single a person out, or that few need to know, below credentialSubject.
    pub fine: Vec<String>,
    /// Claims that an issuer's accreditation can be limited by: country and level.
    pub limiting: LimitingClaims,
    /// The form that copies have, as far as Carnet is stricter than the standards.
    pub copies: CopyProfile,
    /// `true` if the type is built in, so that a wallet can reproduce each byte of a copy.
    pub bundled: bool,
    /// The claims among `always`, from the credential's root.
    always_claims: Vec<ClaimPath>,
    paths: Vec<String>,
    rules: Vec<Computed>,
    orders: Vec<Order>,
    answers: Vec<String>,
    english: Display,
    displays: BTreeMap<String, Display>,
    validator: Arc<Validator>,
}

/// An earlier version of a type.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FormerVersion {
    /// Its `vct`.
    pub vct: String,
    /// The URL of its JSON-LD context.
    pub context_url: String,
    /// The context's bytes, over which the digest is.
    pub context_bytes: Vec<u8>,
    /// The pinned SHA-256 of those bytes, in lower-case hex.
    pub context_sha256: String,
    /// The claims that only this version has, below credentialSubject.
    pub claims: Vec<String>,
}

/// The payload of a copy, and its claims that an SD-JWT hides.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CopyForm {
    /// The payload or document, before it is secured.
    pub payload: Map<String, Value>,
    /// The paths that are selectively disclosable.
    pub disclosable: Vec<ClaimPath>,
    /// The claims whose thresholds can be proved.
    pub ordered: Vec<OrderedClaim>,
    /// The arrays that have a fixed number of digests.
    pub padded: Vec<PaddedArray>,
}

impl CredentialType {
    /// Forms the payload of a copy in one of the formats (spec/protocol.md 2.1).
    #[must_use]
    pub fn copy_form(&self, format: CredentialFormat, content: &CopyContent<'_>) -> CopyForm {
        let padded = self.serials.iter().map(|serials| serials.padded(format)).collect();
        if format == CredentialFormat::DcSdJwt {
            CopyForm {
                payload: content.sd_jwt_vc(),
                disclosable: self.disclosable_in_sd_jwt_vc(),
                ordered: self.ordered_in_sd_jwt_vc(),
                padded,
            }
        } else {
            let (disclosable, ordered) = (self.disclosable.clone(), self.ordered.clone());
            CopyForm { payload: content.document(), disclosable, ordered, padded }
        }
    }

    /// Returns whether credentials of the type can be issued in a format: serials have to be hidden.
    #[must_use]
    pub fn is_issued_as(&self, format: CredentialFormat) -> bool {
        self.serials.is_none() || format.is_sd_jwt()
    }

    /// Returns whether a `vct` is the type's own, or that of an earlier version.
    #[must_use]
    pub fn has_vct(&self, vct: &str) -> bool {
        self.vct == vct || self.former.iter().any(|former| former.vct == vct)
    }

    /// Returns whether claims are those of an earlier version of the type.
    #[must_use]
    pub fn is_former(&self, claims: &Map<String, Value>) -> bool {
        self.former.iter().flat_map(|former| &former.claims).any(|name| claims.contains_key(name))
    }

    /// Every JSON-LD context of the type's credentials, earlier versions included: URL, bytes, and SHA-256 of the
    /// bytes.
    pub fn contexts(&self) -> impl Iterator<Item = (&str, &[u8], &str)> {
        let former = self.former.iter();
        let former =
            former.map(|one| (one.context_url.as_str(), one.context_bytes.as_slice(), one.context_sha256.as_str()));
        let own = (self.context_url.as_str(), self.context_bytes.as_slice(), self.context_sha256.as_str());
        std::iter::once(own).chain(former)
    }

    /// Returns the fault of each claim that is to be issued, in a registrar's words; empty if all claims are allowed
    /// as they are. [`Self::validate_claims`] decides.
    #[must_use]
    pub fn claim_faults(&self, claims: &Map<String, Value>) -> Vec<ClaimFault> {
        let is_made = |name: &str| self.is_commitments(name);
        let described = self.described(&is_made);
        let theirs = claims.iter().filter(|(name, _)| *name != "id" && !is_made(name));
        let theirs: Map<String, Value> = theirs.map(|(name, value)| (name.clone(), value.clone())).collect();
        let document = self.as_document(&theirs);
        let id = claims.contains_key("id").then(|| Described::made("id", "issuance sets it, from the holder's key"));
        let made = claims.keys().filter(|name| is_made(name));
        let made = made.map(|name| Described::made(name, "issuance makes the commitments"));
        let errors: Vec<_> = self.validator.iter_errors(&document).collect();
        let broken = errors.iter().flat_map(|error| described.faults(error));
        // Issuance draws these where they are missing.
        let drawn = |name: &&String| self.drawn.contains(name);
        let missing = self.required_at_issuance.iter().filter(|name| !claims.contains_key(*name) && !drawn(name));
        let missing = missing.map(|name| described.missing(std::slice::from_ref(name)));
        let computed = self.rules.iter().filter_map(|rule| rule.fault(claims));
        let mut faults: Vec<ClaimFault> = Vec::new();
        for name in self.former.iter().flat_map(|former| &former.claims).filter(|name| claims.contains_key(*name)) {
            let wanted = "it belongs to an earlier version of the type, which is no longer issued".to_owned();
            faults.push(ClaimFault { path: name.clone(), given: None, wanted, nearest: None });
        }
        faults.extend(self.serials.iter().filter_map(|serials| serials.claim_fault(claims)));
        for fault in id.into_iter().chain(made).chain(broken).chain(missing).chain(computed) {
            // One claim may break several rules.
            if faults.iter().all(|known| known.path != fault.path) {
                faults.push(fault);
            }
        }
        faults
    }

    /// Returns whether a claim of credentialSubject is a day, such as `dateOfBirth`.
    #[must_use]
    pub fn is_day(&self, name: &str) -> bool {
        self.described(&|_| false).is_day(name)
    }

    fn described<'a>(&'a self, is_made: &'a dyn Fn(&str) -> bool) -> Described<'a> {
        Described { name: &self.name, schema: &self.schema, example: &self.example, is_made }
    }

    /// Validates the claims of a credential that is to be issued: all of credentialSubject but its `id`.
    ///
    /// # Errors
    /// schema_violation: an unknown claim, a value of the wrong form, a required claim missing, a computed claim that
    /// does not follow from the others, or commitments, which only the issuer computes.
    /// schema_indeterminate: the schema could not be applied.
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
        if self.is_former(claims) {
            let detail = format!("the claims are those of an earlier version of {}", self.name);
            return Err(Problem::new(Code::SchemaViolation, detail));
        }
        if let Some(name) = self.required_at_issuance.iter().find(|name| !claims.contains_key(*name)) {
            return Err(Problem::new(
                Code::SchemaViolation,
                format!("the claim {name} is missing; {} needs it", self.name),
            ));
        }
        self.apply(&self.as_document(claims))?;
        self.serials.iter().try_for_each(|serials| serials.check(claims))?;
        self.rules.iter().try_for_each(|rule| rule.check(claims))
    }

    /// The same claims with those added that follow from them, where they are absent.
    ///
    /// # Errors
    /// schema_violation: a computed claim is there and does not follow from the others.
    pub fn complete(&self, claims: &Map<String, Value>) -> Result<Map<String, Value>, Problem> {
        let mut complete = claims.clone();
        for rule in &self.rules {
            rule.check(claims)?;
            if let (false, Some(value)) = (claims.contains_key(&rule.claim), rule.value(claims)) {
                complete.insert(rule.claim.clone(), value);
            }
        }
        Ok(complete)
    }

    /// Validates the disclosed part of a credential in the W3C data model.
    ///
    /// # Errors
    /// context_unknown: a context that is not one of this type's. schema_violation; schema_indeterminate.
    pub fn check_disclosed(&self, document: &Map<String, Value>) -> Result<(), Problem> {
        let contexts = document.get("@context").and_then(Value::as_array);
        let own = |url: &str| self.contexts().any(|(known, ..)| known == url);
        let known = |context: &Value| context.as_str().is_some_and(|url| url == CONTEXT_V2 || own(url));
        if contexts.is_some_and(|contexts| !contexts.iter().all(known)) {
            return Err(Problem::new(Code::ContextUnknown, format!("{} has its own context and no other", self.name)));
        }
        if let Some(name) = document.keys().find(|name| !TOP.contains(&name.as_str())) {
            return Err(Problem::new(
                Code::SchemaViolation,
                format!("\"{name}\" at the top belongs to no credential of {}", self.name),
            ));
        }
        self.apply(&Value::Object(document.clone()))
    }

    /// Validates the disclosed part of the payload of an SD-JWT VC: its members but the registered ones are the
    /// claims of credentialSubject.
    ///
    /// # Errors
    /// type_unknown: another `vct`. schema_violation; schema_indeterminate.
    pub fn check_disclosed_sd_jwt_vc(&self, payload: &Map<String, Value>) -> Result<(), Problem> {
        if !payload.get("vct").and_then(Value::as_str).is_some_and(|vct| self.has_vct(vct)) {
            return Err(Problem::new(Code::TypeUnknown, format!("the vct is not that of {}", self.name)));
        }
        self.apply(&self.as_document(&claims::of_sd_jwt_vc(payload)))
    }

    /// Returns the paths that are selectively disclosable in `dc+sd-jwt`, where the claims are at the top.
    #[must_use]
    pub fn disclosable_in_sd_jwt_vc(&self) -> Vec<ClaimPath> {
        self.disclosable.iter().map(|path| path.iter().skip(1).cloned().collect()).collect()
    }

    /// Returns the ordered claims by their paths in `dc+sd-jwt`, where the claims are at the top.
    #[must_use]
    pub fn ordered_in_sd_jwt_vc(&self) -> Vec<OrderedClaim> {
        let at_top = |claim: &OrderedClaim| OrderedClaim {
            path: claim.path.iter().skip(1).cloned().collect(),
            direction: claim.direction,
        };
        self.ordered.iter().map(at_top).collect()
    }

    /// Returns whether a member of credentialSubject is an array of commitments, which says nothing to people.
    #[must_use]
    pub fn is_commitments(&self, name: &str) -> bool {
        self.orders.iter().any(|order| order.commitments() == name)
    }

    /// Returns whether a threshold can be proved of a claim: a path below credentialSubject as text.
    #[must_use]
    pub fn proves(&self, path: &str, threshold: &Threshold) -> bool {
        self.orders.iter().any(|order| order.proves(path, threshold))
    }

    /// The type's words in a language: for that tag, for its primary language, or in English.
    #[must_use]
    pub fn display(&self, language: &str) -> &Display {
        let primary = language.split(['-', '_']).next().unwrap_or_default();
        [language, primary].iter().find_map(|tag| self.displays.get(*tag)).unwrap_or(&self.english)
    }

    /// The languages that the type has words in.
    pub fn languages(&self) -> impl Iterator<Item = &str> {
        std::iter::once(FALLBACK).chain(self.displays.keys().map(String::as_str))
    }

    /// The claims of the example: credentialSubject without `id`.
    #[must_use]
    pub fn example_claims(&self) -> Map<String, Value> {
        let mut claims = self.example.get("credentialSubject").and_then(Value::as_object).cloned().unwrap_or_default();
        claims.remove("id");
        claims
    }

    /// Returns whether the type has this claim: a path below credentialSubject as text, such as
    /// `learningOutcomes[].title`.
    #[must_use]
    pub fn has_claim(&self, path: &str) -> bool {
        self.paths.iter().any(|known| known == path)
    }

    /// The paths of all its claims, below credentialSubject.
    pub(crate) fn claim_paths(&self) -> impl Iterator<Item = &str> {
        self.paths.iter().map(String::as_str)
    }

    /// Returns whether no request may make this claim, or one below it, a condition.
    #[must_use]
    pub fn is_never_mandatory(&self, path: &str) -> bool {
        claims::is_within(path, &self.never_mandatory)
    }

    /// Returns true if the type names a claim, or one around it, as always disclosed. The path is that of the secured
    /// payload in a format.
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

    /// Returns whether a claim is a computed boolean, which tells least: a path below credentialSubject as text.
    pub(crate) fn is_answer(&self, path: &str) -> bool {
        self.answers.iter().any(|known| known == path)
    }

    /// Returns whether many people share the value of this claim, or of the one that contains it.
    pub(crate) fn is_coarse(&self, path: &str) -> bool {
        claims::is_within(path, &self.coarse)
    }

    /// Returns whether this claim, or the one that contains it, singles a person out, or tells what few need to know.
    pub(crate) fn is_fine(&self, path: &str) -> bool {
        claims::is_within(path, &self.fine)
    }

    /// A document of this type around some claims, to apply the schema to.
    fn as_document(&self, claims: &Map<String, Value>) -> Value {
        let mut subject = claims.clone();
        // An `id` of the caller's would be checked as a claim that the type does not have.
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

    /// Applies the schema. Only a run without any error is a success; an error that is not the document's fault
    /// outweighs the others.
    fn apply(&self, document: &Value) -> Result<(), Problem> {
        let mut violation = None;
        for error in self.validator.iter_errors(document) {
            if is_indeterminate(error.kind()) {
                return Err(Problem::new(
                    Code::SchemaIndeterminate,
                    format!("the schema of {} could not be applied", self.name),
                ));
            }
            violation.get_or_insert_with(|| self.violation(&error));
        }
        violation.map_or(Ok(()), Err)
    }

    /// Names the place and the rule, never the value.
    fn violation(&self, error: &ValidationError<'_>) -> Problem {
        let place = error.instance_path().to_string();
        let place = if place.is_empty() { "the credential".to_owned() } else { place };
        Problem::new(
            Code::SchemaViolation,
            format!("{place} breaks the rule \"{}\" of {}", error.kind().keyword(), self.name),
        )
    }
}

/// Errors that say that the schema could not be applied, rather than that the document breaks it.
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
