//! Compression of similar texts into a common template and the differences.
//!
//! The copies of a credential differ only in salts, digests, keys and signatures. A [`TextTemplate`] contains their
//! common text with gaps, with base64url decoded; each copy stores only the contents of the gaps. A text that a
//! template does not reproduce byte for byte is stored unchanged, so that this module does not depend on credential
//! formats.

use std::{borrow::Cow, fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, Visitor},
};

mod gap;

use gap::{TemplateGap, digest};

/// Text of a credential copy, freshness statement or request object, which can be stored without the parts that it
/// shares with others.
#[derive(Clone)]
pub enum PackedText {
    /// The complete text.
    Full(String),
    /// Contents of the gaps in a shared template.
    Filled(Arc<TextTemplate>, Box<[u8]>),
    /// There is a text, but it is in the second part of the file, which was not read.
    NotLoaded,
}

impl PackedText {
    /// Returns the complete text; empty if there is none or it was not read.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Full(text) => Cow::Borrowed(text),
            // The gaps were checked against the layout when both were read.
            Self::Filled(layout, gaps) => Cow::Owned(layout.fill(gaps).unwrap_or_default()),
            Self::NotLoaded => Cow::Borrowed(""),
        }
    }

    /// Returns whether there is no text. `false` for a text that was not read.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Full(text) if text.is_empty())
    }

    /// Deletes the text.
    pub fn clear(&mut self) {
        *self = Self::Full(String::new());
    }

    fn layout(&self) -> Option<&Arc<TextTemplate>> {
        match self {
            Self::Filled(layout, _) => Some(layout),
            Self::Full(_) | Self::NotLoaded => None,
        }
    }

    /// Stores the text by a template, if the template reproduces it exactly. Returns whether it does.
    fn fit(&mut self, runs: &[String], layout: &Arc<TextTemplate>) -> bool {
        let Self::Full(text) = self else { return false };
        let Some(gaps) = layout.gaps(runs).filter(|gaps| layout.fill(gaps).as_deref() == Some(text)) else {
            return false;
        };
        *self = Self::Filled(Arc::clone(layout), gaps.into());
        true
    }
}

impl From<String> for PackedText {
    fn from(text: String) -> Self {
        Self::Full(text)
    }
}

impl fmt::Debug for PackedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PackedText(..)")
    }
}

/// The first part of the file states only whether there is a text.
impl Serialize for PackedText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.is_empty() { serializer.serialize_str("") } else { serializer.serialize_bool(true) }
    }
}

/// Wallets before version 5 have the text itself.
impl<'de> Deserialize<'de> for PackedText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrMark;
        impl Visitor<'_> for TextOrMark {
            type Value = PackedText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, or true where there is one")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<PackedText, E> {
                Ok(PackedText::Full(text.to_owned()))
            }

            fn visit_bool<E: Error>(self, is_there: bool) -> Result<PackedText, E> {
                if is_there { Ok(PackedText::NotLoaded) } else { Err(E::custom("no text")) }
            }
        }
        deserializer.deserialize_any(TextOrMark)
    }
}

/// Template: common text of several texts, with gaps. Each run consists of the pieces of text before, between and after
/// its gaps. Every second run, from the second, is base64url-encoded in the complete text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TextTemplate {
    runs: Vec<Vec<String>>,
}

impl TextTemplate {
    /// Builds the template of texts that differ only in words; `None` if they differ otherwise. Each text is given as
    /// its runs.
    fn from_texts(texts: &[&[String]]) -> Option<Self> {
        let first = texts.first()?;
        if texts.iter().any(|runs| runs.len() != first.len()) {
            return None;
        }
        let mut layout = Vec::with_capacity(first.len());
        for number in 0..first.len() {
            let all: Option<Vec<Vec<&str>>> =
                texts.iter().map(|runs| runs.get(number).map(|run| pieces(run))).collect();
            layout.push(common(&all?)?);
        }
        Some(Self { runs: layout })
    }

    /// Extracts the contents of the gaps; `None` if the text does not have this template.
    fn gaps(&self, runs: &[String]) -> Option<Vec<u8>> {
        if runs.len() != self.runs.len() {
            return None;
        }
        let digests: Vec<Option<String>> =
            runs.iter().enumerate().map(|(n, run)| is_encoded(n).then(|| digest(&encode(run)))).collect();
        let mut gaps = Vec::new();
        for (number, (fixed, run)) in self.runs.iter().zip(runs).enumerate() {
            let mut rest = run.as_str();
            for (index, fixed) in fixed.iter().enumerate() {
                if index > 0 {
                    let (word, after) = rest.split_at(rest.find(|c| !is_word(c)).unwrap_or(rest.len()));
                    // A digest refers to a later run only, so that texts can be assembled from their end.
                    let later = digests.iter().enumerate().skip(number.saturating_add(1));
                    let known = later.filter(|(_, digest)| digest.as_deref() == Some(word)).map(|(at, _)| at).next();
                    TemplateGap::encode(word, known)?.write(&mut gaps);
                    rest = after;
                }
                rest = rest.strip_prefix(fixed.as_str())?;
            }
            if !rest.is_empty() {
                return None;
            }
        }
        Some(gaps)
    }

    /// Returns whether these contents are well-formed and fill all gaps exactly.
    pub(super) fn accepts(&self, gaps: &[u8]) -> bool {
        self.read(gaps).is_some()
    }

