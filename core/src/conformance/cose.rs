//! VC-JOSE-COSE section 3.3: credentials and presentations in a COSE_Sign1.

use coset::{
    CborSerializable as _, CoseSign1, CoseSign1Builder, HeaderBuilder, Label, RegisteredLabel,
    RegisteredLabelWithPrivate, TaggedCborSerializable as _, cbor::value::Value as Cbor, iana,
};
use serde_json::{Map, Value};

use super::{
    EnvelopedKind,
    jose::check_enveloped_document,
    keys::{SigningKey, VerificationKey},
    values::has_type,
};
use crate::{
    Code, Problem, Rng,
    json::{self, Limits},
    secure::jose::MAX_TOKEN_BYTES,
};

/// Label of the header `typ` (RFC 9596).
const TYP: i64 = 16;

/// Signs a document as the payload of a tagged COSE_Sign1, and returns its bytes. The document is not checked.
///
/// # Errors
/// `proof_generation`
pub fn sign_cose(
    document: &Map<String, Value>,
    kid: Option<&str>,
    key: &SigningKey<'_>,
    rng: Rng<'_>,
) -> Result<Vec<u8>, Problem> {
    let generation = || Problem::from(Code::ProofGeneration);
    let kind = kind_of(document);
    let algorithm = match key.algorithm().cose_id() {
        -8 => iana::Algorithm::EdDSA,
        -7 => iana::Algorithm::ES256,
        -35 => iana::Algorithm::ES384,
        _ => iana::Algorithm::ES512,
    };
    let mut header = HeaderBuilder::new()
        .algorithm(algorithm)
        .content_type(content_type(kind).to_owned())
        .value(TYP, Cbor::Text(format!("{}+cose", content_type(kind))));
    if let Some(kid) = kid {
        header = header.key_id(kid.as_bytes().to_vec());
    }
    let payload = json::canonicalize_object(document).map_err(|_| generation())?;
    CoseSign1Builder::new()
        .protected(header.build())
        .payload(payload)
        .try_create_signature(&[], |message| key.sign(message, rng))?
        .build()
        .to_tagged_vec()
        .map_err(|_| generation())
}

/// COSE_Sign1 whose header and document are checked, and whose signature is not verified.
pub struct CoseToken {
    sign1: CoseSign1,
    kind: EnvelopedKind,
    document: Map<String, Value>,
}

impl std::fmt::Debug for CoseToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CoseToken").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl CoseToken {
    /// Parses a COSE_Sign1, tagged or not, whose payload is a document.
    ///
    /// # Errors
    /// `token_malformed`, `too_large`, `header_critical`; `token_type`: the content type or `typ` is another; those of
    /// the document.
    pub fn parse(bytes: &[u8]) -> Result<Self, Problem> {
        if bytes.len() > MAX_TOKEN_BYTES {
            return Err(Code::TooLarge.into());
        }
        let malformed = || Problem::new(Code::TokenMalformed, "not a COSE_Sign1");
        let sign1 =
            CoseSign1::from_tagged_slice(bytes).or_else(|_| CoseSign1::from_slice(bytes)).map_err(|_| malformed())?;
        let header = &sign1.protected.header;
        if !header.crit.is_empty() {
            return Err(Code::HeaderCritical.into());
        }
        let kind = [EnvelopedKind::Credential, EnvelopedKind::Presentation]
            .into_iter()
            .find(|kind| header.content_type == Some(RegisteredLabel::Text(content_type(*kind).to_owned())));
        let kind = kind.ok_or_else(|| Problem::new(Code::TokenType, "the content type is not one of VC-JOSE-COSE"))?;
        let typ = header.rest.iter().find(|(label, _)| *label == Label::Int(TYP)).map(|(_, value)| value);
        if typ.is_some_and(|typ| *typ != Cbor::Text(format!("{}+cose", content_type(kind)))) {
            return Err(Problem::new(Code::TokenType, "the typ is not one of VC-JOSE-COSE"));
        }
        let payload = sign1.payload.as_deref().ok_or_else(malformed)?;
        let document = json::parse_object(payload, Limits::DOCUMENT)?;
        if document.contains_key("vc") || document.contains_key("vp") {
            return Err(Problem::new(Code::ClaimForbidden, "the token has a vc or vp claim"));
        }
        check_enveloped_document(&document)?;
        if kind_of(&document) != kind {
            return Err(Problem::new(Code::TokenType, "the content type is that of another kind of document"));
        }
        Ok(Self { sign1, kind, document })
    }

    /// Verifies the signature with a key that the caller trusts for this token.
    ///
    /// # Errors
    /// `algorithm_mismatch`, `signature_invalid`.
    pub fn verify(&self, key: &VerificationKey) -> Result<(), Problem> {
        let algorithm = match &self.sign1.protected.header.alg {
            Some(RegisteredLabelWithPrivate::Assigned(algorithm)) => coset::iana::EnumI64::to_i64(algorithm),
            _ => return Err(Code::AlgorithmForbidden.into()),
        };
        if algorithm != key.algorithm().cose_id() {
            return Err(Code::AlgorithmMismatch.into());
        }
        self.sign1.verify_signature(&[], |signature, message| key.verify(message, signature))
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

    /// Returns the `kid` of the protected header, if it is text.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        std::str::from_utf8(&self.sign1.protected.header.key_id).ok().filter(|kid| !kid.is_empty())
    }
}

fn content_type(kind: EnvelopedKind) -> &'static str {
    match kind {
        EnvelopedKind::Credential => "application/vc",
        EnvelopedKind::Presentation => "application/vp",
    }
}

fn kind_of(document: &Map<String, Value>) -> EnvelopedKind {
    if has_type(document, "VerifiablePresentation") { EnvelopedKind::Presentation } else { EnvelopedKind::Credential }
}
