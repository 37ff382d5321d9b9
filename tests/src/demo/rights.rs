//! Rights of the holder: prove without showing, notice a verifier that oversteps, keep receipts, have data erased.

use carnet_tests::{Result, stage::Stage};
use serde_json::{Value, json};

use super::{Telling, story::indent};

/// A verifier that asks for more than it is registered for: the wallet warns of each claim, and nothing is disclosed
/// unless its owner approves that very claim.
pub(crate) fn overstep(telling: &mut Telling, stage: &Stage) -> Result<()> {
    let query = json!({"credentials": [{
        "id": "residence", "format": "vc+sd-jwt", "meta": {"type_values": [["ResidencePermitCredential"]]},
        "claims": [
            {"path": ["credentialSubject", "rightToWork"]},
            {"path": ["credentialSubject", "nationality"]},
            {"path": ["credentialSubject", "documentNumber"]},
        ],
    }]});
    let file = stage.folder.join("curious.json");
    std::fs::write(&file, query.to_string())?;
    let file = file.display().to_string();
    let what = [
        "--query",
        file.as_str(),
        "--purpose",
        "To check, before you start a job, that you may work.",
        "--legal-basis",
        "Our own interest.",
        "--retention",
        "For as long as we like.",
        "--intended-use",
        "job-right-to-work",
    ];
    let asked = stage.request_of(&stage.agency, &what);
    let (id, uri) = telling.step("request too much", asked)?;
    telling
        .say("The agency asks once more, now for nationality and document number, which it is not registered for:\n");
    let shown = stage.carnet_on("wallet.age", &["present", &uri], &["--no-input"], "")?;
    telling.say(indent(&shown.stdout));
    let refused = stage.carnet(&["present", &uri])?;
    let reason = refused.json()?.pointer("/error/reason").and_then(Value::as_str).unwrap_or_default().to_owned();
    if refused.code == 0 || reason.is_empty() {
        return telling.step("overstepping is refused", Err(format!("it went: {}", refused.stdout).into()));
    }
    let result = stage.agency.staff(&["result", &id])?.json()?;
    let open = result.get("state").and_then(Value::as_str) == Some("open");
    telling.step("nothing went", if open { Ok(()) } else { Err(result.to_string().into()) })?;
    telling.refused("an asker that oversteps", &reason);
    telling.say("   Nothing was sent, and the agency cannot tell this from a person without a permit.\n");
    Ok(())
}

/// The log with its receipts, checked; and one verifier's records erased at the holder's request.
pub(crate) fn receipts(telling: &mut Telling, stage: &Stage) -> Result<()> {
    let screen = |args: &[&str]| {
        stage.carnet_on("wallet.age", args, &["--no-input"], "").and_then(carnet_tests::programs::Said::ok)
    };
    let log = telling.step("log", screen(&["log"]))?;
    telling.say(format!("$ carnet log\n{}", log.stdout));
    let verified = telling.step("log is whole", screen(&["log", "--verify"]))?;
    telling.say(format!("$ carnet log --verify\n{}", verified.stdout));
    let digest = telling.step("erasure", stage.erasure_digest(&stage.agency.name))?;
    let erased = telling.step("erase", screen(&["erase", &stage.agency.name, "--yes", &digest]))?;
    telling.say(format!("$ carnet erase \"{}\"\n{}", stage.agency.name, erased.stdout));
    let listed = stage.agency.staff(&["request", "list"]).and_then(|said| said.ok()?.json());
    let listed = telling.step("agency has erased", listed)?;
    let requests = listed.get("requests").and_then(Value::as_array).into_iter().flatten();
    let states: Vec<&str> = requests.filter_map(|request| request.get("state")?.as_str()).collect();
    let erased = states.iter().filter(|state| **state == "erased").count();
    telling
        .say(format!("{} now keeps only the fact and the time of erasure of {erased} answers.\n", stage.agency.name));
    let none_left = erased > 0 && !states.contains(&"accepted");
    telling.step("nothing is left", if none_left { Ok(()) } else { Err(listed.to_string().into()) })
}
