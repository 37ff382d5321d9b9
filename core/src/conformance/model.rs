//! Rules of the data model: VCDM 2.0 sections 4 and 5, and VCDM 1.1 section 4 for documents with its base context.

use serde_json::{Map, Value};

use super::{
    CONTEXT_V1, malformed,
    resources::check_related_form,
    values::{check_members, check_text, check_typed, check_types, has_type, values},
};
use crate::{
    Code, Problem,
    credential::{CONTEXT_V2, id_of, url},
    time::Timestamp,
};

const CREDENTIAL: &str = "VerifiableCredential";
const PRESENTATION: &str = "VerifiablePresentation";
const ENVELOPED_CREDENTIAL: &str = "EnvelopedVerifiableCredential";
const ENVELOPED_PRESENTATION: &str = "EnvelopedVerifiablePresentation";

/// Properties whose objects must have a type, besides `credentialSchema` (VCDM 2.0 sections 4.5 and 5.10).
const TYPED: [&str; 6] =
    ["credentialStatus", "termsOfUse", "evidence", "refreshService", "confidenceMethod", "renderMethod"];

/// Version of the data model, by the base context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataModelVersion {
    /// VCDM 1.1.
    V1,
    /// VCDM 2.0.
    V2,
}

/// Stage of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// To be secured; it may have proofs already.
    Unsecured,
    /// Secured: by a proof, or by the envelope that it is.
    Secured,
}

/// Form of a checked document.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Form {
    /// Document with its claims.
    Plain(DataModelVersion),
    /// Envelope: the `data:` URL.
    Enveloped(String),
}

/// Checks a credential, or an enveloped credential, by the rules of the data model. Terms, digests of resources, proofs
/// and status are not checked.
///
/// # Errors
/// `context_missing`, `context_unknown` (a context is neither a URL nor an object), `context_nested`, `type_missing`,
/// `malformed_value`, `subject_empty`, `date_malformed`, `validity_reversed`, `too_deep`; `proof_missing` and
/// `proof_malformed` for a secured document: the code of the first violation.
pub fn check_credential(document: &Map<String, Value>, stage: Stage) -> Result<DataModelVersion, Problem> {
    match credential_form(document, stage)? {
        Form::Plain(version) => Ok(version),
        Form::Enveloped(_) => Ok(DataModelVersion::V2),
    }
}

/// Checks a presentation, or an enveloped presentation, as [`check_credential`] does. The credentials in it must be
/// secured at any stage (VCDM 2.0 section 4.13).
///
/// # Errors
/// Those of [`check_credential`].
pub fn check_presentation(document: &Map<String, Value>, stage: Stage) -> Result<DataModelVersion, Problem> {
    match presentation_form(document, stage)? {
        Form::Plain(version) => Ok(version),
        Form::Enveloped(_) => Ok(DataModelVersion::V2),
    }
}

pub(super) fn credential_form(document: &Map<String, Value>, stage: Stage) -> Result<Form, Problem> {
    if has_type(document, ENVELOPED_CREDENTIAL) {
        return envelope(document);
    }
    let version = check_contexts(document)?;
    require_type(document, CREDENTIAL)?;
    check_members(document, &["@context", "proof"])?;
    id_of(document.get("issuer"), "issuer")?;
    check_subjects(document)?;
    check_validity_period(document, version)?;
    check_text(document, "name")?;
    check_text(document, "description")?;
    if let Some(Value::Object(issuer)) = document.get("issuer") {
        check_text(issuer, "name")?;
        check_text(issuer, "description")?;
    }
    // VCDM 1.1 sections 4.9, 5.4 and 5.5 require an id for the first two.
    let v1 = version == DataModelVersion::V1;
    for property in TYPED {
        check_typed(document, property, v1 && matches!(property, "credentialStatus" | "refreshService"))?;
    }
    check_typed(document, "credentialSchema", true)?;
    check_related_form(document)?;
    check_proofs(document, stage)?;
    Ok(Form::Plain(version))
}

pub(super) fn presentation_form(document: &Map<String, Value>, stage: Stage) -> Result<Form, Problem> {
    if has_type(document, ENVELOPED_PRESENTATION) {
        return envelope(document);
    }
    let version = check_contexts(document)?;
    require_type(document, PRESENTATION)?;
    check_members(document, &["@context", "proof", "verifiableCredential"])?;
    if document.contains_key("holder") {
        id_of(document.get("holder"), "holder")?;
    }
    check_text(document, "name")?;
    check_text(document, "description")?;
    check_typed(document, "termsOfUse", false)?;
    for credential in values(document, "verifiableCredential") {
        let credential =
            credential.as_object().ok_or_else(|| malformed("an entry of verifiableCredential is not an object"))?;
        credential_form(credential, Stage::Secured)?;
    }
    check_proofs(document, stage)?;
    Ok(Form::Plain(version))
}

