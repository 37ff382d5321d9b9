//! RDF Dataset Canonicalization (RDFC-1.0, W3C Recommendation, 21 May 2024) with SHA-256 or SHA-384 and a limit on the
//! work.
//!
//! It is implemented here because the crate ssi has only the older URDNA2015, which has no limit, so that a small
//! poison graph would block it, and which escapes control characters differently.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt::Write,
};

use base16ct::lower::encode_string as hex;
use carnet_core::{Code, Problem};
use sha2::{Digest, Sha256, Sha384};

/// Maximum number of steps of the hash-N-degree algorithm for one document: one for each call, for each quad of its
/// blank node, and for each blank node of each tried permutation. Credentials need few or none; all graphs of the
/// official test suite except poison graphs stay well below.
pub const WORK_LIMIT: u32 = 50_000;
/// Maximum recursion depth of the hash-N-degree algorithm.
pub const DEPTH_LIMIT: u32 = 64;

/// Hash function of the algorithm: its implementation-specific parameter (RDFC-1.0 section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HashAlgorithm {
    /// SHA-256, the default.
    #[default]
    Sha256,
    /// SHA-384, for keys on P-384.
    Sha384,
}

impl HashAlgorithm {
    /// Returns the digest of the bytes.
    #[must_use]
    pub fn digest(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(bytes).to_vec(),
            Self::Sha384 => Sha384::digest(bytes).to_vec(),
        }
    }

    fn hex(self, text: &str) -> String {
        match self {
            Self::Sha256 => hex(&Sha256::digest(text)),
            Self::Sha384 => hex(&Sha384::digest(text)),
        }
    }
}

/// RDF term: subject, object or graph name of a quad.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Term {
    /// Label of a blank node, without `_:`.
    Blank(String),
    /// IRI or literal, in its canonical N-Quads form.
    IriOrLiteral(String),
}

impl Term {
    /// Creates an IRI, given without angle brackets.
    #[must_use]
    pub fn iri(iri: &str) -> Self {
        Self::IriOrLiteral(format!("<{iri}>"))
    }

    /// Creates a literal with a datatype, given as an IRI; `xsd:string` is omitted.
    #[must_use]
    pub fn typed_literal(value: &str, datatype: &str) -> Self {
        const XSD_STRING: &str = "http://www.w3.org/2001/XMLSchema#string";
        let literal = canonical_literal(value);
        Self::IriOrLiteral(if datatype == XSD_STRING { literal } else { format!("{literal}^^<{datatype}>") })
    }

    /// Creates a language-tagged string.
    #[must_use]
    pub fn language_string(value: &str, tag: &str) -> Self {
        Self::IriOrLiteral(format!("{}@{tag}", canonical_literal(value)))
    }

    fn blank(&self) -> Option<&str> {
        match self {
            Self::Blank(label) => Some(label),
            Self::IriOrLiteral(_) => None,
        }
    }
}

/// Quad of an RDF dataset.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Quad {
    /// Subject: an IRI or a blank node.
    pub subject: Term,
    /// IRI of the predicate, without angle brackets.
    pub predicate: String,
    /// Object: an IRI, a blank node or a literal.
    pub object: Term,
    /// Graph name; `None` for the default graph.
    pub graph: Option<Term>,
}

impl Quad {
    /// Returns the labels of the blank nodes with their positions, as the hash algorithms name them: `s`, `o` or `g`.
    fn blanks(&self) -> impl Iterator<Item = (&str, char)> {
        let graph = self.graph.as_ref().and_then(Term::blank).map(|label| (label, 'g'));
        let subject = self.subject.blank().map(|label| (label, 's'));
        let object = self.object.blank().map(|label| (label, 'o'));
        subject.into_iter().chain(object).chain(graph)
    }

    /// Returns the canonical N-Quads line; `name` returns the label of a blank node.
    fn n_quads_line<'a>(&'a self, name: impl Fn(&'a str) -> String) -> String {
        let term = |term: &'a Term| match term {
            Term::Blank(label) => format!("_:{}", name(label)),
            Term::IriOrLiteral(text) => text.clone(),
        };
        let (subject, object) = (term(&self.subject), term(&self.object));
        match &self.graph {
            None => format!("{subject} <{}> {object} .\n", self.predicate),
            Some(graph) => format!("{subject} <{}> {object} {} .\n", self.predicate, term(graph)),
        }
    }
}

/// Returns the canonical form of a string literal (RDF 1.2 N-Quads, "Canonical N-Quads").
fn canonical_literal(value: &str) -> String {
    let mut text = String::with_capacity(value.len().saturating_add(2));
    text.push('"');
    for character in value.chars() {
        match character {
            '\u{8}' => text.push_str("\\b"),
            '\t' => text.push_str("\\t"),
            '\n' => text.push_str("\\n"),
            '\u{c}' => text.push_str("\\f"),
            '\r' => text.push_str("\\r"),
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\0'..='\u{1f}' | '\u{7f}' => {
                // Writing to a String does not fail.
                let _ = write!(text, "\\u{:04X}", u32::from(character));
            }
            other => text.push(other),
        }
    }
    text.push('"');
    text
}

