//! Holder rules: the required relation between the holders of the credentials in one answer, and the claims by which
//! credentials count as distinct (spec/protocol.md 4.10 and 4.11).

use std::collections::HashSet;

use serde_json::{Map, Value, json};
use unicode_normalization::UnicodeNormalization as _;

use super::{CredentialQuery, Query, parse_path, path_to_json, path_to_text, values_at};
use crate::{
    Code, Problem,
    format::CredentialFormat,
    input::fold_case,
    json,
    secure::sd_jwt::{ClaimPath, Step},
    time::Timestamp,
};

/// Name of the member of a query that contains the holder rule.
pub const HOLDER_MEMBER: &str = "carnet_holder";
/// Name of the member of a credential query that lists the claims by which credentials count as distinct.
pub const DISTINCT_MEMBER: &str = "carnet_distinct";

/// Maximum number of claims in a holder rule or in `carnet_distinct`.
const MAX_CLAIMS: usize = 16;

/// Required relation between the holders of the credentials in one answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HolderRule {
    /// Same person: each credential discloses these claims (paths below the subject) with equal values.
    Claims(Vec<ClaimPath>),
    /// Same key: all credentials are bound to one key. Their issuers can then link them.
    Key,
    /// No requirement: the credentials may belong to different holders.
    Any,
}

impl HolderRule {
    /// Parses a rule: `"key"`, `"any"` or `{"claims": [<path below the subject>, ...]}` with 1 to 16 different paths of
    /// names.
    ///
    /// # Errors
    /// `query_malformed` for anything else.
    pub fn parse(value: &Value) -> Result<Self, Problem> {
        let malformed = || {
            let forms = "\"key\", \"any\" or {\"claims\": [...]} with up to 16 paths of names";
            Problem::new(Code::QueryMalformed, format!("{HOLDER_MEMBER} is not {forms}"))
        };
        match value {
            Value::String(name) if name == "key" => Ok(Self::Key),
            Value::String(name) if name == "any" => Ok(Self::Any),
            Value::Object(members) if members.len() == 1 => {
                let claims = members.get("claims").ok_or_else(malformed)?;
                let claims = parse_paths(claims).ok_or_else(malformed)?;
                let named = |claim: &ClaimPath| claim.iter().all(|step| matches!(step, Step::Name(_)));
                if claims.iter().all(named) { Ok(Self::Claims(claims)) } else { Err(malformed()) }
            }
            _ => Err(malformed()),
        }
    }

    /// Returns the JSON form, as [`HolderRule::parse`] reads it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match self {
            Self::Claims(claims) => json!({"claims": claims.iter().map(|path| path_to_json(path)).collect::<Value>()}),
            Self::Key | Self::Any => self.name().into(),
        }
    }

    /// Returns `claims`, `key` or `any`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Claims(_) => "claims",
            Self::Key => "key",
            Self::Any => "any",
        }
    }

    /// Returns the claims whose values must be equal, as text paths below the subject; empty for the other rules.
    #[must_use]
    pub fn claim_texts(&self) -> Vec<String> {
        match self {
            Self::Claims(claims) => claims.iter().map(|path| path_to_text(path)).collect(),
            Self::Key | Self::Any => Vec::new(),
        }
    }
}

/// Claim value, normalised so that equal values compare as equal (spec/protocol.md 4.12).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ComparableValue {
    /// Text in NFC, case-folded, trimmed, with single spaces between words.
    Text(String),
    /// Instant, or date as the beginning of its day in UTC.
    Instant(Timestamp),
    /// Integer.
    Integer(i64),
    /// Boolean.
    Boolean(bool),
}

impl ComparableValue {
    /// Normalises a claim value; text that is a date or a `dateTimeStamp` becomes an instant. `None` for a value that
    /// cannot be compared: null, a number that is not an integer, an object, an array or blank text.
    #[must_use]
    pub fn normalise(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => date(text).map(Self::Instant).or_else(|| {
                let text = fold_case(text.nfc(), |_| false);
                let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
                (!text.is_empty()).then_some(Self::Text(text))
            }),
            Value::Number(_) => json::as_integer(value).map(Self::Integer),
            Value::Bool(flag) => Some(Self::Boolean(*flag)),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }
}

/// Parses a date or a `dateTimeStamp`. A date is the beginning of its day in UTC, so that `2001-02-03` and
/// `2001-02-03T00:00:00Z` are equal.
fn date(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let day = text.len() == 10 && text.bytes().filter(|byte| *byte == b'-').count() == 2;
    if day { Timestamp::parse(&format!("{text}T00:00:00Z")).ok() } else { Timestamp::parse(text).ok() }
}

/// Converts a path below the subject to a path from the root of a credential in the format: for the W3C formats,
/// `credentialSubject` is put before it.
#[must_use]
pub fn path_from_root(format: CredentialFormat, claim: &[Step]) -> ClaimPath {
    let subject = format.subject_member().map(|name| Step::Name(name.to_owned()));
    subject.into_iter().chain(claim.iter().cloned()).collect()
}

