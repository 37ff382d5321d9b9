//! Request templates: what a service asks for, why, by what law, and for how long it keeps it.

use std::collections::BTreeMap;

use carnet_core::{
    json::{self, Limits},
    query::{CredentialQuery, Query},
    secure::sd_jwt::{ClaimPath, Step},
};
use serde::Deserialize;
use serde_json::Value;

use crate::{CredentialType, SpecError, claims, display::FALLBACK, folder};

/// What a service asks for. Texts are by language tag; English is always there.
#[derive(Debug, Clone)]
pub struct RequestTemplate {
    /// Its name, such as `university-admission`.
    pub id: String,
    /// What staff call it.
    pub title: BTreeMap<String, String>,
    /// Why it is asked.
    pub purpose: BTreeMap<String, String>,
    /// By what law.
    pub legal_basis: BTreeMap<String, String>,
    /// What is kept, and for how long, in words.
    pub retention: BTreeMap<String, String>,
    /// For how long the outcome is kept, in days.
    pub retention_days: u32,
    /// The query, parsed.
    pub query: Query,
    /// The query as DCQL (OpenID4VP 1.0 section 6).
    pub query_json: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    id: String,
    retention_days: u32,
    dcql: String,
    title: BTreeMap<String, String>,
    purpose: BTreeMap<String, String>,
    legal_basis: BTreeMap<String, String>,
    retention: BTreeMap<String, String>,
}

impl RequestTemplate {
    /// Picks a text for a language tag: that tag's, its primary language's, or the English one.
    #[must_use]
    pub fn text<'a>(texts: &'a BTreeMap<String, String>, language: &str) -> &'a str {
        let primary = language.split(['-', '_']).next().unwrap_or_default();
        [language, primary, FALLBACK].iter().find_map(|tag| texts.get(*tag)).map_or("", String::as_str)
    }

    /// Reads `requests/<id>.toml`.
    pub(crate) fn read(path: &str, toml: &str) -> Result<Self, SpecError> {
        let text: Text = folder::parse_toml(path.to_owned(), toml)?;
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
            if texts.get(FALLBACK).is_none_or(|text| text.trim().is_empty()) {
                return Err(wrong(
                    format!("[{name}] lacks \"{FALLBACK}\""),
                    "Say it in English at least: a person decides by it",
                ));
            }
        }
        let query_json = json::parse(text.dcql.as_bytes(), Limits::SMALL)
            .map_err(|p| wrong(format!("dcql is not JSON ({})", p.detail), "Correct it"))?;
        let query = Query::parse(&query_json)
            .map_err(|p| wrong(format!("dcql is not a query ({})", p.detail), "See OpenID4VP 1.0 section 6"))?;
        let Text { id, retention_days, title, purpose, legal_basis, retention, .. } = text;
        Ok(Self { id, title, purpose, legal_basis, retention, retention_days, query, query_json })
    }

    /// Holds the query to the catalogue: known types, known claims, and none of those that may not be a condition.
    pub(crate) fn check<'a>(
        &self,
        path: &str,
        find: impl Fn(&CredentialQuery) -> Vec<Option<&'a CredentialType>>,
    ) -> Result<(), SpecError> {
        let wrong = |what: String, hint: &str| Err(SpecError::file(path, what, hint));
        for query in &self.query.credentials {
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
                let Some(credential_type) = credential_type else {
                    return wrong(
                        format!("\"{}\" names a type that is not in the catalogue", query.id),
                        "Add the type's folder, or correct the name",
                    );
                };
                for claim in &query.claims {
                    if !credential_type.has_claim(&subject_path(query, &claim.path)) {
                        return wrong(
                            format!("{} has no claim \"{}\"", credential_type.name, claims::path_text(&claim.path)),
                            "Ask for claims that the type has",
                        );
                    }
                }
                if mandatory(query).iter().all(|set| set.iter().any(|path| credential_type.is_never_mandatory(path))) {
                    return wrong(
                        format!(
                            "\"{}\" makes a claim a condition that {} marks never_mandatory",
                            query.id, credential_type.name
                        ),
                        "Leave it out, or add a claim set without it",
                    );
                }
            }
        }
        Ok(())
    }
}

/// The path below credentialSubject, as text. Formats of the W3C model begin at the credential's root.
fn subject_path(query: &CredentialQuery, path: &ClaimPath) -> String {
    match path.split_first() {
        Some((Step::Name(name), rest)) if query.format != "dc+sd-jwt" && name == "credentialSubject" => {
            claims::path_text(rest)
        }
        // Not below the subject: no claim of the type.
        _ if query.format != "dc+sd-jwt" => String::new(),
        _ => claims::path_text(path),
    }
}

/// The combinations of claims of which a wallet has to give one.
fn mandatory(query: &CredentialQuery) -> Vec<Vec<String>> {
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
