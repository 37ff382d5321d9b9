//! A new type is a folder of data, and loading it reports its faults.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may fail by panicking")]

use std::{fs, path::Path};

use carnet_core::{Code, format::CredentialFormat, query::path_to_text, verify::TypeCatalogue};
use carnet_spec::{Catalogue, SpecError};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

mod foreign;
mod requests;

const NAME: &str = "PlacementTestCredential";
const CONTEXT: &str = r#"{"@context": {"@protected": true,
  "PlacementTestCredential": "https://carnet.example/vocab#PlacementTestCredential",
  "language": "https://carnet.example/vocab#language",
  "cefrLevel": "https://carnet.example/vocab#cefrLevel",
  "cefrLevelAtLeast": "https://carnet.example/vocab#cefrLevelAtLeast",
  "passed": "https://carnet.example/vocab#passed",
  "skills": "https://carnet.example/vocab#skills"}}"#;
const DISPLAY: &str = "name = Placement test
description = Says how well you know a language.
claim-language = Language
    .description = Which language it is about.
claim-cefrLevel = Level
    .description = From A1 to C2.
claim-skills = Skills
    .description = What was tested.
claim-passed = Passed
    .description = Yes if you passed.
";
const REQUEST: &str = r#"
id = "integration-course"
retention_days = 30
dcql = '{"credentials":[{"id":"language","format":"dc+sd-jwt","meta":{"vct_values":["urn:example:language:1"]},"claims":[{"path":["cefrLevel"]}]}]}'
[title]
en = "Integration course"
[purpose]
en = "To find the course that fits you."
[legal_basis]
en = "Your consent: Article 6(1)(a) GDPR."
[retention]
en = "Only the outcome is kept, for 30 days."
"#;

fn schema(language: Value) -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["@context", "type", "issuer", "validFrom", "validUntil", "credentialSubject"],
        "properties": {
            "@context": {"const": ["https://www.w3.org/ns/credentials/v2", "https://example.org/ns/language/v1"]},
            "type": {"const": ["VerifiableCredential", NAME]},
            "credentialSubject": {"type": "object", "required": ["id"], "additionalProperties": false, "properties": {
                "id": {"type": "string"},
                "language": language,
                "cefrLevel": {"enum": ["A1", "A2", "B1", "B2", "C1", "C2"]},
                "skills": {"type": "array", "items": {"type": "string"}},
                "passed": {"type": "boolean"}
            }}
        }
    })
}

fn example() -> Value {
    json!({
        "@context": ["https://www.w3.org/ns/credentials/v2", "https://example.org/ns/language/v1"],
        "type": ["VerifiableCredential", NAME],
        "issuer": "did:web:school.example",
        "validFrom": "2026-01-01T00:00:00Z",
        "validUntil": "2027-01-01T00:00:00Z",
        "credentialSubject": {"id": "did:jwk:abc", "language": "de", "cefrLevel": "B1", "skills": ["speaking", "writing"]}
    })
}

fn type_toml() -> String {
    let digest = base16ct::lower::encode_string(&Sha256::digest(CONTEXT));
    format!(
        r#"
name = "{NAME}"
vct = "urn:example:language:1"
context = "https://example.org/ns/language/v1"
context_sha256 = "{digest}"
validity_days = 365
always = ["@context", "type", "issuer", "validFrom", "validUntil", "cnf", "credentialSubject.id"]
disclosable = ["language", "cefrLevel", "skills", "skills[]", "passed"]
required_at_issuance = ["language", "cefrLevel"]
never_mandatory = []
coarse = ["cefrLevel"]
fine = ["skills"]
[[computed]]
claim = "passed"
always = true
[[ordered]]
claim = "cefrLevel"
at_least = true
"#
    )
}

