//! Our wallet with an issuer and a verifier of another house.

use carnet_tests::{
    Result,
    peer::Peer,
    stage::{Stage, qualification},
};
use serde_json::{Value, json};

use crate::{
    credo::{self, PID},
    report::Report,
};

const FROM_ISSUER: &str = "its issuer to our wallet";
const TO_VERIFIER: &str = "our wallet to its verifier";
/// The services of the peer are on loopback.
const LOOPBACK: [&str; 2] = ["--private-host", "127.0.0.1"];
/// Audience of a request object for any wallet (OpenID4VP section 5.8).
const ANY_WALLET: &str = "https://self-issued.me/v2";

/// A request of the peer's verifier for the title.
struct Request {
    link: String,
    session: String,
}

impl Request {
    fn make(peer: &mut Peer, mut besides: Value) -> Result<Self> {
        besides["claims"] = json!(["title"]);
        let asked = peer.ask("ask", besides)?;
        let text = |name: &str| asked[name].as_str().map(str::to_owned).ok_or_else(|| format!("no {name}"));
        Ok(Self { link: text("link")?, session: text("session")? })
    }

    fn disclosure_text(&self, peer: &mut Peer) -> Result<Value> {
        peer.ask("answered", json!({"session": self.session}))
    }
}

/// Has our wallet receive from the peer's issuer and answer its verifier.
pub(crate) fn trial(stage: &mut Stage, peer: &mut Peer, report: &mut Report) -> Result<()> {
    stage.make_wallet()?;
    // Its issuer has a DID and no metadata for JWT VCs, which our wallet demands for types of its catalogue.
    let offer = peer.ask("offer", json!({"claims": qualification()}))?;
    let link = offer["link"].as_str().ok_or("no link")?;
    assert_eq!(reason(stage, &["receive", link, "--yes"])?, "not_found");
    report.row(
        "offer by reference of a type of Carnet's, `dc+sd-jwt`",
        FROM_ISSUER,
        "refused: no `jwt-vc-issuer` metadata",
    );
    receive_and_present_foreign(stage, peer, report)?;

    let offer =
        stage.offer(&stage.university, "QualificationCredential", &qualification(), &["--format", "dc+sd-jwt"])?;
    stage.carnet(&["receive", &offer.uri, "--yes"])?.ok()?;
    let request = Request::make(peer, json!({}))?;
    assert_eq!(reason(stage, &["present", &request.link])?, "domain_mismatch");
    report.row(
        "request object whose `aud` is its own URL",
        TO_VERIFIER,
        "refused: `domain_mismatch`, by OpenID4VP section 5.8",
    );
    let request = Request::make(peer, json!({"audience": ANY_WALLET, "altered": true}))?;
    assert_eq!(reason(stage, &["present", &request.link])?, "signature_invalid");
    report.row(
        "one that the script signs again with the `aud` of OpenID4VP, and then changes",
        TO_VERIFIER,
        "refused: `signature_invalid`",
    );

    let request = Request::make(peer, json!({"audience": ANY_WALLET}))?;
    assert_eq!(reason(stage, &["present", &request.link])?, "over_asked");
    assert_ne!(request.disclosure_text(peer)?["state"], "ResponseVerified");
    report.row("the same, unchanged, from an asker without a registration", TO_VERIFIER, "nothing sent: `over_asked`");
    let besides: Vec<&str> = ["--approve", "one:title"].into_iter().chain(LOOPBACK).collect();
    let (_, answer) = stage.approve_with(&request.link, &besides)?;
    assert_eq!(answer.ok()?.json()?["accepted"], true);
    let answered = request.disclosure_text(peer)?;
    assert_eq!(answered["claims"]["title"], qualification()["title"], "{answered}");
    assert!(answered["claims"].get("givenName").is_none(), "{answered}");
    report.row("the same, once its owner approves: `direct_post.jwt`, one claim disclosed", TO_VERIFIER, "accepted");
    Ok(())
}

