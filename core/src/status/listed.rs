//! A list that was fetched, verified and unpacked, to be asked many times.

use std::sync::Arc;

use serde_json::Value;

use super::{Freshness, ListProfile, Purpose, StatusList, bitstring, cwt, token};
use crate::{
    Code, Problem,
    credential::{Credential, TopLevel},
    did::{Did, DidDocument, DidUrl, Purpose as KeyPurpose, Resolve},
    json::{self, Limits},
    keys::PublicKey,
    secure::data_integrity::{self, Expected, Suites},
    time::Timestamp,
};

/// Subject of a list's entries.
#[derive(Debug, Clone, PartialEq, Eq)]
enum About {
    /// A `BitstringStatusListCredential` with these purposes. `sized`: it states the bits of an entry itself, besides
    /// the credentials that name it.
    Purposes { purposes: Vec<Purpose>, sized: bool },
    /// A status list token, whose values say it.
    Values,
}

/// A verified list in memory: the issuer whose credentials it is about, its signer, its purposes, and its freshness.
/// A list of n entries of one bit takes about n/8 bytes. A look-up reads an array: no lock, no allocation.
#[derive(Debug, Clone)]
pub struct Listed {
    /// For whose credentials.
    on_behalf_of: Did,
    /// Signer of the list.
    issuer: Did,
    about: About,
    /// Rules that the list met.
    profile: ListProfile,
    freshness: Freshness,
    fetched: Timestamp,
    /// Keys that signed it.
    keys: Vec<(DidUrl, PublicKey)>,
    /// Shared with the earlier instance when the list is found unchanged.
    list: Arc<StatusList>,
}

impl Listed {
    /// Verifies bytes fetched from `url` as a list about the credentials of `on_behalf_of`, in either form: a JSON
    /// object is a credential with a proof, anything else a token, which is a JWT or a CWT. It has to be usable at
    /// `fetched`.
    ///
    /// The signer is that issuer itself, or the DID that the issuer's document names for it
    /// ([`DidDocument::status_list_issuer`]), whose own document `resolver` then has to know too (spec/status.md
    /// 5.2).
    ///
    /// # Errors
    /// `status_list_issuer`; `status_list_stale`; `status_list_mismatch` (the list of another URL);
    /// `status_list_length` (fewer entries than the [`ListProfile`] demands, in either form);
    /// `header_key_unanchored`, `method_of_other`; `claim_forbidden`; those of [`data_integrity::verify`],
    /// [`token::Token::verify`], [`bitstring::BitstringListParameters::read`] and of resolving the signer's key. A key of an
    /// earlier version of the signer's document signs no list.
    pub fn verify(
        bytes: &[u8],
        url: &str,
        on_behalf_of: &Did,
        (fetched, skew): (Timestamp, i64),
        (resolver, suites): (&dyn Resolve, &Suites),
    ) -> Result<Self, Problem> {
        let listed = if cwt::CwtStatusList::is_one(bytes) {
            let token = cwt::CwtStatusList::parse(bytes)?;
            let verify = |key: &PublicKey| token.verify(key, url, fetched, skew);
            status_token(token.kid(), on_behalf_of, (fetched, skew), resolver, verify)?
        } else {
            let text = std::str::from_utf8(bytes).map(str::trim);
            let text = text.map_err(|_| Problem::new(Code::InvalidUnicode, "the list is not UTF-8"))?;
            if text.starts_with('{') {
                credential(text, url, on_behalf_of, (fetched, skew), (resolver, suites))?
            } else {
                let token = token::Token::parse(text)?;
                let verify = |key: &PublicKey| token.verify(key, url, fetched, skew);
                status_token(token.kid(), on_behalf_of, (fetched, skew), resolver, verify)?
            }
        };
        listed.freshness.check(fetched, fetched, skew)?;
        Ok(listed)
    }

