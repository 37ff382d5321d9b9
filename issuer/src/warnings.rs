//! Warnings for staff about offers that are valid and are created, but may be a mistake. No warning contains a claim's
//! value.

use carnet_core::{day, epoch::Epoch, secure::sd_jwt::Step, time::Timestamp};
use carnet_spec::CredentialType;
use serde_json::{Map, Value};

/// Minimum length of a claim's value to search for in a reference, in characters; shorter ones may match by chance.
const MIN_SEARCHED_CHARS: usize = 4;

/// Properties of an offer, besides its type and claims, that warnings depend on.
pub(crate) struct OfferTerms<'a> {
    /// Reference chosen by staff; empty: none.
    pub(crate) reference: &'a str,
    /// Effective beginning of the credential's validity.
    pub(crate) valid_from: Timestamp,
    /// Effective end of the credential's validity.
    pub(crate) valid_until: Timestamp,
    /// End requested by staff; `None`: not requested.
    pub(crate) requested_until: Option<Timestamp>,
    /// Epoch to whose start the credential's validity dates were rounded down.
    pub(crate) epoch: Epoch,
    pub(crate) now: Timestamp,
}

/// Returns warnings about probable mistakes in an offer: an end in the past, after the claim `validUntil`, or close to
/// a date that should stay hidden; a rounded end; claims with dates in the future or with surrounding white space; a
/// reference that contains a claim's value.
pub(crate) fn offer_warnings(
    known: &CredentialType,
    claims: &Map<String, Value>,
    offer: &OfferTerms<'_>,
) -> Vec<String> {
    let mut warnings = Vec::new();
    if offer.valid_until <= offer.now {
        warnings.push(format!(
            "The credential has expired already: its last day is {}.",
            day::format_end(offer.valid_until)
        ));
    }
    warnings.extend(rounded_end_warning(offer));
    warnings.extend(valid_until_warning(claims, offer.valid_until));
    warnings.extend(inferable_date_warnings(known, claims, offer));
    for (name, value) in claims {
        add_text_warnings(name, value, &mut warnings);
        let Some(text) = value.as_str().filter(|_| known.is_date(name)) else { continue };
        if day::parse_start(text).is_ok_and(|at| at > offer.now) {
            warnings.push(format!("{name} is in the future."));
        }
    }
    warnings.extend(reference_warning(offer.reference, claims));
    warnings
}

/// Returns a warning if the end differs from the requested one (spec/credential-types.md 3.6).
fn rounded_end_warning(offer: &OfferTerms<'_>) -> Option<String> {
    let asked = offer.requested_until.filter(|asked| *asked != offer.valid_until)?;
    Some(format!(
        "The credential is valid until {}, not until {}: an end is rounded down to the beginning of a {}, so that \
         the date identifies nobody.",
        day::format_end(offer.valid_until),
        day::format_end(asked),
        offer.epoch
    ))
}

/// Returns a warning for each ordered date that verifiers could infer from the credential's visible end or beginning
/// (spec/credential-types.md 3.8).
fn inferable_date_warnings(known: &CredentialType, claims: &Map<String, Value>, offer: &OfferTerms<'_>) -> Vec<String> {
    let ordered = known.ordered_claims.iter().filter_map(|ordered| match ordered.path.last() {
        Some(Step::Name(name)) => Some(name.as_str()),
        _ => None,
    });
    let mut names: Vec<&str> = ordered.collect();
    names.dedup();
    let sentence = |name: &str| {
        let date = claims.get(name)?.as_str().and_then(day::instant_of_claim)?;
        let distance = offer.epoch.hiding_epoch();
        if offer.epoch.reveals(offer.valid_until, date) {
            return Some(format!(
                "Every verifier sees that the credential ends on {}, and can infer its claim {name}, which is close to \
                 that. The wallet will not call {name} hidden. An end that is more than a {distance} earlier keeps it \
                 hidden, and a renewal extends the credential.",
                day::format_end(offer.valid_until)
            ));
        }
        offer.epoch.reveals_by_start(offer.valid_from, date).then(|| {
            format!(
                "Every verifier sees that the credential begins on {}, and can infer its claim {name}, which is in the \
                 same {distance}. The wallet will not call {name} hidden.",
                day::format_start(offer.valid_from)
            )
        })
    };
    names.into_iter().filter_map(sentence).collect()
}

/// Returns a warning if the credential ends after its claim `validUntil` (spec/credential-types.md 3.3).
fn valid_until_warning(claims: &Map<String, Value>, end: Timestamp) -> Option<String> {
    let text = claims.get("validUntil")?.as_str()?;
    // Up to the end of that day; the time of day is ignored.
    let own = day::parse_end(text).ok()?.plus(day::SECONDS.saturating_sub(1)).start_of_day();
    (own < end).then(|| {
        format!(
            "The credential is valid until {}, which is after its claim validUntil: --valid-until shortens it.",
            day::format_end(end)
        )
    })
}

