//! The screen on which the owner decides: who, why, by what law, for how long, what goes, what stays.

use std::fmt::Write;

use carnet_spec::Catalogue;
use serde_json::{Value, json};

use super::{Ui, labels::Labels, sanitise::clean};
use crate::{
    answer::{Exposure, Part},
    request::Request,
    wallet::Contents,
};

/// Everything that the decision is about.
pub(crate) struct Consent<'a> {
    /// The request.
    pub(crate) request: &'a Request,
    /// The digest of the request and of what would be sent.
    pub(crate) digest: &'a str,
    /// What would be sent.
    pub(crate) parts: &'a [Part],
    /// Where it would be sent.
    pub(crate) endpoint: &'a str,
    /// The wallet.
    pub(crate) contents: &'a Contents,
    /// The words for types and claims.
    pub(crate) catalogue: &'a Catalogue,
}

impl Consent<'_> {
    /// The screen.
    pub(crate) fn text(&self, ui: &Ui) -> String {
        let say = |id: &str| ui.messages.text(id);
        let stated = |name: &str| self.request.words(name, &ui.messages).unwrap_or_else(|| say("consent-not-stated"));
        let mut screen = String::new();
        // Writing to a string does not fail.
        let _ = writeln!(screen, "{}\n", ui.heading(&say("consent-title")));
        for (id, value) in [
            ("consent-asker", stated("verifier_name")),
            ("consent-asker-id", clean(self.request.did.as_str())),
            ("consent-purpose", stated("purpose")),
            ("consent-legal-basis", stated("legal_basis")),
            ("consent-retention", stated("retention")),
        ] {
            let _ = writeln!(screen, "{}:\n  {value}", ui.heading(&say(id)));
            if id == "consent-asker-id" {
                let _ = writeln!(screen, "  ({})", say("consent-name-note"));
            }
        }
        for part in self.parts {
            self.part(ui, part, &mut screen);
        }
        let _ = writeln!(screen, "\n{}\n{}: {}", say("consent-always"), say("consent-digest"), self.digest);
        screen
    }

    fn part(&self, ui: &Ui, part: &Part, screen: &mut String) {
        let Some(held) = self.contents.credentials.get(part.credential) else { return };
        let say = |id: &str| ui.messages.text(id);
        let labels = Labels::new(self.catalogue, &held.type_name, &ui.messages);
        let _ = writeln!(screen, "\n{}: {}", ui.heading(&say("consent-document")), labels.document());
        let _ = writeln!(screen, "  {}", clean(&held.issuer_name));
        let _ = writeln!(screen, "  {}", clean(&held.issuer));
        let _ = writeln!(screen, "{}:", ui.heading(&say("consent-goes")));
        for claim in &part.goes {
            let some = if claim.in_part { format!(" ({})", say("consent-in-part")) } else { String::new() };
            let value = labels.value(&claim.name, &claim.value);
            let _ = writeln!(screen, "  + {}{some}: {value}", labels.claim(&claim.name));
        }
        if part.goes.is_empty() {
            let _ = writeln!(screen, "  {}", say("consent-nothing"));
        }
        let _ = writeln!(screen, "{}:", ui.heading(&say("consent-stays")));
        for name in &part.stays {
            let _ = writeln!(screen, "  - {}", labels.claim(name));
        }
        for claim in part.goes.iter().filter(|claim| claim.in_part) {
            let _ = writeln!(screen, "  - {} ({})", labels.claim(&claim.name), say("consent-in-part"));
        }
        if part.stays.is_empty() && !part.goes.iter().any(|claim| claim.in_part) {
            let _ = writeln!(screen, "  {}", say("consent-nothing"));
        }
        if part.everything {
            let _ = writeln!(screen, "! {}", say("consent-everything"));
        }
        match &part.exposure {
            Exposure::Fresh => {}
            Exposure::SameAsker => {
                let _ = writeln!(screen, "! {}", say("consent-reuse-same"));
            }
            Exposure::Others(others) => {
                let _ = writeln!(screen, "! {}", say("consent-reuse-other"));
                for other in others {
                    let _ = writeln!(screen, "    {}", clean(other));
                }
            }
        }
    }

    /// The same for a program.
    pub(crate) fn json(&self, ui: &Ui) -> Value {
        let stated = |name: &str| self.request.words(name, &ui.messages);
        let parts: Vec<Value> = self.parts.iter().filter_map(|part| self.part_json(ui, part)).collect();
        json!({
            "digest": self.digest,
            "asker": {
                "name": stated("verifier_name"),
                "did": self.request.did.as_str(),
                "client_id": self.request.client_id,
                "endpoint": self.endpoint,
            },
            "purpose": stated("purpose"),
            "legal_basis": stated("legal_basis"),
            "retention": stated("retention"),
            "language": ui.messages.language().tag(),
            "credentials": parts,
        })
    }

    fn part_json(&self, ui: &Ui, part: &Part) -> Option<Value> {
        let held = self.contents.credentials.get(part.credential)?;
        let labels = Labels::new(self.catalogue, &held.type_name, &ui.messages);
        let goes: Vec<Value> = part
            .goes
            .iter()
            .map(|claim| {
                json!({
                    "claim": claim.name, "label": labels.claim(&claim.name),
                    "value": claim.value, "text": labels.value(&claim.name, &claim.value), "in_part": claim.in_part,
                })
            })
            .collect();
        let stays: Vec<Value> =
            part.stays.iter().map(|name| json!({"claim": name, "label": labels.claim(name)})).collect();
        let (exposure, seen_by): (&str, &[String]) = match &part.exposure {
            Exposure::Fresh => ("fresh", &[]),
            Exposure::SameAsker => ("same_asker", &[]),
            Exposure::Others(others) => ("seen_by_others", others),
        };
        Some(json!({
            "query_id": part.query_id, "id": held.id, "type": held.type_name, "label": labels.document(),
            "format": held.format, "issuer": held.issuer, "issuer_name": held.issuer_name,
            "goes": goes, "stays": stays, "paths": part.paths, "everything": part.everything,
            "copy": exposure, "copy_seen_by": seen_by,
        }))
    }
}

#[cfg(test)]
mod tests;
