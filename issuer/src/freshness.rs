//! Freshness statements: short-lived statements that copies are valid, which holders attach to presentations
//! (spec/freshness.md).
//!
//! A statement names its copy by a public digest, and does not identify its holder. It is requested by the copy's
//! handle, which nobody who was shown a part of the copy can compute. A call tells the issuer only that some wallet is
//! still in use; a wallet asks for all of its copies at once, so that the time of a call does not tell copies apart.

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
        status::{CopyStanding, State, StatusRows as _},
    },
};

/// Maximum number of copies in one call.
const MOST_COPIES: usize = 500;
/// Maximum number of cached statements, of about 400 bytes each.
const MOST_KEPT: usize = 100_000;

/// Cache of the statements of the current epochs, all signed with one key: a repeated call returns the same statements,
/// and needs no signature.
#[derive(Debug, Default)]
pub(crate) struct Statements {
    newest: Option<Timestamp>,
    made: HashMap<(Hash, Timestamp), String>,
}

/// Response of the issuer about one copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) standing: Standing,
    /// True if the holder should discard the copy for a new one.
    pub(crate) replace: bool,
    /// Message of the issuer about the credential; may be empty.
    pub(crate) message: String,
}

impl Answer {
    /// Returns the response for an unknown copy.
    const fn unknown() -> Self {
        Self { standing: Standing::Unknown, replace: false, message: String::new() }
    }
}

/// Standing of a copy with its issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Valid, with the statements, newest first.
    Valid(Vec<String>),
    Suspended,
    Revoked,
    /// Expired.
    Ended,
    /// Issued by somebody else, or its handle is unknown.
    Unknown,
}

impl<S: Store> Issuer<S> {
    /// Returns the standing of each copy, in order, all as of the same epoch. Copies named by their digests are
    /// unknown: earlier wallets name them so, but every verifier that saw a copy could do so too.
    ///
    /// # Errors
    /// [`Error::Invalid`] for malformed handles or digests, and for none, both, too many or duplicate ones; store
    /// errors; signing errors.
    pub(crate) async fn freshness(
        self: &Arc<Self>,
        handles: &[Vec<u8>],
        digests: &[Vec<u8>],
    ) -> Result<Vec<Answer>, Error> {
        if !digests.is_empty() {
            if !handles.is_empty() {
                return Err(Error::invalid("copies", "cannot be combined with handles"));
            }
            return Ok(distinct("copies", digests)?.into_iter().map(|_| Answer::unknown()).collect());
        }
        let handles: Vec<Hash> = distinct("handles", handles)?.iter().map(|handle| handle_hash(handle)).collect();
        // One call signs at a time, so that wallets do not keep lists and copies, which the same key signs, waiting.
        let mut statements = self.statements.clone().lock_owned().await;
        let now = self.now();
        // One transaction: the responses are of the same instant.
        let mut tx = self.store.read().await?;
        let mut standings = Vec::with_capacity(handles.len());
        for handle in &handles {
            standings.push(tx.standing(handle).await?);
        }
        drop(tx);
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
        // Only valid copies are replaced.
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

    /// Returns the statements on a valid copy, of this epoch and of the unexpired ones before it.
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
    // A duplicate would make the client compare its times with themselves, and cost a signature for nothing.
    if hashes.iter().collect::<HashSet<_>>().len() != hashes.len() {
        return Err(Error::invalid(field, "contains a duplicate"));
    }
    Ok(hashes)
}
