//! Verification of SD-JWTs: VCDM 2.0 (`vc+sd-jwt`) and SD-JWT VC (`dc+sd-jwt`).

use std::cell::LazyCell;

use serde_json::{Map, Value, json};

use super::{
    CheckName, PresentationContext, PresentedCredential, TypeCatalogue, VerificationEnvironment, VerificationProfile,
    VerificationReport, VerifiedCredential,
    common::{self, VerifiedDocument},
    status::TOKEN_ENTRY,
};
use crate::{
    Code, Problem, at_least,
    credential::{CONTEXT_V2, Credential, TopLevelMembers},
    did::{self, Did, Resolve as _, VerificationRelationship},
    format::CredentialFormat,
    keys::PublicKey,
    secure::{
        jose::{Jws, KeyRef, numeric_date},
        sd_jwt::{self, ClaimPath, KeyBindingRequirements, ResolvedSdJwt, SdJwt},
    },
    status::{ListValidity, freshness},
    time::Timestamp,
};

/// Verified credential, with the payload against which queries are matched.
pub(super) struct CheckedCredential {
    pub(super) held: VerifiedCredential,
    pub(super) payload: VerifiedDocument,
    /// Claims that its issuer left in the clear.
    pub(super) clear_paths: Vec<ClaimPath>,
    /// Holder's key with which it was presented; `None` without a presentation.
    pub(super) holder_key: Option<PublicKey>,
}

/// Verifies one SD-JWT. With `asked`, it must have a key binding for that request; without, it must have none.
pub(super) fn verify_sd_jwt(
    report: &mut VerificationReport,
    about: &str,
    compact: &str,
    asked: Option<&PresentationContext<'_>>,
    env: &VerificationEnvironment<'_>,
) -> Option<CheckedCredential> {
    let (token, format) = report.record(CheckName::Format, about, parse(compact, asked.is_some()))?;
    let key = report.record(CheckName::IssuerKey, about, issuer_key(&token, format, env))?;
    let disclosed = report.record(
        CheckName::Proof,
        about,
        token.verify_signature(&key).and_then(|()| token.resolve_disclosures()),
    )?;
    let mut proved = Vec::new();
    let holder = match asked {
        Some(asked) => {
            let binding = KeyBindingRequirements {
                nonce: asked.nonce,
                audience: asked.audience,
                now: env.now,
                max_age: asked.max_age,
                skew: env.skew,
            };
            let bound = token.verify_key_binding(&binding).and_then(|said| Ok((said, token.holder_key()?)));
            let (said, holder) = report.record(CheckName::HolderBinding, about, bound)?;
            if said.contains_key(at_least::WITNESSES_MEMBER) {
                let holds = sd_jwt::verify_threshold_proofs(&said, &disclosed.payload);
                proved = report.record(CheckName::Thresholds, about, holds)?;
            } else {
                report.record_not_applicable(CheckName::Thresholds, about, "there is no witness for any");
            }
            holder
        }
        None => {
            report.record_not_applicable(CheckName::HolderBinding, about, "it was submitted without its holder");
            None
        }
    };
    let ResolvedSdJwt { payload, disclosure_paths: mut paths, clear_claims: clear } = disclosed;
    let clear: Vec<ClaimPath> = clear.into_iter().map(|claim| claim.original_path).collect();
    paths.extend(clear.iter().cloned());
    let payload = VerifiedDocument(payload);
    let model = report.record(CheckName::Model, about, model(&token, format, &payload.0, env))?;
    let named = subject_names(format, &model.credential, &payload.0);
    match &holder {
        None => report.record_not_applicable(CheckName::HolderSubject, about, "there is no holder here"),
        Some(_) if format == CredentialFormat::DcSdJwt && named.is_empty() => {
            report.record_not_applicable(
                CheckName::HolderSubject,
                about,
                "the holder's key is all that names the subject",
            );
        }
        Some(key) => {
            report.record(CheckName::HolderSubject, about, check_holder_is_subject(key, &named));
        }
    }
    if let Some(holder) = holder.clone() {
        report.add_presented(PresentedCredential {
            query_id: about.to_owned(),
            type_name: model.type_name.clone(),
            issuer: model.credential.issuer().to_owned(),
            format,
            disclosed_paths: paths.clone(),
            proved_thresholds: proved.clone(),
            holder_key: holder,
        });
    }
    let held = VerifiedCredential {
        credential: model.credential,
        type_name: model.type_name,
        disclosed_paths: paths,
        proved_thresholds: proved,
        format,
    };
    let stapled = asked.and_then(|_| stapled_statement(&token, held.credential.issuer(), env));
    let stated = stapled.as_ref().and_then(|stapled| stapled.as_ref().ok()).map(|stapled| stapled.issued_at);
    super::common::check_validity_and_trust(report, about, &held, &payload.0, (model.times, stapled), env)?;
    let made = numeric_date(&payload.0, "iat").ok().flatten();
    for at in [stated, made].into_iter().flatten().filter(|at| *at <= env.now.plus(env.skew)) {
        report.record_issuer_time(at);
    }
    Some(CheckedCredential { held, payload, clear_paths: clear, holder_key: holder })
}

