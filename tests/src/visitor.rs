//! A holder without a wallet: collects credentials over gRPC and presents them at will, so that tests can send what a
//! wallet would never send.

use std::collections::HashMap;

use carnet_core::{
    keys::{SecretKey, SignatureAlgorithm, Signer},
    secure::{
        jose::{self, Jws},
        sd_jwt::{ClaimPath, SdJwt, Step},
    },
    time::Timestamp,
};
use carnet_proto::{
    issuer::v1::{
        CollectCredentialsRequest, IssueNonceRequest, ReadMetadataRequest, RedeemOfferRequest,
        issuance_service_client::IssuanceServiceClient,
    },
    verifier::v1::{
        PresentationList, ReadRequestRequest, SubmitPresentationRequest, SubmitPresentationResponse,
        presentation_service_client::PresentationServiceClient,
    },
};
use percent_encoding::percent_decode_str;
use rand_core::OsRng;
use serde_json::{Map, Value, json};
use tonic::{Request, Status, transport::Channel};
use tonic_types::StatusExt as _;

use crate::Result;

/// A credential and its key.
#[derive(Debug)]
pub struct Copy {
    /// The credential as it was issued.
    pub credential: String,
    /// The key that it is bound to.
    pub key: SecretKey,
}

/// Parsed credential offer.
#[derive(Debug, Clone)]
pub struct Offer {
    /// The issuer's endpoint.
    pub endpoint: String,
    /// The code.
    pub code: String,
    /// Credential configuration id.
    pub configuration: String,
}

impl Offer {
    /// Reads an `openid-credential-offer://` URI.
    ///
    /// # Errors
    /// If it is not one.
    pub fn parse(uri: &str) -> Result<Self> {
        let (_, encoded) = uri.split_once("credential_offer=").ok_or("the URI has no credential_offer")?;
        let offer: Value = serde_json::from_str(&percent_decode_str(encoded).decode_utf8()?)?;
        let text = |pointer: &str| {
            let value = offer.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
            value.ok_or_else(|| format!("the offer has no {pointer}"))
        };
        Ok(Self {
            endpoint: text("/credential_issuer")?,
            code: text("/grants/urn:ietf:params:oauth:grant-type:pre-authorized_code/pre-authorized_code")?,
            configuration: text("/credential_configuration_ids/0")?,
        })
    }
}

/// A proof of possession for a key.
///
/// # Errors
/// If it cannot be signed.
pub fn proof(key: &SecretKey, issuer: &str, nonce: &str, now: Timestamp) -> Result<String> {
    let header = object(json!({"typ": "openid4vci-proof+jwt", "jwk": key.public_key().to_jwk()}));
    let payload = object(json!({"aud": issuer, "iat": now.unix(), "nonce": nonce}));
    Ok(jose::sign(header, &payload, key)?)
}

/// Collects one copy.
///
/// # Errors
/// The issuer's refusals.
pub async fn collect(offer_uri: &str, pin: Option<&str>, now: Timestamp) -> Result<Copy> {
    let copies = collect_copies(offer_uri, pin, 1, now).await?;
    copies.into_iter().next().ok_or_else(|| "the issuer gave no credential".into())
}

/// Collects so many copies.
///
/// # Errors
/// The issuer's refusals.
pub async fn collect_copies(offer_uri: &str, pin: Option<&str>, count: usize, now: Timestamp) -> Result<Vec<Copy>> {
    let offer = Offer::parse(offer_uri)?;
    let mut issuer = IssuanceServiceClient::connect(offer.endpoint.clone()).await?;
    let did = issuer.read_metadata(ReadMetadataRequest {}).await?.into_inner().issuer;
    collect_with(&mut issuer, &did, offer, pin, count, now).await
}

/// Collects one copy that is bound to a key of the caller's.
///
/// # Errors
/// The issuer's refusals.
pub async fn collect_bound(offer_uri: &str, pin: Option<&str>, key: SecretKey, now: Timestamp) -> Result<Copy> {
    let offer = Offer::parse(offer_uri)?;
    let mut issuer = IssuanceServiceClient::connect(offer.endpoint.clone()).await?;
    let did = issuer.read_metadata(ReadMetadataRequest {}).await?.into_inner().issuer;
    let copies = collect_bound_with(&mut issuer, &did, offer, pin, vec![key], now).await?;
    copies.into_iter().next().ok_or_else(|| "the issuer gave no credential".into())
}

