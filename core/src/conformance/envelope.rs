//! Enveloped documents: the `data:` URL of an envelope, and its verification with the key of the issuer or holder.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Map, Value, json};

use super::{CoseToken, EnvelopedKind, EnvelopedToken, Environment, VerificationKey, VerificationOptions, malformed};
use crate::{
    Code, Problem,
    credential::{CONTEXT_V2, id_of},
    did::{DidUrl, VerificationRelationship, resolve_key},
};

/// Envelope that a `data:` URL contains.
enum Envelope {
    Jose(EnvelopedToken),
    Cose(CoseToken),
}

/// Document of a verified envelope.
pub(super) struct OpenedEnvelope {
    pub(super) kind: EnvelopedKind,
    pub(super) document: Map<String, Value>,
    pub(super) method: DidUrl,
}

/// Returns an enveloped credential or presentation (VCDM 2.0 sections 4.13.1 and 4.13.2) of a token of
/// [`super::sign_enveloped`], as a JSON object.
///
/// # Errors
/// Those of [`EnvelopedToken::parse`].
pub fn to_enveloped(token: &str) -> Result<Map<String, Value>, Problem> {
    let parsed = EnvelopedToken::parse(token)?;
    let typ = parsed.typ().unwrap_or_default();
    let name = match parsed.kind() {
        EnvelopedKind::Credential => "EnvelopedVerifiableCredential",
        EnvelopedKind::Presentation => "EnvelopedVerifiablePresentation",
    };
    let id = format!("data:application/{typ},{token}");
    let Value::Object(document) = json!({"@context": [CONTEXT_V2], "type": name, "id": id}) else {
        return Err(Code::ProofGeneration.into());
    };
    Ok(document)
}

/// Parses the `data:` URL of an envelope (RFC 2397) without verifying it.
fn parse(url: &str) -> Result<Envelope, Problem> {
    let (media_type, data) = url
        .strip_prefix("data:")
        .and_then(|rest| rest.split_once(','))
        .ok_or_else(|| malformed("the id of an enveloped document is not a data: URL"))?;
    let (media_type, base64) = match media_type.split_once(';') {
        None => (media_type, false),
        Some((media_type, parameter)) => (media_type, parameter == "base64"),
    };
    let subtype = media_type.strip_prefix("application/").unwrap_or_default();
    match subtype {
        "vc+cose" | "vp+cose" if base64 => {
            // With or without padding.
            let text = data.trim_end_matches('=');
            let bytes = base64::engine::general_purpose::STANDARD_NO_PAD.decode(text);
            let token = CoseToken::parse(&bytes.map_err(|_| Problem::from(Code::InvalidEncoding))?)?;
            if subtype.starts_with(token.kind().content_type()) { Ok(Envelope::Cose(token)) } else { Err(wrong_type()) }
        }
        "vc+jwt" | "vp+jwt" | "vc+sd-jwt" | "vp+sd-jwt" | "jwt" => {
            let decoded = if base64 {
                let bytes = STANDARD.decode(data).or_else(|_| URL_SAFE_NO_PAD.decode(data));
                let text = bytes.ok().and_then(|bytes| String::from_utf8(bytes).ok());
                Some(text.ok_or(Code::InvalidEncoding)?)
            } else {
                None
            };
            let token = EnvelopedToken::parse(decoded.as_deref().unwrap_or(data))?;
            let typ = token.typ().map(|typ| typ.strip_prefix("application/").unwrap_or(typ));
            let matches = match typ {
                // The form of VCDM 1.1.
                None | Some("JWT") => subtype == "jwt" || subtype.starts_with(token.kind().content_type()),
                Some(typ) => typ == subtype,
            };
            if matches { Ok(Envelope::Jose(token)) } else { Err(wrong_type()) }
        }
        _ => Err(wrong_type()),
    }
}

fn wrong_type() -> Problem {
    Problem::new(Code::TokenType, "the media type of the data: URL is not that of its content")
}

