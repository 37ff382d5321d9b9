//! Token Status List (draft-ietf-oauth-status-list-21) as a JWT.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

use super::{BitOrder, ListValidity, StatusList, list::CompressionFormat};
use crate::{
    Code, Problem,
    json::{self, Limits},
    keys::{PublicKey, Signer},
    secure::jose::{self, Jws, KeyRef, numeric_date},
    time::Timestamp,
};

/// `typ` of a status list token (section 5.1).
pub const TYP: &str = "statuslist+jwt";
/// Media type of a status list token, for HTTP (section 8.1).
pub const MEDIA_TYPE: &str = "application/statuslist+jwt";

/// Status value of a valid credential (section 7.1).
pub const VALID: u8 = 0;
/// Status value of a permanently revoked credential.
pub const INVALID: u8 = 1;
/// Status value of a temporarily suspended credential.
pub const SUSPENDED: u8 = 2;

/// Reference to the status of a credential: `status.status_list` of the referenced token (section 6.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenStatusReference {
    /// URI of the list.
    pub uri: String,
    /// Index in the list.
    pub index: u64,
}

impl TokenStatusReference {
    /// Parses the `status` claim.
    ///
    /// # Errors
    /// `status_unsupported` if it has no `status_list`, or another mechanism in addition; `status_index` if the index
    /// is not a non-negative integer; `malformed_value` for another structure.
    pub fn parse(status: &Value) -> Result<Self, Problem> {
        let members =
            status.as_object().ok_or_else(|| Problem::new(Code::MalformedValue, "status is not an object"))?;
        let reference = members.get("status_list").ok_or(Code::StatusUnsupported)?;
        if members.len() > 1 {
            // The other mechanism could revoke the credential.
            let what = "status has an unsupported mechanism besides status_list";
            return Err(Problem::new(Code::StatusUnsupported, what));
        }
        let uri = reference.get("uri").and_then(Value::as_str).filter(|uri| !uri.is_empty());
        let uri = uri.ok_or_else(|| Problem::new(Code::MalformedValue, "status_list has no uri"))?;
        let index = reference.get("idx").and_then(json::as_unsigned_integer).ok_or(Code::StatusIndex)?;
        Ok(Self { uri: uri.to_owned(), index })
    }

    /// Returns the `status` claim.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({"status_list": {"idx": self.index, "uri": self.uri}})
    }
}

/// Decodes the `status_list` member: `bits`, and `lst`, the base64url of ZLIB data (section 4.2).
///
/// # Errors
/// `status_list_invalid`, `invalid_encoding`
pub fn parse_list(value: &Value) -> Result<StatusList, Problem> {
    let packed =
        value.get("lst").and_then(Value::as_str).map(|packed| jose::decode_base64url(packed, "lst")).transpose()?;
    decompress_list(value.get("bits").and_then(json::as_unsigned_integer), packed.as_deref())
}

/// Decompresses the list from the `bits` and `lst` of its token.
pub(super) fn decompress_list(bits: Option<u64>, lst: Option<&[u8]>) -> Result<StatusList, Problem> {
    let malformed = |what: &str| Problem::new(Code::StatusListInvalid, format!("status_list has no {what}"));
    let bits = bits.and_then(|bits| u8::try_from(bits).ok()).ok_or_else(|| malformed("bits"))?;
    let packed = lst.ok_or_else(|| malformed("lst"))?;
    StatusList::decompress(packed, CompressionFormat::Zlib, bits, BitOrder::LeastSignificantFirst)
}

/// Encodes a list as the `status_list` member: `bits`, and `lst`, the base64url of ZLIB data.
///
/// # Errors
/// `proof_generation` if it cannot be compressed.
pub fn list_to_json(list: &StatusList) -> Result<Value, Problem> {
    Ok(json!({"bits": list.entry_bits(), "lst": URL_SAFE_NO_PAD.encode(list.compress(CompressionFormat::Zlib)?)}))
}

/// Content of a status list token besides the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenListParameters {
    /// DID URL of the issuer's key.
    pub kid: String,
    /// URI of the list.
    pub uri: String,
    /// Time of issue, expiry and time to live.
    pub validity: ListValidity,
}

/// Time to live of a token that states neither a time to live nor an expiry, in seconds.
const DEFAULT_TTL: i64 = 300;

/// Creates a signed status list token (JWT).
///
/// # Errors
/// `algorithm_forbidden` for a P-384 key; `proof_generation`.
pub fn issue_token(list: &StatusList, published: &TokenListParameters, signer: &dyn Signer) -> Result<String, Problem> {
    let lst = URL_SAFE_NO_PAD.encode(list.compress(CompressionFormat::Zlib)?);
    issue_compressed(list.entry_bits(), &lst, published, signer)
}

