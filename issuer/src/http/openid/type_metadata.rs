//! SD-JWT VC type metadata of the issued types: by type name, and at the path of each `vct` that is an https URL.

use std::sync::Arc;

use axum::{Router, http::Uri, routing::get};
use carnet_core::format::CredentialFormat;

use super::{TYPES_PATH, public_json};
use crate::issuer::Issuer;

/// Returns the routes of the type metadata. The documents are for other wallets and verifiers: Carnet fetches none of
/// them.
pub(super) fn router<S>(issuer: &Arc<Issuer<S>>) -> Router {
    let issued = issuer.supported_configurations().filter(|known| known.format == CredentialFormat::DcSdJwt);
    issued.fold(Router::new(), |router, known| {
        let credential_type = known.credential_type;
        let document = credential_type.type_metadata().to_json();
        let by_name = format!("{TYPES_PATH}/{}", credential_type.name);
        let own = vct_path(&credential_type.vct).filter(|path| *path != by_name);
        let paths = std::iter::once(by_name).chain(own);
        paths.fold(router, |router, path| {
            let document = document.clone();
            router.route(&path, get(|| async { public_json(document) }))
        })
    })
}

/// Returns the path of a `vct` that is an https URL, so that a web site at its host can forward requests unchanged.
/// `None` for another `vct`, a path with characters other than unreserved ones and `/`, or a path below those of the
/// other endpoints.
fn vct_path(vct: &str) -> Option<String> {
    let url: Uri = vct.parse().ok().filter(|url: &Uri| url.scheme_str() == Some("https"))?;
    let path = url.path();
    // Nothing that the router would read as a pattern, or that is another endpoint's.
    let is_plain = path.len() > 1 && path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte));
    let is_free = !["/openid/", "/.well-known/", "/status/"].iter().any(|taken| path.starts_with(taken));
    (is_plain && is_free).then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
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
}
