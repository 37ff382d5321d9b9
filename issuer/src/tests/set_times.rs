//! Acts that are not urgent: published together, at publication times; and their effect on marked copies.

use carnet_core::status::freshness;
use carnet_proto::issuer::v1 as proto;

use super::{
    harness::{Running, holder_keys, offer_request, reason, start},
    refilling::refilled,
    renewing::two_renewed,
    status::{REINSTATE, REVOKE, SUSPEND, change},
};
use crate::store::{
    PageSlice, Store as _,
    status::{StatusRows as _, StatusState},
};

fn calmly(verb: proto::StatusVerb, ids: &[&str]) -> proto::ChangeStatusRequest {
    proto::ChangeStatusRequest { urgency: proto::StatusUrgency::NotUrgent.into(), ..change(verb, ids) }
}

async fn published(issuer: &Running, copies: &[&String]) -> Vec<StatusState> {
    issuer.issuer.publish().await.unwrap();
    let mut states = Vec::new();
    for copy in copies {
        states.push(issuer.published(copy).await);
    }
    states
}

/// The clock of these tests starts at a publication time, 12:00; the next one is at 18:00.
#[tokio::test]
async fn what_is_not_urgent_is_published_at_the_next_set_time_with_all_else() {
    let issuer = start().await;
    let mut offers = Vec::new();
    for _ in 0..3 {
        offers.push(issuer.issue(proto::CredentialFormat::VcSdJwt, 1).await);
    }
    let copies: Vec<&String> = offers.iter().map(|(_, copies)| &copies[0]).collect();
    use StatusState::{Revoked, Suspended, Valid};
    let six = issuer.now() + 21_600;
    let done = issuer.change(calmly(REVOKE, &[&offers[0].0])).await.unwrap();
    assert_eq!((done.published, done.published_at.map(|at| at.seconds)), (false, Some(six)));
    issuer.pass(10_000);
    issuer.change(calmly(SUSPEND, &[&offers[1].0])).await.unwrap();
    // The store has the new state, and the holder and staff can read it.
    assert_eq!(issuer.states(&offers[0].0).await, [proto::CredentialStatus::Revoked]);
    let told = issuer.freshness(vec![freshness::copy_handle(copies[0]).to_vec()]).await.unwrap();
    assert_eq!(told[0].state(), proto::CopyState::Revoked);
    assert_eq!(published(&issuer, &copies).await, [Valid, Valid, Valid]);
    // Neither an urgent act on another copy nor a restart publishes it early.
    assert!(issuer.change(change(SUSPEND, &[&offers[2].0])).await.unwrap().published);
    assert_eq!(published(&issuer, &copies).await, [Valid, Valid, Suspended]);
    let issuer = issuer.restarted().await;
    assert_eq!(published(&issuer, &copies).await, [Valid, Valid, Suspended]);
    issuer.pass(six - issuer.now() - 1);
    assert_eq!(published(&issuer, &copies).await, [Valid, Valid, Suspended]);
    issuer.pass(1);
    assert_eq!(published(&issuer, &copies).await, [Revoked, Suspended, Suspended]);
    assert_eq!(published(&issuer.restarted().await, &copies).await, [Revoked, Suspended, Suspended]);
}

