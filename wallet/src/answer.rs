//! Answer to a query with the least disclosure: the credentials and copies that it uses, the claims that it discloses
//! and hides, and the verifiers that could link it.

use carnet_core::{
    Code, Problem,
    at_least::ThresholdProof,
    did::Did,
    keys::Signer,
    presentation,
    query::{
        Query, Threshold,
        plan::{ClaimDisclosure, DisclosurePlan, ImpliedCondition, PlanLine},
        values_at,
    },
    secure::sd_jwt::{ClaimPath, KeyBindingMembers, SdJwt},
    time::Timestamp,
};
use carnet_spec::Catalogue;
use serde_json::Value;

use crate::store::{CredentialCopy, HeldCredential, WalletContents, standing::StapledStatement};

mod asked;
mod before;
mod digest;
mod holdings;
mod missing;
mod part;
mod whose;

pub use asked::{
    RequestedClaimPath, RequestedItem, bound_text, items_by_name, query_without, requested_items, threshold_text,
};
pub use before::{EarlierBound, asked_bounds, earlier_bounds};
pub use digest::digest;
use holdings::open_all;
pub use missing::{LackReason, UnansweredQuery, type_asked, unanswered_queries};
pub use part::{are_commitments, claims_of, is_status};

/// Disclosed claim for display: a member of the credential subject, or a top-level member that is not metadata.
#[derive(Debug, Clone, PartialEq)]
pub struct DisplayedClaim {
    /// Name of the member.
    pub name: String,
    /// Disclosed part of the value.
    pub value: Value,
    /// `true` if a part of the value stays hidden.
    pub in_part: bool,
}

/// Threshold proof of a claim whose value stays hidden.
#[derive(Debug, Clone, PartialEq)]
pub struct ProvedClaim {
    /// Name of the member with the hidden value.
    pub name: String,
    /// Path of the claim in the credential.
    pub path: ClaimPath,
    /// Proved threshold.
    pub threshold: Threshold,
}

/// Verifiers to which a copy was presented before.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum KnownVerifiers {
    /// The copy was presented to no verifier.
    Fresh,
    /// The copy was presented to the requesting verifier only.
    SameAsker,
    /// The copy was presented to these other verifiers, by client id.
    Others(Vec<String>),
}

/// Constraints on an answer in addition to the query.
pub struct AnswerConstraints<'a> {
    /// Client id of the requesting verifier.
    pub asker: &'a str,
    /// Current time.
    pub now: Timestamp,
    /// Indexes of the credentials that may be used; empty: all.
    pub only: &'a [usize],
    /// Items that the holder withholds. The query is answered as if it did not have them ([`query_without`]).
    pub withheld: &'a [RequestedItem],
    /// Claims whose threshold may be proved but whose value must not be disclosed.
    pub proofs_only: &'a [RequestedClaimPath],
}

/// Answer to a query with the least disclosure.
#[derive(Debug)]
pub struct QueryAnswer {
    /// Presentations to send.
    pub parts: Vec<PlannedPresentation>,
    /// Total weight of the disclosures, by which plans are compared.
    pub cost: u64,
    /// Explanation of the choice, with the weight of each item.
    pub lines: Vec<PlanLine>,
    /// Conclusions that the verifier can draw about hidden claims.
    pub implied: Vec<ImpliedCondition>,
    /// Index in the wallet of the credential of each candidate copy; `lines` and `implied` refer to candidates by their
    /// position here.
    pub holdings: Vec<usize>,
}

/// Presentation in an answer, ready for key binding.
#[derive(Debug)]
pub struct PlannedPresentation {
    /// Id of the credential query that it answers.
    pub query_id: String,
    /// Index of the credential in the wallet.
    pub credential: usize,
    /// Index of the copy in the credential.
    pub copy: usize,
    /// Verifiers to which the copy was presented before.
    pub exposure: KnownVerifiers,
    /// Disclosed claims.
    pub goes: Vec<DisplayedClaim>,
    /// Thresholds proved without disclosing the values.
    pub proves: Vec<ProvedClaim>,
    /// Names of the hidden claims, except those in `given_away` and `given_away_by_start`, and those whose exact value
    /// the proved thresholds reveal.
    pub stays: Vec<String>,
    /// Names of hidden dates that the disclosed end of the validity period reveals approximately.
    pub given_away: Vec<String>,
    /// Names of other hidden dates that the disclosed beginning of the validity period reveals approximately.
    pub given_away_by_start: Vec<String>,
    /// `true` if the format has no selective disclosure, so that the whole credential is disclosed.
    pub everything: bool,
    /// Disclosed claims that were not requested: the issuer left them in the clear, so that they cannot be withheld.
    pub unasked: Vec<ClaimPath>,
    /// Disclosed paths and proved thresholds, for the log: `credentialSubject.rightToWork`,
    /// `credentialSubject.validUntil >= 2026-11-22`.
    pub paths: Vec<String>,
    /// Digest of the voucher serial that it discloses; `None` if it discloses none.
    pub serial: Option<String>,
    shown: Shown,
}

