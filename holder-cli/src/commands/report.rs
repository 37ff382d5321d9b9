//! Command `carnet report`: writes a complaint to the supervisory authority from the log. It sends nothing and contains
//! no claim values.

use std::fmt::Write;

use carnet_core::receipt::DisclosedThreshold;
use carnet_spec::Catalogue;
use serde_json::{Value, json};

use super::log::{below_subject, excess_text, export::write_private};
use crate::{
    arguments::Report,
    context::CommandContext,
    failure::Failure,
    receipt,
    ui::{labels::TypeLabels, messages::LocalizedMessages, sanitise::sanitise},
    wallet::{
        HeldCredential,
        log::{LoggedCredential, WalletLogEntry},
        presentations::{PresentationRecord, presentations_to},
    },
};

/// Articles of Regulation (EU) 2016/679 that support the complaint.
const ARTICLES: [u8; 3] = [12, 17, 77];

pub(crate) fn run(context: &CommandContext, arguments: &Report) -> Result<(), Failure> {
    let contents = context.wallet.read_without_texts()?;
    let shown = presentations_to(&contents.log, &arguments.who)?;
    let names = ComplaintNames {
        messages: &context.ui.messages,
        catalogue: &context.catalogue()?,
        credentials: &contents.credentials,
    };
    let text = complaint_text(&names, &shown);
    let object = complaint_json(context, &shown);
    let Some(path) = &arguments.out else {
        context.ui.print_result(&text, &json!({"complaint": object, "text": text}));
        context.ui.print_note(&context.ui.messages.text("report-not-sent"));
        return Ok(());
    };
    let content =
        if context.ui.json { format!("{}\n", serde_json::to_string_pretty(&object).unwrap_or_default()) } else { text };
    write_private(path, &content, false)?;
    let file = path.display().to_string();
    let said = format!("{} {file}\n", context.ui.messages.text("report-written"));
    context.ui.print_result(&said, &json!({"written": file}));
    Ok(())
}

fn complaint_json(context: &CommandContext, shown: &[PresentationRecord<'_>]) -> Value {
    let last = shown.last().map(|known| known.sent);
    let asker = last.and_then(|sent| sent.verifier.as_ref());
    let presentations: Vec<Value> = shown
        .iter()
        .map(|known| {
            let mut members = known.to_json(context.now());
            if let Some(members) = members.as_object_mut() {
                members.insert("receipt_digest".to_owned(), digest(known).into());
                members.insert("erasure_unanswered".to_owned(), unconfirmed_request(known).is_some().into());
            }
            members
        })
        .collect();
    json!({
        "complainant": "", "authority": asker.and_then(|asker| asker.authority.as_ref()),
        "about": {
            "client_id": last.map(|sent| &sent.party), "name": last.map(|sent| &sent.party_name),
            "endpoint": asker.map(|asker| &asker.endpoint), "support": asker.and_then(|asker| asker.support.as_ref()),
            "registrar": asker.and_then(|asker| asker.registrar.as_ref()),
        },
        "regulation": "(EU) 2016/679", "articles": ARTICLES, "made_at": context.now().to_string(),
        "presentations": presentations,
    })
}

fn digest(known: &PresentationRecord<'_>) -> Option<String> {
    receipt::verify_stored_receipt(known.valid_receipt()?).ok().map(|receipt| receipt.digest().to_owned())
}

/// Returns the time of the last erasure request; `None` if there was none, or erasure was confirmed.
fn unconfirmed_request(known: &PresentationRecord<'_>) -> Option<String> {
    let last = known.erasure_requests.last().filter(|_| known.erasure.is_none())?;
    Some(last.at.to_string())
}

/// Words for what was shown: labels in the holder's language, and beside them the paths, which are exact.
struct ComplaintNames<'a> {
    messages: &'a LocalizedMessages,
    catalogue: &'a Catalogue,
    /// Credentials that the wallet still has.
    credentials: &'a [HeldCredential],
}

