//! Request templates: predefined requests of a verifier, with purpose, legal basis and retention.

use std::collections::BTreeMap;

use carnet_core::{
    Problem,
    at_least::Direction,
    format::CredentialFormat,
    json::{self, Limits},
    query::{CredentialQuery, Query, holder::HOLDER_MEMBER},
    secure::sd_jwt::{ClaimPath, Step},
    status::freshness,
    time::Timestamp,
    trust::registration::RegisteredCredential,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    CredentialType, RedemptionClaims, RetentionRule, SpecError, bounds, claims, display::FALLBACK_LANGUAGE,
    redemption::RedemptionToml, retention::RetentionToml, type_files,
};

/// Type that a credential query accepts.
pub(crate) enum RequestedType<'a> {
    /// Type of the catalogue.
    Known(&'a CredentialType),
    /// Foreign type.
    Foreign,
    /// Neither.
    Unknown,
}

/// Request template of a verifier. Texts are by language tag; English is required.
#[derive(Debug, Clone)]
pub struct RequestTemplate {
    /// Id, such as `university-admission`.
    pub id: String,
    /// Title, for staff.
    pub title: BTreeMap<String, String>,
    /// Purpose of the request.
    pub purpose: BTreeMap<String, String>,
    /// Legal basis of the request.
    pub legal_basis: BTreeMap<String, String>,
    /// Statement about the retained data and their retention period, for the holder.
    pub retention: BTreeMap<String, String>,
    /// Retention period of the result, in days.
    pub retention_days: u32,
    /// Claims whose values are retained in addition to the result; by default none.
    pub retained_claims: Vec<RetentionRule>,
    /// Claims by which an accepted presentation counts as a use of an entitlement; `None` if it does not count as one.
    pub redemption: Option<RedemptionClaims>,
    /// Grace period for an expired status list if no newer one is available, in seconds; by default 0, so that an
    /// expired list is refused (spec/status.md, For verifiers).
    pub max_stale_status_seconds: u32,
    /// Maximum age of a freshness statement, in seconds. `None`: statements are not requested, and an unrequested one
    /// is accepted for one day (spec/freshness.md 2.6, 2.7).
    pub max_freshness_seconds: Option<u32>,
    /// Query with its relative bounds resolved for the first day of [`bounds::CHECKED_DAYS`].
    pub(crate) first_day_query: Query,
    /// DCQL (OpenID4VP 1.0 section 6), with relative bounds.
    dcql: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TemplateFile {
    id: String,
    retention_days: u32,
    dcql: String,
    title: BTreeMap<String, String>,
    purpose: BTreeMap<String, String>,
    legal_basis: BTreeMap<String, String>,
    retention: BTreeMap<String, String>,
    /// Rule for the holders of the credentials.
    holder: Option<HolderRuleToml>,
    #[serde(default)]
    keep: Vec<RetentionToml>,
    redeem: Option<RedemptionToml>,
    #[serde(default)]
    stale_status_seconds: u32,
    freshness_seconds_max: Option<u32>,
}

/// Holder rule as written in a template: `"key"`, `"any"` or `{ claims = ["familyName", "address.country"] }`.
#[derive(Deserialize)]
#[serde(untagged)]
enum HolderRuleToml {
    Name(String),
    Claims(HolderClaims),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HolderClaims {
    claims: Vec<String>,
}

impl HolderRuleToml {
    /// Returns the rule as JSON, for the query.
    fn to_json(&self) -> Value {
        match self {
            Self::Name(name) => name.as_str().into(),
            Self::Claims(HolderClaims { claims }) => {
                json!({"claims": claims.iter().map(|claim| claim.split('.').collect::<Value>()).collect::<Value>()})
            }
        }
    }
}

/// Maximum grace period for an expired status list, in seconds: thirty days.
const MAX_STALE_STATUS_SECONDS: u32 = 30 * 86_400;

impl RequestTemplate {
    /// Returns the text for a language tag: that of the tag, otherwise of its primary language, otherwise the English
    /// one; empty if there is none.
    ///
    /// # Examples
    /// ```
    /// use std::collections::BTreeMap;
    ///
    /// use carnet_spec::RequestTemplate;
    ///
    /// let texts = BTreeMap::from([("de".to_owned(), "Sprachkurs".to_owned()), ("en".to_owned(), "Course".to_owned())]);
    /// assert_eq!(RequestTemplate::text_in_language(&texts, "de"), "Sprachkurs");
    /// assert_eq!(RequestTemplate::text_in_language(&texts, "uk"), "Course");
    /// ```
    #[must_use]
    pub fn text_in_language<'a>(texts: &'a BTreeMap<String, String>, language: &str) -> &'a str {
        let primary = language.split(['-', '_']).next().unwrap_or_default();
        [language, primary, FALLBACK_LANGUAGE].iter().find_map(|tag| texts.get(*tag)).map_or("", String::as_str)
    }

