//! Completeness of the built-in catalogue, and the rules that it sets for credentials.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may fail by panicking")]

use std::collections::BTreeSet;

use carnet_core::{
    Code,
    credential::CONTEXT_V2,
    format::CredentialFormat,
    query::{
        QueryCandidate, path_to_text,
        plan::{AvailableCopy, ClaimDisclosure, CopyExposure, Sensitivity, SensitivityClasses},
    },
    time::Timestamp,
    verify::TypeCatalogue,
};
use carnet_spec::{Catalogue, CredentialType, RequestTemplate};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

mod services;
mod vouchers;

const LANGUAGES: [&str; 10] = ["en", "de", "fr", "ar", "uk", "es", "so", "ti", "fa", "tr"];

const TEMPLATES: [&str; 16] = [
    "credit-recognition",
    "job-right-to-work",
    "job-skills",
    "language-course",
    "language-tutor",
    "museum-visit",
    "permit-after-protection",
    "qualifications-passport",
    "reception-services",
    "recognised-qualification",
    "right-of-residence",
    "right-to-work",
    "university-admission",
    "volunteer-placement",
    "voucher-payment",
    "work-permit-today",
];

fn catalogue() -> Catalogue {
    Catalogue::embedded().unwrap()
}

fn example(of: &CredentialType) -> Map<String, Value> {
    of.example.as_object().unwrap().clone()
}

fn subject(document: &mut Map<String, Value>) -> &mut Map<String, Value> {
    document["credentialSubject"].as_object_mut().unwrap()
}

/// The claims of a type as its schema lists them: (path with brackets, dotted path, last name).
fn schema_claims(of: &CredentialType) -> Vec<(String, String, Option<String>)> {
    type Claims = Vec<(String, String, Option<String>)>;
    fn walk(of: &CredentialType, schema: &Value, bracketed: &str, dotted: &str, out: &mut Claims) {
        for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
            if bracketed.is_empty() && (name == "id" || of.is_commitments(name)) {
                continue;
            }
            let join = |to: &str| if to.is_empty() { name.clone() } else { format!("{to}.{name}") };
            let (bracketed, dotted) = (join(bracketed), join(dotted));
            out.push((bracketed.clone(), dotted.clone(), Some(name.clone())));
            if schema["type"] == "array" {
                out.push((format!("{bracketed}[]"), dotted.clone(), None));
                walk(of, &schema["items"], &format!("{bracketed}[]"), &dotted, out);
            }
        }
    }
    let mut out = Vec::new();
    walk(of, &of.schema["properties"]["credentialSubject"], "", "", &mut out);
    out
}

#[test]
fn the_types_and_the_requests_are_there() {
    let catalogue = catalogue();
    // Each of the first version has the names of its folder; a later version says so here.
    let folders = [
        ("EntitlementCredential", "entitlement", 2),
        ("InternationalProtectionApplicantCredential", "international-protection-applicant", 1),
        ("LanguageCertificateCredential", "language-certificate", 1),
        ("LanguageProficiencyCredential", "language-proficiency", 1),
        ("MicroCredential", "micro-credential", 1),
        ("QualificationAssessmentCredential", "qualification-assessment", 1),
        ("QualificationCredential", "qualification", 1),
        ("QualificationRecognitionCredential", "qualification-recognition", 1),
        ("ResidencePermitCredential", "residence-permit", 1),
        ("TemporaryProtectionCredential", "temporary-protection", 1),
        ("VolunteeringCredential", "volunteering", 1),
        ("VoucherCredential", "voucher", 1),
    ];
    let expected = folders.map(|(name, folder, version)| {
        (
            name.to_owned(),
            format!("urn:carnet:type:{folder}:{version}"),
            format!("https://carnet.example/ns/{folder}/v{version}"),
        )
    });
    let names = catalogue.types().map(|known| (known.name.clone(), known.vct.clone(), known.context_url.clone()));
    assert_eq!(names.collect::<BTreeSet<_>>(), BTreeSet::from(expected));
    let ids: BTreeSet<&str> = catalogue.templates().map(|template| template.id.as_str()).collect();
    assert_eq!(ids, BTreeSet::from(TEMPLATES));
    assert_eq!(
        catalogue.credential_type_by_vct("urn:carnet:type:qualification:1").unwrap().name,
        "QualificationCredential"
    );
    assert!(catalogue.credential_type("Qualification").is_none());
}

