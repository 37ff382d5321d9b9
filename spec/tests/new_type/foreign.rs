//! Foreign types beside the catalogue: `ForeignType`, and requests for them.

use std::collections::BTreeSet;

use carnet_core::{did::Did, query::Query, verify::VerificationProfile};
use carnet_spec::ForeignType;

use super::*;

const VCT: &str = "urn:eudi:pid:1";
const ISSUER: &str = "did:web:pid.example";
const REQUEST_FOR_IT: &str = r#"
id = "name-and-birth"
retention_days = 30
dcql = '{"credentials":[{"id":"pid","format":"dc+sd-jwt","meta":{"vct_values":["urn:eudi:pid:1"]},"claims":[{"path":["family_name"]},{"path":["birthdate"]}]}]}'
[title]
en = "Name and date of birth"
[purpose]
en = "To open your file."
[legal_basis]
en = "Your consent: Article 6(1)(a) GDPR."
[retention]
en = "Only the outcome is kept, for 30 days."
"#;

fn pid(issuer: &str, required: &[&str]) -> ForeignType {
    ForeignType {
        required: required.iter().map(|text| ForeignType::parse_claim_path(text).unwrap()).collect(),
        ..ForeignType::sd_jwt_vc(VCT.to_owned(), BTreeSet::from([Did::parse(issuer).unwrap()]))
    }
}

fn catalogue(foreign: Vec<ForeignType>) -> Result<Catalogue, String> {
    Catalogue::load_with(None, foreign).map_err(|error| error.to_string())
}

fn object(value: Value) -> serde_json::Map<String, Value> {
    value.as_object().unwrap().clone()
}

#[test]
fn a_foreign_type_is_known_by_its_vct_where_it_is_configured() {
    let none = catalogue(Vec::new()).unwrap();
    assert_eq!(none.type_name(&[], Some(VCT)).unwrap_err().code, Code::TypeUnknown);
    let known = catalogue(vec![pid(ISSUER, &[])]).unwrap();
    assert_eq!(known.type_name(&[], Some(VCT)).unwrap(), VCT);
    // It is no second name for a type of the catalogue, nor for a credential of the W3C model.
    assert_eq!(known.type_name(&["QualificationCredential"], Some(VCT)).unwrap_err().code, Code::TypeUnknown);
    assert_eq!(known.type_name(&[VCT], None).unwrap_err().code, Code::TypeUnknown);
    assert_eq!(known.type_name(&[], Some("urn:eudi:pid:2")).unwrap_err().code, Code::TypeUnknown);
}

#[test]
fn an_entry_relaxes_the_profile_of_its_own_issuers_alone() {
    let mut relaxed = pid(ISSUER, &["family_name"]);
    relaxed.profile.requires_end = false;
    let known = catalogue(vec![relaxed.clone(), pid("did:web:other.example", &[])]).unwrap();
    assert_eq!(*known.profile(VCT, ISSUER), relaxed.profile);
    let qualification = known.credential_type("QualificationCredential").unwrap().vct.clone();
    for (vct, issuer) in
        [(VCT, "did:web:other.example"), (VCT, "did:web:nobody.example"), (qualification.as_str(), ISSUER)]
    {
        assert_eq!(*known.profile(vct, issuer), VerificationProfile::default(), "{vct} {issuer}");
    }
    let check = |issuer: &str, claims: Value| {
        let mut payload = object(claims);
        payload.insert("iss".to_owned(), issuer.into());
        known.check_schema(VCT, &payload).map_err(|problem| problem.code)
    };
    assert_eq!(check(ISSUER, json!({"family_name": "Okonkwo"})), Ok(()));
    assert_eq!(check(ISSUER, json!({"given_name": "Ada"})), Err(Code::SchemaViolation));
    assert_eq!(check("did:web:other.example", json!({"given_name": "Ada"})), Ok(()));
}

#[test]
fn a_foreign_type_has_issuers_and_a_name_of_its_own() {
    let with_vct = |vct: &str| ForeignType::sd_jwt_vc(vct.to_owned(), pid(ISSUER, &[]).issuers);
    let nobody = ForeignType { issuers: BTreeSet::new(), ..pid(ISSUER, &[]) };
    for (foreign, says) in [
        (vec![nobody], "no issuers"),
        (vec![with_vct("urn:carnet:type:qualification:1")], "the catalogue has this type"),
        (vec![with_vct("QualificationCredential")], "the catalogue has this type"),
        (vec![with_vct("")], "visible ASCII"),
        (vec![with_vct("urn:a\u{202e}b")], "visible ASCII"),
        (vec![pid(ISSUER, &[]), pid(ISSUER, &["family_name"])], "two entries"),
    ] {
        let error = catalogue(foreign).unwrap_err();
        assert!(error.contains(says), "{error}");
    }
    for wrong in ["", "a..b", "_sd", "a[0]", "a b"] {
        assert_eq!(ForeignType::parse_claim_path(wrong), None, "{wrong}");
    }
}

