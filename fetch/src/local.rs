//! Local sites: services on this machine with pinned self-signed certificates. For trials, never for production.
//!
//! A pin applies only to the host `localhost`, which is then contacted at 127.0.0.1 without DNS. With a pin, no
//! certificate authority is trusted for that host.

use std::{collections::BTreeSet, fmt, str::FromStr, sync::Arc};

use carnet_core::{
    Code, Problem,
    did::{Did, web},
    json::{self, Limits},
};
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use url::Url;

pub use crate::address::LOCALHOST;
use crate::address::normalize_host;

/// Maximum length of the display name of a site or a registrar, in characters.
const MAX_NAME_CHARS: usize = 200;
/// Number of hexadecimal digits of a SHA-256 digest.
const SHA256_HEX_DIGITS: usize = 64;

/// SHA-256 of a certificate (DER), in lower-case hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint(String);

impl Fingerprint {
    /// Computes the fingerprint of a certificate.
    #[must_use]
    pub fn of(certificate: &CertificateDer<'_>) -> Self {
        Self(base16ct::lower::encode_string(&Sha256::digest(certificate)))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Fingerprint {
    type Err = Problem;

    /// Parses 64 hexadecimal digits, in upper or lower case.
    fn from_str(text: &str) -> Result<Self, Problem> {
        let fits = text.len() == SHA256_HEX_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let malformed = || Problem::new(Code::MalformedValue, "a fingerprint has 64 hexadecimal digits");
        if fits { Ok(Self(text.to_ascii_lowercase())) } else { Err(malformed()) }
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = Problem;

    fn try_from(text: String) -> Result<Self, Problem> {
        text.parse()
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.0
    }
}

/// Description of a local site: the file `local-site.json`, created by the command `init --local` of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalSite {
    /// DID whose document the site publishes: a did:web on `localhost`.
    pub did: String,
    /// Display name.
    pub name: String,
    /// Fingerprint of the site's certificate.
    pub certificate_sha256: Fingerprint,
    /// Registrar created for this verifier alone; its key was destroyed after the registration was signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registrar: Option<LocalRegistrar>,
}

/// Registrar of a local verifier, created with it by `init --local`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalRegistrar {
    /// DID of the registrar.
    pub did: String,
    /// Display name.
    pub name: String,
}

impl LocalSite {
    /// Parses the description of a local site.
    ///
    /// # Errors
    /// It is malformed or has unknown members; its DID is not a did:web on `localhost`; a display name is blank or
    /// longer than 200 characters.
    pub fn parse(bytes: &[u8]) -> Result<Self, Problem> {
        let object = json::parse_object(bytes, Limits::SMALL)?;
        let malformed = |what: &str| Problem::new(Code::MalformedValue, what);
        let site: Self = serde_json::from_value(object.into())
            .map_err(|error| malformed(&format!("this does not describe a local site: {error}")))?;
        if !is_localhost_did(&site.did) {
            return Err(malformed("its DID is not a did:web on localhost"));
        }
        let names = [Some(&site.name), site.registrar.as_ref().map(|registrar| &registrar.name)];
        if names.into_iter().flatten().any(|name| name.trim().is_empty() || name.chars().count() > MAX_NAME_CHARS) {
            return Err(malformed("a name has no text, or more than 200 characters"));
        }
        Ok(site)
    }
}

/// Returns whether a DID is a did:web on `localhost`, at any port.
#[must_use]
pub fn is_localhost_did(did: &str) -> bool {
    localhost_port(did).is_some()
}

/// Returns the port of a did:web on `localhost`, 443 if it states none; `None` for every other DID.
#[must_use]
pub fn localhost_port(did: &str) -> Option<u16> {
    let did = Did::parse(did).ok()?;
    let url = Url::parse(&web::document_url(&did).ok()?).ok()?;
    if url.host_str() == Some(LOCALHOST) { url.port_or_known_default() } else { None }
}

/// Error: the certificate of `localhost` is not a pinned one.
#[derive(Debug)]
struct NotPinned;

impl fmt::Display for NotPinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the certificate is not pinned for localhost")
    }
}

impl std::error::Error for NotPinned {}