/// A number that is given to nothing would stand in the record as if somebody had done something.
#[tokio::test]
async fn an_act_that_changes_nothing_is_not_written_down_and_says_since_when_it_is_so() {
    let issuer = start().await;
    let (offer, _) = issuer.issue(proto::CredentialFormat::VcSdJwt, 2).await;
    let six = issuer.now() + 21_600;
    let seconds = |at: Option<prost_types::Timestamp>| at.map(|at| at.seconds);
    let nothing = issuer.change(change(REINSTATE, &[&offer])).await.unwrap();
    assert_eq!((nothing.act, nothing.changed, nothing.unchanged_since), (0, 0, None));
    let suspended_at = issuer.now();
    let suspended = issuer.change(change(SUSPEND, &[&offer])).await.unwrap();
    assert_eq!((suspended.act, suspended.unchanged_since), (1, None), "the twin");
    issuer.pass(60);
    let again = issuer.change(change(SUSPEND, &[&offer])).await.unwrap();
    assert_eq!((again.act, seconds(again.unchanged_since), again.published), (0, Some(suspended_at), true));
    // The act and the status say that the lists wait.
    let back = issuer.change(calmly(REINSTATE, &[&offer])).await.unwrap();
    assert_eq!((back.act, seconds(back.published_at)), (2, Some(six)));
    issuer.pass(60);
    let again = issuer.change(change(REINSTATE, &[&offer])).await.unwrap();
    assert_eq!((again.act, seconds(again.unchanged_since)), (0, Some(suspended_at + 60)));
    assert_eq!((seconds(again.published_at), again.published), (Some(six), false));
    let read = || async {
        let request = proto::ReadStatusRequest { id: offer.clone() };
        let copies = issuer.statuses().read_status(request).await.unwrap().into_inner().copies;
        copies.into_iter().map(|copy| seconds(copy.listed_from)).collect::<Vec<_>>()
    };
    assert_eq!(read().await, [Some(six), Some(six)]);
    issuer.pass(21_600);
    issuer.issuer.publish().await.unwrap();
    assert_eq!(read().await, [None, None]);
    let again = issuer.change(change(REINSTATE, &[&offer])).await.unwrap();
    assert_eq!((again.act, again.published_at, again.published), (0, None, true));
    let mut tx = issuer.issuer.store.read().await.unwrap();
    assert_eq!(tx.status_acts("", PageSlice { before: i64::MAX, limit: 9 }).await.unwrap().len(), 2);
}

#[tokio::test]
async fn an_urgent_act_ends_the_wait_of_its_own_copies_alone() {
    let issuer = start().await;
    let (one, first) = issuer.issue(proto::CredentialFormat::VcSdJwt, 1).await;
    let (two, second) = issuer.issue(proto::CredentialFormat::DcSdJwt, 1).await;
    let copies = [&first[0], &second[0]];
    issuer.change(calmly(SUSPEND, &[&one])).await.unwrap();
    issuer.change(calmly(SUSPEND, &[&two])).await.unwrap();
    issuer.change(change(REVOKE, &[&one])).await.unwrap();
    assert_eq!(published(&issuer, &copies).await, [StatusState::Revoked, StatusState::Valid]);
    // A change undone before its publication is never visible.
    issuer.change(calmly(REINSTATE, &[&two])).await.unwrap();
    issuer.pass(21_600);
    assert_eq!(published(&issuer, &copies).await, [StatusState::Revoked, StatusState::Valid]);
}

#[tokio::test]
async fn where_staff_do_not_say_taking_back_is_urgent_and_giving_back_is_not() {
    let issuer = start().await;
    let (offer, copies) = issuer.issue(proto::CredentialFormat::VcSdJwt, 1).await;
    let unsaid = |verb| proto::ChangeStatusRequest { urgency: 0, ..change(verb, &[&offer]) };
    assert!(issuer.change(unsaid(SUSPEND)).await.unwrap().published);
    assert!(!issuer.change(unsaid(REINSTATE)).await.unwrap().published);
    assert_eq!(published(&issuer, &[&copies[0]]).await, [StatusState::Suspended]);
    assert!(issuer.change(unsaid(REVOKE)).await.unwrap().published);
    assert_eq!(published(&issuer, &[&copies[0]]).await, [StatusState::Revoked]);
    // The same request_id with another urgency is a different request.
    let (another, _) = issuer.issue(proto::CredentialFormat::VcSdJwt, 1).await;
    let first = calmly(REVOKE, &[&another]);
    issuer.change(first.clone()).await.unwrap();
    let other = proto::ChangeStatusRequest { urgency: proto::StatusUrgency::Urgent.into(), ..first };
    assert_eq!(reason(issuer.change(other).await), "REQUEST_ID_REUSED");
}