/// A catalogue's folder with the new type and a request for it.
fn folder() -> TempDir {
    let dir = TempDir::new().unwrap();
    fs::create_dir_all(dir.path().join("types/language/display")).unwrap();
    fs::create_dir_all(dir.path().join("requests")).unwrap();
    write(dir.path(), "types/language/type.toml", &type_toml());
    write(
        dir.path(),
        "types/language/schema.json",
        &schema(json!({"type": "string", "pattern": "^[a-z]{2}$"})).to_string(),
    );
    write(dir.path(), "types/language/context.jsonld", CONTEXT);
    write(dir.path(), "types/language/example.json", &example().to_string());
    write(dir.path(), "types/language/display/en.ftl", DISPLAY);
    write(dir.path(), "types/language/display/de.ftl", "name = Einstufungstest\n");
    write(dir.path(), "requests/integration-course.toml", REQUEST);
    dir
}

fn write(dir: &Path, file: &str, text: &str) {
    fs::write(dir.join(file), text).unwrap();
}

#[test]
fn files_with_a_byte_order_mark_and_crlf_are_read() {
    let dir = folder();
    let marked = |text: &str| format!("\u{feff}{}", text.replace('\n', "\r\n"));
    write(dir.path(), "types/language/type.toml", &marked(&type_toml()));
    write(dir.path(), "types/language/example.json", &marked(&format!("{:#}", example())));
    write(dir.path(), "types/language/display/en.ftl", &marked(DISPLAY));
    write(dir.path(), "requests/integration-course.toml", &marked(REQUEST));
    // Its digest is that of its bytes behind the mark.
    write(dir.path(), "types/language/context.jsonld", &format!("\u{feff}{CONTEXT}"));
    let catalogue = Catalogue::load(dir.path()).unwrap();
    let display = catalogue.credential_type(NAME).unwrap().display_texts("en");
    assert_eq!(display.name, "Placement test");
    assert_eq!(display.claim_label("cefrLevel"), Some("Level"));
}

/// Loads the folder with one file changed, which must fail and name that file.
fn refused(file: &str, text: &str) -> String {
    let dir = folder();
    write(dir.path(), file, text);
    let error = Catalogue::load(dir.path()).unwrap_err();
    assert!(matches!(error, SpecError::File { .. }));
    let message = error.to_string();
    assert!(message.contains(file.rsplit('/').next().unwrap()), "{message}");
    message
}

#[test]
fn a_new_type_is_a_folder_of_data() {
    let dir = folder();
    let catalogue = Catalogue::load(dir.path()).unwrap();
    assert_eq!(catalogue.types().count(), Catalogue::embedded().unwrap().types().count() + 1);
    let language = catalogue.credential_type(NAME).unwrap();
    assert_eq!(catalogue.credential_type_by_vct("urn:example:language:1").unwrap().name, NAME);
    assert_eq!(language.disclosable_claims.len(), 5);
    language.validate_claims(&language.example_claims()).unwrap();

    let mut document = example().as_object().unwrap().clone();
    assert_eq!(catalogue.type_name(&["VerifiableCredential", NAME], None).unwrap(), NAME);
    catalogue.check_schema(NAME, &document).unwrap();
    document["credentialSubject"].as_object_mut().unwrap().remove("language");
    catalogue.check_schema(NAME, &document).unwrap();
    catalogue
        .check_schema(NAME, json!({"vct": "urn:example:language:1", "cefrLevel": "B1"}).as_object().unwrap())
        .unwrap();
    document["credentialSubject"]["cefrLevel"] = json!("D1");
    assert_eq!(catalogue.check_schema(NAME, &document).unwrap_err().code, Code::SchemaViolation);

    assert_eq!(language.display_texts("de").name, "Einstufungstest");
    assert_eq!(
        language.display_texts("de").claim_label("cefrLevel"),
        Some("Level"),
        "what a language lacks is in English"
    );
    assert_eq!(language.display_texts("de").claim_label("credentialSubject.cefrLevelAtLeast[2]"), Some("Level"));
    assert_eq!(language.display_texts("de").claim_label("cefrLevelAtMost"), None);
    assert!(catalogue.template("integration-course").is_some());

    assert_eq!(language.ordered_claims.len(), 1);
    assert_eq!(path_to_text(&language.ordered_claims[0].path), "credentialSubject.cefrLevel");
    assert_eq!(path_to_text(&language.ordered_in_sd_jwt_vc()[0].path), "cefrLevel");
    assert!(language.is_commitments("cefrLevelAtLeast") && !language.is_commitments("cefrLevelAtMost"));
    let commitments = json!({"vct": "urn:example:language:1", "cefrLevelAtLeast": ["A".repeat(43)]});
    catalogue.check_schema(NAME, commitments.as_object().unwrap()).unwrap();
}

