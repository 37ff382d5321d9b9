//! Requested claims in excess of the registration, and claims that the owner withholds.

use std::fmt::Write;

use carnet_core::{query::path_to_text, secure::sd_jwt::Step, trust::registration::Beyond};
use serde_json::{Value, json};

use super::Screen;
use crate::{
    answer::{Asked, type_asked},
    ui::{Ui, labels::Labels, sanitise::clean},
};

impl Screen<'_> {
    /// Returns the items that need separate approval.
    pub(crate) fn excess(&self) -> impl Iterator<Item = &Asked> {
        self.asked.iter().filter(|asked| asked.needs_approval)
    }

    pub(super) fn excess_text(&self, ui: &Ui, screen: &mut String) {
        let mut warned = false;
        for asked in self.excess() {
            if !warned {
                // An unregistered verifier has no registration to exceed.
                let id =
                    if self.introduction.registration().is_some() { "excess-warning" } else { "excess-unregistered" };
                let _ = writeln!(screen, "\n! {}", ui.heading(&ui.messages.text(id)));
                warned = true;
            }
            let _ = writeln!(screen, "  ! {}: {}, {}", self.words_of(ui, asked), why(ui, asked), self.state(ui, asked));
            if ui.details {
                let _ = writeln!(screen, "      {}", clean(&asked.name()));
            }
        }
    }

    /// Lists the other withheld items.
    pub(super) fn withheld_text(&self, ui: &Ui, screen: &mut String) {
        let withheld: Vec<&Asked> = self.withheld.iter().filter(|asked| !asked.needs_approval).collect();
        if withheld.is_empty() {
            return;
        }
        let _ = writeln!(screen, "\n{}:", ui.heading(&ui.messages.text("withheld-title")));
        for asked in withheld {
            let _ = writeln!(screen, "  - {}", self.words_of(ui, asked));
            if ui.details {
                let _ = writeln!(screen, "      {}", clean(&asked.name()));
            }
        }
    }

    pub(super) fn excess_json(&self, ui: &Ui) -> Value {
        let entry = |asked: &Asked| {
            json!({
                "name": asked.name(), "query_id": asked.query_id,
                "path": asked.path.as_deref().map(path_to_text), "label": self.words_of(ui, asked),
                "beyond": asked.beyond.map(Beyond::as_str), "text": why(ui, asked),
                "approved": !self.withheld.contains(asked), "state": self.state(ui, asked),
            })
        };
        self.excess().map(entry).collect()
    }

    pub(super) fn withheld_json(&self, ui: &Ui) -> Value {
        let withheld = self.withheld.iter().filter(|asked| !asked.needs_approval);
        let entry = |asked: &Asked| {
            json!({
                "name": asked.name(), "query_id": asked.query_id,
                "path": asked.path.as_deref().map(path_to_text), "label": self.words_of(ui, asked),
            })
        };
        withheld.map(entry).collect()
    }

    /// Describes a requested item in words.
    pub(crate) fn words_of(&self, ui: &Ui, asked: &Asked) -> String {
        let query = self.request.query.credential(&asked.query_id);
        let type_name = query.map(|query| type_asked(self.catalogue, query)).unwrap_or_default();
        let labels = Labels::new(self.catalogue, &type_name, &ui.messages);
        let document = labels.document();
        let Some(path) = &asked.path else {
            return format!("{document}, {}", ui.messages.text("excess-document"));
        };
        let below = match path.split_first() {
            Some((Step::Name(first), rest)) if first == "credentialSubject" && !rest.is_empty() => rest,
            _ => path.as_slice(),
        };
        let claim = labels.claim(&path_to_text(below));
        match &asked.threshold {
            Some(threshold) => format!("{document}, {claim}: {}", labels.threshold(threshold)),
            None => format!("{document}, {claim}"),
        }
    }

    fn state(&self, ui: &Ui, asked: &Asked) -> String {
        ui.messages.text(if self.withheld.contains(asked) { "excess-withheld" } else { "excess-approved" })
    }
}

/// Describes the excess in words.
fn why(ui: &Ui, asked: &Asked) -> String {
    let id = match asked.beyond {
        None => return String::new(),
        Some(Beyond::Registration) => "excess-registration",
        Some(Beyond::IntendedUse) => "excess-intended-use",
        Some(Beyond::Credential) => "excess-credential",
        Some(Beyond::Claim) => "excess-claim",
        Some(Beyond::ThresholdOnly) => "excess-threshold-only",
        Some(Beyond::Bound) => "excess-bound",
    };
    ui.messages.text(id)
}
