//! Cryptosuites of this issuer.

use carnet_core::secure::data_integrity::Cryptosuites;
use carnet_service::config::StartError;
use carnet_spec::Catalogue;

/// Returns the Data Integrity cryptosuites of this build: those over JCS, and with the feature `jsonld` those over RDF,
/// which know only the JSON-LD contexts of the catalogue.
///
/// # Errors
/// A context of the catalogue is missing or differs from its pinned digest.
#[cfg_attr(not(feature = "jsonld"), allow(clippy::unnecessary_wraps))]
pub(crate) fn supported_suites(_catalogue: &Catalogue) -> Result<Cryptosuites, StartError> {
    let suites = Cryptosuites::jcs();
    #[cfg(feature = "jsonld")]
    let suites = _catalogue.contexts().and_then(|contexts| carnet_jsonld::register_suites(suites, contexts)).map_err(
        |problem| {
            let what = format!("the catalogue's contexts are refused: {problem}");
            StartError::new(what, "restore the catalogue's files and start again")
        },
    )?;
    Ok(suites)
}