#[derive(Debug)]
enum Shown {
    Selected(SdJwt, Vec<ThresholdProof>),
    Whole(Value),
}

/// Answers a query from the wallet with the least disclosure.
///
/// # Errors
/// `query_unmet` if no permitted combination of credentials answers it, or withheld claims cannot be separated from
/// disclosed ones; `holder_differs` if only credentials of different holders would; errors for copies that cannot be
/// parsed.
pub fn answer(
    contents: &WalletContents,
    catalogue: &Catalogue,
    query: &Query,
    bounds: &AnswerConstraints<'_>,
) -> Result<QueryAnswer, Problem> {
    let query = query_without(query, bounds.withheld);
    let opened = open_all(contents, catalogue, &query, bounds)?;
    let DisclosurePlan { parts: planned, cost, lines, implied } = whose::plan(contents, catalogue, &query, &opened)?;
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
    Ok(QueryAnswer { parts, cost, lines, implied, holdings: opened.iter().map(|opened| opened.credential).collect() })
}

/// Checks that an SD-JWT presentation discloses the value of no withheld claim, neither inside another claim nor
/// because the issuer left it in the clear.
fn keeps_back(part: &PlannedPresentation, withheld: &[RequestedItem]) -> Result<(), Problem> {
    let Shown::Selected(token, _) = &part.shown else { return Ok(()) };
    let payload = token.disclosed()?.payload;
    let mut values = withheld.iter().filter(|asked| asked.query_id == part.query_id && asked.threshold.is_none());
    if values.any(|asked| asked.path.as_deref().is_some_and(|path| !values_at(&payload, path).is_empty())) {
        return Err(Problem::new(Code::QueryUnmet, "the withheld claims cannot be separated from the shared ones"));
    }
    Ok(())
}

/// Refuses two copies of one credential in one answer: a verifier could link them, or count them as two.
fn sends_no_two_copies(parts: &[PlannedPresentation]) -> Result<(), Problem> {
    let differs = |part: &PlannedPresentation| {
        parts.iter().any(|other| other.credential == part.credential && other.copy != part.copy)
    };
    if parts.iter().any(differs) {
        return Err(Problem::new(Code::QueryUnmet, "two copies of one credential would be shared"));
    }
    Ok(())
}

/// Checks that no copy proves two different thresholds of one claim in the same direction (spec/at-least.md 4.5).
fn opens_no_claim_twice(parts: &[PlannedPresentation]) -> Result<(), Problem> {
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

impl PlannedPresentation {
    /// Signs the presentation for a verifier (`audience`) and a nonce with the copy's key, and returns its text. An
    /// SD-JWT also gets the threshold proofs and the freshness `statement`, if given; a Data Integrity presentation has
    /// neither.
    ///
    /// # Errors
    /// The key in the wallet is damaged, or the presentation cannot be signed.
    pub fn bind(
        &self,
        copy: &CredentialCopy,
        statement: Option<&StapledStatement>,
        nonce: &str,
        audience: &str,
        now: Timestamp,
    ) -> Result<String, Problem> {
        let key = copy.key.open()?;
        match &self.shown {
            Shown::Selected(token, proofs) => {
                let freshness = statement.map(|statement| statement.text.as_str());
                token.bind_with(&KeyBindingMembers { proofs, freshness, keys: &[] }, nonce, audience, now, &key)
            }
            Shown::Whole(document) => {
                let did = Did::jwk(&key.public_key());
                let method = format!("{did}#0");
                presentation::create_presentation(
                    std::slice::from_ref(document),
                    did.as_str(),
                    &method,
                    nonce,
                    audience,
                    now,
                    &key,
                )
            }
        }
    }

    /// Records in the wallet that the verifier `asker` sees the copy, the proved thresholds and the voucher serial. The
    /// caller must do this and save the wallet before sending, so that after a power failure the copy does not count as
    /// unused.
    pub fn record_disclosure(&self, held: &mut HeldCredential, asker: &str) {
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
                let opened = crate::store::thresholds::ProvedThreshold {
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
fn split(shows: &[ClaimDisclosure]) -> (Vec<ClaimPath>, Vec<(&ClaimPath, &Threshold)>) {
    let mut values = Vec::new();
    let mut thresholds = Vec::new();
    for show in shows {
        match show {
            ClaimDisclosure::Value(path) => values.push(path.clone()),
            ClaimDisclosure::Threshold { path, threshold } => thresholds.push((path, threshold)),
        }
    }
    (values, thresholds)
}

/// Unit tests, and test support for programs.
#[cfg(any(test, feature = "fixtures"))]
#[allow(missing_docs, dead_code, unused_imports, clippy::unwrap_used, clippy::indexing_slicing)]
#[allow(clippy::arithmetic_side_effects, clippy::new_without_default)]
pub mod tests;
