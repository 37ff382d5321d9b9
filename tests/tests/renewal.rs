//! Documents that are near their end: renewed at once, or when staff approve; not when they were taken back.

use std::time::{SystemTime, UNIX_EPOCH};

use carnet_core::{epoch::Epoch, time::Timestamp};
use carnet_tests::{
    Result,
    stage::{Offered, Stage, qualification, residence_permit},
};
use serde_json::Value;

const DAY: i64 = 86_400;
const PERMIT: &str = "ResidencePermitCredential";
const QUALIFICATION: &str = "QualificationCredential";

/// The day that is so many days from now.
fn day(days: i64) -> Result<String> {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
    let at = Timestamp::from_unix(now).start_of_day().plus(days.saturating_mul(DAY)).to_string();
    Ok(at.get(..10).unwrap_or_default().to_owned())
}

/// Configuration of an issuer with epochs of a week, so that its credentials can end soon on any day.
const WEEKS: &str = "[cohorts]\nepoch = \"week\"\n";

/// The end of a credential that was to end with day 10 and is renewed by 365 days.
fn renewed_end() -> Result<String> {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
    let end = Timestamp::from_unix(now).start_of_day().plus(11 * DAY);
    Ok(Epoch::Week.renewed_validity(end, 30 * DAY, 365 * DAY).1.to_string())
}

