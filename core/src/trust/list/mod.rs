//! Trust lists: who may issue what, and who may register askers, in one numbered and dated document that a quorum of
//! operators has signed (spec/trust.md).
//!
//! Operators [draft](TrustList::draft) a list, [look](TrustList::preview) at what it says and [sign](TrustList::sign) it,
//! one after the other. Whoever relies on it
//! pins the operators and [verifies](TrustList::verify) it, given the [`Seen`] of the last one, so that nobody can
//! bring an older one back. [`TrustList::why`] then decides about one party, and says by which entry and rule;
//! [`Question::about`] is what to ask of a credential; [`Contents::diff`] tells two lists apart.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::{
    Code, Problem,
    did::{Did, DidUrl, Resolve},
    json,
    keys::Signer,
    time::Timestamp,
    trust::statement::{Clock, Form, Kind},
};

use self::proofs::Signatures;

mod contents;
mod diff;
mod proofs;
mod relied;
#[cfg(test)]
mod tests;
mod why;

pub use contents::{Accreditation, Contents, EarlierCredentials, Entry, Withdrawal};
pub use diff::{Change, Difference};
pub use relied::LimitingClaims;
pub use why::{Act, Question, Rule, Why};

const LIST: Kind = Kind { type_name: "TrustList", invalid: Code::TrustListInvalid };
/// The most operators of one list.
const MAX_OPERATORS: usize = 16;
/// The longest time for which a list holds, in seconds. Without a bound, its end would protect nobody.
const MAX_VALIDITY: i64 = 366 * 86_400;

/// The operators of one list, as they are pinned by whoever relies on it, and how many of them must have signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operators {
    list: String,
    operators: BTreeSet<String>,
    quorum: usize,
}

impl Operators {
    /// Pins `quorum` of `operators` (DIDs, at most 16, each once) for the list that has the DID `list` as its issuer.
    /// A quorum of more than half keeps two halves of the operators from signing two lists of one number.
    ///
    /// # Errors
    /// `did_malformed`; `malformed_value` for no, too many or repeated operators, or a quorum that is not 1 to their
    /// number.
    pub fn pin<'a>(list: &str, operators: impl IntoIterator<Item = &'a str>, quorum: usize) -> Result<Self, Problem> {
        let list = Did::parse(list)?.to_string();
        let mut pinned = BTreeSet::new();
        for operator in operators {
            if !pinned.insert(Did::parse(operator)?.to_string()) {
                return Err(Problem::new(Code::MalformedValue, "an operator of a trust list is pinned twice"));
            }
        }
        if pinned.len() > MAX_OPERATORS {
            return Err(Problem::new(Code::MalformedValue, format!("there are more than {MAX_OPERATORS} operators")));
        }
        if !(1..=pinned.len()).contains(&quorum) {
            return Err(Problem::new(Code::MalformedValue, "the quorum is not 1 to the number of operators"));
        }
        Ok(Self { list, operators: pinned, quorum })
    }
}

/// What to remember of the newest list that was ever accepted; one that is older, or another of its number, is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// Its number.
    pub sequence: u64,
    /// Its [digest](TrustList::digest).
    pub digest: String,
}

/// What a list must be.
#[derive(Debug, Clone, Copy)]
pub struct Pinned<'a> {
    /// Whose list, and signed by whom.
    pub operators: &'a Operators,
    /// The newest one that was accepted before; `None` only if there never was one.
    pub seen: Option<&'a Seen>,
    /// The time.
    pub now: Timestamp,
    /// How far clocks may differ, in seconds.
    pub skew: i64,
}

/// A trust list that holds: a quorum has signed it, its time it was, and it is not older than what was seen before.
#[derive(Debug, Clone, PartialEq)]
pub struct TrustList {
    contents: Contents,
    list: String,
    valid_from: Timestamp,
    valid_until: Timestamp,
    skew: i64,
    digest: String,
    signed_by: BTreeSet<String>,
    failed: BTreeMap<String, Problem>,
}

