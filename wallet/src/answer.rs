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
        plan::{ClaimDisclosure, DisclosurePlan, ExplanationLine, ImpliedCondition},
        values_at,
    },
    secure::sd_jwt::{ClaimPath, KeyBindingMembers, SdJwt},
    time::Timestamp,
};
use carnet_spec::Catalogue;
use serde_json::Value;

use crate::store::{CredentialCopy, HeldCredential, WalletContents, cached_status::StapledStatement};

mod digest;
mod earlier_bounds;
mod holder_rule;
mod holdings;
mod missing;
mod planned;
mod requested;

pub use digest::approval_digest;
pub use earlier_bounds::{EarlierBound, earlier_bounds, requested_bounds};
use holdings::candidate_copies;
pub use missing::{MissingReason, UnansweredQuery, answerable_queries, requested_type, unanswered_queries};
pub use planned::{is_commitments_name, is_status_reference, payload_claims};
pub use requested::{
    RequestedClaimPath, RequestedItem, bound_text, items_by_name, query_without, requested_items, threshold_text,
};

/// Disclosed claim for display: a member of the credential subject, or a top-level member that is not metadata.
#[derive(Debug, Clone, PartialEq)]
pub struct DisplayedClaim {
    /// Name of the member.
    pub name: String,
    /// Disclosed part of the value.
    pub value: Value,
    /// `true` if a part of the value stays hidden.
    pub is_partial: bool,
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
pub enum EarlierVerifiers {
    /// The copy was presented to no verifier.
    Unused,
    /// The copy was presented to the requesting verifier only.
    SameVerifier,
    /// The copy was presented to these other verifiers, by client id.
    Others(Vec<String>),
}

/// Constraints on an answer in addition to the query.
pub struct AnswerConstraints<'a> {
    /// Client id of the requesting verifier.
    pub client_id: &'a str,
    /// Current time.
    pub now: Timestamp,
    /// Indexes of the credentials that may be used; empty: all.
    pub allowed_credentials: &'a [usize],
    /// Items that the holder withholds. The query is answered as if it did not have them ([`query_without`]).
    pub withheld: &'a [RequestedItem],
    /// Claims whose threshold may be proved but whose value must not be disclosed.
    pub proof_only_claims: &'a [RequestedClaimPath],
}

/// Answer to a query with the least disclosure.
#[derive(Debug)]
pub struct QueryAnswer {
    /// Presentations to send.
    pub presentations: Vec<PlannedPresentation>,
    /// Total weight of the disclosures, by which plans are compared.
    pub cost: u64,
    /// Explanation of the choice, with the weight of each item.
    pub explanation: Vec<ExplanationLine>,
    /// Conclusions that the verifier can draw about hidden claims.
    pub implied_conditions: Vec<ImpliedCondition>,
    /// Index in the wallet of the credential of each candidate copy; `lines` and `implied` refer to candidates by their
    /// position here.
    pub candidates: Vec<usize>,
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
    pub earlier_verifiers: EarlierVerifiers,
    /// Disclosed claims.
    pub disclosed: Vec<DisplayedClaim>,
    /// Thresholds proved without disclosing the values.
    pub proved: Vec<ProvedClaim>,
    /// Names of the hidden claims, except those in `revealed_dates` and `given_away_by_start`, and those whose exact value
    /// the proved thresholds reveal.
    pub hidden: Vec<String>,
    /// Names of hidden dates that the disclosed end of the validity period reveals approximately.
    pub revealed_dates: Vec<String>,
    /// Names of other hidden dates that the disclosed beginning of the validity period reveals approximately.
    pub given_away_by_start: Vec<String>,
    /// `true` if the format has no selective disclosure, so that the whole credential is disclosed.
    pub is_whole: bool,
    /// Disclosed claims that were not requested: the issuer left them in the clear, so that they cannot be withheld.
    pub unrequested: Vec<ClaimPath>,
    /// Disclosed paths and proved thresholds, for the log: `credentialSubject.rightToWork`,
    /// `credentialSubject.validUntil >= 2026-11-22`.
    pub disclosed_paths: Vec<String>,
    /// Digest of the voucher serial that it discloses; `None` if it discloses none.
    pub serial_digest: Option<String>,
    shown: PresentedContent,
}

#[derive(Debug)]
enum PresentedContent {
    Selected(SdJwt, Vec<ThresholdProof>),
    Whole(Value),
}

