//! Operators with documents on the web: the validity of their keys.

use std::sync::Arc;

use carnet_core::did::DidDocument;

use super::*;
use crate::tests::site::Site;

/// Three operators with a did:web each, and a list that the first two have signed.
struct WebDesk {
    desk: Desk,
    dids: [Did; 3],
    draft: Map<String, Value>,
}

/// Documents are inserted and never fetched.
const FRESH: Duration = Duration::from_secs(3_600);

impl WebDesk {
    fn open() -> Self {
        let dids = ["a", "b", "c"].map(|name| Did::parse(&format!("did:web:{name}.example")).unwrap());
        Self { desk: Desk::open(), dids, draft: Map::new() }
    }

    fn config(&self) -> TrustConfig {
        TrustConfig { operators: self.dids.iter().map(ToString::to_string).collect(), ..self.desk.config() }
    }

    /// Returns the document of an operator, after a change.
    fn document(&self, operator: usize, change: impl FnOnce(&mut Value)) -> Arc<DidDocument> {
        let (did, key) = (&self.dids[operator], self.desk.operators[operator].public_key());
        let mut document = DidDocument::json_for_keys(did, &[("key-1".to_owned(), key)]);
        change(&mut document);
        Arc::new(DidDocument::parse(did, &document).unwrap())
    }

    /// Writes a list signed by these operators to the file.
    fn put(&self, signers: &[usize]) {
        let sign = |list: Map<String, Value>, signer: &usize| {
            let kid = self.dids[*signer].with_fragment("key-1").unwrap();
            TrustList::sign(&list, &kid, &self.desk.operators[*signer], now().plus(-3_600)).unwrap()
        };
        self.desk.put(&signers.iter().fold(self.draft.clone(), sign));
    }

    /// Creates a verifier that has accepted the list of the first two.
    async fn world(&mut self) -> World {
        self.world_with(|_| ()).await
    }

    async fn world_with(&mut self, change: impl FnOnce(&mut crate::config::VerifierConfig)) -> World {
        let world = World::with(|config| {
            config.issuers.clear();
            config.trust = Some(self.config());
            change(config);
        })
        .await;
        let from = now().plus(-3_600);
        let list = Did::parse(LIST).unwrap();
        self.draft =
            TrustList::draft(&list, &contents(&world, vec![accreditation()]), from, from.plus(30 * DAY)).unwrap();
        self.put(&[0, 1]);
        for operator in 0..3 {
            self.say(&world, operator, |_| ());
        }
        look(&world).await;
        assert_eq!(rule(&world).await, "accredited");
        world
    }

    /// Publishes the document of an operator.
    fn say(&self, world: &World, operator: usize, change: impl FnOnce(&mut Value)) {
        let document = self.document(operator, change);
        world.verifier.verification.issuers.put(&self.dids[operator], document, now());
    }
}

async fn look(world: &World) {
    world.verifier.verification.issuers.refresh_trust(&world.verifier.store, FRESH, now()).await;
}

async fn dropped(world: &World) -> Option<String> {
    stored_list(&world.verifier.store, LIST).await.unwrap().unwrap().state.drop_reason
}

fn revoke(document: &mut Value) {
    document["verificationMethod"][0]["revoked"] = json!("2026-01-01T00:00:00Z");
}

#[tokio::test]
async fn a_list_by_a_key_that_was_revoked_since_decides_no_more() {
    let mut desk = WebDesk::open();
    let world = desk.world().await;
    // Other changes of a document have no effect, nor have changes of an operator that did not sign.
    desk.say(&world, 0, |document| document["service"] = json!([]));
    desk.say(&world, 2, revoke);
    look(&world).await;
    assert_eq!((rule(&world).await, dropped(&world).await), ("accredited".to_owned(), None));

    desk.say(&world, 0, revoke);
    look(&world).await;
    let refused = decision(&world, &["rightToWork"]).await;
    assert_eq!((refused.rule.as_str(), refused.decided_by()), ("trust_list_quorum", IssuerAuthority::Nobody));
    // The decision names the operator and the reason.
    let why = refused.meaning;
    assert!(why.contains(desk.dids[0].as_str()) && why.contains("key_invalid") && why.contains("revoked"), "{why}");
    assert!(dropped(&world).await.unwrap().contains("revoked"));
    // Nor after a restart, nor when the document is no longer available, nor by the previous list.
    let (fetcher, documents) = (HttpsFetcher::new(FetchOptions::default()).unwrap(), DidCache::default());
    for (at, code) in [(now(), "trust_list_quorum"), (now().plus(2 * DAY), "did_unresolved")] {
        for operator in 0..2 {
            documents.insert_document(&desk.dids[operator], desk.document(operator, revoke), now());
        }
        let restarted = ConfiguredTrustList::new(&desk.config()).unwrap();
        let looked = restarted.refresh(&world.verifier.store, (&fetcher, &documents), FRESH, at).await;
        assert_eq!(looked.unwrap_err().code.as_str(), code);
        assert_eq!(restarted.require_list().unwrap_err().code.as_str(), code);
    }
    assert!(dropped(&world).await.unwrap().contains("revoked"));

    // The same list counts again, permanently, with the signature of an operator that still has its key.
    desk.say(&world, 2, |_| ());
    desk.put(&[1, 2]);
    look(&world).await;
    assert_eq!((rule(&world).await, dropped(&world).await), ("accredited".to_owned(), None));
    desk.say(&world, 2, |document| document["service"] = json!([]));
    look(&world).await;
    assert_eq!(rule(&world).await, "accredited");
}

