//! Network settings of a command: additional certificates, and the hosts allowed on private networks.

use std::{cell::RefCell, collections::BTreeSet, path::PathBuf, rc::Rc, time::Duration};

use carnet_fetch::{
    FetchOptions, HttpsFetcher,
    local::{Fingerprint, LocalSite},
    service::ServiceClient,
};

use crate::failure::{Failure, FailureReason, Sentence};

/// Network settings of a command. Clones share the certificates of the local services.
#[derive(Clone)]
pub(crate) struct NetworkSettings {
    ca_file: Option<PathBuf>,
    private_hosts: BTreeSet<String>,
    /// Certificates of the local services in the opened wallet.
    local_pins: Rc<RefCell<BTreeSet<Fingerprint>>>,
}

impl NetworkSettings {
    /// Creates the settings from the options of the command line, without local services.
    pub(crate) fn new(ca_file: Option<PathBuf>, private_hosts: Vec<String>) -> Self {
        Self { ca_file, private_hosts: private_hosts.into_iter().collect(), local_pins: Rc::default() }
    }

    /// Replaces the accepted certificates of local services with those of these services.
    pub(crate) fn pin_local_sites(&self, sites: &[LocalSite]) {
        *self.local_pins.borrow_mut() = sites.iter().map(|site| site.certificate_sha256.clone()).collect();
    }

    /// Reads the additional certificates (PEM); `None` if the command line names no file.
    ///
    /// # Errors
    /// `ca_unreadable`
    pub(crate) fn read_ca(&self) -> Result<Option<Vec<u8>>, Failure> {
        let Some(path) = &self.ca_file else { return Ok(None) };
        carnet_disk::read_user_file(path).map(|pem| Some(pem.to_vec())).map_err(|error| {
            let message = Sentence::new("error-ca-unreadable").with("path", path.display()).with_details(error);
            Failure::usage(FailureReason::Program("ca_unreadable"), message, Sentence::new("hint-ca"))
        })
    }

    /// Returns an HTTPS client for public documents.
    pub(crate) fn fetcher(&self) -> Result<HttpsFetcher, Failure> {
        HttpsFetcher::new(self.fetch_options()?).map_err(|problem| unusable(&problem))
    }

    /// Returns an HTTP client for calls to services whose URLs come from outside, with a time limit for each call.
    pub(crate) fn service_client(&self, timeout: Duration) -> Result<ServiceClient, Failure> {
        let options = FetchOptions { timeout, ..self.fetch_options()? };
        ServiceClient::new(options).map_err(|problem| unusable(&problem))
    }

    fn fetch_options(&self) -> Result<FetchOptions, Failure> {
        Ok(FetchOptions {
            extra_ca_pem: self.read_ca()?,
            private_hosts: self.private_hosts.clone(),
            local_pins: self.local_pins.borrow().clone(),
            ..FetchOptions::default()
        })
    }
}

fn unusable(problem: &carnet_core::Problem) -> Failure {
    Failure::from_problem(problem, Sentence::new("error-ca-unusable"), Sentence::new("hint-ca"))
}
