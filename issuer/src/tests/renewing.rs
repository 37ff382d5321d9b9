//! Renewals: copies with a later end for one near its end; each refusal, and the same call without its fault.

use carnet_core::{
    epoch::Epoch,
    format::CredentialFormat,
    keys::{SecretKey, Signer as _},
    secure::sd_jwt::SdJwt,
    time::Timestamp,
};
use carnet_proto::issuer::v1::{self as proto, renewal_service_client::RenewalServiceClient};
use carnet_service::wire;
use carnet_spec::Catalogue;
use serde_json::{Map, Value};
use tonic::{Request, Status};

use super::harness::{CLERK, DID, MARK, Running, claims, exchanged, holder_keys, offer_request, reason, start};
use crate::{
    credential::BatchContent,
    renewal_intent::DeferredRenewalStep,
    secrets::{self, HashPurpose},
    store::status::{StatusAction, StatusIndex},
};

const DAY: i64 = 86_400;
const PERMIT: &str = "ResidencePermitCredential";

/// Copy with its holder key.
struct Copy {
    offer: String,
    text: String,
    key: SecretKey,
}

impl Copy {
    fn payload(&self) -> Map<String, Value> {
        SdJwt::parse(&self.text).unwrap().resolve_disclosures().unwrap().payload
    }

    /// Presents the copy in exchange for copies for these keys.
    fn shown(&self, audience: &str, nonce: &str, now: i64, keys: &[SecretKey]) -> String {
        exchanged(&SdJwt::parse(&self.text).unwrap(), &self.key, keys, (audience, nonce, now))
    }

    fn until(&self) -> i64 {
        Timestamp::parse(self.payload()["validUntil"].as_str().unwrap()).unwrap().unix()
    }
}

fn request(kind: &str, id: &str) -> proto::CreateOfferRequest {
    let mut claims = Catalogue::embedded().unwrap().credential_type(kind).unwrap().example_claims();
    claims.insert("familyName".to_owned(), MARK.into());
    proto::CreateOfferRequest {
        credential_type: kind.to_owned(),
        claims: Some(wire::to_struct(&claims)),
        ..offer_request(id)
    }
}

/// Collects a copy of a new offer, and moves the clock to the time of its renewal.
async fn near_its_end(issuer: &Running, request: proto::CreateOfferRequest) -> Copy {
    let offer = issuer.create(request).await;
    let key = holder_keys(1).remove(0);
    let answer = issuer.receive(&offer, std::slice::from_ref(&key)).await.unwrap();
    let copy = Copy { offer: offer.id, text: answer.credentials[0].credential.clone(), key };
    let window = copy.until().saturating_sub(30 * DAY);
    issuer.pass(window.saturating_sub(issuer.now()));
    copy
}

/// Collects permits of two people that end on the same day.
async fn two_near_their_end(issuer: &Running) -> [Copy; 2] {
    let until = Epoch::Month.next_start(issuer.soon());
    let permit = |id| proto::CreateOfferRequest { valid_until: Some(wire::to_timestamp(until)), ..request(PERMIT, id) };
    [near_its_end(issuer, permit("a")).await, near_its_end(issuer, permit("b")).await]
}

/// A renewed offer, with an older and a newer copy, and the end of the older one.
pub(super) struct RenewedOffer {
    pub(super) offer: String,
    pub(super) before: String,
    pub(super) after: String,
    pub(super) end: i64,
}

/// Two qualifications that ended together, renewed.
pub(super) async fn two_renewed(issuer: &Running) -> [RenewedOffer; 2] {
    let until = Some(wire::to_timestamp(Epoch::Month.next_start(issuer.soon())));
    let mut renewed = Vec::new();
    for id in ["a", "b"] {
        let request = proto::CreateOfferRequest { valid_until: until, ..request("QualificationCredential", id) };
        let old = near_its_end(issuer, request).await;
        let mut answer = issuer.renew(&old, &holder_keys(1)).await.unwrap();
        let (end, after) = (old.until(), answer.credentials.remove(0).credential);
        renewed.push(RenewedOffer { offer: old.offer, before: old.text, after, end });
    }
    renewed.try_into().ok().unwrap()
}

