//! Unsecured credentials in requests to issue them.

use carnet_core::{
    credential::CONTEXT_V2,
    did::{Did, Resolve as _, SelfContainedResolver, VerificationRelationship},
    keys::PublicKey,
    time::Timestamp,
};
use carnet_service::vc_api::{RequestMessage, VcApiError};
use serde_json::{Map, Value};

use crate::{error::Error, issuer::Issuer};

const BASE_TYPE: &str = "VerifiableCredential";

/// Unsecured credential of a type of the catalogue, for the holder of a key.
pub(super) struct UnsecuredCredential {
    pub(super) credential_type: String,
    /// Key of the subject, from its did:key or did:jwk.
    pub(super) holder: PublicKey,
    pub(super) claims: Map<String, Value>,
    pub(super) valid_from: Option<Timestamp>,
    pub(super) valid_until: Option<Timestamp>,
}

impl UnsecuredCredential {
    /// Reads a credential. Its issuer may be omitted; a member that issuance sets, such as `id` or `credentialStatus`,
    /// is refused, since the result would have another one.
    ///
    /// # Errors
    /// 400 with the member: malformed, forbidden, or another issuer; a type or a context that this issuer does not have.
    pub(super) fn read<S>(credential: Map<String, Value>, issuer: &Issuer<S>) -> Result<Self, VcApiError> {
        let mut credential = RequestMessage::new(credential);
        let credential_type = specific_type(credential.take("type"))?;
        let context_url = &issuer.credential_type(&credential_type)?.context_url;
        require_contexts(credential.take("@context"), context_url)?;
        if let Some(named) = credential.take("issuer") {
            require_issuer(&named, issuer.did.as_str())?;
        }
        let valid_from = day_start(&mut credential, "validFrom")?;
        let valid_until = day_start(&mut credential, "validUntil")?;
        let mut claims = credential.take_object("credentialSubject")?;
        credential.require_nothing_else("credential")?;
        let id = match claims.remove("id") {
            Some(Value::String(id)) => id,
            _ => return Err(refused("credentialSubject.id", "must be the did:key or did:jwk of the holder")),
        };
        Ok(Self { credential_type, holder: holder_key(&id)?, claims, valid_from, valid_until })
    }
}

fn refused(member: &str, description: impl Into<String>) -> VcApiError {
    Error::invalid(format!("credential.{member}"), description).into()
}

/// Returns the only type besides `VerifiableCredential`.
fn specific_type(types: Option<Value>) -> Result<String, VcApiError> {
    let Some(Value::Array(types)) = types else { return Err(refused("type", "must be a list of types")) };
    let names: Option<Vec<&str>> = types.iter().map(Value::as_str).collect();
    match names.as_deref() {
        Some([BASE_TYPE, specific]) => Ok((*specific).to_owned()),
        _ => Err(refused("type", "must be VerifiableCredential and one type of the catalogue")),
    }
}

fn require_contexts(contexts: Option<Value>, own: &str) -> Result<(), VcApiError> {
    let Some(Value::Array(contexts)) = contexts else { return Err(refused("@context", "must be a list of URLs")) };
    let names: Option<Vec<&str>> = contexts.iter().map(Value::as_str).collect();
    match names.as_deref() {
        Some([CONTEXT_V2]) => Ok(()),
        Some([CONTEXT_V2, other]) if *other == own => Ok(()),
        _ => Err(refused("@context", format!("must be {CONTEXT_V2}, and at most {own}"))),
    }
}

fn require_issuer(named: &Value, own: &str) -> Result<(), VcApiError> {
    if named.as_str() == Some(own) {
        return Ok(());
    }
    Err(refused("issuer", format!("this issuer is {own}; leave it out, or give that")))
}

/// Returns the key in a did:key or did:jwk.
fn holder_key(id: &str) -> Result<PublicKey, VcApiError> {
    let did = Did::parse(id).map_err(|problem| refused("credentialSubject.id", problem.to_string()))?;
    if !did.is_self_contained() {
        return Err(refused("credentialSubject.id", "must be a did:key or did:jwk: one key for each credential"));
    }
    let fragment = if did.method_name() == "jwk" { "0" } else { did.method_specific_id() };
    let key = did
        .with_fragment(fragment)
        .and_then(|url| SelfContainedResolver.resolve(&did)?.key_for(&url, VerificationRelationship::Authentication));
    key.map_err(|problem| refused("credentialSubject.id", problem.to_string()))
}

/// Removes a date that must be the start of a day in UTC.
fn day_start(credential: &mut RequestMessage, member: &'static str) -> Result<Option<Timestamp>, VcApiError> {
    let Some(text) = credential.take_optional_text(member)? else { return Ok(None) };
    let at = Timestamp::parse(&text).map_err(|problem| refused(member, problem.to_string()))?;
    if at == at.start_of_day() && !text.contains('.') {
        return Ok(Some(at));
    }
    let why = "is within a day, and credentials are valid for whole days (UTC). Nothing was stored; give the start of \
               the first day as validFrom, and the start of the day after the last one as validUntil";
    Err(refused(member, why))
}
