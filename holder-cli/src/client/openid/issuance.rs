//! OpenID4VCI 1.0 client of an issuer, with the pre-authorized code grant.

use async_trait::async_trait;
use carnet_core::{epoch::Epoch, format::CredentialFormat, json::Limits};
use carnet_fetch::service::{CallContent, ServiceCall, ServiceResponse};
use carnet_openid::vci::{
    self, AUTHORIZATION_SERVER_METADATA, ISSUER_METADATA, JWT_VC_ISSUER,
    credential::{
        CredentialRequest, CredentialResponse, NotificationEvent, NotificationRequest, RequestedCredential,
        parse_nonce_response, write_deferred_request,
    },
    metadata::{self, parse_issuer_did, parse_token_endpoint},
    token::{TokenRequest, TokenResponse},
};
use carnet_spec::Catalogue;
use carnet_wallet::{
    foreign_display::ForeignDisplay,
    issuer_metadata::{OfferedConfiguration, WalletIssuerMetadata},
    ports::{Clock as _, CopyFreshness, IssuanceNotification, IssuanceResponse, IssuerClient, RedeemedOffer},
    store::{OfferRedemption, holder_key::WalletSecret},
};
use serde_json::Value;

use super::{HttpServices, JSON};
use crate::{
    clock::CommandClock,
    failure::{Failure, FailureReason, Sentence},
};

/// Maximum size of a response with copies, in bytes.
const MOST_COPIES: usize = 8_388_608;
/// Maximum nesting of the JSON in such a response: copies may be JSON documents.
const DEPTH: usize = 36;
/// Maximum interval before the next deferred request, in seconds; longer ones are shortened to it.
const LONGEST_INTERVAL: u32 = 86_400;

/// Connection to an issuer over OpenID4VCI.
pub(crate) struct OpenIdIssuer {
    services: HttpServices,
    catalogue: Catalogue,
    clock: CommandClock,
    /// Credential issuer identifier.
    issuer: String,
    /// Metadata and token endpoint; `None` until the metadata were fetched.
    endpoints: Option<(metadata::IssuerMetadata, String)>,
}

impl OpenIdIssuer {
    /// Creates the client without making a call.
    pub(crate) fn new(services: HttpServices, catalogue: Catalogue, clock: CommandClock, issuer: &str) -> Self {
        Self { services, catalogue, clock, issuer: issuer.to_owned(), endpoints: None }
    }

    async fn well_known(&self, of: &str, name: &str) -> Result<Vec<u8>, Failure> {
        let message = "error-service-metadata";
        let url = vci::well_known_url(of, name).map_err(|problem| self.services.malformed(&problem, message))?;
        self.services.fetch_document(&url, message).await
    }

    fn endpoints(&self) -> Result<&(metadata::IssuerMetadata, String), Failure> {
        let message = "error-service-metadata";
        self.endpoints.as_ref().ok_or_else(|| {
            Failure::new(
                FailureReason::Program("metadata_missing"),
                Sentence::new(message),
                Sentence::new("hint-again"),
            )
        })
    }

    async fn post(
        &self,
        url: &str,
        content: CallContent<'_>,
        token: &str,
        message: &'static str,
    ) -> Result<ServiceResponse, Failure> {
        let call = ServiceCall { url, content, accept: JSON, token, max_document_bytes: MOST_COPIES };
        let answer = self.services.call(call, message).await?;
        if (200..300).contains(&answer.status) { Ok(answer) } else { Err(self.services.refused(&answer, message)) }
    }

    async fn credentials(&self, url: &str, body: &str, token: &WalletSecret) -> Result<IssuanceResponse, Failure> {
        let message = "error-service-collect";
        let answer = self.post(url, CallContent::Json(body), token.expose(), message).await?;
        let limits = Limits { max_bytes: MOST_COPIES, max_depth: DEPTH };
        let response = CredentialResponse::parse(&answer.body, limits)
            .map_err(|problem| self.services.malformed(&problem, message))?;
        Ok(match response {
            CredentialResponse::Issued { credentials, notification_id } => {
                let notification = notification_id.map(|id| id.expose().to_owned()).unwrap_or_default();
                IssuanceResponse::Issued(credentials.into_iter().map(text_of).collect(), notification)
            }
            CredentialResponse::Deferred { transaction_id, interval } => {
                let interval = u32::try_from(interval).unwrap_or(LONGEST_INTERVAL).min(LONGEST_INTERVAL);
                IssuanceResponse::Deferred(Some(WalletSecret::new(transaction_id.expose().to_owned())), interval)
            }
        })
    }
}

