//! Token Status List (draft-ietf-oauth-status-list-21) as a CWT (RFC 8392): the CBOR counterpart of [`token`].
//!
//! The token is a `COSE_Sign1` (RFC 9052), with or without tag 18. [`crate::json::Limits::STATUS_LIST`] limits its size, and
//! `crate::cbor` parses it strictly.

use coset::{
    CborSerializable as _, CoseSign1Builder, HeaderBuilder, ProtectedHeader, SignatureContext,
    TaggedCborSerializable as _,
    cbor::Value,
    iana::{self, CwtClaimName, HeaderParameter},
    sig_structure_data,
};

use super::{
    ListValidity, StatusList,
    list::CompressionFormat,
    token::{self, TokenClaims, TokenListParameters},
};
use crate::{
    Code, Problem, cbor,
    json::Limits,
    keys::{PublicKey, SignatureAlgorithm, Signer},
    time::Timestamp,
};

/// Media type, which is also the `typ` (section 5.2).
pub const MEDIA_TYPE: &str = "application/statuslist+cwt";

/// First byte of a tagged `COSE_Sign1`: tag 18 in CBOR.
const COSE_SIGN1_TAG_BYTE: u8 = 0xd2;

/// Labels in a header (RFC 9052 section 3.1, RFC 9596).
const ALG: i64 = HeaderParameter::Alg as i64;
const CRIT: i64 = HeaderParameter::Crit as i64;
const KID: i64 = HeaderParameter::Kid as i64;
const TYP: i64 = 16;
/// Labels that refer to a key by a certificate, for which Carnet has no trust anchor (RFC 9360).
const UNANCHORED: [i64; 4] = [
    HeaderParameter::X5Bag as i64,
    HeaderParameter::X5Chain as i64,
    HeaderParameter::X5T as i64,
    HeaderParameter::X5U as i64,
];

/// Claims (RFC 8392 section 3.1; section 5.2 of the draft).
const SUB: i64 = CwtClaimName::Sub as i64;
const EXP: i64 = CwtClaimName::Exp as i64;
const NBF: i64 = CwtClaimName::Nbf as i64;
const IAT: i64 = CwtClaimName::Iat as i64;
const STATUS_LIST: i64 = 65_533;
const TTL: i64 = 65_534;

/// Creates a signed status list token in CBOR.
///
/// # Errors
/// `proof_generation`; `algorithm_forbidden` for a P-384 key.
pub fn issue_cwt(list: &StatusList, published: &TokenListParameters, signer: &dyn Signer) -> Result<Vec<u8>, Problem> {
    issue_compressed(list.entry_bits(), &list.compress(CompressionFormat::Zlib)?, published, signer)
}

/// Creates a signed status list token from a compressed list with entries of `bits` bits.
pub(super) fn issue_compressed(
    bits: u8,
    lst: &[u8],
    published: &TokenListParameters,
    signer: &dyn Signer,
) -> Result<Vec<u8>, Problem> {
    let unwritten = |_| Problem::new(Code::ProofGeneration, "the token could not be written");
    let TokenListParameters { kid, uri, validity: freshness } = published;
    let list = vec![("bits".into(), bits.into()), ("lst".into(), Value::Bytes(lst.to_vec()))];
    // In the order of RFC 8949 section 4.2.1.
    let claims = [
        Some((SUB, uri.as_str().into())),
        freshness.expires_at.map(|until| (EXP, until.unix().into())),
        Some((IAT, freshness.issued_at.unix().into())),
        Some((STATUS_LIST, Value::Map(list))),
        freshness.ttl.map(|ttl| (TTL, ttl.into())),
    ];
    let claims = claims.into_iter().flatten().map(|(label, claim): (i64, Value)| (label.into(), claim)).collect();
    let algorithm = match signer.algorithm() {
        SignatureAlgorithm::EdDsa => iana::Algorithm::EdDSA,
        SignatureAlgorithm::Es256 => iana::Algorithm::ES256,
        SignatureAlgorithm::Es384 => return Err(Code::AlgorithmForbidden.into()),
    };
    let header = HeaderBuilder::new().algorithm(algorithm).key_id(kid.clone().into_bytes());
    CoseSign1Builder::new()
        .protected(header.value(TYP, MEDIA_TYPE.into()).build())
        .payload(Value::Map(claims).to_vec().map_err(unwritten)?)
        .try_create_signature(&[], |signed| signer.sign(signed))?
        .build()
        .to_tagged_vec()
        .map_err(unwritten)
}

