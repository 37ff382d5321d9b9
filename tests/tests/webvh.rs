//! Issuers that prove the history of their keys, before the real verifier and the real wallet; and power cuts while
//! they add to it.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use carnet_core::{
    did::{
        Did, DidDocument,
        webvh::{self, LogUpdate, NewWebVhDid, UnwitnessedLog, WebVhLog},
    },
    keys::{SecretKey, SignatureAlgorithm, Signer as _},
    secure::jose::{self, Jws},
    time::Timestamp,
};
use carnet_tests::{
    Result,
    keys::{Keys, copy},
    programs::{self, Service},
    site::Site,
    stage::{Stage, residence_permit},
    visitor::{self, Copy, now},
};
use rand_core::{OsRng, RngCore as _};
use serde_json::Value;

const PERMIT: &str = "ResidencePermitCredential";

/// An archive whose keys this test has itself: key-1 in the first version, key-2 in the second.
struct Archive {
    did: Did,
    text: String,
    start: Timestamp,
    update: SecretKey,
    first: SecretKey,
    second: SecretKey,
}

impl Archive {
    fn open(stage: &Stage) -> Result<Self> {
        let key = || SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng);
        let (update, first, second) = (key(), key(), key());
        // The skew that verifiers allow covers the last minute, so that it does not matter when the authority's day
        // began.
        let start = now().plus(-40);
        let did = stage.site.did("archive");
        let place = did.strip_prefix("did:web:").ok_or("the site has no did:web")?;
        let inception =
            NewWebVhDid { location: place, version_time: start, update_key: &update, next_update_keys: &[], ttl: None };
        let (did, text) = webvh::create_did(&inception, &|did| render(did, &[("key-1", &first)]))?;
        Ok(Self { did, text, start, update, first, second })
    }

    fn log(&self) -> Result<WebVhLog> {
        Ok(UnwitnessedLog::verify_entries(&self.did, self.text.as_bytes(), now(), 0)?.verify_witnesses(
            None,
            now(),
            0,
        )?)
    }

    /// Adds a version, so many seconds after the first.
    fn add(&mut self, seconds: i64, state: &Value, deactivate: bool) -> Result<()> {
        let change = LogUpdate {
            version_time: self.start.plus(seconds),
            state,
            update_keys: None,
            next_update_keys: None,
            deactivate,
        };
        self.text = webvh::append(&self.log()?, &self.text, &change, &self.update)?;
        Ok(())
    }

    /// A copy of the authority's, as the archive would have issued it with one of its keys.
    fn reissued(&self, copy: &Copy, name: &str, own: &SecretKey) -> Result<Copy> {
        let (token, disclosures) = copy.credential.split_once('~').ok_or("it is no SD-JWT")?;
        let token = Jws::parse(token)?;
        let (mut header, mut payload) = (token.header().clone(), token.payload().clone());
        header.insert("kid".to_owned(), format!("{}#{name}", self.did).into());
        payload.remove("credentialStatus");
        for name in ["issuer", "iss"] {
            match payload.get_mut(name) {
                Some(Value::Object(issuer)) => drop(issuer.insert("id".to_owned(), self.did.as_str().into())),
                Some(issuer) => *issuer = self.did.as_str().into(),
                None => {}
            }
        }
        let token = jose::sign(header, &payload, own)?;
        let key = SecretKey::from_bytes(copy.key.algorithm(), copy.key.to_bytes().as_ref())?;
        Ok(Copy { credential: format!("{token}~{disclosures}"), key })
    }
}

fn render(did: &Did, keys: &[(&str, &SecretKey)]) -> Value {
    let keys: Vec<_> = keys.iter().map(|(name, key)| ((*name).to_owned(), key.public_key())).collect();
    DidDocument::json_for_keys(did, &keys)
}

/// Publishes a log, lets the agency fetch it, and returns its answers to copies.
async fn refusals(stage: &mut Stage, log: &str, copies: &[&Copy]) -> Result<Vec<Option<String>>> {
    stage.site.publish_log("archive", log);
    stage.agency.cut_power()?;
    let mut refusals = Vec::new();
    for copy in copies {
        let asked = visitor::read_request(&stage.request("job-right-to-work")?.1).await?;
        let presentation = visitor::present(copy, &asked, now())?;
        refusals.push(visitor::refusal(&visitor::submit(&asked, presentation).await));
    }
    Ok(refusals)
}

fn accept(stage: &Stage, issuer: &str) -> Result<()> {
    let config = stage.agency.service.data.join("config.toml");
    let text = std::fs::read_to_string(&config)?;
    Ok(std::fs::write(config, format!("{text}\n[[issuers]]\ndid = {issuer:?}\ntypes = [{PERMIT:?}]\n"))?)
}

