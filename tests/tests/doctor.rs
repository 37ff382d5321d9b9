//! `doctor` of both services with the real programs: all is well, and each check failing by its own cause.

use std::path::Path;

use carnet_core::time::Timestamp;
use carnet_tests::{Result, programs, site::Site, stage::Stage, visitor};
use serde_json::Value;

/// The outcome of each check, the advice of those that failed, and the exit code.
struct Findings {
    code: i32,
    checks: Vec<Value>,
}

impl Findings {
    fn of(program: &str, data: &Path, over: Option<&Path>) -> Result<Self> {
        let (data, over) = (data.display().to_string(), over.map(|over| over.display().to_string()));
        let mut args = vec!["doctor", "--data", &data, "--json"];
        args.extend(over.iter().flat_map(|over| ["--config", over.as_str()]));
        let said = programs::run(program, args, &[])?;
        let checks = said.json()?.get("checks").and_then(Value::as_array).cloned().ok_or("there are no checks")?;
        Ok(Self { code: said.code, checks })
    }

    fn text<'a>(&'a self, name: &str, member: &str) -> &'a str {
        let check = self.checks.iter().find(|check| check.get("check").and_then(Value::as_str) == Some(name));
        check.and_then(|check| check.get(member)).and_then(Value::as_str).unwrap_or_default()
    }

    /// Tests that these checks failed and no others, each with advice, and that the exit code is this.
    fn require(&self, failed: &[&str], code: i32) {
        let mut found: Vec<&str> = self
            .checks
            .iter()
            .filter(|check| check.get("outcome").and_then(Value::as_str) == Some("failed"))
            .filter_map(|check| check.get("check").and_then(Value::as_str))
            .collect();
        // One check of the issuers, or of their lists, for each that fails.
        found.dedup();
        assert_eq!((found.as_slice(), self.code), (failed, code), "{:#?}", self.checks);
        assert!(failed.iter().all(|name| !self.text(name, "advice").is_empty()), "{:#?}", self.checks);
    }
}

/// A time as servers write it; the day of the week is not looked at.
fn http_date(at: Timestamp) -> Result<String> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let text = at.to_string();
    let part = |range: std::ops::Range<usize>| text.get(range).ok_or("a time is short");
    let month = MONTHS.get(part(5..7)?.parse::<usize>()?.saturating_sub(1)).ok_or("there is no such month")?;
    Ok(format!("Mon, {} {month} {} {} GMT", part(8..10)?, part(0..4)?, part(11..19)?))
}

