//! Compact JWS (RFC 7515) with the rules that Carnet's tokens need.
//!
//! Only the algorithms of [`SignatureAlgorithm`] are accepted, no critical extension is supported, and a key in a header is
//! never used for verification. The caller decides which signer to trust, and passes the key to [`Jws::verify`].

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use crate::{
    Code, Problem,
    json::{self, Limits},
    keys::{PublicKey, SignatureAlgorithm, Signer},
    time::Timestamp,
};

/// Maximum size of a compact JWS, in bytes: enough for a document of maximum size in base64url, with header and
/// signature.
pub(crate) const MAX_TOKEN_BYTES: usize = 393_216;

/// Header members that refer to a key by a certificate or a URL, for which Carnet has no trust anchor (RFC 7515 section
/// 4.1).
const UNANCHORED_PARAMETERS: [&str; 5] = ["x5c", "x5u", "x5t", "x5t#S256", "jku"];

/// Decoded parts of a compact JWS. The header is not validated and nothing is verified: the caller must check every
/// member of the header. It serves third-party tokens whose key reference [`Jws`] refuses.
#[derive(Clone)]
pub struct CompactJws {
    /// Text as received; the signature is over the part up to the last dot.
    text: String,
    header: Map<String, Value>,
    payload: Map<String, Value>,
    signature: Vec<u8>,
}

impl CompactJws {
    /// Parses `header.payload.signature`; header and payload must be JSON objects. `limits` apply to the payload.
    ///
    /// # Errors
    /// `too_large`, `token_malformed`, `invalid_encoding` (not base64url without padding), those of [`json::parse`].
    pub fn parse_within(token: &str, limits: Limits) -> Result<Self, Problem> {
        // Base64 encodes three bytes in four characters; the rest is for header and signature.
        let most = limits.max_bytes.saturating_mul(3) / 2;
        if token.len() > most {
            return Err(Code::TooLarge.into());
        }
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Problem::new(Code::TokenMalformed, "a compact JWS has three parts"));
        };
        let header = object(header, "header", Limits::SMALL)?;
        let payload = object(payload, "payload", limits)?;
        let signature = decode_base64url(signature, "signature")?;
        Ok(Self { text: token.to_owned(), header, payload, signature })
    }

    /// Returns the header members.
    #[must_use]
    pub fn header(&self) -> &Map<String, Value> {
        &self.header
    }

    /// Returns the payload, unverified.
    #[must_use]
    pub fn payload(&self) -> &Map<String, Value> {
        &self.payload
    }

    /// Returns the signing input: `header.payload` as received.
    #[must_use]
    pub fn signing_input(&self) -> &[u8] {
        // `parse_within` found two dots, so that this always splits.
        self.text.rsplit_once('.').map_or("", |(signed, _)| signed).as_bytes()
    }

    /// Returns the signature.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }
}

/// Compact JWS with a checked header and an unverified signature.
#[derive(Clone)]
pub struct Jws {
    parts: CompactJws,
    algorithm: SignatureAlgorithm,
    key_ref: KeyRef,
}

/// Key reference in a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyRef {
    /// `kid`: a DID URL or any other text.
    Kid(String),
    /// `jwk`: a public key by value.
    Jwk(PublicKey),
    /// Neither `kid` nor `jwk`.
    None,
}

impl Jws {
    /// Parses `header.payload.signature`; the payload must be a JSON object.
    ///
    /// # Errors
    /// `too_large`, `token_malformed`, `invalid_encoding`, those of [`json::parse`], `algorithm_forbidden`,
    /// `header_critical` (a `crit`, or the `b64` of RFC 7797), `private_key_exposed`, `key_invalid`,
    /// `header_key_ambiguous` (`kid` together with `jwk` or another key), `header_key_unanchored` (a certificate or a
    /// key URL).
    pub fn parse(token: &str) -> Result<Self, Problem> {
        Self::parse_within(token, Limits::DOCUMENT)
    }

    /// Parses as [`Jws::parse`] does, with these limits for the payload.
    ///
    /// # Errors
    /// As [`Jws::parse`].
    pub fn parse_within(token: &str, limits: Limits) -> Result<Self, Problem> {
        let parts = CompactJws::parse_within(token, limits)?;
        let algorithm = algorithm(&parts.header)?;
        let key_ref = key_ref(&parts.header)?;
        Ok(Self { parts, algorithm, key_ref })
    }

