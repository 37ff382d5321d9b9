//! RDF-based cryptosuite with the contexts of the catalogue.

use carnet_jsonld::EddsaRdfc2022;
use carnet_service::config::StartError;
use carnet_spec::{Catalogue, CredentialType};

/// Creates eddsa-rdfc-2022 with the contexts of the catalogue's types, and no others.
///
/// # Errors
/// If a context differs from its pinned digest.
pub(crate) fn suite(catalogue: &Catalogue) -> Result<EddsaRdfc2022, StartError> {
    let refused = |what: String| StartError::new(what, "restore the catalogue's files and start again");
    let contexts = catalogue.types().flat_map(CredentialType::contexts).map(|(url, bytes, sha256)| {
        let text = String::from_utf8(bytes.to_vec()).map_err(|_| refused(format!("the context {url} is not UTF-8")))?;
        Ok((url.to_owned(), text, sha256.to_owned()))
    });
    EddsaRdfc2022::new(contexts.collect::<Result<_, StartError>>()?)
        .map_err(|problem| refused(format!("the catalogue's contexts are refused: {problem}")))
}
