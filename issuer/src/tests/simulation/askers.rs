//! Odds of the askers that one person made two showings.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use carnet_core::{status::freshness, time::Timestamp};

use super::{
    DAY,
    people::{Copy, OFFLINE, Person, Showing},
    world::World,
};

/// Seconds of an hour.
const HOUR: i64 = 3_600;
/// Longest time until a wallet knows of an act on its holder: that between two refreshes.
const UNTIL_KNOWN: i64 = 16 * HOUR;
/// Two showings count as linked where the askers are more than so many times surer than with one of them, or both, seen
/// by days and kind of the document alone. A showing of which they see no more than that stays one of its cohort,
/// however much they know of the other.
const SURER: usize = 4;
/// Number of links of each kind that are told whole.
const TOLD: usize = 2;

/// Data of the askers: as the product gives it, or as it would be without one of the measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sees {
    WithEveryMeasure,
    /// The days of a copy are those that the registrar typed, and the renewal's is the day of renewal.
    ExactDays,
    /// After a suspension the wallet still shows the copies that it had.
    CopiesOfBeforeAnAct,
    /// Statements are stapled to each showing and say the hour of the refresh.
    HourOfTheRefresh,
    /// The statement of the refresh's own epoch is stapled where one is asked for.
    EpochOfTheRefresh,
    /// A wallet has no statements on copies that came after its last refresh.
    StatementsOfRefreshesAlone,
    /// Every measure, and each act is published at the end of its month: no measure of the product, but what set times
    /// far apart would give.
    ActsOfTheMonth,
    /// Every measure, and nobody archives the lists.
    NoLists,
    /// The cohort: the members of the document that all copies share.
    Cohort,
}

impl Sees {
    fn look(self, copy: &Copy) -> &str {
        if self == Self::ExactDays { &copy.exact_look } else { &copy.look }
    }
}

/// Kinds of pairs of showings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Pair {
    /// Copies that an act marked together, both shown before their wallet knew of the act.
    MarkedTogether,
    /// An act between the two.
    AroundAnAct,
    /// A renewal between the two.
    AroundARenewal,
    Other,
}

/// Pairs of one kind.
#[derive(Debug, Default)]
struct Pairs {
    linked: usize,
    /// For each pair, how many people the askers have to choose from.
    sets: Vec<usize>,
}

/// Pairs of showings of one person at two askers, and those that the askers link.
#[derive(Debug, Default)]
pub(super) struct Links {
    kinds: BTreeMap<Pair, Pairs>,
    /// Some of those that are linked though no act marked them together.
    told: Vec<String>,
}

impl Links {
    pub(super) fn pairs(&self) -> usize {
        self.kinds.values().map(|pairs| pairs.sets.len()).sum()
    }

    pub(super) fn linked(&self) -> usize {
        self.kinds.values().map(|pairs| pairs.linked).sum()
    }

    pub(super) fn of(&self, kind: Pair) -> usize {
        self.kinds.get(&kind).map_or(0, |pairs| pairs.sets.len())
    }

    /// Linked pairs that no act marked together.
    pub(super) fn without_an_act(&self) -> usize {
        self.linked() - self.kinds.get(&Pair::MarkedTogether).map_or(0, |pairs| pairs.linked)
    }
}

impl fmt::Display for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} pairs, {} linked", self.pairs(), self.linked())?;
        for (kind, Pairs { linked, sets }) in &self.kinds {
            let mut sets = sets.clone();
            sets.sort_unstable();
            let at = |part: usize| sets[(sets.len() - 1) * part / 100];
            let sizes = [(1, 1), (2, 3), (4, 9), (10, 19), (20, 49), (50, usize::MAX)].map(|(least, most)| {
                let count = sets.iter().filter(|set| (least..=most).contains(*set)).count();
                format!("{least}+: {count}")
            });
            writeln!(
                f,
                "  {:<15} {:>6} pairs {linked:>5} linked; one of {} at least, {} (1%), {} (10%), {} (half); {}",
                format!("{kind:?}"),
                sets.len(),
                at(0),
                at(1),
                at(10),
                at(50),
                sizes.join(", "),
            )?;
        }
        self.told.iter().try_for_each(|told| writeln!(f, "  {told}"))
    }
}

/// Everybody's copies by their look.
type Holders<'w> = BTreeMap<&'w str, BTreeMap<usize, Vec<&'w Copy>>>;