/// Returns the identifiers of the subject: the ids of a VCDM credential's subjects, and `sub`. A VCDM credential whose
/// subject has no id has no holder, even if it has a `sub`.
fn subject_names<'a>(
    format: CredentialFormat,
    credential: &'a Credential,
    payload: &'a Map<String, Value>,
) -> Vec<&'a str> {
    // A `sub` that is not a text cannot identify the holder.
    let sub = payload.get("sub").map(|sub| sub.as_str().unwrap_or_default());
    if format != CredentialFormat::VcSdJwt {
        return sub.into_iter().collect();
    }
    let ids: Vec<&str> = credential.subject_ids().collect();
    if ids.is_empty() { Vec::new() } else { ids.into_iter().chain(sub).collect() }
}

fn parse(compact: &str, binding_expected: bool) -> Result<(SdJwt, CredentialFormat), Problem> {
    let token = SdJwt::parse(compact)?;
    let format = match token.jws().typ().and_then(CredentialFormat::parse) {
        Some(format) if format.is_sd_jwt() => format,
        _ => return Err(Problem::new(Code::TokenType, "the credential's typ is neither vc+sd-jwt nor dc+sd-jwt")),
    };
    // An issuer does not have the holder's key, so that a copy with a key binding has been presented before.
    if !binding_expected && token.has_key_binding() {
        return Err(Problem::new(
            Code::KeyBindingUnexpected,
            "a credential without a presentation must not have a key binding",
        ));
    }
    Ok((token, format))
}

/// Returns the issuer's key: `kid` is a DID URL of the issuer, listed for assertion. A key by value in the header does
/// not show whose key it is (VC-JOSE-COSE section 4.1).
fn issuer_key(
    token: &SdJwt,
    format: CredentialFormat,
    env: &VerificationEnvironment<'_>,
) -> Result<PublicKey, Problem> {
    let payload = token.jws().payload();
    let KeyRef::Kid(kid) = token.jws().key_ref() else {
        return Err(Problem::new(Code::HeaderKeyUnanchored, "the header has no kid of the issuer"));
    };
    let claimed = if format == CredentialFormat::VcSdJwt {
        crate::credential::id_of(payload.get("issuer"), "issuer")?
    } else {
        crate::credential::id_of(payload.get("iss"), "iss")?
    };
    let issuer = claimed.as_str();
    let url = match kid.strip_prefix('#').filter(|_| !profile(payload, format, env.types).requires_absolute_kid) {
        Some(fragment) => Did::parse(issuer)?.with_fragment(fragment)?,
        None => did::DidUrl::parse(kid)?,
    };
    if url.did().as_str() != issuer {
        return Err(Problem::new(Code::MethodOfOther, "kid names a key of a party other than the issuer"));
    }
    // Credentials outlive the key that signed them.
    let document = did::KeyHistoryResolver(env.resolver).resolve(url.did())?;
    let made = numeric_date(payload, "iat")?;
    if document.retired_at(&url).zip(made).is_some_and(|(retired, made)| made > retired.plus(env.skew)) {
        return Err(Problem::new(Code::KeyInvalid, "the issuer's key was retired before the credential was made"));
    }
    document.require_unexpired(&url, env.now, env.skew)?;
    if document.revoked_at(&url).is_none() {
        let key = document.key_for(&url, VerificationRelationship::AssertionMethod);
        return key.map_err(|problem| super::common::as_unknown_key(problem, issuer));
    }
    let key = document.revoked_assertion_key(&url)?;
    check_vouched_copy(token, issuer, &key, env).map(|()| key)
}

