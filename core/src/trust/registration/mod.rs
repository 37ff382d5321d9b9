//! Relying-party registrations: a credential from a registrar that states the identity of a relying party, its
//! purposes, and the claims that it may request (spec/registration.md).
//!
//! A relying party creates a [`RegistrationRequest`], signed with the key of its own DID. A registrar reviews it and
//! [issues](Registration::issue) a [`Registration`], which the relying party includes by value in every presentation
//! request. The wallet [verifies](Registration::verify) it and warns about every [`RegistrationExcess`].

use serde_json::{Map, Value};

use crate::{
    Code, Problem,
    did::{DidUrl, Resolve},
    format::CredentialFormat,
    keys::Signer,
    query::{CredentialQuery, Query},
    secure::sd_jwt::Step,
    time::Timestamp,
    trust::statement::{StatementKind, VerificationTime},
};

mod excess;
mod receipt_key;
mod relying_party;
#[cfg(test)]
mod tests;

pub use excess::{ExceededLimit, RegistrationExcess, excess_of_unregistered};
pub use receipt_key::{ReceiptKey, ReceiptKeyState};
pub use relying_party::{
    CredentialTypeMeta, IntendedUse, RegisteredClaim, RegisteredCredential, RelyingParty, SupervisoryAuthority,
};

/// Maximum validity period of a registration, in seconds: twelve months, also in a leap year (ETSI TS 119 475,
/// GEN-5.2.4-08).
const MAX_VALIDITY: i64 = 366 * crate::day::SECONDS;

const REQUEST: StatementKind =
    StatementKind { type_name: "RelyingPartyRegistrationRequest", invalid_code: Code::RegistrationInvalid };
const REGISTRATION: StatementKind =
    StatementKind { type_name: "RelyingPartyRegistration", invalid_code: Code::RegistrationInvalid };

/// Verified request of a relying party for registration, signed with a key of its DID.
#[derive(Debug, Clone, PartialEq)]
pub struct RegistrationRequest {
    relying_party: RelyingParty,
    requested_at: Timestamp,
}

impl RegistrationRequest {
    /// Signs a request with the relying party's own key. `kid` is an Ed25519 verification method of `relying_party.id`,
    /// listed under `assertionMethod`.
    ///
    /// # Errors
    /// `registration_invalid` for content that exceeds a limit; `registration_mismatch` if `kid` belongs to another
    /// DID; `algorithm_mismatch`, `proof_generation`.
    pub fn sign(
        relying_party: &RelyingParty,
        kid: &DidUrl,
        signer: &dyn Signer,
        now: Timestamp,
    ) -> Result<Map<String, Value>, Problem> {
        relying_party.check_limits(&REQUEST)?;
        require_same_party(&relying_party.id, kid.did().as_str())?;
        REQUEST.sign(relying_party, (now, None), kid, signer)
    }

    /// Verifies a request: signed by the relying party itself, with receipt keys that its DID document lists for
    /// assertion. `skew` is in seconds.
    ///
    /// # Errors
    /// `registration_invalid`, `registration_mismatch` (not signed by the relying party, or with a receipt key that
    /// differs from the one in its document), `not_yet_valid`, those of
    /// [`data_integrity::verify`](crate::secure::data_integrity::verify) and of resolving the receipt keys.
    pub fn verify(
        document: &Map<String, Value>,
        now: Timestamp,
        skew: i64,
        resolver: &dyn Resolve,
    ) -> Result<Self, Problem> {
        let statement =
            REQUEST.verify::<RelyingParty>(document, |_| Ok(()), VerificationTime { now, skew }, resolver)?;
        statement.subject.check_limits(&REQUEST)?;
        require_same_party(&statement.subject.id, &statement.issuer)?;
        statement.subject.receipt_keys.iter().try_for_each(|key| key.require_published(resolver))?;
        Ok(Self { relying_party: statement.subject, requested_at: statement.valid_from })
    }

    /// Returns the relying party to register.
    #[must_use]
    pub fn relying_party(&self) -> &RelyingParty {
        &self.relying_party
    }

    /// Returns the time at which the request was signed.
    #[must_use]
    pub fn requested_at(&self) -> Timestamp {
        self.requested_at
    }
}

/// `format` of a registration in `verifier_info`.
const FORMAT: CredentialFormat = CredentialFormat::DiVcJcs;

/// Returns the unverified registrations in `verifier_info` of a request object's payload. Entries in other formats, or
/// for only some credentials (`credential_ids`), are ignored.
#[must_use]
pub fn registrations_in_request(payload: &Map<String, Value>) -> Vec<Value> {
    let entries = payload.get("verifier_info").and_then(Value::as_array).into_iter().flatten();
    let registration = |entry: &Value| {
        let format = entry.get("format").and_then(Value::as_str);
        // A registration for only some of the credentials (`credential_ids`) does not cover the whole request.
        let whole = entry.get("credential_ids").is_none();
        if format == Some(FORMAT.as_str()) && whole { entry.get("data").cloned() } else { None }
    };
    entries.filter_map(registration).collect()
}

