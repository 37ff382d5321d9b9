//! A credential type: its names, its schema, its context, and what may be withheld.

use std::{collections::BTreeMap, sync::Arc};

use carnet_core::{
    Code, Problem,
    credential::CONTEXT_V2,
    query::Threshold,
    secure::sd_jwt::{ClaimPath, OrderedClaim},
};
use jsonschema::{Draft, ValidationError, Validator, error::ValidationErrorKind};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::{
    Display, SpecError,
    claims::{self, Claim},
    computed::{Computed, ComputedText},
    display::FALLBACK,
    folder::Folder,
    ordered::{self, Order, OrderedText},
};

/// What every type keeps visible: without these nothing could be verified.
const NEEDED: [&str; 7] = ["@context", "type", "issuer", "validFrom", "validUntil", "cnf", "credentialSubject.id"];

/// What a credential may have at its top, in each of the W3C formats: the data model's members that Carnet reads,
/// and those that JOSE adds. What else an issuer put there nobody would be asked about.
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
    /// Its JSON Schema (2020-12), which a credential obeys whichever of its claims are withheld. It is that of
    /// `schema.json`, with the arrays of commitments of the ordered claims.
    pub schema: Value,
    /// The paths that are selectively disclosable in `vc+sd-jwt`, from the credential's root.
    pub disclosable: Vec<ClaimPath>,
    /// The claims whose thresholds can be proved (spec/at-least.md section 3), each with its direction, by their
    /// paths in `vc+sd-jwt` from the credential's root.
    pub ordered: Vec<OrderedClaim>,
    /// What is always visible, and why nothing else is: security needs it. Paths as text.
    pub always: Vec<String>,
    /// How long a credential holds unless its offer says otherwise, in days.
    pub validity_days: u32,
    /// A worked example: the credential before it is secured.
    pub example: Value,
    /// The claims that follow from others, below credentialSubject.
    pub computed: Vec<String>,
    /// The claims that no request may make a condition, below credentialSubject.
    pub never_mandatory: Vec<String>,
    /// The claims without which the issuer may not issue, below credentialSubject.
    pub required_at_issuance: Vec<String>,
    /// The claims that many people share, below credentialSubject.
    pub coarse: Vec<String>,
    /// The claims that single a person out, or tell what few have to know, below credentialSubject.
    pub fine: Vec<String>,
    paths: Vec<String>,
    rules: Vec<Computed>,
    orders: Vec<Order>,
    english: Display,
    displays: BTreeMap<String, Display>,
    validator: Arc<Validator>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    name: String,
    vct: String,
    context: String,
    context_sha256: String,
    validity_days: u32,
    always: Vec<String>,
    disclosable: Vec<String>,
    #[serde(default)]
    never_mandatory: Vec<String>,
    required_at_issuance: Vec<String>,
    #[serde(default)]
    computed: Vec<ComputedText>,
    #[serde(default)]
    ordered: Vec<OrderedText>,
    #[serde(default)]
    coarse: Vec<String>,
    #[serde(default)]
    fine: Vec<String>,
}

impl CredentialType {
    /// Holds the claims of a credential that is to be issued to the type: all of credentialSubject but its `id`.
    ///
    /// # Errors
    /// schema_violation: an unknown claim, a value of the wrong form, a required claim missing, a computed claim
    /// that does not follow from the others, or commitments, which are for the issuer to make.
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
        if let Some(name) = self.required_at_issuance.iter().find(|name| !claims.contains_key(*name)) {
            return Err(Problem::new(
                Code::SchemaViolation,
                format!("the claim {name} is missing; {} needs it", self.name),
            ));
        }
        self.apply(&self.as_document(claims))?;
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

