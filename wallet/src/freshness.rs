//! Freshness statements: issuers confirm in advance that copies are valid, and the wallet staples the statements to
//! presentations (spec/freshness.md).
//!
//! The wallet requests statements for all copies of an issuer together, and never because of a presentation. The issuer
//! learns that the wallet is in use, and nothing about presentations. The time of automatic requests is chosen at
//! random.

use std::{collections::BTreeMap, time::Duration};

use carnet_core::{
    Code, Problem,
    endpoint::parse_endpoint,
    secure::sd_jwt::SdJwt,
    status::freshness,
    time::{CLOCK_SKEW, Timestamp},
};
use rand_core::{OsRng, RngCore};

use crate::{
    address::belongs_to_issuer,
    failure::{Failure, FailureReason, FaultParty, Sentence},
    ports::{Clock as _, CopyFreshness, DocumentSource as _, Notice, Ports, resolve_issuer},
    protocol::ServiceProtocol,
    store::{
        Wallet, WalletContents, WalletStore,
        cached_status::{CachedStatus, CopyState, FreshnessStatements},
    },
};

/// Maximum number of copies in one call to an issuer.
const MOST_COPIES: usize = 500;
/// Maximum length of an issuer's message about a copy, in characters (spec/status.md 4.9).
const MOST_MESSAGE: usize = 80;
/// Maximum time that the holder waits for statements on copies that were just stored.
const PATIENCE: Duration = Duration::from_secs(10);
/// Period assumed in place of a statement's remaining lifetime if no copy has a statement, in seconds.
const UNCONFIRMED: i64 = carnet_core::day::SECONDS;

/// Service of an issuer: the DID of the issuer, and the URL of its service.
pub type IssuerService = (String, String);

/// Numbers of copies by the state that their issuer reported.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct FreshnessSummary {
    /// Number of valid copies, each with a freshness statement.
    pub valid: usize,
    /// Number of revoked or suspended copies.
    pub withdrawn: usize,
    /// Number of copies that the issuer does not know, or that have expired.
    pub unknown_or_expired: usize,
    /// End of the freshness statements, which is the same for all; `None` if there are none.
    pub valid_until: Option<Timestamp>,
}

/// Handle of a copy: a digest that only its holder and its issuer can compute (spec/freshness.md section 1).
pub type CopyHandle = Vec<u8>;

/// Position of a copy in the wallet: index of its credential, and index of the copy.
pub type CopyPosition = (usize, usize);

/// Returns the copies for which to request statements, by issuer and handle: all presentable copies of each unexpired
/// SD-JWT credential whose service address belongs to its issuer. Unused copies are included, so that the issuer cannot
/// distinguish presented ones.
pub fn copies_to_refresh(
    contents: &WalletContents,
    now: Timestamp,
) -> BTreeMap<IssuerService, BTreeMap<CopyHandle, CopyPosition>> {
    let mut offices: BTreeMap<IssuerService, BTreeMap<CopyHandle, CopyPosition>> = BTreeMap::new();
    for (credential, held) in contents.credentials.iter().enumerate() {
        let over = held.valid_until.is_some_and(|until| now > until);
        let Some(endpoint) = held.endpoint.as_ref().filter(|endpoint| belongs_to_issuer(endpoint, &held.issuer)) else {
            continue;
        };
        if over || !held.format.is_sd_jwt() {
            continue;
        }
        let office = offices.entry((held.issuer.clone(), endpoint.clone())).or_default();
        for (number, copy) in held.copies.iter().enumerate().filter(|(_, copy)| copy.is_presentable()) {
            office.insert(freshness::copy_handle(&copy.credential.text()).to_vec(), (credential, number));
        }
    }
    offices.retain(|_, copies| !copies.is_empty());
    offices
}

/// Returns whether the time of the next automatic refresh has come. `true` if none is set.
pub fn is_refresh_due(contents: &WalletContents, now: Timestamp) -> bool {
    contents.refresh_after.is_none_or(|at| now >= at)
}

/// Sets the time of the next automatic refresh at random: after one to two thirds of the time until the first freshness
/// statement expires, or of a day if there is none.
pub fn schedule_refresh(contents: &mut WalletContents, now: Timestamp) {
    let ends =
        contents.credentials.iter().flat_map(|held| &held.copies).filter_map(|copy| copy.current_statements(now));
    let first = ends.map(|statement| statement.until).min().unwrap_or_else(|| now.plus(UNCONFIRMED));
    let third = (first.unix().saturating_sub(now.unix()) / 3).max(1);
    let drawn = i64::from(OsRng.next_u32()).checked_rem(third).unwrap_or_default();
    contents.refresh_after = Some(now.plus(third.saturating_add(drawn)));
}

