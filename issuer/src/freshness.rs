//! Freshness statements: short-lived signed statements that a copy is valid, which holders attach to presentations
//! (spec/freshness.md).
//!
//! A statement identifies its copy by a public digest, and not its holder. It is requested by the copy's handle, a
//! value that can be computed only from a copy with all of its disclosures. A request reveals to the issuer only that
//! the wallet is in use; a wallet requests statements for all of its copies at once, so that the time of a request does
//! not distinguish copies.

use std::{collections::HashSet, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use carnet_core::{
    status::freshness,
    time::{CLOCK_SKEW, Timestamp},
};

use crate::{
    error::Error,
    issuance::{handle_hash, spawn_cpu},
    issuer::Issuer,
    secrets::Sha256Hash,
    statements::StatementCache,
    store::{
        Store,
        status::{HolderCopyStatus, StatusRows as _, StatusState},
    },
};

/// Maximum number of copies in one request.
const MAX_COPIES: usize = 500;

/// Response about one copy: its status, and instructions for the wallet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FreshnessResponse {
    pub(crate) status: CopyStatusReport,
    /// `true` if the wallet should replace the copy with a new one. Set only for a valid copy: an earlier suspension is
    /// visible in archived lists, or a message was sent about it.
    pub(crate) should_replace: bool,
    /// Message of the issuer about the credential; empty if there is none.
    pub(crate) message: String,
}

impl FreshnessResponse {
    /// Returns the response for an unknown copy.
    const fn unknown() -> Self {
        Self { status: CopyStatusReport::Unknown, should_replace: false, message: String::new() }
    }
}

/// Status of a copy in a freshness response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CopyStatusReport {
    /// Valid, with the signed freshness statements, newest first.
    Valid(Vec<String>),
    Suspended,
    Revoked,
    /// Expired, and not revoked.
    Expired,
    /// Handle of no copy that this issuer knows.
    Unknown,
}

impl<S: Store> Issuer<S> {
    /// Returns the status of each copy, in the order of the handles, all for the same instant. `digests` is for older
    /// wallets, which identify copies by digest: such a copy is reported as unknown, since every verifier that received
    /// it could ask as well.
    ///
    /// # Errors
    /// [`Error::Invalid`]: no or more than 500 entries, entries in both lists, duplicates, or an entry other than 32
    /// bytes; store errors; signing errors.
    pub(crate) async fn answer_freshness_request(
        self: &Arc<Self>,
        handles: &[Vec<u8>],
        digests: &[Vec<u8>],
    ) -> Result<Vec<FreshnessResponse>, Error> {
        if !digests.is_empty() {
            if !handles.is_empty() {
                return Err(Error::invalid("copies", "cannot be combined with handles"));
            }
            return Ok(parse_distinct_hashes("copies", digests)?
                .into_iter()
                .map(|_| FreshnessResponse::unknown())
                .collect());
        }
        let handles: Vec<Sha256Hash> =
            parse_distinct_hashes("handles", handles)?.iter().map(|handle| handle_hash(handle)).collect();
        // One call signs at a time, so that wallets do not keep lists and copies, which the same key signs, waiting.
        let mut statements = self.statement_cache.clone().lock_owned().await;
        let now = self.now();
        // One transaction: the responses are of the same instant.
        let mut tx = self.store.read().await?;
        let mut standings = Vec::with_capacity(handles.len());
        for handle in &handles {
            standings.push(tx.holder_status_by_handle(handle).await?);
        }
        drop(tx);
        let issuer = self.clone();
        spawn_cpu(move || {
            standings.iter().map(|copy| issuer.freshness_response(&mut statements, copy.as_ref(), now)).collect()
        })
        .await?
    }

    /// Returns the response about a copy; `None` is an unknown copy.
    fn freshness_response(
        &self,
        statements: &mut StatementCache,
        copy: Option<&HolderCopyStatus>,
        now: Timestamp,
    ) -> Result<FreshnessResponse, Error> {
        let Some(copy) = copy else { return Ok(FreshnessResponse::unknown()) };
        let standing = self.status_report(statements, copy, now)?;
        let text = self.messages().and_then(|messages| messages.text(copy.message)).unwrap_or_default();
        // Only valid copies are replaced.
        let replace = copy.should_replace && matches!(standing, CopyStatusReport::Valid(_));
        Ok(FreshnessResponse {
            status: standing,
            should_replace: replace,
            message: if copy.message > 0 { text.to_owned() } else { String::new() },
        })
    }

    /// Returns the status of a copy at `now`. Revocation takes precedence over expiry, and expiry over suspension.
    fn status_report(
        &self,
        statements: &mut StatementCache,
        copy: &HolderCopyStatus,
        now: Timestamp,
    ) -> Result<CopyStatusReport, Error> {
        match copy.state {
            StatusState::Revoked => Ok(CopyStatusReport::Revoked),
            _ if now > copy.valid_until.plus(CLOCK_SKEW) => Ok(CopyStatusReport::Expired),
            StatusState::Suspended => Ok(CopyStatusReport::Suspended),
            StatusState::Valid => self.freshness_statements(statements, &copy.digest, now).map(CopyStatusReport::Valid),
        }
    }

    /// Returns the statements on a valid copy, newest first: of the current epoch, and of earlier ones that are valid
    /// until its end (spec/freshness.md 1.6).
    fn freshness_statements(
        &self,
        kept: &mut StatementCache,
        digest: &Sha256Hash,
        now: Timestamp,
    ) -> Result<Vec<String>, Error> {
        let times: Vec<Timestamp> = freshness::issue_times(now, self.settings.freshness_seconds).collect();
        kept.retain_epochs(&times);
        let name = URL_SAFE_NO_PAD.encode(digest);
        let seconds = i64::from(self.settings.freshness_seconds);
        let mut statements = Vec::with_capacity(times.len());
        for since in times {
            if let Some(made) = kept.get(digest, since) {
                statements.push(made.clone());
                continue;
            }
            let made =
                freshness::issue_statement(&name, &self.kid, since, seconds, &*self.signer).map_err(Error::Signing)?;
            kept.insert(digest, since, &made);
            statements.push(made);
        }
        Ok(statements)
    }
}

/// Parses 1 to 500 hashes of 32 bytes, and refuses duplicates.
fn parse_distinct_hashes(field: &'static str, copies: &[Vec<u8>]) -> Result<Vec<Sha256Hash>, Error> {
    if copies.is_empty() || copies.len() > MAX_COPIES {
        return Err(Error::invalid(field, format!("must be 1 to {MAX_COPIES}")));
    }
    let hash = |copy: &Vec<u8>| Sha256Hash::try_from(copy.as_slice()).ok();
    let hashes: Option<Vec<Sha256Hash>> = copies.iter().map(hash).collect();
    let hashes = hashes.ok_or_else(|| Error::invalid(field, "each has 32 bytes"))?;
    // A duplicate would make the client compare its times with themselves, and cost a signature for nothing.
    if hashes.iter().collect::<HashSet<_>>().len() != hashes.len() {
        return Err(Error::invalid(field, "contains a duplicate"));
    }
    Ok(hashes)
}
