//! Entitlements: vouchers with serials, and those of the first version.

use super::*;

#[test]
fn an_entitlement_names_nobody_and_is_counted_by_what_its_request_asks_for() {
    let catalogue = catalogue();
    let known = catalogue.credential_type("EntitlementCredential").unwrap();
    let claims: BTreeSet<String> = known.example_claims().keys().cloned().collect();
    assert_eq!(claims, ["serials", "redeemer", "service", "uses"].map(str::to_owned).into());
    assert_eq!(known.generated_claims, ["serials"]);
    let redeem = catalogue.template("museum-visit").unwrap().redemption.as_ref().unwrap();
    let counted = redeem.counted_claims.as_ref().unwrap();
    let paths = [redeem.serials.as_ref().unwrap(), &redeem.redeemer, &counted.id, &counted.uses];
    let wanted = ["serials[]", "redeemer", "entitlementId", "uses"].map(|name| format!("credentialSubject.{name}"));
    assert_eq!(paths.map(|path| path_to_text(path)), wanted);
    let redeems = catalogue.templates().filter(|template| template.redemption.is_some());
    assert_eq!(redeems.map(|template| template.id.as_str()).collect::<Vec<_>>(), ["museum-visit", "voucher-payment"]);
}

/// A voucher as it was issued before there were serials.
fn former_voucher(known: &CredentialType) -> Map<String, Value> {
    let mut document = example(known);
    document["@context"] = json!([CONTEXT_V2, known.former_versions[0].context_url]);
    let subject = document["credentialSubject"].as_object_mut().unwrap();
    subject.remove("serials");
    subject.insert("entitlementId".to_owned(), json!("q3Jm0dJ8Qn0Vb1xkT5yUO2sGf7LrWcZe9hPiNaXtMuE"));
    subject.insert("uses".to_owned(), json!(1_000));
    document
}

#[test]
fn vouchers_of_the_first_version_hold_and_are_issued_no_more() {
    let catalogue = catalogue();
    let known = catalogue.credential_type("EntitlementCredential").unwrap();
    let former = former_voucher(known);
    catalogue.check_schema(&known.name, &former).unwrap();
    let mut claims = former["credentialSubject"].as_object().unwrap().clone();
    claims.remove("id");
    let mut flat = claims.clone();
    flat.insert("vct".to_owned(), json!("urn:carnet:type:entitlement:1"));
    assert_eq!(catalogue.type_name(&[], Some("urn:carnet:type:entitlement:1")).unwrap(), known.name);
    catalogue.check_schema(&known.name, &flat).unwrap();
    assert!(known.is_former_version(&claims) && !known.is_former_version(&known.example_claims()));
    assert_eq!(known.validate_claims(&claims).unwrap_err().code, Code::SchemaViolation);
    assert!(known.claim_errors(&claims).iter().any(|fault| fault.path == "entitlementId"));
    let contexts: Vec<&str> = known.contexts().map(|(url, ..)| url).collect();
    assert_eq!(contexts, ["v2", "v1"].map(|version| format!("https://carnet.example/ns/entitlement/{version}")));
}

#[test]
fn a_voucher_has_as_many_serials_as_uses_and_no_more_than_there_is_room_for() {
    let catalogue = catalogue();
    let known = catalogue.credential_type("EntitlementCredential").unwrap();
    let claims = |uses: u32, serials: usize| {
        let mut claims = known.example_claims();
        let serials: Vec<String> = (0..serials).map(|number| format!("{number:022}")).collect();
        claims.insert("uses".to_owned(), uses.into());
        claims.insert("serials".to_owned(), serials.into());
        claims
    };
    for (uses, serials, fits) in [(1, 1, true), (32, 32, true), (3, 2, false), (3, 4, false), (33, 33, false)] {
        assert_eq!(known.validate_claims(&claims(uses, serials)).is_ok(), fits, "{uses} {serials}");
    }
    let faults = known.claim_errors(&claims(33, 1));
    assert!(faults.iter().any(|fault| fault.path == "uses" && fault.expected.contains("several offers")), "{faults:?}");
    assert!(known.can_be_issued_as(CredentialFormat::VcSdJwt) && !known.can_be_issued_as(CredentialFormat::LdpVc));
}

#[test]
fn a_purse_names_nobody_and_is_spent_by_the_unit() {
    let catalogue = catalogue();
    let known = catalogue.credential_type("VoucherCredential").unwrap();
    let claims: BTreeSet<String> = known.example_claims().keys().cloned().collect();
    let expected = ["serials", "programme", "purse", "redeemer", "uses", "unitValue", "currency"];
    assert_eq!(claims, expected.map(str::to_owned).into());
    assert_eq!(known.generated_claims, ["serials"]);
    let serials = known.serials.as_ref().unwrap();
    assert_eq!((serials.service.as_str(), serials.digests), ("purse", 32), "totals are kept by purse");
    let redeem = catalogue.template("voucher-payment").unwrap().redemption.as_ref().unwrap();
    assert!(redeem.counted_claims.is_none());
    let paths = [redeem.serials.as_ref(), Some(&redeem.redeemer), redeem.service.as_ref()];
    let wanted = ["serials[]", "redeemer", "purse"].map(|name| format!("credentialSubject.{name}"));
    assert_eq!(paths.map(|path| path_to_text(path.unwrap())), wanted);
    assert!(known.can_be_issued_as(CredentialFormat::VcSdJwt) && !known.can_be_issued_as(CredentialFormat::LdpVc));
}
