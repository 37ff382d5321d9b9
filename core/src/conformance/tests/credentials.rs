//! Rules of credentials, by section of VCDM 2.0.

use super::*;

#[track_caller]
fn accepted(change: impl FnOnce(&mut Value)) {
    let mut document = credential();
    change(&mut document);
    check_credential(&object(document), Stage::Unsecured).unwrap();
}

/// Checks that the document is refused with the change, and accepted without it.
#[track_caller]
fn refused(expected: Code, change: impl FnOnce(&mut Value)) {
    accepted(|_| {});
    let mut document = credential();
    change(&mut document);
    assert_eq!(code(check_credential(&object(document), Stage::Unsecured)), expected);
}

fn without(name: &'static str) -> impl FnOnce(&mut Value) {
    move |document| {
        document.as_object_mut().unwrap().remove(name);
    }
}

#[test]
fn section_4_3_contexts() {
    accepted(|d| d["@context"] = json!([CONTEXT_V2, "https://www.w3.org/ns/credentials/examples/v2"]));
    accepted(|d| d["@context"] = json!([CONTEXT_V2, {"Example": "https://example.org/#Example"}]));
    refused(Code::ContextMissing, without("@context"));
    for wrong in [json!([]), json!(CONTEXT_V2), json!({}), json!(null), json!(10), json!(true), json!([null])] {
        refused(Code::ContextMissing, |d| d["@context"] = wrong);
    }
    refused(Code::ContextMissing, |d| {
        d["@context"] = json!(["https://www.w3.org/ns/credentials/examples/v2", CONTEXT_V2])
    });
    for wrong in [json!("https ://not-a-url/contexts/example/v1"), json!(123_192_875), json!(null), json!([])] {
        refused(Code::ContextUnknown, |d| d["@context"] = json!([CONTEXT_V2, wrong]));
    }
    refused(Code::ContextNested, |d| d["credentialSubject"]["@context"] = json!({"name": "urn:x"}));
}

#[test]
fn section_4_4_identifiers() {
    for id in ["https://a.example/1", "did:example:1", "urn:uuid:58172aac-d8ba-11ed-83dd-0b3aef56cc33"] {
        accepted(|d| d["id"] = json!(id));
    }
    for wrong in [json!(null), json!(["urn:a", "urn:b"]), json!("not a url"), json!("relative"), json!(7)] {
        refused(Code::MalformedValue, |d| d["id"] = wrong.clone());
        refused(Code::MalformedValue, |d| d["credentialSubject"]["id"] = wrong.clone());
        // Wherever an id occurs.
        refused(Code::MalformedValue, |d| d["credentialSubject"]["degree"] = json!([{"id": wrong}]));
    }
}

#[test]
fn section_4_5_types() {
    accepted(|d| d["type"] = json!("VerifiableCredential"));
    accepted(|d| d["type"] = json!(["https://example.org/#A", "VerifiableCredential", "B"]));
    refused(Code::TypeMissing, without("type"));
    refused(Code::TypeMissing, |d| d["type"] = json!(["Example"]));
    for wrong in [json!(["VerifiableCredential", 1]), json!([null]), json!([[]]), json!({}), json!(null), json!([])] {
        refused(Code::MalformedValue, |d| d["type"] = wrong);
    }
    refused(Code::MalformedValue, |d| d["credentialSubject"]["type"] = json!(2));
}

#[test]
fn section_4_5_objects_with_a_type() {
    for property in [
        "credentialStatus",
        "termsOfUse",
        "evidence",
        "refreshService",
        "credentialSchema",
        "confidenceMethod",
        "renderMethod",
    ] {
        accepted(|d| d[property] = json!({"id": "https://a.example/1", "type": "T"}));
        accepted(|d| d[property] = json!([{"id": "urn:a", "type": ["T", "U"]}, {"id": "urn:b", "type": "T"}]));
        refused(Code::TypeMissing, |d| d[property] = json!({"id": "urn:a"}));
        refused(Code::TypeMissing, |d| d[property] = json!([{"id": "urn:a", "type": "T"}, {"id": "urn:b"}]));
        refused(Code::MalformedValue, |d| d[property] = json!({"id": "urn:a", "type": 2}));
        refused(Code::MalformedValue, |d| d[property] = json!("urn:a"));
        refused(Code::MalformedValue, |d| d[property] = json!({"id": "not a url", "type": "T"}));
    }
    accepted(|d| d["evidence"] = json!([{"type": "T"}, {"type": "T"}]));
}

