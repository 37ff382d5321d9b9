//! Life of credentials after issuance: renewed, suspended, proved without their issuer, withdrawn. Also the keys that
//! signed them, and an issuer that is struck off.

use std::time::{Duration, Instant};

use carnet_tests::{
    Result,
    desk::Desk,
    keys::Keys,
    programs,
    stage::{Office, Stage},
};
use serde_json::Value;

use super::{Telling, story::indent};

const ADMISSION: &str = "university-admission";
const WORK: &str = "work-permit-today";
/// Longest wait for an agency to learn an issuer's statement. Here it fetches every second.
const PATIENCE: Duration = Duration::from_secs(20);

/// Verifier's configuration on this stage.
pub(crate) const AGENCY: &str = "[status]\nrefresh_seconds = 1\n";
/// University's configuration.
pub(crate) const UNIVERSITY: &str =
    "[cohorts]\nepoch = \"week\"\n[renewal.QualificationCredential]\ndays = 365\nmost = 1\n";

/// A permit that is suspended is refused, and accepted once it is not.
pub(crate) fn suspended(telling: &mut Telling, stage: &Stage, permit: &str) -> Result<()> {
    telling.say("The authority finds that two permits have one number, and suspends this one until it has looked:\n");
    let staff = |args: &[&str]| stage.authority.staff(args).and_then(programs::Said::ok);
    telling.step("suspend", staff(&["status", "suspend", permit, "--reason", "Two permits with one number."]))?;
    let reason = telling.step("suspension is known", until(stage, &stage.agency, WORK, Some("suspended")))?;
    telling.refused("a suspended permit", &reason);
    telling.step("reinstate", staff(&["status", "reinstate", permit, "--reason", "The other one was wrong."]))?;
    let screen =
        telling.step("refresh after it", stage.carnet_on("wallet.age", &["refresh"], &["--no-input"], "")?.ok())?;
    telling.say(format!("$ carnet refresh\n{}", screen.stdout));
    telling.step("reinstated", until(stage, &stage.agency, WORK, None))?;
    telling.say("   accepted a permit that is reinstated, by a copy that no list ever marked");
    telling.say("   The agency read a list of all permits. The authority was not asked about this one.\n");
    Ok(())
}

/// A credential near its end is renewed without a visit.
pub(crate) fn renewed(telling: &mut Telling, stage: &Stage) -> Result<()> {
    telling.say("The qualification ends soon. Its issuer allows one renewal:\n");
    let screen = stage.carnet_on("wallet.age", &["renew"], &["--no-input"], "").and_then(programs::Said::ok);
    let screen = telling.step("renew", screen)?;
    telling.say(format!("$ carnet renew\n{}", screen.stdout));
    let nothing = stage.carnet(&["list"]).and_then(|said| said.ok()?.json());
    let nothing = telling.step("list after renewal", nothing)?;
    let ends = nothing.get("credentials").and_then(Value::as_array).into_iter().flatten();
    let ends = ends.filter(|held| held.get("ends_soon") == Some(&Value::Bool(true))).count();
    telling.step("nothing ends soon", if ends == 0 { Ok(()) } else { Err(nothing.to_string().into()) })
}

/// The university signs with another key from now on, and credentials signed by the old one still hold.
pub(crate) fn rotated(telling: &mut Telling, stage: &mut Stage) -> Result<()> {
    telling.say("The university changes its signing key. Signatures of the old one stay valid:\n");
    let keys = Keys::of(&stage.folder, &stage.university.service.data)?;
    let change = |args: &[&str]| keys.run(args)?.ok();
    telling.step("stop for new keys", stage.university.service.kill())?;
    telling.step("rotate", change(&["rotate"]))?;
    telling.step("publish", keys.publish(&stage.site, "university"))?;
    telling.step("activate", change(&["activate", "--at-once"]))?;
    telling.step("start with new keys", stage.university.switch_on())?;
    let data = keys.data.display().to_string();
    let listed = programs::run("carnet-issuer", ["keys", "list", "--data", &data], &[]).and_then(programs::Said::ok);
    let listed = telling.step("list keys", listed)?;
    telling.say(format!("$ carnet-issuer keys list\n{}", listed.stdout));
    telling.step("signed with the old key", until(stage, &stage.agency, ADMISSION, None))?;
    telling.say("   accepted what the old key signed\n");
    Ok(())
}

/// A library uses a trust list that three of four operators have signed; then the university is struck off.
pub(crate) fn struck_off(telling: &mut Telling, stage: &Stage) -> Result<()> {
    telling
        .say("A library names no issuers itself. It uses a trust list that three of its four operators must sign:\n");
    let desk = telling.step("operators", Desk::open(stage, "operators"))?;
    let machine = telling.step("timestamp key", desk.key("stamps"))?;
    let first = desk.first("list-1", &["--timestamp-signer", &machine]);
    telling.step("first list", first.and_then(|()| desk.publish("list-1")?.ok()))?;
    let counts_until = telling.step("timestamp", desk.timestamp("stamps", &[]))?;
    let library = telling.step("library", desk.verifier("library", &desk.published()))?;
    telling.step("listed", until(stage, &library, ADMISSION, None))?;
    telling.say("   accepted a qualification of a university that is listed");
    telling.say(format!(
        "   a machine confirms each day that this list is the newest; the last confirmation is valid until \
         {counts_until}"
    ));
    let strike = ["--strike", &stage.university.did, "--earlier", "fall", "--reason", "Diplomas were sold."];
    let today = carnet_tests::visitor::now().to_string();
    let on = ["--on", today.get(..10).unwrap_or_default()];
    let second = desk.strike("list-1", "list-2", &[strike.as_slice(), &on].concat());
    telling.step("second list", second.and_then(|()| desk.publish("list-2")?.ok()))?;
    telling.step("second timestamp", desk.timestamp("stamps", &[]))?;
    let library = telling.step("library reads it", library.restart())?;
    let reason = telling.step("struck off", until(stage, &library, ADMISSION, Some("issuer_untrusted")))?;
    telling.refused("an issuer that was struck off", &reason);
    let listed = library.staff(&["request", "list"]).and_then(|said| said.ok()?.json());
    let listed = telling.step("library's requests", listed)?;
    let id = listed.pointer("/requests/0/id").and_then(Value::as_str).unwrap_or_default();
    let server = ["--server", &library.service.url, "--token-file", &library.token_file.display().to_string()];
    let why = programs::run("carnet-verifier", [["why", id].as_slice(), &server].concat(), &[])?;
    telling.say(format!("\n$ carnet-verifier why\n{}", indent(&why.stdout)));
    let explained = why.stdout.contains("trust list 2") && why.stdout.contains("Diplomas were sold.");
    telling.step("why", if explained { Ok(()) } else { Err(format!("{why:?}").into()) })?;
    operator_left(telling, &desk, library)
}

