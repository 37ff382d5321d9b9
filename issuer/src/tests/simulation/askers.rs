//! How sure the askers can be that one person made two showings.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use carnet_core::{status::freshness, time::Timestamp};

use super::world::{Copy, OFFLINE, Person, Showing, World};

/// Seconds of an hour.
const HOUR: i64 = 3_600;
/// Two showings count as linked where the askers are more than so many times surer than by days and kind of the document alone,
const SURER: usize = 4;
/// which are to leave so many people to choose from.
const COHORT: usize = 20;

/// What the askers see: what is there, or what would be there without one of the measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sees {
    WhatIsThere,
    /// The days of a copy as the registrar typed them, and as the renewal was asked for.
    ExactDays,
    /// After a suspension the wallet goes on showing the copies that it had.
    CopiesOfBeforeAnAct,
    /// Statements are stapled to each showing and say the hour of the refresh.
    HourOfTheRefresh,
    /// The statement of the refresh's own epoch is stapled where one is asked for.
    EpochOfTheRefresh,
    /// The cohort: what the document says in every copy.
    Cohort,
}

impl Sees {
    fn look(self, copy: &Copy) -> &str {
        if self == Self::ExactDays { &copy.exact_look } else { &copy.look }
    }
}

/// Numbers of pairs of showings of one person, and of those that the askers link.
#[derive(Debug, Default)]
pub(super) struct Links {
    pub(super) pairs: usize,
    pub(super) linked: usize,
    /// Pairs of people of whom there are few with such days.
    pub(super) in_small_cohorts: usize,
    /// Linked pairs of which both were shown before their holder was suspended or revoked.
    pub(super) both_before_an_act: usize,
    /// Other linked pairs, at least one of them with a statement.
    pub(super) with_a_statement: usize,
    /// Pairs with such an act between them.
    pub(super) around_an_act: usize,
    /// Pairs with a renewal between them.
    pub(super) around_a_renewal: usize,
    /// For each pair, how many people the askers have to choose from.
    sets: Vec<usize>,
}

impl fmt::Display for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |part: usize| self.sets.get(self.sets.len().saturating_mul(part) / 100).copied().unwrap_or_default();
        write!(
            f,
            "{} pairs, {} in small cohorts, {} around an act, {} around a renewal; {} linked, {} of them before an act and {} with a statement; one of: {} at least, {} (1%), {} (10%), {} (half)",
            self.pairs,
            self.in_small_cohorts,
            self.around_an_act,
            self.around_a_renewal,
            self.linked,
            self.both_before_an_act,
            self.with_a_statement,
            at(0),
            at(1),
            at(10),
            at(50),
        )
    }
}

/// Everybody's copies by what they look like: whom a copy may belong to.
type Holders<'w> = BTreeMap<&'w str, Vec<(usize, &'w Person, &'w Copy)>>;

/// Who could have made a showing: by all that is seen of it, and by the cohort alone.
type Makers = [BTreeSet<usize>; 2];

/// All that the askers have.
pub(super) struct Knowledge<'w> {
    world: &'w World,
}

impl<'w> Knowledge<'w> {
    pub(super) fn of(world: &'w World) -> Self {
        Self { world }
    }

