//! Claims of an offer: randomly generated ones, invisible characters, and values that no two offers may share.

use carnet_core::text;
use carnet_spec::CredentialType;
use serde_json::{Map, Value};

use crate::{
    error::Error,
    secrets::{self, HashPurpose},
    store::offers::UniqueClaim,
};

/// Returns the name and a digest for each value of the named claims, which no two offers may share. Each element of an
/// array counts as a value; absent claims are skipped.
pub(crate) fn unique_claims(claims: &Map<String, Value>, names: &[String]) -> Vec<UniqueClaim> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let digest =
        |name: &str, text: &str| secrets::purpose_hash(HashPurpose::UniqueClaim, &[name.as_bytes(), text.as_bytes()]);
    // Each element of an array is a claim of its own.
    let each = |value: &Value| match value {
        Value::Array(items) => items.iter().map(text).collect(),
        value => vec![text(value)],
    };
    let present = names.iter().filter_map(|name| Some((name, each(claims.get(name)?))));
    let present = present.flat_map(|(name, texts)| texts.into_iter().map(move |text| (name, text)));
    present.map(|(name, text)| UniqueClaim { name: name.clone(), digest: digest(name, &text) }).collect()
}

/// Adds the randomly generated claims of a type that are absent, and returns the names of those it added.
pub(crate) fn fill_random_claims(credential_type: &CredentialType, claims: &mut Map<String, Value>) -> Vec<String> {
    let mut drawn = credential_type.generated_claims.clone();
    drawn.retain(|name| !claims.contains_key(name));
    for name in &drawn {
        let value = match credential_type.serials.as_ref().filter(|serials| serials.claim == *name) {
            Some(serials) => {
                let wanted = serials.stated_count(claims).unwrap_or_default();
                (0..wanted).map(|_| secrets::random_serial()).collect::<Vec<_>>().into()
            }
            None => Value::from(secrets::random_secret().as_str()),
        };
        claims.insert(name.clone(), value);
    }
    drawn
}

/// Refuses claims whose names or string values, at any depth, contain invisible characters, which could make one text
/// look like another. Line feeds are allowed.
///
/// # Errors
/// [`Error::Invalid`], with the claim and the character, without the value.
pub(crate) fn refuse_invisible_characters(claims: &Map<String, Value>) -> Result<(), Error> {
    claims.iter().try_for_each(|(name, value)| check_claim_text(name, name, value))
}

fn check_claim_text(path: &str, name: &str, value: &Value) -> Result<(), Error> {
    refuse_invisible_text("claims".to_owned(), &format!("the name of {}", text::quoted(path)), name)?;
    match value {
        Value::String(text) => refuse_invisible_text(format!("claims.{path}"), "it", text),
        Value::Array(items) => {
            let mut numbered = items.iter().enumerate();
            numbered.try_for_each(|(number, item)| check_claim_text(&format!("{path}[{number}]"), "", item))
        }
        Value::Object(members) => {
            members.iter().try_for_each(|(name, value)| check_claim_text(&format!("{path}.{name}"), name, value))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

fn refuse_invisible_text(field: String, what: &str, text: &str) -> Result<(), Error> {
    // A line of an address may end with a line feed only.
    let Some((at, c)) = text::invisible_characters(text).find(|(_, c)| *c != '\n') else { return Ok(()) };
    let place = text.get(..at).map_or(0, |before| before.chars().count()).saturating_add(1);
    Err(Error::Invalid {
        reason: "CLAIMS_INVALID",
        field,
        description: format!(
            "{what} has {} as character {place}, which is invisible. Nothing was stored; enter it without that \
             character",
            text::code_point(c).trim_matches(['[', ']'])
        ),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal(claims: &Value) -> Option<String> {
        refuse_invisible_characters(claims.as_object().unwrap()).err().map(|error| error.to_string())
    }

    #[test]
    fn names_that_need_a_joiner_pass_and_hidden_characters_do_not() {
        let written =
            json!({"name": "علی\u{200c}رضا", "address": "Rua 1\nLisboa", "list": [{"title": "क्\u{200d}ष"}], "n": 1});
        assert_eq!(refusal(&written), None);
        for (claims, claim, character) in [
            (json!({"name": "Ana\u{fe0f}"}), "claims.name: it has", "U+FE0F as character 4"),
            (json!({"name": "Ana\u{200c}"}), "claims.name: it has", "U+200C as character 4"),
            (json!({"a": {"b": ["x", "\u{e000}"]}}), "claims.a.b[1]: it has", "U+E000 as character 1"),
            (json!({"na\u{200b}me": 1}), "claims: the name of \"na\\u{200b}me\"", "U+200B as character 3"),
            (json!({"name": "a\u{202e}b"}), "claims.name: it has", "U+202E as character 2"),
        ] {
            let said = refusal(&claims).unwrap();
            assert!(said.contains(claim) && said.contains(character), "{said}");
        }
    }
}