impl<'a> ComplaintNames<'a> {
    fn labels(&self, part: &'a LoggedCredential) -> TypeLabels<'a> {
        let held = self.credentials.iter().find(|held| held.id == part.id && held.type_name == part.type_name);
        let known = || TypeLabels::new(self.catalogue, &part.type_name, self.messages);
        held.map_or_else(known, |held| TypeLabels::of_held(self.catalogue, held, self.messages))
    }

    /// Returns the credential with its claims, each as label and path.
    fn claims(&self, part: &'a LoggedCredential) -> String {
        let labels = self.labels(part);
        let claims: Vec<String> = part.paths.iter().map(|path| with_path(&labels, path, path)).collect();
        format!("{}: {}", labels.type_label(), claims.join(", "))
    }

    /// Returns the credential with its proved thresholds, each as label and bound by path.
    fn thresholds(&self, part: &'a LoggedCredential) -> String {
        let labels = self.labels(part);
        let exact = |threshold| with_path(&labels, DisclosedThreshold::path(threshold), &threshold_text(threshold));
        let proved: Vec<String> = part.thresholds.iter().map(exact).collect();
        format!("{}: {}", labels.type_label(), proved.join(", "))
    }

    /// Returns the items beyond the registration, in words and by their paths.
    fn excess(&self, sent: &WalletLogEntry) -> String {
        let item = |beyond: &String| {
            let (words, exact) = (excess_text(sent, beyond, self.catalogue, self.messages), sanitise(beyond));
            if words == exact { words } else { format!("{words} [{exact}]") }
        };
        sent.excess.iter().map(item).collect::<Vec<_>>().join(", ")
    }
}

/// Returns the label of the claim at a path, followed by its exact description in brackets; without a label that alone.
fn with_path(labels: &TypeLabels<'_>, path: &str, exact: &str) -> String {
    let (label, exact) = (labels.claim_label(below_subject(path)), sanitise(exact));
    if label == sanitise(below_subject(path)) { exact } else { format!("{label} [{exact}]") }
}

/// Returns the complaint as text, with blanks for the complainant.
fn complaint_text(names: &ComplaintNames<'_>, shown: &[PresentationRecord<'_>]) -> String {
    let messages = names.messages;
    let word = |id: &str| messages.text(id);
    let mut text = format!("{}\n\n", word("report-title"));
    let last = shown.last().map(|known| known.sent);
    let asker = last.and_then(|sent| sent.verifier.as_ref());
    let authority = asker.and_then(|asker| asker.authority.as_ref()).map(|authority| {
        let parts = [Some(&authority.name), authority.email.as_ref(), authority.uri.as_ref()];
        parts.into_iter().flatten().map(|part| sanitise(part)).collect::<Vec<_>>().join(", ")
    });
    let _ =
        writeln!(text, "{}: {}", word("report-to"), authority.unwrap_or_else(|| "______________________".to_owned()));
    let _ = writeln!(text, "{}: ______________________ {}", word("report-from"), word("report-blank"));
    if let Some(sent) = last {
        let contacts = asker.map(|asker| [Some(&asker.endpoint), asker.support.as_ref()]);
        let contacts: String =
            contacts.into_iter().flatten().flatten().map(|contact| format!(", {}", sanitise(contact))).collect();
        let _ = writeln!(
            text,
            "{}: {} <{}>{contacts}",
            word("report-about"),
            sanitise(&sent.party_name),
            sanitise(&sent.party)
        );
    }
    let _ = writeln!(text, "\n{}", word("report-facts"));
    for known in shown {
        write_presentation(names, known, &mut text);
    }
    let _ = writeln!(text, "\n{}\n\n{}: ______________________", word("report-law"), word("report-signed"));
    text
}

/// Formats a proved threshold with the technical path of the claim, such as `credentialSubject.validUntil >=
/// 2026-11-22`.
pub(crate) fn threshold_text(threshold: &DisclosedThreshold) -> String {
    let bound = serde_json::to_value(threshold).unwrap_or_default();
    let (sign, bound) = match (bound.get("at_least"), bound.get("at_most")) {
        (Some(bound), _) => (">=", bound.clone()),
        (None, bound) => ("<=", bound.cloned().unwrap_or_default()),
    };
    let bound = bound.as_str().map_or_else(|| bound.to_string(), str::to_owned);
    sanitise(&format!("{} {sign} {bound}", threshold.path()))
}

fn write_presentation(names: &ComplaintNames<'_>, known: &PresentationRecord<'_>, text: &mut String) {
    let (sent, messages) = (known.sent, names.messages);
    let _ = writeln!(text, "\n{}", sent.at);
    let mut line = |id: &str, said: &str| {
        if !said.is_empty() {
            let _ = writeln!(text, "  {}: {said}", messages.text(id));
        }
    };
    line("log-why", &sanitise(&sent.purpose));
    for part in &sent.credentials {
        if !part.paths.is_empty() {
            line("log-claims", &names.claims(part));
        }
        if !part.thresholds.is_empty() {
            line("log-proved", &names.thresholds(part));
        }
    }
    line("log-beyond", &names.excess(sent));
    line("report-receipt", &digest(known).unwrap_or_default());
    match (known.erasure, known.erasure_due()) {
        (Some(erased), _) => line("log-gone", &erased.at.to_string()),
        (None, Some(due)) => line("log-due", &due.to_string()),
        (None, None) => line("log-due", &messages.text("log-no-receipt")),
    }
    line("report-unanswered", &unconfirmed_request(known).unwrap_or_default());
}

#[cfg(test)]
mod tests;
