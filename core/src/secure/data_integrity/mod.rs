//! Data Integrity 1.0: embedded proofs, and the cryptosuites that use JCS.

use serde_json::{Map, Value};

use crate::{
    Code, Problem,
    did::{DidUrl, Resolve, VerificationRelationship},
    format::CredentialFormat,
    json::{self, Limits},
    keys::{PublicKey, SignatureAlgorithm, Signer},
    text::quoted,
    time::Timestamp,
};

pub mod ecdsa_jcs;
pub mod eddsa_jcs;
mod jcs;
mod proof_value;
mod suites;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;

/// Accepted `type` of a proof (section 2.2 of the cryptosuites' specifications).
const PROOF_TYPE: &str = "DataIntegrityProof";
/// Maximum number of proofs of a document; it limits the work that a document can cause.
const MAX_PROOFS: usize = 16;

/// Permitted members of a proof (section 2.1, and `@context` of eddsa-jcs-2022 section 3.3). Any other member would be
/// signed and then ignored.
const PROOF_MEMBERS: [&str; 13] = [
    "@context",
    "id",
    "type",
    "proofPurpose",
    "verificationMethod",
    "cryptosuite",
    "created",
    "expires",
    "domain",
    "challenge",
    "proofValue",
    "previousProof",
    "nonce",
];

pub use proof_value::{decode_proof_value, encode_proof_value};
pub use suites::Cryptosuites;

/// Requirements on proofs, each of which may be absent. [`verify`] sets all that its caller must not leave out.
#[derive(Clone, Copy)]
pub(crate) struct ProofPolicy<'a> {
    /// Accepted values of `proofPurpose`.
    pub(crate) purposes: &'a [VerificationRelationship],
    /// Required controller of every key; `None`: any.
    pub(crate) controller: Option<&'a str>,
    /// Required `challenge`; `None`: not compared.
    pub(crate) challenge: Option<&'a str>,
    /// Required `domain`; `None`: not compared.
    pub(crate) domain: Option<&'a str>,
    /// Accepts proofs from before Data Integrity 1.0, whose `type` is the name of a registered suite, such as
    /// `Ed25519Signature2020`.
    pub(crate) typed_suites: bool,
    /// Time of verification.
    pub(crate) now: Timestamp,
    /// Tolerated clock skew, in seconds.
    pub(crate) skew: i64,
}

/// Document whose proofs were all verified, without them, and the verification methods of the proofs in document order.
pub(crate) struct VerifiedProofs {
    /// Document without `proof`.
    pub(crate) document: Map<String, Value>,
    /// Verification method of each proof.
    #[cfg_attr(not(feature = "conformance"), allow(dead_code, reason = "the product knows the controller in advance"))]
    pub(crate) methods: Vec<DidUrl>,
}

fn malformed(what: impl Into<String>) -> Problem {
    Problem::new(Code::ProofMalformed, what)
}

/// Cryptosuite: creates and verifies proofs with one `cryptosuite` value. [`Cryptosuites::jcs`] has those of this crate;
/// other crates implement those that canonicalise RDF.
pub trait Cryptosuite: Send + Sync {
    /// Returns the `cryptosuite` value.
    fn name(&self) -> &'static str;

    /// Returns the format of the credentials that it secures.
    fn format(&self) -> CredentialFormat;

    /// Returns whether its proofs can be created and verified with keys of this algorithm.
    fn supports_algorithm(&self, algorithm: SignatureAlgorithm) -> bool;

    /// Adds the members that this suite requires to the proof options, such as `@context`; none by default.
    fn complete_options(&self, _document: &Map<String, Value>, options: Map<String, Value>) -> Map<String, Value> {
        options
    }

    /// Creates the proof of an unsecured document from the proof options, which must not have a `proofValue`; the suite
    /// may add `@context`. In a proof chain, the `proof` of the document contains the earlier proofs that this one
    /// refers to.
    ///
    /// # Errors
    /// `proof_generation`, `algorithm_mismatch`, `transformation`, `term_undefined`, `context_unknown`.
    fn create_proof(
        &self,
        document: &Map<String, Value>,
        options: Map<String, Value>,
        signer: &dyn Signer,
    ) -> Result<Map<String, Value>, Problem>;

