//! Log entry: its members, its hash, its proofs.

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::{PLACEHOLDER, invalid, parameters::MAX_LIST};
use crate::{
    Code, Problem,
    did::{DidMethod, DidUrl, SelfContained, VerificationRelationship},
    json::{self, Limits},
    secure::data_integrity::{self, ProofRequirements, Suites, eddsa_jcs::EddsaJcs2022},
    time::Timestamp,
};

/// SHA-256 and its length, as a multihash begins.
const SHA256: [u8; 2] = [0x12, 0x20];
/// A multihash of SHA-256 has 34 bytes, and those that begin like this have 46 characters.
const HASH_LENGTH: usize = 46;
const MEMBERS: [&str; 5] = ["versionId", "versionTime", "parameters", "state", "proof"];

/// base58btc, without multibase prefix, of the SHA-256 multihash.
pub(super) fn hash(bytes: &[u8]) -> String {
    bs58::encode([&SHA256[..], &Sha256::digest(bytes)].concat()).into_string()
}

/// Returns whether a text has the form of a [`hash`].
pub(super) fn is_hash(text: &str) -> bool {
    text.len() == HASH_LENGTH
        && bs58::decode(text).into_vec().is_ok_and(|bytes| bytes.len() == 34 && bytes.starts_with(&SHA256))
}

/// A log entry that has the form of one; nothing in it is believed yet.
pub(super) struct LogEntry {
    members: Map<String, Value>,
    pub(super) version_id: String,
    pub(super) at: Timestamp,
}

impl LogEntry {
    pub(super) fn parse(line: &[u8]) -> Result<Self, Problem> {
        if line.first().is_none_or(u8::is_ascii_whitespace) || line.last().is_none_or(u8::is_ascii_whitespace) {
            return Err(invalid("a line is empty, or begins or ends with a blank"));
        }
        let members = json::parse_object(line, Limits::DOCUMENT)
            .map_err(|problem| invalid(format!("a line is not acceptable JSON ({problem})")))?;
        if let Some(name) = MEMBERS.iter().find(|name| !members.contains_key(**name)) {
            return Err(match *name {
                "proof" => Code::ProofMissing.into(),
                name => invalid(format!("an entry has no {name}")),
            });
        }
        if members.len() != MEMBERS.len() {
            return Err(invalid("an entry has an unknown member"));
        }
        let text = |name: &str| {
            let text = members.get(name).and_then(Value::as_str);
            text.ok_or_else(|| invalid(format!("an entry's {name} is not a string")))
        };
        let at = text("versionTime")?;
        if !at.ends_with('Z') && !at.ends_with("+00:00") {
            return Err(invalid("an entry's versionTime is not in UTC"));
        }
        let at = Timestamp::parse(at).map_err(|_| invalid("an entry's versionTime is not a dateTimeStamp"))?;
        let version_id = text("versionId")?.to_owned();
        for name in ["parameters", "state"] {
            if !members.get(name).is_some_and(Value::is_object) {
                return Err(invalid(format!("an entry's {name} is not an object")));
            }
        }
        Ok(Self { members, version_id, at })
    }

    pub(super) fn parameters(&self) -> Option<&Map<String, Value>> {
        self.members.get("parameters").and_then(Value::as_object)
    }

    pub(super) fn state(&self) -> &Value {
        self.members.get("state").unwrap_or(&Value::Null)
    }

    /// The hash over this entry without proofs, with another `versionId` ("Generate Entry Hash").
    pub(super) fn hash_after(&self, version_id: &str) -> Result<String, Problem> {
        let mut members = self.members.clone();
        members.remove("proof");
        members.insert("versionId".to_owned(), version_id.into());
        Ok(hash(&canonical(&members)?))
    }