/// Returns the canonical N-Quads of a dataset (RDFC-1.0 section 4.4.3).
///
/// # Errors
/// `transformation` if the work exceeds [`WORK_LIMIT`] or [`DEPTH_LIMIT`].
pub fn canonicalize(quads: &[Quad], hash: HashAlgorithm) -> Result<String, Problem> {
    let issued = CanonicalizationState::new(quads, hash).issue_labels()?;
    let lines: BTreeSet<String> =
        quads.iter().map(|quad| quad.n_quads_line(|label| issued.get(label).unwrap_or_default().to_owned())).collect();
    Ok(lines.into_iter().collect())
}

/// Returns the canonical labels (`c14n0`...) of the blank nodes, by their labels in the input.
///
/// # Errors
/// As [`canonicalize`].
pub fn canonical_labels(quads: &[Quad], hash: HashAlgorithm) -> Result<BTreeMap<String, String>, Problem> {
    let issued = CanonicalizationState::new(quads, hash).issue_labels()?;
    Ok(issued.labels.into_iter().map(|(old, new)| (old.to_owned(), new)).collect())
}

/// Identifier issuer (section 4.5): assigns labels in order.
#[derive(Clone)]
struct IdentifierIssuer<'a> {
    prefix: &'static str,
    labels: HashMap<&'a str, String>,
    order: Vec<&'a str>,
}

impl<'a> IdentifierIssuer<'a> {
    fn new(prefix: &'static str) -> Self {
        Self { prefix, labels: HashMap::new(), order: Vec::new() }
    }

    fn get(&self, label: &str) -> Option<&str> {
        self.labels.get(label).map(String::as_str)
    }

    fn issue(&mut self, label: &'a str) -> String {
        if let Some(issued) = self.labels.get(label) {
            return issued.clone();
        }
        let issued = format!("{}{}", self.prefix, self.order.len());
        self.labels.insert(label, issued.clone());
        self.order.push(label);
        issued
    }
}

struct CanonicalizationState<'a> {
    hash: HashAlgorithm,
    quads_of: BTreeMap<&'a str, Vec<&'a Quad>>,
    first_degree: HashMap<&'a str, String>,
    canonical: IdentifierIssuer<'a>,
    work_left: u32,
}

impl<'a> CanonicalizationState<'a> {
    fn new(quads: &'a [Quad], hash: HashAlgorithm) -> Self {
        let mut quads_of: BTreeMap<&str, Vec<&Quad>> = BTreeMap::new();
        let distinct: std::collections::HashSet<&Quad> = quads.iter().collect();
        let mut distinct: Vec<&Quad> = distinct.into_iter().collect();
        distinct.sort_by_cached_key(|quad| quad.n_quads_line(str::to_owned));
        for quad in distinct {
            let labels: BTreeSet<&str> = quad.blanks().map(|(label, _)| label).collect();
            for label in labels {
                quads_of.entry(label).or_default().push(quad);
            }
        }
        let first_degree =
            quads_of.iter().map(|(label, quads)| (*label, hash_first_degree(label, quads, hash))).collect();
        Self { hash, quads_of, first_degree, canonical: IdentifierIssuer::new("c14n"), work_left: WORK_LIMIT }
    }

