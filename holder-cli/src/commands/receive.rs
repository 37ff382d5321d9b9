//! Command `carnet receive`: from an offer to verified copies in the wallet.

use age::secrecy::ExposeSecret;
use carnet_fetch::local::is_localhost_did;
use carnet_spec::Catalogue;
use carnet_wallet::{
    address::belongs_to_issuer,
    ports::OfferConsent,
    receive::{IssuanceResults, receive_offer, resume_issuances},
};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::{
    arguments::Receive,
    context::CommandContext,
    failure::{DataSafety, Failure, FailureReason, Sentence},
    issuer_metadata::ExpectedCredential,
    link::LinkKind,
    link_input,
    offer::{OfferLink, PinFormat},
    secrets::{SecretKind, read_first_line},
    ui::{Ui, labels::TypeLabels, parties, sanitise::sanitise},
    wallet::holder_key::WalletSecret,
};

/// Maximum number of prompts for a PIN; all but the last are repeated after a malformed one.
const PIN_PROMPTS: usize = 3;

/// Receives the credentials of an offer, or resumes pending ones.
pub(crate) async fn run(context: &CommandContext, arguments: &Receive) -> Result<(), Failure> {
    let results = if arguments.resume {
        let mut wallet = context.wallet.open()?;
        context.connections.set_known_hosts(&wallet.contents, context.now());
        resume_issuances(context, &context.catalogue()?, &mut wallet, None).await?
    } else {
        let link = OfferLink::parse(&link_input::read_link(
            &context.ui,
            LinkKind::Offer,
            &arguments.offer,
            arguments.picture.as_deref(),
        )?)?;
        let mut wallet = context.wallet.open()?;
        let offer = match link {
            OfferLink::Offer(offer) => offer,
            OfferLink::Reference(url) => {
                context.connections.set_known_hosts(&wallet.contents, context.now());
                context.connections.fetch_offer(&url).await?
            }
        };
        receive_offer(
            context,
            &context.catalogue()?,
            &mut wallet,
            &offer,
            &TerminalOfferConsent { ui: &context.ui, arguments },
        )
        .await?
    };
    report_results(context, results)
}

/// Holder at the terminal, who may have decided on the command line.
struct TerminalOfferConsent<'a> {
    ui: &'a Ui,
    arguments: &'a Receive,
}

impl OfferConsent for TerminalOfferConsent<'_> {
    fn accept_offer(
        &self,
        catalogue: &Catalogue,
        endpoint: &str,
        offered: &[ExpectedCredential],
    ) -> Result<(), Failure> {
        consent(self.ui, self.arguments, catalogue, endpoint, offered)
    }

    fn ask_pin(&self, form: PinFormat, endpoint: &str) -> Result<WalletSecret, Failure> {
        pin(self.ui, self.arguments, form, endpoint)
    }
}

/// Displays the offer, and asks the holder to accept it. With `--yes` nothing is displayed.
///
/// # Errors
/// `approval_needed` without a terminal; `declined`, `not_answered`.
fn consent(
    ui: &Ui,
    arguments: &Receive,
    catalogue: &Catalogue,
    endpoint: &str,
    promises: &[ExpectedCredential],
) -> Result<(), Failure> {
    if arguments.yes {
        return Ok(());
    }
    let label = |promise: &ExpectedCredential| {
        TypeLabels::new(catalogue, &promise.type_name, &ui.messages).with_names(&promise.display).type_label()
    };
    ui.print_text(&offer_screen(ui, catalogue, endpoint, promises));
    if !ui.can_ask() {
        let offered: Vec<Value> = promises
            .iter()
            .map(|promise| {
                json!({
                    "issuer": promise.issuer, "issuer_name": promise.issuer_name, "endpoint": endpoint,
                    "issuer_proven": is_proven(promise, endpoint),
                    "type": promise.type_name, "format": promise.format, "label": label(promise),
                })
            })
            .collect();
        let message = Sentence::new("error-receive-nobody");
        let failure = Failure::new(FailureReason::ApprovalNeeded, message, Sentence::new("hint-receive-yes"));
        return Err(failure.with_members(json!({"offered": offered})));
    }
    let question = |ui: &Ui| ui.messages.text("receive-question");
    let screen = |ui: &Ui| format!("{}{}\n", offer_screen(ui, catalogue, endpoint, promises), question(ui));
    ui.require_yes_about(&question(ui), Sentence::new("undone-offer"), screen)
}

