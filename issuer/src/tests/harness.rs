//! A running issuer with clients, and the wallet's side of the calls.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicI64, Ordering},
    },
};

use carnet_core::{
    did::{Did, DidDocument},
    epoch::Epoch,
    keys::{PublicKey, SecretKey, SignatureAlgorithm, Signer},
    secure::{
        jose,
        sd_jwt::{KeyBindingMembers, SdJwt},
    },
    time::Timestamp,
};
use carnet_proto::issuer::v1::{
    self as proto, issuance_service_client::IssuanceServiceClient, offer_service_client::OfferServiceClient,
};
use carnet_service::{
    keys::{FIRST_KEY_NAME, Keyring},
    staff::{self, StaffAuthenticator},
    wire,
};
use carnet_spec::Catalogue;
use rand_core::OsRng;
use serde_json::{Map, Value, json};
use tonic::{Request, Status, transport::Channel};

use crate::{
    config::{RECORD_DAYS, StatusConfig},
    issuer::{Issuer, IssuerSettings},
    nonces::NonceIssuer,
    policy::{cohorts::CohortPolicy, renewal::RenewalPolicy},
    server::routes,
    sqlite::{MIGRATIONS, SqliteStore, StoreProbe},
    status::{StatusPublisher, record_messages},
};

pub(crate) const DID: &str = "did:web:university.example";
/// Claim value of every test offer, to search for where it must not be.
pub(crate) const MARK: &str = "Zubaydah-Claim-Marker";
/// Name of the staff member.
pub(crate) const CLERK: &str = "Inês Duarte";
/// 2026-11-22T12:00:00Z.
pub(crate) const NOW: i64 = 1_795_348_800;

pub(crate) struct Running {
    pub(crate) issuance: IssuanceServiceClient<Channel>,
    pub(crate) channel: Channel,
    pub(crate) issuer: Arc<Issuer<SqliteStore>>,
    pub(crate) data: Arc<tempfile::TempDir>,
    staff_token: String,
    clock: Arc<AtomicI64>,
    texts: Vec<String>,
    cohorts: CohortPolicy,
}

pub(crate) async fn start() -> Running {
    start_with(SignatureAlgorithm::EdDsa).await
}

pub(crate) async fn start_with(algorithm: SignatureAlgorithm) -> Running {
    start_signing(Box::new(SecretKey::generate(algorithm, &mut OsRng))).await
}

pub(crate) async fn start_signing(signer: Box<dyn Signer>) -> Running {
    start_saying(signer, &[]).await
}

/// Starts an issuer with these message texts.
pub(crate) async fn start_saying(signer: Box<dyn Signer>, texts: &[&str]) -> Running {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let token = staff::create_staff_register(data.path(), CLERK, Timestamp::from_unix(NOW), &mut OsRng).unwrap();
    serve(data, signer, token.to_string(), Arc::new(AtomicI64::new(NOW)), texts, CohortPolicy::default()).await
}

/// Starts an issuer with this rounding of dates.
pub(crate) async fn start_rounding(signer: Box<dyn Signer>, cohorts: CohortPolicy) -> Running {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let token = staff::create_staff_register(data.path(), CLERK, Timestamp::from_unix(NOW), &mut OsRng).unwrap();
    serve(data, signer, token.to_string(), Arc::new(AtomicI64::new(NOW)), &[], cohorts).await
}