    fn issue_labels(mut self) -> Result<IdentifierIssuer<'a>, Problem> {
        let mut by_hash: BTreeMap<String, Vec<&'a str>> = BTreeMap::new();
        for label in self.quads_of.keys() {
            let hash = self.first_degree.get(label).cloned().unwrap_or_default();
            by_hash.entry(hash).or_default().push(label);
        }
        by_hash.retain(|_, labels| match labels.as_slice() {
            [only] => {
                self.canonical.issue(only);
                false
            }
            _ => true,
        });
        for labels in by_hash.into_values() {
            let mut paths = Vec::new();
            for label in labels {
                if self.canonical.get(label).is_some() {
                    continue;
                }
                let mut issuer = IdentifierIssuer::new("b");
                issuer.issue(label);
                paths.push(self.hash_n_degree(label, issuer, 1)?);
            }
            paths.sort_by(|a, b| a.0.cmp(&b.0));
            for (_, issuer) in paths {
                for label in issuer.order {
                    self.canonical.issue(label);
                }
            }
        }
        Ok(self.canonical)
    }

    fn spend_work(&mut self, work: usize) -> Result<(), Problem> {
        let left = u32::try_from(work).ok().and_then(|work| self.work_left.checked_sub(work));
        self.work_left = left.ok_or_else(too_complex)?;
        Ok(())
    }

    /// Computes the hash of a related blank node (section 4.7).
    fn hash_related(&self, related: &str, quad: &Quad, issuer: &IdentifierIssuer<'a>, position: char) -> String {
        let mut input = String::from(position);
        if position != 'g' {
            let _ = write!(input, "<{}>", quad.predicate);
        }
        match self.canonical.get(related).or_else(|| issuer.get(related)) {
            Some(issued) => {
                let _ = write!(input, "_:{issued}");
            }
            None => input.push_str(self.first_degree.get(related).map_or("", String::as_str)),
        }
        self.hash.hex(&input)
    }

    /// Computes the hash-N-degree of a blank node (section 4.8).
    fn hash_n_degree(
        &mut self,
        label: &'a str,
        mut issuer: IdentifierIssuer<'a>,
        depth: u32,
    ) -> Result<(String, IdentifierIssuer<'a>), Problem> {
        if depth > DEPTH_LIMIT {
            return Err(too_complex());
        }
        let mut related_by_hash: BTreeMap<String, Vec<&'a str>> = BTreeMap::new();
        let quads = self.quads_of.get(label).cloned().unwrap_or_default();
        self.spend_work(quads.len().saturating_add(1))?;
        for quad in quads {
            for (related, position) in quad.blanks() {
                if related != label {
                    let hash = self.hash_related(related, quad, &issuer, position);
                    related_by_hash.entry(hash).or_default().push(related);
                }
            }
        }
        let mut data = String::new();
        for (hash, related) in related_by_hash {
            data.push_str(&hash);
            let mut chosen: Option<(String, IdentifierIssuer<'a>)> = None;
            let mut order: Vec<usize> = (0..related.len()).collect();
            loop {
                self.spend_work(order.len())?;
                let permutation = order.iter().filter_map(|index| related.get(*index).copied());
                let best = chosen.as_ref().map(|(path, _)| path.as_str());
                if let Some(better) = self.permutation_path(permutation, &issuer, best, depth)? {
                    chosen = Some(better);
                }
                if !next_permutation(&mut order) {
                    break;
                }
            }
            if let Some((path, of_path)) = chosen {
                data.push_str(&path);
                issuer = of_path;
            }
        }
        Ok((self.hash.hex(&data), issuer))
    }

    /// Performs steps 5.4.1 to 5.4.6 of section 4.8: returns the path of one permutation; `None` if it is no better
    /// than the best.
    fn permutation_path(
        &mut self,
        permutation: impl Iterator<Item = &'a str>,
        issuer: &IdentifierIssuer<'a>,
        best: Option<&str>,
        depth: u32,
    ) -> Result<Option<(String, IdentifierIssuer<'a>)>, Problem> {
        let worse = |path: &str| best.is_some_and(|best| path.len() >= best.len() && path > best);
        let mut issuer = issuer.clone();
        let mut path = String::new();
        let mut recursion = Vec::new();
        for related in permutation {
            let issued = if let Some(issued) = self.canonical.get(related) {
                issued.to_owned()
            } else {
                if issuer.get(related).is_none() {
                    recursion.push(related);
                }
                issuer.issue(related)
            };
            let _ = write!(path, "_:{issued}");
            if worse(&path) {
                return Ok(None);
            }
        }
        for related in recursion {
            let (hash, of_result) = self.hash_n_degree(related, issuer.clone(), depth.saturating_add(1))?;
            let issued = issuer.issue(related);
            let _ = write!(path, "_:{issued}<{hash}>");
            issuer = of_result;
            if worse(&path) {
                return Ok(None);
            }
        }
        Ok(best.is_none_or(|best| path.as_str() < best).then_some((path, issuer)))
    }
}

fn too_complex() -> Problem {
    Problem::new(Code::Transformation, "the graph's blank nodes cannot be told apart within the work limit")
}

/// Computes the first-degree hash of a blank node (section 4.6).
fn hash_first_degree(label: &str, quads: &[&Quad], hash: HashAlgorithm) -> String {
    let mut lines: Vec<String> =
        quads.iter().map(|quad| quad.n_quads_line(|other| if other == label { "a" } else { "z" }.to_owned())).collect();
    lines.sort();
    hash.hex(&lines.concat())
}

/// Changes `order` to the next permutation in lexicographic order; `false` after the last one.
fn next_permutation(order: &mut [usize]) -> bool {
    let Some(pivot) = order.windows(2).rposition(|pair| matches!(pair, [a, b] if a < b)) else {
        return false;
    };
    let (head, tail) = order.split_at_mut(pivot.saturating_add(1));
    let Some(last) = head.last_mut() else { return false };
    if let Some(successor) = tail.iter_mut().rev().find(|candidate| **candidate > *last) {
        std::mem::swap(last, successor);
    }
    tail.reverse();
    true
}
