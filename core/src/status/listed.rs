//! Fetched and verified status list in memory, for many look-ups.

use std::sync::Arc;

use serde_json::Value;

use super::{ListProfile, ListValidity, StatusList, StatusPurpose, bitstring, cwt, token};
use crate::{
    Code, Problem,
    credential::{Credential, TopLevelMembers},
    did::{Did, DidDocument, DidUrl, Resolve, VerificationRelationship as KeyPurpose},
    json::{self, Limits},
    keys::PublicKey,
    secure::data_integrity::{self, Cryptosuites, ProofRequirements},
    time::Timestamp,
};

/// Meaning of a list's entries.
#[derive(Debug, Clone, PartialEq, Eq)]
enum EntryMeaning {
    /// `BitstringStatusListCredential` with these purposes. `sized`: the list itself states the entry size, in addition
    /// to the credentials that refer to it.
    Purposes { purposes: Vec<StatusPurpose>, sized: bool },
    /// Status list token: each value is a status.
    Values,
}

/// Verified status list, with the issuer of the listed credentials, its signer, purpose and validity. A look-up is a
/// direct access, without a lock or an allocation.
#[derive(Debug, Clone)]
pub struct VerifiedStatusList {
    /// Issuer of the listed credentials.
    credential_issuer: Did,
    /// Signer of the list.
    signer: Did,
    about: EntryMeaning,
    /// Requirements that the list meets.
    profile: ListProfile,
    validity: ListValidity,
    fetched_at: Timestamp,
    /// Keys that signed it.
    keys: Vec<(DidUrl, PublicKey)>,
    /// Entries; clones and [`Self::confirmed_at`] share them.
    list: Arc<StatusList>,
}

impl VerifiedStatusList {
    /// Verifies bytes fetched from `url` as a status list for the credentials of `on_behalf_of`: a credential with Data
    /// Integrity proofs if they are a JSON object, otherwise a status list token (JWT or CWT). The list must be usable
    /// at `fetched`.
    ///
    /// The signer is that issuer, or the status list issuer that its DID document names
    /// ([`DidDocument::status_list_issuer`]), which `resolver` must then resolve as well (spec/status.md 5.2).
    ///
    /// # Errors
    /// `status_list_issuer` (another signer); `status_list_stale`; `status_list_mismatch` (the list of another URL);
    /// `status_list_length` (fewer entries than the [`ListProfile`] requires); `key_invalid` (the signer's key has
    /// expired); `invalid_unicode`; `header_key_unanchored`, `method_of_other`; `claim_forbidden`; those of
    /// [`data_integrity::verify`], [`token::StatusListToken::verify`], [`bitstring::BitstringListParameters::from_credential`] and
    /// of resolving the signer's key. Keys of earlier versions of the signer's document are not accepted.
    pub fn verify(
        bytes: &[u8],
        url: &str,
        on_behalf_of: &Did,
        (fetched, skew): (Timestamp, i64),
        (resolver, suites): (&dyn Resolve, &Cryptosuites),
    ) -> Result<Self, Problem> {
        let listed = if cwt::CwtStatusList::is_cwt(bytes) {
            let token = cwt::CwtStatusList::parse(bytes)?;
            let verify = |key: &PublicKey| token.verify(key, url, fetched, skew);
            status_token(token.kid(), on_behalf_of, (fetched, skew), resolver, verify)?
        } else {
            let text = std::str::from_utf8(bytes).map(str::trim);
            let text = text.map_err(|_| Problem::new(Code::InvalidUnicode, "the list is not UTF-8"))?;
            if text.starts_with('{') {
                credential(text, url, on_behalf_of, (fetched, skew), (resolver, suites))?
            } else {
                let token = token::StatusListToken::parse(text)?;
                let verify = |key: &PublicKey| token.verify(key, url, fetched, skew);
                status_token(token.kid(), on_behalf_of, (fetched, skew), resolver, verify)?
            }
        };
        listed.validity.require_usable(fetched, fetched, skew)?;
        Ok(listed)
    }

    /// Returns the DID that a list names as its signer, unverified: it determines which DID document to fetch, not
    /// which signer to trust.
    ///
    /// # Errors
    /// Those of parsing the list; `did_malformed`; `malformed_value` for a credential without an issuer.
    pub fn claimed_signer(bytes: &[u8]) -> Result<Did, Problem> {
        if cwt::CwtStatusList::is_cwt(bytes) {
            return Ok(DidUrl::parse(cwt::CwtStatusList::parse(bytes)?.kid())?.did().clone());
        }
        let text = std::str::from_utf8(bytes).map(str::trim);
        let text = text.map_err(|_| Problem::new(Code::InvalidUnicode, "the list is not UTF-8"))?;
        if text.starts_with('{') {
            let document = json::parse_object(text.as_bytes(), Limits::STATUS_LIST)?;
            return Did::parse(&crate::credential::id_of(document.get("issuer"), "issuer")?);
        }
        Ok(DidUrl::parse(token::StatusListToken::parse(text)?.kid())?.did().clone())
    }

