//! Acts of staff on many copies, and the days that they name.

use carnet_tests::{
    Result, programs,
    stage::{Stage, residence_permit},
    visitor,
};
use serde_json::Value;

use super::fixtures::{PERMIT, issued, shown};

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_act_is_counted_before_it_is_done() -> Result<()> {
    let stage = Stage::set(false).await?;
    let office = &stage.authority;
    let offers = [issued(&stage).await?, issued(&stage).await?, issued(&stage).await?];
    let file = stage.folder.join("ids");
    std::fs::write(&file, format!("# of the batch of March\n{}\n{}\n\n", offers[0], offers[1]))?;
    let file = file.display().to_string();
    let reason = ["--reason", "a batch was wrong"];
    let act = |more: &[&str]| {
        office.staff(&["status", "suspend"].into_iter().chain(more.iter().copied()).chain(reason).collect::<Vec<_>>())
    };
    for (whom, count) in [(vec!["--file", file.as_str()], 2), (vec!["--type", PERMIT], 3)] {
        let with = |more: &[&str]| act(&[whom.as_slice(), more].concat());
        let counted = with(&["--dry-run"])?.ok()?.json()?;
        assert_eq!(counted.get("credentials").and_then(Value::as_u64), Some(count));
        assert_eq!(with(&[])?.code, 1, "without the count");
        assert_eq!(with(&["--yes", "--count", "1"])?.code, 1, "with another count");
        for half in [vec!["--yes"], vec!["--count", &count.to_string()]] {
            assert!(with(&half)?.stderr.contains("--count and that number"), "{half:?}");
        }
        // The earlier options name their replacements.
        for (before, code) in [(["--yes-count", "2"], 1), (["--yes", "2"], 2)] {
            let refused = with(&before)?;
            assert!(refused.code == code && refused.stderr.contains("--yes --count 2"), "{refused:?}");
        }
        for offer in &offers {
            assert!(shown(office, offer)?.iter().all(|(_, state)| state == "valid"));
        }
        with(&["--yes", "--count", &count.to_string()])?.ok()?;
        let suspended = offers.iter().map(|offer| shown(office, offer)).collect::<Result<Vec<_>>>()?;
        let suspended = suspended.iter().filter(|copies| copies.iter().all(|(_, state)| state == "suspended")).count();
        assert_eq!(u64::try_from(suspended)?, count);
        let back =
            ["status", "reinstate", "--type", PERMIT, "--yes", "--count", "3", "--reason", "the end of the test"];
        office.staff(&back)?.ok()?;
    }
    assert_eq!(act(&[])?.code, 2, "nobody is named");
    let nothing = act(&["--until", "2020-01-01", "--yes", "--count", "0"])?;
    assert!(nothing.code == 1 && nothing.stderr.contains("(NOTHING_MATCHES)"), "{nothing:?}");

    // The changes of one act are undone with its own list of ids, and an earlier suspension stays.
    office.staff(&["status", "suspend", &offers[0], "--reason", "rightly"])?.ok()?;
    let wrong = act(&["--type", PERMIT, "--yes", "--count", "3"])?.ok()?.json()?;
    let number = wrong.get("act").cloned().unwrap_or_default().to_string();
    let ids = office.staff(&["status", "changed", &number])?.ok()?.json()?.get("ids").cloned().unwrap_or_default();
    let ids: Vec<&str> = ids.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    std::fs::write(&file, ids.join("\n"))?;
    let back = ["status", "reinstate", "--file", &file, "--yes", "--count", "2", "--reason", "the filter was wrong"];
    office.staff(&back)?.ok()?;
    for (offer, expected) in offers.iter().zip(["suspended", "valid", "valid"]) {
        assert!(shown(office, offer)?.iter().all(|(_, state)| state == expected), "{offer} {expected}");
    }
    Ok(())
}

