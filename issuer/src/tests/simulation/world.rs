//! What happens in the year: people with wallets, staff, and what is shown and published.

use std::collections::{BTreeMap, BTreeSet};

use carnet_core::{
    epoch::Epoch,
    keys::SecretKey,
    secure::{
        jose::Jws,
        sd_jwt::{SdJwt, Stapled, Step},
    },
    status::{StatusList, freshness, token},
    time::Timestamp,
};
use carnet_proto::issuer::v1::{self as proto, renewal_service_client::RenewalServiceClient};
use carnet_service::wire;
use carnet_spec::Catalogue;
use serde_json::{Map, Value};
use tonic::Request;

use crate::tests::{
    harness::{DID, NOW, Running, exchanged, holder_keys, offer_request, start},
    status::{REINSTATE, REVOKE, SUSPEND, change, place},
};

const DAY: i64 = 86_400;
const PERMIT: &str = "ResidencePermitCredential";
/// Number of copies that a wallet asks for.
const BATCH: usize = 3;
/// Seconds between two refreshes of a wallet, and most seconds by which one of them is late: eight to sixteen hours, as wallets
/// draw it.
const REFRESH: i64 = 12 * 3_600;
const LATE: i64 = 4 * 3_600;
/// Age of statements that desks without a network take, and how long they hold, in seconds.
pub(super) const STATEMENT_AGE: u32 = 86_400;
/// Askers that ask for a statement: desks without a network.
pub(super) const OFFLINE: [usize; 2] = [0, 1];

/// How long it goes on, how many permits are given in each month, and for how many days.
pub(super) struct Year {
    pub(super) months: i64,
    pub(super) permits: usize,
    pub(super) days: &'static [i64],
}

/// A copy in a wallet, and what everybody to whom it is shown sees of it.
pub(super) struct Copy {
    text: String,
    key: SecretKey,
    /// The document without what is this copy's alone: key, digests and index.
    pub(super) look: String,
    /// The same as it would be with the days as they were typed.
    pub(super) exact_look: String,
    /// Number of its list, and its place there.
    pub(super) place: (u64, u64),
    /// From when on the wallet has it, and until when it holds.
    pub(super) from: i64,
    pub(super) until: i64,
    /// Time at which the wallet discarded it.
    pub(super) dropped: Option<i64>,
    /// A copy that was discarded for it.
    replaces: Option<usize>,
    shown: bool,
    /// Statements of the last refresh, newest first.
    statements: Vec<String>,
}

/// A holder with a permit.
#[derive(Default)]
pub(super) struct Person {
    offer: String,
    pub(super) copies: Vec<Copy>,
    /// Times at which staff suspended or revoked.
    pub(super) acts: Vec<i64>,
    /// When in each twelve hours the wallet refreshes, or up to four hours later.
    phase: i64,
    /// The day on which the permit was given or renewed.
    day: i64,
    /// The end that the registrar typed, moved along by each renewal.
    end: i64,
    suspended: bool,
    revoked: bool,
}

impl Person {
    /// Time at which the wallet last refreshed.
    pub(super) fn refreshed(&self, at: i64) -> i64 {
        let number = (at - self.phase).div_euclid(REFRESH);
        let time = |number: i64| self.phase + number * REFRESH + mixed(self.phase ^ number) % LATE;
        if time(number) <= at { time(number) } else { time(number - 1) }
    }

    /// When the statement begins that the wallet staples to a copy, if it has one.
    pub(super) fn vouched(&self, copy: &Copy, at: i64) -> Option<i64> {
        let refreshed = Some(self.refreshed(at)).filter(|refreshed| copy.from <= *refreshed)?;
        let times: Vec<Timestamp> = freshness::issue_times(Timestamp::from_unix(refreshed), STATEMENT_AGE).collect();
        chosen(&times, at).map(|index| times[index].unix())
    }

    /// The copy that this one took the place of, in the end, or itself.
    pub(super) fn copy_kept(&self, copy: usize) -> &Copy {
        self.copies[copy].replaces.map_or(&self.copies[copy], |before| self.copy_kept(before))
    }

    fn fresh(&self, at: i64) -> Option<usize> {
        self.copies.iter().position(|copy| !copy.shown && copy.dropped.is_none() && at < copy.until)
    }
}

/// One copy shown to one asker.
pub(super) struct Showing {
    pub(super) asker: usize,
    pub(super) person: usize,
    pub(super) at: i64,
    pub(super) copy: usize,
    /// What the stapled statement says: when the issuer vouched for the copy.
    pub(super) vouched: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Permit(usize),
    Refresh(usize),
    Errand(usize),
    Suspend(usize),
    Reinstate(usize),
    Revoke(usize),
    Renew(usize),
    /// The askers fetch the lists.
    Lists,
}