    /// Returns the issuer of the listed credentials. The list says nothing about those of any other issuer.
    #[must_use]
    pub fn credential_issuer(&self) -> &Did {
        &self.credential_issuer
    }

    /// Returns the DID of the signer of the list: the issuer of the listed credentials, or the status list issuer in
    /// its DID document.
    #[must_use]
    pub fn signer(&self) -> &Did {
        &self.signer
    }

    /// Returns the times of issue and expiry, and the time to live.
    #[must_use]
    pub fn validity(&self) -> ListValidity {
        self.validity
    }

    /// Returns the time of the fetch, or of the last check that found the list unchanged.
    #[must_use]
    pub fn fetched_at(&self) -> Timestamp {
        self.fetched_at
    }

    /// Returns the entries.
    #[must_use]
    pub fn entries(&self) -> &StatusList {
        &self.list
    }

    /// Returns a copy of the list that was found unchanged at `fetched`: its time to live starts again, its expiry
    /// stays.
    #[must_use]
    pub fn confirmed_at(&self, fetched: Timestamp) -> Self {
        Self { fetched_at: fetched, ..self.clone() }
    }

    /// Checks with the current DID documents that the issuer still authorises the signer and that its signing keys are
    /// unchanged and have not expired.
    ///
    /// # Errors
    /// `status_list_issuer`: the issuer's document no longer authorises the signer; `key_invalid`: a key has expired or
    /// was replaced; those of [`DidDocument::key_for`] and of resolving the two documents.
    pub fn check_signer(&self, resolver: &dyn Resolve, (now, skew): (Timestamp, i64)) -> Result<(), Problem> {
        let document = signer_document(&self.signer, &self.credential_issuer, resolver)?;
        for (kid, key) in &self.keys {
            if signing_key(&document, kid, (now, skew))? != *key {
                return Err(Problem::new(Code::KeyInvalid, "the list's key has changed"));
            }
        }
        Ok(())
    }

    /// Returns whether an entry of a `BitstringStatusListCredential` is not 0.
    ///
    /// # Errors
    /// Those of [`Self::bitstring_value`].
    pub fn is_set(&self, reference: &bitstring::BitstringStatusListEntry) -> Result<bool, Problem> {
        Ok(self.bitstring_value(reference)? != 0)
    }

    /// Returns the value of an entry of a `BitstringStatusListCredential`, such as a message number.
    ///
    /// # Errors
    /// `status_purpose`: the list has another purpose; `status_index`; `status_list_invalid`: another entry size;
    /// `status_list_length`: too few entries of that size.
    pub fn bitstring_value(&self, reference: &bitstring::BitstringStatusListEntry) -> Result<u8, Problem> {
        let sized = match &self.about {
            EntryMeaning::Purposes { purposes, sized } if purposes.contains(&reference.purpose) => *sized,
            _ => return Err(Code::StatusPurpose.into()),
        };
        if sized && self.list.entry_bits() != reference.size_in_bits {
            return Err(Problem::new(
                Code::StatusListInvalid,
                "the size of the list's entries differs from the credential's",
            ));
        }
        self.profile.require_length(self.list.entry_count_with_bits(reference.size_in_bits))?;
        self.list.value_with_bits(reference.index, reference.size_in_bits)
    }

    /// Returns the value of an entry of a status list token.
    ///
    /// # Errors
    /// `status_purpose`: the list is not a status list token; `status_index`.
    pub fn token_value(&self, reference: &token::TokenStatusReference) -> Result<u8, Problem> {
        match self.about {
            EntryMeaning::Values => self.list.value(reference.index),
            EntryMeaning::Purposes { .. } => Err(Code::StatusPurpose.into()),
        }
    }
}

