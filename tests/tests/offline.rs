//! A proof without a network: no issuer, no web site, and no route out; only the wallet, the verifier, and the socket
//! between them. The test runs in a network namespace of its own if the system allows it; otherwise all services that
//! could be asked are stopped.

use std::process::Command;

use carnet_tests::{
    Result,
    stage::{Stage, residence_permit},
};
use serde_json::Value;

/// Set where the test is in its own namespace, or in none because none can be made.
const INSIDE: &str = "CARNET_TEST_NETWORK";

/// Runs this very test again in a namespace without a way out; whether it has.
fn isolated(name: &str) -> Result<bool> {
    let own = std::env::current_exe()?;
    let up = "ip link set lo up && exec \"$0\" --exact \"$1\" --nocapture";
    let namespace = ["--map-root-user", "--net", "sh", "-c"];
    let can = Command::new("unshare").args(namespace).arg("ip link set lo up").output();
    if !can.is_ok_and(|tried| tried.status.success()) {
        return Ok(false);
    }
    let mut inside = Command::new("unshare");
    let ran = inside.args(namespace).arg(up).arg(own).arg(name).env(INSIDE, "none").output()?;
    let said = [ran.stdout, ran.stderr].concat();
    if !ran.status.success() {
        return Err(format!("in its own network: {}", String::from_utf8_lossy(&said)).into());
    }
    // That it ran there, and was not filtered out.
    assert!(String::from_utf8_lossy(&said).contains("1 passed"), "{}", String::from_utf8_lossy(&said));
    Ok(true)
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Makes a wallet with a permit from the authority.
fn wallet(stage: &Stage, name: &str) -> Result<()> {
    let flags = ["--json", "--no-input"];
    let carnet = |args: &[&str]| stage.carnet_on(name, args, &flags, "")?.ok();
    carnet(&["init", "--work-factor", "12"])?;
    carnet(&["registrar", "add", &stage.registrar])?;
    let offered = stage.offer(&stage.authority, "ResidencePermitCredential", &residence_permit(), &[])?;
    let mut args = vec!["receive", offered.uri.as_str(), "--yes"];
    args.extend(offered.pin.iter().flat_map(|pin| ["--pin", pin.as_str()]));
    carnet(&args)?;
    Ok(())
}

/// Answers a request from a wallet, and approves it; returns the consent and the verdict.
fn show(stage: &Stage, name: &str, uri: &str) -> Result<(Value, Value)> {
    let flags = ["--json", "--no-input"];
    let consent = stage.carnet_on(name, &["present", uri], &flags, "")?.json()?;
    let approved = ["present", uri, "--yes", text(&consent, "/digest")];
    let answer = stage.carnet_on(name, &approved, &flags, "")?.json()?;
    Ok((consent, answer))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmed_copy_is_proved_where_there_is_no_network() -> Result<()> {
    let alone = std::env::var_os(INSIDE).is_some();
    if !alone && isolated("a_confirmed_copy_is_proved_where_there_is_no_network")? {
        return Ok(());
    }
    if alone {
        let out = std::net::TcpStream::connect_timeout(&"192.0.2.1:443".parse()?, std::time::Duration::from_secs(1));
        assert_eq!(out.map_err(|error| error.kind()).err(), Some(std::io::ErrorKind::NetworkUnreachable));
    }
    let mut stage = Stage::set(false).await?;
    for name in ["confirmed.age", "unconfirmed.age"] {
        wallet(&stage, name)?;
    }
    let refreshed = stage.carnet_on("confirmed.age", &["refresh"], &["--json", "--no-input"], "")?.ok()?.json()?;
    assert_eq!(refreshed.pointer("/refreshed/0/copies_confirmed").and_then(Value::as_u64), Some(10), "{refreshed}");
    // The issuer ends before this agency could fetch any of its lists; the agency has pinned its document. Then that
    // site ends.
    stage.authority.service.kill()?;
    let agency = stage.open_agency("border", "Border Office", true)?;
    stage.site.close();
    stage.university.service.kill()?;
    stage.agency.service.kill()?;
    let ask = || stage.request_of(&agency, &["--template", "work-permit-today"]);
    let (id, uri) = ask()?;
    let (consent, answer) = show(&stage, "confirmed.age", &uri)?;
    assert!(!text(&consent, "/credentials/0/confirmed_since").is_empty(), "{consent}");
    assert_eq!(answer.pointer("/accepted"), Some(&Value::Bool(true)), "{answer}");
    let checks = answer.pointer("/checks").and_then(Value::as_array).ok_or("no checks")?;
    let status = checks.iter().find(|check| text(check, "/name") == "status").ok_or("no check of the status")?;
    assert_eq!(text(status, "/outcome"), "passed", "{status}");
    let result = agency.staff(&["result", &id])?.ok()?.json()?;
    assert!(result.to_string().contains("accepted"), "{result}");
    // The twin: without the issuer's statement the same permit is refused, and the owner gets advice.
    let (_, uri) = ask()?;
    let (consent, refused) = show(&stage, "unconfirmed.age", &uri)?;
    assert_eq!(consent.pointer("/credentials/0/confirmed_since"), Some(&Value::Null), "{consent}");
    assert_eq!(text(&refused, "/error/reason"), "status_list_unavailable", "{refused}");
    assert!(text(&refused, "/error/hint").contains("carnet refresh"), "{refused}");
    Ok(())
}
