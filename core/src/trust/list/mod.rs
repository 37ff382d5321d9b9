//! Trust lists: accredited issuers and registrars, in a numbered and dated document that is signed by a quorum of
//! operators (spec/trust.md).
//!
//! Operators [draft](TrustList::draft) a list, [preview](TrustList::preview) it and [sign](TrustList::sign) it, one
//! after the other. A relying program pins the operators and [verifies](TrustList::verify) the list against the
//! [`AcceptedList`] that it accepted last, to prevent rollback. [`TrustList::decide`] then decides about one party, and
//! states the accreditation and the rule that decided; [`AccreditationQuestion::for_credential`] creates the question for a
//! credential; [`TrustListContents::differences_to`] compares two lists.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::{
    Code, Problem,
    did::{Did, DidUrl, Resolve},
    json,
    keys::Signer,
    time::Timestamp,
    trust::statement::{IssuerAndValidity, StatementKind, VerificationTime},
};

use self::proofs::ProofResults;

mod chain;
mod contents;
mod decision;
mod diff;
mod limits;
mod operators;
mod proofs;
#[cfg(test)]
mod tests;
mod timestamp;

pub use chain::AcceptedList;
pub use contents::{Accreditation, EarlierCredentials, EarlierList, TrustListContents, TrustListEntry, Withdrawal};
pub use decision::{AccreditationDecision, AccreditationQuestion, AccreditationRule, AccreditedAct};
pub use diff::{EntryChange, TrustListDifference};
pub use limits::LimitingClaims;
pub use operators::{CurrentOperators, NamedOperators, PinnedOperators};
pub use timestamp::ListTimestamp;

const LIST: StatementKind = StatementKind { type_name: "TrustList", invalid_code: Code::TrustListInvalid };
/// Maximum validity period of a list, in seconds. Without a limit, its end would protect nobody.
const MAX_VALIDITY: i64 = 366 * crate::day::SECONDS;

/// Pins and state of a relying program, against which a trust list is verified.
#[derive(Debug, Clone, Copy)]
pub struct TrustListAnchors<'a> {
    /// Pinned operators of the list.
    pub operators: &'a PinnedOperators,
    /// Newest list that was accepted before; `None` only if there was none.
    pub newest_accepted: Option<&'a AcceptedList>,
    /// Digest of a list that is accepted although it does not descend from the newest accepted one: a decision of the
    /// user, to recover from a wrong list. `None`: no exception.
    pub accepted_digest: Option<&'a str>,
    /// Time of verification.
    pub now: Timestamp,
    /// Tolerated clock skew, in seconds.
    pub skew: i64,
}

/// Verified trust list: signed by a quorum, within its validity period when it was verified, and no older than the
/// newest accepted one.
#[derive(Debug, Clone, PartialEq)]
pub struct TrustList {
    contents: TrustListContents,
    list_id: String,
    valid_from: Timestamp,
    valid_until: Timestamp,
    skew: i64,
    digest: String,
    signed_by: BTreeSet<String>,
    failed_proofs: BTreeMap<String, Problem>,
    /// Operators that this or an earlier list has named in place of the pinned ones.
    handover: Option<CurrentOperators>,
    /// `true` if a timestamp of this or an earlier list was accepted.
    timestamped: bool,
    fresh_until: Option<Timestamp>,
}

/// Content of a well-formed trust list with unverified signatures, for operators who sign or inspect it. Never base a
/// decision on it.
#[derive(Debug, Clone, PartialEq)]
pub struct UnverifiedTrustList {
    /// Content of the list.
    pub contents: TrustListContents,
    /// DID that identifies the list (its `issuer`).
    pub list_id: String,
    /// Start of the validity period.
    pub valid_from: Timestamp,
    /// End of the validity period, inclusive.
    pub valid_until: Timestamp,
    /// Its [digest](TrustList::digest).
    pub digest: String,
    /// DIDs that its proofs name as signers, unverified.
    pub claimed_signers: Vec<String>,
}

impl UnverifiedTrustList {
    /// Returns the identity of the list, to be stored after acceptance. It contains no timestamp and no operators.
    #[must_use]
    pub fn identity(&self) -> AcceptedList {
        AcceptedList::from_contents(&self.contents, &self.digest)
    }

    /// Returns the content from which the next list starts: this content with the next number and this list's digest.
    #[must_use]
    pub fn next_contents(&self) -> TrustListContents {
        self.contents.next_after(&self.digest)
    }
}

/// Well-formed list whose signatures are not verified.
struct ParsedTrustList {
    contents: TrustListContents,
    list_id: String,
    from: Timestamp,
    until: Timestamp,
    unsecured: Map<String, Value>,
    proofs: Vec<Value>,
}

