//! Verification of a document: its data model, its terms, its resources, its proofs, and the rules between them.

use serde_json::{Map, Value};

use super::{
    DataModelVersion, EnvelopedKind, Environment, Stage, VerificationOptions, check_credential,
    contents::check_contents,
    envelope::open,
    model::{Form, credential_form, presentation_form, validity_period},
    status::{StatusEntry, StatusResult},
    values::values,
};
use crate::{
    Code, Problem,
    credential::id_of,
    did::{DidUrl, VerificationRelationship},
    secure::data_integrity::{ProofPolicy, verify_under},
};

/// Purposes of the proofs of a presentation: the text prefers `authentication`, and does not require it.
const PRESENTATION_PURPOSES: [VerificationRelationship; 2] =
    [VerificationRelationship::Authentication, VerificationRelationship::AssertionMethod];

/// Verifies a credential with embedded proofs, or an enveloped one.
///
/// An issuer that is a DID must control the key of at least one proof, or that of the envelope; of any other issuer the
/// text does not say how its keys are found.
///
/// # Errors
/// Those of [`super::check_credential`], of the terms and of the resources; those of
/// [`crate::secure::data_integrity::verify`]; `method_of_other`: no proof is by the issuer; with the options also
/// `not_yet_valid`, `expired` and those of [`check_status`]. For an enveloped one, those of [`super::EnvelopedToken`] and
/// [`super::CoseToken`], `token_type`, `header_key_unanchored`, and `unknown_format`: a presentation is in the envelope.
pub fn verify_credential(
    document: &Map<String, Value>,
    env: &Environment<'_>,
    options: &VerificationOptions<'_>,
) -> Result<(), Problem> {
    verified_methods(document, env, options).map(|_| ())
}

/// Issuer of a verified credential, and the verification methods of its proofs or its envelope.
struct VerifiedIssuer {
    issuer: String,
    methods: Vec<DidUrl>,
}

/// Verifies a credential, and returns its issuer and the verification methods.
fn verified_methods(
    document: &Map<String, Value>,
    env: &Environment<'_>,
    options: &VerificationOptions<'_>,
) -> Result<VerifiedIssuer, Problem> {
    let version = match credential_form(document, Stage::Secured)? {
        Form::Plain(version) => version,
        Form::Enveloped(url) => {
            let opened = open(&url, env, options)?;
            if opened.kind != EnvelopedKind::Credential {
                return Err(Code::UnknownFormat.into());
            }
            let version = check_credential(&opened.document, Stage::Unsecured)?;
            check_contents(&opened.document, env)?;
            check_on_request(&opened.document, version, env, options)?;
            let issuer = id_of(opened.document.get("issuer"), "issuer")?;
            return Ok(VerifiedIssuer { issuer, methods: vec![opened.method] });
        }
    };
    check_contents(document, env)?;
    let purposes = purposes(options, &[VerificationRelationship::AssertionMethod])?;
    let methods = verify_under(document, env.suites, env.resolver, &policy(&purposes, env, options))?.methods;
    let issuer = id_of(document.get("issuer"), "issuer")?;
    if issuer.starts_with("did:") && !methods.iter().any(|method| method.did().as_str() == issuer) {
        return Err(Problem::new(Code::MethodOfOther, "no proof is by the issuer"));
    }
    check_on_request(document, version, env, options)?;
    Ok(VerifiedIssuer { issuer, methods })
}

/// Checks the validity period and the status, if the options ask for it.
fn check_on_request(
    document: &Map<String, Value>,
    version: DataModelVersion,
    env: &Environment<'_>,
    options: &VerificationOptions<'_>,
) -> Result<(), Problem> {
    if options.check_validity {
        let (from, until) = validity_period(document, version)?;
        if from.is_some_and(|from| from > env.now.plus(env.skew)) {
            return Err(Code::NotYetValid.into());
        }
        if until.is_some_and(|until| until.plus(env.skew) < env.now) {
            return Err(Code::Expired.into());
        }
    }
    if options.check_status {
        check_status(document, env)?;
    }
    Ok(())
}

