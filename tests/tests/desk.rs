//! The clerk's desk with the real programs: `carnet-verifier desk` at a terminal and in scripts, and holders who answer.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout},
};

use carnet_tests::{
    Result,
    page::{self, Names},
    programs,
    stage::{Office, Stage, residence_permit},
    terminal::Terminal,
    visitor,
};
use serde_json::Value;

const PERMIT: &str = "ResidencePermitCredential";
const TEMPLATE: &str = "job-right-to-work";
const WAITING: &str = "Waiting for an answer";
const NEXT: &str = "Press Enter for the next visitor.";

/// Arguments of a desk of this agency.
fn arguments(agency: &Office, more: &[&str]) -> Vec<String> {
    let file = agency.token_file.display().to_string();
    let own = ["desk", "--server", &agency.service.url, "--token-file", &file];
    own.iter().chain(more).map(|arg| (*arg).to_owned()).collect()
}

/// The link that the desk shows last, at a terminal.
fn shown_link(desk: &Terminal) -> Result<String> {
    let link = desk.screen.lines().rev().find(|line| line.starts_with("openid4vp://"));
    Ok(link.ok_or("the desk shows no link")?.trim().to_owned())
}

/// A desk with JSON output.
struct Scripted {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Scripted {
    fn open(agency: &Office, more: &[&str]) -> Result<Self> {
        let args = arguments(agency, &[&["--template", TEMPLATE, "--json"], more].concat());
        let mut child = programs::spawn("carnet-verifier", args, &[])?;
        let (input, output) = (child.stdin.take(), child.stdout.take().ok_or("no standard output")?);
        Ok(Self { child, input, output: BufReader::new(output) })
    }

    /// The next event, which must be of this kind.
    fn next(&mut self, kind: &str) -> Result<Value> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        let event: Value = serde_json::from_str(&line).map_err(|error| format!("{error}: {line:?}"))?;
        assert_eq!(event.get("event").and_then(Value::as_str), Some(kind), "{event:#}");
        Ok(event)
    }

