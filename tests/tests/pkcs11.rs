//! Signing keys in a PKCS#11 token, with the real issuer and a real SoftHSM2. `CARNET_SOFTHSM` is the path of its
//! module.

use std::path::{Path, PathBuf};

use carnet_core::secure::jose::Jws;
use carnet_tests::{
    Result,
    programs::{self, Said, Service},
    stage::{Stage, qualification},
    visitor::{self, Copy},
};
use serde_json::Value;

const DIPLOMA: &str = "QualificationCredential";
const PIN: &str = "648219";
const LABEL: &str = "carnet test";

/// A token of SoftHSM's in a folder of its own.
struct Token {
    folder: PathBuf,
    conf: String,
    module: String,
}

impl Token {
    fn make(folder: &Path) -> Result<Self> {
        Self::with_pin(folder, PIN)
    }

    fn with_pin(folder: &Path, pin: &str) -> Result<Self> {
        let module = std::env::var("CARNET_SOFTHSM")?;
        std::fs::create_dir_all(folder.join("tokens"))?;
        let conf = folder.join("softhsm2.conf");
        let tokens = folder.join("tokens").display().to_string();
        std::fs::write(
            &conf,
            format!("directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n"),
        )?;
        std::fs::write(folder.join("pin"), format!("{pin}\n"))?;
        let conf = conf.display().to_string();
        let made = std::process::Command::new("softhsm2-util")
            .args(["--init-token", "--free", "--label", LABEL, "--pin", pin, "--so-pin", "99887766"])
            .args(["--module", &module])
            .env("SOFTHSM2_CONF", &conf)
            .output()?;
        if !made.status.success() {
            return Err(format!("softhsm2-util: {}", String::from_utf8_lossy(&made.stderr)).into());
        }
        Ok(Self { folder: folder.to_owned(), conf, module })
    }

    fn env(&self) -> [(&str, &str); 1] {
        [("SOFTHSM2_CONF", &self.conf)]
    }

    fn pin(&self) -> String {
        format!("file:{}", self.folder.join("pin").display())
    }

    fn init(&self, data: &Path, did: &str, algorithm: &str, pin: &str) -> Result<Said> {
        self.init_with(data, did, algorithm, pin, &[])
    }

    fn init_with(&self, data: &Path, did: &str, algorithm: &str, pin: &str, more: &[&str]) -> Result<Said> {
        let data = data.display().to_string();
        let args = ["init", "--data", &data, "--did", did, "--name", "Mint", "--algorithm", algorithm, "--json"];
        let token = ["--pkcs11", &self.module, "--token-label", LABEL, "--pin", pin];
        programs::run("carnet-issuer", args.into_iter().chain(token).chain(more.iter().copied()), &self.env())
    }
}

/// Stores the staff token.
fn keep_token(folder: &Path, made: &Value) -> Result<()> {
    let token = made.get("staff_token").and_then(Value::as_str).ok_or("init shows no staff token")?;
    Ok(std::fs::write(folder.join("staff"), token)?)
}

/// Ten copies of a diploma from a service.
async fn collect(service: &Service, folder: &Path) -> Result<Vec<Copy>> {
    let claims = folder.join("claims.json");
    std::fs::write(&claims, qualification().to_string())?;
    let (claims, token) = (claims.display().to_string(), folder.join("staff").display().to_string());
    let what = ["offer", "create", "--type", DIPLOMA, "--claims", &claims, "--json"];
    let who = ["--server", &service.url, "--token-file", &token];
    let offered = programs::run("carnet-issuer", what.into_iter().chain(who), &[])?.ok()?.json()?;
    let uri = offered.get("offer_uri").and_then(Value::as_str).ok_or("there is no offer")?;
    visitor::collect_copies(uri, None, 10, visitor::now()).await
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(carnet_softhsm), ignore = "CARNET_SOFTHSM is not set")]
async fn credentials_are_signed_in_a_token_and_the_key_never_leaves_it() -> Result<()> {
    let mut stage = Stage::set(false).await?;
    for (algorithm, alg) in [("eddsa", "EdDSA"), ("es256", "ES256")] {
        let folder = stage.folder.join(algorithm);
        let token = Token::make(&folder)?;
        let (data, did) = (folder.join("data"), stage.site.did(algorithm));
        let made = token.init(&data, &did, algorithm, &token.pin())?.ok()?.json()?;
        stage.site.publish(algorithm, &std::fs::read_to_string(data.join("did.json"))?);
        // The directory knows the key's public half and its label, and nothing that signs.
        let register: Value = serde_json::from_slice(&std::fs::read(data.join("keys.json"))?)?;
        let secret = register.pointer("/keys/0/secret").cloned().unwrap_or_default();
        assert!(
            secret.get("token").is_some() && secret.as_object().is_some_and(|secret| secret.len() == 1),
            "{secret}"
        );
        assert!(!std::fs::read_to_string(data.join("config.toml"))?.contains(PIN));

        // The agency accepts it.
        let service = Service::start_with("carnet-issuer", &data, &token.env())?;
        stage.site.gate().lead(algorithm, &service.url);
        let config = stage.agency.service.data.join("config.toml");
        let text = std::fs::read_to_string(&config)?;
        std::fs::write(&config, format!("{text}\n[[issuers]]\ndid = {did:?}\ntypes = [{DIPLOMA:?}]\n"))?;
        stage.agency.cut_power()?;

        keep_token(&folder, &made)?;
        // More copies than there are spare sessions, which are signed side by side.
        let copies = collect(&service, &folder).await?;
        for copy in &copies {
            let jws = Jws::parse(copy.credential.split('~').next().unwrap_or_default())?;
            assert_eq!(jws.header().get("alg").and_then(Value::as_str), Some(alg));
        }
        let (id, uri) = stage.request("university-admission")?;
        let asked = visitor::read_request(&uri).await?;
        let copy = copies.first().ok_or("there is no copy")?;
        let answer = visitor::submit(&asked, visitor::present(copy, &asked, visitor::now())?).await;
        assert_eq!(visitor::refusal(&answer), None, "{algorithm} {id}");
        service.stop()?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(carnet_softhsm), ignore = "CARNET_SOFTHSM is not set")]
