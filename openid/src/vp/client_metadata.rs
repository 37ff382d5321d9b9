//! Verifier metadata in a request: `client_metadata` (OpenID4VP sections 5.1 and 11.1).

use carnet_core::{
    Code, Problem,
    format::CredentialFormat,
    secure::jwe::{ContentEncryption, ECDH_ES, EncryptionKey},
};
use serde_json::{Map, Value, json};

use super::ResponseMode;

/// Maximum number of keys in `jwks`.
const MAX_KEYS: usize = 16;
/// Signature algorithms, by their JOSE names.
const SIGNATURE_ALGORITHMS: [&str; 2] = ["EdDSA", "ES256"];

/// Parameters for an encrypted response (OpenID4VP section 8.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseEncryption {
    /// Public key to which the response is encrypted.
    pub key: EncryptionKey,
    /// Content encryption algorithms that the verifier supports and this crate knows; never empty.
    pub content_encryptions: Vec<ContentEncryption>,
}

/// Verifier metadata (`client_metadata`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientMetadata {
    /// `vp_formats_supported`: supported algorithms by credential format.
    pub vp_formats: Map<String, Value>,
    /// Parameters for an encrypted response; `None` if the response mode is not `direct_post.jwt`.
    pub encryption: Option<ResponseEncryption>,
}

impl ClientMetadata {
    /// Creates the metadata of a verifier that supports these formats, with all algorithms of this crate. With a key,
    /// responses may be encrypted to it.
    #[must_use]
    pub fn new(formats: &[CredentialFormat], encryption: Option<EncryptionKey>) -> Self {
        let formats = formats.iter().map(|format| (format.as_str().to_owned(), format_algorithms(*format))).collect();
        let encryption =
            encryption.map(|key| ResponseEncryption { key, content_encryptions: ContentEncryption::ALL.to_vec() });
        Self { vp_formats: formats, encryption }
    }

    /// Serialises the metadata.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut members = Map::from_iter([("vp_formats_supported".to_owned(), self.vp_formats.clone().into())]);
        if let Some(ResponseEncryption { key, content_encryptions: encryptions }) = &self.encryption {
            let names: Vec<&str> = encryptions.iter().map(|known| known.as_str()).collect();
            members.insert("jwks".to_owned(), json!({"keys": [key.to_jwk()]}));
            members.insert("encrypted_response_enc_values_supported".to_owned(), json!(names));
        }
        members.into()
    }

    /// Parses the metadata. For `direct_post.jwt`, the first supported encryption key with `kid` and `alg` is used, and
    /// others are ignored (OpenID4VP section 8.3); for `direct_post`, encryption parameters are ignored. Unknown
    /// members are ignored.
    ///
    /// # Errors
    /// `request_malformed` if a member is missing or malformed; `private_key_exposed`; `key_invalid` without a usable
    /// key; `algorithm_forbidden` without a supported content encryption.
    pub fn parse(value: &Value, mode: ResponseMode) -> Result<Self, Problem> {
        let malformed = |what: &str| Problem::new(Code::RequestMalformed, what);
        let members = value.as_object().ok_or_else(|| malformed("client_metadata is not an object"))?;
        let formats = members.get("vp_formats_supported").and_then(Value::as_object);
        let formats = formats.cloned().ok_or_else(|| malformed("client_metadata has no vp_formats_supported"))?;
        if mode == ResponseMode::DirectPost {
            return Ok(Self { vp_formats: formats, encryption: None });
        }
        let keys = members.get("jwks").and_then(|jwks| jwks.get("keys")).and_then(Value::as_array);
        let keys =
            keys.filter(|keys| keys.len() <= MAX_KEYS).ok_or_else(|| malformed("client_metadata has no jwks"))?;
        let mut usable = None;
        for jwk in keys {
            match EncryptionKey::from_jwk(jwk) {
                // Section 5.1: each key has a kid, which the response names; section 8.3: and an alg.
                Ok(key) if key.kid().is_some() && jwk.get("alg").is_some_and(|alg| alg == ECDH_ES) => {
                    usable.get_or_insert(key);
                }
                Err(problem) if problem.code == Code::PrivateKeyExposed => return Err(problem),
                _ => {}
            }
        }
        let key = usable.ok_or_else(|| Problem::new(Code::KeyInvalid, "client_metadata has no key to encrypt to"))?;
        let encryptions = match members.get("encrypted_response_enc_values_supported") {
            // Default value (OpenID4VP section 5.1).
            None => vec![ContentEncryption::A128Gcm],
            Some(Value::Array(names)) => {
                let named = |known: &ContentEncryption| names.iter().any(|name| name == known.as_str());
                ContentEncryption::ALL.into_iter().filter(named).collect()
            }
            Some(_) => return Err(malformed("encrypted_response_enc_values_supported is not an array")),
        };
        if encryptions.is_empty() {
            return Err(Problem::new(Code::AlgorithmForbidden, "no content encryption of the verifier is supported"));
        }
        Ok(Self { vp_formats: formats, encryption: Some(ResponseEncryption { key, content_encryptions: encryptions }) })
    }
}

