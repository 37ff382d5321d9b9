//! `@credo-ts/openid4vc` as a wallet: OpenID4VCI 1.0 with the issuer, OpenID4VP 1.0 with the verifier.

use carnet_tests::{
    Result,
    peer::Peer,
    stage::{Office, Stage, qualification},
};
use serde_json::{Value, json};

use crate::{our_wallet, report::Report};

const QUALIFICATION: &str = "QualificationCredential";
/// `vct` that the peer issues and our catalogue does not have.
pub(crate) const PID: &str = "urn:eudi:pid:1";
const RECEIVES: &str = "from our issuer";
const PRESENTS: &str = "to our verifier";

/// An offer as a wallet of another house gets it: by reference, with a PIN.
struct Offer {
    id: String,
    link: String,
    pin: String,
}

impl Offer {
    fn make(office: &Office) -> Result<Self> {
        let said = office.staff(&["offer", "create", "--type", QUALIFICATION, "--example", "--pin"])?.ok()?.json()?;
        let text = |name: &str| said[name].as_str().map(str::to_owned).ok_or_else(|| format!("no {name}"));
        Ok(Self { id: text("offer_id")?, link: text("offer_reference_uri")?, pin: text("pin")? })
    }

    fn receive(&self, format: &str, algorithm: &str, copies: u32) -> Value {
        json!({"offer": self.link, "txCode": self.pin, "format": format, "algorithm": algorithm, "copies": copies})
    }
}

/// A request as a wallet of another house gets it.
pub(crate) struct Request {
    id: String,
    pub(crate) link: String,
}

impl Request {
    fn make(agency: &Office) -> Result<Self> {
        Self::create(agency, &["--template", "university-admission"])
    }

    /// A request with a query of its own.
    pub(crate) fn custom(agency: &Office, query: &str, allow_unknown: bool) -> Result<Self> {
        let mut args = vec!["--query", query, "--purpose", "a test", "--legal-basis", "none", "--retention", "nothing"];
        args.extend(allow_unknown.then_some("--allow-unknown"));
        Self::create(agency, &args)
    }

    fn create(agency: &Office, what: &[&str]) -> Result<Self> {
        let said = agency.staff(&[&["request", "create"], what].concat())?.ok()?.json()?;
        let text = |name: &str| said[name].as_str().map(str::to_owned).ok_or_else(|| format!("no {name}"));
        Ok(Self { id: text("id")?, link: text("openid_request_uri")? })
    }

    /// State of the request, and the codes of the failed checks.
    pub(crate) fn result(&self, agency: &Office) -> Result<(String, Vec<String>)> {
        let said = agency.staff(&["result", &self.id])?.json()?;
        let checks = said["verdict"]["checks"].as_array().cloned().unwrap_or_default();
        let failed = checks.iter().filter(|check| check["outcome"] == "failed");
        let codes = failed.filter_map(|check| check["code"].as_str().map(str::to_owned)).collect();
        Ok((said["state"].as_str().unwrap_or_default().to_owned(), codes))
    }
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(carnet_interop_node), ignore = "CARNET_INTEROP_NODE is not set")]
async fn a_wallet_from_npm_receives_the_qualification_and_presents_it() -> Result<()> {
    let mut stage = Stage::set(false).await?;
    let ca = stage.folder.join("ca.pem");
    let mut wallet = Peer::from_npm("credo/main.mjs", &ca)?;
    let mut report = Report::of(&mut wallet)?;
    let last = receive(&stage.university, &mut wallet, &mut report)?;
    present(&stage.agency, &mut wallet, &mut report)?;
    withdraw(&stage, &last, &mut wallet, &mut report)?;
    // A wallet of its own, which has nothing else to present.
    strange(&mut stage, &mut Peer::from_npm("credo/main.mjs", &ca)?, &mut report)?;
    our_wallet::trial(&mut stage, &mut wallet, &mut report)?;
    report.finish()
}

/// A received copy, and the offer that it is of.
struct Received {
    offer: String,
    credential: String,
}

