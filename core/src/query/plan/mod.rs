//! The least-disclosure plan: of all answers to a query that a wallet could give, the one that shows least.
//!
//! What a showing weighs is data ([`Weights`], `spec/weights.toml`); what a claim tells is the catalogue's word
//! ([`Classes`]). The plan is exact: it is found by branch and bound over all combinations of credential sets, documents
//! and claim sets, after documents were left out that offer the same as another one and weigh more. It is
//! deterministic: of answers that weigh the same it is the one that the asker prefers, then the one that comes first in
//! the wallet.

use std::fmt;

use super::{Candidate, Query, Threshold, path_to_text};
use crate::{
    Problem,
    secure::sd_jwt::{ClaimPath, OrderedClaim, Step},
};

mod offer;
mod search;
#[cfg(test)]
mod tests;

/// One copy that could be shown.
#[derive(Debug, Clone, Copy)]
pub struct Holding<'a> {
    /// Which document of the wallet: two copies of one credential are one document.
    pub document: usize,
    /// Its format and its payload, with all claims open.
    pub candidate: Candidate<'a>,
    /// The claims whose thresholds this copy can prove. One that was opened for another threshold before is not among
    /// them (spec/at-least.md 4.5).
    pub provable: &'a [OrderedClaim],
    /// Who saw this copy.
    pub exposure: Exposure,
    /// Whether this asker has seen the document, in whichever copy.
    pub known: bool,
}

/// Who saw a copy before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exposure {
    /// Nobody.
    Nobody,
    /// This asker, and nobody else.
    SameAsker,
    /// So many others, who could compare notes.
    Others(usize),
}

/// How much a claim tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// A yes or no that the issuer computed so that nothing more need be shown.
    Computed,
    /// Shared by many people: a country, a level.
    Coarse,
    /// Any other value.
    Value,
    /// Singles a person out, or tells what few have to know.
    Fine,
}

/// What the catalogue says of claims.
pub trait Classes {
    /// How much the claim at `path` of a holding tells.
    fn class(&self, holding: &Holding<'_>, path: &[Step]) -> Class;
}

/// What each showing weighs; the plan with the least sum is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weights {
    /// A computed yes or no.
    pub computed: u32,
    /// That a hidden value reaches a threshold.
    pub threshold: u32,
    /// A coarse value.
    pub coarse: u32,
    /// A value.
    pub value: u32,
    /// A fine value.
    pub fine: u32,
    /// A document: its issuer, type and dates are seen.
    pub document: u32,
    /// A document that this asker has not seen before, in addition.
    pub new_document: u32,
    /// A copy that nobody has seen: there are only so many.
    pub fresh_copy: u32,
    /// Each other asker who saw the copy, and could compare notes.
    pub shared_copy: u32,
}

/// What answers the query with the least shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// One for each credential query that is answered, in the query's order.
    pub parts: Vec<Part>,
    /// What it weighs.
    pub cost: u64,
    /// Why it is this one.
    pub lines: Vec<Line>,
}

/// One credential query, and what answers it.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// The credential query's id.
    pub query_id: String,
    /// The index of the holding.
    pub holding: usize,
    /// What is shown, in the order of paths; nothing for a query that asks for no claim.
    pub shows: Vec<Show>,
}

/// One claim, and how it is shown.
#[derive(Debug, Clone, PartialEq)]
pub enum Show {
    /// Its value, at a concrete path.
    Value(ClaimPath),
    /// That it reaches a threshold; the value stays hidden.
    Threshold {
        /// The claim.
        path: ClaimPath,
        /// What it reaches.
        threshold: Threshold,
    },
}

/// One line of a plan's explanation.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// The credential query that it is about.
    pub query_id: String,
    /// What is shown or used.
    pub what: What,
    /// What that weighs.
    pub cost: u64,
}

/// What a line is about.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// A document is shown; whether this asker has seen it before.
    Document {
        /// The index of the holding.
        holding: usize,
        /// Whether this asker has seen it.
        known: bool,
    },
    /// A copy of it is used.
    Copy(Exposure),
    /// A claim's value is shown.
    Value(ClaimPath, Class),
    /// A threshold is proved, in the place of a value.
    Threshold(ClaimPath),
    /// The best other way to answer this query alone, which weighs more or comes later.
    PassedOver {
        /// The index of the holding that it would have shown.
        holding: usize,
    },
}

impl Query {
    /// The answer that shows least. Sets that are not required are left unanswered.
    ///
    /// # Errors
    /// `query_unmet` if a required part cannot be met: then nothing is shown at all. `too_large` for a query and a
    /// wallet with more combinations than can be looked at: that is no answer, rather than one which is not the least.
    pub fn plan(&self, holdings: &[Holding<'_>], classes: &dyn Classes, weights: &Weights) -> Result<Plan, Problem> {
        search::plan(self, holdings, classes, weights)
    }
}

impl fmt::Display for Line {
    /// In English, for a terminal; a wallet has its own words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.query_id)?;
        match &self.what {
            What::Document { known: true, .. } => f.write_str("a document that this asker has seen before")?,
            What::Document { known: false, .. } => f.write_str("a document that is new to this asker")?,
            What::Copy(Exposure::Nobody) => f.write_str("a copy that nobody has seen")?,
            What::Copy(Exposure::SameAsker) => f.write_str("the copy that this asker has seen")?,
            What::Copy(Exposure::Others(others)) => write!(f, "a copy that {others} others have seen")?,
            What::Value(path, class) => {
                let class = match class {
                    Class::Computed => "a computed yes or no",
                    Class::Coarse => "a coarse value",
                    Class::Value => "a value",
                    Class::Fine => "a value that tells much",
                };
                write!(f, "{}, {class}", path_to_text(path))?;
            }
            What::Threshold(path) => write!(f, "{} reaches a threshold, and stays hidden", path_to_text(path))?,
            What::PassedOver { .. } => return write!(f, "the best other way would weigh {}", self.cost),
        }
        write!(f, " ({})", self.cost)
    }
}
