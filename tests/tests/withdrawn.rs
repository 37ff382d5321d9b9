//! Credentials are withdrawn, suspended and reinstated, and a verifier knows, with the real programs: nobody asks the issuer
//! about one person, and an issuer who is away is not believed for ever.

use std::time::{Duration, Instant};

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

/// Waits until the agency says this of a copy.
async fn comes_to(stage: &Stage, copy: &Copy, expected: Option<&str>) -> Result<()> {
    let start = Instant::now();
    loop {
        let now = stage.refusal(copy).await?;
        if now.as_deref() == expected {
            return Ok(());
        }
        if start.elapsed() > Duration::from_secs(60) {
            return Err(format!("the agency says {now:?}, and {expected:?} was to come").into());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn act(stage: &Stage, verb: &str, offer: &str) -> Result<()> {
    stage.authority.staff(&["status", verb, offer, "--reason", "a decision of that day"])?.ok().map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn row_57_64_67_withdrawn_suspended_reinstated_and_an_issuer_that_is_away() -> Result<()> {
    let mut stage = Stage::set(false).await?;
    // Short times, so that what happens in hours happens in seconds.
    stage.authority = stage.authority.configured("[status]\nttl_seconds = 3\nvalidity_seconds = 60\n")?;
    stage.agency = stage.agency.configured("[status]\nrefresh_seconds = 1\n")?;
    let (kept, (lost, thief), (paused, student)) =
        (collect(&stage).await?.1, collect(&stage).await?, collect(&stage).await?);
    for copy in [&kept, &thief, &student] {
        comes_to(&stage, copy, None).await?;
    }
    act(&stage, "revoke", &lost)?;
    act(&stage, "suspend", &paused)?;
    comes_to(&stage, &thief, Some("revoked")).await?;
    comes_to(&stage, &student, Some("suspended")).await?;
    comes_to(&stage, &kept, None).await?;
    act(&stage, "reinstate", &paused)?;
    comes_to(&stage, &student, None).await?;
    assert!(stage.authority.staff(&["status", "reinstate", &lost, "--reason", "a mistake"])?.ok().is_err());
    comes_to(&stage, &thief, Some("revoked")).await?;
    // The issuer is away: what it said last is believed for its time to live and no longer.
    stage.authority.service.kill()?;
    comes_to(&stage, &kept, Some("status_list_stale")).await?;
    // A verifier that starts now has never seen a list.
    stage.agency = stage.agency.restart()?;
    comes_to(&stage, &kept, Some("status_list_unavailable")).await?;
    stage.authority.cut_power()?;
    comes_to(&stage, &kept, None).await?;
    comes_to(&stage, &thief, Some("revoked")).await
}