    /// Returns the query to send at `now`, parsed and as DCQL JSON, with relative bounds (`today-18y`) replaced by
    /// dates (credential-types.md section 7).
    ///
    /// # Errors
    /// `query_malformed` or `threshold_invalid` if a bound is out of range on that day (spec/at-least.md 1.3), which
    /// loaded templates exclude for 2025 to 2069.
    ///
    /// # Examples
    /// ```
    /// use carnet_core::time::Timestamp;
    ///
    /// let catalogue = carnet_spec::Catalogue::embedded().unwrap();
    /// let template = catalogue.template("work-permit-today").unwrap();
    /// let (query, dcql) = template.query_at(Timestamp::parse("2026-11-18T09:30:00Z")?)?;
    /// assert_eq!(query.credentials.len(), 1);
    /// assert!(dcql.to_string().contains("2026-11-18"));
    /// # Ok::<(), carnet_core::Problem>(())
    /// ```
    pub fn query_at(&self, now: Timestamp) -> Result<(Query, Value), Problem> {
        query_at(&self.dcql, now)
    }

    /// Restricts the claims of registered credentials, created from the query of this template by
    /// [`RegisteredCredential::from_query`], to the template's own bounds; relative bounds stay relative.
    #[must_use]
    pub fn restrict_bounds(&self, mut registered: Vec<RegisteredCredential>) -> Vec<RegisteredCredential> {
        let list = |value: &Value, name: &str| value.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
        for (registered, asked) in registered.iter_mut().zip(list(&self.dcql, "credentials")) {
            for (registered, asked) in registered.claims.iter_mut().zip(list(&asked, "claims")) {
                let bound = |direction: Direction| asked.get(direction.query_member()).cloned();
                registered.at_least_bounds = bound(Direction::AtLeast).into_iter().collect();
                registered.at_most_bounds = bound(Direction::AtMost).into_iter().collect();
            }
        }
        registered
    }

