//! Links that go from screen to wallet as pictures of QR codes.

use std::fs;

use carnet_tests::{Result, programs, stage::Stage};

use crate::{carnet, reason};

const DEGREE: [&str; 5] = ["offer", "create", "--type", "QualificationCredential", "--example"];

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_of_a_link_is_as_good_as_the_link() -> Result<()> {
    let stage = Stage::set(false).await?;
    stage.make_wallet()?;
    let path = |name: &str| stage.folder.join(name).display().to_string();
    let draw = |office: &carnet_tests::stage::Office, args: &[&str], name: &str| {
        let file = path(name);
        office.staff(&[args, &["--qr-file", &file]].concat())?.ok().map(|_| file)
    };
    // For wallets of OpenID by reference, and for Carnet's by value.
    let offer = draw(&stage.university, &[&DEGREE[..], &["--openid"]].concat(), "offer.png")?;
    let received = carnet(&stage, &["receive", "--picture", &offer, "--yes"])?.ok()?.json()?;
    assert_eq!(received["received"][0]["type"], "QualificationCredential", "{received}");
    let by_value = draw(&stage.university, &DEGREE, "value.PNG")?;
    carnet(&stage, &["receive", &by_value, "--yes"])?.ok()?;

    let asks = ["request", "create", "--template", "university-admission"];
    let request = draw(&stage.agency, &asks, "request.png")?;
    let consent = carnet(&stage, &["present", &request])?.json()?;
    let digest = consent["digest"].as_str().ok_or_else(|| format!("no digest: {consent}"))?;
    carnet(&stage, &["present", &request, "--yes", digest])?.ok()?;

    // The picture of another link says which command takes it; one that has no code, or is none, says that.
    let refused = carnet(&stage, &["present", &offer])?.json()?;
    assert!(refused["error"]["hint"].as_str().is_some_and(|hint| hint.contains("carnet receive")), "{refused}");
    let none = path("none.png");
    assert_eq!(reason(&carnet(&stage, &["receive", &none])?)?, "picture_unreadable");
    fs::write(&none, "no picture")?;
    assert_eq!(reason(&carnet(&stage, &["receive", &none])?)?, "picture_malformed");

    // A file that is there is not replaced, and no offer is made.
    let offers = |stage: &Stage| stage.university.staff(&["offer", "list"])?.ok()?.json();
    let before = offers(&stage)?;
    let said = stage.university.staff(&[&DEGREE[..], &["--qr-file", &none]].concat())?;
    assert!(said.code != 0 && fs::read_to_string(&none)? == "no picture", "{}", said.stderr);
    assert_eq!(offers(&stage)?, before);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_on_the_terminal_is_that_of_the_link() -> Result<()> {
    let stage = Stage::set(false).await?;
    let office = &stage.university;
    let args: Vec<&str> = [&DEGREE[..], &["--openid", "--qr", "--server", &office.service.url]].concat();
    let token = office.token_file.display().to_string();
    let said = programs::run("carnet-issuer", [&args[..], &["--token-file", &token]].concat(), &[])?.ok()?;
    let drawn: Vec<&str> = said.stdout.lines().filter(|line| line.contains(['█', '▀', '▄'])).collect();
    let width = drawn.first().ok_or("no code")?.chars().count();
    // Bright margin above and below, and as many modules high as wide.
    assert!(drawn.iter().all(|line| line.chars().count() == width), "{}", said.stdout);
    assert_eq!(width.div_ceil(2), drawn.len(), "{}", said.stdout);
    // A version of QR has 17 + 4n modules, and the margin 8.
    assert_eq!((width - 8) % 4, 1);
    for (extra, code) in [("--json", 2), ("--link", 2)] {
        let both = programs::run("carnet-issuer", [&args[..], &[extra]].concat(), &[])?;
        assert_eq!(both.code, code, "{extra}: {}", both.stderr);
    }
    Ok(())
}
