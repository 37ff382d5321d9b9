//! Refills: new copies for one presented in full; each refusal, and the same call without its fault.

use std::collections::HashSet;

use carnet_core::{
    Problem,
    format::CredentialFormat,
    keys::{PublicKey, SecretKey, SignatureAlgorithm, Signer},
    secure::sd_jwt::{ClaimPath, SdJwt, Step},
    time::Timestamp,
};
use carnet_proto::issuer::v1 as proto;
use tonic::{Code, Status};

use super::{
    harness::{
        DID, MARK, Running, claims, exchanged, holder_keys, is_copy, offer_request, reason, start, start_signing,
        start_with,
    },
    status::{REINSTATE, SUSPEND, change},
};
use crate::{
    credential::BatchContent,
    issuance::copy_digest,
    refill::RefillIntent,
    secrets::{self, HashPurpose},
    store::status::StatusIndex,
};

const DAY: i64 = 86_400;

/// Copy with its holder key.
struct Copy {
    text: String,
    key: SecretKey,
}

/// Collects one copy of a new offer.
async fn copy_of(issuer: &Running, id: &str, format: proto::CredentialFormat) -> (String, Copy) {
    let offer = issuer.create(proto::CreateOfferRequest { format: format.into(), ..offer_request(id) }).await;
    let key = holder_keys(1).remove(0);
    let answer = issuer.receive(&offer, std::slice::from_ref(&key)).await.unwrap();
    (offer.id, Copy { text: answer.credentials[0].credential.clone(), key })
}

/// Collects a copy in the default format.
async fn copy(issuer: &Running) -> Copy {
    copy_of(issuer, &secrets::random_id(), proto::CredentialFormat::VcSdJwt).await.1
}

/// Clones a key.
fn same(key: &SecretKey) -> SecretKey {
    SecretKey::from_bytes(key.algorithm(), &key.to_bytes()).unwrap()
}

impl Copy {
    /// Presents the copy in exchange for copies for these keys.
    fn shown_to(&self, audience: &str, nonce: &str, now: i64, keys: &[SecretKey]) -> String {
        exchanged(&SdJwt::parse(&self.text).unwrap(), &self.key, keys, (audience, nonce, now))
    }
}

impl Running {
    async fn refill(
        &self,
        presentation: String,
        proofs: Vec<String>,
    ) -> Result<proto::RefillCredentialsResponse, Status> {
        let request = proto::RefillCredentialsRequest { presentation, proofs };
        Ok(self.issuance.clone().refill_credentials(request).await?.into_inner())
    }

    /// Runs all steps of a refill, as a wallet does.
    async fn refilled(&self, copy: &Copy, keys: &[SecretKey]) -> Result<proto::RefillCredentialsResponse, Status> {
        let nonce = self.nonce().await;
        self.refill(copy.shown_to(DID, &nonce, self.now(), keys), self.proofs(keys, &nonce)).await
    }
}

/// Refills a copy, which shows that the copy was not the cause of the previous refusal.
async fn twin(issuer: &Running, copy: &Copy) {
    assert_eq!(issuer.refilled(copy, &holder_keys(1)).await.unwrap().credentials.len(), 1);
}

/// Returns the number of seconds after which a refill that the daily limit refused can be repeated.
fn limit_wait(refused: Result<proto::RefillCredentialsResponse, Status>) -> i64 {
    let status = refused.as_ref().unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    let info = tonic_types::StatusExt::get_details_retry_info(status).unwrap();
    assert_eq!(reason(refused), "REFILL_LIMIT");
    i64::try_from(info.retry_delay.unwrap().as_secs()).unwrap()
}

/// Refills any copy, and returns the fresh one.
pub(super) async fn refill_once(issuer: &Running, text: &str, key: &SecretKey) -> String {
    let copy = Copy { text: text.to_owned(), key: same(key) };
    let [fresh] = issuer.refilled(&copy, &holder_keys(1)).await.unwrap().credentials.try_into().unwrap();
    fresh.credential
}

