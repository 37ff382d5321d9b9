//! Our wallet with an issuer and a verifier of another house.

use carnet_tests::{
    Result,
    stage::{Stage, qualification},
};
use serde_json::{Value, json};

use crate::{peer::Peer, report::Report};

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
pub(crate) fn trial(stage: &Stage, peer: &mut Peer, report: &mut Report) -> Result<()> {
    stage.make_wallet()?;
    // Its issuer has a DID and no metadata for JWT VCs, which our wallet demands.
    let offer = peer.ask("offer", json!({"claims": qualification()}))?;
    let link = offer["link"].as_str().ok_or("no link")?;
    assert_eq!(reason(stage, &["receive", link, "--yes"])?, "not_found");
    report.row(
        "offer by reference, `dc+sd-jwt`",
        FROM_ISSUER,
        "refused: no `jwt-vc-issuer` metadata; not possible yet",
    );

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

/// Reason for which our wallet refuses a command.
fn reason(stage: &Stage, args: &[&str]) -> Result<String> {
    let args: Vec<&str> = args.iter().copied().chain(LOOPBACK).collect();
    let said = stage.carnet(&args)?.json()?;
    Ok(said.pointer("/error/reason").and_then(Value::as_str).ok_or_else(|| format!("no refusal: {said}"))?.to_owned())
}