/// Erases the expired freshness statements of all copies.
pub fn erase_expired_statements(contents: &mut WalletContents, now: Timestamp) {
    contents
        .credentials
        .iter_mut()
        .flat_map(|held| &mut held.copies)
        .for_each(|copy| copy.erase_expired_statements(now));
}

/// Requests statements for copies stored since the last refresh, together with all other copies of their issuers
/// (spec/freshness.md 2.11). Does nothing if the wallet was never refreshed. Failures are shown as notices: copies are
/// valid without statements too.
pub async fn refresh_new_copies(ports: &impl Ports, wallet: &mut Wallet<impl WalletStore>) {
    if wallet.contents.refresh_after.is_none() {
        return;
    }
    let is_new = |contents: &WalletContents, (credential, number): CopyPosition| {
        let held = contents.credentials.get(credential);
        held.and_then(|held| held.copies.get(number)).is_some_and(|copy| copy.status.is_none())
    };
    for (office, asked) in copies_to_refresh(&wallet.contents, ports.now()) {
        if asked.values().any(|place| is_new(&wallet.contents, *place)) {
            let confirmed = ports.clock().with_timeout(PATIENCE, refresh_issuer(ports, wallet, &office, &asked)).await;
            if let Some(Err(failure)) = confirmed {
                ports.notify(Notice::NoFreshness(&failure));
            }
        }
    }
}

/// Requests statements for `copies` of one issuer, and stores them after all of them were verified. Also sets the time
/// of the next automatic refresh.
///
/// # Errors
/// The service address is forbidden; the service or the issuer's DID cannot be reached; the service belongs to another
/// issuer (`issuer_mismatch`) or issues no statements (`freshness_unsupported`); a statement is invalid; the wallet
/// cannot be saved. Nothing is stored then.
pub async fn refresh_issuer(
    ports: &impl Ports,
    wallet: &mut Wallet<impl WalletStore>,
    (did, endpoint): &IssuerService,
    copies: &BTreeMap<CopyHandle, CopyPosition>,
) -> Result<FreshnessSummary, Failure> {
    parse_endpoint(endpoint)?;
    let mut issuer = ports.connect_issuer(endpoint, ServiceProtocol::Grpc).await?;
    let metadata = issuer.metadata(None).await?;
    if metadata.issuer != *did {
        let message = Sentence::new("error-other-issuer-documents");
        return Err(Failure::new(Code::IssuerMismatch, message, Sentence::new("hint-ask-issuer"))
            .with_fault(FaultParty::Issuer));
    }
    // Issuers without statements would be asked for data that verifiers know as well.
    if metadata.freshness_lifetime_seconds == 0 {
        let message = Sentence::new("error-freshness-unsupported");
        return Err(Failure::new(
            FailureReason::FreshnessUnsupported,
            message,
            Sentence::new("hint-holds-tell-issuer"),
        )
        .with_fault(FaultParty::Issuer));
    }
    resolve_issuer(ports, did).await?;
    // Sorted by handle: the order reveals neither which copies belong together nor which were shown.
    let asked: Vec<(&CopyHandle, &CopyPosition)> = copies.iter().collect();
    let mut standings: Vec<(CopyPosition, CachedStatus)> = Vec::with_capacity(asked.len());
    for some in asked.chunks(MOST_COPIES) {
        let handles = some.iter().map(|(handle, _)| (*handle).clone()).collect();
        let answered = issuer.request_freshness(handles).await?;
        if answered.len() != some.len() {
            let problem = Problem::new(Code::MalformedValue, "it answered for a different number of copies");
            return Err(invalid_response(&problem));
        }
        for ((_, place), said) in some.iter().zip(answered) {
            let standing =
                verify_response(ports, wallet, did, **place, &said).map_err(|problem| invalid_response(&problem))?;
            standings.push((**place, standing));
        }
    }
    check_same_times(&standings, metadata.freshness_lifetime_seconds).map_err(|problem| invalid_response(&problem))?;
    let said = summarize(&standings);
    let before = wallet.contents.clone();
    for ((credential, number), standing) in standings {
        let held = wallet.contents.credentials.get_mut(credential);
        if let Some(copy) = held.and_then(|held| held.copies.get_mut(number)) {
            copy.status = Some(standing);
        }
    }
    schedule_refresh(&mut wallet.contents, ports.now());
    wallet.save().inspect_err(|_| wallet.contents = before)?;
    Ok(said)
}