/// Refills any copy, and returns the new copies or the reason of the refusal.
pub(super) async fn refilled(
    issuer: &Running,
    text: &str,
    key: &SecretKey,
    count: usize,
) -> Result<Vec<String>, String> {
    let copy = Copy { text: text.to_owned(), key: same(key) };
    match issuer.refilled(&copy, &holder_keys(count)).await {
        Ok(answer) => Ok(answer.credentials.into_iter().map(|copy| copy.credential).collect()),
        Err(refused) => Err(carnet_service::wire::status_reason(&refused).unwrap_or_default()),
    }
}

#[tokio::test]
async fn new_copies_say_what_the_shown_one_does_for_as_long_and_share_nothing_else() {
    for (format, until) in [(proto::CredentialFormat::VcSdJwt, "validUntil"), (proto::CredentialFormat::DcSdJwt, "exp")]
    {
        let issuer = start().await;
        let (offer_id, old) = copy_of(&issuer, "a", format).await;
        assert!(issuer.forgotten(MARK).await);
        issuer.pass(3 * DAY + 7);
        let keys = holder_keys(3);
        let answer = issuer.refilled(&old, &keys).await.unwrap();
        assert_eq!(answer.credentials.len(), 3);
        let first = SdJwt::parse(&old.text).unwrap();
        let content = |token: &SdJwt| {
            let mut payload = token.resolve_disclosures().unwrap().payload;
            payload.remove("cnf");
            // Each copy has its own status index.
            payload.remove("credentialStatus");
            payload.remove("status");
            if let Some(subject) = payload.get_mut("credentialSubject") {
                let subject = subject.as_object_mut().unwrap();
                subject.retain(|name, _| name != "id" && !name.ends_with("AtLeast") && !name.ends_with("AtMost"));
            }
            payload.retain(|name, _| !name.ends_with("AtLeast") && !name.ends_with("AtMost"));
            payload
        };
        let disclosures = |text: &str| -> HashSet<String> { text.split('~').map(str::to_owned).collect() };
        let mut seen = disclosures(&old.text);
        for (copy, key) in answer.credentials.iter().zip(&keys) {
            assert_eq!(copy.format(), format);
            let token = SdJwt::parse(&copy.credential).unwrap();
            token.verify_signature(&issuer.issuer_key()).unwrap();
            assert!(!token.has_key_binding());
            assert_eq!(token.holder_key().unwrap().unwrap(), key.public_key());
            assert_eq!(content(&token), content(&first));
            assert_eq!(content(&token)[until], content(&first)[until]);
            for part in disclosures(&copy.credential).into_iter().filter(|part| !part.is_empty()) {
                assert!(seen.insert(part), "a signature or a salt is the same in two copies");
            }
        }
        // Staff find the copies under the offer, with their own indices; a wallet can notify the result.
        let list = proto::ListIssuedRequest { offer_id, ..Default::default() };
        let issued = issuer.staff().list_issued(list.clone()).await.unwrap().into_inner().issued;
        assert_eq!(issued.iter().map(|record| record.status_index).collect::<HashSet<_>>().len(), 4);
        let notify = proto::NotifyRequest {
            notification_id: answer.notification_id,
            event: proto::NotificationEvent::CredentialAccepted.into(),
        };
        issuer.issuance.clone().notify(notify).await.unwrap();
        let issued = issuer.staff().list_issued(list).await.unwrap().into_inner().issued;
        assert_eq!(issued[0].notification(), proto::NotificationEvent::CredentialAccepted);
        // The next refill accepts a new copy as well as the old one, in any process of the issuer.
        let [key, ..] = <[SecretKey; 3]>::try_from(keys).unwrap();
        twin(&issuer, &Copy { text: answer.credentials[0].credential.clone(), key }).await;
        assert!(!issuer.on_disk(MARK), "what the holder brought was written");
    }
}

