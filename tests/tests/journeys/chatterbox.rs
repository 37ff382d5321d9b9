//! A tutor is hired by proven levels, whose values are not shown; another person's level is too low.

use carnet_tests::{
    Result,
    journey::{Issuer, Journey, Prologue},
    stage::{Cast, claims_of},
};

use super::{exactly, set};

const PROFILE: &str = "LanguageProficiencyCredential";

#[tokio::test(flavor = "multi_thread")]
async fn chatterbox() -> Result<()> {
    let prologue = Prologue {
        name: "chatterbox",
        title: "A language tutor is hired by what is proven",
        about: "A social enterprise (as Chatterbox) hires tutors who speak their language at C1 or better and write it at B2 \
                or better. Amina proves that she reaches the levels; the levels themselves stay in her wallet, and so does \
                her name.",
    };
    let cast = Cast {
        university: "Language Assessment Office",
        university_types: &[PROFILE],
        authority: "Residency Authority",
        authority_types: &["ResidencePermitCredential"],
        agency: "Tutors of Example",
    };
    let mut journey = Journey::begin(&prologue, &cast, "Amina").await?;
    let mut profile = claims_of(PROFILE);
    for (skill, level) in [("spokenInteraction", "C2"), ("spokenProduction", "C2"), ("writing", "C1")] {
        set(&mut profile, skill, level);
    }

    journey.act("1. Her profile", "The assessment office states a level for each of five skills.");
    journey.receive(Issuer::University, PROFILE, &profile, &[])?;

    journey.act("2. The tutors' office asks", "It learns the language, and that three levels are reached.");
    let answer = journey.show("language-tutor", &[])?;
    let bounds = ["language", "spokenInteraction >= C1", "spokenProduction >= C1", "writing >= B2"];
    assert_eq!(answer.seen, exactly(&bounds));
    assert!(answer.asker.contains("at least B2 (the value was not shown)"), "{}", answer.asker);
    assert!(!answer.asker.contains("C2"), "{}", answer.asker);
    journey.withheld(&answer, &profile, &["givenName", "familyName", "dateOfBirth", "spokenInteraction"])?;

    journey.act(
        "3. Samir's level is too low",
        "He writes at B1. His wallet finds that out by itself and sends nothing: the office does not learn that he tried.",
    );
    journey.enter("Samir")?;
    set(&mut profile, "givenName", "Samir");
    set(&mut profile, "writing", "B1");
    journey.receive(Issuer::University, PROFILE, &profile, &[])?;
    let screen = journey.cannot_show("language-tutor")?;
    assert!(screen.contains("B2"), "{screen}");
    journey.finish()
}
