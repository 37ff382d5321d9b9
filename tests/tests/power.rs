//! Power cuts: an issuer that is killed while it issues loses nothing that was acknowledged, and
//! gives no status index out twice.

use std::collections::HashSet;

use carnet_tests::{
    Result,
    stage::{Stage, residence_permit},
    visitor,
};
use serde_json::Value;
use tokio::sync::mpsc;

const PERMIT: &str = "ResidencePermitCredential";

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_killed_while_it_issues_keeps_its_promises() -> Result<()> {
    let mut stage = Stage::set(false).await?;
    let mut acknowledged = Vec::new();
    for cut_after in [1_usize, 3, 5] {
        let mut offers = Vec::new();
        for _ in 0..8 {
            offers.push(stage.offer(&stage.authority, PERMIT, &residence_permit(), &[])?);
        }
        let (done, mut results) = mpsc::channel(8);
        for offered in offers {
            let done = done.clone();
            tokio::spawn(async move {
                let collected = visitor::collect(&offered.uri, None, visitor::now()).await;
                done.send((offered.id, collected.is_ok())).await.ok();
            });
        }
        drop(done);
        let mut seen = 0;
        while let Some((id, ok)) = results.recv().await {
            if ok {
                acknowledged.push(id);
            }
            seen += 1;
            if seen == cut_after {
                // In the middle of the others.
                stage.authority.cut_power()?;
            }
        }
    }
    assert!(!acknowledged.is_empty());

    let mut records = Vec::new();
    let mut indices = HashSet::new();
    let issued = stage.authority.staff(&["issued", "list"])?.ok()?.json()?;
    for record in issued.get("issued").and_then(Value::as_array).into_iter().flatten() {
        let index = record.get("status_index").and_then(Value::as_u64).ok_or("a record has no index")?;
        assert!(indices.insert(index), "index {index} was given out twice");
        records.push(record.get("offer_id").and_then(Value::as_str).unwrap_or_default().to_owned());
    }
    for id in &acknowledged {
        assert!(records.contains(id), "an acknowledged credential is not in the records");
    }
    // And it continues.
    let offered = stage.offer(&stage.authority, PERMIT, &residence_permit(), &[])?;
    assert!(visitor::collect(&offered.uri, None, visitor::now()).await.is_ok());
    Ok(())
}
