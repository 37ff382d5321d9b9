//! The store of a service: a missing, an older or another one is refused by every verb, and acknowledged changes are
//! not lost.

use std::{fs, path::Path};

use carnet_tests::{
    Result,
    keys::copy,
    programs::{self, Said, Service},
    stage::{Stage, residence_permit},
    visitor,
};
use serde_json::Value;
use sqlx::{Connection as _, sqlite::SqliteConnectOptions};

const PERMIT: &str = "ResidencePermitCredential";

/// Returns the reason that a service does not start on a directory.
fn refused(program: &str, data: &Path) -> Result<String> {
    match Service::start(program, data) {
        Ok(_) => Err(format!("{program} started").into()),
        Err(error) => Ok(error.to_string()),
    }
}

/// The number in the mark beside the keys.
fn mark(data: &Path) -> Result<i64> {
    let mark: Value = serde_json::from_slice(&fs::read(data.join("store.json"))?)?;
    Ok(mark.get("number").and_then(Value::as_i64).ok_or("the mark has no number")?)
}

/// Files of the store that are in a directory.
fn stored(data: &Path) -> Result<Vec<String>> {
    let names = fs::read_dir(data)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let names: Vec<String> = names.collect::<Result<_>>()?;
    Ok(names.into_iter().filter(|name| name.starts_with("store.sqlite")).collect())
}

fn remove_store(data: &Path) -> Result<()> {
    for name in stored(data)? {
        fs::remove_file(data.join(name))?;
    }
    Ok(())
}

fn on(program: &str, args: &[&str], data: &Path) -> Result<Said> {
    let data = data.display().to_string();
    programs::run(program, args.iter().copied().chain(["--data", &data]), &[])
}

