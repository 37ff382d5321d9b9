//! One-stop guidance: what a procedure needs, what is there, what is missing, in the person's language.

use carnet_tests::{
    Result,
    journey::{Issuer, Journey, Prologue},
    stage::{Cast, claims_of},
};

const ASSESSMENT: &str = "QualificationAssessmentCredential";
const COURSE: &str = "MicroCredential";

#[tokio::test(flavor = "multi_thread")]
async fn guidance() -> Result<()> {
    let prologue = Prologue {
        name: "guidance",
        title: "What do I need?",
        about: "MICADO, WELCOME, REBUILD and MIICT built guidance for newcomers in one place. In Carnet it comes from a \
                catalogue of procedures, which is data, and from the documents in the person's own wallet: nobody else learns \
                what was looked up.",
    };
    let cast = Cast {
        university: "Training Centre",
        university_types: &[COURSE],
        authority: "Assessment Office",
        authority_types: &[ASSESSMENT],
        agency: "University of Example",
    };
    let mut journey = Journey::begin(&prologue, &cast, "Amina").await?;

    journey.act("1. All procedures", "With an empty wallet.");
    journey.wallet(&["need"])?;

    journey.act("2. One of them", "The missing document, and who gives it.");
    let before = journey.wallet(&["need", "university-admission"])?;
    assert!(before.contains("Qualifications passport"), "{before}");

    journey.act("3. The missing document", "She gets one of the documents that are enough.");
    journey.receive(Issuer::Authority, ASSESSMENT, &claims_of(ASSESSMENT), &[])?;
    let after = journey.wallet(&["need", "university-admission"])?;
    assert_ne!(before, after);

    journey.act("4. In Ukrainian", "The same in another language; ten are there.");
    let screen = journey.wallet(&["need", "university-admission", "--lang", "uk"])?;
    assert!(screen.contains("університет"), "{screen}");

    journey.act("5. The same request answers", "The guidance names the request that the university then makes.");
    let answer = journey.show_briefly("qualifications-passport")?;
    let hidden = ["givenName", "familyName", "dateOfBirth", "awardingCountry", "languages"];
    journey.withheld(&answer, &claims_of(ASSESSMENT), &hidden)?;

    journey.act("6. A name that does not exist", "The wallet says so, and where the names are.");
    let screen = journey.wallet_fails(&["need", "univercity-admission"])?;
    assert!(screen.contains("carnet need"), "{screen}");
    journey.finish()
}