    /// The SCID that this entry makes if it is the first ("Verify SCID").
    pub(super) fn scid(&self, said: &str) -> Result<String, Problem> {
        let mut members = self.members.clone();
        members.remove("proof");
        // It would hash like an entry that has the SCID there.
        if mentions(&Value::Object(members.clone()), PLACEHOLDER) {
            return Err(invalid("the first entry still has a placeholder"));
        }
        members.insert("versionId".to_owned(), PLACEHOLDER.into());
        match replaced(&Value::Object(members), said, PLACEHOLDER) {
            Value::Object(members) => Ok(hash(&canonical(&members)?)),
            _ => Err(invalid("the first entry is not an object")),
        }
    }

    /// Verifies all proofs of this entry, each of which must be by one of `keys` (Multikeys). One invalid proof
    /// spoils the others: they are a proof set of the DID's controller.
    pub(super) fn verify_proofs(&self, keys: &[String], now: Timestamp, skew: i64) -> Result<(), Problem> {
        let mut unsecured = self.members.clone();
        let proofs = unsecured.remove("proof").ok_or(Code::ProofMissing)?;
        let proofs = as_list(&proofs);
        if proofs.is_empty() {
            return Err(Code::ProofMissing.into());
        }
        // As many as there may be update keys.
        if proofs.len() > MAX_LIST {
            return Err(Problem::new(Code::ProofMalformed, format!("there are more than {MAX_LIST} proofs")));
        }
        for proof in proofs {
            let method = prover(proof)?;
            if !keys.iter().any(|key| key == method.did().id()) {
                let what = "a log entry is signed by a key that may not update the DID";
                return Err(Problem::new(Code::MethodOfOther, what));
            }
            verify_proof(&mut unsecured, proof, &method, now, skew)?;
        }
        Ok(())
    }
}

/// Returns the proofs of a `proof` member as a list; a single proof may be an object.
pub(super) fn as_list(proofs: &Value) -> &[Value] {
    proofs.as_array().map_or(std::slice::from_ref(proofs), Vec::as_slice)
}

/// The did:key method that a proof is by.
pub(super) fn prover(proof: &Value) -> Result<DidUrl, Problem> {
    let method = proof.get("verificationMethod").and_then(Value::as_str);
    let method = method.ok_or_else(|| Problem::new(Code::ProofMalformed, "the proof has no verificationMethod"))?;
    let method = DidUrl::parse(method)?;
    if method.did().method() == DidMethod::Key {
        Ok(method)
    } else {
        Err(Problem::new(Code::DidUnsupported, "a log's proofs are by did:key DIDs"))
    }
}

/// Verifies one proof of a document by itself: eddsa-jcs-2022, for assertion. Returns the document without it.
pub(super) fn verify_proof(
    unsecured: &mut Map<String, Value>,
    proof: &Value,
    method: &DidUrl,
    now: Timestamp,
    skew: i64,
) -> Result<(), Problem> {
    let expected = ProofRequirements {
        purpose: VerificationRelationship::AssertionMethod,
        controller: method.did().as_str(),
        binding: None,
        now,
        skew,
    };
    unsecured.insert("proof".to_owned(), proof.clone());
    let verified = data_integrity::verify(unsecured, &Suites::only(EddsaJcs2022), &SelfContained, &expected);
    unsecured.remove("proof");
    verified.map(drop)
}

pub(super) fn canonical(members: &Map<String, Value>) -> Result<Vec<u8>, Problem> {
    json::canonicalize_object(members).map_err(|problem| invalid(problem.detail))
}

fn mentions(value: &Value, text: &str) -> bool {
    match value {
        Value::String(string) => string.contains(text),
        Value::Array(items) => items.iter().any(|item| mentions(item, text)),
        Value::Object(members) => members.iter().any(|(name, member)| name.contains(text) || mentions(member, text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// A value in whose names and strings one text is replaced by another. How deep it nests was bounded when it was read.
pub(super) fn replaced(value: &Value, from: &str, to: &str) -> Value {
    match value {
        Value::String(string) => string.replace(from, to).into(),
        Value::Array(items) => items.iter().map(|item| replaced(item, from, to)).collect(),
        Value::Object(members) => {
            let members = members.iter().map(|(name, member)| (name.replace(from, to), replaced(member, from, to)));
            Value::Object(members.collect())
        }
        other => other.clone(),
    }
}
