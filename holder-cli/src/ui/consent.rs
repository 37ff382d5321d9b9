//! Consent screen for a presentation: verifier, purpose, legal basis, retention, disclosed and hidden claims.

use std::{fmt::Write, ops::Deref};

use carnet_core::{day, query::path_to_text, secure::sd_jwt::Step};
use carnet_wallet::present::ConsentRequest;

use super::{Ui, labels::TypeLabels, parties, sanitise::sanitise};
use crate::{
    answer::{EarlierVerifiers, PlannedPresentation, ProvedClaim},
    commands::{list::refusal_text, log::party_name},
    wallet::{CredentialCopy, cached_status::StapledStatement, deletion::UNKNOWN_VERIFIER},
};

mod asker;
mod conclusions;
mod excess;
mod holder;
mod json;
mod missing;
mod plan;

/// Consent screen: the facts that it displays, as text or as JSON.
pub(crate) struct ConsentScreen<'a> {
    /// Facts of the question to the holder.
    pub(crate) question: ConsentRequest<'a>,
    /// `true` adds an explanation why these credentials and claims were chosen.
    pub(crate) explain: bool,
}

impl<'a> Deref for ConsentScreen<'a> {
    type Target = ConsentRequest<'a>;

    fn deref(&self) -> &ConsentRequest<'a> {
        &self.question
    }
}