#[test]
fn every_example_holds_in_both_forms() {
    for known in catalogue().types() {
        known.check_disclosed(&example(known)).unwrap();
        known.validate_claims(&known.example_claims()).unwrap();
        let mut payload = known.example_claims();
        for (name, value) in [
            ("iss", json!("did:web:a.example")),
            ("vct", json!(known.vct)),
            ("nbf", json!(1)),
            ("exp", json!(2)),
            ("cnf", json!({})),
        ] {
            payload.insert(name.to_owned(), value);
        }
        known.check_disclosed_sd_jwt_vc(&payload).unwrap();
        catalogue().check_schema(&known.name, &payload).unwrap();
        catalogue().check_schema(&known.name, &example(known)).unwrap();
    }
}

#[test]
fn a_credential_with_everything_withheld_holds() {
    for known in catalogue().types() {
        let mut document = example(known);
        subject(&mut document).retain(|name, _| name == "id");
        known.check_disclosed(&document).unwrap();
        known.check_disclosed_sd_jwt_vc(json!({"vct": known.vct}).as_object().unwrap()).unwrap();
        subject(&mut document).remove("id");
        assert_eq!(known.check_disclosed(&document).unwrap_err().code, Code::SchemaViolation);
    }
}

#[test]
fn each_single_claim_may_be_withheld() {
    for known in catalogue().types() {
        for name in known.example_claims().keys() {
            let mut document = example(known);
            subject(&mut document).remove(name);
            known.check_disclosed(&document).unwrap_or_else(|problem| panic!("{name}: {problem}"));
        }
    }
    let catalogue = catalogue();
    let qualification = catalogue.credential_type("QualificationCredential").unwrap();
    for outcomes in [json!([]), json!([{}]), json!([{"title": "x"}])] {
        let mut document = example(qualification);
        subject(&mut document)["learningOutcomes"] = outcomes;
        qualification.check_disclosed(&document).unwrap();
    }
}

#[test]
fn every_claim_has_words_a_term_and_a_place() {
    for known in catalogue().types() {
        let disclosable: BTreeSet<String> = known.disclosable_claims.iter().map(|path| path_to_text(path)).collect();
        for (bracketed, dotted, name) in schema_claims(known) {
            let always = known.always_disclosed.contains(&format!("credentialSubject.{bracketed}"));
            assert!(disclosable.contains(&format!("credentialSubject.{bracketed}")) != always, "{bracketed}");
            assert!(known.has_claim(&bracketed));
            let Some(name) = name else { continue };
            assert!(known.context["@context"].get(&name).is_some(), "{name} is not in the context");
            for language in LANGUAGES {
                let display = known.display_texts(language);
                assert_eq!(display.language, language);
                assert!(!display.name.is_empty() && !display.description.is_empty());
                assert!(display.claim_label(&dotted).is_some_and(|text| !text.is_empty()), "{language}: {dotted}");
                assert!(
                    display.claim_description(&dotted).is_some_and(|text| text.ends_with(['.', '።'])),
                    "{language}: {dotted}"
                );
            }
        }
        assert_eq!(known.disclosable_claims.len(), known.disclosable_in_sd_jwt_vc().len());
    }
}

#[test]
fn no_language_leans_on_english() {
    // A message that is absent falls back to English, so the files themselves are compared.
    let ids = |text: &str| -> Vec<String> {
        text.lines().filter_map(|line| line.split_once(" = ")).map(|(id, _)| id.to_owned()).collect()
    };
    let types = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/types")).unwrap();
    let examples = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/catalogue/types")).unwrap();
    let mut folders = 0;
    for folder in types.chain(examples) {
        let folder = folder.unwrap().path();
        let read = |language: &str| std::fs::read_to_string(folder.join(format!("display/{language}.ftl"))).unwrap();
        let english = ids(&read("en"));
        for language in LANGUAGES {
            assert_eq!(ids(&read(language)), english, "{} {language}", folder.display());
        }
        folders += 1;
    }
    // The example has one type.
    assert_eq!(folders, catalogue().types().count() + 1);
}

#[test]
fn values_that_the_schema_lists_have_words() {
    let mut listed = 0;
    for known in catalogue().types() {
        let claims = known.schema["properties"]["credentialSubject"]["properties"].as_object().unwrap();
        for (claim, schema) in claims {
            let values = schema.get("enum").or_else(|| schema.pointer("/items/enum"));
            for value in values.and_then(Value::as_array).into_iter().flatten() {
                for language in LANGUAGES {
                    let words = known.display_texts(language).value_text(claim, value.as_str().unwrap());
                    assert!(words.is_some(), "{} {language} {claim} {value}", known.name);
                    listed += 1;
                }
            }
        }
    }
    assert!(listed > 200, "{listed}");
}

