//! Resolution and dereferencing of did:key by its specification (The did:key Method v0.9), with its errors.
//!
//! Supported key types: Ed25519, X25519, P-256, P-384, P-521, secp256k1, RSA (2048 and 4096 bits) and BLS12-381 (G1 and
//! G2). Of a key on BLS12-381, the length and the flags of compression are checked, and not that the point is on the curve.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use curve25519_dalek::montgomery::MontgomeryPoint;
use der::{Decode as _, Reader as _, SliceReader, asn1::UintRef};
use k256::elliptic_curve::sec1::ToEncodedPoint as _;
use serde_json::{Map, Value, json};

use super::keys::p521_jwk;
use crate::keys::{PublicKey, SignatureAlgorithm};

/// Maximum length of an identifier, in bytes. Decoding base58 takes time that grows with the square of the length.
const MAX_IDENTIFIER: usize = 2_048;
/// Maximum length of the multibase value, in characters: that of an RSA key of 4096 bits.
const MAX_MULTIBASE: usize = 724;
/// Length of an `RSAPublicKey` in DER (RFC 8017 appendix A.1.1) with a modulus of 2048 bits, and of 4096 bits, in bytes.
const RSA_LENGTHS: [usize; 2] = [270, 526];
/// Formats of verification methods that are known, of which those after the first four are experimental.
const FORMATS: [&str; 8] = [
    "Multikey",
    "JsonWebKey2020",
    "Ed25519VerificationKey2020",
    "X25519KeyAgreementKey2020",
    "JsonWebKey",
    "Ed25519VerificationKey2018",
    "X25519KeyAgreementKey2019",
    "EcdsaSecp256k1VerificationKey2019",
];

/// Result of a resolution or dereferencing.
#[derive(Debug, Clone, PartialEq)]
pub struct DidKeyResolution {
    /// `true` for an error.
    pub is_error: bool,
    /// DID resolution result, or DID URL dereferencing result: `@context`, `didDocument`, `didDocumentMetadata` and
    /// `didResolutionMetadata` or `didDereferencingMetadata`.
    pub body: Value,
}

/// Error of the specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DidKeyError {
    InvalidDid,
    InvalidDidUrl,
    InvalidPublicKey,
    InvalidPublicKeyLength,
    InvalidPublicKeyType,
    UnsupportedPublicKeyType,
    NotFound,
}

impl DidKeyError {
    const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidDid => "invalidDid",
            Self::InvalidDidUrl => "invalidDidUrl",
            Self::InvalidPublicKey => "invalidPublicKey",
            Self::InvalidPublicKeyLength => "invalidPublicKeyLength",
            Self::InvalidPublicKeyType => "invalidPublicKeyType",
            Self::UnsupportedPublicKeyType => "unsupportedPublicKeyType",
            Self::NotFound => "notFound",
        }
    }
}

/// Options of a resolution.
struct Options<'a> {
    format: &'a str,
    experimental: bool,
    derive_encryption_key: bool,
}

/// Public key by its multicodec.
enum DecodedKey {
    Signature(PublicKey),
    P521(Box<p521::ecdsa::VerifyingKey>),
    Secp256k1(Box<k256::PublicKey>),
    /// Modulus and public exponent, big-endian without leading zeros.
    Rsa(Vec<u8>, Vec<u8>),
    /// Compressed point in G1 or G2.
    Bls12381,
    X25519([u8; 32]),
}

/// Resolves a did:key, or dereferences a DID URL of one. `query` has the options `publicKeyFormat`,
/// `enableExperimentalPublicKeyTypes` and `enableEncryptionKeyDerivation`.
#[must_use]
pub fn resolve(identifier: &str, query: &[(String, String)]) -> DidKeyResolution {
    let option = |name: &str| query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let options = Options {
        format: option("publicKeyFormat").unwrap_or("Multikey"),
        experimental: option("enableExperimentalPublicKeyTypes") == Some("true"),
        derive_encryption_key: option("enableEncryptionKeyDerivation") != Some("false"),
    };
    let (did, fragment) = match identifier.find(['/', '?', '#']) {
        None => (identifier, None),
        Some(at) => {
            let (did, rest) = identifier.split_at(at);
            (did, Some(rest))
        }
    };
    match fragment {
        None => result("didResolutionMetadata", document(did, &options)),
        Some(rest) => result("didDereferencingMetadata", dereference(did, rest, &options)),
    }
}