fn codes<const N: usize>(expected: [Option<&str>; N]) -> Vec<Option<String>> {
    expected.into_iter().map(|code| code.map(str::to_owned)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_key_of_an_earlier_version_signed_verifies_until_it_is_revoked() -> Result<()> {
    let mut stage = Stage::set(false).await?;
    let mut archive = Archive::open(&stage)?;
    accept(&stage, archive.did.as_str())?;
    let offered = stage.offer(&stage.authority, PERMIT, &residence_permit(), &[])?;
    let copy = visitor::collect(&offered.uri, None, now()).await?;
    let (old, new) =
        (archive.reissued(&copy, "key-1", &archive.first)?, archive.reissued(&copy, "key-2", &archive.second)?);
    let both = [&old, &new];

    let first = archive.text.clone();
    assert_eq!(refusals(&mut stage, &first, &both).await?, codes([None, Some("issuer_key_unknown")]));
    // The second version has another key, and no longer the first one.
    let document = render(&archive.did, &[("key-2", &archive.second)]);
    archive.add(1, &document, false)?;
    let second = archive.text.clone();
    assert_eq!(refusals(&mut stage, &second, &both).await?, codes([None, None]));

    // A changed or truncated history is refused, even for signatures that the current document would allow. The
    // agency was restarted in between.
    let unsigned: String = second
        .lines()
        .map(|line| {
            let mut entry: Value = serde_json::from_str(line).unwrap_or_default();
            if let Some(members) = entry.as_object_mut().filter(|entry| entry["versionId"].as_str() > Some("2")) {
                members.remove("proof");
            }
            format!("{entry}\n")
        })
        .collect();
    let without_first = second.split_once('\n').map(|(_, rest)| rest.to_owned()).unwrap_or_default();
    for (forged, code) in [
        (unsigned, "did_log_invalid"),
        (without_first, "did_log_invalid"),
        (second.replacen("key-1", "key-9", 1), "did_log_invalid"),
        (first, "did_log_forked"),
    ] {
        assert_ne!(forged, second);
        assert_eq!(refusals(&mut stage, &forged, &both).await?, codes([Some(code), Some(code)]));
    }
    assert_eq!(refusals(&mut stage, &second, &both).await?, codes([None, None]));

    // Marked as revoked in one version, and left out again: once is for ever.
    let mut revoking = render(&archive.did, &[("key-1", &archive.first), ("key-2", &archive.second)]);
    revoking["verificationMethod"][0]["revoked"] = now().to_string().into();
    archive.add(2, &revoking, false)?;
    archive.add(3, &document, false)?;
    let revoked = archive.text.clone();
    assert_eq!(refusals(&mut stage, &revoked, &both).await?, codes([Some("key_invalid"), None]));

    archive.add(4, &document, true)?;
    let ended = archive.text.clone();
    let deactivated = codes([Some("did_deactivated"), Some("did_deactivated")]);
    assert_eq!(refusals(&mut stage, &ended, &both).await?, deactivated);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_receives_from_an_issuer_that_proves_its_history_and_from_no_other() -> Result<()> {
    let mut stage = Stage::set(false).await?;
    stage.make_wallet()?;
    let data = stage.folder.join("archive");
    let place = stage.site.did("archive").replacen("did:web:", "did:webvh:", 1);
    let init = ["init", "--data", &data.display().to_string(), "--did", &place, "--json"].map(str::to_owned);
    let made = programs::run("carnet-issuer", init, &[])?.ok()?.json()?;
    let said = |name: &str| made.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    accept(&stage, &said("did"))?;
    let log = std::fs::read_to_string(said("did_document"))?;
    let (token, claims) = (stage.folder.join("archive.token"), stage.folder.join("claims.json"));
    std::fs::write(&token, said("staff_token"))?;
    std::fs::write(&claims, residence_permit().to_string())?;
    let started = || -> Result<Service> {
        let service = Service::start("carnet-issuer", &data)?;
        stage.site.gate().lead("archive", &service.url);
        Ok(service)
    };
    let service = started()?;
    let (token, claims) = (token.display().to_string(), claims.display().to_string());
    let offer = |service: &Service| -> Result<String> {
        let args = ["offer", "create", "--type", PERMIT, "--claims", &claims, "--json", "--server", &service.url];
        let said = programs::run("carnet-issuer", args.into_iter().chain(["--token-file", &token]), &[])?;
        Ok(said.ok()?.json()?.get("offer_uri").and_then(Value::as_str).ok_or("there is no offer")?.to_owned())
    };

    // As if an attacker at the web site had replaced a key.
    stage.site.publish_log("archive", &log.replacen("key-1", "key-9", 1));
    let refused = stage.carnet(&["receive", &offer(&service)?, "--yes"])?;
    assert!(refused.code != 0 && refused.stdout.contains("did_log_invalid"), "{refused:?}");
    stage.site.publish_log("archive", &log);
    let received = stage.carnet(&["receive", &offer(&service)?, "--yes"])?.ok()?.json()?;
    assert!(received.pointer("/received/0").is_some(), "{received}");

    // The log continues; an attempt to make the wallet believe the old one again is too late, in any run of the
    // program.
    let rotate = ["keys", "rotate", "--data", &data.display().to_string(), "--json"].map(str::to_owned);
    service.stop()?;
    programs::run("carnet-issuer", rotate, &[])?.ok()?;
    let service = started()?;
    let longer = std::fs::read_to_string(said("did_document"))?;
    assert!(longer.starts_with(&log) && longer != log);
    stage.site.publish_log("archive", &longer);
    stage.carnet(&["receive", &offer(&service)?, "--yes"])?.ok()?;
    stage.site.publish_log("archive", &log);
    let refused = stage.carnet(&["receive", &offer(&service)?, "--yes"])?;
    assert!(refused.code != 0 && refused.stdout.contains("did_log_forked"), "{refused:?}");
    stage.site.publish_log("archive", &longer);
    stage.carnet(&["receive", &offer(&service)?, "--yes"])?.ok()?;

    stage.agency.cut_power()?;
    let answer = stage.approve(&stage.request("job-right-to-work")?.1)?.1.ok()?.json()?;
    assert_eq!(answer.get("accepted"), Some(&Value::Bool(true)), "{answer}");
    Ok(())
}

/// A power cut at any instant leaves a valid log and a register that can continue it. `CARNET_KILLS` says how often.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_a_log_that_is_killed_can_be_gone_on_with() -> Result<()> {
    programs::build()?;
    let folder = tempfile::tempdir()?;
    Site::open().await?.write_ca(&folder.path().join("ca.pem"))?;
    let base = folder.path().join("base");
    let init = ["init", "--data", &base.display().to_string(), "--did", "did:webvh:office.example", "--json"];
    let made = programs::run("carnet-issuer", init, &[])?.ok()?.json()?;
    let did = Did::parse(made.get("did").and_then(Value::as_str).unwrap_or_default())?;
    let keys = Keys::of(folder.path(), &base)?;
    let length = |keys: &Keys| -> Result<usize> {
        let text = std::fs::read(keys.data.join("did.jsonl"))?;
        // Entries are a second apart at least, so that they may be ahead of the clock.
        let log = UnwitnessedLog::verify_entries(&did, &text, now(), 60)?.verify_witnesses(None, now(), 60)?;
        let document: Value = serde_json::from_slice(&std::fs::read(keys.data.join("did.json"))?)?;
        let versions = log.versions();
        Ok(if versions.last().is_some_and(|last| *last.state() == document) { versions.len() } else { 0 })
    };
    let whole = {
        let keys = keys.at(&folder.path().join("whole"));
        copy(&base, &keys.data)?;
        let began = Instant::now();
        keys.run(&["rotate"])?.ok()?;
        began.elapsed()
    };
    let kills: usize = std::env::var("CARNET_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(200);
    let mut done = 0;
    for _ in 0..kills {
        let keys = keys.at(&folder.path().join("cut"));
        copy(&base, &keys.data)?;
        let mut child = programs::bare(&mut Command::new(programs::directory()?.join("carnet-issuer")))
            .args(keys.command(&["rotate"]))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let most = u64::try_from(whole.as_micros())?.saturating_mul(5) / 4;
        std::thread::sleep(Duration::from_micros(OsRng.next_u64() % most.max(1)));
        child.kill()?;
        child.wait()?;
        // The log that a site may have published by then.
        let published = std::fs::read(keys.data.join("did.jsonl"))?;
        done += usize::from(published.iter().filter(|byte| **byte == b'\n').count() == 2);
        // Again: it succeeds, or reports that it was done; and the log has it, and continues.
        let _ = keys.run(&["rotate"])?;
        assert_eq!((keys.states()?, length(&keys)?), ("key-1 active, key-2 next".to_owned(), 2));
        assert!(std::fs::read(keys.data.join("did.jsonl"))?.starts_with(&published));
        keys.run(&["retire", "key-2", "--compromised"])?.ok()?;
        assert_eq!(length(&keys)?, 3);
    }
    println!("{done} of the entries were there before the cut");
    Ok(())
}
