//! Content of a credential copy before it is secured, and the profile for its form.
//!
//! Issuers create copies with these functions, and wallets render received copies again with the same functions, to
//! check that copies differ only in key, salts, digests, status list index and signature (spec/credential-types.md
//! section 4).

use serde_json::{Map, Value, json};

use crate::{credential::CONTEXT_V2, did::Did, keys::PublicKey, time::Timestamp};

/// Requirements on copies that are stricter than the standards. A credential type can override them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyProfile {
    /// Each `_sd` array is padded with decoys: its length is the number of claim names that can be hidden at its
    /// position, rounded up to a multiple of this.
    pub decoys_to_multiple_of: usize,
    /// Length of a salt before base64url encoding, in bytes.
    pub salt_bytes: usize,
    /// Number of equal characters, at equal positions in two salts of one wallet, from which the salts count as a mark
    /// that links copies.
    pub linking_salt_characters: usize,
    /// Maximum number of status lists for the copies of one batch.
    pub max_lists_per_batch: usize,
}

impl Default for CopyProfile {
    fn default() -> Self {
        Self { decoys_to_multiple_of: 4, salt_bytes: 16, linking_salt_characters: 8, max_lists_per_batch: 2 }
    }
}

/// Content of one copy: the data that issuer and holder both know before it is signed.
#[derive(Clone, Copy)]
pub struct CopyContent<'a> {
    /// Name of the type in `type`.
    pub type_name: &'a str,
    /// `vct` of the type.
    pub vct: &'a str,
    /// Value of `vct#integrity` in SD-JWT VC, which is the same for all holders; `None`: the member is omitted.
    pub vct_integrity: Option<&'a str>,
    /// JSON-LD context of the type.
    pub context_url: &'a str,
    /// DID of the issuer.
    pub issuer: &'a str,
    /// Start of the validity period.
    pub valid_from: Timestamp,
    /// End of the validity period, inclusive.
    pub valid_until: Timestamp,
    /// Claims of the subject, without `id` and without commitments to thresholds.
    pub claims: &'a Map<String, Value>,
    /// Holder's public key to which this copy is bound.
    pub holder: &'a PublicKey,
    /// Name and value of the member that refers to a status list, such as `credentialStatus`; `None` without a status
    /// list.
    pub status: Option<&'a (String, Value)>,
}

impl CopyContent<'_> {
    /// Returns the unsecured VCDM 2.0 credential. It has no `id`; the subject's `id` is the did:jwk of the copy's key.
    #[must_use]
    pub fn to_document(&self) -> Map<String, Value> {
        let mut subject = self.claims.clone();
        subject.insert("id".to_owned(), Did::did_jwk(self.holder).as_str().into());
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

    /// Returns the payload of an SD-JWT VC, with the claims at the top level and without `cnf`.
    #[must_use]
    pub fn to_sd_jwt_vc_payload(&self) -> Map<String, Value> {
        let mut payload = self.claims.clone();
        for (name, value) in [
            ("iss", json!(self.issuer)),
            ("vct", json!(self.vct)),
            ("nbf", json!(self.valid_from.unix())),
            ("exp", json!(self.valid_until.unix())),
        ] {
            payload.insert(name.to_owned(), value);
        }
        payload.extend(self.vct_integrity.map(|digest| ("vct#integrity".to_owned(), digest.into())));
        payload.extend(self.status.cloned());
        payload
    }
}
