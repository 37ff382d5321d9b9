//! Construction of a plan, with its explanation, from the selected candidate answers.

use std::collections::BTreeSet;

use super::{
    ClaimDisclosure, DisclosurePlan, Holding, PlanItem, PlanLine, PlanPart, offer::CandidateAnswer, search::LeastAnswer,
};
use crate::query::Query;

/// Query, copies and candidate answers from which a plan is built.
pub(super) struct Choice<'a> {
    pub(super) query: &'a Query,
    pub(super) holdings: &'a [Holding<'a>],
    /// Candidate answers, by credential query.
    pub(super) offered: &'a [Vec<CandidateAnswer>],
    /// Weights of the document and of the copy, by copy index.
    pub(super) costs: &'a [(u64, u64)],
}

impl Choice<'_> {
    /// Builds the plan of an answer. A disclosure that answers two credential queries is counted for the first of them,
    /// so that the weights of the lines add up.
    pub(super) fn plan(&self, answer: LeastAnswer) -> DisclosurePlan {
        let mut parts = Vec::new();
        let mut lines = Vec::new();
        let (mut documents, mut copies, mut told) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for (at, index) in answer.chosen {
            let Some((credential, offers)) = self.query.credentials.get(at).zip(self.offered.get(at)) else { continue };
            let Some((offer, holding)) = offers.get(index).and_then(|offer| Some((offer, self.holding(offer)?))) else {
                continue;
            };
            let (document, copy) = self.costs.get(offer.holding).copied().unwrap_or_default();
            let mut say =
                |what: PlanItem, cost: u64| lines.push(PlanLine { query_id: credential.id.clone(), what, cost });
            let once = |is_new: bool, cost: u64| if is_new { cost } else { 0 };
            let what = PlanItem::Document { holding: offer.holding, known: holding.known };
            say(what, once(documents.insert(holding.document), document));
            say(PlanItem::Copy(holding.exposure), once(copies.insert(offer.holding), copy));
            for shown in offer.shows.iter().chain(&offer.clear) {
                let new = shown.told.iter().filter(|(number, _)| told.insert((holding.document, **number)));
                let cost = new.fold(0_u64, |sum, (_, cost)| sum.saturating_add(*cost));
                let what = match &shown.show {
                    ClaimDisclosure::Threshold { path, .. } => PlanItem::Threshold(path.clone()),
                    ClaimDisclosure::Value(path) => PlanItem::Value(path.clone(), shown.class),
                };
                say(what, cost);
            }
            if let Some((cost, holding)) = self.passed_over(offers, offer) {
                say(PlanItem::PassedOver { holding }, cost);
            }
            let shows = offer.shows.iter().map(|shown| shown.show.clone()).collect();
            parts.push(PlanPart { query_id: credential.id.clone(), holding: offer.holding, shows });
        }
        DisclosurePlan { parts, cost: answer.cost, lines, implied: Vec::new() }
    }

    /// Returns the weight and the copy of the next-best answer to one credential query, with another document or other
    /// claims; `None` if there is none. Another copy of the same document with the same disclosures does not count.
    fn passed_over(&self, offers: &[CandidateAnswer], taken: &CandidateAnswer) -> Option<(u64, usize)> {
        let document = |offer: &CandidateAnswer| self.holding(offer).map(|holding| holding.document);
        let alike = |offer: &CandidateAnswer| {
            offer.holding == taken.holding && offer.set == taken.set
                || document(offer) == document(taken) && offer.told.keys().eq(taken.told.keys())
        };
        let others = offers.iter().filter(|offer| !alike(offer));
        others
            .map(|offer| {
                let (document, copy) = self.costs.get(offer.holding).copied().unwrap_or((u64::MAX, 0));
                let told = offer.told.values().fold(0_u64, |sum, cost| sum.saturating_add(*cost));
                (told.saturating_add(document).saturating_add(copy), offer.holding)
            })
            .min()
    }

    fn holding(&self, offer: &CandidateAnswer) -> Option<&Holding<'_>> {
        self.holdings.get(offer.holding)
    }
}
