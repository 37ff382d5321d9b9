//! Bounds on the contents of a registration. Each faulty registration has a valid signature, so that nothing else is
//! wrong with it.

use super::*;

type Fault = fn(&mut Value);

#[track_caller]
fn all_refused(faults: &[Fault]) {
    for (at, fault) in faults.iter().enumerate() {
        let mut faulty = subject();
        verify(&registered(&faulty)).unwrap();
        fault(&mut faulty);
        let result = verify(&registered(&faulty)).map(|_| at);
        refused(result, Code::RegistrationInvalid);
    }
}

#[test]
fn a_member_that_is_not_known_is_refused() {
    all_refused(&[
        |s| s["entitlements"] = json!([]),
        |s| s["supervisory_authority"]["fax"] = json!("1"),
        |s| s["intended_uses"][0]["except"] = json!([]),
        |s| s["intended_uses"][0]["credentials"][0]["trusted_authorities"] = json!([]),
        |s| s["intended_uses"][0]["credentials"][0]["meta"]["issuers"] = json!([]),
        |s| s["intended_uses"][0]["credentials"][0]["claims"][0]["values"] = json!([true]),
    ]);
    // Above all a status, since nothing here would check it.
    for (name, value) in [
        ("credentialStatus", json!({"type": "BitstringStatusListEntry"})),
        ("termsOfUse", json!({"type": "Terms"})),
        ("id", json!("urn:a")),
        ("name", json!("A")),
    ] {
        let document = changed(|d| drop(d.insert(name.to_owned(), value)));
        refused(verify(&document), Code::RegistrationInvalid);
    }
    refused(verify(&changed(|d| d["@context"] = json!([crate::credential::CONTEXT_V2]))), Code::RegistrationInvalid);
    refused(verify(&changed(|d| d["issuer"] = json!({"id": d["issuer"], "name": "EU"}))), Code::RegistrationInvalid);
    refused(verify(&registered(&json!([subject(), subject()]))), Code::RegistrationInvalid);
}

#[test]
fn a_member_that_is_missing_is_refused() {
    let names = ["id", "name", "country", "privacy_policy", "support_uri", "supervisory_authority", "intended_uses"];
    for name in names {
        let mut faulty = subject();
        assert!(faulty.as_object_mut().unwrap().remove(name).is_some());
        refused(verify(&registered(&faulty)), Code::RegistrationInvalid);
    }
    for name in ["sub", "registry_uri"] {
        let mut fewer = subject();
        assert!(fewer.as_object_mut().unwrap().remove(name).is_some());
        verify(&registered(&fewer)).unwrap();
    }
}

#[test]
fn what_a_person_reads_or_follows_is_held_to_its_form() {
    all_refused(&[
        |s| s["name"] = json!(""),
        |s| s["name"] = json!(" "),
        |s| s["name"] = json!("a".repeat(201)),
        |s| s["name"] = json!("City\u{1b}[2J"),
        |s| s["name"] = json!("City\u{200b}Office"),
        |s| s["name"] = json!("\u{202e}eciffO ytiC"),
        |s| s["sub"] = json!(""),
        |s| s["country"] = json!("de"),
        |s| s["country"] = json!("DEU"),
        |s| s["privacy_policy"] = json!("http://agency.example/privacy"),
        |s| s["privacy_policy"] = json!("https://user@agency.example"),
        |s| s["privacy_policy"] = json!("https://agency.example/ privacy"),
        |s| s["privacy_policy"] = json!("javascript:alert(1)"),
        |s| s["privacy_policy"] = json!(format!("https://agency.example/{}", "a".repeat(2_048))),
        |s| s["registry_uri"] = json!("ftp://register.example"),
        |s| s["support_uri"] = json!("data@agency.example"),
        |s| s["support_uri"] = json!("mailto:"),
        |s| s["support_uri"] = json!("mailto:data@agency.example?bcc=all@agency.example"),
        |s| s["supervisory_authority"] = json!({"name": "A"}),
        |s| s["supervisory_authority"]["email"] = json!("post"),
        |s| s["supervisory_authority"]["email"] = json!("a@b@c"),
        |s| s["supervisory_authority"]["uri"] = json!("dpa.example"),
        |s| s["intended_uses"][0]["purpose"] = json!({"de": "Zweck"}),
        |s| s["intended_uses"][0]["purpose"]["d e"] = json!("Zweck"),
        |s| s["intended_uses"][0]["purpose"]["en"] = json!("a".repeat(1_001)),
        |s| s["intended_uses"][0]["legal_basis"] = json!({}),
    ]);
    // Persian is written with a zero-width non-joiner.
    let mut persian = subject();
    persian["name"] = json!("خانه\u{200c}ها");
    verify(&registered(&persian)).unwrap();
}