#[test]
fn sections_4_6_and_11_1_names_and_descriptions() {
    let text = || json!({"@value": "Dog", "@language": "en"});
    for property in ["name", "description"] {
        let values = [
            json!("Dog"),
            text(),
            json!({"@value": "HTML", "@language": "en-US", "@direction": "ltr"}),
            json!([text(), {"@value": "Chien", "@language": "fr"}]),
        ];
        for value in values {
            accepted(|d| d[property] = value.clone());
            accepted(|d| d["issuer"] = json!({"id": "did:example:a", property: value}));
        }
        let wrong = [
            json!({"@value": "Dog", "@language": "en", "url": "did:example:a"}),
            json!({"@value": "Dog", "@language": "not a tag"}),
            json!({"@value": "Dog", "@language": "en", "@direction": "up"}),
            json!({"@value": 7, "@language": "en"}),
            json!({"@language": "en"}),
            json!({"@value": "Dog", "@type": "https://a.example/t"}),
            json!(7),
            json!(null),
            json!([]),
        ];
        for value in wrong {
            refused(Code::MalformedValue, |d| d[property] = value.clone());
            refused(Code::MalformedValue, |d| d["issuer"] = json!({"id": "did:example:a", property: value}));
        }
    }
    // A value object of any claim.
    accepted(|d| d["credentialSubject"]["title"] = text());
    accepted(|d| d["credentialSubject"]["born"] = json!({"@value": "2000", "@type": "xsd:gYear"}));
    refused(Code::MalformedValue, |d| d["credentialSubject"]["title"] = json!([{"@value": "Dog", "id": "urn:a"}]));
}

#[test]
fn section_4_7_issuer() {
    accepted(|d| d["issuer"] = json!("https://university.example/issuers/14"));
    accepted(|d| d["issuer"] = json!({"id": "did:example:a", "image": "data:image/png,x"}));
    refused(Code::MalformedValue, without("issuer"));
    for wrong in
        [json!("not a url"), json!({"name": "A"}), json!({"id": null}), json!({"id": "no url"}), json!([]), json!(10)]
    {
        refused(Code::MalformedValue, |d| d["issuer"] = wrong);
    }
}

#[test]
fn section_4_8_subjects() {
    accepted(|d| d["credentialSubject"] = json!([{"id": "did:example:a"}, {"name": "B"}]));
    refused(Code::SubjectEmpty, without("credentialSubject"));
    refused(Code::SubjectEmpty, |d| d["credentialSubject"] = json!([]));
    refused(Code::SubjectEmpty, |d| d["credentialSubject"] = json!({}));
    refused(Code::SubjectEmpty, |d| d["credentialSubject"] = json!([{"id": "did:example:a"}, {}]));
    for wrong in [json!("did:example:a"), json!(null), json!(10), json!(true)] {
        refused(Code::MalformedValue, |d| d["credentialSubject"] = wrong);
    }
}

#[test]
fn section_4_9_validity_period() {
    for property in ["validFrom", "validUntil"] {
        for time in
            ["2023-02-26T00:16:15Z", "2023-02-25T19:10:39-06:00", "2026-01-01T00:00:00.123Z", "3023-01-01T24:00:00Z"]
        {
            accepted(|d| d[property] = json!(time));
        }
        for wrong in [json!("01-01-2010"), json!("2026-01-01"), json!("2026-01-01T00:00:00"), json!(1), json!(["x"])] {
            refused(Code::DateMalformed, |d| d[property] = wrong);
        }
    }
    let period = |from: &'static str, until: &'static str| {
        move |d: &mut Value| {
            d["validFrom"] = json!(from);
            d["validUntil"] = json!(until);
        }
    };
    accepted(period("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"));
    refused(Code::ValidityReversed, period("2026-01-01T00:00:01Z", "2026-01-01T00:00:00Z"));
    // Compared as instants, not as text.
    refused(Code::ValidityReversed, period("2026-01-01T00:00:00Z", "2026-01-01T00:30:00+01:00"));
}