/// Returns the only value at a path, normalised for comparison. `None` if the path selects no value or several, or a
/// value that cannot be compared.
#[must_use]
pub fn comparable_value_at(payload: &Map<String, Value>, path: &[Step]) -> Option<ComparableValue> {
    match values_at(payload, path).as_slice() {
        [(_, value)] => ComparableValue::normalise(value),
        _ => None,
    }
}

/// Parses an array of 1 to 16 different claim paths; `None` for anything else.
pub(super) fn parse_paths(value: &Value) -> Option<Vec<ClaimPath>> {
    let entries = value.as_array().filter(|entries| (1..=MAX_CLAIMS).contains(&entries.len()))?;
    let paths: Vec<ClaimPath> = entries.iter().map(|entry| parse_path(entry).ok()).collect::<Option<_>>()?;
    let mut seen = HashSet::new();
    paths.iter().all(|path| seen.insert(path)).then_some(paths)
}

impl Query {
    /// Returns whether an answer to the query can contain more than one credential.
    #[must_use]
    pub fn allows_several_credentials(&self) -> bool {
        self.credentials.len() > 1 || self.credentials.iter().any(|credential| credential.multiple)
    }

    /// Checks that a query that several credentials can answer has `carnet_holder`, and that each credential query with
    /// `multiple` has `carnet_distinct`.
    ///
    /// # Errors
    /// `holder_missing` or `distinct_missing` if one is absent.
    pub fn require_holder_rule(&self) -> Result<(), Problem> {
        if self.holder_rule.is_none() && self.allows_several_credentials() {
            let forms = "\"any\", \"key\" or {\"claims\": [...]}";
            let detail =
                format!("the query accepts several credentials: add a holder rule with {HOLDER_MEMBER}, {forms}");
            return Err(Problem::new(Code::HolderMissing, detail));
        }
        match self.credentials.iter().find(|asked| asked.multiple && asked.distinct_claims.is_empty()) {
            Some(asked) => {
                let id = &asked.id;
                let detail = format!("{id} asks for several: name the claims that must differ with {DISTINCT_MEMBER}");
                Err(Problem::new(Code::DistinctMissing, detail))
            }
            None => Ok(()),
        }
    }

    /// Checks that every claim compared by the holder rule or by `carnet_distinct` is requested by value in every claim
    /// set, and that `carnet_distinct` occurs only with `multiple`.
    pub(super) fn check_compared_claims(&self) -> Result<(), Problem> {
        let malformed = |id: &str, what: &str, path: &[Step]| {
            let path = path_to_text(path);
            Err(Problem::new(
                Code::QueryMalformed,
                format!("{id}: {what} compares {path}, whose value is not requested"),
            ))
        };
        for asked in &self.credentials {
            // The path of the subject in an unsupported format is unknown, and such credentials are never compared.
            if let (Some(HolderRule::Claims(claims)), Some(format)) = (&self.holder_rule, asked.format.known()) {
                let mut paths = claims.iter().map(|claim| path_from_root(format, claim));
                if let Some(path) = paths.find(|path| !asked.always_requests(path)) {
                    return malformed(&asked.id, HOLDER_MEMBER, &path);
                }
            }
            if !asked.distinct_claims.is_empty() && !asked.multiple {
                let detail = format!("{}: {DISTINCT_MEMBER} requires multiple", asked.id);
                return Err(Problem::new(Code::QueryMalformed, detail));
            }
            if let Some(path) = asked.distinct_claims.iter().find(|path| !asked.always_requests(path)) {
                return malformed(&asked.id, DISTINCT_MEMBER, path);
            }
        }
        Ok(())
    }
}