/// Returns the requirements on the credential. Its type and its issuer are never selectively disclosable, so those of
/// the unverified payload are those that the signature covers.
pub(super) fn profile<'a>(
    payload: &Map<String, Value>,
    format: CredentialFormat,
    types: &'a dyn TypeCatalogue,
) -> &'a VerificationProfile {
    let stated = if format == CredentialFormat::DcSdJwt {
        crate::credential::id_of(payload.get("iss"), "iss")
            .and_then(|iss| Ok((iss, types.type_name(&[], vct(payload))?)))
    } else {
        common::stated_issuer_and_type(payload, types)
    };
    stated.map_or(VerificationProfile::DEFAULT, |(issuer, type_name)| types.profile(&type_name, &issuer))
}

fn vct(payload: &Map<String, Value>) -> Option<&str> {
    payload.get("vct").and_then(Value::as_str)
}

/// Checks, for a copy signed with a compromised key, that a freshness statement of the issuer, signed with another key,
/// confirms the copy. Nothing else distinguishes the issuer's own signatures from those of a thief, who can write any
/// date.
fn check_vouched_copy(
    token: &SdJwt,
    issuer: &str,
    leaked: &PublicKey,
    env: &VerificationEnvironment<'_>,
) -> Result<(), Problem> {
    let refused = |what: String| Problem::new(Code::KeyInvalid, format!("the issuer's key is compromised, and {what}"));
    let statement = token.freshness_statement().map_err(|problem| refused(problem.to_string()))?;
    let statement = statement.ok_or_else(|| refused("no freshness statement vouches for this copy".to_owned()))?;
    let vouches = |said: ListValidity| super::status::require_usable(&said, issuer, env);
    verify_statement(statement, token, issuer, env).and_then(vouches).map_err(|problem| match problem.code {
        // A newer DID document may have the key, and the statement may then be valid.
        Code::IssuerKeyUnknown => problem,
        _ => refused(format!("the freshness statement for this copy is invalid ({problem})")),
    })?;
    // The document may list the leaked key a second time, under an id that is not revoked.
    match Jws::parse(statement).and_then(|jws| jws.verify(leaked)) {
        Ok(()) => Err(refused("the freshness statement for this copy is signed with that key itself".to_owned())),
        Err(_) => Ok(()),
    }
}

/// Verifies the freshness statement stapled to a presentation; `None` if there is none.
fn stapled_statement(
    token: &SdJwt,
    issuer: &str,
    env: &VerificationEnvironment<'_>,
) -> Option<Result<ListValidity, Problem>> {
    let statement = token.freshness_statement().transpose()?;
    Some(statement.and_then(|text| verify_statement(text, token, issuer, env)))
}

/// Verifies a freshness statement of the issuer about a copy.
fn verify_statement(
    text: &str,
    token: &SdJwt,
    issuer: &str,
    env: &VerificationEnvironment<'_>,
) -> Result<ListValidity, Problem> {
    freshness::verify_statement(text, token, issuer, env.now, env.skew, env.resolver)
        .map_err(|problem| super::common::as_unknown_key(problem, issuer))
}

struct Model {
    credential: Credential,
    type_name: String,
    times: super::common::ValidityPeriod,
}

