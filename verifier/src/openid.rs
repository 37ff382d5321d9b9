//! OpenID4VP 1.0 interface for wallets other than Carnet's, with the same use cases as over gRPC.

use std::{collections::BTreeSet, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use carnet_core::{
    Code, Problem, json::Limits, query::Query, receipt::request_digest, secure::jwe::DecryptionKey, time::Timestamp,
};
use carnet_openid::vp::{
    ResponseMode,
    response::{AuthorizationResponse, ResponseForm, append_response_code},
};
use rand_core::OsRng;
use sha2::{Digest as _, Sha256};

use crate::{
    error::Error,
    ids,
    presentations::{AnsweredQuery, SubmissionResponse},
    request::StoredRequest,
    requests::parse_stored_query,
    store::{OpenIdExchange, ReadOpenIdExchanges as _, Store, WriteOpenIdExchanges as _, WriteRows as _},
    verdicts::{CredentialSummary, DisclosureRecord},
    verification::VpToken,
    verifier::Verifier,
};

pub(crate) mod config;
pub(crate) mod formats;
mod objects;

/// Maximum number of different encrypted responses to one request: three times [`crate::request::MAX_ATTEMPTS`], since
/// responses that fail before they count as an attempt are recorded too.
const MAX_EPHEMERAL_KEYS: usize = 30;

/// Outcome of a valid authorization response.
pub(crate) enum OpenIdOutcome {
    /// The wallet returned an error; the request stays open.
    Declined,
    /// The presentations were verified, and accepted or refused. The second value is the URL that the wallet opens
    /// after acceptance, if one is configured.
    Answered(SubmissionResponse, Option<String>),
}

impl<S: Store> Verifier<S> {
    /// Verifies an authorization response, and records the result as [`Verifier::submit_presentation`] does.
    ///
    /// # Errors
    /// The request is unknown or closed; `response_encryption` for another response mode than that of the request
    /// object; an invalid response; those of [`Verifier::submit_presentation`].
    pub(crate) async fn submit_openid_response(
        self: &Arc<Self>,
        id: &str,
        form: ResponseForm,
        limits: Limits,
        now: Timestamp,
    ) -> Result<OpenIdOutcome, Error> {
        let stored = self.stored_request(id).await?;
        if let Some(closed) = stored.closed_reason(now) {
            return Err(Error::RequestClosed(closed));
        }
        let exchange = self.store.read().await?.openid_exchange(stored.number).await?;
        // The mode is that of the request object, which may be older than the configuration.
        let mode = exchange.as_ref().map_or_else(|| self.settings.openid.mode(), OpenIdExchange::response_mode);
        let (response, encrypted) = match (form, mode) {
            (ResponseForm::Declined(code), _) => {
                tracing::info!(code = code.as_str(), "a wallet declined a request");
                return Ok(OpenIdOutcome::Declined);
            }
            (ResponseForm::Plain(token, state, answered), ResponseMode::DirectPost) => {
                let response = AuthorizationResponse::from_vp_token(token.expose(), state, limits)?;
                (AuthorizationResponse { answered, ..response }, None)
            }
            (ResponseForm::Encrypted(token), ResponseMode::DirectPostJwt) => {
                (decrypt_response(exchange.as_ref(), token.expose(), limits)?, Some(token))
            }
            _ => return Err(Problem::from(Code::ResponseEncryption).into()),
        };
        response.require_state(Some(&state_parameter(&stored.nonce)))?;
        if let Some(token) = encrypted {
            let thumbprint = response.ephemeral_thumbprint.as_deref().unwrap_or_default();
            self.record_ephemeral_key(stored.number, thumbprint, token.expose()).await?;
        }
        let exchange = exchange.unwrap_or_default();
        let object = self.answered_object(&stored, &exchange, &response.answered).await?;
        let request_digest = request_digest(&object);
        let offered = AnsweredQuery::WithAlternatives { request_digest };
        let answered = self.submit_for_variant(id, response.presentations, offered, now).await?;
        let redirect = if answered.verdict.accepted() { self.issue_response_code(&stored).await } else { Ok(None) };
        let redirect = redirect.unwrap_or_else(|error| {
            // The result is recorded in any case.
            tracing::warn!(%error, "no response code could be stored, so the wallet does not lead back");
            None
        });
        Ok(OpenIdOutcome::Answered(answered, redirect))
    }

    /// Records the ephemeral key of an encrypted response, to detect replays. An identical response is permitted, since
    /// its answer may have been lost.
    ///
    /// # Errors
    /// `response_encryption` for a key that another response had, and beyond the maximum number of responses.
    async fn record_ephemeral_key(&self, number: i64, thumbprint: &str, response: &str) -> Result<(), Error> {
        let mut transaction = self.store.begin("record_ephemeral_key").await?;
        let Some(mut exchange) = transaction.openid_exchange(number).await? else {
            return Err(Problem::from(Code::ResponseEncryption).into());
        };
        let entry = format!("{thumbprint}.{}", URL_SAFE_NO_PAD.encode(Sha256::digest(response)));
        if exchange.ephemeral_keys.contains(&entry) {
            return Ok(transaction.commit().await?);
        }
        let is_used = |known: &String| known.split('.').next() == Some(thumbprint);
        // Responses that fail before they count as attempts are recorded too, and must not fill the store.
        if exchange.ephemeral_keys.iter().any(is_used) || exchange.ephemeral_keys.len() >= MAX_EPHEMERAL_KEYS {
            return Err(Problem::from(Code::ResponseEncryption).into());
        }
        exchange.ephemeral_keys.push(entry);
        transaction.put_openid_exchange(number, &exchange).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Issues a response code, and returns the configured return URL with it (OpenID4VP section 13.3); `None` if none
    /// is configured.
    async fn issue_response_code(&self, stored: &StoredRequest) -> Result<Option<String>, Error> {
        let Some(url) = &self.settings.openid.return_url else { return Ok(None) };
        let code = ids::generate_nonce(&mut OsRng);
        let mut transaction = self.store.begin("record_response_code").await?;
        let exchange = transaction.openid_exchange(stored.number).await?.unwrap_or_default();
        let exchange = OpenIdExchange { response_code: Some(Sha256::digest(&code).to_vec()), ..exchange };
        transaction.put_openid_exchange(stored.number, &exchange).await?;
        transaction.commit().await?;
        Ok(Some(append_response_code(url, &code)?))
    }

    /// Checks that a response code was issued for this request, and so belongs to the session of the verifier's web
    /// site that created the request.
    ///
    /// # Errors
    /// `RESPONSE_CODE_MISMATCH`: the code belongs to another request, or none was issued.
    pub(crate) async fn check_response_code(&self, stored: &StoredRequest, code: &str) -> Result<(), Error> {
        let exchange = self.store.read().await?.openid_exchange(stored.number).await?;
        let known = exchange.and_then(|exchange| exchange.response_code);
        // The comparison of digests reveals nothing by its timing.
        if known.is_some_and(|known| known == Sha256::digest(code).as_slice()) {
            return Ok(());
        }
        let description = "is that of another request; the page was opened in another session, so show it nothing";
        Err(Error::invalid("RESPONSE_CODE_MISMATCH", "response_code", description))
    }

    /// Replaces query ids in the record with those that the wallet used, which may be ids of alternatives.
    pub(crate) fn with_sent_ids(record: DisclosureRecord, sent: &BTreeSet<String>) -> DisclosureRecord {
        let name = |shown: CredentialSummary| {
            let query_id = formats::sent_id(shown.query_id, sent);
            CredentialSummary { query_id, ..shown }
        };
        DisclosureRecord { credentials: record.credentials.into_iter().map(name).collect(), ..record }
    }

    /// Returns the query of a request object: for requests from templates with alternative formats.
    fn offered_query(&self, stored: &StoredRequest) -> Result<Query, Error> {
        let query = parse_stored_query(stored)?;
        let alternatives = self.alternatives(stored, &query);
        Ok(formats::add_alternatives(&query, &alternatives))
    }

    /// Returns the alternative queries of a request; none for a custom query.
    fn alternatives(&self, stored: &StoredRequest, query: &Query) -> formats::AlternativeQueries {
        if stored.template.is_empty() {
            return formats::AlternativeQueries::new();
        }
        formats::alternative_queries(query, &self.verification.catalogue)
    }

    /// Returns query and presentations after replacing each query by its alternative, if the wallet chose that. The ids
    /// are those of the original query.
    pub(crate) fn with_chosen_formats(
        &self,
        stored: &StoredRequest,
        query: Query,
        answer: VpToken,
    ) -> (Query, VpToken) {
        let alternatives = self.alternatives(stored, &query);
        formats::apply_chosen_formats(query, &alternatives, answer)
    }
}

/// Decrypts a response with the key of its request; `response_encryption` if the request has none.
fn decrypt_response(
    exchange: Option<&OpenIdExchange>,
    token: &str,
    limits: Limits,
) -> Result<AuthorizationResponse, Error> {
    // No key: no wallet has fetched the request object, or the request was closed in the meantime.
    let key = exchange.map(|exchange| &exchange.encryption_key).filter(|key| !key.is_empty());
    let key = key.ok_or_else(|| Problem::from(Code::ResponseEncryption))?;
    Ok(AuthorizationResponse::from_encrypted(token, &DecryptionKey::from_bytes(key)?, limits)?)
}

/// Returns the parameter `state` of a request. It is derived from the nonce, so that nothing more is stored.
fn state_parameter(nonce: &str) -> String {
    let digest = Sha256::digest(format!("carnet-openid-state/1\0{nonce}"));
    URL_SAFE_NO_PAD.encode(digest.iter().take(16).copied().collect::<Vec<u8>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_follows_from_its_nonce_and_shows_nothing_of_it() {
        assert_eq!(state_parameter("a"), state_parameter("a"));
        assert_ne!(state_parameter("a"), state_parameter("b"));
        assert_eq!(state_parameter("a").len(), 22);
        carnet_openid::vp::check_nonce("state", &state_parameter("a")).unwrap();
    }
}