#[test]
fn languages_fall_back_to_their_primary_one_and_then_to_english() {
    let catalogue = catalogue();
    let permit = catalogue.credential_type("ResidencePermitCredential").unwrap();
    assert_eq!(permit.display_texts("de-AT").language, "de");
    assert_eq!(permit.display_texts("eo").language, "en");
    assert_eq!(permit.display_texts("de").claim_label("credentialSubject.rightToWork"), Some("Recht zu arbeiten"));
    let texts = &catalogue.template("job-right-to-work").unwrap().purpose;
    assert_eq!(RequestTemplate::text_in_language(texts, "fr_FR"), texts["fr"]);
    assert_eq!(RequestTemplate::text_in_language(texts, "eo"), texts["en"]);
}

#[test]
fn context_digests_are_those_of_the_files() {
    for known in catalogue().types() {
        let digest = base16ct::lower::encode_string(&Sha256::digest(&known.context_bytes));
        assert_eq!(digest, known.context_sha256);
        assert_eq!(serde_json::from_slice::<Value>(&known.context_bytes).unwrap(), known.context);
    }
}

#[test]
fn requests_ask_for_what_their_type_has_and_for_little() {
    let catalogue = catalogue();
    let now = Timestamp::parse("2026-11-23T12:00:00Z").unwrap();
    let asked = |id: &str| -> Vec<String> {
        let (query, _) = catalogue.template(id).unwrap().query_at(now).unwrap();
        query.credentials.iter().flat_map(|query| &query.claims).map(|claim| path_to_text(&claim.path)).collect()
    };
    let below =
        |names: &[&str]| -> Vec<String> { names.iter().map(|name| format!("credentialSubject.{name}")).collect() };
    assert_eq!(asked("university-admission"), below(&["title", "eqfLevel", "awardingBody", "awardingDate"]));
    assert_eq!(asked("job-right-to-work"), below(&["rightToWork", "legalResidence"]));
    assert_eq!(asked("work-permit-today"), below(&["rightToWork", "validUntil"]));
    assert_eq!(asked("language-course"), below(&["language", "level", "dateOfBirth"]));
    // Of a voucher from before there were serials the last two, in place of the first.
    assert_eq!(asked("museum-visit"), below(&["serials[]", "service", "redeemer", "entitlementId", "uses"]));
    let course =
        ["title", "awardingBody", "learningOutcomes[].title", "credits", "eqfLevel", "assessment", "supervision"];
    assert_eq!(asked("credit-recognition"), below(&course));
    assert_eq!(asked("job-skills"), below(&["learningOutcomes[].title"]));
    let spoken = ["language", "spokenInteraction", "spokenProduction", "writing"];
    assert_eq!(asked("language-tutor"), below(&spoken));
    let recognition = ["isRecognisedQualification", "recognitionCountry", "recognitionPurpose", "recognitionAuthority"];
    assert_eq!(asked("recognised-qualification"), below(&[&recognition[..], &["comparableQualification"]].concat()));
    let assessment = ["title", "eqfLevel", "iscedfCode", "assessmentBasis", "assessedBy", "isRecognisedQualification"];
    assert_eq!(asked("qualifications-passport"), below(&assessment));
    let applicant = ["givenName", "familyName", "dateOfBirth", "issuingCountry", "validUntil"];
    assert_eq!(asked("permit-after-protection"), below(&applicant));
    assert_eq!(asked("reception-services"), below(&["rightToRemain", "issuingCountry", "validUntil"]));
    let stay = ["legalResidence", "residentIn", "validUntil"];
    let remain = ["rightToRemain", "issuingCountry", "validUntil"];
    assert_eq!(asked("right-of-residence"), below(&[stay, stay, remain].concat()));
    let work = ["rightToWork", "validUntil"];
    assert_eq!(asked("right-to-work"), below(&[work, work, work].concat()));
    assert_eq!(asked("volunteer-placement"), below(&["role", "organisation", "hours"]));
    assert_eq!(asked("voucher-payment"), below(&["serials[]", "purse", "redeemer", "unitValue", "currency"]));
    let sets = catalogue.template("museum-visit").unwrap().query_at(now).unwrap().0.credentials[0].claim_sets.clone();
    assert_eq!(sets, [vec!["serial", "service", "redeemer"], vec!["number", "service", "redeemer", "uses"]]);
    for template in catalogue.templates() {
        assert!(template.retention_days > 0);
        let (query, json) = template.query_at(now).unwrap();
        assert_eq!(query.to_json(), json);
        assert!(template.retained_claims.is_empty(), "{} keeps claims, and says that it does not", template.id);
        for texts in [&template.title, &template.purpose, &template.legal_basis, &template.retention] {
            assert_eq!(
                texts.keys().map(String::as_str).collect::<BTreeSet<_>>(),
                BTreeSet::from(LANGUAGES),
                "{}",
                template.id
            );
        }
        for language in LANGUAGES {
            let retention = carnet_core::input::with_ascii_digits(&template.retention[language]);
            assert!(retention.contains(&template.retention_days.to_string()), "{} {language}", template.id);
        }
    }
}

