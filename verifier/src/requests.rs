//! Creation of requests: query, purpose, legal basis and retention, and the signed request object.

use std::collections::BTreeMap;

use carnet_core::{
    Code, Problem,
    format::CredentialFormat,
    json::{self, Limits, canonicalize},
    query::{CredentialQuery, Query},
    secure::{jose, sd_jwt::Step},
    time::Timestamp,
    verify::MAX_PRESENTATIONS,
};
use carnet_openid::vp::{ResponseMode, request::RequestParameters};
use carnet_service::uri;
use carnet_spec::Catalogue;
use rand_core::OsRng;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    error::Error,
    ids::{self, RequestId},
    request::{NewRequest, StoredRequest},
    statement_age::check_max_statement_age,
    store::{ReadRequests as _, Store, WriteRequests as _, WriteRows as _},
    verification::VerificationService,
    verifier::Verifier,
};

/// Permitted time for an answer, in seconds.
const TTL_RANGE: std::ops::RangeInclusive<u32> = 5..=86_400;

/// Maximum length of a text for holders, in characters.
const MAX_TEXT_CHARS: usize = 1_000;
const MAX_LANGUAGES: usize = 32;

/// Maximum length of a `request_id` and of the id of an intended use, in bytes.
const MAX_REQUEST_ID_BYTES: usize = 128;

/// Texts for holders by language tag (BCP 47).
pub(crate) type LocalizedTexts = BTreeMap<String, String>;

/// Source of a request's query and of its texts for the holder.
pub(crate) enum QuerySource {
    /// Id of a template of the catalogue.
    Template(String),
    /// Custom query (DCQL), with its texts.
    Query {
        dcql: Map<String, Value>,
        purpose: LocalizedTexts,
        legal_basis: LocalizedTexts,
        retention: LocalizedTexts,
        /// Intended use of the registration that covers the query; empty: none.
        intended_use: String,
        /// `true` if types and claims that the catalogue does not have are permitted.
        allow_unknown: bool,
        /// Maximum age of a freshness statement, in seconds; `None`: statements are not requested.
        freshness_seconds_max: Option<u32>,
    },
}

/// Parameters for the creation of a request.
pub(crate) struct CreateRequest {
    /// Idempotency key: the same id returns the same request; empty: each call creates a new request.
    pub(crate) request_id: String,
    /// Source of the query.
    pub(crate) source: QuerySource,
    /// Time during which the request can be answered, in seconds; 0: as configured.
    pub(crate) ttl_seconds: u32,
}

/// Links of a created request, to be sent to a holder.
pub(crate) struct CreatedRequest {
    pub(crate) id: RequestId,
    /// `openid4vp://...` link for Carnet's wallet, which fetches the request over gRPC.
    pub(crate) link: String,
    /// `openid4vp://...` link for other wallets, which fetch the request over HTTP.
    pub(crate) openid_link: String,
    pub(crate) expires_at: Timestamp,
}

/// Checked content of a request.
struct RequestContent {
    template: String,
    intended_use: String,
    query: Value,
    purpose: LocalizedTexts,
    legal_basis: LocalizedTexts,
    retention: LocalizedTexts,
    keep_days: u32,
    freshness_seconds_max: Option<u32>,
}

impl<S: Store> Verifier<S> {
    /// Creates, signs and stores a request, or returns the one that an earlier call with the same `request_id` and
    /// parameters created.
    ///
    /// # Errors
    /// A parameter is invalid or out of range; the template is unknown; the query is invalid, unknown or unsupported;
    /// the `request_id` was used with other parameters; [`Error::ReconciliationDue`]; store errors.
    pub(crate) async fn create_request(&self, call: CreateRequest, now: Timestamp) -> Result<CreatedRequest, Error> {
        check_request_id(&call.request_id)?;
        if call.ttl_seconds != 0 && !TTL_RANGE.contains(&call.ttl_seconds) {
            let description =
                format!("must be 0 (the default) or from {} to {} seconds", TTL_RANGE.start(), TTL_RANGE.end());
            return Err(Error::invalid("TTL_OUT_OF_RANGE", "ttl_seconds", description));
        }
        let ttl = if call.ttl_seconds == 0 { self.settings.request_ttl } else { call.ttl_seconds };
        let content = self.request_content(call.source, now)?;
        let template = self.verification.catalogue.template(&content.template);
        if template.is_some_and(|template| template.redemption.is_some()) {
            self.require_offline_uses_left().await?;
        }
        let parameters_digest = parameters_digest(&content, call.ttl_seconds)?;
        let (id, nonce) = (RequestId::generate(&mut OsRng), ids::generate_nonce(&mut OsRng));
        let expires_at = now.plus(i64::from(ttl));
        let request_object = self.sign_request_object(&id, &nonce, &content, now, expires_at).await?;
        let new = NewRequest {
            id,
            request_id: Some(call.request_id).filter(|request_id| !request_id.is_empty()),
            parameters_digest,
            template: content.template,
            query: content.query.to_string(),
            audience: self.identity.client_id(),
            nonce,
            request_object,
            created_at: now,
            expires_at,
            // From the creation, so that data of a late answer is not kept longer than the holder was told; but never
            // less than the request is open.
            keep_until: now
                .plus(i64::from(content.keep_days).saturating_mul(carnet_core::day::SECONDS))
                .max(expires_at),
        };
        let (id, expires_at, is_new) = store_request(&self.store, new).await?;
        self.created_request(id, expires_at, is_new, now).await
    }

