//! Verifiable presentations (VCDM 2.0 section 4.13): data model and creation.

use serde_json::{Map, Value, json};

use crate::{
    Code, Problem,
    credential::{CONTEXT_V2, TopLevelMembers, check_context_outside, id_of, types_of},
    did::VerificationRelationship,
    keys::Signer,
    secure::data_integrity::{ProofOptions, add_proof, eddsa_jcs::EddsaJcs2022},
    time::Timestamp,
};

const BASE_TYPE: &str = "VerifiablePresentation";
/// Member with the presented credentials.
const CREDENTIALS: &str = "verifiableCredential";
/// Context of Data Integrity proofs. VCDM 2.0 defines its terms in the same way.
const CONTEXT_DATA_INTEGRITY: &str = "https://w3id.org/security/data-integrity/v2";

/// Presentation whose members conform to VCDM 2.0 ([`Self::parse`]). Its proof and its credentials are not verified.
#[derive(Debug, Clone, PartialEq)]
pub struct Presentation {
    holder: String,
    credentials: Vec<Map<String, Value>>,
}

impl Presentation {
    /// Checks a document against the data model.
    ///
    /// # Errors
    /// `claim_forbidden` (a member that a presentation may not have), `context_missing`, `context_nested`,
    /// `context_unknown` (a context other than those of VCDM 2.0, Data Integrity and its credentials, or one that is
    /// not a string), `type_missing`, `malformed_value` (no holder, a holder that is not a URL, or a credential that is
    /// not an object).
    pub fn parse(document: &Map<String, Value>) -> Result<Self, Problem> {
        // Credentials carry contexts of their own.
        check_context_outside(document, CREDENTIALS)?;
        types_of(document, BASE_TYPE)?;
        TopLevelMembers::Presentation.require_permitted(document)?;
        let holder = id_of(document.get("holder"), "holder")?;
        let credentials: Vec<Map<String, Value>> = match document.get(CREDENTIALS) {
            Some(Value::Array(many)) => many.iter().map(credential).collect::<Result<_, _>>()?,
            Some(one) => vec![credential(one)?],
            None => Vec::new(),
        };
        check_contexts(document, &credentials)?;
        Ok(Self { holder, credentials })
    }

    /// Returns the id of the holder: an absolute URL, which verification requires to be a DID.
    #[must_use]
    pub fn holder(&self) -> &str {
        &self.holder
    }

    /// Returns the presented credentials, which are not verified.
    #[must_use]
    pub fn credentials(&self) -> &[Map<String, Value>] {
        &self.credentials
    }
}

/// Checks that each context of a presentation is that of VCDM 2.0, that of Data Integrity, or a context of one of its
/// credentials. Any other could give the members of the presentation a meaning that its reader does not expect. The
/// contexts of the credentials themselves are checked with the credentials.
///
/// # Errors
/// `context_unknown`
fn check_contexts(document: &Map<String, Value>, credentials: &[Map<String, Value>]) -> Result<(), Problem> {
    let contexts = |document: &Map<String, Value>, context: &Value| {
        document.get("@context").and_then(Value::as_array).is_some_and(|own| own.contains(context))
    };
    let known = |context: &Value| {
        context.is_string()
            && (context == CONTEXT_V2
                || context == CONTEXT_DATA_INTEGRITY
                || credentials.iter().any(|credential| contexts(credential, context)))
    };
    if document.get("@context").and_then(Value::as_array).is_some_and(|own| own.iter().all(known)) {
        return Ok(());
    }
    Err(Problem::new(Code::ContextUnknown, "the presentation has a context that is in none of its credentials"))
}

fn credential(value: &Value) -> Result<Map<String, Value>, Problem> {
    value
        .as_object()
        .cloned()
        .ok_or_else(|| Problem::new(Code::MalformedValue, "an entry of verifiableCredential is not an object"))
}

/// Creates a presentation of credentials that have Data Integrity proofs, and signs it with an eddsa-jcs-2022 proof
/// whose `challenge` is `nonce` and whose `domain` is `audience`. Returns JSON text. The credentials are not checked.
///
/// `holder` is the DID of the credentials' subject, and `method` the DID URL of its key.
///
/// # Errors
/// `proof_generation`, or those of the cryptosuite.
pub fn create_data_integrity_presentation(
    credentials: &[Value],
    holder: &str,
    method: &str,
    nonce: &str,
    audience: &str,
    now: Timestamp,
    signer: &dyn Signer,
) -> Result<String, Problem> {
    let Value::Object(document) = json!({
        "@context": [CONTEXT_V2],
        "type": [BASE_TYPE],
        "holder": holder,
        "verifiableCredential": credentials,
    }) else {
        return Err(Code::ProofGeneration.into());
    };
    let options = ProofOptions {
        verification_method: method,
        purpose: VerificationRelationship::Authentication,
        created: Some(now),
        expires: None,
        challenge: Some(nonce),
        domain: Some(audience),
    };
    let secured = add_proof(&document, &EddsaJcs2022, &options, signer)?;
    serde_json::to_string(&secured).map_err(|_| Code::ProofGeneration.into())
}
