//! Fresh copies from the real issuer: by hand, and by themselves when few are left.

use carnet_tests::{
    Result,
    stage::{Office, Stage, residence_permit},
};
use serde_json::{Value, json};

fn number(value: &Value, pointer: &str) -> u64 {
    value.pointer(pointer).and_then(Value::as_u64).unwrap_or(u64::MAX)
}

/// A request for a permit that holds on the first day of a month of 2026.
fn ask_from(stage: &Stage, agency: &Office, month: u8) -> Result<String> {
    let query = json!({"credentials": [{
        "id": "residence", "format": "vc+sd-jwt", "meta": {"type_values": [["ResidencePermitCredential"]]},
        "claims": [{"path": ["credentialSubject", "validUntil"], "carnet_at_least": format!("2026-{month:02}-01")}],
    }]});
    let file = stage.folder.join("query.json");
    std::fs::write(&file, query.to_string())?;
    let file = file.display().to_string();
    let words = ["--purpose", "To check.", "--legal-basis", "A law.", "--retention", "Nothing."];
    let what: Vec<&str> = ["--query", &file, "--intended-use", "work-permit-today"].into_iter().chain(words).collect();
    Ok(stage.request_of(agency, &what)?.1)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_is_refilled_by_hand_and_never_runs_dry() -> Result<()> {
    let stage = Stage::set(false).await?;
    stage.make_wallet()?;
    let offered = stage.offer(&stage.authority, "ResidencePermitCredential", &residence_permit(), &[])?;
    let mut args = vec!["receive", offered.uri.as_str(), "--yes"];
    args.extend(offered.pin.iter().flat_map(|pin| ["--pin", pin.as_str()]));
    stage.carnet(&args)?.ok()?;
    let agency = stage.open_agency_registered("months", "Office of Months", &["--any-bounds"])?;
    // At two to four left it refills itself, once in these showings: with two left after the last at the latest.
    let (mut fresh, mut refills, mut month) = (10, 0, 0);
    for _ in 0..8 {
        // The same verifier gets the same copy, but for a threshold of another block of days it takes a fresh one.
        month += 1;
        let uri = ask_from(&stage, &agency, month)?;
        stage.approve(&uri)?.1.ok()?;
        let listed = stage.carnet(&["list"])?.ok()?.json()?;
        assert_eq!(listed.pointer("/credentials/0/low"), Some(&Value::Bool(false)), "{listed}");
        let left = number(&listed, "/credentials/0/copies_unused");
        refills += u32::from(left > fresh);
        fresh = left;
    }
    assert_eq!((refills, fresh), (1, 12));
    // By hand: nothing is low, and with --all it is still refilled. A shown copy is removed, and no fresh one.
    let nothing = stage.carnet(&["refill"])?.ok()?.json()?;
    assert_eq!(nothing.pointer("/refilled"), Some(&Value::Array(Vec::new())), "{nothing}");
    let refilled = stage.carnet(&["refill", "--all"])?.ok()?.json()?;
    assert_eq!(number(&refilled, "/refilled/0/copies_added"), 10, "{refilled}");
    assert_eq!(number(&refilled, "/refilled/0/copies_unused"), 22, "{refilled}");
    Ok(())
}