/// The marked copy and its siblings changed together in public; copies shown from now on have other indices.
#[tokio::test]
async fn after_a_reinstatement_new_copies_are_had_at_once_and_beyond_the_limit() {
    let issuer = start().await;
    let offer = issuer.create(offer_request("a")).await;
    let keys = holder_keys(1);
    let copy = issuer.receive(&offer, &keys).await.unwrap().credentials.remove(0).credential;
    let told = async |copies: &[String]| {
        let handles = copies.iter().map(|copy| freshness::copy_handle(copy).to_vec()).collect();
        let said = issuer.freshness(handles).await.unwrap();
        said.iter().map(|said| (said.state(), said.replace)).collect::<Vec<_>>()
    };
    let valid = proto::CopyState::Valid;
    assert_eq!(told(std::slice::from_ref(&copy)).await, [(valid, false)]);
    // The limit here is 12 per day.
    refilled(&issuer, &copy, &keys[0], 10).await.unwrap();
    assert_eq!(refilled(&issuer, &copy, &keys[0], 10).await.unwrap_err(), "REFILL_LIMIT");
    issuer.pass(60);
    issuer.change(change(SUSPEND, &[&offer.id])).await.unwrap();
    assert_eq!(told(std::slice::from_ref(&copy)).await, [(proto::CopyState::Suspended, false)]);
    issuer.change(calmly(REINSTATE, &[&offer.id])).await.unwrap();
    assert_eq!(told(std::slice::from_ref(&copy)).await, [(valid, true)]);
    issuer.pass(1);
    let fresh = refilled(&issuer, &copy, &keys[0], 10).await.unwrap();
    assert!(told(&fresh).await.iter().all(|said| *said == (valid, false)));
    // They are valid in public while the list still shows the old one as suspended.
    assert_eq!(published(&issuer, &[&copy, &fresh[0]]).await, [StatusState::Suspended, StatusState::Valid]);
    // Only once: then the limit applies again.
    assert_eq!(refilled(&issuer, &copy, &keys[0], 10).await.unwrap_err(), "REFILL_LIMIT");
}

#[tokio::test]
async fn an_act_on_a_copy_that_ended_is_in_no_list() {
    use StatusState::{Revoked, Suspended, Valid};
    for (verb, listed) in [(SUSPEND, Suspended), (REVOKE, Revoked)] {
        for act in [change, calmly] {
            let issuer = start().await;
            let [one, other] = two_renewed(&issuer).await;
            // The twin: while both copies hold, both are marked.
            issuer.change(change(SUSPEND, &[&other.offer])).await.unwrap();
            assert_eq!(published(&issuer, &[&other.before, &other.after]).await, [Suspended, Suspended]);
            issuer.pass(one.end + 61 - issuer.now());
            issuer.change(act(verb, &[&one.offer])).await.unwrap();
            // An entry that was marked before the end stays as it is: it does not change with the others once more.
            issuer.change(act(REINSTATE, &[&other.offer])).await.unwrap();
            issuer.pass(86_400);
            let all = [&one.before, &one.after, &other.before, &other.after];
            assert_eq!(published(&issuer, &all).await, [Valid, listed, Suspended, Valid]);
            // Read again, the store says the same; and to staff it says the state of each copy.
            let issuer = issuer.restarted().await;
            assert_eq!(published(&issuer, &all).await, [Valid, listed, Suspended, Valid]);
            let states = issuer.states(&one.offer).await;
            assert_eq!((states.len(), states[0]), (2, states[1]));
            if verb == SUSPEND {
                // Nor does it change while the reinstatement of the others waits.
                issuer.change(calmly(REINSTATE, &[&one.offer])).await.unwrap();
                assert_eq!(published(&issuer, &all).await, [Valid, Suspended, Suspended, Valid]);
                issuer.pass(86_400);
                assert_eq!(published(&issuer, &all).await, [Valid, Valid, Suspended, Valid]);
            }
        }
    }
}
