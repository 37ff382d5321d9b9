//! Source of a trust list: a TOML or JSON file with the members of spec/trust.md section 2.

use std::path::Path;

use carnet_core::trust::list::{EarlierCredentials, TrustListContents, TrustListEntry, Withdrawal};
use carnet_core::{day, json, time::Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{error::CommandError, files::read_file};

/// Source of a trust list: its entries, for the creation of a list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrustListSource {
    /// Notes of an import about entries to be reviewed. No list can be created until the operator has removed them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[serde(rename = "review")]
    pub(crate) review_notes: Vec<String>,
    /// DIDs of the timestamp signers; empty: no timestamps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) timestamp_signers: Vec<String>,
    #[serde(default)]
    pub(crate) issuers: Vec<TrustListEntry>,
    #[serde(default)]
    pub(crate) registrars: Vec<TrustListEntry>,
}

impl TrustListSource {
    /// Reads a source: TOML if its name ends in `.toml`, otherwise JSON.
    pub(crate) fn read(path: &Path) -> Result<Self, CommandError> {
        let invalid = |why: String| {
            CommandError::new(
                "source_invalid",
                format!("{} is not a source of a trust list: {why}", path.display()),
                "correct it; its members are those of spec/trust.md section 2, with days like 2024-03-01 or instants like 2024-03-01T00:00:00Z",
            )
        };
        let bytes = read_file(path)?;
        let mut value = if path.extension().is_some_and(|extension| extension == "toml") {
            let text = String::from_utf8(bytes).map_err(|_| invalid("it is not UTF-8".to_owned()))?;
            let table: toml::Table = toml::from_str(&text).map_err(|error| invalid(error.to_string()))?;
            toml_to_json(toml::Value::Table(table))
        } else {
            json::parse_authored(&bytes, json::Limits::STATUS_LIST).map_err(|problem| invalid(problem.to_string()))?
        };
        days_to_instants(&mut value).map_err(invalid)?;
        json::deserialize_typed(value).map_err(|error| invalid(error.to_string()))
    }

    /// Returns the content of the list after `after` (with its sequence number and history), or of a first list. An
    /// error if review notes remain.
    pub(crate) fn into_contents(self, after: Option<TrustListContents>) -> Result<TrustListContents, CommandError> {
        if !self.review_notes.is_empty() {
            return Err(CommandError::new(
                "review_needed",
                format!("The source was imported and has not been reviewed: {}", self.review_notes.join("; ")),
                "compare every entry with a register that you trust, then remove the member `review` from the source",
            ));
        }
        let Self { issuers, registrars, timestamp_signers, .. } = self;
        let after = after.unwrap_or_else(|| TrustListContents::first_list(Vec::new(), Vec::new()));
        Ok(TrustListContents { issuers, registrars, timestamp_signers, ..after })
    }
}

impl From<&TrustListContents> for TrustListSource {
    fn from(contents: &TrustListContents) -> Self {
        let TrustListContents { issuers, registrars, timestamp_signers, .. } = contents.clone();
        Self { review_notes: Vec::new(), timestamp_signers, issuers, registrars }
    }
}

/// Converts TOML to JSON; TOML dates and times become text.
fn toml_to_json(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(truth) => truth.into(),
        toml::Value::Datetime(at) => at.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(toml_to_json).collect(),
        toml::Value::Table(table) => {
            Value::Object(table.into_iter().map(|(name, value)| (name, toml_to_json(value))).collect::<Map<_, _>>())
        }
    }
}

/// Replaces dates in a source with instants: the first second of the day for `from` and `withdrawn_from`, the last for
/// `until`.
///
/// # Errors
/// An instant has a fraction of a second, which a list cannot have.
fn days_to_instants(value: &mut Value) -> Result<(), String> {
    match value {
        Value::Array(items) => items.iter_mut().try_for_each(days_to_instants),
        Value::Object(members) => members.iter_mut().try_for_each(|(name, member)| {
            let at = match (name.as_str(), &*member) {
                ("from" | "withdrawn_from", Value::String(text)) => Some((text, day::parse_start(text))),
                ("until", Value::String(text)) => Some((text, day::parse_inclusive_end(text))),
                _ => None,
            };
            match at {
                Some((_, Ok(at))) => *member = at.to_string().into(),
                // Any other text is refused as no instant when it is read.
                Some((text, Err(problem))) if Timestamp::parse(text.trim()).is_ok() => {
                    return Err(format!("{name} = {text}: {}", problem.detail));
                }
                _ => days_to_instants(member)?,
            }
            Ok(())
        }),
        _ => Ok(()),
    }
}

