//! Linkability of one holder's copies by two verifiers: how many holders share the visible claims of their copies.

use std::collections::{BTreeMap, BTreeSet};

use carnet_core::{day, epoch::Epoch, secure::sd_jwt::SdJwt, time::Timestamp};
use carnet_tests::{
    Result, programs,
    stage::{Stage, residence_permit},
    visitor::{self, Copy},
};
use serde_json::{Value, json};

use super::{Telling, story::indent};

/// Number of people who get a permit, besides the wallet's owner.
const PEOPLE: i64 = 12;

/// Issues permits that end on different days, counts the holders with the same days, and compares two copies of one
/// person.
pub(crate) async fn compared(telling: &mut Telling, stage: &Stage) -> Result<()> {
    telling.say(
        "Twelve more people get a permit, each with a different last day. Then two askers compare the copies that \
         they saw:\n",
    );
    let people = collect(stage).await;
    let people = telling.step("twelve more permits", people)?;
    let office = &stage.authority;
    let counts = telling.step("cohorts", office.staff(&["cohorts"]).and_then(|said| said.ok()?.json()))?;
    let token = office.token_file.display().to_string();
    let printed =
        programs::run("carnet-issuer", ["cohorts", "--server", &office.service.url, "--token-file", &token], &[]);
    let printed = telling.step("cohorts for people", printed.and_then(programs::Said::ok))?;
    telling.say(format!("$ carnet-issuer cohorts\n{}", indent(&printed.stdout)));
    let found = telling.step("two askers", Comparison::of(&people))?;
    telling.say(format!("   the same in two copies of one person   {}", found.same.join(", ")));
    telling.say(format!("   all of that is the same for            {} of these {PEOPLE} people", found.shared_by));
    telling.say(format!("   another in each copy                   {}", found.different.join(", ")));
    telling.say("   With the dates that staff entered, each of the twelve would have been unique.\n");
    let all = usize::try_from(PEOPLE)?;
    telling
        .step("nobody is told apart", if found.shared_by == all { Ok(()) } else { Err(format!("{found:?}").into()) })?;
    telling.note("cohorts", counts);
    telling.note(
        "two_askers",
        json!({"same": found.same, "different": found.different, "shared_by": found.shared_by, "people": PEOPLE}),
    );
    Ok(())
}

/// Two copies of each person.
async fn collect(stage: &Stage) -> Result<Vec<Vec<Copy>>> {
    let now = visitor::now();
    // The month in which the permits end that are offered without an end: a year from now.
    let month = Epoch::Month.start(now.start_of_day().plus(365 * day::SECONDS));
    let mut people = Vec::new();
    for day in 0..PEOPLE {
        let last = day_of(month.plus(day.saturating_mul(day::SECONDS)));
        let extra = ["--valid-until", last.as_str()];
        let offered = stage.offer(&stage.authority, "ResidencePermitCredential", &residence_permit(), &extra)?;
        people.push(visitor::collect_copies(&offered.uri, offered.pin.as_deref(), 2, now).await?);
    }
    Ok(people)
}

fn day_of(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

/// Comparison of the visible members of two copies.
#[derive(Debug)]
struct Comparison {
    /// Members that are the same in both copies of the first person.
    same: Vec<String>,
    /// Members that differ.
    different: Vec<String>,
    /// Number of people who share all equal members.
    shared_by: usize,
}

impl Comparison {
    fn of(people: &[Vec<Copy>]) -> Result<Self> {
        let mut visible = Vec::new();
        for copies in people {
            visible.push(copies.iter().map(visible_in).collect::<Result<Vec<_>>>()?);
        }
        let [first, second] = visible.first().map(Vec::as_slice).unwrap_or_default() else {
            return Err("there are not two copies".into());
        };
        let is_same = |path: &String| second.get(path) == first.get(path);
        let same: Vec<&String> = first.keys().filter(|path| is_same(path)).collect();
        let shares = |copies: &&Vec<BTreeMap<String, Value>>| {
            copies.iter().all(|copy| same.iter().all(|path| copy.get(*path) == first.get(*path)))
        };
        let differing: Vec<&String> = first.keys().filter(|path| !is_same(path)).collect();
        Ok(Self {
            same: members(&same, &differing),
            different: members(&differing, &same),
            shared_by: visible.iter().filter(shares).count(),
        })
    }
}

/// Returns the names of the members of these paths. A member of which others have a part is named by its parts, so
/// that no name is on both sides.
fn members(paths: &[&String], others: &[&String]) -> Vec<String> {
    let member = |path: &str| path.split('/').nth(1).unwrap_or_default().to_owned();
    let elsewhere: BTreeSet<String> = others.iter().map(|path| member(path)).collect();
    let name = |path: &&String| {
        let whole = member(path);
        if elsewhere.contains(&whole) { path.trim_start_matches('/').to_owned() } else { whole }
    };
    paths.iter().map(name).collect::<BTreeSet<_>>().into_iter().collect()
}

/// The values of a copy that no holder can withhold, by their paths.
fn visible_in(copy: &Copy) -> Result<BTreeMap<String, Value>> {
    fn walk(path: &str, value: &Value, found: &mut BTreeMap<String, Value>) {
        match value {
            Value::Object(members) => {
                members.iter().for_each(|(name, value)| walk(&format!("{path}/{name}"), value, found));
            }
            Value::Array(items) => {
                let items = items.iter().enumerate();
                items.for_each(|(at, value)| walk(&format!("{path}/{at}"), value, found));
            }
            value => drop(found.insert(path.to_owned(), value.clone())),
        }
    }
    let mut found = BTreeMap::new();
    let payload = SdJwt::parse(&copy.credential)?.jws().payload().clone();
    walk("", &Value::Object(payload), &mut found);
    Ok(found)
}