impl Running {
    async fn renew(&self, copy: &Copy, keys: &[SecretKey]) -> Result<proto::RenewCredentialsResponse, Status> {
        let nonce = self.nonce().await;
        self.renew_with(copy.shown(DID, &nonce, self.now(), keys), self.proofs(keys, &nonce)).await
    }

    async fn renew_with(
        &self,
        presentation: String,
        proofs: Vec<String>,
    ) -> Result<proto::RenewCredentialsResponse, Status> {
        let request = proto::RenewCredentialsRequest { presentation, proofs };
        Ok(self.issuance.clone().renew_credentials(request).await?.into_inner())
    }

    pub(super) async fn deferred(&self, transaction_id: &str) -> Result<proto::CollectDeferredResponse, Status> {
        let request = proto::CollectDeferredRequest { transaction_id: transaction_id.to_owned() };
        Ok(self.issuance.clone().collect_deferred(request).await?.into_inner())
    }

    async fn renewals(&self) -> Vec<proto::Renewal> {
        let mut client = RenewalServiceClient::new(self.channel.clone());
        let mut request = Request::new(proto::ListRenewalsRequest::default());
        request.metadata_mut().insert("authorization", self.staff_header());
        client.list_renewals(request).await.unwrap().into_inner().renewals
    }

    pub(super) async fn decide(&self, id: &str, approve: bool, reason: &str) -> Result<proto::Renewal, Status> {
        let mut client = RenewalServiceClient::new(self.channel.clone());
        let request = proto::DecideRenewalRequest { renewal_id: id.to_owned(), approve, reason: reason.to_owned() };
        let mut request = Request::new(request);
        request.metadata_mut().insert("authorization", self.staff_header());
        Ok(client.decide_renewal(request).await?.into_inner().renewal.unwrap())
    }
}

fn renewed(offer: &str, credential: &str, key: &SecretKey) -> Copy {
    let key = SecretKey::from_bytes(carnet_core::keys::SignatureAlgorithm::EdDsa, &key.to_bytes()).unwrap();
    Copy { offer: offer.to_owned(), text: credential.to_owned(), key }
}

#[tokio::test]
async fn new_copies_say_the_same_and_hold_longer_by_what_the_policy_says() {
    let issuer = start().await;
    let old = near_its_end(&issuer, request("QualificationCredential", "a")).await;
    let keys = holder_keys(2);
    let answer = issuer.renew(&old, &keys).await.unwrap();
    assert!(answer.transaction_id.is_empty());
    let new = renewed(&old.offer, &answer.credentials[0].credential, &keys[0]);
    let from = Timestamp::parse(new.payload()["validFrom"].as_str().unwrap()).unwrap();
    let days = Epoch::Month.renewed_validity(Timestamp::from_unix(old.until()), 30 * DAY, 365 * DAY);
    assert_eq!((from, Timestamp::from_unix(new.until())), days);
    assert_eq!(new.payload()["credentialSubject"]["familyName"], MARK);
    // Repeated after a lost response, it has the same end, and no later one.
    let again = issuer.renew(&old, &keys[1..]).await;
    assert_eq!(reason(again), "INVALID_PROOF");
    let others = holder_keys(1);
    let again = issuer.renew(&old, &others).await.unwrap();
    assert_eq!(renewed("", &again.credentials[0].credential, &others[0]).until(), new.until());
    // It is recorded, and the claims are stored nowhere.
    let listed = issuer.renewals().await;
    assert_eq!(
        listed.iter().map(|one| (one.generation, one.state())).collect::<Vec<_>>(),
        [(1, proto::RenewalState::Issued), (1, proto::RenewalState::Issued)]
    );
    assert!(issuer.forgotten(MARK).await);
    assert!(issuer.issued().await.iter().any(|record| record.valid_until.unwrap().seconds == new.until()));
}

