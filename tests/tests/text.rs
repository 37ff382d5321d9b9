//! Files as people save them: with a byte-order mark and CRLF, and passphrases in every form of a keyboard.

use std::{fs, path::PathBuf};

use carnet_tests::{
    Result, programs,
    stage::{Stage, residence_permit},
    terminal::Terminal,
};
use serde_json::json;

const PERMIT: &str = "ResidencePermitCredential";

/// Writes a file as some editors do.
fn marked(stage: &Stage, name: &str, text: &str) -> Result<PathBuf> {
    let path = stage.folder.join(name);
    fs::write(&path, format!("\u{feff}{}", text.replace('\n', "\r\n")))?;
    Ok(path)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_byte_order_mark_and_crlf_are_skipped_in_files_of_all_programs() -> Result<()> {
    let stage = Stage::set(false).await?;
    stage.make_wallet()?;
    let text = |path: PathBuf| path.display().to_string();

    let token = marked(&stage, "token.txt", &format!("{}\n", stage.authority.token()?))?;
    let claims = text(marked(&stage, "claims.json", &format!("{:#}\n", residence_permit()))?);
    let create = ["offer", "create", "--type", PERMIT, "--claims", &claims];
    let made = stage.authority.staff_as(&token, &create)?.ok()?.json()?;
    let (id, uri) = (made["offer_id"].as_str().ok_or("no id")?, made["offer_uri"].as_str().ok_or("no link")?);
    stage.carnet(&["receive", &format!("'{uri}'"), "--yes"])?.ok()?;

    let ids = text(marked(&stage, "ids.txt", &format!("# from the register\n{id}\n\n"))?);
    let change = ["status", "suspend", "--file", &ids, "--reason", "a test"];
    assert_eq!(stage.authority.staff(&change)?.ok()?.json()?["credentials"], json!(1));

    let query = json!({"credentials": [{
        "id": "q", "format": "vc+sd-jwt", "meta": {"type_values": [[PERMIT]]},
        "claims": [{"path": ["credentialSubject", "nationality"]}],
    }]});
    let query = text(marked(&stage, "query.json", &format!("{query:#}\n"))?);
    let ask = [
        "request",
        "create",
        "--query",
        &query,
        "--purpose",
        "a test",
        "--legal-basis",
        "none",
        "--retention",
        "nothing",
    ];
    stage.agency.staff(&ask)?.ok()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_may_begin_with_a_mark_and_files_in_utf_16_are_said_to_be() -> Result<()> {
    let mut stage = Stage::set(false).await?;
    stage.make_wallet()?;
    let ca = stage.folder.join("ca.pem");
    let pem = fs::read_to_string(&ca)?;
    fs::write(&ca, format!("\u{feff}{}", pem.replace('\n', "\r\n")))?;
    // Of the wallet's --ca, and of the services' extra_ca.
    stage.agency = stage.agency.restart()?;
    let offered = stage.offer(&stage.authority, PERMIT, &residence_permit(), &[])?;
    stage.carnet(&["receive", &offered.uri, "--yes"])?.ok()?;
    let (_, uri) = stage.request("job-right-to-work")?;
    assert_eq!(stage.approve(&uri)?.1.ok()?.json()?["accepted"], json!(true));

    let pinned = stage.offer(&stage.authority, PERMIT, &residence_permit(), &["--pin"])?;
    for order in [u16::to_le_bytes as fn(u16) -> [u8; 2], u16::to_be_bytes] {
        let saved = |name: &str, text: &str| -> Result<String> {
            let path = stage.folder.join(name);
            fs::write(&path, format!("\u{feff}{text}").encode_utf16().flat_map(order).collect::<Vec<u8>>())?;
            Ok(path.display().to_string())
        };
        let (claims, ids) = (saved("claims.json", "{}")?, saved("ids.txt", "a\n")?);
        let (query, pin) = (saved("query.json", "{}")?, saved("pin", "123456\n")?);
        let passphrase = saved("other", "a passphrase of words\n")?;
        let why = ["--purpose", "a", "--legal-basis", "b", "--retention", "c"];
        let request = [&["request", "create", "--query", query.as_str()][..], &why].concat();
        for said in [
            stage.authority.staff(&["offer", "create", "--type", PERMIT, "--claims", &claims])?,
            stage.authority.staff(&["status", "suspend", "--file", &ids, "--reason", "a test"])?,
            stage.agency.staff(&request)?,
            stage.carnet(&["receive", &pinned.uri, "--yes", "--pin-file", &pin])?,
            stage.carnet(&["passphrase", "--new-passphrase-file", &passphrase])?,
        ] {
            let words = format!("{}{}", said.stdout, said.stderr);
            assert!(said.code == 2 && words.contains("it is UTF-16") && words.contains("save it as UTF-8"), "{said:?}");
        }
    }
    // A file that is not there ends in the same way.
    let claims = stage.folder.join("no-such-file").display().to_string();
    assert_eq!(stage.authority.staff(&["offer", "create", "--type", PERMIT, "--claims", &claims])?.code, 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passphrase_opens_the_wallet_in_whichever_form_it_is_typed() -> Result<()> {
    let stage = Stage::set(false).await?;
    let (composed, decomposed) = ("Zo\u{eb} caf\u{e9} passphrase", "Zoe\u{308} cafe\u{301} passphrase");
    for made_with in [composed, decomposed] {
        let wallet = format!("wallet-{}.age", made_with.len());
        let run = |passphrase: &str, args: &[&str]| -> Result<i32> {
            fs::write(stage.folder.join("passphrase"), passphrase)?;
            Ok(stage.carnet_on(&wallet, args, &["--json", "--no-input"], "")?.code)
        };
        assert_eq!(run(made_with, &["init", "--work-factor", "12"])?, 0);
        for form in [composed, decomposed, &format!("\u{feff}{decomposed}\r\n"), &composed.replace(' ', "\u{a0}")] {
            assert_eq!(run(form, &["list"])?, 0, "{form:?}");
        }
        assert_eq!(run("Zoe cafe passphrase", &["list"])?, 1);
    }
    Ok(())
}

/// The language that a person chose in the menu is that of all later screens.
#[test]
fn the_language_of_the_menu_is_kept() -> Result<()> {
    programs::build()?;
    let folder = tempfile::tempdir()?;
    let wallet = folder.path().join("home/wallet.age").display().to_string();
    let open = |more: &'static [&'static str]| {
        Terminal::start("carnet", ["--wallet", wallet.as_str()].into_iter().chain(more.iter().copied()))
    };
    let (english, arabic, german) =
        ("There is no wallet here yet", "لا توجد محفظة هنا بعد", "Hier gibt es noch keine Brieftasche");
    let mut menu = open(&[])?;
    menu.wait_for(english)?;
    menu.type_line("5")?;
    menu.wait_for("4  العربية")?;
    // Nothing is chosen, and then a digit of the keyboard that types the language.
    menu.type_line("0")?;
    menu.wait_for(english)?;
    menu.type_line("5")?;
    menu.wait_for("4  العربية")?;
    menu.type_line("٤")?;
    menu.wait_for(arabic)?;
    menu.type_line("0")?;
    assert_eq!(menu.end()?.0, 0);
    // It is kept, and an option goes before it.
    for (more, title) in [(&[][..], arabic), (&["--lang", "de"], german), (&[], arabic)] {
        let mut menu = open(more)?;
        assert_eq!(menu.wait_for_one(&[title, english])?, 0, "{title}");
        menu.type_line("0")?;
        assert_eq!(menu.end()?.0, 0);
    }
    Ok(())
}
