use serde_json::json;

use super::*;

const ISSUES: &str = "http://uri.etsi.org/19602/SvcType/PubEAA/Issuance";
const REVOKES: &str = "http://uri.etsi.org/19602/SvcType/PubEAA/Revocation";
const REGISTERS: &str = "http://uri.etsi.org/19602/SvcType/Register";
const UNI: &str = "did:web:uni.example";

fn now() -> Timestamp {
    Timestamp::parse("2026-11-23T12:00:00Z").unwrap()
}

fn mapping() -> EntityMapping {
    EntityMapping {
        type_by_service: vec![(ISSUES.to_owned(), "QualificationCredential".to_owned())],
        registrars: vec![REGISTERS.to_owned()],
        ignored: vec![REVOKES.to_owned()],
        ..EntityMapping::default()
    }
}

fn service(kind: &str, identity: Value) -> Value {
    json!({"ServiceInformation": {
        "ServiceName": [{"lang": "en", "value": "Diplomas"}], "ServiceTypeIdentifier": kind,
        "ServiceDigitalIdentity": identity, "ServiceStatus": NOTIFIED, "StatusStartingTime": "2025-01-01T00:00:00Z",
    }})
}

/// Written by hand after the tables of TS 119 602.
fn sample() -> Value {
    json!({"LoTE": {
        "ListAndSchemeInformation": {
            "LoTEVersionIdentifier": 1, "LoTESequenceNumber": 7,
            "LoTEType": "http://uri.etsi.org/19602/LoTEType/EUPubEAAProvidersList",
            "SchemeOperatorName": [{"lang": "pt", "value": "Autoridade"}, {"lang": "en", "value": "Authority"}],
            "SchemeTerritory": "PT",
            "ListIssueDateTime": "2026-11-01T00:00:00Z", "NextUpdate": "2027-04-01T00:00:00Z",
        },
        "TrustedEntitiesList": [
            {
                "TrustedEntityInformation": {
                    "TEName": [{"lang": "en", "value": "University"}],
                    "TEAddress": {"TEPostalAddress": [], "TEElectronicAddress": []}, "TEInformationURI": [],
                },
                "TrustedEntityServices": [
                    service(ISSUES, json!({"OtherIds": [UNI], "X509Certificates": [{"val": "AA=="}]})),
                    service(REVOKES, json!({"X509Certificates": [{"val": "AA=="}]})),
                ],
            },
            {
                "TrustedEntityInformation": {"TEName": [{"lang": "en", "value": "Register"}]},
                "TrustedEntityServices": [service(REGISTERS, json!({"PublicKeyValues": [{
                    "kty": "EC", "crv": "P-256",
                    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
                }]}))],
            },
        ],
    }})
}

fn imported(value: &Value, mapping: &EntityMapping) -> Result<TrustListSource, CommandError> {
    import(value.to_string().as_bytes(), RequiredSigner::NotChecked, mapping, now())
}

#[track_caller]
fn refused_after(change: impl FnOnce(&mut Value), names: &str) {
    let mut value = sample();
    change(&mut value["LoTE"]);
    let refusal = imported(&value, &mapping()).unwrap_err().to_string();
    assert!(refusal.contains(names), "{refusal}");
}

#[test]
fn a_list_becomes_a_source_that_has_to_be_reviewed() {
    let source = imported(&sample(), &mapping()).unwrap();
    let [uni] = source.issuers.as_slice() else { panic!("{source:?}") };
    assert_eq!((uni.id.as_str(), uni.name.as_str()), (UNI, "University"));
    let [held] = uni.accreditations.as_slice() else { panic!("{uni:?}") };
    assert_eq!(
        (held.types.as_slice(), held.jurisdictions.as_deref()),
        (["QualificationCredential".to_owned()].as_slice(), Some(["PT".to_owned()].as_slice()))
    );
    assert_eq!(held.from, Timestamp::parse("2025-01-01T00:00:00Z").unwrap());
    assert!(source.registrars[0].id.starts_with("did:jwk:"));
    assert!(source.review_notes[0].contains("nobody has verified its signature"));
    assert_eq!(source.clone().into_contents(None).unwrap_err().reason, "review_needed");
    let reviewed = TrustListSource { review_notes: Vec::new(), ..source };
    assert_eq!(reviewed.into_contents(None).unwrap().issuers.len(), 1);
}

