//! Pruning of candidate answers that another one dominates.

use std::collections::{BTreeMap, BTreeSet};

use super::{Holding, offer::CandidateAnswer};

/// Offer of a holding, independent of the holding: for each query and claim set, the facts told and their weight.
type Shape<'a> = Vec<(usize, usize, &'a BTreeMap<usize, u64>)>;

/// The holdings that are left without those that offer nothing which another one does not offer for as little:
/// Returns the holdings without the dominated ones: those that offer nothing that another holding does not offer for
/// as little. An answer with a dominated holding weighs no less than the same answer with the other. That is so for
/// two copies of one document, and for documents of which there is one copy each; a document with several copies may
/// be shown for the sake of another copy, and then not with this one.
/// `cost` is the weight of using a holding, and among equal weights whether it was refused.
pub(super) fn undominated(
    offered: &[Vec<CandidateAnswer>],
    holdings: &[Holding<'_>],
    cost: impl Fn(usize) -> (u64, bool),
) -> BTreeSet<usize> {
    let mut shapes: BTreeMap<usize, Shape<'_>> = BTreeMap::new();
    for (query, offers) in offered.iter().enumerate() {
        for offer in offers {
            shapes.entry(offer.holding).or_default().push((query, offer.set, &offer.told));
        }
    }
    let document = |index: usize| holdings.get(index).map(|holding| holding.document);
    // The lightest of those that are alike and of one kind; the first in the wallet of those that weigh the same.
    let lightest = |indices: BTreeSet<usize>, kind: &dyn Fn(usize) -> Option<usize>| -> BTreeSet<usize> {
        let mut kept: BTreeMap<(Option<usize>, Option<&Shape<'_>>), usize> = BTreeMap::new();
        for index in indices {
            let best = kept.entry((kind(index), shapes.get(&index))).or_insert(index);
            if cost(index) < cost(*best) {
                *best = index;
            }
        }
        kept.into_values().collect()
    };
    let kept = lightest(shapes.keys().copied().collect(), &document);
    let mut copies: BTreeMap<Option<usize>, usize> = BTreeMap::new();
    for index in &kept {
        let count = copies.entry(document(*index)).or_default();
        *count = count.saturating_add(1);
    }
    // A document with other copies is a kind of its own.
    lightest(kept, &|index| if copies.get(&document(index)) == Some(&1) { None } else { Some(index) })
}