fn result(metadata: &str, outcome: Result<Value, DidKeyError>) -> DidKeyResolution {
    let content_type = "application/did+ld+json";
    let (document, stated, is_error) = match outcome {
        Ok(document) => (document, json!({"contentType": content_type}), false),
        Err(error) => (json!({}), json!({"error": error.as_str()}), true),
    };
    let mut body = Map::new();
    body.insert("@context".to_owned(), json!("https://w3id.org/did-resolution/v1"));
    body.insert("didDocument".to_owned(), document);
    body.insert("didDocumentMetadata".to_owned(), json!({}));
    body.insert(metadata.to_owned(), stated);
    DidKeyResolution { is_error, body: Value::Object(body) }
}

/// Returns the DID document (section 3.1.1, "Document Creation Algorithm").
fn document(did: &str, options: &Options<'_>) -> Result<Value, DidKeyError> {
    let multibase = multibase_of(did)?;
    let key = decode(multibase)?;
    if !FORMATS.contains(&options.format) {
        return Err(DidKeyError::UnsupportedPublicKeyType);
    }
    let mut document = Map::new();
    document.insert("@context".to_owned(), json!(contexts(options.format)));
    document.insert("id".to_owned(), json!(did));
    let id = format!("{did}#{multibase}");
    if let DecodedKey::X25519(_) = key {
        check_format(options, "X25519KeyAgreementKey2020")?;
        document.insert("verificationMethod".to_owned(), json!([method(&id, did, multibase, &key, options)]));
        document.insert("keyAgreement".to_owned(), json!([id]));
        return Ok(Value::Object(document));
    }
    check_format(options, "Ed25519VerificationKey2020")?;
    // No specification of the W3C defines a JWK for these keys.
    if matches!(key, DecodedKey::Bls12381) && options.format != "Multikey" {
        return Err(DidKeyError::InvalidPublicKeyType);
    }
    document.insert("verificationMethod".to_owned(), json!([method(&id, did, multibase, &key, options)]));
    for relationship in ["authentication", "assertionMethod", "capabilityDelegation", "capabilityInvocation"] {
        document.insert(relationship.to_owned(), json!([id]));
    }
    if let (true, Some(agreement)) = (options.derive_encryption_key, derived_key(&key)) {
        let multibase = encode_x25519(&agreement);
        let id = format!("{did}#{multibase}");
        let format =
            if options.format == "Ed25519VerificationKey2020" { "X25519KeyAgreementKey2020" } else { options.format };
        let options = Options { format, ..*options };
        let method = method(&id, did, &multibase, &DecodedKey::X25519(agreement), &options);
        document.insert("keyAgreement".to_owned(), json!([method]));
    }
    Ok(Value::Object(document))
}

/// Dereferences a DID URL: the verification method with this fragment.
fn dereference(did: &str, rest: &str, options: &Options<'_>) -> Result<Value, DidKeyError> {
    let invalid = rest.bytes().any(|byte| byte <= b' ' || byte >= 0x7f || b"^`\"<>{}|\\".contains(&byte));
    let Some(("", fragment)) = rest.split_once('#').filter(|_| !invalid) else {
        return Err(DidKeyError::InvalidDidUrl);
    };
    if fragment.is_empty() || fragment.contains('#') {
        return Err(DidKeyError::InvalidDidUrl);
    }
    let document = document(did, options)?;
    let id = format!("{did}#{fragment}");
    let methods = ["verificationMethod", "keyAgreement"].into_iter().filter_map(|name| document.get(name)?.as_array());
    let found = methods.flatten().find(|method| method.get("id").and_then(Value::as_str) == Some(id.as_str()));
    let mut method = found.and_then(Value::as_object).cloned().ok_or(DidKeyError::NotFound)?;
    method.insert("@context".to_owned(), document.get("@context").cloned().unwrap_or_default());
    Ok(Value::Object(method))
}

