//! From a query to an answer: the least that answers it, which copies, what goes, what stays, who could link it.

use carnet_core::{
    Code, Problem,
    at_least::Proof,
    did::Did,
    keys::Signer,
    presentation,
    query::{
        Query, Threshold,
        plan::{Implied, Line, Plan, Show},
        values_at,
    },
    secure::sd_jwt::{ClaimPath, SdJwt, Stapled},
    time::Timestamp,
};
use carnet_spec::Catalogue;
use serde_json::Value;

use crate::wallet::{Contents, Copy, HeldCredential, standing::StapledStatement};

mod asked;
mod before;
mod digest;
mod holdings;
mod missing;
mod part;
mod whose;

pub(crate) use asked::{Asked, Claimed, asked, bound_text, named, threshold_text, without};
pub(crate) use before::{Before, asked_before, asked_bounds};
pub(crate) use digest::digest;
use holdings::open_all;
pub(crate) use missing::{Lack, Missing, missing, type_asked};
pub(crate) use part::{are_commitments, claims_of, is_status};

/// A claim as a person sees it: one member of the subject.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Claim {
    /// Its name below the subject.
    pub(crate) name: String,
    /// What of it goes.
    pub(crate) value: Value,
    /// Whether some of it stays.
    pub(crate) in_part: bool,
}

/// That a claim reaches a threshold, which is proved while its value stays hidden.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Proving {
    /// Its name below the subject.
    pub(crate) name: String,
    /// Its path.
    pub(crate) path: ClaimPath,
    /// What it reaches.
    pub(crate) threshold: Threshold,
}

/// Who has seen the copy that is going to be used.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exposure {
    /// Nobody.
    Fresh,
    /// This asker, and nobody else.
    SameAsker,
    /// These others.
    Others(Vec<String>),
}

/// What an answer is bound by, beside the query.
pub(crate) struct Bounds<'a> {
    /// The asker's client id.
    pub(crate) asker: &'a str,
    /// The time.
    pub(crate) now: Timestamp,
    /// Which credentials of the wallet may answer; none: all.
    pub(crate) only: &'a [usize],
    /// What the owner withholds. It is answered as if it were absent.
    pub(crate) withheld: &'a [Asked],
    /// The claims of which a threshold may be proved and the value must not go.
    pub(crate) proofs_only: &'a [Claimed],
}

/// The answer that shows least.
#[derive(Debug)]
pub(crate) struct Answer {
    /// What would be sent.
    pub(crate) parts: Vec<Part>,
    /// What it weighs.
    pub(crate) cost: u64,
    /// Why it is this one.
    pub(crate) lines: Vec<Line>,
    /// What the asker can conclude from it of claims that are not shown.
    pub(crate) implied: Vec<Implied>,
    /// For each holding that the lines and conclusions speak of, the credential of the wallet.
    pub(crate) holdings: Vec<usize>,
}

/// One presentation of the answer, ready to be bound.
#[derive(Debug)]
pub(crate) struct Part {
    /// The credential query that it answers.
    pub(crate) query_id: String,
    /// Which credential of the wallet.
    pub(crate) credential: usize,
    /// Which of its copies.
    pub(crate) copy: usize,
    /// Who has seen that copy.
    pub(crate) exposure: Exposure,
    /// What the asker will see.
    pub(crate) goes: Vec<Claim>,
    /// What will be proved to it of claims whose values it will not see.
    pub(crate) proves: Vec<Proving>,
    /// The names of what it will not see.
    pub(crate) stays: Vec<String>,
    /// The names of dates that it will not see, and can tell by the end of the document, which it does.
    pub(crate) given_away: Vec<String>,
    /// Whether the format can hide nothing.
    pub(crate) everything: bool,
    /// Claims among these that nobody asked for: the issuer left them in the clear, so that they cannot be withheld.
    pub(crate) unasked: Vec<ClaimPath>,
    /// Every path that goes and every threshold that is proved, for the log: `credentialSubject.rightToWork`,
    /// `credentialSubject.validUntil >= 2026-11-22`.
    pub(crate) paths: Vec<String>,
    /// Digest of the voucher's serial that goes.
    pub(crate) serial: Option<String>,
    shown: Shown,
}

#[derive(Debug)]
enum Shown {
    Selected(SdJwt, Vec<Proof>),
    Whole(Value),
}

