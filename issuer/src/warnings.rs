//! Warnings about offers that are odd and allowed: they are made, and staff are told. None repeats a claim's value.

use carnet_core::{day, time::Timestamp};
use carnet_spec::CredentialType;
use serde_json::{Map, Value};

/// Values shorter than this, in characters, stand in a reference by chance.
const SHORTEST: usize = 4;

/// Terms of an offer besides its claims.
pub(crate) struct Circumstances<'a> {
    pub(crate) reference: &'a str,
    pub(crate) valid_until: Timestamp,
    pub(crate) now: Timestamp,
}

/// Returns sentences about what is odd in an offer; empty where nothing is.
pub(crate) fn of_offer(known: &CredentialType, claims: &Map<String, Value>, offer: &Circumstances<'_>) -> Vec<String> {
    let mut warnings = Vec::new();
    if offer.valid_until <= offer.now {
        warnings.push(format!("The credential has ended already: its last day is {}.", day::until(offer.valid_until)));
    }
    warnings.extend(of_its_own_end(claims, offer.valid_until));
    for (name, value) in claims {
        of_texts(name, value, &mut warnings);
        let Some(text) = value.as_str().filter(|_| known.is_day(name)) else { continue };
        if day::parse_from(text).is_ok_and(|at| at > offer.now) {
            warnings.push(format!("{name} is in the future."));
        }
    }
    warnings.extend(of_reference(offer.reference, claims));
    warnings
}

/// Warns where the credential outlives what it says of the end of a right (spec/credential-types.md 3.3).
fn of_its_own_end(claims: &Map<String, Value>, end: Timestamp) -> Option<String> {
    let text = claims.get("validUntil")?.as_str()?;
    // To the end of that day: an instant within it has no day of its own here.
    let own = day::parse_until(text).ok()?.plus(day::SECONDS.saturating_sub(1)).start_of_day();
    (own < end).then(|| {
        format!(
            "The credential holds until {}, which is longer than its claim validUntil says: --valid-until shortens it.",
            day::until(end)
        )
    })
}

fn of_texts(path: &str, value: &Value, warnings: &mut Vec<String>) {
    match value {
        Value::String(text) if text.trim().is_empty() => warnings.push(format!("{path} has nothing but spaces.")),
        Value::String(text) if text.trim() != text => {
            warnings.push(format!("{path} begins or ends with a space, which stays in the credential."));
        }
        Value::Array(items) => {
            let numbered = items.iter().enumerate();
            numbered.for_each(|(number, item)| of_texts(&format!("{path}[{number}]"), item, warnings));
        }
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| of_texts(&format!("{path}.{name}"), value, warnings));
        }
        _ => {}
    }
}

/// Warns of a reference that has a claim's value in it: it outlives the claims.
fn of_reference(reference: &str, claims: &Map<String, Value>) -> Option<String> {
    let reference = reference.to_lowercase();
    let repeats = |value: &Value| match value {
        Value::String(text) => text.chars().count() >= SHORTEST && reference.contains(&text.to_lowercase()),
        _ => false,
    };
    claims.iter().find(|(_, value)| repeats(value)).map(|(name, _)| {
        format!(
            "The reference has the value of {name} in it, and is kept after the claims are erased. If that is personal data, \
             cancel this offer and make another one with a number of your own files as its reference."
        )
    })
}

#[cfg(test)]
mod tests {
    use carnet_spec::Catalogue;
    use serde_json::json;

    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn warned(type_name: &str, change: &[(&str, Value)], reference: &str, until: &str) -> Vec<String> {
        let catalogue = Catalogue::embedded().unwrap();
        let known = catalogue.credential_type(type_name).unwrap();
        let mut claims = known.example_claims();
        claims.extend(change.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        let valid_until = day::parse_until(until).unwrap();
        of_offer(known, &claims, &Circumstances { reference, valid_until, now: at("2026-11-22T12:00:00Z") })
    }

    const QUALIFICATION: &str = "QualificationCredential";

    #[test]
    fn what_is_odd_is_said_by_the_claims_name_and_not_by_its_value() {
        for (change, expected) in [
            (("awardingDate", json!("2026-11-23")), "awardingDate is in the future"),
            (("dateOfBirth", json!("2062-04-17")), "dateOfBirth is in the future"),
            (("familyName", json!("   ")), "familyName has nothing but spaces"),
            (("familyName", json!("Haddad ")), "familyName begins or ends with a space"),
            (("learningOutcomes", json!([{"title": " "}])), "learningOutcomes[0].title has nothing but spaces"),
        ] {
            let said = warned(QUALIFICATION, &[change], "", "2028-11-21");
            assert!(said.len() == 1 && said[0].starts_with(expected), "{said:?}");
        }
        assert_eq!(warned(QUALIFICATION, &[("awardingDate", json!("2026-11-22"))], "", "2028-11-21"), [""; 0]);
        assert_eq!(warned(QUALIFICATION, &[("familyName", json!("de la Cruz"))], "2026/0113", "2028-11-21"), [""; 0]);
    }

    #[test]
    fn an_end_that_is_past_or_later_than_the_permits_own_is_said() {
        let said = warned(QUALIFICATION, &[], "", "2026-11-21");
        assert!(said[0].contains("its last day is 2026-11-21"), "{said:?}");
        assert_eq!(warned(QUALIFICATION, &[], "", "2026-11-22"), [""; 0]);
        let permit = |own: &str, until: &str| {
            warned("ResidencePermitCredential", &[("validUntil", json!(own))], "", until).len()
        };
        assert_eq!(permit("2028-02-29T23:59:59+01:00", "2028-02-29"), 0);
        assert_eq!(permit("2028-02-29T23:59:59+01:00", "2028-03-01"), 1);
        assert_eq!(permit("2028-03-01T00:00:00Z", "2028-02-29"), 0);
        assert_eq!(permit("2028-03-01T00:00:00Z", "2028-03-01"), 1);
    }

    #[test]
    fn a_reference_that_repeats_a_claim_is_warned_of() {
        let claims = json!({"familyName": "Haddad", "title": "BSc", "credits": 180});
        let warned = |reference: &str| of_reference(reference, claims.as_object().unwrap());
        assert!(warned("haddad-2026").unwrap().contains("the value of familyName"));
        for fine in ["", "2026/0113", "bsc-180", "H-1"] {
            assert_eq!(warned(fine), None, "{fine}");
        }
    }
}
