//! Commands `keys ...`, shared by both services.

use carnet_core::did::Did;
use carnet_service::{
    config::invalid_field,
    fetcher::create_fetcher,
    keys::commands::{self, KeyOwner, KeysCommand},
    local,
};

use super::StaffFailure;
use crate::config::VerifierConfig;

pub(super) async fn run(verb: KeysCommand) -> Result<u8, StaffFailure> {
    let place = verb.directory_args();
    let config = VerifierConfig::load(&place.data, place.config.as_deref())?;
    let did = Did::parse(&config.did).map_err(|problem| {
        config.files.add_location(invalid_field("did", format!("did is {}: {problem}", config.did)))
    })?;
    let fetcher = create_fetcher(&config.serve)?;
    let _site = local::serve_document(&place.data, &config.serve, &did).await;
    commands::run(verb, KeyOwner { did, config: config.keys, fetcher }).await?;
    Ok(0)
}
