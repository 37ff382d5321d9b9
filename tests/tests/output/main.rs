//! Every verb of the four programs with a standard output that is closed or full: no panic, and no exit code 0 where
//! something that is shown once was lost.

mod verbs;

use std::{
    collections::BTreeSet,
    fs::File,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use carnet_tests::{
    Result,
    programs::{self, Said},
    stage::{Stage, residence_permit},
};
use serde_json::Value;
use verbs::{Desktop, Output, Verb};

const PROGRAMS: [&str; 4] = ["carnet", "carnet-issuer", "carnet-verifier", "carnet-trust"];

/// A standard output that takes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sink {
    /// A pipe whose reader has closed.
    Gone,
    /// No open descriptor.
    Closed,
    /// A device without room.
    Full,
}

/// Runs a program to its end.
fn run(program: &str, args: &[String], sink: Sink) -> Result<Said> {
    Ok(start(program, args, sink)?.wait_with_output()?.into())
}

/// Starts a program with nothing on its standard input and nowhere for its output to go.
fn start(program: &str, args: &[String], sink: Sink) -> Result<Child> {
    let path = programs::directory()?.join(program);
    let mut command = if sink == Sink::Closed {
        let mut shell = Command::new("sh");
        shell.args(["-c", "exec \"$0\" \"$@\" >&-"]).arg(path);
        shell
    } else {
        Command::new(path)
    };
    let stdout = match sink {
        Sink::Gone => Stdio::from(std::io::pipe()?.1),
        Sink::Closed => Stdio::piped(),
        Sink::Full => File::options().write(true).open("/dev/full")?.into(),
    };
    let command =
        programs::bare(&mut command).args(args).env("LANG", "en_GB.UTF-8").stdin(Stdio::null()).stdout(stdout);
    Ok(command.stderr(Stdio::piped()).spawn().map_err(|error| format!("{program}: {error}"))?)
}

/// The verbs of a program, as its own help lists them.
fn leaves(program: &str, verb: &[String]) -> Result<Vec<Vec<String>>> {
    let help: Vec<&str> = verb.iter().map(String::as_str).chain(["--help"]).collect();
    let said = programs::run(program, help, &[])?.ok()?;
    let listed =
        said.stdout.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = listed.filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')));
    let names: Vec<&str> = names.filter_map(|line| line.split(' ').next()).filter(|name| *name != "help").collect();
    if names.is_empty() {
        return Ok(vec![verb.to_vec()]);
    }
    let below = names.into_iter().map(|name| leaves(program, &[verb, &[name.to_owned()]].concat()));
    Ok(below.collect::<Result<Vec<_>>>()?.concat())
}

/// The fault of one run, if it has one.
fn fault(verb: &Verb, sink: Sink, said: &Said) -> Option<String> {
    let fault = |what: &str| Some(format!("{what} (exit code {}): {}", said.code, said.stderr));
    if said.stderr.contains("panicked") || said.stderr.contains("a bug") || !(0..=3).contains(&said.code) {
        return fault("it broke");
    }
    match verb.output {
        Output::Once
            if said.code != 1 || !said.stderr.contains("tandard output") || !said.stderr.contains("Nothing") =>
        {
            fault("what is shown once was not refused before the act")
        }
        Output::Prints(code) if sink != Sink::Full && said.code != code => {
            fault("a closed output changed the exit code")
        }
        Output::Prints(code) if sink == Sink::Full && said.code != code.max(1) => {
            fault("a full output was not an error")
        }
        Output::Prints(0) if sink == Sink::Full && !said.stderr.contains("part of the answer is lost") => {
            fault("a full output was not named")
        }
        Output::Quiet if said.code != 0 => fault("it prints nothing, and failed"),
        Output::Refused if said.code == 0 => fault("it was not refused"),
        _ => None,
    }
}