#[tokio::test(flavor = "multi_thread")]
async fn row_99_a_service_without_its_store_does_not_start_and_makes_none() -> Result<()> {
    let mut stage = Stage::set(false).await?;
    let offered = stage.offer(&stage.authority, PERMIT, &residence_permit(), &[])?;
    let held = visitor::collect(&offered.uri, None, visitor::now()).await?;
    let suspend = ["status", "suspend", offered.id.as_str(), "--reason", "two permits with one number"];
    stage.authority.staff(&suspend)?.ok()?;
    stage.authority.service.kill()?;
    stage.agency.service.kill()?;
    for (program, office) in [("carnet-issuer", &stage.authority), ("carnet-verifier", &stage.agency)] {
        let data = &office.service.data;
        let kept = stage.folder.join("kept");
        copy(data, &kept)?;
        remove_store(data)?;
        for mark in [true, false] {
            if !mark {
                fs::remove_file(data.join("store.json"))?;
            }
            let said = refused(program, data)?;
            assert!(said.contains("store.sqlite is missing") && said.contains("restore --from"), "{said}");
            assert_eq!(stored(data)?, Vec::<String>::new());
        }
        copy(&kept, data)?;
    }
    // Verbs that open the store without the service.
    let config = fs::read_to_string(stage.agency.service.data.join("config.toml"))?;
    let more = "[redemption]\ndesk = \"east\"\noffline_uses = 3\n[[redemption.others]]\ndesk = \"west\"\n\
                key = \"z6MkocrvwaAJhQgEz4bjHSTETkCTGG3iobSJGEZRnMeKUn49\"\noffline_uses = 3\n[trust]\nlist = \"list.json\"\n\
                issuer = \"did:web:trust.example\"\noperators = [\"did:key:z6MkocrvwaAJhQgEz4bjHSTETkCTGG3iobSJGEZRnMeKUn49\"]\nquorum = 1\n";
    let elsewhere = stage.folder.join("elsewhere");
    copy(&stage.agency.service.data, &elsewhere)?;
    fs::write(elsewhere.join("config.toml"), format!("{config}\n{more}"))?;
    let out = stage.folder.join("marks").display().to_string();
    for verb in [&["redemptions", "export", out.as_str()][..], &["trust"]] {
        let said = on("carnet-verifier", verb, &elsewhere)?;
        assert!(!said.stderr.contains("store.sqlite"), "the twin: {said:?}");
        let kept = stage.folder.join("kept");
        copy(&elsewhere, &kept)?;
        remove_store(&elsewhere)?;
        let said = on("carnet-verifier", verb, &elsewhere)?;
        assert!(said.code == 1 && said.stderr.contains("store.sqlite is missing"), "{said:?}");
        assert_eq!(stored(&elsewhere)?, Vec::<String>::new());
        copy(&kept, &elsewhere)?;
    }
    // With their stores both start, and suspended credentials still are.
    stage.authority.cut_power()?;
    stage.agency.cut_power()?;
    assert_eq!(stage.refusal(&held).await?.as_deref(), Some("suspended"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn row_104_a_store_from_before_a_suspension_and_a_copy_without_its_log_are_refused() -> Result<()> {
    let mut stage = Stage::set(false).await?;
    let offered = stage.offer(&stage.authority, PERMIT, &residence_permit(), &[])?;
    let held = visitor::collect(&offered.uri, None, visitor::now()).await?;
    let (data, early) = (stage.authority.service.data.clone(), stage.folder.join("early"));
    stage.authority.service.kill()?;
    copy(&data, &early)?;
    stage.authority.cut_power()?;
    let suspend = ["status", "suspend", offered.id.as_str(), "--reason", "two permits with one number"];
    stage.authority.staff(&suspend)?.ok()?;
    // Killed before the log is moved into the file: only the log has the act.
    stage.authority.service.kill()?;
    let whole = stage.folder.join("whole");
    copy(&data, &whole)?;
    assert!(mark(&early)? < mark(&data)?);

    let plain = stage.folder.join("plain");
    copy(&data, &plain)?;
    for log in ["store.sqlite-wal", "store.sqlite-shm"] {
        fs::remove_file(plain.join(log))?;
    }
    for older in [&early, &plain] {
        remove_store(&data)?;
        for name in stored(older)? {
            fs::copy(older.join(&name), data.join(name))?;
        }
        let said = refused("carnet-issuer", &data)?;
        assert!(said.contains("is older than the one used here") && said.contains("restore --from"), "{said}");
    }
    // The twin: the file with its log.
    copy(&whole, &data)?;
    stage.authority.cut_power()?;
    stage.agency.cut_power()?;
    assert_eq!(stage.refusal(&held).await?.as_deref(), Some("suspended"));
    Ok(())
}

/// Configuration with which an issuer's verbs can read the publication.
fn let_read(stage: &Stage) -> Result<()> {
    let path = stage.authority.service.data.join("config.toml");
    let ca = stage.folder.join("ca.pem").display().to_string();
    let config = fs::read_to_string(&path)?;
    fs::write(path, format!("{config}\n[serve]\nextra_ca = {ca:?}\nprivate_hosts = [\"localhost\"]\n"))?;
    Ok(())
}

fn number(value: &Value, pointer: &str) -> Option<i64> {
    value.pointer(pointer).and_then(Value::as_i64)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_made_while_running_has_a_suspension_that_is_in_the_log_alone() -> Result<()> {
    let mut stage = Stage::set(false).await?;
    let offered = stage.offer(&stage.authority, PERMIT, &residence_permit(), &[])?;
    let held = visitor::collect(&offered.uri, None, visitor::now()).await?;
    let data = stage.authority.service.data.clone();
    // The earlier changes are in the file and not in the log.
    stage.authority = stage.authority.restart()?;
    let suspend = ["status", "suspend", offered.id.as_str(), "--reason", "two permits with one number"];
    let (backup, plain) = (stage.folder.join("authority.backup"), stage.folder.join("plain.sqlite"));
    // A checkpoint can come at any time after the suspension, so that the copy without its log is made before.
    fs::copy(data.join("store.sqlite"), &plain)?;
    stage.authority.staff(&suspend)?.ok()?;

    let (out, from_plain) = (backup.display().to_string(), plain.display().to_string());
    let made = on("carnet-issuer", &["backup", "--out", &out, "--json"], &data)?.ok()?.json()?;
    assert_eq!(made.get("checked"), Some(&Value::Bool(true)), "{made}");
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&backup)?.permissions());
    assert_eq!(mode & 0o777, 0o600);
    let bytes = fs::read(&backup)?;
    let again = on("carnet-issuer", &["backup", "--out", &out], &data)?;
    assert!(again.code == 1 && again.stderr.contains("already exists"), "{again:?}");
    assert_eq!(fs::read(&backup)?, bytes);
    // Not while the service has the store open.
    let running = on("carnet-issuer", &["restore", "--from", &out], &data)?;
    assert!(running.code == 3 && running.stderr.contains("Stop the service"), "{running:?}");

    stage.authority.service.kill()?;
    let elsewhere = stage.folder.join("elsewhere");
    copy(&data, &elsewhere)?;
    remove_store(&elsewhere)?;
    // The plain copy lacks the changes in the log.
    let older = on("carnet-issuer", &["restore", "--from", &from_plain], &elsewhere)?;
    assert!(older.code == 1 && older.stderr.contains("is older than the one used here"), "{older:?}");
    assert_eq!(stored(&elsewhere)?, Vec::<String>::new());
    // The twin.
    let restored = on("carnet-issuer", &["restore", "--from", &out, "--json"], &elsewhere)?.ok()?.json()?;
    assert_eq!(restored.get("number"), made.get("number"), "{restored}");
    let service = Service::start("carnet-issuer", &elsewhere)?;
    stage.site.gate().lead("authority", &service.url);
    stage.agency.cut_power()?;
    assert_eq!(stage.refusal(&held).await?.as_deref(), Some("suspended"));
    service.stop()?;
    // A damaged backup, and one of another issuer.
    let damaged = stage.folder.join("damaged");
    fs::write(&damaged, bytes.get(..bytes.len() / 2).unwrap_or_default())?;
    let other = stage.folder.join("university.backup");
    let university = stage.university.service.data.clone();
    on("carnet-issuer", &["backup", "--out", &other.display().to_string()], &university)?.ok()?;
    for wrong in [&damaged, &other] {
        let said = on("carnet-issuer", &["restore", "--from", &wrong.display().to_string()], &elsewhere)?;
        assert!(said.code == 1 && said.stderr.contains("hint: "), "{said:?}");
    }
    let service = Service::start("carnet-issuer", &elsewhere)?;
    service.stop()?;
    Ok(())
}

/// The backup is from before a suspension, and before another permit was issued and revoked.
#[tokio::test(flavor = "multi_thread")]
async fn row_104_an_older_backup_takes_over_what_is_published_and_gives_nothing_out_twice() -> Result<()> {
    let mut stage = Stage::set(false).await?;
    let_read(&stage)?;
    stage.authority.cut_power()?;
    let data = stage.authority.service.data.clone();
    let offered = stage.offer(&stage.authority, PERMIT, &residence_permit(), &[])?;
    let known = visitor::collect(&offered.uri, None, visitor::now()).await?;
    let open = stage.offer(&stage.authority, PERMIT, &residence_permit(), &[])?;
    let backup = stage.folder.join("authority.backup").display().to_string();
    on("carnet-issuer", &["backup", "--out", &backup], &data)?.ok()?;
    let early = stage.folder.join("early");
    copy(&data, &early)?;
    remove_store(&early)?;
    fs::copy(&backup, early.join("store.sqlite"))?;

    stage.authority.staff(&["status", "suspend", &offered.id, "--reason", "two permits with one number"])?.ok()?;
    let lost = visitor::collect(&open.uri, None, visitor::now()).await?;
    stage.authority.staff(&["status", "revoke", &open.id, "--yes", "--reason", "issued in error"])?.ok()?;
    stage.site.keep_copies("authority", &stage.authority.service.url).await?;
    stage.authority.service.kill()?;

    // The whole directory from before: its store and its mark fit each other, and the publication does not.
    let said = refused("carnet-issuer", &early)?;
    assert!(said.contains("older than what is published"), "{said}");
    // Only the backup.
    remove_store(&data)?;
    let older = on("carnet-issuer", &["restore", "--from", &backup], &data)?;
    assert!(older.code == 1 && older.stderr.contains("You would lose"), "{older:?}");
    assert_eq!(stored(&data)?, Vec::<String>::new());
    let said = on("carnet-issuer", &["restore", "--from", &backup, "--accept-loss", "--json"], &data)?.ok()?.json()?;
    assert_eq!(number(&said, "/offers_closed"), Some(1), "{said}");
    assert!(number(&said, "/taken_over/unknown") >= Some(1), "{said}");
    assert!(number(&said, "/taken_over/copies") > number(&said, "/taken_over/unknown"), "{said}");

    stage.authority.switch_on()?;
    stage.site.gate().lead("authority", &stage.authority.service.url);
    stage.agency.cut_power()?;
    assert_eq!(stage.refusal(&known).await?.as_deref(), Some("suspended"));
    assert_eq!(stage.refusal(&lost).await?.as_deref(), Some("revoked"));
    // A used link gives nothing a second time, and new credentials are on another list.
    assert!(visitor::collect(&open.uri, None, visitor::now()).await.is_err());
    let offered = stage.offer(&stage.authority, PERMIT, &residence_permit(), &[])?;
    let fresh = visitor::collect(&offered.uri, None, visitor::now()).await?;
    assert_eq!(stage.refusal(&fresh).await?, None);
    assert_ne!(list_of(&fresh)?, list_of(&known)?);
    // The store from before the restore is another store now.
    stage.authority.service.kill()?;
    remove_store(&data)?;
    fs::copy(&backup, data.join("store.sqlite"))?;
    let said = refused("carnet-issuer", &data)?;
    assert!(said.contains("does not belong to these keys"), "{said}");
    Ok(())
}

/// Returns the list of a copy.
fn list_of(copy: &visitor::Copy) -> Result<String> {
    let jwt = copy.credential.split('~').next().unwrap_or_default();
    let payload = carnet_core::secure::jose::Jws::parse(jwt)?.payload().clone();
    let list = Value::Object(payload).pointer("/credentialStatus/0/statusListCredential").cloned();
    Ok(list.and_then(|list| list.as_str().map(str::to_owned)).ok_or("the copy has no status")?)
}

/// The web site is unreachable: the start logs a warning, and continues.
#[tokio::test(flavor = "multi_thread")]
async fn a_web_site_that_cannot_be_reached_does_not_stop_a_start() -> Result<()> {
    programs::build()?;
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("issuer");
    let did = ["--did", "did:web:localhost%3A1:nowhere"];
    on("carnet-issuer", &[["init"].as_slice(), &did].concat(), &data)?.ok()?;
    let service = Service::start("carnet-issuer", &data)?;
    assert!(service.log().contains("the published lists could not be read"), "{}", service.log());
    service.stop()?;
    Ok(())
}

/// The site passes requests on to the address that the service has not begun to serve: it learns so at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_behind_a_web_site_that_asks_the_service_itself_waits_for_nobody() -> Result<()> {
    let mut stage = Stage::set(false).await?;
    let_read(&stage)?;
    stage.authority.service.kill()?;
    stage.authority.switch_on()?;
    let log = stage.authority.service.log();
    assert!(!log.contains("lists could not be read"), "{log}");
    assert!(log.contains("asks this service for them"), "{log}");
    // The twin: the same site keeps copies for when the service is down, and the whole directory is put back from before an act.
    let offered = stage.offer(&stage.authority, PERMIT, &residence_permit(), &[])?;
    visitor::collect(&offered.uri, None, visitor::now()).await?;
    let data = stage.authority.service.data.clone();
    let (snapshot, newest) = (stage.folder.join("snapshot"), stage.folder.join("newest"));
    stage.authority.service.kill()?;
    copy(&data, &snapshot)?;
    stage.authority.switch_on()?;
    stage.authority.staff(&["status", "suspend", &offered.id, "--reason", "two permits with one number"])?.ok()?;
    let url = stage.authority.service.url.clone();
    stage.site.keep_copies("authority", &url).await?;
    stage.site.gate().lead("authority", &url);
    stage.authority.service.kill()?;
    copy(&data, &newest)?;
    let address = url.trim_start_matches("http://");
    remove_store(&data)?;
    copy(&snapshot, &data)?;
    match Service::start_at("carnet-issuer", &data, &[], address) {
        Ok(_) => return Err("an older directory was started".into()),
        Err(error) => assert!(error.to_string().contains("older than what is published"), "{error}"),
    }
    remove_store(&data)?;
    copy(&newest, &data)?;
    stage.authority.switch_on()?;
    let log = stage.authority.service.log();
    assert!(!log.contains("lists could not be read") && !log.contains("asks this service"), "{log}");
    Ok(())
}

/// A snapshot behind a site that keeps no copies: nothing shows that it is older, and its operator says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_whole_directory_that_its_operator_knows_to_be_older_goes_on_as_an_older_store() -> Result<()> {
    let mut stage = Stage::set(false).await?;
    let_read(&stage)?;
    let open = stage.offer(&stage.authority, PERMIT, &residence_permit(), &[])?;
    stage.authority.service.kill()?;
    let data = stage.authority.service.data.clone();
    let whole = on("carnet-issuer", &["restore", "--in-place", "--json"], &data)?.ok()?.json()?;
    assert_eq!(whole.get("accepted_loss"), Some(&Value::Bool(false)), "the twin: {whole}");
    let older = on("carnet-issuer", &["restore", "--in-place", "--accept-loss", "--json"], &data)?.ok()?.json()?;
    assert_eq!(older.get("accepted_loss"), Some(&Value::Bool(true)), "{older}");
    assert_eq!(number(&older, "/offers_closed"), Some(1), "{older}");
    assert_ne!(whole.get("store"), older.get("store"));
    stage.authority.switch_on()?;
    assert!(visitor::collect(&open.uri, None, visitor::now()).await.is_err());
    // A verifier publishes nothing, so that only its operator can know.
    stage.agency.service.kill()?;
    let data = stage.agency.service.data.clone();
    let older = on("carnet-verifier", &["restore", "--in-place", "--accept-loss", "--json"], &data)?.ok()?.json()?;
    assert_eq!(older.get("accepted_loss"), Some(&Value::Bool(true)), "{older}");
    Ok(())
}