/// Returns the screen of an offer: each document, who gives it, and from where.
fn offer_screen(ui: &Ui, catalogue: &Catalogue, endpoint: &str, promises: &[ExpectedCredential]) -> String {
    let mut screen = format!("{}\n\n", ui.heading(&ui.messages.text("receive-title")));
    for promise in promises {
        let labels = TypeLabels::new(catalogue, &promise.type_name, &ui.messages).with_names(&promise.display);
        let label = labels.type_label();
        for (id, value) in [
            ("receive-document", label),
            ("receive-issuer", issuer(ui, promise, endpoint)),
            ("receive-endpoint", sanitise(endpoint)),
        ] {
            screen.push_str(&format!("{}:\n  {value}\n", ui.heading(&ui.messages.text(id))));
        }
    }
    screen
}

/// Returns the name of the issuer, with a note that the issuer chose it. A service on this machine is marked as such. A
/// service whose address does not belong to the issuer's DID has its host in front: any service can name the DID of
/// another.
fn issuer(ui: &Ui, promise: &ExpectedCredential, endpoint: &str) -> String {
    let name = parties::issuer_name(ui, &promise.issuer_name, &promise.issuer);
    let mut lines = if is_proven(promise, endpoint) {
        vec![name, format!("({})", ui.messages.text("receive-name-note"))]
    } else {
        vec![sanitise(host(endpoint)), ui.messages.format("receive-unproven", &[("name", &name)])]
    };
    if is_localhost_did(&promise.issuer) {
        lines.push(ui.messages.text("local-note"));
    }
    lines.join("\n  ")
}

/// Returns whether the address of the service belongs to the issuer that it names. An issuer without a DID is named by
/// that address.
fn is_proven(promise: &ExpectedCredential, endpoint: &str) -> bool {
    promise.issuer == promise.audience && promise.is_foreign || belongs_to_issuer(endpoint, &promise.issuer)
}

fn host(endpoint: &str) -> &str {
    endpoint.split_once("://").map_or(endpoint, |(_, host)| host)
}

fn pin(ui: &Ui, arguments: &Receive, form: PinFormat, endpoint: &str) -> Result<WalletSecret, Failure> {
    let read = |text: &str| form.parse(text).map(|pin| WalletSecret::new(pin.as_str().to_owned()));
    if let Some(pin) = &arguments.pin {
        return read(pin);
    }
    if let Some(path) = &arguments.pin_file {
        return read(read_first_line(path, SecretKind::Pin)?.expose_secret());
    }
    let needed = || {
        Failure::usage(
            FailureReason::Program("pin_needed"),
            Sentence::new("error-pin-needed"),
            Sentence::new("hint-pin"),
        )
    };
    if !ui.can_ask() {
        return Err(needed());
    }
    ui.print_text(&pin_screen(ui, endpoint));
    let prompt = format!("{}: ", ui.messages.text("receive-pin"));
    for _ in 1..PIN_PROMPTS {
        let typed = Zeroizing::new(carnet_console::read_hidden_line(&prompt).map_err(|_| needed())?);
        if let Ok(pin) = read(&typed) {
            return Ok(pin);
        }
        ui.print_note(&ui.messages.text("receive-pin-malformed"));
    }
    read(&Zeroizing::new(carnet_console::read_hidden_line(&prompt).map_err(|_| needed())?))
}

/// Returns the screen that names the recipient of a PIN. Until copies are issued, nothing proves that the address
/// belongs to the issuer: a thief of a link can make another link to their own server, and wait for the PIN.
fn pin_screen(ui: &Ui, endpoint: &str) -> String {
    let host = sanitise(host(endpoint));
    let (goes, unproven) = (ui.messages.text("receive-pin-goes"), ui.messages.text("receive-pin-unproven"));
    format!("\n{}:\n  {host}\n  {unproven}\n", ui.heading(&goes))
}

/// Describes the decision of the holder's trust lists about the issuer; empty without a list.
fn trust_text(context: &CommandContext, trust: &Value) -> String {
    let word = |name: &str| sanitise(trust.get(name).and_then(Value::as_str).unwrap_or_default());
    let messages = &context.ui.messages;
    let rule = messages.text(&format!("trust-rule-{}", word("rule")));
    match trust.get("accepted").and_then(Value::as_bool) {
        None => String::new(),
        Some(true) => format!("  {} {}. {}\n", messages.text("receive-listed"), word("entry"), rule),
        Some(false) => format!("  {} {}\n", messages.text("receive-unlisted"), rule),
    }
}