#[tokio::test]
async fn another_issuers_copy_is_refused() {
    let issuer = start().await;
    let own = copy(&issuer).await;
    // One that names its signer, and one that names this issuer.
    let text = SdJwt::parse(&own.text).unwrap();
    let mut payload = text.resolve_disclosures().unwrap().payload;
    payload.remove("cnf");
    payload.insert("issuer".to_owned(), "did:web:other.example".into());
    let options = carnet_core::secure::sd_jwt::IssueOptions {
        typ: "vc+sd-jwt",
        kid: "did:web:other.example#key-1",
        disclosable: &[],
        ordered_claims: &[],
        holder_key: Some(&own.key.public_key()),
        decoys_to_multiple_of: 0,
        padded_arrays: &[],
    };
    let other = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut rand_core::OsRng);
    let foreign = carnet_core::secure::sd_jwt::issue(&payload, &options, &other, &mut rand_core::OsRng).unwrap();
    let foreign =
        Copy { text: foreign, key: SecretKey::from_bytes(SignatureAlgorithm::EdDsa, &own.key.to_bytes()).unwrap() };
    let refused = issuer.refilled(&foreign, &holder_keys(1)).await;
    assert_eq!(refused.as_ref().unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(reason(refused), "ISSUER_UNTRUSTED");

    let pretender = start().await;
    let forged = copy(&pretender).await;
    assert_eq!(reason(issuer.refilled(&forged, &holder_keys(1)).await), "SIGNATURE_INVALID");
    twin(&pretender, &forged).await;
    twin(&issuer, &own).await;
}

#[tokio::test]
async fn a_copy_that_was_never_stored_is_unknown_also_under_a_key_that_has_one() {
    let issuer = start().await;
    let known = copy(&issuer).await;
    let mut made_up = claims();
    made_up.insert("grade".to_owned(), "1,0".into());
    let content = BatchContent {
        credential_type: issuer.issuer.catalogue.credential_type("QualificationCredential").unwrap(),
        claims: &made_up,
        valid_from: Timestamp::from_unix(issuer.now()).start_of_day(),
        valid_until: Timestamp::from_unix(issuer.now() + 700 * DAY).start_of_day(),
    };
    let now = Timestamp::from_unix(issuer.now());
    let place = StatusIndex { list: 0, position: 1 };
    // Signed with the issuer's key by a thief: for an unknown holder key, and for that of the known copy.
    for key in [holder_keys(1).remove(0), same(&known.key)] {
        let text = issuer.issuer.sign_copy(CredentialFormat::VcSdJwt, &content, &key.public_key(), place, now).unwrap();
        let refused = issuer.refilled(&Copy { text, key }, &holder_keys(1)).await;
        assert_eq!(refused.as_ref().unwrap_err().code(), Code::NotFound);
        assert_eq!(reason(refused), "COPY_UNKNOWN");
    }
    twin(&issuer, &known).await;
}

/// Each copy takes a status index, and verifiers cache a limited number of lists.
#[tokio::test]
async fn one_credential_has_so_many_copies_by_refill_and_no_more() {
    let issuer = start().await;
    let (first, other) = (copy(&issuer).await, copy(&issuer).await);
    assert_eq!(issuer.refilled(&first, &holder_keys(10)).await.unwrap().credentials.len(), 10);
    issuer.pass(DAY);
    assert_eq!(issuer.refilled(&first, &holder_keys(9)).await.unwrap().credentials.len(), 9);
    issuer.pass(DAY);
    let refused = issuer.refilled(&first, &holder_keys(2)).await;
    assert_eq!(refused.as_ref().unwrap_err().code(), Code::FailedPrecondition);
    assert_eq!(reason(refused), "REFILL_SPENT");
    twin(&issuer, &first).await;
    assert_eq!(reason(issuer.refilled(&first, &holder_keys(1)).await), "REFILL_SPENT");
    twin(&issuer, &other).await;
}

