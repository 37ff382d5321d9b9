//! A verifier's registration, as far as it is valid for this wallet (spec/registration.md sections 4 and 5).

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
    store::{Contents, Registrar},
    trust::{Lists, noted},
};

/// Maximum length of an unaccepted registrar's DID on the screen, in characters.
const MAX_DID: usize = 512;

/// Verified facts about a verifier besides its DID.
#[derive(Debug, Clone)]
pub struct Introduction {
    /// Intended use that the request names; empty if it names none.
    intended_use: String,
    registration: Result<Box<Registration>, Unregistered>,
    /// Name of the registrar, given by the owner or by the trust list.
    registrar_name: String,
    /// DID of the registrar that the registration names, valid or not.
    claimed_registrar: Option<String>,
    /// Trust list that accepted or refused the registrar, if one was consulted.
    listing: Option<Listing>,
}

/// Reason why a verifier counts as unregistered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unregistered {
    /// The request has no registration.
    None,
    /// The registration is invalid.
    Refused(Code),
}

/// Returns the registrar of a request's registration if the wallet has pinned it or a trust list contains it. No other
/// DID is resolved.
pub fn registrar(request: &Request, contents: &Contents, lists: &Lists) -> Option<Registrar> {
    let issuers = || request.registrations.iter().filter_map(issuer);
    let pinned = |issuer: &str| contents.pinned_registrar(issuer, request.did.as_str());
    let listed = |issuer: &str| {
        let entry = lists.registrar(issuer)?;
        Some(Registrar { did: entry.id.clone(), name: entry.name.clone() })
    };
    issuers().find_map(pinned).or_else(|| issuers().find_map(listed))
}

fn issuer(registration: &Value) -> Option<&str> {
    registration.get("issuer").and_then(Value::as_str)
}

/// Tests if a DID fits on a screen: a stranger's DID can be any text.
fn is_short_did(text: &str) -> bool {
    text.len() <= MAX_DID && Did::parse(text).is_ok()
}

/// Looks up a registrar in the trust lists: its status when it registered a verifier of that country.
fn listing(registration: &Registration, lists: &Lists) -> Option<Listing> {
    let question = Question {
        issued: Some(registration.valid_from()),
        jurisdiction: Some(registration.relying_party().country.clone()),
        ..Question::register(registration.registrar())
    };
    let (list, why) = lists.why(&question)?;
    Some(Listing { list: list.to_owned(), why })
}

/// Trust list that accepted or refused a registrar.
#[derive(Debug, Clone)]
pub struct Listing {
    /// DID of the list.
    list: String,
    why: Why,
}

impl Listing {
    /// Returns the object for `--json`.
    pub fn json(&self) -> Value {
        noted(&self.list, &self.why)
    }
}

impl Introduction {
    /// Verifies the registration of a request. If there are several, one by a pinned registrar has precedence over one
    /// by a listed registrar.
    pub fn read(request: &Request, contents: &Contents, now: Timestamp, resolver: &dyn Resolve) -> Self {
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
                    if contents.pinned_registrar(registration.registrar(), request.did.as_str()).is_none() {
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

    /// Returns the trust list that accepted or refused the registrar, if one was consulted.
    pub fn listing(&self) -> Option<&Listing> {
        self.listing.as_ref()
    }

    /// Returns the registration if it is valid.
    pub fn registration(&self) -> Option<&Registration> {
        self.registration.as_deref().ok()
    }

    /// Returns the reason why there is no valid registration.
    pub fn unregistered(&self) -> Option<Unregistered> {
        self.registration.as_ref().err().copied()
    }

    /// Returns the owner's name for the registrar (may be empty), or that of the trust list.
    pub fn registrar_name(&self) -> &str {
        &self.registrar_name
    }

    /// Returns the DID of the registrar that the registration names. Unless the registration is valid, only the
    /// verifier asserts it.
    pub fn claimed_registrar(&self) -> Option<&str> {
        self.claimed_registrar.as_deref()
    }

    /// Returns the registered relying party.
    pub fn relying_party(&self) -> Option<&RelyingParty> {
        self.registration().map(Registration::relying_party)
    }

    /// Returns the registered use that the request names.
    pub fn intended_use(&self) -> Option<&IntendedUse> {
        self.relying_party()?.intended_use(&self.intended_use)
    }

    /// Returns the requested claims in excess of the registration.
    pub fn excess(&self, query: &Query) -> Vec<Excess> {
        self.registration().map_or_else(|| unregistered(query), |known| known.excess(&self.intended_use, query))
    }

    /// Returns the claims that are requested by a threshold and whose value is not registered. Approval of the
    /// threshold does not cover the value.
    pub fn proofs_only(&self, query: &Query) -> Vec<Claimed> {
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

/// Unit tests, and what programs test with.
#[cfg(any(test, feature = "fixtures"))]
#[allow(missing_docs, dead_code, unused_imports, clippy::unwrap_used, clippy::indexing_slicing)]
#[allow(clippy::arithmetic_side_effects, clippy::new_without_default)]
pub mod tests;
