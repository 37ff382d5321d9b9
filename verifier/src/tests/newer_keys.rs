//! Keys newer than the cached copy of the issuer's document: unknown is not revoked.

use std::time::Duration;

use carnet_core::{
    did::{DidDocument, VerificationRelationship as KeyPurpose},
    keys::{SecretKey, Signer as _},
    secure::{
        data_integrity::{Cryptosuites, ProofOptions, add_proof, eddsa_jcs::EddsaJcs2022},
        sd_jwt::{IssueOptions, KeyBindingMembers, SdJwt, issue},
    },
    status::{
        MIN_ENTRIES, StatusPurpose, StatusState,
        bitstring::BitstringStatusListEntry,
        freshness,
        publication::{ListFormat, PublicationParameters, UnsignedStatusList},
    },
    time::Timestamp,
};
use carnet_service::time::now;
use rand_core::OsRng;
use serde_json::{Map, Value, json};
use tonic::Status;
use tonic_types::StatusExt as _;

use super::{
    site::{Asked, Site},
    world::{TYPE, World, did, path, query, reason},
};
use crate::{config::IssuerEntry, error::Error};

const ENTRY: u64 = 77;
const LIST: &str = "/status/revocation/0";

/// Issuer with a web site. Key 0 signs its credentials.
struct Authority {
    site: Site,
    keys: [SecretKey; 4],
}

impl Authority {
    /// Creates an issuer with keys 0 and 1, whose list is signed with key 1, and a verifier that has fetched
    /// everything.
    async fn open(at: Timestamp) -> (Self, World) {
        Self::with_list(at, 3_600, 300).await
    }

    async fn with_list(at: Timestamp, validity: i64, ttl: i64) -> (Self, World) {
        let this = Self { site: Site::open().await, keys: [(); 4].map(|()| super::world::key()) };
        let world = World::with(|config| {
            this.site.allow(config);
            config.issuers = vec![IssuerEntry { did: this.site.did.to_string(), types: vec![TYPE.to_owned()] }];
        })
        .await;
        this.document(&[0, 1], &[]);
        this.list(1, at, (validity, ttl), StatusState::Valid);
        world.verifier.verification.issuers.refresh(Duration::ZERO).await;
        pass(&world, at).await;
        (this, world)
    }

    fn kid(&self, number: usize) -> carnet_core::did::DidUrl {
        self.site.did.with_fragment(&format!("key-{number}")).unwrap()
    }

    /// Publishes the document with these keys, some of them revoked.
    fn document(&self, keys: &[usize], revoked: &[usize]) {
        self.document_with(keys, revoked, "/status/lists");
    }

    fn document_with(&self, keys: &[usize], revoked: &[usize], directory: &str) {
        let named: Vec<_> = keys.iter().map(|key| (format!("key-{key}"), self.keys[*key].public_key())).collect();
        let document = DidDocument::json_for_keys(&self.site.did, &named);
        let lists = self.site.url(directory);
        let mut document = DidDocument::with_status_lists(&self.site.did, document, &lists);
        for (place, key) in keys.iter().enumerate() {
            if revoked.contains(key) {
                document["verificationMethod"][place]["revoked"] = json!("2026-01-01T00:00:00Z");
            }
        }
        self.site.put_document(&document);
    }

    /// Publishes the list, signed with a key, with the entry in a state.
    fn list(&self, key: usize, at: Timestamp, (validity, ttl): (i64, i64), state: StatusState) {
        let (kid, url) = (self.kid(key), self.site.url(LIST));
        let mut list = UnsignedStatusList::new(MIN_ENTRIES).unwrap();
        list.set_state(ENTRY, state).unwrap();
        let terms = PublicationParameters { kid: &kid, url: &url, now: at, lifetime_seconds: validity, ttl };
        self.site.put(LIST, list.sign(ListFormat::Revocation, &terms, &Cryptosuites::jcs(), &self.keys[key]).unwrap());
        self.site.put("/status/lists", json!({"status_lists": [url]}).to_string());
    }

    /// Publishes the list with an end in one hour and a time to live of five minutes.
    fn relist(&self, key: usize, at: Timestamp, state: StatusState) {
        self.list(key, at, (3_600, 300), state);
    }

    fn permit(&self, world: &World) -> Map<String, Value> {
        let mut document = world.document();
        let url = self.site.url(LIST);
        let reference =
            BitstringStatusListEntry { purpose: StatusPurpose::Revocation, url, index: ENTRY, size_in_bits: 1 };
        document.insert("credentialStatus".into(), Value::Array(vec![reference.to_json()]));
        document.insert("issuer".into(), self.site.did.as_str().into());
        document
    }

    fn embedded(&self, world: &World, key: usize) -> Vec<u8> {
        let kid = self.kid(key).to_string();
        let options = ProofOptions {
            verification_method: &kid,
            purpose: KeyPurpose::AssertionMethod,
            created: None,
            expires: None,
            challenge: None,
            domain: None,
        };
        let document = add_proof(&self.permit(world), &EddsaJcs2022, &options, &self.keys[key]).unwrap();
        Value::Object(document).to_string().into_bytes()
    }

