//! A list that was fetched, verified and unpacked, to be asked many times.

use std::sync::Arc;

use serde_json::Value;

use super::{Freshness, Purpose, StatusList, bitstring, cwt, token};
use crate::{
    Code, Problem,
    credential::Credential,
    did::{Did, DidDocument, DidUrl, Purpose as KeyPurpose, Resolve},
    json::{self, Limits},
    keys::PublicKey,
    secure::data_integrity::{self, Cryptosuite, Expected},
    time::Timestamp,
};

/// What a list's entries are about.
#[derive(Debug, Clone, PartialEq, Eq)]
enum About {
    /// A `BitstringStatusListCredential` with these purposes.
    Purposes(Vec<Purpose>),
    /// A status list token, whose values say it.
    Values,
}

/// A list in memory: who made it, what it is about, until when it may be used. Of n entries of one bit it takes about n/8
/// bytes. To ask it is to look into an array: no lock, no allocation.
#[derive(Debug, Clone)]
pub struct Listed {
    issuer: String,
    about: About,
    freshness: Freshness,
    fetched: Timestamp,
    /// With what it was signed.
    keys: Vec<(DidUrl, PublicKey)>,
    /// Shared with what it was before it was found to be published still.
    list: Arc<StatusList>,
}

impl Listed {
    /// Verifies what was fetched from `url` as a list of that issuer, in either form: a JSON object is a credential with a
    /// proof, anything else a token, which is a JWT or a CWT. It has to be usable at `fetched`.
    ///
    /// # Errors
    /// `status_list_issuer`; `status_list_stale`; `status_list_mismatch` (the list of another URL); `header_key_unanchored`,
    /// `method_of_other`; those of [`data_integrity::verify`], [`token::Token::verify`], [`bitstring::Published::read`] and of
    /// resolving the issuer's key. A key of an earlier version of the issuer's document signs no list.
    pub fn verify(
        bytes: &[u8],
        url: &str,
        issuer: &Did,
        (fetched, skew): (Timestamp, i64),
        (resolver, suites): (&dyn Resolve, &[&dyn Cryptosuite]),
    ) -> Result<Self, Problem> {
        let listed = if cwt::Token::is_one(bytes) {
            let token = cwt::Token::parse(bytes)?;
            let verify = |key: &PublicKey| token.verify(key, url, fetched, skew);
            status_token(token.kid(), issuer, (fetched, skew), resolver, verify)?
        } else {
            let text = std::str::from_utf8(bytes).map(str::trim);
            let text = text.map_err(|_| Problem::new(Code::InvalidUnicode, "the list is not UTF-8"))?;
            if text.starts_with('{') {
                credential(text, url, issuer, (fetched, skew), (resolver, suites))?
            } else {
                let token = token::Token::parse(text)?;
                let verify = |key: &PublicKey| token.verify(key, url, fetched, skew);
                status_token(token.kid(), issuer, (fetched, skew), resolver, verify)?
            }
        };
        listed.freshness.check(fetched, fetched, skew)?;
        Ok(listed)
    }

    /// The issuer's DID.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Until when it may be used, besides its time to live.
    #[must_use]
    pub fn freshness(&self) -> Freshness {
        self.freshness
    }

    /// When it was fetched, or last found to be what is published.
    #[must_use]
    pub fn fetched(&self) -> Timestamp {
        self.fetched
    }

    /// The bits.
    #[must_use]
    pub fn list(&self) -> &StatusList {
        &self.list
    }

    /// The same list, which was what is published at a later instant too: its time to live begins anew, its end stays.
    #[must_use]
    pub fn confirmed(&self, fetched: Timestamp) -> Self {
        Self { fetched, ..self.clone() }
    }

    /// Whether the keys that signed it still sign lists by the issuer's document as it is now.
    ///
    /// # Errors
    /// `key_invalid`: one is past its end, or is another key now; those of [`DidDocument::key_for`].
    pub fn stands_by(&self, document: &DidDocument, (now, skew): (Timestamp, i64)) -> Result<(), Problem> {
        for (kid, key) in &self.keys {
            if key_of_list(document, kid, (now, skew))? != *key {
                return Err(Problem::new(Code::KeyInvalid, "the list's key is another one now"));
            }
        }
        Ok(())
    }

    /// Whether an entry of a bitstring list is set.
    ///
    /// # Errors
    /// `status_purpose`: the list is about something else; `status_index`; `status_list_invalid`: its entries have another size.
    pub fn is_set(&self, reference: &bitstring::Reference) -> Result<bool, Problem> {
        match &self.about {
            About::Purposes(purposes) if purposes.contains(&reference.purpose) => {}
            _ => return Err(Code::StatusPurpose.into()),
        }
        if self.list.bits() != reference.bits {
            return Err(Problem::new(
                Code::StatusListInvalid,
                "the list's entries have another size than the credential says",
            ));
        }
        Ok(self.list.value(reference.index)? != 0)
    }

