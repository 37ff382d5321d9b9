//! The holder at a terminal: each claim that an asker is not registered for is a question, and so is the whole.

use carnet_tests::{
    Result,
    stage::{Stage, residence_permit},
    terminal::Terminal,
};
use serde_json::json;

const QUESTION: &str = "[no]";

/// `carnet present` as a person runs it.
fn present(stage: &Stage, uri: &str) -> Result<Terminal> {
    let path = |name: &str| stage.folder.join(name).display().to_string();
    let (wallet, passphrase, ca) = (path("wallet.age"), path("passphrase"), path("ca.pem"));
    let args = ["present", uri, "--wallet", &wallet, "--passphrase-file", &passphrase, "--ca", &ca];
    Terminal::start("carnet", args.into_iter().chain(["--private-host", "localhost"]))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_asked_claim_by_claim_and_the_answer_is_no_unless_they_say_yes() -> Result<()> {
    let stage = Stage::set(false).await?;
    stage.make_wallet()?;
    let offered = stage.offer(&stage.authority, "ResidencePermitCredential", &residence_permit(), &[])?;
    stage.carnet(&["receive", &offered.uri, "--yes"])?.ok()?;
    let stranger = stage.open_stranger()?;
    let (id, uri) = stage.request_of(&stranger, &["--template", "job-right-to-work"])?;
    let state = || {
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(stranger.staff(&["result", &id])?.json()?["state"].clone())
    };

    // Return alone is no; so is a word that is not yes. Without them nothing answers, and the last question is not asked.
    let mut refusing = present(&stage, &uri)?;
    let first = refusing.wait_for(QUESTION)?;
    assert!(first.contains("Friendly Data Collectors"), "who asks comes before what they ask: {first}");
    refusing.type_line("")?;
    refusing.wait_for(QUESTION)?;
    refusing.type_line("perhaps")?;
    let (code, screen) = refusing.end()?;
    assert_eq!(code, 1, "{screen}");
    assert!(screen.contains("over_asked") && !screen.contains("Show this?"), "{screen}");
    assert_eq!(state()?, json!("open"));

    // Yes to each, and no to the whole.
    let mut doubting = present(&stage, &uri)?;
    for answer in ["yes", "yes", "no"] {
        doubting.wait_for(QUESTION)?;
        doubting.type_line(answer)?;
    }
    let (code, screen) = doubting.end()?;
    assert_eq!(code, 1, "{screen}");
    assert_eq!(state()?, json!("open"));

    let mut agreeing = present(&stage, &uri)?;
    for _ in 0..2 {
        agreeing.wait_for(QUESTION)?;
        agreeing.type_line("yes")?;
    }
    let whole = agreeing.wait_for(QUESTION)?;
    assert!(whole.contains("Stays hidden") && whole.contains("Nationality"), "what stays is said before: {whole}");
    agreeing.type_line("yes")?;
    let (code, screen) = agreeing.end()?;
    assert_eq!(code, 0, "{screen}");
    assert_eq!(state()?, json!("accepted"));
    Ok(())
}
