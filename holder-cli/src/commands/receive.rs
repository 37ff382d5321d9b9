//! `carnet receive`: from an offer to verified copies in the wallet.

use age::secrecy::{ExposeSecret, SecretString};
use carnet_core::did::Did;
use carnet_proto::issuer::v1::{CredentialConfiguration, IssuedCopy, NotificationEvent, ReadMetadataResponse};
use carnet_spec::Catalogue;
use serde_json::{Value, json};

use crate::{
    arguments::Receive,
    client::issuance::{Collected, Issuer, format_name},
    collect::{Promise, can_verify, draw_keys, proofs, verified},
    failure::{Failure, Safety},
    offer::Offer,
    session::{Session, first_line},
    ui::{labels::Labels, sanitise::clean},
    wallet::{Entry, EntryKind, HolderKey, Pending, ShownPart, WalletFile, contents::Secret},
};

/// What an issuer says of a transaction that will never be ready.
const GONE: [&str; 5] =
    ["invalid_transaction_id", "not_found", "offer_cancelled", "offer_expired", "credential_request_denied"];

/// One thing to collect, with all that is known of it.
struct Order {
    endpoint: String,
    offer: String,
    token: Secret,
    issuer: String,
    issuer_name: String,
    configuration_id: String,
    type_name: String,
    format: &'static str,
}

/// Receives an offer, or collects what was not ready.
pub(crate) async fn run(session: &Session, arguments: &Receive) -> Result<(), Failure> {
    let Some(text) = &arguments.offer else { return resume(session, None).await };
    let offer = Offer::parse(text)?;
    let wallet = session.open()?;
    if wallet.contents.pending.iter().any(|pending| pending.offer == offer.digest()) {
        drop(wallet);
        return resume(session, Some(&offer.digest())).await;
    }
    accept(session, arguments, &offer, wallet).await
}

/// Asks the owner, redeems the code, collects.
async fn accept(session: &Session, arguments: &Receive, offer: &Offer, mut wallet: WalletFile) -> Result<(), Failure> {
    let catalogue = session.catalogue()?;
    let mut issuer = Issuer::connect(&offer.endpoint, session.ca()?.as_deref()).await?;
    let metadata = issuer.metadata().await?;
    // All that can fail without the code is done before it: a code works once.
    let mut orders = Vec::new();
    for id in &offer.configuration_ids {
        orders.push(order(&metadata, &catalogue, offer, id, &issuer_name(session, &metadata))?);
    }
    resolve(session, &metadata.issuer).await?;
    consent(session, arguments, &catalogue, &orders)?;
    let pin = pin(session, arguments, offer)?;
    let redeemed = issuer.redeem(offer.code.expose(), pin.as_ref().map(ExposeSecret::expose_secret)).await?;
    let token = Secret::new(redeemed.access_token);
    let mut progress = Progress::default();
    for mut order in orders {
        order.token = token.clone();
        let keys = draw_keys(metadata.max_batch_size);
        progress.add(collect(session, &catalogue, &mut wallet, &mut issuer, &order, keys).await);
    }
    progress.finish(session)
}

/// Collects one thing: its summary, or how long to wait.
async fn collect(
    session: &Session,
    catalogue: &Catalogue,
    wallet: &mut WalletFile,
    issuer: &mut Issuer,
    order: &Order,
    keys: Vec<HolderKey>,
) -> Result<Step, Failure> {
    let nonce = issuer.nonce().await?;
    let proofs = proofs(&keys, &order.issuer, &nonce, session.now)
        .map_err(|problem| Failure::from_problem(&problem, "Your keys could not sign", "try again"))?;
    match issuer.collect(order.token.expose(), &order.configuration_id, proofs).await? {
        Collected::Ready(copies, notification) => {
            store(session, catalogue, wallet, issuer, order, &keys, &copies, &notification).await
        }
        Collected::NotReady(transaction, interval) => {
            wallet.contents.pending.push(Pending {
                offer: order.offer.clone(),
                endpoint: order.endpoint.clone(),
                issuer: order.issuer.clone(),
                configuration_id: order.configuration_id.clone(),
                transaction_id: Secret::new(transaction),
                access_token: order.token.clone(),
                keys,
                since: session.now,
            });
            wallet.save()?;
            Ok(Step::Wait(interval))
        }
    }
}

