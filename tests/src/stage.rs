//! A university, a residency authority, an agency and a wallet, set up as their owners would.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::Child,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    Result,
    programs::{self, Said, Service},
    site::{Gate, Site},
    visitor::{self, Copy},
};

/// The passphrase of the wallet on the stage.
const PASSPHRASE: &str = "correct horse battery staple\n";

/// A service with its staff.
#[derive(Debug)]
pub struct Office {
    program: &'static str,
    /// Display name.
    pub name: String,
    /// Its DID.
    pub did: String,
    /// The running service.
    pub service: Service,
    /// The file with the staff token.
    pub token_file: PathBuf,
    /// Gate of the web site in front of it, and its name there.
    gate: Option<(Gate, String)>,
}

impl Office {
    /// Runs a staff verb as a client of the running service; the answer is JSON.
    ///
    /// # Errors
    /// If the program cannot be started.
    pub fn staff<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<Said> {
        self.staff_as(&self.token_file, args)
    }

    /// [`Self::staff`], with the token in another file.
    ///
    /// # Errors
    /// If the program cannot be started.
    pub fn staff_as<S: AsRef<OsStr>>(&self, token_file: &Path, args: &[S]) -> Result<Said> {
        let mut all: Vec<&OsStr> = args.iter().map(AsRef::as_ref).collect();
        all.extend(["--json", "--server", &self.service.url, "--token-file"].map(OsStr::new));
        all.push(token_file.as_os_str());
        programs::run(self.program, all, &[])
    }

    /// Runs a verb that needs no running service, on its data; the answer is JSON.
    ///
    /// # Errors
    /// If the program cannot be started.
    pub fn on_data<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<Said> {
        let mut all: Vec<&OsStr> = args.iter().map(AsRef::as_ref).collect();
        all.extend(["--json", "--data"].map(OsStr::new));
        all.push(self.service.data.as_os_str());
        programs::run(self.program, all, &[])
    }

    /// The staff token.
    ///
    /// # Errors
    /// If its file cannot be read.
    pub fn token(&self) -> Result<String> {
        Ok(std::fs::read_to_string(&self.token_file)?.trim().to_owned())
    }

    /// Kills the service as a power cut would, and starts it again on its files.
    ///
    /// # Errors
    /// If it does not become ready.
    pub fn cut_power(&mut self) -> Result<()> {
        self.service.kill()?;
        self.service = Service::start(self.program, &self.service.data.clone())?;
        self.lead();
        Ok(())
    }

    /// Starts the service again that was killed, where it was: wallets know it by its address.
    ///
    /// # Errors
    /// If it does not become ready.
    pub fn switch_on(&mut self) -> Result<()> {
        self.service = self.service.start_again(self.program)?;
        Ok(())
    }

    /// Adds lines to the configuration and starts the service again where it was.
    ///
    /// # Errors
    /// If the file cannot be written, or it does not become ready.
    pub fn reconfigure(&mut self, lines: &str) -> Result<()> {
        let path = self.service.data.join("config.toml");
        std::fs::write(&path, format!("{}\n{lines}", std::fs::read_to_string(&path)?))?;
        self.service.kill()?;
        self.switch_on()
    }

    /// Starts the service again where it was, over TLS with the certificate of the site, as `https://localhost:PORT`.
    ///
    /// # Errors
    /// As for [`Self::reconfigure`].
    pub fn with_tls(&mut self, site: &Site) -> Result<()> {
        let path = |name: &str| self.service.data.join(name);
        let (certificate, key) = (path("tls.pem"), path("tls.key"));
        site.write_certificate(&certificate, &key)?;
        let port = self.service.url.rsplit(':').next().unwrap_or_default().to_owned();
        let line = format!("\n[serve]\npublic_url = \"https://localhost:{port}\"\n");
        let text = std::fs::read_to_string(path("config.toml"))?;
        let text = if text.contains("\n[serve]\n") { text.replacen("\n[serve]\n", &line, 1) } else { text + &line };
        let tls = format!("\n[serve.tls]\ncert = {certificate:?}\nkey = {key:?}\n");
        std::fs::write(path("config.toml"), text + &tls)?;
        self.service.kill()?;
        self.service = Service::start_at(self.program, &self.service.data, &[], &format!("127.0.0.1:{port}"))?;
        self.lead();
        Ok(())
    }

