//! Events of the year, acts of staff and the published lists.

use std::collections::{BTreeMap, BTreeSet};

use carnet_core::{
    epoch::Epoch,
    status::{StatusList, token},
    time::Timestamp,
};
use carnet_proto::issuer::v1::{self as proto, renewal_service_client::RenewalServiceClient};
use carnet_spec::Catalogue;
use serde_json::{Map, Value};
use tonic::Request;

use super::{
    DAY,
    people::{Person, Showing, mixed},
};
use crate::tests::{
    harness::{NOW, Running, start},
    status::{REINSTATE, REVOKE, SUSPEND, change},
};

/// Seconds between two set times of publication.
const SET_TIMES: i64 = DAY / 4;

/// Length of the simulation, permits given in each month, and their days.
pub(super) struct Year {
    pub(super) months: i64,
    pub(super) permits: usize,
    pub(super) days: &'static [i64],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Event {
    Permit(usize),
    Refresh(usize),
    Errand(usize),
    Suspend(usize),
    Reinstate(usize),
    Revoke(usize),
    Renew(usize),
    /// A set time: acts that are not urgent are published.
    SetTime,
}

/// All that happened, and all that the askers have of it.
pub(super) struct World {
    pub(super) people: Vec<Person>,
    pub(super) showings: Vec<Showing>,
    /// Each change in the published lists, by place: when it was published, and the new value.
    pub(super) lists: BTreeMap<(u64, u64), Vec<(i64, u8)>>,
    pub(super) issuer: Running,
    events: BTreeMap<(i64, Event), ()>,
    /// Numbers of the lists that copies name, and each list as it was published last, with its entity tag.
    pub(super) numbers: BTreeSet<u64>,
    archive: BTreeMap<u64, (String, StatusList)>,
    pub(super) claims: Map<String, Value>,
    pub(super) days: &'static [i64],
    dice: i64,
}

impl World {
    /// Runs the simulation.
    pub(super) async fn lived(year: &Year) -> Self {
        let catalogue = Catalogue::embedded().unwrap();
        let claims = catalogue.credential_type("ResidencePermitCredential").unwrap().example_claims();
        let mut world = Self {
            people: Vec::new(),
            showings: Vec::new(),
            lists: BTreeMap::new(),
            issuer: start().await,
            events: BTreeMap::new(),
            numbers: BTreeSet::new(),
            archive: BTreeMap::new(),
            claims,
            days: year.days,
            dice: 0x5eed,
        };
        let begin = Epoch::Month.next_start(Timestamp::from_unix(NOW)).unix();
        for month in 0..year.months {
            for _ in 0..year.permits {
                let person = world.people.len();
                let phase = world.below(DAY / 2);
                world.people.push(Person::new(phase));
                let at = begin + month * 30 * DAY + world.below(30 * DAY);
                world.plan(at, Event::Permit(person));
            }
        }
        let end = begin + year.months * 30 * DAY;
        for number in 0..year.months * 30 * (DAY / SET_TIMES) {
            // A second after it, as the clock of the publisher has it.
            world.plan(begin + number * SET_TIMES + 1, Event::SetTime);
        }
        while let Some(((at, event), ())) = world.events.pop_first() {
            if at >= end {
                break;
            }
            world.issuer.pass((at - world.issuer.now()).max(0));
            world.happen(event).await;
        }
        world
    }

    /// A number below `most`: the same in each run.
    pub(super) fn below(&mut self, most: i64) -> i64 {
        self.dice += 1;
        mixed(self.dice) % most
    }

    pub(super) fn plan(&mut self, at: i64, event: Event) {
        self.events.insert((at, event), ());
    }

    /// Plans an event some days from now, at any time of the day.
    pub(super) fn plan_within(&mut self, (least, most): (i64, i64), event: Event) {
        let at = self.issuer.now() + least * DAY + self.below((most - least) * DAY);
        self.plan(at, event);
    }

    async fn happen(&mut self, event: Event) {
        match event {
            Event::Permit(person) => self.permit(person).await,
            Event::Refresh(person) => self.refresh(person).await,
            Event::Errand(person) => self.errand(person).await,
            Event::Suspend(person) => {
                self.act(person, SUSPEND).await;
                self.plan_within((3, 15), Event::Reinstate(person));
            }
            Event::Reinstate(person) => self.act(person, REINSTATE).await,
            Event::Revoke(person) => self.act(person, REVOKE).await,
            Event::Renew(person) => self.renew(person).await,
            Event::SetTime => self.archive_lists().await,
        }
    }

    /// An act of staff, as urgent as such an act is by default.
    async fn act(&mut self, person: usize, verb: proto::StatusVerb) {
        let offer = self.people[person].offer.clone();
        if self.people[person].revoked {
            return;
        }
        let urgency = proto::StatusUrgency::Unspecified.into();
        let act = proto::ChangeStatusRequest { urgency, ..change(verb, &[&offer]) };
        self.issuer.change(act).await.unwrap();
        if verb != REINSTATE {
            self.people[person].acts.push(self.issuer.now());
            self.archive_lists().await;
        }
        self.people[person].revoked = verb == REVOKE;
    }

    /// Approves the renewal that waits.
    pub(super) async fn approve(&self) {
        let state = proto::RenewalState::Pending.into();
        let mut request = Request::new(proto::ListRenewalsRequest { state, ..Default::default() });
        request.metadata_mut().insert("authorization", self.issuer.staff_header());
        let mut staff = RenewalServiceClient::new(self.issuer.channel.clone());
        for renewal in staff.list_renewals(request).await.unwrap().into_inner().renewals {
            self.issuer.decide(&renewal.renewal_id, true, "").await.unwrap();
        }
    }

    /// Publishes what is due, and takes down what changed in the lists: the askers miss no publication.
    async fn archive_lists(&mut self) {
        self.issuer.issuer.publish().await.unwrap();
        let now = self.issuer.now();
        for list in self.numbers.clone() {
            let answer = self.issuer.get(&format!("/status/token/{list}"), "").await;
            assert_eq!(answer.code, 200);
            let tag = answer.header("etag").unwrap().to_owned();
            if self.archive.get(&list).is_some_and(|(before, _)| *before == tag) {
                continue;
            }
            let text = String::from_utf8(answer.body).unwrap();
            let url = format!("https://university.example/status/token/{list}");
            let parsed = token::StatusListToken::parse(&text).unwrap();
            let (read, _) = parsed.verify(&self.issuer.issuer_key(), &url, Timestamp::from_unix(now), 0).unwrap();
            let before = self.archive.get(&list).map(|(_, before)| before);
            let eighths = u64::try_from(read.as_bytes().len()).unwrap();
            for (byte, value) in (0..eighths).zip(read.as_bytes()) {
                let was = before.map_or(0, |before| before.as_bytes()[usize::try_from(byte).unwrap()]);
                let entries = read.entry_count() / eighths;
                for index in (byte * entries..(byte + 1) * entries).filter(|_| was != *value) {
                    let value = read.value(index).unwrap();
                    if before.map_or(0, |before| before.value(index).unwrap()) != value {
                        self.lists.entry((list, index)).or_default().push((now, value));
                    }
                }
            }
            self.archive.insert(list, (tag, read));
        }
    }
}