#[test]
fn what_is_not_known_is_refused_by_name() {
    let scheme = |lote: &mut Value, name: &str, value: Value| lote["ListAndSchemeInformation"][name] = value;
    refused_after(|lote| scheme(lote, "SchemeExtensions", json!([{}])), "SchemeExtensions");
    refused_after(|lote| scheme(lote, "LoTEVersionIdentifier", json!(2)), "LoTEVersionIdentifier");
    refused_after(|lote| scheme(lote, "SchemeTerritory", json!("EU")), "SchemeTerritory");
    refused_after(|lote| scheme(lote, "ListIssueDateTime", json!("2026-11-23T12:00:01Z")), "ListIssueDateTime");
    refused_after(|lote| scheme(lote, "NextUpdate", json!("2026-11-23T11:59:59Z")), "NextUpdate");
    let first = |lote: &mut Value, name: &str, value: Value| {
        lote["TrustedEntitiesList"][0]["TrustedEntityServices"][0]["ServiceInformation"][name] = value;
    };
    refused_after(|lote| first(lote, "ServiceInformationExtensions", json!([{}])), "ServiceInformationExtensions");
    refused_after(|lote| first(lote, "ServiceStatus", json!("urn:granted")), "urn:granted");
    refused_after(|lote| first(lote, "ServiceTypeIdentifier", json!("urn:other")), "urn:other");
    let certificates = json!({"X509Certificates": [{"val": "AA=="}]});
    refused_after(|lote| first(lote, "ServiceDigitalIdentity", certificates), "\"University\", by certificates");
    let two = json!({"OtherIds": [UNI, "did:web:other.example"]});
    refused_after(|lote| first(lote, "ServiceDigitalIdentity", two), "University");
}

#[test]
fn a_member_of_another_kind_is_named() {
    let scheme = "LoTE.ListAndSchemeInformation";
    let name = "LoTE.TrustedEntitiesList[0].TrustedEntityInformation.TEName";
    refused_after(
        |list| list["ListAndSchemeInformation"]["NextUpdate"] = Value::Null,
        &format!("{scheme}.NextUpdate: invalid type: null"),
    );
    refused_after(
        |list| list["ListAndSchemeInformation"]["LoTEVersionIdentifier"] = json!(1.5),
        &format!("{scheme}.LoTEVersionIdentifier: invalid type"),
    );
    refused_after(
        |list| list["TrustedEntitiesList"][0]["TrustedEntityInformation"]["TEName"][0]["lang"] = json!(1),
        &format!("{name}[0].lang: invalid type: integer"),
    );
    // One number, however it is written.
    let mut list = sample();
    list["LoTE"]["ListAndSchemeInformation"]["LoTEVersionIdentifier"] = json!(1.0);
    imported(&list, &mapping()).unwrap();
}

#[test]
fn the_operator_says_what_the_list_does_not() {
    let mut value = sample();
    let service = &mut value["LoTE"]["TrustedEntitiesList"][0]["TrustedEntityServices"][0];
    service["ServiceInformation"]["ServiceDigitalIdentity"] = json!({"X509SKIs": ["AA=="]});
    service["ServiceHistory"] = json!([{}]);
    let mapping = EntityMapping {
        did_by_entity: vec![("University".to_owned(), UNI.to_owned())],
        countries: vec!["ES".to_owned()],
        ..mapping()
    };
    let source = imported(&value, &mapping).unwrap();
    assert_eq!(source.issuers[0].id, UNI);
    assert!(source.review_notes.iter().any(|note| note.contains("from the command line")), "{:?}", source.review_notes);
    // Not against the list's own entry.
    for (listed, accepted) in [(UNI, true), ("did:web:other.example", false)] {
        let mut value = value.clone();
        let service = &mut value["LoTE"]["TrustedEntitiesList"][0]["TrustedEntityServices"][0];
        service["ServiceInformation"]["ServiceDigitalIdentity"] = json!({"OtherIds": [listed]});
        assert_eq!(imported(&value, &mapping).is_ok(), accepted, "{listed}");
    }
    assert_eq!(source.issuers[0].accreditations[0].jurisdictions.as_deref(), Some(["ES".to_owned()].as_slice()));
    assert!(source.review_notes.iter().any(|note| note.contains("history")), "{:?}", source.review_notes);
    // A withdrawn one is left out, with a notice.
    let service = &mut value["LoTE"]["TrustedEntitiesList"][0]["TrustedEntityServices"][0];
    service["ServiceInformation"]["ServiceStatus"] = json!(WITHDRAWN);
    let source = imported(&value, &mapping).unwrap();
    assert!(source.issuers.is_empty() && source.review_notes.iter().any(|note| note.contains("withdrawn")));
}

