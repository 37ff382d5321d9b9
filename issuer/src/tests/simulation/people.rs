//! People with wallets: the copies that they hold, ask for and show.

use carnet_core::{
    keys::SecretKey,
    secure::{
        jose::Jws,
        sd_jwt::{KeyBindingMembers, SdJwt, Step},
    },
    status::freshness,
    time::Timestamp,
};
use carnet_proto::issuer::v1 as proto;
use carnet_service::wire;
use serde_json::{Map, Value};

use super::world::{Event, World};
use crate::{
    freshness::CopyStatusReport,
    issuance::IssuanceOutcome,
    redemption::RedemptionRequest,
    tests::{
        harness::{DID, exchanged, holder_keys, offer_request},
        status::place_of,
    },
};

const PERMIT: &str = "ResidencePermitCredential";
/// Number of copies that a wallet asks for.
const BATCH: usize = 3;
/// Seconds between two refreshes of a wallet, and most seconds by which one of them is late: eight to sixteen hours, as
/// wallets draw it.
const REFRESH: i64 = 12 * 3_600;
const LATE: i64 = 4 * 3_600;
/// Greatest age of a statement that desks without a network accept, and lifetime of one, in seconds.
const STATEMENT_AGE: u32 = 86_400;
/// Askers that ask for a statement: desks without a network.
pub(super) const OFFLINE: [usize; 2] = [0, 1];

/// A copy in a wallet, and all that an asker sees of it.
pub(super) struct Copy {
    text: String,
    key: SecretKey,
    /// The document without the members that are this copy's alone: key, digests and index.
    pub(super) look: String,
    /// The same with the days as the registrar typed them.
    pub(super) exact_look: String,
    /// Number of its list, and its place there.
    pub(super) place: (u64, u64),
    /// Time at which the wallet got it, and its end.
    pub(super) from: i64,
    pub(super) until: i64,
    /// Time at which the wallet discarded it.
    pub(super) dropped: Option<i64>,
    /// A copy that was discarded for it.
    replaces: Option<usize>,
    shown: bool,
    /// The newest statements on it, newest first.
    statements: Vec<String>,
}

/// A holder with a permit.
#[derive(Default)]
pub(super) struct Person {
    pub(super) offer: String,
    pub(super) copies: Vec<Copy>,
    /// Times at which staff suspended or revoked.
    pub(super) acts: Vec<i64>,
    /// Offset of the refreshes within each twelve hours; each is up to four hours later.
    phase: i64,
    /// Day on which the permit was given or renewed.
    day: i64,
    /// The end that the registrar typed, moved along by each renewal.
    end: i64,
    suspended: bool,
    pub(super) revoked: bool,
}

impl Person {
    pub(super) fn new(phase: i64) -> Self {
        Self { phase, ..Self::default() }
    }

    /// Time at which the wallet last refreshed.
    pub(super) fn refreshed(&self, at: i64) -> i64 {
        let number = (at - self.phase).div_euclid(REFRESH);
        let time = |number: i64| self.phase + number * REFRESH + mixed(self.phase ^ number) % LATE;
        if time(number) <= at { time(number) } else { time(number - 1) }
    }

    /// Time at which the wallet last asked for statements on a copy: at its last refresh, or when the copy came; none
    /// for a first copy before the first refresh.
    pub(super) fn confirmed(&self, copy: &Copy, at: i64) -> Option<i64> {
        let refreshed = self.refreshed(at);
        (copy.from <= refreshed || copy.from > self.copies[0].from).then_some(refreshed.max(copy.from))
    }

    /// Beginning of the statement that the wallet staples to a copy on which it asked for statements at `confirmed`.
    pub(super) fn stapled(confirmed: i64, at: i64) -> Option<i64> {
        let times: Vec<Timestamp> = freshness::issue_times(Timestamp::from_unix(confirmed), STATEMENT_AGE).collect();
        chosen(&times, at).map(|index| times[index].unix())
    }

    /// The copy that this one took the place of, in the end, or itself.
    pub(super) fn copy_kept(&self, copy: usize) -> &Copy {
        self.copies[copy].replaces.map_or(&self.copies[copy], |before| self.copy_kept(before))
    }

    /// Unused copies, by index.
    fn unused(&self, at: i64) -> impl Iterator<Item = usize> {
        let unused = move |copy: &Copy| !copy.shown && copy.dropped.is_none() && at < copy.until;
        self.copies.iter().enumerate().filter(move |(_, copy)| unused(copy)).map(|(index, _)| index)
    }
}

/// One copy shown to one asker.
pub(super) struct Showing {
    pub(super) asker: usize,
    pub(super) person: usize,
    pub(super) at: i64,
    pub(super) copy: usize,
    /// Beginning of the stapled statement.
    pub(super) vouched: Option<i64>,
}