/// Runs every verb of a program, of which it has `least` or more: a walk that finds fewer is broken.
async fn survive(program: &str, least: usize) -> Result<()> {
    let mut stage = Stage::set(false).await?;
    stage.authority =
        stage.authority.configured("[renewal.ResidencePermitCredential]\ndays = 365\napproval = true\n")?;
    let desktop = Desktop::set(&stage)?;
    let verbs = leaves(program, &[])?;
    assert!(verbs.len() >= least, "{program} has {} verbs: {verbs:?}", verbs.len());
    let mut faults = Vec::new();
    for path in verbs {
        let name = path.join(" ");
        for (sink, json) in [(Sink::Gone, false), (Sink::Closed, true), (Sink::Full, false), (Sink::Full, true)] {
            let verb =
                desktop.verb(program, &name, json).await.map_err(|error| format!("{program} {name}: {error}"))?;
            let args: Vec<String> = path.iter().chain(&verb.args).cloned().collect();
            let said = run(program, &args, sink)?;
            faults.extend(fault(&verb, sink, &said).map(|fault| format!("{name} {sink:?} {json}: {fault}")));
        }
    }
    assert!(faults.is_empty(), "{program}:\n{}", faults.join("\n"));
    assert_eq!(desktop.secrets()?, desktop.before, "a refused verb left something behind");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_verb_of_the_wallet_survives_an_output_that_takes_nothing() -> Result<()> {
    survive("carnet", 18).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_verb_of_the_issuer_survives_an_output_that_takes_nothing() -> Result<()> {
    survive("carnet-issuer", 31).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_verb_of_the_verifier_survives_an_output_that_takes_nothing() -> Result<()> {
    survive("carnet-verifier", 20).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_verb_of_the_trust_program_survives_an_output_that_takes_nothing() -> Result<()> {
    survive("carnet-trust", 12).await
}

/// A directory or a server that the command line names and that is none is a fault of the command line, in every verb.
#[test]
fn every_verb_tells_a_directory_and_a_server_that_are_none_from_a_refusal() -> Result<()> {
    programs::build()?;
    let folder = tempfile::tempdir()?;
    let nowhere = folder.path().join("nowhere").display().to_string();
    let mut tried = Vec::new();
    for program in PROGRAMS {
        for path in leaves(program, &[])? {
            let verb: Vec<&str> = path.iter().map(String::as_str).collect();
            let help = programs::run(program, verb.iter().copied().chain(["--help"]), &[])?.ok()?.stdout;
            let makes_it = path.last().is_some_and(|name| name == "init");
            let none = [
                ("--data", nowhere.as_str(), "there is no data directory at"),
                ("--server", "notaurl", "is not a URL"),
            ];
            for (option, value, words) in none {
                if makes_it || !help.contains(&format!("{option} <")) {
                    continue;
                }
                tried.push(option);
                let json = help.contains("--json").then_some("--json");
                let said = programs::run(program, verb.iter().copied().chain([option, value]).chain(json), &[])?;
                assert!(said.code == 2 && said.stderr.contains(words), "{program} {path:?}: {said:?}");
                if json.is_some() {
                    let error = said.json()?;
                    assert_eq!(error.pointer("/error/reason"), Some(&Value::from("usage")), "{program} {path:?}");
                }
            }
        }
    }
    // A walk that finds fewer is broken.
    let count = |wanted: &str| tried.iter().filter(|option| **option == wanted).count();
    assert!(count("--data") >= 35 && count("--server") >= 15, "{tried:?}");
    assert!(!std::fs::exists(&nowhere)?, "it was made");
    Ok(())
}

/// An error about a choice of options names all of them.
#[test]
fn an_option_that_can_stand_in_for_another_is_named_with_it() -> Result<()> {
    programs::build()?;
    for (program, verb, both) in [
        ("carnet-verifier", "request create", ["--template", "--query"]),
        ("carnet-trust", "create", ["--list", "--after"]),
        ("carnet-trust", "why list.json", ["--type", "--registrar"]),
    ] {
        let said = programs::run(program, verb.split(' ').chain(["--json"]), &[])?;
        let missing = said.json()?.pointer("/error/missing").map(Value::to_string).unwrap_or_default();
        assert!(said.code == 2 && both.iter().all(|option| missing.contains(option)), "{said:?}");
    }
    Ok(())
}

#[test]
fn help_and_usage_errors_survive_an_output_that_takes_nothing() -> Result<()> {
    programs::build()?;
    for program in PROGRAMS {
        for args in [["--help"], ["--version"]] {
            let args = args.map(str::to_owned);
            assert_eq!(run(program, &args, Sink::Gone)?.code, 0);
            assert_eq!(run(program, &args, Sink::Closed)?.code, 0);
            let full = run(program, &args, Sink::Full)?;
            assert!(full.code == 1 && full.stderr.contains("part of the answer is lost"), "{full:?}");
        }
        for sink in [Sink::Gone, Sink::Closed, Sink::Full] {
            let said = run(program, &["no-such-verb".to_owned()], sink)?;
            assert!(said.code == 2 && said.stderr.contains("no-such-verb"), "{said:?}");
        }
        // The same without the fault.
        assert!(programs::run(program, ["--help"], &[])?.ok()?.stdout.contains("Usage:"));
    }
    Ok(())
}

/// Starts a service on an output that takes nothing, ends it once its log says that it is ready, and returns its exit
/// code.
fn serve(program: &str, data: &Path, sink: Sink) -> Result<i32> {
    let args = ["serve", "--listen", "127.0.0.1:0", "--data"].map(str::to_owned);
    let args: Vec<String> = args.into_iter().chain([data.display().to_string()]).collect();
    let mut child = start(program, &args, sink)?;
    let mut log = BufReader::new(child.stderr.take().ok_or("no log")?);
    let mut line = String::new();
    while !line.contains("ready address") {
        line.clear();
        if log.read_line(&mut line)? == 0 {
            return Err(format!("{program} ended with {:?}", child.wait()?).into());
        }
    }
    let id = rustix::process::Pid::from_raw(i32::try_from(child.id())?).ok_or("no id")?;
    rustix::process::kill_process(id, rustix::process::Signal::TERM)?;
    std::io::copy(&mut log, &mut std::io::sink())?;
    Ok(child.wait()?.code().unwrap_or(-1))
}

#[tokio::test(flavor = "multi_thread")]
async fn services_serve_where_their_ready_line_cannot_be_printed() -> Result<()> {
    programs::build()?;
    let folder = tempfile::tempdir()?;
    for (program, did) in [("carnet-issuer", "did:web:issuer.example"), ("carnet-verifier", "did:web:agency.example")] {
        let data = folder.path().join(program);
        programs::run(program, ["init", "--json", "--did", did, "--data", &data.display().to_string()], &[])?.ok()?;
        for sink in [Sink::Gone, Sink::Closed, Sink::Full] {
            assert_eq!(serve(program, &data, sink)?, 0, "{program} {sink:?}");
        }
    }
    Ok(())
}

/// Creates an offer with its output at the end of a file that may not grow by more than one byte.
fn offer_into_a_file_with_room_for_one_byte(stage: &Stage) -> Result<Said> {
    const BLOCK: usize = 512;
    let file = stage.folder.join("nearly-full");
    std::fs::write(&file, [b'x'; BLOCK - 1])?;
    let claims = stage.folder.join("claims.json");
    std::fs::write(&claims, residence_permit().to_string())?;
    let said = programs::bare(&mut Command::new("sh"))
        .args(["-c", "file=$1; shift; trap '' XFSZ; ulimit -f 1; exec \"$@\" >> \"$file\"", "sh"])
        .arg(&file)
        .arg(programs::directory()?.join("carnet-issuer"))
        .args(["offer", "create", "--type", "ResidencePermitCredential", "--json", "--claims"])
        .arg(&claims)
        .args(["--server", &stage.authority.service.url, "--token-file"])
        .arg(&stage.authority.token_file)
        .stderr(Stdio::piped())
        .spawn()?
        .wait_with_output()?;
    Ok(said.into())
}

fn offers(stage: &Stage) -> Result<Vec<Value>> {
    let said = stage.authority.staff(&["offer", "list"])?.ok()?.json()?;
    Ok(said.get("offers").and_then(Value::as_array).cloned().unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_is_lost_after_the_act_is_named_with_the_way_to_undo_it() -> Result<()> {
    let stage = Stage::set(false).await?;
    let said = offer_into_a_file_with_room_for_one_byte(&stage)?;
    assert_eq!(said.code, 1, "{}", said.stderr);
    let made = offers(&stage)?;
    let id = made.first().and_then(|offer| offer.get("offer_id")?.as_str()).ok_or("no offer was made")?;
    assert!(said.stderr.contains(&format!("offer cancel {id}")), "{}", said.stderr);
    stage.authority.staff(&["offer", "cancel", id])?.ok()?;
    // The same with room.
    stage.offer(&stage.authority, "ResidencePermitCredential", &residence_permit(), &[])?;
    assert_eq!(offers(&stage)?.len(), made.len() + 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_for_scripts_is_the_first_line() -> Result<()> {
    let stage = Stage::set(false).await?;
    let claims = stage.folder.join("claims.json");
    std::fs::write(&claims, residence_permit().to_string())?;
    let offer = ["offer", "create", "--type", "ResidencePermitCredential", "--claims", &claims.display().to_string()]
        .map(str::to_owned);
    let request = ["request", "create", "--template", "job-right-to-work"].map(str::to_owned);
    for (program, office, verb, scheme) in [
        ("carnet-issuer", &stage.authority, offer.to_vec(), "openid-credential-offer://"),
        ("carnet-verifier", &stage.agency, request.to_vec(), "openid4vp://"),
    ] {
        let staff = ["--server", &office.service.url, "--token-file", &office.token_file.display().to_string()];
        let args = [verb, staff.map(str::to_owned).to_vec()].concat();
        let link: Vec<String> = args.iter().cloned().chain(["--link".to_owned()]).collect();
        let said = programs::run(program, &link, &[])?.ok()?;
        assert!(said.stdout.starts_with(scheme) && said.stdout.lines().count() == 1, "{said:?}");
        // Without a reader it is refused first, as without --link.
        for args in [&link, &args] {
            let said = run(program, args, Sink::Closed)?;
            assert!(said.code != 0 && said.stderr.contains("Nothing was changed"), "{said:?}");
        }
    }
    assert_eq!(offers(&stage)?.len(), 1);
    Ok(())
}

#[test]
fn the_walk_finds_verbs_below_verbs() -> Result<()> {
    programs::build()?;
    let found: BTreeSet<String> = leaves("carnet", &[])?.into_iter().map(|path| path.join(" ")).collect();
    assert!(found.contains("list") && found.contains("trust add") && !found.contains("trust"), "{found:?}");
    Ok(())
}

/// The error object of a run, and its exit code.
fn failed(program: &str, args: &[&str]) -> Result<(Value, i32)> {
    let said = programs::run(program, args, &[])?;
    let object: Value =
        serde_json::from_str(said.stdout.trim()).map_err(|error| format!("{args:?} {error}: {said:?}"))?;
    Ok((object.get("error").cloned().ok_or_else(|| format!("no error in {object}"))?, said.code))
}

#[test]
fn a_failure_is_an_object_in_all_four_programs_a_wrong_command_line_too() -> Result<()> {
    programs::build()?;
    for (program, args, missing) in [
        ("carnet", &["show", "--json"][..], "<ID>"),
        ("carnet-issuer", &["offer", "create", "--json"][..], "--type"),
        ("carnet-verifier", &["serve", "--json"][..], "--data"),
        ("carnet-trust", &["why", "--json"][..], "--issuer"),
    ] {
        let (error, code) = failed(program, args)?;
        assert_eq!((code, error.get("reason").and_then(Value::as_str)), (2, Some("usage")), "{program}: {error}");
        let all = error.get("missing").map(Value::to_string).unwrap_or_default();
        assert!(all.contains(missing) || error.to_string().contains("--json"), "{program}: {error}");
    }
    let nowhere = ["--server", "http://127.0.0.1:1", "--json"];
    let token = ["--token-file", "/nonexistent"];
    for (program, args, reason, exit) in [
        ("carnet", ["list", "--wallet", "/nonexistent/wallet.age", "--json"].to_vec(), "wallet_missing", 2),
        ("carnet-issuer", [&["offer", "list"][..], &nowhere[..], &token[..]].concat(), "file_unreadable", 2),
        ("carnet-verifier", [&["request", "list"][..], &nowhere[..], &token[..]].concat(), "file_unreadable", 2),
    ] {
        let (error, code) = failed(program, &args)?;
        assert_eq!((code, error.get("reason").and_then(Value::as_str)), (exit, Some(reason)), "{program}: {error}");
    }
    // No token at all is no file.
    let (error, code) = failed("carnet-issuer", &[&["offer", "list"][..], &nowhere[..]].concat())?;
    assert_eq!((code, error.get("reason").and_then(Value::as_str)), (2, Some("not_begun")), "{error}");
    let (error, code) = failed("carnet-trust", &["show", "--data", "/nonexistent", "--json"])?;
    assert!(code == 2 && error.get("message").is_some_and(Value::is_string), "{error}");
    Ok(())
}
