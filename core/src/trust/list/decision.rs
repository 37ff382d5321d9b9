//! Decisions by a trust list about one party, with reasons (spec/trust.md section 5).

use std::fmt;

use super::{Accreditation, EarlierCredentials, TrustList, TrustListEntry};
use crate::{
    Code, Problem, day,
    text::{escaped, quoted},
    time::Timestamp,
};

/// Act for which a party needs an accreditation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccreditedAct {
    /// Issuing a credential of this type (name in the catalogue).
    Issue(String),
    /// Registering a relying party.
    Register,
}

/// Question to a trust list: whether a party is accredited for an act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccreditationQuestion {
    /// DID of the issuer or registrar.
    pub party_id: String,
    /// Act for which the party needs an accreditation.
    pub act: AccreditedAct,
    /// Time of issue: `validFrom` of the credential. `None` if unknown: then decided as if it were issued now.
    pub issued_at: Option<Timestamp>,
    /// Country (ISO 3166-1 alpha-2) under whose law the act takes place. Required if an accreditation is limited to
    /// countries.
    pub jurisdiction: Option<String>,
    /// Level of the European Qualifications Framework on which the verifier relies. Required if an accreditation has a
    /// maximum level.
    pub level: Option<u8>,
}

impl AccreditationQuestion {
    /// Creates the question whether `issuer` may issue a type, with nothing else known about the credential.
    #[must_use]
    pub fn for_issuance(issuer: &str, credential_type: &str) -> Self {
        Self::of(issuer, AccreditedAct::Issue(credential_type.to_owned()))
    }

    /// Creates the question whether `registrar` may register relying parties, with nothing else known about the
    /// registration.
    #[must_use]
    pub fn for_registration(registrar: &str) -> Self {
        Self::of(registrar, AccreditedAct::Register)
    }

    fn of(party: &str, act: AccreditedAct) -> Self {
        Self { party_id: party.to_owned(), act, issued_at: None, jurisdiction: None, level: None }
    }
}

macro_rules! rules {
    ($($variant:ident, $name:literal, $doc:literal;)*) => {
        /// Rule that decided. If several accreditations apply, the one whose rule is last in this order decides. The
        /// last three rules accept, all others refuse.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum AccreditationRule { $(#[doc = $doc] $variant,)* }

        impl AccreditationRule {
            /// All rules.
            pub const ALL: &'static [AccreditationRule] = &[$(AccreditationRule::$variant,)*];

            /// Returns the stable name, in `snake_case`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(AccreditationRule::$variant => $name,)* }
            }

            /// Returns an English sentence that states the rule.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(AccreditationRule::$variant => $doc,)* }
            }
        }
    };
}

rules! {
    ListNotYetValid, "list_not_yet_valid", "The trust list is not valid yet.";
    ListExpired, "list_expired", "The trust list has expired; a newer one is needed.";
    ListStale, "list_stale", "The trust list has no fresh timestamp, so a newer one may have been withheld.";
    NotListed, "not_listed", "It is not in the trust list.";
    TypeNotListed, "type_not_listed", "It is listed, but not for this type.";
    NotYetAccredited, "not_yet_accredited", "Its accreditation had not begun.";
    Ended, "ended", "Its accreditation had already ended.";
    Withdrawn, "withdrawn", "Its accreditation had already been withdrawn.";
    Fallen, "fallen", "Its accreditation was withdrawn later, and its earlier credentials became invalid with it.";
    JurisdictionUnknown, "jurisdiction_unknown", "Its accreditation is limited to some countries, and the country is \
                                                  unknown.";
    OutsideJurisdiction, "outside_jurisdiction", "Its accreditation is not for this country.";
    LevelUnknown, "level_unknown", "Its accreditation is limited to a level, and the level is unknown.";
    AboveLevel, "above_level", "The level is higher than its accreditation allows.";
    IssueDateUnknown, "issue_date_unknown", "Some of its credentials became invalid, and the date of issue of this \
                                             one is unknown.";
    WithdrawnSince, "withdrawn_since", "It was accredited; that was withdrawn later, and its earlier credentials \
                                        remain valid.";
    EndedSince, "ended_since", "It was accredited; that has ended, and its earlier credentials remain valid.";
    Accredited, "accredited", "It is accredited.";
}

