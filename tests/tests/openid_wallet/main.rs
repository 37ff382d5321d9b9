//! `carnet` on the OpenID wires: it receives over OpenID4VCI 1.0, and answers over OpenID4VP 1.0.

// Where something does not hold, a test ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod foreign;
mod modules;
mod picture;
mod tls;
mod transfer;

use std::ffi::OsStr;

use carnet_tests::{
    Result,
    programs::Said,
    stage::{Office, Stage, residence_permit},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

const PERMIT: &str = "ResidencePermitCredential";
/// Flags of a trial on one machine.
const HERE: [&str; 4] = ["--json", "--no-input", "--private-host", "127.0.0.1"];

/// Runs `carnet` where services without TLS on this machine are allowed.
fn carnet<S: AsRef<OsStr>>(stage: &Stage, args: &[S]) -> Result<Said> {
    stage.carnet_on("wallet.age", args, &HERE, "")
}

/// Offer of staff: the link by reference, the PIN, and the id.
fn offer(office: &Office, kind: &str, extra: &[&str]) -> Result<(String, Option<String>, String)> {
    let args: Vec<&str> =
        ["offer", "create", "--type", kind, "--example"].into_iter().chain(extra.iter().copied()).collect();
    let said = office.staff(&args)?.ok()?.json()?;
    let text = |name: &str| said[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    Ok((text("offer_reference_uri").ok_or("no link by reference")?, text("pin"), text("offer_id").ok_or("no id")?))
}

fn receive(stage: &Stage, link: &str, pin: Option<&str>) -> Result<Said> {
    let args: Vec<&str> =
        ["receive", link, "--yes"].into_iter().chain(pin.iter().flat_map(|pin| ["--pin", pin])).collect();
    carnet(stage, &args)
}

/// Request of the agency: its link for OpenID wallets.
fn request(stage: &Stage, template: &str) -> Result<String> {
    let said = stage.agency.staff(&["request", "create", "--template", template])?.ok()?.json()?;
    Ok(said["openid_request_uri"].as_str().ok_or("no link for OpenID wallets")?.to_owned())
}

/// Approves exactly what the wallet would show. The agency is registered for what it asks, on this wire too.
fn present(stage: &Stage, link: &str) -> Result<Said> {
    let consent = carnet(stage, &["present", link])?.json()?;
    assert_eq!(consent["excess"], json!([]), "{consent}");
    let digest = consent["digest"].as_str().ok_or_else(|| format!("no digest: {consent}"))?;
    carnet(stage, &["present", link, "--yes", digest])
}

/// Approves exactly what the wallet would show to a stranger, claim by claim.
fn present_to_stranger(stage: &Stage, link: &str) -> Result<Said> {
    let mut args = vec!["present".to_owned(), link.to_owned()];
    let consent = carnet(stage, &args)?.json()?;
    for excess in consent["excess"].as_array().into_iter().flatten() {
        args.extend(["--approve".to_owned(), excess["name"].as_str().unwrap().to_owned()]);
    }
    let consent = carnet(stage, &args)?.json()?;
    let digest = consent["digest"].as_str().ok_or_else(|| format!("no digest: {consent}"))?;
    args.extend(["--yes".to_owned(), digest.to_owned()]);
    carnet(stage, &args)
}

fn reason(said: &Said) -> Result<String> {
    Ok(said.json()?["error"]["reason"].as_str().unwrap_or("none").to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_receives_and_presents_over_http_alone() -> Result<()> {
    let mut stage = Stage::set(false).await?;
    stage.make_wallet()?;
    let (link, pin, _) = offer(&stage.authority, PERMIT, &["--pin"])?;
    // Services without TLS on this machine have to be allowed.
    let refused = stage.carnet(&["receive", &link, "--yes", "--pin", pin.as_deref().unwrap_or_default()])?;
    assert_eq!(reason(&refused)?, "address_forbidden");
    let received = receive(&stage, &link, pin.as_deref())?.ok()?.json()?;
    let one = &received["received"][0];
    assert_eq!(received["received"].as_array().map(Vec::len), Some(1), "one credential, not one for each format");
    assert_eq!((&one["format"], &one["copies"]), (&"vc+sd-jwt".into(), &10.into()), "{received}");
    assert_eq!(one["issuer"], Value::from(stage.authority.did.as_str()));
    // A code is good once.
    assert_eq!(reason(&receive(&stage, &link, pin.as_deref())?)?, "invalid_grant");

    for mode in ["direct_post.jwt", "direct_post"] {
        let link = request(&stage, "job-right-to-work")?;
        let answer = present(&stage, &link)?.ok()?.json()?;
        assert_eq!(
            (&answer["accepted"], &answer["receipt"]["state"]),
            (&true.into(), &"kept".into()),
            "{mode}: {answer}"
        );
        assert_eq!(answer["shown"][0]["query_id"], "residence");
        // The twin: a request takes one answer.
        let again = carnet(&stage, &["present", &link])?;
        assert_ne!(again.json()?["error"]["reason"], Value::Null, "{mode}");
        if mode == "direct_post.jwt" {
            stage.agency.reconfigure("[openid]\nencrypt_responses = false\n")?;
        }
    }
    carnet(&stage, &["log", "--verify"])?.ok()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deferred_credential_comes_after_its_release() -> Result<()> {
    let stage = Stage::set(false).await?;
    stage.make_wallet()?;
    let (link, pin, id) = offer(&stage.university, "QualificationCredential", &["--deferred"])?;
    assert_eq!(reason(&receive(&stage, &link, pin.as_deref())?)?, "not_ready");
    assert_eq!(reason(&carnet(&stage, &["receive", "--resume"])?)?, "not_ready");
    stage.university.staff(&["offer", "release", &id, "--reason", "checked"])?.ok()?;
    let received = carnet(&stage, &["receive", "--resume"])?.ok()?.json()?;
    assert_eq!(received["received"][0]["type"], "QualificationCredential", "{received}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_in_the_other_format_answers_with_a_receipt() -> Result<()> {
    let stage = Stage::set(false).await?;
    stage.make_wallet()?;
    let offered = stage.offer(&stage.authority, PERMIT, &residence_permit(), &["--format", "dc+sd-jwt"])?;
    carnet(&stage, &["receive", &offered.uri, "--yes"])?.ok()?;
    let link = request(&stage, "job-right-to-work")?;
    let answer = present(&stage, &link)?.ok()?.json()?;
    assert_eq!((&answer["accepted"], &answer["receipt"]["state"]), (&true.into(), &"kept".into()), "{answer}");
    assert_eq!(answer["shown"][0]["query_id"], "residence-dc");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_is_told_whom_the_wallet_contacts() -> Result<()> {
    let stage = Stage::set(false).await?;
    stage.make_wallet()?;
    let (link, pin, _) = offer(&stage.authority, PERMIT, &["--pin"])?;
    let args = ["receive", &link, "--yes", "--pin", pin.as_deref().unwrap_or_default()];
    let said = stage.carnet_on("wallet.age", &args, &["--no-input", "--private-host", "127.0.0.1"], "")?.ok()?;
    let host = stage.authority.service.url.trim_start_matches("http://");
    let told = format!("Contacting {host}: a stranger.");
    assert_eq!(said.stderr.matches(&told).count(), 1, "{}", said.stderr);
    // So is the site of the DID that the service names, before its document is fetched.
    let site = format!("Contacting localhost:{}: a stranger.", stage.site.port());
    assert_eq!(said.stderr.matches(&site).count(), 1, "{}", said.stderr);
    Ok(())
}

/// Anyone who has the link can have 32 objects with a nonce signed.
#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_who_has_the_link_cannot_lock_the_wallet_out() -> Result<()> {
    let stage = Stage::set(false).await?;
    stage.make_wallet()?;
    let offered = stage.offer(&stage.authority, PERMIT, &residence_permit(), &[])?;
    stage.carnet(&["receive", &offered.uri, "--yes"])?.ok()?;
    let link = request(&stage, "job-right-to-work")?;
    let id = link.split("%2Fopenid%2Frequest%2F").nth(1).and_then(|rest| rest.split('&').next()).ok_or("no id")?;
    let address = stage.agency.service.url.trim_start_matches("http://");
    let mut last = String::new();
    for number in 0..33 {
        let body = format!("wallet_nonce=a-nonce-of-a-stranger-{number}");
        let head = format!(
            "POST /openid/request/{id} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(head.as_bytes()).await?;
        last.clear();
        stream.read_to_string(&mut last).await?;
    }
    assert!(last.to_lowercase().contains("carnet-reason: request_objects_exhausted"), "{last}");
    let answer = present(&stage, &link)?.ok()?.json()?;
    assert_eq!((&answer["accepted"], &answer["receipt"]["state"]), (&true.into(), &"kept".into()), "{answer}");
    Ok(())
}
