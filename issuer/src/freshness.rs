//! Freshness: short-lived statements that copies are valid, for their holders to show along with them (spec/freshness.md).
//!
//! A statement names its copy by a digest and nobody by anything. What a call tells the issuer is that some wallet is still
//! in use; a wallet asks for all of its copies at once, so that no copy is told from another by when it is asked for.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use carnet_core::{status::freshness, time::Timestamp};

use crate::{
    error::Error,
    issuance::on_cpu,
    issuer::Issuer,
    proofs::SKEW,
    secrets::Hash,
    store::{Store, status::State},
};

/// The most copies in one call.
const MOST_COPIES: usize = 500;
/// The most statements that are kept, of about 400 bytes each.
const MOST_KEPT: usize = 100_000;

/// The statements of one hour, all by one key: whoever asks again is told the same, and it costs no signature.
#[derive(Debug, Default)]
pub(crate) struct Statements {
    from: Option<Timestamp>,
    made: HashMap<Hash, String>,
}

/// What the issuer says of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is valid; the statement that says so.
    Valid(String),
    Suspended,
    Revoked,
    /// Its time is over.
    Ended,
    /// It is none of this issuer's.
    Unknown,
}

impl<S: Store> Issuer<S> {
    /// What this issuer says of each copy, in order, all as of the same hour.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what are no digests, for none, too many or the same twice; the store's; signing failed.
    pub(crate) async fn freshness(self: &Arc<Self>, copies: &[Vec<u8>]) -> Result<Vec<Standing>, Error> {
        let digests = digests(copies)?;
        // One call at a time signs: whatever wallets ask for, lists and copies, for which the same key signs, get their turn.
        let mut statements = self.statements.clone().lock_owned().await;
        let now = self.now();
        let states = self.store.status_by_digest(&digests).await?;
        let issuer = self.clone();
        on_cpu(move || {
            let stand = |(digest, state): (&Hash, &Option<(State, Timestamp)>)| {
                issuer.standing(&mut statements, digest, *state, now)
            };
            digests.iter().zip(&states).map(stand).collect()
        })
        .await?
    }

    fn standing(
        &self,
        statements: &mut Statements,
        digest: &Hash,
        state: Option<(State, Timestamp)>,
        now: Timestamp,
    ) -> Result<Standing, Error> {
        match state {
            None => Ok(Standing::Unknown),
            Some((State::Revoked, _)) => Ok(Standing::Revoked),
            Some((_, until)) if now > until.plus(SKEW) => Ok(Standing::Ended),
            Some((State::Suspended, _)) => Ok(Standing::Suspended),
            Some((State::Valid, _)) => self.statement(statements, digest, now).map(Standing::Valid),
        }
    }

    fn statement(&self, statements: &mut Statements, digest: &Hash, now: Timestamp) -> Result<String, Error> {
        let from = Timestamp::from_unix(now.unix().saturating_sub(now.unix().rem_euclid(freshness::GRAIN_SECONDS)));
        if statements.from != Some(from) {
            *statements = Statements { from: Some(from), made: HashMap::new() };
        }
        if let Some(made) = statements.made.get(digest) {
            return Ok(made.clone());
        }
        let name = URL_SAFE_NO_PAD.encode(digest);
        let seconds = i64::from(self.settings.freshness_seconds);
        let made = freshness::issue(&name, &self.kid, from, seconds, &*self.signer).map_err(Error::Signing)?;
        if statements.made.len() < MOST_KEPT {
            statements.made.insert(*digest, made.clone());
        }
        Ok(made)
    }
}

fn digests(copies: &[Vec<u8>]) -> Result<Vec<Hash>, Error> {
    if copies.is_empty() || copies.len() > MOST_COPIES {
        return Err(Error::invalid("copies", format!("must be 1 to {MOST_COPIES} digests")));
    }
    let digest = |copy: &Vec<u8>| Hash::try_from(copy.as_slice()).ok();
    let digests: Option<Vec<Hash>> = copies.iter().map(digest).collect();
    let digests = digests.ok_or_else(|| Error::invalid("copies", "a digest of SHA-256 has 32 bytes"))?;
    // The same twice would have its times compared with itself, and cost a signature for nothing.
    if digests.iter().collect::<HashSet<_>>().len() != digests.len() {
        return Err(Error::invalid("copies", "the same digest stands there twice"));
    }
    Ok(digests)
}
