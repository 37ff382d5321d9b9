//! Plans under a holder rule: all credentials of an answer belong to one holder.

use std::collections::BTreeMap;

use carnet_core::{
    Code, Problem,
    keys::Signer as _,
    query::{
        HolderRule, Query,
        holder::{Comparable, comparable_at, path_in},
        plan::{Holding, Plan, What},
    },
};
use carnet_spec::Catalogue;

use super::holdings::Opened;
use crate::store::Contents;

/// Returns the plan that discloses least among those whose credentials all satisfy the holder rule.
///
/// # Errors
/// `query_unmet`; `holder_differs` if the credentials that would answer belong to different holders.
pub(super) fn plan(
    contents: &Contents,
    catalogue: &Catalogue,
    query: &Query,
    opened: &[Opened],
) -> Result<Plan, Problem> {
    let holdings: Vec<Holding<'_>> = opened.iter().map(Opened::holding).collect();
    let weights = catalogue.weights();
    let rule = match &query.holder {
        None | Some(HolderRule::Any) => return query.plan(&holdings, catalogue, weights),
        Some(rule) => rule,
    };
    let mut best: Option<Plan> = None;
    for group in groups(contents, opened, rule)? {
        let own: Vec<Holding<'_>> = group.iter().filter_map(|index| holdings.get(*index).copied()).collect();
        match query.plan(&own, catalogue, weights) {
            Ok(plan) if best.as_ref().is_none_or(|best| plan.cost < best.cost) => best = Some(renumbered(plan, &group)),
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

/// Groups the holdings by holder: their indices, in the wallet's order.
fn groups(contents: &Contents, opened: &[Opened], rule: &HolderRule) -> Result<Vec<Vec<usize>>, Problem> {
    let mut groups: BTreeMap<Vec<Comparable>, Vec<usize>> = BTreeMap::new();
    for (index, one) in opened.iter().enumerate() {
        let owner: Option<Vec<Comparable>> = match rule {
            HolderRule::Claims(claims) => {
                claims.iter().map(|claim| comparable_at(&one.payload, &path_in(one.format, claim))).collect()
            }
            HolderRule::Key => {
                let copy = contents.credentials.get(one.credential).and_then(|held| held.copies.get(one.copy));
                let key = copy.ok_or(Code::QueryUnmet)?.key.open()?.public_key();
                Some(vec![Comparable::Text(key.thumbprint())])
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
fn renumbered(mut plan: Plan, group: &[usize]) -> Plan {
    let number = |holding: &mut usize| *holding = group.get(*holding).copied().unwrap_or(usize::MAX);
    plan.parts.iter_mut().for_each(|part| number(&mut part.holding));
    plan.implied.iter_mut().for_each(|implied| number(&mut implied.holding));
    for line in &mut plan.lines {
        if let What::Document { holding, .. } | What::PassedOver { holding } = &mut line.what {
            number(holding);
        }
    }
    plan
}
