//! The page docs/vc-api.md, done literally: its commands against an issuer and a verifier of the stage.

use std::process::Command;

use carnet_tests::{Result, stage::Stage};

const PAGE: &str = include_str!("../../docs/vc-api.md");

/// Returns the blocks of commands on a page, in its order.
fn commands(page: &str) -> String {
    page.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_the_page_issue_verify_and_suspend() -> Result<()> {
    let stage = Stage::set(false).await?;
    let (product, _) = PAGE.split_once("## The conformance build").ok_or("the page has no conformance build")?;
    // Each `curl` is followed by a line of its own, so that the outputs can be told apart.
    let script = format!("set -e -o pipefail\n{}echo\n{}", commands(product), "cat issued.json\n");
    let output = Command::new("bash")
        .arg("-c")
        .arg(script)
        .current_dir(&stage.folder)
        .env("CARNET_ISSUER_SERVER", &stage.university.service.url)
        .env("CARNET_ISSUER_STAFF_TOKEN", stage.university.token()?)
        .env("CARNET_VERIFIER_SERVER", &stage.agency.service.url)
        .env("CARNET_VERIFIER_STAFF_TOKEN", stage.agency.token()?)
        .output()?;
    let (shown, errors) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
    assert!(output.status.success(), "{shown}\n{errors}");
    for text in [r#""verified":true"#, r#""familyName":"Haddad""#, r#""changed":1"#, r#""didDocument":{"#, "vc+sd-jwt,"]
    {
        assert!(shown.contains(text), "{text} is not in the output:\n{shown}\n{errors}");
    }
    Ok(())
}
