//! OpenID4VCI metadata of the credential issuer, of its authorization server, and of its SD-JWT VC signing keys.

use std::collections::BTreeMap;

use axum::{
    extract::State,
    http::{
        HeaderMap, HeaderValue,
        header::{CONTENT_TYPE, VARY},
    },
    response::Response,
};
use carnet_core::{
    credential::CONTEXT_V2,
    day,
    did::{DidUrl, VerificationRelationship},
    epoch::Epoch,
    format::CredentialFormat,
    json::Limits,
    keys::SignatureAlgorithm,
    secure::{jose, jwe::EncryptionKey, sd_jwt::ClaimPath},
};
use carnet_openid::{
    error::IssuerEndpoint,
    vci::{
        encryption::{request_encryption_metadata, response_encryption_metadata},
        metadata::{
            BatchIssuance, ClaimDescription, CredentialConfiguration, CredentialDefinition, CredentialMetadata,
            DisplayProperties, IssuerMetadata, ProofType, authorization_server_metadata, jwt_vc_issuer_metadata,
        },
    },
};
use carnet_service::http_wire::prefers_media_type;
use carnet_spec::{
    CredentialType,
    type_metadata::{claims_path_pointer, dotted_claim_name},
};
use serde_json::{Map, Value, json};

use super::{
    CREDENTIAL_PATH, DEFERRED_PATH, EndpointState, JSON, NONCE_PATH, NOTIFICATION_PATH, TOKEN_PATH, error::OpenIdError,
    public_json,
};
use crate::{
    error::Error,
    issuance::spawn_cpu,
    issuer::{Issuer, SupportedConfiguration},
    store::Store,
};

/// JWT type of signed issuer metadata (OpenID4VCI 1.0 section 12.2.3).
const SIGNED_TYP: &str = "openidvci-issuer-metadata+jwt";
const JWT: &str = "application/jwt";

/// Handles a request for the credential issuer metadata: as a signed JWT if the client prefers that to JSON.
pub(super) async fn issuer_metadata_endpoint<S: Store>(
    State(door): State<EndpointState<S>>,
    headers: HeaderMap,
) -> Response {
    let mut response = if prefers_media_type(&headers, JWT, JSON) {
        match signed_metadata(&door).await {
            Ok(token) => {
                let mut response = public_json(token);
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(JWT));
                response
            }
            Err(error) => return OpenIdError::Refused { endpoint: IssuerEndpoint::Credential, error }.into_response(),
        }
    } else {
        public_json(door.metadata.to_string())
    };
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
    response
}

/// Returns the metadata as signed on this day (UTC). It is signed once a day, since everybody can request it and
/// signing with a hardware token is slow.
///
/// # Errors
/// Signing errors.
async fn signed_metadata<S: Store>(door: &EndpointState<S>) -> Result<String, Error> {
    let today = door.issuer.now().start_of_day();
    let mut known = door.signed_metadata.lock().await;
    if let Some((day, token)) = known.as_ref()
        && *day == today
    {
        return Ok(token.clone());
    }
    let (issuer, metadata) = (door.issuer.clone(), door.metadata.clone());
    let token = spawn_cpu(move || {
        let header = json!({"typ": SIGNED_TYP, "kid": issuer.kid}).as_object().cloned().unwrap_or_default();
        let mut payload: Map<String, Value> = serde_json::from_str(&metadata).unwrap_or_default();
        payload.insert("iss".to_owned(), issuer.did.as_str().into());
        payload.insert("sub".to_owned(), issuer.issuer_url.as_str().into());
        payload.insert("iat".to_owned(), today.unix().into());
        payload.insert("exp".to_owned(), today.plus(2 * day::SECONDS).unix().into());
        jose::sign(header, &payload, issuer.signer.as_ref())
    })
    .await?
    .map_err(Error::Signing)?;
    *known = Some((today, token.clone()));
    Ok(token)
}

/// Handles a request for the authorization server metadata.
pub(super) async fn server_metadata_endpoint<S: Store>(State(door): State<EndpointState<S>>) -> Response {
    let endpoint = &door.issuer.issuer_url;
    public_json(authorization_server_metadata(endpoint, &format!("{endpoint}{TOKEN_PATH}")).to_string())
}

/// Handles a request for the JWT VC issuer metadata: the keys that sign credentials now, with the DID URLs by which
/// credentials name them.
pub(super) async fn issuer_keys_endpoint<S: Store>(State(door): State<EndpointState<S>>) -> Response {
    let issuer = &door.issuer;
    let key = |method: &str| {
        let key = issuer
            .own_document
            .key_for(&DidUrl::parse(method).ok()?, VerificationRelationship::AssertionMethod)
            .ok()?;
        Some((method.to_owned(), key))
    };
    let keys: Vec<_> = issuer.own_document.assertion_methods(issuer.now()).filter_map(key).collect();
    public_json(jwt_vc_issuer_metadata(&issuer.issuer_url, &keys).to_string())
}

/// Maximum size of the metadata as JSON, in bytes: what wallets accept, Carnet's too (spec/protocol.md section 8).
const MAX_METADATA_BYTES: usize = Limits::DOCUMENT.max_bytes;

/// Returns the credential issuer metadata as JSON. `key`: the public key for encrypted requests.
///
/// Claims are named in all languages as long as the metadata stays under [`MAX_METADATA_BYTES`]. Otherwise the last of
/// [`claim_languages`] are left out; type metadata has them.
pub(super) fn issuer_metadata<S>(issuer: &Issuer<S>, key: &EncryptionKey) -> String {
    let mut languages = claim_languages(issuer);
    loop {
        let metadata = metadata_in(issuer, key, &languages).to_json().to_string();
        if metadata.len() <= MAX_METADATA_BYTES || languages.pop().is_none() {
            return metadata;
        }
    }
}

