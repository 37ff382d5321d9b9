//! A residency authority, a holder and a verifier.

use std::{collections::HashMap, sync::Arc};

use carnet_core::{
    did::Did,
    keys::{SecretKey, SignatureAlgorithm, Signer as _},
    presentation,
    query::Query,
    secure::{
        data_integrity::{Cryptosuite, ProofOptions, add_proof, eddsa_jcs::EddsaJcs2022},
        jose::Jws,
        sd_jwt::{ClaimPath, IssueOptions, SdJwt, Step, issue},
    },
    time::Timestamp,
};
use carnet_proto::verifier::v1::{
    CreateRequestRequest, CustomQuery, PresentationList, ReadRequestRequest, ReadResultRequest, RequestResult,
    SubmitPresentationRequest, SubmitPresentationResponse, create_request_request::What,
    presentation_service_client::PresentationServiceClient, verification_service_client::VerificationServiceClient,
};
use carnet_service::{
    staff::{self, StaffAuthenticator},
    time::now,
    wire,
};
use rand_core::OsRng;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::interceptor::InterceptedService,
    transport::{Channel, Server},
};

use crate::{
    config::{IssuerEntry, VerifierConfig},
    grpc, server,
    sqlite::{MIGRATIONS, SqliteStore},
    verifier::Verifier,
};

pub(super) const TYPE: &str = "ResidencePermitCredential";
pub(super) const MAX_MESSAGE: usize = 65_536;

/// Claim values that must be stored nowhere after a presentation.
pub(super) const SECRETS: [&str; 3] = ["Amina", "Haddad", "YZ1234567"];

#[derive(Clone)]
pub(super) struct Token(MetadataValue<Ascii>);
impl tonic::service::Interceptor for Token {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

pub(super) type Staff = VerificationServiceClient<InterceptedService<Channel, Token>>;

pub(super) struct World {
    pub(super) dir: TempDir,
    pub(super) verifier: Arc<Verifier<SqliteStore>>,
    pub(super) channel: Channel,
    pub(super) issuer: SecretKey,
    pub(super) holder: SecretKey,
    /// Token of staff.
    pub(super) token: String,
}

/// Contents of a request for its wallet.
pub(super) struct Asked {
    pub(super) id: String,
    pub(super) nonce: String,
    pub(super) audience: String,
    pub(super) payload: Map<String, Value>,
    pub(super) query: Query,
}

impl World {
    pub(super) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// Creates the world with a changed configuration.
    pub(super) async fn with(change: impl FnOnce(&mut VerifierConfig)) -> Self {
        let issuer = key();
        let own = key();
        let mut config = VerifierConfig {
            did: Did::did_jwk(&own.public_key()).to_string(),
            name: "City Job Centre".to_owned(),
            request_ttl: 600,
            key_binding_max_age: 300,
            verdict_days: 30,
            issuers: vec![IssuerEntry { did: did(&issuer), types: vec![TYPE.to_owned()] }],
            foreign_types: Vec::new(),
            trust: None,
            redemption: None,
            openid: crate::openid::config::OpenIdConfig::default(),
            files: carnet_service::config::ConfigFiles::default(),
            keys: carnet_service::keys::KeysConfig::default(),
            status: crate::status::StatusConfig::default(),
            serve: carnet_service::config::ServeConfig { max_message_bytes: MAX_MESSAGE, ..Default::default() },
        };
        change(&mut config);
        let dir = tempfile::tempdir().unwrap();
        carnet_service::store::create_store(dir.path(), &MIGRATIONS).await.unwrap();
        let database = carnet_service::store::open_store(dir.path(), &MIGRATIONS).await.unwrap().database;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let own = carnet_service::keys::Keyring::from_signer(Box::new(own));
        let verifier =
            Arc::new(server::create_verifier(&config, url.clone(), own, SqliteStore::new(database)).unwrap());
        let token = staff::create_staff_register(dir.path(), "clerk", now(), &mut OsRng).unwrap().to_string();
        let staff = StaffAuthenticator::for_directory(dir.path()).unwrap();
        let routes = grpc::routes(Arc::clone(&verifier), staff, config.serve.max_message_bytes);
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
        tokio::spawn(Server::builder().add_routes(routes).serve_with_incoming(incoming));
        let channel = Channel::from_shared(url).unwrap().connect().await.unwrap();
        Self { dir, verifier, channel, issuer, holder: key(), token }
    }

