//! Trust lists with the real programs: operators sign, and a verifier and a wallet use the list that three of four
//! have signed.

mod chain;
mod timestamps;

use std::path::Path;

use carnet_core::time::Timestamp;
use carnet_tests::{
    Result,
    desk::{Desk, LIST},
    programs::{self, Said},
    stage::{Offered, Office, Stage, qualification, residence_permit},
};
use serde_json::{Value, json};

const QUALIFICATION: &str = "QualificationCredential";
const PERMIT: &str = "ResidencePermitCredential";
/// The wallet that has pinned no registrar of its own.
const WALLET: &str = "listed.age";

fn wallet(stage: &Stage, args: &[&str]) -> Result<Said> {
    stage.carnet_on(WALLET, args, &["--json", "--no-input"], "")
}

/// Receives an offer; returns the wallet's note on its issuer.
fn receive(stage: &Stage, offered: &Offered) -> Result<Value> {
    let pin = offered.pin.as_deref().unwrap_or_default();
    let said = wallet(stage, &["receive", &offered.uri, "--pin", pin, "--yes"])?.ok()?.json()?;
    Ok(said.pointer("/received/0").cloned().unwrap_or_default())
}

/// Presents one document for a template and approves it; returns the consent, and the verifier's trust decision.
fn show(stage: &Stage, office: &Office, template: &str, document: &str) -> Result<(Value, Value, i32)> {
    let (id, link) = stage.request_of(office, &["--template", template])?;
    let args = ["present", link.as_str(), "--use", document];
    let consent = wallet(stage, &args)?.json()?;
    let digest = text(&consent, "digest");
    wallet(stage, &[args.as_slice(), &["--yes", &digest]].concat())?;
    let why = office.staff(&["why", id.as_str()])?;
    let said = why.json()?;
    let decision = said.pointer("/issuers/0").cloned().ok_or_else(|| format!("no decision: {said} {consent}"))?;
    Ok((consent, decision, why.code))
}

fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn rule(decision: &Value) -> (bool, String, u64) {
    let accepted = decision.get("accepted").and_then(Value::as_bool).unwrap_or_default();
    (accepted, text(decision, "rule"), decision.get("trust_list").and_then(Value::as_u64).unwrap_or_default())
}

fn expected(accepted: bool, rule: &str, list: u64) -> (bool, String, u64) {
    (accepted, rule.to_owned(), list)
}

/// Makes the wallet, with a registrar of its own; a qualification in it.
fn wallet_with_degree(stage: &Stage) -> Result<String> {
    wallet(stage, &["init", "--work-factor", "12"])?.ok()?;
    wallet(stage, &["registrar", "add", &stage.registrar])?.ok()?;
    Ok(text(&receive(stage, &stage.offer(&stage.university, QUALIFICATION, &qualification(), &[])?)?, "id"))
}

/// Verdict of a verifier on the qualification.
fn admission(stage: &Stage, office: &Office, degree: &str) -> Result<(bool, String, u64)> {
    Ok(rule(&show(stage, office, "university-admission", degree)?.1))
}

/// The wallet's own trust list, as `trust list` has it.
fn listed(stage: &Stage) -> Result<Value> {
    let said = wallet(stage, &["trust", "list"])?.ok()?.json()?;
    Ok(said.pointer("/trust_lists/0").cloned().unwrap_or_default())
}

/// Pins a list in the wallet.
fn pin(stage: &Stage, desk: &Desk<'_>, list: &str) -> Result<Said> {
    let add = ["trust", "add", "--list", list, "--issuer", LIST];
    wallet(stage, &[add.to_vec(), desk.pins()].concat())
}

/// The reason of a refusal.
fn reason(refused: &Said) -> Result<String> {
    let said = refused.json()?;
    Ok(said.pointer("/error/reason").and_then(Value::as_str).unwrap_or_default().to_owned())
}

/// So many days from today, as the command line takes it.
fn day(offset: i64) -> Result<String> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
    let at = Timestamp::from_unix(i64::try_from(now)?).start_of_day().plus(offset.saturating_mul(86_400));
    Ok(at.to_string().chars().take(10).collect())
}

