//! Entitlements with the real programs: uses are marked exactly once, at one desk and at several, and through power
//! cuts.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use carnet_tests::{
    Result,
    programs::{self, Said},
    stage::{Office, Stage},
    visitor::{self, Copy},
};
use serde_json::{Value, json};

const TYPE: &str = "EntitlementCredential";

/// A desk's name, the name and key of the only other one, and how many uses each marks at most without the other.
type Desks<'a> = (&'a str, &'a str, &'a str, u32);

/// Lets an agency accept vouchers of the university, at one desk or as one of two.
fn prepare(stage: &Stage, agency: Office, redemption: Option<Desks<'_>>) -> Result<Office> {
    let path = agency.service.data.join("config.toml");
    let mut config = fs::read_to_string(&path)?;
    config.push_str(&format!("\n[[issuers]]\ndid = {:?}\ntypes = [{TYPE:?}]\n", stage.university.did));
    if let Some((desk, other, key, most)) = redemption {
        let other = format!("{{ desk = {other:?}, key = {key:?}, offline_uses = {most} }}");
        config.push_str(&format!("\n[redemption]\ndesk = {desk:?}\nothers = [{other}]\noffline_uses = {most}\n"));
    }
    fs::write(path, config)?;
    agency.restart()
}

/// A voucher of the university's for an agency; its serials are drawn by the issuer.
fn voucher(stage: &Stage, redeemer: &str, uses: usize) -> Result<String> {
    let claims = json!({"service": "A visit to the City Museum", "redeemer": redeemer, "uses": uses});
    Ok(stage.offer(&stage.university, TYPE, &claims, &[])?.uri)
}

/// Presents a use of a copy at a desk: none if it was accepted, else why not; and the request.
async fn visit(stage: &Stage, desk: &Office, copy: &Copy, number: usize) -> Result<(Option<String>, String)> {
    let (id, uri) = stage.request_of(desk, &["--template", "museum-visit"])?;
    let asked = visitor::read_request(&uri).await?;
    let answer = visitor::submit(&asked, visitor::present_use(copy, &asked, number, visitor::now())?).await;
    Ok((visitor::refusal(&answer), id))
}

/// Returns whether staff see that an answer was a use.
fn marked(desk: &Office, id: &str) -> Result<bool> {
    let result = desk.staff(&["result", id])?.json()?;
    Ok(result.pointer("/verdict/redemption") == Some(&json!({"by": "serial", "use": null, "of": null})))
}

