//! Log entry: members, hash and proofs.

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::{MAX_LIST, PLACEHOLDER, invalid};
use crate::{
    Code, Problem,
    did::{DidMethod, DidUrl, SelfContainedResolver, VerificationRelationship},
    json::{self, Limits},
    secure::data_integrity::{self, Cryptosuites, ProofRequirements, eddsa_jcs::EddsaJcs2022},
    time::Timestamp,
};

/// First two bytes of a SHA-256 multihash: the hash function and the length of the digest.
const SHA256: [u8; 2] = [0x12, 0x20];
/// Length of a SHA-256 multihash (34 bytes) in base58btc, in characters.
const HASH_LENGTH: usize = 46;
const MEMBERS: [&str; 5] = ["versionId", "versionTime", "parameters", "state", "proof"];

/// Returns the SHA-256 multihash of the bytes in base58btc, without a multibase prefix.
pub(super) fn hash(bytes: &[u8]) -> String {
    bs58::encode([&SHA256[..], &Sha256::digest(bytes)].concat()).into_string()
}

/// Returns whether a text is a SHA-256 multihash in the form that [`hash`] returns.
pub(super) fn is_hash(text: &str) -> bool {
    text.len() == HASH_LENGTH
        && bs58::decode(text).into_vec().is_ok_and(|bytes| bytes.len() == 34 && bytes.starts_with(&SHA256))
}

/// Log entry with exactly the required members. Its hash, parameters and proofs are not verified.
pub(super) struct LogEntry {
    members: Map<String, Value>,
    pub(super) version_id: String,
    pub(super) version_time: Timestamp,
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
        Ok(Self { members, version_id, version_time: at })
    }

    pub(super) fn parameters(&self) -> Option<&Map<String, Value>> {
        self.members.get("parameters").and_then(Value::as_object)
    }

    pub(super) fn state(&self) -> &Value {
        self.members.get("state").unwrap_or(&Value::Null)
    }

    /// Returns the hash of this entry ("Generate Entry Hash"): without proofs, and with the `versionId` of the previous
    /// entry, or the SCID for the first one, in place of its own.
    pub(super) fn entry_hash(&self, version_id: &str) -> Result<String, Problem> {
        let mut members = self.members.clone();
        members.remove("proof");
        members.insert("versionId".to_owned(), version_id.into());
        Ok(hash(&canonical(&members)?))
    }

    /// Returns the SCID that is computed from this entry, as the first of a log ("Verify SCID"). `said` is the SCID
    /// that it states.
    ///
    /// # Errors
    /// `did_log_invalid`: the entry contains the placeholder `{SCID}`.
    pub(super) fn compute_scid(&self, said: &str) -> Result<String, Problem> {
        let mut members = self.members.clone();
        members.remove("proof");
        // It would hash like an entry that has the SCID there.
        if mentions(&Value::Object(members.clone()), PLACEHOLDER) {
            return Err(invalid("the first entry still has a placeholder"));
        }
        members.insert("versionId".to_owned(), PLACEHOLDER.into());
        match replace_text(&Value::Object(members), said, PLACEHOLDER) {
            Value::Object(members) => Ok(hash(&canonical(&members)?)),
            _ => Err(invalid("the first entry is not an object")),
        }
    }

    /// Verifies all proofs of this entry, each of which must be by one of `keys` (Multikeys). A single invalid proof
    /// makes the entry invalid: the proofs are a proof set of the DID's controller.
    ///
    /// # Errors
    /// `proof_missing`, `proof_malformed`, `did_unsupported` (not by a did:key), `method_of_other` (by a key that is
    /// not in `keys`), and those of [`data_integrity::verify`].
    pub(super) fn verify_proofs(&self, keys: &[String], now: Timestamp, skew: i64) -> Result<(), Problem> {
        let mut unsecured = self.members.clone();
        let proofs = unsecured.remove("proof").ok_or(Code::ProofMissing)?;
        let proofs = proof_list(&proofs);
        if proofs.is_empty() {
            return Err(Code::ProofMissing.into());
        }
        // As many as there may be update keys.
        if proofs.len() > MAX_LIST {
            return Err(Problem::new(Code::ProofMalformed, format!("there are more than {MAX_LIST} proofs")));
        }
        for proof in proofs {
            let method = proof_method(proof)?;
            if !keys.iter().any(|key| key == method.did().method_specific_id()) {
                let what = "a log entry is signed by a key that may not update the DID";
                return Err(Problem::new(Code::MethodOfOther, what));
            }
            verify_proof(&mut unsecured, proof, &method, now, skew)?;
        }
        Ok(())
    }
}

/// Returns the proofs of a `proof` member as a list; a single proof may be an object.
pub(super) fn proof_list(proofs: &Value) -> &[Value] {
    proofs.as_array().map_or(std::slice::from_ref(proofs), Vec::as_slice)
}

/// Returns the did:key verification method that a proof names.
///
/// # Errors
/// `proof_malformed`, `did_malformed`; `did_unsupported` for another DID method.
pub(super) fn proof_method(proof: &Value) -> Result<DidUrl, Problem> {
    let method = proof.get("verificationMethod").and_then(Value::as_str);
    let method = method.ok_or_else(|| Problem::new(Code::ProofMalformed, "the proof has no verificationMethod"))?;
    let method = DidUrl::parse(method)?;
    if method.did().method() == DidMethod::Key {
        Ok(method)
    } else {
        Err(Problem::new(Code::DidUnsupported, "a log's proofs are by did:key DIDs"))
    }
}

/// Verifies a single eddsa-jcs-2022 proof of a document, for assertion. `unsecured` is the document without proofs; it
/// is the same afterwards.
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
    let verified =
        data_integrity::verify(unsecured, &Cryptosuites::only(EddsaJcs2022), &SelfContainedResolver, &expected);
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

/// Returns a value with every occurrence of `from` in its names and strings replaced with `to`. The recursion is as
/// deep as the value, whose nesting was limited when it was parsed.
pub(super) fn replace_text(value: &Value, from: &str, to: &str) -> Value {
    match value {
        Value::String(string) => string.replace(from, to).into(),
        Value::Array(items) => items.iter().map(|item| replace_text(item, from, to)).collect(),
        Value::Object(members) => {
            let members = members.iter().map(|(name, member)| (name.replace(from, to), replace_text(member, from, to)));
            Value::Object(members.collect())
        }
        other => other.clone(),
    }
}