#[tokio::test]
async fn a_copy_past_its_end_is_refused_and_its_key_forgotten() {
    let issuer = start().await;
    let until = issuer.soon();
    let offer = issuer
        .create(proto::CreateOfferRequest {
            valid_until: Some(carnet_service::wire::to_timestamp(until)),
            ..offer_request("a")
        })
        .await;
    let key = holder_keys(1).remove(0);
    let thumbprint = key.public_key().thumbprint();
    let answer = issuer.receive(&offer, std::slice::from_ref(&key)).await.unwrap();
    let copy = Copy { text: answer.credentials[0].credential.clone(), key };
    twin(&issuer, &copy).await;
    assert!(issuer.on_disk(&thumbprint));
    issuer.pass(until.unix() + 61 - issuer.now());
    assert_eq!(reason(issuer.refilled(&copy, &holder_keys(1)).await), "EXPIRED");
    issuer.issuer.erase_expired(Timestamp::from_unix(issuer.now())).await.unwrap();
    assert!(issuer.forgotten(&thumbprint).await);
}

#[tokio::test]
async fn a_copy_without_its_key_binding_or_with_another_one_is_refused() {
    let issuer = start().await;
    let copy = copy(&issuer).await;
    let now = issuer.now();
    let bare = async |text: String| {
        let nonce = issuer.nonce().await;
        issuer.refill(text, issuer.proofs(&holder_keys(1), &nonce)).await
    };
    assert_eq!(reason(bare(copy.text.clone()).await), "KEY_BINDING_MISSING");
    assert_eq!(reason(bare(String::new()).await), "TOKEN_MALFORMED");

    let keys = holder_keys(1);
    let bent = async |bend: &dyn Fn(&str) -> String| {
        let nonce = issuer.nonce().await;
        let presentation = bend(&nonce);
        let refused = issuer.refill(presentation, issuer.proofs(&keys, &nonce)).await;
        twin(&issuer, &copy).await;
        reason(refused)
    };
    let wrong_audience = bent(&|nonce| copy.shown_to("did:web:agency.example", nonce, now, &keys)).await;
    assert_eq!(wrong_audience, "DOMAIN_MISMATCH");
    assert_eq!(bent(&|nonce| copy.shown_to(DID, nonce, now - 301, &keys)).await, "KEY_BINDING_STALE");
    // For no keys, or for keys other than those of the proofs: an intermediary would use its own.
    assert_eq!(bent(&|nonce| copy.shown_to(DID, nonce, now, &[])).await, "CLAIM_MISSING");
    let others = holder_keys(2);
    assert_eq!(bent(&|nonce| copy.shown_to(DID, nonce, now, &others[..1])).await, "CHALLENGE_MISMATCH");
    assert_eq!(bent(&|nonce| copy.shown_to(DID, nonce, now, &others)).await, "CHALLENGE_MISMATCH");
    // The key binding of another copy, whose key belongs to somebody else.
    let thief = copy_of(&issuer, "t", proto::CredentialFormat::VcSdJwt).await.1;
    let swapped = |nonce: &str| {
        let binding = thief.shown_to(DID, nonce, now, &keys);
        format!("{}{}", copy.text, binding.rsplit_once('~').unwrap().1)
    };
    assert_eq!(bent(&swapped).await, "KEY_BINDING_KEY");
    // A disclosure removed after the holder signed.
    let shortened = |nonce: &str| {
        let whole = copy.shown_to(DID, nonce, now, &keys);
        let mut parts: Vec<&str> = whole.split('~').collect();
        parts.remove(1);
        parts.join("~")
    };
    assert_eq!(bent(&shortened).await, "KEY_BINDING_HASH");
}

