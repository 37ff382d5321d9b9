//! Alternative formats: over OpenID4VP, a template for `vc+sd-jwt` also accepts the same type as `dc+sd-jwt`, which
//! other wallets support (spec/openid4vp.md).

use std::collections::{BTreeMap, BTreeSet};

use carnet_core::{
    format::CredentialFormat,
    query::{CredentialQuery, CredentialSet, MAX_ENTRIES, Query},
    secure::sd_jwt::Step,
};
use carnet_spec::Catalogue;

use crate::verification::VpToken;

/// Suffix of an alternative's query id.
const ALTERNATIVE_SUFFIX: &str = "-dc";

/// Alternative credential queries (format `dc+sd-jwt`), by the id of the query that they replace.
pub(crate) type AlternativeQueries = BTreeMap<String, CredentialQuery>;

/// Returns the alternatives of a query. A query with credential sets or `multiple` has none, nor has one that would
/// exceed the maximum number of credential queries with them.
pub(crate) fn alternative_queries(query: &Query, catalogue: &Catalogue) -> AlternativeQueries {
    let none = !query.credential_sets.is_empty()
        || query.credentials.iter().any(|asked| asked.multiple)
        || query.credentials.len().saturating_mul(2) > MAX_ENTRIES;
    let asked = query.credentials.iter().filter(|_| !none);
    let found = asked.filter_map(|asked| Some((asked.id.clone(), alternative_query(asked, query, catalogue)?)));
    found.collect()
}

fn alternative_query(asked: &CredentialQuery, query: &Query, catalogue: &Catalogue) -> Option<CredentialQuery> {
    let id = format!("{}{ALTERNATIVE_SUFFIX}", asked.id);
    if asked.format != CredentialFormat::VcSdJwt || query.credential(&id).is_some() {
        return None;
    }
    let vct_values = asked.type_values.iter().map(|types| {
        let [name] = types.as_slice() else { return None };
        let known = catalogue.credential_type(name)?;
        // For a wallet that implements only DCQL, a path through serials requests all of them.
        let is_offered = known.serials.is_none() && known.can_be_issued_as(CredentialFormat::DcSdJwt);
        is_offered.then(|| known.vcts().map(str::to_owned).collect::<Vec<_>>())
    });
    let mut other = asked.clone();
    other.vct_values = vct_values.collect::<Option<Vec<_>>>()?.concat();
    (other.id, other.format, other.type_values) = (id, CredentialFormat::DcSdJwt.into(), Vec::new());
    for claim in &mut other.claims {
        // The claims of an SD-JWT VC are at the top level.
        match claim.path.split_first()? {
            (Step::Name(name), rest) if name == "credentialSubject" && !rest.is_empty() => claim.path = rest.to_vec(),
            _ => return None,
        }
    }
    Some(other)
}

/// Returns the query with its alternatives: for each credential query, a set with the original or the alternative as
/// options. Without alternatives, the query is unchanged.
pub(super) fn add_alternatives(query: &Query, alternatives: &AlternativeQueries) -> Query {
    if alternatives.is_empty() {
        return query.clone();
    }
    let mut widened = query.clone();
    widened.credential_sets = query
        .credentials
        .iter()
        .map(|asked| {
            let other = alternatives.get(&asked.id).map(|other| vec![other.id.clone()]);
            CredentialSet { options: std::iter::once(vec![asked.id.clone()]).chain(other).collect(), required: true }
        })
        .collect();
    widened.credentials.extend(alternatives.values().cloned());
    widened
}

/// Returns query and presentations with the formats that the wallet chose, under the ids of the original query, which
/// the rules of templates and the results name. If a credential was presented in both formats, the alternative remains
/// as an unexpected presentation.
pub(super) fn apply_chosen_formats(
    mut query: Query,
    alternatives: &AlternativeQueries,
    mut answer: VpToken,
) -> (Query, VpToken) {
    for (id, other) in alternatives {
        if answer.contains_key(id) {
            continue;
        }
        if let (Some(presented), Some(asked)) =
            (answer.remove(&other.id), query.credentials.iter_mut().find(|asked| asked.id == *id))
        {
            answer.insert(id.clone(), presented);
            *asked = CredentialQuery { id: id.clone(), ..other.clone() };
        }
    }
    (query, answer)
}

/// Returns the id under which a wallet sent the presentation for a query: that of the alternative if only that was
/// sent, otherwise the query's own.
pub(super) fn sent_id(id: String, sent: &BTreeSet<String>) -> String {
    let other = format!("{id}{ALTERNATIVE_SUFFIX}");
    if sent.contains(&id) || !sent.contains(&other) { id } else { other }
}

#[cfg(test)]
mod tests {
    use carnet_core::time::Timestamp;
    use serde_json::json;

    use super::*;