    /// Runs a staff verb as [`Self::staff`], with a certificate authority (PEM).
    ///
    /// # Errors
    /// If the program cannot be started.
    pub fn staff_over_tls(&self, ca: &Path, args: &[&str]) -> Result<Said> {
        let ca = ca.display().to_string();
        self.staff(&[args, &["--ca", &ca]].concat())
    }

    /// Starts the service again with a folder of its own types, templates or URLs.
    ///
    /// # Errors
    /// As for [`Self::reconfigure`].
    pub fn with_catalogue(&mut self, folder: &Path) -> Result<()> {
        let path = self.service.data.join("config.toml");
        let text = std::fs::read_to_string(&path)?;
        // The section of the stage, and not the commented one of `init`.
        let line = format!("\n[serve]\ncatalogue = {:?}\n", folder.display().to_string());
        let text = if text.contains("\n[serve]\n") { text.replacen("\n[serve]\n", &line, 1) } else { text + &line };
        std::fs::write(&path, text)?;
        self.reconfigure("")
    }

    /// Stops the service and starts it again on its data.
    ///
    /// # Errors
    /// If it does not become ready.
    pub fn restart(self) -> Result<Self> {
        self.restart_with(&[])
    }

    /// [`Self::restart`], with these environment variables.
    ///
    /// # Errors
    /// As there.
    pub fn restart_with(self, env: &[(&str, &str)]) -> Result<Self> {
        let data = self.service.data.clone();
        self.service.stop()?;
        let office = Self { service: Service::start_with(self.program, &data, env)?, ..self };
        office.lead();
        Ok(office)
    }

    /// Adds lines to the configuration, as its operator would, and starts the service again with them.
    ///
    /// # Errors
    /// If the file cannot be written, or the service refuses it.
    pub fn configured(self, lines: &str) -> Result<Self> {
        let path = self.service.data.join("config.toml");
        let config = std::fs::read_to_string(&path)?;
        std::fs::write(&path, format!("{config}\n{lines}"))?;
        self.restart()
    }

    /// Starts another of its kind on a data directory that has its key and its staff token.
    ///
    /// # Errors
    /// If it does not become ready.
    pub fn twin(&self, name: &str, data: &Path) -> Result<Self> {
        Ok(Self {
            program: self.program,
            name: name.to_owned(),
            did: self.did.clone(),
            service: Service::start(self.program, data)?,
            token_file: self.token_file.clone(),
            gate: None,
        })
    }

    /// Tells the web site before it where it is now.
    fn lead(&self) {
        if let Some((gate, name)) = &self.gate {
            gate.lead(name, &self.service.url);
        }
    }
}

/// An offer, as staff hands it over.
#[derive(Debug, Clone)]
pub struct Offered {
    /// The link.
    pub uri: String,
    /// The PIN, handed over by another way.
    pub pin: Option<String>,
    /// The offer's id.
    pub id: String,
}

/// Names of the parties, and the types that the agency accepts from the two issuers.
#[derive(Debug)]
pub struct Cast<'a> {
    /// Name of the first issuer.
    pub university: &'a str,
    /// Types that the agency accepts from it.
    pub university_types: &'a [&'static str],
    /// Name of the second issuer.
    pub authority: &'a str,
    /// Types that the agency accepts from it.
    pub authority_types: &'a [&'static str],
    /// Name of the verifier.
    pub agency: &'a str,
}

impl Default for Cast<'_> {
    fn default() -> Self {
        Self {
            university: "University of Coimbra",
            university_types: &["QualificationCredential"],
            authority: "Residency Authority",
            authority_types: &["ResidencePermitCredential"],
            agency: "City Welcome Office",
        }
    }
}

/// All parties, in one folder that is removed when the stage is dropped.
#[derive(Debug)]
pub struct Stage {
    /// Folder of all files.
    pub folder: PathBuf,
    _temporary: Option<TempDir>,
    /// The web site where the issuers' DID documents are.
    pub site: Site,
    /// Issues qualifications.
    pub university: Office,
    /// Issues residence permits.
    pub authority: Office,
    /// Asks for proof, and is registered for the requests of the catalogue's templates.
    pub agency: Office,
    /// The DID of the registrar, which the wallet pins.
    pub registrar: String,
}