    /// Returns the signed request object for a wallet that fetches it over gRPC, while the request is open.
    ///
    /// # Errors
    /// The request is unknown or closed; store errors.
    pub(crate) async fn read_request(&self, id: &str, now: Timestamp) -> Result<String, Error> {
        let request = self.stored_request(id).await?;
        match request.closed_reason(now) {
            Some(closed) => Err(Error::RequestClosed(closed)),
            None => Ok(request.request_object),
        }
    }

    /// Returns the stored request with this id.
    ///
    /// # Errors
    /// [`Error::RequestUnknown`]; store errors.
    pub(crate) async fn stored_request(&self, id: &str) -> Result<StoredRequest, Error> {
        let id = RequestId::parse(id).ok_or(Error::RequestUnknown)?;
        self.store.read().await?.request(&id).await?.ok_or(Error::RequestUnknown)
    }

    async fn created_request(
        &self,
        id: RequestId,
        expires_at: Timestamp,
        is_new: bool,
        now: Timestamp,
    ) -> Result<CreatedRequest, Error> {
        let openid_uri = match self.openid_link_of_new_request(&id).filter(|_| is_new) {
            Some(link) => link?,
            None => self.openid_link(&id, now).await?,
        };
        let request_uri = format!("{}/requests/{}", self.settings.public_url, id.as_str());
        let (client_id, request_uri) =
            (uri::percent_encode(&self.identity.client_id()), uri::percent_encode(&request_uri));
        let uri = format!("openid4vp://?client_id={client_id}&request_uri={request_uri}");
        Ok(CreatedRequest { id, link: uri, openid_link: openid_uri, expires_at })
    }

    fn request_content(&self, what: QuerySource, now: Timestamp) -> Result<RequestContent, Error> {
        match what {
            QuerySource::Template(id) => {
                let template = self.verification.catalogue.template(&id).ok_or_else(|| {
                    let known: Vec<&str> =
                        self.verification.catalogue.templates().map(|known| known.id.as_str()).collect();
                    Error::invalid(
                        "TEMPLATE_UNKNOWN",
                        "template",
                        format!("there is no such template; there are: {}", known.join(", ")),
                    )
                })?;
                let (query, query_json) = template.query_at(now)?;
                require_supported_query(&query, "template")?;
                let longest = template.retained_claims.iter().map(|keep| keep.retention_days).max().unwrap_or_default();
                Ok(RequestContent {
                    intended_use: id.clone(),
                    template: id,
                    query: query_json,
                    purpose: template.purpose.clone(),
                    legal_basis: template.legal_basis.clone(),
                    retention: template.retention.clone(),
                    // The request is kept as long as the data of its answer; otherwise nobody could have the data
                    // erased.
                    keep_days: template.retention_days.max(longest),
                    freshness_seconds_max: template.max_freshness_seconds,
                })
            }
            QuerySource::Query {
                dcql,
                purpose,
                legal_basis,
                retention,
                intended_use,
                allow_unknown,
                freshness_seconds_max,
            } => {
                check_max_statement_age(freshness_seconds_max)?;
                if !intended_use.is_empty() {
                    check_intended_use(&intended_use)?;
                }
                let (query, asked) = parse_custom_query(dcql, "query.dcql_query")?;
                if !allow_unknown {
                    require_known_names(&self.verification.catalogue, &asked, "query.dcql_query")?;
                }
                if let Some(what) = self.verification.catalogue.missing_required_claim(&asked) {
                    return Err(Error::invalid("QUERY_UNSUPPORTED", "query.dcql_query", what));
                }
                check_texts(&purpose, "query.purpose")?;
                check_texts(&legal_basis, "query.legal_basis")?;
                check_texts(&retention, "query.retention")?;
                let keep_days = self.settings.verdict_days;
                Ok(RequestContent {
                    template: String::new(),
                    intended_use,
                    query,
                    purpose,
                    legal_basis,
                    retention,
                    keep_days,
                    freshness_seconds_max,
                })
            }
        }
    }

