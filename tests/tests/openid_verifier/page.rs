//! The commands of `docs/openid.md`, done literally in a shell; what a wallet of others has to do is done here.

use std::{path::Path, process::Command};

use carnet_core::{
    keys::{SecretKey, SignatureAlgorithm, Signer as _},
    secure::{jose, jwe::ContentEncryption},
};
use carnet_tests::{
    Result, programs,
    stage::Stage,
    visitor::{self, now, object},
};
use rand_core::OsRng;
use serde_json::{Value, json};

use crate::{
    Scene, one,
    wallet::{Answer, Request, parameter},
};

const PAGE: &str = include_str!("../../../docs/openid.md");
/// Programs that the page needs.
const NEEDED: [&str; 4] = ["curl", "jq", "python3", "openssl"];

/// The commands of a section, block by block.
fn blocks(section: &str) -> Vec<String> {
    let after = PAGE.split_once(&format!("## {section}\n")).unwrap_or_else(|| panic!("no section {section}")).1;
    let section = after.split("\n## ").next().unwrap();
    let block = |rest: &str| rest.split("```").next().unwrap_or_default().to_owned();
    section.split("```sh\n").skip(1).map(block).collect()
}

/// A shell in the folder of a stage, whose variables stay from one call to the next.
struct Shell<'a> {
    stage: &'a Stage,
}

impl Shell<'_> {
    /// Does commands, with further variables; their output.
    fn run(&self, commands: &str, variables: &[(&str, &str)]) -> Result<String> {
        let (programs, folder) = (programs::directory()?, &self.stage.folder);
        let path = std::env::var("PATH").unwrap_or_default();
        let script = format!(
            "set -e -o pipefail\ncd {}\n[ -e variables ] && . ./variables\n{commands}\n\
             for name in ISSUER OFFER CODE TOKEN LINK REQUEST_URI RESPONSE_URI VERIFIER_TOKEN; do\n\
             [ -z \"${{!name+x}}\" ] || declare -p $name; done > variables\n",
            folder.display()
        );
        let mut shell = Command::new("bash");
        shell.args(["-c", &script]).env("PATH", format!("{}:{path}", programs.display()));
        shell.env("CARNET_ISSUER_SERVER", &self.stage.university.service.url);
        shell.env("CARNET_VERIFIER_SERVER", &self.stage.agency.service.url);
        let said = shell.envs(variables.iter().copied()).output()?;
        let (out, error) = (String::from_utf8(said.stdout)?, String::from_utf8_lossy(&said.stderr).into_owned());
        if said.status.success() { Ok(out) } else { Err(format!("{commands}\n{out}{error}").into()) }
    }

    fn json(&self, commands: &str, variables: &[(&str, &str)]) -> Result<Value> {
        let out = self.run(commands, variables)?;
        serde_json::from_str(&out).map_err(|error| format!("{error}: {commands}\n{out}").into())
    }
}

/// Returns `true` if a program is on the path. The page cannot be rendered without it.
fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

fn put_token(token: &Path, place: &Path) -> Result<()> {
    std::fs::create_dir_all(place)?;
    std::fs::copy(token, place.join("staff-token"))?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_the_page_for_integrators_do_what_it_says() -> Result<()> {
    let missing: Vec<&str> = NEEDED.into_iter().filter(|program| !is_there(program)).collect();
    if !missing.is_empty() {
        println!("skipped: there is no {}", missing.join(", "));
        return Ok(());
    }
    let scene = Scene::set().await?;
    let stage = &scene.stage;
    put_token(&stage.university.token_file, &stage.folder.join("university"))?;
    put_token(&stage.agency.token_file, &stage.folder.join("agency"))?;
    receive(stage)?;
    present(&scene)
}

/// "Your wallet and our issuer".
fn receive(stage: &Stage) -> Result<()> {
    let shell = Shell { stage };
    let url = stage.university.service.url.as_str();
    let blocks = blocks("Your wallet and our issuer");
    let [address, metadata, offer, redeem, nonce, collect, notify] = blocks.as_slice() else {
        return Err(format!("the section has {} blocks", blocks.len()).into());
    };
    let here = address.replace("http://127.0.0.1:7401", url);
    assert!(here.contains(url), "{address}");
    let said = shell.run(&format!("{here}{metadata}"), &[])?;
    assert!(said.contains("\"credential_issuer\"") && said.contains("/openid/token"), "{said}");
    let said = shell.run(offer, &[])?;
    assert!(said.contains("QualificationCredential_dc+sd-jwt"), "{said}");
    shell.run(redeem, &[])?;
    let nonce = shell.json(nonce, &[])?;

    // The proof of the wallet.
    let key = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng);
    let header = json!({"typ": "openid4vci-proof+jwt", "jwk": key.public_key().to_jwk()});
    let payload = json!({"aud": url, "iat": now().unix(), "nonce": nonce["c_nonce"]});
    let proof = jose::sign(object(header), &object(payload), &key)?;
    let answer = shell.json(collect, &[("PROOF", &proof)])?;
    let copy = answer["credentials"][0]["credential"].as_str().ok_or_else(|| format!("no copy: {answer}"))?;
    assert!(copy.starts_with("eyJ") && copy.ends_with('~'), "{copy}");
    // Each proof is good once.
    assert_eq!(shell.json(collect, &[("PROOF", "a.b.c")])?["error"], "invalid_proof");
    let id = answer["notification_id"].as_str().ok_or("no notification_id")?;
    assert_eq!(shell.run(notify, &[("ID", id)])?.trim(), "204");
    Ok(())
}

/// "Your wallet and our verifier".
fn present(scene: &Scene) -> Result<()> {
    let shell = Shell { stage: &scene.stage };
    let blocks = blocks("Your wallet and our verifier");
    let [token, create, fetch, submit, result] = blocks.as_slice() else {
        return Err(format!("the section has {} blocks", blocks.len()).into());
    };
    shell.run(&format!("{token}{create}"), &[])?;
    let read: Value = shell.json(fetch, &[])?;
    assert_eq!((&read["response_mode"], read["dcql_query"].is_object()), (&"direct_post.jwt".into(), true), "{read}");
    let object = std::fs::read_to_string(scene.stage.folder.join("object.jwt"))?;
    let made: Value = serde_json::from_str(&std::fs::read_to_string(scene.stage.folder.join("request.json"))?)?;
    let link = made["openid_request_uri"].as_str().ok_or("no link")?;
    assert_eq!(read["client_id"], parameter(link, "client_id")?.as_str());
    let head = "content-type: application/oauth-authz-req+jwt\ncache-control: no-store".to_owned();
    let request = Request::read(link, &Answer { status: 200, head, body: object })?;

    let honest = one("residence", visitor::present(&scene.vc, &request.asked("residence")?, now())?);
    let response = |request: &Request| -> Result<String> {
        let body = request.body(&honest, ContentEncryption::A128Gcm)?;
        Ok(percent_encoding::percent_decode_str(body.strip_prefix("response=").ok_or("no response")?)
            .decode_utf8()?
            .into_owned())
    };
    // One that cannot be decrypted is refused; the twin is accepted.
    let refused = shell.json(submit, &[("RESPONSE", "a.b.c.d.e")])?;
    assert_eq!(refused["error"], "invalid_request", "{refused}");
    let answer = shell.json(submit, &[("RESPONSE", &response(&request)?)])?;
    assert!(answer["carnet_receipt"].is_string(), "{answer}");
    assert_eq!(shell.json(result, &[])?, "accepted");
    Ok(())
}
