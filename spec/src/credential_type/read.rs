//! Parser for the directory of a credential type, with consistency checks of its files.

use std::sync::Arc;

use carnet_core::{
    Code, Problem,
    secure::{copy::CopyProfile, sd_jwt::ClaimPath},
    trust::list::LimitingClaims,
};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{CredentialType, FormerVersion};
use crate::{
    DisplayTexts, SpecError,
    claims::{self, SchemaClaim},
    computed::{ComputedClaim, ComputedClaimToml},
    ordered::{self, OrderedClaimToml, ThresholdClaim},
    serials::SerialClaims,
    type_files::TypeFiles,
};

/// Members that every type must list as never selectively disclosable: verification needs them.
const ALWAYS_REQUIRED: [&str; 7] =
    ["@context", "type", "issuer", "validFrom", "validUntil", "cnf", "credentialSubject.id"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TypeFile {
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
    computed: Vec<ComputedClaimToml>,
    #[serde(default)]
    drawn: Vec<GeneratedClaimToml>,
    serials: Option<SerialClaims>,
    #[serde(default)]
    former: Vec<FormerVersionToml>,
    #[serde(default)]
    ordered: Vec<OrderedClaimToml>,
    #[serde(default)]
    coarse: Vec<String>,
    #[serde(default)]
    fine: Vec<String>,
    #[serde(default)]
    trust: LimitingClaimsToml,
}

/// Claim that the issuer generates.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GeneratedClaimToml {
    claim: String,
}

/// Earlier version of the type, whose credentials remain valid.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FormerVersionToml {
    vct: String,
    context: String,
    context_sha256: String,
    file: String,
    claims: Vec<String>,
}

/// Claims to which an accreditation can be limited.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct LimitingClaimsToml {
    #[serde(default)]
    country: Vec<String>,
    #[serde(default)]
    level: Vec<String>,
}

/// Parses the claim paths among `always`. A name without a dot is metadata, and no claim.
fn always_claims(always: &[String]) -> Result<Vec<ClaimPath>, String> {
    let paths = always.iter().filter(|path| path.contains('.') && *path != "credentialSubject.id");
    paths.map(|path| claims::parse_path(path, &[]).ok_or_else(|| format!("\"{path}\" is not a path"))).collect()
}