    fn token(&self, world: &World, key: usize) -> SdJwt {
        let options = IssueOptions {
            typ: "vc+sd-jwt",
            kid: &self.kid(key).to_string(),
            disclosable: &world.permit().disclosable_claims,
            holder_key: Some(&world.holder.public_key()),
            ordered_claims: &world.permit().ordered_claims,
            decoys_to_multiple_of: 0,
            padded_arrays: &[],
        };
        SdJwt::parse(&issue(&self.permit(world), &options, &self.keys[key], &mut OsRng).unwrap()).unwrap()
    }

    /// Returns the verdict at a time on a credential with that status, signed with a key that its issuer has always
    /// had.
    async fn verdict(&self, world: &World, at: Timestamp) -> String {
        let (verdict, _) = world.verifier.verify_credential(self.embedded(world, 0), at).await.unwrap();
        verdict.reason().to_owned()
    }
}

/// Runs one check for what is due at a time, and waits until it is done.
pub(super) async fn pass(world: &World, at: Timestamp) {
    loop {
        world.verifier.verification.refresh_status_lists(at).await;
        if world.verifier.verification.status_lists.is_idle().await {
            return;
        }
    }
}

#[tokio::test]
async fn row_103_a_list_by_a_key_that_is_not_known_yet_changes_nothing() {
    let begin = now();
    // The cached list counts until the earlier of its time to live and its end, with the skew added to the latter.
    for (validity, ttl, last) in [(3_600, 300, 300), (100, 300, 160)] {
        let (authority, world) = Authority::with_list(begin, validity, ttl).await;
        assert_eq!((authority.verdict(&world, begin).await, authority.site.documents()), (String::new(), 1));
        authority.relist(2, begin, StatusState::Revoked);
        pass(&world, begin.plus(61)).await;
        for at in [61, last] {
            assert_eq!(authority.verdict(&world, begin.plus(at)).await, "", "{at} of {last}");
        }
        assert_eq!(authority.verdict(&world, begin.plus(last + 1)).await, "status_list_stale");
        // It caused one fetch of the document, and no more, however often the list is fetched.
        assert_eq!(authority.site.documents(), 2);
        let before = authority.site.asked(LIST).whole;
        for at in [90, 120, 150] {
            pass(&world, begin.plus(at)).await;
        }
        assert_eq!((authority.site.asked(LIST).whole - before, authority.site.documents()), (3, 2));
        // Other lists cause other fetches, ever fewer.
        for (at, looks) in [(180, 3), (205, 3), (230, 3), (260, 4), (300, 4)] {
            authority.relist(2, begin.plus(at), StatusState::Revoked);
            pass(&world, begin.plus(at)).await;
            assert_eq!(authority.site.documents(), looks, "{at}");
        }
    }
}

#[tokio::test]
async fn row_103_the_twin_a_key_that_is_published_by_then_is_looked_up() {
    let begin = now();
    let (authority, world) = Authority::open(begin).await;
    authority.document(&[0, 1, 2], &[]);
    authority.relist(2, begin, StatusState::Revoked);
    pass(&world, begin.plus(61)).await;
    // Without a gap, the new list counts at the next pass.
    assert_eq!((authority.verdict(&world, begin.plus(61)).await, authority.site.documents()), (String::new(), 2));
    pass(&world, begin.plus(62)).await;
    assert_eq!((authority.verdict(&world, begin.plus(62)).await.as_str(), authority.site.documents()), ("revoked", 2));
}

#[tokio::test]
async fn a_list_that_is_held_is_dropped_at_once_when_the_document_no_longer_names_its_key_or_marks_it() {
    let begin = now();
    let cases: [(&[usize], &[usize], &str); 3] = [
        (&[0, 1, 2], &[1], "status_list_unavailable"),
        (&[0, 2], &[], "status_list_unavailable"),
        (&[0, 1, 2], &[], ""),
    ];
    for (keys, revoked, expected) in cases {
        // Caused by a list with an unknown key, or when the document is due.
        for by_list in [true, false] {
            let (authority, world) = Authority::open(begin).await;
            authority.document(keys, revoked);
            if by_list {
                authority.relist(3, begin, StatusState::Valid);
                pass(&world, begin.plus(61)).await;
            } else {
                world.verifier.refresh_trust_and_documents(Duration::ZERO).await;
            }
            let said = authority.verdict(&world, begin.plus(62)).await;
            assert_eq!((said.as_str(), authority.site.documents()), (expected, 2), "{keys:?} {revoked:?} {by_list}");
        }
    }
}

#[tokio::test]
async fn a_document_that_is_fetched_again_and_is_equal_changes_nothing() {
    let begin = now();
    let (authority, world) = Authority::open(begin).await;
    let issuers = &world.verifier.verification.issuers;
    let documents = || issuers.status_list_documents(&authority.site.did, now()).unwrap();
    let before = documents();
    assert!(!issuers.refresh(Duration::ZERO).await);
    assert_eq!(authority.site.documents(), 2);
    assert!(std::sync::Arc::ptr_eq(&before.issuer, &documents().issuer));
    pass(&world, begin.plus(61)).await;
    assert_eq!(authority.site.asked(LIST), Asked { whole: 1, unchanged: 1 });
    // The valid case: after a change of the document the lists are verified again.
    authority.document(&[0, 1, 3], &[]);
    assert!(issuers.refresh(Duration::ZERO).await);
    assert!(!before.same_documents(&documents()));
    pass(&world, begin.plus(62)).await;
    assert_eq!(authority.site.asked(LIST), Asked { whole: 2, unchanged: 1 });
}

