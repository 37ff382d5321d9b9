//! Issuers by a trust list: its decisions, and its versions.

use std::{path::PathBuf, time::Duration};

use carnet_core::{
    did::{Did, DidUrl, VerificationRelationship},
    keys::{SecretKey, Signer as _},
    secure::data_integrity::{ProofOptions, add_proof, eddsa_jcs::EddsaJcs2022},
    time::Timestamp,
    trust::list::{Accreditation, EarlierCredentials, TrustList, TrustListContents, TrustListEntry, Withdrawal},
};
use carnet_fetch::{DidCache, FetchOptions, HttpsFetcher};
use carnet_proto::verifier::v1::{IssuerAuthority, IssuerDecision};
use carnet_service::time::now;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::world::{SECRETS, TYPE, World, did, key, query};
use crate::{
    config::IssuerEntry,
    trust::{
        ConfiguredTrustList, TrustConfig,
        stored::{record_accept_once, stored_list},
    },
};

mod chain;
mod operators;

const LIST: &str = "did:web:trust.example";
const DAY: i64 = 86_400;

/// Three operators, and the file of their lists.
struct Desk {
    operators: [SecretKey; 3],
    folder: TempDir,
}

fn kid(key: &SecretKey) -> DidUrl {
    let did = Did::did_key(&key.public_key());
    did.with_fragment(did.method_specific_id()).unwrap()
}