/// Answers a query from the wallet with the least disclosure.
///
/// # Errors
/// `query_unmet` if no permitted combination of credentials answers it, or withheld claims cannot be separated from
/// disclosed ones; `holder_differs` if only credentials of different holders would; errors for copies that cannot be
/// parsed.
pub fn answer_query(
    contents: &WalletContents,
    catalogue: &Catalogue,
    query: &Query,
    bounds: &AnswerConstraints<'_>,
) -> Result<QueryAnswer, Problem> {
    let query = query_without(query, bounds.withheld);
    let opened = candidate_copies(contents, catalogue, &query, bounds)?;
    let DisclosurePlan { answers: planned, weight: cost, explanation: lines, implied_conditions: implied } =
        holder_rule::plan_for_one_holder(contents, catalogue, &query, &opened)?;
    let mut parts = Vec::with_capacity(planned.len());
    for planned in planned {
        let opened = opened.get(planned.copy_index).ok_or(Code::QueryUnmet)?;
        let asked = query.credential(&planned.query_id).ok_or(Code::QueryUnmet)?;
        let part = planned::plan_presentation(asked, opened, &planned.disclosures)?;
        check_withheld(&part, bounds.withheld)?;
        parts.push(part);
    }
    check_single_copy(&parts)?;
    check_thresholds(&parts)?;
    Ok(QueryAnswer {
        presentations: parts,
        cost,
        explanation: lines,
        implied_conditions: implied,
        candidates: opened.iter().map(|opened| opened.credential).collect(),
    })
}

/// Checks that an SD-JWT presentation discloses the value of no withheld claim, neither inside another claim nor
/// because the issuer left it in the clear.
fn check_withheld(part: &PlannedPresentation, withheld: &[RequestedItem]) -> Result<(), Problem> {
    let PresentedContent::Selected(token, _) = &part.shown else { return Ok(()) };
    let payload = token.resolve_disclosures()?.payload;
    let mut values = withheld.iter().filter(|asked| asked.query_id == part.query_id && asked.threshold.is_none());
    if values.any(|asked| asked.path.as_deref().is_some_and(|path| !values_at(&payload, path).is_empty())) {
        return Err(Problem::new(Code::QueryUnmet, "the withheld claims cannot be separated from the shared ones"));
    }
    Ok(())
}

/// Refuses two copies of one credential in one answer: a verifier could link them, or count them as two.
fn check_single_copy(parts: &[PlannedPresentation]) -> Result<(), Problem> {
    let differs = |part: &PlannedPresentation| {
        parts.iter().any(|other| other.credential == part.credential && other.copy != part.copy)
    };
    if parts.iter().any(differs) {
        return Err(Problem::new(Code::QueryUnmet, "two copies of one credential would be shared"));
    }
    Ok(())
}

/// Checks that no copy proves two different thresholds of one claim in the same direction (spec/at-least.md 4.5).
fn check_thresholds(parts: &[PlannedPresentation]) -> Result<(), Problem> {
    let proved = || parts.iter().flat_map(|part| part.proved.iter().map(move |proving| (part, proving)));
    let clash = proved().any(|(part, one)| {
        proved().any(|(other_part, other)| {
            (part.credential, part.copy) == (other_part.credential, other_part.copy)
                && one.path == other.path
                && one.threshold.direction() == other.threshold.direction()
                && one.threshold.comparable_bound() != other.threshold.comparable_bound()
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
        let key = copy.key.decode()?;
        match &self.shown {
            PresentedContent::Selected(token, proofs) => {
                let freshness = statement.map(|statement| statement.text.as_str());
                token.bind_key_with_members(
                    &KeyBindingMembers { proofs, freshness_statement: freshness, new_key_thumbprints: &[] },
                    nonce,
                    audience,
                    now,
                    &key,
                )
            }
            PresentedContent::Whole(document) => {
                let did = Did::did_jwk(&key.public_key());
                let method = format!("{did}#0");
                presentation::create_data_integrity_presentation(
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
        if let Some((serials, serial)) = held.serials.as_mut().zip(self.serial_digest.as_deref()) {
            serials.record_shown(serial, asker);
        }
        let Some(copy) = held.copies.get_mut(self.copy) else { return };
        if self.serial_digest.is_some() {
            copy.serial_digest.clone_from(&self.serial_digest);
        }
        if !copy.presented_to.iter().any(|seen| seen == asker) {
            copy.presented_to.push(asker.to_owned());
        }
        if let PresentedContent::Selected(_, proofs) = &self.shown {
            for proof in proofs {
                let opened = crate::store::thresholds::ProvedThreshold {
                    path: proof.path.clone(),
                    direction: proof.direction,
                    bound: proof.threshold.number(),
                    in_block: true,
                };
                if !copy.proved_thresholds.contains(&opened) {
                    copy.proved_thresholds.push(opened);
                }
            }
        }
    }
}

/// Splits the disclosures of a plan into claims shown by value and claims with a proven threshold.
fn split_disclosures(shows: &[ClaimDisclosure]) -> (Vec<ClaimPath>, Vec<(&ClaimPath, &Threshold)>) {
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
