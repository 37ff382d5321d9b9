//! Freshness statements: the issuer gives them to holders only, who alone know the handles of copies.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use carnet_core::{
    Problem,
    did::SelfContainedResolver,
    keys::{PublicKey, SecretKey, SignatureAlgorithm, Signer},
    secure::{jose::Jws, sd_jwt::SdJwt},
    status::freshness,
    time::Timestamp,
};
use carnet_proto::issuer::v1 as proto;
use sha2::{Digest as _, Sha256};
use tonic::Status;

use super::harness::{DID, Running, holder_keys, offer_request, reason, start, start_signing};
use crate::{
    secrets::{self, HashPurpose},
    status::{StatusChange, StatusTarget, apply_change},
    store::status::StatusAction,
};

impl Running {
    pub(super) async fn freshness(&self, handles: Vec<Vec<u8>>) -> Result<Vec<proto::CopyFreshness>, Status> {
        self.told(proto::CollectFreshnessRequest { handles, ..Default::default() }).await
    }

    async fn told(&self, request: proto::CollectFreshnessRequest) -> Result<Vec<proto::CopyFreshness>, Status> {
        Ok(self.issuance.clone().collect_freshness(request).await?.into_inner().copies)
    }

    /// Applies an action of staff to a credential.
    pub(super) async fn act(&self, verb: StatusAction, offer: &str) {
        let id = secrets::random_id();
        let act = StatusChange {
            request_digest: secrets::purpose_hash(HashPurpose::RequestDigest, &[id.as_bytes()]),
            request_id: id,
            action: verb,
            reason: "a test".to_owned(),
            staff_name: "staff".to_owned(),
            target: StatusTarget::Ids(vec![offer.to_owned()]),
            expected_count: None,
            dry_run: false,
            urgent: true,
            now: Timestamp::from_unix(self.now()),
        };
        apply_change(&self.issuer.store, &act).await.unwrap();
    }
}

/// Creates an offer and collects its copies.
async fn copies(issuer: &Running, request: proto::CreateOfferRequest, count: usize) -> (String, Vec<String>) {
    let offer = issuer.create(request).await;
    let answer = issuer.receive(&offer, &holder_keys(count)).await.unwrap();
    (offer.id, answer.credentials.into_iter().map(|copy| copy.credential).collect())
}

fn handle(copy: &str) -> Vec<u8> {
    freshness::copy_handle(copy).to_vec()
}

fn digest(copy: &str) -> Vec<u8> {
    Sha256::digest(copy.split('~').next().unwrap()).to_vec()
}

fn states(said: &[proto::CopyFreshness]) -> Vec<proto::CopyState> {
    said.iter().map(proto::CopyFreshness::state).collect()
}

#[tokio::test]
async fn every_valid_copy_gets_a_statement_with_the_times_of_the_epoch() {
    let issuer = start().await;
    let (_, made) = copies(&issuer, offer_request("a"), 3).await;
    issuer.pass(10_799);
    let said = issuer.freshness(made.iter().map(|copy| handle(copy)).collect()).await.unwrap();
    assert_eq!(states(&said), [proto::CopyState::Valid; 3]);
    let epoch = issuer.now() - issuer.now().rem_euclid(21_600);
    for (copy, said) in made.iter().zip(&said) {
        let token = SdJwt::parse(copy).unwrap();
        let now = Timestamp::from_unix(issuer.now());
        let holds = |at| {
            freshness::verify_statement(
                &said.statement,
                &token,
                DID,
                at,
                60,
                &crate::refill::OwnIssuerPolicy(&*issuer.issuer),
            )
        };
        let times = holds(now).unwrap();
        assert_eq!((times.issued_at.unix(), times.expires_at.unwrap().unix()), (epoch, epoch + 86_400));
        assert!(holds(now.plus(86_400)).is_err());
        assert!(
            freshness::verify_statement(&said.statement, &token, DID, now, 60, &SelfContainedResolver).is_err(),
            "by no other's key"
        );
        let payload = Jws::parse(&said.statement).unwrap().payload().clone();
        let mut names: Vec<_> = payload.keys().cloned().collect();
        names.sort_unstable();
        assert_eq!(names, ["copy", "exp", "iat"]);
    }
    // There is a statement of each earlier epoch, too, if it is valid until the end of this one.
    for (copy, said) in made.iter().zip(&said) {
        let token = SdJwt::parse(copy).unwrap();
        let own = crate::refill::OwnIssuerPolicy(&*issuer.issuer);
        let holds = |text: &String| {
            freshness::verify_statement(text, &token, DID, Timestamp::from_unix(issuer.now()), 60, &own)
                .unwrap()
                .issued_at
                .unix()
        };
        let times: Vec<i64> = said.earlier_statements.iter().map(holds).collect();
        assert_eq!(times, [epoch - 21_600, epoch - 43_200, epoch - 64_800]);
    }
    // A later request in the same epoch returns the same statements.
    issuer.pass(10_800);
    let again = issuer.freshness(vec![handle(&made[0])]).await.unwrap();
    assert_eq!(again[0], said[0]);
    issuer.pass(1);
    assert_ne!(issuer.freshness(vec![handle(&made[0])]).await.unwrap()[0], said[0]);
}