impl AccreditationRule {
    /// Returns whether the rule accepts.
    #[must_use]
    pub const fn accepts(self) -> bool {
        matches!(self, Self::Accredited | Self::EndedSince | Self::WithdrawnSince)
    }
}

/// Decision by a trust list, with its reason. `Display` writes it in English, in one or two sentences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccreditationDecision {
    /// Sequence number of the trust list.
    pub sequence: u64,
    /// Question that was decided.
    pub question: AccreditationQuestion,
    /// Time for which the decision was made.
    pub now: Timestamp,
    /// Name of the party in the trust list; `None` if the party is not listed.
    pub name: Option<String>,
    /// Accreditation to which the rule was applied, with its index in the entry; `None` if no accreditation is for the
    /// act.
    pub accreditation: Option<(usize, Accreditation)>,
    /// Rule that decided.
    pub rule: AccreditationRule,
}

impl AccreditationDecision {
    /// Returns whether the party is accepted.
    #[must_use]
    pub const fn is_accepted(&self) -> bool {
        self.rule.accepts()
    }

    /// Converts the decision to a `Result`.
    ///
    /// # Errors
    /// `issuer_untrusted` or `registrar_untrusted`, unless the party is accepted.
    pub fn require_accepted(&self) -> Result<(), Problem> {
        let code = match self.question.act {
            AccreditedAct::Issue(_) => Code::IssuerUntrusted,
            AccreditedAct::Register => Code::RegistrarUntrusted,
        };
        if self.is_accepted() { Ok(()) } else { Err(Problem::new(code, self.rule.meaning())) }
    }
}

impl fmt::Display for AccreditationDecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The question is text from outside: invisible characters in it are escaped.
        let party = escaped(&self.question.party_id);
        let verdict = if self.is_accepted() { "accepted" } else { "refused" };
        match &self.question.act {
            AccreditedAct::Issue(name) => write!(f, "{party} as issuer of {}: {verdict}.", escaped(name))?,
            AccreditedAct::Register => write!(f, "{party} as registrar: {verdict}.")?,
        }
        write!(f, " {} (rule {}, trust list {}", self.rule.meaning(), self.rule.as_str(), self.sequence)?;
        if let Some(name) = &self.name {
            write!(f, ", entry {}", quoted(name))?;
        }
        if let Some((at, accreditation)) = &self.accreditation {
            write!(f, ", accreditation {}: {accreditation}", at.saturating_add(1))?;
        }
        f.write_str(")")
    }
}

impl fmt::Display for Accreditation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "from {}", day::format_start(self.from))?;
        if let Some(until) = self.until {
            write!(f, " until {}", day::format_inclusive_end(until))?;
        }
        if let Some(countries) = &self.jurisdictions {
            write!(f, ", for {}", countries.join(", "))?;
        }
        if let Some(level) = self.max_level {
            write!(f, ", up to level {level}")?;
        }
        if let Some(epoch) = self.epoch {
            write!(f, ", days of its copies rounded down to the {epoch}")?;
        }
        let Some(withdrawal) = &self.withdrawal else { return Ok(()) };
        let earlier = match withdrawal.earlier_credentials {
            EarlierCredentials::StayValid => "stands",
            EarlierCredentials::BecomeInvalid => "falls",
        };
        write!(
            f,
            ", withdrawn from {} on (what was issued before {earlier})",
            day::format_start(withdrawal.withdrawn_from)
        )?;
        withdrawal.reason.as_ref().map_or(Ok(()), |reason| write!(f, ": {}", escaped(reason)))
    }
}