#[async_trait(?Send)]
impl IssuerClient for OpenIdIssuer {
    async fn metadata(&mut self, authorization_server: Option<&str>) -> Result<WalletIssuerMetadata, Failure> {
        let unreadable = |problem| self.services.malformed(&problem, "error-service-metadata");
        let body = self.well_known(&self.issuer, ISSUER_METADATA).await?;
        let said = metadata::IssuerMetadata::parse(&body, &self.issuer).map_err(unreadable)?;
        let server = said.authorization_server(authorization_server).map_err(unreadable)?.to_owned();
        let body = self.well_known(&server, AUTHORIZATION_SERVER_METADATA).await?;
        let token_endpoint = parse_token_endpoint(&body, &server).map_err(unreadable)?;
        let did = match self.well_known(&self.issuer, JWT_VC_ISSUER).await {
            Ok(body) => parse_issuer_did(&body, &self.issuer).map_err(unreadable)?.to_string(),
            // Such an issuer names its DID in the copies.
            Err(failure) if failure.reason == FailureReason::NotFound => self.issuer.clone(),
            Err(failure) => return Err(failure),
        };
        // The code can be used once: an endpoint that must not be called is found before it is sent.
        let later = [&said.nonce_endpoint, &said.deferred_credential_endpoint, &said.notification_endpoint];
        for endpoint in [&token_endpoint, &said.credential_endpoint].into_iter().chain(later.into_iter().flatten()) {
            self.services.check(endpoint, "error-service-metadata").await?;
        }
        let metadata = metadata_of(&said, &did, &token_endpoint, &self.catalogue);
        self.endpoints = Some((said, token_endpoint));
        Ok(metadata)
    }

    /// Redeems the code. OpenID4VCI has no repetition of a redemption (spec/openid.md 3.2), so the code is sent again
    /// if `repeats` is `true`, and the issuer decides.
    async fn redeem(&mut self, redemption: &OfferRedemption, _repeats: bool) -> Result<RedeemedOffer, Failure> {
        let message = "error-service-redeem";
        let (_, token_endpoint) = self.endpoints()?;
        let request = TokenRequest {
            code: redemption.code.expose().into(),
            tx_code: redemption.pin.as_ref().map(|pin| pin.expose().into()),
        };
        let answer = self.post(token_endpoint, CallContent::Form(&request.to_form()), "", message).await?;
        let token = TokenResponse::parse(&answer.body).map_err(|problem| self.services.malformed(&problem, message))?;
        let lifetime = token.expires_in.map(|seconds| i64::try_from(seconds).unwrap_or(i64::MAX));
        Ok(RedeemedOffer {
            access_token: WalletSecret::new(token.access_token.expose().to_owned()),
            expires_at: lifetime.map(|seconds| self.clock.now().plus(seconds)),
            repeatable: false,
        })
    }

    async fn request_nonce(&mut self) -> Result<String, Failure> {
        let message = "error-service-nonce";
        let (metadata, _) = self.endpoints()?;
        // An issuer without this endpoint wants no nonce (section 7).
        let Some(endpoint) = &metadata.nonce_endpoint else { return Ok(String::new()) };
        let answer = self.post(endpoint, CallContent::Empty, "", message).await?;
        parse_nonce_response(&answer.body).map_err(|problem| self.services.malformed(&problem, message))
    }

    async fn request_credential(
        &mut self,
        token: &WalletSecret,
        id: &str,
        proofs: Vec<String>,
    ) -> Result<IssuanceResponse, Failure> {
        let (metadata, _) = self.endpoints()?;
        let request = CredentialRequest {
            requested: RequestedCredential::Configuration(id.to_owned()),
            proofs,
            encryption: None,
        };
        self.credentials(&metadata.credential_endpoint, &request.to_json(), token).await
    }

    async fn request_deferred(
        &mut self,
        token: &WalletSecret,
        transaction: &WalletSecret,
    ) -> Result<IssuanceResponse, Failure> {
        let (metadata, _) = self.endpoints()?;
        let endpoint = metadata.deferred_credential_endpoint.as_deref().ok_or_else(unsupported)?;
        self.credentials(endpoint, &write_deferred_request(&transaction.expose().into()), token).await
    }

    async fn refill(&mut self, _: String, _: Vec<String>) -> Result<(Vec<String>, String), Failure> {
        Err(unsupported())
    }

    async fn renew(&mut self, _: String, _: Vec<String>) -> Result<IssuanceResponse, Failure> {
        Err(unsupported())
    }

