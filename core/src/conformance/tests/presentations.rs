//! Rules of presentations and envelopes (VCDM 2.0 section 4.13).

use super::*;

#[track_caller]
fn accepted(change: impl FnOnce(&mut Value)) {
    let mut document = presentation(&[issued().into()]);
    change(&mut document);
    check_presentation(&object(document), Stage::Unsecured).unwrap();
}

#[track_caller]
fn refused(expected: Code, change: impl FnOnce(&mut Value)) {
    accepted(|_| {});
    let mut document = presentation(&[issued().into()]);
    change(&mut document);
    assert_eq!(code(check_presentation(&object(document), Stage::Unsecured)), expected);
}

fn enveloped() -> Value {
    json!({"@context": CONTEXT_V2, "type": "EnvelopedVerifiableCredential", "id": "data:application/vc+jwt,e30.e30.e30"})
}

#[test]
fn section_4_13_members_of_a_presentation() {
    accepted(|d| d["id"] = json!("urn:uuid:3978344f-8596-4c3a-a978-8fcaba3903c5"));
    refused(Code::MalformedValue, |d| d["id"] = json!("not a url"));
    accepted(|d| d["type"] = json!(["VerifiablePresentation", "Example"]));
    refused(Code::TypeMissing, |d| d["type"] = json!(["Example"]));
    refused(Code::TypeMissing, |d| {
        d.as_object_mut().unwrap().remove("type");
    });
    refused(Code::ContextMissing, |d| d["@context"] = json!(["https://www.w3.org/ns/credentials/examples/v2"]));
    accepted(|d| d["holder"] = json!({"id": "did:example:holder", "name": "H"}));
    refused(Code::MalformedValue, |d| d["holder"] = json!({"name": "H"}));
    refused(Code::MalformedValue, |d| d["holder"] = json!("H"));
    accepted(|d| d["termsOfUse"] = json!({"type": "T"}));
    refused(Code::TypeMissing, |d| d["termsOfUse"] = json!({"id": "urn:a"}));
}

#[test]
fn section_4_13_credentials_are_secured_objects() {
    accepted(|d| d["verifiableCredential"] = json!([]));
    accepted(|d| d["verifiableCredential"] = issued().into());
    accepted(|d| d["verifiableCredential"] = json!([issued(), enveloped()]));
    for wrong in [json!(["https://a.example/1"]), json!([1]), json!([null])] {
        refused(Code::MalformedValue, |d| d["verifiableCredential"] = wrong);
    }
    refused(Code::ProofMissing, |d| d["verifiableCredential"] = json!([credential()]));
    refused(Code::TypeMissing, |d| {
        d["verifiableCredential"][0].as_object_mut().unwrap().remove("type");
    });
}

#[test]
fn sections_4_13_1_and_4_13_2_envelopes() {
    type Check = fn(&Map<String, Value>, Stage) -> Result<DataModelVersion, Problem>;
    let kinds: [(&str, &str, Check); 2] = [
        ("EnvelopedVerifiableCredential", "VerifiableCredential", check_credential),
        ("EnvelopedVerifiablePresentation", "VerifiablePresentation", check_presentation),
    ];
    for (kind, plain, check) in kinds {
        let run = |change: &dyn Fn(&mut Value)| {
            let mut document = enveloped();
            document["type"] = json!(kind);
            change(&mut document);
            check(&object(document), Stage::Secured)
        };
        run(&|_| {}).unwrap();
        run(&|d| d["@context"] = json!([CONTEXT_V2])).unwrap();
        run(&|d| d["type"] = json!([kind])).unwrap();
        assert_eq!(code(run(&|d| d["@context"] = json!([]))), Code::ContextMissing);
        assert_eq!(
            code(run(&|d| d["@context"] = json!("https://www.w3.org/ns/credentials/examples/v2"))),
            Code::ContextMissing
        );
        assert_eq!(code(run(&|d| d["id"] = json!("e30.e30.e30"))), Code::MalformedValue);
        assert_eq!(code(run(&|d| d["id"] = json!("https://a.example/1,2"))), Code::MalformedValue);
        assert_eq!(code(run(&|d| d["type"] = json!([kind, plain]))), Code::MalformedValue);
        // Without its type it is a document without claims.
        assert!(run(&|d| d["type"] = json!(plain)).is_err());
        assert!(
            run(&|d| {
                d.as_object_mut().unwrap().remove("type");
            })
            .is_err()
        );
    }
}