/// Prints the results of all issuances. Returns the first failure, or `not_ready` if one was deferred.
fn report_results(context: &CommandContext, results: IssuanceResults) -> Result<(), Failure> {
    let mut text = String::new();
    let mut received = Vec::with_capacity(results.received.len());
    for one in &results.received {
        let catalogue = context.catalogue()?;
        let labels = TypeLabels::new(&catalogue, &one.type_name, &context.ui.messages).with_names(&one.display);
        let label = labels.type_label();
        let done = context.ui.messages.text("receive-done");
        text.push_str(&format!(
            "{done} {} ({}), {}\n",
            sanitise(&label),
            sanitise(&one.id),
            sanitise(&one.issuer_name)
        ));
        text.push_str(&trust_text(context, &one.trust_decision));
        text.push_str(&context.ui.messages.skipped_checks_text(one.skipped_checks.iter().flatten().copied()));
        received.push(json!({
            "id": one.id, "type": one.type_name, "format": one.format, "issuer": one.issuer,
            "issuer_name": one.issuer_name, "copies": one.copies, "renewed": one.renewed, "label": label,
            "valid_until": one.valid_until.map(|until| until.to_string()), "unchecked": one.skipped_checks,
            "trust": one.trust_decision,
        }));
    }
    let object = json!({"received": received, "retry_after_seconds": results.retry_seconds});
    let failure = match (results.failure, results.retry_seconds) {
        (Some(failure), _) if results.received.is_empty() => failure,
        (Some(failure), _) => failure.with_safety(DataSafety::Stored),
        (None, Some(interval)) => {
            let hint = Sentence::new("hint-resume-later").with("seconds", interval);
            Failure::temporary(FailureReason::Program("not_ready"), Sentence::new("error-not-ready"), hint)
                .with_safety(DataSafety::Stored)
        }
        (None, None) => {
            context.ui.print_result(&text, &object);
            return Ok(());
        }
    };
    context.ui.print_text(&text);
    Err(failure.with_members(object))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::messages::Language;

    #[test]
    fn a_service_that_names_the_did_of_another_is_shown_by_its_host() {
        let promise = ExpectedCredential {
            issuer: "did:web:university.example".to_owned(),
            audience: "https://thief.example".to_owned(),
            issuer_name: "The University".to_owned(),
            configuration_id: "degree".to_owned(),
            type_name: "QualificationCredential".to_owned(),
            format: carnet_core::format::CredentialFormat::VcSdJwt,
            epoch: None,
            renewal_window_days: 0,
            key_algorithm: crate::wallet::holder_key::HolderAlgorithm::EdDsa,
            is_foreign: false,
            display: Default::default(),
        };
        let mut texts = std::collections::BTreeSet::new();
        for language in Language::ALL {
            let ui = Ui::new(false, true, language);
            let own = issuer(&ui, &promise, "https://university.example");
            assert!(own.starts_with("The University <university.example>\n"), "{own}");
            let claimed = issuer(&ui, &promise, "https://thief.example");
            assert!(claimed.starts_with("thief.example\n"), "{claimed}");
            assert!(claimed.contains("<university.example>") && !claimed.contains("receive-"), "{claimed}");
            texts.insert(claimed);
        }
        assert_eq!(texts.len(), Language::ALL.len());
    }

    #[test]
    fn who_gets_the_pin_is_said_before_it_is_asked_for() {
        let mut screens = std::collections::BTreeSet::new();
        for language in Language::ALL {
            let screen = pin_screen(&Ui::new(false, true, language), "https://thief.example:8443");
            assert!(screen.lines().any(|line| line.trim() == "thief.example:8443"), "{screen}");
            assert!(!screen.contains("receive-pin"), "{screen}");
            screens.insert(screen);
        }
        assert_eq!(screens.len(), Language::ALL.len());
        let english = pin_screen(&Ui::new(false, true, Language::En), "https://thief.example");
        assert!(english.contains("not proven yet that this is the issuer"), "{english}");
    }
}
