//! Authorization requests (OpenID4VP section 5): their parameters, created by a verifier and parsed by a wallet.

use carnet_core::{
    Code, Problem,
    query::Query,
    secure::jose::numeric_date,
    time::{CLOCK_SKEW, Timestamp},
};
use serde_json::{Map, Value, json};
use url::Url;

use super::{
    ResponseMode, SELF_ISSUED_AUDIENCE, check_nonce, client_id::ClientId, client_metadata::ClientMetadata,
    transaction_data::TransactionData,
};
use crate::link::parse_https_url;

/// Maximum length of `request_uri` and `response_uri`, in bytes.
pub(super) const MAX_URL_BYTES: usize = 2_048;
/// Maximum number of entries in `verifier_info`.
const MAX_VERIFIER_INFO: usize = 16;

/// Parameters of a request object, given by a verifier.
#[derive(Debug)]
pub struct RequestParameters<'a> {
    /// Full client identifier, with its prefix.
    pub client_id: &'a str,
    /// Response mode.
    pub response_mode: ResponseMode,
    /// URL to which the response is sent.
    pub response_uri: &'a str,
    /// Nonce to which the presentations are bound.
    pub nonce: &'a str,
    /// `state`, which the response must repeat; `None`: the parameter is omitted.
    pub state: Option<&'a str>,
    /// DCQL query.
    pub query: &'a Value,
    /// Verifier metadata.
    pub client_metadata: Option<&'a ClientMetadata>,
    /// Entry of `verifier_info`, as `(format, data)`: the verifier's registration (OpenID4VP section 5.1).
    pub verifier_info: Option<(&'a str, Value)>,
    /// Start and end of the validity: `iat` and `exp`.
    pub validity: (Timestamp, Timestamp),
    /// `wallet_nonce` posted by the wallet that fetches the request object; `None` after GET (OpenID4VP section 5.10).
    pub wallet_nonce: Option<&'a str>,
}

impl RequestParameters<'_> {
    /// Returns the payload of a request object.
    #[must_use]
    pub fn to_payload(&self) -> Map<String, Value> {
        let (issued_at, expires_at) = self.validity;
        let mut payload = Map::new();
        let mut insert = |name: &str, value: Value| _ = payload.insert(name.to_owned(), value);
        insert("client_id", self.client_id.into());
        insert("aud", SELF_ISSUED_AUDIENCE.into());
        insert("response_type", "vp_token".into());
        insert("response_mode", self.response_mode.as_str().into());
        insert("response_uri", self.response_uri.into());
        insert("nonce", self.nonce.into());
        insert("dcql_query", self.query.clone());
        insert("iat", issued_at.unix().into());
        insert("exp", expires_at.unix().into());
        if let Some(state) = self.state {
            insert("state", state.into());
        }
        if let Some(metadata) = self.client_metadata {
            insert("client_metadata", metadata.to_json());
        }
        if let Some((format, data)) = &self.verifier_info {
            insert("verifier_info", json!([{"format": format, "data": data}]));
        }
        if let Some(wallet_nonce) = self.wallet_nonce {
            insert("wallet_nonce", wallet_nonce.into());
        }
        payload
    }
}

/// Values that a wallet expects in a request, and its policy.
#[derive(Debug, Clone, Copy)]
pub struct RequestPolicy<'a> {
    /// Client identifier in the request link.
    pub client_id: &'a str,
    /// URL from which the request object was fetched; `None`: the request was in the link.
    pub request_uri: Option<&'a Url>,
    /// `wallet_nonce` that was posted to `request_uri`; `None`: nothing was posted.
    pub wallet_nonce: Option<&'a str>,
    /// `true` if the parameters are from a request object with a verified signature.
    pub is_signed: bool,
    /// `true` if unsigned requests are accepted.
    pub allow_unsigned: bool,
    /// Types of transaction data that the wallet can display.
    pub transaction_types: &'a [&'a str],
}

