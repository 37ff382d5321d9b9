//! One table of documents through both builds: the conformance build accepts each, and the product refuses each with its
//! own code.

use std::process::Command;

use carnet_tests::{
    Result,
    conformance::{ConformanceBuild, post_json},
    programs,
    stage::Stage,
};
use serde_json::{Value, json};

const V2: &str = "https://www.w3.org/ns/credentials/v2";
const EXAMPLES: &str = "https://www.w3.org/ns/credentials/examples/v2";

/// Stable code of a refusal, from a verdict or from an error.
fn code(body: &Value) -> &str {
    body.get("reason").or(body.get("title")).and_then(Value::as_str).unwrap_or_default()
}

fn with(document: &Value, members: &[(&str, Value)]) -> Value {
    let mut changed = document.as_object().cloned().unwrap_or_default();
    changed.extend(members.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    Value::Object(changed)
}

/// Name, document, and the code with which the product's verifier refuses it once it is secured in a form that the product
/// has.
fn table() -> Vec<(&'static str, Value, &'static str)> {
    let plain = json!({
        "@context": [V2], "type": ["VerifiableCredential"], "validUntil": "2999-01-01T00:00:00Z",
        "credentialSubject": {"id": "did:example:subject"},
    });
    let endless = json!({
        "@context": [V2], "type": ["VerifiableCredential"], "credentialSubject": {"id": "did:example:subject"},
    });
    let unknown = |name: &'static str, members: &[(&str, Value)]| (name, with(&plain, members), "type_unknown");
    let example_type = json!(["VerifiableCredential", "ExampleDegreeCredential"]);
    let status = json!({
        "type": "BitstringStatusListEntry", "statusPurpose": "revocation", "statusListIndex": "1",
        "statusListCredential": "https://example.com/status/1",
    });
    let version_1 = json!({
        "@context": ["https://www.w3.org/2018/credentials/v1"], "type": ["VerifiableCredential"],
        "issuanceDate": "2024-01-01T00:00:00Z", "credentialSubject": {"id": "did:example:subject"},
    });
    vec![
        ("no end", endless, "claim_missing"),
        unknown("no type besides the base type", &[]),
        unknown("a type of the examples", &[("@context", json!([V2, EXAMPLES])), ("type", example_type)]),
        unknown("two subjects", &[("credentialSubject", json!([{"name": "A"}, {"name": "B"}]))]),
        unknown("an inline context", &[("@context", json!([V2, {"term": "https://example.com/term"}]))]),
        unknown("names in languages", &[("name", json!({"@value": "x", "@language": "en"}))]),
        unknown("evidence", &[("evidence", json!({"type": "https://example.com/Evidence"}))]),
        unknown("a start in the future", &[("validFrom", json!("2999-01-01T00:00:00Z"))]),
        unknown("an end in the past", &[("validUntil", json!("2001-01-01T00:00:00Z"))]),
        unknown("a status list elsewhere", &[("credentialStatus", status)]),
        ("version 1.1", version_1, "claim_forbidden"),
    ]
}

/// Profiles of the conformance build, and the code of the product for their form; `None`: that of the document.
const PROFILES: [(&str, Option<&str>); 5] = [
    ("eddsa-jcs-2022", None),
    ("ecdsa-jcs-2019-p256", None),
    ("vc-sd-jwt", None),
    // The product is built without JSON-LD here, and has no JWTs without selective disclosure.
    ("eddsa-rdfc-2022", Some("cryptosuite_unknown")),
    ("vc-jwt", Some("UNKNOWN_FORMAT")),
];

const PAGE: &str = include_str!("../../docs/vc-api.md");

#[test]
#[cfg_attr(not(carnet_conformance), ignore = "CARNET_CONFORMANCE is not set: the conformance build is not there")]
fn the_commands_of_the_page_issue_and_verify_any_document() -> Result<()> {
    let (_, page) = PAGE.split_once("## The conformance build").ok_or("the page has no conformance build")?;
    let commands: String = page.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let built = "cargo build --package carnet-conformance --features conformance\n";
    assert!(commands.starts_with(built), "the page builds the program first: {commands}");
    let program = programs::directory()?.join("carnet-conformance");
    let commands =
        commands.replace(built, "").replace("target/debug/carnet-conformance", &program.display().to_string());
    let folder = tempfile::tempdir()?;
    let script = format!("set -e -o pipefail\ntrap 'kill $(jobs -p)' EXIT\n{commands}");
    let output = Command::new("bash").arg("-c").arg(script).current_dir(folder.path()).output()?;
    let (shown, errors) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
    assert!(output.status.success(), "{shown}\n{errors}");
    for text in [r#""verified":true"#, "not a result of the product", "11 issuers"] {
        assert!(shown.contains(text), "{text} is not in the output:\n{shown}\n{errors}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(carnet_conformance), ignore = "CARNET_CONFORMANCE is not set: the conformance build is not there")]
async fn the_product_refuses_what_the_conformance_build_accepts() -> Result<()> {
    let stage = Stage::set(false).await?;
    let conformance = ConformanceBuild::start()?;
    let (issuer, verifier) = (&stage.authority, &stage.agency);
    let (issuer_token, verifier_token) = (issuer.token()?, verifier.token()?);
    for (name, document, refusal) in table() {
        let unsecured = json!({"credential": document});
        for (profile, of_form) in PROFILES {
            let (status, issued) = conformance.post(&format!("/{profile}/credentials/issue"), &unsecured)?;
            assert_eq!((status, issued["notice"].is_string()), (201, true), "{name}, {profile}: {issued}");
            let secured = json!({"verifiableCredential": issued["verifiableCredential"]});
            let (status, verified) = conformance.post("/credentials/verify", &secured)?;
            assert_eq!((status, &verified["verified"]), (200, &json!(true)), "{name}, {profile}: {verified}");

            let endpoint = format!("{}/credentials/verify", verifier.service.url);
            let (status, refused) = post_json(&endpoint, Some(&verifier_token), &secured)?;
            assert_eq!((status, code(&refused)), (400, of_form.unwrap_or(refusal)), "{name}, {profile}: {refused}");
        }
        let endpoint = format!("{}/credentials/issue", issuer.service.url);
        let (status, refused) = post_json(&endpoint, Some(&issuer_token), &unsecured)?;
        assert_eq!((status, code(&refused).is_empty()), (400, false), "{name}: {refused}");
    }
    let listed = issuer.staff(&["issued", "list"])?.ok()?.json()?;
    assert_eq!(listed["issued"].as_array().map(Vec::len), Some(0), "{listed}");
    Ok(())
}
