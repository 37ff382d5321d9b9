//! Decisions to accept or refuse issuers, with their source, entry and rule (spec/trust.md 5.9 and 7.4).

use carnet_core::{
    Code, Problem,
    trust::list::{Accreditation, AccreditationDecision, AccreditationRule},
    verify::{CheckName, VerificationCheck, VerificationOutcome, VerificationReport},
};
use serde::{Deserialize, Serialize};

/// Name of the rule by which an issuer is refused without a trust list.
pub(crate) const NOT_CONFIGURED: &str = "not_configured";

/// Source of a decision about an issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DecidedBy {
    /// Configuration of the verifier, which lists the issuer with the type.
    Configuration,
    /// Trust list.
    TrustList,
    /// No source: none accepts the issuer, or no list is valid.
    Nobody,
}

/// Decision to accept or refuse an issuer, with the trust list's entry and rule. It is stored with the result, and
/// reveals nothing about the holder except the type and the issuer of the credential; an unlisted issuer is not named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrustDecision {
    /// Id of the credential query; empty for a credential without a presentation.
    pub(crate) query_id: String,
    /// `true` if the issuer was accepted.
    pub(crate) accepted: bool,
    pub(crate) decided_by: DecidedBy,
    /// Credential type; empty if the credential was not parsed, because its issuer is unlisted.
    pub(crate) credential_type: String,
    /// DID of the issuer; empty for an unlisted issuer.
    pub(crate) issuer: String,
    /// Name of the rule in spec/trust.md 5.9; `configured`; `not_configured` without a list; or the error code of the
    /// list, if no list is valid.
    pub(crate) rule: String,
    /// Description of the rule.
    pub(crate) meaning: String,
    /// Sequence number of the trust list; 0 without one.
    pub(crate) sequence: u64,
    /// Name in the issuer's entry of the trust list; empty: none.
    pub(crate) entry: String,
    /// Description of the accreditation, with its index in the entry; empty: none.
    pub(crate) accreditation: String,
}

/// Decisions about the issuers of one presentation, before they are assigned to its credentials.
pub(crate) struct TrustDecisions {
    /// Decisions made by the issuer policy, in the order of the `issuer_trust` checks.
    pub(crate) made: Vec<TrustDecision>,
    /// Decision for issuers that are not listed, for which the issuer policy was not called.
    pub(crate) unlisted: TrustDecision,
}

impl TrustDecisions {
    /// Assigns the decisions to the checks of issuers in a report, and returns them in the report's order, with their
    /// query ids.
    pub(crate) fn for_report(self, report: &VerificationReport) -> Vec<TrustDecision> {
        let Self { made: asked, unlisted: stranger } = self;
        let mut asked = asked.into_iter();
        let decision = |check: &VerificationCheck| match (check.name, &check.outcome) {
            (CheckName::IssuerTrust, _) => asked.next().map(|decision| decision.with_query_id(&check.query_id)),
            // The check that resolves the key depends on the format.
            (CheckName::IssuerKey | CheckName::Proof, VerificationOutcome::Failed(problem))
                if problem.code == Code::IssuerUntrusted =>
            {
                Some(stranger.clone().with_query_id(&check.query_id))
            }
            _ => None,
        };
        report.checks().iter().filter_map(decision).collect()
    }
}

impl TrustDecision {
    /// Creates the refusal of an issuer without an entry in the trust list with this sequence number.
    pub(crate) fn for_unlisted_issuer(sequence: u64) -> Self {
        let rule = AccreditationRule::NotListed;
        Self {
            decided_by: DecidedBy::TrustList,
            sequence,
            ..Self::for_unaccepted_issuer("", rule.as_str(), rule.meaning())
        }
    }

    /// Creates the acceptance of an issuer that the configuration lists with the type.
    pub(crate) fn for_configured_issuer(issuer: &str, credential_type: &str) -> Self {
        let meaning = "The verifier's configuration names it for this type.";
        let decided_by = DecidedBy::Configuration;
        Self {
            accepted: true,
            decided_by,
            issuer: issuer.to_owned(),
            ..Self::for_unaccepted_issuer(credential_type, "configured", meaning)
        }
    }

    /// Creates the refusal of an issuer that no source accepts, with the rule and its description.
    pub(crate) fn for_unaccepted_issuer(credential_type: &str, rule: &str, meaning: &str) -> Self {
        Self {
            query_id: String::new(),
            accepted: false,
            decided_by: DecidedBy::Nobody,
            credential_type: credential_type.to_owned(),
            issuer: String::new(),
            rule: rule.to_owned(),
            meaning: meaning.to_owned(),
            sequence: 0,
            entry: String::new(),
            accreditation: String::new(),
        }
    }

    /// Converts a decision of the trust list. The issuer's DID is left empty if the list has no entry for it.
    pub(crate) fn from_trust_list(why: &AccreditationDecision, credential_type: &str) -> Self {
        let issuer = if why.name.is_some() { why.question.party_id.clone() } else { String::new() };
        let numbered = |(at, held): &(usize, Accreditation)| format!("{}: {held}", at.saturating_add(1));
        Self {
            accepted: why.is_accepted(),
            decided_by: DecidedBy::TrustList,
            issuer,
            sequence: why.sequence,
            entry: why.name.clone().unwrap_or_default(),
            accreditation: why.accreditation.as_ref().map(numbered).unwrap_or_default(),
            ..Self::for_unaccepted_issuer(credential_type, why.rule.as_str(), why.rule.meaning())
        }
    }

    /// Sets the credential query id.
    pub(crate) fn with_query_id(self, query_id: &str) -> Self {
        Self { query_id: query_id.to_owned(), ..self }
    }

    /// Converts the decision to the result of a check. Holders see the error, so it contains neither the location nor
    /// the content of the list.
    ///
    /// # Errors
    /// `issuer_untrusted`
    pub(crate) fn to_check_result(&self) -> Result<(), Problem> {
        if self.accepted {
            return Ok(());
        }
        let detail = match (self.sequence, self.rule.as_str()) {
            (0, NOT_CONFIGURED) => self.meaning.clone(),
            (0, code) => format!("This verifier has no valid trust list now ({code})."),
            (number, rule) => format!("{} (rule {rule}, trust list {number})", self.meaning),
        };
        Err(Problem::new(Code::IssuerUntrusted, detail))
    }
}
