//! Status lists with the real programs: fetched over HTTPS through the web site before the issuer, and through power
//! cuts.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use carnet_core::{
    did::{Did, DidDocument, Resolve},
    keys::{Algorithm, SecretKey, Signer as _},
    secure::data_integrity::Suites,
    status::{StatusList, VerifiedStatusList, bitstring, cwt, token},
};
use carnet_tests::{
    Result, programs,
    stage::{Office, Stage, qualification, residence_permit},
    visitor,
};
use rand_core::{OsRng, RngCore as _};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;

const PERMIT: &str = "ResidencePermitCredential";
/// Number of power cuts in the test of them, unless `CARNET_KILLS` sets another.
const KILLS: u32 = 200;

/// A client of the web site, which trusts only its certificate authority.
struct Client(TlsConnector);

/// An answer over HTTPS.
struct Answer {
    code: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Result<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let found = lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        found.ok_or_else(|| format!("the answer has no {name}").into())
    }
}

impl Client {
    fn new(stage: &Stage) -> Result<Self> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(stage.folder.join("ca.pem"))?)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    /// Gets `https://localhost:PORT/PATH`, with further header lines.
    async fn get(&self, url: &str, more: &str) -> Result<Answer> {
        let (host, path) = url.strip_prefix("https://").and_then(|rest| rest.split_once('/')).ok_or("no URL")?;
        let stream = tokio::net::TcpStream::connect(host.replace("localhost", "127.0.0.1")).await?;
        let mut stream = self.0.connect("localhost".try_into()?, stream).await?;
        let request = format!("GET /{path} HTTP/1.1\r\nhost: {host}\r\n{more}\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await?;
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").ok_or("no answer")?;
        let body = bytes.split_off(end).split_off(4);
        let head = String::from_utf8(bytes)?;
        let code = head.split(' ').nth(1).ok_or("no status")?.parse()?;
        Ok(Answer { code, head, body })
    }

    async fn text(&self, url: &str) -> Result<String> {
        let answer = self.get(url, "").await?;
        if answer.code == 200 {
            Ok(String::from_utf8(answer.body)?)
        } else {
            Err(format!("{url}: {}", answer.code).into())
        }
    }
}

/// Status lists of an office, each in its format, at one instant.
struct Lists {
    revocation: StatusList,
    suspension: StatusList,
    token: StatusList,
}

impl Lists {
    async fn fetch(client: &Client, office: &Office) -> Result<Self> {
        let base = base(office);
        let revocation = bits(&client.text(&format!("{base}/revocation/0")).await?)?;
        let suspension = bits(&client.text(&format!("{base}/suspension/0")).await?)?;
        let compact = client.text(&format!("{base}/token/0")).await?;
        let payload = carnet_core::secure::jose::Jws::parse_within(&compact, carnet_core::json::Limits::LIST)?;
        let token = token::parse_list(payload.payload().get("status_list").ok_or("the token has no list")?)?;
        Ok(Self { revocation, suspension, token })
    }

    /// The state of an entry, in which the forms agree.
    fn state(&self, index: u64) -> Result<&'static str> {
        match (self.revocation.value(index)?, self.suspension.value(index)?, self.token.value(index)?) {
            (0, 0, token::VALID) => Ok("valid"),
            (0, 1, token::SUSPENDED) => Ok("suspended"),
            (1, 1, token::INVALID) => Ok("revoked"),
            other => Err(format!("the forms of entry {index} differ: {other:?}").into()),
        }
    }
}

fn bits(text: &str) -> Result<StatusList> {
    let document: Value = serde_json::from_str(text)?;
    let encoded = document.pointer("/credentialSubject/encodedList").and_then(Value::as_str);
    Ok(bitstring::decode(encoded.ok_or("the credential has no list")?, 1)?)
}

/// URL of an office's lists: beside its DID document.
fn base(office: &Office) -> String {
    let place = office.did.trim_start_matches("did:web:").replace(':', "/").replace("%3A", ":");
    format!("https://{place}/status")
}

/// Returns the issuer's records of an offer's copies: entry and state.
fn shown(office: &Office, offer: &str) -> Result<Vec<(u64, String)>> {
    let said = office.staff(&["status", "show", offer])?.ok()?.json()?;
    let copies = said.get("copies").and_then(Value::as_array).ok_or("no copies")?;
    let copy = |copy: &Value| -> Option<(u64, String)> {
        Some((copy.get("index")?.as_u64()?, copy.get("status")?.as_str()?.to_owned()))
    };
    Ok(copies.iter().filter_map(copy).collect())
}