/// Parsed and checked authorization request.
#[derive(Debug, Clone)]
pub struct AuthorizationRequest {
    /// Client identifier of the verifier, which is also the audience of the response.
    pub client_id: ClientId,
    /// Response mode.
    pub response_mode: ResponseMode,
    /// URL to which the response is sent.
    pub response_uri: Url,
    /// Nonce to which the presentations are bound.
    pub nonce: String,
    /// `state` to be repeated in the response.
    pub state: Option<String>,
    /// DCQL query.
    pub query: Query,
    /// Verifier metadata; always present for `direct_post.jwt`.
    pub client_metadata: Option<ClientMetadata>,
    /// Entries of `verifier_info`, unverified; empty if the parameter is absent.
    pub verifier_info: Vec<Value>,
    /// Transaction data of supported types.
    pub transaction_data: Vec<TransactionData>,
    /// Expiry (`exp`); `None` for an unsigned request.
    pub expires_at: Option<Timestamp>,
}

impl AuthorizationRequest {
    /// Parses and checks the parameters of a request, whose signature the caller has verified. Unknown parameters are
    /// ignored (OpenID4VP section 5).
    ///
    /// # Errors
    /// `request_malformed`; `client_id_mismatch`; `claim_missing`; `domain_mismatch` (another `aud`), `expired` and
    /// `not_yet_valid`, each with clock skew and for signed requests only; `transaction_data_unsupported`;
    /// `nonce_replayed` for another `wallet_nonce`; those of [`Query::parse`] and [`ClientMetadata::parse`].
    pub fn parse(parameters: &Map<String, Value>, policy: &RequestPolicy<'_>, now: Timestamp) -> Result<Self, Problem> {
        let client_id = check_client_id(parameters, policy)?;
        let expires_at = if policy.is_signed { Some(check_validity(parameters, now)?) } else { None };
        for (name, wanted) in [("response_type", "vp_token")] {
            if text(parameters, name)? != wanted {
                return Err(malformed(&format!("{name} is not {wanted}")));
            }
        }
        if ["scope", "presentation_definition", "presentation_definition_uri"]
            .iter()
            .any(|name| parameters.contains_key(*name))
        {
            return Err(malformed("there must be a dcql_query and no other query"));
        }
        let mode = ResponseMode::parse(text(parameters, "response_mode")?)?;
        let response_uri = check_response_uri(parameters, &client_id, policy)?;
        let nonce = text(parameters, "nonce")?;
        check_nonce("nonce", nonce)?;
        let state = optional_text(parameters, "state")?;
        state.map_or(Ok(()), |state| check_nonce("state", state))?;
        if optional_text(parameters, "wallet_nonce")? != policy.wallet_nonce {
            return Err(Problem::new(Code::NonceReplayed, "the request is not made for this wallet_nonce"));
        }
        let query = parameters.get("dcql_query").ok_or_else(|| missing("dcql_query"))?;
        let query = Query::parse(query)?;
        let metadata = parameters.get("client_metadata").map(|value| ClientMetadata::parse(value, mode)).transpose()?;
        if mode == ResponseMode::DirectPostJwt && metadata.is_none() {
            return Err(malformed("direct_post.jwt without client_metadata"));
        }
        let ids: Vec<&str> = query.credentials.iter().map(|credential| credential.id.as_str()).collect();
        let transaction_data = parameters.get("transaction_data");
        let transaction_data = transaction_data
            .map_or(Ok(Vec::new()), |value| TransactionData::parse_all(value, policy.transaction_types, &ids))?;
        Ok(Self {
            client_id,
            response_mode: mode,
            response_uri,
            nonce: nonce.to_owned(),
            state: state.map(str::to_owned),
            query,
            client_metadata: metadata,
            verifier_info: verifier_info(parameters)?,
            transaction_data,
            expires_at,
        })
    }
}