    /// Verifies one proof of the unsecured document (in a chain, as in [`Self::create_proof`]), and returns the verified
    /// document.
    ///
    /// # Errors
    /// `proof_malformed`, `proof_context`, `signature_invalid`, `transformation`, `term_undefined`, `context_unknown`,
    /// `algorithm_mismatch`.
    fn verify_proof(
        &self,
        document: &Map<String, Value>,
        proof: &Map<String, Value>,
        key: &PublicKey,
    ) -> Result<Map<String, Value>, Problem>;
}

/// Options of a new proof (Data Integrity 1.0 section 2.1).
#[derive(Debug, Clone)]
pub struct ProofOptions<'a> {
    /// DID URL of the signing key.
    pub verification_method: &'a str,
    /// `proofPurpose`: `assertionMethod` or `authentication`.
    pub purpose: VerificationRelationship,
    /// `created`; `None`: omitted.
    pub created: Option<Timestamp>,
    /// `expires`; `None`: omitted.
    pub expires: Option<Timestamp>,
    /// `challenge`; `None`: omitted.
    pub challenge: Option<&'a str>,
    /// `domain`; `None`: omitted.
    pub domain: Option<&'a str>,
}

/// Requirements on the proofs of a document.
#[derive(Clone, Copy)]
pub struct ProofRequirements<'a> {
    /// Required `proofPurpose` of every proof.
    pub purpose: VerificationRelationship,
    /// Required controller of the key: DID of the issuer or the holder.
    pub controller: &'a str,
    /// Required `challenge` and `domain`, in this order, for presentations; `None` for credentials.
    pub binding: Option<(&'a str, &'a str)>,
    /// Time of verification.
    pub now: Timestamp,
    /// Tolerated clock skew, in seconds.
    pub skew: i64,
}

/// Adds a proof to a document. With the proofs that it already has, it forms a proof set.
///
/// # Errors
/// `proof_generation`, `malformed_value` (its `proof` is neither an object nor an array), and those of the suite.
///
/// # Examples
/// ```
/// use carnet_core::{
///     did::{Did, VerificationRelationship, SelfContainedResolver},
///     keys::{SignatureAlgorithm, SecretKey, Signer},
///     secure::data_integrity::{ProofRequirements, ProofOptions, Cryptosuites, eddsa_jcs::EddsaJcs2022, add_proof, verify},
///     time::Timestamp,
/// };
/// use serde_json::json;
///
/// let secret = SecretKey::from_bytes(SignatureAlgorithm::EdDsa, &[7; 32])?;
/// let issuer = Did::did_key(&secret.public_key());
/// let method = format!("{issuer}#{}", issuer.method_specific_id());
/// let now = Timestamp::parse("2026-11-18T09:30:00Z")?;
/// let document = json!({"issuer": issuer.as_str(), "name": "Status list 1"});
/// let options = ProofOptions {
///     verification_method: &method,
///     purpose: VerificationRelationship::AssertionMethod,
///     created: Some(now),
///     expires: None,
///     challenge: None,
///     domain: None,
/// };
/// let secured = add_proof(document.as_object().unwrap(), &EddsaJcs2022, &options, &secret)?;
///
/// let expected =
///     ProofRequirements {
///         purpose: VerificationRelationship::AssertionMethod,
///         controller: issuer.as_str(),
///         binding: None,
///         now,
///         skew: 60,
///     };
/// assert_eq!(verify(&secured, &Cryptosuites::jcs(), &SelfContainedResolver, &expected)?, *document.as_object().unwrap());
/// # Ok::<(), carnet_core::Problem>(())
/// ```
pub fn add_proof(
    document: &Map<String, Value>,
    suite: &dyn Cryptosuite,
    options: &ProofOptions<'_>,
    signer: &dyn Signer,
) -> Result<Map<String, Value>, Problem> {
    let mut secured = document.clone();
    let earlier = secured.remove("proof");
    let proof = Value::Object(suite.create_proof(&secured, options_to_json(suite, options)?, signer)?);
    let proofs = match earlier {
        None => proof,
        Some(Value::Array(mut earlier)) => {
            earlier.push(proof);
            Value::Array(earlier)
        }
        Some(one @ Value::Object(_)) => Value::Array(vec![one, proof]),
        Some(_) => return Err(Problem::new(Code::MalformedValue, "proof is neither an object nor an array")),
    };
    secured.insert("proof".to_owned(), proofs);
    Ok(secured)
}