#[tokio::test]
async fn a_renewed_copy_is_refilled_confirmed_and_renewed_as_often_as_allowed() {
    let issuer = start().await;
    let mut copy = near_its_end(&issuer, request("QualificationCredential", "a")).await;
    let mut ends = Timestamp::from_unix(copy.until());
    for _ in 0..2 {
        let keys = holder_keys(1);
        let answer = issuer.renew(&copy, &keys).await.unwrap();
        copy = renewed(&copy.offer, &answer.credentials[0].credential, &keys[0]);
        ends = Epoch::Month.renewed_validity(ends, 30 * DAY, 365 * DAY).1;
        issuer.pass(copy.until() - 30 * DAY - issuer.now());
        // The sweep deletes the keys of expired copies, and of no others.
        issuer.issuer.erase_expired(Timestamp::from_unix(issuer.now())).await.unwrap();
    }
    assert_eq!(copy.until(), ends.unix());
    assert_eq!(reason(issuer.renew(&copy, &holder_keys(1)).await), "RENEWAL_LIMIT");
    let nonce = issuer.nonce().await;
    let keys = holder_keys(1);
    let refill = proto::RefillCredentialsRequest {
        presentation: copy.shown(DID, &nonce, issuer.now(), &keys),
        proofs: issuer.proofs(&keys, &nonce),
    };
    let answer = issuer.issuance.clone().refill_credentials(refill).await.unwrap().into_inner();
    let refilled = renewed("", &answer.credentials[0].credential, &keys[0]);
    assert_eq!(refilled.until(), copy.until());
    // A refill does not reset the number of renewals.
    assert_eq!(reason(issuer.renew(&refilled, &holder_keys(1)).await), "RENEWAL_LIMIT");
}

#[tokio::test]
async fn a_renewed_copy_is_refilled_as_often_as_a_new_one() {
    let issuer = start().await;
    let old = near_its_end(&issuer, request("QualificationCredential", "a")).await;
    let refill = async |copy: &Copy, count: usize| {
        let (nonce, keys) = (issuer.nonce().await, holder_keys(count));
        let presentation = copy.shown(DID, &nonce, issuer.now(), &keys);
        let request = proto::RefillCredentialsRequest { presentation, proofs: issuer.proofs(&keys, &nonce) };
        issuer.issuance.clone().refill_credentials(request).await.map(|answer| answer.into_inner().credentials.len())
    };
    for _ in 0..2 {
        assert_eq!(refill(&old, 10).await.unwrap(), 10);
        issuer.pass(DAY);
    }
    assert_eq!(reason(refill(&old, 1).await), "REFILL_SPENT");
    let key = holder_keys(1).remove(0);
    let answer = issuer.renew(&old, std::slice::from_ref(&key)).await.unwrap();
    let new = renewed(&old.offer, &answer.credentials[0].credential, &key);
    assert_eq!(refill(&new, 10).await.unwrap(), 10);
    issuer.pass(DAY);
    // Renewed copies count, too.
    assert_eq!(reason(refill(&new, 10).await), "REFILL_SPENT");
    assert_eq!(reason(issuer.renew(&old, &holder_keys(10)).await), "REFILL_SPENT");
    assert_eq!(refill(&new, 9).await.unwrap(), 9);
}

#[tokio::test]
async fn too_early_and_too_late_are_refused_to_the_second() {
    let issuer = start().await;
    let copy = near_its_end(&issuer, request("QualificationCredential", "a")).await;
    issuer.pass(-1);
    assert_eq!(reason(issuer.renew(&copy, &holder_keys(1)).await), "RENEWAL_EARLY");
    issuer.pass(1);
    issuer.renew(&copy, &holder_keys(1)).await.unwrap();
    // Clocks may differ by a minute; after that the copy is no longer valid.
    issuer.pass(copy.until() + 60 - issuer.now());
    issuer.renew(&copy, &holder_keys(1)).await.unwrap();
    issuer.pass(1);
    assert_eq!(reason(issuer.renew(&copy, &holder_keys(1)).await), "EXPIRED");
}