    pub(super) fn staff(&self) -> Staff {
        let token = Token(format!("Bearer {}", self.token).parse().unwrap());
        VerificationServiceClient::with_interceptor(self.channel.clone(), token)
    }

    pub(super) fn wallet(&self) -> PresentationServiceClient<Channel> {
        PresentationServiceClient::new(self.channel.clone())
    }

    pub(super) async fn request(&self) -> Asked {
        let what = What::Template("job-right-to-work".to_owned());
        self.ask(CreateRequestRequest { what: Some(what), ..Default::default() }).await
    }

    /// Creates a request with a custom query.
    pub(super) async fn request_for(&self, query: &Value) -> Asked {
        self.ask(CreateRequestRequest { what: Some(custom(query)), ..Default::default() }).await
    }

    pub(super) async fn ask(&self, call: CreateRequestRequest) -> Asked {
        let id = self.staff().create_request(call).await.unwrap().into_inner().id;
        self.read(&id).await.unwrap()
    }

    pub(super) async fn read(&self, id: &str) -> Result<Asked, Status> {
        let answer = self.wallet().read_request(ReadRequestRequest { id: id.to_owned() }).await?;
        let jws = Jws::parse(&answer.into_inner().request_object).unwrap();
        jws.require_typ("oauth-authz-req+jwt").unwrap();
        jws.verify(&self.verifier.identity.keyring.public_key()).unwrap();
        let payload = jws.payload().clone();
        let text = |name: &str| payload[name].as_str().unwrap().to_owned();
        Ok(Asked {
            id: id.to_owned(),
            nonce: text("nonce"),
            audience: text("client_id"),
            query: Query::parse(&payload["dcql_query"]).unwrap(),
            payload,
        })
    }

    /// Returns the permit that the authority issued to the holder.
    pub(super) fn document(&self) -> Map<String, Value> {
        let mut document = self.permit().example.as_object().unwrap().clone();
        let today = now().start_of_day();
        document.insert("issuer".into(), did(&self.issuer).into());
        document.insert("validFrom".into(), today.plus(-86_400).to_string().into());
        document.insert("validUntil".into(), today.plus(86_400 * 30).to_string().into());
        document["credentialSubject"]["id"] = did(&self.holder).into();
        document
    }

    pub(super) fn permit(&self) -> &carnet_spec::CredentialType {
        self.verifier.verification.catalogue.credential_type(TYPE).unwrap()
    }

    pub(super) fn credential(&self) -> SdJwt {
        self.issue(&self.document())
    }

    pub(super) fn issue(&self, document: &Map<String, Value>) -> SdJwt {
        self.issue_hiding(document, &self.permit().disclosable_claims)
    }

    /// Issues a permit of which only these claims can be withheld.
    pub(super) fn issue_hiding(&self, document: &Map<String, Value>, disclosable: &[ClaimPath]) -> SdJwt {
        self.issue_for(document, disclosable, &self.holder)
    }

    /// Issues a permit for another holder.
    pub(super) fn issue_to(&self, document: &Map<String, Value>, holder: &SecretKey) -> SdJwt {
        self.issue_for(document, &self.permit().disclosable_claims, holder)
    }

    fn issue_for(&self, document: &Map<String, Value>, disclosable: &[ClaimPath], holder: &SecretKey) -> SdJwt {
        let options = IssueOptions {
            typ: "vc+sd-jwt",
            kid: &format!("{}#0", did(&self.issuer)),
            disclosable,
            holder_key: Some(&holder.public_key()),
            ordered_claims: &self.permit().ordered_claims,
            decoys_to_multiple_of: 0,
            padded_arrays: &[],
        };
        SdJwt::parse(&issue(document, &options, &self.issuer, &mut OsRng).unwrap()).unwrap()
    }

    /// Returns the same permit with an embedded proof.
    pub(super) fn embedded(&self) -> Value {
        self.embedded_by(&EddsaJcs2022)
    }

    pub(super) fn embedded_by(&self, suite: &dyn Cryptosuite) -> Value {
        let method = format!("{}#0", did(&self.issuer));
        let options = ProofOptions {
            verification_method: &method,
            purpose: carnet_core::did::VerificationRelationship::AssertionMethod,
            created: None,
            expires: None,
            challenge: None,
            domain: None,
        };
        Value::Object(add_proof(&self.document(), suite, &options, &self.issuer).unwrap())
    }