async fn serve(
    data: Arc<tempfile::TempDir>,
    signer: Box<dyn Signer>,
    staff_token: String,
    clock: Arc<AtomicI64>,
    texts: &[&str],
    cohorts: CohortPolicy,
) -> Running {
    if !data.path().join("store.sqlite").exists() {
        carnet_service::store::create_store(data.path(), &MIGRATIONS).await.unwrap();
    }
    let ground = carnet_service::store::open_store(data.path(), &MIGRATIONS).await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let time = clock.clone();
    let catalogue = Catalogue::embedded().unwrap();
    let keys = Keyring::from_signer(signer);
    let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
    let status = StatusConfig { messages: texts.clone(), ..StatusConfig::default() };
    let issuer = Arc::new(Issuer {
        store: SqliteStore(ground),
        own_document: Arc::new(keys.own_document(&Did::parse(DID).unwrap()).unwrap()),
        signer: Box::new(keys),
        nonces: NonceIssuer::new(),
        status_publisher: StatusPublisher::new(&status, &Did::parse(DID).unwrap()).unwrap(),
        statement_cache: Arc::default(),
        did: Did::parse(DID).unwrap(),
        kid: format!("{DID}#{FIRST_KEY_NAME}"),
        suites: crate::suites::supported_suites(&catalogue).unwrap(),
        catalogue,
        settings: IssuerSettings {
            display_name: [("en".to_owned(), "University".to_owned())].into(),
            max_batch_size: 10,
            offer_ttl_seconds: 7 * 86_400,
            deferred_ttl_seconds: 30 * 86_400,
            deferred_interval_seconds: 5,
            refill_copies_per_day: 12,
            refill_copies_in_all: 20,
            list_entries: 131_072,
            record_days: RECORD_DAYS,
            freshness_seconds: 86_400,
            cohort_policy: cohorts.clone(),
            renewal_policies: renewals(),
            issued_types: Vec::new(),
        },
        issuer_url: endpoint.clone(),
        publication_faults: carnet_service::keys::PublicationProblems::default(),
        clock: Arc::new(move || Timestamp::from_unix(time.load(Ordering::SeqCst))),
    });
    issuer.open_list_if_needed().await.unwrap();
    record_messages(&issuer.store, issuer.messages()).await.unwrap();
    issuer.publish().await.unwrap();
    let routes = routes(issuer.clone(), StaffAuthenticator::for_directory(data.path()).unwrap(), 1_048_576);
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    tokio::spawn(
        tonic::transport::Server::builder().accept_http1(true).add_routes(routes).serve_with_incoming(incoming),
    );
    let channel = Channel::from_shared(endpoint).unwrap().connect().await.unwrap();
    let issuance = IssuanceServiceClient::new(channel.clone());
    Running { issuance, channel, issuer, data, staff_token, clock, texts, cohorts }
}

/// Renewal rules: qualifications twice without approval, residence permits once with approval, and nothing else.
fn renewals() -> BTreeMap<String, RenewalPolicy> {
    let policy = |days, most, approval, moves: &[&str]| RenewalPolicy {
        window_days: 30,
        days,
        most,
        approval,
        moves: moves.iter().map(|name| (*name).to_owned()).collect(),
    };
    BTreeMap::from([
        ("QualificationCredential".to_owned(), policy(365, 2, false, &[])),
        ("ResidencePermitCredential".to_owned(), policy(730, 1, true, &["validUntil"])),
    ])
}

/// Returns whether the signed bytes are an SD-JWT copy, and not a status list.
pub(crate) fn is_copy(message: &[u8]) -> bool {
    let header = message.split(|byte| *byte == b'.').next().unwrap();
    let header = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, header).unwrap_or_default();
    String::from_utf8_lossy(&header).contains("sd-jwt")
}

/// Returns the stable reason of a refusal.
pub(crate) fn reason<T: std::fmt::Debug>(answer: Result<T, Status>) -> String {
    wire::status_reason(&answer.unwrap_err()).expect("every refusal has a reason")
}

/// Claims of a qualification. They are read once: to read the catalogue takes longer than to issue from it.
static CLAIMS: LazyLock<Map<String, Value>> = LazyLock::new(|| {
    let mut claims =
        Catalogue::embedded().unwrap().credential_type("QualificationCredential").unwrap().example_claims();
    claims.insert("familyName".to_owned(), json!(MARK));
    claims
});

pub(crate) fn claims() -> Map<String, Value> {
    CLAIMS.clone()
}

pub(crate) fn offer_request(request_id: &str) -> proto::CreateOfferRequest {
    proto::CreateOfferRequest {
        request_id: request_id.to_owned(),
        credential_type: "QualificationCredential".to_owned(),
        format: proto::CredentialFormat::VcSdJwt.into(),
        claims: Some(wire::to_struct(&claims())),
        ..Default::default()
    }
}

/// Contents of an offer for its holder.
#[derive(Debug, Clone)]
pub(crate) struct HolderOffer {
    pub(crate) id: String,
    pub(crate) code: String,
    pub(crate) pin: Option<String>,
    pub(crate) configuration: String,
    pub(crate) has_tx_code: bool,
}