#[tokio::test]
async fn what_is_not_renewed_here_is_refused() {
    let issuer = start().await;
    let other = near_its_end(&issuer, request("LanguageCertificateCredential", "a")).await;
    assert_eq!(reason(issuer.renew(&other, &holder_keys(1)).await), "RENEWAL_UNAVAILABLE");
    let copy = near_its_end(&issuer, request("QualificationCredential", "b")).await;
    let nonce = issuer.nonce().await;
    let keys = holder_keys(1);
    let proofs = || issuer.proofs(&keys, &nonce);
    let now = issuer.now();
    // For another audience, for another nonce, in part, without a key binding.
    assert_eq!(
        reason(issuer.renew_with(copy.shown("did:web:x.example", &nonce, now, &keys), proofs()).await),
        "DOMAIN_MISMATCH"
    );
    assert_eq!(reason(issuer.renew_with(copy.shown(DID, "n", now, &keys), proofs()).await), "INVALID_NONCE");
    assert_eq!(reason(issuer.renew_with(copy.text.clone(), proofs()).await), "KEY_BINDING_MISSING");
    assert_eq!(reason(issuer.renew_with(copy.shown(DID, &nonce, now, &keys), Vec::new()).await), "BATCH_SIZE");
    let in_part = copy.text.splitn(3, '~').collect::<Vec<_>>();
    let in_part = Copy {
        offer: String::new(),
        text: format!("{}~{}", in_part[0], in_part[2]),
        key: SecretKey::from_bytes(carnet_core::keys::SignatureAlgorithm::EdDsa, &copy.key.to_bytes()).unwrap(),
    };
    assert_eq!(reason(issuer.renew_with(in_part.shown(DID, &nonce, now, &keys), proofs()).await), "SCHEMA_VIOLATION");
    // For keys other than those of the proofs.
    let elsewhere = copy.shown(DID, &nonce, now, &holder_keys(1));
    assert_eq!(reason(issuer.renew_with(elsewhere, proofs()).await), "CHALLENGE_MISMATCH");
    // The valid case; and the same call again, with its used nonce.
    issuer.renew_with(copy.shown(DID, &nonce, now, &keys), proofs()).await.unwrap();
    let others = holder_keys(1);
    let again = copy.shown(DID, &nonce, now, &others);
    assert_eq!(reason(issuer.renew_with(again, issuer.proofs(&others, &nonce)).await), "INVALID_NONCE");
}

/// Copy that a thief of the issuer's key would sign for their own holder key.
#[tokio::test]
async fn a_copy_with_claims_that_were_never_issued_is_not_renewed() {
    let issuer = start().await;
    let copy = near_its_end(&issuer, request("QualificationCredential", "a")).await;
    let mut made_up = claims();
    made_up.insert("grade".to_owned(), "1,0".into());
    let content = BatchContent {
        credential_type: issuer.issuer.catalogue.credential_type("QualificationCredential").unwrap(),
        claims: &made_up,
        valid_from: Timestamp::from_unix(issuer.now()).start_of_day(),
        valid_until: Timestamp::from_unix(copy.until()),
    };
    let now = Timestamp::from_unix(issuer.now());
    let place = StatusIndex { list: 0, position: 1 };
    let text =
        issuer.issuer.sign_copy(CredentialFormat::VcSdJwt, &content, &copy.key.public_key(), place, now).unwrap();
    let forged = renewed(&copy.offer, &text, &copy.key);
    assert_eq!(reason(issuer.renew(&forged, &holder_keys(1)).await), "COPY_UNKNOWN");
    assert_eq!(issuer.renew(&copy, &holder_keys(1)).await.unwrap().credentials.len(), 1);
}

