//! Hosts that a command contacts. They are announced to the holder before the first call, with the reason why the
//! wallet knows them.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use carnet_wallet::{
    hosts::{HostSource, KnownHosts},
    sanitise::sanitise,
};
use url::Url;

use crate::ui::messages::{Language, LocalizedMessages};

/// Hosts that were announced in one command. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct ContactAnnouncer {
    known: Arc<Mutex<Option<KnownHosts>>>,
    told: Arc<Mutex<BTreeSet<String>>>,
    language: Language,
    silent: bool,
}

impl ContactAnnouncer {
    /// Creates the contacts of a command, to which all hosts are unknown; see [`Self::announce_stranger`]. With `silent`, nothing is announced: a
    /// program reads the output.
    pub(crate) fn new(language: Language, silent: bool) -> Self {
        Self { known: Arc::default(), told: Arc::default(), language, silent }
    }

    /// Sets the hosts that the wallet knows.
    pub(crate) fn set_known_hosts(&self, hosts: KnownHosts) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(hosts);
    }

    /// Announces the host of a URL to the holder, once in each command.
    pub(crate) fn announce(&self, url: &str) {
        if let Some(text) = self.announcement(url).filter(|_| !self.silent) {
            carnet_console::print_error_line(text);
        }
    }

    /// Announces the host of a URL to the holder, once in each command, if it is not one of the known hosts. Nothing is
    /// announced where these were not set: such a command contacts the parties of its credentials alone.
    pub(crate) fn announce_stranger(&self, url: &str) {
        let Ok(parsed) = Url::parse(url) else { return };
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let is_stranger = known.as_ref().is_some_and(|known| known.find(&parsed).is_none());
        drop(known);
        if is_stranger {
            self.announce(url);
        }
    }

    /// Returns the text about the host of a URL; `None` if it was announced before.
    fn announcement(&self, url: &str) -> Option<String> {
        let url = Url::parse(url).ok()?;
        let host = url.host_str()?;
        let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        if !self.told.lock().unwrap_or_else(PoisonError::into_inner).insert(host.clone()) {
            return None;
        }
        let messages = LocalizedMessages::new(self.language);
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        Some(match known.as_ref().and_then(|known| known.find(&url)) {
            None => messages.format("contact-stranger", &[("host", &sanitise(&host))]),
            Some(owner) => {
                let id = match owner.source {
                    HostSource::TrustList => "contact-listed",
                    HostSource::Holder => "contact-owner",
                    HostSource::Credential => "contact-credential",
                };
                messages.format(id, &[("host", &sanitise(&host)), ("name", &sanitise(&owner.name))])
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use carnet_core::time::Timestamp;
    use carnet_wallet::store::{PinnedRegistrar, WalletContents};

    use super::*;

    #[test]
    fn a_host_is_told_once_with_the_document_that_vouches_for_it() {
        let mut contents = WalletContents::new(12);
        let (did, name) = ("did:web:register.example".to_owned(), "Registrar of Example".to_owned());
        contents.registrars.push(PinnedRegistrar { did, name });
        let hosts = || KnownHosts::from_contents(&contents, Timestamp::from_unix(1_800_000_000));
        let mut strangers = BTreeSet::new();
        for language in Language::ALL {
            let contacts = ContactAnnouncer::new(language, false);
            contacts.set_known_hosts(hosts());
            let known = contacts.announcement("https://register.example/x").unwrap();
            assert!(known.contains("Registrar of Example") && known.contains("register.example"), "{known}");
            assert_eq!(contacts.announcement("https://register.example/y"), None);
            let stranger = contacts.announcement("https://stranger.example:8443/x").unwrap();
            assert!(stranger.contains("stranger.example:8443") && !stranger.contains("Registrar"), "{stranger}");
            assert!(!stranger.contains("contact-") && !known.contains("contact-"));
            strangers.insert(stranger);
        }
        assert_eq!(strangers.len(), Language::ALL.len());
    }
}
