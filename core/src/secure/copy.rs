//! Content of a credential's copy before it is secured, and the profile that its form obeys.
//!
//! An issuer makes its copies by these functions, and a wallet renders its copies again by the same ones. So a copy
//! has nothing of its own but key, salts, digests, place in a status list and signature (spec/credential-types.md
//! section 4).

use serde_json::{Map, Value, json};

use crate::{credential::CONTEXT_V2, did::Did, keys::PublicKey, time::Timestamp};

/// The form of copies, as far as Carnet is stricter than the standards. A type's own data may say otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyProfile {
    /// Each `_sd` array has as many digests as there are names to hide at its place, rounded up to a multiple of this.
    pub decoys_to_multiple_of: usize,
    /// The length of a salt, in bytes before base64url.
    pub salt_bytes: usize,
    /// So many characters at the same place in two salts of one wallet are a mark.
    pub shared_salt_characters: usize,
    /// Limit on the status lists of one batch of copies.
    pub lists_in_batch: usize,
}

impl Default for CopyProfile {
    fn default() -> Self {
        Self { decoys_to_multiple_of: 4, salt_bytes: 16, shared_salt_characters: 8, lists_in_batch: 2 }
    }
}

/// Content of one copy: the data that its issuer and its holder both know before it is signed.
#[derive(Clone, Copy)]
pub struct CopyContent<'a> {
    /// The type's name in `type`.
    pub type_name: &'a str,
    /// The type's `vct`.
    pub vct: &'a str,
    /// The type's JSON-LD context.
    pub context_url: &'a str,
    /// The issuer's DID.
    pub issuer: &'a str,
    /// The day from which it holds.
    pub valid_from: Timestamp,
    /// The last instant at which it holds.
    pub valid_until: Timestamp,
    /// The claims, without `id` and commitments.
    pub claims: &'a Map<String, Value>,
    /// The copy's own key.
    pub holder: &'a PublicKey,
    /// The member with the copy's status reference, and its name; `None` if no list has its status.
    pub status: Option<&'a (String, Value)>,
}

impl CopyContent<'_> {
    /// Returns the document of VCDM 2.0. It has no id, and no subject id but the copy's own key.
    #[must_use]
    pub fn document(&self) -> Map<String, Value> {
        let mut subject = self.claims.clone();
        subject.insert("id".to_owned(), Did::jwk(self.holder).as_str().into());
        [
            ("@context", json!([CONTEXT_V2, self.context_url])),
            ("type", json!(["VerifiableCredential", self.type_name])),
            ("issuer", json!(self.issuer)),
            ("validFrom", json!(self.valid_from.to_string())),
            ("validUntil", json!(self.valid_until.to_string())),
            ("credentialSubject", Value::Object(subject)),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .chain(self.status.cloned())
        .collect()
    }

    /// Returns the payload of an SD-JWT VC, whose claims are at the top.
    #[must_use]
    pub fn sd_jwt_vc(&self) -> Map<String, Value> {
        let mut payload = self.claims.clone();
        for (name, value) in [
            ("iss", json!(self.issuer)),
            ("vct", json!(self.vct)),
            ("nbf", json!(self.valid_from.unix())),
            ("exp", json!(self.valid_until.unix())),
        ] {
            payload.insert(name.to_owned(), value);
        }
        payload.extend(self.status.cloned());
        payload
    }
}