#[tokio::test]
async fn what_was_taken_back_is_not_renewed() {
    let issuer = start().await;
    let copy = near_its_end(&issuer, request("QualificationCredential", "a")).await;
    for (verb, code) in [
        (StatusAction::Suspend, Some("SUSPENDED")),
        (StatusAction::Reinstate, None),
        (StatusAction::Revoke, Some("REVOKED")),
    ] {
        issuer.act(verb, &copy.offer).await;
        let answer = issuer.renew(&copy, &holder_keys(1)).await;
        match code {
            Some(code) => assert_eq!(reason(answer), code),
            None => assert_eq!(answer.unwrap().credentials.len(), 1),
        }
    }
}

#[tokio::test]
async fn what_needs_approval_waits_sealed_and_comes_when_staff_say_yes() {
    let issuer = start().await;
    let old = near_its_end(&issuer, request(PERMIT, "a")).await;
    let keys = holder_keys(2);
    assert!(issuer.forgotten(MARK).await);
    let asked = issuer.renew(&old, &keys).await.unwrap();
    assert!(asked.credentials.is_empty() && !asked.transaction_id.is_empty());
    assert!(!issuer.on_disk(MARK), "what waits can be read by nobody but the wallet");
    assert!(!issuer.on_disk(&asked.transaction_id));
    // A waiting wallet polls, and blocks no writer.
    let writer = issuer.probe().await.hold_writer().await;
    let wait = issuer.deferred(&asked.transaction_id).await.unwrap();
    assert_eq!((wait.credentials.len(), wait.interval_seconds), (0, 5));
    writer.release().await;
    let listed = issuer.renewals().await;
    assert_eq!(
        (listed.len(), listed[0].state(), listed[0].offer_id.as_str()),
        (1, proto::RenewalState::Pending, old.offer.as_str())
    );
    let id = &listed[0].renewal_id;
    let decided = issuer.decide(id, true, "").await.unwrap();
    assert_eq!((decided.state(), decided.decided_by.as_str()), (proto::RenewalState::Approved, CLERK));
    // The same decision again changes nothing; the opposite one is refused.
    assert_eq!(issuer.decide(id, true, "again").await.unwrap(), decided);
    assert_eq!(reason(issuer.decide(id, false, "no").await), "RENEWAL_STATE");
    // Another process on the same store: everything was on the disk.
    let issuer = issuer.restarted().await;
    let answer = issuer.deferred(&asked.transaction_id).await.unwrap();
    assert_eq!(answer.credentials.len(), 2);
    let new = renewed("", &answer.credentials[1].credential, &keys[1]);
    let ends = Epoch::Month.renewed_validity(Timestamp::from_unix(old.until()), 30 * DAY, 730 * DAY).1;
    assert_eq!(new.until(), ends.unix());
    assert_eq!(SdJwt::parse(&new.text).unwrap().holder_key().unwrap(), Some(keys[1].public_key()));
    let subject = |copy: &Copy| copy.payload()["credentialSubject"]["validUntil"].as_str().unwrap().to_owned();
    assert_eq!(
        (subject(&old).as_str(), subject(&new).as_str()),
        ("2028-02-29T23:59:59+01:00", "2030-02-28T23:59:59+01:00")
    );
    // A lost response can be requested again, until the wallet acknowledges it.
    assert_eq!(issuer.deferred(&asked.transaction_id).await.unwrap().credentials, answer.credentials);
    let notify = proto::NotifyRequest { notification_id: answer.notification_id, event: 1 };
    issuer.issuance.clone().notify(notify).await.unwrap();
    assert_eq!(reason(issuer.deferred(&asked.transaction_id).await), "INVALID_TRANSACTION_ID");
    assert_eq!(issuer.renewals().await[0].state(), proto::RenewalState::Issued);
    assert!(issuer.forgotten(MARK).await);
}