/// Returns the multibase value of `did:key:MULTIBASE` or `did:key:VERSION:MULTIBASE`.
fn multibase_of(did: &str) -> Result<&str, DidKeyError> {
    let rest = did.strip_prefix("did:key:").filter(|_| did.len() <= MAX_IDENTIFIER).ok_or(DidKeyError::InvalidDid)?;
    let multibase = match rest.split_once(':') {
        None => rest,
        Some((version, multibase)) => {
            let positive =
                version.bytes().all(|byte| byte.is_ascii_digit()) && version.parse::<u64>().is_ok_and(|v| v > 0);
            if !positive {
                return Err(DidKeyError::InvalidDid);
            }
            multibase
        }
    };
    if multibase.starts_with('z') && multibase.len() <= MAX_MULTIBASE {
        Ok(multibase)
    } else {
        Err(DidKeyError::InvalidDid)
    }
}

/// Decodes the key (sections 3.1.2 and 3.1.3, "Decode Public Key Algorithm").
fn decode(multibase: &str) -> Result<DecodedKey, DidKeyError> {
    let digits = multibase.strip_prefix('z').ok_or(DidKeyError::InvalidDid)?;
    let bytes = bs58::decode(digits).into_vec().map_err(|_| DidKeyError::InvalidDid)?;
    let (codec, key) = varint(&bytes).ok_or(DidKeyError::InvalidPublicKey)?;
    let lengths: &[usize] = match codec {
        0xed | 0xec => &[32],
        0xe7 | 0x1200 => &[33],
        0x1201 => &[49],
        0x1202 => &[67],
        0x1205 => &RSA_LENGTHS,
        0xea => &[48],
        0xeb => &[96],
        _ => return Err(DidKeyError::UnsupportedPublicKeyType),
    };
    if !lengths.contains(&key.len()) {
        return Err(DidKeyError::InvalidPublicKeyLength);
    }
    let public = |algorithm| {
        PublicKey::from_bytes(algorithm, key).map(DecodedKey::Signature).map_err(|_| DidKeyError::InvalidPublicKey)
    };
    match codec {
        0xed => public(SignatureAlgorithm::EdDsa),
        0x1200 => public(SignatureAlgorithm::Es256),
        0x1201 => public(SignatureAlgorithm::Es384),
        0x1202 => p521::ecdsa::VerifyingKey::from_sec1_bytes(key)
            .map(|key| DecodedKey::P521(Box::new(key)))
            .map_err(|_| DidKeyError::InvalidPublicKey),
        0xec => key.try_into().map(DecodedKey::X25519).map_err(|_| DidKeyError::InvalidPublicKeyLength),
        0xe7 => k256::PublicKey::from_sec1_bytes(key)
            .map(|key| DecodedKey::Secp256k1(Box::new(key)))
            .map_err(|_| DidKeyError::InvalidPublicKey),
        0x1205 => decode_rsa(key),
        // The first bit says that the point is compressed, the second that it is at infinity.
        0xea | 0xeb => match key.first().map(|flags| flags & 0xc0) {
            Some(0x80) => Ok(DecodedKey::Bls12381),
            _ => Err(DidKeyError::InvalidPublicKey),
        },
        _ => Err(DidKeyError::UnsupportedPublicKeyType),
    }
}

/// Decodes an `RSAPublicKey` (RFC 8017 appendix A.1.1).
fn decode_rsa(key: &[u8]) -> Result<DecodedKey, DidKeyError> {
    let parsed = SliceReader::new(key).and_then(|mut reader| {
        let members = reader.sequence(|members| Ok((UintRef::decode(members)?, UintRef::decode(members)?)))?;
        reader.finish(members)
    });
    match parsed {
        Ok((modulus, exponent))
            if matches!(modulus.as_bytes().len(), 256 | 512) && is_odd(modulus) && is_odd(exponent) =>
        {
            Ok(DecodedKey::Rsa(modulus.as_bytes().to_vec(), exponent.as_bytes().to_vec()))
        }
        _ => Err(DidKeyError::InvalidPublicKey),
    }
}

fn is_odd(number: UintRef<'_>) -> bool {
    number.as_bytes().last().is_some_and(|byte| byte & 1 == 1)
}