    /// Reads to the end: the exit code, and standard error.
    fn end(mut self) -> Result<(i32, String)> {
        drop(self.input.take());
        let said: programs::Said = self.child.wait_with_output()?.into();
        Ok((said.code, said.stderr))
    }
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The stage with a permit in the wallet.
async fn stage_with_permit() -> Result<Stage> {
    let stage = Stage::set(false).await?;
    stage.make_wallet()?;
    let offered = stage.offer(&stage.authority, PERMIT, &residence_permit(), &[])?;
    stage.carnet(&["receive", &offered.uri, "--yes"])?.ok()?;
    Ok(stage)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clerk_sees_the_code_the_verdict_and_what_was_not_asked_for() -> Result<()> {
    let mut stage = stage_with_permit().await?;
    stage.agency = stage.agency.configured("[status]\nrefresh_seconds = 1\n")?;
    let lost = stage.offer(&stage.authority, PERMIT, &residence_permit(), &[])?;
    let thief = visitor::collect(&lost.uri, None, visitor::now()).await?;
    stage.comes_to(&thief, None).await?;
    let revoke = ["status", "revoke", &lost.id, "--yes", "--reason", "the card was lost"];
    stage.authority.staff(&revoke)?.ok()?;
    stage.comes_to(&thief, Some("revoked")).await?;

    let mut desk = Terminal::start_at("carnet-verifier", arguments(&stage.agency, &["--template", TEMPLATE]), 100)?;
    let screen = desk.wait_for(WAITING)?;
    assert!(screen.contains("Asked for, from Residence permit: Right to work; Legal residence"), "{screen}");
    assert!(screen.contains("███"), "{screen}");
    let first = shown_link(&desk)?;
    // A line before the answer is a mistake, and nothing is skipped.
    desk.type_line("")?;
    stage.approve(&first)?.1.ok()?;
    let verdict = desk.wait_for(NEXT)?;
    for said in
        ["VERIFIED: every check passed.", "Right to work: yes", "Legal residence: yes", "Not asked for: Given names;"]
    {
        assert!(verdict.contains(said), "{verdict}");
    }
    for (claim, value) in residence_permit().as_object().into_iter().flatten() {
        let is_told = value.as_str().is_some_and(|value| value.len() > 3 && verdict.contains(value));
        assert!(!is_told, "the desk shows {claim}: {verdict}");
    }

    // The next visitor sees nothing of the one before, and is refused.
    desk.type_line("")?;
    let screen = desk.wait_for(WAITING)?;
    assert!(screen.contains("\u{1b}[2J") && screen.contains("███"), "{screen}");
    let second = shown_link(&desk)?;
    assert_ne!(first, second);
    let asked = visitor::read_request(&second).await?;
    let answer = visitor::submit(&asked, visitor::present(&thief, &asked, visitor::now())?).await;
    assert_eq!(visitor::refusal(&answer).as_deref(), Some("revoked"));
    let verdict = desk.wait_for(NEXT)?;
    for said in ["NOT VERIFIED: the issuer has revoked the document. (revoked)", "can answer again with the same code"]
    {
        assert!(verdict.contains(said), "{verdict}");
    }
    // The same visitor answers again, with a document that is valid.
    stage.approve(&second)?.1.ok()?;
    assert!(desk.wait_for(NEXT)?.contains("VERIFIED: every check passed."));
    desk.type_end()?;
    let (code, screen) = desk.end()?;
    assert_eq!(code, 0, "{screen}");
    assert!(screen.contains("The desk is closed."), "{screen}");

    let mut names = Names::default();
    names.add(stage.authority.did.clone(), "did:web:authority.example");
    let command = "$ carnet-verifier desk --template job-right-to-work --token-file agency/staff-token";
    let session = format!("{command}\n{}", names.printed(&screen));
    page::check_block(&page::docs("agency.md"), "<!-- desk -->", &session)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_narrow_terminal_gets_a_picture_and_a_request_that_nobody_answers_is_replaced() -> Result<()> {
    let stage = Stage::set(false).await?;
    let picture = stage.folder.join("desk.png");
    let file = picture.display().to_string();
    let args = arguments(&stage.agency, &["--template", TEMPLATE, "--ttl", "5", "--qr-file", &file]);
    let mut desk = Terminal::start_at("carnet-verifier", &args, 40)?;
    let screen = desk.wait_for(WAITING)?;
    assert!(screen.contains("--qr-file FILE.") && !screen.contains("███"), "{screen}");
    let first = std::fs::read(&picture)?;
    assert!(first.starts_with(b"\x89PNG"));
    let taken = programs::run("carnet-verifier", &args, &[])?;
    assert!(taken.code == 1 && taken.stderr.contains("Nothing was changed"), "another desk took the file: {taken:?}");
    desk.wait_for("NO ANSWER: nobody answered in time.")?;
    desk.wait_for(WAITING)?;
    assert_ne!(std::fs::read(&picture)?, first);
    desk.type_end()?;
    let (code, screen) = desk.end()?;
    assert_eq!(code, 0, "{screen}");
    let wide = screen.lines().find(|line| line.trim_end().chars().count() > 40 && !line.contains("openid4vp://"));
    assert!(wide.is_none_or(|line| line.contains('\u{1b}')), "{wide:?}");
    assert!(screen.contains("stays\r\n"), "{screen}");
    assert!(!picture.exists());

    // Scripts learn the same by the exit code.
    let mut once = Scripted::open(&stage.agency, &["--once", "--ttl", "5"])?;
    once.next("request")?;
    assert_eq!(text(&once.next("result")?, "/state"), "expired");
    assert_eq!(once.end()?.0, 1);
    let unknown =
        programs::run("carnet-verifier", arguments(&stage.agency, &["--template", "job-right-to-wrok"]), &[])?;
    assert!(
        unknown.code == 1 && unknown.stderr.contains("there are: credit-recognition, job-right-to-work"),
        "{unknown:?}"
    );
    let args = arguments(&stage.agency, &["--template", TEMPLATE]);
    stage.agency.service.stop()?;
    let silent = programs::run("carnet-verifier", args, &[])?;
    assert!(silent.code == 3 && silent.stderr.contains("Nothing was changed"), "{silent:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_closes_the_desk_before_an_answer_and_after_one() -> Result<()> {
    let stage = stage_with_permit().await?;
    for answers in [false, true] {
        let picture = stage.folder.join("interrupted.png");
        let file = picture.display().to_string();
        let args = arguments(&stage.agency, &["--template", TEMPLATE, "--qr-file", &file]);
        let mut desk = Terminal::start_at("carnet-verifier", &args, 100)?;
        desk.wait_for(WAITING)?;
        assert!(picture.exists());
        if answers {
            stage.approve(&shown_link(&desk)?)?.1.ok()?;
            desk.wait_for(NEXT)?;
        }
        desk.interrupt()?;
        let (code, screen) = desk.end()?;
        assert_eq!(code, 0, "{screen}");
        assert!(screen.contains("The desk is closed.") && !picture.exists(), "{screen}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_desks_hear_their_own_visitors_and_outlive_a_restart_of_the_service() -> Result<()> {
    let mut stage = stage_with_permit().await?;
    let mut left = Scripted::open(&stage.agency, &[])?;
    let mut right = Scripted::open(&stage.agency, &["--once"])?;
    let (at_left, at_right) = (left.next("request")?, right.next("request")?);
    stage.approve(text(&at_right, "/request_uri"))?.1.ok()?;
    let verdict = right.next("result")?;
    assert_eq!((text(&verdict, "/state"), text(&verdict, "/id")), ("accepted", text(&at_right, "/id")));
    let claims = verdict.pointer("/disclosed/residence").cloned().unwrap_or_default().to_string();
    assert!(claims.contains("\"rightToWork\":true") && !claims.contains("familyName"), "{claims}");
    let not_asked = verdict.pointer("/not_asked/residence").cloned().unwrap_or_default();
    assert!(not_asked.as_array().is_some_and(|names| names.contains(&Value::from("familyName"))), "{not_asked}");
    assert_eq!(right.end()?.0, 0);

    // The power fails while a visitor looks for the phone.
    stage.agency.service.kill()?;
    stage.agency.switch_on()?;
    stage.approve(text(&at_left, "/request_uri"))?.1.ok()?;
    let verdict = left.next("result")?;
    assert_eq!((text(&verdict, "/state"), text(&verdict, "/id")), ("accepted", text(&at_left, "/id")));
    // The next visitor, and then the end of the input.
    left.input.as_mut().ok_or("no input")?.write_all(b"\n")?;
    let next = left.next("request")?;
    assert_ne!(text(&next, "/id"), text(&at_left, "/id"));
    stage.approve(text(&next, "/request_uri"))?.1.ok()?;
    assert_eq!(text(&left.next("result")?, "/state"), "accepted");
    let (code, stderr) = left.end()?;
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("The service does not answer") && stderr.contains("answers again"), "{stderr}");
    Ok(())
}
