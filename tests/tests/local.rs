//! Local mode with the real programs: `init --local`, a wallet that was told once, and what does not count in it.

use std::path::Path;

use carnet_tests::{
    Result,
    programs::{self, Said, Service},
    site::Site,
    stage::qualification,
};
use serde_json::{Value, json};
use tempfile::TempDir;

const QUALIFICATION: &str = "QualificationCredential";
const REGISTRAR: &str = "Trial register of this machine";
const PASSPHRASE: &str = "correct horse battery staple\n";

/// An issuer and a verifier that were set up with `init --local`, and wallets, on one machine without a web site.
struct Machine {
    folder: TempDir,
    ports: [u16; 2],
}

impl Machine {
    /// Sets up both services and a wallet that knows them.
    fn set_up() -> Result<Self> {
        programs::build()?;
        let machine = Self { folder: tempfile::tempdir()?, ports: programs::free_ports()? };
        std::fs::write(machine.folder.path().join("passphrase"), PASSPHRASE)?;
        let [issuer, verifier] = machine.ports.map(|port| format!("--local={port}"));
        let (university, agency) = (machine.path("university"), machine.path("agency"));
        let args = ["init", &issuer, "--data", &university, "--name", "University", "--json"];
        let made = programs::run("carnet-issuer", args, &[])?.ok()?.json()?;
        assert_eq!(field(&made, "did"), format!("did:web:localhost%3A{}", machine.ports[0]));
        let args = ["init", &verifier, "--data", &agency, "--name", "Agency", "--json", "--issuer"];
        programs::run("carnet-verifier", args.into_iter().chain([machine.site("university").as_str()]), &[])?.ok()?;
        machine.make_wallet("wallet", &["university", "agency"])?;
        Ok(machine)
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn site(&self, service: &str) -> String {
        self.path(&format!("{service}/local-site.json"))
    }

    fn serve(&self, service: &str) -> Result<Service> {
        let program = if service == "university" { "carnet-issuer" } else { "carnet-verifier" };
        Service::start(program, Path::new(&self.path(service)))
    }

    /// Starts the university's service at the address that it had.
    fn restart_university(&self, address: &str) -> Result<Service> {
        let address = address.trim_start_matches("http://");
        Service::start_at("carnet-issuer", Path::new(&self.path("university")), &[], address)
    }

    /// Makes a wallet that is told of these services.
    fn make_wallet(&self, wallet: &str, known: &[&str]) -> Result<()> {
        self.carnet(wallet, &["init", "--work-factor", "12"])?.ok()?;
        for service in known {
            self.carnet(wallet, &["local", "add", &self.site(service)])?.ok()?;
        }
        Ok(())
    }

    /// Runs a wallet that trusts no certificate authority of its own and no private host.
    fn carnet(&self, wallet: &str, args: &[&str]) -> Result<Said> {
        let (wallet, passphrase) = (self.path(wallet), self.path("passphrase"));
        let rest = ["--wallet", &wallet, "--passphrase-file", &passphrase, "--json", "--no-input"];
        programs::run("carnet", args.iter().chain(&rest), &[])
    }

    /// Runs a verb of a service's staff with the token that `init --local` left in the directory.
    fn staff(&self, service: &Service, args: &[&str]) -> Result<Value> {
        let program = if service.data.ends_with("university") { "carnet-issuer" } else { "carnet-verifier" };
        let token = service.data.join("staff-token").display().to_string();
        let rest = ["--server", &service.url, "--token-file", &token, "--json"];
        programs::run(program, args.iter().chain(&rest), &[])?.ok()?.json()
    }

    fn offer(&self, issuer: &Service) -> Result<String> {
        let claims = self.path("claims.json");
        std::fs::write(&claims, qualification().to_string())?;
        let made = self.staff(issuer, &["offer", "create", "--type", QUALIFICATION, "--claims", &claims])?;
        Ok(field(&made, "offer_uri"))
    }

    fn receive(&self, wallet: &str, issuer: &Service) -> Result<Said> {
        self.carnet(wallet, &["receive", &self.offer(issuer)?, "--yes"])
    }

    /// Creates a request and approves what it asks for: the consent, and the wallet's answer.
    fn present(&self, wallet: &str, verifier: &Service) -> Result<(Value, Said)> {
        self.present_with(wallet, verifier, &[])
    }

    /// [`Self::present`], with what the owner allows besides.
    fn present_with(&self, wallet: &str, verifier: &Service, besides: &[&str]) -> Result<(Value, Said)> {
        let made = self.staff(verifier, &["request", "create", "--template", "university-admission"])?;
        let link = field(&made, "request_uri");
        let asked = [["present", &link].as_slice(), besides].concat();
        let consent = self.carnet(wallet, &asked)?.json()?;
        let digest = field(&consent, "digest");
        let answer = self.carnet(wallet, &[asked.as_slice(), &["--yes", &digest]].concat())?;
        let result = self.staff(verifier, &["result", &field(&made, "id")]);
        assert_eq!(result.is_ok(), answer.code == 0, "{}", answer.stdout);
        Ok((consent, answer))
    }

    /// Runs a keys verb of the university.
    fn keys(&self, args: &[&str]) -> Result<Said> {
        let data = self.path("university");
        programs::run("carnet-issuer", ["keys"].iter().chain(args).chain(&["--json", "--data", &data]), &[])
    }
}

fn field(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn reason(said: &Said) -> Result<String> {
    let answer = said.json()?;
    Ok(answer.pointer("/error/reason").and_then(Value::as_str).unwrap_or_default().to_owned())
}

#[test]
fn one_machine_without_a_web_site_comes_to_a_verified_presentation() -> Result<()> {
    let machine = Machine::set_up()?;
    let university = machine.serve("university")?;
    let agency = machine.serve("agency")?;
    for service in [&university, &agency] {
        assert!(service.log().contains("LOCAL MODE: for trials on this machine, not for production"));
    }
    machine.receive("wallet", &university)?.ok()?;
    let (consent, answer) = machine.present("wallet", &agency)?;
    answer.ok()?;
    assert!(consent.to_string().contains(REGISTRAR), "{consent}");

    // A wallet that was told of the university alone: nobody that it knows has registered the agency.
    machine.make_wallet("half", &["university"])?;
    machine.receive("half", &university)?.ok()?;
    let (consent, _) = machine.present("half", &agency)?;
    assert!(!consent.to_string().contains(REGISTRAR), "{consent}");
    Ok(())
}

#[test]
fn a_local_did_counts_only_where_it_was_told() -> Result<()> {
    let machine = Machine::set_up()?;
    let university = machine.serve("university")?;
    machine.make_wallet("stranger", &[])?;
    let refused = machine.receive("stranger", &university)?;
    assert_eq!((refused.code, reason(&refused)?.as_str()), (1, "address_forbidden"), "{}", refused.stdout);
    machine.receive("wallet", &university)?.ok()?;

    // A verifier that is not in local mode, and names the issuer all the same.
    let data = machine.path("office");
    programs::run("carnet-verifier", ["init", "--data", &data, "--json"], &[])?.ok()?;
    let config = Path::new(&data).join("config.toml");
    let did = format!("did:web:localhost%3A{}", machine.ports[0]);
    let issuer = format!("\n[[issuers]]\ndid = {did:?}\ntypes = [{QUALIFICATION:?}]\n");
    std::fs::write(&config, std::fs::read_to_string(&config)? + &issuer)?;
    let made =
        programs::run("carnet-verifier", ["staff", "add", "Rui", "--data", &data, "--json"], &[])?.ok()?.json()?;
    let office = Service::start("carnet-verifier", Path::new(&data))?;
    let token = made.get("staff_token").or_else(|| made.get("token")).and_then(Value::as_str).unwrap_or_default();
    std::fs::write(Path::new(&data).join("staff-token"), token)?;
    let claims = ["title", "eqfLevel", "awardingBody", "awardingDate"];
    let claims = claims.map(|claim| format!("qualification:credentialSubject.{claim}"));
    let allowed: Vec<&str> = claims.iter().flat_map(|claim| ["--approve", claim]).collect();
    let (_, answer) = machine.present_with("wallet", &office, &allowed)?;
    assert_eq!((answer.code, reason(&answer)?.as_str()), (1, "did_unresolved"), "{}", answer.stdout);

    // And one that is: by the university's pin alone.
    let agency = machine.serve("agency")?;
    machine.present("wallet", &agency)?.1.ok()?;
    Ok(())
}

#[test]
fn a_pin_is_for_localhost_alone() -> Result<()> {
    let machine = Machine::set_up()?;
    let site: Value = serde_json::from_slice(&std::fs::read(machine.site("university"))?)?;
    for did in [
        "did:web:university.example",
        "did:web:localhost.example%3A7443",
        "did:key:z6MkpTHR8VNsBxYAAWHut2Geadd9jSwuBV8xRoAnwWsdvktH",
    ] {
        let mut other = site.clone();
        other["did"] = did.into();
        let path = machine.path("other.json");
        std::fs::write(&path, other.to_string())?;
        let refused = machine.carnet("wallet", &["local", "add", &path])?;
        assert_eq!((refused.code, reason(&refused)?.as_str()), (1, "local_site_refused"), "{did}: {}", refused.stdout);
        let data = machine.path("agency-2");
        let args = ["init", "--local", "--data", &data, "--issuer", &path, "--json"];
        let refused = programs::run("carnet-verifier", args, &[])?;
        assert_eq!((refused.code, Path::new(&data).exists()), (1, false), "{did}: {}", refused.stdout);
    }
    // A service in local mode whose configured DID was changed would have its site elsewhere, and no pin for it.
    let config = machine.path("university/config.toml");
    let before = std::fs::read_to_string(&config)?;
    let did = format!("did:web:localhost%3A{}", machine.ports[0]);
    for (file, text) in [
        (&config, before),
        (&machine.path("university/did.json"), std::fs::read_to_string(machine.path("university/did.json"))?),
    ] {
        std::fs::write(file, text.replace(&did, "did:web:university.example"))?;
    }
    let refused = machine.serve("university").err().ok_or("it served")?.to_string();
    assert!(refused.contains("Local mode needs a did:web on localhost"), "{refused}");
    Ok(())
}

#[test]
fn another_certificate_at_the_port_is_refused() -> Result<()> {
    let machine = Machine::set_up()?;
    let university = machine.serve("university")?;
    machine.receive("wallet", &university)?.ok()?;
    let link = machine.offer(&university)?;
    let agency = machine.serve("agency")?;

    // A second service that wants the same port.
    let second = machine.path("second");
    let port = format!("--local={}", machine.ports[0]);
    programs::run("carnet-issuer", ["init", &port, "--data", &second, "--json"], &[])?.ok()?;
    let refused = Service::start("carnet-issuer", Path::new(&second)).err().ok_or("two programs have one port")?;
    assert!(refused.to_string().contains("cannot be listened on"), "{refused}");

    // Stopped, its port is anybody's: what stands there now has the very document, under another certificate.
    let address = university.url.clone();
    university.stop()?;
    let again = Service::start_at("carnet-issuer", Path::new(&second), &[], address.trim_start_matches("http://"))?;
    std::fs::copy(machine.path("university/did.json"), machine.path("second/did.json"))?;
    let refused = machine.carnet("wallet", &["receive", &link, "--yes"])?;
    assert_ne!(refused.code, 0, "{}", refused.stdout);
    again.stop()?;

    // The same service with a certificate that was changed: those who pinned the one before refuse it, until they are told.
    for name in ["site.pem", "site.key"] {
        std::fs::copy(machine.path(&format!("second/{name}")), machine.path(&format!("university/{name}")))?;
    }
    let university = machine.restart_university(&address)?;
    let refused = machine.carnet("wallet", &["receive", &link, "--yes"])?;
    assert_eq!((refused.code, reason(&refused)?.as_str()), (3, "did_unresolved"), "{}", refused.stdout);
    let mut site: Value = serde_json::from_slice(&std::fs::read(machine.site("university"))?)?;
    let changed: Value = serde_json::from_slice(&std::fs::read(machine.site("second"))?)?;
    site["certificate_sha256"] = changed["certificate_sha256"].clone();
    std::fs::write(machine.site("university"), site.to_string())?;
    machine.carnet("wallet", &["local", "add", &machine.site("university")])?.ok()?;
    machine.receive("wallet", &university)?.ok()?;
    drop(agency);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_does_not_stand_in_for_the_pin() -> Result<()> {
    let machine = Machine::set_up()?;
    // The agency serves no site of its own any more: one under an authority stands in its place, with the same document.
    let config = machine.path("agency/config.toml");
    let text = std::fs::read_to_string(&config)?;
    let start = text.find("[serve.local]").ok_or("it is not in local mode")?;
    let (before, local) = text.split_at(start);
    let (_, issuers) = local.split_once("[[issuers]]").ok_or("it accepts no issuer")?;
    std::fs::write(&config, format!("{before}[[issuers]]{issuers}"))?;
    let site = Site::open_at(machine.ports[1]).await?;
    site.publish(".well-known", &std::fs::read_to_string(machine.path("agency/did.json"))?);
    let ca = machine.path("ca.pem");
    site.write_ca(Path::new(&ca))?;
    let agency = machine.serve("agency")?;
    let made = machine.staff(&agency, &["request", "create", "--template", "university-admission"])?;
    let link = field(&made, "request_uri");
    let trusting = ["present", &link, "--ca", &ca, "--private-host", "localhost"];
    machine.make_wallet("stranger", &[])?;
    let read = machine.carnet("stranger", &trusting)?;
    assert_ne!(reason(&read)?, "did_unresolved", "{}", read.stdout);
    let refused = machine.carnet("wallet", &trusting)?;
    assert_eq!((refused.code, reason(&refused)?.as_str()), (3, "did_unresolved"), "{}", refused.stdout);
    Ok(())
}

#[test]
fn keys_are_rotated_and_activated_while_the_service_is_stopped() -> Result<()> {
    let machine = Machine::set_up()?;
    let university = machine.serve("university")?;
    let agency = machine.serve("agency")?;
    machine.receive("wallet", &university)?.ok()?;
    // The running service publishes what `check` reads.
    let checked = machine.keys(&["check"])?.ok()?.json()?;
    assert_eq!(checked.get("published"), Some(&json!(true)), "{checked}");
    let address = university.url.clone();
    university.stop()?;
    machine.keys(&["rotate"])?.ok()?;
    let early = machine.keys(&["activate"])?;
    assert_eq!(early.code, 3, "{}", early.stdout);
    machine.keys(&["activate", "--at-once"])?.ok()?;
    let checked = machine.keys(&["check"])?.ok()?.json()?;
    assert_eq!(checked.get("published"), Some(&json!(true)), "{checked}");
    let university = machine.restart_university(&address)?;
    // What the old key signed, and what the new one signs.
    machine.present("wallet", &agency)?.1.ok()?;
    machine.make_wallet("later", &["university", "agency"])?;
    machine.receive("later", &university)?.ok()?;
    drop(agency);
    let agency = machine.serve("agency")?;
    machine.present("later", &agency)?.1.ok()?;
    Ok(())
}