    async fn request_freshness(&mut self, _: Vec<Vec<u8>>) -> Result<Vec<CopyFreshness>, Failure> {
        Err(unsupported())
    }

    async fn notify(
        &mut self,
        token: Option<&WalletSecret>,
        id: &str,
        event: IssuanceNotification,
    ) -> Result<(), Failure> {
        let (metadata, _) = self.endpoints()?;
        // A notification is a courtesy: an issuer without the endpoint, or without an id, wants none.
        let Some(endpoint) = metadata.notification_endpoint.as_deref().filter(|_| !id.is_empty()) else {
            return Ok(());
        };
        let event = match event {
            IssuanceNotification::Accepted => NotificationEvent::Accepted,
            IssuanceNotification::Failure => NotificationEvent::Failure,
        };
        let request = NotificationRequest { notification_id: id.into(), event };
        let token = token.map(WalletSecret::expose).unwrap_or_default();
        let answer = self.post(endpoint, CallContent::Json(&request.to_json()), token, "error-service-notify").await;
        answer.map(drop)
    }
}

/// Returns the failure for a call that OpenID4VCI does not have.
fn unsupported() -> Failure {
    Failure::new(
        FailureReason::WireUnsupported,
        Sentence::new("error-wire-unsupported"),
        Sentence::new("hint-ask-issuer"),
    )
}

/// Returns an issued credential as text; one in JSON is serialised.
fn text_of(credential: Value) -> String {
    match credential {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// Converts the metadata of the issuer with this DID and token endpoint.
fn metadata_of(
    said: &metadata::IssuerMetadata,
    did: &str,
    token_endpoint: &str,
    catalogue: &Catalogue,
) -> WalletIssuerMetadata {
    let names = said
        .display
        .iter()
        .filter_map(|name| Some((name.locale.clone().unwrap_or_else(|| "en".to_owned()), name.name.clone()?)));
    let configurations = said.credential_configurations_supported.iter().map(|(id, known)| OfferedConfiguration {
        id: id.clone(),
        format: CredentialFormat::parse(&known.format),
        credential_type: type_name(known, catalogue),
        epoch: epoch_of(known.carnet_validity_epoch.as_deref()),
        renewal_window_days: 0,
        proof_algorithms: known
            .proof_types_supported
            .get("jwt")
            .map(|proof| proof.proof_signing_alg_values_supported.clone())
            .unwrap_or_default(),
        display: known.credential_metadata.as_ref().map(display_of).unwrap_or_default(),
    });
    let batch = said.batch_credential_issuance.map_or(1, |batch| batch.batch_size);
    WalletIssuerMetadata {
        issuer: did.to_owned(),
        audience: said.credential_issuer.clone(),
        display_name: names.collect(),
        configurations: configurations.collect(),
        max_batch_size: u32::try_from(batch).unwrap_or(u32::MAX),
        freshness_lifetime_seconds: 0,
        token_endpoint: Some(token_endpoint.to_owned()),
    }
}

/// Returns the credential type of a configuration: its name in the catalogue, otherwise as in the metadata; empty if
/// there is none.
fn type_name(known: &metadata::CredentialConfiguration, catalogue: &Catalogue) -> String {
    if let Some(vct) = &known.vct {
        return catalogue.credential_type_by_vct(vct).map_or_else(|| vct.clone(), |known| known.name.clone());
    }
    let types = known.credential_definition.iter().flat_map(|definition| &definition.types);
    types.rev().find(|name| *name != "VerifiableCredential").cloned().unwrap_or_default()
}

/// Returns the names that an issuer gives a type and its claims.
fn display_of(said: &metadata::CredentialMetadata) -> ForeignDisplay {
    let mut display = ForeignDisplay::of_type(said.display.iter().filter_map(localized_name));
    for claim in &said.claims {
        let names: Option<Vec<&str>> = claim.path.iter().map(Value::as_str).collect();
        // A name of an element of an array is none of a claim.
        if let Some(path) = names {
            display.add_claim(&path, claim.display.iter().filter_map(localized_name));
        }
    }
    display
}

/// Returns a display name with its language; English if none is stated.
fn localized_name(said: &metadata::DisplayProperties) -> Option<(&str, &str)> {
    Some((said.locale.as_deref().unwrap_or("en"), said.name.as_deref()?))
}

fn epoch_of(name: Option<&str>) -> Option<Epoch> {
    Epoch::ALL.into_iter().find(|epoch| Some(epoch.as_str()) == name)
}