/// Collects so many copies over a connection to the issuer, which has this DID.
///
/// # Errors
/// The issuer's refusals.
pub async fn collect_with(
    issuer: &mut IssuanceServiceClient<Channel>,
    did: &str,
    offer: Offer,
    pin: Option<&str>,
    count: usize,
    now: Timestamp,
) -> Result<Vec<Copy>> {
    let keys = (0..count).map(|_| SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng)).collect();
    collect_bound_with(issuer, did, offer, pin, keys, now).await
}

async fn collect_bound_with(
    issuer: &mut IssuanceServiceClient<Channel>,
    did: &str,
    offer: Offer,
    pin: Option<&str>,
    keys: Vec<SecretKey>,
    now: Timestamp,
) -> Result<Vec<Copy>> {
    let redeem =
        RedeemOfferRequest { pre_authorized_code: offer.code, tx_code: pin.map(str::to_owned), ..Default::default() };
    let token = issuer.redeem_offer(redeem).await?.into_inner().access_token;
    let nonce = issuer.issue_nonce(IssueNonceRequest {}).await?.into_inner().c_nonce;
    let collect = CollectCredentialsRequest {
        credential_configuration_id: offer.configuration,
        proofs: keys.iter().map(|key| proof(key, did, &nonce, now)).collect::<Result<_>>()?,
    };
    let answer = issuer.collect_credentials(with_bearer(collect, &token)?).await?.into_inner();
    Ok(answer.credentials.into_iter().zip(keys).map(|(copy, key)| Copy { credential: copy.credential, key }).collect())
}

/// A request with a bearer token.
///
/// # Errors
/// If the token is not ASCII.
pub fn with_bearer<T>(message: T, token: &str) -> Result<Request<T>> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse()?);
    Ok(request)
}

/// Parsed presentation request.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The verifier's endpoint.
    pub endpoint: String,
    /// The request's id.
    pub id: String,
    /// The nonce to be bound to.
    pub nonce: String,
    /// The verifier's full client id, the audience.
    pub audience: String,
    /// The first credential query's id.
    pub query_id: String,
    /// The paths that it asks for; of several claim sets those of the first.
    pub paths: Vec<ClaimPath>,
}

/// Reads a request from its `openid4vp://` URI.
///
/// # Errors
/// If it is not one, or the verifier does not know it.
pub async fn read_request(uri: &str) -> Result<Asked> {
    let (endpoint, _) = place_of(uri)?;
    read_request_with(&mut PresentationServiceClient::connect(endpoint).await?, uri).await
}

/// The verifier's endpoint and the request's id.
fn place_of(uri: &str) -> Result<(String, String)> {
    let (_, encoded) = uri.split_once("request_uri=").ok_or("the URI has no request_uri")?;
    let request_uri = percent_decode_str(encoded.split('&').next().unwrap_or_default()).decode_utf8()?;
    let (endpoint, id) = request_uri.split_once("/requests/").ok_or("request_uri has no id")?;
    Ok((endpoint.to_owned(), id.to_owned()))
}

/// Reads a request over a connection to its verifier.
///
/// # Errors
/// As for [`read_request`].
pub async fn read_request_with(verifier: &mut PresentationServiceClient<Channel>, uri: &str) -> Result<Asked> {
    let (_, id) = place_of(uri)?;
    let object = verifier.read_request(ReadRequestRequest { id }).await?.into_inner().request_object;
    asked_from(uri, &object)
}

/// Parses the request object of a request URI.
///
/// # Errors
/// It is not one, or its query asks for nothing.
pub fn asked_from(uri: &str, request_object: &str) -> Result<Asked> {
    let (endpoint, id) = place_of(uri)?;
    let jws = Jws::parse(request_object)?;
    let text = |name: &str| jws.payload().get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let query = jws.payload().get("dcql_query").ok_or("the request has no dcql_query")?;
    let query = carnet_core::query::Query::parse(query)?;
    let first = query.credentials.first().ok_or("the query asks for nothing")?;
    let is_first =
        |id: Option<&String>| first.claim_sets.first().is_none_or(|set| id.is_some_and(|id| set.contains(id)));
    Ok(Asked {
        endpoint,
        id,
        nonce: text("nonce"),
        audience: text("client_id"),
        query_id: first.id.clone(),
        paths: first
            .claims
            .iter()
            .filter(|claim| is_first(claim.id.as_ref()))
            .map(|claim| claim.path.clone())
            .collect(),
    })
}