    /// Returns `typ`; `None` if it is absent or not a string.
    #[must_use]
    pub fn typ(&self) -> Option<&str> {
        self.parts.header.get("typ").and_then(Value::as_str)
    }

    /// Requires a `typ`, so that a token for another purpose is refused (RFC 8725 section 3.11).
    ///
    /// # Errors
    /// `token_type` if `typ` is missing or not equal.
    pub fn require_typ(&self, typ: &str) -> Result<(), Problem> {
        if self.typ() == Some(typ) {
            return Ok(());
        }
        Err(Problem::new(Code::TokenType, format!("the token's typ is not {typ}")))
    }

    /// Refuses header and payload members that are not in these lists, for Carnet's own token formats. An unknown
    /// member would be ignored, and could identify the token.
    ///
    /// # Errors
    /// `malformed_value` for an unknown member. Missing members are not an error.
    pub(crate) fn require_known_members(&self, header: &[&str], payload: &[&str]) -> Result<(), Problem> {
        let within =
            |members: &Map<String, Value>, known: &[&str]| members.keys().all(|name| known.contains(&name.as_str()));
        let more = |part: &str| Err(Problem::new(Code::MalformedValue, format!("the {part} has an unknown member")));
        if !within(self.header(), header) {
            return more("token's header");
        }
        if !within(self.payload(), payload) {
            return more("token");
        }
        Ok(())
    }

    /// Returns the algorithm in `alg`.
    #[must_use]
    pub fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    /// Returns the key reference in the header, unverified.
    #[must_use]
    pub fn key_ref(&self) -> &KeyRef {
        &self.key_ref
    }

    /// Returns the header members.
    #[must_use]
    pub fn header(&self) -> &Map<String, Value> {
        &self.parts.header
    }

    /// Returns the payload, unverified.
    #[must_use]
    pub fn payload(&self) -> &Map<String, Value> {
        &self.parts.payload
    }

    /// Returns the compact form, exactly as received.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.parts.text
    }

    /// Verifies the signature with a key that the caller trusts for this token.
    ///
    /// # Errors
    /// `algorithm_mismatch` if `alg` is not the key's algorithm, `signature_invalid`.
    pub fn verify(&self, key: &PublicKey) -> Result<(), Problem> {
        if key.algorithm() != self.algorithm {
            return Err(Code::AlgorithmMismatch.into());
        }
        key.verify(self.parts.signing_input(), &self.parts.signature)
    }
}

impl fmt::Debug for Jws {
    /// Shows only the header: the payload has claims, which do not belong in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jws").field("typ", &self.typ()).field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// Signs a payload, with `alg` added to the header, and returns the compact form. Header and payload are serialised
/// canonically (RFC 8785).
///
/// # Errors
/// `algorithm_forbidden` for a P-384 key; `proof_generation`.
pub fn sign(header: Map<String, Value>, payload: &Map<String, Value>, signer: &dyn Signer) -> Result<String, Problem> {
    append_signature(signing_input(header, payload, signer.algorithm())?, signer)
}

/// Returns the signing input `header.payload`, with `alg` added to the header. Both are serialised canonically (RFC
/// 8785), so that the bytes are determined by the arguments.
///
/// # Errors
/// `algorithm_forbidden` for a P-384 key; `proof_generation`.
pub(crate) fn signing_input(
    mut header: Map<String, Value>,
    payload: &Map<String, Value>,
    algorithm: SignatureAlgorithm,
) -> Result<String, Problem> {
    SignatureAlgorithm::parse(algorithm.as_str())?;
    header.insert("alg".to_owned(), algorithm.as_str().into());
    let text = |value: &Map<String, Value>| {
        json::canonicalize_object(value).map_err(|problem| {
            Problem::new(Code::ProofGeneration, format!("the token could not be written: {}", problem.detail))
        })
    };
    let (header, payload) = (text(&header)?, text(payload)?);
    // Room for the signature.
    let written = header.len().saturating_add(payload.len()).saturating_mul(4).div_ceil(3);
    let mut token = String::with_capacity(written.saturating_add(96));
    URL_SAFE_NO_PAD.encode_string(header, &mut token);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut token);
    Ok(token)
}

/// Signs the result of [`signing_input`], and returns the compact form.
///
/// # Errors
/// `proof_generation`
pub(crate) fn append_signature(mut token: String, signer: &dyn Signer) -> Result<String, Problem> {
    let signature = signer.sign(token.as_bytes())?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(token)
}

