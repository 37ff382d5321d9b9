use super::*;

#[test]
fn texts_need_english_and_cannot_trick_the_eye() {
    let texts = |tag: &str, text: &str| {
        BTreeMap::from([("en".to_owned(), "To check.".to_owned()), (tag.to_owned(), text.to_owned())])
    };
    assert!(check_texts(&texts("de", "Zur Prüfung."), "purpose").is_ok());
    assert!(check_texts(&texts("ar", "للتحقق"), "purpose").is_ok());
    for (tag, text) in [("en", " "), ("de", ""), ("d", "x"), ("de de", "x"), ("de", "a\u{1b}[2J"), ("de", "a\u{202e}b")]
    {
        assert!(check_texts(&texts(tag, text), "purpose").is_err(), "{tag} {text:?}");
    }
    assert!(check_texts(&BTreeMap::new(), "purpose").is_err());
}

const FIELD: &str = "query.dcql_query";

fn refused(query: &Value) -> (&'static str, String) {
    match parse_custom_query(query.as_object().unwrap().clone(), FIELD) {
        Err(Error::Invalid { reason, field: FIELD, description }) => (reason, description),
        other => panic!("{:?}", other.map(|(_, query)| query)),
    }
}

fn accepted(query: &Value) {
    let (text, parsed) = parse_custom_query(query.as_object().unwrap().clone(), FIELD).unwrap();
    assert_eq!((&text, parsed), (query, Query::parse(query).unwrap()));
}

/// Returns a query for one claim, by its path.
fn asking(path: &Value) -> Value {
    json!({"credentials": [{
        "id": "permit",
        "format": "vc+sd-jwt",
        "meta": {"type_values": [["ResidencePermitCredential"]]},
        "claims": [{"path": path}],
    }]})
}

#[test]
fn a_query_beyond_its_limits_is_refused_when_the_request_is_made() {
    let mut query = asking(&json!(["credentialSubject", "familyName"]));
    accepted(&query);
    // As JSON text it exceeds the limit by these bytes, or is nested one level too deep; the answer could not parse
    // either.
    query["padding"] = "x".repeat(Limits::SMALL.max_bytes).into();
    assert_eq!(refused(&query).0, "QUERY_MALFORMED");
    query["padding"] = "x".repeat(Limits::SMALL.max_bytes / 2).into();
    accepted(&query);
    let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!([inner]));
    query["padding"] = nested(Limits::SMALL.max_depth);
    assert_eq!(refused(&query).0, "QUERY_MALFORMED");
    query["padding"] = nested(Limits::SMALL.max_depth / 2);
    accepted(&query);
}

#[test]
fn two_bounds_of_one_claim_are_refused_when_the_request_is_made() {
    let asking = |bounds: [&str; 2]| {
        let path = json!(["credentialSubject", "validUntil"]);
        let claims = ["a", "b"].into_iter().zip(bounds);
        let claims: Value =
            claims.map(|(id, bound)| json!({"id": id, "path": path, "carnet_at_least": bound})).collect();
        json!({"credentials": [{"id": "permit", "format": "vc+sd-jwt",
            "meta": {"type_values": [["ResidencePermitCredential"]]}, "claims": claims, "claim_sets": [["a"], ["b"]]}]})
    };
    let (reason, description) = refused(&asking(["2027-06-01", "2027-05-01"]));
    assert_eq!(reason, "QUERY_MALFORMED");
    assert!(description.contains("two bounds"), "{description}");
    accepted(&asking(["2027-06-01", "2027-06-01"]));
}

#[test]
fn a_query_that_is_none_is_refused_when_the_request_is_made() {
    accepted(&asking(&json!(["credentialSubject", "familyName"])));
    for path in [json!([]), json!("familyName"), json!(["credentialSubject", -1]), json!(["a", {"b": 1}])] {
        let (reason, description) = refused(&asking(&path));
        assert_eq!(reason, "QUERY_MALFORMED", "{path}");
        assert!(!description.is_empty());
    }
}

#[test]
fn an_index_into_an_array_is_refused_and_all_elements_are_not() {
    for (index, all) in [
        (json!(["credentialSubject", "nationality", 0]), json!(["credentialSubject", "nationality", null])),
        (json!(["credentialSubject", 3, "name"]), json!(["credentialSubject", null, "name"])),
    ] {
        let (reason, description) = refused(&asking(&index));
        assert_eq!(reason, "QUERY_UNSUPPORTED", "{index}");
        assert!(description.starts_with("permit: ") && description.contains("use null"), "{description}");
        accepted(&asking(&all));
    }
}

#[test]
fn a_query_that_an_empty_answer_meets_is_refused() {
    let with = |required: &[bool]| {
        let mut query = asking(&json!(["credentialSubject", "familyName"]));
        query["credential_sets"] =
            required.iter().map(|required| json!({"options": [["permit"]], "required": required})).collect();
        query
    };
    for optional in [with(&[false]), with(&[false, false])] {
        let (reason, description) = refused(&optional);
        assert_eq!(reason, "QUERY_UNSUPPORTED");
        assert!(description.contains("required"), "{description}");
    }
    for fine in [with(&[true]), with(&[false, true])] {
        accepted(&fine);
    }
}

#[test]
fn a_query_that_no_answer_meets_here_is_refused() {
    let mut foreign = asking(&json!(["credentialSubject", "familyName"]));
    foreign["credentials"][0]["format"] = json!("mso_mdoc");
    assert_eq!(refused(&foreign).0, "FORMAT_UNSUPPORTED");
    let mut constrained = asking(&json!(["credentialSubject", "familyName"]));
    constrained["credentials"][0]["trusted_authorities"] = json!([{"type": "aki", "values": ["x"]}]);
    let (reason, description) = refused(&constrained);
    assert_eq!(reason, "QUERY_UNSUPPORTED");
    assert!(description.starts_with("permit: ") && description.contains("aki"), "{description}");
    // Also as an option: no presentation for it would be valid.
    let own = asking(&json!(["credentialSubject", "familyName"]))["credentials"][0].clone();
    constrained["credentials"] = json!([constrained["credentials"][0], own]);
    constrained["credentials"][1]["id"] = json!("other");
    constrained["carnet_holder"] = json!("any");
    constrained["credential_sets"] = json!([{"options": [["permit"], ["other"]]}]);
    assert_eq!(refused(&constrained).0, "QUERY_UNSUPPORTED");
    constrained["credentials"][0].as_object_mut().unwrap().remove("trusted_authorities");
    accepted(&constrained);
}

#[test]
fn as_many_credentials_are_asked_for_as_an_answer_has() {
    let many = |count: usize| {
        let mut query = asking(&json!(["credentialSubject", "familyName"]));
        let one = query["credentials"][0].clone();
        let numbered = |number: usize| {
            let mut one = one.clone();
            one["id"] = json!(format!("q{number}"));
            one
        };
        query["credentials"] = (0..count).map(numbered).collect();
        query["carnet_holder"] = json!("any");
        query
    };
    accepted(&many(MAX_PRESENTATIONS));
    assert_eq!(refused(&many(MAX_PRESENTATIONS + 1)).0, "QUERY_UNSUPPORTED");
    // If one of them is enough, there may be more.
    let mut either = many(64);
    either["credential_sets"] = json!([{"options": (0..64).map(|number| [format!("q{number}")]).collect::<Vec<_>>()}]);
    accepted(&either);
}
