//! Timestamps: whoever has had one accepts nobody by a list without a fresh one.

use std::time::{Duration, Instant};

use carnet_core::{
    did::Did,
    keys::{SecretKey, SignatureAlgorithm, Signer as _},
    trust::list::{ListTimestamp, TrustList},
};
use carnet_tests::visitor;
use rand_core::OsRng;

use super::*;

/// The longest wait for a timestamp to end: it counts for the minute by which clocks may differ.
const LONGEST: Duration = Duration::from_secs(180);

/// Puts a timestamp beside the list that is published, which ends now.
fn stamp_until_now(desk: &Desk<'_>, key: &SecretKey) -> Result<()> {
    let published = desk.published();
    let list = serde_json::from_str(&std::fs::read_to_string(&published)?)?;
    let did = Did::did_key(&key.public_key());
    let (kid, until) = (did.with_fragment(did.method_specific_id())?, visitor::now());
    let signed = ListTimestamp::sign(&TrustList::preview(&list)?, (until.plus(-6 * 86_400), until), &kid, key)?;
    std::fs::write(ListTimestamp::timestamp_url(&published), Value::Object(signed).to_string())?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_without_a_fresh_timestamp_freezes_until_there_is_one() -> Result<()> {
    let stage = Stage::set(false).await?;
    let desk = Desk::open(&stage, "desk")?;
    let (key, machine) = (SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng), desk.key("stamps")?);
    let signer = Did::did_key(&key.public_key()).to_string();
    desk.first("list-1", &["--timestamp-signer", &machine, "--timestamp-signer", &signer])?;
    desk.publish("list-1")?.ok()?;
    let degree = wallet_with_degree(&stage)?;

    // A verifier or wallet that never had a timestamp continues without, and says so.
    const UNSEEN: &str = "It names timestamp signers, and no timestamp was seen";
    let library = desk.verifier("library", &desk.published())?;
    assert_eq!(admission(&stage, &library, &degree)?, expected(true, "accredited", 1));
    let shown = |command: &[&str]| stage.carnet_on(WALLET, command, &["--no-input"], "");
    let added = pin(&stage, &desk, &desk.published())?.ok()?;
    assert_eq!(listed(&stage)?.get("timestamp_until"), Some(&Value::Null), "{added:?}");
    assert!(shown(&["trust", "list"])?.ok()?.stdout.contains(UNSEEN));

    // One that has just ended counts for a minute yet, and from then on nobody is accepted by the list.
    stamp_until_now(&desk, &key)?;
    let library = library.restart()?;
    pin(&stage, &desk, &desk.published())?.ok()?;
    assert!(listed(&stage)?.get("timestamp_until").is_some_and(Value::is_string), "{}", listed(&stage)?);
    let said = shown(&["trust", "list"])?.ok()?.stdout;
    assert!(said.contains("It decides until ") && !said.contains(UNSEEN), "{said}");
    let start = Instant::now();
    loop {
        let (decision, in_wallet) = (admission(&stage, &library, &degree)?, listed(&stage)?);
        if decision == expected(false, "list_stale", 1) && in_wallet.get("holds") == Some(&json!(false)) {
            assert_eq!(in_wallet.get("reason"), Some(&json!("trust_list_stale")), "{in_wallet}");
            break;
        }
        if start.elapsed() > LONGEST {
            return Err(format!("the timestamp has ended, and the list still decides: {decision:?} {in_wallet}").into());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    // The same one again is no fresh one.
    let refused = wallet(&stage, &["trust", "update"])?;
    assert_eq!((refused.code, reason(&refused)?), (1, "expired".to_owned()), "{refused:?}");
    let received = receive(&stage, &stage.offer(&stage.university, QUALIFICATION, &qualification(), &[])?)?;
    assert_eq!(received.pointer("/trust/rule"), Some(&json!("list_stale")), "{received}");

    // The machine signs a fresh one, and both read it.
    desk.timestamp("stamps", &[])?;
    let library = library.restart()?;
    assert_eq!(admission(&stage, &library, &degree)?, expected(true, "accredited", 1));
    wallet(&stage, &["trust", "update"])?.ok()?;
    assert_eq!(listed(&stage)?.get("holds"), Some(&json!(true)));

    // A newer list waits for its timestamp, and the one before it decides.
    desk.strike("list-1", "list-2", &["--strike", &stage.university.did, "--on", &today()?, "--earlier", "fall"])?;
    desk.publish("list-2")?.ok()?;
    let library = library.restart()?;
    assert_eq!(admission(&stage, &library, &degree)?, expected(true, "accredited", 1));
    let refused = wallet(&stage, &["trust", "update"])?;
    assert_eq!((refused.code, reason(&refused)?), (1, "trust_list_timestamp".to_owned()), "{refused:?}");
    desk.timestamp("stamps", &[])?;
    let library = library.restart()?;
    assert_eq!(admission(&stage, &library, &degree)?, expected(false, "fallen", 2));
    assert_eq!(wallet(&stage, &["trust", "update"])?.ok()?.json()?.pointer("/updated/0/sequence"), Some(&json!(2)));
    Ok(())
}
