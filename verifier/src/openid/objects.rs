//! Links and request objects of the OpenID4VP interface. A request object without a `wallet_nonce` is signed once and
//! stored; one with a `wallet_nonce` is signed for each fetch.

use carnet_core::{
    Code, Problem,
    keys::Signer as _,
    receipt::REQUEST_TYP,
    secure::{
        jose::{self, Jws},
        jwe::DecryptionKey,
    },
    time::Timestamp,
};
use carnet_openid::vp::{
    ResponseMode, check_nonce,
    client_metadata::ClientMetadata,
    link::{RequestLink, RequestSource, RequestUriMethod},
    request::RequestParameters,
    response::AnsweredObject,
};
use rand_core::OsRng;
use serde_json::{Map, Value, json};
use url::Url;
use zeroize::Zeroizing;

use super::{config::RequestForm, state_parameter};
use crate::{
    error::Error,
    ids::RequestId,
    request::StoredRequest,
    store::{
        OpenIdExchange, ReadOpenIdExchanges as _, ReadRequests as _, Store, WriteOpenIdExchanges as _, WriteRows as _,
    },
    verification::VerificationService,
    verifier::Verifier,
};

/// Number of request objects with a `wallet_nonce` that are signed for a new request at once: everyone who has the link
/// can fetch one, and a key in a token is slow.
const NONCE_OBJECTS: u32 = 32;
/// Time after which one more is signed, in seconds, so that strangers cannot lock wallets out for good.
const NONCE_OBJECT_SECONDS: i64 = 2;

/// Client identifier prefix of unsigned requests.
const REDIRECT_URI_PREFIX: &str = "redirect_uri";
/// Parameters that only a signed request has.
const SIGNED_ONLY_PARAMETERS: [&str; 5] = ["aud", "carnet", "exp", "iat", "verifier_info"];

impl<S: Store> Verifier<S> {
    /// Returns the link for wallets other than Carnet's. Its form, and the choice between a signed and an unsigned
    /// request, are those of the configuration; a request that already has an exchange stays signed or unsigned. The
    /// link to a closed request contains only the URL.
    pub(crate) async fn openid_link(&self, id: &RequestId, now: Timestamp) -> Result<String, Error> {
        let stored = self.stored_request(id.as_str()).await?;
        let form = self.settings.openid.requests;
        let known = self.store.read().await?.openid_exchange(stored.number).await?;
        let exchange = match known {
            None if form != RequestForm::Reference && stored.closed_reason(now).is_none() => {
                Some(self.get_or_create_exchange(&stored, now).await?)
            }
            known => known,
        };
        let client_id = self.identity.client_id();
        let link = match &exchange {
            Some(exchange @ OpenIdExchange { client_id: Some(client_id), .. })
                if stored.closed_reason(now).is_none() =>
            {
                let parameters = self.unsigned_parameters(&stored, exchange, client_id)?;
                RequestLink { client_id: client_id.clone(), source: RequestSource::Parameters(parameters) }
            }
            Some(_) if form == RequestForm::Value && stored.closed_reason(now).is_none() => {
                let object = self.openid_request_object(id.as_str(), None, now).await?;
                RequestLink { client_id, source: RequestSource::Object(object) }
            }
            _ => return self.link_by_reference(id),
        };
        Ok(link.to_link())
    }

    /// Returns the link of a new request, which has no exchange; `None` if the configured form of links needs one.
    pub(crate) fn openid_link_of_new_request(&self, id: &RequestId) -> Option<Result<String, Error>> {
        (self.settings.openid.requests == RequestForm::Reference).then(|| self.link_by_reference(id))
    }

    fn link_by_reference(&self, id: &RequestId) -> Result<String, Error> {
        let url = format!("{}/openid/request/{}", self.settings.public_url, id.as_str());
        let uri = Url::parse(&url).map_err(|_| Error::Internal("the public URL is none".to_owned()))?;
        let source = RequestSource::Reference(uri, RequestUriMethod::Post);
        Ok(RequestLink { client_id: self.identity.client_id(), source }.to_link())
    }

    /// Returns the parameters of an unsigned request: those of the request object without those that only a signed
    /// request has.
    fn unsigned_parameters(
        &self,
        stored: &StoredRequest,
        exchange: &OpenIdExchange,
        client_id: &str,
    ) -> Result<Map<String, Value>, Error> {
        let mut parameters = self.request_parameters(stored, exchange, client_id, None)?;
        parameters.retain(|name, _| !SIGNED_ONLY_PARAMETERS.contains(&name.as_str()));
        Ok(parameters)
    }

