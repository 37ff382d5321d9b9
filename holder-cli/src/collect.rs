//! Collecting copies: keys and proofs out, verified copies in. Nothing is stored that was not verified.

use carnet_core::{
    Code, Problem,
    did::{Did, Resolve},
    keys::{PublicKey, Signer},
    secure::{
        data_integrity::{Cryptosuite, eddsa_jcs::EddsaJcs2022},
        jose,
        sd_jwt::SdJwt,
    },
    time::Timestamp,
    verify::{self, Environment},
};
use carnet_spec::Catalogue;
use serde_json::{Map, Value, json};

use crate::{
    promise::Promise,
    session::CLOCK_SKEW,
    wallet::{
        Copy, HeldCredential, HolderKey,
        contents::{default_low_water, fresh_id},
    },
};

/// How many copies are asked for, if the issuer gives as many.
pub(crate) const COPIES: u32 = 10;
const PROOF_TYP: &str = "openid4vci-proof+jwt";

/// Draws a key for each copy.
pub(crate) fn draw_keys(max_batch_size: u32) -> Vec<HolderKey> {
    (0..COPIES.min(max_batch_size.max(1))).map(|_| HolderKey::draw()).collect()
}

/// One proof of possession for each key (OpenID4VCI 1.0 appendix F.1).
pub(crate) fn proofs(keys: &[HolderKey], issuer: &str, nonce: &str, now: Timestamp) -> Result<Vec<String>, Problem> {
    keys.iter()
        .map(|key| {
            let key = key.open()?;
            let header = json!({"typ": PROOF_TYP, "jwk": key.public_key().to_jwk()});
            let payload = json!({"aud": issuer, "iat": now.unix(), "nonce": nonce});
            match (header, payload) {
                (Value::Object(header), Value::Object(payload)) => jose::sign(header, &payload, &key),
                _ => Err(Code::ProofGeneration.into()),
            }
        })
        .collect()
}

/// Verifies every copy and makes one credential of them; if one does not hold, none does.
pub(crate) fn verified(
    copies: &[String],
    keys: &[HolderKey],
    promise: &Promise,
    resolver: &dyn Resolve,
    catalogue: &Catalogue,
    now: Timestamp,
) -> Result<HeldCredential, Problem> {
    if copies.is_empty() || copies.len() != keys.len() {
        return Err(Problem::new(
            Code::MalformedValue,
            "the issuer gave another number of copies than there are proofs",
        ));
    }
    let jcs = EddsaJcs2022;
    #[cfg(feature = "jsonld")]
    let rdfc = rdfc(catalogue)?;
    let suites: &[&dyn Cryptosuite] = &[
        &jcs,
        #[cfg(feature = "jsonld")]
        &rdfc,
    ];
    let env = Environment { now, skew: CLOCK_SKEW, resolver, suites, issuers: promise, types: catalogue };
    let mut held = HeldCredential {
        id: fresh_id(),
        type_name: promise.type_name.clone(),
        format: promise.format.to_owned(),
        issuer: promise.issuer.clone(),
        issuer_name: promise.issuer_name.clone(),
        received_at: now,
        valid_from: None,
        valid_until: None,
        copies: Vec::with_capacity(copies.len()),
        endpoint: None,
        low_water: default_low_water(),
    };
    for (credential, key) in copies.iter().zip(keys) {
        let (report, verified) = verify::credential(credential.as_bytes(), &env);
        let verified = match (verified, report.failure()) {
            (Some(verified), None) => verified,
            (_, Some(problem)) => return Err(problem.clone()),
            _ => return Err(Problem::new(Code::MalformedValue, "the copy could not be verified")),
        };
        let seen = verified.get();
        if seen.format != promise.format {
            return Err(Problem::new(Code::UnknownFormat, "the copy has another format than the one that was offered"));
        }
        bound_to(credential, seen, &key.open()?.public_key())?;
        held.valid_from = seen.credential.valid_from();
        held.valid_until = seen.credential.valid_until();
        held.copies.push(Copy::new(credential.trim().to_owned(), key.clone()));
    }
    Ok(held)
}

/// The copy names the key that was drawn for it, and no other; and it has no name of its own besides, which would make the
/// copies of one person known to be one person's.
fn bound_to(credential: &str, seen: &verify::Held, key: &PublicKey) -> Result<(), Problem> {
    let other = || Problem::new(Code::HolderMismatch, "the copy is bound to another key than yours");
    let did = Did::jwk(key);
    if seen.format.ends_with("sd-jwt") {
        let token = SdJwt::parse(credential.trim())?;
        if token.holder_key()?.ok_or_else(other)? != *key {
            return Err(other());
        }
        nameless(&token.disclosed()?.payload, &seen.format, &did)?;
    } else {
        nameless(seen.credential.document(), &seen.format, &did)?;
    }
    let mut subjects = seen.credential.subject_ids();
    // An SD-JWT VC has no subject id; the W3C formats have exactly the copy's own.
    match (seen.format.as_str(), subjects.next(), subjects.next()) {
        ("dc+sd-jwt", None, None) => Ok(()),
        (_, Some(subject), None) if subject == did.as_str() => Ok(()),
        _ => Err(other()),
    }
}

/// Refuses members at the top by which a copy could be known again: Carnet's profile has none. The catalogue's schemas do not
/// allow them either; those of a folder from elsewhere may.
fn nameless(members: &Map<String, Value>, format: &str, did: &Did) -> Result<(), Problem> {
    if members.get("sub").is_some_and(|sub| sub.as_str() != Some(did.as_str())) {
        return Err(Problem::new(Code::HolderMismatch, "sub is another than the copy's own key"));
    }
    // The signature of a Data Integrity credential is its proof; in an SD-JWT it would be something else.
    let forbidden = |name: &&&str| members.contains_key(**name) && (**name != "proof" || format.ends_with("sd-jwt"));
    match ["id", "proof"].iter().find(forbidden) {
        Some(name) => Err(Problem::new(Code::ClaimForbidden, format!("the copy has a {name} of its own"))),
        None => Ok(()),
    }
}

#[cfg(feature = "jsonld")]
pub(crate) fn rdfc(catalogue: &Catalogue) -> Result<carnet_jsonld::EddsaRdfc2022, Problem> {
    let contexts = catalogue.types().map(|known| {
        (
            known.context_url.clone(),
            String::from_utf8_lossy(&known.context_bytes).into_owned(),
            known.context_sha256.clone(),
        )
    });
    carnet_jsonld::EddsaRdfc2022::new(contexts.collect())
}

#[cfg(test)]
mod tests;
