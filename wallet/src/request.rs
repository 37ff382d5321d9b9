//! Presentation requests (OpenID4VP 1.0 section 5): the link, and the signed request object.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use carnet_core::{
    Code, Problem,
    did::{Did, DidUrl, Resolve, VerificationRelationship},
    endpoint::parse_endpoint,
    json::{as_unsigned_integer, canonicalize},
    query::Query,
    receipt::{DID_CLIENT_ID_PREFIX, REQUEST_TYP},
    secure::jose::{Jws, KeyRef, numeric_date},
    status::freshness,
    time::{CLOCK_SKEW, Timestamp},
    trust::registration::registrations_in_request,
};
use carnet_openid::vp::{
    client_id::ClientId,
    link::{RequestLink, RequestSource, RequestUriMethod},
    request::{AuthorizationRequest, RequestPolicy},
};
use rand_core::{OsRng, RngCore as _};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::{
    address::origin,
    failure::{Failure, Sentence},
    languages::Languages,
    link::{LinkKind, extract_link, wrong_kind_failure},
    protocol::ServiceProtocol,
    sanitise::sanitise,
};

const AUDIENCE: &str = "https://self-issued.me/v2";
/// Maximum size of a request object, in bytes (spec/protocol.md section 8).
pub const MAX_REQUEST_BYTES: usize = 262_144;
const LONGEST: usize = 16_384;
const LONGEST_NONCE: usize = 512;

/// Content of an authorization request link, which is unverified: the client id, and the address of the request.
#[derive(Debug, Clone)]
pub struct AuthorizationRequestLink {
    /// Client id of the verifier.
    pub client_id: String,
    /// DID in the client id.
    pub did: Did,
    /// Origin of the verifier's service: scheme, host and port.
    pub endpoint: String,
    /// Id of the request at the verifier's service; empty for OpenID4VP.
    pub request_id: String,
    /// Source of the request for OpenID4VP; `None`: Carnet's gRPC protocol.
    pub openid: Option<OpenIdSource>,
}

/// Request object of an OpenID4VP link, or the way to fetch it.
#[derive(Debug, Clone)]
pub struct OpenIdSource {
    /// Request object in the link, or its URL and HTTP method.
    pub source: RequestSource,
    /// `wallet_nonce`, generated for one request (OpenID4VP 1.0 section 5.10); `None` if it is not fetched by POST.
    pub wallet_nonce: Option<String>,
}

impl OpenIdSource {
    fn of(source: RequestSource) -> Self {
        let is_posted = matches!(source, RequestSource::Reference(_, RequestUriMethod::Post));
        let draw = || {
            let mut bytes = [0; 32];
            OsRng.fill_bytes(&mut bytes);
            URL_SAFE_NO_PAD.encode(bytes)
        };
        Self { wallet_nonce: is_posted.then(draw), source }
    }

    /// Returns the URL from which the request object is fetched; `None` if the link contains the request.
    pub fn request_uri(&self) -> Option<&Url> {
        match &self.source {
            RequestSource::Reference(url, _) => Some(url),
            RequestSource::Object(_) | RequestSource::Parameters(_) => None,
        }
    }
}

impl AuthorizationRequestLink {
    /// Returns the link for fetching the request object by GET, without a `wallet_nonce`; `None` if it is not fetched by
    /// POST.
    #[must_use]
    pub fn by_get(&self) -> Option<Self> {
        match &self.openid.as_ref()?.source {
            RequestSource::Reference(url, RequestUriMethod::Post) => {
                let source = RequestSource::Reference(url.clone(), RequestUriMethod::Get);
                Some(Self { openid: Some(OpenIdSource { source, wallet_nonce: None }), ..self.clone() })
            }
            _ => None,
        }
    }