impl TrustList {
    /// Decides about a party for the time `now`. An unknown property in the question is never assumed in the party's
    /// favour.
    #[must_use]
    pub fn decide(&self, question: &AccreditationQuestion, now: Timestamp) -> AccreditationDecision {
        let entry = match question.act {
            AccreditedAct::Issue(_) => self.contents.issuer(&question.party_id),
            AccreditedAct::Register => self.contents.registrar(&question.party_id),
        };
        let (mut rule, accreditation) = match entry {
            None => (AccreditationRule::NotListed, None),
            Some(entry) => entry.applicable_rule(question, now),
        };
        // The list may have been verified long ago, so its validity is checked at every decision.
        let clock = self.clock(now);
        if self.require_timestamp(now).is_err() {
            rule = AccreditationRule::ListStale;
        }
        if clock.require_past(self.valid_from, "").is_err() {
            rule = AccreditationRule::ListNotYetValid;
        }
        if clock.require_not_expired(self.valid_until, "").is_err() {
            rule = AccreditationRule::ListExpired;
        }
        AccreditationDecision {
            sequence: self.contents.sequence,
            question: question.clone(),
            now,
            name: entry.map(|entry| entry.name.clone()),
            accreditation: accreditation.map(|(at, accreditation)| (at, accreditation.clone())),
            rule,
        }
    }
}

impl TrustListEntry {
    /// Returns the rule that decides, and the accreditation to which it was applied.
    fn applicable_rule(
        &self,
        question: &AccreditationQuestion,
        now: Timestamp,
    ) -> (AccreditationRule, Option<(usize, &Accreditation)>) {
        let covers = |accreditation: &Accreditation| match &question.act {
            AccreditedAct::Issue(name) => accreditation.types.contains(name),
            AccreditedAct::Register => true,
        };
        let judged = self.accreditations.iter().enumerate().filter(|(_, accreditation)| covers(accreditation));
        let fallen = judged.clone().any(|(_, accreditation)| accreditation.invalidated_earlier(now));
        match judged.map(|of| (of.1.applicable_rule(question, now), Some(of))).max_by_key(|(rule, _)| *rule) {
            None => (AccreditationRule::TypeNotListed, None),
            Some((rule, of)) if rule.accepts() && fallen && question.issued_at.is_none() => {
                (AccreditationRule::IssueDateUnknown, of)
            }
            Some(decided) => decided,
        }
    }
}

impl Accreditation {
    /// Returns whether a withdrawal made the credentials issued under it invalid by `now`.
    fn invalidated_earlier(&self, now: Timestamp) -> bool {
        self.withdrawal.as_ref().is_some_and(|withdrawal| {
            withdrawal.withdrawn_from <= now && withdrawal.earlier_credentials == EarlierCredentials::BecomeInvalid
        })
    }

    /// Returns the earliest `validFrom` of credentials and registrations issued under it. Copies of an issuer have the
    /// start of the epoch of issue, and registrations their own instant.
    fn earliest_valid_from(&self) -> Timestamp {
        if self.types.is_empty() { self.from } else { self.epoch.unwrap_or_default().start(self.from) }
    }

    /// Returns the rule for one accreditation. No clock skew is tolerated, since the issuer and the operators wrote
    /// both instants.
    fn applicable_rule(&self, question: &AccreditationQuestion, now: Timestamp) -> AccreditationRule {
        let issued = question.issued_at.unwrap_or(now);
        if issued < self.earliest_valid_from() || now < self.from {
            return AccreditationRule::NotYetAccredited;
        }
        let withdrawn_from = self.withdrawal.as_ref().map(|withdrawal| withdrawal.withdrawn_from);
        if withdrawn_from.is_some_and(|from| from <= issued) {
            return AccreditationRule::Withdrawn;
        }
        if self.invalidated_earlier(now) {
            return AccreditationRule::Fallen;
        }
        if self.until.is_some_and(|until| until < issued) {
            return AccreditationRule::Ended;
        }
        match (&self.jurisdictions, &question.jurisdiction) {
            (Some(_), None) => return AccreditationRule::JurisdictionUnknown,
            (Some(countries), Some(country)) if !countries.contains(country) => {
                return AccreditationRule::OutsideJurisdiction;
            }
            _ => {}
        }
        match (self.max_level, question.level) {
            (Some(_), None) => return AccreditationRule::LevelUnknown,
            (Some(max), Some(level)) if level > max => return AccreditationRule::AboveLevel,
            _ => {}
        }
        if withdrawn_from.is_some_and(|from| from <= now) {
            AccreditationRule::WithdrawnSince
        } else if self.until.is_some_and(|until| until < now) {
            AccreditationRule::EndedSince
        } else {
            AccreditationRule::Accredited
        }
    }
}
