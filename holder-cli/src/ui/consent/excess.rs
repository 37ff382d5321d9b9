//! Requested items that exceed the registration, and items that the holder withholds, on the consent screen.

use std::fmt::Write;

use carnet_core::{query::path_to_text, secure::sd_jwt::Step, trust::registration::ExceededLimit};
use serde_json::{Value, json};

use super::ConsentScreen;
use crate::{
    answer::{RequestedItem, requested_type},
    ui::{Ui, labels::TypeLabels, sanitise::sanitise},
};

impl ConsentScreen<'_> {
    /// Returns the items that need separate approval because they exceed the registration.
    pub(crate) fn excess_items(&self) -> impl Iterator<Item = &RequestedItem> {
        self.items.iter().filter(|asked| asked.needs_approval)
    }

    pub(super) fn write_excess(&self, ui: &Ui, screen: &mut String) {
        let mut warned = false;
        for asked in self.excess_items() {
            if !warned {
                // An unregistered verifier has no registration to exceed.
                let id = if self.verifier.registration().is_some() { "excess-warning" } else { "excess-unregistered" };
                let _ = writeln!(screen, "\n! {}", ui.heading(&ui.messages.text(id)));
                warned = true;
            }
            let _ = writeln!(
                screen,
                "  ! {}: {}, {}",
                self.item_text(ui, asked),
                excess_reason(ui, asked),
                self.state(ui, asked)
            );
            if ui.details {
                let _ = writeln!(screen, "      {}", sanitise(&asked.name()));
            }
        }
    }

    /// Writes the withheld items that are within the registration.
    pub(super) fn write_withheld(&self, ui: &Ui, screen: &mut String) {
        let withheld: Vec<&RequestedItem> = self.withheld.iter().filter(|asked| !asked.needs_approval).collect();
        if withheld.is_empty() {
            return;
        }
        let _ = writeln!(screen, "\n{}:", ui.heading(&ui.messages.text("withheld-title")));
        for asked in withheld {
            let _ = writeln!(screen, "  - {}", self.item_text(ui, asked));
            if ui.details {
                let _ = writeln!(screen, "      {}", sanitise(&asked.name()));
            }
        }
    }

    pub(super) fn excess_json(&self, ui: &Ui) -> Value {
        let entry = |asked: &RequestedItem| {
            json!({
                "name": asked.name(), "query_id": asked.query_id,
                "path": asked.path.as_deref().map(path_to_text), "label": self.item_text(ui, asked),
                "beyond": asked.exceeded_limit.map(ExceededLimit::as_str), "text": excess_reason(ui, asked),
                "approved": !self.withheld.contains(asked), "state": self.state(ui, asked),
            })
        };
        self.excess_items().map(entry).collect()
    }

    pub(super) fn withheld_json(&self, ui: &Ui) -> Value {
        let withheld = self.withheld.iter().filter(|asked| !asked.needs_approval);
        let entry = |asked: &RequestedItem| {
            json!({
                "name": asked.name(), "query_id": asked.query_id,
                "path": asked.path.as_deref().map(path_to_text), "label": self.item_text(ui, asked),
            })
        };
        withheld.map(entry).collect()
    }

    /// Describes a requested item: the credential, and its claim and threshold, if any. There is no remark that the
    /// value stays hidden: that depends on the copy, which is chosen later.
    pub(crate) fn item_text(&self, ui: &Ui, asked: &RequestedItem) -> String {
        let query = self.request.query.credential(&asked.query_id);
        let type_name = query.map(|query| requested_type(self.catalogue, query)).unwrap_or_default();
        let mut held = self.contents.credentials.iter().filter(|held| held.type_name == type_name);
        let labels = match (held.next(), held.next()) {
            // The names are those of one issuer.
            (Some(only), None) => TypeLabels::of_held(self.catalogue, only, &ui.messages),
            _ => TypeLabels::new(self.catalogue, &type_name, &ui.messages),
        };
        let document = labels.type_label();
        let Some(path) = &asked.path else {
            return format!("{document}, {}", ui.messages.text("excess-document"));
        };
        let below = match path.split_first() {
            Some((Step::Name(first), rest)) if first == "credentialSubject" && !rest.is_empty() => rest,
            _ => path.as_slice(),
        };
        let claim = labels.claim_label(&path_to_text(below));
        match &asked.threshold {
            Some(threshold) => format!("{document}, {claim}: {}", labels.bound_label(threshold)),
            None => format!("{document}, {claim}"),
        }
    }

    fn state(&self, ui: &Ui, asked: &RequestedItem) -> String {
        ui.messages.text(if self.withheld.contains(asked) { "excess-withheld" } else { "excess-approved" })
    }
}

/// Describes the limit of the registration that an item exceeds; empty if it exceeds none.
fn excess_reason(ui: &Ui, asked: &RequestedItem) -> String {
    let id = match asked.exceeded_limit {
        None => return String::new(),
        Some(ExceededLimit::Registration) => "excess-registration",
        Some(ExceededLimit::IntendedUse) => "excess-intended-use",
        Some(ExceededLimit::Credential) => "excess-credential",
        Some(ExceededLimit::Claim) => "excess-claim",
        Some(ExceededLimit::ThresholdOnly) => "excess-threshold-only",
        Some(ExceededLimit::Bound) => "excess-bound",
    };
    ui.messages.text(id)
}
