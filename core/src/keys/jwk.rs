//! Public keys as JWK (RFC 7517; OKP: RFC 8037 section 2, EC: RFC 7518 section 6.2).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::{PublicKey, SignatureAlgorithm, VerifyingKeyKind, invalid};
use crate::{Code, Problem};

/// Members that contain secrets, of any key type (RFC 7518 section 6, RFC 8037, and `priv` of AKP keys).
const SECRET: [&str; 9] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];

/// Returns the required members of the JWK, sorted by name as the thumbprint needs them (RFC 7638 section 3).
pub(super) fn members(key: &PublicKey) -> Vec<(&'static str, String)> {
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    match &key.0 {
        VerifyingKeyKind::Ed25519(key) => {
            vec![("crv", "Ed25519".to_owned()), ("kty", "OKP".to_owned()), ("x", encode(key.as_bytes()))]
        }
        VerifyingKeyKind::P256(key) => {
            let point = key.to_encoded_point(false);
            let coordinate = |bytes: Option<&p256::FieldBytes>| bytes.map(|bytes| encode(bytes)).unwrap_or_default();
            vec![
                ("crv", "P-256".to_owned()),
                ("kty", "EC".to_owned()),
                ("x", coordinate(point.x())),
                ("y", coordinate(point.y())),
            ]
        }
        VerifyingKeyKind::P384(key) => {
            let point = key.to_encoded_point(false);
            let coordinate = |bytes: Option<&p384::FieldBytes>| bytes.map(|bytes| encode(bytes)).unwrap_or_default();
            vec![
                ("crv", "P-384".to_owned()),
                ("kty", "EC".to_owned()),
                ("x", coordinate(point.x())),
                ("y", coordinate(point.y())),
            ]
        }
    }
}

/// Returns the JWK with its required members only, sorted and without white space. Names and values need no escaping.
pub(super) fn text(key: &PublicKey) -> String {
    let members: Vec<String> =
        members(key).into_iter().map(|(name, value)| format!("\"{name}\":\"{value}\"")).collect();
    format!("{{{}}}", members.join(","))
}

pub(super) fn thumbprint(key: &PublicKey) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(text(key)))
}

pub(super) fn parse(jwk: &Value) -> Result<PublicKey, Problem> {
    let jwk = jwk.as_object().ok_or_else(|| invalid("a JWK is not an object"))?;
    if SECRET.iter().any(|name| jwk.contains_key(*name)) {
        return Err(Code::PrivateKeyExposed.into());
    }
    let key = match (string(jwk, "kty")?, string(jwk, "crv")?) {
        (Some("OKP"), Some("Ed25519")) => {
            if jwk.contains_key("y") {
                return Err(invalid("an OKP key has a y"));
            }
            PublicKey::from_bytes(SignatureAlgorithm::EdDsa, &coordinate::<32>(jwk, "x")?)?
        }
        (Some("EC"), Some("P-256")) => PublicKey::from_bytes(SignatureAlgorithm::Es256, &point::<32>(jwk)?)?,
        (Some("EC"), Some("P-384")) => PublicKey::from_bytes(SignatureAlgorithm::Es384, &point::<48>(jwk)?)?,
        _ => return Err(invalid("a JWK is of a kind that is not accepted")),
    };
    check_use(jwk)?;
    check_algorithm(jwk, &key)?;
    Ok(key)
}

fn string<'a>(jwk: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, Problem> {
    match jwk.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(invalid(&format!("a JWK's {name} is not a string"))),
    }
}

/// Reads the coordinates `x` and `y` as an uncompressed SEC 1 point. Each has `BYTES` bytes.
fn point<const BYTES: usize>(jwk: &Map<String, Value>) -> Result<Vec<u8>, Problem> {
    let mut point = vec![4];
    point.extend_from_slice(&coordinate::<BYTES>(jwk, "x")?);
    point.extend_from_slice(&coordinate::<BYTES>(jwk, "y")?);
    Ok(point)
}

/// Reads a member of exactly `BYTES` bytes in base64url without padding, leading zeros included (RFC 7518 section
/// 6.2.1.2).
fn coordinate<const BYTES: usize>(jwk: &Map<String, Value>, name: &str) -> Result<[u8; BYTES], Problem> {
    let wrong = || invalid(&format!("a JWK's {name} is not {BYTES} bytes in base64url"));
    let length = BYTES.saturating_mul(4).div_ceil(3);
    let text = string(jwk, name)?.filter(|text| text.len() == length).ok_or_else(wrong)?;
    URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| bytes.try_into().ok()).ok_or_else(wrong)
}

fn check_use(jwk: &Map<String, Value>) -> Result<(), Problem> {
    if string(jwk, "use")?.is_some_and(|purpose| purpose != "sig") {
        return Err(invalid("a JWK is not meant for signatures"));
    }
    match jwk.get("key_ops") {
        None => Ok(()),
        Some(Value::Array(operations)) if operations.iter().any(|operation| operation == "verify") => Ok(()),
        Some(_) => Err(invalid("a JWK's key_ops do not have verify")),
    }
}

fn check_algorithm(jwk: &Map<String, Value>, key: &PublicKey) -> Result<(), Problem> {
    let fits = match string(jwk, "alg")? {
        None => true,
        // RFC 9864 names the algorithm of an Ed25519 key after its curve.
        Some(alg) => {
            alg == key.algorithm().as_str() || (alg == "Ed25519" && key.algorithm() == SignatureAlgorithm::EdDsa)
        }
    };
    if fits { Ok(()) } else { Err(Code::AlgorithmMismatch.into()) }
}
