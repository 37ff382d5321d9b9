//! Second part of the wallet file: the texts of all copies and request objects, which most commands do not need.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use carnet_core::at_least::ENTRIES;
use serde::{Deserialize, Serialize};

use super::{
    contents::{CredentialCopy, HeldCredential},
    packing::{PackedText, TextTemplate},
    thresholds::{CommitmentPositions, OrderedPath},
};

/// Texts of the copies of one credential, as stored in the second part of the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredTexts {
    /// Templates that several texts share.
    layouts: Vec<TextTemplate>,
    /// Ordered claims for which copies have commitments.
    ordered: Vec<OrderedPath>,
    /// Texts of the copies, in the order of the copies.
    copies: Vec<StoredCopy>,
}

/// Texts of the request objects, as stored in the second part of the file.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredRequests {
    /// Templates that several texts share.
    layouts: Vec<TextTemplate>,
    /// Texts of the request objects, in the order of their digests.
    texts: Vec<StoredText>,
}

impl StoredRequests {
    /// Returns the texts of request objects for the second part of the file.
    pub fn of<'a>(requests: impl Iterator<Item = &'a PackedText>) -> Self {
        let mut layouts: Vec<Arc<TextTemplate>> = Vec::new();
        let texts = requests.filter_map(|text| StoredText::of(text, &mut layouts)).collect();
        Self { layouts: layouts.iter().map(|layout| TextTemplate::clone(layout)).collect(), texts }
    }

    /// Puts the texts into the request objects read from the first part. Returns `false` if they do not match.
    pub fn restore<'a>(self, requests: impl ExactSizeIterator<Item = &'a mut PackedText>) -> bool {
        let layouts: Vec<Arc<TextTemplate>> = self.layouts.into_iter().map(Arc::new).collect();
        requests.len() == self.texts.len()
            && requests.zip(self.texts).all(|(place, stored)| put(Some(place), Some(stored), &layouts))
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredCopy {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    credential: Option<StoredText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    statement: Option<StoredText>,
    /// Index of the ordered claim, and the positions of its commitments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    commitments: Vec<(usize, [Option<usize>; ENTRIES])>,
}

/// Text; or the index of a template, and the contents of its gaps in base64url.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum StoredText {
    Full(String),
    Filled(usize, String),
}

impl StoredTexts {
    /// Returns the texts of a credential's copies for the second part of the file.
    pub fn of(held: &HeldCredential) -> Self {
        let mut layouts: Vec<Arc<TextTemplate>> = Vec::new();
        let mut ordered: Vec<OrderedPath> = Vec::new();
        let mut text = |text: &PackedText| StoredText::of(text, &mut layouts);
        let copies = held.copies.iter().map(|copy| StoredCopy {
            credential: text(&copy.credential),
            statement: copy.statement().and_then(&mut text),
            commitments: copy
                .commitments
                .iter()
                .map(|commitments| (position(&mut ordered, &commitments.into(), PartialEq::eq), commitments.at))
                .collect(),
        });
        let copies = copies.collect();
        let layouts = layouts.iter().map(|layout| TextTemplate::clone(layout)).collect();
        Self { layouts, ordered, copies }
    }

    /// Puts the texts into the copies of a credential read from the first part. Returns `false` if they do not match.
    pub fn restore(self, held: &mut HeldCredential) -> bool {
        if self.copies.len() != held.copies.len() {
            return false;
        }
        let layouts: Vec<Arc<TextTemplate>> = self.layouts.into_iter().map(Arc::new).collect();
        let mut copies = held.copies.iter_mut().zip(self.copies);
        copies.all(|(copy, stored)| stored.restore(copy, &layouts, &self.ordered))
    }
}

impl StoredText {
    /// Returns a text in its stored form, with its template added to `layouts`; `None` if there is no text.
    fn of(text: &PackedText, layouts: &mut Vec<Arc<TextTemplate>>) -> Option<Self> {
        match text {
            PackedText::Full(text) => (!text.is_empty()).then(|| Self::Full(text.clone())),
            PackedText::Filled(layout, gaps) => {
                let number = position(layouts, layout, Arc::ptr_eq);
                Some(Self::Filled(number, URL_SAFE_NO_PAD.encode(gaps)))
            }
            PackedText::Unread => None,
        }
    }
}

impl StoredCopy {
    fn restore(self, copy: &mut CredentialCopy, layouts: &[Arc<TextTemplate>], ordered: &[OrderedPath]) -> bool {
        let commitments = self.commitments.into_iter().map(|(number, at)| Some(ordered.get(number)?.with(at)));
        let Some(commitments) = commitments.collect::<Option<Vec<CommitmentPositions>>>() else { return false };
        copy.commitments = commitments;
        put(Some(&mut copy.credential), self.credential, layouts) && put(copy.statement_mut(), self.statement, layouts)
    }
}

/// Replaces a placeholder with its text. Returns `false` if there is one without the other, or the text does not fit
/// its template.
fn put(place: Option<&mut PackedText>, stored: Option<StoredText>, layouts: &[Arc<TextTemplate>]) -> bool {
    let (place, stored) = match (place, stored) {
        (Some(place @ PackedText::Unread), Some(stored)) => (place, stored),
        (place, stored) => return stored.is_none() && place.is_none_or(|place| place.is_empty()),
    };
    *place = match stored {
        StoredText::Full(text) => PackedText::Full(text),
        StoredText::Filled(number, gaps) => {
            let Some(layout) = layouts.get(number) else { return false };
            let Some(gaps) = URL_SAFE_NO_PAD.decode(gaps).ok().filter(|gaps| layout.takes(gaps)) else { return false };
            PackedText::Filled(Arc::clone(layout), gaps.into())
        }
    };
    true
}

/// Returns the index of an element in a list, and appends the element if it is new.
fn position<T: Clone>(list: &mut Vec<T>, thing: &T, same: impl Fn(&T, &T) -> bool) -> usize {
    list.iter().position(|known| same(known, thing)).unwrap_or_else(|| {
        list.push(thing.clone());
        list.len().saturating_sub(1)
    })
}
