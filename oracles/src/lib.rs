//! Credentials and identifiers of Carnet and of the crate `ssi`, made from the same keys, for the tests and the benchmark.
//!
//! `ssi` is an independent implementation in Rust of the same specifications. What one of the two makes, the other has to
//! accept, and what was altered both have to refuse.

use std::collections::HashMap;

use carnet_core::{
    Problem,
    did::{Did, SelfContainedResolver, VerificationRelationship},
    keys::{SecretKey, SignatureAlgorithm, Signer},
    secure::data_integrity::{self, Cryptosuites, ProofOptions, ProofRequirements},
    time::Timestamp,
};
use carnet_jsonld::RdfcCryptosuite;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use ssi::{
    claims::data_integrity::{AnySuite, CryptographicSuite, ProofOptions as SsiProofOptions},
    claims::vc::v2::JsonCredential,
    json_ld::ContextLoader,
    prelude::*,
};

/// URL of the context of the catalogue's qualifications.
const CONTEXT_URL: &str = "https://carnet.example/ns/qualification/v1";
const CONTEXT: &str = include_str!("../../spec/types/qualification/context.jsonld");
const EXAMPLE: &str = include_str!("../../spec/types/qualification/example.json");

/// Time at which both sign and verify.
pub const NOW: &str = "2026-12-01T09:00:00Z";

/// Issuer with one key, whose DID is a `did:key` or a `did:jwk`.
pub struct Issuer {
    pub key: SecretKey,
    pub did: Did,
    /// DID URL of the key.
    pub method: String,
}

impl Issuer {
    /// Creates the issuer whose DID is the `did:key` of a key with this algorithm.
    pub fn did_key(algorithm: SignatureAlgorithm) -> Self {
        let key = SecretKey::from_bytes(algorithm, &[7; 32]).expect("32 bytes are a key");
        let did = Did::did_key(&key.public_key());
        let method = format!("{did}#{}", did.method_specific_id());
        Self { key, did, method }
    }

    /// Creates the issuer whose DID is the `did:jwk` of a key with this algorithm.
    pub fn did_jwk(algorithm: SignatureAlgorithm) -> Self {
        let key = SecretKey::from_bytes(algorithm, &[7; 32]).expect("32 bytes are a key");
        let did = Did::did_jwk(&key.public_key());
        let method = format!("{did}#0");
        Self { key, did, method }
    }

    /// Returns the public key as a JWK of `ssi`.
    pub fn public_jwk(&self) -> JWK {
        serde_json::from_value(self.key.public_key().to_jwk().into()).expect("ssi reads the JWK")
    }

    /// Returns the secret key as a JWK of `ssi`, whose `kid` is the DID URL.
    pub fn secret_jwk(&self) -> JWK {
        let mut jwk = self.key.public_key().to_jwk();
        let secret = base64::Engine::encode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, self.key.to_bytes());
        jwk.insert("d".to_owned(), secret.into());
        jwk.insert("kid".to_owned(), self.method.clone().into());
        serde_json::from_value(jwk.into()).expect("ssi reads the JWK")
    }

    /// Returns the catalogue's example of a qualification, as this issuer's, without a proof.
    pub fn qualification(&self) -> Map<String, Value> {
        let mut credential: Map<String, Value> = serde_json::from_str(EXAMPLE).expect("the example is JSON");
        credential.insert("issuer".to_owned(), self.did.as_str().into());
        credential
    }
}

/// Returns [`NOW`].
pub fn now() -> Timestamp {
    Timestamp::parse(NOW).expect("NOW is a date and time")
}

/// Returns Carnet's registry with eddsa-rdfc-2022 and the contexts of the catalogue.
pub fn carnet_suites() -> Cryptosuites {
    let digest: String = Sha256::digest(CONTEXT).iter().map(|byte| format!("{byte:02x}")).collect();
    let contexts = vec![(CONTEXT_URL.to_owned(), CONTEXT.to_owned(), digest)];
    Cryptosuites::only(RdfcCryptosuite::eddsa_2022(contexts).expect("the context is valid"))
}

