//! Overhead of Carnet over the bare cryptography that each operation needs.
//!
//! Each pair, ours and its floor, is measured in the same run and interleaved, so that both see the
//! same machine; a figure is the median of many rounds. The last lines are `ratio NAME VALUE`.
//!
//! With `CARNET_CALLS="NAME SIDE COUNT"`, one side (`ours` or `floor`) of one pair is called that often, and nothing is
//! measured: `.ci/instructions` counts the instructions.

// A bench is a program: it has a clock, and may stop at the first error.
#![allow(
    missing_docs,
    clippy::disallowed_methods,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::{
    collections::BTreeMap,
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use carnet_core::{
    Problem,
    at_least::{self, Direction, OrderedValue},
    did::{Did, DidDocument, Resolve, SelfContainedResolver, VerificationRelationship},
    keys::{PublicKey, SecretKey, SignatureAlgorithm, Signer},
    query::{Query, parse_path, path_to_json},
    secure::{
        data_integrity::{self, Cryptosuites, ProofOptions, ProofRequirements, eddsa_jcs::EddsaJcs2022},
        sd_jwt::{ClaimPath, IssueOptions, SdJwt, issue},
    },
    time::Timestamp,
    verify::{
        self, IssuerPolicy, PresentationContext, StatusPolicy, TypeCatalogue, VerificationEnvironment,
        VerifiedCredential,
    },
};
use rand_core::{CryptoRng, RngCore};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

const ROUNDS: usize = 400;
/// Calls in a round, so that a round is long compared with reading the clock.
const CALLS: u32 = 5;

const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);
const NONCE: &str = "n-0S6_WzA2Mj-ksjd8231";
const AUDIENCE: &str = "decentralized_identifier:did:web:agency.example";

fn main() {
    let [proving, proof_checking] = at_least();
    let ratios = [presentation(), eddsa_jcs(), issuing(), proving, proof_checking];
    for (name, ratio) in ratios.into_iter().filter(|_| calls().is_none()) {
        println!("ratio {name} {ratio:.2}");
    }
}

/// Name, side and number of the calls that are wanted in place of a measurement.
fn calls() -> Option<(String, String, u32)> {
    let wanted = std::env::var("CARNET_CALLS").ok()?;
    let [name, side, count] = wanted.split(' ').collect::<Vec<_>>()[..] else { panic!("CARNET_CALLS: {wanted}") };
    Some((name.to_owned(), side.to_owned(), count.parse().unwrap()))
}

/// Measures both, prints both, and gives the one over the other.
fn compare(name: &'static str, mut ours: impl FnMut(), mut floor: impl FnMut()) -> (&'static str, f64) {
    if let Some((wanted, side, count)) = calls() {
        for _ in 0..if wanted == name { count } else { 0 } {
            if side == "floor" { floor() } else { ours() }
        }
        return (name, f64::NAN);
    }
    let time = |work: &mut dyn FnMut()| {
        let start = Instant::now();
        for _ in 0..CALLS {
            work();
        }
        start.elapsed() / CALLS
    };
    for _ in 0..ROUNDS / 10 {
        time(&mut ours);
        time(&mut floor);
    }
    let (mut of_ours, mut of_floor): (Vec<Duration>, Vec<Duration>) =
        (0..ROUNDS).map(|_| (time(&mut ours), time(&mut floor))).unzip();
    let median = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2].as_secs_f64() * 1e6
    };
    let (ours, floor) = (median(&mut of_ours), median(&mut of_floor));
    println!("{name}: {ours:.1} us, of which the floor is {floor:.1} us");
    (name, ours / floor)
}

fn key(byte: u8) -> SecretKey {
    SecretKey::from_bytes(SignatureAlgorithm::EdDsa, &[byte; 32]).unwrap()
}

/// A credential of about 1.4 KB with ten claims that may be withheld.
fn credential(issuer: &str, subject: &str) -> (Map<String, Value>, Vec<ClaimPath>) {
    let payload = json!({
        "@context": ["https://www.w3.org/ns/credentials/v2", "https://carnet.example/ns/qualification/v1"],
        "type": ["VerifiableCredential", "QualificationCredential"],
        "issuer": issuer,
        "validFrom": "2026-11-22T00:00:00Z",
        "validUntil": "2036-11-22T00:00:00Z",
        "credentialSubject": {
            "id": subject,
            "givenName": "Amira",
            "familyName": "Haddad",
            "dateOfBirth": "1996-04-12",
            "title": "Bachelor of Science in Civil Engineering",
            "awardingBody": {"legalName": "University of Example", "location": "AT"},
            "eqfLevel": 6,
            "iscedfCode": "0732",
            "creditPoints": 180,
            "awardingDate": "2021-07-02",
            "grade": "very good",
        },
    });
    let subject = payload["credentialSubject"].as_object().unwrap();
    let names = subject.keys().filter(|name| *name != "id");
    let paths: Vec<_> = names.map(|name| parse_path(&json!(["credentialSubject", name])).unwrap()).collect();
    assert_eq!(paths.len(), 10);
    (payload.as_object().unwrap().clone(), paths)
}