#[test]
fn wrong_values_are_refused_without_being_repeated() {
    let catalogue = catalogue();
    let cases = [
        ("QualificationCredential", "eqfLevel", json!(9)),
        ("QualificationCredential", "eqfLevel", json!("6")),
        ("QualificationCredential", "eqfLevel", json!(6.5)),
        ("QualificationCredential", "awardingDate", json!("2021-02-30")),
        ("QualificationCredential", "iscedfCode", json!("nursing")),
        ("QualificationCredential", "credits", json!(-1)),
        ("QualificationCredential", "title", json!("secret\u{202e}value")),
        ("QualificationCredential", "title", json!("")),
        ("QualificationCredential", "learningOutcomes", json!([{"relatedSkill": "https://elsewhere.example/skill"}])),
        ("QualificationCredential", "learningOutcomes", json!([{"secretvalue": 1}])),
        ("QualificationCredential", "isRecognisedQualification", json!("true")),
        ("LanguageCertificateCredential", "level", json!("secretvalue")),
        ("LanguageCertificateCredential", "language", json!("secret value")),
        ("LanguageCertificateCredential", "skills", json!(["secretvalue"])),
        ("ResidencePermitCredential", "permitType", json!("secretvalue")),
        ("ResidencePermitCredential", "validUntil", json!("2028-02-29")),
        ("ResidencePermitCredential", "nationality", json!("Syria")),
        ("ResidencePermitCredential", "documentNumber", json!("secret value")),
        ("ResidencePermitCredential", "secretvalue", json!(true)),
        ("EntitlementCredential", "entitlementId", json!("secretvalue-21-chars-")),
        ("EntitlementCredential", "entitlementId", json!("secret value that is long enough")),
        ("EntitlementCredential", "redeemer", json!("https://secret.example")),
        ("EntitlementCredential", "uses", json!(0)),
        ("EntitlementCredential", "uses", json!(1001)),
        ("EntitlementCredential", "uses", json!(1.5)),
        ("EntitlementCredential", "familyName", json!("secretvalue")),
        ("MicroCredential", "workload", json!(0)),
        ("MicroCredential", "workload", json!("secret hours")),
        ("MicroCredential", "supervision", json!("secretvalue")),
        ("MicroCredential", "learningOutcomes", json!(["secretvalue"])),
        ("LanguageProficiencyCredential", "spokenInteraction", json!("secretvalue")),
        ("LanguageProficiencyCredential", "speaking", json!("B2")),
        ("QualificationRecognitionCredential", "recognitionDecision", json!("secretvalue")),
        ("QualificationRecognitionCredential", "recognitionCountry", json!("Secretland")),
        ("QualificationAssessmentCredential", "languages", json!([{"language": "ar", "level": "secretvalue"}])),
        ("QualificationAssessmentCredential", "awardingYear", json!("2019")),
        ("TemporaryProtectionCredential", "validUntil", json!("2027-03-04")),
        ("TemporaryProtectionCredential", "permitType", json!("secretvalue")),
        ("InternationalProtectionApplicantCredential", "legalResidence", json!(true)),
        ("InternationalProtectionApplicantCredential", "applicationDate", json!("2026-13-01")),
        ("VolunteeringCredential", "hours", json!(1.5)),
        ("VolunteeringCredential", "activityStartDate", json!("secret day")),
        ("VoucherCredential", "currency", json!("secret")),
        ("VoucherCredential", "unitValue", json!(0)),
        ("VoucherCredential", "familyName", json!("secretvalue")),
    ];
    let tried: BTreeSet<&str> = cases.iter().map(|(name, ..)| *name).collect();
    assert_eq!(tried, catalogue.types().map(|known| known.name.as_str()).collect(), "each type has bad values");
    for (name, claim, wrong) in cases {
        let known = catalogue.credential_type(name).unwrap();
        let mut claims = known.example_claims();
        known.validate_claims(&claims).unwrap();
        claims.insert(claim.to_owned(), wrong.clone());
        let problem = known.validate_claims(&claims).unwrap_err();
        assert_eq!(problem.code, Code::SchemaViolation, "{claim} {wrong}");
        assert!(!problem.detail.contains("secret"), "{}", problem.detail);
        let mut document = example(known);
        subject(&mut document).insert(claim.to_owned(), wrong);
        assert_eq!(known.check_disclosed(&document).unwrap_err().code, Code::SchemaViolation);
    }
}