/// Serialises a secured document canonically (RFC 8785), so that spacing or order cannot identify a copy.
///
/// # Errors
/// `proof_generation` if it cannot be serialised.
pub fn to_canonical_text(secured: &Map<String, Value>) -> Result<String, Problem> {
    let written = json::canonicalize_object(secured)
        .map_err(|problem| Problem::new(Code::ProofGeneration, format!("the document: {}", problem.detail)))?;
    String::from_utf8(written).map_err(|_| Problem::new(Code::ProofGeneration, "the document is not UTF-8"))
}

/// Checks that the text of a secured document equals, except for its `proofValue`, the result of [`add_proof`] and
/// [`to_canonical_text`] for `unsecured`, with the cryptosuite of its proof. The proof itself is not verified.
///
/// # Errors
/// `copy_marked` if it differs; `cryptosuite_unknown`; those of [`json::parse_object`] and [`add_proof`].
pub fn check_rendering(
    text: &str,
    unsecured: &Map<String, Value>,
    suites: &Cryptosuites,
    options: &ProofOptions<'_>,
) -> Result<(), Problem> {
    let secured = json::parse_object(text.as_bytes(), Limits::DOCUMENT)?;
    let name = secured.get("proof").and_then(|proof| proof.get("cryptosuite")).and_then(Value::as_str);
    let suite = suites.by_name(name.unwrap_or_default())?;
    let mut proof = suite.complete_options(unsecured, options_to_json(suite, options)?);
    let value = secured.get("proof").and_then(|proof| proof.get("proofValue")).cloned();
    proof.insert("proofValue".to_owned(), value.unwrap_or_default());
    let mut expected = unsecured.clone();
    expected.insert("proof".to_owned(), Value::Object(proof));
    if to_canonical_text(&expected)? == text {
        return Ok(());
    }
    let part = match secured.iter().find(|(name, value)| expected.get(*name) != Some(value)) {
        Some((name, _)) => name.as_str(),
        None => "text",
    };
    Err(Problem::new(Code::CopyMarked, format!("the copy's {part} differs from that of this type's copies")))
}

/// Returns the JSON members of the proof options, before the suite completes them.
pub(crate) fn options_to_json(
    suite: &dyn Cryptosuite,
    options: &ProofOptions<'_>,
) -> Result<Map<String, Value>, Problem> {
    let method = DidUrl::parse(options.verification_method)
        .map_err(|problem| Problem::new(Code::ProofGeneration, problem.detail))?;
    let mut config: Map<String, Value> = Map::new();
    let mut set = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            config.insert(name.to_owned(), Value::String(value));
        }
    };
    set("type", Some(PROOF_TYPE.to_owned()));
    set("cryptosuite", Some(suite.name().to_owned()));
    set("created", options.created.map(|at| at.to_string()));
    set("expires", options.expires.map(|at| at.to_string()));
    set("verificationMethod", Some(method.to_string()));
    set("proofPurpose", Some(options.purpose.as_str().to_owned()));
    set("challenge", options.challenge.map(str::to_owned));
    set("domain", options.domain.map(str::to_owned));
    Ok(config)
}

/// Verifies every proof of a document (a set or a chain, Data Integrity 1.0 section 4.5), and returns the document
/// without proofs. A document without proofs, or with an invalid one, is refused.
///
/// Stricter than the Recommendation: contexts that were appended after signing are refused and not removed, so that the
/// result is exactly what was signed.
///
/// # Errors
/// `proof_missing`, `proof_malformed`, `proof_purpose`, `proof_expired`, `proof_chain`, `proof_context`,
/// `cryptosuite_unknown`, `date_malformed`, `not_yet_valid` (created in the future), `did_*`, `method_*`, `key_*`,
/// `challenge_*`, `domain_*`, `signature_invalid`, and those of the suite.
pub fn verify(
    document: &Map<String, Value>,
    suites: &Cryptosuites,
    resolver: &dyn Resolve,
    expected: &ProofRequirements<'_>,
) -> Result<Map<String, Value>, Problem> {
    let policy = ProofPolicy {
        purposes: &[expected.purpose],
        controller: Some(expected.controller),
        challenge: expected.binding.map(|(challenge, _)| challenge),
        domain: expected.binding.map(|(_, domain)| domain),
        typed_suites: false,
        now: expected.now,
        skew: expected.skew,
    };
    verify_under(document, suites, resolver, &policy).map(|verified| verified.document)
}

