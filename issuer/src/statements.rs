//! Cache of freshness statements.

use std::collections::HashMap;

use carnet_core::time::Timestamp;

use crate::secrets::Sha256Hash;

/// Maximum number of cached statements, of about 400 bytes each; further ones are signed for each request.
const MAX_CACHED_STATEMENTS: usize = 100_000;

/// Cache of the statements of the current epochs (of six hours each): a repeated request returns the same statements
/// without signing again.
#[derive(Debug, Default)]
pub(crate) struct StatementCache {
    /// Start of the newest epoch of which statements were signed.
    newest_epoch: Option<Timestamp>,
    /// Statements by the digest of their copy and the start of their epoch.
    statements: HashMap<(Sha256Hash, Timestamp), String>,
}

impl StatementCache {
    /// Drops the statements of earlier epochs. `times` are the issue times of the current ones, newest first.
    pub(crate) fn retain_epochs(&mut self, times: &[Timestamp]) {
        if self.newest_epoch != times.first().copied() {
            self.statements.retain(|(_, since), _| times.contains(since));
            self.newest_epoch = times.first().copied();
        }
    }

    /// Returns the statement about a copy that was issued at a time.
    pub(crate) fn get(&self, digest: &Sha256Hash, since: Timestamp) -> Option<&String> {
        self.statements.get(&(*digest, since))
    }

    /// Adds a statement, unless the cache is full.
    pub(crate) fn insert(&mut self, digest: &Sha256Hash, since: Timestamp, statement: &str) {
        if self.statements.len() < MAX_CACHED_STATEMENTS {
            self.statements.insert((*digest, since), statement.to_owned());
        }
    }
}
