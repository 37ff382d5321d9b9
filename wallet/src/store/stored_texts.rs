//! Second part of the wallet file: the texts of all copies and request objects, which most commands do not need.

use std::sync::Arc;

use carnet_core::at_least::COMMITMENT_ARRAY_LENGTH;
use serde::{Deserialize, Serialize};

use super::{
    contents::{CredentialCopy, HeldCredential},
    packing::{PackedText, TextTemplate},
    stored_text::{StoredText, index_or_append, restore_text},
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

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredCopy {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    credential: Option<StoredText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    statement: Option<StoredText>,
    /// Index of the ordered claim, and the positions of its commitments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    commitments: Vec<(usize, [Option<usize>; COMMITMENT_ARRAY_LENGTH])>,
}

impl StoredTexts {
    /// Returns the texts of a credential's copies for the second part of the file.
    pub fn from_credential(held: &HeldCredential) -> Self {
        let mut layouts: Vec<Arc<TextTemplate>> = Vec::new();
        let mut ordered: Vec<OrderedPath> = Vec::new();
        let mut text = |text: &PackedText| StoredText::from_packed(text, &mut layouts);
        let copies = held.copies.iter().map(|copy| StoredCopy {
            credential: text(&copy.credential),
            statement: copy.freshness_text().and_then(&mut text),
            commitments: copy
                .commitments
                .iter()
                .map(|commitments| {
                    (index_or_append(&mut ordered, &commitments.into(), PartialEq::eq), commitments.indices)
                })
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

impl StoredCopy {
    fn restore(self, copy: &mut CredentialCopy, layouts: &[Arc<TextTemplate>], ordered: &[OrderedPath]) -> bool {
        let commitments =
            self.commitments.into_iter().map(|(number, at)| Some(ordered.get(number)?.with_positions(at)));
        let Some(commitments) = commitments.collect::<Option<Vec<CommitmentPositions>>>() else { return false };
        copy.commitments = commitments;
        restore_text(Some(&mut copy.credential), self.credential, layouts)
            && restore_text(copy.freshness_text_mut(), self.statement, layouts)
    }
}