/// Returns the languages for the names of claims: first those in which the issuer names itself, then English and the
/// other languages of the issued types.
fn claim_languages<S>(issuer: &Issuer<S>) -> Vec<String> {
    let own = issuer.settings.display_name.keys().map(String::as_str);
    let of_types = issuer.supported_configurations().flat_map(|known| known.credential_type.languages());
    let mut languages: Vec<String> = Vec::new();
    for language in own.chain(of_types) {
        if !languages.iter().any(|known| known == language) {
            languages.push(language.to_owned());
        }
    }
    languages
}

/// Returns the credential issuer metadata with the names of claims in the given languages.
fn metadata_in<S>(issuer: &Issuer<S>, key: &EncryptionKey, claim_languages: &[String]) -> IssuerMetadata {
    let url = |path: &str| Some(format!("{}{path}", issuer.issuer_url));
    let algorithm = issuer.signer.algorithm();
    let algorithm_of =
        |format| issuer.suites.for_signing(format, algorithm).map_or(algorithm.as_str(), |suite| suite.name());
    let configuration = |known: SupportedConfiguration<'_>| {
        let epoch = issuer.validity_epoch(&known.credential_type.name);
        (known.id.clone(), configuration_metadata(&known, algorithm_of(known.format), epoch, claim_languages))
    };
    let display = issuer.settings.display_name.iter();
    let batch_size = u64::try_from(issuer.settings.max_batch_size).unwrap_or(u64::MAX);
    IssuerMetadata {
        credential_issuer: issuer.issuer_url.clone(),
        // The issuer is its own authorization server.
        authorization_servers: Vec::new(),
        credential_endpoint: format!("{}{CREDENTIAL_PATH}", issuer.issuer_url),
        nonce_endpoint: url(NONCE_PATH),
        deferred_credential_endpoint: url(DEFERRED_PATH),
        notification_endpoint: url(NOTIFICATION_PATH),
        credential_request_encryption: Some(request_encryption_metadata(key)),
        credential_response_encryption: Some(response_encryption_metadata()),
        batch_credential_issuance: (batch_size >= 2).then_some(BatchIssuance { batch_size }),
        display: display.map(|(language, name)| display_entry(language, name, None)).collect(),
        credential_configurations_supported: issuer.supported_configurations().map(configuration).collect(),
    }
}

/// Returns a display entry: name and description in one language.
fn display_entry(locale: &str, name: &str, description: Option<&str>) -> DisplayProperties {
    DisplayProperties {
        name: Some(name.to_owned()),
        locale: Some(locale.to_owned()),
        description: description.map(str::to_owned),
    }
}

/// Returns the metadata of a credential configuration. `algorithm`: name of the signature algorithm or the cryptosuite;
/// `epoch`: that to which its dates are rounded. `claim_languages`: languages of the names of claims.
fn configuration_metadata(
    known: &SupportedConfiguration<'_>,
    algorithm: &str,
    epoch: Epoch,
    claim_languages: &[String],
) -> CredentialConfiguration {
    let credential_type = known.credential_type;
    let is_sd_jwt_vc = known.format == CredentialFormat::DcSdJwt;
    let definition = || CredentialDefinition {
        context: vec![CONTEXT_V2.to_owned(), credential_type.context_url.clone()],
        types: vec!["VerifiableCredential".to_owned(), credential_type.name.clone()],
    };
    let proof_algorithms =
        [SignatureAlgorithm::EdDsa, SignatureAlgorithm::Es256].map(|algorithm| algorithm.as_str().to_owned());
    let proof = ProofType { proof_signing_alg_values_supported: proof_algorithms.to_vec() };
    CredentialConfiguration {
        format: known.format.as_str().to_owned(),
        scope: None,
        vct: is_sd_jwt_vc.then(|| credential_type.vct.clone()),
        credential_definition: (!is_sd_jwt_vc).then(definition),
        credential_signing_alg_values_supported: vec![json!(algorithm)],
        cryptographic_binding_methods_supported: vec!["jwk".to_owned()],
        proof_types_supported: BTreeMap::from([("jwt".to_owned(), proof)]),
        credential_metadata: Some(credential_metadata(credential_type, is_sd_jwt_vc, claim_languages)),
        carnet_validity_epoch: Some(epoch.as_str().to_owned()),
    }
}

/// Returns the display texts of a credential type in all languages, and those of its selectively disclosable claims in
/// `claim_languages`.
fn credential_metadata(known: &CredentialType, is_sd_jwt_vc: bool, claim_languages: &[String]) -> CredentialMetadata {
    let display = known.languages().map(|language| {
        let words = known.display_texts(language);
        display_entry(language, &words.name, Some(&words.description))
    });
    let paths = if is_sd_jwt_vc { known.disclosable_in_sd_jwt_vc() } else { known.disclosable_claims.clone() };
    let claim = |path: &ClaimPath| {
        let name = dotted_claim_name(path)?;
        let languages = known.languages().filter(|language| claim_languages.iter().any(|one| one == language));
        let labels = languages.filter_map(|language| {
            Some(display_entry(language, known.display_texts(language).claim_label(&name)?, None))
        });
        Some(ClaimDescription {
            path: claims_path_pointer(path),
            mandatory: known.required_at_issuance.contains(&name),
            display: labels.collect(),
        })
    };
    CredentialMetadata { display: display.collect(), claims: paths.iter().filter_map(claim).collect() }
}