async fn issued(stage: &Stage) -> Result<String> {
    let offered = stage.offer(&stage.authority, PERMIT, &residence_permit(), &[])?;
    visitor::collect(&offered.uri, None, visitor::now()).await?;
    Ok(offered.id)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_staff_do_is_in_the_lists_that_everybody_fetches() -> Result<()> {
    let stage = Stage::set(false).await?;
    let office = &stage.authority;
    let client = Client::new(&stage)?;
    let (mine, other) = (issued(&stage).await?, issued(&stage).await?);
    let index = shown(office, &mine)?.first().ok_or("no copy")?.0;
    let other = shown(office, &other)?.first().ok_or("no copy")?.0;
    assert_eq!(Lists::fetch(&client, office).await?.state(index)?, "valid");

    for (verb, state) in [("suspend", "suspended"), ("reinstate", "valid"), ("revoke", "revoked")] {
        let done = office
            .staff(&["status", verb, &mine, "--urgent", "--yes", "--reason", "a case worker decided"])?
            .ok()?
            .json()?;
        assert_eq!(done.get("published"), Some(&Value::Bool(true)));
        let lists = Lists::fetch(&client, office).await?;
        assert_eq!((lists.state(index)?, lists.state(other)?), (state, "valid"));
        assert!(shown(office, &mine)?.iter().all(|(_, shown)| shown == state));
    }
    // It stays revoked, whatever staff try; and the record can be read.
    let refused = office.staff(&["status", "reinstate", &mine, "--reason", "a slip"])?;
    assert_eq!(refused.code, 1);
    assert!(
        refused.stderr.contains("STATUS_REVOKED") || refused.stderr.contains("cannot be undone"),
        "{}",
        refused.stderr
    );
    let acts = office.staff(&["status", "audit", &mine])?.ok()?.json()?;
    let acts = acts.get("acts").and_then(Value::as_array).ok_or("no acts")?;
    let verbs: Vec<&str> = acts.iter().filter_map(|act| act.get("verb").and_then(Value::as_str)).collect();
    assert_eq!(verbs, ["revoke", "reinstate", "suspend"]);

    // Found only by the directory, and not sent again if nothing changed.
    let directory = client.text(&format!("{}/lists", base(office))).await?;
    let directory: Value = serde_json::from_str(&directory)?;
    let urls = directory.get("status_lists").and_then(Value::as_array).ok_or("no lists")?;
    assert_eq!(urls.len(), 3);
    for url in urls.iter().filter_map(Value::as_str) {
        let first = client.get(url, "").await?;
        assert_eq!((first.code, first.header("cache-control")?), (200, "public, max-age=300"));
        let again = client.get(url, &format!("if-none-match: {}\r\n", first.header("etag")?)).await?;
        assert_eq!((again.code, again.body.len()), (304, 0));
    }
    Ok(())
}

/// The document that an office has published.
struct Published(DidDocument);

impl Resolve for Published {
    fn resolve(&self, _: &Did) -> std::result::Result<Arc<DidDocument>, carnet_core::Problem> {
        Ok(Arc::new(self.0.clone()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_for_cbor_gets_the_same_list_in_cbor() -> Result<()> {
    let stage = Stage::set(false).await?;
    let office = &stage.authority;
    let client = Client::new(&stage)?;
    let offer = issued(&stage).await?;
    let index = shown(office, &offer)?.first().ok_or("no copy")?.0;
    office.staff(&["status", "suspend", &offer, "--reason", "a case worker decided"])?.ok()?;

    let did = Did::parse(&office.did)?;
    let document = std::fs::read(office.service.data.join("did.json"))?;
    let document = Published(DidDocument::parse(&did, &serde_json::from_slice(&document)?)?);
    let url = format!("{}/token/0", base(office));
    let in_cbor = client.get(&url, "accept: application/statuslist+cwt\r\n").await?;
    let in_json = client.get(&url, "accept: */*\r\n").await?;
    for (answer, media_type) in [(&in_cbor, cwt::MEDIA_TYPE), (&in_json, token::MEDIA_TYPE)] {
        assert_eq!((answer.code, answer.header("content-type")?), (200, media_type));
        assert_eq!((answer.header("vary")?, answer.header("cache-control")?), ("accept", "public, max-age=300"));
        let listed =
            VerifiedStatusList::verify(&answer.body, &url, &did, (visitor::now(), 60), (&document, &Suites::none()))?;
        assert_eq!(listed.value(&token::TokenStatusReference { uri: url.clone(), index })?, token::SUSPENDED);
        let other = VerifiedStatusList::verify(
            &answer.body,
            &base(office),
            &did,
            (visitor::now(), 60),
            (&document, &Suites::none()),
        );
        assert_eq!(other.map(drop).map_err(|problem| problem.code), Err(carnet_core::Code::StatusListMismatch));
    }
    // Each has its own tag: a cache that has the one does not take it for the other.
    let tagged = |answer: &Answer, accept: &str| {
        Ok::<_, carnet_tests::Error>(format!("accept: {accept}\r\nif-none-match: {}\r\n", answer.header("etag")?))
    };
    for (answer, accept, code) in [
        (&in_cbor, cwt::MEDIA_TYPE, 304),
        (&in_cbor, "*/*", 200),
        (&in_json, cwt::MEDIA_TYPE, 200),
        (&in_json, "*/*", 304),
    ] {
        let again = client.get(&url, &tagged(answer, accept)?).await?;
        assert_eq!((again.code, again.header("vary")?), (code, "accept"), "{accept}");
    }
    Ok(())
}

/// Serves the names of a hundred lists, and takes a second for each, which is malformed; returns the number of
/// requests.
async fn slow_lists(base: String) -> Result<(String, Arc<AtomicUsize>)> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}", listener.local_addr()?);
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        let urls: Vec<String> = (0..100).map(|number| format!("{base}/status/token/{number}")).collect();
        let directory = json!({ "status_lists": urls }).to_string();
        while let Ok((mut stream, _)) = listener.accept().await {
            let (directory, count) = (directory.clone(), Arc::clone(&count));
            tokio::spawn(async move {
                let mut head = [0; 4096];
                let read = stream.read(&mut head).await.unwrap_or_default();
                let body = if String::from_utf8_lossy(head.get(..read).unwrap_or_default()).contains("/lists ") {
                    directory
                } else {
                    count.fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    "no list".to_owned()
                };
                let answer =
                    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
                stream.write_all(answer.as_bytes()).await.ok();
            });
        }
    });
    Ok((address, asked))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_answers_slowly_does_not_keep_the_lists_of_others_waiting() -> Result<()> {
    let mut stage = Stage::set(false).await?;
    let slow = stage.site.did("slow");
    let base = slow.trim_start_matches("did:web:").replace(':', "/").replace("%3A", ":");
    let (behind, asked) = slow_lists(format!("https://{base}")).await?;
    stage.site.gate().lead("slow", &behind);
    let key = SecretKey::generate(Algorithm::EdDsa, &mut OsRng);
    let did = Did::parse(&slow)?;
    let document = DidDocument::render(&did, &[("key-1".to_owned(), key.public_key())]);
    let document = DidDocument::with_status_lists(&did, document, &format!("https://{base}/status/lists"));
    stage.site.publish("slow", &document.to_string());
    let config = stage.agency.service.data.join("config.toml");
    let text = std::fs::read_to_string(&config)?;
    std::fs::write(&config, format!("{text}\n[[issuers]]\ndid = {slow:?}\ntypes = [{PERMIT:?}]\n"))?;
    stage.agency.cut_power()?;

    // The others' are there as soon as it serves, and it continues with those of the slow one.
    let offered = stage.offer(&stage.authority, PERMIT, &residence_permit(), &[])?;
    let copy = visitor::collect(&offered.uri, None, visitor::now()).await?;
    let (_, uri) = stage.request("job-right-to-work")?;
    let request = visitor::read_request(&uri).await?;
    let answer = visitor::submit(&request, visitor::present(&copy, &request, visitor::now())?).await;
    assert_eq!(visitor::refusal(&answer), None);
    assert!(asked.load(Ordering::SeqCst) < 100);
    while asked.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_act_is_counted_before_it_is_done() -> Result<()> {
    let stage = Stage::set(false).await?;
    let office = &stage.authority;
    let offers = [issued(&stage).await?, issued(&stage).await?, issued(&stage).await?];
    let file = stage.folder.join("ids");
    std::fs::write(&file, format!("# of the batch of March\n{}\n{}\n\n", offers[0], offers[1]))?;
    let file = file.display().to_string();
    let reason = ["--reason", "a batch was wrong"];
    let act = |more: &[&str]| {
        office.staff(&["status", "suspend"].into_iter().chain(more.iter().copied()).chain(reason).collect::<Vec<_>>())
    };
    for (whom, count) in [(vec!["--file", file.as_str()], 2), (vec!["--type", PERMIT], 3)] {
        let with = |more: &[&str]| act(&[whom.as_slice(), more].concat());
        let counted = with(&["--dry-run"])?.ok()?.json()?;
        assert_eq!(counted.get("credentials").and_then(Value::as_u64), Some(count));
        assert_eq!(with(&[])?.code, 1, "without the count");
        assert_eq!(with(&["--yes", "--count", "1"])?.code, 1, "with another count");
        for half in [vec!["--yes"], vec!["--count", &count.to_string()]] {
            assert!(with(&half)?.stderr.contains("--count and that number"), "{half:?}");
        }
        // The earlier options name their replacements.
        for (before, code) in [(["--yes-count", "2"], 1), (["--yes", "2"], 2)] {
            let refused = with(&before)?;
            assert!(refused.code == code && refused.stderr.contains("--yes --count 2"), "{refused:?}");
        }
        for offer in &offers {
            assert!(shown(office, offer)?.iter().all(|(_, state)| state == "valid"));
        }
        with(&["--yes", "--count", &count.to_string()])?.ok()?;
        let suspended = offers.iter().map(|offer| shown(office, offer)).collect::<Result<Vec<_>>>()?;
        let suspended = suspended.iter().filter(|copies| copies.iter().all(|(_, state)| state == "suspended")).count();
        assert_eq!(u64::try_from(suspended)?, count);
        let back =
            ["status", "reinstate", "--type", PERMIT, "--yes", "--count", "3", "--reason", "the end of the test"];
        office.staff(&back)?.ok()?;
    }
    assert_eq!(act(&[])?.code, 2, "nobody is named");
    let nothing = act(&["--until", "2020-01-01", "--yes", "--count", "0"])?;
    assert!(nothing.code == 1 && nothing.stderr.contains("(NOTHING_MATCHES)"), "{nothing:?}");

    // The changes of one act are undone with its own list of ids, and an earlier suspension stays.
    office.staff(&["status", "suspend", &offers[0], "--reason", "rightly"])?.ok()?;
    let wrong = act(&["--type", PERMIT, "--yes", "--count", "3"])?.ok()?.json()?;
    let number = wrong.get("act").cloned().unwrap_or_default().to_string();
    let ids = office.staff(&["status", "changed", &number])?.ok()?.json()?.get("ids").cloned().unwrap_or_default();
    let ids: Vec<&str> = ids.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    std::fs::write(&file, ids.join("\n"))?;
    let back = ["status", "reinstate", "--file", &file, "--yes", "--count", "2", "--reason", "the filter was wrong"];
    office.staff(&back)?.ok()?;
    for (offer, expected) in offers.iter().zip(["suspended", "valid", "valid"]) {
        assert!(shown(office, offer)?.iter().all(|(_, state)| state == expected), "{offer} {expected}");
    }
    Ok(())
}

/// The day in some minutes, plus or minus so many days: never one that ends while a test runs.
fn day_from_today(days: i64) -> String {
    let at = visitor::now().plus(600).plus(days.saturating_mul(86_400)).start_of_day().to_string();
    at.chars().take("YYYY-MM-DD".len()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_last_day_is_the_same_and_is_included_in_every_time_zone() -> Result<()> {
    let mut stage = Stage::set(false).await?;
    // It is about single days.
    stage.authority = stage.authority.configured("[cohorts]\nepoch = \"day\"\n")?;
    stage.make_wallet()?;
    let (yesterday, today, tomorrow) = (day_from_today(-1), day_from_today(0), day_from_today(1));
    for (round, zone) in ["<+14>-14", "<-11>11"].into_iter().enumerate() {
        let env = [("TZ", zone)];
        stage.authority = stage.authority.restart_with(&env)?;
        stage.agency = stage.agency.restart_with(&env)?;
        let office = &stage.authority;
        let token = office.token_file.display().to_string();
        let staff = |args: &[&str]| {
            let all = [args, &["--server", &office.service.url, "--token-file", &token]].concat();
            programs::run("carnet-issuer", all, &env)
        };
        let carnet = |args: &[&str], flags: &[&str]| {
            programs::run("carnet", stage.carnet_arguments("wallet.age", args, flags), &env)
        };
        let claims = stage.folder.join("claims.json");
        std::fs::write(&claims, serde_json::to_vec(&residence_permit())?)?;
        let claims = claims.display().to_string();
        let offer = ["offer", "create", "--type", PERMIT, "--claims", &claims, "--reference", zone];
        let days = ["--valid-from", &yesterday, "--valid-until", &today];
        let made = staff(&[&offer[..], &days, &["--json"]].concat())?.ok()?.json()?;
        let text = |name: &str| made.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        assert_eq!(text("valid_until"), format!("{tomorrow}T00:00:00Z"), "{made}");
        let listed =
            staff(&["offer", "list", "--reference", zone, "--from", &yesterday, "--until", &today])?.ok()?.stdout;
        assert!(listed.contains(&format!("valid until {today}, reference {zone}, made by admin")), "{listed}");

        carnet(&["receive", &text("offer_uri"), "--yes"], &["--no-input"])?.ok()?;
        let listed = carnet(&["list"], &["--no-input"])?.ok()?.stdout;
        assert!(listed.contains(&format!("until {today}\n")), "{listed}");
        let listed =
            staff(&["issued", "list", "--reference", zone, "--from", &yesterday, "--until", &today])?.ok()?.stdout;
        assert_eq!(listed.matches(&format!("valid until {today}")).count(), 10, "{listed}");

        // It is accepted on its last day, and a status act to that day takes it.
        let (_, uri) = stage.request("job-right-to-work")?;
        let consent = carnet(&["present", &uri], &["--json", "--no-input"])?.json()?;
        let digest = consent.get("digest").and_then(Value::as_str).ok_or("the consent has no digest")?;
        carnet(&["present", &uri, "--yes", digest], &["--json", "--no-input"])?.ok()?;
        let act =
            |until: &str| staff(&["status", "revoke", "--until", until, "--dry-run", "--reason", "a test", "--json"]);
        let counted = act(&today)?.ok()?.json()?;
        assert_eq!(counted.get("credentials").and_then(Value::as_u64), Some(u64::try_from(round)? + 1));
        assert!(act(&day_from_today(-2))?.stderr.contains("(NOTHING_MATCHES)"));

        // A time of day would be rounded: it is refused, at any offset; the beginning of a day in UTC is kept.
        for (end, is_kept) in [("T18:00:00Z", false), ("T00:00:00+14:00", false), ("T00:00:00Z", true)] {
            let end = format!("{tomorrow}{end}");
            let said = staff(&[&offer[..], &["--valid-until", &end]].concat())?;
            assert_eq!((said.code, said.stderr.contains("whole days")), if is_kept { (0, false) } else { (2, true) });
        }
        // The next zone has the wallet to itself.
        let listed = carnet(&["list"], &["--json", "--no-input"])?.ok()?.json()?;
        let id = listed.pointer("/credentials/0/id").and_then(Value::as_str).unwrap_or_default().to_owned();
        carnet(&["delete", &id, "--yes"], &["--no-input"])?.ok()?;
    }
    Ok(())
}

/// The warnings about a new permit, once `done` holds of them.
async fn warnings(stage: &Stage, office: &Office, kind: &str, done: impl Fn(&str) -> bool) -> Result<String> {
    let file = stage.folder.join("claims.json");
    let claims = if kind == PERMIT { residence_permit() } else { qualification() };
    std::fs::write(&file, serde_json::to_vec(&claims)?)?;
    let file = file.display().to_string();
    loop {
        let made = office.staff(&["offer", "create", "--type", kind, "--claims", &file])?.ok()?.json()?;
        let said = made.get("warnings").map(Value::to_string).unwrap_or_default();
        if done(&said) {
            return Ok(said);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_published_document_or_list_that_is_wrong_is_said_in_the_log_and_to_staff() -> Result<()> {
    let mut stage = Stage::set(false).await?;
    let ca = stage.folder.join("ca.pem").display().to_string();
    let fetching = format!("[serve]\nextra_ca = {ca:?}\nprivate_hosts = [\"localhost\"]\n");

    // A document without the key, and lists that the web site does not pass on.
    let document = stage.university.service.data.join("did.json");
    let mut document: Value = serde_json::from_str(&std::fs::read_to_string(document)?)?;
    for member in ["verificationMethod", "assertionMethod", "authentication"] {
        document[member] = json!([]);
    }
    stage.site.publish("university", &document.to_string());
    let elsewhere = format!("https://localhost:{}/elsewhere", stage.site.port());
    stage.university = stage.university.configured(&format!("[status]\nurl = {elsewhere:?}\n{fetching}"))?;
    let both = |said: &str| said.contains("does not match this service's keys") && said.contains("The status lists at");
    let said = warnings(&stage, &stage.university, "QualificationCredential", both).await?;
    assert!(said.contains("key-1 is not listed") && said.contains(&elsewhere), "{said}");
    let log = stage.university.service.log();
    assert!(both(&log), "{log}");

    // The twin, whose document and lists are in their places, reports nothing.
    stage.authority = stage.authority.configured(&fetching)?.restart_with(&[("CARNET_LOG", "debug")])?;
    loop {
        let log = stage.authority.service.log();
        if ["the DID document", "the status lists"]
            .iter()
            .all(|what| log.contains(&format!("published as expected: {what}")))
        {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(warnings(&stage, &stage.authority, PERMIT, |_| true).await?, "[]");
    Ok(())
}

/// A power cut at any instant of changes and their publication. Acknowledged changes stay, others are there wholly or
/// not at all, and the lists agree with the store.
#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_killed_while_it_revokes_leaves_the_old_state_or_the_new() -> Result<()> {
    let kills: u32 = std::env::var("CARNET_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS);
    let mut stage = Stage::set(false).await?;
    let client = Client::new(&stage)?;
    // Pairs, each revoked in one act: both or neither.
    let (mut acknowledged, mut there, mut lost) = (Vec::new(), 0_u32, 0_u32);
    for round in 0..kills {
        let pair = [issued(&stage).await?, issued(&stage).await?];
        let token = stage.authority.token_file.display().to_string();
        let url = stage.authority.service.url.clone();
        let ids = pair.clone();
        let request = format!("round-{round}");
        let act = tokio::task::spawn_blocking(move || {
            let args = [
                "status",
                "revoke",
                &ids[0],
                &ids[1],
                "--yes",
                "--count",
                "2",
                "--reason",
                "x",
                "--request-id",
                &request,
            ];
            let args = args.into_iter().chain(["--json", "--server", &url, "--token-file", &token]);
            carnet_tests::programs::run("carnet-issuer", args, &[])
        });
        // The client takes about so long to start, to act and to be answered: about half of the cuts come before the
        // act is stored.
        tokio::time::sleep(Duration::from_micros(u64::from(OsRng.next_u32() % 20_000))).await;
        stage.authority.cut_power()?;
        let said = act.await??;
        let shown_now = pair.iter().map(|id| shown(&stage.authority, id)).collect::<Result<Vec<_>>>()?.concat();
        let states: Vec<&str> = shown_now.iter().map(|(_, state)| state.as_str()).collect();
        let revoked = states.iter().all(|state| *state == "revoked");
        assert!(revoked || states.iter().all(|state| *state == "valid"), "round {round}: a mixture: {states:?}");
        if said.code == 0 {
            assert!(revoked, "round {round}: what was acknowledged is gone");
            acknowledged.push(pair.clone());
        }
        if revoked {
            there += 1
        } else {
            lost += 1
        }
        // The lists that are served after the cut agree with the store, in all formats.
        let lists = Lists::fetch(&client, &stage.authority).await?;
        for (index, state) in &shown_now {
            assert_eq!(lists.state(*index)?, state, "round {round}");
        }
        // The same request again completes the rest, once.
        let again = [
            "status",
            "revoke",
            &pair[0],
            &pair[1],
            "--yes",
            "--count",
            "2",
            "--reason",
            "x",
            "--request-id",
            &format!("round-{round}"),
        ];
        stage.authority.staff(&again)?.ok()?;
    }
    println!(
        "{kills} power cuts: {there} after the act was stored ({} acknowledged), {lost} before",
        acknowledged.len()
    );
    let audit = stage.authority.staff(&["status", "audit"])?.ok()?.json()?;
    let acts = audit.get("acts").and_then(Value::as_array).map(Vec::len);
    assert_eq!(acts, Some(usize::try_from(kills)?), "an act was done twice or is missing");
    Ok(())
}