#[test]
fn what_a_program_reads_is_held_to_its_form() {
    all_refused(&[
        |s| s["id"] = json!("https://agency.example"),
        |s| s["intended_uses"] = json!([]),
        |s| s["intended_uses"] = json!(vec![s["intended_uses"][0].clone(); 2]),
        |s| s["intended_uses"][0]["id"] = json!("job right"),
        |s| s["intended_uses"][0]["retention_days"] = json!(-1),
        |s| s["intended_uses"][0]["retention_days"] = json!(1.5),
        |s| s["intended_uses"][0]["retention_days"] = json!("365"),
        |s| s["intended_uses"][0]["retention_days"] = json!(36_526),
        |s| s["intended_uses"][0]["credentials"] = json!([]),
        |s| s["intended_uses"][0]["credentials"][0]["meta"] = json!({}),
        |s| s["intended_uses"][0]["credentials"][0]["meta"]["vct_values"] = json!(["urn:a"]),
        |s| s["intended_uses"][0]["credentials"][0]["meta"]["type_values"] = json!([[]]),
        |s| s["intended_uses"][0]["credentials"][0]["meta"]["type_values"] = json!([["VerifiableCredential"]]),
        |s| s["intended_uses"][0]["credentials"][0]["claims"][0]["path"] = json!([]),
        |s| s["intended_uses"][0]["credentials"][0]["claims"][0]["path"] = json!("rightToWork"),
        |s| s["intended_uses"][0]["credentials"][0]["claims"][0]["carnet_at_least"] = json!("2027-01-01"),
        |s| s["intended_uses"][0]["credentials"][0]["claims"][1]["at_least"] = json!(true),
        |s| s["intended_uses"][0]["credentials"][0]["claims"][1]["at_least"] = json!(["today-"]),
        |s| s["intended_uses"][0]["credentials"][0]["claims"][1]["at_least"] = json!(["soon"]),
        |s| s["intended_uses"][0]["credentials"][0]["claims"][1]["at_least"] = json!([-1]),
        |s| s["intended_uses"][0]["credentials"][0]["claims"][1]["at_least"] = json!(vec!["today"; 17]),
        |s| s["intended_uses"][0]["credentials"][0]["claims"] = json!(vec![json!({"path": ["a"]}); 65]),
    ]);
}

#[test]
fn a_request_out_of_bounds_is_not_even_signed() {
    let make = |relying_party: &RelyingParty| RegistrationRequest::sign(relying_party, &asker_kid(), &asker(), now());
    make(&relying_party()).unwrap();
    refused(make(&RelyingParty { country: "Germany".to_owned(), ..relying_party() }), Code::RegistrationInvalid);
    refused(make(&RelyingParty { intended_uses: Vec::new(), ..relying_party() }), Code::RegistrationInvalid);
    // And one that somebody signed nevertheless is no request.
    let signed =
        |subject: &Value| verify_request(&REQUEST.sign(subject, (now(), None), &asker_kid(), &asker()).unwrap());
    signed(&subject()).unwrap();
    let mut faulty = subject();
    faulty["country"] = json!("Germany");
    refused(signed(&faulty), Code::RegistrationInvalid);
}

#[test]
fn a_registration_ends_within_twelve_months() {
    let request = verify_request(&request()).unwrap();
    let issue = |until| Registration::issue(&request, &did_key(&registrar()), &registrar(), now(), until);
    issue(day(366)).unwrap();
    refused(issue(day(367)), Code::RegistrationInvalid);
    refused(issue(day(-1)), Code::ValidityReversed);
    // And if a registrar signs one nevertheless.
    let sign = |until: Option<Timestamp>| {
        REGISTRATION.sign(&relying_party(), (now(), until), &did_key(&registrar()), &registrar()).unwrap()
    };
    verify(&sign(Some(day(366)))).unwrap();
    refused(verify(&sign(Some(day(367)))), Code::RegistrationInvalid);
    refused(verify(&sign(None)), Code::RegistrationInvalid);
}
