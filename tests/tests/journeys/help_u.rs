//! One document opens four services; it is lost, and the services know.

use std::time::{Duration, Instant};

use carnet_tests::{
    Result,
    journey::{Issuer, Journey, Prologue},
    stage::{Cast, claims_of},
    visitor,
};
use serde_json::{Value, json};

const PROTECTION: &str = "TemporaryProtectionCredential";
const REQUEST: &str = "right-of-residence";

#[tokio::test(flavor = "multi_thread")]
async fn help_u() -> Result<()> {
    let prologue = Prologue {
        name: "help_u",
        title: "One document, four services",
        about: "Olena came from Ukraine (the service of NL Help U). With one document she registers her address, opens a bank \
                account, gets health insurance and rents a flat. Each of the four learns that she lives here legally, and \
                that this has not ended today. None learns her name or the day of its end from the document.",
    };
    let cast = Cast {
        university: "Reception Authority",
        university_types: &[PROTECTION],
        authority: "Residency Authority",
        authority_types: &["ResidencePermitCredential"],
        agency: "Service Counter",
    };
    let mut journey = Journey::begin(&prologue, &cast, "Olena").await?;
    let agency = journey.stage.agency.configured("[status]\nrefresh_seconds = 1\n")?;
    journey.stage.agency = agency;
    let mut claims = claims_of(PROTECTION);
    if let Some(members) = claims.as_object_mut() {
        members.insert("validUntil".to_owned(), json!("2060-12-31T23:59:59Z"));
    }

    journey.act("1. Her document", "The reception authority gives it to her.");
    let lost = journey.receive(Issuer::University, PROTECTION, &claims, &[])?;

    let services = [
        ("2. Registering her address", "register-address"),
        ("3. A bank account", "bank-account"),
        ("4. Health insurance", "health-insurance"),
        ("5. Renting a flat", "renting"),
    ];
    for (number, (title, service)) in services.into_iter().enumerate() {
        journey.act(title, "Her wallet says what is needed; the counter asks for it.");
        journey.wallet(&["need", service])?;
        // The wallet's question is the same each time.
        let answer = if number == 0 { journey.show(REQUEST, &[])? } else { journey.show_briefly(REQUEST)? };
        assert!(answer.seen.contains("legalResidence") && !answer.seen.contains("validUntil"), "{:?}", answer.seen);
        journey.withheld(
            &answer,
            &claims,
            &["givenName", "familyName", "dateOfBirth", "nationality", "legalBasis", "documentNumber", "validUntil"],
        )?;
    }

    journey.act(
        "6. The phone is lost",
        "She reports it, and the authority suspends the document until she comes. The finder of the phone gets nothing with it.",
    );
    let witness = journey.stage.offer(&journey.stage.university, PROTECTION, &claims, &[])?;
    let copy = visitor::collect(&witness.uri, None, visitor::now()).await?;
    for id in [&lost.id, &witness.id] {
        let suspend = ["status", "suspend", id, "--yes", "--reason", "a phone was lost"];
        journey.stage.university.staff(&suspend)?.ok()?;
    }
    suspended(&journey, &copy).await?;
    let answer = journey.show_refused(REQUEST, "suspended")?;
    assert!(answer.asker.contains("NOT VERIFIED: the issuer has suspended the document."), "{}", answer.asker);
    journey.finish()
}

/// Waits until the counter knows of the suspension.
async fn suspended(journey: &Journey, copy: &visitor::Copy) -> Result<()> {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(60) {
        let verdict = journey.stage.agency.staff(&["verify", &copy_file(journey, copy)?])?.json()?;
        let reason = verdict.pointer("/verdict/reason").and_then(Value::as_str).unwrap_or_default().to_owned();
        if reason == "suspended" {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Err("the counter does not learn of the suspension".into())
}

fn copy_file(journey: &Journey, copy: &visitor::Copy) -> Result<String> {
    let file = journey.stage.folder.join("copy");
    std::fs::write(&file, &copy.credential)?;
    Ok(file.display().to_string())
}
