//! Differences between two trust lists.

use std::{cmp::Ordering, fmt};

use super::{TrustListContents, TrustListEntry};

/// Party whose entries in two lists differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrustListDifference<'a> {
    /// `true` if the party is listed as a registrar, otherwise as an issuer. A DID that is both has two differences.
    pub is_registrar: bool,
    /// Change of the party's entry.
    pub change: EntryChange<'a>,
}

/// Change of an entry between two lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryChange<'a> {
    /// Only the later list has the entry.
    Added(&'a TrustListEntry),
    /// Only the earlier list has the entry.
    Removed(&'a TrustListEntry),
    /// The entries differ.
    Changed {
        /// Entry in the earlier list.
        before: &'a TrustListEntry,
        /// Entry in the later list.
        after: &'a TrustListEntry,
    },
}

impl TrustListDifference<'_> {
    /// Returns the party's DID.
    #[must_use]
    pub fn party_id(&self) -> &str {
        match &self.change {
            EntryChange::Added(entry) | EntryChange::Removed(entry) | EntryChange::Changed { after: entry, .. } => {
                &entry.id
            }
        }
    }

    /// Returns whether the later list rewrites history: an accreditation was removed or, except for its end and a new
    /// withdrawal, changed; or the withdrawal or the end of a withdrawn one was changed. Operators should sign such a
    /// list only to correct an error.
    #[must_use]
    pub fn rewrites_history(&self) -> bool {
        match &self.change {
            EntryChange::Added(_) => false,
            EntryChange::Removed(_) => true,
            EntryChange::Changed { before, after } => !before.accreditations.iter().all(|old| {
                after.accreditations.iter().any(|new| {
                    let same = (&old.types, &old.jurisdictions, old.max_level, old.from, old.epoch)
                        == (&new.types, &new.jurisdictions, new.max_level, new.from, new.epoch);
                    same && (old.withdrawal.is_none() || (&old.withdrawal, old.until) == (&new.withdrawal, new.until))
                })
            }),
        }
    }
}

impl fmt::Display for TrustListDifference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, entry) = match self.change {
            EntryChange::Added(entry) => ("added", entry),
            EntryChange::Removed(entry) => ("removed", entry),
            EntryChange::Changed { after, .. } => ("changed", after),
        };
        let role = if self.is_registrar { "registrar" } else { "issuer" };
        write!(f, "{what}: {role} {} ({})", entry.id, entry.name)?;
        if self.rewrites_history() { f.write_str("; its history has changed") } else { Ok(()) }
    }
}

impl TrustListContents {
    /// Returns the differences of `later` from this list: first the issuers, then the registrars, each by DID.
    #[must_use]
    pub fn differences_to<'a>(&'a self, later: &'a Self) -> Vec<TrustListDifference<'a>> {
        diff(self, later)
    }
}

fn diff<'a>(before: &'a TrustListContents, after: &'a TrustListContents) -> Vec<TrustListDifference<'a>> {
    let mut found = Vec::new();
    for (registrar, before, after) in
        [(false, &before.issuers, &after.issuers), (true, &before.registrars, &after.registrars)]
    {
        found.extend(
            changes(before, after).into_iter().map(|change| TrustListDifference { is_registrar: registrar, change }),
        );
    }
    found
}

/// Compares two slices of entries in ascending order of their ids.
fn changes<'a>(before: &'a [TrustListEntry], after: &'a [TrustListEntry]) -> Vec<EntryChange<'a>> {
    let mut found = Vec::new();
    let (mut old, mut new) = (before.iter().peekable(), after.iter().peekable());
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return found,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(old), Some(new)) => old.id.cmp(&new.id),
        };
        let was = if order.is_le() { old.next() } else { None };
        let is = if order.is_ge() { new.next() } else { None };
        match (was, is) {
            (Some(before), Some(after)) if before != after => found.push(EntryChange::Changed { before, after }),
            (Some(entry), None) => found.push(EntryChange::Removed(entry)),
            (None, Some(entry)) => found.push(EntryChange::Added(entry)),
            _ => {}
        }
    }
}