/// Expected values for the verification of a registration.
#[derive(Clone, Copy)]
pub struct ExpectedRegistration<'a> {
    /// DID of the verifier that sent the request.
    pub verifier: &'a str,
    /// Predicate that is `true` for the DIDs of the registrars that the caller trusts. Other DIDs are never resolved.
    pub is_trusted_registrar: &'a dyn Fn(&str) -> bool,
    /// Time for which the registration is verified.
    pub now: Timestamp,
    /// Tolerated clock skew, in seconds.
    pub skew: i64,
}

/// Verified registration.
#[derive(Debug, Clone, PartialEq)]
pub struct Registration {
    relying_party: RelyingParty,
    registrar: String,
    valid_from: Timestamp,
    valid_until: Timestamp,
    /// Time of verification: relative bounds are counted from its day.
    verified_at: Timestamp,
}

impl Registration {
    /// Signs a registration with the content of a verified request, valid from `from` to `until`, at most 366 days.
    /// `kid` is an Ed25519 verification method of the registrar's DID.
    ///
    /// # Errors
    /// `registration_invalid` for a longer period; `validity_reversed`, `algorithm_mismatch`, `proof_generation`.
    pub fn issue(
        request: &RegistrationRequest,
        kid: &DidUrl,
        signer: &dyn Signer,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Map<String, Value>, Problem> {
        check_validity(from, until)?;
        REGISTRATION.sign(&request.relying_party, (from, Some(until)), kid, signer)
    }

    /// Verifies a registration: signed by a registrar that the caller trusts
    /// ([`ExpectedRegistration::is_trusted_registrar`]), for the verifier that sent the request, and within its validity
    /// period.
    ///
    /// # Errors
    /// `registrar_untrusted`, `registration_mismatch` (another verifier's), `registration_invalid`, `expired`,
    /// `not_yet_valid`, and those of [`data_integrity::verify`](crate::secure::data_integrity::verify) and
    /// [`Credential::parse`](crate::credential::Credential::parse).
    pub fn verify(
        document: &Map<String, Value>,
        expected: &ExpectedRegistration<'_>,
        resolver: &dyn Resolve,
    ) -> Result<Self, Problem> {
        let pinned = |issuer: &str| match (expected.is_trusted_registrar)(issuer) {
            true => Ok(()),
            false => Err(Problem::from(Code::RegistrarUntrusted)),
        };
        let clock = VerificationTime { now: expected.now, skew: expected.skew };
        let statement = REGISTRATION.verify::<RelyingParty>(document, pinned, clock, resolver)?;
        statement.subject.check_limits(&REGISTRATION)?;
        require_same_party(&statement.subject.id, expected.verifier)?;
        let valid_until = statement.valid_until.ok_or_else(|| REGISTRATION.problem("it has no validUntil"))?;
        check_validity(statement.valid_from, valid_until)?;
        Ok(Self {
            relying_party: statement.subject,
            registrar: statement.issuer,
            valid_from: statement.valid_from,
            valid_until,
            verified_at: expected.now,
        })
    }

    /// Returns the registered relying party.
    #[must_use]
    pub fn relying_party(&self) -> &RelyingParty {
        &self.relying_party
    }

    /// Returns the DID of the registrar that signed it.
    #[must_use]
    pub fn registrar(&self) -> &str {
        &self.registrar
    }

    /// Returns the start of the validity period.
    #[must_use]
    pub fn valid_from(&self) -> Timestamp {
        self.valid_from
    }

    /// Returns the end of the validity period, inclusive.
    #[must_use]
    pub fn valid_until(&self) -> Timestamp {
        self.valid_until
    }

    /// Returns the parts of a query that exceed the registration for an intended use, in the order of the query; empty
    /// if there are none. Relative bounds are evaluated for the day of verification and the day before.
    #[must_use]
    pub fn excess(&self, intended_use: &str, query: &Query) -> Vec<RegistrationExcess> {
        match self.relying_party.intended_use(intended_use) {
            Some(intended) => intended.excess(query, self.verified_at),
            None => excess::excess_of_everything(query, ExceededLimit::IntendedUse),
        }
    }

    /// Returns whether the value at `path`, and not only a threshold proof, is registered for the credentials of
    /// `query`. Only then may the wallet answer a threshold with the value.
    #[must_use]
    pub fn permits_value(&self, intended_use: &str, query: &CredentialQuery, path: &[Step]) -> bool {
        self.relying_party.intended_use(intended_use).is_some_and(|intended| intended.permits_value(query, path))
    }
}

fn require_same_party(registered: &str, asker: &str) -> Result<(), Problem> {
    if registered == asker { Ok(()) } else { Err(Code::RegistrationMismatch.into()) }
}

fn check_validity(from: Timestamp, until: Timestamp) -> Result<(), Problem> {
    REGISTRATION.require(until <= from.plus(MAX_VALIDITY), "its validity", "is longer than twelve months")
}