/// The stage with a university that can read its own site.
async fn stage() -> Result<(Stage, std::path::PathBuf)> {
    let stage = Stage::set(false).await?;
    stage.site.say_time(&http_date(visitor::now())?);
    let over = stage.folder.join("over.toml");
    let ca = stage.folder.join("ca.pem").display().to_string();
    std::fs::write(&over, format!("[serve]\nextra_ca = {ca:?}\nprivate_hosts = [\"localhost\"]\n"))?;
    Ok((stage, over))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_is_examined_and_each_fault_is_found_by_its_own_cause() -> Result<()> {
    let (mut stage, over) = stage().await?;
    let data = stage.university.service.data.clone();
    let examine = |over: &Path| Findings::of("carnet-issuer", &data, Some(over));
    let well = examine(&over)?;
    well.require(&[], 0);
    for check in ["configuration", "tls", "document", "clock", "lists", "store"] {
        assert_eq!(well.text(check, "outcome"), "passed", "{check}");
    }

    // The configuration, with what the start of the service would refuse.
    for wrong in ["types = [\"Nope\"]", "[renewal.Nope]\ndays = 30\nwindow_days = 10"] {
        let file = stage.folder.join("wrong.toml");
        std::fs::write(&file, format!("{wrong}\n{}", std::fs::read_to_string(&over)?))?;
        let found = examine(&file)?;
        found.require(&["configuration"], 1);
        assert!(found.text("configuration", "detail").contains("Nope"), "{wrong}");
    }

    // The document: one without the key, one with something else in it, none.
    let own = std::fs::read_to_string(data.join("did.json"))?;
    let mut other: Value = serde_json::from_str(&own)?;
    other["alsoKnownAs"] = serde_json::json!(["https://university.example"]);
    stage.site.publish("university", &other.to_string());
    examine(&over)?.require(&["document"], 1);
    stage.site.publish("university", &own.replace("key-1", "key-9"));
    assert_eq!(examine(&over)?.text("document", "outcome"), "failed");
    stage.site.publish("university", "{}");
    examine(&over)?.require(&["document"], 1);
    stage.site.publish("university", &own);

    // The proxy rules for the lists.
    stage.site.gate().close("university");
    let closed = examine(&over)?;
    closed.require(&["lists"], 3);
    assert!(closed.text("lists", "advice").contains("pass every path below"), "{}", closed.text("lists", "advice"));
    stage.site.gate().lead("university", &stage.university.service.url);

    // The certificate: of an authority that nobody here trusts.
    let strange = stage.folder.join("strange.pem");
    Site::open().await?.write_ca(&strange)?;
    let untrusting = stage.folder.join("untrusting.toml");
    std::fs::write(&untrusting, std::fs::read_to_string(&over)?.replace("ca.pem", "strange.pem"))?;
    let refused = examine(&untrusting)?;
    assert_eq!((refused.text("tls", "outcome"), refused.text("document", "outcome")), ("failed", "skipped"));

    // The clock.
    stage.site.say_time(&http_date(visitor::now().plus(600))?);
    examine(&over)?.require(&["clock"], 1);
    stage.site.say_time(&http_date(visitor::now())?);

    // The store: an older one than the mark beside the keys knows.
    let mark = data.join("store.json");
    let mut newer: Value = serde_json::from_str(&std::fs::read_to_string(&mark)?)?;
    newer["number"] = serde_json::json!(1_000_000);
    // A running service writes it too.
    stage.university.service.kill()?;
    std::fs::write(&mark, newer.to_string())?;
    let older = examine(&over)?;
    older.require(&["store"], 1);
    assert_eq!(older.text("lists", "outcome"), "skipped");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verifier_is_examined_and_each_fault_is_found_by_its_own_cause() -> Result<()> {
    let (stage, _) = stage().await?;
    let data = stage.agency.service.data.clone();
    let examine = || Findings::of("carnet-verifier", &data, None);
    let well = examine()?;
    well.require(&[], 0);
    for check in ["configuration", "clock", "registration", "issuers", "lists", "store"] {
        assert_eq!(well.text(check, "outcome"), "passed", "{check}");
    }
    // Its DID is made of its key.
    assert_eq!((well.text("document", "outcome"), well.text("tls", "outcome")), ("skipped", "skipped"));

    let wrong = stage.folder.join("wrong.toml");
    std::fs::write(&wrong, "[[issuers]]\ndid = \"did:web:university.example\"\ntypes = [\"Nope\"]\n")?;
    let found = Findings::of("carnet-verifier", &data, Some(&wrong))?;
    found.require(&["configuration"], 1);
    assert!(found.text("configuration", "detail").contains("Nope"));

    stage.site.say_time(&http_date(visitor::now().plus(-600))?);
    examine()?.require(&["clock"], 1);
    stage.site.say_time(&http_date(visitor::now())?);

    stage.site.gate().close("authority");
    examine()?.require(&["lists"], 3);
    stage.site.gate().lead("authority", &stage.authority.service.url);

    let file = data.join("registration.json");
    let before = std::fs::read_to_string(&file)?;
    let mut ended: Value = serde_json::from_str(&before)?;
    ended["validUntil"] = serde_json::json!("2026-01-01T00:00:00Z");
    std::fs::write(&file, ended.to_string())?;
    examine()?.require(&["registration"], 1);
    std::fs::write(&file, before)?;

    // A document that is refused, beside one that is not.
    let own = std::fs::read_to_string(stage.authority.service.data.join("did.json"))?;
    stage.site.publish("authority", "{");
    let bad = examine()?;
    bad.require(&["issuers"], 1);
    assert!(bad.text("issuers", "detail").contains("was fetched and is refused"), "{}", bad.text("issuers", "detail"));
    stage.site.publish("authority", &own);

    stage.site.close();
    let away = examine()?;
    away.require(&["issuers"], 3);
    assert_eq!(away.text("lists", "outcome"), "skipped");
    Ok(())
}
