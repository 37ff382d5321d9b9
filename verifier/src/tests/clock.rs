//! Floor of the clock, and maximum age of statements: the safeguards of a desk without a network.

use carnet_core::{secure::sd_jwt::KeyBindingMembers, status::freshness};
use carnet_proto::verifier::v1::{CreateRequestRequest, create_request_request::What};
use carnet_service::time::now;

use super::world::{Asked, World, custom, did, query, reason};
use crate::clock::{lower_stored_floor, raise_stored_floor, stored_floor};

/// Builds an answer with the issuer's statement on the copy, from this many epochs ago.
fn vouched(world: &World, asked: &Asked, epochs_ago: i64) -> String {
    let shown = world.show(&["rightToWork", "legalResidence"]);
    let at = freshness::epoch_start(now().plus(epochs_ago.saturating_mul(-21_600)));
    let kid = format!("{}#0", did(&world.issuer));
    let word = freshness::issue_statement(&freshness::copy_digest(&shown), &kid, at, 604_800, &world.issuer).unwrap();
    let stapled = KeyBindingMembers { freshness_statement: Some(&word), ..KeyBindingMembers::default() };
    shown.bind_key_with_members(&stapled, &asked.nonce, &asked.audience, now(), &world.holder).unwrap()
}

#[tokio::test]
async fn a_clock_behind_what_an_issuer_has_signed_verifies_nothing_until_it_is_set() {
    let world = World::new().await;
    let clock = &world.verifier.verification.clock;
    let asked = world.request().await;
    // Within the accepted skew.
    clock.raise(now().plus(50));
    World::accepted(world.submit(&asked, world.answer(&asked)).await);
    clock.raise(now().plus(3_600));
    let asked = world.request().await;
    let behind = world.submit(&asked, world.answer(&asked)).await;
    assert!(behind.as_ref().unwrap_err().message().contains("set the clock"), "{behind:?}");
    assert_eq!(reason(behind), "CLOCK_BEHIND");
    let alone = world.verifier.verify_credential(b"x".to_vec(), now()).await;
    assert_eq!(reason(alone.map_err(tonic::Status::from)), "CLOCK_BEHIND");
    // No attempt was counted, and at the right time the answer is accepted.
    let vp_token = [(asked.query.credentials[0].id.clone(), vec![world.answer(&asked)])].into();
    let right = world.verifier.submit_presentation(&asked.id, vp_token, now().plus(3_600 - 50)).await;
    assert!(!matches!(right, Err(crate::error::Error::ClockBehind { .. })), "{right:?}");
}

#[tokio::test]
async fn the_floor_is_what_an_accepted_issuer_signed_last_and_is_kept() {
    let world = World::new().await;
    let floor = async || stored_floor(&world.verifier.store).await.unwrap();
    let asked = world.request().await;
    let other = Asked { nonce: "other".to_owned(), ..world.read(&asked.id).await.unwrap() };
    World::refused(world.submit(&asked, vouched(&world, &other, 0)).await, "challenge_mismatch");
    assert_eq!(floor().await.unix(), 0, "nothing of what is refused");
    World::accepted(world.submit(&asked, vouched(&world, &asked, 2)).await);
    let first = freshness::epoch_start(now().plus(-43_200));
    assert_eq!(floor().await, first);
    let asked = world.request().await;
    World::accepted(world.submit(&asked, vouched(&world, &asked, 0)).await);
    let second = freshness::epoch_start(now());
    assert!(floor().await == second && second > first);
    // No program lowers it; only the operator does.
    raise_stored_floor(&world.verifier.store, first).await.unwrap();
    assert_eq!(floor().await, second);
}

/// Otherwise an issuer with a fast clock could stop a desk for good.
#[tokio::test]
async fn an_issuer_that_is_ahead_raises_no_floor_and_the_operator_can_lower_one() {
    let world = World::new().await;
    let store = &world.verifier.store;
    let asked = world.request().await;
    World::refused(world.submit(&asked, vouched(&world, &asked, -2)).await, "status_list_stale");
    assert_eq!(stored_floor(store).await.unwrap().unix(), 0);
    // The desk's own clock was fast as well.
    let (high, right) = (now().plus(400 * 86_400), now());
    raise_stored_floor(store, high).await.unwrap();
    assert!(lower_stored_floor(store, right).await.unwrap());
    assert_eq!(stored_floor(store).await.unwrap(), right);
    // There is nothing to lower, and it rises as before.
    assert!(!lower_stored_floor(store, right).await.unwrap());
    assert!(!lower_stored_floor(store, high).await.unwrap());
    raise_stored_floor(store, right.plus(60)).await.unwrap();
    assert_eq!(stored_floor(store).await.unwrap(), right.plus(60));
}

#[tokio::test]
async fn a_request_says_how_old_a_statement_may_be_where_it_asks_for_any() {
    let world = World::new().await;
    let stated = |asked: &Asked| asked.payload["carnet"].get("freshness_seconds_max").and_then(|max| max.as_i64());
    assert_eq!(stated(&world.request().await), None);
    let template = What::Template("work-permit-today".to_owned());
    let of_template = world.ask(CreateRequestRequest { what: Some(template), ..Default::default() }).await;
    assert_eq!(stated(&of_template), Some(86_400));
    let own = |seconds: u32| {
        let What::Query(query) = custom(&query("vc+sd-jwt", &["rightToWork"])) else { panic!("no query") };
        let query = carnet_proto::verifier::v1::CustomQuery { freshness_seconds_max: seconds, ..query };
        CreateRequestRequest { what: Some(What::Query(query)), ..Default::default() }
    };
    assert_eq!(stated(&world.ask(own(0)).await), None);
    assert_eq!(stated(&world.ask(own(43_200)).await), Some(43_200));
    for wrong in [1, 43_199, 604_801] {
        assert_eq!(reason(world.staff().create_request(own(wrong)).await), "FRESHNESS_OUT_OF_RANGE", "{wrong}");
    }
}
