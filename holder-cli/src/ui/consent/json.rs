//! Consent screen as JSON, for `--json`.

use carnet_core::{at_least::Direction, query::path_to_text};
use serde_json::{Value, json};

use super::{ConsentScreen, claim_name, proved_text};
use crate::{
    answer::{EarlierVerifiers, PlannedPresentation, ProvedClaim},
    commands::list::refusal_json,
    ui::{Ui, labels::TypeLabels},
    wallet::CredentialCopy,
};

impl ConsentScreen<'_> {
    /// Returns the facts of the screen as an object.
    pub(crate) fn to_json(&self, ui: &Ui) -> Value {
        let parts: Vec<Value> = self.presentations().iter().filter_map(|part| self.part_json(ui, part)).collect();
        let mut whole = self.verifier_json(ui);
        if let Some(members) = whole.as_object_mut() {
            members.extend([
                ("digest".to_owned(), json!(self.digest)),
                ("language".to_owned(), json!(ui.messages.language().tag())),
                ("excess".to_owned(), self.excess_json(ui)),
                ("withheld".to_owned(), self.withheld_json(ui)),
                ("holder".to_owned(), self.holder_rule_json(ui)),
                ("credentials".to_owned(), json!(parts)),
                ("concluded".to_owned(), self.conclusions_json(ui)),
                ("asked_before".to_owned(), self.earlier_bounds_json(ui)),
                ("plan".to_owned(), self.plan_json(ui)),
            ]);
        }
        whole
    }

    fn part_json(&self, ui: &Ui, part: &PlannedPresentation) -> Option<Value> {
        let held = self.contents.credentials.get(part.credential)?;
        let labels = TypeLabels::of_held(self.catalogue, held, &ui.messages);
        let goes: Vec<Value> = part
            .disclosed
            .iter()
            .map(|claim| {
                json!({
                    "claim": claim.name, "label": labels.claim_label(&claim.name),
                    "value": claim.value, "text": labels.value_text(&claim.name, &claim.value), "in_part": claim.is_partial,
                })
            })
            .collect();
        let proves: Vec<Value> = part.proved.iter().map(|proving| proving_json(&labels, proving, part)).collect();
        let named = |name: &String| json!({"claim": name, "label": labels.claim_label(name)});
        let stays: Vec<Value> = part.hidden.iter().map(named).collect();
        let given_away: Vec<Value> = part.revealed_dates.iter().map(named).collect();
        let given_away_by_start: Vec<Value> = part.given_away_by_start.iter().map(named).collect();
        let unasked = part.unrequested.iter();
        let unasked: Vec<Value> = unasked
            .map(|path| json!({"path": path_to_text(path), "label": labels.claim_label(&claim_name(path))}))
            .collect();
        let (exposure, seen_by): (&str, &[String]) = match &part.earlier_verifiers {
            EarlierVerifiers::Unused => ("fresh", &[]),
            EarlierVerifiers::SameVerifier => ("same_asker", &[]),
            EarlierVerifiers::Others(others) => ("seen_by_others", others),
        };
        Some(json!({
            "query_id": part.query_id, "id": held.id, "type": held.type_name, "label": labels.type_label(),
            "format": held.format, "issuer": held.issuer, "issuer_name": held.issuer_name,
            "goes": goes, "proves": proves, "stays": stays, "given_away": given_away,
            "given_away_by_start": given_away_by_start, "paths": part.disclosed_paths, "everything": part.is_whole,
            "unasked": unasked,
            "copy": exposure, "copy_seen_by": seen_by,
            "refused": self.contents.withdrawal_refusals().get(held.id.as_str()).map(refusal_json),
            "confirmed_since": held.copies.get(part.copy).and_then(|copy| self.statement(copy))
                .map(|statement| statement.since.to_string()),
            "marked": held.copies.get(part.copy).is_some_and(CredentialCopy::is_linkable),
            "confirmation_asked": self.request.freshness_seconds_max.is_some(),
        }))
    }
}

fn proving_json(labels: &TypeLabels<'_>, proving: &ProvedClaim, part: &PlannedPresentation) -> Value {
    let bound = proving.threshold.bound();
    let (at_least, at_most) = match proving.threshold.direction() {
        Direction::AtLeast => (Some(bound), None),
        Direction::AtMost => (None, Some(bound)),
    };
    json!({
        "claim": proving.name, "label": labels.claim_label(&proving.name), "path": path_to_text(&proving.path),
        "at_least": at_least, "at_most": at_most,
        "text": proved_text(labels, part, proving),
    })
}
