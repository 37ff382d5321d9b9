//! A wallet that is killed at any instant of receive, refill, renew or present loses nothing and shows no copy to two
//! verifiers; nor if its issuer is killed. `CARNET_KILLS` says how often, and `CARNET_KILL_SEED` when.

// The seed is printed, so that a failure can be repeated.
#![allow(clippy::print_stdout)]

use std::{
    collections::BTreeMap,
    process::Child,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use carnet_core::time::Timestamp;
use carnet_tests::{
    Result,
    programs::Said,
    stage::{Offered, Office, Stage, residence_permit},
};
use rand_core::{OsRng, RngCore as _};
use serde_json::Value;

const PERMIT: &str = "ResidencePermitCredential";
const TEMPLATE: &str = "work-permit-today";
const DAY: i64 = 86_400;
/// The copies of one batch.
const BATCH: u64 = 10;
const FLAGS: [&str; 2] = ["--json", "--no-input"];

/// Instants that follow from a printed seed (SplitMix64).
struct Instants(u64);

impl Instants {
    fn new() -> Self {
        let given = std::env::var("CARNET_KILL_SEED").ok().and_then(|text| text.parse().ok());
        let seed = given.unwrap_or_else(|| OsRng.next_u64());
        println!("CARNET_KILL_SEED={seed}");
        Self(seed)
    }

    /// An instant within work that took so long, or a little after it.
    fn within(&mut self, whole: Duration) -> Duration {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let most = u64::try_from(whole.as_micros()).unwrap_or(u64::MAX / 5).saturating_mul(11) / 10;
        Duration::from_micros(mixed.checked_rem(most).unwrap_or_default())
    }
}

fn kills() -> usize {
    std::env::var("CARNET_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(25)
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn number(value: &Value, pointer: &str) -> u64 {
    value.pointer(pointer).and_then(Value::as_u64).unwrap_or(u64::MAX)
}

fn len(value: &Value, pointer: &str) -> usize {
    value.pointer(pointer).and_then(Value::as_array).map_or(usize::MAX, Vec::len)
}

/// Signal that ends a verb early, if any.
enum Cut {
    Not,
    /// The wallet, after so long.
    Wallet(Duration),
    /// The authority, after so long.
    Issuer(Duration),
}

/// A wallet, and the verbs that are run on it.
struct Holder<'a> {
    stage: &'a mut Stage,
    wallet: String,
}

impl<'a> Holder<'a> {
    fn new(stage: &'a mut Stage, name: &str) -> Result<Self> {
        let holder = Self { stage, wallet: format!("{name}.age") };
        holder.run(&["init", "--work-factor", "12"])?.ok()?;
        let registrar = holder.stage.registrar.clone();
        holder.run(&["registrar", "add", &registrar, "--name", "Register of Askers"])?.ok()?;
        Ok(holder)
    }

    fn run(&self, args: &[&str]) -> Result<Said> {
        self.stage.carnet_on(&self.wallet, args, &FLAGS, "")
    }

    /// Runs a verb that may be cut off; how long it took.
    fn run_cut(&mut self, args: &[&str], cut: &Cut) -> Result<Duration> {
        let began = Instant::now();
        let mut child: Child = self.stage.start_carnet(&self.wallet, args, &FLAGS)?;
        match cut {
            Cut::Not => {}
            Cut::Wallet(after) => {
                std::thread::sleep(*after);
                child.kill()?;
            }
            Cut::Issuer(after) => {
                std::thread::sleep(*after);
                self.stage.authority.service.kill()?;
                self.stage.authority.switch_on()?;
            }
        }
        let output = child.wait_with_output()?;
        if matches!(cut, Cut::Not) {
            Said::from(output).ok()?;
        }
        Ok(began.elapsed())
    }

    fn listed(&self) -> Result<Value> {
        self.run(&["list"])?.ok()?.json()
    }

    /// Receives an offer: cut off, and then to its end.
    fn receive(&mut self, offered: &Offered, cut: &Cut) -> Result<Duration> {
        let mut args = vec!["receive", offered.uri.as_str(), "--yes"];
        args.extend(offered.pin.iter().flat_map(|pin| ["--pin", pin.as_str()]));
        let took = self.run_cut(&args, cut)?;
        if !matches!(cut, Cut::Not) {
            let resumed = self.run(&["receive", "--resume"])?;
            if resumed.code != 0 {
                // It was cut off before it began, or after its end.
                assert_eq!(text(&resumed.json()?, "/error/reason"), "nothing_pending", "{resumed:?}");
            }
            if len(&self.listed()?, "/credentials") == 0 {
                assert_ne!(resumed.code, 0);
                self.run(&args)?.ok()?;
            }
        }
        let listed = self.listed()?;
        assert_eq!((len(&listed, "/credentials"), len(&listed, "/pending")), (1, 0), "{listed}");
        assert_eq!(number(&listed, "/credentials/0/copies_unused"), BATCH, "{listed}");
        Ok(took)
    }

    fn id(&self) -> Result<String> {
        Ok(text(&self.listed()?, "/credentials/0/id").to_owned())
    }

    /// Refills: cut off, and then again.
    fn refill(&mut self, cut: &Cut) -> Result<Duration> {
        let id = self.id()?;
        let before = number(&self.listed()?, "/credentials/0/copies_unused");
        let took = self.run_cut(&["refill", &id], cut)?;
        let after = number(&self.listed()?, "/credentials/0/copies_unused");
        // Before any was shown, one is spent on the issuer; a batch is there as a whole.
        let spent = before.saturating_sub(1);
        let full = spent.saturating_add(BATCH);
        assert!([before, spent, full].contains(&after), "{before} copies, then {after}");
        if !matches!(cut, Cut::Not) {
            self.run(&["refill", &id])?.ok()?;
        }
        let filled = number(&self.listed()?, "/credentials/0/copies_unused");
        assert!(filled >= full, "{before} copies, then {filled}");
        Ok(took)
    }

    /// Renews: cut off, and then to its end.
    fn renew(&mut self, cut: &Cut) -> Result<Duration> {
        let id = self.id()?;
        let before = text(&self.listed()?, "/credentials/0/valid_until").to_owned();
        let took = self.run_cut(&["renew", &id], cut)?;
        let renewed = |listed: &Value| text(listed, "/credentials/0/valid_until") > before.as_str();
        let listed = self.listed()?;
        if len(&listed, "/pending") == 1 {
            self.run(&["receive", "--resume"])?.ok()?;
        } else if !renewed(&listed) {
            self.run(&["renew", &id])?.ok()?;
        }
        let listed = self.listed()?;
        assert!(renewed(&listed), "{before}: {listed}");
        assert_eq!((len(&listed, "/credentials"), len(&listed, "/pending")), (1, 0), "{listed}");
        assert_eq!(number(&listed, "/credentials/0/copies_unused"), BATCH, "{listed}");
        Ok(took)
    }

    /// Presents to a verifier: cut off, and then to its end.
    fn present(&mut self, asker: &Office, cut: &Cut) -> Result<Duration> {
        let (request, uri) = self.stage.request_of(asker, &["--template", TEMPLATE])?;
        let consent = self.run(&["present", &uri])?.json()?;
        let digest = text(&consent, "/digest").to_owned();
        assert!(!digest.is_empty(), "{consent}");
        let args = ["present", &uri, "--yes", &digest];
        let took = self.run_cut(&args, cut)?;
        let state =
            || -> Result<String> { Ok(text(&asker.staff(&["result", &request])?.json()?, "/state").to_owned()) };
        if !matches!(cut, Cut::Not) {
            let again = self.run(&args)?;
            if again.code != 0 {
                // The verifier has it; the wallet gives advice on a verdict that it did not get.
                let (said, listed) = (again.json()?, self.run(&["log"])?.ok()?.json()?);
                assert_eq!(text(&said, "/error/reason"), "nonce_replayed", "{said}");
                let entries = listed.pointer("/entries").and_then(Value::as_array).ok_or("no entries")?;
                if !entries.iter().any(|entry| text(entry, "/kind") == "accepted") {
                    assert!(text(&said, "/error/hint").contains("ask them whether they accepted it"), "{said}");
                }
            }
        }
        assert_eq!(state()?, "accepted");
        Ok(took)
    }

    /// Checks that every answer of a verifier is in the log, and that no key was presented to two.
    fn check_log(&self, answered: &BTreeMap<String, usize>) -> Result<()> {
        self.run(&["log", "--verify"])?.ok()?;
        let log = self.run(&["log"])?.ok()?.json()?;
        let mut shown: BTreeMap<String, String> = BTreeMap::new();
        let mut requests: BTreeMap<String, std::collections::BTreeSet<String>> = BTreeMap::new();
        for entry in log.pointer("/entries").and_then(Value::as_array).into_iter().flatten() {
            if text(entry, "/kind") != "sending" {
                continue;
            }
            let party = text(entry, "/party").to_owned();
            requests.entry(party.clone()).or_default().insert(text(entry, "/request").to_owned());
            for part in entry.pointer("/parts").and_then(Value::as_array).into_iter().flatten() {
                let key = text(part, "/key").to_owned();
                assert!(!key.is_empty(), "{entry}");
                let first = shown.entry(key).or_insert_with(|| party.clone());
                assert_eq!(*first, party, "one copy was shown to two askers");
            }
        }
        for (did, count) in answered {
            let noted = requests.iter().find(|(party, _)| party.contains(did.as_str())).map_or(0, |(_, all)| all.len());
            assert_eq!(noted, *count, "{did}");
        }
        Ok(())
    }
}

/// Sets the stage, and a second verifier.
async fn set() -> Result<(Stage, Office)> {
    let mut stage = Stage::set(false).await?;
    let policy = "refill_copies_per_day = 100000\nrefill_copies_in_all = 1000000\n";
    let path = stage.authority.service.data.join("config.toml");
    let config = std::fs::read_to_string(&path)?;
    std::fs::write(&path, format!("{policy}{config}"))?;
    // Of a week, so that credentials that end soon can be offered on every day.
    let weeks = "[cohorts]\nepoch = \"week\"\n[renewal.ResidencePermitCredential]\ndays = 30\nmost = 100\n";
    stage.authority = stage.authority.configured(weeks)?;
    let second = stage.open_agency("second", "Second Office", true)?;
    Ok((stage, second))
}

fn offer(stage: &Stage) -> Result<Offered> {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
    let soon = Timestamp::from_unix(now).start_of_day().plus(10 * DAY).to_string();
    let soon = soon.get(..10).unwrap_or_default();
    stage.offer(&stage.authority, PERMIT, &residence_permit(), &["--pin", "--valid-until", soon, "--ttl", "86400"])
}

/// Receives, refills, renews and shows one credential, each cut off as told; how long each took.
fn journey(stage: &mut Stage, second: &Office, name: &str, cuts: [Cut; 4]) -> Result<[Duration; 4]> {
    let [receive, refill, renew, present] = cuts;
    let offered = offer(stage)?;
    let mut holder = Holder::new(stage, name)?;
    let took = [
        holder.receive(&offered, &receive)?,
        holder.refill(&refill)?,
        holder.renew(&renew)?,
        holder.present(second, &present)?,
    ];
    // Another verifier gets a copy of its own, after any cut.
    let (_, uri) = holder.stage.request(TEMPLATE)?;
    let digest = text(&holder.run(&["present", &uri])?.json()?, "/digest").to_owned();
    holder.run(&["present", &uri, "--yes", &digest])?.ok()?;
    let first = holder.stage.agency.did.clone();
    holder.check_log(&[(first, 1), (second.did.clone(), 1)].into())?;
    Ok(took)
}

fn check_offers(stage: &Stage) -> Result<()> {
    let offers = stage.authority.staff(&["offer", "list"])?.ok()?.json()?;
    let offers = offers.pointer("/offers").and_then(Value::as_array).ok_or("no offers")?.clone();
    assert!(!offers.is_empty());
    for offer in &offers {
        assert_eq!(text(offer, "/state"), "collected", "{offer}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_that_is_killed_loses_nothing_and_shows_no_copy_twice() -> Result<()> {
    let (mut stage, second) = set().await?;
    // The twin: nothing is killed. It measures the time of each verb.
    let whole = journey(&mut stage, &second, "whole", [Cut::Not, Cut::Not, Cut::Not, Cut::Not])?;
    println!("receive, refill, renew, present: {whole:?}");
    let mut instants = Instants::new();
    for round in 0..kills().div_ceil(4) {
        let cuts = whole.map(|took| instants.within(took));
        println!("round {round}: {cuts:?}");
        journey(&mut stage, &second, &format!("cut-{round}"), cuts.map(Cut::Wallet))?;
    }
    check_offers(&stage)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_is_killed_under_a_wallet_takes_nothing_from_it() -> Result<()> {
    let (mut stage, second) = set().await?;
    let whole = journey(&mut stage, &second, "whole", [Cut::Not, Cut::Not, Cut::Not, Cut::Not])?;
    let mut instants = Instants::new();
    for round in 0..kills().div_ceil(12) {
        let [receive, refill, renew, _] = whole.map(|took| instants.within(took));
        println!("round {round}: {receive:?}, {refill:?}, {renew:?}");
        let cuts = [Cut::Issuer(receive), Cut::Issuer(refill), Cut::Issuer(renew), Cut::Not];
        journey(&mut stage, &second, &format!("cut-{round}"), cuts)?;
    }
    check_offers(&stage)
}