/// The digests of a compact SD-JWT: one for each disclosure, and one over all for the key binding.
fn hashes(compact: &str) -> u8 {
    let (head, _) = compact.rsplit_once('~').unwrap();
    let each = head.split('~').skip(1).map(|text| Sha256::digest(text)[0]).fold(0, |a, b| a ^ b);
    each ^ Sha256::digest(&compact[..=head.len()])[0]
}

fn options<'a>(kid: &'a str, disclosable: &'a [ClaimPath], holder: &'a PublicKey) -> IssueOptions<'a> {
    IssueOptions {
        typ: "vc+sd-jwt",
        kid,
        disclosable,
        ordered_claims: &[],
        holder_key: Some(holder),
        decoys_to_multiple_of: 4,
        padded_arrays: &[],
    }
}

/// The services' side of verification at no cost: the issuer's document is at hand, one issuer is
/// accepted for one type, and the type's schema, which is the catalogue's, is not measured here.
struct AtHand {
    document: Arc<DidDocument>,
    issuer: String,
}

impl Resolve for AtHand {
    fn resolve(&self, _: &Did) -> Result<Arc<DidDocument>, Problem> {
        Ok(Arc::clone(&self.document))
    }
}
impl IssuerPolicy for AtHand {
    fn check_issuer(&self, held: &VerifiedCredential) -> Result<(), Problem> {
        assert_eq!(held.credential.issuer(), self.issuer);
        Ok(())
    }
}
impl TypeCatalogue for AtHand {
    fn type_name(&self, types: &[&str], _: Option<&str>) -> Result<String, Problem> {
        Ok(types[0].to_owned())
    }
    fn check_schema(&self, _: &str, _: &Map<String, Value>) -> Result<(), Problem> {
        Ok(())
    }
}

/// The whole pipeline, from an answer of ten disclosures with key binding to a verified value, over
/// two strict verifications and the hashes.
fn presentation() -> (&'static str, f64) {
    let (issuer, holder) = (key(1), key(2));
    let (issuer_key, holder_key) = (issuer.public_key(), holder.public_key());
    let did = Did::parse("did:web:university.example").unwrap();
    let kid = format!("{did}#key-1");
    let document = DidDocument::json_for_keys(&did, &[("key-1".to_owned(), issuer_key.clone())]);
    let services =
        AtHand { document: Arc::new(DidDocument::parse(&did, &document).unwrap()), issuer: did.as_str().to_owned() };

    let (payload, paths) = credential(did.as_str(), Did::did_jwk(&holder_key).as_str());
    let issued = issue(&payload, &options(&kid, &paths, &holder_key), &issuer, &mut Counter(0)).unwrap();
    let shown = SdJwt::parse(&issued).unwrap().bind_key(NONCE, AUDIENCE, NOW, &holder).unwrap();
    let claims: Vec<_> = paths.iter().map(|path| json!({"path": path_to_json(path)})).collect();
    let query = Query::parse(&json!({"credentials": [{
        "id": "diploma", "format": "vc+sd-jwt", "meta": {"type_values": [["QualificationCredential"]]}, "claims": claims,
    }]}))
    .unwrap();
    let answer = BTreeMap::from([("diploma".to_owned(), vec![shown.clone()])]);
    let asked = PresentationContext { query: &query, nonce: NONCE, audience: AUDIENCE, max_age: 300 };
    let env = VerificationEnvironment {
        now: NOW,
        skew: 60,
        resolver: &services,
        suites: &Cryptosuites::empty(),
        issuer_policy: &services,
        types: &services,
        status_policy: StatusPolicy::NotChecked(""),
    };
    let ours = || {
        let (report, verified) = verify::verify_presentation(black_box(&answer), &asked, &env);
        assert!(verified.is_some(), "{:?}", report.first_failure());
        black_box(verified);
    };
    let parts = [issued.split('~').next().unwrap(), shown.rsplit('~').next().unwrap()].map(signed_part);
    let floor = || {
        issuer_key.verify(black_box(&parts[0].0), &parts[0].1).unwrap();
        holder_key.verify(black_box(&parts[1].0), &parts[1].1).unwrap();
        black_box(hashes(black_box(&shown)));
    };
    compare("sd-jwt-presentation", ours, floor)
}