#[tokio::test]
async fn what_was_taken_back_gets_none_and_its_holder_is_told() {
    let issuer = start().await;
    let (offer, made) = copies(&issuer, offer_request("a"), 2).await;
    let (_, others) = copies(&issuer, offer_request("b"), 1).await;
    let asked: Vec<_> = made.iter().chain(&others).map(|copy| handle(copy)).collect();
    let valid = proto::CopyState::Valid;
    for (verb, state) in [
        (StatusAction::Suspend, proto::CopyState::Suspended),
        (StatusAction::Reinstate, valid),
        (StatusAction::Revoke, proto::CopyState::Revoked),
    ] {
        issuer.act(verb, &offer).await;
        let said = issuer.freshness(asked.clone()).await.unwrap();
        assert_eq!(states(&said), [state, state, valid]);
        assert!(said.iter().all(|said| said.statement.is_empty() == (said.state() != valid)));
    }
}

/// Holders may ask as often as they like: the key signs once per copy and epoch. Acts of staff count at once.
#[tokio::test]
async fn a_statement_is_signed_once_an_epoch_and_its_copy_looked_at_each_time() {
    struct Counted(SecretKey, Arc<AtomicUsize>);
    impl Signer for Counted {
        fn public_key(&self) -> PublicKey {
            self.0.public_key()
        }
        fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Problem> {
            self.1.fetch_add(1, Ordering::SeqCst);
            self.0.sign(message)
        }
    }
    let count = Arc::new(AtomicUsize::new(0));
    let key = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut rand_core::OsRng);
    let issuer = start_signing(Box::new(Counted(key, count.clone()))).await;
    let (offer, made) = copies(&issuer, offer_request("a"), 2).await;
    let (_, others) = copies(&issuer, offer_request("b"), 1).await;
    let asked: Vec<_> = made.iter().chain(&others).map(|copy| handle(copy)).collect();
    count.store(0, Ordering::SeqCst);
    let signed = || count.load(Ordering::SeqCst);
    let first = issuer.freshness(asked[..2].to_vec()).await.unwrap();
    assert_eq!((signed(), &first), (8, &issuer.freshness(asked[..2].to_vec()).await.unwrap()));
    // New copies get a signature; in the next epoch only the newest statement of each copy is signed, since the others
    // exist.
    let second = issuer.freshness(asked.clone()).await.unwrap();
    assert_eq!((signed(), &second[..2]), (12, &first[..]));
    issuer.pass(21_600);
    let third = issuer.freshness(asked.clone()).await.unwrap();
    assert!(signed() == 15 && third.iter().zip(&second).all(|(new, old)| new.statement != old.statement));
    issuer.act(StatusAction::Revoke, &offer).await;
    let said = issuer.freshness(asked).await.unwrap();
    assert_eq!(states(&said), [proto::CopyState::Revoked, proto::CopyState::Revoked, proto::CopyState::Valid]);
    assert_eq!((signed(), said[0].statement.as_str(), &said[2]), (15, "", &third[2]));
}