#[test]
fn row_102_instants_are_those_of_xml_schema() {
    let catalogue = catalogue();
    let permit = catalogue.credential_type("ResidencePermitCredential").unwrap();
    let with = |instant: &str| {
        let mut document = example(permit);
        document.insert("validUntil".to_owned(), instant.into());
        subject(&mut document).insert("validUntil".to_owned(), instant.into());
        permit.check_disclosed(&document)
    };
    for instant in ["2026-10-31T24:00:00Z", "10000-01-01T00:00:00Z", "2026-10-31T10:00:00.5-14:00"] {
        with(instant).unwrap();
    }
    for instant in ["2026-10-31T23:59:60Z", "2026-10-31T00:00:00+15:00", "2026-10-31", "2026-10-31 00:00:00Z"] {
        assert_eq!(with(instant).unwrap_err().code, Code::SchemaViolation, "{instant}");
    }
}

#[test]
fn nothing_stands_at_the_top_that_nobody_would_be_asked_about() {
    for of in catalogue().types() {
        let mut document = example(of);
        for known in ["iat", "nbf", "exp", "cnf"] {
            document.insert(known.to_owned(), json!(1));
        }
        of.check_disclosed(&document).unwrap();
        for planted in ["id", "name", "evidence", "visitedDoctor"] {
            let mut document = document.clone();
            document.insert(planted.to_owned(), json!("did:example:track-me"));
            assert_eq!(of.check_disclosed(&document).unwrap_err().code, Code::SchemaViolation, "{planted}");
        }
        document.insert("issuer".to_owned(), json!({"id": "did:web:issuer.example"}));
        of.check_disclosed(&document).unwrap();
        document.insert("issuer".to_owned(), json!({"id": "did:web:issuer.example", "visitedDoctor": true}));
        assert_eq!(of.check_disclosed(&document).unwrap_err().code, Code::SchemaViolation);
    }
}

#[test]
fn claims_to_issue_have_what_the_type_needs_and_no_id() {
    for known in catalogue().types() {
        let whole = known.example_claims();
        for required in &known.required_at_issuance {
            let mut claims = whole.clone();
            claims.remove(required);
            assert_eq!(known.validate_claims(&claims).unwrap_err().code, Code::SchemaViolation, "{required}");
        }
        let mut claims = whole.clone();
        claims.insert("id".to_owned(), json!("did:jwk:abc"));
        assert_eq!(known.validate_claims(&claims).unwrap_err().code, Code::SchemaViolation);
        known.validate_claims(&whole).unwrap();
    }
}

