//! Credentials are revoked, suspended and reinstated, and a verifier knows, with the real programs: nobody asks the
//! issuer about one person, and an absent issuer is not trusted for ever.

use carnet_tests::{
    Result,
    stage::{Stage, residence_permit},
    visitor::{self, Copy},
};

const PERMIT: &str = "ResidencePermitCredential";

async fn collect(stage: &Stage) -> Result<(String, Copy)> {
    let offered = stage.offer(&stage.authority, PERMIT, &residence_permit(), &[])?;
    Ok((offered.id.clone(), visitor::collect(&offered.uri, None, visitor::now()).await?))
}

fn act(stage: &Stage, verb: &str, offer: &str) -> Result<()> {
    stage.authority.staff(&["status", verb, offer, "--yes", "--reason", "a decision of that day"])?.ok().map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn row_57_64_67_withdrawn_suspended_reinstated_and_an_issuer_that_is_away() -> Result<()> {
    let mut stage = Stage::set(false).await?;
    // Short times, so that hours pass in seconds.
    stage.authority = stage.authority.configured("[status]\nttl_seconds = 3\nvalidity_seconds = 60\n")?;
    stage.agency = stage.agency.configured("[status]\nrefresh_seconds = 1\n")?;
    let (kept, (lost, thief), (paused, student)) =
        (collect(&stage).await?.1, collect(&stage).await?, collect(&stage).await?);
    for copy in [&kept, &thief, &student] {
        stage.comes_to(copy, None).await?;
    }
    act(&stage, "revoke", &lost)?;
    act(&stage, "suspend", &paused)?;
    stage.comes_to(&thief, Some("revoked")).await?;
    stage.comes_to(&student, Some("suspended")).await?;
    stage.comes_to(&kept, None).await?;
    let back = ["status", "reinstate", &paused, "--urgent", "--reason", "a decision of that day"];
    stage.authority.staff(&back)?.ok()?;
    stage.comes_to(&student, None).await?;
    assert!(stage.authority.staff(&["status", "reinstate", &lost, "--reason", "a mistake"])?.ok().is_err());
    stage.comes_to(&thief, Some("revoked")).await?;
    // The issuer is away: its last list counts for its time to live and no longer.
    stage.authority.service.kill()?;
    stage.comes_to(&kept, Some("status_list_stale")).await?;
    // A verifier that starts now has never seen a list.
    stage.agency = stage.agency.restart()?;
    stage.comes_to(&kept, Some("status_list_unavailable")).await?;
    stage.authority.cut_power()?;
    stage.comes_to(&kept, None).await?;
    stage.comes_to(&thief, Some("revoked")).await
}
