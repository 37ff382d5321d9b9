//! Sites that are slow, or that publish something else.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use carnet_core::{
    did::{Did, DidDocument},
    keys::{SecretKey, SignatureAlgorithm, Signer as _},
};
use carnet_tests::{
    Result,
    stage::{Office, Stage, qualification, residence_permit},
    visitor,
};
use rand_core::OsRng;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::fixtures::PERMIT;

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
    let key = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng);
    let did = Did::parse(&slow)?;
    let document = DidDocument::json_for_keys(&did, &[("key-1".to_owned(), key.public_key())]);
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