/// Verifies every proof of a document as [`verify`] does, with the requirements that the policy states.
///
/// # Errors
/// Those of [`verify`].
pub(crate) fn verify_under(
    document: &Map<String, Value>,
    suites: &Cryptosuites,
    resolver: &dyn Resolve,
    expected: &ProofPolicy<'_>,
) -> Result<VerifiedProofs, Problem> {
    let mut unsecured = document.clone();
    let secured = unsecured.remove("proof").ok_or(Code::ProofMissing)?;
    let proofs = proofs(&secured)?;
    let mut methods = Vec::with_capacity(proofs.len());
    for proof in &proofs {
        let (suite, purpose) = check_proof(proof, suites, expected)?;
        let url = verification_method(proof, expected)?;
        let controller = resolver.resolve(url.did())?;
        let key = controller.current_key_for(&url, purpose, expected.now, expected.skew)?;
        let retired = controller.retired_at(&url).map(|at| at.plus(expected.skew));
        if retired.zip(time(proof, "created")?).is_some_and(|(retired, created)| created > retired) {
            return Err(Problem::new(
                Code::KeyInvalid,
                "the verification method was retired before the proof was made",
            ));
        }
        let earlier = previous_proofs(proof, &proofs)?;
        let input = if earlier.is_empty() {
            suite.verify_proof(&unsecured, proof, &key)?
        } else {
            let mut chained = unsecured.clone();
            chained.insert("proof".to_owned(), Value::Array(earlier));
            let mut verified = suite.verify_proof(&chained, proof, &key)?;
            verified.remove("proof");
            verified
        };
        if input.get("@context") != unsecured.get("@context") {
            return Err(Code::ProofContext.into());
        }
        if input != unsecured {
            return Err(Problem::new(Code::Transformation, "the cryptosuite verified another document"));
        }
        methods.push(url);
    }
    Ok(VerifiedProofs { document: unsecured, methods })
}

fn proofs(secured: &Value) -> Result<Vec<&Map<String, Value>>, Problem> {
    let entries: Vec<&Value> = match secured {
        Value::Array(entries) => entries.iter().collect(),
        one => vec![one],
    };
    if entries.is_empty() {
        return Err(Code::ProofMissing.into());
    }
    if entries.len() > MAX_PROOFS {
        return Err(malformed(format!("there are more than {MAX_PROOFS} proofs")));
    }
    let proofs: Vec<&Map<String, Value>> = entries
        .into_iter()
        .map(|entry| entry.as_object().ok_or_else(|| malformed("a proof is not an object")))
        .collect::<Result<_, _>>()?;
    for (at, proof) in proofs.iter().enumerate() {
        let id = text(proof, "id")?;
        if id.is_some() && proofs.iter().take(at).any(|other| other.get("id").and_then(Value::as_str) == id) {
            return Err(malformed("two proofs have the same id"));
        }
    }
    Ok(proofs)
}

fn text<'a>(proof: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, Problem> {
    match proof.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(malformed(format!("the proof's {name} is not a string"))),
    }
}

fn required<'a>(proof: &'a Map<String, Value>, name: &str) -> Result<&'a str, Problem> {
    text(proof, name)?.ok_or_else(|| malformed(format!("the proof has no {name}")))
}