#[tokio::test]
async fn a_wallet_is_told_why_staff_said_no_and_nothing_is_kept() {
    let issuer = start().await;
    let old = near_its_end(&issuer, request(PERMIT, "a")).await;
    let keys = holder_keys(1);
    let asked = issuer.renew(&old, &keys).await.unwrap();
    let id = issuer.renewals().await[0].renewal_id.clone();
    for bad in ["", " ", "two\nlines", &"x".repeat(501)] {
        assert_eq!(reason(issuer.decide(&id, false, bad).await), "INVALID_ARGUMENT");
    }
    assert_eq!(reason(issuer.decide("nothing", false, "no").await), "NOT_FOUND");
    assert!(issuer.on_disk(&keys[0].public_key().thumbprint()));
    issuer.decide(&id, false, "Come to the office with your passport.").await.unwrap();
    assert!(issuer.forgotten(&keys[0].public_key().thumbprint()).await);
    let refused = issuer.deferred(&asked.transaction_id).await.unwrap_err();
    assert!(refused.message().contains("Come to the office with your passport."), "{refused:?}");
    assert_eq!(reason::<()>(Err(refused)), "CREDENTIAL_REQUEST_DENIED");
    // After a refusal, the wallet may ask again.
    let asked = issuer.renew(&old, &holder_keys(1)).await.unwrap();
    let pending = issuer.renewals().await;
    assert_eq!((pending[0].state(), pending[1].state()), (proto::RenewalState::Pending, proto::RenewalState::Rejected));
    issuer.decide(&pending[0].renewal_id, true, "").await.unwrap();
    assert_eq!(issuer.deferred(&asked.transaction_id).await.unwrap().credentials.len(), 1);
}

#[tokio::test]
async fn what_waits_ends_when_its_time_is_over_when_it_is_asked_for_anew_and_when_it_was_taken_back() {
    let issuer = start().await;
    let old = near_its_end(&issuer, request(PERMIT, "a")).await;
    let first = issuer.renew(&old, &holder_keys(1)).await.unwrap();
    issuer.pass(3_600);
    let second = issuer.renew(&old, &holder_keys(1)).await.unwrap();
    assert_eq!(reason(issuer.deferred(&first.transaction_id).await), "INVALID_TRANSACTION_ID");
    let listed = issuer.renewals().await;
    assert_eq!((listed[0].state(), listed[1].state()), (proto::RenewalState::Pending, proto::RenewalState::Lapsed));
    issuer.decide(&listed[0].renewal_id, true, "").await.unwrap();
    issuer.act(StatusAction::Suspend, &old.offer).await;
    assert_eq!(reason(issuer.deferred(&second.transaction_id).await), "SUSPENDED");
    issuer.act(StatusAction::Reinstate, &old.offer).await;
    assert_eq!(issuer.deferred(&second.transaction_id).await.unwrap().credentials.len(), 1);
    // A third renewal exceeds the limit for the new copy, but not for the old one, for which it gives the same end.
    let third = issuer.renew(&old, &holder_keys(1)).await.unwrap();
    let pending = issuer.renewals().await.swap_remove(0);
    assert_eq!(pending.state(), proto::RenewalState::Pending);
    issuer.pass(30 * DAY);
    // Before a list call or a sweep has seen that it is over.
    assert_eq!(reason(issuer.decide(&pending.renewal_id, true, "").await), "RENEWAL_STATE");
    assert_eq!(reason(issuer.deferred(&third.transaction_id).await), "INVALID_TRANSACTION_ID");
    let listed = issuer.renewals().await;
    assert_eq!(listed[0].state(), proto::RenewalState::Lapsed);
    assert_eq!(reason(issuer.decide(&listed[0].renewal_id, true, "").await), "RENEWAL_STATE");
}

