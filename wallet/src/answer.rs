//! Minimal answer to a query: the credentials and copies it uses, the claims it discloses and hides, and who could link
//! it.

use carnet_core::{
    Code, Problem,
    at_least::Proof,
    did::Did,
    keys::Signer,
    presentation,
    query::{
        Query, Threshold,
        plan::{Implied, Line, Plan, Show},
        values_at,
    },
    secure::sd_jwt::{ClaimPath, SdJwt, Stapled},
    time::Timestamp,
};
use carnet_spec::Catalogue;
use serde_json::Value;

use crate::store::{Contents, Copy, HeldCredential, standing::StapledStatement};

mod asked;
mod before;
mod digest;
mod holdings;
mod missing;
mod part;
mod whose;

pub use asked::{Asked, Claimed, asked, bound_text, named, threshold_text, without};
pub use before::{Before, asked_before, asked_bounds};
pub use digest::digest;
use holdings::open_all;
pub use missing::{Lack, Missing, missing, type_asked};
pub use part::{are_commitments, claims_of, is_status};

/// One claim as the screen shows it: a member of the credential subject.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// Member name below the subject.
    pub name: String,
    /// Disclosed part of the value.
    pub value: Value,
    /// True if part of the claim remains hidden.
    pub in_part: bool,
}

/// Proof that a claim reaches a threshold; the claim's value stays hidden.
#[derive(Debug, Clone, PartialEq)]
pub struct Proving {
    /// Member name below the subject.
    pub name: String,
    /// Path of the claim.
    pub path: ClaimPath,
    /// Proven threshold.
    pub threshold: Threshold,
}

/// Verifiers that have already seen the copy to be used.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exposure {
    /// No verifier.
    Fresh,
    /// Only the verifier that asks now.
    SameAsker,
    /// Other verifiers, by client id.
    Others(Vec<String>),
}

/// Constraints on an answer besides the query itself.
pub struct Bounds<'a> {
    /// Client id of the verifier.
    pub asker: &'a str,
    /// Current time.
    pub now: Timestamp,
    /// Indices of the credentials that may answer; empty: all.
    pub only: &'a [usize],
    /// Claims that the owner withholds. The query is answered as if they were absent.
    pub withheld: &'a [Asked],
    /// Claims whose threshold may be proven but whose value must not be disclosed.
    pub proofs_only: &'a [Claimed],
}

/// Answer that discloses the least.
#[derive(Debug)]
pub struct Answer {
    /// Presentations to send.
    pub parts: Vec<Part>,
    /// Disclosure cost of the plan.
    pub cost: u64,
    /// Reasons for this choice.
    pub lines: Vec<Line>,
    /// Conclusions that the verifier can draw about claims that stay hidden.
    pub implied: Vec<Implied>,
    /// Wallet index of each credential that the lines and conclusions mention.
    pub holdings: Vec<usize>,
}

/// One presentation of the answer, ready for key binding.
#[derive(Debug)]
pub struct Part {
    /// Id of the credential query that it answers.
    pub query_id: String,
    /// Index of the credential in the wallet.
    pub credential: usize,
    /// Index of the copy in the credential.
    pub copy: usize,
    /// Verifiers that have seen the copy.
    pub exposure: Exposure,
    /// Claims that the verifier will see.
    pub goes: Vec<Claim>,
    /// Thresholds that are proven without disclosing the values.
    pub proves: Vec<Proving>,
    /// Names of the claims that stay hidden.
    pub stays: Vec<String>,
    /// Names of hidden dates that the disclosed end of the validity period gives away.
    pub given_away: Vec<String>,
    /// True if the format has no selective disclosure.
    pub everything: bool,
    /// Disclosed claims that the query does not ask for: the issuer left them in the clear, so they cannot be withheld.
    pub unasked: Vec<ClaimPath>,
    /// Disclosed paths and proven thresholds, for the log: `credentialSubject.rightToWork`,
    /// `credentialSubject.validUntil >= 2026-11-22`.
    pub paths: Vec<String>,
    /// Digest of the disclosed voucher serial.
    pub serial: Option<String>,
    shown: Shown,
}

#[derive(Debug)]
enum Shown {
    Selected(SdJwt, Vec<Proof>),
    Whole(Value),
}

/// Answers a query from the wallet with the minimal disclosure.
///
/// # Errors
/// `query_unmet` if no credential answers it.
pub fn answer(
    contents: &Contents,
    catalogue: &Catalogue,
    query: &Query,
    bounds: &Bounds<'_>,
) -> Result<Answer, Problem> {
    let query = without(query, bounds.withheld);
    let opened = open_all(contents, catalogue, &query, bounds)?;
    let Plan { parts: planned, cost, lines, implied } = whose::plan(contents, catalogue, &query, &opened)?;
    let mut parts = Vec::with_capacity(planned.len());
    for planned in planned {
        let opened = opened.get(planned.holding).ok_or(Code::QueryUnmet)?;
        let asked = query.credential(&planned.query_id).ok_or(Code::QueryUnmet)?;
        let part = part::part(asked, opened, &planned.shows)?;
        keeps_back(&part, bounds.withheld)?;
        parts.push(part);
    }
    sends_no_two_copies(&parts)?;
    opens_no_claim_twice(&parts)?;
    Ok(Answer { parts, cost, lines, implied, holdings: opened.iter().map(|opened| opened.credential).collect() })
}

