//! An issuer delegates the signing of its status lists, with the real programs: a verifier accepts the lists for as
//! long as the issuer's DID document names the signer.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use carnet_core::{
    did::{Did, DidDocument},
    keys::{SecretKey, SignatureAlgorithm, Signer as _},
    secure::data_integrity::Cryptosuites,
    status::{
        StatusState,
        publication::{ListFormat, PublicationParameters, UnsignedStatusList},
    },
};
use carnet_tests::{
    Result,
    stage::{Stage, residence_permit},
    visitor,
};
use rand_core::OsRng;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const PERMIT: &str = "ResidencePermitCredential";
/// As many as the issuer's own lists have, so that its credentials are in them.
const ENTRIES: u64 = 1_048_576;

/// Served files, by path.
type Shelf = Arc<Mutex<HashMap<String, String>>>;

/// Service that signs lists, and has a DID document on the stage's web site.
struct Service {
    did: Did,
    key: SecretKey,
}

impl Service {
    fn open(stage: &Stage, name: &str) -> Result<Self> {
        let (did, key) =
            (Did::parse(&stage.site.did(name))?, SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng));
        let document = DidDocument::json_for_keys(&did, &[("key-1".to_owned(), key.public_key())]);
        stage.site.publish(name, &document.to_string());
        Ok(Self { did, key })
    }

    /// Puts the authority's lists on the shelf, signed by this one, with one entry in this state.
    fn publish(&self, stage: &Stage, shelf: &Shelf, index: u64, state: StatusState) -> Result<()> {
        let (base, path) = base(stage);
        let kid = self.did.with_fragment("key-1")?;
        let mut publication = UnsignedStatusList::new(ENTRIES)?;
        publication.set_state(index, state)?;
        let urls = ListFormat::ALL.map(|form| format!("{base}/{}/0", form.as_str()));
        let directory = (format!("{path}/lists"), json!({ "status_lists": urls }).to_string());
        let mut served = HashMap::from([directory]);
        for (form, url) in ListFormat::ALL.into_iter().zip(&urls) {
            let terms =
                PublicationParameters { kid: &kid, url, now: visitor::now(), lifetime_seconds: 3_600, ttl: 1_800 };
            served.insert(
                format!("{path}/{}/0", form.as_str()),
                publication.sign(form, &terms, &Cryptosuites::jcs(), &self.key)?,
            );
        }
        *shelf.lock().unwrap_or_else(PoisonError::into_inner) = served;
        Ok(())
    }
}

/// URL and path of the authority's lists.
fn base(stage: &Stage) -> (String, String) {
    let place = stage.authority.did.trim_start_matches("did:web:").replace(':', "/").replace("%3A", ":");
    let path = place.split_once('/').map_or("", |(_, path)| path);
    (format!("https://{place}/status"), format!("/{path}/status"))
}

/// Serves the files of the shelf.
async fn serve(shelf: Shelf) -> Result<String> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let shelf = Arc::clone(&shelf);
            tokio::spawn(async move {
                let mut head = [0; 4096];
                let read = stream.read(&mut head).await.unwrap_or_default();
                let head = String::from_utf8_lossy(head.get(..read).unwrap_or_default());
                let path = head.split(' ').nth(1).unwrap_or_default();
                let body = shelf.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned().unwrap_or_default();
                let answer =
                    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
                stream.write_all(answer.as_bytes()).await.ok();
            });
        }
    });
    Ok(address)
}

/// Publishes the authority's document with the named signer of its lists, and restarts the agency, so that it reads
/// it.
fn name(mut stage: Stage, named: Option<&Service>) -> Result<Stage> {
    let document = std::fs::read(stage.authority.service.data.join("did.json"))?;
    let mut document: Value = serde_json::from_slice(&document)?;
    if let (Some(named), Some(service)) = (named, document.pointer_mut("/service/0").and_then(Value::as_object_mut)) {
        service.insert("statusListIssuer".to_owned(), named.did.as_str().into());
    }
    stage.site.publish("authority", &document.to_string());
    stage.agency = stage.agency.restart()?;
    Ok(stage)
}

#[tokio::test(flavor = "multi_thread")]
async fn row_59_lists_by_whom_the_issuers_document_names_for_as_long_as_it_does() -> Result<()> {
    let mut stage = Stage::set(false).await?;
    let offered = stage.offer(&stage.authority, PERMIT, &residence_permit(), &[])?;
    let copy = visitor::collect(&offered.uri, None, visitor::now()).await?;
    let shown = stage.authority.staff(&["status", "show", &offered.id])?.ok()?.json()?;
    let index = shown.pointer("/copies/0/index").and_then(Value::as_u64).ok_or("the copy has no index")?;

    let (service, stranger) = (Service::open(&stage, "lists")?, Service::open(&stage, "stranger")?);
    let shelf = Shelf::default();
    service.publish(&stage, &shelf, index, StatusState::Valid)?;
    stage.site.gate().lead("authority", &serve(Arc::clone(&shelf)).await?);
    stage.agency = stage.agency.configured("[status]\nrefresh_seconds = 1\n")?;
    // No document names them as the authority's.
    stage.comes_to(&copy, Some("status_list_issuer")).await?;
    stage = name(stage, Some(&service))?;
    stage.comes_to(&copy, None).await?;
    service.publish(&stage, &shelf, index, StatusState::Suspended)?;
    stage.comes_to(&copy, Some("suspended")).await?;
    service.publish(&stage, &shelf, index, StatusState::Valid)?;
    stage.comes_to(&copy, None).await?;
    // Another signer's at the same place do not count.
    stranger.publish(&stage, &shelf, index, StatusState::Valid)?;
    stage = name(stage, Some(&service))?;
    stage.comes_to(&copy, Some("status_list_issuer")).await?;
    service.publish(&stage, &shelf, index, StatusState::Valid)?;
    stage.comes_to(&copy, None).await?;
    service.publish(&stage, &shelf, index, StatusState::Revoked)?;
    stage.comes_to(&copy, Some("revoked")).await?;
    // The document no longer names a signer.
    stage = name(stage, None)?;
    stage.comes_to(&copy, Some("status_list_issuer")).await
}