/// Today's second second: what is issued today is from before it, also on the first day of a month.
fn today() -> Result<String> {
    Ok(format!("{}T00:00:01Z", day(0)?))
}

fn copy(from: &str, to: &str) -> Result<()> {
    std::fs::copy(Path::new(from), Path::new(to)).map(drop).map_err(Into::into)
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_69_and_70_struck_off_and_an_older_list_brought_back() -> Result<()> {
    let stage = Stage::set(false).await?;
    let desk = Desk::open(&stage, "desk")?;
    desk.first("list-1", &[])?;
    desk.publish("list-1")?.ok()?;
    let library = desk.verifier("library", &desk.published())?;

    // The wallet knows registrar and issuers only by the list.
    wallet(&stage, &["init", "--work-factor", "12"])?.ok()?;
    let (list, pins) = (desk.published(), desk.pins());
    let add = ["trust", "add", "--list", &list, "--issuer", LIST];
    let added = wallet(&stage, &[add.to_vec(), pins].concat())?.ok()?.json()?;
    assert_eq!(added.pointer("/added/sequence"), Some(&json!(1)));
    let (past, today) = (day(-30)?, today()?);
    let degree = receive(&stage, &stage.offer(&stage.university, QUALIFICATION, &qualification(), &[])?)?;
    assert_eq!(
        (degree.pointer("/trust/accepted"), degree.pointer("/trust/entry")),
        (Some(&json!(true)), Some(&json!("University")))
    );
    let degree = text(&degree, "id");
    let (consent, decision, code) = show(&stage, &library, "university-admission", &degree)?;
    assert!(consent.to_string().contains(&format!("\"registrar\":{:?}", stage.registrar)), "{consent}");
    assert_eq!((rule(&decision), code), (expected(true, "accredited", 1), 0), "{decision}");
    assert_eq!((text(&decision, "entry"), text(&decision, "decided_by")), ("University".into(), "trust_list".into()));
    // The agency of the stage names its issuers itself, and its decision says so.
    let (_, decision, _) = show(&stage, &stage.agency, "university-admission", &degree)?;
    assert_eq!(rule(&decision), expected(true, "configured", 0));

    // The university is struck off, with all that it issued; the authority is too, but its earlier credentials stand.
    // A credential of today holds from the day's first second.
    desk.strike(
        "list-1",
        "list-2",
        &["--strike", &stage.university.did, "--on", &today, "--earlier", "fall", "--reason", "Diplomas were sold."],
    )?;
    desk.strike("list-2", "list-3", &["--strike", &stage.authority.did, "--on", &today, "--earlier", "stand"])?;
    desk.publish("list-2")?.ok()?;
    desk.publish("list-3")?.ok()?;
    let library = library.restart()?;
    let (_, decision, code) = show(&stage, &library, "university-admission", &degree)?;
    assert_eq!((rule(&decision), code), (expected(false, "fallen", 3), 1), "{decision}");
    assert!(text(&decision, "accreditation").contains("Diplomas were sold."), "{decision}");
    let permit = receive(&stage, &stage.offer(&stage.authority, PERMIT, &residence_permit(), &[])?)?;
    let permit = text(&permit, "id");
    let (_, decision, _) = show(&stage, &library, "job-right-to-work", &permit)?;
    assert_eq!(rule(&decision), expected(true, "withdrawn_since", 3));
    // Others struck it off a month before it was issued.
    let others = Desk::open(&stage, "others")?;
    others.first("list-1", &[])?;
    others.strike("list-1", "list-2", &["--strike", &stage.authority.did, "--on", &past, "--earlier", "stand"])?;
    others.publish("list-1")?.ok()?;
    others.publish("list-2")?.ok()?;
    let archive = others.verifier("archive", &others.published())?;
    let (_, decision, _) = show(&stage, &archive, "job-right-to-work", &permit)?;
    assert_eq!(rule(&decision), expected(false, "withdrawn", 2));

    let data = library.service.data.display().to_string();
    let decides = || programs::run("carnet-verifier", ["trust", "--data", &data, "--json"], &[]);
    assert_eq!(decides()?.ok()?.json()?.pointer("/sequence"), Some(&json!(3)));

    // An older list is not published, and if somebody still puts it in place, it is refused.
    assert!(desk.publish("list-1")?.stderr.contains("(trust_list_rollback)"));
    assert_eq!(wallet(&stage, &["refresh"])?.ok()?.json()?.pointer("/trust_lists/0/sequence"), Some(&json!(3)));
    assert_eq!(wallet(&stage, &["trust", "update"])?.ok()?.json()?.pointer("/updated/0/sequence"), Some(&json!(3)));
    copy(&desk.path("list-1"), &desk.published())?;
    for verb in [&["trust", "update"][..], &["refresh"]] {
        let refused = wallet(&stage, verb)?;
        assert_eq!(
            (refused.code, refused.json()?.pointer("/error/reason").cloned()),
            (1, Some(json!("trust_list_rollback")))
        );
    }
    let library = library.restart()?;
    let (_, decision, _) = show(&stage, &library, "university-admission", &degree)?;
    assert_eq!(rule(&decision), expected(false, "fallen", 3));
    assert_eq!(decides()?.ok()?.json()?.pointer("/sequence"), Some(&json!(3)));
    wallet(&stage, &["trust", "remove", LIST])?.ok()?;
    let again = wallet(&stage, &[add.to_vec(), desk.pins()].concat())?;
    assert_eq!(again.json()?.pointer("/error/reason"), Some(&json!("trust_list_rollback")), "forgotten with the pin");

    // The way back: the owner, and the verifier's staff, name the list that its operators say counts.
    let digest = programs::run("carnet-trust", ["explain", &desk.path("list-1"), "--json"], &[])?.ok()?.json()?;
    let digest = text(&digest, "digest");
    wallet(&stage, &[add.to_vec(), desk.pins(), vec!["--accept", &digest]].concat())?.ok()?;
    let noted = programs::run("carnet-verifier", ["trust", "--data", &data, "--accept", &digest, "--json"], &[])?;
    assert_eq!(noted.json()?.pointer("/accept"), Some(&json!(digest)));
    let library = library.restart()?;
    let (_, decision, _) = show(&stage, &library, "university-admission", &degree)?;
    assert_eq!(rule(&decision), expected(true, "accredited", 1));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_over_or_that_too_few_have_signed_accepts_nobody() -> Result<()> {
    let stage = Stage::set(false).await?;
    let desk = Desk::open(&stage, "desk")?;
    desk.first("list-1", &[])?;
    let degree = wallet_with_degree(&stage)?;
    // Over HTTPS, from the same site as the DID documents.
    let list = std::fs::read_to_string(desk.path("list-1"))?;
    stage.site.publish("trust", &list);
    let url = stage
        .university
        .did
        .replace("did:web:", "https://")
        .replace("%3A", ":")
        .replace(":university", "/trust/did.json");
    let library = desk.verifier("library", &url)?;
    let (_, decision, _) = show(&stage, &library, "university-admission", &degree)?;
    assert_eq!(rule(&decision), expected(true, "accredited", 1));
    // One operator of the three.
    let alone = desk.verifier("alone", &desk.path("list-1.a"))?;
    let (_, decision, _) = show(&stage, &alone, "university-admission", &degree)?;
    assert_eq!(rule(&decision), expected(false, "trust_list_quorum", 0));
    // The same list, for a month that is over.
    let other = Desk::open(&stage, "other")?;
    let from = day(-40)?;
    other.first("over", &["--from", &from, "--days", "30"])?;
    let late = other.verifier("late", &other.path("over"))?;
    let (_, decision, _) = show(&stage, &late, "university-admission", &degree)?;
    assert_eq!(rule(&decision), expected(false, "expired", 0));
    Ok(())
}
