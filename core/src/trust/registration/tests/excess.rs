//! Over-asking: examples, and a comparison with brute force over all that a registration allows.

use proptest::prelude::*;

use super::*;
use crate::{
    format::CredentialFormat,
    format::RequestedFormat,
    query::{parse_path, path_to_text},
};

const USE: &str = "job-right-to-work";

fn query(credential: Value) -> Query {
    Query::parse(&json!({"credentials": [credential]})).unwrap()
}

fn permit(claims: Value) -> Query {
    query(json!({
        "id": "permit", "format": "vc+sd-jwt", "meta": {"type_values": [["ResidencePermitCredential"]]}, "claims": claims
    }))
}

/// An intended use of these credentials, in a registration that was issued and verified.
fn registered_for(credentials: Value) -> Registration {
    let mut subject = subject();
    subject["intended_uses"][0]["credentials"] = credentials;
    verify(&registered(&subject)).unwrap()
}

fn told(excess: &[RegistrationExcess]) -> Vec<(Option<String>, ExceededLimit)> {
    excess.iter().map(|excess| (excess.path.as_deref().map(path_to_text), excess.exceeded_limit)).collect()
}

/// Returns the excess over the registration of [`subject`], by path.
fn excess(query: &Query) -> Vec<(Option<String>, ExceededLimit)> {
    told(&verify(&registration()).unwrap().excess(USE, query))
}

fn claim(name: &str, beyond: ExceededLimit) -> (Option<String>, ExceededLimit) {
    (Some(format!("credentialSubject.{name}")), beyond)
}

#[test]
fn what_is_registered_is_within() {
    let right = json!({"path": ["credentialSubject", "rightToWork"], "values": [true]});
    let until = json!({"path": ["credentialSubject", "validUntil"], "carnet_at_least": "2027-03-01"});
    assert_eq!(excess(&permit(json!([right]))), []);
    assert_eq!(excess(&permit(json!([right, until]))), []);
    // A claim whose value is registered may be asked for by a threshold as well, in either direction.
    let by_threshold = json!({"path": ["credentialSubject", "rightToWork"], "carnet_at_most": 5});
    assert_eq!(excess(&permit(json!([by_threshold]))), []);
}

#[test]
fn a_claim_that_is_not_registered_is_named() {
    let asked = permit(json!([
        {"path": ["credentialSubject", "rightToWork"]},
        {"path": ["credentialSubject", "nationality"]},
        {"path": ["credentialSubject", "dateOfBirth"], "carnet_at_most": "2008-11-22"},
        {"path": ["credentialSubject"]}
    ]));
    let all = (Some("credentialSubject".to_owned()), ExceededLimit::Claim);
    assert_eq!(
        excess(&asked),
        [claim("nationality", ExceededLimit::Claim), claim("dateOfBirth", ExceededLimit::Claim), all]
    );
    let excess = verify(&registration()).unwrap().excess(USE, &asked);
    assert!(excess.iter().all(|excess| excess.query_id == "permit"));
    assert_eq!(excess[1].threshold, Some(crate::at_least::Direction::AtMost));
}

/// The date so many years before a day after [`now`].
fn years_before(years: i64, days: i64) -> String {
    let day = now().plus(days.saturating_mul(86_400)).to_string();
    format!("{}{}", day[..4].parse::<i64>().unwrap().saturating_sub(years), &day[4..10])
}