#[test]
fn sections_4_10_and_4_11_status_and_schemas() {
    accepted(|d| d["credentialStatus"] = json!({"type": "T"}));
    refused(Code::MalformedValue, |d| d["credentialStatus"] = json!({"id": ["urn:a", "urn:b"], "type": "T"}));
    accepted(|d| d["credentialSchema"] = json!({"id": "https://a.example/s.json", "type": "JsonSchema"}));
    refused(Code::MalformedValue, |d| d["credentialSchema"] = json!({"type": "JsonSchema"}));
    refused(Code::MalformedValue, |d| d["credentialSchema"] = json!({"id": 7, "type": "JsonSchema"}));
}

#[test]
fn section_4_12_a_secured_document_has_a_proof() {
    let check = |proof: Option<Value>| {
        let mut document = object(credential());
        proof.map(|proof| document.insert("proof".to_owned(), proof));
        check_credential(&document, Stage::Secured)
    };
    check(Some(json!({"type": "DataIntegrityProof"}))).unwrap();
    check(Some(json!([{"type": "DataIntegrityProof"}, {"type": "Other"}]))).unwrap();
    assert_eq!(code(check(None)), Code::ProofMissing);
    assert_eq!(code(check(Some(json!([])))), Code::ProofMissing);
    for wrong in [json!("x"), json!(null), json!(10), json!(true), json!({}), json!({"type": 1}), json!([[]])] {
        assert_eq!(code(check(Some(wrong))), Code::ProofMalformed);
    }
}

#[test]
fn section_5_3_related_resources() {
    let one = || json!({"id": "https://a.example/1", "digestSRI": "sha384-x"});
    accepted(|d| d["relatedResource"] = one());
    accepted(|d| {
        d["relatedResource"] = json!([one(), {"id": "https://a.example/2", "digestMultibase": "uEiA", "mediaType": "application/ld+json"}]);
    });
    let wrong = [
        json!([one(), one()]),
        json!({"digestSRI": "sha384-x"}),
        json!({"id": "https://a.example/1"}),
        json!({"id": "https://a.example/1", "digestSRI": 7}),
        json!({"id": "https://a.example/1", "digestSRI": "sha384-x", "mediaType": 7}),
        json!(["https://a.example/1"]),
    ];
    for wrong in wrong {
        refused(Code::MalformedValue, |d| d["relatedResource"] = wrong);
    }
}

#[test]
fn version_1_1_has_its_own_dates_and_needs_the_ids_of_services() {
    let document = |change: &dyn Fn(&mut Value)| {
        let mut document = json!({
            "@context": [CONTEXT_V1, "https://www.w3.org/2018/credentials/examples/v1"],
            "type": ["VerifiableCredential"], "issuer": "did:example:a", "issuanceDate": "2022-03-31T19:21:25Z",
            "expirationDate": "2022-05-31T19:21:25Z", "credentialSubject": {"id": "did:example:b"}
        });
        change(&mut document);
        check_credential(&object(document), Stage::Unsecured)
    };
    assert_eq!(document(&|_| {}).unwrap(), DataModelVersion::V1);
    assert_eq!(code(document(&|d| without("issuanceDate")(d))), Code::ClaimMissing);
    assert_eq!(code(document(&|d| d["issuanceDate"] = json!("yesterday"))), Code::DateMalformed);
    assert_eq!(code(document(&|d| d["issuanceDate"] = json!("2022-06-31T19:21:25Z"))), Code::DateMalformed);
    assert_eq!(code(document(&|d| d["issuanceDate"] = json!("2022-06-30T19:21:25Z"))), Code::ValidityReversed);
    document(&|d| d["credentialStatus"] = json!({"id": "urn:a", "type": "T"})).unwrap();
    assert_eq!(code(document(&|d| d["credentialStatus"] = json!({"type": "T"}))), Code::MalformedValue);
}