/// Nonces are free, so only these limits keep one wallet from filling the list, or from losing an approved renewal.
#[tokio::test]
async fn what_waits_is_asked_for_anew_after_an_hour_or_a_day_after_it_was_approved() {
    let issuer = start().await;
    let [old, other] = two_near_their_end(&issuer).await;
    let refused = async |seconds: u64| {
        let refused = issuer.renew(&old, &holder_keys(1)).await;
        let wait = tonic_types::StatusExt::get_details_retry_info(refused.as_ref().unwrap_err()).unwrap();
        assert_eq!(wait.retry_delay.unwrap().as_secs(), seconds);
        assert_eq!(reason(refused), "RENEWAL_ASKED");
    };
    issuer.renew(&old, &holder_keys(1)).await.unwrap();
    refused(3_600).await;
    issuer.renew(&other, &holder_keys(1)).await.unwrap();
    issuer.pass(3_599);
    refused(1).await;
    issuer.pass(1);
    let asked = issuer.renew(&old, &holder_keys(1)).await.unwrap();
    issuer.pass(3_599);
    issuer.decide(&issuer.renewals().await[0].renewal_id, true, "").await.unwrap();
    issuer.pass(1);
    refused(DAY.unsigned_abs() - 1).await;
    assert_eq!(issuer.deferred(&asked.transaction_id).await.unwrap().credentials.len(), 1);
    // A collected renewal no longer waits; one that its wallet lost can be requested again after a day.
    issuer.renew(&old, &holder_keys(1)).await.unwrap();
    issuer.decide(&issuer.renewals().await[0].renewal_id, true, "").await.unwrap();
    refused(DAY.unsigned_abs()).await;
    issuer.pass(DAY);
    issuer.renew(&old, &holder_keys(1)).await.unwrap();
}

#[tokio::test]
async fn staff_are_asked_five_times_a_day_about_one_credential() {
    let issuer = start().await;
    let [old, other] = two_near_their_end(&issuer).await;
    for _ in 0..5 {
        issuer.renew(&old, &holder_keys(1)).await.unwrap();
        issuer.decide(&issuer.renewals().await[0].renewal_id, false, "no").await.unwrap();
    }
    assert_eq!(reason(issuer.renew(&old, &holder_keys(1)).await), "RENEWAL_ASKED");
    issuer.renew(&other, &holder_keys(1)).await.unwrap();
    issuer.pass(DAY - 1);
    assert_eq!(reason(issuer.renew(&old, &holder_keys(1)).await), "RENEWAL_ASKED");
    issuer.pass(1);
    issuer.renew(&old, &holder_keys(1)).await.unwrap();
    assert_eq!(issuer.renewals().await.len(), 7);
}

#[tokio::test]
async fn a_wallet_is_told_why_a_deferred_offer_was_rejected() {
    let issuer = start().await;
    for reject in [true, false] {
        let id = format!("offer-{reject}");
        let offer = issuer.create(proto::CreateOfferRequest { deferred: true, ..request(PERMIT, &id) }).await;
        let asked = issuer.receive(&offer, &holder_keys(1)).await.unwrap();
        let decision = proto::RejectOfferRequest { offer_id: offer.id.clone(), reason: "No such study.".to_owned() };
        if !reject {
            let release = proto::ReleaseOfferRequest {
                offer_id: offer.id.clone(),
                request_id: String::new(),
                reason: String::new(),
            };
            assert_eq!(issuer.offer(&offer.id).await.decision, None);
            let said = issuer.staff().release_offer(release).await.unwrap().into_inner().offer.unwrap();
            assert_eq!(issuer.offer(&offer.id).await, said);
            let said = said.decision.unwrap();
            assert_eq!((said.released, said.decided_by.as_str(), said.reason.as_str()), (true, CLERK, ""));
            assert_eq!(reason(issuer.staff().reject_offer(decision).await), "OFFER_STATE");
            assert_eq!(issuer.deferred(&asked.transaction_id).await.unwrap().credentials.len(), 1);
            continue;
        }
        let silent = proto::RejectOfferRequest { reason: String::new(), ..decision.clone() };
        assert_eq!(reason(issuer.staff().reject_offer(silent).await), "INVALID_ARGUMENT");
        for _ in 0..2 {
            let said = issuer.staff().reject_offer(decision.clone()).await.unwrap().into_inner().offer.unwrap();
            let said = said.decision.unwrap();
            assert_eq!(
                (said.released, said.decided_by.as_str(), said.reason.as_str()),
                (false, CLERK, "No such study.")
            );
        }
        assert_eq!(issuer.state(&offer.id).await, proto::OfferState::Cancelled);
        assert!(!issuer.on_disk(MARK));
        let refused = issuer.deferred(&asked.transaction_id).await.unwrap_err();
        assert!(refused.message().contains("No such study."), "{refused:?}");
        assert_eq!(reason::<()>(Err(refused)), "CREDENTIAL_REQUEST_DENIED");
    }
    assert_eq!(issuer.probe().await.deciders().await, [CLERK, CLERK]);
}

