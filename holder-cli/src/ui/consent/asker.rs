//! Verifier, purpose, legal basis and retention on the consent screen: as registered, otherwise as stated by the
//! verifier.

use std::fmt::Write;

use carnet_core::{Code, day, trust::registration::Registration};
use carnet_fetch::local::is_local;
use serde_json::{Value, json};

use super::Screen;
use crate::{
    introduction::{RegistrarDecision, Unregistered},
    ui::{Ui, parties, sanitise::sanitise},
};

/// Texts about the verifier: registered, or stated by itself.
struct Words {
    name: Option<String>,
    purpose: Option<String>,
    legal_basis: Option<String>,
    retention: Option<String>,
}

impl Screen<'_> {
    fn words(&self, ui: &Ui) -> Words {
        let messages = &ui.messages;
        let own = |name: &str| self.request.words(name, &messages.languages());
        let name = match self.introduction.relying_party() {
            Some(registered) => Some(sanitise(&registered.name)),
            None => own("verifier_name"),
        };
        match self.introduction.intended_use() {
            Some(intended) => Words {
                name,
                purpose: messages.languages().best_text(|language| intended.purpose.get(language).map(String::as_str)),
                legal_basis: messages
                    .languages()
                    .best_text(|language| intended.legal_basis.get(language).map(String::as_str)),
                retention: Some(messages.with("consent-days", &[("days", &intended.retention_days.to_string())])),
            },
            None => {
                Words { name, purpose: own("purpose"), legal_basis: own("legal_basis"), retention: own("retention") }
            }
        }
    }

    pub(super) fn asker_text(&self, ui: &Ui, screen: &mut String) {
        let say = |id: &str| ui.messages.text(id);
        let mut row = |id: &str, values: &[String]| {
            let _ = writeln!(screen, "{}:", ui.heading(&say(id)));
            for value in values.iter().filter(|value| !value.is_empty()) {
                let _ = writeln!(screen, "  {value}");
            }
        };
        let Words { name, purpose, legal_basis, retention } = self.words(ui);
        let stated = |words: Option<String>| words.unwrap_or_else(|| say("consent-not-stated"));
        let registered = self.introduction.relying_party();
        let mut names = match (registered, name) {
            (Some(registered), name) => vec![
                stated(name),
                registered.legal_identifier.as_deref().map(sanitise).unwrap_or_default(),
                sanitise(&registered.country),
                format!("({})", say("consent-name-registered")),
            ],
            (None, Some(name)) => {
                let own_name = ui.messages.with("consent-own-name", &[("name", &name)]);
                vec![self.unvouched(ui), own_name]
            }
            (None, None) => vec![self.unvouched(ui)],
        };
        if is_local(self.request.did.as_str()) {
            names.push(say("local-note"));
        }
        row("consent-asker", &names);
        if ui.details {
            row("consent-asker-id", &[sanitise(self.request.did.as_str())]);
        }
        row("consent-endpoint", &[sanitise(self.endpoint)]);
        if let Some(registration) = self.introduction.registration() {
            let until = ui.messages.with("consent-registered-until", &[("date", &last_day(registration))]);
            let registrar = parties::known_name(ui, self.introduction.registrar_name(), registration.registrar());
            row("consent-registered-by", &[registrar, until]);
        }
        row("consent-purpose", &[stated(purpose)]);
        row("consent-legal-basis", &[stated(legal_basis)]);
        let own_words = match (registered, self.introduction.intended_use()) {
            (Some(_), None) => format!("({})", say("consent-own-words")),
            _ => String::new(),
        };
        row("consent-retention", &[stated(retention), own_words]);
        if let Some(registered) = registered {
            if let Some(register) = &registered.registry_uri {
                row("consent-register", &[sanitise(register)]);
            }
            row("consent-privacy-policy", &[sanitise(&registered.privacy_policy)]);
            row("consent-contact", &[sanitise(&registered.support_uri)]);
            let authority = &registered.supervisory_authority;
            let address = |part: &Option<String>| part.as_deref().map(sanitise).unwrap_or_default();
            row("consent-authority", &[sanitise(&authority.name), address(&authority.email), address(&authority.uri)]);
        }
        if let (Some(unregistered), Some(why)) = (self.introduction.unregistered(), self.why_unregistered(ui)) {
            let (warning, words) = match unregistered {
                Unregistered::None => ("unregistered-warning", "consent-own-words"),
                // It may be registered with another registrar.
                Unregistered::Refused(_) => ("registration-refused-warning", "consent-own-words-alone"),
            };
            let _ = writeln!(screen, "\n! {} {why}", say(warning));
            let _ = writeln!(screen, "  {}", say(words));
        }
    }

    /// Explains why the verifier counts as unregistered; `None` if it is registered.
    fn why_unregistered(&self, ui: &Ui) -> Option<String> {
        let code = match self.introduction.unregistered()? {
            Unregistered::None => return Some(ui.messages.text("unregistered-none")),
            Unregistered::Refused(code) => code,
        };
        let id = match code {
            Code::RegistrarUntrusted => "unregistered-registrar",
            Code::RegistrationMismatch => "unregistered-mismatch",
            Code::Expired => "unregistered-expired",
            Code::NotYetValid => "unregistered-not-yet",
            Code::DidUnresolved | Code::AddressForbidden => "unregistered-unresolved",
            Code::DidDocumentInvalid | Code::DidLogInvalid | Code::DidLogForked | Code::DidLogWitness => {
                "unregistered-document"
            }
            _ => "unregistered-refused",
        };
        Some(ui.messages.with(id, &[("registrar", &self.stated_registrar(ui)), ("code", code.as_str())]))
    }

    /// Returns the registrar stated in a refused registration: the holder's name for it, otherwise its web site or DID.
    fn stated_registrar(&self, ui: &Ui) -> String {
        match self.introduction.stated_registrar() {
            Some(did) => parties::known_name(ui, self.introduction.registrar_name(), did),
            None => ui.messages.text("consent-not-stated"),
        }
    }

    /// Returns an object with the members `asker`, `registration`, `purpose`, `legal_basis` and `retention`.
    pub(super) fn asker_json(&self, ui: &Ui) -> Value {
        let Words { name, purpose, legal_basis, retention } = self.words(ui);
        let registered = self.introduction.relying_party();
        let reason = self.introduction.unregistered().map(|why| match why {
            Unregistered::None => "none",
            Unregistered::Refused(code) => code.as_str(),
        });
        let mut registration = json!({
            "registered": registered.is_some(), "reason": reason, "text": self.why_unregistered(ui),
            // The verifier's own claim, if the registration is refused.
            "claimed_registrar": self.introduction.unregistered().and(self.introduction.stated_registrar()),
            "intended_use": self.request.intended_use,
            // Null if the owner pinned the registrar, or nothing accepted it.
            "trust": self.introduction.registrar_decision().map(RegistrarDecision::json),
            "within": self.asked.iter().all(|asked| asked.beyond.is_none()),
        });
        if let (Some(registered), Some(known), Some(members)) =
            (registered, self.introduction.registration(), registration.as_object_mut())
        {
            let authority = &registered.supervisory_authority;
            members.extend([
                ("registrar".to_owned(), json!(known.registrar())),
                ("registrar_name".to_owned(), json!(self.introduction.registrar_name())),
                ("valid_until".to_owned(), json!(last_day(known))),
                ("legal_identifier".to_owned(), json!(registered.legal_identifier)),
                ("country".to_owned(), json!(registered.country)),
                ("registry_uri".to_owned(), json!(registered.registry_uri)),
                ("privacy_policy".to_owned(), json!(registered.privacy_policy)),
                ("support_uri".to_owned(), json!(registered.support_uri)),
                (
                    "supervisory_authority".to_owned(),
                    json!({"name": authority.name, "email": authority.email, "uri": authority.uri}),
                ),
                (
                    "retention_days".to_owned(),
                    json!(self.introduction.intended_use().map(|intended| intended.retention_days)),
                ),
            ]);
        }
        json!({
            "asker": {
                "name": name, "did": self.request.did.as_str(), "client_id": self.request.client_id,
                "endpoint": self.endpoint,
            },
            "registration": registration,
            "purpose": purpose, "legal_basis": legal_basis, "retention": retention,
        })
    }
}

/// Returns the last day of a registration.
fn last_day(registration: &Registration) -> String {
    day::format_last_day(registration.valid_until())
}