fn receive(university: &Office, wallet: &mut Peer, report: &mut Report) -> Result<Received> {
    let offer = Offer::make(university)?;
    let wrong = if offer.pin == "000000" { "111111" } else { "000000" };
    let mut args = offer.receive("dc+sd-jwt", "ES256", 1);
    args["txCode"] = json!(wrong);
    wallet.refuses("receive", args, "invalid_grant")?;
    report.row("wrong `tx_code`", RECEIVES, "refused: `invalid_grant`");
    // The same offer is good with its PIN.
    let mut last = None;
    for (offer, algorithm) in [(offer, "EdDSA"), (Offer::make(university)?, "ES256")] {
        let received = wallet.ask("receive", offer.receive("dc+sd-jwt", algorithm, 3))?;
        assert_eq!(received["draft"], "V1", "the wallet takes the issuer for one of a draft");
        let copies = received["credentials"].as_array().ok_or("no credentials")?;
        assert_eq!(copies.len(), 3);
        let what = format!(
            "`dc+sd-jwt`, offer by reference, pre-authorized code, `tx_code`, 3 copies in a batch, {algorithm} keys, \
             notification"
        );
        report.row(&what, RECEIVES, "accepted");
        let credential = copies[0].as_str().ok_or("no SD-JWT")?.to_owned();
        last = Some(Received { offer: offer.id, credential });
    }
    let last = last.ok_or("nothing was received")?;
    let verify =
        |wallet: &mut Peer, fault: &str| wallet.ask("verify", json!({"credential": last.credential, "fault": fault}));
    let good = verify(wallet, "none")?;
    assert_eq!((&good["valid"], &good["claims"]["awardingBody"]), (&json!(true), &json!("University of Example")));
    report.row("credential and its Token Status List", RECEIVES, "accepted");
    let bad = verify(wallet, "signature")?;
    assert_eq!(bad["valid"], false, "{bad}");
    report.row("credential with a changed signature", RECEIVES, "refused");
    // RFC 9901 section 7.1 refuses a disclosure that no digest refers to. This library leaves its claim out.
    let bad = verify(wallet, "claim")?;
    assert_eq!((&bad["valid"], &bad["claims"]["awardingBody"]), (&json!(true), &Value::Null));
    report.row("credential with a changed claim", RECEIVES, "accepted without the claim, against RFC 9901 section 7.1");
    // Its own rule: a DID for these keys alone, and the issuer binds to a JWK.
    wallet.refuses(
        "receive",
        Offer::make(university)?.receive("vc+sd-jwt", "EdDSA", 1),
        "Using a JWK for credential",
    )?;
    report.row("`vc+sd-jwt` of the same offer", RECEIVES, "not taken: the wallet binds this format to DIDs alone");
    Ok(last)
}

fn present(agency: &Office, wallet: &mut Peer, report: &mut Report) -> Result<()> {
    let request = Request::make(agency)?;
    let read = wallet.ask("read", json!({"request": request.link}))?;
    assert_eq!(read["prefix"], "decentralized_identifier");
    report.row("request object by value, `decentralized_identifier`", "from our verifier", "accepted");
    wallet.refuses("read", json!({"request": request.link, "altered": true}), "verification of jwt")?;
    report.row("request object that was changed", "from our verifier", "refused");

    let faults = [
        ("claim", "changed claim", "disclosure_unreferenced"),
        ("signature", "changed signature of the issuer", "signature_invalid"),
        ("key_binding", "changed signature of the key binding", "key_binding_key"),
        ("no_key_binding", "no key binding", "key_binding_missing"),
        ("nonce", "key binding with another nonce", "challenge_mismatch"),
        ("audience", "key binding for another audience", "domain_mismatch"),
    ];
    for (fault, what, code) in faults {
        let request = Request::make(agency)?;
        let answer = wallet.ask("present", json!({"request": request.link, "fault": fault}))?;
        assert_eq!(
            (&answer["status"], request.result(agency)?),
            (&json!(400), ("refused".to_owned(), vec![code.to_owned()])),
            "{fault}"
        );
        report.row(what, PRESENTS, &format!("refused: `{code}`"));
    }
    let answer = wallet.ask("present", json!({"request": request.link}))?;
    assert_eq!((&answer["status"], &answer["mode"]), (&json!(200), &json!("direct_post.jwt")), "{answer}");
    assert_eq!(answer["queries"], json!(["qualification-dc"]));
    assert_eq!(request.result(agency)?, ("accepted".to_owned(), Vec::new()));
    report.row(
        "`dc+sd-jwt`, `request_uri` with POST, DCQL with `credential_sets`, `direct_post.jwt`",
        PRESENTS,
        "accepted",
    );
    Ok(())
}

fn withdraw(stage: &Stage, last: &Received, wallet: &mut Peer, report: &mut Report) -> Result<()> {
    let revoke = ["status", "revoke", &last.offer, "--urgent", "--yes", "--reason", "issued to the wrong person"];
    stage.university.staff(&revoke)?.ok()?;
    let revoked = wallet.ask("verify", json!({"credential": last.credential}))?;
    assert_eq!(revoked["valid"], false, "{revoked}");
    assert!(revoked["error"].as_str().is_some_and(|error| error.to_lowercase().contains("status")), "{revoked}");
    report.row("revoked credential, by its Token Status List", RECEIVES, "refused");
    Ok(())
}

