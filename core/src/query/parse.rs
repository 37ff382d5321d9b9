//! Conversion of DCQL queries from and to JSON.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::{
    ClaimQuery, CredentialQuery, CredentialSet, HolderRule, MAX_ENTRIES, Query, Threshold, TrustedAuthority,
    holder::{self, DISTINCT_MEMBER, HOLDER_MEMBER},
    parse_path, path_to_json,
};
use crate::{
    Code, Problem,
    format::{CredentialFormat, RequestedFormat},
    json,
    secure::sd_jwt::Step,
};

fn malformed(detail: impl Into<String>) -> Problem {
    Problem::new(Code::QueryMalformed, detail)
}

impl Query {
    /// Parses a `dcql_query` (OpenID4VP 1.0 section 6).
    ///
    /// # Errors
    /// `query_malformed`, also for different bounds in one direction, or a bound and values, for one claim of one type
    /// (spec/at-least.md 5.2). An unsupported format or constraint is not an error: no credential answers such a
    /// credential query, but another option of its set may be answered ([`CredentialQuery::unsupported_reason`]).
    ///
    /// # Examples
    /// ```
    /// use carnet_core::query::Query;
    /// use serde_json::json;
    ///
    /// let query = Query::parse(&json!({"credentials": [{
    ///     "id": "permit",
    ///     "format": "dc+sd-jwt",
    ///     "meta": {"vct_values": ["urn:carnet:type:residence-permit:1"]},
    ///     "claims": [{"path": ["rightToWork"], "values": [true]}],
    /// }]}))?;
    /// assert!(query.check_presented_ids(&["permit"]).is_ok());
    /// assert!(query.check_presented_ids(&[]).is_err());
    /// # Ok::<(), carnet_core::Problem>(())
    /// ```
    pub fn parse(value: &Value) -> Result<Self, Problem> {
        let members = value.as_object().ok_or_else(|| malformed("the query is not an object"))?;
        let credentials = list(members, "credentials")?
            .ok_or_else(|| malformed("the query asks for no credentials"))?
            .iter()
            .map(credential)
            .collect::<Result<Vec<_>, _>>()?;
        let mut ids = HashSet::new();
        if !credentials.iter().all(|credential| ids.insert(credential.id.as_str())) {
            return Err(malformed("two credentials have the same id"));
        }
        let credential_sets = list(members, "credential_sets")?
            .unwrap_or_default()
            .iter()
            .map(|set| credential_set(set, &ids))
            .collect::<Result<Vec<_>, _>>()?;
        let holder = members.get(HOLDER_MEMBER).map(HolderRule::parse).transpose()?;
        let query = Self { credential_sets, credentials, holder_rule: holder };
        query.check_compared_claims()?;
        query.check_bounds()?;
        Ok(query)
    }

    /// Returns the query as DCQL JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let credentials: Vec<Value> = self.credentials.iter().map(credential_to_json).collect();
        let mut query = Map::from_iter([("credentials".to_owned(), Value::from(credentials))]);
        if !self.credential_sets.is_empty() {
            let sets: Vec<Value> = self
                .credential_sets
                .iter()
                .map(|set| json!({"options": set.options, "required": set.required}))
                .collect();
            query.insert("credential_sets".to_owned(), sets.into());
        }
        if let Some(holder) = &self.holder_rule {
            query.insert(HOLDER_MEMBER.to_owned(), holder.to_json());
        }
        query.into()
    }
}

/// Returns the entries of an array of 1 to [`MAX_LOG_ENTRIES`] entries; `None` if the member is absent.
fn list<'a>(members: &'a Map<String, Value>, name: &str) -> Result<Option<&'a [Value]>, Problem> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::Array(entries)) if !entries.is_empty() && entries.len() <= MAX_ENTRIES => Ok(Some(entries)),
        Some(_) => Err(malformed(format!("{name} is not an array of 1 to {MAX_ENTRIES} entries"))),
    }
}

fn identifier(value: Option<&Value>, what: &str) -> Result<String, Problem> {
    value
        .and_then(Value::as_str)
        .filter(|id| {
            !id.is_empty() && id.len() <= 128 && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
        })
        .map(str::to_owned)
        .ok_or_else(|| malformed(format!("{what} has no id of letters, digits, _ and -")))
}