#[test]
fn computed_claims_follow_from_the_others() {
    let catalogue = catalogue();
    let permit = catalogue.credential_type("ResidencePermitCredential").unwrap();
    let mut claims = permit.example_claims();
    for computed in &permit.computed_claims {
        claims.remove(computed);
    }
    assert_eq!(permit.add_computed_claims(&claims).unwrap(), permit.example_claims());
    claims.insert("workPermission".to_owned(), json!("restricted"));
    assert_eq!(permit.add_computed_claims(&claims).unwrap()["rightToWork"], json!(false));
    for (claim, wrong) in [("rightToWork", json!(true)), ("legalResidence", json!(false)), ("residentIn", json!("FR"))]
    {
        let mut claims = claims.clone();
        claims.insert(claim.to_owned(), wrong);
        assert_eq!(permit.validate_claims(&claims).unwrap_err().code, Code::SchemaViolation, "{claim}");
        assert!(permit.add_computed_claims(&claims).is_err());
    }
    let applicant = catalogue.credential_type("InternationalProtectionApplicantCredential").unwrap();
    assert!(!applicant.has_claim("legalResidence"), "an applicant may stay; a permit states legal residence");
    for (name, source, value, computed, expected) in [
        ("QualificationRecognitionCredential", "recognitionDecision", "full", "isRecognisedQualification", true),
        ("QualificationRecognitionCredential", "recognitionDecision", "partial", "isRecognisedQualification", false),
        (
            "QualificationRecognitionCredential",
            "recognitionDecision",
            "conditional",
            "isRecognisedQualification",
            false,
        ),
        // An assessment is no formal recognition, whatever it rests on.
        ("QualificationAssessmentCredential", "assessmentBasis", "documents", "isRecognisedQualification", false),
        ("TemporaryProtectionCredential", "workPermission", "unrestricted", "rightToWork", true),
        ("TemporaryProtectionCredential", "workPermission", "restricted", "rightToWork", false),
        ("InternationalProtectionApplicantCredential", "workPermission", "restricted", "rightToWork", false),
        ("InternationalProtectionApplicantCredential", "workPermission", "none", "rightToRemain", true),
    ] {
        let known = catalogue.credential_type(name).unwrap();
        let mut claims = known.example_claims();
        claims.insert(source.to_owned(), json!(value));
        claims.remove(computed);
        assert_eq!(known.add_computed_claims(&claims).unwrap()[computed], json!(expected), "{name} {value}");
        claims.insert(computed.to_owned(), json!(!expected));
        assert_eq!(known.validate_claims(&claims).unwrap_err().code, Code::SchemaViolation, "{name} {value}");
    }
    // Only the issuer vouches for the qualification's own computed claim.
    let qualification = catalogue.credential_type("QualificationCredential").unwrap();
    let mut claims = qualification.example_claims();
    claims.insert("isRecognisedQualification".to_owned(), json!(false));
    qualification.validate_claims(&claims).unwrap();
}

#[test]
fn claims_tell_less_or_more() {
    let catalogue = catalogue();
    let (permit, qualification) = ("ResidencePermitCredential", "QualificationCredential");
    for (name, path, class) in [
        (permit, "rightToWork", Sensitivity::Computed),
        // Computed, and no yes or no.
        (permit, "residentIn", Sensitivity::WidelyShared),
        (permit, "validUntil", Sensitivity::Ordinary),
        (permit, "documentNumber", Sensitivity::Identifying),
        (qualification, "isRecognisedQualification", Sensitivity::Computed),
        (qualification, "eqfLevel", Sensitivity::WidelyShared),
        (qualification, "learningOutcomes[].relatedSkill", Sensitivity::Identifying),
        (qualification, "awardingBody", Sensitivity::Ordinary),
        ("LanguageCertificateCredential", "level", Sensitivity::WidelyShared),
        // An unknown claim is not taken for harmless.
        (permit, "shoeSize", Sensitivity::Identifying),
        ("EmployeeCredential", "title", Sensitivity::Identifying),
    ] {
        assert_eq!(catalogue.sensitivity_of(name, path), class, "{name} {path}");
    }
}

#[test]
fn the_plan_asks_the_catalogue_in_both_forms() {
    let catalogue = catalogue();
    let permit = catalogue.credential_type("ResidencePermitCredential").unwrap();
    let mut flat = permit.example_claims();
    flat.insert("vct".to_owned(), json!(permit.vct));
    let document = example(permit);
    let class = |format: CredentialFormat, payload: &Map<String, Value>, path: Value| {
        let candidate = QueryCandidate { format, payload, thresholds: &[] };
        let exposure = CopyExposure::NoVerifier;
        let holding = AvailableCopy {
            document: 0,
            candidate,
            provable_claims: &[],
            clear_claims: &[],
            exposure,
            seen_by_verifier: false,
            refused_before: false,
        };
        catalogue.sensitivity(&holding, &carnet_core::query::parse_path(&path).unwrap())
    };
    for (claim, expected) in [
        ("rightToWork", Sensitivity::Computed),
        ("residentIn", Sensitivity::WidelyShared),
        ("documentNumber", Sensitivity::Identifying),
    ] {
        assert_eq!(class(CredentialFormat::VcSdJwt, &document, json!(["credentialSubject", claim])), expected);
        assert_eq!(class(CredentialFormat::DcSdJwt, &flat, json!([claim])), expected);
    }
    assert_eq!(
        class(CredentialFormat::VcSdJwt, &flat, json!(["rightToWork"])),
        Sensitivity::Identifying,
        "a vct names no type there"
    );
    let qualification = catalogue.credential_type("QualificationCredential").unwrap();
    let skill = json!(["credentialSubject", "learningOutcomes", 0, "title"]);
    assert_eq!(class(CredentialFormat::VcSdJwt, &example(qualification), skill), Sensitivity::Identifying);
}