fn signed_part(token: &str) -> (Vec<u8>, Vec<u8>) {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let (signed, signature) = token.rsplit_once('.').unwrap();
    (signed.as_bytes().to_vec(), URL_SAFE_NO_PAD.decode(signature).unwrap())
}

/// A Data Integrity proof, over one strict verification and the two hashes; canonicalisation is on our side.
fn eddsa_jcs() -> (&'static str, f64) {
    let issuer = key(1);
    let issuer_key = issuer.public_key();
    let did = Did::did_key(&issuer_key);
    let method = format!("{did}#{}", issuer_key.to_multikey());
    let (payload, _) = credential(did.as_str(), "did:jwk:subject");
    let proof = ProofOptions {
        verification_method: &method,
        purpose: VerificationRelationship::AssertionMethod,
        created: Some(NOW),
        expires: None,
        challenge: None,
        domain: None,
    };
    let secured = data_integrity::add_proof(&payload, &EddsaJcs2022, &proof, &issuer).unwrap();
    let suites = Cryptosuites::only(EddsaJcs2022);
    let expected = ProofRequirements {
        purpose: VerificationRelationship::AssertionMethod,
        controller: did.as_str(),
        binding: None,
        now: NOW,
        skew: 60,
    };
    let ours = || {
        black_box(data_integrity::verify(black_box(&secured), &suites, &SelfContainedResolver, &expected).unwrap());
    };
    let document = serde_json::to_vec(&payload).unwrap();
    let config = serde_json::to_vec(&secured["proof"]).unwrap();
    let signature = issuer.sign(&[0; 64]).unwrap();
    let floor = || {
        let hashes = (Sha256::digest(black_box(&config)), Sha256::digest(black_box(&document)));
        black_box(hashes);
        issuer_key.verify(black_box(&[0; 64]), &signature).unwrap();
    };
    compare("eddsa-jcs-verify", ours, floor)
}

/// Ten disclosures and two decoys, over one signature and the hashes.
fn issuing() -> (&'static str, f64) {
    let (issuer, holder) = (key(1), key(2));
    let holder_key = holder.public_key();
    let did = Did::did_key(&issuer.public_key());
    let kid = format!("{did}#{}", issuer.public_key().to_multikey());
    let (payload, paths) = credential(did.as_str(), Did::did_jwk(&holder_key).as_str());
    let options = options(&kid, &paths, &holder_key);
    let issued = issue(&payload, &options, &issuer, &mut Counter(0)).unwrap();
    let signed = signed_part(issued.split('~').next().unwrap()).0;
    let mut rng = Counter(0);
    let ours = || {
        black_box(issue(black_box(&payload), &options, &issuer, &mut rng).unwrap());
    };
    let decoy = "0123456789012345678901234567890123456789012";
    let floor = || {
        for text in black_box(&issued).split('~').skip(1).take(10).chain([decoy; 2]) {
            black_box(Sha256::digest(text));
        }
        black_box(issuer.sign(black_box(&signed)).unwrap());
    };
    compare("sd-jwt-issue", ours, floor)
}

/// Proving and checking a threshold, each at its most expensive, over one strict verification: the proof adds no more
/// to a presentation than one more signature would.
fn at_least() -> [(&'static str, f64); 2] {
    let issuer = key(1);
    let issuer_key = issuer.public_key();
    let signature = issuer.sign(&[0; 64]).unwrap();
    let floor = || issuer_key.verify(black_box(&[0; 64]), &signature).unwrap();

    let (salt, direction) = ("2GLC42sKQveCfGfryNRN9w", Direction::AtLeast);
    // The holder steps from the seeds down to the threshold, the verifier from there up to the ends: 60 steps between
    // them.
    let [low, high] = [0, u16::MAX].map(OrderedValue::from);
    let commitment = at_least::commitments(direction, salt, high)[0].commitment;
    let opening = at_least::prove_threshold(direction, salt, high, high).unwrap();
    let prove = || {
        black_box(at_least::prove_threshold(direction, black_box(salt), high, black_box(low)).unwrap());
    };
    let verify =
        || at_least::verify_threshold(direction, black_box(high), &commitment, black_box(&opening.witness)).unwrap();
    [compare("at-least-prove", prove, floor), compare("at-least-verify", verify, floor)]
}

/// Random numbers at no cost: the speed of the machine's randomness is not measured.
struct Counter(u64);

impl RngCore for Counter {
    fn next_u32(&mut self) -> u32 {
        self.next_u64() as u32
    }
    fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0
    }
    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next_u64().to_be_bytes()[..chunk.len()]);
        }
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}
impl CryptoRng for Counter {}