impl CredentialType {
    /// Reads the directory of a credential type and checks its files for consistency.
    pub(crate) fn read(folder: &TypeFiles) -> Result<Self, SpecError> {
        let mut text: TypeFile = folder.toml("type.toml")?;
        let mut schema = folder.json("schema.json")?;
        let claims = schema
            .pointer("/properties/credentialSubject")
            .ok_or_else(|| "it has no properties.credentialSubject".to_owned())
            .and_then(claims::claims_of_schema)
            .map_err(|what| {
                SpecError::file(folder.display_path("schema.json"), what, "List every claim, each object closed")
            })?;
        let wrong = |what: String, hint: &str| SpecError::file(folder.display_path("type.toml"), what, hint);
        check_consistency(&text, &claims).map_err(|(what, hint)| wrong(what, hint))?;
        let parse = |path: &String| {
            claims::parse_path(path, &["credentialSubject"])
                .ok_or_else(|| wrong(format!("\"{path}\" is not a path"), "Write it as a.b or a[].b"))
        };
        let answers = computed_booleans(&text, &claims);
        let disclosable = text.disclosable.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        let always_claims = always_claims(&text.always).map_err(|what| wrong(what, "Write it as a.b or a[].b"))?;
        let limiting = LimitingClaims {
            country: text.trust.country.iter().map(parse).collect::<Result<_, _>>()?,
            level: text.trust.level.iter().map(parse).collect::<Result<_, _>>()?,
        };
        let rules =
            std::mem::take(&mut text.computed).into_iter().map(ComputedClaim::new).collect::<Result<Vec<_>, _>>();
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
        let orders = ThresholdClaim::read_all(&text.ordered, &text.disclosable, &claims, &schema)
            .map_err(|what| wrong(what, "Mark what can be compared, or take the mark away"))?;
        ordered::add_commitments_to_schema(&mut schema, &orders);
        let names = claims.iter().filter_map(|claim| claim.name.clone()).chain([text.name.clone()]);
        let names = names.chain(orders.iter().map(ThresholdClaim::commitments_name)).collect();
        let (context, context_bytes) = read_context(folder, "context.jsonld", &text.context_sha256, names)?;
        let former = text.former.iter().map(|former| former.read(folder, &text.name)).collect::<Result<_, _>>()?;
        let drawn = text.drawn.into_iter().map(|drawn| drawn.claim);
        let drawn = drawn.chain(text.serials.as_ref().map(|serials| serials.claim.clone())).collect();
        let english = DisplayTexts::read_english(folder, &claims, &orders)?;
        Ok(Self {
            displays: DisplayTexts::read_others(folder, &claims, &orders, &english)?,
            english,
            example: folder.json("example.json")?,
            name: text.name,
            vct: text.vct,
            vct_integrity: None,
            builtin_vct: None,
            context_url: text.context,
            context,
            context_bytes,
            context_sha256: text.context_sha256,
            schema,
            disclosable_claims: disclosable,
            ordered_claims: orders.iter().map(ThresholdClaim::ordered_claim).collect(),
            always_disclosed: text.always,
            validity_days: text.validity_days,
            computed_claims: rules.iter().map(|rule| rule.claim.clone()).collect(),
            never_mandatory: text.never_mandatory,
            generated_claims: drawn,
            serials: text.serials,
            former_versions: former,
            required_at_issuance: text.required_at_issuance,
            widely_shared: text.coarse,
            identifying: text.fine,
            limiting_claims: limiting,
            always_claims,
            paths,
            computed_rules: rules,
            threshold_claims: orders,
            computed_booleans: answers,
            copy_profile: CopyProfile::default(),
            is_builtin: false,
            validator: Arc::default(),
        })
    }

    /// Compiles the schema, and validates the type's example with it. Built-in types are validated by tests instead.
    pub(crate) fn check_schema(&self, folder: &TypeFiles) -> Result<(), SpecError> {
        self.validator.compiled(&self.schema).map_err(|error| {
            let what = format!("is not a JSON Schema 2020-12 ({error})");
            SpecError::file(folder.display_path("schema.json"), what, "Correct it")
        })?;
        let example = self.example.as_object().ok_or_else(|| Problem::from(Code::InvalidJson));
        example
            .and_then(|example| self.check_disclosed(example))
            .and_then(|()| self.validate_claims(&self.example_claims()))
            .map_err(|problem| {
                SpecError::file(
                    folder.display_path("example.json"),
                    problem.detail,
                    "Correct the example, or the schema",
                )
            })
    }
}