    /// Parses `requests/<id>.toml`, and checks everything that does not need the catalogue.
    pub(crate) fn read(path: &str, toml: &str) -> Result<Self, SpecError> {
        let text: TemplateFile = type_files::parse_toml(path.to_owned(), toml)?;
        let wrong = |what: String, hint: &str| SpecError::file(path, what, hint);
        let named = path.rsplit('/').next().and_then(|name| name.strip_suffix(".toml"));
        if named != Some(text.id.as_str()) {
            return Err(wrong(format!("the id \"{}\" is not the file's name", text.id), "Name the file <id>.toml"));
        }
        for (name, texts) in [
            ("title", &text.title),
            ("purpose", &text.purpose),
            ("legal_basis", &text.legal_basis),
            ("retention", &text.retention),
        ] {
            if texts.get(FALLBACK_LANGUAGE).is_none_or(|text| text.trim().is_empty()) {
                return Err(wrong(
                    format!("[{name}] lacks \"{FALLBACK_LANGUAGE}\""),
                    "Add the English text: a person decides by it",
                ));
            }
        }
        let mut dcql = json::parse(text.dcql.as_bytes(), Limits::SMALL)
            .map_err(|p| wrong(format!("dcql is not JSON ({})", p.detail), "Correct it"))?;
        if dcql.get(HOLDER_MEMBER).is_some() {
            return Err(wrong(format!("dcql has {HOLDER_MEMBER}"), "Write it as holder = ... beside dcql"));
        }
        if let (Some(holder), Some(members)) = (&text.holder, dcql.as_object_mut()) {
            members.insert(HOLDER_MEMBER.to_owned(), holder.to_json());
        }
        let on = |day: Timestamp| {
            query_at(&dcql, day).map(|(query, _)| query).map_err(|p| {
                wrong(format!("dcql is not a query on {day} ({})", p.detail), "See OpenID4VP 1.0 section 6")
            })
        };
        let [first, last] = bounds::CHECKED_DAYS;
        let query = on(first)?;
        on(last)?;
        if text.stale_status_seconds > MAX_STALE_STATUS_SECONDS {
            return Err(wrong(
                format!("stale_status_seconds is more than {MAX_STALE_STATUS_SECONDS}"),
                "A month-old list says little about today: accept less",
            ));
        }
        if text.freshness_seconds_max.is_some_and(|seconds| !freshness::LIFETIME_RANGE.contains(&seconds)) {
            let (least, most) = (freshness::LIFETIME_RANGE.start(), freshness::LIFETIME_RANGE.end());
            return Err(wrong(
                format!("freshness_seconds_max is not from {least} to {most}"),
                "A freshness statement is up to twelve hours old before a wallet renews it, and valid for at most \
                 seven days",
            ));
        }
        let TemplateFile {
            id,
            retention_days,
            title,
            purpose,
            legal_basis,
            retention,
            keep,
            redeem,
            stale_status_seconds,
            freshness_seconds_max,
            ..
        } = text;
        let keep = RetentionRule::read_all(keep, &query)
            .map_err(|what| wrong(what, "Keep what is asked for, for a reason, and no longer than it is needed"))?;
        let redeem = redeem.map(|redeem| RedemptionClaims::read(redeem, &query)).transpose().map_err(|what| {
            wrong(what, "Name the claims of one credential that say what is counted, by whom, and how often")
        })?;
        query.require_holder_rule().map_err(|p| {
            let hint = "Write holder = { claims = [...] }, \"key\" or \"any\" beside dcql, and carnet_distinct in what has multiple";
            wrong(p.detail, hint)
        })?;
        Ok(Self {
            id,
            title,
            purpose,
            legal_basis,
            retention,
            retention_days,
            retained_claims: keep,
            redemption: redeem,
            max_stale_status_seconds: stale_status_seconds,
            max_freshness_seconds: freshness_seconds_max,
            first_day_query: query,
            dcql,
        })
    }