#[test]
fn the_plan_proves_a_threshold_and_shows_no_date() {
    let catalogue = catalogue();
    let permit = catalogue.credential_type("ResidencePermitCredential").unwrap();
    let document = example(permit);
    let now = Timestamp::parse("2026-11-23T12:00:00Z").unwrap();
    let (query, _) = catalogue.template("work-permit-today").unwrap().query_at(now).unwrap();
    let candidate = QueryCandidate { format: CredentialFormat::VcSdJwt, payload: &document, thresholds: &[] };
    let exposure = CopyExposure::NoVerifier;
    let with = |provable| AvailableCopy {
        document: 0,
        candidate,
        provable_claims: provable,
        clear_claims: &[],
        exposure,
        seen_by_verifier: false,
        refused_before: false,
    };
    let shown =
        |holding| query.plan(&[holding], &catalogue, catalogue.weights()).unwrap().answers[0].disclosures.clone();
    let until = |show: &ClaimDisclosure| matches!(show, ClaimDisclosure::Threshold { path, .. } if path_to_text(path).ends_with("validUntil"));
    let shows = shown(with(&permit.ordered_claims));
    assert_eq!(shows.len(), 2);
    assert!(shows.iter().any(until));
    assert!(!shown(with(&[])).iter().any(until), "a copy without commitments shows the date");
}

#[test]
fn row_26_an_unknown_context_is_refused() {
    for known in catalogue().types() {
        let mut document = example(known);
        known.check_disclosed(&document).unwrap();
        document["@context"].as_array_mut().unwrap().push(json!("https://elsewhere.example/v1"));
        assert_eq!(known.check_disclosed(&document).unwrap_err().code, Code::ContextUnknown);
        document["@context"] = json!([CONTEXT_V2]);
        assert_eq!(known.check_disclosed(&document).unwrap_err().code, Code::SchemaViolation);
        document["@context"] = json!([CONTEXT_V2, {"title": "https://elsewhere.example/title"}]);
        assert_eq!(known.check_disclosed(&document).unwrap_err().code, Code::ContextUnknown);
    }
}

#[test]
fn row_71_a_type_claimed_under_another_name_is_refused() {
    let catalogue = catalogue();
    let qualification = catalogue.credential_type("QualificationCredential").unwrap();
    let permit = catalogue.credential_type("ResidencePermitCredential").unwrap();
    let generic = "VerifiableCredential";
    assert_eq!(catalogue.type_name(&[generic, &permit.name], None).unwrap(), permit.name);
    assert_eq!(catalogue.type_name(&[], Some(&permit.vct)).unwrap(), permit.name);
    assert_eq!(catalogue.type_name(&[generic, &permit.name], Some(&permit.vct)).unwrap(), permit.name);
    for (types, vct) in [
        (vec![generic], None),
        (vec![generic, "EmployeeCredential"], None),
        (vec![generic, &permit.name, &qualification.name], None),
        (vec![generic, &permit.name], Some(qualification.vct.as_str())),
        (vec![], Some("urn:carnet:type:residence-permit:2")),
        (vec![], None),
    ] {
        assert_eq!(catalogue.type_name(&types, vct).unwrap_err().code, Code::TypeUnknown, "{types:?} {vct:?}");
    }
    // A qualification that calls itself a permit does not fit the permit's schema.
    let mut document = example(qualification);
    catalogue.check_schema(&qualification.name, &document).unwrap();
    document["type"] = json!([generic, permit.name]);
    document["@context"] = json!([CONTEXT_V2, permit.context_url]);
    assert_eq!(catalogue.check_schema(&permit.name, &document).unwrap_err().code, Code::SchemaViolation);
    assert_eq!(catalogue.check_schema("EmployeeCredential", &document).unwrap_err().code, Code::TypeUnknown);
}
