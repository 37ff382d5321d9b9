//! Temporary protection is turned into a residence permit; protection that has ended is not.

use carnet_tests::{
    Result,
    journey::{Issuer, Journey, Prologue},
    stage::{Cast, claims_of},
};

use super::{exactly, set};

const PROTECTION: &str = "TemporaryProtectionCredential";
const PERMIT: &str = "ResidencePermitCredential";

#[tokio::test(flavor = "multi_thread")]
async fn protection() -> Result<()> {
    let prologue = Prologue {
        name: "protection",
        title: "Temporary protection becomes a permit",
        about: "Olena has temporary protection and found work. The immigration office gives her a permit for work: it sees who \
                she is and that her protection is in force, and nothing else of the old document. With the permit she starts \
                her job.",
    };
    let cast = Cast {
        university: "Reception Authority",
        university_types: &[PROTECTION],
        authority: "Permit Authority",
        authority_types: &[PERMIT],
        agency: "Immigration Office",
    };
    let mut journey = Journey::begin(&prologue, &cast, "Olena").await?;
    let mut claims = claims_of(PROTECTION);
    // Whenever the journey is made.
    set(&mut claims, "validUntil", "2060-12-31T23:59:59Z");

    journey.act("1. Protection", "The reception authority gives her the document.");
    journey.receive(Issuer::University, PROTECTION, &claims, &[])?;

    journey.act("2. The office asks", "It asks for what the permit needs.");
    let answer = journey.show("permit-after-protection", &[])?;
    let seen: Vec<&str> = answer.seen.iter().map(String::as_str).filter(|path| !path.contains(">=")).collect();
    assert_eq!(exactly(&seen), exactly(&["givenName", "familyName", "dateOfBirth", "issuingCountry"]));
    assert!(answer.asker.contains("or later (the value was not shown)"), "{}", answer.asker);
    journey.withheld(&answer, &claims, &["documentNumber", "legalBasis", "remarks", "validUntil", "workPermission"])?;

    journey.act("3. The permit", "The office decides, and the permit authority gives her the new document.");
    let mut permit = claims_of(PERMIT);
    let new =
        [("givenName", "Olena"), ("familyName", "Kovalenko"), ("dateOfBirth", "1991-02-08"), ("nationality", "UA")];
    for (name, value) in new.into_iter().chain([("permitType", "blue-card"), ("documentNumber", "YW1112223")]) {
        set(&mut permit, name, value);
    }
    journey.receive(Issuer::Authority, PERMIT, &permit, &[])?;

    journey
        .act("4. Work", "The check before a job takes two answers of yes or no: the kind of permit is not asked for.");
    let answer = journey.show_briefly("job-right-to-work")?;
    assert_eq!(answer.seen, exactly(&["legalResidence", "rightToWork"]));
    journey.withheld(&answer, &permit, &["givenName", "familyName", "nationality", "permitType", "documentNumber"])?;

    journey.act(
        "5. Protection that has ended",
        "Taras' protection ended. His wallet says what does not match, and sends nothing.",
    );
    journey.enter("Taras")?;
    set(&mut claims, "givenName", "Taras");
    set(&mut claims, "validUntil", "2026-03-04T23:59:59Z");
    journey.receive(Issuer::University, PROTECTION, &claims, &[])?;
    let screen = journey.cannot_show("permit-after-protection")?;
    assert!(screen.contains("does not match"), "{screen}");
    journey.finish()
}
