//! Texts in the second part of the wallet file, with the templates that several of them share.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use super::packing::{PackedText, TextTemplate};

/// Text; or the index of a template, and the contents of its gaps in base64url.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum StoredText {
    Full(String),
    Filled(usize, String),
}

impl StoredText {
    /// Returns a text in its stored form, with its template added to `layouts`; `None` if there is no text.
    pub(super) fn from_packed(text: &PackedText, layouts: &mut Vec<Arc<TextTemplate>>) -> Option<Self> {
        match text {
            PackedText::Full(text) => (!text.is_empty()).then(|| Self::Full(text.clone())),
            PackedText::Filled(layout, gaps) => {
                let number = index_or_append(layouts, layout, Arc::ptr_eq);
                Some(Self::Filled(number, URL_SAFE_NO_PAD.encode(gaps)))
            }
            PackedText::NotLoaded => None,
        }
    }
}

/// Replaces a placeholder with its text. Returns `false` if there is one without the other, or the text does not fit
/// its template.
pub(super) fn restore_text(
    place: Option<&mut PackedText>,
    stored: Option<StoredText>,
    layouts: &[Arc<TextTemplate>],
) -> bool {
    let (place, stored) = match (place, stored) {
        (Some(place @ PackedText::NotLoaded), Some(stored)) => (place, stored),
        (place, stored) => return stored.is_none() && place.is_none_or(|place| place.is_empty()),
    };
    *place = match stored {
        StoredText::Full(text) => PackedText::Full(text),
        StoredText::Filled(number, gaps) => {
            let Some(layout) = layouts.get(number) else { return false };
            let Some(gaps) = URL_SAFE_NO_PAD.decode(gaps).ok().filter(|gaps| layout.accepts(gaps)) else {
                return false;
            };
            PackedText::Filled(Arc::clone(layout), gaps.into())
        }
    };
    true
}

/// Returns the index of an element in a list, and appends the element if it is new.
pub(super) fn index_or_append<T: Clone>(list: &mut Vec<T>, thing: &T, same: impl Fn(&T, &T) -> bool) -> usize {
    list.iter().position(|known| same(known, thing)).unwrap_or_else(|| {
        list.push(thing.clone());
        list.len().saturating_sub(1)
    })
}
