//! Composition of the parts of the wallet for one command, from its options.

use std::rc::Rc;

use carnet_core::time::Timestamp;
use carnet_fetch::DidCache;
use carnet_spec::Catalogue;
use carnet_wallet::{
    languages::Languages,
    ports::{Clock, DocumentSource, IssuerClient, Notice, Ports, VerifierClient},
    protocol::ServiceProtocol,
};

use crate::{
    arguments::GlobalOptions,
    catalogue::CatalogueSource,
    client::{Connections, ContactAnnouncer},
    clock::CommandClock,
    documents::HttpsDocuments,
    failure::Failure,
    location::WalletLocation,
    network::NetworkSettings,
    opening::WalletOpener,
    passphrase_memory::PassphraseMemory,
    saved_language,
    secrets::{PassphraseReader, PassphraseSource},
    ui::{
        Ui,
        messages::{Language, LocalizedMessages},
        notices,
        wait_notice::ServiceNotices,
    },
};

/// Parts of the wallet that a command uses; implements the ports of the wallet library.
pub(crate) struct CommandContext {
    /// User interface: output and questions.
    pub(crate) ui: Rc<Ui>,
    /// Path of the wallet file.
    pub(crate) location: Rc<WalletLocation>,
    /// Reader of passphrases.
    pub(crate) passphrases: PassphraseReader,
    /// Opener of the wallet file, for reading or for changes.
    pub(crate) wallet: WalletOpener,
    /// Source of public documents.
    pub(crate) documents: HttpsDocuments,
    /// Connections to issuers and verifiers.
    pub(crate) connections: Connections,
    clock: CommandClock,
    catalogue: CatalogueSource,
}

impl CommandContext {
    /// Creates the context from the options of the command line. No file is opened or read yet.
    pub(crate) fn new(global: GlobalOptions, clock: CommandClock) -> Self {
        Self::with_passphrase_memory(global, clock, None)
    }

    /// Creates the context of a command of a menu session, which remembers the passphrase.
    pub(crate) fn with_passphrase_memory(
        global: GlobalOptions,
        clock: CommandClock,
        memory: Option<PassphraseMemory>,
    ) -> Self {
        let location = Rc::new(WalletLocation::new(global.wallet, global.state));
        let chosen = global.lang.or_else(|| saved_language::read(&location));
        let language = chosen.unwrap_or_else(Language::from_environment);
        let mut ui = Ui::new(global.json, global.no_input, language);
        let catalogue = CatalogueSource(global.catalogue);
        if let Language::Data(tag) = language
            && let Ok(source) = catalogue.language(tag)
        {
            ui.messages = LocalizedMessages::from_source(language, source);
        }
        ui.details = global.details;
        let contacts = ContactAnnouncer::new(language, ui.json);
        let ui = Rc::new(ui);
        let screen = Rc::clone(&ui);
        let waits = ServiceNotices::new(move |host| screen.service_notice(host));
        let network = NetworkSettings::new(global.ca, global.private_host);
        let source = PassphraseSource { file: global.passphrase_file, fd: global.passphrase_fd };
        let passphrases = PassphraseReader::new(source, memory, Rc::clone(&ui));
        let dids = DidCache::default();
        Self {
            wallet: WalletOpener {
                location: Rc::clone(&location),
                passphrases: passphrases.clone(),
                ui: Rc::clone(&ui),
                clock: clock.clone(),
                dids: dids.clone(),
                network: network.clone(),
            },
            connections: Connections {
                network: network.clone(),
                waits: waits.clone(),
                contacts: contacts.clone(),
                clock: clock.clone(),
                catalogue: catalogue.clone(),
            },
            documents: HttpsDocuments { dids, network, waits, contacts },
            ui,
            location,
            passphrases,
            clock,
            catalogue,
        }
    }

    /// Returns the current time.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Checks that the language of the screens exists: of the folder that was named, where it is none of this program.
    ///
    /// # Errors
    /// `language_unknown`
    pub(crate) fn check_language(&self) -> Result<(), Failure> {
        match self.ui.messages.language() {
            Language::Data(tag) => self.catalogue.language(tag).map(drop),
            _ => Ok(()),
        }
    }

    /// Loads the credential types.
    pub(crate) fn catalogue(&self) -> Result<Catalogue, Failure> {
        self.catalogue.load()
    }
}

impl Ports for CommandContext {
    fn clock(&self) -> &impl Clock {
        &self.clock
    }

    fn documents(&self) -> &impl DocumentSource {
        &self.documents
    }

    async fn connect_issuer(&self, endpoint: &str, wire: ServiceProtocol) -> Result<Box<dyn IssuerClient>, Failure> {
        self.connections.connect_issuer(endpoint, wire).await
    }

    async fn connect_verifier(
        &self,
        endpoint: &str,
        wire: ServiceProtocol,
    ) -> Result<Box<dyn VerifierClient>, Failure> {
        self.connections.connect_verifier(endpoint, wire).await
    }

    fn catalogue(&self) -> Result<Catalogue, Failure> {
        self.catalogue.load()
    }

    fn languages(&self) -> Languages {
        self.ui.messages.languages()
    }

    fn notify(&self, notice: Notice<'_>) {
        self.ui.print_note(&notices::notice_text(&self.ui.messages, &notice));
    }
}
