//! How an asker introduces itself: its registration, as far as it holds here (spec/registration.md sections 4 and 5).

use carnet_core::{
    Code, Problem,
    did::Resolve,
    query::{CredentialQuery, Query},
    secure::sd_jwt::Step,
    time::Timestamp,
    trust::registration::{Excess, Expected, IntendedUse, Registration, RelyingParty, unregistered},
};
use serde_json::Value;

use crate::{
    answer::Claimed,
    request::Request,
    session::CLOCK_SKEW,
    wallet::{Contents, Registrar},
};

/// What is known of an asker beside its DID.
#[derive(Debug, Clone)]
pub(crate) struct Introduction {
    /// The use that the request names; empty if it names none.
    intended_use: String,
    registration: Result<Box<Registration>, Unregistered>,
    /// The owner's name for the registrar.
    registrar_name: String,
}

/// Why an asker counts as one that is not registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unregistered {
    /// It sent no registration.
    None,
    /// Its registration does not hold.
    Refused(Code),
}

/// The registrar of a request's registration, if the wallet has pinned it. No other DID is looked up.
pub(crate) fn registrar<'a>(request: &Request, contents: &'a Contents) -> Option<&'a Registrar> {
    let pinned = |document: &Value| {
        let issuer = document.get("issuer").and_then(Value::as_str)?;
        contents.registrars.iter().find(|registrar| registrar.did == issuer)
    };
    request.registrations.iter().find_map(pinned)
}

impl Introduction {
    /// Verifies the registration that came with a request: the one by a registrar that is pinned, if there are several.
    pub(crate) fn read(request: &Request, contents: &Contents, now: Timestamp, resolver: &dyn Resolve) -> Self {
        let pinned = |did: &str| contents.registrars.iter().any(|registrar| registrar.did == did);
        let by_pinned = |document: &&Value| document.get("issuer").and_then(Value::as_str).is_some_and(&pinned);
        let document = request.registrations.iter().find(by_pinned).or(request.registrations.first());
        let expected = Expected { asker: request.did.as_str(), registrars: &pinned, now, skew: CLOCK_SKEW };
        let registration = match document {
            None => Err(Unregistered::None),
            Some(Value::Object(document)) => Registration::verify(document, &expected, resolver)
                .map(Box::new)
                .map_err(|problem: Problem| Unregistered::Refused(problem.code)),
            Some(_) => Err(Unregistered::Refused(Code::RegistrationInvalid)),
        };
        let registrar_name = registrar(request, contents).map(|registrar| registrar.name.clone()).unwrap_or_default();
        Self { intended_use: request.intended_use.clone(), registration, registrar_name }
    }

    /// The registration, if it holds.
    pub(crate) fn registration(&self) -> Option<&Registration> {
        self.registration.as_deref().ok()
    }

    /// Why there is none.
    pub(crate) fn unregistered(&self) -> Option<Unregistered> {
        self.registration.as_ref().err().copied()
    }

    /// The owner's name for the registrar; empty if it gave none.
    pub(crate) fn registrar_name(&self) -> &str {
        &self.registrar_name
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