#[tokio::test]
async fn a_directory_that_has_moved_and_cannot_be_read_yet_takes_no_list_away() {
    let begin = now();
    let (authority, world) = Authority::open(begin).await;
    authority.document_with(&[0, 1], &[], "/elsewhere");
    world.verifier.verification.issuers.refresh(Duration::ZERO).await;
    pass(&world, begin.plus(61)).await;
    assert_eq!(authority.verdict(&world, begin.plus(61)).await, "");
    // The valid case: it is readable, and lists nothing.
    authority.site.put("/elsewhere", json!({"status_lists": []}).to_string());
    pass(&world, begin.plus(90)).await;
    assert_eq!(authority.verdict(&world, begin.plus(90)).await, "status_list_unavailable");
}

fn retry_seconds(status: &Status) -> Option<u64> {
    status.get_details_retry_info()?.retry_delay.map(|delay| delay.as_secs())
}

#[tokio::test]
async fn a_presentation_by_a_key_that_is_not_known_yet_is_to_be_retried_and_fetches_nothing() {
    let (authority, world) = Authority::open(now()).await;
    let asked = world.request_for(&query("vc+sd-jwt", &["rightToWork"])).await;
    let claims = [path(&["credentialSubject", "rightToWork"])];
    let answer = world.bind(&authority.token(&world, 2).select_claims(&claims).unwrap(), &asked);
    let refused = world.submit(&asked, answer.clone()).await.unwrap_err();
    assert_eq!((refused.code(), retry_seconds(&refused)), (tonic::Code::Unavailable, Some(60)));
    assert_eq!(reason::<()>(Err(refused)), "ISSUER_KEY_UNKNOWN");
    // However the credential arrives.
    let direct = world.verifier.verify_credential(authority.embedded(&world, 2), now()).await;
    assert!(matches!(direct, Err(Error::IssuerKeyUnknown)));
    // The same for the issuer's statement on a copy with such a key.
    let copy = authority.token(&world, 0);
    let word = |key: usize| {
        let (kid, epoch) = (authority.kid(key).to_string(), freshness::epoch_start(now()));
        freshness::issue_statement(&freshness::copy_digest(&copy), &kid, epoch, 86_400, &authority.keys[key]).unwrap()
    };
    let stapled = |word: &str| {
        let stapled = KeyBindingMembers { freshness_statement: Some(word), ..KeyBindingMembers::default() };
        let shown = copy.select_claims(&claims).unwrap();
        shown.bind_key_with_members(&stapled, &asked.nonce, &asked.audience, now(), &world.holder).unwrap()
    };
    let refused = world.submit(&asked, stapled(&word(2))).await;
    assert_eq!(reason(refused), "ISSUER_KEY_UNKNOWN");
    assert_eq!(authority.site.documents(), 1, "presenting has fetched the document");
    // Nothing was recorded, and the request is still open.
    assert!(world.result(&asked.id).await.verdict.is_none());
    authority.document(&[0, 1, 2], &[]);
    world.verifier.verification.issuers.refresh(Duration::ZERO).await;
    World::accepted(world.submit(&asked, answer).await);
    let again = world.request_for(&query("vc+sd-jwt", &["rightToWork"])).await;
    let stapled = KeyBindingMembers { freshness_statement: Some(&word(2)), ..KeyBindingMembers::default() };
    let shown = copy.select_claims(&claims).unwrap();
    let answer = shown.bind_key_with_members(&stapled, &again.nonce, &again.audience, now(), &world.holder).unwrap();
    World::accepted(world.submit(&again, answer).await);
}

#[tokio::test]
async fn a_key_that_no_document_can_ever_have_is_refused_for_good() {
    // A did:jwk is its own document.
    let world = World::new().await;
    let options = ProofOptions {
        verification_method: &format!("{}#1", did(&world.issuer)),
        purpose: KeyPurpose::AssertionMethod,
        created: None,
        expires: None,
        challenge: None,
        domain: None,
    };
    let document = add_proof(&world.document(), &EddsaJcs2022, &options, &world.issuer).unwrap();
    let (verdict, _) =
        world.verifier.verify_credential(Value::Object(document).to_string().into_bytes(), now()).await.unwrap();
    assert_eq!(verdict.reason(), "method_unknown");
    // The document of a stranger is never fetched.
    let (authority, stranger) = (Authority::open(now()).await.0, World::new().await);
    let (verdict, _) = stranger.verifier.verify_credential(authority.embedded(&stranger, 2), now()).await.unwrap();
    assert_eq!((verdict.reason(), authority.site.documents()), ("issuer_untrusted", 1));
}
