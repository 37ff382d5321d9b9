//! `carnet receive`: from an offer to verified copies in the wallet.

use age::secrecy::{ExposeSecret, SecretString};
use carnet_fetch::local::is_local;
use carnet_spec::Catalogue;
use carnet_wallet::ports::IssuerClient as _;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::{
    arguments::Receive,
    client::issuance::Issuer,
    collect::draw_keys,
    failure::{Failure, Sentence},
    freshness::confirm_new,
    link::LinkKind,
    offer::Offer,
    pasting,
    pending::{Collecting, fresh_proofs, resume},
    promise::Promise,
    session::{SecretKind, Session, first_line},
    ui::{Ui, labels::Labels, parties},
    wallet::{Pending, Redemption, Stage, WalletFile, contents::Secret},
};

/// Number of prompts for a malformed PIN.
const PIN_PROMPTS: usize = 3;

/// Receives an offer, or resumes a pending one.
pub(crate) async fn run(session: &Session, arguments: &Receive) -> Result<(), Failure> {
    if arguments.resume {
        return resume(session, session.open()?, None).await;
    }
    let offer = Offer::parse(&pasting::given(&session.ui, LinkKind::Offer, &arguments.offer)?)?;
    let digest = offer.digest();
    let mut wallet = session.open()?;
    // A finished record does not prevent another attempt with the offer: an issuer that signed nothing accepts it
    // again. Only records of wallet versions that could not repeat a redemption get here.
    wallet.contents.pending.retain(|pending| pending.offer != digest || !pending.is_over(session.now()));
    if wallet.contents.pending.iter().any(|pending| pending.offer == digest) {
        return resume(session, wallet, Some(&digest)).await;
    }
    accept(session, arguments, &offer, wallet).await
}

/// Asks the owner, stores the pending request, redeems the code, collects the copies.
async fn accept(session: &Session, arguments: &Receive, offer: &Offer, mut wallet: WalletFile) -> Result<(), Failure> {
    let catalogue = session.catalogue()?;
    let mut issuer = Issuer::connect(session, &offer.endpoint).await?;
    let metadata = issuer.metadata().await?;
    // Everything that can fail without the code happens before redeeming it.
    let promises = offer.configuration_ids.iter();
    let promises = promises.map(|id| Promise::read(&metadata, id, &catalogue, &session.ui.messages.languages()));
    let promises = promises.collect::<Result<Vec<_>, _>>()?;
    session.resolve_issuer(&metadata.issuer).await?;
    consent(session, arguments, &catalogue, &offer.endpoint, &promises)?;
    let pin = pin(session, arguments, offer)?;
    let pin = pin.map(|pin| Secret::new(pin.expose_secret().to_owned()));
    let redemption = Redemption::draw(offer.code.clone(), pin);
    let mut begun = Vec::with_capacity(promises.len());
    for promise in promises {
        let keys = draw_keys(metadata.max_batch_size);
        let proofs = fresh_proofs(&mut issuer, &promise.issuer, &keys, session).await?;
        let pending = Pending {
            offer: offer.digest(),
            endpoint: offer.endpoint.clone(),
            issuer: promise.issuer.clone(),
            configuration_id: promise.configuration_id.clone(),
            access_token: Secret::new(String::new()),
            keys,
            since: session.now(),
            stage: Stage::Redeeming { proofs },
            renews: None,
            redemption: Some(redemption.clone()),
            valid_until: offer.valid_until,
        };
        begun.push((promise, pending));
    }
    let mut collecting = Collecting { session, catalogue: &catalogue, wallet: &mut wallet };
    let progress = collecting.begin(&mut issuer, begun).await?;
    confirm_new(session, &mut wallet).await;
    progress.finish(session)
}

/// Asks the owner for consent.
fn consent(
    session: &Session,
    arguments: &Receive,
    catalogue: &Catalogue,
    endpoint: &str,
    promises: &[Promise],
) -> Result<(), Failure> {
    if arguments.yes {
        return Ok(());
    }
    let ui = &session.ui;
    let label = |promise: &Promise| Labels::new(catalogue, &promise.type_name, &ui.messages).document();
    let mut screen = format!("{}\n\n", ui.heading(&ui.messages.text("receive-title")));
    for promise in promises {
        for (id, value) in [
            ("receive-document", label(promise)),
            ("receive-issuer", issuer(ui, promise)),
            ("receive-endpoint", endpoint.to_owned()),
        ] {
            screen.push_str(&format!("{}:\n  {value}\n", ui.heading(&ui.messages.text(id))));
        }
    }
    ui.say(&screen);
    if !ui.can_ask() {
        let offered: Vec<Value> = promises
            .iter()
            .map(|promise| {
                json!({
                    "issuer": promise.issuer, "issuer_name": promise.issuer_name, "endpoint": endpoint,
                    "type": promise.type_name, "format": promise.format, "label": label(promise),
                })
            })
            .collect();
        let message = Sentence::id("error-receive-nobody");
        let failure = Failure::new("approval_needed", message, Sentence::id("hint-receive-yes"));
        return Err(failure.beside(json!({"offered": offered})));
    }
    ui.require_yes(&ui.messages.text("receive-question"), Sentence::id("undone-offer"))
}

/// Names the issuer, and says that the name is its own. A service on this machine is marked as such.
fn issuer(ui: &Ui, promise: &Promise) -> String {
    let mut lines = vec![parties::issuer(ui, &promise.issuer_name, &promise.issuer)];
    lines.push(format!("({})", ui.messages.text("receive-name-note")));
    if is_local(&promise.issuer) {
        lines.push(ui.messages.text("local-note"));
    }
    lines.join("\n  ")
}

fn pin(session: &Session, arguments: &Receive, offer: &Offer) -> Result<Option<SecretString>, Failure> {
    // A PIN is sent only if the offer asks for one.
    let Some(form) = offer.pin else { return Ok(None) };
    let read = |text: &str| form.parse(text).map(|pin| Some(SecretString::from(pin.as_str())));
    if let Some(pin) = &arguments.pin {
        return read(pin);
    }
    if let Some(path) = &arguments.pin_file {
        return read(first_line(path, SecretKind::Pin)?.expose_secret());
    }
    let needed = || Failure::usage("pin_needed", Sentence::id("error-pin-needed"), Sentence::id("hint-pin"));
    if !session.ui.can_ask() {
        return Err(needed());
    }
    session.ui.say(&pin_screen(&session.ui, &offer.endpoint));
    let prompt = format!("{}: ", session.ui.messages.text("receive-pin"));
    for _ in 1..PIN_PROMPTS {
        let typed = Zeroizing::new(rpassword::prompt_password(&prompt).map_err(|_| needed())?);
        if let Ok(pin) = read(&typed) {
            return Ok(pin);
        }
        session.ui.note(&session.ui.messages.text("receive-pin-malformed"));
    }
    read(&Zeroizing::new(rpassword::prompt_password(&prompt).map_err(|_| needed())?))
}

/// Names the recipient of the PIN before asking for it. Only the issued copies will prove that the address belongs to
/// the issuer: a thief of a link can make another link to their own server, and wait for the PIN.
fn pin_screen(ui: &Ui, endpoint: &str) -> String {
    let host = endpoint.split_once("://").map_or(endpoint, |(_, host)| host);
    let (goes, unproven) = (ui.messages.text("receive-pin-goes"), ui.messages.text("receive-pin-unproven"));
    format!("\n{}:\n  {host}\n  {unproven}\n", ui.heading(&goes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::messages::Language;

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