#[test]
fn what_is_wrong_with_a_folder_is_said() {
    let toml = type_toml();
    for (from, to, says) in [
        ("\"skills[]\"", "\"skill[]\"", "must be in exactly one of disclosable"),
        ("\"skills\", \"skills[]\"", "\"skills\", \"skills[]\", \"score\"", "is not in the schema"),
        ("\"cnf\", ", "", "always lacks"),
        ("validity_days = 365", "validity_days = 0", "validity_days"),
        ("[\"language\", \"cefrLevel\"]", "[]", "required_at_issuance"),
        ("urn:example:language:1", "urn:carnet:type:qualification:1", "another type has its name"),
        ("validity_days = 365", "validity_days = 365\nsurprise = 1", "unknown field"),
        ("claim = \"cefrLevel\"", "claim = \"level\"", "\"level\" is not disclosable"),
        ("claim = \"cefrLevel\"", "claim = \"language\"", "is neither a number, a date nor a CEFR level"),
        ("claim = \"cefrLevel\"", "claim = \"skills\"", "is neither a number, a date nor a CEFR level"),
        ("claim = \"cefrLevel\"", "claim = \"skills[]\"", "is not a plain member"),
        ("at_least = true", "", "has neither at_least nor at_most"),
        ("at_least = true", "at_least = true\n[[ordered]]\nclaim = \"cefrLevel\"\nat_most = true", "occurs twice"),
        ("coarse = [\"cefrLevel\"]", "coarse = [\"level\"]", "is not in the schema"),
        ("coarse = [\"cefrLevel\"]", "coarse = [\"skills\"]", "is in both coarse and fine"),
        ("never_mandatory = []", "never_mandatory = [\"cefrLevel\"]", "is never_mandatory and not fine"),
        ("fine = [\"skills\"]", "fine = [\"passed\"]", "is a computed yes or no"),
        ("fine = [\"skills\"]", "fine = [\"skills\"]\n[trust]\nlevel = [\"grade\"]", "[trust] names \"grade\""),
        ("fine = [\"skills\"]", "fine = [\"skills\"]\n[trust]\ncountry = [\"skills[]\"]", "is in an array"),
        ("fine = [\"skills\"]", "fine = [\"skills\"]\n[trust]\ntypes = []", "unknown field"),
    ] {
        assert!(toml.contains(from));
        let message = refused("types/language/type.toml", &toml.replace(from, to));
        assert!(message.contains(says), "{message}");
    }
    let open = schema(json!({"type": "string"})).to_string().replace("\"additionalProperties\":false,", "");
    assert!(refused("types/language/schema.json", &open).contains("additionalProperties"));
    let remote = schema(json!({"$ref": "https://elsewhere.example/schema.json"})).to_string();
    assert!(refused("types/language/schema.json", &remote).contains("is not a JSON Schema"));
    assert!(refused("types/language/schema.json", "{").contains("is not JSON"));
    assert!(refused("types/language/example.json", &example().to_string().replace("B1", "D1")).contains("enum"));
    assert!(
        refused("types/language/display/en.ftl", &DISPLAY.replace("claim-cefrLevel", "claim-level"))
            .contains("claim-cefrLevel")
    );
    assert!(Catalogue::load(Path::new("/nonexistent-folder")).is_err());
    Catalogue::load(folder().path()).unwrap();
}

/// The type, with a level that tells much.
fn never_mandatory() -> String {
    type_toml()
        .replace("never_mandatory = []", "never_mandatory = [\"cefrLevel\"]")
        .replace("coarse = [\"cefrLevel\"]", "coarse = []")
        .replace("fine = [\"skills\"]", "fine = [\"skills\", \"cefrLevel\"]")
}

