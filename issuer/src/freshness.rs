//! Freshness: short-lived statements that copies are valid, for their holders to show along with them (spec/freshness.md).
//!
//! A statement names its copy by a public digest and nobody by anything. It is asked for by the copy's handle, which nobody
//! can make who was shown a part of the copy. What a call tells the issuer is that some wallet is still in use; a wallet asks
//! for all of its copies at once, so that no copy is told from another by when it is asked for.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use carnet_core::{
    status::freshness,
    time::{CLOCK_SKEW, Timestamp},
};

use crate::{
    error::Error,
    issuance::{handle_hash, on_cpu},
    issuer::Issuer,
    secrets::Hash,
    store::{
        Store,
        status::{CopyStanding, State},
    },
};

/// The most copies in one call.
const MOST_COPIES: usize = 500;
/// The most statements that are kept, of about 400 bytes each.
const MOST_KEPT: usize = 100_000;

/// The statements of the epochs that are given now, all by one key: whoever asks again is told the same, and it costs no
/// signature.
#[derive(Debug, Default)]
pub(crate) struct Statements {
    newest: Option<Timestamp>,
    made: HashMap<(Hash, Timestamp), String>,
}

/// What the issuer tells a holder of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) standing: Standing,
    /// The holder discards the copy for a new one.
    pub(crate) replace: bool,
    /// What the issuer has to say on the credential; empty: nothing.
    pub(crate) message: String,
}

impl Answer {
    /// Of a copy of which nothing is known.
    const fn unknown() -> Self {
        Self { standing: Standing::Unknown, replace: false, message: String::new() }
    }
}

/// What the issuer says of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is valid; the statements that say so, newest first.
    Valid(Vec<String>),
    Suspended,
    Revoked,
    /// Its time is over.
    Ended,
    /// It is none of this issuer's, or its holder's handle of it is not known.
    Unknown,
}

impl<S: Store> Issuer<S> {
    /// What this issuer says of each copy, in order, all as of the same epoch. Copies that are named by their digests, as wallets
    /// of before do and as whoever saw a copy could, are unknown, each of them.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what are no handles or digests, for none, both, too many or the same twice; the store's; signing failed.
    pub(crate) async fn freshness(
        self: &Arc<Self>,
        handles: &[Vec<u8>],
        digests: &[Vec<u8>],
    ) -> Result<Vec<Answer>, Error> {
        if !digests.is_empty() {
            if !handles.is_empty() {
                return Err(Error::invalid("copies", "cannot stand beside handles"));
            }
            return Ok(distinct("copies", digests)?.into_iter().map(|_| Answer::unknown()).collect());
        }
        let handles: Vec<Hash> = distinct("handles", handles)?.iter().map(|handle| handle_hash(handle)).collect();
        // One call at a time signs: whatever wallets ask for, lists and copies, for which the same key signs, get their turn.
        let mut statements = self.statements.clone().lock_owned().await;
        let now = self.now();
        let standings = self.store.standings(&handles).await?;
        let issuer = self.clone();
        on_cpu(move || standings.iter().map(|copy| issuer.answer(&mut statements, copy.as_ref(), now)).collect())
            .await?
    }

    fn answer(
        &self,
        statements: &mut Statements,
        copy: Option<&CopyStanding>,
        now: Timestamp,
    ) -> Result<Answer, Error> {
        let Some(copy) = copy else { return Ok(Answer::unknown()) };
        let standing = self.standing(statements, copy, now)?;
        let text = self.messages().and_then(|messages| messages.text(copy.message)).unwrap_or_default();
        // There are no new copies of what does not hold.
        let replace = copy.replace && matches!(standing, Standing::Valid(_));
        Ok(Answer { standing, replace, message: if copy.message > 0 { text.to_owned() } else { String::new() } })
    }

    fn standing(&self, statements: &mut Statements, copy: &CopyStanding, now: Timestamp) -> Result<Standing, Error> {
        match copy.state {
            State::Revoked => Ok(Standing::Revoked),
            _ if now > copy.valid_until.plus(CLOCK_SKEW) => Ok(Standing::Ended),
            State::Suspended => Ok(Standing::Suspended),
            State::Valid => self.statements(statements, &copy.digest, now).map(Standing::Valid),
        }
    }

    /// The statements on a valid copy, of this epoch and of those before it that still hold.
    fn statements(&self, kept: &mut Statements, digest: &Hash, now: Timestamp) -> Result<Vec<String>, Error> {
        let times: Vec<Timestamp> = freshness::issue_times(now, self.settings.freshness_seconds).collect();
        if kept.newest != times.first().copied() {
            kept.made.retain(|(_, since), _| times.contains(since));
            kept.newest = times.first().copied();
        }
        let name = URL_SAFE_NO_PAD.encode(digest);
        let seconds = i64::from(self.settings.freshness_seconds);
        let mut statements = Vec::with_capacity(times.len());
        for since in times {
            if let Some(made) = kept.made.get(&(*digest, since)) {
                statements.push(made.clone());
                continue;
            }
            let made = freshness::issue(&name, &self.kid, since, seconds, &*self.signer).map_err(Error::Signing)?;
            if kept.made.len() < MOST_KEPT {
                kept.made.insert((*digest, since), made.clone());
            }
            statements.push(made);
        }
        Ok(statements)
    }
}

fn distinct(field: &'static str, copies: &[Vec<u8>]) -> Result<Vec<Hash>, Error> {
    if copies.is_empty() || copies.len() > MOST_COPIES {
        return Err(Error::invalid(field, format!("must be 1 to {MOST_COPIES}")));
    }
    let hash = |copy: &Vec<u8>| Hash::try_from(copy.as_slice()).ok();
    let hashes: Option<Vec<Hash>> = copies.iter().map(hash).collect();
    let hashes = hashes.ok_or_else(|| Error::invalid(field, "each has 32 bytes"))?;
    // The same twice would have its times compared with itself, and cost a signature for nothing.
    if hashes.iter().collect::<HashSet<_>>().len() != hashes.len() {
        return Err(Error::invalid(field, "the same stands there twice"));
    }
    Ok(hashes)
}
