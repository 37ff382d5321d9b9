//! Power cuts.

use std::time::Duration;

use carnet_tests::{Result, stage::Stage};
use rand_core::{OsRng, RngCore as _};
use serde_json::Value;

use super::fixtures::{Client, Lists, issued, shown};

/// Number of power cuts in the test of them, unless `CARNET_KILLS` sets another.
const KILLS: u32 = 200;

/// A power cut at any instant of changes and their publication. Acknowledged changes stay, others are there wholly or
/// not at all, and the lists agree with the store.
#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_killed_while_it_revokes_leaves_the_old_state_or_the_new() -> Result<()> {
    let kills: u32 = std::env::var("CARNET_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS);
    let mut stage = Stage::set(false).await?;
    let client = Client::new(&stage)?;
    // Pairs, each revoked in one act: both or neither.
    let (mut acknowledged, mut there, mut lost) = (Vec::new(), 0_u32, 0_u32);
    for round in 0..kills {
        let pair = [issued(&stage).await?, issued(&stage).await?];
        let token = stage.authority.token_file.display().to_string();
        let url = stage.authority.service.url.clone();
        let ids = pair.clone();
        let request = format!("round-{round}");
        let act = tokio::task::spawn_blocking(move || {
            let args = [
                "status",
                "revoke",
                &ids[0],
                &ids[1],
                "--yes",
                "--count",
                "2",
                "--reason",
                "x",
                "--request-id",
                &request,
            ];
            let args = args.into_iter().chain(["--json", "--server", &url, "--token-file", &token]);
            carnet_tests::programs::run("carnet-issuer", args, &[])
        });
        // The client takes about so long to start, to act and to be answered: about half of the cuts come before the
        // act is stored.
        tokio::time::sleep(Duration::from_micros(u64::from(OsRng.next_u32() % 20_000))).await;
        stage.authority.cut_power()?;
        let said = act.await??;
        let shown_now = pair.iter().map(|id| shown(&stage.authority, id)).collect::<Result<Vec<_>>>()?.concat();
        let states: Vec<&str> = shown_now.iter().map(|(_, state)| state.as_str()).collect();
        let revoked = states.iter().all(|state| *state == "revoked");
        assert!(revoked || states.iter().all(|state| *state == "valid"), "round {round}: a mixture: {states:?}");
        if said.code == 0 {
            assert!(revoked, "round {round}: what was acknowledged is gone");
            acknowledged.push(pair.clone());
        }
        if revoked {
            there += 1
        } else {
            lost += 1
        }
        // The lists that are served after the cut agree with the store, in all formats.
        let lists = Lists::fetch(&client, &stage.authority).await?;
        for (index, state) in &shown_now {
            assert_eq!(lists.state(*index)?, state, "round {round}");
        }
        // The same request again completes the rest, once.
        let again = [
            "status",
            "revoke",
            &pair[0],
            &pair[1],
            "--yes",
            "--count",
            "2",
            "--reason",
            "x",
            "--request-id",
            &format!("round-{round}"),
        ];
        stage.authority.staff(&again)?.ok()?;
    }
    println!(
        "{kills} power cuts: {there} after the act was stored ({} acknowledged), {lost} before",
        acknowledged.len()
    );
    let audit = stage.authority.staff(&["status", "audit"])?.ok()?.json()?;
    let acts = audit.get("acts").and_then(Value::as_array).map(Vec::len);
    assert_eq!(acts, Some(usize::try_from(kills)?), "an act was done twice or is missing");
    Ok(())
}
