//! Inferences of a verifier from bounds: from the answer in their place, from many of them, and from others than those
//! that it is registered for.

use carnet_tests::{
    Result,
    stage::{Office, Stage, qualification, residence_permit},
};
use serde_json::{Value, json};

/// Title of the earlier limits on the consent screen.
const BEFORE: &str = "They asked you for other limits of this before";

/// A stage with a wallet that has one document.
async fn stage_with(kind: &str) -> Result<Stage> {
    let stage = Stage::set(false).await?;
    stage.make_wallet()?;
    let (office, claims) = match kind {
        "QualificationCredential" => (&stage.university, qualification()),
        _ => (&stage.authority, residence_permit()),
    };
    let offered = stage.offer(office, kind, &claims, &[])?;
    stage.carnet(&["receive", &offered.uri, "--yes"])?.ok()?;
    Ok(stage)
}

/// Link of a request of an agency's own making.
fn ask(stage: &Stage, agency: &Office, intended_use: &str, credential: &Value) -> Result<String> {
    let file = stage.folder.join("query.json");
    std::fs::write(&file, json!({"credentials": [credential]}).to_string())?;
    let file = file.display().to_string();
    let words = ["--purpose", "To check.", "--legal-basis", "A law.", "--retention", "Nothing."];
    let what: Vec<&str> = ["--query", &file, "--intended-use", intended_use].into_iter().chain(words).collect();
    Ok(stage.request_of(agency, &what)?.1)
}

/// Asks for a level of a qualification, or else for its title.
fn ask_for_level(stage: &Stage, level: u8) -> Result<String> {
    let credential = json!({
        "id": "degree", "format": "vc+sd-jwt", "meta": {"type_values": [["QualificationCredential"]]},
        "claims": [
            {"id": "level", "path": ["credentialSubject", "eqfLevel"], "carnet_at_least": level},
            {"id": "title", "path": ["credentialSubject", "title"]},
        ],
        "claim_sets": [["level"], ["title"]],
    });
    ask(stage, &stage.agency, "university-admission", &credential)
}

/// The consent screen as a person sees it who then says no.
fn screen(stage: &Stage, uri: &str) -> Result<String> {
    Ok(stage.carnet_on("wallet.age", &["present", uri], &["--no-input"], "")?.stdout)
}

fn items<'a>(consent: &'a Value, member: &str) -> &'a [Value] {
    consent.get(member).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_betrays_an_unmet_bound_says_so_and_tried_bounds_are_named() -> Result<()> {
    const CONCLUDED: &str = "From this answer they can also conclude";
    let stage = stage_with("QualificationCredential").await?;
    // The level is 6. With the title in its place the asker learns that it is less than 8.
    let uri = ask_for_level(&stage, 8)?;
    let seen = screen(&stage, &uri)?;
    assert!(seen.contains(CONCLUDED) && seen.contains("less than 8") && !seen.contains(BEFORE), "{seen}");
    let (consent, answer) = stage.approve(&uri)?;
    assert_eq!(answer.ok()?.json()?.get("accepted"), Some(&json!(true)));
    let [concluded] = items(&consent, "concluded") else { return Err(consent.to_string().into()) };
    assert_eq!(concluded.get("path"), Some(&json!("credentialSubject.eqfLevel")), "{consent}");
    assert_eq!(concluded.get("not_at_least"), Some(&json!(8)), "{consent}");

    // Its twin is met: the proof betrays nothing else. Before it goes the screen says what was tried.
    let uri = ask_for_level(&stage, 4)?;
    let seen = screen(&stage, &uri)?;
    assert!(!seen.contains(CONCLUDED) && seen.contains(BEFORE), "{seen}");
    assert!(seen.contains("at least 8, asked for on "), "{seen}");
    let (consent, answer) = stage.approve(&uri)?;
    assert_eq!(answer.ok()?.json()?.get("accepted"), Some(&json!(true)));
    assert_eq!(items(&consent, "concluded"), [] as [Value; 0], "{consent}");
    let [before] = items(&consent, "asked_before") else { return Err(consent.to_string().into()) };
    assert_eq!((before.get("at_least"), before.get("what")), (Some(&json!(8)), Some(&json!("asked"))), "{consent}");

    // One that was proved is told as such, with the one that was not.
    let uri = ask_for_level(&stage, 5)?;
    let seen = screen(&stage, &uri)?;
    assert!(seen.contains("at least 8, asked for on ") && seen.contains("at least 4, proved to them on "), "{seen}");
    let log = stage.carnet_on("wallet.age", &["log"], &["--no-input"], "")?.ok()?.stdout;
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("Limits asked for: ")).collect();
    assert!(lines.len() == 2 && lines[0].ends_with("at least 8") && lines[1].ends_with("at least 5"), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn another_bound_than_those_registered_is_in_excess() -> Result<()> {
    let stage = stage_with("ResidencePermitCredential").await?;
    let until = |bound: &str| {
        json!({
            "id": "residence", "format": "vc+sd-jwt", "meta": {"type_values": [["ResidencePermitCredential"]]},
            "claims": [{"path": ["credentialSubject", "validUntil"], "carnet_at_least": bound}],
        })
    };
    let tight = until("2027-06-01");
    // Registered for the bound of its template, which is today.
    let uri = ask(&stage, &stage.agency, "work-permit-today", &tight)?;
    let refused = stage.carnet(&["present", &uri])?;
    let said = refused.json()?;
    assert_eq!((refused.code, said.pointer("/error/reason")), (1, Some(&json!("over_asked"))), "{said}");
    let [excess] = items(&said, "excess") else { return Err(said.to_string().into()) };
    assert_eq!(excess.get("beyond"), Some(&json!("bound")), "{said}");
    let seen = screen(&stage, &uri)?;
    assert!(seen.contains("a limit other than the registered ones"), "{seen}");
    assert!(!seen.contains(BEFORE), "{seen}");
    // A screen that waits for an approval already names the limits that were tried.
    let seen = screen(&stage, &ask(&stage, &stage.agency, "work-permit-today", &until("2027-05-01"))?)?;
    let order = |part: &str| seen.find(part).ok_or_else(|| format!("no {part}: {seen}"));
    assert!(order(BEFORE)? < order("It asks for more than it is registered for")?, "{seen}");
    assert!(seen.contains("on or after 2027-06-01, asked for on "), "{seen}");
    let (_, answer) = stage.approve_with(&uri, &["--approve", "residence:credentialSubject.validUntil"])?;
    assert_eq!(answer.ok()?.json()?.get("accepted"), Some(&json!(true)), "its owner may allow it");

    // The registered bound, and the same one where any is registered.
    let (consent, answer) = stage.approve(&stage.request("work-permit-today")?.1)?;
    assert_eq!(answer.ok()?.json()?.get("accepted"), Some(&json!(true)));
    assert_eq!(items(&consent, "excess"), [] as [Value; 0], "{consent}");
    let open = stage.open_agency_registered("open", "Office of Limits", &["--any-bounds"])?;
    let (consent, answer) = stage.approve(&ask(&stage, &open, "work-permit-today", &tight)?)?;
    assert_eq!(answer.ok()?.json()?.get("accepted"), Some(&json!(true)));
    assert_eq!(items(&consent, "excess"), [] as [Value; 0], "{consent}");
    Ok(())
}