/// Returns an honest presentation for the request.
///
/// # Errors
/// If the copy lacks a requested claim.
pub fn present(copy: &Copy, asked: &Asked, now: Timestamp) -> Result<String> {
    let selected = SdJwt::parse(&copy.credential)?.select_claims(&asked.paths)?;
    Ok(selected.bind_key(&asked.nonce, &asked.audience, now, &copy.key)?)
}

/// An honest presentation of one use of a voucher: of the serial with this number, from 0, in the order of their texts.
///
/// # Errors
/// If the copy does not have it.
pub fn present_use(copy: &Copy, asked: &Asked, number: usize, now: Timestamp) -> Result<String> {
    let token = SdJwt::parse(&copy.credential)?;
    let payload = token.resolve_disclosures()?.payload;
    let serials = payload.get("credentialSubject").and_then(|subject| subject.get("serials")?.as_array());
    let mut places: Vec<(&str, usize)> = serials.into_iter().flatten().filter_map(Value::as_str).zip(0..).collect();
    places.sort_unstable();
    let (_, place) = *places.get(number).ok_or("the voucher has no such use")?;
    let one = |step: &Step| if *step == Step::All { Step::Index(place) } else { step.clone() };
    let paths: Vec<ClaimPath> = asked.paths.iter().map(|path| path.iter().map(one).collect()).collect();
    Ok(token.select_claims(&paths)?.bind_key(&asked.nonce, &asked.audience, now, &copy.key)?)
}

/// Returns a key binding by any key, over any text, such as [`SdJwt::bind_key`] would not make.
///
/// # Errors
/// If it cannot be signed.
pub fn bind_with(shown: &str, asked: &Asked, now: Timestamp, key: &SecretKey) -> Result<String> {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use sha2::{Digest as _, Sha256};
    let header = object(json!({"typ": "kb+jwt"}));
    let payload = object(json!({
        "nonce": asked.nonce, "aud": asked.audience, "iat": now.unix(),
        "sd_hash": URL_SAFE_NO_PAD.encode(Sha256::digest(shown.as_bytes())),
    }));
    Ok(format!("{shown}{}", jose::sign(header, &payload, key)?))
}

/// Submits one presentation.
///
/// # Errors
/// The verifier's status, where it does not even look at it.
pub async fn submit(asked: &Asked, presentation: String) -> std::result::Result<SubmitPresentationResponse, Status> {
    let channel = Channel::from_shared(asked.endpoint.clone())
        .map_err(|error| Status::invalid_argument(error.to_string()))?
        .connect()
        .await
        .map_err(|error| Status::unavailable(error.to_string()))?;
    submit_with(&mut PresentationServiceClient::new(channel), asked, presentation).await
}

/// Submits one presentation over a connection to the verifier.
///
/// # Errors
/// The verifier's status, where it does not even look at it.
pub async fn submit_with(
    verifier: &mut PresentationServiceClient<Channel>,
    asked: &Asked,
    presentation: String,
) -> std::result::Result<SubmitPresentationResponse, Status> {
    let list = PresentationList { presentations: vec![presentation] };
    let message =
        SubmitPresentationRequest { id: asked.id.clone(), vp_token: HashMap::from([(asked.query_id.clone(), list)]) };
    verifier.submit_presentation(message).await.map(tonic::Response::into_inner)
}

/// Returns the reason for refusing a submission, in lower case; `None` if it was accepted.
#[must_use]
pub fn refusal(answer: &std::result::Result<SubmitPresentationResponse, Status>) -> Option<String> {
    match answer {
        Ok(response) if response.accepted => None,
        Ok(response) => Some(response.reason.to_lowercase()),
        Err(status) => Some(reason(status)),
    }
}

/// The stable reason of a status, in lower case.
#[must_use]
pub fn reason(status: &Status) -> String {
    status.get_error_details().error_info().map_or_else(|| status.code().to_string(), |info| info.reason.to_lowercase())
}

/// The members of a JSON object; none, of anything else.
#[must_use]
pub fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

/// The time, from this machine's clock.
#[must_use]
pub fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
