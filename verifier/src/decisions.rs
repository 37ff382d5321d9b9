//! Reasons why issuers were accepted or refused: by whom, by which entry and by which rule (spec/trust.md 5.9 and 7.4).

use carnet_core::{
    Code, Problem,
    trust::list::{Accreditation, Rule, Why},
    verify::{Check, CheckName, Outcome, Report},
};
use serde::{Deserialize, Serialize};

/// Rule if there is no trust list.
pub(crate) const NOT_CONFIGURED: &str = "not_configured";

/// Source of the decision about an issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DecidedBy {
    /// The verifier's own configuration, which names the issuer for the type.
    Configuration,
    /// The trust list.
    TrustList,
    /// Neither: nobody accepts it, or no list is valid.
    Nobody,
}

/// Reason why an issuer was accepted or refused: the entry and the rule. About the holder it reveals only the issuer of
/// the credential, and not even that for an unlisted issuer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrustDecision {
    /// Id of the credential query; empty for a credential given directly.
    pub(crate) query_id: String,
    pub(crate) accepted: bool,
    pub(crate) decided_by: DecidedBy,
    /// Empty if nothing of the credential was read, because its issuer is a stranger.
    pub(crate) credential_type: String,
    /// DID of the issuer; empty if neither configuration nor list contains it.
    pub(crate) issuer: String,
    /// Name of the rule in spec/trust.md 5.9; `configured`; `not_configured` without a list; or the code of the list's
    /// fault, if no list is valid.
    pub(crate) rule: String,
    /// Description of the rule.
    pub(crate) meaning: String,
    /// Number of the list; 0 without one.
    pub(crate) sequence: u64,
    /// Name in the issuer's entry.
    pub(crate) entry: String,
    /// Description of the accreditation, with its number in the entry; may be empty.
    pub(crate) accreditation: String,
}

/// Reasons about the issuers of one answer.
pub(crate) struct TrustDecisions {
    /// Decisions, in the order of their `issuer_trust` checks.
    pub(crate) asked: Vec<TrustDecision>,
    /// Decision for issuers that were not resolved because neither configuration nor list contains them.
    pub(crate) stranger: TrustDecision,
}

impl TrustDecisions {
    /// Returns the decisions for all credentials of a report whose issuer was decided on or was a stranger, in the
    /// report's order.
    pub(crate) fn of(self, report: &Report) -> Vec<TrustDecision> {
        let Self { asked, stranger } = self;
        let mut asked = asked.into_iter();
        let decision = |check: &Check| match (check.name, &check.outcome) {
            (CheckName::IssuerTrust, _) => asked.next().map(|decision| decision.of_query(&check.about)),
            // The check that resolves the key depends on the format.
            (CheckName::IssuerKey | CheckName::Proof, Outcome::Failed(problem))
                if problem.code == Code::IssuerUntrusted =>
            {
                Some(stranger.clone().of_query(&check.about))
            }
            _ => None,
        };
        report.checks().iter().filter_map(decision).collect()
    }
}

impl TrustDecision {
    /// Creates the decision that the list with this number has no entry.
    pub(crate) fn stranger(sequence: u64) -> Self {
        let rule = Rule::NotListed;
        Self { decided_by: DecidedBy::TrustList, sequence, ..Self::nobody("", rule.as_str(), rule.meaning()) }
    }

    /// Creates the decision that the configuration names the issuer for the type.
    pub(crate) fn configured(issuer: &str, credential_type: &str) -> Self {
        let meaning = "The verifier's configuration names it for this type.";
        let decided_by = DecidedBy::Configuration;
        Self {
            accepted: true,
            decided_by,
            issuer: issuer.to_owned(),
            ..Self::nobody(credential_type, "configured", meaning)
        }
    }

    /// Creates the decision that nobody accepts the issuer.
    pub(crate) fn nobody(credential_type: &str, rule: &str, meaning: &str) -> Self {
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

    /// Creates the decision of the list.
    pub(crate) fn listed(why: &Why, credential_type: &str) -> Self {
        let issuer = if why.name.is_some() { why.question.party.clone() } else { String::new() };
        let numbered = |(at, held): &(usize, Accreditation)| format!("{}: {held}", at.saturating_add(1));
        Self {
            accepted: why.accepted(),
            decided_by: DecidedBy::TrustList,
            issuer,
            sequence: why.sequence,
            entry: why.name.clone().unwrap_or_default(),
            accreditation: why.accreditation.as_ref().map(numbered).unwrap_or_default(),
            ..Self::nobody(credential_type, why.rule.as_str(), why.rule.meaning())
        }
    }

    /// Sets the credential query.
    pub(crate) fn of_query(self, query_id: &str) -> Self {
        Self { query_id: query_id.to_owned(), ..self }
    }

    /// Converts the decision to a result for the pipeline, and so for the holder, who does not learn the list's
    /// location or content.
    ///
    /// # Errors
    /// `issuer_untrusted`
    pub(crate) fn check(&self) -> Result<(), Problem> {
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