fn boolean(members: &Map<String, Value>, name: &str, default: bool) -> Result<bool, Problem> {
    match members.get(name) {
        None => Ok(default),
        Some(Value::Bool(value)) => Ok(*value),
        Some(_) => Err(malformed(format!("{name} is not true or false"))),
    }
}

fn strings(value: &Value, what: &str) -> Result<Vec<String>, Problem> {
    let all: Option<Vec<String>> =
        value.as_array().and_then(|many| many.iter().map(|entry| entry.as_str().map(str::to_owned)).collect());
    all.filter(|all| !all.is_empty()).ok_or_else(|| malformed(format!("{what} is not an array of strings")))
}

fn credential(value: &Value) -> Result<CredentialQuery, Problem> {
    let members = value.as_object().ok_or_else(|| malformed("a credential query is not an object"))?;
    let id = identifier(members.get("id"), "a credential query")?;
    let format: RequestedFormat = members
        .get("format")
        .and_then(Value::as_str)
        .filter(|format| !format.is_empty())
        .ok_or_else(|| malformed(format!("{id}: format is missing")))?
        .to_owned()
        .into();
    let meta = members
        .get("meta")
        .and_then(Value::as_object)
        .ok_or_else(|| malformed(format!("{id}: the meta object is missing")))?;
    let (vct_values, type_values, foreign_meta) = if let Some(format) = format.known() {
        let (vct_values, type_values) = types(&id, format, meta)?;
        (vct_values, type_values, Map::new())
    } else {
        (Vec::new(), Vec::new(), meta.clone())
    };
    let claims = list(members, "claims")?.unwrap_or_default().iter().map(claim).collect::<Result<Vec<_>, _>>()?;
    let claim_sets = list(members, "claim_sets")?
        .unwrap_or_default()
        .iter()
        .map(|set| strings(set, "claim_sets"))
        .collect::<Result<Vec<_>, _>>()?;
    check_claim_sets(&id, &claims, &claim_sets)?;
    let distinct = match members.get(DISTINCT_MEMBER) {
        None => Vec::new(),
        Some(paths) => holder::parse_paths(paths)
            .ok_or_else(|| malformed(format!("{id}: {DISTINCT_MEMBER} is not a list of different paths")))?,
    };
    Ok(CredentialQuery {
        multiple: boolean(members, "multiple", false)?,
        distinct_claims: distinct,
        requires_holder_binding: boolean(members, "require_cryptographic_holder_binding", true)?,
        id,
        format,
        vct_values,
        type_values,
        unparsed_meta: foreign_meta,
        trusted_authorities: list(members, "trusted_authorities")?
            .unwrap_or_default()
            .iter()
            .map(trusted_authority)
            .collect::<Result<_, _>>()?,
        claims,
        claim_sets,
    })
}

/// Parses the `meta` of a supported format: the `vct` values and the sets of types. The one that the format needs must
/// be present.
fn types(
    id: &str,
    format: CredentialFormat,
    meta: &Map<String, Value>,
) -> Result<(Vec<String>, Vec<Vec<String>>), Problem> {
    let vct_values = match list(meta, "vct_values")? {
        Some(_) => strings(meta.get("vct_values").unwrap_or(&Value::Null), "vct_values")?,
        None => Vec::new(),
    };
    let type_values = list(meta, "type_values")?
        .unwrap_or_default()
        .iter()
        .map(|set| strings(set, "type_values"))
        .collect::<Result<Vec<_>, _>>()?;
    let (needed, given) = if format == CredentialFormat::DcSdJwt {
        ("vct_values", !vct_values.is_empty())
    } else {
        ("type_values", !type_values.is_empty())
    };
    if given { Ok((vct_values, type_values)) } else { Err(malformed(format!("{id}: meta has no {needed}"))) }
}

fn trusted_authority(value: &Value) -> Result<TrustedAuthority, Problem> {
    let what = "an entry of trusted_authorities";
    let members = value.as_object().ok_or_else(|| malformed(format!("{what} is not an object")))?;
    let kind = members.get("type").and_then(Value::as_str).filter(|kind| !kind.is_empty());
    let kind = kind.ok_or_else(|| malformed(format!("{what} has no type")))?.to_owned();
    let values = list(members, "values")?.ok_or_else(|| malformed(format!("{what} has no values")))?;
    Ok(TrustedAuthority { authority_type: kind, values: strings(&Value::from(values), what)? })
}