impl World {
    /// A registrar's offer, and its collection.
    pub(super) async fn permit(&mut self, person: usize) {
        let today = Timestamp::from_unix(self.issuer.now()).start_of_day();
        let which = self.below(i64::try_from(self.days.len()).unwrap());
        let end = today.plus(self.days[usize::try_from(which).unwrap()] * super::DAY);
        let mut claims = self.claims.clone();
        claims.insert("validUntil".to_owned(), end.to_string().into());
        let offer = self
            .issuer
            .create(proto::CreateOfferRequest {
                credential_type: PERMIT.to_owned(),
                claims: Some(wire::to_struct(&claims)),
                valid_until: Some(wire::to_timestamp(end)),
                ..offer_request(&person.to_string())
            })
            .await;
        let code = offer.code.into();
        let redemption = RedemptionRequest { code, pin: None, challenge: None, verifier: None };
        let issuer = self.issuer.issuer.clone();
        let grant = issuer.redeem_offer(&redemption).await.unwrap();
        let keys = holder_keys(BATCH);
        let proofs = self.issuer.proofs(&keys, &issuer.issue_nonce().0);
        let issued = issuer
            .handle_credential_request(&grant.access_token, &offer.configuration, proofs, issuer.did.as_str())
            .await
            .unwrap();
        self.people[person].offer = offer.id;
        (self.people[person].day, self.people[person].end) = (today.unix(), end.unix());
        self.keep(person, &issued, keys, None).await;
        self.plan_errand(person);
        if self.below(6) == 0 {
            self.plan_within((20, 120), Event::Suspend(person));
        } else if self.below(30) == 0 {
            self.plan_within((20, 200), Event::Revoke(person));
        }
        let until = self.people[person].copies[0].until;
        let at = until - 29 * super::DAY + self.below(27 * super::DAY);
        self.plan(at, Event::Renew(person));
    }

    /// Stores new copies, and asks for statements on them as soon as they are there.
    async fn keep(&mut self, person: usize, issued: &IssuanceOutcome, keys: Vec<SecretKey>, replaces: Option<usize>) {
        let IssuanceOutcome::Issued { copies, .. } = issued else { panic!("the copies are there") };
        let from = self.issuer.now();
        let days = format!("{} {}", self.people[person].day, self.people[person].end);
        let before = self.people[person].copies.len();
        for (text, key) in copies.iter().zip(keys) {
            let copy = SdJwt::parse(text).unwrap();
            let payload = copy.jws().payload();
            let (list, index) = place_of(payload);
            let place = (list.rsplit('/').next().unwrap().parse().unwrap(), index);
            self.numbers.insert(place.0);
            self.people[person].copies.push(Copy {
                text: text.clone(),
                key,
                look: Value::Object(common(payload)).to_string(),
                exact_look: format!("{days} {}", payload["issuer"]),
                place,
                from,
                until: Timestamp::parse(payload["validUntil"].as_str().unwrap()).unwrap().unix(),
                dropped: None,
                replaces,
                shown: false,
                statements: Vec::new(),
            });
        }
        // A wallet that never refreshed asks for none.
        if before > 0 {
            let new = (before..self.people[person].copies.len()).collect();
            assert!(!self.confirm(person, new).await, "new copies stand in no list");
        }
    }

    /// Asks for statements on copies; tells if lists have marked one of them.
    async fn confirm(&mut self, person: usize, copies: Vec<usize>) -> bool {
        let who = &mut self.people[person];
        let handles: Vec<Vec<u8>> =
            copies.iter().map(|copy| freshness::copy_handle(&who.copies[*copy].text).to_vec()).collect();
        let answers = self.issuer.issuer.answer_freshness_request(&handles, &[]).await.unwrap();
        let marked = answers.iter().any(|answer| answer.should_replace);
        who.suspended = false;
        for (copy, answer) in copies.into_iter().zip(answers) {
            who.copies[copy].statements = match answer.status {
                CopyStatusReport::Valid(statements) => statements,
                _ => Vec::new(),
            };
            who.suspended |= who.copies[copy].statements.is_empty();
        }
        marked
    }

    /// A wallet's refresh: statements on unused copies (a used one is not shown again), and new copies for those that
    /// lists have marked.
    pub(super) async fn refresh(&mut self, person: usize) {
        let now = self.issuer.now();
        let unused: Vec<usize> = self.people[person].unused(now).collect();
        let Some(first) = unused.first().copied() else { return };
        if self.confirm(person, unused).await {
            self.drop_all(person);
            self.refill(person, first, Some(first)).await;
        }
    }

    /// Discards all copies.
    fn drop_all(&mut self, person: usize) {
        let now = self.issuer.now();
        for copy in &mut self.people[person].copies {
            copy.dropped = copy.dropped.or(Some(now));
        }
    }

    async fn refill(&mut self, person: usize, shown: usize, replaces: Option<usize>) {
        let (keys, presentation, proofs) = self.exchange(person, shown);
        // Refused where staff suspended meanwhile, and where the credential had its number of copies.
        let Ok(issued) = self.issuer.issuer.refill(presentation.into(), proofs).await else { return };
        self.keep(person, &issued, keys, replaces).await;
    }