/// Checks `@context`: an ordered set whose first item is a base context, and whose others are URLs or objects (section
/// 4.3).
fn check_contexts(document: &Map<String, Value>) -> Result<DataModelVersion, Problem> {
    let contexts = document.get("@context").and_then(Value::as_array).ok_or(Code::ContextMissing)?;
    let (first, others) = contexts.split_first().ok_or(Code::ContextMissing)?;
    let version = match first.as_str() {
        Some(CONTEXT_V2) => DataModelVersion::V2,
        Some(CONTEXT_V1) => DataModelVersion::V1,
        _ => return Err(Code::ContextMissing.into()),
    };
    for context in others {
        match context {
            Value::Object(_) => {}
            Value::String(_) => {
                url(context, "@context").map_err(|problem| Problem::new(Code::ContextUnknown, problem.detail))?;
            }
            _ => return Err(Problem::new(Code::ContextUnknown, "a context is neither a URL nor an object")),
        }
    }
    Ok(version)
}

fn require_type(document: &Map<String, Value>, needed: &str) -> Result<(), Problem> {
    let missing = || Problem::new(Code::TypeMissing, format!("type does not include {needed}"));
    check_types(document.get("type").ok_or_else(missing)?, "the document")?;
    if has_type(document, needed) { Ok(()) } else { Err(missing()) }
}

fn check_subjects(document: &Map<String, Value>) -> Result<(), Problem> {
    let subjects = values(document, "credentialSubject");
    if subjects.is_empty() {
        return Err(Code::SubjectEmpty.into());
    }
    for subject in subjects {
        let subject = subject.as_object().ok_or_else(|| malformed("credentialSubject is not an object"))?;
        if subject.is_empty() {
            return Err(Code::SubjectEmpty.into());
        }
    }
    Ok(())
}

/// Checks the validity period (VCDM 2.0 section 4.9; VCDM 1.1 sections 4.6 and 4.8, where `issuanceDate` is required).
fn check_validity_period(document: &Map<String, Value>, version: DataModelVersion) -> Result<(), Problem> {
    let (from, until) = validity_period(document, version)?;
    if version == DataModelVersion::V1 && from.is_none() {
        return Err(Problem::new(Code::ClaimMissing, "issuanceDate is missing"));
    }
    match (from, until) {
        (Some(from), Some(until)) if from > until => Err(Code::ValidityReversed.into()),
        _ => Ok(()),
    }
}

/// Returns the start and the end of the validity period.
///
/// # Errors
/// `date_malformed`
pub(super) fn validity_period(
    document: &Map<String, Value>,
    version: DataModelVersion,
) -> Result<(Option<Timestamp>, Option<Timestamp>), Problem> {
    let (from, until) = match version {
        DataModelVersion::V1 => ("issuanceDate", "expirationDate"),
        DataModelVersion::V2 => ("validFrom", "validUntil"),
    };
    let time = |property: &str| {
        let parse = |value: &Value| {
            let text = value.as_str().ok_or_else(|| Problem::from(Code::DateMalformed))?;
            Timestamp::parse(text)
        };
        let problem = |problem: Problem| Problem::new(problem.code, format!("{property}: {}", problem.detail));
        document.get(property).map(parse).transpose().map_err(problem)
    };
    Ok((time(from)?, time(until)?))
}

/// Checks the form of `proof`: one object or several, each with a type. A secured document has at least one.
fn check_proofs(document: &Map<String, Value>, stage: Stage) -> Result<(), Problem> {
    let malformed = |what: &str| Problem::new(Code::ProofMalformed, what);
    let proofs = values(document, "proof");
    if proofs.is_empty() && (stage == Stage::Secured || document.contains_key("proof")) {
        return Err(Code::ProofMissing.into());
    }
    for proof in proofs {
        let proof = proof.as_object().ok_or_else(|| malformed("a proof is not an object"))?;
        if !proof.get("type").is_some_and(Value::is_string) {
            return Err(malformed("a proof has no type"));
        }
    }
    Ok(())
}

/// Checks an enveloped credential or presentation (sections 4.13.1 and 4.13.2), and returns its `data:` URL. The content
/// is not decoded.
fn envelope(document: &Map<String, Value>) -> Result<Form, Problem> {
    let contexts = values(document, "@context");
    if contexts.first().and_then(Value::as_str) != Some(CONTEXT_V2) {
        return Err(Code::ContextMissing.into());
    }
    // `type` is exactly the one; another type would describe a document that is not there.
    if values(document, "type").len() != 1 {
        return Err(malformed("the type of an enveloped document is not that alone"));
    }
    // The characters of the data are judged when it is decoded.
    let id = document.get("id").and_then(Value::as_str).filter(|id| id.starts_with("data:") && id.contains(','));
    let id = id.ok_or_else(|| malformed("the id of an enveloped document is not a data: URL"))?;
    Ok(Form::Enveloped(id.to_owned()))
}
