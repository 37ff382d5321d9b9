//! Lists that are too short, indices in other spellings, and unknown mechanisms.

use super::{sd_jwt::issued, status::*, *};
use crate::{
    secure::data_integrity::Cryptosuites,
    status::{BitOrder, ListValidity, MIN_ENTRIES, StatusList, StatusState, cwt, publication::ListFormat, token},
};

/// A token of so many entries of two bits, as a JWT and as a CWT, as it is read.
fn tokens(world: &World, entries: u64) -> [Result<VerifiedStatusList, Problem>; 2] {
    let list = StatusList::new(entries, 2, BitOrder::LeastSignificantFirst).unwrap();
    let freshness = ListValidity { issued_at: world.now, expires_at: Some(world.now.plus(DAY)), ttl: Some(300) };
    let (kid, uri) = (format!("{}#0", world.did()), url(ListFormat::Token));
    let published = token::TokenListParameters { kid, uri: uri.clone(), validity: freshness };
    let jwt = token::issue_token(&list, &published, &world.issuer).unwrap().into_bytes();
    let cwt = cwt::issue_cwt(&list, &published, &world.issuer).unwrap();
    let issuer = Did::parse(&world.did()).unwrap();
    [jwt, cwt].map(|text| {
        VerifiedStatusList::verify(
            &text,
            &uri,
            &issuer,
            (world.now, 60),
            (&SelfContainedResolver, &Cryptosuites::jcs()),
        )
    })
}

#[test]
fn row_89_a_token_with_too_few_entries() {
    let world = World::new();
    for listed in tokens(&world, MIN_ENTRIES) {
        assert_eq!(listed.unwrap().entries().entry_count(), MIN_ENTRIES);
    }
    for entries in [0, 1, 8, 100_000, MIN_ENTRIES - 4] {
        for listed in tokens(&world, entries) {
            assert_eq!(listed.unwrap_err().code, Code::StatusListLength, "{entries}");
        }
    }
}

#[test]
fn row_91_an_index_that_is_written_in_another_way() {
    let mut world = World::new();
    publish(&mut world, StatusState::Valid);
    for index in ["0", "1", "94567"] {
        accepted(present(&world, &copy_with(&world, entry(ListFormat::Revocation, index))));
    }
    for index in ["01", "00", "094567", "+1", "-0", "-1", " 1", "1 ", "1e0", "1E2", "1.0", "0x1", "1_0", "\u{661}", ""]
    {
        refused(present(&world, &copy_with(&world, entry(ListFormat::Revocation, index))), Code::StatusIndex);
    }
    // The other form of the other standard.
    for index in [json!(1), json!(0), json!(null), json!(["1"])] {
        let mut entry = entry(ListFormat::Revocation, "1");
        entry["statusListIndex"] = index;
        refused(present(&world, &copy_with(&world, entry)), Code::StatusIndex);
    }
    let copy = token_copy(&world, 1.into());
    accepted(present_token(&mut world, &copy));
    for index in [json!("1"), json!("01"), json!(1.5), json!(-1), json!(null), json!([1])] {
        let copy = token_copy(&world, index);
        refused(present_token(&mut world, &copy), Code::StatusIndex);
    }
    // A number counts by its value, in every spelling.
    for (index, holds) in
        [("1", true), ("0", true), ("1.0", true), ("1e0", true), ("-0", true), ("-1", false), ("1.5", false)]
    {
        let text = format!(r#"{{"status_list": {{"idx": {index}, "uri": "https://issuer.example/1"}}}}"#);
        let read = crate::json::parse(text.as_bytes(), crate::json::Limits::SMALL);
        let code = read.and_then(|status| token::TokenStatusReference::parse(&status)).map_err(|problem| problem.code);
        assert_eq!(code.is_ok(), holds, "{index} {code:?}");
    }
}

#[test]
fn row_90_a_mechanism_that_is_not_understood_beside_one_that_is() {
    let mut world = World::new();
    publish(&mut world, StatusState::Valid);
    let list = json!({"idx": MINE, "uri": url(ListFormat::Token)});
    let unknown = json!({"id": "21", "uri": "https://x.example/i"});
    let alone = json!({"status_list": list});
    let beside = json!({"status_list": list, "identifier_list": unknown});
    let token_with = |status: &Value| {
        let payload =
            object(json!({"iss": world.did(), "vct": "urn:permit", "exp": 1_798_761_600, "rightToWork": true,
            "permitType": "student", "status": status}));
        issued(&world, "dc+sd-jwt", &payload)
    };
    let (one, two) = (token_with(&alone), token_with(&beside));
    let empty = token_with(&json!({}));
    accepted(present_token(&mut world, &one));
    refused(present_token(&mut world, &two), Code::StatusUnsupported);
    refused(present_token(&mut world, &empty), Code::StatusUnsupported);
    // The same in a credential of VCDM 2.0.
    let vcdm_with = |status: &Value| {
        let mut document = world.document();
        document.insert("status".into(), status.clone());
        issued(&world, "vc+sd-jwt", &document)
    };
    accepted(present(&world, &vcdm_with(&alone)));
    refused(present(&world, &vcdm_with(&beside)), Code::StatusUnsupported);
    let listed = entry(ListFormat::Revocation, &MINE.to_string());
    accepted(present(&world, &copy_with(&world, json!([listed]))));
    for other in [json!({"type": "SomethingElse2029"}), json!({"type": ["BitstringStatusListEntry", "Other"]})] {
        refused(present(&world, &copy_with(&world, json!([listed, other]))), Code::StatusUnsupported);
        refused(present(&world, &copy_with(&world, json!([other, listed]))), Code::StatusUnsupported);
    }
}
