//! A student without papers: an assessment in the place of the diploma, and credits for open online courses.

use carnet_tests::{
    Result,
    journey::{Issuer, Journey, Prologue},
    stage::{Cast, claims_of},
};

use super::exactly;

const COURSE: &str = "MicroCredential";
const ASSESSMENT: &str = "QualificationAssessmentCredential";

#[tokio::test(flavor = "multi_thread")]
async fn kiron() -> Result<()> {
    let prologue = Prologue {
        name: "kiron",
        title: "A student without papers begins to study",
        about: "Amina studied nursing, and fled without her diploma. She took open online courses (as at Kiron), and an \
                assessment office interviewed her for a European Qualifications Passport. A university admits her and counts \
                her course, without a paper that she does not have.",
    };
    let cast = Cast {
        university: "Open Online University",
        university_types: &[COURSE],
        authority: "Assessment Office",
        authority_types: &[ASSESSMENT],
        agency: "University of Example",
    };
    let mut journey = Journey::begin(&prologue, &cast, "Amina").await?;
    let (course, assessment) = (claims_of(COURSE), claims_of(ASSESSMENT));

    journey.act("1. Her documents", "After the interview and the examination, two offices give her documents.");
    journey.receive(Issuer::Authority, ASSESSMENT, &assessment, &[])?;
    journey.receive(Issuer::University, COURSE, &course, &[])?;

    journey.act(
        "2. The university asks for a diploma",
        "She has none. Her wallet sends nothing, and names the missing document.",
    );
    let screen = journey.cannot_show("university-admission")?;
    assert!(screen.contains("Qualification"), "{screen}");

    journey.act(
        "3. It takes the assessment in its place",
        "The university reads that this is no formal recognition, and decides for itself.",
    );
    let answer = journey.show("qualifications-passport", &[])?;
    let asked = ["title", "eqfLevel", "iscedfCode", "assessmentBasis", "assessedBy", "isRecognisedQualification"];
    assert_eq!(answer.seen, exactly(&asked));
    assert!(answer.asker.contains(": NO"), "no formal recognition is said loudly: {}", answer.asker);
    journey.withheld(
        &answer,
        &assessment,
        &["givenName", "familyName", "dateOfBirth", "awardingCountry", "workExperience", "languages"],
    )?;

    journey.act("4. It counts the course", "The examination and its supervision matter here; the grade does not.");
    let answer = journey.show("credit-recognition", &[])?;
    assert!(answer.seen.contains("credits") && answer.seen.contains("supervision"), "{:?}", answer.seen);
    journey.withheld(&answer, &course, &["givenName", "familyName", "dateOfBirth", "grade", "isPartOf"])?;
    journey.finish()
}
