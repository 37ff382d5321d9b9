//! Messages of an issuer on a credential besides its validity, with the real programs: they reach the holder, and
//! neither a list nor a verifier; and the copies that a message reached are discarded for new ones.

use carnet_tests::{
    Result,
    programs::Said,
    stage::{Stage, residence_permit},
};
use serde_json::{Value, json};

const PERMIT: &str = "ResidencePermitCredential";
const NEWER: &str = "a newer one exists";

fn refreshed(stage: &Stage) -> Result<Value> {
    stage.carnet(&["refresh"])?.ok()?.json()
}

/// Number of new copies, and the texts for the owner.
fn told(refreshed: &Value) -> (u64, Vec<String>) {
    let replaced = refreshed.pointer("/refreshed/0/copies_replaced").and_then(Value::as_u64).unwrap_or_default();
    let messages = refreshed.get("messages").and_then(Value::as_array).into_iter().flatten();
    let texts = messages.filter_map(|said| said.get("message").and_then(Value::as_str));
    (replaced, texts.map(str::to_owned).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_issuer_has_to_say_reaches_the_holder_alone() -> Result<()> {
    let mut stage = Stage::set(false).await?;
    stage.make_wallet()?;
    let offered = stage.offer(&stage.authority, PERMIT, &residence_permit(), &[])?;
    stage.carnet(&["receive", &offered.uri, "--yes"])?.ok()?;
    let say = |stage: &Stage, number: &str| -> Result<Said> {
        stage.authority.staff(&["status", "message", &offered.id, number, "--reason", "a decision of that day"])
    };
    // The twin: an issuer without messages.
    let refused = say(&stage, "1")?.ok().err().ok_or("there was something to say")?.to_string();
    assert!(refused.contains("has no messages"), "{refused}");
    assert_eq!(told(&refreshed(&stage)?), (0, Vec::new()));

    // Copies from before there were messages can have one.
    let texts = format!("[status]\nmessages = [\"the card was lost\", \"{NEWER}\"]\n");
    stage.authority.reconfigure(&texts)?;
    let said = say(&stage, "2")?.ok()?.json()?;
    assert_eq!((said.get("changed"), said.get("published")), (Some(&json!(10)), Some(&json!(false))));
    let status = stage.authority.staff(&["status", "show", &offered.id])?.ok()?.json()?;
    let lists = status.pointer("/copies/0/lists").cloned().unwrap_or_default();
    assert!(
        lists.as_array().is_some_and(|lists| lists.len() == 3) && !lists.to_string().contains("message"),
        "{lists}"
    );
    assert_eq!(told(&refreshed(&stage)?), (10, vec![NEWER.to_owned()]));
    let listed = stage.carnet(&["list"])?.ok()?.json()?;
    assert_eq!(listed.pointer("/credentials/0/message"), Some(&json!(NEWER)));
    assert_eq!(listed.pointer("/credentials/0/copies_unused"), Some(&json!(10)), "{listed}");

    // The new copies are shown, and do not carry the message; after a power cut it is told again, once a refresh.
    stage.authority.service.kill()?;
    stage.authority.switch_on()?;
    assert_eq!(told(&refreshed(&stage)?), (0, vec![NEWER.to_owned()]));
    stage.agency = stage.agency.configured("[status]\nrefresh_seconds = 1\n")?;
    let (id, uri) = stage.request("work-permit-today")?;
    let (consent, answer) = stage.approve(&uri)?;
    assert!(!consent.to_string().contains(NEWER), "{consent}");
    assert_eq!(answer.ok()?.json()?.get("accepted"), Some(&json!(true)));
    let verdict = stage.agency.staff(&["result", &id])?.ok()?.json()?;
    assert_eq!(verdict.pointer("/verdict/status_messages"), Some(&json!([])));
    assert!(!verdict.to_string().contains(NEWER) && !verdict.to_string().contains("status_message\""), "{verdict}");

    // It is taken back, and written down.
    say(&stage, "0")?.ok()?;
    assert_eq!(told(&refreshed(&stage)?).1, Vec::<String>::new());
    let acts = stage.authority.staff(&["status", "audit", &offered.id])?.ok()?.json()?;
    let acts = acts.get("acts").and_then(Value::as_array).ok_or("no acts")?;
    let numbers: Vec<&Value> = acts.iter().filter_map(|act| act.get("message")).collect();
    assert_eq!(numbers, [&json!(0), &json!(2)]);
    // The texts that holders were told keep their meaning, or nothing is served.
    let config = stage.authority.service.data.join("config.toml");
    let text = std::fs::read_to_string(&config)?;
    std::fs::write(&config, text.replace(NEWER, "an older one exists"))?;
    let refused = stage.authority.restart().err().ok_or("it started")?.to_string();
    assert!(refused.contains("must keep that meaning"), "{refused}");
    Ok(())
}