    /// Parses the link of a presentation request as pasted by the holder ([`extract_link`]).
    ///
    /// # Errors
    /// `request_malformed`, also for a client id without a DID; `address_forbidden`.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let refused = |why| {
            let message = Sentence::new("error-request").with_part("why", why);
            Failure::usage(Code::RequestMalformed, message, Sentence::new("hint-whole-link"))
        };
        let malformed = |why| refused(Sentence::new(why));
        let text = extract_link(text);
        if text.len() > LONGEST {
            return Err(malformed("why-long"));
        }
        if LinkKind::detect(&text) != Some(LinkKind::Request) {
            return Err(wrong_kind_failure(LinkKind::Request, &text, Code::RequestMalformed));
        }
        let url = Url::parse(&text).map_err(|_| malformed("why-no-link"))?;
        if !text.contains('&') {
            return Err(Failure { hint: Sentence::new("hint-quote"), ..malformed("why-cut") });
        }
        if is_openid(&url) {
            return Self::over_openid(&text, &refused);
        }
        let one = |wanted: &str| {
            let mut values = url.query_pairs().filter(|(name, _)| name == wanted).map(|(_, value)| value.into_owned());
            match (values.next(), values.next()) {
                (Some(value), None) => Ok(value),
                _ => Err(refused(Sentence::new("why-parameter").with("name", wanted))),
            }
        };
        let client_id = one("client_id")?;
        let did = client_id
            .strip_prefix(DID_CLIENT_ID_PREFIX)
            .and_then(|did| Did::parse(did).ok())
            .ok_or_else(|| malformed("why-no-did"))?;
        let request_uri = parse_endpoint(&one("request_uri")?)?;
        let id = request_uri
            .path()
            .strip_prefix("/requests/")
            .filter(|id| !id.is_empty() && id.len() <= 256 && !id.contains('/'))
            .ok_or_else(|| malformed("why-request-uri"))?;
        Ok(Self { client_id, did, endpoint: origin(&request_uri), request_id: id.to_owned(), openid: None })
    }

    /// Returns the protocol of the verifier's service.
    pub fn protocol(&self) -> ServiceProtocol {
        if self.openid.is_some() { ServiceProtocol::OpenId } else { ServiceProtocol::Grpc }
    }

    /// Parses an OpenID4VP link.
    fn over_openid(text: &str, refused: &dyn Fn(Sentence) -> Failure) -> Result<Self, Failure> {
        let link = RequestLink::parse(text).map_err(|problem| {
            let failure = refused(Sentence::new("why-unread"));
            Failure { message: failure.message.with_details(sanitise(&problem.detail)), ..failure }
        })?;
        let did = match ClientId::parse(&link.client_id) {
            Ok(ClientId::DecentralizedIdentifier(did)) => did,
            Ok(ClientId::RedirectUri(_)) | Err(_) => return Err(refused(Sentence::new("why-no-did"))),
        };
        let endpoint = match &link.source {
            RequestSource::Reference(url, _) => origin(&parse_endpoint(url.as_str())?),
            // The response address is verified later, with the signature.
            RequestSource::Object(object) => origin(&parse_endpoint(&response_uri(object).unwrap_or_default())?),
            RequestSource::Parameters(_) => return Err(refused(Sentence::new("why-unsigned"))),
        };
        let openid = Some(OpenIdSource::of(link.source));
        Ok(Self { client_id: link.client_id, did, endpoint, request_id: String::new(), openid })
    }
}

/// Returns whether a link is for OpenID4VP and not for Carnet's gRPC protocol: it has `request_uri_method` or
/// `request`, its `request_uri` has another path than `/requests/...`, or it has a `response_uri` and no `request_uri`.
fn is_openid(url: &Url) -> bool {
    let value = |wanted: &str| url.query_pairs().find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned());
    if value("request_uri_method").is_some() || value("request").is_some() {
        return true;
    }
    match value("request_uri") {
        Some(uri) => Url::parse(&uri).is_ok_and(|uri| !uri.path().starts_with("/requests/")),
        // Unsigned parameters.
        None => value("response_uri").is_some(),
    }
}

/// Returns the `response_uri` of a request object, whose signature is not verified here.
fn response_uri(object: &str) -> Option<String> {
    let jws = Jws::parse(object).ok()?;
    jws.payload().get("response_uri").and_then(Value::as_str).map(str::to_owned)
}

/// Presentation request whose signature, times and parameters were verified. The registrations in it were not.
#[derive(Debug, Clone)]
pub struct PresentationRequest {
    /// Full client id, which is the audience of the response.
    pub client_id: String,
    /// DID of the verifier.
    pub did: Did,
    /// Nonce that the response must contain.
    pub nonce: String,
    /// Requested credentials and claims.
    pub query: Query,
    /// Request object as signed: a JWS in compact serialisation.
    pub request_object: String,
    /// Registrations in the request, unverified.
    pub registrations: Vec<Value>,
    /// Id of the intended use that the request names; empty: none.
    pub intended_use: String,
    /// Maximum age of a freshness statement, in seconds; `None`: the verifier does not request a statement.
    pub freshness_seconds_max: Option<u32>,
    /// Parameters of the OpenID4VP response; `None`: Carnet's gRPC protocol.
    pub openid: Option<Box<AuthorizationRequest>>,
    expires: Timestamp,
    carnet: Map<String, Value>,
}