/// Checks that no withheld claim is disclosed, neither inside another claim nor because the issuer left it in the
/// clear.
fn keeps_back(part: &Part, withheld: &[Asked]) -> Result<(), Problem> {
    let Shown::Selected(token, _) = &part.shown else { return Ok(()) };
    let payload = token.disclosed()?.payload;
    let mut values = withheld.iter().filter(|asked| asked.query_id == part.query_id && asked.threshold.is_none());
    if values.any(|asked| asked.path.as_deref().is_some_and(|path| !values_at(&payload, path).is_empty())) {
        return Err(Problem::new(Code::QueryUnmet, "the withheld claims cannot be separated from the shared ones"));
    }
    Ok(())
}

/// Refuses two copies of one credential in one answer: a verifier could link them, or count them as two.
fn sends_no_two_copies(parts: &[Part]) -> Result<(), Problem> {
    let differs =
        |part: &Part| parts.iter().any(|other| other.credential == part.credential && other.copy != part.copy);
    if parts.iter().any(differs) {
        return Err(Problem::new(Code::QueryUnmet, "two copies of one credential would be shared"));
    }
    Ok(())
}

/// Checks that a copy opens no claim for two thresholds in the same direction (spec/at-least.md 4.5).
fn opens_no_claim_twice(parts: &[Part]) -> Result<(), Problem> {
    let proved = || parts.iter().flat_map(|part| part.proves.iter().map(move |proving| (part, proving)));
    let clash = proved().any(|(part, one)| {
        proved().any(|(other_part, other)| {
            (part.credential, part.copy) == (other_part.credential, other_part.copy)
                && one.path == other.path
                && one.threshold.direction() == other.threshold.direction()
                && one.threshold.number() != other.threshold.number()
        })
    });
    if clash {
        return Err(Problem::new(Code::QueryUnmet, "one claim has two thresholds in the same direction"));
    }
    Ok(())
}

impl Part {
    /// Binds the presentation to the verifier and the nonce with the copy's key, and attaches the issuer's freshness
    /// statement.
    pub fn bind(
        &self,
        copy: &Copy,
        statement: Option<&StapledStatement>,
        nonce: &str,
        audience: &str,
        now: Timestamp,
    ) -> Result<String, Problem> {
        let key = copy.key.open()?;
        match &self.shown {
            Shown::Selected(token, proofs) => {
                let freshness = statement.map(|statement| statement.text.as_str());
                token.bind_with(&Stapled { proofs, freshness, keys: &[] }, nonce, audience, now, &key)
            }
            Shown::Whole(document) => {
                let did = Did::jwk(&key.public_key());
                let method = format!("{did}#0");
                presentation::present(std::slice::from_ref(document), did.as_str(), &method, nonce, audience, now, &key)
            }
        }
    }

    /// Records which verifier is about to see the copy, the thresholds it opens and the serial it shows. The caller
    /// stores this before sending: after a power cut the copy must not look unused.
    pub fn spend(&self, held: &mut HeldCredential, asker: &str) {
        if let Some((serials, serial)) = held.serials.as_mut().zip(self.serial.as_deref()) {
            serials.record_shown(serial, asker);
        }
        let Some(copy) = held.copies.get_mut(self.copy) else { return };
        if self.serial.is_some() {
            copy.serial.clone_from(&self.serial);
        }
        if !copy.shown_to.iter().any(|seen| seen == asker) {
            copy.shown_to.push(asker.to_owned());
        }
        if let Shown::Selected(_, proofs) = &self.shown {
            for proof in proofs {
                let opened = crate::store::thresholds::Opened {
                    path: proof.path.clone(),
                    direction: proof.direction,
                    bound: proof.threshold.number(),
                    in_block: true,
                };
                if !copy.opened.contains(&opened) {
                    copy.opened.push(opened);
                }
            }
        }
    }
}

/// Splits the disclosures of a plan into claims shown by value and claims with a proven threshold.
fn split(shows: &[Show]) -> (Vec<ClaimPath>, Vec<(&ClaimPath, &Threshold)>) {
    let mut values = Vec::new();
    let mut thresholds = Vec::new();
    for show in shows {
        match show {
            Show::Value(path) => values.push(path.clone()),
            Show::Threshold { path, threshold } => thresholds.push((path, threshold)),
        }
    }
    (values, thresholds)
}

/// Unit tests, and what programs test with.
#[cfg(any(test, feature = "fixtures"))]
#[allow(missing_docs, dead_code, unused_imports, clippy::unwrap_used, clippy::indexing_slicing)]
#[allow(clippy::arithmetic_side_effects, clippy::new_without_default)]
pub mod tests;