#[test]
fn all_that_is_missing_is_said_at_once() {
    let mut value = sample();
    let entities = value["LoTE"]["TrustedEntitiesList"].as_array_mut().unwrap();
    let certificate = |val: &str| json!({"X509Certificates": [{"val": val, "encoding": "urn:ietf:rfc:5280"}]});
    let entity = |name: &str, service: Value| {
        json!({
            "TrustedEntityInformation": {"TEName": [{"lang": "en", "value": name}]},
            "TrustedEntityServices": [service],
        })
    };
    entities.push(entity("College", service(ISSUES, certificate("AQ=="))));
    entities.push(entity("College", service(ISSUES, certificate("Ag=="))));
    entities.push(entity("Academy", service(ISSUES, certificate("Aw=="))));
    entities.push(entity("Museum", service("urn:other", certificate("BA=="))));
    let mut union = value.clone();
    union["LoTE"]["ListAndSchemeInformation"]["SchemeTerritory"] = "EU".into();
    let refusal = imported(&union, &mapping()).unwrap_err();
    assert_eq!(refusal.reason, "lote_unmapped");
    let fingerprint = |byte: u8| CertificateFingerprint::from_der(&[byte]).to_string();
    for word in ["urn:other", "\"College\"", "\"Academy\"", "\"Museum\"", &fingerprint(2), &fingerprint(4), "--country"]
    {
        assert!(refusal.to_string().contains(word), "{refusal}");
    }
    // A name that two entities have names neither, and one that none has is a slip.
    let named = |dids: &[(&str, &str)], without: &[&str]| EntityMapping {
        did_by_entity: dids.iter().map(|(name, did)| ((*name).to_owned(), (*did).to_owned())).collect(),
        omitted_entities: without.iter().map(|name| (*name).to_owned()).collect(),
        ..mapping()
    };
    let college = (fingerprint(1), fingerprint(2));
    let all = [(college.0.as_str(), "did:web:one.example"), (college.1.as_str(), "did:web:two.example")];
    for (dids, without, names) in [
        ([all[0], ("College", "did:web:two.example")].as_slice(), ["Academy", "Museum"].as_slice(), "several"),
        (&all, &["Academy", "Museums"], "\"Museums\": no entity"),
        (&all, &["Academy", "Academy", "Museum"], "twice"),
        (&all, &["Museum"], "\"Academy\", by certificates"),
    ] {
        let refusal = imported(&value, &named(dids, without)).unwrap_err().to_string();
        assert!(refusal.contains(names), "{refusal}");
    }
    let source = imported(&value, &named(&all, &["Academy", "Museum"])).unwrap();
    assert_eq!(source.issuers.len(), 3);
    assert!(
        source.review_notes.iter().any(|note| note.contains("\"Academy\": it was left out")),
        "{:?}",
        source.review_notes
    );
}

#[test]
fn pointers_are_not_followed_and_two_names_of_one_party_are_said() {
    let mut value = sample();
    value["LoTE"]["ListAndSchemeInformation"]["PointersToOtherLoTE"] =
        json!([{"LoTELocation": "https://eu.example/lote"}]);
    let uni = json!({"OtherIds": [UNI]});
    let another = json!({
        "TrustedEntityInformation": {"TEName": [{"lang": "en", "value": "Faculty"}]},
        "TrustedEntityServices": [service(ISSUES, uni)],
    });
    value["LoTE"]["TrustedEntitiesList"].as_array_mut().unwrap().push(another);
    let source = imported(&value, &mapping()).unwrap();
    assert_eq!((source.issuers.len(), source.issuers[0].accreditations.len()), (1, 2));
    for word in ["not followed: 1", "\"Faculty\": it has the same DID as \"University\""] {
        assert!(source.review_notes.iter().any(|note| note.contains(word)), "{:?}", source.review_notes);
    }
}
