//! The story: two credentials, three requests, a verifier that oversteps, receipts and erasure, programs of others, the
//! later life of the credentials, five forgeries.

use std::collections::BTreeSet;

use carnet_core::epoch::Epoch;
use carnet_tests::{
    Result,
    stage::{Stage, qualification, residence_permit},
};
use serde_json::Value;

use super::{Telling, cohorts, life, refusals, rights, strangers};

pub(crate) async fn tell(telling: &mut Telling, keep: bool) -> Result<()> {
    telling.say("Carnet, shown from end to end. Everything runs on this machine and is thrown away afterwards.\n");
    let stage = Stage::set(keep).await;
    let mut stage = telling.step("start", stage)?;
    stage.university = telling.step("university", stage.university.configured(life::UNIVERSITY))?;
    stage.agency = telling.step("agency", stage.agency.configured(life::AGENCY))?;
    for office in [&stage.university, &stage.authority, &stage.agency] {
        telling.say(format!("   {:<24} {}", office.name, short(&office.did)));
    }
    telling.step("wallet", stage.make_wallet())?;
    telling.say("   A wallet                 one encrypted file, with nothing in it\n");

    receive(telling, &stage, "qualification")?;
    let permit = receive(telling, &stage, "residence permit")?;
    show_wallet(telling, &stage)?;
    present(telling, &stage, "university-admission", &["title", "eqfLevel", "awardingBody", "awardingDate"])?;
    present(telling, &stage, "job-right-to-work", &["rightToWork", "legalResidence"])?;
    present(telling, &stage, "work-permit-today", &["rightToWork", "validUntil >= today"])?;
    rights::overstep(telling, &stage)?;
    rights::receipts(telling, &stage)?;
    cohorts::compared(telling, &stage).await?;
    strangers::wallet_from_npm(telling, &stage)?;
    strangers::foreign_verifier(telling, &stage).await?;
    life::suspended(telling, &stage, &permit)?;
    life::renewed(telling, &stage)?;
    life::rotated(telling, &mut stage)?;
    life::struck_off(telling, &stage)?;
    life::offline(telling, &mut stage)?;
    life::revoked(telling, &stage, &permit)?;

    telling.say("Now five attempts that must fail, with the verifier's reason for each:");
    let refused = refusals::all(telling, &stage).await;
    telling.step("refusals", refused)?;
    if keep {
        go_on_by_hand(telling, &stage);
        tokio::signal::ctrl_c().await?;
    }
    let stopped = stop(stage);
    telling.step("stop", stopped)?;
    telling.say("\nEvery step succeeded, and everything has stopped.");
    Ok(())
}

/// One offer, accepted: its id.
fn receive(telling: &mut Telling, stage: &Stage, what: &str) -> Result<String> {
    let qualification_offered = what == "qualification";
    let soon = last_of_an_epoch();
    let (office, kind, claims, extra): (_, _, _, &[&str]) = if qualification_offered {
        (&stage.university, "QualificationCredential", qualification(), &["--valid-until", &soon])
    } else {
        (&stage.authority, "ResidencePermitCredential", residence_permit(), &["--pin"])
    };
    let offered = stage.offer(office, kind, &claims, extra);
    let offered = telling.step(&format!("offer {what}"), offered)?;
    let mut args = vec!["receive", offered.uri.as_str(), "--yes"];
    if let Some(pin) = &offered.pin {
        args.extend(["--pin", pin]);
    }
    let received = stage.carnet(&args).and_then(|said| said.ok()?.json());
    let received = telling.step(&format!("receive {what}"), received)?;
    let pin = if offered.pin.is_some() { ", with a PIN handed over apart" } else { "" };
    let copies = received.pointer("/received/0/copies").and_then(Value::as_u64).unwrap_or_default();
    telling.say(format!("{} offers a {what}{pin}.", office.name));
    telling.say(format!(
        "   The wallet draws {copies} keys, collects {copies} copies, and checks each before storing it."
    ));
    let issued = office.staff(&["issued", "list"]).and_then(|said| said.ok()?.json());
    let issued = telling.step(&format!("records of {what}"), issued)?;
    let count = issued.get("issued").and_then(Value::as_array).map_or(0, Vec::len);
    telling.say(format!("   {} now keeps {count} records of status indices, and none of the claims.\n", office.name));
    Ok(offered.id)
}

fn show_wallet(telling: &mut Telling, stage: &Stage) -> Result<()> {
    let listed =
        stage.carnet_on("wallet.age", &["list"], &["--no-input"], "").and_then(carnet_tests::programs::Said::ok);
    let listed = telling.step("list", listed)?;
    telling.say("$ carnet list");
    telling.say(&listed.stdout);
    Ok(())
}

