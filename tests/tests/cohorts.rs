//! `carnet-issuer cohorts`: how many holders share all that two askers would see of their copies.

use carnet_tests::{
    Result,
    keys::Keys,
    stage::{Office, Stage, residence_permit},
    visitor,
};
use serde_json::{Value, json};

/// Somebody who has a permit; its offer.
async fn collected(stage: &Stage) -> Result<String> {
    let offered = stage.offer(&stage.authority, "ResidencePermitCredential", &residence_permit(), &[])?;
    visitor::collect_copies(&offered.uri, offered.pin.as_deref(), 2, visitor::now()).await?;
    Ok(offered.id)
}

/// Signing key and size of each cohort, from the smallest on.
fn sizes(office: &Office) -> Result<Vec<(String, u64)>> {
    let said = office.staff(&["cohorts"])?.ok()?.json()?;
    let cohorts = said.pointer("/types/0/cohorts").and_then(Value::as_array).cloned().unwrap_or_default();
    let size = |cohort: &Value| {
        let kid = cohort.get("kid").and_then(Value::as_str)?.split_once('#')?.1.to_owned();
        let list = cohort.get("status_list").and_then(Value::as_str)?;
        list.ends_with("/0").then_some((kid, cohort.get("holders")?.as_u64()?))
    };
    cohorts.iter().map(|cohort| size(cohort).ok_or_else(|| cohort.to_string().into())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn suspended_holders_do_not_count_and_a_new_key_divides_those_who_do() -> Result<()> {
    let mut stage = Stage::set(false).await?;
    let keys = Keys::of(&stage.folder, &stage.authority.service.data)?;
    let (first, second) = (collected(&stage).await?, collected(&stage).await?);
    let of = |sizes: &[(&str, u64)]| -> Vec<(String, u64)> {
        sizes.iter().map(|(kid, holders)| ((*kid).to_owned(), *holders)).collect()
    };
    assert_eq!(sizes(&stage.authority)?, of(&[("key-1", 2)]));
    let act = |verb: &str, offer: &str| {
        stage.authority.staff(&["status", verb, offer, "--yes", "--reason", "An inquiry."])?.ok().map(drop)
    };
    act("suspend", &first)?;
    assert_eq!(sizes(&stage.authority)?, of(&[("key-1", 1)]));
    act("reinstate", &first)?;
    assert_eq!(sizes(&stage.authority)?, of(&[("key-1", 2)]));
    act("revoke", &second)?;
    assert_eq!(sizes(&stage.authority)?, of(&[("key-1", 1)]));

    stage.authority.service.kill()?;
    keys.run(&["rotate"])?.ok()?;
    keys.publish(&stage.site, "authority")?;
    keys.run(&["activate", "--at-once"])?.ok()?;
    stage.authority.cut_power()?;
    for _ in 0..2 {
        collected(&stage).await?;
    }
    assert_eq!(sizes(&stage.authority)?, of(&[("key-1", 1), ("key-2", 2)]));
    let said = stage.authority.staff(&["cohorts"])?.ok()?.json()?;
    assert_eq!(said.pointer("/types/0/below"), Some(&json!(3)), "{said}");
    Ok(())
}
