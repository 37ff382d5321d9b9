//! The official vectors of the EdDSA cryptosuites' specification.

use base16ct::lower::encode_string as hex;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::{eddsa_jcs::EddsaJcs2022, *};
use crate::{
    did::SelfContainedResolver,
    json::{Limits, canonicalize_object, parse_object},
    keys::{SecretKey, SignatureAlgorithm},
};

fn text(name: &str) -> String {
    let folder = std::path::PathBuf::from(std::env::var_os("CARNET_VECTORS").unwrap());
    std::fs::read_to_string(folder.join("vc-di-eddsa/TestVectors").join(name)).unwrap()
}

fn object(name: &str) -> Map<String, Value> {
    parse_object(text(name).as_bytes(), Limits::DOCUMENT).unwrap()
}

fn secret(multibase: &Value) -> SecretKey {
    let bytes = bs58::decode(multibase.as_str().unwrap().strip_prefix('z').unwrap()).into_vec().unwrap();
    assert_eq!(bytes[..2], [0x80, 0x26]);
    SecretKey::from_bytes(SignatureAlgorithm::EdDsa, &bytes[2..]).unwrap()
}

fn expected(proof: &Value) -> ProofRequirements<'_> {
    ProofRequirements {
        purpose: VerificationRelationship::AssertionMethod,
        controller: proof["verificationMethod"].as_str().unwrap().split('#').next().unwrap(),
        binding: None,
        now: Timestamp::parse("2023-03-01T00:00:00Z").unwrap(),
        skew: 0,
    }
}

#[test]
#[cfg_attr(not(carnet_vectors), ignore = "CARNET_VECTORS is not set")]
fn eddsa_jcs_2022_is_reproduced_step_by_step() {
    let signed = object("eddsa-jcs-2022/signedJCS.json");
    let keys = object("keyPair.json");
    let signer = secret(&keys["privateKeyMultibase"]);
    assert_eq!(json!(signer.public_key().to_multikey()), keys["publicKeyMultibase"]);

    let document = object("unsigned.json");
    let config = object("eddsa-jcs-2022/proofConfigJCS.json");
    let canonical = canonicalize_object(&document).unwrap();
    assert_eq!(String::from_utf8_lossy(&canonical), text("eddsa-jcs-2022/canonDocJCS.txt").trim_end());
    assert_eq!(hex(&Sha256::digest(canonical)), text("eddsa-jcs-2022/docHashJCS.txt").trim());
    let canonical = canonicalize_object(&config).unwrap();
    assert_eq!(String::from_utf8_lossy(&canonical), text("eddsa-jcs-2022/proofCanonJCS.txt").trim_end());
    assert_eq!(hex(&Sha256::digest(canonical)), text("eddsa-jcs-2022/proofHashJCS.txt").trim());

    let options = ProofOptions {
        verification_method: config["verificationMethod"].as_str().unwrap(),
        purpose: VerificationRelationship::AssertionMethod,
        created: Some(Timestamp::parse(config["created"].as_str().unwrap()).unwrap()),
        expires: None,
        challenge: None,
        domain: None,
    };
    let made = add_proof(&document, &EddsaJcs2022, &options, &signer).unwrap();
    assert_eq!(made, signed);
    assert_eq!(made["proof"]["proofValue"], json!(text("eddsa-jcs-2022/sigBTC58JCS.txt").trim()));
    assert_eq!(
        hex(&bs58::decode(&made["proof"]["proofValue"].as_str().unwrap()[1..]).into_vec().unwrap()),
        text("eddsa-jcs-2022/sigHexJCS.txt").trim()
    );
}

