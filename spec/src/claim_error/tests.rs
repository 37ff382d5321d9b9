//! Claims that a registrar gave wrongly: the claim, the given value, the wanted one, and the probable intent.

use serde_json::{Value, json};

use super::DescribedType;
use crate::Catalogue;

fn faults(type_name: &str, changes: &[(&str, Value)]) -> Vec<String> {
    let catalogue = Catalogue::embedded().unwrap();
    let known = catalogue.credential_type(type_name).unwrap();
    let mut claims = known.example_claims();
    claims.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    known.claim_errors(&claims).iter().map(ToString::to_string).collect()
}

const QUALIFICATION: &str = "QualificationCredential";
const PERMIT: &str = "ResidencePermitCredential";

#[test]
fn a_fault_names_the_claim_what_was_given_what_is_wanted_and_the_nearest() {
    for (type_name, claim, value, expected) in [
        (
            QUALIFICATION,
            "dateOfBirth",
            json!("31/12/1998"),
            "dateOfBirth: given is a text of the form \"99/99/9999\"; wanted is an existing date, as YYYY-MM-DD, \
             such as 1998-04-17",
        ),
        (
            QUALIFICATION,
            "dateOfBirth",
            json!("1998-02-30"),
            "dateOfBirth: given is a day that does not exist; wanted is an existing date, as YYYY-MM-DD, \
             such as 1998-04-17",
        ),
        (
            QUALIFICATION,
            "dateOfBirth",
            json!(19_981_231),
            "dateOfBirth: given is a whole number; wanted is a text, in quotes",
        ),
        (
            QUALIFICATION,
            "isRecognisedQualification",
            json!("yes"),
            "isRecognisedQualification: given is a text of the form \"aaa\"; wanted is true or false, without quotes",
        ),
        (
            QUALIFICATION,
            "credits",
            json!(-5),
            "credits: given is a negative number; wanted is a number above 0 and at most 1000",
        ),
        (QUALIFICATION, "credits", json!(0), "credits: given is zero; wanted is a number above 0 and at most 1000"),
        (
            QUALIFICATION,
            "eqfLevel",
            json!(9),
            "eqfLevel: given is a number that is too large; wanted is a whole number of at least 1 and at most 8",
        ),
        (
            QUALIFICATION,
            "eqfLevel",
            json!("6"),
            "eqfLevel: given is a text of the form \"9\"; wanted is a whole number of at least 1 and at most 8, without quotes",
        ),
        (
            QUALIFICATION,
            "familyName",
            json!(""),
            "familyName: given is an empty text; wanted is a text of 1 to 300 characters",
        ),
        (
            QUALIFICATION,
            "familyName",
            json!(null),
            "familyName: given is null, which is not a value; wanted is a text of 1 to 300 characters, in quotes",
        ),
        (
            QUALIFICATION,
            "tittle",
            json!("Bachelor"),
            "tittle: it is not a claim of QualificationCredential; the nearest is title",
        ),
        (
            QUALIFICATION,
            "learningOutcomes",
            json!([{"titel": "a"}]),
            "learningOutcomes[0].titel: it is not a claim of QualificationCredential; the nearest is title",
        ),
        (
            QUALIFICATION,
            "learningOutcomes",
            json!("a"),
            "learningOutcomes: given is a text of the form \"a\"; wanted is a list, in square brackets",
        ),
        (
            PERMIT,
            "permitType",
            json!("studi"),
            "permitType: given is a text of the form \"aaaaa\"; wanted is one of temporary-residence, long-term-residence, family-member, study, work, blue-card, international-protection, temporary-protection, humanitarian, other; the nearest is study",
        ),
    ] {
        let mut said = faults(type_name, &[(claim, value)]);
        assert_eq!(said.pop().as_deref(), Some(expected));
        assert_eq!(said, [""; 0]);
    }
    let said = faults(QUALIFICATION, &[("shoeSize", json!(42))]);
    assert!(
        said[0].starts_with("shoeSize: it is not a claim of QualificationCredential, which has ")
            && said[0].contains("credits")
    );
    assert!(!said[0].contains("creditsAtLeast"), "{said:?}");
    let said = faults(PERMIT, &[("nationality", json!("syria"))]);
    assert!(said[0].starts_with("nationality: given is a text of the form \"aaaaa\"; wanted is "), "{said:?}");
}

