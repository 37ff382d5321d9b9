//! What one desk tells the others: its marks, signed with the key of the DID that they share (spec/entitlement.md section 5).
//!
//! The first line is a JWS over the digest of all others; each other line is one mark.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use carnet_core::{
    Code, Problem,
    did::{DidUrl, Purpose, Resolve},
    secure::jose::{self, Jws, KeyRef, numeric_date},
    time::Timestamp,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Mark, is_desk};
use crate::verifier::Identity;

const TYP: &str = "carnet-redemptions+jwt";

/// The most bytes of a file.
pub(crate) const MAX_BYTES: u64 = 67_108_864;

/// One desk's marks that are not erased.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Export {
    pub(crate) desk: String,
    /// Rising with each export of that desk.
    pub(crate) number: u64,
    pub(crate) made_at: Timestamp,
    /// The number of its last mark, erased or not.
    pub(crate) last: u64,
    /// Each with its number at that desk.
    pub(crate) marks: Vec<(u64, Mark)>,
}

impl Export {
    /// The file's text.
    pub(crate) fn sign(&self, identity: &Identity) -> Result<String, Problem> {
        let mut lines = String::new();
        for (sequence, mark) in &self.marks {
            let Mark { entitlement, uses, marked_at, erase_at } = mark;
            let entitlement = URL_SAFE_NO_PAD.encode(entitlement);
            // Writing to a String does not fail.
            writeln!(lines, "{sequence} {entitlement} {uses} {} {}", marked_at.unix(), erase_at.unix()).ok();
        }
        let header = json!({"typ": TYP, "kid": identity.kid});
        let payload = json!({
            "iss": identity.did.as_str(), "desk": self.desk, "number": self.number, "last": self.last, "iat": self.made_at.unix(),
            "sha256": URL_SAFE_NO_PAD.encode(Sha256::digest(&lines)),
        });
        let (Value::Object(header), Value::Object(payload)) = (header, payload) else {
            return Err(Code::ProofGeneration.into());
        };
        Ok(format!("{}\n{lines}", jose::sign(header, &payload, &identity.key)?))
    }

    /// Reads a file of a desk with this verifier's own DID.
    ///
    /// # Errors
    /// `token_malformed`, `token_type`, `signature_invalid` and what else a JWS can fail by; `issuer_mismatch`: another
    /// DID's; `malformed_value`: the lines are not those that were signed, or no marks.
    pub(crate) fn verify(text: &str, identity: &Identity, own: &impl Resolve) -> Result<Self, Problem> {
        let malformed = |what: &str| Problem::new(Code::MalformedValue, what);
        let (token, lines) = text.split_once('\n').ok_or_else(|| malformed("there is no line after the first"))?;
        let jws = Jws::parse(token)?;
        jws.require_typ(TYP)?;
        let payload = jws.payload();
        let member = |name: &str| payload.get(name).and_then(Value::as_str);
        if member("iss") != Some(identity.did.as_str()) {
            return Err(Problem::new(Code::IssuerMismatch, "the export is of another verifier's DID"));
        }
        let KeyRef::Kid(kid) = jws.key_ref() else { return Err(Code::HeaderKeyUnanchored.into()) };
        let kid = DidUrl::parse(kid)?;
        if *kid.did() != identity.did {
            return Err(Code::HeaderKeyUnanchored.into());
        }
        jws.verify(&own.resolve(kid.did())?.key_for(&kid, Purpose::AssertionMethod)?)?;
        if member("sha256") != Some(URL_SAFE_NO_PAD.encode(Sha256::digest(lines)).as_str()) {
            return Err(malformed("the marks are not those that were signed"));
        }
        let number = |name: &str| payload.get(name).and_then(Value::as_u64).filter(|number| *number < 1 << 53);
        let desk = member("desk").filter(|desk| is_desk(desk)).ok_or_else(|| malformed("there is no desk"))?;
        let (number, last) = number("number").zip(number("last")).ok_or_else(|| malformed("there is no number"))?;
        let made_at = numeric_date(payload, "iat")?.ok_or_else(|| malformed("it does not say when it was made"))?;
        let marks: Option<Vec<_>> = lines.lines().map(mark).collect();
        let marks = marks.ok_or_else(|| malformed("a line is no mark"))?;
        let rising = marks.iter().zip(marks.iter().skip(1)).all(|((one, _), (next, _))| one < next);
        if !rising || marks.last().is_some_and(|(sequence, _)| *sequence > last) {
            return Err(malformed("the marks' numbers do not rise to the last"));
        }
        Ok(Self { desk: desk.to_owned(), number, made_at, last, marks })
    }
}

fn mark(line: &str) -> Option<(u64, Mark)> {
    let mut words = line.split(' ');
    let (sequence, entitlement, uses) = (words.next()?.parse().ok()?, words.next()?, words.next()?.parse().ok()?);
    let at = |word: &str| word.parse().ok().map(Timestamp::from_unix);
    let (marked_at, erase_at) = (at(words.next()?)?, at(words.next()?)?);
    let entitlement = URL_SAFE_NO_PAD.decode(entitlement).ok()?.try_into().ok()?;
    let holds = words.next().is_none() && sequence >= 1 && (1..=1_000).contains(&uses);
    holds.then_some((sequence, Mark { entitlement, uses, marked_at, erase_at }))
}
