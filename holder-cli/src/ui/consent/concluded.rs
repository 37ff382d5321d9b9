//! What the verifier can conclude from an answer about hidden claims, and the bounds that it requested before.

use std::fmt::Write;

use carnet_core::{
    at_least::Direction,
    query::{path_to_text, plan::ImpliedCondition},
    time::Timestamp,
};
use serde_json::{Value, json};

use super::{Screen, name_of};
use crate::{
    answer::{EarlierBound, earlier_bounds},
    ui::{Ui, labels::Labels},
};

/// Maximum number of earlier bounds on the screen; the newest are shown.
const MAX_BEFORE: usize = 5;

impl Screen<'_> {
    /// Returns the conclusions about one claim of the credential with this index in the wallet.
    pub(super) fn concluded_of(&self, credential: usize, name: &str) -> impl Iterator<Item = &ImpliedCondition> {
        self.conclusion_text()
            .filter(move |(of, implied)| *of == credential && name_of(&implied.path) == name)
            .map(|(_, one)| one)
    }

    pub(super) fn concluded_text(&self, ui: &Ui, screen: &mut String) {
        let mut said = false;
        for (credential, implied) in self.conclusion_text() {
            let Some(held) = self.contents.credentials.get(credential) else { continue };
            if !said {
                let _ = writeln!(screen, "\n! {}", ui.heading(&ui.messages.text("concluded-title")));
                said = true;
            }
            let labels = Labels::new(self.catalogue, &held.type_name, &ui.messages);
            let name = name_of(&implied.path);
            let what = labels.conclusion_text(&name, implied);
            let _ = writeln!(screen, "  ! {}, {}: {what}", labels.document(), labels.claim(&name));
        }
    }

    pub(super) fn concluded_json(&self, ui: &Ui) -> Value {
        let entry = |(credential, implied): (usize, &ImpliedCondition)| {
            let held = self.contents.credentials.get(credential)?;
            let labels = Labels::new(self.catalogue, &held.type_name, &ui.messages);
            let bound = |direction| {
                let threshold = implied.threshold.as_ref().filter(|threshold| threshold.direction() == direction);
                threshold.map(|threshold| threshold.bound().clone())
            };
            let name = name_of(&implied.path);
            Some(json!({
                "query_id": implied.query_id, "id": held.id, "type": held.type_name, "path": path_to_text(&implied.path),
                "not_at_least": bound(Direction::AtLeast), "not_at_most": bound(Direction::AtMost),
                "not_among": (!implied.values.is_empty()).then_some(&implied.values),
                "label": labels.claim(&name), "text": labels.conclusion_text(&name, implied),
            }))
        };
        self.conclusion_text().filter_map(entry).collect()
    }

    /// Writes the bounds that the verifier requested earlier for claims of this query; nothing if there are none.
    pub(super) fn before_text(&self, ui: &Ui, screen: &mut String) {
        let before = self.before();
        if before.is_empty() {
            return;
        }
        let _ = writeln!(screen, "\n! {}", ui.heading(&ui.messages.text("before-title")));
        for one in before.iter().take(MAX_BEFORE) {
            let _ = writeln!(screen, "  ! {}", self.before_line(ui, one));
        }
        if let Some(more) = before.len().checked_sub(MAX_BEFORE).filter(|more| *more > 0) {
            let _ = writeln!(screen, "  ! + {more}");
        }
    }

    pub(super) fn before_json(&self, ui: &Ui) -> Value {
        let entry = |before: &EarlierBound| {
            let bound = |direction| {
                let threshold = &before.threshold;
                (threshold.direction() == direction).then(|| threshold.bound().clone())
            };
            json!({
                "type": before.type_name, "claim": before.claim, "day": day(before.at),
                "what": if before.proved { "proved" } else { "asked" },
                "at_least": bound(Direction::AtLeast), "at_most": bound(Direction::AtMost),
                "text": self.before_line(ui, before),
            })
        };
        self.before().iter().map(entry).collect()
    }

    fn before(&self) -> Vec<EarlierBound> {
        earlier_bounds(&self.contents.log, self.request.did.as_str(), &self.request.query, self.catalogue)
    }

    fn before_line(&self, ui: &Ui, before: &EarlierBound) -> String {
        let labels = Labels::new(self.catalogue, &before.type_name, &ui.messages);
        let claim = format!("{}, {}", labels.document(), labels.claim(&before.claim));
        let id = if before.proved { "before-proved" } else { "before-line" };
        let bound = labels.bound(&before.threshold);
        ui.messages.with(id, &[("claim", claim.as_str()), ("bound", &bound), ("day", &day(before.at))])
    }

    /// Returns all conclusions, each with the index of its credential in the wallet.
    fn conclusion_text(&self) -> impl Iterator<Item = (usize, &ImpliedCondition)> {
        let answer = self.answer.into_iter();
        answer.flat_map(|answer| {
            answer.implied.iter().filter_map(|implied| Some((*answer.holdings.get(implied.holding)?, implied)))
        })
    }
}

/// Formats the day in UTC.
fn day(at: Timestamp) -> String {
    at.to_string().chars().take("YYYY-MM-DD".len()).collect()
}