/// Collects what was not ready: all of it, or that of one offer.
async fn resume(session: &Session, offer: Option<&str>) -> Result<(), Failure> {
    let mut wallet = session.open()?;
    let catalogue = session.catalogue()?;
    let wanted: Vec<Pending> = wallet
        .contents
        .pending
        .iter()
        .filter(|pending| offer.is_none_or(|offer| pending.offer == offer))
        .cloned()
        .collect();
    if wanted.is_empty() {
        return Err(Failure::new(
            "nothing_pending",
            "Nothing is on its way",
            "receive an offer with: carnet receive OFFER",
        ));
    }
    let mut progress = Progress::default();
    for pending in wanted {
        let step = resume_one(session, &catalogue, &mut wallet, &pending).await;
        // What the issuer does not know any more will not come.
        if step.as_ref().is_err_and(|failure| GONE.contains(&failure.reason.as_str())) {
            wallet.contents.pending.retain(|other| other.transaction_id.expose() != pending.transaction_id.expose());
            wallet.contents.log.push(Entry {
                at: session.now,
                kind: EntryKind::ReceiveFailed,
                party: pending.issuer.clone(),
                party_name: String::new(),
                request: String::new(),
                purpose: String::new(),
                reason: step.as_ref().err().map(|failure| failure.reason.clone()).unwrap_or_default(),
                parts: Vec::new(),
            });
            wallet.save()?;
        }
        progress.add(step);
    }
    progress.finish(session)
}

async fn resume_one(
    session: &Session,
    catalogue: &Catalogue,
    wallet: &mut WalletFile,
    pending: &Pending,
) -> Result<Step, Failure> {
    let mut issuer = Issuer::connect(&pending.endpoint, session.ca()?.as_deref()).await?;
    let metadata = issuer.metadata().await?;
    if metadata.issuer != pending.issuer {
        return Err(Failure::new(
            "issuer_mismatch",
            "Another issuer answers at that address than the one that made the offer",
            "ask the issuer",
        ));
    }
    let mut order = configured(&metadata, catalogue, &pending.configuration_id, &issuer_name(session, &metadata))?;
    order.endpoint.clone_from(&pending.endpoint);
    order.offer.clone_from(&pending.offer);
    order.token = pending.access_token.clone();
    resolve(session, &order.issuer).await?;
    match issuer.collect_deferred(order.token.expose(), pending.transaction_id.expose()).await? {
        Collected::Ready(copies, notification) => {
            let done = pending.transaction_id.expose();
            wallet.contents.pending.retain(|other| other.transaction_id.expose() != done);
            store(session, catalogue, wallet, &mut issuer, &order, &pending.keys, &copies, &notification).await
        }
        Collected::NotReady(_, interval) => Ok(Step::Wait(interval)),
    }
}