#[test]
fn another_bound_than_those_that_are_registered_is_in_excess() {
    let path = json!(["credentialSubject", "dateOfBirth"]);
    let registration = |claim: Value| {
        let meta = json!({"type_values": [["ResidencePermitCredential"]]});
        registered_for(json!([{"meta": meta, "claims": [claim]}]))
    };
    let asked = |bound: &str| permit(json!([{"path": path, "carnet_at_most": bound}]));
    let beyond = |claim: &Value, query: &Query| told(&registration(claim.clone()).excess(USE, query));
    let adult = json!({"path": path, "at_most": ["today-18y", "1950-01-01"]});
    let other = [claim("dateOfBirth", ExceededLimit::Bound)];
    // The bound of this day and of the day before, and the one that stays as it is.
    for bound in [years_before(18, 0), years_before(18, -1), "1950-01-01".to_owned()] {
        assert_eq!(beyond(&adult, &asked(&bound)), [], "{bound}");
    }
    for bound in [years_before(18, 1), years_before(18, -2), years_before(21, 0), "1950-01-02".to_owned()] {
        assert_eq!(beyond(&adult, &asked(&bound)), other, "{bound}");
    }
    // Beside the mark, the bounds limit; without bounds the mark allows any.
    let marked = json!({"path": path, "carnet_at_most": true, "at_most": ["today-18y"]});
    assert_eq!(beyond(&marked, &asked(&years_before(21, 0))), other);
    assert_eq!(beyond(&json!({"path": path, "carnet_at_most": true}), &asked(&years_before(21, 0))), []);
    // Neither the value nor the other direction is registered with a bound.
    let only = [claim("dateOfBirth", ExceededLimit::ThresholdOnly)];
    assert_eq!(beyond(&adult, &permit(json!([{"path": path}]))), only);
    assert_eq!(beyond(&adult, &permit(json!([{"path": path, "carnet_at_least": "1950-01-01"}]))), only);
}

#[test]
fn a_value_is_beyond_a_threshold() {
    let asked = |claim: Value| permit(json!([claim]));
    let path = json!(["credentialSubject", "validUntil"]);
    let only = [claim("validUntil", ExceededLimit::ThresholdOnly)];
    assert_eq!(excess(&asked(json!({"path": path, "carnet_at_least": "2027-03-01"}))), []);
    assert_eq!(excess(&asked(json!({"path": path}))), only);
    assert_eq!(excess(&asked(json!({"path": path, "values": ["2027-03-01"]}))), only);
    assert_eq!(excess(&asked(json!({"path": path, "carnet_at_most": "2027-03-01"}))), only);
    // Nor may a wallet answer the threshold with the value.
    let registration = verify(&registration()).unwrap();
    let query = asked(json!({"path": path, "carnet_at_least": "2027-03-01"}));
    let value = |name: &str| {
        let path = parse_path(&json!(["credentialSubject", name])).unwrap();
        registration.permits_value(USE, &query.credentials[0], &path)
    };
    assert!(value("rightToWork"));
    assert!(!value("validUntil") && !value("nationality"));
    assert!(!registration.permits_value("another", &query.credentials[0], &[]));
}

#[test]
fn an_unknown_use_an_unknown_type_and_no_registration_are_excess_throughout() {
    let asked = permit(json!([{"path": ["credentialSubject", "rightToWork"]}]));
    let all = |beyond| vec![(None, beyond), claim("rightToWork", beyond)];
    let registration = verify(&registration()).unwrap();
    assert_eq!(told(&registration.excess(USE, &asked)), []);
    assert_eq!(told(&registration.excess("university-admission", &asked)), all(ExceededLimit::IntendedUse));
    assert_eq!(told(&registration.excess("", &asked)), all(ExceededLimit::IntendedUse));
    assert_eq!(told(&excess_of_unregistered(&asked)), all(ExceededLimit::Registration));
    let mut other = asked.clone();
    other.credentials[0].type_values = vec![vec!["QualificationCredential".to_owned()]];
    assert_eq!(excess(&other), all(ExceededLimit::Credential));
    // A query for a credential with no claim of it is one for the credential.
    other.credentials[0].claims.clear();
    assert_eq!(excess(&other), [(None, ExceededLimit::Credential)]);
    // Any credential at all was not registered, nor was a query that names no type.
    for types in [vec![vec!["VerifiableCredential".to_owned()]], vec![]] {
        let mut any = asked.clone();
        any.credentials[0].type_values = types;
        assert_eq!(excess(&any), all(ExceededLimit::Credential));
    }
}