#[tokio::test]
async fn the_nonce_is_the_issuers_the_same_in_all_and_works_once() {
    let issuer = start().await;
    let copy = copy(&issuer).await;
    let now = issuer.now();
    let keys = holder_keys(6);
    let nonce = issuer.nonce().await;
    let shown = copy.shown_to(DID, &nonce, now, &keys[..2]);

    let other = issuer.nonce().await;
    let apart = issuer.refill(shown.clone(), issuer.proofs(&keys[..1], &other)).await;
    assert_eq!(reason(apart), "CHALLENGE_MISMATCH");
    let mixed = [issuer.proofs(&keys[..1], &nonce), issuer.proofs(&keys[1..2], &other)].concat();
    assert_eq!(reason(issuer.refill(shown.clone(), mixed).await), "INVALID_PROOF");
    let invented = copy.shown_to(DID, "never-given-out", now, &keys[..1]);
    assert_eq!(reason(issuer.refill(invented, issuer.proofs(&keys[..1], &nonce)).await), "INVALID_NONCE");

    assert!(issuer.refill(shown.clone(), issuer.proofs(&keys[..2], &nonce)).await.is_ok());
    let replayed = issuer.refill(shown, issuer.proofs(&keys[..2], &nonce)).await;
    let retry = tonic_types::StatusExt::get_details_retry_info(replayed.as_ref().unwrap_err());
    assert!(retry.is_some_and(|info| info.retry_delay.is_some()), "a wallet asks again with a new nonce");
    assert_eq!(reason(replayed), "INVALID_NONCE");

    let late = issuer.nonce().await;
    issuer.pass(300);
    let shown = copy.shown_to(DID, &late, issuer.now(), &keys[3..4]);
    assert_eq!(reason(issuer.refill(shown, issuer.proofs(&keys[3..4], &late)).await), "INVALID_NONCE");

    // A nonce used for a collection is refused for a refill, and of two concurrent refills only one succeeds.
    let offer = issuer.create(offer_request("b")).await;
    let token = issuer.redeem(&offer).await.unwrap();
    let nonce = issuer.nonce().await;
    issuer.collect(&token, &offer.configuration, issuer.proofs(&keys[3..4], &nonce)).await.unwrap();
    let shown = copy.shown_to(DID, &nonce, issuer.now(), &keys[4..5]);
    assert_eq!(reason(issuer.refill(shown, issuer.proofs(&keys[4..5], &nonce)).await), "INVALID_NONCE");
    let nonce = issuer.nonce().await;
    let refill = |keys| issuer.refill(copy.shown_to(DID, &nonce, now, keys), issuer.proofs(keys, &nonce));
    let (one, two) = tokio::join!(refill(&keys[4..5]), refill(&keys[5..6]));
    assert_eq!(reason(if one.is_ok() { two } else { one }), "INVALID_NONCE");
    assert_eq!(issuer.issued().await.len(), 1 + 2 + 1 + 1);
}

#[tokio::test]
async fn what_the_type_needs_must_be_shown_and_what_is_withheld_is_not_made_up() {
    let issuer = start().await;
    let whole = copy(&issuer).await;
    let token = SdJwt::parse(&whole.text).unwrap();
    // An array is withheld as a whole: its elements have other indices without the decoys.
    let whole_arrays = |path: ClaimPath| -> ClaimPath {
        path.into_iter().map(|step| if matches!(step, Step::Index(_)) { Step::All } else { step }).collect()
    };
    let paths: Vec<ClaimPath> =
        token.resolve_disclosures().unwrap().disclosure_paths.into_iter().map(whole_arrays).collect();
    let without = |name: &str| {
        let named = |path: &ClaimPath| path.contains(&Step::Name(name.to_owned()));
        let kept: Vec<ClaimPath> = paths.iter().filter(|path| !named(path)).cloned().collect();
        assert!(kept.len() < paths.len());
        token.select_claims(&kept).unwrap()
    };
    let show = async |part: SdJwt, key: &SecretKey| {
        let nonce = issuer.nonce().await;
        let keys = std::slice::from_ref(key);
        let shown = exchanged(&part, &whole.key, keys, (DID, &nonce, issuer.now()));
        issuer.refill(shown, issuer.proofs(keys, &nonce)).await
    };
    let keys = holder_keys(2);
    let refused = show(without("title"), &keys[0]).await;
    let message = refused.as_ref().unwrap_err().message().to_owned();
    assert_eq!(reason(refused), "SCHEMA_VIOLATION");
    assert!(message.contains("title") && !message.contains(MARK), "{message}");
    // The type does not require a name; the new copy then has none.
    let answer = show(without("familyName"), &keys[1]).await.unwrap();
    let subject = SdJwt::parse(&answer.credentials[0].credential).unwrap().resolve_disclosures().unwrap().payload;
    assert!(subject["credentialSubject"].get("familyName").is_none());
    assert!(subject["credentialSubject"].get("title").is_some());
    twin(&issuer, &whole).await;
}

