//! `carnet list`: what is in the wallet. Nothing is verified here: that was done before it was stored.

use std::fmt::Write;

use carnet_core::time::Timestamp;
use carnet_spec::Catalogue;
use serde_json::{Value, json};

use crate::{
    failure::Failure,
    session::Session,
    ui::{Ui, labels::Labels, sanitise::clean},
    wallet::Contents,
};

/// Lists the credentials.
pub(crate) fn run(session: &Session) -> Result<(), Failure> {
    let contents = session.read()?;
    let (text, object) = listing(&contents, &session.catalogue()?, &session.ui, session.now());
    session.ui.result(&text, &object);
    Ok(())
}

/// The list as text and as an object.
fn listing(contents: &Contents, catalogue: &Catalogue, ui: &Ui, now: Timestamp) -> (String, Value) {
    let mut text = String::new();
    let mut listed: Vec<Value> = Vec::with_capacity(contents.credentials.len());
    for held in &contents.credentials {
        let label = Labels::new(catalogue, &held.type_name, &ui.messages).document();
        let expired = held.valid_until.is_some_and(|until| now > until);
        let until = held.valid_until.map(|until| until.to_string());
        let day = until.as_deref().and_then(|until| until.get(..10)).unwrap_or("no end");
        let (fresh, low) = (held.fresh_copies(), held.is_low());
        let refill = if low && !expired && held.is_refillable() { "  LOW: carnet refill" } else { "" };
        let _ = writeln!(
            text,
            "{}  {}  from {}  {} {day}  {fresh} of {} copies unused{refill}",
            held.id,
            ui.heading(&label),
            clean(&held.issuer_name),
            if expired { "EXPIRED" } else { "until" },
            held.copies.len(),
        );
        listed.push(json!({
            "id": held.id, "type": held.type_name, "label": label, "format": held.format,
            "issuer": held.issuer, "issuer_name": held.issuer_name,
            "received_at": held.received_at.to_string(),
            "valid_from": held.valid_from.map(|from| from.to_string()), "valid_until": until, "expired": expired,
            "copies": held.copies.len(), "copies_unused": fresh,
            "low": low, "refillable": held.is_refillable(),
        }));
    }
    let pending: Vec<Value> = contents
        .pending
        .iter()
        .map(|pending| {
            let what = clean(&pending.configuration_id);
            let _ = writeln!(text, "(on its way)  {what}  from {}  since {}", clean(&pending.issuer), pending.since);
            json!({"configuration": what, "issuer": pending.issuer, "since": pending.since.to_string()})
        })
        .collect();
    if text.is_empty() {
        text.push_str("Your wallet is empty. Receive something with: carnet receive OFFER\n");
    }
    (text, json!({"credentials": listed, "pending": pending}))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use age::secrecy::SecretString;

    use super::*;
    use crate::{
        answer::tests::{Issuer, NOW},
        ui::messages::Language,
        wallet::{WalletFile, file::LEAST_WORK_FACTOR, read_only},
    };

    /// The quickest of some runs: what the work takes when nothing else does.
    fn quickest<T>(mut work: impl FnMut() -> T) -> Duration {
        let times = (0..5).map(|_| {
            let began = Instant::now();
            let _ = work();
            began.elapsed()
        });
        times.min().unwrap()
    }

    /// Everything that `carnet list` does, on 100 credentials with 10 copies each, against the same on an empty wallet,
    /// which takes the key derivation and little else. Unoptimised builds are given more time.
    #[test]
    fn a_hundred_credentials_are_listed_quickly() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wallet.age");
        let passphrase = || SecretString::from("correct horse".to_owned());
        WalletFile::create(&path, passphrase(), LEAST_WORK_FACTOR).unwrap();
        let ui = Ui::new(true, true, Language::En);
        let list = || {
            let contents = read_only(&path, &passphrase()).unwrap();
            listing(&contents, &Catalogue::embedded().unwrap(), &ui, NOW).1
        };
        let empty = quickest(|| read_only(&path, &passphrase()).unwrap());
        let held = Issuer::new().held("aaaa", "vc+sd-jwt", 10);
        let mut wallet = WalletFile::open(&path, passphrase()).unwrap();
        wallet.contents.credentials = vec![held; 100];
        wallet.save().unwrap();
        assert_eq!(list().get("credentials").and_then(Value::as_array).map(Vec::len), Some(100));
        let besides = quickest(list).saturating_sub(empty);
        let limit = if cfg!(debug_assertions) { 300 } else { 30 };
        println!("listing 100 credentials: {besides:?} besides the key derivation");
        assert!(besides < Duration::from_millis(limit), "{besides:?}");
    }
}
