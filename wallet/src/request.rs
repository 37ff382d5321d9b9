//! Presentation requests (OpenID4VP 1.0 section 5): the link, and the signed request object behind it.

use carnet_core::{
    Code, Problem,
    did::{Did, DidUrl, Purpose, Resolve},
    json::whole_unsigned,
    query::Query,
    receipt::{CLIENT_ID_PREFIX, REQUEST_TYP},
    secure::jose::{Jws, KeyRef, numeric_date},
    status::freshness,
    time::{CLOCK_SKEW, Timestamp},
    trust::registration::in_request,
};
use serde_json::{Map, Value};
use url::Url;

use crate::{
    address::{origin, service_address},
    failure::{Failure, Sentence},
    languages::Languages,
    link::{LinkKind, unwrapped, wrong_kind},
};

const AUDIENCE: &str = "https://self-issued.me/v2";
const LONGEST: usize = 16_384;
const LONGEST_NONCE: usize = 512;

/// Location and sender of a request according to the link; unverified.
#[derive(Debug, Clone)]
pub struct Pointer {
    /// Client id of the verifier.
    pub client_id: String,
    /// DID in the client id.
    pub did: Did,
    /// URL of the verifier's service.
    pub endpoint: String,
    /// Id of the request at the service.
    pub id: String,
}

impl Pointer {
    /// Parses a link.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let refused = |why| {
            let message = Sentence::id("error-request").with_part("why", why);
            Failure::usage("request_malformed", message, Sentence::id("hint-whole-link"))
        };
        let malformed = |why| refused(Sentence::id(why));
        let text = unwrapped(text);
        if text.len() > LONGEST {
            return Err(malformed("why-long"));
        }
        if LinkKind::of(&text) != Some(LinkKind::Request) {
            return Err(wrong_kind(LinkKind::Request, &text, "request_malformed"));
        }
        let url = Url::parse(&text).map_err(|_| malformed("why-no-link"))?;
        if !text.contains('&') {
            return Err(Failure { hint: Sentence::id("hint-quote"), ..malformed("why-cut") });
        }
        let one = |wanted: &str| {
            let mut values = url.query_pairs().filter(|(name, _)| name == wanted).map(|(_, value)| value.into_owned());
            match (values.next(), values.next()) {
                (Some(value), None) => Ok(value),
                _ => Err(refused(Sentence::id("why-parameter").with("name", wanted))),
            }
        };
        let client_id = one("client_id")?;
        let did = client_id
            .strip_prefix(CLIENT_ID_PREFIX)
            .and_then(|did| Did::parse(did).ok())
            .ok_or_else(|| malformed("why-no-did"))?;
        let request_uri = service_address(&one("request_uri")?)?;
        let id = request_uri
            .path()
            .strip_prefix("/requests/")
            .filter(|id| !id.is_empty() && id.len() <= 256 && !id.contains('/'))
            .ok_or_else(|| malformed("why-request-uri"))?;
        Ok(Self { client_id, did, endpoint: origin(&request_uri), id: id.to_owned() })
    }
}

/// Verified request.
#[derive(Debug, Clone)]
pub struct Request {
    /// Full client id, which is the audience of the response.
    pub client_id: String,
    /// DID of the verifier.
    pub did: Did,
    /// Nonce to which the response is bound.
    pub nonce: String,
    /// Requested credentials and claims.
    pub query: Query,
    /// Signed text of the request object.
    pub object: String,
    /// Registrations in the request, unverified.
    pub registrations: Vec<Value>,
    /// Intended use that the request names; empty if it names none.
    pub intended_use: String,
    /// Maximum age of a freshness statement, in seconds; `None`: the verifier wants no statement.
    pub freshness_seconds_max: Option<u32>,
    expires: Timestamp,
    carnet: Map<String, Value>,
}