/// Reads an unsigned varint of at most three bytes (multicodec), and returns it with the rest.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let end = bytes.iter().take(3).position(|byte| byte & 0x80 == 0)?;
    let (prefix, rest) = bytes.split_at_checked(end.checked_add(1)?)?;
    let value = prefix.iter().rev().fold(0_u64, |value, byte| (value << 7) | u64::from(byte & 0x7f));
    Some((value, rest))
}

fn encode_x25519(key: &[u8; 32]) -> String {
    let mut bytes = vec![0xec, 0x01];
    bytes.extend_from_slice(key);
    format!("z{}", bs58::encode(bytes).into_string())
}

/// Returns the X25519 key that belongs to an Ed25519 key (section 3.1.4, "Derive Encryption Key Algorithm").
fn derived_key(key: &DecodedKey) -> Option<[u8; 32]> {
    let DecodedKey::Signature(key) = key else { return None };
    if key.algorithm() != SignatureAlgorithm::EdDsa {
        return None;
    }
    let point = curve25519_dalek::edwards::CompressedEdwardsY::from_slice(&key.to_bytes()).ok()?.decompress()?;
    let MontgomeryPoint(bytes) = point.to_montgomery();
    Some(bytes)
}

/// Checks that the format may be used: experimental ones only if they are enabled.
fn check_format(options: &Options<'_>, own: &str) -> Result<(), DidKeyError> {
    let usual = matches!(options.format, "Multikey" | "JsonWebKey2020" | "JsonWebKey") || options.format == own;
    if usual || options.experimental { Ok(()) } else { Err(DidKeyError::InvalidPublicKeyType) }
}

fn contexts(format: &str) -> Vec<&'static str> {
    let own = match format {
        "JsonWebKey2020" | "JsonWebKey" => "https://w3id.org/security/suites/jws-2020/v1",
        "Ed25519VerificationKey2020" => "https://w3id.org/security/suites/ed25519-2020/v1",
        "X25519KeyAgreementKey2020" => "https://w3id.org/security/suites/x25519-2020/v1",
        _ => "https://w3id.org/security/multikey/v1",
    };
    vec!["https://www.w3.org/ns/did/v1", own]
}

fn method(id: &str, did: &str, multibase: &str, key: &DecodedKey, options: &Options<'_>) -> Value {
    let mut method = Map::new();
    method.insert("id".to_owned(), json!(id));
    method.insert("type".to_owned(), json!(options.format));
    method.insert("controller".to_owned(), json!(did));
    if matches!(options.format, "JsonWebKey2020" | "JsonWebKey") {
        method.insert("publicKeyJwk".to_owned(), Value::Object(jwk(key)));
    } else {
        method.insert("publicKeyMultibase".to_owned(), json!(multibase));
    }
    Value::Object(method)
}

/// Returns the JWK; a key on BLS12-381 has none, and is refused before.
fn jwk(key: &DecodedKey) -> Map<String, Value> {
    let of_members = |members: &[(&str, String)]| {
        members.iter().map(|(name, value)| ((*name).to_owned(), Value::String(value.clone()))).collect()
    };
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    match key {
        DecodedKey::Signature(key) => key.to_jwk(),
        DecodedKey::P521(key) => p521_jwk(key),
        DecodedKey::Secp256k1(key) => {
            let point = key.to_encoded_point(false);
            let coordinate = |bytes: Option<&k256::FieldBytes>| encode(bytes.map(AsRef::as_ref).unwrap_or_default());
            let (x, y) = (coordinate(point.x()), coordinate(point.y()));
            of_members(&[("kty", "EC".to_owned()), ("crv", "secp256k1".to_owned()), ("x", x), ("y", y)])
        }
        DecodedKey::Rsa(modulus, exponent) => {
            of_members(&[("kty", "RSA".to_owned()), ("n", encode(modulus)), ("e", encode(exponent))])
        }
        DecodedKey::X25519(bytes) => {
            of_members(&[("kty", "OKP".to_owned()), ("crv", "X25519".to_owned()), ("x", encode(bytes))])
        }
        DecodedKey::Bls12381 => Map::new(),
    }
}