impl PresentationRequest {
    /// Verifies a request object against its link: type, client id, signature by a key that the verifier's DID document
    /// lists for authentication, times, and parameters. `resolver` provides that document. Registrations are not
    /// verified.
    ///
    /// # Errors
    /// `too_large` for an object of more than [`MAX_REQUEST_BYTES`]; otherwise the code of the first violated rule.
    pub fn verify(
        token: &str,
        pointer: &AuthorizationRequestLink,
        resolver: &dyn Resolve,
        now: Timestamp,
    ) -> Result<Self, Problem> {
        // With its receipt the object is stored, so what is accepted here can also be stored.
        if token.len() > MAX_REQUEST_BYTES {
            return Err(Problem::new(Code::TooLarge, "the request is larger than 256 KiB"));
        }
        let jws = Jws::parse(token)?;
        jws.require_typ(REQUEST_TYP)?;
        let payload = jws.payload();
        if text(payload, "client_id")? != pointer.client_id {
            return Err(Code::ClientIdMismatch.into());
        }
        let KeyRef::Kid(kid) = jws.key_ref() else {
            return Err(Problem::new(Code::HeaderKeyAmbiguous, "the request does not name its key by kid"));
        };
        let method = DidUrl::parse(kid)?;
        if *method.did() != pointer.did {
            return Err(Problem::new(Code::MethodOfOther, "the request's signer is not the named one"));
        }
        let document = resolver.resolve(method.did())?;
        jws.verify(&document.current_key_for(&method, VerificationRelationship::Authentication, now, CLOCK_SKEW)?)?;
        let openid =
            pointer.openid.as_ref().map(|source| parse_openid_parameters(payload, pointer, source, now)).transpose()?;
        let (query, expires) = match &openid {
            Some(request) => {
                let expires = request.expires_at.ok_or_else(|| Problem::from(Code::ClaimMissing))?;
                (request.query.clone(), expires)
            }
            None => check_parameters(payload, pointer, now)?,
        };
        let carnet = payload.get("carnet").and_then(Value::as_object).cloned().unwrap_or_default();
        Ok(Self {
            client_id: pointer.client_id.clone(),
            did: pointer.did.clone(),
            nonce: text(payload, "nonce")?.to_owned(),
            query,
            request_object: token.to_owned(),
            registrations: registrations_in_request(payload),
            freshness_seconds_max: freshness_seconds_max(&carnet)?,
            intended_use: carnet.get("intended_use").and_then(Value::as_str).unwrap_or_default().to_owned(),
            openid: openid.map(Box::new),
            expires,
            carnet,
        })
    }

    /// Returns the text of the request that an approval digest covers: the request object. Over OpenID4VP, each fetch
    /// of one request has another `wallet_nonce` and may have other times; then it is the base64url SHA-256 of the
    /// parameters without `wallet_nonce`, `iat` and `exp`.
    ///
    /// # Errors
    /// The parameters cannot be serialised as JSON.
    pub fn approval_text(&self) -> Result<String, Problem> {
        if self.openid.is_none() {
            return Ok(self.request_object.clone());
        }
        let mut parameters = Jws::parse(&self.request_object)?.payload().clone();
        parameters.retain(|name, _| !["wallet_nonce", "iat", "exp"].contains(&name.as_str()));
        Ok(URL_SAFE_NO_PAD.encode(Sha256::digest(canonicalize(&Value::Object(parameters))?)))
    }

    /// Returns whether the request has parameters of Carnet's own (the member `carnet`), as requests of a Carnet
    /// verifier do.
    pub fn has_carnet_parameters(&self) -> bool {
        !self.carnet.is_empty()
    }

    /// Returns the URL to which the response is sent: for OpenID4VP the `response_uri`, otherwise the URL of the
    /// verifier's service.
    pub fn response_url<'a>(&'a self, pointer: &'a AuthorizationRequestLink) -> &'a str {
        self.openid.as_ref().map_or(pointer.endpoint.as_str(), |request| request.response_uri.as_str())
    }

    /// Refuses a request whose end passed more than the permitted clock skew ago.
    ///
    /// # Errors
    /// `expired`
    pub fn require_open(&self, now: Timestamp) -> Result<(), Problem> {
        require_unexpired(self.expires, now)
    }

    /// Returns a text for people from the request, in the best language and sanitised. `name` is `verifier_name`,
    /// `purpose`, `legal_basis` or `retention`. `None` if the request has no such text.
    pub fn localized_text(&self, name: &str, languages: &Languages) -> Option<String> {
        let value = self.carnet.get(name)?;
        languages.best_text(|language| value.as_str().or_else(|| value.get(language)?.as_str()))
    }
}