/// One operator leaves: a list by the old quorum names another one, who signs the next list.
fn operator_left(telling: &mut Telling, desk: &Desk<'_>, library: Office) -> Result<()> {
    let joins = telling.step("a new operator", desk.key("e"))?;
    let [_, b, c, d] = desk.operators() else { return Err("there are not four operators".into()) };
    let named = [b, c, d, &joins].into_iter().flat_map(|did| ["--new-operator", did.as_str()]);
    let named: Vec<&str> = named.chain(["--new-quorum", "3"]).collect();
    let third = desk.next("list-2", "list-3", &["b", "c", "d"], &named);
    telling.step("third list", third.and_then(|()| desk.publish("list-3")?.ok()))?;
    let fourth = desk.next("list-3", "list-4", &["b", "c", "e"], &[]);
    telling.step("fourth list", fourth.and_then(|()| desk.publish_after("list-4", &["list-3"])?.ok()))?;
    telling.step("fourth timestamp", desk.timestamp("stamps", &["list-3"]))?;
    let library = telling.step("library reads both", library.restart())?;
    let data = library.service.data.display().to_string();
    let decides = programs::run("carnet-verifier", ["trust", "--data", &data, "--json"], &[])?.json()?;
    let fourth = decides.get("sequence").and_then(Value::as_u64) == Some(4);
    telling.step("the fourth list decides", if fourth { Ok(()) } else { Err(decides.to_string().into()) })?;
    telling.say("   operator a leaves: list 3 names e in its place, and list 4, signed by b, c and e, decides\n");
    Ok(())
}

/// The authority is switched off, and nothing can be fetched: its statement, collected before, is stapled to the
/// permit.
pub(crate) fn offline(telling: &mut Telling, stage: &mut Stage) -> Result<()> {
    telling.say("The holder fetches the issuers' confirmations that all copies are still valid, ahead of time:\n");
    let screen = stage.carnet_on("wallet.age", &["refresh"], &["--no-input"], "").and_then(programs::Said::ok);
    let screen = telling.step("refresh", screen)?;
    telling.say(format!("$ carnet refresh\n{}", screen.stdout));
    telling.step("authority is switched off", stage.authority.service.kill())?;
    let border = telling.step("border", stage.open_agency("border", "Border Office", true))?;
    let proved = until(stage, &border, WORK, None);
    telling.step("proof without the issuer", proved)?;
    telling.say("   accepted a permit, while its issuer and all of its lists were out of reach\n");
    telling.step("authority is switched on", stage.authority.switch_on())
}

/// A permit is revoked, and the wallet tells its owner.
pub(crate) fn revoked(telling: &mut Telling, stage: &Stage, permit: &str) -> Result<()> {
    telling.say("The authority withdraws the permit for good:\n");
    let revoked = stage.authority.staff(&[
        "status",
        "revoke",
        permit,
        "--yes",
        "--reason",
        "It was reported stolen, and replaced.",
    ]);
    telling.step("revoke", revoked.and_then(programs::Said::ok))?;
    let reason = telling.step("revocation is known", until(stage, &stage.agency, WORK, Some("revoked")))?;
    telling.refused("a permit that was withdrawn", &reason);
    let screen = stage.carnet_on("wallet.age", &["refresh"], &["--no-input"], "")?;
    telling.say(format!("\n$ carnet refresh\n{}{}", screen.stdout, screen.stderr));
    Ok(())
}

/// Presents the wallet's document until it is refused for `reason`, or accepted if there is none; returns the last
/// answer.
fn until(stage: &Stage, office: &Office, template: &str, reason: Option<&str>) -> Result<String> {
    let start = Instant::now();
    loop {
        let (id, uri) = stage.request_of(office, &["--template", template])?;
        let (_, said) = stage.approve(&uri)?;
        let result = office.staff(&["result", &id])?.json()?;
        let accepted = result.pointer("/verdict/accepted").and_then(Value::as_bool);
        let refused = result.pointer("/verdict/reason").and_then(Value::as_str).unwrap_or_default();
        match (reason, accepted) {
            (None, Some(true)) => return Ok(String::new()),
            (Some(reason), Some(false)) if refused.eq_ignore_ascii_case(reason) => return Ok(refused.to_owned()),
            _ if start.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(250)),
            _ => return Err(format!("it did not come to {reason:?}: {result}\n{}{}", said.stdout, said.stderr).into()),
        }
    }
}