/// Verifies the copies, stores them all at once, and tells the issuer.
#[allow(clippy::too_many_arguments)]
async fn store(
    session: &Session,
    catalogue: &Catalogue,
    wallet: &mut WalletFile,
    issuer: &mut Issuer,
    order: &Order,
    keys: &[HolderKey],
    copies: &[IssuedCopy],
    notification: &str,
) -> Result<Step, Failure> {
    let promise = Promise {
        issuer: &order.issuer,
        issuer_name: &order.issuer_name,
        type_name: &order.type_name,
        format: order.format,
    };
    let texts: Vec<String> = copies.iter().map(|copy| copy.credential.clone()).collect();
    let mut entry = Entry {
        at: session.now,
        kind: EntryKind::Received,
        party: order.issuer.clone(),
        party_name: order.issuer_name.clone(),
        request: String::new(),
        purpose: String::new(),
        reason: String::new(),
        parts: Vec::new(),
    };
    let held = match verified(&texts, keys, &promise, &session.dids, catalogue, session.now) {
        Ok(held) => held,
        Err(problem) => {
            let _ = issuer.notify(order.token.expose(), notification, NotificationEvent::CredentialFailure).await;
            entry.kind = EntryKind::ReceiveFailed;
            entry.reason = problem.code.to_string();
            wallet.contents.log.push(entry);
            wallet.save()?;
            let hint = "tell the issuer the name in brackets, and ask for a new offer";
            return Err(Failure::from_problem(
                &problem,
                "What the issuer sent does not hold, and was not stored",
                hint,
            )
            .with_safety(Safety::Stored));
        }
    };
    let summary = json!({
        "id": held.id, "type": held.type_name, "format": held.format, "issuer": held.issuer,
        "issuer_name": held.issuer_name, "copies": held.copies.len(),
        "label": Labels::new(catalogue, &held.type_name, &session.ui.messages).document(),
        "valid_until": held.valid_until.map(|until| until.to_string()),
    });
    entry.parts.push(ShownPart { id: held.id.clone(), type_name: held.type_name.clone(), paths: Vec::new() });
    wallet.contents.credentials.push(held);
    wallet.contents.log.push(entry);
    if let Err(failure) = wallet.save() {
        // What the issuer hears has failed must not be stored by a later save.
        wallet.contents.credentials.pop();
        wallet.contents.log.pop();
        let _ = issuer.notify(order.token.expose(), notification, NotificationEvent::CredentialFailure).await;
        return Err(failure);
    }
    // Stored is stored; whether the issuer hears of it changes nothing for the owner.
    if issuer.notify(order.token.expose(), notification, NotificationEvent::CredentialAccepted).await.is_err() {
        session.ui.note("note: the issuer could not be told that it arrived");
    }
    Ok(Step::Received(summary))
}

/// How one collection ended.
enum Step {
    /// It is stored; what it is.
    Received(Value),
    /// It is not ready; how many seconds to wait.
    Wait(u32),
}

/// How all of them ended: one that fails does not keep the others from coming.
#[derive(Default)]
struct Progress {
    received: Vec<Value>,
    waiting: Option<u32>,
    failure: Option<Failure>,
}

impl Progress {
    fn add(&mut self, step: Result<Step, Failure>) {
        match step {
            Ok(Step::Received(summary)) => self.received.push(summary),
            Ok(Step::Wait(interval)) => self.waiting = Some(interval.max(1)),
            Err(failure) => {
                self.failure.get_or_insert(failure);
            }
        }
    }

    fn finish(self, session: &Session) -> Result<(), Failure> {
        let mut text = String::new();
        for one in &self.received {
            let word = |name: &str| clean(one.get(name).and_then(Value::as_str).unwrap_or_default());
            let done = session.ui.messages.text("receive-done");
            text.push_str(&format!("{done} {} ({}), {}\n", word("label"), word("id"), word("issuer_name")));
        }
        let object = json!({"received": self.received, "retry_after_seconds": self.waiting});
        let failure = match (self.failure, self.waiting) {
            (Some(failure), _) if self.received.is_empty() => failure,
            (Some(failure), _) => failure.with_safety(Safety::Stored),
            (None, Some(interval)) => {
                let hint = format!("try again in {interval} s with: carnet receive --resume");
                Failure::later("not_ready", "The issuer is not ready yet; your keys for it are kept", hint)
                    .with_safety(Safety::Stored)
            }
            (None, None) => {
                session.ui.result(&text, &object);
                return Ok(());
            }
        };
        session.ui.say(&text);
        Err(failure.beside(object))
    }
}

fn order(
    metadata: &ReadMetadataResponse,
    catalogue: &Catalogue,
    offer: &Offer,
    id: &str,
    issuer_name: &str,
) -> Result<Order, Failure> {
    let mut order = configured(metadata, catalogue, id, issuer_name)?;
    order.endpoint = offer.endpoint.clone();
    order.offer = offer.digest();
    Ok(order)
}

