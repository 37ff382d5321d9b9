//! What an issuer has to say on a credential besides whether it holds, with the real programs: it reaches the verifier's
//! staff, refuses nobody, and an issuer without messages is one as it always was.

use std::time::{Duration, Instant};

use carnet_tests::{
    Result,
    stage::{Stage, residence_permit},
    visitor::{self, Copy},
};
use serde_json::{Value, json};

const PERMIT: &str = "ResidencePermitCredential";
const NEWER: &str = "a newer one exists";

async fn collect(stage: &Stage) -> Result<(String, Copy)> {
    let offered = stage.offer(&stage.authority, PERMIT, &residence_permit(), &[])?;
    Ok((offered.id.clone(), visitor::collect(&offered.uri, None, visitor::now()).await?))
}

/// What the agency's staff read of a copy that is shown: whether it is accepted, how the check of the message ended, and the
/// messages.
async fn read_by_staff(stage: &Stage, copy: &Copy) -> Result<(bool, Option<String>, Value)> {
    let (id, uri) = stage.request("job-right-to-work")?;
    let asked = visitor::read_request(&uri).await?;
    let answer = visitor::submit(&asked, visitor::present(copy, &asked, visitor::now())?).await?;
    assert!(!format!("{answer:?}").contains(NEWER), "the holder is told");
    let verdict = stage.agency.staff(&["result", &id])?.json()?.get("verdict").cloned().ok_or("no verdict")?;
    let checks = verdict.get("checks").and_then(Value::as_array).ok_or("no checks")?;
    let check = checks.iter().find(|check| check.get("name") == Some(&json!("status_message")));
    let outcome = check.and_then(|check| check.get("outcome")).and_then(Value::as_str).map(str::to_owned);
    let accepted = verdict.get("accepted") == Some(&json!(true));
    Ok((accepted, outcome, verdict.get("status_messages").cloned().unwrap_or_default()))
}

/// Waits until staff read these messages, and nothing is refused until then that is accepted at the end.
async fn comes_to(stage: &Stage, copy: &Copy, accepted: bool, messages: Value) -> Result<()> {
    let start = Instant::now();
    loop {
        let (holds, outcome, now) = read_by_staff(stage, copy).await?;
        if holds == accepted && outcome.as_deref() == Some("passed") && now == messages {
            return Ok(());
        }
        if (accepted && !holds) || start.elapsed() > Duration::from_secs(60) {
            return Err(format!("staff read {holds} {outcome:?} {now}, and {accepted} {messages} was to come").into());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Waits until the agency has lists in which the copy holds.
async fn is_accepted(stage: &Stage, copy: &Copy) -> Result<()> {
    let start = Instant::now();
    while !read_by_staff(stage, copy).await?.0 {
        if start.elapsed() > Duration::from_secs(60) {
            return Err("the copy is not accepted".into());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

fn say(stage: &Stage, number: &str, offer: &str) -> Result<Value> {
    stage.authority.staff(&["status", "message", offer, number, "--reason", "a decision of that day"])?.ok()?.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_issuer_has_to_say_reaches_the_verifiers_staff_and_refuses_nobody() -> Result<()> {
    let mut stage = Stage::set(false).await?;
    stage.agency = stage.agency.configured("[status]\nrefresh_seconds = 1\n")?;
    // The twin: an issuer without messages.
    let (before, old) = collect(&stage).await?;
    is_accepted(&stage, &old).await?;
    assert_eq!(read_by_staff(&stage, &old).await?, (true, None, json!([])));
    let refused = say(&stage, "1", &before).err().ok_or("there was something to say")?.to_string();
    assert!(refused.contains("publishes no messages"), "{refused}");

    let texts = format!("[status]\nmessages = [\"the card was lost\", \"{NEWER}\"]\n");
    stage.authority = stage.authority.configured(&texts)?;
    let ((mine, copy), (_, other)) = (collect(&stage).await?, collect(&stage).await?);
    is_accepted(&stage, &copy).await?;
    comes_to(&stage, &copy, true, json!([])).await?;
    assert_eq!(say(&stage, "2", &mine)?.get("published"), Some(&json!(true)));
    let said = json!([{"query_id": "residence", "number": 2, "text": NEWER}]);
    comes_to(&stage, &copy, true, said.clone()).await?;
    assert_eq!(read_by_staff(&stage, &other).await?, (true, Some("passed".to_owned()), json!([])));
    // Copies of before do not say what it means.
    assert_eq!(read_by_staff(&stage, &old).await?, (true, None, json!([])));
    let refused = say(&stage, "2", &before).err().ok_or("it was said")?.to_string();
    assert!(refused.contains("issued without it"), "{refused}");
    // It outlives a power cut, and a revocation; and it is written down.
    stage.authority.cut_power()?;
    comes_to(&stage, &copy, true, said.clone()).await?;
    stage.authority.staff(&["status", "revoke", &mine, "--reason", "it was exchanged"])?.ok()?;
    comes_to(&stage, &copy, false, said).await?;
    let acts = stage.authority.staff(&["status", "audit", &mine])?.ok()?.json()?;
    let acts = acts.get("acts").and_then(Value::as_array).ok_or("no acts")?;
    let verbs: Vec<(&Value, &Value)> =
        acts.iter().filter_map(|act| Some((act.get("verb")?, act.get("message")?))).collect();
    assert_eq!(verbs, [(&json!("revoke"), &Value::Null), (&json!("message"), &json!(2))]);
    say(&stage, "0", &mine)?;
    comes_to(&stage, &copy, false, json!([])).await?;
    // What copies carry goes on meaning the same, or nothing is served.
    let config = stage.authority.service.data.join("config.toml");
    let text = std::fs::read_to_string(&config)?;
    std::fs::write(&config, text.replace(NEWER, "an older one exists"))?;
    let refused = stage.authority.restart().err().ok_or("it started")?.to_string();
    assert!(refused.contains("must go on meaning that"), "{refused}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_takes_and_shows_a_credential_that_can_have_messages() -> Result<()> {
    let mut stage = Stage::set(false).await?;
    stage.make_wallet()?;
    stage.agency = stage.agency.configured("[status]\nrefresh_seconds = 1\n")?;
    stage.authority = stage.authority.configured(&format!("[status]\nmessages = [\"{NEWER}\"]\n"))?;
    for format in ["vc+sd-jwt", "dc+sd-jwt", "di_vc+jcs"] {
        let offered = stage.offer(&stage.authority, PERMIT, &residence_permit(), &["--format", format])?;
        let received = stage.carnet(&["receive", &offered.uri, "--yes"])?.ok()?.json()?;
        assert_eq!(received.pointer("/received/0/copies"), Some(&json!(10)), "{format}");
    }
    is_accepted(&stage, &collect(&stage).await?.1).await?;
    let (id, uri) = stage.request("job-right-to-work")?;
    let (consent, answer) = stage.approve(&uri)?;
    // Where the status stands is no claim of the person's.
    assert!(!consent.to_string().contains("credentialStatus") && !consent.to_string().contains(NEWER), "{consent}");
    assert_eq!(answer.ok()?.json()?.get("accepted"), Some(&json!(true)));
    let verdict = stage.agency.staff(&["result", &id])?.ok()?.json()?;
    assert_eq!(verdict.pointer("/verdict/status_messages"), Some(&json!([])));
    Ok(())
}
