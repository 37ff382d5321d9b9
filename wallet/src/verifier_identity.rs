//! Registration of a verifier, verified with the pinned registrars and the trust lists of the wallet
//! (spec/registration.md sections 4 and 5).

use carnet_core::{
    Code, Problem,
    did::{Did, Resolve},
    query::{CredentialQuery, Query},
    secure::sd_jwt::Step,
    time::{CLOCK_SKEW, Timestamp},
    trust::list::{AccreditationDecision, AccreditationQuestion},
    trust::registration::{
        ExpectedRegistration, IntendedUse, Registration, RegistrationExcess, RelyingParty, excess_of_unregistered,
    },
};
use serde_json::Value;

use crate::{
    answer::RequestedClaimPath,
    request::PresentationRequest,
    store::{PinnedRegistrar, WalletContents},
    trust::{ValidTrustLists, decision_json},
};

/// Maximum length of an unaccepted registrar's DID on the screen, in characters.
const MAX_DID: usize = 512;

/// Registration of a verifier, or the reason why it counts as unregistered.
#[derive(Debug, Clone)]
pub struct VerifierIdentity {
    /// Id of the intended use that the request names; empty: none.
    intended_use: String,
    registration: Result<Box<Registration>, UnregisteredReason>,
    /// Name of the registrar, given by the holder or by the trust list; empty if the wallet does not know the
    /// registrar.
    registrar_name: String,
    /// DID of the registrar stated in the registration, valid or not; `None` if it is malformed or too long for a
    /// screen.
    claimed_registrar: Option<String>,
    /// Decision of a trust list about the registrar; `None` if the registrar is pinned, the registration is invalid, or
    /// there is no valid trust list.
    registrar_decision: Option<RegistrarDecision>,
}

/// Reason why a verifier counts as unregistered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnregisteredReason {
    /// The request has no registration.
    NoRegistration,
    /// The registration is invalid, or its registrar is neither pinned nor accredited; with the reason.
    Invalid(Code),
}

/// Returns the registrar of the first registration in a request whose registrar is pinned, otherwise of the first whose
/// registrar has an entry in a trust list, in force or not. `None` if there is neither; the DID of an unknown registrar
/// must not be resolved.
pub fn known_registrar(
    request: &PresentationRequest,
    contents: &WalletContents,
    lists: &ValidTrustLists,
) -> Option<PinnedRegistrar> {
    let issuers = || request.registrations.iter().filter_map(issuer);
    let pinned = |issuer: &str| contents.pinned_registrar(issuer, request.did.as_str());
    let listed = |issuer: &str| {
        let entry = lists.registrar_entry(issuer)?;
        Some(PinnedRegistrar { did: entry.id.clone(), name: entry.name.clone() })
    };
    issuers().find_map(pinned).or_else(|| issuers().find_map(listed))
}

fn issuer(registration: &Value) -> Option<&str> {
    registration.get("issuer").and_then(Value::as_str)
}

/// Returns whether a text is a DID of a length that fits on a screen. The DID of an unknown party can be any text.
fn is_short_did(text: &str) -> bool {
    text.len() <= MAX_DID && Did::parse(text).is_ok()
}

/// Returns the decision of the trust lists about a registrar: its accreditation for the verifier's country when it
/// issued the registration. `None` without a valid trust list.
fn decide_registrar(registration: &Registration, lists: &ValidTrustLists) -> Option<RegistrarDecision> {
    let question = AccreditationQuestion {
        issued_at: Some(registration.valid_from()),
        jurisdiction: Some(registration.relying_party().country.clone()),
        ..AccreditationQuestion::for_registration(registration.registrar())
    };
    let (list, why) = lists.decision(&question)?;
    Some(RegistrarDecision { list: list.to_owned(), why })
}

/// Decision of a trust list about a registrar.
#[derive(Debug, Clone)]
pub struct RegistrarDecision {
    /// DID of the list.
    list: String,
    why: AccreditationDecision,
}

impl RegistrarDecision {
    /// Returns the decision as JSON, for `--json` ([`decision_json`]).
    pub fn to_json(&self) -> Value {
        decision_json(&self.list, &self.why)
    }
}