/// Parts of a proof, each of which a test can change.
pub(crate) struct ProofParts {
    pub(crate) header: Map<String, Value>,
    pub(crate) payload: Map<String, Value>,
}

pub(crate) fn proof_parts(key: &SecretKey, nonce: &str, now: i64) -> ProofParts {
    let object = |value: Value| value.as_object().unwrap().clone();
    ProofParts {
        header: object(json!({ "typ": "openid4vci-proof+jwt", "jwk": key.public_key().to_jwk() })),
        payload: object(json!({ "aud": DID, "iat": now, "nonce": nonce })),
    }
}

pub(crate) fn signed(parts: ProofParts, key: &SecretKey) -> String {
    jose::sign(parts.header, &parts.payload, key).unwrap()
}

/// Presents a copy in exchange for copies for these keys.
pub(crate) fn exchanged(
    copy: &SdJwt,
    holder: &SecretKey,
    keys: &[SecretKey],
    (audience, nonce, now): (&str, &str, i64),
) -> String {
    let keys: Vec<String> = keys.iter().map(|key| key.public_key().thumbprint()).collect();
    let stapled = KeyBindingMembers { new_key_thumbprints: &keys, ..KeyBindingMembers::default() };
    copy.bind_key_with_members(&stapled, nonce, audience, Timestamp::from_unix(now), holder).unwrap()
}

pub(crate) fn holder_keys(count: usize) -> Vec<SecretKey> {
    (0..count).map(|_| SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng)).collect()
}

impl Running {
    /// Opens the store a second time.
    pub(crate) async fn probe(&self) -> StoreProbe {
        StoreProbe::open(self.data.path()).await
    }

    /// Restarts the issuer: the new process has the store, and nothing that was only in memory.
    pub(crate) async fn restarted(&self) -> Self {
        let texts: Vec<&str> = self.texts.iter().map(String::as_str).collect();
        self.restarted_saying(&texts).await
    }