/// Withdrawal to be applied to a party's accreditations.
#[derive(Debug, Clone)]
pub(crate) struct AccreditationWithdrawal<'a> {
    pub(crate) party_id: &'a str,
    pub(crate) from: Timestamp,
    pub(crate) earlier_credentials: EarlierCredentials,
    pub(crate) reason: Option<&'a str>,
    /// Credential type whose accreditations are withdrawn; `None`: all.
    pub(crate) type_name: Option<&'a str>,
}

/// Withdraws a party's accreditations as issuer and as registrar, and returns their number. Earlier withdrawals are
/// unchanged. An error if there is nothing to withdraw.
pub(crate) fn withdraw_accreditations(
    contents: &mut TrustListContents,
    strike: &AccreditationWithdrawal<'_>,
) -> Result<usize, CommandError> {
    let entries = contents.issuers.iter_mut().chain(&mut contents.registrars);
    let accreditations =
        entries.filter(|entry| entry.id == strike.party_id).flat_map(|entry| &mut entry.accreditations);
    let meant = |types: &[String]| strike.type_name.is_none_or(|name| types.iter().any(|known| known == name));
    let (mut listed, mut of_type, mut struck) = (false, false, 0_usize);
    for accreditation in accreditations {
        listed = true;
        if !meant(&accreditation.types) {
            continue;
        }
        of_type = true;
        if accreditation.withdrawal.is_some() {
            continue;
        }
        accreditation.withdrawal = Some(Withdrawal {
            // An accreditation that has not begun is withdrawn from its start, so that it is never in force.
            withdrawn_from: strike.from.max(accreditation.from),
            earlier_credentials: strike.earlier_credentials,
            reason: strike.reason.map(str::to_owned),
        });
        struck = struck.saturating_add(1);
    }
    if struck > 0 {
        return Ok(struck);
    }
    let (why, hint) = match (listed, of_type) {
        (false, _) => ("is not in the list", "read the list with: carnet-trust explain LIST"),
        (true, false) => ("has no accreditation for this type", "read the list with: carnet-trust explain LIST"),
        (true, true) => (
            "was already struck off",
            "to correct it, change the list's source (carnet-trust source), and make the next list from it; that \
             rewrites history, and every operator is told so",
        ),
    };
    Err(CommandError::new("not_listed", format!("{} {why}", strike.party_id), hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a source with this start of an accreditation.
    fn read(file: &str, from: &str) -> Result<TrustListSource, CommandError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(file);
        let text = if file.ends_with("toml") {
            format!(
                "[[issuers]]\nid = \"did:web:a.example\"\nname = \"A\"\n[[issuers.accreditations]]\ntypes = [\"X\"]\nfrom = {from}\n"
            )
        } else {
            format!(
                "{{\"issuers\": [{{\"id\": \"did:web:a.example\", \"name\": \"A\", \
                 \"accreditations\": [{{\"types\": [\"X\"], \"from\": {from}}}]}}]}}"
            )
        };
        std::fs::write(&path, text).unwrap();
        TrustListSource::read(&path)
    }

    #[test]
    fn a_fraction_of_a_second_is_refused_and_not_dropped() {
        for (file, from) in [
            ("list.toml", "2024-03-01T00:00:00.5Z"),
            ("list.toml", "\"2024-03-01T00:00:00.5Z\""),
            ("list.json", "\"2024-03-01T00:00:00.5Z\""),
        ] {
            let refused = format!("{:?}", read(file, from).unwrap_err());
            assert!(refused.contains("from = 2024-03-01T00:00:00.5Z"), "{refused}");
        }
        for (file, from) in
            [("list.toml", "2024-03-01"), ("list.toml", "2024-03-01T00:00:00Z"), ("list.json", "\"2024-03-01\"")]
        {
            let read = read(file, from).unwrap();
            assert_eq!(read.issuers[0].accreditations[0].from.to_string(), "2024-03-01T00:00:00Z");
        }
    }
}
