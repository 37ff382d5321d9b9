//! The page `docs/a-trial-on-one-machine.md`, done literally at a terminal.

use carnet_tests::{Result, programs, terminal::Terminal};

const PAGE: &str = include_str!("../../docs/a-trial-on-one-machine.md");
const QUESTION: &str = "(yes = 1, no = 2)";
const PASSPHRASE: &str = "seven lemons on a blue bicycle";

/// The commands of the page, in its order.
fn commands() -> String {
    let blocks = PAGE.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.collect()
}

/// The page's commands with the programs that were built for this test, in a folder and on ports of its own.
fn script(folder: &std::path::Path) -> Result<String> {
    let built = "cargo dist\nexport PATH=\"$PWD/target/release:$PATH\" CARNET=$PWD\n";
    let commands = commands();
    assert!(commands.starts_with(built), "the page builds the programs first: {commands}");
    let [site, issuer, verifier] = programs::free_ports()?.map(|port| port.to_string());
    let rest = commands
        .replace(built, "")
        .replace("8443", &site)
        .replace("http://127.0.0.1:7401", &format!("http://127.0.0.1:{issuer}"))
        .replace("serve --data university", &format!("serve --data university --listen 127.0.0.1:{issuer}"))
        .replace("serve --data admissions", &format!("serve --data admissions --listen 127.0.0.1:{verifier}"));
    let (programs, folder) = (programs::directory()?, folder.display());
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    Ok(format!(
        "set -e -o pipefail\nexport HOME={folder} PATH={}:/usr/local/bin:/usr/bin:/bin CARNET={root}\n\
         export CARNET_ISSUER_SERVER=http://127.0.0.1:{issuer} CARNET_VERIFIER_SERVER=http://127.0.0.1:{verifier}\n\
         trap 'kill $(jobs -p) 2>/dev/null; cat */*.log *.log 2>/dev/null' ERR\n{rest}echo the page is done\n",
        programs.display()
    ))
}

#[test]
fn the_trial_on_one_machine_ends_with_a_verified_presentation() -> Result<()> {
    programs::build()?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("page.sh");
    std::fs::write(&file, script(folder.path())?)?;
    // A session of its own, whose terminal the programs find: the wallet reads passphrases from there.
    let page = ["--ctty", "--wait", "bash", file.to_str().ok_or("the folder's name is no text")?];
    let mut person = Terminal::start("/usr/bin/setsid", page)?;
    let (asked, end) = (
        [QUESTION, "(at least 8 characters): ", "The same again: ", "Passphrase of your wallet: "],
        "the page is done",
    );
    loop {
        match person.wait_for_one(&[asked.as_slice(), &[end]].concat())? {
            0 => person.type_line("yes")?,
            1..=3 => person.type_line(PASSPHRASE)?,
            _ => break,
        }
    }
    let (code, screen) = person.end()?;
    assert_eq!(code, 0, "{screen}");
    assert!(screen.contains("accepted"), "{screen}");
    Ok(())
}