    /// Returns the DID that a published list in either form names as its signer. Nothing is verified: it tells which
    /// document to fetch, and never whom to trust.
    ///
    /// # Errors
    /// Those of parsing the list; `did_malformed`; `malformed_value` for a credential without an issuer.
    pub fn claimed_signer(bytes: &[u8]) -> Result<Did, Problem> {
        if cwt::CwtStatusList::is_one(bytes) {
            return Ok(DidUrl::parse(cwt::CwtStatusList::parse(bytes)?.kid())?.did().clone());
        }
        let text = std::str::from_utf8(bytes).map(str::trim);
        let text = text.map_err(|_| Problem::new(Code::InvalidUnicode, "the list is not UTF-8"))?;
        if text.starts_with('{') {
            let document = json::parse_object(text.as_bytes(), Limits::LIST)?;
            return Did::parse(&crate::credential::id_of(document.get("issuer"), "issuer")?);
        }
        Ok(DidUrl::parse(token::Token::parse(text)?.kid())?.did().clone())
    }

    /// Issuer for whose credentials it was fetched: it says nothing about those of any other issuer.
    #[must_use]
    pub fn on_behalf_of(&self) -> &Did {
        &self.on_behalf_of
    }

    /// DID of the signer: that issuer, or the one that its document names.
    #[must_use]
    pub fn issuer(&self) -> &Did {
        &self.issuer
    }

    /// Time until which it may be used, besides its time to live.
    #[must_use]
    pub fn freshness(&self) -> Freshness {
        self.freshness
    }

    /// Time of the fetch, or of the last check that found the list unchanged.
    #[must_use]
    pub fn fetched(&self) -> Timestamp {
        self.fetched
    }

    /// The bits.
    #[must_use]
    pub fn list(&self) -> &StatusList {
        &self.list
    }

    /// Returns the same list, confirmed as the published one at a later instant: its time to live begins again, its
    /// end stays.
    #[must_use]
    pub fn confirmed(&self, fetched: Timestamp) -> Self {
        Self { fetched, ..self.clone() }
    }

    /// Checks that the signer of the list still signs lists for that issuer with these keys, by the current
    /// documents.
    ///
    /// # Errors
    /// `status_list_issuer`: the issuer's document no longer names the signer; `key_invalid`: a key is past its end,
    /// or was replaced; those of [`DidDocument::key_for`] and of resolving the two documents.
    pub fn stands_by(&self, resolver: &dyn Resolve, (now, skew): (Timestamp, i64)) -> Result<(), Problem> {
        let document = signer(&self.issuer, &self.on_behalf_of, resolver)?;
        for (kid, key) in &self.keys {
            if key_of_list(&document, kid, (now, skew))? != *key {
                return Err(Problem::new(Code::KeyInvalid, "the list's key has changed"));
            }
        }
        Ok(())
    }

    /// Returns whether an entry of a bitstring list is set.
    ///
    /// # Errors
    /// Those of [`Self::entry`].
    pub fn is_set(&self, reference: &bitstring::Reference) -> Result<bool, Problem> {
        Ok(self.entry(reference)? != 0)
    }

    /// The value of an entry of a bitstring list, such as the number of a message.
    ///
    /// # Errors
    /// `status_purpose`: the list is about something else; `status_index`; `status_list_invalid`: its entries have another
    /// size; `status_list_length`: of that size it has too few.
    pub fn entry(&self, reference: &bitstring::Reference) -> Result<u8, Problem> {
        let sized = match &self.about {
            About::Purposes { purposes, sized } if purposes.contains(&reference.purpose) => *sized,
            _ => return Err(Code::StatusPurpose.into()),
        };
        if sized && self.list.bits() != reference.bits {
            return Err(Problem::new(
                Code::StatusListInvalid,
                "the size of the list's entries differs from the credential's",
            ));
        }
        self.profile.require_length(self.list.entries_of(reference.bits))?;
        self.list.value_of(reference.index, reference.bits)
    }

    /// The value of an entry of a status list token.
    ///
    /// # Errors
    /// `status_purpose`: it is a list of another kind; `status_index`.
    pub fn value(&self, reference: &token::Reference) -> Result<u8, Problem> {
        match self.about {
            About::Values => self.list.value(reference.index),
            About::Purposes { .. } => Err(Code::StatusPurpose.into()),
        }
    }
}

