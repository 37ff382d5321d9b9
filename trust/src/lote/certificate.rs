//! X.509 certificates of LoTE signers: identity, validity period and key. Issuer and purpose are not checked, since the
//! certificate itself is pinned.

use carnet_core::{
    Code, Problem,
    keys::{PublicKey, SignatureAlgorithm},
    time::Timestamp,
};
use ring::signature::{ECDSA_P384_SHA384_FIXED, UnparsedPublicKey};
use sha2::{Digest as _, Sha256};
use x509_cert::{
    der::{Decode as _, asn1::ObjectIdentifier, pem},
    spki::SubjectPublicKeyInfoOwned,
};

const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// SHA-256 fingerprint of a certificate (DER).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CertificateFingerprint([u8; 32]);

impl CertificateFingerprint {
    pub(super) fn from_der(der: &[u8]) -> Self {
        Self(Sha256::digest(der).into())
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Parses 64 hexadecimal digits, optionally in pairs separated by `:`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let digits: Vec<u8> = if text.contains(':') {
            let pairs = text.split(':');
            if pairs.clone().any(|pair| pair.len() != 2) { Vec::new() } else { pairs.flat_map(str::bytes).collect() }
        } else {
            text.bytes().collect()
        };
        let bytes = base16ct::mixed::decode_vec(digits).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        bytes.map(Self).ok_or_else(|| "it is not the SHA-256 of a certificate: 64 hexadecimal digits".to_owned())
    }
}

impl std::fmt::Display for CertificateFingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&base16ct::lower::encode_string(&self.0))
    }
}

/// Certificate that may have signed a list.
#[derive(Debug)]
pub(super) struct Certificate {
    pub(super) fingerprint: CertificateFingerprint,
    /// Subject name (RFC 4514).
    pub(super) subject: String,
    valid_from: Timestamp,
    valid_until: Timestamp,
    key: Result<CertificateKey, Problem>,
}

#[derive(Debug)]
enum CertificateKey {
    CoreKey(PublicKey),
    /// SEC 1 encoding of the point, compressed or not.
    P384(Vec<u8>),
}

fn malformed(what: &str) -> Problem {
    Problem::new(Code::KeyInvalid, what)
}

/// Returns the DER of a certificate file: the bytes as they are, or decoded from the PEM of one certificate.
pub(super) fn decode_pem_or_der(bytes: Vec<u8>) -> Result<Vec<u8>, Problem> {
    if !bytes.starts_with(b"-----BEGIN") {
        return Ok(bytes);
    }
    match pem::decode_vec(&bytes) {
        Ok(("CERTIFICATE", der)) => Ok(der),
        _ => Err(malformed("it is not the PEM of one certificate and nothing else")),
    }
}

impl Certificate {
    pub(super) fn parse(der: &[u8]) -> Result<Self, Problem> {
        let parsed = x509_cert::Certificate::from_der(der).map_err(|_| malformed("it is not an X.509 certificate"))?;
        let tbs = parsed.tbs_certificate;
        let instant = |time: x509_cert::time::Time| {
            i64::try_from(time.to_unix_duration().as_secs())
                .map(Timestamp::from_unix)
                .map_err(|_| malformed("its validity is out of range"))
        };
        Ok(Self {
            fingerprint: CertificateFingerprint::from_der(der),
            subject: tbs.subject.to_string(),
            valid_from: instant(tbs.validity.not_before)?,
            valid_until: instant(tbs.validity.not_after)?,
            key: parse_key(&tbs.subject_public_key_info),
        })
    }

    /// Checks that an instant is within the validity period. `what` names the instant in the error.
    pub(super) fn check_valid(&self, at: Timestamp, what: &str) -> Result<(), Problem> {
        let Self { valid_from: from, valid_until: until, .. } = self;
        if at < *from {
            return Err(Problem::new(Code::NotYetValid, format!("it is valid only from {from}, and {what} is {at}")));
        }
        if at > *until {
            return Err(Problem::new(Code::Expired, format!("it was valid until {until}, and {what} is {at}")));
        }
        Ok(())
    }

    /// Verifies a JWS signature with the certificate's key; `alg` must be the key's algorithm.
    pub(super) fn verify_signature(&self, alg: &str, message: &[u8], signature: &[u8]) -> Result<(), Problem> {
        let key = self.key.as_ref().map_err(Clone::clone)?;
        let own = match key {
            CertificateKey::CoreKey(key) => key.algorithm().as_str(),
            CertificateKey::P384(_) => "ES384",
        };
        if alg != own {
            return Err(Problem::new(Code::AlgorithmMismatch, format!("its key is one of {own}")));
        }
        match key {
            CertificateKey::CoreKey(key) => key.verify(message, signature),
            CertificateKey::P384(point) => UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point)
                .verify(message, signature)
                .map_err(|_| Code::SignatureInvalid.into()),
        }
    }
}

fn parse_key(info: &SubjectPublicKeyInfoOwned) -> Result<CertificateKey, Problem> {
    let bytes = info.subject_public_key.as_bytes().ok_or_else(|| malformed("its key is not whole bytes"))?;
    let curve = info.algorithm.parameters.as_ref().and_then(|any| any.decode_as::<ObjectIdentifier>().ok());
    match (info.algorithm.oid, curve) {
        (EC, Some(P256)) => PublicKey::from_bytes(SignatureAlgorithm::Es256, bytes).map(CertificateKey::CoreKey),
        (ED25519, None) => PublicKey::from_bytes(SignatureAlgorithm::EdDsa, bytes).map(CertificateKey::CoreKey),
        (EC, Some(P384)) => Ok(CertificateKey::P384(bytes.to_vec())),
        _ => Err(malformed("its key is not P-256, P-384 or Ed25519")),
    }
}

#[cfg(test)]
mod tests {
    use super::CertificateFingerprint;

    #[test]
    fn a_fingerprint_is_read_as_it_is_printed_here_and_elsewhere() {
        let here = CertificateFingerprint::from_der(b"certificate").to_string();
        let pairs: Vec<String> =
            here.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair).to_uppercase()).collect();
        for text in [here.clone(), pairs.join(":")] {
            assert_eq!(CertificateFingerprint::parse(&text).unwrap().to_string(), here);
        }
        for wrong in [
            "",
            "00",
            &here[1..],
            &format!("{here}00"),
            &here.replace(|digit: char| digit.is_ascii_digit(), "x"),
            &pairs.join("::"),
        ] {
            assert!(CertificateFingerprint::parse(wrong).is_err(), "{wrong}");
        }
    }
}