    /// Holds a credential in the W3C data model to the type, as far as it is disclosed.
    ///
    /// # Errors
    /// context_unknown: a context that is not one of this type's. schema_violation; schema_indeterminate.
    pub fn check_disclosed(&self, document: &Map<String, Value>) -> Result<(), Problem> {
        let contexts = document.get("@context").and_then(Value::as_array);
        let known = |context: &Value| context.as_str().is_some_and(|url| url == CONTEXT_V2 || url == self.context_url);
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

    /// Holds the payload of an SD-JWT VC to the type, as far as it is disclosed: its members but the registered ones
    /// are the claims of credentialSubject.
    ///
    /// # Errors
    /// type_unknown: another `vct`. schema_violation; schema_indeterminate.
    pub fn check_disclosed_sd_jwt_vc(&self, payload: &Map<String, Value>) -> Result<(), Problem> {
        if payload.get("vct").and_then(Value::as_str) != Some(self.vct.as_str()) {
            return Err(Problem::new(Code::TypeUnknown, format!("the vct is not that of {}", self.name)));
        }
        self.apply(&self.as_document(&claims::of_sd_jwt_vc(payload)))
    }

    /// The paths that are selectively disclosable in `dc+sd-jwt`, where the claims stand at the top.
    #[must_use]
    pub fn disclosable_in_sd_jwt_vc(&self) -> Vec<ClaimPath> {
        self.disclosable.iter().map(|path| path.iter().skip(1).cloned().collect()).collect()
    }

    /// The ordered claims by their paths in `dc+sd-jwt`, where the claims stand at the top.
    #[must_use]
    pub fn ordered_in_sd_jwt_vc(&self) -> Vec<OrderedClaim> {
        let at_top = |claim: &OrderedClaim| OrderedClaim {
            path: claim.path.iter().skip(1).cloned().collect(),
            direction: claim.direction,
        };
        self.ordered.iter().map(at_top).collect()
    }

    /// Whether a member of credentialSubject is an array of commitments, which says nothing to people.
    #[must_use]
    pub fn is_commitments(&self, name: &str) -> bool {
        self.orders.iter().any(|order| order.commitments() == name)
    }

    /// Whether a threshold can be proved of a claim: a path below credentialSubject as text.
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

    /// Whether the type has this claim: a path below credentialSubject as text, such as `learningOutcomes[].title`.
    #[must_use]
    pub fn has_claim(&self, path: &str) -> bool {
        self.paths.iter().any(|known| known == path)
    }

    /// Whether no request may make this claim (or what is below it) a condition.
    #[must_use]
    pub fn is_never_mandatory(&self, path: &str) -> bool {
        claims::is_within(path, &self.never_mandatory)
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
    /// outweighs those that are.
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

    /// Reads a type's folder and holds its files to each other.
    pub(crate) fn read(folder: &Folder) -> Result<Self, SpecError> {
        let mut text: Text = folder.toml("type.toml")?;
        let mut schema = folder.json("schema.json")?;
        let claims = schema
            .pointer("/properties/credentialSubject")
            .ok_or_else(|| "it has no properties.credentialSubject".to_owned())
            .and_then(claims::of_schema)
            .map_err(|what| {
                SpecError::file(folder.path("schema.json"), what, "List every claim, each object closed")
            })?;
        let wrong = |what: String, hint: &str| SpecError::file(folder.path("type.toml"), what, hint);
        consistent(&text, &claims).map_err(|(what, hint)| wrong(what, hint))?;
        let parse = |path: &String| {
            claims::parse_path(path, &["credentialSubject"])
                .ok_or_else(|| wrong(format!("\"{path}\" is not a path"), "Write it as a.b or a[].b"))
        };
        let disclosable = text.disclosable.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        let rules = std::mem::take(&mut text.computed).into_iter().map(Computed::new).collect::<Result<Vec<_>, _>>();
        let rules = rules.map_err(|what| wrong(what, "Correct the rule"))?;
        let paths: Vec<String> = claims.iter().map(|claim| claim.path.clone()).collect();
        for name in rules.iter().flat_map(|rule| rule.source().into_iter().chain([rule.claim.as_str()])) {
            if !paths.iter().any(|path| path == name) {
                return Err(wrong(
                    format!("[[computed]] names \"{name}\", which the schema does not have"),
                    "Correct the name",
                ));
            }
        }
        let orders = Order::read_all(&text.ordered, &text.disclosable, &claims, &schema)
            .map_err(|what| wrong(what, "Mark what can be compared, or take the mark away"))?;
        ordered::allow_commitments(&mut schema, &orders);
        let validator = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .should_validate_formats(true)
            .should_ignore_unknown_formats(false)
            .offline()
            .build(&schema)
            .map_err(|error| {
                SpecError::file(
                    folder.path("schema.json"),
                    format!("is not a JSON Schema 2020-12 ({error})"),
                    "Correct it",
                )
            })?;
        let (context, context_bytes) = read_context(folder, &text, &claims, &orders)?;
        let english = Display::read_english(folder, &claims, &orders)?;
        let read = Self {
            displays: Display::read_others(folder, &claims, &orders, &english)?,
            english,
            example: folder.json("example.json")?,
            name: text.name,
            vct: text.vct,
            context_url: text.context,
            context,
            context_bytes,
            context_sha256: text.context_sha256,
            schema,
            disclosable,
            ordered: orders.iter().map(Order::path).collect(),
            always: text.always,
            validity_days: text.validity_days,
            computed: rules.iter().map(|rule| rule.claim.clone()).collect(),
            never_mandatory: text.never_mandatory,
            required_at_issuance: text.required_at_issuance,
            coarse: text.coarse,
            fine: text.fine,
            paths,
            rules,
            orders,
            validator: Arc::new(validator),
        };
        let example = read.example.as_object().ok_or_else(|| Problem::from(Code::InvalidJson));
        example
            .and_then(|example| read.check_disclosed(example))
            .and_then(|()| read.validate_claims(&read.example_claims()))
            .map_err(|problem| {
                SpecError::file(folder.path("example.json"), problem.detail, "Correct the example, or the schema")
            })?;
        Ok(read)
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

/// Every claim is either disclosable or always visible; what is always visible is what security needs.
fn consistent(text: &Text, claims: &[Claim]) -> Result<(), (String, &'static str)> {
    if text.name.is_empty() || !text.name.chars().all(|c| c.is_ascii_alphanumeric()) {
        return Err((
            "the name has other characters than letters and digits".to_owned(),
            "Name it like QualificationCredential",
        ));
    }
    if text.validity_days == 0 {
        return Err(("validity_days is 0".to_owned(), "Say for how many days a credential holds"));
    }
    for needed in NEEDED {
        if !text.always.iter().any(|name| name == needed) {
            return Err((format!("always lacks \"{needed}\""), "Add it: security needs it"));
        }
    }
    for claim in claims {
        let always = text.always.contains(&format!("credentialSubject.{}", claim.path));
        if always == text.disclosable.contains(&claim.path) {
            return Err((
                format!("\"{}\" has to stand in disclosable, or in always, and not in both", claim.path),
                "Put it into disclosable unless security needs it",
            ));
        }
    }
    let known = |path: &String| claims.iter().any(|claim| claim.path == *path);
    let classed = || text.coarse.iter().chain(&text.fine);
    let listed = text.disclosable.iter().chain(&text.never_mandatory).chain(&text.required_at_issuance);
    for path in listed.chain(classed()) {
        if !known(path) {
            return Err((format!("\"{path}\" is not in the schema"), "Correct the name, or add it to schema.json"));
        }
    }
    if let Some(path) = text.coarse.iter().find(|path| text.fine.contains(path)) {
        return Err((format!("\"{path}\" stands in coarse and in fine"), "Choose one"));
    }
    let answers = |path: &&String| {
        text.computed.iter().any(|computed| computed.claim == **path)
            && claims.iter().any(|claim| claim.path == **path && claim.boolean)
    };
    if let Some(path) = classed().find(answers) {
        return Err((format!("\"{path}\" is a computed yes or no"), "Leave it out of coarse and fine"));
    }
    if let Some(path) = text.never_mandatory.iter().find(|path| !claims::is_within(path, &text.fine)) {
        return Err((format!("\"{path}\" is never_mandatory and not fine"), "Put it into fine: it tells much"));
    }
    if text.required_at_issuance.is_empty() {
        return Err((
            "required_at_issuance is empty".to_owned(),
            "Name the claims without which the credential says nothing",
        ));
    }
    Ok(())
}

/// The context, if it has its pinned digest and defines every term.
fn read_context(
    folder: &Folder,
    text: &Text,
    claims: &[Claim],
    orders: &[Order],
) -> Result<(Value, Vec<u8>), SpecError> {
    let wrong = |what: String, hint: String| SpecError::file(folder.path("context.jsonld"), what, hint);
    let bytes = folder.text("context.jsonld")?.as_bytes().to_vec();
    let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    if digest != text.context_sha256 {
        return Err(wrong(
            "does not have the SHA-256 that type.toml pins".to_owned(),
            format!(
                "If the change is meant, set context_sha256 = \"{digest}\", and a new context URL once the type is in use"
            ),
        ));
    }
    let context = folder.json("context.jsonld")?;
    let terms = context.get("@context");
    if terms.and_then(|terms| terms.get("@protected")) != Some(&Value::Bool(true)) {
        return Err(wrong("is not @protected".to_owned(), "Add \"@protected\": true".to_owned()));
    }
    let names = claims.iter().filter_map(|claim| claim.name.clone()).chain([text.name.clone()]);
    let mut names = names.chain(orders.iter().map(Order::commitments));
    if let Some(missing) = names.find(|name| terms.and_then(|terms| terms.get(name)).is_none()) {
        return Err(wrong(
            format!("does not define \"{missing}\""),
            "Define every claim, its commitments, and the type".to_owned(),
        ));
    }
    Ok((context, bytes))
}