impl ConsentScreen<'_> {
    /// Returns the whole screen as text.
    #[cfg(test)]
    pub(crate) fn text(&self, ui: &Ui) -> String {
        self.verifier_text(ui) + &self.disclosure_text(ui)
    }

    /// Returns the first half of the screen: the verifier, the bounds that it requested before, and the requested items
    /// that exceed its registration.
    pub(crate) fn verifier_text(&self, ui: &Ui) -> String {
        let mut screen = String::new();
        // Writing to a string does not fail.
        let _ = writeln!(screen, "{}\n", ui.heading(&ui.messages.text("consent-title")));
        self.write_verifier(ui, &mut screen);
        self.write_earlier_bounds(ui, &mut screen);
        self.write_excess(ui, &mut screen);
        screen
    }

    /// Returns the second half of the screen: the disclosed and the hidden claims, and what the verifier can conclude.
    pub(crate) fn disclosure_text(&self, ui: &Ui) -> String {
        let say = |id: &str| ui.messages.text(id);
        let mut screen = String::new();
        self.write_withheld(ui, &mut screen);
        self.write_holder_rule(ui, &mut screen);
        for part in self.presentations() {
            self.credential_text(ui, part, &mut screen);
        }
        self.write_conclusions(ui, &mut screen);
        if self.explain {
            self.write_plan(ui, &mut screen);
        }
        let _ = writeln!(screen, "\n{}", say("consent-always"));
        if ui.details {
            let _ = writeln!(screen, "{}: {}", say("consent-digest"), self.digest);
        }
        screen
    }

    /// Returns the question that the holder answers: the claims, the credentials and the recipient. An unregistered
    /// verifier is identified by its address, since its name is self-chosen.
    pub(crate) fn question_text(&self, ui: &Ui) -> String {
        let asker = self.verifier.relying_party().map(|registered| sanitise(&registered.name));
        let asker = asker.unwrap_or_else(|| self.unregistered_text(ui));
        let documents = self.presentations().iter().filter_map(|part| {
            let held = self.contents.credentials.get(part.credential)?;
            let labels = TypeLabels::of_held(self.catalogue, held, &ui.messages);
            let shown =
                part.disclosed.iter().map(|claim| &claim.name).chain(part.proved.iter().map(|proving| &proving.name));
            let mut claims: Vec<String> = shown.map(|name| labels.claim_label(name)).collect();
            if claims.is_empty() {
                claims.push(ui.messages.text("excess-document"));
            }
            Some(format!("{}: {}", labels.type_label(), claims.join(", ")))
        });
        let claims = documents.collect::<Vec<_>>().join("; ");
        ui.messages.format("consent-question", &[("asker", &asker), ("claims", &claims)])
    }

    /// Returns the freshness statement to be sent with a copy; `None` if none is to be sent.
    fn statement(&self, copy: &CredentialCopy) -> Option<StapledStatement> {
        copy.statement_to_staple(self.request.freshness_seconds_max, &self.request.client_id, self.now)
    }

    /// Returns whether the answer uses a copy that the public status lists link to other copies of its credential.
    pub(crate) fn uses_linkable_copy(&self) -> bool {
        let copy = |part: &PlannedPresentation| self.contents.credentials.get(part.credential)?.copies.get(part.copy);
        self.presentations().iter().filter_map(copy).any(CredentialCopy::is_linkable)
    }

    /// Describes the verifier by its address, for one without a valid registration.
    fn unregistered_text(&self, ui: &Ui) -> String {
        parties::unregistered_name(ui, &self.request.client_id, Some(self.endpoint), "")
    }

    /// Returns the name by which the log has a verifier, otherwise its address.
    fn logged_name(&self, ui: &Ui, client_id: &str) -> String {
        let entries = self.contents.log.entries().iter().rev();
        let known = entries.filter(|entry| entry.party == client_id).find(|entry| entry.verifier.is_some());
        known.map_or_else(|| parties::unregistered_name(ui, client_id, None, ""), |entry| party_name(ui, entry))
    }

    fn presentations(&self) -> &[PlannedPresentation] {
        self.answer.map_or(&[], |answer| &answer.presentations)
    }

    fn credential_text(&self, ui: &Ui, part: &PlannedPresentation, screen: &mut String) {
        let Some(held) = self.contents.credentials.get(part.credential) else { return };
        let say = |id: &str| ui.messages.text(id);
        let labels = TypeLabels::of_held(self.catalogue, held, &ui.messages);
        let _ = writeln!(screen, "\n{}: {}", ui.heading(&say("consent-document")), labels.type_label());
        let _ = writeln!(screen, "  {}", parties::issuer_name(ui, &held.issuer_name, &held.issuer));
        let _ = writeln!(screen, "{}:", ui.heading(&say("consent-goes")));
        for claim in &part.disclosed {
            let some = if claim.is_partial { format!(" ({})", say("consent-in-part")) } else { String::new() };
            let value = ui.messages.isolate(labels.value_text(&claim.name, &claim.value));
            let _ = writeln!(screen, "  + {}{some}: {value}", labels.claim_label(&claim.name));
        }
        if !part.unrequested.is_empty() {
            let _ = writeln!(screen, "! {}", say("consent-unasked"));
            for path in &part.unrequested {
                let _ = writeln!(screen, "    {}", labels.claim_label(&claim_name(path)));
            }
        }
        for proving in &part.proved {
            let bound = proved_text(&labels, part, proving);
            let _ = writeln!(screen, "  + {}: {bound}", labels.claim_label(&proving.name));
        }
        if part.disclosed.is_empty() && part.proved.is_empty() {
            let _ = writeln!(screen, "  {}", say("consent-nothing"));
        }
        let _ = writeln!(screen, "{}:", ui.heading(&say("consent-stays")));
        for name in &part.hidden {
            let concluded =
                self.conclusions_about(part.credential, name).map(|implied| labels.conclusion_text(name, implied));
            let concluded: String = concluded.map(|what| format!(" ({what})")).collect();
            let _ = writeln!(screen, "  - {}{concluded}", labels.claim_label(name));
        }
        for claim in part.disclosed.iter().filter(|claim| claim.is_partial) {
            let _ = writeln!(screen, "  - {} ({})", labels.claim_label(&claim.name), say("consent-in-part"));
        }
        if part.hidden.is_empty() && !part.disclosed.iter().any(|claim| claim.is_partial) {
            let _ = writeln!(screen, "  {}", say("consent-nothing"));
        }
        let (start, end) = (held.valid_from.map(day::format_start), held.valid_until.map(day::format_end));
        for (id, day, names) in [
            ("consent-given-away", end, &part.revealed_dates),
            ("consent-given-away-start", start, &part.given_away_by_start),
        ] {
            let Some(day) = day.filter(|_| !names.is_empty()) else { continue };
            let _ = writeln!(screen, "! {}", ui.messages.format(id, &[("day", &day)]));
            for name in names {
                let _ = writeln!(screen, "    {}", labels.claim_label(name));
            }
        }
        if part.is_whole {
            let _ = writeln!(screen, "! {}", say("consent-everything"));
        }
        if let Some(refusal) = self.contents.withdrawal_refusals().get(held.id.as_str()) {
            let _ = writeln!(screen, "! {}", refusal_text(ui, refusal));
        }
        if let Some(copy) = held.copies.get(part.copy).filter(|_| !part.is_whole) {
            let text = match self.statement(copy) {
                Some(statement) => ui.messages.format("consent-confirmed", &[("time", &statement.since.to_string())]),
                None if self.request.freshness_seconds_max.is_some() => say("consent-unconfirmed"),
                None => say("consent-confirmation-unasked"),
            };
            let _ = writeln!(screen, "{text}");
            if copy.is_linkable() {
                let _ = writeln!(screen, "! {}", say("consent-marked"));
            }
        }
        match &part.earlier_verifiers {
            EarlierVerifiers::Unused => {}
            EarlierVerifiers::SameVerifier => {
                let _ = writeln!(screen, "! {}", say("consent-reuse-same"));
            }
            EarlierVerifiers::Others(others) => {
                let _ = writeln!(screen, "! {}", say("consent-reuse-other"));
                for other in others {
                    let known =
                        if other == UNKNOWN_VERIFIER { say("copy-seen-unknown") } else { self.logged_name(ui, other) };
                    let _ = writeln!(screen, "    {known}");
                }
            }
        }
    }
}

/// Describes a proved threshold. It says that the value stays hidden only if neither the validity dates nor a second,
/// equal bound reveals it.
fn proved_text(labels: &TypeLabels<'_>, part: &PlannedPresentation, proving: &ProvedClaim) -> String {
    let mut given_away = part.revealed_dates.iter().chain(&part.given_away_by_start);
    if part.hidden.contains(&proving.name) && !given_away.any(|name| *name == proving.name) {
        labels.threshold_text(&proving.threshold)
    } else {
        labels.bound_label(&proving.threshold)
    }
}

/// Returns the path of a claim below the subject as text, by which labels are looked up.
fn claim_name(path: &[Step]) -> String {
    match path.split_first() {
        Some((Step::Name(first), rest)) if first == "credentialSubject" && !rest.is_empty() => path_to_text(rest),
        _ => path_to_text(path),
    }
}

#[cfg(test)]
mod tests;