    /// Creates and signs the request object of a request (OpenID4VP 1.0 section 5).
    async fn sign_request_object(
        &self,
        id: &RequestId,
        nonce: &str,
        content: &RequestContent,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<String, Error> {
        let header = json!({"typ": "oauth-authz-req+jwt", "kid": self.identity.kid});
        let registration = self.registration.clone();
        let registration = registration.map(|data| (CredentialFormat::DiVcJcs.as_str(), data.into()));
        let mut payload = RequestParameters {
            client_id: &self.identity.client_id(),
            response_mode: ResponseMode::DirectPost,
            response_uri: &format!("{}/requests/{}/answer", self.settings.public_url, id.as_str()),
            nonce,
            state: None,
            query: &content.query,
            client_metadata: None,
            verifier_info: registration,
            validity: (now, expires_at),
            wallet_nonce: None,
        }
        .to_payload();
        let own = json!({
            "verifier_name": self.identity.name,
            "template": content.template,
            "intended_use": content.intended_use,
            "purpose": content.purpose,
            "legal_basis": content.legal_basis,
            "retention": content.retention,
        });
        payload.insert("carnet".to_owned(), own);
        let mut payload = Value::Object(payload);
        self.add_max_statement_age(&mut payload, content.freshness_seconds_max, now);
        let (Value::Object(header), Value::Object(payload)) = (header, payload) else {
            return Err(Error::Internal("a request object is not an object".to_owned()));
        };
        let signed = self.identity.run_signing(move |identity| jose::sign(header, &payload, &identity.keyring)).await?;
        signed.map_err(|problem| Error::Internal(problem.to_string()))
    }
}

/// Stores a request, and returns its id, its expiry, and whether it is new. If a request with the same `request_id` and
/// parameters exists, returns that one, and stores nothing.
///
/// # Errors
/// [`Error::RequestIdReused`]: the `request_id` was used for a request with other parameters; store errors.
pub(crate) async fn store_request<S: Store>(store: &S, new: NewRequest) -> Result<(RequestId, Timestamp, bool), Error> {
    let mut transaction = store.begin("create_request").await?;
    if let Some(request_id) = &new.request_id
        && let Some(known) = transaction.request_by_call_id(request_id).await?
    {
        if known.parameters_digest != new.parameters_digest {
            return Err(Error::RequestIdReused);
        }
        transaction.commit().await?;
        return Ok((known.id, known.expires_at, false));
    }
    transaction.insert_request(&new).await?;
    transaction.commit().await?;
    tracing::info!(template = new.template, "a request was created");
    Ok((new.id, new.expires_at, true))
}

/// Parses a custom DCQL query, and returns it as JSON and parsed.
///
/// The text must be within [`Limits::SMALL`], which wallets apply when they read the request: otherwise no wallet could
/// answer it.
///
/// # Errors
/// `QUERY_MALFORMED`; the errors for a query that this verifier does not support. `field` names the field of the call.
pub(crate) fn parse_custom_query(dcql: Map<String, Value>, field: &'static str) -> Result<(Value, Query), Error> {
    let malformed = |problem: Problem| Error::invalid("QUERY_MALFORMED", field, problem.detail);
    let text = Value::Object(dcql).to_string();
    let value = json::parse(text.as_bytes(), Limits::SMALL).map_err(malformed)?;
    let query = Query::parse(&value).map_err(malformed)?;
    require_supported_query(&query, field)?;
    Ok((value, query))
}

/// Parses the query of a stored request.
///
/// # Errors
/// [`Error::Internal`]: the stored text is invalid, or was erased.
pub(crate) fn parse_stored_query(stored: &StoredRequest) -> Result<Query, Error> {
    let unreadable = |_| Error::Internal("a stored query cannot be read".to_owned());
    let query = json::parse(stored.query.as_bytes(), Limits::SMALL).map_err(unreadable)?;
    Query::parse(&query).map_err(unreadable)
}

/// Refuses a query for types and claims that are not in the catalogue: most of these are typing errors, and nobody
/// could answer.
fn require_known_names(catalogue: &Catalogue, query: &Query, field: &'static str) -> Result<(), Error> {
    let unknown: Vec<String> =
        catalogue.unknown_names(query).into_iter().map(|(id, unknown)| format!("{id}: {unknown}")).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let description = format!(
        "{}. Nothing was created. Correct it, or confirm it with allow_unknown (--allow-unknown)",
        unknown.join(". ")
    );
    Err(Error::invalid("QUERY_UNKNOWN", field, description))
}

/// Refuses a query whose presentations this verifier could not verify or evaluate.
fn require_supported_query(query: &Query, field: &'static str) -> Result<(), Error> {
    let unsupported = |description| Err(Error::invalid("QUERY_UNSUPPORTED", field, description));
    let is_supported = |asked: &CredentialQuery| {
        asked.format.known().is_some_and(|format| VerificationService::supported_formats().contains(&format))
    };
    if let Some(asked) = query.credentials.iter().find(|asked| !is_supported(asked)) {
        return Err(Error::invalid(
            "FORMAT_UNSUPPORTED",
            field,
            format!(
                "{}: this verifier verifies {}",
                asked.id,
                VerificationService::supported_formats()
                    .iter()
                    .map(|format| format.as_str())
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
        ));
    }
    // No presentation could answer it.
    if let Some((asked, why)) = query.credentials.iter().find_map(|asked| Some((asked, asked.unsupported_reason()?))) {
        return unsupported(format!("{}: {why}", asked.id));
    }
    // Each credential query has a presentation of its own.
    if query.credential_sets.is_empty() && query.credentials.len() > MAX_PRESENTATIONS {
        let asked = query.credentials.len();
        return unsupported(format!("{asked} credentials are asked for; an answer has at most {MAX_PRESENTATIONS}"));
    }
    // Withheld elements leave no gap, so that the following ones have another index in the presentation.
    let indexed = |asked: &&CredentialQuery| {
        asked.claims.iter().flat_map(|claim| &claim.path).any(|step| matches!(step, Step::Index(_)))
    };
    if let Some(asked) = query.credentials.iter().find(indexed) {
        return unsupported(format!(
            "{}: a path has an array index, which a presentation does not preserve; use null (all elements)",
            asked.id
        ));
    }
    // Without a holder rule, credentials of two people, or one copy twice, could pass as a valid answer.
    query.require_holder_rule().map_err(|problem| {
        let reason = if problem.code == Code::DistinctMissing { "DISTINCT_MISSING" } else { "HOLDER_MISSING" };
        Error::invalid(reason, field, problem.detail)
    })?;
    if !query.credential_sets.is_empty() && query.credential_sets.iter().all(|set| !set.required) {
        return unsupported(
            "every credential set is optional, so an empty answer would do; make one of them required".to_owned(),
        );
    }
    Ok(())
}

fn check_intended_use(intended_use: &str) -> Result<(), Error> {
    let holds = intended_use.len() <= MAX_REQUEST_ID_BYTES
        && intended_use.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    let description = format!("must be at most {MAX_REQUEST_ID_BYTES} letters, digits, - and _");
    if holds { Ok(()) } else { Err(Error::invalid("INTENDED_USE_MALFORMED", "query.intended_use", description)) }
}

fn check_request_id(request_id: &str) -> Result<(), Error> {
    if request_id.len() <= MAX_REQUEST_ID_BYTES && request_id.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(())
    } else {
        let description = format!("must be at most {MAX_REQUEST_ID_BYTES} printable ASCII characters, such as a UUID");
        Err(Error::invalid("REQUEST_ID_MALFORMED", "request_id", description))
    }
}

fn check_texts(texts: &LocalizedTexts, field: &'static str) -> Result<(), Error> {
    let invalid = |what: &str| Err(Error::invalid("TEXT_MALFORMED", field, what));
    if texts.get("en").is_none_or(|text| text.trim().is_empty()) {
        return Err(Error::invalid("TEXT_MISSING", field, "must include English (\"en\"): the holder decides by it"));
    }
    if texts.len() > MAX_LANGUAGES {
        return invalid("has too many languages");
    }
    for (tag, text) in texts {
        let tag_holds =
            (2..=35).contains(&tag.len()) && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !tag_holds {
            return invalid("has an invalid language tag (BCP 47)");
        }
        if text.trim().is_empty() || text.chars().count() > MAX_TEXT_CHARS {
            return invalid("has a text that is empty or over 1000 characters");
        }
        // The text on which a person decides must not be able to redraw the screen or reverse the line.
        if carnet_core::text::invisible_characters(text).next().is_some() {
            return invalid("has a text with invisible characters");
        }
    }
    Ok(())
}

fn parameters_digest(content: &RequestContent, ttl_seconds: u32) -> Result<[u8; 32], Error> {
    // A template's query may change daily; calls with the same template are the same call.
    let query = if content.template.is_empty() { &content.query } else { &Value::Null };
    let mut parameters = vec![
        json!(content.template),
        json!(content.intended_use),
        query.clone(),
        json!(content.purpose),
        json!(content.legal_basis),
        json!(content.retention),
        json!(ttl_seconds),
    ];
    // Earlier requests have no such parameter.
    parameters.extend(content.freshness_seconds_max.map(Value::from));
    let parameters = Value::Array(parameters);
    let bytes = canonicalize(&parameters)?;
    Ok(Sha256::digest(bytes).into())
}

#[cfg(test)]
mod tests;
