//! Verifier, purpose, legal basis and retention on the consent screen: as registered, otherwise as stated by the
//! verifier.

use std::fmt::Write;

use carnet_core::{Code, day, trust::registration::Registration};
use carnet_fetch::local::is_localhost_did;
use serde_json::{Value, json};

use super::ConsentScreen;
use crate::{
    ui::{Ui, parties, sanitise::sanitise},
    verifier_identity::{RegistrarDecision, UnregisteredReason},
};

/// Texts about the verifier: registered, or stated by itself.
struct VerifierTexts {
    name: Option<String>,
    purpose: Option<String>,
    legal_basis: Option<String>,
    retention: Option<String>,
}

impl ConsentScreen<'_> {
    fn verifier_texts(&self, ui: &Ui) -> VerifierTexts {
        let messages = &ui.messages;
        let own = |name: &str| self.request.localized_text(name, &messages.languages());
        let name = match self.verifier.relying_party() {
            Some(registered) => Some(sanitise(&registered.name)),
            None => own("verifier_name"),
        };
        match self.verifier.intended_use() {
            Some(intended) => VerifierTexts {
                name,
                purpose: messages.languages().best_text(|language| intended.purpose.get(language).map(String::as_str)),
                legal_basis: messages
                    .languages()
                    .best_text(|language| intended.legal_basis.get(language).map(String::as_str)),
                retention: Some(messages.format("consent-days", &[("days", &intended.retention_days.to_string())])),
            },
            None => VerifierTexts {
                name,
                purpose: own("purpose"),
                legal_basis: own("legal_basis"),
                retention: own("retention"),
            },
        }
    }

    pub(super) fn write_verifier(&self, ui: &Ui, screen: &mut String) {
        let say = |id: &str| ui.messages.text(id);
        let mut row = |id: &str, values: &[String]| {
            let _ = writeln!(screen, "{}:", ui.heading(&say(id)));
            for value in values.iter().filter(|value| !value.is_empty()) {
                let _ = writeln!(screen, "  {value}");
            }
        };
        let VerifierTexts { name, purpose, legal_basis, retention } = self.verifier_texts(ui);
        let stated = |words: Option<String>| words.unwrap_or_else(|| say("consent-not-stated"));
        let registered = self.verifier.relying_party();
        let mut names = match (registered, name) {
            (Some(registered), name) => vec![
                stated(name),
                registered.legal_identifier.as_deref().map(sanitise).unwrap_or_default(),
                sanitise(&registered.country),
                format!("({})", say("consent-name-registered")),
            ],
            (None, Some(name)) => {
                let own_name = ui.messages.format("consent-own-name", &[("name", &name)]);
                vec![self.unregistered_text(ui), own_name]
            }
            (None, None) => vec![self.unregistered_text(ui)],
        };
        if is_localhost_did(self.request.did.as_str()) {
            names.push(say("local-note"));
        }
        row("consent-asker", &names);
        if ui.details {
            row("consent-asker-id", &[sanitise(self.request.did.as_str())]);
        }
        row("consent-endpoint", &[sanitise(self.endpoint)]);
        if let Some(registration) = self.verifier.registration() {
            let until = ui.messages.format("consent-registered-until", &[("date", &last_day(registration))]);
            let registrar = parties::known_name(ui, self.verifier.registrar_name(), registration.registrar());
            row("consent-registered-by", &[registrar, until]);
        }
        row("consent-purpose", &[stated(purpose)]);
        row("consent-legal-basis", &[stated(legal_basis)]);
        let own_words = match (registered, self.verifier.intended_use()) {
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
        if let (Some(unregistered), Some(why)) = (self.verifier.unregistered_reason(), self.why_unregistered(ui)) {
            let (warning, words) = match unregistered {
                UnregisteredReason::NoRegistration => ("unregistered-warning", "consent-own-words"),
                // It may be registered with another registrar.
                UnregisteredReason::Invalid(_) => ("registration-refused-warning", "consent-own-words-alone"),
            };
            let _ = writeln!(screen, "\n! {} {why}", say(warning));
            let _ = writeln!(screen, "  {}", say(words));
        }
    }

    /// Explains why the verifier counts as unregistered; `None` if it is registered.
    fn why_unregistered(&self, ui: &Ui) -> Option<String> {
        let code = match self.verifier.unregistered_reason()? {
            UnregisteredReason::NoRegistration => return Some(ui.messages.text("unregistered-none")),
            UnregisteredReason::Invalid(code) => code,
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
        Some(ui.messages.format(id, &[("registrar", &self.stated_registrar(ui)), ("code", code.as_str())]))
    }

    /// Returns the registrar stated in a refused registration: the holder's name for it, otherwise its web site or DID.
    fn stated_registrar(&self, ui: &Ui) -> String {
        match self.verifier.claimed_registrar() {
            Some(did) => parties::known_name(ui, self.verifier.registrar_name(), did),
            None => ui.messages.text("consent-not-stated"),
        }
    }

    /// Returns an object with the members `asker`, `registration`, `purpose`, `legal_basis` and `retention`.
    pub(super) fn verifier_json(&self, ui: &Ui) -> Value {
        let VerifierTexts { name, purpose, legal_basis, retention } = self.verifier_texts(ui);
        let registered = self.verifier.relying_party();
        let reason = self.verifier.unregistered_reason().map(|why| match why {
            UnregisteredReason::NoRegistration => "none",
            UnregisteredReason::Invalid(code) => code.as_str(),
        });
        let mut registration = json!({
            "registered": registered.is_some(), "reason": reason, "text": self.why_unregistered(ui),
            // The verifier's own claim, if the registration is refused.
            "claimed_registrar": self.verifier.unregistered_reason().and(self.verifier.claimed_registrar()),
            "intended_use": self.request.intended_use,
            // Null if the owner pinned the registrar, or nothing accepted it.
            "trust": self.verifier.registrar_decision().map(RegistrarDecision::to_json),
            "within": self.items.iter().all(|asked| asked.exceeded_limit.is_none()),
        });
        if let (Some(registered), Some(known), Some(members)) =
            (registered, self.verifier.registration(), registration.as_object_mut())
        {
            let authority = &registered.supervisory_authority;
            members.extend([
                ("registrar".to_owned(), json!(known.registrar())),
                ("registrar_name".to_owned(), json!(self.verifier.registrar_name())),
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
                    json!(self.verifier.intended_use().map(|intended| intended.retention_days)),
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