#[tokio::test]
async fn each_proof_is_for_a_new_key_and_a_batch_has_its_limit() {
    let issuer = start().await;
    let copy = copy(&issuer).await;
    let keys = holder_keys(11);
    let own = std::slice::from_ref(&copy.key);
    assert_eq!(reason(issuer.refilled(&copy, own).await), "INVALID_PROOF");
    assert_eq!(reason(issuer.refilled(&copy, &keys).await), "BATCH_SIZE");
    let nonce = issuer.nonce().await;
    let shown = copy.shown_to(DID, &nonce, issuer.now(), &keys[..1]);
    assert_eq!(reason(issuer.refill(shown.clone(), Vec::new()).await), "BATCH_SIZE");
    let broken = issuer.refill(shown, vec!["no proof".to_owned()]).await;
    assert_eq!(reason(broken), "INVALID_PROOF");
    assert!(issuer.refilled(&copy, &keys[..1]).await.is_ok());
    assert_eq!(reason(issuer.refilled(&copy, &keys[..1]).await), "INVALID_PROOF");
    // Nor does a collection issue a second copy for a key that has one.
    let offer = issuer.create(offer_request("b")).await;
    assert_eq!(reason(issuer.receive(&offer, &keys[..1]).await), "INVALID_PROOF");
    let [one, two] = [issuer.nonce().await, issuer.nonce().await];
    let race = |nonce: &str| {
        let shown = copy.shown_to(DID, nonce, issuer.now(), &keys[1..2]);
        issuer.refill(shown, issuer.proofs(&keys[1..2], nonce))
    };
    let (one, two) = tokio::join!(race(&one), race(&two));
    assert_eq!(reason(if one.is_ok() { two } else { one }), "INVALID_PROOF");
    assert_eq!(issuer.issued().await.len(), 3);
}

#[tokio::test]
async fn a_data_integrity_copy_is_not_refilled() {
    let issuer = start().await;
    let copy = copy_of(&issuer, "a", proto::CredentialFormat::DiVcJcs).await.1;
    let nonce = issuer.nonce().await;
    let proofs = issuer.proofs(&holder_keys(1), &nonce);
    assert_eq!(reason(issuer.refill(format!(" {}", copy.text), proofs).await), "REFILL_UNSUPPORTED");
    let copy = copy_of(&issuer, "b", proto::CredentialFormat::VcSdJwt).await.1;
    twin(&issuer, &copy).await;
}

#[tokio::test]
async fn an_offer_gives_so_many_copies_a_day_by_refill() {
    let issuer = start().await;
    let copy = copy(&issuer).await;
    let other = copy_of(&issuer, "other", proto::CredentialFormat::VcSdJwt).await.1;
    // Twelve are allowed here; the copy from the collection does not count.
    issuer.refilled(&copy, &holder_keys(5)).await.unwrap();
    issuer.pass(3600);
    issuer.refilled(&copy, &holder_keys(7)).await.unwrap();
    let wait = async |copies: usize| limit_wait(issuer.refilled(&copy, &holder_keys(copies)).await);
    assert_eq!(wait(1).await, DAY - 3600);
    assert_eq!(wait(6).await, DAY, "one of the later seven must be a day old");
    twin(&issuer, &other).await;
    issuer.pass(DAY - 3600 - 1);
    assert_eq!(wait(1).await, 1);
    issuer.pass(1);
    issuer.refilled(&copy, &holder_keys(5)).await.unwrap();
    assert_eq!(wait(1).await, 3600);
}