#[test]
#[cfg_attr(not(carnet_vectors), ignore = "CARNET_VECTORS is not set")]
fn eddsa_jcs_2022_is_verified() {
    let signed = object("eddsa-jcs-2022/signedJCS.json");
    let expected = expected(&signed["proof"]);
    assert_eq!(
        verify(&signed, &Cryptosuites::jcs(), &SelfContainedResolver, &expected).unwrap(),
        object("unsigned.json")
    );
    let mut changed = signed.clone();
    changed["name"] = json!("Alumni credential");
    let refusal = verify(&changed, &Cryptosuites::jcs(), &SelfContainedResolver, &expected).unwrap_err();
    assert_eq!(refusal.code, Code::SignatureInvalid);
}

/// Replaces eddsa-rdfc-2022 and records its input: the vectors of proof sets and chains are made with that suite, and
/// core has to compute its input right.
#[derive(Clone, Default)]
struct Recorder(std::sync::Arc<std::sync::Mutex<Vec<Map<String, Value>>>>);

impl Cryptosuite for Recorder {
    fn name(&self) -> &'static str {
        "eddsa-rdfc-2022"
    }

    fn format(&self) -> CredentialFormat {
        CredentialFormat::LdpVc
    }

    fn supports_algorithm(&self, _: SignatureAlgorithm) -> bool {
        true
    }

    fn create_proof(
        &self,
        _: &Map<String, Value>,
        _: Map<String, Value>,
        _: &dyn Signer,
    ) -> Result<Map<String, Value>, Problem> {
        Err(Code::ProofGeneration.into())
    }

    fn verify_proof(
        &self,
        document: &Map<String, Value>,
        _: &Map<String, Value>,
        _: &PublicKey,
    ) -> Result<Map<String, Value>, Problem> {
        self.0.lock().unwrap().push(document.clone());
        Ok(document.clone())
    }
}

/// The proofs of the vectors are by different keys, whose documents all belong to the expected controller.
struct AllKeys;

impl Resolve for AllKeys {
    fn resolve(&self, did: &crate::did::Did) -> Result<std::sync::Arc<crate::did::DidDocument>, Problem> {
        let keys: Vec<(String, PublicKey)> = object("proof-set-chain/multiKeyPairs.json")
            .values()
            .map(|pair| pair["publicKeyMultibase"].as_str().unwrap().to_owned())
            .map(|text| (text.clone(), PublicKey::from_multikey(&text).unwrap()))
            .collect();
        let document = crate::did::DidDocument::json_for_keys(did, &keys);
        crate::did::DidDocument::parse(did, &document).map(std::sync::Arc::new)
    }
}

fn as_one_party(mut signed: Map<String, Value>) -> Map<String, Value> {
    for proof in signed["proof"].as_array_mut().unwrap() {
        let method = proof["verificationMethod"].as_str().unwrap();
        let (_, fragment) = method.split_once('#').unwrap();
        proof["verificationMethod"] = json!(format!("did:web:all.example#{fragment}"));
    }
    signed
}

#[test]
#[cfg_attr(not(carnet_vectors), ignore = "CARNET_VECTORS is not set")]
fn proof_sets_and_chains_are_taken_apart_as_the_vectors_have_it() {
    let unsigned = object("proof-set-chain/unsigned.json");
    for (file, inputs) in [
        ("signedProofSet2", ["", ""].as_slice()),
        ("signedProofChain1", &["", "", "proofChainTempDoc1"]),
        ("signedProofChain2", &["", "", "proofChainTempDoc1", "proofChainTempDoc2"]),
    ] {
        let signed = as_one_party(object(&format!("proof-set-chain/{file}.json")));
        let recorder = Recorder::default();
        let expected = expected(&signed["proof"][0]);
        assert_eq!(verify(&signed, &Cryptosuites::only(recorder.clone()), &AllKeys, &expected).unwrap(), unsigned);
        let given = recorder.0.lock().unwrap().clone();
        let wanted: Vec<Map<String, Value>> = inputs
            .iter()
            .map(|name| match *name {
                "" => unsigned.clone(),
                name => as_one_party(object(&format!("proof-set-chain/{name}.json"))),
            })
            .collect();
        assert_eq!(given, wanted, "{file}");
    }
}
