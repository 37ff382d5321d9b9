//! Plans with a holder rule: all credentials of an answer belong to one holder.

use std::collections::BTreeMap;

use carnet_core::{
    Code, Problem,
    keys::Signer as _,
    query::{
        HolderRule, Query,
        holder::{ComparableValue, comparable_value_at, path_from_root},
        plan::{AvailableCopy, DisclosurePlan, PlanItem},
    },
};
use carnet_spec::Catalogue;

use super::holdings::DecryptedCopy;
use crate::store::WalletContents;

/// Returns the plan that discloses least. If the query has a holder rule, all credentials of the plan belong to one
/// holder according to this rule.
///
/// # Errors
/// `query_unmet`; `holder_differs` if only credentials of different holders would answer the query.
pub(super) fn plan_for_one_holder(
    contents: &WalletContents,
    catalogue: &Catalogue,
    query: &Query,
    opened: &[DecryptedCopy],
) -> Result<DisclosurePlan, Problem> {
    let holdings: Vec<AvailableCopy<'_>> = opened.iter().map(DecryptedCopy::to_holding).collect();
    let weights = catalogue.weights();
    let rule = match &query.holder_rule {
        None | Some(HolderRule::Any) => return query.plan(&holdings, catalogue, weights),
        Some(rule) => rule,
    };
    let mut best: Option<DisclosurePlan> = None;
    for group in groups(contents, opened, rule)? {
        let own: Vec<AvailableCopy<'_>> = group.iter().filter_map(|index| holdings.get(*index).copied()).collect();
        match query.plan(&own, catalogue, weights) {
            Ok(plan) if best.as_ref().is_none_or(|best| plan.weight < best.weight) => {
                best = Some(renumbered(plan, &group))
            }
            Ok(_) => {}
            Err(problem) if problem.code == Code::QueryUnmet => {}
            Err(problem) => return Err(problem),
        }
    }
    match best {
        Some(plan) => Ok(plan),
        // Planning without the holder rule tells which of the two errors applies.
        None => query.plan(&holdings, catalogue, weights).and_then(|_| Err(Code::HolderDiffers.into())),
    }
}

/// Groups the copies by holder according to the rule, and returns their indices. Copies that lack a claim of the rule
/// are in no group.
fn groups(contents: &WalletContents, opened: &[DecryptedCopy], rule: &HolderRule) -> Result<Vec<Vec<usize>>, Problem> {
    let mut groups: BTreeMap<Vec<ComparableValue>, Vec<usize>> = BTreeMap::new();
    for (index, one) in opened.iter().enumerate() {
        let owner: Option<Vec<ComparableValue>> = match rule {
            HolderRule::Claims(claims) => claims
                .iter()
                .map(|claim| comparable_value_at(&one.payload, &path_from_root(one.format, claim)))
                .collect(),
            HolderRule::Key => {
                let copy = contents.credentials.get(one.credential).and_then(|held| held.copies.get(one.copy));
                let key = copy.ok_or(Code::QueryUnmet)?.key.decode()?.public_key();
                Some(vec![ComparableValue::Text(key.thumbprint())])
            }
            HolderRule::Any => Some(Vec::new()),
        };
        if let Some(owner) = owner {
            groups.entry(owner).or_default().push(index);
        }
    }
    let mut groups: Vec<Vec<usize>> = groups.into_values().collect();
    groups.sort_unstable();
    Ok(groups)
}

/// Maps the indices of a plan for one group to those of all holdings.
fn renumbered(mut plan: DisclosurePlan, group: &[usize]) -> DisclosurePlan {
    let number = |holding: &mut usize| *holding = group.get(*holding).copied().unwrap_or(usize::MAX);
    plan.answers.iter_mut().for_each(|part| number(&mut part.copy_index));
    plan.implied_conditions.iter_mut().for_each(|implied| number(&mut implied.copy_index));
    for line in &mut plan.explanation {
        if let PlanItem::Document { copy_index: holding, .. } | PlanItem::Alternative { copy_index: holding } =
            &mut line.item
        {
            number(holding);
        }
    }
    plan
}
