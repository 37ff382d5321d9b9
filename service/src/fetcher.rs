//! HTTPS fetcher of a service, created from its configuration.

use carnet_core::did::DidMethods;
use carnet_fetch::{FetchOptions, HttpsFetcher};

use crate::{
    config::{ServeConfig, StartError, invalid_field},
    disk,
};

/// Creates the fetcher of DID documents, for the DID methods of carnet-core, with the configured CA certificates, private hosts and pins.
///
/// # Errors
/// The certificate file is unreadable or invalid; a pin is not a fingerprint.
pub fn create_fetcher(config: &ServeConfig) -> Result<HttpsFetcher, StartError> {
    let refused = |what: String| {
        StartError::new(format!("{what}."), "Set extra_ca to a PEM file with CA certificates.").nothing_started()
    };
    let extra_ca_pem = config
        .extra_ca
        .as_ref()
        .map(|path| {
            disk::read_user_file(path)
                .map(|pem| pem.to_vec())
                .map_err(|error| refused(format!("{} cannot be read: {error}", path.display())).input_missing())
        })
        .transpose()?;
    let pins = config.local.iter().flat_map(|local| &local.pins).map(|pin| pin.parse());
    let local_pins = pins
        .collect::<Result<_, _>>()
        .map_err(|problem| invalid_field("serve.local.pins", format!("serve.local.pins is refused: {problem}")))?;
    let options = FetchOptions {
        extra_ca_pem,
        local_pins,
        methods: DidMethods::standard(),
        private_hosts: config.private_hosts.iter().cloned().collect(),
        ..FetchOptions::default()
    };
    HttpsFetcher::new(options).map_err(|problem| refused(format!("The CA certificates cannot be used: {problem}")))
}