/// Has the peer issue credentials to itself and present them to our verifier, which knows its issuer.
fn strange(stage: &mut Stage, peer: &mut Peer, report: &mut Report) -> Result<()> {
    let issuer = issue(peer, "qualification", qualification())?;
    let Stage { agency, folder, .. } = stage;
    agency.reconfigure(&format!("[[issuers]]\ndid = {issuer:?}\ntypes = [{QUALIFICATION:?}]\n"))?;
    let request = Request::make(agency)?;
    let answer = peer.ask("present", json!({"request": request.link}))?;
    assert_eq!((&answer["status"], request.result(agency)?), (&json!(400), refused("did_malformed")), "{answer}");
    report.row("a type of Carnet's from its own issuer, `kid` `#0`", PRESENTS, "refused: `did_malformed`");
    // Its own verifier accepts what ours refuses.
    let own = peer.ask("ask", json!({"claims": ["title"]}))?;
    let answer = peer.ask("present", json!({"request": own["link"]}))?;
    assert_eq!(answer["status"], 200, "{answer}");
    let answered = peer.ask("answered", json!({"session": own["session"]}))?;
    assert_eq!(answered["claims"]["title"], qualification()["title"], "{answered}");

    let claims = json!({"family_name": "Okonkwo", "given_name": "Ada", "birthdate": "1998-04-03"});
    assert_eq!(issue(peer, "pid", claims)?, issuer, "the peer has one issuer");
    let query = folder.join("pid.json");
    let wanted = json!({"credentials": [{"id": "pid", "format": "dc+sd-jwt", "meta": {"vct_values": [PID]},
        "claims": [{"path": ["family_name"]}, {"path": ["birthdate"]}]}]});
    std::fs::write(&query, wanted.to_string())?;
    let query = query.display().to_string();
    // Without the configuration, the type is not known; nor is one of its liberties granted without the field for it.
    let request = Request::custom(agency, &query, true)?;
    let answer = peer.ask("present", json!({"request": request.link}))?;
    assert_eq!((&answer["status"], request.result(agency)?), (&json!(400), refused("did_malformed")), "{answer}");
    report.row("a type that our catalogue does not have, `kid` `#0`, no `exp`", PRESENTS, "refused: `did_malformed`");
    let entry =
        format!("[[foreign_types]]\nvct = {PID:?}\nissuers = [{issuer:?}]\nrequired_claims = [\"family_name\"]\n");
    agency.reconfigure(&format!("{entry}allow_relative_kid = true\n"))?;
    let request = Request::custom(agency, &query, false)?;
    let answer = peer.ask("present", json!({"request": request.link}))?;
    assert_eq!((&answer["status"], request.result(agency)?), (&json!(400), refused("claim_missing")), "{answer}");
    report.row(
        "the same, once our configuration names the type and allows the `kid`",
        PRESENTS,
        "refused: `claim_missing`",
    );
    agency.reconfigure("allow_no_end = true\n")?;
    let request = Request::custom(agency, &query, false)?;
    let answer = peer.ask("present", json!({"request": request.link}))?;
    assert_eq!((&answer["status"], request.result(agency)?), (&json!(400), refused("claim_unrequested")), "{answer}");
    let what = "the same, once it allows credentials without an end; `cnf.jwk` has a `kid`";
    report.row(what, PRESENTS, "refused: `claim_unrequested`");
    agency.reconfigure("visible_claims = [\"cnf.jwk.kid\"]\n")?;
    let request = Request::custom(agency, &query, false)?;
    let answer = peer.ask("present", json!({"request": request.link, "fault": "signature"}))?;
    assert_eq!((&answer["status"], request.result(agency)?), (&json!(400), refused("signature_invalid")), "{answer}");
    let answer = peer.ask("present", json!({"request": request.link}))?;
    assert_eq!((&answer["status"], request.result(agency)?), (&json!(200), ("accepted".to_owned(), Vec::new())));
    let said = agency.staff(&["result", &request.id])?.json()?;
    let shown = &said["verdict"]["credentials"][0];
    assert_eq!((&shown["credential_type"], &shown["issuer"]), (&json!(PID), &json!(issuer)), "{said}");
    let paths = shown["disclosed_paths"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let mut paths: Vec<&str> = paths.collect();
    paths.sort_unstable();
    assert_eq!(paths, ["birthdate", "cnf.jwk.kid", "family_name"]);
    report.row(
        "the same, once it names `cnf.jwk.kid` too, and with a changed signature",
        PRESENTS,
        "refused: `signature_invalid`",
    );
    report.row("the same, with the issuer's signature", PRESENTS, "accepted");
    Ok(())
}

/// Has the peer's issuer issue a credential to the peer's wallet; the issuer's DID.
fn issue(peer: &mut Peer, configuration: &str, claims: Value) -> Result<String> {
    let offer = peer.ask("offer", json!({"claims": claims, "configuration": configuration, "withCode": true}))?;
    let args = json!({
        "offer": offer["link"], "txCode": offer["txCode"], "format": "dc+sd-jwt", "algorithm": "ES256", "copies": 1
    });
    peer.ask("receive", args)?;
    Ok(offer["issuer"].as_str().ok_or("no issuer")?.to_owned())
}

/// Result of a request whose first answer was refused with one code.
fn refused(code: &str) -> (String, Vec<String>) {
    ("refused".to_owned(), vec![code.to_owned()])
}