async fn without_its_token_an_issuer_does_not_start_and_says_why() -> Result<()> {
    programs::build()?;
    let folder = tempfile::tempdir()?;
    let token = Token::make(folder.path())?;
    let data = folder.path().join("data");
    let did = "did:web:mint.example";
    // A wrong PIN is reported before anything is made.
    std::fs::write(folder.path().join("wrong"), "000000\n")?;
    let wrong = format!("file:{}", folder.path().join("wrong").display());
    let refused = token.init(&data, did, "eddsa", &wrong)?;
    assert!(refused.code == 1 && refused.stderr.contains("PIN"), "{refused:?}");
    assert!(!refused.stderr.contains("000000"));
    // And nothing was: the next try finds no half-made directory.
    assert!(!data.exists());

    let made = token.init(&data, did, "eddsa", &token.pin())?.ok()?.json()?;
    keep_token(folder.path(), &made)?;
    Service::start_with("carnet-issuer", &data, &token.env())?.stop()?;
    // The token is away; its folder has another's.
    let tokens = folder.path().join("tokens");
    let away = folder.path().join("away");
    std::fs::rename(&tokens, &away)?;
    std::fs::create_dir(&tokens)?;
    let refused = Service::start_with("carnet-issuer", &data, &token.env()).err().ok_or("it started")?.to_string();
    assert!(refused.contains("there is no token \"carnet test\""), "{refused}");
    // A token of the same label and PIN that lacks the key.
    Token::make(folder.path())?;
    let refused = Service::start_with("carnet-issuer", &data, &token.env()).err().ok_or("it started")?.to_string();
    assert!(refused.contains("has 0 private keys"), "{refused}");
    std::fs::remove_dir_all(&tokens)?;
    std::fs::rename(&away, &tokens)?;
    let service = Service::start_with("carnet-issuer", &data, &token.env())?;

    // It disappears while the service runs: nothing is signed, nothing else breaks, and it recovers.
    std::fs::rename(&tokens, &away)?;
    let refused = collect(&service, folder.path()).await.err().ok_or("it signed")?.to_string();
    assert!(refused.contains("could not be signed"), "{refused}");
    std::fs::rename(&away, &tokens)?;
    let copies = collect(&service, folder.path()).await.map_err(|error| format!("{error}\n{}", service.log()))?;
    assert_eq!(copies.len(), 10);

    // Another token in its place refuses the PIN: it is tried once, and not until that token is locked.
    std::fs::rename(&tokens, &away)?;
    Token::with_pin(folder.path(), "13572468")?;
    std::fs::write(folder.path().join("pin"), format!("{PIN}\n"))?;
    assert!(collect(&service, folder.path()).await.is_err());
    std::fs::remove_dir_all(&tokens)?;
    std::fs::rename(&away, &tokens)?;
    let refused = collect(&service, folder.path()).await.err().ok_or("it tried again")?.to_string();
    assert!(refused.contains("could not be signed"), "{refused}");
    let log = service.log();
    assert_eq!(log.matches("refuses the PIN (it is wrong)").count(), 1, "{log}");
    assert!(log.contains("not used again before the next start"), "{log}");
    assert!(!log.contains(PIN));
    service.stop()?;
    // The twin: after a start it is tried.
    let service = Service::start_with("carnet-issuer", &data, &token.env())?;
    assert_eq!(collect(&service, folder.path()).await?.len(), 10);
    service.stop()?;

    // Rotation makes the next key in the token too.
    let text = data.display().to_string();
    programs::run("carnet-issuer", ["keys", "rotate", "--data", &text], &token.env())?.ok()?;
    let listed = programs::run("carnet-issuer", ["keys", "list", "--data", &text, "--json"], &[])?.ok()?.json()?;
    assert_eq!(listed.pointer("/keys/1/secret").and_then(Value::as_str), Some("in a token"));
    // An unwanted one is destroyed there; if that is impossible, the message names it.
    let objects = || walk(&tokens).map(|files| files.iter().filter(|file| file.ends_with(".object")).count());
    let both = objects()?;
    let retire = |key: &str| programs::run("carnet-issuer", ["keys", "retire", key, "--data", &text], &token.env());
    let said = retire("key-2")?.ok()?.stdout;
    assert!(said.contains("destroyed in its token"), "{said}");
    assert_eq!(objects()?, both - 2);
    programs::run("carnet-issuer", ["keys", "rotate", "--data", &text], &token.env())?.ok()?;
    std::fs::rename(&tokens, &away)?;
    let said = retire("key-3")?.ok()?.stdout;
    let label = said.split("in its token as ").nth(1).and_then(|rest| rest.split(';').next()).ok_or("no label")?;
    let history = programs::run("carnet-issuer", ["keys", "list", "--data", &text, "--history"], &[])?.ok()?.stdout;
    assert!(label.starts_with("carnet-") && history.contains(label), "{said} {history}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(carnet_softhsm), ignore = "CARNET_SOFTHSM is not set")]
async fn a_key_in_a_token_seals_those_of_the_directory() -> Result<()> {
    programs::build()?;
    let folder = tempfile::tempdir()?;
    let token = Token::make(folder.path())?;
    let (tokens, away) = (folder.path().join("tokens"), folder.path().join("away"));
    // SoftHSM stores the token's own data in one more.
    let key = |file: &&String| file.ends_with(".object") && !file.ends_with("/token.object");
    let objects = || walk(&tokens).map(|files| files.iter().filter(key).count());
    let did = "did:web:mint.example";
    let sealed = ["--kek", "pkcs11:seal"];
    for algorithm in ["eddsa", "es256"] {
        let data = folder.path().join(algorithm);
        let made = token.init_with(&data, did, algorithm, &token.pin(), &sealed)?.ok()?.json()?;
        keep_token(folder.path(), &made)?;
        // One key in the token for both, and it is AES: the signing keys are in the directory, sealed.
        assert_eq!(objects()?, 1);
        let register: Value = serde_json::from_slice(&std::fs::read(data.join("keys.json"))?)?;
        let secret = register.pointer("/keys/0/secret").and_then(Value::as_object).ok_or("there is no key")?;
        assert_eq!(secret.keys().collect::<Vec<_>>(), ["token_kek"]);
        let text = data.display().to_string();
        let keys = |verb: &[&str]| {
            let args = ["keys"].iter().chain(verb).copied().chain(["--data", &text]);
            programs::run("carnet-issuer", args, &token.env())
        };
        let service = Service::start_with("carnet-issuer", &data, &token.env())?;
        assert_eq!(collect(&service, folder.path()).await?.len(), 10);
        // Once the key is open, the token is not needed: it seals, and does not sign.
        std::fs::rename(&tokens, &away)?;
        assert_eq!(collect(&service, folder.path()).await?.len(), 10);
        service.stop()?;
        std::fs::create_dir(&tokens)?;
        let refused = Service::start_with("carnet-issuer", &data, &token.env()).err().ok_or("it started")?.to_string();
        assert!(refused.contains("there is no token"), "{refused}");
        // Another key under the same label opens nothing, and none is made to be opened with.
        Token::make(folder.path())?;
        let refused = Service::start_with("carnet-issuer", &data, &token.env()).err().ok_or("it started")?.to_string();
        assert!(refused.contains("has 0 AES keys \"seal\""), "{refused}");
        let other = folder.path().join("other");
        token.init_with(&other, did, algorithm, &token.pin(), &sealed)?.ok()?;
        let refused = Service::start_with("carnet-issuer", &data, &token.env()).err().ok_or("it started")?.to_string();
        assert!(refused.contains("does not open the signing key"), "{refused}");
        for gone in [&tokens, &other] {
            std::fs::remove_dir_all(gone)?;
        }
        std::fs::rename(&away, &tokens)?;

        // The next key is sealed with it too; all are taken out and sealed again.
        keys(&["rotate"])?.ok()?;
        let form = |at: &str| -> Result<String> {
            let listed = keys(&["list", "--json"])?.ok()?.json()?;
            Ok(listed.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned())
        };
        assert_eq!(form("/keys/1/secret")?, "sealed with a key-encryption key");
        keys(&["unseal"])?.ok()?;
        assert_eq!(form("/keys/0/secret")?, "in plain text");
        keys(&["seal"])?.ok()?;
        assert_eq!(form("/keys/0/secret")?, "sealed with a key-encryption key");
        assert_eq!(objects()?, 1);
        Service::start_with("carnet-issuer", &data, &token.env())?.stop()?;
    }
    Ok(())
}

/// The names of all files in a folder and below it.
fn walk(folder: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { found.extend(walk(&path)?) } else { found.push(path.display().to_string()) }
    }
    Ok(found)
}