/// `visible` is all that the agency may have seen: claims of the subject, and thresholds.
fn present(telling: &mut Telling, stage: &Stage, template: &str, visible: &[&str]) -> Result<()> {
    let asked = stage.request(template);
    let (id, uri) = telling.step(&format!("request {template}"), asked)?;
    let shown = stage.carnet_on("wallet.age", &["present", &uri], &["--no-input"], "")?;
    telling.say(format!("{} asks: {template}. Before anything is sent, the holder sees this:\n", stage.agency.name));
    telling.say(indent(&shown.stdout));
    let approved = stage.approve(&uri).and_then(|(_, said)| said.ok()?.json());
    telling.step(&format!("present {template}"), approved)?;
    let result = stage.agency.staff(&["result", &id]).and_then(|said| said.ok()?.json());
    let result = telling.step(&format!("verdict {template}"), result)?;
    let verdict = result.get("verdict").cloned().unwrap_or_default();
    telling.say(format!("The holder approves exactly this request, by its digest. {} keeps:", stage.agency.name));
    let accepted = verdict.get("accepted").and_then(Value::as_bool).unwrap_or_default();
    telling.say(format!("   accepted  {accepted}"));
    let mut seen = BTreeSet::new();
    for credential in verdict.get("credentials").and_then(Value::as_array).into_iter().flatten() {
        for (what, member) in [("saw", "disclosed_paths"), ("knows", "proved_thresholds")] {
            for path in credential.get(member).and_then(Value::as_array).into_iter().flatten() {
                let path = path.as_str().unwrap_or_default();
                telling.say(format!("   {what:<9} {path}"));
                seen.insert(claim_of(path));
            }
        }
    }
    let expected: BTreeSet<String> = visible.iter().map(|claim| (*claim).to_owned()).collect();
    let exact = if seen == expected { Ok(()) } else { Err(format!("{seen:?} was seen, and not {expected:?}").into()) };
    telling.step(&format!("only that {template}"), exact)?;
    telling.say("   but not the value.\n");
    telling.step(&format!("accepted {template}"), if accepted { Ok(()) } else { Err(verdict.to_string().into()) })
}

/// The claim's name below the subject; of a threshold at the day of the request, that it is today's.
fn claim_of(path: &str) -> String {
    let name = path.strip_prefix("credentialSubject.").unwrap_or(path);
    match name.split_once(" >= ") {
        Some((name, bound)) if bound == today() => format!("{name} >= today"),
        _ => name.to_owned(),
    }
}

/// The last day of an epoch of the university's, a day from now at least and eight at most.
fn last_of_an_epoch() -> String {
    let end = Epoch::Week.next_start(carnet_tests::visitor::now().plus(86_400));
    end.plus(-86_400).to_string().chars().take(10).collect()
}

fn today() -> String {
    carnet_tests::visitor::now().to_string().chars().take(10).collect()
}

fn go_on_by_hand(telling: &Telling, stage: &Stage) {
    let folder = stage.folder.display();
    telling.say(format!("\nAll services are still running, in {folder}. In another terminal:\n"));
    let programs = carnet_tests::programs::directory().map(|path| path.display().to_string()).unwrap_or_default();
    telling.say(format!("   export PATH={programs}:$PATH CARNET_WALLET={folder}/wallet.age CARNET_CA={folder}/ca.pem CARNET_PRIVATE_HOSTS=localhost"));
    telling.say(format!("   carnet list --passphrase-file {folder}/passphrase"));
    telling.say(format!(
        "   carnet-verifier request create --template job-right-to-work --server {} --token-file {}",
        stage.agency.service.url,
        stage.agency.token_file.display()
    ));
    telling.say(format!("   carnet present 'openid4vp://...' --passphrase-file {folder}/passphrase"));
    telling.say(format!(
        "   carnet-issuer offer list --server {} --token-file {}",
        stage.university.service.url,
        stage.university.token_file.display()
    ));
    telling.say("\nCtrl-C stops them.");
}

fn stop(stage: Stage) -> Result<()> {
    for office in [stage.university, stage.authority, stage.agency] {
        let (name, code) = (office.name, office.service.stop()?);
        if code != 0 {
            return Err(format!("{name} ended with {code}").into());
        }
    }
    Ok(())
}

fn short(did: &str) -> String {
    if did.chars().count() > 60 { did.chars().take(57).chain("...".chars()).collect() } else { did.to_owned() }
}

pub(crate) fn indent(text: &str) -> String {
    text.lines().map(|line| format!("   | {line}\n")).collect()
}
