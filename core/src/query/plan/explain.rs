//! Construction of a plan, with its explanation, from the selected candidate answers.

use std::collections::BTreeSet;

use super::{
    AvailableCopy, ClaimDisclosure, DisclosurePlan, ExplanationLine, PlanItem, PlannedAnswer,
    candidates::CandidateAnswer, search::LeastAnswer,
};
use crate::query::Query;

/// Query, copies and candidate answers from which a plan is built.
pub(super) struct PlanBuilder<'a> {
    pub(super) query: &'a Query,
    pub(super) holdings: &'a [AvailableCopy<'a>],
    /// Candidate answers, by credential query.
    pub(super) candidate_answers: &'a [Vec<CandidateAnswer>],
    /// Weights of the document and of the copy, by copy index.
    pub(super) costs: &'a [(u64, u64)],
}

impl PlanBuilder<'_> {
    /// Builds the plan of an answer. A disclosure that answers two credential queries is counted for the first of them,
    /// so that the weights of the lines add up.
    pub(super) fn build_plan(&self, answer: LeastAnswer) -> DisclosurePlan {
        let mut parts = Vec::new();
        let mut lines = Vec::new();
        let (mut documents, mut copies, mut told) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for (at, index) in answer.chosen {
            let Some((credential, offers)) = self.query.credentials.get(at).zip(self.candidate_answers.get(at)) else {
                continue;
            };
            let Some((offer, holding)) = offers.get(index).and_then(|offer| Some((offer, self.holding(offer)?))) else {
                continue;
            };
            let (document, copy) = self.costs.get(offer.copy_index).copied().unwrap_or_default();
            let mut say = |what: PlanItem, cost: u64| {
                lines.push(ExplanationLine { query_id: credential.id.clone(), item: what, weight: cost })
            };
            let once = |is_new: bool, cost: u64| if is_new { cost } else { 0 };
            let what = PlanItem::Document { copy_index: offer.copy_index, known: holding.seen_by_verifier };
            say(what, once(documents.insert(holding.document), document));
            say(PlanItem::Copy(holding.exposure), once(copies.insert(offer.copy_index), copy));
            for shown in offer.disclosures.iter().chain(&offer.clear_claims) {
                let new = shown.facts.iter().filter(|(number, _)| told.insert((holding.document, **number)));
                let cost = new.fold(0_u64, |sum, (_, cost)| sum.saturating_add(*cost));
                let what = match &shown.disclosure {
                    ClaimDisclosure::Threshold { path, .. } => PlanItem::Threshold(path.clone()),
                    ClaimDisclosure::Value(path) => PlanItem::Value(path.clone(), shown.class),
                };
                say(what, cost);
            }
            if let Some((cost, holding)) = self.next_best(offers, offer) {
                say(PlanItem::Alternative { copy_index: holding }, cost);
            }
            let shows = offer.disclosures.iter().map(|shown| shown.disclosure.clone()).collect();
            parts.push(PlannedAnswer {
                query_id: credential.id.clone(),
                copy_index: offer.copy_index,
                disclosures: shows,
            });
        }
        DisclosurePlan { answers: parts, weight: answer.cost, explanation: lines, implied_conditions: Vec::new() }
    }

    /// Returns the weight and the copy of the next-best answer to one credential query, with another document or other
    /// claims; `None` if there is none. Another copy of the same document with the same disclosures does not count.
    fn next_best(&self, offers: &[CandidateAnswer], taken: &CandidateAnswer) -> Option<(u64, usize)> {
        let document = |offer: &CandidateAnswer| self.holding(offer).map(|holding| holding.document);
        let alike = |offer: &CandidateAnswer| {
            offer.copy_index == taken.copy_index && offer.claim_set == taken.claim_set
                || document(offer) == document(taken) && offer.facts.keys().eq(taken.facts.keys())
        };
        let others = offers.iter().filter(|offer| !alike(offer));
        others
            .map(|offer| {
                let (document, copy) = self.costs.get(offer.copy_index).copied().unwrap_or((u64::MAX, 0));
                let told = offer.facts.values().fold(0_u64, |sum, cost| sum.saturating_add(*cost));
                (told.saturating_add(document).saturating_add(copy), offer.copy_index)
            })
            .min()
    }

    fn holding(&self, offer: &CandidateAnswer) -> Option<&AvailableCopy<'_>> {
        self.holdings.get(offer.copy_index)
    }
}