/// Returns a NumericDate claim (RFC 7519 section 2), rounded down to a whole second. `None` if it is absent.
///
/// # Errors
/// `malformed_value`: not a number, or out of range.
pub fn numeric_date(payload: &Map<String, Value>, name: &str) -> Result<Option<Timestamp>, Problem> {
    match payload.get(name) {
        None => Ok(None),
        Some(value) => {
            let exact = value.as_i64().map(Timestamp::from_unix);
            let at = exact.or_else(|| Timestamp::from_numeric_date(value.as_f64()?));
            at.map(Some).ok_or_else(|| Problem::new(Code::MalformedValue, format!("{name} is not a number of seconds")))
        }
    }
}

/// Decodes base64url without padding. Unused bits must be zero, so that each value has only one encoding. `what` names
/// the value in the error (`invalid_encoding`).
pub(crate) fn decode_base64url(text: &str, what: &str) -> Result<Vec<u8>, Problem> {
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| Problem::new(Code::InvalidEncoding, format!("the {what} is not base64url without padding")))
}

fn object(text: &str, what: &str, limits: Limits) -> Result<Map<String, Value>, Problem> {
    match json::parse(&decode_base64url(text, what)?, limits)? {
        Value::Object(members) => Ok(members),
        _ => Err(Problem::new(Code::TokenMalformed, format!("the {what} is not a JSON object"))),
    }
}

fn algorithm(header: &Map<String, Value>) -> Result<SignatureAlgorithm, Problem> {
    let alg = header.get("alg").and_then(Value::as_str);
    let algorithm =
        SignatureAlgorithm::parse(alg.ok_or_else(|| Problem::new(Code::AlgorithmForbidden, "the header has no alg"))?)?;
    if header.contains_key("crit") || header.contains_key("b64") {
        return Err(Code::HeaderCritical.into());
    }
    Ok(algorithm)
}