fn check_claim_sets(id: &str, claims: &[ClaimQuery], sets: &[Vec<String>]) -> Result<(), Problem> {
    let mut ids = HashSet::new();
    for claim in claims {
        match &claim.id {
            Some(name) if !ids.insert(name.as_str()) => {
                return Err(malformed(format!("{id}: two claims have the same id")));
            }
            None if !sets.is_empty() => {
                return Err(malformed(format!("{id}: claim_sets requires an id for every claim")));
            }
            _ => {}
        }
    }
    if sets.iter().flatten().any(|name| !ids.contains(name.as_str())) {
        return Err(malformed(format!("{id}: claim_sets names an unknown claim")));
    }
    Ok(())
}

fn claim(value: &Value) -> Result<ClaimQuery, Problem> {
    let members = value.as_object().ok_or_else(|| malformed("a claim query is not an object"))?;
    let id = match members.get("id") {
        None => None,
        given => Some(identifier(given, "a claim query")?),
    };
    let path = parse_path(members.get("path").ok_or_else(|| malformed("a claim query has no path"))?)?;
    let values = list(members, "values")?.unwrap_or_default().to_vec();
    if values.iter().any(|value| !(value.is_string() || value.is_boolean() || json::as_integer(value).is_some())) {
        return Err(malformed("values contains an element that is not a string, an integer or a boolean"));
    }
    let threshold = Threshold::parse(members)?;
    if threshold.is_some() && !values.is_empty() {
        return Err(malformed("a claim has both values and a threshold"));
    }
    if threshold.is_some() && !path.iter().all(|step| matches!(step, Step::Name(_))) {
        return Err(malformed("a threshold has a path through an array"));
    }
    Ok(ClaimQuery { id, path, values, threshold })
}

fn credential_set(value: &Value, ids: &HashSet<&str>) -> Result<CredentialSet, Problem> {
    let members = value.as_object().ok_or_else(|| malformed("a credential set is not an object"))?;
    let options = list(members, "options")?
        .ok_or_else(|| malformed("a credential set has no options"))?
        .iter()
        .map(|option| strings(option, "options"))
        .collect::<Result<Vec<_>, _>>()?;
    if options.iter().flatten().any(|id| !ids.contains(id.as_str())) {
        return Err(malformed("a credential set names an unknown credential"));
    }
    Ok(CredentialSet { options, required: boolean(members, "required", true)? })
}

fn credential_to_json(query: &CredentialQuery) -> Value {
    let meta = if !query.unparsed_meta.is_empty() || query.format.known().is_none() {
        query.unparsed_meta.clone().into()
    } else if query.format == CredentialFormat::DcSdJwt {
        json!({"vct_values": query.vct_values})
    } else {
        json!({"type_values": query.type_values})
    };
    let mut members = Map::from_iter([
        ("id".to_owned(), query.id.as_str().into()),
        ("format".to_owned(), query.format.as_str().into()),
        ("meta".to_owned(), meta),
    ]);
    if query.multiple {
        members.insert("multiple".to_owned(), true.into());
    }
    if !query.distinct_claims.is_empty() {
        let paths = query.distinct_claims.iter().map(|path| path_to_json(path)).collect();
        members.insert(DISTINCT_MEMBER.to_owned(), paths);
    }
    if !query.requires_holder_binding {
        members.insert("require_cryptographic_holder_binding".to_owned(), false.into());
    }
    if !query.trusted_authorities.is_empty() {
        let authorities = query.trusted_authorities.iter();
        let authorities =
            authorities.map(|authority| json!({"type": authority.authority_type, "values": authority.values}));
        members.insert("trusted_authorities".to_owned(), authorities.collect());
    }
    if !query.claims.is_empty() {
        members.insert("claims".to_owned(), query.claims.iter().map(claim_to_json).collect());
    }
    if !query.claim_sets.is_empty() {
        members.insert("claim_sets".to_owned(), json!(query.claim_sets));
    }
    members.into()
}

fn claim_to_json(claim: &ClaimQuery) -> Value {
    let mut members = Map::from_iter([("path".to_owned(), path_to_json(&claim.path))]);
    if let Some(id) = &claim.id {
        members.insert("id".to_owned(), id.as_str().into());
    }
    if !claim.values.is_empty() {
        members.insert("values".to_owned(), claim.values.clone().into());
    }
    if let Some(threshold) = &claim.threshold {
        members.insert(threshold.direction().query_member().to_owned(), threshold.bound().clone());
    }
    members.into()
}