#[test]
fn row_94_a_claim_that_is_called_as_a_member_of_another_format() {
    let load = |name: &str| {
        let dir = folder();
        let with = |text: &str| text.replace("\"passed\":", &format!("\"{name}\":{{\"type\":\"string\"}},\"passed\":"));
        write(dir.path(), "types/language/schema.json", &with(&schema(json!({"type": "string"})).to_string()));
        Catalogue::load(dir.path()).unwrap_err().to_string()
    };
    for name in ["iss", "exp", "cnf", "status", "vct", "proof", "issuer", "credentialStatus", "evidence", "aud", "vc"] {
        assert!(load(name).contains(&format!("no claim can be called \"{name}\"")), "{name}: {}", load(name));
    }
    // Names that types do have: such a one lacks only its place in the lists.
    for name in ["name", "description", "validUntil", "holder", "town"] {
        assert!(load(name).contains("must be in exactly one of disclosable"), "{name}: {}", load(name));
    }
}

#[test]
fn names_of_commitments_are_reserved_and_have_terms() {
    let dir = folder();
    Catalogue::load(dir.path()).unwrap();
    let taken = schema(json!({"type": "string"}))
        .to_string()
        .replace("\"passed\":", "\"cefrLevelAtLeast\":{\"type\":\"string\"},\"passed\":");
    write(dir.path(), "types/language/schema.json", &taken);
    write(
        dir.path(),
        "types/language/type.toml",
        &type_toml().replace("\"skills[]\"", "\"skills[]\", \"cefrLevelAtLeast\""),
    );
    assert!(Catalogue::load(dir.path()).unwrap_err().to_string().contains("needs the name cefrLevelAtLeast"));

    let dir = folder();
    write(dir.path(), "types/language/type.toml", &type_toml().replace("at_least = true", "at_most = true"));
    assert!(Catalogue::load(dir.path()).unwrap_err().to_string().contains("does not define \"cefrLevelAtMost\""));
}

#[test]
fn row_27_a_context_without_its_pinned_digest_is_refused() {
    Catalogue::load(folder().path()).unwrap();
    let tampered = CONTEXT.replace("vocab#cefrLevel", "vocab#language");
    assert!(refused("types/language/context.jsonld", &tampered).contains("SHA-256"));
}

#[test]
fn row_72_a_schema_that_cannot_be_applied_is_not_a_success() {
    // A pattern that needs a backtracking engine and runs into its limit on one text, though not on another.
    let dir = folder();
    let pattern = json!({"type": "string", "pattern": "^(?=((a|b|ab)*))(a|b|ab)*(?!x)$"});
    write(dir.path(), "types/language/schema.json", &schema(json!({"anyOf": [pattern, {"const": "de"}]})).to_string());
    let catalogue = Catalogue::load(dir.path()).unwrap();
    let mut document = example().as_object().unwrap().clone();
    document["credentialSubject"]["language"] = json!("ab".repeat(2_000) + "c");
    assert_eq!(catalogue.check_schema(NAME, &document).unwrap_err().code, Code::SchemaIndeterminate);
    document["credentialSubject"]["language"] = json!("ab");
    catalogue.check_schema(NAME, &document).unwrap();
    // A schema that does not compile is no catalogue at all.
    let invalid = schema(json!({"type": "strung"})).to_string();
    assert!(refused("types/language/schema.json", &invalid).contains("is not a JSON Schema"));
}

#[test]
fn what_is_drawn_is_in_every_credential() {
    let drawn = |claim: &str| format!("{}[[drawn]]\nclaim = \"{claim}\"\n", type_toml());
    let dir = folder();
    write(dir.path(), "types/language/type.toml", &drawn("language"));
    assert_eq!(Catalogue::load(dir.path()).unwrap().credential_type(NAME).unwrap().generated_claims, ["language"]);
    for other in ["passed", "unknown"] {
        assert!(refused("types/language/type.toml", &drawn(other)).contains("[[drawn]]"));
    }
}