    /// Returns the client identifier of a request over OpenID4VP, which is the audience of its presentations.
    pub(crate) async fn openid_client_id(&self, stored: &StoredRequest) -> Result<String, Error> {
        let exchange = self.store.read().await?.openid_exchange(stored.number).await?;
        Ok(exchange.and_then(|exchange| exchange.client_id).unwrap_or_else(|| stored.audience.clone()))
    }

    fn response_uri(&self, stored: &StoredRequest) -> String {
        format!("{}/openid/response/{}", self.settings.public_url, stored.id.as_str())
    }

    /// Returns the signed request object for a wallet that fetches it over HTTP. Without `wallet_nonce`, it is the same
    /// at each call.
    ///
    /// # Errors
    /// The request is unknown, closed or unsigned; the wallet's nonce is malformed; too many objects with a nonce were
    /// signed for now.
    pub(crate) async fn openid_request_object(
        &self,
        id: &str,
        wallet_nonce: Option<&str>,
        now: Timestamp,
    ) -> Result<String, Error> {
        wallet_nonce.map_or(Ok(()), |nonce| check_nonce("wallet_nonce", nonce))?;
        let stored = self.stored_request(id).await?;
        if let Some(closed) = stored.closed_reason(now) {
            return Err(Error::RequestClosed(closed));
        }
        let exchange = self.get_or_create_exchange(&stored, now).await?;
        if exchange.client_id.is_some() {
            // The client identifier of an unsigned request has no key, and its link contains all parameters.
            return Err(Error::RequestUnknown);
        }
        if wallet_nonce.is_some() {
            self.count_nonce_object(&stored, now).await?;
            return self.sign_object(&stored, &exchange, wallet_nonce).await;
        }
        match exchange.request_object {
            Some(object) => Ok(object),
            None => {
                let object = self.sign_object(&stored, &exchange, None).await?;
                self.store_first_object(stored.number, object).await
            }
        }
    }

    /// Returns the request object that a wallet answered, whose digest is in the receipt. An object with a nonce is not
    /// stored: the wallet returns its signature, which shows that it was signed here. For an unsigned request, it is the
    /// object served over gRPC.
    ///
    /// # Errors
    /// The wallet's nonce is malformed; `nonce_replayed` if no object with it was signed with the current key.
    pub(super) async fn answered_object(
        &self,
        stored: &StoredRequest,
        exchange: &OpenIdExchange,
        answered: &AnsweredObject,
    ) -> Result<String, Error> {
        let wallet_nonce = answered.wallet_nonce.as_deref();
        wallet_nonce.map_or(Ok(()), |nonce| check_nonce("wallet_nonce", nonce))?;
        match (&exchange.request_object, wallet_nonce) {
            _ if exchange.client_id.is_some() => Ok(stored.request_object.clone()),
            (Some(object), None) => Ok(object.clone()),
            (None, None) => self.sign_object(stored, exchange, None).await,
            (_, Some(_)) => {
                let object = self.sign_object(stored, exchange, wallet_nonce).await?;
                let signature = answered.signature.as_deref().unwrap_or_default();
                self.with_signature(&object, signature)
                    .map_err(|_| Problem::new(Code::NonceReplayed, "no request object has this wallet_nonce").into())
            }
        }
    }

    /// Returns a request object with another signature by this verifier, which need not be deterministic.
    fn with_signature(&self, object: &str, signature: &str) -> Result<String, Problem> {
        let (signed, _) = object.rsplit_once('.').ok_or(Code::TokenMalformed)?;
        let object = format!("{signed}.{signature}");
        Jws::parse(&object)?.verify(&self.identity.keyring.public_key())?;
        Ok(object)
    }

    async fn sign_object(
        &self,
        stored: &StoredRequest,
        exchange: &OpenIdExchange,
        wallet_nonce: Option<&str>,
    ) -> Result<String, Error> {
        let payload = self.request_parameters(stored, exchange, &stored.audience, wallet_nonce)?;
        let header = json!({"typ": REQUEST_TYP, "kid": self.identity.kid}).as_object().cloned().unwrap_or_default();
        let signed = self.identity.run_signing(move |identity| jose::sign(header, &payload, &identity.keyring)).await?;
        signed.map_err(|problem| Error::Internal(problem.to_string()))
    }