impl Request {
    /// Verifies a request object against the link that led to it. `resolver` provides the verifier's DID document.
    pub fn verify(token: &str, pointer: &Pointer, resolver: &dyn Resolve, now: Timestamp) -> Result<Self, Problem> {
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
        if document.expires(&method).is_some_and(|end| now > end) {
            return Err(Problem::new(Code::KeyInvalid, "the asker's key has expired"));
        }
        jws.verify(&document.key_for(&method, Purpose::Authentication)?)?;
        let (query, expires) = check(payload, pointer, now)?;
        let carnet = payload.get("carnet").and_then(Value::as_object).cloned().unwrap_or_default();
        Ok(Self {
            client_id: pointer.client_id.clone(),
            did: pointer.did.clone(),
            nonce: text(payload, "nonce")?.to_owned(),
            query,
            object: token.to_owned(),
            registrations: in_request(payload),
            freshness_seconds_max: freshness_seconds_max(&carnet)?,
            intended_use: carnet.get("intended_use").and_then(Value::as_str).unwrap_or_default().to_owned(),
            expires,
            carnet,
        })
    }

    /// Refuses an expired request, to which the verifier accepts no response.
    ///
    /// # Errors
    /// `expired`
    pub fn require_open(&self, now: Timestamp) -> Result<(), Problem> {
        open_until(self.expires, now)
    }

    /// Returns a text by the verifier for people: `verifier_name`, `purpose`, `legal_basis`, `retention`.
    pub fn words(&self, name: &str, languages: &Languages) -> Option<String> {
        let value = self.carnet.get(name)?;
        languages.pick(|language| value.as_str().or_else(|| value.get(language)?.as_str()))
    }
}

fn open_until(expires: Timestamp, now: Timestamp) -> Result<(), Problem> {
    if now > expires.plus(CLOCK_SKEW) {
        return Err(Problem::new(Code::Expired, "the request has expired"));
    }
    Ok(())
}

/// Checks the content of a request object, and returns its query and its end.
fn check(payload: &Map<String, Value>, pointer: &Pointer, now: Timestamp) -> Result<(Query, Timestamp), Problem> {
    let malformed = |what: &str| Problem::new(Code::RequestMalformed, what);
    if text(payload, "aud")? != AUDIENCE {
        return Err(Problem::new(Code::DomainMismatch, "the request is meant for another kind of wallet"));
    }
    let exp = numeric_date(payload, "exp")?
        .ok_or_else(|| Problem::new(Code::ClaimMissing, "the request has no end (exp)"))?;
    open_until(exp, now)?;
    if numeric_date(payload, "iat")?.is_some_and(|iat| iat > now.plus(CLOCK_SKEW)) {
        return Err(Problem::new(Code::NotYetValid, "the request is from the future"));
    }
    // The owner could not understand what such a request asks to approve.
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
    let response = service_address(text(payload, "response_uri")?).map_err(|error| malformed(&error.to_string()))?;
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

/// Returns the accepted age of a freshness statement (spec/freshness.md 2.6). Only the listed values are allowed:
/// others could mark the request.
fn freshness_seconds_max(carnet: &Map<String, Value>) -> Result<Option<u32>, Problem> {
    let Some(stated) = carnet.get(freshness::MAX_AGE_MEMBER) else { return Ok(None) };
    let seconds = whole_unsigned(stated).and_then(|seconds| u32::try_from(seconds).ok());
    let what = format!("{} is not a whole number of seconds in its range", freshness::MAX_AGE_MEMBER);
    let malformed = || Problem::new(Code::RequestMalformed, what);
    seconds.filter(|seconds| freshness::SECONDS.contains(seconds)).map(Some).ok_or_else(malformed)
}

fn text<'a>(payload: &'a Map<String, Value>, name: &str) -> Result<&'a str, Problem> {
    match payload.get(name) {
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(Problem::new(Code::RequestMalformed, format!("{name} is not a string"))),
        None => Err(Problem::new(Code::ClaimMissing, format!("{name} is missing"))),
    }
}

/// Unit tests, and what programs test with.
#[cfg(any(test, feature = "fixtures"))]
#[allow(missing_docs, dead_code, unused_imports, clippy::unwrap_used, clippy::indexing_slicing)]
#[allow(clippy::arithmetic_side_effects, clippy::new_without_default)]
pub mod tests;
