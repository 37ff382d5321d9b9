//! Export of one desk's use marks (recorded uses) for the others, signed with the desk's own key (spec/entitlement.md
//! section 5).
//!
//! The first line is a JWS over the digest of all other lines, each of which is one mark.

use std::{collections::BTreeMap, fmt::Write as _};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use carnet_core::{
    Code, Problem,
    did::Did,
    json::as_unsigned_integer,
    keys::{PublicKey, Signer as _},
    secure::jose::{self, Jws, numeric_date},
    time::Timestamp,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::desks::{OwnDesk, is_valid_desk_name};
use crate::store::UseMark;

const EXPORT_TYP: &str = "carnet-desk-redemptions+jwt";

/// Maximum size of an export, in bytes.
pub(crate) const MAX_EXPORT_BYTES: u64 = 67_108_864;

/// Export of one desk: its use marks that are not yet erased.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DeskExport {
    /// Name of the desk.
    pub(crate) desk: String,
    /// Number of the export, which increases with each export of the desk.
    pub(crate) number: u64,
    /// Time of the export.
    pub(crate) created_at: Timestamp,
    /// Sequence number of the desk's last mark, erased or not.
    pub(crate) last_mark: u64,
    /// Sequence number that the desk's last mark had at its last reconciliation.
    pub(crate) reconciled_mark: u64,
    /// Number of the newest imported export of each other desk, by desk name.
    pub(crate) imported_exports: BTreeMap<String, u64>,
    /// Marks, with their sequence numbers.
    pub(crate) marks: Vec<(u64, UseMark)>,
}

impl DeskExport {
    /// Returns the number of uses that the desk has redeemed since its last reconciliation.
    pub(crate) fn unreconciled_uses(&self) -> u64 {
        self.last_mark.saturating_sub(self.reconciled_mark)
    }

    /// Returns the text of the export, signed with the desk's key.
    ///
    /// # Errors
    /// `proof_generation`
    pub(crate) fn sign(&self, desk: &OwnDesk) -> Result<String, Problem> {
        let mut lines = String::new();
        for (sequence, mark) in &self.marks {
            let UseMark { entitlement, uses, marked_at, erase_at } = mark;
            let entitlement = URL_SAFE_NO_PAD.encode(entitlement);
            // Writing to a String does not fail.
            writeln!(lines, "{sequence} {entitlement} {uses} {} {}", marked_at.unix(), erase_at.unix()).ok();
        }
        let key = desk.key.public_key();
        let header = json!({"typ": EXPORT_TYP, "kid": format!("{}#{}", Did::did_key(&key), key.to_multikey())});
        let payload = json!({
            "iss": desk.organisation.as_str(), "desk": self.desk, "number": self.number, "last": self.last_mark,
            "synced": self.reconciled_mark, "taken": self.imported_exports, "iat": self.created_at.unix(),
            "sha256": URL_SAFE_NO_PAD.encode(Sha256::digest(&lines)),
        });
        let (Value::Object(header), Value::Object(payload)) = (header, payload) else {
            return Err(Code::ProofGeneration.into());
        };
        Ok(format!("{}\n{lines}", jose::sign(header, &payload, &desk.key)?))
    }

    /// Verifies the export of a desk of this organisation, which must be signed with that desk's key according to
    /// `key_of`.
    ///
    /// # Errors
    /// `token_malformed`, `token_type`, `signature_invalid` and the other errors of a JWS; `issuer_mismatch`: another
    /// organisation; `method_unknown`: a desk without a known key; `malformed_value`: the lines differ from the signed
    /// ones, or are malformed.
    pub(crate) fn verify(
        text: &str,
        organisation: &Did,
        key_of: impl Fn(&str) -> Option<PublicKey>,
    ) -> Result<Self, Problem> {
        let malformed = |what: &str| Problem::new(Code::MalformedValue, what);
        let (token, lines) = text.split_once('\n').ok_or_else(|| malformed("there is no line after the first"))?;
        let jws = Jws::parse(token)?;
        jws.require_typ(EXPORT_TYP)?;
        let payload = jws.payload();
        let member = |name: &str| payload.get(name).and_then(Value::as_str);
        if member("iss") != Some(organisation.as_str()) {
            return Err(Problem::new(Code::IssuerMismatch, "the export is of another verifier's DID"));
        }
        let desk =
            member("desk").filter(|desk| is_valid_desk_name(desk)).ok_or_else(|| malformed("there is no desk"))?;
        // The key is the one that the configuration assigns to the name; statements of the file about its key are
        // ignored.
        let key = key_of(desk).ok_or_else(|| {
            Problem::new(Code::MethodUnknown, format!("desk \"{desk}\" is not one of [redemption] others"))
        })?;
        jws.verify(&key)?;
        if member("sha256") != Some(URL_SAFE_NO_PAD.encode(Sha256::digest(lines)).as_str()) {
            return Err(malformed("the marks are not the signed ones"));
        }
        let number =
            |name: &str| payload.get(name).and_then(as_unsigned_integer).ok_or_else(|| malformed("there is no number"));
        let (export, last, synced) = (number("number")?, number("last")?, number("synced")?);
        let taken = payload.get("taken").and_then(Value::as_object).ok_or_else(|| malformed("taken is missing"))?;
        let taken = taken.iter().map(|(desk, number)| Some((desk.clone(), as_unsigned_integer(number)?)));
        let taken = taken.collect::<Option<_>>().ok_or_else(|| malformed("taken has no numbers"))?;
        let made_at = numeric_date(payload, "iat")?.ok_or_else(|| malformed("iat is missing"))?;
        let marks: Option<Vec<_>> = lines.lines().map(parse_mark).collect();
        let marks = marks.ok_or_else(|| malformed("a line is not a mark"))?;
        let rising = marks.iter().zip(marks.iter().skip(1)).all(|((one, _), (next, _))| one < next);
        if !rising || marks.last().is_some_and(|(sequence, _)| *sequence > last) || synced > last {
            return Err(malformed("the marks' numbers do not rise to the last"));
        }
        Ok(Self {
            desk: desk.to_owned(),
            number: export,
            created_at: made_at,
            last_mark: last,
            reconciled_mark: synced,
            imported_exports: taken,
            marks,
        })
    }
}

fn parse_mark(line: &str) -> Option<(u64, UseMark)> {
    let mut words = line.split(' ');
    let (sequence, entitlement, uses) = (words.next()?.parse().ok()?, words.next()?, words.next()?.parse().ok()?);
    let at = |word: &str| word.parse().ok().map(Timestamp::from_unix);
    let (marked_at, erase_at) = (at(words.next()?)?, at(words.next()?)?);
    let entitlement = URL_SAFE_NO_PAD.decode(entitlement).ok()?.try_into().ok()?;
    let holds = words.next().is_none() && sequence >= 1 && (1..=1_000).contains(&uses);
    holds.then_some((sequence, UseMark { entitlement, uses, marked_at, erase_at }))
}