/// Creates a signed status list token from a compressed list in base64url, with entries of `bits` bits.
pub(super) fn issue_compressed(
    bits: u8,
    lst: &str,
    published: &TokenListParameters,
    signer: &dyn Signer,
) -> Result<String, Problem> {
    let header =
        Map::from_iter([("typ".to_owned(), Value::from(TYP)), ("kid".to_owned(), Value::from(published.kid.as_str()))]);
    let mut payload = Map::from_iter([
        ("sub".to_owned(), Value::from(published.uri.as_str())),
        ("iat".to_owned(), published.validity.issued_at.unix().into()),
        ("status_list".to_owned(), json!({"bits": bits, "lst": lst})),
    ]);
    if let Some(until) = published.validity.expires_at {
        payload.insert("exp".to_owned(), until.unix().into());
    }
    if let Some(ttl) = published.validity.ttl {
        payload.insert("ttl".to_owned(), ttl.into());
    }
    jose::sign(header, &payload, signer)
}

/// Parsed status list token. Its signature and claims are not verified.
#[derive(Debug, Clone)]
pub struct StatusListToken(Jws);

impl StatusListToken {
    /// Parses a token, and checks its structure, `typ` and that it has a `kid`.
    ///
    /// # Errors
    /// Those of [`Jws::parse`]; `token_type`; `header_key_unanchored` without a `kid`.
    pub fn parse(compact: &str) -> Result<Self, Problem> {
        let jws = Jws::parse_within(compact, Limits::STATUS_LIST)?;
        jws.require_typ(TYP)?;
        if !matches!(jws.key_ref(), KeyRef::Kid(_)) {
            return Err(Problem::new(Code::HeaderKeyUnanchored, "the list's token has no kid"));
        }
        Ok(Self(jws))
    }

    /// Returns the `kid`.
    #[must_use]
    pub fn kid(&self) -> &str {
        match self.0.key_ref() {
            KeyRef::Kid(kid) => kid,
            _ => "",
        }
    }

    /// Verifies the token as the list at `uri`: signature, `sub`, `iat`, `nbf`, `exp`. Returns the list and its
    /// validity, which the caller must check at each later use ([`ListValidity::require_usable`]).
    ///
    /// # Errors
    /// `signature_invalid`, `algorithm_mismatch`; `status_list_mismatch` (`sub` is another URI); `status_list_stale`
    /// (before `nbf`, or as [`ListValidity::require_usable`] has it); `claim_missing` (no `iat` or `status_list`, or an invalid
    /// `ttl`); `malformed_value` (a malformed time); those of [`parse_list`].
    pub fn verify(
        &self,
        key: &PublicKey,
        uri: &str,
        now: Timestamp,
        skew: i64,
    ) -> Result<(StatusList, ListValidity), Problem> {
        self.0.verify(key)?;
        let payload = self.0.payload();
        let claims = TokenClaims {
            sub: payload.get("sub").and_then(Value::as_str),
            iat: numeric_date(payload, "iat")?,
            exp: numeric_date(payload, "exp")?,
            nbf: numeric_date(payload, "nbf")?,
            ttl: payload.get("ttl").map(|ttl| ttl_seconds(ttl).unwrap_or_default()),
        };
        let freshness = claims.check_claims(uri, now, skew)?;
        let list = parse_list(payload.get("status_list").ok_or_else(|| missing_claim("status_list"))?)?;
        Ok((list, freshness))
    }
}

/// Parses a time to live, which is any positive number (section 4.3 of the draft), rounded up to a whole second: a list
/// with a time to live of 0 could never be used. `None` if it is not a number.
fn ttl_seconds(ttl: &Value) -> Option<i64> {
    json::as_integer(ttl).or_else(|| ttl.as_f64().and_then(|ttl| json::as_integer(&ttl.ceil().into())))
}

/// Claims of a token besides its list, in JSON or in CBOR.
pub(super) struct TokenClaims<'a> {
    pub(super) sub: Option<&'a str>,
    pub(super) iat: Option<Timestamp>,
    pub(super) exp: Option<Timestamp>,
    pub(super) nbf: Option<Timestamp>,
    /// Time to live in seconds; 0 if it is not a number.
    pub(super) ttl: Option<i64>,
}

impl TokenClaims<'_> {
    /// Checks the claims against the URI of the list and the current time, and returns the validity of the list.
    pub(super) fn check_claims(&self, uri: &str, now: Timestamp, skew: i64) -> Result<ListValidity, Problem> {
        if self.sub != Some(uri) {
            return Err(Problem::new(Code::StatusListMismatch, "the token is the list for another URI"));
        }
        if self.ttl.is_some_and(|ttl| ttl <= 0) {
            return Err(missing_claim("valid ttl"));
        }
        // Otherwise a list that states neither an expiry nor a time to live would be valid for ever.
        let ttl = self.ttl.or(self.exp.is_none().then_some(DEFAULT_TTL));
        if self.nbf.is_some_and(|begin| begin > now.plus(skew)) {
            return Err(Problem::new(Code::StatusListStale, "the list is not valid yet"));
        }
        let freshness =
            ListValidity { issued_at: self.iat.ok_or_else(|| missing_claim("iat"))?, expires_at: self.exp, ttl };
        freshness.require_usable(now, now, skew)?;
        Ok(freshness)
    }
}

pub(super) fn missing_claim(claim: &str) -> Problem {
    Problem::new(Code::ClaimMissing, format!("the list's token has no {claim}"))
}
