//! Screen for a request that cannot be answered: verifier, purpose, and the missing credentials.

use std::fmt::Write;

use carnet_core::query::{ClaimQuery, path_to_text};
use serde_json::{Value, json};

use super::{ConsentScreen, claim_name};
use crate::{
    answer::{MissingReason, UnansweredQuery},
    ui::{Ui, labels::TypeLabels},
};

impl ConsentScreen<'_> {
    /// Returns the screen for a request that cannot be answered.
    pub(crate) fn unanswered_text(&self, ui: &Ui, missing: &[UnansweredQuery]) -> String {
        let mut screen = format!("{}\n\n", ui.heading(&ui.messages.text("consent-title")));
        self.write_verifier(ui, &mut screen);
        let _ = writeln!(screen, "\n{}", ui.heading(&ui.messages.text("missing-title")));
        for missing in missing {
            let _ = writeln!(screen, "  - {}", self.lack_of(ui, missing));
        }
        screen
    }

    /// Returns the object for `--json`: the members about the verifier, `missing` and `language`.
    pub(crate) fn unanswered_json(&self, ui: &Ui, missing: &[UnansweredQuery]) -> Value {
        let mut whole = self.verifier_json(ui);
        let entry = |missing: &UnansweredQuery| {
            let claims: &[_] = if let MissingReason::Claims(claims) = &missing.reason { claims } else { &[] };
            json!({
                "query_id": missing.query_id, "type": missing.type_name, "what": missing.reason.as_str(),
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

    /// Returns the labels of the missing credential types in the language of the messages, separated by commas. A label
    /// that repeats the one before it is omitted.
    pub(crate) fn missing_types(&self, ui: &Ui, missing: &[UnansweredQuery]) -> String {
        let mut names: Vec<String> = missing.iter().map(|missing| self.document_of(ui, missing)).collect();
        names.dedup();
        names.join(", ")
    }

    fn document_of(&self, ui: &Ui, missing: &UnansweredQuery) -> String {
        TypeLabels::new(self.catalogue, &missing.type_name, &ui.messages).type_label()
    }

    fn lack_of(&self, ui: &Ui, missing: &UnansweredQuery) -> String {
        let labels = TypeLabels::new(self.catalogue, &missing.type_name, &ui.messages);
        let document = labels.type_label();
        let id = match &missing.reason {
            MissingReason::NoCredential => "missing-none",
            MissingReason::Withdrawn => "missing-withdrawn",
            MissingReason::Expired => "missing-ended",
            MissingReason::NotAllowed => "missing-chosen",
            MissingReason::Format => "missing-format",
            MissingReason::NoCopies => "missing-copies",
            MissingReason::UsedUp => "missing-used-up",
            MissingReason::OtherRedeemer => "missing-other-redeemer",
            MissingReason::UnsupportedQuery => "missing-foreign",
            MissingReason::FreshCopies => "missing-fresh-copies",
            MissingReason::Other => "missing-other",
            MissingReason::Claims(claims) => {
                // Silence may be taken as the other side of the bound, so the owner sees the bound itself.
                let words = |claim: &ClaimQuery| {
                    let name = labels.claim_label(&claim_name(&claim.path));
                    claim.threshold.as_ref().map_or(name.clone(), |one| format!("{name} {}", labels.bound_label(one)))
                };
                let claims: Vec<String> = claims.iter().map(words).collect();
                let arguments = [("document", document.as_str()), ("claims", &claims.join(", "))];
                return ui.messages.format("missing-claims", &arguments);
            }
        };
        ui.messages.format(id, &[("document", &document)])
    }
}