#[tokio::test]
async fn a_list_is_held_against_the_end_of_its_operators_keys_also_when_no_document_changes() {
    let mut desk = WebDesk::open();
    let world = desk.world().await;
    let (fetcher, documents) = (HttpsFetcher::new(FetchOptions::default()).unwrap(), DidCache::default());
    let ends = |days: i64| {
        let end = now().plus(days * DAY).to_string();
        move |document: &mut Value| document["verificationMethod"][0]["expires"] = end.into()
    };
    documents.insert_document(&desk.dids[0], desk.document(0, ends(9)), now());
    documents.insert_document(&desk.dids[1], desk.document(1, ends(3)), now());
    let trust = ConfiguredTrustList::new(&desk.config()).unwrap();
    let store = &world.verifier.store;
    let at = |days: i64| trust.refresh(store, (&fetcher, &documents), FRESH, now().plus(days * DAY));
    at(0).await.unwrap();
    // A document that is unavailable for more than a day is used as it was.
    let _ = at(2).await;
    assert!(trust.require_list().is_ok());
    let _ = at(4).await;
    let refused = trust.require_list().unwrap_err();
    assert_eq!(refused.code.as_str(), "trust_list_quorum");
    assert!(refused.detail.contains("has expired"), "{refused}");
}

#[tokio::test]
async fn one_operator_of_three_who_withdraws_a_key_stops_nothing() {
    let mut desk = WebDesk::open();
    let world = desk.world().await;
    desk.put(&[0, 1, 2]);
    look(&world).await;
    desk.say(&world, 0, revoke);
    look(&world).await;
    assert_eq!((rule(&world).await, dropped(&world).await), ("accredited".to_owned(), None));
    // Nor if the list is new to the verifier.
    let first: Map<String, Value> = serde_json::from_slice(&std::fs::read(desk.desk.path()).unwrap()).unwrap();
    let next = TrustList::preview(&first).unwrap().next_contents();
    let from = now().plus(-3_600);
    desk.draft = TrustList::draft(&Did::parse(LIST).unwrap(), &next, from, from.plus(30 * DAY)).unwrap();
    desk.put(&[0, 1, 2]);
    look(&world).await;
    assert_eq!(decision(&world, &["rightToWork"]).await.sequence, 2);
    // A second revocation breaks the quorum.
    desk.say(&world, 1, revoke);
    look(&world).await;
    assert_eq!(rule(&world).await, "trust_list_quorum");
    desk.say(&world, 1, |_| ());
    look(&world).await;
    assert_eq!(rule(&world).await, "accredited");
}

#[tokio::test]
async fn row_103_a_list_by_an_operators_newer_key_is_looked_up_once_and_drops_nothing() {
    for published in [true, false] {
        let (site, mut desk, newer) = (Site::open().await, WebDesk::open(), key());
        desk.dids[0] = site.did.clone();
        let world = desk.world_with(|config| site.allow(config)).await;
        let keys = [&desk.desk.operators[0], &newer].map(SecretKey::public_key);
        let keys: Vec<_> = ["key-1", "key-2"].map(str::to_owned).into_iter().zip(keys).collect();
        site.put_document(&DidDocument::json_for_keys(&site.did, if published { &keys } else { &keys[..1] }));

        let first: Map<String, Value> = serde_json::from_slice(&std::fs::read(desk.desk.path()).unwrap()).unwrap();
        let (from, contents) = (now().plus(-3_600), TrustList::preview(&first).unwrap().next_contents());
        let next = TrustList::draft(&Did::parse(LIST).unwrap(), &contents, from, from.plus(30 * DAY)).unwrap();
        let next = TrustList::sign(&next, &site.did.with_fragment("key-2").unwrap(), &newer, from).unwrap();
        let other = desk.dids[1].with_fragment("key-1").unwrap();
        desk.desk.put(&TrustList::sign(&next, &other, &desk.desk.operators[1], from).unwrap());
        for _ in 0..3 {
            look(&world).await;
            assert_eq!((rule(&world).await, dropped(&world).await), ("accredited".to_owned(), None));
            let seen = stored_list(&world.verifier.store, LIST).await.unwrap().unwrap().state.accepted.sequence;
            assert_eq!((seen, site.documents()), (if published { 2 } else { 1 }, 1));
        }
    }
}
