//! An issuer on the web: its document is fetched in the background, and verification makes no request.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use carnet_core::{
    did::{Did, DidDocument, VerificationRelationship},
    keys::Signer as _,
    secure::data_integrity::{ProofOptions, add_proof, eddsa_jcs::EddsaJcs2022},
    time::Timestamp,
};
use carnet_service::time::now;
use tokio::net::TcpListener;

use super::world::{TYPE, World, query};
use crate::{config::IssuerEntry, issuers::REFRESH_AGE};

/// Host that is down: it accepts connections, counts them, and closes them.
struct Host {
    did: Did,
    connections: Arc<AtomicUsize>,
}

impl Host {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let did = Did::parse(&format!("did:web:localhost%3A{}", listener.local_addr().unwrap().port())).unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                drop(socket);
            }
        });
        Self { did, connections }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    async fn trusted() -> (Self, World) {
        let host = Self::open().await;
        let world = World::with(|config| {
            config.issuers = vec![IssuerEntry { did: host.did.to_string(), types: vec![TYPE.to_owned()] }];
            config.serve.private_hosts = ["localhost".to_owned()].into_iter().collect();
        })
        .await;
        (host, world)
    }

    /// As if the document had been fetched at that time, when the host was up.
    fn fetched(&self, world: &World, at: Timestamp) {
        let keys = [("key-1".to_owned(), world.issuer.public_key())];
        let document = DidDocument::parse(&self.did, &DidDocument::json_for_keys(&self.did, &keys)).unwrap();
        world.verifier.verification.issuers.put(&self.did, Arc::new(document), at);
    }

    /// Builds the permit by this issuer.
    fn credential(&self, world: &World) -> serde_json::Value {
        let mut document = world.document();
        document.insert("issuer".into(), self.did.to_string().into());
        let options = ProofOptions {
            verification_method: &format!("{}#key-1", self.did),
            purpose: VerificationRelationship::AssertionMethod,
            created: None,
            expires: None,
            challenge: None,
            domain: None,
        };
        add_proof(&document, &EddsaJcs2022, &options, &world.issuer).unwrap().into()
    }
}

/// Returns the verdict on the credential at a time: accepted, or the reason and its description.
async fn verdict(world: &World, host: &Host, at: Timestamp) -> Result<(), (String, String)> {
    let bytes = host.credential(world).to_string().into_bytes();
    let (verdict, _) = world.verifier.verify_credential(bytes, at).await.unwrap();
    if verdict.accepted() {
        return Ok(());
    }
    let failed = verdict.checks().iter().find(|check| check.code == verdict.reason()).unwrap();
    Err((verdict.reason().to_owned(), failed.detail.clone()))
}

#[tokio::test]
async fn a_host_that_goes_down_is_believed_for_a_day_and_is_not_asked_when_somebody_presents() {
    let (host, world) = Host::trusted().await;
    let fetched = now();
    host.fetched(&world, fetched);
    let asked = world.request_for(&query("di_vc+jcs", &["rightToWork"])).await;
    let answer = world.present_document(host.credential(&world), &asked.nonce, &asked.audience);
    World::accepted(world.submit(&asked, answer).await);
    for seconds in [0, 3_600, 86_400] {
        assert_eq!(verdict(&world, &host, fetched.plus(seconds)).await, Ok(()), "{seconds}");
    }
    let (reason, detail) = verdict(&world, &host, fetched.plus(86_401)).await.unwrap_err();
    assert_eq!(reason, "did_unresolved");
    assert!(detail.contains("for a day"), "{detail}");
    assert_eq!(host.connections(), 0, "verifying asked the issuer's host");
    // The background fetch fails, and the cached document remains.
    host.fetched(&world, fetched.plus(-3_600));
    world.verifier.verification.issuers.refresh(REFRESH_AGE).await;
    assert!(host.connections() > 0);
    assert_eq!(verdict(&world, &host, fetched).await, Ok(()));
}

#[tokio::test]
async fn a_document_that_was_never_had_refuses_and_is_not_asked_for_when_somebody_presents() {
    let (host, world) = Host::trusted().await;
    let asked = world.request_for(&query("di_vc+jcs", &["rightToWork"])).await;
    let answer = || world.present_document(host.credential(&world), &asked.nonce, &asked.audience);
    World::refused(world.submit(&asked, answer()).await, "did_unresolved");
    assert_eq!(verdict(&world, &host, now()).await.unwrap_err().0, "did_unresolved");
    assert_eq!(host.connections(), 0, "verifying asked the issuer's host");
    world.verifier.verification.issuers.refresh(REFRESH_AGE).await;
    assert!(host.connections() > 0);
    host.fetched(&world, now());
    World::accepted(world.submit(&asked, answer()).await);
}
