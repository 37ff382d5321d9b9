//! Files of earlier versions still work: stores, keys, wallets and the copies in them.
//!
//! `before/COMMIT.json` has the files that the programs of that commit left on the disk, as text: files by their
//! path, stores as the statements that make them. A university whose key was changed once, an authority that has
//! suspended a permit, an agency that was shown three documents and has marked one of a voucher's two uses, a
//! registrar, three operators of a trust list that two of them signed, and a wallet with five documents, of which one
//! is pending.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, time::Instant};

use carnet_tests::{Result, desk::Desk, keys::Keys, stage::Stage, visitor};
use serde_json::{Value, json};
use sqlx::{Connection as _, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

/// Ports below those that systems pick, since DIDs and wallets made earlier name them.
const PORTS: [u16; 4] = [24_731, 24_732, 24_733, 24_734];
const LEFT: &str = include_str!("../before/5c2967d.json");
/// Until when the deferred offer could be collected.
const DEFERRED_UNTIL: &str = "2026-12-29";

/// Puts the files into a folder.
async fn unpack(left: &str, folder: &Path) -> Result<()> {
    let left: serde_json::Map<String, Value> = serde_json::from_str(left)?;
    for (name, file) in &left {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().ok_or("a file has no folder")?)?;
        let lines = |member: &str| -> Option<Vec<&str>> {
            file.get(member)?.as_array().map(|lines| lines.iter().filter_map(Value::as_str).collect())
        };
        if let Some(text) = file.get("text").and_then(Value::as_str) {
            fs::write(&path, text.replace("@FOLDER@", &folder.display().to_string()))?;
        } else if let Some(lines) = lines("base64") {
            use base64::{Engine as _, engine::general_purpose::STANDARD};
            fs::write(&path, STANDARD.decode(lines.concat())?)?;
        } else {
            let statements = lines("sql").ok_or("a file is of no known kind")?;
            // The statements name tables that come after them.
            let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true).foreign_keys(false);
            let mut store = sqlx::SqliteConnection::connect_with(&options).await?;
            sqlx::raw_sql(sqlx::AssertSqlSafe(statements.join("\n"))).execute(&mut store).await?;
            store.close().await?;
        }
        let mode = file.get("mode").and_then(Value::as_u64).ok_or("a file has no mode")?;
        fs::set_permissions(&path, fs::Permissions::from_mode(u32::try_from(mode)?))?;
    }
    Ok(())
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Presents for a template until the agency has the lists that it needs; returns the reason for the last refusal.
fn shown(stage: &Stage, template: &str) -> Result<Option<String>> {
    let start = Instant::now();
    loop {
        let (_, uri) = stage.request(template)?;
        let (consent, answer) = stage.approve(&uri)?;
        let said = answer.json()?;
        if said.get("accepted") == Some(&json!(true)) {
            return Ok(None);
        }
        let reason =
            said.get("reason").and_then(Value::as_str).or(said.pointer("/error/reason").and_then(Value::as_str));
        let reason = reason.ok_or_else(|| format!("no reason: {said} {consent}"))?.to_owned();
        if reason != "status_list_unavailable" || start.elapsed().as_secs() > 60 {
            return Ok(Some(reason));
        }
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_version_left_goes_on_working() -> Result<()> {
    let temporary = TempDir::with_prefix("carnet-")?;
    unpack(LEFT, temporary.path()).await?;
    let ids: Value = serde_json::from_slice(&fs::read(temporary.path().join("ids.json"))?)?;
    let stage = Stage::reopen(temporary, PORTS, text(&ids, "/registrar").to_owned()).await?;

    // The wallet: its documents, and its log with every receipt.
    let listed = stage.carnet(&["list"])?.ok()?.json()?;
    let held: Vec<&str> = listed
        .get("credentials")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|held| text(held, "/id"))
        .collect();
    let kept = ["qualification-vc", "qualification-di", "permit-vc", "permit-dc", "voucher"];
    assert_eq!(held, kept.map(|name| text(&ids, &format!("/{name}/id"))));
    let whole = || -> Result<Value> {
        Ok(stage.carnet(&["log", "--verify"])?.ok()?.json()?.get("whole").cloned().unwrap_or_default())
    };
    assert_eq!(whole()?, json!(true));

    // The documents are shown, and the suspended one is known as such.
    for template in ["university-admission", "job-right-to-work"] {
        assert_eq!(shown(&stage, template)?, None, "{template}");
    }
    let refreshed = stage.carnet(&["refresh"])?.ok()?.json()?;
    let suspended =
        json!({"id": text(&ids, "/permit-dc/id"), "state": "suspended", "type": "ResidencePermitCredential"});
    assert_eq!(refreshed.get("withdrawn"), Some(&json!([suspended])), "{refreshed}");
    let permit = text(&ids, "/permit-dc/offer");
    stage.authority.staff(&["status", "reinstate", permit, "--reason", "They were two people."])?.ok()?;
    let refreshed = stage.carnet(&["refresh"])?.ok()?.json()?;
    assert_eq!(refreshed.get("withdrawn"), Some(&json!([])), "{refreshed}");

    // One of two uses was marked before.
    assert_eq!(shown(&stage, "museum-visit")?, None);
    assert_eq!(shown(&stage, "museum-visit")?.as_deref(), Some("entitlement_used"));

    // Copies made earlier are refilled.
    let refilled = stage.carnet(&["refill", text(&ids, "/qualification-vc/id")])?.ok()?.json()?;
    let listed = stage.carnet(&["list"])?.ok()?.json()?;
    let unused = listed.pointer("/credentials/0/copies_unused").and_then(Value::as_u64);
    assert!(unused > Some(2), "{refilled} {listed}");

    // The pending documents arrive, or are over.
    let released = stage.university.staff(&["offer", "release", text(&ids, "/deferred")])?;
    let resumed = stage.carnet(&["receive", "--resume"])?;
    if visitor::now().to_string().as_str() < DEFERRED_UNTIL {
        released.ok()?;
        let resumed = resumed.ok()?.json()?;
        assert_eq!(text(&resumed, "/received/0/type"), "QualificationCredential", "{resumed}");
    } else {
        assert_ne!(resumed.code, 0, "{resumed:?}");
        assert!(!text(&resumed.json()?, "/error/hint").is_empty());
    }
    assert_eq!(whole()?, json!(true));

    // New documents from old stores and keys.
    let offered =
        stage.offer(&stage.authority, "ResidencePermitCredential", &carnet_tests::stage::residence_permit(), &[])?;
    let copy = visitor::collect(&offered.uri, None, visitor::now()).await?;
    stage.comes_to(&copy, None).await?;
    let keys = Keys::of(&stage.folder, &stage.university.service.data)?;
    assert_eq!(keys.states()?, "key-1 retired, key-2 active");
    let acts = stage.authority.staff(&["status", "audit"])?.ok()?.stdout;
    assert!(acts.contains("two permits with one number") && acts.contains("They were two people."), "{acts}");

    // The operators continue from the list that they signed.
    let strike = ["--strike", &stage.university.did, "--earlier", "fall", "--reason", "Diplomas were sold."];
    Desk::reopen(&stage, "operators").strike("list-1", "list-2", &[&strike[..], &["--on", "2030-01-01"]].concat())?;

    // The second start also reads the files that the first one migrated.
    let Stage { university, agency, authority, .. } = stage;
    for office in [university, agency, authority] {
        office.restart()?;
    }
    Ok(())
}
