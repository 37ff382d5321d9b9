//! Verification of credentials with embedded proofs, alone or in a presentation.

use serde_json::{Map, Value};

use super::{
    CheckName, PresentationContext, PresentedCredential, VerificationEnvironment, VerificationReport,
    VerifiedCredential,
    common::{self, VerifiedDocument},
    sd_jwt::CheckedCredential,
};
use crate::{
    Code, Problem,
    credential::{Credential, TopLevelMembers},
    did::{DidUrl, KeyHistoryResolver, VerificationRelationship},
    format::CredentialFormat,
    json::{self, Limits},
    keys::PublicKey,
    presentation::Presentation,
    readable,
    secure::data_integrity::{Cryptosuites, ProofRequirements, verify as verify_proofs},
    time::Timestamp,
};

/// Parses JSON text that must be an object.
fn object(text: &[u8]) -> Result<Map<String, Value>, Problem> {
    match json::parse(text, Limits::DOCUMENT)? {
        Value::Object(document) => Ok(document),
        _ => Err(Problem::new(Code::UnknownFormat, "the JSON is not an object")),
    }
}

/// Verifies a credential's JSON text.
pub(super) fn verify_text(
    report: &mut VerificationReport,
    about: &str,
    text: &[u8],
    env: &VerificationEnvironment<'_>,
) -> Option<CheckedCredential> {
    let document = report.record(CheckName::Format, about, object(text))?;
    verify(report, about, &document, None, env)
}

/// Verifies the JSON text of a VerifiablePresentation, which must be bound to the request and contain one credential.
pub(super) fn verify_presented(
    report: &mut VerificationReport,
    about: &str,
    text: &[u8],
    asked: &PresentationContext<'_>,
    env: &VerificationEnvironment<'_>,
) -> Option<CheckedCredential> {
    let parsed = object(text).and_then(|document| Presentation::parse(&document).map(|form| (document, form)));
    let (document, form) = report.record(CheckName::Format, about, parsed)?;
    let expected = ProofRequirements {
        purpose: VerificationRelationship::Authentication,
        controller: form.holder(),
        binding: Some((asked.nonce, asked.audience)),
        now: env.now,
        skew: env.skew,
    };
    let bound = verify_proofs(&document, env.suites, env.resolver, &expected)
        .and_then(|_| check_age(&document, asked, env))
        .and_then(|()| match form.credentials() {
            [one] => Ok(one),
            _ => Err(Problem::new(Code::QueryUnmet, "a presentation holds exactly one credential")),
        });
    let credential = report.record(CheckName::HolderBinding, about, bound)?;
    let key = proofs(&document).find_map(|proof| proof_key(proof, env));
    verify(report, about, credential, Some(Holder { did: form.holder(), key }), env)
}

/// Holder that presents.
struct Holder<'a> {
    did: &'a str,
    key: Option<PublicKey>,
}

/// Returns the key of a verified proof of a presentation.
fn proof_key(proof: &Value, env: &VerificationEnvironment<'_>) -> Option<PublicKey> {
    let url = DidUrl::parse(proof.get("verificationMethod")?.as_str()?).ok()?;
    env.resolver.resolve(url.did()).ok()?.key_for(&url, VerificationRelationship::Authentication).ok()
}

/// Checks that every proof of a presentation has a `created` that is not too old and not in the future.
fn check_age(
    document: &Map<String, Value>,
    asked: &PresentationContext<'_>,
    env: &VerificationEnvironment<'_>,
) -> Result<(), Problem> {
    let oldest = env.now.plus(asked.max_age.saturating_neg()).plus(env.skew.saturating_neg());
    for proof in proofs(document) {
        let created = proof.get("created").and_then(Value::as_str).ok_or_else(|| {
            Problem::new(Code::KeyBindingStale, "the presentation's proof does not say when it was made")
        })?;
        let created = Timestamp::parse(created)?;
        if created < oldest || created > env.now.plus(env.skew) {
            return Err(Problem::new(Code::KeyBindingStale, "the presentation's proof is too old, or from the future"));
        }
    }
    Ok(())
}