    /// Parses the contents of the gaps, by run.
    fn read<'a>(&self, gaps: &'a [u8]) -> Option<Vec<Vec<TemplateGap<'a>>>> {
        let mut rest = gaps;
        let mut read = Vec::with_capacity(self.runs.len());
        for (number, fixed) in self.runs.iter().enumerate() {
            let gaps: Option<Vec<TemplateGap<'a>>> =
                fixed.iter().skip(1).map(|_| TemplateGap::parse_next(&mut rest)).collect();
            let gaps = gaps?;
            let refers = |gap: &TemplateGap<'_>| match gap {
                TemplateGap::Digest(run) => {
                    let run = usize::from(*run);
                    run > number && run < self.runs.len() && is_encoded(run)
                }
                TemplateGap::Text(_) | TemplateGap::Bytes(_) => true,
            };
            if !gaps.iter().all(refers) {
                return None;
            }
            read.push(gaps);
        }
        rest.is_empty().then_some(read)
    }

    /// Fills the gaps, and returns the text; `None` if the contents do not fit.
    fn fill(&self, gaps: &[u8]) -> Option<String> {
        let read = self.read(gaps)?;
        let mut written: Vec<String> = vec![String::new(); self.runs.len()];
        for (number, (fixed, gaps)) in self.runs.iter().zip(&read).enumerate().rev() {
            let mut run = String::new();
            let mut gaps = gaps.iter();
            for (index, fixed) in fixed.iter().enumerate() {
                if index > 0 {
                    run.push_str(&gaps.next()?.text(&written)?);
                }
                run.push_str(fixed);
            }
            *written.get_mut(number)? = if is_encoded(number) { encode(&run) } else { run };
        }
        Some(written.concat())
    }
}

/// Packs those texts that are still complete: with a template of other texts in the list, or with a new template for
/// two or more similar ones.
pub fn pack_texts(mut texts: Vec<&mut PackedText>) {
    let mut layouts: Vec<Arc<TextTemplate>> = Vec::new();
    for layout in texts.iter().filter_map(|text| text.layout()) {
        if !layouts.iter().any(|known| Arc::ptr_eq(known, layout)) {
            layouts.push(Arc::clone(layout));
        }
    }
    texts.retain(|text| matches!(text, PackedText::Full(text) if !text.is_empty()));
    let mut unpacked: Vec<(Vec<String>, &mut PackedText)> = Vec::with_capacity(texts.len());
    for text in texts {
        let runs = runs(&text.text());
        if !layouts.iter().any(|layout| text.fit(&runs, layout)) {
            unpacked.push((runs, text));
        }
    }
    while let Some(first) = unpacked.first().map(|(runs, _)| runs.clone()) {
        let shape = shape(&first);
        let (alike, others): (Vec<_>, Vec<_>) = unpacked.into_iter().partition(|(runs, _)| self::shape(runs) == shape);
        unpacked = others;
        // The layout of a single text would contain all of its copy-specific parts, and could outlast the text.
        let layout = (alike.len() > 1)
            .then(|| TextTemplate::from_texts(&alike.iter().map(|(runs, _)| runs.as_slice()).collect::<Vec<_>>()));
        if let Some(layout) = layout.flatten().map(Arc::new) {
            for (runs, text) in alike {
                text.fit(&runs, &layout);
            }
        }
    }
}

/// Splits a text at dots and tildes into runs: plain ones alternating with decoded base64url of JSON.
fn runs(text: &str) -> Vec<String> {
    let mut plain = String::new();
    let mut runs = Vec::new();
    for part in text.split_inclusive(['.', '~']) {
        let body = part.trim_end_matches(['.', '~']);
        match decode(body) {
            Some(json) => {
                runs.push(std::mem::take(&mut plain));
                runs.push(json);
                plain.push_str(part.get(body.len()..).unwrap_or_default());
            }
            None => plain.push_str(part),
        }
    }
    runs.push(plain);
    runs
}

fn decode(part: &str) -> Option<String> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(part).ok()?).ok()?;
    text.starts_with(['{', '[']).then_some(text)
}

fn encode(run: &str) -> String {
    URL_SAFE_NO_PAD.encode(run)
}

const fn is_encoded(number: usize) -> bool {
    number % 2 == 1
}

/// Returns whether a character can be part of a word: salts, digests, signatures and indices are words.
const fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}

/// Splits a run into the texts between its words and the words, alternating. The first and the last piece are no words,
/// and may be empty.
fn pieces(run: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut rest, mut word) = (run, false);
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.find(|c| is_word(c) != word).unwrap_or(rest.len()));
        pieces.push(piece);
        (rest, word) = (after, !word);
    }
    if !word {
        pieces.push("");
    }
    pieces
}

/// Returns all pieces of a text except its words. Texts of one shape can share a template.
fn shape(runs: &[String]) -> Vec<Vec<&str>> {
    runs.iter().map(|run| pieces(run).into_iter().step_by(2).collect()).collect()
}

/// Returns the texts around the gaps of one run; a gap replaces each word that differs. `None` if other pieces differ.
fn common(all: &[Vec<&str>]) -> Option<Vec<String>> {
    let first = all.first()?;
    let mut fixed = vec![String::new()];
    for (index, piece) in first.iter().enumerate() {
        let same = all.iter().all(|pieces| pieces.get(index) == Some(piece));
        match (same, index % 2 == 1) {
            (true, _) => fixed.last_mut()?.push_str(piece),
            (false, true) => fixed.push(String::new()),
            (false, false) => return None,
        }
    }
    Some(fixed)
}

#[cfg(test)]
mod tests;