impl Stage {
    /// Builds the programs, makes the folder and starts all services. The wallet is not made yet.
    ///
    /// With `keep` the folder stays when the stage is dropped.
    ///
    /// # Errors
    /// If any step fails.
    pub async fn set(keep: bool) -> Result<Self> {
        Self::cast(keep, &Cast::default()).await
    }

    /// [`Self::set`], with other names and other types of the two issuers.
    ///
    /// # Errors
    /// If any step fails.
    pub async fn cast(keep: bool, cast: &Cast<'_>) -> Result<Self> {
        programs::build()?;
        let temporary = TempDir::with_prefix("carnet-")?;
        let (folder, temporary) =
            if keep { (temporary.keep(), None) } else { (temporary.path().to_owned(), Some(temporary)) };
        let site = Site::open().await?;
        site.write_ca(&folder.join("ca.pem"))?;
        std::fs::write(folder.join("passphrase"), PASSPHRASE)?;
        let university = open_issuer(&folder, &site, "university", cast.university)?;
        let authority = open_issuer(&folder, &site, "authority", cast.authority)?;
        let of = |office: &Office, types: &[&'static str]| -> Vec<(String, &'static str)> {
            types.iter().map(|kind| (office.did.clone(), *kind)).collect()
        };
        let trusted = [of(&university, cast.university_types), of(&authority, cast.authority_types)].concat();
        let trusted: Vec<(&str, &str)> = trusted.iter().map(|(did, kind)| (did.as_str(), *kind)).collect();
        let registrar = open_registrar(&folder)?;
        let agency = open_verifier(&folder, "agency", cast.agency, &trusted, Some(&[]))?;
        Ok(Self { folder, _temporary: temporary, site, university, authority, agency, registrar })
    }

    /// Starts everybody again on the files that an earlier version left in a folder, at the ports that its documents
    /// and wallets name: those of the site, the university, the authority and the agency.
    ///
    /// # Errors
    /// If one of them does not start, or somebody else has a port.
    pub async fn reopen(temporary: TempDir, ports: [u16; 4], registrar: String) -> Result<Self> {
        programs::build()?;
        let folder = temporary.path().to_owned();
        let [site, university, authority, agency] = ports;
        let site = Site::open_at(site).await?;
        site.write_ca(&folder.join("ca.pem"))?;
        let university = reopen_office(&folder, Some(&site), ("university", "University of Coimbra"), university)?;
        let authority = reopen_office(&folder, Some(&site), ("authority", "Residency Authority"), authority)?;
        let data = folder.join("agency");
        // The registration that was left may be over by now.
        register(&folder, &data.display().to_string(), &data.join("registration-request.json").display().to_string())?;
        let agency = reopen_office(&folder, None, ("agency", "City Welcome Office"), agency)?;
        Ok(Self { folder, _temporary: Some(temporary), site, university, authority, agency, registrar })
    }

    /// Another agency, without a registration.
    ///
    /// # Errors
    /// If it does not become ready.
    pub fn open_stranger(&self) -> Result<Office> {
        self.open_agency("stranger", "Friendly Data Collectors", false)
    }

    /// Another agency.
    ///
    /// # Errors
    /// If it does not become ready.
    pub fn open_agency(&self, short: &str, name: &str, registered: bool) -> Result<Office> {
        self.open_agency_as(short, name, registered.then_some(&[]))
    }

    /// Another agency, which is registered as these options of `init` say.
    ///
    /// # Errors
    /// If it does not become ready.
    pub fn open_agency_registered(&self, short: &str, name: &str, options: &[&str]) -> Result<Office> {
        self.open_agency_as(short, name, Some(options))
    }

    fn open_agency_as(&self, short: &str, name: &str, registered: Option<&[&str]>) -> Result<Office> {
        let trusted = [
            (self.university.did.as_str(), "QualificationCredential"),
            (&self.authority.did, "ResidencePermitCredential"),
        ];
        open_verifier(&self.folder, short, name, &trusted, registered)
    }

