//! Issuance: a document is checked and secured as it is.

use serde_json::{Map, Value, json};

use super::{
    CONTEXT_DATA_INTEGRITY_V2, Environment,
    contents::check_contents,
    model::{DataModelVersion, Form, Stage, credential_form, presentation_form},
    values::has_type,
};
use crate::{
    Code, Problem,
    credential::url,
    keys::Signer,
    secure::data_integrity::{self, Cryptosuite, ProofOptions},
};

/// Options of an issuance.
#[derive(Debug, Clone)]
pub struct IssueOptions<'a> {
    /// Options of the proof.
    pub proof: ProofOptions<'a>,
    /// Issuer of a credential that names none; `None`: such a credential is refused.
    pub default_issuer: Option<&'a str>,
    /// `id` of the proof; `None`: omitted.
    pub proof_id: Option<&'a str>,
    /// `previousProof`: ids of proofs that the document has and that the new one depends on.
    pub previous_proofs: &'a [&'a str],
}

/// Checks a credential or presentation, and secures it with an embedded proof. Proofs that it has are kept, so that a
/// set or a chain results. A document of VCDM 1.1 is given the context of Data Integrity, if it lacks it.
///
/// # Errors
/// Those of [`super::check_credential`] or [`super::check_presentation`], of the terms and of the resources;
/// `proof_generation`: a member of `previousProof` names no proof of the document; those of the cryptosuite.
/// `unknown_format`: the document is enveloped, and so is secured already.
pub fn issue(
    document: &Map<String, Value>,
    suite: &dyn Cryptosuite,
    options: &IssueOptions<'_>,
    env: &Environment<'_>,
    signer: &dyn Signer,
) -> Result<Map<String, Value>, Problem> {
    let mut document = document.clone();
    let form = if has_type(&document, "VerifiablePresentation") {
        presentation_form(&document, Stage::Unsecured)?
    } else {
        if let (false, Some(issuer)) = (document.contains_key("issuer"), options.default_issuer) {
            document.insert("issuer".to_owned(), issuer.into());
        }
        credential_form(&document, Stage::Unsecured)?
    };
    let Form::Plain(version) = form else { return Err(Code::UnknownFormat.into()) };
    if let (DataModelVersion::V1, Some(Value::Array(contexts))) = (version, document.get_mut("@context"))
        && !contexts.iter().any(|context| context == CONTEXT_DATA_INTEGRITY_V2)
    {
        contexts.push(CONTEXT_DATA_INTEGRITY_V2.into());
    }
    check_contents(&document, env)?;
    add_proof(&document, suite, options, signer)
}

/// Adds a proof to a document as [`data_integrity::add_proof`] does, with an `id` and `previousProof` (Data Integrity
/// 1.0 section 4.3). The document is not checked.
///
/// # Errors
/// `proof_generation`, and those of the cryptosuite.
pub fn add_proof(
    document: &Map<String, Value>,
    suite: &dyn Cryptosuite,
    options: &IssueOptions<'_>,
    signer: &dyn Signer,
) -> Result<Map<String, Value>, Problem> {
    let generation = |what: &str| Problem::new(Code::ProofGeneration, what);
    let mut unsecured = document.clone();
    let mut proofs = match unsecured.remove("proof") {
        None => Vec::new(),
        Some(Value::Array(proofs)) => proofs,
        Some(one) => vec![one],
    };
    let mut members = data_integrity::options_to_json(suite, &options.proof)?;
    if let Some(id) = options.proof_id {
        url(&Value::from(id), "the proof's id").map_err(|problem| generation(&problem.detail))?;
        members.insert("id".to_owned(), id.into());
    }
    let named = |proof: &Value, id: &str| proof.get("id").and_then(Value::as_str) == Some(id);
    if options.previous_proofs.iter().any(|id| !proofs.iter().any(|proof| named(proof, id))) {
        return Err(generation("previousProof names a proof that the document does not have"));
    }
    let mut input = unsecured.clone();
    if !options.previous_proofs.is_empty() {
        let earlier = proofs.iter().filter(|proof| options.previous_proofs.iter().any(|id| named(proof, id)));
        input.insert("proof".to_owned(), earlier.cloned().collect::<Vec<_>>().into());
        let names = match options.previous_proofs {
            [one] => json!(one),
            many => json!(many),
        };
        members.insert("previousProof".to_owned(), names);
    }
    let proof = Value::Object(suite.create_proof(&input, members, signer)?);
    let proof = if proofs.is_empty() {
        proof
    } else {
        proofs.push(proof);
        Value::Array(proofs)
    };
    unsecured.insert("proof".to_owned(), proof);
    Ok(unsecured)
}