/// Has our wallet receive a type that no catalogue has, and present claims of it to the verifier of the same house and to
/// ours.
fn receive_and_present_foreign(stage: &mut Stage, peer: &mut Peer, report: &mut Report) -> Result<()> {
    // A name that steers the terminal, and a claim that nobody asks for.
    let claims = json!({"family_name": "Okonkwo\u{1b}[2J", "given_name": "Ada", "birthdate": "1998-04-03"});
    let offer = peer.ask("offer", json!({"claims": claims, "configuration": "pid", "withCode": true}))?;
    let (link, pin) = (offer["link"].as_str().ok_or("no link")?, offer["txCode"].as_str().ok_or("no PIN")?);
    let args: Vec<&str> = ["receive", link, "--yes", "--pin", pin].into_iter().chain(LOOPBACK).collect();
    let said = stage.carnet(&args)?.ok()?.json()?;
    let received = &said["received"][0];
    assert_eq!((&received["type"], &received["issuer"]), (&json!(PID), &offer["issuer"]), "{said}");
    let name = received["issuer_name"].as_str().unwrap_or_default();
    assert!(name.starts_with("127.0.0.1:") && name.ends_with("(A university that another house runs)"), "{name}");
    let label = "\u{201c}Person identification data\u{201d}, as its issuer calls it: unknown kind of document";
    assert_eq!(received["label"], format!("{label} ({PID})"));
    report.row(
        "offer by reference of a type that no catalogue has, `tx_code`, `kid` `#0`, no `exp`",
        FROM_ISSUER,
        "accepted",
    );
    let id = received["id"].as_str().ok_or("no id")?;
    let shown = stage.carnet(&["show", id])?.ok()?.json()?;
    let mut claims = shown["claims"].as_array().into_iter().flatten();
    let family_name = claims.find(|claim| claim["claim"] == "family_name").ok_or("no family name")?;
    assert_eq!((&family_name["label"], &family_name["text"]), (&json!("family_name"), &json!("Okonkwo[U+001B][2J")));
    let asked = json!({"claims": ["given_name"], "configuration": "pid", "audience": ANY_WALLET});
    let asked = peer.ask("ask", asked)?;
    let link = asked["link"].as_str().ok_or("no link")?;
    let besides: Vec<&str> = ["--approve", "one:given_name"].into_iter().chain(LOOPBACK).collect();
    let (_, answer) = stage.approve_with(link, &besides)?;
    assert_eq!(answer.ok()?.json()?["accepted"], true);
    let answered = peer.ask("answered", json!({"session": asked["session"]}))?;
    assert_eq!(answered["claims"]["given_name"], "Ada", "{answered}");
    assert!(answered["claims"].get("family_name").is_none(), "{answered}");
    report.row("that credential, one claim of three disclosed", TO_VERIFIER, "accepted");
    let entry = format!(
        "[[foreign_types]]\nvct = {PID:?}\nissuers = [{}]\nallow_relative_kid = true\nallow_no_end = true\n",
        offer["issuer"]
    );
    stage.agency.reconfigure(&entry)?;
    let request = credo::Request::custom(&stage.agency, &stage.folder.join("pid.json").display().to_string(), false)?;
    let besides: Vec<&str> =
        ["--approve", "pid:family_name", "--approve", "pid:birthdate"].into_iter().chain(LOOPBACK).collect();
    let (_, answer) = stage.approve_with(&request.link, &besides)?;
    assert_eq!(answer.ok()?.json()?["accepted"], true);
    assert_eq!(request.result(&stage.agency)?, ("accepted".to_owned(), Vec::new()));
    report.row("that credential, two claims of three disclosed", "our wallet to our verifier", "accepted");
    Ok(())
}

/// Reason for which our wallet refuses a command.
fn reason(stage: &Stage, args: &[&str]) -> Result<String> {
    let args: Vec<&str> = args.iter().copied().chain(LOOPBACK).collect();
    let said = stage.carnet(&args)?.json()?;
    Ok(said.pointer("/error/reason").and_then(Value::as_str).ok_or_else(|| format!("no refusal: {said}"))?.to_owned())
}