/// Faults of the example's claims without some of them, and with others.
fn faults_without(type_name: &str, without: &[&str], changes: &[(&str, Value)]) -> Vec<String> {
    let catalogue = Catalogue::embedded().unwrap();
    let known = catalogue.credential_type(type_name).unwrap();
    let mut claims = known.example_claims();
    claims.retain(|name, _| !without.contains(&name.as_str()));
    claims.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    let faults = known.claim_errors(&claims);
    // These faults are complete: a claim without one is accepted.
    let complete = known.add_computed_claims(&claims).and_then(|claims| known.validate_claims(&claims));
    assert_eq!(faults.is_empty(), complete.is_ok(), "{faults:?} {complete:?}");
    faults.iter().map(ToString::to_string).collect()
}

#[test]
fn a_claim_that_issuance_needs_or_computes_or_makes_is_named_like_any_other() {
    let said = faults_without(QUALIFICATION, &["title", "awardingBody"], &[]);
    assert!(said.len() == 2 && said[0].starts_with("title: given is nothing; it is required"), "{said:?}");
    let said = faults_without(PERMIT, &["rightToWork"], &[("rightToWork", json!(false))]);
    assert_eq!(
        said,
        [
            "rightToWork: given is a yes or no (true or false without quotes); wanted is true where workPermission is one of \
          unrestricted, and else false; left out, it is filled in"
        ]
    );
    let said = faults_without(PERMIT, &["workPermission", "rightToWork"], &[("rightToWork", json!(true))]);
    assert!(said.iter().any(|fault| fault.contains("no value, since workPermission")), "{said:?}");
    assert!(said.iter().any(|fault| fault.starts_with("workPermission: given is nothing")), "{said:?}");
    let said = faults_without(QUALIFICATION, &[], &[("id", json!("did:example:1")), ("creditsAtLeast", json!(["x"]))]);
    assert_eq!(
        said,
        [
            "id: omit it: issuance sets it, from the holder's key",
            "creditsAtLeast: omit it: issuance makes the commitments"
        ]
    );
    // The twins: without the computed claims, and with their computed values.
    assert_eq!(faults_without(PERMIT, &["rightToWork"], &[]), [""; 0]);
    assert_eq!(faults_without(PERMIT, &["rightToWork"], &[("rightToWork", json!(true))]), [""; 0]);
}

#[test]
fn a_condition_of_a_schema_is_told_by_what_it_wants() {
    let schema = json!({"properties": {"credentialSubject": {
        "properties": {
            "grade": {"anyOf": [{"type": "integer", "maximum": 6}, {"enum": ["pass", "fail"]}]},
            "level": {"enum": ["A1", "B1"]},
            "points": {"type": "integer"},
        },
        "if": {"properties": {"level": {"const": "B1"}}, "required": ["level"]},
        "then": {"required": ["points"], "properties": {"points": {"minimum": 60}}},
    }}});
    let validator = jsonschema::validator_for(&schema).unwrap();
    let described =
        DescribedType { name: "Test", schema: &schema, example: &Value::Null, is_created_by_issuance: &|_| false };
    let said = |subject: Value| -> Vec<String> {
        let document = json!({"credentialSubject": subject});
        let errors: Vec<_> = validator.iter_errors(&document).collect();
        errors.iter().flat_map(|error| described.claim_errors(error)).map(|fault| fault.to_string()).collect()
    };
    assert_eq!(
        said(json!({"grade": 7})),
        ["grade: given is a whole number; wanted is a whole number at most 6, or one of pass, fail"]
    );
    assert_eq!(
        said(json!({"grade": true})),
        [
            "grade: given is a yes or no (true or false without quotes); wanted is a whole number at most 6, without quotes, or one of pass, fail"
        ]
    );
    assert_eq!(said(json!({"level": "B1"})), ["points: given is nothing; it is required"]);
    assert_eq!(
        said(json!({"level": "B1", "points": 59})),
        ["points: given is a number that is too small; wanted is a number of at least 60"]
    );
    assert_eq!(said(json!({"level": "B1", "points": 60, "grade": "pass"})), [""; 0]);
    assert_eq!(said(json!({"level": "A1", "grade": 6})), [""; 0]);
}

