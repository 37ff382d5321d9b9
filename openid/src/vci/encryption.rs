//! Encryption of credential requests and responses on top of TLS (section 10): compact JWE with ECDH-ES on P-256.

use carnet_core::{
    Problem, Rng,
    secure::jwe::{self, ContentEncryption, DecryptionKey, ECDH_ES, EncryptionKey},
};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::error::{ErrorCode, ErrorResponse};

/// Media type of an encrypted credential request or response.
pub const ENCRYPTED_MEDIA_TYPE: &str = "application/jwt";

/// Returns `credential_request_encryption` of the issuer metadata: the key to which requests may be encrypted, and the
/// content encryption algorithms. Encryption is not required.
#[must_use]
pub fn request_encryption_metadata(key: &EncryptionKey) -> Value {
    json!({
        "jwks": {"keys": [key.to_jwk()]},
        "enc_values_supported": ContentEncryption::ALL.map(ContentEncryption::as_str),
        "encryption_required": false,
    })
}

/// Returns `credential_response_encryption` of the issuer metadata: the supported algorithms. Encryption is not
/// required.
#[must_use]
pub fn response_encryption_metadata() -> Value {
    json!({
        "alg_values_supported": [ECDH_ES],
        "enc_values_supported": ContentEncryption::ALL.map(ContentEncryption::as_str),
        "encryption_required": false,
    })
}

/// Decrypts a request (compact JWE of at most `most` bytes) that is encrypted to this key.
///
/// # Errors
/// `invalid_encryption_parameters`
pub fn decrypt_request(body: &[u8], key: &DecryptionKey, most: usize) -> Result<Zeroizing<Vec<u8>>, ErrorResponse> {
    let token = std::str::from_utf8(body).map_err(|_| refused("the encrypted request is not text".to_owned()))?;
    let decrypted = jwe::decrypt(token.trim(), key, &ContentEncryption::ALL, most);
    Ok(decrypted.map_err(|problem| refused(format!("the encrypted request is refused: {problem}")))?.plaintext)
}

/// Key and content encryption algorithm for a wallet's response, from `credential_response_encryption` of its request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialResponseEncryption {
    key: EncryptionKey,
    encryption: ContentEncryption,
}

impl CredentialResponseEncryption {
    /// Parses `credential_response_encryption`. The request that contains it must be encrypted itself (OpenID4VCI
    /// section 8.2): otherwise the key could be replaced in transit.
    ///
    /// # Errors
    /// `invalid_encryption_parameters`: an unencrypted request, an unsupported `enc` or `alg`, an invalid `jwk`, or
    /// compression (`zip`).
    pub fn parse(member: &Value, is_request_encrypted: bool) -> Result<Self, ErrorResponse> {
        if !is_request_encrypted {
            return Err(refused("a request for an encrypted response must be encrypted too".to_owned()));
        }
        let members = member.as_object().ok_or_else(|| refused("not an object".to_owned()))?;
        if members.contains_key("zip") {
            return Err(refused("compression is not supported".to_owned()));
        }
        let enc = members.get("enc").and_then(Value::as_str).unwrap_or_default();
        let encryption = ContentEncryption::parse(enc).map_err(|_| refused("enc is not supported".to_owned()))?;
        let jwk = members.get("jwk").unwrap_or(&Value::Null);
        // The algorithm is a property of the key (section 10).
        if jwk.get("alg").and_then(Value::as_str) != Some(ECDH_ES) {
            return Err(refused(format!("the alg of jwk is not {ECDH_ES}")));
        }
        let key = EncryptionKey::from_jwk(jwk).map_err(|problem| refused(format!("jwk is refused: {problem}")))?;
        Ok(Self { key, encryption })
    }

    /// Encrypts the JSON text of a response as a compact JWE.
    ///
    /// # Errors
    /// `proof_generation`
    pub fn encrypt(&self, response: &str, rng: Rng<'_>) -> Result<String, Problem> {
        jwe::encrypt(response.as_bytes(), &self.key, self.encryption, &[], rng)
    }
}

fn refused(why: String) -> ErrorResponse {
    ErrorResponse::new(ErrorCode::InvalidEncryptionParameters, why)
}

#[cfg(test)]
mod tests {
    use rand_core::OsRng;

    use super::*;

    #[test]
    fn a_request_and_its_response_are_encrypted() {
        let (issuer, wallet) = (DecryptionKey::generate(&mut OsRng), DecryptionKey::generate(&mut OsRng));
        for encryption in ContentEncryption::ALL {
            let sent = jwe::encrypt(b"{}", &issuer.public_key(), encryption, &[], &mut OsRng).unwrap();
            assert_eq!(decrypt_request(sent.as_bytes(), &issuer, 10_000).unwrap().as_slice(), b"{}");
            assert!(decrypt_request(sent.as_bytes(), &wallet, 10_000).is_err(), "to another key");
            assert!(decrypt_request(sent.as_bytes(), &issuer, 10).is_err(), "too long");
            let member = json!({"jwk": wallet.public_key().to_jwk(), "enc": encryption.as_str()});
            let asked = CredentialResponseEncryption::parse(&member, true).unwrap();
            let answer = asked.encrypt("credentials", &mut OsRng).unwrap();
            let read = jwe::decrypt(&answer, &wallet, &[encryption], 10_000).unwrap();
            assert_eq!(read.plaintext.as_slice(), b"credentials");
        }
    }

    #[test]
    fn row_112_other_parameters_are_refused() {
        let key = DecryptionKey::generate(&mut OsRng).public_key().to_jwk();
        let good = json!({"jwk": key, "enc": "A256GCM"});
        assert!(CredentialResponseEncryption::parse(&good, true).is_ok());
        assert!(CredentialResponseEncryption::parse(&good, false).is_err(), "asked for in the clear");
        let with = |pointer: &str, name: &str, value: Value| {
            let mut bad = good.clone();
            bad.pointer_mut(pointer).unwrap()[name] = value;
            CredentialResponseEncryption::parse(&bad, true).map(|_| ()).map_err(|error| error.code)
        };
        for (pointer, name, value) in [
            ("", "enc", json!("A128CBC-HS256")),
            ("", "enc", Value::Null),
            ("", "zip", json!("DEF")),
            ("", "jwk", Value::Null),
            ("/jwk", "alg", Value::Null),
            ("/jwk", "alg", json!("RSA-OAEP-256")),
            ("/jwk", "crv", json!("P-384")),
            ("/jwk", "use", json!("sig")),
            ("/jwk", "d", json!("AA")),
        ] {
            let refused = with(pointer, name, value);
            assert_eq!(refused, Err(ErrorCode::InvalidEncryptionParameters), "{name}");
        }
        assert!(CredentialResponseEncryption::parse(&json!("x"), true).is_err());
    }
}