/// What a configuration id stands for, if this wallet can hold it.
fn configured(
    metadata: &ReadMetadataResponse,
    catalogue: &Catalogue,
    id: &str,
    issuer_name: &str,
) -> Result<Order, Failure> {
    let unknown = |what: &str| {
        Failure::new("configuration_unknown", format!("The issuer {what}"), "ask the issuer for another offer")
    };
    let found: &CredentialConfiguration = metadata
        .configurations
        .iter()
        .find(|configuration| configuration.id == id)
        .ok_or_else(|| unknown("does not issue what the offer names"))?;
    let format = format_name(found.format).ok_or_else(|| unknown("offers a format that is not known here"))?;
    if !can_verify(format) {
        return Err(Failure::new(
            "format_unsupported",
            format!("This program was built without what is needed to check {format}"),
            "use a build with the feature jsonld, or ask for the format vc+sd-jwt",
        ));
    }
    if catalogue.credential_type(&found.credential_type).is_none() {
        return Err(Failure::new(
            "type_unknown",
            format!("The type {} is not in this wallet's catalogue", clean(&found.credential_type)),
            "get the type's folder from somebody you trust, and give it with --catalogue DIR",
        ));
    }
    Ok(Order {
        endpoint: String::new(),
        offer: String::new(),
        token: Secret::new(String::new()),
        issuer: metadata.issuer.clone(),
        issuer_name: issuer_name.to_owned(),
        configuration_id: found.id.clone(),
        type_name: found.credential_type.clone(),
        format,
    })
}

fn issuer_name(session: &Session, metadata: &ReadMetadataResponse) -> String {
    session
        .ui
        .messages
        .pick(|language| metadata.display_name.get(language).map(String::as_str))
        .unwrap_or_else(|| clean(&metadata.issuer))
}

/// Has the issuer's keys at hand.
async fn resolve(session: &Session, issuer: &str) -> Result<(), Failure> {
    let did = Did::parse(issuer)
        .map_err(|problem| Failure::from_problem(&problem, "The issuer has no valid identifier", "tell the issuer"))?;
    session.resolve(&did, "the issuer").await
}

/// Asks the owner whether to receive it.
fn consent(session: &Session, arguments: &Receive, catalogue: &Catalogue, orders: &[Order]) -> Result<(), Failure> {
    let ui = &session.ui;
    let offered: Vec<Value> = orders
        .iter()
        .map(|order| {
            json!({
                "issuer": order.issuer, "issuer_name": order.issuer_name, "endpoint": order.endpoint,
                "type": order.type_name, "format": order.format,
                "label": Labels::new(catalogue, &order.type_name, &ui.messages).document(),
            })
        })
        .collect();
    if arguments.yes {
        return Ok(());
    }
    let mut screen = format!("{}\n\n", ui.heading(&ui.messages.text("receive-title")));
    for order in orders {
        let label = Labels::new(catalogue, &order.type_name, &ui.messages).document();
        for (id, value) in [
            ("receive-document", label),
            ("receive-issuer", clean(&order.issuer_name)),
            ("receive-issuer-id", clean(&order.issuer)),
            ("receive-endpoint", order.endpoint.clone()),
        ] {
            screen.push_str(&format!("{}:\n  {value}\n", ui.heading(&ui.messages.text(id))));
        }
    }
    ui.say(&screen);
    if !ui.can_ask() {
        return Err(Failure::new(
            "approval_needed",
            "Receiving needs a yes, and nobody can be asked",
            "look at the offer, and add --yes",
        )
        .beside(json!({"offered": offered})));
    }
    if ui.confirm(&ui.messages.text("receive-question")) {
        return Ok(());
    }
    Err(Failure::new("declined", "You said no; the offer was not used", "nothing more to do"))
}

fn pin(session: &Session, arguments: &Receive, offer: &Offer) -> Result<Option<SecretString>, Failure> {
    // A PIN that the offer does not ask for is not handed out.
    if !offer.pin_needed {
        return Ok(None);
    }
    if let Some(pin) = &arguments.pin {
        return Ok(Some(SecretString::from(pin.clone())));
    }
    if let Some(path) = &arguments.pin_file {
        return first_line(path, "pin").map(Some);
    }
    let needed = || {
        Failure::usage(
            "pin_needed",
            "The offer needs a PIN, which the issuer gave you by another way",
            "add --pin-file FILE or --pin PIN",
        )
    };
    if !session.ui.can_ask() {
        return Err(needed());
    }
    rpassword::prompt_password(format!("{}: ", session.ui.messages.text("receive-pin")))
        .map(|pin| Some(SecretString::from(pin.trim().to_owned())))
        .map_err(|_| needed())
}
