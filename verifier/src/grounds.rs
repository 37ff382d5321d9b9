//! Why issuers were accepted or refused: by whom, by which entry and by which rule (spec/trust.md 5.9 and 7.4).

use carnet_core::{
    Code, Problem,
    trust::list::{Accreditation, Rule, Why},
    verify::{Check, CheckName, Outcome, Report},
};
use serde::{Deserialize, Serialize};

/// The rule where there is no trust list.
pub(crate) const NOT_CONFIGURED: &str = "not_configured";

/// Who decided that an issuer is accepted or refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DecidedBy {
    /// The verifier's own configuration names it for the type.
    Configuration,
    /// The trust list.
    TrustList,
    /// Neither: nobody accepts it, or no list holds.
    Nobody,
}

/// Why an issuer was accepted or refused: which entry, which rule. Nothing of the holder's is in it but who issued, and of
/// an issuer that nobody lists not even that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ground {
    /// The credential query; empty for a credential that was handed over.
    pub(crate) query_id: String,
    pub(crate) accepted: bool,
    pub(crate) decided_by: DecidedBy,
    /// Empty where nothing of the credential was looked at, since its issuer is a stranger.
    pub(crate) credential_type: String,
    /// The issuer's DID; empty for one that neither configuration nor list has.
    pub(crate) issuer: String,
    /// The rule by its name in spec/trust.md 5.9; `configured`, `not_configured` without a list; or, where no list holds,
    /// the code of what is wrong with it.
    pub(crate) rule: String,
    /// The rule in words.
    pub(crate) meaning: String,
    /// The list's number; 0 without one.
    pub(crate) sequence: u64,
    /// The name in the issuer's entry.
    pub(crate) entry: String,
    /// The accreditation that decided, in words with its number in the entry; else empty.
    pub(crate) accreditation: String,
}

/// Why the issuers of one answer were accepted or refused.
pub(crate) struct Grounds {
    /// Those that were asked about, in the order of their `issuer_trust` checks.
    pub(crate) asked: Vec<Ground>,
    /// What counts for an issuer whose document was not looked up, since neither configuration nor list has it.
    pub(crate) stranger: Ground,
}

impl Grounds {
    /// One for each credential of a report whose issuer was asked about or was a stranger, in the report's order.
    pub(crate) fn of(self, report: &Report) -> Vec<Ground> {
        let Self { asked, stranger } = self;
        let mut asked = asked.into_iter();
        let ground = |check: &Check| match (check.name, &check.outcome) {
            (CheckName::IssuerTrust, _) => asked.next().map(|ground| ground.of_query(&check.about)),
            // Where the key is looked up depends on the format.
            (CheckName::IssuerKey | CheckName::Proof, Outcome::Failed(problem))
                if problem.code == Code::IssuerUntrusted =>
            {
                Some(stranger.clone().of_query(&check.about))
            }
            _ => None,
        };
        report.checks().iter().filter_map(ground).collect()
    }
}

impl Ground {
    /// The list of this number has no entry for it.
    pub(crate) fn stranger(sequence: u64) -> Self {
        let rule = Rule::NotListed;
        Self { decided_by: DecidedBy::TrustList, sequence, ..Self::nobody("", rule.as_str(), rule.meaning()) }
    }

    /// The configuration names the issuer for the type.
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

    /// Nobody accepts it.
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

    /// What the list says.
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

    /// The same for a credential query.
    pub(crate) fn of_query(self, query_id: &str) -> Self {
        Self { query_id: query_id.to_owned(), ..self }
    }

    /// As a result for the pipeline, and so for the holder, who does not learn where the list is and what is there.
    ///
    /// # Errors
    /// `issuer_untrusted`
    pub(crate) fn check(&self) -> Result<(), Problem> {
        if self.accepted {
            return Ok(());
        }
        let detail = match (self.sequence, self.rule.as_str()) {
            (0, NOT_CONFIGURED) => self.meaning.clone(),
            (0, code) => format!("This verifier has no trust list that holds now ({code})."),
            (number, rule) => format!("{} (rule {rule}, trust list {number})", self.meaning),
        };
        Err(Problem::new(Code::IssuerUntrusted, detail))
    }
}
