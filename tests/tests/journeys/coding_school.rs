//! A coding school certifies; an employer checks skills and the right to work, and learns of a revoked permit.

use carnet_tests::{
    Result,
    journey::{Issuer, Journey, Prologue},
    stage::{Cast, claims_of},
    visitor,
};

use super::exactly;

const COURSE: &str = "MicroCredential";
const PERMIT: &str = "ResidencePermitCredential";

#[tokio::test(flavor = "multi_thread")]
async fn coding_school() -> Result<()> {
    let prologue = Prologue {
        name: "coding_school",
        title: "From a coding school to a job",
        about: "A school (as HackYourFuture, RefugeeAcademy or Konfetti) certifies what Amina learned. An employer sees her \
                skills first, with neither a name nor a country, and asks for the right to work only when it wants to hire her.",
    };
    let cast = Cast {
        university: "School of Code",
        university_types: &[COURSE],
        authority: "Residency Authority",
        authority_types: &[PERMIT],
        agency: "Bread and Bytes",
    };
    let mut journey = Journey::begin(&prologue, &cast, "Amina").await?;
    let agency = journey.stage.agency.configured("[status]\nrefresh_seconds = 1\n")?;
    journey.stage.agency = agency;
    let (course, permit) = (claims_of(COURSE), claims_of(PERMIT));

    journey.act("1. Her documents", "The school gives her a certificate, and the authority her permit.");
    journey.receive(Issuer::University, COURSE, &course, &[])?;
    let lost = journey.receive(Issuer::Authority, PERMIT, &permit, &[])?;

    journey.act(
        "2. What can she do?",
        "The employer asks for skills, and receives nothing that tells who or from where she is.",
    );
    let answer = journey.show("job-skills", &[])?;
    let outcomes = ["learningOutcomes", "learningOutcomes[0]", "learningOutcomes[0].title", "learningOutcomes[1]"];
    assert_eq!(answer.seen, exactly(&[&outcomes[..], &["learningOutcomes[1].title"]].concat()));
    journey.withheld(&answer, &course, &["givenName", "familyName", "dateOfBirth", "grade", "awardingBody"])?;

    journey.act(
        "3. May she work?",
        "It wants to hire her, and must check that she may work. Two answers of yes or no: not the kind of permit, which \
         would say that she sought protection.",
    );
    let answer = journey.show("job-right-to-work", &[])?;
    assert_eq!(answer.seen, exactly(&["legalResidence", "rightToWork"]));
    journey.withheld(
        &answer,
        &permit,
        &["givenName", "familyName", "dateOfBirth", "nationality", "permitType", "legalBasis", "documentNumber"],
    )?;

    journey.act(
        "4. A year later the permit is revoked",
        "The authority revokes it. The employer has to check again, and its desk says so; it does not learn why.",
    );
    let witness = journey.stage.offer(&journey.stage.authority, PERMIT, &permit, &[])?;
    let copy = visitor::collect(&witness.uri, None, visitor::now()).await?;
    for id in [&lost.id, &witness.id] {
        let revoke = ["status", "revoke", id, "--yes", "--reason", "the permit was withdrawn"];
        journey.stage.authority.staff(&revoke)?.ok()?;
    }
    journey.stage.comes_to(&copy, Some("revoked")).await?;
    let answer = journey.show_refused("job-right-to-work", "revoked")?;
    assert!(answer.asker.contains("NOT VERIFIED: the issuer has revoked the document."), "{}", answer.asker);
    assert!(!answer.asker.contains("withdrawn") && !answer.holder.contains("withdrawn"));
    journey.finish()
}