fn credential(
    text: &str,
    url: &str,
    on_behalf_of: &Did,
    (now, skew): (Timestamp, i64),
    (resolver, suites): (&dyn Resolve, &Cryptosuites),
) -> Result<VerifiedStatusList, Problem> {
    let invalid = |what: &str| Problem::new(Code::StatusListInvalid, what.to_owned());
    let Value::Object(document) = json::parse(text.as_bytes(), Limits::STATUS_LIST)? else {
        return Err(invalid("the list is not an object"));
    };
    let issuer = Did::parse(&crate::credential::id_of(document.get("issuer"), "issuer")?);
    let issuer = issuer.map_err(|_| Problem::from(Code::StatusListIssuer))?;
    let current = signer_document(&issuer, on_behalf_of, resolver)?;
    let expected = ProofRequirements {
        purpose: KeyPurpose::AssertionMethod,
        controller: issuer.as_str(),
        binding: None,
        now,
        skew,
    };
    let verified = data_integrity::verify(&document, suites, resolver, &expected)?;
    TopLevelMembers::DataIntegrity.require_permitted(&verified)?;
    let verified = Credential::parse(verified)?;
    let proofs = match document.get("proof") {
        Some(Value::Array(several)) => several.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    let key = |proof: &Value| -> Result<(DidUrl, PublicKey), Problem> {
        let kid = DidUrl::parse(proof.get("verificationMethod").and_then(Value::as_str).unwrap_or_default())?;
        let key = signing_key(&current, &kid, (now, skew))?;
        Ok((kid, key))
    };
    let keys = proofs.iter().map(key).collect::<Result<_, _>>()?;
    let subject = verified.document().get("credentialSubject").and_then(Value::as_object);
    let subject = subject.ok_or_else(|| invalid("it must have exactly one subject"))?;
    let named = match subject.get("statusPurpose") {
        Some(Value::Array(several)) => several.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    // Unknown purposes are ignored: no look-up can name them.
    let purposes: Vec<StatusPurpose> =
        named.iter().filter_map(Value::as_str).filter_map(StatusPurpose::parse).collect();
    let purpose = *purposes.first().ok_or(Code::StatusPurpose)?;
    let bits = subject.get("statusSize").map_or(Some(1), json::as_integer).and_then(|bits| u8::try_from(bits).ok());
    let bits = bits.ok_or_else(|| invalid("its entries have no size"))?;
    let reference = bitstring::BitstringStatusListEntry { purpose, url: url.to_owned(), index: 0, size_in_bits: bits };
    let (published, list) = bitstring::BitstringListParameters::from_credential(&verified, &reference)?;
    Ok(VerifiedStatusList {
        credential_issuer: on_behalf_of.clone(),
        signer: issuer,
        about: EntryMeaning::Purposes { purposes, sized: subject.contains_key("statusSize") },
        profile: ListProfile::DEFAULT,
        validity: published.validity,
        fetched_at: now,
        keys,
        list: Arc::new(list),
    })
}

fn status_token(
    kid: &str,
    on_behalf_of: &Did,
    (now, skew): (Timestamp, i64),
    resolver: &dyn Resolve,
    verify: impl FnOnce(&PublicKey) -> Result<(StatusList, ListValidity), Problem>,
) -> Result<VerifiedStatusList, Problem> {
    let kid = DidUrl::parse(kid)?;
    let issuer = kid.did().clone();
    let key = signing_key(&*signer_document(&issuer, on_behalf_of, resolver)?, &kid, (now, skew))?;
    let (list, freshness) = verify(&key)?;
    let profile = ListProfile::DEFAULT;
    profile.require_length(list.entry_count())?;
    let (on_behalf_of, list, keys) = (on_behalf_of.clone(), Arc::new(list), vec![(kid, key)]);
    Ok(VerifiedStatusList {
        credential_issuer: on_behalf_of,
        signer: issuer,
        about: EntryMeaning::Values,
        profile,
        validity: freshness,
        fetched_at: now,
        keys,
        list,
    })
}

/// Returns a key of the signer's document for signing lists; `key_invalid` if it has expired.
fn signing_key(document: &DidDocument, kid: &DidUrl, (now, skew): (Timestamp, i64)) -> Result<PublicKey, Problem> {
    document.current_key_for(kid, KeyPurpose::AssertionMethod, now, skew)
}

/// Returns the DID document of a list's signer, which must be the issuer of the listed credentials or the DID that the
/// issuer's document names. That DID cannot name another one.
fn signer_document(made_by: &Did, on_behalf_of: &Did, resolver: &dyn Resolve) -> Result<Arc<DidDocument>, Problem> {
    let document = resolver.resolve(on_behalf_of)?;
    if made_by == on_behalf_of {
        return Ok(document);
    }
    if document.status_list_issuer() == Some(made_by) {
        return resolver.resolve(made_by);
    }
    Err(Problem::new(
        Code::StatusListIssuer,
        "the list's signer is neither the issuer nor the DID that the issuer's document names for its lists",
    ))
}
