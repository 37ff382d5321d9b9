//! Several credentials in one answer, over the wire: the holder rule, and no credential twice.

use std::collections::HashMap;

use carnet_core::secure::sd_jwt::SdJwt;
use carnet_proto::verifier::v1::{
    CreateRequestRequest, HolderRule, PresentationList, SubmitPresentationRequest, SubmitPresentationResponse,
    VerifyPresentationRequest,
};
use carnet_service::{time::now, wire};
use serde_json::{Value, json};

use super::world::{Asked, World, custom, did, key, path, query, reason};

/// Builds a permit for this name and document number, bound to a request.
fn permit(world: &World, asked: &Asked, name: &str, number: &str) -> String {
    permit_for(world, &asked.nonce, &asked.audience, name, number)
}

fn permit_for(world: &World, nonce: &str, audience: &str, name: &str, number: &str) -> String {
    let holder = key();
    let mut document = world.document();
    document["credentialSubject"]["id"] = did(&holder).into();
    document["credentialSubject"]["familyName"] = name.into();
    document["credentialSubject"]["documentNumber"] = number.into();
    let copy: SdJwt = world.issue_to(&document, &holder);
    let names = ["familyName", "documentNumber"].map(|name| path(&["credentialSubject", name]));
    copy.select_claims(&names).unwrap().bind_key(nonce, audience, now(), &holder).unwrap()
}

/// Builds a query for two permits.
fn two(rule: &Value) -> Value {
    let mut asked = query("vc+sd-jwt", &["familyName", "documentNumber"]);
    let mut second = asked["credentials"][0].clone();
    second["id"] = json!("second");
    asked["credentials"].as_array_mut().unwrap().push(second);
    if !rule.is_null() {
        asked["carnet_holder"] = rule.clone();
    }
    asked
}

fn several(distinct: bool) -> Value {
    let mut asked = query("vc+sd-jwt", &["familyName", "documentNumber"]);
    asked["carnet_holder"] = json!("any");
    asked["credentials"][0]["multiple"] = json!(true);
    if distinct {
        asked["credentials"][0]["carnet_distinct"] = json!([["credentialSubject", "documentNumber"]]);
    }
    asked
}

async fn submit(world: &World, asked: &Asked, answer: &[(&str, &[String])]) -> SubmitPresentationResponse {
    let list = |texts: &[String]| PresentationList { presentations: texts.to_vec() };
    let vp_token: HashMap<String, PresentationList> =
        answer.iter().map(|(id, texts)| ((*id).to_owned(), list(texts))).collect();
    let message = SubmitPresentationRequest { id: asked.id.clone(), vp_token };
    world.wallet().submit_presentation(message).await.unwrap().into_inner()
}

#[tokio::test]
async fn row_97_a_request_says_whose_the_credentials_are_and_so_does_the_verdict() {
    let world = World::new().await;
    let create = |query: &Value| CreateRequestRequest { what: Some(custom(query)), ..Default::default() };
    assert_eq!(reason(world.staff().create_request(create(&two(&Value::Null))).await), "HOLDER_MISSING");
    assert_eq!(reason(world.staff().create_request(create(&two(&json!("all")))).await), "QUERY_MALFORMED");
    let rule = json!({"claims": [["familyName"]]});
    for (name, accepted) in [("HADDAD", true), ("Okonkwo", false)] {
        let asked = world.request_for(&two(&rule)).await;
        assert_eq!(asked.payload["dcql_query"]["carnet_holder"], rule);
        let first = permit(&world, &asked, "Haddad", "YZ1234567");
        let second = permit(&world, &asked, name, "YZ7654321");
        let said = submit(&world, &asked, &[("permit", &[first]), ("second", &[second])]).await;
        assert_eq!((said.accepted, said.reason.as_str()), (accepted, if accepted { "" } else { "holder_differs" }));
        let verdict = world.result(&asked.id).await.verdict.unwrap();
        let wanted = HolderRule { rule: "claims".to_owned(), claims: vec!["familyName".to_owned()] };
        assert_eq!(verdict.holder, Some(wanted));
    }
    let asked = world.request().await;
    World::accepted(world.submit(&asked, world.answer(&asked)).await);
    assert_eq!(world.result(&asked.id).await.verdict.unwrap().holder, None);
}

#[tokio::test]
async fn row_97_a_direct_verification_says_whose_the_credentials_are() {
    let world = World::new().await;
    let verify = |query: Value| {
        let list = |name: &str, number: &str| PresentationList {
            presentations: vec![permit_for(&world, "n", "a", name, number)],
        };
        let vp_token = HashMap::from([
            ("permit".to_owned(), list("Haddad", "YZ1234567")),
            ("second".to_owned(), list("Okonkwo", "YZ7654321")),
        ]);
        let dcql_query = Some(wire::to_struct(query.as_object().unwrap()));
        VerifyPresentationRequest { vp_token, dcql_query, nonce: "n".to_owned(), audience: "a".to_owned() }
    };
    assert_eq!(reason(world.staff().verify_presentation(verify(two(&Value::Null))).await), "HOLDER_MISSING");
    for (rule, refusal) in [("any", ""), ("key", "holder_differs")] {
        let answer = world.staff().verify_presentation(verify(two(&json!(rule)))).await.unwrap().into_inner();
        let verdict = answer.verdict.unwrap();
        assert_eq!((verdict.accepted, verdict.reason.as_str()), (refusal.is_empty(), refusal));
        assert_eq!(verdict.holder.unwrap().rule, rule);
    }
}

#[tokio::test]
async fn row_98_one_copy_does_not_count_twice() {
    let world = World::new().await;
    let create = CreateRequestRequest { what: Some(custom(&several(false))), ..Default::default() };
    assert_eq!(reason(world.staff().create_request(create).await), "DISTINCT_MISSING");
    let asked = world.request_for(&several(true)).await;
    let (first, second) = (permit(&world, &asked, "Haddad", "1"), permit(&world, &asked, "Haddad", "2"));
    let said = submit(&world, &asked, &[("permit", &[first.clone(), first.clone()])]).await;
    assert_eq!(said.reason, "credential_repeated");
    let again = permit(&world, &asked, "Haddad", "1");
    assert_eq!(submit(&world, &asked, &[("permit", &[first.clone(), again])]).await.reason, "credential_repeated");
    assert!(submit(&world, &asked, &[("permit", &[first, second])]).await.accepted);
    assert_eq!(world.result(&asked.id).await.verdict.unwrap().credentials.len(), 2);
}