/// TLS certificate verifier: by pins for `localhost`, by certificate authorities for every other host. A pinned
/// certificate must also be valid now and issued for `localhost`.
#[derive(Debug)]
pub(crate) struct PinnedLocalhostVerifier {
    pins: BTreeSet<Fingerprint>,
    /// Verifier for other hosts; `None`: no certificate authority is trusted.
    other_hosts: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl PinnedLocalhostVerifier {
    /// Creates a verifier from pins, which must not be empty, and CA certificates, which may be empty.
    pub(crate) fn new(
        pins: BTreeSet<Fingerprint>,
        roots: RootCertStore,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, Problem> {
        let others =
            if roots.is_empty() { None } else { Some(webpki_verifier(roots, &provider).map_err(tls_setup_problem)?) };
        Ok(Self { pins, other_hosts: others, provider })
    }
}

fn tls_setup_problem(error: Error) -> Problem {
    Problem::new(Code::KeyInvalid, format!("TLS cannot be set up: {error}"))
}

fn webpki_verifier(roots: RootCertStore, provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, Error> {
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|error| Error::General(error.to_string()))
}

impl ServerCertVerifier for PinnedLocalhostVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let is_localhost =
            matches!(server_name, ServerName::DnsName(name) if normalize_host(name.as_ref()) == LOCALHOST);
        if !is_localhost {
            let Some(others) = &self.other_hosts else { return Err(CertificateError::UnknownIssuer.into()) };
            return others.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        }
        if !self.pins.contains(&Fingerprint::of(end_entity)) {
            return Err(CertificateError::Other(OtherError(Arc::new(NotPinned))).into());
        }
        // The pin identifies the certificate. Name, validity and usage are verified, with the certificate as its own
        // authority.
        let mut own = RootCertStore::empty();
        own.add(end_entity.clone().into_owned())?;
        webpki_verifier(own, &self.provider)?.verify_server_cert(end_entity, &[], server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    /// A certificate that signs itself, for both names.
    fn certificate(until: i32) -> CertificateDer<'static> {
        let mut params = CertificateParams::new([LOCALHOST.to_owned(), "university.example".to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(until, 1, 1));
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    fn verify(pinned: &[&CertificateDer<'_>], roots: RootCertStore, shown: &CertificateDer<'_>, host: &str) -> bool {
        let pins = pinned.iter().map(|certificate| Fingerprint::of(certificate)).collect();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = PinnedLocalhostVerifier::new(pins, roots, provider).unwrap();
        // 2026-11-30.
        let now = UnixTime::since_unix_epoch(Duration::from_secs(1_796_000_000));
        let host = ServerName::try_from(host.to_owned()).unwrap();
        verifier.verify_server_cert(shown, &[], &host, &[], now).is_ok()
    }

    #[test]
    fn a_pin_counts_for_its_certificate_on_localhost_and_nowhere_else() {
        let (pinned, other, ended) = (certificate(2030), certificate(2030), certificate(2025));
        let none = RootCertStore::empty;
        assert!(verify(&[&pinned], none(), &pinned, "localhost"));
        assert!(verify(&[&other, &pinned], none(), &pinned, "LocalHost"));
        assert!(!verify(&[&pinned], none(), &pinned, "university.example"));
        assert!(!verify(&[&pinned], none(), &pinned, "127.0.0.1"));
        assert!(!verify(&[&pinned], none(), &pinned, "localhost.example"));
        assert!(!verify(&[&pinned], none(), &other, "localhost"));
        assert!(!verify(&[&ended], none(), &ended, "localhost"));
    }

    #[test]
    fn an_authority_counts_for_other_hosts_and_not_for_localhost() {
        let (pinned, trusted) = (certificate(2030), certificate(2030));
        let mut roots = RootCertStore::empty();
        roots.add(trusted.clone()).unwrap();
        assert!(verify(&[&pinned], roots.clone(), &trusted, "university.example"));
        assert!(!verify(&[&pinned], roots.clone(), &trusted, "localhost"));
        assert!(verify(&[&pinned], roots, &pinned, "localhost"));
    }

    #[test]
    fn a_description_is_of_a_site_on_localhost() {
        let pin = "ab".repeat(32);
        let read = |did: &str, rest: &str| {
            LocalSite::parse(format!(r#"{{"did":"{did}","name":"A","certificate_sha256":"{pin}"{rest}}}"#).as_bytes())
        };
        let site = read("did:web:localhost%3A7443", "").unwrap();
        assert_eq!((localhost_port(&site.did), site.certificate_sha256.to_string()), (Some(7443), pin.clone()));
        assert_eq!(LocalSite::parse(serde_json::to_string(&site).unwrap().as_bytes()).unwrap(), site);
        assert!(read("did:web:localhost%3A7443:path", r#","registrar":{"did":"did:key:z6Mk","name":"R"}"#).is_ok());
        for did in ["did:web:university.example", "did:web:localhost.example", "did:key:z6Mk", "localhost"] {
            assert!(read(did, "").is_err(), "{did}");
        }
        assert!(read("did:web:localhost%3A7443", r#","ca":"x""#).is_err());
        assert!("xy".repeat(32).parse::<Fingerprint>().is_err() && "ab".parse::<Fingerprint>().is_err());
    }
}