    /// Builds a presentation of credentials with embedded proofs.
    pub(super) fn present_embedded(&self, nonce: &str, audience: &str) -> String {
        self.present_document(self.embedded(), nonce, audience)
    }

    pub(super) fn present_document(&self, document: Value, nonce: &str, audience: &str) -> String {
        let holder = did(&self.holder);
        let method = format!("{holder}#0");
        presentation::create_data_integrity_presentation(
            &[document],
            &holder,
            &method,
            nonce,
            audience,
            now(),
            &self.holder,
        )
        .unwrap()
    }

    /// Builds a valid answer.
    pub(super) fn answer(&self, asked: &Asked) -> String {
        self.bind(&self.show(&["rightToWork", "legalResidence"]), asked)
    }

    /// Returns the credential with these claims disclosed.
    pub(super) fn show(&self, claims: &[&str]) -> SdJwt {
        let paths: Vec<ClaimPath> = claims.iter().map(|claim| path(&["credentialSubject", claim])).collect();
        self.credential().select_claims(&paths).unwrap()
    }

    pub(super) fn bind(&self, shown: &SdJwt, asked: &Asked) -> String {
        shown.bind_key(&asked.nonce, &asked.audience, now(), &self.holder).unwrap()
    }

    pub(super) async fn submit(&self, asked: &Asked, text: String) -> Result<SubmitPresentationResponse, Status> {
        let message = SubmitPresentationRequest { id: asked.id.clone(), vp_token: token(&asked.query, text) };
        self.wallet().submit_presentation(message).await.map(tonic::Response::into_inner)
    }

    pub(super) async fn result(&self, id: &str) -> RequestResult {
        let message = ReadResultRequest { id: id.to_owned(), ..Default::default() };
        self.staff().read_result(message).await.unwrap().into_inner().result.unwrap()
    }

    /// Asserts that an answer with one fault is refused with this code.
    #[track_caller]
    pub(super) fn refused(answer: Result<SubmitPresentationResponse, Status>, code: &str) {
        let answer = answer.unwrap();
        assert_eq!((answer.accepted, answer.reason.as_str()), (false, code), "{:#?}", answer.checks);
    }

    #[track_caller]
    pub(super) fn accepted(answer: Result<SubmitPresentationResponse, Status>) {
        let answer = answer.unwrap();
        assert!(answer.accepted, "{}: {:#?}", answer.reason, answer.checks);
    }
}

pub(super) fn key() -> SecretKey {
    SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng)
}

pub(super) fn did(key: &SecretKey) -> String {
    Did::did_jwk(&key.public_key()).to_string()
}

pub(super) fn path(names: &[&str]) -> ClaimPath {
    names.iter().map(|name| Step::Name((*name).to_owned())).collect()
}

/// Builds a vp_token with one presentation for the query's first credential.
pub(super) fn token(query: &Query, text: String) -> HashMap<String, PresentationList> {
    HashMap::from([(query.credentials[0].id.clone(), PresentationList { presentations: vec![text] })])
}

/// Builds a query for claims of the permit.
pub(super) fn query(format: &str, claims: &[&str]) -> Value {
    let claims: Vec<Value> = claims.iter().map(|claim| json!({"path": ["credentialSubject", claim]})).collect();
    json!({"credentials": [{"id": "permit", "format": format, "meta": {"type_values": [[TYPE]]}, "claims": claims}]})
}

pub(super) fn custom(query: &Value) -> What {
    let english = || HashMap::from([("en".to_owned(), "To try it.".to_owned())]);
    What::Query(CustomQuery {
        dcql_query: Some(wire::to_struct(query.as_object().unwrap())),
        purpose: english(),
        legal_basis: english(),
        retention: english(),
        intended_use: String::new(),
        allow_unknown: false,
        freshness_seconds_max: 0,
    })
}

/// Returns the reason of a status.
#[track_caller]
pub(super) fn reason<T>(answer: Result<T, Status>) -> String {
    wire::status_reason(&answer.err().expect("the call should have failed")).expect("a status of ours has a reason")
}

/// Returns a time this many hours ago.
pub(super) fn hours_ago(hours: i64) -> Timestamp {
    now().plus(hours.saturating_mul(-3_600))
}