/// Verifies a presentation with embedded proofs, or an enveloped one, and the credentials in it.
///
/// A credential whose proof is by a key of the presentation's own proofs is self-asserted: its issuer must be the
/// presentation's holder (VCDM 2.0 section 4.13.4).
///
/// # Errors
/// Those of [`super::check_presentation`] and [`verify_credential`]; `holder_missing` and `holder_mismatch` for a
/// self-asserted credential.
pub fn verify_presentation(
    document: &Map<String, Value>,
    env: &Environment<'_>,
    options: &VerificationOptions<'_>,
) -> Result<(), Problem> {
    if let Form::Enveloped(url) = presentation_form(document, Stage::Secured)? {
        let opened = open(&url, env, options)?;
        if opened.kind != EnvelopedKind::Presentation {
            return Err(Code::UnknownFormat.into());
        }
        check_contents(&opened.document, env)?;
        return verify_credentials_of(&opened.document, &[opened.method], env, options);
    }
    check_contents(document, env)?;
    let purposes = purposes(options, &PRESENTATION_PURPOSES)?;
    let presenters = verify_under(document, env.suites, env.resolver, &policy(&purposes, env, options))?.methods;
    verify_credentials_of(document, &presenters, env, options)
}

/// Verifies the credentials of a presentation that was made with these keys.
fn verify_credentials_of(
    document: &Map<String, Value>,
    presenters: &[DidUrl],
    env: &Environment<'_>,
    options: &VerificationOptions<'_>,
) -> Result<(), Problem> {
    let holder = document.get("holder").map(|holder| id_of(Some(holder), "holder")).transpose()?;
    // Challenge, domain and purpose are those of the presentation.
    let inner = VerificationOptions {
        check_validity: options.check_validity,
        check_status: options.check_status,
        ..VerificationOptions::default()
    };
    for credential in values(document, "verifiableCredential") {
        let Some(credential) = credential.as_object() else { continue };
        let methods = verified_methods(credential, env, &inner)?;
        let self_asserted = methods.methods.iter().any(|method| presenters.iter().any(|by| by.did() == method.did()));
        if self_asserted {
            let holder = holder.as_deref().ok_or_else(|| {
                Problem::new(Code::HolderMissing, "the presentation of a self-asserted credential names no holder")
            })?;
            if methods.issuer != holder {
                return Err(Problem::new(
                    Code::HolderMismatch,
                    "the issuer of a self-asserted credential is not the holder",
                ));
            }
        }
    }
    Ok(())
}

/// Looks up every entry of `credentialStatus`, and returns the results.
///
/// # Errors
/// `status_unsupported`: an entry of another type; `status_list_unavailable`; `status_list_invalid`,
/// `status_list_mismatch`, `status_purpose`, `status_list_length`, `status_index`; `revoked`, `suspended`.
pub fn check_status(document: &Map<String, Value>, env: &Environment<'_>) -> Result<Vec<StatusResult>, Problem> {
    let mut results = Vec::new();
    for entry in values(document, "credentialStatus") {
        let entry = StatusEntry::parse(entry)?;
        let list = env.status_lists.status_list(entry.url()).ok_or(Code::StatusListUnavailable)?;
        // A list has no status of its own here: it could name itself.
        let options = VerificationOptions { check_validity: true, ..VerificationOptions::default() };
        verify_credential(&list, env, &options)
            .map_err(|problem| Problem::new(Code::StatusListInvalid, problem.to_string()))?;
        results.push(entry.look_up(&list)?);
    }
    Ok(results)
}

/// Returns the accepted purposes.
///
/// # Errors
/// `proof_purpose`: the expected one is not a purpose of proofs.
fn purposes(
    options: &VerificationOptions<'_>,
    usual: &[VerificationRelationship],
) -> Result<Vec<VerificationRelationship>, Problem> {
    match options.expected_purpose {
        None => Ok(usual.to_vec()),
        Some(name) => {
            let known = PRESENTATION_PURPOSES.iter().find(|purpose| purpose.as_str() == name);
            known.map(|purpose| vec![*purpose]).ok_or_else(|| Code::ProofPurpose.into())
        }
    }
}

fn policy<'a>(
    purposes: &'a [VerificationRelationship],
    env: &Environment<'_>,
    options: &VerificationOptions<'a>,
) -> ProofPolicy<'a> {
    ProofPolicy {
        purposes,
        controller: None,
        challenge: options.challenge,
        domain: options.domain,
        typed_suites: true,
        now: env.now,
        skew: env.skew,
    }
}