/// Checks `type.toml` against the claims of the schema: every claim is either disclosable or always disclosed, all
/// listed names are known, and the lists do not contradict each other. An error is a description and a hint.
fn check_consistency(text: &TypeFile, claims: &[SchemaClaim]) -> Result<(), (String, &'static str)> {
    if text.name.is_empty() || !text.name.chars().all(|c| c.is_ascii_alphanumeric()) {
        return Err((
            "the name has other characters than letters and digits".to_owned(),
            "Name it like QualificationCredential",
        ));
    }
    if text.validity_days == 0 {
        return Err(("validity_days is 0".to_owned(), "Say for how many days a credential holds"));
    }
    for needed in ALWAYS_REQUIRED {
        if !text.always.iter().any(|name| name == needed) {
            return Err((format!("always lacks \"{needed}\""), "Add it: security needs it"));
        }
    }
    for claim in claims {
        let always = text.always.contains(&format!("credentialSubject.{}", claim.path));
        if always == text.disclosable.contains(&claim.path) {
            return Err((
                format!("\"{}\" must be in exactly one of disclosable and always", claim.path),
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
    if let Some(path) =
        text.trust.country.iter().chain(&text.trust.level).find(|path| !known(path) || path.contains("[]"))
    {
        return Err((
            format!("[trust] names \"{path}\", which is not in the schema or is in an array"),
            "Name a claim that occurs once in a credential",
        ));
    }
    if let Some(drawn) = text.drawn.iter().find(|drawn| !text.required_at_issuance.contains(&drawn.claim)) {
        return Err((
            format!("[[drawn]] names \"{}\", which is not required_at_issuance", drawn.claim),
            "Name a claim that each credential has",
        ));
    }
    if let Some(what) = text
        .serials
        .as_ref()
        .and_then(|serials| serials.definition_error(&text.disclosable, &text.required_at_issuance))
    {
        return Err((what, "Name an array of texts, how many there are, and who may be shown one"));
    }
    if let Some(former) = text.former.iter().flat_map(|former| &former.claims).find(|claim| !known(claim)) {
        return Err((format!("[[former]] names \"{former}\", which is not in the schema"), "Correct the name"));
    }
    if let Some(path) = text.coarse.iter().find(|path| text.fine.contains(path)) {
        return Err((format!("\"{path}\" is in both coarse and fine"), "Choose one"));
    }
    let answers = computed_booleans(text, claims);
    if let Some(path) = classed().find(|path| answers.contains(path)) {
        return Err((format!("\"{path}\" is a computed yes or no"), "Remove it from coarse and fine"));
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

/// Returns the computed claims that are booleans.
fn computed_booleans(text: &TypeFile, claims: &[SchemaClaim]) -> Vec<String> {
    let boolean = |path: &String| claims.iter().any(|claim| claim.is_boolean && claim.path == *path);
    text.computed.iter().map(|computed| computed.claim.clone()).filter(boolean).collect()
}

impl FormerVersionToml {
    fn read(&self, folder: &TypeFiles, type_name: &str) -> Result<FormerVersion, SpecError> {
        let names = self.claims.iter().cloned().chain([type_name.to_owned()]).collect();
        let (_, context_bytes) = read_context(folder, &self.file, &self.context_sha256, names)?;
        Ok(FormerVersion {
            vct: self.vct.clone(),
            context_url: self.context.clone(),
            context_bytes,
            context_sha256: self.context_sha256.clone(),
            claims: self.claims.clone(),
        })
    }
}

/// Reads a JSON-LD context, and checks its pinned digest, that it is protected, and that it defines every name.
fn read_context(
    folder: &TypeFiles,
    file: &str,
    pinned: &str,
    names: Vec<String>,
) -> Result<(Value, Vec<u8>), SpecError> {
    let wrong = |what: String, hint: String| SpecError::file(folder.display_path(file), what, hint);
    let bytes = folder.text(file)?.as_bytes().to_vec();
    let digest = base16ct::lower::encode_string(&Sha256::digest(&bytes));
    if digest != pinned {
        return Err(wrong(
            "does not have the SHA-256 that type.toml pins".to_owned(),
            format!(
                "If the change is meant, set context_sha256 = \"{digest}\", and a new context URL once the type is in use"
            ),
        ));
    }
    let context = folder.json(file)?;
    let terms = context.get("@context");
    if terms.and_then(|terms| terms.get("@protected")) != Some(&Value::Bool(true)) {
        return Err(wrong("is not @protected".to_owned(), "Add \"@protected\": true".to_owned()));
    }
    if let Some(missing) = names.into_iter().find(|name| terms.and_then(|terms| terms.get(name)).is_none()) {
        return Err(wrong(
            format!("does not define \"{missing}\""),
            "Define every claim, its commitments, and the type".to_owned(),
        ));
    }
    Ok((context, bytes))
}
