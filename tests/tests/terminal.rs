//! The holder at a terminal: each claim that a verifier is not registered for is a question, and so is the whole.

use carnet_tests::{
    Result, programs,
    stage::{Stage, residence_permit},
    terminal::Terminal,
    visitor,
};
use serde_json::{Value, json};

const QUESTION: &str = "(yes = 1, no = 2)";

/// `carnet present` as a person runs it.
fn present(stage: &Stage, uri: &str) -> Result<Terminal> {
    present_in(stage, uri, &[])
}

fn present_in(stage: &Stage, uri: &str, more: &[&str]) -> Result<Terminal> {
    carnet_at(stage, &[&["present", uri], more].concat(), 0)
}

/// `carnet` as a person runs it, at a terminal of so many columns; 0: it does not say.
fn carnet_at(stage: &Stage, args: &[&str], columns: u16) -> Result<Terminal> {
    let path = |name: &str| stage.folder.join(name).display().to_string();
    let (wallet, passphrase, ca) = (path("wallet.age"), path("passphrase"), path("ca.pem"));
    let global = ["--wallet", &wallet, "--passphrase-file", &passphrase, "--ca", &ca, "--private-host", "localhost"];
    Terminal::start_at("carnet", args.iter().copied().chain(global), columns)
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

    // Two times no. Without those claims nothing answers, and the last question is not asked.
    let mut refusing = present(&stage, &uri)?;
    let first = refusing.wait_for(QUESTION)?;
    assert!(first.contains("Friendly Data Collectors"), "who asks comes before what they ask: {first}");
    refusing.type_line("no")?;
    refusing.wait_for(QUESTION)?;
    refusing.type_line("2")?;
    let (code, screen) = refusing.end()?;
    assert_eq!(code, 1, "{screen}");
    assert!(screen.contains("over_asked") && !screen.contains("Show to "), "{screen}");
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
    for answer in ["yes", "1"] {
        agreeing.wait_for(QUESTION)?;
        agreeing.type_line(answer)?;
    }
    let whole = agreeing.wait_for(QUESTION)?;
    assert!(whole.contains("Stays hidden") && whole.contains("Nationality"), "what stays is said before: {whole}");
    // The name is the verifier's own claim, and so the question has its address.
    assert!(whole.contains("Show to 127.0.0.1:"), "{whole}");
    agreeing.type_line("yes")?;
    let (code, screen) = agreeing.end()?;
    assert_eq!(code, 0, "{screen}");
    assert_eq!(state()?, json!("accepted"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_revokes_a_credential_is_asked_and_whoever_cannot_be_asked_says_yes_before() -> Result<()> {
    let stage = Stage::set(false).await?;
    stage.make_wallet()?;
    let offered = stage.offer(&stage.authority, "ResidencePermitCredential", &residence_permit(), &[])?;
    stage.carnet(&["receive", &offered.uri, "--yes"])?.ok()?;
    let office = &stage.authority;
    let status = |verb: &'static str| ["status", verb, offered.id.as_str(), "--reason", "lost"];
    let state = || {
        let shown = office.staff(&["status", "show", &offered.id])?.ok()?.json()?;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(shown["copies"][0]["status"].clone())
    };
    // No terminal: what no other verb takes back is refused, and what one does is not.
    let refused = office.staff(&status("revoke"))?;
    assert_eq!((refused.code, refused.json()?["error"]["reason"].clone()), (1, json!("approval_needed")));
    office.staff(&status("suspend"))?.ok()?;
    office.staff(&status("reinstate"))?.ok()?;
    assert_eq!(state()?, json!("valid"));

    let token = office.token_file.display().to_string();
    let asked = || {
        let server = ["--server", office.service.url.as_str(), "--token-file", token.as_str()];
        Terminal::start_at("carnet-issuer", status("revoke").into_iter().chain(server), 0)
    };
    for (answer, code, becomes) in [("no", 1, "valid"), ("yes", 0, "revoked")] {
        let mut person = asked()?;
        let question = person.wait_for(QUESTION)?;
        assert!(question.contains(&offered.id) && question.contains("cannot be undone"), "{question}");
        person.type_line(answer)?;
        let (ended, screen) = person.end()?;
        assert_eq!((ended, state()?), (code, json!(becomes)), "{screen}");
    }
    // It is so already: nothing is written down.
    let again = office.staff(&[&status("revoke")[..], &["--yes"]].concat())?.ok()?.json()?;
    assert_eq!((&again["act"], again["unchanged_since"].is_string()), (&json!(0), true), "{again}");
    let server = ["--server", office.service.url.as_str(), "--token-file", token.as_str(), "--yes"];
    let text = programs::run("carnet-issuer", status("revoke").into_iter().chain(server), &[])?.ok()?.stdout;
    assert!(text.starts_with("Nothing to change: it is revoked since 20"), "{text}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_was_not_given_is_asked_for_and_may_be_wrapped() -> Result<()> {
    let stage = Stage::set(false).await?;
    stage.make_wallet()?;
    let path = |name: &str| stage.folder.join(name).display().to_string();
    let (wallet, passphrase, ca) = (path("wallet.age"), path("passphrase"), path("ca.pem"));
    let common = ["--wallet", &wallet, "--passphrase-file", &passphrase, "--ca", &ca, "--private-host", "localhost"];
    let start = |verb: &'static str| Terminal::start("carnet", [verb].into_iter().chain(common));

    let offered = stage.offer(&stage.authority, "ResidencePermitCredential", &residence_permit(), &["--pin"])?;
    let pin = offered.pin.ok_or("the offer has no PIN")?;
    let (first, second) = offered.uri.split_at(offered.uri.len() / 2);
    let arabic = pin.bytes().map(|digit| char::from_u32(u32::from(digit - b'0') + 0x660).unwrap_or_default());
    let arabic: String = arabic.flat_map(|digit| [digit, ' ']).collect();
    // More often than an issuer lets anybody guess: none of these is sent.
    for _ in 0..6 {
        let malformed = stage.carnet(&["receive", &offered.uri, "--yes", "--pin", "12345"])?;
        assert!(malformed.code == 2 && malformed.stdout.contains("pin_malformed"), "{}", malformed.stdout);
    }
    let pin_file = stage.folder.join("pin");
    std::fs::write(&pin_file, format!("\u{feff}{arabic}\r\n"))?;
    let pin_file = pin_file.display().to_string();
    let args = ["receive", "--pin-file", &pin_file].into_iter().chain(common);
    let mut receiving = Terminal::start("carnet", args)?;
    receiving.wait_for("press Enter twice")?;
    for line in [&format!("<{first}"), &format!("  {second}>"), ""] {
        receiving.type_line(line)?;
    }
    receiving.wait_for(QUESTION)?;
    receiving.type_line("yes")?;
    let (code, screen) = receiving.end()?;
    assert_eq!(code, 0, "{screen}");

    let (_, uri) = stage.request("job-right-to-work")?;
    let mut presenting = start("present")?;
    presenting.wait_for("press Enter twice")?;
    presenting.type_line(&format!("“{uri}”"))?;
    presenting.type_line("")?;
    presenting.wait_for(QUESTION)?;
    presenting.type_line("1")?;
    let (code, screen) = presenting.end()?;
    assert_eq!(code, 0, "{screen}");

    // The other kind of link names the other command.
    let other = stage.carnet(&["present", &offered.uri])?;
    assert!(other.code == 2 && other.stdout.contains("carnet receive"), "{}", other.stdout);
    let other = stage.carnet(&["receive", &uri])?;
    assert!(other.code == 2 && other.stdout.contains("carnet present"), "{}", other.stdout);
    let cut = uri.split('&').next().unwrap_or_default();
    let other = stage.carnet(&["present", cut])?;
    assert!(other.code == 2 && other.stdout.contains("quotation marks"), "{}", other.stdout);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_nobody_understands_is_asked_for_again_and_is_no_refusal() -> Result<()> {
    let stage = Stage::set(false).await?;
    stage.make_wallet()?;
    let offered = stage.offer(&stage.authority, "ResidencePermitCredential", &residence_permit(), &[])?;
    stage.carnet(&["receive", &offered.uri, "--yes"])?.ok()?;
    let (id, uri) = stage.request_of(&stage.agency, &["--template", "job-right-to-work"])?;
    let state = || {
        let result = stage.agency.staff(&["result", &id])?.json()?;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(result["state"].clone())
    };
    let last_entry = || {
        let log = stage.carnet(&["log"])?.ok()?.json()?;
        let last = log["entries"].as_array().and_then(|entries| entries.last()).ok_or("an empty log")?;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>((last["kind"].clone(), last["reason"].clone()))
    };
    let unclear = (json!("request_failed"), json!("not_answered"));

    // A first letter is no answer: the question is asked three times, and then nothing is disclosed.
    let mut typing = present(&stage, &uri)?;
    for answer in ["y", "", "yes please"] {
        typing.wait_for(QUESTION)?;
        typing.type_line(answer)?;
    }
    let (code, screen) = typing.end()?;
    assert_eq!(code, 1, "{screen}");
    assert!(screen.contains("not_answered") && !screen.contains("You said no"), "{screen}");
    assert_eq!((state()?, last_entry()?), (json!("open"), unclear.clone()));

    let mut leaving = present(&stage, &uri)?;
    leaving.wait_for(QUESTION)?;
    leaving.type_end()?;
    assert_eq!(leaving.end()?.0, 1);
    assert_eq!((state()?, last_entry()?), (json!("open"), unclear));

    let mut refusing = present(&stage, &uri)?;
    refusing.wait_for(QUESTION)?;
    refusing.type_line("No")?;
    let (code, screen) = refusing.end()?;
    assert!(code == 1 && screen.contains("declined"), "{screen}");
    assert_eq!(last_entry()?.0, json!("refused_by_owner"));

    let mut german = present_in(&stage, &uri, &["--lang", "de"])?;
    german.wait_for("(ja = 1, nein = 2")?;
    german.type_line("nein")?;
    let (code, screen) = german.end()?;
    assert!(code == 1 && screen.contains("Fehler: Sie haben Nein gesagt; nichts wurde gesendet"), "{screen}");
    let mut french = present_in(&stage, &uri, &["--lang", "fr"])?;
    for answer in ["yes", "ja", "o"] {
        french.wait_for("(oui = 1, non = 2")?;
        french.type_line(answer)?;
    }
    let (code, screen) = french.end()?;
    assert!(code == 1 && screen.contains("erreur : La réponse n’était") && screen.contains("1 pour oui"), "{screen}");
    assert!(!screen.contains("yes or no") && !screen.contains("hint:"), "{screen}");

    // The words are those of the screen; an unclear one costs nothing.
    let mut arabic = present_in(&stage, &uri, &["--lang", "ar"])?;
    for answer in ["yes", "ن", "نعم"] {
        arabic.wait_for("(نعم = 1، لا = 2")?;
        arabic.type_line(answer)?;
    }
    let (code, screen) = arabic.end()?;
    assert_eq!(code, 0, "{screen}");
    assert_eq!(state()?, json!("accepted"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_were_typed_before_the_question_approve_nothing() -> Result<()> {
    let stage = Stage::set(false).await?;
    stage.make_wallet()?;
    let offered = stage.offer(&stage.authority, "ResidencePermitCredential", &residence_permit(), &[])?;
    stage.carnet(&["receive", &offered.uri, "--yes"])?.ok()?;
    let (id, uri) = stage.request("job-right-to-work")?;
    let state = || {
        let result = stage.agency.staff(&["result", &id])?.json()?;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(result["state"].clone())
    };

    // Text that is pasted as a link can hold what looks like answers.
    let mut pasting = carnet_at(&stage, &["present"], 0)?;
    pasting.wait_for("press Enter twice")?;
    pasting.type_line(&format!("{uri}\n\nyes\nyes\nyes\nyes"))?;
    pasting.wait_for(QUESTION)?;
    pasting.type_end()?;
    let (code, screen) = pasting.end()?;
    assert!(code == 1 && screen.contains("not_answered"), "{screen}");
    assert_eq!(state()?, json!("open"));

    let mut reading = carnet_at(&stage, &["present"], 0)?;
    reading.wait_for("press Enter twice")?;
    reading.type_line(&format!("{uri}\n"))?;
    reading.wait_for(QUESTION)?;
    reading.type_line("yes")?;
    let (code, screen) = reading.end()?;
    assert_eq!(code, 0, "{screen}");
    assert_eq!(state()?, json!("accepted"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unclear_answer_to_one_claim_is_a_no_to_that_claim_alone() -> Result<()> {
    let stage = Stage::set(false).await?;
    stage.make_wallet()?;
    let offered = stage.offer(&stage.authority, "ResidencePermitCredential", &residence_permit(), &[])?;
    stage.carnet(&["receive", &offered.uri, "--yes"])?.ok()?;
    let stranger = stage.open_stranger()?;
    let file = stage.folder.join("query.json");
    let claim = |id: &str, name: &str| json!({"id": id, "path": ["credentialSubject", name]});
    let query = json!({"credentials": [{
        "id": "q", "format": "vc+sd-jwt", "meta": {"type_values": [["ResidencePermitCredential"]]},
        "claims": [claim("work", "rightToWork"), claim("from", "nationality")],
        "claim_sets": [["work", "from"], ["work"]],
    }]});
    std::fs::write(&file, query.to_string())?;
    let file = file.display().to_string();
    let ask = ["--query", &file, "--purpose", "a test", "--legal-basis", "none", "--retention", "nothing"];
    let (id, uri) = stage.request_of(&stranger, &ask)?;
    let state = || {
        let result = stranger.staff(&["result", &id])?.json()?;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(result["state"].clone())
    };

    // Without the other claim nothing answers; the question was asked, and nobody refused.
    let mut typing = present(&stage, &uri)?;
    for answer in ["y", "", "sure", "no"] {
        typing.wait_for(QUESTION)?;
        typing.type_line(answer)?;
    }
    let (code, screen) = typing.end()?;
    assert!(code == 1 && screen.contains("not_answered") && !screen.contains("You said no"), "{screen}");
    assert_eq!(state()?, json!("open"));

    let mut typing = present(&stage, &uri)?;
    for answer in ["yes", "y", "", "sure"] {
        typing.wait_for(QUESTION)?;
        typing.type_line(answer)?;
    }
    let whole = typing.wait_for(QUESTION)?;
    let goes = whole.split("Stays hidden").next().unwrap_or_default();
    assert!(whole.contains("Show to 127.0.0.1:") && !goes.contains("+ Nationality"), "{whole}");
    typing.type_line("yes")?;
    let (code, screen) = typing.end()?;
    assert_eq!(code, 0, "{screen}");
    assert_eq!(state()?, json!("accepted"));
    Ok(())
}

/// Lines of a screen that are wider than a terminal.
fn too_wide(screen: &str, columns: u16) -> Vec<&str> {
    let lines = screen.lines().map(|line| line.trim_end_matches('\r'));
    lines.filter(|line| line.chars().count() > usize::from(columns)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn screens_fit_terminals_of_eighty_and_of_forty_columns() -> Result<()> {
    let stage = Stage::set(false).await?;
    stage.make_wallet()?;
    let offered = stage.offer(&stage.authority, "ResidencePermitCredential", &residence_permit(), &[])?;
    let mut receiving = carnet_at(&stage, &["receive", &offered.uri], 40)?;
    let screen = receiving.wait_for("2)")?;
    assert_eq!(too_wide(&screen, 40), [""; 0], "{screen}");
    receiving.type_line("yes")?;
    let (code, screen) = receiving.end()?;
    assert_eq!(code, 0, "{screen}");
    let listed = stage.carnet(&["list"])?.json()?;
    let id = listed.pointer("/credentials/0/id").and_then(Value::as_str).ok_or("no credential")?.to_owned();

    let stranger = stage.open_stranger()?;
    for columns in [80, 40] {
        // With a registered verifier, to which much is disclosed, and one with warnings and questions.
        let (_, uri) = stage.request("job-right-to-work")?;
        let mut presenting = carnet_at(&stage, &["present", &uri, "--explain"], columns)?;
        let screen = presenting.wait_for("2)")?;
        assert_eq!(too_wide(&screen, columns), [""; 0], "{screen}");
        presenting.type_line("yes")?;
        let (code, screen) = presenting.end()?;
        assert_eq!(code, 0, "{screen}");
        let (_, uri) = stage.request_of(&stranger, &["--template", "job-right-to-work"])?;
        let mut presenting = carnet_at(&stage, &["present", &uri], columns)?;
        let screen = presenting.wait_for("2)")?;
        assert_eq!(too_wide(&screen, columns), [""; 0], "{screen}");
        presenting.type_line("no")?;
        presenting.wait_for("2)")?;
        presenting.type_line("no")?;
        assert_eq!(presenting.end()?.0, 1);

        let agency = stage.agency.did.clone();
        let erasing = ["erase", &agency];
        for args in [&["show", &id][..], &["refresh"], &["list"], &["log"], &erasing] {
            let mut running = carnet_at(&stage, args, columns)?;
            let (code, screen) = if args.first() == Some(&"erase") {
                let screen = running.wait_for("2)")?;
                (0, screen)
            } else {
                running.end()?
            };
            assert_eq!(code, 0, "{screen}");
            assert!(!screen.trim().is_empty(), "{args:?}");
            assert_eq!(too_wide(&screen, columns), [""; 0], "{args:?}: {screen}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_says_that_it_waits_for_another_one() -> Result<()> {
    let stage = Stage::set(false).await?;
    stage.make_wallet()?;
    let lock = std::fs::File::options().write(true).open(stage.folder.join("wallet.age.lock"))?;
    lock.lock()?;
    let mut waiting = carnet_at(&stage, &["refresh"], 0)?;
    waiting.wait_for("Waiting for another command that is using this wallet")?;
    lock.unlock()?;
    let (code, screen) = waiting.end()?;
    assert!(code == 0 && !screen.contains("wallet_busy"), "{screen}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_lists_have_marked_goes_only_with_a_yes_of_its_own() -> Result<()> {
    let mut stage = Stage::set(false).await?;
    stage.make_wallet()?;
    let permit = |stage: &Stage| stage.offer(&stage.authority, "ResidencePermitCredential", &residence_permit(), &[]);
    let offered = permit(&stage)?;
    stage.carnet(&["receive", &offered.uri, "--yes"])?.ok()?;
    for act in [&["suspend"][..], &["reinstate", "--urgent"]] {
        let named = ["--reason", "a decision of that day", offered.id.as_str()];
        stage.authority.staff(&[&["status"], act, &named].concat())?.ok()?;
    }
    // Fewer copies a day than a wallet asks for: new ones do not come, and the old ones stay.
    let path = stage.authority.service.data.join("config.toml");
    let config = std::fs::read_to_string(&path)?;
    std::fs::write(&path, format!("refill_copies_per_day = 1\n{config}"))?;
    stage.authority.service.kill()?;
    stage.authority.switch_on()?;
    let refreshed = stage.carnet(&["refresh"])?;
    assert!(refreshed.code != 0 && refreshed.json()?["refreshed"][0]["copies_replaced"] == 0, "{}", refreshed.stdout);
    // An agency that knows the lists of after the reinstatement.
    stage.agency = stage.agency.configured("[status]\nrefresh_seconds = 1\n")?;
    let another = visitor::collect(&permit(&stage)?.uri, None, visitor::now()).await?;
    stage.comes_to(&another, None).await?;
    let (id, uri) = stage.request("job-right-to-work")?;
    let state = |stage: &Stage| {
        let result = stage.agency.staff(&["result", &id])?.json()?;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(result["state"].clone())
    };

    // No to the copy: nothing goes, and the request is not asked about.
    let mut refusing = present(&stage, &uri)?;
    let screen = refusing.wait_for(QUESTION)?;
    assert!(screen.contains("can tell that you are the same person"), "{screen}");
    assert!(
        screen.contains("Share this copy once although public lists have marked it") && !screen.contains("Show to "),
        "{screen}"
    );
    refusing.type_line("no")?;
    let (code, screen) = refusing.end()?;
    assert!(code == 1 && screen.contains("copy_marked") && !screen.contains("Show to "), "{screen}");
    assert_eq!(state(&stage)?, json!("open"));

    // Yes to the copy is no yes to the request.
    let mut doubting = present(&stage, &uri)?;
    for answer in ["yes", "no"] {
        doubting.wait_for(QUESTION)?;
        doubting.type_line(answer)?;
    }
    let (code, screen) = doubting.end()?;
    assert!(code == 1 && screen.contains("declined"), "{screen}");
    assert_eq!(state(&stage)?, json!("open"));

    // A yes to each; it holds for this one time.
    let mut agreeing = present(&stage, &uri)?;
    for answer in ["1", "yes"] {
        agreeing.wait_for(QUESTION)?;
        agreeing.type_line(answer)?;
    }
    let (code, screen) = agreeing.end()?;
    assert_eq!((code, state(&stage)?), (0, json!("accepted")), "{screen}");

    // The twin: with new copies there is one question.
    std::fs::write(&path, config)?;
    stage.authority.service.kill()?;
    stage.authority.switch_on()?;
    stage.carnet(&["refresh"])?.ok()?;
    let (id, uri) = stage.request("job-right-to-work")?;
    let mut presenting = present(&stage, &uri)?;
    let screen = presenting.wait_for(QUESTION)?;
    assert!(screen.contains("Show to ") && !screen.contains("public lists have marked"), "{screen}");
    presenting.type_line("yes")?;
    assert_eq!(presenting.end()?.0, 0);
    assert_eq!(stage.agency.staff(&["result", &id])?.json()?["state"], json!("accepted"));
    Ok(())
}

/// Arguments that name a wallet and its passphrase.
fn open<'a>(wallet: &'a str, passphrase: &'a str) -> [&'a str; 4] {
    ["--wallet", wallet, "--passphrase-file", passphrase]
}

/// Errors that a person meets most, each as the languages begin it.
#[test]
fn an_error_is_told_in_the_language_of_the_person_and_to_a_program_in_english() -> Result<()> {
    programs::build()?;
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (wallet, none, right, wrong) = (path("wallet.age"), path("none.age"), path("right"), path("wrong"));
    std::fs::write(&right, "correct horse battery")?;
    std::fs::write(&wrong, "another horse battery")?;
    let carnet = |args: &[&str], open: [&str; 4], more: &[&str]| {
        programs::run("carnet", args.iter().chain(&open).chain(more), &[("LC_ALL", "C")])
    };
    carnet(&["init", "--work-factor", "12"], open(&wallet, &right), &[])?.ok()?;

    let here = open(&wallet, &right);
    let no_offer = "openid-credential-offer://?credential_offer=%7B%7D";
    let cases: [(&[&str], _, &str, [&str; 10]); 4] = [
        (
            &["present", "openid4vp://?x"],
            here,
            "request_malformed",
            [
                "This is not a request",
                "Das ist keine Anfrage",
                "Ce n’est pas une demande",
                "هذا ليس طلبًا",
                "Це не запит",
                "Esto no es una solicitud",
                "Kani ma aha codsi",
                "እዚ ሕቶ ኣይኮነን",
                "این یک درخواست نیست",
                "Bu bir istek değil",
            ],
        ),
        (
            &["receive", no_offer],
            here,
            "offer_malformed",
            [
                "This is not an offer",
                "Das ist kein Angebot",
                "Ce n’est pas une offre",
                "هذا ليس عرضًا",
                "Це не пропозиція",
                "Esto no es una oferta",
                "Kani ma aha bandhig",
                "እዚ ቀረብ ኣይኮነን",
                "این یک پیشنهاد نیست",
                "Bu bir teklif değil",
            ],
        ),
        (
            &["list"],
            open(&none, &right),
            "wallet_missing",
            [
                "There is no wallet",
                "Es gibt keine Brieftasche",
                "Il n’y a pas de portefeuille",
                "لا توجد محفظة",
                "Немає гаманця",
                "No hay ninguna cartera",
                "Ma jirto boorso",
                "ማሕፉዳ የላን",
                "کیف مدارکی وجود ندارد",
                "Cüzdan yok",
            ],
        ),
        (
            &["list"],
            open(&wallet, &wrong),
            "wrong_passphrase",
            [
                "This passphrase",
                "Dieses Passwort",
                "Cette phrase secrète",
                "عبارة المرور هذه",
                "Ця парольна фраза",
                "Esta frase de contraseña",
                "Weedhan sirta",
                "እዚ ምስጢራዊ ሓረግ",
                "این رمز عبور",
                "Bu parola",
            ],
        ),
    ];
    let frames = [
        ("en", "error: ", "hint: "),
        ("de", "Fehler: ", "Hinweis: "),
        ("fr", "erreur : ", "conseil : "),
        ("ar", "خطأ: ", "نصيحة: "),
        ("uk", "помилка: ", "підказка: "),
        ("es", "Error: ", "Consejo: "),
        ("so", "khalad: ", "talo: "),
        ("ti", "ጌጋ፦ ", "ምኽሪ፦ "),
        ("fa", "خطا: ", "راهنمایی: "),
        ("tr", "hata: ", "öneri: "),
    ];
    for (args, open, reason, sentences) in cases {
        let mut safe = std::collections::BTreeSet::new();
        for ((language, error, hint), sentence) in frames.into_iter().zip(sentences) {
            let said = carnet(args, open, &["--lang", language])?;
            let lines: Vec<&str> = said.stderr.lines().collect();
            let [.., what, safety, next] = lines.as_slice() else { return Err(format!("{said:?}").into()) };
            assert!(what.starts_with(&format!("{error}{sentence}")) && what.contains(reason), "{said:?}");
            assert!(next.starts_with(hint), "{said:?}");
            safe.insert((*safety).to_owned());
            // A program reads the same words whatever the language.
            let object = carnet(args, open, &["--lang", language, "--json"])?.json()?;
            assert_eq!(object["error"]["reason"], reason);
            assert!(object["error"]["message"].as_str().is_some_and(|said| said.starts_with(sentences[0])), "{object}");
        }
        assert_eq!(safe.len(), 10, "{safe:?}");
    }
    Ok(())
}
