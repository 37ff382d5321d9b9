//! Limits on fetches of a signer's DID document that are caused by signed lists with an unknown key.
//!
//! A signer could otherwise cause any number of fetches. Permitted are one per list, at most one in 30 seconds per
//! party, and fewer while they change nothing.

use std::collections::{HashMap, VecDeque};

use carnet_core::{Code, time::Timestamp};
use sha2::{Digest as _, Sha256};

/// Initial minimum time between two fetches for one party, in seconds.
const MIN_DELAY: i64 = 30;
/// Maximum of that time, in seconds: after it, documents are fetched regularly anyway.
const MAX_DELAY: i64 = 600;
/// Maximum number of lists remembered per party: as many as a verifier stores (spec/status.md 5.11).
const MAX_REMEMBERED_LISTS: usize = 384;

/// SHA-256 of a fetched status list or trust list.
pub(crate) type ListDigest = [u8; 32];

/// Computes the digest of a fetched list.
pub(crate) fn list_digest(list: &[u8]) -> ListDigest {
    Sha256::digest(list).into()
}

/// Returns whether a list that was refused with this code might be valid with a newer document of the signer. A revoked
/// key is excluded, as revocation is permanent.
pub(crate) fn may_need_newer_document(code: Code) -> bool {
    matches!(
        code,
        Code::MethodUnknown
            | Code::MethodRelationship
            | Code::StatusListIssuer
            // The signer's document is not available yet.
            | Code::StatusListUnavailable
            // The id may refer to another key by now.
            | Code::SignatureInvalid
            | Code::AlgorithmMismatch
    )
}

/// Rate limits of fetches by party: the DID of an issuer, or the name of a trust list.
#[derive(Default)]
pub(crate) struct KeyFetchLimits(HashMap<String, PartyLimit>);

/// Rate limit of one party.
struct PartyLimit {
    /// Earliest time of the next fetch.
    next: Timestamp,
    /// Current minimum time between two fetches, in seconds.
    pause: i64,
    /// Lists that have caused a fetch, oldest first.
    lists: VecDeque<ListDigest>,
}

impl KeyFetchLimits {
    /// Returns whether a fetch for this list is permitted, and counts it if so: once per list, and within the party's
    /// rate limit, whose delay doubles with each fetch. A list that was refused for the rate limit may be tried again.
    pub(crate) fn admit_fetch(&mut self, party: &str, list: ListDigest, now: Timestamp) -> bool {
        let fresh = || PartyLimit { next: now, pause: MIN_DELAY, lists: VecDeque::new() };
        let pace = self.0.entry(party.to_owned()).or_insert_with(fresh);
        // After the clock was set back, `next` may be far in the future.
        let early = now < pace.next && pace.next <= now.plus(MAX_DELAY);
        if early || pace.lists.contains(&list) {
            return false;
        }
        if pace.lists.len() >= MAX_REMEMBERED_LISTS {
            pace.lists.pop_front();
        }
        pace.lists.push_back(list);
        pace.next = now.plus(pace.pause);
        pace.pause = pace.pause.saturating_mul(2).min(MAX_DELAY);
        true
    }

    /// Permits another fetch for a list after one failed; the delay remains.
    pub(crate) fn permit_retry(&mut self, party: &str, list: &ListDigest) {
        if let Some(pace) = self.0.get_mut(party) {
            pace.lists.retain(|caused| caused != list);
        }
    }

    /// Resets the delay to its minimum, because the party's document changed.
    pub(crate) fn reset_delay(&mut self, party: &str) {
        if let Some(pace) = self.0.get_mut(party) {
            pace.pause = MIN_DELAY;
        }
    }

    /// Removes all parties for which `keep` returns `false`.
    pub(crate) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.0.retain(|party, _| keep(party));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_795_305_600);

    #[test]
    fn row_103_a_list_causes_one_fetch_and_a_party_at_most_one_in_thirty_seconds() {
        let mut lookups = KeyFetchLimits::default();
        let (first, second) = (list_digest(b"first"), list_digest(b"second"));
        assert!(lookups.admit_fetch("a", first, NOW));
        assert!(!lookups.admit_fetch("a", second, NOW.plus(29)));
        // A list that was too early is admitted later; one that caused a fetch is never admitted again.
        assert!(lookups.admit_fetch("a", second, NOW.plus(30)));
        assert!(!lookups.admit_fetch("a", first, NOW.plus(86_400)));
        // Each party has its own limits.
        assert!(lookups.admit_fetch("b", first, NOW));
        lookups.permit_retry("a", &first);
        assert!(lookups.admit_fetch("a", first, NOW.plus(86_400)));
        lookups.retain(|party| party == "b");
        assert!(lookups.admit_fetch("a", first, NOW) && !lookups.admit_fetch("b", first, NOW.plus(60)));
    }

    #[test]
    fn fetches_that_bring_nothing_come_ever_later_up_to_ten_minutes() {
        let mut lookups = KeyFetchLimits::default();
        let mut at = NOW;
        let mut pauses = Vec::new();
        for number in 0..8_u8 {
            let list = list_digest(&[number]);
            let before = at;
            while !lookups.admit_fetch("a", list, at) {
                at = at.plus(1);
            }
            pauses.push(at.unix() - before.unix());
        }
        assert_eq!(pauses, [0, 30, 60, 120, 240, 480, 600, 600]);
        // A fetch with a new document resets the pause, and never below its minimum.
        lookups.reset_delay("a");
        assert!(
            !lookups.admit_fetch("a", list_digest(b"x"), at.plus(599))
                && lookups.admit_fetch("a", list_digest(b"x"), at.plus(600))
        );
        let at = at.plus(600);
        assert!(
            !lookups.admit_fetch("a", list_digest(b"y"), at.plus(29))
                && lookups.admit_fetch("a", list_digest(b"y"), at.plus(30))
        );
        // A clock that was set back blocks no fetch.
        assert!(lookups.admit_fetch("a", list_digest(b"z"), NOW.plus(-86_400)));
    }

    #[test]
    fn what_is_remembered_of_a_party_is_bounded() {
        let mut lookups = KeyFetchLimits::default();
        for number in 0..2_000_u32 {
            let at = NOW.plus(i64::from(number) * MAX_DELAY);
            assert!(lookups.admit_fetch("a", list_digest(&number.to_be_bytes()), at));
        }
        assert_eq!(lookups.0["a"].lists.len(), MAX_REMEMBERED_LISTS);
    }

    #[test]
    fn what_a_revoked_key_signed_is_no_reason_to_look() {
        for code in [Code::MethodUnknown, Code::StatusListIssuer, Code::StatusListUnavailable] {
            assert!(may_need_newer_document(code), "{code}");
        }
        for code in [Code::KeyInvalid, Code::StatusListStale, Code::StatusListMismatch, Code::TooLarge] {
            assert!(!may_need_newer_document(code), "{code}");
        }
    }
}
