//! VC-JOSE-COSE: credentials and presentations in a JWS or SD-JWT, issued and verified with any of its keys.
//!
//! A token is verified in two steps. [`EnvelopedToken::parse`] checks its header and claims; the caller then finds the key
//! that the issuer or holder has under the header's `kid`, and [`EnvelopedToken::verify`] checks the signature.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::{
    CONTEXT_V1, Environment,
    contents::check_contents,
    keys::{SigningKey, VerificationKey},
    malformed,
    model::{Form, Stage, credential_form, presentation_form},
    sd_jwt::{self, DisclosurePath},
    values::{has_type, values},
};
use crate::{
    Code, Problem, Rng,
    credential::id_of,
    json::{self, Limits},
    secure::jose::{CompactJws, numeric_date},
};

/// Claims of JWT, SD-JWT and key binding that are no members of the document.
const JWT_CLAIMS: [&str; 11] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "nonce", "cnf", "status", "_sd_alg"];

/// Form of an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enveloping {
    /// JWS: `vc+jwt` or `vp+jwt`.
    Jwt,
    /// SD-JWT: `vc+sd-jwt` or `vp+sd-jwt`.
    SdJwt,
}

/// Kind of the enveloped document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnvelopedKind {
    /// Credential.
    Credential,
    /// Presentation.
    Presentation,
}

impl EnvelopedKind {
    /// Returns the content type in `cty`: `vc` or `vp`.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Credential => "vc",
            Self::Presentation => "vp",
        }
    }

    /// Returns the `typ` of an envelope, which is also its media type under `application/`.
    #[must_use]
    pub const fn typ(self, enveloping: Enveloping) -> &'static str {
        match (self, enveloping) {
            (Self::Credential, Enveloping::Jwt) => "vc+jwt",
            (Self::Credential, Enveloping::SdJwt) => "vc+sd-jwt",
            (Self::Presentation, Enveloping::Jwt) => "vp+jwt",
            (Self::Presentation, Enveloping::SdJwt) => "vp+sd-jwt",
        }
    }

    /// Returns the member with the signer: `issuer` or `holder`.
    const fn signer_member(self) -> &'static str {
        match self {
            Self::Credential => "issuer",
            Self::Presentation => "holder",
        }
    }
}

/// Checks an unsecured document and secures it in an envelope. Its header has `typ`, `cty` and `kid`, and the payload is
/// the document; `iss` is added where `kid` is not a URL by which the key is found.
///
/// # Errors
/// Those of [`super::check_credential`], [`super::check_presentation`] and of the terms; `malformed_value`: the document
/// has a proof, or a presentation has a credential that is not enveloped; `proof_generation`.
pub fn issue_enveloped(
    document: &Map<String, Value>,
    (enveloping, disclosures): (Enveloping, &[DisclosurePath]),
    kid: Option<&str>,
    env: &Environment<'_>,
    key: &SigningKey<'_>,
    rng: Rng<'_>,
) -> Result<String, Problem> {
    check_enveloped_document(document)?;
    check_contents(document, env)?;
    sign_enveloped(document, (enveloping, disclosures), kid, key, rng)
}

/// Secures a document in an envelope as [`issue_enveloped`] does, without checking it.
///
/// # Errors
/// `malformed_value`: a disclosure path leads nowhere; `proof_generation`.
pub fn sign_enveloped(
    document: &Map<String, Value>,
    (enveloping, disclosures): (Enveloping, &[DisclosurePath]),
    kid: Option<&str>,
    key: &SigningKey<'_>,
    rng: Rng<'_>,
) -> Result<String, Problem> {
    let kind = kind_of(document);
    let mut payload = document.clone();
    if !kid.is_some_and(|kid| kid.contains(':'))
        && let Ok(signer) = id_of(document.get(kind.signer_member()), kind.signer_member())
    {
        payload.insert("iss".to_owned(), signer.into());
    }
    let mut shown = Vec::new();
    if enveloping == Enveloping::SdJwt {
        shown = sd_jwt::hide(&mut payload, disclosures, &mut *rng)?;
    }
    let mut header = Map::new();
    let mut set = |name: &str, value: &str| header.insert(name.to_owned(), value.into());
    set("alg", key.algorithm().as_str());
    set("typ", kind.typ(enveloping));
    set("cty", kind.content_type());
    if let Some(kid) = kid {
        set("kid", kid);
    }
    let part = |members: &Map<String, Value>| {
        let text = json::canonicalize_object(members)
            .map_err(|problem| Problem::new(Code::ProofGeneration, format!("the token: {}", problem.detail)))?;
        Ok::<_, Problem>(URL_SAFE_NO_PAD.encode(text))
    };
    let signed = format!("{}.{}", part(&header)?, part(&payload)?);
    let signature = URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes(), rng)?);
    let mut token = format!("{signed}.{signature}");
    if enveloping == Enveloping::SdJwt {
        token.push('~');
        for disclosure in shown {
            token.push_str(&disclosure);
            token.push('~');
        }
    }
    Ok(token)
}