fn model(
    token: &SdJwt,
    format: CredentialFormat,
    payload: &Map<String, Value>,
    env: &VerificationEnvironment<'_>,
) -> Result<Model, Problem> {
    let table = if format == CredentialFormat::VcSdJwt { TopLevelMembers::VcSdJwt } else { TopLevelMembers::DcSdJwt };
    table.require_permitted(payload)?;
    let nbf = numeric_date(payload, "nbf")?;
    let exp = numeric_date(payload, "exp")?;
    let iat = numeric_date(payload, "iat")?;
    let credential = if format == CredentialFormat::VcSdJwt {
        Credential::parse(vcdm_document(payload))?
    } else {
        sd_jwt_vc(token, payload, nbf, exp)?
    };
    if let Some(iss) = payload.get("iss")
        && iss.as_str() != Some(credential.issuer())
    {
        return Err(Problem::new(Code::IssuerMismatch, "iss differs from the issuer"));
    }
    if credential.valid_until().is_none() && profile(payload, format, env.types).requires_end {
        return Err(Problem::new(Code::ClaimMissing, "the credential has no end (validUntil, or exp)"));
    }
    let types: Vec<&str> = credential.specific_types().collect();
    // `vct` counts only in the format that defines it; in others it would be a second name for the type.
    let vct = if format == CredentialFormat::DcSdJwt { vct(payload) } else { None };
    let type_name = env.types.type_name(&types, vct)?;
    let times = super::common::ValidityPeriod {
        // A credential is not valid before it was issued (spec/protocol.md 1.6).
        from: credential.valid_from().into_iter().chain(nbf).chain(iat).max(),
        until: credential.valid_until().into_iter().chain(exp).min(),
    };
    Ok(Model { credential, type_name, times })
}

/// Returns the VCDM document in a `vc+sd-jwt` payload: the payload without the claims that JOSE adds.
fn vcdm_document(payload: &Map<String, Value>) -> Map<String, Value> {
    let mut document = payload.clone();
    for claim in ["cnf", "iss", "iat", "nbf", "exp"] {
        document.remove(claim);
    }
    document
}

/// Converts an SD-JWT VC to a VCDM credential, so that later steps handle only one form.
fn sd_jwt_vc(
    token: &SdJwt,
    payload: &Map<String, Value>,
    nbf: Option<Timestamp>,
    exp: Option<Timestamp>,
) -> Result<Credential, Problem> {
    let missing = |claim: &str| Problem::new(Code::ClaimMissing, format!("the payload has no {claim}"));
    let issuer = payload.get("iss").ok_or_else(|| missing("iss"))?;
    vct(payload).ok_or_else(|| missing("vct"))?;
    let mut subject: Map<String, Value> = payload
        .iter()
        .filter(|(name, _)| {
            !matches!(name.as_str(), "iss" | "vct" | "vct#integrity" | "nbf" | "exp" | "iat" | "cnf" | "status" | "sub")
        })
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    if let Some(key) = token.holder_key()? {
        subject.insert("id".to_owned(), Did::did_jwk(&key).as_str().into());
    }
    if subject.is_empty() {
        // No claim is disclosed: VCDM requires at least one, and this one is always true.
        subject.insert("type".to_owned(), "Subject".into());
    }
    let mut document = json!({
        "@context": [CONTEXT_V2], "type": ["VerifiableCredential"], "issuer": issuer,
        "credentialSubject": subject,
    });
    for (name, at) in [("validFrom", nbf), ("validUntil", exp)] {
        if let (Some(at), Some(members)) = (at, document.as_object_mut()) {
            members.insert(name.to_owned(), at.to_string().into());
        }
    }
    if let (Some(status), Some(members)) = (payload.get("status"), document.as_object_mut()) {
        members.insert("credentialStatus".to_owned(), json!({"type": TOKEN_ENTRY, "status": status}));
    }
    match document {
        Value::Object(document) => Credential::parse(document),
        _ => Err(Code::MalformedValue.into()),
    }
}

/// Checks that the key of the presentation is the subject's: each id of the subject is a did:jwk or did:key of it.
fn check_holder_is_subject(key: &PublicKey, named: &[&str]) -> Result<(), Problem> {
    // The did:key is computed only if the did:jwk does not match: it is slower, and wallets use did:jwk.
    let (jwk, multikey) = (Did::did_jwk(key), LazyCell::new(|| Did::did_key(key)));
    if !named.is_empty() && named.iter().all(|id| *id == jwk.as_str() || *id == multikey.as_str()) {
        Ok(())
    } else {
        Err(Problem::new(Code::HolderMismatch, "the key of the presentation is not the subject's"))
    }
}