impl VerifierIdentity {
    /// Verifies the registration in a request. Of several, the one by a pinned registrar is used, otherwise one by a
    /// registrar in a trust list, otherwise the first.
    pub fn from_request(
        request: &PresentationRequest,
        contents: &WalletContents,
        now: Timestamp,
        resolver: &dyn Resolve,
    ) -> Self {
        let lists = ValidTrustLists::from_wallet(&contents.trust, now);
        let registrar = known_registrar(request, contents, &lists);
        let known = |did: &str| registrar.as_ref().is_some_and(|registrar| registrar.did == did);
        let by_known = |document: &&Value| issuer(document).is_some_and(known);
        let document = request.registrations.iter().find(by_known).or(request.registrations.first());
        let expected = ExpectedRegistration {
            verifier: request.did.as_str(),
            is_trusted_registrar: &known,
            now,
            skew: CLOCK_SKEW,
        };
        let mut listed = None;
        let registration = match document {
            None => Err(UnregisteredReason::NoRegistration),
            Some(Value::Object(document)) => Registration::verify(document, &expected, resolver)
                .and_then(|registration| {
                    if contents.pinned_registrar(registration.registrar(), request.did.as_str()).is_none() {
                        listed = decide_registrar(&registration, &lists);
                        let untrusted = || Err(Code::RegistrarUntrusted.into());
                        listed.as_ref().map_or_else(untrusted, |listed| listed.why.require_accepted())?;
                    }
                    Ok(registration)
                })
                .map(Box::new)
                .map_err(|problem: Problem| UnregisteredReason::Invalid(problem.code)),
            Some(_) => Err(UnregisteredReason::Invalid(Code::RegistrationInvalid)),
        };
        let claimed_registrar = document.and_then(issuer).filter(|did| is_short_did(did)).map(str::to_owned);
        let registrar_name = registrar.map(|registrar| registrar.name).unwrap_or_default();
        let intended_use = request.intended_use.clone();
        Self { intended_use, registration, registrar_name, claimed_registrar, registrar_decision: listed }
    }

    /// Returns the decision of a trust list about the registrar. `None` if the registrar is pinned, the registration is
    /// invalid, or there is no valid trust list.
    pub fn registrar_decision(&self) -> Option<&RegistrarDecision> {
        self.registrar_decision.as_ref()
    }

    /// Returns the registration; `None` if it is missing, invalid or by an untrusted registrar.
    pub fn registration(&self) -> Option<&Registration> {
        self.registration.as_deref().ok()
    }

    /// Returns the reason why the verifier counts as unregistered; `None` if it is registered.
    pub fn unregistered_reason(&self) -> Option<UnregisteredReason> {
        self.registration.as_ref().err().copied()
    }

    /// Returns the name of the registrar: the holder's own name for it (may be empty), otherwise that in the trust
    /// list; empty for an unknown registrar.
    pub fn registrar_name(&self) -> &str {
        &self.registrar_name
    }

    /// Returns the DID of the registrar stated in the registration, which is unverified unless [`Self::registration`]
    /// returns the registration. `None` if it is missing, malformed, or longer than 512 bytes.
    pub fn claimed_registrar(&self) -> Option<&str> {
        self.claimed_registrar.as_deref()
    }

    /// Returns the registered relying party; `None` for an unregistered verifier.
    pub fn relying_party(&self) -> Option<&RelyingParty> {
        self.registration().map(Registration::relying_party)
    }

    /// Returns the registered intended use that the request names. `None` if the verifier is unregistered, or the
    /// registration does not have it.
    pub fn intended_use(&self) -> Option<&IntendedUse> {
        self.relying_party()?.intended_use(&self.intended_use)
    }

    /// Returns the requested items that exceed the registration: all items for an unregistered verifier.
    pub fn excess(&self, query: &Query) -> Vec<RegistrationExcess> {
        self.registration()
            .map_or_else(|| excess_of_unregistered(query), |known| known.excess(&self.intended_use, query))
    }

    /// Returns the claims with a requested threshold whose value the registration does not permit to request. Approval
    /// of the threshold does not include the value. For an unregistered verifier, these are all claims with a
    /// threshold.
    pub fn claims_without_value_permission(&self, query: &Query) -> Vec<RequestedClaimPath> {
        let registers = |credential: &CredentialQuery, path: &[Step]| {
            self.registration().is_some_and(|known| known.permits_value(&self.intended_use, credential, path))
        };
        let thresholds = query.credentials.iter().flat_map(|credential| {
            credential.claims.iter().filter(|claim| claim.threshold.is_some()).map(move |claim| (credential, claim))
        });
        thresholds
            .filter(|(credential, claim)| !registers(credential, &claim.path))
            .map(|(credential, claim)| RequestedClaimPath { query_id: credential.id.clone(), path: claim.path.clone() })
            .collect()
    }
}

/// Unit tests, and test support for programs.
#[cfg(any(test, feature = "fixtures"))]
#[allow(missing_docs, dead_code, unused_imports, clippy::unwrap_used, clippy::indexing_slicing)]
#[allow(clippy::arithmetic_side_effects, clippy::new_without_default)]
pub mod tests;