impl Desk {
    fn open() -> Self {
        Self { operators: [key(), key(), key()], folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("trust-list.json")
    }

    fn config(&self) -> TrustConfig {
        TrustConfig {
            list: self.path().display().to_string(),
            issuer: LIST.to_owned(),
            operators: self.operators.iter().map(|key| Did::did_key(&key.public_key()).to_string()).collect(),
            quorum: 2,
            least: None,
        }
    }

    /// Creates a verifier with this list and no other issuers.
    async fn world(&self) -> World {
        World::with(|config| {
            config.issuers.clear();
            config.trust = Some(self.config());
        })
        .await
    }

    /// Signs a list from an hour ago, valid for this many days, by two operators.
    fn list(&self, contents: &TrustListContents, days: i64) -> Map<String, Value> {
        let from = now().plus(-3_600);
        let draft =
            TrustList::draft(&Did::parse(LIST).unwrap(), contents, from, from.plus(days.saturating_mul(DAY))).unwrap();
        self.operators[..2].iter().fold(draft, |list, key| TrustList::sign(&list, &kid(key), key, from).unwrap())
    }

    fn put(&self, list: &Map<String, Value>) {
        std::fs::write(self.path(), Value::Object(list.clone()).to_string()).unwrap();
    }

    /// Returns the contents of the list that follows this one.
    fn after(&self, list: &Map<String, Value>, accreditations: Vec<Accreditation>) -> TrustListContents {
        let mut contents = TrustList::preview(list).unwrap().next_contents();
        contents.issuers[0].accreditations = accreditations;
        contents
    }
}

fn accreditation() -> Accreditation {
    Accreditation {
        types: vec![TYPE.to_owned()],
        jurisdictions: None,
        max_level: None,
        epoch: None,
        from: Timestamp::parse("2020-01-01T00:00:00Z").unwrap(),
        until: None,
        withdrawal: None,
    }
}

fn withdrawn(withdrawn_from: Timestamp, earlier_credentials: EarlierCredentials) -> Accreditation {
    Accreditation {
        withdrawal: Some(Withdrawal { withdrawn_from, earlier_credentials, reason: None }),
        ..accreditation()
    }
}

fn contents(world: &World, accreditations: Vec<Accreditation>) -> TrustListContents {
    let entry = TrustListEntry { id: did(&world.issuer), name: "Residency Authority".to_owned(), accreditations };
    TrustListContents::first_list(vec![entry], Vec::new())
}

async fn refresh(world: &World) {
    world.verifier.refresh_trust_and_documents(Duration::ZERO).await;
}

/// Presents a valid answer with these claims, and returns the decision about the issuer.
async fn decision(world: &World, claims: &[&str]) -> IssuerDecision {
    let asked = world.request_for(&query("vc+sd-jwt", claims)).await;
    let answer = world.submit(&asked, world.bind(&world.show(claims), &asked)).await.unwrap();
    let verdict = world.result(&asked.id).await.verdict.unwrap();
    let [decision] = verdict.issuers.as_slice() else { panic!("{verdict:?}") };
    assert_eq!((answer.accepted, decision.query_id.as_str()), (decision.accepted, "permit"), "{:?}", answer.checks);
    // The text for the holder contains no path of this machine.
    assert!(answer.checks.iter().all(|check| !check.detail.contains("/trust-list.json")), "{:?}", answer.checks);
    assert_eq!(answer.reason, if decision.accepted { "" } else { "issuer_untrusted" });
    decision.clone()
}

async fn rule(world: &World) -> String {
    decision(world, &["rightToWork"]).await.rule
}

#[tokio::test]
async fn row_68_an_issuer_that_is_not_listed_for_the_type() {
    let desk = Desk::open();
    let world = desk.world().await;
    desk.put(&desk.list(&contents(&world, vec![accreditation()]), 30));
    // As some editors save it.
    let text = std::fs::read_to_string(desk.path()).unwrap();
    std::fs::write(desk.path(), format!("\u{feff}{text}\r\n")).unwrap();
    refresh(&world).await;
    let accepted = decision(&world, &["rightToWork"]).await;
    assert_eq!(
        (accepted.rule.as_str(), accepted.sequence, accepted.entry.as_str()),
        ("accredited", 1, "Residency Authority")
    );
    assert_eq!(accepted.decided_by(), IssuerAuthority::TrustList);
    assert!(accepted.accreditation.starts_with("1: from 2020-01-01"), "{accepted:?}");

    let other = desk.world().await;
    let degrees = Accreditation { types: vec!["QualificationCredential".to_owned()], ..accreditation() };
    desk.put(&desk.list(&contents(&other, vec![degrees]), 30));
    refresh(&other).await;
    assert_eq!(rule(&other).await, "type_not_listed");

    let stranger = desk.world().await;
    desk.put(&desk.list(&contents(&world, vec![accreditation()]), 30));
    refresh(&stranger).await;
    let refused = decision(&stranger, &["rightToWork"]).await;
    // About an unlisted issuer nothing is stored.
    assert_eq!((refused.rule.as_str(), refused.issuer.as_str()), ("not_listed", ""));
}

#[tokio::test]
async fn a_stranger_on_the_web_is_not_looked_up_and_said_to_be_one() {
    let desk = Desk::open();
    let world = desk.world().await;
    let mut document = world.document();
    document.insert("issuer".into(), "did:web:stranger.example".into());
    let options = ProofOptions {
        verification_method: "did:web:stranger.example#key-1",
        purpose: VerificationRelationship::AssertionMethod,
        created: None,
        expires: None,
        challenge: None,
        domain: None,
    };
    let bytes =
        Value::from(add_proof(&document, &EddsaJcs2022, &options, &world.issuer).unwrap()).to_string().into_bytes();
    let decision = async || {
        let (verdict, _) = world.verifier.verify_credential(bytes.clone(), now()).await.unwrap();
        let [decision] = verdict.decisions() else { panic!("{verdict:?}") };
        assert_eq!((decision.accepted, decision.issuer.as_str(), decision.credential_type.as_str()), (false, "", ""));
        (decision.rule.clone(), decision.sequence)
    };
    assert_eq!(decision().await, ("trust_list_invalid".to_owned(), 0));
    desk.put(&desk.list(&contents(&world, vec![accreditation()]), 30));
    refresh(&world).await;
    assert_eq!(decision().await, ("not_listed".to_owned(), 1));
}

#[tokio::test]
async fn row_69_an_issuer_that_is_listed_but_withdrawn() {
    let desk = Desk::open();
    let world = desk.world().await;
    let first = desk.list(&contents(&world, vec![accreditation()]), 30);
    desk.put(&first);
    refresh(&world).await;
    assert_eq!(rule(&world).await, "accredited");
    // The permit was issued yesterday.
    let today = now().start_of_day();
    let second = desk.list(&desk.after(&first, vec![withdrawn(today, EarlierCredentials::StayValid)]), 30);
    desk.put(&second);
    refresh(&world).await;
    let stands = decision(&world, &["rightToWork"]).await;
    assert_eq!((stands.accepted, stands.rule.as_str(), stands.sequence), (true, "withdrawn_since", 2));
    let before = withdrawn(today.plus(-2 * DAY), EarlierCredentials::StayValid);
    let third = desk.list(&desk.after(&second, vec![before]), 30);
    desk.put(&third);
    refresh(&world).await;
    let refused = decision(&world, &["rightToWork"]).await;
    assert_eq!((refused.accepted, refused.rule.as_str(), refused.sequence), (false, "withdrawn", 3));
    assert_eq!(refused.issuer, did(&world.issuer));
    desk.put(&desk.list(&desk.after(&third, vec![withdrawn(today, EarlierCredentials::BecomeInvalid)]), 30));
    refresh(&world).await;
    assert_eq!(rule(&world).await, "fallen");
}

#[tokio::test]
async fn row_70_an_older_trust_list() {
    let desk = Desk::open();
    let world = desk.world().await;
    let first = desk.list(&contents(&world, vec![accreditation()]), 30);
    desk.put(&first);
    refresh(&world).await;
    assert_eq!(rule(&world).await, "accredited");
    let struck = withdrawn(now().plus(-2 * DAY), EarlierCredentials::BecomeInvalid);
    let second = desk.list(&desk.after(&first, vec![struck]), 30);
    desk.put(&second);
    refresh(&world).await;
    assert_eq!(rule(&world).await, "withdrawn");
    // The older list returns: the newer one remains in force, also after a restart.
    desk.put(&first);
    refresh(&world).await;
    assert_eq!(rule(&world).await, "withdrawn");
    let (fetcher, documents) = (HttpsFetcher::new(FetchOptions::default()).unwrap(), DidCache::default());
    let restarted = ConfiguredTrustList::new(&desk.config()).unwrap();
    let look = || restarted.refresh(&world.verifier.store, (&fetcher, &documents), Duration::ZERO, now());
    assert_eq!(look().await.unwrap_err().code.as_str(), "trust_list_rollback");
    assert_eq!(restarted.require_list().unwrap().contents().sequence, 2);
    // The same for another one with the same number, and for one that is no successor.
    desk.put(&desk.list(&desk.after(&first, vec![accreditation()]), 30));
    assert_eq!(look().await.unwrap_err().code.as_str(), "trust_list_conflict");
    desk.put(&second);
    look().await.unwrap();
    assert_eq!(restarted.require_list().unwrap().contents().sequence, 2);
}

#[tokio::test]
async fn a_list_that_has_expired_decides_nothing_more_and_is_not_forgotten() {
    let desk = Desk::open();
    let world = desk.world().await;
    let list = desk.list(&contents(&world, vec![accreditation()]), 2);
    desk.put(&list);
    refresh(&world).await;
    let until = TrustList::preview(&list).unwrap().valid_until;
    let bytes = world.embedded().to_string().into_bytes();
    let at = async |seconds: i64| {
        let (verdict, _) = world.verifier.verify_credential(bytes.clone(), until.plus(seconds)).await.unwrap();
        (verdict.accepted(), verdict.decisions()[0].rule.clone())
    };
    assert_eq!(at(0).await, (true, "accredited".to_owned()));
    assert_eq!(at(60).await, (true, "accredited".to_owned()));
    assert_eq!(at(61).await, (false, "list_expired".to_owned()));
    // After a restart past its end there is no valid list; the newest number is still known.
    let (fetcher, documents) = (HttpsFetcher::new(FetchOptions::default()).unwrap(), DidCache::default());
    let restarted = ConfiguredTrustList::new(&desk.config()).unwrap();
    let store = &world.verifier.store;
    let looked = restarted.refresh(store, (&fetcher, &documents), Duration::ZERO, until.plus(61)).await;
    assert_eq!(looked.unwrap_err().code.as_str(), "expired");
    assert_eq!(restarted.require_list().unwrap_err().code.as_str(), "expired");
    assert_eq!(stored_list(store, LIST).await.unwrap().unwrap().state.accepted.sequence, 1);
}

#[tokio::test]
async fn nothing_is_decided_by_a_list_that_could_not_be_remembered() {
    let desk = Desk::open();
    let world = desk.world().await;
    desk.put(&desk.list(&contents(&world, vec![accreditation()]), 30));
    let trust = ConfiguredTrustList::new(&desk.config()).unwrap();
    let (fetcher, documents) = (HttpsFetcher::new(FetchOptions::default()).unwrap(), DidCache::default());
    let look = || trust.refresh(&world.verifier.store, (&fetcher, &documents), Duration::ZERO, now());
    world.verifier.store.refuse_trust_lists().await;
    look().await.unwrap_err();
    assert!(trust.require_list().is_err());
    world.verifier.store.accept_trust_lists().await;
    look().await.unwrap();
    assert!(trust.require_list().is_ok());
}

#[tokio::test]
async fn too_few_operators_or_no_file_leave_what_the_configuration_names() {
    let desk = Desk::open();
    let world = desk.world().await;
    refresh(&world).await;
    let refused = decision(&world, &["rightToWork"]).await;
    assert_eq!((refused.rule.as_str(), refused.decided_by()), ("trust_list_invalid", IssuerAuthority::Nobody));
    let mut list = desk.list(&contents(&world, vec![accreditation()]), 30);
    list["proof"].as_array_mut().unwrap().pop();
    desk.put(&list);
    refresh(&world).await;
    assert_eq!(rule(&world).await, "trust_list_quorum");
    // An issuer of the configuration needs no list, and the decision says so.
    let world = World::with(|config| config.trust = Some(desk.config())).await;
    refresh(&world).await;
    let accepted = decision(&world, &["rightToWork"]).await;
    assert_eq!((accepted.rule.as_str(), accepted.decided_by()), ("configured", IssuerAuthority::Configuration));
    let world = World::with(|config| {
        config.issuers = vec![IssuerEntry { did: did(&key()), types: vec![TYPE.to_owned()] }];
    })
    .await;
    assert_eq!(rule(&world).await, "not_configured");
}

#[tokio::test]
async fn a_list_decides_nothing_about_foreign_types() {
    let vct = "urn:eudi:pid:1";
    let desk = Desk::open();
    let world = World::with(|config| {
        config.foreign_types = vec![crate::foreign::ForeignTypeEntry {
            vct: Some(vct.to_owned()),
            issuers: vec![did(&key())],
            ..Default::default()
        }];
        config.trust = Some(desk.config());
    })
    .await;
    let both = Accreditation { types: vec![TYPE.to_owned(), vct.to_owned()], ..accreditation() };
    desk.put(&desk.list(&contents(&world, vec![both]), 30));
    refresh(&world).await;
    let permit = world.embedded().to_string().into_bytes();
    let payload = json!({"iss": did(&world.issuer), "vct": vct, "exp": now().plus(DAY).unix()});
    let header = json!({"typ": "dc+sd-jwt", "kid": format!("{}#0", did(&world.issuer))});
    let object = |value: Value| value.as_object().unwrap().clone();
    let pid = carnet_core::secure::jose::sign(object(header), &object(payload), &world.issuer).unwrap() + "~";
    let verify = async |bytes: Vec<u8>| world.verifier.verify_credential(bytes, now()).await.unwrap().0;
    assert_eq!(verify(permit).await.reason(), "");
    let refused = verify(pid.into_bytes()).await;
    assert_eq!((refused.reason(), refused.decisions()[0].rule.as_str()), ("issuer_untrusted", "not_configured"));
}

#[tokio::test]
async fn the_country_that_is_shown_is_held_against_the_limit_and_not_kept() {
    let desk = Desk::open();
    let world = desk.world().await;
    let country = world.document()["credentialSubject"]["issuingCountry"].as_str().unwrap().to_owned();
    let limited = |country: &str| Accreditation { jurisdictions: Some(vec![country.to_owned()]), ..accreditation() };
    let first = desk.list(&contents(&world, vec![limited(&country)]), 30);
    desk.put(&first);
    refresh(&world).await;
    assert_eq!(decision(&world, &["residentIn"]).await.rule, "accredited");
    assert_eq!(decision(&world, &["issuingCountry", "rightToWork"]).await.rule, "accredited");
    // An undisclosed claim is not within a limit.
    assert_eq!(rule(&world).await, "jurisdiction_unknown");
    desk.put(&desk.list(&desk.after(&first, vec![limited("XX")]), 30));
    refresh(&world).await;
    let refused = decision(&world, &["residentIn"]).await;
    assert_eq!(refused.rule, "outside_jurisdiction");
    let kept = format!("{refused:?}");
    assert!(!kept.contains(&format!("\"{country}\"")) && !SECRETS.iter().any(|secret| kept.contains(secret)), "{kept}");
}

#[tokio::test]
async fn the_issuers_of_the_list_are_fetched_before_anybody_presents() {
    let desk = Desk::open();
    let world = desk.world().await;
    let issuers = &world.verifier.verification.issuers;
    assert!(issuers.issuer_dids().is_empty());
    let mut contents = contents(&world, vec![accreditation()]);
    let mut degrees = contents.issuers[0].clone();
    degrees.id = "did:web:uni.example".to_owned();
    degrees.accreditations[0].types = vec!["QualificationCredential".to_owned()];
    let mut unknown = degrees.clone();
    unknown.id = "did:web:other.example".to_owned();
    unknown.accreditations[0].types = vec!["UnknownCredential".to_owned()];
    contents.issuers.extend([degrees, unknown]);
    desk.put(&desk.list(&contents, 30));
    issuers.refresh_trust(&world.verifier.store, Duration::ZERO, now()).await;
    let dids: Vec<String> = issuers.issuer_dids().iter().map(ToString::to_string).collect();
    assert_eq!(dids, [did(&world.issuer), "did:web:uni.example".to_owned()]);
}

#[test]
fn pins_and_sources_are_held_to_their_form() {
    let desk = Desk::open();
    let with = |change: fn(&mut TrustConfig)| {
        let mut config = desk.config();
        change(&mut config);
        ConfiguredTrustList::new(&config).map(drop)
    };
    with(|_| ()).unwrap();
    with(|config| config.list = "https://trust.example/trust-list.json".to_owned()).unwrap();
    for wrong in [
        (|config| config.list = "http://trust.example/list".to_owned()) as fn(&mut TrustConfig),
        |config| config.quorum = 0,
        |config| config.quorum = 4,
        |config| config.operators[1] = config.operators[0].clone(),
        |config| config.issuer = "trust.example".to_owned(),
    ] {
        assert!(with(wrong).is_err());
    }
    assert!(
        serde_json::from_value::<TrustConfig>(
            json!({"list": "a", "issuer": LIST, "operators": [], "quorum": 1, "x": 1})
        )
        .is_err()
    );
}