    /// The value of an entry of a status list token.
    ///
    /// # Errors
    /// `status_purpose`: it is a list of another kind; `status_index`.
    pub fn value(&self, reference: &token::Reference) -> Result<u8, Problem> {
        match self.about {
            About::Values => self.list.value(reference.index),
            About::Purposes(_) => Err(Code::StatusPurpose.into()),
        }
    }
}

fn credential(
    text: &str,
    url: &str,
    issuer: &Did,
    (now, skew): (Timestamp, i64),
    (resolver, suites): (&dyn Resolve, &[&dyn Cryptosuite]),
) -> Result<Listed, Problem> {
    let invalid = |what: &str| Problem::new(Code::StatusListInvalid, what.to_owned());
    let Value::Object(document) = json::parse(text.as_bytes(), Limits::LIST)? else {
        return Err(invalid("the list is not an object"));
    };
    by(crate::credential::id_of(document.get("issuer"), "issuer")?.as_str(), issuer)?;
    let expected =
        Expected { purpose: KeyPurpose::AssertionMethod, controller: issuer.as_str(), binding: None, now, skew };
    let verified = Credential::parse(data_integrity::verify(&document, suites, resolver, &expected)?)?;
    let proofs = match document.get("proof") {
        Some(Value::Array(several)) => several.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    let current = resolver.resolve(issuer)?;
    let key = |proof: &Value| -> Result<(DidUrl, PublicKey), Problem> {
        let kid = DidUrl::parse(proof.get("verificationMethod").and_then(Value::as_str).unwrap_or_default())?;
        let key = key_of_list(&current, &kid, (now, skew))?;
        Ok((kid, key))
    };
    let keys = proofs.iter().map(key).collect::<Result<_, _>>()?;
    let subject = verified.document().get("credentialSubject").and_then(Value::as_object);
    let subject = subject.ok_or_else(|| invalid("it has not one subject"))?;
    let named = match subject.get("statusPurpose") {
        Some(Value::Array(several)) => several.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    // A purpose that nobody here knows can be asked of the list by nobody here.
    let purposes: Vec<Purpose> = named.iter().filter_map(Value::as_str).filter_map(Purpose::parse).collect();
    let purpose = *purposes.first().ok_or(Code::StatusPurpose)?;
    let bits = subject.get("statusSize").map_or(Some(1), Value::as_u64).and_then(|bits| u8::try_from(bits).ok());
    let bits = bits.ok_or_else(|| invalid("its entries have no size"))?;
    let reference = bitstring::Reference { purpose, url: url.to_owned(), index: 0, bits };
    let (published, list) = bitstring::Published::read(&verified, &reference)?;
    Ok(Listed {
        issuer: published.issuer,
        about: About::Purposes(purposes),
        freshness: published.freshness,
        fetched: now,
        keys,
        list: Arc::new(list),
    })
}

fn status_token(
    kid: &str,
    issuer: &Did,
    (now, skew): (Timestamp, i64),
    resolver: &dyn Resolve,
    verify: impl FnOnce(&PublicKey) -> Result<(StatusList, Freshness), Problem>,
) -> Result<Listed, Problem> {
    let kid = DidUrl::parse(kid)?;
    by(kid.did().as_str(), issuer)?;
    let key = key_of_list(&*resolver.resolve(issuer)?, &kid, (now, skew))?;
    let (list, freshness) = verify(&key)?;
    let (issuer, list) = (issuer.to_string(), Arc::new(list));
    Ok(Listed { issuer, about: About::Values, freshness, fetched: now, keys: vec![(kid, key)], list })
}

/// A key that signs lists.
fn key_of_list(document: &DidDocument, kid: &DidUrl, (now, skew): (Timestamp, i64)) -> Result<PublicKey, Problem> {
    if document.expires(kid).is_some_and(|end| end.plus(skew) <= now) {
        return Err(Problem::new(Code::KeyInvalid, "the list's key is past its own end"));
    }
    document.key_for(kid, KeyPurpose::AssertionMethod)
}

fn by(named: &str, issuer: &Did) -> Result<(), Problem> {
    if named == issuer.as_str() {
        Ok(())
    } else {
        Err(Problem::new(Code::StatusListIssuer, "the list is not by the issuer whose lists are looked at"))
    }
}