#[test]
fn claim_errors_have_words_for_every_rule_of_a_schema() {
    let words = |language: Value, given: &str| {
        let dir = folder();
        write(dir.path(), "types/language/schema.json", &schema(language).to_string());
        let catalogue = Catalogue::load(dir.path()).unwrap();
        let claims = json!({"language": given, "cefrLevel": "B1"});
        let faults = catalogue.credential_type(NAME).unwrap().claim_errors(claims.as_object().unwrap());
        faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    let text = |rule: &str, of: Value| {
        let mut schema = json!({"type": "string", "description": "The language."});
        schema[rule] = of;
        schema
    };
    for (schema, given, wanted) in [
        (text("not", json!({"enum": ["xx", "zz"]})), "xx", "wanted is any value but xx, zz"),
        (text("not", json!({"const": "xx"})), "xx", "wanted is any value but xx"),
        (
            text("not", json!({"pattern": "^x"})),
            "xx",
            "wanted is a value that the type does not exclude: \"The language\"",
        ),
        (
            text("oneOf", json!([{"pattern": "^[a-z]+$"}, {"pattern": "^x"}])),
            "xx",
            "wanted is a value of exactly one of the type's forms: \"The language\"",
        ),
    ] {
        let said = words(schema.clone(), given);
        assert!(said.contains(wanted), "{said}");
        assert_eq!(words(schema, "deu"), "");
    }
}

#[test]
fn row_93_a_type_names_what_is_always_disclosed() {
    let dir = folder();
    let paths = |text: &str| carnet_core::query::parse_path(&serde_json::from_str(text).unwrap()).unwrap();
    let always = |catalogue: &Catalogue, format: CredentialFormat, path: &str| {
        catalogue.is_always_disclosed(NAME, format, &paths(path))
    };
    let before = Catalogue::load(dir.path()).unwrap();
    assert!(!always(&before, CredentialFormat::VcSdJwt, r#"["credentialSubject", "skills", 0]"#));
    // Metadata is named in its standard form, and holds nothing else.
    for (format, path) in [
        (CredentialFormat::VcSdJwt, r#"["issuer", "name"]"#),
        (CredentialFormat::VcSdJwt, r#"["cnf", "name"]"#),
        (CredentialFormat::DcSdJwt, r#"["cnf", "name"]"#),
        (CredentialFormat::DcSdJwt, r#"["cnf", "jwk", "kid"]"#),
        (CredentialFormat::DcSdJwt, r#"["cnf"]"#),
    ] {
        assert!(!always(&before, format, path), "{format} {path}");
    }
    let open = type_toml().replace(r#""skills", "skills[]", "#, "").replace(
        r#""credentialSubject.id"]"#,
        r#""credentialSubject.id", "credentialSubject.skills", "credentialSubject.skills[]", "issuer.name", "cnf.jwk.kid"]"#,
    );
    write(dir.path(), "types/language/type.toml", &open);
    let after = Catalogue::load(dir.path()).unwrap();
    assert!(always(&after, CredentialFormat::VcSdJwt, r#"["issuer", "name"]"#));
    assert!(always(&after, CredentialFormat::DcSdJwt, r#"["cnf", "jwk", "kid"]"#));
    assert!(always(&after, CredentialFormat::VcSdJwt, r#"["credentialSubject", "skills", 0]"#));
    assert!(always(&after, CredentialFormat::DcSdJwt, r#"["skills"]"#));
    for (format, path) in [
        (CredentialFormat::VcSdJwt, r#"["credentialSubject", "language"]"#),
        (CredentialFormat::VcSdJwt, r#"["skills"]"#),
        (CredentialFormat::VcSdJwt, r#"["credentialSubject"]"#),
        (CredentialFormat::VcSdJwt, r#"["issuer"]"#),
        (CredentialFormat::VcSdJwt, r#"["issuer", "url"]"#),
        // Metadata in one format is a claim in the other.
        (CredentialFormat::DcSdJwt, r#"["issuer"]"#),
        (CredentialFormat::DcSdJwt, r#"["validUntil"]"#),
    ] {
        assert!(!always(&after, format, path), "{format} {path}");
    }
    assert!(!after.is_always_disclosed("AnotherCredential", CredentialFormat::VcSdJwt, &paths(r#"["issuer"]"#)));
}
