//! `keys ...`: the key commands, which both services share.

use carnet_core::did::Did;
use carnet_service::{
    config::refused_field,
    fetcher::fetcher,
    keys::verbs::{self, KeysVerb, Owner},
    local,
};

use super::Failure;
use crate::config::VerifierConfig;

pub(super) async fn run(verb: KeysVerb) -> Result<u8, Failure> {
    let place = verb.place();
    let config = VerifierConfig::load(&place.data, place.config.as_deref())?;
    let did = Did::parse(&config.did)
        .map_err(|problem| config.files.place(refused_field("did", format!("did is {}: {problem}", config.did))))?;
    let fetcher = fetcher(&config.serve)?;
    let _site = local::serve_document(&place.data, &config.serve, &did).await;
    verbs::run(verb, Owner { did, config: config.keys, fetcher }).await?;
    Ok(0)
}