/// Checks the members of a proof that can be checked without the key, and returns its cryptosuite and its purpose.
fn check_proof<'s>(
    proof: &Map<String, Value>,
    suites: &'s Cryptosuites,
    expected: &ProofPolicy<'_>,
) -> Result<(&'s dyn Cryptosuite, VerificationRelationship), Problem> {
    let kind = required(proof, "type")?;
    let is_typed_suite = expected.typed_suites && !proof.contains_key("cryptosuite") && suites.by_name(kind).is_ok();
    if kind != PROOF_TYPE && !is_typed_suite {
        return Err(malformed("the proof's type is not DataIntegrityProof"));
    }
    if let Some(unknown) = proof.keys().find(|name| !PROOF_MEMBERS.contains(&name.as_str())) {
        return Err(malformed(format!("a proof must not have the member {}", quoted(unknown))));
    }
    let suite = suites.by_name(if is_typed_suite { kind } else { required(proof, "cryptosuite")? })?;
    required(proof, "proofValue")?;
    let purpose = required(proof, "proofPurpose")?;
    let accepted = expected.purposes.iter().find(|accepted| accepted.as_str() == purpose);
    let purpose = *accepted.ok_or(Code::ProofPurpose)?;
    if time(proof, "created")?.is_some_and(|created| created > expected.now.plus(expected.skew)) {
        return Err(Problem::new(Code::NotYetValid, "the proof was made in the future"));
    }
    if time(proof, "expires")?.is_some_and(|end| end.plus(expected.skew) <= expected.now) {
        return Err(Code::ProofExpired.into());
    }
    if let Some(challenge) = expected.challenge
        && text(proof, "challenge")?.ok_or(Code::ChallengeMissing)? != challenge
    {
        return Err(Code::ChallengeMismatch.into());
    }
    if let Some(domain) = expected.domain {
        check_domain(proof.get("domain"), domain)?;
    }
    Ok((suite, purpose))
}

fn time(proof: &Map<String, Value>, name: &str) -> Result<Option<Timestamp>, Problem> {
    text(proof, name)?
        .map(|text| {
            Timestamp::parse(text)
                .map_err(|problem| Problem::new(problem.code, format!("the proof's {name}: {}", problem.detail)))
        })
        .transpose()
}

/// Checks that the proof's set of domains is exactly the expected one (section 4.4).
fn check_domain(domain: Option<&Value>, expected: &str) -> Result<(), Problem> {
    let domains = match domain {
        None => return Err(Code::DomainMissing.into()),
        Some(Value::Array(domains)) if domains.is_empty() => return Err(Code::DomainMissing.into()),
        Some(Value::Array(domains)) => domains.as_slice(),
        Some(one) => std::slice::from_ref(one),
    };
    if !domains.iter().all(Value::is_string) {
        return Err(malformed("the proof's domain is neither a string nor an array of strings"));
    }
    if domains.iter().all(|domain| domain.as_str() == Some(expected)) {
        Ok(())
    } else {
        Err(Code::DomainMismatch.into())
    }
}

/// Returns the proof's verification method, which must belong to the expected controller.
fn verification_method(proof: &Map<String, Value>, expected: &ProofPolicy<'_>) -> Result<DidUrl, Problem> {
    let url = DidUrl::parse(required(proof, "verificationMethod")?)?;
    match expected.controller {
        Some(controller) if url.did().as_str() != controller => Err(Code::MethodOfOther.into()),
        _ => Ok(url),
    }
}

/// Returns the proofs that `previousProof` refers to, in the document's order (section 4.3 step 4). They are verified
/// like all others, so that a chain is valid only as a whole.
fn previous_proofs(proof: &Map<String, Value>, proofs: &[&Map<String, Value>]) -> Result<Vec<Value>, Problem> {
    let wanted: Vec<&str> = match proof.get("previousProof") {
        None => return Ok(Vec::new()),
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) if !many.is_empty() => many
            .iter()
            .map(|id| id.as_str().ok_or_else(|| malformed("previousProof has an entry that is not a string")))
            .collect::<Result<_, _>>()?,
        Some(_) => return Err(malformed("previousProof is neither a string nor an array of strings")),
    };
    let id = |proof: &Map<String, Value>| proof.get("id").and_then(Value::as_str).map(str::to_owned);
    let own = id(proof);
    for name in &wanted {
        if own.as_deref() == Some(*name) || !proofs.iter().any(|proof| id(proof).as_deref() == Some(*name)) {
            return Err(Code::ProofChain.into());
        }
    }
    Ok(proofs
        .iter()
        .filter(|proof| id(proof).is_some_and(|id| wanted.contains(&id.as_str())))
        .map(|proof| Value::Object((*proof).clone()))
        .collect())
}