/// Two services on one directory would each publish their own lists, and each know nonces of their own.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_service_on_a_directory_is_refused() -> Result<()> {
    let mut stage = Stage::set(false).await?;
    for program in ["carnet-issuer", "carnet-verifier"] {
        let office = if program == "carnet-issuer" { &stage.authority } else { &stage.agency };
        let said = on(program, &["serve", "--listen", "127.0.0.1:0"], &office.service.data)?;
        assert!(said.code == 3 && said.stderr.contains("is already running on"), "{said:?}");
    }
    // The first continues, and when it has ended another one can take its place.
    stage.offer(&stage.authority, PERMIT, &residence_permit(), &[])?;
    stage.authority.service.kill()?;
    stage.authority.switch_on()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_floor_of_the_clock_that_is_too_high_is_lowered_with_the_service_stopped() -> Result<()> {
    let mut stage = Stage::set(false).await?;
    let offered = stage.offer(&stage.authority, PERMIT, &residence_permit(), &[])?;
    let held = visitor::collect(&offered.uri, None, visitor::now()).await?;
    stage.comes_to(&held, None).await?;
    let text = |said: &Said, name: &str| -> Result<String> {
        Ok(said.json()?.get(name).and_then(Value::as_str).unwrap_or_default().to_owned())
    };
    // While it serves, the floor can be read and not lowered.
    let read = stage.agency.on_data(&["clock"])?;
    assert_eq!((read.code, read.json()?.get("behind")), (0, Some(&Value::Bool(false))), "{read:?}");
    assert_ne!(stage.agency.on_data(&["clock", "--lower"])?.code, 0);
    assert!(!stage.agency.on_data(&["clock"])?.stdout.contains(r#""lowered":true"#));

    // The clock of this machine, and an issuer's, were a day ahead.
    stage.agency.service.kill()?;
    let data = stage.agency.service.data.clone();
    let ahead = visitor::now().plus(86_400);
    let options = SqliteConnectOptions::new().filename(data.join("store.sqlite"));
    let mut store = sqlx::SqliteConnection::connect_with(&options).await?;
    sqlx::query("UPDATE clock_floor SET at = ?").bind(ahead.unix()).execute(&mut store).await?;
    store.close().await?;
    stage.agency.switch_on()?;
    let refused = stage.refusal(&held).await?;
    assert!(refused.as_deref().is_some_and(|reason| reason.eq_ignore_ascii_case("clock_behind")), "{refused:?}");
    stage.agency.service.kill()?;
    let behind = stage.agency.on_data(&["clock"])?;
    assert_eq!((behind.code, text(&behind, "floor")?), (1, ahead.to_string()), "{behind:?}");

    let lowered = stage.agency.on_data(&["clock", "--lower"])?;
    assert_eq!((lowered.code, text(&lowered, "floor_before")?), (0, ahead.to_string()), "{lowered:?}");
    assert_eq!(lowered.json()?.get("lowered"), Some(&Value::Bool(true)));
    stage.agency.switch_on()?;
    stage.comes_to(&held, None).await?;
    // Once it is right there is nothing to lower.
    stage.agency.service.kill()?;
    let again = stage.agency.on_data(&["clock", "--lower"])?;
    assert!(again.code == 0 && text(&again, "floor")? < ahead.to_string(), "{again:?}");
    Ok(())
}