#[test]
fn of_several_types_each_must_be_registered() {
    let registration = registered_for(json!([
        {"meta": {"type_values": [["A"]]}, "claims": [{"path": ["x"]}, {"path": ["y"]}]},
        {"meta": {"type_values": [["B"]]}, "claims": [{"path": ["x"]}]}
    ]));
    let excess = |types: Value, path: &str| {
        let asked =
            json!({"id": "q", "format": "vc+sd-jwt", "meta": {"type_values": types}, "claims": [{"path": [path]}]});
        told(&registration.excess(USE, &query(asked)))
    };
    assert_eq!(excess(json!([["A"], ["B"]]), "x"), []);
    assert_eq!(excess(json!([["A"]]), "y"), []);
    assert_eq!(excess(json!([["VerifiableCredential", "A", "B"]]), "y"), []);
    assert_eq!(excess(json!([["A"], ["B"]]), "y"), [(Some("y".to_owned()), ExceededLimit::Claim)]);
    // Nor may a threshold be answered by the value of either then.
    let asked = json!({"id": "q", "format": "vc+sd-jwt", "meta": {"type_values": [["A"], ["B"]]}});
    let value = |name: &str| {
        registration.permits_value(USE, &query(asked.clone()).credentials[0], &[Step::Name(name.to_owned())])
    };
    assert!(value("x") && !value("y"));
    assert_eq!(
        excess(json!([["A"], ["C"]]), "x"),
        [(None, ExceededLimit::Credential), (Some("x".to_owned()), ExceededLimit::Credential)]
    );
}

#[test]
fn a_format_that_shows_the_whole_credential_must_be_registered_by_name() {
    let in_format = |format: &str| {
        let mut asked = permit(json!([{"path": ["credentialSubject", "rightToWork"]}]));
        asked.credentials[0].format = format.to_owned().into();
        asked
    };
    assert_eq!(excess(&in_format("vc+sd-jwt")), []);
    for whole in ["ldp_vc", "di_vc+jcs", "mso_mdoc"] {
        assert_eq!(excess(&in_format(whole)).len(), 2);
        let named = registered_for(json!([{
            "format": whole, "meta": {"type_values": [["ResidencePermitCredential"]]},
            "claims": [{"path": ["credentialSubject", "rightToWork"]}]
        }]));
        assert_eq!(named.excess(USE, &in_format(whole)), []);
        assert_eq!(named.excess(USE, &in_format("vc+sd-jwt")).len(), 2);
    }
}

#[test]
fn an_sd_jwt_vc_is_registered_by_its_vct() {
    let registration =
        registered_for(json!([{"meta": {"vct_values": ["urn:a", "urn:b"]}, "claims": [{"path": ["x"]}]}]));
    let excess = |vct: Value| {
        let asked = json!({"id": "q", "format": "dc+sd-jwt", "meta": {"vct_values": vct}, "claims": [{"path": ["x"]}]});
        registration.excess(USE, &query(asked)).len()
    };
    assert_eq!(excess(json!(["urn:a"])), 0);
    assert_eq!(excess(json!(["urn:b", "urn:a"])), 0);
    assert_eq!(excess(json!(["urn:c"])), 2);
    assert_eq!(excess(json!(["urn:a", "urn:c"])), 2);
    // The members of the other kind of type count for nothing.
    let mut posing = query(json!({"id": "q", "format": "dc+sd-jwt", "meta": {"vct_values": ["urn:c"]}}));
    posing.credentials[0].type_values = vec![vec!["urn:a".to_owned()]];
    assert_eq!(registration.excess(USE, &posing).len(), 1);
}

#[test]
fn every_element_includes_each_one_and_not_the_other_way_round() {
    let within = |registered: Value, asked: Value| {
        let registration = registered_for(json!([{
            "meta": {"type_values": [["ResidencePermitCredential"]]}, "claims": [{"path": registered}]
        }]));
        registration.excess(USE, &permit(json!([{"path": asked}]))).is_empty()
    };
    for (registered, asked) in [
        (json!(["a"]), json!(["a"])),
        (json!(["a"]), json!(["a", "b", null])),
        (json!(["a", null]), json!(["a", null])),
        (json!(["a", null]), json!(["a", 3])),
        (json!(["a", null]), json!(["a", 3, "b"])),
        (json!(["a", 3]), json!(["a", 3])),
    ] {
        assert!(within(registered.clone(), asked.clone()), "{registered} {asked}");
    }
    for (registered, asked) in [
        (json!(["a", "b"]), json!(["a"])),
        (json!(["a", 3]), json!(["a", null])),
        (json!(["a", 3]), json!(["a", 4])),
        (json!(["a", null]), json!(["a"])),
        (json!(["a", null]), json!(["a", "b"])),
        (json!(["a"]), json!(["ab"])),
    ] {
        assert!(!within(registered.clone(), asked.clone()), "{registered} {asked}");
    }
}