/// Parsed status list token in CBOR. Its signature and claims are not verified.
#[derive(Clone)]
pub struct CwtStatusList {
    kid: String,
    algorithm: SignatureAlgorithm,
    /// Signing input (RFC 9052 section 4.4).
    signed: Vec<u8>,
    signature: Vec<u8>,
    claims: Map,
}

/// CBOR map in encoded order, without duplicate keys.
type Map = Vec<(Value, Value)>;

impl CwtStatusList {
    /// Returns whether the bytes begin like a `COSE_Sign1`, with or without its tag, and not like JSON or a JWT.
    #[must_use]
    pub fn is_cwt(bytes: &[u8]) -> bool {
        matches!(bytes, [COSE_SIGN1_TAG_BYTE, 0x84, ..] | [0x84, ..])
    }

    /// Parses a token, and checks its structure, `alg`, `typ` and that it has a `kid`.
    ///
    /// The unprotected header may contain only `kid`, as in the draft's examples: it merely selects one of the issuer's
    /// keys.
    ///
    /// # Errors
    /// `too_large`, `too_deep`, `duplicate_key`, `invalid_unicode`, `token_malformed`; `algorithm_forbidden`;
    /// `header_critical`; `token_type`; `header_key_unanchored` without a `kid`; `header_key_ambiguous` with two `kid`,
    /// or with a certificate.
    pub fn parse(bytes: &[u8]) -> Result<Self, Problem> {
        let bytes = bytes.strip_prefix(&[COSE_SIGN1_TAG_BYTE]).unwrap_or(bytes);
        let parts = match cbor::parse(bytes, Limits::STATUS_LIST)? {
            Value::Array(parts) => <[Value; 4]>::try_from(parts).ok(),
            _ => None,
        };
        let Some([Value::Bytes(protected), Value::Map(unprotected), Value::Bytes(payload), Value::Bytes(signature)]) =
            parts
        else {
            return Err(malformed("a token must have two headers, claims and a signature"));
        };
        let header = parse_map(&protected, Limits::SMALL)?;
        if map_value(&header, CRIT).is_some() || map_value(&unprotected, CRIT).is_some() {
            return Err(Code::HeaderCritical.into());
        }
        let kid = kid(&header, &unprotected)?;
        let algorithm = algorithm(&header)?;
        if map_value(&header, TYP).and_then(Value::as_text) != Some(MEDIA_TYPE) {
            return Err(Problem::new(Code::TokenType, format!("the token's typ is not {MEDIA_TYPE}")));
        }
        let claims = parse_map(&payload, Limits::STATUS_LIST)?;
        let protected = ProtectedHeader { original_data: Some(protected), ..ProtectedHeader::default() };
        let signed = sig_structure_data(SignatureContext::CoseSign1, protected, None, &[], &payload);
        Ok(Self { kid, algorithm, signed, signature, claims })
    }