/// Parses and checks the parameters of a signed OpenID4VP request.
fn parse_openid_parameters(
    payload: &Map<String, Value>,
    pointer: &AuthorizationRequestLink,
    source: &OpenIdSource,
    now: Timestamp,
) -> Result<AuthorizationRequest, Problem> {
    let policy = RequestPolicy {
        client_id: &pointer.client_id,
        request_uri: source.request_uri(),
        wallet_nonce: source.wallet_nonce.as_deref(),
        is_signed: true,
        allow_unsigned: false,
        // The holder could not know what such a request asks to approve.
        transaction_types: &[],
    };
    AuthorizationRequest::parse(payload, &policy, now)
}

fn require_unexpired(expires: Timestamp, now: Timestamp) -> Result<(), Problem> {
    if now > expires.plus(CLOCK_SKEW) {
        return Err(Problem::new(Code::Expired, "the request has expired"));
    }
    Ok(())
}

/// Checks the parameters of a request object of Carnet's gRPC protocol, and returns its query and its end.
fn check_parameters(
    payload: &Map<String, Value>,
    pointer: &AuthorizationRequestLink,
    now: Timestamp,
) -> Result<(Query, Timestamp), Problem> {
    let malformed = |what: &str| Problem::new(Code::RequestMalformed, what);
    if text(payload, "aud")? != AUDIENCE {
        return Err(Problem::new(Code::DomainMismatch, "the request is meant for another kind of wallet"));
    }
    let exp = numeric_date(payload, "exp")?
        .ok_or_else(|| Problem::new(Code::ClaimMissing, "the request has no end (exp)"))?;
    require_unexpired(exp, now)?;
    if numeric_date(payload, "iat")?.is_some_and(|iat| iat > now.plus(CLOCK_SKEW)) {
        return Err(Problem::new(Code::NotYetValid, "the request is from the future"));
    }
    // The holder could not know what such a request asks to approve.
    if payload.contains_key("transaction_data") {
        return Err(Code::TransactionDataUnsupported.into());
    }
    if text(payload, "response_type")? != "vp_token" {
        return Err(malformed("response_type is not vp_token"));
    }
    if text(payload, "response_mode")? != "direct_post" {
        return Err(malformed("response_mode is not direct_post"));
    }
    if payload.contains_key("redirect_uri") {
        return Err(malformed("redirect_uri is not allowed with direct_post"));
    }
    let response =
        parse_endpoint(text(payload, "response_uri")?).map_err(|error| malformed(&format!("response_uri {error}")))?;
    if origin(&response) != pointer.endpoint {
        return Err(malformed("the answer would go to an address other than the request's"));
    }
    let nonce = text(payload, "nonce")?;
    if nonce.is_empty() || nonce.len() > LONGEST_NONCE || !nonce.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(malformed("the nonce is empty, too long, or not printable ASCII"));
    }
    if payload.contains_key("scope") {
        return Err(malformed("there is a scope in place of a query"));
    }
    let query = payload.get("dcql_query").ok_or_else(|| Problem::new(Code::ClaimMissing, "dcql_query is missing"))?;
    Ok((Query::parse(query)?, exp))
}

/// Returns the maximum age of a freshness statement that the verifier accepts, in seconds; `None` if it requests no
/// statement (spec/freshness.md 2.6). Values outside the permitted range are refused.
fn freshness_seconds_max(carnet: &Map<String, Value>) -> Result<Option<u32>, Problem> {
    let Some(stated) = carnet.get(freshness::MAX_AGE_MEMBER) else { return Ok(None) };
    let seconds = as_unsigned_integer(stated).and_then(|seconds| u32::try_from(seconds).ok());
    let what = format!("{} is not a whole number of seconds in its range", freshness::MAX_AGE_MEMBER);
    let malformed = || Problem::new(Code::RequestMalformed, what);
    seconds.filter(|seconds| freshness::LIFETIME_RANGE.contains(seconds)).map(Some).ok_or_else(malformed)
}

fn text<'a>(payload: &'a Map<String, Value>, name: &str) -> Result<&'a str, Problem> {
    match payload.get(name) {
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(Problem::new(Code::RequestMalformed, format!("{name} is not a string"))),
        None => Err(Problem::new(Code::ClaimMissing, format!("{name} is missing"))),
    }
}

/// Unit tests, and test support for programs.
#[cfg(any(test, feature = "fixtures"))]
#[allow(missing_docs, dead_code, unused_imports, clippy::unwrap_used, clippy::indexing_slicing)]
#[allow(clippy::arithmetic_side_effects, clippy::new_without_default)]
pub mod tests;
