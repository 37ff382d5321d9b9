//! Profiles: one for each cryptosuite, key type and format, each with its issuer and its endpoints.

use carnet_core::{
    conformance::Enveloping,
    did::Did,
    keys::{SecretKey, SignatureAlgorithm, Signer as _},
};
use rand_core::OsRng;

use SignatureAlgorithm::{EdDsa, Es256, Es384};

/// Form in which a profile secures documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Securing {
    /// Embedded proof with this cryptosuite.
    Suite(&'static str),
    /// Envelope.
    Envelope(Enveloping),
}

/// Profile: first segment of the paths of its endpoints, and how it secures documents.
#[derive(Debug)]
pub(crate) struct Profile {
    /// First segment of the path.
    pub(crate) name: &'static str,
    pub(crate) securing: Securing,
    pub(crate) algorithm: SignatureAlgorithm,
    /// `true`: issued credentials get an entry of a status list.
    pub(crate) with_status: bool,
    /// Tags by which the suites choose the endpoints.
    pub(crate) tags: &'static [&'static str],
    /// Key type in the configuration of the ECDSA suite.
    pub(crate) key_type: Option<&'static str>,
}

const fn embedded(
    name: &'static str,
    suite: &'static str,
    algorithm: SignatureAlgorithm,
    tags: &'static [&'static str],
) -> Profile {
    let key_type = match algorithm {
        SignatureAlgorithm::EdDsa => None,
        SignatureAlgorithm::Es256 => Some("P-256"),
        SignatureAlgorithm::Es384 => Some("P-384"),
    };
    Profile { name, securing: Securing::Suite(suite), algorithm, with_status: false, tags, key_type }
}

const fn enveloped(
    name: &'static str,
    enveloping: Enveloping,
    algorithm: SignatureAlgorithm,
    tags: &'static [&'static str],
) -> Profile {
    Profile { securing: Securing::Envelope(enveloping), ..embedded(name, "", algorithm, tags) }
}

/// All profiles. The first one is that of the paths without a profile.
pub(crate) const PROFILES: [Profile; 11] = [
    embedded("eddsa-rdfc-2022", "eddsa-rdfc-2022", EdDsa, &["vc2.0", "VC-API", "eddsa-rdfc-2022"]),
    embedded("eddsa-jcs-2022", "eddsa-jcs-2022", EdDsa, &["eddsa-jcs-2022"]),
    embedded("ecdsa-rdfc-2019-p256", "ecdsa-rdfc-2019", Es256, &["ecdsa-rdfc-2019"]),
    embedded("ecdsa-rdfc-2019-p384", "ecdsa-rdfc-2019", Es384, &["ecdsa-rdfc-2019"]),
    embedded("ecdsa-jcs-2019-p256", "ecdsa-jcs-2019", Es256, &["ecdsa-jcs-2019"]),
    embedded("ecdsa-jcs-2019-p384", "ecdsa-jcs-2019", Es384, &["ecdsa-jcs-2019"]),
    Profile { with_status: true, ..embedded("bitstring", "eddsa-rdfc-2022", EdDsa, &["BitstringStatusList"]) },
    Profile { with_status: true, ..embedded("bitstring-jcs", "eddsa-jcs-2022", EdDsa, &["BitstringStatusList"]) },
    enveloped("vc-jwt", Enveloping::Jwt, EdDsa, &["EnvelopingProof", "JWT"]),
    enveloped("vc-jwt-p256", Enveloping::Jwt, Es256, &["JWT"]),
    enveloped("vc-sd-jwt", Enveloping::SdJwt, EdDsa, &["SD-JWT"]),
];

/// Issuer of a profile: a key that ends with the process, and its did:key.
#[derive(Debug)]
pub(crate) struct ProfileIssuer {
    pub(crate) key: SecretKey,
    pub(crate) did: String,
    /// DID URL of the key.
    pub(crate) method: String,
}

impl ProfileIssuer {
    /// Generates the key.
    pub(crate) fn generate(algorithm: SignatureAlgorithm) -> Self {
        let key = SecretKey::generate(algorithm, &mut OsRng);
        let did = Did::did_key(&key.public_key());
        let method = format!("{did}#{}", did.method_specific_id());
        Self { key, did: did.to_string(), method }
    }
}