#[tokio::test]
async fn nobody_decides_without_the_staff_token() {
    let issuer = start().await;
    let old = near_its_end(&issuer, request(PERMIT, "a")).await;
    issuer.renew(&old, &holder_keys(1)).await.unwrap();
    let id = issuer.renewals().await[0].renewal_id.clone();
    let mut client = RenewalServiceClient::new(issuer.channel.clone());
    assert_eq!(reason(client.list_renewals(proto::ListRenewalsRequest::default()).await), "TOKEN_MISSING");
    let request = proto::DecideRenewalRequest { renewal_id: id.clone(), approve: true, reason: String::new() };
    assert_eq!(reason(client.decide_renewal(request).await), "TOKEN_MISSING");
    assert_eq!(issuer.renewals().await[0].state(), proto::RenewalState::Pending);
    issuer.decide(&id, true, "").await.unwrap();
}

#[tokio::test]
async fn a_power_cut_before_the_signature_costs_no_second_index() {
    let issuer = start().await;
    let old = near_its_end(&issuer, request(PERMIT, "a")).await;
    let asked = issuer.renew(&old, &holder_keys(2)).await.unwrap();
    issuer.decide(&issuer.renewals().await[0].renewal_id, true, "").await.unwrap();
    let hash = secrets::purpose_hash(HashPurpose::TransactionHash, &[asked.transaction_id.as_bytes()]);
    let mut places = Vec::new();
    for _ in 0..2 {
        let waited =
            issuer.issuer.store_approved_renewal_intent(&hash, Timestamp::from_unix(issuer.now())).await.unwrap();
        let Some(DeferredRenewalStep::Sign(approved)) = waited else { panic!("it is approved") };
        places.push(approved.reissue.status_indices);
    }
    assert_eq!((places[0].len(), &places[0]), (2, &places[1]));
    assert_eq!(issuer.issued().await.len(), 1, "what was not signed does not count as issued");
    let issuer = issuer.restarted().await;
    assert_eq!(issuer.deferred(&asked.transaction_id).await.unwrap().credentials.len(), 2);
    assert_eq!(issuer.issued().await.len(), 3);
}

#[tokio::test]
async fn two_calls_at_once_for_what_was_approved_get_the_same_copies() {
    let issuer = start().await;
    let old = near_its_end(&issuer, request(PERMIT, "a")).await;
    let asked = issuer.renew(&old, &holder_keys(2)).await.unwrap();
    issuer.decide(&issuer.renewals().await[0].renewal_id, true, "").await.unwrap();
    let id = asked.transaction_id.as_str();
    let (one, other) = tokio::join!(issuer.deferred(id), issuer.deferred(id));
    assert_eq!(one.unwrap().credentials, other.unwrap().credentials);
    assert_eq!(issuer.issued().await.len(), 3);
}
