//! Parties that the holder pins: registrars of verifiers, and services on this machine for trials.

use carnet_core::{did::Did, time::Timestamp};
use carnet_fetch::local::LocalSite;

use crate::{
    failure::{Failure, FailureKind, FailureReason, Sentence},
    sanitise::sanitise,
    store::{LogEntryKind, PinnedRegistrar, Wallet, WalletContents, WalletLogEntry, WalletStore},
};

/// Maximum length of a registrar's name, in characters; longer names are truncated.
const LONGEST_NAME: usize = 200;

/// Pins a registrar, or renames a pinned one. The name is sanitised, and truncated to 200 characters. The log records
/// it, and the wallet is saved. Returns the stored registrar.
///
/// # Errors
/// `did_malformed`; the wallet cannot be saved.
pub fn pin_registrar(
    wallet: &mut Wallet<impl WalletStore>,
    did: &str,
    name: &str,
    now: Timestamp,
) -> Result<PinnedRegistrar, Failure> {
    let parsed = Did::parse(did).map_err(|problem| Failure {
        kind: FailureKind::Usage,
        ..Failure::from_problem(
            &problem,
            Sentence::new("error-registrar-malformed"),
            Sentence::new("hint-registrar-identifier"),
        )
    })?;
    let name: String = sanitise(name).chars().take(LONGEST_NAME).collect();
    let registrar = PinnedRegistrar { did: parsed.to_string(), name };
    let known = wallet.contents.registrars.iter_mut().find(|known| known.did == registrar.did);
    match known {
        Some(known) => known.clone_from(&registrar),
        None => wallet.contents.registrars.push(registrar.clone()),
    }
    log_and_save(wallet, LogEntryKind::RegistrarAdded, &registrar, now)?;
    Ok(registrar)
}

/// Removes a pinned registrar, and returns it. The log records it, and the wallet is saved.
///
/// # Errors
/// `not_found`; the wallet cannot be saved.
pub fn unpin_registrar(
    wallet: &mut Wallet<impl WalletStore>,
    did: &str,
    now: Timestamp,
) -> Result<PinnedRegistrar, Failure> {
    let at = wallet.contents.registrars.iter().position(|known| known.did == did).ok_or_else(|| {
        let message = Sentence::new("error-registrar-unknown").with("did", sanitise(did));
        Failure::new(FailureReason::NotFound, message, Sentence::new("hint-registrar-list"))
    })?;
    let registrar = wallet.contents.registrars.remove(at);
    log_and_save(wallet, LogEntryKind::RegistrarRemoved, &registrar, now)?;
    Ok(registrar)
}

fn log_and_save(
    wallet: &mut Wallet<impl WalletStore>,
    kind: LogEntryKind,
    registrar: &PinnedRegistrar,
    now: Timestamp,
) -> Result<(), Failure> {
    let entry = WalletLogEntry::new(now, kind, &registrar.did);
    wallet.contents.log.push(WalletLogEntry { party_name: registrar.name.clone(), ..entry });
    wallet.save()
}

/// Adds a local service; it replaces one with the same DID. The caller saves the wallet.
pub fn pin_site(contents: &mut WalletContents, site: &LocalSite) {
    contents.local_services.retain(|known| known.did != site.did);
    contents.local_services.push(site.clone());
}

/// Removes the local service with a DID, and returns it. The caller saves the wallet.
///
/// # Errors
/// `not_found`
pub fn unpin_site(contents: &mut WalletContents, did: &str) -> Result<LocalSite, Failure> {
    let at = contents.local_services.iter().position(|site| site.did == did).ok_or_else(|| {
        let message = Sentence::new("error-local-unknown").with("did", sanitise(did));
        Failure::new(FailureReason::NotFound, message, Sentence::new("hint-local-list"))
    })?;
    Ok(contents.local_services.remove(at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

    fn wallet() -> Wallet<MemoryStore> {
        Wallet::new(WalletContents::new(12), MemoryStore)
    }

    #[test]
    fn registrars_are_pinned_renamed_and_removed() {
        let mut wallet = wallet();
        pin_registrar(&mut wallet, "did:web:registrar.example", "", NOW).unwrap();
        let renamed = pin_registrar(&mut wallet, "did:web:registrar.example", "The Registrar\u{1b}[2J", NOW).unwrap();
        assert_eq!(wallet.contents.registrars, [renamed]);
        assert_eq!(wallet.contents.registrars[0].name, "The Registrar[U+001B][2J");
        let unknown = unpin_registrar(&mut wallet, "did:web:other.example", NOW).unwrap_err();
        assert_eq!(unknown.reason, FailureReason::NotFound);
        unpin_registrar(&mut wallet, "did:web:registrar.example", NOW).unwrap();
        assert!(wallet.contents.registrars.is_empty());
        let kinds: Vec<LogEntryKind> = wallet.contents.log.entries().iter().map(|entry| entry.kind).collect();
        assert_eq!(kinds, [LogEntryKind::RegistrarAdded, LogEntryKind::RegistrarAdded, LogEntryKind::RegistrarRemoved]);
    }

    #[test]
    fn what_is_no_did_is_not_pinned() {
        let mut wallet = wallet();
        let refused = pin_registrar(&mut wallet, "registrar.example", "x", NOW).unwrap_err();
        assert_eq!(refused.kind, FailureKind::Usage);
        assert!(wallet.contents.registrars.is_empty() && wallet.contents.log.entries().is_empty());
    }

    fn site(port: u16, pin: &str) -> LocalSite {
        let text = format!(
            r#"{{"did":"did:web:localhost%3A{port}","name":"A","certificate_sha256":"{pin}",
                "registrar":{{"did":"did:key:z6Mk{port}","name":"R"}}}}"#
        );
        LocalSite::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_site_that_was_set_up_again_takes_the_place_of_the_one_before() {
        let mut contents = WalletContents::new(12);
        let (one, again, other) =
            (site(7443, &"ab".repeat(32)), site(7443, &"cd".repeat(32)), site(7444, &"ef".repeat(32)));
        [&one, &other, &again].into_iter().for_each(|site| pin_site(&mut contents, site));
        assert_eq!(contents.local_services, [other.clone(), again]);
        assert_eq!(unpin_site(&mut contents, &other.did).unwrap(), other);
        assert_eq!(unpin_site(&mut contents, &other.did).unwrap_err().reason, FailureReason::NotFound);
    }

    #[test]
    fn a_registrar_of_a_local_site_counts_for_that_site_alone() {
        let mut contents = WalletContents::new(12);
        let known = site(7443, &"ab".repeat(32));
        pin_site(&mut contents, &known);
        let pinned = |asker: &str| contents.pinned_registrar("did:key:z6Mk7443", asker).map(|registrar| registrar.name);
        assert_eq!(pinned(&known.did).as_deref(), Some("R"));
        assert_eq!(pinned("did:web:jobs.example"), None);
        assert_eq!(pinned("did:web:localhost%3A7444"), None);
        assert!(contents.pinned_registrar("did:key:z6Mk7444", &known.did).is_none());
    }
}