#[tokio::test]
async fn a_copy_past_its_end_and_one_that_nobody_made_get_none() {
    let issuer = start().await;
    let day = issuer.soon();
    let short =
        proto::CreateOfferRequest { valid_until: Some(carnet_service::wire::to_timestamp(day)), ..offer_request("a") };
    let (_, made) = copies(&issuer, short, 1).await;
    let asked = vec![handle(&made[0]), vec![7; 32]];
    for (now, state) in [(day.unix() + 60, proto::CopyState::Valid), (day.unix() + 61, proto::CopyState::Ended)] {
        issuer.pass(now - issuer.now());
        let said = issuer.freshness(asked.clone()).await.unwrap();
        assert_eq!(states(&said), [state, proto::CopyState::Unknown], "{now}");
        assert!(said[1].statement.is_empty());
    }
    // The next sweep deletes it.
    issuer.issuer.erase_expired(Timestamp::from_unix(issuer.now())).await.unwrap();
    assert_eq!(states(&issuer.freshness(asked).await.unwrap()), [proto::CopyState::Unknown; 2]);
}

#[tokio::test]
async fn a_copy_in_a_format_without_a_handle_is_not_known() {
    let issuer = start().await;
    let request = proto::CreateOfferRequest { format: proto::CredentialFormat::DiVcJcs.into(), ..offer_request("a") };
    let (_, made) = copies(&issuer, request, 1).await;
    let said = issuer.freshness(vec![handle(&made[0])]).await.unwrap();
    assert_eq!(states(&said), [proto::CopyState::Unknown]);
}

#[tokio::test]
async fn what_is_no_list_of_handles_is_refused() {
    let issuer = start().await;
    let (_, made) = copies(&issuer, offer_request("a"), 1).await;
    let own = handle(&made[0]);
    let many = |count: u32| -> Vec<Vec<u8>> {
        let others = (1..count).map(|n| [n.to_be_bytes().as_slice(), &[0; 28]].concat());
        std::iter::once(own.clone()).chain(others).collect()
    };
    for wrong in [
        Vec::new(),
        vec![Vec::new()],
        vec![own[1..].to_vec()],
        vec![own.clone(), own.clone()],
        vec![[own.clone(), vec![0]].concat()],
        many(501),
    ] {
        assert_eq!(reason(issuer.freshness(wrong).await), "INVALID_ARGUMENT");
    }
    let said = issuer.freshness(many(500)).await.unwrap();
    assert_eq!((said.len(), said[0].state()), (500, proto::CopyState::Valid));
}

/// A verifier knows the digest and the disclosures of a copy: with these it must neither learn from the issuer nor
/// inform it.
#[tokio::test]
async fn who_was_shown_a_copy_cannot_ask_for_it() {
    let issuer = start().await;
    let (_, made) = copies(&issuer, offer_request("a"), 1).await;
    let copy = made[0].as_str();
    let disclosures: Vec<&str> = copy.split('~').filter(|part| !part.is_empty()).collect();
    let jwt = disclosures[0];
    // Every set of all disclosures but one, and the empty set.
    let parts = (1..disclosures.len()).map(|out| {
        let some = disclosures.iter().enumerate().filter(|(index, _)| *index != out).map(|(_, part)| *part);
        some.collect::<Vec<_>>().join("~") + "~"
    });
    let alone = disclosures[1..].iter().map(|one| format!("{jwt}~{one}~"));
    let tries: Vec<Vec<u8>> =
        parts.chain(alone).chain([format!("{jwt}~")]).map(|part| handle(&part)).chain([digest(copy)]).collect();
    assert!(tries.len() > 4);
    let unknown = proto::CollectFreshnessRequest { copies: vec![digest(copy)], ..Default::default() };
    let said = [issuer.freshness(tries).await.unwrap(), issuer.told(unknown).await.unwrap()].concat();
    assert!(said.iter().all(|said| said.state() == proto::CopyState::Unknown && said.statement.is_empty()));
    assert_eq!(states(&issuer.freshness(vec![handle(copy)]).await.unwrap()), [proto::CopyState::Valid]);
    let both = proto::CollectFreshnessRequest { copies: vec![digest(copy)], handles: vec![handle(copy)] };
    assert_eq!(reason(issuer.told(both).await), "INVALID_ARGUMENT");
}

/// Copies of earlier versions have no handle: their holders get new ones by refill.
#[tokio::test]
async fn a_copy_of_before_there_were_handles_is_unknown_and_its_public_digest_too() {
    let issuer = start().await;
    let (_, made) = copies(&issuer, offer_request("a"), 2).await;
    issuer.probe().await.forget_first_handles().await;
    let said = issuer.freshness(made.iter().map(|copy| handle(copy)).collect()).await.unwrap();
    assert_eq!(states(&said), [proto::CopyState::Unknown, proto::CopyState::Valid]);
}
