//! A volunteer shows what she did before, and that the hours suffice; another one has too few.

use carnet_tests::{
    Result,
    journey::{Issuer, Journey, Prologue},
    stage::{Cast, claims_of},
};
use serde_json::json;

use super::exactly;

const VOLUNTEERING: &str = "VolunteeringCredential";

#[tokio::test(flavor = "multi_thread")]
async fn volunteer() -> Result<()> {
    let prologue = Prologue {
        name: "volunteer",
        title: "From volunteer to ambassador",
        about: "An association (as GoVolunteer or Datteltäter) confirms what Amina did for it. Another one looks for \
                ambassadors with some experience: at least twenty hours. An employer later sees what she learned from it.",
    };
    let cast = Cast {
        university: "Welcome Association",
        university_types: &[VOLUNTEERING],
        authority: "Residency Authority",
        authority_types: &["ResidencePermitCredential"],
        agency: "Volunteers of Example",
    };
    let mut journey = Journey::begin(&prologue, &cast, "Amina").await?;
    let claims = claims_of(VOLUNTEERING);

    journey.act("1. The confirmation", "The association confirms role, activity and hours.");
    journey.receive(Issuer::University, VOLUNTEERING, &claims, &[])?;

    journey
        .act("2. A new placement", "Role and organisation are shown; of the hours only that they are twenty or more.");
    let answer = journey.show("volunteer-placement", &[])?;
    assert_eq!(answer.seen, exactly(&["hours >= 20", "organisation", "role"]));
    assert!(answer.asker.contains("at least 20 (the value was not shown)"), "{}", answer.asker);
    journey.withheld(
        &answer,
        &claims,
        &["givenName", "familyName", "dateOfBirth", "activityStartDate", "activityEndDate", "activity", "hours"],
    )?;

    journey.act("3. A job", "What she learned counts for an employer too, who learns neither where nor for how long.");
    let answer = journey.show_briefly("job-skills")?;
    journey.withheld(&answer, &claims, &["givenName", "familyName", "organisation", "role", "hours"])?;

    journey.act("4. Too few hours", "Samir has twelve. His wallet says so, and sends nothing.");
    journey.enter("Samir")?;
    let few = json!({"organisation": "Welcome Association of Example", "role": "Language partner", "hours": 12});
    journey.receive(Issuer::University, VOLUNTEERING, &few, &[])?;
    let screen = journey.cannot_show("volunteer-placement")?;
    assert!(screen.contains("at least 20"), "{screen}");
    journey.finish()
}