    /// Keys, a copy shown to the issuer in exchange for copies for them, and their proofs.
    fn exchange(&self, person: usize, copy: usize) -> (Vec<SecretKey>, String, Vec<String>) {
        let keys = holder_keys(BATCH);
        let nonce = self.issuer.issuer.issue_nonce().0;
        let copy = &self.people[person].copies[copy];
        let token = SdJwt::parse(&copy.text).unwrap();
        let presentation = exchanged(&token, &copy.key, &keys, (DID, &nonce, self.issuer.now()));
        let proofs = self.issuer.proofs(&keys, &nonce);
        (keys, presentation, proofs)
    }

    /// A day on which two askers want to see the permit, one after the other, or all four.
    pub(super) async fn errand(&mut self, person: usize) {
        let who = &self.people[person];
        if !who.suspended && !who.revoked {
            let first = usize::try_from(self.below(4)).unwrap();
            let second = (first + 1 + usize::try_from(self.below(3)).unwrap()) % 4;
            let all = (0..4).map(|next| (first + next) % 4).collect();
            let askers = if self.below(4) == 0 { all } else { vec![first, second] };
            for asker in askers {
                self.show(person, asker).await;
            }
        }
        self.plan_errand(person);
    }

    async fn show(&mut self, person: usize, asker: usize) {
        let now = self.issuer.now();
        let Some(at) = self.people[person].unused(now).next() else { return };
        let copy = &self.people[person].copies[at];
        let times: Vec<Timestamp> = copy.statements.iter().map(|text| since(text)).collect();
        let chosen = chosen(&times, now).filter(|_| OFFLINE.contains(&asker));
        let freshness = chosen.map(|index| copy.statements[index].as_str());
        let subject = Step::Name("credentialSubject".to_owned());
        let shown = SdJwt::parse(&copy.text)
            .unwrap()
            .select_claims(&[vec![subject, Step::Name("rightToWork".to_owned())]])
            .unwrap()
            .bind_key_with_members(
                &KeyBindingMembers { freshness_statement: freshness, ..KeyBindingMembers::default() },
                "nonce",
                &format!("did:web:asker-{asker}.example"),
                Timestamp::from_unix(now),
                &copy.key,
            )
            .unwrap();
        // The asker has this text and no more.
        let shown = SdJwt::parse(&shown).unwrap();
        assert_eq!(Value::Object(common(shown.jws().payload())).to_string(), copy.look);
        let vouched = shown.freshness_statement().unwrap().map(|text| since(text).unix());
        self.showings.push(Showing { asker, person, at: now, copy: at, vouched });
        self.people[person].copies[at].shown = true;
        if self.people[person].unused(now).count() < 2 {
            self.refill(person, at, None).await;
        }
    }

    pub(super) async fn renew(&mut self, person: usize) {
        let now = self.issuer.now();
        let who = &self.people[person];
        let Some(at) = who.copies.iter().rposition(|copy| copy.dropped.is_none() && now < copy.until) else { return };
        if who.suspended || who.revoked {
            return;
        }
        let (keys, presentation, proofs) = self.exchange(person, at);
        // Refused where staff suspended meanwhile, which the wallet learns with the next refresh.
        let Ok(answer) = self.issuer.issuer.renew(presentation.into(), proofs).await else { return };
        let IssuanceOutcome::Deferred { transaction_id, .. } = answer else { panic!("staff approve each renewal") };
        self.approve().await;
        let issued = self.issuer.issuer.handle_deferred_request(&transaction_id).await.unwrap();
        self.drop_all(person);
        self.people[person].day = Timestamp::from_unix(now).start_of_day().unix();
        self.people[person].end += 730 * super::DAY;
        self.keep(person, &issued, keys, None).await;
    }

    /// An errand, and the refresh before it.
    fn plan_errand(&mut self, person: usize) {
        let at = self.issuer.now() + 20 * super::DAY + self.below(100 * super::DAY);
        self.plan(self.people[person].refreshed(at), Event::Refresh(person));
        self.plan(at, Event::Errand(person));
    }
}

/// Mixes a number by splitmix64.
pub(super) fn mixed(number: i64) -> i64 {
    let mut mixed = u64::from_ne_bytes(number.to_ne_bytes()).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    i64::try_from((mixed ^ (mixed >> 31)) >> 1).unwrap()
}

/// Beginning of a statement.
fn since(statement: &str) -> Timestamp {
    Timestamp::from_unix(Jws::parse(statement).unwrap().payload()["iat"].as_i64().unwrap())
}

/// The statement that a wallet staples for a desk without a network, of those that begin at these times.
fn chosen(times: &[Timestamp], now: i64) -> Option<usize> {
    let statements = times.iter().map(|since| (*since, since.plus(STATEMENT_AGE.into())));
    freshness::choose_statement(statements, STATEMENT_AGE, Timestamp::from_unix(now))
}

/// Members that all copies of one credential share: all but key, digests, decoys and index.
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