    /// Restarts the issuer with other message texts.
    pub(crate) async fn restarted_saying(&self, texts: &[&str]) -> Self {
        let signer = Box::new(SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng));
        let (token, clock) = (self.staff_token.clone(), self.clock.clone());
        serve(self.data.clone(), signer, token, clock, texts, self.cohorts.clone()).await
    }

    /// Restarts the issuer with another rounding; `signer` is the same as before.
    pub(crate) async fn restarted_rounding(&self, signer: Box<dyn Signer>, cohorts: CohortPolicy) -> Self {
        let (token, clock) = (self.staff_token.clone(), self.clock.clone());
        serve(self.data.clone(), signer, token, clock, &[], cohorts).await
    }

    pub(crate) fn now(&self) -> i64 {
        self.clock.load(Ordering::SeqCst)
    }

    /// Returns the earliest end of a credential that ends soon: the start of the next month.
    pub(crate) fn soon(&self) -> Timestamp {
        Epoch::Month.next_start(Timestamp::from_unix(self.now()))
    }

    pub(crate) fn pass(&self, seconds: i64) {
        self.clock.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Returns the authorization header of staff.
    pub(crate) fn staff_header(&self) -> tonic::metadata::MetadataValue<tonic::metadata::Ascii> {
        format!("Bearer {}", self.staff_token).parse().unwrap()
    }

    pub(crate) fn staff(
        &self,
    ) -> OfferServiceClient<
        tonic::service::interceptor::InterceptedService<Channel, impl tonic::service::Interceptor + use<>>,
    > {
        let header = self.staff_header();
        OfferServiceClient::with_interceptor(self.channel.clone(), move |mut request: Request<()>| {
            request.metadata_mut().insert("authorization", header.clone());
            Ok(request)
        })
    }

    pub(crate) async fn create(&self, request: proto::CreateOfferRequest) -> HolderOffer {
        let made = self.staff().create_offer(request).await.unwrap().into_inner();
        let query = made.offer_uri.strip_prefix("openid-credential-offer://?credential_offer=").unwrap();
        let text = percent_encoding::percent_decode_str(query).decode_utf8().unwrap();
        let offer: Value = serde_json::from_str(&text).unwrap();
        let grant = &offer["grants"]["urn:ietf:params:oauth:grant-type:pre-authorized_code"];
        HolderOffer {
            id: made.offer.unwrap().offer_id,
            code: grant["pre-authorized_code"].as_str().unwrap().to_owned(),
            pin: Some(made.pin).filter(|pin| !pin.is_empty()),
            configuration: offer["credential_configuration_ids"][0].as_str().unwrap().to_owned(),
            has_tx_code: grant.get("tx_code").is_some(),
        }
    }

    pub(crate) async fn redeem(&self, offer: &HolderOffer) -> Result<String, Status> {
        self.redeem_with(&offer.code, offer.pin.as_deref()).await
    }

    pub(crate) async fn redeem_with(&self, code: &str, pin: Option<&str>) -> Result<String, Status> {
        let request = proto::RedeemOfferRequest {
            pre_authorized_code: code.to_owned(),
            tx_code: pin.map(str::to_owned),
            ..Default::default()
        };
        Ok(self.issuance.clone().redeem_offer(request).await?.into_inner().access_token)
    }

    pub(crate) async fn nonce(&self) -> String {
        self.issuance.clone().issue_nonce(proto::IssueNonceRequest {}).await.unwrap().into_inner().c_nonce
    }

    pub(crate) fn proofs(&self, keys: &[SecretKey], nonce: &str) -> Vec<String> {
        keys.iter().map(|key| signed(proof_parts(key, nonce, self.now()), key)).collect()
    }

    pub(crate) async fn collect(
        &self,
        token: &str,
        configuration: &str,
        proofs: Vec<String>,
    ) -> Result<proto::CollectCredentialsResponse, Status> {
        let mut request = Request::new(proto::CollectCredentialsRequest {
            credential_configuration_id: configuration.to_owned(),
            proofs,
        });
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        Ok(self.issuance.clone().collect_credentials(request).await?.into_inner())
    }

    /// Runs all steps from an offer to its copies.
    pub(crate) async fn receive(
        &self,
        offer: &HolderOffer,
        keys: &[SecretKey],
    ) -> Result<proto::CollectCredentialsResponse, Status> {
        let token = self.redeem(offer).await?;
        let proofs = self.proofs(keys, &self.nonce().await);
        self.collect(&token, &offer.configuration, proofs).await
    }

    pub(crate) async fn state(&self, offer_id: &str) -> proto::OfferState {
        self.offer(offer_id).await.state()
    }

    pub(crate) async fn offer(&self, offer_id: &str) -> proto::Offer {
        let request = proto::ListOffersRequest::default();
        let offers = self.staff().list_offers(request).await.unwrap().into_inner().offers;
        offers.into_iter().find(|offer| offer.offer_id == offer_id).unwrap()
    }

    pub(crate) async fn issued(&self) -> Vec<proto::IssuedRecord> {
        let request = proto::ListIssuedRequest::default();
        self.staff().list_issued(request).await.unwrap().into_inner().issued
    }

    /// Returns the issuer's public key, as its DID document publishes it.
    pub(crate) fn issuer_key(&self) -> PublicKey {
        let key = self.issuer.signer.public_key();
        let document = DidDocument::json_for_keys(&self.issuer.did, &[(FIRST_KEY_NAME.to_owned(), key)]);
        DidDocument::parse(&self.issuer.did, &document)
            .unwrap()
            .key_for(
                &carnet_core::did::DidUrl::parse(&self.issuer.kid).unwrap(),
                carnet_core::did::VerificationRelationship::AssertionMethod,
            )
            .unwrap()
    }

    /// Returns whether a text is in any file of the data directory.
    pub(crate) fn on_disk(&self, text: &str) -> bool {
        self.files().values().any(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
    }

    /// Waits until a text is in no file of the data directory: erased data remains in the write-ahead log for a while.
    /// Returns false if it remains.
    pub(crate) async fn forgotten(&self, text: &str) -> bool {
        let begin = std::time::Instant::now();
        while self.on_disk(text) {
            if begin.elapsed() > std::time::Duration::from_secs(60) {
                return false;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        true
    }

    /// Returns the contents of all files of the data directory.
    pub(crate) fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let paths = std::fs::read_dir(self.data.path()).unwrap().map(|entry| entry.unwrap().path());
        paths.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
    }
}
