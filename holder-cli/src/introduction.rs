//! How an asker introduces itself: its registration, as far as it holds here (spec/registration.md sections 4 and 5).

use carnet_core::{
    Code, Problem,
    did::{Did, Resolve},
    query::{CredentialQuery, Query},
    secure::sd_jwt::Step,
    time::{CLOCK_SKEW, Timestamp},
    trust::list::{Question, Why},
    trust::registration::{Excess, Expected, IntendedUse, Registration, RelyingParty, unregistered},
};
use serde_json::Value;

use crate::{
    answer::Claimed,
    request::Request,
    trust::{Lists, noted},
    wallet::{Contents, Registrar},
};

/// Longest DID of a registrar that is shown while it is not accepted.
const MAX_DID: usize = 512;

/// What is known of an asker beside its DID.
#[derive(Debug, Clone)]
pub(crate) struct Introduction {
    /// The use that the request names; empty if it names none.
    intended_use: String,
    registration: Result<Box<Registration>, Unregistered>,
    /// The owner's name for the registrar, or that of the trust list.
    registrar_name: String,
    /// DID of the registrar that the registration names, whether it holds or not.
    claimed_registrar: Option<String>,
    /// By which trust list the registrar was accepted or refused, if one was asked.
    listing: Option<Listing>,
}

/// Why an asker counts as one that is not registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unregistered {
    /// It sent no registration.
    None,
    /// Its registration does not hold.
    Refused(Code),
}

/// The registrar of a request's registration, if the wallet has pinned it, or one of its trust lists has it. No other DID is
/// looked up.
pub(crate) fn registrar(request: &Request, contents: &Contents, lists: &Lists) -> Option<Registrar> {
    let issuers = || request.registrations.iter().filter_map(issuer);
    let pinned = |issuer: &str| contents.registrars.iter().find(|registrar| registrar.did == issuer).cloned();
    let listed = |issuer: &str| {
        let entry = lists.registrar(issuer)?;
        Some(Registrar { did: entry.id.clone(), name: entry.name.clone() })
    };
    issuers().find_map(pinned).or_else(|| issuers().find_map(listed))
}

fn issuer(registration: &Value) -> Option<&str> {
    registration.get("issuer").and_then(Value::as_str)
}

/// Returns `true` for a DID that fits on a screen: that of a stranger can be any text.
fn is_short_did(text: &str) -> bool {
    text.len() <= MAX_DID && Did::parse(text).is_ok()
}

/// Whether the owner has pinned a registrar, who then needs no list.
fn pins(contents: &Contents, did: &str) -> bool {
    contents.registrars.iter().any(|registrar| registrar.did == did)
}

/// What the trust lists say about a registrar: whether it was one when it registered an asker of that country.
fn listing(registration: &Registration, lists: &Lists) -> Option<Listing> {
    let question = Question {
        issued: Some(registration.valid_from()),
        jurisdiction: Some(registration.relying_party().country.clone()),
        ..Question::register(registration.registrar())
    };
    let (list, why) = lists.why(&question)?;
    Some(Listing { list: list.to_owned(), why })
}

/// By which trust list a registrar was accepted or refused.
#[derive(Debug, Clone)]
pub(crate) struct Listing {
    /// The DID that names the list.
    list: String,
    why: Why,
}

impl Listing {
    /// For programs.
    pub(crate) fn json(&self) -> Value {
        noted(&self.list, &self.why)
    }
}

impl Introduction {
    /// Verifies the registration that came with a request: the one by a registrar that is pinned, if there are several, or
    /// else by one that a trust list has.
    pub(crate) fn read(request: &Request, contents: &Contents, now: Timestamp, resolver: &dyn Resolve) -> Self {
        let lists = Lists::of(&contents.trust, now);
        let registrar = registrar(request, contents, &lists);
        let known = |did: &str| registrar.as_ref().is_some_and(|registrar| registrar.did == did);
        let by_known = |document: &&Value| issuer(document).is_some_and(known);
        let document = request.registrations.iter().find(by_known).or(request.registrations.first());
        let expected = Expected { asker: request.did.as_str(), registrars: &known, now, skew: CLOCK_SKEW };
        let mut listed = None;
        let registration = match document {
            None => Err(Unregistered::None),
            Some(Value::Object(document)) => Registration::verify(document, &expected, resolver)
                .and_then(|registration| {
                    if !pins(contents, registration.registrar()) {
                        listed = listing(&registration, &lists);
                        let untrusted = || Err(Code::RegistrarUntrusted.into());
                        listed.as_ref().map_or_else(untrusted, |listed| listed.why.check())?;
                    }
                    Ok(registration)
                })
                .map(Box::new)
                .map_err(|problem: Problem| Unregistered::Refused(problem.code)),
            Some(_) => Err(Unregistered::Refused(Code::RegistrationInvalid)),
        };
        let claimed_registrar = document.and_then(issuer).filter(|did| is_short_did(did)).map(str::to_owned);
        let registrar_name = registrar.map(|registrar| registrar.name).unwrap_or_default();
        let intended_use = request.intended_use.clone();
        Self { intended_use, registration, registrar_name, claimed_registrar, listing: listed }
    }

    /// By which trust list the registrar was accepted or refused, if one was asked.
    pub(crate) fn listing(&self) -> Option<&Listing> {
        self.listing.as_ref()
    }

    /// The registration, if it holds.
    pub(crate) fn registration(&self) -> Option<&Registration> {
        self.registration.as_deref().ok()
    }

    /// Why there is none.
    pub(crate) fn unregistered(&self) -> Option<Unregistered> {
        self.registration.as_ref().err().copied()
    }

    /// The owner's name for the registrar, empty if it gave none; or that of the trust list.
    pub(crate) fn registrar_name(&self) -> &str {
        &self.registrar_name
    }

    /// DID of the registrar that the registration names. Unless the registration holds it is the asker's own word.
    pub(crate) fn claimed_registrar(&self) -> Option<&str> {
        self.claimed_registrar.as_deref()
    }

    /// Who is registered.
    pub(crate) fn relying_party(&self) -> Option<&RelyingParty> {
        self.registration().map(Registration::relying_party)
    }

    /// What is registered for the use that the request names.
    pub(crate) fn intended_use(&self) -> Option<&IntendedUse> {
        self.relying_party()?.intended_use(&self.intended_use)
    }

    /// What is asked beyond what is registered.
    pub(crate) fn excess(&self, query: &Query) -> Vec<Excess> {
        self.registration().map_or_else(|| unregistered(query), |known| known.excess(&self.intended_use, query))
    }

    /// The claims that are asked for by a threshold and must not go by their value: all whose value is not registered. Who
    /// approves a threshold has not approved the value.
    pub(crate) fn proofs_only(&self, query: &Query) -> Vec<Claimed> {
        let registers = |credential: &CredentialQuery, path: &[Step]| {
            self.registration().is_some_and(|known| known.registers_value(&self.intended_use, credential, path))
        };
        let thresholds = query.credentials.iter().flat_map(|credential| {
            credential.claims.iter().filter(|claim| claim.threshold.is_some()).map(move |claim| (credential, claim))
        });
        thresholds
            .filter(|(credential, claim)| !registers(credential, &claim.path))
            .map(|(credential, claim)| Claimed { query_id: credential.id.clone(), path: claim.path.clone() })
            .collect()
    }
}

#[cfg(test)]
pub(crate) mod tests;