/// Opens an envelope: parses it and verifies its signature with the key that the issuer or holder has under the `kid`.
/// The document's own rules are checked; its terms, resources and status are left to the caller.
///
/// # Errors
/// Those of [`EnvelopedToken::parse`] and [`CoseToken::parse`]; `token_type`: the media type is not that of the content;
/// `header_key_unanchored`: the `kid` is no DID URL of the signer; those of the resolver; `signature_invalid`;
/// `challenge_mismatch` and `domain_mismatch`: `nonce` or `aud` is not the one in the options.
pub(super) fn open(
    url: &str,
    env: &Environment<'_>,
    options: &VerificationOptions<'_>,
) -> Result<OpenedEnvelope, Problem> {
    let envelope = parse(url)?;
    let (kind, document, kid, iss) = match &envelope {
        Envelope::Jose(token) => {
            (token.kind(), token.document(), token.kid(), token.claims().get("iss").and_then(Value::as_str))
        }
        Envelope::Cose(token) => (token.kind(), token.document(), token.kid(), None),
    };
    let purpose = match kind {
        EnvelopedKind::Credential => VerificationRelationship::AssertionMethod,
        EnvelopedKind::Presentation => VerificationRelationship::Authentication,
    };
    if options.expected_purpose.is_some_and(|expected| expected != purpose.as_str()) {
        return Err(Code::ProofPurpose.into());
    }
    let method = method_of(kid, iss)?;
    let member = if kind == EnvelopedKind::Credential { "issuer" } else { "holder" };
    let signer = document.get(member).map(|signer| id_of(Some(signer), member)).transpose()?;
    if signer.is_some_and(|signer| signer.starts_with("did:") && !is_of(&method, &signer)) {
        return Err(Problem::new(Code::MethodOfOther, format!("the key is not that of the {member}")));
    }
    let (method, key) = resolve_key(env.resolver, &method, purpose)?;
    let key = VerificationKey::Core(key);
    match &envelope {
        Envelope::Jose(token) => {
            token.verify(&key)?;
            check_binding(token.claims(), options)?;
            if options.check_validity {
                token.check_times(env)?;
            }
        }
        Envelope::Cose(token) => token.verify(&key)?,
    }
    let document = document.clone();
    Ok(OpenedEnvelope { kind, document, method })
}

fn is_of(method: &str, did: &str) -> bool {
    method.strip_prefix(did).is_some_and(|rest| rest.starts_with('#'))
}

/// Returns the DID URL of the key: the `kid`, which may be relative to `iss`.
fn method_of(kid: Option<&str>, iss: Option<&str>) -> Result<String, Problem> {
    let unanchored = || Problem::new(Code::HeaderKeyUnanchored, "the kid is not a DID URL, nor one relative to iss");
    let kid = kid.ok_or_else(unanchored)?;
    match iss {
        _ if kid.starts_with("did:") && kid.contains('#') => Ok(kid.to_owned()),
        Some(iss) if iss.starts_with("did:") && kid.starts_with('#') => Ok(format!("{iss}{kid}")),
        _ => Err(unanchored()),
    }
}

/// Compares `nonce` and `aud` with the challenge and the domain of the options.
fn check_binding(claims: &Map<String, Value>, options: &VerificationOptions<'_>) -> Result<(), Problem> {
    let compare = |name: &str, expected: Option<&str>, missing: Code, mismatch: Code| match (expected, claims.get(name))
    {
        (None, _) => Ok(()),
        (Some(_), None) => Err(Problem::from(missing)),
        (Some(expected), Some(Value::Array(several))) if several.iter().any(|one| one == expected) => Ok(()),
        (Some(expected), Some(one)) if one == expected => Ok(()),
        _ => Err(mismatch.into()),
    };
    compare("nonce", options.challenge, Code::ChallengeMissing, Code::ChallengeMismatch)?;
    compare("aud", options.domain, Code::DomainMissing, Code::DomainMismatch)
}
