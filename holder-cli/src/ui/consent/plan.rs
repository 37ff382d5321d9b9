//! Explanation of an answer on the consent screen: one line for each item, with its weight.

use std::fmt::Write;

use carnet_core::{
    query::plan::{CopyExposure, PlanItem, PlanLine, Sensitivity},
    secure::sd_jwt::{ClaimPath, Step},
};
use serde_json::{Value, json};

use super::{Screen, name_of};
use crate::ui::{Ui, labels::Labels};

impl Screen<'_> {
    pub(super) fn plan_text(&self, ui: &Ui, screen: &mut String) {
        let Some(answer) = self.answer else { return };
        let _ = writeln!(screen, "\n{}:", ui.heading(&ui.messages.text("plan-title")));
        for line in &answer.lines {
            let _ = writeln!(screen, "  {:>7}  {}", line.cost, self.line(ui, line));
        }
        let _ = writeln!(screen, "  {:>7}  {}", answer.cost, ui.messages.text("plan-sum"));
    }

    pub(super) fn plan_json(&self, ui: &Ui) -> Value {
        let Some(answer) = self.answer else { return Value::Null };
        let line = |line: &PlanLine| {
            let what = match line.what {
                PlanItem::Document { .. } => "document",
                PlanItem::Copy(_) => "copy",
                PlanItem::Value(..) => "value",
                PlanItem::Threshold(_) => "threshold",
                PlanItem::PassedOver { .. } => "passed_over",
            };
            json!({"query_id": line.query_id, "what": what, "cost": line.cost, "text": self.line(ui, line)})
        };
        json!({"cost": answer.cost, "lines": answer.lines.iter().map(line).collect::<Vec<_>>()})
    }

    fn line(&self, ui: &Ui, line: &PlanLine) -> String {
        let messages = &ui.messages;
        let document = |holding: usize| self.document(ui, holding);
        let claim = |path: &ClaimPath| self.claim(ui, &line.query_id, path);
        match &line.what {
            PlanItem::Document { holding, known } => {
                let id = if *known { "plan-document-known" } else { "plan-document-new" };
                messages.with(id, &[("document", &document(*holding))])
            }
            PlanItem::Copy(CopyExposure::Nobody) => messages.text("plan-copy-fresh"),
            PlanItem::Copy(CopyExposure::SameAsker) => messages.text("plan-copy-same"),
            PlanItem::Copy(CopyExposure::Others(others)) => {
                messages.with("plan-copy-others", &[("count", &others.to_string())])
            }
            PlanItem::Value(path, class) => {
                let id = match class {
                    Sensitivity::Computed => "plan-value-computed",
                    Sensitivity::Coarse => "plan-value-coarse",
                    Sensitivity::Value => "plan-value-plain",
                    Sensitivity::Fine => "plan-value-fine",
                };
                messages.with(id, &[("claim", &claim(path))])
            }
            PlanItem::Threshold(path) => messages.with("plan-threshold", &[("claim", &claim(path))]),
            PlanItem::PassedOver { holding } => messages.with("plan-passed-over", &[("document", &document(*holding))]),
        }
    }

    /// Returns the type and the id of a credential, by the number of the holding in the plan.
    fn document(&self, ui: &Ui, holding: usize) -> String {
        let index = self.answer.and_then(|answer| answer.holdings.get(holding));
        let Some(held) = index.and_then(|index| self.contents.credentials.get(*index)) else { return String::new() };
        format!("{} {}", Labels::new(self.catalogue, &held.type_name, &ui.messages).document(), held.id)
    }

    fn claim(&self, ui: &Ui, query_id: &str, path: &[Step]) -> String {
        let part = self.parts().iter().find(|part| part.query_id == query_id);
        let held = part.and_then(|part| self.contents.credentials.get(part.credential));
        let type_name = held.map_or("", |held| held.type_name.as_str());
        Labels::new(self.catalogue, type_name, &ui.messages).claim(&name_of(path))
    }
}
