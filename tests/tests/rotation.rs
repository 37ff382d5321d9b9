//! Keys with the real programs: rotation with overlap, retirement, compromise, and power cuts in the middle of it.

use std::{
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use carnet_core::{
    Problem,
    did::{Did, DidDocument, Resolve},
    json::{self, Limits},
    keys::{SecretKey, SignatureAlgorithm},
    receipt::{ErasureRequest, Receipt},
    secure::{
        jose::{self, Jws},
        sd_jwt::{KeyBindingMembers, SdJwt},
    },
    status::freshness,
};
use carnet_proto::issuer::v1::{CollectFreshnessRequest, issuance_service_client::IssuanceServiceClient};
use carnet_proto::verifier::v1::{
    ReadRequestRequest, RequestErasureRequest, presentation_service_client::PresentationServiceClient,
};
use carnet_tests::{
    Result,
    keys::{Keys, copy},
    programs,
    site::Site,
    stage::{Stage, residence_permit},
    visitor::{self, Asked, Copy},
};
use rand_core::{OsRng, RngCore as _};
use serde_json::{Value, json as value};

const PERMIT: &str = "ResidencePermitCredential";

async fn collect(stage: &Stage) -> Result<Copy> {
    let offered = stage.offer(&stage.authority, PERMIT, &residence_permit(), &[])?;
    visitor::collect(&offered.uri, None, visitor::now()).await
}

fn kid(copy: &Copy) -> Result<String> {
    let jwt = copy.credential.split('~').next().unwrap_or_default();
    let kid = Jws::parse(jwt)?.header().get("kid").and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(kid.split_once('#').ok_or("the kid has no fragment")?.1.to_owned())
}

/// The first key of a service, as a thief of its directory and of the key beside it has it.
fn stolen(keys: &Keys, elsewhere: &Path) -> Result<SecretKey> {
    copy(&keys.data, elsewhere)?;
    keys.at(elsewhere).run(&["unseal"])?.ok()?;
    let data = elsewhere;
    let register: Value = serde_json::from_slice(&std::fs::read(data.join("keys.json"))?)?;
    let plain = register.pointer("/keys/0/secret/plain").and_then(Value::as_str).ok_or("there is no secret")?;
    Ok(SecretKey::from_bytes(SignatureAlgorithm::EdDsa, &URL_SAFE_NO_PAD.decode(plain)?)?)
}

/// The same copy with an earlier date, signed with a stolen key.
fn forged(copy: &Copy, key: &SecretKey) -> Result<Copy> {
    let (jwt, disclosures) = copy.credential.split_once('~').ok_or("the copy is no SD-JWT")?;
    let jws = Jws::parse(jwt)?;
    let mut payload = jws.payload().clone();
    payload.insert("validFrom".to_owned(), value!("2020-01-01T00:00:00Z"));
    let mut header = jws.header().clone();
    header.remove("alg");
    let jwt = jose::sign(header, &payload, key)?;
    let key = SecretKey::from_bytes(SignatureAlgorithm::EdDsa, copy.key.to_bytes().as_slice())?;
    Ok(Copy { credential: format!("{jwt}~{disclosures}"), key })
}

/// Fetches the issuer's freshness statements on copies; `None` for copies that it does not vouch for.
async fn vouched(issuer: &str, copies: &[&Copy]) -> Result<Vec<Option<String>>> {
    let handles = copies.iter().map(|copy| freshness::copy_handle(&copy.credential).to_vec()).collect();
    let request = CollectFreshnessRequest { handles, ..Default::default() };
    let mut issuer = IssuanceServiceClient::connect(issuer.to_owned()).await?;
    let answer = issuer.collect_freshness(request).await?.into_inner();
    Ok(answer.copies.into_iter().map(|copy| Some(copy.statement).filter(|text| !text.is_empty())).collect())
}

/// Returns the agency's reason for refusing a copy with such a statement; `None` if it accepts it.
async fn stapled(stage: &Stage, copy: &Copy, statement: &str) -> Result<Option<String>> {
    let asked = visitor::read_request(&stage.request("job-right-to-work")?.1).await?;
    let selected = SdJwt::parse(&copy.credential)?.select_claims(&asked.paths)?;
    let stapled = KeyBindingMembers { freshness_statement: Some(statement), ..KeyBindingMembers::default() };
    let presentation =
        selected.bind_key_with_members(&stapled, &asked.nonce, &asked.audience, visitor::now(), &copy.key)?;
    Ok(visitor::refusal(&visitor::submit(&asked, presentation).await))
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_rotate_with_overlap_and_a_compromised_one_counts_no_more() -> Result<()> {
    let mut stage = Stage::set(false).await?;
    let keys = Keys::of(&stage.folder, &stage.authority.service.data)?;
    let old = collect(&stage).await?;
    assert_eq!((kid(&old)?.as_str(), stage.refusal(&old).await?), ("key-1", None));

    // A thief's credentials by the key hold until the key is marked, whatever date they have.
    let forged = forged(&old, &stolen(&keys, &stage.folder.join("stolen"))?)?;
    assert_eq!(stage.refusal(&forged).await?, None);

    // Not while the service signs.
    let busy = keys.run(&["rotate"])?;
    assert_eq!(busy.code, 3, "{busy:?}");
    assert!(busy.stderr.contains("Stop the service"), "{busy:?}");

    // The next key does not sign before it is published, nor before verifiers have had the time to read that.
    stage.authority.service.kill()?;
    keys.run(&["rotate"])?.ok()?;
    assert_eq!(keys.states()?, "key-1 active, key-2 next");
    let early = keys.run(&["activate", "--at-once"])?;
    assert_eq!(early.code, 3, "{early:?}");
    assert!(early.stderr.contains("key-2 is not listed"), "{early:?}");
    keys.publish(&stage.site, "authority")?;
    let early = keys.run(&["activate"])?;
    assert!(early.code == 3 && early.stderr.contains("--at-once"), "{early:?}");
    assert_eq!(keys.states()?, "key-1 active, key-2 next");
    stage.authority.cut_power()?;
    assert_eq!(kid(&collect(&stage).await?)?, "key-1");

    // With overlap: the agency has read the document by then.
    stage.agency.cut_power()?;
    stage.authority.service.kill()?;
    keys.run(&["activate", "--at-once"])?.ok()?;
    assert_eq!(keys.states()?, "key-1 retired, key-2 active");
    stage.authority.cut_power()?;
    let new = collect(&stage).await?;
    assert_eq!(kid(&new)?, "key-2");
    for copy in [&old, &new] {
        assert_eq!(stage.refusal(copy).await?, None);
    }

    // The thief of the old key can backdate: nothing that it signed counts by itself.
    stage.authority.service.kill()?;
    assert_eq!(keys.run(&["retire", "key-1", "--compromised", "--reason", " "])?.code, 1, "an empty reason");
    keys.run(&["retire", "key-1", "--compromised", "--reason", "backup tape lost"])?.ok()?;
    assert_eq!(keys.states()?, "key-1 compromised, key-2 active");
    let unpublished = keys.run(&["check"])?;
    assert_eq!(unpublished.code, 3, "{unpublished:?}");
    let unpublished = unpublished.json()?;
    assert_eq!(unpublished.get("differences"), Some(&value!(["key-1 is not marked as revoked"])));
    keys.publish(&stage.site, "authority")?;
    assert_eq!(keys.run(&["check"])?.ok()?.json()?.get("published"), Some(&value!(true)));
    stage.authority.cut_power()?;
    stage.agency.cut_power()?;
    for copy in [&old, &forged] {
        assert_eq!(stage.refusal(copy).await?.as_deref(), Some("key_invalid"));
    }
    assert_eq!(stage.refusal(&new).await?, None);

    // The issuer has the one in its records, and vouches for it with its new key; the other it does not know.
    let statements = vouched(&stage.authority.service.url, &[&old, &forged]).await?;
    let [Some(statement), None] = statements.as_slice() else { return Err(format!("{statements:?}").into()) };
    assert_eq!(stapled(&stage, &old, statement).await?, None);
    assert_eq!(stapled(&stage, &forged, statement).await?.as_deref(), Some("key_invalid"));
    let history = keys.run(&["list", "--history"])?.ok()?.json()?;
    let acts = history.get("history").and_then(Value::as_array).cloned().unwrap_or_default();
    let acts: Vec<&str> = acts.iter().filter_map(|act| act.get("act").and_then(Value::as_str)).collect();
    assert_eq!(acts, ["init", "rotate", "published", "activate", "compromised"]);

    // Nor does the service sign on after the key that it signs with is marked.
    stage.authority.service.kill()?;
    keys.run(&["rotate"])?.ok()?;
    keys.run(&["retire", "key-2", "--compromised"])?.ok()?;
    assert!(stage.authority.cut_power().is_err(), "it signs with a key that leaked");
    keys.publish(&stage.site, "authority")?;
    keys.run(&["activate", "--at-once"])?.ok()?;
    stage.authority.cut_power()?;
    assert_eq!(kid(&collect(&stage).await?)?, "key-3");
    Ok(())
}

/// Restores an older backup of the keys, which would undo the record of a leak if it were trusted.
#[tokio::test(flavor = "multi_thread")]
async fn keys_from_an_older_backup_undo_nothing_and_are_brought_up_to_what_is_published() -> Result<()> {
    let mut stage = Stage::set(false).await?;
    let keys = Keys::of(&stage.folder, &stage.authority.service.data)?;
    stage.authority.service.kill()?;
    let config = keys.data.join("config.toml");
    let with = std::fs::read_to_string(&config)? + "\n" + &std::fs::read_to_string(&keys.over)?;
    std::fs::write(&config, with)?;
    let (backup, newest) = (stage.folder.join("backup"), stage.folder.join("newest"));
    copy(&keys.data, &backup)?;
    keys.run(&["rotate"])?.ok()?;
    keys.publish(&stage.site, "authority")?;
    keys.run(&["activate", "--at-once"])?.ok()?;
    keys.run(&["retire", "key-1", "--compromised"])?.ok()?;
    keys.publish(&stage.site, "authority")?;
    keys.run(&["check"])?.ok()?;
    copy(&keys.data, &newest)?;

    // Only the keys were restored, or all of the directory.
    for whole in [false, true] {
        if whole {
            copy(&backup, &keys.data)?;
        } else {
            std::fs::copy(backup.join("keys.json"), keys.data.join("keys.json"))?;
        }
        let document = keys.document()?;
        for verb in [&["check"][..], &["rotate"]] {
            let refused = keys.run(verb)?;
            assert!(refused.code != 0 && refused.stderr.contains("are older than"), "{whole} {verb:?} {refused:?}");
            assert!(refused.stderr.contains("key-1 is revoked there; key-2 is not in keys.json"), "{refused:?}");
        }
        // The document to publish is unchanged.
        assert_eq!(keys.document()?, document);
        if whole {
            // The restored files fit each other; only the published document knows better.
            let mut service = programs::Service::start("carnet-issuer", &keys.data)?;
            assert_eq!(service.wait()?, 1);
            assert!(service.log().contains("are older than the published document"), "{}", service.log());
        } else {
            let refused = stage.authority.cut_power().err().ok_or("it signs with a key that leaked")?.to_string();
            assert!(refused.contains("are older than"), "{refused}");
        }
        assert_eq!(keys.states()?, "key-1 active");
        // Where there is no newer backup.
        let adopted = keys.run(&["check", "--adopt"])?.ok()?.json()?;
        assert_eq!(adopted.get("adopted"), Some(&value!(["key-1", "key-2"])));
        assert_eq!(keys.states()?, "key-1 compromised, key-2 retired");
        keys.run(&["rotate"])?.ok()?;
        assert_eq!(keys.states()?, "key-1 compromised, key-2 retired, key-3 next");
        let revoked = keys.document()?.pointer("/verificationMethod/0/revoked").cloned();
        assert!(revoked.is_some_and(|at| at.is_string()));
        copy(&newest, &keys.data)?;
    }
    // The twin: the newest backup passes.
    keys.run(&["check"])?.ok()?;
    stage.authority.cut_power()?;
    assert_eq!(kid(&collect(&stage).await?)?, "key-2");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keys_of_an_issuer_under_did_webvh_rotate_in_its_log() -> Result<()> {
    let mut stage = Stage::set(false).await?;
    let data = stage.folder.join("logged");
    let keys = Keys::of(&stage.folder, &data)?;
    let place = stage.site.did("logged").replacen("did:web:", "did:webvh:", 1);
    let init = ["init", "--data", &data.display().to_string(), "--did", &place, "--json"].map(str::to_owned);
    let made = programs::run("carnet-issuer", init, &[])?.ok()?.json()?;
    let text = |name: &str| made.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let did = text("did");
    assert!(did.starts_with("did:webvh:Qm") && did.ends_with(":logged"), "{did}");
    assert!(text("publish_at").ends_with("/logged/did.jsonl"), "{made}");
    let publish = |stage: &Stage| -> Result<()> {
        stage.site.publish_log("logged", &std::fs::read_to_string(text("did_document"))?);
        Ok(())
    };
    publish(&stage)?;
    let token = stage.folder.join("logged.token");
    std::fs::write(&token, text("staff_token"))?;
    let config = stage.agency.service.data.join("config.toml");
    let agency = std::fs::read_to_string(&config)?;
    std::fs::write(&config, format!("{agency}\n[[issuers]]\ndid = {did:?}\ntypes = [{PERMIT:?}]\n"))?;
    let gate = stage.site.gate();
    let start = || -> Result<programs::Service> {
        let service = programs::Service::start("carnet-issuer", &data)?;
        gate.lead("logged", &service.url);
        Ok(service)
    };
    let claims = stage.folder.join("claims.json");
    std::fs::write(&claims, residence_permit().to_string())?;
    let files = [claims.display().to_string(), "--token-file".to_owned(), token.display().to_string()];
    let collect = async |service: &programs::Service| -> Result<Copy> {
        let args = ["offer", "create", "--type", PERMIT, "--json", "--server", &service.url, "--claims"];
        let args = args.iter().map(|arg| (*arg).to_owned()).chain(files.clone());
        let offer = programs::run("carnet-issuer", args, &[])?.ok()?.json()?;
        let uri = offer.get("offer_uri").and_then(Value::as_str).ok_or("there is no offer")?;
        visitor::collect(uri, None, visitor::now()).await
    };
    let service = start()?;
    let old = collect(&service).await?;
    service.stop()?;
    let early = ["keys.json", "did.json"].map(|name| (data.join(name), std::fs::read(data.join(name))));
    keys.run(&["rotate"])?.ok()?;
    assert_eq!(keys.run(&["activate", "--at-once"])?.code, 3, "it was not published");
    publish(&stage)?;
    keys.run(&["activate", "--at-once"])?.ok()?;
    let service = start()?;
    let new = collect(&service).await?;
    assert_eq!((kid(&old)?, kid(&new)?), ("key-1".to_owned(), "key-2".to_owned()));
    stage.agency.cut_power()?;
    for copy in [&old, &new] {
        assert_eq!(stage.refusal(copy).await?, None);
    }
    service.stop()?;
    keys.run(&["retire", "key-1", "--compromised"])?.ok()?;
    publish(&stage)?;
    let service = start()?;
    stage.agency.cut_power()?;
    assert_eq!(stage.refusal(&old).await?.as_deref(), Some("key_invalid"));
    assert_eq!(stage.refusal(&new).await?, None);

    // Older keys beside the log: nothing signs with them, and nothing is changed by them.
    service.stop()?;
    let log = std::fs::read(text("did_document"))?;
    for (path, bytes) in early {
        std::fs::write(path, bytes?)?;
        assert!(start().is_err_and(|error| error.to_string().contains("are older than")));
        let document = keys.document()?;
        for verb in ["check", "rotate"] {
            let refused = keys.run(&[verb])?;
            assert!(refused.code != 0 && refused.stderr.contains("are older than"), "{refused:?}");
        }
        assert_eq!((keys.document()?, std::fs::read(text("did_document"))?), (document, log.clone()));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verifiers_keys_rotate_and_its_receipts_go_on_being_its_own() -> Result<()> {
    let stage = Stage::set(false).await?;
    // A DID that is made of its key has that key for ever.
    let agency = Keys { program: "carnet-verifier", ..Keys::of(&stage.folder, &stage.agency.service.data)? };
    let refused = agency.run(&["rotate"])?;
    assert!(refused.code == 1 && refused.stderr.contains("contains its key"), "{refused:?}");

    let data = stage.folder.join("checker");
    let did = stage.site.did("checker");
    let keys = Keys { program: "carnet-verifier", ..Keys::of(&stage.folder, &data)? };
    let init = ["init", "--data", &data.display().to_string(), "--did", &did, "--json"].map(str::to_owned);
    let made = programs::run("carnet-verifier", init, &[])?.ok()?.json()?;
    let token = stage.folder.join("checker.token");
    std::fs::write(&token, made.get("staff_token").and_then(Value::as_str).unwrap_or_default())?;
    let config = std::fs::read_to_string(data.join("config.toml"))? + &std::fs::read_to_string(&keys.over)?;
    let accepted = format!("{config}\n[[issuers]]\ndid = {:?}\ntypes = [{PERMIT:?}]\n", stage.authority.did);
    std::fs::write(data.join("config.toml"), accepted)?;

    let copy = collect(&stage).await?;
    let ask = async |service: &programs::Service| -> Result<(String, Asked)> {
        let args = ["request", "create", "--template", "job-right-to-work", "--json", "--server", &service.url];
        let token = token.display().to_string();
        let said =
            programs::run("carnet-verifier", args.into_iter().chain(["--token-file", &token]), &[])?.ok()?.json()?;
        let uri = said.get("request_uri").and_then(Value::as_str).ok_or("there is no request")?;
        let asked = visitor::read_request(uri).await?;
        let read = ReadRequestRequest { id: asked.id.clone() };
        let mut verifier = PresentationServiceClient::connect(asked.endpoint.clone()).await?;
        let object = Jws::parse(&verifier.read_request(read).await?.into_inner().request_object)?;
        let kid = object.header().get("kid").and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok((kid, asked))
    };
    let service = programs::Service::start("carnet-verifier", &data)?;
    let mut receipts = Vec::new();
    for _ in 0..2 {
        let (kid, asked) = ask(&service).await?;
        assert_eq!(kid, format!("{did}#key-1"));
        let answer = visitor::submit(&asked, visitor::present(&copy, &asked, visitor::now())?).await;
        assert_eq!(visitor::refusal(&answer), None);
        receipts.push(answer?.receipt);
    }
    service.stop()?;
    let [first, second] = <[String; 2]>::try_from(receipts).map_err(|_| "there are not two receipts")?;

    keys.run(&["rotate"])?.ok()?;
    keys.publish(&stage.site, "checker")?;
    keys.run(&["activate", "--at-once"])?.ok()?;
    let own = DidDocument::parse(&Did::parse(&did)?, &keys.document()?)?;
    let resolver = One(Arc::new(own));
    let erase = async |service: &programs::Service, text: &str| -> Result<std::result::Result<(), String>> {
        let document = json::parse_object(text.as_bytes(), Limits::DOCUMENT)?;
        let receipt = Receipt::verify_own(&document, &did, visitor::now(), 60, &resolver)?;
        let proof = ErasureRequest::sign(&receipt, &copy.key, visitor::now())?;
        let mut verifier = PresentationServiceClient::connect(service.url.clone()).await?;
        let answer = verifier.request_erasure(RequestErasureRequest { receipt: text.to_owned(), proof }).await;
        Ok(answer.map(drop).map_err(|status| visitor::reason(&status)))
    };
    let service = programs::Service::start("carnet-verifier", &data)?;
    assert_eq!(ask(&service).await?.0, format!("{did}#key-2"));
    assert_eq!(erase(&service, &first).await?, Ok(()));
    service.stop()?;

    // With a stolen key anybody could make receipts for others' presentations, and have those erased.
    keys.run(&["retire", "key-1", "--compromised"])?.ok()?;
    let service = programs::Service::start("carnet-verifier", &data)?;
    assert_eq!(erase(&service, &second).await?, Err("key_invalid".to_owned()));
    service.stop()?;
    Ok(())
}

/// One document.
struct One(Arc<DidDocument>);

impl Resolve for One {
    fn resolve(&self, _: &Did) -> std::result::Result<Arc<DidDocument>, Problem> {
        Ok(Arc::clone(&self.0))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_key_opens_at_the_start_and_lies_nowhere_in_plain_text() -> Result<()> {
    programs::build()?;
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let at = data.display().to_string();
    let init = ["init", "--data", &at, "--did", "did:web:office.example", "--plain-text-keys"].map(str::to_owned);
    programs::run("carnet-issuer", init, &[])?.ok()?;
    let keys = Keys { program: "carnet-issuer", data: data.clone(), over: folder.path().join("keys.toml") };
    let secret = || -> Result<Value> {
        let register: Value = serde_json::from_slice(&std::fs::read(data.join("keys.json"))?)?;
        Ok(register.pointer("/keys/0/secret").cloned().unwrap_or_default())
    };
    let plain = secret()?.get("plain").and_then(Value::as_str).ok_or("the key is not in plain text")?.to_owned();
    let (right, wrong) = (folder.path().join("right"), folder.path().join("wrong"));
    for (name, form, texts) in [
        ("kek", "kek", ["4f".repeat(32), "50".repeat(32)]),
        ("passphrase", "age", ["correct horse battery staple".to_owned(), "correct house".to_owned()]),
    ] {
        let [good, bad] = texts;
        std::fs::write(&right, good)?;
        std::fs::write(&wrong, bad)?;
        let configure = |source: &Path| {
            std::fs::write(&keys.over, format!("[keys]\n{name} = {:?}\n", format!("file:{}", source.display())))
        };
        // Not without the source of a key.
        std::fs::write(&keys.over, "")?;
        let refused = keys.run(&["seal"])?;
        assert!(refused.code == 1 && refused.stderr.contains("under [keys]"), "{refused:?}");
        configure(&right)?;
        keys.run(&["seal"])?.ok()?;
        assert!(secret()?.get(form).is_some(), "{form}");
        for entry in std::fs::read_dir(&data)? {
            let bytes = std::fs::read(entry?.path())?;
            assert!(!bytes.windows(plain.len()).any(|window| window == plain.as_bytes()), "the secret is on the disk");
        }
        // The service needs it, and never prints it.
        let serve = |env: &[(&str, &str)]| programs::Service::start_with("carnet-issuer", &data, env);
        let config = std::fs::read_to_string(data.join("config.toml"))?;
        let with = |source: &Path| format!("{config}\n[keys]\n{name} = {:?}\n", format!("file:{}", source.display()));
        std::fs::write(data.join("config.toml"), with(&wrong))?;
        let refused = serve(&[]).err().ok_or("it started")?.to_string();
        assert!(refused.contains("does not open the signing key"), "{refused}");
        std::fs::write(data.join("config.toml"), with(&right))?;
        let service = serve(&[])?;
        assert!(!service.log().contains(&plain));
        service.stop()?;
        std::fs::write(data.join("config.toml"), config)?;
        // Another one replaces it in one step: the configuration names the sealing one, the command line the opening
        // one.
        configure(&wrong)?;
        let register = std::fs::read(data.join("keys.json"))?;
        for from in [None, Some(&wrong)] {
            let old = from.map(|path| format!("--old-{name}=file:{}", path.display()));
            let refused = keys.run(&["seal"].into_iter().chain(old.as_deref()).collect::<Vec<_>>())?;
            assert!(refused.code == 1 && refused.stderr.contains("does not open"), "{refused:?}");
        }
        assert_eq!(std::fs::read(data.join("keys.json"))?, register);
        keys.run(&["seal", &format!("--old-{name}=file:{}", right.display())])?.ok()?;
        assert!(secret()?.get(form).is_some(), "{form}");
        keys.run(&["unseal"])?.ok()?;
        assert_eq!(secret()?.get("plain").and_then(Value::as_str), Some(plain.as_str()));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_alone_opens_no_key_unless_that_was_wanted() -> Result<()> {
    programs::build()?;
    let folder = tempfile::tempdir()?;
    for (program, did) in [("carnet-issuer", "did:web:office.example"), ("carnet-verifier", "did:web:office.example")] {
        let data = folder.path().join(program);
        let at = data.display().to_string();
        let init = |more: &[&str]| {
            let args = ["init", "--data", &at, "--did", did, "--json"];
            programs::run(program, args.iter().chain(more).map(|arg| (*arg).to_owned()), &[])
        };
        let made = init(&[])?.ok()?.json()?;
        let kek = made.get("kek").and_then(Value::as_str).ok_or("init does not say where the key is")?.to_owned();
        programs::Service::start_with(program, &data, &[])?.stop()?;
        std::fs::rename(&kek, folder.path().join("elsewhere"))?;
        let refused = programs::Service::start_with(program, &data, &[]).err().ok_or("it started")?.to_string();
        assert!(refused.contains("key-encryption key could not be read"), "{refused}");
        // A failed start leaves none behind.
        assert_eq!(init(&[])?.code, 1);
        assert!(!Path::new(&kek).exists());
        std::fs::remove_dir_all(&data)?;
        init(&["--plain-text-keys"])?.ok()?;
        assert!(!Path::new(&kek).exists());
        let service = programs::Service::start_with(program, &data, &[])?;
        assert!(service.log().contains("unencrypted"), "{}", service.log());
        service.stop()?;
    }
    Ok(())
}

/// A power cut at any instant of a change leaves the old keys or the new ones; the verb run again completes it.
/// `CARNET_KILLS` says how often.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_keys_that_is_killed_is_done_or_not_done() -> Result<()> {
    programs::build()?;
    let folder = tempfile::tempdir()?;
    let site = Site::open().await?;
    site.write_ca(&folder.path().join("ca.pem"))?;
    let did = site.did("office");
    let base = folder.path().join("base");
    programs::run("carnet-issuer", ["init", "--data", &base.display().to_string(), "--did", &did], &[])?.ok()?;
    let keys = Keys::of(folder.path(), &base)?;

    // The command to kill, the states before and after, and whether the document has it by then.
    let rotated = folder.path().join("rotated");
    copy(&base, &rotated)?;
    keys.at(&rotated).run(&["rotate"])?.ok()?;
    let changes: [(&[&str], &Path, &str, &str); 3] = [
        (&["rotate"], &base, "key-1 active", "key-1 active, key-2 next"),
        (&["activate", "--at-once"], &rotated, "key-1 active, key-2 next", "key-1 retired, key-2 active"),
        (&["retire", "key-1", "--compromised"], &rotated, "key-1 active, key-2 next", "key-1 compromised, key-2 next"),
    ];
    let kills: usize = std::env::var("CARNET_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(200);
    let mut done = 0;
    for (args, from, before, after) in changes {
        keys.at(from).publish(&site, "office")?;
        let whole = {
            let keys = keys.at(&folder.path().join("whole"));
            copy(from, &keys.data)?;
            let began = Instant::now();
            keys.run(args)?.ok()?;
            began.elapsed()
        };
        for _ in 0..kills.div_ceil(changes.len()) {
            let keys = keys.at(&folder.path().join("cut"));
            copy(from, &keys.data)?;
            let mut child = programs::bare(&mut Command::new(programs::directory()?.join("carnet-issuer")))
                .args(keys.command(args))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()?;
            let most = u64::try_from(whole.as_micros())?.saturating_mul(5) / 4;
            std::thread::sleep(Duration::from_micros(OsRng.next_u64() % most.max(1)));
            child.kill()?;
            child.wait()?;
            let found = keys.states()?;
            assert!(found == before || found == after, "{args:?}: {found}");
            done += usize::from(found == after);
            // Again: it succeeds, or reports that it was done; and the document has it.
            let again = keys.run(args)?;
            assert_eq!(again.code == 0, found == before, "{args:?}: {again:?}");
            assert_eq!(keys.states()?, after);
            let document = keys.document()?;
            let methods = document.get("verificationMethod").and_then(Value::as_array).map_or(0, Vec::len);
            assert_eq!((methods, document.to_string().contains("revoked")), (2, args.contains(&"--compromised")));
        }
    }
    println!("{done} of the changes were done before the cut");
    Ok(())
}