/// Checks that `client_id` is that of the link, and that the request is signed exactly if the identifier requires it.
fn check_client_id(parameters: &Map<String, Value>, policy: &RequestPolicy<'_>) -> Result<ClientId, Problem> {
    let inner = text(parameters, "client_id")?;
    if inner != policy.client_id {
        return Err(Code::ClientIdMismatch.into());
    }
    let client_id = ClientId::parse(inner)?;
    match (client_id.requires_signed_request(), policy.is_signed) {
        (true, false) => Err(malformed("the request is not signed, as its client id demands")),
        (false, true) => Err(malformed("the request is signed, and its client id has no key")),
        (false, false) if !policy.allow_unsigned => Err(malformed("unsigned requests are not accepted")),
        _ => Ok(client_id),
    }
}

/// Checks `aud`, `exp` and `iat` of a request object, and returns `exp`.
fn check_validity(parameters: &Map<String, Value>, now: Timestamp) -> Result<Timestamp, Problem> {
    if text(parameters, "aud")? != SELF_ISSUED_AUDIENCE {
        return Err(Problem::new(Code::DomainMismatch, "the request is meant for another kind of wallet"));
    }
    let expires_at = numeric_date(parameters, "exp")?.ok_or_else(|| missing("exp"))?;
    if now > expires_at.plus(CLOCK_SKEW) {
        return Err(Problem::new(Code::Expired, "the request has expired"));
    }
    if numeric_date(parameters, "iat")?.is_some_and(|issued_at| issued_at > now.plus(CLOCK_SKEW)) {
        return Err(Problem::new(Code::NotYetValid, "the request was issued in the future"));
    }
    Ok(expires_at)
}

/// Parses and checks `response_uri`. It must equal the client identifier of an unsigned request (OpenID4VP section
/// 5.9.3), or have the origin of the URL from which the request object was fetched (spec/openid4vp.md).
fn check_response_uri(
    parameters: &Map<String, Value>,
    client_id: &ClientId,
    policy: &RequestPolicy<'_>,
) -> Result<Url, Problem> {
    if parameters.contains_key("redirect_uri") {
        return Err(malformed("redirect_uri is not allowed with response_uri"));
    }
    let stated = text(parameters, "response_uri")?;
    if stated.len() > MAX_URL_BYTES {
        return Err(malformed("response_uri is too long"));
    }
    let url = parse_https_url("response_uri", stated).map_err(|problem| malformed(&problem.detail))?;
    let fits = match (client_id, policy.request_uri) {
        (ClientId::RedirectUri(own), _) => *own == url,
        (ClientId::DecentralizedIdentifier(_), Some(request_uri)) => request_uri.origin() == url.origin(),
        (ClientId::DecentralizedIdentifier(_), None) => true,
    };
    if fits { Ok(url) } else { Err(malformed("the response would go to an address that the request does not allow")) }
}

fn verifier_info(parameters: &Map<String, Value>) -> Result<Vec<Value>, Problem> {
    let entries = match parameters.get("verifier_info") {
        None => return Ok(Vec::new()),
        Some(Value::Array(entries)) if !entries.is_empty() && entries.len() <= MAX_VERIFIER_INFO => entries,
        Some(_) => return Err(malformed("verifier_info is not an array of 1 to 16 objects")),
    };
    let holds = |entry: &Value| {
        let data = entry.get("data").is_some_and(|data| data.is_string() || data.is_object());
        data && entry.get("format").is_some_and(Value::is_string)
    };
    if entries.iter().all(holds) { Ok(entries.clone()) } else { Err(malformed("verifier_info has a malformed entry")) }
}

fn malformed(what: &str) -> Problem {
    Problem::new(Code::RequestMalformed, what)
}

fn missing(name: &str) -> Problem {
    Problem::new(Code::ClaimMissing, format!("{name} is missing"))
}

fn text<'a>(parameters: &'a Map<String, Value>, name: &str) -> Result<&'a str, Problem> {
    optional_text(parameters, name)?.ok_or_else(|| missing(name))
}

fn optional_text<'a>(parameters: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, Problem> {
    match parameters.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(malformed(&format!("{name} is not a string"))),
    }
}

#[cfg(test)]
mod tests;