/// Adds a warning for each text, at any depth, that is blank or has white space at its ends.
fn add_text_warnings(path: &str, value: &Value, warnings: &mut Vec<String>) {
    match value {
        Value::String(text) if text.trim().is_empty() => warnings.push(format!("{path} has nothing but spaces.")),
        Value::String(text) if text.trim() != text => {
            warnings.push(format!("{path} begins or ends with a space, which stays in the credential."));
        }
        Value::Array(items) => {
            let numbered = items.iter().enumerate();
            numbered.for_each(|(number, item)| add_text_warnings(&format!("{path}[{number}]"), item, warnings));
        }
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| add_text_warnings(&format!("{path}.{name}"), value, warnings));
        }
        _ => {}
    }
}

/// Returns a warning if the reference contains a claim's value, since the reference is kept longer than the claims.
fn reference_warning(reference: &str, claims: &Map<String, Value>) -> Option<String> {
    let reference = reference.to_lowercase();
    let repeats = |value: &Value| match value {
        Value::String(text) => text.chars().count() >= MIN_SEARCHED_CHARS && reference.contains(&text.to_lowercase()),
        _ => false,
    };
    claims.iter().find(|(_, value)| repeats(value)).map(|(name, _)| {
        format!(
            "The reference contains the value of {name}, and is kept after the claims are erased. If that is personal \
             data, cancel this offer and create another one with a file number as its reference."
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
        let valid_until = day::parse_end(until).unwrap();
        let (now, valid_from) = (at("2026-11-22T12:00:00Z"), at("2026-11-01T00:00:00Z"));
        let circumstances = OfferTerms {
            reference,
            valid_from,
            valid_until,
            requested_until: Some(valid_until),
            epoch: Epoch::Month,
            now,
        };
        offer_warnings(known, &claims, &circumstances)
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
        // In addition to the warning that the end gives the claim away.
        assert_eq!(permit("2028-02-29T23:59:59+01:00", "2028-02-29"), 1);
        assert_eq!(permit("2028-02-29T23:59:59+01:00", "2028-03-01"), 2);
        assert_eq!(permit("2028-03-01T00:00:00Z", "2028-02-29"), 1);
        assert_eq!(permit("2028-03-01T00:00:00Z", "2028-03-01"), 2);
    }

    #[test]
    fn an_end_that_gives_a_hidden_date_away_is_said() {
        let said = |until: &str| {
            let own = json!("2028-02-29T23:59:59+01:00");
            warned("ResidencePermitCredential", &[("validUntil", own)], "", until)
        };
        for near in ["2028-01-31", "2028-02-29"] {
            let said = said(near);
            assert!(said.len() == 1 && said[0].contains("its claim validUntil") && !said[0].contains("2028-02-29T"));
        }
        for far in ["2027-12-31", "2026-12-31"] {
            assert_eq!(said(far), [""; 0], "{far}");
        }
        // No other ordered claim, and no date without an order.
        assert_eq!(warned(QUALIFICATION, &[("awardingDate", json!("2026-11-22"))], "", "2026-11-30"), [""; 0]);
    }

    #[test]
    fn a_beginning_that_gives_a_hidden_date_away_is_said() {
        let born = |day: &str| warned(QUALIFICATION, &[("dateOfBirth", json!(day))], "", "2028-11-21");
        let near = born("2026-11-10");
        assert!(near.len() == 1 && near[0].contains("begins on 2026-11-01") && !near[0].contains("11-10"), "{near:?}");
        assert_eq!(born("2025-11-10"), [""; 0]);
    }

    #[test]
    fn an_end_that_was_rounded_is_said() {
        let said = |asked: &str| {
            let (valid_until, asked) = (day::parse_end("2028-01-31").unwrap(), day::parse_end(asked).unwrap());
            let now = at("2026-11-22T12:00:00Z");
            rounded_end_warning(&OfferTerms {
                reference: "",
                valid_from: Epoch::Month.start(now),
                valid_until,
                requested_until: Some(asked),
                epoch: Epoch::Month,
                now,
            })
        };
        assert_eq!(said("2028-01-31"), None);
        assert!(
            said("2028-02-15").unwrap().starts_with("The credential is valid until 2028-01-31, not until 2028-02-15")
        );
    }

    #[test]
    fn a_reference_that_repeats_a_claim_is_warned_of() {
        let claims = json!({"familyName": "Haddad", "title": "BSc", "credits": 180});
        let warned = |reference: &str| reference_warning(reference, claims.as_object().unwrap());
        assert!(warned("haddad-2026").unwrap().contains("the value of familyName"));
        for fine in ["", "2026/0113", "bsc-180", "H-1"] {
            assert_eq!(warned(fine), None, "{fine}");
        }
    }
}
