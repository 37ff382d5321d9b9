//! Half a year of an authority, or a whole one, and four askers who put together all that they are shown and every list that is
//! published.
//!
//! 40 permits a month, or 200, with renewals, suspensions and refills, by the issuer as it runs. The askers know whatever the copies
//! that they were shown have in common: days, kind and issuer of the document. They keep each day's status lists, and the statements
//! that were stapled. What they cannot know is who is behind a copy; this test does, and asks how sure they can be.
#![allow(clippy::print_stdout, clippy::arithmetic_side_effects)]

mod askers;
mod world;

use askers::{Knowledge, Sees};
use world::{World, Year};

/// The year that is lived: `CARNET_PERMITS` says how many permits there are in each month of a whole one.
fn year() -> Year {
    let permits = std::env::var("CARNET_PERMITS").ok().map(|text| text.parse().unwrap());
    match permits {
        Some(permits) => Year { months: 12, permits, days: &[90, 180, 365, 730] },
        None => Year { months: 6, permits: 40, days: &[90] },
    }
}

#[tokio::test]
async fn four_askers_link_no_two_showings_of_one_person_beyond_cohort_and_disclosed_claims() {
    let year = year();
    let world = World::lived(&year).await;
    let knowledge = Knowledge::of(&world);
    let links = knowledge.links(Sees::WhatIsThere);
    println!("{} people, {} showings\n{links}", world.people.len(), world.showings.len());
    assert!(links.pairs > year.permits * 10 && links.around_an_act >= 5 && links.around_a_renewal > 5, "{links}");
    // What remains (SECURITY.md): copies that were shown before an act change together when it is published.
    assert_eq!(links.with_a_statement, 0, "{links}");
    assert_eq!(links.linked, links.both_before_an_act, "{links}");
    println!("by the cohorts alone: {}", knowledge.links(Sees::Cohort));
    // Without any one of the measures they do link.
    for without in [Sees::ExactDays, Sees::CopiesOfBeforeAnAct, Sees::HourOfTheRefresh, Sees::EpochOfTheRefresh] {
        let more = knowledge.links(without);
        println!("{without:?}: {more}");
        assert!(more.linked > links.linked + 2, "{without:?}: {more}");
    }
}