    /// Counts the pairs of showings of one person, at two askers, and those that are linked.
    pub(super) fn links(&self, sees: Sees) -> Links {
        let mut by_person: BTreeMap<usize, Vec<(&Showing, Makers)>> = BTreeMap::new();
        let (holders, cohorts) = (self.holders(sees), self.holders(Sees::Cohort));
        for showing in &self.world.showings {
            let sets = [self.makers(showing, sees, &holders), self.makers(showing, Sees::Cohort, &cohorts)];
            assert!(sets.iter().all(|set| set.contains(&showing.person)), "whoever showed it could have shown it");
            by_person.entry(showing.person).or_default().push((showing, sets));
        }
        let mut links = Links::default();
        for (person, showings) in by_person {
            let acts = &self.world.people[person].acts;
            for (at, (second, sets)) in showings.iter().enumerate() {
                for (first, sets_before) in showings[..at].iter().filter(|(first, _)| first.asker != second.asker) {
                    let [one_in, in_cohort] = [0, 1].map(|at| one_in(&sets_before[at], &sets[at]));
                    let is_linked = one_in * SURER < in_cohort && in_cohort >= COHORT;
                    let looks = [first, second].map(|showing| &self.world.people[person].copies[showing.copy].look);
                    links.pairs += 1;
                    links.in_small_cohorts += usize::from(in_cohort < COHORT);
                    links.sets.push(one_in);
                    links.around_an_act += usize::from(acts.iter().any(|act| (first.at..second.at).contains(act)));
                    links.around_a_renewal += usize::from(looks[0] != looks[1]);
                    links.linked += usize::from(is_linked);
                    let before = is_linked && acts.iter().any(|act| second.at < *act);
                    let vouched = is_linked && !before && first.vouched.or(second.vouched).is_some();
                    links.both_before_an_act += usize::from(before);
                    links.with_a_statement += usize::from(vouched);
                }
            }
        }
        links.sets.sort_unstable();
        links
    }

    fn holders(&self, sees: Sees) -> Holders<'w> {
        let mut holders = Holders::new();
        for (person, who) in self.world.people.iter().enumerate() {
            for copy in &who.copies {
                holders.entry(sees.look(copy)).or_default().push((person, who, copy));
            }
        }
        holders
    }

    /// Everybody who could have made a showing, by all that is seen of it.
    fn makers(&self, showing: &Showing, sees: Sees, holders: &Holders<'w>) -> BTreeSet<usize> {
        let (at, who) = (showing.at, &self.world.people[showing.person]);
        let copy = match sees {
            Sees::CopiesOfBeforeAnAct => who.copy_kept(showing.copy),
            _ => &who.copies[showing.copy],
        };
        let vouched = |who: &Person, copy: &Copy| match sees {
            Sees::HourOfTheRefresh => Some(who.refreshed(at).div_euclid(HOUR)),
            Sees::Cohort => None,
            // No statement is asked for.
            _ if !OFFLINE.contains(&showing.asker) => None,
            Sees::EpochOfTheRefresh => {
                let epoch = freshness::epoch(Timestamp::from_unix(who.refreshed(at))).unix();
                who.vouched(copy, at).map(|_| epoch)
            }
            _ => who.vouched(copy, at),
        };
        let seen = vouched(who, copy);
        if sees == Sees::WhatIsThere {
            assert_eq!(seen, showing.vouched, "the statement is the one that this wallet staples");
        }
        let is_held = |other: &Copy| {
            let dropped = other.dropped.filter(|_| sees != Sees::CopiesOfBeforeAnAct);
            other.from <= at && at < other.until && dropped.is_none_or(|dropped| at <= dropped)
        };
        let same_changes = |other: &Copy| sees == Sees::Cohort || self.changes(other) == self.changes(copy);
        let of_one_look = holders.get(sees.look(copy)).map_or(&[][..], Vec::as_slice);
        let could = of_one_look
            .iter()
            .filter(|(_, other, held)| is_held(held) && same_changes(held) && vouched(other, held) == seen);
        could.map(|(person, ..)| *person).collect()
    }

    /// Changes of a copy's place in the published lists.
    fn changes(&self, copy: &Copy) -> &'w [(i64, u8)] {
        self.world.lists.get(&copy.place).map_or(&[], Vec::as_slice)
    }
}

/// How many people the askers have to choose from: each of those who could have made a showing is as likely as the other, and whoever
/// made both is in both sets.
fn one_in(first: &BTreeSet<usize>, second: &BTreeSet<usize>) -> usize {
    (first.len() * second.len()).div_ceil(first.intersection(second).count())
}
