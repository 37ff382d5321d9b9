//! Timestamps: short-lived statements that a list is the newest one, signed by the timestamp signers that the list
//! names (spec/trust.md section 10).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{TrustList, UnverifiedTrustList};
use crate::{
    Code, Problem,
    did::{Did, DidUrl, SelfContainedResolver},
    keys::Signer,
    time::Timestamp,
    trust::statement::{StatementKind, VerificationTime, VerifiedStatement},
};

const TIMESTAMP: StatementKind =
    StatementKind { type_name: "TrustListTimestamp", invalid_code: Code::TrustListTimestamp };
/// Maximum validity period of a timestamp, in seconds: seven days.
const MAX_VALIDITY: i64 = 7 * crate::day::SECONDS;
/// Maximum number of timestamp signers of a list.
const MAX_SIGNERS: usize = 16;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TimestampSubject {
    /// DID that identifies the list.
    list: String,
    sequence: u64,
    digest: String,
}

/// Verified timestamp of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListTimestamp {
    digest: String,
    signer: String,
    valid_until: Timestamp,
}

impl ListTimestamp {
    /// Signs a timestamp of a list, valid from `from` to `until`. The signatures of the list are not verified.
    ///
    /// # Errors
    /// `trust_list_timestamp` if the list does not name the key's DID as a timestamp signer, or the period exceeds
    /// seven days; those of signing.
    pub fn sign(
        list: &UnverifiedTrustList,
        (from, until): (Timestamp, Timestamp),
        kid: &DidUrl,
        signer: &dyn Signer,
    ) -> Result<Map<String, Value>, Problem> {
        require_signer(&list.contents.timestamp_signers, kid.did().as_str())?;
        check_validity(from, until)?;
        let (sequence, digest) = (list.contents.sequence, list.digest.clone());
        let subject = TimestampSubject { list: list.list_id.clone(), sequence, digest };
        TIMESTAMP.sign(&subject, (from, Some(until)), kid, signer)
    }

    /// Verifies a timestamp of `list` by one of its timestamp signers. Nothing is fetched: their DIDs contain their
    /// keys (did:key, did:jwk).
    ///
    /// # Errors
    /// `trust_list_timestamp` if it is for another list, by another signer, or for more than seven days; `expired`,
    /// `not_yet_valid`; those of verifying a statement.
    pub fn verify(document: &Map<String, Value>, list: &TrustList, now: Timestamp) -> Result<Self, Problem> {
        let named = |issuer: &str| require_signer(&list.contents.timestamp_signers, issuer);
        let clock = VerificationTime { now, skew: list.skew };
        let VerifiedStatement { issuer, subject, valid_from: from, valid_until: until } =
            TIMESTAMP.verify::<TimestampSubject>(document, named, clock, &SelfContainedResolver)?;
        let valid_until = until.ok_or_else(|| TIMESTAMP.problem("it has no validUntil"))?;
        check_validity(from, valid_until)?;
        let TimestampSubject { list: name, sequence, digest } = subject;
        if name != list.list_id || sequence != list.contents.sequence || digest != list.digest {
            return Err(TIMESTAMP.problem(format!("it is for list {sequence} ({digest}), not for this one")));
        }
        Ok(Self { digest, signer: issuer, valid_until })
    }

    /// Returns the URL or path of a list's timestamp: `trust-list.timestamp.json` for `trust-list.json`.
    #[must_use]
    pub fn timestamp_url(list: &str) -> String {
        let query = list.find('?').filter(|_| list.contains("://")).unwrap_or(list.len());
        let (place, query) = list.split_at(query);
        format!("{}.timestamp.json{query}", place.strip_suffix(".json").unwrap_or(place))
    }

    /// Returns the DID of the timestamp signer.
    #[must_use]
    pub fn signer(&self) -> &str {
        &self.signer
    }

    /// Returns the end of the validity period, inclusive.
    #[must_use]
    pub fn valid_until(&self) -> Timestamp {
        self.valid_until
    }
}

fn require_signer(named: &[String], did: &str) -> Result<(), Problem> {
    TIMESTAMP.require(named.iter().any(|known| known == did), "its signer", "is not named by the list")
}

fn check_validity(from: Timestamp, until: Timestamp) -> Result<(), Problem> {
    TIMESTAMP.require(until <= from.plus(MAX_VALIDITY), "its validity", "is longer than seven days")
}

/// Checks timestamp signers: did:key or did:jwk DIDs, which need no fetch, in ascending order without duplicates.
pub(super) fn check_timestamp_signers(kind: &StatementKind, signers: &[String]) -> Result<(), Problem> {
    if signers.is_empty() {
        return Ok(());
    }
    kind.check_count(signers.len(), 1..=MAX_SIGNERS, "timestamp_signers")?;
    let carries = |did: &String| Did::parse(did).is_ok_and(|did| did.is_self_contained());
    let ordered = signers.is_sorted_by(|one, next| one < next);
    kind.require(
        ordered && signers.iter().all(carries),
        "timestamp_signers",
        "are not did:key or did:jwk DIDs in ascending order without duplicates",
    )
}

impl TrustList {
    /// Returns whether the list names timestamp signers.
    #[must_use]
    pub fn names_timestamp_signers(&self) -> bool {
        !self.contents.timestamp_signers.is_empty()
    }

    /// Records a timestamp of this list; one of another list is ignored. Once any timestamp was accepted, a list with
    /// timestamp signers is usable only while it has a valid timestamp.
    pub fn add_timestamp(&mut self, timestamp: &ListTimestamp) {
        if timestamp.digest == self.digest {
            self.timestamped = true;
            self.fresh_until = self.fresh_until.max(Some(timestamp.valid_until));
        }
    }

    /// Returns the end of validity of the newest timestamp, inclusive; `None` without a timestamp.
    #[must_use]
    pub fn timestamp_valid_until(&self) -> Option<Timestamp> {
        self.fresh_until
    }

    /// Checks that the list has a valid timestamp, if it needs one.
    ///
    /// # Errors
    /// `trust_list_stale` if it has none.
    pub fn require_timestamp(&self, now: Timestamp) -> Result<(), Problem> {
        if !self.timestamped || !self.names_timestamp_signers() {
            return Ok(());
        }
        let clock = self.clock(now);
        match self.fresh_until {
            Some(until) if clock.require_not_expired(until, "").is_ok() => Ok(()),
            Some(until) => {
                Err(Problem::new(Code::TrustListStale, format!("the trust list's timestamp expired at {until}")))
            }
            None => Err(Problem::new(Code::TrustListStale, "the trust list has no valid timestamp")),
        }
    }
}