/// Supported algorithms of a format (OpenID4VP appendix B). `vc+sd-jwt` and `di_vc+jcs` are Carnet's own format
/// identifiers.
fn format_algorithms(format: CredentialFormat) -> Value {
    match format {
        CredentialFormat::DcSdJwt | CredentialFormat::VcSdJwt => {
            json!({"sd-jwt_alg_values": SIGNATURE_ALGORITHMS, "kb-jwt_alg_values": SIGNATURE_ALGORITHMS})
        }
        CredentialFormat::LdpVc => {
            json!({"proof_type_values": ["DataIntegrityProof"], "cryptosuite_values": ["eddsa-rdfc-2022"]})
        }
        CredentialFormat::DiVcJcs => {
            json!({"proof_type_values": ["DataIntegrityProof"], "cryptosuite_values": ["eddsa-jcs-2022"]})
        }
    }
}

#[cfg(test)]
mod tests {
    use carnet_core::secure::jwe::DecryptionKey;

    use super::*;

    fn key(byte: u8) -> EncryptionKey {
        DecryptionKey::from_bytes(&[byte; 32]).unwrap().public_key()
    }

    fn read(value: &Value) -> Result<ClientMetadata, Code> {
        ClientMetadata::parse(value, ResponseMode::DirectPostJwt).map_err(|problem| problem.code)
    }

    #[test]
    fn metadata_comes_back() {
        let metadata = ClientMetadata::new(&[CredentialFormat::DcSdJwt, CredentialFormat::VcSdJwt], Some(key(1)));
        let written = metadata.to_json();
        assert_eq!(read(&written), Ok(metadata));
        assert_eq!(written["encrypted_response_enc_values_supported"], json!(["A256GCM", "A128GCM"]));
        assert!(written["jwks"]["keys"][0].get("d").is_none());
        let plain = ClientMetadata::new(&[CredentialFormat::DcSdJwt], None).to_json();
        assert!(plain.get("jwks").is_none());
        assert!(ClientMetadata::parse(&plain, ResponseMode::DirectPost).unwrap().encryption.is_none());
        assert_eq!(read(&plain), Err(Code::RequestMalformed));
    }

    #[test]
    fn row_112_an_unusable_key_is_passed_over() {
        let good = key(2).to_jwk();
        let zero = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let off_curve = json!({"kty": "EC", "crv": "P-256", "x": zero, "y": zero, "kid": "z", "alg": "ECDH-ES"});
        let okp = json!({"kty": "OKP", "crv": "X25519", "x": zero, "kid": "x", "alg": "ECDH-ES"});
        let signing = json!({"kty": "EC", "crv": "P-256", "x": good["x"], "y": good["y"], "use": "sig", "kid": "s"});
        let with = |keys: Value| {
            let mut metadata = ClientMetadata::new(&[CredentialFormat::DcSdJwt], Some(key(1))).to_json();
            metadata["jwks"]["keys"] = keys;
            read(&metadata).map(|metadata| metadata.encryption.unwrap().key)
        };
        assert_eq!(with(json!([off_curve, okp, signing, good])), Ok(key(2)));
        assert_eq!(with(json!([off_curve, okp, signing])), Err(Code::KeyInvalid));
        assert_eq!(with(json!([])), Err(Code::KeyInvalid));
        for missing in ["kid", "alg"] {
            let mut nameless = good.clone();
            nameless.remove(missing);
            assert_eq!(with(json!([nameless])), Err(Code::KeyInvalid), "{missing}");
        }
        let mut private = good.clone();
        private.insert("d".to_owned(), zero.into());
        assert_eq!(with(json!([good, private])), Err(Code::PrivateKeyExposed));
    }

    #[test]
    fn unsupported_encryptions_are_passed_over() {
        let with = |names: Value| {
            let mut metadata = ClientMetadata::new(&[CredentialFormat::DcSdJwt], Some(key(1))).to_json();
            metadata["encrypted_response_enc_values_supported"] = names;
            read(&metadata).map(|metadata| metadata.encryption.unwrap().content_encryptions)
        };
        assert_eq!(with(json!(["A128CBC-HS256", "A128GCM"])), Ok(vec![ContentEncryption::A128Gcm]));
        assert_eq!(with(json!(["A128CBC-HS256"])), Err(Code::AlgorithmForbidden));
        assert_eq!(with(json!("A128GCM")), Err(Code::RequestMalformed));
        let mut metadata = ClientMetadata::new(&[CredentialFormat::DcSdJwt], Some(key(1))).to_json();
        metadata.as_object_mut().unwrap().remove("encrypted_response_enc_values_supported");
        assert_eq!(read(&metadata).unwrap().encryption.unwrap().content_encryptions, [ContentEncryption::A128Gcm]);
    }
}
