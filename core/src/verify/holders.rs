//! Checks of several credentials in one answer: no copy is used twice, and the holder rule is satisfied.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{CheckName, VerificationReport, sd_jwt::CheckedCredential};
use crate::{
    Code, Problem,
    query::{
        CredentialQuery, HolderRule, Query,
        holder::{ComparableValue, comparable_value_at, path_from_root},
        path_to_text,
    },
};

/// Presentation, and its verified content.
pub(super) struct Presented<'a> {
    pub(super) query_id: &'a str,
    pub(super) text: &'a str,
    pub(super) shown: CheckedCredential,
}

/// Checks the credentials of a response against each other, if the query can be answered with several.
pub(super) fn check_holders(report: &mut VerificationReport, query: &Query, presented: &[Presented<'_>]) {
    for asked in query.credentials.iter().filter(|asked| asked.multiple) {
        let own: Vec<&Presented<'_>> = presented.iter().filter(|one| one.query_id == asked.id).collect();
        if !own.is_empty() {
            report.record(CheckName::Distinct, &asked.id, check_distinct(&own, asked, query));
        }
    }
    if query.allows_several_credentials() {
        report.record(CheckName::HolderRule, "", check_holder_rule(presented, query));
    }
}

/// Checks that no copy occurs twice, and that no two credentials have the same values in the claims that must differ.
fn check_distinct(own: &[&Presented<'_>], asked: &CredentialQuery, query: &Query) -> Result<(), Problem> {
    let id = &asked.id;
    let repeated = |what: String| Err(Problem::new(Code::CredentialRepeated, format!("{id}: {what}")));
    let by_key = query.holder_rule == Some(HolderRule::Key);
    let mut seen = BTreeSet::new();
    for (index, one) in own.iter().enumerate() {
        for other in own.iter().take(index) {
            if let Some(shared) = shared_property(one, other, by_key) {
                return repeated(format!("two presentations have {shared}, so one copy would count twice"));
            }
        }
        let values = asked.distinct_claims.iter().map(|path| {
            comparable_value_at(&one.shown.payload.0, path).ok_or_else(|| {
                let detail = format!("{id}: {}, which must differ, does not have a single value", path_to_text(path));
                Problem::new(Code::CredentialRepeated, detail)
            })
        });
        let values = values.collect::<Result<Vec<ComparableValue>, Problem>>()?;
        if !values.is_empty() && !seen.insert(values) {
            let paths: Vec<String> = asked.distinct_claims.iter().map(|path| path_to_text(path)).collect();
            return repeated(format!("two presentations do not differ in {}", paths.join(", ")));
        }
    }
    Ok(())
}

/// Describes a property that two presentations have in common and two copies never do; `None` if there is none. A key
/// that all credentials must share does not count.
fn shared_property(one: &Presented<'_>, other: &Presented<'_>, by_key: bool) -> Option<&'static str> {
    let same = match (signed_part(one), signed_part(other)) {
        (Some(one), Some(other)) => one == other,
        (None, None) => one.shown.payload.0 == other.shown.payload.0,
        _ => false,
    };
    if same {
        return Some("the same issuer-signed credential");
    }
    if !by_key && one.shown.holder_key.is_some() && one.shown.holder_key == other.shown.holder_key {
        return Some("the same holder key");
    }
    let (one, other) = (status_references(one), status_references(other));
    (!one.is_disjoint(&other)).then_some("the same place in a status list")
}

/// Returns the signing input of an SD-JWT, without the signature, which some algorithms let anybody change. `None` for
/// another format.
fn signed_part<'a>(one: &Presented<'a>) -> Option<&'a str> {
    let token = one.text.trim_start();
    if token.starts_with('{') {
        return None;
    }
    let jwt = token.split('~').next()?;
    jwt.rsplit_once('.').map(|(signed, _)| signed)
}

/// Returns the status references of a credential: list URL and index.
fn status_references(one: &Presented<'_>) -> BTreeSet<(String, String)> {
    let document = one.shown.held.credential.document();
    let entries = match document.get("credentialStatus") {
        Some(Value::Array(entries)) => entries.as_slice(),
        Some(entry) => std::slice::from_ref(entry),
        None => &[],
    };
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let place = |members: &Map<String, Value>, list: &str, index: &str| {
        Some((text(members.get(list)?), text(members.get(index)?)))
    };
    let bitstring =
        entries.iter().filter_map(|entry| place(entry.as_object()?, "statusListCredential", "statusListIndex"));
    let tokens = entries.iter().filter_map(|entry| entry.get("status")).chain(document.get("status"));
    let tokens = tokens.filter_map(|status| place(status.get("status_list")?.as_object()?, "uri", "idx"));
    bitstring.chain(tokens).collect()
}

/// Checks the holder rule of the query.
fn check_holder_rule(presented: &[Presented<'_>], query: &Query) -> Result<(), Problem> {
    let differs = |detail: String| Err(Problem::new(Code::HolderDiffers, detail));
    match &query.holder_rule {
        Some(HolderRule::Any) => Ok(()),
        None if presented.len() > 1 => Err(Code::HolderMissing.into()),
        None => Ok(()),
        Some(HolderRule::Key) => {
            let mut keys = presented.iter().map(|one| one.shown.holder_key.as_ref());
            let first = keys.next().flatten();
            let same = presented.len() <= 1 || first.is_some() && keys.all(|key| key == first);
            if same { Ok(()) } else { differs("the credentials have different holder keys".to_owned()) }
        }
        Some(HolderRule::Claims(claims)) => {
            for claim in claims {
                let mut first: Option<ComparableValue> = None;
                for one in presented {
                    let path = path_from_root(one.shown.held.format, claim);
                    let name = path_to_text(claim);
                    let Some(value) = comparable_value_at(&one.shown.payload.0, &path) else {
                        return differs(format!("{} does not show {name}, which all have to agree in", one.query_id));
                    };
                    if first.get_or_insert_with(|| value.clone()) != &value {
                        return differs(format!("the credentials do not agree in {name}"));
                    }
                }
            }
            Ok(())
        }
    }
}