impl CredentialQuery {
    /// Returns whether the value at this path is requested, in every claim set if there are any.
    fn always_requests(&self, path: &[Step]) -> bool {
        let mut asked = self.claims.iter().filter(|claim| claim.path == path && claim.threshold.is_none()).peekable();
        if self.claim_sets.is_empty() {
            return asked.peek().is_some();
        }
        let ids: Vec<&String> = asked.filter_map(|claim| claim.id.as_ref()).collect();
        self.claim_sets.iter().all(|set| set.iter().any(|id| ids.contains(&id)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(holder: &Value, credentials: &Value) -> Result<Query, Problem> {
        let mut query = json!({"credentials": credentials});
        if !holder.is_null() {
            query[HOLDER_MEMBER] = holder.clone();
        }
        Query::parse(&query)
    }

    fn asked(id: &str, format: &str, names: &[&str]) -> Value {
        let meta =
            if format == "dc+sd-jwt" { json!({"vct_values": ["urn:a"]}) } else { json!({"type_values": [["A"]]}) };
        let path = |name: &&str| if format == "dc+sd-jwt" { json!([name]) } else { json!(["credentialSubject", name]) };
        let claims: Vec<Value> = names.iter().map(|name| json!({"path": path(name)})).collect();
        json!({"id": id, "format": format, "meta": meta, "claims": claims})
    }

    #[test]
    fn a_rule_is_read_and_written() {
        let one = json!([asked("a", "vc+sd-jwt", &["name", "born"])]);
        for rule in [json!("key"), json!("any"), json!({"claims": [["name"], ["born"]]})] {
            let parsed = query(&rule, &one).unwrap();
            assert_eq!(parsed.holder_rule.as_ref().unwrap().to_json(), rule);
            assert_eq!(Query::parse(&parsed.to_json()).unwrap(), parsed);
        }
        for bad in [
            json!("keys"),
            json!(true),
            json!({}),
            json!({"claims": []}),
            json!({"claims": [["name"], ["name"]]}),
            json!({"claims": [[null]]}),
            json!({"claims": [["name"]], "key": true}),
            json!({"claims": vec![["name"]; 17]}),
            // It is not asked for.
            json!({"claims": [["grade"]]}),
        ] {
            assert_eq!(query(&bad, &one).unwrap_err().code, Code::QueryMalformed, "{bad}");
        }
    }

    #[test]
    fn compared_claims_are_asked_for_in_every_way_to_answer() {
        let rule = json!({"claims": [["name"]]});
        assert!(query(&rule, &json!([asked("a", "vc+sd-jwt", &["name"]), asked("b", "dc+sd-jwt", &["name"])])).is_ok());
        let lacks = json!([asked("a", "vc+sd-jwt", &["name"]), asked("b", "vc+sd-jwt", &["grade"])]);
        assert_eq!(query(&rule, &lacks).unwrap_err().code, Code::QueryMalformed);
        let mut sets = asked("a", "vc+sd-jwt", &["name", "grade"]);
        sets["claims"][0]["id"] = json!("n");
        sets["claims"][1]["id"] = json!("g");
        sets["claim_sets"] = json!([["n", "g"], ["n"]]);
        assert!(query(&rule, &json!([sets])).is_ok());
        sets["claim_sets"] = json!([["n"], ["g"]]);
        assert_eq!(query(&rule, &json!([sets])).unwrap_err().code, Code::QueryMalformed);
        // A threshold shows no value.
        let mut bound = asked("a", "vc+sd-jwt", &["name"]);
        bound["claims"][0]["carnet_at_least"] = json!(5);
        assert_eq!(query(&rule, &json!([bound])).unwrap_err().code, Code::QueryMalformed);
    }

    #[test]
    fn an_asker_decides_where_there_can_be_several() {
        let two = json!([asked("a", "vc+sd-jwt", &["name"]), asked("b", "vc+sd-jwt", &["name"])]);
        let decided = |holder: Value, credentials: &Value| {
            query(&holder, credentials).unwrap().require_holder_rule().map_err(|problem| problem.code)
        };
        assert_eq!(decided(Value::Null, &json!([two[0]])), Ok(()));
        assert_eq!(decided(Value::Null, &two), Err(Code::HolderMissing));
        assert_eq!(decided(json!("any"), &two), Ok(()));
        let mut several = json!([two[0]]);
        several[0]["multiple"] = json!(true);
        assert_eq!(decided(Value::Null, &several), Err(Code::HolderMissing));
        assert_eq!(decided(json!("any"), &several), Err(Code::DistinctMissing));
        several[0][DISTINCT_MEMBER] = json!([["credentialSubject", "name"]]);
        assert_eq!(decided(json!("any"), &several), Ok(()));
        several[0]["multiple"] = json!(false);
        assert_eq!(query(&json!("any"), &several).unwrap_err().code, Code::QueryMalformed);
    }

    #[test]
    fn values_are_compared_as_people_would() {
        let of = |value: Value| ComparableValue::normalise(&value);
        for (one, other) in [
            ("Jos\u{e9}", "Jose\u{301}"),
            ("Müller", "MÜLLER"),
            ("Straße", "STRASSE"),
            ("ΟΔΟΣ", "οδος"),
            (" Anna  Maria\u{a0}", "anna maria"),
            ("2001-02-03", "2001-02-03T00:00:00Z"),
            ("2001-02-03T01:00:00+01:00", "2001-02-03"),
            ("2001-02-02T24:00:00Z", "2001-02-03"),
        ] {
            assert_eq!(of(json!(one)), of(json!(other)), "{one} {other}");
        }
        assert_eq!(of(json!(6.0)), Some(ComparableValue::Integer(6)));
        for (one, other) in [
            (json!("Müller"), json!("Mueller")),
            (json!("Jose"), json!("José")),
            (json!("1"), json!(1)),
            (json!("2001-02-03"), json!("2001-03-02")),
            (json!("anna maria"), json!("annamaria")),
            (json!("2001-02-03"), json!("2001-02-03T12:00:00Z")),
            (json!(true), json!("true")),
        ] {
            assert_ne!(of(one.clone()), of(other.clone()), "{one} {other}");
        }
        for value in [json!(null), json!(" "), json!(1.5), json!([]), json!(["a"]), json!({})] {
            assert_eq!(of(value), None);
        }
    }
}
