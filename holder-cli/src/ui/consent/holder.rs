//! Holder rule on the consent screen: whether the credentials of an answer must belong to one holder.

use std::fmt::Write;

use carnet_core::query::HolderRule;
use serde_json::{Value, json};

use super::ConsentScreen;
use crate::ui::{Ui, labels::TypeLabels};

impl ConsentScreen<'_> {
    pub(super) fn write_holder_rule(&self, ui: &Ui, screen: &mut String) {
        if let Some(text) = self.holder_words(ui) {
            // Writing to a string does not fail.
            let _ = writeln!(screen, "\n! {text}");
        }
    }

    /// Returns the holder rule and its text; null if only one credential is requested or shown.
    pub(super) fn holder_rule_json(&self, ui: &Ui) -> Value {
        let rule = self.request.query.holder_rule.as_ref();
        let claims = rule.map(HolderRule::claim_texts).unwrap_or_default();
        self.holder_words(ui)
            .map_or(Value::Null, |text| json!({"rule": rule.map(HolderRule::name), "claim": claims, "text": text}))
    }

    fn holder_words(&self, ui: &Ui) -> Option<String> {
        let query = &self.request.query;
        // A request for one document of several kinds allows several, and is answered with one.
        if !query.allows_several_credentials() || self.presentations().len() < 2 {
            return None;
        }
        Some(match &query.holder_rule {
            None => ui.messages.text("consent-holder-unstated"),
            Some(HolderRule::Any) => ui.messages.text("consent-holder-any"),
            Some(HolderRule::Key) => ui.messages.text("consent-holder-key"),
            Some(rule @ HolderRule::Claims(_)) => {
                let held = self.presentations().first().and_then(|part| self.contents.credentials.get(part.credential));
                let unknown = || TypeLabels::new(self.catalogue, "", &ui.messages);
                let of_held = |held| TypeLabels::of_held(self.catalogue, held, &ui.messages);
                let labels = held.map_or_else(unknown, of_held);
                let claims: Vec<String> = rule.claim_texts().iter().map(|claim| labels.claim_label(claim)).collect();
                ui.messages.format("consent-holder-claims", &[("claims", &claims.join(", "))])
            }
        })
    }
}
