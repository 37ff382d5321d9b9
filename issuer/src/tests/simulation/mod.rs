//! Half a year of an authority, or a whole one, and four askers who put together all that they are shown and every list
//! that is published.
//!
//! 40 permits a month, or 200, with renewals, suspensions and refills, by the issuer as it runs. The askers know all
//! that the copies that they were shown have in common: days, kind and issuer of the document. They keep each
//! publication of the status lists, and the statements that were stapled. They cannot know the person behind a copy;
//! this test does, and computes their odds.
#![allow(clippy::print_stdout, clippy::arithmetic_side_effects)]

mod askers;
mod people;
mod world;

use askers::{Knowledge, Pair, Sees};
use world::{World, Year};

const DAY: i64 = 86_400;

/// The simulated time. `CARNET_PERMITS` makes it a whole year with so many permits a month.
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
    let links = knowledge.links(Sees::WithEveryMeasure);
    println!("{} people, {} showings\n{links}", world.people.len(), world.showings.len());
    assert!(links.pairs() > year.permits * 10, "{links}");
    for kind in [Pair::AroundAnAct, Pair::AroundARenewal, Pair::MarkedTogether] {
        assert!(links.of(kind) >= 5, "{kind:?}: {links}");
    }
    // The lists alone link, and only what an act marked together (SECURITY.md).
    assert_eq!(links.without_an_act(), 0, "{links}");
    let unlisted = knowledge.links(Sees::NoLists);
    println!("NoLists: {unlisted}");
    assert_eq!(unlisted.linked(), 0, "{unlisted}");
    for known in [Sees::Cohort, Sees::ActsOfTheMonth] {
        println!("{known:?}: {}", knowledge.links(known));
    }
    // Without any one of the measures they do link.
    for without in [
        Sees::ExactDays,
        Sees::CopiesOfBeforeAnAct,
        Sees::HourOfTheRefresh,
        Sees::EpochOfTheRefresh,
        Sees::StatementsOfRefreshesAlone,
    ] {
        let more = knowledge.links(without);
        println!("{without:?}: {more}");
        assert!(more.without_an_act() > 2, "{without:?}: {more}");
    }
}