fn kind_of(document: &Map<String, Value>) -> EnvelopedKind {
    if has_type(document, "VerifiablePresentation") { EnvelopedKind::Presentation } else { EnvelopedKind::Credential }
}

/// Checks a document that an envelope secures: its data model, without a proof of its own. The credentials of a
/// presentation are enveloped (VC-JOSE-COSE section 3.1.2).
pub(super) fn check_enveloped_document(document: &Map<String, Value>) -> Result<(), Problem> {
    let form = match kind_of(document) {
        EnvelopedKind::Credential => credential_form(document, Stage::Unsecured)?,
        EnvelopedKind::Presentation => {
            for credential in values(document, "verifiableCredential") {
                if !credential.as_object().is_some_and(|entry| has_type(entry, "EnvelopedVerifiableCredential")) {
                    return Err(malformed("a credential of an enveloped presentation is not enveloped"));
                }
            }
            presentation_form(document, Stage::Unsecured)?
        }
    };
    match form {
        Form::Plain(_) if document.contains_key("proof") => Err(malformed("an enveloped document has a proof")),
        Form::Plain(_) => Ok(()),
        Form::Enveloped(_) => Err(Code::UnknownFormat.into()),
    }
}

/// Token whose header and claims are checked, and whose signature is not verified.
pub struct EnvelopedToken {
    parts: CompactJws,
    kind: EnvelopedKind,
    document: Map<String, Value>,
    claims: Map<String, Value>,
}

impl std::fmt::Debug for EnvelopedToken {
    /// Shows only the kind: the payload has claims, which do not belong in logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EnvelopedToken").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl EnvelopedToken {
    /// Parses a compact JWS, or an SD-JWT without key binding, in which disclosures are put in their places.
    ///
    /// The document is the payload, without the claims of JWT. A token with the `typ` `JWT` is read as VCDM 1.1 section
    /// 6.3.1 has it: its document is in the claim `vc` or `vp`.
    ///
    /// # Errors
    /// `token_malformed`, `invalid_encoding`, those of [`json::parse`]; `algorithm_forbidden`: `alg` is not one of
    /// [`super::JoseAlgorithm`]; `header_critical`; `token_type`: `typ` or `cty` is another; `claim_forbidden`: a `vc` or
    /// `vp` claim; `issuer_mismatch`: `iss` is not the issuer or holder; `header_key_unanchored`: without `iss`, the
    /// `kid` is not a URL; those of the disclosures and of [`super::check_credential`] or [`super::check_presentation`].
    pub fn parse(token: &str) -> Result<Self, Problem> {
        let (jws, disclosures) = match token.split_once('~') {
            None => (token, None),
            Some((jws, rest)) => (jws, Some(rest)),
        };
        let parts = CompactJws::parse_within(jws, Limits::DOCUMENT)?;
        let header = parts.header();
        if !header.get("alg").and_then(Value::as_str).is_some_and(is_accepted) {
            return Err(Code::AlgorithmForbidden.into());
        }
        if header.contains_key("crit") || header.contains_key("b64") {
            return Err(Code::HeaderCritical.into());
        }
        let payload = match disclosures {
            None => parts.payload().clone(),
            Some(disclosures) => sd_jwt::show(parts.payload(), disclosures)?,
        };
        let typ = text_of(header, "typ");
        let (kind, mut document) = if disclosures.is_none() && typ.is_none_or(|typ| typ == "JWT") {
            legacy_document(&payload)?
        } else {
            let enveloping = if disclosures.is_some() { Enveloping::SdJwt } else { Enveloping::Jwt };
            (kind_of_typ(header, enveloping)?, payload.clone())
        };
        if document.contains_key("vc") || document.contains_key("vp") {
            return Err(Problem::new(Code::ClaimForbidden, "the token has a vc or vp claim"));
        }
        document.retain(|name, _| !JWT_CLAIMS.contains(&name.as_str()));
        check_enveloped_document(&document)?;
        if kind_of(&document) != kind {
            return Err(Problem::new(Code::TokenType, "the token's typ is that of another kind of document"));
        }
        let claims = payload.into_iter().filter(|(name, _)| JWT_CLAIMS.contains(&name.as_str())).collect();
        let parsed = Self { parts, kind, document, claims };
        parsed.check_signer()?;
        Ok(parsed)
    }

    /// Checks that `iss`, where there is one, is the issuer or holder; without it the `kid` is a URL.
    fn check_signer(&self) -> Result<(), Problem> {
        let member = self.kind.signer_member();
        let signer = self.document.get(member).map(|signer| id_of(Some(signer), member)).transpose()?;
        match (text_of(&self.claims, "iss"), signer) {
            (Some(iss), Some(signer)) if iss != signer => Err(Code::IssuerMismatch.into()),
            (None, Some(_)) if !self.kid().is_some_and(|kid| kid.contains(':')) => {
                Err(Problem::new(Code::HeaderKeyUnanchored, "without an iss, the kid is not a URL"))
            }
            _ if self.claims.contains_key("iss") && text_of(&self.claims, "iss").is_none() => {
                Err(Code::IssuerMismatch.into())
            }
            _ => Ok(()),
        }
    }