#[test]
fn every_fault_is_told_at_once_and_what_is_right_has_none() {
    let said = faults(QUALIFICATION, &[("credits", json!(-5)), ("eqfLevel", json!(9)), ("tittle", json!("x"))]);
    let claims: Vec<&str> = said.iter().filter_map(|fault| fault.split(':').next()).collect();
    assert_eq!(claims.len(), 3, "{said:?}");
    for claim in ["credits", "eqfLevel", "tittle"] {
        assert!(claims.contains(&claim), "{said:?}");
    }
    for type_name in [QUALIFICATION, PERMIT, "EntitlementCredential", "LanguageCertificateCredential"] {
        if Catalogue::embedded().unwrap().credential_type(type_name).is_some() {
            assert_eq!(faults(type_name, &[]), [""; 0]);
        }
    }
}

#[test]
fn a_value_is_described_and_never_repeated() {
    for value in [json!("Hadžić-Müller"), json!("S3cret"), json!(-98_765), json!(["Hadžić"]), json!({"a": "Hadžić"})]
    {
        for claim in ["eqfLevel", "dateOfBirth", "isRecognisedQualification", "iscedfCode", "learningOutcomes"] {
            for fault in faults(QUALIFICATION, &[(claim, value.clone())]) {
                for part in ["Had", "S3cret", "98"] {
                    // The example's date of birth is 1998-04-17.
                    assert!(!fault.replace("1998-04-17", "").contains(part), "{fault}");
                }
            }
        }
    }
}

#[test]
fn a_date_or_an_instant_of_the_right_form_is_told_what_is_wrong_with_it() {
    let schema = json!({"properties": {"credentialSubject": {"properties": {
        "day": {"type": "string", "format": "date"}, "at": {"type": "string", "format": "date-time"},
        "code": {"type": "string", "pattern": "^[0-9]+$"}}}}});
    let validator = jsonschema::options()
        .should_validate_formats(true)
        .with_format("date-time", |text: &str| carnet_core::time::Timestamp::parse(text).is_ok())
        .build(&schema)
        .unwrap();
    let described =
        DescribedType { name: "Test", schema: &schema, example: &Value::Null, is_created_by_issuance: &|_| false };
    let given = |claim: &str, value: &str| -> Option<String> {
        let document = json!({"credentialSubject": {claim: value}});
        let error = validator.iter_errors(&document).next()?;
        described.claim_errors(&error).remove(0).given_form
    };
    for (claim, value, expected) in [
        ("day", "2024-02-30", "a day that does not exist"),
        ("day", "2024-13-01", "a day that does not exist"),
        ("day", "٢٠٢٤-٠١-٠١", "a day in digits of another script"),
        ("day", "2024−01−02", "a day with a sign that is not -"),
        ("day", "31/12/1998", "a text of the form \"99/99/9999\""),
        ("at", "2024-02-30T00:00:00Z", "an instant on a day that does not exist"),
        ("at", "2024-01-01T00:00:00+15:00", "an instant with an offset beyond 14:00"),
        ("at", "2024-01-01T00:00:00−05:00", "an instant with a sign that is not + or -"),
        ("at", "2024-01-01T00:00:0٠Z", "an instant in digits of another script"),
        ("at", "2024-01-01", "a text of the form \"9999-99-99\""),
        ("code", "١٢٣", "a text of the form \"999\", in digits of another script"),
    ] {
        assert_eq!(given(claim, value).as_deref(), Some(expected), "{value}");
    }
    for (claim, value) in
        [("day", "2024-02-29"), ("at", "2024-02-29T00:00:00+14:00"), ("at", "2024-02-29T00:00:00-05:00"), ("code", "1")]
    {
        assert_eq!(given(claim, value), None, "{value}");
    }
}