#[test]
fn a_request_may_ask_for_a_foreign_type() {
    let dir = folder();
    let load = |text: &str, foreign: Vec<ForeignType>| {
        write(dir.path(), "requests/name-and-birth.toml", text);
        Catalogue::load_with(Some(dir.path()), foreign).map_err(|error| error.to_string())
    };
    let known = || vec![pid(ISSUER, &["family_name"])];
    assert!(load(REQUEST_FOR_IT, known()).unwrap().template("name-and-birth").is_some());
    let kept = format!(
        "{REQUEST_FOR_IT}[[keep]]\ncredential = \"pid\"\npath = \"family_name\"\ndays = 30\nwhy = {{ en = \"For the file.\" }}"
    );
    load(&kept, known()).unwrap();
    for (from, to, foreign, says) in [
        ("", "", Vec::new(), "not in the catalogue"),
        ("urn:eudi:pid:1", "urn:eudi:pid:2", known(), "not in the catalogue"),
        ("{\"path\":[\"family_name\"]},", "", known(), "can be answered without family_name"),
        (
            "[\"birthdate\"]}",
            "[\"birthdate\"],\"carnet_at_most\":\"today-18y\"}",
            known(),
            "a threshold of a foreign type",
        ),
        (",\"claims\":[{\"path\":[\"family_name\"]},{\"path\":[\"birthdate\"]}]", "", known(), "names no claims"),
    ] {
        let error = load(&REQUEST_FOR_IT.replace(from, to), foreign).unwrap_err();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn a_query_that_can_be_answered_without_a_required_claim_is_named() {
    let known = catalogue(vec![pid(ISSUER, &["address.country"])]).unwrap();
    let unasked = |claims: Value, sets: Value| {
        let mut asked = json!({"id": "pid", "format": "dc+sd-jwt", "meta": {"vct_values": [VCT]}, "claims": claims});
        if sets.is_array() {
            asked["claim_sets"] = sets;
        }
        known.missing_required_claim(&Query::parse(&json!({"credentials": [asked]})).unwrap())
    };
    let (name, country) = (json!({"id": "n", "path": ["name"]}), json!({"id": "c", "path": ["address", "country"]}));
    assert_eq!(unasked(json!([country]), Value::Null), None);
    assert_eq!(unasked(json!([{"path": ["address"]}]), Value::Null), None);
    assert_eq!(unasked(json!([name, country]), json!([["n", "c"], ["c"]])), None);
    for (claims, sets) in [
        (json!([name]), Value::Null),
        (json!([{"path": ["address", "street"]}]), Value::Null),
        (json!([name, country]), json!([["n", "c"], ["n"]])),
    ] {
        let what = unasked(claims, sets).unwrap();
        assert!(what.contains("address.country") && what.contains(VCT), "{what}");
    }
    // The catalogue does not judge the claims of a foreign type, and knows its name.
    let asked = json!({"credentials": [{"id": "pid", "format": "dc+sd-jwt", "meta": {"vct_values": [VCT]},
        "claims": [{"path": ["shoe_size"]}]}]});
    assert!(known.unknown_names(&Query::parse(&asked).unwrap()).is_empty());
    assert_eq!(catalogue(Vec::new()).unwrap().unknown_names(&Query::parse(&asked).unwrap()).len(), 1);
}

#[test]
fn claims_of_a_folder_may_have_an_underscore() {
    let dir = folder();
    for file in ["type.toml", "schema.json", "context.jsonld", "example.json", "display/en.ftl"] {
        let path = dir.path().join("types/language").join(file);
        let text = fs::read_to_string(&path).unwrap().replace("language\"", "spoken_language\"");
        fs::write(&path, text.replace("claim-language", "claim-spoken_language")).unwrap();
    }
    let context = fs::read_to_string(dir.path().join("types/language/context.jsonld")).unwrap();
    let digest = |text: &str| base16ct::lower::encode_string(&Sha256::digest(text));
    let toml = fs::read_to_string(dir.path().join("types/language/type.toml")).unwrap();
    write(dir.path(), "types/language/type.toml", &toml.replace(&digest(CONTEXT), &digest(&context)));
    let known = Catalogue::load(dir.path()).unwrap();
    assert!(known.credential_type(NAME).unwrap().has_claim("spoken_language"));
    let schema = fs::read_to_string(dir.path().join("types/language/schema.json")).unwrap();
    write(dir.path(), "types/language/schema.json", &schema.replace("spoken_language", "_sd"));
    assert!(Catalogue::load(dir.path()).unwrap_err().to_string().contains("behind the first, _"));
}