    fn template(id: &str) -> (Query, AlternativeQueries, Catalogue) {
        let catalogue = Catalogue::embedded().unwrap();
        let query = catalogue.template(id).unwrap().query_at(Timestamp::from_unix(1_800_000_000)).unwrap().0;
        let alternatives = alternative_queries(&query, &catalogue);
        (query, alternatives, catalogue)
    }

    #[test]
    fn a_template_takes_either_format() {
        let (query, alternatives, catalogue) = template("job-right-to-work");
        let widened = add_alternatives(&query, &alternatives).to_json();
        assert_eq!(
            widened["credential_sets"],
            json!([{"options": [["residence"], ["residence-dc"]], "required": true}])
        );
        let other = &widened["credentials"][1];
        let vct = &catalogue.credential_type("ResidencePermitCredential").unwrap().vct;
        assert_eq!((&other["format"], &other["meta"]), (&json!("dc+sd-jwt"), &json!({"vct_values": [vct]})));
        assert_eq!(other["claims"][0]["path"], json!(["rightToWork"]));
        let parsed = Query::parse(&widened).unwrap();
        for (answer, holds) in
            [(&["residence"][..], true), (&["residence-dc"], true), (&[], false), (&["residence-dcx"], false)]
        {
            assert_eq!(parsed.check_presented_ids(answer).is_ok(), holds, "{answer:?}");
        }
    }

    #[test]
    fn every_template_stays_a_query() {
        let catalogue = Catalogue::embedded().unwrap();
        for template in catalogue.templates() {
            let (query, _) = template.query_at(Timestamp::from_unix(1_800_000_000)).unwrap();
            let alternatives = alternative_queries(&query, &catalogue);
            let widened = add_alternatives(&query, &alternatives);
            assert_eq!(Query::parse(&widened.to_json()).unwrap(), widened, "{}", template.id);
        }
    }

    #[test]
    fn the_chosen_format_is_verified_under_the_first_id() {
        let (query, alternatives, _) = template("job-right-to-work");
        let answer =
            |ids: &[&str]| ids.iter().map(|id| ((*id).to_owned(), vec![(*id).to_owned()])).collect::<VpToken>();
        let (same, vc) = apply_chosen_formats(query.clone(), &alternatives, answer(&["residence"]));
        assert_eq!((same, vc), (query.clone(), answer(&["residence"])));
        let (other, dc) = apply_chosen_formats(query.clone(), &alternatives, answer(&["residence-dc"]));
        assert_eq!(other.credentials.len(), 1);
        assert!(other.credentials[0].format == CredentialFormat::DcSdJwt);
        assert_eq!((other.credentials[0].id.as_str(), dc["residence"][0].as_str()), ("residence", "residence-dc"));
        let (_, both) = apply_chosen_formats(query.clone(), &alternatives, answer(&["residence", "residence-dc"]));
        assert!(query.check_presented_ids(&both.keys().map(String::as_str).collect::<Vec<_>>()).is_err());
    }

    #[test]
    fn a_presentation_is_named_as_it_was_sent() {
        let named = |sent: &[&str]| sent_id("a".to_owned(), &sent.iter().map(|id| (*id).to_owned()).collect());
        assert_eq!((named(&["a"]), named(&["a-dc"])), ("a".to_owned(), "a-dc".to_owned()));
        assert_eq!((named(&["a", "a-dc"]), named(&[])), ("a".to_owned(), "a".to_owned()));
    }

    #[test]
    fn a_query_with_sets_or_of_an_unknown_type_has_no_alternatives() {
        let catalogue = Catalogue::embedded().unwrap();
        let mut asked = json!({"credentials": [{"id": "a", "format": "vc+sd-jwt",
            "meta": {"type_values": [["ResidencePermitCredential"]]},
            "claims": [{"path": ["credentialSubject", "rightToWork"]}]}]});
        let count = |asked: &serde_json::Value| alternative_queries(&Query::parse(asked).unwrap(), &catalogue).len();
        assert_eq!(count(&asked), 1);
        asked["credentials"][0]["meta"]["type_values"] = json!([["NobodysCredential"]]);
        assert_eq!(count(&asked), 0);
        asked["credentials"][0]["meta"]["type_values"] = json!([["ResidencePermitCredential"]]);
        asked["credential_sets"] = json!([{"options": [["a"]]}]);
        assert_eq!(count(&asked), 0);
    }

    #[test]
    fn nobody_is_asked_for_all_serials_of_a_voucher() {
        let catalogue = Catalogue::embedded().unwrap();
        let redeeming: Vec<_> = catalogue.templates().filter(|template| template.redemption.is_some()).collect();
        assert!(!redeeming.is_empty());
        for redeeming in redeeming {
            let (query, alternatives, _) = template(&redeeming.id);
            assert!(alternatives.is_empty(), "{}", redeeming.id);
            assert_eq!(add_alternatives(&query, &alternatives), query);
        }
    }
}