fn credential(
    text: &str,
    url: &str,
    on_behalf_of: &Did,
    (now, skew): (Timestamp, i64),
    (resolver, suites): (&dyn Resolve, &Suites),
) -> Result<Listed, Problem> {
    let invalid = |what: &str| Problem::new(Code::StatusListInvalid, what.to_owned());
    let Value::Object(document) = json::parse(text.as_bytes(), Limits::LIST)? else {
        return Err(invalid("the list is not an object"));
    };
    let issuer = Did::parse(&crate::credential::id_of(document.get("issuer"), "issuer")?);
    let issuer = issuer.map_err(|_| Problem::from(Code::StatusListIssuer))?;
    let current = signer(&issuer, on_behalf_of, resolver)?;
    let expected =
        Expected { purpose: KeyPurpose::AssertionMethod, controller: issuer.as_str(), binding: None, now, skew };
    let verified = data_integrity::verify(&document, suites, resolver, &expected)?;
    TopLevel::DataIntegrity.check(&verified)?;
    let verified = Credential::parse(verified)?;
    let proofs = match document.get("proof") {
        Some(Value::Array(several)) => several.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    let key = |proof: &Value| -> Result<(DidUrl, PublicKey), Problem> {
        let kid = DidUrl::parse(proof.get("verificationMethod").and_then(Value::as_str).unwrap_or_default())?;
        let key = key_of_list(&current, &kid, (now, skew))?;
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
    // Unknown purposes are ignored: nobody here can ask for them.
    let purposes: Vec<Purpose> = named.iter().filter_map(Value::as_str).filter_map(Purpose::parse).collect();
    let purpose = *purposes.first().ok_or(Code::StatusPurpose)?;
    let bits = subject.get("statusSize").map_or(Some(1), json::whole).and_then(|bits| u8::try_from(bits).ok());
    let bits = bits.ok_or_else(|| invalid("its entries have no size"))?;
    let reference = bitstring::Reference { purpose, url: url.to_owned(), index: 0, bits };
    let (published, list) = bitstring::BitstringListParameters::read(&verified, &reference)?;
    Ok(Listed {
        on_behalf_of: on_behalf_of.clone(),
        issuer,
        about: About::Purposes { purposes, sized: subject.contains_key("statusSize") },
        profile: ListProfile::DEFAULT,
        freshness: published.freshness,
        fetched: now,
        keys,
        list: Arc::new(list),
    })
}

fn status_token(
    kid: &str,
    on_behalf_of: &Did,
    (now, skew): (Timestamp, i64),
    resolver: &dyn Resolve,
    verify: impl FnOnce(&PublicKey) -> Result<(StatusList, Freshness), Problem>,
) -> Result<Listed, Problem> {
    let kid = DidUrl::parse(kid)?;
    let issuer = kid.did().clone();
    let key = key_of_list(&*signer(&issuer, on_behalf_of, resolver)?, &kid, (now, skew))?;
    let (list, freshness) = verify(&key)?;
    let profile = ListProfile::DEFAULT;
    profile.require_length(list.entries())?;
    let (on_behalf_of, list, keys) = (on_behalf_of.clone(), Arc::new(list), vec![(kid, key)]);
    Ok(Listed { on_behalf_of, issuer, about: About::Values, profile, freshness, fetched: now, keys, list })
}

/// A key that signs lists.
fn key_of_list(document: &DidDocument, kid: &DidUrl, (now, skew): (Timestamp, i64)) -> Result<PublicKey, Problem> {
    if document.expires(kid).is_some_and(|end| end.plus(skew) <= now) {
        return Err(Problem::new(Code::KeyInvalid, "the list's key has expired"));
    }
    document.key_for(kid, KeyPurpose::AssertionMethod)
}

/// Returns the document of a list's signer, if that is the issuer whose credentials it is about or the DID that the
/// issuer's document names. A named signer cannot name another.
fn signer(made_by: &Did, on_behalf_of: &Did, resolver: &dyn Resolve) -> Result<Arc<DidDocument>, Problem> {
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
