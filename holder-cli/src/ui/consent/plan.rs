//! Explanation of an answer on the consent screen: one line for each item, with its weight.

use std::fmt::Write;

use carnet_core::{
    query::plan::{CopyExposure, ExplanationLine, PlanItem, Sensitivity},
    secure::sd_jwt::{ClaimPath, Step},
};
use serde_json::{Value, json};

use super::{ConsentScreen, claim_name};
use crate::ui::{Ui, labels::TypeLabels};

impl ConsentScreen<'_> {
    pub(super) fn write_plan(&self, ui: &Ui, screen: &mut String) {
        let Some(answer) = self.answer else { return };
        let _ = writeln!(screen, "\n{}:", ui.heading(&ui.messages.text("plan-title")));
        for line in &answer.explanation {
            let _ = writeln!(screen, "  {:>7}  {}", line.weight, self.line(ui, line));
        }
        let _ = writeln!(screen, "  {:>7}  {}", answer.cost, ui.messages.text("plan-sum"));
    }

    pub(super) fn plan_json(&self, ui: &Ui) -> Value {
        let Some(answer) = self.answer else { return Value::Null };
        let line = |line: &ExplanationLine| {
            let what = match line.item {
                PlanItem::Document { .. } => "document",
                PlanItem::Copy(_) => "copy",
                PlanItem::Value(..) => "value",
                PlanItem::Threshold(_) => "threshold",
                PlanItem::Alternative { .. } => "passed_over",
            };
            json!({"query_id": line.query_id, "what": what, "cost": line.weight, "text": self.line(ui, line)})
        };
        json!({"cost": answer.cost, "lines": answer.explanation.iter().map(line).collect::<Vec<_>>()})
    }

    fn line(&self, ui: &Ui, line: &ExplanationLine) -> String {
        let messages = &ui.messages;
        let document = |holding: usize| self.document(ui, holding);
        let claim = |path: &ClaimPath| self.claim(ui, &line.query_id, path);
        match &line.item {
            PlanItem::Document { copy_index: holding, known } => {
                let id = if *known { "plan-document-known" } else { "plan-document-new" };
                messages.format(id, &[("document", &document(*holding))])
            }
            PlanItem::Copy(CopyExposure::NoVerifier) => messages.text("plan-copy-fresh"),
            PlanItem::Copy(CopyExposure::SameVerifier) => messages.text("plan-copy-same"),
            PlanItem::Copy(CopyExposure::OtherVerifiers(others)) => {
                messages.format("plan-copy-others", &[("count", &others.to_string())])
            }
            PlanItem::Value(path, class) => {
                let id = match class {
                    Sensitivity::Computed => "plan-value-computed",
                    Sensitivity::WidelyShared => "plan-value-coarse",
                    Sensitivity::Ordinary => "plan-value-plain",
                    Sensitivity::Identifying => "plan-value-fine",
                };
                messages.format(id, &[("claim", &claim(path))])
            }
            PlanItem::Threshold(path) => messages.format("plan-threshold", &[("claim", &claim(path))]),
            PlanItem::Alternative { copy_index: holding } => {
                messages.format("plan-passed-over", &[("document", &document(*holding))])
            }
        }
    }

    /// Returns the type and the id of a credential, by the number of the holding in the plan.
    fn document(&self, ui: &Ui, holding: usize) -> String {
        let index = self.answer.and_then(|answer| answer.candidates.get(holding));
        let Some(held) = index.and_then(|index| self.contents.credentials.get(*index)) else { return String::new() };
        format!("{} {}", TypeLabels::of_held(self.catalogue, held, &ui.messages).type_label(), held.id)
    }

    fn claim(&self, ui: &Ui, query_id: &str, path: &[Step]) -> String {
        let part = self.presentations().iter().find(|part| part.query_id == query_id);
        let held = part.and_then(|part| self.contents.credentials.get(part.credential));
        let name = claim_name(path);
        let label = |held| TypeLabels::of_held(self.catalogue, held, &ui.messages).claim_label(&name);
        held.map_or_else(|| TypeLabels::new(self.catalogue, "", &ui.messages).claim_label(&name), label)
    }
}
