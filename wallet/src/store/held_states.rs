//! State of the copies of a held credential: freshness, replacement, messages, and the pending use of a voucher.

use carnet_core::{status::freshness, time::Timestamp};

use super::{
    CredentialCopy, HeldCredential,
    cached_status::{CachedStatus, CopyState, FreshnessStatements, StapledStatement},
};

impl CredentialCopy {
    /// Returns the freshness statements; `None` if there are none, or the newest is not valid yet or expires very soon.
    pub fn current_statements(&self, now: Timestamp) -> Option<&FreshnessStatements> {
        let statement = self.status.as_ref()?.statement.as_ref()?;
        (statement.since <= now && now.plus(freshness::MIN_REMAINING_SECONDS) < statement.until).then_some(statement)
    }

    /// Returns the freshness statement for the verifier with the client id `asker` that accepts the age `max_age`, in
    /// seconds. A verifier that requested none (`None`) gets one only if this copy was already presented to it. `None`
    /// if no statement is new enough.
    pub fn statement_to_staple(&self, max_age: Option<u32>, asker: &str, now: Timestamp) -> Option<StapledStatement> {
        let has_seen = || self.presented_to.iter().any(|seen| seen == asker);
        let unasked = u32::try_from(freshness::DEFAULT_LIFETIME).ok().filter(|_| has_seen());
        self.current_statements(now)?.chosen(max_age.or(unasked)?, now)
    }

    /// Erases the freshness statements that have expired.
    pub fn erase_expired_statements(&mut self, now: Timestamp) {
        let is_over = self.current_statements(now).is_none();
        let Some(standing) = &mut self.status else { return };
        if is_over {
            standing.statement = None;
        } else if let Some(statement) = &mut standing.statement {
            statement.forget_stale(now);
        }
    }
}

impl CredentialCopy {
    /// Returns whether it can be presented and its issuer reported that the public status lists link it to other copies
    /// of its credential.
    pub fn is_linkable(&self) -> bool {
        self.is_presentable() && self.status.as_ref().is_some_and(|standing| standing.should_replace)
    }

    /// Returns whether it can be presented and should be replaced: it is linkable by the public status lists, or its
    /// issuer does not know its handle, as for copies older than handles (spec/status.md 4.11, spec/freshness.md 1.7).
    pub fn needs_replacement(&self) -> bool {
        let outdated = |standing: &CachedStatus| standing.should_replace || standing.state == CopyState::Unknown;
        self.is_presentable() && self.status.as_ref().is_some_and(outdated)
    }
}

impl HeldCredential {
    /// Returns whether a copy needs replacement.
    pub fn has_outdated_copies(&self) -> bool {
        self.copies.iter().any(CredentialCopy::needs_replacement)
    }

    /// Discards the copies that need replacement. Of those that were presented, the key is kept for erasure requests.
    pub fn discard_outdated(&mut self) {
        self.copies.retain(|copy| !(copy.needs_replacement() && copy.presented_to.is_empty()));
        self.copies.iter_mut().filter(|copy| copy.needs_replacement()).for_each(CredentialCopy::delete_text);
    }

    /// Returns the latest status of any copy, if it has a message of the issuer to the holder.
    pub fn issuer_message(&self) -> Option<&CachedStatus> {
        let said = self.copies.iter().filter_map(|copy| copy.status.as_ref());
        said.max_by_key(|standing| standing.requested_at).filter(|standing| !standing.message.is_empty())
    }

    /// Returns the latest status of any copy, if it is suspended or revoked.
    pub fn withdrawn_status(&self) -> Option<&CachedStatus> {
        let said = self.copies.iter().filter_map(|copy| copy.status.as_ref());
        let last = said.max_by_key(|standing| (standing.requested_at, standing.state))?;
        last.state.is_withdrawn().then_some(last)
    }

    /// Returns the number of unused copies with a freshness statement that is valid at `now`, and the earliest end of
    /// these statements.
    pub fn count_confirmed_copies(&self, now: Timestamp) -> (usize, Option<Timestamp>) {
        let unused = self.copies.iter().filter(|copy| copy.is_unused());
        let ends: Vec<Timestamp> =
            unused.filter_map(|copy| copy.current_statements(now).map(|statement| statement.until)).collect();
        (ends.len(), ends.into_iter().min())
    }
}

impl HeldCredential {
    /// Returns the index of the presentable copy that last disclosed the serial which the verifier has not reported as
    /// used; `None` if there is none.
    pub fn copy_with_pending_serial(&self, asker: &str) -> Option<usize> {
        let pending = self.serials.as_ref()?.pending_serial(asker)?;
        self.copies.iter().position(|copy| copy.is_presentable() && copy.serial_digest.as_deref() == Some(pending))
    }
}