// Brute force: the permissions of a registration and the requests of a query, spelled out as all the single facts
// that a credential could show. There is always a name, and an index, that neither of the two mentions.

const TYPES: [&str; 3] = ["A", "B", "C"];
const FORMATS: [CredentialFormat; 2] = [CredentialFormat::VcSdJwt, CredentialFormat::LdpVc];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Mode {
    Value,
    AtLeast,
    AtMost,
}

/// One thing to be shown of a credential of these types: `None` that it is there, or a value or a proof at a place.
#[derive(Debug)]
struct Thing<'a> {
    types: &'a [&'static str],
    format: CredentialFormat,
    shown: Option<(&'a [Step], Mode)>,
}

fn type_sets() -> Vec<Vec<&'static str>> {
    (1..8).map(|bits| (0..3).filter(|bit| bits >> bit & 1 == 1).map(|bit| TYPES[bit]).collect()).collect()
}

/// Every place three steps deep.
fn places() -> Vec<Vec<Step>> {
    let names = ["a", "b", "z"].map(|name| Step::Name(name.to_owned()));
    let all: Vec<Step> = names.iter().cloned().chain([0, 1, 7].map(Step::Index)).collect();
    let deeper = |places: Vec<Vec<Step>>| -> Vec<Vec<Step>> {
        places
            .iter()
            .flat_map(|place| all.iter().map(|step| [&place[..], std::slice::from_ref(step)].concat()))
            .collect()
    };
    deeper(deeper(names.map(|name| vec![name]).to_vec()))
}

fn is_at(place: &[Step], pattern: &[Step]) -> bool {
    pattern.iter().zip(place).all(|(pattern, step)| match (pattern, step) {
        (Step::All, step) => matches!(step, Step::Index(_)),
        (pattern, step) => pattern == step,
    })
}

fn has(types: &[&str], set: &[String]) -> bool {
    set.iter().all(|name| types.contains(&name.as_str()))
}

fn allows(intended: &IntendedUse, thing: &Thing<'_>) -> bool {
    intended.credentials.iter().any(|credential| {
        let format = credential.format.as_ref().map_or(Some(CredentialFormat::VcSdJwt), RequestedFormat::known);
        format == Some(thing.format)
            && credential.meta.type_values.iter().any(|set| has(thing.types, set))
            && thing.shown.is_none_or(|(place, mode)| {
                credential.claims.iter().any(|claim| {
                    let value = !claim.at_least && !claim.at_most;
                    let mode = match mode {
                        Mode::Value => value,
                        Mode::AtLeast => value || claim.at_least,
                        Mode::AtMost => value || claim.at_most,
                    };
                    mode && is_at(place, &claim.path)
                })
            })
    })
}

/// Returns whether everything that a claim asks for, or without one the credential itself, is allowed.
fn is_within(intended: &IntendedUse, query: &CredentialQuery, claim: Option<&crate::query::ClaimQuery>) -> bool {
    let asked = |mode: Mode| match claim.and_then(|claim| claim.threshold.as_ref()).map(|t| t.direction()) {
        None => true,
        Some(crate::at_least::Direction::AtLeast) => mode == Mode::AtLeast,
        Some(crate::at_least::Direction::AtMost) => mode == Mode::AtMost,
    };
    let format = FORMATS.into_iter().find(|format| query.format == *format).unwrap();
    let places = places();
    type_sets().iter().filter(|types| query.type_values.iter().any(|set| has(types, set))).all(|types| {
        let allowed = |shown| allows(intended, &Thing { types, format, shown });
        match claim {
            None => allowed(None),
            Some(claim) => places.iter().filter(|place| is_at(place, &claim.path)).all(|place| {
                [Mode::Value, Mode::AtLeast, Mode::AtMost]
                    .into_iter()
                    .filter(|mode| asked(*mode))
                    .all(|mode| allowed(Some((place, mode))))
            }),
        }
    })
}

fn path(names_only: bool) -> impl Strategy<Value = Vec<Step>> {
    let name = || prop::sample::select(&["a", "b"][..]).prop_map(|name| Step::Name(name.to_owned()));
    let step = prop_oneof![
        4 => name(),
        if names_only { 0 } else { 2 } => (0..2_usize).prop_map(Step::Index),
        if names_only { 0 } else { 2 } => Just(Step::All),
    ];
    (name(), prop_oneof![2 => Just(Vec::new()), 3 => prop::collection::vec(step, 1..3)])
        .prop_map(|(first, rest)| [vec![first], rest].concat())
}

