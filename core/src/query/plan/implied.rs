//! Conditions that an answer betrays: those that the asker can conclude are not met, from what it is shown instead.
//!
//! A threshold that is proved, and a value that is shown, stand in the plan. But an asker that is shown one thing where
//! it asked for another first learns that the other was not to be had. Whoever knows query and documents, and not the
//! hidden values, learns of them nothing but the outcome of the conditions found here: assuming that all of them are
//! met gives every answer that could have gone instead, and one that is not chosen then is not chosen with fewer of them
//! either, since the lightest of more answers is the lightest of those among them.

use std::collections::BTreeSet;

use super::{
    ClaimQuery, Holding, Implied, Show, Solved,
    offer::{Condition, Offer},
};
use crate::{Problem, query::Query};

/// The most conditions that are looked at one by one; of more, each counts as betrayed.
const MAX_SINGLE: usize = 32;

/// Finds the conditions that the answer betrays.
pub(super) fn implied(
    query: &Query,
    holdings: &[Holding<'_>],
    solved: &Solved,
    solve: impl Fn(&BTreeSet<Condition>) -> Result<Solved, Problem>,
) -> Vec<Implied> {
    let open = visible(query, holdings, solved);
    // An answer that could not be found is not the one that was given.
    let differs = |assumed: &BTreeSet<Condition>| !solve(assumed).is_ok_and(|other| other.shows_as(solved));
    if open.is_empty() || !differs(&open) {
        return Vec::new();
    }
    let mut betrayed = open.clone();
    if open.len() <= MAX_SINGLE {
        let one: BTreeSet<Condition> = open.iter().copied().filter(|one| differs(&alike(query, &open, *one))).collect();
        let rest: BTreeSet<Condition> = open.difference(&one).copied().collect();
        if rest.is_empty() || !differs(&rest) {
            betrayed = one;
        }
    }
    let mut implied: Vec<Implied> = Vec::new();
    for condition in betrayed {
        let Some((query_id, claim)) = claim_of(query, condition) else { continue };
        let Some(holding) = holdings.iter().position(|holding| holding.document == condition.document) else {
            continue;
        };
        let one = Implied {
            query_id: query_id.to_owned(),
            holding,
            path: claim.path.clone(),
            threshold: claim.threshold.clone(),
            values: claim.values.clone(),
        };
        let same = |other: &Implied| {
            (other.holding, &other.path, &other.threshold, &other.values)
                == (one.holding, &one.path, &one.threshold, &one.values)
        };
        if !implied.iter().any(same) {
            implied.push(one);
        }
    }
    implied
}

/// Unmet conditions of documents that the asker knows of: it is shown them, or has seen them before, or misses them
/// where nothing answers a credential query. Of another document beside the one that answers it does not know.
fn visible(query: &Query, holdings: &[Holding<'_>], solved: &Solved) -> BTreeSet<Condition> {
    let shown: BTreeSet<usize> =
        solved.offers().filter_map(|(_, offer)| holdings.get(offer.holding)).map(|holding| holding.document).collect();
    let answered: BTreeSet<usize> = solved.offers().map(|(at, _)| at).collect();
    let known = |document: usize| holdings.iter().any(|holding| holding.document == document && holding.known);
    let missed = |document: usize| {
        let open = query.credentials.iter().enumerate().filter(|(at, _)| !answered.contains(at));
        let own = || holdings.iter().filter(|holding| holding.document == document);
        open.into_iter().any(|(_, asked)| own().any(|holding| asked.fits(holding.candidate)))
    };
    let is_visible = |document: usize| shown.contains(&document) || known(document) || missed(document);
    let documents: BTreeSet<usize> = solved.unmet.iter().map(|condition| condition.document).collect();
    let documents: BTreeSet<usize> = documents.into_iter().filter(|document| is_visible(*document)).collect();
    let is_open = |condition: &Condition| {
        documents.contains(&condition.document) && !is_told(query, holdings, solved, *condition)
    };
    solved.unmet.iter().copied().filter(is_open).collect()
}

/// Tells if the value that a condition is about is shown: then nothing about it is left to be concluded.
fn is_told(query: &Query, holdings: &[Holding<'_>], solved: &Solved, condition: Condition) -> bool {
    let Some((_, claim)) = claim_of(query, condition) else { return false };
    let document = |offer: &Offer| holdings.get(offer.holding).map(|holding| holding.document);
    let offers = solved.offers().map(|(_, offer)| offer).filter(|offer| document(offer) == Some(condition.document));
    offers.flat_map(|offer| &offer.shows).any(|shown| matches!(&shown.show, Show::Value(path) if *path == claim.path))
}

/// The conditions that are the same as one, asked by whichever credential query.
fn alike(query: &Query, all: &BTreeSet<Condition>, one: Condition) -> BTreeSet<Condition> {
    let of = |condition: Condition| {
        claim_of(query, condition).map(|(_, claim)| (condition.document, &claim.path, &claim.threshold, &claim.values))
    };
    all.iter().copied().filter(|other| of(*other) == of(one)).collect()
}

fn claim_of(query: &Query, condition: Condition) -> Option<(&str, &ClaimQuery)> {
    let credential = query.credentials.get(condition.query)?;
    Some((&credential.id, credential.claims.get(condition.claim)?))
}

impl Solved {
    /// The offers that were chosen, with their credential queries' indices.
    fn offers(&self) -> impl Iterator<Item = (usize, &Offer)> {
        let chosen = self.answer.chosen.iter();
        chosen.filter_map(|(at, index)| Some((*at, self.offered.get(*at)?.get(*index)?)))
    }

    /// Returns `true` if the asker sees no difference between the two answers.
    fn shows_as(&self, other: &Self) -> bool {
        let own: Vec<_> = self.offers().collect();
        let others: Vec<_> = other.offers().collect();
        own.len() == others.len()
            && own.iter().zip(&others).all(|((at, one), (there, other))| {
                let shows = one.shows.iter().map(|shown| &shown.show);
                at == there && one.holding == other.holding && shows.eq(other.shows.iter().map(|shown| &shown.show))
            })
    }
}