    /// Checks the query against the catalogue. Each credential query must have a supported format, name at least one
    /// claim, and have only types that are known or foreign; foreign types have no thresholds. For known types, the
    /// claims must exist and the thresholds must be provable, no claim that is `never_mandatory` may be retained, and
    /// one combination of claims must do without such claims. `find` returns the types of a credential query.
    pub(crate) fn check_against_catalogue<'a>(
        &self,
        path: &str,
        find: impl Fn(&CredentialQuery) -> Vec<RequestedType<'a>>,
    ) -> Result<(), SpecError> {
        let wrong = |what: String, hint: &str| Err(SpecError::file(path, what, hint));
        for query in &self.first_day_query.credentials {
            if let Some(why) = query.unsupported_reason() {
                return wrong(format!("\"{}\": {why}", query.id), "Ask in a format of spec/protocol.md 2.1");
            }
            let types = find(query);
            if types.is_empty() {
                return wrong(
                    format!("\"{}\" names no type", query.id),
                    "Name one in meta.type_values or meta.vct_values",
                );
            }
            if query.claims.is_empty() {
                return wrong(format!("\"{}\" names no claims", query.id), "Name the claims that the service needs");
            }
            for credential_type in types {
                let credential_type = match credential_type {
                    RequestedType::Known(known) => known,
                    // The claims of a foreign type are not known.
                    RequestedType::Foreign if query.claims.iter().all(|claim| claim.threshold.is_none()) => continue,
                    RequestedType::Foreign => {
                        let what = format!("\"{}\" asks for a threshold of a foreign type", query.id);
                        return wrong(what, "Ask for the claim's value: only types of the catalogue have thresholds");
                    }
                    RequestedType::Unknown => {
                        return wrong(
                            format!("\"{}\" names a type that is not in the catalogue", query.id),
                            "Add the type's folder, or correct the name",
                        );
                    }
                };
                for claim in &query.claims {
                    let own = subject_path(query, &claim.path);
                    let text = claims::path_to_text_without_indices(&claim.path);
                    if !credential_type.has_claim(&own) {
                        return wrong(
                            format!("{} has no claim \"{text}\"", credential_type.name),
                            "Ask for claims that the type has",
                        );
                    }
                    let provable =
                        |threshold| is_selective(query) && credential_type.can_prove_threshold(&own, threshold);
                    if claim.threshold.as_ref().is_some_and(|threshold| !provable(threshold)) {
                        return wrong(
                            format!("{} proves no such threshold of \"{text}\"", credential_type.name),
                            "Ask in an SD-JWT format for a bound of the claim's own form that type.toml marks as ordered",
                        );
                    }
                    let kept =
                        self.retained_claims.iter().any(|keep| keep.query_id == query.id && keep.path == claim.path);
                    if kept && credential_type.is_never_mandatory(&own) {
                        return wrong(
                            format!("keeps \"{text}\", which {} marks never_mandatory", credential_type.name),
                            "Keep what tells less",
                        );
                    }
                }
                if mandatory_paths(query)
                    .iter()
                    .all(|set| set.iter().any(|path| credential_type.is_never_mandatory(path)))
                {
                    return wrong(
                        format!(
                            "\"{}\" makes a claim a condition that {} marks never_mandatory",
                            query.id, credential_type.name
                        ),
                        "Remove it, or add a claim set without it",
                    );
                }
            }
        }
        Ok(())
    }
}

fn query_at(template: &Value, now: Timestamp) -> Result<(Query, Value), Problem> {
    let json = bounds::resolve_bounds(template, now)?;
    Ok((Query::parse(&json)?, json))
}

/// Returns whether the format discloses claims one by one.
fn is_selective(query: &CredentialQuery) -> bool {
    query.format.known().is_some_and(CredentialFormat::is_sd_jwt)
}

/// Returns the path below credentialSubject, as text; empty if the path is not below it.
fn subject_path(query: &CredentialQuery, path: &ClaimPath) -> String {
    match path.split_first() {
        Some((Step::Name(name), rest)) if query.format != CredentialFormat::DcSdJwt && name == "credentialSubject" => {
            claims::path_to_text_without_indices(rest)
        }
        // Not below the subject: no claim of the type.
        _ if query.format != CredentialFormat::DcSdJwt => String::new(),
        _ => claims::path_to_text_without_indices(path),
    }
}

/// Returns the text paths of each claim set, one of which a wallet must answer; without claim sets, of all claims.
fn mandatory_paths(query: &CredentialQuery) -> Vec<Vec<String>> {
    let all = || query.claims.iter();
    if query.claim_sets.is_empty() {
        return vec![all().map(|claim| subject_path(query, &claim.path)).collect()];
    }
    let sets = query.claim_sets.iter();
    sets.map(|set| {
        all()
            .filter(|claim| claim.id.as_ref().is_some_and(|id| set.contains(id)))
            .map(|claim| subject_path(query, &claim.path))
            .collect()
    })
    .collect()
}