fn proofs(document: &Map<String, Value>) -> impl Iterator<Item = &Value> {
    match document.get("proof") {
        Some(Value::Array(many)) => many.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    }
    .iter()
}

/// Returns the format of a credential, determined by the cryptosuites of its proofs.
fn format_by_proofs(document: &Map<String, Value>, suites: &Cryptosuites) -> Result<CredentialFormat, Problem> {
    let mut found = None;
    for proof in proofs(document) {
        let name = proof.get("cryptosuite").and_then(Value::as_str).unwrap_or_default();
        let format = suites.by_name(name)?.format();
        if found.is_some_and(|other| other != format) {
            return Err(Problem::new(Code::UnknownFormat, "the credential mixes proofs of different formats"));
        }
        found = Some(format);
    }
    found.ok_or_else(|| Code::ProofMissing.into())
}

fn verify(
    report: &mut VerificationReport,
    about: &str,
    document: &Map<String, Value>,
    holder: Option<Holder<'_>>,
    env: &VerificationEnvironment<'_>,
) -> Option<CheckedCredential> {
    let proved = format_by_proofs(document, env.suites).and_then(|format| {
        let issuer = crate::credential::id_of(document.get("issuer"), "issuer")?;
        let expected = ProofRequirements {
            purpose: VerificationRelationship::AssertionMethod,
            controller: &issuer,
            binding: None,
            now: env.now,
            skew: env.skew,
        };
        // Credentials outlive the key that signed them.
        let resolver = KeyHistoryResolver(env.resolver);
        verify_proofs(document, env.suites, &resolver, &expected)
            .map(|verified| (format, verified))
            .map_err(|problem| common::as_unknown_key(problem, &issuer))
    });
    let (format, payload) = report.record(CheckName::Proof, about, proved)?;
    let payload = VerifiedDocument(payload);
    let model = report.record(CheckName::Model, about, model(&payload.0, env))?;
    let (credential, type_name, until) = model;
    match &holder {
        Some(holder) => {
            let mut ids = credential.subject_ids().peekable();
            let same = if ids.peek().is_some() && ids.all(|id| id == holder.did) {
                Ok(())
            } else {
                Err(Problem::new(Code::HolderMismatch, "the holder is not the credential's subject"))
            };
            report.record(CheckName::HolderSubject, about, same);
        }
        None => report.record_not_applicable(CheckName::HolderSubject, about, "it was submitted without its holder"),
    }
    let times = common::ValidityPeriod { from: credential.valid_from(), until };
    let disclosed = readable::paths_without_selective_disclosure(format, &payload.0);
    let key = holder.and_then(|holder| holder.key);
    if let Some(holder) = key.clone() {
        report.add_presented(PresentedCredential {
            query_id: about.to_owned(),
            type_name: type_name.clone(),
            issuer: credential.issuer().to_owned(),
            format,
            disclosed_paths: disclosed.clone(),
            proved_thresholds: Vec::new(),
            holder_key: holder,
        });
    }
    let held =
        VerifiedCredential { credential, type_name, disclosed_paths: disclosed, proved_thresholds: Vec::new(), format };
    common::check_validity_and_trust(report, about, &held, &payload.0, (times, None), env)?;
    Some(CheckedCredential { held, payload, clear_paths: Vec::new(), holder_key: key })
}

fn model(
    payload: &Map<String, Value>,
    env: &VerificationEnvironment<'_>,
) -> Result<(Credential, String, Option<Timestamp>), Problem> {
    TopLevelMembers::DataIntegrity.require_permitted(payload)?;
    let credential = Credential::parse(payload.clone())?;
    let types: Vec<&str> = credential.specific_types().collect();
    let type_name = env.types.type_name(&types, None);
    let profile = type_name.as_ref().map(|name| env.types.profile(name, credential.issuer()));
    let until = credential.valid_until();
    if until.is_none() && profile.map_or(true, |profile| profile.requires_end) {
        return Err(Problem::new(Code::ClaimMissing, "the credential has no validUntil"));
    }
    Ok((credential, type_name?, until))
}