    /// Verifies the signature with a key that the caller trusts for this token.
    ///
    /// # Errors
    /// `algorithm_mismatch`, `signature_invalid`.
    pub fn verify(&self, key: &VerificationKey) -> Result<(), Problem> {
        // RFC 9864 names the algorithm of an Ed25519 key after its curve.
        let alg = match text_of(self.parts.header(), "alg") {
            Some("Ed25519") => Some("EdDSA"),
            other => other,
        };
        if alg != Some(key.algorithm().as_str()) {
            return Err(Code::AlgorithmMismatch.into());
        }
        key.verify(self.parts.signing_input(), self.parts.signature())
    }

    /// Checks `exp` and `nbf` at the time of the environment.
    ///
    /// # Errors
    /// `expired`, `not_yet_valid`, `malformed_value`.
    pub fn check_times(&self, env: &Environment<'_>) -> Result<(), Problem> {
        if numeric_date(&self.claims, "exp")?.is_some_and(|end| end.plus(env.skew) < env.now) {
            return Err(Code::Expired.into());
        }
        if numeric_date(&self.claims, "nbf")?.is_some_and(|start| start > env.now.plus(env.skew)) {
            return Err(Code::NotYetValid.into());
        }
        Ok(())
    }

    /// Returns the kind of the document.
    #[must_use]
    pub fn kind(&self) -> EnvelopedKind {
        self.kind
    }

    /// Returns the document, unverified.
    #[must_use]
    pub fn document(&self) -> &Map<String, Value> {
        &self.document
    }

    /// Returns the `typ` of the header.
    #[must_use]
    pub fn typ(&self) -> Option<&str> {
        text_of(self.parts.header(), "typ")
    }

    /// Returns the `kid` of the header.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        text_of(self.parts.header(), "kid")
    }

    /// Returns the claims of JWT, such as `iss`, `aud` and `nonce`, unverified.
    #[must_use]
    pub fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }
}

fn text_of<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    members.get(name).and_then(Value::as_str)
}

fn is_accepted(alg: &str) -> bool {
    matches!(alg, "EdDSA" | "Ed25519" | "ES256" | "ES384" | "ES512")
}

/// Returns the kind that the header's `typ` and `cty` state (VC-JOSE-COSE sections 3.1 and 3.2). `application/` may be
/// written or not (RFC 7515 section 4.1.9).
fn kind_of_typ(header: &Map<String, Value>, enveloping: Enveloping) -> Result<EnvelopedKind, Problem> {
    let wrong = |what: &str| Problem::new(Code::TokenType, format!("the token's {what} is not one of VC-JOSE-COSE"));
    let short = |name: &str| text_of(header, name).map(|text| text.strip_prefix("application/").unwrap_or(text));
    let typ = short("typ").ok_or_else(|| wrong("typ"))?;
    let kinds = [EnvelopedKind::Credential, EnvelopedKind::Presentation];
    let kind = kinds.into_iter().find(|kind| kind.typ(enveloping) == typ).ok_or_else(|| wrong("typ"))?;
    if header.contains_key("cty") && short("cty") != Some(kind.content_type()) {
        return Err(wrong("cty"));
    }
    Ok(kind)
}

/// Returns the document of a token in the form of VCDM 1.1 section 6.3.1: the claim `vc` or `vp`, with the members that
/// JWT claims stand for. A token of VC-JOSE-COSE, whose payload is the document itself, must say so in its `typ`.
fn legacy_document(payload: &Map<String, Value>) -> Result<(EnvelopedKind, Map<String, Value>), Problem> {
    let (kind, claim) = match (payload.get("vc"), payload.get("vp")) {
        (Some(Value::Object(credential)), None) => (EnvelopedKind::Credential, credential),
        (None, Some(Value::Object(presentation))) => (EnvelopedKind::Presentation, presentation),
        _ => return Err(Problem::new(Code::TokenType, "the token's typ is not one of VC-JOSE-COSE")),
    };
    let mut document = claim.clone();
    for (member, claim) in [(kind.signer_member(), "iss"), ("id", "jti")] {
        if let (false, Some(value)) = (document.contains_key(member), payload.get(claim)) {
            document.insert(member.to_owned(), value.clone());
        }
    }
    if kind == EnvelopedKind::Credential && is_version_1(&document) {
        for (member, claim) in [("issuanceDate", "nbf"), ("expirationDate", "exp")] {
            if let (false, Some(at)) = (document.contains_key(member), numeric_date(payload, claim)?) {
                document.insert(member.to_owned(), at.to_string().into());
            }
        }
    }
    if let (Some(Value::Object(subject)), Some(sub)) = (document.get_mut("credentialSubject"), payload.get("sub")) {
        subject.entry("id").or_insert_with(|| sub.clone());
    }
    Ok((kind, document))
}

fn is_version_1(document: &Map<String, Value>) -> bool {
    match document.get("@context") {
        Some(Value::Array(contexts)) => contexts.first().and_then(Value::as_str) == Some(CONTEXT_V1),
        context => context.and_then(Value::as_str) == Some(CONTEXT_V1),
    }
}