/// What happened, and what the askers have of it.
pub(super) struct World {
    pub(super) people: Vec<Person>,
    pub(super) showings: Vec<Showing>,
    /// Each change in the published lists, by place: when it was seen, and the new value.
    pub(super) lists: BTreeMap<(u64, u64), Vec<(i64, u8)>>,
    issuer: Running,
    events: BTreeMap<(i64, Event), ()>,
    /// Numbers of the lists that copies name, and what they said last.
    numbers: BTreeSet<u64>,
    seen: BTreeMap<u64, StatusList>,
    claims: Map<String, Value>,
    days: &'static [i64],
    dice: i64,
}

impl World {
    /// Lets the time pass.
    pub(super) async fn lived(year: &Year) -> Self {
        let claims = Catalogue::embedded().unwrap().credential_type(PERMIT).unwrap().example_claims();
        let (people, showings, lists) = (Vec::new(), Vec::new(), BTreeMap::new());
        let (events, seen, issuer) = (BTreeMap::new(), BTreeMap::new(), start().await);
        let days = year.days;
        let mut world = Self {
            people,
            showings,
            lists,
            issuer,
            events,
            numbers: BTreeSet::new(),
            seen,
            claims,
            days,
            dice: 0x5eed,
        };
        let begin = Epoch::Month.next(Timestamp::from_unix(NOW)).unix();
        for month in 0..year.months {
            for _ in 0..year.permits {
                let person = world.people.len();
                let phase = world.below(REFRESH);
                world.people.push(Person { phase, ..Person::default() });
                let at = begin + month * 30 * DAY + world.below(30 * DAY);
                world.plan(at, Event::Permit(person));
            }
        }
        let end = begin + year.months * 30 * DAY;
        for day in 0..year.months * 30 {
            world.plan(begin + day * DAY + 6 * 3_600, Event::Lists);
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
    fn below(&mut self, most: i64) -> i64 {
        self.dice += 1;
        mixed(self.dice) % most
    }

    fn plan(&mut self, at: i64, event: Event) {
        self.events.insert((at, event), ());
    }

    /// Some days from now, at any time of the day.
    fn plan_within(&mut self, (least, most): (i64, i64), event: Event) {
        let at = self.issuer.now() + least * DAY + self.below((most - least) * DAY);
        self.plan(at, event);
    }

    /// An errand, and the refresh before it.
    fn plan_errand(&mut self, person: usize) {
        let at = self.issuer.now() + 20 * DAY + self.below(100 * DAY);
        self.plan(self.people[person].refreshed(at), Event::Refresh(person));
        self.plan(at, Event::Errand(person));
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
            Event::Lists => self.fetch_lists().await,
        }
    }

    async fn permit(&mut self, person: usize) {
        let today = Timestamp::from_unix(self.issuer.now()).start_of_day();
        let which = self.below(i64::try_from(self.days.len()).unwrap());
        let days = self.days[usize::try_from(which).unwrap()];
        let end = today.plus(days * DAY);
        let mut claims = self.claims.clone();
        claims.insert("validUntil".to_owned(), end.to_string().into());
        let offer = self
            .issuer
            .create(proto::CreateOfferRequest {
                credential_type: PERMIT.to_owned(),
                claims: Some(wire::to_struct(&claims)),
                valid_until: Some(wire::timestamp(end)),
                ..offer_request(&person.to_string())
            })
            .await;
        let keys = holder_keys(BATCH);
        let answer = self.issuer.receive(&offer, &keys).await.unwrap();
        self.people[person].offer = offer.id;
        (self.people[person].day, self.people[person].end) = (today.unix(), end.unix());
        self.keep(person, &answer.credentials, keys, None);
        self.plan_errand(person);
        if self.below(6) == 0 {
            self.plan_within((20, 120), Event::Suspend(person));
        } else if self.below(30) == 0 {
            self.plan_within((20, 200), Event::Revoke(person));
        }
        self.plan_renewal(person);
    }

    fn plan_renewal(&mut self, person: usize) {
        let until = self.people[person].copies.last().unwrap().until;
        let at = until - 29 * DAY + self.below(27 * DAY);
        self.plan(at, Event::Renew(person));
    }

    fn keep(&mut self, person: usize, issued: &[proto::IssuedCopy], keys: Vec<SecretKey>, replaces: Option<usize>) {
        let now = self.issuer.now();
        let days = format!("{} {}", self.people[person].day, self.people[person].end);
        for (copy, key) in issued.iter().zip(keys) {
            let text = copy.credential.clone();
            let payload = SdJwt::parse(&text).unwrap().jws().payload().clone();
            let until = Timestamp::parse(payload["validUntil"].as_str().unwrap()).unwrap().unix();
            let (list, index) = place(&text);
            let place: (u64, u64) = (list.rsplit('/').next().unwrap().parse().unwrap(), index);
            self.numbers.insert(place.0);
            let look = Value::Object(common(&payload)).to_string();
            let exact_look = format!("{days} {}", payload["issuer"]);
            let (statements, dropped, shown) = (Vec::new(), None, false);
            let from = now;
            self.people[person].copies.push(Copy {
                text,
                key,
                look,
                exact_look,
                place,
                from,
                until,
                dropped,
                replaces,
                shown,
                statements,
            });
        }
    }

    /// A wallet's refresh: statements for what holds, and new copies for those that were marked in public.
    async fn refresh(&mut self, person: usize) {
        let now = self.issuer.now();
        let who = &self.people[person];
        let asked: Vec<usize> = (0..who.copies.len())
            .filter(|at| who.copies[*at].dropped.is_none() && now < who.copies[*at].until)
            .collect();
        if asked.is_empty() {
            return;
        }
        let handles = asked.iter().map(|at| freshness::handle(&who.copies[*at].text).to_vec()).collect();
        let said = self.issuer.freshness(handles).await.unwrap();
        let valid = said.iter().all(|copy| copy.state() == proto::CopyState::Valid);
        self.people[person].suspended = !valid;
        let mut marked = None;
        for (at, said) in asked.into_iter().zip(said) {
            let copy = &mut self.people[person].copies[at];
            let given = std::iter::once(said.statement).chain(said.earlier_statements);
            copy.statements = given.filter(|text| !text.is_empty()).collect();
            if said.replace {
                copy.dropped = Some(now);
                marked = Some(at);
            }
        }
        if valid && let Some(marked) = marked {
            self.refill(person, marked, Some(marked)).await;
            // The new ones are vouched for as well.
            Box::pin(self.refresh(person)).await;
        }
    }

    async fn refill(&mut self, person: usize, shown: usize, replaces: Option<usize>) {
        let keys = holder_keys(BATCH);
        let nonce = self.issuer.nonce().await;
        let request = proto::RefillCredentialsRequest {
            presentation: self.exchange(person, shown, &nonce, &keys),
            proofs: self.issuer.proofs(&keys, &nonce),
        };
        let answer = self.issuer.issuance.clone().refill_credentials(request).await.unwrap().into_inner();
        self.keep(person, &answer.credentials, keys, replaces);
    }

    fn exchange(&self, person: usize, copy: usize, nonce: &str, keys: &[SecretKey]) -> String {
        let copy = &self.people[person].copies[copy];
        exchanged(&SdJwt::parse(&copy.text).unwrap(), &copy.key, keys, (DID, nonce, self.issuer.now()))
    }

    /// A day on which two askers want to see the permit, one after the other.
    async fn errand(&mut self, person: usize) {
        let who = &self.people[person];
        if !who.suspended && !who.revoked {
            let first = usize::try_from(self.below(4)).unwrap();
            let second = (first + 1 + usize::try_from(self.below(3)).unwrap()) % 4;
            for asker in [first, second] {
                self.show(person, asker).await;
            }
        }
        self.plan_errand(person);
    }

    async fn show(&mut self, person: usize, asker: usize) {
        let now = self.issuer.now();
        let Some(at) = self.people[person].fresh(now) else { return };
        let copy = &self.people[person].copies[at];
        let times: Vec<Timestamp> = copy.statements.iter().map(|text| since(text)).collect();
        let chosen = chosen(&times, now).filter(|_| OFFLINE.contains(&asker));
        let freshness = chosen.map(|index| copy.statements[index].as_str());
        let subject = Step::Name("credentialSubject".to_owned());
        let shown = SdJwt::parse(&copy.text)
            .unwrap()
            .select(&[vec![subject, Step::Name("rightToWork".to_owned())]])
            .unwrap()
            .bind_with(
                &Stapled { freshness, ..Stapled::default() },
                "nonce",
                &format!("did:web:asker-{asker}.example"),
                Timestamp::from_unix(now),
                &copy.key,
            )
            .unwrap();
        // What the asker has is this text.
        let shown = SdJwt::parse(&shown).unwrap();
        assert_eq!(Value::Object(common(shown.jws().payload())).to_string(), copy.look);
        let vouched = shown.stapled_freshness().unwrap().map(|text| since(text).unix());
        self.showings.push(Showing { asker, person, at: now, copy: at, vouched });
        self.people[person].copies[at].shown = true;
        if self.people[person].copies.iter().filter(|copy| !copy.shown && copy.dropped.is_none()).count() < 2 {
            self.refill(person, at, None).await;
        }
    }

    async fn act(&mut self, person: usize, verb: proto::StatusVerb) {
        let offer = self.people[person].offer.clone();
        if self.people[person].revoked {
            return;
        }
        self.issuer.change(change(verb, &[&offer])).await.unwrap();
        if verb != REINSTATE {
            self.people[person].acts.push(self.issuer.now());
        }
        self.people[person].revoked = verb == REVOKE;
    }

    async fn renew(&mut self, person: usize) {
        let now = self.issuer.now();
        let who = &self.people[person];
        let Some(at) = who.copies.iter().rposition(|copy| copy.dropped.is_none() && now < copy.until) else { return };
        if who.suspended || who.revoked {
            return;
        }
        let keys = holder_keys(BATCH);
        let nonce = self.issuer.nonce().await;
        let request = proto::RenewCredentialsRequest {
            presentation: self.exchange(person, at, &nonce, &keys),
            proofs: self.issuer.proofs(&keys, &nonce),
        };
        // Refused where staff suspended meanwhile, which the wallet learns with the next refresh.
        let Ok(answer) = self.issuer.issuance.clone().renew_credentials(request).await else { return };
        let issued = self.approved(&answer.into_inner().transaction_id).await;
        for copy in &mut self.people[person].copies {
            copy.dropped = copy.dropped.or(Some(now));
        }
        self.people[person].day = Timestamp::from_unix(now).start_of_day().unix();
        self.people[person].end += 730 * DAY;
        self.keep(person, &issued, keys, None);
    }

    /// The copies of a renewal that waited for staff.
    async fn approved(&self, transaction_id: &str) -> Vec<proto::IssuedCopy> {
        let state = proto::RenewalState::Pending.into();
        let mut request = Request::new(proto::ListRenewalsRequest { state, ..Default::default() });
        request.metadata_mut().insert("authorization", self.issuer.staff_header());
        let mut staff = RenewalServiceClient::new(self.issuer.channel.clone());
        for renewal in staff.list_renewals(request).await.unwrap().into_inner().renewals {
            self.issuer.decide(&renewal.renewal_id, true, "").await.unwrap();
        }
        self.issuer.deferred(transaction_id).await.unwrap().credentials
    }

    /// The lists of the day, and what changed since the day before.
    async fn fetch_lists(&mut self) {
        self.issuer.issuer.publish().await.unwrap();
        let now = self.issuer.now();
        for list in self.numbers.clone() {
            let answer = self.issuer.get(&format!("/status/token/{list}"), "").await;
            assert_eq!(answer.code, 200);
            let text = String::from_utf8(answer.body).unwrap();
            let url = format!("https://university.example/status/token/{list}");
            let parsed = token::Token::parse(&text).unwrap();
            let (read, _) = parsed.verify(&self.issuer.issuer_key(), &url, Timestamp::from_unix(now), 0).unwrap();
            let before = self.seen.get(&list);
            let same = before.is_some_and(|before| before.as_bytes() == read.as_bytes());
            for index in (0..read.entries()).filter(|_| !same) {
                let value = read.value(index).unwrap();
                if before.map_or(0, |before| before.value(index).unwrap()) != value {
                    self.lists.entry((list, index)).or_default().push((now, value));
                }
            }
            self.seen.insert(list, read);
        }
    }
}

/// A number that looks random, by splitmix64.
fn mixed(number: i64) -> i64 {
    let mut mixed = u64::from_ne_bytes(number.to_ne_bytes()).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    i64::try_from((mixed ^ (mixed >> 31)) >> 1).unwrap()
}

/// When a statement begins.
fn since(statement: &str) -> Timestamp {
    Timestamp::from_unix(Jws::parse(statement).unwrap().payload()["iat"].as_i64().unwrap())
}

/// The statement that a wallet staples for a desk without a network, of those that begin at these times.
fn chosen(times: &[Timestamp], now: i64) -> Option<usize> {
    let statements = times.iter().map(|since| (*since, since.plus(STATEMENT_AGE.into())));
    freshness::choose(statements, STATEMENT_AGE, Timestamp::from_unix(now))
}

/// What all copies of one credential have in common: everything but key, digests, decoys and index.
fn common(payload: &Map<String, Value>) -> Map<String, Value> {
    let without = |value: &Value| match value {
        Value::Object(members) => Value::Object(common(members)),
        Value::Array(items) => {
            items.iter().map(|item| item.as_object().map_or(item.clone(), |item| common(item).into())).collect()
        }
        other => other.clone(),
    };
    let own = |name: &str| ["cnf", "_sd", "...", "id", "sub", "statusListIndex", "idx"].contains(&name);
    payload.iter().filter(|(name, _)| !own(name)).map(|(name, value)| (name.clone(), without(value))).collect()
}
