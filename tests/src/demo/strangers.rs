//! Programs of others over OpenID4VCI and OpenID4VP: a wallet from npm with our issuer and our verifier, and our wallet
//! with another's verifier.

use carnet_tests::{Result, peer::Peer, stage::Stage, stranger::Stranger};
use serde_json::{Value, json};

use super::{Telling, story::indent};

/// Flags with which the wallet calls services on this machine that have no TLS.
const HERE: [&str; 3] = ["--no-input", "--private-host", "127.0.0.1"];

/// A wallet from npm receives the qualification and shows it to the agency. Skipped, with the reason, where the
/// packages are not installed.
pub(crate) fn wallet_from_npm(telling: &mut Telling, stage: &Stage) -> Result<()> {
    let node = match Peer::find_node() {
        Ok(node) => node,
        Err(missing) => {
            telling.say(format!("Skipped: a wallet from npm, for {missing}.\n"));
            telling.note("wallet_from_npm", json!({"skipped": missing}));
            return Ok(());
        }
    };
    let started = Peer::node(&node, "credo/main.mjs", &stage.folder.join("ca.pem"));
    let mut wallet = telling.step("start the wallet from npm", started)?;
    let versions = telling.step("version of the wallet from npm", wallet.versions())?;
    let named = versions.first().map(|(name, version)| format!("{name} {version}")).unwrap_or_default();
    telling.say(format!("A wallet of others ({named}) takes an offer of the same university, over OpenID4VCI:"));

    let create = ["offer", "create", "--type", "QualificationCredential", "--example", "--pin"];
    let offer = stage.university.staff(&create).and_then(|said| said.ok()?.json());
    let offer = telling.step("offer to the wallet from npm", offer)?;
    let [link, pin] = fields(&offer, ["offer_reference_uri", "pin"])?;
    let receive = json!({"offer": link, "txCode": pin, "format": "dc+sd-jwt", "algorithm": "ES256", "copies": 3});
    let received = telling.step("the wallet from npm receives", wallet.ask("receive", receive))?;
    let copies = received.get("credentials").and_then(Value::as_array).map_or(0, Vec::len);
    telling.say(format!("   it enters the PIN, and receives {copies} copies, each bound to a key of its own"));

    let create = ["request", "create", "--template", "university-admission"];
    let request = stage.agency.staff(&create).and_then(|said| said.ok()?.json());
    let request = telling.step("request to the wallet from npm", request)?;
    let [link, id] = fields(&request, ["openid_request_uri", "id"])?;
    let answer = telling.step("the wallet from npm presents", wallet.ask("present", json!({"request": link})))?;
    let result = stage.agency.staff(&["result", &id]).and_then(|said| said.ok()?.json());
    let result = telling.step("verdict on the wallet from npm", result)?;
    let accepted = result.pointer("/verdict/accepted") == Some(&Value::Bool(true));
    telling.step(
        "the wallet from npm is accepted",
        if accepted { Ok(()) } else { Err(format!("{answer} {result}").into()) },
    )?;
    telling.say(format!("   it shows one to {} over OpenID4VP: accepted true\n", stage.agency.name));
    telling.note("wallet_from_npm", json!({"name": named, "copies": copies, "accepted": accepted}));
    Ok(())
}

/// The wallet answers a verifier that no registrar vouches for: it says so, and sends what its owner approved.
pub(crate) async fn foreign_verifier(telling: &mut Telling, stage: &Stage) -> Result<()> {
    let query = json!({"credentials": [{
        "id": "diploma", "format": "vc+sd-jwt", "meta": {"type_values": [["QualificationCredential"]]},
        "claims": [{"path": ["credentialSubject", "title"]}],
    }]});
    let opened = Stranger::open(query, (200, "{}"), |_, _| ()).await;
    let verifier = telling.step("another's verifier", opened)?;
    let link = verifier.link();
    telling.say("Now our wallet meets a verifier of others, which no registrar vouches for:\n");
    let shown = stage.carnet_on("wallet.age", &["present", &link], &HERE, "")?;
    telling.say(indent(&shown.stdout));
    let json = [&HERE[..], &["--json"]].concat();
    let mut args = vec!["present".to_owned(), link];
    let consent = stage.carnet_on("wallet.age", &args, &json, "")?.json()?;
    for excess in consent.get("excess").and_then(Value::as_array).into_iter().flatten() {
        let name = excess.get("name").and_then(Value::as_str).ok_or("no name of a claim")?;
        args.extend(["--approve".to_owned(), name.to_owned()]);
    }
    let consent = stage.carnet_on("wallet.age", &args, &json, "")?.json()?;
    let [digest] = fields(&consent, ["digest"])?;
    args.extend(["--yes".to_owned(), digest]);
    let answer = stage.carnet_on("wallet.age", &args, &json, "").and_then(|said| said.ok()?.json());
    let answer = telling.step("present to another's verifier", answer)?;
    let presented = verifier.vp_token().and_then(|token| Some(token.get("diploma")?.as_array()?.len()));
    let only_title = answer.pointer("/shown/0/paths") == Some(&json!(["credentialSubject.title"]));
    let exact = only_title && presented == Some(1);
    telling.step("only the title", if exact { Ok(()) } else { Err(answer.to_string().into()) })?;
    telling.say("The holder approves that one claim. The verifier gets it, encrypted, and nothing else.\n");
    Ok(())
}

/// Returns members of an object that are strings.
fn fields<const COUNT: usize>(object: &Value, names: [&str; COUNT]) -> Result<[String; COUNT]> {
    let found = names.map(|name| object.get(name).and_then(Value::as_str).unwrap_or_default().to_owned());
    if found.iter().any(String::is_empty) { Err(format!("{names:?} of {object}").into()) } else { Ok(found) }
}
