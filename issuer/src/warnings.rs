//! Warnings about offers that are odd and allowed: they are made, and staff are told.

use serde_json::{Map, Value};

/// Values shorter than this, in characters, stand in a reference by chance.
const SHORTEST: usize = 4;

/// Warns of a reference that has a claim's value in it: it outlives the claims.
pub(crate) fn of_reference(reference: &str, claims: &Map<String, Value>) -> Vec<String> {
    let reference = reference.to_lowercase();
    let repeats = |value: &Value| match value {
        Value::String(text) => text.chars().count() >= SHORTEST && reference.contains(&text.to_lowercase()),
        _ => false,
    };
    let mut found = claims.iter().filter(|(_, value)| repeats(value)).map(|(name, _)| {
        format!(
            "the reference has the value of {name} in it, and is kept after the claims are erased. If that is personal data, \
             cancel this offer and make another one with a number of your own files as its reference"
        )
    });
    found.next().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_reference_that_repeats_a_claim_is_warned_of() {
        let claims = json!({"familyName": "Haddad", "title": "BSc", "credits": 180});
        let warned = |reference: &str| of_reference(reference, claims.as_object().unwrap());
        assert!(warned("haddad-2026")[0].contains("the value of familyName"), "{:?}", warned("haddad-2026"));
        for fine in ["", "2026/0113", "bsc-180", "H-1"] {
            assert_eq!(warned(fine), [""; 0], "{fine}");
        }
    }
}