impl TrustList {
    /// Creates an unsigned list. `list` is the DID that identifies it; it is valid from `from` to `until`, at most 366
    /// days. Issuers, registrars and timestamp signers are sorted.
    ///
    /// # Errors
    /// `trust_list_invalid` for content that exceeds a limit, `validity_reversed`, `date_malformed`.
    pub fn draft(
        list: &Did,
        contents: &TrustListContents,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Map<String, Value>, Problem> {
        let mut contents = contents.clone();
        contents.sort();
        let subject = serde_json::to_value(contents).map_err(|_| LIST.problem("its content cannot be written"))?;
        let document = LIST.unsigned_document(list, (from, Some(until)), subject)?;
        parse_list(&document)?;
        Ok(document)
    }

    /// Adds one operator's proof to a list, after the checks of [`Self::preview`], and returns the list with all
    /// proofs. `kid` is an Ed25519 verification method of the operator's DID.
    ///
    /// # Errors
    /// `trust_list_operator` if that key has already signed the list; those of [`Self::preview`]; `algorithm_mismatch`,
    /// `proof_generation`.
    pub fn sign(
        document: &Map<String, Value>,
        kid: &DidUrl,
        signer: &dyn Signer,
        now: Timestamp,
    ) -> Result<Map<String, Value>, Problem> {
        let draft = parse_list(document)?;
        proofs::add_operator_proof(&draft.unsecured, &draft.proofs, kid, signer, now)
    }

    /// Parses a list, and checks its structure and limits. Signatures and the current time are not checked.
    ///
    /// # Errors
    /// `trust_list_invalid`, and those of [`crate::credential::Credential::parse`].
    pub fn preview(document: &Map<String, Value>) -> Result<UnverifiedTrustList, Problem> {
        let ParsedTrustList { contents, list_id: list, from, until, unsecured, proofs } = parse_list(document)?;
        let signer = |proof| proofs::claimed_method(proof).ok().map(|method| method.did().to_string());
        let proofs_by = proofs.iter().filter_map(signer).collect();
        let (valid_from, valid_until) = (from, until);
        Ok(UnverifiedTrustList {
            contents,
            list_id: list,
            valid_from,
            valid_until,
            digest: digest(&unsecured)?,
            claimed_signers: proofs_by,
        })
    }

    /// Verifies a list: signed by a quorum of the operators, within its validity period, and a successor of the newest
    /// accepted list. Its text should be parsed with [`Limits::STATUS_LIST`](json::Limits::STATUS_LIST).
    ///
    /// # Errors
    /// `trust_list_invalid`; `proof_missing`; `trust_list_quorum` (valid proofs of too few operators), or
    /// `did_unresolved` or `not_yet_valid` if further proofs could become valid later; `proof_malformed` (too many
    /// proofs); `expired`, `not_yet_valid`; those of [`AcceptedList::check_successor`] and
    /// [`crate::credential::Credential::parse`].
    pub fn verify(
        document: &Map<String, Value>,
        pinned: &TrustListAnchors<'_>,
        resolver: &dyn Resolve,
    ) -> Result<Self, Problem> {
        let list = Self::verify_signed(document, pinned, resolver)?;
        list.clock(pinned.now).require_not_expired(list.valid_until, "the trust list's validUntil")?;
        Ok(list)
    }

    /// Verifies an earlier list that named other operators and that the program missed, and returns its identity, to be
    /// given to the verification of a later list. The list may have expired.
    ///
    /// # Errors
    /// Those of [`Self::verify`]; `trust_list_invalid` if it does not name operators.
    pub fn verify_handover(
        document: &Map<String, Value>,
        pinned: &TrustListAnchors<'_>,
        resolver: &dyn Resolve,
    ) -> Result<AcceptedList, Problem> {
        let list = Self::verify_signed(document, pinned, resolver)?;
        LIST.require(list.contents.operators.is_some(), "operators", "are not in the list that should name them")?;
        Ok(list.identity())
    }

    /// Verifies a list as [`Self::verify`] does, except for the end of its validity period.
    fn verify_signed(
        document: &Map<String, Value>,
        pinned: &TrustListAnchors<'_>,
        resolver: &dyn Resolve,
    ) -> Result<Self, Problem> {
        let ParsedTrustList { contents, list_id: list, from, until, unsecured, proofs } = parse_list(document)?;
        if list != pinned.operators.list_id {
            return Err(LIST.problem("it is not the pinned list"));
        }
        let clock = VerificationTime { now: pinned.now, skew: pinned.skew };
        let digest = digest(&unsecured)?;
        // A list that is accepted by its digest is verified with the pinned operators only.
        let accepted = pinned.accepted_digest == Some(digest.as_str());
        let seen = pinned.newest_accepted.filter(|_| !accepted);
        let deciding = pinned.operators.deciding(seen.and_then(|seen| seen.operators.as_ref()));
        let ProofResults { signed: signed_by, failed } =
            proofs::verify_proofs(&unsecured, &proofs, &deciding, clock, resolver)?;
        if let Some(named) = contents.operators.as_ref().filter(|named| !deciding.match_named(named)) {
            // New operators must sign too, so that none is named without knowing it or without having the key.
            let named = PinnedOperators::from_named(&list, named)?;
            proofs::verify_proofs(&unsecured, &proofs, &named, clock, resolver).map_err(|problem| {
                Problem::new(problem.code, format!("of the operators that it names: {}", problem.detail))
            })?;
        }
        clock.require_past(from, "the trust list's validFrom")?;
        pinned.operators.check_min_sequence(&contents)?;
        match seen {
            _ if accepted => {}
            Some(seen) => seen.check_successor(&contents, &digest)?,
            None => pinned.operators.check_first_sequence(&contents)?,
        }
        let (valid_from, valid_until) = (from, until);
        let handover =
            pinned.operators.handover(contents.operators.as_ref(), seen.and_then(|seen| seen.operators.as_ref()));
        let stamped = pinned.newest_accepted.is_some_and(|seen| seen.timestamped);
        let (skew, fresh_until) = (pinned.skew, None);
        Ok(Self {
            contents,
            list_id: list,
            valid_from,
            valid_until,
            skew,
            digest,
            signed_by,
            failed_proofs: failed,
            handover,
            timestamped: stamped,
            fresh_until,
        })
    }

    /// Returns the content of the list.
    #[must_use]
    pub fn contents(&self) -> &TrustListContents {
        &self.contents
    }

    /// Returns the DID that identifies the list.
    #[must_use]
    pub fn list_id(&self) -> &str {
        &self.list_id
    }

    /// Returns the start of the validity period.
    #[must_use]
    pub fn valid_from(&self) -> Timestamp {
        self.valid_from
    }

    /// Returns the end of the validity period, inclusive.
    #[must_use]
    pub fn valid_until(&self) -> Timestamp {
        self.valid_until
    }

    /// Returns the DIDs of the operators with a valid proof.
    pub fn signed_by(&self) -> impl Iterator<Item = &str> {
        self.signed_by.iter().map(String::as_str)
    }

    /// Returns the operators without a valid proof but with invalid ones, and the first error of each. These proofs
    /// were not counted for the quorum.
    pub fn failed_proofs(&self) -> impl Iterator<Item = (&str, &Problem)> {
        self.failed_proofs.iter().map(|(operator, problem)| (operator.as_str(), problem))
    }

    /// Returns the base64url SHA-256 of the list's RFC 8785 text without proofs: a further signature does not change
    /// it.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Returns the identity of the list. It must be stored durably before any decision depends on the list.
    #[must_use]
    pub fn identity(&self) -> AcceptedList {
        AcceptedList {
            timestamped: self.timestamped,
            operators: self.handover.clone(),
            ..AcceptedList::from_contents(&self.contents, &self.digest)
        }
    }

    /// Returns the content from which the next list starts: this content with the next number and this list's digest.
    #[must_use]
    pub fn next_contents(&self) -> TrustListContents {
        self.contents.next_after(&self.digest)
    }

    fn clock(&self, now: Timestamp) -> VerificationTime {
        VerificationTime { now, skew: self.skew }
    }
}

/// Parses a list, and checks its structure and limits.
fn parse_list(document: &Map<String, Value>) -> Result<ParsedTrustList, Problem> {
    let IssuerAndValidity { issuer: list, valid_from: from, valid_until: until } =
        LIST.check_common_members(document)?;
    LIST.check_did(&list, "its issuer")?;
    let until = until.ok_or_else(|| LIST.problem("it has no validUntil"))?;
    LIST.require(until <= from.plus(MAX_VALIDITY), "its validity", "is longer than 366 days")?;
    let mut unsecured = document.clone();
    let proofs = match unsecured.remove("proof") {
        None => Vec::new(),
        Some(Value::Array(many)) => many,
        Some(one) => vec![one],
    };
    let contents: TrustListContents =
        LIST.parse_subject(unsecured.get("credentialSubject").cloned().unwrap_or_default())?;
    contents.check_limits(&LIST)?;
    Ok(ParsedTrustList { contents, list_id: list, from, until, unsecured, proofs })
}

fn digest(unsecured: &Map<String, Value>) -> Result<String, Problem> {
    Ok(URL_SAFE_NO_PAD.encode(Sha256::digest(json::canonicalize_object(unsecured)?)))
}
