//! Conformance processor: issues and verifies any document of VCDM 2.0, and of VCDM 1.1, by the rules of the
//! specifications alone.
//!
//! The W3C's test suites send documents that the product refuses: types that no catalogue has, several subjects, terms of
//! example contexts, presentations that answer no query. This module accepts them, for a program that is not the product
//! and says so. It is behind the feature `conformance`, which no product enables, and nothing in [`crate::verify`] uses
//! it: its result is never a [`crate::verify::Verified`] value.
//!
//! [`check_credential`] and [`check_presentation`] apply the rules of the data model. [`verify_credential`] and
//! [`verify_presentation`] add terms, digests of resources, proofs and status; [`issue`] secures a document with a proof,
//! and [`issue_enveloped`] in an envelope of VC-JOSE-COSE. [`did_key`] resolves did:key by its whole specification.

use serde_json::{Map, Value};

use crate::{Code, Problem, did::Resolve, secure::data_integrity::Cryptosuites, time::Timestamp};

mod contents;
mod cose;
pub mod did_key;
mod envelope;
mod issue;
mod jose;
mod keys;
mod model;
mod proofs;
mod resources;
mod sd_jwt;
mod status;
#[cfg(test)]
mod tests;
mod values;

pub use cose::{CoseToken, sign_cose};
pub use envelope::to_enveloped;
pub use issue::{IssueOptions, add_proof, issue};
pub use jose::{EnvelopedKind, EnvelopedToken, Enveloping, issue_enveloped, sign_enveloped};
pub use keys::{JoseAlgorithm, SecretJwk, SigningKey, VerificationKey};
pub use model::{DataModelVersion, Stage, check_credential, check_presentation};
pub use proofs::{check_status, verify_credential, verify_presentation};
pub use resources::{KnownResource, check_related_resources};
pub use sd_jwt::DisclosurePath;
pub use status::{StatusResult, check_status_entry};

/// Base context of VCDM 1.1.
pub const CONTEXT_V1: &str = "https://www.w3.org/2018/credentials/v1";
/// Context of Data Integrity proofs, which a document of VCDM 1.1 needs for them.
pub const CONTEXT_DATA_INTEGRITY_V2: &str = "https://w3id.org/security/data-integrity/v2";

/// Check that every term of a document is defined by its contexts, and that no context redefines a protected term
/// (VCDM 2.0 section 5.2.1). It needs a JSON-LD processor, which this crate does not have.
pub trait CheckTerms: Send + Sync {
    /// Checks the terms of a document.
    ///
    /// # Errors
    /// `context_unknown`, `term_undefined`, `transformation`.
    fn check_terms(&self, document: &Map<String, Value>) -> Result<(), Problem>;
}

/// Source of status list credentials, by URL. It fetches nothing: the caller has fetched them.
pub trait StatusListSource: Send + Sync {
    /// Returns the status list credential at a URL; `None` if it is not available.
    fn status_list(&self, url: &str) -> Option<Map<String, Value>>;
}

/// Source without status lists: every status is unknown, and so refused.
#[derive(Debug, Clone, Copy)]
pub struct NoStatusLists;

impl StatusListSource for NoStatusLists {
    fn status_list(&self, _url: &str) -> Option<Map<String, Value>> {
        None
    }
}

/// External inputs of verification and issuance.
#[derive(Clone, Copy)]
pub struct Environment<'a> {
    /// Cryptosuites.
    pub suites: &'a Cryptosuites,
    /// DID resolver.
    pub resolver: &'a dyn Resolve,
    /// Check of the terms.
    pub terms: &'a dyn CheckTerms,
    /// Status lists.
    pub status_lists: &'a dyn StatusListSource,
    /// Resources whose digests are known ([`KnownResource::published`] has those of this crate).
    pub resources: &'a [KnownResource],
    /// Current time.
    pub now: Timestamp,
    /// Tolerated clock skew, in seconds.
    pub skew: i64,
}

/// Options of a verification, as VC-API has them.
#[derive(Debug, Clone, Copy, Default)]
pub struct VerificationOptions<'a> {
    /// Required `proofPurpose` of every proof (`options.expectedProofPurpose`). `None`: `assertionMethod` for a
    /// credential; either purpose for a presentation.
    pub expected_purpose: Option<&'a str>,
    /// Required `challenge` of every proof; `None`: not compared.
    pub challenge: Option<&'a str>,
    /// Required `domain` of every proof; `None`: not compared.
    pub domain: Option<&'a str>,
    /// Requires that the validity period includes the current time. It is a validation beyond the proof.
    pub check_validity: bool,
    /// Looks up `credentialStatus`.
    pub check_status: bool,
}

fn malformed(what: impl Into<String>) -> Problem {
    Problem::new(Code::MalformedValue, what)
}