fn types() -> impl Strategy<Value = Vec<Vec<String>>> {
    let set =
        prop_oneof![3 => prop::sample::subsequence(&TYPES[..], 1), 1 => prop::sample::subsequence(&TYPES[..], 2..=3)];
    prop::collection::vec(set.prop_map(|set| set.into_iter().map(str::to_owned).collect()), 1..3)
}

fn intended_use() -> impl Strategy<Value = IntendedUse> {
    let claim = (path(false), prop_oneof![3 => Just((false, false)), 1 => any::<(bool, bool)>()]).prop_map(
        |(path, (at_least, at_most))| {
            let (at_least_bounds, at_most_bounds) = (Vec::new(), Vec::new());
            RegisteredClaim { path, at_least, at_most, at_least_bounds, at_most_bounds }
        },
    );
    let format =
        prop_oneof![2 => Just(None), 1 => prop::sample::select(&FORMATS[..]).prop_map(|format| Some(format.into()))];
    let credential = (format, types(), prop::collection::vec(claim, 0..6)).prop_map(|(format, type_values, claims)| {
        RegisteredCredential { format, meta: CredentialTypeMeta { type_values, vct_values: Vec::new() }, claims }
    });
    prop::collection::vec(credential, 1..4)
        .prop_map(|credentials| IntendedUse { credentials, ..relying_party().intended_uses.remove(0) })
}

fn asked() -> impl Strategy<Value = Query> {
    let by_threshold = (path(true), prop::sample::select(&["carnet_at_least", "carnet_at_most"][..]))
        .prop_map(|(path, member)| json!({"path": crate::query::path_to_json(&path), member: 5}));
    let by_value = path(false).prop_map(|path| json!({"path": crate::query::path_to_json(&path)}));
    let claims = prop::collection::vec(prop_oneof![2 => by_value, 1 => by_threshold], 0..4);
    let format = prop_oneof![3 => Just(FORMATS[0]), 1 => Just(FORMATS[1])];
    prop::collection::vec((format, types(), claims), 1..3).prop_map(|credentials| {
        let credentials: Vec<Value> = credentials
            .into_iter()
            .enumerate()
            .map(|(at, (format, types, claims))| {
                let mut credential = json!({"id": format!("q{at}"), "format": format, "meta": {"type_values": types}});
                if !claims.is_empty() {
                    credential["claims"] = json!(claims);
                }
                credential
            })
            .collect();
        Query::parse(&json!({"credentials": credentials})).unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn excess_is_what_brute_force_finds(intended in intended_use(), query in asked()) {
        let mut expected: Vec<(String, Option<Vec<Step>>)> = Vec::new();
        for credential in &query.credentials {
            let registered = is_within(&intended, credential, None);
            if !registered {
                expected.push((credential.id.clone(), None));
            }
            for claim in &credential.claims {
                if !(registered && is_within(&intended, credential, Some(claim))) {
                    expected.push((credential.id.clone(), Some(claim.path.clone())));
                }
            }
        }
        let excess = intended.excess(&query, now());
        let found: Vec<_> = excess.iter().map(|excess| (excess.query_id.clone(), excess.path.clone())).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn what_is_registered_for_a_query_is_what_it_asks_for(query in asked(), gone in any::<prop::sample::Index>()) {
        let credentials = RegisteredCredential::from_query(&query);
        let mut intended = IntendedUse { credentials, ..relying_party().intended_uses.remove(0) };
        prop_assert_eq!(intended.excess(&query, now()), []);
        intended.check_limits(&REGISTRATION).unwrap();
        // Without one of its claims the query is beyond it, unless the others say the same.
        let at = gone.index(intended.credentials.len());
        if intended.credentials[at].claims.pop().is_some() {
            let within = query.credentials.iter().all(|credential| {
                credential.claims.iter().all(|claim| is_within(&intended, credential, Some(claim)))
            });
            prop_assert_eq!(intended.excess(&query, now()).is_empty(), within);
        }
    }
}
