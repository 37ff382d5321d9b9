//! Cryptosuites of this issuer.

use carnet_core::secure::data_integrity::Suites;
use carnet_service::config::StartError;
use carnet_spec::Catalogue;

/// Returns the supported cryptosuites; those over RDF have the contexts of the catalogue's types, and no others.
///
/// # Errors
/// If a context differs from its pinned digest.
#[cfg_attr(not(feature = "jsonld"), allow(clippy::unnecessary_wraps))]
pub(crate) fn registered(_catalogue: &Catalogue) -> Result<Suites, StartError> {
    let suites = Suites::jcs();
    #[cfg(feature = "jsonld")]
    let suites =
        _catalogue.contexts().and_then(|contexts| carnet_jsonld::register(suites, contexts)).map_err(|problem| {
            let what = format!("the catalogue's contexts are refused: {problem}");
            StartError::new(what, "restore the catalogue's files and start again")
        })?;
    Ok(suites)
}