/// Returns `ssi`'s loader with the same contexts.
pub fn ssi_contexts() -> ContextLoader {
    let contexts = HashMap::from([(CONTEXT_URL.to_owned(), CONTEXT.to_owned())]);
    ContextLoader::default().with_context_map_from(contexts).expect("the context is valid")
}

/// Signs the qualification with eddsa-rdfc-2022, with Carnet.
pub fn sign_with_carnet(issuer: &Issuer, suites: &Cryptosuites) -> Map<String, Value> {
    let suite = suites.by_name("eddsa-rdfc-2022").expect("the registry has it");
    let options = ProofOptions {
        verification_method: &issuer.method,
        purpose: VerificationRelationship::AssertionMethod,
        created: Some(now()),
        expires: None,
        challenge: None,
        domain: None,
    };
    data_integrity::add_proof(&issuer.qualification(), suite, &options, &issuer.key).expect("Carnet signs")
}

/// Verifies the proof of a credential with Carnet: its text is read, its key resolved, and its signature verified.
///
/// # Errors
/// Those of [`data_integrity::verify`].
pub fn verify_with_carnet(text: &str, issuer: &Did, suites: &Cryptosuites) -> Result<(), Problem> {
    let document = carnet_core::json::parse_object(text.as_bytes(), carnet_core::json::Limits::DOCUMENT)?;
    let expected = ProofRequirements {
        purpose: VerificationRelationship::AssertionMethod,
        controller: issuer.as_str(),
        binding: None,
        now: now(),
        skew: 60,
    };
    data_integrity::verify(&document, suites, &SelfContainedResolver, &expected).map(|_| ())
}

/// Signs the qualification with eddsa-rdfc-2022, with `ssi`.
pub async fn sign_with_ssi(issuer: &Issuer) -> String {
    let credential: JsonCredential =
        serde_json::from_value(issuer.qualification().into()).expect("ssi reads the credential");
    let resolver = ssi::dids::AnyDidMethod::default().into_vm_resolver::<AnyMethod>();
    let signer = SingleSecretSigner::new(issuer.secret_jwk()).into_local();
    let method = ssi::json_ld::iref::IriBuf::new(issuer.method.clone()).expect("a DID URL is an IRI");
    let mut options = SsiProofOptions::from_method(method.into());
    options.created = Some(NOW.parse::<ssi::xsd::DateTimeStamp>().expect("a date and time").into());
    let environment = ssi::claims::SignatureEnvironment { json_ld_loader: ssi_contexts(), eip712_loader: () };
    let signed = AnySuite::EdDsaRdfc2022
        .sign_with(environment, credential, resolver, signer, options, Default::default())
        .await
        .expect("ssi signs");
    serde_json::to_string(&signed).expect("the credential is JSON")
}

/// Verifies a credential with `ssi`: its text is read, its key resolved, and its signature verified.
///
/// # Errors
/// A description of what `ssi` refused.
pub async fn verify_with_ssi(text: &str, contexts: &ContextLoader) -> Result<(), String> {
    let credential = ssi::claims::data_integrity::from_json_str::<JsonCredential, AnySuite>(text)
        .map_err(|error| error.to_string())?;
    let resolver = ssi::dids::AnyDidMethod::default().into_vm_resolver::<AnyMethod>();
    let at = chrono::DateTime::parse_from_rfc3339(NOW).expect("NOW is a date and time").to_utc();
    let parameters =
        VerificationParameters::from_resolver(resolver).with_json_ld_loader(contexts.clone()).with_date_time(at);
    let verification = credential.verify(parameters).await.map_err(|error| error.to_string())?;
    verification.map_err(|error| error.to_string())
}

/// Runs a future of `ssi` to its end.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime starts").block_on(future)
}