    /// Returns the `kid`.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Verifies the token as the list at `uri`, as [`token::StatusListToken::verify`] does.
    ///
    /// # Errors
    /// Those of [`token::StatusListToken::verify`].
    pub fn verify(
        &self,
        key: &PublicKey,
        uri: &str,
        now: Timestamp,
        skew: i64,
    ) -> Result<(StatusList, ListValidity), Problem> {
        if key.algorithm() != self.algorithm {
            return Err(Code::AlgorithmMismatch.into());
        }
        key.verify(&self.signed, &self.signature)?;
        let date = |label, name: &str| {
            let malformed = || Problem::new(Code::MalformedValue, format!("{name} is not a number of seconds"));
            map_value(&self.claims, label).map(|value| numeric_date(value).ok_or_else(malformed)).transpose()
        };
        let claims = TokenClaims {
            sub: map_value(&self.claims, SUB).and_then(Value::as_text),
            iat: date(IAT, "iat")?,
            exp: date(EXP, "exp")?,
            nbf: date(NBF, "nbf")?,
            ttl: map_value(&self.claims, TTL).map(integer).map(Option::unwrap_or_default),
        };
        let freshness = claims.check_claims(uri, now, skew)?;
        let list = map_value(&self.claims, STATUS_LIST).ok_or_else(|| token::missing_claim("status_list"))?;
        Ok((parse_list(list)?, freshness))
    }
}

impl std::fmt::Debug for CwtStatusList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CwtStatusList")
            .field("kid", &self.kid)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// Parses a `StatusList` map: `bits`, and `lst` in ZLIB (section 4.3).
fn parse_list(value: &Value) -> Result<StatusList, Problem> {
    let members = value.as_map().map(Vec::as_slice).unwrap_or_default();
    let member = |name: &str| members.iter().find(|(key, _)| key.as_text() == Some(name)).map(|(_, value)| value);
    let bits = member("bits").and_then(integer).and_then(|bits| u64::try_from(bits).ok());
    token::decompress_list(bits, member("lst").and_then(Value::as_bytes).map(Vec::as_slice))
}

fn kid(protected: &Map, unprotected: &Map) -> Result<String, Problem> {
    let unanchored =
        UNANCHORED.iter().any(|label| map_value(protected, *label).or(map_value(unprotected, *label)).is_some());
    let kid = match (map_value(protected, KID), map_value(unprotected, KID), unanchored) {
        (Some(kid), None, false) | (None, Some(kid), false) => kid,
        (None, None, _) => return Err(Problem::new(Code::HeaderKeyUnanchored, "the list's token has no kid")),
        _ => return Err(Code::HeaderKeyAmbiguous.into()),
    };
    if unprotected.iter().any(|(label, _)| label.as_integer() != Some(KID.into())) {
        return Err(malformed("an unprotected header may have only a kid"));
    }
    let kid = kid.as_bytes().and_then(|kid| String::from_utf8(kid.clone()).ok());
    kid.ok_or_else(|| malformed("the kid is not UTF-8"))
}

fn algorithm(protected: &Map) -> Result<SignatureAlgorithm, Problem> {
    [(iana::Algorithm::EdDSA, SignatureAlgorithm::EdDsa), (iana::Algorithm::ES256, SignatureAlgorithm::Es256)]
        .into_iter()
        .find(|(alg, _)| map_value(protected, ALG).and_then(integer) == Some(*alg as i64))
        .map(|(_, algorithm)| algorithm)
        .ok_or_else(|| Code::AlgorithmForbidden.into())
}

fn parse_map(bytes: &[u8], limits: Limits) -> Result<Map, Problem> {
    cbor::parse(bytes, limits)?.into_map().map_err(|_| malformed("the header or the claims set is not a map"))
}

fn map_value(map: &[(Value, Value)], label: i64) -> Option<&Value> {
    map.iter().find(|(key, _)| key.as_integer() == Some(label.into())).map(|(_, value)| value)
}

/// Parses a NumericDate (RFC 8392 section 2): an integer or a float, without a tag.
fn numeric_date(value: &Value) -> Option<Timestamp> {
    let exact = integer(value).map(Timestamp::from_unix);
    exact.or_else(|| Timestamp::from_numeric_date(value.as_float()?))
}

fn integer(value: &Value) -> Option<i64> {
    value.as_integer().and_then(|number| number.try_into().ok())
}

fn malformed(what: &str) -> Problem {
    Problem::new(Code::TokenMalformed, what)
}

#[cfg(test)]
mod tests;
