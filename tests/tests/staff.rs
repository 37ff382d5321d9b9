//! Named staff with the real programs: acts are recorded under the name, and an ended token is refused while the
//! service runs.

use std::path::{Path, PathBuf};

use carnet_tests::{
    Result,
    stage::{Office, Stage, residence_permit},
    visitor,
};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

const PERMIT: &str = "ResidencePermitCredential";

/// Takes somebody in while the service runs; the file with their token.
fn add(stage: &Stage, office: &Office, name: &str) -> Result<PathBuf> {
    let said = office.on_data(&["staff", "add", name])?.ok()?.json()?;
    assert_eq!(said.get("staff").and_then(Value::as_str), Some(name));
    let file = stage.folder.join(format!("{name}.token"));
    std::fs::write(&file, said.get("staff_token").and_then(Value::as_str).ok_or("no token")?)?;
    Ok(file)
}

/// Returns the actors and their acts on an offer's credential, the newest first.
fn audit(office: &Office, by: &Path, offer: &str) -> Result<Vec<(String, String)>> {
    let said = office.staff_as(by, &["status", "audit", offer])?.ok()?.json()?;
    let acts = said.get("acts").and_then(Value::as_array).ok_or("no acts")?;
    let text = |act: &Value, name: &str| act.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(acts.iter().map(|act| (text(act, "who"), text(act, "verb"))).collect())
}

/// The names in the register, each with whether it has ended.
fn listed(office: &Office) -> Result<Vec<(String, bool)>> {
    let said = office.on_data(&["staff", "list"])?.ok()?.json()?;
    let staff = said.get("staff").and_then(Value::as_array).ok_or("no staff")?;
    let entry = |entry: &Value| Some((entry.get("name")?.as_str()?.to_owned(), !entry.get("ended")?.is_null()));
    Ok(staff.iter().filter_map(entry).collect())
}

fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
    of.iter().map(|(who, verb)| ((*who).to_owned(), (*verb).to_owned())).collect()
}

async fn issued(stage: &Stage) -> Result<String> {
    let offered = stage.offer(&stage.authority, PERMIT, &residence_permit(), &[])?;
    visitor::collect(&offered.uri, None, visitor::now()).await?;
    Ok(offered.id)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_each_does_is_written_down_under_their_name() -> Result<()> {
    let stage = Stage::set(false).await?;
    let office = &stage.authority;
    let offer = issued(&stage).await?;
    let ana = add(&stage, office, "Ana Lopes")?;
    let act = |verb: &'static str| {
        ["status", verb, &offer, "--yes", "--reason", "a case worker decided", "--request-id", verb]
    };
    let done = office.staff_as(&ana, &act("suspend"))?.ok()?.json()?;
    // A repeat is the same act, by any staff member.
    assert_eq!(office.staff(&act("suspend"))?.ok()?.json()?.get("act"), done.get("act"));
    office.staff(&act("reinstate"))?.ok()?;
    let so_far = pairs(&[("admin", "reinstate"), ("Ana Lopes", "suspend")]);
    assert_eq!(audit(office, &ana, &offer)?, so_far);

    // Ended while the service runs: refused from the next call on, and the other is not.
    office.on_data(&["staff", "end", "Ana Lopes"])?.ok()?;
    let refused = office.staff_as(&ana, &act("revoke"))?;
    assert!(refused.code == 1 && refused.stderr.contains("STAFF_TOKEN_INVALID"), "{}", refused.stderr);
    assert_eq!(audit(office, &office.token_file, &offer)?, so_far);
    // The name stays hers, and new staff are let in at once.
    assert_eq!(office.on_data(&["staff", "add", "Ana Lopes"])?.code, 1);
    let eva = add(&stage, office, "Eva")?;
    office.staff_as(&eva, &act("revoke"))?.ok()?;
    let all = pairs(&[("Eva", "revoke"), ("admin", "reinstate"), ("Ana Lopes", "suspend")]);
    assert_eq!(audit(office, &eva, &offer)?, all);
    let known = [("admin".to_owned(), false), ("Ana Lopes".to_owned(), true), ("Eva".to_owned(), false)];
    assert_eq!(listed(office)?, known);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verifier_has_named_staff_too() -> Result<()> {
    let stage = Stage::set(false).await?;
    let agency = &stage.agency;
    let ask = ["request", "create", "--template", "job-right-to-work"];
    let ana = add(&stage, agency, "Ana Lopes")?;
    agency.staff_as(&ana, &ask)?.ok()?;
    agency.on_data(&["staff", "end", "Ana Lopes"])?.ok()?;
    let refused = agency.staff_as(&ana, &ask)?;
    assert!(refused.code == 1 && refused.stderr.contains("STAFF_TOKEN_INVALID"), "{}", refused.stderr);
    agency.staff(&ask)?.ok()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_of_an_older_directory_goes_on_as_staff() -> Result<()> {
    let mut stage = Stage::set(false).await?;
    let data = stage.authority.service.data.clone();
    let hash = base16ct::lower::encode_string(&Sha256::digest(stage.authority.token()?));
    std::fs::remove_file(data.join("staff.json"))?;
    std::fs::write(data.join("staff-token.sha256"), format!("{hash}\n"))?;
    stage.authority.cut_power()?;
    let office = &stage.authority;
    let offer = issued(&stage).await?;
    office.staff(&["status", "suspend", &offer, "--reason", "a case worker decided"])?.ok()?;
    assert_eq!(audit(office, &office.token_file, &offer)?, pairs(&[("staff", "suspend")]));
    // It stays valid when others come, until it is ended.
    let ana = add(&stage, office, "Ana Lopes")?;
    assert_eq!(listed(office)?, [("staff".to_owned(), false), ("Ana Lopes".to_owned(), false)]);
    assert_eq!(audit(office, &office.token_file, &offer)?.len(), 1);
    office.on_data(&["staff", "end", "staff"])?.ok()?;
    assert_eq!(office.staff(&["status", "audit", &offer])?.code, 1);
    assert_eq!(audit(office, &ana, &offer)?.len(), 1);
    Ok(())
}