/// Answers a query from the wallet with the least that can be shown, or not at all.
///
/// # Errors
/// `query_unmet` if nothing answers.
pub(crate) fn answer(
    contents: &Contents,
    catalogue: &Catalogue,
    query: &Query,
    bounds: &Bounds<'_>,
) -> Result<Answer, Problem> {
    let query = without(query, bounds.withheld);
    let opened = open_all(contents, catalogue, &query, bounds)?;
    let Plan { parts: planned, cost, lines, implied } = whose::plan(contents, catalogue, &query, &opened)?;
    let mut parts = Vec::with_capacity(planned.len());
    for planned in planned {
        let opened = opened.get(planned.holding).ok_or(Code::QueryUnmet)?;
        let asked = query.credential(&planned.query_id).ok_or(Code::QueryUnmet)?;
        let part = part::part(asked, opened, &planned.shows)?;
        keeps_back(&part, bounds.withheld)?;
        parts.push(part);
    }
    sends_no_two_copies(&parts)?;
    opens_no_claim_twice(&parts)?;
    Ok(Answer { parts, cost, lines, implied, holdings: opened.iter().map(|opened| opened.credential).collect() })
}

/// That nothing which was withheld goes along: with something around it, or because the issuer put it in the clear.
fn keeps_back(part: &Part, withheld: &[Asked]) -> Result<(), Problem> {
    let Shown::Selected(token, _) = &part.shown else { return Ok(()) };
    let payload = token.disclosed()?.payload;
    let mut values = withheld.iter().filter(|asked| asked.query_id == part.query_id && asked.threshold.is_none());
    if values.any(|asked| asked.path.as_deref().is_some_and(|path| !values_at(&payload, path).is_empty())) {
        return Err(Problem::new(Code::QueryUnmet, "what is withheld cannot be kept apart from what goes"));
    }
    Ok(())
}

/// Refuses two copies of one credential in one answer: they could be joined, and counted as two.
fn sends_no_two_copies(parts: &[Part]) -> Result<(), Problem> {
    let differs =
        |part: &Part| parts.iter().any(|other| other.credential == part.credential && other.copy != part.copy);
    if parts.iter().any(differs) {
        return Err(Problem::new(Code::QueryUnmet, "two copies of one credential would go"));
    }
    Ok(())
}

/// That no claim of one copy is opened for two thresholds of one direction (spec/at-least.md 4.5).
fn opens_no_claim_twice(parts: &[Part]) -> Result<(), Problem> {
    let proved = || parts.iter().flat_map(|part| part.proves.iter().map(move |proving| (part, proving)));
    let clash = proved().any(|(part, one)| {
        proved().any(|(other_part, other)| {
            (part.credential, part.copy) == (other_part.credential, other_part.copy)
                && one.path == other.path
                && one.threshold.direction() == other.threshold.direction()
                && one.threshold.number() != other.threshold.number()
        })
    });
    if clash {
        return Err(Problem::new(Code::QueryUnmet, "one claim is asked for by two thresholds of one direction"));
    }
    Ok(())
}

impl Part {
    /// Binds the presentation to its asker and nonce, with the copy's own key and the issuer's word that goes along.
    pub(crate) fn bind(
        &self,
        copy: &Copy,
        statement: Option<&StapledStatement>,
        nonce: &str,
        audience: &str,
        now: Timestamp,
    ) -> Result<String, Problem> {
        let key = copy.key.open()?;
        match &self.shown {
            Shown::Selected(token, proofs) => {
                let freshness = statement.map(|statement| statement.text.as_str());
                token.bind_with(&Stapled { proofs, freshness, keys: &[] }, nonce, audience, now, &key)
            }
            Shown::Whole(document) => {
                let did = Did::jwk(&key.public_key());
                let method = format!("{did}#0");
                presentation::present(std::slice::from_ref(document), did.as_str(), &method, nonce, audience, now, &key)
            }
        }
    }

    /// Notes who is about to see its copy, which thresholds that is opened for, and which serial it shows. It has to be stored before anything is
    /// sent: a power cut must not make the copy look unused.
    pub(crate) fn spend(&self, held: &mut HeldCredential, asker: &str) {
        if let Some((serials, serial)) = held.serials.as_mut().zip(self.serial.as_deref()) {
            serials.record_shown(serial, asker);
        }
        let Some(copy) = held.copies.get_mut(self.copy) else { return };
        if self.serial.is_some() {
            copy.serial.clone_from(&self.serial);
        }
        if !copy.shown_to.iter().any(|seen| seen == asker) {
            copy.shown_to.push(asker.to_owned());
        }
        if let Shown::Selected(_, proofs) = &self.shown {
            for proof in proofs {
                let opened = crate::wallet::thresholds::Opened {
                    path: proof.path.clone(),
                    direction: proof.direction,
                    bound: proof.threshold.number(),
                    in_block: true,
                };
                if !copy.opened.contains(&opened) {
                    copy.opened.push(opened);
                }
            }
        }
    }
}

/// What a plan's part shows, told apart.
fn split(shows: &[Show]) -> (Vec<ClaimPath>, Vec<(&ClaimPath, &Threshold)>) {
    let mut values = Vec::new();
    let mut thresholds = Vec::new();
    for show in shows {
        match show {
            Show::Value(path) => values.push(path.clone()),
            Show::Threshold { path, threshold } => thresholds.push((path, threshold)),
        }
    }
    (values, thresholds)
}

#[cfg(test)]
pub(crate) mod tests;
