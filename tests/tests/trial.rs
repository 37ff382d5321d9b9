//! The pages of `docs/` that begin with a bare machine, done literally at a terminal.

use std::path::Path;

use carnet_tests::{Result, programs, terminal::Terminal};

const TRIAL: &str = include_str!("../../docs/a-trial-on-one-machine.md");
const QUESTION: &str = "(yes = 1, no = 2)";
const READY: &str = "\"event\":\"ready\"";
const END: &str = "the page is done";
const PASSPHRASE: &str = "seven lemons on a blue bicycle";

/// The blocks of commands on a page, in its order.
fn blocks(page: &str) -> Vec<&str> {
    page.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

/// A script that does commands in a folder, with the programs that were built for this test, which listen at these ports.
fn script(folder: &Path, [issuer, verifier]: [u16; 2], commands: &str) -> Result<String> {
    let (programs, folder) = (programs::directory()?, folder.display());
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    Ok(format!(
        "set -e -o pipefail\ncd {folder}\nexport HOME={folder} PATH={}:/usr/local/bin:/usr/bin:/bin CARNET={root}\n\
         export CARNET_ISSUER_SERVER=http://127.0.0.1:{issuer} CARNET_VERIFIER_SERVER=http://127.0.0.1:{verifier}\n\
         trap 'kill $(jobs -p) 2>/dev/null; cat */*.log *.log 2>/dev/null' ERR\n{commands}echo {END}\n",
        programs.display()
    ))
}

/// Does a script at a terminal, and gives the screen: says yes to every question, and waits for each service to be ready.
fn perform(folder: &Path, script: &str) -> Result<String> {
    let file = folder.join("page.sh");
    std::fs::write(&file, script)?;
    // A session of its own, whose terminal the programs find: the wallet reads passphrases from there.
    let page = ["--ctty", "--wait", "bash", file.to_str().ok_or("the folder's name is no text")?];
    let mut person = Terminal::start("/usr/bin/setsid", page)?;
    let asked = [QUESTION, READY, "(at least 8 characters): ", "Repeat it: ", "Passphrase of your wallet: ", END];
    loop {
        match person.wait_for_one(&asked)? {
            0 => person.type_line("yes")?,
            1 => person.type_line("")?,
            2..=4 => person.type_line(PASSPHRASE)?,
            _ => break,
        }
    }
    let (code, screen) = person.end()?;
    assert_eq!(code, 0, "{screen}");
    Ok(screen)
}

#[test]
fn the_trial_on_one_machine_ends_with_a_verified_presentation() -> Result<()> {
    programs::build()?;
    let folder = tempfile::tempdir()?;
    let built = "cargo dist\nexport PATH=\"$PWD/target/release:$PATH\" CARNET=$PWD\n";
    let commands = blocks(TRIAL).concat();
    assert!(commands.starts_with(built), "the page builds the programs first: {commands}");
    let [site, issuer, verifier] = programs::free_ports()?;
    let commands = commands
        .replace(built, "")
        .replace("8443", &site.to_string())
        .replace("http://127.0.0.1:7401", &format!("http://127.0.0.1:{issuer}"))
        .replace("serve --data university", &format!("serve --data university --listen 127.0.0.1:{issuer}"))
        .replace("serve --data admissions", &format!("serve --data admissions --listen 127.0.0.1:{verifier}"));
    let screen = perform(folder.path(), &script(folder.path(), [issuer, verifier], &commands)?)?;
    assert!(screen.contains("accepted"), "{screen}");
    Ok(())
}

/// Does one of the three pages in local mode: five commands, each on a line, to a verified presentation, and then some that look around.
fn local(page: &str, seen: &[&str]) -> Result<()> {
    programs::build()?;
    let folder = tempfile::tempdir()?;
    let (way, after) = page.split_once("## What to try next").ok_or("the page does not say where it ends")?;
    let (way, after) = (blocks(way), blocks(after));
    assert!(way.len() <= 5 && way.iter().all(|block| block.lines().count() == 1), "more than five commands: {way:?}");
    let [issuer_site, issuer, verifier_site, verifier] = programs::free_ports()?;
    let mut commands = String::new();
    for block in way.iter().chain(&after) {
        let (site, port) =
            if block.contains("carnet-issuer init") { (issuer_site, issuer) } else { (verifier_site, verifier) };
        let serving = format!("init --local={site} --serve --listen 127.0.0.1:{port} ");
        commands.push_str(&block.replace("init --local --serve ", &serving));
        // The person waits for the service to be ready, and then presses Enter.
        commands.push_str(if block.ends_with("&\n") { "read -r\n" } else { "" });
    }
    commands.push_str("kill $(jobs -p)\n");
    let screen = perform(folder.path(), &script(folder.path(), [issuer, verifier], &commands)?)?;
    for text in seen {
        assert!(screen.contains(text), "{text} is not on the screen:\n{screen}");
    }
    Ok(())
}

const ACCEPTED: &str = "a request was answered accepted=true";

#[test]
fn a_university_comes_to_a_verified_presentation_in_five_commands() -> Result<()> {
    let seen = ["offer created", "credentials issued", "copies=10", ACCEPTED, "collected  QualificationCredential"];
    local(include_str!("../../docs/university.md"), &seen)
}

#[test]
fn an_agency_comes_to_a_verified_presentation_in_five_commands() -> Result<()> {
    local(include_str!("../../docs/agency.md"), &["Trial register of this machine", ACCEPTED, "accepted"])
}

#[test]
fn a_holder_comes_to_a_verified_presentation_in_five_commands() -> Result<()> {
    local(include_str!("../../docs/holder.md"), &["local-site.json", ACCEPTED, "shown to Admissions Office"])
}
