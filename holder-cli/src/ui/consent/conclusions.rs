//! Conclusions that an answer allows about hidden claims, and bounds that the verifier requested earlier.

use std::fmt::Write;

use carnet_core::{
    at_least::Direction,
    query::{path_to_text, plan::ImpliedCondition},
    time::Timestamp,
};
use serde_json::{Value, json};

use super::{ConsentScreen, claim_name};
use crate::{
    answer::{EarlierBound, earlier_bounds},
    ui::{Ui, labels::TypeLabels},
};

/// Maximum number of earlier bounds on the screen; the newest are shown.
const MAX_BEFORE: usize = 5;

impl ConsentScreen<'_> {
    /// Returns the conclusions about one claim of the credential with this index in the wallet.
    pub(super) fn conclusions_about(&self, credential: usize, name: &str) -> impl Iterator<Item = &ImpliedCondition> {
        self.conclusions()
            .filter(move |(of, implied)| *of == credential && claim_name(&implied.path) == name)
            .map(|(_, one)| one)
    }

    pub(super) fn write_conclusions(&self, ui: &Ui, screen: &mut String) {
        let mut said = false;
        for (credential, implied) in self.conclusions() {
            let Some(held) = self.contents.credentials.get(credential) else { continue };
            if !said {
                let _ = writeln!(screen, "\n! {}", ui.heading(&ui.messages.text("concluded-title")));
                said = true;
            }
            let labels = TypeLabels::of_held(self.catalogue, held, &ui.messages);
            let name = claim_name(&implied.path);
            let what = labels.conclusion_text(&name, implied);
            let _ = writeln!(screen, "  ! {}, {}: {what}", labels.type_label(), labels.claim_label(&name));
        }
    }

    pub(super) fn conclusions_json(&self, ui: &Ui) -> Value {
        let entry = |(credential, implied): (usize, &ImpliedCondition)| {
            let held = self.contents.credentials.get(credential)?;
            let labels = TypeLabels::of_held(self.catalogue, held, &ui.messages);
            let bound = |direction| {
                let threshold = implied.threshold.as_ref().filter(|threshold| threshold.direction() == direction);
                threshold.map(|threshold| threshold.bound().clone())
            };
            let name = claim_name(&implied.path);
            Some(json!({
                "query_id": implied.query_id, "id": held.id, "type": held.type_name, "path": path_to_text(&implied.path),
                "not_at_least": bound(Direction::AtLeast), "not_at_most": bound(Direction::AtMost),
                "not_among": (!implied.values.is_empty()).then_some(&implied.values),
                "label": labels.claim_label(&name), "text": labels.conclusion_text(&name, implied),
            }))
        };
        self.conclusions().filter_map(entry).collect()
    }

    /// Writes the bounds that the verifier requested earlier for claims of this query; nothing if there are none.
    pub(super) fn write_earlier_bounds(&self, ui: &Ui, screen: &mut String) {
        let before = self.earlier_bounds();
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

    pub(super) fn earlier_bounds_json(&self, ui: &Ui) -> Value {
        let entry = |before: &EarlierBound| {
            let bound = |direction| {
                let threshold = &before.threshold;
                (threshold.direction() == direction).then(|| threshold.bound().clone())
            };
            json!({
                "type": before.type_name, "claim": before.claim_path, "day": day(before.last_requested),
                "what": if before.proved { "proved" } else { "asked" },
                "at_least": bound(Direction::AtLeast), "at_most": bound(Direction::AtMost),
                "text": self.before_line(ui, before),
            })
        };
        self.earlier_bounds().iter().map(entry).collect()
    }

    fn earlier_bounds(&self) -> Vec<EarlierBound> {
        earlier_bounds(&self.contents.log, self.request.did.as_str(), &self.request.query, self.catalogue)
    }

    fn before_line(&self, ui: &Ui, before: &EarlierBound) -> String {
        let labels = TypeLabels::new(self.catalogue, &before.type_name, &ui.messages);
        let claim = format!("{}, {}", labels.type_label(), labels.claim_label(&before.claim_path));
        let id = if before.proved { "before-proved" } else { "before-line" };
        let bound = labels.bound_label(&before.threshold);
        ui.messages.format(id, &[("claim", claim.as_str()), ("bound", &bound), ("day", &day(before.last_requested))])
    }

    /// Returns all conclusions, each with the index of its credential in the wallet.
    fn conclusions(&self) -> impl Iterator<Item = (usize, &ImpliedCondition)> {
        let answer = self.answer.into_iter();
        answer.flat_map(|answer| {
            answer
                .implied_conditions
                .iter()
                .filter_map(|implied| Some((*answer.candidates.get(implied.copy_index)?, implied)))
        })
    }
}

/// Formats the day in UTC.
fn day(at: Timestamp) -> String {
    at.to_string().chars().take("YYYY-MM-DD".len()).collect()
}
