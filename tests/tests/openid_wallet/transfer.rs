//! Single copies that go from wallet to wallet in files, with their keys.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use carnet_tests::{
    Result,
    programs::Said,
    stage::{Stage, residence_permit},
};
use serde_json::Value;

use crate::{PERMIT, carnet, reason, request};

const OTHER: [&str; 4] = ["--json", "--no-input", "--private-host", "127.0.0.1"];

/// Runs `carnet` on the other wallet.
fn other(stage: &Stage, args: &[&str]) -> Result<Said> {
    stage.carnet_on("other.age", args, &OTHER, "")
}

fn is_private(path: &str) -> Result<bool> {
    Ok(Path::new(path).metadata()?.permissions().mode() & 0o777 == 0o600)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_goes_to_another_wallet_which_shows_it() -> Result<()> {
    let stage = Stage::set(false).await?;
    stage.make_wallet()?;
    other(&stage, &["init", "--work-factor", "12"])?.ok()?;
    other(&stage, &["registrar", "add", &stage.registrar, "--name", "Register of Askers"])?.ok()?;
    let offered = stage.offer(&stage.authority, PERMIT, &residence_permit(), &[])?;
    let received = stage.carnet(&["receive", &offered.uri, "--yes"])?.ok()?.json()?;
    let id = received["received"][0]["id"].as_str().ok_or("no id")?;
    let path = |name: &str| stage.folder.join(name).display().to_string();
    let (file, secret) = (path("copy.age"), path("passphrase"));
    let export = ["export", id, "--out", &file, "--file-passphrase-file", &secret];

    // Nothing leaves without a yes to exactly this copy, and what would leave is said: claims, and the key.
    let asked = carnet(&stage, &export)?.json()?;
    assert_eq!((&asked["error"]["reason"], &asked["leaves"]["private_key"]), (&"approval_needed".into(), &true.into()));
    let claims = asked["leaves"]["claims"].as_array().map(Vec::len).unwrap_or_default();
    assert!(claims > 3 && asked["error"]["data_safe"] == true, "{asked}");
    let digest = asked["digest"].as_str().ok_or("no digest")?;
    assert_eq!(reason(&carnet(&stage, &[&export[..], &["--yes", "x"]].concat())?)?, "approval_mismatch");
    assert!(!Path::new(&file).exists());
    carnet(&stage, &[&export[..], &["--yes", digest]].concat())?.ok()?;
    let sealed = fs::read_to_string(&file).unwrap_or_default();
    assert!(is_private(&file)? && !sealed.contains("eyJ"), "encrypted");

    // Another passphrase does not open it; a stranger's eyes see nothing of it.
    fs::write(path("wrong"), "wrong horse battery")?;
    let import = ["import", &file, "--yes", "--file-passphrase-file"];
    assert_eq!(reason(&other(&stage, &[&import[..], &[&path("wrong")]].concat())?)?, "wrong_passphrase");
    let said = other(&stage, &["import", &file, "--file-passphrase-file", &secret])?;
    assert_eq!(reason(&said)?, "approval_needed");
    let imported = other(&stage, &[&import[..], &[&secret]].concat())?.ok()?.json()?;
    assert_eq!((&imported["type"], &imported["issuer"]), (&PERMIT.into(), &stage.authority.did.as_str().into()));
    assert_eq!(reason(&other(&stage, &[&import[..], &[&secret]].concat())?)?, "already_held");

    // The other wallet shows it, and says that others may have seen it.
    let link = request(&stage, "job-right-to-work")?;
    let consent = other(&stage, &["present", &link])?.json()?;
    let digest = consent["digest"].as_str().ok_or_else(|| format!("no digest: {consent}"))?;
    let answer = other(&stage, &["present", &link, "--yes", digest])?.ok()?.json()?;
    assert_eq!(answer["accepted"], true, "{answer}");
    other(&stage, &["log", "--verify"])?.ok()?;
    carnet(&stage, &["log", "--verify"])?.ok()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raw_copy_and_its_key_are_two_private_files() -> Result<()> {
    let stage = Stage::set(false).await?;
    stage.make_wallet()?;
    other(&stage, &["init", "--work-factor", "12"])?.ok()?;
    let offered = stage.offer(&stage.authority, PERMIT, &residence_permit(), &["--format", "dc+sd-jwt"])?;
    let received = stage.carnet(&["receive", &offered.uri, "--yes"])?.ok()?.json()?;
    let id = received["received"][0]["id"].as_str().ok_or("no id")?;
    let path = |name: &str| stage.folder.join(name).display().to_string();
    let (out, key) = (path("copy.sd-jwt"), path("key.jwk"));
    let export = ["export", id, "--out", &out, "--key", &key];
    let digest = carnet(&stage, &export)?.json()?["digest"].as_str().ok_or("no digest")?.to_owned();

    // A file that is there stays as it is, and the copy stays unused.
    fs::write(&key, "mine")?;
    let unused = |stage: &Stage| -> Result<Value> { carnet(stage, &["list"])?.ok()?.json() };
    let before = unused(&stage)?;
    assert_eq!(reason(&carnet(&stage, &[&export[..], &["--yes", &digest]].concat())?)?, "file_unwritable");
    assert!(!Path::new(&out).exists() && fs::read_to_string(&key)? == "mine");
    assert_eq!(unused(&stage)?, before);
    fs::remove_file(&key)?;

    carnet(&stage, &[&export[..], &["--yes", &digest]].concat())?.ok()?;
    assert!(is_private(&out)? && is_private(&key)?);
    let jwk: Value = serde_json::from_str(&fs::read_to_string(&key)?)?;
    assert_eq!((&jwk["kty"], &jwk["crv"]), (&"OKP".into(), &"Ed25519".into()));
    assert!(fs::read_to_string(&out)?.trim_end().ends_with('~'), "an SD-JWT with all of its disclosures");

    // A byte of the signature, and another's key.
    let text = fs::read_to_string(&out)?;
    let (token, disclosures) = text.split_once('~').ok_or("no SD-JWT")?;
    let swapped = if token.ends_with('A') { "Q" } else { "A" };
    fs::write(path("forged"), format!("{}{swapped}~{disclosures}", &token[..token.len() - 1]))?;
    let refused = reason(&other(&stage, &["import", &path("forged"), "--key", &key, "--yes"])?)?;
    assert!(["signature_invalid", "invalid_encoding"].contains(&refused.as_str()), "{refused}");
    assert_eq!(reason(&other(&stage, &["import", &out, "--yes"])?)?, "transfer_malformed", "without its key");
    other(&stage, &["import", &out, "--key", &key, "--yes"])?.ok()?;
    Ok(())
}
