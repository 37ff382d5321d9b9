//! Screen for a request that cannot be answered: verifier, purpose, and the missing credentials.

use std::fmt::Write;

use carnet_core::query::{ClaimQuery, path_to_text};
use serde_json::{Value, json};

use super::{Screen, name_of};
use crate::{
    answer::{LackReason, UnansweredQuery},
    ui::{Ui, labels::Labels},
};

impl Screen<'_> {
    /// Returns the screen for a request that cannot be answered.
    pub(crate) fn unanswered(&self, ui: &Ui, missing: &[UnansweredQuery]) -> String {
        let mut screen = format!("{}\n\n", ui.heading(&ui.messages.text("consent-title")));
        self.asker_text(ui, &mut screen);
        let _ = writeln!(screen, "\n{}", ui.heading(&ui.messages.text("missing-title")));
        for missing in missing {
            let _ = writeln!(screen, "  - {}", self.lack_of(ui, missing));
        }
        screen
    }

    /// Returns the object for `--json`: the members about the verifier, `missing` and `language`.
    pub(crate) fn unanswered_json(&self, ui: &Ui, missing: &[UnansweredQuery]) -> Value {
        let mut whole = self.asker_json(ui);
        let entry = |missing: &UnansweredQuery| {
            let claims: &[_] = if let LackReason::Claims(claims) = &missing.lack { claims } else { &[] };
            json!({
                "query_id": missing.query_id, "type": missing.type_name, "what": missing.lack.name(),
                "paths": claims.iter().map(|claim| path_to_text(&claim.path)).collect::<Vec<_>>(),
                "text": self.lack_of(ui, missing),
            })
        };
        if let Some(members) = whole.as_object_mut() {
            members.insert("missing".to_owned(), missing.iter().map(entry).collect());
            members.insert("language".to_owned(), json!(ui.messages.language().tag()));
        }
        whole
    }

    /// Returns the names of the missing credential types, separated by commas.
    pub(crate) fn missing_documents(&self, ui: &Ui, missing: &[UnansweredQuery]) -> String {
        let mut names: Vec<String> = missing.iter().map(|missing| self.document_of(ui, missing)).collect();
        names.dedup();
        names.join(", ")
    }

    fn document_of(&self, ui: &Ui, missing: &UnansweredQuery) -> String {
        Labels::new(self.catalogue, &missing.type_name, &ui.messages).document()
    }

    fn lack_of(&self, ui: &Ui, missing: &UnansweredQuery) -> String {
        let labels = Labels::new(self.catalogue, &missing.type_name, &ui.messages);
        let document = labels.document();
        let id = match &missing.lack {
            LackReason::Document => "missing-none",
            LackReason::Withdrawn => "missing-withdrawn",
            LackReason::Ended => "missing-ended",
            LackReason::NotChosen => "missing-chosen",
            LackReason::Format => "missing-format",
            LackReason::Copies => "missing-copies",
            LackReason::UsedUp => "missing-used-up",
            LackReason::OtherRedeemer => "missing-other-redeemer",
            LackReason::Foreign => "missing-foreign",
            LackReason::FreshCopies => "missing-fresh-copies",
            LackReason::Other => "missing-other",
            LackReason::Claims(claims) => {
                // Silence may be taken as the other side of the bound, so the owner sees the bound itself.
                let words = |claim: &ClaimQuery| {
                    let name = labels.claim(&name_of(&claim.path));
                    claim.threshold.as_ref().map_or(name.clone(), |one| format!("{name} {}", labels.bound(one)))
                };
                let claims: Vec<String> = claims.iter().map(words).collect();
                let arguments = [("document", document.as_str()), ("claims", &claims.join(", "))];
                return ui.messages.with("missing-claims", &arguments);
            }
        };
        ui.messages.with(id, &[("document", &document)])
    }
}