    fn request_parameters(
        &self,
        stored: &StoredRequest,
        exchange: &OpenIdExchange,
        client_id: &str,
        wallet_nonce: Option<&str>,
    ) -> Result<Map<String, Value>, Error> {
        let mode = exchange.response_mode();
        let key = match mode {
            ResponseMode::DirectPost => None,
            ResponseMode::DirectPostJwt => Some(DecryptionKey::from_bytes(&exchange.encryption_key)?.public_key()),
        };
        let metadata = ClientMetadata::new(VerificationService::supported_formats(), key);
        let query = self.offered_query(stored)?.to_json();
        let first = Jws::parse(&stored.request_object)?;
        let first = first.payload();
        let registration = first.get("verifier_info").and_then(|info| info.get(0));
        let registration =
            registration.and_then(|info| Some((info.get("format")?.as_str()?, info.get("data")?.clone())));
        let mut payload = RequestParameters {
            client_id,
            response_mode: mode,
            response_uri: &self.response_uri(stored),
            nonce: &stored.nonce,
            state: Some(&state_parameter(&stored.nonce)),
            query: &query,
            client_metadata: Some(&metadata),
            verifier_info: registration,
            validity: (stored.created_at, stored.expires_at),
            wallet_nonce,
        }
        .to_payload();
        payload.extend(first.get("carnet").map(|own| ("carnet".to_owned(), own.clone())));
        Ok(payload)
    }

    /// Returns the OpenID4VP exchange of an open request. The first call creates it: it fixes the response mode and the
    /// client identifier, and generates the encryption key.
    async fn get_or_create_exchange(&self, stored: &StoredRequest, now: Timestamp) -> Result<OpenIdExchange, Error> {
        // Later fetches need no write transaction.
        if let Some(known) = self.store.read().await?.openid_exchange(stored.number).await? {
            return Ok(known);
        }
        let mut transaction = self.store.begin("read_openid_request").await?;
        if let Some(known) = transaction.openid_exchange(stored.number).await? {
            transaction.commit().await?;
            return Ok(known);
        }
        let request = transaction.request(&stored.id).await?.ok_or(Error::RequestUnknown)?;
        if let Some(closed) = request.closed_reason(now) {
            return Err(Error::RequestClosed(closed));
        }
        let encryption_key = match self.settings.openid.mode() {
            ResponseMode::DirectPost => Vec::new(),
            ResponseMode::DirectPostJwt => DecryptionKey::generate(&mut OsRng).to_bytes().to_vec(),
        };
        let is_unsigned = self.settings.openid.requests == RequestForm::Unsigned;
        let exchange = OpenIdExchange {
            encryption_key: Zeroizing::new(encryption_key),
            client_id: is_unsigned.then(|| format!("{REDIRECT_URI_PREFIX}:{}", self.response_uri(stored))),
            ..Default::default()
        };
        transaction.put_openid_exchange(stored.number, &exchange).await?;
        transaction.commit().await?;
        Ok(exchange)
    }

    /// Stores a request object for later fetches, and returns the stored one, which is that of the first call.
    async fn store_first_object(&self, number: i64, object: String) -> Result<String, Error> {
        let mut transaction = self.store.begin("keep_openid_object").await?;
        let mut exchange = transaction.openid_exchange(number).await?.ok_or(Error::RequestUnknown)?;
        if let Some(first) = exchange.request_object {
            transaction.commit().await?;
            return Ok(first);
        }
        exchange.request_object = Some(object.clone());
        transaction.put_openid_exchange(number, &exchange).await?;
        transaction.commit().await?;
        Ok(object)
    }

    /// Counts a request object that is signed for a `wallet_nonce`.
    ///
    /// # Errors
    /// [`Error::RequestObjectsExhausted`]
    async fn count_nonce_object(&self, stored: &StoredRequest, now: Timestamp) -> Result<(), Error> {
        let mut transaction = self.store.begin("count_openid_object").await?;
        let mut exchange = transaction.openid_exchange(stored.number).await?.ok_or(Error::RequestUnknown)?;
        let age = now.unix().saturating_sub(stored.created_at.unix()).max(0);
        let regained = u32::try_from(age / NONCE_OBJECT_SECONDS).unwrap_or(u32::MAX);
        if exchange.nonce_objects >= NONCE_OBJECTS.saturating_add(regained) {
            return Err(Error::RequestObjectsExhausted);
        }
        exchange.nonce_objects = exchange.nonce_objects.saturating_add(1);
        transaction.put_openid_exchange(stored.number, &exchange).await?;
        Ok(transaction.commit().await?)
    }
}
