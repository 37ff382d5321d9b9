//! Command `carnet show`: displays one credential with its values to its holder.

use std::fmt::Write;

use carnet_core::{
    day,
    json::{Limits, parse},
    secure::sd_jwt::SdJwt,
    time::Timestamp,
};
use serde_json::{Map, Value, json};

use crate::{
    answer::{is_commitments_name, payload_claims},
    arguments::Show,
    commands::list,
    context::CommandContext,
    failure::{DataSafety, Failure, Sentence},
    ui::{Ui, labels::TypeLabels, messages::LocalizedMessages, sanitise::sanitise},
    wallet::{CredentialCopy, HeldCredential},
};

/// Displays a credential with its values and its copies. Nothing is presented.
pub(crate) fn run(context: &CommandContext, arguments: &Show) -> Result<(), Failure> {
    let contents = context.wallet.read()?;
    let index = contents.find_credential(&arguments.id)?;
    let Some(held) = contents.credentials.get(index) else { return Ok(()) };
    let catalogue = context.catalogue()?;
    let labels = TypeLabels::of_held(&catalogue, held, &context.ui.messages);
    let views = claim_views(held, &labels)?;
    let mut text = format!("{}\n", context.ui.heading(&labels.type_label()));
    let until = held.valid_until.map(|until| until.to_string());
    let vouched = held.count_confirmed_copies(context.now()).0;
    text.push_str(&about(&context.ui, held, context.now()));
    let mut claims = Vec::new();
    for view in &views {
        let _ = writeln!(text, "  {}", view.line(&context.ui.messages));
        claims.push(view.to_json());
    }
    let copies: Vec<Value> = held.copies.iter().map(|copy| copy_json(copy, context.now())).collect();
    let object = json!({
        "id": held.id, "type": held.type_name, "label": labels.type_label(), "format": held.format,
        "issuer": held.issuer, "issuer_name": held.issuer_name, "received_at": held.received_at.to_string(),
        "valid_from": held.valid_from.map(|from| from.to_string()), "valid_until": until,
        "claims": claims, "copies": copies, "copies_confirmed": vouched,
    });
    context.ui.print_result(&text, &object);
    Ok(())
}

/// Claim of a credential for its holder.
pub(super) struct ClaimView {
    name: String,
    label: String,
    value: Value,
    text: String,
}

impl ClaimView {
    /// Returns the line with label and value.
    pub(super) fn line(&self, messages: &LocalizedMessages) -> String {
        format!("{}: {}", self.label, messages.isolate(self.text.clone()))
    }

    pub(super) fn to_json(&self) -> Value {
        json!({"claim": self.name, "label": self.label, "value": self.value, "text": self.text})
    }
}

/// Returns the claims of a credential with their values.
///
/// # Errors
/// No copy can be read.
pub(super) fn claim_views(held: &HeldCredential, labels: &TypeLabels<'_>) -> Result<Vec<ClaimView>, Failure> {
    let payload = payload(held).map_err(|problem| {
        Failure::from_problem(&problem, Sentence::new("error-document-unreadable"), Sentence::new("hint-receive-again"))
            .with_safety(DataSafety::Unreadable)
    })?;
    let claims = payload_claims(&payload, held.format).into_iter().filter(|(name, _)| !is_commitments_name(name));
    let view = |(name, value): (String, &Value)| ClaimView {
        label: labels.claim_label(&name),
        text: labels.value_text(&name, value),
        value: value.clone(),
        name,
    };
    Ok(claims.map(view).collect())
}

/// Returns the lines about a credential: issuer, end of validity, format, number of copies, and state.
fn about(ui: &Ui, held: &HeldCredential, now: Timestamp) -> String {
    let messages = &ui.messages;
    let until = match held.valid_until {
        None => messages.text("list-no-end"),
        Some(until) => messages.format("list-until", &[("day", &day::format_last_day(until))]),
    };
    let (unused, all) = (held.unused_copies().to_string(), held.copies.len().to_string());
    let issuer = messages.format("show-issuer", &[("issuer", &sanitise(&held.issuer_name))]);
    // The wallet's owner chose this issuer, and its name is the one that was shown then.
    let identifier = (ui.details || held.issuer_name.is_empty()).then(|| sanitise(&held.issuer));
    let identifier = identifier.map(|did| messages.format("list-id", &[("id", &did)]));
    let format = messages.format("show-format", &[("format", held.format.as_str())]);
    let copies = messages.format("list-copies", &[("unused", &unused), ("all", &all)]);
    let standing = list::status_text(ui, held, held.count_confirmed_copies(now).1);
    let lines = [Some(issuer), identifier, Some(until), Some(format), Some(copies), standing];
    let lines: String = lines.into_iter().flatten().map(|line| ui.format_wrapped(2, &line)).collect();
    format!("{lines}\n")
}

fn copy_json(copy: &CredentialCopy, now: Timestamp) -> Value {
    let standing = copy.status.as_ref();
    json!({
        "shown_to": copy.presented_to,
        "state": standing.map(|standing| standing.state.as_str()),
        "asked_at": standing.map(|standing| standing.requested_at.to_string()),
        "confirmed_until": copy.current_statements(now).map(|statement| statement.until.to_string()),
    })
}

/// Returns the claims of a credential, from the first copy that has a text; all copies have the same claims.
fn payload(held: &HeldCredential) -> Result<Map<String, Value>, carnet_core::Problem> {
    let missing = || carnet_core::Problem::from(carnet_core::Code::InvalidJson);
    let copy = held.copies.iter().find(|copy| copy.is_presentable()).ok_or_else(missing)?;
    if held.format.is_sd_jwt() {
        return Ok(SdJwt::parse(&copy.credential.text())?.resolve_disclosures()?.payload);
    }
    parse(copy.credential.text().as_bytes(), Limits::DOCUMENT)?.as_object().cloned().ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::tests::Issuer;
    use carnet_core::format::CredentialFormat;

    #[test]
    fn a_copy_of_which_only_the_key_is_left_is_passed_over() {
        let mut held = Issuer::new().held("aaaa", CredentialFormat::VcSdJwt, 2);
        let whole = payload(&held).unwrap();
        held.copies[0].credential.clear();
        assert_eq!(payload(&held).unwrap()["credentialSubject"]["title"], whole["credentialSubject"]["title"]);
        held.copies[1].credential.clear();
        assert!(payload(&held).is_err());
    }
}
