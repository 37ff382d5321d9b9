//! Pruning of candidate answers that another one dominates.

use std::collections::{BTreeMap, BTreeSet};

use super::{AvailableCopy, candidates::CandidateAnswer};

/// Candidate answers of a copy, without its index: credential query, claim set, and the facts disclosed with their
/// weights.
type CopyAnswers<'a> = Vec<(usize, usize, &'a BTreeMap<usize, u64>)>;

/// Returns the indices of the copies that no other copy dominates. A copy is dominated if another one has the same
/// candidate answers at no greater weight. Copies of one document are compared with each other, and then documents of
/// which one copy is left; a document with several copies left is kept, since a plan may need any of them.
///
/// `cost` returns the weight of using a copy, and whether its document was refused, which ranks last among equal
/// weights.
pub(super) fn undominated_copies(
    offered: &[Vec<CandidateAnswer>],
    holdings: &[AvailableCopy<'_>],
    cost: impl Fn(usize) -> (u64, bool),
) -> BTreeSet<usize> {
    let mut shapes: BTreeMap<usize, CopyAnswers<'_>> = BTreeMap::new();
    for (query, offers) in offered.iter().enumerate() {
        for offer in offers {
            shapes.entry(offer.copy_index).or_default().push((query, offer.claim_set, &offer.facts));
        }
    }
    let document = |index: usize| holdings.get(index).map(|holding| holding.document);
    // Keeps the copy of least weight among those with equal answers and equal kind; of equal weights, the first in the
    // wallet.
    let lightest = |indices: BTreeSet<usize>, kind: &dyn Fn(usize) -> Option<usize>| -> BTreeSet<usize> {
        let mut kept: BTreeMap<(Option<usize>, Option<&CopyAnswers<'_>>), usize> = BTreeMap::new();
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
    // A document with several copies left is only compared with itself.
    lightest(kept, &|index| if copies.get(&document(index)) == Some(&1) { None } else { Some(index) })
}