/// People who could have made a showing.
type Makers = BTreeSet<usize>;

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
        let mut by_person: BTreeMap<usize, Vec<(&Showing, [Makers; 2])>> = BTreeMap::new();
        let (holders, cohorts) = (self.holders(sees), self.holders(Sees::Cohort));
        for showing in &self.world.showings {
            let sets = [self.makers(showing, sees, &holders), self.makers(showing, Sees::Cohort, &cohorts)];
            assert!(sets.iter().all(|set| set.contains(&showing.person)), "its maker could have made it");
            by_person.entry(showing.person).or_default().push((showing, sets));
        }
        let mut links = Links::default();
        for showings in by_person.values() {
            for (at, (second, sets)) in showings.iter().enumerate() {
                for (first, sets_before) in showings[..at].iter().filter(|(first, _)| first.asker != second.asker) {
                    let seen = one_in(&sets_before[0], &sets[0]);
                    let in_cohort =
                        [(0, 1), (1, 0), (1, 1)].map(|(one, other)| one_in(&sets_before[one], &sets[other]));
                    let (kind, is_linked) =
                        (self.kind(first, second), in_cohort.iter().all(|many| seen * SURER < *many));
                    let pairs = links.kinds.entry(kind).or_default();
                    pairs.sets.push(seen);
                    pairs.linked += usize::from(is_linked);
                    if is_linked && kind != Pair::MarkedTogether && pairs.linked <= TOLD {
                        links.told.push(self.told(kind, [first, second], seen, in_cohort));
                    }
                }
            }
        }
        links
    }

    fn kind(&self, first: &Showing, second: &Showing) -> Pair {
        let who = &self.world.people[first.person];
        let [one, other] = [first, second].map(|showing| &who.copies[showing.copy]);
        // The later one was there at the act, and no copy is shown by a wallet that knows of it.
        let marked = |act: &&i64| one.from.max(other.from) <= **act && second.at < **act + UNTIL_KNOWN;
        if who.acts.iter().any(|act| marked(&act)) && self.changes(one) == self.changes(other) {
            Pair::MarkedTogether
        } else if who.acts.iter().any(|act| (first.at..second.at).contains(act)) {
            Pair::AroundAnAct
        } else if one.look != other.look {
            Pair::AroundARenewal
        } else {
            Pair::Other
        }
    }

    /// A link, whole.
    fn told(&self, kind: Pair, pair: [&Showing; 2], one_in: usize, in_cohort: [usize; 3]) -> String {
        let who = &self.world.people[pair[0].person];
        let showings = pair.map(|showing| {
            let copy = &who.copies[showing.copy];
            let seen = (showing.asker, showing.at, showing.vouched, copy.from, copy.until, self.changes(copy));
            format!(
                "asker, time, statement, copy from and until, changes {seen:?}, refresh {}",
                who.refreshed(showing.at)
            )
        });
        format!("{kind:?}: one of {one_in} (cohort {in_cohort:?}), acts {:?}: {}", who.acts, showings.join(" AND "))
    }

    fn holders(&self, sees: Sees) -> Holders<'w> {
        let mut holders = Holders::new();
        for (person, who) in self.world.people.iter().enumerate() {
            for copy in &who.copies {
                holders.entry(sees.look(copy)).or_default().entry(person).or_default().push(copy);
            }
        }
        holders
    }

    /// Everybody who could have made a showing, by all that is seen of it.
    fn makers(&self, showing: &Showing, sees: Sees, holders: &Holders<'w>) -> Makers {
        let (at, who) = (showing.at, &self.world.people[showing.person]);
        let copy = match sees {
            Sees::CopiesOfBeforeAnAct => who.copy_kept(showing.copy),
            _ => &who.copies[showing.copy],
        };
        let (seen, changes) = (statement(showing.asker, who, copy, at, sees), self.seen_changes(copy, sees));
        if sees == Sees::WithEveryMeasure {
            assert_eq!(seen, showing.vouched, "the statement is the one that this wallet stapled");
        }
        let is_held = |other: &Copy| {
            let dropped = other.dropped.filter(|_| sees != Sees::CopiesOfBeforeAnAct);
            other.from <= at && at < other.until && dropped.is_none_or(|dropped| at <= dropped)
        };
        let could = |(person, copies): &(&usize, &Vec<&Copy>)| {
            let other = &self.world.people[**person];
            copies.iter().any(|held| {
                is_held(held)
                    && self.seen_changes(held, sees) == changes
                    && statement(showing.asker, other, held, at, sees) == seen
            })
        };
        holders.get(sees.look(copy)).into_iter().flatten().filter(could).map(|(person, _)| *person).collect()
    }

    /// Changes of a copy's place in the published lists.
    fn changes(&self, copy: &Copy) -> &'w [(i64, u8)] {
        self.world.lists.get(&copy.place).map_or(&[], Vec::as_slice)
    }

    /// The same as the askers see it.
    fn seen_changes(&self, copy: &Copy, sees: Sees) -> Vec<(i64, u8)> {
        let changes = self.changes(copy).iter().copied();
        match sees {
            Sees::Cohort | Sees::NoLists => Vec::new(),
            Sees::ActsOfTheMonth => changes.map(|(at, value)| (at.div_euclid(30 * DAY), value)).collect(),
            _ => changes.collect(),
        }
    }
}

/// The statement that an asker sees.
fn statement(asker: usize, who: &Person, copy: &Copy, at: i64, sees: Sees) -> Option<i64> {
    let (refreshed, confirmed) = (who.refreshed(at), who.confirmed(copy, at));
    match sees {
        Sees::HourOfTheRefresh => Some(refreshed.div_euclid(HOUR)),
        Sees::Cohort => None,
        // No statement is asked for.
        _ if !OFFLINE.contains(&asker) => None,
        Sees::EpochOfTheRefresh => Some(freshness::epoch_start(Timestamp::from_unix(confirmed?)).unix()),
        Sees::StatementsOfRefreshesAlone if refreshed < copy.from => None,
        _ => Person::stapled(confirmed?, at),
    }
}

/// Number of people that the askers have to choose from: each of those who could have made a showing is as likely as
/// the other, and whoever made both is in both sets.
fn one_in(first: &Makers, second: &Makers) -> usize {
    (first.len() * second.len()).div_ceil(first.intersection(second).count())
}
