//! Transaction data that a holder authorises (OpenID4VP section 8.4).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use carnet_core::{
    Code, Problem,
    json::{self, Limits},
};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

/// Maximum number of entries in `transaction_data`.
const MAX_ENTRIES: usize = 16;

/// Entry of `transaction_data`, of a type that the wallet supports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionData {
    /// Value of `type`.
    pub data_type: String,
    /// Credential query ids. A credential for one of them authorises the transaction. Never empty.
    pub credential_ids: Vec<String>,
    /// All members of the entry.
    pub members: Map<String, Value>,
    /// Entry as in the request (base64url text), whose hash the holder signs.
    pub encoded: String,
}

impl TransactionData {
    /// Parses the parameter `transaction_data` of a request. `known` are the supported types, `ids` the credential
    /// query ids of the request.
    ///
    /// # Errors
    /// `transaction_data_unsupported`: an unsupported type, no hash function SHA-256, an unknown credential query id, a
    /// malformed entry, or not 1 to 16 entries.
    pub fn parse_all(value: &Value, known: &[&str], ids: &[&str]) -> Result<Vec<Self>, Problem> {
        let refused = |what: &str| Problem::new(Code::TransactionDataUnsupported, what);
        let entries = value.as_array().filter(|entries| !entries.is_empty() && entries.len() <= MAX_ENTRIES);
        let entries = entries.ok_or_else(|| refused("transaction_data is not an array of 1 to 16 strings"))?;
        let one = |entry: &Value| {
            let encoded = entry.as_str().ok_or_else(|| refused("an entry of transaction_data is not a string"))?;
            let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| refused("transaction_data is not base64url"))?;
            let members = json::parse_object(&bytes, Limits::SMALL)
                .map_err(|_| refused("an entry of transaction_data is not a JSON object"))?;
            let kind = members.get("type").and_then(Value::as_str).filter(|kind| known.contains(kind));
            let kind = kind.ok_or_else(|| refused("the type of transaction_data is not known"))?.to_owned();
            let credential_ids = non_empty_strings(members.get("credential_ids"));
            let credential_ids = credential_ids.filter(|named| named.iter().all(|id| ids.contains(&id.as_str())));
            let credential_ids =
                credential_ids.ok_or_else(|| refused("transaction_data names credentials that nobody asked for"))?;
            let algorithms = members.get("transaction_data_hashes_alg");
            if algorithms.is_some_and(|named| {
                !non_empty_strings(Some(named)).is_some_and(|all| all.iter().any(|a| a == SHA_256))
            }) {
                return Err(refused("transaction_data allows no hash that is supported"));
            }
            Ok(Self { data_type: kind, credential_ids, members, encoded: encoded.to_owned() })
        };
        entries.iter().map(one).collect()
    }

    /// Returns the SHA-256 hash (base64url) for `transaction_data_hashes` in the key-binding JWT (OpenID4VP appendix
    /// B.3.3.1).
    #[must_use]
    pub fn hash(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(&self.encoded))
    }
}

/// Only supported hash function, by its name in the IANA registry.
const SHA_256: &str = "sha-256";

/// Returns a non-empty array of strings; `None` for any other value.
fn non_empty_strings(value: Option<&Value>) -> Option<Vec<String>> {
    let all: Option<Vec<String>> = value?.as_array()?.iter().map(|entry| entry.as_str().map(str::to_owned)).collect();
    all.filter(|all| !all.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KNOWN: [&str; 1] = ["urn:example:transfer:1"];

    fn encoded(value: &Value) -> Value {
        json!([URL_SAFE_NO_PAD.encode(value.to_string())])
    }

    fn read(value: &Value) -> Result<Vec<TransactionData>, Code> {
        TransactionData::parse_all(value, &KNOWN, &["permit"]).map_err(|problem| problem.code)
    }

    #[test]
    fn a_known_type_is_read_and_hashed_as_sent() {
        let data = json!({"type": KNOWN[0], "credential_ids": ["permit"], "amount": "10"});
        let read = read(&encoded(&data)).unwrap().remove(0);
        assert_eq!((read.data_type.as_str(), &read.members["amount"]), (KNOWN[0], &json!("10")));
        assert_eq!(read.hash(), URL_SAFE_NO_PAD.encode(Sha256::digest(encoded(&data)[0].as_str().unwrap())));
    }

    #[test]
    fn row_76_unknown_transaction_data() {
        let good = json!({"type": KNOWN[0], "credential_ids": ["permit"]});
        let with = |name: &str, value: Value| {
            let mut data = good.clone();
            data[name] = value;
            read(&encoded(&data)).map(|_| ())
        };
        assert_eq!(with("transaction_data_hashes_alg", json!(["sha-512", "sha-256"])), Ok(()));
        let refused = Err(Code::TransactionDataUnsupported);
        assert_eq!(with("type", json!("urn:example:other:1")), refused);
        assert_eq!(with("credential_ids", json!(["diploma"])), refused);
        assert_eq!(with("credential_ids", json!([])), refused);
        assert_eq!(with("transaction_data_hashes_alg", json!(["sha-512"])), refused);
        for malformed in [json!([]), json!("x"), json!([7]), json!(["%"]), json!(["e30"]), json!(["W10"])] {
            assert_eq!(read(&malformed).map(|_| ()), refused, "{malformed}");
        }
        assert!(TransactionData::parse_all(&encoded(&good), &[], &["permit"]).is_err(), "no type is configured");
    }
}
