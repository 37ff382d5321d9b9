//! An adviser assesses skills from documents of several kinds, and refuses one by a provider that is not accepted.

use carnet_tests::{
    Result,
    journey::{Issuer, Journey, Prologue},
    stage::{Cast, claims_of},
};

const COURSE: &str = "MicroCredential";
const ASSESSMENT: &str = "QualificationAssessmentCredential";

#[tokio::test(flavor = "multi_thread")]
async fn nadine() -> Result<()> {
    let prologue = Prologue {
        name: "nadine",
        title: "A skills assessment that starts from what is proven",
        about: "An adviser (as on the NADINE platform) assesses what Amina can do, and plans training with her. Proven skills \
                and an assessed qualification are where the plan starts; the adviser needs no identity document for it.",
    };
    let cast = Cast {
        university: "Training Centre",
        university_types: &[COURSE],
        authority: "Assessment Office",
        authority_types: &[ASSESSMENT],
        agency: "Skills Advisers",
    };
    let mut journey = Journey::begin(&prologue, &cast, "Amina").await?;
    let (course, assessment) = (claims_of(COURSE), claims_of(ASSESSMENT));

    journey.act("1. Her documents", "A course with an examination, and the assessment of her qualification.");
    journey.receive(Issuer::University, COURSE, &course, &[])?;
    journey.receive(Issuer::Authority, ASSESSMENT, &assessment, &[])?;

    journey.act("2. The skills", "The adviser asks for what she learned.");
    let answer = journey.show("job-skills", &[])?;
    assert!(answer.asker.contains("Writes and tests short programs"), "{}", answer.asker);
    journey.withheld(&answer, &course, &["givenName", "familyName", "dateOfBirth", "grade", "title"])?;

    journey.act("3. The qualification", "And for level and field of the qualification that was assessed.");
    let answer = journey.show_briefly("qualifications-passport")?;
    journey.withheld(&answer, &assessment, &["givenName", "dateOfBirth", "awardingCountry", "workExperience"])?;

    journey.act(
        "4. A certificate by somebody else",
        "Samir's course certificate is by an office that the advisers do not accept for courses. The desk says so, and it \
         is no accusation: the document may be sound, and another office may accept it.",
    );
    journey.enter("Samir")?;
    journey.receive(Issuer::Authority, COURSE, &course, &[])?;
    let answer = journey.show_refused("job-skills", "issuer_untrusted")?;
    assert!(answer.asker.contains("does not accept documents of this kind from their issuer"), "{}", answer.asker);
    assert!(!answer.asker.contains("Writes and tests"), "{}", answer.asker);
    journey.finish()
}
