//! Texts that repeat each other, kept as what they share and what differs.
//!
//! The copies of a credential differ in salts, digests, keys and signatures, and in nothing else. A [`Layout`] holds the text
//! that they share, base64url undone, with gaps; of each copy only what stands in the gaps is kept. A text that a layout does
//! not give back byte for byte is kept as it is, so that nothing here needs to know a format.

use std::{borrow::Cow, fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, Visitor},
};

mod gap;

use gap::{Gap, digest};

/// Text of a copy or of a statement about one.
#[derive(Clone)]
pub(crate) enum PackedText {
    /// The text itself.
    Full(String),
    /// Texts that fill the gaps of a layout that other texts share.
    Filled(Arc<Layout>, Box<[u8]>),
    /// In the file's second part, which was not read.
    Unread,
}

impl PackedText {
    /// The text.
    pub(crate) fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Full(text) => Cow::Borrowed(text),
            // The gaps were held to the layout when both were read.
            Self::Filled(layout, gaps) => Cow::Owned(layout.fill(gaps).unwrap_or_default()),
            Self::Unread => Cow::Borrowed(""),
        }
    }

    /// Tells if there is no text.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Full(text) if text.is_empty())
    }

    /// Drops the text.
    pub(crate) fn clear(&mut self) {
        *self = Self::Full(String::new());
    }

    fn layout(&self) -> Option<&Arc<Layout>> {
        match self {
            Self::Filled(layout, _) => Some(layout),
            Self::Full(_) | Self::Unread => None,
        }
    }

    /// Keeps the text by a layout, if that gives it back.
    fn fit(&mut self, runs: &[String], layout: &Arc<Layout>) -> bool {
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

/// The file's first part says of a text whether there is one.
impl Serialize for PackedText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.is_empty() { serializer.serialize_str("") } else { serializer.serialize_bool(true) }
    }
}

/// Wallets of before version 5 have the text itself.
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
                if is_there { Ok(PackedText::Unread) } else { Err(E::custom("no text")) }
            }
        }
        deserializer.deserialize_any(TextOrMark)
    }
}

/// Text that several texts share. It has runs, each the texts before, between and after its gaps; every second one, from
/// the second on, stands in the whole text as base64url.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Layout {
    runs: Vec<Vec<String>>,
}

impl Layout {
    /// The layout of texts that differ in words alone; none if they differ in more.
    fn of(texts: &[&[String]]) -> Option<Self> {
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

    /// Texts in the gaps, if the text is of this layout.
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
                    // A digest is of a later run, so that texts can be put together from their end.
                    let later = digests.iter().enumerate().skip(number.saturating_add(1));
                    let known = later.filter(|(_, digest)| digest.as_deref() == Some(word)).map(|(at, _)| at).next();
                    Gap::of(word, known)?.write(&mut gaps);
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

    /// Tells if these are contents for all gaps, and for no more.
    pub(super) fn takes(&self, gaps: &[u8]) -> bool {
        self.read(gaps).is_some()
    }

    /// The contents of the gaps, by runs.
    fn read<'a>(&self, gaps: &'a [u8]) -> Option<Vec<Vec<Gap<'a>>>> {
        let mut rest = gaps;
        let mut read = Vec::with_capacity(self.runs.len());
        for (number, fixed) in self.runs.iter().enumerate() {
            let gaps: Option<Vec<Gap<'a>>> = fixed.iter().skip(1).map(|_| Gap::take(&mut rest)).collect();
            let gaps = gaps?;
            let refers = |gap: &Gap<'_>| match gap {
                Gap::Digest(run) => {
                    let run = usize::from(*run);
                    run > number && run < self.runs.len() && is_encoded(run)
                }
                Gap::Text(_) | Gap::Bytes(_) => true,
            };
            if !gaps.iter().all(refers) {
                return None;
            }
            read.push(gaps);
        }
        rest.is_empty().then_some(read)
    }

    /// The text with these contents of the gaps.
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

/// Packs the texts of one credential: by the layouts that some of them have, or by new ones of those that are alike.
pub(crate) fn pack(mut texts: Vec<&mut PackedText>) {
    let mut layouts: Vec<Arc<Layout>> = Vec::new();
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
        // Alone, a text would be all layout, and what is its own would outlast it there.
        let layout =
            (alike.len() > 1).then(|| Layout::of(&alike.iter().map(|(runs, _)| runs.as_slice()).collect::<Vec<_>>()));
        if let Some(layout) = layout.flatten().map(Arc::new) {
            for (runs, text) in alike {
                text.fit(&runs, &layout);
            }
        }
    }
}

/// Splits a text into runs: plain ones, and between them those that stand there as base64url of JSON.
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

/// A character of what differs from copy to copy: salts, digests, signatures, indices.
const fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}

/// Splits a run into what stands between its words, and its words, in turns. The first and the last are no words, and may be
/// empty.
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

/// All of a text but its words.
fn shape(runs: &[String]) -> Vec<Vec<&str>> {
    runs.iter().map(|run| pieces(run).into_iter().step_by(2).collect()).collect()
}

/// The texts around the gaps of one run: a gap is where a word differs.
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