fn receive(stage: &Stage, offered: &Offered) -> Result<Value> {
    let mut args = vec!["receive", offered.uri.as_str(), "--yes"];
    args.extend(offered.pin.iter().flat_map(|pin| ["--pin", pin.as_str()]));
    stage.carnet(&args)?.ok()?.json()
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_soon_is_renewed_and_can_be_shown() -> Result<()> {
    let mut stage = Stage::set(false).await?;
    let policy = format!("{WEEKS}[renewal.QualificationCredential]\ndays = 365\nmost = 1\n");
    stage.university = stage.university.configured(&policy)?;
    stage.make_wallet()?;
    let soon = day(10)?;
    let offered =
        stage.offer(&stage.university, QUALIFICATION, &qualification(), &["--valid-until", &soon, "--ttl", "86400"])?;
    receive(&stage, &offered)?;
    let listed = stage.carnet(&["list"])?.ok()?.json()?;
    assert_eq!(listed.pointer("/credentials/0/ends_soon"), Some(&Value::Bool(true)), "{listed}");
    let renewed = stage.carnet(&["renew"])?.ok()?.json()?;
    assert_eq!(text(&renewed, "/renewed/0/valid_until"), renewed_end()?, "{renewed}");
    assert_eq!(renewed.pointer("/renewed/0/changed"), Some(&Value::Array(Vec::new())), "{renewed}");
    let listed = stage.carnet(&["list"])?.ok()?.json()?;
    assert_eq!(listed.pointer("/credentials").and_then(Value::as_array).map(Vec::len), Some(1), "{listed}");
    assert_eq!(text(&listed, "/credentials/0/id"), text(&renewed, "/renewed/0/id"));
    let (_, uri) = stage.request("university-admission")?;
    stage.approve(&uri)?.1.ok()?;
    // Nothing ends soon now; a named one is requested, and its issuer gives the first day.
    let nothing = stage.carnet(&["renew"])?.ok()?.json()?;
    assert_eq!(nothing.pointer("/renewed"), Some(&Value::Array(Vec::new())), "{nothing}");
    let early = stage.carnet(&["renew", text(&listed, "/credentials/0/id")])?;
    assert_eq!((early.code, text(&early.json()?, "/error/reason")), (1, "renewal_early"));
    let renewals = stage.university.staff(&["renewals", "list"])?.ok()?.json()?;
    assert_eq!(text(&renewals, "/renewals/0/state"), "issued", "{renewals}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_worker_decides_and_the_wallet_is_told() -> Result<()> {
    let mut stage = Stage::set(false).await?;
    let policy = "[renewal.ResidencePermitCredential]\ndays = 365\napproval = true\nmoves = [\"validUntil\"]\n";
    stage.authority = stage.authority.configured(&format!("{WEEKS}{policy}"))?;
    stage.make_wallet()?;
    let soon = day(10)?;
    let offered =
        stage.offer(&stage.authority, PERMIT, &residence_permit(), &["--valid-until", &soon, "--ttl", "86400"])?;
    let id = text(&receive(&stage, &offered)?, "/received/0/id").to_owned();
    let waits = stage.carnet(&["renew"])?.ok()?.json()?;
    assert_eq!(text(&waits, "/waiting/0/id"), id, "{waits}");
    let pending = stage.authority.staff(&["renewals", "list", "--pending"])?.ok()?.json()?;
    let renewal = text(&pending, "/renewals/0/renewal_id").to_owned();
    assert_eq!(text(&pending, "/renewals/0/offer_id"), offered.id, "{pending}");
    let later = stage.carnet(&["receive", "--resume"])?;
    assert_eq!((later.code, text(&later.json()?, "/error/reason")), (3, "not_ready"));
    // A refusal has its reason, and the wallet's copies still hold.
    let why = "Bring your passport to the office.";
    stage.authority.staff(&["renewals", "reject", &renewal, "--reason", why])?.ok()?;
    let refused = stage.carnet(&["receive", "--resume"])?;
    let said = refused.json()?;
    assert_eq!((refused.code, text(&said, "/error/reason")), (1, "credential_request_denied"));
    assert!(text(&said, "/error/message").contains(why), "{said}");
    let (_, uri) = stage.request("work-permit-today")?;
    stage.approve(&uri)?.1.ok()?;
    // Asked again, approved, collected: the permit's own end moves too.
    stage.carnet(&["renew", &id])?.ok()?;
    let pending = stage.authority.staff(&["renewals", "list", "--pending"])?.ok()?.json()?;
    let renewal = text(&pending, "/renewals/0/renewal_id").to_owned();
    stage.authority.staff(&["renewals", "approve", &renewal])?.ok()?;
    let received = stage.carnet(&["receive", "--resume"])?.ok()?.json()?;
    assert_eq!(text(&received, "/received/0/id"), id, "{received}");
    assert_eq!(text(&received, "/received/0/valid_until"), renewed_end()?);
    let shown = stage.carnet(&["show", &id])?.ok()?.json()?;
    let claims = shown.pointer("/claims").and_then(Value::as_array).ok_or("no claims")?;
    let until = claims.iter().find(|claim| text(claim, "/claim") == "validUntil").ok_or("no validUntil")?;
    assert_eq!(text(until, "/value"), "2029-02-28T23:59:59+01:00");
    let (_, uri) = stage.request("work-permit-today")?;
    stage.approve(&uri)?.1.ok()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_offer_tells_its_wallet_why() -> Result<()> {
    let stage = Stage::set(false).await?;
    stage.make_wallet()?;
    let offered = stage.offer(&stage.university, QUALIFICATION, &qualification(), &["--deferred"])?;
    let later = stage.carnet(&["receive", &offered.uri, "--yes"])?;
    assert_eq!((later.code, text(&later.json()?, "/error/reason")), (3, "not_ready"));
    let why = "There is no such degree in the register.";
    stage.university.staff(&["offer", "reject", &offered.id, "--reason", why])?.ok()?;
    let said = stage.carnet(&["receive", "--resume"])?.json()?;
    assert_eq!(text(&said, "/error/reason"), "credential_request_denied", "{said}");
    assert!(text(&said, "/error/message").contains(why), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_back_is_said_not_shown_and_not_renewed() -> Result<()> {
    let mut stage = Stage::set(false).await?;
    stage.university =
        stage.university.configured(&format!("{WEEKS}[renewal.QualificationCredential]\ndays = 365\n"))?;
    stage.make_wallet()?;
    let soon = day(10)?;
    let offered =
        stage.offer(&stage.university, QUALIFICATION, &qualification(), &["--valid-until", &soon, "--ttl", "86400"])?;
    let id = text(&receive(&stage, &offered)?, "/received/0/id").to_owned();
    let staff = |verb: &str| stage.university.staff(&["status", verb, &offered.id, "--yes", "--reason", "An inquiry."]);
    for (verb, state) in [("suspend", "suspended"), ("reinstate", ""), ("revoke", "revoked")] {
        staff(verb)?.ok()?;
        // The issuer refuses a wallet that does not know yet, too.
        if !state.is_empty() {
            assert_eq!(text(&stage.carnet(&["renew", &id])?.json()?, "/error/reason"), state);
        }
        let refreshed = stage.carnet(&["refresh"])?.ok()?.json()?;
        assert_eq!(text(&refreshed, "/withdrawn/0/state"), state, "{refreshed}");
        let listed = stage.carnet(&["list"])?.ok()?.json()?;
        assert_eq!(text(&listed, "/credentials/0/withdrawn"), state, "{listed}");
        if state.is_empty() {
            assert_eq!(listed.pointer("/credentials/0/copies_confirmed").and_then(Value::as_u64), Some(10), "{listed}");
            continue;
        }
        let (_, uri) = stage.request("university-admission")?;
        let said = stage.carnet(&["present", &uri])?.json()?;
        assert_eq!(text(&said, "/error/reason"), "query_unmet", "{said}");
        assert!(text(&said, "/error/hint").contains("carnet list"), "{said}");
        assert_eq!(text(&stage.carnet(&["renew", &id])?.json()?, "/error/reason"), state);
    }
    Ok(())
}
