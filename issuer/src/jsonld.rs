//! The RDF-based cryptosuite, over the catalogue's contexts.

use carnet_jsonld::EddsaRdfc2022;
use carnet_service::config::StartError;
use carnet_spec::{Catalogue, CredentialType};

/// eddsa-rdfc-2022 that knows the contexts of every type in the catalogue, and no others.
///
/// # Errors
/// A context does not have its pinned digest.
pub(crate) fn suite(catalogue: &Catalogue) -> Result<EddsaRdfc2022, StartError> {
    let refused = |what: String| StartError::new(what, "restore the catalogue's files and start again");
    let contexts = catalogue.types().flat_map(CredentialType::contexts).map(|(url, bytes, sha256)| {
        let text = String::from_utf8(bytes.to_vec()).map_err(|_| refused(format!("the context {url} is not UTF-8")))?;
        Ok((url.to_owned(), text, sha256.to_owned()))
    });
    EddsaRdfc2022::new(contexts.collect::<Result<_, StartError>>()?)
        .map_err(|problem| refused(format!("the catalogue's contexts are refused: {problem}")))
}
