//! `relatedResource`: resources with the digests of their content (VCDM 2.0 section 5.3).

use std::collections::HashSet;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use super::{malformed, values::values};
use crate::{Problem, credential::id_of};

/// Maximum length of a digest, in characters: base64 of 64 bytes with its prefix, several times.
const MAX_DIGEST: usize = 1_024;
/// Multihash codes (multicodec table) with the length of their digests: SHA-256, SHA-384, SHA-512.
const MULTIHASHES: [(u8, usize); 3] = [(0x12, 32), (0x20, 48), (0x13, 64)];

/// Digests of one version of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Digests([Vec<u8>; 3]);

/// Resource whose content is known, at a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownResource {
    url: String,
    digests: Digests,
}

impl KnownResource {
    /// Computes the digests of a resource.
    #[must_use]
    pub fn new(url: impl Into<String>, content: &[u8]) -> Self {
        let digests =
            [Sha256::digest(content).to_vec(), Sha384::digest(content).to_vec(), Sha512::digest(content).to_vec()];
        Self { url: url.into(), digests: Digests(digests) }
    }

    /// Returns the resources that this crate knows by digest alone: the base context of VCDM 2.0, in the version of the
    /// Recommendation and in that of July 2024, which was published at the same URL and which documents still name.
    #[must_use]
    pub fn published() -> Vec<Self> {
        PUBLISHED
            .iter()
            .map(|(url, digests)| {
                let decode = |text: &str| STANDARD.decode(text).unwrap_or_default();
                Self { url: (*url).to_owned(), digests: Digests(digests.map(decode)) }
            })
            .collect()
    }
}

/// Checks the form of `relatedResource`: objects, each with an `id` that is a URL and that no other has, and with a
/// digest; `mediaType` is a string.
///
/// # Errors
/// `malformed_value`
pub(super) fn check_related_form(document: &Map<String, Value>) -> Result<(), Problem> {
    let mut seen = HashSet::new();
    for entry in values(document, "relatedResource") {
        let resource = entry.as_object().ok_or_else(|| malformed("a relatedResource is not an object"))?;
        let id = id_of(Some(entry), "relatedResource")?;
        if !seen.insert(id) {
            return Err(malformed("two relatedResources have the same id"));
        }
        if resource.get("mediaType").is_some_and(|media_type| !media_type.is_string()) {
            return Err(malformed("the mediaType of a relatedResource is not a string"));
        }
        if digests_of(resource)?.is_empty() {
            return Err(malformed("a relatedResource has neither digestSRI nor digestMultibase"));
        }
    }
    Ok(())
}

/// Checks the digests of the related resources that are known. A resource that is not known cannot be checked, and is
/// left to whoever retrieves it.
///
/// # Errors
/// `malformed_value`: a digest is not that of the resource, or is of no known form.
pub fn check_related_resources(document: &Map<String, Value>, known: &[KnownResource]) -> Result<(), Problem> {
    for entry in values(document, "relatedResource") {
        let Some(resource) = entry.as_object() else { continue };
        let id = id_of(Some(entry), "relatedResource")?;
        let mut versions = known.iter().filter(|version| version.url == id).peekable();
        if versions.peek().is_none() {
            continue;
        }
        let stated = digests_of(resource)?;
        // All digests have to be of one version: two that differ cannot both be right.
        if !versions.any(|version| stated.iter().all(|digest| digest.is_of(&version.digests))) {
            return Err(malformed("a digest of a relatedResource is not that of the resource"));
        }
    }
    Ok(())
}

/// Digest that a document states for a resource.
enum StatedDigest<'a> {
    /// `digestSRI` (Subresource Integrity): hash expressions separated by spaces.
    Sri(&'a str),
    /// `digestMultibase`.
    Multibase(&'a str),
}

fn digests_of(resource: &Map<String, Value>) -> Result<Vec<StatedDigest<'_>>, Problem> {
    let mut stated = Vec::new();
    for name in ["digestSRI", "digestMultibase"] {
        for digest in values(resource, name) {
            let text = digest.as_str().filter(|text| !text.is_empty() && text.len() <= MAX_DIGEST);
            let text = text.ok_or_else(|| malformed(format!("{name} is not a digest")))?;
            stated.push(if name == "digestSRI" { StatedDigest::Sri(text) } else { StatedDigest::Multibase(text) });
        }
    }
    Ok(stated)
}

impl StatedDigest<'_> {
    fn is_of(&self, digests: &Digests) -> bool {
        let [sha256, sha384, sha512] = &digests.0;
        match self {
            Self::Sri(text) => text.split(' ').filter(|part| !part.is_empty()).any(|part| {
                let Some((algorithm, value)) = part.split_once('-') else { return false };
                // Options follow a question mark.
                let value = value.split('?').next().unwrap_or_default();
                let expected = match algorithm {
                    "sha256" => sha256,
                    "sha384" => sha384,
                    "sha512" => sha512,
                    _ => return false,
                };
                STANDARD.decode(value).is_ok_and(|bytes| bytes == *expected)
            }),
            Self::Multibase(text) => {
                let Some(bytes) = multibase(text) else { return false };
                let multihash = || {
                    let (code, rest) = bytes.split_first()?;
                    let (length, digest) = rest.split_first()?;
                    let known = MULTIHASHES.iter().position(|known| known == &(*code, usize::from(*length)))?;
                    // In the order of MULTIHASHES.
                    Some(digest == [sha256, sha384, sha512].get(known)?.as_slice())
                };
                // Documents that are older than the Recommendation have the bare digest.
                multihash() == Some(true) || bytes == *sha256 || bytes == *sha384 || bytes == *sha512
            }
        }
    }
}

/// Decodes multibase: base64url without padding (`u`) or base58btc (`z`).
fn multibase(text: &str) -> Option<Vec<u8>> {
    match text.split_at_checked(1)? {
        ("u", rest) => URL_SAFE_NO_PAD.decode(rest).ok(),
        ("z", rest) => bs58::decode(rest).into_vec().ok(),
        _ => None,
    }
}

/// Published versions of resources: URL, and the base64 of SHA-256, SHA-384 and SHA-512.
const PUBLISHED: [(&str, [&str; 3]); 2] = [
    (
        crate::credential::CONTEXT_V2,
        [
            "WZVc7WaX1h4D8rJVb+vlMIqxaEKEb1tYbX8fet7JJzQ=",
            "l/HrjlBCNWyAX91hr6LFV2Y3heB5Tcr6IeE4/Tje8YyzYBM8IhqjHWiWpr8+ZbYU",
            "XVVFK9Lc+KKfWikEc+skKxxft31OaPGgqoe6pNuiaUhS1l7GPUisBKmdlW+fcVO5QG+E0tBMdIabAsI5odgTBQ==",
        ],
    ),
    (
        crate::credential::CONTEXT_V2,
        [
            "JKGMkOmFbVJhEfKTduMC2XCyvRAYLjOVmZWwIH1wQ7k=",
            "NSOcNpmdIVUxIJGvGUoe22FjTWrXiaXlsZ8q6912LdnR3KraQO2n75Ica4wK4Qeg",
            "yxM236hnDYDQM0SzsMwl+vTUUgGCPDXzm7Gv5an5EfYV/07IDsXy+J4z0U6Wvsi+eOON81uRjJzV87NEm9bIjw==",
        ],
    ),
];