fn key_ref(header: &Map<String, Value>) -> Result<KeyRef, Problem> {
    let kid = match header.get("kid") {
        None => None,
        Some(Value::String(kid)) => Some(kid),
        Some(_) => return Err(Problem::new(Code::TokenMalformed, "kid is not a string")),
    };
    // The key is parsed even if the header is refused for other reasons, so that a private key is reported as such.
    let jwk = header.get("jwk").map(PublicKey::from_jwk).transpose()?;
    let unanchored = UNANCHORED_PARAMETERS.iter().any(|name| header.contains_key(*name));
    match (kid, jwk, unanchored) {
        (Some(_), Some(_), _) | (Some(_), None, true) | (None, Some(_), true) => Err(Code::HeaderKeyAmbiguous.into()),
        (None, None, true) => Err(Code::HeaderKeyUnanchored.into()),
        (Some(kid), None, false) => Ok(KeyRef::Kid(kid.clone())),
        (None, Some(key), false) => Ok(KeyRef::Jwk(key)),
        (None, None, false) => Ok(KeyRef::None),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::keys::SecretKey;

    fn key(algorithm: SignatureAlgorithm, byte: u8) -> SecretKey {
        SecretKey::from_bytes(algorithm, &[byte; 32]).unwrap()
    }

    /// A token with exactly this header and payload, signed in earnest.
    fn token(header: &Value, payload: &Value, signer: &SecretKey) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(serde_json::to_vec(value).unwrap());
        let signed = format!("{}.{}", part(header), part(payload));
        let signature = signer.sign(signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn refused(header: Value, code: Code) {
        let signer = key(SignatureAlgorithm::EdDsa, 7);
        let good = json!({"alg": "EdDSA", "typ": "vc+sd-jwt", "kid": "did:web:a.example#1"});
        Jws::parse(&token(&good, &json!({}), &signer)).unwrap().verify(&signer.public_key()).unwrap();
        assert_eq!(Jws::parse(&token(&header, &json!({}), &signer)).unwrap_err().code, code, "{header}");
    }

    #[test]
    fn what_is_signed_verifies_and_reads_back() {
        for algorithm in [SignatureAlgorithm::EdDsa, SignatureAlgorithm::Es256] {
            let signer = key(algorithm, 7);
            let header = Map::from_iter([("typ".to_owned(), json!("t+jwt")), ("kid".to_owned(), json!("did:a:b#c"))]);
            let payload = Map::from_iter([("a".to_owned(), json!(1))]);
            let jws = Jws::parse(&sign(header, &payload, &signer).unwrap()).unwrap();
            jws.verify(&signer.public_key()).unwrap();
            assert_eq!(jws.payload(), &payload);
            assert_eq!(jws.algorithm(), algorithm);
            assert_eq!(jws.key_ref(), &KeyRef::Kid("did:a:b#c".to_owned()));
            assert_eq!(jws.verify(&key(algorithm, 8).public_key()).unwrap_err().code, Code::SignatureInvalid);
        }
    }

    #[test]
    fn row_01_alg_none_is_refused() {
        for alg in [json!("none"), json!("None"), json!("NONE"), json!(""), json!(null), json!(["EdDSA"])] {
            refused(json!({"alg": alg, "typ": "vc+sd-jwt", "kid": "did:web:a.example#1"}), Code::AlgorithmForbidden);
        }
        refused(json!({"typ": "vc+sd-jwt"}), Code::AlgorithmForbidden);
        // And without a signature at all, as alg none has it.
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
        assert_eq!(Jws::parse(&format!("{header}.e30.")).unwrap_err().code, Code::AlgorithmForbidden);
    }

    #[test]
    fn row_02_hmac_with_the_public_key_is_refused() {
        for alg in ["HS256", "HS384", "HS512", "RS256", "ES384", "Ed448"] {
            refused(json!({"alg": alg, "kid": "did:web:a.example#1"}), Code::AlgorithmForbidden);
        }
    }

    #[test]
    fn row_03_an_algorithm_that_does_not_fit_the_key_is_refused() {
        let (ed, p256) = (key(SignatureAlgorithm::EdDsa, 7), key(SignatureAlgorithm::Es256, 7));
        let jws = Jws::parse(&token(&json!({"alg": "ES256"}), &json!({}), &ed)).unwrap();
        assert_eq!(jws.verify(&ed.public_key()).unwrap_err().code, Code::AlgorithmMismatch);
        let jws = Jws::parse(&token(&json!({"alg": "EdDSA"}), &json!({}), &ed)).unwrap();
        assert_eq!(jws.verify(&p256.public_key()).unwrap_err().code, Code::AlgorithmMismatch);
        jws.verify(&ed.public_key()).unwrap();
    }

    #[test]
    fn row_04_a_wrong_or_missing_typ_is_refused() {
        let signer = key(SignatureAlgorithm::EdDsa, 7);
        let with = |header: Value| Jws::parse(&token(&header, &json!({}), &signer)).unwrap();
        with(json!({"alg": "EdDSA", "typ": "vc+sd-jwt"})).require_typ("vc+sd-jwt").unwrap();
        for header in [
            json!({"alg": "EdDSA"}),
            json!({"alg": "EdDSA", "typ": "dc+sd-jwt"}),
            json!({"alg": "EdDSA", "typ": "VC+SD-JWT"}),
            json!({"alg": "EdDSA", "typ": ["vc+sd-jwt"]}),
        ] {
            assert_eq!(with(header).require_typ("vc+sd-jwt").unwrap_err().code, Code::TokenType);
        }
    }

    #[test]
    fn row_05_a_proof_or_key_binding_is_no_credential() {
        let signer = key(SignatureAlgorithm::EdDsa, 7);
        let with = |typ: &str| Jws::parse(&token(&json!({"alg": "EdDSA", "typ": typ}), &json!({}), &signer)).unwrap();
        with("vc+sd-jwt").require_typ("vc+sd-jwt").unwrap();
        for typ in ["kb+jwt", "openid4vci-proof+jwt", "oauth-authz-req+jwt", "JWT", "vp+jwt"] {
            assert_eq!(with(typ).require_typ("vc+sd-jwt").unwrap_err().code, Code::TokenType);
        }
    }

    #[test]
    fn row_06_a_key_from_a_certificate_or_a_url_is_refused() {
        for name in UNANCHORED_PARAMETERS {
            refused(json!({"alg": "EdDSA", name: ["MIIB"]}), Code::HeaderKeyUnanchored);
        }
        // A key by value parses, and is distinguished, so that only a proof of possession may use it.
        let signer = key(SignatureAlgorithm::EdDsa, 7);
        let jws =
            Jws::parse(&token(&json!({"alg": "EdDSA", "jwk": signer.public_key().to_jwk()}), &json!({}), &signer));
        assert_eq!(jws.unwrap().key_ref(), &KeyRef::Jwk(signer.public_key()));
    }

    #[test]
    fn row_07_kid_and_jwk_together_are_refused() {
        let jwk = key(SignatureAlgorithm::EdDsa, 7).public_key().to_jwk();
        refused(json!({"alg": "EdDSA", "kid": "did:a:b#c", "jwk": jwk}), Code::HeaderKeyAmbiguous);
        refused(json!({"alg": "EdDSA", "kid": "did:a:b#c", "x5c": ["MIIB"]}), Code::HeaderKeyAmbiguous);
        refused(json!({"alg": "EdDSA", "jwk": jwk, "x5c": ["MIIB"]}), Code::HeaderKeyAmbiguous);
    }

    #[test]
    fn row_08_a_private_key_in_a_header_is_refused() {
        let mut jwk = key(SignatureAlgorithm::EdDsa, 7).public_key().to_jwk();
        jwk.insert("d".to_owned(), json!(URL_SAFE_NO_PAD.encode([7; 32])));
        refused(json!({"alg": "EdDSA", "jwk": jwk}), Code::PrivateKeyExposed);
        refused(json!({"alg": "EdDSA", "kid": "did:a:b#c", "jwk": jwk}), Code::PrivateKeyExposed);
    }

    #[test]
    fn row_09_exp_as_a_string_is_refused() {
        let read = |value: Value| numeric_date(value.as_object().unwrap(), "exp");
        assert_eq!(read(json!({"exp": 1_900_000_000})).unwrap(), Some(Timestamp::from_unix(1_900_000_000)));
        assert_eq!(read(json!({})).unwrap(), None);
        // With a fraction it is the second that a clock shows then, also before the epoch.
        for (exp, seconds) in [(1.5, 1), (1_795_971_660.234_293, 1_795_971_660), (1.9e9, 1_900_000_000), (-0.5, -1)] {
            assert_eq!(read(json!({"exp": exp})).unwrap(), Some(Timestamp::from_unix(seconds)), "{exp}");
        }
        for exp in
            [json!("1900000000"), json!("1.5"), json!(null), json!([1]), json!(u64::MAX), json!(1e300), json!(-1e16)]
        {
            assert_eq!(read(json!({"exp": exp})).unwrap_err().code, Code::MalformedValue, "{exp}");
        }
    }

    #[test]
    fn critical_extensions_are_refused() {
        refused(json!({"alg": "EdDSA", "crit": ["x"], "x": 1}), Code::HeaderCritical);
        refused(json!({"alg": "EdDSA", "crit": []}), Code::HeaderCritical);
        refused(json!({"alg": "EdDSA", "b64": false, "crit": ["b64"]}), Code::HeaderCritical);
        refused(json!({"alg": "EdDSA", "b64": false}), Code::HeaderCritical);
        refused(json!({"alg": "EdDSA", "kid": 42}), Code::TokenMalformed);
    }

    #[test]
    fn only_the_strict_compact_form_is_read() {
        let signer = key(SignatureAlgorithm::EdDsa, 7);
        let good = token(&json!({"alg": "EdDSA"}), &json!({}), &signer);
        Jws::parse(&good).unwrap();
        let code = |text: &str| Jws::parse(text).unwrap_err().code;
        for text in ["", "a", "a.b", &format!("{good}."), &format!("{good}.e30")] {
            assert_eq!(code(text), Code::TokenMalformed, "{text}");
        }
        for text in [format!("{good}="), format!(" {good}"), format!("{good}\n"), good.replace('.', "=.")] {
            assert_eq!(code(&text), Code::InvalidEncoding, "{text}");
        }
        // "e31" decodes to the same bytes as "e30" if the unused bits are let pass.
        assert_eq!(code(&good.replace(".e30.", ".e31.")), Code::InvalidEncoding);
        assert_eq!(code(&token(&json!({"alg": "EdDSA"}), &json!([]), &signer)), Code::TokenMalformed);
        assert_eq!(code(&"a".repeat(MAX_TOKEN_BYTES + 1)), Code::TooLarge);
        let twice = URL_SAFE_NO_PAD.encode(r#"{"alg":"EdDSA","alg":"none"}"#);
        assert_eq!(code(&format!("{twice}.e30.AA")), Code::DuplicateKey);
    }

    #[test]
    fn debug_shows_no_claims() {
        let signer = key(SignatureAlgorithm::EdDsa, 7);
        let jws = Jws::parse(&token(&json!({"alg": "EdDSA"}), &json!({"name": "Amira"}), &signer)).unwrap();
        assert!(!format!("{jws:?}").contains("Amira"));
    }
}
