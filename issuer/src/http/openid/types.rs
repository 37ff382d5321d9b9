//! SD-JWT VC type metadata of the issued types, at the path of each `vct` that is a URL, and by the type's name.

use std::sync::Arc;

use axum::{Router, http::Uri, routing::get};
use carnet_core::{format::CredentialFormat, secure::sd_jwt::ClaimPath};
use carnet_openid::type_metadata::{ClaimLabel, ClaimMetadata, SelectiveDisclosure, TypeMetadata, TypeName};
use carnet_spec::CredentialType;

use super::{TYPES, metadata, public};
use crate::issuer::Issuer;

/// Returns the routes. The documents are public, and nothing of Carnet fetches them to present or to verify.
pub(super) fn router<S>(issuer: &Arc<Issuer<S>>) -> Router {
    let issued = issuer.configurations().filter(|known| known.format == CredentialFormat::DcSdJwt);
    issued.fold(Router::new(), |router, known| {
        let credential_type = known.credential_type;
        let document = type_metadata(credential_type).to_json();
        let by_name = format!("{TYPES}/{}", credential_type.name);
        let own = vct_path(&credential_type.vct).filter(|path| *path != by_name);
        let paths = std::iter::once(by_name).chain(own);
        paths.fold(router, |router, path| {
            let document = document.clone();
            router.route(&path, get(|| async { public(document) }))
        })
    })
}

/// Returns the path of a `vct` that is an https URL: a web site at its host can pass requests on as they are.
fn vct_path(vct: &str) -> Option<String> {
    let url: Uri = vct.parse().ok().filter(|url: &Uri| url.scheme_str() == Some("https"))?;
    let path = url.path();
    // Nothing that the router would read as a pattern, or that is another endpoint's.
    let is_plain = path.len() > 1 && path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte));
    let is_free = !["/openid/", "/.well-known/", "/status/"].iter().any(|taken| path.starts_with(taken));
    (is_plain && is_free).then(|| path.to_owned())
}

fn type_metadata(known: &CredentialType) -> TypeMetadata {
    let english = known.display("en");
    let display = known.languages().map(|language| {
        let words = known.display(language);
        TypeName { locale: language.to_owned(), name: words.name.clone(), description: Some(words.description.clone()) }
    });
    let claim = |path: &ClaimPath| {
        let name = metadata::claim_name(path);
        let label = |language: &str| {
            let words = known.display(language);
            let name = name.as_deref()?;
            Some(ClaimLabel {
                locale: language.to_owned(),
                label: words.label(name)?.to_owned(),
                description: words.claim_description(name).map(str::to_owned),
            })
        };
        ClaimMetadata {
            path: metadata::pointer(path),
            display: known.languages().filter_map(label).collect(),
            sd: SelectiveDisclosure::Always,
        }
    };
    TypeMetadata {
        vct: known.vct.clone(),
        name: Some(english.name.clone()),
        description: Some(english.description.clone()),
        display: display.collect(),
        claims: known.disclosable_in_sd_jwt_vc().iter().map(claim).collect(),
    }
}

#[cfg(test)]
mod tests {
    use carnet_spec::Catalogue;

    use super::*;

    #[test]
    fn only_plain_https_types_have_a_path() {
        assert_eq!(vct_path("https://uni.example/types/a-1").as_deref(), Some("/types/a-1"));
        for none in [
            "urn:carnet:type:a:1",
            "http://uni.example/types/a",
            "https://uni.example",
            "https://uni.example/",
            "https://uni.example/{x}",
            "https://uni.example/openid/token",
            "https://uni.example/.well-known/x",
        ] {
            assert_eq!(vct_path(none), None, "{none}");
        }
    }

    #[test]
    fn every_type_of_the_catalogue_has_metadata_in_all_its_languages() {
        let catalogue = Catalogue::embedded().unwrap();
        for known in catalogue.types() {
            let metadata = type_metadata(known);
            assert_eq!(metadata.display.len(), known.languages().count());
            assert!(!metadata.claims.is_empty(), "{}", known.name);
            let top = |claim: &ClaimMetadata| claim.path.len() == 1;
            let unnamed = metadata.claims.iter().filter(|claim| top(claim) && claim.display.is_empty());
            assert_eq!(unnamed.count(), 0, "{}", known.name);
        }
    }
}