    /// Has the registrar sign a new registration of an agency, whose catalogue has changed. It takes effect at the next
    /// start.
    ///
    /// # Errors
    /// If it cannot be made, signed or installed.
    pub fn register_again(&self, agency: &Office) -> Result<()> {
        let data = agency.service.data.display().to_string();
        let request = self.folder.join("another-request.json").display().to_string();
        let made = ["registration", "request", "--data", &data, "--out", &request].into_iter().chain(ABOUT);
        programs::run("carnet-verifier", made, &[])?.ok()?;
        std::fs::remove_file(agency.service.data.with_extension("signed.json"))?;
        register(&self.folder, &data, &request)
    }

    /// Runs `carnet` on the stage's wallet, without asking for input, with JSON as its answer.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn carnet<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<Said> {
        self.carnet_on("wallet.age", args, &["--json", "--no-input"], "")
    }

    /// Runs `carnet` on a wallet of the stage as a person would, with `input` typed into it.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn carnet_on<S: AsRef<OsStr>>(&self, wallet: &str, args: &[S], flags: &[&str], input: &str) -> Result<Said> {
        programs::run_with_input("carnet", self.carnet_arguments(wallet, args, flags), &[], input)
    }

    /// Starts `carnet` on a wallet of the stage, to be killed or waited for.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start_carnet<S: AsRef<OsStr>>(&self, wallet: &str, args: &[S], flags: &[&str]) -> Result<Child> {
        programs::spawn("carnet", self.carnet_arguments(wallet, args, flags), &[])
    }

    /// Arguments of `carnet` on a wallet of the stage.
    pub fn carnet_arguments<S: AsRef<OsStr>>(&self, wallet: &str, args: &[S], flags: &[&str]) -> Vec<OsString> {
        let mut all: Vec<OsString> = args.iter().map(|arg| arg.as_ref().to_owned()).collect();
        for (flag, file) in [("--wallet", wallet), ("--passphrase-file", "passphrase"), ("--ca", "ca.pem")] {
            all.extend([flag.into(), self.folder.join(file).into_os_string()]);
        }
        all.extend(["--private-host", "localhost"].map(OsString::from));
        all.extend(flags.iter().map(OsString::from));
        all
    }

    /// Makes the wallet, with as little key stretching as is allowed, since the stage is thrown away.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn make_wallet(&self) -> Result<()> {
        self.carnet(&["init", "--work-factor", "12"])?.ok()?;
        self.carnet(&["registrar", "add", &self.registrar, "--name", "Register of Askers"])?.ok().map(drop)
    }

    /// Creates an offer.
    ///
    /// # Errors
    /// If staff's program refuses.
    pub fn offer(&self, office: &Office, kind: &str, claims: &Value, extra: &[&str]) -> Result<Offered> {
        let file = self.folder.join(format!("claims-{kind}.json"));
        std::fs::write(&file, serde_json::to_vec(claims)?)?;
        let file = file.display().to_string();
        let mut args = vec!["offer", "create", "--type", kind, "--claims", &file];
        args.extend(extra);
        let said = office.staff(&args)?.ok()?.json()?;
        let text = |name: &str| said.get(name).and_then(Value::as_str).map(str::to_owned);
        Ok(Offered {
            uri: text("offer_uri").ok_or("the answer has no offer_uri")?,
            pin: text("pin").filter(|pin| !pin.is_empty()),
            id: text("offer_id").ok_or("the answer has no offer_id")?,
        })
    }

    /// Creates a request from a template: its id and its link.
    ///
    /// # Errors
    /// If staff's program refuses.
    pub fn request(&self, template: &str) -> Result<(String, String)> {
        self.request_of(&self.agency, &["--template", template])
    }

    /// Creates a request of an agency's own making: its id and its link.
    ///
    /// # Errors
    /// If staff's program refuses.
    pub fn request_of(&self, agency: &Office, what: &[&str]) -> Result<(String, String)> {
        let args: Vec<&str> = ["request", "create"].into_iter().chain(what.iter().copied()).collect();
        let said = agency.staff(&args)?.ok()?.json()?;
        let text = |name: &str| said.get(name).and_then(Value::as_str).map(str::to_owned);
        Ok((text("id").ok_or("the answer has no id")?, text("request_uri").ok_or("the answer has no request_uri")?))
    }

    /// Returns the agency's reason for refusing a copy that is shown for a job; `None` if it accepts it.
    ///
    /// # Errors
    /// If it cannot be asked.
    pub async fn refusal(&self, copy: &Copy) -> Result<Option<String>> {
        let asked = visitor::read_request(&self.request("job-right-to-work")?.1).await?;
        let presentation = visitor::present(copy, &asked, visitor::now())?;
        Ok(visitor::refusal(&visitor::submit(&asked, presentation).await))
    }

    /// Waits until the agency answers a copy with this reason ([`Self::refusal`]).
    ///
    /// # Errors
    /// If it does not within a minute, or cannot be asked.
    pub async fn comes_to(&self, copy: &Copy, expected: Option<&str>) -> Result<()> {
        let start = Instant::now();
        loop {
            let now = self.refusal(copy).await?;
            if now.as_deref() == expected {
                return Ok(());
            }
            if start.elapsed() > Duration::from_secs(60) {
                return Err(format!("the agency says {now:?}, and {expected:?} was to come").into());
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Lets the wallet show a request, and approves exactly that.
    ///
    /// # Errors
    /// If the consent has no digest, or the answer is not JSON.
    pub fn approve(&self, request_uri: &str) -> Result<(Value, Said)> {
        self.approve_with(request_uri, &[])
    }

    /// [`Self::approve`], with further decisions of the owner.
    ///
    /// # Errors
    /// If the consent has no digest, or the answer is not JSON.
    pub fn approve_with(&self, request_uri: &str, besides: &[&str]) -> Result<(Value, Said)> {
        let args: Vec<&str> = ["present", request_uri].into_iter().chain(besides.iter().copied()).collect();
        let consent = self.carnet(&args)?.json()?;
        let digest = consent.get("digest").and_then(Value::as_str).ok_or("the consent has no digest")?.to_owned();
        let approved: Vec<&str> = args.into_iter().chain(["--yes", &digest]).collect();
        let answer = self.carnet(&approved)?;
        Ok((consent, answer))
    }

    /// Returns the digest with which the owner approves that somebody is asked for erasure.
    ///
    /// # Errors
    /// If there is nothing to ask for.
    pub fn erasure_digest(&self, who: &str) -> Result<String> {
        let would = self.carnet(&["erase", who])?.json()?;
        Ok(would.get("digest").and_then(Value::as_str).ok_or("no digest of an erasure")?.to_owned())
    }
}

fn open_issuer(folder: &Path, site: &Site, short: &str, name: &str) -> Result<Office> {
    let data = folder.join(short);
    let did = site.did(short);
    let data_text = data.display().to_string();
    let said =
        programs::run("carnet-issuer", ["init", "--data", &data_text, "--did", &did, "--name", name, "--json"], &[])?;
    let token_file = keep_token(folder, short, &said.ok()?.json()?)?;
    site.publish(short, &std::fs::read_to_string(data.join("did.json"))?);
    let service = Service::start("carnet-issuer", &data)?;
    let gate = Some((site.gate(), short.to_owned()));
    let office = Office { program: "carnet-issuer", name: name.to_owned(), did, service, token_file, gate };
    office.lead();
    Ok(office)
}

/// Starts an issuer, which is behind a site, or a verifier on the files that are there.
fn reopen_office(folder: &Path, site: Option<&Site>, (short, name): (&str, &str), port: u16) -> Result<Office> {
    let data = folder.join(short);
    let config = std::fs::read_to_string(data.join("config.toml"))?;
    let did = config.lines().find_map(|line| line.strip_prefix("did = ")).ok_or("the configuration names no DID")?;
    let did = serde_json::from_str(did)?;
    if let Some(site) = site {
        site.publish(short, &std::fs::read_to_string(data.join("did.json"))?);
    }
    let program = if site.is_some() { "carnet-issuer" } else { "carnet-verifier" };
    let service = Service::start_at(program, &data, &[], &format!("127.0.0.1:{port}"))?;
    let gate = site.map(|site| (site.gate(), short.to_owned()));
    let token_file = folder.join(format!("{short}.token"));
    let office = Office { program, name: name.to_owned(), did, service, token_file, gate };
    office.lead();
    Ok(office)
}

/// Sets up a registrar; its DID.
fn open_registrar(folder: &Path) -> Result<String> {
    let data = folder.join("registrar").display().to_string();
    let args = ["registrar", "init", "--data", &data, "--name", "Register of Askers", "--json"];
    let said = programs::run("carnet-issuer", args, &[])?.ok()?.json()?;
    Ok(said.get("did").and_then(Value::as_str).ok_or("registrar init does not say the DID")?.to_owned())
}

/// Has the registrar review a verifier's request and sign it, and installs the registration.
fn register(folder: &Path, data: &str, request: &str) -> Result<()> {
    let registrar = folder.join("registrar").display().to_string();
    let signed = Path::new(data).with_extension("signed.json").display().to_string();
    let sign = ["registrar", "sign", "--data", &registrar, request, "--out", &signed, "--json"];
    let seen = programs::run("carnet-issuer", sign, &[])?.json()?;
    let digest = seen.get("digest").and_then(Value::as_str).ok_or("registrar sign shows no digest")?;
    let approved = sign.into_iter().chain(["--yes", digest]);
    programs::run("carnet-issuer", approved, &[])?.ok()?;
    programs::run("carnet-verifier", ["registration", "install", "--data", data, &signed], &[])?.ok().map(drop)
}

/// Arguments that describe an agency for its registration.
const ABOUT: [&str; 11] = [
    "--country",
    "PT",
    "--privacy-policy",
    "https://welcome.example/privacy",
    "--support",
    "mailto:privacy@welcome.example",
    "--authority",
    "National Data Protection Commission",
    "--authority-uri",
    "https://dpa.example/complaints",
    "--all-uses",
];

/// Sets up and starts a verifier that trusts these issuers, each for one type. If it is to be registered, `registered` has
/// further options of `init`.
fn open_verifier(
    folder: &Path,
    short: &str,
    name: &str,
    trusted: &[(&str, &str)],
    registered: Option<&[&str]>,
) -> Result<Office> {
    let data = folder.join(short);
    let data_text = data.display().to_string();
    let mut init = vec!["init", "--data", &data_text, "--name", name, "--json"];
    if let Some(options) = registered {
        init.extend(ABOUT);
        init.extend(options);
    }
    let said = programs::run("carnet-verifier", init, &[])?.ok()?.json()?;
    if let Some(request) = said.get("registration_request").and_then(Value::as_str) {
        register(folder, &data_text, request)?;
    }
    let token_file = keep_token(folder, short, &said)?;
    let did = said.get("did").and_then(Value::as_str).ok_or("init does not say the DID")?.to_owned();
    let path = data.join("config.toml");
    let mut config = std::fs::read_to_string(&path)?;
    let ca = folder.join("ca.pem").display().to_string();
    config.push_str(&format!("\n[serve]\nextra_ca = {ca:?}\nprivate_hosts = [\"localhost\"]\n"));
    for (issuer, kind) in trusted {
        config.push_str(&format!("\n[[issuers]]\ndid = {issuer:?}\ntypes = [{kind:?}]\n"));
    }
    std::fs::write(path, config)?;
    let service = Service::start("carnet-verifier", &data)?;
    Ok(Office { program: "carnet-verifier", name: name.to_owned(), did, service, token_file, gate: None })
}

fn keep_token(folder: &Path, short: &str, said: &Value) -> Result<PathBuf> {
    let token = said.get("staff_token").and_then(Value::as_str).ok_or("init does not show the staff token")?;
    let file = folder.join(format!("{short}.token"));
    std::fs::write(&file, token)?;
    Ok(file)
}

/// The claims of a qualification, as a registrar would enter them.
#[must_use]
pub fn qualification() -> Value {
    claims_of("QualificationCredential")
}

/// The claims of a residence permit.
#[must_use]
pub fn residence_permit() -> Value {
    claims_of("ResidencePermitCredential")
}

/// The claims of the catalogue's own example, without the subject's id.
#[must_use]
pub fn claims_of(kind: &str) -> Value {
    let catalogue = carnet_spec::Catalogue::embedded().ok();
    let example =
        catalogue.as_ref().and_then(|catalogue| catalogue.credential_type(kind)).map(|kind| kind.example.clone());
    let subject = example.and_then(|example| example.get("credentialSubject").cloned()).unwrap_or(json!({}));
    match subject {
        Value::Object(mut members) => {
            members.remove("id");
            members.into()
        }
        other => other,
    }
}
