use crate::format::CredentialFormat;
use serde_json::json;

use super::*;

fn query() -> Value {
    json!({
        "credentials": [
            {"id": "q", "format": "vc+sd-jwt", "meta": {"type_values": [["Q"]]},
             "claims": [{"id": "a", "path": ["s", "a"]}, {"id": "b", "path": ["s", "b", null], "values": ["x", 2]}],
             "claim_sets": [["a"], ["b"]]},
            {"id": "r", "format": "dc+sd-jwt", "meta": {"vct_values": ["urn:r"]}, "claims": [{"path": ["c"]}]}
        ],
        "credential_sets": [{"options": [["q", "r"], ["q"]]}, {"options": [["r"]], "required": false}]
    })
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

#[test]
fn a_query_is_read_and_written() {
    let parsed = Query::parse(&query()).unwrap();
    assert_eq!(Query::parse(&parsed.to_json()).unwrap(), parsed);
}

#[test]
fn a_malformed_query_is_refused() {
    type Fault = fn(&mut Value);
    let faults: [Fault; 22] = [
        |q| q["credentials"] = json!([]),
        |q| q["credentials"][1]["id"] = json!("q"),
        |q| q["credentials"][0]["id"] = json!("a b"),
        |q| q["credentials"][0]["format"] = json!(1),
        |q| q["credentials"][0]["meta"] = json!({}),
        |q| q["credentials"][1]["meta"] = json!({"type_values": [["R"]]}),
        |q| q["credentials"][0]["claims"] = json!([]),
        |q| q["credentials"][0]["claims"][0]["path"] = json!([]),
        |q| q["credentials"][0]["claims"][0]["id"] = json!("b"),
        |q| q["credentials"][0]["claim_sets"] = json!([["nothing"]]),
        |q| q["credentials"][0]["trusted_authorities"] = json!([]),
        |q| q["credentials"][0]["trusted_authorities"] = json!({"type": "aki", "values": ["x"]}),
        |q| q["credentials"][0]["trusted_authorities"] = json!(["aki"]),
        |q| q["credentials"][0]["trusted_authorities"] = json!([{"values": ["x"]}]),
        |q| q["credentials"][0]["trusted_authorities"] = json!([{"type": "aki", "values": []}]),
        |q| q["credentials"][0]["trusted_authorities"] = json!([{"type": "aki", "values": [1]}]),
        |q| q["credentials"][0]["format"] = json!(""),
        // An unknown format is skipped, but no fault beside it.
        |q| q["credentials"][0] = json!({"id": "q", "format": "mso_mdoc"}),
        |q| q["credentials"][0] = json!({"id": "q", "format": "mso_mdoc", "meta": {}, "claims": []}),
        |q| q["credentials"][0] = json!({"id": "q", "format": "mso_mdoc", "meta": {}, "claims": [{"path": []}]}),
        |q| q["credentials"][0]["claims"][1]["values"] = json!([{}]),
        |q| q["credential_sets"][0]["options"] = json!([["nothing"]]),
    ];
    for (at, fault) in faults.iter().enumerate() {
        let mut value = query();
        assert!(Query::parse(&value).is_ok());
        fault(&mut value);
        assert_eq!(Query::parse(&value).unwrap_err().code, Code::QueryMalformed, "fault {at}");
    }
}

#[test]
fn the_paths_that_answer_are_those_with_accepted_values() {
    let query = Query::parse(&query()).unwrap();
    let q = object(json!({"type": ["VerifiableCredential", "Q"], "s": {"b": ["w", "x", 2]}}));
    let candidate = QueryCandidate { format: CredentialFormat::VcSdJwt, payload: &q, thresholds: &[] };
    let paths = query.credential("q").unwrap().matching_paths(candidate).unwrap();
    let texts: Vec<_> = paths.iter().map(|path| path_to_text(path)).collect();
    assert_eq!(texts, ["s.b[1]", "s.b[2]"]);
}

#[test]
fn a_candidate_of_another_format_or_type_does_not_fit() {
    let query = Query::parse(&query()).unwrap();
    let credential = query.credential("q").unwrap();
    let payload = object(json!({"type": ["VerifiableCredential", "Q"], "s": {"a": 1}}));
    assert!(
        credential
            .matching_paths(QueryCandidate { format: CredentialFormat::VcSdJwt, payload: &payload, thresholds: &[] })
            .is_some()
    );
    assert!(
        credential
            .matching_paths(QueryCandidate { format: CredentialFormat::LdpVc, payload: &payload, thresholds: &[] })
            .is_none()
    );
    let other = object(json!({"type": ["VerifiableCredential"], "s": {"a": 1}}));
    assert!(
        credential
            .matching_paths(QueryCandidate { format: CredentialFormat::VcSdJwt, payload: &other, thresholds: &[] })
            .is_none()
    );
}

#[test]
fn what_was_asked_for_includes_the_way_there_and_what_lies_below() {
    let query = Query::parse(&query()).unwrap();
    let credential = query.credential("q").unwrap();
    let path = |value: Value| parse_path(&value).unwrap();
    for asked in [json!(["s"]), json!(["s", "b"]), json!(["s", "b", 4]), json!(["s", "a", "deep"])] {
        assert!(credential.requests_path(&path(asked.clone())), "{asked}");
    }
    for not in [json!(["t"]), json!(["s", "c"])] {
        assert!(!credential.requests_path(&path(not.clone())), "{not}");
    }
}

#[test]
fn satisfied_means_all_that_is_required_and_nothing_unknown() {
    let query = Query::parse(&query()).unwrap();
    assert!(query.check_presented_ids(&["q"]).is_ok());
    assert!(query.check_presented_ids(&["q", "r"]).is_ok());
    assert_eq!(query.check_presented_ids(&["r"]).unwrap_err().code, Code::QueryUnmet);
    assert_eq!(query.check_presented_ids(&["q", "z"]).unwrap_err().code, Code::ClaimUnrequested);
}

/// A set in which either of two queries answers; the first one is `other`.
fn either(other: &Value) -> Query {
    let mut query = query();
    query["credentials"] = json!([other, query["credentials"][1]]);
    query["credential_sets"] = json!([{"options": [["q"], ["r"]]}]);
    Query::parse(&query).unwrap()
}

#[test]
fn what_is_not_understood_is_not_met_and_another_option_answers() {
    let plain = query()["credentials"][0].clone();
    let mut constrained = plain.clone();
    constrained["trusted_authorities"] =
        json!([{"type": "aki", "values": ["s9tIpPmhxdiuNkHMEWNpYim8S8Y"]}, {"type": "etsi_tl", "values": ["x"]}]);
    let foreign = json!({"id": "q", "format": "mso_mdoc", "meta": {"doctype_value": "org.example.permit.1"},
        "claims": [{"path": ["org.example.permit.1", "right"], "intent_to_retain": true}]});
    let q = object(json!({"type": ["VerifiableCredential", "Q"], "s": {"a": 1}, "org.example.permit.1": {"right": 1}}));
    let r = object(json!({"vct": "urn:r", "c": 1}));
    let held = |format: CredentialFormat| QueryCandidate { format, payload: &q, thresholds: &[] };
    assert!(either(&plain).credential("q").unwrap().matches_format_and_type(held(CredentialFormat::VcSdJwt)));
    for (other, said) in [(&constrained, "aki, etsi_tl"), (&foreign, "mso_mdoc")] {
        let query = either(other);
        assert_eq!(Query::parse(&query.to_json()).unwrap(), query);
        let asked = query.credential("q").unwrap();
        // Neither a holder nor a verifier accepts a credential that would fit but for that.
        for format in CredentialFormat::ALL {
            assert!(
                !asked.matches_format_and_type(held(format)) && asked.matching_paths(held(format)).is_none(),
                "{other}"
            );
        }
        assert!(query.credential("r").unwrap().matches_format_and_type(QueryCandidate {
            format: CredentialFormat::DcSdJwt,
            payload: &r,
            thresholds: &[]
        }));
        assert!(query.check_presented_ids(&["r"]).is_ok());
        let unmet = query.check_presented_ids(&[]).unwrap_err();
        assert_eq!(unmet.code, Code::QueryUnmet);
        assert!(unmet.detail.contains(said), "{}", unmet.detail);
        // By itself it has no answer, and is still a query.
        let alone = Query::parse(&json!({"credentials": [other]})).unwrap();
        assert_eq!(alone.required_ids(|_| false).unwrap_err().code, Code::QueryUnmet);
    }
}

#[test]
fn a_holder_rule_compares_no_claims_of_a_format_that_is_not_understood() {
    let foreign = json!({"id": "f", "format": "mso_mdoc", "meta": {}, "claims": [{"path": ["ns", "name"]}]});
    let own = json!({"id": "o", "format": "vc+sd-jwt", "meta": {"type_values": [["Q"]]},
        "claims": [{"path": ["credentialSubject", "name"]}]});
    let with = |foreign: &Value| {
        Query::parse(&json!({"credentials": [foreign, own], "carnet_holder": {"claims": [["name"]]},
            "credential_sets": [{"options": [["f"], ["o"]]}]}))
    };
    assert!(with(&foreign).is_ok());
    let mut known = foreign;
    known["format"] = json!("ldp_vc");
    known["meta"] = json!({"type_values": [["Q"]]});
    assert_eq!(with(&known).unwrap_err().code, Code::QueryMalformed);
}

#[test]
fn a_whole_number_is_one_value_however_it_is_written() {
    let asked = |values: Value| {
        let claims = json!([{"path": ["s", "n"], "values": values}]);
        let credential = json!({"id": "q", "format": "vc+sd-jwt", "meta": {"type_values": [["Q"]]}, "claims": claims});
        Query::parse(&json!({"credentials": [credential]}))
    };
    let answers = |values: Value, value: Value| {
        let payload = object(json!({"type": ["Q"], "s": {"n": value}}));
        let candidate = QueryCandidate { format: CredentialFormat::VcSdJwt, payload: &payload, thresholds: &[] };
        asked(values).unwrap().credentials[0].matching_paths(candidate).is_some()
    };
    for one in [json!(6), json!(6.0)] {
        for other in [json!(6), json!(6.0)] {
            assert!(answers(json!([one]), other.clone()), "{one} {other}");
        }
        for other in [json!(7), json!(6.5), json!("6"), json!(true)] {
            assert!(!answers(json!([one]), other.clone()), "{one} {other}");
        }
    }
    assert_eq!(asked(json!([6.5])).unwrap_err().code, Code::QueryMalformed);
}