/// Verifies the issuer's response about one copy, and returns it as the wallet stores it. Responses other than `valid`
/// have no statement to verify.
fn verify_response(
    ports: &impl Ports,
    wallet: &Wallet<impl WalletStore>,
    issuer: &str,
    (credential, number): CopyPosition,
    said: &CopyFreshness,
) -> Result<CachedStatus, Problem> {
    let asked_at = ports.now();
    let without = |state| Ok(CachedStatus { message: said.message.clone(), ..CachedStatus::new(state, asked_at) });
    if said.message.chars().count() > MOST_MESSAGE {
        return Err(Problem::new(Code::MalformedValue, "its message is longer than one line"));
    }
    match said.state {
        Some(CopyState::Valid) => {}
        Some(state) => return without(state),
        None => return Err(Problem::new(Code::MalformedValue, "its answer about a copy is unknown")),
    }
    let held = wallet.contents.credentials.get(credential);
    let copy = held.and_then(|held| held.copies.get(number)).ok_or(Code::MalformedValue)?;
    let token = SdJwt::parse(&copy.credential.text())?;
    let texts: Vec<String> = std::iter::once(&said.statement).chain(&said.earlier_statements).cloned().collect();
    let mut times = Vec::with_capacity(texts.len());
    for text in &texts {
        let said_of =
            freshness::verify_statement(text, &token, issuer, asked_at, CLOCK_SKEW, ports.documents().resolver())?;
        times.push((said_of.issued_at, said_of.expires_at.ok_or(Code::ClaimMissing)?));
    }
    let (since, until) = times.first().copied().ok_or(Code::ClaimMissing)?;
    require_times(&times, since, until)?;
    let statement = Some(FreshnessStatements::from_jwts(&texts, since, until));
    let (replace, message) = (said.replace, said.message.clone());
    Ok(CachedStatus { statement, should_replace: replace, message, ..CachedStatus::new(CopyState::Valid, asked_at) })
}

/// Refuses statements on one copy unless there is exactly one for the newest epoch and one for each earlier epoch that
/// an issuer provides, all with the same lifetime. Other numbers or times could mark a copy.
fn require_times(times: &[(Timestamp, Timestamp)], since: Timestamp, until: Timestamp) -> Result<(), Problem> {
    let seconds = until.unix().saturating_sub(since.unix());
    let expected = freshness::issue_times(since, u32::try_from(seconds).unwrap_or_default());
    if expected.map(|since| (since, since.plus(seconds))).eq(times.iter().copied()) {
        return Ok(());
    }
    Err(Problem::new(Code::MalformedValue, "its statements are not from one epoch and each before it"))
}

/// Refuses statements whose times differ between copies, or whose lifetime is not the one that the issuer publishes
/// (`seconds`): both could mark a copy or a wallet.
fn check_same_times(standings: &[(CopyPosition, CachedStatus)], seconds: u32) -> Result<(), Problem> {
    let times =
        |standing: &CachedStatus| standing.statement.as_ref().map(|statement| (statement.since, statement.until));
    let mut all = standings.iter().filter_map(|(_, standing)| times(standing));
    let first = all.next();
    if !all.all(|times| Some(times) == first) {
        return Err(Problem::new(Code::MalformedValue, "the times of its statements differ from copy to copy"));
    }
    if first.is_some_and(|(since, until)| until != since.plus(seconds.into())) {
        let what = format!("its statements are not valid for {seconds} seconds, as it announces to everyone");
        return Err(Problem::new(Code::MalformedValue, what));
    }
    Ok(())
}

fn summarize(standings: &[(CopyPosition, CachedStatus)]) -> FreshnessSummary {
    let mut said = FreshnessSummary::default();
    for (_, standing) in standings {
        let count = match standing.state {
            CopyState::Valid => &mut said.valid,
            CopyState::Suspended | CopyState::Revoked => &mut said.withdrawn,
            CopyState::Expired | CopyState::Unknown => &mut said.unknown_or_expired,
        };
        *count = count.saturating_add(1);
        said.valid_until = said.valid_until.or(standing.statement.as_ref().map(|statement| statement.until));
    }
    said
}

fn invalid_response(problem: &Problem) -> Failure {
    Failure::from_problem(problem, Sentence::new("error-freshness-refused"), Sentence::new("hint-holds-tell-name"))
        .with_fault(FaultParty::Issuer)
}