/// The day in some minutes, plus or minus so many days: never one that ends while a test runs.
fn day_from_today(days: i64) -> String {
    let at = visitor::now().plus(600).plus(days.saturating_mul(86_400)).start_of_day().to_string();
    at.chars().take("YYYY-MM-DD".len()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_last_day_is_the_same_and_is_included_in_every_time_zone() -> Result<()> {
    let mut stage = Stage::set(false).await?;
    // It is about single days.
    stage.authority = stage.authority.configured("[cohorts]\nepoch = \"day\"\n")?;
    stage.make_wallet()?;
    let (yesterday, today, tomorrow) = (day_from_today(-1), day_from_today(0), day_from_today(1));
    for (round, zone) in ["<+14>-14", "<-11>11"].into_iter().enumerate() {
        let env = [("TZ", zone)];
        stage.authority = stage.authority.restart_with(&env)?;
        stage.agency = stage.agency.restart_with(&env)?;
        let office = &stage.authority;
        let token = office.token_file.display().to_string();
        let staff = |args: &[&str]| {
            let all = [args, &["--server", &office.service.url, "--token-file", &token]].concat();
            programs::run("carnet-issuer", all, &env)
        };
        let carnet = |args: &[&str], flags: &[&str]| {
            programs::run("carnet", stage.carnet_arguments("wallet.age", args, flags), &env)
        };
        let claims = stage.folder.join("claims.json");
        std::fs::write(&claims, serde_json::to_vec(&residence_permit())?)?;
        let claims = claims.display().to_string();
        let offer = ["offer", "create", "--type", PERMIT, "--claims", &claims, "--reference", zone];
        let days = ["--valid-from", &yesterday, "--valid-until", &today];
        let made = staff(&[&offer[..], &days, &["--json"]].concat())?.ok()?.json()?;
        let text = |name: &str| made.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        assert_eq!(text("valid_until"), format!("{tomorrow}T00:00:00Z"), "{made}");
        let listed =
            staff(&["offer", "list", "--reference", zone, "--from", &yesterday, "--until", &today])?.ok()?.stdout;
        assert!(listed.contains(&format!("valid until {today}, reference {zone}, made by admin")), "{listed}");

        carnet(&["receive", &text("offer_uri"), "--yes"], &["--no-input"])?.ok()?;
        let listed = carnet(&["list"], &["--no-input"])?.ok()?.stdout;
        assert!(listed.contains(&format!("until {today}\n")), "{listed}");
        let listed =
            staff(&["issued", "list", "--reference", zone, "--from", &yesterday, "--until", &today])?.ok()?.stdout;
        assert_eq!(listed.matches(&format!("valid until {today}")).count(), 10, "{listed}");

        // It is accepted on its last day, and a status act to that day takes it.
        let (_, uri) = stage.request("job-right-to-work")?;
        let consent = carnet(&["present", &uri], &["--json", "--no-input"])?.json()?;
        let digest = consent.get("digest").and_then(Value::as_str).ok_or("the consent has no digest")?;
        carnet(&["present", &uri, "--yes", digest], &["--json", "--no-input"])?.ok()?;
        let act =
            |until: &str| staff(&["status", "revoke", "--until", until, "--dry-run", "--reason", "a test", "--json"]);
        let counted = act(&today)?.ok()?.json()?;
        assert_eq!(counted.get("credentials").and_then(Value::as_u64), Some(u64::try_from(round)? + 1));
        assert!(act(&day_from_today(-2))?.stderr.contains("(NOTHING_MATCHES)"));

        // A time of day would be rounded: it is refused, at any offset; the beginning of a day in UTC is kept.
        for (end, is_kept) in [("T18:00:00Z", false), ("T00:00:00+14:00", false), ("T00:00:00Z", true)] {
            let end = format!("{tomorrow}{end}");
            let said = staff(&[&offer[..], &["--valid-until", &end]].concat())?;
            assert_eq!((said.code, said.stderr.contains("whole days")), if is_kept { (0, false) } else { (2, true) });
        }
        // The next zone has the wallet to itself.
        let listed = carnet(&["list"], &["--json", "--no-input"])?.ok()?.json()?;
        let id = listed.pointer("/credentials/0/id").and_then(Value::as_str).unwrap_or_default().to_owned();
        carnet(&["delete", &id, "--yes"], &["--no-input"])?.ok()?;
    }
    Ok(())
}