#[tokio::test(flavor = "multi_thread")]
async fn two_at_once_get_one_success_and_the_wallet_pays_with_its_copies() -> Result<()> {
    let mut stage = Stage::set(false).await?;
    let other = stage.open_agency("elsewhere", "Another Museum", true)?;
    let elsewhere = prepare(&stage, other, None)?;
    let spare = stage.open_agency("museum", "City Museum", true)?;
    stage.agency = prepare(&stage, spare, None)?;
    let museum = &stage.agency;
    let copies = visitor::collect_copies(&voucher(&stage, &museum.did, 1)?, None, 4, visitor::now()).await?;
    // A redeemer that is not named can mark nothing, and takes nothing from it.
    let first = copies.first().ok_or("no copy")?;
    let (why, id) = visit(&stage, &elsewhere, first, 0).await?;
    assert_eq!((why.as_deref(), marked(&elsewhere, &id)?), (Some("redeemer_other"), false));
    // Different copies of the one voucher, each for its own request, at the same time.
    let mut answers = Vec::new();
    for copy in &copies {
        let (id, uri) = stage.request_of(museum, &["--template", "museum-visit"])?;
        let asked = visitor::read_request(&uri).await?;
        let presentation = visitor::present(copy, &asked, visitor::now())?;
        answers.push((id, tokio::spawn(async move { visitor::refusal(&visitor::submit(&asked, presentation).await) })));
    }
    let mut refusals = Vec::new();
    for (id, answer) in answers {
        match answer.await? {
            None => assert!(marked(museum, &id)?),
            Some(why) => refusals.push(why),
        }
    }
    assert_eq!(refusals, ["entitlement_used"; 3]);
    // And from the wallet: two uses, each of another serial from another copy, and no third.
    stage.make_wallet()?;
    stage.carnet(&["receive", &voucher(&stage, &museum.did, 2)?, "--yes"])?.ok()?;
    for number in [1, 2] {
        let (id, uri) = stage.request("museum-visit")?;
        let said = stage.approve(&uri)?.1.ok()?.json()?;
        assert_eq!(said.get("accepted"), Some(&json!(true)), "{said}");
        assert!(marked(museum, &id)?);
        // The wallet knows the remaining uses by itself.
        let listed = stage.carnet(&["list"])?.ok()?.json()?;
        let uses = |name: &str| listed.pointer(&format!("/credentials/0/{name}")).and_then(Value::as_u64);
        assert_eq!((uses("uses_left"), uses("uses")), (Some(2 - number), Some(2)));
    }
    let (_, uri) = stage.request("museum-visit")?;
    let said = stage.carnet(&["present", &uri])?.json()?;
    assert_eq!(said.pointer("/error/reason"), Some(&json!("query_unmet")), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_desk_killed_at_any_time_counts_a_use_with_its_verdict_or_not_at_all() -> Result<()> {
    const VISITS: usize = 12;
    let mut stage = Stage::set(false).await?;
    let agency = stage.open_agency("museum", "City Museum", true)?;
    stage.agency = prepare(&stage, agency, None)?;
    let uri = voucher(&stage, &stage.agency.did, VISITS)?;
    let copies = visitor::collect_copies(&uri, None, 4, visitor::now()).await?;
    let mut requests = BTreeMap::new();
    for round in 0..3_u64 {
        let mut answers = Vec::new();
        for copy in copies.iter().cycle().take(VISITS / 3) {
            let (id, uri) = stage.request("museum-visit")?;
            let asked = visitor::read_request(&uri).await?;
            let number = requests.len();
            let presentation = visitor::present_use(copy, &asked, number, visitor::now())?;
            requests.insert(number, id);
            answers.push(tokio::spawn(async move { visitor::submit(&asked, presentation).await.map(|_| ()) }));
        }
        // In the middle of them: as soon as so many were answered.
        for answer in answers.iter_mut().take(usize::try_from(round)?) {
            answer.await?.ok();
        }
        stage.agency.cut_power()?;
        for answer in answers.into_iter().skip(usize::try_from(round)?) {
            answer.await?.ok();
        }
    }
    // Staff sees exactly the counted uses: that serial is used, and every other one is not.
    let copy = copies.first().ok_or("no copy")?;
    for (number, id) in &requests {
        let counted = marked(&stage.agency, id)?;
        let why = visit(&stage, &stage.agency, copy, *number).await?.0;
        assert_eq!(why.as_deref(), counted.then_some("entitlement_used"), "use {number}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn desks_without_contact_are_bounded_and_reconciliation_names_double_use() -> Result<()> {
    let stage = Stage::set(false).await?;
    let east = stage.open_agency("east", "City Museum", true)?;
    // The other desk has the same key and so the same DID, and a store of its own.
    let folder = stage.folder.join("west");
    fs::create_dir(&folder)?;
    for entry in fs::read_dir(&east.service.data)? {
        let entry = entry?;
        let store = entry.file_name().to_string_lossy().starts_with("store.");
        if entry.file_type()?.is_file() && !store {
            fs::copy(entry.path(), folder.join(entry.file_name()))?;
        }
    }
    // Only init makes a store.
    let refused = east.twin("west", &folder).err().ok_or("it started without a store")?.to_string();
    assert!(refused.contains("store.sqlite is missing"), "{refused}");
    let desk = ["init", "--another-desk", "--data", &folder.display().to_string()].map(str::to_owned);
    programs::run("carnet-verifier", desk.clone(), &[])?.ok()?;
    assert_eq!(programs::run("carnet-verifier", desk, &[])?.code, 1);
    let west = east.twin("west", &folder)?;
    let run = |desk: &Office, args: &[&str]| -> Result<Said> {
        let data = desk.service.data.display().to_string();
        programs::run(
            "carnet-verifier",
            ["redemptions"].iter().chain(args).copied().chain(["--json", "--data", &data]),
            &[],
        )
    };
    let key_of = |desk: &Office| -> Result<String> {
        let said = run(desk, &["key"])?.ok()?.json()?;
        Ok(said.get("key").and_then(Value::as_str).ok_or("there is no key")?.to_owned())
    };
    let (east_key, west_key) = (key_of(&east)?, key_of(&west)?);
    assert_ne!(east_key, west_key);
    let east = prepare(&stage, east, Some(("east", "west", &west_key, 2)))?;
    let west = prepare(&stage, west, Some(("west", "east", &east_key, 2)))?;
    assert_eq!(key_of(&east)?, east_key);
    let copies = visitor::collect_copies(&voucher(&stage, &east.did, 1)?, None, 2, visitor::now()).await?;
    let [first, second] = copies.as_slice() else { return Err("not two copies".into()) };
    // Neither knows of the other.
    assert_eq!(visit(&stage, &east, first, 0).await?.0, None);
    assert_eq!(visit(&stage, &west, second, 0).await?.0, None);
    let more = visitor::collect_copies(&voucher(&stage, &east.did, 9)?, None, 1, visitor::now()).await?;
    let more = more.first().ok_or("no copy")?;
    assert_eq!(visit(&stage, &east, more, 0).await?.0, None);
    let due = east.staff(&["request", "create", "--template", "museum-visit"])?;
    assert_eq!((due.code, due.stderr.contains("RECONCILIATION_DUE")), (3, true), "{due:?}");
    let file = |desk: &str| -> PathBuf { stage.folder.join(format!("{desk}.redemptions")) };
    for (desk, name) in [(&east, "east"), (&west, "west")] {
        let out = file(name).display().to_string();
        run(desk, &["export", &out])?.ok()?;
    }
    let (from_east, from_west) = (file("east").display().to_string(), file("west").display().to_string());
    for (desk, from) in [(&east, &from_west), (&west, &from_east)] {
        let said = run(desk, &["reconcile", from])?;
        let report = said.json()?;
        assert_eq!((said.code, report.get("reconciled")), (1, Some(&json!(true))), "{report}");
        let double = report.get("double_uses").and_then(Value::as_array).ok_or("no double_uses")?;
        assert_eq!(double.len(), 1, "{report}");
        let marks = report.pointer("/double_uses/0/marks").and_then(Value::as_array).ok_or("no marks")?;
        let desks: BTreeSet<&str> = marks.iter().filter_map(|mark| mark.get("desk")?.as_str()).collect();
        assert_eq!((desks, marks.len()), (["east", "west"].into(), 2), "{report}");
        assert!(marks.iter().all(|mark| mark.get("at").is_some_and(Value::is_string)));
    }
    // The other's marks count here now, and the bound begins again.
    assert_eq!(visit(&stage, &east, second, 0).await?.0.as_deref(), Some("entitlement_used"));
    assert_eq!(visit(&stage, &west, more, 0).await?.0.as_deref(), Some("entitlement_used"));
    let (why, id) = visit(&stage, &west, more, 1).await?;
    assert_eq!((why, marked(&west, &id)?), (None, true));
    // A file that was changed is refused whole.
    fs::write(file("west"), fs::read_to_string(file("west"))?.replace(" 1 ", " 2 "))?;
    assert_eq!(run(&east, &["reconcile", &from_west])?.code, 1);
    // The counts, and nobody's data.
    let totals = run(&east, &["totals"])?.ok()?.json()?;
    assert_eq!(totals.pointer("/totals/0/uses"), Some(&json!(2)), "{totals}");
    assert_eq!(totals.pointer("/totals/0/template"), Some(&json!("museum-visit")), "{totals}");
    assert!(totals.pointer("/totals/0/service").is_some_and(|service| service != ""), "{totals}");
    // East continues without west. Its export left one use of its bound, and with the export of east that it may have
    // taken since it is two more.
    let gone = run(&east, &["write-off", "west"])?.ok()?.json()?;
    assert_eq!(gone.get("unseen"), Some(&json!(3)), "{gone}");
    run(&west, &["export", &from_west])?.ok()?;
    let refused = run(&east, &["reconcile", &from_west])?;
    assert!(refused.code == 1 && refused.stderr.contains("was written off here"), "{refused:?}");
    Ok(())
}

/// A backup from before a use is refused; one from after it is not, and the use counts in it.
#[tokio::test(flavor = "multi_thread")]
async fn row_104_a_desk_is_not_set_back_to_before_a_use() -> Result<()> {
    let stage = Stage::set(false).await?;
    let museum = stage.open_agency("museum", "City Museum", true)?;
    let mut museum = prepare(&stage, museum, None)?;
    let copies = visitor::collect_copies(&voucher(&stage, &museum.did, 1)?, None, 3, visitor::now()).await?;
    let [first, second, third] = copies.as_slice() else { return Err("not three copies".into()) };
    let data = museum.service.data.clone();
    let mark = || -> Result<i64> {
        let mark: Value = serde_json::from_slice(&fs::read(data.join("store.json"))?)?;
        Ok(mark.get("number").and_then(Value::as_i64).ok_or("the mark has no number")?)
    };
    let on = |verb: &str, file: &str, more: &[&str]| -> Result<Said> {
        let (flag, data) = (if verb == "backup" { "--out" } else { "--from" }, data.display().to_string());
        let args = [verb, flag, file, "--data", &data, "--json"];
        programs::run("carnet-verifier", args.into_iter().chain(more.iter().copied()), &[])
    };
    let [before, after] = ["before", "after"].map(|name| stage.folder.join(name).display().to_string());
    let number = mark()?;
    on("backup", &before, &[])?.ok()?;
    assert_eq!(visit(&stage, &museum, first, 0).await?.0, None);
    // The mark follows within seconds; no answer waits for it.
    while mark()? <= number {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    on("backup", &after, &[])?.ok()?;
    museum.service.kill()?;

    let older = on("restore", &before, &[])?;
    assert!(older.code == 1 && older.stderr.contains("can be used again"), "{older:?}");
    on("restore", &after, &[])?.ok()?;
    museum.switch_on()?;
    assert_eq!(visit(&stage, &museum, second, 0).await?.0.as_deref(), Some("entitlement_used"));
    museum.service.kill()?;
    // With --accept-loss the lost uses are lost, and named.
    let said = on("restore", &before, &["--accept-loss"])?.ok()?.json()?;
    assert_eq!(said.get("accepted_loss"), Some(&json!(true)), "{said}");
    museum.switch_on()?;
    assert_eq!(visit(&stage, &museum, third, 0).await?.0, None);
    Ok(())
}