/// After a reinstatement earlier copies do not count; later ones do, each for a whole day.
#[tokio::test]
async fn the_limit_of_a_day_is_a_whole_day_after_a_reinstatement_too() {
    let issuer = start().await;
    let (offer_id, copy) = copy_of(&issuer, "a", proto::CredentialFormat::VcSdJwt).await;
    issuer.refilled(&copy, &holder_keys(10)).await.unwrap();
    issuer.change(change(SUSPEND, &[&offer_id])).await.unwrap();
    issuer.change(change(REINSTATE, &[&offer_id])).await.unwrap();
    issuer.pass(3600);
    issuer.refilled(&copy, &holder_keys(10)).await.unwrap();
    assert_eq!(limit_wait(issuer.refilled(&copy, &holder_keys(3)).await), DAY);
    issuer.pass(DAY);
    issuer.refilled(&copy, &holder_keys(3)).await.unwrap();
}

/// The power fails between the intent and the signature, or the response is lost: the wallet asks again.
#[tokio::test]
async fn a_power_cut_costs_indices_alone() {
    let signer = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut rand_core::OsRng);
    let issuer = start_signing(Box::new(signer)).await;
    let copy = copy(&issuer).await;
    let keys = holder_keys(2);
    let nonce = issuer.nonce().await;
    let now = Timestamp::from_unix(issuer.now());
    let intent = RefillIntent {
        epoch: carnet_core::epoch::Epoch::Month,
        copy: copy_digest(&copy.text),
        nonce: issuer.issuer.nonces.verify_nonce(&nonce, now).unwrap(),
        request_digest: secrets::purpose_hash(HashPurpose::RequestDigest, &[b"a"]),
        notification_hash: secrets::purpose_hash(HashPurpose::NotificationHash, &[b"a"]),
        thumbprints: keys.iter().map(|key| key.public_key().thumbprint()).collect(),
        now,
    };
    issuer.issuer.store_refill_intent(intent).await.unwrap();
    assert_eq!(issuer.issued().await.len(), 1, "what was not signed does not count as issued");
    assert!(issuer.refilled(&copy, &keys).await.is_ok(), "the same keys still do");
    let indices: HashSet<u64> = issuer.issued().await.iter().map(|record| record.status_index).collect();
    assert_eq!(indices.len(), 3);
    assert_eq!(issuer.probe().await.drawn_indices().await, 5);
}

/// Signer that fails from the second signature on.
struct Once {
    key: SecretKey,
    left: std::sync::atomic::AtomicUsize,
}

impl Signer for Once {
    fn algorithm(&self) -> SignatureAlgorithm {
        self.key.algorithm()
    }
    fn public_key(&self) -> PublicKey {
        self.key.public_key()
    }
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Problem> {
        use std::sync::atomic::Ordering::SeqCst;
        if !is_copy(message) {
            return self.key.sign(message);
        }
        self.left
            .fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1))
            .map_err(|_| Problem::new(carnet_core::Code::ProofGeneration, "the key is not to be had"))?;
        self.key.sign(message)
    }
}

#[tokio::test]
async fn what_could_not_be_signed_is_not_issued_and_its_keys_stay_free() {
    let key = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut rand_core::OsRng);
    let issuer = start_signing(Box::new(Once { key, left: 2.into() })).await;
    let copy = copy(&issuer).await;
    let keys = holder_keys(2);
    assert_eq!(reason(issuer.refilled(&copy, &keys).await), "SIGNING_FAILED");
    assert_eq!(issuer.issued().await.len(), 1);
    let two = start_with(SignatureAlgorithm::Es256).await;
    let copy = copy_of(&two, "a", proto::CredentialFormat::DcSdJwt).await.1;
    assert_eq!(two.refilled(&copy, &keys).await.unwrap().credentials.len(), 2);
}

#[tokio::test]
async fn keys_of_copies_that_are_never_signed_are_forgotten() {
    let issuer = start().await;
    let offer = issuer.create(proto::CreateOfferRequest { deferred: true, ..offer_request("a") }).await;
    let keys = holder_keys(1);
    issuer.receive(&offer, &keys).await.unwrap();
    let thumbprint = keys[0].public_key().thumbprint();
    assert!(issuer.on_disk(&thumbprint));
    let cancel = proto::CancelOfferRequest { offer_id: offer.id, request_id: String::new() };
    issuer.staff().cancel_offer(cancel).await.unwrap();
    assert!(issuer.forgotten(&thumbprint).await);
}