/// What a list says whose form holds, for those who are to sign or to read it. Nothing is known of its signatures: never
/// decide by it.
#[derive(Debug, Clone, PartialEq)]
pub struct Preview {
    /// What it says.
    pub contents: Contents,
    /// The DID that names the list.
    pub list: String,
    /// From when it holds.
    pub valid_from: Timestamp,
    /// The last instant at which it holds.
    pub valid_until: Timestamp,
    /// Its [digest](TrustList::digest).
    pub digest: String,
    /// The DIDs that its proofs name, which need not be whose they are.
    pub proofs_by: Vec<String>,
}

impl Preview {
    /// The content that the next list starts from: this one's, with the next number and this one's digest.
    #[must_use]
    pub fn successor(&self) -> Contents {
        self.contents.followed_by(&self.digest)
    }
}

/// A list whose form holds; nobody need have signed it.
struct Draft {
    contents: Contents,
    list: String,
    from: Timestamp,
    until: Timestamp,
    unsecured: Map<String, Value>,
    proofs: Vec<Value>,
}

impl TrustList {
    /// A list that nobody has signed yet: `list` is the DID that names it, from `from` to `until`, at most 366 days
    /// later. Its entries are put in order.
    ///
    /// # Errors
    /// `trust_list_invalid` for content that is out of bounds, `validity_reversed`, `date_malformed`.
    pub fn draft(
        list: &Did,
        contents: &Contents,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Map<String, Value>, Problem> {
        let mut contents = contents.clone();
        contents.sort();
        let subject = serde_json::to_value(contents).map_err(|_| LIST.problem("its content cannot be written"))?;
        let document = LIST.unsigned(list, (from, Some(until)), subject)?;
        read(&document)?;
        Ok(document)
    }

    /// Adds one operator's signature to a list. `kid` is a verification method of the operator's DID, of an Ed25519 key.
    /// What is signed is what [`Self::preview`] shows.
    ///
    /// # Errors
    /// `trust_list_operator` if that key has signed it already; what [`Self::preview`] refuses;
    /// `algorithm_mismatch`, `proof_generation`.
    pub fn sign(
        document: &Map<String, Value>,
        kid: &DidUrl,
        signer: &dyn Signer,
        now: Timestamp,
    ) -> Result<Map<String, Value>, Problem> {
        let draft = read(document)?;
        proofs::sign(&draft.unsecured, &draft.proofs, kid, signer, now)
    }

    /// What a list says, whoever has signed it.
    ///
    /// # Errors
    /// `trust_list_invalid`, and what [`crate::credential::Credential::parse`] refuses.
    pub fn preview(document: &Map<String, Value>) -> Result<Preview, Problem> {
        let Draft { contents, list, from, until, unsecured, proofs } = read(document)?;
        let signer = |proof| proofs::named_method(proof).ok().map(|method| method.did().to_string());
        let proofs_by = proofs.iter().filter_map(signer).collect();
        let (valid_from, valid_until) = (from, until);
        Ok(Preview { contents, list, valid_from, valid_until, digest: digest(&unsecured)?, proofs_by })
    }

    /// Verifies a list. Read its text with [`Limits::LIST`](json::Limits::LIST).
    ///
    /// # Errors
    /// `trust_list_invalid`; `proof_missing`; `trust_list_quorum` (too few operators have a proof that holds), or
    /// `did_unresolved` or `not_yet_valid` where proofs could make up for it later; `proof_malformed` (too many proofs);
    /// `expired`, `not_yet_valid`; `trust_list_rollback` (older than the one seen), `trust_list_conflict` (another of the
    /// same number, or one that does not follow the one seen); what [`crate::credential::Credential::parse`] refuses.
    pub fn verify(document: &Map<String, Value>, pinned: &Pinned<'_>, resolver: &dyn Resolve) -> Result<Self, Problem> {
        let Draft { contents, list, from, until, unsecured, proofs } = read(document)?;
        if list != pinned.operators.list {
            return Err(LIST.problem("it is another list than the one that is pinned here"));
        }
        let clock = Clock { now: pinned.now, skew: pinned.skew };
        let Signatures { by: signed_by, failed } =
            proofs::verify(&unsecured, &proofs, pinned.operators, clock, resolver)?;
        clock.has_come(from, "the trust list's validFrom")?;
        clock.has_not_passed(until, "the trust list's validUntil")?;
        let digest = digest(&unsecured)?;
        if let Some(seen) = pinned.seen {
            follows(&contents, &digest, seen)?;
        }
        let (valid_from, valid_until) = (from, until);
        Ok(Self { contents, list, valid_from, valid_until, skew: pinned.skew, digest, signed_by, failed })
    }

    /// What it says.
    #[must_use]
    pub fn contents(&self) -> &Contents {
        &self.contents
    }

    /// The DID that names the list.
    #[must_use]
    pub fn list(&self) -> &str {
        &self.list
    }

    /// From when it holds.
    #[must_use]
    pub fn valid_from(&self) -> Timestamp {
        self.valid_from
    }

    /// The last instant at which it holds.
    #[must_use]
    pub fn valid_until(&self) -> Timestamp {
        self.valid_until
    }

    /// The DIDs of the operators who signed it.
    pub fn signed_by(&self) -> impl Iterator<Item = &str> {
        self.signed_by.iter().map(String::as_str)
    }

    /// The pinned operators with proofs that do not hold, and why. They count for nothing; the others were enough.
    pub fn failed_proofs(&self) -> impl Iterator<Item = (&str, &Problem)> {
        self.failed.iter().map(|(operator, problem)| (operator.as_str(), problem))
    }

    /// base64url of SHA-256 over its RFC 8785 text without proofs: one more signature does not make it another list.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// What to remember of it, durably and before anything is decided by it.
    #[must_use]
    pub fn seen(&self) -> Seen {
        Seen { sequence: self.contents.sequence, digest: self.digest.clone() }
    }

    /// The content that the next list starts from: this one's, with the next number and this one's digest.
    #[must_use]
    pub fn successor(&self) -> Contents {
        self.contents.followed_by(&self.digest)
    }

    fn clock(&self, now: Timestamp) -> Clock {
        Clock { now, skew: self.skew }
    }
}

/// Holds a document to the form of a list.
fn read(document: &Map<String, Value>) -> Result<Draft, Problem> {
    let Form { issuer: list, from, until } = LIST.form(document)?;
    LIST.did(&list, "its issuer")?;
    let until = until.ok_or_else(|| LIST.problem("it has no validUntil"))?;
    LIST.require(until <= from.plus(MAX_VALIDITY), "its validity", "is longer than 366 days")?;
    let mut unsecured = document.clone();
    let proofs = match unsecured.remove("proof") {
        None => Vec::new(),
        Some(Value::Array(many)) => many,
        Some(one) => vec![one],
    };
    let contents: Contents = LIST.subject(unsecured.get("credentialSubject").cloned().unwrap_or_default())?;
    contents.check(&LIST)?;
    Ok(Draft { contents, list, from, until, unsecured, proofs })
}

fn digest(unsecured: &Map<String, Value>) -> Result<String, Problem> {
    Ok(URL_SAFE_NO_PAD.encode(Sha256::digest(json::canonicalize_object(unsecured)?)))
}

/// Holds a list against the newest that was seen before. Some between the two may have been missed.
fn follows(contents: &Contents, digest: &str, seen: &Seen) -> Result<(), Problem> {
    let conflict = |what: &str| Err(Problem::new(Code::TrustListConflict, what));
    if contents.sequence < seen.sequence {
        let (old, newest) = (contents.sequence, seen.sequence);
        return Err(Problem::new(Code::TrustListRollback, format!("it is number {old}, and {newest} was seen before")));
    }
    if contents.sequence == seen.sequence && digest != seen.digest {
        return conflict("another list with the same number was seen before");
    }
    if Some(contents.sequence) == seen.sequence.checked_add(1) && contents.previous.as_deref() != Some(&seen.digest) {
        return conflict("it does not follow the list that was seen before");
    }
    Ok(())
}
